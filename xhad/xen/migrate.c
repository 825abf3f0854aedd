/*
 * migrate.c - the verb migrate: the source of a move.
 *
 * It streams and tells, and decides nothing. Until the trailer is on its way whatever goes wrong ends with the
 * guest running here, and REFUSED. From the trailer on the receiver may have a whole copy: then the guest
 * stays suspended until the cluster's ordered verdict, whatever the receiver says or does not say.
 */
#include "xhad/xen/domain_config.h"
#include "xhad/xen/migrate_stock.h"
#include "xhad/xen/suspend.h"
#include "xhad/xen/work.h"
#include "xhad/base/cleanup.h"
#include "xhad/move/talk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MS 60000 /* for the receiver to restore what it has; only its words are waited for */

struct source {
    struct xha_work *w;
    struct xha_talk talk;
    uint32_t domid;
    bool live;
    const char *why_warm; /* "" when nobody need be told */
    char *config_json;
    struct xha_hello hello;
    struct xha_wire *wire;
};

/* ---- before: the guest runs untouched ---- */

static const char *cannot_be_sent(const libxl_dominfo *info)
{
    return info->dying ? "being destroyed" : info->shutdown ? "shut down" : info->paused ? "paused" : NULL;
}

/* Whoever asked for a live move and cannot have it is told so; nobody asked: the guest is moved all the same. 0, or -1
 * after answering. */
static int choose_mode(struct source *s, const libxl_dominfo *info)
{
    struct xha_work *w = s->w;
    const char *asked = w->job.move.mode;

    s->why_warm = "";
    s->live = strcmp(asked, "warm") != 0;
    if (!s->live || xha_suspend_can_live(&w->lx, info))
        return 0;
    s->live = false;
    s->why_warm = info->domain_type == LIBXL_DOMAIN_TYPE_PV
                      ? "warm: PV guests cannot be tracked on this Xen"
                      : "warm: this Xen cannot track which pages a guest changes";
    if (strcmp(asked, "live") == 0) {
        xha_work_refuse(
            w, XHA_REFUSAL_UNSUPPORTED,
            "%s can be moved, but not live, and runs on; %s: leave the choice to xhad, or ask for that",
            w->who, s->why_warm);
        return -1;
    }
    xha_job_progress(STDOUT_FILENO, s->why_warm, 0, 1); /* whoever ordered it is told at once */
    return 0;
}

/* 0, or -1 after answering. */
static int look(struct source *s)
{
    struct xha_work *w = s->w;
    libxl_dominfo info;

    if (xha_work_domain(w, &info) < 0)
        return -1;
    if (cannot_be_sent(&info)) {
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s cannot be moved: it is %s", w->who, cannot_be_sent(&info));
        return -1;
    }
    s->domid = info.domid;
    if (choose_mode(s, &info) < 0)
        return -1;
    s->config_json = xha_config_of_domain(w, s->domid, NULL);
    if (!s->config_json) {
        xha_work_refuse(w, XHA_REFUSAL_OTHER,
                        "%s cannot be moved: its configuration cannot be had from libxl: %s", w->who,
                        xha_lx_error(&w->lx));
        return -1;
    }
    s->hello = (struct xha_hello){
        .version = XHA_WIRE_VERSION,
        .kind = XHA_HELLO_DOMAIN,
        .move_id = w->job.move.id,
        .uuid = w->job.uuid,
        .memory_kib = info.current_memkb,
    };
    memcpy(s->hello.name, w->job.name, sizeof(s->hello.name));
    snprintf(s->hello.mode, sizeof(s->hello.mode), "%s", s->live ? "live" : "warm");
    return 0;
}

static int meet(struct source *s)
{
    struct xha_work *w = s->w;
    enum xha_refusal refusal = XHA_REFUSAL_OTHER;
    char err[XHA_ANSWER_TEXT];

    xha_job_progress(STDOUT_FILENO, "connecting", 0, 1);
    if (xha_talk_connect(&s->talk, &s->wire, err, sizeof(err)) == 0 &&
        xha_talk_offer(&s->talk, s->wire, &s->hello, s->config_json, &refusal, err, sizeof(err)) == 0) {
        fprintf(stderr, "link: %s%s\n", xha_link_cipher(xha_wire_link(s->wire)),
                xha_link_in_kernel(xha_wire_link(s->wire)) ? ", in the kernel" : "");
        return 0;
    }
    xha_work_refuse(w, refusal, "%s is not moved and runs on: %s", w->who, err);
    return -1;
}

/* ---- the stream ---- */

/* The move is given up before its end was sent: the guest runs here. */
static void give_up(struct source *s, const struct xha_sent *sent, const char *libxl_error)
{
    struct xha_work *w = s->w;
    const char *why = xha_work_told_to_stop() ? "told to stop"
                      : xha_work_stop(w)      ? "it took longer than it may"
                      : sent->error[0]        ? sent->error
                                              : libxl_error;

    xha_wire_free(xha_steal_ptr(s->wire)); /* the receiver learns it by this */
    xha_suspend_end_log(s->domid);
    if (xha_suspend_undo(w, s->domid, xha_suspend_settle_ms()) < 0)
        xha_work_unknown(w, "%s was not moved (%s) and could not be resumed: %s", w->who, why,
                         xha_lx_error(&w->lx));
    else
        xha_work_refuse(w, sent->refused ? sent->refusal : XHA_REFUSAL_OTHER,
                        "%s was not moved and runs on: %s", w->who, why);
}

static void answer_sent(struct source *s, const struct xha_sent *sent, int64_t began_ms)
{
    struct xha_work *w = s->w;
    const int64_t sent_ms = xha_now_ms() - began_ms;
    struct xha_answer answer;
    char said[XHA_ANSWER_TEXT];

    xha_job_progress(STDOUT_FILENO, "restoring", 0, 1);
    if (xha_talk_await(&s->talk, s->wire, ANSWER_MS, &answer, said, sizeof(said)) == 0)
        snprintf(said, sizeof(said), "%s",
                 answer.kind == XHA_ANSWER_DONE ? "the receiver has it whole" : answer.text);
    xha_work_ok(w,
                "%s was sent%s%s%s: %" PRIu64 " KiB for %" PRIu64 " KiB in %" PRId64 " ms, %" PRIu32
                " rounds; %.150s",
                w->who, s->why_warm[0] ? " (" : "", s->why_warm, s->why_warm[0] ? ")" : "",
                sent->wire_bytes / 1024, sent->raw_bytes / 1024, sent_ms, sent->rounds, said);
    w->done.data =
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b}", "mode", s->live ? "live" : "warm",
                  "wire_bytes", (json_int_t)sent->wire_bytes, "raw_bytes", (json_int_t)sent->raw_bytes,
                  "pages", (json_int_t)sent->pages, "zero_pages", (json_int_t)sent->zero_pages, "rounds",
                  (json_int_t)sent->rounds, "ms", (json_int_t)sent_ms, "understood", sent->understood, "ktls",
                  xha_link_in_kernel(xha_wire_link(s->wire)));
}

static void stream(struct source *s)
{
    struct xha_work *w = s->w;
    struct xha_send_plan plan = {
        .wire = s->wire,
        .limit_bps = w->job.move.limit_bps,
        .total_pages = s->hello.memory_kib / 4,
        .progress_fd = STDOUT_FILENO,
    };
    const int64_t began_ms = xha_now_ms();
    char libxl_error[sizeof(w->lx.error)];
    struct xha_send *send;
    struct xha_sent sent;
    int fd, rc;

    if (!xha_codec_parse(w->job.move.compress, &plan.codec)) {
        xha_work_refuse(w, XHA_REFUSAL_UNSUPPORTED, "%s is not moved: no compression is called %s", w->who,
                        w->job.move.compress);
        return;
    }
    if (xha_send_start(&plan, &send, &fd) < 0) {
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s is not moved: %s", w->who, strerror(errno));
        return;
    }
    w->lx.quiet = true;
    xha_lx_forget(&w->lx);
    rc = libxl_domain_suspend(w->lx.ctx, s->domid, fd, s->live ? LIBXL_SUSPEND_LIVE : 0, NULL);
    snprintf(libxl_error, sizeof(libxl_error), "%s", xha_lx_error(&w->lx));
    xha_send_finish(send, &sent);
    xha_suspend_end_log(s->domid);
    if (rc || sent.error[0] != '\0' || xha_work_stop(w))
        give_up(s, &sent, libxl_error);
    else if (xha_talk_commit(&s->talk, s->wire, &sent.trailer) < 0)
        xha_work_unknown(
            w,
            "%s: the link broke in the very end, the receiver may have it whole or not; it stays "
            "suspended here until the cluster has decided",
            w->who);
    else
        answer_sent(s, &sent, began_ms);
}

void xha_perform_migrate(struct xha_work *w)
{
    struct source s = {
        .w = w,
        .talk = { .job = &w->job, .until_ms = w->until_ms, .stop = { .asked = xha_work_stop, .arg = w } },
    };

    if (look(&s) == 0) {
        if (w->job.move.command[0] != '\0')
            xha_migrate_to_stock(w, s.domid, s.live, s.why_warm, s.config_json);
        else if (meet(&s) == 0)
            stream(&s);
    }
    xha_wire_free(s.wire);
    free(s.config_json);
}

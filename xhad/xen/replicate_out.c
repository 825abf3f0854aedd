/*
 * replicate_out.c - the verb replicate-out: the sender of a replicated domain.
 *
 * libxc's checkpoint loop, with the steps between in our hands: suspend, the pages that changed into memory, resume;
 * then, while the guest runs, the rest of the framing, the backup's acknowledgement, and the interval. Whatever ends
 * it, the guest runs on here, unless it was asked otherwise: who may speak for the domain is decided elsewhere.
 */
#include "xhad/xen/domain_config.h"
#include "xhad/xen/suspend.h"
#include "xhad/xen/work.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include "xhad/move/talk.h"
#include "xhad/repl/interval.h"
#include "xhad/repl/out.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xenctrl.h>
#include <xenguest.h>

#define AGREE_MS          10000
#define SETTLE_MS         1000 /* for a guest that was told to suspend when it ended */
#define PRECOPY_ROUNDS    5
#define PRECOPY_DIRTY     50 /* pages, so few that the guest may as well be paused */
#define INTERVAL_MIN_MS   20
#define INTERVAL_MAX_MS   1000
#define PAUSE_PERMILLE    100
#define SILENCE_MS        500
#define COPIES_MIB        256
#define HELD_MIB          64
#define XL_LIBXC_CONTEXT  1
#define XL_CHECKPOINT_END 4

struct sender {
    struct xha_work *w;
    struct xha_talk talk;
    uint32_t domid;
    char *config_json;
    struct xha_hello hello;
    struct xha_wire *wire;
    struct xha_terms terms;
    struct xha_out *out;
    int stream_fd;
    struct xha_interval interval;
    uint64_t epoch; /* under way, from 1 on */
    int64_t asked_us, suspended_us, copied_us, resumed_us;
    char why[XHA_ANSWER_TEXT]; /* it ended; "": libxc has not said */
};

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static uint32_t or_default(uint32_t value, uint32_t standard)
{
    return value ? value : standard;
}

/* ---- before: the guest runs untouched ---- */

static const char *cannot_be_replicated(struct xha_work *w, const libxl_dominfo *info)
{
    if (info->dying || info->shutdown || info->paused)
        return "it does not run";
    if (info->domain_type == LIBXL_DOMAIN_TYPE_HVM)
        return "it is an HVM guest, whose device model is not replicated; PVH guests are";
    if (!xha_suspend_can_live(&w->lx, info))
        return "this Xen cannot track which pages a guest of its kind changes; PVH guests on processors with "
               "HAP "
               "can be replicated";
    return NULL;
}

/* 0, or -1 after answering. */
static int look(struct sender *s)
{
    struct xha_work *w = s->w;
    libxl_dominfo info;
    const char *why;

    if (xha_work_domain(w, &info) < 0)
        return -1;
    why = cannot_be_replicated(w, &info);
    if (why) {
        xha_work_refuse(w, XHA_REFUSAL_UNSUPPORTED, "%s cannot be replicated: %s", w->who, why);
        return -1;
    }
    s->domid = info.domid;
    s->config_json = xha_config_of_domain(w, s->domid, NULL);
    if (!s->config_json) {
        xha_work_refuse(w, XHA_REFUSAL_OTHER,
                        "%s cannot be replicated: its configuration cannot be had from libxl: %s", w->who,
                        xha_lx_error(&w->lx));
        return -1;
    }
    s->hello = (struct xha_hello){
        .version = XHA_WIRE_VERSION,
        .kind = XHA_HELLO_REPLICA,
        .move_id = w->job.move.id,
        .uuid = w->job.uuid,
        .memory_kib = info.current_memkb,
        .mode = "live",
    };
    memcpy(s->hello.name, w->job.name, sizeof(s->hello.name));
    return 0;
}

static int meet(struct sender *s)
{
    struct xha_work *w = s->w;
    const struct xha_job_replica *r = &w->job.replica;
    const struct xha_terms wanted = {
        .silence_ms = or_default(r->silence_ms, SILENCE_MS),
        .slots = or_default(r->copies_mib, COPIES_MIB) * (1u << 20) / XHA_PAGE_BYTES,
    };
    enum xha_refusal refusal = XHA_REFUSAL_OTHER;
    char err[XHA_ANSWER_TEXT];

    xha_job_progress(STDOUT_FILENO, "connecting", 0, 1);
    if (xha_talk_connect(&s->talk, &s->wire, err, sizeof(err)) == 0 &&
        xha_talk_offer(&s->talk, s->wire, &s->hello, s->config_json, &refusal, err, sizeof(err)) == 0 &&
        xha_out_agree(s->wire, &wanted, xha_now_ms() + AGREE_MS, &s->terms, err, sizeof(err)) == 0)
        return 0;
    xha_work_refuse(w, refusal, "%s has no backup and runs on: %s", w->who, err);
    return -1;
}

/* ---- libxc's loop ---- */

static int ended(struct sender *s, const char *why)
{
    if (s->why[0] == '\0')
        snprintf(s->why, sizeof(s->why), "%s", why);
    return 0;
}

static int on_suspend(void *arg)
{
    struct sender *s = arg;

    s->asked_us = now_us();
    if (libxl_domain_suspend_only(s->w->lx.ctx, s->domid, NULL))
        return ended(s, xha_lx_error(&s->w->lx));
    s->suspended_us = now_us();
    return 1;
}

static int on_precopy(struct precopy_stats stats, void *arg)
{
    const struct sender *s = arg;
    const bool few = stats.dirty_count >= 0 && stats.dirty_count < PRECOPY_DIRTY;

    if (xha_work_stop(s->w))
        return XGS_POLICY_ABORT;
    return stats.iteration >= PRECOPY_ROUNDS || few ? XGS_POLICY_STOP_AND_COPY : XGS_POLICY_CONTINUE_PRECOPY;
}

/* All pages are in the pipe, or out of it already: the guest runs on. */
static int on_copied(void *arg)
{
    struct sender *s = arg;

    s->copied_us = now_us();
    if (libxl_domain_resume(s->w->lx.ctx, s->domid, 1, NULL))
        return ended(s, xha_lx_error(&s->w->lx));
    s->resumed_us = now_us();
    return 1;
}

static int put_record(struct sender *s, uint32_t type)
{
    const uint32_t record[2] = { htole32(type), 0 };

    return xha_write_all(s->stream_fd, record, sizeof(record));
}

/* When the scan for changed pages was over and the first one came; on a busy host that is noticed late. */
static int64_t first_page_us(const struct sender *s, const struct xha_out_epoch *e)
{
    return e->began_us < s->suspended_us ? s->suspended_us
           : e->began_us > s->copied_us  ? s->copied_us
                                         : e->began_us;
}

static void tell(const struct sender *s, const struct xha_out_epoch *e)
{
    const int64_t first_us = first_page_us(s, e);
    const struct xha_job_epoch line = {
        .number = e->seen.epoch,
        .pages = e->seen.pages[XHA_PAGE_ZERO] + e->seen.pages[XHA_PAGE_SAME] + e->seen.pages[XHA_PAGE_DELTA] +
                 e->seen.pages[XHA_PAGE_LITERAL],
        .raw_bytes = e->seen.raw_bytes,
        .sent_bytes = e->seen.sent_bytes,
        .suspend_us = s->suspended_us - s->asked_us,
        .scan_us = first_us - s->suspended_us,
        .copy_us = s->copied_us - first_us,
        .resume_us = s->resumed_us - s->copied_us,
        .commit_us = e->acked_us - s->resumed_us,
        .interval_us = xha_interval_us(&s->interval),
    };

    xha_job_tell_epoch(STDOUT_FILENO, &line);
}

/* The guest runs: the epoch ends, the backup has to say that it holds it, and then the interval passes. */
static int on_checkpoint(void *arg)
{
    struct sender *s = arg;
    struct xha_out_epoch epoch;
    char err[XHA_ANSWER_TEXT];

    if (put_record(s, XL_CHECKPOINT_END) < 0 ||
        xha_out_await(s->out, s->epoch, &epoch, err, sizeof(err)) < 0) {
        if (xha_out_rest(s->out, 0, err, sizeof(err)) < 0)
            return ended(s, err);
        return ended(s, "the stream cannot be written");
    }
    xha_interval_epoch(&s->interval, s->resumed_us - s->asked_us);
    tell(s, &epoch);
    s->epoch++;
    if (xha_out_rest(s->out, s->resumed_us + xha_interval_us(&s->interval), err, sizeof(err)) < 0)
        return ended(s, err);
    return xha_work_stop(s->w) ? ended(s, "told to stop") : 1;
}

/* For libxc, which wants it for guests without a device model, too. */
static int on_logdirty(uint32_t domid, unsigned enable, void *arg)
{
    (void)domid;
    (void)enable;
    (void)arg;
    return 0;
}

static int put_header(struct sender *s)
{
    const uint32_t header[4] = { htobe32(0x4c696278), htobe32(0x6c466d74), htobe32(2), 0 };

    return xha_write_all(s->stream_fd, header, sizeof(header)) < 0 ? -1 : put_record(s, XL_LIBXC_CONTEXT);
}

/* Until it ends, for the reason in why. */
static void loop(struct sender *s)
{
    struct save_callbacks callbacks = {
        .suspend = on_suspend,
        .precopy_policy = on_precopy,
        .postcopy = on_copied,
        .checkpoint = on_checkpoint,
        .switch_qemu_logdirty = on_logdirty,
        .data = s,
    };
    xc_interface *xch = xc_interface_open(&s->w->lx.log, &s->w->lx.log, 0);
    char err[XHA_ANSWER_TEXT];

    if (!xch) {
        ended(s, "libxc cannot be opened");
        return;
    }
    xha_lx_forget(&s->w->lx);
    s->w->lx.quiet = true;
    if (put_header(s) == 0)
        xc_domain_save(xch, s->stream_fd, s->domid, XCFLAGS_LIVE, &callbacks, XC_STREAM_REMUS, -1);
    if (xha_out_rest(s->out, 0, err, sizeof(err)) < 0) /* what libxc says comes from this */
        ended(s, err);
    ended(s, xha_work_stop(s->w) ? "told to stop" : xha_lx_error(&s->w->lx));
    xc_interface_close(xch);
}

/* ---- after ---- */

static void answer(struct sender *s, const struct xha_out_stats *stats)
{
    struct xha_work *w = s->w;
    const bool still_asked = s->asked_us > s->suspended_us; /* and may do it yet */

    xha_suspend_end_log(s->domid);
    if (xha_suspend_undo(w, s->domid, still_asked ? SETTLE_MS : 0) < 0)
        xha_work_unknown(w, "%s is not replicated any more (%s) and may stand still: %s", w->who, s->why,
                         xha_lx_error(&w->lx));
    else
        xha_work_refuse(w, XHA_REFUSAL_OTHER,
                        "%s is not replicated any more: %s; epoch %" PRIu64 " is the last", w->who, s->why,
                        stats->acked);
    w->done.data =
        json_pack("{s:I, s:I, s:I, s:I, s:b}", "epoch", (json_int_t)stats->acked, "wire_bytes",
                  (json_int_t)stats->wire_bytes, "tank_bytes", (json_int_t)stats->tank.bytes_most,
                  "copies_bytes", (json_int_t)stats->shadow.bytes, "asked", xha_work_told_to_stop());
}

static void replicate(struct sender *s)
{
    struct xha_work *w = s->w;
    const struct xha_job_replica *r = &w->job.replica;
    const struct xha_interval_conf conf = {
        .min_us = (int64_t)or_default(r->interval_min_ms, INTERVAL_MIN_MS) * 1000,
        .max_us = (int64_t)or_default(r->interval_max_ms, INTERVAL_MAX_MS) * 1000,
        .max_pause_permille = or_default(r->max_pause_permille, PAUSE_PERMILLE),
    };
    const struct xha_out_plan plan = {
        .wire = s->wire,
        .terms = s->terms,
        .tank_bytes = (uint64_t)or_default(r->held_mib, HELD_MIB) << 20,
    };
    struct xha_out_stats stats;

    if (conf.min_us > conf.max_us) {
        xha_work_refuse(w, XHA_REFUSAL_UNSUPPORTED,
                        "%s is not replicated: the shortest interval is the longer one", w->who);
        return;
    }
    xha_interval_init(&s->interval, &conf);
    if (xha_out_start(&plan, &s->out, &s->stream_fd) < 0) {
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s is not replicated: %s", w->who, strerror(errno));
        return;
    }
    xha_job_progress(STDOUT_FILENO, "synchronising", 0, 1);
    s->epoch = 1;
    loop(s);
    xha_out_finish(s->out, &stats);
    xha_wire_free(xha_steal_ptr(s->wire)); /* the backup learns it by this */
    answer(s, &stats);
}

void xha_perform_replicate_out(struct xha_work *w)
{
    struct sender s = {
        .w = w,
        .talk = { .job = &w->job, .until_ms = w->until_ms, .stop = { .asked = xha_work_stop, .arg = w } },
    };

    if (look(&s) == 0 && meet(&s) == 0)
        replicate(&s);
    xha_wire_free(s.wire);
    free(s.config_json);
}

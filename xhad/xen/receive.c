/*
 * receive.c - the verb receive: the target of a move.
 *
 * OK means: all that the source sent is here, compared with its trailer, restored and paused. Anything else
 * leaves nothing behind. Whether the domain then runs or is destroyed is an order of the cluster's.
 */
#include "xhad/xen/bring_up.h"
#include "xhad/xen/domain_config.h"
#include "xhad/xen/sched.h"
#include "xhad/xen/work.h"
#include "xhad/base/cleanup.h"
#include "xhad/move/talk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct target {
    struct xha_work *w;
    struct xha_talk talk;
    struct xha_wire *wire;
    struct xha_hello hello;
    libxl_domain_config config;
};

/* 0, or -1 after answering: it cannot be taken. */
static int look(struct target *t)
{
    struct xha_work *w = t->w;
    XHA_CLEANUP_FREE char *json = NULL;
    char err[256];

    json = xha_talk_config(&t->talk, t->wire, err, sizeof(err));
    if (!json || xha_config_from_json(w, "what the sender sent", json, &t->config, err, sizeof(err)) < 0) {
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s is not taken: %s", w->who, err);
        return -1;
    }
    return xha_bring_up_prepare(w, &t->config);
}

static void finish(struct target *t, uint32_t domid, const struct xha_received *received, int64_t ms)
{
    struct xha_work *w = t->w;
    char err[256];

    if (xha_sched_apply(w, domid, &t->config, err, sizeof(err)) < 0)
        xha_work_warn(w, "scheduling is not as the policy says: %s", err);
    if (xha_work_stop(w)) {
        xha_bring_up_failed(w, "received");
        return;
    }
    w->done.domid = (int32_t)domid;
    xha_work_ok(w,
                "%s is here whole and paused, domain id %" PRIu32 ": %" PRIu64 " KiB for %" PRIu64
                " KiB in %" PRId64 " ms",
                w->who, domid, received->wire_bytes / 1024, received->raw_bytes / 1024, ms);
    w->done.data = json_pack("{s:I, s:I, s:I}", "wire_bytes", (json_int_t)received->wire_bytes, "raw_bytes",
                             (json_int_t)received->raw_bytes, "ms", (json_int_t)ms);
}

static void take(struct target *t)
{
    struct xha_work *w = t->w;
    const int64_t began_ms = xha_now_ms();
    libxl_domain_restore_params params;
    uint32_t domid = INVALID_DOMID;
    struct xha_received received;
    struct xha_receive *receive;
    int fd, rc;

    if (xha_receive_start(t->wire, t->hello.memory_kib * 1024, STDOUT_FILENO, &receive, &fd) < 0) {
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s is not taken: %s", w->who, strerror(errno));
        return;
    }
    w->lx.quiet = true;
    libxl_domain_restore_params_init(&params);
    params.stream_version = 2;
    rc = libxl_domain_create_restore(w->lx.ctx, &t->config, &domid, fd, -1, &params, NULL, NULL);
    libxl_domain_restore_params_dispose(&params);
    xha_receive_finish(receive, rc == 0, &received);
    if (received.error[0] != '\0') /* what libxl says comes from this */
        snprintf(w->lx.error, sizeof(w->lx.error), "%.200s", received.error);
    if (rc || !received.complete)
        xha_bring_up_failed(w, "received");
    else
        finish(t, domid, &received, xha_now_ms() - began_ms);
}

void xha_perform_receive(struct xha_work *w)
{
    struct target t = {
        .w = w,
        .talk = { .job = &w->job, .until_ms = w->until_ms, .stop = { .asked = xha_work_stop, .arg = w } },
    };
    char err[256];

    if (xha_talk_accept(&t.talk, XHA_HELLO_DOMAIN, STDOUT_FILENO, &t.wire, &t.hello, err, sizeof(err)) < 0) {
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s did not arrive: %s", w->who, err);
        return;
    }
    libxl_domain_config_init(&t.config);
    if (look(&t) == 0) {
        xha_talk_answer(&t.talk, t.wire, XHA_ANSWER_READY, XHA_REFUSAL_OTHER, "");
        take(&t);
    }
    xha_talk_answer(&t.talk, t.wire, w->done.result == XHA_OK ? XHA_ANSWER_DONE : XHA_ANSWER_REFUSED,
                    w->done.refusal, w->done.message);
    libxl_domain_config_dispose(&t.config);
    xha_wire_free(t.wire);
}

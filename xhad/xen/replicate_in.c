/*
 * replicate_in.c - the verb replicate-in: the backup of a replicated domain.
 *
 * libxl restores it from a pipe that stays open, epoch by epoch, until somebody orders: SIGUSR1 promotes, SIGTERM
 * discards. No end of the link and no silence does either. Promoted it is paused, as a domain that was moved is.
 */
#include "xhad/xen/bring_up.h"
#include "xhad/xen/domain_config.h"
#include "xhad/xen/sched.h"
#include "xhad/xen/work.h"
#include "xhad/base/cleanup.h"
#include "xhad/move/talk.h"
#include "xhad/repl/in.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define AGREE_MS   10000
#define TELL_MS    500
#define ORDER_MS   20
#define COPIES_MIB 256
#define HELD_MIB   256

struct backup {
    struct xha_work *w;
    struct xha_talk talk;
    struct xha_wire *wire;
    struct xha_hello hello;
    struct xha_terms terms;
    libxl_domain_config config;
    struct xha_in *in;
    pthread_t orders;
    atomic_bool restored; /* libxl is done: no order matters any more */
    int64_t told_ms;
};

static volatile sig_atomic_t told_to_promote;

static void on_sigusr1(int sig)
{
    (void)sig;
    told_to_promote = 1;
}

/* 0, or -1 after answering: it cannot be taken. */
static int look(struct backup *b)
{
    struct xha_work *w = b->w;
    XHA_CLEANUP_FREE char *json = NULL;
    char err[256];

    json = xha_talk_config(&b->talk, b->wire, err, sizeof(err));
    if (!json || xha_config_from_json(w, "what the sender sent", json, &b->config, err, sizeof(err)) < 0) {
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s is not taken: %s", w->who, err);
        return -1;
    }
    return xha_bring_up_prepare(w, &b->config);
}

/* 0, or -1 after answering. */
static int agree(struct backup *b)
{
    const struct xha_job_replica *r = &b->w->job.replica;
    const struct xha_terms limits = {
        .slots = (r->copies_mib ? r->copies_mib : COPIES_MIB) * ((1u << 20) / XHA_PAGE_BYTES),
        .held_bytes = (uint64_t)(r->held_mib ? r->held_mib : HELD_MIB) << 20,
    };
    char err[XHA_ANSWER_TEXT];

    xha_talk_answer(&b->talk, b->wire, XHA_ANSWER_READY, XHA_REFUSAL_OTHER, "");
    if (xha_in_agree(b->wire, &limits, xha_now_ms() + AGREE_MS, &b->terms, err, sizeof(err)) == 0)
        return 0;
    xha_work_refuse(b->w, XHA_REFUSAL_OTHER, "%s is not taken: %s", b->w->who, err);
    return -1;
}

/* ---- while it is fed ---- */

/* "epoch": the last whole one of none that is known in advance; "alone": the sender is gone after that one. */
static void tell(void *arg, const struct xha_in_state *state)
{
    struct backup *b = arg;
    const int64_t now = xha_now_ms();

    if (!state->linked) {
        fprintf(stderr, "the link is gone: %s\n", state->error);
        xha_job_progress(STDOUT_FILENO, "alone", state->store.epoch, state->store.epoch);
    } else if (state->store.epoch == 1 || now - b->told_ms >= TELL_MS) {
        xha_job_progress(STDOUT_FILENO, "epoch", state->store.epoch, state->store.epoch);
        b->told_ms = now;
    }
}

/* Passes the orders on; a handler may not do it. */
static void *heed_orders(void *arg)
{
    struct backup *b = arg;

    while (!atomic_load(&b->restored)) {
        if (told_to_promote)
            xha_in_promote(b->in);
        else if (xha_work_stop(b->w))
            xha_in_discard(b->in);
        poll(NULL, 0, ORDER_MS);
    }
    return NULL;
}

static void finish(struct backup *b, uint32_t domid, const struct xha_in_state *state)
{
    struct xha_work *w = b->w;
    char err[256];

    if (xha_sched_apply(w, domid, &b->config, err, sizeof(err)) < 0)
        xha_work_warn(w, "scheduling is not as the policy says: %s", err);
    w->done.domid = (int32_t)domid;
    xha_work_ok(w, "%s is here and paused, domain id %" PRIu32 ", as of epoch %" PRIu64, w->who, domid,
                state->store.epoch);
    w->done.data =
        json_pack("{s:I, s:I, s:I}", "epoch", (json_int_t)state->store.epoch, "wire_bytes",
                  (json_int_t)state->wire_bytes, "memory_bytes", (json_int_t)state->store.bytes_most);
}

/* libxl returns when the stream ends, by an order, or when it cannot go on. */
static void restore(struct backup *b, int fd)
{
    struct xha_work *w = b->w;
    libxl_domain_restore_params params;
    struct xha_in_state state;
    uint32_t domid = INVALID_DOMID;
    bool promoted;
    int rc;

    w->lx.quiet = true;
    libxl_domain_restore_params_init(&params);
    params.stream_version = 2;
    params.checkpointed_stream = LIBXL_CHECKPOINTED_STREAM_REMUS;
    rc = libxl_domain_create_restore(w->lx.ctx, &b->config, &domid, fd, -1, &params, NULL, NULL);
    libxl_domain_restore_params_dispose(&params);
    atomic_store(&b->restored, true);
    pthread_join(b->orders, NULL);
    xha_in_finish(b->in, &promoted, &state);
    if (rc == 0 && promoted) {
        finish(b, domid, &state);
        return;
    }
    if (!promoted) /* what libxl says comes from this */
        snprintf(w->lx.error, sizeof(w->lx.error), "%.200s",
                 state.error[0] != '\0' ? state.error : "the backup was discarded");
    xha_bring_up_failed(w, "kept as a backup");
}

static void keep(struct backup *b)
{
    const struct xha_in_plan plan = { .wire = b->wire, .terms = b->terms, .tell = tell, .arg = b };
    struct xha_in_state state;
    bool promoted;
    int fd, r;

    if (xha_in_start(&plan, &b->in, &fd) < 0) {
        xha_work_refuse(b->w, XHA_REFUSAL_OTHER, "%s is not taken: %s", b->w->who, strerror(errno));
        return;
    }
    r = pthread_create(&b->orders, NULL, heed_orders, b);
    if (r == 0) {
        restore(b, fd);
        return;
    }
    xha_in_finish(b->in, &promoted, &state);
    xha_work_refuse(b->w, XHA_REFUSAL_OTHER, "%s is not taken: %s", b->w->who, strerror(r));
}

void xha_perform_replicate_in(struct xha_work *w)
{
    struct backup b = {
        .w = w,
        .talk = { .job = &w->job, .until_ms = w->until_ms, .stop = { .asked = xha_work_stop, .arg = w } },
    };
    char err[256];

    sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = on_sigusr1, .sa_flags = SA_RESTART }, NULL);
    if (xha_talk_accept(&b.talk, XHA_HELLO_REPLICA, STDOUT_FILENO, &b.wire, &b.hello, err, sizeof(err)) < 0) {
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s did not arrive: %s", w->who, err);
        return;
    }
    libxl_domain_config_init(&b.config);
    if (look(&b) < 0)
        xha_talk_answer(&b.talk, b.wire, XHA_ANSWER_REFUSED, w->done.refusal, w->done.message);
    else if (agree(&b) == 0)
        keep(&b);
    libxl_domain_config_dispose(&b.config);
    xha_wire_free(b.wire);
}

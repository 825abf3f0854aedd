/*
 * replicate_in.c - the verb replicate-in: the backup of a replicated domain.
 *
 * libxl restores it from a pipe that stays open, epoch by epoch, until somebody orders: SIGUSR1 promotes, SIGTERM
 * discards. No end of the link and no silence does either; they are told, for others to decide. Promoted it runs, and
 * is announced.
 */
#include "xhad/xen/announce_guest.h"
#include "xhad/xen/bring_up.h"
#include "xhad/xen/domain_config.h"
#include "xhad/xen/replicate_disks.h"
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

#define AGREE_MS    10000
#define EPOCH_MS    500  /* between lines of epochs */
#define TELL_MS     2000 /* between lines of a state that goes on: xhad may be another one by now */
#define ORDER_MS    20
#define SILENCES    3 /* of the sender's, until we take it for gone: it has to decide first */
#define ANNOUNCED   3 /* times, since frames get lost */
#define ANNOUNCE_MS 60
#define COPIES_MIB  256
#define HELD_MIB    256

struct backup {
    struct xha_work *w;
    struct xha_talk talk;
    struct xha_wire *wire;
    struct xha_hello hello;
    struct xha_terms terms;
    libxl_domain_config config;
    struct xha_gate_in *disks; /* NULL: none is gated */
    struct xha_in_beside beside;
    struct xha_in *in;
    pthread_t orders;
    atomic_bool restored; /* libxl is done: no order matters any more */
    atomic_bool silent;
    atomic_ullong epoch; /* the last whole one */
    int64_t epoch_ms, told_ms;
};

static volatile sig_atomic_t told_to_promote;

static void on_sigusr1(int sig)
{
    (void)sig;
    told_to_promote = 1;
}

/* Those that are gated, whether the sender makes use of that or not. 0, or -1 with a text in err. */
static int open_disks(struct backup *b, char *err, size_t err_len)
{
    const libxl_device_disk *other;
    struct xha_gate_disks disks;

    if (xha_disks_gated(&b->config, &disks, &other, err, err_len) < 0)
        return -1;
    if (disks.n == 0)
        return 0;
    if (xha_gate_in_open(XHA_GATE_SOCKETS, &disks, &b->disks, err, err_len) < 0)
        return -1;
    b->beside = xha_disks_in_beside(b->disks);
    return 0;
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
    if (open_disks(b, err, sizeof(err)) < 0) {
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

/* Of a state that goes on: at once, and again and again. */
static void tell_state(struct backup *b, const char *state, uint64_t number)
{
    const int64_t now = xha_now_ms();

    if (now - b->told_ms < TELL_MS)
        return;
    xha_job_progress(STDOUT_FILENO, state, number, number);
    b->told_ms = now;
}

static void tell_epoch(void *arg, const struct xha_in_state *state)
{
    struct backup *b = arg;
    const int64_t now = xha_now_ms();

    atomic_store(&b->epoch, state->store.epoch);
    if (!state->linked) {
        fprintf(stderr, "the link is gone: %s\n", state->error);
        atomic_store(&b->silent, true);
    } else if (state->store.epoch == 1 || now - b->epoch_ms >= EPOCH_MS) {
        xha_job_progress(STDOUT_FILENO, "epoch", state->store.epoch, state->store.epoch);
        b->epoch_ms = now;
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
        else if (atomic_load(&b->silent))
            tell_state(b, "silent", atomic_load(&b->epoch));
        poll(NULL, 0, ORDER_MS);
    }
    return NULL;
}

static unsigned announce(struct backup *b, uint32_t domid)
{
    unsigned frames = xha_announce_guest(b->w, domid, &b->config);

    for (int i = 1; i < ANNOUNCED && frames > 0; i++) {
        poll(NULL, 0, ANNOUNCE_MS);
        frames += xha_announce_guest(b->w, domid, &b->config);
    }
    return frames;
}

/* It is whole, and paused. It runs before anything else is done. */
static void go_on(struct backup *b, uint32_t domid, const struct xha_in_state *state)
{
    struct xha_work *w = b->w;
    unsigned frames;
    char err[256];

    xha_lx_forget(&w->lx);
    if (b->disks && xha_gate_in_is_used(b->disks) &&
        xha_gate_in_promote(b->disks, state->store.epoch, err, sizeof(err)) < 0) {
        snprintf(w->lx.error, sizeof(w->lx.error), "%.200s", err);
        xha_bring_up_failed(w, "promoted");
        return;
    }
    if (libxl_domain_unpause(w->lx.ctx, domid, NULL)) {
        xha_bring_up_failed(w, "unpaused");
        return;
    }
    frames = announce(b, domid);
    if (xha_sched_apply(w, domid, &b->config, err, sizeof(err)) < 0)
        xha_work_warn(w, "scheduling is not as the policy says: %s", err);
    w->done.domid = (int32_t)domid;
    xha_work_ok(w, "%s runs here, domain id %" PRIu32 ", as of epoch %" PRIu64, w->who, domid,
                state->store.epoch);
    w->done.data = json_pack("{s:I, s:I, s:I, s:I}", "epoch", (json_int_t)state->store.epoch, "wire_bytes",
                             (json_int_t)state->wire_bytes, "memory_bytes",
                             (json_int_t)state->store.bytes_most, "announced", (json_int_t)frames);
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
        go_on(b, domid, &state);
        return;
    }
    if (!promoted) /* what libxl says comes from this */
        snprintf(w->lx.error, sizeof(w->lx.error), "%.200s",
                 state.error[0] != '\0' ? state.error : "the backup was discarded");
    xha_bring_up_failed(w, "kept as a backup");
}

static void keep(struct backup *b)
{
    const uint32_t own_ms = b->w->job.replica.silence_ms;
    const struct xha_in_plan plan = {
        .wire = b->wire,
        .beside = b->disks ? &b->beside : NULL,
        .terms = b->terms,
        .silence_ms = own_ms ? own_ms : SILENCES * b->terms.silence_ms,
        .tell = tell_epoch,
        .arg = b,
    };
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
    xha_gate_in_close(b.disks);
    libxl_domain_config_dispose(&b.config);
    xha_wire_free(b.wire);
}

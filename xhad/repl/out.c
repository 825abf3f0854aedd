/*
 * out.c - see out.h.
 */
#include "xhad/repl/out.h"
#include "xhad/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TICK_MS     100
#define TELL_MS     500
#define PIPE_BYTES  (1 << 20)
#define PASS_BYTES  (256u << 10) /* of what goes beside, before the memory has its turn again */
#define QUEUE_BYTES (1u << 20)   /* on the wire at most, so that what is said does not grow old there */

struct xha_out {
    struct xha_out_plan plan;
    pthread_t thread;
    int read_fd, write_fd;
    atomic_bool finish;
    struct xha_tank *tank;
    struct xha_epoch_sender *sender;
    uint8_t *frame;
    size_t end_len;       /* of the END in frame, which waits for what goes beside; 0: none */
    int64_t began_us;     /* the epoch under way; 0: none */
    uint64_t sent;        /* the last epoch whose END was queued */
    uint64_t sent_before; /* bytes on the wire */
    int64_t told_us;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t change;
    uint64_t acked;
    struct xha_out_epoch epochs[XHA_OUT_EPOCHS];
    char error[XHA_ANSWER_TEXT]; /* "": all is well */
};

/* ---- before ---- */

int xha_out_agree(struct xha_wire *wire, const struct xha_terms *wanted, int64_t until_ms,
                  struct xha_terms *terms_r, char *err, size_t err_len)
{
    uint8_t bytes[XHA_TERMS_BYTES];
    struct xha_frame frame;

    xha_terms_put(wanted, bytes);
    if (xha_wire_put(wire, XHA_FRAME_TERMS, bytes, sizeof(bytes), NULL, 0) < 0 ||
        xha_wire_await(wire, until_ms, &frame) < 0) {
        snprintf(err, err_len, "%s", xha_wire_error(wire));
        return -1;
    }
    if (frame.type == XHA_FRAME_TERMS)
        return xha_terms_get(frame.bytes, frame.len, terms_r, err, err_len);
    snprintf(err, err_len, "the backup does not say on which terms");
    return -1;
}

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int fail(struct xha_out *o, const char *why)
{
    pthread_mutex_lock(&o->lock);
    if (o->error[0] == '\0')
        snprintf(o->error, sizeof(o->error), "%s", why);
    pthread_cond_broadcast(&o->change);
    pthread_mutex_unlock(&o->lock);
    return -1;
}

/* ---- from the pipe into the tank ---- */

/* All that is there. 0: the pipe is empty, or the tank is full; -1: it has ended, or failed. */
static int drain(struct xha_out *o)
{
    const uint8_t *bytes;
    uint8_t *room;
    size_t len;

    while ((room = xha_tank_room(o->tank, &len))) {
        const ssize_t n = read(o->read_fd, room, len);

        if (n > 0) {
            if (o->began_us == 0 && xha_tank_next(o->tank, &bytes) == 0)
                o->began_us = now_us();
            xha_tank_filled(o->tank, (size_t)n);
        } else if (n == 0) {
            return fail(o, "the stream of the domain has ended");
        } else if (errno == EAGAIN) {
            return 0;
        } else if (errno != EINTR) {
            return fail(o, strerror(errno));
        }
    }
    return 0;
}

/* ---- from the tank to the wire ---- */

static void note_end(struct xha_out *o)
{
    struct xha_out_epoch epoch = {
        .seen = xha_epoch_seen(o->sender),
        .began_us = o->began_us,
        .ended_us = now_us(),
    };

    o->began_us = 0;
    o->sent = epoch.seen.epoch;
    pthread_mutex_lock(&o->lock);
    o->epochs[o->sent % XHA_OUT_EPOCHS] = epoch;
    pthread_mutex_unlock(&o->lock);
}

/* Queues the END, if all of the epoch that goes beside went before it. */
static int put_end(struct xha_out *o)
{
    const struct xha_out_beside *beside = o->plan.beside;

    if (beside && !beside->has_passed(beside->arg, xha_epoch_seen(o->sender).epoch))
        return 0;
    if (xha_wire_put(o->plan.wire, XHA_FRAME_EPOCH_END, o->frame, o->end_len, NULL, 0) < 0)
        return fail(o, xha_wire_error(o->plan.wire));
    o->end_len = 0;
    note_end(o);
    return 0;
}

/* Queues the frames that are due. */
static int put_frames(struct xha_out *o)
{
    enum xha_epoch_frame type;
    size_t len;

    while ((type = xha_epoch_take(o->sender, false, o->frame, &len)) != XHA_EPOCH_NOTHING) {
        if (type == XHA_EPOCH_END) {
            o->end_len = len;
            return put_end(o);
        }
        if (xha_wire_put(o->plan.wire, XHA_FRAME_EPOCH_PIECE, o->frame, len, NULL, 0) < 0)
            return fail(o, xha_wire_error(o->plan.wire));
    }
    return 0;
}

/* ---- what goes beside ---- */

static int put_beside(void *arg, const void *payload, size_t len)
{
    struct xha_out *o = arg;

    return xha_wire_put(o->plan.wire, XHA_FRAME_REPL_DISK, payload, len, NULL, 0);
}

static int pass(struct xha_out *o)
{
    const struct xha_out_beside *beside = o->plan.beside;
    char err[160];

    if (beside && beside->pass(beside->arg, PASS_BYTES, put_beside, o, err, sizeof(err)) < 0)
        return fail(o, err);
    return o->end_len > 0 ? put_end(o) : 0;
}

/* Packs up to a piece of what is in the tank. */
static int pack(struct xha_out *o)
{
    const uint8_t *bytes;
    const size_t len = xha_tank_next(o->tank, &bytes);
    char err[160];
    int64_t took;

    if (len == 0 || o->end_len > 0)
        return 0;
    if (o->began_us == 0)
        o->began_us = now_us();
    took = xha_epoch_feed(o->sender, bytes, len, err, sizeof(err));
    if (took < 0)
        return fail(o, err);
    xha_tank_took(o->tank, (size_t)took);
    return put_frames(o);
}

/* ---- what the backup says ---- */

static int take_ack(struct xha_out *o, const struct xha_frame *frame)
{
    uint64_t epoch;

    if (xha_epoch_ack_get(frame->bytes, frame->len, &epoch) < 0 || epoch <= o->acked || epoch > o->sent)
        return fail(o, "the backup acknowledged what was not sent");
    pthread_mutex_lock(&o->lock);
    o->acked = epoch;
    o->epochs[epoch % XHA_OUT_EPOCHS].acked_us = now_us();
    pthread_cond_broadcast(&o->change);
    pthread_mutex_unlock(&o->lock);
    return 0;
}

static int listen_to(struct xha_out *o)
{
    struct xha_frame frame;
    struct xha_answer answer;
    char err[160];
    int got;

    while ((got = xha_wire_get(o->plan.wire, &frame)) > 0) {
        if (frame.type == XHA_FRAME_EPOCH_ACK) {
            if (take_ack(o, &frame) < 0)
                return -1;
        } else if (frame.type == XHA_FRAME_REPL_DISK && o->plan.beside) {
            if (o->plan.beside->hear(o->plan.beside->arg, frame.bytes, frame.len, err, sizeof(err)) < 0)
                return fail(o, err);
        } else if (xha_answer_get(&frame, &answer) == 0 && answer.kind == XHA_ANSWER_REFUSED) {
            return fail(o, answer.text);
        } else {
            return fail(o, "the backup spoke out of turn");
        }
    }
    return got < 0 ? fail(o, xha_wire_error(o->plan.wire)) : 0;
}

/* ---- the thread ---- */

static void tell(struct xha_out *o)
{
    const struct xha_epoch_seen seen = xha_epoch_seen(o->sender);
    const int64_t now = now_us();
    struct xha_out_told told = { .acked = o->acked,
                                 .wire_bytes = xha_wire_sent(o->plan.wire) - o->sent_before };

    if (!o->plan.tell || now - o->told_us < TELL_MS * 1000)
        return;
    for (int kind = 0; kind < XHA_PAGE_KIND_N_; kind++)
        told.pages += seen.pages[kind];
    o->plan.tell(o->plan.arg, &told);
    o->told_us = now;
}

static int turn(struct xha_out *o)
{
    struct xha_also beside = { .fd = -1, .events = POLLIN };
    struct xha_also stream = { .fd = -1, .events = POLLIN, .next = &beside };
    const uint8_t *bytes;
    size_t len;
    bool busy;

    if (drain(o) < 0)
        return -1;
    if (xha_wire_queued(o->plan.wire) < QUEUE_BYTES && (pass(o) < 0 || pack(o) < 0))
        return -1;
    busy =
        xha_tank_next(o->tank, &bytes) > 0 && xha_wire_queued(o->plan.wire) < QUEUE_BYTES && o->end_len == 0;
    if (o->plan.beside && xha_wire_queued(o->plan.wire) < QUEUE_BYTES)
        beside.fd = o->plan.beside->fd;
    if (xha_tank_room(o->tank, &len))
        stream.fd = o->read_fd;
    if (xha_wire_pump(o->plan.wire, busy ? 0 : TICK_MS, &stream) < 0) {
        if (listen_to(o) == 0) /* first what it said last */
            fail(o, xha_wire_error(o->plan.wire));
        return -1;
    }
    return listen_to(o);
}

static void *run(void *arg)
{
    struct xha_out *o = arg;

    while (!atomic_load(&o->finish) && turn(o) == 0)
        tell(o);
    close(xha_steal_fd(&o->read_fd)); /* whoever writes the stream learns it by this */
    return NULL;
}

/* ---- from outside ---- */

static void out_free(struct xha_out *o)
{
    if (o->read_fd >= 0)
        close(o->read_fd);
    if (o->write_fd >= 0)
        close(o->write_fd);
    xha_epoch_sender_free(o->sender);
    xha_tank_free(o->tank);
    free(o->frame);
    pthread_mutex_destroy(&o->lock);
    pthread_cond_destroy(&o->change);
    free(o);
}

static void init_lock(struct xha_out *o)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&o->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&o->change, &attr);
    pthread_condattr_destroy(&attr);
}

static int prepare(struct xha_out *o)
{
    int fds[2];

    o->tank = xha_tank_new(o->plan.tank_bytes);
    o->sender = xha_epoch_sender_new(o->plan.terms.slots);
    o->frame = malloc(XHA_PIECE_BYTES_MAX);
    if (!o->tank || !o->sender || !o->frame) {
        errno = ENOMEM;
        return -1;
    }
    o->sent_before = xha_wire_sent(o->plan.wire);
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -1;
    o->read_fd = fds[0];
    o->write_fd = fds[1];
    (void)fcntl(o->write_fd, F_SETPIPE_SZ, PIPE_BYTES); /* fewer turns; not a must */
    xha_wire_pace(o->plan.wire, o->plan.terms.silence_ms);
    return fcntl(o->read_fd, F_SETFL, O_NONBLOCK);
}

int xha_out_start(const struct xha_out_plan *plan, struct xha_out **out_r, int *stream_fd_r)
{
    struct xha_out *o = calloc(1, sizeof(*o));
    sigset_t all, before;
    int r;

    if (!o)
        return -1;
    o->plan = *plan;
    o->read_fd = o->write_fd = -1;
    init_lock(o);
    r = prepare(o) < 0 ? errno : 0;
    if (r == 0) {
        sigfillset(&all); /* signals are the main thread's */
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_create(&o->thread, NULL, run, o);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    if (r != 0) {
        out_free(o);
        errno = r;
        return -1;
    }
    *out_r = o;
    *stream_fd_r = o->write_fd;
    return 0;
}

int xha_out_await(struct xha_out *out, uint64_t epoch, struct xha_out_epoch *epoch_r, char *err,
                  size_t err_len)
{
    int rc;

    pthread_mutex_lock(&out->lock);
    while (out->acked < epoch && out->error[0] == '\0') /* the wire asks for stop, and fails then */
        pthread_cond_wait(&out->change, &out->lock);
    rc = out->acked >= epoch ? 0 : -1;
    if (rc == 0)
        *epoch_r = out->epochs[epoch % XHA_OUT_EPOCHS];
    else
        snprintf(err, err_len, "%s", out->error);
    pthread_mutex_unlock(&out->lock);
    return rc;
}

int xha_out_rest(struct xha_out *out, int64_t until_us, char *err, size_t err_len)
{
    const struct timespec until = { .tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000 };
    int r = 0, rc;

    pthread_mutex_lock(&out->lock);
    while (out->error[0] == '\0' && r != ETIMEDOUT)
        r = pthread_cond_timedwait(&out->change, &out->lock, &until);
    rc = out->error[0] == '\0' ? 0 : -1;
    if (rc < 0)
        snprintf(err, err_len, "%s", out->error);
    pthread_mutex_unlock(&out->lock);
    return rc;
}

void xha_out_finish(struct xha_out *out, struct xha_out_stats *stats_r)
{
    close(xha_steal_fd(&out->write_fd));
    atomic_store(&out->finish, true);
    pthread_join(out->thread, NULL);
    *stats_r = (struct xha_out_stats){
        .acked = out->acked,
        .wire_bytes = xha_wire_sent(out->plan.wire) - out->sent_before,
        .tank = xha_tank_stats(out->tank),
        .shadow = xha_epoch_seen(out->sender).shadow,
    };
    out_free(out);
}

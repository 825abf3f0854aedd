/*
 * in.c - see in.h.
 */
#include "xhad/repl/in.h"
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
#include <sys/eventfd.h>
#include <unistd.h>

#define TICK_MS    20   /* while the reader is waited for, an order does not wake the thread */
#define IDLE_MS    1000 /* the wire waits as its pulse wants */
#define PIPE_BYTES (1 << 20)

enum order { NO_ORDER, PROMOTE, DISCARD, FINISH };

struct xha_in {
    struct xha_in_plan plan;
    pthread_t thread;
    int read_fd, write_fd;
    int wake_fd; /* readable from the order on */
    atomic_int order;
    struct xha_store *store;
    uint64_t received_before;
    uint64_t acked; /* the last epoch that was acknowledged */
    bool handed_on; /* all, after PROMOTE */
    struct xha_in_state state;
};

/* ---- before ---- */

int xha_in_agree(struct xha_wire *wire, const struct xha_terms *limits, int64_t until_ms,
                 struct xha_terms *terms_r, char *err, size_t err_len)
{
    uint8_t bytes[XHA_TERMS_BYTES];
    struct xha_frame frame;
    struct xha_terms wanted;

    if (xha_wire_await(wire, until_ms, &frame) < 0) {
        snprintf(err, err_len, "%s", xha_wire_error(wire));
        return -1;
    }
    if (frame.type != XHA_FRAME_TERMS) {
        snprintf(err, err_len, "the sender does not say on which terms");
        return -1;
    }
    if (xha_terms_get(frame.bytes, frame.len, &wanted, err, err_len) < 0)
        return -1;
    *terms_r = xha_terms_grant(&wanted, limits);
    xha_terms_put(terms_r, bytes);
    if (xha_wire_put(wire, XHA_FRAME_TERMS, bytes, sizeof(bytes), NULL, 0) == 0)
        return 0;
    snprintf(err, err_len, "%s", xha_wire_error(wire));
    return -1;
}

static void tell(struct xha_in *in)
{
    in->state.store = xha_store_stats(in->store);
    in->state.wire_bytes = xha_wire_received(in->plan.wire) - in->received_before;
    if (in->plan.tell)
        in->plan.tell(in->plan.arg, &in->state);
}

/* The link is of no more use; what is whole stays. */
static void unlink_from(struct xha_in *in, const char *why)
{
    struct xha_answer answer = { .kind = XHA_ANSWER_REFUSED, .refusal = XHA_REFUSAL_OTHER };
    uint8_t bytes[XHA_ANSWER_BYTES_MAX];

    in->state.linked = false;
    snprintf(in->state.error, sizeof(in->state.error), "%s", why);
    snprintf(answer.text, sizeof(answer.text), "%s", why);
    if (xha_wire_put(in->plan.wire, XHA_FRAME_ANSWER, bytes, xha_answer_put(&answer, bytes), NULL, 0) == 0)
        xha_wire_breathe(in->plan.wire); /* for a sender that can still hear it */
    xha_store_close(in->store);
    tell(in);
}

/* ---- from the wire into the store ---- */

static int acknowledge(struct xha_in *in, uint64_t epoch)
{
    uint8_t ack[XHA_ACK_BYTES];

    xha_epoch_ack_put(epoch, ack);
    if (xha_wire_put(in->plan.wire, XHA_FRAME_EPOCH_ACK, ack, sizeof(ack), NULL, 0) < 0)
        return -1;
    xha_wire_breathe(in->plan.wire); /* the guest's output waits for it */
    tell(in);
    return 0;
}

/* An epoch of memory is whole: it is acknowledged, but if something goes beside, when that is held, too. */
static int take_epoch(struct xha_in *in, uint64_t epoch, char *err, size_t err_len)
{
    const struct xha_in_beside *beside = in->plan.beside;

    if (beside && beside->is_used(beside->arg))
        return beside->hold(beside->arg, epoch, err, err_len);
    in->acked = epoch;
    if (acknowledge(in, epoch) == 0)
        return 0;
    snprintf(err, err_len, "%s", xha_wire_error(in->plan.wire));
    return -1;
}

static int take_frame(struct xha_in *in, const struct xha_frame *frame, char *err, size_t err_len)
{
    const struct xha_in_beside *beside = in->plan.beside;
    uint64_t epoch;

    if (frame->type == XHA_FRAME_REPL_DISK && beside)
        return beside->hear(beside->arg, frame->bytes, frame->len, err, err_len);
    if (frame->type == XHA_FRAME_EPOCH_PIECE)
        return xha_store_piece(in->store, frame->bytes, frame->len, err, err_len);
    if (frame->type != XHA_FRAME_EPOCH_END) {
        snprintf(err, err_len, "the sender spoke out of turn");
        return -1;
    }
    if (xha_store_end(in->store, frame->bytes, frame->len, &epoch, err, err_len) < 0)
        return -1;
    return take_epoch(in, epoch, err, err_len);
}

/* ---- what goes beside ---- */

static int put_beside(void *arg, const void *payload, size_t len)
{
    struct xha_in *in = arg;

    return xha_wire_put(in->plan.wire, XHA_FRAME_REPL_DISK, payload, len, NULL, 0);
}

static void turn_beside(struct xha_in *in)
{
    const struct xha_in_beside *beside = in->plan.beside;
    char err[XHA_ANSWER_TEXT];
    uint64_t held;

    if (!beside || !in->state.linked)
        return;
    if (beside->turn(beside->arg, put_beside, in, &held, err, sizeof(err)) < 0) {
        unlink_from(in, err);
    } else if (held > in->acked) {
        in->acked = held;
        if (acknowledge(in, held) < 0)
            unlink_from(in, xha_wire_error(in->plan.wire));
    }
}

static bool has_room(struct xha_in *in)
{
    const struct xha_in_beside *beside = in->plan.beside;

    return xha_store_has_room(in->store) && (!beside || beside->has_room(beside->arg));
}

/* What has come, as long as there is room for it. */
static void take_frames(struct xha_in *in)
{
    struct xha_frame frame;
    char err[XHA_ANSWER_TEXT];
    int got;

    while (in->state.linked && has_room(in) && (got = xha_wire_get(in->plan.wire, &frame)) != 0) {
        if (got < 0)
            unlink_from(in, xha_wire_error(in->plan.wire));
        else if (take_frame(in, &frame, err, sizeof(err)) < 0)
            unlink_from(in, err);
    }
}

/* ---- from the store into the pipe ---- */

/* As much as the reader takes now. -1: it takes no more at all, and there will be no backup. */
static int hand_on(struct xha_in *in)
{
    const uint8_t *bytes;
    size_t len;

    while ((len = xha_store_next(in->store, &bytes)) > 0) {
        const ssize_t n = write(in->write_fd, bytes, len);

        if (n >= 0) {
            xha_store_took(in->store, (size_t)n);
        } else if (errno == EAGAIN) {
            return 0;
        } else if (errno != EINTR) {
            if (in->state.linked)
                unlink_from(in, "the backup cannot be restored");
            return -1;
        }
    }
    return 0;
}

/* ---- the thread ---- */

/* Waits for the link, for the reader if it is to take something, else for an order. */
static void wait_for_work(struct xha_in *in)
{
    const uint8_t *bytes;
    const bool writes = xha_store_next(in->store, &bytes) > 0;
    struct xha_also beside = { .fd = in->plan.beside ? in->plan.beside->fd : -1, .events = POLLIN };
    struct xha_also also = { .fd = writes ? in->write_fd : in->wake_fd,
                             .events = writes ? POLLOUT : POLLIN,
                             .next = &beside };
    struct pollfd p = { .fd = also.fd, .events = also.events };
    const int wait_ms = writes ? TICK_MS : IDLE_MS;

    if (!in->state.linked)
        poll(&p, 1, wait_ms);
    else if (xha_wire_pump(in->plan.wire, wait_ms, &also) < 0) {
        take_frames(in); /* first what it said last */
        if (in->state.linked)
            unlink_from(in, xha_wire_error(in->plan.wire));
    }
}

/* 1: the stream has ended as it should; -1: it is of no use any more. */
static int turn(struct xha_in *in)
{
    const uint8_t *bytes;

    switch ((enum order)atomic_load(&in->order)) {
    case DISCARD:
    case FINISH:
        return -1;
    case PROMOTE:
        if (in->state.linked)
            unlink_from(in, "the backup was promoted");
        if (xha_store_next(in->store, &bytes) == 0)
            return 1;
        break;
    case NO_ORDER:
        break;
    }
    wait_for_work(in);
    take_frames(in);
    turn_beside(in);
    return hand_on(in);
}

static void *run(void *arg)
{
    struct xha_in *in = arg;
    int r;

    while ((r = turn(in)) == 0)
        ;
    in->handed_on = r > 0;
    close(xha_steal_fd(&in->write_fd));
    return NULL;
}

/* ---- from outside ---- */

static void in_free(struct xha_in *in)
{
    if (in->read_fd >= 0)
        close(in->read_fd);
    if (in->write_fd >= 0)
        close(in->write_fd);
    if (in->wake_fd >= 0)
        close(in->wake_fd);
    xha_store_free(in->store);
    free(in);
}

static int prepare(struct xha_in *in)
{
    const struct xha_store_limits limits = { .slots = in->plan.terms.slots,
                                             .held_bytes = in->plan.terms.held_bytes };
    int fds[2];

    in->store = xha_store_new(&limits);
    in->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!in->store || in->wake_fd < 0 || pipe2(fds, O_CLOEXEC) < 0)
        return -1;
    in->read_fd = fds[0];
    in->write_fd = fds[1];
    (void)fcntl(in->write_fd, F_SETPIPE_SZ, PIPE_BYTES);
    in->state.linked = true;
    in->received_before = xha_wire_received(in->plan.wire);
    xha_wire_pace(in->plan.wire, in->plan.terms.silence_ms);
    if (in->plan.silence_ms > in->plan.terms.silence_ms)
        xha_wire_bear(in->plan.wire, in->plan.silence_ms);
    return fcntl(in->write_fd, F_SETFL, O_NONBLOCK);
}

int xha_in_start(const struct xha_in_plan *plan, struct xha_in **in_r, int *stream_fd_r)
{
    struct xha_in *in = calloc(1, sizeof(*in));
    sigset_t all, before;
    int r;

    if (!in)
        return -1;
    in->plan = *plan;
    in->read_fd = in->write_fd = in->wake_fd = -1;
    r = prepare(in) < 0 ? errno : 0;
    if (r == 0) {
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_create(&in->thread, NULL, run, in);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    if (r != 0) {
        in_free(in);
        errno = r;
        return -1;
    }
    *in_r = in;
    *stream_fd_r = in->read_fd;
    return 0;
}

static void order(struct xha_in *in, enum order what)
{
    int none = NO_ORDER;

    atomic_compare_exchange_strong(&in->order, &none, (int)what);
    eventfd_write(in->wake_fd, 1);
}

void xha_in_promote(struct xha_in *in)
{
    order(in, PROMOTE);
}

void xha_in_discard(struct xha_in *in)
{
    order(in, DISCARD);
}

void xha_in_finish(struct xha_in *in, bool *promoted_r, struct xha_in_state *state_r)
{
    close(xha_steal_fd(&in->read_fd)); /* a thread that writes on learns it by this */
    order(in, FINISH);
    pthread_join(in->thread, NULL);
    in->state.store = xha_store_stats(in->store);
    *promoted_r = in->handed_on && in->state.store.epoch > 0;
    *state_r = in->state;
    in_free(in);
}

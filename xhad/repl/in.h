/*
 * in.h - the thread between the link from a domain's host and the pipe that libxl restores the backup from.
 *
 * It takes epochs (store.h), acknowledges each that is here whole, and writes them into the pipe, which stays
 * open: who ends it decides that the domain lives here. Nothing is promoted by a link that breaks; then the
 * thread waits for the order, one or the other. From start to finish the wire belongs to it.
 */
#ifndef XHA_REPL_IN_H
#define XHA_REPL_IN_H

#include "xhad/move/wire.h"
#include "xhad/repl/beside.h"
#include "xhad/repl/store.h"
#include "xhad/repl/terms.h"

/* After our READY: waits for what the sender would like, and grants of it what limits allow. 0, or -1 with a text. */
int xha_in_agree(struct xha_wire *wire, const struct xha_terms *limits, int64_t until_ms,
                 struct xha_terms *terms_r, char *err, size_t err_len);

struct xha_in_state {
    bool linked;                 /* the sender is there */
    char error[XHA_ANSWER_TEXT]; /* why it is not; "" while it is */
    uint64_t wire_bytes;
    struct xha_store_stats store;
};

struct xha_in_plan {
    struct xha_wire *wire;
    const struct xha_in_beside *beside; /* stays the caller's; NULL: nothing */
    struct xha_terms terms;             /* as granted */
    uint32_t
        silence_ms; /* of the sender, until it counts as gone; at least that of the terms, by which we speak */
    /* From the thread: after each epoch that became whole, and when the link is gone. NULL: nobody asks. */
    void (*tell)(void *arg, const struct xha_in_state *state);
    void *arg;
};

struct xha_in;

/* stream_fd_r: where the stream can be read. 0, or -1 with errno. */
int xha_in_start(const struct xha_in_plan *plan, struct xha_in **in_r, int *stream_fd_r);

/*
 * Orders, from any thread; the first one counts. Promote: takes nothing more, hands the whole epochs on and ends
 * the stream behind them. Discard: ends it at once, wherever it is; what libxl makes of it is to be destroyed.
 */
void xha_in_promote(struct xha_in *in);
void xha_in_discard(struct xha_in *in);

/*
 * libxl is done with the stream: closes stream_fd, ends the thread, and frees. promoted_r: that was ordered, and
 * all of the last whole epoch, of which there is one, was handed on.
 */
void xha_in_finish(struct xha_in *in, bool *promoted_r, struct xha_in_state *state_r);

#endif

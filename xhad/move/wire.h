/*
 * wire.h - frames over a link, in both directions at once and without blocking: whoever owns a wire pumps it.
 *
 * One thread at a time. A wire says ALIVE by itself when it is pumped and has nothing else to say, and fails
 * when its peer has said nothing for the peer's time, so that a peer that hangs is noticed like one that is
 * gone.
 */
#ifndef XHA_MOVE_WIRE_H
#define XHA_MOVE_WIRE_H

#include "xhad/move/frame.h"
#include "xhad/move/link.h"

#define XHA_PEER_TIMEOUT_MS 10000 /* where nothing else is said */

struct xha_wire;

/* Owns the link, also when it fails (NULL: out of memory). stop is copied. */
struct xha_wire *xha_wire_new(struct xha_link *link, int64_t peer_timeout_ms, const struct xha_stop *stop);
void xha_wire_free(struct xha_wire *wire);

/* Queues a frame whose payload is a and then b (both may be empty). 0, or -1 with a text in xha_wire_error().
 */
int xha_wire_put(struct xha_wire *wire, enum xha_frame_type type, const void *a, size_t a_len, const void *b,
                 size_t b_len);
size_t xha_wire_queued(const struct xha_wire *wire); /* bytes not yet sent */

/* Another descriptor to wait for. */
struct xha_also {
    int fd; /* -1: none */
    short events;
    bool ready;
    struct xha_also *next; /* NULL: that was all; XHA_ALSO_MAX of them */
};
#define XHA_ALSO_MAX 2

/*
 * Sends and receives what can be, waiting at most wait_ms for something to do; also may be NULL. 0, or -1
 * with a text in xha_wire_error().
 */
int xha_wire_pump(struct xha_wire *wire, int wait_ms, struct xha_also *also);

/* From now on the peer may be silent for so long: it is busy with what cannot be interrupted. */
void xha_wire_bear(struct xha_wire *wire, int64_t silence_ms);

/* From now on silence is noticed after so long, and broken by us eight times in it. */
void xha_wire_pace(struct xha_wire *wire, int64_t peer_timeout_ms);

/* Only sends, without waiting: for whoever is at work on the frame it got last. Errors show at the next pump.
 */
void xha_wire_breathe(struct xha_wire *wire);

bool xha_wire_stopped(const struct xha_wire *wire); /* stop was asked for */

/* The next frame received: 1, 0: none, -1 with a text. Good until the next get or pump. */
int xha_wire_get(struct xha_wire *wire, struct xha_frame *frame_r);

/* Pumps until all is sent, or until a frame is there. 0, or -1 with a text, also when until_ms is over. */
int xha_wire_flush(struct xha_wire *wire, int64_t until_ms);
int xha_wire_await(struct xha_wire *wire, int64_t until_ms, struct xha_frame *frame_r);

bool xha_wire_failed(const struct xha_wire *wire);
const char *xha_wire_error(const struct xha_wire *wire);
uint64_t xha_wire_sent(const struct xha_wire *wire); /* bytes, inside TLS */
uint64_t xha_wire_received(const struct xha_wire *wire);
const struct xha_link *xha_wire_link(const struct xha_wire *wire);

#endif

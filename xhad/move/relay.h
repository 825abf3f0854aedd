/*
 * relay.h - the two threads that stand between a stream and a wire: one reads what libxl writes, filters,
 * packs and sends it; the other receives, unpacks and writes what libxl reads.
 *
 * From start to finish the wire belongs to the thread. stop is asked from it.
 */
#ifndef XHA_MOVE_RELAY_H
#define XHA_MOVE_RELAY_H

#include "xhad/base/job.h"
#include "xhad/move/chunk.h"
#include "xhad/move/wire.h"

/* ---- sending ---- */

struct xha_send_plan {
    struct xha_wire *wire;
    enum xha_codec codec;
    uint64_t limit_bps;   /* bytes a second on the wire; 0: none */
    uint64_t total_pages; /* of the guest, for the progress; 0: not known */
    int progress_fd;      /* for progress lines; -1: none */
};

struct xha_sent {
    uint64_t raw_bytes, wire_bytes;
    uint64_t pages, zero_pages;
    uint32_t rounds;
    bool understood; /* the stream was one that is known */
    struct xha_trailer trailer;
    bool refused;                /* by the receiver, for the reason in error */
    enum xha_refusal refusal;    /* with refused */
    char error[XHA_ANSWER_TEXT]; /* "": every byte up to the end is on the way */
};

struct xha_send;

/* stream_fd_r: where the stream is to be written; whoever writes there sees EPIPE when sending has failed. 0,
 * or -1 with errno. */
int xha_send_start(const struct xha_send_plan *plan, struct xha_send **send_r, int *stream_fd_r);

/* The stream has ended: closes stream_fd, waits until all of it is sent, and frees. The trailer is not sent. */
void xha_send_finish(struct xha_send *send, struct xha_sent *sent_r);

/* ---- receiving ---- */

struct xha_received {
    uint64_t raw_bytes, wire_bytes;
    bool complete;               /* the trailer came and agrees with what was received */
    char error[XHA_ANSWER_TEXT]; /* what went wrong on the way; "": nothing, or the reader gave up first */
};

struct xha_receive;

/* stream_fd_r: where the stream can be read; it ends early when something is wrong. 0, or -1 with errno. */
int xha_receive_start(struct xha_wire *wire, uint64_t total_bytes, int progress_fd,
                      struct xha_receive **receive_r, int *stream_fd_r);

/* Whoever reads is done, well or not: closes stream_fd, waits for the trailer if it was well, and frees. */
void xha_receive_finish(struct xha_receive *receive, bool well, struct xha_received *received_r);

#endif

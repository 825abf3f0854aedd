/*
 * epoch.h - the sender's side of replication: makes frames of what a save pipe yields, epoch by epoch. Pure.
 *
 * Frames, little-endian, in the order in which they are sent:
 *   PIECE  u64 epoch, u32 number in the epoch, u32 runs, u32 bytes of text, u32 the same, packed (window.h);
 *          runs × { u32 bytes of text before them, u32 pages }; the text, packed; the pages, a batch (codec.h)
 *   END    u64 epoch, u32 pieces, u32 zero, u64 bytes of the stream, u64 pages, u64 sum: all of it was said
 * The receiver answers END with ACK, u64 epoch, once it holds the whole epoch and has checked it. The sum is
 * the batches' chain, over all texts and runs as well.
 *
 * Epochs count from 1. The first is the whole guest: nothing of it is kept as copies, since most of it never
 * changes again; and it may be handed on while it arrives, since before its end there is nothing to promote.
 */
#ifndef XHA_REPL_EPOCH_H
#define XHA_REPL_EPOCH_H

#include "xhad/repl/codec.h"
#include "xhad/repl/reader.h"
#include "xhad/repl/window.h"

#define XHA_PIECE_HEADER   24
#define XHA_PIECE_RUNS_MAX XHA_BATCH_PAGES
#define XHA_PIECE_BYTES_MAX                                                                                  \
    (XHA_PIECE_HEADER + 8 * XHA_PIECE_RUNS_MAX + XHA_WINDOW_PACKED_MAX + XHA_BATCH_BYTES_MAX)
#define XHA_END_BYTES 40
#define XHA_ACK_BYTES 8

struct xha_epoch_sender;

/* slots: pages that are kept at most, on both sides. NULL: errno. */
struct xha_epoch_sender *xha_epoch_sender_new(uint32_t slots);
void xha_epoch_sender_free(struct xha_epoch_sender *sender);

/*
 * Takes bytes of the stream until frames are due; returns how many it took. -1 with a text in err: the stream
 * is not understood, and nothing more can be sent of it.
 */
int64_t xha_epoch_feed(struct xha_epoch_sender *sender, const uint8_t *bytes, size_t len, char *err,
                       size_t err_len);

enum xha_epoch_frame { XHA_EPOCH_NOTHING, XHA_EPOCH_PIECE, XHA_EPOCH_END };

/*
 * Writes the next frame that is due to out (XHA_PIECE_BYTES_MAX bytes), with its length. early: also what could
 * wait for more, for a link that has nothing else to do.
 */
enum xha_epoch_frame xha_epoch_take(struct xha_epoch_sender *sender, bool early, uint8_t *out, size_t *len_r);

/* Of the epoch under way; when its END has been taken, of that one until more is fed. */
struct xha_epoch_seen {
    uint64_t epoch;
    uint64_t raw_bytes, sent_bytes; /* sent: payloads of frames */
    uint64_t pages[XHA_PAGE_KIND_N_];
    struct xha_shadow_stats shadow;
};

struct xha_epoch_seen xha_epoch_seen(const struct xha_epoch_sender *sender);

/* ---- what END and ACK say ---- */

struct xha_epoch_end {
    uint64_t epoch, raw_bytes, pages, sum;
    uint32_t pieces;
};

void xha_epoch_end_put(const struct xha_epoch_end *end, uint8_t bytes[XHA_END_BYTES]);
int xha_epoch_end_get(const uint8_t *bytes, size_t len, struct xha_epoch_end *end_r);
void xha_epoch_ack_put(uint64_t epoch, uint8_t bytes[XHA_ACK_BYTES]);
int xha_epoch_ack_get(const uint8_t *bytes, size_t len, uint64_t *epoch_r);

#endif

/*
 * store.h - the receiver's side of replication: makes epochs of the frames (epoch.h), and hands on those that
 * are whole, byte for byte as the stream that went in. Pure, and bounded in memory.
 *
 * The first epoch is handed on while it arrives, piece by checked piece: it may be as large as the guest, and
 * a restore whose stream breaks off in it leaves no domain. From then on what is handed on is always a whole
 * number of epochs, so that the stream can be ended at any time, and the guest goes on from the last of them.
 */
#ifndef XHA_REPL_STORE_H
#define XHA_REPL_STORE_H

#include "xhad/repl/epoch.h"

struct xha_store;

struct xha_store_limits {
    uint32_t slots;      /* pages kept for deltas, as the sender was told */
    uint64_t held_bytes; /* of epochs: the one that is coming and those not yet handed on */
};

/* NULL: errno. */
struct xha_store *xha_store_new(const struct xha_store_limits *limits);
void xha_store_free(struct xha_store *store);

/* Whether the next frame should be taken now: false while what is to be handed on fills half of the memory. */
bool xha_store_has_room(const struct xha_store *store);

/* A frame of hostile bytes. 0, or -1 with a text in err; then nothing more can be taken. */
int xha_store_piece(struct xha_store *store, const uint8_t *bytes, size_t len, char *err, size_t err_len);
/* The same; on 0 the epoch is here whole and checked, and is to be acknowledged. */
int xha_store_end(struct xha_store *store, const uint8_t *bytes, size_t len, uint64_t *epoch_r, char *err,
                  size_t err_len);

/* The connection is gone, or the backup is to be promoted: what is not whole is discarded, and no more comes. */
void xha_store_close(struct xha_store *store);

/* Bytes to be handed on next; 0: none now. They stay until they are taken off. */
size_t xha_store_next(const struct xha_store *store, const uint8_t **bytes_r);
void xha_store_took(struct xha_store *store, size_t len);

struct xha_store_stats {
    uint64_t epoch;             /* the last whole one; 0: none */
    uint64_t bytes, bytes_most; /* memory now, with the slots, and the most that it has been */
    uint64_t slot_bytes;
    uint64_t waiting; /* bytes of the stream that are to be handed on */
};

struct xha_store_stats xha_store_stats(const struct xha_store *store);

#endif

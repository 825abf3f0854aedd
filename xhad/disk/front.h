/*
 * front.h - a disk that a guest writes to: every write is noted in the map, done here, and told to the backup.
 *
 * Reads and flushes concern only this host's copy: what the guest learns of them leaves the host only with its
 * epoch, as everything does. Writes that overlap are done one after the other, so that both copies see them in one order;
 * each belongs to the epoch in which it was answered, or to an earlier one.
 *
 * From any thread, but for xha_front_feed().
 */
#ifndef XHA_DISK_FRONT_H
#define XHA_DISK_FRONT_H

#include <stdbool.h>
#include "xhad/disk/meta.h"

struct xha_front;

struct xha_front_conf {
    int disk_fd;
    struct xha_meta_file *file; /* whoever has this has the right to serve it: role current or protected */
    int64_t sweep_ms;           /* a bit outlives its epoch's commit by as much, or twice that; 0: 5000 */
};

struct xha_front *xha_front_new(const struct xha_front_conf *conf);
void xha_front_free(struct xha_front *front); /* no feed and no writer may be left */

/* 0, or -1 with errno: EROFS, this copy is not the disk. */
int xha_front_write(struct xha_front *front, const void *data, uint32_t len, uint64_t offset, bool fua);
int xha_front_zero(struct xha_front *front, uint32_t len, uint64_t offset, bool fua);

/* Whether this copy may be written by a guest, from now on. If not, waits for writers that are under way, and for the
 * feed to end. */
void xha_front_serve(struct xha_front *front, bool serve);

/*
 * A backup's copy behind a socket: brings it up to date and keeps it so, until the socket ends, or a newer one comes;
 * owns fd.
 */
void xha_front_feed(struct xha_front *front, int fd);

/* The epoch ends here: what is answered from now on belongs to the next. -1: no backup is fed (EPIPE). */
int xha_front_barrier(struct xha_front *front, uint64_t epoch);
/* The backup holds the epoch. */
void xha_front_commit(struct xha_front *front, uint64_t epoch);

/* Protection ended in order: this copy is the disk. 0, or -1 with errno. */
int xha_front_end(struct xha_front *front);

/* Breaks the feed, and waits until it has ended. */
void xha_front_hang_up(struct xha_front *front);

struct xha_front_status {
    enum { XHA_FRONT_ALONE, XHA_FRONT_SYNCING, XHA_FRONT_SYNCED } mode;
    bool serves;
    uint64_t epoch, committed;        /* of the pair */
    uint64_t dirty_bytes;             /* that may differ from the other copy */
    uint64_t todo_bytes, total_bytes; /* of syncing */
    char error[160];                  /* why the last feed ended; "" */
};

void xha_front_status(struct xha_front *front, struct xha_front_status *status_r);

#endif

/*
 * front_internal.h - between front.c, which writes, and front_feed.c, which feeds the backup.
 */
#ifndef XHA_DISK_FRONT_INTERNAL_H
#define XHA_DISK_FRONT_INTERNAL_H

#include "xhad/disk/feed.h"
#include "xhad/disk/front.h"

/* A part of the disk that somebody is at work on; on the worker's stack. */
struct range {
    struct range *next;
    uint64_t offset, len;
};

struct xha_front {
    struct xha_front_conf conf;
    pthread_mutex_t lock; /* of all that follows, and of the state and its map */
    pthread_cond_t change;
    struct range *ranges;
    unsigned writers, telling; /* under way; in xha_feed_put() */
    bool serves, fed;          /* fed: a thread is in xha_front_feed() */
    struct xha_front_status status;
    struct xha_feed *any;    /* of whoever is in xha_front_feed(), to break it by */
    struct xha_feed *feed;   /* NULL unless status.mode says otherwise */
    struct xha_map *to_sync; /* while syncing */
    uint64_t feeds;          /* so many there were */
    uint64_t base_epoch;     /* of the disk, as of which it was synced */
    uint64_t sweepable;      /* committed, as of the last sweep */
    int64_t swept_ms;
    bool have; /* the backup has it all, as of base_epoch */
    pthread_t sweeper;
    bool sweeps, quit; /* sweeps: it is told to */
};

/* With the lock held. */
void front_take_range(struct xha_front *front, struct range *range);
void front_drop_range(struct xha_front *front, struct range *range);

/* With the lock held: the backup is lost, and no bit goes any more. */
void front_alone(struct xha_front *front, const char *why);

#endif

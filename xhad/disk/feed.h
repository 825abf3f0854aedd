/*
 * feed.h - words over a stream socket: out by a thread from a bounded queue, in by whoever asks.
 *
 * Whoever has something to say waits while the queue is full; a peer that takes nothing for long breaks the feed, and
 * then nobody waits: a guest's disk never hangs for a sender that does.
 */
#ifndef XHA_DISK_FEED_H
#define XHA_DISK_FEED_H

#include <pthread.h>
#include <stdbool.h>
#include "xhad/disk/word.h"

#define XHA_FEED_QUEUE_BYTES (16u << 20)

struct xha_feed;

/* Owns fd. lock is the caller's, and held by it whenever it puts. NULL: no memory, or no thread; fd stays open. */
struct xha_feed *xha_feed_new(int fd, pthread_mutex_t *lock, int patience_s);

/* Nothing that is queued is sent any more; nobody waits in it. lock must not be held. */
void xha_feed_free(struct xha_feed *feed);

/*
 * With the lock held, which is let go of while the queue is full; not for words without data, which nothing may
 * overtake. Queues a copy; nothing when it is broken.
 */
void xha_feed_put(struct xha_feed *feed, const struct xha_word *word, const void *data);

/* With the lock held: from now on it is broken, and whoever waits goes on. */
void xha_feed_break(struct xha_feed *feed);
bool xha_feed_is_broken(const struct xha_feed *feed);

/* The next word, data in a buffer of XHA_WORD_DATA_MAX. Without the lock. 0, or -1: none comes any more. */
int xha_feed_get(struct xha_feed *feed, struct xha_word *word_r, uint8_t *data);

#endif

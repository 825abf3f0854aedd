/*
 * beats.h - xenstore for the observer, behind threads of its own, so that a stuck xenstored stalls neither
 * the listings nor xhad.
 *
 * One thread reads a batch of heartbeats at a time, and before them writes and reads back a key of our own:
 * the canary, which tells "the guest does not beat" from "xenstored is ill". Another thread waits for domains
 * that come or go. Both open xenstore again when the connection breaks.
 */
#ifndef XHA_XEN_BEATS_H
#define XHA_XEN_BEATS_H

#include "xhad/base/observe.h"

#define XHA_BEATS_CANARY "/tool/xhad/canary"

/* One heartbeat to read. */
struct xha_beat_ask {
    size_t index; /* the asker's own: which domain of its listing */
    int32_t domid;
    char key[XHA_OBS_KEY_MAX];
    /* the answer */
    bool read;  /* the key was read, or is not there */
    bool valid; /* ... and held a number */
    uint64_t beat;
};

struct xha_beat_batch {
    struct xha_beat_ask *ask;
    size_t n, room;
    /* the answer */
    bool canary_ok;
    uint32_t failed; /* reads that failed for another reason than "no such key" */
    uint32_t ops;    /* xenstore requests made */
};

struct xha_beats;

/* Starts the threads. 0, or -1 with errno. They live as long as the process. */
int xha_beats_start(struct xha_beats **beats_r);
/* Readable when the batch is answered; xha_beats_take() clears it. */
int xha_beats_done_fd(const struct xha_beats *beats);
/* Readable after a domain came or went, many at once as one; xha_beats_clear_change() clears it. */
int xha_beats_change_fd(const struct xha_beats *beats);
void xha_beats_clear_change(struct xha_beats *beats);

/* The batch to fill in, or NULL while the last one is still being worked on: xenstored is slow or stuck. */
struct xha_beat_batch *xha_beats_batch(struct xha_beats *beats);
/* Hands the batch over. */
void xha_beats_ask(struct xha_beats *beats);
/* The answered batch, valid until the next xha_beats_ask(); NULL: not yet. */
const struct xha_beat_batch *xha_beats_take(struct xha_beats *beats);

/* Room for n asks in a batch; 0, or -1 without memory. */
int xha_beat_batch_room(struct xha_beat_batch *batch, size_t n);

#endif

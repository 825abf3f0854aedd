/*
 * observer.h - the process that watches the hypervisor for us: started, listened to, started again.
 *
 * It is a child of xhad and goes when xhad goes. When it dies, or has been silent for too long, it is started
 * again, with a growing pause; nothing is told to the core in between.
 */
#ifndef XHA_CTL_OBSERVER_H
#define XHA_CTL_OBSERVER_H

#include <uv.h>
#include "xhad/base/observe.h"

struct xha_observer;

struct xha_observer_ops {
    void (*up)(void *user); /* a new one runs: tell it what to track */
    void (*down)(void *user, const char *why,
                 unsigned in_a_row); /* it is gone; so many times without a round */
    void (*told)(void *user, const struct xha_obs *obs);
};

struct xha_observer *xha_observer_new(uv_loop_t *loop, const struct xha_observer_ops *ops, void *user);

/* Starts it. helper stays the caller's and must live until _set_helper() or _close(). */
void xha_observer_start(struct xha_observer *o, const char *helper, struct xha_span round_interval);
/* The same program at another place in memory: the settings were read again. */
void xha_observer_set_helper(struct xha_observer *o, const char *helper);
void xha_observer_set_interval(struct xha_observer *o, struct xha_span round_interval);

/* Messages to it; without an observer they are dropped: _up() comes with the next one. */
void xha_observer_track(struct xha_observer *o, const struct xha_uuid *uuid, bool beats);
void xha_observer_untrack(struct xha_observer *o, const struct xha_uuid *uuid);
void xha_observer_look(struct xha_observer *o);
void xha_observer_probe(struct xha_observer *o, const struct xha_uuid *uuid, int32_t domid);

/* What it said of the hypervisor: "" before that. */
const char *xha_observer_version(const struct xha_observer *o);
const char *xha_observer_scheduler(const struct xha_observer *o);

/* Ends it; the loop must run once more before _free(). */
void xha_observer_close(struct xha_observer *o);
void xha_observer_free(struct xha_observer *o);

#endif

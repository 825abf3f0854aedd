/*
 * tracked.h - the domains whose heartbeat the observer reads, sorted by UUID. Pure.
 */
#ifndef XHA_XEN_TRACKED_H
#define XHA_XEN_TRACKED_H

#include "xhad/base/observe.h"

struct xha_tracked {
    struct xha_uuid uuid;
    char key[XHA_OBS_KEY_MAX]; /* below /local/domain/N/; "": none wanted */
};

struct xha_tracked_set {
    struct xha_tracked *v;
    size_t n, room;
};

/* Adds a domain, or changes its key. 0, or -1 without memory (nothing is changed then). */
int xha_tracked_put(struct xha_tracked_set *set, const struct xha_uuid *uuid, const char *key);
/* No-op for a domain that is not there. */
void xha_tracked_drop(struct xha_tracked_set *set, const struct xha_uuid *uuid);
/* NULL: not tracked. Valid until the next change. */
const struct xha_tracked *xha_tracked_find(const struct xha_tracked_set *set, const struct xha_uuid *uuid);
void xha_tracked_free(struct xha_tracked_set *set);

#endif

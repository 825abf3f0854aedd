/*
 * fence_device.h - one fence device at work: its delay, its tries, and the proof that it is off.
 */
#ifndef XHA_CLUSTER_FENCE_DEVICE_H
#define XHA_CLUSTER_FENCE_DEVICE_H

#include <uv.h>
#include "xhad/base/fence_conf.h"
#include "xhad/cluster/fence_meta.h"

#define XHA_FENCE_TEXT_MAX 600
#define XHA_FENCE_PAUSE_MS 1000  /* between two tries */
#define XHA_FENCE_META_MS  10000 /* an agent says within that what it is */

/* What agents have said of themselves; zero-initialise, xha_fence_known_clear(). */
struct xha_fence_known {
    struct {
        char *agent;
        struct xha_fence_meta *meta;
    } * entry;
    size_t n;
};

const struct xha_fence_meta *xha_fence_known_find(const struct xha_fence_known *known, const char *agent);
/* From its output; 0, or -1: it is not understood (or no memory). */
int xha_fence_known_add(struct xha_fence_known *known, const char *agent, const char *xml, size_t len);
void xha_fence_known_clear(struct xha_fence_known *known);

enum xha_device_task {
    XHA_DEVICE_OFF, /* off, and proven to be; with delay and retries */
    XHA_DEVICE_ON,
    XHA_DEVICE_ASK, /* would it work? Touches nothing */
};

struct xha_device_run;

struct xha_device_ops {
    /* The end, once. The run may be freed with xha_device_free() from here on. */
    void (*done)(void *user, const struct xha_fence_device *d, bool ok, const char *text);
    void (*said)(void *user, const char *text);
};

/* device and known stay the caller's and must outlive the run. NULL: no memory. Calls back only from the loop. */
struct xha_device_run *xha_device_start(uv_loop_t *loop, const struct xha_fence_device *device,
                                        struct xha_fence_known *known, enum xha_device_task task,
                                        const struct xha_device_ops *ops, void *user);

/* Ends it if it is at work, without done(); the memory goes when the loop has run. */
void xha_device_free(struct xha_device_run *run);

/* The longest that XHA_DEVICE_OFF takes. */
struct xha_span xha_device_longest(const struct xha_fence_device *device);

#endif

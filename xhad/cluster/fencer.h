/*
 * fencer.h - powers hosts off, by the standard fence agents.
 *
 * An agent is run without arguments and told `name=value` lines on its standard input. A host is fenced when
 * every device of one of its levels has said so: the agent's action=off ended with 0 (also when it was off
 * already), and its action=status, where it has one, says off (exit status 2). An error, a timeout or an
 * answer that is not understood is never a success. A device whose action is reboot is switched on again
 * after the whole level is known to be off; that this fails is told, and changes nothing: the host is fenced.
 *
 * Agents run in process groups of their own, which are killed at the timeout, at a cancel and at the close.
 * What they say is kept as escaped text, without the passwords they were given. All callbacks come from the
 * loop, none from within a call of these functions.
 */
#ifndef XHA_CLUSTER_FENCER_H
#define XHA_CLUSTER_FENCER_H

#include <uv.h>
#include "xhad/base/fence_conf.h"

struct xha_fencer;

enum xha_fence_result {
    XHA_FENCE_OK,        /* the host is off, or was and is on its way up again */
    XHA_FENCE_FAILED,    /* nothing is known of the host; all levels were tried */
    XHA_FENCE_CANCELLED, /* by xha_fencer_cancel() or _close(): nothing is known of the host */
};

enum {
    XHA_FENCER_OK = 0,
    XHA_FENCER_E_NODEVICE = -1, /* no device of this host is configured */
    XHA_FENCER_E_BUSY = -2,     /* one is under way for this host */
    XHA_FENCER_E_NOMEM = -3,
};

/* The end, exactly once for each call that returned XHA_FENCER_OK. text: for people. */
typedef void xha_fencer_done_cb(void *user, const char *host, enum xha_fence_result result, const char *text);
/* What is going on: "fence_ipmilan (level 1): off, try 2 of 3". */
typedef void xha_fencer_said_cb(void *user, const char *host, const char *text);

/* said may be NULL. NULL: no memory. */
struct xha_fencer *xha_fencer_new(uv_loop_t *loop, xha_fencer_said_cb *said, void *user);

/*
 * Takes a copy of these devices instead of what was; fences under way go on with theirs. Returns
 * XHA_FENCER_OK or XHA_FENCER_E_NOMEM (all stays as it was).
 */
int xha_fencer_configure(struct xha_fencer *f, const struct xha_fence_conf *conf);

/* Whether a device of this host is configured. */
bool xha_fencer_can(const struct xha_fencer *f, const char *host);

/* The longest that xha_fencer_run() can take for this host, all levels and retries; 0: it has no device. */
struct xha_span xha_fencer_longest(const struct xha_fencer *f, const char *host);

/* The host whose fencing can take longest, and how long; NULL: there is no device. */
const char *xha_fencer_slowest(const struct xha_fence_conf *conf, struct xha_span *longest_r);

/*
 * Fences the host. One at a time for each host, any number of hosts. A check of it that is under way is given up:
 * many devices serve one at a time.
 */
int xha_fencer_run(struct xha_fencer *f, const char *host, xha_fencer_done_cb *done, void *user);

/*
 * Asks every device of the host, of all levels, whether it would work (action=monitor or status); touches
 * nothing. OK, or FAILED with the devices that do not answer; CANCELLED: the host is to be fenced. BUSY
 * also while it is being fenced or switched on again.
 */
int xha_fencer_check(struct xha_fencer *f, const char *host, xha_fencer_done_cb *done, void *user);

/* Ends a run (not a check) of this host, if there is one. done() comes with CANCELLED. */
void xha_fencer_cancel(struct xha_fencer *f, const char *host);

/*
 * Holds the devices against what their agents say of themselves (action=metadata): unknown options and agents
 * that cannot power off are problems; agents that are not there and required options that are missing are
 * warnings. Takes as long as the agents take, at most some seconds each, on a loop of its own: for `xhad -n`
 * and the start. Returns XHA_CONF_OK or XHA_CONF_E_BAD.
 */
int xha_fencer_validate(const struct xha_fence_conf *conf, const char *file, struct xha_problems *problems,
                        struct xha_problems *warnings);

/* Cancels everything. The loop must run until it has no more to do before _free(). */
void xha_fencer_close(struct xha_fencer *f);
void xha_fencer_free(struct xha_fencer *f);

#endif

/*
 * watchdog.h - Xen's watchdog of this host, from the daemon's side: armed, poked, disarmed.
 *
 * A timer in the hypervisor reboots the machine at once when it runs out. A small process (HELPER watchdog
 * RUN_DIR, xen/watchdog.c) makes the hypercalls; it is told to over a socket and does nothing by itself.
 * When it or xhad dies, the timer runs on: the next one takes it over by RUN_DIR/watchdog, in time or never.
 * No poke is ever sent that the caller did not ask for, also not after a restart of the helper.
 */
#ifndef XHA_CLUSTER_WATCHDOG_H
#define XHA_CLUSTER_WATCHDOG_H

#include <uv.h>
#include "xhad/core/core.h"

struct xha_watchdog;

enum xha_watchdog_state {
    XHA_WATCHDOG_OFF,      /* no timer of ours runs */
    XHA_WATCHDOG_ARMING,   /* asked for, not yet said to run */
    XHA_WATCHDOG_ARMED,    /* runs; must be poked */
    XHA_WATCHDOG_ORPHANED, /* runs, left by an xhad or a helper that died: the next _arm() or _poke() takes it
                              over, _disarm() ends it */
    XHA_WATCHDOG_FAILED, /* it could not be armed, or is gone: this host cannot fence itself. See the text */
    XHA_WATCHDOG_N_
};

struct xha_watchdog_ops {
    /* The state has changed, or why it is so. text: "" or for people. Never called from within a call. */
    void (*changed)(void *user, enum xha_watchdog_state state, const char *text);
    /* Every poke that the hypervisor took, and the arming: at is CLOCK_MONOTONIC right after the hypercall.
     * The timer runs out at `at` + seconds at the latest. */
    void (*poked)(void *user, struct xha_time at);
};

struct xha_watchdog *xha_watchdog_new(uv_loop_t *loop, const struct xha_watchdog_ops *ops, void *user);

/*
 * Starts the helper. changed() tells whether an earlier xhad has left a timer (ORPHANED) or not (OFF). helper
 * and run_dir are copied.
 */
int xha_watchdog_start(struct xha_watchdog *w, const char *helper, const char *run_dir);

/* Arms, takes over, or changes the seconds (2..3600) of the one timer; a poke at the same time. What waits for a
 * restart of the helper takes over no timer later than two seconds after the call: call again while ORPHANED. */
void xha_watchdog_arm(struct xha_watchdog *w, uint32_t seconds);

/* Pokes; nothing when it is neither armed nor orphaned after _arm(). Cheap, may be called often. */
void xha_watchdog_poke(struct xha_watchdog *w);

/* Ends the timer, also an orphaned one. changed() comes with OFF, or FAILED when it cannot be ended. */
void xha_watchdog_disarm(struct xha_watchdog *w);

enum xha_watchdog_state xha_watchdog_state(const struct xha_watchdog *w);
const char *xha_watchdog_text(const struct xha_watchdog *w);
uint32_t xha_watchdog_seconds(const struct xha_watchdog *w); /* as armed; 0: it is not */

/* The last poke that was acknowledged. false: none yet. */
bool xha_watchdog_last_poke(const struct xha_watchdog *w, struct xha_time *at_r);

const char *xha_watchdog_state_name(enum xha_watchdog_state state);

/* Leaves the timer as it is: running, when it is armed. The loop must run once more before _free(). */
void xha_watchdog_close(struct xha_watchdog *w);
void xha_watchdog_free(struct xha_watchdog *w);

#endif

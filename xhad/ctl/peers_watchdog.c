/*
 * peers_watchdog.c - when this host fences itself: armed, poked and disarmed.
 *
 * Poked from nowhere but the end of a step, and only while the cluster core says so: a loop that hangs, a core
 * that has failed, a ring that stands still poke no more. The others count on the timer from when they know
 * that it runs until they know that it does not: so they are told after it was armed, and it is disarmed only
 * after all have it on disk that this host is not armed.
 */
#include "xhad/ctl/peers.h"

#define AGAIN_MS 30000 /* after it could not be armed */

static void on_changed(void *user, enum xha_watchdog_state state, const char *text)
{
    struct xha_peers *p = user;
    char line[600];

    xha_log(state == XHA_WATCHDOG_FAILED ? XHA_LOG_ERROR : XHA_LOG_INFO, "watchdog",
            XHA_S("state", xha_watchdog_state_name(state)), XHA_S("text", text));
    if (state == XHA_WATCHDOG_FAILED) {
        snprintf(line, sizeof line, "this host cannot fence itself: %.450s", text);
        xha_step_alarm(p->d, "watchdog", XHA_SEV_CRITICAL, NULL, line);
    }
    if (p->d->stopping || !p->node)
        return;
    if (p->leaving && state == XHA_WATCHDOG_OFF) {
        xha_daemon_stop(p->d);
        return;
    }
    xha_peers_inform(p);
}

static void on_poked(void *user, struct xha_time at)
{
    (void)user;
    (void)at;
}

int xha_peers_watchdog_open(struct xha_peers *p)
{
    static const struct xha_watchdog_ops ops = { .changed = on_changed, .poked = on_poked };

    p->watchdog = xha_watchdog_new(&p->d->loop, &ops, p);
    if (!p->watchdog)
        return -1;
    return xha_watchdog_start(p->watchdog, p->d->conf.helper, p->d->conf.run_dir);
}

static bool is_wanted(const struct xha_peers *p, const struct xha_cluster_status *status)
{
    struct xha_cluster_host self;

    return status->armed && !p->leaving && !p->unsafe && p->d->conf.no_quorum == XHA_NO_QUORUM_FENCE &&
           xha_cluster_host(xha_peers_state(p), p->self, &self) && self.state == XHA_HOST_IN;
}

void xha_peers_watchdog_judge(struct xha_peers *p)
{
    const struct xha_timing *timing = &xha_cluster_policy(xha_peers_state(p))->timing;
    const struct xha_timing_corosync is = { .token = { xha_engine_token_ms(p->engine) },
                                            .consensus = { xha_engine_consensus_ms(p->engine) },
                                            .device = { xha_engine_device_ms(p->engine) },
                                            .device_sync = { xha_engine_device_sync_ms(p->engine) } };
    enum xha_timing_real real;
    char why[320], text[500];

    if (!p->up || !is.token.ms || !timing->detection.ms)
        return;
    real = xha_timing_real(timing, &is, why, sizeof why);
    p->unsafe = real == XHA_TIMING_UNSAFE;
    if (real != p->real && real != XHA_TIMING_KEPT) {
        snprintf(text, sizeof text, "corosync's times do not fit: %s%s", why,
                 p->unsafe ? ". Until then this host does not fence itself" : "");
        xha_peers_alarm(p, "timing", p->unsafe ? XHA_SEV_CRITICAL : XHA_SEV_WARNING, text);
    }
    p->real = real;
}

/* First the others know that it is not armed, then it is not. */
static void disarm(struct xha_peers *p, const struct xha_cluster_status *status)
{
    struct xha_cluster_host self;

    if (!xha_cluster_host(xha_peers_state(p), p->self, &self))
        return;
    if (self.info.armed) {
        p->disarm_after = UINT64_MAX;
        xha_peers_inform(p);
        return;
    }
    if (p->disarm_after == UINT64_MAX || p->disarm_after == 0)
        p->disarm_after = status->index;
    if (status->committed >= p->disarm_after)
        xha_watchdog_disarm(p->watchdog);
}

static uint32_t seconds_of(const struct xha_peers *p)
{
    int64_t ms = xha_cluster_policy(xha_peers_state(p))->timing.watchdog.ms;

    return (uint32_t)(ms < 2000 ? 2 : ms / 1000);
}

static void poke(struct xha_peers *p)
{
    int64_t every = xha_cluster_policy(xha_peers_state(p))->timing.poke.ms, now = xha_clock_monotonic_ms();

    if (now - p->poked_ms < every / 2)
        return;
    p->poked_ms = now;
    xha_watchdog_poke(p->watchdog);
}

void xha_peers_watchdog(struct xha_peers *p)
{
    enum xha_watchdog_state state = xha_watchdog_state(p->watchdog);
    struct xha_cluster_status status;
    bool may = xha_cluster_may_poke(xha_peers_state(p)), wanted;

    xha_cluster_status(xha_peers_state(p), &status);
    wanted = is_wanted(p, &status);
    switch (state) {
    case XHA_WATCHDOG_ARMED:
        if (may)
            poke(p);
        if (wanted && p->disarm_after) { /* armed again before it was disarmed */
            p->disarm_after = 0;
            xha_peers_inform(p);
        } else if (!wanted && status.synced) {
            disarm(p, &status);
        }
        return;
    case XHA_WATCHDOG_ORPHANED:
        if (may)
            xha_watchdog_arm(p->watchdog,
                             seconds_of(p)); /* which pokes; what is not wanted is disarmed after */
        return;
    case XHA_WATCHDOG_OFF:
        p->disarm_after = 0;
        if (wanted && may)
            xha_watchdog_arm(p->watchdog, seconds_of(p));
        return;
    case XHA_WATCHDOG_FAILED:
        if (wanted && may && xha_clock_monotonic_ms() - p->poked_ms > AGAIN_MS) {
            p->poked_ms = xha_clock_monotonic_ms();
            xha_watchdog_arm(p->watchdog, seconds_of(p));
        }
        return;
    default:
        return;
    }
}

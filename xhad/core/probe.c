/*
 * probe.c - is it ill, and how? A domain whose beat is late is watched for probe_window: vCPU time and I/O at
 * both ends tell a hang (both stand still) from a lost heartbeat (the kernel works on, agent or userland does
 * not). A domain that the policy leaves alone is probed on, for its illness may change.
 */
#include "internal.h"

static void begin(struct xha_core *core, struct dom *d)
{
    d->probe_known = false;
    xha_timer(core, d, TIMER_STATE,
              after(core->now, core->set.probe_window)); /* asked again if no answer comes */
    xha_ask_probe(core, d);
}

void xha_suspect(struct xha_core *core, struct dom *d, enum xha_cause cause)
{
    d->judged = d->held = false;
    if (!d->watched)
        xha_watch(core, d);
    xha_go(core, d, XHA_ST_SUSPECT, cause, 0);
    begin(core, d);
}

void xha_probe_again(struct xha_core *core, struct dom *d)
{
    if (!d->probe_known) {
        begin(core, d);
        return;
    }
    xha_timer(core, d, TIMER_STATE, after(core->now, core->set.probe_window));
    xha_ask_probe(core, d);
}

static void wait_on(struct xha_core *core, struct dom *d, struct xha_time until)
{
    d->probe_known = false;
    xha_timer(core, d, TIMER_STATE, until);
}

void xha_leave_judged(struct xha_core *core, struct dom *d)
{
    if (d->state != XHA_ST_SUSPECT)
        xha_go(core, d, XHA_ST_SUSPECT, XHA_CAUSE_FAILURE, d->failure);
    d->judged = true;
    xha_unwatch(core, d); /* known to be ill: no sign that the host is, when others are late */
    wait_on(core, d, after(core->now, d->policy.heartbeat_timeout));
}

static void judge(struct xha_core *core, struct dom *d)
{
    int64_t window_ms = core->now.ms - d->probe_at.ms;
    uint64_t ran_ns = d->probe.cpu_time_ns - d->probe_first.cpu_time_ns;
    bool still = ran_ns <= (uint64_t)window_ms * STILL_NS_PER_MS;
    bool was_excused = d->judged && d->excused; /* it has since the probe before to show some I/O */
    bool moved = d->probe.io_count != (was_excused ? d->excused_io : d->probe_first.io_count);
    bool excused = moved && d->policy.io_is_life;
    enum xha_failure failure = still && !moved ? XHA_FAIL_HANG : XHA_FAIL_HEARTBEAT;

    if (d->policy.heartbeat == XHA_BEAT_NONE && failure != XHA_FAIL_HANG) {
        xha_beat_back(core, d);
        return;
    }
    if (failure == XHA_FAIL_HEARTBEAT && !d->beaten)
        failure = XHA_FAIL_START; /* runs, but did not get ready */
    d->excused = excused;
    d->excused_io = d->probe.io_count;
    if (d->judged && d->failure == failure && excused == was_excused) {
        xha_leave_judged(core, d);
    } else if (failure == XHA_FAIL_START && !d->ever_beat) {
        /* Most likely nobody installed the agent: no reason to shoot a guest that runs. */
        xha_alarm(core, d, XHA_SEV_WARNING, XHA_CAUSE_NO_AGENT, 0);
        d->failure = failure;
        xha_leave_judged(core, d);
    } else if (failure == XHA_FAIL_HEARTBEAT && excused) {
        xha_alarm(core, d, XHA_SEV_WARNING, XHA_CAUSE_IO_ALIVE, 0);
        d->failure = failure;
        xha_leave_judged(core, d);
    } else {
        xha_fail(core, d, failure);
    }
}

void xha_probed(struct xha_core *core, struct dom *d)
{
    /* The answers take their time: three quarters of the window between them will do. */
    struct xha_time enough = after(d->probe_at, (struct xha_span){ core->set.probe_window.ms * 3 / 4 });
    struct xha_time grace = after(host_of(core, d)->grace_from, d->policy.heartbeat_timeout);

    if (!d->probe_known || d->probe.cpu_time_ns < d->probe_first.cpu_time_ns) {
        d->probe_known = true;
        d->probe_first = d->probe;
        d->probe_at = core->now;
        return;
    }
    if (before(core->now, enough))
        return;
    if (host_of(core, d)->ill || xha_deaf(core, d)) {
        d->held = true;
        wait_on(core, d, after(core->now, core->set.probe_window));
        return;
    }
    d->held = false;
    if (!before(d->since, host_of(core, d)->last_beat_round)) {
        /* Nobody has looked for a beat since this one was late: probed on until somebody has. */
        xha_timer(core, d, TIMER_STATE, after(core->now, core->set.round_interval));
        return;
    }
    if (before(core->now, xha_beat_due(core, d)) && d->beaten)
        wait_on(core, d, xha_beat_due(core, d));
    else if (before(core->now, grace)) /* beats were not heard for a while: its first one, too */
        wait_on(core, d, grace);
    else
        judge(core, d);
}

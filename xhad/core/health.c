/*
 * health.c - what observation rounds tell: who is there, who has gone, whose beat is late, and whether the
 * host itself is ill. Nothing is judged but at the end of a round, on its facts; no rounds, no judgement.
 */
#include "internal.h"

void xha_forget_sight(struct xha_core *core, struct dom *d)
{
    xha_unwatch(core, d);
    d->fresh = d->beaten = d->pulse_known = d->probe_known = false;
    d->seen_active = d->was_active = d->seen_paused = false;
    d->listed.ms = d->other.listed.ms = -1;
    d->last_beat.ms = 0;
}

/* ---- beats ---- */

static void unlate(struct xha_core *core, struct dom *d)
{
    struct host *h = host_of(core, d);

    if (!d->late)
        return;
    if (h->judging && h->judge_next == index_of(core, d))
        h->judge_next = d->lates.next;
    xha_list_remove(core, &h->lates, xha_link_late, d);
    d->late = false;
    h->n_late--;
}

struct xha_time xha_beat_due(const struct xha_core *core, const struct dom *d)
{
    struct xha_time from = core->host[d->host].grace_from;

    if (before(from, d->watch_since))
        from = d->watch_since;
    if (before(from, d->last_beat))
        from = d->last_beat;
    return after(from, d->policy.heartbeat_timeout);
}

void xha_watch(struct xha_core *core, struct dom *d)
{
    unlate(core, d);
    if (!d->watched)
        host_of(core, d)->n_beating++;
    d->watched = true;
    d->watch_since = core->now;
    xha_timer(core, d, TIMER_LATE, xha_beat_due(core, d));
}

void xha_unwatch(struct xha_core *core, struct dom *d)
{
    unlate(core, d);
    xha_timer_off(core, d, TIMER_LATE);
    if (d->watched)
        host_of(core, d)->n_beating--;
    d->watched = false;
}

/* Armed for the beat that was due when it was armed: a beat does not move it, so that beats cost nothing. */
void xha_late_timer(struct xha_core *core, struct dom *d)
{
    struct xha_time due = xha_beat_due(core, d);

    if (before(core->now, due)) {
        xha_timer(core, d, TIMER_LATE, due);
        return;
    }
    d->late = true;
    host_of(core, d)->n_late++;
    xha_list_append(core, &host_of(core, d)->lates, xha_link_late, d);
}

/* A pulse: the agent's counter moved, or, where there is no agent, vCPU time did. */
static bool pulse(struct xha_core *core, struct dom *d, const struct xha_seen *seen)
{
    bool agent = d->policy.heartbeat == XHA_BEAT_AGENT;
    uint64_t value = agent ? seen->beat : seen->cpu_time_ns;
    bool moved;

    if (agent && !(seen->beat_read && seen->beat_valid))
        return false;
    moved = d->pulse_known ? value != d->pulse : agent && d->fresh;
    d->pulse_known = true;
    d->pulse = value;
    if (!moved)
        return false;
    d->last_beat = core->now;
    if (agent && !d->ever_beat) {
        d->ever_beat = true;
        xha_persist(core, d);
    }
    d->beaten = true;
    if (d->late) {
        unlate(core, d);
        xha_timer(core, d, TIMER_LATE, xha_beat_due(core, d));
    }
    return true;
}

void xha_beat_first(struct xha_core *core, struct dom *d)
{
    xha_run(core, d, XHA_CAUSE_BEAT_FIRST, d->failure);
}

void xha_beat_back(struct xha_core *core, struct dom *d)
{
    if (d->judged)
        xha_alarm(core, d, XHA_SEV_INFO, XHA_CAUSE_BEAT_BACK, 0);
    xha_run(core, d, XHA_CAUSE_BEAT_BACK, 0);
}

/* It was given up while it ran on, and now it is well by itself. */
void xha_beat_failed(struct xha_core *core, struct dom *d)
{
    xha_alarm(core, d, XHA_SEV_INFO, XHA_CAUSE_BEAT_BACK, 0);
    xha_run(core, d, XHA_CAUSE_BEAT_BACK, 0);
}

void xha_late(struct xha_core *core, struct dom *d)
{
    xha_suspect(core, d, XHA_CAUSE_BEAT_LATE);
}

void xha_boot_late(struct xha_core *core, struct dom *d)
{
    if (host_of(core, d)->ill || xha_deaf(core, d))
        xha_timer(core, d, TIMER_STATE, after(core->now, d->policy.heartbeat_timeout));
    else
        xha_suspect(core, d, XHA_CAUSE_BEAT_LATE);
}

/* ---- sightings ---- */

static void duplicate(struct xha_core *core, struct dom *d)
{
    if (d->state == XHA_ST_ERROR || d->state == XHA_ST_MAINTENANCE || d->state == XHA_ST_MIGRATING ||
        d->state == XHA_ST_INCOMING || d->state == XHA_ST_STANDBY)
        return;
    if (d->yield) { /* one after the other */
        xha_fsm(core, d, SIG_ALIVE);
        return;
    }
    xha_alarm(core, d, XHA_SEV_CRITICAL, XHA_CAUSE_DUPLICATE, (uint32_t)d->other.domid);
    xha_rest(core, d, XHA_ST_ERROR, XHA_CAUSE_DUPLICATE, (uint32_t)d->other.domid);
}

/* Two domains with its UUID in one listing. Nothing is done to either when both could run. */
static bool two_of_them(struct xha_core *core, struct dom *d)
{
    if (d->listed.ms != d->other.listed.ms || !d->other.active)
        return false;
    if (d->seen_active || d->seen_paused)
        duplicate(core, d);
    else
        xha_fsm(core, d, SIG_REPLACED); /* ours is a corpse or a saved shell, the other one lives */
    return true;
}

static void see_other(struct xha_core *core, struct dom *d, const struct xha_seen *seen)
{
    d->other.listed = seen->listed;
    d->other.domid = seen->domid;
    d->other.active = !seen->paused && !seen->shut;
    two_of_them(core, d);
}

void xha_sight(struct xha_core *core, struct dom *d, const struct xha_seen *seen)
{
    /* Suspended at the end of an epoch, or left so by a sender that died: it runs, and GATE_OPEN sees to it. */
    bool epoch = d->repl.id && seen->shut && seen->reason == XHA_SHUTDOWN_SUSPEND;
    bool shut = seen->shut && !epoch, beat;

    if (seen->dying || seen->domid <= 0 || d->pending || seen->listed.ms <= d->settled.ms)
        return;
    if (d->domid == XHA_DOMID_NONE)
        xha_store_domid(core, d, seen->domid);
    if (d->domid != seen->domid) {
        see_other(core, d, seen);
        return;
    }
    xha_store_seen(core, d);
    d->news = d->listed.ms < 0;
    d->listed = seen->listed;
    d->was_active = d->seen_active;
    d->seen_active = !seen->paused && !shut;
    d->seen_paused = seen->paused && !shut;
    d->seen_reason = seen->reason;
    if (two_of_them(core, d))
        return;
    beat = d->seen_active && pulse(core, d, seen);
    if (shut)
        xha_fsm(core, d, seen->reason == XHA_SHUTDOWN_SUSPEND ? SIG_SUSPENDED : SIG_DIED);
    else if (seen->paused)
        xha_fsm(core, d, SIG_PAUSED);
    else
        xha_fsm(core, d, SIG_ALIVE);
    if (beat && d->used && d->seen_active)
        xha_fsm(core, d, SIG_BEAT);
}

/* ---- the end of a round ---- */

static int64_t gap_ms(const struct xha_core *core)
{
    return 3 * core->set.round_interval.ms > 3000 ? 3 * core->set.round_interval.ms : 3000;
}

/* Beats are not being read now, so that none is missed: nobody may be judged by their absence. */
bool xha_deaf(const struct xha_core *core, const struct dom *d)
{
    return core->now.ms - core->host[d->host].last_beat_round.ms > gap_ms(core);
}

void xha_round(struct xha_core *core, uint8_t host, const struct xha_round *round)
{
    struct host *h = &core->host[host];

    h->rounds++;
    h->last_round = core->now;
    if (h->alarmed_rounds)
        xha_alarm_host(core, host, XHA_SEV_INFO, XHA_CAUSE_ROUNDS_BACK, 0);
    h->alarmed_rounds = false;
    h->sweeping = true;
    h->sweep_listed = round->began;
    h->sweep_next = h->present.head;
    if (!round->beats_read)
        return;
    if (!h->beat_rounds || core->now.ms - h->last_beat_round.ms > gap_ms(core) + round->lag.ms)
        h->grace_from = core->now; /* nobody listened for a while: that is no lateness of theirs */
    h->beat_rounds++;
    h->last_beat_round = core->now;
    h->round = *round;
    h->weigh = true;
}

void xha_sweep(struct xha_core *core, uint8_t host)
{
    struct host *h = &core->host[host];

    while (h->sweeping) {
        if (!room(core))
            return;
        struct dom *d = h->sweep_next == NONE32 ? NULL : &core->dom[h->sweep_next];
        if (!d || d->listed.ms == h->sweep_listed.ms) {
            h->sweeping = false;
            return;
        }
        h->sweep_next = d->present.next;
        if (d->pending || h->sweep_listed.ms <= d->settled.ms)
            continue;
        if (d->other.listed.ms == h->sweep_listed.ms && d->other.active) {
            xha_fsm(core, d, SIG_REPLACED);
            continue;
        }
        xha_store_domid(core, d, XHA_DOMID_NONE);
        xha_fsm(core, d, SIG_GONE);
    }
}

struct xha_time xha_rounds_due(const struct xha_core *core, uint8_t host)
{
    const struct host *h = &core->host[host];
    int64_t patience_ms = 10 * core->set.round_interval.ms > 10000 ? 10 * core->set.round_interval.ms : 10000;

    return h->alarmed_rounds ? XHA_TIME_NEVER : after(h->last_round, (struct xha_span){ patience_ms });
}

/* ---- the host's own health ---- */

static bool hard_ill(const struct xha_core *core, const struct host *h)
{
    return !h->round.xenstore_ok || h->round.failed_reads ||
           h->round.lag.ms > 2 * core->set.round_interval.ms;
}

static bool mass_late(const struct xha_core *core, const struct host *h)
{
    return h->n_late >= core->set.ill_min &&
           (uint64_t)h->n_late * 100 >= (uint64_t)h->n_beating * core->set.ill_share_percent;
}

/* Everybody gets a fresh heartbeat_timeout; those being probed stay suspect until a beat or the probe clears
 * them. */
static void grace(struct xha_core *core, struct host *h)
{
    h->grace_from = core->now;
    for (uint32_t i = h->lates.head, next; i != NONE32; i = next) {
        struct dom *d = &core->dom[i];
        next = d->lates.next;
        unlate(core, d);
        xha_timer(core, d, TIMER_LATE, xha_beat_due(core, d));
    }
}

static void weigh(struct xha_core *core, uint8_t host)
{
    struct host *h = &core->host[host];
    bool hard = hard_ill(core, h), mass = mass_late(core, h);

    h->weigh = false;
    if (!mass)
        h->mass_expired = false;
    if (h->ill && !hard && mass && !before(core->now, after(h->ill_since, core->set.hold_max))) {
        h->mass_expired =
            true; /* xenstore and dom0 have been well all the while: it is the guests after all */
        h->ill = false;
        xha_alarm_host(core, host, XHA_SEV_CRITICAL, XHA_CAUSE_HOLD_OVER, h->n_late);
    } else if (!h->ill && (hard || (mass && !h->mass_expired))) {
        h->ill = true;
        h->ill_since = core->now;
        xha_alarm_host(core, host, XHA_SEV_CRITICAL, XHA_CAUSE_HOST_ILL, h->n_late);
    } else if (h->ill && hard) {
        h->ill_since = core->now; /* hold_max counts from when only the lateness is left */
    } else if (h->ill && !mass) {
        h->ill = false;
        xha_alarm_host(core, host, XHA_SEV_INFO, XHA_CAUSE_HOST_WELL, 0);
        grace(core, h);
    }
    h->judging = !h->ill;
    h->judge_next = h->lates.head;
}

void xha_judge(struct xha_core *core, uint8_t host)
{
    struct host *h = &core->host[host];

    if (h->weigh)
        weigh(core, host);
    while (h->judging) {
        if (!room(core))
            return;
        if (h->judge_next == NONE32) {
            h->judging = false;
            return;
        }
        struct dom *d = &core->dom[h->judge_next];
        h->judge_next = d->lates.next;
        xha_fsm(core, d, SIG_LATE);
    }
}

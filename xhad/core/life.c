/*
 * life.c - what happens to a domain between two sightings of health: it fails, what remains is cleared, it is
 * started again, or it is stopped because somebody asked. Handlers of the matrix in fsm.c, in the order of a
 * life.
 */
#include "internal.h"

/* ---- it runs ----------------------------------------------------------------------------------------------
 */

void xha_run(struct xha_core *core, struct dom *d, enum xha_cause cause, uint32_t detail)
{
    xha_go(core, d, XHA_ST_RUNNING, cause, detail);
    d->purpose = XHA_FOR_NOTHING;
    d->want_run = true;
    d->judged = d->held = false;
    d->restores = 0;
    d->waits_since.ms = 0;
    xha_watch(core, d);
    if (d->policy.checkpoint_interval.ms &&
        !xha_heap_has(&core->timers, index_of(core, d) * TIMER_N_ + TIMER_SAVE))
        xha_timer(core, d, TIMER_SAVE, after(core->now, d->policy.checkpoint_interval));
}

void xha_run_or_boot(struct xha_core *core, struct dom *d, enum xha_cause cause)
{
    uint32_t detail = cause == XHA_CAUSE_WORKER_OK ? d->lost : 0;

    if (d->beaten || d->policy.heartbeat == XHA_BEAT_NONE) {
        xha_run(core, d, cause, detail);
        return;
    }
    xha_go(core, d, XHA_ST_BOOTING, cause, detail);
    xha_timer(core, d, TIMER_STATE, after(core->now, d->policy.boot_grace));
}

static void adopt(struct xha_core *core, struct dom *d, enum xha_cause cause)
{
    xha_slot_give_back(core, d);
    d->want_run = true;
    xha_run_or_boot(core, d, cause);
    if (d->policy.protection != XHA_PROT_MONITOR && cause != XHA_CAUSE_XHAD_RESTART)
        xha_deed(core, d, XHA_ACT_SCHED, SHORT_DEADLINE_MS, cause);
}

void xha_adopt(struct xha_core *core, struct dom *d)
{
    d->purpose = XHA_FOR_NOTHING;
    adopt(core, d, d->cause == XHA_CAUSE_XHAD_RESTART ? d->cause : XHA_CAUSE_ADOPTED);
}

/* The domain of the same UUID that the present listing shows beside it takes its place. */
static void take_other(struct xha_core *core, struct dom *d)
{
    struct xha_time listed = d->other.listed;

    xha_store_domid(core, d, d->other.domid);
    d->listed = listed;
    d->seen_active = true;
}

void xha_adopt_other(struct xha_core *core, struct dom *d)
{
    take_other(core, d);
    if (d->yield) {
        xha_clear(core, d, XHA_CAUSE_YIELDED, d->yield);
        return;
    }
    d->purpose = XHA_FOR_NOTHING;
    xha_unwatch(core, d);
    adopt(core, d, XHA_CAUSE_REPLACED);
}

/* At rest a domain may be left running without a beat; only one that was not there before was started by
 * somebody. */
void xha_appeared(struct xha_core *core, struct dom *d)
{
    if (!d->was_active && !d->given_up)
        xha_adopt(core, d);
}

/* Waiting to be started, and somebody has one there that he holds: his is left alone. */
void xha_appeared_paused(struct xha_core *core, struct dom *d)
{
    if (d->news && !d->given_up)
        xha_pause(core, d);
}

void xha_other_at_rest(struct xha_core *core, struct dom *d)
{
    xha_adopt_other(core, d);
}

void xha_pause(struct xha_core *core, struct dom *d)
{
    xha_unwatch(core, d);
    d->judged = d->held = false;
    xha_go(core, d, XHA_ST_PAUSED, XHA_CAUSE_PAUSED, 0);
}

/* Suspended and then gone is no end without a reason: it lives on in a file, or on another host (rules 1 and
 * 5).
 */
void xha_pause_gone(struct xha_core *core, struct dom *d)
{
    if (d->seen_reason != XHA_SHUTDOWN_SUSPEND) {
        xha_vanish(core, d);
        return;
    }
    d->want_run = false;
    xha_rest(core, d, XHA_ST_STOPPED, XHA_CAUSE_SAVED, 0);
}

void xha_unpause(struct xha_core *core, struct dom *d)
{
    xha_run_or_boot(core, d, XHA_CAUSE_UNPAUSED);
}

void xha_save_due(struct xha_core *core, struct dom *d)
{
    struct xha_span soon = { 1000 };
    struct host *h = host_of(core, d);

    if (d->policy.protection != XHA_PROT_CHECKPOINT || !d->policy.checkpoint_interval.ms ||
        d->domid == XHA_DOMID_NONE)
        return;
    if (d->state != XHA_ST_RUNNING || d->pending || d->late || h->ill || h->n_saving >= core->set.parallel) {
        xha_timer(core, d, TIMER_SAVE, after(core->now, soon));
        return;
    }
    xha_order_do(core, d, XHA_DO_CHECKPOINT, 0);
}

/* ---- it fails ---------------------------------------------------------------------------------------------
 */

void xha_rest(struct xha_core *core, struct dom *d, enum xha_state state, enum xha_cause cause,
              uint32_t detail)
{
    xha_unwatch(core, d);
    xha_slot_give_back(core, d);
    xha_timer_off(core, d, TIMER_SAVE);
    d->judged = d->held = d->delayed = false;
    d->waits_since.ms = 0;
    xha_go(core, d, state, cause, detail);
    d->purpose = XHA_FOR_NOTHING;
}

static bool still_runs(const struct dom *d)
{
    return d->state == XHA_ST_SUSPECT || d->state == XHA_ST_BOOTING || d->state == XHA_ST_RUNNING;
}

static void fail_left_alone(struct xha_core *core, struct dom *d, enum xha_failure failure, bool alarm)
{
    if (alarm)
        xha_alarm(core, d,
                  failure == XHA_FAIL_POWEROFF || failure == XHA_FAIL_REBOOT ? XHA_SEV_INFO
                                                                             : XHA_SEV_CRITICAL,
                  XHA_CAUSE_FAILURE, failure);
    switch (failure) {
    case XHA_FAIL_HEARTBEAT:
    case XHA_FAIL_HANG:
    case XHA_FAIL_START:
        if (still_runs(d))
            xha_leave_judged(core, d);
        else
            xha_rest(core, d, XHA_ST_FAILED, XHA_CAUSE_FAILURE, failure);
        break;
    case XHA_FAIL_POWEROFF:
    case XHA_FAIL_REBOOT:
    case XHA_FAIL_DESTROYED:
        d->want_run = false;
        xha_rest(core, d, XHA_ST_STOPPED, XHA_CAUSE_FAILURE, failure);
        break;
    default:
        xha_rest(core, d, XHA_ST_FAILED, XHA_CAUSE_FAILURE, failure);
    }
}

static void fail_respected(struct xha_core *core, struct dom *d, enum xha_failure failure)
{
    if (failure != XHA_FAIL_CRASH && failure != XHA_FAIL_WATCHDOG && failure != XHA_FAIL_POWEROFF) {
        fail_left_alone(core, d, failure, false);
        return;
    }
    d->want_run = false;
    d->purpose = XHA_FOR_STOP;
    xha_clear(core, d, XHA_CAUSE_FAILURE, failure);
}

static void fail_recover(struct xha_core *core, struct dom *d, enum xha_failure failure)
{
    if (!xha_may_recover(core, d)) {
        if (failure == XHA_FAIL_START && xha_give_up(core, d, d->lost | (uint32_t)d->refusal << 8))
            return;
        xha_alarm(core, d, XHA_SEV_CRITICAL, XHA_CAUSE_LIMIT, failure);
        xha_rest(core, d, XHA_ST_FAILED, XHA_CAUSE_LIMIT, failure);
        return;
    }
    struct xha_span wait = xha_backoff(d, xha_recoveries(core, d));
    xha_recovery_note(core, d);
    xha_alarm(core, d, XHA_SEV_WARNING, XHA_CAUSE_FAILURE, failure);
    xha_enqueue(core, d, XHA_FOR_RECOVERY, wait, XHA_CAUSE_FAILURE, failure);
}

static void fail_reboot(struct xha_core *core, struct dom *d)
{
    struct xha_span wait = { 0 };

    /* A guest that reboots as soon as it is up would keep the host busy with nothing else. */
    if (before(core->now, after(d->started, d->policy.backoff_min)))
        wait = d->policy.backoff_min;
    xha_enqueue(core, d, XHA_FOR_REBOOT, wait, XHA_CAUSE_FAILURE, XHA_FAIL_REBOOT);
}

void xha_fail(struct xha_core *core, struct dom *d, enum xha_failure failure)
{
    enum xha_reaction react = d->policy.react[failure];

    d->failure = failure;
    xha_slot_give_back(core, d);
    if (d->policy.protection == XHA_PROT_MONITOR) {
        fail_left_alone(core, d, failure, true);
        return;
    }
    if (failure == XHA_FAIL_REBOOT && (react == XHA_REACT_RECOVER || react == XHA_REACT_RESPECT)) {
        xha_unwatch(core, d);
        fail_reboot(core, d);
        return;
    }
    switch (react) {
    case XHA_REACT_RESPECT:
        fail_respected(core, d, failure);
        break;
    case XHA_REACT_RECOVER:
        xha_unwatch(core, d);
        fail_recover(core, d, failure);
        break;
    case XHA_REACT_STOP:
        xha_unwatch(core, d);
        xha_alarm(core, d, XHA_SEV_CRITICAL, XHA_CAUSE_FAILURE, failure);
        d->want_run = false;
        d->purpose = XHA_FOR_STOP;
        xha_clear(core, d, XHA_CAUSE_FAILURE, failure);
        break;
    default:
        fail_left_alone(core, d, failure, true);
    }
}

void xha_died(struct xha_core *core, struct dom *d)
{
    static const enum xha_failure failure[] = {
        [XHA_SHUTDOWN_POWEROFF] = XHA_FAIL_POWEROFF, [XHA_SHUTDOWN_REBOOT] = XHA_FAIL_REBOOT,
        [XHA_SHUTDOWN_SUSPEND] = XHA_FAIL_CRASH, /* sighted as SUSPENDED, never here */
        [XHA_SHUTDOWN_CRASH] = XHA_FAIL_CRASH,       [XHA_SHUTDOWN_WATCHDOG] = XHA_FAIL_WATCHDOG,
    };
    xha_fail(core, d, d->seen_reason <= XHA_SHUTDOWN_WATCHDOG ? failure[d->seen_reason] : XHA_FAIL_CRASH);
}

void xha_vanish(struct xha_core *core, struct dom *d)
{
    xha_unwatch(core, d);
    xha_go(core, d, XHA_ST_VANISHED, XHA_CAUSE_LOOKED, 0);
    xha_timer(core, d, TIMER_STATE, after(core->now, core->set.vanish_grace));
}

void xha_vanished_for_good(struct xha_core *core, struct dom *d)
{
    xha_fail(core, d, XHA_FAIL_DESTROYED);
}

/* ---- what remains is cleared ------------------------------------------------------------------------------
 */

void xha_clear(struct xha_core *core, struct dom *d, enum xha_cause cause, uint32_t detail)
{
    xha_unwatch(core, d);
    if (d->domid == XHA_DOMID_NONE) {
        xha_cleared(core, d);
        return;
    }
    xha_go(core, d, XHA_ST_CLEARING, cause, detail);
    if (xha_repl_holds(d)) /* what it sent last is let out first */
        xha_timer(core, d, TIMER_STATE, after(core->now, (struct xha_span){ REPL_AGAIN_MS }));
    else
        xha_deed(core, d, XHA_ACT_DESTROY, CLEAR_DEADLINE_MS, cause);
}

/* Without quorum nothing is cleared for a start that could not follow. */
bool xha_must_not_clear(const struct xha_core *core, const struct dom *d)
{
    return core->denied && d->purpose != XHA_FOR_STOP && d->purpose != XHA_FOR_NOTHING;
}

static void begin_start(struct xha_core *core, struct dom *d);

void xha_cleared(struct xha_core *core, struct dom *d)
{
    struct xha_span at_once = { 0 };

    xha_store_domid(core, d, XHA_DOMID_NONE);
    d->clear_tries = 0;
    if (d->yield)
        xha_yield_cleared(core, d);
    else if (d->move.id)
        xha_move_stopped(core, d);
    else if (d->purpose == XHA_FOR_STOP || d->purpose == XHA_FOR_NOTHING)
        xha_rest(core, d, XHA_ST_STOPPED, d->failure ? XHA_CAUSE_FAILURE : XHA_CAUSE_OPERATOR, d->failure);
    else if (d->slot && !xha_queue_preempts(core) && !d->deferred && !core->denied && !xha_repl_holds(d))
        begin_start(core, d);
    else /* also when an order came meanwhile, which will take it from the queue */
        xha_enqueue(core, d, d->purpose, at_once, XHA_CAUSE_WORKER_OK, XHA_ACT_DESTROY);
}

void xha_clear_refused(struct xha_core *core, struct dom *d)
{
    xha_slot_give_back(core, d);
    xha_persist(core, d);
    xha_alarm(core, d, XHA_SEV_CRITICAL, XHA_CAUSE_WORKER_REFUSED,
              XHA_ACT_DESTROY | (uint32_t)d->refusal << 8);
    d->clear_tries += d->clear_tries < 10;
    xha_timer(core, d, TIMER_STATE,
              after(core->now, (struct xha_span){ CLEAR_AGAIN_MS * (int64_t)d->clear_tries }));
}

void xha_clear_again(struct xha_core *core, struct dom *d)
{
    if (xha_repl_holds(d))
        xha_timer(core, d, TIMER_STATE, after(core->now, (struct xha_span){ REPL_AGAIN_MS }));
    else if (xha_must_not_clear(core, d))
        xha_timer(core, d, TIMER_STATE, after(core->now, (struct xha_span){ CLEAR_AGAIN_MS }));
    else
        xha_deed(core, d, XHA_ACT_DESTROY, CLEAR_DEADLINE_MS, XHA_CAUSE_BACKOFF);
}

/* ---- it is started again ----------------------------------------------------------------------------------
 */

static bool from_checkpoint(struct xha_core *core, struct dom *d)
{
    if (d->purpose == XHA_FOR_RESTORE)
        return true;
    if (d->purpose != XHA_FOR_RECOVERY || d->policy.protection != XHA_PROT_CHECKPOINT)
        return false;
    if (d->restores == RESTORES_MAX) {
        d->restores++; /* said once */
        xha_alarm(core, d, XHA_SEV_WARNING, XHA_CAUSE_RESTORE_USELESS, RESTORES_MAX);
    }
    return d->restores < RESTORES_MAX;
}

static void begin_start(struct xha_core *core, struct dom *d)
{
    bool restore = from_checkpoint(core, d);

    if (restore && d->purpose == XHA_FOR_RECOVERY) {
        d->restores++;
        d->checkpoint = 0;
    }
    d->started = core->now;
    xha_go(core, d, XHA_ST_STARTING, XHA_CAUSE_TURN, restore ? XHA_ACT_RESTORE : XHA_ACT_START);
    xha_deed(core, d, restore ? XHA_ACT_RESTORE : XHA_ACT_START, d->policy.start_timeout.ms, XHA_CAUSE_TURN);
}

void xha_turn(struct xha_core *core, struct dom *d)
{
    if (d->domid != XHA_DOMID_NONE)
        xha_clear(core, d, XHA_CAUSE_TURN, 0);
    else
        begin_start(core, d);
}

static void say_skipped(struct xha_core *core, struct dom *d)
{
    if (d->skipped)
        xha_alarm(core, d, XHA_SEV_CRITICAL, XHA_CAUSE_CORRUPT, d->skipped);
}

void xha_started(struct xha_core *core, struct dom *d)
{
    int64_t took_ms = core->now.ms - d->started.ms;

    say_skipped(core, d);
    d->start_ms = d->start_ms ? (3 * d->start_ms + took_ms) / 4 : took_ms;
    xha_slot_give_back(core, d);
    xha_store_domid(core, d, d->done_domid);
    d->listed.ms = 0;
    d->fresh = true;
    xha_run_or_boot(core, d, XHA_CAUSE_WORKER_OK);
}

void xha_start_refused(struct xha_core *core, struct dom *d)
{
    struct xha_span wait = d->policy.backoff_min;

    say_skipped(core, d);
    if (d->refusal == XHA_REFUSAL_NO_CHECKPOINT && d->purpose == XHA_FOR_RECOVERY) {
        xha_alarm(core, d, XHA_SEV_WARNING, XHA_CAUSE_NO_CHECKPOINT, 0);
        d->restores = RESTORES_MAX + 1;
        if (d->deferred || core->denied)
            xha_enqueue(core, d, d->purpose, (struct xha_span){ 0 }, XHA_CAUSE_NO_CHECKPOINT, 0);
        else
            begin_start(core, d);
        return;
    }
    xha_slot_give_back(core, d);
    if (d->refusal == XHA_REFUSAL_RUNS_ALREADY) {
        xha_doubt(core, d, XHA_ACT_NONE, XHA_CAUSE_WORKER_REFUSED);
        d->settled = after(core->now, core->set.round_interval); /* it may be dying for long: no hurry */
        return;
    }
    xha_alarm(core, d, XHA_SEV_WARNING, XHA_CAUSE_WORKER_REFUSED, d->lost | (uint32_t)d->refusal << 8);
    if ((d->refusal == XHA_REFUSAL_NO_MEMORY || d->refusal == XHA_REFUSAL_UNSUPPORTED) &&
        xha_give_up(core, d, d->lost | (uint32_t)d->refusal << 8))
        return;
    if (d->refusal == XHA_REFUSAL_NO_MEMORY || d->refusal == XHA_REFUSAL_NO_DISK) {
        /* The host's trouble, not the domain's: it does not count against its limit. */
        wait.ms = wait.ms < LOOK_AGAIN_MS ? LOOK_AGAIN_MS : wait.ms;
        xha_enqueue(core, d, d->purpose, wait, XHA_CAUSE_WORKER_REFUSED, d->lost | (uint32_t)d->refusal << 8);
    } else if (d->purpose == XHA_FOR_RESTORE) {
        xha_rest(core, d, XHA_ST_FAILED, XHA_CAUSE_WORKER_REFUSED, d->lost | (uint32_t)d->refusal << 8);
    } else {
        xha_fail(core, d, XHA_FAIL_START);
    }
}

/* ---- deeds on a domain that runs --------------------------------------------------------------------------
 */

static void save_ended(struct xha_core *core, struct dom *d)
{
    if (d->lost != XHA_ACT_CHECKPOINT)
        return;
    host_of(core, d)->n_saving--;
    if (d->policy.protection == XHA_PROT_CHECKPOINT && d->policy.checkpoint_interval.ms)
        xha_timer(core, d, TIMER_SAVE, after(core->now, d->policy.checkpoint_interval));
    if (d->state == XHA_ST_RUNNING || (d->state == XHA_ST_SUSPECT && !d->judged))
        xha_watch(core, d);
}

void xha_run_ok(struct xha_core *core, struct dom *d)
{
    if (d->lost == XHA_ACT_CHECKPOINT)
        d->last_save = core->now;
    save_ended(core, d);
    xha_persist(core, d);
    xha_note(core, d, XHA_CAUSE_WORKER_OK, d->lost);
}

void xha_run_refused(struct xha_core *core, struct dom *d)
{
    save_ended(core, d);
    xha_persist(core, d);
    xha_alarm(core, d, XHA_SEV_WARNING, XHA_CAUSE_WORKER_REFUSED, d->lost | (uint32_t)d->refusal << 8);
}

void xha_run_unknown(struct xha_core *core, struct dom *d)
{
    enum xha_action_type lost = d->lost;

    save_ended(core, d);
    xha_alarm(core, d, XHA_SEV_WARNING, XHA_CAUSE_WORKER_UNKNOWN, lost);
    if (lost != XHA_ACT_CHECKPOINT) {
        xha_persist(core, d);
        return;
    }
    xha_doubt(core, d, lost, XHA_CAUSE_WORKER_UNKNOWN);
    if (!core->denied)
        xha_deed(core, d, XHA_ACT_RESUME, SHORT_DEADLINE_MS, XHA_CAUSE_WORKER_UNKNOWN);
}

/* ---- it is stopped ----------------------------------------------------------------------------------------
 */

void xha_asked(struct xha_core *core, struct dom *d)
{
    xha_persist(core, d); /* and now it has until stop_timeout */
}

void xha_ask_refused(struct xha_core *core, struct dom *d)
{
    xha_alarm(core, d, XHA_SEV_WARNING, XHA_CAUSE_WORKER_REFUSED,
              XHA_ACT_SHUTDOWN | (uint32_t)d->refusal << 8);
    xha_persist(core, d);
}

void xha_stop_died(struct xha_core *core, struct dom *d)
{
    xha_clear(core, d, XHA_CAUSE_OPERATOR, 0);
}

/* Somebody restarted it while it was to stop: the order is not forgotten. */
void xha_stop_other(struct xha_core *core, struct dom *d)
{
    if (d->purpose != XHA_FOR_STOP || d->failure ||
        d->yield == XHA_YIELD_DESTROY) { /* not an operator's stop: it runs again, well */
        xha_adopt_other(core, d);
        return;
    }
    take_other(core, d);
    xha_go(core, d, XHA_ST_STOPPING, XHA_CAUSE_REPLACED, 0);
    xha_timer(core, d, TIMER_STATE, after(core->now, d->policy.stop_timeout));
    xha_deed(core, d, XHA_ACT_SHUTDOWN, SHUTDOWN_DEADLINE_MS, XHA_CAUSE_REPLACED);
}

void xha_stop_late(struct xha_core *core, struct dom *d)
{
    xha_alarm(core, d, XHA_SEV_WARNING, XHA_CAUSE_STOP_TIMEOUT, 0);
    xha_clear(core, d, XHA_CAUSE_STOP_TIMEOUT, 0);
}

/* ---- how a deed ended -------------------------------------------------------------------------------------
 */

void xha_unsure(struct xha_core *core, struct dom *d)
{
    xha_alarm(core, d, XHA_SEV_WARNING, XHA_CAUSE_WORKER_UNKNOWN, d->lost);
    xha_slot_give_back(core, d);
    xha_doubt(core, d, d->lost, XHA_CAUSE_WORKER_UNKNOWN);
}

/* The order that waited for a deed to end, and, when nobody knew how it ended, for that to be settled. */
void xha_deferred(struct xha_core *core, struct dom *d)
{
    struct xha_event again = { .type = XHA_EV_ORDER, .now = core->now, .host = d->host, .uuid = d->uuid };
    struct dom *same;

    again.u.order.type = d->deferred_do;
    again.u.order.checkpoint = d->deferred_checkpoint;
    d->deferred = false;
    xha_persist(core, d);
    if (!xha_order_check(core, &again, &same))
        xha_order_do(core, same, d->deferred_do, d->deferred_checkpoint);
}

void xha_done(struct xha_core *core, struct dom *d, const struct xha_event *ev)
{
    static const enum signal sig[] = {
        [XHA_OK] = SIG_OK, [XHA_REFUSED] = SIG_REFUSED, [XHA_UNKNOWN] = SIG_UNKNOWN
    };

    d->lost = d->pending;
    d->pending = XHA_ACT_NONE;
    d->settled = core->now;
    d->refusal = (unsigned)ev->u.done.refusal < XHA_REFUSAL_N_ ? ev->u.done.refusal : XHA_REFUSAL_OTHER;
    d->skipped = ev->u.done.skipped;
    d->done_domid = ev->u.done.domid;
    xha_timer_off(core, d, TIMER_PEND);
    if (d->yield_waits)
        xha_yield_waited(core, d, ev->u.done.result);
    else
        xha_fsm(core, d, sig[ev->u.done.result]);
}

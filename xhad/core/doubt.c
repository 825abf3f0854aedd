/*
 * doubt.c - settling what is not known. An action that ended UNKNOWN, a domain that xhad finds when it comes
 * up, an order to start: in each case the domain is UNSURE until a listing taken after that moment has told
 * where it stands (rule 8). Only then does anything follow.
 */
#include "internal.h"

void xha_doubt(struct xha_core *core, struct dom *d, enum xha_action_type lost, enum xha_cause cause)
{
    uint32_t detail = cause == XHA_CAUSE_WORKER_REFUSED ? d->lost | (uint32_t)d->refusal << 8
                      : cause == XHA_CAUSE_YIELDED      ? d->yield
                                                        : lost;

    xha_unwatch(core, d);
    d->settled = core->now;
    xha_go(core, d, XHA_ST_UNSURE, cause, detail);
    d->lost = lost;
    xha_store_seen(core, d); /* among those that the next listing must answer for, even without a domid */
    xha_timer(core, d, TIMER_STATE, after(core->now, (struct xha_span){ LOOK_AGAIN_MS }));
    xha_ask_look(core, d->host);
}

void xha_look_again(struct xha_core *core, struct dom *d)
{
    xha_timer(core, d, TIMER_STATE, after(core->now, (struct xha_span){ LOOK_AGAIN_MS }));
    xha_ask_look(core, d->host);
}

static bool lost_start(const struct dom *d)
{
    return d->lost == XHA_ACT_START || d->lost == XHA_ACT_RESTORE;
}

/* The DESTROY did not do it. Once it is said again at once; then with growing pauses, as after a refusal. */
static void not_cleared(struct xha_core *core, struct dom *d)
{
    struct xha_span wait = { CLEAR_AGAIN_MS * (int64_t)d->clear_tries };

    if (!xha_must_not_clear(core, d) && !d->clear_tries++) {
        xha_clear(core, d, XHA_CAUSE_LOOKED, 0);
        return;
    }
    d->clear_tries = d->clear_tries < 10 ? d->clear_tries : 10;
    xha_go(core, d, XHA_ST_CLEARING, XHA_CAUSE_LOOKED, 0);
    xha_timer(core, d, TIMER_STATE, after(core->now, wait));
}

void xha_sure_alive(struct xha_core *core, struct dom *d)
{
    if (d->lost == XHA_ACT_DESTROY) {
        not_cleared(core, d);
        return;
    }
    if (lost_start(d)) { /* unpaused is the last step of a start: it is whole, and its purpose stands */
        enum xha_purpose purpose = d->purpose;
        xha_adopt(core, d);
        d->fresh = true;
        if (d->state == XHA_ST_BOOTING) {
            d->purpose = purpose;
            xha_queue_blocks(core, d); /* the tiers above go on waiting for it */
        }
        return;
    }
    xha_adopt(core, d);
}

void xha_sure_paused(struct xha_core *core, struct dom *d)
{
    struct xha_span at_once = { 0 };

    if (d->lost == XHA_ACT_STANDBY) /* half of a copy: cleared at its turn, and started anew */
        xha_enqueue(core, d, d->purpose, at_once, XHA_CAUSE_STANDBY_LOST, XHA_UNKNOWN);
    else if (lost_start(d))
        xha_fail(core, d, XHA_FAIL_START); /* half built: cleared at its turn */
    else if (d->lost == XHA_ACT_DESTROY)
        not_cleared(core, d);
    else if (d->lost != XHA_ACT_CHECKPOINT && d->lost != XHA_ACT_RESUME)
        xha_pause(core, d);
    else if (!core->denied) /* else it is looked at again */
        xha_deed(core, d, XHA_ACT_RESUME, SHORT_DEADLINE_MS, XHA_CAUSE_LOOKED);
}

void xha_sure_died(struct xha_core *core, struct dom *d)
{
    struct xha_span at_once = { 0 };

    if (d->lost == XHA_ACT_DESTROY)
        not_cleared(core, d);
    else if (d->lost == XHA_ACT_STANDBY)
        xha_enqueue(core, d, d->purpose, at_once, XHA_CAUSE_STANDBY_LOST, XHA_UNKNOWN);
    else if (!lost_start(d) && (d->purpose == XHA_FOR_START || d->purpose == XHA_FOR_RESTORE ||
                                (d->purpose == XHA_FOR_RECOVERY && d->cause == XHA_CAUSE_TAKEN)))
        xha_enqueue(core, d, d->purpose, at_once, XHA_CAUSE_LOOKED, 0);
    else /* in a recovery it is somebody's else that stood in the way */
        xha_died(core, d);
}

void xha_sure_gone(struct xha_core *core, struct dom *d)
{
    struct xha_span at_once = { 0 };

    if (d->lost == XHA_ACT_DESTROY)
        xha_cleared(core, d);
    else if (lost_start(d) && d->purpose == XHA_FOR_RESTORE)
        xha_rest(core, d, XHA_ST_FAILED, XHA_CAUSE_WORKER_UNKNOWN, d->lost);
    else if (lost_start(d))
        xha_fail(core, d, XHA_FAIL_START);
    else if (d->purpose != XHA_FOR_NOTHING)
        xha_enqueue(core, d, d->purpose, at_once,
                    d->cause == XHA_CAUSE_XHAD_RESTART ? d->cause : XHA_CAUSE_LOOKED, 0);
    else if (d->want_run)
        xha_vanish(core, d);
    else
        xha_rest(core, d, d->term || d->ever_beat ? XHA_ST_STOPPED : XHA_ST_DEFINED, XHA_CAUSE_LOOKED, 0);
}

void xha_resumed(struct xha_core *core, struct dom *d)
{
    xha_doubt(core, d, XHA_ACT_RESUME, XHA_CAUSE_WORKER_OK);
}

static void resume_again(struct xha_core *core, struct dom *d, enum xha_cause cause, uint32_t detail)
{
    xha_alarm(core, d, XHA_SEV_CRITICAL, cause, detail);
    xha_doubt(core, d, XHA_ACT_RESUME, cause);
    d->settled = after(core->now, (struct xha_span){ LOOK_AGAIN_MS }); /* a pause between tries */
}

void xha_resume_failed(struct xha_core *core, struct dom *d)
{
    resume_again(core, d, XHA_CAUSE_WORKER_REFUSED, XHA_ACT_RESUME | (uint32_t)d->refusal << 8);
}

void xha_resume_unknown(struct xha_core *core, struct dom *d)
{
    resume_again(core, d, XHA_CAUSE_WORKER_UNKNOWN, XHA_ACT_RESUME);
}

/* ---- after a restart of xhad ---- */

/* What is left of the wait that the present recovery, already noted, was given. */
static struct xha_span backoff_left(const struct xha_core *core, const struct dom *d)
{
    uint32_t n = xha_recoveries(core, d);
    struct xha_span wait = xha_backoff(d, n ? n - 1 : 0);

    if (d->purpose != XHA_FOR_RECOVERY)
        wait.ms = 0;
    wait.ms -= core->now.ms - d->since.ms;
    return wait.ms > 0 ? wait : (struct xha_span){ 0 };
}

/* The host itself was restarted: of a domain that was to be cleared or shut down, nothing is left. */
static void recall_swept(struct xha_core *core, struct dom *d)
{
    if (d->purpose == XHA_FOR_STOP || d->purpose == XHA_FOR_NOTHING)
        xha_rest(core, d, XHA_ST_STOPPED, XHA_CAUSE_XHAD_RESTART, 0);
    else
        xha_doubt(core, d, XHA_ACT_NONE, XHA_CAUSE_XHAD_RESTART);
}

static void recall_settled(struct xha_core *core, struct dom *d, const struct xha_record *r)
{
    switch (d->state) {
    case XHA_ST_DEFINED:
    case XHA_ST_STOPPED:
    case XHA_ST_FAILED:
    case XHA_ST_ERROR:
        break;
    case XHA_ST_MAINTENANCE:
        if (r->domid == XHA_DOMID_OLD && d->want_run && d->policy.autostart)
            d->purpose = XHA_FOR_START; /* to be started with the host, when maintenance ends */
        break;
    case XHA_ST_MIGRATING:
    case XHA_ST_INCOMING:
    case XHA_ST_STANDBY:
        xha_move_recall(core, d);
        break;
    case XHA_ST_QUEUED:
        if (!d->given_up) /* its new owner, or the cluster's word, is waited for */
            xha_enqueue(core, d, d->purpose, backoff_left(core, d), XHA_CAUSE_XHAD_RESTART, 0);
        break;
    case XHA_ST_CLEARING:
    case XHA_ST_STOPPING:
        if (d->domid == XHA_DOMID_NONE)
            recall_swept(core, d);
        else if (d->state == XHA_ST_CLEARING)
            xha_timer(core, d, TIMER_STATE, core->now);
        else
            xha_timer(core, d, TIMER_STATE, after(core->now, d->policy.stop_timeout));
        break;
    default:
        if (d->state != XHA_ST_UNSURE)
            d->purpose = XHA_FOR_NOTHING; /* it had been started: what it dies of counts anew */
        if (d->domid == XHA_DOMID_NONE && d->want_run && d->state != XHA_ST_VANISHED &&
            d->state != XHA_ST_UNSURE)
            d->purpose = XHA_FOR_START; /* the host itself was restarted */
        else if (d->state == XHA_ST_RUNNING || d->state == XHA_ST_SUSPECT)
            d->beaten = true;
        xha_doubt(core, d, d->state == XHA_ST_UNSURE ? r->pending : XHA_ACT_NONE, XHA_CAUSE_XHAD_RESTART);
    }
}

void xha_recall(struct xha_core *core, struct dom *d, const struct xha_record *r)
{
    xha_store_load(core, d, r);
    xha_repl_recall(core, d, r);
    d->settled = core->now;
    if (r->domid == XHA_DOMID_OLD)
        xha_persist(core, d);
    else if (d->domid != r->domid)
        xha_store_domid(core, d, r->domid);
    if (d->domid != XHA_DOMID_NONE) { /* it was there before: to see it is no news */
        d->seen_active = true;
        d->listed.ms = 0;
    }
    if (r->pending_id) {
        /* The adapter knows how it ended, or will: DONE follows. */
        d->pending = r->pending;
        d->pending_id = r->pending_id;
        d->started = d->since;
        if (d->pending == XHA_ACT_CHECKPOINT)
            host_of(core, d)->n_saving++;
        if (d->pending == XHA_ACT_START || d->pending == XHA_ACT_RESTORE) { /* its worker is still at it */
            d->slot = true;
            host_of(core, d)->under_way++;
        }
        if (d->state == XHA_ST_RUNNING || d->state == XHA_ST_SUSPECT)
            d->beaten = true;
        else if (d->state == XHA_ST_MIGRATING || d->state == XHA_ST_INCOMING || d->state == XHA_ST_STANDBY)
            xha_move_recall(core, d);
        d->yield_waits = d->yield != XHA_YIELD_NONE;
        if (d->pending == XHA_ACT_STANDBY && (d->yield_waits || d->verdict == XHA_VERDICT_ABORT))
            xha_cancel(core, d); /* it may not have been told */
        if (d->state == XHA_ST_BOOTING)
            xha_timer(core, d, TIMER_STATE, after(core->now, d->policy.boot_grace));
        else if (d->state == XHA_ST_STOPPING || d->state == XHA_ST_SUSPECT)
            xha_timer(core, d, TIMER_STATE, after(core->now, d->policy.stop_timeout));
        xha_queue_blocks(core, d);
        return;
    }
    if (d->yield && d->repl_deed)
        d->yield_waits = true;
    else if (d->yield)
        xha_yield_go(core, d);
    else
        recall_settled(core, d, r);
    if (!d->used)
        return;
    xha_queue_blocks(core, d); /* the tiers above wait for it as they did */
}

/*
 * repl.c - a domain is replicated: on its owner's host a sender streams it epoch by epoch beside whatever else is
 * done with it, and a gate holds what it sends until the backup has the epoch; on the backup's host a copy stands by.
 *
 * Both sides wait for the cluster's word, and neither for the other's silence: the owner opens its gate only when
 * the end of the pair was ordered (VERDICT), the copy runs only when its promotion was. Until the gate is open
 * nothing is started, cleared, saved or moved at the owner: the copy may be about to take over (rule 1).
 */
#include "internal.h"

/* ---- the owner ---- */

static int may_replicate(const struct xha_core *core, const struct dom *d)
{
    if (d->policy.protection != XHA_PROT_REPLICATE)
        return XHA_CORE_E_POLICY;
    if (core->denied)
        return XHA_CORE_E_QUORUM;
    if (d->repl.id || d->yield || d->deferred || (d->pending && d->pending != XHA_ACT_SCHED))
        return XHA_CORE_E_BUSY;
    switch (d->state) {
    case XHA_ST_RUNNING:
    case XHA_ST_SUSPECT:
    case XHA_ST_BOOTING:
        return XHA_CORE_OK;
    case XHA_ST_UNSURE:
        return XHA_CORE_E_BUSY;
    default:
        return XHA_CORE_E_STATE;
    }
}

int xha_replicate(struct xha_core *core, struct dom *d, const struct xha_move *pair)
{
    int rc;

    if (!pair->id || pair->peer >= XHA_HOSTS_MAX || !pair->port)
        return XHA_CORE_E_INVAL;
    if (d->repl.id == pair->id)
        return XHA_CORE_OK;
    rc = may_replicate(core, d);
    if (rc)
        return rc;
    d->repl = *pair;
    d->repl_stage = XHA_REPL_SYNCING;
    xha_note(core, d, XHA_CAUSE_REPLICATE, pair->peer);
    xha_beside(core, d, XHA_ACT_REPLICATE, 0, XHA_CAUSE_REPLICATE);
    return XHA_CORE_OK;
}

int xha_replicated(struct xha_core *core, struct dom *d, uint64_t id)
{
    if (!id || d->repl_deed != id ||
        (d->repl_stage != XHA_REPL_SYNCING && d->repl_stage != XHA_REPL_PROTECTED))
        return XHA_CORE_E_INVAL;
    if (d->repl_stage == XHA_REPL_PROTECTED)
        return XHA_CORE_OK;
    d->repl_stage = XHA_REPL_PROTECTED;
    xha_persist(core, d);
    xha_note(core, d, XHA_CAUSE_REPLICATED, d->repl.peer);
    return XHA_CORE_OK;
}

static void open_gate(struct xha_core *core, struct dom *d)
{
    d->repl_stage = XHA_REPL_OPENING;
    xha_beside(core, d, XHA_ACT_GATE_OPEN, SHORT_DEADLINE_MS, XHA_CAUSE_REPL_ENDED);
}

/* Perhaps suspended, and in any case mute: by what it does not do it cannot be judged. */
static void judge_not(struct xha_core *core, struct dom *d)
{
    if (d->state == XHA_ST_SUSPECT)
        xha_go(core, d, XHA_ST_RUNNING, XHA_CAUSE_REPL_BROKEN, 0);
    xha_unwatch(core, d);
}

static void broken(struct xha_core *core, struct dom *d, enum xha_result result)
{
    d->repl_stage = XHA_REPL_BROKEN;
    xha_persist(core, d);
    xha_alarm(core, d, XHA_SEV_WARNING, XHA_CAUSE_REPL_BROKEN, result);
    judge_not(core, d);
}

static void closed(struct xha_core *core, struct dom *d)
{
    d->repl = (struct xha_move){ 0 };
    d->repl_stage = XHA_REPL_NONE;
    xha_persist(core, d);
    xha_note(core, d, XHA_CAUSE_REPL_ENDED, 0);
    if (d->state == XHA_ST_RUNNING || (d->state == XHA_ST_SUSPECT && !d->judged))
        xha_watch(core, d);
    if (d->deferred && !d->pending && d->state != XHA_ST_UNSURE)
        xha_deferred(core, d);
}

static void opened(struct xha_core *core, struct dom *d, enum xha_result result)
{
    if (result == XHA_OK) {
        closed(core, d);
        return;
    }
    xha_persist(core, d);
    xha_alarm(core, d, XHA_SEV_CRITICAL,
              result == XHA_UNKNOWN ? XHA_CAUSE_WORKER_UNKNOWN : XHA_CAUSE_WORKER_REFUSED, XHA_ACT_GATE_OPEN);
    xha_timer(core, d, TIMER_REPL, after(core->now, (struct xha_span){ LOOK_AGAIN_MS }));
}

void xha_repl_done(struct xha_core *core, struct dom *d, enum xha_result result)
{
    d->repl_deed = 0;
    d->settled = core->now; /* what was seen before may have been a guest between two epochs */
    if (d->repl_stage == XHA_REPL_OPENING)
        opened(core, d, result);
    else if (d->repl_stage == XHA_REPL_ENDING && !d->yield)
        open_gate(core, d);
    else if (d->repl_stage != XHA_REPL_ENDING)
        broken(core, d, result);
    if (d->yield_waits && !d->pending && !d->repl_deed)
        xha_yield_go(core, d);
}

void xha_repl_cancel(struct xha_core *core, const struct dom *d)
{
    if (d->repl_deed && d->repl_stage != XHA_REPL_OPENING)
        xha_tell_worker(core, d, XHA_ACT_CANCEL, d->repl_deed);
}

/* No commit: the pair has ended in order, and the domain goes on here alone. */
int xha_repl_verdict(struct xha_core *core, struct dom *d, bool commit)
{
    if (commit)
        return XHA_CORE_E_STATE; /* it is the backup's: yielded, with its gate shut */
    if (d->repl_stage == XHA_REPL_ENDING || d->repl_stage == XHA_REPL_OPENING)
        return XHA_CORE_OK;
    judge_not(core, d);
    if (d->repl_stage == XHA_REPL_BROKEN) {
        open_gate(core, d);
        return XHA_CORE_OK;
    }
    d->repl_stage = XHA_REPL_ENDING;
    xha_persist(core, d);
    xha_repl_cancel(core, d);
    return XHA_CORE_OK;
}

/* ---- the backup ---- */

void xha_standby(struct xha_core *core, struct dom *d, const struct xha_event *ev)
{
    xha_go(core, d, XHA_ST_STANDBY, XHA_CAUSE_REPLICATE, ev->u.protect.move.peer);
    xha_deed(core, d, XHA_ACT_STANDBY, 0, XHA_CAUSE_REPLICATE);
}

int xha_silent(struct dom *d, uint64_t id)
{
    if (d->pending != XHA_ACT_STANDBY || d->pending_id != id)
        return XHA_CORE_E_INVAL;
    d->silent = true;
    return XHA_CORE_OK;
}

/* The copy is lost, and the domain is this host's: started anew, once it is known what is here, for half of a copy
 * must not run. */
static void recover(struct xha_core *core, struct dom *d)
{
    d->move = (struct xha_move){ 0 };
    d->verdict = XHA_VERDICT_NONE;
    d->silent = false;
    d->want_run = true;
    d->purpose = XHA_FOR_RECOVERY;
    d->failure = XHA_FAIL_HOST;
    xha_doubt(core, d, XHA_ACT_STANDBY, XHA_CAUSE_STANDBY_LOST);
}

void xha_promote(struct xha_core *core, struct dom *d)
{
    if (core->denied)
        xha_timer(core, d, TIMER_REPL, after(core->now, core->set.round_interval));
    else if (d->pending == XHA_ACT_STANDBY)
        xha_tell_worker(core, d, XHA_ACT_PROMOTE, d->pending_id);
    else
        recover(core, d);
}

/* Lost with a verdict, or before one: then the cluster hears of it. */
static void standby_lost(struct xha_core *core, struct dom *d, enum xha_result result)
{
    if (d->verdict != XHA_VERDICT_ABORT)
        xha_alarm(core, d, XHA_SEV_WARNING, XHA_CAUSE_STANDBY_LOST, result);
    if (d->verdict == XHA_VERDICT_COMMIT)
        recover(core, d);
    else if (d->verdict == XHA_VERDICT_ABORT)
        xha_yield_begin(core, d, XHA_YIELD_DESTROY);
    else
        xha_persist(core, d);
}

void xha_standby_ok(struct xha_core *core, struct dom *d)
{
    if (d->verdict != XHA_VERDICT_COMMIT) { /* nobody has promoted it: cannot be, and nothing is known then */
        standby_lost(core, d, XHA_UNKNOWN);
        return;
    }
    d->silent = false;
    xha_store_domid(core, d, d->done_domid);
    d->listed.ms = 0;
    xha_moved_in(core, d, XHA_CAUSE_PROMOTED);
}

void xha_standby_refused(struct xha_core *core, struct dom *d)
{
    standby_lost(core, d, XHA_REFUSED);
}

void xha_standby_unknown(struct xha_core *core, struct dom *d)
{
    standby_lost(core, d, XHA_UNKNOWN);
}

/* ---- again ---- */

void xha_repl_timer(struct xha_core *core, struct dom *d)
{
    if (d->state == XHA_ST_STANDBY && d->verdict == XHA_VERDICT_COMMIT && !d->yield)
        xha_promote(core, d);
    else if (d->repl_stage == XHA_REPL_OPENING && !d->repl_deed && !d->yield)
        open_gate(core, d);
}

/* After a restart of xhad. Its workers live on; what they may not have been told is told again. */
void xha_repl_recall(struct xha_core *core, struct dom *d, const struct xha_record *r)
{
    if (r->domid == XHA_DOMID_OLD) { /* the host was booted since: neither sender nor gate is left */
        d->repl = (struct xha_move){ 0 };
        d->repl_stage = XHA_REPL_NONE;
        d->repl_deed = 0;
        return;
    }
    if (d->repl_stage == XHA_REPL_ENDING || d->yield)
        xha_repl_cancel(core, d);
    if (d->repl_stage == XHA_REPL_OPENING || d->state == XHA_ST_STANDBY)
        xha_timer(core, d, TIMER_REPL, core->now);
}

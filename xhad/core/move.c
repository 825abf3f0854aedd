/*
 * move.c - a domain moves between hosts. The two ends stream and then wait: which of the two copies runs on is
 * the cluster's word, the verdict, and nothing is resumed or destroyed before it (rules 1 and 4).
 *
 *   MIGRATING  the source. Sent: the guest is suspended here. The verdict: commit, and it is destroyed here;
 *              abort, and it runs on here.
 *   INCOMING   the target. Here: it is whole and paused. The verdict: commit, and it runs here; abort, and it
 *              is destroyed here.
 *
 * A domain whose disks move along (xha_move.disks) is stopped at the source first, and what is sent are its
 * disks alone: the verdict says which host starts it again.
 *
 * While a worker is at it, a verdict waits for its end. No beat is expected in these states.
 */
#include "internal.h"

#define MOVE_DEADLINE_MS 3600000 /* when the cluster names none */
#define MOVED_GRACE_MS   30000   /* for its agent to find the new host's xenstore */

static int64_t deadline_ms(const struct dom *d)
{
    return d->move.timeout.ms > 0 ? d->move.timeout.ms : MOVE_DEADLINE_MS;
}

static void no_move(struct dom *d)
{
    d->move = (struct xha_move){ 0 };
    d->move_sent = false;
    d->verdict = XHA_VERDICT_NONE;
}

static bool moves(const struct dom *d)
{
    return d->state == XHA_ST_MIGRATING || d->state == XHA_ST_INCOMING || d->state == XHA_ST_STANDBY;
}

/* ---- begin ---- */

static bool stopped(const struct dom *d)
{
    return d->domid == XHA_DOMID_NONE && (d->state == XHA_ST_STOPPED || d->state == XHA_ST_DEFINED);
}

static int may_move_out(const struct xha_core *core, const struct dom *d, const struct xha_move *move)
{
    if (d->policy.protection == XHA_PROT_MONITOR)
        return XHA_CORE_E_POLICY;
    if (core->denied)
        return XHA_CORE_E_QUORUM;
    if (d->repl.id)
        return XHA_CORE_E_BUSY; /* its gate is about to be opened */
    switch (d->state) {
    case XHA_ST_RUNNING:
    case XHA_ST_SUSPECT:
    case XHA_ST_BOOTING:
        return d->pending || d->deferred || d->yield ? XHA_CORE_E_BUSY : XHA_CORE_OK;
    case XHA_ST_QUEUED:
    case XHA_ST_CLEARING:
    case XHA_ST_STARTING:
    case XHA_ST_STOPPING:
    case XHA_ST_VANISHED:
    case XHA_ST_UNSURE:
    case XHA_ST_MIGRATING:
    case XHA_ST_INCOMING:
    case XHA_ST_STANDBY:
        return XHA_CORE_E_BUSY;
    default:
        if (move->disks && stopped(d))
            return d->pending || d->yield ? XHA_CORE_E_BUSY : XHA_CORE_OK;
        return XHA_CORE_E_STATE;
    }
}

static void send(struct xha_core *core, struct dom *d)
{
    xha_go(core, d, XHA_ST_MIGRATING, XHA_CAUSE_MOVE, d->move.peer);
    xha_deed(core, d, XHA_ACT_MIGRATE, deadline_ms(d), XHA_CAUSE_MOVE);
}

static void stop_first(struct xha_core *core, struct dom *d)
{
    d->want_run = true;
    d->failure = XHA_FAIL_NONE;
    d->purpose = XHA_FOR_STOP;
    xha_go(core, d, XHA_ST_STOPPING, XHA_CAUSE_MOVE, d->move.peer);
    xha_timer(core, d, TIMER_STATE, after(core->now, d->policy.stop_timeout));
    xha_deed(core, d, XHA_ACT_SHUTDOWN, SHUTDOWN_DEADLINE_MS, XHA_CAUSE_MOVE);
}

static void decide(struct xha_core *core, struct dom *d);

int xha_move_out(struct xha_core *core, struct dom *d, const struct xha_move *move)
{
    int rc;

    if (!move->id || move->peer >= XHA_HOSTS_MAX)
        return XHA_CORE_E_INVAL;
    if (d->state != XHA_ST_INCOMING && d->state != XHA_ST_STANDBY && d->move.id == move->id)
        return XHA_CORE_OK;
    rc = may_move_out(core, d, move);
    if (rc)
        return rc;
    no_move(d);
    d->move = *move;
    xha_unwatch(core, d);
    xha_timer_off(core, d, TIMER_SAVE);
    if (move->disks && !stopped(d))
        stop_first(core, d);
    else
        send(core, d);
    return XHA_CORE_OK;
}

/* Without quorum, or when a restart of xhad has forgotten where the receiver listens, nothing is sent, and the
 * cluster ends the move. */
void xha_move_stopped(struct xha_core *core, struct dom *d)
{
    d->purpose = XHA_FOR_NOTHING;
    if (d->move.port && !d->verdict && !core->denied) {
        send(core, d);
        return;
    }
    xha_go(core, d, XHA_ST_MIGRATING, XHA_CAUSE_MOVE, d->move.peer);
    if (d->verdict)
        decide(core, d);
}

void xha_incoming(struct xha_core *core, struct dom *d, const struct xha_event *ev)
{
    d->term = ev->u.protect.term;
    d->ever_beat = ev->u.protect.ever_beat;
    d->move = ev->u.protect.move;
    d->want_run = ev->u.protect.want_run;
    xha_recoveries_elsewhere(core, d, ev->u.protect.recoveries);
    if (ev->u.protect.standby) {
        xha_standby(core, d, ev);
        return;
    }
    xha_go(core, d, XHA_ST_INCOMING, XHA_CAUSE_MOVE, d->move.peer);
    xha_deed(core, d, XHA_ACT_RECEIVE, deadline_ms(d), XHA_CAUSE_MOVE);
}

int xha_listening(struct dom *d, uint64_t id, uint16_t port)
{
    if ((d->pending != XHA_ACT_RECEIVE && d->pending != XHA_ACT_STANDBY) || d->pending_id != id || !port)
        return XHA_CORE_E_INVAL;
    d->move.port = port;
    return XHA_CORE_OK;
}

/* ---- the verdict ---- */

/* It is this host's to run, and how the worker left it is not known: whoever is found is let go on, and who is
 * not there is started again. */
static void find_and_run(struct xha_core *core, struct dom *d, enum xha_cause cause)
{
    no_move(d);
    d->purpose = XHA_FOR_RECOVERY;
    d->want_run = true;
    xha_doubt(core, d, XHA_ACT_RESUME, cause);
}

/* Its disks were to move, and it is this host's: started when it is wanted, if nobody else has. */
static void start_here(struct xha_core *core, struct dom *d, enum xha_cause cause)
{
    no_move(d);
    d->purpose = d->want_run ? XHA_FOR_START : XHA_FOR_NOTHING;
    xha_doubt(core, d, XHA_ACT_NONE, cause);
}

static void run_here(struct xha_core *core, struct dom *d)
{
    enum xha_cause cause = d->verdict == XHA_VERDICT_COMMIT ? XHA_CAUSE_MOVED : XHA_CAUSE_MOVE_ENDED;

    if (d->move.disks)
        start_here(core, d, cause);
    else if (core->denied)
        xha_timer(core, d, TIMER_STATE, after(core->now, core->set.round_interval));
    else if (d->move_sent && d->domid != XHA_DOMID_NONE)
        xha_deed(core, d, XHA_ACT_RESUME, SHORT_DEADLINE_MS, cause);
    else
        find_and_run(core, d, cause);
}

static void decide(struct xha_core *core, struct dom *d)
{
    bool here = (d->state != XHA_ST_MIGRATING) == (d->verdict == XHA_VERDICT_COMMIT);

    if (here && d->state == XHA_ST_STANDBY)
        xha_promote(core, d);
    else if (here)
        run_here(core, d);
    else
        xha_yield_begin(core, d, XHA_YIELD_DESTROY);
}

/* It was to be stopped before its disks are sent. */
static void decide_early(struct xha_core *core, struct dom *d)
{
    if (d->verdict == XHA_VERDICT_COMMIT)
        xha_yield_begin(core, d, XHA_YIELD_DESTROY);
    else if (stopped(d))
        start_here(core, d, XHA_CAUSE_MOVE_ENDED);
    else if (d->state != XHA_ST_STOPPING && d->state != XHA_ST_CLEARING && d->state != XHA_ST_UNSURE)
        no_move(d); /* something else came in between; else it goes on to its stop, and is started again */
}

int xha_verdict(struct xha_core *core, struct dom *d, uint64_t move, bool commit)
{
    enum xha_verdict verdict = commit ? XHA_VERDICT_COMMIT : XHA_VERDICT_ABORT;

    if (d->repl.id && d->repl.id == move && !d->yield)
        return xha_repl_verdict(core, d, commit);
    if (!d->move.id || d->move.id != move || d->yield)
        return XHA_CORE_E_STATE;
    if (d->verdict)
        return d->verdict == verdict ? XHA_CORE_OK : XHA_CORE_E_STATE;
    d->verdict = verdict;
    xha_persist(core, d);
    if (!moves(d))
        decide_early(core, d);
    else if (!d->pending || (commit && d->state == XHA_ST_STANDBY))
        decide(core, d);
    else if (!commit)
        xha_cancel(core, d);
    return XHA_CORE_OK;
}

int xha_move_cancel(struct xha_core *core, struct dom *d, uint64_t move)
{
    if (!moves(d) || d->move.id != move || !xha_cancel(core, d))
        return XHA_CORE_E_STATE;
    return XHA_CORE_OK;
}

/* A verdict that waits for quorum, or after a restart of xhad; or a receiver that the restart has swept away. */
void xha_move_timer(struct xha_core *core, struct dom *d)
{
    if (d->verdict)
        decide(core, d);
    else if (d->state == XHA_ST_INCOMING && !d->move_sent)
        xha_yield_begin(core, d, XHA_YIELD_DESTROY);
}

void xha_move_recall(struct xha_core *core, struct dom *d)
{
    d->beaten = d->state == XHA_ST_MIGRATING && d->ever_beat;
    if (!d->pending)
        xha_timer(core, d, TIMER_STATE, core->now);
}

/* ---- ends of deeds: the source ---- */

static void stays(struct xha_core *core, struct dom *d, enum xha_cause cause)
{
    no_move(d);
    d->purpose = XHA_FOR_NOTHING;
    xha_run_or_boot(core, d, cause);
}

void xha_migrated(struct xha_core *core, struct dom *d)
{
    if (d->lost == XHA_ACT_RESUME) {
        stays(core, d, XHA_CAUSE_WORKER_OK);
        return;
    }
    d->move_sent = true;
    xha_persist(core, d);
    xha_note(core, d, XHA_CAUSE_WORKER_OK, XHA_ACT_MIGRATE);
    if (d->verdict)
        decide(core, d);
}

static void decide_refused(struct xha_core *core, struct dom *d)
{
    if (d->verdict == XHA_VERDICT_COMMIT || d->move.disks)
        decide(core, d); /* commit cannot be, and yet: it is the target's */
    else
        stays(core, d, XHA_CAUSE_MOVE_ENDED);
}

void xha_migrate_refused(struct xha_core *core, struct dom *d)
{
    xha_alarm(core, d, XHA_SEV_WARNING, XHA_CAUSE_WORKER_REFUSED, d->lost | (uint32_t)d->refusal << 8);
    if (d->lost == XHA_ACT_RESUME)
        find_and_run(core, d, XHA_CAUSE_WORKER_REFUSED);
    else if (d->verdict)
        decide_refused(core, d);
    else if (d->move.disks)
        xha_persist(core, d); /* the target may have them all: the verdict is waited for */
    else
        stays(core, d, XHA_CAUSE_MOVE_ENDED);
}

void xha_migrate_unknown(struct xha_core *core, struct dom *d)
{
    xha_alarm(core, d, XHA_SEV_WARNING, XHA_CAUSE_WORKER_UNKNOWN, d->lost);
    if (d->lost == XHA_ACT_RESUME) {
        find_and_run(core, d, XHA_CAUSE_WORKER_UNKNOWN);
        return;
    }
    xha_persist(core, d);
    if (d->verdict)
        decide(core, d);
}

/* ---- ends of deeds: the target ---- */

void xha_moved_in(struct xha_core *core, struct dom *d, enum xha_cause cause)
{
    struct xha_span grace = { d->policy.heartbeat_timeout.ms + MOVED_GRACE_MS };

    no_move(d);
    d->fresh = true;
    d->want_run = true;
    d->purpose = XHA_FOR_NOTHING;
    xha_run_or_boot(core, d, cause);
    if (d->state == XHA_ST_BOOTING) /* it has been up for long: no boot_grace is needed */
        xha_timer(core, d, TIMER_STATE, after(core->now, grace));
    xha_deed(core, d, XHA_ACT_SCHED, SHORT_DEADLINE_MS, cause);
}

void xha_received(struct xha_core *core, struct dom *d)
{
    if (d->lost == XHA_ACT_RESUME) {
        xha_moved_in(core, d, XHA_CAUSE_MOVED);
        return;
    }
    if (!d->move.disks) {
        xha_store_domid(core, d, d->done_domid);
        d->listed.ms = 0;
    }
    d->move_sent = true;
    xha_persist(core, d);
    xha_note(core, d, XHA_CAUSE_WORKER_OK, XHA_ACT_RECEIVE);
    if (d->verdict)
        decide(core, d);
}

static void not_received(struct xha_core *core, struct dom *d, enum xha_cause cause, uint32_t detail)
{
    xha_alarm(core, d, XHA_SEV_WARNING, cause, detail);
    if (d->lost == XHA_ACT_RESUME)
        find_and_run(core, d, cause);
    else if (d->verdict == XHA_VERDICT_COMMIT)
        decide(core, d);
    else
        xha_yield_begin(core, d, XHA_YIELD_DESTROY);
}

void xha_receive_refused(struct xha_core *core, struct dom *d)
{
    not_received(core, d, XHA_CAUSE_WORKER_REFUSED, d->lost | (uint32_t)d->refusal << 8);
}

void xha_receive_unknown(struct xha_core *core, struct dom *d)
{
    not_received(core, d, XHA_CAUSE_WORKER_UNKNOWN, d->lost);
}

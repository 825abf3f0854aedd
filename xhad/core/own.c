/*
 * own.c - whose a domain is. In a cluster the node says so (node.h): it gives a domain to this host, takes it
 * away again, and says whether this host may start anything at all. A domain that is yielded is gone for the
 * core only when a listing has shown that none of it is here.
 */
#include "internal.h"

void xha_permit(struct xha_core *core, uint8_t host, bool start)
{
    core->cluster = true;
    core->denied = !start;
    core->host[host].maintenance = false; /* there it is the cluster's leader that empties a host */
}

/* Recoveries that other hosts have made: when is not known, so they count as made now. */
void xha_recoveries_elsewhere(struct xha_core *core, struct dom *d, uint32_t n)
{
    d->n_recoveries = n < XHA_HISTORY_MAX ? n : XHA_HISTORY_MAX;
    for (uint32_t i = 0; i < d->n_recoveries; i++)
        d->recovery[i] = core->now;
}

void xha_take(struct xha_core *core, struct dom *d, const struct xha_event *ev)
{
    d->term = ev->u.protect.term;
    d->ever_beat = ev->u.protect.ever_beat;
    d->purpose = ev->u.protect.purpose;
    d->failure = ev->u.protect.failure;
    d->want_run = ev->u.protect.want_run || d->purpose != XHA_FOR_NOTHING;
    xha_recoveries_elsewhere(core, d, ev->u.protect.recoveries);
    xha_doubt(core, d, XHA_ACT_NONE, XHA_CAUSE_TAKEN);
}

/* ---- it cannot be started here ---- */

bool xha_give_up(struct xha_core *core, struct dom *d, uint32_t detail)
{
    if (!core->cluster || !d->relocate || d->domid != XHA_DOMID_NONE)
        return false;
    xha_unwatch(core, d);
    xha_slot_give_back(core, d);
    d->given_up = true;
    d->want_run = true;
    xha_go(core, d, XHA_ST_QUEUED, XHA_CAUSE_GIVEN_UP, detail);
    xha_say_give_up(core, d, detail);
    return true;
}

/* ---- it is not ours any more ---- */

/* Nothing is known of it from here on. */
void xha_let_go(struct xha_core *core, struct dom *d, enum xha_cause cause, uint32_t detail)
{
    d->persist_step = core->step; /* there is nothing to store any more */
    xha_note(core, d, cause, detail);
    xha_unwatch(core, d);
    xha_slot_give_back(core, d);
    xha_queue_leave(core, d);
    d->state = XHA_ST_DEFINED;
    d->deferred = false;
    xha_queue_blocks(core, d);
    xha_store_domid(core, d, XHA_DOMID_NONE);
    xha_forget(core, d);
    for (int i = 0; i < XHA_HOSTS_MAX; i++) /* work that goes through all domains starts over */
        core->host[i].maint_next = 0;
    xha_store_drop(core, d);
}

static bool may_stop(const struct dom *d)
{
    switch (d->state) {
    case XHA_ST_PAUSED:
    case XHA_ST_ERROR:
    case XHA_ST_MAINTENANCE:
    case XHA_ST_MIGRATING:
    case XHA_ST_INCOMING:
    case XHA_ST_STANDBY:
        return false;
    default:
        return true;
    }
}

static void ask_to_stop(struct xha_core *core, struct dom *d)
{
    xha_go(core, d, XHA_ST_STOPPING, XHA_CAUSE_YIELDED, d->yield);
    xha_timer(core, d, TIMER_STATE, after(core->now, d->policy.stop_timeout));
    xha_deed(core, d, XHA_ACT_SHUTDOWN, SHUTDOWN_DEADLINE_MS, XHA_CAUSE_YIELDED);
}

/* No deed is under way now. */
void xha_yield_go(struct xha_core *core, struct dom *d)
{
    bool runs = d->state == XHA_ST_RUNNING || d->state == XHA_ST_BOOTING || d->state == XHA_ST_SUSPECT;

    d->yield_waits = d->given_up = d->deferred = false;
    if (d->yield == XHA_YIELD_LEAVE) {
        xha_let_go(core, d, XHA_CAUSE_YIELDED, XHA_YIELD_LEAVE);
        return;
    }
    xha_unwatch(core, d);
    xha_slot_give_back(core, d);
    xha_queue_leave(core, d);
    xha_timer_off(core, d, TIMER_SAVE);
    d->want_run = false;
    d->failure = XHA_FAIL_NONE;
    d->purpose = XHA_FOR_STOP;
    d->clear_tries = 0;
    if (d->yield == XHA_YIELD_STOP && runs)
        ask_to_stop(core, d);
    else if (d->yield == XHA_YIELD_STOP && d->state == XHA_ST_STOPPING && d->domid != XHA_DOMID_NONE)
        xha_timer(core, d, TIMER_STATE, after(core->now, d->policy.stop_timeout)); /* it was asked already */
    else
        xha_doubt(core, d, XHA_ACT_DESTROY, XHA_CAUSE_YIELDED);
}

void xha_yield_begin(struct xha_core *core, struct dom *d, enum xha_yield how)
{
    d->yield = how;
    d->deferred = false;
    if (!d->pending && !d->repl_deed) {
        xha_yield_go(core, d);
        return;
    }
    d->yield_waits = true;
    xha_persist(core, d);
    xha_cancel(core, d);
    xha_repl_cancel(core, d);
}

int xha_yield(struct xha_core *core, struct dom *d, enum xha_yield how)
{
    if (how <= XHA_YIELD_NONE || how >= XHA_YIELD_N_)
        return XHA_CORE_E_INVAL;
    if (d->yield == how || d->yield == XHA_YIELD_DESTROY)
        return XHA_CORE_OK; /* it is on its way */
    if (how == XHA_YIELD_STOP && !may_stop(d))
        return XHA_CORE_E_STATE;
    xha_yield_begin(core, d, how);
    return XHA_CORE_OK;
}

/* The deed that a yield had to wait for has ended. */
void xha_yield_waited(struct xha_core *core, struct dom *d, enum xha_result result)
{
    bool makes = d->lost == XHA_ACT_START || d->lost == XHA_ACT_RESTORE || d->lost == XHA_ACT_RECEIVE ||
                 d->lost == XHA_ACT_STANDBY;

    if (d->lost == XHA_ACT_CHECKPOINT)
        host_of(core, d)->n_saving--;
    if (makes && result == XHA_OK)
        xha_store_domid(core, d, d->done_domid);
    if (!d->repl_deed)
        xha_yield_go(core, d);
}

/* What was known of it is gone; whether that was all of it, only a listing tells. */
void xha_yield_cleared(struct xha_core *core, struct dom *d)
{
    if (d->state == XHA_ST_UNSURE)
        xha_let_go(core, d, XHA_CAUSE_YIELDED, d->yield);
    else
        xha_doubt(core, d, XHA_ACT_DESTROY, XHA_CAUSE_YIELDED);
}

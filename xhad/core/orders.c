/*
 * orders.c - what an operator may want of a domain, and when. One matrix answers for both the real order and
 * its dry run; an order that comes while a deed is under way either waits for its end or is refused as busy.
 */
#include "internal.h"

#define OK    XHA_CORE_OK
#define STATE XHA_CORE_E_STATE
#define BUSY  XHA_CORE_E_BUSY

/* clang-format off */
static const int8_t may[XHA_ST_N_][XHA_DO_N_] = {
/*                       START  STOP   RESTART CHECKPOINT RESTORE MAINT_ON MAINT_OFF SCHED */
[XHA_ST_DEFINED]     = { OK,    STATE, STATE,  STATE,     OK,     OK,      STATE,    STATE },
[XHA_ST_QUEUED]      = { OK,    OK,    STATE,  STATE,     OK,     OK,      STATE,    STATE },
[XHA_ST_CLEARING]    = { STATE, OK,    STATE,  STATE,     BUSY,   OK,      STATE,    STATE },
[XHA_ST_STARTING]    = { STATE, OK,    STATE,  STATE,     BUSY,   OK,      STATE,    STATE },
[XHA_ST_BOOTING]     = { STATE, OK,    OK,     STATE,     OK,     OK,      STATE,    OK },
[XHA_ST_RUNNING]     = { STATE, OK,    OK,     OK,        OK,     OK,      STATE,    OK },
[XHA_ST_SUSPECT]     = { STATE, OK,    OK,     STATE,     OK,     OK,      STATE,    OK },
[XHA_ST_PAUSED]      = { STATE, STATE, STATE,  STATE,     STATE,  OK,      STATE,    OK },
[XHA_ST_STOPPING]    = { STATE, STATE, STATE,  STATE,     BUSY,   OK,      STATE,    STATE },
[XHA_ST_VANISHED]    = { OK,    OK,    STATE,  STATE,     OK,     OK,      STATE,    STATE },
[XHA_ST_UNSURE]      = { BUSY,  BUSY,  BUSY,   BUSY,      BUSY,   OK,      STATE,    BUSY },
[XHA_ST_STOPPED]     = { OK,    STATE, STATE,  STATE,     OK,     OK,      STATE,    STATE },
[XHA_ST_FAILED]      = { OK,    OK,    OK,     STATE,     OK,     OK,      STATE,    STATE },
[XHA_ST_ERROR]       = { OK,    STATE, STATE,  STATE,     STATE,  OK,      STATE,    STATE },
[XHA_ST_MAINTENANCE] = { STATE, STATE, STATE,  STATE,     STATE,  STATE,   OK,       STATE },
[XHA_ST_MIGRATING]   = { STATE, BUSY,  BUSY,   BUSY,      BUSY,   BUSY,    STATE,    BUSY },
[XHA_ST_INCOMING]    = { STATE, BUSY,  BUSY,   BUSY,      BUSY,   BUSY,    STATE,    BUSY },
[XHA_ST_STANDBY]     = { STATE, BUSY,  BUSY,   BUSY,      BUSY,   BUSY,    STATE,    BUSY },
};
/* clang-format on */

static bool waits_for_deed(enum xha_order_type type)
{
    return type == XHA_DO_STOP || type == XHA_DO_RESTART || type == XHA_DO_RESTORE ||
           type == XHA_DO_MAINTENANCE_ON;
}

/* It is to go into maintenance when its deed ends. */
static bool maintenance_waits(const struct dom *d)
{
    return d->deferred && d->deferred_do == XHA_DO_MAINTENANCE_ON;
}

static int check(const struct xha_core *core, const struct dom *d, enum xha_order_type type)
{
    bool maintenance = type == XHA_DO_MAINTENANCE_ON || type == XHA_DO_MAINTENANCE_OFF;

    if (type == XHA_DO_MAINTENANCE_OFF && maintenance_waits(d))
        return XHA_CORE_OK;
    if (d->yield || d->given_up || d->move.id)
        return XHA_CORE_E_BUSY;
    if (may[d->state][type])
        return may[d->state][type];
    if (d->policy.protection == XHA_PROT_MONITOR && !maintenance)
        return XHA_CORE_E_POLICY;
    if (core->denied && type == XHA_DO_RESTORE)
        return XHA_CORE_E_QUORUM; /* what runs would be cleared, and nothing started */
    /* One order can wait. Maintenance takes its place, so that a host's maintenance leaves nobody out. */
    if (d->repl.id && type == XHA_DO_CHECKPOINT && (d->pending || d->deferred))
        return XHA_CORE_E_BUSY;
    if (d->pending && (!waits_for_deed(type) || (d->deferred && type != XHA_DO_MAINTENANCE_ON)))
        return XHA_CORE_E_BUSY;
    return XHA_CORE_OK;
}

/* *d_r is NULL when the order is for a whole host. */
int xha_order_check(const struct xha_core *core, const struct xha_event *ev, struct dom **d_r)
{
    static const struct xha_uuid whole_host;

    *d_r = NULL;
    if (!memcmp(&ev->uuid, &whole_host, sizeof whole_host))
        return ev->u.order.type == XHA_DO_MAINTENANCE_ON || ev->u.order.type == XHA_DO_MAINTENANCE_OFF
                   ? XHA_CORE_OK
                   : XHA_CORE_E_INVAL;
    if ((unsigned)ev->u.order.type >= XHA_DO_N_)
        return XHA_CORE_E_INVAL;
    *d_r = xha_store_find(core, &ev->uuid);
    return *d_r ? check(core, *d_r, ev->u.order.type) : XHA_CORE_E_NODOMAIN;
}

/* ---- the orders ---- */

static void do_start(struct xha_core *core, struct dom *d)
{
    struct xha_span at_once = { 0 };

    d->want_run = true;
    d->failure = XHA_FAIL_NONE;
    d->restores = 0;
    d->n_recoveries = 0;
    if (d->state == XHA_ST_QUEUED) {
        xha_enqueue(core, d, d->purpose, at_once, XHA_CAUSE_OPERATOR, 0);
        return;
    }
    d->purpose = XHA_FOR_START;
    xha_doubt(core, d, XHA_ACT_NONE, XHA_CAUSE_OPERATOR); /* somebody may have started it: look first */
}

static void do_stop(struct xha_core *core, struct dom *d, enum xha_purpose then)
{
    d->want_run = then != XHA_FOR_STOP;
    d->failure = XHA_FAIL_NONE;
    d->purpose = then;
    d->restores = 0;
    d->n_recoveries = 0;
    if (d->state == XHA_ST_QUEUED || d->state == XHA_ST_FAILED || d->state == XHA_ST_VANISHED ||
        d->state == XHA_ST_CLEARING) {
        xha_clear(core, d, XHA_CAUSE_OPERATOR, 0);
        return;
    }
    xha_unwatch(core, d);
    xha_go(core, d, XHA_ST_STOPPING, XHA_CAUSE_OPERATOR, 0);
    xha_timer(core, d, TIMER_STATE, after(core->now, d->policy.stop_timeout));
    xha_deed(core, d, XHA_ACT_SHUTDOWN, SHUTDOWN_DEADLINE_MS, XHA_CAUSE_OPERATOR);
}

static void do_restore(struct xha_core *core, struct dom *d, uint64_t checkpoint)
{
    struct xha_span at_once = { 0 };

    d->checkpoint = checkpoint;
    d->failure = XHA_FAIL_NONE;
    d->want_run = true;
    d->restores = 0;
    d->purpose = XHA_FOR_RESTORE;
    if (d->domid != XHA_DOMID_NONE)
        xha_clear(core, d, XHA_CAUSE_OPERATOR, 0);
    else
        xha_enqueue(core, d, XHA_FOR_RESTORE, at_once, XHA_CAUSE_OPERATOR, 0);
}

static void do_checkpoint(struct xha_core *core, struct dom *d)
{
    xha_unwatch(core, d); /* suspended for a while: no beat is expected */
    host_of(core, d)->n_saving++;
    xha_deed(core, d, XHA_ACT_CHECKPOINT, SAVE_DEADLINE_MS, XHA_CAUSE_OPERATOR);
}

static void do_maintenance(struct xha_core *core, struct dom *d, bool on)
{
    if (on) {
        /* One that we had cleared, or not yet started, goes on where it was when maintenance ends. */
        enum xha_purpose purpose =
            d->state == XHA_ST_QUEUED && d->domid == XHA_DOMID_NONE ? d->purpose : XHA_FOR_NOTHING;
        xha_rest(core, d, XHA_ST_MAINTENANCE, XHA_CAUSE_OPERATOR, 0);
        d->purpose = purpose;
        return;
    }
    d->want_run = d->purpose != XHA_FOR_NOTHING; /* who else is not there now was taken down (rule 5) */
    d->failure = XHA_FAIL_NONE;
    xha_doubt(core, d, XHA_ACT_NONE, XHA_CAUSE_OPERATOR);
}

void xha_order_do(struct xha_core *core, struct dom *d, enum xha_order_type type, uint64_t checkpoint)
{
    if (type == XHA_DO_MAINTENANCE_OFF && maintenance_waits(d)) {
        d->deferred = false;
        xha_persist(core, d);
        return;
    }
    if (d->pending || (d->repl.id && type == XHA_DO_CHECKPOINT)) { /* the latter until its gate is open */
        d->deferred = true;
        d->deferred_do = type;
        d->deferred_checkpoint = checkpoint;
        xha_persist(core, d); /* it is acknowledged */
        return;
    }
    switch (type) {
    case XHA_DO_START:
        do_start(core, d);
        break;
    case XHA_DO_STOP:
        do_stop(core, d, XHA_FOR_STOP);
        break;
    case XHA_DO_RESTART:
        do_stop(core, d, XHA_FOR_START);
        break;
    case XHA_DO_CHECKPOINT:
        do_checkpoint(core, d);
        break;
    case XHA_DO_RESTORE:
        do_restore(core, d, checkpoint);
        break;
    case XHA_DO_SCHED:
        xha_deed(core, d, XHA_ACT_SCHED, SHORT_DEADLINE_MS, XHA_CAUSE_OPERATOR);
        break;
    default:
        do_maintenance(core, d, type == XHA_DO_MAINTENANCE_ON);
    }
}

/* ---- a whole host ---- */

void xha_order_host(struct xha_core *core, const struct xha_event *ev)
{
    struct host *h = &core->host[ev->host];

    h->maint_work = true;
    h->maint_on = h->maintenance = ev->u.order.type == XHA_DO_MAINTENANCE_ON;
    h->maint_next = 0;
    xha_alarm_host(core, ev->host, XHA_SEV_INFO, XHA_CAUSE_HOST_MAINTENANCE, ev->u.order.type);
}

void xha_order_work(struct xha_core *core, uint8_t host)
{
    struct host *h = &core->host[host];
    enum xha_order_type type = h->maint_on ? XHA_DO_MAINTENANCE_ON : XHA_DO_MAINTENANCE_OFF;

    for (; h->maint_work && h->maint_next < core->n; h->maint_next++) {
        struct dom *d = &core->dom[core->order[h->maint_next]];
        if (!room(core))
            return;
        if (d->host != host)
            continue;
        if (check(core, d, type) == XHA_CORE_OK)
            xha_order_do(core, d, type, 0);
        xha_persist(core, d); /* each record says whether its host is in maintenance */
    }
    h->maint_work = false;
}

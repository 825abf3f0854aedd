/*
 * core.c - the life of a core, the way of an event through it, and what people get to see.
 *
 * A step takes the event, then does the work that time and facts have made due, in a fixed order: absences,
 * timers, judgement, turns. Work that finds the plan full stops and goes on in the next step.
 */
#include "internal.h"

#include <stdlib.h>

/* ---- life ---- */

static uint32_t hash_size(uint32_t max)
{
    uint32_t n = 16;
    while (n < max)
        n *= 2;
    return n;
}

static bool settings_valid(const struct xha_settings *s)
{
    return s->max_domains >= 1 && s->max_domains <= UINT32_MAX / 16 && (unsigned)s->order < XHA_ORDER_N_ &&
           s->parallel >= 1 && s->round_interval.ms >= 1 && s->probe_window.ms >= 0 &&
           s->vanish_grace.ms >= 0 && s->hold_max.ms >= 0 && s->ill_min >= 1 && s->ill_share_percent <= 100;
}

static bool policy_valid(const struct xha_policy *p)
{
    if ((unsigned)p->protection >= XHA_PROT_N_ || (unsigned)p->heartbeat >= XHA_BEAT_N_ ||
        p->start_order >= XHA_TIERS || p->max_restarts > XHA_HISTORY_MAX || p->heartbeat_timeout.ms < 1 ||
        p->boot_grace.ms < 0 || p->start_timeout.ms < 1 || p->stop_timeout.ms < 0 || p->ready_cap.ms < 0 ||
        p->start_delay.ms < 0 || p->backoff_min.ms < 0 || p->backoff_max.ms < p->backoff_min.ms ||
        p->checkpoint_interval.ms < 0 || p->restart_window.ms < 0)
        return false;
    for (int i = 0; i < XHA_FAIL_N_; i++)
        if ((unsigned)p->react[i] >= XHA_REACT_N_)
            return false;
    return true;
}

static bool record_valid(const struct xha_record *r)
{
    return r->state < XHA_ST_N_ && r->purpose < XHA_FOR_N_ && r->pending < XHA_ACT_N_ &&
           r->failure < XHA_FAIL_N_ && r->host < XHA_HOSTS_MAX && r->n_recoveries <= XHA_HISTORY_MAX &&
           r->deferred <= XHA_DO_N_ && r->verdict < XHA_VERDICT_N_ && r->yield < XHA_YIELD_N_ &&
           r->repl_stage < XHA_REPL_N_ && r->repl_peer < XHA_HOSTS_MAX && !r->repl == !r->repl_stage;
}

size_t xha_core_bytes(const struct xha_settings *s)
{
    size_t max = s->max_domains;

    return sizeof(struct xha_core) + max * sizeof(struct dom) + 2 * max * sizeof(uint32_t) +
           hash_size(s->max_domains) * sizeof(uint32_t) +
           max * TIMER_N_ * (sizeof(struct heap_item) + sizeof(uint32_t));
}

void xha_core_free(struct xha_core *core)
{
    if (!core)
        return;
    free(core->dom);
    free(core->order);
    free(core->free);
    free(core->hash);
    free(core->timers.item);
    free(core->timers.pos);
    free(core);
}

int xha_core_new(const struct xha_settings *s, uint64_t next_id, struct xha_core **core_r)
{
    struct xha_core *core;

    xha_fsm_audit();
    if (!settings_valid(s))
        return XHA_CORE_E_INVAL;
    core = calloc(1, sizeof *core);
    if (!core)
        return XHA_CORE_E_NOMEM;
    core->set = *s;
    core->next_id = next_id ? next_id : 1;
    core->n_hash = hash_size(s->max_domains);
    core->timers.max = s->max_domains * TIMER_N_;
    core->dom = calloc(s->max_domains, sizeof *core->dom);
    core->order = calloc(s->max_domains, sizeof *core->order);
    core->free = calloc(s->max_domains, sizeof *core->free);
    core->hash = calloc(core->n_hash, sizeof *core->hash);
    core->timers.item = calloc(core->timers.max, sizeof *core->timers.item);
    core->timers.pos = calloc(core->timers.max, sizeof *core->timers.pos);
    if (!core->dom || !core->order || !core->free || !core->hash || !core->timers.item || !core->timers.pos) {
        xha_core_free(core);
        return XHA_CORE_E_NOMEM;
    }
    memset(core->hash, 0xff, core->n_hash * sizeof *core->hash);
    memset(core->timers.pos, 0xff, core->timers.max * sizeof *core->timers.pos);
    for (uint32_t i = s->max_domains; i--;)
        core->free[core->n_free++] = i;
    for (int i = 0; i < XHA_HOSTS_MAX; i++) {
        core->host[i].present = core->host[i].lates = (struct list){ NONE32, NONE32 };
        core->host[i].queue = NONE32;
    }
    *core_r = core;
    return XHA_CORE_OK;
}

/* ---- events ---- */

static void know_host(struct xha_core *core, uint8_t host)
{
    if (core->hosts_used >> host & 1)
        return;
    core->hosts_used |= UINT64_C(1) << host;
    core->host[host].last_round = core->now; /* it has its time to send the first one */
}

static int new_domain(struct xha_core *core, const struct xha_event *ev, uint8_t host, struct dom **d_r)
{
    struct dom *d = xha_store_add(core, &ev->uuid);

    if (!d)
        return XHA_CORE_E_FULL;
    d->policy = *ev->u.protect.policy;
    d->host = host;
    d->relocate = ev->u.protect.relocate;
    memcpy(d->name, ev->u.protect.name, sizeof d->name);
    d->name[sizeof d->name - 1] = '\0';
    know_host(core, host);
    *d_r = d;
    return XHA_CORE_OK;
}

static int recall(struct xha_core *core, const struct xha_event *ev)
{
    const struct xha_record *r = ev->u.protect.record;
    struct dom *d;
    int rc;

    if (!r || !record_valid(r) || xha_store_find(core, &ev->uuid))
        return XHA_CORE_E_INVAL;
    rc = new_domain(core, ev, r->host, &d);
    if (!rc)
        xha_recall(core, d, r);
    return rc;
}

static bool in_work(const struct dom *d)
{
    return d->pending || d->state == XHA_ST_CLEARING || d->state == XHA_ST_STARTING ||
           d->state == XHA_ST_STOPPING || d->state == XHA_ST_UNSURE || d->state == XHA_ST_MIGRATING ||
           d->state == XHA_ST_INCOMING || d->state == XHA_ST_STANDBY || d->repl.id;
}

static void new_heartbeat(struct xha_core *core, struct dom *d)
{
    bool run = d->state == XHA_ST_RUNNING || d->state == XHA_ST_SUSPECT;

    d->pulse_known = d->beaten = false;
    if (!run)
        return;
    xha_unwatch(core, d);
    xha_go(core, d, XHA_ST_BOOTING, XHA_CAUSE_PROTECTED, 0);
    xha_timer(core, d, TIMER_STATE, after(core->now, d->policy.boot_grace));
}

static int new_policy(struct xha_core *core, struct dom *d, const struct xha_policy *policy)
{
    bool mute = policy->protection == XHA_PROT_MONITOR && d->policy.protection != XHA_PROT_MONITOR;
    bool heartbeat = policy->heartbeat != d->policy.heartbeat, queued = d->queued;

    if (mute && in_work(d))
        return XHA_CORE_E_BUSY;
    if (queued)
        xha_queue_leave(core, d);
    if (d->blocks)
        host_of(core, d)->coming[d->policy.start_order]--;
    d->blocks = false;
    d->policy = *policy;
    d->judged = false; /* judged anew, by the new policy */
    xha_queue_blocks(core, d);
    if (queued)
        xha_queue_enter(core, d);
    if (mute && d->state == XHA_ST_QUEUED)
        xha_rest(core, d, XHA_ST_FAILED, XHA_CAUSE_PROTECTED, 0);
    if (heartbeat)
        new_heartbeat(core, d);
    else if (d->watched)
        xha_watch(core, d);
    if (d->state == XHA_ST_RUNNING && policy->checkpoint_interval.ms)
        xha_timer(core, d, TIMER_SAVE, after(core->now, policy->checkpoint_interval));
    xha_persist(core, d);
    return XHA_CORE_OK;
}

static int protect(struct xha_core *core, const struct xha_event *ev)
{
    struct dom *d = xha_store_find(core, &ev->uuid);
    bool start;
    int rc;

    if (d) {
        rc = new_policy(core, d, ev->u.protect.policy);
        if (!rc)
            d->relocate = ev->u.protect.relocate;
        return rc;
    }
    rc = new_domain(core, ev, ev->host, &d);
    if (rc)
        return rc;
    start = d->policy.autostart && d->policy.protection != XHA_PROT_MONITOR;
    if (core->host[ev->host].maintenance) {
        xha_rest(core, d, XHA_ST_MAINTENANCE, XHA_CAUSE_PROTECTED, 0);
        d->purpose = start ? XHA_FOR_START : XHA_FOR_NOTHING; /* when maintenance ends */
        return XHA_CORE_OK;
    }
    if (start) {
        d->purpose = XHA_FOR_START;
        d->want_run = true;
    }
    xha_doubt(core, d, XHA_ACT_NONE, XHA_CAUSE_PROTECTED);
    return XHA_CORE_OK;
}

static int unprotect(struct xha_core *core, struct dom *d)
{
    if (!d)
        return XHA_CORE_E_NODOMAIN;
    if (d->pending)
        return XHA_CORE_E_BUSY;
    xha_let_go(core, d, XHA_CAUSE_UNPROTECTED, 0); /* it stays as it is */
    return XHA_CORE_OK;
}

/* TAKE, INCOMING: a domain that the core does not know yet. */
static int arrive(struct xha_core *core, const struct xha_event *ev, const struct dom *known)
{
    const struct xha_move *move = &ev->u.protect.move;
    bool incoming = ev->type == XHA_EV_INCOMING;
    struct dom *d;
    int rc;

    if (incoming && known && known->move.id == move->id && !known->yield &&
        known->state == (ev->u.protect.standby ? XHA_ST_STANDBY : XHA_ST_INCOMING))
        return XHA_CORE_OK;
    if (known)
        return XHA_CORE_E_BUSY; /* of an earlier ownership, and not yet forgotten */
    if ((unsigned)ev->u.protect.purpose >= XHA_FOR_N_ || (unsigned)ev->u.protect.failure >= XHA_FAIL_N_ ||
        (incoming && (!move->id || move->peer >= XHA_HOSTS_MAX)))
        return XHA_CORE_E_INVAL;
    if (incoming && core->denied)
        return XHA_CORE_E_QUORUM;
    rc = new_domain(core, ev, ev->host, &d);
    if (rc)
        return rc;
    if (incoming)
        xha_incoming(core, d, ev);
    else
        xha_take(core, d, ev);
    return XHA_CORE_OK;
}

/* What only a cluster says of one domain. */
static int of_cluster(struct xha_core *core, const struct xha_event *ev, struct dom *d)
{
    if (!d)
        return XHA_CORE_E_NODOMAIN;
    switch (ev->type) {
    case XHA_EV_YIELD:
        return xha_yield(core, d, ev->u.yield);
    case XHA_EV_LISTENING:
        return xha_listening(d, ev->u.listening.id, ev->u.listening.port);
    case XHA_EV_MOVE_OUT:
        return xha_move_out(core, d, &ev->u.move_out);
    case XHA_EV_VERDICT:
        return xha_verdict(core, d, ev->u.verdict.move, ev->u.verdict.commit);
    case XHA_EV_CANCEL:
        return xha_move_cancel(core, d, ev->u.verdict.move);
    case XHA_EV_REPLICATE:
        return xha_replicate(core, d, &ev->u.move_out);
    case XHA_EV_REPLICATED:
        return xha_replicated(core, d, ev->u.listening.id);
    case XHA_EV_SILENT:
        return xha_silent(d, ev->u.listening.id);
    default:
        return XHA_CORE_E_INVAL;
    }
}

static int order(struct xha_core *core, const struct xha_event *ev)
{
    struct dom *d;
    int rc = xha_order_check(core, ev, &d);

    if (rc)
        return rc;
    if (d) {
        xha_order_do(core, d, ev->u.order.type, ev->u.order.checkpoint);
    } else {
        know_host(core, ev->host);
        xha_order_host(core, ev);
    }
    return XHA_CORE_OK;
}

static int settings(struct xha_core *core, const struct xha_settings *s)
{
    bool again = s->order != core->set.order;

    if (!settings_valid(s) || s->max_domains != core->set.max_domains)
        return XHA_CORE_E_INVAL;
    core->set = *s;
    if (again)
        xha_queue_again(core);
    return XHA_CORE_OK;
}

static int done(struct xha_core *core, struct dom *d, const struct xha_event *ev)
{
    if ((unsigned)ev->u.done.result >= XHA_RESULT_N_ || !ev->u.done.id)
        return XHA_CORE_E_INVAL;
    if (d->repl_deed == ev->u.done.id)
        xha_repl_done(core, d, ev->u.done.result);
    else if (d->pending && d->pending_id == ev->u.done.id)
        xha_done(core, d, ev);
    else
        return XHA_CORE_E_INVAL;
    return XHA_CORE_OK;
}

static int take(struct xha_core *core, const struct xha_event *ev)
{
    struct dom *d = xha_store_find(core, &ev->uuid);

    switch (ev->type) {
    case XHA_EV_TICK:
        return XHA_CORE_OK;
    case XHA_EV_RECALL:
        return ev->u.protect.policy && policy_valid(ev->u.protect.policy) ? recall(core, ev)
                                                                          : XHA_CORE_E_INVAL;
    case XHA_EV_PROTECT:
        return ev->u.protect.policy && policy_valid(ev->u.protect.policy) ? protect(core, ev)
                                                                          : XHA_CORE_E_INVAL;
    case XHA_EV_TAKE:
    case XHA_EV_INCOMING:
        return ev->u.protect.policy && policy_valid(ev->u.protect.policy) ? arrive(core, ev, d)
                                                                          : XHA_CORE_E_INVAL;
    case XHA_EV_PERMIT:
        know_host(core, ev->host);
        xha_permit(core, ev->host, ev->u.permit);
        return XHA_CORE_OK;
    case XHA_EV_UNPROTECT:
        return unprotect(core, d);
    case XHA_EV_ORDER:
        return order(core, ev);
    case XHA_EV_ROUND:
        know_host(core, ev->host);
        xha_round(core, ev->host, &ev->u.round);
        return XHA_CORE_OK;
    case XHA_EV_SETTINGS:
        return settings(core, &ev->u.settings);
    case XHA_EV_SEEN:
        if (!d || d->host != ev->host)
            return XHA_CORE_E_NODOMAIN;
        xha_sight(core, d, &ev->u.seen);
        return XHA_CORE_OK;
    case XHA_EV_PROBED:
        if (!d || d->host != ev->host || d->domid != ev->u.probed.domid)
            return XHA_CORE_E_NODOMAIN;
        d->probe = ev->u.probed;
        xha_fsm(core, d, SIG_PROBED);
        return XHA_CORE_OK;
    case XHA_EV_DONE:
        if (!d)
            return XHA_CORE_E_NODOMAIN;
        return done(core, d, ev);
    default:
        return (unsigned)ev->type < XHA_EV_N_ ? of_cluster(core, ev, d) : XHA_CORE_E_INVAL;
    }
}

/* ---- work ---- */

static bool timer_due(const struct xha_core *core)
{
    return core->timers.n && core->timers.item[0].key <= core->now.ms;
}

static void ring(struct xha_core *core, struct dom *d, enum timer timer)
{
    switch (timer) {
    case TIMER_STATE:
        xha_fsm(core, d, SIG_TIMER);
        break;
    case TIMER_LATE:
        xha_late_timer(core, d);
        break;
    case TIMER_SAVE:
        xha_save_due(core, d);
        break;
    case TIMER_READY:
        xha_not_ready(core, d);
        break;
    case TIMER_REPL:
        xha_repl_timer(core, d);
        break;
    default:
        xha_alarm(core, d, XHA_SEV_CRITICAL, XHA_CAUSE_WORKER_SLOW, d->pending);
    }
}

static void timers(struct xha_core *core)
{
    while (room(core) && timer_due(core)) {
        uint32_t what = core->timers.item[0].what;
        xha_heap_drop(&core->timers, what);
        ring(core, &core->dom[what / TIMER_N_], what % TIMER_N_);
    }
}

static void work_host(struct xha_core *core, uint8_t host)
{
    struct host *h = &core->host[host];

    if (room(core) && !before(core->now, xha_rounds_due(core, host))) {
        h->alarmed_rounds = true;
        xha_alarm_host(core, host, XHA_SEV_CRITICAL, XHA_CAUSE_NO_ROUNDS, 0);
    }
    if (!h->sweeping && !timer_due(core))
        xha_judge(core, host);
    xha_dispatch(core, host);
}

static void work(struct xha_core *core)
{
    struct xha_plan *plan = core->plan;

    for (uint64_t left = core->hosts_used; left; left &= left - 1) {
        uint8_t host = (uint8_t)__builtin_ctzll(left);
        xha_order_work(core, host);
        xha_sweep(core, host);
    }
    timers(core);
    for (uint64_t left = core->hosts_used; left; left &= left - 1)
        work_host(core, (uint8_t)__builtin_ctzll(left));

    plan->more = !room(core) || timer_due(core);
    if (core->timers.n)
        plan->next.ms = core->timers.item[0].key;
    for (uint64_t left = core->hosts_used; left; left &= left - 1) {
        uint8_t host = (uint8_t)__builtin_ctzll(left);
        struct xha_time due = xha_rounds_due(core, host);
        if (before(due, plan->next))
            plan->next = due;
    }
}

int xha_core_step(struct xha_core *core, const struct xha_event *ev, struct xha_plan *plan_r)
{
    int rc;

    if (before(core->now, ev->now))
        core->now = ev->now;
    xha_plan_begin(core, plan_r);
    rc = (unsigned)ev->host < XHA_HOSTS_MAX ? take(core, ev) : XHA_CORE_E_INVAL;
    work(core);
    core->plan = NULL;
    return rc;
}

uint64_t xha_core_next_id(const struct xha_core *core)
{
    return core->next_id;
}

int xha_core_may(const struct xha_core *core, const struct xha_event *ev)
{
    struct dom *d;

    return xha_order_check(core, ev, &d);
}

/* ---- views ---- */

int xha_core_record(const struct xha_core *core, const struct xha_uuid *uuid, struct xha_record *record_r)
{
    const struct dom *d = xha_store_find(core, uuid);

    if (!d)
        return XHA_CORE_E_NODOMAIN;
    xha_store_save(core, d, record_r);
    return XHA_CORE_OK;
}

uint32_t xha_core_count(const struct xha_core *core)
{
    return core->n;
}

static void view(const struct xha_core *core, const struct dom *d, struct xha_view *view_r)
{
    *view_r = (struct xha_view){
        .uuid = d->uuid,
        .name = d->name,
        .policy = &d->policy,
        .state = d->state,
        .purpose = d->purpose,
        .failure = d->failure,
        .cause = d->cause,
        .cause_detail = d->cause_detail,
        .host = d->host,
        .domid = d->domid,
        .term = d->term,
        .checkpointing = d->pending == XHA_ACT_CHECKPOINT,
        .held = d->held || (d->late && core->host[d->host].ill),
        .since = d->since,
        .last_beat = d->policy.heartbeat == XHA_BEAT_AGENT ? d->last_beat : (struct xha_time){ 0 },
        .beat = d->policy.heartbeat == XHA_BEAT_AGENT ? d->pulse : 0,
        .next_try = d->next_try,
        .recoveries = xha_recoveries(core, d),
        .last_checkpoint = d->last_save,
        .want_run = d->want_run && !(d->deferred && d->deferred_do == XHA_DO_STOP),
        .ever_beat = d->ever_beat,
        .move = d->move,
        .move_sent = d->move_sent,
        .verdict = d->verdict,
        .yield = d->yield,
        .relocate = d->relocate,
        .given_up = d->given_up,
        .pending_id = d->pending ? d->pending_id : 0,
        .repl = d->repl,
        .repl_stage = d->repl_stage,
        .silent = d->silent,
    };
}

void xha_core_view(const struct xha_core *core, uint32_t i, struct xha_view *view_r)
{
    assert(i < core->n);
    view(core, &core->dom[core->order[i]], view_r);
}

int xha_core_find(const struct xha_core *core, const struct xha_uuid *uuid, struct xha_view *view_r)
{
    const struct dom *d = xha_store_find(core, uuid);

    if (!d)
        return XHA_CORE_E_NODOMAIN;
    view(core, d, view_r);
    return XHA_CORE_OK;
}

void xha_core_host(const struct xha_core *core, uint8_t host, struct xha_host_view *view_r)
{
    const struct host *h = &core->host[host];

    *view_r = (struct xha_host_view){ .ill = h->ill,
                                      .maintenance = h->maintenance,
                                      .beating = h->n_beating,
                                      .late = h->n_late,
                                      .queued = h->n_queued,
                                      .under_way = h->under_way,
                                      .last_round = h->last_round };
}

void xha_core_audit(const struct xha_core *core)
{
    static const struct host zero;

    xha_heap_audit(&core->timers);
    for (int i = 0; i < XHA_HOSTS_MAX; i++) {
        const struct host *h = &core->host[i];
        struct host sum = zero;

        for (uint32_t k = 0; k < core->n; k++) {
            const struct dom *d = &core->dom[core->order[k]];
            assert(d->used);
            if (d->host != i)
                continue;
            assert(xha_store_find(core, &d->uuid) == d);
            assert(!d->queued || (d->state == XHA_ST_QUEUED && !d->pending && !d->slot));
            assert(!d->late || d->watched);
            assert(d->domid == XHA_DOMID_NONE || d->in_present);
            assert(!d->repl.id == !d->repl_stage && (d->repl.id || !d->repl_deed));
            sum.n_queued += d->queued;
            sum.under_way += d->slot;
            sum.n_late += d->late;
            sum.n_beating += d->watched;
            sum.n_saving += d->pending == XHA_ACT_CHECKPOINT;
            sum.coming[d->policy.start_order] += d->blocks;
        }
        assert(sum.n_queued == h->n_queued && sum.under_way == h->under_way && sum.n_late == h->n_late);
        assert(sum.n_beating == h->n_beating && sum.n_saving == h->n_saving);
        assert(!memcmp(sum.coming, h->coming, sizeof sum.coming));
        assert(h->under_way <= core->set.parallel || h->under_way <= core->n);
    }
}

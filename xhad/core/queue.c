/*
 * queue.c - who is next. Domains that are to run wait here for their backoff, their tier, and their turn by
 * the order of the settings; a slot limits how many are cleared and built on one host at once.
 *
 * priority, fcfs and sjf let a recovery run to its end once it has a slot. srtf and rr choose anew after each
 * step (clear, start): the names are those of CPU scheduling, see Silberschatz, Operating System Concepts,
 * "CPU scheduling".
 */
#include "internal.h"

bool xha_queue_preempts(const struct xha_core *core)
{
    return core->set.order == XHA_ORDER_SRTF || core->set.order == XHA_ORDER_RR;
}

/* Milliseconds of work left: measured where it was seen before, else by the memory that has to be built. */
static int64_t work_left_ms(const struct dom *d)
{
    int64_t build_ms = d->start_ms ? d->start_ms : 1000 + (int64_t)(d->policy.memory_kib / 1024 * 5);
    return build_ms + (d->domid != XHA_DOMID_NONE ? build_ms / 4 + 500 : 0);
}

static void keys(const struct xha_core *core, const struct dom *d, int64_t key[3])
{
    key[0] = d->policy.start_order;
    key[2] = d->waits_since.ms;
    switch (core->set.order) {
    case XHA_ORDER_FCFS:
        key[1] = d->waits_since.ms;
        break;
    case XHA_ORDER_SJF:
        key[1] = (int64_t)d->policy.memory_kib;
        break;
    case XHA_ORDER_SRTF:
        key[1] = work_left_ms(d);
        break;
    case XHA_ORDER_RR:
        key[1] = d->last_turn.ms;
        break;
    default:
        key[1] = -(int64_t)d->policy.priority;
    }
}

void xha_queue_enter(struct xha_core *core, struct dom *d)
{
    struct host *h = host_of(core, d);

    assert(!d->queued);
    keys(core, d, d->key);
    xha_pair_add(core, &h->queue, d);
    h->n_queued++;
    d->queued = true;
    d->next_try.ms = 0;
}

void xha_queue_leave(struct xha_core *core, struct dom *d)
{
    struct host *h = host_of(core, d);

    d->next_try.ms = 0;
    if (!d->queued)
        return;
    xha_pair_drop(core, &h->queue, d);
    h->n_queued--;
    d->queued = false;
}

void xha_queue_again(struct xha_core *core)
{
    for (uint32_t i = 0; i < core->n; i++) {
        struct dom *d = &core->dom[core->order[i]];
        if (d->queued) {
            xha_queue_leave(core, d);
            xha_queue_enter(core, d);
        }
    }
}

void xha_enqueue(struct xha_core *core, struct dom *d, enum xha_purpose purpose, struct xha_span wait,
                 enum xha_cause cause, uint32_t detail)
{
    xha_unwatch(core, d);
    xha_slot_give_back(core, d);
    if (!d->waits_since.ms)
        d->waits_since = core->now;
    d->purpose = purpose;
    d->want_run = true;
    xha_go(core, d, XHA_ST_QUEUED, cause, detail);
    if (wait.ms > 0) {
        d->next_try = after(core->now, wait);
        xha_timer(core, d, TIMER_STATE, d->next_try);
    } else {
        xha_queue_enter(core, d);
    }
}

void xha_waited(struct xha_core *core, struct dom *d)
{
    xha_queue_enter(core, d);
}

/* ---- limits ---- */

uint32_t xha_recoveries(const struct xha_core *core, const struct dom *d)
{
    uint32_t n = 0;

    while (n < d->n_recoveries && d->recovery[n].ms > core->now.ms - d->policy.restart_window.ms)
        n++;
    return n;
}

bool xha_may_recover(struct xha_core *core, struct dom *d)
{
    return xha_recoveries(core, d) < d->policy.max_restarts;
}

void xha_recovery_note(struct xha_core *core, struct dom *d)
{
    memmove(&d->recovery[1], &d->recovery[0], (XHA_HISTORY_MAX - 1) * sizeof d->recovery[0]);
    d->recovery[0] = core->now;
    d->n_recoveries += d->n_recoveries < XHA_HISTORY_MAX;
}

/* n recoveries before this one in the window: the first at once, then backoff_min, doubling, up to
 * backoff_max. */
struct xha_span xha_backoff(const struct dom *d, uint32_t n)
{
    struct xha_span wait = { 0 };

    if (!n)
        return wait;
    wait = d->policy.backoff_min;
    while (--n && wait.ms < d->policy.backoff_max.ms)
        wait.ms *= 2;
    return wait.ms < d->policy.backoff_max.ms ? wait : d->policy.backoff_max;
}

/* ---- tiers ---- */

static bool on_its_way(const struct dom *d)
{
    if (d->given_up)
        return false;
    switch (d->state) {
    case XHA_ST_QUEUED:
    case XHA_ST_CLEARING:
    case XHA_ST_STARTING:
    case XHA_ST_BOOTING:
    case XHA_ST_UNSURE:
        return d->purpose != XHA_FOR_STOP && d->purpose != XHA_FOR_NOTHING;
    default:
        return false;
    }
}

void xha_queue_blocks(struct xha_core *core, struct dom *d)
{
    uint16_t *coming = &host_of(core, d)->coming[d->policy.start_order];
    bool way = on_its_way(d), blocks = way && !d->capped;

    if (!way) {
        d->capped = d->delayed = false;
        xha_timer_off(core, d, TIMER_READY);
    } else if (!d->blocks && !d->capped) {
        xha_timer(core, d, TIMER_READY, after(core->now, d->policy.ready_cap));
    }
    if (blocks != d->blocks)
        *coming += blocks ? 1 : -1;
    d->blocks = blocks;
}

void xha_not_ready(struct xha_core *core, struct dom *d)
{
    d->capped = true;
    xha_queue_blocks(core, d);
    xha_alarm(core, d, XHA_SEV_WARNING, XHA_CAUSE_NOT_READY, d->policy.start_order);
}

static bool lower_tier_coming(const struct host *h, uint32_t tier)
{
    for (uint32_t t = 0; t < tier; t++)
        if (h->coming[t])
            return true;
    return false;
}

/* ---- turns ---- */

void xha_slot_give_back(struct xha_core *core, struct dom *d)
{
    if (d->slot)
        host_of(core, d)->under_way--;
    d->slot = false;
}

static bool must_delay(const struct dom *d)
{
    return d->purpose == XHA_FOR_START && d->policy.start_delay.ms && !d->delayed;
}

void xha_dispatch(struct xha_core *core, uint8_t host)
{
    struct host *h = &core->host[host];

    if (!h->rounds || h->maintenance || core->denied || (h->ill && !h->round.xenstore_ok))
        return;
    while (room(core) && h->under_way < core->set.parallel && h->queue != NONE32) {
        struct dom *d = &core->dom[h->queue];
        if (lower_tier_coming(h, d->policy.start_order))
            return;
        if (xha_repl_holds(d)) { /* its copy may be about to take over */
            xha_queue_leave(core, d);
            xha_timer(core, d, TIMER_STATE, after(core->now, (struct xha_span){ REPL_AGAIN_MS }));
            continue;
        }
        if (must_delay(d)) {
            d->delayed = true;
            xha_queue_leave(core, d);
            d->next_try = after(core->now, d->policy.start_delay);
            xha_timer(core, d, TIMER_STATE, d->next_try);
            continue;
        }
        d->slot = true;
        h->under_way++;
        d->last_turn = core->now;
        xha_fsm(core, d, SIG_TURN);
    }
}

/*
 * cl_lead.c - what the leader proposes: hosts that are lost, and a host for each domain that is free and wanted,
 * the lower tiers and the higher priorities first. Every host keeps the queues, so that any can lead at once;
 * only the leader proposes from them.
 */
#include "cl_internal.h"

#include <stdio.h>

struct xha_span xha_cl_backoff(uint32_t tries)
{
    int64_t ms = CL_BACKOFF_MIN_MS;

    while (tries-- > 1 && ms < CL_BACKOFF_MAX_MS)
        ms *= 2;
    return (struct xha_span){ ms < CL_BACKOFF_MAX_MS ? ms : CL_BACKOFF_MAX_MS };
}

static void timer(struct xha_cluster *cl, struct cl_dom *d, enum cl_timer what, struct xha_time at)
{
    uint32_t item = cl_slot(cl->st, d) * CL_T_N_ + what;

    if (what == CL_T_LATER)
        cl->n_later += (at.ms != INT64_MAX) - (uint32_t)xha_heap_has(&cl->timers, item);
    if (at.ms == INT64_MAX)
        xha_heap_drop(&cl->timers, item);
    else if (!xha_heap_has(&cl->timers, item) || what == CL_T_LATER)
        xha_heap_set(&cl->timers, item, at.ms);
}

/* ---- tiers ---- */

/* On its way to run, so that higher tiers wait for it. */
static bool on_its_way(const struct cl_dom *d)
{
    if (d->capped || !d->want_run)
        return false;
    if (d->phase == XHA_PH_FREE)
        return true;
    switch (d->report.state) {
    case XHA_ST_DEFINED:
    case XHA_ST_QUEUED:
    case XHA_ST_CLEARING:
    case XHA_ST_STARTING:
    case XHA_ST_BOOTING:
        return d->purpose != XHA_FOR_NOTHING;
    default:
        return false;
    }
}

static void count_coming(struct xha_cluster *cl, struct cl_dom *d, bool coming)
{
    if (coming == d->coming)
        return;
    d->coming = coming;
    cl->coming[d->coming_tier] -= !coming;
    if (coming) {
        d->coming_tier = (uint8_t)d->policy.start_order;
        cl->coming[d->coming_tier]++;
        timer(cl, d, CL_T_CAP, after(cl->now, d->policy.ready_cap));
    } else {
        timer(cl, d, CL_T_CAP, XHA_TIME_NEVER);
    }
}

static bool tier_waits(const struct xha_cluster *cl, const struct cl_dom *d)
{
    for (uint32_t t = 0; t < d->policy.start_order; t++)
        if (cl->coming[t])
            return true;
    return false;
}

/* ---- the queue of those that are free and wanted ---- */

static bool waits(const struct cl_dom *d)
{
    return d->used && d->phase == XHA_PH_FREE && d->want_run && !d->pair.id;
}

void xha_cl_queue_drop(struct xha_cluster *cl, struct cl_dom *d)
{
    xha_heap_drop(&cl->wanted, cl_slot(cl->st, d));
    for (int t = 0; t < CL_T_N_; t++)
        timer(cl, d, (enum cl_timer)t, XHA_TIME_NEVER);
    xha_cl_remove(cl->st, CL_L_BARE, d);
    count_coming(cl, d, false);
}

/* As place.h lets them choose: tier, priority, memory; then the number, which the heap sees to. */
static void enqueue(struct xha_cluster *cl, const struct cl_dom *d)
{
    uint64_t kib = d->policy.memory_kib < CL_KIB_MAX ? d->policy.memory_kib : CL_KIB_MAX;
    uint64_t key = (uint64_t)d->policy.start_order << 52 | (uint64_t)(1000 - d->policy.priority) << 41;

    xha_heap_set(&cl->wanted, cl_slot(cl->st, d), (int64_t)(key | (CL_KIB_MAX - kib)));
}

/* When whatever is under way with it has taken too long. */
static struct xha_time too_late(const struct xha_cluster *cl, const struct cl_dom *d)
{
    if (d->pair.id && d->phase == XHA_PH_FREE)
        return after(cl->now, (struct xha_span){ CL_COPY_WAIT_MS });
    if ((d->phase == XHA_PH_MOVING || (d->pair.id && d->pair.stage != XHA_PAIR_PROTECTED)) &&
        cl->st->policy.move_timeout.ms > 0)
        return after(cl->now, cl->st->policy.move_timeout);
    return XHA_TIME_NEVER;
}

void xha_cl_queue(struct xha_cluster *cl, struct cl_dom *d)
{
    uint32_t slot = cl_slot(cl->st, d);

    if (d->phase != XHA_PH_FREE && d->report.state == XHA_ST_RUNNING)
        d->capped = false;
    count_coming(cl, d, on_its_way(d));
    xha_cl_pair_queue(cl, d);
    timer(cl, d, CL_T_MOVE, too_late(cl, d));
    if (!waits(d)) {
        xha_heap_drop(&cl->wanted, slot);
        timer(cl, d, CL_T_LATER, XHA_TIME_NEVER);
        d->tries = 0;
        d->backoff.ms = 0;
        d->wait_cause = XHA_CC_NONE;
        xha_cl_pair_waits(cl, d);
        return;
    }
    if (!d->proposed && !xha_heap_has(&cl->timers, slot * CL_T_N_ + CL_T_LATER))
        enqueue(cl, d);
}

void xha_cl_queue_kick(struct xha_cluster *cl)
{
    cl->kicked = true;
}

void xha_cl_queue_room(struct xha_cluster *cl)
{
    cl->roomy = true;
}

/* Not by those that have refused it: two that are refused everywhere would call each other for ever. */
static bool has_room(const struct xha_cluster *cl, const struct cl_dom *d)
{
    return xha_cl_place_find(cl, d, d->refused, d->next, NULL, 0) != XHA_HOST_NONE;
}

/*
 * Those in backoff are tried again now: all, when a host can take more than before; when only a domain has left one,
 * or needs less, those for whom there is a place now.
 */
static void kick(struct xha_cluster *cl)
{
    bool all = cl->kicked;

    if (!cl->kicked && !cl->roomy)
        return;
    cl->kicked = cl->roomy = false;
    xha_cl_pair_kick(cl, all);
    /* From the end, and what takes the place of one that is dropped is looked at, too: so none is left out. */
    for (uint32_t i = cl->n_later ? cl->timers.n : 0; i;) {
        const struct heap_item *at = &cl->timers.item[i - 1];
        struct cl_dom *d = &cl->st->dom[at->what / CL_T_N_];

        if (at->what % CL_T_N_ != CL_T_LATER || (!all && !has_room(cl, d))) {
            i--;
            continue;
        }
        d->backoff.ms = all ? 0 : at->key;
        timer(cl, d, CL_T_LATER, XHA_TIME_NEVER);
        enqueue(cl, d);
        if (i > cl->timers.n)
            i = cl->timers.n;
    }
}

/* ---- granting ---- */

static void no_place(struct xha_cluster *cl, struct cl_dom *d, const char *why)
{
    d->wait_cause = XHA_CC_NO_PLACE;
    snprintf(d->wait_text, sizeof d->wait_text, "%s", why);
    xha_heap_drop(&cl->wanted, cl_slot(cl->st, d));
    if (cl->now.ms < d->backoff.ms) { /* there was room, and another one was quicker */
        timer(cl, d, CL_T_LATER, d->backoff);
        return;
    }
    if (!d->tries)
        xha_cl_say(cl, XHA_SEV_CRITICAL, XHA_CC_NO_PLACE, XHA_HOST_NONE, &d->uuid, 0, "%s waits: %.120s",
                   d->name, why);
    if (d->tries < 255)
        d->tries++;
    d->capped = true; /* nobody waits for it */
    count_coming(cl, d, false);
    timer(cl, d, CL_T_LATER, after(cl->now, xha_cl_backoff(d->tries)));
}

/* Of an affinity group the first one finds the host for all that wait; the others follow when it is their turn. */
static uint8_t find(struct xha_cluster *cl, struct cl_dom *d, xha_hostset avoid, char *why, size_t len)
{
    uint8_t host;

    if (!d->seat)
        xha_cl_place_group(cl, d, avoid);
    host = d->seat - 1;
    xha_cl_place_unseat(cl, d);
    if (host < XHA_HOSTS_MAX && !cl_in(avoid, host) && xha_cl_place_may(cl, d, host, NULL, 0))
        return host;
    return xha_cl_place_find(cl, d, avoid, d->next, why, len);
}

static bool grant(struct xha_cluster *cl, struct cl_dom *d)
{
    char why[XHA_TEXT_MAX] = "";
    bool fresh = d->tries > 0 && cl->now.ms >= d->backoff.ms; /* who refused it may be asked again */
    struct cl_message *m;
    uint8_t host;

    if (!xha_cl_may_fly(cl))
        return false;
    host = find(cl, d, fresh ? 0 : d->refused, why, sizeof why);
    if (host == XHA_HOST_NONE) {
        cl->flying--;
        no_place(cl, d, why);
        return true;
    }
    cl->last_placed = host;
    m = xha_cl_put(cl);
    m->uuid = d->uuid;
    m->term = d->term;
    m->host = host;
    m->u.fresh = fresh;
    xha_heap_drop(&cl->wanted, cl_slot(cl->st, d)); /* back in it, if it has no effect */
    d->backoff.ms = 0;
    xha_cl_proposed(cl, d, host);
    xha_cl_send(cl, CL_GRANT);
    return true;
}

static void grant_all(struct xha_cluster *cl)
{
    /* The head is of the lowest tier that has any: when it must wait, so must all. */
    while (cl->wanted.n) {
        struct cl_dom *d = &cl->st->dom[cl->wanted.item[0].what];

        if (tier_waits(cl, d)) {
            d->wait_cause = XHA_CC_NONE;
            return;
        }
        if (!grant(cl, d))
            return;
    }
}

/* ---- hosts ---- */

/* Our own pulses stay away, or we slept, for as long as others need to form a view: there may have been one without us
 * that had quorum, and we never heard of it. */
void xha_cl_watch_self(struct xha_cluster *cl)
{
    const struct xha_timing *t = &cl->st->policy.timing;

    if (cl->now.ms - cl->pulse_back.ms >= t->detection.ms || !xha_cluster_may_poke(cl))
        cl->was_members = 0;
}

void xha_cl_watch_synced(struct xha_cluster *cl)
{
    /* While this host was in quorate views without a break, who was in none of them had no quorum. */
    bool unbroken = cl->was_members && !(cl->st->members & ~cl->was_members);

    cl->was_members = cl->st->members;
    for (uint8_t h = 0; h < XHA_HOSTS_MAX; h++) {
        struct cl_lead_host *eye = &cl->eye[h];

        if (cl_in(cl->view.nodes, h) || !unbroken)
            eye->absent_since = XHA_TIME_NEVER;
        if (!cl_in(cl->view.nodes, h) && eye->absent_since.ms == INT64_MAX)
            eye->absent_since = cl->now;
        eye->fence_deadline = XHA_TIME_NEVER;
        eye->pulsed = cl->now;
        if (cl->st->host[h].state != XHA_HOST_LOST) {
            eye->fails = 0;
            eye->wanted_said = false;
            eye->fence_next.ms = 0;
        }
    }
}

static void gone(struct xha_cluster *cl, uint8_t host)
{
    struct cl_lead_host *eye = &cl->eye[host];

    if (cl_in(cl->st->members, host)) {
        eye->gone_since = XHA_TIME_NEVER;
        eye->gone_said = false;
        return;
    }
    if (eye->gone_since.ms == INT64_MAX)
        eye->gone_since = cl->now;
    if (eye->gone_said)
        return;
    if (cl->now.ms - eye->gone_since.ms < CL_GONE_MS) {
        xha_cl_next(cl, (struct xha_time){ eye->gone_since.ms + CL_GONE_MS });
        return;
    }
    eye->gone_said = true;
    xha_cl_say(cl, XHA_SEV_WARNING, XHA_CC_XHAD_GONE, host, NULL, 0,
               "xhad is gone on host %s, its host is there: its guests run on unwatched; start xhad there",
               xha_cl_host_name(cl, host));
}

static void meet(struct xha_cluster *cl)
{
    if (cl->phase != CL_SYNCED || !cl->quorate)
        return;
    if (!cl->met)
        cl->met_since = cl->now;
    cl->met |= cl->view.nodes;
}

/* Networks and hosts come back one by one: who has not been seen since quorum is back may only be a little later. */
static bool may_come(struct xha_cluster *cl, uint8_t host)
{
    struct xha_time until = after(cl->met_since, cl->st->policy.timing.detection);

    if (cl_in(cl->met, host) || !before(cl->now, until))
        return false;
    xha_cl_next(cl, until);
    return true;
}

void xha_cl_watch(struct xha_cluster *cl)
{
    meet(cl);
    if (!xha_cl_leads(cl))
        return;
    xha_cl_know(cl->st);
    for (xha_hostset rest = cl->st->known; rest; rest &= rest - 1) {
        uint8_t h = cl_lowest(rest);
        struct cl_lead_host *eye = &cl->eye[h];
        enum xha_host_state state = cl->st->host[h].state;

        if (state == XHA_HOST_IN && cl_in(cl->view.nodes, h))
            gone(cl, h);
        else if (state == XHA_HOST_IN && !eye->proposed && !may_come(cl, h) && xha_cl_may_fly(cl)) {
            xha_cl_put(cl)->host = h;
            eye->proposed = true;
            xha_cl_send(cl, CL_LOST);
        } else if (state == XHA_HOST_LOST && !cl_in(cl->st->members, h))
            xha_cl_fence_lead(cl, h);
    }
}

/* ---- time ---- */

void xha_cl_timers(struct xha_cluster *cl)
{
    while (cl->timers.n && cl->timers.item[0].key <= cl->now.ms) {
        uint32_t item = cl->timers.item[0].what;
        struct cl_dom *d = &cl->st->dom[item / CL_T_N_];

        timer(cl, d, (enum cl_timer)(item % CL_T_N_), XHA_TIME_NEVER);
        switch (item % CL_T_N_) {
        case CL_T_CAP:
            d->capped = true;
            count_coming(cl, d, false);
            break;
        case CL_T_LATER:
            xha_cl_queue(cl, d);
            break;
        case CL_T_PAIR:
            xha_cl_pair_later(cl, d);
            break;
        default:
            if (d->pair.id)
                xha_cl_pair_late(cl, d);
            else
                xha_cl_move_late(cl, d);
            break;
        }
    }
    if (cl->timers.n)
        xha_cl_next(cl, (struct xha_time){ cl->timers.item[0].key });
}

/* ---- proposals under way ---- */

void xha_cl_proposed(struct xha_cluster *cl, struct cl_dom *d, uint8_t host)
{
    assert(cl->n_proposed < CL_FLYING_MAX);
    d->proposed = true;
    cl->proposed[cl->n_proposed++] = cl_slot(cl->st, d);
    xha_cl_place_reserve(cl, d, host);
}

void xha_cl_decided(struct xha_cluster *cl, struct cl_dom *d)
{
    uint32_t slot = cl_slot(cl->st, d), n = 0;

    if (!d->proposed)
        return;
    d->proposed = false;
    for (uint32_t i = 0; i < cl->n_proposed; i++)
        if (cl->proposed[i] != slot)
            cl->proposed[n++] = cl->proposed[i];
    cl->n_proposed = n;
    xha_cl_place_where(cl, d);
}

/* A new epoch: what was proposed and not applied is proposed again. */
void xha_cl_lead_again(struct xha_cluster *cl)
{
    for (uint32_t i = cl->st->moving.head; i != NONE32; i = cl->st->dom[i].link[CL_L_MOVING].next)
        cl->st->dom[i].ended_move = 0;
    for (uint32_t i = 0; i < cl->wanted.n; i++)
        xha_cl_place_unseat(cl, &cl->st->dom[cl->wanted.item[i].what]);
    for (uint32_t i = cl->st->paired.head; i != NONE32; i = cl->st->dom[i].link[CL_L_PAIRED].next)
        cl->st->dom[i].ended_move = 0;
    cl->pairs_due = true;
    while (cl->n_proposed) {
        struct cl_dom *d = &cl->st->dom[cl->proposed[cl->n_proposed - 1]];

        xha_cl_decided(cl, d);
        xha_cl_queue(cl, d);
    }
}

void xha_cl_lead(struct xha_cluster *cl)
{
    if (!xha_cl_leads(cl))
        return;
    kick(cl);
    grant_all(cl);
    xha_cl_move_lead(cl);
    xha_cl_pair_lead(cl);
}

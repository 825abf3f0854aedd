/*
 * cl_view.c - looking at the cluster core: status, hosts, domains, what if, and the audit that tests run.
 */
#include "cl_internal.h"

#include <stdio.h>

void xha_cluster_status(const struct xha_cluster *cl, struct xha_cluster_status *status_r)
{
    const struct cl_state *st = cl->st;

    *status_r = (struct xha_cluster_status){
        .quorate = cl->quorate,
        .synced = cl->phase == CL_SYNCED,
        .settled = cl->phase == CL_SYNCED && xha_cl_settled(cl->st),
        .leader_known = cl->phase == CL_SYNCED,
        /* Off only when that is committed: till then others may count on our watchdog. */
        .armed = cl->armed,
        .self = cl->self,
        .leader = cl->phase == CL_SYNCED ? cl_lowest(st->members) : XHA_HOST_NONE,
        .epoch = st->rank.epoch,
        .index = st->rank.index,
        .committed = cl->committed,
        .hash = xha_cl_hash_all(st),
        .members = cl->phase == CL_NO_VIEW ? 0 : cl->view.members,
        .nodes = cl->phase == CL_NO_VIEW ? 0 : cl->view.nodes,
        .domains = st->n,
        .moving = st->n_moving,
        .free_waiting = cl->wanted.n + cl->n_later,
    };
    for (uint32_t h = 0; h < XHA_HOSTS_MAX; h++)
        status_r->hosts += st->host[h].state != XHA_HOST_UNKNOWN;
}

const struct xha_cluster_policy *xha_cluster_policy(const struct xha_cluster *cl)
{
    return &cl->st->policy;
}

bool xha_cluster_host(const struct xha_cluster *cl, uint8_t host, struct xha_cluster_host *host_r)
{
    struct xha_place_host_view view = { 0 };
    const struct cl_host *h;

    memset(host_r, 0, sizeof *host_r);
    if (host >= XHA_HOSTS_MAX || cl->st->host[host].state == XHA_HOST_UNKNOWN)
        return false;
    h = &cl->st->host[host];
    host_r->state = h->state;
    host_r->info = h->info;
    host_r->fenced_by = h->fenced_by;
    host_r->maintenance = h->maintenance;
    host_r->member = cl->phase != CL_NO_VIEW && cl_in(cl->view.members, host);
    host_r->node = cl->phase != CL_NO_VIEW && cl_in(cl->view.nodes, host);
    host_r->domains = h->n_owned;
    host_r->running = h->n_running;
    if (xha_place_host_view(cl->place, host, &view)) {
        host_r->memory_free_kib = view.free_kib > 0 ? (uint64_t)view.free_kib : 0;
        host_r->memory_used_kib = (uint64_t)((int64_t)h->info.memory_kib - view.free_kib);
    }
    host_r->fence_attempts = h->attempt;
    memcpy(host_r->fence_text, h->fence_text, sizeof host_r->fence_text);
    if (h->state == XHA_HOST_LOST && cl->eye[host].absent_since.ms != INT64_MAX) {
        struct xha_time fires = xha_cl_watchdog_time(cl, host);

        host_r->lost_since = cl->eye[host].absent_since;
        host_r->fenced_at_latest.ms = fires.ms == INT64_MAX ? 0 : fires.ms;
    }
    return true;
}

uint32_t xha_cluster_count(const struct xha_cluster *cl)
{
    return cl->st->n;
}

static void show(const struct xha_cluster *cl, const struct cl_dom *d, struct xha_cluster_domain *r)
{
    memset(r, 0, sizeof *r);
    r->uuid = d->uuid;
    r->name = d->name;
    r->policy = &d->policy;
    r->needs = &d->needs;
    r->digest_policy = d->digest_policy;
    r->digest_config = d->digest_config;
    r->phase = d->phase;
    r->owner = d->phase == XHA_PH_FREE ? XHA_HOST_NONE : d->owner;
    r->home = d->home;
    r->term = d->term;
    r->want_run = d->want_run;
    r->committed = d->changed <= cl->committed;
    r->purpose = d->purpose;
    r->failure = d->failure;
    r->report = d->report;
    r->move.id = d->phase == XHA_PH_MOVING ? d->move.id : 0;
    r->move.target = d->phase == XHA_PH_MOVING ? d->move.target : XHA_HOST_NONE;
    r->move.mode = d->move.mode;
    r->move.stage = d->move.stage;
    r->move.why = d->move.why;
    r->move.port = d->move.port;
    r->last_move = d->last_move;
    r->pair.id = d->pair.id;
    r->pair.backup = d->pair.backup;
    r->pair.stage = d->pair.stage;
    r->pair.port = d->pair.port;
    r->bare_text = d->bare_text;
    r->wait_cause = d->wait_cause;
    memcpy(r->wait_text, d->wait_text, sizeof r->wait_text);
}

void xha_cluster_domain(const struct xha_cluster *cl, uint32_t i, struct xha_cluster_domain *domain_r)
{
    assert(i < cl->st->n);
    show(cl, &cl->st->dom[cl->st->order[i]], domain_r);
}

int xha_cluster_find(const struct xha_cluster *cl, const struct xha_uuid *uuid,
                     struct xha_cluster_domain *domain_r)
{
    const struct cl_dom *d = xha_cl_find(cl->st, uuid);

    if (!d)
        return XHA_CORE_E_NODOMAIN;
    show(cl, d, domain_r);
    return XHA_CORE_OK;
}

bool xha_cluster_drops(const struct xha_cluster *cl, const struct xha_uuid *uuid)
{
    const struct cl_state *st = cl->st;

    for (uint32_t i = st->changed.head; i != NONE32; i = st->dom[i].link[CL_L_CHANGED].next)
        if (st->dom[i].dropped && !memcmp(&st->dom[i].uuid, uuid, sizeof *uuid))
            return true;
    return false;
}

/* ---- what if ---- */

/* Those whose copies take over. */
static uint32_t copies_down(const struct xha_cluster *cl, uint8_t host, struct xha_what_if *out, uint32_t max,
                            uint32_t n)
{
    const struct cl_state *st = cl->st;

    for (uint32_t i = st->paired.head; i != NONE32; i = st->dom[i].link[CL_L_PAIRED].next) {
        const struct cl_dom *d = &st->dom[i];

        if (d->phase != XHA_PH_OWNED || d->owner != host || d->pair.stage != XHA_PAIR_PROTECTED ||
            !d->want_run)
            continue;
        if (n < max) {
            out[n] = (struct xha_what_if){ .uuid = d->uuid, .from = host, .to = d->pair.backup };
            snprintf(out[n].text, sizeof out[n].text, "its copy takes over");
        }
        n++;
    }
    return n;
}

uint32_t xha_cluster_what_if_down(const struct xha_cluster *cl, uint8_t host, struct xha_what_if *out,
                                  uint32_t max, uint32_t *homeless_r)
{
    uint32_t number = host, n = 0, after = cl->last_placed < XHA_HOSTS_MAX ? cl->last_placed : XHA_PLACE_NONE;

    *homeless_r = 0;
    if (host >= XHA_HOSTS_MAX ||
        xha_place_leave(cl->place, &number, 1, XHA_PLACE_LEAVE_RESTART, cl->st->policy.placement, after,
                        cl->leaves, cl->st->n_slots, &n))
        return 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct xha_place_move *m = &cl->leaves[i];
        bool homeless = m->to == XHA_PLACE_NONE;

        *homeless_r += homeless;
        if (i >= max)
            continue;
        memset(&out[i], 0, sizeof out[i]);
        out[i].uuid = cl->st->dom[m->domain].uuid;
        out[i].from = (uint8_t)m->from;
        out[i].to = homeless ? XHA_HOST_NONE : (uint8_t)m->to;
        if (homeless)
            xha_place_why_text(&m->why, xha_cl_place_name, (void *)(uintptr_t)cl, out[i].text,
                               sizeof out[i].text);
    }
    return copies_down(cl, host, out, max, n);
}

int xha_cluster_what_if_add(const struct xha_cluster *cl, const struct xha_policy *policy,
                            const struct xha_needs *needs, struct xha_what_if *out_r)
{
    struct xha_place_need need;
    struct xha_place_added added;
    struct xha_place_query query = {
        .need = &need, .policy = cl->st->policy.placement, .prefer = XHA_PLACE_NONE, .after = XHA_PLACE_NONE
    };

    memset(out_r, 0, sizeof *out_r);
    out_r->from = out_r->to = XHA_HOST_NONE;
    if (!cl->st->n_free || cl->st->n >= cl->set.max_domains)
        return XHA_CORE_E_FULL;
    query.domain = cl->st->free[cl->st->n_free - 1];
    xha_cl_place_need(cl, policy, needs, &need);
    if (xha_place_add(cl->place, &query, cl->st->policy.survive, XHA_PLACE_STEPS, &added))
        return XHA_CORE_E_INVAL;
    if (added.host != XHA_PLACE_NONE)
        out_r->to = (uint8_t)added.host;
    if (added.host == XHA_PLACE_NONE || added.survival.verdict != XHA_PLACE_FITS)
        xha_cl_place_refusal(cl, &added, out_r->text, sizeof out_r->text);
    return XHA_CORE_OK;
}

/* ---- audit ---- */

static void audit_domain(const struct xha_cluster *cl, const struct cl_dom *d)
{
    const struct cl_state *st = cl->st;
    uint32_t slot = cl_slot(st, d);

    assert(d->used && !d->dropped && d->term && xha_cl_find(st, &d->uuid) == d);
    assert(d->phase == XHA_PH_FREE || d->owner < XHA_HOSTS_MAX);
    assert((d->phase != XHA_PH_FREE) == (d->link[CL_L_OWNED].in != NULL));
    assert(d->phase == XHA_PH_FREE || d->link[CL_L_OWNED].in == &st->host[d->owner].owned);
    assert((d->phase == XHA_PH_MOVING) == (d->link[CL_L_MOVING].in == &st->moving));
    assert(d->phase != XHA_PH_MOVING || (d->move.target < XHA_HOSTS_MAX && d->move.target != d->owner));
    assert((d->pair.id != 0) == (d->link[CL_L_PAIRED].in == &st->paired));
    assert(!d->pair.id || (d->phase != XHA_PH_MOVING && d->pair.backup < XHA_HOSTS_MAX &&
                           d->pair.backup != d->owner && st->host[d->pair.backup].state != XHA_HOST_FENCED));
    assert(!d->pair.id || d->phase == XHA_PH_OWNED ||
           (d->want_run && d->pair.stage == XHA_PAIR_PROTECTED && !d->proposed &&
            xha_heap_has(&cl->timers, slot * CL_T_N_ + CL_T_MOVE)));
    if (d->phase == XHA_PH_FREE && d->want_run && !d->pair.id && !d->proposed)
        assert(xha_heap_has(&cl->wanted, slot) || xha_heap_has(&cl->timers, slot * CL_T_N_ + CL_T_LATER));
    else if (d->phase != XHA_PH_FREE || !d->want_run || d->pair.id)
        assert(!xha_heap_has(&cl->wanted, slot));
}

void xha_cluster_audit(const struct xha_cluster *cl)
{
    const struct cl_state *st = cl->st;
    uint32_t owned[XHA_HOSTS_MAX] = { 0 }, coming[XHA_TIERS] = { 0 }, n_moving = 0;
    uint64_t hash = 0;

    for (uint32_t i = 0; i < st->n; i++) {
        const struct cl_dom *d = &st->dom[st->order[i]];

        audit_domain(cl, d);
        hash ^= d->hash;
        coming[d->coming_tier] += d->coming;
        n_moving += d->phase == XHA_PH_MOVING;
        if (d->phase != XHA_PH_FREE)
            owned[d->owner]++;
    }
    for (uint32_t h = 0; h < XHA_HOSTS_MAX; h++) {
        hash ^= st->host[h].hash;
        assert(owned[h] == st->host[h].n_owned);
        assert(st->host[h].state != XHA_HOST_FENCED || !owned[h]);
    }
    assert(hash == st->hash && n_moving == st->n_moving);
    assert(!memcmp(coming, cl->coming, sizeof coming));
    assert(cl->committed <= st->rank.index);
    xha_heap_audit(&cl->wanted);
    xha_heap_audit(&cl->timers);
    xha_place_audit(cl->place);
}

/*
 * cl_state.c - the replicated state: hosts, domains by UUID, the lists and sums by which they are found, and
 * one hash over it all that changes with each of them. Two of these exist: one in use, and one to load into.
 */
#include "cl_internal.h"

#include <stdlib.h>

/* ---- hash ---- */

static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 p = (unsigned __int128)(a ^ 0x9e3779b97f4a7c15u) * (b ^ 0xd6e8feb86659fd93u);

    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static uint64_t load64(const uint8_t *at, size_t n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)at[i] << (8 * i);
    return v;
}

uint64_t xha_cl_hash(const uint8_t *at, size_t len, uint64_t seed)
{
    uint64_t h = mix(seed, len);

    for (; len >= 8; at += 8, len -= 8)
        h = mix(h, load64(at, 8));
    return mix(h, load64(at, len) ^ len << 56);
}

void xha_cl_hash_dom(struct cl_state *st, struct cl_dom *d, bool fixed)
{
    uint8_t buf[CL_ITEM_MAX];
    struct cl_wire w = cl_writer(buf, sizeof buf);

    st->hash ^= d->hash;
    if (fixed) {
        xha_cl_wdom_fixed(&w, d);
        d->hash_fixed = xha_cl_hash(buf, w.pos, 1);
        w = cl_writer(buf, sizeof buf);
    }
    xha_cl_wdom(&w, d);
    d->hash = xha_cl_hash(buf, w.pos, d->hash_fixed);
    st->hash ^= d->hash;
}

void xha_cl_hash_host(struct cl_state *st, uint8_t host)
{
    uint8_t buf[CL_ITEM_MAX];
    struct cl_wire w = cl_writer(buf, sizeof buf);
    struct cl_host *h = &st->host[host];

    st->host_changes++;
    st->hash ^= h->hash;
    h->hash = 0;
    if (h->state == XHA_HOST_UNKNOWN)
        return;
    xha_cl_w8(&w, &host);
    xha_cl_whost(&w, h);
    h->hash = xha_cl_hash(buf, w.pos, 2);
    st->hash ^= h->hash;
}

/* Settings change seldom, and the hash of all is asked for at every step. */
void xha_cl_hash_policy(struct cl_state *st)
{
    uint8_t buf[512];
    struct cl_wire w = cl_writer(buf, sizeof buf);
    struct xha_cluster_policy policy = st->policy;

    xha_cl_wsettings(&w, &policy);
    st->policy_hash = xha_cl_hash(buf, w.pos, 3);
}

uint64_t xha_cl_hash_all(const struct cl_state *st)
{
    uint64_t head[] = {
        st->policy_hash, st->members, st->nodes, st->n, st->rank.settled, st->terms, st->armed
    };
    uint8_t buf[sizeof head];
    struct cl_wire w = cl_writer(buf, sizeof buf);

    for (size_t i = 0; i < sizeof head / sizeof head[0]; i++)
        xha_cl_w64(&w, &head[i]);
    return st->hash ^ xha_cl_hash(buf, w.pos, 3);
}

/* ---- life ---- */

int xha_cl_state_new(struct cl_state *st, uint32_t max_domains)
{
    st->n_slots = max_domains + 64; /* more, for those that are dropped and not yet committed */
    for (st->n_buckets = 64; st->n_buckets < st->n_slots; st->n_buckets *= 2)
        ;
    st->dom = calloc(st->n_slots, sizeof *st->dom);
    st->order = calloc(st->n_slots, sizeof *st->order);
    st->free = calloc(st->n_slots, sizeof *st->free);
    st->bucket = calloc(st->n_buckets, sizeof *st->bucket);
    if (!st->dom || !st->order || !st->free || !st->bucket)
        return XHA_CORE_E_NOMEM;
    for (uint32_t i = 0; i < st->n_slots; i++)
        st->free[i] = i;
    xha_cl_state_clear(st);
    return XHA_CORE_OK;
}

void xha_cl_state_free(struct cl_state *st)
{
    free(st->dom);
    free(st->order);
    free(st->free);
    free(st->bucket);
}

static void list_clear(struct list *list)
{
    list->head = list->tail = NONE32;
}

void xha_cl_state_clear(struct cl_state *st)
{
    for (uint32_t i = 0; i < st->n_slots; i++) {
        if (st->dom[i].used || st->dom[i].dropped)
            memset(&st->dom[i], 0, sizeof st->dom[i]);
        st->free[i] = st->n_slots - 1 - i;
    }
    st->n_free = st->n_slots;
    for (uint32_t i = 0; i < st->n_buckets; i++)
        st->bucket[i] = NONE32;
    memset(st->host, 0, sizeof st->host);
    for (uint32_t h = 0; h < XHA_HOSTS_MAX; h++) {
        list_clear(&st->host[h].owned);
        list_clear(&st->host[h].homed);
        st->host[h].executor = XHA_HOST_NONE;
    }
    list_clear(&st->changed);
    list_clear(&st->say);
    list_clear(&st->flown);
    list_clear(&st->moving);
    list_clear(&st->paired);
    list_clear(&st->bare);
    st->rank = (struct cl_rank){ 0 };
    st->members = st->nodes = 0;
    st->armed = false; /* until somebody arms the cluster, once it stands */
    memset(&st->policy, 0, sizeof st->policy);
    st->policy.parallel_moves = 2;
    st->policy.move_timeout.ms = 3600000;
    xha_cl_hash_policy(st);
    st->n = st->n_moving = 0;
    st->hash = 0;
    st->terms = st->armed_changed = 0;
    st->host_changes++;
}

/* ---- domains by UUID ---- */

static uint32_t *bucket_of(const struct cl_state *st, const struct xha_uuid *uuid)
{
    return &st->bucket[xha_cl_hash(uuid->b, sizeof uuid->b, 4) & (st->n_buckets - 1)];
}

struct cl_dom *xha_cl_find(const struct cl_state *st, const struct xha_uuid *uuid)
{
    for (uint32_t i = *bucket_of(st, uuid); i != NONE32; i = st->dom[i].hash_next)
        if (!memcmp(&st->dom[i].uuid, uuid, sizeof *uuid))
            return &st->dom[i];
    return NULL;
}

struct cl_dom *xha_cl_add(struct cl_state *st, const struct xha_uuid *uuid)
{
    uint32_t *bucket = bucket_of(st, uuid), slot;
    struct cl_dom *d;

    if (!st->n_free)
        return NULL;
    slot = st->free[--st->n_free];
    d = &st->dom[slot];
    memset(d, 0, sizeof *d);
    d->used = true;
    d->uuid = *uuid;
    d->owner = d->home = d->next = d->move.target = d->pair.backup = d->gone_owner = XHA_HOST_NONE;
    d->sum_owner = d->sum_target = XHA_HOST_NONE;
    d->hash_next = *bucket;
    *bucket = slot;
    d->order_at = st->n;
    st->order[st->n++] = slot;
    return d;
}

void xha_cl_unindex(struct cl_state *st, struct cl_dom *d)
{
    uint32_t *at = bucket_of(st, &d->uuid), slot = cl_slot(st, d);

    d->phase = XHA_PH_FREE;
    d->owner = d->home = XHA_HOST_NONE;
    d->pair = (struct cl_pair){ .backup = XHA_HOST_NONE };
    xha_cl_settle(st, d);
    st->hash ^= d->hash;
    d->hash = 0;
    while (*at != slot)
        at = &st->dom[*at].hash_next;
    *at = d->hash_next;
    st->order[d->order_at] = st->order[--st->n];
    st->dom[st->order[d->order_at]].order_at = d->order_at;
    d->used = false;
    d->dropped = true;
}

void xha_cl_release(struct cl_state *st, struct cl_dom *d)
{
    for (int kind = 0; kind < CL_L_N_; kind++)
        xha_cl_remove(st, kind, d);
    d->dropped = false;
    st->free[st->n_free++] = cl_slot(st, d);
}

/* ---- lists ---- */

void xha_cl_append(struct cl_state *st, struct list *list, enum cl_list kind, struct cl_dom *d)
{
    struct cl_links *l = &d->link[kind];
    uint32_t slot = cl_slot(st, d);

    xha_cl_remove(st, kind, d);
    l->in = list;
    l->prev = list->tail;
    l->next = NONE32;
    if (list->tail == NONE32)
        list->head = slot;
    else
        st->dom[list->tail].link[kind].next = slot;
    list->tail = slot;
}

void xha_cl_remove(struct cl_state *st, enum cl_list kind, struct cl_dom *d)
{
    struct cl_links *l = &d->link[kind];

    if (!l->in)
        return;
    if (l->prev == NONE32)
        l->in->head = l->next;
    else
        st->dom[l->prev].link[kind].next = l->next;
    if (l->next == NONE32)
        l->in->tail = l->prev;
    else
        st->dom[l->next].link[kind].prev = l->prev;
    l->in = NULL;
}

/* ---- sums ---- */

/* By the word of its owner's host core: there is a domain, or one is being made. */
bool xha_cl_runs(const struct cl_dom *d)
{
    switch (d->report.state) {
    case XHA_ST_DEFINED:
    case XHA_ST_QUEUED:
    case XHA_ST_STOPPED:
    case XHA_ST_FAILED:
        return false;
    default:
        return true;
    }
}

static void sum(struct cl_state *st, struct cl_dom *d, int by)
{
    uint32_t one = (uint32_t)by;

    if (d->sum_owner == XHA_HOST_NONE)
        return;
    st->host[d->sum_owner].n_owned += one;
    if (d->sum_runs)
        st->host[d->sum_owner].n_running += one;
    if (d->sum_target == XHA_HOST_NONE)
        return;
    st->host[d->sum_owner].moving_out += one;
    st->host[d->sum_target].moving_in += one;
    st->n_moving += one;
}

static void listed(struct cl_state *st, enum cl_list kind, struct list *list, struct cl_dom *d)
{
    if (!list)
        xha_cl_remove(st, kind, d);
    else if (d->link[kind].in != list)
        xha_cl_append(st, list, kind, d);
}

void xha_cl_settle(struct cl_state *st, struct cl_dom *d)
{
    bool owned = d->phase != XHA_PH_FREE;

    sum(st, d, -1);
    d->sum_owner = owned ? d->owner : XHA_HOST_NONE;
    d->sum_target = d->phase == XHA_PH_MOVING ? d->move.target : XHA_HOST_NONE;
    d->sum_runs = xha_cl_runs(d);
    sum(st, d, 1);
    listed(st, CL_L_OWNED, owned ? &st->host[d->owner].owned : NULL, d);
    listed(st, CL_L_HOMED, d->home != XHA_HOST_NONE ? &st->host[d->home].homed : NULL, d);
    listed(st, CL_L_MOVING, d->phase == XHA_PH_MOVING ? &st->moving : NULL, d);
    listed(st, CL_L_PAIRED, d->pair.id ? &st->paired : NULL, d);
    xha_cl_hash_dom(st, d, false);
}

/* ---- hosts ---- */

uint32_t xha_cl_capacity(const struct cl_state *st)
{
    uint32_t least = UINT32_MAX;

    for (uint32_t h = 0; h < XHA_HOSTS_MAX; h++)
        if (st->host[h].state != XHA_HOST_UNKNOWN && st->host[h].state != XHA_HOST_LEFT &&
            st->host[h].max_domains < least)
            least = st->host[h].max_domains;
    return least;
}

xha_hostset xha_cl_hosts(const struct cl_state *st, enum xha_host_state state)
{
    xha_hostset set = 0;

    for (uint32_t h = 0; h < XHA_HOSTS_MAX; h++)
        if (st->host[h].state == state)
            set |= BIT(h);
    return set;
}

bool xha_cl_same_boot(const struct xha_incarnation *a, const struct xha_incarnation *b)
{
    return !memcmp(&a->boot, &b->boot, sizeof a->boot);
}

bool xha_cl_same(const struct xha_incarnation *a, const struct xha_incarnation *b)
{
    return xha_cl_same_boot(a, b) && a->generation == b->generation;
}

/*
 * place-twin.h - a second, simple-minded placement: arrays and loops over everything. What core/place.h answers
 * is held against it. Small random clusters, full of filters.
 */
#ifndef PLACE_TWIN_H
#define PLACE_TWIN_H

#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/sim/rng.h"
#include "xhad/core/place.h"

#define TWIN_HOSTS   10
#define TWIN_DOMAINS 24
#define TWIN_GROUPS  5
#define NONE         XHA_PLACE_NONE

struct twin_dom {
    bool known;
    struct xha_place_need need;
    uint32_t on[2];
};

struct twin {
    struct sim_rng rng;
    struct xha_place *place;
    uint32_t avoid[2]; /* of the last query */
    bool known[TWIN_HOSTS];
    struct xha_place_host host[TWIN_HOSTS];
    struct twin_dom dom[TWIN_DOMAINS];
};

static inline uint32_t twin_random(struct twin *t, uint32_t below)
{
    return (uint32_t)sim_rng_range(&t->rng, 0, below - 1);
}

/* True once in n. */
static inline bool twin_chance(struct twin *t, uint32_t n)
{
    return !twin_random(t, n);
}

static inline bool twin_on(const struct twin *t, uint32_t d, uint32_t h)
{
    return t->dom[d].on[0] == h || t->dom[d].on[1] == h;
}

static inline int64_t twin_free_kib(const struct twin *t, uint32_t h)
{
    int64_t kib = (int64_t)t->host[h].memory_kib;

    for (uint32_t d = 0; d < TWIN_DOMAINS; d++)
        if (t->dom[d].known && twin_on(t, d, h))
            kib -= (int64_t)t->dom[d].need.memory_kib;
    return kib;
}

static inline int64_t twin_free_vcpus(const struct twin *t, uint32_t h)
{
    int64_t vcpus = t->host[h].pcpus * t->host[h].overcommit_percent / 100;

    if (!t->host[h].overcommit_percent)
        return INT64_MAX;
    for (uint32_t d = 0; d < TWIN_DOMAINS; d++)
        if (t->dom[d].known && twin_on(t, d, h))
            vcpus -= t->dom[d].need.vcpus;
    return vcpus;
}

static inline bool twin_in(const uint32_t group[XHA_PLACE_GROUPS], uint32_t g)
{
    return g && (group[0] == g || group[1] == g);
}

static inline bool twin_share(const uint32_t a[XHA_PLACE_GROUPS], const uint32_t b[XHA_PLACE_GROUPS])
{
    return twin_in(a, b[0]) || twin_in(a, b[1]);
}

/* Whether another domain of the group counts on host h; NONE: on any that is not down. */
static inline bool twin_others(const struct twin *t, uint32_t self, uint32_t g, uint32_t h)
{
    for (uint32_t d = 0; d < TWIN_DOMAINS; d++) {
        if (d == self || !t->dom[d].known || !twin_in(t->dom[d].need.together, g))
            continue;
        for (int i = 0; i < 2; i++)
            if (t->dom[d].on[i] != NONE && t->host[t->dom[d].on[i]].state != XHA_PLACE_DOWN &&
                (h == NONE || t->dom[d].on[i] == h))
                return true;
    }
    return false;
}

static inline enum xha_place_filter twin_filter_groups(const struct twin *t, const struct xha_place_query *q,
                                                       uint32_t h)
{
    for (int g = 0; g < XHA_PLACE_GROUPS; g++)
        if (q->need->together[g] && twin_others(t, q->domain, q->need->together[g], NONE) &&
            !twin_others(t, q->domain, q->need->together[g], h))
            return XHA_PLACE_F_TOGETHER;
    for (uint32_t d = 0; d < TWIN_DOMAINS; d++)
        if (d != q->domain && t->dom[d].known && twin_on(t, d, h) &&
            twin_share(q->need->apart, t->dom[d].need.apart))
            return XHA_PLACE_F_APART;
    return XHA_PLACE_FILTER_N_;
}

static inline enum xha_place_filter twin_filter(const struct twin *t, const struct xha_place_query *q,
                                                uint32_t h)
{
    const struct xha_place_host *is = &t->host[h];
    const struct xha_place_need *n = q->need;
    enum xha_place_filter groups;
    bool named = !n->n_only;

    for (uint32_t i = 0; i < n->n_only; i++)
        named |= n->only[i] == h;
    if (is->state != XHA_PLACE_UP)
        return is->state == XHA_PLACE_DOWN ? XHA_PLACE_F_DOWN : XHA_PLACE_F_MAINTENANCE;
    for (uint32_t i = 0; i < q->n_avoid; i++)
        if (q->avoid[i] == h)
            return XHA_PLACE_F_AVOIDED;
    if (q->domain != NONE && twin_on(t, q->domain, h))
        return XHA_PLACE_F_AVOIDED;
    if (!named)
        return XHA_PLACE_F_NOT_NAMED;
    if ((is->tags & n->tags) != n->tags)
        return XHA_PLACE_F_TAGS;
    if (is->tags & n->not_tags)
        return XHA_PLACE_F_NOT_TAGS;
    if ((is->networks & n->networks) != n->networks)
        return XHA_PLACE_F_NETWORKS;
    if ((is->storages & n->storages) != n->storages)
        return XHA_PLACE_F_STORAGES;
    groups = twin_filter_groups(t, q, h);
    if (groups != XHA_PLACE_FILTER_N_)
        return groups;
    if (twin_free_vcpus(t, h) < (int64_t)n->vcpus)
        return XHA_PLACE_F_VCPUS;
    return twin_free_kib(t, h) < (int64_t)n->memory_kib ? XHA_PLACE_F_MEMORY : XHA_PLACE_FILTER_N_;
}

/* Whether a is taken before b by the policy. */
static inline bool twin_better(const struct twin *t, const struct xha_place_query *q, uint32_t a, uint32_t b)
{
    int64_t ka = twin_free_kib(t, a), kb = twin_free_kib(t, b);
    int64_t va = twin_free_vcpus(t, a), vb = twin_free_vcpus(t, b);
    bool passed_a = q->after != NONE && a <= q->after, passed_b = q->after != NONE && b <= q->after;

    if (q->policy == XHA_PLACE_ROUND_ROBIN)
        return passed_a != passed_b ? passed_b : a < b;
    if (ka != kb)
        return q->policy == XHA_PLACE_WORST_FIT ? ka > kb : ka < kb;
    if (va != vb)
        return q->policy == XHA_PLACE_WORST_FIT ? va > vb : va < vb;
    return a < b;
}

static inline uint32_t twin_find(const struct twin *t, const struct xha_place_query *q)
{
    uint32_t best = NONE;

    for (int i = 0; i < 2; i++) {
        uint32_t h = !i ? q->prefer : q->need->has_prefer ? q->need->prefer : NONE;

        if (h < TWIN_HOSTS && t->known[h] && twin_filter(t, q, h) == XHA_PLACE_FILTER_N_)
            return h;
    }
    for (uint32_t h = 0; h < TWIN_HOSTS; h++)
        if (t->known[h] && twin_filter(t, q, h) == XHA_PLACE_FILTER_N_ &&
            (best == NONE || twin_better(t, q, h, best)))
            best = h;
    return best;
}

/* ---- random clusters: few sizes and bits, so that things collide ---- */

static inline uint64_t twin_bits(struct twin *t, uint32_t sparse)
{
    uint64_t bits = 0;

    for (int i = 0; i < 3; i++)
        bits |= (uint64_t)twin_chance(t, sparse) << i;
    return bits;
}

static inline void twin_random_need(struct twin *t, struct xha_place_need *n, uint32_t choosy)
{
    *n = (struct xha_place_need){
        .memory_kib = twin_random(t, 5) * 1000,
        .vcpus = twin_random(t, 4),
        .priority = twin_random(t, 3),
        .tier = twin_random(t, 2),
        .restart = !twin_chance(t, 8),
    };
    if (twin_chance(t, choosy))
        n->tags = twin_bits(t, 3);
    if (twin_chance(t, choosy))
        n->not_tags = twin_bits(t, 3);
    if (twin_chance(t, choosy))
        n->networks = twin_bits(t, 3);
    if (twin_chance(t, choosy))
        n->storages = twin_bits(t, 3);
    for (int i = 0; i < XHA_PLACE_GROUPS; i++) {
        if (twin_chance(t, choosy))
            n->together[i] = 1 + twin_random(t, TWIN_GROUPS);
        if (twin_chance(t, choosy))
            n->apart[i] = 1 + twin_random(t, TWIN_GROUPS);
    }
    if (twin_chance(t, choosy)) {
        n->n_only = (uint8_t)(1 + twin_random(t, 6));
        for (uint32_t i = 0; i < n->n_only; i++)
            n->only[i] = twin_chance(t, 9) ? NONE : twin_random(t, TWIN_HOSTS + 2);
    }
    if (twin_chance(t, choosy)) {
        n->has_prefer = true;
        n->prefer = twin_random(t, TWIN_HOSTS + 2);
    }
}

static inline void twin_host(struct twin *t, uint32_t h, const struct xha_place_host *is)
{
    t->known[h] = true;
    t->host[h] = *is;
    assert_int_equal(xha_place_host(t->place, h, is), XHA_PLACE_OK);
}

static inline void twin_random_host(struct twin *t, uint32_t h)
{
    struct xha_place_host is = {
        .memory_kib = 4000 + twin_random(t, 4) * 2000,
        .pcpus = 2 + twin_random(t, 3),
        .overcommit_percent = twin_random(t, 4) * 100,
        .state =
            twin_chance(t, 6) ? (enum xha_place_host_state)twin_random(t, XHA_PLACE_HOST_N_) : XHA_PLACE_UP,
        .tags = ~twin_bits(t, 3),
        .networks = ~twin_bits(t, 4),
        .storages = ~twin_bits(t, 4),
    };

    twin_host(t, h, &is);
}

static inline void twin_domain(struct twin *t, uint32_t d, const struct xha_place_need *need)
{
    if (!t->dom[d].known)
        t->dom[d].on[0] = t->dom[d].on[1] = NONE;
    t->dom[d].known = true;
    t->dom[d].need = *need;
    assert_int_equal(xha_place_domain(t->place, d, need), XHA_PLACE_OK);
}

static inline void twin_put(struct twin *t, uint32_t d, uint32_t h)
{
    assert_int_equal(xha_place_put(t->place, d, h), XHA_PLACE_OK);
    t->dom[d].on[t->dom[d].on[0] != NONE] = h;
}

static inline void twin_take(struct twin *t, uint32_t d, uint32_t h)
{
    assert_int_equal(xha_place_take(t->place, d, h), XHA_PLACE_OK);
    t->dom[d].on[t->dom[d].on[0] != h] = NONE;
}

static inline void twin_query(struct twin *t, const struct xha_place_need *need, uint32_t d,
                              struct xha_place_query *q_r)
{
    t->avoid[0] = twin_random(t, TWIN_HOSTS);
    t->avoid[1] = twin_random(t, TWIN_HOSTS + 1);
    *q_r = (struct xha_place_query){
        .need = need,
        .policy = (enum xha_placement)twin_random(t, XHA_PLACEMENT_N_),
        .domain = d,
        .avoid = t->avoid,
        .n_avoid = twin_random(t, 3),
        .prefer = twin_chance(t, 4) ? twin_random(t, TWIN_HOSTS) : NONE,
        .after = twin_chance(t, 2) ? twin_random(t, TWIN_HOSTS) : NONE,
    };
}

static inline void twin_new(struct twin *t, uint64_t seed)
{
    const struct xha_place_sizes sizes = { TWIN_HOSTS, TWIN_DOMAINS, TWIN_GROUPS };

    memset(t, 0, sizeof(*t));
    t->rng.s = seed;
    for (uint32_t d = 0; d < TWIN_DOMAINS; d++)
        t->dom[d].on[0] = t->dom[d].on[1] = NONE;
    assert_int_equal(xha_place_new(&sizes, &t->place), XHA_PLACE_OK);
}

#endif

/*
 * place_survive.c - N+k: whether all domains find room after the loss of any k hosts.
 *
 * First a bound over all sets of k hosts at once (place_bound.c), which proves most healthy clusters in a
 * glance. Then set by set, the fullest hosts first: two greedy tries; two bounds that prove that it cannot be; and last a search
 * through all placements. A count of steps ends what would take too long, and the answer is UNPROVEN.
 */
#include "place_internal.h"

#define SEARCH_UNITS 64 /* deeper searches would not end anyway */
#define SEARCH_SHARE 8  /* of the steps, for one set */
#define SEARCH_LEAST 1000

struct survive {
    struct xha_place *p;
    struct xha_place_survival *out;
    uint64_t steps;        /* all that are allowed */
    uint64_t search_until; /* for this set */
    uint32_t n_candidates; /* host_order: hosts that may be lost */
    uint32_t n_to_lose;    /* to_lose: those of this set, and before them those that are down anyway */
    uint32_t n_down;
    bool symmetric; /* equal hosts are equal to all units of this set */
};

/* ---- one set ---- */

static bool by_memory(const void *user, uint32_t x, uint32_t y)
{
    const struct xha_place *p = user;
    const struct unit *a = &p->unit[x], *b = &p->unit[y];

    if (a->memory_kib != b->memory_kib)
        return a->memory_kib > b->memory_kib;
    if (a->vcpus != b->vcpus)
        return a->vcpus > b->vcpus;
    return a->domain < b->domain;
}

static bool by_choosiness(const void *user, uint32_t x, uint32_t y)
{
    const struct xha_place *p = user;

    if (p->unit[x].choosy != p->unit[y].choosy)
        return p->unit[x].choosy;
    return by_memory(user, x, y);
}

static void take_all(struct xha_place *p)
{
    for (uint32_t u = 0; u < p->n_units; u++)
        xha_place_take_unit(p, u);
}

/* In the order of place->order. Returns the first unit without room, or NONE32. */
static uint32_t greedy(struct survive *s, enum xha_placement policy)
{
    struct xha_place *p = s->p;

    for (uint32_t i = 0; i < p->n_units; i++) {
        struct want w;
        uint32_t host;

        s->out->steps++;
        xha_place_want_unit(&p->unit[p->order[i]], &w);
        host = xha_place_choose(p, &w, policy, NONE32, NONE32);
        if (host == NONE32)
            return p->order[i];
        xha_place_put_unit(p, p->order[i], host);
    }
    return NONE32;
}

/* Whether what is to be placed from order[from] on is more than there is. */
static bool too_much(const struct survive *s, uint32_t from)
{
    const struct xha_place *p = s->p;
    uint64_t kib = 0, vcpus = 0, least = UINT64_MAX, free_kib = 0, free_vcpus = 0;

    for (uint32_t i = from; i < p->n_units; i++) {
        const struct unit *u = &p->unit[p->order[i]];

        kib += u->memory_kib;
        vcpus += u->vcpus;
        if (u->memory_kib < least)
            least = u->memory_kib;
    }
    for (uint32_t h = 0; h < p->sizes.max_hosts; h++) {
        int64_t free = xha_place_free_kib(&p->host[h]), cpus = xha_place_free_vcpus(&p->host[h]);

        if (!p->host[h].indexed || free < (int64_t)least)
            continue;
        free_kib += (uint64_t)free;
        if (cpus > 0)
            free_vcpus =
                cpus == INT64_MAX || free_vcpus == UINT64_MAX ? UINT64_MAX : free_vcpus + (uint64_t)cpus;
    }
    return kib > free_kib || vcpus > free_vcpus;
}

/* The first unit that could not go anywhere even alone, or NONE32. */
static uint32_t hopeless(struct survive *s)
{
    for (uint32_t u = 0; u < s->p->n_units; u++) {
        struct want w;

        s->out->steps++;
        xha_place_want_unit(&s->p->unit[u], &w);
        if (w.clash || xha_place_index_first(s->p, &w, (int64_t)w.memory_kib, INT64_MIN, 0) == NONE32)
            return u;
    }
    return NONE32;
}

/* Whether trying b after a had failed would be the same again. */
static bool same_host(const struct survive *s, uint32_t a, uint32_t b)
{
    const struct host *x = &s->p->host[a], *y = &s->p->host[b];

    return s->symmetric && !x->grouped && !y->grouped && xha_place_free_kib(x) == xha_place_free_kib(y) &&
           xha_place_free_vcpus(x) == xha_place_free_vcpus(y) && x->is.tags == y->is.tags &&
           x->is.networks == y->is.networks && x->is.storages == y->is.storages;
}

/* Places order[from] and on in every way. */
static enum xha_place_verdict search(struct survive *s, uint32_t from)
{
    struct xha_place *p = s->p;
    enum xha_place_verdict verdict;
    struct want w;
    uint32_t host, tried = NONE32;

    if (from == p->n_units)
        return XHA_PLACE_FITS;
    s->out->steps += 1 + p->n_hosts / 64; /* a look at all hosts */
    if (too_much(s, from))
        return XHA_PLACE_FITS_NOT;
    xha_place_want_unit(&p->unit[p->order[from]], &w);
    host = xha_place_index_first(p, &w, (int64_t)w.memory_kib, INT64_MIN, 0);
    for (; host != NONE32;
         host = xha_place_index_first(p, &w, p->node[host].free_kib, p->node[host].free_vcpus, host + 1)) {
        if (tried != NONE32 && same_host(s, tried, host))
            continue;
        if (s->out->steps++ >= s->search_until)
            return XHA_PLACE_UNPROVEN;
        tried = host;
        xha_place_put_unit(p, p->order[from], host);
        verdict = search(s, from + 1);
        xha_place_take_unit(p, p->order[from]);
        if (verdict != XHA_PLACE_FITS_NOT)
            return verdict;
    }
    return XHA_PLACE_FITS_NOT;
}

static enum xha_place_verdict search_set(struct survive *s)
{
    struct xha_place *p = s->p;
    uint64_t share = s->steps / SEARCH_SHARE > SEARCH_LEAST ? s->steps / SEARCH_SHARE : SEARCH_LEAST;

    if (p->n_units > SEARCH_UNITS)
        return XHA_PLACE_UNPROVEN;
    s->symmetric = true;
    for (uint32_t i = 0; i < p->n_lost; i++)
        if (p->dom[p->lost[i]].need.n_only)
            s->symmetric = false;
    s->search_until = s->out->steps + share < s->steps ? s->out->steps + share : s->steps;
    return search(s, 0);
}

/* ---- the answer ---- */

static void record(struct survive *s, enum xha_place_verdict verdict, uint32_t unit,
                   const struct xha_place_why *why)
{
    struct xha_place_survival *out = s->out;
    uint32_t k = 0;

    if (out->verdict != XHA_PLACE_FITS && verdict != XHA_PLACE_FITS_NOT)
        return; /* the first one is told */
    out->verdict = verdict;
    out->blocks = s->p->unit[unit].domain;
    out->why = *why;
    out->lost[0] = out->lost[1] = out->lost[2] = NONE32;
    for (uint32_t i = s->n_down; i < s->n_to_lose; i++) {
        uint32_t at = k++, host = s->p->to_lose[i];

        for (; at && out->lost[at - 1] > host; at--)
            out->lost[at] = out->lost[at - 1];
        out->lost[at] = host;
    }
}

static void explain(const struct survive *s, uint32_t unit, struct xha_place_why *why_r)
{
    struct want w;

    xha_place_want_unit(&s->p->unit[unit], &w);
    xha_place_explain(s->p, &w, why_r);
}

static void decide(struct survive *s)
{
    struct xha_place *p = s->p;
    enum xha_place_verdict verdict = XHA_PLACE_FITS_NOT;
    struct xha_place_why why;
    uint32_t left, alone;

    for (uint32_t i = 0; i < p->n_units; i++)
        p->order[i] = i;
    xha_place_sort(p->order, p->n_units, by_choosiness, p);
    left = greedy(s, XHA_PLACE_BEST_FIT);
    if (left == NONE32)
        return;
    s->out->steps += p->n_hosts / 64;
    explain(s, left, &why);
    take_all(p);
    alone = hopeless(s);
    if (alone != NONE32) {
        explain(s, alone, &why);
        record(s, verdict, alone, &why);
        return;
    }
    xha_place_sort(p->order, p->n_units, by_memory, p);
    if (!too_much(s, 0)) {
        if (greedy(s, XHA_PLACE_WORST_FIT) == NONE32)
            return;
        take_all(p);
        verdict = search_set(s);
    }
    if (verdict != XHA_PLACE_FITS)
        record(s, verdict, left, &why);
}

static void look_at_set(struct survive *s)
{
    struct xha_place *p = s->p;

    s->out->sets++;
    s->out->steps++;
    xha_place_lose(p, p->to_lose, s->n_to_lose, XHA_PLACE_LEAVE_RESTART);
    xha_place_units(p);
    decide(s);
    take_all(p);
    xha_place_find_again(p, p->to_lose, s->n_to_lose);
}

/* Then any set that is left might be the one that does not fit. */
static bool spent(struct survive *s)
{
    if (s->out->steps < s->steps)
        return false;
    if (s->out->verdict == XHA_PLACE_FITS)
        s->out->verdict = XHA_PLACE_UNPROVEN;
    return true;
}

/* All sets of k more hosts, of those from candidate `from` on. */
static void sets(struct survive *s, uint32_t k, uint32_t from)
{
    if (!k) {
        look_at_set(s);
        return;
    }
    for (uint32_t i = from; i + k <= s->n_candidates; i++) {
        if (s->out->verdict == XHA_PLACE_FITS_NOT || spent(s))
            return;
        s->p->to_lose[s->n_to_lose++] = s->p->host_order[i];
        sets(s, k - 1, i + 1);
        s->n_to_lose--;
    }
}

static bool by_use(const void *user, uint32_t x, uint32_t y)
{
    const struct xha_place *p = user;

    if (p->host[x].used_kib != p->host[y].used_kib)
        return p->host[x].used_kib > p->host[y].used_kib;
    return x < y;
}

static void gather_hosts(struct survive *s)
{
    struct xha_place *p = s->p;

    for (uint32_t h = 0; h < p->sizes.max_hosts; h++) {
        if (!p->host[h].known)
            continue;
        if (p->host[h].is.state != XHA_PLACE_DOWN)
            p->host_order[s->n_candidates++] = h;
        else if (p->host[h].first != NONE32)
            p->to_lose[s->n_down++] = h;
    }
    s->n_to_lose = s->n_down;
    xha_place_sort(p->host_order, s->n_candidates, by_use, p);
}

int xha_place_survives(struct xha_place *place, uint32_t k, uint64_t steps,
                       struct xha_place_survival *survival_r)
{
    struct survive s = { .p = place, .out = survival_r, .steps = steps };

    if (k > XHA_PLACE_K_MAX)
        return XHA_PLACE_E_INVAL;
    *survival_r = (struct xha_place_survival){ .verdict = XHA_PLACE_FITS, .k = k, .blocks = NONE32 };
    for (uint32_t i = 0; i < XHA_PLACE_K_MAX; i++)
        survival_r->lost[i] = NONE32;
    survival_r->why.closest = survival_r->why.apart_from = NONE32;
    if (xha_place_surely_survives(place, k))
        return XHA_PLACE_OK;
    gather_hosts(&s);
    /* Fewer as well: an affinity group that is lost in part must go to its rest, lost whole it need not. */
    for (uint32_t few = 0; few <= k && few <= s.n_candidates && survival_r->verdict != XHA_PLACE_FITS_NOT;
         few++)
        sets(&s, few, 0);
    return XHA_PLACE_OK;
}

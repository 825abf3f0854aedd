/*
 * place_find.c - one placement: which hosts are out of the question, which of the others is taken, and how
 * people are told that there is none.
 */
#include "place_internal.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- what is wanted ---- */

void xha_place_want_need(const struct xha_place *p, const struct xha_place_query *query, struct want *want_r)
{
    const struct xha_place_need *need = query->need;

    *want_r = (struct want){
        .need = need,
        .n = 1,
        .memory_kib = need->memory_kib,
        .vcpus = need->vcpus,
        .tags = need->tags,
        .networks = need->networks,
        .storages = need->storages,
        .not_tags = need->not_tags,
        .own = { NONE32, NONE32 },
        .avoid = query->avoid,
        .n_avoid = query->n_avoid,
    };
    if (query->domain < p->sizes.max_domains) {
        want_r->own[0] = p->dom[query->domain].slot[0].host;
        want_r->own[1] = p->dom[query->domain].slot[1].host;
        want_r->first = query->domain;
    } else {
        want_r->first = NONE32;
    }
}

void xha_place_want_unit(const struct unit *unit, struct want *want_r)
{
    *want_r = (struct want){
        .first = unit->first,
        .n = unit->n,
        .memory_kib = unit->memory_kib,
        .vcpus = unit->vcpus,
        .tags = unit->tags,
        .networks = unit->networks,
        .storages = unit->storages,
        .not_tags = unit->not_tags,
        .own = { NONE32, NONE32 },
        .clash = unit->clash,
    };
}

const struct xha_place_need *xha_place_wanted(const struct xha_place *p, const struct want *w, uint32_t i)
{
    return w->need ? w->need : &p->dom[p->lost[w->first + i]].need;
}

/* ---- filters ---- */

/* Whether it may be there at all. */
static bool named(const struct xha_place_need *need, uint32_t host)
{
    for (uint32_t i = 0; i < need->n_only; i++)
        if (need->only[i] == host)
            return true;
    return !need->n_only;
}

/* How often the domain itself is among the group's. Units are taken off: they are not. */
static uint32_t itself(const struct xha_place *p, const struct want *w, uint32_t group)
{
    const struct xha_place_need *stored;
    uint32_t n = 0;

    if (!w->need || w->first == NONE32)
        return 0;
    stored = &p->dom[w->first].need;
    for (int i = 0; i < XHA_PLACE_GROUPS; i++)
        if (stored->together[i] == group)
            for (int j = 0; j < 2; j++)
                n += w->own[j] != NONE32 && p->host[w->own[j]].is.state != XHA_PLACE_DOWN;
    return n;
}

/* Whether others of the group are somewhere, so that it must go to them. */
static bool drawn(const struct xha_place *p, const struct want *w, uint32_t group)
{
    return group && p->groups.total[TOGETHER][group] > itself(p, w, group);
}

static enum xha_place_filter filter_groups(const struct xha_place *p, const struct want *w, uint32_t host)
{
    for (uint32_t i = 0; i < w->n; i++) {
        const struct xha_place_need *need = xha_place_wanted(p, w, i);

        for (int g = 0; g < XHA_PLACE_GROUPS; g++)
            if (drawn(p, w, need->together[g]) &&
                !xha_place_group_count(p, TOGETHER, need->together[g], host))
                return XHA_PLACE_F_TOGETHER;
    }
    for (uint32_t i = 0; i < w->n; i++) {
        const struct xha_place_need *need = xha_place_wanted(p, w, i);

        for (int g = 0; g < XHA_PLACE_GROUPS; g++)
            if (need->apart[g] && xha_place_group_count(p, APART, need->apart[g], host))
                return XHA_PLACE_F_APART;
    }
    return w->clash ? XHA_PLACE_F_APART : XHA_PLACE_FILTER_N_;
}

static bool avoided(const struct want *w, uint32_t host)
{
    for (uint32_t i = 0; i < w->n_avoid; i++)
        if (w->avoid[i] == host)
            return true;
    return host == w->own[0] || host == w->own[1];
}

static bool named_by_all(const struct xha_place *p, const struct want *w, uint32_t host)
{
    for (uint32_t i = 0; i < w->n; i++) {
        if (!named(xha_place_wanted(p, w, i), host))
            return false;
    }
    return true;
}

enum xha_place_filter xha_place_filter(const struct xha_place *p, const struct want *w, uint32_t host)
{
    const struct host *h = &p->host[host];
    enum xha_place_filter groups;

    if (h->gone || h->is.state == XHA_PLACE_DOWN)
        return XHA_PLACE_F_DOWN;
    if (h->is.state == XHA_PLACE_MAINTENANCE)
        return XHA_PLACE_F_MAINTENANCE;
    if (avoided(w, host))
        return XHA_PLACE_F_AVOIDED;
    if (!named_by_all(p, w, host))
        return XHA_PLACE_F_NOT_NAMED;
    if (w->tags & ~h->is.tags)
        return XHA_PLACE_F_TAGS;
    if (w->not_tags & h->is.tags)
        return XHA_PLACE_F_NOT_TAGS;
    if (w->networks & ~h->is.networks)
        return XHA_PLACE_F_NETWORKS;
    if (w->storages & ~h->is.storages)
        return XHA_PLACE_F_STORAGES;
    groups = filter_groups(p, w, host);
    if (groups != XHA_PLACE_FILTER_N_)
        return groups;
    if (xha_place_free_vcpus(h) < (int64_t)w->vcpus)
        return XHA_PLACE_F_VCPUS;
    if (xha_place_free_kib(h) < (int64_t)w->memory_kib)
        return XHA_PLACE_F_MEMORY;
    return XHA_PLACE_FILTER_N_;
}

bool xha_place_passes(const struct xha_place *p, const struct want *w, uint32_t host)
{
    return host < p->sizes.max_hosts && p->host[host].indexed &&
           xha_place_filter(p, w, host) == XHA_PLACE_FILTER_N_;
}

/* ---- the choice ---- */

/* How many numbers host is behind the one taken last. */
static uint32_t turn(const struct xha_place *p, uint32_t after, uint32_t host)
{
    uint32_t from = after < p->sizes.max_hosts ? after + 1 : 0;

    return host >= from ? host - from : host + p->sizes.max_hosts - from;
}

static bool better(const struct xha_place *p, enum xha_placement policy, uint32_t after, uint32_t a,
                   uint32_t b)
{
    int64_t kib = xha_place_free_kib(&p->host[a]) - xha_place_free_kib(&p->host[b]);
    int64_t va = xha_place_free_vcpus(&p->host[a]), vb = xha_place_free_vcpus(&p->host[b]);

    if (policy == XHA_PLACE_ROUND_ROBIN)
        return turn(p, after, a) < turn(p, after, b);
    if (kib)
        return policy == XHA_PLACE_WORST_FIT ? kib > 0 : kib < 0;
    if (va != vb)
        return policy == XHA_PLACE_WORST_FIT ? va > vb : va < vb;
    return a < b;
}

/* The better of best and host, if that passes. */
static uint32_t better_of(const struct xha_place *p, const struct want *w, enum xha_placement policy,
                          uint32_t after, uint32_t best, uint32_t host)
{
    if (!xha_place_passes(p, w, host))
        return best;
    return best == NONE32 || better(p, policy, after, host, best) ? host : best;
}

/* Only where the others of the group are. */
static uint32_t choose_drawn(const struct xha_place *p, const struct want *w, enum xha_placement policy,
                             uint32_t after, uint32_t group)
{
    uint32_t best = NONE32;

    for (uint32_t at = p->groups.first[TOGETHER][group]; at != NONE32; at = p->groups.member[at].next)
        best = better_of(p, w, policy, after, best, p->groups.member[at].host);
    return best;
}

/* Only among the few that it is kept to. */
static uint32_t choose_only(const struct xha_place *p, const struct want *w, enum xha_placement policy,
                            uint32_t after, const struct xha_place_need *need)
{
    uint32_t best = NONE32;

    for (uint32_t i = 0; i < need->n_only; i++)
        best = better_of(p, w, policy, after, best, need->only[i]);
    return best;
}

static uint32_t choose_next(const struct xha_place *p, const struct want *w, uint32_t after)
{
    uint32_t max = p->sizes.max_hosts, host = after < max ? after : max - 1;

    for (uint32_t i = 0; i < max; i++) {
        host = host + 1 < max ? host + 1 : 0;
        if (xha_place_passes(p, w, host))
            return host;
    }
    return NONE32;
}

/* Among all. */
static uint32_t choose_any(const struct xha_place *p, const struct want *w, enum xha_placement policy,
                           uint32_t after)
{
    switch (policy) {
    case XHA_PLACE_WORST_FIT:
        return xha_place_index_last(p, w);
    case XHA_PLACE_ROUND_ROBIN:
        return choose_next(p, w, after);
    case XHA_PLACE_BEST_FIT:
    case XHA_PLACEMENT_N_:
        break;
    }
    return xha_place_index_first(p, w, (int64_t)w->memory_kib, INT64_MIN, 0);
}

uint32_t xha_place_choose(const struct xha_place *p, const struct want *w, enum xha_placement policy,
                          uint32_t prefer, uint32_t after)
{
    if (w->clash)
        return NONE32;
    if (xha_place_passes(p, w, prefer))
        return prefer;
    for (uint32_t i = 0; i < w->n; i++) {
        const struct xha_place_need *need = xha_place_wanted(p, w, i);

        if (need->has_prefer && xha_place_passes(p, w, need->prefer))
            return need->prefer;
    }
    for (uint32_t i = 0; i < w->n; i++) {
        const struct xha_place_need *need = xha_place_wanted(p, w, i);

        if (need->n_only)
            return choose_only(p, w, policy, after, need);
        for (int g = 0; g < XHA_PLACE_GROUPS; g++)
            if (drawn(p, w, need->together[g]))
                return choose_drawn(p, w, policy, after, need->together[g]);
    }
    return choose_any(p, w, policy, after);
}

/* ---- reasons ---- */

/* The lowest domain on host that shares a group to be kept apart with one of those wanted. */
static uint32_t in_the_way(const struct xha_place *p, const struct want *w, uint32_t host)
{
    uint32_t lowest = NONE32;

    for (uint32_t s = p->host[host].first; s != NONE32; s = p->dom[s / 2].slot[s % 2].next) {
        const uint32_t *there = p->dom[s / 2].need.apart;

        for (uint32_t i = 0; i < w->n && s / 2 < lowest; i++) {
            const uint32_t *here = xha_place_wanted(p, w, i)->apart;

            for (int g = 0; g < XHA_PLACE_GROUPS * XHA_PLACE_GROUPS; g++)
                if (here[g / XHA_PLACE_GROUPS] && here[g / XHA_PLACE_GROUPS] == there[g % XHA_PLACE_GROUPS])
                    lowest = s / 2;
        }
    }
    return lowest;
}

static void no_reasons(struct xha_place_why *why_r)
{
    *why_r = (struct xha_place_why){ .closest = NONE32, .apart_from = NONE32 };
}

void xha_place_explain(const struct xha_place *p, const struct want *w, struct xha_place_why *why_r)
{
    int64_t most = 0;

    no_reasons(why_r);
    why_r->hosts = p->n_hosts;
    for (uint32_t host = 0; host < p->sizes.max_hosts; host++) {
        enum xha_place_filter filter;
        int64_t free_kib;

        if (!p->host[host].known)
            continue;
        filter = xha_place_filter(p, w, host);
        assert(filter < XHA_PLACE_FILTER_N_);
        why_r->excluded[filter]++;
        free_kib = xha_place_free_kib(&p->host[host]);
        if (filter == XHA_PLACE_F_MEMORY && (why_r->closest == NONE32 || free_kib > most)) {
            why_r->closest = host;
            why_r->short_kib = (uint64_t)((int64_t)w->memory_kib - free_kib);
            most = free_kib;
        }
        if (filter == XHA_PLACE_F_APART && why_r->apart_from == NONE32)
            why_r->apart_from = in_the_way(p, w, host);
    }
}

uint32_t xha_place_find(const struct xha_place *place, const struct xha_place_query *query,
                        struct xha_place_why *why_r)
{
    struct want w;
    uint32_t host;

    xha_place_want_need(place, query, &w);
    host = xha_place_choose(place, &w, query->policy, query->prefer, query->after);
    if (why_r && host == NONE32)
        xha_place_explain(place, &w, why_r);
    else if (why_r)
        no_reasons(why_r);
    return host;
}

enum xha_place_filter xha_place_may(const struct xha_place *place, const struct xha_place_query *query,
                                    uint32_t host)
{
    struct want w;

    if (host >= place->sizes.max_hosts || !place->host[host].known)
        return XHA_PLACE_F_DOWN;
    xha_place_want_need(place, query, &w);
    return xha_place_filter(place, &w, host);
}

/* ---- words ---- */

const char *xha_placement_name(enum xha_placement policy)
{
    static const char *const name[] = { "best-fit", "worst-fit", "round-robin" };

    return (unsigned)policy < XHA_PLACEMENT_N_ ? name[policy] : "?";
}

const char *xha_place_filter_text(enum xha_place_filter filter)
{
    static const char *const text[XHA_PLACE_FILTER_N_] = {
        [XHA_PLACE_F_DOWN] = "down",
        [XHA_PLACE_F_MAINTENANCE] = "in maintenance",
        [XHA_PLACE_F_AVOIDED] = "where it is now or was refused",
        [XHA_PLACE_F_NOT_NAMED] = "not among its hosts",
        [XHA_PLACE_F_TAGS] = "without a tag it needs",
        [XHA_PLACE_F_NOT_TAGS] = "with a tag it must not have",
        [XHA_PLACE_F_NETWORKS] = "without a network it needs",
        [XHA_PLACE_F_STORAGES] = "without a storage it needs",
        [XHA_PLACE_F_TOGETHER] = "not with its affinity group",
        [XHA_PLACE_F_APART] = "with one of its anti-affinity group",
        [XHA_PLACE_F_VCPUS] = "short of CPUs",
        [XHA_PLACE_F_MEMORY] = "short of memory",
    };

    return (unsigned)filter < XHA_PLACE_FILTER_N_ ? text[filter] : "?";
}

struct text {
    char *buf;
    size_t len, used;
};

static void say(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct text *t, const char *fmt, ...)
{
    va_list ap;
    int r;

    va_start(ap, fmt);
    r = vsnprintf(t->buf + t->used, t->len - t->used, fmt, ap);
    va_end(ap);
    if (r > 0)
        t->used = t->used + (size_t)r < t->len ? t->used + (size_t)r : t->len - 1;
}

const char *xha_place_why_text(const struct xha_place_why *why, xha_place_name_fn *host_name, void *user,
                               char *buf, size_t len)
{
    struct text t = { buf, len, 0 };
    const char *between = "";

    say(&t, why->hosts ? "no host fits: of %u, " : "no host is known", (unsigned)why->hosts);
    for (int f = XHA_PLACE_FILTER_N_; f--;) {
        if (!why->excluded[f])
            continue;
        say(&t, "%s%u %s %s", between, (unsigned)why->excluded[f], why->excluded[f] == 1 ? "is" : "are",
            xha_place_filter_text((enum xha_place_filter)f));
        between = ", ";
        if (f != XHA_PLACE_F_MEMORY || why->closest == NONE32)
            continue;
        say(&t, " (closest: ");
        if (host_name)
            say(&t, "%s", host_name(user, why->closest));
        else
            say(&t, "host %u", (unsigned)why->closest);
        say(&t, ", %llu MiB short)", (unsigned long long)((why->short_kib + 1023) / 1024));
    }
    return buf;
}

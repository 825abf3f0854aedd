/*
 * place_lost.c - domains that lose their host: taken off, gathered into units that stay together, put back as
 * if nothing had been.
 */
#include "place_internal.h"

/* A host that cannot be counted on: lost in this question, or down anyway. */
static bool lost_host(const struct xha_place *p, uint32_t host)
{
    return host == NONE32 || p->host[host].gone || p->host[host].is.state == XHA_PLACE_DOWN;
}

static void lose_domains(struct xha_place *p, uint32_t host, enum xha_place_leaving leaving)
{
    for (uint32_t s = p->host[host].first; s != NONE32; s = p->dom[s / 2].slot[s % 2].next) {
        const struct dom *d = &p->dom[s / 2];

        if (leaving == XHA_PLACE_LEAVE_RESTART && !d->need.restart)
            continue;
        if (!lost_host(p, d->slot[0].host) || !lost_host(p, d->slot[1].host))
            continue;
        if (s % 2 && d->slot[0].host != NONE32 && p->host[d->slot[0].host].gone)
            continue; /* told by the other slot */
        p->lost[p->n_lost++] = s / 2;
    }
}

static bool by_number(const void *user, uint32_t x, uint32_t y)
{
    (void)user;
    return x < y;
}

void xha_place_lose(struct xha_place *p, const uint32_t *hosts, uint32_t n, enum xha_place_leaving leaving)
{
    p->n_lost = 0;
    for (uint32_t i = 0; i < n; i++)
        xha_place_set_gone(p, hosts[i], true);
    for (uint32_t i = 0; i < n; i++)
        lose_domains(p, hosts[i], leaving);
    xha_place_sort(p->lost, p->n_lost, by_number, NULL);
    for (uint32_t i = 0; i < p->n_lost; i++) {
        struct dom *d = &p->dom[p->lost[i]];

        for (int s = 0; s < 2; s++) {
            d->was[s] = d->slot[s].host;
            if (d->was[s] != NONE32)
                xha_place_take_slot(p, p->lost[i], d->was[s]);
        }
    }
}

void xha_place_find_again(struct xha_place *p, const uint32_t *hosts, uint32_t n)
{
    for (uint32_t i = 0; i < p->n_lost; i++)
        for (int s = 0; s < 2; s++)
            if (p->dom[p->lost[i]].was[s] != NONE32)
                xha_place_put_slot(p, p->lost[i], p->dom[p->lost[i]].was[s]);
    p->n_lost = p->n_units = 0;
    for (uint32_t i = 0; i < n; i++)
        xha_place_set_gone(p, hosts[i], false);
}

/* ---- units ---- */

static uint32_t root_of(struct xha_place *p, uint32_t i)
{
    while (p->parent[i] != i)
        i = p->parent[i] = p->parent[p->parent[i]];
    return i;
}

/* Those that share an affinity group get one root. */
static void join(struct xha_place *p)
{
    for (uint32_t i = 0; i < p->n_lost; i++) {
        p->parent[i] = i;
        for (int g = 0; g < XHA_PLACE_GROUPS; g++)
            p->seen_by[p->dom[p->lost[i]].need.together[g]] = NONE32;
    }
    for (uint32_t i = 0; i < p->n_lost; i++) {
        for (int g = 0; g < XHA_PLACE_GROUPS; g++) {
            uint32_t group = p->dom[p->lost[i]].need.together[g];

            if (!group)
                continue;
            if (p->seen_by[group] == NONE32)
                p->seen_by[group] = i;
            p->parent[root_of(p, i)] = root_of(p, p->seen_by[group]);
        }
    }
    for (uint32_t i = 0; i < p->n_lost; i++)
        p->parent[i] = root_of(p, i);
}

bool xha_place_before(const struct xha_place *p, uint32_t x, uint32_t y)
{
    const struct xha_place_need *a = &p->dom[x].need, *b = &p->dom[y].need;

    if (a->tier != b->tier)
        return a->tier < b->tier;
    if (a->priority != b->priority)
        return a->priority > b->priority;
    if (a->memory_kib != b->memory_kib)
        return a->memory_kib > b->memory_kib;
    return x < y;
}

static bool by_unit(const void *user, uint32_t x, uint32_t y)
{
    const struct xha_place *p = user;

    if (p->parent[x] != p->parent[y])
        return p->parent[x] < p->parent[y];
    return xha_place_before(p, p->lost[x], p->lost[y]);
}

static void add_to_unit(struct unit *u, const struct xha_place_need *need, uint32_t domain)
{
    u->n++;
    u->memory_kib += need->memory_kib;
    u->vcpus += need->vcpus;
    u->tags |= need->tags;
    u->networks |= need->networks;
    u->storages |= need->storages;
    u->not_tags |= need->not_tags;
    if (domain < u->domain)
        u->domain = domain;
    u->choosy |= need->n_only || need->tags || need->networks || need->storages || need->not_tags;
    for (int g = 0; g < XHA_PLACE_GROUPS; g++)
        u->choosy |= need->together[g] || need->apart[g];
}

/* Whether two of them must be apart. */
static bool clashes(struct xha_place *p, uint32_t first, uint32_t n)
{
    bool clash = false;

    for (uint32_t i = 0; i < n * XHA_PLACE_GROUPS; i++)
        p->seen_by[p->dom[p->lost[first + i / XHA_PLACE_GROUPS]].need.apart[i % XHA_PLACE_GROUPS]] = NONE32;
    for (uint32_t i = 0; i < n * XHA_PLACE_GROUPS; i++) {
        uint32_t group = p->dom[p->lost[first + i / XHA_PLACE_GROUPS]].need.apart[i % XHA_PLACE_GROUPS];

        clash |= group && p->seen_by[group] == first;
        p->seen_by[group] = first;
    }
    return clash;
}

void xha_place_unit(struct xha_place *p, uint32_t first, uint32_t n, struct unit *unit_r)
{
    *unit_r = (struct unit){ .first = first, .domain = p->lost[first], .host = NONE32 };
    for (uint32_t i = 0; i < n; i++)
        add_to_unit(unit_r, &p->dom[p->lost[first + i]].need, p->lost[first + i]);
    unit_r->clash = clashes(p, first, n);
}

void xha_place_units(struct xha_place *p)
{
    join(p);
    for (uint32_t i = 0; i < p->n_lost; i++)
        p->order[i] = i;
    xha_place_sort(p->order, p->n_lost, by_unit, p);
    p->n_units = 0;
    for (uint32_t i = 0, n; i < p->n_lost; i += n) {
        for (n = 1; i + n < p->n_lost && p->parent[p->order[i + n]] == p->parent[p->order[i]]; n++)
            ;
        p->unit[p->n_units++] = (struct unit){ .first = i, .n = n };
    }
    for (uint32_t i = 0; i < p->n_lost; i++)
        p->order[i] = p->lost[p->order[i]];
    memcpy(p->lost, p->order, p->n_lost * sizeof(*p->lost));
    for (uint32_t u = 0; u < p->n_units; u++)
        xha_place_unit(p, p->unit[u].first, p->unit[u].n, &p->unit[u]);
}

void xha_place_put_unit(struct xha_place *p, uint32_t unit, uint32_t host)
{
    struct unit *u = &p->unit[unit];

    for (uint32_t i = 0; i < u->n; i++)
        xha_place_put_slot(p, p->lost[u->first + i], host);
    u->host = host;
}

void xha_place_take_unit(struct xha_place *p, uint32_t unit)
{
    struct unit *u = &p->unit[unit];

    for (uint32_t i = 0; u->host != NONE32 && i < u->n; i++)
        xha_place_take_slot(p, p->lost[u->first + i], u->host);
    u->host = NONE32;
}

/*
 * place_leave.c - where several domains go, one after the other: those that wait, those of hosts that would be lost
 * or emptied, one that is added. Done on the place itself, and undone.
 */
#include "place_internal.h"

/* Who chooses first: as the first of its domains would by itself. */
static bool chooses_before(const void *user, uint32_t x, uint32_t y)
{
    const struct xha_place *p = user;

    return xha_place_before(p, p->lost[p->unit[x].first], p->lost[p->unit[y].first]);
}

/* The lower of those that it leaves; which slot held which is chance. */
static uint32_t left_by(const struct xha_place *p, const uint32_t was[2])
{
    bool gone[2];

    for (int i = 0; i < 2; i++)
        gone[i] = was[i] != NONE32 && p->host[was[i]].gone;
    return gone[0] && (!gone[1] || was[0] < was[1]) ? was[0] : was[1];
}

/* ---- one unit ---- */

/* The host for n of a unit's domains, from index `from` of place->lost on; or NONE32. */
static uint32_t choose(struct xha_place *p, const struct xha_place_query *q, uint32_t from, uint32_t n,
                       struct want *want_r)
{
    struct unit part;

    xha_place_unit(p, from, n, &part);
    xha_place_want_unit(&part, want_r);
    want_r->avoid = q->avoid;
    want_r->n_avoid = q->n_avoid;
    return xha_place_choose(p, want_r, q->policy, q->prefer, q->after);
}

/* Who fits with others fits without them, so halving finds how many of its first domains fit on one host. */
static uint32_t most_that_fit(struct xha_place *p, const struct xha_place_query *q, const struct unit *u)
{
    uint32_t fit = 0, too_many;
    struct want w;

    if (u->n == 1 || choose(p, q, u->first, u->n, &w) != NONE32)
        return u->n;
    for (too_many = u->n; too_many - fit > 1;) {
        uint32_t n = fit + (too_many - fit) / 2;

        if (choose(p, q, u->first, n, &w) != NONE32)
            fit = n;
        else
            too_many = n;
    }
    return fit;
}

static void tell(const struct xha_place *p, uint32_t at, uint32_t to, const struct xha_place_why *why,
                 struct xha_place_move *moves_r, uint32_t max, uint32_t *n)
{
    uint32_t domain = p->lost[at];

    if (*n < max)
        moves_r[*n] = (struct xha_place_move){
            .domain = domain, .from = left_by(p, p->dom[domain].was), .to = to, .why = *why
        };
    ++*n;
}

/* As many of it as fit on one host together, then each of the others where it may still go. */
static void seat(struct xha_place *p, struct xha_place_query *q, const struct unit *u,
                 struct xha_place_move *moves_r, uint32_t max, uint32_t *n)
{
    uint32_t together = most_that_fit(p, q, u);

    for (uint32_t i = 0, part; i < u->n; i += part) {
        struct xha_place_why why = { .closest = NONE32, .apart_from = NONE32 };
        struct want w;
        uint32_t host;

        part = i < together ? together : 1;
        host = choose(p, q, u->first + i, part, &w);
        if (host == NONE32)
            xha_place_explain(p, &w, &why);
        else
            q->after = host;
        for (uint32_t j = 0; j < part; j++) {
            if (host != NONE32)
                xha_place_put_slot(p, p->lost[u->first + i + j], host);
            tell(p, u->first + i + j, host, &why, moves_r, max, n);
        }
    }
}

/* All of place->lost, which count nowhere; they do not afterwards either. */
static void seat_all(struct xha_place *p, const struct xha_place_query *query, struct xha_place_move *moves_r,
                     uint32_t max, uint32_t *n_r)
{
    struct xha_place_query q = *query;

    *n_r = 0;
    xha_place_units(p);
    for (uint32_t i = 0; i < p->n_units; i++)
        p->order[i] = i;
    xha_place_sort(p->order, p->n_units, chooses_before, p);
    for (uint32_t i = 0; i < p->n_units; i++)
        seat(p, &q, &p->unit[p->order[i]], moves_r, max, n_r);
    for (uint32_t i = 0; i < p->n_lost; i++)
        for (int s = 0; s < 2; s++)
            if (p->dom[p->lost[i]].slot[s].host != NONE32)
                xha_place_take_slot(p, p->lost[i], p->dom[p->lost[i]].slot[s].host);
}

/* ---- what is asked ---- */

int xha_place_seat(struct xha_place *place, const struct xha_place_query *query, const uint32_t *domains,
                   uint32_t n, struct xha_place_move *moves_r)
{
    uint32_t told;

    if (n > place->sizes.max_domains)
        return XHA_PLACE_E_INVAL;
    place->n_lost = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct dom *d = domains[i] < place->sizes.max_domains ? &place->dom[domains[i]] : NULL;

        if (!d || !d->known || d->slot[0].host != NONE32 || d->slot[1].host != NONE32)
            return XHA_PLACE_E_STATE;
        d->was[0] = d->was[1] = NONE32;
        place->lost[place->n_lost++] = domains[i];
    }
    seat_all(place, query, moves_r, n, &told);
    place->n_lost = place->n_units = 0;
    return XHA_PLACE_OK;
}

static bool hosts_valid(const struct xha_place *p, const uint32_t *hosts, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (hosts[i] >= p->sizes.max_hosts || !p->host[hosts[i]].known)
            return false;
        for (uint32_t j = 0; j < i; j++)
            if (hosts[i] == hosts[j])
                return false;
    }
    return true;
}

int xha_place_leave(struct xha_place *place, const uint32_t *hosts, uint32_t n_hosts,
                    enum xha_place_leaving leaving, enum xha_placement policy, uint32_t after,
                    struct xha_place_move *moves_r, uint32_t max, uint32_t *n_r)
{
    const struct xha_place_query query = { .policy = policy, .prefer = NONE32, .after = after };

    if (!hosts_valid(place, hosts, n_hosts))
        return XHA_PLACE_E_INVAL;
    xha_place_lose(place, hosts, n_hosts, leaving);
    seat_all(place, &query, moves_r, max, n_r);
    xha_place_find_again(place, hosts, n_hosts);
    return XHA_PLACE_OK;
}

int xha_place_add(struct xha_place *place, const struct xha_place_query *query, uint32_t k, uint64_t steps,
                  struct xha_place_added *added_r)
{
    uint32_t domain = query->domain;
    int rc;

    if (domain >= place->sizes.max_domains || k > XHA_PLACE_K_MAX)
        return XHA_PLACE_E_INVAL;
    if (place->dom[domain].known)
        return XHA_PLACE_E_STATE;
    rc = xha_place_domain(place, domain, query->need);
    if (rc)
        return rc;
    added_r->host = xha_place_find(place, query, &added_r->why);
    if (added_r->host != XHA_PLACE_NONE) {
        xha_place_put_slot(place, domain, added_r->host);
        rc = xha_place_survives(place, k, steps, &added_r->survival);
    } else {
        added_r->survival = (struct xha_place_survival){
            .verdict = XHA_PLACE_FITS_NOT,
            .lost = { XHA_PLACE_NONE, XHA_PLACE_NONE, XHA_PLACE_NONE },
            .blocks = domain,
            .why = added_r->why,
        };
    }
    xha_place_remove_domain(place, domain);
    return rc;
}

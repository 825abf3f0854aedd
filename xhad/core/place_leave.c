/*
 * place_leave.c - what if hosts were lost or emptied, what if there were a domain more. Done on the place
 * itself, and undone.
 */
#include "place_internal.h"

/* Who chooses first: the leader's order, too. */
static bool chooses_before(const void *user, uint32_t x, uint32_t y)
{
    const struct xha_place *p = user;
    const struct unit *a = &p->unit[x], *b = &p->unit[y];

    if (a->priority != b->priority)
        return a->priority > b->priority;
    if (a->memory_kib != b->memory_kib)
        return a->memory_kib > b->memory_kib;
    return a->domain < b->domain;
}

/* The lower of those that it leaves; which slot held which is chance. */
static uint32_t left_by(const struct xha_place *p, const uint32_t was[2])
{
    bool gone[2];

    for (int i = 0; i < 2; i++)
        gone[i] = was[i] != NONE32 && p->host[was[i]].gone;
    return gone[0] && (!gone[1] || was[0] < was[1]) ? was[0] : was[1];
}

static void tell(const struct xha_place *p, const struct unit *u, const struct xha_place_why *why,
                 struct xha_place_move *moves_r, uint32_t max, uint32_t *n)
{
    for (uint32_t i = 0; i < u->n; i++, ++*n) {
        uint32_t domain = p->lost[u->first + i];
        const uint32_t *was = p->dom[domain].was;

        if (*n >= max)
            continue;
        moves_r[*n] = (struct xha_place_move){
            .domain = domain,
            .from = left_by(p, was),
            .to = u->host,
            .why = *why,
        };
    }
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
                    enum xha_place_leaving leaving, enum xha_placement policy, struct xha_place_move *moves_r,
                    uint32_t max, uint32_t *n_r)
{
    uint32_t after = NONE32;

    if (!hosts_valid(place, hosts, n_hosts))
        return XHA_PLACE_E_INVAL;
    *n_r = 0;
    xha_place_lose(place, hosts, n_hosts, leaving);
    xha_place_units(place);
    for (uint32_t i = 0; i < place->n_units; i++)
        place->order[i] = i;
    xha_place_sort(place->order, place->n_units, chooses_before, place);
    for (uint32_t i = 0; i < place->n_units; i++) {
        uint32_t unit = place->order[i], host;
        struct xha_place_why why = { .closest = NONE32, .apart_from = NONE32 };
        struct want w;

        xha_place_want_unit(&place->unit[unit], &w);
        host = xha_place_choose(place, &w, policy, NONE32, after);
        if (host != NONE32)
            xha_place_put_unit(place, unit, after = host);
        else
            xha_place_explain(place, &w, &why);
        tell(place, &place->unit[unit], &why, moves_r, max, n_r);
    }
    for (uint32_t u = 0; u < place->n_units; u++)
        xha_place_take_unit(place, u);
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

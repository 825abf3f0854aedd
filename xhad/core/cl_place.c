/*
 * cl_place.c - the state as place.h wants it: hosts and domains by number, names as bits, groups as numbers. It is
 * kept up to date with every change; nothing in it is replicated, but the same on all hosts.
 */
#include "cl_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define NO_HOST_HAS (UINT64_C(1) << 63) /* bit of a name that no host has */

int xha_cl_place_new(struct xha_cluster *cl)
{
    struct xha_place_sizes sizes = { .max_hosts = XHA_HOSTS_MAX, .max_domains = cl->st->n_slots };

    cl->n_groups = 2 * cl->st->n_slots;
    if (cl->n_groups > 65536)
        cl->n_groups = 65536;
    sizes.max_groups = cl->n_groups;
    for (cl->n_group_buckets = 64; cl->n_group_buckets < cl->n_groups; cl->n_group_buckets *= 2)
        ;
    cl->group = calloc(cl->n_groups, sizeof *cl->group);
    cl->group_bucket = calloc(cl->n_group_buckets, sizeof *cl->group_bucket);
    cl->leaves = calloc(cl->st->n_slots, sizeof *cl->leaves);
    cl->mates = calloc(cl->st->n_slots, sizeof *cl->mates);
    if (!cl->group || !cl->group_bucket || !cl->leaves || !cl->mates || xha_place_new(&sizes, &cl->place))
        return XHA_CORE_E_NOMEM;
    xha_cl_place_clear(cl);
    return XHA_CORE_OK;
}

void xha_cl_place_free(struct xha_cluster *cl)
{
    xha_place_free(cl->place);
    free(cl->group);
    free(cl->group_bucket);
    free(cl->leaves);
    free(cl->mates);
}

void xha_cl_place_clear(struct xha_cluster *cl)
{
    for (uint32_t i = 0; i < cl->st->n_slots; i++)
        xha_place_remove_domain(cl->place, i);
    for (uint32_t h = 0; h < XHA_HOSTS_MAX; h++)
        xha_place_remove_host(cl->place, h);
    for (uint32_t g = 0; g < cl->n_groups; g++) {
        cl->group[g].users = 0;
        cl->group[g].next = g + 1 < cl->n_groups ? g + 1 : NONE32;
    }
    cl->group_unused = 0;
    for (uint32_t b = 0; b < cl->n_group_buckets; b++)
        cl->group_bucket[b] = NONE32;
    cl->tags.n = cl->networks.n = cl->storages.n = 0;
}

/* ---- names ---- */

/* The next of a comma separated list, "" at its end. */
static const char *next_name(const char *list, char out[XHA_NAME_MAX])
{
    size_t n = 0;

    while (*list == ' ' || *list == ',')
        list++;
    for (; *list && *list != ','; list++)
        if (n + 1 < XHA_NAME_MAX)
            out[n++] = *list;
    while (n && out[n - 1] == ' ')
        n--;
    out[n] = '\0';
    return list;
}

static uint32_t find_name(const struct cl_names *names, const char *name)
{
    for (uint32_t i = 0; i < names->n; i++)
        if (!strcmp(names->name[i], name))
            return i;
    return NONE32;
}

static bool learn(struct cl_names *names, const char *list)
{
    char name[XHA_NAME_MAX];
    bool news = false;

    while (*(list = next_name(list, name)) || name[0]) {
        if (!name[0] || find_name(names, name) != NONE32 || names->n == XHA_NAMES_MAX - 1)
            continue;
        memcpy(names->name[names->n++], name, sizeof name);
        news = true;
    }
    return news;
}

static uint64_t bits(const struct cl_names *names, const char *list, uint64_t unknown)
{
    char name[XHA_NAME_MAX];
    uint64_t set = 0;

    while (*(list = next_name(list, name)) || name[0]) {
        uint32_t i = name[0] ? find_name(names, name) : NONE32;

        if (name[0])
            set |= i == NONE32 ? unknown : UINT64_C(1) << i;
    }
    return set;
}

void xha_cl_place_names(struct xha_cluster *cl)
{
    bool news = false;

    for (uint32_t h = 0; h < XHA_HOSTS_MAX; h++) {
        const struct xha_host_info *info = &cl->st->host[h].info;

        if (cl->st->host[h].state == XHA_HOST_UNKNOWN)
            continue;
        news |= learn(&cl->tags, info->tags);
        news |= learn(&cl->networks, info->networks);
        news |= learn(&cl->storages, info->storages);
    }
    for (uint8_t h = 0; h < XHA_HOSTS_MAX; h++)
        xha_cl_place_host(cl, h);
    for (uint32_t i = 0; news && i < cl->st->n; i++)
        xha_cl_place_dom(cl, &cl->st->dom[cl->st->order[i]]);
}

/* ---- groups ---- */

static uint32_t *group_bucket(const struct xha_cluster *cl, const char *name)
{
    return &cl->group_bucket[xha_cl_hash((const uint8_t *)name, strlen(name), 5) & (cl->n_group_buckets - 1)];
}

static uint32_t group_find(const struct xha_cluster *cl, const char *name)
{
    for (uint32_t g = *group_bucket(cl, name); g != NONE32; g = cl->group[g].next)
        if (!strcmp(cl->group[g].name, name))
            return g + 1;
    return 0;
}

static uint32_t group_use(struct xha_cluster *cl, const char *name)
{
    uint32_t g = name[0] ? group_find(cl, name) : 0, *bucket;

    if (g) {
        cl->group[g - 1].users++;
        return g;
    }
    if (!name[0] || cl->group_unused == NONE32)
        return 0;
    g = cl->group_unused;
    cl->group_unused = cl->group[g].next;
    snprintf(cl->group[g].name, sizeof cl->group[g].name, "%s", name);
    bucket = group_bucket(cl, name);
    cl->group[g].next = *bucket;
    cl->group[g].users = 1;
    *bucket = g;
    return g + 1;
}

static void group_leave(struct xha_cluster *cl, uint32_t number)
{
    uint32_t g = number - 1, *at;

    if (!number || --cl->group[g].users)
        return;
    for (at = group_bucket(cl, cl->group[g].name); *at != g; at = &cl->group[*at].next)
        ;
    *at = cl->group[g].next;
    cl->group[g].next = cl->group_unused;
    cl->group_unused = g;
}

/* ---- hosts and domains ---- */

static uint8_t host_by_name(const struct xha_cluster *cl, const char *name)
{
    for (uint8_t h = 0; h < XHA_HOSTS_MAX; h++)
        if (cl->st->host[h].state != XHA_HOST_UNKNOWN && !strcmp(cl->st->host[h].info.name, name))
            return h;
    return XHA_HOST_NONE;
}

void xha_cl_place_host(struct xha_cluster *cl, uint8_t host)
{
    const struct cl_host *h = &cl->st->host[host];
    struct xha_place_host is = {
        .memory_kib = h->info.memory_kib,
        .pcpus = h->info.pcpus,
        .overcommit_percent = cl->st->policy.overcommit_percent,
        .state = XHA_PLACE_DOWN,
        .tags = bits(&cl->tags, h->info.tags, 0),
        .networks = bits(&cl->networks, h->info.networks, 0),
        .storages = bits(&cl->storages, h->info.storages, 0),
    };

    if (h->state == XHA_HOST_UNKNOWN) {
        xha_place_remove_host(cl->place, host);
        return;
    }
    if (h->state == XHA_HOST_IN) /* one whose xhad is gone keeps what it has and takes nothing */
        is.state = h->maintenance || !cl_in(cl->st->members, host) ? XHA_PLACE_MAINTENANCE : XHA_PLACE_UP;
    xha_place_host(cl->place, host, &is);
}

void xha_cl_place_need(const struct xha_cluster *cl, const struct xha_policy *policy,
                       const struct xha_needs *needs, struct xha_place_need *need_r)
{
    char name[XHA_NAME_MAX];
    const char *list = needs->hosts;

    memset(need_r, 0, sizeof *need_r);
    need_r->memory_kib = policy->memory_kib;
    need_r->vcpus = needs->vcpus;
    need_r->tier = policy->start_order;
    need_r->priority = policy->priority;
    need_r->restart = policy->react[XHA_FAIL_HOST] == XHA_REACT_RECOVER &&
                      policy->protection != XHA_PROT_MONITOR && xha_needs_relocates(needs);
    need_r->tags = bits(&cl->tags, needs->tags, NO_HOST_HAS);
    need_r->not_tags = bits(&cl->tags, needs->not_tags, 0);
    need_r->networks = bits(&cl->networks, needs->networks, NO_HOST_HAS);
    need_r->storages = bits(&cl->storages, needs->storages, NO_HOST_HAS);
    need_r->together[0] = needs->affinity[0] ? group_find(cl, needs->affinity) : 0;
    need_r->apart[0] = needs->anti_affinity[0] ? group_find(cl, needs->anti_affinity) : 0;
    need_r->prefer = needs->prefer[0] ? host_by_name(cl, needs->prefer) : XHA_HOST_NONE;
    need_r->has_prefer = need_r->prefer < XHA_HOSTS_MAX;
    while (*(list = next_name(list, name)) || name[0]) {
        uint8_t h = name[0] ? host_by_name(cl, name) : XHA_HOST_NONE;

        if (h != XHA_HOST_NONE && need_r->n_only < XHA_PLACE_ONLY)
            need_r->only[need_r->n_only++] = h;
    }
    if (needs->hosts[0] && !need_r->n_only) /* none of them is known */
        need_r->tags |= NO_HOST_HAS;
}

void xha_cl_place_dom(struct xha_cluster *cl, struct cl_dom *d)
{
    uint32_t together = group_use(cl, d->needs.affinity), apart = group_use(cl, d->needs.anti_affinity);
    struct xha_place_need need;
    int rc;

    group_leave(cl, d->together);
    group_leave(cl, d->apart);
    d->together = together;
    d->apart = apart;
    xha_cl_place_need(cl, &d->policy, &d->needs, &need);
    need.restart = need.restart && d->want_run;
    d->restarts = d->want_run;
    rc = xha_place_domain(cl->place, cl_slot(cl->st, d), &need);
    assert(!rc);
    xha_cl_queue_room(cl);
    xha_cl_place_where(cl, d);
}

void xha_cl_place_where(struct xha_cluster *cl, struct cl_dom *d)
{
    uint32_t slot = cl_slot(cl->st, d), is[2], want[2] = { XHA_PLACE_NONE, XHA_PLACE_NONE };

    if (!d->used)
        return;
    if (d->restarts != d->want_run) {
        xha_cl_place_dom(cl, d);
        return;
    }
    if (d->phase != XHA_PH_FREE || !d->want_run)
        d->seat = 0;
    if (d->seat)
        want[0] = d->seat - 1;
    if (d->phase != XHA_PH_FREE && (d->want_run || xha_cl_runs(d)))
        want[0] = d->owner;
    if (d->phase == XHA_PH_MOVING)
        want[1] = d->move.target;
    else if (d->pair.id) /* room for the copy, and for the whole of it */
        want[1] = d->pair.backup;
    xha_place_where(cl->place, slot, is);
    for (int i = 0; i < 2; i++) {
        if (is[i] == XHA_PLACE_NONE || is[i] == want[0] || is[i] == want[1])
            continue;
        xha_place_take(cl->place, slot, is[i]);
        xha_cl_queue_room(cl);
    }
    for (int i = 0; i < 2; i++)
        if (want[i] != XHA_PLACE_NONE && want[i] != is[0] && want[i] != is[1])
            xha_place_put(cl->place, slot, want[i]);
}

void xha_cl_place_unseat(struct xha_cluster *cl, struct cl_dom *d)
{
    if (d->seat)
        xha_place_take(cl->place, cl_slot(cl->st, d), d->seat - 1);
    d->seat = 0;
}

/* While its grant or move is under way, the room is taken. */
void xha_cl_place_reserve(struct xha_cluster *cl, struct cl_dom *d, uint8_t host)
{
    xha_place_put(cl->place, cl_slot(cl->st, d), host);
}

void xha_cl_place_drop(struct xha_cluster *cl, struct cl_dom *d)
{
    xha_place_remove_domain(cl->place, cl_slot(cl->st, d));
    xha_cl_queue_room(cl);
    group_leave(cl, d->together);
    group_leave(cl, d->apart);
    d->together = d->apart = 0;
}

/* ---- questions ---- */

const char *xha_cl_place_name(void *user, uint32_t host)
{
    return xha_cl_host_name((struct xha_cluster *)user, (uint8_t)host);
}

static struct xha_place_query query_of(const struct xha_cluster *cl, const struct cl_dom *d)
{
    return (struct xha_place_query){
        .need = xha_place_need(cl->place, cl_slot(cl->st, d)),
        .policy = cl->st->policy.placement,
        .domain = cl_slot(cl->st, d),
        .prefer = XHA_PLACE_NONE,
        .after = cl->last_placed < XHA_HOSTS_MAX ? cl->last_placed : XHA_PLACE_NONE,
    };
}

uint8_t xha_cl_place_find(const struct xha_cluster *cl, const struct cl_dom *d, xha_hostset avoid,
                          uint8_t prefer, char *text, size_t len)
{
    struct xha_place_query query = query_of(cl, d);
    struct xha_place_why why;
    uint32_t list[XHA_HOSTS_MAX], host;

    if (!xha_needs_relocates(&d->needs) && d->phase == XHA_PH_FREE && d->owner != XHA_HOST_NONE)
        return xha_cl_place_may(cl, d, d->owner, text, len) ? d->owner : XHA_HOST_NONE;
    query.prefer = prefer < XHA_HOSTS_MAX ? prefer : XHA_PLACE_NONE;
    for (; avoid; avoid &= avoid - 1)
        list[query.n_avoid++] = cl_lowest(avoid);
    query.avoid = list;
    host = xha_place_find(cl->place, &query, text ? &why : NULL);
    if (host < XHA_HOSTS_MAX)
        return (uint8_t)host;
    if (text)
        xha_place_why_text(&why, xha_cl_place_name, (void *)(uintptr_t)cl, text, len);
    return XHA_HOST_NONE;
}

/* Those of the queue that are placed together with d, which is one of them; room is kept for none of them. */
static uint32_t mates_of(struct xha_cluster *cl, const struct cl_dom *d, xha_hostset *refused_r)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < cl->wanted.n && n < cl->group[d->together - 1].users; i++) {
        struct cl_dom *mate = &cl->st->dom[cl->wanted.item[i].what];
        bool pinned = !xha_needs_relocates(&mate->needs) && mate->owner != XHA_HOST_NONE;

        if (mate->together != d->together || pinned)
            continue;
        xha_cl_place_unseat(cl, mate);
        *refused_r |= mate == d ? 0 : mate->refused;
        cl->mates[n++] = cl->wanted.item[i].what;
    }
    return n;
}

void xha_cl_place_group(struct xha_cluster *cl, struct cl_dom *d, xha_hostset avoid)
{
    uint32_t n = d->together && cl->group[d->together - 1].users > 1 ? mates_of(cl, d, &avoid) : 0;
    struct xha_place_query query = query_of(cl, d);
    uint32_t list[XHA_HOSTS_MAX];

    if (n < 2)
        return;
    query.prefer = d->next < XHA_HOSTS_MAX ? d->next : XHA_PLACE_NONE;
    for (; avoid; avoid &= avoid - 1)
        list[query.n_avoid++] = cl_lowest(avoid);
    query.avoid = list;
    if (xha_place_seat(cl->place, &query, cl->mates, n, cl->leaves))
        return;
    for (uint32_t i = 0; i < n; i++) {
        if (cl->leaves[i].to == XHA_PLACE_NONE)
            continue;
        cl->st->dom[cl->leaves[i].domain].seat = (uint8_t)(cl->leaves[i].to + 1);
        xha_place_put(cl->place, cl->leaves[i].domain, cl->leaves[i].to);
    }
}

bool xha_cl_place_may(const struct xha_cluster *cl, const struct cl_dom *d, uint8_t host, char *text,
                      size_t len)
{
    struct xha_place_query query = query_of(cl, d);
    enum xha_place_filter filter;

    if (host >= XHA_HOSTS_MAX)
        return false;
    if (d->pair.id && host == d->pair.backup) /* its room is taken already */
        return true;
    filter = xha_place_may(cl->place, &query, host);
    if (filter == XHA_PLACE_FILTER_N_)
        return true;
    if (text)
        snprintf(text, len, "host %s: %s", xha_cl_host_name(cl, host), xha_place_filter_text(filter));
    return false;
}

/* Its copy takes as much room on a second host: done, looked at, and undone on the place itself. */
static bool copy_survives(const struct xha_cluster *cl, const struct xha_place_query *add,
                          struct xha_place_added *added, char *text, size_t len)
{
    struct xha_place_query query = *add;
    uint32_t slot = add->domain, owner = added->host;
    bool fits = false;

    if (xha_place_domain(cl->place, slot, add->need))
        return false;
    xha_place_put(cl->place, slot, owner);
    query.avoid = &owner;
    query.n_avoid = 1;
    query.prefer = XHA_PLACE_NONE;
    added->host = xha_place_find(cl->place, &query, &added->why);
    if (added->host != XHA_PLACE_NONE) {
        xha_place_put(cl->place, slot, added->host);
        fits = !xha_place_survives(cl->place, cl->st->policy.survive, XHA_PLACE_STEPS, &added->survival) &&
               added->survival.verdict == XHA_PLACE_FITS;
    }
    if (!fits)
        xha_cl_place_refusal(cl, added, text, len);
    xha_place_remove_domain(cl->place, slot);
    return fits;
}

/* Whether it may be added without breaking N+k. */
bool xha_cl_place_survives(const struct xha_cluster *cl, const struct cl_request *r, char *text, size_t len)
{
    struct xha_place_need need;
    struct xha_place_query query = { .need = &need,
                                     .policy = cl->st->policy.placement,
                                     .domain = XHA_PLACE_NONE,
                                     .prefer = r->host < XHA_HOSTS_MAX ? r->host : XHA_PLACE_NONE,
                                     .after = XHA_PLACE_NONE };
    struct xha_place_added added;

    if (!cl->st->n_free)
        return false;
    query.domain = cl->st->free[cl->st->n_free - 1];
    xha_cl_place_need(cl, &r->policy, &r->needs, &need);
    if (xha_place_add(cl->place, &query, cl->st->policy.survive, XHA_PLACE_STEPS, &added)) {
        snprintf(text, len, "its needs cannot be reckoned with");
        return false;
    }
    if (added.host == XHA_PLACE_NONE || added.survival.verdict != XHA_PLACE_FITS) {
        xha_cl_place_refusal(cl, &added, text, len);
        return false;
    }
    return r->policy.protection != XHA_PROT_REPLICATE || copy_survives(cl, &query, &added, text, len);
}

void xha_cl_place_refusal(const struct xha_cluster *cl, const struct xha_place_added *added, char *text,
                          size_t len)
{
    const struct xha_place_survival *s = &added->survival;

    if (!text)
        return;
    if (added->host == XHA_PLACE_NONE) {
        xha_place_why_text(&added->why, xha_cl_place_name, (void *)(uintptr_t)cl, text, len);
        return;
    }
    snprintf(text, len, "with it the loss of host %s would leave %s without room (survive = %u)%s",
             s->lost[0] < XHA_HOSTS_MAX ? xha_cl_host_name(cl, (uint8_t)s->lost[0]) : "any",
             s->blocks < cl->st->n_slots && cl->st->dom[s->blocks].used ? cl->st->dom[s->blocks].name : "it",
             s->k, s->verdict == XHA_PLACE_UNPROVEN ? ", as far as could be found out" : "");
}

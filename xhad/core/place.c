/*
 * place.c - hosts and domains of the placement, and who counts where. The answers: place_find.c and on.
 */
#include "place_internal.h"

#include <stdlib.h>

/* ---- life ---- */

static bool sizes_valid(const struct xha_place_sizes *s)
{
    return s->max_hosts >= 1 && s->max_hosts <= XHA_PLACE_HOSTS_MAX && s->max_domains >= 1 &&
           s->max_domains <= UINT32_MAX / 64 && s->max_groups <= UINT32_MAX / 64;
}

static uint32_t max_members(const struct xha_place_sizes *s)
{
    return s->max_domains * 2 * KIND_N_ * XHA_PLACE_GROUPS;
}

static uint32_t n_buckets(const struct xha_place_sizes *s)
{
    uint32_t n = 16;

    while (n < s->max_domains * 2)
        n *= 2;
    return n;
}

/* The parts of a place, one after the other: for taking, copying and counting memory alike. */
struct part {
    void **at;
    size_t size, n;
};

#define PARTS 18

static uint32_t parts(struct xha_place *p, const struct xha_place_sizes *s, struct part part[PARTS])
{
    size_t hosts = s->max_hosts, domains = s->max_domains, groups = (size_t)s->max_groups + 1;
    struct groups *g = &p->groups;
    const struct part all[] = {
        { (void **)&p->host, sizeof(*p->host), hosts },
        { (void **)&p->node, sizeof(*p->node), hosts },
        { (void **)&p->dom, sizeof(*p->dom), domains },
        { (void **)&g->member, sizeof(*g->member), max_members(s) },
        { (void **)&g->bucket, sizeof(*g->bucket), n_buckets(s) },
        { (void **)&g->first[TOGETHER], sizeof(uint32_t), groups },
        { (void **)&g->first[APART], sizeof(uint32_t), groups },
        { (void **)&g->total[TOGETHER], sizeof(uint32_t), groups },
        { (void **)&g->total[APART], sizeof(uint32_t), groups },
        { (void **)&p->lost, sizeof(*p->lost), domains },
        { (void **)&p->parent, sizeof(*p->parent), domains },
        { (void **)&p->seen_by, sizeof(*p->seen_by), groups },
        { (void **)&p->unit, sizeof(*p->unit), domains },
        { (void **)&p->order, sizeof(*p->order), domains },
        { (void **)&p->host_order, sizeof(*p->host_order), hosts },
        { (void **)&p->to_lose, sizeof(*p->to_lose), hosts },
        { (void **)&p->lost_with, sizeof(*p->lost_with), hosts },
        { (void **)&p->takes, sizeof(*p->takes), hosts },
    };

    _Static_assert(sizeof(all) / sizeof(all[0]) == PARTS, "struct xha_place has another part");
    memcpy(part, all, sizeof(all));
    return PARTS;
}

size_t xha_place_bytes(const struct xha_place_sizes *sizes)
{
    struct xha_place p;
    struct part part[PARTS];
    size_t bytes = sizeof(p);

    for (uint32_t i = parts(&p, sizes, part); i--;)
        bytes += part[i].size * part[i].n;
    return bytes;
}

void xha_place_free(struct xha_place *place)
{
    struct part part[PARTS];

    if (!place)
        return;
    for (uint32_t i = parts(place, &place->sizes, part); i--;)
        free(*part[i].at);
    free(place);
}

int xha_place_new(const struct xha_place_sizes *sizes, struct xha_place **place_r)
{
    struct part part[PARTS];
    struct xha_place *p;

    if (!sizes_valid(sizes))
        return XHA_PLACE_E_INVAL;
    p = calloc(1, sizeof(*p));
    if (!p)
        return XHA_PLACE_E_NOMEM;
    p->sizes = *sizes;
    for (uint32_t i = parts(p, sizes, part); i--;) {
        *part[i].at = calloc(part[i].n, part[i].size);
        if (!*part[i].at) {
            xha_place_free(p);
            return XHA_PLACE_E_NOMEM;
        }
    }
    p->root = NONE32;
    p->groups.n_buckets = n_buckets(sizes);
    xha_place_groups_init(&p->groups, sizes);
    for (uint32_t d = 0; d < sizes->max_domains; d++)
        p->dom[d].slot[0].host = p->dom[d].slot[1].host = NONE32;
    *place_r = p;
    return XHA_PLACE_OK;
}

void xha_place_copy(struct xha_place *to, const struct xha_place *from)
{
    struct part mine[PARTS], theirs[PARTS];
    uint32_t n;

    assert(!memcmp(&to->sizes, &from->sizes, sizeof(to->sizes)));
    n = parts(to, &to->sizes, mine);
    parts((struct xha_place *)from, &from->sizes, theirs);
    for (uint32_t i = 0; i < n; i++)
        memcpy(*mine[i].at, *theirs[i].at, mine[i].size * mine[i].n);
    to->n_hosts = from->n_hosts;
    to->root = from->root;
    to->groups.free = from->groups.free;
    to->n_lost = from->n_lost;
    to->n_units = from->n_units;
}

/* ---- what is free ---- */

int64_t xha_place_free_kib(const struct host *h)
{
    return (int64_t)h->is.memory_kib - (int64_t)h->used_kib;
}

int64_t xha_place_free_vcpus(const struct host *h)
{
    if (!h->is.overcommit_percent)
        return INT64_MAX;
    return (int64_t)((uint64_t)h->is.pcpus * h->is.overcommit_percent / 100) - (int64_t)h->used_vcpus;
}

void xha_place_reindex(struct xha_place *p, uint32_t host)
{
    struct host *h = &p->host[host];

    if (h->indexed)
        xha_place_index_drop(p, host);
    h->indexed = h->known && !h->gone && h->is.state == XHA_PLACE_UP;
    if (h->indexed)
        xha_place_index_add(p, host);
}

/* ---- who counts where ---- */

static bool is_down(const struct host *h)
{
    return h->gone || h->is.state == XHA_PLACE_DOWN;
}

/* Domains on a host that is down are in nobody's way and keep nobody company. */
static void group_slot(struct xha_place *p, const struct xha_place_need *need, uint32_t host, bool add)
{
    void (*change)(struct xha_place *, enum kind, uint32_t, uint32_t) =
        add ? xha_place_group_add : xha_place_group_drop;

    if (is_down(&p->host[host]))
        return;
    for (int i = 0; i < XHA_PLACE_GROUPS; i++) {
        if (need->together[i])
            change(p, TOGETHER, need->together[i], host);
        if (need->apart[i])
            change(p, APART, need->apart[i], host);
    }
}

static void count(struct xha_place *p, const struct xha_place_need *need, uint32_t host, bool add)
{
    struct host *h = &p->host[host];

    if (h->indexed) {
        xha_place_index_drop(p, host);
        h->indexed = false;
    }
    if (add) {
        h->used_kib += need->memory_kib;
        h->used_vcpus += need->vcpus;
    } else {
        h->used_kib -= need->memory_kib;
        h->used_vcpus -= need->vcpus;
    }
    group_slot(p, need, host, add);
    xha_place_reindex(p, host);
}

static struct slot *slot_at(struct xha_place *p, uint32_t slot)
{
    return &p->dom[slot / 2].slot[slot % 2];
}

static uint32_t slot_on(const struct xha_place *p, uint32_t domain, uint32_t host)
{
    for (uint32_t i = 0; i < 2; i++)
        if (p->dom[domain].slot[i].host == host)
            return domain * 2 + i;
    return NONE32;
}

bool xha_place_counts(const struct xha_place *p, uint32_t domain, uint32_t host)
{
    return slot_on(p, domain, host) != NONE32;
}

void xha_place_put_slot(struct xha_place *p, uint32_t domain, uint32_t host)
{
    uint32_t slot = slot_on(p, domain, NONE32);
    struct host *h = &p->host[host];

    assert(slot != NONE32);
    *slot_at(p, slot) = (struct slot){ .host = host, .next = h->first, .prev = NONE32 };
    if (h->first != NONE32)
        slot_at(p, h->first)->prev = slot;
    h->first = slot;
    h->domains++;
    count(p, &p->dom[domain].need, host, true);
}

void xha_place_take_slot(struct xha_place *p, uint32_t domain, uint32_t host)
{
    uint32_t slot = slot_on(p, domain, host);
    struct host *h = &p->host[host];
    struct slot *s;

    assert(slot != NONE32);
    s = slot_at(p, slot);
    if (s->next != NONE32)
        slot_at(p, s->next)->prev = s->prev;
    if (s->prev != NONE32)
        slot_at(p, s->prev)->next = s->next;
    else
        h->first = s->next;
    s->host = NONE32;
    h->domains--;
    count(p, &p->dom[domain].need, host, false);
}

static bool host_known(const struct xha_place *p, uint32_t host)
{
    return host < p->sizes.max_hosts && p->host[host].known;
}

static bool domain_known(const struct xha_place *p, uint32_t domain)
{
    return domain < p->sizes.max_domains && p->dom[domain].known;
}

int xha_place_put(struct xha_place *place, uint32_t domain, uint32_t host)
{
    if (!host_known(place, host) || !domain_known(place, domain))
        return XHA_PLACE_E_STATE;
    if (xha_place_counts(place, domain, host))
        return XHA_PLACE_OK;
    if (slot_on(place, domain, NONE32) == NONE32)
        return XHA_PLACE_E_STATE;
    xha_place_put_slot(place, domain, host);
    return XHA_PLACE_OK;
}

int xha_place_take(struct xha_place *place, uint32_t domain, uint32_t host)
{
    if (!host_known(place, host) || !domain_known(place, domain) || !xha_place_counts(place, domain, host))
        return XHA_PLACE_E_STATE;
    xha_place_take_slot(place, domain, host);
    return XHA_PLACE_OK;
}

/* ---- hosts ---- */

/* All on the host leave their groups, or come back into them; nothing while it is down. */
static void regroup(struct xha_place *p, uint32_t host, bool add)
{
    for (uint32_t s = p->host[host].first; s != NONE32; s = slot_at(p, s)->next)
        group_slot(p, &p->dom[s / 2].need, host, add);
}

void xha_place_set_gone(struct xha_place *p, uint32_t host, bool gone)
{
    if (gone)
        regroup(p, host, false);
    p->host[host].gone = gone;
    if (!gone)
        regroup(p, host, true);
    xha_place_reindex(p, host);
}

int xha_place_host(struct xha_place *place, uint32_t host, const struct xha_place_host *is)
{
    struct host *h;
    bool changes;

    if (host >= place->sizes.max_hosts || (unsigned)is->state >= XHA_PLACE_HOST_N_ ||
        is->memory_kib > XHA_PLACE_MEMORY_MAX)
        return XHA_PLACE_E_INVAL;
    h = &place->host[host];
    if (!h->known) {
        *h = (struct host){ .known = true, .first = NONE32, .is = *is };
        place->n_hosts++;
    }
    changes = (h->is.state == XHA_PLACE_DOWN) != (is->state == XHA_PLACE_DOWN);
    if (changes)
        regroup(place, host, false);
    h->is = *is;
    if (changes)
        regroup(place, host, true);
    xha_place_reindex(place, host);
    return XHA_PLACE_OK;
}

void xha_place_remove_host(struct xha_place *place, uint32_t host)
{
    struct host *h;

    if (!host_known(place, host))
        return;
    h = &place->host[host];
    while (h->first != NONE32)
        xha_place_take_slot(place, h->first / 2, host);
    h->known = false;
    place->n_hosts--;
    xha_place_reindex(place, host);
}

/* ---- domains ---- */

static bool need_valid(const struct xha_place *p, const struct xha_place_need *n)
{
    if (n->memory_kib > XHA_PLACE_MEMORY_MAX || n->n_only > XHA_PLACE_ONLY)
        return false;
    for (int i = 0; i < XHA_PLACE_GROUPS; i++)
        if (n->together[i] > p->sizes.max_groups || n->apart[i] > p->sizes.max_groups)
            return false;
    return true;
}

/* A group named twice is one. */
static void drop_twins(uint32_t group[XHA_PLACE_GROUPS])
{
    for (int i = 1; i < XHA_PLACE_GROUPS; i++)
        for (int j = 0; j < i; j++)
            if (group[i] == group[j])
                group[i] = 0;
}

int xha_place_domain(struct xha_place *place, uint32_t domain, const struct xha_place_need *need)
{
    struct dom *d;

    if (domain >= place->sizes.max_domains || !need_valid(place, need))
        return XHA_PLACE_E_INVAL;
    d = &place->dom[domain];
    for (int i = 0; i < 2; i++)
        if (d->slot[i].host != NONE32)
            count(place, &d->need, d->slot[i].host, false);
    d->need = *need;
    drop_twins(d->need.together);
    drop_twins(d->need.apart);
    d->known = true;
    for (int i = 0; i < 2; i++)
        if (d->slot[i].host != NONE32)
            count(place, &d->need, d->slot[i].host, true);
    return XHA_PLACE_OK;
}

void xha_place_remove_domain(struct xha_place *place, uint32_t domain)
{
    if (!domain_known(place, domain))
        return;
    for (int i = 0; i < 2; i++)
        if (place->dom[domain].slot[i].host != NONE32)
            xha_place_take_slot(place, domain, place->dom[domain].slot[i].host);
    place->dom[domain].known = false;
}

/* ---- looking ---- */

bool xha_place_host_view(const struct xha_place *place, uint32_t host, struct xha_place_host_view *view_r)
{
    const struct host *h;

    if (!host_known(place, host))
        return false;
    h = &place->host[host];
    *view_r = (struct xha_place_host_view){
        .is = h->is,
        .free_kib = xha_place_free_kib(h),
        .free_vcpus = xha_place_free_vcpus(h),
        .domains = h->domains,
    };
    return true;
}

const struct xha_place_need *xha_place_need(const struct xha_place *place, uint32_t domain)
{
    return domain_known(place, domain) ? &place->dom[domain].need : NULL;
}

void xha_place_where(const struct xha_place *place, uint32_t domain, uint32_t host_r[2])
{
    host_r[0] = host_r[1] = XHA_PLACE_NONE;
    if (!domain_known(place, domain))
        return;
    host_r[0] = place->dom[domain].slot[0].host;
    host_r[1] = place->dom[domain].slot[1].host;
    if (host_r[0] > host_r[1]) { /* NONE is the highest */
        host_r[0] = place->dom[domain].slot[1].host;
        host_r[1] = place->dom[domain].slot[0].host;
    }
}

/* ---- helpers ---- */

static void sift(uint32_t *a, uint32_t at, uint32_t n, bool (*before)(const void *, uint32_t, uint32_t),
                 const void *user)
{
    uint32_t x = a[at];

    for (uint32_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && before(user, a[child], a[child + 1]))
            child++;
        if (!before(user, x, a[child]))
            break;
        a[at] = a[child];
    }
    a[at] = x;
}

/* Heapsort: in place, and no worse for any order. before() is a strict order without ties. */
void xha_place_sort(uint32_t *a, uint32_t n, bool (*before)(const void *user, uint32_t x, uint32_t y),
                    const void *user)
{
    for (uint32_t i = n / 2; i--;)
        sift(a, i, n, before, user);
    while (n > 1) {
        uint32_t top = a[0];

        a[0] = a[--n];
        a[n] = top;
        sift(a, 0, n, before, user);
    }
}

static void audit_host(const struct xha_place *p, uint32_t host)
{
    const struct host *h = &p->host[host];
    uint64_t kib = 0, vcpus = 0;
    uint32_t n = 0;

    for (uint32_t s = h->first; s != NONE32; s = p->dom[s / 2].slot[s % 2].next) {
        assert(p->dom[s / 2].known && p->dom[s / 2].slot[s % 2].host == host);
        kib += p->dom[s / 2].need.memory_kib;
        vcpus += p->dom[s / 2].need.vcpus;
        n++;
    }
    assert(n == h->domains && kib == h->used_kib && vcpus == h->used_vcpus && !h->gone);
    assert(h->indexed == (h->is.state == XHA_PLACE_UP));
}

void xha_place_audit(const struct xha_place *place)
{
    uint32_t known = 0;

    for (uint32_t h = 0; h < place->sizes.max_hosts; h++) {
        if (!place->host[h].known)
            continue;
        known++;
        audit_host(place, h);
    }
    assert(known == place->n_hosts);
    xha_place_index_audit(place);
    xha_place_groups_audit(place);
}

/*
 * place_group.c - which affinity and anti-affinity groups have how many domains on which host: one entry for
 * each such pair, found by hash, and listed by group.
 */
#include "place_internal.h"

void xha_place_groups_init(struct groups *g, const struct xha_place_sizes *sizes)
{
    uint32_t n = sizes->max_domains * 2 * KIND_N_ * XHA_PLACE_GROUPS;

    for (uint32_t i = 0; i < n; i++)
        g->member[i].chain = i + 1 < n ? i + 1 : NONE32;
    g->free = 0;
    memset(g->bucket, 0xff, g->n_buckets * sizeof(*g->bucket));
    for (int kind = 0; kind < KIND_N_; kind++)
        memset(g->first[kind], 0xff, ((size_t)sizes->max_groups + 1) * sizeof(uint32_t));
}

static uint32_t *bucket_of(const struct groups *g, enum kind kind, uint32_t group, uint32_t host)
{
    uint64_t x = ((uint64_t)group << 32 | host) * 2 + (uint64_t)kind;

    x *= UINT64_C(0x9e3779b97f4a7c15);
    return &g->bucket[(x >> 32) & (g->n_buckets - 1)];
}

static uint32_t find(const struct groups *g, enum kind kind, uint32_t group, uint32_t host)
{
    uint32_t at = *bucket_of(g, kind, group, host);

    while (at != NONE32 &&
           (g->member[at].group != group || g->member[at].host != host || g->member[at].kind != kind))
        at = g->member[at].chain;
    return at;
}

uint32_t xha_place_group_count(const struct xha_place *p, enum kind kind, uint32_t group, uint32_t host)
{
    uint32_t at = find(&p->groups, kind, group, host);

    return at == NONE32 ? 0 : p->groups.member[at].count;
}

static uint32_t enter(struct xha_place *p, enum kind kind, uint32_t group, uint32_t host)
{
    struct groups *g = &p->groups;
    uint32_t *bucket = bucket_of(g, kind, group, host), at = g->free;
    struct member *m;

    assert(at != NONE32);
    m = &g->member[at];
    g->free = m->chain;
    *m = (struct member){
        .kind = kind, .group = group, .host = host, .chain = *bucket, .next = g->first[kind][group]
    };
    m->prev = NONE32;
    if (m->next != NONE32)
        g->member[m->next].prev = at;
    *bucket = g->first[kind][group] = at;
    p->host[host].grouped++;
    return at;
}

static void leave(struct xha_place *p, uint32_t at)
{
    struct groups *g = &p->groups;
    struct member *m = &g->member[at];
    uint32_t *from = bucket_of(g, m->kind, m->group, m->host);

    while (*from != at)
        from = &g->member[*from].chain;
    *from = m->chain;
    if (m->next != NONE32)
        g->member[m->next].prev = m->prev;
    if (m->prev != NONE32)
        g->member[m->prev].next = m->next;
    else
        g->first[m->kind][m->group] = m->next;
    p->host[m->host].grouped--;
    m->chain = g->free;
    g->free = at;
}

void xha_place_group_add(struct xha_place *p, enum kind kind, uint32_t group, uint32_t host)
{
    uint32_t at = find(&p->groups, kind, group, host);

    if (at == NONE32)
        at = enter(p, kind, group, host);
    p->groups.member[at].count++;
    p->groups.total[kind][group]++;
}

void xha_place_group_drop(struct xha_place *p, enum kind kind, uint32_t group, uint32_t host)
{
    uint32_t at = find(&p->groups, kind, group, host);

    assert(at != NONE32);
    p->groups.total[kind][group]--;
    if (!--p->groups.member[at].count)
        leave(p, at);
}

/* Domains of the group on a host, by looking at each. */
static uint32_t counted(const struct xha_place *p, const struct member *m)
{
    uint32_t n = 0;

    for (uint32_t s = p->host[m->host].first; s != NONE32; s = p->dom[s / 2].slot[s % 2].next) {
        const struct xha_place_need *need = &p->dom[s / 2].need;
        const uint32_t *group = m->kind == TOGETHER ? need->together : need->apart;

        for (int i = 0; i < XHA_PLACE_GROUPS; i++)
            n += group[i] == m->group;
    }
    return n;
}

void xha_place_groups_audit(const struct xha_place *p)
{
    for (int kind = 0; kind < KIND_N_; kind++) {
        for (uint32_t group = 1; group <= p->sizes.max_groups; group++) {
            uint32_t total = 0;

            for (uint32_t at = p->groups.first[kind][group]; at != NONE32; at = p->groups.member[at].next) {
                const struct member *m = &p->groups.member[at];

                assert(m->kind == (enum kind)kind && m->group == group && m->count);
                assert(m->count == counted(p, m));
                assert(find(&p->groups, m->kind, group, m->host) == at);
                total += m->count;
            }
            assert(total == p->groups.total[kind][group]);
        }
    }
}

/*
 * place_bound.c - a proof, for all sets of k hosts at once, that their domains find room: no search, a few looks
 * at each host. It proves clusters with room to spare and says nothing of the others.
 *
 * Let lost domains be put one after the other, each wherever it may go. When one is refused, every host that it
 * might go to was too full for it, so that each has taken what it surely takes before it refuses anything.
 * If all of these together take more than was lost, that cannot be. So for each kind of domain (what it asks
 * of a host): what is lost must be no more than what the hosts of its kind surely take, less the k hosts that
 * are lost, less those that its anti-affinity groups may keep it from.
 */
#include "place_internal.h"

#define CLASSES 64 /* kinds of domains; with more there is no proof */
#define TOP     16 /* hosts that anti-affinity may close to a domain */

/* What a kind of domain asks. */
struct class
{
    uint64_t tags, not_tags, networks, storages;
    uint32_t apart; /* hosts that its groups may close to it */
};

struct bound {
    struct xha_place *p;
    uint32_t k;
    struct class class[CLASSES];
    uint32_t n_classes;
    uint64_t memory_kib, vcpus;      /* the biggest of each */
    uint64_t ratio_vcpus, ratio_kib; /* of the domain with most vCPUs for its memory */
};

/* Sums of the highest values told to it. */
struct top {
    uint64_t value[TOP];
};

static void top_take(struct top *t, uint32_t n, uint64_t value)
{
    for (uint32_t i = 0; i < n && value; i++) {
        if (value > t->value[i]) {
            uint64_t less = t->value[i];

            t->value[i] = value;
            value = less;
        }
    }
}

static uint64_t top_sum(const struct top *t, uint32_t n)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < n; i++)
        sum += t->value[i];
    return sum;
}

/* ---- domains ---- */

/* Into seen_by: on how many hosts the domains of each anti-affinity group are, or may be. */
static void count_groups(struct xha_place *p)
{
    memset(p->seen_by, 0, ((size_t)p->sizes.max_groups + 1) * sizeof(*p->seen_by));
    for (uint32_t d = 0; d < p->sizes.max_domains; d++) {
        const struct dom *dom = &p->dom[d];
        bool twice = dom->slot[0].host != NONE32 && dom->slot[1].host != NONE32;

        for (int g = 0; dom->known && g < XHA_PLACE_GROUPS; g++)
            p->seen_by[dom->need.apart[g]] += 1 + twice;
    }
}

static bool same_class(const struct class *a, const struct class *b)
{
    return a->tags == b->tags && a->not_tags == b->not_tags && a->networks == b->networks &&
           a->storages == b->storages;
}

/* false: too many kinds, or one that the bound does not know. */
static bool classify(struct bound *b, const struct xha_place_need *need)
{
    struct class class = {
        .tags = need->tags, .not_tags = need->not_tags, .networks = need->networks, .storages = need->storages
    };
    uint32_t i = 0;

    for (int g = 0; g < XHA_PLACE_GROUPS; g++) {
        if (need->together[g])
            return false;
        if (need->apart[g])
            class.apart += b->p->seen_by[need->apart[g]] - 1;
    }
    if (need->n_only || class.apart > TOP)
        return false;
    while (i < b->n_classes && !same_class(&b->class[i], &class))
        i++;
    if (i == CLASSES)
        return false;
    if (i == b->n_classes)
        b->class[b->n_classes++] = class;
    else if (b->class[i].apart < class.apart)
        b->class[i].apart = class.apart;
    return true;
}

static void measure(struct bound *b, const struct xha_place_need *n)
{
    if (n->memory_kib > b->memory_kib)
        b->memory_kib = n->memory_kib;
    if (n->vcpus > b->vcpus)
        b->vcpus = n->vcpus;
    if (!n->memory_kib && n->vcpus)
        b->ratio_kib = 0; /* none */
    else if (b->ratio_kib &&
             (unsigned __int128)n->vcpus * b->ratio_kib > (unsigned __int128)b->ratio_vcpus * n->memory_kib) {
        b->ratio_vcpus = n->vcpus;
        b->ratio_kib = n->memory_kib;
    }
}

/* ---- hosts ---- */

/* What is to be restarted of a host. */
static struct load lost_with(const struct xha_place *p, uint32_t host)
{
    struct load load = { 0, 0 };

    for (uint32_t s = p->host[host].first; s != NONE32; s = p->dom[s / 2].slot[s % 2].next) {
        if (!p->dom[s / 2].need.restart)
            continue;
        load.count++;
        load.kib += p->dom[s / 2].need.memory_kib;
    }
    return load;
}

/*
 * What a host takes of any domains, in any order, before it refuses one: in number, so many of the biggest; in
 * memory, all but less than one biggest, where its vCPUs cannot run out before.
 */
static struct load surely_takes(const struct bound *b, const struct host *h)
{
    int64_t kib = xha_place_free_kib(h), vcpus = xha_place_free_vcpus(h);
    struct load load = { 0, 0 };

    if (!h->indexed || kib < (int64_t)b->memory_kib || vcpus < (int64_t)b->vcpus)
        return load;
    load.count = b->memory_kib ? (uint64_t)kib / b->memory_kib : UINT32_MAX;
    if (b->vcpus && vcpus != INT64_MAX && (uint64_t)vcpus / b->vcpus < load.count)
        load.count = (uint64_t)vcpus / b->vcpus;
    if (vcpus == INT64_MAX || (b->ratio_kib && (unsigned __int128)(uint64_t)vcpus * b->ratio_kib >=
                                                   (unsigned __int128)(uint64_t)kib * b->ratio_vcpus))
        load.kib = (uint64_t)kib - b->memory_kib + 1;
    return load;
}

static bool suits(const struct class *c, const struct xha_place_host *is)
{
    return !(c->tags & ~is->tags) && !(c->not_tags & is->tags) && !(c->networks & ~is->networks) &&
           !(c->storages & ~is->storages);
}

/* The worst set: the k hosts with the most of both together, what is lost with them and what they would take. */
static bool class_fits(const struct bound *b, const struct class *c)
{
    struct top lost_count = { { 0 } }, lost_kib = { { 0 } }, closed_count = { { 0 } }, closed_kib = { { 0 } };
    uint64_t count = 0, kib = 0, need_count = 0, need_kib = 0;

    for (uint32_t h = 0; h < b->p->sizes.max_hosts; h++) {
        const struct host *host = &b->p->host[h];
        struct load lost = b->p->lost_with[h], takes = { 0, 0 };

        if (!host->known)
            continue;
        if (suits(c, &host->is))
            takes = b->p->takes[h];
        count += takes.count;
        kib += takes.kib;
        top_take(&closed_count, c->apart, takes.count);
        top_take(&closed_kib, c->apart, takes.kib);
        if (host->is.state == XHA_PLACE_DOWN) {
            need_count += lost.count;
            need_kib += lost.kib;
        } else {
            top_take(&lost_count, b->k, lost.count + takes.count);
            top_take(&lost_kib, b->k, lost.kib + takes.kib);
        }
    }
    need_count += top_sum(&lost_count, b->k) + top_sum(&closed_count, c->apart);
    need_kib += top_sum(&lost_kib, b->k) + top_sum(&closed_kib, c->apart);
    return need_count <= count || need_kib < kib;
}

bool xha_place_surely_survives(struct xha_place *p, uint32_t k)
{
    struct bound b = { .p = p, .k = k, .ratio_kib = 1 };

    count_groups(p);
    for (uint32_t d = 0; d < p->sizes.max_domains; d++) {
        if (!p->dom[d].known || !p->dom[d].need.restart)
            continue;
        if (!classify(&b, &p->dom[d].need))
            return false;
        measure(&b, &p->dom[d].need);
    }
    for (uint32_t h = 0; h < p->sizes.max_hosts; h++) {
        if (!p->host[h].known)
            continue;
        p->lost_with[h] = lost_with(p, h);
        p->takes[h] = surely_takes(&b, &p->host[h]);
    }
    for (uint32_t i = 0; i < b.n_classes; i++)
        if (!class_fits(&b, &b.class[i]))
            return false;
    return true;
}

/*
 * place_index.c - the hosts that take domains, ordered by free memory, free vCPUs and number: a treap.
 *
 * The place of a host in the tree depends on its key and on a fixed mix of its number, not on the order of
 * changes, so that equal contents have equal trees. Each subtree knows what any and what all of its hosts
 * have; a search passes by those where nobody can pass. Depth is about 2 ln(hosts).
 */
#include "place_internal.h"

/* splitmix64's finish: any fixed mixing will do. */
static uint64_t rank(uint32_t host)
{
    uint64_t x = host + UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static bool before(const struct xha_place *p, uint32_t a, uint32_t b)
{
    const struct node *x = &p->node[a], *y = &p->node[b];

    if (x->free_kib != y->free_kib)
        return x->free_kib < y->free_kib;
    if (x->free_vcpus != y->free_vcpus)
        return x->free_vcpus < y->free_vcpus;
    return a < b;
}

static void gather(struct node *n, const struct node *child)
{
    n->some_tags |= child->some_tags;
    n->some_networks |= child->some_networks;
    n->some_storages |= child->some_storages;
    n->all_tags &= child->all_tags;
    if (n->most_vcpus < child->most_vcpus)
        n->most_vcpus = child->most_vcpus;
}

static void pull(struct xha_place *p, uint32_t at)
{
    struct node *n = &p->node[at];

    n->some_tags = n->all_tags = n->tags;
    n->some_networks = n->networks;
    n->some_storages = n->storages;
    n->most_vcpus = n->free_vcpus;
    if (n->left != NONE32)
        gather(n, &p->node[n->left]);
    if (n->right != NONE32)
        gather(n, &p->node[n->right]);
}

/* Those before host, and those after it. */
static void split(struct xha_place *p, uint32_t at, uint32_t host, uint32_t *left_r, uint32_t *right_r)
{
    if (at == NONE32) {
        *left_r = *right_r = NONE32;
    } else if (before(p, at, host)) {
        *left_r = at;
        split(p, p->node[at].right, host, &p->node[at].right, right_r);
        pull(p, at);
    } else {
        *right_r = at;
        split(p, p->node[at].left, host, left_r, &p->node[at].left);
        pull(p, at);
    }
}

/* All of a are before all of b. */
static uint32_t merge(struct xha_place *p, uint32_t a, uint32_t b)
{
    if (a == NONE32 || b == NONE32)
        return a == NONE32 ? b : a;
    if (rank(a) > rank(b)) {
        p->node[a].right = merge(p, p->node[a].right, b);
        pull(p, a);
        return a;
    }
    p->node[b].left = merge(p, a, p->node[b].left);
    pull(p, b);
    return b;
}

static uint32_t add(struct xha_place *p, uint32_t at, uint32_t host)
{
    struct node *n;

    if (at == NONE32 || rank(host) > rank(at)) {
        split(p, at, host, &p->node[host].left, &p->node[host].right);
        pull(p, host);
        return host;
    }
    n = &p->node[at];
    if (before(p, at, host))
        n->right = add(p, n->right, host);
    else
        n->left = add(p, n->left, host);
    pull(p, at);
    return at;
}

static uint32_t drop(struct xha_place *p, uint32_t at, uint32_t host)
{
    struct node *n = &p->node[at];

    assert(at != NONE32);
    if (at == host)
        return merge(p, n->left, n->right);
    if (before(p, at, host))
        n->right = drop(p, n->right, host);
    else
        n->left = drop(p, n->left, host);
    pull(p, at);
    return at;
}

void xha_place_index_add(struct xha_place *p, uint32_t host)
{
    const struct host *h = &p->host[host];

    p->node[host] = (struct node){
        .free_kib = xha_place_free_kib(h),
        .free_vcpus = xha_place_free_vcpus(h),
        .tags = h->is.tags,
        .networks = h->is.networks,
        .storages = h->is.storages,
        .left = NONE32,
        .right = NONE32,
    };
    p->root = add(p, p->root, host);
}

void xha_place_index_drop(struct xha_place *p, uint32_t host)
{
    p->root = drop(p, p->root, host);
}

/* Whether anybody below could pass. */
static bool worth(const struct xha_place *p, const struct want *w, uint32_t at)
{
    const struct node *n;

    if (at == NONE32)
        return false;
    n = &p->node[at];
    return !(w->tags & ~n->some_tags) && !(w->networks & ~n->some_networks) &&
           !(w->storages & ~n->some_storages) && !(w->not_tags & n->all_tags) &&
           n->most_vcpus >= (int64_t)w->vcpus;
}

struct key {
    int64_t free_kib, free_vcpus;
    uint32_t host;
};

static bool before_key(const struct node *n, uint32_t host, const struct key *key)
{
    if (n->free_kib != key->free_kib)
        return n->free_kib < key->free_kib;
    if (n->free_vcpus != key->free_vcpus)
        return n->free_vcpus < key->free_vcpus;
    return host < key->host;
}

static uint32_t first(const struct xha_place *p, const struct want *w, uint32_t at, const struct key *key)
{
    while (worth(p, w, at)) {
        const struct node *n = &p->node[at];
        uint32_t found;

        if (!before_key(n, at, key)) {
            found = first(p, w, n->left, key);
            if (found != NONE32)
                return found;
            if (xha_place_passes(p, w, at))
                return at;
        }
        at = n->right;
    }
    return NONE32;
}

uint32_t xha_place_index_first(const struct xha_place *p, const struct want *w, int64_t free_kib,
                               int64_t free_vcpus, uint32_t host)
{
    const struct key key = { free_kib, free_vcpus, host };

    return first(p, w, p->root, &key);
}

static uint32_t last(const struct xha_place *p, const struct want *w, uint32_t at)
{
    while (worth(p, w, at)) {
        const struct node *n = &p->node[at];
        uint32_t found = last(p, w, n->right);

        if (found != NONE32)
            return found;
        if (n->free_kib < (int64_t)w->memory_kib)
            return NONE32;
        if (xha_place_passes(p, w, at))
            return at;
        at = n->left;
    }
    return NONE32;
}

uint32_t xha_place_index_last(const struct xha_place *p, const struct want *w)
{
    uint32_t most = last(p, w, p->root);

    if (most == NONE32)
        return NONE32;
    return xha_place_index_first(p, w, p->node[most].free_kib, p->node[most].free_vcpus, 0);
}

static uint32_t audit(const struct xha_place *p, uint32_t at)
{
    const struct node *n;
    uint32_t count = 1;

    if (at == NONE32)
        return 0;
    n = &p->node[at];
    assert(p->host[at].indexed && n->free_kib == xha_place_free_kib(&p->host[at]) &&
           n->free_vcpus == xha_place_free_vcpus(&p->host[at]));
    if (n->left != NONE32) {
        assert(rank(n->left) < rank(at) && before(p, n->left, at));
        assert(!(p->node[n->left].some_tags & ~n->some_tags) && p->node[n->left].most_vcpus <= n->most_vcpus);
        count += audit(p, n->left);
    }
    if (n->right != NONE32) {
        assert(rank(n->right) < rank(at) && before(p, at, n->right));
        assert(!(n->all_tags & ~p->node[n->right].all_tags));
        count += audit(p, n->right);
    }
    return count;
}

void xha_place_index_audit(const struct xha_place *p)
{
    uint32_t indexed = 0;

    for (uint32_t h = 0; h < p->sizes.max_hosts; h++)
        indexed += p->host[h].indexed;
    assert(audit(p, p->root) == indexed);
}

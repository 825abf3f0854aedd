/*
 * pair.c - a pairing heap whose links live in the domains themselves: one recovery queue per host without
 * memory per host. Fredman, Sedgewick, Sleator, Tarjan: The pairing heap: a new form of self-adjusting heap
 * (1986).
 */
#include "internal.h"

static bool less(const struct xha_core *core, uint32_t a, uint32_t b)
{
    const struct dom *x = &core->dom[a], *y = &core->dom[b];

    for (int i = 0; i < 3; i++)
        if (x->key[i] != y->key[i])
            return x->key[i] < y->key[i];
    return a < b;
}

static uint32_t meld(struct xha_core *core, uint32_t a, uint32_t b)
{
    if (a == NONE32 || b == NONE32)
        return a == NONE32 ? b : a;
    if (less(core, b, a)) {
        uint32_t t = a;
        a = b;
        b = t;
    }
    struct pair *parent = &core->dom[a].pair, *child = &core->dom[b].pair;
    child->next = parent->child;
    child->prev = a;
    if (parent->child != NONE32)
        core->dom[parent->child].pair.prev = b;
    parent->child = b;
    return a;
}

/* Two passes over a list of siblings: pair them from the left, then join the pairs from the right. */
static uint32_t combine(struct xha_core *core, uint32_t first)
{
    uint32_t pairs = NONE32, root = NONE32;

    while (first != NONE32) {
        uint32_t a = first, b = core->dom[a].pair.next;
        first = b == NONE32 ? NONE32 : core->dom[b].pair.next;
        core->dom[a].pair.next = core->dom[a].pair.prev = NONE32;
        if (b != NONE32)
            core->dom[b].pair.next = core->dom[b].pair.prev = NONE32;
        a = meld(core, a, b);
        core->dom[a].pair.next = pairs;
        pairs = a;
    }
    while (pairs != NONE32) {
        uint32_t next = core->dom[pairs].pair.next;
        core->dom[pairs].pair.next = NONE32;
        root = meld(core, root, pairs);
        pairs = next;
    }
    return root;
}

void xha_pair_add(struct xha_core *core, uint32_t *root, struct dom *d)
{
    d->pair = (struct pair){ NONE32, NONE32, NONE32 };
    *root = meld(core, *root, index_of(core, d));
}

void xha_pair_drop(struct xha_core *core, uint32_t *root, struct dom *d)
{
    uint32_t i = index_of(core, d), rest;
    struct pair *p = &d->pair;

    if (*root == i) {
        *root = combine(core, p->child);
        return;
    }
    if (core->dom[p->prev].pair.child == i)
        core->dom[p->prev].pair.child = p->next;
    else
        core->dom[p->prev].pair.next = p->next;
    if (p->next != NONE32)
        core->dom[p->next].pair.prev = p->prev;
    rest = combine(core, p->child);
    *root = meld(core, *root, rest);
}

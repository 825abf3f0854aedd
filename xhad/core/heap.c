/*
 * heap.c - an indexed binary min-heap: the core's timers. Each item is at most once in it and can
 * be moved or dropped by its number in O(log n); no memory is taken after the heap was made.
 */
#include "internal.h"

static bool less(const struct heap_item *a, const struct heap_item *b)
{
    return a->key != b->key ? a->key < b->key : a->what < b->what;
}

static void put(struct heap *h, uint32_t at, const struct heap_item *item)
{
    h->item[at] = *item;
    h->pos[item->what] = at;
}

static uint32_t up(struct heap *h, uint32_t at, const struct heap_item *item)
{
    while (at && less(item, &h->item[(at - 1) / 2])) {
        put(h, at, &h->item[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    return at;
}

static uint32_t down(struct heap *h, uint32_t at, const struct heap_item *item)
{
    for (uint32_t child; (child = 2 * at + 1) < h->n; at = child) {
        if (child + 1 < h->n && less(&h->item[child + 1], &h->item[child]))
            child++;
        if (!less(&h->item[child], item))
            break;
        put(h, at, &h->item[child]);
    }
    return at;
}

bool xha_heap_has(const struct heap *h, uint32_t what)
{
    return h->pos[what] != NONE32;
}

void xha_heap_set(struct heap *h, uint32_t what, int64_t key)
{
    struct heap_item item = { .key = key, .what = what };
    uint32_t at = h->pos[what];

    assert(what < h->max);
    if (at == NONE32)
        at = h->n++;
    at = up(h, at, &item);
    put(h, down(h, at, &item), &item);
}

void xha_heap_drop(struct heap *h, uint32_t what)
{
    uint32_t at = h->pos[what];

    if (at == NONE32)
        return;
    h->pos[what] = NONE32;
    if (at == --h->n)
        return;
    struct heap_item last = h->item[h->n];
    at = up(h, at, &last);
    put(h, down(h, at, &last), &last);
}

void xha_heap_audit(const struct heap *h)
{
    for (uint32_t i = 0; i < h->n; i++) {
        assert(h->pos[h->item[i].what] == i);
        assert(!i || !less(&h->item[i], &h->item[(i - 1) / 2]));
    }
}

/*
 * node_note.c - what the node remembers of domains: a table by UUID, and two queues in it: of those that have
 * to be looked at again, and of those of which the cluster has to hear something.
 */
#include "xhad/core/node_internal.h"

#include <stdlib.h>

static uint32_t bucket(const struct xha_node *node, const struct xha_uuid *uuid)
{
    uint32_t h = 2166136261u; /* FNV-1a, as in store.c */

    for (size_t i = 0; i < sizeof uuid->b; i++)
        h = (h ^ uuid->b[i]) * 16777619u;
    return h & (node->n_hash - 1);
}

int xha_notes_new(struct xha_node *node, uint32_t max)
{
    node->n_hash = 16;
    while (node->n_hash < max)
        node->n_hash *= 2;
    node->n_notes = max;
    node->note = calloc(max, sizeof *node->note);
    node->hash = calloc(node->n_hash, sizeof *node->hash);
    node->free = calloc(max, sizeof *node->free);
    if (!node->note || !node->hash || !node->free)
        return XHA_CORE_E_NOMEM;
    for (uint32_t i = max; i--;)
        node->free[node->n_free++] = i;
    memset(node->hash, 0xff, node->n_hash * sizeof *node->hash);
    node->dirty = node->due = (struct queue){ NONE32, NONE32 };
    return XHA_CORE_OK;
}

struct note *xha_note_find(const struct xha_node *node, const struct xha_uuid *uuid)
{
    for (uint32_t i = node->hash[bucket(node, uuid)]; i != NONE32; i = node->note[i].hash_next)
        if (!memcmp(&node->note[i].uuid, uuid, sizeof *uuid))
            return &node->note[i];
    return NULL;
}

static uint32_t index_of(const struct xha_node *node, const struct note *n)
{
    return (uint32_t)(n - node->note);
}

/* Neither half knows it, and nothing is to be said of it. */
static bool idle(const struct xha_node *node, const struct note *n)
{
    struct xha_cluster_domain c;
    struct xha_view v;

    return !n->dirty && !n->due && xha_core_find(node->core, &n->uuid, &v) &&
           xha_cluster_find(node->cluster, &n->uuid, &c);
}

static void drop(struct xha_node *node, struct note *n)
{
    uint32_t *at = &node->hash[bucket(node, &n->uuid)];

    while (*at != index_of(node, n))
        at = &node->note[*at].hash_next;
    *at = n->hash_next;
    n->used = false;
    node->free[node->n_free++] = index_of(node, n);
}

static struct note *free_one(struct xha_node *node)
{
    if (!node->n_free) /* all at once, so that it is seldom done */
        for (uint32_t i = 0; i < node->n_notes; i++)
            if (idle(node, &node->note[i]))
                drop(node, &node->note[i]);
    return node->n_free ? &node->note[node->free[--node->n_free]] : NULL;
}

struct note *xha_note_of(struct xha_node *node, const struct xha_uuid *uuid)
{
    struct note *n = xha_note_find(node, uuid);
    uint32_t *head = &node->hash[bucket(node, uuid)];

    if (n)
        return n;
    n = free_one(node);
    if (!n)
        return NULL;
    *n = (struct note){ .used = true, .uuid = *uuid, .give_to = XHA_HOST_NONE, .hash_next = *head };
    *head = index_of(node, n);
    return n;
}

/* ---- the queues ---- */

void xha_note_dirty(struct xha_node *node, struct note *n)
{
    if (n->dirty)
        return;
    n->dirty = true;
    n->next_dirty = NONE32;
    if (node->dirty.tail == NONE32)
        node->dirty.head = index_of(node, n);
    else
        node->note[node->dirty.tail].next_dirty = index_of(node, n);
    node->dirty.tail = index_of(node, n);
}

struct note *xha_note_next_dirty(struct xha_node *node)
{
    struct note *n;

    if (node->dirty.head == NONE32)
        return NULL;
    n = &node->note[node->dirty.head];
    node->dirty.head = n->next_dirty;
    if (n->next_dirty == NONE32)
        node->dirty.tail = NONE32;
    n->dirty = false;
    return n;
}

void xha_note_due(struct xha_node *node, struct note *n, enum due what)
{
    bool in_queue = n->due;

    n->due |= what;
    if (in_queue)
        return;
    n->next_due = NONE32;
    if (node->due.tail == NONE32)
        node->due.head = index_of(node, n);
    else
        node->note[node->due.tail].next_due = index_of(node, n);
    node->due.tail = index_of(node, n);
}

struct note *xha_note_first_due(struct xha_node *node)
{
    return node->due.head == NONE32 ? NULL : &node->note[node->due.head];
}

/* n is the first of the queue. */
void xha_note_said(struct xha_node *node, struct note *n, enum due what)
{
    n->due &= ~(unsigned)what;
    if (n->due)
        return;
    node->due.head = n->next_due;
    if (n->next_due == NONE32)
        node->due.tail = NONE32;
}

/* Those that the halves know. Both hold no more together than there are notes. */
void xha_notes_all_dirty(struct xha_node *node)
{
    struct note *n;

    for (uint32_t i = 0; i < xha_cluster_count(node->cluster); i++) {
        struct xha_cluster_domain c;

        xha_cluster_domain(node->cluster, i, &c);
        n = xha_note_of(node, &c.uuid);
        if (n)
            xha_note_dirty(node, n);
    }
    for (uint32_t i = 0; i < xha_core_count(node->core); i++) {
        struct xha_view v;

        xha_core_view(node->core, i, &v);
        n = xha_note_of(node, &v.uuid);
        if (n)
            xha_note_dirty(node, n);
    }
}

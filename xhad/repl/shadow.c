/*
 * shadow.c - see shadow.h.
 */
#include "xhad/repl/shadow.h"
#include "xhad/move/chunk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define OLD_EPOCHS 16 /* not changed for so long: its slot may go to another */
#define LOOKS      16 /* slots looked at for an old one, per page that wants one */

/* ---- slots ---- */

struct xha_slots {
    uint8_t *pages;
    uint32_t n, used; /* used: the highest one + 1 */
};

struct xha_slots *xha_slots_new(uint32_t n)
{
    struct xha_slots *s;

    if (n > XHA_SLOTS_MAX) {
        errno = EINVAL;
        return NULL;
    }
    s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->n = n;
    if (n == 0)
        return s;
    s->pages = mmap(NULL, (size_t)n * XHA_PAGE_BYTES, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (s->pages == MAP_FAILED) {
        free(s);
        return NULL;
    }
    return s;
}

void xha_slots_free(struct xha_slots *slots)
{
    if (!slots)
        return;
    if (slots->pages)
        munmap(slots->pages, (size_t)slots->n * XHA_PAGE_BYTES);
    free(slots);
}

uint8_t *xha_slots_page(struct xha_slots *slots, uint32_t slot)
{
    if (slot >= slots->n)
        return NULL;
    if (slot >= slots->used)
        slots->used = slot + 1;
    return slots->pages + (size_t)slot * XHA_PAGE_BYTES;
}

uint64_t xha_slots_bytes(const struct xha_slots *slots)
{
    return (uint64_t)slots->used * XHA_PAGE_BYTES;
}

/* ---- which page lies where ---- */

struct owner {
    uint64_t pfn;
    uint32_t epoch; /* when it was last sent */
};

struct xha_shadow {
    struct xha_slots *slots;
    struct owner *owners; /* of the slots */
    uint32_t *index;      /* slot + 1 by a hash of the pfn, 0: empty; looked up by linear probing */
    uint32_t index_mask;
    uint32_t n_slots, n_used;
    uint32_t hand; /* goes round in search of old pages */
    uint32_t epoch;
    uint64_t evictions, refusals;
};

/* More than twice as many places as slots, so that probing is short and ends. */
static uint32_t index_size(uint32_t n_slots)
{
    uint32_t size = 16;

    while (size < 2 * (uint64_t)n_slots)
        size *= 2;
    return size;
}

struct xha_shadow *xha_shadow_new(uint32_t n_slots)
{
    struct xha_shadow *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->slots = xha_slots_new(n_slots);
    if (!s->slots)
        goto failed;
    s->n_slots = n_slots;
    s->index_mask = index_size(n_slots) - 1;
    s->index = calloc((size_t)s->index_mask + 1, sizeof(*s->index));
    s->owners = calloc(n_slots ? n_slots : 1, sizeof(*s->owners));
    if (!s->index || !s->owners)
        goto failed;
    return s;

failed:
    xha_shadow_free(s);
    return NULL;
}

void xha_shadow_free(struct xha_shadow *shadow)
{
    if (!shadow)
        return;
    xha_slots_free(shadow->slots);
    free(shadow->index);
    free(shadow->owners);
    free(shadow);
}

void xha_shadow_next_epoch(struct xha_shadow *shadow)
{
    shadow->epoch++;
}

static uint32_t home(const struct xha_shadow *s, uint64_t pfn)
{
    return (uint32_t)(pfn * 0x9e3779b97f4a7c15ULL >> 32) & s->index_mask;
}

/* The place of the page in the index, or the empty one where it would be. */
static uint32_t locate(const struct xha_shadow *s, uint64_t pfn)
{
    uint32_t at = home(s, pfn);

    while (s->index[at] != 0 && s->owners[s->index[at] - 1].pfn != pfn)
        at = (at + 1) & s->index_mask;
    return at;
}

/* Empties a place, and moves up what had been pushed past it. */
static void forget(struct xha_shadow *s, uint64_t pfn)
{
    uint32_t hole = locate(s, pfn);

    for (uint32_t at = (hole + 1) & s->index_mask; s->index[at] != 0; at = (at + 1) & s->index_mask) {
        const uint32_t from = home(s, s->owners[s->index[at] - 1].pfn);

        if (((at - from) & s->index_mask) >= ((at - hole) & s->index_mask)) {
            s->index[hole] = s->index[at];
            hole = at;
        }
    }
    s->index[hole] = 0;
}

/* A slot for one more page: a fresh one, or that of an old page; XHA_SLOT_NONE. */
static uint32_t make_room(struct xha_shadow *s)
{
    if (s->n_used < s->n_slots)
        return s->n_used++;
    for (int looks = 0; looks < LOOKS && s->n_slots > 0; looks++) {
        const uint32_t slot = s->hand;

        s->hand = (s->hand + 1) % s->n_slots;
        if (s->epoch - s->owners[slot].epoch >= OLD_EPOCHS) {
            forget(s, s->owners[slot].pfn);
            s->evictions++;
            return slot;
        }
    }
    s->refusals++;
    return XHA_SLOT_NONE;
}

struct xha_shadow_place xha_shadow_find(struct xha_shadow *shadow, uint64_t pfn, bool keep)
{
    uint32_t at = locate(shadow, pfn), slot = shadow->index[at] - 1;
    const bool filled = shadow->index[at] != 0;

    if (!filled) {
        slot = keep ? make_room(shadow) : XHA_SLOT_NONE;
        if (slot == XHA_SLOT_NONE)
            return (struct xha_shadow_place){ .slot = XHA_SLOT_NONE };
        shadow->index[locate(shadow, pfn)] = slot + 1; /* making room may have moved the empty place */
    }
    shadow->owners[slot] = (struct owner){ .pfn = pfn, .epoch = shadow->epoch };
    return (struct xha_shadow_place){
        .slot = slot,
        .filled = filled,
        .copy = xha_slots_page(shadow->slots, slot),
    };
}

struct xha_shadow_stats xha_shadow_stats(const struct xha_shadow *shadow)
{
    return (struct xha_shadow_stats){
        .bytes = xha_slots_bytes(shadow->slots) + sizeof(*shadow) +
                 ((uint64_t)shadow->index_mask + 1) * sizeof(*shadow->index) +
                 (uint64_t)shadow->n_slots * sizeof(*shadow->owners),
        .pages = shadow->n_used,
        .evictions = shadow->evictions,
        .refusals = shadow->refusals,
    };
}

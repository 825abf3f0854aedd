/*
 * shadow.h - copies of pages that both sides hold, so that a change can be sent as a delta.
 *
 * Both sides have the same array of slots, a page each. The sender alone decides which page lies in which slot
 * and says so with every page that it sends; the receiver obeys, and needs to know no page's number. What was
 * sent is what the receiver has, in order, as long as the connection lives; a new connection begins with empty
 * slots on both sides.
 *
 * Only pages that change are worth a slot: after the first synchronisation the memory of both sides follows
 * the guest's working set and not its size. Where the bound is reached, a page that has not changed for some
 * epochs gives its slot up; where there is none such, the new page has no slot and is sent whole, which keeps a
 * guest that sweeps through more memory than there are slots from turning every delta into a whole page.
 */
#ifndef XHA_REPL_SHADOW_H
#define XHA_REPL_SHADOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XHA_SLOT_NONE UINT32_MAX
#define XHA_SLOTS_MAX (1u << 28) /* 1 TiB */

/* ---- the slots: the whole of it for a receiver ---- */

struct xha_slots;

/* n up to XHA_SLOTS_MAX. A slot takes memory when it is first used, and reads as zeros until then. NULL: errno. */
struct xha_slots *xha_slots_new(uint32_t n);
void xha_slots_free(struct xha_slots *slots);

/* The page in a slot, to be read and written; NULL: there is no such slot. */
uint8_t *xha_slots_page(struct xha_slots *slots, uint32_t slot);
/* Memory that the slots take: those up to the highest that was asked for, since they are handed out upwards. */
uint64_t xha_slots_bytes(const struct xha_slots *slots);

/* ---- which page lies where: the sender's ---- */

struct xha_shadow;

/* NULL: errno. */
struct xha_shadow *xha_shadow_new(uint32_t n_slots);
void xha_shadow_free(struct xha_shadow *shadow);

/* A new epoch begins: pages grow older by one. */
void xha_shadow_next_epoch(struct xha_shadow *shadow);

struct xha_shadow_place {
    uint32_t slot; /* XHA_SLOT_NONE: the page is not kept */
    bool filled; /* it holds the copy of this page that was sent last; else the copy of another, or nothing */
    uint8_t *copy; /* NULL without a slot; make it what is sent */
};

/* Where a page lies. keep: if nowhere yet, it gets a slot where there is one to be had. */
struct xha_shadow_place xha_shadow_find(struct xha_shadow *shadow, uint64_t pfn, bool keep);

struct xha_shadow_stats {
    uint64_t bytes;     /* memory of it all */
    uint32_t pages;     /* kept now */
    uint64_t evictions; /* a page gave its slot up for another */
    uint64_t refusals;  /* a page got none */
};

struct xha_shadow_stats xha_shadow_stats(const struct xha_shadow *shadow);

#endif

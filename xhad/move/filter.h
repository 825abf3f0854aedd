/*
 * filter.h - cuts what libxl streams into chunks, leaving out the pages that hold nothing but zeros. Pure.
 *
 * It reads along: libxl's stream of version 2 (docs/specs/libxl-migration-stream) and inside it libxc's
 * (docs/specs/libxc-migration-stream), whose PAGE_DATA records hold the guest's memory. Where it does not
 * understand the stream, all bytes pass as they are. Nothing in the stream is changed: what the chunks give
 * back is what went in.
 */
#ifndef XHA_MOVE_FILTER_H
#define XHA_MOVE_FILTER_H

#include "xhad/move/chunk.h"

enum xha_filter_kind {
    XHA_FILTER_STREAM, /* libxl's */
    XHA_FILTER_PAGES,  /* nothing but pages: of a disk */
};

struct xha_filter_seen {
    uint64_t bytes;
    uint64_t pages, zero_pages; /* all rounds together */
    uint32_t round;             /* of precopy: 1 for the first; 0: no page yet */
    uint64_t round_pages;       /* in this round */
    bool understood;            /* so far */
};

struct xha_filter;

/* NULL: out of memory. */
struct xha_filter *xha_filter_new(enum xha_filter_kind kind, struct xha_packer *packer);
void xha_filter_free(struct xha_filter *filter);

/* Takes bytes until a chunk is full; returns how many it took. */
size_t xha_filter_feed(struct xha_filter *filter, const uint8_t *bytes, size_t len);
bool xha_filter_is_full(const struct xha_filter *filter);

/*
 * Makes a chunk of what was taken (XHA_CHUNK_BYTES_MAX bytes at out) and returns its length; 0: there is
 * nothing. A page whose end has not come yet stays behind, but for all: the stream has ended.
 */
size_t xha_filter_take(struct xha_filter *filter, bool all, uint8_t *out);

const struct xha_filter_seen *xha_filter_seen(const struct xha_filter *filter);

#endif

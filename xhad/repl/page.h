/*
 * page.h - what differs between a page and the copy of it that the other side has. Pure.
 *
 * A delta is a run-length of two levels: u64 with a bit for each of the 64 lines of 64 bytes that differ; then
 * for each of these u8 with a bit for each of its 8 words of 8 bytes that differ, and those words, XORed with
 * the copy's. Finding them is a comparison without branches, which vector code does at the speed of memory: 17
 * bytes for one word, about 260 for 25 scattered ones.
 *
 * The comparisons exist in several makes which give the same results, bit for bit; the tests hold them to it.
 */
#ifndef XHA_REPL_PAGE_H
#define XHA_REPL_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "xhad/move/chunk.h" /* XHA_PAGE_BYTES */

#define XHA_PAGE_LINES      64
#define XHA_PAGE_LINE_BYTES 64
#define XHA_DELTA_BYTES_MAX (8 + XHA_PAGE_LINES * (1 + XHA_PAGE_LINE_BYTES))

/* A make of the comparisons. Pages need not be aligned. */
struct xha_page_ops {
    const char *name;
    bool (*is_zero)(const uint8_t *page);
    /* Bit i: line i differs, and words[i] has a bit for each word of it that does; words[] of other lines is 0. */
    uint64_t (*compare)(const uint8_t *page, const uint8_t *base, uint8_t words[XHA_PAGE_LINES]);
};

extern const struct xha_page_ops xha_page_scalar;
/* The makes that this processor can run, the quickest first; NULL ends them. The last is the scalar one. */
const struct xha_page_ops *const *xha_page_makes(void);

/*
 * Writes the delta from base to page to out (XHA_DELTA_BYTES_MAX bytes) and makes base equal to page; returns
 * its length, 8 when they are equal. 0: it would be longer than limit; then base is neither the one nor the
 * other, and the caller has to fill it.
 */
size_t xha_delta_make(const struct xha_page_ops *ops, const uint8_t *page, uint8_t *base, size_t limit,
                      uint8_t *out);

/*
 * Applies the delta that len hostile bytes begin with; returns how many it takes up. 0: it is none; then base
 * may have changed in part.
 */
size_t xha_delta_apply(const uint8_t *delta, size_t len, uint8_t *base);

#endif

/*
 * codec.h - pages on their way to the other side, in batches: nothing for a page of zeros or one that the
 * other side has already, a delta (page.h) against the copy that it has, or else the page itself, packed by LZ4
 * together with its neighbours where that wins. Pure.
 *
 *   u16 pages, u16 literal pages, u32 bytes of deltas, u64 sum
 *   pages × u32: in the lowest two bits enum xha_page_kind, above them its slot (shadow.h) + 1, or 0
 *   the deltas, one behind the other
 *   for each 16 literal pages, or what is left of them: u32 bytes, and so many bytes of LZ4; or as they are,
 *   when it is their full number
 *
 * The sum is a chain of XXH3-64 over the contents of all pages since the coder was made, so that it holds only
 * when both sides agree in each page that they had before, too. A page that has a slot is put there by both.
 * A batch is never longer than its pages and 1 %.
 */
#ifndef XHA_REPL_CODEC_H
#define XHA_REPL_CODEC_H

#include "xhad/repl/page.h"
#include "xhad/repl/shadow.h"

#define XHA_BATCH_PAGES      64
#define XHA_BATCH_HEADER     16
#define XHA_LITERAL_PAGES    16 /* packed at once */
#define XHA_BATCH_BLOCKS_MAX (XHA_BATCH_PAGES / XHA_LITERAL_PAGES)
#define XHA_BATCH_BYTES_MAX                                                                                  \
    (XHA_BATCH_HEADER + 4 * XHA_BATCH_PAGES + 4 * XHA_BATCH_BLOCKS_MAX + XHA_BATCH_PAGES * XHA_PAGE_BYTES)

enum xha_page_kind { XHA_PAGE_ZERO, XHA_PAGE_SAME, XHA_PAGE_DELTA, XHA_PAGE_LITERAL, XHA_PAGE_KIND_N_ };

/* ---- the sender's side ---- */

struct xha_coder;

/*
 * ops: how pages are compared; NULL: the quickest that there is. The shadow stays the caller's. NULL: out of
 * memory.
 */
struct xha_coder *xha_coder_new(const struct xha_page_ops *ops, struct xha_shadow *shadow);
void xha_coder_free(struct xha_coder *coder);

/*
 * Adds a page, and makes its copy in the shadow equal to it. keep: it may get a slot if it has none. At most
 * XHA_BATCH_PAGES before they are taken.
 */
void xha_coder_page(struct xha_coder *coder, uint64_t pfn, const uint8_t *page, bool keep);
unsigned xha_coder_pages(const struct xha_coder *coder); /* added and not yet taken */

/* Bytes that the sum covers, too: whatever else goes with the batch that is taken next. */
void xha_coder_also(struct xha_coder *coder, const uint8_t *bytes, size_t len);

/* Makes a batch of them (XHA_BATCH_BYTES_MAX bytes at out); returns its length. */
size_t xha_coder_take(struct xha_coder *coder, uint8_t *out);

uint64_t xha_coder_sum(const struct xha_coder *coder); /* of the batch that was taken last */

struct xha_coder_stats {
    uint64_t pages[XHA_PAGE_KIND_N_];
    uint64_t delta_bytes, literal_bytes; /* literal: packed */
};

const struct xha_coder_stats *xha_coder_stats(const struct xha_coder *coder);

/* ---- the receiver's side ---- */

struct xha_decoder;

/* NULL: out of memory. The slots stay the caller's. */
struct xha_decoder *xha_decoder_new(struct xha_slots *slots);
void xha_decoder_free(struct xha_decoder *decoder);

/*
 * Opens a batch of hostile bytes, which must stay until its last page was had. 0 with its pages and how many
 * of them are not zeros; -1: it is damaged.
 */
int xha_decoder_open(struct xha_decoder *decoder, const uint8_t *batch, size_t len, unsigned *pages_r,
                     unsigned *filled_r);

/*
 * The next page of the batch, at most as many as it has: 1, written to out (XHA_PAGE_BYTES); 0: it is zeros,
 * and out is untouched; -1: damaged.
 */
int xha_decoder_page(struct xha_decoder *decoder, uint8_t *out);

/* See xha_coder_also(): the same bytes, after the last page. */
void xha_decoder_also(struct xha_decoder *decoder, const uint8_t *bytes, size_t len);

/* After the last page: 0 when the batch was whole and the sum is right; -1: damaged. */
int xha_decoder_close(struct xha_decoder *decoder);
uint64_t xha_decoder_sum(const struct xha_decoder *decoder);

#endif

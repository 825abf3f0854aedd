/*
 * codec.c - the sender's side of codec.h.
 */
#include "config.h"

#include "xhad/repl/codec.h"
#include "xhad/repl/codec_sum.h"
#include "xhad/move/bytes.h"

#include <lz4.h>
#include <stdlib.h>
#include <string.h>

#define DELTA_MAX     3072 /* of a delta, whatever literal pages cost */
#define COST_AT_FIRST 2048 /* of a literal page */
#define REST_MAX      8    /* blocks that are not tried after one that LZ4 did not make smaller */

struct xha_coder {
    const struct xha_page_ops *ops;
    struct xha_shadow *shadow;
    unsigned n_pages, n_literals;
    uint32_t op[XHA_BATCH_PAGES];
    uint8_t delta[XHA_BATCH_PAGES * DELTA_MAX + XHA_DELTA_BYTES_MAX];
    size_t delta_len;
    uint8_t literal[XHA_BATCH_PAGES * XHA_PAGE_BYTES];
    uint64_t sum;
    /* what is learned from the blocks so far */
    size_t literal_cost;  /* bytes that a literal page takes about, packed */
    unsigned rest, rests; /* blocks not to try now; how many it was last */
    struct xha_coder_stats stats;
};

struct xha_coder *xha_coder_new(const struct xha_page_ops *ops, struct xha_shadow *shadow)
{
    struct xha_coder *c = malloc(sizeof(*c));

    if (!c)
        return NULL;
    c->ops = ops ? ops : xha_page_makes()[0];
    c->shadow = shadow;
    c->n_pages = c->n_literals = 0;
    c->delta_len = 0;
    c->sum = 0;
    c->literal_cost = COST_AT_FIRST;
    c->rest = c->rests = 0;
    c->stats = (struct xha_coder_stats){ 0 };
    return c;
}

void xha_coder_free(struct xha_coder *coder)
{
    free(coder);
}

unsigned xha_coder_pages(const struct xha_coder *coder)
{
    return coder->n_pages;
}

const struct xha_coder_stats *xha_coder_stats(const struct xha_coder *coder)
{
    return &coder->stats;
}

/* ---- a page ---- */

/* SAME or DELTA, when that is less than what a literal page costs about. */
static bool as_delta(struct xha_coder *c, const uint8_t *page, uint8_t *copy, enum xha_page_kind *kind_r)
{
    const size_t limit = c->literal_cost < DELTA_MAX ? c->literal_cost : DELTA_MAX;
    const size_t len = xha_delta_make(c->ops, page, copy, limit, c->delta + c->delta_len);

    if (len == 0)
        return false;
    *kind_r = len == 8 ? XHA_PAGE_SAME : XHA_PAGE_DELTA;
    if (*kind_r == XHA_PAGE_DELTA) {
        c->delta_len += len;
        c->stats.delta_bytes += len;
    }
    return true;
}

static enum xha_page_kind encode(struct xha_coder *c, const uint8_t *page, bool zero,
                                 const struct xha_shadow_place *place)
{
    enum xha_page_kind kind;

    if (zero) {
        if (place->copy)
            memset(place->copy, 0, XHA_PAGE_BYTES);
        c->sum = xha_sum_zero(c->sum);
        return XHA_PAGE_ZERO;
    }
    c->sum = xha_sum(page, XHA_PAGE_BYTES, c->sum);
    if (place->filled && as_delta(c, page, place->copy, &kind))
        return kind;
    memcpy(c->literal + (size_t)c->n_literals++ * XHA_PAGE_BYTES, page, XHA_PAGE_BYTES);
    if (place->copy)
        memcpy(place->copy, page, XHA_PAGE_BYTES);
    return XHA_PAGE_LITERAL;
}

void xha_coder_page(struct xha_coder *coder, uint64_t pfn, const uint8_t *page, bool keep)
{
    const bool zero = coder->ops->is_zero(page);
    const struct xha_shadow_place place = xha_shadow_find(coder->shadow, pfn, keep && !zero);
    const enum xha_page_kind kind = encode(coder, page, zero, &place);

    coder->op[coder->n_pages++] = (uint32_t)kind | (place.slot == XHA_SLOT_NONE ? 0 : (place.slot + 1) << 2);
    coder->stats.pages[kind]++;
}

void xha_coder_also(struct xha_coder *coder, const uint8_t *bytes, size_t len)
{
    if (len > 0)
        coder->sum = xha_sum(bytes, len, coder->sum);
}

uint64_t xha_coder_sum(const struct xha_coder *coder)
{
    return coder->sum;
}

/* ---- a batch ---- */

/* What LZ4 makes of a block, fewer bytes than it has; 0: not worth it, or not tried. */
static size_t squeeze(struct xha_coder *c, const uint8_t *block, size_t len, uint8_t *out)
{
    const size_t limit = len - len / 16;
    int r;

    if (c->rest > 0) {
        c->rest--;
        return 0;
    }
    r = LZ4_compress_default((const char *)block, (char *)out, (int)len, (int)limit);
    if (r > 0) {
        c->rests = 0;
        return (size_t)r;
    }
    c->rests = c->rests == 0 ? 1 : c->rests < REST_MAX ? 2 * c->rests : REST_MAX;
    c->rest = c->rests;
    return 0;
}

/* The literal pages; returns where they end. */
static uint8_t *put_literals(struct xha_coder *c, uint8_t *p)
{
    for (unsigned first = 0; first < c->n_literals; first += XHA_LITERAL_PAGES) {
        const unsigned left = c->n_literals - first;
        const unsigned n = left < XHA_LITERAL_PAGES ? left : XHA_LITERAL_PAGES;
        const uint8_t *block = c->literal + (size_t)first * XHA_PAGE_BYTES;
        const size_t len = (size_t)n * XHA_PAGE_BYTES;
        size_t packed = squeeze(c, block, len, p + 4);

        if (packed == 0) {
            memcpy(p + 4, block, len);
            packed = len;
        }
        xha_put32(p, (uint32_t)packed);
        p += 4 + packed;
        c->literal_cost = (3 * c->literal_cost + packed / n) / 4;
        c->stats.literal_bytes += packed;
    }
    return p;
}

size_t xha_coder_take(struct xha_coder *c, uint8_t *out)
{
    uint8_t *p = out + XHA_BATCH_HEADER;

    xha_put16(out, (uint16_t)c->n_pages);
    xha_put16(out + 2, (uint16_t)c->n_literals);
    xha_put32(out + 4, (uint32_t)c->delta_len);
    xha_put64(out + 8, c->sum);
    for (unsigned i = 0; i < c->n_pages; i++, p += 4)
        xha_put32(p, c->op[i]);
    memcpy(p, c->delta, c->delta_len);
    p = put_literals(c, p + c->delta_len);
    c->n_pages = c->n_literals = 0;
    c->delta_len = 0;
    return (size_t)(p - out);
}

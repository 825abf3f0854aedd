/*
 * codec_decode.c - the receiver's side of codec.h. Whatever is in a batch, nothing but its own slots and the
 * page asked for is written, and nothing outside the batch is read.
 */
#include "config.h"

#include "xhad/repl/codec.h"
#include "xhad/repl/codec_sum.h"
#include "xhad/move/bytes.h"

#include <lz4.h>
#include <stdlib.h>
#include <string.h>

struct xha_decoder {
    struct xha_slots *slots;
    const uint8_t *ops;
    const uint8_t *delta; /* [delta, delta_end) is still to come */
    const uint8_t *delta_end;
    const uint8_t *block; /* [block, batch_end): the blocks that are not yet unpacked */
    const uint8_t *batch_end;
    unsigned n_pages, at, n_literals, literals_had;
    uint64_t sum, want_sum;
    uint8_t literal[XHA_LITERAL_PAGES * XHA_PAGE_BYTES]; /* the block that is at hand */
};

struct xha_decoder *xha_decoder_new(struct xha_slots *slots)
{
    struct xha_decoder *d = malloc(sizeof(*d));

    if (!d)
        return NULL;
    d->slots = slots;
    d->n_pages = d->at = d->n_literals = d->literals_had = 0;
    d->sum = 0;
    return d;
}

void xha_decoder_free(struct xha_decoder *decoder)
{
    free(decoder);
}

static enum xha_page_kind kind_at(const struct xha_decoder *d, unsigned i)
{
    return (enum xha_page_kind)(xha_get32(d->ops + 4 * (size_t)i) & 3);
}

int xha_decoder_open(struct xha_decoder *decoder, const uint8_t *batch, size_t len, unsigned *pages_r,
                     unsigned *filled_r)
{
    unsigned n[XHA_PAGE_KIND_N_] = { 0 };
    size_t delta_len;

    if (len < XHA_BATCH_HEADER)
        return -1;
    decoder->n_pages = xha_get16(batch);
    decoder->n_literals = xha_get16(batch + 2);
    delta_len = xha_get32(batch + 4);
    decoder->want_sum = xha_get64(batch + 8);
    decoder->at = decoder->literals_had = 0;
    decoder->ops = batch + XHA_BATCH_HEADER;
    if (decoder->n_pages > XHA_BATCH_PAGES || len - XHA_BATCH_HEADER < 4 * (size_t)decoder->n_pages ||
        delta_len > len - XHA_BATCH_HEADER - 4 * (size_t)decoder->n_pages)
        return -1;
    decoder->delta = decoder->ops + 4 * (size_t)decoder->n_pages;
    decoder->delta_end = decoder->block = decoder->delta + delta_len;
    decoder->batch_end = batch + len;
    for (unsigned i = 0; i < decoder->n_pages; i++)
        n[kind_at(decoder, i)]++;
    if (n[XHA_PAGE_LITERAL] != decoder->n_literals)
        return -1;
    *pages_r = decoder->n_pages;
    *filled_r = decoder->n_pages - n[XHA_PAGE_ZERO];
    return 0;
}

/* Unpacks the next block of literal pages. */
static int next_block(struct xha_decoder *d)
{
    const unsigned left = d->n_literals - d->literals_had;
    const size_t raw = (size_t)(left < XHA_LITERAL_PAGES ? left : XHA_LITERAL_PAGES) * XHA_PAGE_BYTES;
    const size_t there = (size_t)(d->batch_end - d->block);
    size_t packed;

    if (there < 4)
        return -1;
    packed = xha_get32(d->block);
    if (packed > raw || packed > there - 4)
        return -1;
    if (packed == raw)
        memcpy(d->literal, d->block + 4, raw);
    else if (LZ4_decompress_safe((const char *)d->block + 4, (char *)d->literal, (int)packed, (int)raw) !=
             (int)raw)
        return -1;
    d->block += 4 + packed;
    return 0;
}

static int put_literal(struct xha_decoder *d, uint8_t *copy, uint8_t *out)
{
    const unsigned at = d->literals_had % XHA_LITERAL_PAGES;

    if (at == 0 && next_block(d) < 0)
        return -1;
    d->literals_had++;
    memcpy(out, d->literal + (size_t)at * XHA_PAGE_BYTES, XHA_PAGE_BYTES);
    if (copy)
        memcpy(copy, out, XHA_PAGE_BYTES);
    return 0;
}

static int put_delta(struct xha_decoder *d, uint8_t *copy, uint8_t *out)
{
    const size_t took = copy ? xha_delta_apply(d->delta, (size_t)(d->delta_end - d->delta), copy) : 0;

    if (took == 0)
        return -1;
    d->delta += took;
    memcpy(out, copy, XHA_PAGE_BYTES);
    return 0;
}

/* Writes the page to out, or nothing when it is zeros. */
static int put(struct xha_decoder *d, enum xha_page_kind kind, uint8_t *copy, uint8_t *out)
{
    switch (kind) {
    case XHA_PAGE_ZERO:
        if (copy)
            memset(copy, 0, XHA_PAGE_BYTES);
        return 0;
    case XHA_PAGE_SAME:
        if (!copy)
            return -1;
        memcpy(out, copy, XHA_PAGE_BYTES);
        return 0;
    case XHA_PAGE_DELTA:
        return put_delta(d, copy, out);
    case XHA_PAGE_LITERAL:
        return put_literal(d, copy, out);
    case XHA_PAGE_KIND_N_:
        break;
    }
    return -1;
}

int xha_decoder_page(struct xha_decoder *decoder, uint8_t *out)
{
    const uint32_t slot = xha_get32(decoder->ops + 4 * (size_t)decoder->at) >> 2;
    const enum xha_page_kind kind = kind_at(decoder, decoder->at++);
    uint8_t *copy = slot > 0 ? xha_slots_page(decoder->slots, slot - 1) : NULL;

    if ((slot > 0 && !copy) || put(decoder, kind, copy, out) < 0)
        return -1;
    decoder->sum =
        kind == XHA_PAGE_ZERO ? xha_sum_zero(decoder->sum) : xha_sum(out, XHA_PAGE_BYTES, decoder->sum);
    return kind != XHA_PAGE_ZERO;
}

void xha_decoder_also(struct xha_decoder *decoder, const uint8_t *bytes, size_t len)
{
    if (len > 0)
        decoder->sum = xha_sum(bytes, len, decoder->sum);
}

uint64_t xha_decoder_sum(const struct xha_decoder *decoder)
{
    return decoder->sum;
}

int xha_decoder_close(struct xha_decoder *decoder)
{
    return decoder->at == decoder->n_pages && decoder->delta == decoder->delta_end &&
                   decoder->block == decoder->batch_end && decoder->sum == decoder->want_sum
               ? 0
               : -1;
}

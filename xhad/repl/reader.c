/*
 * reader.c - see reader.h.
 */
#include "xhad/repl/reader.h"
#include "xhad/move/bytes.h"
#include "xhad/move/chunk.h"
#include "xhad/move/stream.h"

#include <stdio.h>

enum state {
    XL_HEADER, /* 16 bytes, once */
    XL_RECORD, /* 8 bytes, then its body */
    XC_HEADER, /* 24 + 16 bytes, once */
    XC_RECORD,
    PAGE_HEADER,
    PFNS, /* 8 bytes each */
    PAGES,
    XL_BODY, /* of no interest */
    XC_BODY,
};

static void enter(struct xha_reader *r, enum state state, uint64_t bytes)
{
    r->state = state;
    r->left = bytes;
    r->head_have = 0;
}

void xha_reader_init(struct xha_reader *reader)
{
    memset(reader, 0, sizeof(*reader));
    enter(reader, XL_HEADER, 16);
}

/* In network order, as all headers are. */
static uint32_t big32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t padded(uint32_t len)
{
    return ((uint64_t)len + 7) & ~7ULL;
}

/* ---- what a head says; each NULL, or why the stream cannot be followed ---- */

static const char *after_xl_header(struct xha_reader *r)
{
    if (big32(r->head) != XL_IDENT >> 32 || big32(r->head + 4) != (uint32_t)XL_IDENT)
        return "it does not begin as libxl's streams do";
    /* no options: what follows is little-endian */
    if (big32(r->head + 8) != XL_VERSION || big32(r->head + 12) != 0)
        return "it is of another version, or in another byte order";
    enter(r, XL_RECORD, 8);
    return NULL;
}

static const char *after_xl_record(struct xha_reader *r, bool *ends_epoch_r)
{
    const uint32_t type = xha_get32(r->head), len = xha_get32(r->head + 4);

    if (len > XC_REC_MAX)
        return "a record of libxl's is too long";
    if (type == XL_REC_END)
        return "it ends, where a checkpoint should be";
    if (type == XL_REC_LIBXC_CONTEXT) {
        if (len != 0 || r->in_libxc)
            return "libxc's part begins twice, or oddly";
        enter(r, XC_HEADER, 40);
    } else if (type == XL_REC_CHECKPOINT_END) {
        if (len != 0 || !r->in_libxc)
            return "a checkpoint ends that did not begin";
        *ends_epoch_r = true;
        enter(r, XC_RECORD, 8);
    } else {
        enter(r, XL_BODY, padded(len));
    }
    return NULL;
}

static const char *after_xc_header(struct xha_reader *r)
{
    const uint32_t version = big32(r->head + 12);

    if (xha_get64(r->head) != XC_MARKER || big32(r->head + 8) != XC_ID)
        return "libxc's part does not begin as it should";
    if (version < XC_VERSION_FIRST || version > XC_VERSION_LAST || (r->head[17] & 1))
        return "libxc's part is of another version, or in another byte order";
    r->in_libxc = true;
    enter(r, XC_RECORD, 8);
    return NULL;
}

static const char *after_xc_record(struct xha_reader *r)
{
    const uint32_t type = xha_get32(r->head), len = xha_get32(r->head + 4);

    if (len > XC_REC_MAX)
        return "a record of libxc's is too long";
    if (type == XC_REC_END)
        return "it ends, where a checkpoint should be";
    if (type == XC_REC_CHECKPOINT && len != 0)
        return "a checkpoint has a body";
    r->record_len = len;
    if (type == XC_REC_CHECKPOINT)
        enter(r, XL_RECORD, 8);
    else if (type == XC_REC_PAGE_DATA)
        enter(r, PAGE_HEADER, 8);
    else
        enter(r, XC_BODY, padded(len));
    return NULL;
}

static const char *after_page_header(struct xha_reader *r)
{
    const uint32_t count = xha_get32(r->head);

    if (count == 0 || count > XHA_READER_PFNS || r->record_len < 8 + 8 * count)
        return "a record of pages has an odd number of them";
    r->n_pfns = r->n_pages = 0;
    enter(r, PFNS, 8 * (uint64_t)count);
    return NULL;
}

static const char *after_pfns(struct xha_reader *r)
{
    if (r->record_len != 8 + 8 * r->n_pfns + XHA_PAGE_BYTES * r->n_pages)
        return "a record of pages is not as long as they are";
    r->at_page = r->at = 0;
    enter(r, PAGES, (uint64_t)XHA_PAGE_BYTES * r->n_pages);
    return NULL;
}

static const char *next_state(struct xha_reader *r, bool *ends_epoch_r)
{
    switch ((enum state)r->state) {
    case XL_HEADER:
        return after_xl_header(r);
    case XL_RECORD:
        return after_xl_record(r, ends_epoch_r);
    case XC_HEADER:
        return after_xc_header(r);
    case XC_RECORD:
        return after_xc_record(r);
    case PAGE_HEADER:
        return after_page_header(r);
    case PFNS:
        return after_pfns(r);
    case XL_BODY:
        enter(r, XL_RECORD, 8);
        return NULL;
    case PAGES:
    case XC_BODY:
        enter(r, XC_RECORD, 8);
        return NULL;
    }
    return "it cannot be";
}

/* ---- stretches ---- */

static size_t min(uint64_t a, size_t b)
{
    return a < b ? (size_t)a : b;
}

static void note_pfn(struct xha_reader *r)
{
    const uint64_t pfn = xha_get64(r->head);

    r->n_pfns++;
    r->head_have = 0;
    if (pfn >> 60 < XC_TYPE_EMPTY)
        r->pfns[r->n_pages++] = pfn & XC_PFN_MASK;
}

/* How many of the bytes belong together; they are taken in where they say something. */
static size_t take(struct xha_reader *r, const uint8_t *bytes, size_t len)
{
    size_t n = min(r->left, len);

    if (r->state == XL_BODY || r->state == XC_BODY)
        return n;
    n = min(r->state == PFNS ? 8 - r->head_have : n, n);
    memcpy(r->head + r->head_have, bytes, n);
    r->head_have += n;
    if (r->state == PFNS && r->head_have == 8)
        note_pfn(r);
    return n;
}

static void take_page(struct xha_reader *r, size_t len, struct xha_stretch *span)
{
    span->is_page = true;
    span->pfn = r->pfns[r->at_page];
    span->at = r->at;
    span->len = min(XHA_PAGE_BYTES - r->at, len);
    r->at += (uint32_t)span->len;
    if (r->at == XHA_PAGE_BYTES) {
        r->at = 0;
        r->at_page++;
    }
    r->left -= span->len;
}

int xha_reader_next(struct xha_reader *reader, const uint8_t *bytes, size_t len, struct xha_stretch *span_r,
                    char *err, size_t err_len)
{
    *span_r = (struct xha_stretch){ 0 };
    if (reader->state == PAGES)
        take_page(reader, len, span_r);
    while (reader->state != PAGES && span_r->len < len && !span_r->ends_epoch && !span_r->is_page) {
        const size_t n = take(reader, bytes + span_r->len, len - span_r->len);

        span_r->len += n;
        reader->left -= n;
        while (reader->left == 0 && reader->state != PAGES) {
            const char *why = next_state(reader, &span_r->ends_epoch);

            if (why) {
                snprintf(err, err_len, "the stream of the domain cannot be followed: %s", why);
                return -1;
            }
        }
    }
    if (reader->state == PAGES && reader->left == 0)
        next_state(reader, &span_r->ends_epoch);
    return 0;
}

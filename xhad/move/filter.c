/*
 * filter.c - see filter.h.
 */
#include "xhad/move/filter.h"
#include "xhad/move/stream.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_RAW (8u << 20) /* raw bytes that a chunk stands for, about: for the receiver's sake */

enum state {
    XL_HEADER, /* 16 bytes, once */
    XL_RECORD, /* 8 bytes, then its body */
    XC_HEADER, /* 24 + 16 bytes, once */
    XC_RECORD,
    PAGE_HEADER, /* of a PAGE_DATA record, and its first pfn */
    PFNS,        /* the other pfns */
    PAGES,
    XL_BODY, /* of no interest */
    XC_BODY,
    BLIND, /* whatever it is */
};

struct xha_filter {
    struct xha_packer *packer;
    enum xha_filter_kind kind;
    enum state state;
    uint64_t left; /* bytes of this state */
    uint8_t head[40];
    size_t head_have;
    uint32_t record_len, pages_len, padding;
    bool in_libxc; /* libxc's context has been opened */
    uint64_t first_pfn;

    uint8_t literal[XHA_CHUNK_LITERAL_MAX];
    size_t literal_len;
    size_t page_have; /* bytes of a page at the end of literal */
    size_t run_end;   /* literal bytes before the last run */
    size_t raw_len;
    struct xha_zero_run runs[XHA_CHUNK_RUNS_MAX];
    size_t n_runs;
    struct xha_filter_seen seen;
};

static void enter(struct xha_filter *f, enum state state, uint64_t bytes)
{
    f->state = state;
    f->left = bytes;
    f->head_have = 0;
}

static void go_blind(struct xha_filter *f)
{
    f->seen.understood = false;
    enter(f, BLIND, UINT64_MAX);
}

struct xha_filter *xha_filter_new(enum xha_filter_kind kind, struct xha_packer *packer)
{
    struct xha_filter *f = calloc(1, sizeof(*f));

    if (!f)
        return NULL;
    f->packer = packer;
    f->kind = kind;
    f->seen.understood = true;
    if (kind == XHA_FILTER_PAGES)
        enter(f, PAGES, UINT64_MAX);
    else
        enter(f, XL_HEADER, 16);
    return f;
}

void xha_filter_free(struct xha_filter *filter)
{
    free(filter);
}

const struct xha_filter_seen *xha_filter_seen(const struct xha_filter *filter)
{
    return &filter->seen;
}

/* ---- reading along ---- */

static uint32_t word(const struct xha_filter *f, size_t at)
{
    uint32_t v;

    memcpy(&v, f->head + at, sizeof(v));
    return le32toh(v);
}

static uint64_t longword(const struct xha_filter *f, size_t at)
{
    uint64_t v;

    memcpy(&v, f->head + at, sizeof(v));
    return le64toh(v);
}

static void after_xl_header(struct xha_filter *f)
{
    /* in network order, all of it; the options say that what follows is little-endian */
    if (be64toh(longword(f, 0)) == XL_IDENT && be32toh(word(f, 8)) == XL_VERSION &&
        be32toh(word(f, 12)) == XL_OPTIONS_PLAIN)
        enter(f, XL_RECORD, 8);
    else
        go_blind(f);
}

static uint64_t padded(uint32_t len)
{
    return ((uint64_t)len + 7) & ~7ULL;
}

static void after_xl_record(struct xha_filter *f)
{
    const uint32_t type = word(f, 0), len = word(f, 4);

    if (len > XC_REC_MAX || type == XL_REC_END)
        go_blind(f); /* after the end there is nothing to understand */
    else if (type == XL_REC_LIBXC_CONTEXT && len == 0)
        enter(f, XC_HEADER, 40);
    else if (type == XL_REC_CHECKPOINT_END && len == 0 && f->in_libxc)
        enter(f, XC_RECORD, 8);
    else
        enter(f, XL_BODY, padded(len));
    if (type == XL_REC_END && len == 0)
        f->seen.understood = true;
}

static void after_xc_header(struct xha_filter *f)
{
    const uint32_t version = be32toh(word(f, 12));

    f->in_libxc = true;
    if (longword(f, 0) == XC_MARKER && be32toh(word(f, 8)) == XC_ID && version >= XC_VERSION_FIRST &&
        version <= XC_VERSION_LAST && (be32toh(word(f, 16)) >> 16 & 1) == 0)
        enter(f, XC_RECORD, 8);
    else
        go_blind(f);
}

static void after_xc_record(struct xha_filter *f)
{
    const uint32_t type = word(f, 0), len = word(f, 4);

    f->record_len = len;
    if (len > XC_REC_MAX)
        go_blind(f);
    else if (type == XC_REC_PAGE_DATA && len >= 16)
        enter(f, PAGE_HEADER, 16);
    else if (type == XC_REC_END || type == XC_REC_CHECKPOINT)
        enter(f, len == 0 ? XL_RECORD : BLIND, len == 0 ? 8 : UINT64_MAX);
    else
        enter(f, XC_BODY, padded(len));
}

/* count, and the first of so many pfns; then as many pages, less those of which there is nothing to send */
static void after_page_header(struct xha_filter *f)
{
    const uint64_t count = word(f, 0), first = longword(f, 8) & 0x000fffffffffffffULL;
    const uint64_t pfns = 8 * count;

    f->padding = (uint32_t)(padded(f->record_len) - f->record_len);
    if (count == 0 || 8 + pfns > f->record_len || (f->record_len - 8 - pfns) % XHA_PAGE_BYTES != 0) {
        enter(f, XC_BODY, padded(f->record_len) - 16);
        return;
    }
    f->pages_len = (uint32_t)(f->record_len - 8 - pfns);
    if (f->seen.round == 0 || first <= f->first_pfn) { /* a round goes up through memory */
        f->seen.round++;
        f->seen.round_pages = 0;
    }
    f->first_pfn = first;
    enter(f, PFNS, pfns - 8);
}

static void next_state(struct xha_filter *f)
{
    switch (f->state) {
    case XL_HEADER:
        after_xl_header(f);
        break;
    case XL_RECORD:
        after_xl_record(f);
        break;
    case XC_HEADER:
        after_xc_header(f);
        break;
    case XC_RECORD:
        after_xc_record(f);
        break;
    case PAGE_HEADER:
        after_page_header(f);
        break;
    case PFNS:
        enter(f, PAGES, f->pages_len);
        break;
    case PAGES:
        enter(f, XC_BODY, f->padding);
        break;
    case XL_BODY:
        enter(f, XL_RECORD, 8);
        break;
    case XC_BODY:
        enter(f, XC_RECORD, 8);
        break;
    case BLIND:
        f->left = UINT64_MAX;
        break;
    }
}

/* ---- collecting ---- */

static bool is_zero(const uint8_t *page)
{
    uint64_t any = 0;

    for (size_t i = 0; i < XHA_PAGE_BYTES; i += 64) {
        uint64_t w[8];

        memcpy(w, page + i, sizeof(w));
        any = w[0] | w[1] | w[2] | w[3] | w[4] | w[5] | w[6] | w[7];
        if (any)
            return false;
    }
    return true;
}

/* A whole page stands at the end of literal. */
static void end_page(struct xha_filter *f)
{
    f->page_have = 0;
    f->seen.pages++;
    f->seen.round_pages++;
    if (!is_zero(f->literal + f->literal_len - XHA_PAGE_BYTES))
        return;
    f->literal_len -= XHA_PAGE_BYTES;
    f->seen.zero_pages++;
    if (f->n_runs == 0 || f->run_end != f->literal_len) {
        f->runs[f->n_runs].gap = (uint32_t)(f->literal_len - f->run_end);
        f->runs[f->n_runs++].pages = 0;
        f->run_end = f->literal_len;
    }
    f->runs[f->n_runs - 1].pages++;
}

bool xha_filter_is_full(const struct xha_filter *filter)
{
    return filter->literal_len == XHA_CHUNK_LITERAL_MAX || filter->raw_len >= CHUNK_RAW ||
           filter->n_runs == XHA_CHUNK_RUNS_MAX;
}

static size_t min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Of the bytes at hand, those that belong together. */
static size_t stretch(const struct xha_filter *f, size_t len)
{
    size_t n = min(len, XHA_CHUNK_LITERAL_MAX - f->literal_len);

    if (f->left < n)
        n = (size_t)f->left;
    return f->state == PAGES ? min(n, XHA_PAGE_BYTES - f->page_have) : n;
}

size_t xha_filter_feed(struct xha_filter *f, const uint8_t *bytes, size_t len)
{
    size_t took = 0;

    while (took < len && !xha_filter_is_full(f)) {
        const size_t n = stretch(f, len - took), room = sizeof(f->head) - f->head_have;

        memcpy(f->literal + f->literal_len, bytes + took, n);
        if (f->state < PFNS) {
            memcpy(f->head + f->head_have, bytes + took, min(n, room));
            f->head_have += min(n, room);
        }
        f->literal_len += n;
        f->raw_len += n;
        took += n;
        f->left -= n;
        if (f->state == PAGES && (f->page_have += n) == XHA_PAGE_BYTES)
            end_page(f);
        while (f->left == 0)
            next_state(f);
    }
    f->seen.bytes += took;
    return took;
}

size_t xha_filter_take(struct xha_filter *f, bool all, uint8_t *out)
{
    const size_t behind = all ? 0 : f->page_have;
    size_t len;

    if (f->raw_len == behind)
        return 0;
    f->literal_len -= behind;
    len = xha_chunk_pack(f->packer, f->literal, f->literal_len, f->runs, f->n_runs, out);
    memmove(f->literal, f->literal + f->literal_len, behind);
    f->literal_len = f->raw_len = behind;
    if (all)
        f->page_have = 0;
    f->run_end = 0;
    f->n_runs = 0;
    return len;
}

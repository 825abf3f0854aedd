/*
 * store.c - see store.h.
 */
#include "xhad/repl/store.h"
#include "xhad/move/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* So many bytes, and then so many pages of zeros. */
struct held_run {
    uint32_t bytes, zero_pages;
};

/* A piece, unpacked but for its zeros. */
struct held {
    struct held *next;
    size_t memory;
    size_t at_byte; /* what is handed on next */
    uint32_t at_run, n_runs;
    uint64_t run_had;       /* bytes of that run, zeros too, that were handed on */
    uint8_t *bytes;         /* behind the runs */
    struct held_run runs[]; /* as many as there are pages of zeros, and one */
};

struct queue {
    struct held *first, **end;
    uint64_t stream; /* bytes of the stream that it holds */
};

struct xha_store {
    struct xha_slots *slots;
    struct xha_decoder *decoder;
    struct xha_window_in *window;
    struct xha_store_limits limits;
    struct queue coming, whole;
    struct xha_epoch_end now; /* the epoch that is coming, so far */
    bool closed;
    uint64_t held_bytes, bytes_most;
};

static const uint8_t zeros[16 * XHA_PAGE_BYTES];

/* ---- queues ---- */

static void queue_init(struct queue *q)
{
    q->first = NULL;
    q->end = &q->first;
    q->stream = 0;
}

/* All of from to the end of to. */
static void queue_move(struct queue *to, struct queue *from)
{
    if (!from->first)
        return;
    *to->end = from->first;
    to->end = from->end;
    to->stream += from->stream;
    queue_init(from);
}

static void drop_first(struct xha_store *s, struct queue *q)
{
    struct held *h = q->first;

    q->first = h->next;
    if (!q->first)
        q->end = &q->first;
    s->held_bytes -= h->memory;
    free(h);
}

struct xha_store *xha_store_new(const struct xha_store_limits *limits)
{
    struct xha_store *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->limits = *limits;
    queue_init(&s->coming);
    queue_init(&s->whole);
    s->now.epoch = 1;
    s->slots = xha_slots_new(limits->slots);
    s->decoder = s->slots ? xha_decoder_new(s->slots) : NULL;
    s->window = xha_window_in_new();
    if (!s->decoder || !s->window) {
        xha_store_free(s);
        return NULL;
    }
    return s;
}

void xha_store_free(struct xha_store *store)
{
    if (!store)
        return;
    while (store->coming.first)
        drop_first(store, &store->coming);
    while (store->whole.first)
        drop_first(store, &store->whole);
    xha_window_in_free(store->window);
    xha_decoder_free(store->decoder);
    xha_slots_free(store->slots);
    free(store);
}

/* ---- a piece ---- */

struct piece {
    uint32_t n_runs, text_len, packed_len;
    const uint8_t *runs, *packed, *batch;
    size_t batch_len;
    uint32_t pages; /* in the runs */
};

/* 0, or -1: the numbers do not fit each other. */
static int piece_get(const uint8_t *bytes, size_t len, struct piece *p)
{
    uint64_t text = 0, pages = 0;

    if (len < XHA_PIECE_HEADER)
        return -1;
    p->n_runs = xha_get32(bytes + 12);
    p->text_len = xha_get32(bytes + 16);
    p->packed_len = xha_get32(bytes + 20);
    if (p->n_runs > XHA_PIECE_RUNS_MAX || p->text_len > XHA_WINDOW_TEXT_MAX || p->packed_len > p->text_len ||
        len - XHA_PIECE_HEADER < 8 * (size_t)p->n_runs + p->packed_len)
        return -1;
    p->runs = bytes + XHA_PIECE_HEADER;
    p->packed = p->runs + 8 * (size_t)p->n_runs;
    p->batch = p->packed + p->packed_len;
    p->batch_len = (size_t)(bytes + len - p->batch);
    for (uint32_t i = 0; i < p->n_runs; i++) {
        text += xha_get32(p->runs + 8 * (size_t)i);
        pages += xha_get32(p->runs + 8 * (size_t)i + 4);
    }
    if (text > p->text_len || pages > XHA_BATCH_PAGES || p->text_len + pages == 0)
        return -1;
    p->pages = (uint32_t)pages;
    return 0;
}

static struct held *held_new(size_t n_bytes, uint32_t zero_pages)
{
    const size_t runs = ((size_t)zero_pages + 1) * sizeof(struct held_run);
    struct held *h = malloc(sizeof(*h) + runs + n_bytes);

    if (!h)
        return NULL;
    *h = (struct held){ .memory = sizeof(*h) + runs + n_bytes, .n_runs = 1 };
    h->runs[0] = (struct held_run){ 0 };
    h->bytes = (uint8_t *)h->runs + runs;
    return h;
}

static void hold_bytes(struct held *h, size_t len)
{
    if (len == 0)
        return;
    if (h->runs[h->n_runs - 1].zero_pages > 0)
        h->runs[h->n_runs++] = (struct held_run){ 0 };
    h->runs[h->n_runs - 1].bytes += (uint32_t)len;
}

/* Fills a piece that was opened; 0 with the bytes of the stream that it stands for, or -1: damaged. */
static int fill(struct xha_store *s, const struct piece *p, const uint8_t *text, struct held *h,
                uint64_t *stream_r)
{
    const uint8_t *text_end = text + p->text_len, *text_at = text;
    uint8_t *to = h->bytes;

    for (uint32_t i = 0; i < p->n_runs; i++) {
        const uint32_t len = xha_get32(p->runs + 8 * (size_t)i);

        memcpy(to, text_at, len);
        hold_bytes(h, len);
        to += len;
        text_at += len;
        for (uint32_t pages = xha_get32(p->runs + 8 * (size_t)i + 4); pages > 0; pages--) {
            const int r = xha_decoder_page(s->decoder, to);

            if (r < 0)
                return -1;
            if (r == 0) {
                h->runs[h->n_runs - 1].zero_pages++;
            } else {
                hold_bytes(h, XHA_PAGE_BYTES);
                to += XHA_PAGE_BYTES;
            }
        }
    }
    memcpy(to, text_at, (size_t)(text_end - text_at));
    hold_bytes(h, (size_t)(text_end - text_at));
    xha_decoder_also(s->decoder, p->runs, 8 * (size_t)p->n_runs);
    xha_decoder_also(s->decoder, text, p->text_len);
    *stream_r = p->text_len + (uint64_t)p->pages * XHA_PAGE_BYTES;
    return xha_decoder_close(s->decoder);
}

static int damaged(struct xha_store *s, char *err, size_t err_len)
{
    snprintf(err, err_len, "the sender's epoch %" PRIu64 " is damaged in its piece %" PRIu32, s->now.epoch,
             s->now.pieces);
    return -1;
}

static int too_large(const struct xha_store *s, char *err, size_t err_len)
{
    snprintf(err, err_len,
             "epoch %" PRIu64 " needs more than the %" PRIu64 " MiB that the backup may hold: "
             "allow it more memory, or make the interval shorter",
             s->now.epoch, s->limits.held_bytes >> 20);
    return -1;
}

/* Room for the piece, and the piece with it; NULL with a text. */
static struct held *make_held(struct xha_store *s, const struct piece *p, unsigned filled, char *err,
                              size_t err_len)
{
    struct held *h = held_new(p->text_len + (size_t)filled * XHA_PAGE_BYTES, p->pages - filled);

    if (!h) {
        snprintf(err, err_len, "out of memory for epoch %" PRIu64, s->now.epoch);
        return NULL;
    }
    if (h->memory > s->limits.held_bytes - s->held_bytes) {
        too_large(s, err, err_len);
        free(h);
        return NULL;
    }
    return h;
}

static void add(struct xha_store *s, struct held *h, const struct piece *p, uint64_t stream)
{
    struct queue *q = &s->coming;

    *q->end = h;
    q->end = &h->next;
    q->stream += stream;
    s->now.raw_bytes += stream;
    s->now.pages += p->pages;
    s->now.pieces++;
    s->held_bytes += h->memory;
    if (s->held_bytes + xha_slots_bytes(s->slots) > s->bytes_most)
        s->bytes_most = s->held_bytes + xha_slots_bytes(s->slots);
    if (s->now.epoch == 1)
        queue_move(&s->whole, q);
}

static int take_piece(struct xha_store *s, const uint8_t *bytes, size_t len, char *err, size_t err_len)
{
    unsigned pages, filled;
    struct piece p;
    const uint8_t *text;
    struct held *h;
    uint64_t stream;

    if (piece_get(bytes, len, &p) < 0 || xha_get64(bytes) != s->now.epoch ||
        xha_get32(bytes + 8) != s->now.pieces || s->now.pieces == UINT32_MAX)
        return damaged(s, err, err_len);
    text = xha_window_unpack(s->window, p.packed, p.packed_len, p.text_len);
    if (!text || xha_decoder_open(s->decoder, p.batch, p.batch_len, &pages, &filled) < 0 || pages != p.pages)
        return damaged(s, err, err_len);
    h = make_held(s, &p, filled, err, err_len);
    if (!h)
        return -1;
    if (fill(s, &p, text, h, &stream) < 0) {
        free(h);
        return damaged(s, err, err_len);
    }
    add(s, h, &p, stream);
    return 0;
}

/* ---- frames ---- */

static int is_open(const struct xha_store *s, char *err, size_t err_len)
{
    if (s->closed)
        snprintf(err, err_len, "the backup takes no more of this domain: the last epoch is %" PRIu64,
                 s->now.epoch - 1);
    return s->closed ? -1 : 0;
}

int xha_store_piece(struct xha_store *store, const uint8_t *bytes, size_t len, char *err, size_t err_len)
{
    if (is_open(store, err, err_len) < 0)
        return -1;
    if (take_piece(store, bytes, len, err, err_len) < 0) {
        xha_store_close(store);
        return -1;
    }
    return 0;
}

int xha_store_end(struct xha_store *store, const uint8_t *bytes, size_t len, uint64_t *epoch_r, char *err,
                  size_t err_len)
{
    struct xha_epoch_end end;

    if (is_open(store, err, err_len) < 0)
        return -1;
    store->now.sum = xha_decoder_sum(store->decoder);
    if (xha_epoch_end_get(bytes, len, &end) < 0 || end.epoch != store->now.epoch ||
        end.pieces != store->now.pieces || end.raw_bytes != store->now.raw_bytes ||
        end.pages != store->now.pages || end.sum != store->now.sum || end.raw_bytes == 0) {
        snprintf(err, err_len, "what arrived of epoch %" PRIu64 " is not what was sent", store->now.epoch);
        xha_store_close(store);
        return -1;
    }
    queue_move(&store->whole, &store->coming);
    *epoch_r = store->now.epoch;
    store->now = (struct xha_epoch_end){ .epoch = end.epoch + 1 };
    return 0;
}

void xha_store_close(struct xha_store *store)
{
    while (store->coming.first)
        drop_first(store, &store->coming);
    store->coming.stream = 0;
    store->closed = true;
}

bool xha_store_has_room(const struct xha_store *store)
{
    return !store->whole.first || store->held_bytes < store->limits.held_bytes / 2;
}

/* ---- handing on ---- */

static uint64_t run_stream(const struct held_run *run)
{
    return run->bytes + (uint64_t)run->zero_pages * XHA_PAGE_BYTES;
}

size_t xha_store_next(const struct xha_store *store, const uint8_t **bytes_r)
{
    const struct held *h = store->whole.first;
    const struct held_run *run;
    uint64_t left;

    if (!h)
        return 0;
    run = h->runs + h->at_run;
    if (h->run_had < run->bytes) {
        *bytes_r = h->bytes + h->at_byte;
        return run->bytes - (size_t)h->run_had;
    }
    left = run_stream(run) - h->run_had;
    *bytes_r = zeros;
    return left < sizeof(zeros) ? (size_t)left : sizeof(zeros);
}

void xha_store_took(struct xha_store *store, size_t len)
{
    struct held *h = store->whole.first;
    const struct held_run *run = h->runs + h->at_run;

    if (h->run_had < run->bytes)
        h->at_byte += len;
    h->run_had += len;
    store->whole.stream -= len;
    if (h->run_had < run_stream(run))
        return;
    h->run_had = 0;
    if (++h->at_run == h->n_runs)
        drop_first(store, &store->whole);
}

struct xha_store_stats xha_store_stats(const struct xha_store *store)
{
    return (struct xha_store_stats){
        .epoch = store->now.epoch - 1,
        .bytes = store->held_bytes + xha_slots_bytes(store->slots),
        .bytes_most = store->bytes_most,
        .slot_bytes = xha_slots_bytes(store->slots),
        .waiting = store->whole.stream,
    };
}

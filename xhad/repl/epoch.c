/*
 * epoch.c - see epoch.h.
 */
#include "xhad/repl/epoch.h"
#include "xhad/move/bytes.h"

#include <stdlib.h>
#include <string.h>

#define STRETCH (16u << 10) /* bytes of the stream looked at in one go */

struct xha_epoch_sender {
    struct xha_reader reader;
    struct xha_shadow *shadow;
    struct xha_coder *coder;
    struct xha_window_out *window;
    /* the piece */
    size_t text_len, run_text; /* of the text: all, and what is behind the last run */
    uint8_t runs[8 * XHA_PIECE_RUNS_MAX];
    uint32_t n_runs, run_pages;
    uint8_t page[XHA_PAGE_BYTES]; /* one that comes in parts */
    bool end_due;
    struct xha_epoch_end end; /* the epoch, so far */
    uint64_t sent_bytes;
    struct xha_coder_stats before; /* the epoch */
    struct xha_epoch_seen last;    /* the epoch whose END was taken, while none has begun */
};

struct xha_epoch_sender *xha_epoch_sender_new(uint32_t slots)
{
    struct xha_epoch_sender *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    xha_reader_init(&s->reader);
    s->shadow = xha_shadow_new(slots);
    s->coder = s->shadow ? xha_coder_new(NULL, s->shadow) : NULL;
    s->window = xha_window_out_new();
    if (!s->coder || !s->window) {
        xha_epoch_sender_free(s);
        return NULL;
    }
    s->end.epoch = 1;
    return s;
}

void xha_epoch_sender_free(struct xha_epoch_sender *sender)
{
    if (!sender)
        return;
    xha_window_out_free(sender->window);
    xha_coder_free(sender->coder);
    xha_shadow_free(sender->shadow);
    free(sender);
}

/* ---- in ---- */

static bool is_full(const struct xha_epoch_sender *s)
{
    return xha_coder_pages(s->coder) == XHA_BATCH_PAGES || s->text_len > XHA_WINDOW_TEXT_MAX - STRETCH;
}

static void close_run(struct xha_epoch_sender *s)
{
    if (s->run_pages == 0)
        return;
    xha_put32(s->runs + 8 * (size_t)s->n_runs, (uint32_t)s->run_text);
    xha_put32(s->runs + 8 * (size_t)s->n_runs++ + 4, s->run_pages);
    s->run_text = 0;
    s->run_pages = 0;
}

static void add_text(struct xha_epoch_sender *s, const uint8_t *bytes, size_t len)
{
    close_run(s);
    memcpy(xha_window_text(s->window) + s->text_len, bytes, len);
    s->text_len += len;
    s->run_text += len;
}

static void add_page(struct xha_epoch_sender *s, const struct xha_stretch *span, const uint8_t *bytes)
{
    const uint8_t *page = bytes;

    if (span->len < XHA_PAGE_BYTES) {
        memcpy(s->page + span->at, bytes, span->len);
        if (span->at + span->len < XHA_PAGE_BYTES)
            return;
        page = s->page;
    }
    xha_coder_page(s->coder, span->pfn, page, s->end.epoch > 1);
    s->run_pages++;
    s->end.pages++;
}

int64_t xha_epoch_feed(struct xha_epoch_sender *sender, const uint8_t *bytes, size_t len, char *err,
                       size_t err_len)
{
    size_t took = 0;

    while (took < len && !sender->end_due && !is_full(sender)) {
        const size_t n = len - took < STRETCH ? len - took : STRETCH;
        struct xha_stretch span;

        if (xha_reader_next(&sender->reader, bytes + took, n, &span, err, err_len) < 0)
            return -1;
        if (span.is_page)
            add_page(sender, &span, bytes + took);
        else
            add_text(sender, bytes + took, span.len);
        took += span.len;
        sender->end.raw_bytes += span.len;
        sender->end_due = span.ends_epoch;
    }
    return (int64_t)took;
}

/* ---- out ---- */

static size_t take_piece(struct xha_epoch_sender *s, uint8_t *out)
{
    uint8_t *p = out + XHA_PIECE_HEADER;
    size_t packed;

    close_run(s);
    xha_coder_also(s->coder, s->runs, 8 * (size_t)s->n_runs);
    xha_coder_also(s->coder, xha_window_text(s->window), s->text_len);
    memcpy(p, s->runs, 8 * (size_t)s->n_runs);
    p += 8 * (size_t)s->n_runs;
    packed = xha_window_pack(s->window, s->text_len, p);
    p += packed;
    p += xha_coder_take(s->coder, p);
    xha_put64(out, s->end.epoch);
    xha_put32(out + 8, s->end.pieces++);
    xha_put32(out + 12, s->n_runs);
    xha_put32(out + 16, (uint32_t)s->text_len);
    xha_put32(out + 20, (uint32_t)packed);
    s->n_runs = 0;
    s->text_len = s->run_text = 0;
    return (size_t)(p - out);
}

static struct xha_epoch_seen seen_now(const struct xha_epoch_sender *s)
{
    struct xha_epoch_seen seen = {
        .epoch = s->end.epoch,
        .raw_bytes = s->end.raw_bytes,
        .sent_bytes = s->sent_bytes,
        .shadow = xha_shadow_stats(s->shadow),
    };

    for (int kind = 0; kind < XHA_PAGE_KIND_N_; kind++)
        seen.pages[kind] = xha_coder_stats(s->coder)->pages[kind] - s->before.pages[kind];
    return seen;
}

static size_t take_end(struct xha_epoch_sender *s, uint8_t *out)
{
    s->end.sum = xha_coder_sum(s->coder);
    xha_epoch_end_put(&s->end, out);
    s->sent_bytes += XHA_END_BYTES;
    s->last = seen_now(s);
    s->end = (struct xha_epoch_end){ .epoch = s->end.epoch + 1 };
    s->end_due = false;
    s->sent_bytes = 0;
    s->before = *xha_coder_stats(s->coder);
    xha_shadow_next_epoch(s->shadow);
    return XHA_END_BYTES;
}

enum xha_epoch_frame xha_epoch_take(struct xha_epoch_sender *sender, bool early, uint8_t *out, size_t *len_r)
{
    const bool something = sender->text_len > 0 || xha_coder_pages(sender->coder) > 0;

    if (something && (early || sender->end_due || is_full(sender))) {
        *len_r = take_piece(sender, out);
        sender->sent_bytes += *len_r;
        return XHA_EPOCH_PIECE;
    }
    if (sender->end_due) {
        *len_r = take_end(sender, out);
        return XHA_EPOCH_END;
    }
    return XHA_EPOCH_NOTHING;
}

struct xha_epoch_seen xha_epoch_seen(const struct xha_epoch_sender *sender)
{
    return sender->end.raw_bytes == 0 && sender->last.epoch > 0 ? sender->last : seen_now(sender);
}

/* ---- END and ACK ---- */

void xha_epoch_end_put(const struct xha_epoch_end *end, uint8_t bytes[XHA_END_BYTES])
{
    xha_put64(bytes, end->epoch);
    xha_put32(bytes + 8, end->pieces);
    xha_put32(bytes + 12, 0);
    xha_put64(bytes + 16, end->raw_bytes);
    xha_put64(bytes + 24, end->pages);
    xha_put64(bytes + 32, end->sum);
}

int xha_epoch_end_get(const uint8_t *bytes, size_t len, struct xha_epoch_end *end_r)
{
    if (len != XHA_END_BYTES || xha_get32(bytes + 12) != 0)
        return -1;
    *end_r = (struct xha_epoch_end){
        .epoch = xha_get64(bytes),
        .pieces = xha_get32(bytes + 8),
        .raw_bytes = xha_get64(bytes + 16),
        .pages = xha_get64(bytes + 24),
        .sum = xha_get64(bytes + 32),
    };
    return 0;
}

void xha_epoch_ack_put(uint64_t epoch, uint8_t bytes[XHA_ACK_BYTES])
{
    xha_put64(bytes, epoch);
}

int xha_epoch_ack_get(const uint8_t *bytes, size_t len, uint64_t *epoch_r)
{
    if (len != XHA_ACK_BYTES)
        return -1;
    *epoch_r = xha_get64(bytes);
    return 0;
}

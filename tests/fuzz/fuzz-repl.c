/*
 * What replication reads. The first byte chooses: a delta, batches or frames one behind the other (u16 length
 * each), terms and the like, pages to be coded, or a stream to be cut into epochs; the last two must come back as
 * they were.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xhad/move/bytes.h"
#include "xhad/repl/store.h"
#include "xhad/repl/terms.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SLOTS 8

static uint8_t page[XHA_PAGE_BYTES];

static void read_delta(const uint8_t *data, size_t size)
{
    uint8_t again[XHA_PAGE_BYTES] = { 0 }, delta[XHA_DELTA_BYTES_MAX];
    size_t took, len;

    memset(page, 0, sizeof(page));
    took = xha_delta_apply(data, size, page);
    if (took > size || took > XHA_DELTA_BYTES_MAX)
        abort();
    if (took == 0)
        return;
    /* every make finds it again, though a word that differs in nothing goes */
    for (const struct xha_page_ops *const *make = xha_page_makes(); *make; make++) {
        memset(again, 0, sizeof(again));
        len = xha_delta_make(*make, page, again, sizeof(delta), delta);
        if (len == 0 || len > took || memcmp(again, page, sizeof(page)) != 0)
            abort();
    }
}

static void read_batches(const uint8_t *data, size_t size)
{
    struct xha_slots *slots = xha_slots_new(SLOTS);
    struct xha_decoder *decoder = xha_decoder_new(slots);
    unsigned pages, filled;

    for (size_t len; size >= 2; data += len, size -= len) {
        len = (size_t)xha_get16(data) % (size - 1);
        data += 2;
        size -= 2;
        if (len > size)
            abort();
        if (xha_decoder_open(decoder, data, len, &pages, &filled) < 0)
            break;
        if (pages > XHA_BATCH_PAGES || filled > pages)
            abort();
        for (unsigned i = 0; i < pages; i++)
            if (xha_decoder_page(decoder, page) < 0)
                goto out;
        if (xha_decoder_close(decoder) < 0)
            break;
    }
out:
    xha_decoder_free(decoder);
    xha_slots_free(slots);
}

/* The page that these bytes stand for: a place, and what is there. */
static void change(uint8_t *to, const uint8_t *data)
{
    const size_t at = xha_get16(data) % XHA_PAGE_BYTES, room = XHA_PAGE_BYTES - at;

    memset(to + at, data[2], data[3] * 16u < room ? data[3] * 16u : room);
}

static void code_pages(const uint8_t *data, size_t size)
{
    static uint8_t guest[16][XHA_PAGE_BYTES], sent[XHA_BATCH_PAGES][XHA_PAGE_BYTES];
    static uint8_t batch[XHA_BATCH_BYTES_MAX];
    struct xha_shadow *shadow = xha_shadow_new(SLOTS);
    struct xha_slots *slots = xha_slots_new(SLOTS);
    struct xha_coder *coder = xha_coder_new(NULL, shadow);
    struct xha_decoder *decoder = xha_decoder_new(slots);

    memset(guest, 0, sizeof(guest));
    while (size >= 5) {
        unsigned n = 0, pages, filled;
        size_t len;

        for (; size >= 5 && n < XHA_BATCH_PAGES && data[4] != 0; data += 5, size -= 5, n++) {
            change(guest[data[4] % 16], data);
            memcpy(sent[n], guest[data[4] % 16], XHA_PAGE_BYTES);
            xha_coder_page(coder, data[4] % 16, sent[n], data[4] & 64);
        }
        data += size >= 5 ? 5 : 0;
        size -= size >= 5 ? 5 : 0;
        len = xha_coder_take(coder, batch);
        if (len > XHA_BATCH_HEADER + n * XHA_PAGE_BYTES * 101 / 100 ||
            xha_decoder_open(decoder, batch, len, &pages, &filled) < 0 || pages != n)
            abort();
        for (unsigned i = 0; i < n; i++) {
            memset(page, 0, sizeof(page));
            if (xha_decoder_page(decoder, page) < 0 || memcmp(page, sent[i], sizeof(page)) != 0)
                abort();
        }
        if (xha_decoder_close(decoder) < 0)
            abort();
        xha_shadow_next_epoch(shadow);
    }
    xha_decoder_free(decoder);
    xha_coder_free(coder);
    xha_slots_free(slots);
    xha_shadow_free(shadow);
}

static struct xha_store *store_new(void)
{
    const struct xha_store_limits limits = { .slots = SLOTS, .held_bytes = 1 << 20 };

    return xha_store_new(&limits);
}

/* Takes off what is whole, and compares where there is something to compare with; how much there was. */
static size_t drain(struct xha_store *store, const uint8_t *want, size_t want_len)
{
    const uint8_t *bytes;
    size_t n, at = 0;

    while ((n = xha_store_next(store, &bytes)) > 0) {
        if (want && (n > want_len - at || memcmp(bytes, want + at, n) != 0))
            abort();
        xha_store_took(store, n);
        at += n;
    }
    if (xha_store_stats(store).waiting != 0)
        abort();
    return at;
}

static void read_frames(const uint8_t *data, size_t size)
{
    struct xha_store *store = store_new();
    char err[160] = "";
    uint64_t epoch;
    int r = 0;

    for (size_t len; size >= 3 && r == 0; data += len, size -= len) {
        const bool end = data[0] & 1, drains = data[0] & 2;

        len = (size_t)xha_get16(data + 1) % (size - 2);
        data += 3;
        size -= 3;
        r = end ? xha_store_end(store, data, len, &epoch, err, sizeof(err))
                : xha_store_piece(store, data, len, err, sizeof(err));
        if (drains)
            drain(store, NULL, 0);
        if (xha_store_stats(store).bytes > (1 << 20) + SLOTS * XHA_PAGE_BYTES)
            abort();
    }
    if (r < 0 && !err[0])
        abort();
    drain(store, NULL, 0);
    xha_store_free(store);
}

/* Gives the frames that are due to the store; whether an epoch ended. */
static bool pass_on(struct xha_epoch_sender *sender, bool early, struct xha_store *store)
{
    static uint8_t frame[XHA_PIECE_BYTES_MAX];
    enum xha_epoch_frame type;
    uint64_t epoch;
    char err[160];
    bool ended = false;
    size_t len;

    while ((type = xha_epoch_take(sender, early, frame, &len)) != XHA_EPOCH_NOTHING) {
        if (len > sizeof(frame))
            abort();
        if (type == XHA_EPOCH_PIECE ? xha_store_piece(store, frame, len, err, sizeof(err)) < 0
                                    : xha_store_end(store, frame, len, &epoch, err, sizeof(err)) < 0)
            abort();
        ended |= type == XHA_EPOCH_END;
    }
    return ended;
}

static void cut_stream(const uint8_t *data, size_t size, size_t piece, bool early)
{
    struct xha_epoch_sender *sender = xha_epoch_sender_new(SLOTS);
    struct xha_store *store = store_new();
    size_t at = 0, ended = 0, back;
    char err[160] = "";
    int64_t took = 0;

    while (at < size) {
        took = xha_epoch_feed(sender, data + at, size - at < piece ? size - at : piece, err, sizeof(err));
        if (took < 0)
            break;
        at += (size_t)took;
        if (pass_on(sender, early, store))
            ended = at;
    }
    if (took < 0 && !err[0])
        abort();
    xha_store_close(store);
    back = drain(store, data, size);
    if (ended > 0 && xha_store_stats(store).epoch > 1 && back != ended)
        abort();
    xha_store_free(store);
    xha_epoch_sender_free(sender);
}

static void read_small(const uint8_t *data, size_t size)
{
    const struct xha_terms limits = { .silence_ms = 1, .slots = 1000, .held_bytes = 1 << 20 };
    uint8_t again[XHA_END_BYTES];
    struct xha_epoch_end end;
    struct xha_terms terms;
    char err[200] = "";
    uint64_t epoch;

    if (xha_terms_get(data, size, &terms, err, sizeof(err)) == 0) {
        terms = xha_terms_grant(&terms, &limits);
        if (terms.slots > limits.slots || terms.held_bytes > limits.held_bytes || terms.held_bytes == 0 ||
            terms.silence_ms < XHA_SILENCE_MS_MIN)
            abort();
    } else if (!err[0]) {
        abort();
    }
    if (xha_epoch_end_get(data, size, &end) == 0) {
        xha_epoch_end_put(&end, again);
        if (memcmp(again, data, size) != 0)
            abort();
    }
    xha_epoch_ack_get(data, size, &epoch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    if (data[0] == 'D')
        read_delta(data + 1, size - 1);
    else if (data[0] == 'B')
        read_batches(data + 1, size - 1);
    else if (data[0] == 'P')
        code_pages(data + 1, size - 1);
    else if (data[0] == 'T')
        read_small(data + 1, size - 1);
    else if (data[0] == 'F')
        read_frames(data + 1, size - 1);
    else if (data[0] == 'S' && size > 2)
        cut_stream(data + 2, size - 2, (size_t)data[1] * 16 + 1, data[1] & 1);
    return 0;
}

/*
 * What a backup reads of replicated pages. The first byte chooses: a delta, batches one behind the other (u16
 * length each), or pages to be coded, which must come back as they were.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xhad/move/bytes.h"
#include "xhad/repl/codec.h"

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
    return 0;
}

/*
 * repl/page*.c and repl/codec*.c: all makes of the comparisons agree, every page comes back as it was, no batch
 * is much longer than its pages, and hostile ones are refused.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/sim/rng.h"
#include "xhad/move/bytes.h"
#include "xhad/repl/codec.h"

static struct sim_rng rng;

static uint64_t below(uint64_t n)
{
    return sim_rng_next(&rng) % n;
}

static void randomise(uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)sim_rng_next(&rng);
}

/* ---- comparisons ---- */

/* Every make says of the two what the scalar one says. */
static void compare_makes(const uint8_t *page, const uint8_t *base)
{
    uint8_t want[XHA_PAGE_LINES], got[XHA_PAGE_LINES];
    const uint64_t lines = xha_page_scalar.compare(page, base, want);

    for (const struct xha_page_ops *const *make = xha_page_makes(); *make; make++) {
        memset(got, 0x55, sizeof(got));
        assert_true((*make)->compare(page, base, got) == lines);
        assert_memory_equal(got, want, sizeof(want));
        assert_true((*make)->is_zero(page) == xha_page_scalar.is_zero(page));
        assert_true((*make)->is_zero(base) == xha_page_scalar.is_zero(base));
    }
}

/* The scalar make itself, against the definition. */
static void scalar_is_right(const uint8_t *page, const uint8_t *base)
{
    uint8_t words[XHA_PAGE_LINES];
    const uint64_t lines = xha_page_scalar.compare(page, base, words);
    bool zero = true;

    for (unsigned i = 0; i < XHA_PAGE_BYTES / 8; i++) {
        const bool differs = memcmp(page + 8 * i, base + 8 * i, 8) != 0;

        assert_true((words[i / 8] >> i % 8 & 1) == differs);
    }
    for (unsigned line = 0; line < XHA_PAGE_LINES; line++)
        assert_true((lines >> line & 1) == (words[line] != 0));
    for (unsigned i = 0; i < XHA_PAGE_BYTES; i++)
        zero = zero && page[i] == 0;
    assert_true(xha_page_scalar.is_zero(page) == zero);
}

static void makes_agree_on_single_bits(void **state)
{
    uint8_t page[XHA_PAGE_BYTES] = { 0 }, base[XHA_PAGE_BYTES] = { 0 };

    (void)state;
    compare_makes(page, base);
    scalar_is_right(page, base);
    for (unsigned bit = 0; bit < 8 * XHA_PAGE_BYTES; bit += bit % 8 == 0 ? 7 : 1) {
        page[bit / 8] ^= (uint8_t)(1 << bit % 8);
        compare_makes(page, base);
        compare_makes(base, page);
        if (bit % 61 == 0)
            scalar_is_right(page, base);
        page[bit / 8] = 0;
    }
}

/* Pages of chance that differ in some of their words, at addresses that are not aligned. */
static void makes_agree_on_random_pages(void **state)
{
    static uint8_t room[2][XHA_PAGE_BYTES + 64];

    (void)state;
    rng.s = 2;
    for (int i = 0; i < 3000; i++) {
        uint8_t *page = room[0] + below(64), *base = room[1] + below(64);
        const uint64_t words = i % 3 ? below(40) : below(513);

        randomise(base, XHA_PAGE_BYTES);
        if (i % 5 == 0)
            memset(base, (int)below(2) * 0xff, XHA_PAGE_BYTES);
        memcpy(page, base, XHA_PAGE_BYTES);
        for (uint64_t w = 0; w < words; w++)
            page[below(XHA_PAGE_BYTES)] ^= (uint8_t)(1 + below(255));
        compare_makes(page, base);
        scalar_is_right(page, base);
    }
}

/* ---- deltas ---- */

static void deltas_come_back(void **state)
{
    uint8_t page[XHA_PAGE_BYTES], base[XHA_PAGE_BYTES], there[XHA_PAGE_BYTES], delta[XHA_DELTA_BYTES_MAX];

    (void)state;
    rng.s = 3;
    for (int i = 0; i < 2000; i++) {
        const uint64_t words = i % 2 ? below(30) : below(600);
        size_t len;

        randomise(base, sizeof(base));
        memcpy(there, base, sizeof(there));
        memcpy(page, base, sizeof(page));
        for (uint64_t w = 0; w < words; w++)
            page[below(XHA_PAGE_BYTES)] ^= 0x80;
        len = xha_delta_make(xha_page_makes()[0], page, base, sizeof(delta), delta);
        assert_in_range(len, 8, sizeof(delta));
        assert_memory_equal(base, page, sizeof(page));
        assert_int_equal(xha_delta_apply(delta, len, there), len);
        assert_memory_equal(there, page, sizeof(page));
        for (size_t cut = 0; cut < len; cut += 1 + below(20))
            assert_int_equal(xha_delta_apply(delta, cut, there), 0);
    }
}

static void deltas_are_short(void **state)
{
    uint8_t page[XHA_PAGE_BYTES] = { 0 }, base[XHA_PAGE_BYTES] = { 0 }, delta[XHA_DELTA_BYTES_MAX];

    (void)state;
    assert_int_equal(xha_delta_make(&xha_page_scalar, page, base, 8, delta), 8);
    page[77] = 1;
    assert_int_equal(xha_delta_make(&xha_page_scalar, page, base, 17, delta), 17);
    page[77] = 2;
    assert_int_equal(xha_delta_make(&xha_page_scalar, page, base, 16, delta), 0);
    memset(page, 0xff, sizeof(page));
    memset(base, 0, sizeof(base));
    assert_int_equal(xha_delta_make(&xha_page_scalar, page, base, sizeof(delta), delta), sizeof(delta));
}

static void hostile_deltas_are_refused(void **state)
{
    uint8_t base[XHA_PAGE_BYTES] = { 0 }, delta[XHA_DELTA_BYTES_MAX + 1];

    (void)state;
    memset(delta, 0xff, sizeof(delta)); /* each line, each word: just as long as can be */
    assert_int_equal(xha_delta_apply(delta, sizeof(delta), base), XHA_DELTA_BYTES_MAX);
    assert_int_equal(xha_delta_apply(delta, XHA_DELTA_BYTES_MAX - 1, base), 0);
    delta[8] = 0; /* a line that differs in no word */
    assert_int_equal(xha_delta_apply(delta, sizeof(delta), base), 0);
}

/* ---- batches ---- */

struct pair {
    struct xha_shadow *shadow;
    struct xha_slots *slots;
    struct xha_coder *coder;
    struct xha_decoder *decoder;
};

static struct pair pair_new(uint32_t n_slots)
{
    struct pair p = { .shadow = xha_shadow_new(n_slots), .slots = xha_slots_new(n_slots) };

    p.coder = xha_coder_new(NULL, p.shadow);
    p.decoder = xha_decoder_new(p.slots);
    assert_non_null(p.coder);
    assert_non_null(p.decoder);
    return p;
}

static void pair_free(struct pair *p)
{
    xha_decoder_free(p->decoder);
    xha_coder_free(p->coder);
    xha_slots_free(p->slots);
    xha_shadow_free(p->shadow);
}

static size_t batch_bound(unsigned pages)
{
    return pages == 0 ? XHA_BATCH_HEADER : (size_t)pages * XHA_PAGE_BYTES * 101 / 100;
}

/* Takes the batch, and reads it against the pages that went in. */
static void back(struct pair *p, uint8_t *const *pages, unsigned n, uint8_t *batch)
{
    const size_t len = xha_coder_take(p->coder, batch);
    unsigned got, filled, n_zero = 0;
    uint8_t out[XHA_PAGE_BYTES];

    assert_true(len <= batch_bound(n));
    assert_int_equal(xha_decoder_open(p->decoder, batch, len, &got, &filled), 0);
    assert_int_equal(got, n);
    for (unsigned i = 0; i < n; i++) {
        const bool zero = xha_page_scalar.is_zero(pages[i]);

        n_zero += zero;
        assert_int_equal(xha_decoder_page(p->decoder, out), !zero);
        if (!zero)
            assert_memory_equal(out, pages[i], XHA_PAGE_BYTES);
    }
    assert_int_equal(filled, n - n_zero);
    assert_int_equal(xha_decoder_close(p->decoder), 0);
}

/* As a guest might: nothing, a bit, a run, all of it, zeros, something that packs well. */
static void change(uint8_t *page)
{
    const size_t at = below(XHA_PAGE_BYTES), len = 1 + below(XHA_PAGE_BYTES - at);

    switch (below(7)) {
    case 0:
        break;
    case 1:
        page[at]++;
        break;
    case 2:
        randomise(page + at, len);
        break;
    case 3:
        randomise(page, XHA_PAGE_BYTES);
        break;
    case 4:
        memset(page, 0, XHA_PAGE_BYTES);
        break;
    case 5:
        memset(page + at, (int)below(256), len);
        break;
    default:
        for (int i = 0; i < 20; i++)
            page[below(XHA_PAGE_BYTES)] ^= 1;
    }
}

#define GUEST_PAGES 300

static void batches_come_back(void **state)
{
    static uint8_t guest[GUEST_PAGES][XHA_PAGE_BYTES], batch[XHA_BATCH_BYTES_MAX];

    (void)state;
    for (uint32_t n_slots = 0; n_slots <= 400; n_slots = 2 * n_slots + 1) {
        struct pair p = pair_new(n_slots);

        rng.s = n_slots;
        for (int epoch = 0; epoch < 60; epoch++) {
            const unsigned n = (unsigned)below(XHA_BATCH_PAGES + 1);
            uint8_t *pages[XHA_BATCH_PAGES], now[XHA_BATCH_PAGES][XHA_PAGE_BYTES];

            for (unsigned i = 0; i < n; i++) {
                const uint64_t pfn = below(GUEST_PAGES); /* the same one twice, too */

                change(guest[pfn]);
                memcpy(now[i], guest[pfn], XHA_PAGE_BYTES);
                pages[i] = now[i];
                xha_coder_page(p.coder, pfn, guest[pfn], epoch > 3);
            }
            assert_int_equal(xha_coder_pages(p.coder), n);
            back(&p, pages, n, batch);
            xha_shadow_next_epoch(p.shadow);
        }
        assert_true(xha_slots_bytes(p.slots) <= (uint64_t)n_slots * XHA_PAGE_BYTES);
        assert_true((xha_coder_stats(p.coder)->pages[XHA_PAGE_DELTA] > 0) == (n_slots > 0));
        pair_free(&p);
    }
}

/* What is sent of a page that has not changed, or in a few words. */
static void changes_are_small(void **state)
{
    static uint8_t page[XHA_PAGE_BYTES], batch[XHA_BATCH_BYTES_MAX];
    struct pair p = pair_new(4);
    uint8_t *pages[] = { page };

    (void)state;
    rng.s = 5;
    randomise(page, sizeof(page));
    xha_coder_page(p.coder, 7, page, true);
    back(&p, pages, 1, batch);
    xha_coder_page(p.coder, 7, page, true);
    assert_int_equal(xha_coder_take(p.coder, batch), XHA_BATCH_HEADER + 4);
    page[1]++;
    xha_coder_page(p.coder, 7, page, true);
    assert_int_equal(xha_coder_take(p.coder, batch), XHA_BATCH_HEADER + 4 + 17);
    assert_int_equal(xha_coder_stats(p.coder)->pages[XHA_PAGE_SAME], 1);
    assert_int_equal(xha_coder_stats(p.coder)->pages[XHA_PAGE_DELTA], 1);
    assert_int_equal(xha_coder_stats(p.coder)->pages[XHA_PAGE_LITERAL], 1);
    pair_free(&p);
}

/* Full batches of what cannot be made smaller, also right after what can: at most 1 % more than raw. */
static void nothing_grows(void **state)
{
    static uint8_t pages[XHA_BATCH_PAGES][XHA_PAGE_BYTES], batch[XHA_BATCH_BYTES_MAX];
    struct pair p = pair_new(1000);

    (void)state;
    rng.s = 6;
    for (int round = 0; round < 60; round++) {
        const unsigned n = round % 4 ? XHA_BATCH_PAGES : 1 + (unsigned)below(XHA_BATCH_PAGES);
        uint8_t *list[XHA_BATCH_PAGES];

        for (unsigned i = 0; i < n; i++) {
            list[i] = pages[i];
            if (round % 7 == 0)
                memset(pages[i], (int)i + 1, XHA_PAGE_BYTES);
            else
                randomise(pages[i], round % 5 ? XHA_PAGE_BYTES : 3000);
            xha_coder_page(p.coder, (uint64_t)round / 2 * XHA_BATCH_PAGES + i, pages[i], true);
        }
        back(&p, list, n, batch);
        xha_shadow_next_epoch(p.shadow);
    }
    pair_free(&p);
}

/* ---- hostile and damaged batches ---- */

/* All of a batch: 0, or -1 wherever it fails. */
static int read_batch(struct xha_decoder *d, const uint8_t *batch, size_t len, uint8_t (*out)[XHA_PAGE_BYTES])
{
    unsigned pages, filled;

    if (xha_decoder_open(d, batch, len, &pages, &filled) < 0)
        return -1;
    assert_in_range(pages, 0, XHA_BATCH_PAGES);
    for (unsigned i = 0; i < pages; i++)
        if (xha_decoder_page(d, out[i]) < 0)
            return -1;
    return xha_decoder_close(d);
}

/* Each bit of a batch is turned, and each end cut off: it is refused, or what comes back is right all the same. */
static void damage_is_noticed(void **state)
{
    static uint8_t pages[4][XHA_PAGE_BYTES], batch[XHA_BATCH_BYTES_MAX], out[XHA_BATCH_PAGES][XHA_PAGE_BYTES];
    struct pair p = pair_new(8);
    size_t len, refused = 0;

    (void)state;
    rng.s = 7;
    for (int i = 0; i < 4; i++)
        memset(pages[i], i * 3, XHA_PAGE_BYTES);
    randomise(pages[1], 40);
    for (uint64_t i = 0; i < 4; i++)
        xha_coder_page(p.coder, i, pages[i], true);
    len = xha_coder_take(p.coder, batch);
    for (size_t bit = 0; bit < 8 * len; bit++) {
        struct xha_slots *slots = xha_slots_new(8);
        struct xha_decoder *d = xha_decoder_new(slots);

        batch[bit / 8] ^= (uint8_t)(1 << bit % 8);
        memset(out, 0, sizeof(out));
        if (read_batch(d, batch, len, out) == 0)
            assert_memory_equal(out, pages, sizeof(pages));
        else
            refused++;
        batch[bit / 8] ^= (uint8_t)(1 << bit % 8);
        xha_decoder_free(d);
        xha_slots_free(slots);
    }
    assert_true(refused > 8 * len * 8 / 10);
    for (size_t cut = 0; cut < len; cut++) {
        struct xha_decoder *d = xha_decoder_new(p.slots);

        assert_int_equal(read_batch(d, batch, cut, out), -1);
        xha_decoder_free(d);
    }
    assert_int_equal(read_batch(p.decoder, batch, len, out), 0);
    pair_free(&p);
}

/* A batch that is right, but for bytes that belong to no page. */
static void surplus_is_refused(void **state)
{
    static uint8_t page[XHA_PAGE_BYTES], batch[XHA_BATCH_BYTES_MAX], out[XHA_BATCH_PAGES][XHA_PAGE_BYTES];
    struct pair p = pair_new(1);
    size_t len;

    (void)state;
    xha_coder_page(p.coder, 1, page, true);
    len = xha_coder_take(p.coder, batch);
    memset(batch + len, 0, 8);
    assert_int_equal(read_batch(p.decoder, batch, len + 4, out), -1); /* a block */
    xha_decoder_free(p.decoder);
    p.decoder = xha_decoder_new(p.slots);
    xha_put32(batch + 4, 8); /* a delta */
    assert_int_equal(read_batch(p.decoder, batch, len + 8, out), -1);
    xha_decoder_free(p.decoder);
    p.decoder = xha_decoder_new(p.slots);
    xha_put32(batch + 4, 0);
    assert_int_equal(read_batch(p.decoder, batch, len, out), 0);
    pair_free(&p);
}

/* A copy that has gone bad on one side alone. */
static void sides_that_disagree_notice(void **state)
{
    static uint8_t page[XHA_PAGE_BYTES], batch[XHA_BATCH_BYTES_MAX], out[XHA_BATCH_PAGES][XHA_PAGE_BYTES];
    struct pair p = pair_new(1);
    size_t len;

    (void)state;
    rng.s = 8;
    randomise(page, sizeof(page));
    xha_coder_page(p.coder, 1, page, true);
    len = xha_coder_take(p.coder, batch);
    assert_int_equal(read_batch(p.decoder, batch, len, out), 0);
    xha_slots_page(p.slots, 0)[4095] ^= 1;
    page[0]++;
    xha_coder_page(p.coder, 1, page, true);
    len = xha_coder_take(p.coder, batch);
    assert_int_equal(read_batch(p.decoder, batch, len, out), -1);
    pair_free(&p);
}

/* A batch of one page with these numbers and that much behind it. */
static int read_made(uint32_t op, uint16_t literals, uint32_t delta, uint32_t block, size_t len)
{
    static uint8_t out[XHA_BATCH_PAGES][XHA_PAGE_BYTES];
    struct pair p = pair_new(2);
    uint8_t *batch = calloc(1, len);
    uint8_t head[XHA_BATCH_HEADER + 8] = { 1 };
    int rc;

    xha_put16(head + 2, literals);
    xha_put32(head + 4, delta);
    xha_put32(head + 16, op);
    xha_put32(head + 20, block);
    memcpy(batch, head, len < sizeof(head) ? len : sizeof(head));
    rc = read_batch(p.decoder, batch, len, out);
    free(batch);
    pair_free(&p);
    return rc;
}

static void hostile_batches_are_refused(void **state)
{
    (void)state;
    assert_int_equal(read_made(1 << 2 | XHA_PAGE_ZERO, 1, 0, 0, 20), -1);
    assert_int_equal(read_made(1 << 2 | XHA_PAGE_SAME, 0, 0, 0, 20), -1);  /* but for its sum */
    assert_int_equal(read_made(0 << 2 | XHA_PAGE_SAME, 0, 0, 0, 20), -1);  /* as what? */
    assert_int_equal(read_made(3 << 2 | XHA_PAGE_SAME, 0, 0, 0, 20), -1);  /* no such slot */
    assert_int_equal(read_made(UINT32_MAX, 1, 0, 0, 24), -1);              /* nor this one */
    assert_int_equal(read_made(1 << 2 | XHA_PAGE_DELTA, 0, 8, 0, 20), -1); /* too short */
    assert_int_equal(read_made(1 << 2 | XHA_PAGE_DELTA, 0, UINT32_MAX, 0, 28), -1);
    assert_int_equal(read_made(1 << 2 | XHA_PAGE_LITERAL, 1, 0, 4096, 24), -1); /* nothing there */
    assert_int_equal(read_made(1 << 2 | XHA_PAGE_LITERAL, 1, 0, 4097, 8000), -1);
    assert_int_equal(read_made(1 << 2 | XHA_PAGE_LITERAL, 1, 0, UINT32_MAX, 8000), -1);
    assert_int_equal(read_made(1 << 2 | XHA_PAGE_LITERAL, 0, 0, 4096, 24 + 4096), -1);
    assert_int_equal(read_made(1 << 2 | XHA_PAGE_LITERAL, 1, 0, 4096, 24 + 4096), -1); /* sum */
    assert_int_equal(read_made(XHA_PAGE_ZERO, 0, 0, 0, 15), -1);
    assert_int_equal(read_made(XHA_PAGE_ZERO, 0, 0, 0, 19), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_agree_on_single_bits), cmocka_unit_test(makes_agree_on_random_pages),
        cmocka_unit_test(deltas_come_back),           cmocka_unit_test(deltas_are_short),
        cmocka_unit_test(hostile_deltas_are_refused), cmocka_unit_test(batches_come_back),
        cmocka_unit_test(changes_are_small),          cmocka_unit_test(nothing_grows),
        cmocka_unit_test(damage_is_noticed),          cmocka_unit_test(surplus_is_refused),
        cmocka_unit_test(sides_that_disagree_notice), cmocka_unit_test(hostile_batches_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

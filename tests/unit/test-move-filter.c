/*
 * move/filter.c and move/chunk.c: whatever goes in comes out again, smaller when it can be, and never much
 * larger.
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

#include "tests/unit/move-stream.h"
#include "xhad/move/bytes.h"
#include "xhad/move/filter.h"

struct back {
    const uint8_t *want;
    size_t want_len, have;
};

static int compare(void *arg, const uint8_t *bytes, size_t len)
{
    struct back *b = arg;

    assert_true(len <= b->want_len - b->have);
    for (size_t i = 0; i < len; i++)
        if (b->want[b->have + i] != (bytes ? bytes[i] : 0))
            fail_msg("byte %zu differs", b->have + i);
    b->have += len;
    return 0;
}

/* Feeds in pieces, takes chunks as a relay does, gives them back at once; bytes on the way. */
static size_t there_and_back(const uint8_t *bytes, size_t len, size_t piece, enum xha_codec codec,
                             enum xha_filter_kind kind, struct xha_filter_seen *seen_r)
{
    struct xha_packer *packer = xha_packer_new(codec), *unpacker = xha_packer_new(XHA_CODEC_NONE);
    struct xha_filter *filter = xha_filter_new(kind, packer);
    uint8_t *chunk = malloc(XHA_CHUNK_BYTES_MAX);
    struct back back = { .want = bytes, .want_len = len };
    size_t at = 0, wire = 0, n;
    char err[128];
    bool idle = false;

    assert_non_null(chunk);
    while (at < len) {
        n = len - at < piece ? len - at : piece;
        at += xha_filter_feed(filter, bytes + at, n);
        idle = !idle && piece > 100000;
        if ((xha_filter_is_full(filter) || idle) && (n = xha_filter_take(filter, false, chunk)) > 0) {
            assert_int_equal(xha_chunk_unpack(unpacker, chunk, n, compare, &back, err, sizeof(err)), 0);
            wire += n;
        }
    }
    while ((n = xha_filter_take(filter, true, chunk)) > 0) {
        assert_true(n <= XHA_CHUNK_BYTES_MAX);
        assert_int_equal(xha_chunk_unpack(unpacker, chunk, n, compare, &back, err, sizeof(err)), 0);
        wire += n;
    }
    assert_int_equal(back.have, len);
    if (seen_r)
        *seen_r = *xha_filter_seen(filter);
    xha_filter_free(filter);
    xha_packer_free(packer);
    xha_packer_free(unpacker);
    free(chunk);
    return wire;
}

static void streams_come_back(void **state)
{
    static const size_t pieces[] = { 1, 7, 4096, 65536, 262144 };

    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct made m = made_stream(seed, 1 + seed % 3, 100 + (uint32_t)(seed * 97 % 3000), seed * 13 % 101);
        const size_t piece = pieces[seed % 5];
        const enum xha_codec codec = (enum xha_codec)(seed % XHA_CODEC_N_);
        struct xha_filter_seen seen;
        const size_t wire = there_and_back(m.bytes, m.len, piece, codec, XHA_FILTER_STREAM, &seen);

        assert_true(seen.understood);
        assert_int_equal(seen.pages, m.pages);
        assert_int_equal(seen.zero_pages, m.zero_pages);
        assert_int_equal(seen.round, 1 + seed % 3);
        assert_int_equal(seen.bytes, m.len);
        assert_true(wire <= m.len + m.len / 100);
        assert_true(wire <= m.len - m.zero_pages * 4000 + 4096);
        free(m.bytes);
    }
}

/* Pages of zeros cost next to nothing, with any codec. */
static void empty_guest_is_small(void **state)
{
    struct made m = made_stream(5, 1, 20000, 100);

    (void)state;
    for (int codec = 0; codec < XHA_CODEC_N_; codec++)
        assert_true(there_and_back(m.bytes, m.len, 65536, (enum xha_codec)codec, XHA_FILTER_STREAM, NULL) <
                    m.len / 300);
    free(m.bytes);
}

/* Zero and other pages by turns: as many runs as a chunk holds. */
static void runs_overflow_into_the_next_chunk(void **state)
{
    struct made m = { .random = 9 };

    (void)state;
    for (int i = 0; i < 3000; i++) {
        made_page(&m, 100);
        memset(made_room(&m, 4096), i % 200 + 1, 4096);
    }
    there_and_back(m.bytes, m.len, 65536, XHA_CODEC_LZ4, XHA_FILTER_PAGES, NULL);
    free(m.bytes);
}

static void garbage_passes_as_it_is(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct made m = { .random = seed };
        struct xha_filter_seen seen;
        const size_t len = 1000 + seed * 100003;
        size_t wire;

        for (size_t i = 0; i < len; i += 8)
            made_put(&m, &(uint64_t){ made_random(&m) }, 8);
        wire = there_and_back(m.bytes, m.len, 262144, XHA_CODEC_LZ4, XHA_FILTER_STREAM, &seen);
        assert_false(seen.understood);
        assert_true(wire <= m.len + m.len / 100 + 64);
        free(m.bytes);
    }
}

/* A byte of a good stream is changed: it is no longer understood, or it is, and comes back either way. */
static void damaged_streams_come_back(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct made m = made_stream(seed, 2, 300, 50);
        const size_t at = made_random(&m) % (seed % 2 ? 200 : m.len);

        m.bytes[at] ^= (uint8_t)(1 + made_random(&m) % 255);
        there_and_back(m.bytes, m.len, 65536, XHA_CODEC_LZ4, XHA_FILTER_STREAM, NULL);
        there_and_back(m.bytes, at, 777, XHA_CODEC_NONE, XHA_FILTER_STREAM, NULL);
        free(m.bytes);
    }
}

/* Epochs of a replicated domain: libxl's records between libxc's. */
static void checkpoints_are_understood(void **state)
{
    struct made m = { .random = 3 };
    struct xha_filter_seen seen;

    (void)state;
    made_headers(&m);
    for (int epoch = 0; epoch < 3; epoch++) {
        made_page_data(&m, 10, 50, 50);
        made_record(&m, 14, 0);
        made_other(&m, 2, 33);
        made_record(&m, 4, 0);
    }
    there_and_back(m.bytes, m.len, 100, XHA_CODEC_LZ4, XHA_FILTER_STREAM, &seen);
    assert_true(seen.understood);
    assert_int_equal(seen.pages, m.pages);
    assert_int_equal(seen.round, 3);
    free(m.bytes);
}

static void the_other_byte_order_is_not_understood(void **state)
{
    struct made m = made_stream(1, 1, 10, 0);
    struct xha_filter_seen seen;

    (void)state;
    m.bytes[15] = 1;
    there_and_back(m.bytes, m.len, 100, XHA_CODEC_LZ4, XHA_FILTER_STREAM, &seen);
    assert_false(seen.understood);
    assert_int_equal(seen.pages, 0);
    free(m.bytes);
}

/* ---- hostile chunks ---- */

static int count(void *arg, const uint8_t *bytes, size_t len)
{
    (void)bytes;
    *(size_t *)arg += len;
    return 0;
}

/* rc of unpacking a header with these numbers and that much behind it. */
static int unpack(uint32_t codec, uint32_t raw, uint32_t literal, uint32_t runs, uint32_t gap, uint32_t pages,
                  size_t len)
{
    struct xha_packer *packer = xha_packer_new(XHA_CODEC_NONE);
    uint8_t *chunk = calloc(1, len);
    const uint32_t numbers[6] = { codec, raw, literal, runs, gap, pages };
    uint8_t head[24];
    size_t got = 0;
    char err[128] = "";
    int rc;

    for (int i = 0; i < 6; i++)
        xha_put32(head + 4 * i, numbers[i]);
    memcpy(chunk, head, len < sizeof(head) ? len : sizeof(head));
    rc = xha_chunk_unpack(packer, chunk, len, count, &got, err, sizeof(err));
    assert_true(rc == 0 ? got == raw : err[0] != '\0');
    xha_packer_free(packer);
    free(chunk);
    return rc;
}

static void hostile_chunks_are_refused(void **state)
{
    (void)state;
    assert_int_equal(unpack(0, 4096 + 8, 8, 1, 8, 1, 32), 0); /* this one is good */
    assert_int_equal(unpack(0, 4096 + 8, 8, 1, 8, 1, 31), -1);
    assert_int_equal(unpack(0, 4096 + 8, 8, 1, 8, 1, 33), -1);
    assert_int_equal(unpack(0, 4096 + 8, 8, 1, 9, 1, 32), -1);
    assert_int_equal(unpack(0, 4096 + 7, 8, 1, 8, 1, 32), -1);
    assert_int_equal(unpack(0, 8, 8, 1, 8, 0, 32), -1);
    assert_int_equal(unpack(0, 0, 0, 0, 0, 0, 15), -1);
    assert_int_equal(unpack(3, 8, 8, 0, 0, 0, 24), -1);
    assert_int_equal(unpack(1, 8, 8, 0, 0, 0, 24), -1);
    assert_int_equal(unpack(2, 8, 8, 0, 0, 0, 24), -1);
    assert_int_equal(unpack(0, 8, 8, 1025, 0, 0, 24), -1);
    assert_int_equal(unpack(0, 0x80000000, 0, 1, 0, 0x80000, 24), -1);
    assert_int_equal(
        unpack(0, XHA_CHUNK_LITERAL_MAX + 1, XHA_CHUNK_LITERAL_MAX + 1, 0, 0, 0, XHA_CHUNK_LITERAL_MAX + 17),
        -1);
    assert_int_equal(unpack(0, 4096, 0, 1, 0, 0x00100001, 24), -1); /* × 4096 is 4096 in 32 bits */
}

static int stop_at_once(void *arg, const uint8_t *bytes, size_t len)
{
    (void)bytes;
    (void)len;
    ++*(int *)arg;
    return 7;
}

static void unpacking_stops_when_told(void **state)
{
    struct xha_packer *packer = xha_packer_new(XHA_CODEC_NONE);
    const struct xha_zero_run runs[] = { { 1, 1 }, { 1, 1 } };
    uint8_t *chunk = malloc(XHA_CHUNK_BYTES_MAX);
    char err[128];
    int calls = 0;
    size_t len = xha_chunk_pack(packer, (const uint8_t *)"abc", 3, runs, 2, chunk);

    (void)state;
    assert_int_equal(xha_chunk_unpack(packer, chunk, len, stop_at_once, &calls, err, sizeof(err)), 7);
    assert_int_equal(calls, 1);
    xha_packer_free(packer);
    free(chunk);
}

static void codecs_have_names(void **state)
{
    enum xha_codec codec;

    (void)state;
    assert_true(xha_codec_parse("", &codec) && codec == XHA_CODEC_LZ4);
    for (int i = 0; i < XHA_CODEC_N_; i++)
        assert_true(xha_codec_parse(xha_codec_name((enum xha_codec)i), &codec) && (int)codec == i);
    assert_false(xha_codec_parse("gzip", &codec));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_come_back),
        cmocka_unit_test(empty_guest_is_small),
        cmocka_unit_test(runs_overflow_into_the_next_chunk),
        cmocka_unit_test(garbage_passes_as_it_is),
        cmocka_unit_test(damaged_streams_come_back),
        cmocka_unit_test(checkpoints_are_understood),
        cmocka_unit_test(the_other_byte_order_is_not_understood),
        cmocka_unit_test(hostile_chunks_are_refused),
        cmocka_unit_test(unpacking_stops_when_told),
        cmocka_unit_test(codecs_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

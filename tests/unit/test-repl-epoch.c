/*
 * repl/epoch.c, reader.c, window.c and store.c: what is handed on is what went in, in whole epochs, wherever the
 * way between is cut; what is damaged, doubled or missing is refused; memory is bounded.
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

#include "tests/unit/repl-stream.h"
#include "xhad/move/bytes.h"
#include "xhad/repl/store.h"

#define SLOTS 100
#define MIB   (1u << 20)

/* ---- frames on the way ---- */

struct sent {
    enum xha_epoch_frame type;
    uint8_t *bytes;
    size_t len;
    size_t stream; /* bytes of the stream up to here */
};

struct way {
    struct sent frames[20000];
    size_t n;
};

static void way_free(struct way *way)
{
    for (size_t i = 0; i < way->n; i++)
        free(way->frames[i].bytes);
    free(way);
}

static void take_all(struct xha_epoch_sender *s, bool early, struct way *way, size_t stream)
{
    static uint8_t out[XHA_PIECE_BYTES_MAX];
    enum xha_epoch_frame type;
    size_t len;

    while ((type = xha_epoch_take(s, early, out, &len)) != XHA_EPOCH_NOTHING) {
        struct sent *f = way->frames + way->n++;

        assert_true(way->n < sizeof(way->frames) / sizeof(way->frames[0]));
        assert_true(len <= sizeof(out));
        *f = (struct sent){ .type = type, .bytes = malloc(len), .len = len, .stream = stream };
        assert_non_null(f->bytes);
        memcpy(f->bytes, out, len);
    }
}

/* All of the stream, fed in pieces; early: each frame as soon as there is anything for it. */
static struct way *send_stream(struct xha_epoch_sender *s, const uint8_t *bytes, size_t len, size_t piece,
                               bool early)
{
    struct way *way = calloc(1, sizeof(*way));
    char err[160] = "";

    assert_non_null(way);
    for (size_t at = 0; at < len;) {
        const size_t n = len - at < piece ? len - at : piece;
        const int64_t took = xha_epoch_feed(s, bytes + at, n, err, sizeof(err));

        if (took < 0)
            fail_msg("%s", err);
        at += (size_t)took;
        take_all(s, early, way, at);
    }
    return way;
}

static int give(struct xha_store *store, const struct sent *f, char *err, size_t err_len)
{
    uint64_t epoch;

    return f->type == XHA_EPOCH_PIECE ? xha_store_piece(store, f->bytes, f->len, err, err_len)
                                      : xha_store_end(store, f->bytes, f->len, &epoch, err, err_len);
}

/* Takes off what there is, at most so many bytes at a time, and compares; returns where the stream is. */
static size_t drain(struct xha_store *store, const uint8_t *want, size_t want_len, size_t at, size_t piece)
{
    const uint8_t *bytes;
    size_t n;

    while ((n = xha_store_next(store, &bytes)) > 0) {
        n = n < piece ? n : piece;
        assert_true(n <= want_len - at);
        assert_memory_equal(bytes, want + at, n);
        xha_store_took(store, n);
        at += n;
    }
    assert_int_equal(xha_store_stats(store).waiting, 0);
    return at;
}

static struct xha_store *store_of(uint32_t slots, uint64_t held_bytes)
{
    const struct xha_store_limits limits = { .slots = slots, .held_bytes = held_bytes };
    struct xha_store *store = xha_store_new(&limits);

    assert_non_null(store);
    return store;
}

static struct guest *guest_of(uint64_t seed, unsigned epochs, uint32_t pages)
{
    struct guest *g = guest_new(seed);

    for (unsigned i = 0; i < epochs; i++)
        guest_epoch(g, i == 0 ? 5 * pages : pages);
    return g;
}

/* ---- there and back ---- */

static void streams_come_back(void **state)
{
    static const size_t pieces[] = { 1, 13, 4096, 65536, MIB };
    static const uint32_t slots[] = { 0, 5, 100, 1000 };

    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct guest *g = guest_of(seed, 1 + seed % 7, 1 + seed * 31 % 200);
        struct xha_epoch_sender *s = xha_epoch_sender_new(slots[seed % 4]);
        struct xha_store *store = store_of(slots[seed % 4], 64 * MIB);
        struct way *way =
            send_stream(s, g->m.bytes, g->m.len, pieces[seed % 5], seed % 3 == 0 && seed % 5 > 1);
        uint64_t epochs = 0;
        size_t at = 0;
        char err[160];

        for (size_t i = 0; i < way->n; i++) {
            if (give(store, way->frames + i, err, sizeof(err)) < 0)
                fail_msg("%s", err);
            if (way->frames[i].type == XHA_EPOCH_END) {
                assert_int_equal(xha_store_stats(store).epoch, ++epochs);
                assert_int_equal(xha_store_stats(store).waiting, way->frames[i].stream - at);
            }
            if (made_random(&g->m) % 3 == 0)
                at = drain(store, g->m.bytes, g->m.len, at, 1 + made_random(&g->m) % 20000);
            if (epochs > 0)
                assert_true(at <= way->frames[i].stream);
        }
        assert_int_equal(epochs, g->epoch);
        assert_int_equal(drain(store, g->m.bytes, g->m.len, at, MIB), g->m.len);
        assert_int_equal(xha_store_stats(store).bytes, xha_store_stats(store).slot_bytes);
        assert_int_equal(xha_epoch_seen(s).epoch, g->epoch);
        xha_store_free(store);
        xha_epoch_sender_free(s);
        way_free(way);
        guest_free(g);
    }
}

/* Of epochs in which little changes, little is sent: also of the processors' state. */
static void idle_epochs_are_small(void **state)
{
    struct guest *g = guest_of(3, 12, 20);
    struct xha_epoch_sender *s = xha_epoch_sender_new(1000);
    struct way *way;
    size_t before, sent = 0;

    (void)state;
    before = g->m.len;
    for (int epoch = 0; epoch < 10; epoch++) {
        for (uint64_t pfn = 0; pfn < 50; pfn++)
            g->memory[pfn][pfn * 8]++;
        guest_pages(g, 0, 50);
        guest_end(g, 0);
    }
    way = send_stream(s, g->m.bytes, g->m.len, MIB, false);
    for (size_t i = 0; i < way->n; i++)
        if (way->frames[i].stream > before + (g->m.len - before) / 2)
            sent += way->frames[i].len;
    assert_true(xha_epoch_seen(s).pages[XHA_PAGE_DELTA] > 0);
    assert_true(sent < (g->m.len - before) / 2 / 5);
    way_free(way);
    xha_epoch_sender_free(s);
    guest_free(g);
}

/* No epoch is much longer on the way than it is, whatever it holds. */
static void no_epoch_grows(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct guest *g = guest_of(seed, 1, 1);
        struct xha_epoch_sender *s = xha_epoch_sender_new(seed % 2 ? 1000 : 0);
        struct way *way;
        size_t sent = 0;

        for (int epoch = 0; epoch < 5; epoch++) {
            for (size_t i = 0; i < sizeof(g->memory); i += 8) {
                const uint64_t fresh = made_random(&g->m);

                memcpy(&g->memory[0][0] + i, &fresh, sizeof(fresh));
            }
            guest_pages(g, 0, GUEST_PAGES);
            made_record(&g->m, 0xe, 0);
            made_record(&g->m, 4, 0);
        }
        way = send_stream(s, g->m.bytes, g->m.len, 100000, false);
        for (size_t i = 0; i < way->n; i++)
            sent += way->frames[i].len;
        assert_true(sent <= g->m.len + g->m.len / 100);
        way_free(way);
        xha_epoch_sender_free(s);
        guest_free(g);
    }
}

/* ---- cuts ---- */

/* Where the last epoch ends that is whole after n frames. */
static size_t committed(const struct way *way, size_t n)
{
    while (n-- > 0)
        if (way->frames[n].type == XHA_EPOCH_END)
            return way->frames[n].stream;
    return 0;
}

/* Behind each frame, and in the next at each of some bytes: it is a whole number of epochs that is handed on. */
static void cuts_leave_whole_epochs(void **state)
{
    struct guest *g = guest_of(11, 5, 60);
    struct xha_epoch_sender *s = xha_epoch_sender_new(SLOTS);
    struct way *way = send_stream(s, g->m.bytes, g->m.len, 5000, true);

    (void)state;
    assert_true(way->n > 100);
    for (size_t cut = 0; cut < way->n; cut++) {
        struct xha_store *store = store_of(SLOTS, 64 * MIB);
        struct sent part = way->frames[cut];
        uint64_t epoch;
        size_t at = 0;
        char err[160] = "";

        for (size_t i = 0; i < cut; i++) {
            assert_int_equal(give(store, way->frames + i, err, sizeof(err)), 0);
            if (i % 5 == 0)
                at = drain(store, g->m.bytes, g->m.len, at, MIB);
        }
        epoch = xha_store_stats(store).epoch;
        part.len = part.len * (cut % 10) / 10;
        if (cut % 2 == 0)
            xha_store_close(store);
        else
            assert_int_equal(give(store, &part, err, sizeof(err)), -1);
        assert_int_equal(give(store, way->frames + cut, err, sizeof(err)), -1);
        assert_true(err[0] != '\0');
        at = drain(store, g->m.bytes, g->m.len, at, MIB);
        if (epoch > 0)
            assert_int_equal(at, committed(way, cut));
        assert_int_equal(xha_store_stats(store).epoch, epoch);
        xha_store_free(store);
    }
    way_free(way);
    xha_epoch_sender_free(s);
    guest_free(g);
}

/* A frame that ends anywhere is refused, and so is one to which something was added. */
static void short_frames_are_refused(void **state)
{
    struct guest *g = guest_of(12, 2, 3);
    struct xha_epoch_sender *s = xha_epoch_sender_new(SLOTS);
    struct way *way = send_stream(s, g->m.bytes, g->m.len, MIB, false);
    char err[160];

    (void)state;
    for (size_t i = 0; i < way->n; i++) {
        for (size_t len = 0; len <= way->frames[i].len + 1; len += len % 97 == 0 ? 97 : 1) {
            struct xha_store *store = store_of(SLOTS, 64 * MIB);
            struct sent part = { .type = way->frames[i].type, .bytes = calloc(1, len + 1), .len = len };

            memcpy(part.bytes, way->frames[i].bytes, len < way->frames[i].len ? len : way->frames[i].len);
            for (size_t before = 0; before < i; before++)
                assert_int_equal(give(store, way->frames + before, err, sizeof(err)), 0);
            assert_int_equal(give(store, &part, err, sizeof(err)), len == way->frames[i].len ? 0 : -1);
            free(part.bytes);
            xha_store_free(store);
        }
    }
    way_free(way);
    xha_epoch_sender_free(s);
    guest_free(g);
}

/* ---- what should not be ---- */

/* A frame left out, doubled, or moved. */
static void wrong_order_is_refused(void **state)
{
    struct guest *g = guest_of(13, 4, 100);
    struct xha_epoch_sender *s = xha_epoch_sender_new(SLOTS);
    struct way *way = send_stream(s, g->m.bytes, g->m.len, MIB, false);
    char err[160];

    (void)state;
    for (size_t at = 0; at + 2 < way->n; at++) {
        for (int how = 0; how < 3; how++) {
            struct xha_store *store = store_of(SLOTS, 64 * MIB);
            const size_t order[3][3] = { { at + 1, at + 2, 0 }, { at, at, 0 }, { at + 1, at, 0 } };
            int r = 0;

            for (size_t i = 0; i < at; i++)
                assert_int_equal(give(store, way->frames + i, err, sizeof(err)), 0);
            for (int i = 0; i < 2; i++)
                r |= give(store, way->frames + order[how][i], err, sizeof(err));
            assert_int_equal(r, -1);
            xha_store_free(store);
        }
    }
    way_free(way);
    xha_epoch_sender_free(s);
    guest_free(g);
}

/* An END that says anything else than what was sent. */
static void ends_must_be_right(void **state)
{
    struct guest *g = guest_of(17, 1, 10);
    struct xha_epoch_sender *s = xha_epoch_sender_new(SLOTS);
    struct way *way = send_stream(s, g->m.bytes, g->m.len, MIB, false);
    struct sent *end = way->frames + way->n - 1;
    char err[160];

    (void)state;
    assert_int_equal(end->type, XHA_EPOCH_END);
    for (size_t at = 0; at < end->len; at++) {
        struct xha_store *store = store_of(SLOTS, 64 * MIB);

        end->bytes[at] ^= 0x10;
        for (size_t i = 0; i + 1 < way->n; i++)
            assert_int_equal(give(store, way->frames + i, err, sizeof(err)), 0);
        assert_int_equal(give(store, end, err, sizeof(err)), -1);
        assert_int_equal(xha_store_stats(store).epoch, 0);
        end->bytes[at] ^= 0x10;
        xha_store_free(store);
    }
    way_free(way);
    xha_epoch_sender_free(s);
    guest_free(g);
}

/* A byte is changed: the epoch is refused, or was right all the same. */
static void damage_is_noticed(void **state)
{
    struct guest *g = guest_of(14, 4, 60);
    struct xha_epoch_sender *s = xha_epoch_sender_new(SLOTS);
    struct way *way = send_stream(s, g->m.bytes, g->m.len, MIB, false);
    unsigned refused = 0;
    char err[160];

    (void)state;
    assert_true(way->n > 4);
    for (unsigned turn = 0; turn < 1500 && way->n > 0; turn++) {
        struct xha_store *store = store_of(SLOTS, 64 * MIB);
        struct sent *f = way->frames + made_random(&g->m) % way->n;
        const size_t most = turn % 2 && f->len > 400 ? 400 : f->len;
        uint8_t *byte = f->bytes + (most > 0 ? made_random(&g->m) % most : 0);
        const uint8_t was = *byte;
        int r = 0;

        *byte ^= (uint8_t)(1 + made_random(&g->m) % 255);
        for (size_t i = 0; i < way->n && r == 0; i++)
            r = give(store, way->frames + i, err, sizeof(err));
        *byte = was;
        drain(store, g->m.bytes, g->m.len, 0, MIB); /* compares */
        refused += r < 0;
        xha_store_free(store);
    }
    assert_true(refused > 1200);
    way_free(way);
    xha_epoch_sender_free(s);
    guest_free(g);
}

static void memory_is_bounded(void **state)
{
    struct guest *g = guest_of(15, 1, 40);
    struct xha_epoch_sender *s = xha_epoch_sender_new(SLOTS);
    struct xha_store *store = store_of(SLOTS, 2 * MIB);
    struct way *way;
    size_t at = 0, i;
    char err[160] = "";

    (void)state;
    for (uint64_t pfn = 0; pfn < GUEST_PAGES; pfn++)
        memset(g->memory[pfn], 1 + (int)(pfn % 200), 4096);
    for (int n = 0; n < 3; n++)
        guest_pages(g, 0, GUEST_PAGES);
    guest_epoch(g, 1); /* 3 MiB: more than may be held */
    way = send_stream(s, g->m.bytes, g->m.len, MIB, false);
    for (i = 0; i < way->n; i++) {
        if (!xha_store_has_room(store)) {
            assert_true(xha_store_stats(store).waiting > 0);
            at = drain(store, g->m.bytes, g->m.len, at, MIB);
            assert_true(xha_store_has_room(store));
        }
        if (give(store, way->frames + i, err, sizeof(err)) < 0)
            break;
        assert_true(xha_store_stats(store).bytes <= 2 * MIB + SLOTS * 4096);
    }
    assert_true(i < way->n);
    assert_non_null(strstr(err, "allow it more memory"));
    assert_int_equal(xha_store_stats(store).epoch, 1);
    assert_int_equal(drain(store, g->m.bytes, g->m.len, at, MIB), committed(way, i));
    assert_true(xha_store_stats(store).bytes_most <= 2 * MIB + SLOTS * 4096);
    xha_store_free(store);
    xha_epoch_sender_free(s);
    way_free(way);
    guest_free(g);
}

/* ---- streams that are none ---- */

/* Whether the stream is understood to its end. */
static bool is_understood(const uint8_t *bytes, size_t len, char *err, size_t err_len)
{
    struct xha_epoch_sender *s = xha_epoch_sender_new(SLOTS);
    static uint8_t out[XHA_PIECE_BYTES_MAX];
    size_t at = 0, out_len;

    err[0] = '\0';
    while (at < len) {
        const int64_t took = xha_epoch_feed(s, bytes + at, len - at, err, err_len);

        if (took < 0)
            break;
        at += (size_t)took;
        while (xha_epoch_take(s, false, out, &out_len) != XHA_EPOCH_NOTHING)
            ;
    }
    xha_epoch_sender_free(s);
    return at == len;
}

static void other_streams_are_refused(void **state)
{
    struct guest *g = guest_of(16, 1, 1);
    struct made m = { .random = 1 };
    const size_t good = g->m.len;
    char err[160];

    (void)state;
    assert_true(is_understood(g->m.bytes, good, err, sizeof(err)));
    for (size_t at = 0; at <= 41; at++) { /* both headers, as far as they say anything */
        g->m.bytes[at] ^= 0x41;
        assert_true(is_understood(g->m.bytes, 64, err, sizeof(err)) == (at == 40));
        g->m.bytes[at] ^= 0x41;
    }
    made_record(&g->m, 0, 0); /* libxc ends */
    assert_false(is_understood(g->m.bytes, g->m.len, err, sizeof(err)));
    assert_non_null(strstr(err, "it ends"));

    made_headers(&m);
    made_record(&m, 1, 8 + 8 + 4095);
    made_put(&m, (uint32_t[]){ 1, 0, 5, 0 }, 16);
    assert_false(is_understood(m.bytes, m.len, err, sizeof(err)));
    assert_non_null(strstr(err, "not as long"));
    m.len -= 24;
    made_record(&m, 1, 8);
    made_put(&m, (uint32_t[]){ 0, 0 }, 8);
    assert_false(is_understood(m.bytes, m.len, err, sizeof(err)));
    m.len -= 16;
    made_record(&m, 1, 8 + 8 * 1025 + 4096 * 1025);
    made_put(&m, (uint32_t[]){ 1025, 0 }, 8);
    assert_false(is_understood(m.bytes, m.len, err, sizeof(err)));
    m.len -= 16;
    made_record(&m, 9, (128u << 20) + 1);
    assert_false(is_understood(m.bytes, m.len, err, sizeof(err)));
    free(m.bytes);
    guest_free(g);
}

static void ends_and_acks_are_checked(void **state)
{
    const struct xha_epoch_end end = { .epoch = 7, .raw_bytes = 8, .pages = 9, .sum = 10, .pieces = 11 };
    uint8_t bytes[XHA_END_BYTES];
    struct xha_epoch_end got;
    uint64_t epoch;

    (void)state;
    xha_epoch_end_put(&end, bytes);
    assert_int_equal(xha_epoch_end_get(bytes, sizeof(bytes), &got), 0);
    assert_true(got.epoch == 7 && got.raw_bytes == 8 && got.pages == 9 && got.sum == 10 && got.pieces == 11);
    assert_int_equal(xha_epoch_end_get(bytes, sizeof(bytes) - 1, &got), -1);
    bytes[12] = 1;
    assert_int_equal(xha_epoch_end_get(bytes, sizeof(bytes), &got), -1);
    xha_epoch_ack_put(UINT64_MAX, bytes);
    assert_int_equal(xha_epoch_ack_get(bytes, XHA_ACK_BYTES, &epoch), 0);
    assert_true(epoch == UINT64_MAX);
    assert_int_equal(xha_epoch_ack_get(bytes, XHA_ACK_BYTES + 1, &epoch), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_come_back),
        cmocka_unit_test(idle_epochs_are_small),
        cmocka_unit_test(no_epoch_grows),
        cmocka_unit_test(cuts_leave_whole_epochs),
        cmocka_unit_test(short_frames_are_refused),
        cmocka_unit_test(wrong_order_is_refused),
        cmocka_unit_test(ends_must_be_right),
        cmocka_unit_test(damage_is_noticed),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(other_streams_are_refused),
        cmocka_unit_test(ends_and_acks_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

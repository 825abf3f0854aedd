/*
 * The pure parts of the disk gate: the journal's records, cut and damaged at every byte; the map; the state; words.
 */
#include "xhad/disk/gate_disk.h"
#include "xhad/disk/meta.h"
#include "xhad/disk/record.h"
#include "xhad/move/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define DISK_BYTES (1u << 20)

/* ---- a journal in memory ---- */

struct book {
    uint8_t bytes[16384];
    size_t len;
    uint32_t number;
};

static uint8_t data[XHA_RECORD_DATA_MAX];

static void add(struct book *b, enum xha_record_kind kind, uint64_t epoch, uint64_t offset, uint32_t len)
{
    const struct xha_record record = {
        .kind = kind, .generation = 7, .epoch = epoch, .offset = offset, .len = len, .number = b->number++
    };
    uint8_t bytes[512];

    memset(bytes, (int)(epoch * 16 + offset), sizeof(bytes));
    xha_record_put(&record, bytes, b->bytes + b->len);
    b->len += XHA_RECORD_BYTES;
    memcpy(b->bytes + b->len, bytes, xha_record_data_len(&record));
    b->len += xha_record_data_len(&record);
}

static bool read_book(void *arg, uint64_t offset, void *bytes, size_t len)
{
    const struct book *b = arg;

    if (offset < XHA_JOURNAL_HEAD || offset - XHA_JOURNAL_HEAD > b->len ||
        len > b->len - (offset - XHA_JOURNAL_HEAD))
        return false;
    memcpy(bytes, b->bytes + offset - XHA_JOURNAL_HEAD, len);
    return true;
}

static struct xha_journal_reader committed(const struct book *b)
{
    return xha_journal_committed(7, DISK_BYTES, read_book, (void *)(uintptr_t)b, data);
}

/* Epochs 1 to 3; the third has no COMMIT. Where each COMMIT ends is noted. */
static void fill(struct book *b, size_t ends[2])
{
    *b = (struct book){ 0 };
    add(b, XHA_RECORD_WRITE, 1, 0, 100);
    add(b, XHA_RECORD_ZERO, 1, 4096, 70000);
    add(b, XHA_RECORD_END, 1, 0, 0);
    add(b, XHA_RECORD_WRITE, 2, 50, 13); /* begins before the first is committed */
    add(b, XHA_RECORD_COMMIT, 1, 0, 0);
    ends[0] = b->len;
    add(b, XHA_RECORD_WRITE, 2, 512, 512);
    add(b, XHA_RECORD_END, 2, 0, 0);
    add(b, XHA_RECORD_COMMIT, 2, 0, 0);
    ends[1] = b->len;
    add(b, XHA_RECORD_WRITE, 3, 0, 1);
    add(b, XHA_RECORD_END, 3, 0, 0);
}

static void journal_cut_anywhere(void **state)
{
    struct book whole, cut;
    size_t ends[2];

    (void)state;
    fill(&whole, ends);
    for (size_t len = 0; len <= whole.len; len++) {
        const struct xha_journal_reader *reader;
        struct xha_journal_reader got;

        cut = whole;
        cut.len = len;
        got = committed(&cut);
        reader = &got;
        assert_int_equal(reader->epoch, len < ends[0] ? 0 : len < ends[1] ? 1 : 2);
    }
    /* behind the first epoch's END, though the second had begun before its COMMIT */
    cut = whole;
    cut.len = ends[0];
    assert_int_equal(committed(&cut).at, XHA_JOURNAL_HEAD + 3 * XHA_RECORD_BYTES + 100);
}

static void journal_damaged_anywhere(void **state)
{
    struct book whole, bad;
    size_t ends[2];

    (void)state;
    fill(&whole, ends);
    for (size_t at = 0; at < whole.len; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            bad = whole;
            bad.bytes[at] ^= (uint8_t)(1u << bit);
            assert_int_equal(committed(&bad).epoch, at < ends[0] ? 0 : at < ends[1] ? 1 : 2);
        }
    }
}

static void journal_of_another_generation(void **state)
{
    struct book b;
    size_t ends[2];

    (void)state;
    fill(&b, ends);
    assert_int_equal(xha_journal_committed(8, DISK_BYTES, read_book, &b, data).epoch, 0);
    /* nor one that goes beyond the disk's end */
    assert_int_equal(xha_journal_committed(7, 4096 + 69999, read_book, &b, data).epoch, 0);
    assert_int_equal(xha_journal_committed(7, 4096 + 70000, read_book, &b, data).epoch, 2);
}

static void journal_records_in_order(void **state)
{
    struct xha_journal_reader reader;
    struct xha_record record;
    struct book b;
    size_t ends[2];
    unsigned n = 0;

    (void)state;
    fill(&b, ends);
    xha_journal_reader_init(&reader, 7, DISK_BYTES);
    while (xha_journal_next(&reader, read_book, &b, data, &record)) {
        assert_int_equal(record.number, n++);
        if (record.kind == XHA_RECORD_WRITE)
            assert_int_equal(data[0], (uint8_t)(record.epoch * 16 + record.offset));
    }
    assert_int_equal(n, 10);
    /* An epoch that has ended goes on: no. */
    b.number = 10;
    add(&b, XHA_RECORD_WRITE, 3, 0, 1);
    xha_journal_reader_init(&reader, 7, DISK_BYTES);
    for (n = 0; xha_journal_next(&reader, read_book, &b, data, &record); n++)
        ;
    assert_int_equal(n, 10);
}

static void journal_mark(void **state)
{
    uint8_t mark[XHA_JOURNAL_MARK];
    uint64_t generation = 0;

    (void)state;
    xha_journal_mark_put(UINT64_C(0x1122334455667788), mark);
    assert_true(xha_journal_mark_get(mark, &generation));
    assert_int_equal(generation, UINT64_C(0x1122334455667788));
    for (size_t at = 0; at < sizeof(mark); at++) {
        mark[at] ^= 4;
        assert_false(xha_journal_mark_get(mark, &generation));
        mark[at] ^= 4;
    }
}

/* ---- the map ---- */

static void map_sets_and_sweeps(void **state)
{
    struct xha_map *map = xha_map_new(10 * 4096 + 1, 12);

    (void)state;
    assert_int_equal(xha_map_regions(map), 11);
    assert_false(xha_map_has(map, 4095, 2));
    xha_map_set(map, 4095, 2);
    assert_true(xha_map_has(map, 0, 8192));
    assert_false(xha_map_has(map, 0, 8193));
    assert_int_equal(xha_map_count(map), 2);
    xha_map_set(map, 10 * 4096, 1);
    assert_int_equal(xha_map_next(map, 2), 10);
    xha_map_wrote(map, 0, 1, 3);
    xha_map_wrote(map, 4096, 1, 5);
    xha_map_wrote(map, 0, 1, 2); /* a later one stays */
    xha_map_wrote(map, 10 * 4096, 1, XHA_EPOCH_NEVER);
    assert_int_equal(xha_map_sweep(map, 2), 0);
    assert_int_equal(xha_map_sweep(map, 3), 1);
    assert_false(xha_map_is_set(map, 0));
    assert_int_equal(xha_map_sweep(map, UINT64_MAX - 1), 1);
    assert_int_equal(xha_map_next(map, 0), 10);
    xha_map_set_all(map);
    assert_int_equal(xha_map_count(map), 11);
    xha_map_free(map);
}

static void map_on_storage(void **state)
{
    const uint64_t regions = 2 * XHA_MAP_PAGE_REGIONS + 5;
    struct xha_map *map = xha_map_new(regions << 12, 12), *again = xha_map_new(regions << 12, 12);
    uint8_t page[XHA_MAP_PAGE];

    (void)state;
    assert_int_equal(xha_map_pages(map), 3);
    assert_int_equal(xha_map_stale(map, 0), 3);
    xha_map_set(map, (uint64_t)XHA_MAP_PAGE_REGIONS << 12, 1);
    xha_map_set(map, (regions - 1) << 12, 1);
    assert_int_equal(xha_map_stale(map, 0), 1);
    assert_int_equal(xha_map_stale(map, 0), 2);
    assert_int_equal(xha_map_stale(map, 0), 3);
    for (uint64_t p = 0; p < 3; p++) {
        xha_map_page_put(map, p, page);
        assert_true(xha_map_page_add(again, p, page));
    }
    assert_int_equal(xha_map_count(again), 2);
    assert_true(xha_map_is_set(again, XHA_MAP_PAGE_REGIONS));
    /* another page, or a torn one, says that all may differ */
    assert_false(xha_map_page_add(again, 0, page));
    assert_int_equal(xha_map_count(again), XHA_MAP_PAGE_REGIONS + 2);
    page[77] ^= 1;
    assert_false(xha_map_page_add(again, 2, page));
    assert_int_equal(xha_map_count(again), XHA_MAP_PAGE_REGIONS + 1 + 5);
    xha_map_free(map);
    xha_map_free(again);
}

/* ---- the state ---- */

static void meta_round_trip(void **state)
{
    const struct xha_meta meta = { .number = 9,
                                   .size = DISK_BYTES,
                                   .region_shift = 20,
                                   .role = XHA_DISK_STANDBY,
                                   .base = { 1, 2, 3 },
                                   .held = 77,
                                   .cleared = 66 };
    uint8_t bytes[XHA_META_BYTES];
    struct xha_meta got;

    (void)state;
    xha_meta_put(&meta, bytes);
    assert_true(xha_meta_get(bytes, &got));
    assert_memory_equal(&got, &meta, sizeof(meta));
    for (size_t at = 0; at < sizeof(bytes); at++) {
        bytes[at] ^= 1;
        assert_false(xha_meta_get(bytes, &got));
        bytes[at] ^= 1;
    }
}

static void meta_matches(void **state)
{
    struct xha_meta a = { .region_shift = 20, .base = { 1 }, .held = 5, .cleared = 7 };
    struct xha_meta b = { .region_shift = 20, .base = { 1 }, .held = 7, .cleared = 5 };

    (void)state;
    assert_true(xha_meta_match(&a, &b));
    b.held = 6; /* less than what the other relied on: it has lost something */
    assert_false(xha_meta_match(&a, &b));
    assert_false(xha_meta_match(&b, &a));
    b.held = 7;
    b.base[3] = 1;
    assert_false(xha_meta_match(&a, &b));
    memset(a.base, 0, sizeof(a.base));
    memset(b.base, 0, sizeof(b.base)); /* none is no base in common */
    assert_false(xha_meta_match(&a, &b));
}

/* ---- words and names ---- */

static void words(void **state)
{
    struct xha_word word = { .kind = XHA_WORD_WRITE, .len = 5, .offset = 1, .count = 2 }, got;
    uint8_t frame[XHA_GATE_FRAME_HEAD + 5] = { 1 };
    unsigned disk;

    (void)state;
    xha_word_put(&word, frame + 4);
    assert_int_equal(xha_gate_frame_get(frame, sizeof(frame), 2, &disk, &got), 0);
    assert_int_equal(disk, 1);
    assert_memory_equal(&got, &word, sizeof(word));
    assert_int_equal(xha_gate_frame_get(frame, sizeof(frame), 1, &disk, &got), -1);
    assert_int_equal(xha_gate_frame_get(frame, sizeof(frame) - 1, 2, &disk, &got), -1);
    word.len = 0;
    xha_word_put(&word, frame + 4);
    assert_int_equal(xha_word_get(frame + 4, &got), -1);
    word.len = XHA_WORD_DATA_MAX + 1;
    xha_word_put(&word, frame + 4);
    assert_int_equal(xha_word_get(frame + 4, &got), -1);
    frame[4] = XHA_WORD_KIND_N_;
    assert_int_equal(xha_word_get(frame + 4, &got), -1);
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(xha_gate_name("/dev/xha/g1-root"), "g1-root");
    assert_null(xha_gate_name("/dev/vg/g1-root"));
    assert_null(xha_gate_name("/dev/xha/"));
    assert_null(xha_gate_name("/dev/xha/../sda"));
    assert_null(xha_gate_name("/dev/xha/a/b"));
    assert_null(xha_gate_name("/dev/xha/.a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(journal_cut_anywhere),
        cmocka_unit_test(journal_damaged_anywhere),
        cmocka_unit_test(journal_of_another_generation),
        cmocka_unit_test(journal_records_in_order),
        cmocka_unit_test(journal_mark),
        cmocka_unit_test(map_sets_and_sweeps),
        cmocka_unit_test(map_on_storage),
        cmocka_unit_test(meta_round_trip),
        cmocka_unit_test(meta_matches),
        cmocka_unit_test(words),
        cmocka_unit_test(names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

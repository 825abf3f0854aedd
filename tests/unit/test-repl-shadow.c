/*
 * repl/shadow.c: a page keeps its slot until it is old and another wants it; no two share one; the bound holds.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/sim/rng.h"
#include "xhad/repl/codec.h"

#define OLD_EPOCHS 16
#define PFNS       500

static void slots_are_bounded(void **state)
{
    struct xha_slots *s = xha_slots_new(10);

    (void)state;
    assert_int_equal(xha_slots_bytes(s), 0);
    assert_null(xha_slots_page(s, 10));
    assert_null(xha_slots_page(s, XHA_SLOT_NONE));
    assert_int_equal(xha_slots_page(s, 0)[4095], 0);
    assert_int_equal(xha_slots_bytes(s), XHA_PAGE_BYTES);
    xha_slots_page(s, 9)[4095] = 1;
    assert_int_equal(xha_slots_bytes(s), 10 * XHA_PAGE_BYTES);
    xha_slots_free(s);
    assert_null(xha_slots_new(XHA_SLOTS_MAX + 1));
    s = xha_slots_new(0);
    assert_null(xha_slots_page(s, 0));
    xha_slots_free(s);
}

/* Against a list that is searched from end to end. */
static void random_use_is_sound(void **state)
{
    struct sim_rng rng = { 1 };

    (void)state;
    for (uint32_t n_slots = 0; n_slots < 300; n_slots = n_slots * 3 + 1) {
        struct xha_shadow *shadow = xha_shadow_new(n_slots);
        uint32_t slot_of[PFNS], epoch_of[PFNS] = { 0 }, epoch = 0;
        uint64_t evictions = 0;

        memset(slot_of, 0xff, sizeof(slot_of));
        for (int i = 0; i < 20000; i++) {
            const uint64_t pfn = sim_rng_next(&rng) % (i % 2 ? PFNS : n_slots + 1), far = pfn << 40 | pfn;
            const bool keep = sim_rng_chance(&rng, 80);
            struct xha_shadow_place place;

            if (sim_rng_chance(&rng, 12)) {
                xha_shadow_next_epoch(shadow);
                epoch++;
            }
            place = xha_shadow_find(shadow, far, keep);
            assert_true(place.filled == (slot_of[pfn] != XHA_SLOT_NONE));
            assert_true((place.copy != NULL) == (place.slot != XHA_SLOT_NONE));
            assert_true(place.slot == XHA_SLOT_NONE || place.slot < n_slots);
            if (place.filled) {
                assert_int_equal(place.slot, slot_of[pfn]);
                assert_memory_equal(place.copy, &far, sizeof(far));
            } else if (place.copy) {
                assert_true(keep);
                for (unsigned other = 0; other < PFNS; other++) {
                    if (slot_of[other] != place.slot)
                        continue;
                    assert_true(epoch - epoch_of[other] >= OLD_EPOCHS);
                    slot_of[other] = XHA_SLOT_NONE;
                    evictions++;
                }
                memcpy(place.copy, &far, sizeof(far));
            }
            slot_of[pfn] = place.slot;
            epoch_of[pfn] = epoch;
        }
        assert_int_equal(xha_shadow_stats(shadow).evictions, evictions);
        assert_true(xha_shadow_stats(shadow).pages <= n_slots);
        assert_true(evictions > 0 || n_slots < 40); /* fewer are never old */
        xha_shadow_free(shadow);
    }
}

/* A guest that goes through twice as many pages as there are slots, again and again: half of them are deltas. */
static void sweeps_do_not_thrash(void **state)
{
    struct xha_shadow *shadow = xha_shadow_new(100);
    unsigned hits = 0;

    (void)state;
    for (int epoch = 0; epoch < 50; epoch++, xha_shadow_next_epoch(shadow))
        for (uint64_t pfn = 0; pfn < 200; pfn++)
            hits += xha_shadow_find(shadow, pfn, true).filled;
    assert_int_equal(hits, 49 * 100);
    assert_int_equal(xha_shadow_stats(shadow).evictions, 0);
    assert_int_equal(xha_shadow_stats(shadow).refusals, 50 * 100);
    xha_shadow_free(shadow);
}

/* The guest turns to other pages: they get the slots once those before are old. */
static void a_new_working_set_moves_in(void **state)
{
    struct xha_shadow *shadow = xha_shadow_new(100);
    unsigned hits = 0;

    (void)state;
    for (uint64_t pfn = 0; pfn < 100; pfn++)
        xha_shadow_find(shadow, pfn, true);
    for (int epoch = 0; epoch < 40; epoch++, xha_shadow_next_epoch(shadow)) {
        hits = 0;
        for (uint64_t pfn = 1000; pfn < 1100; pfn++)
            hits += xha_shadow_find(shadow, pfn, true).filled;
    }
    assert_int_equal(hits, 100);
    assert_true(xha_shadow_stats(shadow).bytes < 100 * (XHA_PAGE_BYTES + 64) + 4096);
    xha_shadow_free(shadow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_are_bounded),
        cmocka_unit_test(random_use_is_sound),
        cmocka_unit_test(sweeps_do_not_thrash),
        cmocka_unit_test(a_new_working_set_moves_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

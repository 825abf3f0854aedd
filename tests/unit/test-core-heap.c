/*
 * test-core-heap.c - the indexed heap of timers, against a plain array that does the same slowly.
 */
#include "core-driver.h"

#include <stdlib.h>

#include "tests/sim/rng.h"
#include "xhad/core/internal.h"

#define ITEMS 64

static int64_t model[ITEMS]; /* -1: not in it */

static struct heap heap_new(void)
{
    struct heap h = { .max = ITEMS };

    h.item = calloc(ITEMS, sizeof(*h.item));
    h.pos = calloc(ITEMS, sizeof(*h.pos));
    assert_true(h.item && h.pos);
    memset(h.pos, 0xff, ITEMS * sizeof(*h.pos));
    for (unsigned i = 0; i < ITEMS; i++)
        model[i] = -1;
    return h;
}

static void heap_end(struct heap *h)
{
    free(h->item);
    free(h->pos);
}

static void check_top(const struct heap *h)
{
    uint32_t n = 0, best = NONE32;

    for (uint32_t i = 0; i < ITEMS; i++) {
        assert_int_equal(xha_heap_has(h, i), model[i] >= 0);
        n += model[i] >= 0;
        if (model[i] >= 0 && (best == NONE32 || model[i] < model[best]))
            best = i;
    }
    assert_int_equal(h->n, n);
    if (n) {
        assert_int_equal(h->item[0].key, model[best]);
        assert_int_equal(h->item[0].what, best); /* of equal keys the lower number */
    }
    xha_heap_audit(h);
}

static void test_against_model(void **state)
{
    struct heap h = heap_new();
    struct sim_rng rng = { 42 };

    (void)state;
    for (unsigned k = 0; k < 20000; k++) {
        uint32_t what = (uint32_t)sim_rng_range(&rng, 0, ITEMS - 1);

        if (sim_rng_chance(&rng, 60)) {
            model[what] = sim_rng_range(&rng, 0, 30);
            xha_heap_set(&h, what, model[what]);
        } else {
            model[what] = -1;
            xha_heap_drop(&h, what);
        }
        check_top(&h);
    }
    heap_end(&h);
}

static void test_full_and_empty(void **state)
{
    struct heap h = heap_new();

    (void)state;
    for (uint32_t i = 0; i < ITEMS; i++)
        xha_heap_set(&h, i, model[i] = ITEMS - i);
    check_top(&h);
    while (h.n) {
        uint32_t top = h.item[0].what;

        xha_heap_drop(&h, top);
        model[top] = -1;
        check_top(&h);
    }
    xha_heap_drop(&h, 3); /* not in it: nothing happens */
    check_top(&h);
    xha_heap_set(&h, 3, model[3] = INT64_MAX);
    check_top(&h);
    heap_end(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_full_and_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

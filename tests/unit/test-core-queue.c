/*
 * test-core-queue.c - whose turn it is: each order, ties, the parallel limit, tiers, live changes.
 */
#include "core-driver.h"

/* Protects five domains that differ, one worker at a time, and says in which order they are started. */
static void run_order(enum xha_order which, const uint8_t wanted[5])
{
    static const struct {
        uint32_t priority;
        uint64_t memory_kib;
    } kind[5] = { { 100, 5000 }, { 300, 4000 }, { 200, 3000 }, { 300, 2000 }, { 0, 1000 } };
    struct driver d;

    driver_begin(&d, 8);
    d.set.order = which;
    d.set.parallel = 1;
    xha_core_free(d.core);
    assert_int_equal(xha_core_new(&d.set, 1, &d.core), 0);
    for (uint8_t n = 0; n < 5; n++) {
        d.policy.priority = kind[n].priority;
        d.policy.memory_kib = kind[n].memory_kib;
        protect(&d, n);
        d.now_ms += 5;
    }
    d.now_ms += 10;
    round_end(&d, true);
    for (uint8_t k = 0; k < 5; k++) {
        const struct xha_action *act = planned(&d, XHA_ACT_START, 0);

        assert_non_null(act);
        assert_null(planned(&d, XHA_ACT_START, 1));
        assert_int_equal(act->uuid.b[15], wanted[k]);
        d.now_ms += 100;
        done(&d, wanted[k], act->id, XHA_OK, 10 + k);
    }
    driver_end(&d);
}

static void test_orders(void **state)
{
    (void)state;
    run_order(XHA_ORDER_PRIORITY, (const uint8_t[]){ 1, 3, 2, 0, 4 });
    run_order(XHA_ORDER_FCFS, (const uint8_t[]){ 0, 1, 2, 3, 4 });
    run_order(XHA_ORDER_SJF, (const uint8_t[]){ 4, 3, 2, 1, 0 });
    run_order(XHA_ORDER_SRTF, (const uint8_t[]){ 4, 3, 2, 1, 0 });
    run_order(XHA_ORDER_RR, (const uint8_t[]){ 0, 1, 2, 3, 4 });
}

static void test_parallel(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d, 8);
    for (uint8_t n = 0; n < 6; n++)
        protect(&d, n);
    d.now_ms += 10;
    round_end(&d, true);
    assert_non_null(planned(&d, XHA_ACT_START, 3));
    assert_null(planned(&d, XHA_ACT_START, 4));
    driver_end(&d);
}

static void test_tiers(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d, 8);
    d.policy.start_order = 1;
    protect(&d, 1);
    d.policy.start_order = 0;
    protect(&d, 0);
    d.now_ms += 10;
    round_end(&d, true);
    assert_int_equal(planned(&d, XHA_ACT_START, 0)->uuid.b[15], 0);
    assert_null(planned(&d, XHA_ACT_START, 1));
    done(&d, 0, d.last_id, XHA_OK, 1);
    assert_null(planned(&d, XHA_ACT_START, 0)); /* started is not ready */
    d.now_ms += 1000;
    seen(&d, 0, 1, 7);
    assert_non_null(planned(&d, XHA_ACT_START, 0));
    driver_end(&d);
}

static void test_nothing_before_the_first_round(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d, 8);
    protect(&d, 0);
    for (int i = 0; i < 5; i++) {
        d.now_ms += 6000;
        tick(&d);
        assert_null(planned(&d, XHA_ACT_START, 0));
    }
    driver_end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_parallel),
        cmocka_unit_test(test_tiers),
        cmocka_unit_test(test_nothing_before_the_first_round),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * test-core-step.c - xha_core_step() as such: time, ids, full plans, full tables, and events that make no
 * sense.
 */
#include "core-driver.h"

#include <stdlib.h>

static void test_time_going_back(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d, 4);
    make_run(&d, 1, 5);
    d.now_ms += 1000;
    seen_shut(&d, 1, 5, XHA_SHUTDOWN_CRASH);
    assert_int_equal(view_of(&d, 1).since.ms, d.now_ms);
    d.now_ms -= 100000; /* taken as the time of the event before */
    done(&d, 1, d.last_id, XHA_OK, XHA_DOMID_NONE);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_STARTING);
    assert_int_equal(view_of(&d, 1).since.ms, d.now_ms + 100000);
    driver_end(&d);
}

static void test_ids_go_on(void **state)
{
    struct xha_settings set = settings_usual(4);
    struct driver d;

    (void)state;
    driver_begin(&d, 4);
    xha_core_free(d.core);
    assert_int_equal(xha_core_new(&set, 5000, &d.core), 0);
    make_run(&d, 1, 5);
    assert_true(d.last_id >= 5000);
    for (int i = 0; i < 20; i++) {
        uint64_t before = d.last_id;

        assert_int_equal(order(&d, 1, XHA_DO_SCHED), 0);
        assert_true(d.last_id > before);
        assert_true(d.plan.action[0].cause_id < d.last_id);
        done(&d, 1, d.last_id, XHA_OK, XHA_DOMID_NONE);
    }
    driver_end(&d);
}

static void test_deed_after_persist(void **state)
{
    struct driver d;
    struct xha_uuid uuid = uuid_of(1);
    struct xha_record r;

    (void)state;
    driver_begin(&d, 4);
    make_run(&d, 1, 5);
    d.now_ms += 1000;
    seen_shut(&d, 1, 5, XHA_SHUTDOWN_CRASH);
    assert_non_null(planned(&d, XHA_ACT_DESTROY, 0));
    assert_true(planned(&d, XHA_ACT_PERSIST, 0) < planned(&d, XHA_ACT_DESTROY, 0));
    assert_int_equal(xha_core_record(d.core, &uuid, &r), 0);
    assert_int_equal(r.pending, XHA_ACT_DESTROY);
    assert_int_equal(r.pending_id, d.last_id);
    driver_end(&d);
}

/* 200 domains crash in one listing that is found by absence: more than one plan holds. */
static void test_full_plan_goes_on(void **state)
{
    struct driver d;
    unsigned vanished = 0, steps = 0;

    (void)state;
    driver_begin(&d, 250);
    d.policy.autostart = false;
    d.policy.heartbeat = XHA_BEAT_NONE;
    for (unsigned n = 0; n < 250; n++)
        protect(&d, (uint8_t)n);
    d.now_ms += 10;
    for (unsigned n = 0; n < 250; n++) {
        seen(&d, (uint8_t)n, (int32_t)n + 1, 0);
        done(&d, (uint8_t)n, d.last_id, XHA_OK, XHA_DOMID_NONE);
    }
    round_end(&d, true);
    d.now_ms += 1000;
    round_end(&d, true);
    for (;;) {
        assert_true(d.plan.n <= XHA_PLAN_MAX);
        for (uint32_t i = 0; i < d.plan.n; i++)
            vanished +=
                d.plan.action[i].type == XHA_ACT_NOTE && d.plan.action[i].u.note.to == XHA_ST_VANISHED;
        if (!d.plan.more)
            break;
        assert_true(++steps < 20);
        tick(&d);
    }
    assert_true(steps > 0);
    assert_int_equal(vanished, 250);
    driver_end(&d);
}

static void test_full_table(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d, 3);
    for (uint8_t n = 0; n < 3; n++)
        assert_int_equal(protect(&d, n), 0);
    assert_int_equal(protect(&d, 3), XHA_CORE_E_FULL);
    assert_int_equal(xha_core_count(d.core), 3);
    assert_int_equal(protect(&d, 1), 0); /* known already: a new policy */
    assert_int_equal(driver_step(&d, (struct xha_event){ .type = XHA_EV_UNPROTECT, .uuid = uuid_of(1) }), 0);
    assert_non_null(planned(&d, XHA_ACT_FORGET, 0));
    assert_null(planned(&d, XHA_ACT_PERSIST, 0));
    assert_int_equal(protect(&d, 3), 0);
    assert_int_equal(protect(&d, 1), XHA_CORE_E_FULL);
    driver_end(&d);
}

static void test_events_that_make_no_sense(void **state)
{
    struct driver d;
    struct xha_event ev;

    (void)state;
    driver_begin(&d, 4);
    make_run(&d, 1, 5);
    assert_int_equal(seen(&d, 9, 5, 1), XHA_CORE_E_NODOMAIN);
    assert_int_equal(done(&d, 9, 1, XHA_OK, 5), XHA_CORE_E_NODOMAIN);
    assert_int_equal(done(&d, 1, 12345, XHA_OK, 5), XHA_CORE_E_INVAL);
    assert_int_equal(driver_step(&d, (struct xha_event){ .type = XHA_EV_UNPROTECT, .uuid = uuid_of(9) }),
                     XHA_CORE_E_NODOMAIN);
    assert_int_equal(driver_step(&d, (struct xha_event){ .type = (enum xha_event_type)99 }),
                     XHA_CORE_E_INVAL);
    assert_int_equal(driver_step(&d, (struct xha_event){ .type = XHA_EV_TICK, .host = 64 }),
                     XHA_CORE_E_INVAL);
    ev = seen_event(&d, 1, 5, 3);
    ev.host = 7; /* not where it lives */
    assert_int_equal(driver_step(&d, ev), XHA_CORE_E_NODOMAIN);
    ev = (struct xha_event){ .type = XHA_EV_PROBED, .uuid = uuid_of(1) };
    ev.u.probed.domid = 99;
    assert_int_equal(driver_step(&d, ev), XHA_CORE_E_NODOMAIN);
    ev = (struct xha_event){ .type = XHA_EV_RECALL, .uuid = uuid_of(2) };
    ev.u.protect.policy = &d.policy;
    assert_int_equal(driver_step(&d, ev), XHA_CORE_E_INVAL); /* no record */
    order(&d, 1, XHA_DO_SCHED);
    ev = (struct xha_event){ .type = XHA_EV_DONE, .uuid = uuid_of(1) };
    ev.u.done.id = d.last_id;
    ev.u.done.result = (enum xha_result)9;
    assert_int_equal(driver_step(&d, ev), XHA_CORE_E_INVAL);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_RUNNING);
    assert_int_equal(done(&d, 1, d.last_id, XHA_OK, XHA_DOMID_NONE), 0);
    assert_int_equal(done(&d, 1, d.last_id, XHA_OK, XHA_DOMID_NONE), XHA_CORE_E_INVAL); /* told twice */
    driver_end(&d);
}

/* Any reason byte that a guest can give. */
static void test_every_shutdown_reason(void **state)
{
    (void)state;
    for (int reason = 0; reason < 256; reason++) {
        struct driver d;
        struct xha_view v;

        driver_begin(&d, 2);
        make_run(&d, 1, 5);
        d.now_ms += 6000; /* longer than backoff_min after its start: a reboot is served at once */
        seen_shut(&d, 1, 5, (uint8_t)reason);
        round_end(&d, true);
        v = view_of(&d, 1);
        if (reason == XHA_SHUTDOWN_SUSPEND)
            assert_int_equal(v.state, XHA_ST_PAUSED);
        else
            assert_int_equal(v.state, XHA_ST_CLEARING);
        if (reason > XHA_SHUTDOWN_WATCHDOG || reason == XHA_SHUTDOWN_CRASH)
            assert_int_equal(v.failure, XHA_FAIL_CRASH);
        driver_end(&d);
    }
}

/* Xen gives domids anew when they have wrapped: another domain under the old domid is not ours. */
static void test_domid_reuse(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d, 4);
    make_run(&d, 1, 5);
    make_run(&d, 2, 6);
    d.now_ms += 1000;
    seen(&d, 2, 5, 9); /* number 2 is there under the domid that number 1 had; number 1 is gone */
    round_end(&d, true);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_VANISHED);
    assert_int_equal(view_of(&d, 1).domid, XHA_DOMID_NONE);
    assert_int_equal(view_of(&d, 2).domid, 5);
    assert_null(planned(&d, XHA_ACT_DESTROY, 0));
    driver_end(&d);
}

static void test_odd_sightings(void **state)
{
    struct driver d;
    struct xha_event ev;

    (void)state;
    driver_begin(&d, 4);
    make_run(&d, 1, 5);
    for (int32_t domid = -3; domid <= 0; domid++) { /* dom0 and worse are none of ours */
        d.now_ms += 10;
        seen(&d, 1, domid, 3);
        assert_int_equal(view_of(&d, 1).domid, 5);
    }
    d.now_ms += 1000;
    ev = seen_event(&d, 1, 5, UINT64_MAX);
    ev.u.seen.cpu_time_ns = UINT64_MAX;
    assert_int_equal(driver_step(&d, ev), 0);
    d.now_ms += 1000;
    assert_int_equal(seen(&d, 1, 5, 1),
                     0); /* a counter that steps back is a beat, too: the agent was restarted */
    round_end(&d, true);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_RUNNING);
    assert_int_equal(view_of(&d, 1).last_beat.ms, d.now_ms);
    driver_end(&d);
}

static void test_settings(void **state)
{
    struct driver d;
    struct xha_event ev = { .type = XHA_EV_SETTINGS };
    struct xha_settings bad = settings_usual(4);
    struct xha_core *core;

    (void)state;
    driver_begin(&d, 4);
    ev.u.settings = d.set;
    ev.u.settings.max_domains = 5; /* cannot change */
    assert_int_equal(driver_step(&d, ev), XHA_CORE_E_INVAL);
    ev.u.settings = d.set;
    ev.u.settings.parallel = 0;
    assert_int_equal(driver_step(&d, ev), XHA_CORE_E_INVAL);
    ev.u.settings = d.set;
    ev.u.settings.order = XHA_ORDER_RR;
    assert_int_equal(driver_step(&d, ev), 0);
    driver_end(&d);
    bad.order = XHA_ORDER_N_;
    assert_int_equal(xha_core_new(&bad, 1, &core), XHA_CORE_E_INVAL);
    bad = settings_usual(0);
    assert_int_equal(xha_core_new(&bad, 1, &core), XHA_CORE_E_INVAL);
}

static void test_bad_policies(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d, 4);
    d.policy.max_restarts = XHA_HISTORY_MAX + 1;
    assert_int_equal(protect(&d, 1), XHA_CORE_E_INVAL);
    d.policy = policy_usual();
    d.policy.start_order = XHA_TIERS;
    assert_int_equal(protect(&d, 1), XHA_CORE_E_INVAL);
    d.policy = policy_usual();
    d.policy.react[XHA_FAIL_HANG] = XHA_REACT_N_;
    assert_int_equal(protect(&d, 1), XHA_CORE_E_INVAL);
    d.policy = policy_usual();
    d.policy.backoff_max.ms = d.policy.backoff_min.ms - 1;
    assert_int_equal(protect(&d, 1), XHA_CORE_E_INVAL);
    assert_int_equal(xha_core_count(d.core), 0);
    driver_end(&d);
}

static void test_bytes(void **state)
{
    struct xha_settings few = settings_usual(10), many = settings_usual(10000);

    (void)state;
    assert_true(xha_core_bytes(&few) < xha_core_bytes(&many));
    assert_true((xha_core_bytes(&many) - xha_core_bytes(&few)) / 9990 < 2048);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_going_back),
        cmocka_unit_test(test_ids_go_on),
        cmocka_unit_test(test_deed_after_persist),
        cmocka_unit_test(test_full_plan_goes_on),
        cmocka_unit_test(test_full_table),
        cmocka_unit_test(test_events_that_make_no_sense),
        cmocka_unit_test(test_every_shutdown_reason),
        cmocka_unit_test(test_domid_reuse),
        cmocka_unit_test(test_odd_sightings),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_bad_policies),
        cmocka_unit_test(test_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

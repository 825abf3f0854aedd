/*
 * test-core-take.c - what a cluster says of whose a domain is: taken, yielded, given up, and no quorum.
 */
#include "core-driver.h"

/* A listing without anything of ours, a moment later. */
static void nothing_there(struct driver *d)
{
    d->now_ms += 10;
    round_end(d, true);
}

static void test_taken_and_started(void **state)
{
    struct driver d;
    const struct xha_action *start;

    (void)state;
    driver_begin(&d, 4);
    permit(&d, true);
    assert_int_equal(take(&d, 1, XHA_FOR_RECOVERY), 0);
    assert_non_null(planned(&d, XHA_ACT_LOOK, 0));
    assert_null(planned(&d, XHA_ACT_START, 0)); /* looked up first */
    nothing_there(&d);
    start = planned(&d, XHA_ACT_START, 0);
    assert_non_null(start);
    assert_int_equal(start->term >> 24, 7);
    assert_int_equal(take(&d, 1, XHA_FOR_START), XHA_CORE_E_BUSY);
    driver_end(&d);
}

static void test_taken_and_found(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d, 4);
    permit(&d, true);
    take(&d, 1, XHA_FOR_RECOVERY);
    d.now_ms += 10;
    seen(&d, 1, 5, 9);
    round_end(&d, true);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_BOOTING);
    assert_null(planned(&d, XHA_ACT_START, 0));
    driver_end(&d);
}

/* A corpse of it is here: that is no new failure, it is cleared and started. */
static void test_taken_and_found_dead(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d, 4);
    permit(&d, true);
    take(&d, 1, XHA_FOR_RECOVERY);
    d.now_ms += 10;
    seen_shut(&d, 1, 5, XHA_SHUTDOWN_POWEROFF);
    round_end(&d, true);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_CLEARING);
    done(&d, 1, d.last_id, XHA_OK, XHA_DOMID_NONE);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_STARTING);
    driver_end(&d);
}

static void test_checkpoint_is_restored_elsewhere(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d, 4);
    d.policy.protection = XHA_PROT_CHECKPOINT;
    permit(&d, true);
    take(&d, 1, XHA_FOR_RECOVERY);
    nothing_there(&d);
    assert_non_null(planned(&d, XHA_ACT_RESTORE, 0));
    driver_end(&d);
}

static void test_no_quorum_no_start(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d, 4);
    permit(&d, false);
    take(&d, 1, XHA_FOR_START);
    nothing_there(&d);
    nothing_there(&d);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_QUEUED);
    permit(&d, true);
    assert_non_null(planned(&d, XHA_ACT_START, 0));
    driver_end(&d);
}

/* A crash without quorum: it waits, what remains is not even cleared. A stop goes on. */
static void test_no_quorum_no_recovery(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d, 4);
    permit(&d, true);
    make_run(&d, 1, 5);
    make_run(&d, 2, 6);
    permit(&d, false);
    d.now_ms += 1000;
    seen(&d, 2, 6, 2);
    seen_shut(&d, 1, 5, XHA_SHUTDOWN_CRASH);
    round_end(&d, true);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_QUEUED);
    assert_null(planned(&d, XHA_ACT_DESTROY, 0));
    assert_int_equal(order(&d, 2, XHA_DO_RESTORE), XHA_CORE_E_QUORUM);
    assert_int_equal(order(&d, 2, XHA_DO_STOP), 0);
    assert_non_null(planned(&d, XHA_ACT_SHUTDOWN, 0));
    permit(&d, true);
    assert_non_null(planned(&d, XHA_ACT_DESTROY, 0));
    driver_end(&d);
}

static void crash_while_cleared(struct driver *d)
{
    driver_begin(d, 4);
    permit(d, true);
    make_run(d, 1, 5);
    d->now_ms += 1000;
    seen_shut(d, 1, 5, XHA_SHUTDOWN_CRASH);
    assert_non_null(planned(d, XHA_ACT_DESTROY, 0));
    permit(d, false);
}

static void test_quorum_lost_while_cleared(void **state)
{
    struct driver d;

    (void)state;
    crash_while_cleared(&d);
    done(&d, 1, d.last_id, XHA_OK, XHA_DOMID_NONE);
    assert_null(planned(&d, XHA_ACT_START, 0));
    assert_int_equal(view_of(&d, 1).state, XHA_ST_QUEUED);
    permit(&d, true);
    assert_non_null(planned(&d, XHA_ACT_START, 0));
    driver_end(&d);

    crash_while_cleared(&d);
    done(&d, 1, d.last_id, XHA_REFUSED, XHA_DOMID_NONE);
    for (int i = 0; i < 60; i++) {
        d.now_ms += 1000;
        tick(&d);
        assert_null(planned(&d, XHA_ACT_DESTROY, 0));
    }
    driver_end(&d);
}

/* A checkpoint's worker dies without quorum: the guest stays suspended until there is one. */
static void test_no_quorum_no_resume(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d, 4);
    d.policy.protection = XHA_PROT_CHECKPOINT;
    permit(&d, true);
    make_run(&d, 1, 5);
    assert_int_equal(order(&d, 1, XHA_DO_CHECKPOINT), 0);
    permit(&d, false);
    done(&d, 1, d.last_id, XHA_UNKNOWN, XHA_DOMID_NONE);
    assert_null(planned(&d, XHA_ACT_RESUME, 0));
    d.now_ms += 100;
    seen_shut(&d, 1, 5, XHA_SHUTDOWN_SUSPEND);
    assert_null(planned(&d, XHA_ACT_RESUME, 0));
    permit(&d, true);
    d.now_ms += 100;
    seen_shut(&d, 1, 5, XHA_SHUTDOWN_SUSPEND);
    assert_non_null(planned(&d, XHA_ACT_RESUME, 0));
    driver_end(&d);
}

/* ---- yielded ---- */

static void test_yield_destroys_until_none_is_there(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d, 4);
    make_run(&d, 1, 5);
    permit(&d, false); /* it needs no quorum */
    assert_int_equal(yield(&d, 1, XHA_YIELD_DESTROY), 0);
    assert_null(planned(&d, XHA_ACT_FORGET, 0));
    d.now_ms += 10;
    seen(&d, 1, 5, 2);
    assert_int_equal(planned(&d, XHA_ACT_DESTROY, 0)->u.deed.domid, 5);
    done(&d, 1, d.last_id, XHA_OK, XHA_DOMID_NONE);
    assert_null(planned(&d, XHA_ACT_FORGET, 0)); /* whether that was all of it? */
    d.now_ms += 10;
    seen(&d, 1, 6, 2);
    assert_int_equal(planned(&d, XHA_ACT_DESTROY, 0)->u.deed.domid, 6);
    done(&d, 1, d.last_id, XHA_OK, XHA_DOMID_NONE);
    nothing_there(&d);
    assert_non_null(planned(&d, XHA_ACT_FORGET, 0));
    assert_false(known(&d, 1));
    driver_end(&d);
}

static void test_yield_of_two(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d, 4);
    make_run(&d, 1, 5);
    yield(&d, 1, XHA_YIELD_DESTROY);
    d.now_ms += 10;
    seen(&d, 1, 6, 2);
    seen(&d, 1, 5, 2);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_CLEARING);
    done(&d, 1, d.last_id, XHA_OK, XHA_DOMID_NONE);
    d.now_ms += 10;
    seen(&d, 1, view_of(&d, 1).domid == 6 ? 5 : 6, 3);
    assert_non_null(planned(&d, XHA_ACT_DESTROY, 0));
    driver_end(&d);
}

/* A deed is under way: the yield waits for its end, and what it made is destroyed. */
static void test_yield_waits_for_a_start(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d, 4);
    permit(&d, true);
    take(&d, 1, XHA_FOR_START);
    nothing_there(&d);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_STARTING);
    assert_int_equal(yield(&d, 1, XHA_YIELD_DESTROY), 0);
    assert_int_equal(order(&d, 1, XHA_DO_STOP), XHA_CORE_E_BUSY);
    done(&d, 1, d.last_id, XHA_OK, 5);
    d.now_ms += 10;
    seen(&d, 1, 5, 1);
    assert_int_equal(planned(&d, XHA_ACT_DESTROY, 0)->u.deed.domid, 5);
    done(&d, 1, d.last_id, XHA_REFUSED, XHA_DOMID_NONE);
    d.now_ms += 60000;
    tick(&d);
    assert_non_null(planned(&d, XHA_ACT_DESTROY, 0)); /* tried again */
    done(&d, 1, d.last_id, XHA_UNKNOWN, XHA_DOMID_NONE);
    nothing_there(&d);
    assert_false(known(&d, 1));
    driver_end(&d);
}

static void test_yield_stop(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d, 4);
    make_run(&d, 1, 5);
    assert_int_equal(yield(&d, 1, XHA_YIELD_STOP), 0);
    assert_non_null(planned(&d, XHA_ACT_SHUTDOWN, 0));
    done(&d, 1, d.last_id, XHA_OK, XHA_DOMID_NONE);
    d.now_ms += 1000;
    seen_shut(&d, 1, 5, XHA_SHUTDOWN_POWEROFF);
    assert_non_null(planned(&d, XHA_ACT_DESTROY, 0));
    done(&d, 1, d.last_id, XHA_OK, XHA_DOMID_NONE);
    nothing_there(&d);
    assert_false(known(&d, 1));
    driver_end(&d);
}

/* One that somebody holds is not stopped behind his back; one at rest is only looked for. */
static void test_yield_stop_of_others(void **state)
{
    struct driver d;
    struct xha_event ev;

    (void)state;
    driver_begin(&d, 4);
    make_run(&d, 1, 5);
    d.now_ms += 1000;
    ev = seen_event(&d, 1, 5, 2);
    ev.u.seen.paused = true;
    driver_step(&d, ev);
    assert_int_equal(yield(&d, 1, XHA_YIELD_STOP), XHA_CORE_E_STATE);
    assert_int_equal(yield(&d, 9, XHA_YIELD_STOP), XHA_CORE_E_NODOMAIN);
    assert_int_equal(yield(&d, 1, XHA_YIELD_N_), XHA_CORE_E_INVAL);

    d.policy.autostart = false;
    protect(&d, 2);
    nothing_there(&d);
    assert_int_equal(yield(&d, 2, XHA_YIELD_STOP), 0);
    nothing_there(&d);
    assert_false(known(&d, 2));
    driver_end(&d);
}

static void test_yield_leave(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d, 4);
    make_run(&d, 1, 5);
    order(&d, 1, XHA_DO_SCHED);
    assert_int_equal(yield(&d, 1, XHA_YIELD_LEAVE), 0);
    assert_true(known(&d, 1)); /* a worker is at it */
    done(&d, 1, d.last_id, XHA_OK, XHA_DOMID_NONE);
    assert_false(known(&d, 1));
    assert_null(planned(&d, XHA_ACT_DESTROY, 0));
    driver_end(&d);
}

/* The host is restarted over a yield: what it was asked to stop is gone with it. */
static void test_yield_stop_over_a_restart(void **state)
{
    for (int reboot = 0; reboot < 2; reboot++) {
        struct driver d;
        struct xha_record r;
        struct xha_uuid uuid = uuid_of(1);
        struct xha_event ev = { .type = XHA_EV_RECALL, .uuid = uuid_of(1) };

        (void)state;
        driver_begin(&d, 4);
        make_run(&d, 1, 5);
        yield(&d, 1, XHA_YIELD_STOP);
        done(&d, 1, d.last_id, XHA_OK, XHA_DOMID_NONE);
        assert_int_equal(xha_core_record(d.core, &uuid, &r), 0);
        xha_core_free(d.core);
        assert_int_equal(xha_core_new(&d.set, 1000, &d.core), 0);
        if (reboot)
            r.domid = XHA_DOMID_OLD;
        ev.u.protect.policy = &d.policy;
        ev.u.protect.record = &r;
        assert_int_equal(driver_step(&d, ev), 0);
        if (reboot) {
            nothing_there(&d);
            assert_false(known(&d, 1));
        } else { /* it does not obey */
            d.now_ms += d.policy.stop_timeout.ms;
            tick(&d);
            assert_non_null(planned(&d, XHA_ACT_DESTROY, 0));
        }
        driver_end(&d);
    }
}

/* xhad dies while it yields: it goes on with that, and adopts nothing. */
static void test_yield_is_remembered(void **state)
{
    struct driver d;
    struct xha_record r;
    struct xha_uuid uuid = uuid_of(1);
    struct xha_event ev = { .type = XHA_EV_RECALL, .uuid = uuid_of(1) };

    (void)state;
    driver_begin(&d, 4);
    make_run(&d, 1, 5);
    yield(&d, 1, XHA_YIELD_DESTROY);
    assert_int_equal(xha_core_record(d.core, &uuid, &r), 0);
    xha_core_free(d.core);
    assert_int_equal(xha_core_new(&d.set, 1000, &d.core), 0);
    ev.u.protect.policy = &d.policy;
    ev.u.protect.record = &r;
    assert_int_equal(driver_step(&d, ev), 0);
    d.now_ms += 10;
    seen(&d, 1, 5, 2);
    assert_non_null(planned(&d, XHA_ACT_DESTROY, 0));
    driver_end(&d);
}

/* ---- given up ---- */

static int start_refused(struct driver *d, enum xha_refusal refusal)
{
    struct xha_event ev = { .type = XHA_EV_DONE, .uuid = uuid_of(1) };

    ev.u.done.id = d->last_id;
    ev.u.done.result = XHA_REFUSED;
    ev.u.done.refusal = refusal;
    ev.u.done.domid = XHA_DOMID_NONE;
    return driver_step(d, ev);
}

static void test_no_memory_is_given_up(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d, 4);
    permit(&d, true);
    take(&d, 1, XHA_FOR_START);
    nothing_there(&d);
    start_refused(&d, XHA_REFUSAL_NO_MEMORY);
    assert_non_null(planned(&d, XHA_ACT_GIVE_UP, 0));
    assert_true(view_of(&d, 1).given_up);
    for (int i = 0; i < 100; i++) {
        d.now_ms += 10000;
        round_end(&d, true);
        assert_null(planned(&d, XHA_ACT_START, 0)); /* it may be another host's by now */
    }
    assert_int_equal(order(&d, 1, XHA_DO_START), XHA_CORE_E_BUSY);
    yield(&d, 1, XHA_YIELD_DESTROY);
    nothing_there(&d);
    assert_false(known(&d, 1));
    driver_end(&d);
}

static void test_other_refusals_up_to_the_limit(void **state)
{
    struct driver d;
    int starts = 0;

    (void)state;
    driver_begin(&d, 4);
    d.policy.max_restarts = 2;
    permit(&d, true);
    take(&d, 1, XHA_FOR_START);
    nothing_there(&d);
    while (!planned(&d, XHA_ACT_GIVE_UP, 0) && starts < 10) {
        if (planned(&d, XHA_ACT_START, 0)) {
            starts++;
            start_refused(&d, XHA_REFUSAL_OTHER);
            continue;
        }
        d.now_ms += 1000;
        round_end(&d, true);
    }
    assert_int_equal(starts, 3);
    driver_end(&d);
}

/* On a single host nobody else could take it. */
static void test_single_host_gives_nothing_up(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d, 4);
    protect(&d, 1);
    nothing_there(&d);
    start_refused(&d, XHA_REFUSAL_NO_MEMORY);
    assert_null(planned(&d, XHA_ACT_GIVE_UP, 0));
    d.now_ms += 10000;
    tick(&d);
    assert_non_null(planned(&d, XHA_ACT_START, 0));
    driver_end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken_and_started),
        cmocka_unit_test(test_taken_and_found),
        cmocka_unit_test(test_taken_and_found_dead),
        cmocka_unit_test(test_checkpoint_is_restored_elsewhere),
        cmocka_unit_test(test_no_quorum_no_start),
        cmocka_unit_test(test_no_quorum_no_recovery),
        cmocka_unit_test(test_quorum_lost_while_cleared),
        cmocka_unit_test(test_no_quorum_no_resume),
        cmocka_unit_test(test_yield_destroys_until_none_is_there),
        cmocka_unit_test(test_yield_of_two),
        cmocka_unit_test(test_yield_waits_for_a_start),
        cmocka_unit_test(test_yield_stop),
        cmocka_unit_test(test_yield_stop_of_others),
        cmocka_unit_test(test_yield_leave),
        cmocka_unit_test(test_yield_stop_over_a_restart),
        cmocka_unit_test(test_yield_is_remembered),
        cmocka_unit_test(test_no_memory_is_given_up),
        cmocka_unit_test(test_other_refusals_up_to_the_limit),
        cmocka_unit_test(test_single_host_gives_nothing_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

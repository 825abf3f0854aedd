/*
 * test-core-recall.c - what is persisted of a domain and given back to a new core: nothing is lost, and
 * records that make no sense are refused.
 */
#include "core-driver.h"

static int recall(struct driver *d, uint8_t n, const struct xha_record *r)
{
    struct xha_event ev = { .type = XHA_EV_RECALL, .uuid = uuid_of(n) };

    ev.u.protect.policy = &d->policy;
    ev.u.protect.record = r;
    return driver_step(d, ev);
}

static struct xha_record record_of(const struct driver *d, uint8_t n)
{
    struct xha_uuid uuid = uuid_of(n);
    struct xha_record r;

    assert_int_equal(xha_core_record(d->core, &uuid, &r), 0);
    return r;
}

/* xhad dies and comes back: a new core, with what the old one had persisted. */
static void reborn(struct driver *d, uint8_t n)
{
    struct xha_record r = record_of(d, n);

    xha_core_free(d->core);
    assert_int_equal(xha_core_new(&d->set, d->last_id + 1000, &d->core), 0);
    assert_int_equal(recall(d, n, &r), 0);
}

static void test_running_is_adopted(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d, 4);
    make_run(&d, 1, 5);
    reborn(&d, 1);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_UNSURE);
    d.now_ms += 10;
    seen(&d, 1, 5, 4);
    round_end(&d, true);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_RUNNING);
    assert_null(planned(&d, XHA_ACT_START, 0));
    driver_end(&d);
}

static void test_pending_deed_is_awaited(void **state)
{
    struct driver d;
    uint64_t id, term;

    (void)state;
    driver_begin(&d, 4);
    protect(&d, 1);
    d.now_ms += 10;
    round_end(&d, true);
    id = d.last_id;
    term = view_of(&d, 1).term;
    reborn(&d, 1);
    d.now_ms += 5000;
    round_end(&d, true); /* not there yet, and nothing follows from that */
    assert_int_equal(view_of(&d, 1).state, XHA_ST_STARTING);
    assert_int_equal(done(&d, 1, id, XHA_OK, 9), 0);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_BOOTING);
    assert_int_equal(view_of(&d, 1).domid, 9);
    assert_int_equal(view_of(&d, 1).term, term);
    driver_end(&d);
}

static void test_recoveries_are_remembered(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d, 4);
    d.policy.max_restarts = 1;
    make_run(&d, 1, 5);
    d.now_ms += 1000;
    seen_shut(&d, 1, 5, XHA_SHUTDOWN_CRASH);
    done(&d, 1, d.last_id, XHA_OK, XHA_DOMID_NONE);
    done(&d, 1, d.last_id, XHA_OK, 6);
    d.now_ms += 1000;
    seen(&d, 1, 6, 1);
    round_end(&d, true);
    assert_int_equal(view_of(&d, 1).recoveries, 1);
    reborn(&d, 1);
    d.now_ms += 10;
    seen_shut(&d, 1, 6, XHA_SHUTDOWN_CRASH);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_FAILED);
    assert_int_equal(view_of(&d, 1).cause, XHA_CAUSE_LIMIT);
    driver_end(&d);
}

static void test_waiting_order_is_remembered(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d, 4);
    protect(&d, 1);
    d.now_ms += 10;
    round_end(&d, true);
    assert_int_equal(order(&d, 1, XHA_DO_STOP), 0);
    assert_non_null(planned(&d, XHA_ACT_PERSIST, 0));
    reborn(&d, 1);
    done(&d, 1, record_of(&d, 1).pending_id, XHA_OK, 9);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_STOPPING);
    driver_end(&d);
}

static void test_stopped_stays_stopped(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d, 4);
    make_run(&d, 1, 5);
    d.now_ms += 1000;
    seen_shut(&d, 1, 5, XHA_SHUTDOWN_POWEROFF);
    done(&d, 1, d.last_id, XHA_OK, XHA_DOMID_NONE);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_STOPPED);
    reborn(&d, 1);
    d.now_ms += 10;
    round_end(&d, true);
    d.now_ms += 1000;
    round_end(&d, true);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_STOPPED);
    driver_end(&d);
}

static void test_bad_records(void **state)
{
    struct driver d;
    struct xha_record good, r;

    (void)state;
    driver_begin(&d, 4);
    make_run(&d, 1, 5);
    good = record_of(&d, 1);
    assert_int_equal(recall(&d, 1, &good), XHA_CORE_E_INVAL); /* it is there already */
    r = good;
    r.state = XHA_ST_N_;
    assert_int_equal(recall(&d, 2, &r), XHA_CORE_E_INVAL);
    r = good;
    r.purpose = 255;
    assert_int_equal(recall(&d, 2, &r), XHA_CORE_E_INVAL);
    r = good;
    r.pending = XHA_ACT_N_;
    assert_int_equal(recall(&d, 2, &r), XHA_CORE_E_INVAL);
    r = good;
    r.host = XHA_HOSTS_MAX;
    assert_int_equal(recall(&d, 2, &r), XHA_CORE_E_INVAL);
    r = good;
    r.n_recoveries = XHA_HISTORY_MAX + 1;
    assert_int_equal(recall(&d, 2, &r), XHA_CORE_E_INVAL);
    r = good;
    r.deferred = XHA_DO_N_ + 1;
    assert_int_equal(recall(&d, 2, &r), XHA_CORE_E_INVAL);
    assert_int_equal(xha_core_count(d.core), 1);
    driver_end(&d);
}

/* Times of a record that lie ahead: the clock was set back meanwhile. */
static void test_record_from_the_future(void **state)
{
    struct driver d;
    struct xha_record r;

    (void)state;
    driver_begin(&d, 4);
    make_run(&d, 1, 5);
    r = record_of(&d, 1);
    r.since.ms = d.now_ms + 1000000;
    r.n_recoveries = 2;
    r.recovery[0].ms = r.recovery[1].ms = d.now_ms + 1000000;
    assert_int_equal(recall(&d, 2, &r), 0);
    assert_true(view_of(&d, 2).since.ms <= d.now_ms);
    assert_int_equal(view_of(&d, 2).recoveries, 2);
    driver_end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_running_is_adopted),        cmocka_unit_test(test_pending_deed_is_awaited),
        cmocka_unit_test(test_recoveries_are_remembered), cmocka_unit_test(test_waiting_order_is_remembered),
        cmocka_unit_test(test_stopped_stays_stopped),     cmocka_unit_test(test_bad_records),
        cmocka_unit_test(test_record_from_the_future),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

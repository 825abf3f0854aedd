/*
 * test-core-may.c - xha_core_may() and the order itself answer alike, in every state, and a refused order
 * changes nothing.
 */
#include "core-driver.h"

static struct xha_event order_event(const struct driver *d, uint8_t n, enum xha_order_type type)
{
    struct xha_event ev = { .type = XHA_EV_ORDER, .uuid = uuid_of(n), .now = { d->now_ms } };

    ev.u.order.type = type;
    return ev;
}

/* Brings a fresh domain into each state that lasts. */
static void to_state(struct driver *d, enum xha_state state)
{
    switch (state) {
    case XHA_ST_DEFINED:
        d->policy.autostart = false;
        protect(d, 1);
        d->now_ms += 10;
        round_end(d, true);
        break;
    case XHA_ST_UNSURE:
        protect(d, 1);
        break;
    case XHA_ST_RUNNING:
        make_run(d, 1, 5);
        break;
    case XHA_ST_STARTING:
        protect(d, 1);
        d->now_ms += 10;
        round_end(d, true);
        break;
    case XHA_ST_BOOTING:
        to_state(d, XHA_ST_STARTING);
        done(d, 1, d->last_id, XHA_OK, 5);
        break;
    case XHA_ST_PAUSED: {
        struct xha_event ev;

        make_run(d, 1, 5);
        d->now_ms += 1000;
        ev = seen_event(d, 1, 5, 2);
        ev.u.seen.paused = true;
        driver_step(d, ev);
        break;
    }
    case XHA_ST_SUSPECT:
        d->policy.heartbeat_timeout.ms = 1500;
        make_run(d, 1, 5);
        for (int i = 0; i < 3; i++) {
            d->now_ms += 1000;
            seen(d, 1, 5, 1);
            round_end(d, true);
        }
        break;
    case XHA_ST_STOPPING:
        make_run(d, 1, 5);
        order(d, 1, XHA_DO_STOP);
        break;
    case XHA_ST_CLEARING:
        make_run(d, 1, 5);
        d->now_ms += 1000;
        seen_shut(d, 1, 5, XHA_SHUTDOWN_CRASH);
        break;
    case XHA_ST_VANISHED:
        make_run(d, 1, 5);
        d->now_ms += 1000;
        round_end(d, true);
        break;
    case XHA_ST_FAILED:
        d->policy.max_restarts = 0;
        make_run(d, 1, 5);
        d->now_ms += 1000;
        seen_shut(d, 1, 5, XHA_SHUTDOWN_CRASH);
        break;
    case XHA_ST_STOPPED:
        to_state(d, XHA_ST_STOPPING);
        done(d, 1, d->last_id, XHA_OK, XHA_DOMID_NONE);
        d->now_ms += 1000;
        round_end(d, true);
        break;
    case XHA_ST_ERROR:
        make_run(d, 1, 5);
        d->now_ms += 1000;
        seen(d, 1, 5, 2);
        seen(d, 1, 6, 2);
        break;
    case XHA_ST_MAINTENANCE:
        make_run(d, 1, 5);
        order(d, 1, XHA_DO_MAINTENANCE_ON);
        break;
    case XHA_ST_QUEUED:
        to_state(d, XHA_ST_CLEARING);
        done(d, 1, d->last_id, XHA_OK, XHA_DOMID_NONE); /* starting */
        done(d, 1, d->last_id, XHA_REFUSED, XHA_DOMID_NONE);
        break;
    case XHA_ST_MIGRATING:
        make_run(d, 1, 5);
        move_out(d, 1, 7);
        break;
    case XHA_ST_INCOMING:
        incoming(d, 1, 7);
        break;
    case XHA_ST_STANDBY:
        standby(d, 1, 7);
        break;
    default:
        fail();
    }
    assert_int_equal(view_of(d, 1).state, state);
}

/* By member: what lies between them is nobody's. */
static void assert_view_equal(const struct xha_view *a, const struct xha_view *b)
{
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->purpose, b->purpose);
    assert_int_equal(a->failure, b->failure);
    assert_int_equal(a->cause, b->cause);
    assert_int_equal(a->cause_detail, b->cause_detail);
    assert_int_equal(a->domid, b->domid);
    assert_int_equal(a->term, b->term);
    assert_int_equal(a->checkpointing, b->checkpointing);
    assert_int_equal(a->held, b->held);
    assert_int_equal(a->since.ms, b->since.ms);
    assert_int_equal(a->next_try.ms, b->next_try.ms);
    assert_int_equal(a->recoveries, b->recoveries);
    assert_int_equal(a->last_checkpoint.ms, b->last_checkpoint.ms);
}

static void test_same_answer_in_every_state(void **state)
{
    (void)state;
    for (int st = 0; st < XHA_ST_N_; st++) {
        for (int type = 0; type < XHA_DO_N_; type++) {
            struct driver d;
            struct xha_event ev;
            struct xha_view before, after;
            int may;

            driver_begin(&d, 4);
            to_state(&d, (enum xha_state)st);
            ev = order_event(&d, 1, (enum xha_order_type)type);
            before = view_of(&d, 1);
            may = xha_core_may(d.core, &ev);
            after = view_of(&d, 1);
            assert_view_equal(&before, &after);
            assert_int_equal(driver_step(&d, ev), may);
            if (may) {
                after = view_of(&d, 1);
                assert_view_equal(&before, &after);
                for (uint32_t i = 0; i < d.plan.n; i++)
                    assert_int_not_equal(d.plan.action[i].type, XHA_ACT_PERSIST);
            }
            driver_end(&d);
        }
    }
}

static void test_monitor_takes_only_maintenance(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d, 4);
    d.policy.protection = XHA_PROT_MONITOR;
    protect(&d, 1);
    d.now_ms += 10;
    seen(&d, 1, 5, 1);
    round_end(&d, true);
    for (int type = 0; type < XHA_DO_N_; type++) {
        int rc = order(&d, 1, (enum xha_order_type)type);

        if (type == XHA_DO_MAINTENANCE_ON || type == XHA_DO_MAINTENANCE_OFF)
            assert_int_equal(rc, 0);
        else
            assert_true(rc == XHA_CORE_E_POLICY || rc == XHA_CORE_E_STATE || rc == XHA_CORE_E_BUSY);
        assert_null(planned(&d, XHA_ACT_START, 0));
        assert_null(planned(&d, XHA_ACT_DESTROY, 0));
        assert_null(planned(&d, XHA_ACT_SHUTDOWN, 0));
    }
    driver_end(&d);
}

static void test_unknown_domains_and_orders(void **state)
{
    struct driver d;
    struct xha_event ev;

    (void)state;
    driver_begin(&d, 4);
    assert_int_equal(order(&d, 9, XHA_DO_START), XHA_CORE_E_NODOMAIN);
    make_run(&d, 1, 5);
    assert_int_equal(order(&d, 1, (enum xha_order_type)77), XHA_CORE_E_INVAL);
    ev = order_event(&d, 1, XHA_DO_START);
    memset(&ev.uuid, 0, sizeof(ev.uuid));
    assert_int_equal(driver_step(&d, ev), XHA_CORE_E_INVAL); /* a whole host knows only maintenance */
    assert_int_equal(xha_core_may(d.core, &ev), XHA_CORE_E_INVAL);
    driver_end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_answer_in_every_state),
        cmocka_unit_test(test_monitor_takes_only_maintenance),
        cmocka_unit_test(test_unknown_domains_and_orders),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

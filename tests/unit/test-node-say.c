/*
 * test-node-say.c - what the cluster hears from a node: reports, answers, moves, and what runs here though it
 * is not this host's.
 */
#include "node-driver.h"

/* The cluster applies what was reported. */
static void apply_report(uint8_t n)
{
    domain(n)->report = last_heard(XHA_CEV_REPORT)->u.report;
}

static void test_reports_changes_once(void **state)
{
    struct driver d;
    unsigned n;

    (void)state;
    driver_begin(&d);
    add_domain(&d, 1, XHA_PH_OWNED, SELF);
    make_run(&d, 1, 7);
    assert_int_equal(last_heard(XHA_CEV_REPORT)->u.report.state, XHA_ST_RUNNING);
    assert_int_equal(last_heard(XHA_CEV_REPORT)->term, 4);
    assert_true(last_heard(XHA_CEV_REPORT)->u.report.ever_beat);
    n = heard(XHA_CEV_REPORT);
    for (int i = 0; i < 5; i++) { /* nothing new */
        d.now_ms += 1000;
        seen(&d, 1, 7);
        round_end(&d);
        changed(&d, 1);
    }
    assert_int_equal(heard(XHA_CEV_REPORT), n);
    set_quorum(&d, false); /* it may have been lost: said again, as the state does not have it */
    set_quorum(&d, true);
    assert_int_equal(heard(XHA_CEV_REPORT), n + 1);
    apply_report(1);
    set_quorum(&d, true);
    assert_int_equal(heard(XHA_CEV_REPORT), n + 1);
    driver_end(&d);
}

static void test_orders_are_answered(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d);
    add_domain(&d, 1, XHA_PH_OWNED, SELF);
    make_run(&d, 1, 7);
    for (int i = 0; i < 2; i++) {
        struct xha_cluster_action *a = &fake.say.action[fake.say.n++];

        *a = (struct xha_cluster_action){ .type = XHA_CACT_ORDER, .uuid = uuid_of(i ? 2 : 1) };
        a->u.order.request = (struct xha_request){ OTHER, 40 + (uint64_t)i };
        a->u.order.order = XHA_DO_STOP;
    }
    changed(&d, 0);
    assert_non_null(planned(&d, XHA_ACT_SHUTDOWN));
    assert_int_equal(heard(XHA_CEV_RESULT), 2);
    assert_int_equal(fake.heard[fake.n_heard - 1].type == XHA_CEV_RESULT ||
                         fake.heard[fake.n_heard - 1].type == XHA_CEV_REPORT,
                     true);
    for (uint32_t i = 0; i < fake.n_heard; i++)
        if (fake.heard[i].type == XHA_CEV_RESULT) {
            bool first = fake.heard[i].u.result.request.number == 40;

            assert_int_equal(fake.heard[i].u.result.request.origin, OTHER);
            assert_int_equal(fake.heard[i].u.result.rc, first ? 0 : XHA_CORE_E_BUSY);
        }
    driver_end(&d);
}

static void test_given_up(void **state)
{
    struct driver d;
    struct xha_event ev = { .type = XHA_EV_DONE, .uuid = uuid_of(1) };

    (void)state;
    driver_begin(&d);
    add_domain(&d, 1, XHA_PH_OWNED, SELF);
    changed(&d, 1);
    look(&d);
    ev.u.done.id = planned(&d, XHA_ACT_START)->id;
    ev.u.done.result = XHA_REFUSED;
    ev.u.done.refusal = XHA_REFUSAL_NO_MEMORY;
    host_fact(&d, ev);
    assert_int_equal(heard(XHA_CEV_GIVE), 1);
    assert_int_equal(last_heard(XHA_CEV_GIVE)->u.give.prefer, XHA_HOST_NONE);
    assert_true(last_heard(XHA_CEV_GIVE)->u.give.want_run);
    d.now_ms += 100000;
    round_end(&d);
    assert_null(planned(&d, XHA_ACT_START));
    domain(1)->phase = XHA_PH_FREE;
    domain(1)->term++;
    changed(&d, 1);
    look(&d);
    assert_false(known(&d, 1));
    domain(1)->phase = XHA_PH_OWNED; /* and it comes back, for nobody else wants it */
    domain(1)->term++;
    changed(&d, 1);
    look(&d);
    assert_non_null(planned(&d, XHA_ACT_START));
    driver_end(&d);
}

/* ---- moves ---- */

static void begin_move(uint8_t target, enum xha_move_mode mode)
{
    domain(1)->phase = XHA_PH_MOVING;
    domain(1)->move.id = 77;
    domain(1)->move.target = target;
    domain(1)->move.mode = mode;
    domain(1)->move.stage = XHA_MOVE_ORDERED;
}

static void to_source(struct driver *d)
{
    driver_begin(d);
    add_domain(d, 1, XHA_PH_OWNED, SELF);
    make_run(d, 1, 7);
    begin_move(OTHER, XHA_MOVE_LIVE);
    changed(d, 1);
    assert_null(planned(d, XHA_ACT_MIGRATE)); /* nobody listens yet */
    domain(1)->move.stage = XHA_MOVE_STREAMING;
    domain(1)->move.port = 4100;
    changed(d, 1);
    assert_int_equal(planned(d, XHA_ACT_MIGRATE)->u.deed.move.port, 4100);
    assert_int_equal(planned(d, XHA_ACT_MIGRATE)->u.deed.move.peer, OTHER);
}

static void test_source_moved(void **state)
{
    struct driver d;

    (void)state;
    to_source(&d);
    done(&d, 1, XHA_ACT_MIGRATE, XHA_OK, XHA_DOMID_NONE);
    changed(&d, 1);
    assert_null(planned(&d, XHA_ACT_RESUME));
    domain(1)->phase = XHA_PH_OWNED;
    domain(1)->owner = OTHER;
    domain(1)->term++;
    changed(&d, 1);
    assert_int_equal(view_of(&d, 1).yield, XHA_YIELD_DESTROY);
    driver_end(&d);
}

static void test_source_stays(void **state)
{
    struct driver d;

    (void)state;
    to_source(&d);
    done(&d, 1, XHA_ACT_MIGRATE, XHA_OK, XHA_DOMID_NONE);
    domain(1)->phase = XHA_PH_OWNED;
    changed(&d, 1);
    assert_non_null(planned(&d, XHA_ACT_RESUME));
    driver_end(&d);

    to_source(&d); /* its stream broke off: told, and not begun again */
    done(&d, 1, XHA_ACT_MIGRATE, XHA_REFUSED, XHA_DOMID_NONE);
    assert_int_equal(heard(XHA_CEV_MOVE_FAILED), 1);
    assert_int_equal(last_heard(XHA_CEV_MOVE_FAILED)->u.move.id, 77);
    changed(&d, 1);
    assert_null(planned(&d, XHA_ACT_MIGRATE));
    assert_int_equal(heard(XHA_CEV_MOVE_FAILED), 1);
    driver_end(&d);

    to_source(&d); /* nobody knows how it ended: told, and nothing is done before the verdict */
    done(&d, 1, XHA_ACT_MIGRATE, XHA_UNKNOWN, XHA_DOMID_NONE);
    assert_int_equal(heard(XHA_CEV_MOVE_FAILED), 1);
    assert_null(planned(&d, XHA_ACT_RESUME));
    driver_end(&d);
}

static void to_target(struct driver *d)
{
    struct xha_event ev = { .type = XHA_EV_LISTENING, .uuid = uuid_of(1) };

    driver_begin(d);
    add_domain(d, 1, XHA_PH_OWNED, OTHER);
    begin_move(SELF, XHA_MOVE_LIVE);
    changed(d, 1);
    assert_non_null(planned(d, XHA_ACT_RECEIVE));
    ev.u.listening.id = planned(d, XHA_ACT_RECEIVE)->id;
    ev.u.listening.port = 4100;
    host_fact(d, ev);
    assert_int_equal(heard(XHA_CEV_MOVE_READY), 1);
    assert_int_equal(last_heard(XHA_CEV_MOVE_READY)->u.move.port, 4100);
    domain(1)->move.stage = XHA_MOVE_STREAMING;
    changed(d, 1);
    assert_int_equal(heard(XHA_CEV_MOVE_READY), 1);
}

static void received(struct driver *d)
{
    struct xha_event ev = { .type = XHA_EV_DONE, .uuid = uuid_of(1) };

    ev.u.done.id = view_of(d, 1).pending_id;
    ev.u.done.domid = 9;
    host_fact(d, ev);
    assert_int_equal(heard(XHA_CEV_MOVE_RESTORED), 1);
    changed(d, 1);
    assert_int_equal(heard(XHA_CEV_MOVE_RESTORED), 1);
    assert_null(planned(d, XHA_ACT_RESUME));
}

static void test_target_moved(void **state)
{
    struct driver d;

    (void)state;
    to_target(&d);
    received(&d);
    domain(1)->phase = XHA_PH_OWNED;
    domain(1)->owner = SELF;
    domain(1)->term++;
    domain(1)->committed = false;
    changed(&d, 1);
    assert_null(planned(&d, XHA_ACT_RESUME));
    domain(1)->committed = true;
    changed(&d, 1);
    assert_non_null(planned(&d, XHA_ACT_RESUME));
    driver_end(&d);
}

static void test_target_not_moved(void **state)
{
    struct driver d;

    (void)state;
    to_target(&d);
    received(&d);
    domain(1)->phase = XHA_PH_OWNED;
    changed(&d, 1);
    assert_null(planned(&d, XHA_ACT_RESUME));
    assert_int_equal(view_of(&d, 1).yield, XHA_YIELD_DESTROY);
    driver_end(&d);

    to_target(&d); /* called off, the owner is lost, and it is granted to this very host: not that copy */
    received(&d);
    domain(1)->phase = XHA_PH_OWNED;
    domain(1)->owner = SELF;
    domain(1)->term += 2;
    changed(&d, 1);
    assert_null(planned(&d, XHA_ACT_RESUME));
    assert_int_equal(view_of(&d, 1).yield, XHA_YIELD_DESTROY);
    driver_end(&d);
}

/* Protected no more while it moves: it runs on at its source, and nothing is left at its target. */
static void test_unprotected_while_it_moves(void **state)
{
    struct driver d;

    (void)state;
    to_source(&d);
    done(&d, 1, XHA_ACT_MIGRATE, XHA_OK, XHA_DOMID_NONE);
    fake.n = 0;
    changed(&d, 1);
    assert_null(planned(&d, XHA_ACT_FORGET));
    done(&d, 1, XHA_ACT_RESUME, XHA_OK, XHA_DOMID_NONE);
    assert_non_null(planned(&d, XHA_ACT_FORGET));
    driver_end(&d);

    to_target(&d);
    received(&d);
    fake.n = 0;
    changed(&d, 1);
    assert_int_equal(view_of(&d, 1).yield, XHA_YIELD_DESTROY);
    driver_end(&d);
}

static void test_target_fails(void **state)
{
    struct driver d;
    struct xha_event ev = { .type = XHA_EV_DONE, .uuid = uuid_of(1) };

    (void)state;
    to_target(&d);
    ev.u.done.id = view_of(&d, 1).pending_id;
    ev.u.done.result = XHA_REFUSED;
    ev.u.done.domid = XHA_DOMID_NONE;
    host_fact(&d, ev);
    look(&d);
    changed(&d, 1);
    assert_false(known(&d, 1));
    assert_null(planned(&d, XHA_ACT_RECEIVE)); /* not again for the same move */
    assert_int_equal(heard(XHA_CEV_MOVE_FAILED), 1);
    driver_end(&d);

    driver_begin(&d); /* before it listens */
    add_domain(&d, 1, XHA_PH_OWNED, OTHER);
    begin_move(SELF, XHA_MOVE_LIVE);
    changed(&d, 1);
    done(&d, 1, XHA_ACT_RECEIVE, XHA_REFUSED, XHA_DOMID_NONE);
    look(&d);
    changed(&d, 1);
    assert_false(known(&d, 1));
    assert_null(planned(&d, XHA_ACT_RECEIVE));
    driver_end(&d);
}

static void test_cold_move(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d);
    add_domain(&d, 1, XHA_PH_OWNED, SELF);
    make_run(&d, 1, 7);
    begin_move(OTHER, XHA_MOVE_COLD);
    changed(&d, 1);
    assert_non_null(planned(&d, XHA_ACT_SHUTDOWN));
    done(&d, 1, XHA_ACT_SHUTDOWN, XHA_OK, XHA_DOMID_NONE);
    look(&d);
    assert_int_equal(heard(XHA_CEV_GIVE), 0);
    look(&d);
    assert_false(known(&d, 1));
    assert_int_equal(heard(XHA_CEV_GIVE), 1);
    assert_int_equal(last_heard(XHA_CEV_GIVE)->u.give.prefer, OTHER);
    changed(&d, 1);
    assert_false(known(&d, 1)); /* it is on its way */
    assert_int_equal(heard(XHA_CEV_GIVE), 1);
    driver_end(&d);
}

/* It was stopped for a cold move that is called off: started again here, whatever it was taken for. */
static void test_cold_move_called_off(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d);
    add_domain(&d, 1, XHA_PH_OWNED, SELF);
    make_run(&d, 1, 7);
    domain(1)->purpose = XHA_FOR_NOTHING;
    begin_move(OTHER, XHA_MOVE_COLD);
    changed(&d, 1);
    done(&d, 1, XHA_ACT_SHUTDOWN, XHA_OK, XHA_DOMID_NONE);
    domain(1)->phase = XHA_PH_OWNED;
    changed(&d, 1);
    for (int i = 0; i < 3 && !planned(&d, XHA_ACT_START); i++)
        look(&d);
    assert_non_null(planned(&d, XHA_ACT_START));
    assert_int_equal(heard(XHA_CEV_GIVE), 0);
    driver_end(&d);
}

/* ---- what is not ours ---- */

static void test_seen_twice(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d);
    add_domain(&d, 1, XHA_PH_OWNED, OTHER);
    changed(&d, 1);
    for (int i = 0; i < 5; i++) {
        d.now_ms += 1000;
        seen(&d, 1, 7);
        assert_null(planned(&d, XHA_ACT_DESTROY));
        round_end(&d);
    }
    assert_int_equal(d.n_alarms, 1);
    look(&d); /* gone, and there again: once is nothing */
    d.now_ms += 1000;
    seen(&d, 1, 8);
    round_end(&d);
    assert_int_equal(d.n_alarms, 1);
    driver_end(&d);
}

static void test_deposed(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d);
    add_domain(&d, 1, XHA_PH_OWNED, SELF);
    add_domain(&d, 2, XHA_PH_OWNED, OTHER);
    make_run(&d, 1, 7);
    fake.host[SELF].state = XHA_HOST_DEPOSED;
    domain(1)->owner = OTHER;
    domain(1)->term += 2;
    fake.status.epoch++;
    changed(&d, 0);
    assert_int_equal(view_of(&d, 1).yield, XHA_YIELD_DESTROY);
    d.now_ms += 1000;
    seen(&d, 1, 7);
    done(&d, 1, XHA_ACT_DESTROY, XHA_OK, XHA_DOMID_NONE);
    seen(&d, 2, 8); /* and one that the host core never had */
    round_end(&d);
    assert_int_equal(heard(XHA_CEV_CLEARED), 0);
    d.now_ms += 1000;
    seen(&d, 2, 8);
    done(&d, 2, XHA_ACT_DESTROY, XHA_OK, XHA_DOMID_NONE);
    round_end(&d);
    look(&d);
    look(&d);
    assert_int_equal(heard(XHA_CEV_CLEARED), 1);
    assert_int_equal(xha_core_count(xha_node_core(d.node)), 0);
    driver_end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reports_changes_once),
        cmocka_unit_test(test_orders_are_answered),
        cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_source_moved),
        cmocka_unit_test(test_source_stays),
        cmocka_unit_test(test_target_moved),
        cmocka_unit_test(test_target_not_moved),
        cmocka_unit_test(test_unprotected_while_it_moves),
        cmocka_unit_test(test_target_fails),
        cmocka_unit_test(test_cold_move),
        cmocka_unit_test(test_cold_move_called_off),
        cmocka_unit_test(test_seen_twice),
        cmocka_unit_test(test_deposed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

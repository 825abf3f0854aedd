/*
 * test-node-own.c - the node turns committed ownership into what the host core is told, and nothing else: what
 * is not committed, not quorate or not synced changes nothing here.
 */
#include "node-driver.h"

static void test_taken_when_committed(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d);
    add_domain(&d, 1, XHA_PH_OWNED, SELF)->committed = false;
    changed(&d, 1);
    assert_false(known(&d, 1));
    domain(1)->committed = true;
    changed(&d, 1);
    assert_true(known(&d, 1));
    look(&d);
    assert_non_null(planned(&d, XHA_ACT_START));
    assert_int_equal(planned(&d, XHA_ACT_START)->term >> 24, 4);
    assert_int_equal(planned(&d, XHA_ACT_START)->host, SELF);
    driver_end(&d);
}

static void test_not_taken_without_texts(void **state)
{
    static const uint8_t old[XHA_DIGEST] = { 7 };
    struct driver d;
    struct xha_uuid uuid = uuid_of(1);

    (void)state;
    driver_begin(&d);
    add_domain(&d, 1, XHA_PH_OWNED, SELF);
    xha_node_have_texts(d.node, &uuid, old);
    changed(&d, 1);
    assert_false(known(&d, 1));
    xha_node_have_texts(d.node, &uuid, domain(1)->digest_config);
    changed(&d, 0);
    assert_true(known(&d, 1));
    driver_end(&d);
}

static void test_of_others_and_nobodys(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d);
    add_domain(&d, 1, XHA_PH_OWNED, OTHER);
    add_domain(&d, 2, XHA_PH_FREE, XHA_HOST_NONE);
    add_domain(&d, 3, XHA_PH_MOVING, OTHER)->move.target = 9;
    changed(&d, 1);
    changed(&d, 2);
    changed(&d, 3);
    assert_int_equal(xha_core_count(xha_node_core(d.node)), 0);
    driver_end(&d);
}

/* Without quorum a crash waits; with it, it is recovered. */
static void test_permit_follows_quorum(void **state)
{
    struct driver d;
    struct xha_event ev;

    (void)state;
    driver_begin(&d);
    add_domain(&d, 1, XHA_PH_OWNED, SELF);
    make_run(&d, 1, 7);
    set_quorum(&d, false);
    d.now_ms += 1000;
    ev = seen_event(&d, 1, 7);
    ev.u.seen.shut = true;
    ev.u.seen.reason = XHA_SHUTDOWN_CRASH;
    host_fact(&d, ev);
    round_end(&d);
    assert_null(planned(&d, XHA_ACT_DESTROY));
    assert_int_equal(view_of(&d, 1).state, XHA_ST_QUEUED);
    set_quorum(&d, true);
    assert_non_null(planned(&d, XHA_ACT_DESTROY));
    driver_end(&d);
}

static void test_yielded_to_another(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d);
    add_domain(&d, 1, XHA_PH_OWNED, SELF);
    make_run(&d, 1, 7);
    domain(1)->owner = OTHER;
    domain(1)->term++;
    domain(1)->committed = false;
    changed(&d, 1);
    assert_int_equal(view_of(&d, 1).yield, XHA_YIELD_NONE);
    domain(1)->committed = true;
    changed(&d, 1);
    assert_int_equal(view_of(&d, 1).yield, XHA_YIELD_DESTROY);
    d.now_ms += 10;
    seen(&d, 1, 7);
    done(&d, 1, XHA_ACT_DESTROY, XHA_OK, XHA_DOMID_NONE);
    look(&d);
    assert_false(known(&d, 1));
    assert_non_null(planned(&d, XHA_ACT_FORGET));
    driver_end(&d);
}

/* Ours again, but in a later term: what is here is of the earlier one, and goes before it is taken anew. */
static void test_earlier_term_is_destroyed(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d);
    add_domain(&d, 1, XHA_PH_OWNED, SELF);
    make_run(&d, 1, 7);
    domain(1)->term += 2;
    changed(&d, 1);
    assert_int_equal(view_of(&d, 1).yield, XHA_YIELD_DESTROY);
    look(&d);
    assert_true(known(&d, 1));
    assert_int_equal(view_of(&d, 1).yield, XHA_YIELD_NONE);
    assert_int_equal(view_of(&d, 1).term >> 24, 6);
    driver_end(&d);
}

static void test_unprotected_is_left_alone(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d);
    add_domain(&d, 1, XHA_PH_OWNED, SELF);
    make_run(&d, 1, 7);
    fake.n = 0;
    fake.drops = true; /* not committed yet */
    changed(&d, 1);
    assert_true(known(&d, 1));
    fake.drops = false;
    changed(&d, 1);
    assert_non_null(planned(&d, XHA_ACT_FORGET));
    assert_null(planned(&d, XHA_ACT_DESTROY));
    driver_end(&d);
}

/* A start ends, and the domain is protected no more: one plan, at whose end there is no record to be kept. */
static void test_forgotten_in_the_plan_that_persists(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d);
    add_domain(&d, 1, XHA_PH_OWNED, SELF);
    changed(&d, 1);
    look(&d);
    fake.n = 0;
    done(&d, 1, XHA_ACT_START, XHA_OK, 7);
    assert_non_null(planned(&d, XHA_ACT_FORGET));
    assert_null(planned(&d, XHA_ACT_PERSIST));
    assert_false(known(&d, 1));
    driver_end(&d);
}

static void test_policy_follows(void **state)
{
    struct driver d;
    struct xha_policy other;

    (void)state;
    driver_begin(&d);
    add_domain(&d, 1, XHA_PH_OWNED, SELF);
    make_run(&d, 1, 7);
    other = d.policy;
    other.heartbeat_timeout.ms = 33000;
    domain(1)->policy = &other;
    changed(&d, 1);
    assert_int_equal(view_of(&d, 1).policy->heartbeat_timeout.ms, 33000);
    assert_non_null(planned(&d, XHA_ACT_PERSIST));
    changed(&d, 1);
    assert_null(planned(&d, XHA_ACT_PERSIST)); /* once */
    driver_end(&d);
}

/* ---- after a restart of xhad ---- */

static void recall(struct driver *d, struct xha_record r)
{
    struct xha_event ev = { .type = XHA_EV_RECALL, .uuid = uuid_of(1) };

    ev.u.protect.policy = &d->policy;
    ev.u.protect.record = &r;
    assert_int_equal(host_fact(d, ev), 0);
}

static struct xha_record record(uint64_t term, enum xha_state state)
{
    return (struct xha_record){ .term = term, .state = state, .domid = 7, .want_run = true };
}

static void test_recalled_waits_for_the_state(void **state)
{
    struct driver d;
    struct xha_record r = record(4 << 24 | 3, XHA_ST_QUEUED);

    (void)state;
    driver_begin(&d);
    r.domid = XHA_DOMID_NONE;
    r.purpose = XHA_FOR_RECOVERY;
    fake.status.synced = false;
    recall(&d, r);
    look(&d);
    look(&d);
    assert_null(planned(&d, XHA_ACT_START));
    add_domain(&d, 1, XHA_PH_OWNED, SELF)->committed = false;
    fake.status.synced = true;
    fake.status.epoch++;
    changed(&d, 0);
    assert_null(planned(&d, XHA_ACT_START)); /* not committed yet */
    domain(1)->committed = true;
    changed(&d, 1);
    assert_non_null(planned(&d, XHA_ACT_START));
    driver_end(&d);
}

static void test_recalled_is_anothers(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d);
    recall(&d, record(4 << 24 | 3, XHA_ST_RUNNING));
    add_domain(&d, 1, XHA_PH_OWNED, OTHER)->term = 5;
    changed(&d, 1);
    assert_int_equal(view_of(&d, 1).yield, XHA_YIELD_DESTROY);
    driver_end(&d);
}

/* What ran here before there was a cluster is adopted, never destroyed. */
static void test_recalled_from_before_the_cluster(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d);
    fake.status.synced = false;
    recall(&d, record(2, XHA_ST_RUNNING));
    add_domain(&d, 1, XHA_PH_OWNED, SELF);
    fake.status.synced = true;
    fake.status.epoch++;
    changed(&d, 1);
    assert_true(known(&d, 1));
    assert_int_equal(view_of(&d, 1).term >> 24, 4);
    d.now_ms += 10;
    seen(&d, 1, 7);
    round_end(&d);
    assert_null(planned(&d, XHA_ACT_DESTROY));
    assert_null(planned(&d, XHA_ACT_START));
    assert_int_equal(view_of(&d, 1).state, XHA_ST_BOOTING);
    driver_end(&d);
}

/* The state that was loaded from disk does not know it: it may be older than the cluster's. */
static void test_recalled_unknown(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d);
    fake.status.committed = 0;
    recall(&d, record(4 << 24, XHA_ST_RUNNING));
    changed(&d, 1);
    assert_true(known(&d, 1));
    fake.status.committed = 11;
    changed(&d, 1);
    assert_false(known(&d, 1));
    driver_end(&d);
}

/* ---- what is not for the node's callers, and what it survives ---- */

static void test_refuses_what_is_the_clusters(void **state)
{
    static const enum xha_event_type types[] = { XHA_EV_PROTECT, XHA_EV_UNPROTECT, XHA_EV_ORDER,
                                                 XHA_EV_PERMIT,  XHA_EV_TAKE,      XHA_EV_YIELD,
                                                 XHA_EV_VERDICT, XHA_EV_INCOMING,  XHA_EV_MOVE_OUT };
    struct driver d;

    (void)state;
    driver_begin(&d);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct xha_event ev = { .type = types[i], .uuid = uuid_of(1) };

        ev.u.protect.policy = &d.policy;
        assert_int_equal(host_fact(&d, ev), XHA_CORE_E_INVAL);
    }
    assert_int_equal(xha_core_count(xha_node_core(d.node)), 0);
    driver_end(&d);
}

static void test_ids_grow_over_inner_steps(void **state)
{
    struct driver d;
    uint64_t before;

    (void)state;
    driver_begin(&d);
    before = xha_node_next_id(d.node);
    add_domain(&d, 1, XHA_PH_OWNED, SELF);
    changed(&d, 1);
    look(&d);
    assert_true(xha_node_next_id(d.node) > planned(&d, XHA_ACT_START)->id);
    assert_true(planned(&d, XHA_ACT_START)->id > before);
    driver_end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken_when_committed),
        cmocka_unit_test(test_not_taken_without_texts),
        cmocka_unit_test(test_of_others_and_nobodys),
        cmocka_unit_test(test_permit_follows_quorum),
        cmocka_unit_test(test_yielded_to_another),
        cmocka_unit_test(test_earlier_term_is_destroyed),
        cmocka_unit_test(test_unprotected_is_left_alone),
        cmocka_unit_test(test_policy_follows),
        cmocka_unit_test(test_recalled_waits_for_the_state),
        cmocka_unit_test(test_recalled_is_anothers),
        cmocka_unit_test(test_recalled_from_before_the_cluster),
        cmocka_unit_test(test_recalled_unknown),
        cmocka_unit_test(test_refuses_what_is_the_clusters),
        cmocka_unit_test(test_forgotten_in_the_plan_that_persists),
        cmocka_unit_test(test_ids_grow_over_inner_steps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

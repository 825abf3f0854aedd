/*
 * test-cluster-basic.c - a cluster core's day: hosts join, domains are protected, a host is lost, fenced, and its
 * domains go elsewhere; it comes back.
 */
#include "cluster-net.h"

static void joins(void **state)
{
    struct net *net = net_whole(3);

    (void)state;
    net_same(net, 7);
    assert_int_equal(net_status(net, 0).hosts, 3);
    assert_true(net_status(net, 0).settled);
    assert_int_equal(net_status(net, 1).leader, 0);
    assert_int_equal(net_status(net, 2).committed, net_status(net, 2).index);
    assert_int_equal(net_host_of(net, 2, 1).state, XHA_HOST_IN);
    net_free(net);
}

static void alone(void **state)
{
    struct net *net = net_new(1);

    (void)state;
    net_side(net, 1, 0, true);
    net_run(net);
    assert_true(net_status(net, 0).settled);
    assert_int_equal(net_protect(net, 0, 1, XHA_HOST_NONE), 0);
    assert_int_equal(net_domain(net, 0, 1).owner, 0);
    assert_true(net_domain(net, 0, 1).committed);
    net_free(net);
}

static void protects(void **state)
{
    struct net *net = net_whole(3);

    (void)state;
    assert_int_equal(net_protect(net, 1, 1, 1), 0);
    assert_int_equal(net_domain(net, 2, 1).owner, 1);
    assert_int_equal(net_domain(net, 2, 1).phase, XHA_PH_OWNED);
    assert_int_equal(net_protect(net, 2, 2, XHA_HOST_NONE), 0);
    assert_int_equal(net_domain(net, 0, 2).phase, XHA_PH_OWNED); /* placed by the leader */
    assert_int_equal(net_domain(net, 0, 2).purpose, XHA_FOR_START);
    assert_true(net_domain(net, 0, 2).committed);
    net_same(net, 7);
    net_free(net);
}

static void lost_fenced_granted(void **state)
{
    struct net *net = net_whole(3);
    uint64_t term;

    (void)state;
    assert_int_equal(net_protect(net, 0, 1, 2), 0);
    net_report(net, 2, 1, XHA_ST_RUNNING, true);
    term = net_domain(net, 0, 1).term;
    net_stop(net, 2);
    net_side(net, 3, 0, true);
    net_run(net);
    net_tick(net);
    assert_int_equal(net_host_of(net, 1, 2).state, XHA_HOST_LOST);
    assert_int_equal(net_domain(net, 0, 1).owner, 2);
    assert_int_equal(net->host[0].fence_host, 2);
    net_fenced(net, 0, false);
    assert_int_equal(net_domain(net, 0, 1).owner, 2);
    net_pass(net, 10000);
    assert_int_equal(net->host[1].fence_host, 2); /* another one tries */
    net_fenced(net, 1, true);
    assert_int_equal(net_host_of(net, 1, 2).state, XHA_HOST_FENCED);
    assert_int_equal(net_host_of(net, 1, 2).fenced_by, XHA_FENCED_AGENT);
    assert_true(net_domain(net, 0, 1).owner < 2);
    assert_int_equal(net_domain(net, 0, 1).purpose, XHA_FOR_RECOVERY);
    assert_int_equal(net_domain(net, 0, 1).failure, XHA_FAIL_HOST);
    assert_true(net_domain(net, 0, 1).term > term);
    assert_true(net_domain(net, 0, 1).committed);

    net_start(net, 2, true);
    net_side(net, 7, 0, true);
    net_run(net);
    net_same(net, 7);
    assert_int_equal(net_host_of(net, 2, 2).state, XHA_HOST_IN);
    assert_true(net_domain(net, 2, 1).owner < 2);
    net_free(net);
}

static void deposed(void **state)
{
    struct net *net = net_whole(3);
    struct xha_cluster_event ev = { .type = XHA_CEV_CLEARED };

    (void)state;
    net_protect(net, 0, 1, 2);
    net_side(net, 4, 0, false); /* it lives on, without quorum */
    net_side(net, 3, 0, true);
    net_run(net);
    net_tick(net);
    net_fenced(net, 0, true);
    assert_true(net_domain(net, 0, 1).owner < 2);
    net_side(net, 7, 0, true);
    net_run(net);
    net_same(net, 7);
    assert_int_equal(net_host_of(net, 0, 2).state, XHA_HOST_DEPOSED);
    assert_int_not_equal(net_domain(net, 2, 1).owner, 2);
    net_step(net, 2, &ev);
    net_run(net);
    assert_int_equal(net_host_of(net, 0, 2).state, XHA_HOST_IN);
    assert_int_equal(net_host_of(net, 0, 2).info.incarnation.generation, 1);
    net_same(net, 7);
    /* A restart of its xhad is no reboot. */
    net_stop(net, 2);
    net_side(net, 3, 4, true);
    net_run(net);
    net_start(net, 2, false);
    net_side(net, 7, 0, true);
    net_run(net);
    net_same(net, 7);
    assert_int_equal(net_host_of(net, 0, 2).state, XHA_HOST_IN);
    assert_int_equal(net_host_of(net, 0, 2).info.incarnation.generation, 1);
    net_free(net);
}

static void rebooted(void **state)
{
    struct net *net = net_whole(3);

    (void)state;
    net_protect(net, 0, 1, 2);
    net_report(net, 2, 1, XHA_ST_RUNNING, true);
    net_stop(net, 2);
    net_start(net, 2, true); /* before anybody saw that it was gone */
    net_side(net, 7, 0, true);
    net_run(net);
    net_same(net, 7);
    assert_int_equal(net->host[0].notes[XHA_CC_HOST_FENCED], 1);
    assert_int_equal(net_domain(net, 0, 1).phase, XHA_PH_OWNED);
    assert_int_equal(net_domain(net, 0, 1).purpose, XHA_FOR_RECOVERY);
    net_free(net);
}

static void watchdog(void **state)
{
    struct net *net = net_whole(3);
    struct xha_cluster_policy policy = net_policy(30000);
    struct xha_cluster_event ev;

    (void)state;
    ev = net_request(net, 0, XHA_RQ_SETTINGS, 0);
    ev.u.request.settings = &policy;
    assert_int_equal(net_ask(net, 0, ev), 0);
    for (uint8_t h = 0; h < 3; h++)
        net->host[h].info.can_fence = 0;
    assert_int_equal(net_of_host(net, 0, XHA_RQ_ARM, XHA_HOST_NONE, true), 0);
    for (uint8_t h = 0; h < 3; h++) {
        net->host[h].info.armed = true;
        net_info(net, h);
    }
    net_run(net);
    assert_true(net_host_of(net, 0, 2).info.armed);
    net_protect(net, 0, 1, 2);
    net_stop(net, 2);
    net_side(net, 3, 0, true);
    net_run(net);
    net_pass(net, 29000);
    assert_int_equal(net_host_of(net, 0, 2).state, XHA_HOST_LOST);
    net_pass(net, 3000);
    assert_int_equal(net_host_of(net, 0, 2).state, XHA_HOST_FENCED);
    assert_int_equal(net_host_of(net, 0, 2).fenced_by, XHA_FENCED_WATCHDOG);
    assert_true(net_domain(net, 0, 1).owner < 2);
    net_free(net);
}

static void confirmed(void **state)
{
    struct net *net = net_whole(3);

    (void)state;
    for (uint8_t h = 0; h < 3; h++) {
        net->host[h].info.can_fence = 0;
        net_info(net, h);
    }
    net_run(net);
    net_protect(net, 0, 1, 2);
    assert_int_equal(net_of_host(net, 0, XHA_RQ_CONFIRM_FENCED, 2, true), XHA_CORE_E_STATE);
    net_stop(net, 2);
    net_side(net, 3, 0, true);
    net_run(net);
    net_pass(net, 60000);
    assert_int_equal(net->host[0].alarms[XHA_CC_FENCE_WANTED], 1);
    assert_int_equal(net_domain(net, 0, 1).owner, 2);
    assert_int_equal(net_of_host(net, 1, XHA_RQ_CONFIRM_FENCED, 2, true), 0);
    assert_true(net_domain(net, 0, 1).owner < 2);
    assert_int_equal(net_of_host(net, 1, XHA_RQ_FORGET_HOST, 2, true), 0);
    assert_int_equal(net_status(net, 0).hosts, 2);
    net_same(net, 3);
    net_free(net);
}

static void orders(void **state)
{
    struct net *net = net_whole(2);
    struct xha_cluster_event ev, answer = { .type = XHA_CEV_RESULT };

    (void)state;
    net_protect(net, 0, 1, 1);
    ev = net_request(net, 0, XHA_RQ_ORDER, 1);
    ev.u.request.order = XHA_DO_RESTART;
    assert_int_equal(net_ask(net, 0, ev), 99);
    assert_int_equal(net->host[1].orders, 1);
    assert_int_equal(net->host[0].orders, 0);
    answer.u.result.request = net->host[1].order.u.order.request;
    answer.u.result.rc = XHA_CORE_E_BUSY;
    net->host[0].result_number = 0;
    net_step(net, 1, &answer);
    net_run(net);
    assert_int_equal(net->host[0].result_number, ev.u.request.number);
    assert_int_equal(net->host[0].result_rc, XHA_CORE_E_BUSY);
    /* Said twice, done once. */
    assert_int_equal(net_step_rc(net, 0, &ev), XHA_CORE_E_INVAL);
    net_free(net);
}

static void gives(void **state)
{
    struct net *net = net_whole(3);
    struct xha_cluster_event ev = { .type = XHA_CEV_GIVE, .uuid = uuid_of(1) };
    uint8_t first;

    (void)state;
    net_protect(net, 0, 1, XHA_HOST_NONE);
    first = net_domain(net, 0, 1).owner;
    ev.term = net_domain(net, 0, 1).term;
    ev.u.give.want_run = true;
    ev.u.give.prefer = XHA_HOST_NONE;
    net_step(net, first, &ev);
    net_run(net);
    assert_int_equal(net_domain(net, 0, 1).phase, XHA_PH_OWNED);
    assert_int_not_equal(net_domain(net, 0, 1).owner, first);
    net_step(net, first, &ev); /* of an old term: nothing */
    net_run(net);
    for (int i = 0; i < 2; i++) {
        ev.term = net_domain(net, 0, 1).term;
        net_step(net, net_domain(net, 0, 1).owner, &ev);
        net_run(net);
    }
    assert_int_equal(net_domain(net, 0, 1).phase, XHA_PH_FREE);
    assert_int_equal(net->host[0].alarms[XHA_CC_NO_PLACE], 1);
    net_pass(net, 10000);
    assert_int_equal(net_domain(net, 0, 1).phase, XHA_PH_OWNED);
    net_same(net, 7);
    net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joins),    cmocka_unit_test(alone),
        cmocka_unit_test(protects), cmocka_unit_test(lost_fenced_granted),
        cmocka_unit_test(deposed),  cmocka_unit_test(rebooted),
        cmocka_unit_test(watchdog), cmocka_unit_test(confirmed),
        cmocka_unit_test(orders),   cmocka_unit_test(gives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * test-cluster-split.c - what must never go wrong: sides that do not see each other, messages that only some have,
 * states of different age, hosts that hang. Each case by hand; the swarm makes up the rest.
 */
#include "cluster-net.h"

/* What is under way to this host never arrives. */
static void lose(struct net *net, uint8_t h)
{
    net_clear(&net->host[h].inbox);
}

/* Two hosts, corosync's two_node: both sides of a split are quorate. */
static struct net *two_nodes(void)
{
    struct net *net = net_new(2);

    net->host[0].exclusive = net->host[1].exclusive = false;
    net_side(net, 3, 0, true);
    net_run(net);
    assert_int_equal(net_protect(net, 0, 1, 0), 0);
    assert_int_equal(net_protect(net, 0, 2, 1), 0);
    net_report(net, 0, 1, XHA_ST_RUNNING, true);
    net_report(net, 1, 2, XHA_ST_RUNNING, true);
    return net;
}

static void both_quorate(void **state)
{
    struct net *net = two_nodes();
    uint64_t committed = net_status(net, 0).committed, term;

    (void)state;
    net_side(net, 1, 0, true);
    net_side(net, 2, 0, true);
    net_run(net);
    net_pass(net, 5000);
    for (uint8_t h = 0; h < 2; h++) {
        assert_true(net_status(net, h).synced);
        assert_false(net_status(net, h).settled);
        assert_int_equal(net_status(net, h).committed, committed);
        assert_int_equal(net->host[h].fence_host, !h);
    }
    /* The side that will be shot has more to tell, none of it committed. */
    for (int i = 0; i < 20; i++)
        assert_int_equal(net_of_host(net, 1, XHA_RQ_HOST_MAINTENANCE, 1, i % 2), 99);
    net_fenced(net, 0, true);
    net_stop(net, 1);
    assert_true(net_status(net, 0).settled);
    assert_int_equal(net_domain(net, 0, 2).owner, 0);
    assert_true(net_domain(net, 0, 2).committed);
    assert_true(net_status(net, 1 - 1).index < 60);
    net_start(net, 1, true);
    assert_true(net_status(net, 1).index > net_status(net, 0).index);
    term = net_domain(net, 0, 2).term;
    net_side(net, 3, 0, true);
    net_run(net);
    net_same(net, 3);
    assert_int_equal(net_domain(net, 1, 2).owner, 0); /* not 1: that would run it twice */
    assert_int_equal(net_domain(net, 1, 2).term, term);
    assert_int_equal(net_domain(net, 1, 1).owner, 0);
    net_free(net);
}

/* The same, and the link heals before anybody was shot: no harm. */
static void heals(void **state)
{
    struct net *net = two_nodes();

    (void)state;
    net_side(net, 1, 0, true);
    net_side(net, 2, 0, true);
    net_run(net);
    net_pass(net, 3000);
    net_side(net, 3, 0, true);
    net_run(net);
    net_same(net, 3);
    assert_int_equal(net_domain(net, 0, 1).owner, 0);
    assert_int_equal(net_domain(net, 0, 2).owner, 1);
    assert_int_equal(net_host_of(net, 0, 1).state, XHA_HOST_IN);
    assert_int_equal(net_host_of(net, 1, 0).state, XHA_HOST_IN);
    /* Late results of the attempts of then mean nothing. */
    net_fenced(net, 0, true);
    assert_int_equal(net_host_of(net, 0, 1).state, XHA_HOST_IN);
    net_free(net);
}

/* With both sides quorate the watchdog proves nothing: the other side pokes its own. */
static void watchdog_needs_exclusive(void **state)
{
    struct net *net = two_nodes();
    struct xha_cluster_policy policy = net_policy(10000);
    struct xha_cluster_event ev;

    (void)state;
    ev = net_request(net, 0, XHA_RQ_SETTINGS, 0);
    ev.u.request.settings = &policy;
    assert_int_equal(net_ask(net, 0, ev), 0);
    assert_int_equal(net_of_host(net, 0, XHA_RQ_ARM, XHA_HOST_NONE, true), 0);
    for (uint8_t h = 0; h < 2; h++) {
        net->host[h].info.armed = true;
        net_info(net, h);
    }
    net_run(net);
    net_side(net, 1, 0, true);
    net_side(net, 2, 0, true);
    net_run(net);
    net_pass(net, 120000);
    for (uint8_t h = 0; h < 2; h++) {
        assert_int_equal(net_host_of(net, h, !h).state, XHA_HOST_LOST);
        assert_int_equal(net_domain(net, h, 2).owner, 1);
        assert_int_equal(net_domain(net, h, 1).owner, 0);
    }
    net_free(net);
}

/* Times that would let a domain run twice are no settings, whoever sends them. */
static void unsound_times(void **state)
{
    struct net *net = net_whole(3);
    struct xha_cluster_policy policy = net_policy(10000);
    struct xha_cluster_event ev = net_request(net, 0, XHA_RQ_SETTINGS, 0);

    (void)state;
    policy.timing.takeover.ms = 5000;
    ev.u.request.settings = &policy;
    assert_int_not_equal(net_ask(net, 0, ev), 0);
    net_free(net);
}

/* A leader that was cut off itself counts nobody's time from then. */
static void absence_is_counted_with_quorum(void **state)
{
    struct net *net = net_whole(3);
    struct xha_cluster_policy policy = net_policy(20000);
    struct xha_cluster_event ev;

    (void)state;
    ev = net_request(net, 0, XHA_RQ_SETTINGS, 0);
    ev.u.request.settings = &policy;
    assert_int_equal(net_ask(net, 0, ev), 0);
    assert_int_equal(net_of_host(net, 0, XHA_RQ_ARM, XHA_HOST_NONE, true), 0);
    for (uint8_t h = 0; h < 3; h++) {
        net->host[h].info.can_fence = 0;
        net->host[h].info.armed = true;
        net_info(net, h);
    }
    net_run(net);
    net_protect(net, 1, 1, 2);
    net_side(net, 4, 0, false); /* it is away for a moment, seen by the leader */
    net_side(net, 3, 0, true);
    net_run(net);
    net_side(net, 1, 0, false);
    net_side(net, 6, 0, true);
    net_run(net);
    net_pass(net, 15000); /* host 2 is well, and quorate */
    net_stop(net, 2);
    net_side(net, 3, 0, true); /* now it is lost, and the old leader back */
    net_run(net);
    net_pass(net, 15000);
    assert_int_equal(net_host_of(net, 0, 2).state, XHA_HOST_LOST);
    net_pass(net, 8000);
    assert_int_equal(net_host_of(net, 0, 2).state, XHA_HOST_FENCED);
    net_free(net);
}

/* A message that one host alone has delivered, before it was cut off. */
static void delivered_alone(void **state)
{
    struct net *net = net_whole(3);
    struct xha_cluster_event ev = net_request(net, 0, XHA_RQ_HOST_MAINTENANCE, 0);

    (void)state;
    net_protect(net, 0, 1, 0);
    ev.u.request.host = 2;
    ev.u.request.on = true;
    ev.u.request.number = ++net->host[0].number;
    net_step(net, 0, &ev);
    while (net_deliver(net, 0))
        ;
    lose(net, 1);
    lose(net, 2);
    assert_true(net_host_of(net, 0, 2).maintenance);
    assert_true(net_status(net, 0).committed < net_status(net, 0).index);
    net_side(net, 1, 0, false);
    net_side(net, 6, 0, true);
    net_run(net);
    net_same(net, 6);
    assert_false(net_host_of(net, 1, 2).maintenance);
    assert_true(net_host_of(net, 0, 2).maintenance);
    assert_int_equal(net->host[0].result_number, net->host[0].number - 1);
    net_side(net, 7, 0, true);
    net_run(net);
    net_same(net, 7);
    /* The others' state won, and the request was said again: done, once, and answered. */
    assert_true(net_host_of(net, 1, 2).maintenance);
    assert_int_equal(net->host[0].result_number, ev.u.request.number);
    assert_int_equal(net->host[0].result_rc, 0);
    assert_int_equal(net->host[1].notes[XHA_CC_MAINTENANCE_ON], 1);
    net_free(net);
}

/* The last HELLO and the READYs arrive at one host alone: it goes on in an epoch of its own, and must lose. */
static void epoch_alone(void **state)
{
    for (int cut = 0; cut < 14; cut++) {
        struct net *net = net_whole(3);
        uint64_t epoch;

        (void)state;
        net_protect(net, 0, 1, 2);
        net_side(net, 7, 0, true);      /* a new view of the same; not yet delivered */
        for (int i = 0; i < cut; i++) { /* the others fall behind after so many */
            net_deliver(net, 1);
            net_deliver(net, 2);
            while (net_deliver(net, 0))
                ;
        }
        lose(net, 1);
        lose(net, 2);
        while (net_deliver(net, 0))
            ;
        net_side(net, 1, 0, false);
        net_side(net, 6, 0, true);
        net_run(net);
        net_same(net, 6);
        assert_int_equal(net_protect(net, 1, 2, 1), 0);
        epoch = net_status(net, 1).epoch;
        assert_true(epoch > net_status(net, 0).epoch);
        net_side(net, 7, 0, true);
        net_run(net);
        net_same(net, 7);
        assert_int_equal(net_domain(net, 0, 2).owner, 1);
        net_free(net);
    }
}

/* All were off. The newest state is on one disk. */
static void cold_start(void **state)
{
    struct net *net = net_whole(3);

    (void)state;
    net_protect(net, 0, 1, 0);
    net_report(net, 0, 1, XHA_ST_RUNNING, true);
    net_stop(net, 2);
    net_side(net, 3, 0, true);
    net_run(net);
    net_protect(net, 0, 2, 1); /* host 2 does not know */
    net_report(net, 1, 2, XHA_ST_RUNNING, true);
    net_stop(net, 0);
    net_stop(net, 1);
    for (uint8_t h = 0; h < 3; h++)
        net_start(net, h, true);
    net_side(net, 6, 0, true);
    net_run(net);
    net_same(net, 6);
    assert_true(net_status(net, 2).settled);
    assert_int_equal(net_domain(net, 2, 2).purpose, XHA_FOR_RECOVERY);
    assert_true(net_domain(net, 2, 2).committed);
    net_side(net, 7, 0, true);
    net_run(net);
    net_same(net, 7);
    for (uint8_t d = 1; d < 3; d++) {
        assert_int_equal(net_domain(net, 0, d).phase, XHA_PH_OWNED);
        assert_int_equal(net_domain(net, 0, d).purpose, XHA_FOR_RECOVERY);
    }
    net_free(net);
}

/* Too few of a cold start: an old state decides nothing, also not by what it believes of hosts fenced long ago. */
static void cold_start_of_one(void **state)
{
    struct net *net = two_nodes();

    (void)state;
    net->host[0].exclusive = net->host[1].exclusive = true; /* a device breaks ties */
    net_stop(net, 1);
    net_side(net, 1, 0, true);
    net_run(net);
    net_pass(net, 1000);      /* word of a lost quorum has its time */
    net_fenced(net, 0, true); /* 0 runs both */
    assert_int_equal(net_domain(net, 0, 2).owner, 0);
    net_stop(net, 0);
    net_start(net, 1, true);
    net_side(net, 2, 0, true); /* its state: 0 is in */
    net_run(net);
    net_pass(net, 1000);
    assert_false(net_status(net, 1).settled);
    assert_int_equal(net_status(net, 1).committed, 0);
    net_fenced(net, 1, true);
    assert_true(net_status(net, 1).settled);
    assert_int_equal(net_domain(net, 1, 1).owner, 1);
    /* Now 0 boots, with a state in which 1 was fenced: it must not rest on that, nor win. */
    net_start(net, 0, true);
    net_side(net, 1, 0, true);
    net_run(net);
    net_tick(net);
    assert_int_equal(net_host_of(net, 0, 1).state, XHA_HOST_LOST);
    assert_false(net_status(net, 0).settled);
    assert_int_equal(net_status(net, 0).committed, 0);
    net_side(net, 3, 0, true);
    net_run(net);
    net_same(net, 3);
    assert_int_equal(net_domain(net, 0, 1).owner, 1);
    assert_int_equal(net_domain(net, 0, 2).owner, 1);
    net_free(net);
}

/* xhad hangs on one host: nothing is committed without it, nobody is lost, it pokes no watchdog. */
static void hangs(void **state)
{
    struct net *net = net_whole(3);

    (void)state;
    net_pass(net, 3000);
    assert_true(xha_cluster_may_poke(net->host[2].core));
    net->host[2].frozen = true;
    assert_int_equal(net_protect(net, 0, 1, 0), 99);
    net_pass(net, 10000);
    assert_false(net_domain(net, 0, 1).committed);
    assert_int_equal(net_host_of(net, 0, 2).state, XHA_HOST_IN);
    assert_true(net->host[0].alarms[XHA_CC_XHAD_GONE] >= 1);
    assert_true(xha_cluster_may_poke(net->host[0].core));
    net->host[2].frozen = false;
    net_run(net);
    net_tick(net);
    assert_true(net_domain(net, 0, 1).committed);
    net_free(net);
}

/* Corosync hangs under one host: it believes to be quorate, but its pulses do not come back. */
static void frozen_corosync(void **state)
{
    struct net *net = net_whole(3);
    struct xha_cluster_event tick = { .type = XHA_CEV_TICK };

    (void)state;
    net_pass(net, 3000);
    net->sides[2] = 0; /* nothing in, nothing out, no event */
    lose(net, 2);
    net_side(net, 3, 0, true);
    net_run(net);
    for (int i = 0; i < 3; i++) {
        net->now_ms += 1000;
        net_step(net, 2, &tick);
    }
    assert_false(xha_cluster_may_poke(net->host[2].core));
    assert_true(net_status(net, 2).quorate);
    net_free(net);
}

/* xhad alone is gone: its host's domains stay where they are. */
static void xhad_gone(void **state)
{
    struct net *net = net_whole(3);

    (void)state;
    net_protect(net, 0, 1, 2);
    net_stop(net, 2);
    net_side(net, 3, 4, true);
    net_run(net);
    net_pass(net, 60000);
    assert_int_equal(net_host_of(net, 0, 2).state, XHA_HOST_IN);
    assert_int_equal(net_domain(net, 0, 1).owner, 2);
    assert_int_equal(net->host[0].alarms[XHA_CC_XHAD_GONE], 1);
    net_start(net, 2, false);
    net_side(net, 7, 0, true);
    net_run(net);
    net_same(net, 7);
    assert_int_equal(net_domain(net, 2, 1).owner, 2);
    assert_true(net_domain(net, 2, 1).committed);
    net_free(net);
}

/* The leader goes while a fence agent is at work: the next one waits for that attempt, or makes another. */
static void leader_changes_while_fencing(void **state)
{
    struct net *net = net_whole(5);

    (void)state;
    net_protect(net, 0, 1, 4);
    net_stop(net, 4);
    net_side(net, 15, 0, true);
    net_run(net);
    net_tick(net);
    assert_int_equal(net->host[0].fence_host, 4);
    net_stop(net, 0);
    net_side(net, 14, 0, true);
    net_run(net);
    net_tick(net);
    assert_int_equal(net_status(net, 2).leader, 1);
    for (uint8_t h = 1; h < 4; h++)
        while (net->host[h].fence_host != XHA_HOST_NONE)
            net_fenced(net, h, true);
    net_pass(net, 1000);
    for (uint8_t h = 1; h < 4; h++)
        while (net->host[h].fence_host != XHA_HOST_NONE)
            net_fenced(net, h, true);
    assert_int_equal(net_host_of(net, 1, 4).state, XHA_HOST_FENCED);
    assert_int_equal(net_host_of(net, 1, 0).state, XHA_HOST_FENCED);
    assert_int_equal(net_domain(net, 1, 1).phase, XHA_PH_OWNED);
    net_same(net, 14);
    net_free(net);
}

/* Nothing is acknowledged that is not on disk. */
static void disk_is_slow(void **state)
{
    struct net *net = net_whole(3);

    (void)state;
    net->host[1].no_disk = true;
    assert_int_equal(net_protect(net, 0, 1, 0), 99);
    assert_false(net_domain(net, 0, 1).committed);
    net_pass(net, 15000);
    assert_int_equal(net->host[0].alarms[XHA_CC_XHAD_GONE], 1); /* by name */
    net->host[1].no_disk = false;
    net_stored(net, 1);
    net_run(net);
    assert_true(net_domain(net, 0, 1).committed);
    assert_int_equal(net->host[0].result_rc, 0);
    net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_quorate),
        cmocka_unit_test(heals),
        cmocka_unit_test(watchdog_needs_exclusive),
        cmocka_unit_test(absence_is_counted_with_quorum),
        cmocka_unit_test(unsound_times),
        cmocka_unit_test(delivered_alone),
        cmocka_unit_test(epoch_alone),
        cmocka_unit_test(cold_start),
        cmocka_unit_test(cold_start_of_one),
        cmocka_unit_test(hangs),
        cmocka_unit_test(frozen_corosync),
        cmocka_unit_test(xhad_gone),
        cmocka_unit_test(leader_changes_while_fencing),
        cmocka_unit_test(disk_is_slow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * test-cluster-pair.c - pairs in the replicated state: PAIR_END and PROMOTE race, and the first in the order is the only one;
 * who may take over, and what else that is ordered ends a pair.
 */
#include "cluster-net.h"

static int protect_as(struct net *net, uint8_t at, enum xha_protection protection)
{
    struct xha_cluster_event ev = net_request(net, 0, XHA_RQ_PROTECT, 1);
    struct xha_policy policy = policy_usual();
    struct xha_needs needs = { .vcpus = 1, .relocate = true };

    policy.react[XHA_FAIL_HOST] = XHA_REACT_RECOVER;
    policy.protection = protection;
    snprintf(ev.u.request.name, sizeof ev.u.request.name, "d1");
    ev.u.request.policy = &policy;
    ev.u.request.needs = &needs;
    ev.u.request.host = at;
    return net_ask(net, 0, ev);
}

/* What host h says of the pair of domain 1 as it is now. */
static struct xha_cluster_event fact(const struct net *net, uint8_t h, enum xha_cluster_event_type type)
{
    struct xha_cluster_event ev = { .type = type, .uuid = uuid_of(1) };

    ev.term = net_domain(net, h, 1).term;
    ev.u.pair.id = net_domain(net, h, 1).pair.id;
    ev.u.pair.port = 4711;
    ev.u.pair.want_run = true;
    snprintf(ev.u.pair.text, sizeof ev.u.pair.text, "why");
    return ev;
}

static void tell(struct net *net, uint8_t h, enum xha_cluster_event_type type)
{
    struct xha_cluster_event ev = fact(net, h, type);

    net_step(net, h, &ev);
    net_run(net);
}

/* Domain 1 runs on host 0 and has host 1 as its backup, which prepares. */
static struct net *paired(uint32_t n)
{
    struct net *net = net_whole(n);

    assert_int_equal(protect_as(net, 0, XHA_PROT_REPLICATE), 0);
    assert_int_equal(net_domain(net, 0, 1).pair.id, 0); /* not before it runs */
    net_report(net, 0, 1, XHA_ST_RUNNING, true);
    assert_int_not_equal(net_domain(net, 0, 1).pair.id, 0);
    assert_int_equal(net_domain(net, 0, 1).pair.backup, 1);
    assert_int_equal(net_domain(net, 0, 1).pair.stage, XHA_PAIR_ORDERED);
    return net;
}

static struct net *is_protected(uint32_t n)
{
    struct net *net = paired(n);

    tell(net, 0, XHA_CEV_PAIR_PROTECTED); /* too early: nothing */
    assert_int_equal(net_domain(net, 0, 1).pair.stage, XHA_PAIR_ORDERED);
    tell(net, 1, XHA_CEV_PAIR_LISTENS);
    assert_int_equal(net_domain(net, 0, 1).pair.stage, XHA_PAIR_SYNCING);
    assert_int_equal(net_domain(net, 0, 1).pair.port, 4711);
    tell(net, 0, XHA_CEV_PAIR_PROTECTED);
    assert_int_equal(net_domain(net, 0, 1).pair.stage, XHA_PAIR_PROTECTED);
    net_same(net, (UINT64_C(1) << n) - 1);
    return net;
}

/* Both in the same moment. */
static void race(void **state)
{
    for (int first = 0; first < 2; first++) {
        struct net *net = is_protected(3);
        struct xha_cluster_event end = fact(net, 0, XHA_CEV_PAIR_END);
        struct xha_cluster_event promote = fact(net, 1, XHA_CEV_PROMOTE);
        uint64_t term = net_domain(net, 0, 1).term;

        (void)state;
        net_step(net, first ? 1 : 0, first ? &promote : &end);
        net_step(net, first ? 0 : 1, first ? &end : &promote);
        net_run(net);
        net_same(net, 7);
        assert_int_equal(net_domain(net, 0, 1).owner, first ? 1 : 0);
        assert_int_equal(net_domain(net, 0, 1).term, first ? term + 1 : term);
        assert_int_equal(net_domain(net, 0, 1).pair.id, 0);
        assert_true(net_domain(net, 0, 1).committed);
        net_free(net);
    }
}

/* Half of a copy never takes over; a copy of what is not wanted neither. */
static void not_promoted(void **state)
{
    struct net *net = paired(3);

    (void)state;
    tell(net, 1, XHA_CEV_PAIR_LISTENS);
    tell(net, 1, XHA_CEV_PROMOTE);
    assert_int_equal(net_domain(net, 0, 1).owner, 0);
    tell(net, 0, XHA_CEV_PAIR_PROTECTED);
    net_report(net, 0, 1, XHA_ST_STOPPING, false);
    tell(net, 1, XHA_CEV_PROMOTE);
    assert_int_equal(net_domain(net, 0, 1).phase, XHA_PH_FREE);
    assert_false(net_domain(net, 0, 1).want_run);
    net_same(net, 7);
    net_free(net);
}

/* Of three the leader promotes as soon as the owner's host is lost, and that is committed before any fence. */
static void owner_is_lost(void **state)
{
    struct net *net = is_protected(3);

    (void)state;
    net_stop(net, 0);
    net_side(net, 6, 0, true);
    net_run(net);
    assert_int_equal(net_host_of(net, 1, 0).state, XHA_HOST_LOST);
    assert_int_equal(net_domain(net, 1, 1).owner, 1);
    assert_true(net_domain(net, 1, 1).committed);
    net_same(net, 6);
    net_free(net);
}

/* Of two nothing is committed before the other is fenced, neither here nor by an owner that lives. */
static void of_two_a_fence_is_waited_for(void **state)
{
    for (uint8_t lost = 0; lost < 2; lost++) {
        struct net *net = is_protected(2);
        uint8_t here = !lost;

        (void)state;
        net_stop(net, lost);
        net_side(net, UINT64_C(1) << here, 0, true);
        net_run(net);
        assert_int_equal(net_domain(net, here, 1).pair.id, 0); /* applied, and not to be acted upon */
        assert_false(net_domain(net, here, 1).committed);
        net_pass(net, 1000);
        net_fenced(net, here, true);
        assert_int_equal(net_domain(net, here, 1).owner, here);
        assert_true(net_domain(net, here, 1).committed);
        net_free(net);
    }
}

/* The first copy was under way: as without one, the fence comes first. */
static void owner_is_lost_early(void **state)
{
    struct net *net = paired(3);

    (void)state;
    tell(net, 1, XHA_CEV_PAIR_LISTENS);
    net_stop(net, 0);
    net_side(net, 6, 0, true);
    net_run(net);
    net_tick(net);
    assert_int_equal(net_domain(net, 1, 1).owner, 0);
    net_fenced(net, 1, true);
    assert_int_equal(net_domain(net, 1, 1).purpose, XHA_FOR_RECOVERY);
    assert_int_equal(net_domain(net, 1, 1).pair.id, 0);
    net_free(net);
}

static void backup_is_lost(void **state)
{
    struct net *net = is_protected(3);

    (void)state;
    net_stop(net, 1);
    net_side(net, 5, 0, true);
    net_run(net);
    assert_int_equal(net_domain(net, 0, 1).pair.id, 0);
    assert_int_equal(net_domain(net, 0, 1).owner, 0);
    assert_true(net_domain(net, 0, 1).committed);
    net_pass(net, 3000);
    assert_int_equal(net_domain(net, 0, 1).pair.backup, 2); /* another one, by itself */
    net_free(net);
}

/* One for which there was no room has a backup as soon as there is, not when its patience is over. */
static void room_appears(void **state)
{
    struct net *net = net_whole(2);

    (void)state;
    net->host[1].info.memory_kib = 1u << 20;
    net_info(net, 1);
    net_run(net);
    assert_int_equal(net_protect(net, 0, 2, 1), 0);
    net_report(net, 1, 2, XHA_ST_RUNNING, true);
    assert_int_equal(protect_as(net, 0, XHA_PROT_REPLICATE), 0);
    net_report(net, 0, 1, XHA_ST_RUNNING, true);
    assert_int_equal(net_domain(net, 0, 1).pair.id, 0);
    assert_true(net_domain(net, 0, 1).bare_text[0]);
    net_pass(net, 16000); /* it was tried twice in vain, and waits for long */
    assert_int_equal(net_domain(net, 0, 1).pair.id, 0);
    assert_int_equal(net_ask(net, 0, net_request(net, 0, XHA_RQ_UNPROTECT, 2)), 0);
    net_tick(net);
    assert_int_equal(net_domain(net, 0, 1).pair.backup, 1);
    assert_false(net_domain(net, 0, 1).bare_text[0]);
    net_free(net);
}

/* A copy does not take the room that N+k has promised to the others, and is begun when there is more. */
static void survive(void **state)
{
    struct net *net = net_whole(3);
    struct xha_cluster_event ev = net_request(net, 0, XHA_RQ_SETTINGS, 0);
    struct xha_cluster_policy policy = net_policy(0);

    (void)state;
    policy.survive = 1;
    ev.u.request.settings = &policy;
    assert_int_equal(net_ask(net, 0, ev), 0);
    assert_int_equal(protect_as(net, 0, XHA_PROT_REPLICATE), 0);
    for (uint8_t d = 2; d < 17; d++) /* 4 GiB on each of two hosts of 8, and 8 on the third */
        assert_int_equal(net_protect(net, 0, d, d < 5 ? 0 : d < 9 ? 1 : 2), 0);
    net_report(net, 0, 1, XHA_ST_RUNNING, true);
    assert_int_equal(net_domain(net, 0, 1).pair.id, 0);
    assert_non_null(strstr(net_domain(net, 0, 1).bare_text, "survive = 1"));
    assert_int_equal(net_ask(net, 0, net_request(net, 0, XHA_RQ_UNPROTECT, 16)), 0);
    net_tick(net);
    assert_int_equal(net_domain(net, 0, 1).pair.backup, 2);
    net_free(net);
}

/* What cannot survive is no reason to have no backup. */
static void survive_not(void **state)
{
    struct net *net = net_whole(3);
    struct xha_cluster_event ev;
    struct xha_cluster_policy policy = net_policy(0);

    (void)state;
    assert_int_equal(protect_as(net, 0, XHA_PROT_REPLICATE), 0);
    for (uint8_t d = 2; d < 18; d++) /* a GiB too many */
        assert_int_equal(net_protect(net, 0, d, d < 6 ? 0 : d < 10 ? 1 : 2), 0);
    policy.survive = 1;
    ev = net_request(net, 0, XHA_RQ_SETTINGS, 0);
    ev.u.request.settings = &policy;
    assert_int_equal(net_ask(net, 0, ev), 0);
    net_report(net, 0, 1, XHA_ST_RUNNING, true);
    assert_int_equal(net_domain(net, 0, 1).pair.backup, 1);
    net_free(net);
}

static void order_of(struct net *net, enum xha_order_type order)
{
    struct xha_cluster_event ev = net_request(net, 0, XHA_RQ_ORDER, 1);

    ev.u.request.order = order;
    net_step(net, 0, &ev);
    net_run(net);
}

/* Whatever is to be done with the domain itself ends its pair in the same message. */
static void ended_by_what_is_ordered(void **state)
{
    for (int i = 0; i < 5; i++) {
        struct net *net = is_protected(3);
        struct xha_cluster_event ev = net_request(net, 0, i == 2 ? XHA_RQ_UNPROTECT : XHA_RQ_MIGRATE, 1);

        (void)state;
        ev.u.request.host = 1; /* its backup has room for it, for it is there already */
        ev.u.request.mode = XHA_MOVE_LIVE;
        if (i == 0)
            order_of(net, XHA_DO_STOP);
        else if (i == 1)
            assert_int_equal(net_of_host(net, 0, XHA_RQ_HOST_MAINTENANCE, 1, true), 0);
        else if (i == 4)
            assert_int_equal(protect_as(net, XHA_HOST_NONE, XHA_PROT_RESTART), 0);
        else
            assert_int_equal(net_ask(net, 0, ev), 0);
        if (i == 2) {
            assert_int_equal(xha_cluster_count(net->host[0].core), 0);
        } else {
            assert_int_equal(net_domain(net, 0, 1).pair.id, 0);
            assert_int_equal(net_domain(net, 0, 1).phase, i == 3 ? XHA_PH_MOVING : XHA_PH_OWNED);
        }
        net_same(net, 7);
        net_free(net);
    }
}

/* What names an old pair does nothing to the next one. */
static void an_old_pair(void **state)
{
    struct net *net = is_protected(3);
    struct xha_cluster_event end = fact(net, 0, XHA_CEV_PAIR_END), promote = fact(net, 1, XHA_CEV_PROMOTE);
    uint64_t id;

    (void)state;
    net_step(net, 0, &end);
    net_run(net);
    net_pass(net, 3000);
    id = net_domain(net, 0, 1).pair.id;
    assert_int_not_equal(id, 0);
    assert_int_not_equal(id, end.u.pair.id);
    net_step(net, 0, &end);
    net_step(net, 1, &promote);
    net_run(net);
    assert_int_equal(net_domain(net, 0, 1).pair.id, id);
    assert_int_equal(net_domain(net, 0, 1).owner, 0);
    net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(race),
        cmocka_unit_test(not_promoted),
        cmocka_unit_test(owner_is_lost),
        cmocka_unit_test(of_two_a_fence_is_waited_for),
        cmocka_unit_test(owner_is_lost_early),
        cmocka_unit_test(backup_is_lost),
        cmocka_unit_test(room_appears),
        cmocka_unit_test(survive),
        cmocka_unit_test(survive_not),
        cmocka_unit_test(ended_by_what_is_ordered),
        cmocka_unit_test(an_old_pair),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

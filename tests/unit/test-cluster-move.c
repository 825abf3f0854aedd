/*
 * test-cluster-move.c - moves: the order of RESTORED and END decides, whatever is lost on the way; maintenance
 * empties a host and brings back what it took.
 */
#include "cluster-net.h"

static struct net *moving(uint32_t n)
{
    struct net *net = net_whole(n);
    struct xha_cluster_event ev;

    assert_int_equal(net_protect(net, 0, 1, 0), 0);
    net_report(net, 0, 1, XHA_ST_RUNNING, true);
    ev = net_request(net, 0, XHA_RQ_MIGRATE, 1);
    ev.u.request.host = 1;
    ev.u.request.mode = XHA_MOVE_LIVE;
    assert_int_equal(net_ask(net, 0, ev), 0);
    assert_int_equal(net_domain(net, 1, 1).phase, XHA_PH_MOVING);
    assert_true(net_domain(net, 1, 1).committed);
    return net;
}

static struct xha_cluster_event fact(const struct net *net, enum xha_cluster_event_type type)
{
    struct xha_cluster_event ev = { .type = type, .uuid = uuid_of(1) };

    ev.term = net_domain(net, 0, 1).term;
    ev.u.move.id = net_domain(net, 0, 1).move.id;
    ev.u.move.port = 4711;
    return ev;
}

static void tell(struct net *net, uint8_t h, enum xha_cluster_event_type type)
{
    struct xha_cluster_event ev = fact(net, type);

    net_step(net, h, &ev);
}

static void arrives(void **state)
{
    struct net *net = moving(3);
    uint64_t term = net_domain(net, 0, 1).term, id = net_domain(net, 0, 1).move.id;

    (void)state;
    tell(net, 2, XHA_CEV_MOVE_READY); /* not the target: nothing */
    net_run(net);
    assert_int_equal(net_domain(net, 0, 1).move.stage, XHA_MOVE_ORDERED);
    tell(net, 1, XHA_CEV_MOVE_READY);
    net_run(net);
    assert_int_equal(net_domain(net, 0, 1).move.stage, XHA_MOVE_STREAMING);
    assert_int_equal(net_domain(net, 0, 1).move.port, 4711);
    tell(net, 1, XHA_CEV_MOVE_RESTORED);
    net_run(net);
    assert_int_equal(net_domain(net, 0, 1).owner, 1);
    assert_int_equal(net_domain(net, 0, 1).phase, XHA_PH_OWNED);
    assert_int_equal(net_domain(net, 0, 1).term, term + 1);
    assert_int_equal(net_domain(net, 0, 1).last_move, id);
    assert_int_equal(net_domain(net, 0, 1).purpose, XHA_FOR_NOTHING);
    assert_true(net_domain(net, 0, 1).committed);
    net_same(net, 7);
    net_free(net);
}

/* Both in the same moment: the first in the order wins everywhere. */
static void race(void **state)
{
    for (int first = 0; first < 2; first++) {
        struct net *net = moving(3);
        struct xha_cluster_event restored = fact(net, XHA_CEV_MOVE_RESTORED);
        struct xha_cluster_event failed = fact(net, XHA_CEV_MOVE_FAILED);

        (void)state;
        net_step(net, first ? 1 : 0, first ? &restored : &failed);
        net_step(net, first ? 0 : 1, first ? &failed : &restored);
        net_run(net);
        net_same(net, 7);
        assert_int_equal(net_domain(net, 0, 1).owner, first ? 1 : 0);
        assert_int_equal(net_domain(net, 0, 1).phase, XHA_PH_OWNED);
        net_free(net);
    }
}

static void source_is_fenced(void **state)
{
    struct net *net = moving(3);
    struct xha_cluster_event late = fact(net, XHA_CEV_MOVE_RESTORED);
    uint64_t id = late.u.move.id;

    (void)state;
    net_stop(net, 0);
    net_side(net, 6, 0, true);
    net_run(net);
    net_tick(net);
    net_fenced(net, 1, true);
    /* One copy: granted anew, and what the target holds of the move is void. */
    assert_int_equal(net_domain(net, 1, 1).phase, XHA_PH_OWNED);
    assert_int_equal(net_domain(net, 1, 1).last_move, id);
    assert_int_equal(net_domain(net, 1, 1).purpose, XHA_FOR_RECOVERY);
    uint64_t term = net_domain(net, 1, 1).term;
    net_step(net, 1, &late);
    net_run(net);
    assert_int_equal(net_domain(net, 1, 1).term, term);
    net_same(net, 6);
    net_free(net);
}

/* The source is lost after it has sent all; the target has it whole: that is the old owner's own word. */
static void source_is_lost(void **state)
{
    struct net *net = moving(3);
    struct xha_cluster_event restored = fact(net, XHA_CEV_MOVE_RESTORED);

    (void)state;
    net_stop(net, 0);
    net_side(net, 6, 0, true);
    net_step(net, 1, &restored); /* said between two epochs: kept, and said in the next */
    net_run(net);
    assert_int_equal(net_domain(net, 1, 1).owner, 1);
    assert_true(net_domain(net, 1, 1).committed);
    assert_int_equal(net_host_of(net, 1, 0).state, XHA_HOST_LOST);
    net_free(net);
}

static void target_is_lost(void **state)
{
    struct net *net = moving(3);

    (void)state;
    net_stop(net, 1);
    net_side(net, 5, 0, true);
    net_run(net);
    net_tick(net);
    assert_int_equal(net_domain(net, 0, 1).phase, XHA_PH_OWNED);
    assert_int_equal(net_domain(net, 0, 1).owner, 0);
    assert_true(net_domain(net, 0, 1).committed);
    net_free(net);
}

static void joiner_during_a_move(void **state)
{
    struct net *net = moving(3);

    (void)state;
    net_stop(net, 2);
    net_side(net, 3, 0, true);
    net_run(net);
    tell(net, 1, XHA_CEV_MOVE_READY);
    net_start(net, 2, true);
    net_side(net, 7, 0, true);
    net_run(net);
    net_same(net, 7);
    assert_int_equal(net_domain(net, 2, 1).phase, XHA_PH_MOVING);
    assert_int_equal(net_domain(net, 2, 1).move.stage, XHA_MOVE_STREAMING);
    tell(net, 1, XHA_CEV_MOVE_RESTORED);
    net_run(net);
    assert_int_equal(net_domain(net, 2, 1).owner, 1);
    net_same(net, 7);
    net_free(net);
}

static void takes_too_long(void **state)
{
    struct net *net = moving(2);

    (void)state;
    net_pass(net, 3600000);
    assert_int_equal(net_domain(net, 0, 1).phase, XHA_PH_OWNED);
    assert_int_equal(net_domain(net, 0, 1).owner, 0);
    net_free(net);
}

static void gives_up(void **state)
{
    struct net *net = moving(2);

    (void)state;
    assert_int_equal(net_ask(net, 1, net_request(net, 1, XHA_RQ_MIGRATE_ABORT, 1)), 0);
    assert_int_equal(net_domain(net, 0, 1).phase, XHA_PH_OWNED);
    assert_int_equal(net_ask(net, 1, net_request(net, 1, XHA_RQ_MIGRATE_ABORT, 1)), XHA_CORE_E_STATE);
    net_free(net);
}

/* GIVE and the owner's FENCED race: whoever is first, one new owner. */
static void give_and_fenced(void **state)
{
    struct net *net = net_whole(3);
    struct xha_cluster_event ev = { .type = XHA_CEV_GIVE, .uuid = uuid_of(1) };

    (void)state;
    net_protect(net, 0, 1, 2);
    ev.term = net_domain(net, 0, 1).term;
    ev.u.give.want_run = true;
    ev.u.give.prefer = XHA_HOST_NONE;
    net_step(net, 2, &ev); /* on its way when the host dies */
    net_stop(net, 2);
    net_side(net, 3, 0, true);
    net_run(net);
    net_tick(net);
    assert_int_equal(net_domain(net, 0, 1).phase, XHA_PH_OWNED);
    assert_true(net_domain(net, 0, 1).owner < 2); /* given in time */
    uint64_t term = net_domain(net, 0, 1).term;
    net_fenced(net, 0, true);
    assert_int_equal(net_domain(net, 0, 1).term, term);
    net_same(net, 3);
    net_free(net);
}

static void complete_moves(struct net *net, uint32_t n)
{
    for (uint32_t d = 1; d <= n; d++) {
        struct xha_cluster_domain domain = net_domain(net, 0, d);
        struct xha_cluster_event ev = { .type = XHA_CEV_MOVE_RESTORED,
                                        .uuid = uuid_of(d),
                                        .term = domain.term };

        if (domain.phase != XHA_PH_MOVING)
            continue;
        ev.u.move.id = domain.move.id;
        net_step(net, domain.move.target, &ev);
        net_run(net);
        net_report(net, net_domain(net, 0, d).owner, d, XHA_ST_RUNNING, true);
    }
}

static void maintenance(void **state)
{
    struct net *net = net_whole(3);

    (void)state;
    for (uint8_t d = 1; d <= 6; d++) {
        net_protect(net, 0, d, 2);
        net_report(net, 2, d, XHA_ST_RUNNING, true);
    }
    assert_int_equal(net_ask(net, 2, net_request(net, 2, XHA_RQ_LEAVE, 0)), XHA_CORE_E_STATE);
    assert_int_equal(net_of_host(net, 1, XHA_RQ_HOST_MAINTENANCE, 2, true), 0);
    assert_int_equal(net_status(net, 0).moving, 2); /* parallel_moves */
    for (int i = 0; i < 6; i++) {
        complete_moves(net, 6);
        assert_true(net_status(net, 0).moving <= 2);
        net_tick(net);
    }
    assert_int_equal(net_host_of(net, 0, 2).domains, 0);
    net_pass(net, 15000);
    assert_int_equal(net->host[0].notes[XHA_CC_EVACUATED], 1);
    assert_int_equal(net_ask(net, 2, net_request(net, 2, XHA_RQ_LEAVE, 0)), 0);
    assert_int_equal(net_host_of(net, 0, 2).state, XHA_HOST_LEFT);
    net_stop(net, 2);
    net_side(net, 3, 0, true);
    net_run(net);
    net_pass(net, 60000);
    assert_int_equal(net->host[0].alarms[XHA_CC_HOST_LOST], 0);
    net_same(net, 3);
    net_free(net);
}

static void fails_back(void **state)
{
    struct net *net = net_whole(2);
    struct xha_cluster_event ev = net_request(net, 0, XHA_RQ_PROTECT, 1);
    struct xha_policy policy = policy_usual();
    struct xha_needs needs = { .vcpus = 1, .relocate = true, .failback = true };

    (void)state;
    policy.react[XHA_FAIL_HOST] = XHA_REACT_RECOVER;
    snprintf(ev.u.request.name, sizeof ev.u.request.name, "d1");
    ev.u.request.policy = &policy;
    ev.u.request.needs = &needs;
    ev.u.request.host = 1;
    assert_int_equal(net_ask(net, 0, ev), 0);
    net_report(net, 1, 1, XHA_ST_RUNNING, true);
    assert_int_equal(net_of_host(net, 0, XHA_RQ_HOST_MAINTENANCE, 1, true), 0);
    complete_moves(net, 1);
    assert_int_equal(net_domain(net, 0, 1).owner, 0);
    assert_int_equal(net_domain(net, 0, 1).home, 1);
    assert_int_equal(net_of_host(net, 0, XHA_RQ_HOST_MAINTENANCE, 1, false), 0);
    net_tick(net);
    complete_moves(net, 1);
    assert_int_equal(net_domain(net, 0, 1).owner, 1);
    assert_int_equal(net_domain(net, 0, 1).home, XHA_HOST_NONE);
    net_free(net);
}

/* Nobody can take it: said once, by name; and what holds the host is known. */
static void cannot_leave(void **state)
{
    struct net *net = net_new(2);

    (void)state;
    net->host[1].info.memory_kib = 1024;
    net_info(net, 1);
    net_side(net, 3, 0, true);
    net_run(net);
    net_protect(net, 0, 1, 0);
    net_report(net, 0, 1, XHA_ST_RUNNING, true);
    assert_int_equal(net_of_host(net, 0, XHA_RQ_HOST_MAINTENANCE, 0, true), 0);
    net_pass(net, 60000);
    assert_int_equal(net->host[0].alarms[XHA_CC_CANNOT_MOVE], 1);
    assert_int_equal(net->host[0].notes[XHA_CC_EVACUATED], 0);
    struct xha_cluster_event ev = net_request(net, 0, XHA_RQ_MIGRATE, 1);
    assert_int_equal(net_ask(net, 0, ev), XHA_CORE_E_STATE);
    net_free(net);
}

/* Its disks are its host's alone: whoever moves it, and says not how, moves it cold, with them. */
static void disks_go_along(void **state)
{
    struct xha_needs needs = { .vcpus = 1, .relocate = true, .mode = XHA_MOVE_LIVE, .copy_storage = true };
    struct net *net = net_whole(3);
    struct xha_cluster_event ev;

    (void)state;
    assert_int_equal(net_protect_needs(net, 0, 1, 0, &needs), 0);
    net_report(net, 0, 1, XHA_ST_RUNNING, true);
    for (enum xha_move_mode mode = XHA_MOVE_LIVE; mode <= XHA_MOVE_WARM; mode++) {
        ev = net_request(net, 0, XHA_RQ_MIGRATE, 1);
        ev.u.request.host = 1;
        ev.u.request.mode = mode;
        assert_int_equal(net_ask(net, 0, ev), XHA_CORE_E_STATE);
    }
    ev = net_request(net, 0, XHA_RQ_MIGRATE, 1);
    ev.u.request.host = 1;
    assert_int_equal(net_ask(net, 0, ev), 0);
    assert_int_equal(net_domain(net, 2, 1).phase, XHA_PH_MOVING);
    assert_int_equal(net_domain(net, 2, 1).move.mode, XHA_MOVE_COLD);
    net_free(net);

    net = net_whole(3);
    assert_int_equal(net_protect_needs(net, 0, 1, 0, &needs), 0);
    net_report(net, 0, 1, XHA_ST_RUNNING, true);
    assert_int_equal(net_of_host(net, 1, XHA_RQ_HOST_MAINTENANCE, 0, true), 0);
    net_pass(net, 1000);
    assert_int_equal(net_domain(net, 2, 1).move.mode, XHA_MOVE_COLD);
    net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrives),          cmocka_unit_test(race),
        cmocka_unit_test(source_is_fenced), cmocka_unit_test(source_is_lost),
        cmocka_unit_test(target_is_lost),   cmocka_unit_test(joiner_during_a_move),
        cmocka_unit_test(takes_too_long),   cmocka_unit_test(gives_up),
        cmocka_unit_test(give_and_fenced),  cmocka_unit_test(maintenance),
        cmocka_unit_test(fails_back),       cmocka_unit_test(cannot_leave),
        cmocka_unit_test(disks_go_along),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

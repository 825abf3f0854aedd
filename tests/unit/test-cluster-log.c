/*
 * test-cluster-log.c - what outlives xhad, and what travels: the log and its rewriting, the state to a joiner, and
 * states that differ in spite of their index.
 */
#include "cluster-net.h"
#include "xhad/core/cl_internal.h"

static uint32_t log_length(const struct net *net, uint8_t h)
{
    uint32_t n = 0;

    for (const struct net_item *i = net->host[h].log.first; i; i = i->next)
        n++;
    return n;
}

static void restarts(void **state)
{
    struct net *net = net_whole(2);
    struct xha_cluster_status before, after;

    (void)state;
    for (uint8_t d = 1; d <= 10; d++)
        net_protect(net, 0, d, d % 2);
    before = net_status(net, 0);
    net_stop(net, 0);
    net_start(net, 0, false);
    after = net_status(net, 0);
    assert_int_equal(before.index, after.index);
    assert_int_equal(before.epoch, after.epoch);
    assert_true(before.hash == after.hash);
    assert_int_equal(after.committed, 0); /* until it is heard again */
    xha_cluster_audit(net->host[0].core);
    net_free(net);
}

/* The log is written anew as a state, and serves as well. */
static void rewrites(void **state)
{
    struct net *net = net_new(2);
    uint64_t hash;

    (void)state;
    net_side(net, 3, 0, true);
    net_run(net);
    for (uint8_t d = 1; d <= 20; d++)
        net_protect(net, 0, d, d % 2);
    for (int i = 0; i < 300; i++)
        assert_int_equal(net_of_host(net, i % 2, XHA_RQ_HOST_MAINTENANCE, (uint8_t)(i % 2), i % 4 < 2), 0);
    assert_true(log_length(net, 0) < 230);
    net_same(net, 3);
    hash = net_status(net, 1).hash;
    net_stop(net, 1);
    net_start(net, 1, false);
    assert_true(net_status(net, 1).hash == hash);
    net_side(net, 3, 0, true);
    net_run(net);
    net_same(net, 3);
    net_free(net);
}

/* A joiner gets it all, in several chunks. */
static void transfers(void **state)
{
    struct net *net = net_new(3);

    (void)state;
    net->audit = false;
    net_stop(net, 2);
    for (uint8_t h = 0; h < 2; h++) {
        net_stop(net, h);
        net->max_domains = 2000;
        net_start(net, h, false);
    }
    net_side(net, 3, 0, true);
    net_run(net);
    for (uint32_t d = 0; d < 1000; d++) {
        struct xha_cluster_event ev = net_request(net, 0, XHA_RQ_PROTECT, 0);
        struct xha_policy policy = policy_usual();
        struct xha_needs needs = { .vcpus = 1, .affinity = "together", .tags = "fast,near" };

        ev.uuid.b[3] = (uint8_t)d;
        ev.uuid.b[4] = (uint8_t)(d >> 8);
        policy.memory_kib = 4096;
        snprintf(ev.u.request.name, sizeof ev.u.request.name, "d%u", d);
        ev.u.request.policy = &policy;
        ev.u.request.needs = &needs;
        ev.u.request.host = (uint8_t)(d % 2);
        assert_int_equal(net_ask(net, 0, ev), 0);
    }
    net_start(net, 2, true);
    net_side(net, 7, 0, true);
    net_run(net);
    net_same(net, 7);
    assert_int_equal(net_status(net, 2).domains, 1000);
    assert_int_equal(net->host[2].changed, 1000);
    for (uint8_t h = 0; h < 3; h++)
        xha_cluster_audit(net->host[h].core);
    net_stop(net, 2);
    net_start(net, 2, false); /* and its log has it */
    assert_int_equal(net_status(net, 2).domains, 1000);
    net_free(net);
}

/* A host that can hold less takes no part, and the others go on. */
static void too_small(void **state)
{
    struct net *net = net_new(3);

    (void)state;
    net_stop(net, 2);
    net_side(net, 3, 0, true);
    net_run(net);
    for (uint8_t d = 1; d <= 10; d++)
        net_protect(net, 0, d, d % 2);
    net->max_domains = 5;
    net_start(net, 2, true);
    net_side(net, 7, 0, true);
    net_run(net);
    assert_false(net_status(net, 2).synced);
    assert_int_equal(net->host[2].alarms[XHA_CC_VERSION], 1);
    net_same(net, 3);
    assert_int_equal(net_protect(net, 0, 11, 0), 0);
    assert_true(net_domain(net, 1, 11).committed);
    net_free(net);
}

/* One bit fell over on one host: it is named, and takes the others' state. */
static void differs(void **state)
{
    struct net *net = net_whole(3);
    struct cl_dom *d;

    (void)state;
    net_protect(net, 0, 1, 0);
    d = xha_cl_find(net->host[2].core->st, &(struct xha_uuid){ { 0xd0, [15] = 1 } });
    d->owner = 1;
    xha_cl_settle(net->host[2].core->st, d);
    net_pass(net, 70000);
    assert_int_equal(net->host[0].alarms[XHA_CC_HASH_DIFFERS], 1);
    assert_int_equal(net_domain(net, 2, 1).owner, 0);
    net_same(net, 7);
    net_free(net);
}

/* What is malformed or of another version changes nothing. */
static void refuses(void **state)
{
    struct net *net = net_whole(2);
    struct xha_cluster_status before = net_status(net, 0);
    uint8_t bytes[] = { 'X', 'H', 'C', 'L', 9, 0, 0, 0, CL_LOST, 0 };
    struct xha_cluster_event ev = { .type = XHA_CEV_MESSAGE };

    (void)state;
    ev.u.message.from = 1;
    ev.u.message.bytes = bytes;
    for (size_t len = 0; len <= sizeof bytes; len++) {
        ev.u.message.len = len;
        assert_int_equal(net_step_rc(net, 0, &ev), XHA_CORE_E_INVAL);
    }
    assert_true(net_status(net, 0).hash == before.hash);
    assert_int_equal(net_status(net, 0).index, before.index);
    assert_int_equal(net->host[0].alarms[XHA_CC_VERSION], sizeof bytes + 1);
    net_free(net);
}

/* During an upgrade: those of the other version are named, and take no part; the more of them, or the lower, go on. */
static void other_version(void **state)
{
    static const struct {
        uint8_t hosts, old, goes_on;
    } cases[] = { { 3, 4, 3 }, { 3, 6, 6 }, { 3, 1, 6 }, { 4, 3, 3 }, { 2, 2, 1 } };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct net *net = net_whole(cases[i].hosts);
        uint8_t all = (uint8_t)((1u << cases[i].hosts) - 1);
        uint8_t first = (uint8_t)__builtin_ctz(cases[i].goes_on);

        for (uint8_t h = 0; h < cases[i].hosts; h++)
            net->host[h].old = cases[i].old >> h & 1;
        net_side(net, all, 0, true);
        net_run(net);
        for (uint8_t h = 0; h < cases[i].hosts; h++) {
            assert_int_equal(net_status(net, h).synced, cases[i].goes_on >> h & 1);
            assert_true(net->host[h].alarms[XHA_CC_VERSION] > 0);
        }
        net_same(net, cases[i].goes_on);
        if (2 * __builtin_popcount(cases[i].goes_on) > cases[i].hosts)
            assert_int_equal(net_protect(net, first, 1, first), 0);
        net_free(net);
    }
}

/* A log of the version before: nothing of it is taken, and nothing that comes after it in the log. */
static void log_of_another_version(void **state)
{
    struct net *net = net_whole(1);
    struct xha_cluster_settings set = { .max_domains = 64, .log_max = 200 };
    struct xha_cluster_plan *plan = calloc(1, sizeof *plan);
    struct xha_cluster *core;
    uint32_t refused = 0, n = 0;

    (void)state;
    assert_non_null(plan);
    net_protect(net, 0, 1, 0);
    net_protect(net, 0, 2, 0);
    assert_int_equal(xha_cluster_new(&set, &core), 0);
    for (struct net_item *item = net->host[0].log.first; item; item = item->next, n++) {
        struct xha_cluster_event ev = { .type = XHA_CEV_RECALL };
        uint8_t *magic = memmem(item->bytes, item->len, "XHCL", 4);

        if (magic && !refused)
            magic[4] = XHA_WIRE_VERSION - 1;
        ev.u.message.bytes = item->bytes;
        ev.u.message.len = item->len;
        refused += xha_cluster_step(core, &ev, plan) != XHA_CORE_OK;
    }
    assert_true(refused > 1 && refused < n);
    assert_int_equal(xha_cluster_count(core), 0);
    xha_cluster_free(core);
    free(plan);
    net_free(net);
}

static void what_if(void **state)
{
    struct net *net = net_whole(3);
    struct xha_what_if out[8];
    struct xha_policy policy = policy_usual();
    struct xha_needs needs = { .vcpus = 1, .relocate = true };
    uint32_t homeless;

    (void)state;
    for (uint8_t d = 1; d <= 4; d++)
        net_protect(net, 0, d, 2);
    assert_int_equal(xha_cluster_what_if_down(net->host[0].core, 2, out, 8, &homeless), 4);
    assert_int_equal(homeless, 0);
    for (int i = 0; i < 4; i++)
        assert_true(out[i].from == 2 && out[i].to < 2);
    assert_int_equal(xha_cluster_what_if_add(net->host[0].core, &policy, &needs, out), 0);
    assert_int_not_equal(out[0].to, XHA_HOST_NONE);
    policy.memory_kib = UINT64_C(1) << 40;
    assert_int_equal(xha_cluster_what_if_add(net->host[0].core, &policy, &needs, out), 0);
    assert_int_equal(out[0].to, XHA_HOST_NONE);
    assert_true(out[0].text[0]);
    net_free(net);
}

static void admission(void **state)
{
    struct net *net = net_whole(2);
    struct xha_cluster_policy policy = net_policy(30000);
    struct xha_cluster_event ev = net_request(net, 0, XHA_RQ_SETTINGS, 0);
    uint8_t d;

    (void)state;
    policy.survive = 1;
    ev.u.request.settings = &policy;
    assert_int_equal(net_ask(net, 0, ev), 0);
    for (d = 1; d < 20; d++)
        if (net_protect(net, 0, d, d % 2))
            break;
    assert_int_equal(d, 9); /* 8 GiB a host, 1 GiB each: one host holds eight */
    assert_non_null(strstr(net->host[0].result_text, "survive"));
    net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(restarts),
        cmocka_unit_test(rewrites),
        cmocka_unit_test(transfers),
        cmocka_unit_test(too_small),
        cmocka_unit_test(differs),
        cmocka_unit_test(refuses),
        cmocka_unit_test(what_if),
        cmocka_unit_test(other_version),
        cmocka_unit_test(log_of_another_version),
        cmocka_unit_test(admission),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

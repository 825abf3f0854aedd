/*
 * test-node-bus.c - three whole nodes on one bus: protect, lose a host, move, stop, restart xhad. After every
 * tenth of a second: no domain runs at two places.
 */
#include "node-bus.h"

static struct bus *begin(void)
{
    struct bus *b = malloc(sizeof *b);

    assert_non_null(b);
    bus_begin(b);
    return b;
}

/* Protects them and waits until all run. */
static void all_run(struct bus *b)
{
    for (int dom = 0; dom < DOMS; dom++)
        protect(b, dom);
    pass(b, 30000);
    for (int dom = 0; dom < DOMS; dom++)
        assert_true(where(b, dom) >= 0);
}

static int someone(const struct bus *b)
{
    int h = HOSTS - 1;

    while (!b->host[h].node)
        h--;
    return h;
}

static void migrate(struct bus *b, int dom, int target, enum xha_move_mode mode)
{
    struct xha_cluster_event ev = { .uuid = uuid_of(dom) };

    ev.u.request.what = XHA_RQ_MIGRATE;
    ev.u.request.host = (uint8_t)target;
    ev.u.request.mode = mode;
    request(b, someone(b), ev);
}

static void order(struct bus *b, int dom, enum xha_order_type type)
{
    struct xha_cluster_event ev = { .uuid = uuid_of(dom) };

    ev.u.request.what = XHA_RQ_ORDER;
    ev.u.request.order = type;
    b->asked = someone(b);
    request(b, b->asked, ev);
}

static enum xha_state state_of(const struct bus *b, int dom)
{
    int h = where(b, dom);
    struct xha_uuid uuid = uuid_of(dom);
    struct xha_view v;

    assert_true(h >= 0);
    assert_int_equal(xha_core_find(xha_node_core(b->host[h].node), &uuid, &v), 0);
    return v.state;
}

static void test_protected_runs(void **state)
{
    struct bus *b = begin();

    (void)state;
    all_run(b);
    for (int dom = 0; dom < DOMS; dom++)
        assert_int_equal(state_of(b, dom), XHA_ST_RUNNING);
    bus_end(b);
}

static void test_lost_host(void **state)
{
    struct bus *b = begin();
    int lost;

    (void)state;
    all_run(b);
    lost = where(b, 0);
    power_off(b, lost);
    new_view(b);
    pass(b, 60000);
    for (int dom = 0; dom < DOMS; dom++) {
        assert_true(where(b, dom) >= 0);
        assert_int_equal(state_of(b, dom), XHA_ST_RUNNING);
    }
    power_on(b, lost); /* and it comes back with nothing of theirs */
    new_view(b);
    pass(b, 60000);
    assert_true(where(b, 0) >= 0 && where(b, 0) != lost);
    bus_end(b);
}

/* The host is only cut off, and nobody can fence it: its domains stay where they are. */
static void test_unfenced_is_not_taken(void **state)
{
    struct bus *b = begin();
    int lost;

    (void)state;
    all_run(b);
    lost = where(b, 0);
    b->fence_works = false;
    xha_node_free(b->host[lost].node); /* it hears and says nothing any more, but its guests run */
    b->host[lost].node = NULL;
    b->host[lost].up = false;
    new_view(b);
    b->host[lost].up = true;
    pass(b, 120000);
    assert_int_equal(where(b, 0), lost);
    bus_end(b);
}

static void test_live_move(void **state)
{
    struct bus *b = begin();
    int from, to;

    (void)state;
    all_run(b);
    from = where(b, 0);
    to = (from + 1) % HOSTS;
    migrate(b, 0, to, XHA_MOVE_LIVE);
    pass(b, 30000);
    assert_int_equal(where(b, 0), to);
    assert_int_equal(state_of(b, 0), XHA_ST_RUNNING);
    assert_false(b->host[from].inst[0].there);
    bus_end(b);
}

static void test_cold_move(void **state)
{
    struct bus *b = begin();
    int to;

    (void)state;
    all_run(b);
    to = (where(b, 0) + 2) % HOSTS;
    migrate(b, 0, to, XHA_MOVE_COLD);
    pass(b, 60000);
    assert_int_equal(where(b, 0), to);
    assert_int_equal(state_of(b, 0), XHA_ST_RUNNING);
    bus_end(b);
}

/*
 * One end loses its power at each moment of the move: it runs again, once. When its disks are on the end that is lost
 * it waits for that.
 */
static void lose_an_end(bool source, enum xha_move_mode mode, int64_t after_ms)
{
    struct bus *b = begin();
    int from, to;

    b->needs.copy_storage = mode == XHA_MOVE_COLD;
    all_run(b);
    from = where(b, 0);
    to = (from + 1) % HOSTS;
    migrate(b, 0, to, mode);
    pass(b, after_ms);
    power_off(b, source ? from : to);
    new_view(b);
    pass(b, 120000);
    if (where(b, 0) < 0) {
        assert_int_equal(mode, XHA_MOVE_COLD);
        power_on(b, source ? from : to);
        new_view(b);
        pass(b, 120000);
        assert_int_equal(where(b, 0), source ? from : to);
    }
    assert_true(where(b, 0) >= 0);
    assert_int_equal(state_of(b, 0), XHA_ST_RUNNING);
    bus_end(b);
}

static void test_move_loses_an_end(void **state)
{
    (void)state;
    for (int64_t ms = STEP; ms <= 4400; ms += 2 * STEP) {
        for (int mode = XHA_MOVE_LIVE; mode <= XHA_MOVE_COLD; mode++) {
            lose_an_end(true, (enum xha_move_mode)mode, ms);
            lose_an_end(false, (enum xha_move_mode)mode, ms);
        }
    }
}

/* xhad is restarted on one end at each moment; its workers die with it. */
static void restart_at(bool source, enum xha_move_mode mode, int64_t after_ms)
{
    struct bus *b = begin();
    struct bus_host *host;
    int from, to;

    b->needs.copy_storage = mode == XHA_MOVE_COLD;
    all_run(b);
    from = where(b, 0);
    to = (from + 1) % HOSTS;
    migrate(b, 0, to, mode);
    pass(b, after_ms);
    host = &b->host[source ? from : to];
    xha_node_free(host->node);
    host->node = NULL;
    host->boot--; /* the host itself is not restarted */
    new_view(b);
    pass(b, 1000);
    xhad_up(b, source ? from : to);
    for (int i = 0; i < JOBS; i++) {
        struct xha_event ev = { .type = XHA_EV_DONE, .uuid = host->job[i].act.uuid };

        if (!host->job[i].used || host->job[i].end_ms < INT64_MAX)
            continue;
        host->job[i].used = false;
        ev.u.done.id = host->job[i].act.id;
        ev.u.done.result = XHA_UNKNOWN;
        ev.u.done.domid = XHA_DOMID_NONE;
        bus_host(b, source ? from : to, ev);
    }
    new_view(b);
    pass(b, 120000);
    assert_true(where(b, 0) >= 0);
    assert_int_equal(state_of(b, 0), XHA_ST_RUNNING);
    bus_end(b);
}

static void test_move_over_a_restart_of_xhad(void **state)
{
    (void)state;
    for (int64_t ms = STEP; ms <= 4400; ms += 2 * STEP) {
        for (int mode = XHA_MOVE_LIVE; mode <= XHA_MOVE_COLD; mode++) {
            restart_at(true, (enum xha_move_mode)mode, ms);
            restart_at(false, (enum xha_move_mode)mode, ms);
        }
    }
}

static void test_orders_go_to_the_owner(void **state)
{
    struct bus *b = begin();

    (void)state;
    all_run(b);
    order(b, 2, XHA_DO_STOP);
    pass(b, 30000);
    assert_int_equal(where(b, 2), -1);
    assert_true(b->host[b->asked].n_results > 0);
    assert_int_equal(b->host[b->asked].last_rc, 0);
    power_off(b, where(b, 0)); /* what was stopped stays so, whoever is lost */
    new_view(b);
    pass(b, 60000);
    assert_int_equal(where(b, 2), -1);
    order(b, 2, XHA_DO_START);
    pass(b, 30000);
    assert_true(where(b, 2) >= 0);
    bus_end(b);
}

static void test_all_xhads_restart(void **state)
{
    struct bus *b = begin();
    int at[DOMS];

    (void)state;
    all_run(b);
    for (int dom = 0; dom < DOMS; dom++)
        at[dom] = where(b, dom);
    for (int h = 0; h < HOSTS; h++) {
        xha_node_free(b->host[h].node);
        b->host[h].node = NULL;
        b->host[h].boot--;
    }
    pass(b, 5000);
    for (int h = 0; h < HOSTS; h++)
        xhad_up(b, h);
    new_view(b);
    pass(b, 60000);
    for (int dom = 0; dom < DOMS; dom++) {
        assert_int_equal(where(b, dom), at[dom]); /* untouched */
        assert_int_equal(b->host[at[dom]].inst[dom].domid <= DOMS, true);
        assert_int_equal(state_of(b, dom), XHA_ST_RUNNING);
    }
    bus_end(b);
}

static void maintenance(struct bus *b, int h, bool on)
{
    struct xha_cluster_event ev = { 0 };

    ev.u.request.what = XHA_RQ_HOST_MAINTENANCE;
    ev.u.request.host = (uint8_t)h;
    ev.u.request.on = on;
    request(b, 0, ev);
}

static void test_maintenance_empties_a_host(void **state)
{
    struct bus *b = begin();

    (void)state;
    all_run(b);
    maintenance(b, 1, true);
    pass(b, 120000);
    for (int dom = 0; dom < DOMS; dom++) {
        assert_true(where(b, dom) >= 0);
        assert_int_not_equal(where(b, dom), 1);
        assert_int_equal(state_of(b, dom), XHA_ST_RUNNING);
    }
    bus_end(b);
}

/* Its disks move with it: stopped at the source before they are sent. */
static void test_disks_move_along(void **state)
{
    struct bus *b = begin();
    int to;

    (void)state;
    b->needs.copy_storage = true;
    all_run(b);
    to = (where(b, 0) + 1) % HOSTS;
    migrate(b, 0, to, XHA_MOVE_COLD);
    pass(b, 60000);
    assert_int_equal(where(b, 0), to);
    assert_int_equal(state_of(b, 0), XHA_ST_RUNNING);
    bus_end(b);
}

/* A host that has no memory gives them up, and another one starts them. */
static void test_given_up(void **state)
{
    struct bus *b = begin();

    (void)state;
    b->host[0].full = b->host[2].full = true;
    all_run(b);
    for (int dom = 0; dom < DOMS; dom++)
        assert_int_equal(where(b, dom), 1);
    b->host[0].full = false; /* and when all are full, one that has room again */
    b->host[1].full = true;
    power_off(b, 2);
    new_view(b);
    pass(b, 5000);
    power_off(b, 1);
    b->host[2].full = true;
    power_on(b, 2);
    new_view(b);
    pass(b, 120000);
    for (int dom = 0; dom < DOMS; dom++)
        assert_int_equal(where(b, dom), 0);
    bus_end(b);
}

/* Fenced in the others' eyes, and there again as it was: it destroys what it has before it takes part. */
static void test_deposed(void **state)
{
    struct bus *b = begin();
    struct xha_cluster_host view;
    struct bus_host *host;
    int lost;

    (void)state;
    all_run(b);
    lost = where(b, 0);
    host = &b->host[lost];
    b->fence_works = false;
    host->group = 1;
    new_view(b);
    pass(b, 10000);
    for (int dom = 0; dom < DOMS; dom++)
        host->inst[dom].paused = true; /* what an operator saw to, before he said so */
    {
        struct xha_cluster_event ev = { 0 };

        ev.u.request.what = XHA_RQ_CONFIRM_FENCED;
        ev.u.request.host = (uint8_t)lost;
        request(b, (lost + 1) % HOSTS, ev);
    }
    pass(b, 60000);
    assert_int_not_equal(where(b, 0), lost);
    assert_true(host->inst[0].there);
    host->group = 0;
    new_view(b);
    pass(b, 30000);
    for (int dom = 0; dom < DOMS; dom++)
        assert_true(where(b, dom) >= 0);
    assert_false(host->inst[0].there);
    assert_true(xha_cluster_host(xha_node_state(b->host[0].node), (uint8_t)lost, &view));
    assert_int_equal(view.state, XHA_HOST_IN);
    bus_end(b);
}

/* Cut off and back again before anybody could fence it: nothing has happened. */
static void test_cut_off_for_a_while(void **state)
{
    struct bus *b = begin();
    int lost, at[DOMS];

    (void)state;
    all_run(b);
    for (int dom = 0; dom < DOMS; dom++)
        at[dom] = where(b, dom);
    lost = at[0];
    b->fence_works = false;
    b->host[lost].group = 1;
    new_view(b);
    pass(b, 20000);
    b->host[lost].group = 0;
    new_view(b);
    pass(b, 20000);
    for (int dom = 0; dom < DOMS; dom++) {
        assert_int_equal(where(b, dom), at[dom]);
        assert_int_equal(state_of(b, dom), XHA_ST_RUNNING);
    }
    assert_int_equal(b->n_twice, 0);
    bus_end(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_protected_runs),
        cmocka_unit_test(test_lost_host),
        cmocka_unit_test(test_unfenced_is_not_taken),
        cmocka_unit_test(test_live_move),
        cmocka_unit_test(test_cold_move),
        cmocka_unit_test(test_move_loses_an_end),
        cmocka_unit_test(test_move_over_a_restart_of_xhad),
        cmocka_unit_test(test_orders_go_to_the_owner),
        cmocka_unit_test(test_all_xhads_restart),
        cmocka_unit_test(test_maintenance_empties_a_host),
        cmocka_unit_test(test_disks_move_along),
        cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_deposed),
        cmocka_unit_test(test_cut_off_for_a_while),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

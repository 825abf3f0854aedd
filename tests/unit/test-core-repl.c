/*
 * test-core-repl.c - a pair in the host core: the owner's gate is opened by an order alone, and nothing else is done to the
 * guest before that; the backup's copy runs by an order alone, and half of it never.
 */
#include "core-driver.h"

/* last_id of the driver is that of the last deed, whichever it is. */
static uint64_t id_of(const struct driver *d, enum xha_action_type type)
{
    const struct xha_action *a = planned(d, type, 0);

    assert_non_null(a);
    return a->id;
}

static bool changes(const struct driver *d)
{
    return planned(d, XHA_ACT_DESTROY, 0) || planned(d, XHA_ACT_START, 0) || planned(d, XHA_ACT_RESTORE, 0) ||
           planned(d, XHA_ACT_CHECKPOINT, 0) || planned(d, XHA_ACT_MIGRATE, 0) ||
           planned(d, XHA_ACT_RESUME, 0) || planned(d, XHA_ACT_GATE_OPEN, 0);
}

static int told(struct driver *d, enum xha_event_type type, uint64_t id)
{
    struct xha_event ev = { .type = type, .uuid = uuid_of(1) };

    ev.u.listening.id = id;
    ev.u.listening.port = 4000;
    return driver_step(d, ev);
}

static void reborn(struct driver *d)
{
    struct xha_uuid uuid = uuid_of(1);
    struct xha_record r;
    struct xha_event ev = { .type = XHA_EV_RECALL, .uuid = uuid };

    assert_int_equal(xha_core_record(d->core, &uuid, &r), 0);
    xha_core_free(d->core);
    assert_int_equal(xha_core_new(&d->set, d->last_id + 1000, &d->core), 0);
    permit(d, true);
    ev.u.protect.policy = &d->policy;
    ev.u.protect.record = &r;
    assert_int_equal(driver_step(d, ev), 0);
}

/* ---- the owner ---- */

static uint64_t owner(struct driver *d)
{
    uint64_t id;

    driver_begin(d, 4);
    d->policy.protection = XHA_PROT_REPLICATE;
    permit(d, true);
    make_run(d, 1, 5);
    assert_int_equal(replicate(d, 1, 7), 0);
    assert_non_null(planned(d, XHA_ACT_PERSIST, 0));
    id = id_of(d, XHA_ACT_REPLICATE);
    assert_int_equal(planned(d, XHA_ACT_REPLICATE, 0)->u.deed.move.id, 7);
    assert_int_equal(planned(d, XHA_ACT_REPLICATE, 0)->u.deed.deadline.ms, 0);
    assert_int_equal(view_of(d, 1).state, XHA_ST_RUNNING);
    assert_int_equal(told(d, XHA_EV_REPLICATED, id), 0);
    assert_int_equal(view_of(d, 1).repl_stage, XHA_REPL_PROTECTED);
    return id;
}

static void test_seen_between_epochs(void **state)
{
    struct driver d;

    (void)state;
    owner(&d);
    for (int i = 0; i < 60; i++) {
        d.now_ms += 1000;
        if (i % 2)
            seen_shut(&d, 1, 5, XHA_SHUTDOWN_SUSPEND);
        else
            seen(&d, 1, 5, 10 + (uint64_t)i);
        round_end(&d, true);
        assert_int_equal(view_of(&d, 1).state, XHA_ST_RUNNING);
        assert_false(changes(&d));
    }
    driver_end(&d);
}

static void test_broken_waits_for_the_order(void **state)
{
    struct driver d;
    uint64_t id, gate;

    (void)state;
    id = owner(&d);
    done(&d, 1, id, XHA_UNKNOWN, XHA_DOMID_NONE);
    assert_int_equal(view_of(&d, 1).repl_stage, XHA_REPL_BROKEN);
    for (int i = 0; i < 100; i++) { /* it was left suspended, and is mute: nothing is judged by that */
        d.now_ms += 1000;
        seen_shut(&d, 1, 5, XHA_SHUTDOWN_SUSPEND);
        round_end(&d, true);
        assert_false(changes(&d));
        assert_int_equal(view_of(&d, 1).state, XHA_ST_RUNNING);
    }
    assert_int_equal(verdict(&d, 1, 8, false), XHA_CORE_E_STATE); /* of another pair */
    assert_int_equal(verdict(&d, 1, 7, true), XHA_CORE_E_STATE);  /* then it would be yielded */
    assert_int_equal(verdict(&d, 1, 7, false), 0);
    gate = id_of(&d, XHA_ACT_GATE_OPEN);
    assert_int_equal(replicate(&d, 1, 9), XHA_CORE_E_BUSY);
    done(&d, 1, gate, XHA_OK, XHA_DOMID_NONE);
    assert_int_equal(view_of(&d, 1).repl.id, 0);
    assert_int_equal(replicate(&d, 1, 9), 0);
    driver_end(&d);
}

static void test_ordered_end_waits_for_the_sender(void **state)
{
    struct driver d;
    uint64_t id, gate;

    (void)state;
    id = owner(&d);
    assert_int_equal(verdict(&d, 1, 7, false), 0);
    assert_int_equal(id_of(&d, XHA_ACT_CANCEL), id);
    assert_null(planned(&d, XHA_ACT_GATE_OPEN, 0));
    done(&d, 1, id, XHA_REFUSED, XHA_DOMID_NONE);
    gate = id_of(&d, XHA_ACT_GATE_OPEN);
    done(&d, 1, gate, XHA_REFUSED, XHA_DOMID_NONE); /* tried again until it is open */
    assert_int_equal(view_of(&d, 1).repl.id, 7);
    d.now_ms += 6000;
    tick(&d);
    assert_true(id_of(&d, XHA_ACT_GATE_OPEN) > gate);
    done(&d, 1, id_of(&d, XHA_ACT_GATE_OPEN), XHA_OK, XHA_DOMID_NONE);
    assert_int_equal(view_of(&d, 1).repl.id, 0);
    driver_end(&d);
}

/* A guest that failed is not even cleared before the pair has ended: its copy may be about to take over. */
static void test_failed_waits_for_the_order(void **state)
{
    struct driver d;
    uint64_t id;

    (void)state;
    id = owner(&d);
    d.now_ms += 1000;
    seen_shut(&d, 1, 5, XHA_SHUTDOWN_CRASH);
    for (int i = 0; i < 20; i++) {
        assert_false(changes(&d));
        d.now_ms += 300;
        tick(&d);
    }
    done(&d, 1, id, XHA_REFUSED, XHA_DOMID_NONE);
    assert_false(changes(&d));
    verdict(&d, 1, 7, false);
    done(&d, 1, id_of(&d, XHA_ACT_GATE_OPEN), XHA_OK, XHA_DOMID_NONE);
    d.now_ms += 300;
    tick(&d);
    assert_non_null(planned(&d, XHA_ACT_DESTROY, 0));
    driver_end(&d);
}

static void test_checkpoint_waits_for_the_gate(void **state)
{
    struct driver d;
    uint64_t id;

    (void)state;
    id = owner(&d);
    verdict(&d, 1, 7, false);
    assert_int_equal(order(&d, 1, XHA_DO_CHECKPOINT), 0);
    assert_false(changes(&d));
    done(&d, 1, id, XHA_REFUSED, XHA_DOMID_NONE);
    done(&d, 1, id_of(&d, XHA_ACT_GATE_OPEN), XHA_OK, XHA_DOMID_NONE);
    assert_non_null(planned(&d, XHA_ACT_CHECKPOINT, 0));
    driver_end(&d);
}

/* Its copy has taken over: the sender is ended, and what is here destroyed with its gate shut. */
static void test_yielded_mute(void **state)
{
    struct driver d;
    uint64_t id;

    (void)state;
    id = owner(&d);
    assert_int_equal(yield(&d, 1, XHA_YIELD_DESTROY), 0);
    assert_int_equal(id_of(&d, XHA_ACT_CANCEL), id);
    assert_null(planned(&d, XHA_ACT_DESTROY, 0));
    done(&d, 1, id, XHA_REFUSED, XHA_DOMID_NONE);
    assert_null(planned(&d, XHA_ACT_GATE_OPEN, 0));
    d.now_ms += 1000;
    seen(&d, 1, 5, 10);
    assert_non_null(planned(&d, XHA_ACT_DESTROY, 0));
    assert_null(planned(&d, XHA_ACT_GATE_OPEN, 0));
    driver_end(&d);
}

static void test_xhad_restarts(void **state)
{
    struct driver d;
    uint64_t id;

    (void)state;
    id = owner(&d);
    reborn(&d);
    assert_false(changes(&d));
    assert_int_equal(view_of(&d, 1).repl_stage, XHA_REPL_PROTECTED);
    d.now_ms += 1000;
    seen_shut(&d, 1, 5, XHA_SHUTDOWN_SUSPEND);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_RUNNING);
    verdict(&d, 1, 7, false);
    reborn(&d);
    assert_int_equal(id_of(&d, XHA_ACT_CANCEL), id); /* it may not have been told */
    done(&d, 1, id, XHA_UNKNOWN, XHA_DOMID_NONE);
    id_of(&d, XHA_ACT_GATE_OPEN);
    driver_end(&d);
}

/* ---- the backup ---- */

static uint64_t backup(struct driver *d)
{
    uint64_t id;

    driver_begin(d, 4);
    d->policy.protection = XHA_PROT_REPLICATE;
    permit(d, true);
    assert_int_equal(standby(d, 1, 7), 0);
    id = id_of(d, XHA_ACT_STANDBY);
    assert_int_equal(told(d, XHA_EV_LISTENING, id), 0);
    assert_int_equal(view_of(d, 1).state, XHA_ST_STANDBY);
    assert_int_equal(told(d, XHA_EV_SILENT, id), 0);
    assert_true(view_of(d, 1).silent);
    d->now_ms += 100000;
    tick(d);
    assert_null(planned(d, XHA_ACT_PROMOTE, 0));
    return id;
}

static void test_promoted(void **state)
{
    struct driver d;
    uint64_t id;

    (void)state;
    id = backup(&d);
    assert_int_equal(verdict(&d, 1, 7, true), 0);
    assert_int_equal(id_of(&d, XHA_ACT_PROMOTE), id);
    done(&d, 1, id, XHA_OK, 9);
    assert_int_equal(view_of(&d, 1).domid, 9);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_BOOTING);
    assert_int_equal(view_of(&d, 1).move.id, 0);
    driver_end(&d);
}

static void test_promoted_with_quorum_only(void **state)
{
    struct driver d;

    (void)state;
    backup(&d);
    permit(&d, false);
    assert_int_equal(verdict(&d, 1, 7, true), 0);
    assert_null(planned(&d, XHA_ACT_PROMOTE, 0));
    reborn(&d); /* with permit: it is told now */
    id_of(&d, XHA_ACT_PROMOTE);
    driver_end(&d);
}

static void test_ended(void **state)
{
    struct driver d;
    uint64_t id;

    (void)state;
    id = backup(&d);
    assert_int_equal(verdict(&d, 1, 7, false), 0);
    assert_int_equal(id_of(&d, XHA_ACT_CANCEL), id);
    done(&d, 1, id, XHA_REFUSED, XHA_DOMID_NONE);
    d.now_ms += 10;
    round_end(&d, true);
    assert_non_null(planned(&d, XHA_ACT_FORGET, 0));
    driver_end(&d);
}

/* What a copy left half restored must not run, whatever its state; the guest is started anew. */
static void test_half_a_copy(void **state)
{
    struct driver d;
    struct xha_event ev;
    uint64_t id;

    (void)state;
    id = backup(&d);
    verdict(&d, 1, 7, true);
    done(&d, 1, id, XHA_UNKNOWN, XHA_DOMID_NONE);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_UNSURE);
    d.now_ms += 1000;
    ev = seen_event(&d, 1, 9, 1);
    ev.u.seen.paused = true;
    driver_step(&d, ev);
    assert_null(planned(&d, XHA_ACT_RESUME, 0));
    round_end(&d, true);
    for (int i = 0; i < 3 && !planned(&d, XHA_ACT_DESTROY, 0); i++)
        tick(&d);
    assert_int_equal(planned(&d, XHA_ACT_DESTROY, 0)->u.deed.domid, 9);
    done(&d, 1, d.last_id, XHA_OK, XHA_DOMID_NONE);
    assert_non_null(planned(&d, XHA_ACT_START, 0));
    driver_end(&d);
}

/* The copy was lost before it was promoted: the domain is this host's all the same. */
static void test_lost_copy_is_started_anew(void **state)
{
    struct driver d;
    uint64_t id;

    (void)state;
    id = backup(&d);
    done(&d, 1, id, XHA_REFUSED, XHA_DOMID_NONE);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_STANDBY);
    assert_int_equal(view_of(&d, 1).pending_id, 0);
    verdict(&d, 1, 7, true);
    d.now_ms += 1000;
    round_end(&d, true);
    tick(&d);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_STARTING);
    driver_end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seen_between_epochs),
        cmocka_unit_test(test_broken_waits_for_the_order),
        cmocka_unit_test(test_ordered_end_waits_for_the_sender),
        cmocka_unit_test(test_failed_waits_for_the_order),
        cmocka_unit_test(test_checkpoint_waits_for_the_gate),
        cmocka_unit_test(test_yielded_mute),
        cmocka_unit_test(test_xhad_restarts),
        cmocka_unit_test(test_promoted),
        cmocka_unit_test(test_promoted_with_quorum_only),
        cmocka_unit_test(test_ended),
        cmocka_unit_test(test_half_a_copy),
        cmocka_unit_test(test_lost_copy_is_started_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

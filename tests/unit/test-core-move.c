/*
 * test-core-move.c - the two ends of a move: nothing is resumed, unpaused or destroyed before the verdict, and
 * after it exactly what the verdict says.
 */
#include "core-driver.h"

static void nothing_there(struct driver *d)
{
    d->now_ms += 10;
    round_end(d, true);
}

static bool acts(const struct driver *d)
{
    return planned(d, XHA_ACT_RESUME, 0) || planned(d, XHA_ACT_DESTROY, 0) || planned(d, XHA_ACT_START, 0) ||
           planned(d, XHA_ACT_RESTORE, 0);
}

/* A long time passes with the guest seen suspended, and nothing comes of it. */
static void wait_suspended(struct driver *d, int32_t domid)
{
    for (int i = 0; i < 100; i++) {
        d->now_ms += 1000;
        seen_shut(d, 1, domid, XHA_SHUTDOWN_SUSPEND);
        assert_false(acts(d));
        round_end(d, true);
        assert_false(acts(d));
    }
}

static void wait_paused(struct driver *d, int32_t domid)
{
    for (int i = 0; i < 100; i++) {
        struct xha_event ev;

        d->now_ms += 1000;
        ev = seen_event(d, 1, domid, 1);
        ev.u.seen.paused = true;
        driver_step(d, ev);
        assert_false(acts(d));
        round_end(d, true);
        assert_false(acts(d));
    }
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
    assert_false(acts(d));
}

/* ---- the source ---- */

static void source(struct driver *d)
{
    driver_begin(d, 4);
    permit(d, true);
    make_run(d, 1, 5);
    assert_int_equal(move_out(d, 1, 7), 0);
    assert_int_equal(planned(d, XHA_ACT_MIGRATE, 0)->u.deed.move.id, 7);
    assert_int_equal(planned(d, XHA_ACT_MIGRATE, 0)->u.deed.move.port, 4000);
    assert_non_null(planned(d, XHA_ACT_PERSIST, 0));
    assert_int_equal(view_of(d, 1).state, XHA_ST_MIGRATING);
}

static void sent(struct driver *d)
{
    source(d);
    done(d, 1, d->last_id, XHA_OK, XHA_DOMID_NONE);
    assert_true(view_of(d, 1).move_sent);
    wait_suspended(d, 5);
}

static void test_source_commit(void **state)
{
    struct driver d;

    (void)state;
    sent(&d);
    assert_int_equal(verdict(&d, 1, 8, true), XHA_CORE_E_STATE); /* of another move */
    assert_int_equal(verdict(&d, 1, 7, true), 0);
    assert_null(planned(&d, XHA_ACT_RESUME, 0));
    d.now_ms += 10;
    seen_shut(&d, 1, 5, XHA_SHUTDOWN_SUSPEND);
    assert_int_equal(planned(&d, XHA_ACT_DESTROY, 0)->u.deed.domid, 5);
    done(&d, 1, d.last_id, XHA_OK, XHA_DOMID_NONE);
    nothing_there(&d);
    assert_non_null(planned(&d, XHA_ACT_FORGET, 0));
    driver_end(&d);
}

static void test_source_abort(void **state)
{
    struct driver d;

    (void)state;
    sent(&d);
    assert_int_equal(verdict(&d, 1, 7, false), 0);
    assert_non_null(planned(&d, XHA_ACT_RESUME, 0));
    assert_int_equal(verdict(&d, 1, 7, true), XHA_CORE_E_STATE); /* there is one verdict */
    assert_int_equal(view_of(&d, 1).state, XHA_ST_MIGRATING);
    done(&d, 1, d.last_id, XHA_OK, XHA_DOMID_NONE);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_RUNNING);
    assert_int_equal(view_of(&d, 1).move.id, 0);
    for (int i = 0; i < 11; i++) { /* beats are expected again */
        d.now_ms += 1000;
        seen(&d, 1, 5, 1);
        round_end(&d, true);
    }
    assert_int_equal(view_of(&d, 1).state, XHA_ST_SUSPECT);
    driver_end(&d);
}

static void test_source_refused(void **state)
{
    struct driver d;

    (void)state;
    source(&d);
    done(&d, 1, d.last_id, XHA_REFUSED, XHA_DOMID_NONE);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_RUNNING);
    assert_false(acts(&d));
    assert_int_equal(verdict(&d, 1, 7, false), XHA_CORE_E_STATE);
    driver_end(&d);
}

/* The worker died: nobody knows where the guest is whole. */
static void test_source_unknown(void **state)
{
    struct driver d;

    (void)state;
    source(&d);
    done(&d, 1, d.last_id, XHA_UNKNOWN, XHA_DOMID_NONE);
    wait_suspended(&d, 5);
    verdict(&d, 1, 7, false);
    assert_null(planned(&d, XHA_ACT_RESUME, 0)); /* looked at first */
    d.now_ms += 10;
    seen_shut(&d, 1, 5, XHA_SHUTDOWN_SUSPEND);
    assert_non_null(planned(&d, XHA_ACT_RESUME, 0));
    done(&d, 1, d.last_id, XHA_OK, XHA_DOMID_NONE);
    d.now_ms += 10;
    seen(&d, 1, 5, 1);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_RUNNING);
    driver_end(&d);

    source(&d); /* gone altogether, and ours: started again */
    done(&d, 1, d.last_id, XHA_UNKNOWN, XHA_DOMID_NONE);
    verdict(&d, 1, 7, false);
    nothing_there(&d);
    assert_non_null(planned(&d, XHA_ACT_START, 0));
    driver_end(&d);

    source(&d); /* and the target's */
    done(&d, 1, d.last_id, XHA_UNKNOWN, XHA_DOMID_NONE);
    verdict(&d, 1, 7, true);
    d.now_ms += 10;
    seen(&d, 1, 5, 3);
    assert_non_null(planned(&d, XHA_ACT_DESTROY, 0));
    driver_end(&d);
}

/* The verdict comes before the worker's end. */
static void test_source_verdict_first(void **state)
{
    struct driver d;
    uint64_t id;

    (void)state;
    source(&d);
    id = d.last_id;
    assert_int_equal(verdict(&d, 1, 7, true), 0);
    assert_false(acts(&d));
    done(&d, 1, id, XHA_OK, XHA_DOMID_NONE);
    d.now_ms += 10;
    seen_shut(&d, 1, 5, XHA_SHUTDOWN_SUSPEND);
    assert_non_null(planned(&d, XHA_ACT_DESTROY, 0));
    driver_end(&d);

    source(&d);
    id = d.last_id;
    assert_int_equal(verdict(&d, 1, 7, false), 0);
    assert_int_equal(planned(&d, XHA_ACT_CANCEL, 0)->id, id);
    done(&d, 1, id, XHA_OK, XHA_DOMID_NONE); /* it was too late for that */
    assert_non_null(planned(&d, XHA_ACT_RESUME, 0));
    driver_end(&d);
}

static void test_source_cancel(void **state)
{
    struct driver d;
    struct xha_event ev = { .type = XHA_EV_CANCEL, .uuid = uuid_of(1) };

    (void)state;
    source(&d);
    ev.u.verdict.move = 7;
    assert_int_equal(driver_step(&d, ev), 0);
    assert_int_equal(planned(&d, XHA_ACT_CANCEL, 0)->id, d.last_id);
    done(&d, 1, d.last_id, XHA_REFUSED, XHA_DOMID_NONE);
    assert_int_equal(driver_step(&d, ev), XHA_CORE_E_STATE);
    driver_end(&d);
}

/* The verdict is known, but quorum is lost: nothing runs on before it is back. */
static void test_source_abort_without_quorum(void **state)
{
    struct driver d;

    (void)state;
    sent(&d);
    permit(&d, false);
    verdict(&d, 1, 7, false);
    assert_false(acts(&d));
    wait_suspended(&d, 5);
    permit(&d, true);
    d.now_ms += 2000;
    tick(&d);
    assert_non_null(planned(&d, XHA_ACT_RESUME, 0));
    driver_end(&d);
}

static void test_source_restart_of_xhad(void **state)
{
    struct driver d;
    uint64_t id;

    (void)state;
    sent(&d);
    reborn(&d);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_MIGRATING);
    assert_true(view_of(&d, 1).move_sent);
    wait_suspended(&d, 5);
    verdict(&d, 1, 7, false);
    assert_non_null(planned(&d, XHA_ACT_RESUME, 0));
    driver_end(&d);

    source(&d);
    id = d.last_id;
    reborn(&d);
    done(&d, 1, id, XHA_UNKNOWN, XHA_DOMID_NONE);
    wait_suspended(&d, 5);
    driver_end(&d);
}

static void test_only_who_runs_moves(void **state)
{
    struct driver d;

    (void)state;
    driver_begin(&d, 4);
    permit(&d, true);
    make_run(&d, 1, 5);
    order(&d, 1, XHA_DO_CHECKPOINT);
    assert_int_equal(move_out(&d, 1, 7), XHA_CORE_E_BUSY);
    done(&d, 1, d.last_id, XHA_OK, XHA_DOMID_NONE);
    permit(&d, false);
    assert_int_equal(move_out(&d, 1, 7), XHA_CORE_E_QUORUM);
    permit(&d, true);
    order(&d, 1, XHA_DO_MAINTENANCE_ON);
    assert_int_equal(move_out(&d, 1, 7), XHA_CORE_E_STATE);
    assert_int_equal(move_out(&d, 9, 7), XHA_CORE_E_NODOMAIN);
    driver_end(&d);
}

/* ---- the target ---- */

static void target(struct driver *d)
{
    driver_begin(d, 4);
    permit(d, true);
    assert_int_equal(incoming(d, 1, 7), 0);
    assert_int_equal(planned(d, XHA_ACT_RECEIVE, 0)->u.deed.move.id, 7);
    assert_int_equal(incoming(d, 1, 7), 0); /* said twice, done once */
    assert_int_equal(incoming(d, 1, 8), XHA_CORE_E_BUSY);
}

static void here(struct driver *d)
{
    target(d);
    done(d, 1, d->last_id, XHA_OK, 9);
    assert_true(view_of(d, 1).move_sent);
    wait_paused(d, 9);
}

static void test_target_listens(void **state)
{
    struct driver d;
    struct xha_event ev = { .type = XHA_EV_LISTENING, .uuid = uuid_of(1) };

    (void)state;
    target(&d);
    ev.u.listening.id = d.last_id + 1;
    ev.u.listening.port = 4001;
    assert_int_equal(driver_step(&d, ev), XHA_CORE_E_INVAL);
    ev.u.listening.id = d.last_id;
    assert_int_equal(driver_step(&d, ev), 0);
    assert_int_equal(view_of(&d, 1).move.port, 4001);
    driver_end(&d);
}

static void test_target_commit(void **state)
{
    struct driver d;

    (void)state;
    here(&d);
    assert_int_equal(verdict(&d, 1, 7, true), 0);
    assert_int_equal(planned(&d, XHA_ACT_RESUME, 0)->u.deed.domid, 9);
    done(&d, 1, d.last_id, XHA_OK, XHA_DOMID_NONE);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_BOOTING);
    done(&d, 1, d.last_id, XHA_OK, XHA_DOMID_NONE); /* sched */
    d.now_ms += 1000;
    seen(&d, 1, 9, 1);
    round_end(&d, true);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_RUNNING);
    assert_int_equal(view_of(&d, 1).term >> 24, 8);
    driver_end(&d);
}

/* It was received, and does not beat: a failure as any other, much sooner than after boot_grace. */
static void test_target_never_beats(void **state)
{
    struct driver d;
    bool recovered = false;

    (void)state;
    here(&d);
    verdict(&d, 1, 7, true);
    done(&d, 1, d.last_id, XHA_OK, XHA_DOMID_NONE);
    done(&d, 1, d.last_id, XHA_OK, XHA_DOMID_NONE);
    for (int i = 0; i < 60 && !recovered; i++) {
        d.now_ms += 1000;
        seen(&d, 1, 9, 0);
        round_end(&d, true);
        if (view_of(&d, 1).state == XHA_ST_SUSPECT) {
            struct xha_event ev = { .type = XHA_EV_PROBED, .uuid = uuid_of(1) };

            ev.u.probed.domid = 9;
            driver_step(&d, ev);
        }
        recovered = planned(&d, XHA_ACT_DESTROY, 0) != NULL;
    }
    assert_true(recovered);
    driver_end(&d);
}

static void test_target_commit_and_gone(void **state)
{
    struct driver d;

    (void)state;
    here(&d);
    verdict(&d, 1, 7, true);
    done(&d, 1, d.last_id, XHA_REFUSED, XHA_DOMID_NONE);
    assert_null(planned(&d, XHA_ACT_START, 0));
    nothing_there(&d);
    assert_non_null(planned(&d, XHA_ACT_START, 0)); /* it is ours */
    driver_end(&d);

    here(&d); /* the RESUME's worker died before it did anything */
    verdict(&d, 1, 7, true);
    done(&d, 1, d.last_id, XHA_UNKNOWN, XHA_DOMID_NONE);
    {
        struct xha_event ev;

        d.now_ms += 10;
        ev = seen_event(&d, 1, 9, 0);
        ev.u.seen.paused = true;
        driver_step(&d, ev);
    }
    assert_non_null(planned(&d, XHA_ACT_RESUME, 0));
    driver_end(&d);
}

static void test_target_abort(void **state)
{
    struct driver d;
    struct xha_event ev;

    (void)state;
    here(&d);
    verdict(&d, 1, 7, false);
    assert_null(planned(&d, XHA_ACT_RESUME, 0));
    d.now_ms += 10;
    ev = seen_event(&d, 1, 9, 0);
    ev.u.seen.paused = true;
    driver_step(&d, ev);
    assert_int_equal(planned(&d, XHA_ACT_DESTROY, 0)->u.deed.domid, 9);
    done(&d, 1, d.last_id, XHA_OK, XHA_DOMID_NONE);
    nothing_there(&d);
    assert_false(known(&d, 1));
    driver_end(&d);

    target(&d); /* while it is being received */
    verdict(&d, 1, 7, false);
    assert_int_equal(planned(&d, XHA_ACT_CANCEL, 0)->id, d.last_id);
    done(&d, 1, d.last_id, XHA_REFUSED, XHA_DOMID_NONE);
    nothing_there(&d);
    assert_false(known(&d, 1));
    driver_end(&d);
}

/* The receiver failed: half a domain may be here, known to nobody but the listing. */
static void test_target_failed(void **state)
{
    struct driver d;
    struct xha_event ev;

    (void)state;
    target(&d);
    done(&d, 1, d.last_id, XHA_UNKNOWN, XHA_DOMID_NONE);
    assert_int_equal(view_of(&d, 1).yield, XHA_YIELD_DESTROY);
    assert_int_equal(verdict(&d, 1, 7, true), XHA_CORE_E_STATE);
    d.now_ms += 10;
    ev = seen_event(&d, 1, 12, 0);
    ev.u.seen.paused = true;
    driver_step(&d, ev);
    assert_int_equal(planned(&d, XHA_ACT_DESTROY, 0)->u.deed.domid, 12);
    driver_end(&d);
}

static void test_target_restart_of_xhad(void **state)
{
    struct driver d;
    uint64_t id;

    (void)state;
    here(&d);
    reborn(&d);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_INCOMING);
    wait_paused(&d, 9);
    verdict(&d, 1, 7, true);
    assert_int_equal(planned(&d, XHA_ACT_RESUME, 0)->u.deed.domid, 9);
    id = d.last_id;
    reborn(&d); /* and again, over the RESUME */
    done(&d, 1, id, XHA_OK, XHA_DOMID_NONE);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_BOOTING);
    driver_end(&d);
}

/* ---- with its disks: stopped first, and started where the verdict says ---- */

static void disks_out(struct driver *d)
{
    struct xha_event ev = { .type = XHA_EV_MOVE_OUT, .uuid = uuid_of(1) };

    driver_begin(d, 4);
    permit(d, true);
    make_run(d, 1, 5);
    ev.u.move_out = (struct xha_move){ .id = 7, .peer = 1, .port = 4000, .disks = true };
    assert_int_equal(driver_step(d, ev), 0);
    assert_null(planned(d, XHA_ACT_MIGRATE, 0));
    assert_non_null(planned(d, XHA_ACT_SHUTDOWN, 0));
    assert_int_equal(order(d, 1, XHA_DO_MAINTENANCE_ON), XHA_CORE_E_BUSY);
    done(d, 1, d->last_id, XHA_OK, XHA_DOMID_NONE);
}

static void disks_sent(struct driver *d)
{
    disks_out(d);
    nothing_there(d);
    assert_int_equal(planned(d, XHA_ACT_MIGRATE, 0)->u.deed.move.port, 4000);
    assert_true(planned(d, XHA_ACT_MIGRATE, 0)->u.deed.move.disks);
}

static void nothing_happens(struct driver *d)
{
    for (int i = 0; i < 100; i++) {
        d->now_ms += 1000;
        round_end(d, true);
        assert_false(acts(d));
    }
}

static void test_disks_source(void **state)
{
    struct driver d;

    (void)state;
    for (int result = XHA_OK; result < XHA_RESULT_N_; result++) { /* whatever it says, the verdict decides */
        disks_sent(&d);
        done(&d, 1, d.last_id, (enum xha_result)result, XHA_DOMID_NONE);
        nothing_happens(&d);
        verdict(&d, 1, 7, true);
        nothing_there(&d);
        assert_false(known(&d, 1));
        driver_end(&d);

        disks_sent(&d);
        done(&d, 1, d.last_id, (enum xha_result)result, XHA_DOMID_NONE);
        nothing_happens(&d);
        verdict(&d, 1, 7, false);
        nothing_there(&d);
        assert_non_null(planned(&d, XHA_ACT_START, 0));
        driver_end(&d);
    }
}

static void test_disks_called_off_while_it_stops(void **state)
{
    struct driver d;

    (void)state;
    disks_out(&d);
    assert_int_equal(verdict(&d, 1, 7, false), 0);
    nothing_there(&d);
    assert_null(planned(&d, XHA_ACT_MIGRATE, 0));
    nothing_there(&d);
    assert_non_null(planned(&d, XHA_ACT_START, 0));
    driver_end(&d);
}

/* xhad does not know any more where the receiver listens: it waits for the cluster to end the move. */
static void test_disks_restart_of_xhad(void **state)
{
    struct driver d;

    (void)state;
    disks_out(&d);
    reborn(&d);
    nothing_there(&d);
    assert_null(planned(&d, XHA_ACT_MIGRATE, 0));
    assert_int_equal(view_of(&d, 1).state, XHA_ST_MIGRATING);
    nothing_happens(&d);
    verdict(&d, 1, 7, false);
    nothing_there(&d);
    assert_non_null(planned(&d, XHA_ACT_START, 0));
    driver_end(&d);
}

static void disks_in(struct driver *d, bool want_run)
{
    struct xha_event ev = { .type = XHA_EV_INCOMING, .uuid = uuid_of(1) };

    driver_begin(d, 4);
    permit(d, true);
    ev.u.protect.policy = &d->policy;
    ev.u.protect.term = UINT64_C(8) << 24;
    ev.u.protect.want_run = want_run;
    ev.u.protect.move = (struct xha_move){ .id = 7, .peer = 2, .disks = true };
    assert_int_equal(driver_step(d, ev), 0);
    done(d, 1, d->last_id, XHA_OK, XHA_DOMID_NONE);
    assert_true(view_of(d, 1).move_sent);
    nothing_happens(d);
}

static void test_disks_target(void **state)
{
    struct driver d;

    (void)state;
    disks_in(&d, true);
    verdict(&d, 1, 7, true);
    nothing_there(&d);
    assert_non_null(planned(&d, XHA_ACT_START, 0));
    driver_end(&d);

    disks_in(&d, false); /* it was stopped before */
    verdict(&d, 1, 7, true);
    nothing_there(&d);
    assert_int_equal(view_of(&d, 1).state, XHA_ST_STOPPED);
    driver_end(&d);

    disks_in(&d, true);
    verdict(&d, 1, 7, false);
    nothing_there(&d);
    assert_false(known(&d, 1));
    driver_end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_source_commit),
        cmocka_unit_test(test_source_abort),
        cmocka_unit_test(test_source_refused),
        cmocka_unit_test(test_source_unknown),
        cmocka_unit_test(test_source_verdict_first),
        cmocka_unit_test(test_source_cancel),
        cmocka_unit_test(test_source_abort_without_quorum),
        cmocka_unit_test(test_source_restart_of_xhad),
        cmocka_unit_test(test_only_who_runs_moves),
        cmocka_unit_test(test_target_listens),
        cmocka_unit_test(test_target_commit),
        cmocka_unit_test(test_target_never_beats),
        cmocka_unit_test(test_target_commit_and_gone),
        cmocka_unit_test(test_target_abort),
        cmocka_unit_test(test_target_failed),
        cmocka_unit_test(test_target_restart_of_xhad),
        cmocka_unit_test(test_disks_source),
        cmocka_unit_test(test_disks_called_off_while_it_stops),
        cmocka_unit_test(test_disks_restart_of_xhad),
        cmocka_unit_test(test_disks_target),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

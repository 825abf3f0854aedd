/*
 * test-core-chaos.c - the host core under whatever a cluster may say and a host may do, in any order. Nothing
 * of it need make sense; the tables stay whole, and what must never happen does not.
 */
#include "core-driver.h"

#include "tests/sim/rng.h"

#define DOMS  3
#define SEEDS 400
#define STEPS 600

struct chaos {
    struct driver d;
    struct sim_rng rng;
    bool denied;
    struct {
        bool pending;
        uint64_t id;
        enum xha_action_type type;
        enum xha_state state; /* before the step */
        enum xha_verdict verdict;
        bool known;
    } dom[DOMS + 1];
};

static uint32_t pick(struct chaos *c, uint32_t n)
{
    return (uint32_t)(sim_rng_next(&c->rng) % n);
}

static void remember(struct chaos *c)
{
    for (uint8_t n = 1; n <= DOMS; n++) {
        c->dom[n].known = known(&c->d, n);
        if (!c->dom[n].known)
            continue;
        struct xha_view v = view_of(&c->d, n);
        c->dom[n].state = v.state;
        c->dom[n].verdict = v.verdict;
    }
}

static bool starts(enum xha_action_type type)
{
    return type == XHA_ACT_START || type == XHA_ACT_RESTORE || type == XHA_ACT_RESUME ||
           type == XHA_ACT_MIGRATE || type == XHA_ACT_RECEIVE;
}

static void judge(struct chaos *c, const struct xha_event *ev)
{
    for (uint32_t i = 0; i < c->d.plan.n; i++) {
        const struct xha_action *act = &c->d.plan.action[i];
        uint8_t n = act->uuid.b[15];

        if (!xha_action_is_deed(act->type))
            continue;
        assert_false(c->denied && starts(act->type));
        assert_false(c->dom[n].pending); /* one at a time */
        c->dom[n].pending = true;
        c->dom[n].id = act->id;
        c->dom[n].type = act->type;
        if (c->dom[n].known && ev->type != XHA_EV_VERDICT && ev->type != XHA_EV_YIELD &&
            (c->dom[n].state == XHA_ST_MIGRATING || c->dom[n].state == XHA_ST_INCOMING) && !c->dom[n].verdict)
            assert_int_not_equal(act->type, XHA_ACT_RESUME); /* not before the verdict */
    }
}

static int step(struct chaos *c, struct xha_event ev)
{
    int rc;

    remember(c);
    if (ev.type == XHA_EV_PERMIT)
        c->denied = !ev.u.permit;
    rc = driver_step(&c->d, ev);
    judge(c, &ev);
    while (c->d.plan.more) {
        remember(c);
        tick(&c->d);
        judge(c, &ev);
    }
    return rc;
}

static struct xha_event any(struct chaos *c, enum xha_event_type type, uint8_t n)
{
    return (struct xha_event){ .type = type, .uuid = uuid_of(n), .now = { c->d.now_ms } };
}

static void arrive(struct chaos *c, uint8_t n)
{
    static const enum xha_purpose purposes[] = { XHA_FOR_NOTHING, XHA_FOR_START, XHA_FOR_RECOVERY };
    struct xha_event ev = any(c, pick(c, 2) ? XHA_EV_TAKE : XHA_EV_INCOMING, n);

    c->d.policy.protection = pick(c, 2) ? XHA_PROT_RESTART : XHA_PROT_CHECKPOINT;
    ev.u.protect.policy = &c->d.policy;
    ev.u.protect.term = (uint64_t)(1 + pick(c, 1000)) << 24;
    ev.u.protect.purpose = purposes[pick(c, 3)];
    ev.u.protect.want_run = pick(c, 2);
    ev.u.protect.relocate = pick(c, 2);
    ev.u.protect.ever_beat = pick(c, 2);
    ev.u.protect.recoveries = pick(c, 6);
    ev.u.protect.move = (struct xha_move){ .id = 1 + pick(c, 3), .peer = 1, .disks = pick(c, 2) };
    step(c, ev);
}

static void move(struct chaos *c, uint8_t n)
{
    static const enum xha_event_type types[] = { XHA_EV_MOVE_OUT, XHA_EV_VERDICT, XHA_EV_VERDICT,
                                                 XHA_EV_CANCEL };
    struct xha_event ev = any(c, types[pick(c, 4)], n);
    uint64_t id = known(&c->d, n) && pick(c, 4) ? view_of(&c->d, n).move.id : 1 + pick(c, 3);

    if (ev.type == XHA_EV_MOVE_OUT) {
        ev.u.move_out =
            (struct xha_move){ .id = 1 + pick(c, 3), .peer = 1, .port = 4000, .disks = pick(c, 2) };
    } else {
        ev.u.verdict.move = id;
        ev.u.verdict.commit = pick(c, 2);
    }
    step(c, ev);
}

static void see(struct chaos *c, uint8_t n)
{
    struct xha_event ev;

    c->d.now_ms += 1;
    ev = seen_event(&c->d, n, 1 + (int32_t)pick(c, 3), pick(c, 3));
    ev.u.seen.paused = !pick(c, 4);
    ev.u.seen.shut = !pick(c, 4);
    ev.u.seen.reason = (uint8_t)pick(c, 7);
    ev.u.seen.dying = !pick(c, 8);
    step(c, ev);
}

static void end_deed(struct chaos *c, uint8_t n)
{
    struct xha_event ev = any(c, XHA_EV_DONE, n);

    if (!c->dom[n].pending)
        return;
    ev.u.done.id = c->dom[n].id;
    ev.u.done.result = (enum xha_result)pick(c, XHA_RESULT_N_);
    ev.u.done.refusal = (enum xha_refusal)pick(c, XHA_REFUSAL_N_);
    ev.u.done.domid = ev.u.done.result == XHA_OK ? 1 + (int32_t)pick(c, 3) : XHA_DOMID_NONE;
    c->dom[n].pending = false;
    assert_int_equal(step(c, ev), 0);
}

/* xhad dies; what was persisted is what there is (each step of the driver persists all that it must). */
static void reborn(struct chaos *c)
{
    struct xha_record record[DOMS + 1];
    bool have[DOMS + 1];

    for (uint8_t n = 1; n <= DOMS; n++) {
        struct xha_uuid uuid = uuid_of(n);
        have[n] = !xha_core_record(c->d.core, &uuid, &record[n]);
    }
    xha_core_free(c->d.core);
    assert_int_equal(xha_core_new(&c->d.set, c->d.last_id + 100000, &c->d.core), 0);
    {
        struct xha_event ev = any(c, XHA_EV_PERMIT, 0);
        ev.u.permit = false;
        step(c, ev);
    }
    for (uint8_t n = 1; n <= DOMS; n++) {
        struct xha_event ev = any(c, XHA_EV_RECALL, n);

        if (!have[n])
            continue;
        if (!pick(c, 6)) { /* and the host with it */
            record[n].domid = XHA_DOMID_OLD;
            record[n].pending = 0;
            record[n].pending_id = 0;
            c->dom[n].pending = false;
        }
        ev.u.protect.policy = &c->d.policy;
        ev.u.protect.record = &record[n];
        assert_int_equal(step(c, ev), 0);
    }
}

static void one(struct chaos *c)
{
    uint8_t n = (uint8_t)(1 + pick(c, DOMS));
    struct xha_event ev;

    c->d.now_ms += pick(c, 4) ? pick(c, 2000) : pick(c, 60000);
    switch (pick(c, 14)) {
    case 0:
        arrive(c, n);
        break;
    case 1:
    case 2:
        move(c, n);
        break;
    case 3:
        ev = any(c, XHA_EV_YIELD, n);
        ev.u.yield = (enum xha_yield)pick(c, XHA_YIELD_N_ + 1);
        if (!pick(c, 3))
            step(c, ev);
        break;
    case 4:
        ev = any(c, XHA_EV_PERMIT, 0);
        ev.u.permit = pick(c, 4);
        step(c, ev);
        break;
    case 5:
        ev = any(c, XHA_EV_ORDER, n);
        ev.u.order.type = (enum xha_order_type)pick(c, XHA_DO_N_);
        step(c, ev);
        break;
    case 6:
        if (!pick(c, 4))
            reborn(c);
        break;
    case 7:
    case 8:
        ev = any(c, XHA_EV_ROUND, 0);
        c->d.now_ms += 1;
        ev.u.round = (struct xha_round){ .began = { c->d.now_ms }, .beats_read = true, .xenstore_ok = true };
        step(c, ev);
        break;
    case 9:
    case 10:
        see(c, n);
        break;
    default:
        end_deed(c, n);
    }
}

static void test_chaos(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct chaos c = { .rng = { seed } };

        driver_begin(&c.d, DOMS);
        for (int i = 0; i < STEPS; i++)
            one(&c);
        driver_end(&c.d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_chaos) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * move/pulse.c on made-up time: who lives is never given up, who is silent soon is, whatever the delays.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/sim/rng.h"
#include "xhad/move/pulse.h"

#define TIMEOUT_MS 500

/* Two peers; what one says reaches the other after a delay, unless it is dead. */
struct world {
    struct xha_pulse pulse[2];
    int64_t next_ms[2];    /* when each wakes up */
    int64_t began_ms[2];   /* when it began to listen */
    int64_t wait_ms[2];    /* for how long it wanted to */
    int64_t arrives_ms[2]; /* of what was said to it last; INT64_MAX: nothing */
    int64_t dead_ms[2];    /* from then on it says nothing */
    int64_t delay_ms;
    struct sim_rng rng;
};

static void turn(struct world *w, int who, int64_t now)
{
    struct xha_pulse *p = &w->pulse[who];

    xha_pulse_listened(p, w->wait_ms[who], w->began_ms[who], now);
    if (w->arrives_ms[who] <= now) {
        xha_pulse_heard(p);
        w->arrives_ms[who] = INT64_MAX;
    }
    if (xha_pulse_is_due(p, now) && now < w->dead_ms[who]) {
        const int64_t then = now + sim_rng_range(&w->rng, 0, w->delay_ms);

        xha_pulse_said(p, now);
        if (then < w->arrives_ms[!who])
            w->arrives_ms[!who] = then;
    }
    w->began_ms[who] = now;
    w->wait_ms[who] = xha_pulse_wait_ms(p, now);
    w->next_ms[who] = now + (w->wait_ms[who] > 0 ? w->wait_ms[who] : 1);
}

static void world_init(struct world *w, uint64_t seed, int64_t delay_ms)
{
    *w = (struct world){ .rng = { seed }, .delay_ms = delay_ms };
    for (int who = 0; who < 2; who++) {
        xha_pulse_init(&w->pulse[who], TIMEOUT_MS, 0);
        w->arrives_ms[who] = w->dead_ms[who] = INT64_MAX;
    }
}

/* When one of them gives the other up; until: nobody did. */
static int64_t run(struct world *w, int64_t until, int *who_r)
{
    for (int64_t now = 0; now < until; now++) {
        for (int who = 0; who < 2; who++) {
            const bool wakes = w->next_ms[who] <= now || w->arrives_ms[who] <= now;

            if (!wakes)
                continue;
            turn(w, who, now);
            if (xha_pulse_is_gone(&w->pulse[who])) {
                *who_r = who;
                return now;
            }
        }
    }
    return until;
}

static void the_living_are_not_given_up(void **state)
{
    int who;

    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct world w;

        world_init(&w, seed, TIMEOUT_MS / 3);
        assert_int_equal(run(&w, 60000, &who), 60000);
    }
}

/* Not even by one that is stopped for longer than the timeout itself, again and again. */
static void our_own_absence_is_not_the_peers(void **state)
{
    struct xha_pulse p;
    int64_t now = 0;

    (void)state;
    xha_pulse_init(&p, TIMEOUT_MS, 0);
    for (int i = 0; i < 50; i++) {
        const int64_t wait = xha_pulse_wait_ms(&p, now);

        xha_pulse_said(&p, now);
        xha_pulse_listened(&p, wait, now, now + 10000); /* stopped while it listened */
        assert_false(xha_pulse_is_gone(&p));
        xha_pulse_heard(&p); /* what had come meanwhile */
        now += 10000;
    }
    xha_pulse_listened(&p, 0, now, now - 5); /* a clock that is set back */
    assert_int_equal(p.silent_ms, 0);
}

static void the_dead_are_noticed_in_time(void **state)
{
    int who = -1;

    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct world w;
        int64_t noticed;

        world_init(&w, seed, 30);
        w.dead_ms[1] = 2000 + (int64_t)seed * 7;
        noticed = run(&w, 60000, &who);
        assert_int_equal(who, 0);
        /* its last word came at most a beat before it died, and was under way for at most 30 ms */
        assert_in_range(noticed, w.dead_ms[1] + TIMEOUT_MS - w.pulse[0].beat_ms - 1,
                        w.dead_ms[1] + TIMEOUT_MS + 35);
    }
}

static void beats_are_often_enough(void **state)
{
    struct xha_pulse p;

    (void)state;
    for (int64_t timeout = 1; timeout < 100000; timeout = timeout * 2 + 1) {
        xha_pulse_init(&p, timeout, 7);
        assert_in_range(p.beat_ms, 1, 1000);
        assert_true(p.beat_ms <= timeout / 8 + 1);
        assert_false(xha_pulse_is_due(&p, 7));
        assert_true(xha_pulse_is_due(&p, 7 + p.beat_ms));
        assert_int_equal(xha_pulse_wait_ms(&p, 7 + p.beat_ms + 50), 0);
    }
}

static void a_busy_peer_is_borne_with(void **state)
{
    struct xha_pulse p;

    (void)state;
    xha_pulse_init(&p, TIMEOUT_MS, 0);
    xha_pulse_listened(&p, TIMEOUT_MS - 1, 0, TIMEOUT_MS - 1);
    assert_false(xha_pulse_is_gone(&p));
    xha_pulse_bear(&p, 10 * TIMEOUT_MS);
    xha_pulse_listened(&p, TIMEOUT_MS, 0, TIMEOUT_MS);
    assert_false(xha_pulse_is_gone(&p));
    assert_int_equal(p.beat_ms, TIMEOUT_MS / 8 + 1);
    xha_pulse_bear(&p, TIMEOUT_MS);
    xha_pulse_listened(&p, TIMEOUT_MS, 0, TIMEOUT_MS);
    assert_true(xha_pulse_is_gone(&p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_living_are_not_given_up),  cmocka_unit_test(our_own_absence_is_not_the_peers),
        cmocka_unit_test(the_dead_are_noticed_in_time), cmocka_unit_test(beats_are_often_enough),
        cmocka_unit_test(a_busy_peer_is_borne_with),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

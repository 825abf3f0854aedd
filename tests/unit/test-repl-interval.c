/*
 * repl/interval.c, driven by made-up guests: pauses of a fixed part and of a part by what was changed, which
 * grows with the run until the guest's working set is reached.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/sim/rng.h"
#include "xhad/repl/interval.h"

#define MIN_US 20000
#define MAX_US 1000000

struct load {
    double fixed_us;     /* of a pause */
    double us_per_page;  /* to copy one */
    double pages_per_us; /* changed, at first */
    double working_set;  /* pages, no more than these are changed */
    unsigned noise_percent;
};

static struct sim_rng rng;

/* The pause after a run of so long, without noise: what is changed twice counts once. */
static double pause_after(const struct load *l, double run_us)
{
    const double changes = l->pages_per_us * run_us;

    return l->fixed_us + l->us_per_page * (changes * l->working_set / (changes + l->working_set));
}

static double noisy(const struct load *l, double us)
{
    return us * (100 + (double)sim_rng_range(&rng, -(int64_t)l->noise_percent, l->noise_percent)) / 100;
}

/* The shortest run that keeps the share, found by looking. */
static double best_run(const struct load *l, double share)
{
    double run = MIN_US;

    while (run < MAX_US && pause_after(l, run) / (run + pause_after(l, run)) > share)
        run *= 1.002;
    return run < MAX_US ? run : MAX_US;
}

struct outcome {
    double share;   /* paused, of all the time */
    int64_t last;   /* interval */
    unsigned turns; /* up after down, or down after up */
};

static struct outcome run(struct xha_interval *i, const struct load *l, unsigned epochs)
{
    double ran = 0, paused = 0;
    struct outcome o = { 0 };
    int64_t before = xha_interval_us(i), change = 0;

    for (unsigned n = 0; n < epochs; n++) {
        const double run_us = (double)xha_interval_us(i), pause = noisy(l, pause_after(l, run_us));

        xha_interval_epoch(i, (int64_t)pause);
        ran += run_us;
        paused += pause;
        o.last = xha_interval_us(i);
        assert_in_range(o.last, i->conf.min_us, i->conf.max_us);
        o.turns += (o.last - before) * (change > 0 ? 1 : -1) < 0 && change != 0;
        if (o.last != before)
            change = o.last - before;
        before = o.last;
    }
    o.share = paused / (ran + paused);
    return o;
}

static struct xha_interval controller(uint32_t permille)
{
    const struct xha_interval_conf conf = { .min_us = MIN_US,
                                            .max_us = MAX_US,
                                            .max_pause_permille = permille };
    struct xha_interval i;

    xha_interval_init(&i, &conf);
    return i;
}

static struct load random_load(void)
{
    return (struct load){
        .fixed_us = (double)sim_rng_range(&rng, 200, 30000),
        .us_per_page = (double)sim_rng_range(&rng, 5, 30) / 10,
        .pages_per_us = (double)sim_rng_range(&rng, 1, 2000) / 100000,
        .working_set = (double)sim_rng_range(&rng, 100, 200000),
        .noise_percent = (unsigned)sim_rng_range(&rng, 0, 25),
    };
}

/* Whatever the guest: the share holds where it can, the interval is hardly longer than it has to be. */
static void any_load_settles(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        uint32_t permille;
        struct xha_interval i;
        struct outcome o;
        struct load l;
        double best;

        rng.s = seed;
        permille = (uint32_t)sim_rng_range(&rng, 20, 300);
        i = controller(permille);
        l = random_load();
        best = best_run(&l, permille / 1000.0);
        run(&i, &l, 200);
        o = run(&i, &l, 500);
        if (o.last < MAX_US)
            assert_true(o.share * 1000 <= permille);
        /* a tenth of margin, more where a longer run brings its own pause, and the noise */
        assert_true((double)o.last >= best * 0.95);
        assert_true(o.last == MAX_US || (double)o.last <= best * (2.2 + l.noise_percent / 20.0));
    }
}

/* Without noise it comes to rest, from one side. */
static void it_does_not_swing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        struct xha_interval i = controller(100);
        struct outcome o;
        struct load l;

        rng.s = seed;
        l = random_load();
        l.noise_percent = 0;
        assert_true(run(&i, &l, 300).turns <= 2);
        o = run(&i, &l, 100);
        assert_int_equal(o.turns, 0);
    }
}

static void bursts_pass(void **state)
{
    const struct load calm = { 4000, 1, 0.001, 5000, 5 }, burst = { 4000, 1, 0.2, 100000, 5 };
    struct xha_interval i = controller(100);
    struct outcome before, after;
    double best;

    (void)state;
    rng.s = 1;
    before = run(&i, &calm, 200);
    assert_true(before.last < 60000);
    best = best_run(&burst, 0.1);
    assert_in_range(run(&i, &burst, 12).last, (int64_t)(best * 0.95), (int64_t)(best * 1.5));
    run(&i, &calm, 40);
    after = run(&i, &calm, 1);
    assert_in_range(after.last, before.last * 8 / 10, before.last * 12 / 10);
}

/* One pause out of the ordinary is no reason to hold the guest's output back for long. */
static void one_long_pause_is_forgotten(void **state)
{
    const struct load calm = { 5000, 1, 0.001, 5000, 0 };
    struct xha_interval i = controller(100);
    int64_t before;

    (void)state;
    before = run(&i, &calm, 200).last;
    xha_interval_epoch(&i, 800000);
    assert_true(xha_interval_us(&i) <= 3 * before);
    assert_in_range(run(&i, &calm, 20).last, before, before * 12 / 10);
}

static void fixed_stays_fixed(void **state)
{
    const struct xha_interval_conf conf = { .min_us = 50000, .max_us = 50000, .max_pause_permille = 100 };
    struct xha_interval i;

    (void)state;
    xha_interval_init(&i, &conf);
    for (int64_t pause = 0; pause < INT64_MAX / 4; pause = 2 * pause + 1) {
        assert_int_equal(xha_interval_us(&i), 50000);
        xha_interval_epoch(&i, pause);
    }
}

/* Numbers without sense do no harm, and are forgotten as well. */
static void odd_pauses_are_borne(void **state)
{
    static const int64_t odd[] = { INT64_MIN, -1, 0, INT64_MAX, 1, INT64_MAX };
    struct xha_interval i = controller(1);

    (void)state;
    for (size_t n = 0; n < 600; n++) {
        xha_interval_epoch(&i, odd[n % 6]);
        assert_in_range(xha_interval_us(&i), MIN_US, MAX_US);
    }
    i = controller(100);
    for (size_t n = 0; n < 600; n++)
        xha_interval_epoch(&i, n < 100 ? INT64_MAX : 3000);
    assert_in_range(xha_interval_us(&i), 27000, 35000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_load_settles),  cmocka_unit_test(it_does_not_swing),
        cmocka_unit_test(bursts_pass),       cmocka_unit_test(one_long_pause_is_forgotten),
        cmocka_unit_test(fixed_stays_fixed), cmocka_unit_test(odd_pauses_are_borne),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

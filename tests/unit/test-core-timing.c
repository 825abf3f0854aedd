/*
 * core/timing.h: what is derived holds rule 3 for whatever is wished, and what is set by hand against it is
 * refused, by a text that names what to change.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/sim/rng.h"
#include "xhad/core/timing.h"

static struct xha_timing_wish usual(void)
{
    struct xha_timing_wish wish;

    xha_timing_defaults(&wish);
    return wish;
}

static uint32_t faults(const struct xha_timing_wish *wish, struct xha_timing *timing_r,
                       struct xha_timing_fault fault_r[XHA_TIMING_FAULTS_MAX])
{
    xha_timing_make(wish, timing_r);
    return xha_timing_check(wish, timing_r, fault_r);
}

/* Rule 3 and the rules of corosync, written down once more and in another way. */
static bool sound(const struct xha_timing *t)
{
    double last_poke_ms = 2.0 * (double)t->poke.ms;
    double reset_ms = (last_poke_ms + (double)t->watchdog.ms) * 1.01;

    return (double)t->takeover.ms >= reset_ms + (double)t->margin.ms - 1e-6 &&
           t->watchdog.ms >= t->detection.ms + 3 * t->poke.ms && t->watchdog.ms % 1000 == 0 &&
           t->poke.ms > 0 && t->margin.ms >= 200 && t->token.ms >= 126 &&
           10 * t->consensus.ms >= 12 * t->token.ms &&
           t->token.ms + t->consensus.ms <= t->detection.ms * 95 / 100 &&
           t->knet_ping_timeout.ms < t->token.ms && 2 * t->knet_ping_interval.ms <= t->knet_ping_timeout.ms &&
           t->knet_ping_interval.ms > 0;
}

static void test_usual(void **state)
{
    struct xha_timing_fault fault[XHA_TIMING_FAULTS_MAX];
    struct xha_timing_wish wish = usual();
    struct xha_timing t;

    (void)state;
    assert_int_equal(faults(&wish, &t, fault), 0);
    assert_true(sound(&t));
    assert_int_equal(t.detection.ms, 3000);
    assert_int_equal(t.token.ms, 1295);
    assert_int_equal(t.consensus.ms, 1554);
    assert_int_equal(t.poke.ms, 1000);
    assert_int_equal(t.watchdog.ms, 10000);
    assert_int_equal(t.self_fence.ms, 12120);
    assert_int_equal(t.takeover.ms, 13120);
}

/* Whatever detection is wanted, all that follows from it is sound. */
static void test_derived(void **state)
{
    struct xha_timing_fault fault[XHA_TIMING_FAULTS_MAX];
    struct xha_timing_wish wish = usual();
    struct xha_timing t;

    (void)state;
    for (wish.timing.detection.ms = 500; wish.timing.detection.ms <= 120000; wish.timing.detection.ms += 37) {
        assert_int_equal(faults(&wish, &t, fault), 0);
        assert_true(sound(&t));
    }
}

/* Any wishes: refused exactly when unsound, and with one that was wished for to blame. */
static void test_random(void **state)
{
    static const int64_t most_ms[XHA_TIMING_N_] = {
        [XHA_TIMING_TOKEN] = 3000,
        [XHA_TIMING_CONSENSUS] = 4000,
        [XHA_TIMING_KNET_PING_INTERVAL] = 1000,
        [XHA_TIMING_KNET_PING_TIMEOUT] = 2000,
        [XHA_TIMING_POKE] = 5000,
        [XHA_TIMING_MARGIN] = 3000,
        [XHA_TIMING_TAKEOVER] = 60000,
        [XHA_TIMING_FENCE_TIMEOUT] = 60000,
        [XHA_TIMING_START] = 60000,
    };
    struct sim_rng rng = { 7 };
    uint32_t refused = 0;

    (void)state;
    for (uint32_t run = 0; run < 20000; run++) {
        struct xha_timing_fault fault[XHA_TIMING_FAULTS_MAX];
        struct xha_timing_wish wish = usual();
        struct xha_timing t;
        uint32_t n;

        wish.timing.detection.ms = (int64_t)sim_rng_range(&rng, 1000, 10000);
        for (int i = 0; i < XHA_TIMING_N_; i++)
            if (most_ms[i] && !sim_rng_range(&rng, 0, 5))
                wish.timing.at[i].ms = (int64_t)sim_rng_range(&rng, 1, (uint64_t)most_ms[i]);
        if (!sim_rng_range(&rng, 0, 3))
            wish.timing.watchdog.ms = 1000 * (int64_t)sim_rng_range(&rng, 2, 60);
        n = faults(&wish, &t, fault);
        assert_int_equal(n == 0, sound(&t));
        assert_int_equal(n == 0, xha_timing_sound(&t));
        refused += n > 0;
        for (uint32_t i = 0; i < n; i++) {
            assert_true(fault[i].id < XHA_TIMING_N_ && wish.timing.at[fault[i].id].ms > 0);
            assert_true(strlen(fault[i].text) > 20);
        }
    }
    assert_true(refused > 1000 && refused < 19000);
}

static void refuses(const struct xha_timing_wish *wish, enum xha_timing_id id, const char *text)
{
    struct xha_timing_fault fault[XHA_TIMING_FAULTS_MAX];
    struct xha_timing t;

    assert_int_equal(faults(wish, &t, fault), 1);
    assert_int_equal(fault[0].id, id);
    assert_string_equal(fault[0].text, text);
}

static void test_texts(void **state)
{
    struct xha_timing_wish wish = usual();

    (void)state;
    wish.timing.takeover.ms = 8000;
    refuses(
        &wish, XHA_TIMING_TAKEOVER,
        "takeover (8 s) must not be less than self_fence (12.12 s) and margin (1 s) together, or a domain "
        "could run twice: raise takeover, or lower watchdog or poke");
    wish = usual();
    wish.timing.watchdog.ms = 3000;
    refuses(&wish, XHA_TIMING_WATCHDOG,
            "detection (3 s) and 3 of poke (0.3 s) must fit into watchdog (3 s), or healthy hosts are reset "
            "while a new view is formed: raise watchdog, or lower poke or detection");
    wish = usual();
    wish.timing.token.ms = 2000;
    refuses(&wish, XHA_TIMING_TOKEN,
            "token (2 s) and consensus (2.4 s) together must not be more than 95 % of detection (3 s), or a "
            "loss is declared later than that: lower them or raise detection");
    wish = usual();
    wish.timing.margin.ms = 50;
    refuses(&wish, XHA_TIMING_MARGIN,
            "margin (0.05 s) must be at least 200 ms: the machine needs that to stop; raise margin");
}

/* What nobody can wish for stays what it is. */
static void test_not_wished(void **state)
{
    struct xha_timing_wish wish = usual();
    struct xha_timing t;

    (void)state;
    wish.timing.skew.ms = wish.timing.self_fence.ms = 1;
    xha_timing_make(&wish, &t);
    assert_int_equal(t.skew.ms, 2 * t.poke.ms);
    assert_int_equal(t.self_fence.ms, 12120);
}

/* A watchdog that was armed under other settings is waited for, too. */
static void test_takeover(void **state)
{
    struct xha_timing_wish wish = usual();
    struct xha_timing t;

    (void)state;
    xha_timing_make(&wish, &t);
    assert_int_equal(xha_timing_takeover(&t, (struct xha_span){ 0 }).ms, 13120);
    assert_int_equal(xha_timing_takeover(&t, (struct xha_span){ 10000 }).ms, 13120);
    assert_int_equal(xha_timing_takeover(&t, (struct xha_span){ 30000 }).ms, 13120 + 20200);
}

/* Corosync's own defaults for two, four and eight hosts: fine, late, and deadly. */
static void test_real(void **state)
{
    static const struct {
        int64_t token_ms, consensus_ms, device_ms, device_sync_ms;
        enum xha_timing_real real;
        const char *text;
    } row[] = {
        { 1295, 1554, 0, 0, XHA_TIMING_KEPT, "" },
        { 1000, 1200, 0, 0, XHA_TIMING_KEPT, "" },
        { 1295, 1554, 2375, 1500, XHA_TIMING_KEPT, "" },
        { 1295, 1554, 4000, 1500, XHA_TIMING_SLOW,
          "corosync's quorum device learns of a loss after 4800 ms, and a new view may wait 1500 ms for it: "
          "detection (3 s) is less; set quorum.device.timeout to 2375 and sync_timeout to 1500 ms in "
          "corosync.conf" },
        { 1295, 1554, 10000, 1500, XHA_TIMING_UNSAFE,
          "corosync's quorum device learns of a loss after 12000 ms, and a new view may wait 1500 ms for it: "
          "watchdog (10 s) would reset healthy hosts; set quorum.device.timeout to 2375 and sync_timeout to "
          "1500 ms "
          "in corosync.conf, or raise timing.watchdog" },
        { 1295, 1554, 2375, 30000, XHA_TIMING_UNSAFE,
          "corosync's quorum device learns of a loss after 2850 ms, and a new view may wait 30000 ms for it: "
          "watchdog (10 s) would reset healthy hosts; set quorum.device.timeout to 2375 and sync_timeout to "
          "1500 ms "
          "in corosync.conf, or raise timing.watchdog" },
        { 3000, 3600, 0, 0, XHA_TIMING_SLOW,
          "corosync runs with token (3 s) and consensus (3.6 s): a loss is declared later than detection (3 "
          "s); "
          "set them to 1295 and 1554 ms in corosync.conf, and token_coefficient to 0" },
        { 6900, 8280, 10000, 30000, XHA_TIMING_UNSAFE,
          "corosync runs with token (6.9 s) and consensus (8.28 s): while hosts agree on a new view, "
          "watchdog "
          "(10 s) would reset healthy ones; set them to 1295 and 1554 ms in corosync.conf, and "
          "token_coefficient to 0, or raise timing.watchdog" },
    };
    struct xha_timing_wish wish = usual();
    struct xha_timing t;
    char text[400];

    (void)state;
    xha_timing_make(&wish, &t);
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        const struct xha_timing_corosync is = { .token = { row[i].token_ms },
                                                .consensus = { row[i].consensus_ms },
                                                .device = { row[i].device_ms },
                                                .device_sync = { row[i].device_sync_ms } };

        assert_int_equal(xha_timing_real(&t, &is, text, sizeof(text)), row[i].real);
        assert_string_equal(text, row[i].text);
    }
}

/* A watchdog that is patient enough for a slow device: its sides still part for longer than is reckoned with. */
static void test_slow_device(void **state)
{
    struct xha_timing_corosync is = { .token = { 1295 }, .consensus = { 1554 }, .device_sync = { 1500 } };
    struct xha_timing_wish wish = usual();
    struct xha_timing t;
    char text[400];

    (void)state;
    wish.timing.watchdog.ms = 120000;
    xha_timing_make(&wish, &t);
    is.device.ms = 25000; /* half of 0.8 of it */
    assert_int_equal(xha_timing_real(&t, &is, text, sizeof(text)), XHA_TIMING_SLOW);
    is.device.ms = 25003;
    assert_int_equal(xha_timing_real(&t, &is, text, sizeof(text)), XHA_TIMING_UNSAFE);
    assert_non_null(strstr(text, "set quorum.device.timeout to 2375 ms"));
}

/* What a peer sends: every time must be there, and what follows from others must follow. */
static void test_sound(void **state)
{
    struct xha_timing_wish wish = usual();
    struct xha_timing t, bad;

    (void)state;
    xha_timing_make(&wish, &t);
    assert_true(xha_timing_sound(&t));
    for (int i = 0; i < XHA_TIMING_N_; i++) {
        static const int64_t never[] = { 0, -1, INT64_MAX, INT64_MIN };

        for (int j = 0; j < 4; j++) {
            bad = t;
            bad.at[i].ms = never[j];
            assert_false(xha_timing_sound(&bad));
        }
    }
    bad = t;
    bad.self_fence.ms -= 1000;
    bad.takeover.ms -= 1000;
    assert_false(xha_timing_sound(&bad));
    bad = t;
    bad.watchdog.ms += 1000;
    assert_false(xha_timing_sound(&bad));
}

static void test_walk(void **state)
{
    struct xha_timing_wish wish = usual();
    struct xha_timing_row row;
    struct xha_timing t;
    uint32_t n;

    (void)state;
    xha_timing_make(&wish, &t);
    for (n = 0; xha_timing_row(&t, n, &row); n++) {
        assert_true(row.name && row.formula && row.doc);
        assert_int_equal(row.ms, t.at[n].ms);
    }
    assert_int_equal(n, XHA_TIMING_N_);
}

static void test_cases(void **state)
{
    struct xha_timing_wish wish = usual();
    struct xha_timing_case c[XHA_TIMING_CASE_N_], none;
    struct xha_timing t;

    (void)state;
    xha_timing_make(&wish, &t);
    for (uint32_t i = 0; i < XHA_TIMING_CASE_N_; i++) {
        assert_true(xha_timing_case(&wish, &t, i, &c[i]));
        assert_int_equal(c[i].id, i);
        assert_true(c[i].name && c[i].formula && c[i].text);
    }
    assert_false(xha_timing_case(&wish, &t, XHA_TIMING_CASE_N_, &none));
    assert_int_equal(c[XHA_TIMING_GUEST_CRASH].ms, 1000 + 10000);
    assert_int_equal(c[XHA_TIMING_GUEST_HANG].ms, 10000 + 2000 + 2000 + 10000);
    assert_int_equal(c[XHA_TIMING_XHAD_CRASH].ms, 0);
    assert_int_equal(c[XHA_TIMING_POWER_CUT_FENCED].issued_ms, 3000 + 20000 + 500);
    assert_int_equal(c[XHA_TIMING_POWER_CUT_WATCHDOG].issued_ms, 3000 + 13120 + 500);
    assert_int_equal(c[XHA_TIMING_HOST_HANG].ms, 3000 + 13120 + 500 + 10000);
    assert_int_equal(c[XHA_TIMING_PLANNED_MOVE].ms, 60000 + 500 + 10000);
    assert_true(c[XHA_TIMING_PARTITION].recovers);
    assert_false(c[XHA_TIMING_NO_QUORUM].recovers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usual),       cmocka_unit_test(test_derived),  cmocka_unit_test(test_random),
        cmocka_unit_test(test_texts),       cmocka_unit_test(test_walk),     cmocka_unit_test(test_cases),
        cmocka_unit_test(test_not_wished),  cmocka_unit_test(test_takeover), cmocka_unit_test(test_real),
        cmocka_unit_test(test_slow_device), cmocka_unit_test(test_sound),
    };

    return cmocka_run_group_tests_name("core-timing", tests, NULL, NULL);
}

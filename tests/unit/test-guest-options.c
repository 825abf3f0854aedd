/*
 * guest/options.c and the grid of guest/clock.h.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "guest/clock.h"
#include "guest/options.h"

static enum xha_guest_parse parse(struct xha_guest_options *o, const char *a, const char *b)
{
    char *argv[] = { (char *)"xha-guest", (char *)a, (char *)b, NULL };

    return xha_guest_options_parse(b ? 3 : a ? 2 : 1, argv, o);
}

static void test_defaults(void **state)
{
    struct xha_guest_options o;

    (void)state;
    assert_int_equal(parse(&o, NULL, NULL), XHA_GUEST_RUN);
    assert_int_equal(o.interval_ms, 1000);
    assert_string_equal(o.key, "data/heartbeat");
    assert_null(o.check);
    assert_null(o.watchdog);
    assert_null(o.xenbus);
    assert_false(o.foreground);
}

static void test_seconds(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } cases[] = {
        { "1", 1000 },       { "0.1", 100 },
        { "2.5", 2500 },     { "0.125", 125 },
        { "3600", 3600000 }, { "", -1 },
        { ".5", -1 },        { "1.", -1 },
        { "-1", -1 },        { "+1", -1 },
        { " 1", -1 },        { "1 ", -1 },
        { "1s", -1 },        { "0", -1 },
        { "0.099", -1 },     { "3600.001", -1 },
        { "1e3", -1 },       { "0x10", -1 },
        { "nan", -1 },       { "0.1234", -1 },
        { "99999999", -1 },  { "99999999999999999999", -1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t ms = -1;
        bool good = xha_guest_parse_seconds(cases[i].text, 100, 3600000, &ms);

        assert_int_equal(good, cases[i].ms >= 0);
        assert_int_equal(ms, cases[i].ms);
    }
}

static void test_keys(void **state)
{
    static const char *const good[] = { "data/heartbeat", "data/a-b_c@d", "/local/domain/5/data/x" };
    static const char *const bad[] = { "", "data/", "data//x", "data/x y", "data/\n", "d\303\244ta" };
    struct xha_guest_options o;
    char key[300];

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_int_equal(parse(&o, "-k", good[i]), XHA_GUEST_RUN);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(parse(&o, "-k", bad[i]), XHA_GUEST_USAGE);
    memset(key, 'k', sizeof(key));
    key[255] = '\0';
    assert_int_equal(parse(&o, "--key", key), XHA_GUEST_RUN);
    key[255] = 'k';
    key[256] = '\0';
    assert_int_equal(parse(&o, "--key", key), XHA_GUEST_USAGE);
}

static void test_others(void **state)
{
    struct xha_guest_options o;

    (void)state;
    assert_int_equal(parse(&o, "-w", "-f"), XHA_GUEST_RUN);
    assert_string_equal(o.watchdog, "/dev/watchdog");
    assert_true(o.foreground);
    assert_int_equal(parse(&o, "--watchdog=/dev/watchdog1", NULL), XHA_GUEST_RUN);
    assert_string_equal(o.watchdog, "/dev/watchdog1");
    assert_int_equal(parse(&o, "-c", ""), XHA_GUEST_USAGE);
    assert_int_equal(parse(&o, "-i", "0"), XHA_GUEST_USAGE);
    assert_int_equal(parse(&o, "--nonsense", NULL), XHA_GUEST_USAGE);
    assert_int_equal(parse(&o, "stray", NULL), XHA_GUEST_USAGE);
    assert_int_equal(parse(&o, "--version", NULL), XHA_GUEST_DONE);
}

static void test_grid_keeps_time_and_skips_what_is_over(void **state)
{
    const struct xha_guest_time start = { 500 };
    struct xha_guest_time t = start;

    (void)state;
    for (int i = 0; i < 1000; i++) { /* each beat is late by another bit: no drift adds up */
        t = xha_guest_next_on_grid(start, 1000, xha_guest_after(t, i % 7));
        assert_int_equal(t.ms, 500 + (i + 1) * 1000);
    }
    assert_int_equal(xha_guest_next_on_grid(start, 1000, (struct xha_guest_time){ 3600700 }).ms, 3601500);
    assert_int_equal(xha_guest_next_on_grid(start, 1000, (struct xha_guest_time){ 1500 }).ms, 2500);
    assert_int_equal(xha_guest_next_on_grid(start, 1000, (struct xha_guest_time){ 3 }).ms, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_seconds),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_grid_keeps_time_and_skips_what_is_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

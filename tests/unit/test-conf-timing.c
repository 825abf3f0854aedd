/*
 * The times in xhad.conf: refused by file and line where they break rule 3, and shown by `xhad -n`.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "xhad/base/conf.h"
#include "xhad/base/timing_text.h"

static void refuses(const char *text, const char *problem)
{
    struct xha_problems problems = { 0 };
    struct xha_conf conf;

    assert_int_equal(xha_conf_parse("x.conf", text, strlen(text), &conf, &problems), XHA_CONF_E_BAD);
    assert_int_equal(problems.n, 1);
    assert_string_equal(problems.text[0], problem);
    xha_problems_clear(&problems);
}

static void test_refused(void **state)
{
    (void)state;
    refuses(
        "cluster = true;\ntiming: {\n  takeover = 5;\n};\n",
        "x.conf:3: takeover (5 s) must not be less than self_fence (12.12 s) and margin (1 s) together, or "
        "a domain could run twice: raise takeover, or lower watchdog or poke");
    refuses(
        "detection = 6;\ntiming: { watchdog = 7; };",
        "x.conf:2: detection (6 s) and 3 of poke (0.7 s) must fit into watchdog (7 s), or healthy hosts are "
        "reset while a new view is formed: raise watchdog, or lower poke or detection");
    refuses("timing: { watchdog = 10.5; };",
            "x.conf:1: watchdog (10.5 s) must be whole seconds: Xen's timer counts no less");
}

static void shown(bool cluster, bool docs, char **text_r)
{
    struct xha_timing_wish wish;
    struct xha_conf conf;
    size_t len;
    FILE *out = open_memstream(text_r, &len);

    assert_non_null(out);
    assert_int_equal(xha_conf_default(&conf), XHA_CONF_OK);
    conf.timing.margin.ms = 2000;
    xha_conf_wish(&conf, &wish);
    xha_timing_print(&wish, cluster, docs, out);
    xha_timing_print_domain(&wish, cluster, out);
    fclose(out);
    xha_conf_clear(&conf);
}

static void has(const char *text, const char *line)
{
    if (!strstr(text, line))
        fail_msg("no line \"%s\" in:%s", line, text);
}

static void test_shown(void **state)
{
    char *text;

    (void)state;
    shown(true, true, &text);
    has(text, "\n#   power-cut-watchdog      27.62 s  detection + takeover + order + start\n");
    has(text, "\n#   no-quorum               never\n");
    has(text, "\n# fence_timeout and start are settings, not measured");
    has(text, "\n#   margin                      2 s  as set\n");
    has(text, "\n#   takeover                14.12 s  self_fence + margin\n");
    has(text, "\n# built again at worst 11 s after a crash, 24 s after a hang, 27.62 s after the loss of its "
              "host\n");
    for (const char *line = text; *line; line = strchr(line, '\n') + 1)
        assert_true(*line == '#' || *line == '\n');
    free(text);
}

static void test_one_host(void **state)
{
    char *text;

    (void)state;
    shown(false, true, &text);
    has(text, "\n#   guest-hang                 24 s  ");
    has(text, "\n#   start                      10 s  ");
    has(text, "\n# built again at worst 11 s after a crash, 24 s after a hang\n");
    assert_null(strstr(text, "power-cut"));
    assert_null(strstr(text, "takeover"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_shown),
        cmocka_unit_test(test_one_host),
    };

    return cmocka_run_group_tests_name("conf-timing", tests, NULL, NULL);
}

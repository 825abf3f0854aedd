/*
 * base/params_parse.c: what a config file may say, and what each mistake in it is called. Run on xhad.conf's
 * table.
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

static int load(const char *text, struct xha_conf *conf, struct xha_problems *problems)
{
    memset(problems, 0, sizeof(*problems));
    return xha_conf_parse("f.conf", text, strlen(text), conf, problems);
}

/* The one problem that text has. */
static void refused(const char *text, const char *wanted)
{
    struct xha_conf conf;
    struct xha_problems problems;

    assert_int_equal(load(text, &conf, &problems), XHA_CONF_E_BAD);
    assert_int_equal(problems.n, 1);
    assert_string_equal(problems.text[0], wanted);
    assert_null(conf.helper);
    xha_problems_clear(&problems);
}

static void test_empty_is_default(void **state)
{
    struct xha_conf conf, usual;
    struct xha_problems problems;

    (void)state;
    assert_int_equal(load("", &conf, &problems), XHA_CONF_OK);
    assert_int_equal(xha_conf_default(&usual), XHA_CONF_OK);
    assert_int_equal(xha_params_diff(&xha_conf_params, &usual, &conf, NULL, NULL), 0);
    assert_int_equal(conf.settings.max_domains, 1000);
    assert_int_equal(conf.settings.round_interval.ms, 1000);
    assert_int_equal(conf.log_level, XHA_LOG_INFO);
    xha_conf_clear(&conf);
    xha_conf_clear(&usual);
}

static void test_each_type(void **state)
{
    struct xha_conf conf;
    struct xha_problems problems;

    (void)state;
    assert_int_equal(load("parallel = 0x10;\n"
                          "heartbeat_interval = 2.5;  # seconds\n"
                          "/* two\n lines */ probe_window = 3\n"
                          "order = \"srtf\";\n"
                          "run_dir = \"/run/\" \"x\";\n"
                          "max_domains = 2000L",
                          &conf, &problems),
                     XHA_CONF_OK);
    assert_int_equal(conf.settings.parallel, 16);
    assert_int_equal(conf.settings.round_interval.ms, 2500);
    assert_int_equal(conf.settings.probe_window.ms, 3000);
    assert_int_equal(conf.settings.order, XHA_ORDER_SRTF);
    assert_int_equal(conf.settings.max_domains, 2000);
    assert_string_equal(conf.run_dir, "/run/x");
    xha_conf_clear(&conf);
}

static void test_wrong_types(void **state)
{
    (void)state;
    refused("parallel = 2.0;", "f.conf:1: parallel: must be a whole number, not a number with decimals");
    refused("parallel = \"2\";", "f.conf:1: parallel: must be a whole number, not a string");
    refused("\n\nhold_max = true;", "f.conf:3: hold_max: must be a number of seconds, not true or false");
    refused("order = 1;", "f.conf:1: order: must be a word in quotes, not a whole number");
    refused("helper = [ \"/a\" ];", "f.conf:1: helper: must be a string in quotes, not a list");
    refused("order: { };", "f.conf:1: order: must be a word in quotes, not a group");
}

static void test_ranges(void **state)
{
    (void)state;
    refused("parallel = 0;", "f.conf:1: parallel: 0 is out of range: 1 to 64");
    refused("parallel = -3;", "f.conf:1: parallel: -3 is out of range: 1 to 64");
    refused("heartbeat_interval = 0.1;",
            "f.conf:1: heartbeat_interval: 0.1 is out of range: 0.2 to 60 seconds");
    refused("hold_max = 1e999;", "f.conf:1: hold_max: inf is out of range: 0 to 3600 seconds");
    refused("helper = \"\";", "f.conf:1: helper: must not be empty");
    refused("helper = \"bin/x\";", "f.conf:1: helper: \"bin/x\" must be an absolute path, beginning with /");
    refused("helper = \"/a\\x1b[2J\";",
            "f.conf:1: helper: holds the byte 0x1b: only printable ASCII is allowed");
    refused("run_dir = \"/"
            "123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890\";",
            "f.conf:1: run_dir: 91 bytes are too long: at most 90");
    refused("order = \"prio\";", "f.conf:1: order: \"prio\" is none of: priority, fcfs, sjf, srtf, rr");
}

/* libconfig takes these without a word. */
static void test_what_libconfig_lets_through(void **state)
{
    (void)state;
    refused("parallel = 4294967297;", "f.conf:1: the number 4294967297 is too large");
    refused("\nparallel = -99999999999999999999;", "f.conf:2: the number 99999999999999999999 is too large");
    refused("parallel = 0x100000001;", "f.conf:1: the number 0x100000001 is too large");
    refused("parallel = 2; /* for now", "f.conf:1: this comment has no end: close it with */");
    refused("  @include \"/etc/shadow\"\n",
            "f.conf:1: @include is not supported: write the parameters into this file");
    refused("log_level = \"info\n@include \\\"/etc/shadow\\\"\n\";",
            "f.conf:2: @include is not supported: write the parameters into this file");
}

static void test_numbers_in_strings_and_comments(void **state)
{
    struct xha_conf conf;
    struct xha_problems problems;

    (void)state;
    assert_int_equal(load("# 99999999999\n// 99999999999\n/* 99999999999 */ helper = \"/x/\\\"99999999999\";",
                          &conf, &problems),
                     XHA_CONF_OK);
    assert_string_equal(conf.helper, "/x/\"99999999999");
    assert_int_equal(conf.origin.line[xha_params_find(&xha_conf_params, "helper") - xha_conf_params.row], 3);
    xha_conf_clear(&conf);
}

static void test_syntax(void **state)
{
    struct xha_conf conf;
    struct xha_problems problems = { 0 };

    (void)state;
    refused("parallel = 2;\nparallel = 3;", "f.conf:2: duplicate setting name");
    refused("a = 1;\nb = = 2;", "f.conf:2: syntax error");
    assert_int_equal(xha_conf_parse("f.conf", "parallel = 2;\0parallel = 3;", 27, &conf, &problems),
                     XHA_CONF_E_BAD);
    assert_string_equal(problems.text[0], "f.conf: holds a NUL byte: no config file");
    xha_problems_clear(&problems);
}

static void test_unknown(void **state)
{
    (void)state;
    refused("paralel = 2;", "f.conf:1: unknown parameter paralel; did you mean parallel?");
    refused("hartbeat_intervall = 2;",
            "f.conf:1: unknown parameter hartbeat_intervall; did you mean heartbeat_interval?");
    refused("colour = 2;", "f.conf:1: unknown parameter colour; xhad.conf(5) lists them all");
    refused("colour: { red = 1; };", "f.conf:1: unknown parameter colour; xhad.conf(5) lists them all");
}

static void test_all_problems_at_once(void **state)
{
    struct xha_conf conf;
    struct xha_problems problems;

    (void)state;
    assert_int_equal(load("parallel = 0;\npraallel = 1;\norder = \"x\";\nhelper = 1;", &conf, &problems),
                     XHA_CONF_E_BAD);
    assert_int_equal(problems.n, 4);
    assert_non_null(strstr(problems.text[3], "f.conf:4:"));
    xha_problems_clear(&problems);
}

static void test_problems_are_bounded(void **state)
{
    struct xha_conf conf;
    struct xha_problems problems;
    char text[4096] = "", line[32];

    (void)state;
    for (int i = 0; i < 150; i++) {
        snprintf(line, sizeof(line), "unknown%d = 1;\n", i);
        strcat(text, line);
    }
    assert_int_equal(load(text, &conf, &problems), XHA_CONF_E_BAD);
    assert_int_equal(problems.n, XHA_PARAMS_PROBLEM_MAX);
    assert_int_equal(problems.more, 50);
    xha_problems_clear(&problems);
}

static void test_relations(void **state)
{
    (void)state;
    refused("max_domains = 3;\nparallel = 4;",
            "f.conf:2: parallel (4) must not be more than max_domains (3)");
    refused("heartbeat_interval = 20;", "f.conf: vanish_grace (10) must not be less than heartbeat_interval "
                                        "(20): a reboot would be taken for "
                                        "a loss before anybody has looked twice");
}

static void test_files(void **state)
{
    struct xha_conf conf;
    struct xha_problems problems = { 0 };

    (void)state;
    assert_int_equal(xha_conf_load("/nonexistent/f.conf", &conf, &problems), XHA_CONF_E_NOFILE);
    assert_string_equal(problems.text[0], "/nonexistent/f.conf: cannot read it: No such file or directory");
    xha_problems_clear(&problems);
    assert_int_equal(xha_conf_load("/dev/zero", &conf, &problems), XHA_CONF_E_NOFILE);
    assert_string_equal(problems.text[0], "/dev/zero: no regular file");
    xha_problems_clear(&problems);
}

/* Every default lies within its own limits: printed and read again, all is as it was. */
static void test_print_reads_back(void **state)
{
    struct xha_conf conf, again;
    struct xha_problems problems = { 0 };
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    assert_int_equal(load("parallel = 7;\nhelper = \"/q\\\"\\\\x\";", &conf, &problems), XHA_CONF_OK);
    xha_conf_print(&conf, true, out);
    fclose(out);
    assert_non_null(strstr(text, "parallel = 7;                                 # f.conf:1\n"));
    assert_non_null(strstr(text, "hold_max = 120;                               # default\n"));
    assert_int_equal(xha_conf_parse("printed", text, len, &again, &problems), XHA_CONF_OK);
    for (size_t i = 0; i < xha_conf_params.n; i++)
        assert_true(xha_param_equal(&xha_conf_params.row[i], &conf, &again));
    xha_conf_clear(&conf);
    xha_conf_clear(&again);
    free(text);
}

static void collect(void *user, const struct xha_param *param, const char *was, const char *is)
{
    char *text = user;

    sprintf(text + strlen(text), "%s%s: %s -> %s\n", param->live ? "" : "!", param->name, was, is);
}

static void test_diff(void **state)
{
    struct xha_conf was, is;
    struct xha_problems problems = { 0 };
    char text[512] = "";

    (void)state;
    assert_int_equal(load("", &was, &problems), XHA_CONF_OK);
    assert_int_equal(load("parallel = 5; max_domains = 10; heartbeat_interval = 0.5;", &is, &problems),
                     XHA_CONF_OK);
    assert_int_equal(xha_params_diff(&xha_conf_params, &was, &is, collect, text), 1);
    assert_string_equal(text, "parallel: 4 -> 5\n!max_domains: 1000 -> 10\nheartbeat_interval: 1 -> 0.5\n");
    xha_conf_clear(&was);
    xha_conf_clear(&is);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_is_default),
        cmocka_unit_test(test_each_type),
        cmocka_unit_test(test_wrong_types),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_what_libconfig_lets_through),
        cmocka_unit_test(test_numbers_in_strings_and_comments),
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_all_problems_at_once),
        cmocka_unit_test(test_problems_are_bounded),
        cmocka_unit_test(test_relations),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_print_reads_back),
        cmocka_unit_test(test_diff),
    };

    return cmocka_run_group_tests_name("conf-parse", tests, NULL, NULL);
}

/*
 * base/policy.c: policies, their groups, and the relations that they must keep.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "xhad/base/policy.h"

#define CONFIG "config = \"/etc/xen/g.cfg\";\n" /* line 1 of every policy */

static int load(const char *text, struct xha_domain_spec *spec, struct xha_problems *problems)
{
    memset(problems, 0, sizeof(*problems));
    return xha_domain_spec_parse("g.conf", text, strlen(text), spec, problems);
}

static void accepted(const char *text, struct xha_domain_spec *spec)
{
    struct xha_problems problems;
    int rc = load(text, spec, &problems);

    xha_problems_print(&problems, stderr);
    assert_int_equal(rc, XHA_CONF_OK);
}

static void refused(const char *text, const char *wanted)
{
    struct xha_domain_spec spec;
    struct xha_problems problems;

    assert_int_equal(load(text, &spec, &problems), XHA_CONF_E_BAD);
    assert_int_equal(problems.n, 1);
    assert_string_equal(problems.text[0], wanted);
    xha_problems_clear(&problems);
}

static void test_defaults(void **state)
{
    struct xha_domain_spec spec;

    (void)state;
    accepted(CONFIG, &spec);
    assert_int_equal(spec.policy.protection, XHA_PROT_RESTART);
    assert_int_equal(spec.policy.heartbeat, XHA_BEAT_AGENT);
    assert_true(spec.policy.autostart);
    assert_int_equal(spec.policy.react[XHA_FAIL_CRASH], XHA_REACT_RECOVER);
    assert_int_equal(spec.policy.react[XHA_FAIL_WATCHDOG], XHA_REACT_RECOVER);
    assert_int_equal(spec.policy.react[XHA_FAIL_HEARTBEAT], XHA_REACT_RECOVER);
    assert_int_equal(spec.policy.react[XHA_FAIL_HANG], XHA_REACT_RECOVER);
    assert_int_equal(spec.policy.react[XHA_FAIL_REBOOT], XHA_REACT_RECOVER);
    assert_int_equal(spec.policy.react[XHA_FAIL_START], XHA_REACT_RECOVER);
    /* rule 5: a stop that somebody asked for is no failure */
    assert_int_equal(spec.policy.react[XHA_FAIL_POWEROFF], XHA_REACT_RESPECT);
    assert_int_equal(spec.policy.react[XHA_FAIL_DESTROYED], XHA_REACT_RESPECT);
    assert_int_equal(spec.policy.heartbeat_timeout.ms, 10000);
    assert_int_equal(spec.policy.backoff_max.ms, 300000);
    assert_string_equal(spec.config, "/etc/xen/g.cfg");
    assert_string_equal(spec.domain, "");
    assert_string_equal(spec.sched.affinity, "all");
    assert_int_equal(spec.sched.weight, 256);
    xha_domain_spec_clear(&spec);
}

/* Each failure has its reaction under its own name. */
static void test_reactions(void **state)
{
    static const struct {
        const char *name;
        enum xha_failure failure;
    } cases[] = {
        { "on_crash", XHA_FAIL_CRASH },       { "on_watchdog", XHA_FAIL_WATCHDOG },
        { "on_hang", XHA_FAIL_HANG },         { "on_heartbeat_lost", XHA_FAIL_HEARTBEAT },
        { "on_poweroff", XHA_FAIL_POWEROFF }, { "on_reboot", XHA_FAIL_REBOOT },
        { "on_destroy", XHA_FAIL_DESTROYED }, { "on_start_failed", XHA_FAIL_START },
        { "on_host_lost", XHA_FAIL_HOST },
    };
    struct xha_domain_spec spec;
    char text[128];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(text, sizeof(text), CONFIG "%s = \"stop\";", cases[i].name);
        accepted(text, &spec);
        for (int f = 1; f < XHA_FAIL_N_; f++)
            assert_int_equal(spec.policy.react[f] == XHA_REACT_STOP, f == (int)cases[i].failure);
        xha_domain_spec_clear(&spec);
    }
}

static void test_groups(void **state)
{
    struct xha_domain_spec spec;

    (void)state;
    accepted(CONFIG
             "protection = \"checkpoint\";\n"
             "checkpoint: { interval = 0.5; keep = 9; keep_age = 60; compress = \"none\"; level = 19; };\n"
             "sched = { weight = 1; cap = 250; affinity = \"0-3,^2\"; pool = \"fast\"; };",
             &spec);
    assert_int_equal(spec.policy.checkpoint_interval.ms, 500);
    assert_int_equal(spec.checkpoint.keep, 9);
    assert_int_equal(spec.checkpoint.keep_age.ms, 60000);
    assert_int_equal(spec.checkpoint.compress, XHA_COMPRESS_NONE);
    assert_int_equal(spec.checkpoint.level, 19);
    assert_int_equal(spec.sched.weight, 1);
    assert_int_equal(spec.sched.cap, 250);
    assert_string_equal(spec.sched.affinity, "0-3,^2");
    assert_string_equal(spec.sched.pool, "fast");
    xha_domain_spec_clear(&spec);
}

static void test_group_mistakes(void **state)
{
    (void)state;
    refused(CONFIG "sched = 4;", "g.conf:2: sched: must be a group: sched: { ... };");
    refused(CONFIG "sched: {\n wieght = 4; };",
            "g.conf:3: unknown parameter sched.wieght; did you mean sched.weight?");
    refused(CONFIG "weight = 4;", "g.conf:2: unknown parameter weight; did you mean sched.weight?");
    refused(CONFIG "shed: { weight = 4; };", "g.conf:2: unknown parameter shed; did you mean sched.weight?");
    refused(CONFIG "sched: { cap: { x = 1; }; };",
            "g.conf:2: sched.cap: must be a whole number, not a group");
    refused(CONFIG "sched: { colour: { x = 1; }; };",
            "g.conf:2: unknown parameter sched.colour; xha-domain(5) lists them all");
}

static void test_source(void **state)
{
    (void)state;
    refused("priority = 1;",
            "g.conf: names no domain: give config = \"/etc/xen/NAME.cfg\" or domain = \"NAME\" "
            "of a running one");
    refused(CONFIG "domain = \"g\";", "g.conf:2: config and domain: give one of them, not both");
    refused("domain = \"Domain-0\";",
            "g.conf:1: domain: Domain-0 is the host itself and cannot be protected");
    refused("domain = \"a/b\";", "g.conf:1: domain: a domain's name has no /");
}

static void test_relations(void **state)
{
    (void)state;
    refused(CONFIG "backoff_min = 400;",
            "g.conf:2: backoff_min (400) must not be more than backoff_max (300)");
    refused(CONFIG "restart_window = 60.5;", "g.conf:2: restart_window (60.5) must not be less than "
                                             "backoff_max (300): max_restarts would never be "
                                             "reached");
    refused(CONFIG "checkpoint: { keep = 4; };",
            "g.conf:2: checkpoint.keep has no effect: it needs protection = \"checkpoint\"");
    refused(CONFIG "replication: { silence = 1; };",
            "g.conf:2: replication.silence has no effect: it needs protection = \"replicate\"");
    refused(CONFIG "protection = \"replicate\";\nreplication: { interval_min = 0.6; };",
            "g.conf:3: replication.interval_min (0.6) must not be more than replication.interval_max (0.5)");
    refused(CONFIG "protection = \"replicate\"; relocate = false;",
            "g.conf:2: relocate = false: a replicated domain takes over on another host");
    refused(CONFIG "protection = \"replicate\"; on_host_lost = \"alarm\";",
            "g.conf:2: on_host_lost: when the host of a replicated domain is lost, its copy takes over; it "
            "can only "
            "be \"recover\"");
    refused(
        CONFIG "protection = \"replicate\"; storage = \"copy\";",
        "g.conf:2: storage = \"copy\": the disks of a replicated domain must be reached by both hosts, or be "
        "replicated, too (replication.disks = \"gated\")");
    refused(CONFIG "disks = \"unsafe\"; snapshot_command = \"/bin/snap\";",
            "g.conf:2: disks = \"unsafe\" and snapshot_command: give one of them, not both");
    refused(CONFIG "sched: { affinity = \"most\"; };",
            "g.conf:2: sched.affinity: \"most\" is no list of CPUs: all, or such as 0-3,^2");
}

static void test_all_relations_at_once(void **state)
{
    struct xha_domain_spec spec;
    struct xha_problems problems;

    (void)state;
    assert_int_equal(load("backoff_min = 400;\ncheckpoint: { keep = 4; level = 3; };", &spec, &problems),
                     XHA_CONF_E_BAD);
    assert_int_equal(problems.n, 4);
    xha_problems_clear(&problems);
}

static void test_against_conf(void **state)
{
    struct xha_domain_spec spec;
    struct xha_problems problems = { 0 };
    struct xha_conf conf;

    (void)state;
    assert_int_equal(xha_conf_default(&conf), XHA_CONF_OK);
    accepted(CONFIG "heartbeat_timeout = 2;", &spec);
    assert_int_equal(xha_domain_spec_check(&spec, &conf, &problems), XHA_CONF_OK);
    conf.settings.round_interval.ms = 1001;
    assert_int_equal(xha_domain_spec_check(&spec, &conf, &problems), XHA_CONF_E_BAD);
    assert_string_equal(problems.text[0],
                        "g.conf:2: heartbeat_timeout (2) must be at least twice "
                        "heartbeat_interval of xhad.conf (1.001): one slow look would make the "
                        "domain suspect");
    spec.policy.heartbeat = XHA_BEAT_NONE;
    assert_int_equal(xha_domain_spec_check(&spec, &conf, &problems), XHA_CONF_OK);
    xha_problems_clear(&problems);
    xha_domain_spec_clear(&spec);
    xha_conf_clear(&conf);
}

static char *print(const struct xha_domain_spec *spec)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    xha_domain_spec_print(spec, false, out);
    fclose(out);
    return text;
}

static void test_monitor_only_alarms(void **state)
{
    struct xha_domain_spec spec;
    char *text;

    (void)state;
    accepted(CONFIG "protection = \"monitor\";\non_crash = \"recover\";", &spec);
    for (int f = 1; f < XHA_FAIL_N_; f++)
        assert_int_equal(spec.policy.react[f], XHA_REACT_ALARM);
    text = print(&spec);
    assert_non_null(strstr(text, "on_crash = \"alarm\";                           # protection = monitor\n"));
    free(text);
    xha_domain_spec_clear(&spec);
}

/* Every default lies within its own limits: printed and read again, all is as it was. */
static void test_print_reads_back(void **state)
{
    struct xha_domain_spec spec, again;
    char *text;

    (void)state;
    accepted(CONFIG "sched: {\n pool = \"p\"; };", &spec);
    text = print(&spec);
    assert_non_null(strstr(text, "sched: {\n    weight = 256;                             # default\n"));
    assert_non_null(strstr(text, "    pool = \"p\";                               # g.conf:3\n};\n"));
    accepted(text, &again);
    for (size_t i = 0; i < xha_domain_params.n; i++)
        assert_true(xha_param_equal(&xha_domain_params.row[i], &spec, &again));
    xha_domain_spec_clear(&spec);
    xha_domain_spec_clear(&again);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_reactions),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_group_mistakes),
        cmocka_unit_test(test_source),
        cmocka_unit_test(test_relations),
        cmocka_unit_test(test_all_relations_at_once),
        cmocka_unit_test(test_against_conf),
        cmocka_unit_test(test_monitor_only_alarms),
        cmocka_unit_test(test_print_reads_back),
    };

    return cmocka_run_group_tests_name("conf-policy", tests, NULL, NULL);
}

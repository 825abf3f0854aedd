/*
 * xl-plugins/corosync_conf.c: corosync.conf as it is written, read and changed. That corosync itself takes what is
 * written is for xl-ha-cluster.sh.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xhad/base/cleanup.h"
#include "xl-plugins/corosync_conf.h"

static char why[XLHA_COROSYNC_WHY_MAX];

static void make(struct xlha_corosync *c, size_t n, int links)
{
    char spec[64];

    *c = (struct xlha_corosync){ .version = 7 };
    assert_int_equal(xlha_corosync_set_name(c, "shop", why), 0);
    for (size_t i = 1; i <= n; i++) {
        snprintf(spec, sizeof(spec), links == 2 ? "h%zu=10.0.0.%zu,10.1.0.%zu" : "h%zu=10.0.0.%zu", i, i, i);
        assert_int_equal(xlha_corosync_add(c, spec, why), 0);
    }
}

static char *text_of(const struct xlha_corosync *c)
{
    struct xha_timing_wish wish;
    struct xha_timing timing;
    char *text;

    xha_timing_defaults(&wish);
    xha_timing_make(&wish, &timing);
    text = xlha_corosync_text(c, &timing);
    assert_non_null(text);
    return text;
}

/* What is written is read again as it was. */
static void written_and_read(void **state)
{
    (void)state;
    for (size_t n = 2; n <= XLHA_COROSYNC_HOSTS_MAX; n += 31) {
        XHA_CLEANUP_FREE char *text = NULL;
        struct xlha_corosync c, back;

        make(&c, n, 2);
        text = text_of(&c);
        assert_int_equal(xlha_corosync_parse(text, &back, why), 0);
        assert_string_equal(back.name, "shop");
        assert_int_equal(back.version, 7);
        assert_int_equal(back.two_node, n == 2);
        assert_int_equal(back.n, n);
        assert_memory_equal(back.host, c.host, sizeof(c.host));
    }
}

static void a_qdevice_needs_no_two_node(void **state)
{
    XHA_CLEANUP_FREE char *text = NULL;
    struct xlha_corosync c, back;

    (void)state;
    make(&c, 2, 1);
    assert_int_equal(xlha_corosync_set_qdevice(&c, "tie.example", why), 0);
    text = text_of(&c);
    assert_int_equal(xlha_corosync_parse(text, &back, why), 0);
    assert_string_equal(back.qdevice, "tie.example");
    assert_false(back.two_node);
}

static void hosts_that_are_refused(void **state)
{
    static const struct {
        const char *spec, *says;
    } bad[] = {
        { "h9", "NAME=ADDRESS" },
        { "=10.0.0.9", "NAME=ADDRESS" },
        { "h9=", "NAME=ADDRESS" },
        { "h9=10.0.0.9,", "NAME=ADDRESS" },
        { "h 9=10.0.0.9,10.1.0.9", "NAME=ADDRESS" },
        { "-h=10.0.0.9,10.1.0.9", "NAME=ADDRESS" },
        { "h9=10.0.0.9,10.1.0.9,10.2.0.9", "NAME=ADDRESS" },
        { "h9=10.0.0.9,10.1.0.9\n}", "NAME=ADDRESS" },
        { "h9=10.0.0.9", "give all hosts two addresses" },
        { "h1=10.0.0.9,10.1.0.9", "of this name" },
        { "h9=10.0.0.9,10.0.0.1", "the address of h1" },
        { "h9=10.1.0.2,10.0.0.9", "the address of h2" },
        { "h9=10.0.0.9,10.0.0.9", "its other link" },
    };
    struct xlha_corosync c;

    (void)state;
    make(&c, 2, 2);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(xlha_corosync_add(&c, bad[i].spec, why), -1);
        if (!strstr(why, bad[i].says))
            fail_msg("%s: %s", bad[i].spec, why);
    }
    assert_int_equal(c.n, 2);
    make(&c, XLHA_COROSYNC_HOSTS_MAX, 1);
    assert_int_equal(xlha_corosync_add(&c, "one-more=10.9.0.1", why), -1);
    assert_non_null(strstr(why, "at most 64"));
    assert_int_equal(xlha_corosync_set_name(&c, "", why), -1);
    assert_int_equal(xlha_corosync_set_name(&c, "a cluster", why), -1);
    assert_int_equal(xlha_corosync_set_name(&c, "longer-than-fifteen", why), -1);
    assert_int_equal(xlha_corosync_set_qdevice(&c, "a b", why), -1);
}

static void a_free_nodeid_is_used_again(void **state)
{
    XHA_CLEANUP_FREE char *text = NULL, *less = NULL, *more = NULL;
    struct xlha_corosync c, back;

    (void)state;
    make(&c, 4, 1);
    text = text_of(&c);
    less = xlha_corosync_without(text, &c, 2);
    assert_int_equal(xlha_corosync_parse(less, &back, why), 0);
    assert_int_equal(back.n, 3);
    assert_int_equal(back.version, 8);
    assert_null(xlha_corosync_find(&back, "h2"));
    assert_int_equal(xlha_corosync_add(&back, "new=10.0.0.9", why), 0);
    assert_int_equal(back.host[3].nodeid, 2);
    more = xlha_corosync_with(less, &back);
    assert_int_equal(xlha_corosync_parse(more, &c, why), 0);
    assert_int_equal(c.n, 4);
    assert_int_equal(c.version, 9);
    assert_int_equal(xlha_corosync_find(&c, "new")->nodeid, 2);
}

/* From two to three and back: the same but for the version. */
static void two_node_comes_and_goes(void **state)
{
    XHA_CLEANUP_FREE char *two = NULL, *three = NULL, *again = NULL;
    struct xlha_corosync c, back;
    char *version;

    (void)state;
    make(&c, 2, 2);
    two = text_of(&c);
    assert_int_equal(xlha_corosync_parse(two, &c, why), 0);
    assert_int_equal(xlha_corosync_add(&c, "h3=10.0.0.3,10.1.0.3", why), 0);
    three = xlha_corosync_with(two, &c);
    assert_null(strstr(three, "two_node"));
    assert_null(strstr(three, "wait_for_all"));
    assert_int_equal(xlha_corosync_parse(three, &back, why), 0);
    again = xlha_corosync_without(three, &back, 3);
    version = strstr(again, "config_version: 9");
    assert_non_null(version);
    version[strlen("config_version: ")] = '7';
    assert_string_equal(again, two);
}

/* Lines that we know nothing of stay as they are. */
static void tuned_by_hand(void **state)
{
    static const char text[] =
        "totem {\n\tversion: 2\n  cluster_name:x\n  token: 5000 \n}\n"
        "quorum {\n  # ours\n  provider: corosync_votequorum\n  wait_for_all: 1\n}\n"
        "nodelist {\n  node {\n    nodeid: 3\n    ring0_addr: a.example\n    quorum_votes: 2\n"
        "  }\n  node {\n    ring0_addr: b.example\n    name: b\n    nodeid: 5\n  }\n}\n"
        "resources {\n  watchdog_device: off\n}";
    XHA_CLEANUP_FREE char *more = NULL;
    struct xlha_corosync c;

    (void)state;
    assert_int_equal(xlha_corosync_parse(text, &c, why), 0);
    assert_int_equal(c.n, 2);
    assert_string_equal(c.host[0].name, "a.example");
    assert_int_equal(c.version, 0);
    assert_int_equal(xlha_corosync_add(&c, "c=c.example", why), 0);
    assert_int_equal(c.host[2].nodeid, 1);
    more = xlha_corosync_with(text, &c);
    assert_string_equal(
        more, "totem {\n\tversion: 2\n  cluster_name:x\n  token: 5000 \n    config_version: 1\n}\n"
              "quorum {\n  # ours\n  provider: corosync_votequorum\n  wait_for_all: 1\n}\n"
              "nodelist {\n  node {\n    nodeid: 3\n    ring0_addr: a.example\n    quorum_votes: 2\n"
              "  }\n  node {\n    ring0_addr: b.example\n    name: b\n    nodeid: 5\n  }\n"
              "    node {\n        name: c\n        nodeid: 1\n        ring0_addr: c.example\n    }\n"
              "}\n"
              "resources {\n  watchdog_device: off\n}");
}

static void files_that_are_refused(void **state)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        { "", "no nodelist" },
        { "totem {\n version: 2\n}\n", "no nodelist" },
        { "nodelist {\n node {\n  name: a\n }\n}\n", "'a' has no nodeid" },
        { "nodelist {\n node {\n  name: a\n  nodeid: 65\n }\n}\n", "from 1 to 64" },
        { "nodelist {\n node {\n  name: a\n  nodeid: -1\n }\n}\n", "from 1 to 64" },
        { "}}}}\n}\n{{{{{{{{{{{{\n{\n{\n{\n{\n{\n{\n{\n{\n{\n{\n", "no nodelist" },
    };
    struct xlha_corosync c;
    char many[70 * 20 + 20] = "nodelist {\n";

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(xlha_corosync_parse(bad[i].text, &c, why), -1);
        if (!strstr(why, bad[i].says))
            fail_msg("%s: %s", bad[i].text, why);
    }
    for (int i = 0; i < 70; i++)
        strcat(many, "node {\n}\n");
    assert_int_equal(xlha_corosync_parse(many, &c, why), -1);
    assert_non_null(strstr(why, "more than 64"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_and_read),        cmocka_unit_test(a_qdevice_needs_no_two_node),
        cmocka_unit_test(hosts_that_are_refused),  cmocka_unit_test(a_free_nodeid_is_used_again),
        cmocka_unit_test(two_node_comes_and_goes), cmocka_unit_test(tuned_by_hand),
        cmocka_unit_test(files_that_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

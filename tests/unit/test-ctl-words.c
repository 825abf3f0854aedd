/*
 * What people and programs say to xhad and hear from it: base/log.c, ctl/lines.c, ctl/request.c,
 * ctl/alarm_limit.c, ctl/history.c.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "xhad/base/cleanup.h"
#include "xhad/base/log.h"
#include "xhad/ctl/alarm.h"
#include "xhad/ctl/history.h"
#include "xhad/ctl/lines.h"
#include "xhad/ctl/request.h"

/* ---- the log ---- */

static void test_log(void **state)
{
    char line[XHA_LOG_LINE_MAX], small[40];
    const struct xha_log_field fields[] = {
        XHA_S("domain", "g1"),       XHA_I("domid", -1),    XHA_U("id", UINT64_MAX),
        XHA_S("text", "a \"b\"\\c"), XHA_S("absent", NULL), XHA_S("hostile", "x\nlevel=error\x1b\xff"),
        XHA_S("empty", ""),
    };
    size_t n = sizeof(fields) / sizeof(fields[0]);

    (void)state;
    xha_log_format(line, sizeof(line), XHA_LOG_WARNING, "worker ended", fields, n);
    assert_string_equal(line, "level=warning msg=\"worker ended\" domain=g1 domid=-1 id=18446744073709551615 "
                              "text=\"a \\\"b\\\"\\\\c\" hostile=\"x\\x0alevel=error\\x1b\\xff\" empty=\"\"");
    /* What does not fit is left out as a whole. */
    n = xha_log_format(small, sizeof(small), XHA_LOG_INFO, "hello", fields, n);
    assert_string_equal(small, "level=info msg=hello domain=g1 domid=-1");
    assert_int_equal(n, strlen(small));
}

/* ---- lines ------------------------------------------------------------------------------------------------
 */

static char lines_seen[200];

static void on_line(void *user, const char *line, size_t len)
{
    size_t at = strlen(lines_seen);

    (void)user;
    snprintf(lines_seen + at, sizeof(lines_seen) - at, "[%.*s]", (int)len, line ? line : "");
}

static void test_lines(void **state)
{
    struct xha_lines lines = { 0 };

    (void)state;
    lines_seen[0] = '\0';
    assert_true(xha_lines_feed(&lines, "\nab", 3, 8, on_line, NULL));
    assert_true(xha_lines_feed(&lines, "c\nde\nf", 6, 8, on_line, NULL));
    assert_false(xha_lines_feed(&lines, "12345678", 8, 8, on_line, NULL)); /* f and these are too many */
    assert_true(xha_lines_feed(&lines, "more\nok\n", 8, 8, on_line, NULL));
    assert_string_equal(lines_seen, "[][abc][de][ok]");
    xha_lines_clear(&lines);
}

/* ---- requests ---- */

static const char *parse(const char *line)
{
    struct xha_control_request request;
    const char *code;
    char text[300];

    if (xha_request_parse(line, strlen(line), &request, &code, text, sizeof(text)) < 0)
        return code;
    xha_request_clear(&request);
    return "ok";
}

static void test_request(void **state)
{
    (void)state;
    assert_string_equal(parse("{\"v\":1,\"cmd\":\"list\"}"), "ok");
    assert_string_equal(parse("{\"v\":1,\"cmd\":\"list\",\"args\":{\"a\":\"{[[[[[[[[[[\"}}"), "ok");
    assert_string_equal(parse("{\"v\":2,\"cmd\":\"list\"}"), "version");
    assert_string_equal(parse("{\"cmd\":\"list\"}"), "version");
    assert_string_equal(parse("{\"v\":1}"), "bad-request");
    assert_string_equal(parse("{\"v\":1,\"cmd\":5}"), "bad-request");
    assert_string_equal(parse("{\"v\":1,\"cmd\":\"list\",\"args\":[]}"), "bad-request");
    assert_string_equal(parse("[]"), "bad-request");
    assert_string_equal(parse(""), "bad-request");
    assert_string_equal(parse("\xff\xfe"), "bad-request");
    assert_string_equal(parse("{\"v\":1,\"v\":1,\"cmd\":\"list\"}"), "bad-request");
    assert_string_equal(parse("{\"v\":1,\"cmd\":\"list\",\"args\":{\"a\":[[[[[[[[[]]]]]]]]]}}"),
                        "bad-request");
}

static void test_request_args(void **state)
{
    static const char line[] =
        "{\"v\":1,\"cmd\":\"x\",\"wait\":true,\"args\":{\"s\":\"four\",\"n\":7,\"b\":true,\"z\":null}}";
    struct xha_control_request r;
    const char *code;
    char text[300], s[5] = "-", cut[4] = "-";
    json_int_t n = 1;
    bool b = false;

    (void)state;
    assert_int_equal(xha_request_parse(line, strlen(line), &r, &code, text, sizeof(text)), 0);
    assert_true(r.wait);
    assert_false(r.dry_run);
    assert_true(xha_request_text(&r, "s", s, sizeof(s)));
    assert_string_equal(s, "four");
    assert_false(xha_request_text(&r, "s", cut, sizeof(cut)));
    assert_false(xha_request_text(&r, "n", s, sizeof(s)));
    assert_true(xha_request_int(&r, "n", 0, 7, &n));
    assert_int_equal(n, 7);
    assert_false(xha_request_int(&r, "n", 0, 6, &n));
    assert_false(xha_request_int(&r, "s", 0, 6, &n));
    assert_true(xha_request_bool(&r, "b", &b));
    assert_true(b);
    assert_false(xha_request_bool(&r, "n", &b));
    assert_true(xha_request_int(&r, "z", 0, 6, &n));
    assert_true(xha_request_text(&r, "missing", s, sizeof(s)));
    xha_request_clear(&r);
}

/* ---- the limit of alarms ---- */

static struct xha_alarm alarm_of(const char *kind, uint8_t n, const char *text)
{
    struct xha_alarm alarm = { .uuid = { { n } } };

    snprintf(alarm.kind, sizeof(alarm.kind), "%s", kind);
    snprintf(alarm.text, sizeof(alarm.text), "%s", text);
    return alarm;
}

static void test_alarm_limit(void **state)
{
    static struct xha_alarm_limit limit;
    struct xha_alarm a = alarm_of("failure", 1, "first"), other = alarm_of("failure", 2, "other"), out;

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_true(xha_alarm_limit_take(&limit, &a, 3, 1000 + i));
    assert_false(xha_alarm_limit_take(&limit, &a, 3, 1010));
    strcpy(a.text, "last");
    assert_false(xha_alarm_limit_take(&limit, &a, 3, 1020));
    assert_true(xha_alarm_limit_take(&limit, &other, 3, 1030)); /* another domain has its own */
    strcpy(a.kind, "limit");
    assert_true(xha_alarm_limit_take(&limit, &a, 3, 1040)); /* another kind, too */
    assert_false(xha_alarm_limit_summary(&limit, 60999, &out));
    assert_true(xha_alarm_limit_summary(&limit, 61000, &out));
    assert_string_equal(out.text, "2 suppressed within a minute, the last: last");
    assert_false(xha_alarm_limit_summary(&limit, 61000, &out));
    strcpy(a.kind, "failure");
    assert_true(xha_alarm_limit_take(&limit, &a, 3, 61001)); /* a new minute */
}

static void test_alarm_limit_is_bounded(void **state)
{
    static struct xha_alarm_limit limit;

    (void)state;
    for (int i = 0; i < 3 * XHA_ALARM_KEYS; i++) {
        char kind[20];
        struct xha_alarm a;

        snprintf(kind, sizeof(kind), "kind-%d", i);
        a = alarm_of(kind, 1, "x");
        assert_true(xha_alarm_limit_take(&limit, &a, 1, 1000));
    }
    assert_int_equal(limit.n, XHA_ALARM_KEYS);
}

/* ---- the history ---- */

static char dir[] = "/tmp/test-ctl-words.XXXXXX";

static int enter(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int leave(void **state)
{
    char path[100];

    (void)state;
    snprintf(path, sizeof(path), "%s/history", dir);
    unlink(path);
    strcat(path, ".1");
    unlink(path);
    return rmdir(dir);
}

static const char *text_of(const json_t *list, size_t i)
{
    return json_string_value(json_object_get(json_array_get(list, i), "text"));
}

static void test_history(void **state)
{
    struct xha_uuid one = { { 1 } }, two = { { 2 } };
    struct xha_history *h;
    char err[300], text[600], path[100];
    struct stat st;
    json_t *list;

    (void)state;
    assert_int_equal(xha_history_open(dir, 1, &h, err, sizeof(err)), 0);
    xha_history_text(h, "xhad", &one, "g1", "one");
    xha_history_text(h, "xhad", &two, "g2", "two");
    xha_history_text(h, "xhad", &one, "g1", "not UTF-8: \xff");
    list = xha_history_tail(h, &one, 10);
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(text_of(list, 0), "one");
    assert_string_equal(text_of(list, 1), "(not printable)");
    json_decref(list);
    list = xha_history_tail(h, NULL, 2);
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(text_of(list, 0), "two");
    json_decref(list);

    /* It stays within its limit, and the newest are always there, also when they lie in the older file. */
    for (int i = 0; i < 5000; i++) {
        snprintf(text, sizeof(text), "%0500d", i);
        xha_history_text(h, "xhad", &two, "g2", text);
    }
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/history%s", dir, i ? ".1" : "");
        assert_int_equal(stat(path, &st), 0);
        assert_true(st.st_size <= 512 * 1024);
    }
    list = xha_history_tail(h, &two, 1000);
    assert_true(json_array_size(list) > 600);
    assert_int_equal(strtol(text_of(list, json_array_size(list) - 1), NULL, 10), 4999);
    json_decref(list);
    xha_history_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_request_args),
        cmocka_unit_test(test_alarm_limit),
        cmocka_unit_test(test_alarm_limit_is_bounded),
        cmocka_unit_test_setup_teardown(test_history, enter, leave),
    };

    return cmocka_run_group_tests_name("ctl-words", tests, NULL, NULL);
}

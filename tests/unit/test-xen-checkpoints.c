/*
 * xhad/xen/checkpoints.c: a directory of checkpoints, whole ones, damaged ones and what killed workers leave.
 */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "xhad/base/file.h"
#include "xhad/xen/checkpoints.h"

static char dir[64];

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/xha-unit-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[80];

    (void)state;
    snprintf(command, sizeof(command), "rm -r %s", dir);
    return system(command);
}

static void put(const char *name, const char *text)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(xha_file_write(path, 0600, text, strlen(text)), 0);
}

static bool there(const char *name)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

/* A checkpoint with this content. */
static struct xha_ckpt make(uint64_t number, const char *content)
{
    struct xha_ckpt c = {
        .number = number,
        .time_ms = (int64_t)number * 1000,
        .bytes = strlen(content),
        .name = "g1",
        .uuid = { { 1 } },
        .pause_ms = 12,
        .live = true,
        .zstd = number % 2,
        .snapshot = true,
        .xen_version = "4.17.3",
        .config_sum = "00000000000000000000000000000000",
        .stream_bytes = 99,
    };
    char name[64];

    xha_ckpt_sum_bytes(content, strlen(content), c.sum);
    snprintf(name, sizeof(name), "%d.xlsave%s", (int)number, c.zstd ? ".zst" : "");
    put(name, content);
    assert_int_equal(xha_ckpt_commit(dir, &c), 0);
    return c;
}

static void test_manifest_keeps_everything(void **state)
{
    const struct xha_ckpt c = make(7, "content");
    struct xha_ckpt *list;
    size_t n;

    (void)state;
    assert_int_equal(xha_ckpt_list(dir, &list, &n), 0);
    assert_int_equal(n, 1);
    assert_int_equal(list->number, 7);
    assert_false(list->torn);
    assert_int_equal(list->time_ms, c.time_ms);
    assert_int_equal(list->bytes, c.bytes);
    assert_int_equal(list->stream_bytes, 99);
    assert_true(list->zstd && list->live && list->snapshot && !list->imported);
    assert_int_equal(list->pause_ms, 12);
    assert_string_equal(list->sum, c.sum);
    assert_string_equal(list->config_sum, c.config_sum);
    assert_string_equal(list->name, "g1");
    assert_string_equal(list->xen_version, "4.17.3");
    assert_memory_equal(&list->uuid, &c.uuid, sizeof(c.uuid));
    free(list);
}

static void test_list_is_newest_first(void **state)
{
    struct xha_ckpt *list;
    size_t n;

    (void)state;
    make(2, "b");
    make(10, "c");
    make(1, "a");
    put("notes.json", "{}");
    put("010.json", "{}");
    put("5.json.bak", "{}");
    put("11.json", "{ torn");
    put("99999999999999999999999.json", "{}");
    assert_int_equal(xha_ckpt_list(dir, &list, &n), 0);
    assert_int_equal(n, 4);
    assert_int_equal(list[0].number, 11);
    assert_true(list[0].torn);
    assert_int_equal(list[1].number, 10);
    assert_int_equal(list[2].number, 2);
    assert_int_equal(list[3].number, 1);
    free(list);
}

static void test_no_directory_is_empty(void **state)
{
    struct xha_ckpt *list;
    size_t n = 9;

    (void)state;
    assert_int_equal(xha_ckpt_list("/tmp/xha-unit-there-is-none", &list, &n), 0);
    assert_int_equal(n, 0);
    assert_null(list);
}

/* A manifest under another's number must not vouch for its file. */
static void test_manifest_of_another_number_is_torn(void **state)
{
    struct xha_ckpt *list;
    char from[128], to[128];
    size_t n;

    (void)state;
    make(4, "x");
    snprintf(from, sizeof(from), "%s/4.json", dir);
    snprintf(to, sizeof(to), "%s/6.json", dir);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(xha_ckpt_list(dir, &list, &n), 0);
    assert_int_equal(n, 1);
    assert_true(list->torn);
    free(list);
}

static void test_manifest_fields_are_checked(void **state)
{
    static const char *const spoil[][2] = {
        { "compress", "\"gzip\"" },
        { "uuid", "\"no\"" },
        { "bytes", "-1" },
        { "bytes", "\"9\"" },
        { "v", "2" },
        { "xxh3_128", "\""
                      "0123456789012345678901234567890123456789"
                      "\"" },
        { "name", "7" },
        { "number", "null" },
    };
    const struct xha_ckpt c = make(3, "x");
    struct xha_ckpt back;

    (void)state;
    for (size_t i = 0; i < sizeof(spoil) / sizeof(*spoil); i++) {
        json_t *json = xha_ckpt_to_json(&c);

        assert_int_equal(xha_ckpt_from_json(json, &back), 0);
        json_object_set_new(json, spoil[i][0], json_loads(spoil[i][1], JSON_DECODE_ANY, NULL));
        assert_int_equal(xha_ckpt_from_json(json, &back), -1);
        json_decref(json);
    }
    assert_int_equal(xha_ckpt_from_json(NULL, &back), -1);
}

static void test_verify(void **state)
{
    struct xha_ckpt c = make(4, "the content");
    char err[200];

    (void)state;
    assert_int_equal(xha_ckpt_verify(dir, &c, err, sizeof(err)), 0);
    put("4.xlsave", "the c0ntent");
    assert_int_equal(xha_ckpt_verify(dir, &c, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "checksum"));
    put("4.xlsave", "the conten");
    assert_int_equal(xha_ckpt_verify(dir, &c, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "10 bytes, not 11"));
    c.number = 6;
    assert_int_equal(xha_ckpt_verify(dir, &c, err, sizeof(err)), -1);
    c.torn = true;
    assert_int_equal(xha_ckpt_verify(dir, &c, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "manifest"));
}

static void test_clean(void **state)
{
    (void)state;
    make(2, "b");
    make(3, "c");
    put("3.json.tmp", "x");
    put("4.xlsave.tmp", "x");
    put("5.xlsave.zst.tmp", "x");
    put("6.xlsave", "x");
    put("7.xlsave.zst", "x");
    put("readme", "x");
    put("8.xlsave.mine", "x");
    assert_int_equal(xha_ckpt_clean(dir), 8);
    assert_true(there("2.xlsave") && there("2.json") && there("3.xlsave.zst") && there("3.json"));
    assert_true(there("readme") && there("8.xlsave.mine"));
    assert_false(there("3.json.tmp") || there("4.xlsave.tmp") || there("5.xlsave.zst.tmp"));
    assert_false(there("6.xlsave") || there("7.xlsave.zst"));
}

static void test_remove(void **state)
{
    const struct xha_ckpt c = make(3, "c"), torn = { .number = 2, .torn = true };

    (void)state;
    make(2, "b");
    assert_int_equal(xha_ckpt_remove(dir, &c), 0);
    assert_false(there("3.json") || there("3.xlsave.zst"));
    assert_int_equal(xha_ckpt_remove(dir, &torn), 0);
    assert_false(there("2.json") || there("2.xlsave"));
    assert_int_equal(xha_ckpt_remove(dir, &c), 0);
}

/* The list as a string: what stays is '#', what is dropped '.', newest first. "t" in ages is a torn one. */
static void check_choice(const char *ages_s, uint32_t keep, uint32_t keep_age_s, const char *want)
{
    struct xha_ckpt list[16] = { 0 };
    bool drop[16];
    char got[17] = "";
    size_t n = strlen(ages_s);

    for (size_t i = 0; i < n; i++) {
        list[i].number = 100 - i;
        list[i].torn = ages_s[i] == 't';
        list[i].time_ms = 1000000 - (ages_s[i] - '0') * 1000;
    }
    xha_ckpt_choose(list, n, keep, keep_age_s, 1000000, drop);
    for (size_t i = 0; i < n; i++)
        got[i] = drop[i] ? '.' : '#';
    assert_string_equal(got, want);
}

static void test_choice(void **state)
{
    (void)state;
    check_choice("", 3, 0, "");
    check_choice("01234", 3, 0, "###..");
    check_choice("01", 3, 0, "##");
    check_choice("01234", 0, 0, "#####");
    check_choice("01234", 0, 2, "###..");
    check_choice("01234", 2, 3, "##...");
    check_choice("01234", 4, 1, "##...");
    check_choice("678", 3, 5, "#.."); /* all too old: the newest stays */
    check_choice("0123", 1, 0, "#...");
    check_choice("t012", 2, 0, ".##."); /* a torn one does not count, and does not stay */
    check_choice("tt9", 1, 1, "..#");
    check_choice("tt", 3, 0, "..");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_manifest_keeps_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(test_list_is_newest_first, setup, teardown),
        cmocka_unit_test(test_no_directory_is_empty),
        cmocka_unit_test_setup_teardown(test_manifest_of_another_number_is_torn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_manifest_fields_are_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_verify, setup, teardown),
        cmocka_unit_test_setup_teardown(test_clean, setup, teardown),
        cmocka_unit_test_setup_teardown(test_remove, setup, teardown),
        cmocka_unit_test(test_choice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

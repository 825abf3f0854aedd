/*
 * xhad/xen: the parts that only compute. Affinity lists, tracked domains, header of save files, I/O counters,
 * dom0's size, summaries of configurations.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "xhad/base/file.h"
#include "xhad/xen/affinity.h"
#include "xhad/xen/io_count.h"
#include "xhad/xen/memory.h"
#include "xhad/xen/save_header.h"
#include "xhad/xen/summary.h"
#include "xhad/xen/tracked.h"

/* ---- affinity ---- */

/* The set as a string of 8 places. */
static const char *shown(const struct xha_cpu_set *set)
{
    static char text[2][9];
    static int turn;
    char *t = text[turn ^= 1];

    for (uint32_t cpu = 0; cpu < 8; cpu++)
        t[cpu] = xha_cpu_set_has(set, cpu) ? 'x' : '.';
    return set->given ? t : "not given";
}

static void check_affinity(const char *text, const char *hard, const char *soft)
{
    struct xha_affinity a;
    char err[200] = "";

    assert_int_equal(xha_affinity_parse(text, 8, &a, err, sizeof(err)), 0);
    assert_string_equal(shown(&a.hard), hard);
    assert_string_equal(shown(&a.soft), soft);
}

static void test_affinity(void **state)
{
    (void)state;
    check_affinity("", "not given", "not given");
    check_affinity("all", "xxxxxxxx", "not given");
    check_affinity("1-3,^2", ".x.x....", "not given");
    check_affinity("0", "x.......", "not given");
    check_affinity("7,5-6", ".....xxx", "not given");
    check_affinity("all,^0-3", "....xxxx", "not given");
    check_affinity("soft:0-1", "not given", "xx......");
    check_affinity("hard:2 soft:all", "..x.....", "xxxxxxxx");
    check_affinity("  2\tsoft:3 ", "..x.....", "...x....");
}

static void test_affinity_refuses(void **state)
{
    static const char *const bad[] = {
        "8",       "0-8", "3-1",   "x",      "1,",   ",1",  "1-",    "-1",         "^1",
        "1,^1",    "1 2", "soft:", "soft:9", "all2", "1;2", "1-2-3", "4294967296", "99999999999999999999",
        "nodes:0", "^",
    };
    struct xha_affinity a;
    char err[200];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        err[0] = '\0';
        if (xha_affinity_parse(bad[i], 8, &a, err, sizeof(err)) == 0)
            fail_msg("\"%s\" was taken", bad[i]);
        assert_non_null(strstr(err, "CPUs 0-7"));
    }
    assert_int_equal(xha_affinity_parse("all", XHA_CPUS_MAX + 1, &a, err, sizeof(err)), -1);
    assert_int_equal(xha_affinity_parse("all", XHA_CPUS_MAX, &a, err, sizeof(err)), 0);
}

/* ---- tracked domains ---- */

static struct xha_uuid nth(unsigned n)
{
    return (struct xha_uuid){ { (uint8_t)(n * 37), (uint8_t)(n >> 8), (uint8_t)n } };
}

static void test_tracked(void **state)
{
    struct xha_tracked_set set = { 0 };
    const struct xha_uuid one = nth(1);

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        const struct xha_uuid uuid = nth(i);

        assert_int_equal(xha_tracked_put(&set, &uuid, "data/a"), 0);
    }
    assert_int_equal(set.n, 1000);
    for (size_t i = 1; i < set.n; i++)
        assert_true(memcmp(set.v[i - 1].uuid.b, set.v[i].uuid.b, 16) < 0);
    for (unsigned i = 0; i < 1000; i += 2) {
        const struct xha_uuid uuid = nth(i);

        xha_tracked_drop(&set, &uuid);
        xha_tracked_drop(&set, &uuid); /* no harm */
    }
    for (unsigned i = 0; i < 1000; i++) {
        const struct xha_uuid uuid = nth(i);

        assert_int_equal(xha_tracked_find(&set, &uuid) != NULL, i % 2);
    }
    assert_int_equal(xha_tracked_put(&set, &one, "data/b"), 0);
    assert_int_equal(set.n, 500);
    assert_string_equal(xha_tracked_find(&set, &one)->key, "data/b");
    xha_tracked_free(&set);
}

/* ---- header of save files ---- */

static void test_save_header(void **state)
{
    static const char json[] = "{\"c_info\":{}}";
    uint8_t *header;
    uint32_t len;
    char err[200];
    size_t all;

    (void)state;
    assert_int_equal(xha_save_header_make(json, &header, &all), 0);
    assert_int_equal(all, XHA_SAVE_FIXED + 4 + sizeof(json));
    assert_memory_equal(header, "Xen saved domain, xl format\n \0 \r", 32);
    assert_int_equal(xha_save_header_check(header, &len, err, sizeof(err)), 0);
    assert_int_equal(len, 4 + sizeof(json));
    assert_string_equal(xha_save_header_config(header + XHA_SAVE_FIXED, len, err, sizeof(err)), json);
    free(header);
}

static void check_damage(size_t at, uint8_t to, const char *says)
{
    uint8_t *header;
    uint32_t len;
    char err[200] = "";
    size_t all;

    assert_int_equal(xha_save_header_make("{}", &header, &all), 0);
    header[at] = to;
    assert_int_equal(xha_save_header_check(header, &len, err, sizeof(err)), -1);
    if (!strstr(err, says))
        fail_msg("byte %zu: \"%s\" does not say \"%s\"", at, err, says);
    free(header);
}

static void test_save_header_damage(void **state)
{
    uint8_t optional[16] = { 0 };
    char err[200];

    (void)state;
    check_damage(0, 'x', "no save file");
    check_damage(32, 9, "damaged");
    check_damage(36, 1, "older than 4.6"); /* flags: no stream of version 2 */
    check_damage(36, 7, "newer xl");
    check_damage(47, 0xff, "too long");
    check_damage(44, 0, "missing");
    /* A length in it that lies must not lead out of it, nor may the NUL be elsewhere than at the end. */
    optional[0] = 200;
    assert_null(xha_save_header_config(optional, sizeof(optional), err, sizeof(err)));
    optional[0] = 0;
    assert_null(xha_save_header_config(optional, sizeof(optional), err, sizeof(err)));
    optional[0] = 3;
    optional[4] = 'a';
    assert_null(xha_save_header_config(optional, sizeof(optional), err, sizeof(err)));
    optional[0] = 2;
    assert_string_equal(xha_save_header_config(optional, sizeof(optional), err, sizeof(err)), "a");
    assert_null(xha_save_header_config(optional, 3, err, sizeof(err)));
}

/* ---- I/O counters ---- */

static void put(const char *root, const char *file, const char *text)
{
    char path[512], dir[512];

    snprintf(path, sizeof(path), "%s/%s", root, file);
    snprintf(dir, sizeof(dir), "%s", path);
    *strrchr(dir, '/') = '\0';
    assert_int_equal(xha_mkdir_p(dir, 0700), 0);
    assert_int_equal(xha_file_write(path, 0600, text, strlen(text)), 0);
}

static void test_io_count(void **state)
{
    char root[] = "/tmp/xha-unit-XXXXXX", command[64];

    (void)state;
    assert_non_null(mkdtemp(root));
    put(root, "bus/xen-backend/devices/vbd-7-51712/statistics/rd_req", "100\n");
    put(root, "bus/xen-backend/devices/vbd-7-51712/statistics/wr_req", "20\n");
    put(root, "bus/xen-backend/devices/vbd-7-51728/statistics/f_req", "3\n");
    put(root, "bus/xen-backend/devices/vbd-7-51728/statistics/oo_req", "5000\n");
    put(root, "bus/xen-backend/devices/vbd-71-51712/statistics/rd_req", "9999\n");
    put(root, "class/net/vif7.0/statistics/rx_packets", "4000\n");
    put(root, "class/net/vif7.0/statistics/tx_packets", "77777\n");
    put(root, "class/net/vif7.1/statistics/rx_packets", "garbage\n");
    put(root, "class/net/vif71.0/statistics/rx_packets", "9999\n");
    assert_int_equal(xha_io_count(root, 7), 4123);
    assert_int_equal(xha_io_count(root, 8), 0);
    snprintf(command, sizeof(command), "rm -r %s", root);
    assert_int_equal(system(command), 0);
}

/* ---- dom0's size ---- */

static void test_dom0_fixed(void **state)
{
    (void)state;
    assert_true(xha_memory_dom0_fixed("dom0_mem=700M,max:700M"));
    assert_true(xha_memory_dom0_fixed("console=com1 dom0_mem=1G sched=credit"));
    assert_false(xha_memory_dom0_fixed(""));
    assert_false(xha_memory_dom0_fixed("placeholder no_dom0_mem=1G"));
}

/* ---- configurations ---- */

static const char config_text[] =
    "{\"c_info\":{\"type\":\"pvh\",\"name\":\"g1\",\"uuid\":\"5eed0000-0000-4000-8000-000000000001\"},"
    "\"b_info\":{\"max_vcpus\":2,\"max_memkb\":98304,\"target_memkb\":65536},"
    "\"disks\":[{\"pdev_path\":\"/dev/a\",\"vdev\":\"xvda\",\"readwrite\":1},{\"pdev_path\":\"/dev/"
    "b\",\"vdev\":\"xvdb\"},"
    "{\"vdev\":\"xvdc\",\"readwrite\":1,\"is_cdrom\":1}],"
    "\"nics\":[{\"mac\":\"00:16:3e:00:00:01\"},{\"bridge\":\"xenbr0\"},{\"mac\":\"00:00:00:00:00:00\"}]}";

static void test_summary(void **state)
{
    json_t *config = json_loads(config_text, 0, NULL), *summary, *disks;
    char err[200];

    (void)state;
    summary = xha_summary(config, err, sizeof(err));
    assert_non_null(summary);
    assert_string_equal(json_string_value(json_object_get(summary, "name")), "g1");
    assert_string_equal(json_string_value(json_object_get(summary, "type")), "pvh");
    assert_int_equal(json_integer_value(json_object_get(summary, "memory_kib")), 65536);
    assert_int_equal(json_integer_value(json_object_get(summary, "vcpus")), 2);
    disks = json_object_get(summary, "disks");
    assert_int_equal(json_array_size(disks), 3);
    assert_true(json_is_true(json_object_get(json_array_get(disks, 0), "rw")));
    assert_false(json_is_true(json_object_get(json_array_get(disks, 1), "rw")));
    assert_false(json_is_true(json_object_get(json_array_get(disks, 2), "rw")));
    json_decref(summary);
    json_object_del(json_object_get(config, "c_info"), "name");
    assert_null(xha_summary(config, err, sizeof(err)));
    json_decref(config);
}

static const char *mac_of(json_t *config, size_t i)
{
    return json_string_value(json_object_get(json_array_get(json_object_get(config, "nics"), i), "mac"));
}

/* Cards without a MAC get one, always the same for the same UUID, another for another. */
static void test_summary_pins(void **state)
{
    json_t *a = json_loads(config_text, 0, NULL), *b = json_loads(config_text, 0, NULL);
    const struct xha_uuid other = { { 1, 2, 3 } };
    char err[200];

    (void)state;
    assert_int_equal(xha_summary_pin(a, NULL, err, sizeof(err)), 0);
    assert_string_equal(mac_of(a, 0), "00:16:3e:00:00:01");
    assert_memory_equal(mac_of(a, 1), "00:16:3e:", 9);
    assert_string_not_equal(mac_of(a, 1), mac_of(a, 2));
    assert_int_equal(xha_summary_pin(b, NULL, err, sizeof(err)), 0);
    assert_true(json_equal(a, b));
    json_decref(b);
    b = json_loads(config_text, 0, NULL);
    assert_int_equal(xha_summary_pin(b, &other, err, sizeof(err)), 0);
    assert_string_not_equal(mac_of(a, 1), mac_of(b, 1));
    assert_string_equal(json_string_value(json_object_get(json_object_get(b, "c_info"), "uuid")),
                        "01020300-0000-0000-0000-000000000000");
    json_object_del(json_object_get(a, "c_info"), "uuid");
    assert_int_equal(xha_summary_pin(a, NULL, err, sizeof(err)), -1);
    json_decref(a);
    json_decref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_affinity),
        cmocka_unit_test(test_affinity_refuses),
        cmocka_unit_test(test_tracked),
        cmocka_unit_test(test_save_header),
        cmocka_unit_test(test_save_header_damage),
        cmocka_unit_test(test_io_count),
        cmocka_unit_test(test_dom0_fixed),
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_summary_pins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * ctl/cluster_log.c: what is told as durable is there again after a crash, in order; a torn end is cut off, damage is
 * moved away, and a log that is written anew takes the old one's place whole or not at all.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "xhad/base/file.h"
#include "xhad/ctl/cluster_log.h"

static char dir[] = "/tmp/test-ctl-cluster-log.XXXXXX";
static char path[100], aside[100], damaged[100];
static struct xha_cluster_log *cl;
static char warning[2000], err[2000], read_back[1000];

static int enter(void **state)
{
    (void)state;
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/log", dir);
    snprintf(aside, sizeof(aside), "%s/log.new", dir);
    snprintf(damaged, sizeof(damaged), "%s/log.damaged", dir);
    return 0;
}

static int leave(void **state)
{
    (void)state;
    unlink(path);
    unlink(aside);
    unlink(damaged);
    return rmdir(dir);
}

static void collect(void *user, uint64_t index, const uint8_t *bytes, size_t len)
{
    size_t at = strlen(read_back);

    (void)user;
    snprintf(read_back + at, sizeof(read_back) - at, "%d:%.*s ", (int)index, (int)len, (const char *)bytes);
}

/* What a start finds. */
static const char *reopen(void)
{
    xha_cluster_log_close(cl);
    assert_int_equal(xha_cluster_log_open(dir, &cl, warning, sizeof(warning), err, sizeof(err)), 0);
    read_back[0] = '\0';
    assert_int_equal(xha_cluster_log_each(cl, collect, NULL), 0);
    return read_back;
}

static void append(uint64_t index, const char *text)
{
    assert_int_equal(xha_cluster_log_append(cl, index, (const uint8_t *)text, strlen(text)), 0);
}

static uint64_t sync_it(void)
{
    uint64_t index = 0;

    assert_int_equal(xha_cluster_log_sync(cl, &index), 0);
    return index;
}

static void test_durable(void **state)
{
    (void)state;
    cl = NULL;
    assert_string_equal(reopen(), "");
    assert_false(xha_cluster_log_is_dirty(cl));
    append(1, "one");
    append(2, "two");
    assert_true(xha_cluster_log_is_dirty(cl));
    assert_int_equal(sync_it(), 2);
    append(3, "never synced");
    assert_string_equal(reopen(), "1:one 2:two ");
    assert_string_equal(warning, "");
    append(3, "three");
    assert_int_equal(sync_it(), 3);
    assert_string_equal(reopen(), "1:one 2:two 3:three ");
    xha_cluster_log_close(cl);
}

static void test_torn_end(void **state)
{
    struct stat st;

    (void)state;
    cl = NULL;
    reopen();
    append(1, "one");
    append(2, "two");
    sync_it();
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size - 1), 0);
    assert_string_equal(reopen(), "1:one ");
    assert_non_null(strstr(warning, "cut off"));
    append(2, "again");
    sync_it();
    assert_string_equal(reopen(), "1:one 2:again ");
    xha_cluster_log_close(cl);
}

static void test_damage(void **state)
{
    int fd;

    (void)state;
    cl = NULL;
    reopen();
    append(1, "one");
    append(2, "two");
    sync_it();
    fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "X", 1, 25), 1); /* in the first message */
    close(fd);
    assert_string_equal(reopen(), "");
    assert_non_null(strstr(warning, "damaged at byte 0"));
    assert_int_equal(access(damaged, F_OK), 0);
    append(7, "the others' state");
    sync_it();
    assert_string_equal(reopen(), "7:the others' state ");
    xha_cluster_log_close(cl);
}

static void test_written_anew(void **state)
{
    (void)state;
    cl = NULL;
    reopen();
    append(1, "old");
    sync_it();
    xha_cluster_log_begin(cl);
    append(9, "half of a state");
    assert_false(xha_cluster_log_is_dirty(cl)); /* nothing to be told before it is whole */
    assert_string_equal(reopen(), "1:old ");
    xha_cluster_log_begin(cl);
    append(9, "a");
    append(9, "b");
    xha_cluster_log_end(cl);
    assert_true(xha_cluster_log_is_dirty(cl));
    assert_string_equal(reopen(), "1:old "); /* a crash before the sync */
    xha_cluster_log_begin(cl);
    append(9, "a");
    append(9, "b");
    xha_cluster_log_end(cl);
    append(10, "next");
    assert_int_equal(sync_it(), 10);
    append(11, "last");
    sync_it();
    assert_string_equal(reopen(), "9:a 9:b 10:next 11:last ");
    xha_cluster_log_close(cl);
}

/* A full disk: nothing is told as durable, and nothing is lost when there is room again. */
static void test_full_disk(void **state)
{
    struct rlimit before, small;
    uint64_t index;

    (void)state;
    cl = NULL;
    signal(SIGXFSZ, SIG_IGN);
    reopen();
    append(1, "one");
    sync_it();
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 40;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    append(2, "two");
    assert_int_equal(xha_cluster_log_sync(cl, &index), -1);
    append(3, "three");
    assert_int_equal(xha_cluster_log_sync(cl, &index), -1);
    assert_true(xha_cluster_log_is_dirty(cl));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(sync_it(), 3);
    assert_string_equal(reopen(), "1:one 2:two 3:three ");
    xha_cluster_log_close(cl);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_durable, enter, leave),
        cmocka_unit_test_setup_teardown(test_torn_end, enter, leave),
        cmocka_unit_test_setup_teardown(test_damage, enter, leave),
        cmocka_unit_test_setup_teardown(test_written_anew, enter, leave),
        cmocka_unit_test_setup_teardown(test_full_disk, enter, leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * xhad/xen/saver.c and loader.c: what one writes the other reads, packed or not; a full disk and damaged
 * files.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
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
#include "xhad/xen/checkpoints.h"
#include "xhad/xen/loader.h"
#include "xhad/xen/save_header.h"
#include "xhad/xen/saver.h"

#define STREAM_BYTES (3u << 20)

static const char json[] = "{\"c_info\":{\"name\":\"g1\"}}";
static uint8_t *stream;
static char path[] = "/tmp/xha-unit-stream-XXXXXX";
static unsigned ticks;

static int setup(void **state)
{
    uint32_t x = 1;
    int fd;

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    stream = malloc(STREAM_BYTES);
    fd = mkstemp(path);
    if (!stream || fd < 0)
        return -1;
    for (size_t i = 0; i < STREAM_BYTES; i++) { /* half of it packs well */
        x = x * 1664525 + 1013904223;
        stream[i] = i & 4096 ? 0 : (uint8_t)(x >> 24);
    }
    return close(fd);
}

static int teardown(void **state)
{
    (void)state;
    free(stream);
    return unlink(path);
}

static void on_tick(void *arg)
{
    ++*(unsigned *)arg;
}

static void save_to(int fd, bool zstd, uint64_t memory_limit, struct xha_saved *saved_r)
{
    struct xha_saver_plan plan = { .file_fd = fd,
                                   .zstd = zstd,
                                   .level = 1,
                                   .memory_limit = memory_limit,
                                   .tick = on_tick,
                                   .tick_arg = &ticks };
    struct xha_saver *saver;
    uint8_t *head;
    int stream_fd;

    assert_int_equal(xha_save_header_make(json, &head, &plan.head_len), 0);
    plan.head = head;
    assert_int_equal(xha_saver_start(&plan, &saver, &stream_fd), 0);
    free(head);
    assert_int_equal(xha_write_all(stream_fd, stream, STREAM_BYTES), 0);
    xha_saver_finish(saver, saved_r);
}

static void save(bool zstd, uint64_t memory_limit, struct xha_saved *saved_r)
{
    int fd = open(path, O_WRONLY | O_TRUNC);

    assert_true(fd >= 0);
    save_to(fd, zstd, memory_limit, saved_r);
    close(fd);
}

static void check_back(void)
{
    uint8_t *back = malloc(STREAM_BYTES + 1);
    struct xha_loader *loader;
    char err[200] = "";
    size_t have = 0;
    ssize_t n;
    int fd;

    assert_int_equal(xha_loader_open(path, &loader, err, sizeof(err)), 0);
    assert_string_equal(xha_loader_config(loader), json);
    fd = xha_loader_stream(loader);
    assert_true(fd >= 0);
    while (have <= STREAM_BYTES && (n = read(fd, back + have, STREAM_BYTES + 1 - have)) > 0)
        have += (size_t)n;
    assert_int_equal(have, STREAM_BYTES);
    assert_memory_equal(back, stream, STREAM_BYTES);
    assert_int_equal(xha_loader_close(loader, err, sizeof(err)), 0);
    free(back);
}

static void round_trip(bool zstd, uint64_t memory_limit)
{
    struct xha_saved saved;
    char *bytes, sum[XHA_CKPT_SUM_TEXT];
    size_t len;

    ticks = 0;
    save(zstd, memory_limit, &saved);
    assert_int_equal(saved.error, 0);
    assert_int_equal(saved.stream_bytes, XHA_SAVE_FIXED + 4 + sizeof(json) + STREAM_BYTES);
    assert_int_equal(xha_file_read(path, 16 << 20, &bytes, &len), 0);
    assert_int_equal(len, saved.file_bytes);
    assert_true(zstd ? len < STREAM_BYTES * 3 / 4 : len == saved.stream_bytes);
    xha_ckpt_sum_bytes(bytes, len, sum);
    assert_string_equal(sum, saved.sum);
    assert_true(ticks > 0);
    free(bytes);
    check_back();
}

static void test_round_trip(void **state)
{
    (void)state;
    round_trip(false, 64 << 20);
    round_trip(true, 64 << 20);
}

/* With less memory than one block it goes block by block. */
static void test_round_trip_with_little_memory(void **state)
{
    (void)state;
    round_trip(false, 1);
    round_trip(true, 600000);
}

/* Nothing can be written, yet the stream is taken to its end: libxl must not be blocked or killed. */
static void test_full_disk(void **state)
{
    struct xha_saved saved;
    int fd = open("/dev/full", O_WRONLY);

    (void)state;
    assert_true(fd >= 0);
    save_to(fd, false, 1, &saved);
    assert_int_equal(saved.error, ENOSPC);
    save_to(fd, true, 64 << 20, &saved);
    assert_int_equal(saved.error, ENOSPC);
    close(fd);
}

/* Reads all; what xha_loader_close() says. */
static int drain(char *err, size_t err_len)
{
    struct xha_loader *loader;
    char chunk[4096];
    int fd;

    err[0] = '\0';
    if (xha_loader_open(path, &loader, err, err_len) < 0)
        return -2;
    fd = xha_loader_stream(loader);
    while (read(fd, chunk, sizeof(chunk)) > 0)
        ;
    return xha_loader_close(loader, err, err_len);
}

static void test_damaged_files(void **state)
{
    struct xha_saved saved;
    char err[200];
    int fd;

    (void)state;
    save(true, 64 << 20, &saved);
    assert_int_equal(drain(err, sizeof(err)), 0);
    assert_int_equal(truncate(path, (off_t)saved.file_bytes / 2), 0);
    assert_int_equal(drain(err, sizeof(err)), -1);
    assert_string_equal(err, "it ends too early");
    save(true, 64 << 20, &saved);
    fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "damage", 6, (off_t)saved.file_bytes / 2), 6);
    close(fd);
    assert_int_equal(drain(err, sizeof(err)), -1);
    assert_string_equal(err, "its compressed data is damaged");
    for (off_t len = 0; len < 40; len += 13) {
        save(len & 1, 64 << 20, &saved);
        assert_int_equal(truncate(path, len), 0);
        assert_int_equal(drain(err, sizeof(err)), -2);
        assert_true(err[0] != '\0');
    }
}

/* libxl may stop reading in the middle; the thread that feeds it must end. */
static void test_close_in_the_middle(void **state)
{
    struct xha_saved saved;
    struct xha_loader *loader;
    char err[200], byte;
    int fd;

    (void)state;
    save(true, 64 << 20, &saved);
    assert_int_equal(xha_loader_open(path, &loader, err, sizeof(err)), 0);
    fd = xha_loader_stream(loader);
    assert_int_equal(read(fd, &byte, 1), 1);
    assert_int_equal(xha_loader_close(loader, err, sizeof(err)), 0);
    assert_int_equal(xha_loader_close(NULL, err, sizeof(err)), 0);
    assert_int_equal(xha_loader_open("/", &loader, err, sizeof(err)), -1);
    assert_int_equal(xha_loader_open("/nowhere/at/all", &loader, err, sizeof(err)), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),          cmocka_unit_test(test_round_trip_with_little_memory),
        cmocka_unit_test(test_full_disk),           cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_close_in_the_middle),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

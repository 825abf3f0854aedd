/*
 * move/disk*.c: disks of a stopped domain from one directory to another, over the real wire; and what must not
 * be taken.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "xhad/base/file.h"
#include "xhad/move/bytes.h"
#include "xhad/move/disk.h"

#define MIB (1u << 20)

static const struct xha_stop never;
static char source_path[64], target_path[80];

/* ---- two ends ---- */

struct end {
    struct xha_link *link;
    struct xha_wire *wire;
    int fd;
    enum xha_link_end which;
    struct xha_disk disks[2];
    size_t n;
    struct xha_job job;
    struct xha_talk talk;
    struct xha_copied copied;
    int rc;
    char err[XHA_ANSWER_TEXT];
    pthread_t thread;
};

static void *run_end(void *arg)
{
    struct end *e = arg;
    const struct xha_key key = { { 9 } };

    e->talk = (struct xha_talk){ .job = &e->job, .until_ms = xha_move_now_ms() + 60000 };
    if (xha_link_open(e->fd, e->which, "xhad:1:x", &key, e->talk.until_ms, &never, &e->link, e->err,
                      sizeof(e->err)) < 0)
        return NULL;
    e->wire = xha_wire_new(e->link, 20000, &never);
    if (e->which == XHA_LINK_CONNECTS) {
        e->rc = xha_disk_send_all(&e->talk, e->wire, e->disks, e->n, &e->copied, e->err, sizeof(e->err));
    } else {
        e->rc = xha_disk_receive_all(&e->talk, e->wire, e->disks, e->n, &e->copied, e->err, sizeof(e->err));
        xha_talk_answer(&e->talk, e->wire, e->rc == 0 ? XHA_ANSWER_DONE : XHA_ANSWER_REFUSED,
                        XHA_REFUSAL_OTHER, e->err);
    }
    xha_wire_free(e->wire);
    return NULL;
}

static void copy(struct end ends[2], size_t n)
{
    static const enum xha_link_end which[2] = { XHA_LINK_CONNECTS, XHA_LINK_ACCEPTS };
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    for (int i = 0; i < 2; i++) {
        ends[i].fd = fds[i];
        ends[i].which = which[i];
        ends[i].n = n;
        ends[i].rc = -1;
        assert_int_equal(pthread_create(&ends[i].thread, NULL, run_end, &ends[i]), 0);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(ends[i].thread, NULL);
}

/* Both ends have the same path in their configurations. */
static void put_paths(struct end ends[2])
{
    for (int i = 0; i < 2; i++)
        snprintf(ends[i].disks[0].path, PATH_MAX, "%s", source_path);
}

/* ---- files ---- */

static void fill(const char *path, uint64_t size, unsigned seed)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    uint8_t page[4096];

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    for (uint64_t at = 0; at < size; at += 5 * 65536 + 4096) {
        const size_t len = size - at < sizeof(page) ? (size_t)(size - at) : sizeof(page);

        for (size_t i = 0; i < len; i++)
            page[i] = (uint8_t)(seed + at / 4096 + i / 50);
        assert_int_equal(pwrite(fd, page, len, (off_t)at), len);
    }
    close(fd);
}

static int setup(void **state)
{
    (void)state;
    snprintf(source_path, sizeof(source_path), "/tmp/test-move-disk-%d.img", (int)getpid());
    snprintf(target_path, sizeof(target_path), "%s.there", source_path);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(source_path);
    unlink(target_path);
    return 0;
}

/* ---- the sum and the walk ---- */

static int add(void *arg, uint64_t offset, const uint8_t *bytes, size_t len)
{
    xha_disk_sum_add(arg, offset, bytes, len);
    return 0;
}

static void sum_of(const char *path, uint8_t sum_r[XHA_DISK_SUM_BYTES])
{
    struct xha_disk_sum *sum = xha_disk_sum_new();
    enum xha_disk_kind kind;
    uint64_t size;
    uint32_t mode;
    char err[256];
    const int fd = xha_disk_open(path, false, &kind, &size, &mode, err, sizeof(err));

    assert_true(fd >= 0);
    assert_int_equal(kind, XHA_DISK_FILE);
    assert_int_equal(xha_disk_walk(fd, size, add, sum), 0);
    xha_disk_sum_end(sum, size, sum_r);
    close(fd);
}

static void holes_and_zeros_are_the_same(void **state)
{
    uint8_t sparse[XHA_DISK_SUM_BYTES], full[XHA_DISK_SUM_BYTES];
    size_t len;
    char *read_back;

    (void)state;
    fill(source_path, MIB + 100, 3);
    sum_of(source_path, sparse);
    assert_int_equal(xha_file_read(source_path, 2 * MIB, &read_back, &len), 0);
    assert_int_equal(xha_file_write(target_path, 0600, read_back, len), 0); /* no holes */
    sum_of(target_path, full);
    assert_memory_equal(sparse, full, sizeof(full));
    read_back[MIB + 99] ^= 1;
    assert_int_equal(xha_file_write(target_path, 0600, read_back, len), 0);
    sum_of(target_path, full);
    assert_memory_not_equal(sparse, full, sizeof(full));
    read_back[MIB + 99] ^= 1;
    assert_int_equal(xha_file_write(target_path, 0600, read_back, len - 1), 0);
    sum_of(target_path, full);
    assert_memory_not_equal(sparse, full, sizeof(full));
    free(read_back);
}

/* ---- copies: both hosts are this one, with the same file ---- */

static void file_that_is_there_and_the_same_is_left(void **state)
{
    struct end ends[2] = { 0 };

    (void)state;
    fill(source_path, 3 * MIB + 5, 1);
    put_paths(ends);
    copy(ends, 1);
    assert_string_equal(ends[0].err, "");
    assert_int_equal(ends[0].rc, 0);
    assert_int_equal(ends[1].rc, 0);
    assert_int_equal(ends[0].copied.disks, 1);
    assert_int_equal(ends[1].copied.bytes, 0); /* nothing was written */
    assert_true(ends[0].copied.wire_bytes < 1000);
}

static void other_paths_are_refused(void **state)
{
    struct end ends[2] = { 0 };

    (void)state;
    fill(source_path, MIB, 1);
    put_paths(ends);
    snprintf(ends[1].disks[0].path, PATH_MAX, "%s", target_path);
    copy(ends, 1);
    assert_int_equal(ends[0].rc, -1);
    assert_int_equal(ends[1].rc, -1);
    assert_non_null(strstr(ends[1].err, "configurations differ"));
    assert_int_equal(access(target_path, F_OK), -1);
}

/* ---- a sender made by hand ---- */

struct target {
    struct end end;
    struct xha_wire *sender;
};

static void *open_sender(void *arg)
{
    struct end *e = arg;
    const struct xha_key key = { { 9 } };

    if (xha_link_open(e->fd, XHA_LINK_CONNECTS, "xhad:1:x", &key, xha_move_now_ms() + 20000, &never, &e->link,
                      e->err, sizeof(e->err)) == 0)
        e->wire = xha_wire_new(e->link, 20000, &never);
    return NULL;
}

static void start_target(struct target *t)
{
    struct end sender = { 0 };
    int fds[2];

    memset(t, 0, sizeof(*t));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    sender.fd = fds[0];
    t->end.fd = fds[1];
    t->end.which = XHA_LINK_ACCEPTS;
    t->end.n = 1;
    snprintf(t->end.disks[0].path, PATH_MAX, "%s", target_path);
    assert_int_equal(pthread_create(&t->end.thread, NULL, run_end, &t->end), 0);
    open_sender(&sender);
    assert_non_null(sender.wire);
    t->sender = sender.wire;
}

static void end_target(struct target *t)
{
    xha_wire_free(t->sender);
    pthread_join(t->end.thread, NULL);
}

static void put_disk(struct target *t, uint64_t size, uint8_t kind)
{
    uint8_t head[XHA_DISK_HEAD] = { 0 };

    xha_put32(head + 4, 0640);
    xha_put64(head + 8, size);
    head[16] = kind;
    assert_int_equal(
        xha_wire_put(t->sender, XHA_FRAME_DISK, head, sizeof(head), target_path, strlen(target_path)), 0);
    assert_int_equal(xha_wire_flush(t->sender, INT64_MAX), 0);
}

static enum xha_answer_kind answer_of(struct target *t)
{
    const struct xha_talk talk = { .job = &t->end.job, .until_ms = xha_move_now_ms() + 20000 };
    struct xha_answer answer;
    char err[256];

    if (xha_talk_await(&talk, t->sender, 20000, &answer, err, sizeof(err)) < 0)
        fail_msg("%s", err);
    return answer.kind;
}

static void put_data(struct target *t, uint64_t offset, const uint8_t *bytes, size_t len)
{
    struct xha_packer *packer = xha_packer_new(XHA_CODEC_LZ4);
    uint8_t *chunk = malloc(XHA_CHUNK_BYTES_MAX), place[8];
    const size_t n = xha_chunk_pack(packer, bytes, len, NULL, 0, chunk);

    xha_put64(place, offset);
    assert_int_equal(xha_wire_put(t->sender, XHA_FRAME_DATA, place, 8, chunk, n), 0);
    assert_int_equal(xha_wire_flush(t->sender, INT64_MAX), 0);
    xha_packer_free(packer);
    free(chunk);
}

static void put_sum(struct target *t, const uint8_t sum[XHA_DISK_SUM_BYTES])
{
    assert_int_equal(xha_wire_put(t->sender, XHA_FRAME_DISK_SUM, sum, XHA_DISK_SUM_BYTES, NULL, 0), 0);
    assert_int_equal(xha_wire_flush(t->sender, INT64_MAX), 0);
}

/* Sends a file to target_path as send_all would, in pieces of chance. */
static void new_file_is_written_aside_and_put_in_place(void **state)
{
    struct target t;
    uint8_t want[XHA_DISK_SUM_BYTES], got[XHA_DISK_SUM_BYTES], trailer[XHA_TRAILER_BYTES] = { 1 };
    struct stat st;
    char *bytes;
    size_t len;

    (void)state;
    fill(source_path, 2 * MIB + 77, 4);
    sum_of(source_path, want);
    assert_int_equal(xha_file_read(source_path, 4 * MIB, &bytes, &len), 0);
    start_target(&t);
    put_disk(&t, len, XHA_DISK_FILE);
    assert_int_equal(answer_of(&t), XHA_ANSWER_READY);
    for (size_t at = 0; at < len; at += 5 * 65536 + 4096)
        put_data(&t, at, (uint8_t *)bytes + at, len - at < 4096 ? len - at : 4096);
    put_sum(&t, want);
    assert_int_equal(answer_of(&t), XHA_ANSWER_READY);
    assert_int_equal(access(target_path, F_OK), -1); /* not before all disks are here */
    assert_int_equal(xha_wire_put(t.sender, XHA_FRAME_TRAILER, trailer, sizeof(trailer), NULL, 0), 0);
    assert_int_equal(xha_wire_flush(t.sender, INT64_MAX), 0);
    assert_int_equal(answer_of(&t), XHA_ANSWER_DONE);
    end_target(&t);
    assert_int_equal(t.end.rc, 0);
    sum_of(target_path, got);
    assert_memory_equal(want, got, sizeof(got));
    assert_int_equal(stat(target_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(st.st_size, len);
    assert_true((uint64_t)st.st_blocks * 512 < len / 2); /* its holes are holes */
    free(bytes);
}

/* Nothing of it is left after each of these. */
static void expect_refused(struct target *t, const char *why)
{
    char aside[100];

    assert_int_equal(answer_of(t), XHA_ANSWER_REFUSED);
    end_target(t);
    assert_int_equal(t->end.rc, -1);
    if (!strstr(t->end.err, why))
        fail_msg("'%s' is not in '%s'", why, t->end.err);
    snprintf(aside, sizeof(aside), "%s.xhad-move", target_path);
    assert_int_equal(access(aside, F_OK), -1);
}

static void wrong_contents_are_refused(void **state)
{
    const uint8_t sum[XHA_DISK_SUM_BYTES] = { 1 };
    struct target t;

    (void)state;
    start_target(&t);
    put_disk(&t, MIB, XHA_DISK_FILE);
    assert_int_equal(answer_of(&t), XHA_ANSWER_READY);
    put_sum(&t, sum);
    expect_refused(&t, "not what was sent");
    assert_int_equal(access(target_path, F_OK), -1);
}

static void bytes_behind_the_end_are_refused(void **state)
{
    const uint8_t bytes[4096] = { 1 };
    struct target t;

    (void)state;
    start_target(&t);
    put_disk(&t, 8000, XHA_DISK_FILE);
    assert_int_equal(answer_of(&t), XHA_ANSWER_READY);
    put_data(&t, 4096, bytes, sizeof(bytes));
    expect_refused(&t, "behind its end");
    start_target(&t);
    put_disk(&t, 8000, XHA_DISK_FILE);
    assert_int_equal(answer_of(&t), XHA_ANSWER_READY);
    put_data(&t, 1ULL << 60, bytes, 1);
    expect_refused(&t, "elsewhere");
}

static void pieces_out_of_order_are_refused(void **state)
{
    const uint8_t bytes[4096] = { 1 };
    struct target t;

    (void)state;
    start_target(&t);
    put_disk(&t, MIB, XHA_DISK_FILE);
    assert_int_equal(answer_of(&t), XHA_ANSWER_READY);
    put_data(&t, 8192, bytes, sizeof(bytes));
    put_data(&t, 8192, bytes, sizeof(bytes));
    expect_refused(&t, "elsewhere");
}

static void file_that_differs_is_left_and_refused(void **state)
{
    const uint8_t sum[XHA_DISK_SUM_BYTES] = { 1 };
    uint8_t before[XHA_DISK_SUM_BYTES], after[XHA_DISK_SUM_BYTES];
    struct target t;

    (void)state;
    fill(target_path, MIB, 9);
    sum_of(target_path, before);
    start_target(&t);
    put_disk(&t, MIB, XHA_DISK_FILE);
    assert_int_equal(answer_of(&t), XHA_ANSWER_COMPARE);
    put_sum(&t, sum);
    expect_refused(&t, "differs");
    start_target(&t);
    put_disk(&t, MIB + 1, XHA_DISK_FILE);
    expect_refused(&t, "another size");
    sum_of(target_path, after);
    assert_memory_equal(before, after, sizeof(after));
}

static void missing_device_is_refused(void **state)
{
    struct target t;

    (void)state;
    start_target(&t);
    put_disk(&t, MIB, XHA_DISK_BLOCK);
    expect_refused(&t, "no such device");
}

/* ---- a receiver made by hand ---- */

/* It refuses in the midst of a disk, as one does whose file system is full, and goes. */
static void refusal_in_the_midst_is_told_with_its_reason(void **state)
{
    const struct xha_key key = { { 9 } };
    struct end sender = { .which = XHA_LINK_CONNECTS, .n = 1, .rc = 0 }, own = { .which = XHA_LINK_ACCEPTS };
    const struct xha_talk talk = { .job = &own.job, .until_ms = xha_move_now_ms() + 20000 };
    struct xha_frame frame = { 0 };
    int fds[2];

    (void)state;
    fill(source_path, 200 * MIB, 1);
    snprintf(sender.disks[0].path, PATH_MAX, "%s", source_path);
    sender.job.move.limit_bps = 10000; /* there is more to send than anybody would wait for */
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    sender.fd = fds[0];
    assert_int_equal(pthread_create(&sender.thread, NULL, run_end, &sender), 0);
    assert_int_equal(xha_link_open(fds[1], own.which, "xhad:1:x", &key, talk.until_ms, &never, &own.link,
                                   own.err, sizeof(own.err)),
                     0);
    own.wire = xha_wire_new(own.link, 20000, &never);
    assert_int_equal(xha_wire_await(own.wire, talk.until_ms, &frame), 0);
    assert_int_equal(frame.type, XHA_FRAME_DISK);
    xha_talk_answer(&talk, own.wire, XHA_ANSWER_READY, XHA_REFUSAL_OTHER, "");
    assert_int_equal(xha_wire_await(own.wire, talk.until_ms, &frame), 0);
    assert_int_equal(frame.type, XHA_FRAME_DATA);
    xha_talk_answer(&talk, own.wire, XHA_ANSWER_REFUSED, XHA_REFUSAL_NO_MEMORY, "No space left");
    xha_wire_free(own.wire);
    pthread_join(sender.thread, NULL);
    assert_int_equal(sender.rc, -1);
    assert_string_equal(sender.err, "No space left");
    assert_int_equal(sender.copied.refusal, XHA_REFUSAL_NO_MEMORY);
}

/* ---- which disks ---- */

static int list(const char *text, size_t *n_r, char *err, size_t err_len)
{
    json_t *config = json_loads(text, 0, NULL);
    struct xha_disk *disks = NULL;
    int rc;

    assert_non_null(config);
    err[0] = '\0';
    rc = xha_disk_list(config, &disks, n_r, err, err_len);
    json_decref(config);
    free(disks);
    return rc;
}

static void disks_are_chosen_by_configuration(void **state)
{
    char err[256];
    size_t n = 9;

    (void)state;
    assert_int_equal(list("{}", &n, err, sizeof(err)), 0);
    assert_int_equal(n, 0);
    assert_int_equal(
        list("{\"disks\":[{\"pdev_path\":\"/a\",\"vdev\":\"xvda\",\"format\":\"raw\",\"readwrite\":1},"
             "{\"pdev_path\":\"/cd\",\"vdev\":\"xvdb\",\"is_cdrom\":true},"
             "{\"pdev_path\":\"/ro\",\"vdev\":\"xvdc\",\"format\":\"qcow2\"}]}",
             &n, err, sizeof(err)),
        0);
    assert_int_equal(n, 1);
    assert_int_equal(
        list("{\"disks\":[{\"pdev_path\":\"/a\",\"vdev\":\"xvda\",\"format\":\"qcow2\",\"readwrite\":1}]}",
             &n, err, sizeof(err)),
        -1);
    assert_non_null(strstr(err, "xvda"));
    assert_non_null(strstr(err, "raw"));
    assert_int_equal(
        list("{\"disks\":[{\"pdev_path\":\"a\",\"vdev\":\"xvda\",\"readwrite\":1}]}", &n, err, sizeof(err)),
        -1);
    assert_int_equal(list("{\"disks\":[{\"pdev_path\":\"/a\",\"script\":\"block-drbd\",\"vdev\":\"xvda\","
                          "\"readwrite\":1}]}",
                          &n, err, sizeof(err)),
                     -1);
    assert_non_null(strstr(err, "script"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(holes_and_zeros_are_the_same, teardown),
        cmocka_unit_test_teardown(file_that_is_there_and_the_same_is_left, teardown),
        cmocka_unit_test_teardown(other_paths_are_refused, teardown),
        cmocka_unit_test_teardown(new_file_is_written_aside_and_put_in_place, teardown),
        cmocka_unit_test_teardown(wrong_contents_are_refused, teardown),
        cmocka_unit_test_teardown(bytes_behind_the_end_are_refused, teardown),
        cmocka_unit_test_teardown(pieces_out_of_order_are_refused, teardown),
        cmocka_unit_test_teardown(file_that_differs_is_left_and_refused, teardown),
        cmocka_unit_test_teardown(missing_device_is_refused, teardown),
        cmocka_unit_test_teardown(refusal_in_the_midst_is_told_with_its_reason, teardown),
        cmocka_unit_test(disks_are_chosen_by_configuration),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, setup, NULL);
}

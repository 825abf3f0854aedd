/*
 * A job of a move as a file: what is written is what is read, and nonsense is refused by its name.
 */
#include "xhad/base/job.h"
#include "xhad/base/file.h"
#include "xhad/base/uuid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
/* cmocka wants the above */
#include <cmocka.h>

static const char path[] = "test-base-job.job";

static int after(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static struct xha_job a_move(void)
{
    struct xha_job job = { .id = 7, .verb = XHA_VERB_MIGRATE, .name = "g1", .domid = 3 };

    xha_uuid_parse("5eed0000-0000-4000-8000-000000000001", &job.uuid);
    job.move = (struct xha_job_move){
        .id = 99,
        .mode = "warm",
        .host = "fe80::1%eth0",
        .port = 65535,
        .port_last = 49999,
        .bind = "10.0.0.1",
        .key_file = "/etc/xhad/cluster.key",
        .compress = "zstd",
        .limit_bps = 125000000,
        .peer_timeout_s = 30,
        .command = "ssh h2 xl migrate-receive",
    };
    return job;
}

static void move_is_read_as_written(void **state)
{
    struct xha_job job = a_move(), got;
    char err[256];

    (void)state;
    assert_int_equal(xha_job_write(path, &job, err, sizeof err), 0);
    assert_int_equal(xha_job_read(path, &got, err, sizeof err), 0);
    assert_int_equal(got.verb, XHA_VERB_MIGRATE);
    assert_int_equal(got.move.id, 99);
    assert_string_equal(got.move.mode, "warm");
    assert_string_equal(got.move.host, "fe80::1%eth0");
    assert_int_equal(got.move.port, 65535);
    assert_int_equal(got.move.port_last, 49999);
    assert_string_equal(got.move.bind, "10.0.0.1");
    assert_string_equal(got.move.key_file, "/etc/xhad/cluster.key");
    assert_string_equal(got.move.compress, "zstd");
    assert_int_equal(got.move.limit_bps, 125000000);
    assert_int_equal(got.move.peer_timeout_s, 30);
    assert_string_equal(got.move.command, "ssh h2 xl migrate-receive");
}

static void job_without_move_is_read(void **state)
{
    static const char text[] = "{\"v\":1,\"id\":1,\"verb\":\"destroy\",\"uuid\":"
                               "\"5eed0000-0000-4000-8000-000000000001\"}";
    struct xha_job got;
    char err[256];

    (void)state;
    assert_int_equal(xha_file_write(path, 0600, text, sizeof text - 1), 0);
    assert_int_equal(xha_job_read(path, &got, err, sizeof err), 0);
    assert_int_equal(got.move.port, 0);
    assert_string_equal(got.move.host, "");
}

static void port_out_of_range_is_refused(void **state)
{
    static const char text[] = "{\"v\":1,\"id\":1,\"verb\":\"receive\",\"uuid\":"
                               "\"5eed0000-0000-4000-8000-000000000001\",\"move\":{\"port\":65536}}";
    struct xha_job got;
    char err[256];

    (void)state;
    assert_int_equal(xha_file_write(path, 0600, text, sizeof text - 1), 0);
    assert_int_equal(xha_job_read(path, &got, err, sizeof err), -1);
    assert_non_null(strstr(err, "\"port\" is out of range"));
}

static void verbs_of_moves_have_names(void **state)
{
    (void)state;
    for (int v = XHA_VERB_NONE + 1; v < XHA_VERB_N_; v++) {
        assert_non_null(xha_verb_name((enum xha_verb)v));
        assert_int_equal(xha_verb_parse(xha_verb_name((enum xha_verb)v)), v);
    }
    assert_int_equal(xha_verb_parse("receive-disks"), XHA_VERB_RECEIVE_DISKS);
}

static void pace_is_a_progress_line(void **state)
{
    struct xha_job_pace pace = { .wire_bytes = 10, .bytes_per_s = 20, .eta_ms = -1, .round = 2 };
    char line[512], step[32];
    uint64_t done, total;
    int fds[2];
    ssize_t n;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    xha_job_progress_pace(fds[1], "memory", 3, 4, &pace);
    n = read(fds[0], line, sizeof line);
    assert_true(n > 1 && line[n - 1] == '\n');
    assert_true(xha_job_progress_parse(line, (size_t)n - 1, step, sizeof step, &done, &total));
    assert_string_equal(step, "memory");
    assert_int_equal(done, 3);
    assert_int_equal(total, 4);
    close(fds[0]);
    close(fds[1]);
}

static void replica_is_read_as_written(void **state)
{
    struct xha_job job = a_move(), got;
    char err[256];

    (void)state;
    job.verb = XHA_VERB_REPLICATE_OUT;
    job.replica = (struct xha_job_replica){ 20, 1000, 100, 500, 256, 64, 16384, "unsafe" };
    assert_int_equal(xha_job_write(path, &job, err, sizeof err), 0);
    assert_int_equal(xha_job_read(path, &got, err, sizeof err), 0);
    assert_int_equal(got.verb, XHA_VERB_REPLICATE_OUT);
    assert_memory_equal(&got.replica, &job.replica, sizeof job.replica);
    job.replica.max_pause_permille = 501;
    assert_int_equal(xha_job_write(path, &job, err, sizeof err), 0);
    assert_int_equal(xha_job_read(path, &got, err, sizeof err), -1);
    assert_non_null(strstr(err, "\"max_pause_permille\" is out of range"));
}

/* The most that a policy may say. */
static void the_widest_policy_fits_in_a_job(void **state)
{
    struct xha_job job = a_move(), got;
    char err[256];

    (void)state;
    job.verb = XHA_VERB_REPLICATE_IN;
    job.replica = (struct xha_job_replica){ .interval_min_ms = 10000,
                                            .interval_max_ms = 10000,
                                            .max_pause_permille = 500,
                                            .silence_ms = 3 * 60000,
                                            .queue_max_kib = 4194304,
                                            .disks = "gated" };
    assert_int_equal(xha_job_write(path, &job, err, sizeof err), 0);
    assert_int_equal(xha_job_read(path, &got, err, sizeof err), 0);
    assert_memory_equal(&got.replica, &job.replica, sizeof job.replica);
}

/* 1: somebody has that lock, 0: nobody, -1: there is none. */
static int is_taken(const char *lock)
{
    int r = xha_job_is_locked(lock);

    if (r >= 0)
        unlink(lock);
    return r;
}

/* What goes on beside other deeds has a lock of its own. */
static void deeds_beside_others_do_not_take_the_domain(void **state)
{
    static const struct {
        enum xha_verb verb;
        int domain, repl;
    } table[] = {
        { XHA_VERB_REPLICATE_OUT, -1, 1 }, { XHA_VERB_GATE, -1, 1 },   { XHA_VERB_REPLICATE_IN, 1, -1 },
        { XHA_VERB_SHUTDOWN, 1, -1 },      { XHA_VERB_PARSE, -1, -1 },
    };
    struct xha_job job = a_move();
    struct xha_job_locks locks;
    char err[256];

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        job.verb = table[i].verb;
        assert_int_equal(xha_job_write(path, &job, err, sizeof err), 0);
        assert_int_equal(xha_job_lock(path, &job, &locks, err, sizeof err), 0);
        assert_int_equal(is_taken("./5eed0000-0000-4000-8000-000000000001.lock"), table[i].domain);
        assert_int_equal(is_taken("./5eed0000-0000-4000-8000-000000000001.repl.lock"), table[i].repl);
        xha_job_unlock(&locks);
    }
}

static void epochs_are_lines(void **state)
{
    const struct xha_job_epoch epoch = { INT64_MAX, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, INT64_MAX };
    struct xha_job_epoch got;
    char line[1024], step[32];
    uint64_t done, total;
    int fds[2];
    ssize_t n;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    xha_job_tell_epoch(fds[1], &epoch);
    n = read(fds[0], line, sizeof line);
    assert_true(n > 1 && line[n - 1] == '\n');
    assert_true(xha_job_epoch_parse(line, (size_t)n - 1, &got));
    assert_memory_equal(&got, &epoch, sizeof got);
    assert_false(xha_job_progress_parse(line, (size_t)n - 1, step, sizeof step, &done, &total));
    assert_false(xha_job_epoch_parse("{\"epoch\":{\"number\":0}}", 24, &got));
    assert_false(xha_job_epoch_parse("{\"epoch\":{\"number\":1,\"pages\":-1}}", 35, &got));
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(move_is_read_as_written, after),
        cmocka_unit_test_teardown(job_without_move_is_read, after),
        cmocka_unit_test_teardown(port_out_of_range_is_refused, after),
        cmocka_unit_test(verbs_of_moves_have_names),
        cmocka_unit_test(pace_is_a_progress_line),
        cmocka_unit_test_teardown(replica_is_read_as_written, after),
        cmocka_unit_test_teardown(the_widest_policy_fits_in_a_job, after),
        cmocka_unit_test_teardown(deeds_beside_others_do_not_take_the_domain, after),
        cmocka_unit_test(epochs_are_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

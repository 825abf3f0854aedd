/*
 * repl/out.c and in.c, both in one process over a real link: a domain's stream is written at one side and read at
 * the other, epochs are acknowledged, and whichever side dies or falls silent is noticed by the other.
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
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "tests/unit/move-ends.h"
#include "tests/unit/repl-stream.h"
#include "xhad/move/bytes.h"
#include "xhad/repl/in.h"
#include "xhad/repl/out.h"

#define MIB       (1u << 20)
#define ANY_EPOCH UINT64_MAX

static const struct xha_terms terms = { .silence_ms = 500, .slots = 100, .held_bytes = 64 * MIB };

/* Reads a stream to its end, as libxl does. */
struct reader {
    int fd;
    uint8_t *bytes;
    size_t len, quit_at; /* bytes after which it reads no more; 0: never */
    pthread_t thread;
};

static void *read_stream(void *arg)
{
    struct reader *r = arg;
    size_t size = 0;
    ssize_t n;

    do {
        if (size - r->len < 65536) {
            size = size ? 2 * size : MIB;
            r->bytes = realloc(r->bytes, size);
        }
        n = read(r->fd, r->bytes + r->len, 65536);
        r->len += n > 0 ? (size_t)n : 0;
    } while (n > 0 && (r->quit_at == 0 || r->len < r->quit_at));
    return NULL;
}

struct both {
    struct xha_wire *wires[2];
    struct xha_out *out;
    struct xha_in *in;
    int out_fd;
    struct reader reader;
    const struct xha_out_beside *out_beside;
    const struct xha_in_beside *in_beside;
    struct guest *guest;
    size_t written;
    atomic_int told, lost; /* how often */
};

static void note(void *arg, const struct xha_in_state *state)
{
    struct both *b = arg;

    atomic_fetch_add(state->linked ? &b->told : &b->lost, 1);
}

static void start_out(struct both *b)
{
    const struct xha_out_plan plan = {
        .wire = b->wires[0], .beside = b->out_beside, .terms = terms, .tank_bytes = 4 * MIB
    };

    assert_int_equal(xha_out_start(&plan, &b->out, &b->out_fd), 0);
}

static void start_reader(struct both *b)
{
    assert_int_equal(pthread_create(&b->reader.thread, NULL, read_stream, &b->reader), 0);
}

static void start_in(struct both *b)
{
    const struct xha_in_plan plan = {
        .wire = b->wires[1], .beside = b->in_beside, .terms = terms, .tell = note, .arg = b
    };

    assert_int_equal(xha_in_start(&plan, &b->in, &b->reader.fd), 0);
}

static void start(struct both *b, uint64_t seed)
{
    memset(b, 0, sizeof(*b));
    make_wires(b->wires, PATIENCE_MS);
    b->guest = guest_new(seed);
    start_out(b);
    start_in(b);
    start_reader(b);
}

/* Writes up to there; false: nobody reads. */
static bool write_to(struct both *b, size_t end)
{
    while (b->written < end) {
        const ssize_t n = write(b->out_fd, b->guest->m.bytes + b->written, end - b->written);

        if (n < 0)
            return false;
        b->written += (size_t)n;
    }
    return true;
}

static void one_epoch(struct both *b, uint32_t pages)
{
    struct xha_out_epoch epoch;
    char err[XHA_ANSWER_TEXT] = "";

    assert_true(write_to(b, guest_epoch(b->guest, pages)));
    if (xha_out_await(b->out, b->guest->epoch, &epoch, err, sizeof(err)) < 0)
        fail_msg("%s", err);
    assert_int_equal(epoch.seen.epoch, b->guest->epoch);
    assert_true(0 < epoch.began_us && epoch.began_us <= epoch.ended_us && epoch.ended_us <= epoch.acked_us);
}

static void finish_out(struct both *b, uint64_t acked)
{
    struct xha_out_stats stats;

    xha_out_finish(b->out, &stats);
    assert_true(acked == ANY_EPOCH || stats.acked == acked);
    assert_true(stats.tank.bytes_most <= 4 * MIB + 4096);
    xha_wire_free(b->wires[0]);
    b->wires[0] = NULL;
}

static void finish_in(struct both *b, bool promoted, uint64_t epoch)
{
    struct xha_in_state state;
    bool was_promoted;

    pthread_join(b->reader.thread, NULL);
    xha_in_finish(b->in, &was_promoted, &state);
    assert_int_equal(was_promoted, promoted);
    assert_true(epoch == ANY_EPOCH || state.store.epoch == epoch);
    xha_wire_free(b->wires[1]);
    free(b->reader.bytes);
}

static void epochs_are_committed(void **state)
{
    struct both b;

    (void)state;
    start(&b, 1);
    one_epoch(&b, 3000); /* 12 MiB, more than the tank holds */
    for (int i = 0; i < 30; i++)
        one_epoch(&b, i % 3 ? 10 : 500);
    while (atomic_load(&b.told) < 31) /* after the acknowledgement */
        usleep(1000);
    xha_in_promote(b.in);
    pthread_join(b.reader.thread, NULL);
    assert_int_equal(b.reader.len, b.guest->m.len);
    assert_memory_equal(b.reader.bytes, b.guest->m.bytes, b.guest->m.len);
    start_reader(&b);
    finish_in(&b, true, 31);
    finish_out(&b, 31);
    guest_free(b.guest);
}

/* The sender dies in the midst of an epoch: the one before is promoted, and not by itself. */
static void a_dead_sender_leaves_whole_epochs(void **state)
{
    (void)state;
    for (unsigned turn = 0; turn < 6; turn++) {
        struct both b;
        size_t whole, all;

        start(&b, 10 + turn);
        for (unsigned i = 0; i <= turn; i++)
            one_epoch(&b, 200);
        whole = b.guest->m.len;
        all = guest_epoch(b.guest, 200);
        assert_true(write_to(&b, whole + (all - whole) * turn / 6));
        finish_out(&b, turn + 1);
        while (atomic_load(&b.lost) == 0)
            usleep(1000);
        xha_in_promote(b.in);
        pthread_join(b.reader.thread, NULL);
        assert_int_equal(b.reader.len, whole);
        assert_memory_equal(b.reader.bytes, b.guest->m.bytes, whole);
        start_reader(&b);
        finish_in(&b, true, turn + 1);
        guest_free(b.guest);
    }
}

/* libxl is still at the first epoch when the third is here, and the order comes. */
static void what_waits_is_handed_on(void **state)
{
    struct both b = { 0 };

    (void)state;
    make_wires(b.wires, PATIENCE_MS);
    b.guest = guest_new(9);
    start_out(&b);
    start_in(&b);
    for (int i = 0; i < 3; i++)
        one_epoch(&b, 900);
    xha_in_promote(b.in);
    start_reader(&b);
    pthread_join(b.reader.thread, NULL);
    assert_int_equal(b.reader.len, b.guest->m.len);
    assert_memory_equal(b.reader.bytes, b.guest->m.bytes, b.guest->m.len);
    start_reader(&b);
    finish_in(&b, true, 3);
    finish_out(&b, 3);
    guest_free(b.guest);
}

/* Before the first epoch is whole there is nothing to be promoted. */
static void no_epoch_no_promotion(void **state)
{
    struct both b;

    (void)state;
    start(&b, 2);
    assert_true(write_to(&b, guest_epoch(b.guest, 2000) / 2));
    finish_out(&b, 0);
    while (atomic_load(&b.lost) == 0)
        usleep(1000);
    xha_in_promote(b.in);
    finish_in(&b, false, 0);
    guest_free(b.guest);
}

static void discarded_is_not_promoted(void **state)
{
    struct both b;
    char err[XHA_ANSWER_TEXT] = "";
    struct xha_out_epoch epoch;

    (void)state;
    start(&b, 3);
    one_epoch(&b, 100);
    xha_in_discard(b.in);
    xha_in_promote(b.in); /* too late */
    finish_in(&b, false, 1);
    assert_int_equal(xha_out_await(b.out, 2, &epoch, err, sizeof(err)), -1);
    assert_true(err[0] != '\0');
    finish_out(&b, 1);
    guest_free(b.guest);
}

/* A former primary hears it, if it still can, and sends no more. */
static void the_sender_hears_of_the_promotion(void **state)
{
    struct both b;
    char err[XHA_ANSWER_TEXT] = "";
    struct xha_out_epoch epoch;

    (void)state;
    start(&b, 4);
    one_epoch(&b, 100);
    xha_in_promote(b.in);
    assert_int_equal(xha_out_await(b.out, 2, &epoch, err, sizeof(err)), -1);
    assert_string_equal(err, "the backup was promoted");
    assert_false(write_to(&b, guest_epoch(b.guest, 5000)));
    assert_int_equal(errno, EPIPE);
    finish_in(&b, true, 1);
    finish_out(&b, 1);
    guest_free(b.guest);
}

/* ---- silence: the other end is there, and nobody works on it ---- */

static void silent_backup_is_noticed(void **state)
{
    struct both b = { 0 };
    struct xha_out_epoch epoch;
    char err[XHA_ANSWER_TEXT] = "";
    int64_t began;

    (void)state;
    make_wires(b.wires, PATIENCE_MS);
    b.guest = guest_new(5);
    began = xha_move_now_ms();
    start_out(&b);
    assert_true(write_to(&b, guest_epoch(b.guest, 5)));
    assert_int_equal(xha_out_await(b.out, 1, &epoch, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "silent"));
    assert_true(xha_move_now_ms() - began >= terms.silence_ms - 1);
    finish_out(&b, 0);
    xha_wire_free(b.wires[1]);
    guest_free(b.guest);
}

static void silent_sender_is_noticed(void **state)
{
    struct both b = { 0 };
    int64_t began = xha_move_now_ms();

    (void)state;
    make_wires(b.wires, PATIENCE_MS);
    start_in(&b);
    start_reader(&b);
    while (atomic_load(&b.lost) == 0)
        usleep(1000);
    assert_true(xha_move_now_ms() - began >= terms.silence_ms - 1);
    xha_in_discard(b.in);
    finish_in(&b, false, 0);
    xha_wire_free(b.wires[0]);
}

/* Nothing happens for longer than that between two epochs, and nobody is given up. */
static void quiet_is_not_silent(void **state)
{
    struct both b;

    (void)state;
    start(&b, 6);
    one_epoch(&b, 10);
    usleep(1200000);
    one_epoch(&b, 10);
    assert_int_equal(atomic_load(&b.lost), 0);
    xha_in_promote(b.in);
    finish_in(&b, true, 2);
    finish_out(&b, 2);
    guest_free(b.guest);
}

/* ---- nonsense ---- */

static void wrong_acks_are_refused(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        struct both b = { 0 };
        struct xha_out_epoch epoch;
        uint8_t ack[XHA_ACK_BYTES];
        char err[XHA_ANSWER_TEXT] = "";

        make_wires(b.wires, PATIENCE_MS);
        start_out(&b);
        xha_epoch_ack_put(how == 0 ? 1 : 0, ack); /* of what was not sent, or before the first */
        assert_int_equal(xha_wire_put(b.wires[1], how == 2 ? XHA_FRAME_CONFIG : XHA_FRAME_EPOCH_ACK, ack,
                                      sizeof(ack), NULL, 0),
                         0);
        assert_int_equal(xha_wire_flush(b.wires[1], xha_move_now_ms() + PATIENCE_MS), 0);
        assert_int_equal(xha_out_await(b.out, 1, &epoch, err, sizeof(err)), -1);
        assert_non_null(strstr(err, how == 2 ? "out of turn" : "not sent"));
        finish_out(&b, 0);
        xha_wire_free(b.wires[1]);
    }
}

static void damaged_frames_end_the_link(void **state)
{
    struct both b = { 0 };

    (void)state;
    make_wires(b.wires, PATIENCE_MS);
    start_in(&b);
    start_reader(&b);
    assert_int_equal(xha_wire_put(b.wires[0], XHA_FRAME_EPOCH_PIECE, "nonsense", 8, NULL, 0), 0);
    assert_int_equal(xha_wire_flush(b.wires[0], xha_move_now_ms() + PATIENCE_MS), 0);
    while (atomic_load(&b.lost) == 0)
        usleep(1000);
    xha_in_discard(b.in);
    finish_in(&b, false, 0);
    xha_wire_free(b.wires[0]);
}

static void a_stream_that_is_none_is_not_sent(void **state)
{
    struct both b;
    struct xha_out_epoch epoch;
    char err[XHA_ANSWER_TEXT] = "";

    (void)state;
    start(&b, 7);
    assert_int_equal(write(b.out_fd, "this is no stream of libxl's", 28), 28);
    assert_int_equal(xha_out_await(b.out, 1, &epoch, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "cannot be followed"));
    finish_out(&b, 0);
    xha_in_discard(b.in);
    finish_in(&b, false, 0);
    guest_free(b.guest);
}

/* libxl gives up while it restores. */
static void a_reader_that_quits_ends_it(void **state)
{
    struct both b = { 0 };
    struct xha_out_epoch epoch;
    char err[XHA_ANSWER_TEXT] = "";

    (void)state;
    make_wires(b.wires, PATIENCE_MS);
    b.guest = guest_new(8);
    b.reader.quit_at = 100000;
    start_out(&b);
    start_in(&b);
    start_reader(&b);
    assert_true(write_to(&b, guest_epoch(b.guest, 500)));
    finish_in(&b, false, ANY_EPOCH);
    assert_int_equal(xha_out_await(b.out, 2, &epoch, err, sizeof(err)), -1);
    finish_out(&b, ANY_EPOCH);
    guest_free(b.guest);
}

/* ---- terms ---- */

struct asker {
    struct xha_wire *wire;
    struct xha_terms got;
    char err[200];
    int rc;
};

static void *ask(void *arg)
{
    struct asker *a = arg;
    const struct xha_terms wanted = { .silence_ms = 200, .slots = 50 };

    a->rc = xha_out_agree(a->wire, &wanted, xha_move_now_ms() + PATIENCE_MS, &a->got, a->err, sizeof(a->err));
    return NULL;
}

static void both_ends_get_the_same_terms(void **state)
{
    struct asker a = { .rc = -1 };
    struct xha_wire *wires[2];
    struct xha_terms got;
    pthread_t thread;
    char err[200];

    (void)state;
    make_wires(wires, PATIENCE_MS);
    a.wire = wires[0];
    assert_int_equal(pthread_create(&thread, NULL, ask, &a), 0);
    assert_int_equal(xha_in_agree(wires[1], &terms, xha_move_now_ms() + PATIENCE_MS, &got, err, sizeof(err)),
                     0);
    assert_int_equal(xha_wire_flush(wires[1], xha_move_now_ms() + PATIENCE_MS), 0);
    pthread_join(thread, NULL);
    assert_int_equal(a.rc, 0);
    assert_true(got.silence_ms == 200 && got.slots == 50 && got.held_bytes == 64 * MIB);
    assert_true(a.got.silence_ms == 200 && a.got.slots == 50 && a.got.held_bytes == 64 * MIB);
    free_wires(wires);
}

static void terms_are_agreed_on(void **state)
{
    const struct xha_terms wanted = { .silence_ms = 300, .slots = 1000, .held_bytes = 0 };
    struct xha_terms got;
    uint8_t bytes[XHA_TERMS_BYTES];
    char err[200] = "";

    (void)state;
    xha_terms_put(&wanted, bytes);
    assert_int_equal(xha_terms_get(bytes, sizeof(bytes), &got, err, sizeof(err)), 0);
    got = xha_terms_grant(&got, &terms);
    assert_true(got.silence_ms == 300 && got.slots == 100 && got.held_bytes == 64 * MIB);
    for (size_t len = 0; len < sizeof(bytes); len++)
        assert_int_equal(xha_terms_get(bytes, len, &got, err, sizeof(err)), -1);
    xha_put32(bytes + 4, XHA_SILENCE_MS_MIN - 1);
    assert_int_equal(xha_terms_get(bytes, sizeof(bytes), &got, err, sizeof(err)), -1);
    bytes[0] = 9;
    assert_int_equal(xha_terms_get(bytes, sizeof(bytes), &got, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "version 9"));
}

/* ---- what goes beside ---- */

/* A disk at each end: one word belongs to each epoch, and the backup takes its time to hold it. */
struct beside {
    int fds[2]; /* readable by default: nothing is missed */
    atomic_uint_least64_t barrier, passed, heard, asked, held;
    atomic_bool broken;
};

static int beside_pass(void *arg, size_t max_bytes, xha_beside_put_cb put, void *put_arg, char *err,
                       size_t err_len)
{
    struct beside *d = arg;
    const uint64_t epoch = atomic_load(&d->passed) + 1;

    (void)max_bytes;
    (void)err;
    (void)err_len;
    if (epoch > atomic_load(&d->barrier))
        return 0;
    assert_int_equal(put(put_arg, &epoch, sizeof(epoch)), 0);
    atomic_store(&d->passed, epoch);
    return 0;
}

static int beside_answered(void *arg, const uint8_t *payload, size_t len, char *err, size_t err_len)
{
    (void)arg;
    (void)err;
    (void)err_len;
    assert_int_equal(len, 1);
    assert_int_equal(payload[0], 'h');
    return 0;
}

static bool beside_has_passed(void *arg, uint64_t epoch)
{
    struct beside *d = arg;

    return atomic_load(&d->passed) >= epoch;
}

static bool beside_yes(void *arg)
{
    (void)arg;
    return true;
}

static int beside_hear(void *arg, const uint8_t *payload, size_t len, char *err, size_t err_len)
{
    struct beside *d = arg;

    (void)err;
    (void)err_len;
    assert_int_equal(len, 8);
    memcpy(&len, payload, 8);
    assert_int_equal(len, atomic_load(&d->heard) + 1);
    atomic_store(&d->heard, len);
    return 0;
}

/* The memory of an epoch comes after all that goes beside it. */
static int beside_hold(void *arg, uint64_t epoch, char *err, size_t err_len)
{
    struct beside *d = arg;

    (void)err;
    (void)err_len;
    assert_true(atomic_load(&d->heard) >= epoch);
    atomic_store(&d->asked, epoch);
    return 0;
}

static int beside_turn(void *arg, xha_beside_put_cb put, void *put_arg, uint64_t *held_r, char *err,
                       size_t err_len)
{
    struct beside *d = arg;

    if (atomic_load(&d->broken)) {
        snprintf(err, err_len, "the disk is broken");
        return -1;
    }
    *held_r = atomic_load(&d->held);
    return *held_r < atomic_load(&d->asked) ? put(put_arg, "h", 1) : 0;
}

static void start_beside(struct both *b, struct beside *d, struct xha_out_beside *out,
                         struct xha_in_beside *in)
{
    *d = (struct beside){ 0 };
    assert_int_equal(pipe(d->fds), 0);
    assert_int_equal(write(d->fds[1], "x", 1), 1);
    *out = (struct xha_out_beside){ .fd = d->fds[0],
                                    .arg = d,
                                    .pass = beside_pass,
                                    .hear = beside_answered,
                                    .has_passed = beside_has_passed };
    *in = (struct xha_in_beside){ .fd = d->fds[0],
                                  .arg = d,
                                  .has_room = beside_yes,
                                  .hear = beside_hear,
                                  .is_used = beside_yes,
                                  .hold = beside_hold,
                                  .turn = beside_turn };
    memset(b, 0, sizeof(*b));
    b->out_beside = out;
    b->in_beside = in;
    make_wires(b->wires, PATIENCE_MS);
    b->guest = guest_new(5);
    start_out(b);
    start_in(b);
    start_reader(b);
}

static void end_beside(struct beside *d)
{
    close(d->fds[0]);
    close(d->fds[1]);
}

static uint64_t acked(struct both *b)
{
    struct xha_out_epoch epoch;
    char err[XHA_ANSWER_TEXT] = "";

    if (xha_out_await(b->out, b->guest->epoch, &epoch, err, sizeof(err)) < 0)
        fail_msg("%s", err);
    return epoch.seen.epoch;
}

static void beside_goes_first_and_is_held(void **state)
{
    struct xha_out_beside out;
    struct xha_in_beside in;
    struct beside d;
    struct both b;

    (void)state;
    start_beside(&b, &d, &out, &in);
    for (uint64_t e = 1; e <= 5; e++) {
        assert_true(write_to(&b, guest_epoch(b.guest, 200)));
        usleep(20000);
        assert_int_equal(atomic_load(&d.asked), e - 1); /* the end of the epoch was not sent */
        atomic_store(&d.barrier, e);
        while (atomic_load(&d.asked) < e)
            usleep(1000);
        usleep(20000);
        assert_int_equal(atomic_load(&b.told), e - 1); /* nor acknowledged, before it is held */
        atomic_store(&d.held, e);
        assert_int_equal(acked(&b), e);
        while (atomic_load(&b.told) < (int)e)
            usleep(1000);
    }
    xha_in_promote(b.in);
    finish_in(&b, true, 5);
    finish_out(&b, 5);
    guest_free(b.guest);
    end_beside(&d);
}

static void beside_breaks_the_link(void **state)
{
    struct xha_out_beside out;
    struct xha_out_epoch epoch;
    struct xha_in_beside in;
    char err[XHA_ANSWER_TEXT] = "";
    struct beside d;
    struct both b;

    (void)state;
    start_beside(&b, &d, &out, &in);
    atomic_store(&d.barrier, 1);
    assert_true(write_to(&b, guest_epoch(b.guest, 200)));
    while (atomic_load(&d.asked) < 1)
        usleep(1000);
    atomic_store(&d.broken, true);
    assert_int_equal(xha_out_await(b.out, 1, &epoch, err, sizeof(err)), -1);
    assert_string_equal(err, "the disk is broken");
    xha_in_discard(b.in);
    finish_in(&b, false, ANY_EPOCH);
    finish_out(&b, 0);
    guest_free(b.guest);
    end_beside(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epochs_are_committed),         cmocka_unit_test(a_dead_sender_leaves_whole_epochs),
        cmocka_unit_test(what_waits_is_handed_on),      cmocka_unit_test(no_epoch_no_promotion),
        cmocka_unit_test(discarded_is_not_promoted),    cmocka_unit_test(the_sender_hears_of_the_promotion),
        cmocka_unit_test(silent_backup_is_noticed),     cmocka_unit_test(silent_sender_is_noticed),
        cmocka_unit_test(quiet_is_not_silent),          cmocka_unit_test(wrong_acks_are_refused),
        cmocka_unit_test(damaged_frames_end_the_link),  cmocka_unit_test(a_stream_that_is_none_is_not_sent),
        cmocka_unit_test(a_reader_that_quits_ends_it),  cmocka_unit_test(terms_are_agreed_on),
        cmocka_unit_test(both_ends_get_the_same_terms), cmocka_unit_test(beside_goes_first_and_is_held),
        cmocka_unit_test(beside_breaks_the_link),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * base/observe.c: what the observer and xhad take from each other, and what the observer takes from a guest.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "xhad/base/observe.h"

static bool beat(const void *bytes, size_t len, uint64_t *beat_r)
{
    *beat_r = 4711;
    return xha_obs_beat_parse(bytes, len, beat_r);
}

static void test_beat_takes_numbers(void **state)
{
    uint64_t b;

    (void)state;
    assert_true(beat("0", 1, &b));
    assert_int_equal(b, 0);
    assert_true(beat("42", 2, &b));
    assert_int_equal(b, 42);
    assert_true(beat("00042", 5, &b));
    assert_int_equal(b, 42);
    assert_true(beat("18446744073709551615", 20, &b));
    assert_true(b == UINT64_MAX);
}

/* The bytes are a guest's. Whatever is no number changes nothing. */
static void test_beat_refuses_the_rest(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        { "", 0 },
        { " 1", 2 },
        { "1 ", 2 },
        { "1\n", 2 },
        { "-1", 2 },
        { "+1", 2 },
        { "0x1", 3 },
        { "1\0", 2 },
        { "\0", 1 },
        { "1\0002", 3 },
        { "1e3", 3 },
        { "\xff\xff", 2 },
        { "1.5", 3 },
        { "18446744073709551616", 20 },
        { "99999999999999999999", 20 },
        { "000000000000000000001", 21 },
        { "/", 1 },
        { ":", 1 },
    };
    uint64_t b;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_false(beat(bad[i].bytes, bad[i].len, &b));
        assert_int_equal(b, 4711);
    }
}

static void test_key_stays_below_the_domain(void **state)
{
    char longest[XHA_OBS_KEY_MAX + 1];

    (void)state;
    assert_true(xha_obs_key_ok(XHA_OBS_KEY));
    assert_true(xha_obs_key_ok("data/a-b_c/9"));
    assert_false(xha_obs_key_ok(""));
    assert_false(xha_obs_key_ok("/data/heartbeat"));
    assert_false(xha_obs_key_ok("data//heartbeat"));
    assert_false(xha_obs_key_ok("data/"));
    assert_false(xha_obs_key_ok("../2/data"));
    assert_false(xha_obs_key_ok("data/heart beat"));
    memset(longest, 'a', sizeof(longest));
    longest[XHA_OBS_KEY_MAX - 1] = '\0';
    assert_true(xha_obs_key_ok(longest));
    longest[XHA_OBS_KEY_MAX - 1] = 'a';
    longest[XHA_OBS_KEY_MAX] = '\0';
    assert_false(xha_obs_key_ok(longest));
}

/* One of each type, every field set. */
static const struct xha_obs samples[] = {
    { .type = XHA_OBS_CONFIG, .u.config.round_interval_ms = 1000 },
    { .type = XHA_OBS_TRACK, .uuid = { { 1, 2, 255 } }, .u.track.key = "data/heartbeat" },
    { .type = XHA_OBS_TRACK, .uuid = { { 1 } }, .u.track.key = "" },
    { .type = XHA_OBS_UNTRACK, .uuid = { { 9 } } },
    { .type = XHA_OBS_LOOK },
    { .type = XHA_OBS_PROBE, .uuid = { { 9 } }, .u.probe.domid = 7 },
    { .type = XHA_OBS_READY, .u.ready = { .version = "4.17.3", .scheduler = "credit2" } },
    { .type = XHA_OBS_SEEN,
      .uuid = { { 3 } },
      .u.seen = { .listed = { 77 },
                  .domid = 32751,
                  .paused = true,
                  .dying = true,
                  .shut = true,
                  .reason = 255,
                  .beat_read = true,
                  .beat_valid = true,
                  .beat = UINT64_MAX,
                  .cpu_time_ns = UINT64_MAX - 1 } },
    { .type = XHA_OBS_SEEN, .uuid = { { 3 } }, .u.seen = { .domid = 1, .shut = true, .reason = 3 } },
    { .type = XHA_OBS_ROUND,
      .u.round = { .r = { .began = { INT64_MAX },
                          .beats_read = true,
                          .xenstore_ok = true,
                          .failed_reads = UINT32_MAX,
                          .lag = { 12 } },
                   .store_ops = 5,
                   .hypercalls = 2 } },
    { .type = XHA_OBS_ROUND,
      .u.round = { .r.xenstore_ok = true, .memory_kib = 1 << 22, .free_kib = 7, .pcpus = 16 } },
    { .type = XHA_OBS_PROBED,
      .uuid = { { 8 } },
      .u.probed = { .domid = 4, .cpu_time_ns = 1000000007, .io_count = 99 } },
};

static void test_pack_and_unpack(void **state)
{
    uint8_t bytes[XHA_OBS_BYTES], again[XHA_OBS_BYTES];
    struct xha_obs obs;

    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
        assert_int_equal(xha_obs_pack(&samples[i], bytes), XHA_OBS_OK);
        assert_int_equal(xha_obs_unpack(bytes, sizeof(bytes), &obs), XHA_OBS_OK);
        assert_int_equal(obs.type, samples[i].type);
        assert_memory_equal(&obs.uuid, &samples[i].uuid, sizeof(obs.uuid));
        assert_int_equal(xha_obs_pack(&obs, again), XHA_OBS_OK);
        assert_memory_equal(bytes, again, sizeof(bytes));
    }
}

static void test_seen_keeps_every_field(void **state)
{
    const struct xha_seen *want = &samples[7].u.seen;
    uint8_t bytes[XHA_OBS_BYTES];
    struct xha_obs obs;

    (void)state;
    assert_int_equal(xha_obs_pack(&samples[7], bytes), XHA_OBS_OK);
    assert_int_equal(xha_obs_unpack(bytes, sizeof(bytes), &obs), XHA_OBS_OK);
    assert_int_equal(obs.u.seen.listed.ms, want->listed.ms);
    assert_int_equal(obs.u.seen.domid, want->domid);
    assert_int_equal(obs.u.seen.reason, want->reason);
    assert_true(obs.u.seen.paused && obs.u.seen.dying && obs.u.seen.shut);
    assert_true(obs.u.seen.beat_read && obs.u.seen.beat_valid);
    assert_true(obs.u.seen.beat == want->beat);
    assert_true(obs.u.seen.cpu_time_ns == want->cpu_time_ns);
}

/* Any byte of any message turned into anything is either refused or gives values in range: no wild bool or
 * enum. */
static void test_unpack_survives_any_byte(void **state)
{
    uint8_t bytes[XHA_OBS_BYTES], again[XHA_OBS_BYTES];
    struct xha_obs obs;

    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
        for (size_t at = 0; at < sizeof(bytes); at++) {
            assert_int_equal(xha_obs_pack(&samples[i], bytes), XHA_OBS_OK);
            bytes[at] ^= 0xa5;
            if (xha_obs_unpack(bytes, sizeof(bytes), &obs) == XHA_OBS_OK)
                assert_int_equal(xha_obs_pack(&obs, again), XHA_OBS_OK);
            if (at < 8)
                assert_true(obs.type == 0 || memcmp(bytes, again, 8) == 0);
        }
    }
}

static void test_unpack_refuses(void **state)
{
    struct xha_obs wrong[] = {
        { .type = XHA_OBS_CONFIG, .u.config.round_interval_ms = 49 },
        { .type = XHA_OBS_CONFIG, .u.config.round_interval_ms = 3600001 },
        { .type = XHA_OBS_TRACK, .u.track.key = "/local/domain/0" },
        { .type = XHA_OBS_PROBE, .u.probe.domid = 0 },
        { .type = XHA_OBS_SEEN, .u.seen.domid = -1 },
        { .type = XHA_OBS_ROUND, .u.round.r.lag = { -1 } },
        { .type = XHA_OBS_READY, .u.ready.version = "4\n17" },
    };
    uint8_t bytes[XHA_OBS_BYTES];
    struct xha_obs obs;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        assert_int_equal(xha_obs_pack(&wrong[i], bytes), XHA_OBS_OK);
        assert_int_equal(xha_obs_unpack(bytes, sizeof(bytes), &obs), XHA_OBS_E_BAD);
    }
    assert_int_equal(xha_obs_pack(&samples[0], bytes), XHA_OBS_OK);
    assert_int_equal(xha_obs_unpack(bytes, sizeof(bytes) - 1, &obs), XHA_OBS_E_BAD);
    assert_int_equal(xha_obs_unpack(bytes, 0, &obs), XHA_OBS_E_BAD);
}

/* Over a real socket: messages keep their borders, strange packets do no harm to those behind them. */
static void test_socket(void **state)
{
    uint8_t packet[XHA_OBS_BYTES + 8] = { 0 };
    struct xha_obs obs;
    int ours, theirs;

    (void)state;
    assert_int_equal(xha_obs_pair(&ours, &theirs), XHA_OBS_OK);
    assert_int_equal(xha_obs_recv(ours, &obs), XHA_OBS_E_AGAIN);
    assert_int_equal(send(theirs, packet, 3, 0), 3);
    assert_int_equal(send(theirs, packet, sizeof(packet), 0), sizeof(packet));
    assert_int_equal(xha_obs_send(theirs, &samples[6]), XHA_OBS_OK);
    assert_int_equal(xha_obs_recv(ours, &obs), XHA_OBS_E_BAD);
    assert_int_equal(xha_obs_recv(ours, &obs), XHA_OBS_E_BAD);
    assert_int_equal(xha_obs_recv(ours, &obs), XHA_OBS_OK);
    assert_string_equal(obs.u.ready.version, "4.17.3");
    assert_string_equal(obs.u.ready.scheduler, "credit2");
    close(theirs);
    assert_int_equal(xha_obs_recv(ours, &obs), XHA_OBS_E_CLOSED);
    assert_int_equal(xha_obs_send(ours, &samples[0]), XHA_OBS_E_CLOSED);
    close(ours);
}

/* A daemon never waits for an observer that does not read. */
static void test_socket_full(void **state)
{
    int ours, theirs, rc, n = 0;

    (void)state;
    assert_int_equal(xha_obs_pair(&ours, &theirs), XHA_OBS_OK);
    while ((rc = xha_obs_send(ours, &samples[1])) == XHA_OBS_OK && n < 1000000)
        n++;
    assert_int_equal(rc, XHA_OBS_E_AGAIN);
    assert_true(n >= 100);
    close(ours);
    close(theirs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_beat_takes_numbers),
        cmocka_unit_test(test_beat_refuses_the_rest),
        cmocka_unit_test(test_key_stays_below_the_domain),
        cmocka_unit_test(test_pack_and_unpack),
        cmocka_unit_test(test_seen_keeps_every_field),
        cmocka_unit_test(test_unpack_survives_any_byte),
        cmocka_unit_test(test_unpack_refuses),
        cmocka_unit_test(test_socket),
        cmocka_unit_test(test_socket_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

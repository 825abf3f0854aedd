/*
 * move/: both ends of a move in one process. What is sent arrives whole or not at all; whoever lacks the key,
 * means another move, or talks nonsense is turned away.
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
#include <gnutls/x509.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/move-ends.h"
#include "tests/unit/move-stream.h"
#include "xhad/base/file.h"
#include "xhad/base/uuid.h"
#include "xhad/move/bytes.h"
#include "xhad/move/limit.h"
#include "xhad/move/net.h"
#include "xhad/move/talk.h"

/* ---- the link ---- */

static void same_key_and_identity_agree(void **state)
{
    struct end ends[2];

    (void)state;
    prepare_ends(ends);
    open_ends(ends);
    for (int i = 0; i < 2; i++) {
        assert_non_null(ends[i].link);
        assert_non_null(xha_link_cipher(ends[i].link));
        assert_int_equal(xha_link_fd(ends[i].link), ends[i].fd);
        xha_link_close(ends[i].link);
    }
}

static void other_key_is_turned_away(void **state)
{
    struct end ends[2];

    (void)state;
    prepare_ends(ends);
    ends[0].key.b[31] ^= 1;
    open_ends(ends);
    assert_null(ends[0].link);
    assert_null(ends[1].link);
    assert_non_null(strstr(ends[0].err, "another cluster key"));
    assert_non_null(strstr(ends[1].err, "another cluster key"));
}

static void other_move_is_turned_away(void **state)
{
    struct end ends[2];

    (void)state;
    prepare_ends(ends);
    ends[0].identity[5] = '2';
    open_ends(ends);
    assert_null(ends[0].link);
    assert_null(ends[1].link);
}

/* Somebody who speaks good TLS 1.3 and has a certificate, which anybody can make. */
static void *be_certified(void *arg)
{
    const struct end *e = arg;
    gnutls_certificate_credentials_t credentials;
    gnutls_session_t session;
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t crt;
    int r;

    gnutls_x509_privkey_init(&key);
    gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    gnutls_x509_crt_init(&crt);
    gnutls_x509_crt_set_version(crt, 3);
    gnutls_x509_crt_set_serial(crt, "\1", 1);
    gnutls_x509_crt_set_activation_time(crt, time(NULL) - 100);
    gnutls_x509_crt_set_expiration_time(crt, time(NULL) + 10000);
    gnutls_x509_crt_set_key(crt, key);
    assert_int_equal(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0), 0);
    gnutls_certificate_allocate_credentials(&credentials);
    gnutls_certificate_set_x509_key(credentials, &crt, 1, key);
    gnutls_init(&session, e->which == XHA_LINK_ACCEPTS ? GNUTLS_SERVER : GNUTLS_CLIENT);
    gnutls_priority_set_direct(session, "NORMAL:-VERS-ALL:+VERS-TLS1.3:+ECDHE-PSK:+DHE-PSK", NULL);
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
    gnutls_transport_set_int(session, e->fd);
    gnutls_handshake_set_timeout(session, PATIENCE_MS);
    do
        r = gnutls_handshake(session);
    while (r < 0 && !gnutls_error_is_fatal(r));
    gnutls_deinit(session);
    gnutls_certificate_free_credentials(credentials);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
    close(e->fd);
    return NULL;
}

static void certificates_are_no_keys(void **state)
{
    (void)state;
    for (int rogue = 0; rogue < 2; rogue++) {
        struct end ends[2];

        prepare_ends(ends);
        fcntl(ends[rogue].fd, F_SETFL, 0);
        assert_int_equal(pthread_create(&ends[rogue].thread, NULL, be_certified, &ends[rogue]), 0);
        open_end(&ends[1 - rogue]);
        assert_null(ends[1 - rogue].link);
        pthread_join(ends[rogue].thread, NULL);
    }
}

static void garbage_instead_of_tls_is_turned_away(void **state)
{
    struct end ends[2];
    char garbage[4096];

    (void)state;
    for (size_t i = 0; i < sizeof(garbage); i++)
        garbage[i] = (char)(i * 31);
    prepare_ends(ends);
    assert_true(write(ends[0].fd, garbage, sizeof(garbage)) > 0);
    assert_null(open_end(&ends[1]));
    assert_null(ends[1].link);
    assert_true(ends[1].err[0] != '\0');
    close(ends[0].fd);
}

static void silent_stranger_is_given_up(void **state)
{
    struct end ends[2];

    (void)state;
    prepare_ends(ends);
    ends[1].patience_ms = 50;
    assert_null(open_end(&ends[1]));
    assert_null(ends[1].link);
    assert_non_null(strstr(ends[1].err, "silent"));
    close(ends[0].fd);
}

/* ---- frames ---- */

static void frames_arrive_in_order(void **state)
{
    struct xha_wire *wires[2];
    struct xha_frame frame = { 0 };
    uint8_t *big = calloc(1, XHA_FRAME_PAYLOAD_MAX);

    (void)state;
    make_wires(wires, PATIENCE_MS);
    for (uint32_t i = 0; i < 200; i++) {
        const size_t len = i % 50 == 0 ? XHA_FRAME_PAYLOAD_MAX - 4 : i;

        while (xha_wire_put(wires[0], XHA_FRAME_DATA, &i, 4, big, len) < 0)
            fail_msg("%s", xha_wire_error(wires[0]));
        do
            assert_int_equal(xha_wire_pump(wires[0], 0, NULL), 0);
        while (xha_wire_pump(wires[1], 0, NULL) == 0 && xha_wire_get(wires[1], &frame) == 0);
        assert_int_equal(frame.type, XHA_FRAME_DATA);
        assert_int_equal(frame.len, len + 4);
        assert_memory_equal(frame.bytes, &i, 4);
    }
    assert_int_equal(xha_wire_queued(wires[0]), 0);
    assert_int_equal(xha_wire_put(wires[0], XHA_FRAME_DATA, big, XHA_FRAME_PAYLOAD_MAX, big, 1), -1);
    free_wires(wires);
    free(big);
}

static void nonsense_frames_fail_the_wire(void **state)
{
    static const uint8_t bad[][8] = {
        { 0, 0, 0, 0, 0, 0, 0, 0 },        /* no type */
        { 0, 0, 0, 0, XHA_FRAME_N_, 0 },   /* unknown */
        { 0, 0, 0, 0, 3, 0, 1, 0 },        /* not zero */
        { 1, 0, 0x10, 0, 3, 0, 0, 0 },     /* one byte too long */
        { 255, 255, 255, 255, 3, 0, 0, 0 } /* much too long */
    };
    struct xha_frame frame = { 0 };
    size_t used;
    char err[128];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(xha_frame_get(bad[i], 8, &frame, &used, err, sizeof(err)), -1);
    assert_int_equal(xha_frame_get(bad[0], 7, &frame, &used, err, sizeof(err)), 0);
}

/* Nobody pumps the other end: no ALIVE comes. */
static void silence_is_noticed(void **state)
{
    struct xha_wire *wires[2];
    struct xha_frame frame = { 0 };

    (void)state;
    make_wires(wires, 100);
    assert_int_equal(xha_wire_await(wires[0], xha_move_now_ms() + PATIENCE_MS, &frame), -1);
    assert_non_null(strstr(xha_wire_error(wires[0]), "silent"));
    free_wires(wires);
}

static void alive_peers_are_borne_with(void **state)
{
    struct xha_wire *wires[2];
    const int64_t until = xha_move_now_ms() + 350;

    (void)state;
    make_wires(wires, 200);
    while (xha_move_now_ms() < until) {
        struct xha_frame frame;

        for (int i = 0; i < 2; i++) {
            assert_int_equal(xha_wire_pump(wires[i], 5, NULL), 0);
            assert_int_equal(xha_wire_get(wires[i], &frame), 0); /* ALIVE is the wire's own */
        }
    }
    free_wires(wires);
}

static bool yes(void *arg)
{
    (void)arg;
    return true;
}

static void told_to_stop_ends_a_wait(void **state)
{
    struct end ends[2];
    struct xha_wire *wire;
    struct xha_frame frame = { 0 };

    (void)state;
    prepare_ends(ends);
    open_ends(ends);
    wire = xha_wire_new(ends[0].link, PATIENCE_MS, &(struct xha_stop){ .asked = yes });
    assert_int_equal(xha_wire_await(wire, INT64_MAX, &frame), -1);
    assert_string_equal(xha_wire_error(wire), "told to stop");
    xha_wire_free(wire);
    xha_link_close(ends[1].link);
}

/* ---- greetings and answers ---- */

static struct xha_hello a_hello(void)
{
    return (struct xha_hello){ .version = XHA_WIRE_VERSION,
                               .kind = XHA_HELLO_DOMAIN,
                               .move_id = 0x123456789abcULL,
                               .memory_kib = 98304,
                               .uuid = { { 1, 2, 3 } },
                               .name = "g1",
                               .mode = "live" };
}

static void greetings_are_read_as_written(void **state)
{
    const struct xha_hello hello = a_hello();
    uint8_t bytes[XHA_HELLO_BYTES];
    struct xha_frame frame = { .type = XHA_FRAME_HELLO, .bytes = bytes, .len = sizeof(bytes) };
    struct xha_hello got;
    char err[256];

    (void)state;
    xha_hello_put(&hello, bytes);
    assert_int_equal(xha_hello_get(&frame, &got, err, sizeof(err)), 0);
    assert_int_equal(got.kind, XHA_HELLO_DOMAIN);
    assert_int_equal(got.move_id, hello.move_id);
    assert_int_equal(got.memory_kib, 98304);
    assert_memory_equal(&got.uuid, &hello.uuid, sizeof(got.uuid));
    assert_string_equal(got.name, "g1");
    assert_string_equal(got.mode, "live");
    memset(bytes + 48, 'x', 64); /* a name without an end */
    assert_int_equal(xha_hello_get(&frame, &got, err, sizeof(err)), -1);
    xha_hello_put(&hello, bytes);
    frame.len--;
    assert_int_equal(xha_hello_get(&frame, &got, err, sizeof(err)), -1);
    bytes[0] = 'X';
    assert_int_equal(xha_hello_get(&frame, &got, err, sizeof(err)), -1);
}

/* A later version may be longer, and is still refused by its number. */
static void unknown_versions_are_refused_by_number(void **state)
{
    uint8_t bytes[XHA_HELLO_BYTES + 100] = { 0 };
    struct xha_frame frame = { .type = XHA_FRAME_HELLO, .bytes = bytes, .len = sizeof(bytes) };
    struct xha_hello hello = a_hello();
    char err[256];

    (void)state;
    hello.version = 42;
    xha_hello_put(&hello, bytes);
    assert_int_equal(xha_hello_get(&frame, &hello, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "version 42"));
    assert_non_null(strstr(err, "version 1"));
}

static void answers_are_fit_to_print(void **state)
{
    struct xha_answer answer = { .kind = XHA_ANSWER_REFUSED,
                                 .refusal = XHA_REFUSAL_NO_MEMORY,
                                 .text = "no\x1b[2Jroom" };
    uint8_t bytes[XHA_ANSWER_BYTES_MAX];
    struct xha_frame frame = { .type = XHA_FRAME_ANSWER, .bytes = bytes };
    struct xha_answer got;

    (void)state;
    frame.len = xha_answer_put(&answer, bytes);
    assert_int_equal(xha_answer_get(&frame, &got), 0);
    assert_int_equal(got.refusal, XHA_REFUSAL_NO_MEMORY);
    assert_string_equal(got.text, "no\\x1b[2Jroom");
    bytes[0] = XHA_ANSWER_KIND_N_;
    assert_int_equal(xha_answer_get(&frame, &got), -1);
    bytes[0] = 0;
    assert_int_equal(xha_answer_get(&frame, &got), -1);
    bytes[0] = 1;
    bytes[1] = XHA_REFUSAL_N_;
    assert_int_equal(xha_answer_get(&frame, &got), -1);
    frame.len = 1;
    assert_int_equal(xha_answer_get(&frame, &got), -1);
}

/* ---- whole streams ---- */

struct reading {
    struct xha_wire *wire;
    const struct made *want;
    size_t quit_at; /* bytes after which the reader gives up; 0: never */
    bool hangs_up;  /* in the end, so that the sender learns of it */
    bool same;
    struct xha_received received;
    pthread_t thread;
};

static void *read_all(void *arg)
{
    struct reading *r = arg;
    struct xha_receive *receive;
    uint8_t bytes[10000];
    size_t have = 0;
    ssize_t n;
    int fd;

    if (xha_receive_start(r->wire, r->want->len, -1, &receive, &fd) < 0)
        return NULL;
    r->same = true;
    while (have < r->want->len && (r->quit_at == 0 || have < r->quit_at) &&
           (n = read(fd, bytes, sizeof(bytes))) > 0) {
        r->same = r->same && have + (size_t)n <= r->want->len &&
                  memcmp(bytes, r->want->bytes + have, (size_t)n) == 0;
        have += (size_t)n;
    }
    r->same = r->same && have == r->want->len;
    xha_receive_finish(receive, have == r->want->len, &r->received);
    if (r->hangs_up)
        xha_wire_free(r->wire);
    return NULL;
}

enum mishap { NONE, NO_TRAILER, WRONG_TRAILER, REST_MISSING };

/* Sends a stream through two wires. */
static void relay(const struct made *m, enum xha_codec codec, enum mishap mishap, struct reading *reading,
                  struct xha_sent *sent_r)
{
    struct xha_wire *wires[2];
    struct xha_send_plan plan = { .codec = codec, .progress_fd = -1 };
    const struct xha_job job = { .id = 1 };
    const struct xha_talk talk = { .job = &job, .until_ms = INT64_MAX };
    const size_t len = mishap == REST_MISSING ? m->len / 2 : m->len;
    struct xha_send *send;
    int fd;

    make_wires(wires, PATIENCE_MS);
    plan.wire = wires[0];
    reading->wire = wires[1];
    reading->want = m;
    assert_int_equal(pthread_create(&reading->thread, NULL, read_all, reading), 0);
    assert_int_equal(xha_send_start(&plan, &send, &fd), 0);
    if (xha_write_all(fd, m->bytes, len) < 0)
        assert_int_equal(errno, EPIPE);
    xha_send_finish(send, sent_r);
    if (mishap == WRONG_TRAILER)
        sent_r->trailer.sum[3] ^= 4;
    if (sent_r->error[0] == '\0' && mishap != NO_TRAILER)
        assert_int_equal(xha_talk_commit(&talk, wires[0], &sent_r->trailer), 0);
    xha_wire_free(wires[0]);
    pthread_join(reading->thread, NULL);
    if (!reading->hangs_up)
        xha_wire_free(wires[1]);
}

static void streams_arrive_whole(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct made m = made_stream(seed, 2, 3000, 60);
        struct reading reading = { .wire = NULL };
        struct xha_sent sent;

        relay(&m, (enum xha_codec)(seed % XHA_CODEC_N_), NONE, &reading, &sent);
        assert_string_equal(sent.error, "");
        assert_true(sent.understood);
        assert_int_equal(sent.raw_bytes, m.len);
        assert_int_equal(sent.pages, m.pages);
        assert_true(sent.wire_bytes < m.len / 2);
        assert_true(reading.same);
        assert_true(reading.received.complete);
        assert_int_equal(reading.received.raw_bytes, m.len);
        free(m.bytes);
    }
}

/* Every byte came, but nobody said that these were all. */
static void without_trailer_nothing_is_complete(void **state)
{
    struct made m = made_stream(7, 1, 1000, 50);
    struct reading reading = { .wire = NULL };
    struct xha_sent sent;

    (void)state;
    relay(&m, XHA_CODEC_LZ4, NO_TRAILER, &reading, &sent);
    assert_true(reading.same);
    assert_false(reading.received.complete);
    assert_true(reading.received.error[0] != '\0');
    free(m.bytes);
}

static void wrong_trailer_is_noticed(void **state)
{
    struct made m = made_stream(8, 1, 1000, 50);
    struct reading reading = { .wire = NULL };
    struct xha_sent sent;

    (void)state;
    relay(&m, XHA_CODEC_LZ4, WRONG_TRAILER, &reading, &sent);
    assert_false(reading.received.complete);
    assert_non_null(strstr(reading.received.error, "not what was sent"));
    free(m.bytes);
}

static void half_a_stream_is_not_complete_for_its_reader(void **state)
{
    struct made m = made_stream(9, 1, 2000, 50);
    struct reading reading = { .wire = NULL };
    struct xha_sent sent;

    (void)state;
    relay(&m, XHA_CODEC_LZ4, REST_MISSING, &reading, &sent);
    assert_false(reading.same);
    free(m.bytes);
}

static void reader_that_gives_up_stops_the_sender(void **state)
{
    struct made m = made_stream(10, 1, 6000, 0);
    struct reading reading = { .quit_at = 100000, .hangs_up = true };
    struct xha_sent sent;

    (void)state;
    relay(&m, XHA_CODEC_NONE, NO_TRAILER, &reading, &sent);
    assert_true(sent.error[0] != '\0');
    assert_false(reading.received.complete);
    free(m.bytes);
}

/* A sender that speaks of something else in the middle of a stream. */
static void frames_out_of_turn_are_refused(void **state)
{
    struct xha_wire *wires[2];
    struct made m = { .bytes = (uint8_t *)"x", .len = 1 };
    struct reading reading = { .want = &m };

    (void)state;
    make_wires(wires, PATIENCE_MS);
    reading.wire = wires[1];
    assert_int_equal(xha_wire_put(wires[0], XHA_FRAME_CONFIG, "{}", 2, NULL, 0), 0);
    assert_int_equal(xha_wire_flush(wires[0], INT64_MAX), 0);
    read_all(&reading);
    assert_non_null(strstr(reading.received.error, "out of turn"));
    free_wires(wires);
}

/* ---- the conversation, over TCP ---- */

struct target {
    struct xha_talk talk;
    struct xha_job job;
    bool refuses;
    char config[64], err[256];
    struct xha_hello hello;
    int progress[2], rc;
    pthread_t thread;
};

static void *be_target(void *arg)
{
    struct target *t = arg;
    struct xha_wire *wire = NULL;
    char *config;

    t->talk.job = &t->job;
    t->rc =
        xha_talk_accept(&t->talk, XHA_HELLO_DOMAIN, t->progress[1], &wire, &t->hello, t->err, sizeof(t->err));
    if (t->rc < 0)
        return NULL;
    config = xha_talk_config(&t->talk, wire, t->err, sizeof(t->err));
    snprintf(t->config, sizeof(t->config), "%s", config ? config : "");
    free(config);
    if (t->refuses)
        xha_talk_answer(&t->talk, wire, XHA_ANSWER_REFUSED, XHA_REFUSAL_NO_MEMORY, "no room");
    else
        xha_talk_answer(&t->talk, wire, XHA_ANSWER_READY, 0, "");
    xha_wire_free(wire);
    return NULL;
}

static const char key_path[] = "test-move.key";

static struct xha_job move_job(void)
{
    struct xha_job job = { .id = 1, .name = "g1" };

    xha_uuid_parse("5eed0000-0000-4000-8000-000000000001", &job.uuid);
    job.move.id = 77;
    snprintf(job.move.bind, sizeof(job.move.bind), "127.0.0.1");
    snprintf(job.move.host, sizeof(job.move.host), "127.0.0.1");
    snprintf(job.move.key_file, sizeof(job.move.key_file), "%s", key_path);
    return job;
}

static uint16_t port_of(int fd)
{
    char line[256], step[32];
    uint64_t done, total;
    ssize_t n = read(fd, line, sizeof(line));

    assert_true(n > 1);
    assert_true(xha_job_progress_parse(line, (size_t)n - 1, step, sizeof(step), &done, &total));
    assert_string_equal(step, "listening");
    assert_int_equal(done, total);
    return (uint16_t)done;
}

static void start_target(struct target *t)
{
    t->job = move_job();
    t->job.move.peer_timeout_s = 2;
    t->talk.until_ms = xha_move_now_ms() + PATIENCE_MS;
    assert_int_equal(pipe(t->progress), 0);
    assert_int_equal(pthread_create(&t->thread, NULL, be_target, t), 0);
}

static void end_target(struct target *t)
{
    pthread_join(t->thread, NULL);
    close(t->progress[0]);
    close(t->progress[1]);
}

static const char hex[] = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F\n";

static int write_key(const char *text, mode_t mode)
{
    assert_int_equal(xha_file_write(key_path, mode, text, strlen(text)), 0);
    return chmod(key_path, mode);
}

static int offer(struct target *t, struct xha_job *job, enum xha_refusal *refusal_r, char *err,
                 size_t err_len)
{
    struct xha_talk talk = { .job = job, .until_ms = xha_move_now_ms() + PATIENCE_MS };
    struct xha_hello hello = { .version = XHA_WIRE_VERSION,
                               .kind = XHA_HELLO_DOMAIN,
                               .move_id = job->move.id,
                               .uuid = job->uuid,
                               .name = "g1" };
    struct xha_wire *wire;
    int rc;

    job->move.port = port_of(t->progress[0]);
    if (xha_talk_connect(&talk, &wire, err, err_len) < 0)
        return -2;
    rc = xha_talk_offer(&talk, wire, &hello, "{\"c_info\":{}}", refusal_r, err, err_len);
    xha_wire_free(wire);
    return rc;
}

static void offers_are_heard(void **state)
{
    struct target t = { .refuses = false };
    struct xha_job job = move_job();
    enum xha_refusal refusal = XHA_REFUSAL_OTHER;
    char err[256];

    (void)state;
    write_key(hex, 0600);
    start_target(&t);
    assert_int_equal(offer(&t, &job, &refusal, err, sizeof(err)), 0);
    end_target(&t);
    assert_int_equal(t.rc, 0);
    assert_string_equal(t.hello.name, "g1");
    assert_string_equal(t.config, "{\"c_info\":{}}");
}

static void refusals_are_heard(void **state)
{
    struct target t = { .refuses = true };
    struct xha_job job = move_job();
    enum xha_refusal refusal = XHA_REFUSAL_OTHER;
    char err[256];

    (void)state;
    write_key(hex, 0600);
    start_target(&t);
    err[0] = '\0';
    assert_int_equal(offer(&t, &job, &refusal, err, sizeof(err)), -1);
    assert_int_equal(refusal, XHA_REFUSAL_NO_MEMORY);
    assert_string_equal(err, "no room");
    end_target(&t);
}

/* A stranger connects first; the receiver goes on listening for its sender. */
static void strangers_do_not_end_the_listening(void **state)
{
    struct target t = { .refuses = false };
    struct xha_job job = move_job(), stranger = move_job();
    struct xha_talk talk = { .job = &stranger, .until_ms = xha_move_now_ms() + PATIENCE_MS };
    struct xha_wire *wire;
    enum xha_refusal refusal = XHA_REFUSAL_OTHER;
    char err[256];
    int fds[2];

    (void)state;
    write_key(hex, 0600);
    start_target(&t);
    stranger.move.id++;
    stranger.move.port = port_of(t.progress[0]);
    assert_int_equal(xha_talk_connect(&talk, &wire, err, sizeof(err)), -1);
    fds[0] = t.progress[0];
    xha_job_progress(t.progress[1], "listening", stranger.move.port, stranger.move.port);
    assert_int_equal(offer(&t, &job, &refusal, err, sizeof(err)), 0);
    assert_int_equal(fds[0], t.progress[0]);
    end_target(&t);
    assert_int_equal(t.rc, 0);
}

/* Whoever connects and says nothing does not keep the receiver from its sender. */
static void silent_connections_are_in_nobodys_way(void **state)
{
    struct target t = { .refuses = false };
    struct xha_job job = move_job();
    enum xha_refusal refusal = XHA_REFUSAL_OTHER;
    char err[256];
    uint16_t port;
    int silent[3];

    (void)state;
    write_key(hex, 0600);
    start_target(&t);
    port = port_of(t.progress[0]);
    for (int i = 0; i < 3; i++) {
        silent[i] = xha_net_connect("127.0.0.1", port, t.talk.until_ms, &never, err, sizeof(err));
        assert_true(silent[i] >= 0);
    }
    xha_job_progress(t.progress[1], "listening", port, port); /* for offer() */
    job.move.peer_timeout_s = 2;
    if (offer(&t, &job, &refusal, err, sizeof(err)) != 0)
        fail_msg("%s", err);
    end_target(&t);
    assert_int_equal(t.rc, 0);
    for (int i = 0; i < 3; i++)
        close(silent[i]);
}

static void taken_ports_are_passed_over(void **state)
{
    char err[256];
    uint16_t port, next;
    int fd = xha_net_listen("127.0.0.1", 0, 0, &port, err, sizeof(err)), other;

    (void)state;
    assert_true(fd >= 0 && port > 0 && port < 65500);
    assert_int_equal(xha_net_listen("127.0.0.1", port, port, &next, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "in use"));
    other = xha_net_listen("127.0.0.1", port, (uint16_t)(port + 30), &next, err, sizeof(err));
    assert_true(other >= 0 && next > port);
    close(fd);
    close(other);
    assert_int_equal(xha_net_listen("not an address", 0, 0, &port, err, sizeof(err)), -1);
}

static void nobody_there_is_said(void **state)
{
    char err[256];

    (void)state;
    assert_int_equal(xha_net_connect("127.0.0.1", 1, xha_move_now_ms() + 10, &never, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "refused"));
}

/* ---- the key ---- */

static void keys_are_read_and_distrusted(void **state)
{
    struct xha_key key, a, b;
    char err[256], identity[XHA_IDENTITY_BYTES];
    const struct xha_uuid uuid = { { 1 } };

    (void)state;
    write_key(hex, 0600);
    assert_int_equal(xha_key_read(key_path, &key, err, sizeof(err)), 0);
    for (int i = 0; i < XHA_KEY_BYTES; i++)
        assert_int_equal(key.b[i], i);
    write_key(hex, 0640);
    assert_int_equal(xha_key_read(key_path, &key, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "chmod 600"));
    write_key("00", 0600);
    assert_int_equal(xha_key_read(key_path, &key, err, sizeof(err)), -1);
    write_key("g00102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F\n", 0600);
    assert_int_equal(xha_key_read(key_path, &key, err, sizeof(err)), -1);
    write_key("000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F00", 0600);
    assert_int_equal(xha_key_read(key_path, &key, err, sizeof(err)), -1);
    assert_int_equal(xha_key_read("/nowhere/at/all", &key, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "/nowhere/at/all"));
    assert_non_null(strstr(err, "xl-ha cluster"));
    assert_int_equal(xha_key_read("/", &key, err, sizeof(err)), -1);

    assert_string_equal(xha_key_identity(12, &uuid, identity),
                        "xhad:12:01000000-0000-0000-0000-000000000000");
    assert_int_equal(xha_key_derive(&key, "xhad:1:x", &a, err, sizeof(err)), 0);
    assert_int_equal(xha_key_derive(&key, "xhad:2:x", &b, err, sizeof(err)), 0);
    assert_memory_not_equal(a.b, b.b, XHA_KEY_BYTES);
    assert_memory_not_equal(a.b, key.b, XHA_KEY_BYTES);
}

/* ---- the limit ---- */

static void limit_is_kept_on_virtual_time(void **state)
{
    struct xha_limit limit;
    uint64_t sent = 0;
    int64_t now = 1000;

    (void)state;
    xha_limit_init(&limit, 1000000, now);
    while (now < 11000) {
        const int64_t wait = xha_limit_wait_ms(&limit, sent, now);

        if (wait > 0)
            now += wait;
        else
            sent += 20000;
    }
    assert_in_range(sent, 9700000, 10300000);
    xha_limit_init(&limit, 0, now);
    assert_int_equal(xha_limit_wait_ms(&limit, UINT64_MAX, now), 0);
}

static void rate_is_over_the_last_seconds(void **state)
{
    struct xha_rate rate = { .n = 0 };
    uint64_t got = 0;

    (void)state;
    for (int i = 0; i <= 400; i++)
        got = xha_rate_add(&rate, i < 200 ? 0 : (uint64_t)(i - 200) * 50000, i * 50);
    assert_in_range(got, 990000, 1010000);
}

static int remove_key(void **state)
{
    (void)state;
    unlink(key_path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_key_and_identity_agree),
        cmocka_unit_test(other_key_is_turned_away),
        cmocka_unit_test(other_move_is_turned_away),
        cmocka_unit_test(certificates_are_no_keys),
        cmocka_unit_test(garbage_instead_of_tls_is_turned_away),
        cmocka_unit_test(silent_stranger_is_given_up),
        cmocka_unit_test(frames_arrive_in_order),
        cmocka_unit_test(nonsense_frames_fail_the_wire),
        cmocka_unit_test(silence_is_noticed),
        cmocka_unit_test(alive_peers_are_borne_with),
        cmocka_unit_test(told_to_stop_ends_a_wait),
        cmocka_unit_test(greetings_are_read_as_written),
        cmocka_unit_test(unknown_versions_are_refused_by_number),
        cmocka_unit_test(answers_are_fit_to_print),
        cmocka_unit_test(streams_arrive_whole),
        cmocka_unit_test(without_trailer_nothing_is_complete),
        cmocka_unit_test(wrong_trailer_is_noticed),
        cmocka_unit_test(half_a_stream_is_not_complete_for_its_reader),
        cmocka_unit_test(reader_that_gives_up_stops_the_sender),
        cmocka_unit_test(frames_out_of_turn_are_refused),
        cmocka_unit_test_teardown(offers_are_heard, remove_key),
        cmocka_unit_test_teardown(refusals_are_heard, remove_key),
        cmocka_unit_test_teardown(strangers_do_not_end_the_listening, remove_key),
        cmocka_unit_test_teardown(silent_connections_are_in_nobodys_way, remove_key),
        cmocka_unit_test(taken_ports_are_passed_over),
        cmocka_unit_test(nobody_there_is_said),
        cmocka_unit_test_teardown(keys_are_read_and_distrusted, remove_key),
        cmocka_unit_test(limit_is_kept_on_virtual_time),
        cmocka_unit_test(rate_is_over_the_last_seconds),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

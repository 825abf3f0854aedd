/*
 * talk.c - see talk.h.
 */
#include "xhad/move/talk.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/uuid.h"
#include "xhad/move/key.h"
#include "xhad/move/net.h"

#include <string.h>

#define CONNECT_MS 30000  /* the receiver may be about to start */
#define LISTEN_MS  60000  /* the sender, too */
#define READY_MS   120000 /* it may have to make room, or wait for memory of the instance before */
#define LINGER_MS  2000
#define HERALD_MS  2000 /* "listening" is said again: an xhad may have been restarted meanwhile */

static int64_t peer_ms(const struct xha_talk *talk)
{
    return talk->job->move.peer_timeout_s > 0 ? (int64_t)talk->job->move.peer_timeout_s * 1000
                                              : XHA_PEER_TIMEOUT_MS;
}

static int64_t within(const struct xha_talk *talk, int64_t wait_ms)
{
    const int64_t until_ms = xha_move_now_ms() + wait_ms;

    return until_ms < talk->until_ms ? until_ms : talk->until_ms;
}

/* ---- the link ---- */

/* What the two ends prove to each other. */
struct proof {
    char identity[XHA_IDENTITY_BYTES];
    struct xha_key key;
};

static void wipe_proof(struct proof *proof)
{
    explicit_bzero(proof, sizeof(*proof));
}

#define WIPED __attribute__((cleanup(wipe_proof)))

static int make_proof(const struct xha_talk *talk, struct proof *proof_r, char *err, size_t err_len)
{
    struct xha_key cluster;
    int r = xha_key_read(talk->job->move.key_file, &cluster, err, err_len);

    xha_key_identity(talk->job->move.id, &talk->job->uuid, proof_r->identity);
    if (r == 0)
        r = xha_key_derive(&cluster, proof_r->identity, &proof_r->key, err, err_len);
    explicit_bzero(&cluster, sizeof(cluster));
    return r;
}

/* A wire over a connected socket, which it owns. */
static int make_wire(const struct xha_talk *talk, int fd, enum xha_link_end end, const struct proof *proof,
                     struct xha_wire **wire_r, char *err, size_t err_len)
{
    struct xha_link *link;

    xha_net_watch(fd, peer_ms(talk));
    if (xha_link_open(fd, end, proof->identity, &proof->key, within(talk, peer_ms(talk)), &talk->stop, &link,
                      err, err_len) < 0)
        return -1;
    *wire_r = xha_wire_new(link, peer_ms(talk), &talk->stop);
    if (*wire_r)
        return 0;
    snprintf(err, err_len, "out of memory");
    return -1;
}

/* ---- the target ---- */

static int check_hello(const struct xha_talk *talk, const struct xha_hello *hello, enum xha_hello_kind kind,
                       char *err, size_t err_len)
{
    if (hello->kind == kind && hello->move_id == talk->job->move.id &&
        xha_uuid_equal(&hello->uuid, &talk->job->uuid))
        return 0;
    snprintf(err, err_len, "the sender means another move");
    return -1;
}

static int greet(const struct xha_talk *talk, struct xha_wire *wire, enum xha_hello_kind kind,
                 struct xha_hello *hello_r, char *err, size_t err_len)
{
    struct xha_frame frame;

    if (xha_wire_await(wire, within(talk, peer_ms(talk)), &frame) < 0) {
        snprintf(err, err_len, "%s", xha_wire_error(wire));
        return -1;
    }
    if (xha_hello_get(&frame, hello_r, err, err_len) == 0 &&
        check_hello(talk, hello_r, kind, err, err_len) == 0)
        return 0;
    xha_talk_answer(talk, wire, XHA_ANSWER_REFUSED, XHA_REFUSAL_UNSUPPORTED, err);
    return -1;
}

/* Says where we listen as long as somebody is waited for; it is asked whether to stop often enough. */
struct herald {
    const struct xha_stop *stop;
    int fd;
    uint16_t port;
    int64_t said_ms;
};

static void say_port(struct herald *h, int64_t now_ms)
{
    xha_job_progress(h->fd, "listening", h->port, h->port);
    h->said_ms = now_ms;
}

static bool asked_and_said(void *arg)
{
    struct herald *h = arg;
    const int64_t now_ms = xha_move_now_ms();

    if (now_ms - h->said_ms >= HERALD_MS)
        say_port(h, now_ms);
    return xha_stop_asked(h->stop);
}

int xha_talk_accept(const struct xha_talk *talk, enum xha_hello_kind kind, int progress_fd,
                    struct xha_wire **wire_r, struct xha_hello *hello_r, char *err, size_t err_len)
{
    const struct xha_job_move *move = &talk->job->move;
    XHA_CLEANUP_CLOSE int listen_fd = -1;
    const int64_t until_ms = within(talk, LISTEN_MS);
    char peer[XHA_ADDRESS_TEXT];
    WIPED struct proof proof;
    struct herald herald = { .stop = &talk->stop, .fd = progress_fd };
    const struct xha_stop stop = { .asked = asked_and_said, .arg = &herald };

    if (make_proof(talk, &proof, err, err_len) < 0)
        return -1;
    listen_fd = xha_net_listen(move->bind, move->port, move->port_last, &herald.port, err, err_len);
    if (listen_fd < 0)
        return -1;
    say_port(&herald, xha_move_now_ms());
    for (;;) {
        struct xha_wire *wire;
        int fd = xha_net_accept(listen_fd, until_ms, &stop, peer, err, err_len);

        if (fd < 0)
            return -1;
        if (make_wire(talk, fd, XHA_LINK_ACCEPTS, &proof, &wire, err, err_len) < 0) {
            fprintf(stderr, "turned %s away: %s\n", peer, err);
            continue;
        }
        if (greet(talk, wire, kind, hello_r, err, err_len) < 0) { /* it knew the key, so it is our sender */
            xha_wire_free(wire);
            return -1;
        }
        *wire_r = wire;
        return 0;
    }
}

char *xha_talk_config(const struct xha_talk *talk, struct xha_wire *wire, char *err, size_t err_len)
{
    struct xha_frame frame;
    char *json;

    if (xha_wire_await(wire, within(talk, peer_ms(talk)), &frame) < 0) {
        snprintf(err, err_len, "%s", xha_wire_error(wire));
        return NULL;
    }
    json = frame.type == XHA_FRAME_CONFIG && !memchr(frame.bytes, 0, frame.len)
               ? strndup((const char *)frame.bytes, frame.len)
               : NULL;
    if (!json)
        snprintf(err, err_len, "the sender sent no configuration");
    return json;
}

void xha_talk_answer(const struct xha_talk *talk, struct xha_wire *wire, enum xha_answer_kind kind,
                     enum xha_refusal refusal, const char *text)
{
    struct xha_answer answer = { .kind = kind, .refusal = refusal };
    uint8_t bytes[XHA_ANSWER_BYTES_MAX];
    int64_t until_ms;

    snprintf(answer.text, sizeof(answer.text), "%s", text);
    if (xha_wire_put(wire, XHA_FRAME_ANSWER, bytes, xha_answer_put(&answer, bytes), NULL, 0) < 0 ||
        xha_wire_flush(wire, within(talk, peer_ms(talk))) < 0)
        return;
    until_ms = xha_move_now_ms() + LINGER_MS;
    if (kind == XHA_ANSWER_DONE || kind == XHA_ANSWER_REFUSED) {
        struct xha_frame ignored;

        while (xha_move_now_ms() < until_ms && xha_wire_pump(wire, 100, NULL) == 0)
            while (xha_wire_get(wire, &ignored) > 0)
                ;
    }
}

/* ---- the source ---- */

int xha_talk_connect(const struct xha_talk *talk, struct xha_wire **wire_r, char *err, size_t err_len)
{
    const struct xha_job_move *move = &talk->job->move;
    WIPED struct proof proof;
    int fd;

    if (make_proof(talk, &proof, err, err_len) < 0)
        return -1;
    fd = xha_net_connect(move->host, move->port, within(talk, CONNECT_MS), &talk->stop, err, err_len);
    return fd < 0 ? -1 : make_wire(talk, fd, XHA_LINK_CONNECTS, &proof, wire_r, err, err_len);
}

int xha_talk_await(const struct xha_talk *talk, struct xha_wire *wire, int64_t wait_ms,
                   struct xha_answer *answer_r, char *err, size_t err_len)
{
    struct xha_frame frame;

    do {
        if (xha_wire_await(wire, within(talk, wait_ms), &frame) < 0) {
            snprintf(err, err_len, "%s", xha_wire_error(wire));
            return -1;
        }
    } while (frame.type == XHA_FRAME_PROGRESS);
    if (xha_answer_get(&frame, answer_r) == 0)
        return 0;
    snprintf(err, err_len, "the receiver answered out of turn");
    return -1;
}

int xha_talk_offer(const struct xha_talk *talk, struct xha_wire *wire, const struct xha_hello *hello,
                   const char *config_json, enum xha_refusal *refusal_r, char *err, size_t err_len)
{
    uint8_t bytes[XHA_HELLO_BYTES];
    struct xha_answer answer;

    *refusal_r = XHA_REFUSAL_OTHER;
    xha_hello_put(hello, bytes);
    if (xha_wire_put(wire, XHA_FRAME_HELLO, bytes, sizeof(bytes), NULL, 0) < 0 ||
        (config_json &&
         xha_wire_put(wire, XHA_FRAME_CONFIG, config_json, strlen(config_json), NULL, 0) < 0)) {
        snprintf(err, err_len, "%s", xha_wire_error(wire));
        return -1;
    }
    xha_wire_bear(wire, READY_MS);
    if (xha_talk_await(talk, wire, READY_MS, &answer, err, err_len) < 0)
        return -1;
    xha_wire_bear(wire, peer_ms(talk));
    if (answer.kind == XHA_ANSWER_READY)
        return 0;
    *refusal_r = answer.refusal;
    snprintf(err, err_len, "%s",
             answer.kind == XHA_ANSWER_REFUSED ? answer.text : "the receiver answered out of turn");
    return -1;
}

int xha_talk_commit(const struct xha_talk *talk, struct xha_wire *wire, const struct xha_trailer *trailer)
{
    uint8_t bytes[XHA_TRAILER_BYTES];

    xha_trailer_put(trailer, bytes);
    if (xha_wire_put(wire, XHA_FRAME_TRAILER, bytes, sizeof(bytes), NULL, 0) < 0)
        return -1;
    if (xha_wire_flush(wire, within(talk, peer_ms(talk))) == 0 || xha_wire_queued(wire) == 0)
        return 0; /* a peer that hung up behind it may have read it */
    return -1;
}

/*
 * send.c - the sending side of relay.h.
 */
#include "xhad/move/relay.h"
#include "xhad/base/cleanup.h"
#include "xhad/move/filter.h"
#include "xhad/move/limit.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <xxhash.h>

#define READ_BYTES  (256u << 10)
#define QUEUE_BYTES (512u << 10) /* waiting on the wire; then no more is read */
#define IDLE_MS     10           /* a stream that pauses for so long is sent as far as it goes */
#define TICK_MS     100
#define TELL_MS     500

struct xha_send {
    struct xha_send_plan plan;
    pthread_t thread;
    int read_fd, write_fd;
    bool stream_ended;
    struct xha_packer *packer;
    struct xha_filter *filter;
    XXH3_state_t *hash;
    uint8_t *bytes, *chunk;
    uint64_t sent_before; /* by the wire, when we began */
    struct xha_limit limit;
    struct xha_rate wire_rate, page_rate;
    int64_t told_ms;
    struct xha_sent sent;
};

static void fail(struct xha_send *s, const char *why)
{
    if (s->sent.error[0] == '\0')
        snprintf(s->sent.error, sizeof(s->sent.error), "%s", why);
}

/* ---- from the stream to the wire ---- */

static int put_chunk(struct xha_send *s, bool all)
{
    const size_t len = xha_filter_take(s->filter, all, s->chunk);

    if (len > 0 && xha_wire_put(s->plan.wire, XHA_FRAME_DATA, s->chunk, len, NULL, 0) < 0) {
        fail(s, xha_wire_error(s->plan.wire));
        return -1;
    }
    return 0;
}

static int feed(struct xha_send *s, size_t len)
{
    XXH3_128bits_update(s->hash, s->bytes, len);
    for (size_t at = 0; at < len;) {
        at += xha_filter_feed(s->filter, s->bytes + at, len - at);
        if (xha_filter_is_full(s->filter) && put_chunk(s, false) < 0)
            return -1;
    }
    return 0;
}

static int read_stream(struct xha_send *s)
{
    const ssize_t n = read(s->read_fd, s->bytes, READ_BYTES);

    if (n > 0)
        return feed(s, (size_t)n);
    if (n == 0) {
        s->stream_ended = true;
        return put_chunk(s, true);
    }
    if (errno == EAGAIN || errno == EINTR)
        return 0;
    fail(s, strerror(errno));
    return -1;
}

/* ---- what the receiver says meanwhile ---- */

/* It may refuse at any time; anything else but progress is out of place. */
static void listen_to(struct xha_send *s)
{
    struct xha_answer answer;
    struct xha_frame frame;
    int r;

    while ((r = xha_wire_get(s->plan.wire, &frame)) > 0) {
        if (frame.type == XHA_FRAME_PROGRESS)
            continue;
        if (xha_answer_get(&frame, &answer) == 0 && answer.kind == XHA_ANSWER_REFUSED) {
            s->sent.error[0] = '\0'; /* the wire's own complaint comes from this */
            s->sent.refused = true;
            s->sent.refusal = answer.refusal;
            fail(s, answer.text);
        } else {
            fail(s, "the receiver answered out of turn");
        }
        return;
    }
    if (r < 0)
        fail(s, xha_wire_error(s->plan.wire));
}

/* ---- progress ---- */

static void tell(struct xha_send *s, int64_t now)
{
    const struct xha_filter_seen *seen = xha_filter_seen(s->filter);
    const uint64_t total = s->plan.total_pages > 0 ? s->plan.total_pages : seen->pages;
    const uint64_t wire = xha_wire_sent(s->plan.wire) - s->sent_before;
    const uint64_t done = seen->round > 1 || seen->pages > total ? total : seen->pages;
    const uint64_t pages_per_s = xha_rate_add(&s->page_rate, seen->pages, now);
    struct xha_job_pace pace = { .wire_bytes = wire, .round = seen->round, .eta_ms = -1 };

    pace.bytes_per_s = xha_rate_add(&s->wire_rate, wire, now);
    if (pages_per_s > 0)
        pace.eta_ms = (int64_t)((total - done) * 1000 / pages_per_s);
    s->told_ms = now;
    xha_job_progress_pace(s->plan.progress_fd, "memory", done, total, &pace);
}

/* ---- the thread ---- */

/* Whether the stream may be read now; else for how long not. */
static bool may_read(struct xha_send *s, int64_t now, int *wait_ms_r)
{
    const int64_t held_ms = xha_limit_wait_ms(&s->limit, xha_wire_sent(s->plan.wire) - s->sent_before, now);

    *wait_ms_r = held_ms > 0 && held_ms < TICK_MS ? (int)held_ms : TICK_MS;
    return held_ms == 0 && !s->stream_ended && xha_wire_queued(s->plan.wire) < QUEUE_BYTES;
}

/* One turn: 1 when all is sent. */
static int turn(struct xha_send *s)
{
    struct xha_also stream = { .fd = -1, .events = POLLIN };
    const int64_t now = xha_move_now_ms();
    const bool idle = xha_wire_queued(s->plan.wire) == 0;
    int wait_ms;
    bool reads = may_read(s, now, &wait_ms);

    if (reads) {
        stream.fd = s->read_fd;
        if (idle)
            wait_ms = IDLE_MS;
    }
    if (xha_wire_pump(s->plan.wire, wait_ms, &stream) < 0) {
        fail(s, xha_wire_error(s->plan.wire));
        listen_to(s);
        return -1;
    }
    listen_to(s);
    if (s->sent.error[0] != '\0')
        return -1;
    if (stream.ready ? read_stream(s) < 0 : reads && idle && put_chunk(s, false) < 0)
        return -1;
    if (s->plan.progress_fd >= 0 && now - s->told_ms >= TELL_MS)
        tell(s, now);
    return s->stream_ended && xha_wire_queued(s->plan.wire) == 0;
}

static void *run(void *arg)
{
    struct xha_send *s = arg;

    while (turn(s) == 0)
        ;
    close(xha_steal_fd(&s->read_fd)); /* after a failure, whoever writes learns it by this */
    return NULL;
}

/* ---- from outside ---- */

static void send_free(struct xha_send *s)
{
    if (s->read_fd >= 0)
        close(s->read_fd);
    if (s->write_fd >= 0)
        close(s->write_fd);
    xha_filter_free(s->filter);
    xha_packer_free(s->packer);
    XXH3_freeState(s->hash);
    free(s->bytes);
    free(s->chunk);
    free(s);
}

static int prepare(struct xha_send *s)
{
    int fds[2];

    s->packer = xha_packer_new(s->plan.codec);
    s->filter = s->packer ? xha_filter_new(XHA_FILTER_STREAM, s->packer) : NULL;
    s->hash = XXH3_createState();
    s->bytes = malloc(READ_BYTES);
    s->chunk = malloc(XHA_CHUNK_BYTES_MAX);
    if (!s->filter || !s->hash || !s->bytes || !s->chunk) {
        errno = ENOMEM;
        return -1;
    }
    XXH3_128bits_reset(s->hash);
    s->sent_before = xha_wire_sent(s->plan.wire);
    s->told_ms = xha_move_now_ms();
    xha_limit_init(&s->limit, s->plan.limit_bps, s->told_ms);
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -1;
    s->read_fd = fds[0];
    s->write_fd = fds[1];
    (void)fcntl(s->write_fd, F_SETPIPE_SZ, 1 << 20); /* fewer turns; not a must */
    return fcntl(s->read_fd, F_SETFL, O_NONBLOCK);
}

int xha_send_start(const struct xha_send_plan *plan, struct xha_send **send_r, int *stream_fd_r)
{
    struct xha_send *s = calloc(1, sizeof(*s));
    sigset_t all, before;
    int r;

    if (!s)
        return -1;
    s->plan = *plan;
    s->read_fd = s->write_fd = -1;
    r = prepare(s) < 0 ? errno : 0;
    if (r == 0) {
        sigfillset(&all); /* signals are the main thread's */
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_create(&s->thread, NULL, run, s);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    if (r != 0) {
        send_free(s);
        errno = r;
        return -1;
    }
    *send_r = s;
    *stream_fd_r = s->write_fd;
    return 0;
}

void xha_send_finish(struct xha_send *s, struct xha_sent *sent_r)
{
    const struct xha_filter_seen *seen = xha_filter_seen(s->filter);
    XXH128_canonical_t sum;

    close(xha_steal_fd(&s->write_fd));
    pthread_join(s->thread, NULL);
    s->sent.raw_bytes = s->sent.trailer.bytes = seen->bytes;
    s->sent.wire_bytes = xha_wire_sent(s->plan.wire) - s->sent_before;
    s->sent.pages = seen->pages;
    s->sent.zero_pages = seen->zero_pages;
    s->sent.rounds = seen->round;
    s->sent.understood = seen->understood;
    XXH128_canonicalFromHash(&sum, XXH3_128bits_digest(s->hash));
    memcpy(s->sent.trailer.sum, sum.digest, sizeof(s->sent.trailer.sum));
    *sent_r = s->sent;
    send_free(s);
}

/*
 * receive.c - the receiving side of relay.h.
 */
#include "xhad/move/relay.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include "xhad/move/limit.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <xxhash.h>

#define TICK_MS 100
#define TELL_MS 500

struct xha_receive {
    struct xha_wire *wire;
    pthread_t thread;
    int read_fd, write_fd;
    atomic_bool reader_done, reader_well;
    struct xha_packer *packer;
    XXH3_state_t *hash;
    uint64_t received_before, total_bytes;
    int progress_fd;
    int64_t told_ms;
    struct xha_rate rate;
    struct xha_received received;
};

static const uint8_t zeros[65536];

static void fail(struct xha_receive *r, const char *why)
{
    if (r->received.error[0] == '\0')
        snprintf(r->received.error, sizeof(r->received.error), "%s", why);
}

/* ---- from the wire to the stream ---- */

/* Writes all of it, and goes on saying that we are alive while the reader is busy. */
static int write_stream(struct xha_receive *r, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        struct pollfd p = { .fd = r->write_fd, .events = POLLOUT };
        const ssize_t n = write(r->write_fd, bytes, len);

        if (n >= 0) {
            bytes += n;
            len -= (size_t)n;
            continue;
        }
        if (errno != EAGAIN && errno != EINTR) {
            fail(r, errno == EPIPE ? "the stream goes on where it should have ended" : strerror(errno));
            return 1;
        }
        xha_wire_breathe(r->wire);
        if (xha_wire_stopped(r->wire)) {
            fail(r, "told to stop");
            return 1;
        }
        poll(&p, 1, TICK_MS);
    }
    return 0;
}

static int take_piece(void *arg, const uint8_t *bytes, size_t len)
{
    struct xha_receive *r = arg;

    r->received.raw_bytes += len;
    while (len > 0) {
        const size_t n = bytes || len < sizeof(zeros) ? len : sizeof(zeros);
        const uint8_t *from = bytes ? bytes : zeros;

        XXH3_128bits_update(r->hash, from, n);
        if (write_stream(r, from, n) != 0)
            return 1;
        len -= n;
    }
    return 0;
}

static void take_trailer(struct xha_receive *r, const struct xha_frame *frame)
{
    struct xha_trailer trailer;
    XXH128_canonical_t sum;

    XXH128_canonicalFromHash(&sum, XXH3_128bits_digest(r->hash));
    if (xha_trailer_get(frame, &trailer) < 0 || trailer.bytes != r->received.raw_bytes ||
        memcmp(trailer.sum, sum.digest, sizeof(trailer.sum)) != 0)
        fail(r, "what was received is not what was sent");
    else
        r->received.complete = true;
    close(xha_steal_fd(&r->write_fd));
}

static void tell(struct xha_receive *r)
{
    const int64_t now = xha_move_now_ms();
    struct xha_job_pace pace = { .eta_ms = -1 };

    if (r->progress_fd < 0 || now - r->told_ms < TELL_MS)
        return;
    r->told_ms = now;
    pace.wire_bytes = xha_wire_received(r->wire) - r->received_before;
    pace.bytes_per_s = xha_rate_add(&r->rate, pace.wire_bytes, now);
    xha_job_progress_pace(r->progress_fd, "memory",
                          r->received.raw_bytes < r->total_bytes ? r->received.raw_bytes : r->total_bytes,
                          r->total_bytes, &pace);
}

static void take_frames(struct xha_receive *r)
{
    struct xha_frame frame;
    char err[160];
    int got;

    while (r->received.error[0] == '\0' && (got = xha_wire_get(r->wire, &frame)) != 0) {
        if (got < 0)
            fail(r, xha_wire_error(r->wire));
        else if (r->received.complete)
            fail(r, "the sender goes on behind the end");
        else if (frame.type == XHA_FRAME_TRAILER)
            take_trailer(r, &frame);
        else if (frame.type == XHA_FRAME_DATA) {
            if (xha_chunk_unpack(r->packer, frame.bytes, frame.len, take_piece, r, err, sizeof(err)) < 0)
                fail(r, err);
            tell(r);
        } else if (frame.type != XHA_FRAME_PROGRESS) {
            fail(r, "the sender spoke out of turn");
        }
    }
}

/* ---- the thread ---- */

/* Until the reader is done, which is long after the last byte; the peer is told meanwhile that we live. */
static void *run(void *arg)
{
    struct xha_receive *r = arg;

    for (;;) {
        const bool done = atomic_load(&r->reader_done);

        if (done && (r->received.complete || !atomic_load(&r->reader_well)))
            break;
        if (xha_wire_pump(r->wire, done ? 10 : TICK_MS, NULL) < 0)
            fail(r, xha_wire_error(r->wire));
        take_frames(r);
        if (r->received.error[0] != '\0' || r->received.complete) {
            if (r->write_fd >= 0)
                close(xha_steal_fd(&r->write_fd));
            if (r->received.error[0] != '\0')
                break;
        }
    }
    return NULL;
}

/* ---- from outside ---- */

static void receive_free(struct xha_receive *r)
{
    if (r->read_fd >= 0)
        close(r->read_fd);
    if (r->write_fd >= 0)
        close(r->write_fd);
    xha_packer_free(r->packer);
    XXH3_freeState(r->hash);
    free(r);
}

static int prepare(struct xha_receive *r)
{
    int fds[2];

    r->packer = xha_packer_new(XHA_CODEC_NONE);
    r->hash = XXH3_createState();
    if (!r->packer || !r->hash) {
        errno = ENOMEM;
        return -1;
    }
    XXH3_128bits_reset(r->hash);
    r->received_before = xha_wire_received(r->wire);
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -1;
    r->read_fd = fds[0];
    r->write_fd = fds[1];
    (void)fcntl(r->write_fd, F_SETPIPE_SZ, 1 << 20);
    return fcntl(r->write_fd, F_SETFL, O_NONBLOCK);
}

int xha_receive_start(struct xha_wire *wire, uint64_t total_bytes, int progress_fd,
                      struct xha_receive **receive_r, int *stream_fd_r)
{
    struct xha_receive *r = calloc(1, sizeof(*r));
    sigset_t all, before;
    int error;

    if (!r)
        return -1;
    r->wire = wire;
    r->total_bytes = total_bytes;
    r->progress_fd = progress_fd;
    r->read_fd = r->write_fd = -1;
    error = prepare(r) < 0 ? errno : 0;
    if (error == 0) {
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        error = pthread_create(&r->thread, NULL, run, r);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    if (error != 0) {
        receive_free(r);
        errno = error;
        return -1;
    }
    *receive_r = r;
    *stream_fd_r = r->read_fd;
    return 0;
}

void xha_receive_finish(struct xha_receive *r, bool well, struct xha_received *received_r)
{
    close(xha_steal_fd(&r->read_fd));
    atomic_store(&r->reader_well, well);
    atomic_store(&r->reader_done, true);
    pthread_join(r->thread, NULL);
    r->received.wire_bytes = xha_wire_received(r->wire) - r->received_before;
    *received_r = r->received;
    receive_free(r);
}

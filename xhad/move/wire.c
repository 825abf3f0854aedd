/*
 * wire.c - see wire.h.
 */
#include "xhad/move/wire.h"
#include "xhad/move/pulse.h"
#include "xhad/base/cleanup.h"

#include <poll.h>
#include <string.h>

#define TICK_MS   100
#define IN_BYTES  (XHA_FRAME_HEADER + XHA_FRAME_PAYLOAD_MAX)
#define OUT_BYTES (4u << 20)

struct xha_wire {
    struct xha_link *link;
    struct xha_stop stop;
    char error[256]; /* "" while all is well */

    uint8_t *out; /* [out_at, out_end) waits to be sent */
    size_t out_at, out_end, out_size;
    uint8_t *in; /* [in_at, in_end) waits to be taken */
    size_t in_at, in_end;

    struct xha_pulse pulse;
    uint64_t sent, received;
};

struct xha_wire *xha_wire_new(struct xha_link *link, int64_t peer_timeout_ms, const struct xha_stop *stop)
{
    struct xha_wire *w = calloc(1, sizeof(*w));

    if (w)
        w->in = malloc(IN_BYTES);
    if (!w || !w->in) {
        xha_link_close(link);
        free(w);
        return NULL;
    }
    w->link = link;
    w->stop = *stop;
    xha_pulse_init(&w->pulse, peer_timeout_ms, xha_move_now_ms());
    return w;
}

void xha_wire_free(struct xha_wire *wire)
{
    if (!wire)
        return;
    xha_link_close(wire->link);
    free(wire->in);
    free(wire->out);
    free(wire);
}

static int fail(struct xha_wire *w, const char *why)
{
    if (w->error[0] == '\0')
        snprintf(w->error, sizeof(w->error), "%s", why);
    return -1;
}

/* ---- out ---- */

/* Room for len more bytes behind out_end. */
static int make_room(struct xha_wire *w, size_t len)
{
    size_t used = w->out_end - w->out_at, size = w->out_size ? w->out_size : 65536;
    uint8_t *bigger;

    if (w->out_size - w->out_end >= len)
        return 0;
    if (used + len > OUT_BYTES)
        return fail(w, "more is to be sent than the wire holds");
    if (w->out_at > 0)
        memmove(w->out, w->out + w->out_at, used);
    w->out_at = 0;
    w->out_end = used;
    while (size < used + len)
        size *= 2;
    if (size <= w->out_size)
        return 0;
    bigger = realloc(w->out, size);
    if (!bigger)
        return fail(w, "out of memory");
    w->out = bigger;
    w->out_size = size;
    return 0;
}

static void append(struct xha_wire *w, const void *bytes, size_t len)
{
    if (len > 0)
        memcpy(w->out + w->out_end, bytes, len);
    w->out_end += len;
}

int xha_wire_put(struct xha_wire *wire, enum xha_frame_type type, const void *a, size_t a_len, const void *b,
                 size_t b_len)
{
    uint8_t header[XHA_FRAME_HEADER];

    if (a_len + b_len > XHA_FRAME_PAYLOAD_MAX)
        return fail(wire, "a frame is too long to be sent");
    if (wire->error[0] != '\0' || make_room(wire, sizeof(header) + a_len + b_len) < 0)
        return -1;
    xha_frame_header_put(header, type, a_len + b_len);
    append(wire, header, sizeof(header));
    append(wire, a, a_len);
    append(wire, b, b_len);
    xha_pulse_said(&wire->pulse, xha_move_now_ms());
    return 0;
}

size_t xha_wire_queued(const struct xha_wire *wire)
{
    return wire->out_end - wire->out_at;
}

void xha_wire_bear(struct xha_wire *wire, int64_t silence_ms)
{
    xha_pulse_bear(&wire->pulse, silence_ms);
}

void xha_wire_pace(struct xha_wire *wire, int64_t peer_timeout_ms)
{
    xha_pulse_init(&wire->pulse, peer_timeout_ms, xha_move_now_ms());
}

static int send_some(struct xha_wire *w)
{
    while (w->out_at < w->out_end) {
        char err[160];
        ssize_t n = xha_link_send(w->link, w->out + w->out_at, w->out_end - w->out_at, err, sizeof(err));

        if (n < 0)
            return fail(w, err);
        if (n == 0)
            break;
        w->out_at += (size_t)n;
        w->sent += (uint64_t)n;
    }
    return 0;
}

static int beat(struct xha_wire *w)
{
    if (xha_wire_queued(w) == 0 && xha_pulse_is_due(&w->pulse, xha_move_now_ms()))
        return xha_wire_put(w, XHA_FRAME_ALIVE, NULL, 0, NULL, 0);
    return 0;
}

void xha_wire_breathe(struct xha_wire *wire)
{
    if (wire->error[0] == '\0' && beat(wire) == 0)
        send_some(wire);
}

bool xha_wire_stopped(const struct xha_wire *wire)
{
    return xha_stop_asked(&wire->stop);
}

/* ---- in ---- */

static int receive_some(struct xha_wire *w, bool *any_r)
{
    *any_r = false;
    if (w->in_at > 0) {
        memmove(w->in, w->in + w->in_at, w->in_end - w->in_at);
        w->in_end -= w->in_at;
        w->in_at = 0;
    }
    while (w->in_end < IN_BYTES) {
        char err[160];
        ssize_t n = xha_link_receive(w->link, w->in + w->in_end, IN_BYTES - w->in_end, err, sizeof(err));

        if (n < 0 && *any_r)
            return 0; /* first what it said last; the next pump fails */
        if (n < 0)
            return fail(w, err);
        if (n == 0)
            break;
        *any_r = true;
        w->in_end += (size_t)n;
        w->received += (uint64_t)n;
    }
    return 0;
}

int xha_wire_get(struct xha_wire *wire, struct xha_frame *frame_r)
{
    for (;;) {
        char err[160];
        size_t used;
        int r = xha_frame_get(wire->in + wire->in_at, wire->in_end - wire->in_at, frame_r, &used, err,
                              sizeof(err));

        if (r < 0)
            return fail(wire, err);
        if (r == 0)
            return 0;
        wire->in_at += used;
        if (frame_r->type != XHA_FRAME_ALIVE)
            return 1;
    }
}

/* ---- both ---- */

static int min(int64_t a, int b)
{
    return a < b ? (int)a : b;
}

/* Waits for the socket or for the other descriptor. */
static int wait_for_work(struct xha_wire *w, int wait_ms, struct xha_also *also)
{
    struct pollfd p[1 + XHA_ALSO_MAX] = { { .fd = xha_link_fd(w->link), .events = POLLIN } };
    nfds_t n = 1;
    const int64_t began = xha_move_now_ms();

    wait_ms =
        min(xha_wire_queued(w) > 0 ? TICK_MS : xha_pulse_wait_ms(&w->pulse, began), min(wait_ms, TICK_MS));
    if (xha_wire_queued(w) > 0)
        p[0].events |= POLLOUT;
    if (xha_link_pending(w->link) > 0 && w->in_end - w->in_at < IN_BYTES)
        wait_ms = 0;
    else if (w->in_end - w->in_at == IN_BYTES)
        p[0].events &= ~POLLIN;
    for (const struct xha_also *a = also; a && n <= XHA_ALSO_MAX; a = a->next)
        p[n++] = (struct pollfd){ .fd = a->fd, .events = a->events };
    if (poll(p, n, wait_ms) < 0) {
        if (errno != EINTR)
            return fail(w, strerror(errno));
        n = 1;
    }
    for (nfds_t i = 1; i < n; i++, also = also->next)
        also->ready = p[i].revents != 0;
    xha_pulse_listened(&w->pulse, wait_ms, began, xha_move_now_ms());
    return 0;
}

int xha_wire_pump(struct xha_wire *wire, int wait_ms, struct xha_also *also)
{
    bool any;

    for (struct xha_also *a = also; a; a = a->next)
        a->ready = false;
    if (wire->error[0] != '\0')
        return -1;
    if (xha_stop_asked(&wire->stop))
        return fail(wire, "told to stop");
    if (beat(wire) < 0 || send_some(wire) < 0 || wait_for_work(wire, wait_ms, also) < 0 ||
        send_some(wire) < 0 || receive_some(wire, &any) < 0)
        return -1;
    if (any || wire->in_end == IN_BYTES)
        xha_pulse_heard(&wire->pulse);
    if (xha_pulse_is_gone(&wire->pulse))
        return fail(wire, "the peer has fallen silent");
    return 0;
}

int xha_wire_flush(struct xha_wire *wire, int64_t until_ms)
{
    while (xha_wire_queued(wire) > 0) {
        if (xha_wire_pump(wire, TICK_MS, NULL) < 0)
            return -1;
        if (xha_wire_queued(wire) > 0 && xha_move_now_ms() >= until_ms)
            return fail(wire, "the peer took too long");
    }
    return 0;
}

int xha_wire_await(struct xha_wire *wire, int64_t until_ms, struct xha_frame *frame_r)
{
    for (;;) {
        int r = xha_wire_get(wire, frame_r);

        if (r != 0)
            return r < 0 ? -1 : 0;
        if (xha_move_now_ms() >= until_ms)
            return fail(wire, "the peer took too long");
        if (xha_wire_pump(wire, TICK_MS, NULL) < 0)
            return -1;
    }
}

bool xha_wire_failed(const struct xha_wire *wire)
{
    return wire->error[0] != '\0';
}

const char *xha_wire_error(const struct xha_wire *wire)
{
    return wire->error[0] != '\0' ? wire->error : "nothing is wrong with the wire";
}

uint64_t xha_wire_sent(const struct xha_wire *wire)
{
    return wire->sent;
}

uint64_t xha_wire_received(const struct xha_wire *wire)
{
    return wire->received;
}

const struct xha_link *xha_wire_link(const struct xha_wire *wire)
{
    return wire->link;
}

/*
 * watch.c - the messages of watch.h.
 */
#include "xhad/base/watch.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "xhad/base/text.h"

#define WATCH_MAGIC   0x77414858u /* "XHAw" */
#define WATCH_VERSION 1

struct wire {
    uint32_t magic;
    uint16_t version, type;
    uint32_t seq, id, seconds, taken_over;
    int64_t ms;
    char text[XHA_WATCH_TEXT_MAX];
};

static_assert(sizeof(struct wire) == 32 + XHA_WATCH_TEXT_MAX, "no holes");

int64_t xha_watch_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int xha_watch_send(int fd, const struct xha_watch_msg *msg)
{
    struct wire w = {
        .magic = WATCH_MAGIC,
        .version = WATCH_VERSION,
        .type = (uint16_t)msg->type,
        .seq = msg->seq,
        .id = msg->id,
        .seconds = msg->seconds,
        .taken_over = msg->taken_over,
        .ms = msg->ms,
    };
    ssize_t n;

    memcpy(w.text, msg->text, strnlen(msg->text, sizeof(w.text) - 1));
    do {
        n = send(fd, &w, sizeof(w), MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n == sizeof(w))
        return XHA_WATCH_DONE;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return XHA_WATCH_E_AGAIN;
    return errno == EPIPE || errno == ECONNRESET ? XHA_WATCH_E_CLOSED : XHA_WATCH_E_SYS;
}

static int unpack(const struct wire *w, struct xha_watch_msg *msg_r)
{
    if (w->magic != WATCH_MAGIC || w->version != WATCH_VERSION || w->type < XHA_WATCH_ARM ||
        w->type >= XHA_WATCH_END_ || w->taken_over > 1 || w->seconds > XHA_WATCH_SECONDS_MAX ||
        w->id > INT32_MAX || w->ms < 0 || strnlen(w->text, sizeof(w->text)) == sizeof(w->text))
        return XHA_WATCH_E_BAD;
    if (w->type == XHA_WATCH_ARM && w->seconds < XHA_WATCH_SECONDS_MIN)
        return XHA_WATCH_E_BAD;
    *msg_r = (struct xha_watch_msg){
        .type = (enum xha_watch_type)w->type,
        .seq = w->seq,
        .id = w->id,
        .seconds = w->seconds,
        .taken_over = w->taken_over,
        .ms = w->ms,
    };
    xha_text_escape(msg_r->text, sizeof(msg_r->text), w->text);
    return XHA_WATCH_DONE;
}

int xha_watch_recv(int fd, struct xha_watch_msg *msg_r)
{
    struct {
        struct wire w;
        char more; /* so that too long a packet shows */
    } in;
    ssize_t n;

    do {
        n = recv(fd, &in, sizeof(in), 0);
    } while (n < 0 && errno == EINTR);
    if (n == 0)
        return XHA_WATCH_E_CLOSED;
    if (n > 0)
        return n == sizeof(in.w) ? unpack(&in.w, msg_r) : XHA_WATCH_E_BAD;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return XHA_WATCH_E_AGAIN;
    return errno == ECONNRESET ? XHA_WATCH_E_CLOSED : XHA_WATCH_E_SYS;
}

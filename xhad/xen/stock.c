/*
 * stock.c - see stock.h.
 */
#include "xhad/xen/stock.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define TICK_MS 100

int xha_stock_read(int fd, void *bytes, size_t len, int64_t until_ms, const struct xha_stop *stop)
{
    uint8_t *to = bytes;

    while (len > 0) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        const int r = poll(&p, 1, TICK_MS);
        ssize_t n;

        if (stop && xha_stop_asked(stop)) {
            errno = ECANCELED;
            return -1;
        }
        if (r < 0 && errno != EINTR)
            return -1;
        if (r <= 0) {
            if (xha_move_now_ms() < until_ms)
                continue;
            errno = ETIMEDOUT;
            return -1;
        }
        n = read(fd, to, len);
        if (n > 0) {
            to += n;
            len -= (size_t)n;
        } else if (n == 0) {
            errno = EPIPE;
            return -1;
        } else if (errno != EINTR && errno != EAGAIN) {
            return -1;
        }
    }
    return 0;
}

/* Byte by byte: whoever says something else, and then no more, is not waited for. */
int xha_stock_expect(int fd, const char *message, size_t len, int64_t until_ms, const struct xha_stop *stop)
{
    for (size_t i = 0; i < len; i++) {
        char got;

        if (xha_stock_read(fd, &got, 1, until_ms, stop) < 0)
            return -1;
        if (got != message[i]) {
            errno = EPROTO;
            return -1;
        }
    }
    return 0;
}

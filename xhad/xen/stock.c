/*
 * stock.c - see stock.h.
 */
#include "xhad/xen/stock.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
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

int xha_stock_expect(int fd, const char *message, size_t len, int64_t until_ms, const struct xha_stop *stop)
{
    char got[128];

    if (len > sizeof(got)) {
        errno = EINVAL;
        return -1;
    }
    if (xha_stock_read(fd, got, len, until_ms, stop) < 0)
        return -1;
    if (memcmp(got, message, len) == 0)
        return 0;
    errno = EPROTO;
    return -1;
}

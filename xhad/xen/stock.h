/*
 * stock.h - what both ends of xl's protocol say: fixed messages over a pipe. Xen-free.
 */
#ifndef XHA_XEN_STOCK_H
#define XHA_XEN_STOCK_H

#include <stddef.h>
#include "xhad/move/clock.h"

/* The banner travels without its NUL, the others with it. */
#define XHA_STOCK_BANNER "xl migration receiver ready, send binary domain data.\n"
#define XHA_STOCK_READY  "domain received, ready to unpause"
#define XHA_STOCK_GO     "domain is yours, you are cleared to unpause"
#define XHA_STOCK_REPORT "my copy unpause results are as follows"

/*
 * Reads exactly len bytes until until_ms (CLOCK_MONOTONIC). 0, or -1 with errno (EPIPE: it ended, ETIMEDOUT,
 * ECANCELED). stop NULL: cannot be stopped.
 */
int xha_stock_read(int fd, void *bytes, size_t len, int64_t until_ms, const struct xha_stop *stop);

/* Reads these very bytes. -1 with errno, EPROTO: others came. */
int xha_stock_expect(int fd, const char *message, size_t len, int64_t until_ms, const struct xha_stop *stop);

#endif

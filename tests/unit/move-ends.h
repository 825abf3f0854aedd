/*
 * move-ends.h - the two ends of a link in one process: for tests of what travels over it.
 */
#ifndef XHA_TESTS_MOVE_ENDS_H
#define XHA_TESTS_MOVE_ENDS_H

#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "xhad/move/wire.h"

#define PATIENCE_MS 20000

static const struct xha_stop never;

struct end {
    int fd;
    enum xha_link_end which;
    char identity[XHA_IDENTITY_BYTES];
    struct xha_key key;
    int64_t patience_ms;
    struct xha_link *link; /* NULL: it was not opened, see err */
    char err[256];
    pthread_t thread;
};

static inline void *open_end(void *arg)
{
    struct end *e = arg;

    if (xha_link_open(e->fd, e->which, e->identity, &e->key, xha_move_now_ms() + e->patience_ms, &never,
                      &e->link, e->err, sizeof(e->err)) < 0)
        e->link = NULL;
    return NULL;
}

static inline void prepare_ends(struct end ends[2])
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    for (int i = 0; i < 2; i++) {
        ends[i] = (struct end){ .fd = fds[i],
                                .which = i ? XHA_LINK_ACCEPTS : XHA_LINK_CONNECTS,
                                .identity = "xhad:1:x",
                                .patience_ms = PATIENCE_MS };
        memset(ends[i].key.b, 7, XHA_KEY_BYTES);
    }
}

static inline void open_ends(struct end ends[2])
{
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&ends[i].thread, NULL, open_end, &ends[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(ends[i].thread, NULL);
}

static inline void make_wires(struct xha_wire *wires[2], int64_t timeout_ms)
{
    struct end ends[2] = { 0 };

    prepare_ends(ends);
    open_ends(ends);
    for (int i = 0; i < 2; i++) {
        if (!ends[i].link)
            fail_msg("end %d: %s", i, ends[i].err);
        wires[i] = xha_wire_new(ends[i].link, timeout_ms, &never);
        assert_non_null(wires[i]);
    }
}

static inline void free_wires(struct xha_wire *wires[2])
{
    xha_wire_free(wires[0]);
    xha_wire_free(wires[1]);
}

#endif

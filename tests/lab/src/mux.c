/*
 * labtool mux: shares a host's control channel. QEMU's end of the virtio-serial port takes one
 * connection; this holds it for as long as the host lives, and lets any number of `labtool exec` connect to a
 * socket of its own. Frames are passed on with the session number of their client (frame.h).
 * The end of the host (power cut, panic, self-fence) ends this program, and every client hears of it.
 */
#include "frame.h"
#include "labtool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS 64

struct client {
    uint32_t id; /* 0: free; never used twice, so that late frames reach nobody */
    int fd;
    bool running; /* the agent knows of it */
    struct buf in, out;
};

static struct client clients[CLIENTS];
static struct buf from_host, to_host;
static uint32_t last_id;

static void client_end(struct client *c)
{
    if (c->running)
        frame_put(&to_host, c->id, FRAME_KILL, NULL, 0);
    close(c->fd);
    buf_free(&c->in);
    buf_free(&c->out);
    memset(c, 0, sizeof(*c));
}

static void client_new(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    for (int i = 0; i < CLIENTS; i++)
        if (!clients[i].id) {
            clients[i].id = ++last_id;
            clients[i].fd = fd;
            return;
        }
    close(fd);
}

static void client_read(struct client *c, struct frame *f)
{
    if (buf_fill(&c->in, c->fd) < 0) {
        client_end(c);
        return;
    }
    int r;
    while ((r = frame_get(&c->in, f)) > 0) {
        c->running |= f->type == FRAME_EXEC;
        frame_put(&to_host, c->id, f->type, f->data, f->length);
    }
    if (r < 0)
        client_end(c);
}

static void host_frame(const struct frame *f)
{
    for (int i = 0; i < CLIENTS; i++) {
        struct client *c = &clients[i];
        if (!c->id || c->id != f->session)
            continue;
        frame_put(&c->out, c->id, f->type, f->data, f->length);
        if (f->type == FRAME_EXIT)
            c->running = false;
    }
}

/* One round. `listener` is -1 until the agent has said hello. -1: the host is gone. */
static int mux_round(int host, int listener, struct frame *f, bool *hello_r)
{
    struct pollfd p[2 + CLIENTS];
    p[0] = (struct pollfd){ .fd = host, .events = (short)(POLLIN | (to_host.used ? POLLOUT : 0)) };
    p[1] = (struct pollfd){ .fd = listener, .events = POLLIN };
    for (int i = 0; i < CLIENTS; i++) {
        struct client *c = &clients[i];
        short events = (short)(POLLIN | (c->out.used ? POLLOUT : 0));
        p[2 + i] = (struct pollfd){ .fd = c->id ? c->fd : -1, .events = events };
    }
    if (poll(p, 2 + CLIENTS, -1) < 0)
        return errno == EINTR ? 0 : -1;
    if (p[0].revents & (POLLIN | POLLHUP | POLLERR)) {
        if (buf_fill(&from_host, host) < 0)
            return -1;
        int r;
        while ((r = frame_get(&from_host, f)) > 0) {
            *hello_r |= f->type == FRAME_HELLO;
            host_frame(f);
        }
        if (r < 0)
            return -1;
    }
    for (int i = 0; i < CLIENTS; i++) {
        struct client *c = &clients[i];
        if (c->id && p[2 + i].revents & (POLLIN | POLLHUP | POLLERR))
            client_read(c, f);
        if (c->id && c->out.used && buf_flush(&c->out, c->fd))
            client_end(c);
    }
    if (p[1].revents & POLLIN)
        client_new(listener);
    return buf_flush(&to_host, host);
}

int mux_main(int argc, char **argv)
{
    static struct frame f;
    bool hello = false;

    if (argc != 3) {
        fputs("usage: labtool mux QEMU-SOCKET LISTEN-SOCKET\n", stderr);
        return 2;
    }
    int host = sock_connect(argv[1], 10 * 1000);
    if (host < 0) {
        perror(argv[1]);
        return 1;
    }
    fcntl(host, F_SETFL, O_NONBLOCK);
    unlink(argv[2]);
    int listener = -1;
    while (!mux_round(host, listener, &f, &hello))
        if (hello && listener < 0) {
            listener = sock_listen(argv[2]);
            if (listener < 0) {
                perror(argv[2]);
                return 1;
            }
        }
    unlink(argv[2]);
    return 0;
}

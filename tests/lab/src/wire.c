/*
 * labtool wire: the networks between the lab's hosts. Every host has one port on each network; QEMU's
 * `-netdev stream` connects to DIR/hN-NET.sock and sends Ethernet frames, each after its length (u32, network
 * order).
 *
 * Each network is a switch that learns addresses. What makes it worth having is that any direction
 * between any two hosts can be cut, on one network or on all, while the link lights stay on: a partition as
 * switches and firewalls make it. One line to DIR/wire.sock:
 *
 *   cut FROM TO NET|all     frames from host FROM to host TO are dropped
 *   join FROM TO NET|all    they pass again
 *   show                    the cuts, and frames passed and dropped for each direction
 *
 * Nothing waits for a slow host: beyond QUEUE_MAX bytes its frames are dropped, as on a real switch.
 */
#include "frame.h"
#include "labtool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOSTS     8
#define NETS      4
#define MACS      64
#define CONTROLS  4
#define ETHER_MAX 65536u
#define QUEUE_MAX (4u * 1024 * 1024)

struct port {
    int listener, fd; /* fd is -1 while the host is off */
    struct buf in, out;
};

struct mac {
    unsigned char addr[6];
    bool known;
    int host;
};

struct net {
    const char *name;
    struct port ports[HOSTS];
    struct mac macs[MACS];
    int next_mac; /* the entry to be overwritten next */
    bool cut[HOSTS][HOSTS];
    unsigned long passed[HOSTS][HOSTS], dropped[HOSTS][HOSTS];
};

static struct net nets[NETS];
static int n_nets, n_hosts;

static void port_close(struct net *net, int host)
{
    struct port *p = &net->ports[host];
    close(p->fd);
    p->fd = -1;
    buf_free(&p->in);
    buf_free(&p->out);
    for (int i = 0; i < MACS; i++)
        if (net->macs[i].host == host)
            net->macs[i].known = false;
}

static void port_accept(struct net *net, int host)
{
    struct port *p = &net->ports[host];
    int fd = accept4(p->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    if (p->fd >= 0)
        port_close(net, host);
    p->fd = fd;
}

static struct mac *mac_find(struct net *net, const unsigned char *addr)
{
    for (int i = 0; i < MACS; i++)
        if (net->macs[i].known && !memcmp(net->macs[i].addr, addr, 6))
            return &net->macs[i];
    return NULL;
}

static void mac_learn(struct net *net, const unsigned char *addr, int host)
{
    struct mac *m = mac_find(net, addr);
    if (addr[0] & 1)
        return;
    if (!m) {
        m = &net->macs[net->next_mac];
        net->next_mac = (net->next_mac + 1) % MACS;
        memcpy(m->addr, addr, 6);
        m->known = true;
    }
    m->host = host;
}

static void pass(struct net *net, int from, int to, const unsigned char *data, uint32_t length)
{
    struct port *p = &net->ports[to];
    uint32_t head = htonl(length);

    if (p->fd < 0)
        return;
    if (net->cut[from][to] || p->out.used + length > QUEUE_MAX) {
        net->dropped[from][to]++;
        return;
    }
    net->passed[from][to]++;
    buf_add(&p->out, &head, sizeof(head));
    buf_add(&p->out, data, length);
}

static void ether_in(struct net *net, int from, const unsigned char *data, uint32_t length)
{
    if (length < 14)
        return;
    bool group = data[0] & 1;
    struct mac *m = group ? NULL : mac_find(net, data);

    /* An address is learned even when nobody may hear its frame: its cable is plugged in all the same. */
    mac_learn(net, data + 6, from);
    for (int to = 0; to < n_hosts; to++)
        if (to != from && (!m || m->host == to))
            pass(net, from, to, data, length);
}

static void port_read(struct net *net, int host)
{
    struct port *p = &net->ports[host];
    uint32_t length;

    if (buf_fill(&p->in, p->fd) < 0) {
        port_close(net, host);
        return;
    }
    while (p->in.used >= sizeof(length)) {
        memcpy(&length, buf_head(&p->in), sizeof(length));
        length = ntohl(length);
        if (length > ETHER_MAX) {
            port_close(net, host);
            return;
        }
        if (p->in.used < sizeof(length) + length)
            return;
        ether_in(net, host, buf_head(&p->in) + sizeof(length), length);
        buf_take(&p->in, sizeof(length) + length);
    }
}

static void show(int fd)
{
    for (int n = 0; n < n_nets; n++)
        for (int a = 0; a < n_hosts; a++)
            for (int b = 0; b < n_hosts; b++)
                if (a != b)
                    dprintf(fd, "%s h%d->h%d %s passed=%lu dropped=%lu\n", nets[n].name, a + 1, b + 1,
                            nets[n].cut[a][b] ? "cut" : "joined", nets[n].passed[a][b],
                            nets[n].dropped[a][b]);
}

static void control(int fd, char *line)
{
    char verb[8], name[32];
    int from, to, found = 0;

    line[strcspn(line, "\n")] = 0;
    if (!strcmp(line, "show")) {
        show(fd);
        return;
    }
    if (sscanf(line, "%7s %d %d %31s", verb, &from, &to, name) != 4 || from < 1 || to < 1 || from > n_hosts ||
        to > n_hosts || from == to || (strcmp(verb, "cut") && strcmp(verb, "join"))) {
        dprintf(fd, "! wire: cut|join FROM TO NET|all, or show; hosts are 1 to %d\n", n_hosts);
        return;
    }
    for (int n = 0; n < n_nets; n++)
        if (!strcmp(name, "all") || !strcmp(name, nets[n].name)) {
            nets[n].cut[from - 1][to - 1] = !strcmp(verb, "cut");
            found++;
        }
    if (!found)
        dprintf(fd, "! wire: no network is called %s\n", name);
}

static void control_accept(int listener)
{
    char line[128];
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct timeval patience = { .tv_sec = 1 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    ssize_t r = read(fd, line, sizeof(line) - 1);
    if (r > 0) {
        line[r] = 0;
        control(fd, line);
    }
    close(fd);
}

static void loop(int listener)
{
    struct pollfd p[1 + NETS * HOSTS * 2];
    for (;;) {
        nfds_t n = 0;
        p[n++] = (struct pollfd){ .fd = listener, .events = POLLIN };
        for (int i = 0; i < n_nets * n_hosts; i++) {
            struct port *q = &nets[i / n_hosts].ports[i % n_hosts];
            p[n++] = (struct pollfd){ .fd = q->listener, .events = POLLIN };
            p[n++] = (struct pollfd){ .fd = q->fd, .events = (short)(POLLIN | (q->out.used ? POLLOUT : 0)) };
        }
        if (poll(p, n, -1) < 0 && errno != EINTR)
            abort();
        if (p[0].revents)
            control_accept(listener);
        for (int i = 0; i < n_nets * n_hosts; i++) {
            struct net *net = &nets[i / n_hosts];
            struct port *q = &net->ports[i % n_hosts];
            if (q->fd >= 0 && p[2 + 2 * i].revents & (POLLIN | POLLHUP | POLLERR))
                port_read(net, i % n_hosts);
            if (p[1 + 2 * i].revents)
                port_accept(net, i % n_hosts);
        }
        for (int i = 0; i < n_nets * n_hosts; i++) {
            struct port *q = &nets[i / n_hosts].ports[i % n_hosts];
            if (q->fd >= 0 && buf_flush(&q->out, q->fd))
                port_close(&nets[i / n_hosts], i % n_hosts);
        }
    }
}

int wire_main(int argc, char **argv)
{
    char path[256];
    int listener;

    n_hosts = argc > 3 ? atoi(argv[2]) : 0;
    n_nets = argc - 3;
    if (n_hosts < 1 || n_hosts > HOSTS || n_nets > NETS) {
        fputs("usage: labtool wire DIR HOSTS NET...\n", stderr);
        return 2;
    }
    for (int n = 0; n < n_nets; n++)
        for (int h = 0; h < n_hosts; h++) {
            struct port *p = &nets[n].ports[h];
            nets[n].name = argv[3 + n];
            p->fd = -1;
            snprintf(path, sizeof(path), "%s/h%d-%s.sock", argv[1], h + 1, nets[n].name);
            p->listener = sock_listen(path);
            if (p->listener < 0) {
                perror(path);
                return 1;
            }
        }
    snprintf(path, sizeof(path), "%s/wire.sock", argv[1]);
    listener = sock_listen(path);
    if (listener < 0) {
        perror(path);
        return 1;
    }
    loop(listener);
    return 0;
}

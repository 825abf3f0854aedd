/*
 * announce.c - see announce.h: the sending. The frames are in announce_frame.c.
 */
#include "xhad/repl/announce.h"
#include "xhad/base/cleanup.h"
#include "xhad/repl/gate_nl.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define PORTS_MAX 256

struct bridge {
    int vif, master;
    size_t n;
    int ports[PORTS_MAX]; /* the others */
};

static void heed_link(const struct nlmsghdr *reply, size_t index, void *arg)
{
    (void)index;
    xha_nl_read_link(reply, arg);
}

static void heed_port(const struct nlmsghdr *reply, size_t index, void *arg)
{
    struct bridge *b = arg;
    struct xha_nl_link link;

    (void)index;
    if (xha_nl_read_link(reply, &link) && link.master == b->master && link.ifindex != b->vif && link.up &&
        b->n < PORTS_MAX)
        b->ports[b->n++] = link.ifindex;
}

static int find_bridge(struct xha_nl *nl, const char *vif, struct bridge *b, char *err, size_t err_len)
{
    struct xha_nl_link link = { 0 }, master = { 0 };
    int rc = xha_nl_ask_one(nl, xha_nl_link_by_name(vif), heed_link, &link);

    if (rc == 0 && link.master)
        rc = xha_nl_ask_one(nl, xha_nl_link_by_index(link.master), heed_link, &master);
    if (rc < 0) {
        snprintf(err, err_len, "%s is not announced: %s", vif, strerror(-rc));
        return -1;
    }
    if (strcmp(master.kind, "bridge") != 0) {
        snprintf(err, err_len,
                 "%s is not announced: it is in no bridge of this host, so its own set-up must do it", vif);
        return -1;
    }
    *b = (struct bridge){ .vif = link.ifindex, .master = link.master };
    rc = xha_nl_ask_one(nl, xha_nl_links(), heed_port, b);
    if (rc < 0 && rc != -EINTR) { /* a list that changed meanwhile is good enough: this is done again */
        snprintf(err, err_len, "%s is not announced: the ports of its bridge cannot be listed: %s", vif,
                 strerror(-rc));
        return -1;
    }
    return 0;
}

/* Through all ports; how many went. */
static unsigned send_all(int fd, const struct bridge *b, const uint8_t *frame, size_t len)
{
    unsigned sent = 0;

    for (size_t i = 0; i < b->n; i++) {
        const struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = b->ports[i], .sll_halen = 6 };

        sent += sendto(fd, frame, len, 0, (const struct sockaddr *)&to, sizeof(to)) == (ssize_t)len;
    }
    return sent;
}

int xha_announce(const char *vif, const uint8_t mac[6], const struct xha_announce_address *addresses,
                 size_t n, unsigned *frames_r, char *err, size_t err_len)
{
    uint8_t frame[XHA_ANNOUNCE_FRAME];
    XHA_CLEANUP_CLOSE int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    struct bridge b;
    struct xha_nl nl;
    int rc = fd < 0 ? -errno : xha_nl_open(&nl, 0);

    *frames_r = 0;
    if (rc < 0) {
        snprintf(err, err_len, "%s is not announced: %s", vif, strerror(-rc));
        return -1;
    }
    rc = find_bridge(&nl, vif, &b, err, err_len);
    if (rc == 0) {
        rc = xha_nl_ask_one(&nl, xha_nl_fdb_set(b.vif, mac), NULL, NULL);
        if (rc == -EPERM) /* the guest is not connected to it yet; the bridge learns it by its first frame */
            rc = 0;
        if (rc < 0)
            snprintf(err, err_len, "%s: its bridge does not learn where it is: %s", vif, strerror(-rc));
    }
    xha_nl_close(&nl);
    if (rc < 0)
        return -1;
    *frames_r += send_all(fd, &b, frame, xha_announce_rarp(frame, mac));
    for (size_t i = 0; i < n; i++) {
        const uint8_t *ip = addresses[i].ip;

        *frames_r += send_all(fd, &b, frame,
                              addresses[i].is_ip6 ? xha_announce_na(frame, mac, ip)
                                                  : xha_announce_arp(frame, mac, ip));
    }
    return 0;
}

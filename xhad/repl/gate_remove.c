/*
 * gate_remove.c - a domain's gate without its handle (gate.h): found by the names of the ifbs, looked at or taken down. For when the
 * process that made it is gone.
 */
#include "xhad/repl/gate.h"
#include "xhad/repl/gate_kernel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct list {
    uint32_t domid;
    size_t n;
    struct xha_gate_port ports[2 * XHA_GATE_PORTS_MAX];
};

static void heed_link(const struct nlmsghdr *reply, size_t index, void *arg)
{
    struct list *list = arg;
    struct xha_nl_link link;
    struct xha_gate_port port;

    (void)index;
    if (xha_nl_read_link(reply, &link) && strcmp(link.kind, "ifb") == 0 &&
        xha_gate_ifb_parse(link.name, &port) && port.domid == list->domid &&
        list->n < sizeof(list->ports) / sizeof(list->ports[0]))
        list->ports[list->n++] = port;
}

static int find(struct xha_nl *nl, uint32_t domid, struct list *list_r, char *err, size_t err_len)
{
    int rc = xha_nl_open(nl, 0), tries = 0;

    if (rc == 0)
        do {
            *list_r = (struct list){ .domid = domid };
            rc = xha_nl_ask_one(nl, xha_nl_links(), heed_link, list_r);
        } while (rc == -EINTR && ++tries < 10); /* something changed while it was listed */
    if (rc == 0)
        return 0;
    xha_nl_close(nl);
    gate_fail(nl, rc, err, err_len, "the network devices cannot be listed");
    return -1;
}

int xha_gate_remove(uint32_t domid, int64_t until_ms, size_t *ports_r, char *err, size_t err_len)
{
    struct xha_nl nl;
    struct list list;
    int rc = 0;

    if (find(&nl, domid, &list, err, err_len) < 0)
        return -1;
    for (size_t i = 0; i < list.n; i++)
        if (gate_unmake(&nl, &list.ports[i], until_ms, err, err_len) < 0)
            rc = -1;
    xha_nl_close(&nl);
    if (ports_r)
        *ports_r = list.n;
    return rc;
}

int xha_gate_look(uint32_t domid, struct xha_gate_seen *seen_r, char *err, size_t err_len)
{
    struct xha_nl nl;
    struct list list;
    int rc = 0;

    *seen_r = (struct xha_gate_seen){ 0 };
    if (find(&nl, domid, &list, err, err_len) < 0)
        return -1;
    for (size_t i = 0; i < list.n && rc == 0; i++) {
        struct gate_seen seen;

        rc = gate_see(&nl, &list.ports[i], &seen, err, err_len);
        if (rc < 0)
            break;
        seen_r->ports++;
        seen_r->whole += gate_is_whole(&seen);
        seen_r->held_packets += seen.root.held_packets;
        seen_r->held_bytes += seen.root.held_bytes;
    }
    xha_nl_close(&nl);
    return rc;
}

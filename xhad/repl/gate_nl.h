/*
 * gate_nl.h - the gate's talk with the kernel: rtnetlink, one or many requests in one system call.
 *
 * Messages are built and read by libnl-3. They are sent and awaited here, since the end of an epoch is a
 * batch over all devices of a domain, and the guest is suspended meanwhile. The kernel answers within the sending call,
 * so nothing here waits for anybody but for the kernel's own rtnl lock.
 */
#ifndef XHA_REPL_GATE_NL_H
#define XHA_REPL_GATE_NL_H

#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XHA_NL_SAID 128 /* what the kernel said about an error */

struct xha_nl {
    int fd;
    uint32_t seq;
    char said[XHA_NL_SAID]; /* of the last error; "" for none */
};

/* A reply to request number index of the batch. */
typedef void xha_nl_heed(const struct nlmsghdr *reply, size_t index, void *arg);

/* groups: 0, or bits (1 << (RTNLGRP_… - 1)) of what to listen to. 0, or a negative errno. */
int xha_nl_open(struct xha_nl *nl, uint32_t groups);
void xha_nl_close(struct xha_nl *nl);

/*
 * Sends n messages (at most XHA_NL_BATCH) in order and heeds all replies. The messages are freed, and a NULL
 * among them means that memory was lacking. 0, or the negative errno of the first that failed, with its index
 * in *failed_r (may be NULL); the others were done all the same.
 */
#define XHA_NL_BATCH 128
int xha_nl_ask(struct xha_nl *nl, struct nl_msg **msgs, size_t n, xha_nl_heed *heed, void *arg,
               size_t *failed_r);
int xha_nl_ask_one(struct xha_nl *nl, struct nl_msg *msg, xha_nl_heed *heed, void *arg);

/* Without waiting: what came by the groups listened to. 0; -ENOBUFS: some of it was lost; or another errno. */
int xha_nl_listen(struct xha_nl *nl, xha_nl_heed *heed, void *arg);

/*
 * The messages. Each returns a new one, or NULL for want of memory. A plug's options are the kernel's
 * TCQ_PLUG_*; limits are bytes.
 */
struct nl_msg *xha_nl_links(void); /* a dump */
struct nl_msg *xha_nl_link_by_name(const char *name);
struct nl_msg *xha_nl_link_by_index(int ifindex);
struct nl_msg *xha_nl_ifb_add(const char *name, uint32_t queue_len);
struct nl_msg *xha_nl_link_alias(int ifindex, const char *alias);
struct nl_msg *xha_nl_link_no_ipv6(int ifindex); /* it makes no addresses of its own, so it says nothing */
struct nl_msg *xha_nl_link_up(int ifindex);
struct nl_msg *xha_nl_link_del(int ifindex);
struct nl_msg *xha_nl_qdisc_get(int ifindex, uint32_t parent);
struct nl_msg *xha_nl_plug_add(int ifindex, uint32_t limit);
struct nl_msg *xha_nl_plug_do(int ifindex, int action);
struct nl_msg *xha_nl_ingress_add(int ifindex);
struct nl_msg *xha_nl_ingress_del(int ifindex);
struct nl_msg *xha_nl_redirect_add(int ifindex, int to_ifindex);
struct nl_msg *xha_nl_redirect_del(int ifindex);
struct nl_msg *xha_nl_filters(int ifindex); /* a dump: of its ingress */
/* Bridges: whoever is asked for mac is sent to this port from now on. */
struct nl_msg *xha_nl_fdb_set(int port_ifindex, const uint8_t mac[6]);

/* What replies say. false: it is a reply of another kind, or none that can be read. */
struct xha_nl_link {
    int ifindex, master;
    bool up;
    char name[16], kind[16], alias[64]; /* kind: "ifb", "bridge", …; "" of hardware */
    uint64_t rx_packets, tx_packets, rx_dropped;
};
bool xha_nl_read_link(const struct nlmsghdr *reply, struct xha_nl_link *link_r);

struct xha_nl_qdisc {
    int ifindex;
    uint32_t handle, parent;
    char kind[16];
    uint64_t sent_bytes;                              /* dequeued since it was made */
    uint32_t held_packets, held_bytes, drops_packets; /* in it now; not taken in since it was made */
};
bool xha_nl_read_qdisc(const struct nlmsghdr *reply, struct xha_nl_qdisc *qdisc_r);

struct xha_nl_filter {
    int ifindex;
    uint16_t priority;
    bool all_protocols, is_redirect; /* matchall, whose one action sends everything out of: */
    int to_ifindex;                  /* 0: of a device that is gone */
};
bool xha_nl_read_filter(const struct nlmsghdr *reply, struct xha_nl_filter *filter_r);

#endif

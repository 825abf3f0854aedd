/*
 * repl/gate*, announce*: names, messages, frames, and what a handle makes of a kernel that behaves and of one that does not. The
 * gate in a real kernel is told by tests/gate.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <arpa/inet.h>
#include <linux/gen_stats.h>
#include <unistd.h>

#include "xhad/base/file.h"
#include "xhad/repl/announce.h"
#include "xhad/repl/gate_kernel.h"

/* ---- names ---- */

static void names_and_back(void **state)
{
    static const char *const bad[] = { "xhg",        "xhg3",       "xhg3.",
                                       "xhg.0",      "xhg03.0",    "xhg3.00",
                                       "xhg32752.0", "xhg3.65536", "xhg3.0f",
                                       "xhg3.0ee",   "xhg-1.0",    "ifb0",
                                       "xhg3.0 ",    "xhg3 .0",    "xhg99999999999999999999.0",
                                       "vif3.0" };
    struct xha_gate_port p = { .domid = 32751, .devid = 65535, .emulated = true }, q;
    char name[XHA_GATE_NAME];

    (void)state;
    assert_int_equal(xha_gate_ifb_name(&p, name), 0);
    assert_string_equal(name, "xhg32751.65535e"); /* the longest that an interface may have */
    assert_true(xha_gate_ifb_parse(name, &q));
    assert_int_equal(q.domid, 32751);
    assert_int_equal(q.devid, 65535);
    assert_true(q.emulated);
    assert_true(xha_gate_ifb_parse("xhg0.0", &q) && q.domid == 0 && q.devid == 0 && !q.emulated);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(xha_gate_ifb_parse(bad[i], &q));
    p.domid = 0x7ff0;
    assert_int_equal(xha_gate_ifb_name(&p, name), -1);
    p = (struct xha_gate_port){ .devid = 65536 };
    assert_int_equal(xha_gate_ifb_name(&p, name), -1);
}

static void alias_and_back(void **state)
{
    static const char *const bad[] = { "",
                                       "mine",
                                       "xhad gate of ",
                                       "xhad gate of vif3.0",
                                       "xhad gate of vif3.0 (",
                                       "xhad gate of vif3.0 ()",
                                       "xhad gate of vif3.0 (1",
                                       "xhad gate of vif3.0 (1) ",
                                       "xhad gate of vif3.0 (-1)",
                                       "xhad gate of vif3.0 (99999999999)",
                                       "xhad gate of abcdefghijklmnop (1)",
                                       "xhad gate of  (1)" };
    char alias[XHA_GATE_ALIAS_MAX], vif[XHA_GATE_NAME];
    int ifindex;

    (void)state;
    xha_gate_alias("abcdefghijklmno", INT32_MAX - 1, alias);
    assert_true(xha_gate_alias_parse(alias, vif, &ifindex));
    assert_string_equal(vif, "abcdefghijklmno");
    assert_int_equal(ifindex, INT32_MAX - 1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(xha_gate_alias_parse(bad[i], vif, &ifindex));
}

static void dir(const char *root, const char *path)
{
    char full[512];

    snprintf(full, sizeof(full), "%s/%s", root, path);
    assert_int_equal(xha_mkdir_p(full, 0700), 0);
}

static void ports_of_a_domain(void **state)
{
    char root[] = "/tmp/test-gate.XXXXXX", command[64];
    struct xha_gate_port p[8];
    size_t n = 99;

    (void)state;
    assert_non_null(mkdtemp(root));
    assert_int_equal(xha_gate_ports(root, 3, p, 8, &n), 0); /* no Xen, no devices */
    assert_int_equal(n, 0);
    dir(root, "bus/xen-backend/devices/vif-3-10/net/vif3.10");
    dir(root, "bus/xen-backend/devices/vif-3-2/net/web"); /* renamed by its configuration */
    dir(root, "bus/xen-backend/devices/vif-3-4/nonet");   /* not set up yet */
    dir(root, "bus/xen-backend/devices/vif-33-0/net/vif33.0");
    dir(root, "bus/xen-backend/devices/vif-3-0x/net/vif3.0x");
    dir(root, "bus/xen-backend/devices/vbd-3-51712");
    dir(root, "class/net/vif3.10-emu");
    assert_int_equal(xha_gate_ports(root, 3, p, 8, &n), 0);
    assert_int_equal(n, 3);
    assert_string_equal(p[0].vif, "web");
    assert_int_equal(p[0].devid, 2);
    assert_string_equal(p[1].vif, "vif3.10");
    assert_false(p[1].emulated);
    assert_string_equal(p[2].vif, "vif3.10-emu");
    assert_true(p[2].emulated && p[2].devid == 10 && p[2].domid == 3);
    assert_int_equal(xha_gate_ports(root, 3, p, 2, &n), -1);
    assert_int_equal(errno, ENOSPC);
    snprintf(command, sizeof(command), "rm -rf %s", root);
    assert_int_equal(system(command), 0);
}

/* ---- messages ---- */

static void redirect_of_everything(void **state)
{
    struct nl_msg *msg = xha_nl_redirect_add(17, 23);
    struct nlmsghdr *h = nlmsg_hdr(msg);
    struct tcmsg *tcm = nlmsg_data(h);
    struct xha_nl_filter f;

    (void)state;
    assert_int_equal(tcm->tcm_ifindex, 17);
    assert_int_equal(tcm->tcm_parent, 0xfffffff2);             /* ingress */
    assert_int_equal(tcm->tcm_info, 1u << 16 | htons(0x0003)); /* first, every protocol */
    assert_false(xha_nl_read_filter(h, &f)); /* the kernel's list names a classifier first */
    tcm->tcm_handle = 1;
    assert_true(xha_nl_read_filter(h, &f));
    assert_true(f.is_redirect && f.all_protocols);
    assert_int_equal(f.to_ifindex, 23);
    assert_int_equal(f.priority, 1);
    tcm->tcm_info = 1u << 16 | htons(0x0800);
    assert_true(xha_nl_read_filter(h, &f) && !f.all_protocols);
    nlmsg_free(msg);
}

static void plug_with_its_limit(void **state)
{
    struct nl_msg *msg = xha_nl_plug_add(5, 123456);
    struct nlmsghdr *h = nlmsg_hdr(msg);
    struct tcmsg *tcm = nlmsg_data(h);
    struct nlattr *opt = nlmsg_find_attr(h, sizeof(*tcm), TCA_OPTIONS);
    struct tc_plug_qopt q;

    (void)state;
    assert_non_null(opt);
    assert_int_equal(nla_len(opt), sizeof(q));
    memcpy(&q, nla_data(opt), sizeof(q));
    assert_int_equal(q.limit, 123456);
    assert_int_equal(tcm->tcm_parent, TC_H_ROOT);
    assert_true(h->nlmsg_flags & NLM_F_CREATE);
    nlmsg_free(msg);
    msg = xha_nl_plug_do(5, TCQ_PLUG_BUFFER);
    assert_false(nlmsg_hdr(msg)->nlmsg_flags &
                 NLM_F_CREATE); /* what is gone is not made anew, without its packets */
    nlmsg_free(msg);
}

/* Replies that end anywhere are no replies; run it under a sanitizer. */
static void short_replies(void **state)
{
    struct nl_msg *const whole[] = { xha_nl_redirect_add(17, 23), xha_nl_plug_add(5, 1),
                                     xha_nl_ifb_add("xhg3.0", 10) };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const size_t len = nlmsg_hdr(whole[i])->nlmsg_len;

        for (size_t cut = NLMSG_HDRLEN; cut <= len; cut++) {
            struct nlmsghdr *h = malloc(cut);
            struct xha_nl_filter f;
            struct xha_nl_qdisc q;
            struct xha_nl_link l;

            memcpy(h, nlmsg_hdr(whole[i]), cut);
            h->nlmsg_len = (uint32_t)cut;
            xha_nl_read_filter(h, &f);
            xha_nl_read_qdisc(h, &q);
            xha_nl_read_link(h, &l);
            free(h);
        }
        nlmsg_free(whole[i]);
    }
}

/* ---- a handle, and a kernel made for it ---- */

static struct plug {
    uint64_t sent, held, last, current, to_release; /* each packet has one byte */
    bool open, gone;
    int comes_within; /* packets that come in between the next look and its barrier */
    int steals;       /* packets that leave though nobody let them out */
    bool stuck;       /* what is let out does not leave */
    int make_rc;
} plugs[2];

static void come(struct plug *p, unsigned n)
{
    p->held += n;
    p->current += p->open ? 0 : n;
}

static void leave(struct plug *p)
{
    const uint64_t n = p->open ? p->held : p->stuck ? 0 : p->to_release;

    p->sent += n;
    p->held -= n;
    p->to_release -= p->open ? p->to_release : n;
}

static void obey(struct plug *p, int action)
{
    if (action == TCQ_PLUG_BUFFER) {
        come(p, (unsigned)p->comes_within);
        p->comes_within = 0;
        p->last = p->current;
        p->current = 0;
        p->open = false;
    } else if (action == TCQ_PLUG_RELEASE_ONE) {
        p->to_release += p->last;
        p->last = 0;
        leave(p);
    } else {
        p->open = true;
        p->last = p->current = 0;
        leave(p);
    }
}

static void answer(struct plug *p, int ifindex, size_t index, xha_nl_heed *heed, void *arg)
{
    const struct gnet_stats_basic basic = { .bytes = p->sent + (uint64_t)p->steals };
    const struct gnet_stats_queue queue = { .qlen = (uint32_t)p->held,
                                            .backlog = (uint32_t)p->held - (uint32_t)p->steals };
    struct tcmsg tcm = { .tcm_ifindex = ifindex, .tcm_parent = TC_H_ROOT };
    struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWQDISC, 0);
    struct nlattr *stats;

    nlmsg_append(msg, &tcm, sizeof(tcm), NLMSG_ALIGNTO);
    nla_put_string(msg, TCA_KIND, p->gone ? "pfifo" : "plug");
    stats = nla_nest_start(msg, TCA_STATS2);
    nla_put(msg, TCA_STATS_BASIC, sizeof(basic), &basic);
    nla_put(msg, TCA_STATS_QUEUE, sizeof(queue), &queue);
    nla_nest_end(msg, stats);
    heed(nlmsg_hdr(msg), index, arg);
    nlmsg_free(msg);
}

int __wrap_xha_nl_ask(struct xha_nl *nl, struct nl_msg **msgs, size_t n, xha_nl_heed *heed, void *arg,
                      size_t *failed_r);
int __wrap_gate_make(struct xha_nl *nl, const struct xha_gate_port *port, uint32_t limit_bytes,
                     struct gate_seen *seen_r, bool *found_r, char *err, size_t err_len);
int __wrap_gate_unmake(struct xha_nl *nl, const struct xha_gate_port *port, int64_t until_ms, char *err,
                       size_t err_len);

int __wrap_xha_nl_ask(struct xha_nl *nl, struct nl_msg **msgs, size_t n, xha_nl_heed *heed, void *arg,
                      size_t *failed_r)
{
    (void)nl;
    *failed_r = 0;
    for (size_t i = 0; i < n; i++) {
        struct nlmsghdr *h = nlmsg_hdr(msgs[i]);
        const struct tcmsg *tcm = nlmsg_data(h);
        struct plug *p = &plugs[tcm->tcm_ifindex - 100];
        struct tc_plug_qopt q;

        if (h->nlmsg_type == RTM_NEWQDISC) {
            memcpy(&q, nla_data(nlmsg_find_attr(h, sizeof(*tcm), TCA_OPTIONS)), sizeof(q));
            obey(p, q.action);
        } else {
            answer(p, tcm->tcm_ifindex, i, heed, arg);
        }
        nlmsg_free(msgs[i]);
    }
    return 0;
}

static int unmade;

int __wrap_gate_make(struct xha_nl *nl, const struct xha_gate_port *port, uint32_t limit_bytes,
                     struct gate_seen *seen_r, bool *found_r, char *err, size_t err_len)
{
    struct plug *p = &plugs[port->devid];

    (void)nl;
    (void)limit_bytes;
    *seen_r = (struct gate_seen){ .vif = 10 + (int)port->devid, .ifb.ifindex = 100 + (int)port->devid };
    *found_r = p->make_rc > 0;
    snprintf(err, err_len, "%s", p->make_rc < 0 ? "not there" : "");
    return p->make_rc < 0 ? -1 : 0;
}

int __wrap_gate_unmake(struct xha_nl *nl, const struct xha_gate_port *port, int64_t until_ms, char *err,
                       size_t err_len)
{
    (void)nl;
    (void)port;
    (void)until_ms;
    (void)err;
    (void)err_len;
    unmade++;
    return 0;
}

static const struct xha_gate_port two[] = { { .domid = 3, .vif = "vif3.0" },
                                            { .domid = 3, .devid = 1, .vif = "vif3.1" } };
static char err[XHA_GATE_TEXT];

static struct xha_gate *fresh(void)
{
    struct xha_gate *gate = NULL;

    memset(plugs, 0, sizeof(plugs));
    unmade = 0;
    assert_int_equal(xha_gate_set_up(two, 2, 1000, &gate, err, sizeof(err)), 0);
    assert_int_equal(xha_gate_state(gate), XHA_GATE_SHUT);
    return gate;
}

static void epochs_are_exact(void **state)
{
    struct xha_gate *gate = fresh();
    struct xha_gate_stats s;

    (void)state;
    come(&plugs[0], 5);
    assert_int_equal(xha_gate_release_one(gate, err, sizeof(err)), -1);
    assert_int_equal(xha_gate_barrier(gate, err, sizeof(err)), 0);
    assert_int_equal(xha_gate_barrier(gate, err, sizeof(err)), -1);
    assert_int_equal(xha_gate_state(gate), XHA_GATE_SEALED);
    come(&plugs[0], 3);
    come(&plugs[1], 2);
    assert_int_equal(xha_gate_release_one(gate, err, sizeof(err)), 0);
    assert_int_equal(plugs[0].sent, 5);
    assert_int_equal(plugs[1].sent, 0);
    assert_int_equal(xha_gate_barrier(gate, err, sizeof(err)), 0);
    assert_int_equal(xha_gate_release_one(gate, err, sizeof(err)), 0);
    assert_int_equal(plugs[0].sent, 8);
    assert_int_equal(plugs[1].sent, 2);
    come(&plugs[1], 1);
    assert_int_equal(xha_gate_stats(gate, &s, err, sizeof(err)), 0);
    assert_int_equal(s.epochs, 2);
    assert_int_equal(s.sent_bytes, 10);
    assert_int_equal(s.held_packets, 1);
    xha_gate_close(gate);
}

static void a_packet_within_a_barrier(void **state)
{
    struct xha_gate *gate = fresh();

    (void)state;
    come(&plugs[1], 4);
    plugs[1].comes_within = 1;
    assert_int_equal(xha_gate_barrier(gate, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "vif3.1"));
    assert_int_equal(xha_gate_state(gate), XHA_GATE_BROKEN);
    assert_int_equal(xha_gate_release_one(gate, err, sizeof(err)), -1);
    assert_int_equal(xha_gate_barrier(gate, err, sizeof(err)), -1);
    assert_int_equal(plugs[0].sent + plugs[1].sent, 0);
    assert_int_equal(xha_gate_open(gate, err, sizeof(err)), 0); /* by order, and it is known again */
    assert_int_equal(plugs[1].sent, 5);
    assert_int_equal(xha_gate_shut(gate, err, sizeof(err)), 0);
    assert_int_equal(xha_gate_barrier(gate, err, sizeof(err)), 0);
    xha_gate_close(gate);
}

static void a_leak_is_noticed(void **state)
{
    struct xha_gate *gate = fresh();

    (void)state;
    come(&plugs[0], 4);
    plugs[0].steals = 1;
    assert_int_equal(xha_gate_barrier(gate, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "more left"));
    assert_int_equal(xha_gate_state(gate), XHA_GATE_BROKEN);
    xha_gate_close(gate);
    gate = fresh();
    come(&plugs[0], 4);
    assert_int_equal(xha_gate_barrier(gate, err, sizeof(err)), 0);
    plugs[0].steals = 1;
    assert_int_equal(xha_gate_release_one(gate, err, sizeof(err)), -1);
    assert_int_equal(plugs[0].sent, 0);
    xha_gate_close(gate);
}

static void what_does_not_leave(void **state)
{
    struct xha_gate *gate = fresh();

    (void)state;
    come(&plugs[0], 4);
    plugs[0].stuck = true;
    assert_int_equal(xha_gate_barrier(gate, err, sizeof(err)), 0);
    assert_int_equal(xha_gate_release_one(gate, err, sizeof(err)), 0);
    come(&plugs[0], 2);
    assert_int_equal(xha_gate_barrier(gate, err, sizeof(err)), 0); /* the guest does not wait for that */
    assert_int_equal(xha_gate_release_one(gate, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "does not leave"));
    xha_gate_close(gate);
    gate = fresh();
    plugs[0].stuck = true;
    come(&plugs[0], 4);
    assert_int_equal(xha_gate_barrier(gate, err, sizeof(err)), 0);
    assert_int_equal(xha_gate_release_one(gate, err, sizeof(err)), 0);
    plugs[0].stuck = false; /* the kernel only has to be reminded */
    assert_int_equal(xha_gate_barrier(gate, err, sizeof(err)), 0);
    assert_int_equal(xha_gate_release_one(gate, err, sizeof(err)), 0);
    assert_int_equal(plugs[0].sent, 4);
    xha_gate_close(gate);
}

static void shut_only_when_empty(void **state)
{
    struct xha_gate *gate = fresh();

    (void)state;
    assert_int_equal(xha_gate_shut(gate, err, sizeof(err)), -1);
    assert_int_equal(xha_gate_open(gate, err, sizeof(err)), 0);
    plugs[0].comes_within = 1;
    assert_int_equal(xha_gate_shut(gate, err, sizeof(err)), 0); /* at the second try */
    assert_int_equal(plugs[0].sent, 1);
    come(&plugs[0], 1);
    assert_int_equal(xha_gate_barrier(gate, err, sizeof(err)), 0);
    assert_int_equal(xha_gate_release_one(gate, err, sizeof(err)), 0);
    assert_int_equal(plugs[0].sent, 2);
    plugs[0].gone = true;
    assert_int_equal(xha_gate_barrier(gate, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "replaced"));
    xha_gate_close(gate);
}

static void all_ports_or_none(void **state)
{
    struct xha_gate *gate = NULL;

    (void)state;
    memset(plugs, 0, sizeof(plugs));
    unmade = 0;
    plugs[1].make_rc = -1;
    assert_int_equal(xha_gate_set_up(two, 2, 1000, &gate, err, sizeof(err)), -1);
    assert_null(gate);
    assert_int_equal(unmade, 1);
    plugs[0].make_rc = 1; /* found: it is not this call's to take down */
    unmade = 0;
    assert_int_equal(xha_gate_set_up(two, 2, 1000, &gate, err, sizeof(err)), -1);
    assert_int_equal(unmade, 0);
    plugs[1].make_rc = 0;
    assert_int_equal(xha_gate_set_up(two, 2, 1000, &gate, err, sizeof(err)), 0);
    assert_int_equal(xha_gate_state(gate), XHA_GATE_FOUND);
    assert_int_equal(xha_gate_barrier(gate, err, sizeof(err)), -1);
    assert_int_equal(xha_gate_take_down(gate, 0, err, sizeof(err)), 0);
    assert_int_equal(unmade, 2);
    assert_int_equal(xha_gate_set_up(two, XHA_GATE_PORTS_MAX + 1, 1000, &gate, err, sizeof(err)), -1);
}

static void no_devices(void **state)
{
    struct xha_gate *gate = NULL;

    (void)state;
    assert_int_equal(xha_gate_set_up(NULL, 0, 1000, &gate, err, sizeof(err)), 0);
    assert_int_equal(xha_gate_barrier(gate, err, sizeof(err)), 0);
    assert_int_equal(xha_gate_release_one(gate, err, sizeof(err)), 0);
    assert_int_equal(xha_gate_take_down(gate, 0, err, sizeof(err)), 0);
}

/* ---- frames ---- */

static const uint8_t mac[6] = { 0x00, 0x16, 0x3e, 0x01, 0x02, 0x03 };

static void rarp_as_qemu(void **state)
{
    static const uint8_t wanted[60] = {
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x16, 0x3e, 0x01, 0x02, 0x03, 0x80, 0x35, /* to all */
        0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x03,             /* reverse request */
        0x00, 0x16, 0x3e, 0x01, 0x02, 0x03, 0x00, 0x00, 0x00, 0x00, /* from me */
        0x00, 0x16, 0x3e, 0x01, 0x02, 0x03, 0x00, 0x00, 0x00, 0x00, /* about me */
    };
    uint8_t frame[XHA_ANNOUNCE_FRAME];

    (void)state;
    assert_int_equal(xha_announce_rarp(frame, mac), sizeof(wanted));
    assert_memory_equal(frame, wanted, sizeof(wanted));
}

static void gratuitous_arp(void **state)
{
    static const uint8_t ip[4] = { 10, 0, 0, 7 };
    static const uint8_t wanted[60] = {
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x16, 0x3e, 0x01, 0x02, 0x03, 0x08, 0x06,
        0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01, 0x00, 0x16, 0x3e, 0x01, 0x02, 0x03,
        10,   0,    0,    7,    0,    0,    0,    0,    0,    0,    10,   0,    0,    7,
    };
    uint8_t frame[XHA_ANNOUNCE_FRAME];

    (void)state;
    assert_int_equal(xha_announce_arp(frame, mac, ip), sizeof(wanted));
    assert_memory_equal(frame, wanted, sizeof(wanted));
}

static void neighbour_advertisement(void **state)
{
    struct xha_announce_address a;
    uint8_t frame[XHA_ANNOUNCE_FRAME];
    uint32_t sum = 32 + 58; /* the pseudo header's length and protocol */
    const uint8_t *ip = frame + 14, *icmp = frame + 54;

    (void)state;
    assert_true(xha_announce_address_parse("fd00::7", &a) && a.is_ip6);
    assert_int_equal(xha_announce_na(frame, mac, a.ip), 14 + 40 + 32);
    assert_memory_equal(frame, "\x33\x33\0\0\0\x01", 6);
    assert_int_equal(ip[0], 0x60);
    assert_int_equal(ip[5], 32);
    assert_int_equal(ip[6], 58);
    assert_int_equal(ip[7], 255);
    assert_memory_equal(ip + 8, a.ip, 16);
    assert_int_equal(icmp[0], 136);
    assert_int_equal(icmp[4], 0x20);
    assert_memory_equal(icmp + 8, a.ip, 16);
    assert_memory_equal(icmp + 24, "\x02\x01\x00\x16\x3e\x01\x02\x03", 8);
    for (size_t i = 8; i < 40; i += 2) /* both addresses */
        sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
    for (size_t i = 0; i < 32; i += 2) /* the message with its checksum */
        sum += (uint32_t)(icmp[i] << 8 | icmp[i + 1]);
    while (sum > 0xffff)
        sum = (sum >> 16) + (sum & 0xffff);
    assert_int_equal(sum, 0xffff);
}

static void texts_of_addresses(void **state)
{
    static const char *const bad_mac[] = { "",
                                           "00:00:00:00:00:00",
                                           "01:16:3e:01:02:03",
                                           "ff:ff:ff:ff:ff:ff",
                                           "00:16:3e:01:02",
                                           "00:16:3e:01:02:0",
                                           "00:16:3e:01:02:03 ",
                                           "0:016:3e:01:02:03",
                                           "00-16-3e-01-02-03",
                                           "00:16:3e:01:02:0g" };
    static const char *const bad_ip[] = {
        "",        "0.0.0.0",      "224.0.0.1", "255.255.255.255", "10.0.0", "10.0.0.7/24", "::",
        "ff02::1", "fd00::7%eth0", "host"
    };
    struct xha_announce_address a;
    uint8_t m[6];

    (void)state;
    assert_true(xha_announce_mac_parse("00:16:3E:01:02:03", m));
    assert_memory_equal(m, mac, 6);
    for (size_t i = 0; i < sizeof(bad_mac) / sizeof(*bad_mac); i++)
        assert_false(xha_announce_mac_parse(bad_mac[i], m));
    assert_true(xha_announce_address_parse("10.0.0.7", &a) && !a.is_ip6 && a.ip[3] == 7);
    for (size_t i = 0; i < sizeof(bad_ip) / sizeof(*bad_ip); i++)
        assert_false(xha_announce_address_parse(bad_ip[i], &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_back),       cmocka_unit_test(alias_and_back),
        cmocka_unit_test(ports_of_a_domain),    cmocka_unit_test(redirect_of_everything),
        cmocka_unit_test(plug_with_its_limit),  cmocka_unit_test(short_replies),
        cmocka_unit_test(epochs_are_exact),     cmocka_unit_test(a_packet_within_a_barrier),
        cmocka_unit_test(a_leak_is_noticed),    cmocka_unit_test(what_does_not_leave),
        cmocka_unit_test(shut_only_when_empty), cmocka_unit_test(all_ports_or_none),
        cmocka_unit_test(no_devices),           cmocka_unit_test(rarp_as_qemu),
        cmocka_unit_test(gratuitous_arp),       cmocka_unit_test(neighbour_advertisement),
        cmocka_unit_test(texts_of_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

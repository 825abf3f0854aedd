/*
 * gate_msg.c - the gate's netlink messages (gate_nl.h), and what the replies say. Pure.
 */
#include "xhad/repl/gate_nl.h"

#include <arpa/inet.h>
#include <linux/gen_stats.h>
#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/neighbour.h>
#include <linux/pkt_cls.h>
#include <linux/tc_act/tc_mirred.h>
#include <netlink/attr.h>
#include <string.h>
#include <sys/socket.h>

#define PLUG_HANDLE    0x78680000u /* 7868: */
#define INGRESS_HANDLE TC_H_MAKE(TC_H_INGRESS, 0)
#define INGRESS_HOOK   TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS) /* of an ingress qdisc as of a clsact */
#define PRIORITY       1                                        /* before whatever else stands there */

/* ---- links ---- */

static struct nl_msg *link_msg(int type, int flags, int ifindex, unsigned up)
{
    const struct ifinfomsg ifi = {
        .ifi_family = AF_UNSPEC, .ifi_index = ifindex, .ifi_flags = up, .ifi_change = up
    };
    struct nl_msg *msg = nlmsg_alloc_simple(type, flags);

    if (msg && nlmsg_append(msg, (void *)(uintptr_t)&ifi, sizeof(ifi), NLMSG_ALIGNTO) == 0)
        return msg;
    nlmsg_free(msg);
    return NULL;
}

/* The message, unless something did not fit into it. */
static struct nl_msg *whole(struct nl_msg *msg, bool good)
{
    if (good)
        return msg;
    nlmsg_free(msg);
    return NULL;
}

struct nl_msg *xha_nl_links(void)
{
    return link_msg(RTM_GETLINK, NLM_F_DUMP, 0, 0);
}

struct nl_msg *xha_nl_link_by_name(const char *name)
{
    struct nl_msg *msg = link_msg(RTM_GETLINK, 0, 0, 0);

    return whole(msg, msg && nla_put_string(msg, IFLA_IFNAME, name) == 0);
}

struct nl_msg *xha_nl_link_by_index(int ifindex)
{
    return link_msg(RTM_GETLINK, 0, ifindex, 0);
}

struct nl_msg *xha_nl_ifb_add(const char *name, uint32_t queue_len)
{
    struct nl_msg *msg = link_msg(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, 0);
    struct nlattr *info = NULL;
    bool good = msg && nla_put_string(msg, IFLA_IFNAME, name) == 0 &&
                nla_put_u32(msg, IFLA_TXQLEN, queue_len) == 0 &&
                (info = nla_nest_start(msg, IFLA_LINKINFO)) != NULL &&
                nla_put_string(msg, IFLA_INFO_KIND, "ifb") == 0;

    if (good)
        nla_nest_end(msg, info);
    return whole(msg, good);
}

struct nl_msg *xha_nl_link_alias(int ifindex, const char *alias)
{
    struct nl_msg *msg = link_msg(RTM_NEWLINK, 0, ifindex, 0);

    return whole(msg, msg && nla_put(msg, IFLA_IFALIAS, (int)strlen(alias), alias) == 0);
}

struct nl_msg *xha_nl_link_no_ipv6(int ifindex)
{
    struct nl_msg *msg = link_msg(RTM_NEWLINK, 0, ifindex, 0);
    struct nlattr *families = NULL, *inet6 = NULL;
    bool good = msg && (families = nla_nest_start(msg, IFLA_AF_SPEC)) != NULL &&
                (inet6 = nla_nest_start(msg, AF_INET6)) != NULL &&
                nla_put_u8(msg, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE) == 0;

    if (good) {
        nla_nest_end(msg, inet6);
        nla_nest_end(msg, families);
    }
    return whole(msg, good);
}

struct nl_msg *xha_nl_link_up(int ifindex)
{
    return link_msg(RTM_NEWLINK, 0, ifindex, IFF_UP);
}

struct nl_msg *xha_nl_link_del(int ifindex)
{
    return link_msg(RTM_DELLINK, 0, ifindex, 0);
}

/* ---- queues and filters ---- */

static struct nl_msg *tc_msg(int type, int flags, const struct tcmsg *tcm, const char *kind)
{
    struct nl_msg *msg = nlmsg_alloc_simple(type, flags);
    bool good = msg && nlmsg_append(msg, (void *)(uintptr_t)tcm, sizeof(*tcm), NLMSG_ALIGNTO) == 0 &&
                (!kind || nla_put_string(msg, TCA_KIND, kind) == 0);

    return whole(msg, good);
}

struct nl_msg *xha_nl_qdisc_get(int ifindex, uint32_t parent)
{
    return tc_msg(RTM_GETQDISC, NLM_F_ECHO, &(struct tcmsg){ .tcm_ifindex = ifindex, .tcm_parent = parent },
                  NULL);
}

static struct nl_msg *plug_msg(int flags, int ifindex, int action, uint32_t limit)
{
    const struct tcmsg tcm = { .tcm_ifindex = ifindex, .tcm_handle = PLUG_HANDLE, .tcm_parent = TC_H_ROOT };
    const struct tc_plug_qopt opt = { .action = action, .limit = limit };
    struct nl_msg *msg = tc_msg(RTM_NEWQDISC, flags, &tcm, "plug");

    return whole(msg, msg && nla_put(msg, TCA_OPTIONS, sizeof(opt), &opt) == 0);
}

struct nl_msg *xha_nl_plug_add(int ifindex, uint32_t limit)
{
    return plug_msg(NLM_F_CREATE | NLM_F_REPLACE, ifindex, TCQ_PLUG_LIMIT, limit);
}

struct nl_msg *xha_nl_plug_do(int ifindex, int action)
{
    return plug_msg(0, ifindex, action, 0);
}

static struct tcmsg ingress_of(int ifindex)
{
    return (struct tcmsg){ .tcm_ifindex = ifindex, .tcm_handle = INGRESS_HANDLE, .tcm_parent = TC_H_INGRESS };
}

struct nl_msg *xha_nl_ingress_add(int ifindex)
{
    const struct tcmsg tcm = ingress_of(ifindex);

    return tc_msg(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &tcm, "ingress");
}

struct nl_msg *xha_nl_ingress_del(int ifindex)
{
    const struct tcmsg tcm = ingress_of(ifindex);

    return tc_msg(RTM_DELQDISC, 0, &tcm, NULL);
}

static struct tcmsg redirect_of(int ifindex)
{
    return (struct tcmsg){ .tcm_ifindex = ifindex,
                           .tcm_parent = INGRESS_HOOK,
                           .tcm_info = TC_H_MAKE(PRIORITY << 16, htons(ETH_P_ALL)) };
}

static bool put_redirect(struct nl_msg *msg, int to_ifindex)
{
    const struct tc_mirred m = { .action = TC_ACT_STOLEN,
                                 .eaction = TCA_EGRESS_REDIR,
                                 .ifindex = (uint32_t)to_ifindex };
    struct nlattr *options, *actions, *first, *action;

    if (!(options = nla_nest_start(msg, TCA_OPTIONS)) || !(actions = nla_nest_start(msg, TCA_MATCHALL_ACT)) ||
        !(first = nla_nest_start(msg, 1)) || nla_put_string(msg, TCA_ACT_KIND, "mirred") < 0 ||
        !(action = nla_nest_start(msg, TCA_ACT_OPTIONS)) || nla_put(msg, TCA_MIRRED_PARMS, sizeof(m), &m) < 0)
        return false;
    nla_nest_end(msg, action);
    nla_nest_end(msg, first);
    nla_nest_end(msg, actions);
    nla_nest_end(msg, options);
    return true;
}

struct nl_msg *xha_nl_redirect_add(int ifindex, int to_ifindex)
{
    const struct tcmsg tcm = redirect_of(ifindex);
    struct nl_msg *msg = tc_msg(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, &tcm, "matchall");

    return whole(msg, msg && put_redirect(msg, to_ifindex));
}

struct nl_msg *xha_nl_redirect_del(int ifindex)
{
    const struct tcmsg tcm = redirect_of(ifindex);

    return tc_msg(RTM_DELTFILTER, 0, &tcm, "matchall");
}

struct nl_msg *xha_nl_filters(int ifindex)
{
    return tc_msg(RTM_GETTFILTER, NLM_F_DUMP,
                  &(struct tcmsg){ .tcm_ifindex = ifindex, .tcm_parent = INGRESS_HOOK }, NULL);
}

struct nl_msg *xha_nl_fdb_set(int port_ifindex, const uint8_t mac[6])
{
    const struct ndmsg ndm = { .ndm_family = AF_BRIDGE,
                               .ndm_ifindex = port_ifindex,
                               .ndm_state = NUD_REACHABLE,
                               .ndm_flags = NTF_MASTER };
    struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
    bool good = msg && nlmsg_append(msg, (void *)(uintptr_t)&ndm, sizeof(ndm), NLMSG_ALIGNTO) == 0 &&
                nla_put(msg, NDA_LLADDR, 6, mac) == 0;

    return whole(msg, good);
}

/* ---- replies ---- */

static bool read_attrs(const struct nlmsghdr *h, size_t head, struct nlattr **tb, int max)
{
    return nlmsg_valid_hdr(h, (int)head) &&
           nlmsg_parse((struct nlmsghdr *)(uintptr_t)h, (int)head, tb, max, NULL) == 0;
}

static bool is_text(const struct nlattr *a, const char *text)
{
    return a && nla_strcmp(a, text) == 0;
}

/* The kernel's structs grow at their end; a shorter one than ours is an old kernel's. */
static void copy_struct(const struct nlattr *a, void *to, size_t len)
{
    memset(to, 0, len);
    if (a)
        memcpy(to, nla_data(a), (size_t)nla_len(a) < len ? (size_t)nla_len(a) : len);
}

bool xha_nl_read_link(const struct nlmsghdr *reply, struct xha_nl_link *link_r)
{
    const struct ifinfomsg *ifi = nlmsg_data(reply);
    struct nlattr *tb[IFLA_MAX + 1], *info[IFLA_INFO_MAX + 1] = { NULL };
    struct rtnl_link_stats64 stats;

    if ((reply->nlmsg_type != RTM_NEWLINK && reply->nlmsg_type != RTM_DELLINK) ||
        !read_attrs(reply, sizeof(*ifi), tb, IFLA_MAX) || !tb[IFLA_IFNAME])
        return false;
    *link_r = (struct xha_nl_link){ .ifindex = ifi->ifi_index, .up = ifi->ifi_flags & IFF_UP };
    nla_strlcpy(link_r->name, tb[IFLA_IFNAME], sizeof(link_r->name));
    if (tb[IFLA_IFALIAS])
        nla_strlcpy(link_r->alias, tb[IFLA_IFALIAS], sizeof(link_r->alias));
    if (tb[IFLA_MASTER] && nla_len(tb[IFLA_MASTER]) >= 4)
        link_r->master = (int)nla_get_u32(tb[IFLA_MASTER]);
    if (tb[IFLA_LINKINFO] && nla_parse_nested(info, IFLA_INFO_MAX, tb[IFLA_LINKINFO], NULL) == 0 &&
        info[IFLA_INFO_KIND])
        nla_strlcpy(link_r->kind, info[IFLA_INFO_KIND], sizeof(link_r->kind));
    copy_struct(tb[IFLA_STATS64], &stats, sizeof(stats));
    link_r->rx_packets = stats.rx_packets;
    link_r->tx_packets = stats.tx_packets;
    link_r->rx_dropped = stats.rx_dropped;
    return true;
}

bool xha_nl_read_qdisc(const struct nlmsghdr *reply, struct xha_nl_qdisc *qdisc_r)
{
    const struct tcmsg *tcm = nlmsg_data(reply);
    struct nlattr *tb[TCA_MAX + 1], *st[TCA_STATS_MAX + 1] = { NULL };
    struct gnet_stats_basic basic;
    struct gnet_stats_queue queue;

    if (reply->nlmsg_type != RTM_NEWQDISC || !read_attrs(reply, sizeof(*tcm), tb, TCA_MAX) || !tb[TCA_KIND])
        return false;
    *qdisc_r = (struct xha_nl_qdisc){ .ifindex = tcm->tcm_ifindex,
                                      .handle = tcm->tcm_handle,
                                      .parent = tcm->tcm_parent };
    nla_strlcpy(qdisc_r->kind, tb[TCA_KIND], sizeof(qdisc_r->kind));
    if (tb[TCA_STATS2] && nla_parse_nested(st, TCA_STATS_MAX, tb[TCA_STATS2], NULL) < 0)
        return false;
    copy_struct(st[TCA_STATS_BASIC], &basic, sizeof(basic));
    copy_struct(st[TCA_STATS_QUEUE], &queue, sizeof(queue));
    qdisc_r->sent_bytes = basic.bytes;
    qdisc_r->held_packets = queue.qlen;
    qdisc_r->held_bytes = queue.backlog;
    qdisc_r->drops_packets = queue.drops;
    return true;
}

/* The only action of a matchall; false when it is no plain redirect. */
static bool read_redirect(struct nlattr *options, struct xha_nl_filter *f)
{
    struct nlattr *tb[TCA_MATCHALL_MAX + 1], *list[3], *act[TCA_ACT_MAX + 1], *opt[TCA_MIRRED_MAX + 1];
    struct tc_mirred m;

    if (!options || nla_parse_nested(tb, TCA_MATCHALL_MAX, options, NULL) < 0 || !tb[TCA_MATCHALL_ACT] ||
        nla_parse_nested(list, 2, tb[TCA_MATCHALL_ACT], NULL) < 0 || !list[1] || list[2] ||
        nla_parse_nested(act, TCA_ACT_MAX, list[1], NULL) < 0 || !is_text(act[TCA_ACT_KIND], "mirred") ||
        !act[TCA_ACT_OPTIONS] || nla_parse_nested(opt, TCA_MIRRED_MAX, act[TCA_ACT_OPTIONS], NULL) < 0 ||
        !opt[TCA_MIRRED_PARMS])
        return false;
    copy_struct(opt[TCA_MIRRED_PARMS], &m, sizeof(m));
    f->to_ifindex = (int)m.ifindex;
    return m.eaction == TCA_EGRESS_REDIR && m.action == TC_ACT_STOLEN;
}

bool xha_nl_read_filter(const struct nlmsghdr *reply, struct xha_nl_filter *filter_r)
{
    const struct tcmsg *tcm = nlmsg_data(reply);
    struct nlattr *tb[TCA_MAX + 1];

    /* The kernel lists a priority's classifier first, without a handle, then what is in it. */
    if (reply->nlmsg_type != RTM_NEWTFILTER || !read_attrs(reply, sizeof(*tcm), tb, TCA_MAX) ||
        !tb[TCA_KIND] || tcm->tcm_handle == 0)
        return false;
    *filter_r = (struct xha_nl_filter){
        .ifindex = tcm->tcm_ifindex,
        .priority = (uint16_t)(TC_H_MAJ(tcm->tcm_info) >> 16),
        .all_protocols = TC_H_MIN(tcm->tcm_info) == htons(ETH_P_ALL),
    };
    filter_r->is_redirect = is_text(tb[TCA_KIND], "matchall") && read_redirect(tb[TCA_OPTIONS], filter_r);
    return true;
}

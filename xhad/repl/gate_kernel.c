/*
 * gate_kernel.c - see gate_kernel.h.
 */
#include "xhad/repl/gate_kernel.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PRIORITY      1    /* of the redirect, see gate_msg.c */
#define QUEUE_LEN     1000 /* packets that an ifb passes on at once */
#define LEFTOVER_MS   1000 /* for what a half-removed gate still lets out, before it is made anew */
#define NO_BARRIER_MS 50   /* where the kernel offers no barrier: long after any packet has passed */

int64_t gate_now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int gate_fail(const struct xha_nl *nl, int rc, char *err, size_t err_len, const char *format, ...)
{
    va_list args;
    size_t used;

    va_start(args, format);
    vsnprintf(err, err_len, format, args);
    va_end(args);
    used = strlen(err);
    snprintf(err + used, err_len - used, ": %s%s%s%s", strerror(-rc), nl->said[0] ? " (" : "", nl->said,
             nl->said[0] ? ")" : "");
    return -1;
}

static void nap_ms(long ms)
{
    nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

/* ---- looking ---- */

static void heed_link(const struct nlmsghdr *reply, size_t index, void *arg)
{
    (void)index;
    xha_nl_read_link(reply, arg);
}

static void heed_qdisc(const struct nlmsghdr *reply, size_t index, void *arg)
{
    (void)index;
    xha_nl_read_qdisc(reply, arg);
}

static void heed_filter(const struct nlmsghdr *reply, size_t index, void *arg)
{
    struct gate_seen *seen = arg;
    struct xha_nl_filter f;

    (void)index;
    if (!xha_nl_read_filter(reply, &f) || f.ifindex != seen->vif)
        return;
    if (f.priority == PRIORITY && f.all_protocols && f.is_redirect && !seen->redirected &&
        (f.to_ifindex == 0 || f.to_ifindex == seen->ifb.ifindex)) {
        seen->redirected = true;
        seen->target = f.to_ifindex;
    } else {
        seen->foreign++;
    }
}

/* Something that is not there is no error. */
static int ask_for(struct xha_nl *nl, struct nl_msg *msg, xha_nl_heed *heed, void *arg)
{
    int rc = xha_nl_ask_one(nl, msg, heed, arg);

    return rc == -ENODEV || rc == -ENOENT ? 0 : rc;
}

static int see_ifb(struct xha_nl *nl, const char *name, struct gate_seen *seen, int *vif_r)
{
    char vif[XHA_GATE_NAME];
    int rc = ask_for(nl, xha_nl_link_by_name(name), heed_link, &seen->ifb);

    if (rc == 0 && seen->ifb.ifindex)
        rc = ask_for(nl, xha_nl_qdisc_get(seen->ifb.ifindex, TC_H_ROOT), heed_qdisc, &seen->root);
    /* Without an alias it was left by somebody who died over it: nobody else makes an ifb of such a name. */
    seen->ours = strcmp(seen->ifb.kind, "ifb") == 0 &&
                 (xha_gate_alias_parse(seen->ifb.alias, vif, vif_r) || seen->ifb.alias[0] == '\0');
    return rc;
}

static int see_vif(struct xha_nl *nl, const char *name, int ifindex, struct gate_seen *seen)
{
    struct xha_nl_link vif = { 0 };
    struct xha_nl_qdisc ingress = { 0 };
    int rc = 0;

    if (name[0])
        rc = ask_for(nl, xha_nl_link_by_name(name), heed_link, &vif);
    else if (ifindex)
        rc = ask_for(nl, xha_nl_link_by_index(ifindex), heed_link, &vif);
    seen->vif = vif.ifindex;
    if (rc < 0 || !seen->vif)
        return rc;
    rc = ask_for(nl, xha_nl_qdisc_get(seen->vif, TC_H_INGRESS), heed_qdisc, &ingress);
    memcpy(seen->ingress, ingress.kind, sizeof(seen->ingress));
    if (rc < 0 || !seen->ingress[0])
        return rc;
    return ask_for(nl, xha_nl_filters(seen->vif), heed_filter, seen);
}

int gate_see(struct xha_nl *nl, const struct xha_gate_port *port, struct gate_seen *seen_r, char *err,
             size_t err_len)
{
    char name[XHA_GATE_NAME];
    int tries = 0, vif = 0, rc;

    if (xha_gate_ifb_name(port, name) < 0) {
        snprintf(err, err_len, "domain %u has no network device %u that could be gated", port->domid,
                 port->devid);
        return -1;
    }
    do {
        *seen_r = (struct gate_seen){ 0 };
        rc = see_ifb(nl, name, seen_r, &vif);
        if (rc == 0)
            rc = see_vif(nl, port->vif, vif, seen_r);
    } while (rc == -EINTR && ++tries < 10); /* the filters changed while they were listed */
    return rc == 0 ? 0 : gate_fail(nl, rc, err, err_len, "the gate %s cannot be looked at", name);
}

bool gate_is_whole(const struct gate_seen *seen)
{
    return seen->vif && seen->ours && seen->ifb.up && strcmp(seen->root.kind, "plug") == 0 &&
           seen->redirected && seen->target == seen->ifb.ifindex;
}

/* ---- taking down ---- */

/* Until the ifb has passed on whatever it took: it counts what comes in, what goes on, and what is not a vif's. */
static int wait_empty(struct xha_nl *nl, const struct gate_seen *seen, int64_t until_ms)
{
    for (;;) {
        struct xha_nl_qdisc q = { 0 };
        struct xha_nl_link l = { 0 };
        int rc = xha_nl_ask_one(nl, xha_nl_qdisc_get(seen->ifb.ifindex, TC_H_ROOT), heed_qdisc, &q);

        if (rc == 0)
            rc = xha_nl_ask_one(nl, xha_nl_link_by_index(seen->ifb.ifindex), heed_link, &l);
        if (rc < 0)
            return rc;
        if (q.held_packets == 0 && l.tx_packets + l.rx_dropped >= l.rx_packets)
            return 0;
        if (gate_now_us() / 1000 >= until_ms)
            return -ETIMEDOUT;
        nap_ms(1);
    }
}

/* Until no packet is on its way that saw the redirect before it was removed: the kernel's own grace period. */
static void wait_passed(void)
{
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) < 0)
        nap_ms(NO_BARRIER_MS);
}

/*
 * The redirect is gone. The first grace period brings whatever still saw it into the ifb. One that is between the queue
 * and the device is in neither's count, so after the second one is looked once more.
 */
static int wait_last(struct xha_nl *nl, const struct gate_seen *seen, int64_t until_ms)
{
    int rc = 0;

    for (int i = 0; i < 2 && rc == 0; i++) {
        wait_passed();
        rc = wait_empty(nl, seen, until_ms);
    }
    return rc;
}

/* The empty ingress goes as well: it was made for the gate, or was of no use. */
static int remove_redirect(struct xha_nl *nl, const struct gate_seen *seen)
{
    int rc = 0;

    if (seen->redirected)
        rc = xha_nl_ask_one(nl, xha_nl_redirect_del(seen->vif), NULL, NULL);
    if (rc == 0 && strcmp(seen->ingress, "ingress") == 0 && seen->foreign == 0)
        rc = xha_nl_ask_one(nl, xha_nl_ingress_del(seen->vif), NULL, NULL);
    if (rc < 0 && xha_nl_ask_one(nl, xha_nl_link_by_index(seen->vif), NULL, NULL) == -ENODEV)
        return 0; /* it went with the vif, meanwhile */
    return rc;
}

static int unmake(struct xha_nl *nl, const struct gate_seen *seen, int64_t until_ms, const char **what_r)
{
    const bool plugged = seen->ours && strcmp(seen->root.kind, "plug") == 0;
    int rc = 0;

    *what_r = "let everything out";
    if (plugged)
        rc = xha_nl_ask_one(nl, xha_nl_plug_do(seen->ifb.ifindex, TCQ_PLUG_RELEASE_INDEFINITE), NULL, NULL);
    /* What it held goes first. Under steady traffic it is never seen empty: the short way then opens meanwhile. */
    if (rc == 0 && plugged)
        rc = wait_empty(nl, seen, gate_now_us() / 1000 + 100);
    if (rc == 0 || rc == -ETIMEDOUT) {
        *what_r = "take the redirect away";
        rc = remove_redirect(nl, seen);
    }
    if (rc == 0 && plugged) {
        *what_r = "pass the last packets on in time";
        rc = wait_last(nl, seen, until_ms);
    }
    if (rc == 0 && seen->ours) {
        *what_r = "be removed";
        rc = xha_nl_ask_one(nl, xha_nl_link_del(seen->ifb.ifindex), NULL, NULL);
    }
    return rc;
}

int gate_unmake(struct xha_nl *nl, const struct xha_gate_port *port, int64_t until_ms, char *err,
                size_t err_len)
{
    char name[XHA_GATE_NAME];
    struct gate_seen seen;
    const char *what;
    int rc;

    if (gate_see(nl, port, &seen, err, err_len) < 0)
        return -1;
    if (!seen.ours && !seen.redirected)
        return 0;
    xha_gate_ifb_name(port, name);
    rc = unmake(nl, &seen, until_ms, &what);
    return rc == 0 ? 0
                   : gate_fail(nl, rc, err, err_len, "the gate %s of %s could not %s", name, port->vif, what);
}

/* ---- making ---- */

/* Why this port cannot be made; NULL when it can. */
static const char *hindrance(const struct gate_seen *seen)
{
    if (!seen->vif)
        return "is not there (yet)";
    if (seen->ifb.ifindex && !seen->ours)
        return "cannot be gated: there is a network device of the gate's name that is none of xhad's; remove "
               "it";
    if (seen->foreign)
        return "cannot be gated: somebody else's tc filters stand on its ingress and could lead packets past "
               "the "
               "gate; see 'tc filter show dev' and remove them";
    if (seen->ingress[0] && strcmp(seen->ingress, "ingress") != 0 && strcmp(seen->ingress, "clsact") != 0)
        return "cannot be gated: its ingress has a queue of an unknown kind";
    return NULL;
}

/* The ifb: shut before anything is led to it. Sets seen->ifb. */
static int make_ifb(struct xha_nl *nl, const struct xha_gate_port *port, uint32_t limit_bytes,
                    struct gate_seen *seen, const char **what_r)
{
    char name[XHA_GATE_NAME], alias[XHA_GATE_ALIAS_MAX];
    int rc;

    xha_gate_ifb_name(port, name);
    xha_gate_alias(port->vif, seen->vif, alias);
    *what_r = "its ifb cannot be made (kernel module ifb)";
    rc = xha_nl_ask_one(nl, xha_nl_ifb_add(name, QUEUE_LEN), NULL, NULL);
    if (rc == 0)
        rc = xha_nl_ask_one(nl, xha_nl_link_by_name(name), heed_link, &seen->ifb);
    if (rc < 0)
        return rc;
    seen->ours = true;
    *what_r = "its ifb cannot be named";
    rc = xha_nl_ask_one(nl, xha_nl_link_alias(seen->ifb.ifindex, alias), NULL, NULL);
    /* Where the kernel has no IPv6 there is nothing to be kept from talking. */
    if (rc == 0)
        xha_nl_ask_one(nl, xha_nl_link_no_ipv6(seen->ifb.ifindex), NULL, NULL);
    if (rc == 0) {
        *what_r = "it cannot be plugged (kernel module sch_plug)";
        rc = xha_nl_ask_one(nl, xha_nl_plug_add(seen->ifb.ifindex, limit_bytes), NULL, NULL);
    }
    if (rc == 0) {
        *what_r = "its ifb cannot be brought up";
        rc = xha_nl_ask_one(nl, xha_nl_link_up(seen->ifb.ifindex), NULL, NULL);
    }
    return rc;
}

static int lead_there(struct xha_nl *nl, const struct gate_seen *seen, const char **what_r)
{
    int rc = 0;

    *what_r = "its ingress cannot be had (kernel module sch_ingress)";
    if (!seen->ingress[0])
        rc = xha_nl_ask_one(nl, xha_nl_ingress_add(seen->vif), NULL, NULL);
    if (rc == 0) {
        *what_r = "its traffic cannot be led to the gate (kernel modules cls_matchall, act_mirred)";
        rc = xha_nl_ask_one(nl, xha_nl_redirect_add(seen->vif, seen->ifb.ifindex), NULL, NULL);
    }
    return rc;
}

int gate_make(struct xha_nl *nl, const struct xha_gate_port *port, uint32_t limit_bytes,
              struct gate_seen *seen_r, bool *found_r, char *err, size_t err_len)
{
    char ignored[XHA_GATE_TEXT];
    const char *what;
    int rc;

    if (gate_see(nl, port, seen_r, err, err_len) < 0)
        return -1;
    what = hindrance(seen_r);
    if (what) {
        snprintf(err, err_len, "%s %s", port->vif, what);
        return -1;
    }
    *found_r = gate_is_whole(seen_r);
    if (*found_r)
        return 0;
    /* A half-made or half-removed one holds nothing that anybody waits for: begin anew. */
    if ((seen_r->ours || seen_r->redirected) &&
        (gate_unmake(nl, port, gate_now_us() / 1000 + LEFTOVER_MS, err, err_len) < 0 ||
         gate_see(nl, port, seen_r, err, err_len) < 0))
        return -1;
    rc = make_ifb(nl, port, limit_bytes, seen_r, &what);
    if (rc == 0)
        rc = lead_there(nl, seen_r, &what);
    if (rc == 0)
        return gate_see(nl, port, seen_r, err, err_len);
    gate_fail(nl, rc, err, err_len, "%s is not gated, %s", port->vif, what);
    gate_unmake(nl, port, gate_now_us() / 1000 + LEFTOVER_MS, ignored, sizeof(ignored));
    return -1;
}

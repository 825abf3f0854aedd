/*
 * gate.c - see gate.h: the handle of a gate, its states and epochs. What the kernel is told to do once is in
 * gate_kernel.c.
 *
 * The kernel's plug counts packets without a lock: a packet that comes in just as an epoch is ended may be counted to
 * neither or leave an epoch's count standing, and then a later release lets out more than it should. So each
 * barrier is a batch (look, barrier, look): when what had come in is the same before and after, nothing came between. And nothing is released
 * until all that was released before has left, which keeps the kernel's other count from the same fate.
 */
#include "xhad/repl/gate.h"
#include "xhad/repl/gate_kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define QUIET_US    5000   /* for a suspended guest's last packets to come in */
#define LEAVE_US    200000 /* for what was released to leave */
#define SHUT_TRIES  50
#define NAP_US      50
#define ROLLBACK_MS 2000

struct port {
    struct xha_gate_port name;
    int vif, ifb;
    uint64_t committed_bytes; /* of all that may have left by now */
    uint64_t sealed_bytes;    /* SEALED: ... when that epoch is let out */
    struct xha_nl_qdisc q, before;
    bool found, seen;
};

struct xha_gate {
    struct xha_nl nl, news;
    enum xha_gate_state state;
    uint64_t epochs;
    int64_t began_us, sealed_us; /* of the epoch that was sealed last, and of the running one */
    int64_t sealed_began_us;
    int64_t delay_us, wait_us;
    size_t n;
    struct port ports[];
};

const char *xha_gate_state_name(enum xha_gate_state state)
{
    static const char *const names[] = { "shut", "sealed", "open", "found", "broken" };

    return (size_t)state < sizeof(names) / sizeof(*names) ? names[state] : "unknown";
}

enum xha_gate_state xha_gate_state(const struct xha_gate *gate)
{
    return gate->state;
}

static int broken(struct xha_gate *gate, char *err, size_t err_len, const char *port, const char *why)
{
    gate->state = XHA_GATE_BROKEN;
    snprintf(err, err_len, "the gate of %s stays shut: %s; protection must begin anew", port, why);
    return -1;
}

static int wrong_state(const struct xha_gate *gate, char *err, size_t err_len, const char *what)
{
    snprintf(err, err_len, "a gate that is %s cannot %s", xha_gate_state_name(gate->state), what);
    return -1;
}

static void nap(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = NAP_US * 1000L }, NULL);
}

/* ---- asking about all ports at once ---- */

/* What had come in and was taken, in bytes. */
static uint64_t taken(const struct xha_nl_qdisc *q)
{
    return q->sent_bytes + q->held_bytes;
}

static void heed_one(const struct nlmsghdr *reply, size_t index, void *arg)
{
    struct xha_gate *gate = arg;
    struct port *p = &gate->ports[index];

    p->seen = xha_nl_read_qdisc(reply, &p->q) && strcmp(p->q.kind, "plug") == 0;
}

/* Of the batches of three: before, (the barrier), after. */
static void heed_three(const struct nlmsghdr *reply, size_t index, void *arg)
{
    struct xha_gate *gate = arg;

    if (index % 3 == 0)
        xha_nl_read_qdisc(reply, &gate->ports[index / 3].before);
    else
        heed_one(reply, index / 3, arg);
}

/* A port that did not answer is a plug that somebody took away. */
static int check_answers(struct xha_gate *gate, int rc, size_t failed, char *err, size_t err_len)
{
    if (rc < 0)
        return gate_fail(&gate->nl, rc, err, err_len, "the gate of %s does not answer",
                         gate->ports[failed < gate->n ? failed : 0].name.vif);
    for (size_t i = 0; i < gate->n; i++)
        if (!gate->ports[i].seen) {
            snprintf(err, err_len, "the gate of %s is gone: somebody replaced its queue",
                     gate->ports[i].name.vif);
            return -1;
        }
    return 0;
}

static int look(struct xha_gate *gate, char *err, size_t err_len)
{
    struct nl_msg *msgs[XHA_GATE_PORTS_MAX];
    size_t failed;
    int rc;

    for (size_t i = 0; i < gate->n; i++) {
        gate->ports[i].seen = false;
        msgs[i] = xha_nl_qdisc_get(gate->ports[i].ifb, TC_H_ROOT);
    }
    rc = xha_nl_ask(&gate->nl, msgs, gate->n, heed_one, gate, &failed);
    return check_answers(gate, rc, failed, err, err_len);
}

static int tell(struct xha_gate *gate, int action, char *err, size_t err_len)
{
    struct nl_msg *msgs[XHA_GATE_PORTS_MAX];
    size_t failed;
    int rc;

    for (size_t i = 0; i < gate->n; i++)
        msgs[i] = xha_nl_plug_do(gate->ports[i].ifb, action);
    rc = xha_nl_ask(&gate->nl, msgs, gate->n, NULL, NULL, &failed);
    return rc == 0 ? 0
                   : gate_fail(&gate->nl, rc, err, err_len, "the gate of %s does not obey",
                               gate->ports[failed].name.vif);
}

static int look_barrier_look(struct xha_gate *gate, char *err, size_t err_len)
{
    struct nl_msg *msgs[3 * XHA_GATE_PORTS_MAX];
    size_t failed;
    int rc;

    for (size_t i = 0; i < gate->n; i++) {
        struct port *p = &gate->ports[i];

        p->seen = false;
        msgs[3 * i] = xha_nl_qdisc_get(p->ifb, TC_H_ROOT);
        msgs[3 * i + 1] = xha_nl_plug_do(p->ifb, TCQ_PLUG_BUFFER);
        msgs[3 * i + 2] = xha_nl_qdisc_get(p->ifb, TC_H_ROOT);
    }
    rc = xha_nl_ask(&gate->nl, msgs, 3 * gate->n, heed_three, gate, &failed);
    return check_answers(gate, rc, failed / 3, err, err_len);
}

/* ---- news of devices ---- */

struct news {
    const struct xha_gate *gate;
    char *what;
    size_t what_len;
    bool making; /* then the gate's own devices come and change */
    bool any;
};

static void tell_news(struct news *news, const char *name, const char *what)
{
    news->any = true;
    snprintf(news->what, news->what_len, "network device %s %s", name, what);
}

/* Of the link messages, most are none of the domain's. */
static void heed_news(const struct nlmsghdr *reply, size_t index, void *arg)
{
    struct news *news = arg;
    const struct xha_gate *gate = news->gate;
    struct xha_nl_link link;
    char mine[24];

    (void)index;
    if (news->any || gate->n == 0 || !xha_nl_read_link(reply, &link))
        return;
    for (size_t i = 0; i < gate->n; i++) {
        const struct port *p = &gate->ports[i];

        if (link.ifindex != p->vif && link.ifindex != p->ifb)
            continue;
        if (news->making)
            return;
        if (reply->nlmsg_type == RTM_DELLINK)
            tell_news(news, link.name, "went");
        else if (link.ifindex == p->ifb && !link.up)
            tell_news(news, link.name, "was brought down");
        return; /* renamed, or into a bridge: it is gated as before */
    }
    snprintf(mine, sizeof(mine), "vif%" PRIu32 ".", gate->ports[0].name.domid);
    if (reply->nlmsg_type == RTM_NEWLINK && strncmp(link.name, mine, strlen(mine)) == 0)
        tell_news(news, link.name, "came");
}

bool xha_gate_vifs_changed(struct xha_gate *gate, char *what_r, size_t what_len)
{
    struct news news = { .gate = gate, .what = what_r, .what_len = what_len };
    int rc = xha_nl_listen(&gate->news, heed_news, &news);

    if (rc < 0 && !news.any) {
        snprintf(what_r, what_len, "the kernel's news of network devices were lost: %s", strerror(-rc));
        return true;
    }
    return news.any;
}

/* ---- setting up ---- */

void xha_gate_close(struct xha_gate *gate)
{
    if (!gate)
        return;
    xha_nl_close(&gate->nl);
    xha_nl_close(&gate->news);
    free(gate);
}

/* Takes back what this call has made of the first n ports; what was found stays. */
static void take_back(struct xha_gate *gate, size_t n)
{
    char ignored[XHA_GATE_TEXT];

    while (n-- > 0)
        if (!gate->ports[n].found)
            gate_unmake(&gate->nl, &gate->ports[n].name, gate_now_us() / 1000 + ROLLBACK_MS, ignored,
                        sizeof(ignored));
}

static int make_all(struct xha_gate *gate, uint32_t limit_bytes, char *err, size_t err_len)
{
    bool any = false;

    for (size_t i = 0; i < gate->n; i++) {
        struct port *p = &gate->ports[i];
        struct gate_seen seen;

        if (gate_make(&gate->nl, &p->name, limit_bytes, &seen, &p->found, err, err_len) < 0) {
            take_back(gate, i);
            return -1;
        }
        p->vif = seen.vif;
        p->ifb = seen.ifb.ifindex;
        any = any || p->found;
    }
    gate->state = any ? XHA_GATE_FOUND : XHA_GATE_SHUT;
    return 0;
}

/* What the making itself has caused. A device that came meanwhile is none of it. */
static int forget_own_news(struct xha_gate *gate, char *err, size_t err_len)
{
    char what[64] = "";
    struct news news = { .gate = gate, .what = what, .what_len = sizeof(what), .making = true };
    int rc = xha_nl_listen(&gate->news, heed_news, &news);

    if (gate->n == 0 || (rc == 0 && !news.any))
        return 0;
    take_back(gate, gate->n);
    snprintf(err, err_len, "the gate of %s is not set up: %s meanwhile; it can be tried again",
             gate->ports[0].name.vif, news.any ? what : strerror(-rc));
    return -1;
}

int xha_gate_set_up(const struct xha_gate_port *ports, size_t n, uint32_t limit_bytes,
                    struct xha_gate **gate_r, char *err, size_t err_len)
{
    struct xha_gate *gate;
    int rc;

    *gate_r = NULL;
    if (n > XHA_GATE_PORTS_MAX) {
        snprintf(err, err_len, "a domain with %zu network devices cannot be gated: at most %d", n,
                 XHA_GATE_PORTS_MAX);
        return -1;
    }
    gate = calloc(1, sizeof(*gate) + n * sizeof(gate->ports[0]));
    if (!gate) {
        snprintf(err, err_len, "%s", strerror(ENOMEM));
        return -1;
    }
    gate->nl.fd = gate->news.fd = -1;
    gate->n = n;
    for (size_t i = 0; i < n; i++)
        gate->ports[i].name = ports[i];
    rc = xha_nl_open(&gate->nl, 0);
    if (rc == 0)
        rc = xha_nl_open(&gate->news, 1 << (RTNLGRP_LINK - 1));
    if (rc < 0)
        gate_fail(&gate->nl, rc, err, err_len, "the kernel's network cannot be talked to");
    else
        rc = make_all(gate, limit_bytes, err, err_len);
    if (rc == 0)
        rc = forget_own_news(gate, err, err_len);
    if (rc < 0) {
        xha_gate_close(gate);
        return -1;
    }
    gate->began_us = gate_now_us();
    *gate_r = gate;
    return 0;
}

/* ---- epochs ---- */

/* Waits until nothing comes in any more, and all that was let out has left. */
static int settle(struct xha_gate *gate, char *err, size_t err_len)
{
    const int64_t until_us = gate_now_us() + QUIET_US;
    uint64_t last[XHA_GATE_PORTS_MAX] = { 0 };
    bool quiet = false, kicked = false;

    for (bool first = true; !quiet && gate_now_us() < until_us; first = false) {
        bool lingers = false;

        if (look(gate, err, err_len) < 0)
            return -1;
        quiet = !first;
        for (size_t i = 0; i < gate->n; i++) {
            const struct port *p = &gate->ports[i];

            if (p->q.sent_bytes > p->committed_bytes)
                return broken(gate, err, err_len, p->name.vif, "more left it than was let out");
            quiet = quiet && taken(&p->q) == last[i];
            last[i] = taken(&p->q);
            lingers = lingers || p->q.sent_bytes < p->committed_bytes;
        }
        /* The kernel may have missed that there is something to send. No epoch is sealed, so this releases none. */
        if (lingers && !kicked && tell(gate, TCQ_PLUG_RELEASE_ONE, err, err_len) < 0)
            return -1;
        kicked = kicked || lingers;
        quiet = quiet && !lingers;
    }
    return 0; /* the barrier itself looks once more */
}

int xha_gate_barrier(struct xha_gate *gate, char *err, size_t err_len)
{
    if (gate->state != XHA_GATE_SHUT)
        return wrong_state(gate, err, err_len, "end an epoch");
    if (settle(gate, err, err_len) < 0 || look_barrier_look(gate, err, err_len) < 0) {
        gate->state = XHA_GATE_BROKEN;
        return -1;
    }
    for (size_t i = 0; i < gate->n; i++) {
        struct port *p = &gate->ports[i];

        if (taken(&p->before) != taken(&p->q))
            return broken(
                gate, err, err_len, p->name.vif,
                "a packet came just as the epoch ended, and nobody can tell which one it belongs to");
        if (p->q.sent_bytes > p->committed_bytes)
            return broken(gate, err, err_len, p->name.vif, "more left it than was let out");
        p->sealed_bytes = taken(&p->q);
    }
    gate->state = XHA_GATE_SEALED;
    gate->sealed_us = gate_now_us();
    gate->sealed_began_us = gate->began_us;
    gate->began_us = gate->sealed_us;
    return 0;
}

/* Until everything has left that was let out before. */
static int wait_left(struct xha_gate *gate, char *err, size_t err_len)
{
    const int64_t until_us = gate_now_us() + LEAVE_US;
    const struct port *behind;

    do {
        behind = NULL;
        if (look(gate, err, err_len) < 0) {
            gate->state = XHA_GATE_BROKEN;
            return -1;
        }
        for (size_t i = 0; i < gate->n; i++) {
            const struct port *p = &gate->ports[i];

            if (p->q.sent_bytes > p->committed_bytes)
                return broken(gate, err, err_len, p->name.vif, "more left it than was let out");
            if (p->q.sent_bytes < p->committed_bytes)
                behind = p;
        }
        if (!behind)
            return 0;
        nap();
    } while (gate_now_us() < until_us);
    return broken(gate, err, err_len, behind->name.vif, "what was let out does not leave");
}

int xha_gate_release_one(struct xha_gate *gate, char *err, size_t err_len)
{
    if (gate->state != XHA_GATE_SEALED)
        return wrong_state(gate, err, err_len, "let an epoch out: none has ended");
    if (wait_left(gate, err, err_len) < 0)
        return -1;
    if (tell(gate, TCQ_PLUG_RELEASE_ONE, err, err_len) < 0) {
        gate->state = XHA_GATE_BROKEN;
        return -1;
    }
    for (size_t i = 0; i < gate->n; i++)
        gate->ports[i].committed_bytes = gate->ports[i].sealed_bytes;
    gate->state = XHA_GATE_SHUT;
    gate->epochs++;
    gate->wait_us = gate_now_us() - gate->sealed_us;
    gate->delay_us = gate_now_us() - gate->sealed_began_us;
    return 0;
}

int xha_gate_open(struct xha_gate *gate, char *err, size_t err_len)
{
    if (tell(gate, TCQ_PLUG_RELEASE_INDEFINITE, err, err_len) < 0) {
        gate->state = XHA_GATE_BROKEN;
        return -1;
    }
    gate->state = XHA_GATE_OPEN;
    return 0;
}

/* Shut in an instant in which nothing was in it. */
static bool shut_clean(struct xha_gate *gate)
{
    for (size_t i = 0; i < gate->n; i++) {
        const struct port *p = &gate->ports[i];

        if (p->before.held_packets || taken(&p->before) != taken(&p->q))
            return false;
    }
    return true;
}

int xha_gate_shut(struct xha_gate *gate, char *err, size_t err_len)
{
    if (gate->state != XHA_GATE_OPEN)
        return wrong_state(gate, err, err_len, "be shut");
    for (int i = 0; i < SHUT_TRIES; i++) {
        if (look_barrier_look(gate, err, err_len) < 0) {
            gate->state = XHA_GATE_BROKEN;
            return -1;
        }
        if (shut_clean(gate)) {
            for (size_t k = 0; k < gate->n; k++)
                gate->ports[k].committed_bytes = gate->ports[k].q.sent_bytes;
            gate->state = XHA_GATE_SHUT;
            gate->began_us = gate_now_us();
            return 0;
        }
        if (xha_gate_open(gate, err, err_len) < 0)
            return -1;
        nap();
    }
    snprintf(err, err_len, "the gate cannot be shut while packets pass: is the guest suspended?");
    return -1;
}

/* ---- seen by people ---- */

int xha_gate_stats(struct xha_gate *gate, struct xha_gate_stats *stats_r, char *err, size_t err_len)
{
    struct xha_gate_stats s = { .epochs = gate->epochs,
                                .delay_us = gate->delay_us,
                                .wait_us = gate->wait_us };

    if (look(gate, err, err_len) < 0)
        return -1;
    for (size_t i = 0; i < gate->n; i++) {
        const struct xha_nl_qdisc *q = &gate->ports[i].q;

        s.sent_bytes += q->sent_bytes;
        s.held_packets += q->held_packets;
        s.held_bytes += q->held_bytes;
        s.dropped_packets += q->drops_packets;
    }
    *stats_r = s;
    return 0;
}

/* ---- the end ---- */

int xha_gate_take_down(struct xha_gate *gate, int64_t until_ms, char *err, size_t err_len)
{
    int rc = 0;

    for (size_t i = 0; i < gate->n; i++)
        if (gate_unmake(&gate->nl, &gate->ports[i].name, until_ms, err, err_len) < 0)
            rc = -1;
    xha_gate_close(gate);
    return rc;
}

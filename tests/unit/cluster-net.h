/*
 * cluster-net.h - a few cluster cores on a bus with one order of messages, views, and disks. For test-cluster-*.c.
 *
 * What a core sends is delivered to all hosts of its side, in one order. net_split() draws new sides: what was not
 * yet delivered is delivered or dropped before the new view, as the test wants. Time stands still but for
 * net_pass(), and what new hosts, and few, wait for in net_run().
 */
#ifndef XHA_TEST_CLUSTER_NET_H
#define XHA_TEST_CLUSTER_NET_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core-driver.h"
#include "xhad/core/cluster.h"

#define NET_HOSTS 8

struct net_item {
    struct net_item *next;
    bool view;
    uint8_t from;
    struct xha_view_change change;
    size_t len;
    uint8_t bytes[];
};

struct net_queue {
    struct net_item *first, **last;
};

struct net_host {
    struct xha_cluster *core;
    bool
        old; /* its xhad speaks the version before: the others' messages are strange to it, and its own to them */
    bool up, node, quorate, exclusive, frozen,
        no_disk; /* frozen: delivers nothing; no_disk: stores nothing */
    uint8_t boot;
    uint64_t number;
    struct xha_host_info info;
    struct net_queue inbox, log;
    uint64_t log_index;
    uint32_t fence_attempt;
    uint8_t fence_host; /* asked for last; XHA_HOST_NONE */
    int result_rc;
    uint64_t result_number;
    char result_text[XHA_TEXT_MAX];
    uint32_t alarms[XHA_CC_N_], notes[XHA_CC_N_], changed, orders;
    struct xha_cluster_action order;
};

struct net {
    uint32_t n;
    int64_t now_ms;
    uint64_t view_id;
    uint32_t max_domains, log_max;
    uint64_t sides[NET_HOSTS]; /* of each host: who is on its side */
    struct net_host host[NET_HOSTS];
    struct xha_cluster_plan plan;
    bool audit;
};

static inline void net_put(struct net_queue *q, struct net_item *item)
{
    if (!q->last)
        q->last = &q->first;
    item->next = NULL;
    *q->last = item;
    q->last = &item->next;
}

static inline struct net_item *net_take(struct net_queue *q)
{
    struct net_item *item = q->first;

    if (item && !(q->first = item->next))
        q->last = &q->first;
    return item;
}

static inline void net_clear(struct net_queue *q)
{
    for (struct net_item *item; (item = net_take(q));)
        free(item);
}

static inline struct net_item *net_item(uint8_t from, const uint8_t *bytes, size_t len)
{
    struct net_item *item = calloc(1, sizeof *item + len);

    assert_non_null(item);
    item->from = from;
    item->len = len;
    if (len)
        memcpy(item->bytes, bytes, len);
    return item;
}

static inline void net_send(struct net *net, uint8_t from, const uint8_t *bytes, size_t len)
{
    for (uint32_t h = 0; h < net->n; h++) {
        struct net_item *item;

        if (!net->host[h].up || !(net->sides[from] >> h & 1))
            continue;
        item = net_item(from, bytes, len);
        if (net->host[h].old != net->host[from].old)
            item->bytes[4] = XHA_WIRE_VERSION - 1;
        net_put(&net->host[h].inbox, item);
    }
}

static inline void net_step(struct net *net, uint8_t h, struct xha_cluster_event *ev);

static inline void net_act(struct net *net, uint8_t h, const struct xha_cluster_action *a)
{
    struct net_host *host = &net->host[h];

    switch (a->type) {
    case XHA_CACT_SEND:
        net_send(net, h, a->u.bytes.at, a->u.bytes.len);
        break;
    case XHA_CACT_STORE:
        assert_true(a->index > host->log_index);
        host->log_index = a->index;
        net_put(&host->log, net_item(0, a->u.bytes.at, a->u.bytes.len));
        break;
    case XHA_CACT_RESTORE:
        net_clear(&host->log);
        break;
    case XHA_CACT_FENCE:
        host->fence_host = a->host;
        host->fence_attempt = a->u.fence.attempt;
        break;
    case XHA_CACT_RESULT:
        host->result_rc = a->u.result.rc;
        host->result_number = a->u.result.number;
        snprintf(host->result_text, sizeof host->result_text, "%s", a->u.result.text);
        break;
    case XHA_CACT_ALARM:
        host->alarms[a->u.said.cause]++;
        if (getenv("NET_TALK"))
            fprintf(stderr, "# host %u alarm: %s\n", h, a->u.said.text);
        break;
    case XHA_CACT_NOTE:
        host->notes[a->u.said.cause]++;
        if (getenv("NET_TALK"))
            fprintf(stderr, "# host %u note: %s\n", h, a->u.said.text);
        break;
    case XHA_CACT_CHANGED:
        host->changed++;
        break;
    case XHA_CACT_ORDER:
        host->orders++;
        host->order = *a;
        break;
    default:
        break;
    }
}

static inline int net_step_rc(struct net *net, uint8_t h, struct xha_cluster_event *ev)
{
    struct xha_cluster_plan *plan = calloc(1, sizeof *plan);
    struct xha_cluster_event tick = { .type = XHA_CEV_TICK };
    int rc;

    assert_non_null(plan);
    ev->now.ms = tick.now.ms = net->now_ms;
    rc = xha_cluster_step(net->host[h].core, ev, plan);
    for (;;) {
        for (uint32_t i = 0; i < plan->n; i++)
            net_act(net, h, &plan->action[i]);
        if (!plan->more)
            break;
        xha_cluster_step(net->host[h].core, &tick, plan);
    }
    if (net->audit)
        xha_cluster_audit(net->host[h].core);
    free(plan);
    return rc;
}

static inline void net_step(struct net *net, uint8_t h, struct xha_cluster_event *ev)
{
    (void)net_step_rc(net, h, ev);
}

static inline void net_stored(struct net *net, uint8_t h)
{
    struct xha_cluster_event ev = { .type = XHA_CEV_STORED, .u.stored = net->host[h].log_index };

    if (!net->host[h].no_disk)
        net_step(net, h, &ev);
}

static inline bool net_deliver(struct net *net, uint8_t h)
{
    struct net_host *host = &net->host[h];
    struct xha_cluster_event ev = { .type = XHA_CEV_VIEW };
    uint64_t before_index = host->log_index;
    struct net_item *item;

    if (!host->up || host->frozen || !(item = net_take(&host->inbox)))
        return false;
    if (item->view) {
        ev.u.view = item->change;
    } else {
        ev.type = XHA_CEV_MESSAGE;
        ev.u.message.from = item->from;
        ev.u.message.bytes = item->bytes;
        ev.u.message.len = item->len;
    }
    net_step(net, h, &ev);
    free(item);
    if (host->log_index != before_index)
        net_stored(net, h);
    return true;
}

/* Settings with a takeover of so long; their watchdog is 6 s. */
static inline struct xha_cluster_policy net_policy(int64_t takeover_ms)
{
    struct xha_cluster_policy policy = { .parallel_moves = 2 };
    struct xha_timing_wish wish;

    xha_timing_defaults(&wish);
    wish.timing.watchdog.ms = 6000;
    wish.timing.poke.ms = 1000;
    wish.timing.takeover.ms = takeover_ms;
    xha_timing_make(&wish, &policy.timing);
    return policy;
}

/* New hosts, and few, wait a moment before they say HELLO: word of lost quorum may be on its way. */
static inline bool net_waits(struct net *net)
{
    bool any = false;

    for (uint32_t h = 0; h < net->n; h++) {
        struct xha_cluster_event tick = { .type = XHA_CEV_TICK };
        struct xha_cluster_status status;

        if (!net->host[h].up || net->host[h].frozen)
            continue;
        xha_cluster_status(net->host[h].core, &status);
        if (status.synced || !status.members)
            continue;
        net->now_ms += any ? 0 : 300;
        any = true;
        net_step(net, h, &tick);
    }
    return any;
}

/* Until nothing is under way. */
static inline void net_run(struct net *net)
{
    bool more = true, waited = false;

    for (uint32_t steps = 0; more; steps++) {
        more = false;
        assert_true(steps < 2000000);
        for (uint32_t h = 0; h < net->n; h++)
            more |= net_deliver(net, h);
        if (!more && !waited)
            more = waited = net_waits(net);
    }
}

static inline void net_tick(struct net *net)
{
    for (uint32_t h = 0; h < net->n; h++)
        if (net->host[h].up && !net->host[h].frozen) {
            struct xha_cluster_event ev = { .type = XHA_CEV_TICK };

            net_step(net, h, &ev);
        }
    net_run(net);
}

/* Time goes by, a second at a time. */
static inline void net_pass(struct net *net, int64_t ms)
{
    for (int64_t until = net->now_ms + ms; net->now_ms < until;) {
        net->now_ms += until - net->now_ms < 1000 ? until - net->now_ms : 1000;
        net_tick(net);
    }
}

static inline void net_quorum(struct net *net, uint8_t h, bool quorate)
{
    struct xha_cluster_event ev = { .type = XHA_CEV_QUORUM };

    ev.u.quorum.quorate = net->host[h].quorate = quorate;
    ev.u.quorum.exclusive = net->host[h].exclusive;
    net_step(net, h, &ev);
}

/* The hosts of `side` are together from now on and see no others; quorate or not. deliver: what is under way
 * on their side arrives first. nodes: whose corosync they see. */
static inline void net_side(struct net *net, uint64_t side, uint64_t nodes, bool quorate)
{
    uint64_t id = ++net->view_id;

    for (uint32_t h = 0; h < net->n; h++) {
        struct net_host *host = &net->host[h];
        struct net_item *item;

        if (!(side >> h & 1))
            continue;
        net->sides[h] = side;
        if (!host->up)
            continue;
        net_quorum(net, h, quorate);
        item = net_item(0, NULL, 0);
        item->view = true;
        item->change.id = id;
        item->change.members = side;
        item->change.nodes = nodes | side;
        net_put(&host->inbox, item);
    }
}

static inline void net_info(struct net *net, uint8_t h)
{
    struct xha_cluster_event ev = { .type = XHA_CEV_INFO, .u.info = net->host[h].info };

    net_step(net, h, &ev);
}

static inline void net_start(struct net *net, uint8_t h, bool reboot)
{
    struct net_host *host = &net->host[h];
    struct xha_cluster_settings set = { .self = h, .max_domains = net->max_domains, .log_max = net->log_max };
    struct xha_cluster_plan *plan = calloc(1, sizeof *plan);

    assert_non_null(plan);
    assert_false(host->up);
    assert_int_equal(xha_cluster_new(&set, &host->core), 0);
    host->up = true;
    host->boot += reboot;
    host->fence_host = XHA_HOST_NONE;
    for (struct net_item *item = host->log.first; item; item = item->next) {
        struct xha_cluster_event ev = { .type = XHA_CEV_RECALL, .now = { net->now_ms } };

        ev.u.message.bytes = item->bytes;
        ev.u.message.len = item->len;
        assert_int_equal(xha_cluster_step(host->core, &ev, plan), 0);
        assert_int_equal(plan->n, 0);
    }
    free(plan);
    snprintf(host->info.name, sizeof host->info.name, "h%u", h);
    host->info.incarnation.boot.b[0] = (uint8_t)(h + 1);
    host->info.incarnation.boot.b[1] = host->boot;
    if (!host->info.memory_kib)
        host->info.memory_kib = 8u << 20;
    host->info.pcpus = 8;
    net_info(net, h);
}

static inline void net_stop(struct net *net, uint8_t h)
{
    net->host[h].up = false;
    xha_cluster_free(net->host[h].core);
    net->host[h].core = NULL;
    net_clear(&net->host[h].inbox);
}

static inline struct net *net_new(uint32_t n)
{
    struct net *net = calloc(1, sizeof *net);

    assert_non_null(net);
    net->n = n;
    net->now_ms = 1000;
    net->max_domains = 64;
    net->log_max = 200;
    net->audit = true;
    for (uint32_t h = 0; h < n; h++) {
        net->host[h].exclusive = true;
        net->host[h].info.can_fence = ((UINT64_C(1) << n) - 1) & ~(UINT64_C(1) << h);
        net_start(net, h, true);
    }
    return net;
}

static inline void net_free(struct net *net)
{
    for (uint32_t h = 0; h < net->n; h++) {
        if (net->host[h].up)
            net_stop(net, h);
        net_clear(&net->host[h].log);
    }
    free(net);
}

/* All of n together, synced. */
static inline struct net *net_whole(uint32_t n)
{
    struct net *net = net_new(n);

    net_side(net, (UINT64_C(1) << n) - 1, 0, true);
    net_run(net);
    return net;
}

static inline struct xha_cluster_status net_status(const struct net *net, uint8_t h)
{
    struct xha_cluster_status status;

    xha_cluster_status(net->host[h].core, &status);
    return status;
}

static inline struct xha_cluster_domain net_domain(const struct net *net, uint8_t h, uint8_t n)
{
    struct xha_uuid uuid = uuid_of(n);
    struct xha_cluster_domain domain;

    assert_int_equal(xha_cluster_find(net->host[h].core, &uuid, &domain), 0);
    return domain;
}

static inline struct xha_cluster_host net_host_of(const struct net *net, uint8_t h, uint8_t of)
{
    struct xha_cluster_host host;

    assert_true(xha_cluster_host(net->host[h].core, of, &host));
    return host;
}

/* ---- requests and facts ---- */

static inline struct xha_cluster_event net_request(struct net *net, uint8_t h, enum xha_do_cluster what,
                                                   uint8_t domain)
{
    struct xha_cluster_event ev = { .type = XHA_CEV_REQUEST, .uuid = uuid_of(domain) };

    ev.u.request.what = what;
    ev.u.request.number = ++net->host[h].number;
    ev.u.request.host = XHA_HOST_NONE;
    return ev;
}

/* Gives it, and runs. Returns its rc, or 99 when there is no answer yet. */
static inline int net_ask(struct net *net, uint8_t h, struct xha_cluster_event ev)
{
    net->host[h].result_number = 0;
    net_step(net, h, &ev);
    net_run(net);
    return net->host[h].result_number == ev.u.request.number ? net->host[h].result_rc : 99;
}

static inline int net_protect_needs(struct net *net, uint8_t h, uint8_t domain, uint8_t at,
                                    const struct xha_needs *needs)
{
    struct xha_cluster_event ev = net_request(net, h, XHA_RQ_PROTECT, domain);
    struct xha_policy policy = policy_usual();

    policy.react[XHA_FAIL_HOST] = XHA_REACT_RECOVER;
    snprintf(ev.u.request.name, sizeof ev.u.request.name, "d%u", domain);
    ev.u.request.policy = &policy;
    ev.u.request.needs = needs;
    ev.u.request.host = at;
    return net_ask(net, h, ev);
}

static inline int net_protect(struct net *net, uint8_t h, uint8_t domain, uint8_t at)
{
    struct xha_needs needs = { .vcpus = 1, .relocate = true };

    return net_protect_needs(net, h, domain, at, &needs);
}

static inline int net_of_host(struct net *net, uint8_t h, enum xha_do_cluster what, uint8_t host, bool on)
{
    struct xha_cluster_event ev = net_request(net, h, what, 0);

    ev.u.request.host = host;
    ev.u.request.on = on;
    memset(&ev.uuid, 0, sizeof ev.uuid);
    return net_ask(net, h, ev);
}

static inline void net_report(struct net *net, uint8_t h, uint8_t domain, enum xha_state state, bool want_run)
{
    struct xha_cluster_event ev = { .type = XHA_CEV_REPORT, .uuid = uuid_of(domain) };

    ev.term = net_domain(net, h, domain).term;
    ev.u.report = net_domain(net, h, domain).report;
    ev.u.report.state = state;
    ev.u.report.want_run = want_run;
    net_step(net, h, &ev);
    net_run(net);
}

static inline void net_fenced(struct net *net, uint8_t h, bool ok)
{
    struct xha_cluster_event ev = { .type = XHA_CEV_FENCE_DONE };

    assert_int_not_equal(net->host[h].fence_host, XHA_HOST_NONE);
    ev.u.fence_done.host = net->host[h].fence_host;
    ev.u.fence_done.attempt = net->host[h].fence_attempt;
    ev.u.fence_done.ok = ok;
    snprintf(ev.u.fence_done.text, sizeof ev.u.fence_done.text, ok ? "off" : "no answer");
    net->host[h].fence_host = XHA_HOST_NONE;
    net_step(net, h, &ev);
    net_run(net);
}

/* The same everywhere on a side. */
static inline void net_same(const struct net *net, uint64_t side)
{
    uint8_t first = (uint8_t)__builtin_ctzll(side);
    struct xha_cluster_status a = net_status(net, first);

    for (uint32_t h = 0; h < net->n; h++) {
        struct xha_cluster_status b;

        if (!(side >> h & 1))
            continue;
        b = net_status(net, h);
        assert_true(b.synced);
        assert_int_equal(a.epoch, b.epoch);
        assert_int_equal(a.index, b.index);
        assert_true(a.hash == b.hash);
        assert_int_equal(a.committed, b.committed);
    }
}

#endif

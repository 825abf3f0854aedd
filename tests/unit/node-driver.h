/*
 * node-driver.h - a node over the real host core and a cluster core that says what the test wants. For
 * test-node-*.c.
 */
#ifndef XHA_TEST_NODE_DRIVER_H
#define XHA_TEST_NODE_DRIVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "xhad/core/node.h"

#define SELF  3
#define OTHER 5

/* ---- the cluster core, made up ---- */

struct xha_cluster {
    struct xha_cluster_status status;
    struct xha_cluster_host host[XHA_HOSTS_MAX];
    uint32_t n;
    struct xha_cluster_domain domain[8];
    bool drops; /* what is in no list was so until a moment ago, and the others may not know yet */
    struct xha_cluster_policy policy;
    struct xha_cluster_plan say; /* what the next step answers */
    uint32_t n_heard;
    struct xha_cluster_event heard[64]; /* facts of the node */
};

static struct xha_cluster fake;

int xha_cluster_new(const struct xha_cluster_settings *settings, struct xha_cluster **cluster_r)
{
    (void)settings;
    *cluster_r = &fake;
    return 0;
}

void xha_cluster_free(struct xha_cluster *cluster)
{
    (void)cluster;
}

int xha_cluster_step(struct xha_cluster *cluster, const struct xha_cluster_event *ev,
                     struct xha_cluster_plan *plan_r)
{
    plan_r->n = cluster->say.n;
    memcpy(plan_r->action, cluster->say.action, cluster->say.n * sizeof plan_r->action[0]);
    plan_r->more = false;
    plan_r->next = XHA_TIME_NEVER;
    cluster->say.n = 0;
    if (ev->type != XHA_CEV_TICK && ev->type != XHA_CEV_MESSAGE) {
        assert_true(cluster->n_heard < 64);
        cluster->heard[cluster->n_heard++] = *ev;
    }
    return 0;
}

void xha_cluster_status(const struct xha_cluster *cluster, struct xha_cluster_status *status_r)
{
    *status_r = cluster->status;
}

const struct xha_cluster_policy *xha_cluster_policy(const struct xha_cluster *cluster)
{
    return &cluster->policy;
}

bool xha_cluster_host(const struct xha_cluster *cluster, uint8_t host, struct xha_cluster_host *host_r)
{
    *host_r = cluster->host[host];
    return host_r->state != XHA_HOST_UNKNOWN;
}

uint32_t xha_cluster_count(const struct xha_cluster *cluster)
{
    return cluster->n;
}

void xha_cluster_domain(const struct xha_cluster *cluster, uint32_t i, struct xha_cluster_domain *domain_r)
{
    *domain_r = cluster->domain[i];
}

int xha_cluster_find(const struct xha_cluster *cluster, const struct xha_uuid *uuid,
                     struct xha_cluster_domain *domain_r)
{
    for (uint32_t i = 0; i < cluster->n; i++)
        if (!memcmp(&cluster->domain[i].uuid, uuid, sizeof *uuid)) {
            *domain_r = cluster->domain[i];
            return 0;
        }
    return XHA_CORE_E_NODOMAIN;
}

bool xha_cluster_drops(const struct xha_cluster *cluster, const struct xha_uuid *uuid)
{
    (void)uuid;
    return cluster->drops;
}

/* ---- the node under test ---- */

struct driver {
    struct xha_node *node;
    struct xha_node_settings set;
    struct xha_policy policy;
    struct xha_needs needs;
    struct xha_node_plan plan;
    int64_t now_ms;
    uint32_t n_act;
    struct xha_action act[512]; /* of the host core, of the last fact */
    uint32_t n_alarms;          /* of the node's own */
};

static inline struct xha_uuid uuid_of(uint8_t n)
{
    struct xha_uuid uuid = { { 0xd0 } };

    uuid.b[15] = n;
    return uuid;
}

static inline void take_plan(struct driver *d)
{
    for (uint32_t i = 0; i < d->plan.host.n; i++) {
        assert_true(d->n_act < 512);
        d->act[d->n_act++] = d->plan.host.action[i];
    }
    for (uint32_t i = 0; i < d->plan.cluster.n; i++)
        d->n_alarms += d->plan.cluster.action[i].type == XHA_CACT_ALARM;
}

static inline void drain(struct driver *d)
{
    struct xha_cluster_event tick = { .type = XHA_CEV_TICK, .now = { d->now_ms } };

    take_plan(d);
    for (int i = 0; d->plan.more; i++) {
        assert_true(i < 100); /* it comes to rest */
        xha_node_cluster(d->node, &tick, &d->plan);
        take_plan(d);
    }
    xha_core_audit(xha_node_core(d->node));
}

static inline int host_fact(struct driver *d, struct xha_event ev)
{
    int rc;

    d->n_act = 0;
    ev.now.ms = d->now_ms;
    rc = xha_node_host(d->node, &ev, &d->plan);
    drain(d);
    return rc;
}

/* The cluster core has applied or committed something: of domain n, or (0) of none. */
static inline void changed(struct driver *d, uint8_t n)
{
    struct xha_cluster_event ev = { .type = XHA_CEV_MESSAGE, .now = { d->now_ms } };

    if (n)
        fake.say.action[fake.say.n++] =
            (struct xha_cluster_action){ .type = XHA_CACT_CHANGED, .uuid = uuid_of(n) };
    d->n_act = 0;
    xha_node_cluster(d->node, &ev, &d->plan);
    drain(d);
}

static inline struct xha_cluster_domain *domain(uint8_t n)
{
    return &fake.domain[n - 1];
}

/* A domain in the state: n counts from 1 on. */
static inline struct xha_cluster_domain *add_domain(struct driver *d, uint8_t n, enum xha_phase phase,
                                                    uint8_t owner)
{
    static const uint8_t digest[XHA_DIGEST] = { 1 };
    struct xha_uuid uuid = uuid_of(n);

    assert_int_equal(n, fake.n + 1);
    fake.domain[fake.n++] = (struct xha_cluster_domain){ .uuid = uuid,
                                                         .name = "dom",
                                                         .policy = &d->policy,
                                                         .needs = &d->needs,
                                                         .digest_policy = digest,
                                                         .digest_config = digest,
                                                         .phase = phase,
                                                         .owner = owner,
                                                         .term = 4,
                                                         .want_run = true,
                                                         .committed = true,
                                                         .purpose = XHA_FOR_START };
    xha_node_have_texts(d->node, &uuid, digest);
    return domain(n);
}

static inline void set_quorum(struct driver *d, bool quorate)
{
    fake.status.quorate = quorate;
    fake.status.epoch += quorate;
    changed(d, 0);
}

static inline void driver_begin(struct driver *d)
{
    struct xha_policy policy = {
        .protection = XHA_PROT_RESTART,
        .priority = 100,
        .ready_cap = { 300000 },
        .heartbeat_timeout = { 10000 },
        .boot_grace = { 180000 },
        .start_timeout = { 300000 },
        .stop_timeout = { 60000 },
        .max_restarts = 5,
        .restart_window = { 3600000 },
        .backoff_min = { 5000 },
        .backoff_max = { 300000 },
    };

    memset(d, 0, sizeof *d);
    memset(&fake, 0, sizeof fake);
    d->now_ms = 1000;
    d->policy = policy;
    d->needs.relocate = true;
    for (int f = XHA_FAIL_CRASH; f < XHA_FAIL_N_; f++)
        d->policy.react[f] = XHA_REACT_RECOVER;
    d->set.host = (struct xha_settings){ .max_domains = 8,
                                         .parallel = 4,
                                         .round_interval = { 1000 },
                                         .probe_window = { 2000 },
                                         .vanish_grace = { 10000 },
                                         .hold_max = { 120000 },
                                         .ill_share_percent = 50,
                                         .ill_min = 2 };
    d->set.cluster = (struct xha_cluster_settings){ .self = SELF, .max_domains = 8 };
    fake.status = (struct xha_cluster_status){ .quorate = true,
                                               .synced = true,
                                               .settled = true,
                                               .self = SELF,
                                               .epoch = 1,
                                               .index = 10,
                                               .committed = 10 };
    fake.host[SELF].state = fake.host[OTHER].state = XHA_HOST_IN;
    fake.policy.move_timeout.ms = 600000;
    assert_int_equal(xha_node_new(&d->set, 1, &d->node), 0);
}

static inline void driver_end(struct driver *d)
{
    xha_node_free(d->node);
}

/* ---- facts of the host ---- */

static inline void round_end(struct driver *d)
{
    struct xha_event ev = { .type = XHA_EV_ROUND };

    ev.u.round = (struct xha_round){ .began = { d->now_ms }, .beats_read = true, .xenstore_ok = true };
    host_fact(d, ev);
}

/* A listing without anything more than was seen before it. */
static inline void look(struct driver *d)
{
    d->now_ms += 10;
    round_end(d);
}

static inline struct xha_event seen_event(struct driver *d, uint8_t n, int32_t domid)
{
    struct xha_event ev = { .type = XHA_EV_SEEN, .uuid = uuid_of(n) };

    ev.u.seen = (struct xha_seen){ .listed = { d->now_ms },
                                   .domid = domid,
                                   .beat_read = true,
                                   .beat_valid = true,
                                   .beat = (uint64_t)d->now_ms,
                                   .cpu_time_ns = (uint64_t)d->now_ms * 10000 };
    return ev;
}

static inline void seen(struct driver *d, uint8_t n, int32_t domid)
{
    host_fact(d, seen_event(d, n, domid));
}

static inline const struct xha_action *planned(const struct driver *d, enum xha_action_type type)
{
    for (uint32_t i = 0; i < d->n_act; i++)
        if (d->act[i].type == type)
            return &d->act[i];
    return NULL;
}

static inline void done(struct driver *d, uint8_t n, enum xha_action_type type, enum xha_result result,
                        int32_t domid)
{
    struct xha_event ev = { .type = XHA_EV_DONE, .uuid = uuid_of(n) };
    const struct xha_action *act = planned(d, type);

    assert_non_null(act);
    ev.u.done.id = act->id;
    ev.u.done.result = result;
    ev.u.done.domid = domid;
    assert_int_equal(host_fact(d, ev), 0);
}

static inline bool known(const struct driver *d, uint8_t n)
{
    struct xha_uuid uuid = uuid_of(n);
    struct xha_view v;

    return xha_core_find(xha_node_core(d->node), &uuid, &v) == 0;
}

static inline struct xha_view view_of(const struct driver *d, uint8_t n)
{
    struct xha_uuid uuid = uuid_of(n);
    struct xha_view v;

    assert_int_equal(xha_core_find(xha_node_core(d->node), &uuid, &v), 0);
    return v;
}

/* Brings domain n, in the state already and this host's, to run here as domid. */
static inline void make_run(struct driver *d, uint8_t n, int32_t domid)
{
    changed(d, n);
    look(d);
    done(d, n, XHA_ACT_START, XHA_OK, domid);
    d->now_ms += 1000;
    seen(d, n, domid);
    round_end(d);
    assert_int_equal(view_of(d, n).state, XHA_ST_RUNNING);
}

/* ---- what the cluster heard ---- */

static inline unsigned heard(enum xha_cluster_event_type type)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < fake.n_heard; i++)
        n += fake.heard[i].type == type;
    return n;
}

static inline const struct xha_cluster_event *last_heard(enum xha_cluster_event_type type)
{
    for (uint32_t i = fake.n_heard; i--;)
        if (fake.heard[i].type == type)
            return &fake.heard[i];
    fail_msg("the cluster has not heard of it");
    return NULL;
}

#endif

/*
 * node-bus.h - a few nodes on one ordered bus, with a hypervisor of the simplest kind under each. For
 * test-node-bus.c; what may go wrong in between is the swarm's (tests/swarm).
 */
#ifndef XHA_TEST_NODE_BUS_H
#define XHA_TEST_NODE_BUS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "xhad/core/node.h"

#define HOSTS 3
#define DOMS  4
#define JOBS  32
#define STEP  100 /* ms of virtual time */

struct inst { /* a domain as Xen has it */
    int32_t domid;
    bool there, paused, suspended;
    uint64_t beat;
};

struct job {
    bool used;
    struct xha_action act;
    int64_t end_ms; /* RECEIVE: never by itself */
};

struct bytes {
    uint8_t *at;
    size_t len;
    uint64_t index;
    uint8_t from;
    int group;
};

struct bus_host {
    struct xha_node *node; /* NULL: xhad is down */
    bool up;               /* the machine */
    int group;             /* of hosts that hear each other */
    bool full;             /* nothing can be started: no memory */
    uint8_t boot;
    struct inst inst[DOMS];
    int32_t next_domid;
    struct job job[JOBS];
    bool have_record[DOMS];
    struct xha_record record[DOMS];
    struct bytes log[4096];
    uint32_t n_log;
    int64_t next_ms, round_ms;
    uint64_t next_id;
    bool look;
    int n_results, last_rc;
};

struct bus {
    struct bus_host host[HOSTS];
    int64_t now_ms;
    uint64_t view, number;
    struct bytes queue[4096];
    uint32_t head, tail;
    struct xha_policy policy;
    struct xha_needs needs;
    bool fence_works;
    int cut_ms;   /* a stream takes so long */
    int n_twice;  /* alarms of that kind */
    int asked;    /* the host that was asked last */
    bool say_all; /* for people who look for a fault */
};

static struct xha_node_plan bus_plan;

static inline struct xha_uuid uuid_of(int dom)
{
    struct xha_uuid uuid = { { 0xd0 } };

    uuid.b[15] = (uint8_t)(dom + 1);
    return uuid;
}

static inline int dom_of(const struct xha_uuid *uuid)
{
    return uuid->b[0] == 0xd0 ? uuid->b[15] - 1 : -1;
}

static inline bool runs(const struct inst *i)
{
    return i->there && !i->paused && !i->suspended;
}

/* Where it runs, or -1. Never at two places (rule 1). */
static inline int where(const struct bus *b, int dom)
{
    int at = -1;

    for (int h = 0; h < HOSTS; h++)
        if (b->host[h].up && runs(&b->host[h].inst[dom])) {
            assert_int_equal(at, -1);
            at = h;
        }
    return at;
}

static inline void copy_bytes(struct bytes *to, const uint8_t *at, size_t len)
{
    to->at = malloc(len ? len : 1);
    assert_non_null(to->at);
    memcpy(to->at, at, len);
    to->len = len;
}

static inline void power_off(struct bus *b, int h)
{
    struct bus_host *host = &b->host[h];

    xha_node_free(host->node);
    host->node = NULL;
    host->up = false;
    memset(host->inst, 0, sizeof host->inst);
    memset(host->job, 0, sizeof host->job);
}

static inline void bus_cluster(struct bus *b, int h, struct xha_cluster_event ev);

static inline void job_add(struct bus *b, int h, const struct xha_action *act)
{
    int i = 0;

    while (b->host[h].job[i].used)
        assert_true(++i < JOBS);
    b->host[h].job[i] = (struct job){ .used = true, .act = *act, .end_ms = b->now_ms + 200 };
    if (act->type == XHA_ACT_RECEIVE)
        b->host[h].job[i].end_ms = INT64_MAX;
    else if (act->type == XHA_ACT_MIGRATE)
        b->host[h].job[i].end_ms = b->now_ms + b->cut_ms;
}

static inline void do_host_action(struct bus *b, int h, const struct xha_action *act)
{
    struct bus_host *host = &b->host[h];
    int dom = dom_of(&act->uuid);

    if (b->say_all)
        printf("# %6lld host %d: %s dom %d (cause %s)%s%s\n", (long long)b->now_ms, h,
               xha_action_name(act->type), dom, xha_cause_name(act->cause),
               act->type == XHA_ACT_NOTE ? " to " : "",
               act->type == XHA_ACT_NOTE ? xha_state_name(act->u.note.to) : "");
    if (act->type == XHA_ACT_PERSIST) {
        host->have_record[dom] = !xha_core_record(xha_node_core(host->node), &act->uuid, &host->record[dom]);
    } else if (act->type == XHA_ACT_FORGET) {
        host->have_record[dom] = false;
    } else if (xha_action_is_deed(act->type)) {
        job_add(b, h, act);
    } else if (act->type == XHA_ACT_LOOK) {
        host->look = true;
    } else if (act->type == XHA_ACT_CANCEL) {
        for (int i = 0; i < JOBS; i++)
            if (host->job[i].used && host->job[i].act.id == act->id)
                host->job[i].end_ms = -1; /* it gives up */
    }
}

static inline void do_cluster_action(struct bus *b, int h, const struct xha_cluster_action *act,
                                     uint64_t *stored)
{
    struct bus_host *host = &b->host[h];
    struct bytes *m;

    if (b->say_all && (act->type == XHA_CACT_ALARM || act->type == XHA_CACT_NOTE))
        printf("# %6lld host %d: %s: %s\n", (long long)b->now_ms, h,
               xha_cluster_cause_name(act->u.said.cause), act->u.said.text);
    switch (act->type) {
    case XHA_CACT_SEND:
        m = &b->queue[b->tail++ % 4096];
        assert_true(b->tail - b->head < 4096);
        copy_bytes(m, act->u.bytes.at, act->u.bytes.len);
        m->from = (uint8_t)h;
        m->group = host->group;
        break;
    case XHA_CACT_RESTORE:
        for (uint32_t i = 0; i < host->n_log; i++)
            free(host->log[i].at);
        host->n_log = 0;
        break;
    case XHA_CACT_STORE:
        assert_true(host->n_log < 4096);
        copy_bytes(&host->log[host->n_log++], act->u.bytes.at, act->u.bytes.len);
        *stored = act->index > *stored ? act->index : *stored;
        break;
    case XHA_CACT_RESULT:
        host->n_results++;
        host->last_rc = act->u.result.rc;
        break;
    case XHA_CACT_ALARM:
        b->n_twice += act->u.said.cause == XHA_CC_TWICE;
        break;
    default:
        break;
    }
}

/* Carries out the plan, and whatever it leads to. */
static inline void carry_out(struct bus *b, int h)
{
    struct bus_host *host = &b->host[h];
    uint64_t stored = 0;
    int fence = -1;
    uint32_t attempt = 0;

    for (int round = 0;; round++) {
        assert_true(round < 1000); /* it comes to rest */
        for (uint32_t i = 0; i < bus_plan.cluster.n; i++) {
            const struct xha_cluster_action *act = &bus_plan.cluster.action[i];

            do_cluster_action(b, h, act, &stored);
            if (act->type == XHA_CACT_FENCE) {
                fence = act->host;
                attempt = act->u.fence.attempt;
            }
        }
        for (uint32_t i = 0; i < bus_plan.host.n; i++)
            do_host_action(b, h, &bus_plan.host.action[i]);
        host->next_ms = bus_plan.next.ms;
        if (!bus_plan.more)
            break;
        xha_node_cluster(
            host->node, &(struct xha_cluster_event){ .type = XHA_CEV_TICK, .now = { b->now_ms } }, &bus_plan);
    }
    xha_core_audit(xha_node_core(host->node));
    xha_cluster_audit(xha_node_state(host->node));
    host->next_id = xha_node_next_id(host->node);
    if (stored)
        bus_cluster(b, h, (struct xha_cluster_event){ .type = XHA_CEV_STORED, .u.stored = stored });
    if (fence >= 0) {
        struct xha_cluster_event done = { .type = XHA_CEV_FENCE_DONE };

        if (b->fence_works)
            power_off(b, fence);
        done.u.fence_done.host = (uint8_t)fence;
        done.u.fence_done.attempt = attempt;
        done.u.fence_done.ok = b->fence_works;
        bus_cluster(b, h, done);
    }
}

static inline void bus_cluster(struct bus *b, int h, struct xha_cluster_event ev)
{
    ev.now.ms = b->now_ms;
    xha_node_cluster(b->host[h].node, &ev, &bus_plan);
    carry_out(b, h);
}

static inline int bus_host(struct bus *b, int h, struct xha_event ev)
{
    int rc;

    ev.now.ms = b->now_ms;
    ev.host = (uint8_t)h;
    rc = xha_node_host(b->host[h].node, &ev, &bus_plan);
    carry_out(b, h);
    return rc;
}

/* ---- workers ---- */

static inline struct job *receiver_of(struct bus *b, const struct xha_action *migrate)
{
    struct bus_host *target = &b->host[migrate->u.deed.move.peer];

    for (int i = 0; i < JOBS && target->up; i++)
        if (target->job[i].used && target->job[i].act.type == XHA_ACT_RECEIVE &&
            target->job[i].act.u.deed.move.id == migrate->u.deed.move.id)
            return &target->job[i];
    return NULL;
}

static inline enum xha_result work(struct bus *b, int h, struct job *job, int32_t *domid_r,
                                   enum xha_refusal *refusal_r)
{
    struct bus_host *host = &b->host[h];
    struct inst *inst = &host->inst[dom_of(&job->act.uuid)];
    struct job *peer;

    switch (job->act.type) {
    case XHA_ACT_START:
    case XHA_ACT_RESTORE:
        if (inst->there)
            return XHA_REFUSED;
        if (host->full) {
            *refusal_r = XHA_REFUSAL_NO_MEMORY;
            return XHA_REFUSED;
        }
        *inst = (struct inst){ .there = true, .domid = ++host->next_domid };
        *domid_r = inst->domid;
        return XHA_OK;
    case XHA_ACT_DESTROY:
        if (inst->domid == job->act.u.deed.domid)
            inst->there = false;
        return XHA_OK;
    case XHA_ACT_SHUTDOWN:
        inst->there = false; /* it obeys, and leaves nothing behind */
        return XHA_OK;
    case XHA_ACT_RESUME:
        if (!inst->there)
            return XHA_REFUSED;
        inst->paused = inst->suspended = false;
        return XHA_OK;
    case XHA_ACT_MIGRATE:
        peer = receiver_of(b, &job->act);
        if (job->end_ms < 0 || !peer || (!inst->there && !job->act.u.deed.move.disks))
            return XHA_REFUSED;
        assert_int_equal(inst->there, !job->act.u.deed.move.disks);
        inst->suspended = true;
        peer->end_ms = b->now_ms + 200;
        return XHA_OK;
    case XHA_ACT_RECEIVE:
        if (job->end_ms < 0)
            return XHA_REFUSED;
        if (job->act.u.deed.move.disks)
            return XHA_OK;
        *inst = (struct inst){ .there = true, .paused = true, .domid = ++host->next_domid };
        *domid_r = inst->domid;
        return XHA_OK;
    default:
        return XHA_OK;
    }
}

static inline void run_jobs(struct bus *b, int h)
{
    for (int i = 0; i < JOBS && b->host[h].node; i++) {
        struct job *job = &b->host[h].job[i];
        struct xha_event ev = { .type = XHA_EV_DONE, .uuid = job->act.uuid };

        if (job->used && job->act.type == XHA_ACT_RECEIVE && job->end_ms == INT64_MAX &&
            !job->act.u.deed.move.port) {
            struct xha_event listening = { .type = XHA_EV_LISTENING, .uuid = job->act.uuid };

            job->act.u.deed.move.port = 4000;
            listening.u.listening.id = job->act.id;
            listening.u.listening.port = 4000;
            bus_host(b, h, listening);
        }
        if (!job->used || job->end_ms > b->now_ms)
            continue;
        ev.u.done.id = job->act.id;
        ev.u.done.domid = XHA_DOMID_NONE;
        ev.u.done.result = work(b, h, job, &ev.u.done.domid, &ev.u.done.refusal);
        job->used = false;
        bus_host(b, h, ev);
    }
}

static inline void listing(struct bus *b, int h)
{
    struct xha_event round = { .type = XHA_EV_ROUND };
    int64_t listed = b->now_ms;

    b->host[h].look = false;
    for (int dom = 0; dom < DOMS; dom++) {
        struct inst *inst = &b->host[h].inst[dom];
        struct xha_event ev = { .type = XHA_EV_SEEN, .uuid = uuid_of(dom) };

        if (!inst->there)
            continue;
        inst->beat += runs(inst);
        ev.u.seen = (struct xha_seen){ .listed = { listed },
                                       .domid = inst->domid,
                                       .paused = inst->paused,
                                       .shut = inst->suspended,
                                       .reason = XHA_SHUTDOWN_SUSPEND,
                                       .beat_read = true,
                                       .beat_valid = true,
                                       .beat = inst->beat,
                                       .cpu_time_ns = (uint64_t)b->now_ms * 10000 };
        bus_host(b, h, ev);
    }
    round.u.round = (struct xha_round){ .began = { listed }, .beats_read = true, .xenstore_ok = true };
    bus_host(b, h, round);
}

/* ---- the bus ---- */

static inline void deliver(struct bus *b)
{
    for (int n = 0; b->head != b->tail; n++) {
        struct bytes m = b->queue[b->head++ % 4096];

        assert_true(n < 10000); /* they do not talk for ever */
        for (int h = 0; h < HOSTS; h++) {
            struct xha_cluster_event ev = { .type = XHA_CEV_MESSAGE };

            if (!b->host[h].node || b->host[h].group != m.group)
                continue;
            ev.u.message.from = m.from;
            ev.u.message.bytes = m.at;
            ev.u.message.len = m.len;
            bus_cluster(b, h, ev);
        }
        free(m.at);
    }
}

/* The hosts that are up see those of their group. */
static inline void new_view_of(struct bus *b, int group)
{
    struct xha_cluster_event view = { .type = XHA_CEV_VIEW }, quorum = { .type = XHA_CEV_QUORUM };

    view.u.view.id = ++b->view;
    for (int h = 0; h < HOSTS; h++) {
        if (b->host[h].group != group)
            continue;
        view.u.view.members |= b->host[h].node ? UINT64_C(1) << h : 0;
        view.u.view.nodes |= b->host[h].up ? UINT64_C(1) << h : 0;
    }
    quorum.u.quorum.quorate = 2 * __builtin_popcountll(view.u.view.nodes) > HOSTS;
    quorum.u.quorum.exclusive = true;
    for (int h = 0; h < HOSTS; h++)
        if (b->host[h].node && b->host[h].group == group) {
            bus_cluster(b, h, quorum);
            bus_cluster(b, h, view);
        }
}

static inline void new_view(struct bus *b)
{
    new_view_of(b, 0);
    new_view_of(b, 1);
}

static inline void xhad_up(struct bus *b, int h)
{
    static const uint8_t digest[XHA_DIGEST] = { 1 };
    struct bus_host *host = &b->host[h];
    struct xha_cluster_event info = { .type = XHA_CEV_INFO };
    struct xha_node_settings set = {
        .host = { .max_domains = DOMS,
                  .parallel = 4,
                  .round_interval = { 1000 },
                  .probe_window = { 2000 },
                  .vanish_grace = { 10000 },
                  .hold_max = { 120000 },
                  .ill_share_percent = 50,
                  .ill_min = 2 },
        .cluster = { .self = (uint8_t)h, .max_domains = DOMS, .log_max = 100 },
    };

    assert_int_equal(xha_node_new(&set, host->next_id + 1, &host->node), 0);
    host->next_ms = b->now_ms;
    for (uint32_t i = 0; i < host->n_log; i++) {
        struct xha_cluster_event ev = { .type = XHA_CEV_RECALL };

        ev.u.message.bytes = host->log[i].at;
        ev.u.message.len = host->log[i].len;
        bus_cluster(b, h, ev);
    }
    for (int dom = 0; dom < DOMS; dom++) {
        struct xha_event ev = { .type = XHA_EV_RECALL, .uuid = uuid_of(dom) };
        struct xha_record record = host->record[dom];

        ev.u.protect.policy = &b->policy;
        ev.u.protect.record = &record;
        xha_node_have_texts(host->node, &ev.uuid, digest);
        if (host->have_record[dom])
            assert_int_equal(bus_host(b, h, ev), 0);
    }
    snprintf(info.u.info.name, sizeof info.u.info.name, "h%d", h);
    info.u.info.incarnation.boot.b[0] = ++host->boot;
    info.u.info.memory_kib = 64 << 20;
    info.u.info.pcpus = 64;
    info.u.info.version = XHA_WIRE_VERSION;
    info.u.info.can_fence = ~UINT64_C(0);
    bus_cluster(b, h, info);
}

static inline void power_on(struct bus *b, int h)
{
    b->host[h].up = true;
    b->host[h].boot += 10;
    for (int dom = 0; dom < DOMS; dom++) {
        b->host[h].record[dom].domid = XHA_DOMID_OLD;
        b->host[h].record[dom].pending = XHA_ACT_NONE;
        b->host[h].record[dom].pending_id = 0;
    }
    xhad_up(b, h);
}

static inline void pass(struct bus *b, int64_t ms)
{
    for (int64_t end = b->now_ms + ms; b->now_ms < end; b->now_ms += STEP) {
        deliver(b);
        for (int h = 0; h < HOSTS; h++) {
            struct bus_host *host = &b->host[h];

            run_jobs(b, h);
            if (host->node && (host->look || b->now_ms - host->round_ms >= 1000)) {
                host->round_ms = b->now_ms;
                listing(b, h);
            }
            if (host->node && host->next_ms <= b->now_ms)
                bus_cluster(b, h, (struct xha_cluster_event){ .type = XHA_CEV_TICK });
        }
        for (int dom = 0; dom < DOMS; dom++)
            where(b, dom);
    }
}

static inline void request(struct bus *b, int h, struct xha_cluster_event ev)
{
    ev.type = XHA_CEV_REQUEST;
    ev.u.request.number = ++b->number;
    bus_cluster(b, h, ev);
}

static inline void bus_begin(struct bus *b)
{
    memset(b, 0, sizeof *b);
    b->now_ms = 1000;
    b->fence_works = true;
    b->cut_ms = 1000;
    b->needs = (struct xha_needs){ .vcpus = 1, .relocate = true };
    b->policy = (struct xha_policy){
        .protection = XHA_PROT_RESTART,
        .autostart = true,
        .priority = 100,
        .ready_cap = { 60000 },
        .heartbeat_timeout = { 10000 },
        .boot_grace = { 60000 },
        .start_timeout = { 60000 },
        .stop_timeout = { 20000 },
        .max_restarts = 5,
        .restart_window = { 3600000 },
        .backoff_min = { 1000 },
        .backoff_max = { 10000 },
        .memory_kib = 1 << 20,
    };
    for (int f = XHA_FAIL_CRASH; f < XHA_FAIL_N_; f++)
        b->policy.react[f] = XHA_REACT_RECOVER;
    for (int h = 0; h < HOSTS; h++) {
        b->host[h].up = true;
        xhad_up(b, h);
    }
    new_view(b);
    pass(b, 2000);
}

static inline void bus_end(struct bus *b)
{
    for (int h = 0; h < HOSTS; h++) {
        power_off(b, h);
        for (uint32_t i = 0; i < b->host[h].n_log; i++)
            free(b->host[h].log[i].at);
    }
    for (; b->head != b->tail; b->head++)
        free(b->queue[b->head % 4096].at);
    free(b);
}

static inline void protect(struct bus *b, int dom)
{
    struct xha_cluster_event ev = { .uuid = uuid_of(dom) };

    ev.u.request.what = XHA_RQ_PROTECT;
    ev.u.request.host = XHA_HOST_NONE;
    ev.u.request.policy = &b->policy;
    ev.u.request.needs = &b->needs;
    ev.u.request.digest_policy[0] = ev.u.request.digest_config[0] = 1;
    snprintf(ev.u.request.name, sizeof ev.u.request.name, "d%d", dom);
    request(b, 0, ev);
}

#endif

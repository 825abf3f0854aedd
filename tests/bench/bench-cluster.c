/*
 * bench-cluster.c - the cluster core at size: messages applied per second, the time that a joiner's state takes,
 * a host lost with all its domains, hashes.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "xhad/core/cluster.h"

#define HOSTS   3U
#define DOMAINS 10000U

struct bytes {
    struct bytes *next;
    uint8_t from;
    size_t len;
    uint8_t at[];
};

static struct host {
    struct xha_cluster *core;
    uint64_t stored;
    uint8_t fence_host;
    uint32_t attempt;
} host[HOSTS];

static struct bytes *first, **last = &first;
static uint64_t members, number, view_id, sent;
static struct xha_cluster_plan plan;
static int64_t now_ms = 1000;

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void act(uint8_t h, const struct xha_cluster_action *a)
{
    struct bytes *b;

    if (a->type == XHA_CACT_STORE) {
        host[h].stored = a->index;
    } else if (a->type == XHA_CACT_FENCE) {
        host[h].fence_host = a->host;
        host[h].attempt = a->u.fence.attempt;
    } else if (a->type == XHA_CACT_SEND) {
        b = malloc(sizeof *b + a->u.bytes.len);
        if (!b)
            abort();
        memcpy(b->at, a->u.bytes.at, a->u.bytes.len);
        b->len = a->u.bytes.len;
        b->from = h;
        b->next = NULL;
        *last = b;
        last = &b->next;
        sent += b->len;
    }
}

static void step(uint8_t h, struct xha_cluster_event *ev)
{
    struct xha_cluster_event tick = { .type = XHA_CEV_TICK, .now = { now_ms } };

    ev->now.ms = now_ms;
    if (xha_cluster_step(host[h].core, ev, &plan))
        abort();
    for (;;) {
        for (uint32_t i = 0; i < plan.n; i++)
            act(h, &plan.action[i]);
        if (!plan.more)
            return;
        xha_cluster_step(host[h].core, &tick, &plan);
    }
}

/* Returns how many messages were delivered. */
static uint64_t run(void)
{
    struct xha_cluster_event ev = { .type = XHA_CEV_MESSAGE }, stored = { .type = XHA_CEV_STORED };
    uint64_t n = 0;

    for (struct bytes *b; (b = first);) {
        if (!(first = b->next))
            last = &first;
        for (uint8_t h = 0; h < HOSTS; h++) {
            uint64_t before = host[h].stored;

            if (!(members >> h & 1))
                continue;
            ev.u.message.from = b->from;
            ev.u.message.bytes = b->at;
            ev.u.message.len = b->len;
            step(h, &ev);
            stored.u.stored = host[h].stored;
            if (host[h].stored != before)
                step(h, &stored);
        }
        free(b);
        n++;
    }
    return n;
}

static void view(uint64_t of)
{
    members = of;
    view_id++;
    for (uint8_t h = 0; h < HOSTS; h++) {
        struct xha_cluster_event ev = { .type = XHA_CEV_QUORUM };

        if (!(of >> h & 1))
            continue;
        ev.u.quorum.quorate = ev.u.quorum.exclusive = true;
        step(h, &ev);
        ev = (struct xha_cluster_event){ .type = XHA_CEV_VIEW };
        ev.u.view = (struct xha_view_change){ .id = view_id, .members = of, .nodes = of };
        step(h, &ev);
    }
    run();
}

static struct xha_uuid uuid_of(uint32_t d)
{
    struct xha_uuid uuid = { { 0xd0 } };

    memcpy(uuid.b + 8, &d, sizeof d);
    return uuid;
}

static void protect(uint32_t d)
{
    struct xha_cluster_event ev = { .type = XHA_CEV_REQUEST, .uuid = uuid_of(d) };
    struct xha_policy policy = { .priority = d % 1000, .memory_kib = 1024 };
    struct xha_needs needs = { .vcpus = 1, .relocate = true, .networks = "lan", .storages = "san" };

    policy.protection = XHA_PROT_RESTART;
    policy.react[XHA_FAIL_HOST] = XHA_REACT_RECOVER;
    policy.ready_cap.ms = 300000;
    ev.u.request.what = XHA_RQ_PROTECT;
    ev.u.request.number = ++number;
    ev.u.request.host = (uint8_t)(d % HOSTS);
    ev.u.request.policy = &policy;
    ev.u.request.needs = &needs;
    snprintf(ev.u.request.name, sizeof ev.u.request.name, "domain-%u", d);
    step(0, &ev);
}

static void report(uint8_t h, uint32_t d, int32_t domid)
{
    struct xha_cluster_event ev = { .type = XHA_CEV_REPORT, .uuid = uuid_of(d) };
    struct xha_cluster_domain view_of;

    if (xha_cluster_find(host[h].core, &ev.uuid, &view_of) || view_of.owner != h)
        return;
    ev.term = view_of.term;
    ev.u.report.state = XHA_ST_RUNNING;
    ev.u.report.want_run = true;
    ev.u.report.domid = domid;
    step(h, &ev);
}

static void start(uint8_t h)
{
    struct xha_cluster_settings set = { .self = h, .max_domains = DOMAINS, .log_max = 1000000 };
    struct xha_cluster_event ev = { .type = XHA_CEV_INFO };

    if (xha_cluster_new(&set, &host[h].core))
        abort();
    host[h].stored = 0;
    ev.u.info.incarnation.boot.b[0] = h + 1;
    ev.u.info.incarnation.boot.b[1] = (uint8_t)view_id;
    ev.u.info.memory_kib = 64u << 20;
    ev.u.info.pcpus = 64;
    ev.u.info.can_fence = 7;
    snprintf(ev.u.info.name, sizeof ev.u.info.name, "host%u", h);
    snprintf(ev.u.info.networks, sizeof ev.u.info.networks, "lan");
    snprintf(ev.u.info.storages, sizeof ev.u.info.storages, "san");
    step(h, &ev);
}

int main(void)
{
    struct xha_cluster_event ev = { .type = XHA_CEV_FENCE_DONE };
    struct xha_cluster_status status;
    double began, spent;
    uint64_t before;

    for (uint8_t h = 0; h < HOSTS; h++)
        start(h);
    view(7);

    began = now_s();
    for (uint32_t d = 0; d < DOMAINS; d++) {
        protect(d);
        run();
    }
    spent = now_s() - began;
    printf("cluster_protect_rate %.0f requests/s\n", DOMAINS / spent);

    /* Each applied three times; the figure is of one host. */
    xha_cluster_status(host[0].core, &status);
    before = status.index;
    began = now_s();
    for (int32_t round = 1; round <= 20; round++)
        for (uint32_t d = 0; d < DOMAINS; d++) {
            report((uint8_t)(d % HOSTS), d, round);
            if (d % 32 == 0 || d + 1 == DOMAINS) /* some are always under way */
                run();
        }
    spent = now_s() - began;
    xha_cluster_status(host[0].core, &status);
    printf("cluster_apply_rate %.0f messages/s\n", (double)(status.index - before) * HOSTS / spent);

    members = 3;
    xha_cluster_free(host[2].core);
    view(3);
    began = now_s();
    for (uint8_t h = 0; h < 2; h++) {
        struct xha_cluster_event tick = { .type = XHA_CEV_TICK };

        step(h, &tick);
    }
    run();
    for (uint8_t h = 0; h < 2; h++)
        if (host[h].attempt) {
            ev.u.fence_done.host = 2;
            ev.u.fence_done.attempt = host[h].attempt;
            ev.u.fence_done.ok = true;
            step(h, &ev);
            run();
        }
    spent = now_s() - began;
    xha_cluster_status(host[0].core, &status);
    printf("cluster_takeover_%u_domains %.1f ms\n", DOMAINS / HOSTS, spent * 1000);
    if (status.free_waiting)
        abort();

    start(2);
    sent = 0;
    began = now_s();
    view(7);
    spent = now_s() - began;
    xha_cluster_status(host[2].core, &status);
    if (!status.synced || status.domains != DOMAINS)
        abort();
    printf("cluster_join_%u_domains %.1f ms\n", DOMAINS, spent * 1000);
    printf("cluster_join_bytes %.2f MiB\n", (double)sent / 1048576);

    began = now_s();
    for (int i = 0; i < 100000; i++)
        xha_cluster_status(host[0].core, &status);
    printf("cluster_hash_check %.0f ns\n", (now_s() - began) * 1e4);
    for (uint8_t h = 0; h < HOSTS; h++)
        xha_cluster_free(host[h].core);
    return 0;
}

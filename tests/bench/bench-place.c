/*
 * bench-place.c - how long a placement takes among 10,000 hosts with 100,000 domains, and the questions what if.
 * Prints lines of `name value unit`.
 *
 * Hosts of three sizes and domains of six, as they come in clouds; one request in four asks for tags, a
 * network or a storage, one in ten keeps apart from a group. The hosts fill up to about three quarters.
 */
#include "tests/sim/rng.h"
#include "xhad/core/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define HOSTS   10000
#define DOMAINS 100000
#define SPARE   1000 /* domains that are placed and taken for the measurement */
#define GROUPS  5000
#define SAMPLES 20000
#define GIB     (UINT64_C(1) << 20)

static struct sim_rng rng = { 1 };

static double now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static uint32_t below(uint32_t n)
{
    return (uint32_t)sim_rng_range(&rng, 0, n - 1);
}

static int double_cmp(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void print_spread(const char *name, double *ns, uint32_t n)
{
    qsort(ns, n, sizeof(*ns), double_cmp);
    printf("%s-median %.0f ns\n", name, ns[n / 2]);
    printf("%s-p99 %.0f ns\n", name, ns[n - 1 - n / 100]);
}

static void add_hosts(struct xha_place *p)
{
    static const uint64_t gib[] = { 64, 96, 128 };

    for (uint32_t h = 0; h < HOSTS; h++) {
        struct xha_place_host host = {
            .memory_kib = gib[below(3)] * GIB,
            .pcpus = 32,
            .overcommit_percent = 400,
            .tags = 1u << below(4),
            .networks = 0xf ^ 1u << below(8),
            .storages = 0xf ^ 1u << below(8),
        };

        if (xha_place_host(p, h, &host))
            abort();
    }
}

static struct xha_place_need random_need(bool choosy)
{
    static const uint64_t gib[] = { 1, 2, 4, 8, 12, 16 };
    struct xha_place_need need = {
        .memory_kib = gib[below(6)] * GIB + 16384,
        .vcpus = 1 + below(8),
        .priority = below(3),
        .restart = true,
    };

    switch (choosy ? below(12) : 12) {
    case 0:
        need.tags = 1u << below(4);
        break;
    case 1:
        need.networks = 1u << below(4);
        break;
    case 2:
        need.storages = 1u << below(4);
        break;
    }
    if (choosy && !below(10))
        need.apart[0] = 1 + below(GROUPS);
    return need;
}

static struct xha_place_query query_for(const struct xha_place_need *need, uint32_t domain)
{
    return (struct xha_place_query){
        .need = need,
        .domain = domain,
        .prefer = XHA_PLACE_NONE,
        .after = XHA_PLACE_NONE,
    };
}

/* Filled as a cluster fills: two placements in three by worst-fit, so that no host is full and none empty. */
static struct xha_place *filled(void)
{
    const struct xha_place_sizes sizes = { HOSTS, DOMAINS + SPARE, GROUPS };
    struct xha_place *p;

    if (xha_place_new(&sizes, &p))
        abort();
    add_hosts(p);
    for (uint32_t d = 0; d < DOMAINS; d++) {
        struct xha_place_need need = random_need(true);
        struct xha_place_query q = query_for(&need, d);
        uint32_t host;

        q.policy = below(3) ? XHA_PLACE_WORST_FIT : XHA_PLACE_BEST_FIT;
        host = xha_place_find(p, &q, NULL);
        if (host == XHA_PLACE_NONE || xha_place_domain(p, d, &need) || xha_place_put(p, d, host))
            abort();
    }
    return p;
}

/* A choice alone; and all of a placement: the domain told, the choice, the entry. */
static void bench_placement(struct xha_place *p)
{
    static double find[SAMPLES], whole[SAMPLES];

    for (uint32_t i = 0; i < SAMPLES; i++) {
        uint32_t domain = DOMAINS + i % SPARE, host;
        struct xha_place_need need = random_need(true);
        struct xha_place_query q = query_for(&need, domain);
        double from;

        if (i >= SPARE)
            xha_place_remove_domain(p, domain);
        from = now_ns();
        host = xha_place_find(p, &q, NULL);
        find[i] = now_ns() - from;
        from = now_ns();
        if (xha_place_domain(p, domain, &need) || xha_place_find(p, &q, NULL) != host)
            abort();
        if (host != XHA_PLACE_NONE && xha_place_put(p, domain, host))
            abort();
        whole[i] = now_ns() - from;
    }
    print_spread("place-find", find, SAMPLES);
    print_spread("place-placement", whole, SAMPLES);
    for (uint32_t i = 0; i < SPARE; i++)
        xha_place_remove_domain(p, DOMAINS + i);
}

static void bench_host_down(struct xha_place *p)
{
    static double ns[2000];
    static struct xha_place_move move[DOMAINS];
    uint64_t moves = 0;

    for (uint32_t i = 0; i < 2000; i++) {
        uint32_t host = below(HOSTS), n;
        double from = now_ns();

        if (xha_place_leave(p, &host, 1, XHA_PLACE_LEAVE_RESTART, XHA_PLACE_BEST_FIT, XHA_PLACE_NONE, move,
                            DOMAINS, &n))
            abort();
        ns[i] = now_ns() - from;
        moves += n;
    }
    print_spread("place-what-if-host-down", ns, 2000);
    printf("place-what-if-domains-per-host %.1f domains\n", (double)moves / 2000);
}

static void bench_survives(struct xha_place *p, uint32_t k, const char *name, enum xha_place_verdict wanted)
{
    struct xha_place_survival s;
    double from = now_ns();

    if (xha_place_survives(p, k, UINT64_C(100) * XHA_PLACE_STEPS, &s) || s.verdict != wanted)
        abort();
    printf("place-survives-%s %.2f ms\n", name, (now_ns() - from) / 1e6);
}

int main(void)
{
    const struct xha_place_sizes sizes = { HOSTS, DOMAINS + SPARE, GROUPS };
    struct xha_place *p = filled();
    struct xha_place_need need;

    bench_placement(p);
    bench_host_down(p);
    bench_survives(p, 1, "1-at-once", XHA_PLACE_FITS);
    bench_survives(p, 3, "3-at-once", XHA_PLACE_FITS);
    /* an affinity group is what the proof for all at once does not know */
    need = random_need(false);
    need.together[0] = 1;
    if (xha_place_domain(p, 0, &need))
        abort();
    bench_survives(p, 1, "1-each-host", XHA_PLACE_FITS);
    xha_place_free(p);
    printf("place-memory %.1f MiB\n", (double)xha_place_bytes(&sizes) / (1 << 20));
    return 0;
}

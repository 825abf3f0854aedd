/*
 * bench-core.c - how long the core takes to decide, per event, with 1, 1,000 and 10,000 domains, and what one
 * domain takes of memory. Prints lines of `name value unit`.
 *
 * The domains run and beat; a round is one SEEN for each and one ROUND, as the observer tells them. A crash
 * is seen in such a round, and the plan that clears the domain is the answer; the workers answer at once.
 */
#include "xhad/core/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EVENTS 400000 /* SEEN events per measurement */

struct bench {
    struct xha_core *core;
    uint32_t n;
    int64_t now_ms;
    uint64_t beat;
    int32_t *domid;
    int32_t next_domid;
    struct xha_plan plan;
    struct xha_event *answer; /* DONE events to give */
    uint32_t n_answers;
};

static double now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static struct xha_uuid uuid_of(uint32_t i)
{
    struct xha_uuid uuid = { { 0x5e } };

    memcpy(&uuid.b[12], &i, sizeof(i));
    return uuid;
}

static uint32_t index_of(const struct xha_uuid *uuid)
{
    uint32_t i;

    memcpy(&i, &uuid->b[12], sizeof(i));
    return i;
}

static void take_deeds(struct bench *b)
{
    for (uint32_t k = 0; k < b->plan.n; k++) {
        const struct xha_action *act = &b->plan.action[k];
        struct xha_event *done;

        if (!xha_action_is_deed(act->type))
            continue;
        done = &b->answer[b->n_answers++];
        *done = (struct xha_event){ .type = XHA_EV_DONE, .uuid = act->uuid };
        done->u.done.id = act->id;
        done->u.done.domid = XHA_DOMID_NONE;
        if (act->type == XHA_ACT_START)
            done->u.done.domid = b->domid[index_of(&act->uuid)] = b->next_domid++;
    }
}

static void step(struct bench *b, struct xha_event *ev)
{
    struct xha_event tick = { .type = XHA_EV_TICK };

    ev->now.ms = b->now_ms;
    xha_core_step(b->core, ev, &b->plan);
    take_deeds(b);
    while (b->plan.more) {
        tick.now.ms = b->now_ms;
        xha_core_step(b->core, &tick, &b->plan);
        take_deeds(b);
    }
}

static void answer_all(struct bench *b)
{
    while (b->n_answers) {
        struct xha_event done = b->answer[--b->n_answers];

        step(b, &done);
    }
}

static void seen(struct bench *b, uint32_t i, bool crashed)
{
    struct xha_event ev = { .type = XHA_EV_SEEN, .uuid = uuid_of(i) };

    ev.u.seen = (struct xha_seen){
        .listed = { b->now_ms },
        .domid = b->domid[i],
        .shut = crashed,
        .reason = crashed ? XHA_SHUTDOWN_CRASH : 0,
        .beat_read = true,
        .beat_valid = true,
        .beat = b->beat,
        .cpu_time_ns = b->beat * 1000000,
    };
    step(b, &ev);
}

static void end_of_round(struct bench *b)
{
    struct xha_event ev = { .type = XHA_EV_ROUND };

    ev.u.round = (struct xha_round){ .began = { b->now_ms }, .beats_read = true, .xenstore_ok = true };
    step(b, &ev);
}

static void next_round(struct bench *b)
{
    b->now_ms += 1000;
    b->beat++;
}

static void begin(struct bench *b, uint32_t n)
{
    struct xha_settings set = {
        .max_domains = n,
        .parallel = n,
        .round_interval = { 1000 },
        .probe_window = { 2000 },
        .vanish_grace = { 10000 },
        .hold_max = { 120000 },
        .ill_share_percent = 50,
        .ill_min = 2,
    };
    struct xha_policy policy = {
        .protection = XHA_PROT_RESTART,
        .heartbeat_timeout = { 10000 },
        .boot_grace = { 180000 },
        .ready_cap = { 300000 },
        .start_timeout = { 300000 },
        .stop_timeout = { 60000 },
        .max_restarts = 16,
        .restart_window = { 1 },
        .backoff_max = { 1000 },
    };

    for (int f = XHA_FAIL_CRASH; f < XHA_FAIL_N_; f++)
        policy.react[f] = XHA_REACT_RECOVER;
    *b = (struct bench){ .n = n, .now_ms = 1000, .next_domid = (int32_t)n + 1 };
    b->domid = calloc(n, sizeof(*b->domid));
    b->answer = calloc((size_t)n * 4 + 16, sizeof(*b->answer));
    if (!b->domid || !b->answer || xha_core_new(&set, 1, &b->core))
        abort();
    for (uint32_t i = 0; i < n; i++) {
        struct xha_event ev = { .type = XHA_EV_PROTECT, .uuid = uuid_of(i) };

        b->domid[i] = (int32_t)i + 1;
        ev.u.protect.policy = &policy;
        snprintf(ev.u.protect.name, sizeof(ev.u.protect.name), "d%u", i);
        step(b, &ev);
    }
    for (int r = 0; r < 4; r++) {
        next_round(b);
        for (uint32_t i = 0; i < n; i++)
            seen(b, i, false);
        end_of_round(b);
        answer_all(b);
    }
}

static void end(struct bench *b)
{
    xha_core_free(b->core);
    free(b->domid);
    free(b->answer);
}

static int double_cmp(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

#define ROUNDS_MAX 2000

/* Per event, the median over rounds: beats of domains that are well. */
static double beats_ns(struct bench *b)
{
    static double ns[ROUNDS_MAX];
    uint32_t per_round =
        b->n < 200 ? 200 : 1; /* small ones: enough events to be worth two readings of the clock */
    uint32_t rounds = EVENTS / (b->n * per_round) < ROUNDS_MAX ? EVENTS / (b->n * per_round) : ROUNDS_MAX;

    for (uint32_t r = 0; r < rounds; r++) {
        double from = now_ns();

        for (uint32_t k = 0; k < per_round; k++) {
            next_round(b);
            for (uint32_t i = 0; i < b->n; i++)
                seen(b, i, false);
            end_of_round(b);
        }
        ns[r] = (now_ns() - from) / ((double)per_round * (b->n + 1));
    }
    qsort(ns, rounds, sizeof(ns[0]), double_cmp);
    return ns[rounds / 2];
}

/* From the sighting of a crash to the plan that destroys what remains: the median over crashes. */
static double crash_ns(struct bench *b)
{
    static double ns[ROUNDS_MAX];
    uint32_t crashes = b->n < 1000 ? 500 : 40;

    for (uint32_t c = 0; c < crashes; c++) {
        uint32_t victim = (uint32_t)((uint64_t)c * 7919 % b->n);
        double from;

        next_round(b);
        for (uint32_t i = 0; i < b->n; i++)
            if (i != victim)
                seen(b, i, false);
        from = now_ns();
        seen(b, victim, true);
        ns[c] = now_ns() - from;
        if (!b->n_answers)
            abort(); /* it did not decide to clear it */
        end_of_round(b);
        answer_all(b);
    }
    qsort(ns, crashes, sizeof(ns[0]), double_cmp);
    return ns[crashes / 2];
}

int main(void)
{
    static const uint32_t sizes[] = { 1, 1000, 10000 };
    double beats[3], crash[3];
    struct xha_settings set = { .max_domains = 10000, .parallel = 1 },
                        less = { .max_domains = 1, .parallel = 1 };

    for (unsigned s = 0; s < 3; s++) {
        struct bench b;

        begin(&b, sizes[s]);
        beats[s] = beats_ns(&b);
        crash[s] = crash_ns(&b);
        end(&b);
        printf("core-decision-event-%u %.0f ns\n", sizes[s], beats[s]);
        printf("core-decision-crash-%u %.0f ns\n", sizes[s], crash[s]);
    }
    printf("core-decision-event-growth-1-to-10000 %.2f ratio\n", beats[2] / beats[0]);
    printf("core-decision-crash-growth-1-to-10000 %.2f ratio\n", crash[2] / crash[0]);
    printf("core-memory-per-domain %.0f bytes\n",
           (double)(xha_core_bytes(&set) - xha_core_bytes(&less)) / 9999);
    return 0;
}

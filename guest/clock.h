/*
 * The agent's only clock: CLOCK_MONOTONIC in milliseconds, in a struct, so that an instant and a span
 * cannot be mixed up by accident. Wall time is never used: somebody sets it, and beats must not stop.
 */
#ifndef XHA_GUEST_CLOCK_H
#define XHA_GUEST_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct xha_guest_time {
    int64_t ms;
};

/* Later than anything that happens: "no alarm set". */
#define XHA_GUEST_NEVER ((struct xha_guest_time){ INT64_MAX })

static inline struct xha_guest_time xha_guest_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (struct xha_guest_time){ (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 };
}

static inline struct xha_guest_time xha_guest_after(struct xha_guest_time t, int64_t span_ms)
{
    return (struct xha_guest_time){ t.ms + span_ms };
}

static inline bool xha_guest_due(struct xha_guest_time t, struct xha_guest_time now)
{
    return now.ms >= t.ms;
}

static inline struct xha_guest_time xha_guest_earlier(struct xha_guest_time a, struct xha_guest_time b)
{
    return a.ms < b.ms ? a : b;
}

/*
 * The first point after `now` of the grid start + k * step_ms. Counting from the start keeps the beats free
 * of drift; taking the first point ahead of us keeps a guest that slept for an hour from sending an hour of
 * beats at once.
 */
static inline struct xha_guest_time xha_guest_next_on_grid(struct xha_guest_time start, int64_t step_ms,
                                                           struct xha_guest_time now)
{
    if (now.ms < start.ms)
        return start;
    return (struct xha_guest_time){ start.ms + ((now.ms - start.ms) / step_ms + 1) * step_ms };
}

#endif

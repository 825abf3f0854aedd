/*
 * clock.c - the only place where the daemon reads a clock for the core.
 */
#include "xhad/ctl/clock.h"
#include <time.h>

static int64_t read_ms(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t xha_clock_monotonic_ms(void)
{
    return read_ms(CLOCK_MONOTONIC);
}

int64_t xha_clock_wall_ms(void)
{
    return read_ms(CLOCK_REALTIME);
}

void xha_clock_start(struct xha_clock *clock, struct xha_time persisted)
{
    int64_t wall = xha_clock_wall_ms();

    clock->offset_ms = (wall > persisted.ms ? wall : persisted.ms) - xha_clock_monotonic_ms();
}

struct xha_time xha_clock_now(const struct xha_clock *clock)
{
    return xha_clock_from_monotonic(clock, xha_clock_monotonic_ms());
}

struct xha_time xha_clock_from_monotonic(const struct xha_clock *clock, int64_t monotonic_ms)
{
    return (struct xha_time){ monotonic_ms + clock->offset_ms };
}

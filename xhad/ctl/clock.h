/*
 * clock.h - the core's line of time: the wall clock when xhad started, then the monotonic clock's progress.
 *
 * It never steps back while xhad runs, and a start never begins before the last time that was persisted, so
 * that it goes on over restarts even when the wall clock was set back in between.
 */
#ifndef XHA_CTL_CLOCK_H
#define XHA_CTL_CLOCK_H

#include "xhad/core/core.h"

struct xha_clock {
    int64_t offset_ms; /* core time = CLOCK_MONOTONIC + offset */
};

void xha_clock_start(struct xha_clock *clock, struct xha_time persisted);
struct xha_time xha_clock_now(const struct xha_clock *clock);
struct xha_time xha_clock_from_monotonic(const struct xha_clock *clock, int64_t monotonic_ms);

int64_t xha_clock_monotonic_ms(void);
int64_t xha_clock_wall_ms(void);

#endif

/*
 * interval.h - how long the guest runs between two epochs: as briefly as its pauses allow, so that its output
 * waits as little as can be. Pure.
 *
 * Each epoch costs a pause, part of it fixed (suspend, scan of the dirty pages, resume), part by what the guest
 * changed meanwhile. The share of the time that it stands still is pause / (run + pause); the shortest run that
 * keeps it under its bound is pause × (1 - share) / share. The controller goes there: quickly up when pauses
 * grow, slowly down, not at all for a difference that does not matter. A longer run brings more changes and a
 * longer pause, never a shorter one, so that it comes near its aim from one side and does not swing about it.
 */
#ifndef XHA_REPL_INTERVAL_H
#define XHA_REPL_INTERVAL_H

#include <stdint.h>

struct xha_interval_conf {
    int64_t min_us, max_us;      /* 0 < min ≤ max; the same: a fixed interval */
    uint32_t max_pause_permille; /* of the time that the guest may stand still, 1 to 500 */
};

struct xha_interval {
    struct xha_interval_conf conf;
    int64_t interval_us;
    int64_t pause_x256; /* expected, in 1/256 µs; 0: none seen yet */
};

void xha_interval_init(struct xha_interval *interval, const struct xha_interval_conf *conf);

/* An epoch is over: the guest stood still for so long. */
void xha_interval_epoch(struct xha_interval *interval, int64_t pause_us);

/* For how long the guest may run now before the next epoch. */
int64_t xha_interval_us(const struct xha_interval *interval);

#endif

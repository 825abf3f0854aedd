/*
 * limit.h - how fast: a bucket of bytes that fills at the rate allowed, and the rate that was reached. Pure.
 */
#ifndef XHA_MOVE_LIMIT_H
#define XHA_MOVE_LIMIT_H

#include <stdint.h>

struct xha_limit {
    uint64_t bytes_per_s; /* 0: no limit */
    int64_t credit;       /* bytes that may be sent now; below 0: sent too many */
    int64_t last_ms;
    uint64_t counted; /* bytes sent when it was last asked */
};

void xha_limit_init(struct xha_limit *limit, uint64_t bytes_per_s, int64_t now_ms);

/* sent: bytes so far. For how long nothing more may be sent, in ms; 0: go on. */
int64_t xha_limit_wait_ms(struct xha_limit *limit, uint64_t sent, int64_t now_ms);

#define XHA_RATE_SLOTS 8

/* The rate over the last two seconds or so. */
struct xha_rate {
    int64_t at_ms[XHA_RATE_SLOTS];
    uint64_t value[XHA_RATE_SLOTS];
    unsigned n;
};

/* Tells the value now; returns its growth per second. */
uint64_t xha_rate_add(struct xha_rate *rate, uint64_t value, int64_t now_ms);

#endif

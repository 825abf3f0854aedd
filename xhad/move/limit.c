/*
 * limit.c - see limit.h.
 */
#include "xhad/move/limit.h"

#define BURST_MS 100 /* worth of bytes that may be sent at once */
#define SLOT_MS  250

void xha_limit_init(struct xha_limit *limit, uint64_t bytes_per_s, int64_t now_ms)
{
    *limit = (struct xha_limit){ .bytes_per_s = bytes_per_s, .last_ms = now_ms };
}

int64_t xha_limit_wait_ms(struct xha_limit *limit, uint64_t sent, int64_t now_ms)
{
    const int64_t rate =
        limit->bytes_per_s > INT64_MAX / 4096 ? INT64_MAX / 4096 : (int64_t)limit->bytes_per_s;
    const int64_t burst = rate * BURST_MS / 1000 + 1;
    int64_t passed_ms = now_ms - limit->last_ms;

    if (rate == 0)
        return 0;
    if (passed_ms > 1000)
        passed_ms = 1000; /* a bucket that was not looked at for long overflows anyway */
    limit->credit += rate * passed_ms / 1000;
    if (passed_ms > 0 && rate * passed_ms / 1000 > 0)
        limit->last_ms = now_ms;
    if (limit->credit > burst)
        limit->credit = burst;
    limit->credit -= (int64_t)(sent - limit->counted);
    limit->counted = sent;
    return limit->credit >= 0 ? 0 : -limit->credit * 1000 / rate + 1;
}

uint64_t xha_rate_add(struct xha_rate *rate, uint64_t value, int64_t now_ms)
{
    const unsigned last = (rate->n + XHA_RATE_SLOTS - 1) % XHA_RATE_SLOTS;
    unsigned oldest;
    int64_t over_ms;
    uint64_t growth;

    if (rate->n == 0 || now_ms - rate->at_ms[last] >= SLOT_MS) {
        rate->at_ms[rate->n % XHA_RATE_SLOTS] = now_ms;
        rate->value[rate->n % XHA_RATE_SLOTS] = value;
        rate->n++;
        if (rate->n == 2 * XHA_RATE_SLOTS)
            rate->n = XHA_RATE_SLOTS;
    }
    oldest = rate->n < XHA_RATE_SLOTS ? 0 : rate->n % XHA_RATE_SLOTS;
    over_ms = now_ms - rate->at_ms[oldest];
    growth = value - rate->value[oldest];
    return over_ms > 0 ? growth * 1000 / (uint64_t)over_ms : 0;
}

/*
 * interval.c - see interval.h.
 */
#include "xhad/repl/interval.h"

#define MARGIN_PERCENT 90 /* of the share that is allowed is aimed at: pauses scatter */
#define LEAP           4  /* a single pause counts as at most so many times what was expected */
#define UP             2  /* 1/2 of the way at a time */
#define DOWN           8  /* 1/8 */
#define CALM           16 /* nothing changes for less than 1/16 */

static int64_t clamp(const struct xha_interval_conf *conf, int64_t us)
{
    return us < conf->min_us ? conf->min_us : us > conf->max_us ? conf->max_us : us;
}

void xha_interval_init(struct xha_interval *interval, const struct xha_interval_conf *conf)
{
    *interval = (struct xha_interval){ .conf = *conf };
    interval->interval_us = clamp(conf, (conf->min_us + conf->max_us) / 2);
}

int64_t xha_interval_us(const struct xha_interval *interval)
{
    return interval->interval_us;
}

/* What pause is to be expected, after one of this length. */
static void learn(struct xha_interval *i, int64_t pause_us)
{
    int64_t pause = (pause_us < 1 ? 1 : pause_us < INT32_MAX ? pause_us : INT32_MAX) * 256;

    if (i->pause_x256 == 0)
        i->pause_x256 = pause;
    if (pause > LEAP * i->pause_x256)
        pause = LEAP * i->pause_x256;
    i->pause_x256 += (pause - i->pause_x256) / (pause > i->pause_x256 ? UP : DOWN);
}

void xha_interval_epoch(struct xha_interval *interval, int64_t pause_us)
{
    const int64_t share = (int64_t)interval->conf.max_pause_permille * MARGIN_PERCENT; /* of 100,000 */
    int64_t aim, change;

    learn(interval, pause_us);
    aim = clamp(&interval->conf, interval->pause_x256 / 256 * (100000 - share) / share);
    change = aim - interval->interval_us;
    if (aim == interval->conf.min_us || aim == interval->conf.max_us ||
        (change < 0 ? -change : change) > interval->interval_us / CALM)
        interval->interval_us = aim;
}

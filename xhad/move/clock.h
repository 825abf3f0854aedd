/*
 * clock.h - the time that deadlines of a move are measured in, and who may end a wait early.
 */
#ifndef XHA_MOVE_CLOCK_H
#define XHA_MOVE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC. */
static inline int64_t xha_move_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/*
 * Asked at least ten times a second by everything in move/ that waits: true ends the wait with an error. From
 * any thread.
 */
struct xha_stop {
    bool (*asked)(void *arg); /* NULL: never */
    void *arg;
};

static inline bool xha_stop_asked(const struct xha_stop *stop)
{
    return stop->asked && stop->asked(stop->arg);
}

#endif

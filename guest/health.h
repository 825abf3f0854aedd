/*
 * The health command: run every so often through /bin/sh, in a process group of its own, and believed. The
 * beat stops while it fails or hangs. Nothing here blocks: step() starts, reaps and kills as time goes by.
 */
#ifndef XHA_GUEST_HEALTH_H
#define XHA_GUEST_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "guest/clock.h"

enum xha_guest_verdict {
    XHA_GUEST_STARTING, /* no result yet: no beat, so that the first beat means "ready" */
    XHA_GUEST_OK,
    XHA_GUEST_EXITED,   /* detail: the exit code, not 0 */
    XHA_GUEST_SIGNALED, /* detail: the signal */
    XHA_GUEST_TIMEOUT,
    XHA_GUEST_NOT_RUN, /* could not be started; detail: errno */
};

struct xha_guest_health {
    const char *command; /* NULL: no command, always OK; owned by the caller */
    int64_t interval_ms; /* from start to start */
    int64_t timeout_ms;
    enum xha_guest_verdict verdict;
    int detail;
    pid_t pid; /* of the running command and of its process group; 0 when none runs */
    bool killed;
    struct xha_guest_time next_start;
    struct xha_guest_time kill_at;
};

/* The first run is due at once. */
void xha_guest_health_init(struct xha_guest_health *health, const char *command, int64_t interval_ms,
                           int64_t timeout_ms, struct xha_guest_time now);

/* Does what is due. True when the verdict (or its detail) is another one than before. */
bool xha_guest_health_step(struct xha_guest_health *health, struct xha_guest_time now);

/* When to call step() next, unless SIGCHLD comes earlier. */
struct xha_guest_time xha_guest_health_next(const struct xha_guest_health *health);

/* The words for data/health: "ok", "failing: exit 3", "timeout", … */
void xha_guest_health_text(const struct xha_guest_health *health, char *text_r, size_t size);

/* Kills what runs. */
void xha_guest_health_end(struct xha_guest_health *health);

#endif

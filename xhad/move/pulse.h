/*
 * pulse.h - when to say that we live, and when a silent peer counts as gone. Pure: told the time, it waits for
 * nothing.
 *
 * Silence counts only while we listen: a process that was stopped for a while, or a host that was paused, finds
 * what its peer said meanwhile in its socket, and does not give it up for its own absence.
 */
#ifndef XHA_MOVE_PULSE_H
#define XHA_MOVE_PULSE_H

#include <stdbool.h>
#include <stdint.h>

struct xha_pulse {
    int64_t timeout_ms, beat_ms;
    int64_t said_ms;   /* when we last said something */
    int64_t silent_ms; /* for how long we have listened in vain */
};

/* timeout_ms: silence after which the peer is gone. We say something eight times in it, and each second. */
void xha_pulse_init(struct xha_pulse *pulse, int64_t timeout_ms, int64_t now_ms);
void xha_pulse_bear(struct xha_pulse *pulse,
                    int64_t timeout_ms); /* another timeout for the peer; our beat stays */

void xha_pulse_said(struct xha_pulse *pulse, int64_t now_ms);
void xha_pulse_heard(struct xha_pulse *pulse);
/* We wanted to listen for wait_ms at most, and did from began_ms to now_ms: what is above it was our own absence. */
void xha_pulse_listened(struct xha_pulse *pulse, int64_t wait_ms, int64_t began_ms, int64_t now_ms);

bool xha_pulse_is_due(const struct xha_pulse *pulse, int64_t now_ms); /* say that we live */
bool xha_pulse_is_gone(const struct xha_pulse *pulse);                /* the peer */
/* For how long nothing becomes due, nor the peer gone; at least 0. */
int64_t xha_pulse_wait_ms(const struct xha_pulse *pulse, int64_t now_ms);

#endif

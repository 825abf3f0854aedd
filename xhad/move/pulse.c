/*
 * pulse.c - see pulse.h.
 */
#include "xhad/move/pulse.h"

#define BEATS        8
#define BEAT_MS_MOST 1000
#define LATE_MS      20 /* a wait ends this late on a busy host, and was still listening */

void xha_pulse_init(struct xha_pulse *pulse, int64_t timeout_ms, int64_t now_ms)
{
    const int64_t beat_ms = timeout_ms / BEATS + 1;

    *pulse = (struct xha_pulse){
        .timeout_ms = timeout_ms,
        .beat_ms = beat_ms < BEAT_MS_MOST ? beat_ms : BEAT_MS_MOST,
        .said_ms = now_ms,
    };
}

void xha_pulse_bear(struct xha_pulse *pulse, int64_t timeout_ms)
{
    pulse->timeout_ms = timeout_ms;
    pulse->silent_ms = 0;
}

void xha_pulse_said(struct xha_pulse *pulse, int64_t now_ms)
{
    pulse->said_ms = now_ms;
}

void xha_pulse_heard(struct xha_pulse *pulse)
{
    pulse->silent_ms = 0;
}

void xha_pulse_listened(struct xha_pulse *pulse, int64_t wait_ms, int64_t began_ms, int64_t now_ms)
{
    const int64_t took_ms = now_ms - began_ms, most_ms = wait_ms + LATE_MS;

    if (took_ms > 0)
        pulse->silent_ms += took_ms < most_ms ? took_ms : most_ms;
}

bool xha_pulse_is_due(const struct xha_pulse *pulse, int64_t now_ms)
{
    return now_ms - pulse->said_ms >= pulse->beat_ms;
}

bool xha_pulse_is_gone(const struct xha_pulse *pulse)
{
    return pulse->silent_ms >= pulse->timeout_ms;
}

int64_t xha_pulse_wait_ms(const struct xha_pulse *pulse, int64_t now_ms)
{
    const int64_t due_ms = pulse->said_ms + pulse->beat_ms - now_ms;
    const int64_t gone_ms = pulse->timeout_ms - pulse->silent_ms;
    const int64_t wait_ms = due_ms < gone_ms ? due_ms : gone_ms;

    return wait_ms > 0 ? wait_ms : 0;
}

/*
 * alarm.h - tells the world: hooks, the log, syslog. Never blocks, never tells more than it may.
 *
 * Of one kind for one domain at most `rate` alarms go out in a minute; what is more is counted, and told at
 * the end of the minute as one. Every executable file in the alarm directory is run for each alarm, at most
 * HOOKS_MAX at once, ended after HOOK_MS; what cannot be queued is logged and lost. The environment of a
 * hook: xha(7).
 */
#ifndef XHA_CTL_ALARM_H
#define XHA_CTL_ALARM_H

#include <uv.h>
#include "xhad/core/core.h"

struct xha_alarms;

struct xha_alarm {
    char kind[48]; /* the cause's name, or of xhad's own: "journal", "observer", "policy" */
    enum xha_severity severity;
    struct xha_uuid uuid; /* all zero: the host itself */
    char domain[XHA_NAME_MAX];
    char state[32]; /* the domain's, "" for the host */
    char text[512];
};

/* dir must live as long as the alarms. NULL: no memory. */
struct xha_alarms *xha_alarms_new(uv_loop_t *loop, const char *dir, uint32_t rate);
void xha_alarms_set(struct xha_alarms *alarms, const char *dir, uint32_t rate);
void xha_alarms_raise(struct xha_alarms *alarms, const struct xha_alarm *alarm);

/* Hooks that run are left to end; the loop must run once more before _free(). */
void xha_alarms_close(struct xha_alarms *alarms);
void xha_alarms_free(struct xha_alarms *alarms);

/* ---- the limit by itself, for the tests ---- */

#define XHA_ALARM_KEYS 256 /* kinds × domains watched at once; beyond that the oldest is forgotten */

struct xha_alarm_limit {
    struct {
        char kind[48];
        struct xha_uuid uuid;
        int64_t began_ms;
        uint32_t told, held_back;
        struct xha_alarm last;
    } key[XHA_ALARM_KEYS];
    size_t n;
};

/* Whether this alarm may go out now; if not it is counted. */
bool xha_alarm_limit_take(struct xha_alarm_limit *limit, const struct xha_alarm *alarm, uint32_t rate,
                          int64_t now_ms);

/* Takes out one summary whose minute is over. false: none is due. */
bool xha_alarm_limit_summary(struct xha_alarm_limit *limit, int64_t now_ms, struct xha_alarm *alarm_r);

#endif

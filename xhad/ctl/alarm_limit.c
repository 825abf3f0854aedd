/*
 * alarm_limit.c - how many alarms of one kind for one domain go out in a minute.
 */
#include "xhad/ctl/alarm.h"
#include "xhad/base/uuid.h"
#include <stdio.h>
#include <string.h>

#define MINUTE_MS 60000

static void remove_at(struct xha_alarm_limit *limit, size_t i)
{
    memmove(&limit->key[i], &limit->key[i + 1], (limit->n - i - 1) * sizeof limit->key[0]);
    limit->n--;
}

bool xha_alarm_limit_take(struct xha_alarm_limit *limit, const struct xha_alarm *alarm, uint32_t rate,
                          int64_t now_ms)
{
    size_t i = 0;

    while (i < limit->n && (strcmp(limit->key[i].kind, alarm->kind) != 0 ||
                            !xha_uuid_equal(&limit->key[i].uuid, &alarm->uuid)))
        i++;
    if (i < limit->n && now_ms - limit->key[i].began_ms >= MINUTE_MS && limit->key[i].held_back == 0) {
        remove_at(limit, i);
        i = limit->n;
    }
    if (i == limit->n) {
        if (limit->n == XHA_ALARM_KEYS) {
            remove_at(limit, 0);
            i--;
        }
        memset(&limit->key[i], 0, sizeof limit->key[i]);
        memcpy(limit->key[i].kind, alarm->kind, sizeof limit->key[i].kind);
        limit->key[i].uuid = alarm->uuid;
        limit->key[i].began_ms = now_ms;
        limit->n++;
    }
    if (limit->key[i].told < rate) {
        limit->key[i].told++;
        return true;
    }
    limit->key[i].held_back++;
    limit->key[i].last = *alarm;
    return false;
}

bool xha_alarm_limit_summary(struct xha_alarm_limit *limit, int64_t now_ms, struct xha_alarm *alarm_r)
{
    for (size_t i = 0; i < limit->n; i++) {
        if (limit->key[i].held_back == 0 || now_ms - limit->key[i].began_ms < MINUTE_MS)
            continue;
        *alarm_r = limit->key[i].last;
        snprintf(alarm_r->text, sizeof alarm_r->text, "%u suppressed within a minute, the last: %.400s",
                 limit->key[i].held_back, limit->key[i].last.text);
        remove_at(limit, i);
        return true;
    }
    return false;
}

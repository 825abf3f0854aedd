/*
 * notify.h - tells systemd how xhad is: READY=1, RELOADING=1, STOPPING=1, WATCHDOG=1, STATUS=….
 */
#ifndef XHA_CTL_NOTIFY_H
#define XHA_CTL_NOTIFY_H

#include <stdint.h>

/* Sends one message, several lines in one. Does nothing when not started by systemd. */
void xha_notify(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* How often the watchdog wants to be poked, in ms: half of what systemd gives; 0: it does not ask. */
int64_t xha_notify_watchdog_ms(void);

#endif

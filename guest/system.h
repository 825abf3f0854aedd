/*
 * What the agent wants from the guest's system: a log, the background, memory that stays, the service
 * manager's ear, the watchdog device.
 */
#ifndef XHA_GUEST_SYSTEM_H
#define XHA_GUEST_SYSTEM_H

#include <stdbool.h>
#include <stdint.h>

/* To standard error, or from the background to syslog. Never waits: a message may get lost. */
__attribute__((format(printf, 1, 2))) void xha_guest_log(const char *fmt, ...);

/* Goes to the background; returns in the daemon only. False: errno says why. */
bool xha_guest_daemonize(void);

/* Keeps every page in memory; a failure is logged and lived with. */
void xha_guest_lock_memory(void);

/* Tells the service manager (sd_notify(3)), if there is one that listens. */
void xha_guest_notify(const char *state);

/*
 * The watchdog fires when it is neither petted nor disarmed. Returns a file descriptor, or -1 after a
 * message; refuses a beat interval that leaves less than two pets within the device's timeout.
 */
int xha_guest_watchdog_open(const char *device, int64_t interval_ms);
void xha_guest_watchdog_pet(int fd);

/* Disarms it (the driver's "magic close") and closes it. -1 is harmless. */
void xha_guest_watchdog_close(int fd);

#endif

/*
 * watchdog.h - `xhad-xen watchdog RUN_DIR`: holds Xen's watchdog of dom0 for xhad (base/watch.h).
 */
#ifndef XHA_XEN_WATCHDOG_H
#define XHA_XEN_WATCHDOG_H

/* Returns the exit status. */
int xha_watchdog_main(const char *run_dir);

#endif

/*
 * observer.h - `xhad-xen observe`: tells xhad what the hypervisor and xenstore show (base/observe.h).
 */
#ifndef XHA_XEN_OBSERVER_H
#define XHA_XEN_OBSERVER_H

/* Runs until fd 3 closes. The exit status of the process: 0, or 1 after a message on standard error. */
int xha_observer_main(void);

#endif

/*
 * fake-xen.h - a hypervisor and a xenstore made up for the observer (-Wl,--wrap), in memory shared with it.
 *
 * The observer runs in a process of its own, as in life; whoever includes this is xhad, at the other end of
 * its socket.
 */
#ifndef XHA_TESTS_FAKE_XEN_H
#define XHA_TESTS_FAKE_XEN_H

#include <stdint.h>
#include <sys/types.h>

struct fake_xen {
    volatile int n_dom;      /* domids 1..n_dom, UUID { domid >> 8, domid } */
    volatile int flags;      /* of domain 1 */
    volatile int read_errno; /* of heartbeats; 0: they are there */
    volatile int stuck;      /* xenstored does not answer */
    volatile int canary_lost;
    volatile uint64_t beat; /* domain N beats beat + N */
    char canary[64];
    int watch_pipe[2]; /* a byte in it: an event of the watches */
};

extern struct fake_xen *fake;

/* Starts an observer; our end of its socket. 0 or -1. */
int fake_xen_start(int *ours_r, pid_t *pid_r);
/* Ends it, when pid > 0, and forgets the host. 0 or -1. */
int fake_xen_stop(pid_t pid);

#endif

/*
 * timing.h - every time that the cluster's safety rests on, and how they follow from one: how soon a lost host
 * is to be noticed.
 */
#ifndef XHA_TIMING_H
#define XHA_TIMING_H

#include "xhad/core/core.h"

struct xha_timing {
    struct xha_span detection; /* wanted: from the loss of a host to the other side's new view */
    struct xha_span token;     /* corosync's; consensus is 1.2 of it */
    struct xha_span consensus;
    struct xha_span poke;          /* between two pokes of the watchdog */
    struct xha_span watchdog;      /* fires so long after the last poke; whole seconds */
    struct xha_span takeover;      /* after its loss was noticed: the watchdog of the lost host has fired */
    struct xha_span fence_timeout; /* of one attempt of one agent */
};

#endif

/*
 * replicate_out.h - the sender of a replicated domain: what its two halves share. replicate_out.c meets the backup
 * and answers, replicate_loop.c has the epochs.
 */
#ifndef XHA_XEN_REPLICATE_OUT_H
#define XHA_XEN_REPLICATE_OUT_H

#include "xhad/move/talk.h"
#include "xhad/repl/interval.h"
#include "xhad/repl/out.h"
#include "xhad/xen/pause.h"
#include "xhad/xen/replicate_disks.h"
#include "xhad/xen/replicate_gate.h"
#include "xhad/xen/work.h"

#include <stdatomic.h>

struct xha_sender {
    struct xha_work *w;
    struct xha_talk talk;
    uint32_t domid;
    libxl_domain_config config;
    char *config_json;
    struct xha_hello hello;
    struct xha_wire *wire;
    struct xha_terms terms;
    struct xha_pauser pauser;
    struct xha_sender_gate gate;
    struct xha_gate_disks gated;
    struct xha_gate_out *disks; /* NULL: none is gated */
    struct xha_out_beside beside;
    struct xha_out *out;
    int stream_fd;
    struct xha_interval interval;
    uint64_t epoch; /* under way, from 1 on */
    int64_t asked_us, suspended_us, gated_us, copied_us, resumed_us;
    char why[XHA_GATE_TEXT]; /* it ended; "": libxc has not said */

    /* for the thread of out, which tells how it stands */
    atomic_bool is_protected;
    atomic_uint round;                           /* of the first copy, from 1 on */
    atomic_uint_least64_t disk_todo, disk_total; /* pages of gated disks, for the same */
    int64_t began_ms, told_ms;
};

/* Streams the domain, until it ends for the reason in why; whether the guest stands still is not known then. */
void xha_sender_loop(struct xha_sender *sender);

/* From the thread of out, now and then: the state for xhad, in progress lines. arg is a struct xha_sender. */
void xha_sender_tell(void *arg, const struct xha_out_told *told);

#endif

/*
 * gate_kernel.h - one port of a gate as the kernel has it: looked at, made, taken down. For gate.c and gate_remove.c.
 *
 * Every step is one request, and after each of them the port is either as it was before or shut. So whoever dies between
 * two of them leaves nothing that lets an uncommitted packet out, and the next one finds what is there by looking.
 */
#ifndef XHA_REPL_GATE_KERNEL_H
#define XHA_REPL_GATE_KERNEL_H

#include "xhad/repl/gate.h"
#include "xhad/repl/gate_nl.h"

struct gate_seen {
    int vif;                  /* ifindex; 0: it is not there */
    struct xha_nl_link ifb;   /* ifindex 0: it is not there */
    struct xha_nl_qdisc root; /* of the ifb; kind "": the kernel's default */
    char ingress[16];         /* kind of the vif's ingress qdisc; "": none */
    bool ours;                /* the ifb: made by a gate, whole or half */
    bool redirected;          /* the vif's traffic goes to the ifb, or to one that is gone */
    int target;               /* ... its ifindex; 0: gone */
    size_t foreign;           /* other filters on the vif's ingress */
};

/* Whether it holds what the vif sends. */
bool gate_is_whole(const struct gate_seen *seen);

/* Looks at the port; the vif is known by its name, or (vif "") by the ifb's alias. 0, or -1 with a text. */
int gate_see(struct xha_nl *nl, const struct xha_gate_port *port, struct gate_seen *seen_r, char *err,
             size_t err_len);

/*
 * Makes the port, or completes it; seen_r is what there is afterwards. found_r: it was whole already, and holds what it
 * held. On failure whatever was made is gone again.
 */
int gate_make(struct xha_nl *nl, const struct xha_gate_port *port, uint32_t limit_bytes,
              struct gate_seen *seen_r, bool *found_r, char *err, size_t err_len);

/* Lets all out, waits for the last packet, and removes it. */
int gate_unmake(struct xha_nl *nl, const struct xha_gate_port *port, int64_t until_ms, char *err,
                size_t err_len);

int64_t gate_now_us(void); /* CLOCK_MONOTONIC */

/* "WHAT: why (the kernel's own words)"; rc is a negative errno. Returns -1. */
int gate_fail(const struct xha_nl *nl, int rc, char *err, size_t err_len, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

#endif

/*
 * gate.h - the commit gate of one domain's network: what the guest sends leaves the host only when the epoch that
 * sent it is committed.
 *
 *   guest → vif3.0 ingress ─(matchall, mirred redirect: every protocol)→ xhg3.0 (ifb) egress: plug → vif3.0 → bridge
 *
 * All of it lives in the kernel (sch_plug, ifb, sch_ingress, cls_matchall, act_mirred) and stays as it is when the process
 * dies: a gate fails closed. It is a library, since the end of an epoch is on the guest's suspended time: a few small
 * system calls for all devices of a domain. Each names the ifb by domain and device, so that any process finds a gate
 * again by looking.
 *
 * States. SHUT: what comes is held, for the running epoch. SEALED: an epoch has ended and waits for its commit, and what
 * comes belongs to the next one. OPEN: in place, all goes through. FOUND: there from another process, shut for all
 * we know; which packets belong to which epoch is not known, so it can only be opened or taken down.
 *
 *   xha_gate_set_up()  → SHUT (or FOUND)        xha_gate_open()        any → OPEN
 *   xha_gate_barrier() SHUT → SEALED            xha_gate_shut()        OPEN → SHUT
 *   xha_gate_release_one() SEALED → SHUT        xha_gate_take_down()   any → nothing is left
 *
 * The kernel keeps one ended epoch apart and forgets its size when another ends before it is let out: so there is no
 * second barrier in SEALED. Nor does it guard its counts against a packet that comes in the same instant. So an
 * epoch is ended while the guest is suspended, and both sides of the barrier are compared by bytes: an epoch of
 * which it is not proven what belongs to it is an error (BROKEN: only open and take down), never a guess.
 *
 * Errors: 0, or -1 with a text for people in err, and the state that is left is told by xha_gate_state(). The caller must
 * be allowed to administrate the network (CAP_NET_ADMIN), in the network namespace of the vifs.
 */
#ifndef XHA_REPL_GATE_H
#define XHA_REPL_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "xhad/repl/gate_port.h"

#define XHA_GATE_PORTS_MAX 32
#define XHA_GATE_TEXT      384 /* enough for err */

enum xha_gate_state {
    XHA_GATE_SHUT,
    XHA_GATE_SEALED,
    XHA_GATE_OPEN,
    XHA_GATE_FOUND,
    XHA_GATE_BROKEN,
};
const char *xha_gate_state_name(enum xha_gate_state state);

struct xha_gate;

/*
 * Makes the gate of these ports, or finds it. Each is plugged before its traffic is redirected; what has half been made is
 * made anew. When one port cannot be had, those made by this call are taken down without loss. limit_bytes: held
 * at most for each port, more is dropped (and counted). A device that comes while this works is an error; one that came
 * between the caller's list of ports and this call is not seen: list them once more. The gate is freed by xha_gate_close().
 */
int xha_gate_set_up(const struct xha_gate_port *ports, size_t n, uint32_t limit_bytes,
                    struct xha_gate **gate_r, char *err, size_t err_len);

/* Frees the handle. The kernel's part stays, shut or open as it was. NULL is allowed. */
void xha_gate_close(struct xha_gate *gate);

enum xha_gate_state xha_gate_state(const struct xha_gate *gate);

/* The running epoch ends here, the next begins: to be called while the guest is suspended. */
int xha_gate_barrier(struct xha_gate *gate, char *err, size_t err_len);

/* The epoch before the last barrier is committed: lets out what it sent, and nothing else. */
int xha_gate_release_one(struct xha_gate *gate, char *err, size_t err_len);

/* Lets all out, now and from now on. By order alone: protection ended, or has not begun. */
int xha_gate_open(struct xha_gate *gate, char *err, size_t err_len);

/* The first protected epoch begins; to be called while the guest is suspended. On failure it stays OPEN. */
int xha_gate_shut(struct xha_gate *gate, char *err, size_t err_len);

/*
 * Opens it, takes it away and frees it; until_ms: CLOCK_MONOTONIC. No packet is lost; a few may overtake others as the
 * way gets shorter. -1: something is left, open; it can be tried again by xha_gate_remove(). The handle is freed anyway.
 */
int xha_gate_take_down(struct xha_gate *gate, int64_t until_ms, char *err, size_t err_len);

/*
 * The same without a handle, for all that is there of a domain's gate, whole or half, whoever made it: when the
 * process that held it is gone. How many ports were there in *ports_r (may be NULL).
 */
int xha_gate_remove(uint32_t domid, int64_t until_ms, size_t *ports_r, char *err, size_t err_len);

/* What is there of a domain's gate; changes nothing. */
struct xha_gate_seen {
    size_t ports; /* ifbs by their names */
    size_t whole; /* ... that hold what their vif sends */
    uint32_t held_packets, held_bytes;
};
int xha_gate_look(uint32_t domid, struct xha_gate_seen *seen_r, char *err, size_t err_len);

/* Sums over all ports. */
struct xha_gate_stats {
    uint64_t sent_bytes;
    uint64_t held_packets, held_bytes; /* now */
    uint64_t dropped_packets;          /* over the limit, since the gate was made: an alarm */
    uint64_t epochs;                   /* let out by this handle */
    int64_t delay_us;                  /* of the last one: its first moment until it was let out */
    int64_t wait_us;                   /* ... its end until it was let out */
};
int xha_gate_stats(struct xha_gate *gate, struct xha_gate_stats *stats_r, char *err, size_t err_len);

/*
 * Whether a network device of the domain came, went or was renamed since the gate was set up or this was last asked: then
 * something may bypass the gate, and protection must begin anew. what_r says what. Costs a system call.
 */
bool xha_gate_vifs_changed(struct xha_gate *gate, char *what_r, size_t what_len);

#endif

/*
 * replicate_gate.h - the network gate of a replicated domain (repl/gate.h) as its sender uses it: open during the first
 * copy, shut at the first suspend, and from then on one epoch at a time.
 *
 * What was shut once stays shut when the sender ends: who may open it is decided elsewhere, and done by the verb gate.
 * Errors: 0, or -1 with a text for people in err (XHA_GATE_TEXT).
 */
#ifndef XHA_XEN_REPLICATE_GATE_H
#define XHA_XEN_REPLICATE_GATE_H

#include "xhad/repl/gate.h"
#include "xhad/xen/lx.h"
#include "xhad/base/job.h"

struct xha_sender_gate {
    uint32_t domid;
    struct xha_gate *gate; /* NULL: the domain has no network device */
    bool shut;             /* once: only an order opens it again */
};

/*
 * Sets it up, open, for all network devices of the configuration, which must be in this dom0. On failure nothing is left
 * of it. One that another process has left is not touched: it is opened by order first.
 */
int xha_sender_gate_set_up(struct xha_sender_gate *gate, uint32_t domid, const libxl_domain_config *config,
                           uint32_t queue_max_kib, char *err, size_t err_len);

/* The guest is suspended: what it has sent belongs to the epoch that ends. The first time, the gate is shut. */
int xha_sender_gate_epoch(struct xha_sender_gate *gate, char *err, size_t err_len);

/* The backup holds that epoch: lets it out. -1 also when the domain's network devices are not the same any more. */
int xha_sender_gate_commit(struct xha_sender_gate *gate, char *err, size_t err_len);

/* What it holds, and how long the epoch has waited. What cannot be had is left as it is. */
void xha_sender_gate_measure(struct xha_sender_gate *gate, struct xha_job_epoch *line);

/* The sender ends: a gate that was never shut is taken away, any other stays as it is. -1: something is left, open. */
int xha_sender_gate_leave(struct xha_sender_gate *gate, char *err, size_t err_len);

#endif

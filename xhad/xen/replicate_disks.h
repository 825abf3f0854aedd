/*
 * replicate_disks.h - the gated disks of a replicated domain (disk/gate_out.h, gate_in.h), as its two workers use them.
 *
 * Errors: 0, or -1 with a text for people in err.
 */
#ifndef XHA_XEN_REPLICATE_DISKS_H
#define XHA_XEN_REPLICATE_DISKS_H

#include "xhad/disk/gate_in.h"
#include "xhad/disk/gate_out.h"
#include "xhad/repl/beside.h"
#include "xhad/xen/lx.h"

/* Those that the guest can write to and that are gated; other_r: one that is not, or NULL. */
int xha_disks_gated(const libxl_domain_config *config, struct xha_gate_disks *disks_r,
                    const libxl_device_disk **other_r, char *err, size_t err_len);

/* What the threads of out.h and in.h are to do with them. */
struct xha_out_beside xha_disks_out_beside(struct xha_gate_out *gate);
struct xha_in_beside xha_disks_in_beside(struct xha_gate_in *gate);

/* It is ordered that the domain goes on here without a backup: so its disks are the disks. */
int xha_disks_end(const libxl_domain_config *config, char *err, size_t err_len);

#endif

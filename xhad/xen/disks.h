/*
 * disks.h - memory from a checkpoint with disks from later corrupts file systems: the rule about writable
 * disks, and the snapshot command that gets around it.
 */
#ifndef XHA_XEN_DISKS_H
#define XHA_XEN_DISKS_H

#include "xhad/xen/work.h"

enum xha_disks_rule {
    XHA_DISKS_FREE,     /* there is none that the guest can write to, or the policy says "unsafe" */
    XHA_DISKS_SNAPSHOT, /* the snapshot command has to be run */
    XHA_DISKS_REFUSE,   /* no checkpoint of this domain: see err */
};

/* disks: "refuse" or "unsafe", command: "" for none; both from the policy. Pure. */
enum xha_disks_rule xha_disks_judge(const libxl_domain_config *config, const char *disks, const char *command,
                                    char *err, size_t err_len);

/*
 * Runs the policy's command with one argument: "snapshot" while the guest stands still, "restore" before it
 * is restored, "remove" when its checkpoint is dropped. Its environment has XHA_DOMAIN, XHA_UUID,
 * XHA_CHECKPOINT (the number) and XHA_DISKS (a line "VDEV PATH" for each writable disk). 0 when it exits with
 * 0, else -1 with a text in err.
 */
int xha_disks_run(struct xha_work *w, const libxl_domain_config *config, const char *action, uint64_t number,
                  char *err, size_t err_len);

#endif

/*
 * sched.h - weight, cap, affinity and cpupool of a domain, from its policy.
 */
#ifndef XHA_XEN_SCHED_H
#define XHA_XEN_SCHED_H

#include "xhad/xen/work.h"

/*
 * Applies the job's sched to a domain. config: the domain's own configuration, or NULL; where the policy says
 * "all" and the configuration pins vCPUs itself, those pins stay. 0, or -1 with a text in err; what could be
 * applied was.
 */
int xha_sched_apply(struct xha_work *w, uint32_t domid, const libxl_domain_config *config, char *err,
                    size_t err_len);

#endif

/*
 * bring_up.h - what start and restore have in common: before, nobody else may be there; after, it must run.
 */
#ifndef XHA_XEN_BRING_UP_H
#define XHA_XEN_BRING_UP_H

#include "xhad/xen/work.h"

/*
 * Makes sure that the UUID is nowhere on this host (a dying one is waited for) and that there is memory. 0,
 * or -1 after answering REFUSED or UNKNOWN.
 */
int xha_bring_up_prepare(struct xha_work *w, libxl_domain_config *config);

/* The domain is built and paused: scheduling, then it runs. Answers. doing: as below. */
void xha_bring_up_finish(struct xha_work *w, uint32_t domid, const libxl_domain_config *config,
                         const char *doing);

/*
 * Building failed: clears what remains of it and answers, REFUSED when the listing shows that nothing is
 * left, else UNKNOWN. doing: "created", "restored from checkpoint 7".
 */
void xha_bring_up_failed(struct xha_work *w, const char *doing);

#endif

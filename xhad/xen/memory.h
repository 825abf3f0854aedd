/*
 * memory.h - room on the host for a domain to be built.
 */
#ifndef XHA_XEN_MEMORY_H
#define XHA_XEN_MEMORY_H

#include "xhad/xen/work.h"

/*
 * Makes sure that Xen has the memory free that the domain needs. As xl does, dom0 gives some of its own when
 * Xen was booted without dom0_mem= (xl.conf(5), autoballoon). 0, or -1 with a text in err.
 */
int xha_memory_make_room(struct xha_work *w, libxl_domain_config *config, char *err, size_t err_len);

/* Whether Xen's command line fixes dom0's size. Pure. */
bool xha_memory_dom0_fixed(const char *commandline);

#endif

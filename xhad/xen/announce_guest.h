/*
 * announce_guest.h - a guest goes on here after a takeover: its network devices are announced (repl/announce.h).
 */
#ifndef XHA_XEN_ANNOUNCE_GUEST_H
#define XHA_XEN_ANNOUNCE_GUEST_H

#include "xhad/xen/work.h"

/*
 * Announces each network device of the configuration through its bridge, with the addresses that the configuration
 * names. How many frames were sent; what could not be announced becomes a warning, since the guest speaks for itself
 * soon.
 */
unsigned xha_announce_guest(struct xha_work *w, uint32_t domid, const libxl_domain_config *config);

#endif

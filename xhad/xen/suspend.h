/*
 * suspend.h - a domain that is saved or sent: whether that can be done while it runs, and that it runs on.
 */
#ifndef XHA_XEN_SUSPEND_H
#define XHA_XEN_SUSPEND_H

#include "xhad/xen/work.h"

/* Without log-dirty for its kind of guest, Xen can stream it only while it stands still. */
bool xha_suspend_can_live(struct xha_lx *lx, const libxl_dominfo *info);

/*
 * Lets the job's domain run on if it stands still because of us, and for settle_ms more, because a guest that
 * was told to suspend does it when it gets to it. 0: it runs, or has ended by itself; -1: it stands still.
 */
int xha_suspend_undo(struct xha_work *w, uint32_t domid, int64_t settle_ms);

/* How long that may take: longer when libxl's helper was ended with us, and so nobody has waited for the guest. */
int64_t xha_suspend_settle_ms(void);

/* Ends the log of dirty pages, which a helper that was killed leaves on, and which slows the guest down. */
void xha_suspend_end_log(uint32_t domid);

#endif

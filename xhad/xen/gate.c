/*
 * gate.c - the verb gate: opens a domain's network gate and takes it away (repl/gate.h), by order, when the process that
 * replicated the domain is no more. As long as that one lives, it has the domain's lock, and does it itself.
 */
#include "xhad/xen/work.h"
#include "xhad/repl/gate.h"

#include <stdio.h>

#define REMOVE_MS 10000 /* without a deadline */

/* Whose the domid is by now. A domain that nobody spoke of may have it: its gate is none of ours. */
static enum xha_lx_look look(struct xha_work *w, bool *anothers_r)
{
    enum xha_lx_look result = xha_lx_look(&w->lx, w->job.domid, &w->job.uuid, NULL);
    int n = 0;
    libxl_dominfo *list;

    *anothers_r = false;
    if (result != XHA_LX_GONE)
        return result;
    list = libxl_list_domain(w->lx.ctx, &n);
    if (!list)
        return XHA_LX_SILENT;
    for (int i = 0; i < n; i++)
        *anothers_r = *anothers_r || list[i].domid == (uint32_t)w->job.domid;
    libxl_dominfo_list_free(list, n);
    return result;
}

void xha_perform_gate(struct xha_work *w)
{
    const int64_t until_ms = w->job.deadline_ms > 0 ? w->until_ms : xha_now_ms() + REMOVE_MS;
    char err[XHA_GATE_TEXT];
    bool anothers;
    size_t ports;

    if (w->job.domid <= 0)
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s has no domain id, and so no gate", w->who);
    else if (look(w, &anothers) == XHA_LX_SILENT)
        xha_work_refuse(w, XHA_REFUSAL_OTHER,
                        "%s: its gate stays as it is, Xen does not list its domains: %s", w->who,
                        xha_lx_error(&w->lx));
    else if (anothers)
        xha_work_ok(w, "%s is gone with its gate: domain id %d is another domain's", w->who,
                    (int)w->job.domid);
    else if (xha_gate_remove((uint32_t)w->job.domid, until_ms, &ports, err, sizeof(err)) < 0)
        xha_work_unknown(w, "%s: %s", w->who, err);
    else if (ports)
        xha_work_ok(w, "the network gate of %s is open and taken away (%zu devices)", w->who, ports);
    else
        xha_work_ok(w, "%s has no network gate", w->who);
}

/*
 * gate.c - the verb gate: opens a domain's network gate and takes it away (repl/gate.h), by order, when the process that
 * replicated the domain is no more. That one may have been killed at any moment: the guest is let go on, too.
 */
#include "xhad/xen/domain_config.h"
#include "xhad/xen/replicate_disks.h"
#include "xhad/xen/suspend.h"
#include "xhad/xen/work.h"
#include "xhad/repl/gate.h"

#include <stdio.h>
#include <stdlib.h>

#define REMOVE_MS 10000 /* without a deadline */

/* Whose the domid is by now. A domain that nobody spoke of may have it: its gate is none of ours. */
static enum xha_lx_look look(struct xha_work *w, bool *anothers_r)
{
    enum xha_lx_look result = xha_lx_look(&w->lx, w->job.domid, &w->job.uuid, NULL);

    *anothers_r = result == XHA_LX_GONE && !xha_lx_is_free(&w->lx, w->job.domid);
    return result;
}

/* A guest whose sender was killed stands still, or was told to suspend and has not come to it yet. */
static int let_go_on(struct xha_work *w, int64_t settle_ms)
{
    xha_suspend_end_log((uint32_t)w->job.domid);
    return xha_suspend_undo(w, (uint32_t)w->job.domid, settle_ms);
}

/* Its disks are the disks, now that no backup is to be promoted. */
static void own_disks(struct xha_work *w)
{
    libxl_domain_config config;
    char err[XHA_GATE_TEXT];
    char *json;

    libxl_domain_config_init(&config);
    json = xha_config_of_domain(w, (uint32_t)w->job.domid, &config);
    if (json && xha_disks_end(&config, err, sizeof(err)) < 0)
        xha_work_warn(
            w, "after a loss of this host's power somebody has to say that its copies are the right ones: %s",
            err);
    free(json);
    libxl_domain_config_dispose(&config);
}

void xha_perform_gate(struct xha_work *w)
{
    const int64_t until_ms = w->job.deadline_ms > 0 ? w->until_ms : xha_now_ms() + REMOVE_MS;
    enum xha_lx_look seen;
    char err[XHA_GATE_TEXT];
    bool anothers;
    size_t ports;

    if (w->job.domid <= 0) {
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s has no domain id, and so no gate", w->who);
        return;
    }
    seen = look(w, &anothers);
    if (seen == XHA_LX_SILENT)
        xha_work_refuse(w, XHA_REFUSAL_OTHER,
                        "%s: its gate stays as it is, Xen does not list its domains: %s", w->who,
                        xha_lx_error(&w->lx));
    else if (anothers)
        xha_work_ok(w, "%s is gone with its gate: domain id %d is another domain's", w->who,
                    (int)w->job.domid);
    else if (seen == XHA_LX_THERE && let_go_on(w, 0) < 0)
        xha_work_unknown(w, "%s stands still, and its gate stays as it is: %s", w->who, xha_lx_error(&w->lx));
    else if (xha_gate_remove((uint32_t)w->job.domid, until_ms, &ports, err, sizeof(err)) < 0)
        xha_work_unknown(w, "%s: %s", w->who, err);
    else if (seen == XHA_LX_THERE && let_go_on(w, xha_suspend_settle_ms()) < 0)
        xha_work_unknown(w, "%s has an open gate, but stands still: %s", w->who, xha_lx_error(&w->lx));
    else if (ports)
        xha_work_ok(w, "the network gate of %s is open and taken away (%zu devices)", w->who, ports);
    else
        xha_work_ok(w, "%s has no network gate", w->who);
    if (seen == XHA_LX_THERE)
        own_disks(w);
}

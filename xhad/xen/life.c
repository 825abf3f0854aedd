/*
 * life.c - the verbs start, destroy, shutdown and resume.
 */
#include "xhad/xen/bring_up.h"
#include "xhad/xen/domain_config.h"
#include "xhad/xen/suspend.h"
#include "xhad/xen/work.h"
#include "xhad/repl/gate.h"

#include <stdio.h>
#include <unistd.h>

#define GONE_WAIT_MS 10000 /* for the memory of a destroyed domain to be free */
#define GATE_MS      2000

void xha_perform_start(struct xha_work *w)
{
    libxl_domain_config config;
    uint32_t domid = INVALID_DOMID;
    char err[384];

    libxl_domain_config_init(&config);
    if (xha_config_load(w, w->job.config, &config, err, sizeof(err)) < 0) {
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s: %s", w->who, err);
    } else if (xha_bring_up_prepare(w, &config) == 0) {
        xha_job_progress(STDOUT_FILENO, "building", 0, 1);
        if (libxl_domain_create_new(w->lx.ctx, &config, &domid, NULL, NULL))
            xha_bring_up_failed(w, "started");
        else
            xha_bring_up_finish(w, domid, &config, "started");
    }
    libxl_domain_config_dispose(&config);
}

/* What it held goes with its network devices, unseen; what is left of it in the kernel is tidied away. */
static void drop_gate(struct xha_work *w)
{
    char err[XHA_GATE_TEXT];

    if (w->job.domid > 0 && xha_lx_is_free(&w->lx, w->job.domid) &&
        xha_gate_remove((uint32_t)w->job.domid, xha_now_ms() + GATE_MS, NULL, err, sizeof(err)) < 0)
        xha_work_warn(w, "%s", err);
}

void xha_perform_destroy(struct xha_work *w)
{
    struct xha_lx_found found;
    libxl_dominfo info;
    int r;

    switch (xha_lx_look(&w->lx, w->job.domid, &w->job.uuid, &info)) {
    case XHA_LX_SILENT:
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s: Xen does not list its domains: %s", w->who,
                        xha_lx_error(&w->lx));
        return;
    case XHA_LX_GONE:
        drop_gate(w);
        xha_work_ok(w, "%s was gone already", w->who);
        return;
    case XHA_LX_THERE:
        break;
    }
    if (!info.dying && libxl_domain_destroy(w->lx.ctx, info.domid, NULL) &&
        xha_lx_look(&w->lx, w->job.domid, &w->job.uuid, &info) == XHA_LX_THERE && !info.dying) {
        xha_work_unknown(w, "%s could not be destroyed: %s", w->who, xha_lx_error(&w->lx));
        return;
    }
    r = xha_lx_wait_gone(&w->lx, &w->job.uuid, GONE_WAIT_MS, &found);
    drop_gate(w);
    if (r == 0)
        xha_work_ok(w, "%s was destroyed", w->who);
    else if (xha_lx_look(&w->lx, w->job.domid, &w->job.uuid, &info) == XHA_LX_GONE)
        xha_work_ok(w, "%s was destroyed; domain id %d has its UUID too", w->who, (int)found.domid);
    else
        xha_work_unknown(w, "%s was destroyed, but does not go away: a backend still holds its memory",
                         w->who);
}

void xha_perform_shutdown(struct xha_work *w)
{
    libxl_dominfo info;
    int rc;

    if (xha_work_domain(w, &info) < 0)
        return;
    rc = libxl_domain_shutdown(w->lx.ctx, info.domid, NULL);
    if (rc == ERROR_NOPARAVIRT) /* an HVM guest without Xen's drivers: press its power button */
        rc = libxl_send_trigger(w->lx.ctx, info.domid, LIBXL_TRIGGER_POWER, 0, NULL);
    if (rc)
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s could not be asked to shut down: %s", w->who,
                        xha_lx_error(&w->lx));
    else
        xha_work_ok(w, "%s was asked to shut down", w->who);
}

void xha_perform_resume(struct xha_work *w)
{
    libxl_dominfo info;

    if (xha_work_domain(w, &info) < 0)
        return;
    xha_suspend_end_log(info.domid); /* of a worker that was killed in the middle of a live save */
    if (info.shutdown && info.shutdown_reason == LIBXL_SHUTDOWN_REASON_SUSPEND)
        libxl_domain_resume(w->lx.ctx, info.domid, 1, NULL);
    if (info.paused)
        libxl_domain_unpause(w->lx.ctx, info.domid, NULL);
    if (xha_lx_look(&w->lx, w->job.domid, &w->job.uuid, &info) == XHA_LX_THERE && !info.paused &&
        !info.dying && !(info.shutdown && info.shutdown_reason == LIBXL_SHUTDOWN_REASON_SUSPEND))
        xha_work_ok(w, "%s goes on", w->who);
    else
        xha_work_unknown(w, "%s could not be resumed: %s", w->who, xha_lx_error(&w->lx));
}

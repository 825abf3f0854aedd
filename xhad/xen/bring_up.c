/*
 * bring_up.c - see bring_up.h.
 */
#include "xhad/xen/bring_up.h"
#include "xhad/xen/memory.h"
#include "xhad/xen/sched.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* For the memory of the instance before: a backend may hold some of it for a while. */
#define DYING_WAIT_MS 30000
/* For what we clear ourselves, also when our time is over: xhad kills 5 s after it has told us to stop. */
#define CLEAR_WAIT_MS 3000

/* Not longer than the job's time allows. */
static int64_t within(const struct xha_work *w, int64_t wait_ms)
{
    int64_t left = w->until_ms - xha_now_ms();

    return left / 2 < wait_ms ? left / 2 : wait_ms;
}

int xha_bring_up_prepare(struct xha_work *w, libxl_domain_config *config)
{
    struct xha_lx_found found;
    char err[256];
    int r;

    r = xha_lx_find(&w->lx, &w->job.uuid, &found);
    if (r == 0 && found.alive > 0) {
        xha_work_refuse(w, XHA_REFUSAL_RUNS_ALREADY, "%s is there already, as domain id %d", w->who,
                        (int)found.domid);
        return -1;
    }
    if (r == 0 && found.dying > 0)
        r = xha_lx_wait_gone(&w->lx, &w->job.uuid, within(w, DYING_WAIT_MS), &found);
    if (r < 0) {
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s: Xen does not list its domains: %s", w->who,
                        xha_lx_error(&w->lx));
        return -1;
    }
    if (r > 0) {
        xha_work_refuse(w, found.alive ? XHA_REFUSAL_RUNS_ALREADY : XHA_REFUSAL_OTHER,
                        "%s: domain id %d with its UUID is %s", w->who, (int)found.domid,
                        found.alive ? "there"
                                    : "dying and does not go away: a backend still holds its memory");
        return -1;
    }
    xha_job_progress(STDOUT_FILENO, "host memory", 0, 1);
    r = xha_memory_make_room(w, config, err, sizeof(err));
    if (r < 0) {
        xha_work_refuse(w, XHA_REFUSAL_NO_MEMORY, "%s: %s", w->who, err);
        return -1;
    }
    xha_lx_forget(&w->lx);
    return 0;
}

/* Whatever has the UUID is ours: it was not there when we began. */
static int destroy_all(struct xha_work *w, struct xha_lx_found *found_r)
{
    int64_t wait_ms;

    for (int i = 0; i < 4; i++) {
        if (xha_lx_find(&w->lx, &w->job.uuid, found_r) < 0)
            return -1;
        if (found_r->alive == 0)
            break;
        libxl_domain_destroy(w->lx.ctx, (uint32_t)found_r->domid, NULL);
    }
    wait_ms = within(w, DYING_WAIT_MS);
    return xha_lx_wait_gone(&w->lx, &w->job.uuid, wait_ms > CLEAR_WAIT_MS ? wait_ms : CLEAR_WAIT_MS, found_r);
}

void xha_bring_up_failed(struct xha_work *w, const char *doing)
{
    char why[sizeof(w->lx.error)]; /* clearing may bring other errors */
    struct xha_lx_found found;

    snprintf(why, sizeof(why), "%s",
             xha_now_ms() >= w->until_ms ? "it took longer than it may"
             : xha_work_told_to_stop()   ? "told to stop"
                                         : xha_lx_error(&w->lx));
    if (destroy_all(w, &found) == 0)
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s could not be %s: %s; nothing of it is left", w->who, doing,
                        why);
    else
        xha_work_unknown(w, "%s could not be %s: %s; and what was built of it could not be cleared", w->who,
                         doing, why);
}

void xha_bring_up_finish(struct xha_work *w, uint32_t domid, const libxl_domain_config *config,
                         const char *doing)
{
    char err[256];

    xha_job_progress(STDOUT_FILENO, "scheduling", 0, 1);
    if (xha_sched_apply(w, domid, config, err, sizeof(err)) < 0)
        xha_work_warn(w, "scheduling is not as the policy says: %s", err);
    if (xha_work_told_to_stop()) {
        xha_bring_up_failed(w, doing);
        return;
    }
    xha_lx_forget(&w->lx);
    if (libxl_domain_unpause(w->lx.ctx, domid, NULL)) {
        xha_bring_up_failed(w, "unpaused");
        return;
    }
    xha_job_progress(STDOUT_FILENO, "running", 1, 1);
    w->done.domid = (int32_t)domid;
    xha_work_ok(w, "%s was %s, domain id %" PRIu32, w->who, doing, domid);
}

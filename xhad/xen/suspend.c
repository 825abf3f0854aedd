/*
 * suspend.c - see suspend.h.
 */
#include "xhad/xen/suspend.h"

#include <time.h>
#include <xenctrl.h>

#define TRIES   3
#define POLL_MS 50

#define SETTLE_MS         1000
#define SETTLE_STOPPED_MS 3000 /* xhad kills 5 s after it has told us to stop */

bool xha_suspend_can_live(struct xha_lx *lx, const libxl_dominfo *info)
{
    libxl_physinfo phys;
    bool can;

    libxl_physinfo_init(&phys);
    can = libxl_get_physinfo(lx->ctx, &phys) == 0 &&
          (phys.cap_shadow || (phys.cap_hap && info->domain_type != LIBXL_DOMAIN_TYPE_PV));
    libxl_physinfo_dispose(&phys);
    return can;
}

int64_t xha_suspend_settle_ms(void)
{
    return xha_work_told_to_stop() ? SETTLE_STOPPED_MS : SETTLE_MS;
}

int xha_suspend_undo(struct xha_work *w, uint32_t domid, int64_t settle_ms)
{
    const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
    const int64_t until_ms = xha_now_ms() + settle_ms;
    libxl_dominfo info;
    int tries = 0;

    for (;;) {
        if (xha_lx_look(&w->lx, (int32_t)domid, &w->job.uuid, &info) != XHA_LX_THERE)
            return -1;
        if (info.shutdown && info.shutdown_reason == LIBXL_SHUTDOWN_REASON_SUSPEND) {
            if (tries++ == TRIES)
                return -1;
            libxl_domain_resume(w->lx.ctx, domid, 1, NULL);
        } else if (xha_now_ms() >= until_ms || info.shutdown || info.dying) {
            return 0;
        } else {
            nanosleep(&pause, NULL);
        }
    }
}

void xha_suspend_end_log(uint32_t domid)
{
    xc_interface *xch = xc_interface_open(NULL, NULL, 0);

    if (!xch)
        return;
    xc_shadow_control(xch, domid, XEN_DOMCTL_SHADOW_OP_OFF, NULL, 0);
    xc_interface_close(xch);
}

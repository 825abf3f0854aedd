/*
 * pause.c - see pause.h.
 */
#include "xhad/xen/pause.h"
#include "xhad/xen/lx.h"
#include "xhad/xen/work.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xenctrl.h>
#include <xenguest.h>
#include <xenstore.h>

#define SUSPEND_US   30000000
#define FIRST_US_MAX 200000
#define STEP_US_MIN  100
#define STEP_US_MAX  2000
#define STEPS        64 /* in what the last suspend took, so that the looks cost little and are not late */
#define TRIES        10

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int xha_pauser_open(struct xha_pauser *pauser, uint32_t domid, char *err, size_t err_len)
{
    *pauser = (struct xha_pauser){ .domid = domid };
    snprintf(pauser->key, sizeof(pauser->key), "/local/domain/%" PRIu32 "/control/shutdown", domid);
    pauser->xc = xc_interface_open(NULL, NULL, 0);
    pauser->xs = pauser->xc ? xs_open(0) : NULL;
    if (pauser->xs)
        return 0;
    snprintf(err, err_len, "%s cannot be talked to: %s", pauser->xc ? "xenstored" : "Xen", strerror(errno));
    xha_pauser_close(pauser);
    return -1;
}

void xha_pauser_close(struct xha_pauser *pauser)
{
    if (pauser->xs)
        xs_close(pauser->xs);
    if (pauser->xc)
        xc_interface_close(pauser->xc);
    pauser->xs = pauser->xc = NULL;
}

/* 1: it stands still because it was asked to; 0: it runs; -1: neither. */
static int look(const struct xha_pauser *p, char *err, size_t err_len)
{
    xc_domaininfo_t info;
    unsigned reason;

    if (xc_domain_getinfolist(p->xc, p->domid, 1, &info) != 1 || info.domain != p->domid ||
        (info.flags & XEN_DOMINF_dying)) {
        snprintf(err, err_len, "it is gone");
        return -1;
    }
    if (!(info.flags & XEN_DOMINF_shutdown))
        return 0;
    reason = (info.flags >> XEN_DOMINF_shutdownshift) & XEN_DOMINF_shutdownmask;
    if (reason == LIBXL_SHUTDOWN_REASON_SUSPEND)
        return 1;
    snprintf(err, err_len, "it has %s",
             reason == LIBXL_SHUTDOWN_REASON_POWEROFF ? "shut itself down"
             : reason == LIBXL_SHUTDOWN_REASON_REBOOT ? "ended to boot anew"
             : reason == LIBXL_SHUTDOWN_REASON_CRASH  ? "crashed"
                                                      : "ended");
    return -1;
}

/* It must not suspend any more, unless it has taken the order already. */
static void withdraw(struct xha_pauser *p)
{
    for (int i = 0; i < TRIES; i++) {
        xs_transaction_t t = xs_transaction_start(p->xs);
        unsigned len;
        char *order = t != XBT_NULL ? xs_read(p->xs, t, p->key, &len) : NULL;
        const bool there = order && strcmp(order, "suspend") == 0;

        free(order);
        if (t == XBT_NULL)
            return;
        if (!there || !xs_write(p->xs, t, p->key, "", 0)) {
            xs_transaction_end(p->xs, t, true);
            return;
        }
        if (xs_transaction_end(p->xs, t, false)) {
            p->asked = false;
            return;
        }
    }
}

/* Not yet: half of what is to be expected at first, and then in small steps. */
static void nap(const struct xha_pauser *p, bool first)
{
    const int64_t most_us = first ? FIRST_US_MAX : STEP_US_MAX;
    int64_t us = p->last_us / (first ? 2 : STEPS);

    us = us < STEP_US_MIN ? STEP_US_MIN : us > most_us ? most_us : us;
    nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL);
}

int xha_pauser_suspend(struct xha_pauser *p, char *err, size_t err_len)
{
    const int64_t began_us = now_us();
    int r = look(p, err, err_len);

    if (r == 0 && !xs_write(p->xs, XBT_NULL, p->key, "suspend", strlen("suspend"))) {
        snprintf(err, err_len, "it cannot be asked to suspend: xenstored: %s", strerror(errno));
        r = -1;
    } else if (r == 0) {
        p->asked = true;
    }
    for (bool first = true; r == 0; first = false) {
        nap(p, first);
        r = look(p, err, err_len);
        if (r == 0 && xha_stop_asked(&p->stop)) {
            snprintf(err, err_len, "told to stop");
            r = -1;
        } else if (r == 0 && now_us() - began_us > SUSPEND_US) {
            snprintf(err, err_len, "it does not suspend: its kernel does not answer");
            r = -1;
        }
    }
    if (r < 0) {
        if (p->asked)
            withdraw(p);
        return -1;
    }
    p->asked = false;
    p->last_us = now_us() - began_us;
    return 0;
}

int xha_pauser_resume(struct xha_pauser *p, char *err, size_t err_len)
{
    if (xc_domain_resume(p->xc, p->domid, 1) == 0)
        return 0;
    snprintf(err, err_len, "Xen does not let it run on: %s", strerror(errno));
    return -1;
}

int xha_pauser_resumed(struct xha_pauser *p, char *err, size_t err_len)
{
    if (xs_resume_domain(p->xs, p->domid))
        return 0;
    snprintf(err, err_len, "xenstored does not know that it runs: %s", strerror(errno));
    return -1;
}

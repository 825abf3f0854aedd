/*
 * pause.h - a guest stands still for an epoch, and runs on.
 *
 * What libxl_domain_suspend_only() and libxl_domain_resume() do for a guest without a device model, in fewer steps, because
 * each of them is on the guest's time: one write to xenstore asks it to suspend, then Xen is looked at until it has, where
 * libxl waits for watches by way of xenstored; and it runs on before xenstored hears of it. It can also be given up, when
 * the guest has ended meanwhile or we are told to stop, where libxl waits for a minute.
 *
 * Errors: -1 with a text for people in err.
 */
#ifndef XHA_XEN_PAUSE_H
#define XHA_XEN_PAUSE_H

#include "xhad/move/clock.h"

#include <stddef.h>
#include <stdint.h>

struct xha_pauser {
    uint32_t domid;
    struct xha_stop stop; /* set by the owner: asked while it waits */
    void *xc, *xs;
    char key[64];
    int64_t last_us; /* the last suspend took so long */
    bool asked;      /* the guest may suspend yet */
};

int xha_pauser_open(struct xha_pauser *pauser, uint32_t domid, char *err, size_t err_len);
void xha_pauser_close(struct xha_pauser *pauser);

/* 0: it stands still, for this reason. */
int xha_pauser_suspend(struct xha_pauser *pauser, char *err, size_t err_len);

/* As if the suspend had been cancelled. 0: it runs. */
int xha_pauser_resume(struct xha_pauser *pauser, char *err, size_t err_len);

/* It runs: xenstored is to notice its next end, too. */
int xha_pauser_resumed(struct xha_pauser *pauser, char *err, size_t err_len);

#endif

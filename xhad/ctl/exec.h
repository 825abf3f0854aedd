/*
 * exec.h - carries out a plan of the core, strictly in order, through functions that the caller gives.
 *
 * Records that follow each other are written with one sync, before the next deed. As long as they cannot be
 * written, deeds are not done but refused: intent before deed. Questions, notes and alarms do not wait for
 * the disk.
 */
#ifndef XHA_CTL_EXEC_H
#define XHA_CTL_EXEC_H

#include "xhad/core/core.h"

struct xha_exec_ops {
    void (*persist)(void *user, const struct xha_action *action); /* collect this domain's record */
    void (*forget)(void *user, const struct xha_action *action);
    int (*commit)(void *user); /* write what is collected, if anything is: 0, or -1 */
    void (*note)(void *user, const struct xha_action *action);
    void (*alarm)(void *user, const struct xha_action *action);
    void (*deed)(void *user, const struct xha_action *action);
    void (*refuse)(void *user, const struct xha_action *action); /* a deed whose intent could not be stored */
    void (*ask)(void *user, const struct xha_action *action);    /* PROBE, LOOK */
};

void xha_exec_plan(const struct xha_plan *plan, const struct xha_exec_ops *ops, void *user);

#endif

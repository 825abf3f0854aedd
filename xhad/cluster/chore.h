/*
 * chore.h - a call that may block for long, or for ever, made on a thread of its own.
 *
 * libuv's pool would be waited for at the end of the program; a chore that hangs is simply left behind.
 */
#ifndef XHA_CLUSTER_CHORE_H
#define XHA_CLUSTER_CHORE_H

#include <uv.h>

struct xha_chore;

struct xha_chore_ops {
    void (*run)(void *work);             /* on the thread, with signals blocked */
    void (*done)(void *arg, void *work); /* on the loop; work is the callee's now */
    void (*drop)(void *work); /* instead of done(), after run(), when it was abandoned; on any thread */
};

/* 0 and *chore_r, valid until done() or _abandon(); or a negative errno, and work is the caller's as before. */
int xha_chore_start(uv_loop_t *loop, const struct xha_chore_ops *ops, void *arg, void *work,
                    struct xha_chore **chore_r);

/* Nobody waits for it any more. NULL is nothing. */
void xha_chore_abandon(struct xha_chore *chore);

#endif

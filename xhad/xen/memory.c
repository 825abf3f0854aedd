/*
 * memory.c - see memory.h.
 */
#include "xhad/xen/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TRIES  3
#define WAIT_S 10

bool xha_memory_dom0_fixed(const char *commandline)
{
    static const char word[] = "dom0_mem=";

    for (const char *p = commandline; (p = strstr(p, word)) != NULL; p += sizeof(word) - 1)
        if (p == commandline || p[-1] == ' ')
            return true;
    return false;
}

/* Asks dom0 to give up what is missing, and waits for it. */
static void balloon_dom0(libxl_ctx *ctx, uint64_t missing_kib, uint64_t need_kib)
{
    if (libxl_set_memory_target(ctx, 0, -(int64_t)missing_kib, 1, 0))
        return;
    if (libxl_wait_for_free_memory(ctx, 0, need_kib, WAIT_S))
        libxl_wait_for_memory_target(ctx, 0, WAIT_S);
}

int xha_memory_make_room(struct xha_work *w, libxl_domain_config *config, char *err, size_t err_len)
{
    const libxl_version_info *version = libxl_get_version_info(w->lx.ctx);
    bool fixed = !version || !version->commandline || xha_memory_dom0_fixed(version->commandline);
    uint64_t need_kib = 0, free_kib = 0;

    xha_lx_forget(&w->lx);
    if (libxl_domain_need_memory(w->lx.ctx, config, INVALID_DOMID, &need_kib)) {
        snprintf(err, err_len, "libxl cannot tell how much memory it needs: %s", xha_lx_error(&w->lx));
        return -1;
    }
    for (int i = 0; i < TRIES; i++) {
        if (libxl_get_free_memory(w->lx.ctx, &free_kib)) {
            snprintf(err, err_len, "Xen does not say how much memory is free: %s", xha_lx_error(&w->lx));
            return -1;
        }
        if (free_kib >= need_kib)
            return 0;
        if (fixed)
            break;
        balloon_dom0(w->lx.ctx, need_kib - free_kib, need_kib);
    }
    snprintf(err, err_len, "it needs %" PRIu64 " MiB and %" PRIu64 " MiB are free%s",
             (need_kib + 1023) / 1024, free_kib / 1024,
             fixed ? "; dom0's size is fixed by dom0_mem=" : "; dom0 gives no more");
    return -1;
}

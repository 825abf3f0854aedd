/*
 * lx.h - libxl as the worker uses it: one context, its errors kept for the answer, its progress passed on,
 * and the few questions that every verb asks.
 */
#ifndef XHA_XEN_LX_H
#define XHA_XEN_LX_H

#ifndef LIBXL_API_VERSION
#define LIBXL_API_VERSION 0x041400
#endif
#include <libxl.h>
#include <libxl_utils.h>
#include "xhad/core/core.h"

struct xha_lx {
    xentoollog_logger log; /* first: libxl hands it back */
    libxl_ctx *ctx;        /* NULL: not open */
    char error[256];       /* the first error since xha_lx_forget(), escaped for printing */
    bool disaster;         /* libxl said that it cannot go on */
    int64_t progress_ms;   /* when progress was last told */
    bool quiet;            /* progress is told by somebody who knows more */
};

/* 0, or -1 with a text in xha_lx_error(). The struct must not move while it is open. */
int xha_lx_open(struct xha_lx *lx);
void xha_lx_close(struct xha_lx *lx); /* also for one that was never opened */

/* What libxl said first went wrong, for people; never empty. */
const char *xha_lx_error(const struct xha_lx *lx);
void xha_lx_forget(struct xha_lx *lx);

enum xha_lx_look {
    XHA_LX_THERE,  /* that domid has that UUID (it may be dying: see info) */
    XHA_LX_GONE,   /* it has not, or there is no such domid */
    XHA_LX_SILENT, /* Xen did not answer */
};

/* info_r may be NULL. */
enum xha_lx_look xha_lx_look(struct xha_lx *lx, int32_t domid, const struct xha_uuid *uuid,
                             libxl_dominfo *info_r);

/* Whether nothing that Xen lists has this domid; false also when Xen did not answer. */
bool xha_lx_is_free(struct xha_lx *lx, int32_t domid);

/* All domains with a UUID. */
struct xha_lx_found {
    uint32_t alive, dying;
    int32_t domid; /* of one that is alive, else of one that is dying, else XHA_DOMID_NONE */
};

/* 0, or -1 when Xen did not answer. */
int xha_lx_find(struct xha_lx *lx, const struct xha_uuid *uuid, struct xha_lx_found *found_r);

/*
 * Waits until no domain with the UUID is there, dying ones included, at most wait_ms. 0: gone; 1: still
 * there; -1: Xen did not answer.
 */
int xha_lx_wait_gone(struct xha_lx *lx, const struct xha_uuid *uuid, int64_t wait_ms,
                     struct xha_lx_found *found_r);

/* The same bytes, two types. */
void xha_uuid_of_libxl(const libxl_uuid *from, struct xha_uuid *uuid_r);

#endif

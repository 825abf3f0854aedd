/*
 * lx.c - see lx.h.
 */
#include "xhad/xen/lx.h"
#include "xhad/xen/work.h"
#include "xhad/base/text.h"

#include <errno.h>
#include <libxl_event.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PROGRESS_GAP_MS 500
#define POLL_MS         50

/* ---- what libxl says ---- */

/* libxl puts "file.c:123:function: " before its words; that is for its log, not for people. */
static const char *without_place(const char *text)
{
    const char *dot = strstr(text, ".c:");
    const char *end = dot ? strstr(dot, ": ") : NULL;

    return dot && end && strcspn(text, " ") > (size_t)(dot - text) && strcspn(dot, " ") > (size_t)(end - dot)
               ? end + 2
               : text;
}

static void on_message(xentoollog_logger *logger, xentoollog_level level, int errnoval, const char *context,
                       const char *format, va_list args) __attribute__((format(printf, 5, 0)));

static void on_message(xentoollog_logger *logger, xentoollog_level level, int errnoval, const char *context,
                       const char *format, va_list args)
{
    struct xha_lx *lx = (struct xha_lx *)logger;
    char text[512];
    size_t used;

    if (level < XTL_WARN)
        return;
    vsnprintf(text, sizeof(text), format, args);
    used = strlen(text);
    if (errnoval >= 0)
        snprintf(text + used, sizeof(text) - used, ": %s", strerror(errnoval));
    fprintf(stderr, "%s: %s: %s\n", context ? context : "xen", xtl_level_to_string(level), text);
    if (level >= XTL_ERROR && lx->error[0] == '\0')
        xha_text_escape(lx->error, sizeof(lx->error), without_place(text));
}

static void on_progress(xentoollog_logger *logger, const char *context, const char *doing_what, int percent,
                        unsigned long done, unsigned long total)
{
    struct xha_lx *lx = (struct xha_lx *)logger;
    int64_t now = xha_now_ms();

    (void)context;
    (void)doing_what;
    (void)percent;
    if (lx->quiet || (now - lx->progress_ms < PROGRESS_GAP_MS && done != total))
        return;
    lx->progress_ms = now;
    xha_job_progress(STDOUT_FILENO, "memory", done, total);
}

static void on_destroy(xentoollog_logger *logger)
{
    (void)logger;
}

/* Without this callback libxl would end the process on its own. */
static void on_disaster(void *user, libxl_event_type type, const char *msg, int errnoval)
{
    struct xha_lx *lx = user;

    (void)type;
    fprintf(stderr, "libxl: cannot go on: %s: %s\n", msg, strerror(errnoval));
    lx->disaster = true;
}

int xha_lx_open(struct xha_lx *lx)
{
    static const libxl_childproc_hooks children = { .chldowner =
                                                        libxl_sigchld_owner_libxl_always_selective_reap };
    static const libxl_event_hooks events = { .disaster = on_disaster };
    libxl_ctx *ctx = NULL;

    lx->log = (xentoollog_logger){ .vmessage = on_message, .progress = on_progress, .destroy = on_destroy };
    if (libxl_ctx_alloc(&ctx, LIBXL_VERSION, 0, &lx->log))
        return -1;
    lx->ctx = ctx;
    libxl_childproc_setmode(ctx, &children, NULL);
    libxl_event_register_callbacks(ctx, &events, lx);
    return 0;
}

void xha_lx_close(struct xha_lx *lx)
{
    if (lx->ctx)
        libxl_ctx_free(lx->ctx);
    lx->ctx = NULL;
}

const char *xha_lx_error(const struct xha_lx *lx)
{
    return lx->error[0] != '\0' ? lx->error : "libxl gave no reason";
}

void xha_lx_forget(struct xha_lx *lx)
{
    lx->error[0] = '\0';
}

/* ---- questions ---- */

void xha_uuid_of_libxl(const libxl_uuid *from, struct xha_uuid *uuid_r)
{
    memcpy(uuid_r->b, libxl_uuid_bytearray_const(from), sizeof(uuid_r->b));
}

static bool is(const libxl_dominfo *info, const struct xha_uuid *uuid)
{
    return memcmp(libxl_uuid_bytearray_const(&info->uuid), uuid->b, sizeof(uuid->b)) == 0;
}

/* One listing; both questions are asked of it, because libxl does not tell "no such domain" from "Xen is
 * silent". */
enum xha_lx_look xha_lx_look(struct xha_lx *lx, int32_t domid, const struct xha_uuid *uuid,
                             libxl_dominfo *info_r)
{
    enum xha_lx_look result = XHA_LX_GONE;
    int n = 0;
    libxl_dominfo *list = libxl_list_domain(lx->ctx, &n);

    if (!list)
        return XHA_LX_SILENT;
    for (int i = 0; i < n; i++)
        if (domid > 0 && list[i].domid == (uint32_t)domid && is(&list[i], uuid)) {
            result = XHA_LX_THERE;
            if (info_r) {
                *info_r = list[i];
                info_r->ssid_label = NULL; /* belongs to the list */
            }
        }
    libxl_dominfo_list_free(list, n);
    return result;
}

bool xha_lx_is_free(struct xha_lx *lx, int32_t domid)
{
    int n = 0;
    libxl_dominfo *list = libxl_list_domain(lx->ctx, &n);
    bool is_free = list != NULL;

    for (int i = 0; list && i < n; i++)
        is_free = is_free && list[i].domid != (uint32_t)domid;
    libxl_dominfo_list_free(list, n);
    return is_free;
}

int xha_lx_find(struct xha_lx *lx, const struct xha_uuid *uuid, struct xha_lx_found *found_r)
{
    struct xha_lx_found found = { .domid = XHA_DOMID_NONE };
    int n = 0;
    libxl_dominfo *list = libxl_list_domain(lx->ctx, &n);

    if (!list)
        return -1;
    for (int i = 0; i < n; i++) {
        if (!is(&list[i], uuid))
            continue;
        if (!list[i].dying || found.alive == 0)
            found.domid = (int32_t)list[i].domid;
        found.alive += !list[i].dying;
        found.dying += list[i].dying;
    }
    libxl_dominfo_list_free(list, n);
    *found_r = found;
    return 0;
}

int xha_lx_wait_gone(struct xha_lx *lx, const struct xha_uuid *uuid, int64_t wait_ms,
                     struct xha_lx_found *found_r)
{
    const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
    int64_t until = xha_now_ms() + wait_ms;
    bool cleaning_up = xha_work_told_to_stop(); /* then the time given is meant for that */

    for (;;) {
        if (xha_lx_find(lx, uuid, found_r) < 0)
            return -1;
        if (found_r->alive + found_r->dying == 0)
            return 0;
        if (xha_now_ms() >= until || (!cleaning_up && xha_work_told_to_stop()))
            return 1;
        nanosleep(&pause, NULL);
    }
}

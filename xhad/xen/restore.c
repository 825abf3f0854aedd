/*
 * restore.c - the verbs restore and checkpoints.
 *
 * A checkpoint is believed only after its whole file has been read and its checksum found right; a damaged
 * one is passed over for the next older one, counted and named.
 */
#include "xhad/xen/bring_up.h"
#include "xhad/xen/checkpoints.h"
#include "xhad/xen/disks.h"
#include "xhad/xen/domain_config.h"
#include "xhad/xen/loader.h"
#include "xhad/xen/work.h"
#include "xhad/base/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct source {
    const struct xha_ckpt *ckpt;
    struct xha_loader *loader;
    libxl_domain_config config;
    char what[128]; /* "checkpoint 7" */
};

/* ---- choosing ---- */

/* Opens one; 0, or -1 with a text in err: it is no good. */
static int open_ckpt(struct xha_work *w, const struct xha_ckpt *ckpt, struct source *src, char *err,
                     size_t err_len)
{
    char path[PATH_MAX], why[256];

    xha_job_progress(STDOUT_FILENO, "verifying", 0, 1);
    if (xha_ckpt_verify(w->job.checkpoint.dir, ckpt, err, err_len) < 0)
        return -1;
    if (xha_ckpt_file(w->job.checkpoint.dir, ckpt, path, sizeof(path)) == 0 &&
        xha_loader_open(path, &src->loader, why, sizeof(why)) == 0 &&
        xha_config_from_json(w, "it", xha_loader_config(src->loader), &src->config, why, sizeof(why)) == 0) {
        src->ckpt = ckpt;
        snprintf(src->what, sizeof(src->what), "checkpoint %" PRIu64, ckpt->number);
        return 0;
    }
    snprintf(err, err_len, "%" PRIu64 ": %s", ckpt->number, why);
    return -1;
}

static void close_source(struct source *src)
{
    char ignored[64];

    xha_loader_close(src->loader, ignored, sizeof(ignored));
    src->loader = NULL;
    libxl_domain_config_dispose(&src->config);
}

/* The newest good one, or the one with the number. 0, or -1 after answering. */
static int choose(struct xha_work *w, const struct xha_ckpt *list, size_t n, struct source *src)
{
    const uint64_t number = w->job.checkpoint.number;
    char err[320] = "";
    bool found = false;

    for (size_t i = 0; i < n; i++) {
        if (number != 0 && list[i].number != number)
            continue;
        found = true;
        libxl_domain_config_init(&src->config);
        if (open_ckpt(w, &list[i], src, err, sizeof(err)) == 0)
            return 0;
        close_source(src);
        w->done.skipped++;
        xha_work_warn(w, "damaged checkpoint passed over: %s", err);
    }
    if (number != 0 && !found)
        xha_work_refuse(w, XHA_REFUSAL_NO_CHECKPOINT,
                        "%s has no checkpoint %" PRIu64 " (see xl-ha checkpoints)", w->who, number);
    else
        xha_work_refuse(w, XHA_REFUSAL_NO_CHECKPOINT, "%s has no %scheckpoint", w->who, found ? "good " : "");
    return -1;
}

/* ---- restoring ---- */

/* The disks must be as old as the memory. 0, or -1 after answering. */
static int settle_disks(struct xha_work *w, const struct source *src)
{
    const struct xha_job_checkpoint *job = &w->job.checkpoint;
    char err[384];

    if (src->ckpt->imported && job->number != 0) /* somebody chose this file, and answers for its disks */
        return 0;
    switch (xha_disks_judge(&src->config, job->disks, job->snapshot_command, err, sizeof(err))) {
    case XHA_DISKS_FREE:
        return 0;
    case XHA_DISKS_REFUSE:
        xha_work_refuse(w, XHA_REFUSAL_UNSUPPORTED, "%s is not restored from %s: %s", w->who, src->what, err);
        return -1;
    case XHA_DISKS_SNAPSHOT:
        break;
    }
    if (!src->ckpt->snapshot) {
        xha_work_refuse(w, XHA_REFUSAL_UNSUPPORTED,
                        "%s is not restored from %s: no snapshot of its disks was taken then", w->who,
                        src->what);
        return -1;
    }
    if (xha_disks_run(w, &src->config, "restore", src->ckpt->number, err, sizeof(err)) == 0)
        return 0;
    xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s is not restored from %s: %s", w->who, src->what, err);
    return -1;
}

static void restore(struct xha_work *w, struct source *src)
{
    libxl_domain_restore_params params;
    uint32_t domid = INVALID_DOMID;
    char text[192], damage[128];
    int fd = xha_loader_stream(src->loader), rc;

    if (fd < 0) {
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s: %s cannot be read: %s", w->who, src->what,
                        strerror(errno));
        return;
    }
    libxl_domain_restore_params_init(&params);
    params.stream_version = 2;
    rc = libxl_domain_create_restore(w->lx.ctx, &src->config, &domid, fd, -1, &params, NULL, NULL);
    libxl_domain_restore_params_dispose(&params);
    if (xha_loader_close(xha_steal_ptr(src->loader), damage, sizeof(damage)) < 0)
        xha_work_warn(w, "%s: %s", src->what, damage);
    snprintf(text, sizeof(text), "restored from %s", src->what);
    if (rc)
        xha_bring_up_failed(w, text);
    else
        xha_bring_up_finish(w, domid, &src->config, text);
}

void xha_perform_restore(struct xha_work *w)
{
    XHA_CLEANUP_FREE struct xha_ckpt *list = NULL;
    struct source src = { .ckpt = NULL };
    size_t n = 0;

    if (xha_ckpt_list(w->job.checkpoint.dir, &list, &n) < 0) {
        xha_work_refuse(w, XHA_REFUSAL_NO_CHECKPOINT, "%s: %s cannot be read: %s", w->who,
                        w->job.checkpoint.dir, strerror(errno));
        return;
    }
    if (choose(w, list, n, &src) < 0)
        return;
    if (xha_bring_up_prepare(w, &src.config) == 0 && settle_disks(w, &src) == 0)
        restore(w, &src);
    close_source(&src);
}

/* ---- listing ---- */

void xha_perform_checkpoints(struct xha_work *w)
{
    XHA_CLEANUP_FREE struct xha_ckpt *list = NULL;
    char err[256];
    size_t n, good = 0;

    if (xha_ckpt_list(w->job.checkpoint.dir, &list, &n) < 0) {
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s cannot be read: %s", w->job.checkpoint.dir,
                        strerror(errno));
        return;
    }
    w->done.data = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *one = list[i].torn ? json_pack("{s:I}", "number", (json_int_t)list[i].number)
                                   : xha_ckpt_to_json(&list[i]);
        bool is_good = xha_ckpt_verify(w->job.checkpoint.dir, &list[i], err, sizeof(err)) == 0;

        xha_job_progress(STDOUT_FILENO, "verifying", i + 1, n);
        good += is_good;
        json_object_set_new(one, "good", json_boolean(is_good));
        if (!is_good)
            json_object_set_new(one, "damage", json_string(err));
        json_array_append_new(w->done.data, one);
    }
    xha_work_ok(w, "%s: %zu checkpoints, %zu of them good", w->who, n, good);
}

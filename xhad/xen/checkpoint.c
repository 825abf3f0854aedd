/*
 * checkpoint.c - the verb checkpoint: save a domain to a file and let it run on.
 *
 * The order is what keeps the guest's pause short and the files whole: libxl's stream goes into memory; when
 * libxl is done, the guest stands still: the snapshot command runs, the guest runs on; then the rest is
 * packed, written and synced, the file renamed, and the manifest put in place last. Whatever fails, the guest
 * runs on.
 */
#include "xhad/xen/checkpoints.h"
#include "xhad/xen/disks.h"
#include "xhad/xen/domain_config.h"
#include "xhad/xen/save_header.h"
#include "xhad/xen/saver.h"
#include "xhad/xen/suspend.h"
#include "xhad/xen/work.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xenctrl.h>

#define MEMORY_MIN (8u << 20) /* bytes held between libxl and the disk */
#define MEMORY_MAX (512u << 20)

struct save {
    struct xha_work *w;
    uint32_t domid;
    struct xha_ckpt ckpt;
    enum xha_disks_rule disks;
    libxl_domain_config config;
    uint8_t *head;
    size_t head_len;
    char tmp[PATH_MAX], path[PATH_MAX];
    int fd;
    char err[384]; /* what went wrong; "" for nothing */

    /* the drainer's own, until it has ended */
    xc_interface *xch;
    int64_t stopped_ms; /* when the guest was first seen standing still; 0: not yet */
};

/* ---- the pause ---- */

/* libxl does not say when it suspends the guest; so it is looked at, from the thread that drains the stream.
 */
static void look_for_pause(void *arg)
{
    struct save *s = arg;
    xc_domaininfo_t d;

    if (s->stopped_ms == 0 && s->xch && xc_domain_getinfolist(s->xch, s->domid, 1, &d) == 1 &&
        d.domain == s->domid && (d.flags & XEN_DOMINF_shutdown))
        s->stopped_ms = xha_now_ms();
}

/* ---- before ---- */

static uint64_t memory_limit(void)
{
    XHA_CLEANUP_FCLOSE FILE *f = fopen("/proc/meminfo", "re");
    char line[128];
    uint64_t kib = 0, bytes;

    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1)
            break;
    bytes = kib * 1024 / 4;
    return bytes < MEMORY_MIN ? MEMORY_MIN : bytes > MEMORY_MAX ? MEMORY_MAX : bytes;
}

static int describe(struct save *s, const libxl_dominfo *info)
{
    const libxl_version_info *xen = libxl_get_version_info(s->w->lx.ctx);
    XHA_CLEANUP_FREE char *json = xha_config_of_domain(s->w, s->domid, &s->config);

    if (!json || xha_save_header_make(json, &s->head, &s->head_len) < 0) {
        snprintf(s->err, sizeof(s->err), "its configuration cannot be had from libxl: %s",
                 xha_lx_error(&s->w->lx));
        return -1;
    }
    s->ckpt.uuid = s->w->job.uuid;
    s->ckpt.live = xha_suspend_can_live(&s->w->lx, info);
    s->ckpt.zstd = strcmp(s->w->job.checkpoint.compress, "zstd") == 0;
    snprintf(s->ckpt.name, sizeof(s->ckpt.name), "%s", s->config.c_info.name ? s->config.c_info.name : "");
    if (xen)
        snprintf(s->ckpt.xen_version, sizeof(s->ckpt.xen_version), "%d.%d%s", xen->xen_version_major,
                 xen->xen_version_minor, xen->xen_version_extra);
    xha_ckpt_sum_bytes(json, strlen(json), s->ckpt.config_sum);
    return 0;
}

static int open_file(struct save *s)
{
    const char *dir = s->w->job.checkpoint.dir;

    if (xha_mkdir_p(dir, 0700) < 0) {
        snprintf(s->err, sizeof(s->err), "%.200s cannot be made: %s", dir, strerror(errno));
        return -1;
    }
    s->ckpt.number = xha_ckpt_clean(dir) + 1;
    if (xha_ckpt_file(dir, &s->ckpt, s->path, sizeof(s->path)) < 0 ||
        (size_t)snprintf(s->tmp, sizeof(s->tmp), "%s.tmp", s->path) >= sizeof(s->tmp)) {
        snprintf(s->err, sizeof(s->err), "the path %.200s is too long", dir);
        return -1;
    }
    s->fd = open(s->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->fd < 0)
        snprintf(s->err, sizeof(s->err), "%.200s cannot be made: %s", s->tmp, strerror(errno));
    return s->fd < 0 ? -1 : 0;
}

/* Everything that can be refused while the guest still runs untouched. */
static int prepare(struct save *s)
{
    const struct xha_job_checkpoint *job = &s->w->job.checkpoint;
    libxl_dominfo info;

    if (xha_work_domain(s->w, &info) < 0)
        return -1;
    s->domid = info.domid;
    if (info.dying || info.shutdown || info.paused) {
        xha_work_refuse(s->w, XHA_REFUSAL_OTHER, "%s cannot be saved: it is %s", s->w->who,
                        info.dying      ? "being destroyed"
                        : info.shutdown ? "shut down"
                                        : "paused");
        return -1;
    }
    if (describe(s, &info) < 0) {
        xha_work_refuse(s->w, XHA_REFUSAL_OTHER, "%s cannot be saved: %s", s->w->who, s->err);
        return -1;
    }
    s->disks = xha_disks_judge(&s->config, job->disks, job->snapshot_command, s->err, sizeof(s->err));
    if (s->disks == XHA_DISKS_REFUSE) {
        xha_work_refuse(s->w, XHA_REFUSAL_UNSUPPORTED, "%s is not checkpointed: %s", s->w->who, s->err);
        return -1;
    }
    if (open_file(s) < 0) {
        xha_work_refuse(s->w, XHA_REFUSAL_OTHER, "%s cannot be saved: %s", s->w->who, s->err);
        return -1;
    }
    return 0;
}

/* ---- the save itself ---- */

static void save_and_let_run(struct save *s, int stream_fd)
{
    struct xha_work *w = s->w;

    xha_lx_forget(&w->lx);
    if (libxl_domain_suspend(w->lx.ctx, s->domid, stream_fd, s->ckpt.live ? LIBXL_SUSPEND_LIVE : 0, NULL)) {
        snprintf(s->err, sizeof(s->err), "%s", xha_lx_error(&w->lx));
    } else if (s->disks == XHA_DISKS_SNAPSHOT) {
        s->ckpt.snapshot = true; /* also when it fails: it may have made half of one */
        xha_disks_run(w, &s->config, "snapshot", s->ckpt.number, s->err, sizeof(s->err));
    }
}

/* 0: the guest runs on, and the file is whole if err is empty; -1: the guest stands still. */
static int save(struct save *s)
{
    const struct xha_saver_plan plan = {
        .file_fd = s->fd,
        .head = s->head,
        .head_len = s->head_len,
        .zstd = s->ckpt.zstd,
        .level = s->w->job.checkpoint.level,
        .memory_limit = memory_limit(),
        .tick = look_for_pause,
        .tick_arg = s,
    };
    struct xha_saver *saver;
    struct xha_saved saved;
    int64_t running_ms;
    int stream_fd, rc;

    if (xha_saver_start(&plan, &saver, &stream_fd) < 0) {
        snprintf(s->err, sizeof(s->err), "%s", strerror(errno));
        return 0;
    }
    save_and_let_run(s, stream_fd);
    rc = xha_suspend_undo(s->w, s->domid, 0);
    running_ms = xha_now_ms();
    xha_job_progress(STDOUT_FILENO, "disk", 0, 1);
    xha_saver_finish(saver, &saved);
    s->ckpt.pause_ms = s->stopped_ms > 0 ? running_ms - s->stopped_ms : 0;
    s->ckpt.bytes = saved.file_bytes;
    s->ckpt.stream_bytes = saved.stream_bytes;
    memcpy(s->ckpt.sum, saved.sum, sizeof(s->ckpt.sum));
    if (s->err[0] == '\0' && saved.error)
        snprintf(s->err, sizeof(s->err), "%.200s cannot be written: %s", s->tmp, strerror(saved.error));
    if (xha_work_told_to_stop()) /* whatever libxl says, this is why */
        snprintf(s->err, sizeof(s->err), "it took longer than it may");
    return rc;
}

/* ---- after ---- */

static int commit(struct save *s)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    s->ckpt.time_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    if (rename(s->tmp, s->path) == 0 && xha_sync_dir_of(s->path) == 0 &&
        xha_ckpt_commit(s->w->job.checkpoint.dir, &s->ckpt) == 0)
        return 0;
    snprintf(s->err, sizeof(s->err), "%.200s cannot be put in place: %s", s->path, strerror(errno));
    return -1;
}

static void drop_snapshot(struct save *s, const struct xha_ckpt *ckpt)
{
    char err[256];

    if (ckpt->snapshot && s->w->job.checkpoint.snapshot_command[0] != '\0' &&
        xha_disks_run(s->w, &s->config, "remove", ckpt->number, err, sizeof(err)) < 0)
        xha_work_warn(s->w, "the disk snapshot of checkpoint %" PRIu64 " is left: %s", ckpt->number, err);
}

static void drop_old(struct save *s)
{
    const struct xha_job_checkpoint *job = &s->w->job.checkpoint;
    XHA_CLEANUP_FREE struct xha_ckpt *list = NULL;
    XHA_CLEANUP_FREE bool *drop = NULL;
    size_t n;

    if (xha_ckpt_list(job->dir, &list, &n) == 0)
        drop = calloc(n + 1, sizeof(*drop));
    if (!drop) {
        xha_work_warn(s->w, "old checkpoints stay: %s", strerror(errno));
        return;
    }
    xha_ckpt_choose(list, n, job->keep, job->keep_age_s, s->ckpt.time_ms, drop);
    for (size_t i = 0; i < n; i++) {
        if (!drop[i])
            continue;
        if (xha_ckpt_remove(job->dir, &list[i]) < 0)
            xha_work_warn(s->w, "checkpoint %" PRIu64 " cannot be removed: %s", list[i].number,
                          strerror(errno));
        else
            drop_snapshot(s, &list[i]);
    }
}

static void answer_saved(struct save *s)
{
    xha_work_ok(s->w,
                "%s: checkpoint %" PRIu64 ", %" PRIu64 " KiB, the guest stood still for %" PRId64 " ms%s",
                s->w->who, s->ckpt.number, s->ckpt.bytes / 1024, s->ckpt.pause_ms,
                s->ckpt.live ? "" : " (this Xen cannot save this kind of guest while it runs)");
    s->w->done.data = xha_ckpt_to_json(&s->ckpt);
}

static void finish(struct save *s, int guest_rc)
{
    if (s->err[0] == '\0' && commit(s) == 0) {
        drop_old(s);
        answer_saved(s);
    } else {
        unlink(s->tmp);
        unlink(s->path); /* its manifest is not there */
        drop_snapshot(s, &s->ckpt);
    }
    if (guest_rc < 0)
        xha_work_unknown(s->w, "%s stands still after checkpoint %" PRIu64 " and could not be resumed: %s",
                         s->w->who, s->ckpt.number, xha_lx_error(&s->w->lx));
    else if (s->err[0] != '\0')
        xha_work_refuse(s->w, XHA_REFUSAL_OTHER, "%s could not be saved and runs on: %s", s->w->who, s->err);
}

void xha_perform_checkpoint(struct xha_work *w)
{
    struct save s = { .w = w, .fd = -1 };

    libxl_domain_config_init(&s.config);
    if (prepare(&s) == 0) {
        s.xch = xc_interface_open(NULL, NULL, 0);
        finish(&s, save(&s));
        if (s.xch)
            xc_interface_close(s.xch);
    }
    if (s.fd >= 0)
        close(s.fd);
    free(s.head);
    libxl_domain_config_dispose(&s.config);
}

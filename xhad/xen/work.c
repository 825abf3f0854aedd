/*
 * work.c - a worker's frame: read the job, take the locks, do it, leave the answer, go.
 */
#include "xhad/xen/work.h"
#include "xhad/base/uuid.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t told_to_stop;

static void on_sigterm(int sig)
{
    (void)sig;
    told_to_stop = 1;
}

bool xha_work_told_to_stop(void)
{
    return told_to_stop;
}

void xha_work_heed_sigterm(void)
{
    sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_sigterm }, NULL);
}

bool xha_work_stop(void *arg)
{
    const struct xha_work *w = arg;

    return told_to_stop || xha_now_ms() >= w->until_ms;
}

int64_t xha_now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- answers ---- */

static void answer(struct xha_work *w, enum xha_result result, enum xha_refusal refusal, const char *format,
                   va_list args) __attribute__((format(printf, 4, 0)));

static void answer(struct xha_work *w, enum xha_result result, enum xha_refusal refusal, const char *format,
                   va_list args)
{
    char *to = w->done.message;
    size_t room = sizeof(w->done.message), used;

    w->done.result = result;
    w->done.refusal = refusal;
    if (result != XHA_OK)
        w->done.domid = XHA_DOMID_NONE;
    vsnprintf(to, room, format, args);
    used = strlen(to);
    if (w->warning[0] != '\0' && used + 3 < room)
        snprintf(to + used, room - used, "; %s", w->warning);
}

void xha_work_ok(struct xha_work *w, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    answer(w, XHA_OK, XHA_REFUSAL_OTHER, format, args);
    va_end(args);
}

void xha_work_refuse(struct xha_work *w, enum xha_refusal refusal, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    answer(w, XHA_REFUSED, refusal, format, args);
    va_end(args);
}

void xha_work_unknown(struct xha_work *w, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    answer(w, XHA_UNKNOWN, XHA_REFUSAL_OTHER, format, args);
    va_end(args);
}

void xha_work_warn(struct xha_work *w, const char *format, ...)
{
    char text[sizeof(w->warning)];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fprintf(stderr, "warning: %s\n", text);
    if (w->warning[0] == '\0')
        memcpy(w->warning, text, sizeof(text));
}

int xha_work_domain(struct xha_work *w, libxl_dominfo *info_r)
{
    switch (xha_lx_look(&w->lx, w->job.domid, &w->job.uuid, info_r)) {
    case XHA_LX_THERE:
        return 0;
    case XHA_LX_GONE:
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s is not there: domain id %d is free or another domain's",
                        w->who, (int)w->job.domid);
        return -1;
    default:
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s: Xen does not list its domains: %s", w->who,
                        xha_lx_error(&w->lx));
        return -1;
    }
}

/* ---- the frame ---- */

static const struct verb {
    void (*run)(struct xha_work *w);
    bool without_xen; /* works where no Xen runs: it opens libxl itself, when it wants it */
} verbs[XHA_VERB_N_] = {
    [XHA_VERB_START] = { .run = xha_perform_start },
    [XHA_VERB_RESTORE] = { .run = xha_perform_restore },
    [XHA_VERB_DESTROY] = { .run = xha_perform_destroy },
    [XHA_VERB_SHUTDOWN] = { .run = xha_perform_shutdown },
    [XHA_VERB_CHECKPOINT] = { .run = xha_perform_checkpoint },
    [XHA_VERB_RESUME] = { .run = xha_perform_resume },
    [XHA_VERB_SCHED] = { .run = xha_perform_sched },
    [XHA_VERB_GATE] = { .run = xha_perform_gate },
    [XHA_VERB_IMPORT] = { .run = xha_perform_import, .without_xen = true },
    [XHA_VERB_PARSE] = { .run = xha_perform_parse, .without_xen = true },
    [XHA_VERB_DESCRIBE] = { .run = xha_perform_describe },
    [XHA_VERB_CHECKPOINTS] = { .run = xha_perform_checkpoints, .without_xen = true },
    [XHA_VERB_MONITOR] = { .run = xha_perform_monitor, .without_xen = true },
    [XHA_VERB_MIGRATE] = { .run = xha_perform_migrate },
    [XHA_VERB_RECEIVE] = { .run = xha_perform_receive },
    [XHA_VERB_SEND_DISKS] = { .run = xha_perform_send_disks },
    [XHA_VERB_RECEIVE_DISKS] = { .run = xha_perform_receive_disks },
    [XHA_VERB_REPLICATE_OUT] = { .run = xha_perform_replicate_out },
    [XHA_VERB_REPLICATE_IN] = { .run = xha_perform_replicate_in },
};

static void do_job(struct xha_work *w, const char *job_path)
{
    const struct verb *verb = &verbs[w->job.verb];
    struct xha_job_locks locks;
    char err[256];

    if (xha_job_lock(job_path, &w->job, &locks, err, sizeof(err)) < 0) {
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s: %s", w->who, err);
        return;
    }
    if (!verb->without_xen && xha_lx_open(&w->lx) < 0) {
        xha_work_refuse(w, XHA_REFUSAL_OTHER,
                        "%s: no Xen to talk to: %s. Is this a dom0 with xenstored running? (xl info)", w->who,
                        xha_lx_error(&w->lx));
        return;
    }
    if (verb->run)
        verb->run(w);
    else
        xha_work_refuse(w, XHA_REFUSAL_UNSUPPORTED, "%s: this helper cannot do that", w->who);
    xha_lx_close(&w->lx);
    /* The locks stay until the process ends, after the answer is on disk. */
}

void xha_work_name(struct xha_work *w)
{
    xha_uuid_format(&w->job.uuid, w->uuid);
    if (w->job.name[0] != '\0')
        snprintf(w->who, sizeof(w->who), "domain %s (%s)", w->job.name, w->uuid);
    else
        snprintf(w->who, sizeof(w->who), "domain %s", w->uuid);
}

int xha_work_main(const char *job_path)
{
    struct xha_work w = { .done.domid = XHA_DOMID_NONE };
    char done_path[XHA_JOB_PATH_MAX], err[256];

    xha_work_heed_sigterm();
    if (xha_job_beside(job_path, ".done", done_path, sizeof(done_path)) < 0) {
        fprintf(stderr, "xhad-xen: %s: a job file ends in .job\n", job_path);
        return 2;
    }
    if (xha_job_read(job_path, &w.job, err, sizeof(err)) < 0) {
        fprintf(stderr, "xhad-xen: %s\n", err);
        return 1;
    }
    w.done.id = w.job.id;
    w.until_ms = w.job.deadline_ms > 0 ? xha_now_ms() + w.job.deadline_ms : INT64_MAX;
    xha_work_name(&w);
    do_job(&w, job_path);
    fprintf(stderr, "%s: %s\n", xha_result_name(w.done.result), w.done.message);
    if (xha_job_done_write(done_path, &w.done, err, sizeof(err)) < 0) {
        fprintf(stderr, "xhad-xen: %s\n", err);
        return 1;
    }
    xha_job_done_clear(&w.done);
    return 0;
}

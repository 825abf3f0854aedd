/*
 * work.h - `xhad-xen work JOBFILE`: one piece of work on one domain (base/job.h).
 *
 * A verb gets a struct xha_work and must end by calling exactly one of xha_work_ok(), _refuse(), _unknown().
 * REFUSED is a promise: the domain is as it was before. When that was not verified by listing the domains,
 * the answer is UNKNOWN.
 */
#ifndef XHA_XEN_WORK_H
#define XHA_XEN_WORK_H

#include "xhad/base/job.h"
#include "xhad/xen/lx.h"

struct xha_work {
    struct xha_job job;
    struct xha_job_done done;
    struct xha_lx lx;
    int64_t until_ms;        /* CLOCK_MONOTONIC: the deadline of the job */
    char uuid[37], who[128]; /* "domain g1 (uuid)" for messages */
    char warning[256];       /* put behind the message of a success; "" for none */
};

void xha_work_ok(struct xha_work *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void xha_work_refuse(struct xha_work *w, enum xha_refusal refusal, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void xha_work_unknown(struct xha_work *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Remembers the first one; the work goes on. */
void xha_work_warn(struct xha_work *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* SIGTERM came: clean up and leave, xhad kills in seconds. */
bool xha_work_told_to_stop(void);
/* The same, or the job's time is over: for xhad/move/; arg is a struct xha_work. */
bool xha_work_stop(void *arg);
int64_t xha_now_ms(void); /* CLOCK_MONOTONIC */

/*
 * Looks the domain of the job up: 0 with info_r when domid still has the UUID; else -1 after answering
 * REFUSED. To be called before anything is changed.
 */
int xha_work_domain(struct xha_work *w, libxl_dominfo *info_r);

/* The verbs. Each has its file. */
void xha_perform_start(struct xha_work *w);
void xha_perform_restore(struct xha_work *w);
void xha_perform_destroy(struct xha_work *w);
void xha_perform_shutdown(struct xha_work *w);
void xha_perform_resume(struct xha_work *w);
void xha_perform_checkpoint(struct xha_work *w);
void xha_perform_sched(struct xha_work *w);
void xha_perform_gate(struct xha_work *w);
void xha_perform_import(struct xha_work *w);
void xha_perform_parse(struct xha_work *w);
void xha_perform_describe(struct xha_work *w);
void xha_perform_checkpoints(struct xha_work *w);
void xha_perform_monitor(struct xha_work *w);
void xha_perform_migrate(struct xha_work *w);
void xha_perform_receive(struct xha_work *w);
void xha_perform_send_disks(struct xha_work *w);
void xha_perform_receive_disks(struct xha_work *w);
void xha_perform_replicate_out(struct xha_work *w);
void xha_perform_replicate_in(struct xha_work *w);

/* w->uuid and w->who, from the job. */
void xha_work_name(struct xha_work *w);

/* SIGTERM becomes xha_work_told_to_stop(). */
void xha_work_heed_sigterm(void);

int xha_work_main(const char *job_path);

#endif

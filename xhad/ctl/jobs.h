/*
 * jobs.h - worker processes: started, watched over, ended when they are late, adopted after a restart of
 * xhad.
 *
 * Each job ends in exactly one call of its function, always later from the loop, never from within _start().
 * What a worker left behind without an answer is UNKNOWN. The job's files are removed after that call
 * returned: when xhad dies before, its next start delivers the answer again.
 */
#ifndef XHA_CTL_JOBS_H
#define XHA_CTL_JOBS_H

#include <uv.h>
#include "xhad/base/job.h"

struct xha_jobs;

typedef void xha_jobs_done_cb(void *user, const struct xha_job *job, const struct xha_job_done *done);
/* pace: NULL for all but moves. */
typedef void xha_jobs_progress_cb(void *user, const struct xha_job *job, const char *step, uint64_t done,
                                  uint64_t total, const struct xha_job_pace *pace);
/* Of a replication's sender. */
typedef void xha_jobs_epoch_cb(void *user, const struct xha_job *job, const struct xha_job_epoch *epoch);

/* What workers say of themselves while they work, adopted ones too. */
struct xha_jobs_told {
    xha_jobs_progress_cb *progress;
    xha_jobs_epoch_cb *epoch;
    void *user;
};

/* Creates RUN/jobs. helper must live as long; told is copied. NULL with a text. */
struct xha_jobs *xha_jobs_new(uv_loop_t *loop, const char *run_dir, const char *helper,
                              const struct xha_jobs_told *told, char *err, size_t err_len);

/* Stops watching; workers go on. The loop must run once more before _free(). */
void xha_jobs_close(struct xha_jobs *jobs);
void xha_jobs_free(struct xha_jobs *jobs);

/* The same program at another place in memory: the settings were read again. */
void xha_jobs_set_helper(struct xha_jobs *jobs, const char *helper);

/*
 * Starts a worker. A job with a verb of the core is called by its id; for a question id is overwritten. What
 * goes wrong here is told to done as REFUSED, from the loop.
 */
void xha_jobs_start(struct xha_jobs *jobs, struct xha_job *job, xha_jobs_done_cb *done, void *user);

/* Takes over what an earlier xhad left in RUN/jobs: its deeds end in done, its questions are forgotten. */
void xha_jobs_adopt(struct xha_jobs *jobs, xha_jobs_done_cb *done, void *user);

/* Asks the worker of this deed to end (SIGTERM); it is answered as ever, by what it still could do or undo. One that has
 * no deadline gets one by that. */
void xha_jobs_cancel(struct xha_jobs *jobs, uint64_t id);
/* Tells the worker of this STANDBY deed to let its copy run (SIGUSR1); likewise. */
void xha_jobs_promote(struct xha_jobs *jobs, uint64_t id);

/* Whether a job with this id is under way, or adopted. */
bool xha_jobs_has(const struct xha_jobs *jobs, uint64_t id);
size_t xha_jobs_count(const struct xha_jobs *jobs);

#endif

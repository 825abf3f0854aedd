/*
 * jobs_proc.h - finds a worker that is no child of ours.
 */
#ifndef XHA_CTL_JOBS_PROC_H
#define XHA_CTL_JOBS_PROC_H

/*
 * Sends a signal to the process group of the worker that was started with this job file: a process whose
 * arguments are `HELPER work JOB_PATH`. No pid is kept on disk, so none can be stale. Returns how many.
 */
int xha_jobs_proc_kill(const char *job_path, int signal_number);
/* The same, but to the worker alone: what it has started would die of a signal that it does not know. */
int xha_jobs_proc_tell(const char *job_path, int signal_number);

#endif

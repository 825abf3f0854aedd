/*
 * jobs_output.h - where a worker tells how it gets on: a FIFO beside its job, so that an xhad that adopts the worker
 * reads on where the one before it stopped.
 *
 * A worker never waits for a reader: it has both ends open, so that it is never without one, and what does not fit in
 * is lost, a line at a time.
 */
#ifndef XHA_CTL_JOBS_OUTPUT_H
#define XHA_CTL_JOBS_OUTPUT_H

/* Makes it. 0 with both ends, or -1 with errno. */
int xha_jobs_output_make(const char *job_path, int *reader_r, int *worker_r);
/* The worker has got its end: from now on it does not wait. (uv_spawn() has it begin otherwise.) */
void xha_jobs_output_given(int worker);
/* The reader's end of one that was made before; -1 with errno. */
int xha_jobs_output_open(const char *job_path);

#endif

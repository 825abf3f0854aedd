/*
 * jobs_output.c - FIFOs for the standard output of workers.
 */
#include "xhad/ctl/jobs_output.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/job.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int path_of(const char *job_path, char path[XHA_JOB_PATH_MAX])
{
    if (xha_job_beside(job_path, ".out", path, XHA_JOB_PATH_MAX) == 0)
        return 0;
    errno = ENAMETOOLONG;
    return -1;
}

int xha_jobs_output_open(const char *job_path)
{
    char path[XHA_JOB_PATH_MAX];

    if (path_of(job_path, path) < 0)
        return -1;
    return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
}

int xha_jobs_output_make(const char *job_path, int *reader_r, int *worker_r)
{
    XHA_CLEANUP_CLOSE int reader = -1, worker = -1;
    char path[XHA_JOB_PATH_MAX];

    if (path_of(job_path, path) < 0)
        return -1;
    unlink(path);
    if (mkfifo(path, 0600) < 0)
        return -1;
    reader = xha_jobs_output_open(job_path);
    if (reader < 0)
        return -1;
    worker = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    if (worker < 0)
        return -1;
    *reader_r = xha_steal_fd(&reader);
    *worker_r = xha_steal_fd(&worker);
    return 0;
}

void xha_jobs_output_given(int worker)
{
    int flags = fcntl(worker, F_GETFL);

    if (flags >= 0)
        (void)fcntl(worker, F_SETFL, flags | O_NONBLOCK);
}

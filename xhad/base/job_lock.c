/*
 * job_lock.c - one worker per job, and one per domain.
 *
 * flock() belongs to the open file, not to the process: xhad locks the job file before it starts the worker
 * and hands the open file over, so there is no moment at which a started worker does not hold its lock. The
 * worker marks it close-on-exec, or a device model that it starts would hold it for ever.
 */
#include "xhad/base/job.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/uuid.h"
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define POLL_MS 20

/* The descriptor that xhad gave, when it is this very file; else -1. */
static int inherited(const char *job_path)
{
    struct stat given, named;

    if (fstat(XHA_JOB_LOCK_FD, &given) < 0 || stat(job_path, &named) < 0)
        return -1;
    if (given.st_dev != named.st_dev || given.st_ino != named.st_ino)
        return -1;
    if (fcntl(XHA_JOB_LOCK_FD, F_SETFD, FD_CLOEXEC) < 0)
        return -1;
    return XHA_JOB_LOCK_FD;
}

/* flock() with a time limit. 0, or -1 with errno (EWOULDBLOCK: the time is over). */
static int lock_within(int fd, int64_t wait_ms)
{
    const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };

    for (int64_t waited = 0;; waited += POLL_MS) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return -1;
        if (waited >= wait_ms)
            return -1;
        nanosleep(&pause, NULL);
    }
}

/* What a worker of that verb keeps others of its domain from: NULL: from nothing. */
static const char *lock_of(enum xha_verb verb)
{
    if (verb == XHA_VERB_REPLICATE_OUT || verb == XHA_VERB_GATE)
        return "repl.lock"; /* beside whatever else is done with it, but not beside each other */
    return verb < XHA_VERB_PARSE ? "lock" : NULL;
}

static int lock_domain(const char *job_path, const struct xha_job *job, int *fd_r, char *err, size_t err_len)
{
    XHA_CLEANUP_CLOSE int fd = -1;
    char path[PATH_MAX], text[XHA_UUID_TEXT];
    const char *slash = strrchr(job_path, '/');
    int r = snprintf(path, sizeof path, "%.*s/%s.%s", slash ? (int)(slash - job_path) : 1,
                     slash ? job_path : ".", xha_uuid_format(&job->uuid, text), lock_of(job->verb));

    if (r < 0 || (size_t)r >= sizeof path) {
        snprintf(err, err_len, "%s: path too long", job_path);
        return -1;
    }
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        snprintf(err, err_len, "%s: cannot be opened: %s", path, strerror(errno));
        return -1;
    }
    if (lock_within(fd, XHA_JOB_LOCK_WAIT) < 0) {
        snprintf(err, err_len, "%s: %s", path,
                 errno == EWOULDBLOCK ? "another worker is still busy with this domain" : strerror(errno));
        return -1;
    }
    *fd_r = xha_steal_fd(&fd);
    return 0;
}

int xha_job_lock(const char *job_path, const struct xha_job *job, struct xha_job_locks *locks_r, char *err,
                 size_t err_len)
{
    XHA_CLEANUP_CLOSE int fd = inherited(job_path);
    int domain_fd = -1;

    if (fd < 0)
        fd = open(job_path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || lock_within(fd, XHA_JOB_LOCK_WAIT) < 0) {
        snprintf(err, err_len, "%s: cannot be locked: %s", job_path,
                 errno == EWOULDBLOCK ? "another worker has this job" : strerror(errno));
        return -1;
    }
    if (lock_of(job->verb) && !xha_uuid_is_nil(&job->uuid) &&
        lock_domain(job_path, job, &domain_fd, err, err_len) < 0)
        return -1;
    locks_r->job_fd = xha_steal_fd(&fd);
    locks_r->domain_fd = domain_fd;
    return 0;
}

void xha_job_unlock(struct xha_job_locks *locks)
{
    if (locks->domain_fd >= 0)
        close(locks->domain_fd);
    if (locks->job_fd >= 0)
        close(locks->job_fd);
    locks->domain_fd = locks->job_fd = -1;
}

int xha_job_is_locked(const char *job_path)
{
    XHA_CLEANUP_CLOSE int fd = open(job_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return -1;
    if (flock(fd, LOCK_SH | LOCK_NB) == 0)
        return 0;
    return errno == EWOULDBLOCK ? 1 : -1;
}

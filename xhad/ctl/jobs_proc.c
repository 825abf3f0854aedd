/*
 * jobs_proc.c - workers of an earlier xhad, by their command lines in /proc.
 */
#include "xhad/ctl/jobs_proc.h"
#include "xhad/base/cleanup.h"
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* Whether the NUL-separated arguments are: anything, "work", path. */
static bool is_worker_of(const char *args, size_t len, const char *job_path)
{
    const char *arg[3];
    size_t at = 0;

    for (int i = 0; i < 3; i++) {
        const char *end = at < len ? memchr(args + at, '\0', len - at) : NULL;

        if (!end)
            return false;
        arg[i] = args + at;
        at = (size_t)(end - args) + 1;
    }
    return strcmp(arg[1], "work") == 0 && strcmp(arg[2], job_path) == 0;
}

static bool matches(const char *pid, const char *job_path)
{
    char path[64], args[2 * PATH_MAX];
    XHA_CLEANUP_CLOSE int fd = -1;
    ssize_t r;

    snprintf(path, sizeof path, "/proc/%.20s/cmdline", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    r = fd < 0 ? -1 : read(fd, args, sizeof args);
    return r > 0 && is_worker_of(args, (size_t)r, job_path);
}

/* sign: -1 for its group, 1 for itself. */
static int each(const char *job_path, int signal_number, int sign)
{
    XHA_CLEANUP_CLOSEDIR DIR *proc = opendir("/proc");
    const struct dirent *e;
    int n = 0;

    while (proc && (e = readdir(proc))) {
        char *end;
        long pid = strtol(e->d_name, &end, 10);

        /* Workers lead their own session, so their pid names their group, and what they fork is none of them. */
        if (*end == '\0' && pid > 1 && matches(e->d_name, job_path) && getsid((pid_t)pid) == pid &&
            kill((pid_t)(sign * pid), signal_number) == 0)
            n++;
    }
    return n;
}

int xha_jobs_proc_kill(const char *job_path, int signal_number)
{
    return each(job_path, signal_number, -1);
}

int xha_jobs_proc_tell(const char *job_path, int signal_number)
{
    return each(job_path, signal_number, 1);
}

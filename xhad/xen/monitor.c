/*
 * monitor.c - the verb monitor: stock xl's own process that waits for the end of a domain.
 *
 * `xl create` leaves one behind for each domain; it acts on on_reboot and on_crash and so would start a
 * domain that xhad starts, too. It is known by its program, xl, and by its log, which is its standard output.
 */
#include "xhad/xen/work.h"
#include "xhad/base/cleanup.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define XL_LOG_DIR  "/var/log/xen/"
#define END_WAIT_MS 5000
#define POLL_MS     20

static bool link_of(const char *pid, const char *name, char *to, size_t size)
{
    char path[300];
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/%s/%s", pid, name);
    n = readlink(path, to, size - 1);
    if (n < 0)
        return false;
    to[n] = '\0';
    return true;
}

/* Its program is an xl, and its output goes to /var/log/xen/xl-NAME.log (rotated: xl-NAME.log.1). */
static bool is_monitor(const char *pid, const char *name)
{
    char exe[512], out[512], log[XHA_NAME_MAX + 40];
    const char *base;
    int n = snprintf(log, sizeof(log), XL_LOG_DIR "xl-%s.log", name);

    if (!link_of(pid, "exe", exe, sizeof(exe)) || !link_of(pid, "fd/1", out, sizeof(out)))
        return false;
    base = strrchr(exe, '/');
    if (!base || (strcmp(base, "/xl") != 0 && strcmp(base, "/xl (deleted)") != 0))
        return false;
    return n > 0 && strncmp(out, log, (size_t)n) == 0 && (out[n] == '\0' || out[n] == '.' || out[n] == ' ');
}

/* 0: there is none; -1: /proc cannot be read. */
static pid_t find_monitor(const char *name)
{
    XHA_CLEANUP_CLOSEDIR DIR *proc = opendir("/proc");
    struct dirent *entry;

    if (!proc)
        return -1;
    while ((entry = readdir(proc)) != NULL)
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && is_monitor(entry->d_name, name))
            return (pid_t)strtol(entry->d_name, NULL, 10);
    return 0;
}

/* Ends that very process: a pidfd cannot be taken over by another one. It leaves its domain alone. */
static int end_process(pid_t pid, const char *name)
{
    XHA_CLEANUP_CLOSE int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
    int64_t until = xha_now_ms() + END_WAIT_MS;
    char text[24];

    snprintf(text, sizeof(text), "%d", (int)pid);
    if (fd < 0 || !is_monitor(text, name))
        return 0;
    syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0);
    while (is_monitor(text, name)) {
        if (xha_now_ms() >= until) {
            syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
            return -1;
        }
        nanosleep(&pause, NULL);
    }
    return 0;
}

void xha_perform_monitor(struct xha_work *w)
{
    pid_t pid;

    if (w->job.name[0] == '\0') {
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "the monitor of which domain? The job has no name");
        return;
    }
    pid = find_monitor(w->job.name);
    if (pid < 0) {
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "/proc cannot be read");
        return;
    }
    w->done.data = json_pack("{s:i}", "pid", (int)pid);
    if (pid == 0)
        xha_work_ok(w, "domain %s has no xl process that watches it", w->job.name);
    else if (!w->job.take_over)
        xha_work_ok(w, "domain %s is watched by xl, process %d", w->job.name, (int)pid);
    else if (end_process(pid, w->job.name) < 0)
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "xl's process %d, which watches domain %s, does not end",
                        (int)pid, w->job.name);
    else
        xha_work_ok(w, "xl's process %d no longer watches domain %s", (int)pid, w->job.name);
}

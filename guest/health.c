/*
 * The health command. See health.h.
 *
 * The command's whole process group is killed when it hangs, and also what it left behind when it ended. A
 * command that not even SIGKILL ends (stuck in the kernel, which is a sick guest) keeps the verdict
 * "timeout" and no second one is started.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/health.h"

void xha_guest_health_init(struct xha_guest_health *health, const char *command, int64_t interval_ms,
                           int64_t timeout_ms, struct xha_guest_time now)
{
    *health = (struct xha_guest_health){
        .command = command,
        .interval_ms = interval_ms,
        .timeout_ms = timeout_ms,
        .verdict = command ? XHA_GUEST_STARTING : XHA_GUEST_OK,
        .next_start = command ? now : XHA_GUEST_NEVER,
        .kill_at = XHA_GUEST_NEVER,
    };
}

static bool judge(struct xha_guest_health *health, enum xha_guest_verdict verdict, int detail)
{
    bool changed = health->verdict != verdict || health->detail != detail;

    health->verdict = verdict;
    health->detail = detail;
    return changed;
}

__attribute__((noreturn)) static void run_command(const char *command)
{
    sigset_t none;
    int fd;

    setpgid(0, 0);
    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    unsetenv("NOTIFY_SOCKET");
    fd = open("/dev/null", O_RDONLY);
    if (fd >= 0)
        dup2(fd, STDIN_FILENO);
    /* The agent may be exempt from the OOM killer; a leaking command must not be. */
    fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, "0", 1) < 0)
        close(fd);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

static bool start(struct xha_guest_health *health, struct xha_guest_time now)
{
    pid_t pid = fork();

    health->next_start = xha_guest_after(now, health->interval_ms);
    if (pid < 0)
        return judge(health, XHA_GUEST_NOT_RUN, errno);
    if (pid == 0)
        run_command(health->command);
    setpgid(pid, pid); /* in both, so that neither has to wait for the other */
    health->pid = pid;
    health->killed = false;
    health->kill_at = xha_guest_after(now, health->timeout_ms);
    return false;
}

/* Takes the result of a command that ended. */
static bool reap(struct xha_guest_health *health)
{
    siginfo_t info = { .si_pid = 0 };
    int status;

    if (waitid(P_PID, (id_t)health->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
        return false;
    kill(-health->pid, SIGKILL); /* before the wait, while the id cannot belong to anybody else */
    waitpid(health->pid, &status, 0);
    health->pid = 0;
    health->kill_at = XHA_GUEST_NEVER;
    if (health->killed)
        return false;
    if (WIFSIGNALED(status))
        return judge(health, XHA_GUEST_SIGNALED, WTERMSIG(status));
    return judge(health, WEXITSTATUS(status) ? XHA_GUEST_EXITED : XHA_GUEST_OK, WEXITSTATUS(status));
}

bool xha_guest_health_step(struct xha_guest_health *health, struct xha_guest_time now)
{
    bool changed = false;

    if (health->pid)
        changed |= reap(health);
    if (health->pid && xha_guest_due(health->kill_at, now)) {
        kill(-health->pid, SIGKILL);
        health->killed = true;
        health->kill_at = XHA_GUEST_NEVER;
        changed |= judge(health, XHA_GUEST_TIMEOUT, 0);
    }
    if (!health->pid && xha_guest_due(health->next_start, now))
        changed |= start(health, now);
    return changed;
}

struct xha_guest_time xha_guest_health_next(const struct xha_guest_health *health)
{
    return health->pid ? health->kill_at : health->next_start;
}

void xha_guest_health_text(const struct xha_guest_health *health, char *text_r, size_t size)
{
    switch (health->verdict) {
    case XHA_GUEST_STARTING:
        snprintf(text_r, size, "starting");
        break;
    case XHA_GUEST_OK:
        snprintf(text_r, size, "ok");
        break;
    case XHA_GUEST_EXITED:
        snprintf(text_r, size, "failing: exit %d", health->detail);
        break;
    case XHA_GUEST_SIGNALED:
        snprintf(text_r, size, "failing: signal %d", health->detail);
        break;
    case XHA_GUEST_TIMEOUT:
        snprintf(text_r, size, "timeout");
        break;
    case XHA_GUEST_NOT_RUN:
        snprintf(text_r, size, "failing: not run, error %d", health->detail);
        break;
    }
}

void xha_guest_health_end(struct xha_guest_health *health)
{
    if (health->pid)
        kill(-health->pid, SIGKILL);
    health->pid = 0;
}

/*
 * run.c - see run.h.
 */
#include "xhad/xen/run.h"
#include "xhad/xen/work.h"
#include "xhad/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS 20

static int spawn(const struct xha_run *run, int out_fd, int err_fd, pid_t *pid_r)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t defaults;
    int r;

    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigdefault(&attr, &defaults);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
    posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err_fd, STDERR_FILENO);
    r = posix_spawnp(pid_r, run->argv[0], &actions, &attr, (char *const *)run->argv,
                     run->env ? (char *const *)run->env : environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    errno = r;
    return r ? -1 : 0;
}

/* Takes what is there. The rest beyond size is read and dropped, so that the program does not block. 1: end
 * of file. */
static int drain(int fd, char *to, size_t size, size_t *len, int *cut)
{
    char chunk[4096];
    ssize_t n = read(fd, chunk, sizeof(chunk));
    size_t take;

    if (n < 0)
        return errno != EINTR && errno != EAGAIN;
    if (n == 0)
        return 1;
    take = (size_t)n < size - 1 - *len ? (size_t)n : size - 1 - *len;
    for (size_t i = 0; i < take; i++)
        to[*len + i] = chunk[i] ? chunk[i] : ' ';
    *len += take;
    to[*len] = '\0';
    if (cut && take < (size_t)n)
        *cut = 1;
    return 0;
}

static void collect(struct xha_run *run, pid_t pid, int out_fd, int err_fd)
{
    struct pollfd fds[2] = { { .fd = out_fd, .events = POLLIN }, { .fd = err_fd, .events = POLLIN } };
    int64_t until = xha_now_ms() + run->limit_ms;

    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        if (!run->timed_out && (xha_now_ms() >= until || xha_work_told_to_stop())) {
            run->timed_out = 1;
            kill(pid, SIGKILL);
            until = xha_now_ms() + 1000; /* a grandchild may hold the pipes: not for ever */
        } else if (run->timed_out && xha_now_ms() >= until) {
            return;
        }
        if (poll(fds, 2, POLL_MS) <= 0)
            continue;
        if (fds[0].revents && drain(out_fd, run->out, run->out_size, &run->out_len, &run->out_cut))
            fds[0].fd = -1;
        if (fds[1].revents && drain(err_fd, run->err, run->err_size, &run->err_len, NULL))
            fds[1].fd = -1;
    }
}

/* Both pipes are closed, but the program may go on. */
static void reap(struct xha_run *run, pid_t pid, int64_t until)
{
    const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
    int status = 0;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (xha_now_ms() >= until || xha_work_told_to_stop()) {
            run->timed_out = 1;
            kill(pid, SIGKILL);
        }
        nanosleep(&pause, NULL);
    }
    run->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int xha_run(struct xha_run *run)
{
    XHA_CLEANUP_CLOSE int out_rd = -1;
    XHA_CLEANUP_CLOSE int out_wr = -1;
    XHA_CLEANUP_CLOSE int err_rd = -1;
    XHA_CLEANUP_CLOSE int err_wr = -1;
    int64_t until = xha_now_ms() + run->limit_ms;
    int fds[2];
    pid_t pid;

    run->out_len = run->err_len = 0;
    run->out_cut = run->timed_out = 0;
    run->out[0] = run->err[0] = '\0';
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -1;
    out_rd = fds[0];
    out_wr = fds[1];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -1;
    err_rd = fds[0];
    err_wr = fds[1];
    if (spawn(run, out_wr, err_wr, &pid) < 0)
        return -1;
    close(xha_steal_fd(&out_wr));
    close(xha_steal_fd(&err_wr));
    collect(run, pid, out_rd, err_rd);
    reap(run, pid, until);
    return 0;
}

/*
 * The lab's agent in a host: process 1 of dom0 once labinit has set the host up.
 *
 * Runs the commands that come in over the virtio-serial port (frame.h) and reaps whatever dom0 leaves
 * behind. It is small, static and forks with vfork, because under emulation a fork costs some 60 ms.
 *
 * A session ends when the shell of its command has ended and what it wrote has been passed on; what the
 * command left in the background goes on (its further output is lost).
 */
#include "frame.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define SESSIONS 64

struct session {
    uint32_t id; /* 0: free */
    pid_t pid;
    bool exited;
    int status;
    int in, out[2];     /* the command's standard input, output and error; -1 when closed */
    bool drained[2];    /* nothing was left in out[] after the command had exited */
    struct buf stdin_q; /* not yet taken by the command */
    bool stdin_end;
    uint32_t unacked; /* output bytes that the other side has not acknowledged */
};

static struct session sessions[SESSIONS];
static struct buf from_port, to_port;

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static struct session *session_find(uint32_t id)
{
    for (int i = 0; i < SESSIONS; i++)
        if (sessions[i].id == id)
            return &sessions[i];
    return NULL;
}

static void session_end(struct session *s)
{
    close_fd(&s->in);
    close_fd(&s->out[0]);
    close_fd(&s->out[1]);
    buf_free(&s->stdin_q);
    s->id = 0;
}

static void session_fail(uint32_t id, const char *what)
{
    uint32_t status = 255;
    frame_put(&to_port, id, FRAME_STDERR, what, (uint32_t)strlen(what));
    frame_put(&to_port, id, FRAME_EXIT, &status, sizeof(status));
}

/* Start `cmd` with the three pipes; they are close-on-exec on our side. */
static pid_t spawn(const char *cmd, const int in[2], const int out[2], const int err[2])
{
    pid_t pid = vfork();
    if (pid)
        return pid;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    dup2(in[0], 0);
    dup2(out[1], 1);
    dup2(err[1], 2);
    execl("/bin/sh", "sh", "-c", cmd, (char *)NULL);
    _exit(127);
}

static void session_start(uint32_t id, const struct frame *f)
{
    char cmd[FRAME_CMD_MAX + 1];
    int in[2], out[2], err[2];
    struct session *s = session_find(0);

    if (!s) {
        session_fail(id, "lab agent: too many commands at once\n");
        return;
    }
    memcpy(cmd, f->data, f->length);
    cmd[f->length] = 0;
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC)) {
        session_fail(id, "lab agent: no pipe\n");
        return;
    }
    memset(s, 0, sizeof(*s));
    s->id = id;
    s->pid = spawn(cmd, in, out, err);
    s->in = in[1];
    s->out[0] = out[0];
    s->out[1] = err[0];
    close(in[0]);
    close(out[1]);
    close(err[1]);
    fcntl(s->in, F_SETFL, O_NONBLOCK);
    fcntl(s->out[0], F_SETFL, O_NONBLOCK);
    fcntl(s->out[1], F_SETFL, O_NONBLOCK);
    if (s->pid < 0) {
        session_fail(id, "lab agent: cannot fork\n");
        session_end(s);
    }
}

static void frame_in(const struct frame *f)
{
    struct session *s = f->session ? session_find(f->session) : NULL;

    if (f->type == FRAME_EXEC && f->session && !s) {
        session_start(f->session, f);
        return;
    }
    if (!s)
        return;
    switch (f->type) {
    case FRAME_STDIN:
        if (f->length)
            buf_add(&s->stdin_q, f->data, f->length);
        else
            s->stdin_end = true;
        break;
    case FRAME_ACK:
        s->unacked -= frame_u32(f);
        break;
    case FRAME_KILL:
        if (!s->exited)
            kill(-s->pid, SIGKILL);
        session_end(s);
        break;
    }
}

static void session_write(struct session *s)
{
    size_t before = s->stdin_q.used;
    if (s->in < 0)
        return;
    if (buf_flush(&s->stdin_q, s->in)) {
        buf_take(&s->stdin_q, s->stdin_q.used); /* the command reads no more: its input is thrown away */
        close_fd(&s->in);
    }
    uint32_t n = (uint32_t)(before - s->stdin_q.used);
    if (n)
        frame_put(&to_port, s->id, FRAME_ACK, &n, sizeof(n));
    if (s->stdin_end && !s->stdin_q.used)
        close_fd(&s->in);
}

static void session_read(struct session *s)
{
    unsigned char data[FRAME_MAX];
    for (int i = 0; i < 2; i++) {
        while (s->out[i] >= 0 && s->unacked + sizeof(data) <= FRAME_WINDOW) {
            ssize_t r = read(s->out[i], data, sizeof(data));
            if (r < 0) {
                if (errno == EAGAIN)
                    s->drained[i] = s->exited;
                break;
            }
            if (!r) {
                s->drained[i] = true;
                close_fd(&s->out[i]);
                break;
            }
            s->unacked += (uint32_t)r;
            frame_put(&to_port, s->id, i ? FRAME_STDERR : FRAME_STDOUT, data, (uint32_t)r);
        }
    }
    if (s->exited && s->drained[0] && s->drained[1]) {
        uint32_t status =
            WIFEXITED(s->status) ? (uint32_t)WEXITSTATUS(s->status) : 128u + (uint32_t)WTERMSIG(s->status);
        frame_put(&to_port, s->id, FRAME_EXIT, &status, sizeof(status));
        session_end(s);
    }
}

static void reap(int sfd)
{
    struct signalfd_siginfo si;
    int status;
    pid_t pid;

    while (read(sfd, &si, sizeof(si)) > 0)
        ;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (int i = 0; i < SESSIONS; i++)
            if (sessions[i].id && sessions[i].pid == pid) {
                sessions[i].exited = true;
                sessions[i].status = status;
            }
}

static void loop(int port, int sfd)
{
    static struct frame f;
    struct pollfd p[2 + 3 * SESSIONS];

    for (;;) {
        nfds_t n = 2;
        p[0] = (struct pollfd){ .fd = port, .events = (short)(POLLIN | (to_port.used ? POLLOUT : 0)) };
        p[1] = (struct pollfd){ .fd = sfd, .events = POLLIN };
        for (int i = 0; i < SESSIONS; i++) {
            struct session *s = &sessions[i];
            if (!s->id)
                continue;
            bool room = s->unacked + FRAME_MAX <= FRAME_WINDOW;
            p[n++] = (struct pollfd){ .fd = s->stdin_q.used ? s->in : -1, .events = POLLOUT };
            p[n++] = (struct pollfd){ .fd = room ? s->out[0] : -1, .events = POLLIN };
            p[n++] = (struct pollfd){ .fd = room ? s->out[1] : -1, .events = POLLIN };
        }
        if (poll(p, n, -1) < 0 && errno != EINTR)
            abort();
        if (p[0].revents & POLLHUP)
            usleep(100 * 1000); /* nobody outside listens: there is no event to wait for */
        reap(sfd);
        if (p[0].revents & POLLIN && buf_fill(&from_port, port) > 0)
            while (frame_get(&from_port, &f) > 0)
                frame_in(&f);
        for (int i = 0; i < SESSIONS; i++)
            if (sessions[i].id) {
                session_write(&sessions[i]);
                session_read(&sessions[i]);
            }
        if (buf_flush(&to_port, port))
            usleep(100 * 1000);
    }
}

int main(int argc, char **argv)
{
    sigset_t chld;
    if (argc != 2) {
        fputs("usage: agent PORT-DEVICE\n", stderr);
        return 1;
    }
    int port = open(argv[1], O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (port < 0) {
        perror(argv[1]);
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &chld, NULL);
    int sfd = signalfd(-1, &chld, SFD_NONBLOCK | SFD_CLOEXEC);
    frame_put(&to_port, 0, FRAME_HELLO, NULL, 0);
    loop(port, sfd);
}

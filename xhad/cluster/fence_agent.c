/*
 * fence_agent.c - one run of a fence agent.
 *
 * Its standard input is a file in memory, so that it may read it when it likes. It ends with its process; what
 * its children still hold open is waited for only briefly, and then they are killed.
 */
#include "xhad/cluster/fence_agent.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#define LINGER_MS 300 /* for output that is still under way when the process has ended */

struct stream {
    uv_pipe_t pipe;
    struct xha_agent *a;
    bool open;
};

struct xha_agent {
    uv_loop_t *loop;
    uv_process_t process;
    uv_timer_t timer; /* the deadline, then XHA_AGENT_KILL_MS; after the end: LINGER_MS */
    struct stream out, err;
    xha_agent_done_cb *done; /* NULL: cancelled, or done */
    void *user;
    pid_t pid; /* 0: not started */
    bool exited, timed_out;
    int status, handles;
    int64_t timeout_ms;
    char why[120];
    char *kept;
    size_t keep, kept_len, said_len;
    char said[XHA_AGENT_SAID_MAX + 1];
    char room[4096];
};

bool xha_agent_find(const char *name, char *path, size_t len)
{
    static const char *const dirs[] = { "/usr/local/sbin", "/usr/sbin", "/sbin" };

    if (name[0] == '/')
        return snprintf(path, len, "%s", name) < (int)len && access(path, X_OK) == 0;
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
        if (snprintf(path, len, "%s/%s", dirs[i], name) < (int)len && access(path, X_OK) == 0)
            return true;
    return false;
}

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct xha_agent *a = handle->data;

    if (--a->handles > 0)
        return;
    free(a->kept);
    free(a);
}

static void close_handle(uv_handle_t *handle)
{
    if (handle->type != UV_UNKNOWN_HANDLE && !uv_is_closing(handle))
        uv_close(handle, on_closed);
}

static void kill_group(const struct xha_agent *a)
{
    if (a->pid > 1)
        kill(-a->pid, SIGKILL);
}

/* But for a process that has not ended: libuv reaps only what is open. on_exit_() closes it, if ever. */
static void close_all(struct xha_agent *a)
{
    close_handle((uv_handle_t *)&a->timer);
    close_handle((uv_handle_t *)&a->out.pipe);
    close_handle((uv_handle_t *)&a->err.pipe);
    if (a->exited)
        close_handle((uv_handle_t *)&a->process);
}

static void finish(struct xha_agent *a)
{
    xha_agent_done_cb *done = a->done;
    struct xha_agent_end end = {
        .status = a->timed_out ? -1 : a->status,
        .timed_out = a->timed_out,
        .cut = a->keep > 0 && a->kept_len == a->keep,
        .why = a->why,
        .out = a->kept,
        .out_len = a->kept_len,
        .said = a->said,
    };

    a->done = NULL;
    if (a->out.open || a->err.open)
        kill_group(a); /* somebody of it is left */
    if (done)
        done(a->user, &end);
    close_all(a);
}

static void on_linger(uv_timer_t *timer)
{
    finish(timer->data);
}

static void maybe_finish(struct xha_agent *a)
{
    if (a->exited && !a->out.open && !a->err.open)
        uv_timer_start(&a->timer, on_linger, 0, 0);
}

static void on_exit_(uv_process_t *process, int64_t status, int signal_number)
{
    struct xha_agent *a = process->data;

    a->exited = true;
    a->status = signal_number ? -1 : (int)status;
    if (a->timed_out)
        snprintf(a->why, sizeof a->why, "did not end within %g s", (double)a->timeout_ms / 1000);
    else if (signal_number)
        snprintf(a->why, sizeof a->why, "was ended by signal %d", signal_number);
    else
        snprintf(a->why, sizeof a->why, "ended with status %d", (int)status);
    if (!a->done) { /* cancelled */
        close_all(a);
        return;
    }
    uv_timer_start(&a->timer, on_linger, LINGER_MS, 0);
    maybe_finish(a);
}

/* What has to go on goes on without it, and it does not keep xhad from ending. */
static void on_unkillable(uv_timer_t *timer)
{
    struct xha_agent *a = timer->data;

    snprintf(a->why, sizeof a->why, "did not end within %g s, and cannot be killed",
             (double)a->timeout_ms / 1000);
    uv_unref((uv_handle_t *)&a->process);
    finish(a);
}

static void on_deadline(uv_timer_t *timer)
{
    struct xha_agent *a = timer->data;

    a->timed_out = true;
    kill_group(a); /* on_exit_() follows */
    uv_timer_start(&a->timer, on_unkillable, XHA_AGENT_KILL_MS, 0);
}

void xha_agent_cancel(struct xha_agent *a)
{
    a->done = NULL;
    if (!a->exited && a->pid) {
        kill_group(a);
        uv_timer_start(&a->timer, on_unkillable, XHA_AGENT_KILL_MS, 0);
        return; /* on_exit_() closes */
    }
    close_all(a);
}

/* ---- output ---- */

static void keep_last(struct xha_agent *a, const char *data, size_t n)
{
    size_t room = XHA_AGENT_SAID_MAX;

    if (n > room) {
        data += n - room;
        n = room;
    }
    if (a->said_len + n > room) {
        size_t drop = a->said_len + n - room;

        memmove(a->said, a->said + drop, a->said_len - drop);
        a->said_len -= drop;
    }
    for (size_t i = 0; i < n; i++) /* it shall be one string */
        a->said[a->said_len++] = data[i] ? data[i] : '?';
    a->said[a->said_len] = '\0';
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct xha_agent *a = handle->data;

    (void)suggested;
    *buf = uv_buf_init(a->room, sizeof a->room);
}

static void on_output(uv_stream_t *pipe, ssize_t n, const uv_buf_t *buf)
{
    struct xha_agent *a = pipe->data;
    struct stream *s = (uv_stream_t *)&a->out.pipe == pipe ? &a->out : &a->err;

    if (n < 0) {
        uv_read_stop(pipe);
        s->open = false;
        maybe_finish(a);
        return;
    }
    keep_last(a, buf->base, (size_t)n);
    if (s == &a->out && a->keep) {
        size_t fits = a->keep - a->kept_len < (size_t)n ? a->keep - a->kept_len : (size_t)n;

        memcpy(a->kept + a->kept_len, buf->base, fits);
        a->kept_len += fits;
    }
}

/* ---- the start ---- */

static int input_fd(const char *input)
{
    XHA_CLEANUP_CLOSE int fd = memfd_create("fence", MFD_CLOEXEC);

    if (fd < 0 || xha_write_all(fd, input, strlen(input)) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return -1;
    return xha_steal_fd(&fd);
}

static void open_stream(struct xha_agent *a, struct stream *s, uv_stdio_container_t *io)
{
    uv_pipe_init(a->loop, &s->pipe, 0);
    s->pipe.data = a;
    s->open = true;
    a->handles++;
    io->flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE;
    io->data.stream = (uv_stream_t *)&s->pipe;
}

static int spawn(struct xha_agent *a, const struct xha_agent_order *order)
{
    char *argv[] = { (char *)order->path, NULL, NULL, NULL };
    char flag[] = "-o", path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    char words[] = "LC_ALL=C", home[] = "HOME=/root";
    char *env[] = { path, words, home, NULL };
    XHA_CLEANUP_CLOSE int in = input_fd(order->input ? order->input : "");
    uv_stdio_container_t io[3] = { { .flags = UV_INHERIT_FD, .data.fd = in } };
    uv_process_options_t options = {
        .exit_cb = on_exit_,
        .file = order->path,
        .args = argv,
        .env = env,
        .flags = UV_PROCESS_DETACHED, /* a session, and so a process group */
        .stdio = io,
        .stdio_count = 3,
    };

    if (in < 0)
        return -errno;
    if (order->action) {
        argv[1] = flag;
        argv[2] = (char *)order->action;
    }
    open_stream(a, &a->out, &io[1]);
    open_stream(a, &a->err, &io[2]);
    a->process.data = a;
    a->handles++;
    return uv_spawn(a->loop, &a->process, &options);
}

struct xha_agent *xha_agent_start(uv_loop_t *loop, const struct xha_agent_order *order,
                                  xha_agent_done_cb *done, void *user)
{
    struct xha_agent *a = calloc(1, sizeof *a);
    int r;

    if (!a)
        return NULL;
    a->kept = order->keep ? malloc(order->keep) : NULL;
    if (order->keep && !a->kept) {
        free(a);
        return NULL;
    }
    a->loop = loop;
    a->done = done;
    a->user = user;
    a->keep = order->keep;
    a->timeout_ms = order->timeout.ms;
    a->status = -1;
    uv_timer_init(loop, &a->timer);
    a->timer.data = a;
    a->handles = 1;
    r = spawn(a, order);
    if (r < 0) {
        snprintf(a->why, sizeof a->why, "could not be started: %s", uv_strerror(r));
        a->exited = true;
        uv_timer_start(&a->timer, on_linger, 0, 0);
        return a;
    }
    a->pid = a->process.pid;
    uv_timer_start(&a->timer, on_deadline, (uint64_t)order->timeout.ms, 0);
    uv_read_start((uv_stream_t *)&a->out.pipe, on_alloc, on_output);
    uv_read_start((uv_stream_t *)&a->err.pipe, on_alloc, on_output);
    return a;
}

/*
 * jobs.c - one entry per worker process, whether a child of ours or adopted from an earlier xhad.
 *
 * A child is heard of by its exit; an adopted worker is no child of ours, so the lock of its job file is
 * looked at every ADOPTED_POLL_MS. Finding and ending an adopted worker that is late: jobs_proc.c.
 */
#include "xhad/ctl/jobs.h"
#include "xhad/ctl/jobs_output.h"
#include "xhad/ctl/jobs_proc.h"
#include "xhad/ctl/clock.h"
#include "xhad/ctl/lines.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include "xhad/base/log.h"
#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define ADOPTED_POLL_MS   200
#define KILL_AFTER_MS     5000  /* from SIGTERM to SIGKILL */
#define CANCEL_MS         15000 /* what it may take a worker without a deadline to end when it is asked to */
#define PROGRESS_LINE_MAX 4096
#define LOG_BYTES_MAX     (1024 * 1024)
#define LOG_SHOWN         400 /* last bytes of a failed worker's log */

struct running {
    struct xha_jobs *jobs;
    struct running *next;
    struct xha_job job;
    char path[XHA_JOB_PATH_MAX];
    xha_jobs_done_cb *done;
    void *user;
    bool adopted, ended, late;
    char refused[XHA_JOB_MESSAGE_MAX]; /* it could not be started: why */
    uv_process_t process;
    uv_pipe_t output;
    uv_timer_t timer; /* deadline, then kill; adopted: poll */
    struct xha_lines lines;
    int64_t deadline_wall_ms; /* adopted */
    int handles;              /* open ones; the entry is freed with the last */
};

struct xha_jobs {
    uv_loop_t *loop;
    char dir[XHA_JOB_PATH_MAX];
    const char *helper;
    struct xha_jobs_told told;
    struct running *first;
    uint64_t next_question;
};

/* Called by its id of the core's; all else are questions of the daemon. A new verb has to be named here. */
static bool is_deed(enum xha_verb verb)
{
    switch (verb) {
    case XHA_VERB_START:
    case XHA_VERB_RESTORE:
    case XHA_VERB_DESTROY:
    case XHA_VERB_SHUTDOWN:
    case XHA_VERB_CHECKPOINT:
    case XHA_VERB_RESUME:
    case XHA_VERB_SCHED:
    case XHA_VERB_GATE:
    case XHA_VERB_MIGRATE:
    case XHA_VERB_RECEIVE:
    case XHA_VERB_SEND_DISKS:
    case XHA_VERB_RECEIVE_DISKS:
    case XHA_VERB_REPLICATE_IN:
    case XHA_VERB_REPLICATE_OUT:
        return true;
    case XHA_VERB_IMPORT:
    case XHA_VERB_PARSE:
    case XHA_VERB_DESCRIBE:
    case XHA_VERB_CHECKPOINTS:
    case XHA_VERB_MONITOR:
        return false;
    case XHA_VERB_NONE:
    case XHA_VERB_N_:
        break;
    }
    abort(); /* a verb that does not exist */
}

struct xha_jobs *xha_jobs_new(uv_loop_t *loop, const char *run_dir, const char *helper,
                              const struct xha_jobs_told *told, char *err, size_t err_len)
{
    struct xha_jobs *jobs = calloc(1, sizeof *jobs);
    int r;

    if (!jobs) {
        snprintf(err, err_len, "no memory");
        return NULL;
    }
    jobs->helper = helper;
    jobs->loop = loop;
    jobs->told = *told;
    r = snprintf(jobs->dir, sizeof jobs->dir, "%s/jobs", run_dir);
    /* Room for "/ID.done.tmp" behind it. */
    if (r < 0 || (size_t)r + 64 >= sizeof jobs->dir || xha_mkdir_p(jobs->dir, 0700) < 0) {
        snprintf(err, err_len, "%s/jobs: cannot be created: %s", run_dir, strerror(errno));
        xha_jobs_free(jobs);
        return NULL;
    }
    return jobs;
}

void xha_jobs_set_helper(struct xha_jobs *jobs, const char *helper)
{
    jobs->helper = helper;
}

void xha_jobs_free(struct xha_jobs *jobs)
{
    free(jobs);
}

bool xha_jobs_has(const struct xha_jobs *jobs, uint64_t id)
{
    for (const struct running *w = jobs->first; w; w = w->next)
        if (is_deed(w->job.verb) && w->job.id == id)
            return true;
    return false;
}

size_t xha_jobs_count(const struct xha_jobs *jobs)
{
    size_t n = 0;

    for (const struct running *w = jobs->first; w; w = w->next)
        n++;
    return n;
}

/* ---- the end of a worker ---- */

static void handle_closed(uv_handle_t *handle)
{
    struct running *w = handle->data;

    if (--w->handles == 0) {
        xha_lines_clear(&w->lines);
        free(w);
    }
}

static void unlink_entry(struct running *w)
{
    struct running **p = &w->jobs->first;

    while (*p != w)
        p = &(*p)->next;
    *p = w->next;
}

static void close_handle(uv_handle_t *handle)
{
    if (handle->type != UV_UNKNOWN_HANDLE && !uv_is_closing(handle))
        uv_close(handle, handle_closed);
}

static void close_handles(struct running *w)
{
    close_handle((uv_handle_t *)&w->process);
    close_handle((uv_handle_t *)&w->output);
    close_handle((uv_handle_t *)&w->timer);
}

static void remove_files(const char *job_path)
{
    static const char *const ending[] = { ".log", ".out", ".job", ".done" };
    char path[XHA_JOB_PATH_MAX];

    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++)
        if (xha_job_beside(job_path, ending[i], path, sizeof path) == 0)
            unlink(path);
}

/* The last words of a worker's log, for ours. */
static void last_words(const char *job_path, char *buf, size_t len)
{
    char path[XHA_JOB_PATH_MAX];
    XHA_CLEANUP_FREE char *text = NULL;
    size_t n = 0, from;

    if (xha_job_beside(job_path, ".log", path, sizeof path) < 0 ||
        xha_file_read(path, LOG_BYTES_MAX, &text, &n) < 0)
        return;
    while (n > 0 && text[n - 1] == '\n')
        text[--n] = '\0';
    from = n > LOG_SHOWN ? n - LOG_SHOWN : 0;
    snprintf(buf, len, "%s", text + from);
}

/* For the log; a question may be about a file instead. */
static const char *name_of(const struct running *w)
{
    return w->job.name[0] ? w->job.name : w->job.xlcfg;
}

static void read_answer(struct running *w, struct xha_job_done *done)
{
    char path[XHA_JOB_PATH_MAX], err[XHA_JOB_MESSAGE_MAX];

    *done = (struct xha_job_done){ .id = w->job.id, .result = XHA_UNKNOWN, .domid = XHA_DOMID_NONE };
    if (w->refused[0]) {
        done->result = XHA_REFUSED;
        memcpy(done->message, w->refused, sizeof done->message);
        return;
    }
    if (xha_job_beside(w->path, ".done", path, sizeof path) < 0 || access(path, F_OK) < 0) {
        snprintf(done->message, sizeof done->message, "%s",
                 w->late ? "the worker did not end within its deadline and was killed"
                         : "the worker ended without an answer");
        return;
    }
    if (xha_job_done_read(path, done, err, sizeof err) < 0)
        snprintf(done->message, sizeof done->message, "the worker's answer is unreadable: %.450s", err);
}

/* A refused question is an answer like another: whoever asked decides what to make of it. */
static void log_end(const struct running *w, const struct xha_job_done *done)
{
    bool bad = done->result == XHA_UNKNOWN || (done->result == XHA_REFUSED && is_deed(w->job.verb));
    char words[LOG_SHOWN + 1] = "";

    if (bad)
        last_words(w->path, words, sizeof words);
    xha_log(bad ? XHA_LOG_WARNING : XHA_LOG_INFO, "worker ended", XHA_S("domain", name_of(w)),
            XHA_S("verb", xha_verb_name(w->job.verb)), XHA_U("id", w->job.id),
            XHA_S("result", xha_result_name(done->result)),
            XHA_S("text", done->message[0] ? done->message : NULL), XHA_S("log", words[0] ? words : NULL));
}

static void finish(struct running *w)
{
    struct xha_job_done done;

    assert(!w->ended);
    w->ended = true;
    read_answer(w, &done);
    log_end(w, &done);
    unlink_entry(w);
    w->done(w->user, &w->job, &done);
    remove_files(w->path);
    xha_job_done_clear(&done);
    close_handles(w);
}

static void on_process_exit(uv_process_t *process, int64_t status, int signal_number)
{
    struct running *w = process->data;
    char done[XHA_JOB_PATH_MAX];

    if (status != 0 || signal_number != 0)
        xha_log(XHA_LOG_DEBUG, "worker process ended", XHA_U("id", w->job.id), XHA_I("status", status),
                XHA_I("signal", signal_number));
    /* Without an answer nothing of it may go on working behind our back. */
    if (xha_job_beside(w->path, ".done", done, sizeof done) == 0 && access(done, F_OK) < 0)
        kill(-process->pid, SIGKILL);
    finish(w);
}

/* ---- deadlines ---- */

static void on_deadline(uv_timer_t *timer)
{
    struct running *w = timer->data;

    xha_log(XHA_LOG_WARNING, w->late ? "worker does not end: killing it" : "worker is late: ending it",
            XHA_S("domain", w->job.name), XHA_S("verb", xha_verb_name(w->job.verb)), XHA_U("id", w->job.id),
            XHA_I("pid", w->process.pid));
    kill(-w->process.pid, w->late ? SIGKILL : SIGTERM);
    w->late = true;
    uv_timer_start(timer, on_deadline, KILL_AFTER_MS, 0);
}

/* ---- orders to workers ---- */

/* The worker of this deed that is still at it, or NULL. */
static struct running *worker_of(const struct xha_jobs *jobs, uint64_t id)
{
    for (struct running *w = jobs->first; w; w = w->next)
        if (is_deed(w->job.verb) && w->job.id == id && !w->ended && (w->adopted || w->process.pid > 0))
            return w;
    return NULL;
}

/* Once: to be asked again is no reprieve. */
static void end_in_time(struct running *w)
{
    if (w->adopted && w->deadline_wall_ms == INT64_MAX)
        w->deadline_wall_ms = xha_clock_wall_ms() + CANCEL_MS;
    else if (!w->adopted && !uv_is_active((uv_handle_t *)&w->timer))
        uv_timer_start(&w->timer, on_deadline, CANCEL_MS, 0);
}

void xha_jobs_cancel(struct xha_jobs *jobs, uint64_t id)
{
    struct running *w = worker_of(jobs, id);

    if (!w)
        return;
    xha_log(XHA_LOG_INFO, "worker is asked to end", XHA_S("domain", w->job.name),
            XHA_S("verb", xha_verb_name(w->job.verb)), XHA_U("id", id));
    if (w->adopted)
        xha_jobs_proc_kill(w->path, SIGTERM);
    else
        kill(-w->process.pid, SIGTERM);
    if (w->job.deadline_ms == 0)
        end_in_time(w);
}

void xha_jobs_promote(struct xha_jobs *jobs, uint64_t id)
{
    struct running *w = worker_of(jobs, id);

    if (!w || w->job.verb != XHA_VERB_REPLICATE_IN)
        return;
    xha_log(XHA_LOG_INFO, "worker is told to promote its copy", XHA_S("domain", w->job.name),
            XHA_U("id", id));
    if (w->adopted)
        xha_jobs_proc_tell(w->path, SIGUSR1);
    else
        kill(w->process.pid, SIGUSR1);
}

/* ---- what they tell ---- */

static void on_line(void *user, const char *line, size_t len)
{
    struct running *w = user;
    const struct xha_jobs_told *told = &w->jobs->told;
    struct xha_job_epoch epoch;
    struct xha_job_pace pace;
    char step[64];
    uint64_t done, total;

    if (xha_job_progress_parse(line, len, step, sizeof step, &done, &total))
        told->progress(told->user, &w->job, step, done, total,
                       xha_job_progress_parse_pace(line, len, &pace) ? &pace : NULL);
    else if (w->job.verb == XHA_VERB_REPLICATE_OUT && xha_job_epoch_parse(line, len, &epoch))
        told->epoch(told->user, &w->job, &epoch);
}

static void on_output(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct running *w = stream->data;

    if (n > 0 && !w->ended)
        xha_lines_feed(&w->lines, buf->base, (size_t)n, PROGRESS_LINE_MAX, on_line, w);
    else if (n < 0)
        uv_read_stop(stream);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static char room[4096]; /* used up before the next read: the loop has one thread */

    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(room, sizeof room);
}

static void read_output(struct running *w)
{
    uv_read_start((uv_stream_t *)&w->output, on_alloc, on_output);
}

/* The entry owns fd, whatever comes of it. */
static int take_output(struct running *w, int fd)
{
    int r;

    uv_pipe_init(w->jobs->loop, &w->output, 0);
    w->output.data = w;
    w->handles++;
    r = uv_pipe_open(&w->output, fd);
    if (r < 0)
        close(fd);
    return r;
}

static void on_refused(uv_timer_t *timer)
{
    finish(timer->data);
}

/* ---- start ---- */

static struct running *entry_new(struct xha_jobs *jobs, const struct xha_job *job, xha_jobs_done_cb *done,
                                 void *user)
{
    struct running *w = calloc(1, sizeof *w);

    if (!w)
        abort(); /* a deed that can neither be done nor answered: better a clean start */
    w->jobs = jobs;
    w->job = *job;
    w->done = done;
    w->user = user;
    uv_timer_init(jobs->loop, &w->timer);
    w->timer.data = w;
    w->handles = 1;
    w->next = jobs->first;
    jobs->first = w;
    return w;
}

/* Writes and locks the job file: its descriptor, or -1 with a text. */
static int prepare(struct running *w)
{
    XHA_CLEANUP_CLOSE int fd = -1;

    if (xha_job_write(w->path, &w->job, w->refused, sizeof w->refused) < 0)
        return -1;
    fd = open(w->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
        snprintf(w->refused, sizeof w->refused, "%.200s: cannot be locked: %s", w->path, strerror(errno));
        return -1;
    }
    return xha_steal_fd(&fd);
}

static int spawn(struct running *w, int lock_fd, int output_fd, int log_fd)
{
    char work[] = "work", helper[XHA_JOB_PATH_MAX];
    char *argv[] = { helper, work, w->path, NULL };
    uv_stdio_container_t io[4] = {
        { .flags = UV_IGNORE },
        { .flags = UV_INHERIT_FD, .data.fd = output_fd },
        { .flags = UV_INHERIT_FD, .data.fd = log_fd },
        { .flags = UV_INHERIT_FD, .data.fd = lock_fd },
    };
    uv_process_options_t options = {
        .exit_cb = on_process_exit,
        .file = helper,
        .args = argv,
        .flags = UV_PROCESS_DETACHED,
        .stdio = io,
        .stdio_count = 4,
    };

    snprintf(helper, sizeof helper, "%s", w->jobs->helper);
    w->process.data = w;
    w->handles++; /* a failed uv_spawn() leaves a process handle to be closed as well */
    return uv_spawn(w->jobs->loop, &w->process, &options);
}

static int try_start(struct running *w)
{
    XHA_CLEANUP_CLOSE int lock_fd = prepare(w);
    XHA_CLEANUP_CLOSE int log_fd = -1, output_fd = -1;
    char log[XHA_JOB_PATH_MAX];
    int r, reader;

    if (lock_fd < 0)
        return -1;
    if (xha_job_beside(w->path, ".log", log, sizeof log) == 0)
        log_fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (log_fd < 0) {
        snprintf(w->refused, sizeof w->refused, "%.200s: cannot be written: %s", log, strerror(errno));
        return -1;
    }
    if (xha_jobs_output_make(w->path, &reader, &output_fd) < 0 || take_output(w, reader) < 0) {
        snprintf(w->refused, sizeof w->refused, "%.200s: no FIFO can be made beside it: %s", w->path,
                 strerror(errno));
        return -1;
    }
    r = spawn(w, lock_fd, output_fd, log_fd);
    xha_jobs_output_given(output_fd);
    if (r < 0) {
        snprintf(w->refused, sizeof w->refused,
                 "%.200s: cannot be started: %s. Is `helper` in xhad.conf right?", w->jobs->helper,
                 uv_strerror(r));
        return -1;
    }
    return 0;
}

void xha_jobs_start(struct xha_jobs *jobs, struct xha_job *job, xha_jobs_done_cb *done, void *user)
{
    bool question = !is_deed(job->verb);
    struct running *w;

    if (question)
        job->id = ++jobs->next_question;
    w = entry_new(jobs, job, done, user);
    if (question)
        snprintf(w->path, sizeof w->path, "%.900s/q-%ld-%" PRIu64 ".job", jobs->dir, (long)getpid(), job->id);
    else
        snprintf(w->path, sizeof w->path, "%.900s/%" PRIu64 ".job", jobs->dir, job->id);
    if (try_start(w) < 0) {
        uv_timer_start(&w->timer, on_refused, 0, 0);
        return;
    }
    xha_log(XHA_LOG_INFO, "worker started", XHA_S("domain", name_of(w)),
            XHA_S("verb", xha_verb_name(job->verb)), XHA_U("id", job->id), XHA_I("pid", w->process.pid),
            XHA_U("term", job->term));
    read_output(w);
    if (job->deadline_ms > 0)
        uv_timer_start(&w->timer, on_deadline, (uint64_t)job->deadline_ms, 0);
}

/* ---- adoption ---- */

static void on_poll(uv_timer_t *timer)
{
    struct running *w = timer->data;
    char done[XHA_JOB_PATH_MAX];
    int64_t now = xha_clock_wall_ms();

    if (xha_job_beside(w->path, ".done", done, sizeof done) == 0 && access(done, F_OK) == 0) {
        finish(w);
        return;
    }
    if (xha_job_is_locked(w->path) != 1) {
        /* It may have answered and gone between the two looks. */
        finish(w);
        return;
    }
    if (now < w->deadline_wall_ms)
        return;
    xha_log(XHA_LOG_WARNING, "adopted worker is late: ending it", XHA_S("domain", w->job.name),
            XHA_U("id", w->job.id));
    xha_jobs_proc_kill(w->path, w->late ? SIGKILL : SIGTERM);
    w->late = true;
    w->deadline_wall_ms = now + KILL_AFTER_MS;
}

static void adopt(struct xha_jobs *jobs, const char *path, const struct xha_job *job, xha_jobs_done_cb *done,
                  void *user)
{
    struct running *w = entry_new(jobs, job, done, user);
    struct stat st;
    int reader;

    snprintf(w->path, sizeof w->path, "%s", path);
    w->adopted = true;
    reader = xha_jobs_output_open(path);
    if (reader >= 0 && take_output(w, reader) == 0)
        read_output(w);
    w->deadline_wall_ms = INT64_MAX;
    if (stat(path, &st) == 0 && job->deadline_ms > 0)
        w->deadline_wall_ms = (int64_t)st.st_mtime * 1000 + job->deadline_ms;
    xha_log(XHA_LOG_INFO, "job of an earlier xhad taken over", XHA_S("domain", job->name),
            XHA_S("verb", xha_verb_name(job->verb)), XHA_U("id", job->id));
    uv_timer_start(&w->timer, on_poll, 0, ADOPTED_POLL_MS);
}

static void adopt_file(struct xha_jobs *jobs, const char *path, xha_jobs_done_cb *done, void *user)
{
    char err[XHA_JOB_MESSAGE_MAX];
    struct xha_job job;

    if (xha_job_read(path, &job, err, sizeof err) < 0) {
        xha_log(XHA_LOG_WARNING, "a job file is unreadable and is removed; what it did is looked up",
                XHA_S("error", err));
        remove_files(path);
    } else if (!is_deed(job.verb)) {
        remove_files(path);
    } else {
        adopt(jobs, path, &job, done, user);
    }
}

void xha_jobs_adopt(struct xha_jobs *jobs, xha_jobs_done_cb *done, void *user)
{
    XHA_CLEANUP_CLOSEDIR DIR *dir = opendir(jobs->dir);
    const struct dirent *e;

    while (dir && (e = readdir(dir))) {
        char path[XHA_JOB_PATH_MAX + 256], job[XHA_JOB_PATH_MAX];
        const char *dot = strrchr(e->d_name, '.');

        snprintf(path, sizeof path, "%s/%s", jobs->dir, e->d_name);
        if (dot && strcmp(dot, ".job") == 0 && strlen(path) < sizeof job)
            adopt_file(jobs, path, done, user);
        else if (dot && (strcmp(dot, ".tmp") == 0 || strncmp(e->d_name, "q-", 2) == 0))
            unlink(path);
    }
}

void xha_jobs_close(struct xha_jobs *jobs)
{
    while (jobs->first) {
        struct running *w = jobs->first;

        unlink_entry(w);
        w->ended = true;
        close_handles(w);
    }
}

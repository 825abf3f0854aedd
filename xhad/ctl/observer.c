/*
 * observer.c - the observer's life: spawn, read, judge its silence, end, spawn again.
 */
#include "xhad/ctl/observer.h"
#include "xhad/ctl/lines.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/log.h"
#include <signal.h>
#include <string.h>

#define BACKOFF_MIN_MS  100
#define BACKOFF_MAX_MS  10000
#define SILENCE_MIN_MS  15000 /* without a round for so long, or ten rounds: it is stuck */
#define READ_AT_ONCE    4096  /* messages per wake-up */
#define STDERR_LINE_MAX 1024

/* One run of the program. It outlives its observer's interest until its handles are closed. */
struct child {
    struct xha_observer *o; /* NULL: no longer of interest */
    uv_process_t process;
    uv_poll_t poll;
    uv_pipe_t errors;
    struct xha_lines lines;
    int fd;
    int handles;
};

struct xha_observer {
    uv_loop_t *loop;
    struct xha_observer_ops ops;
    void *user;
    const char *helper;
    struct xha_span interval;
    struct child *child;
    uv_timer_t again;  /* pause before the next start */
    uv_timer_t silent; /* no round for too long */
    unsigned failures; /* in a row, without a round in between */
    bool closing;
    char version[XHA_OBS_WORD_MAX], scheduler[XHA_OBS_WORD_MAX];
};

static void start(struct xha_observer *o);

struct xha_observer *xha_observer_new(uv_loop_t *loop, const struct xha_observer_ops *ops, void *user)
{
    struct xha_observer *o = calloc(1, sizeof *o);

    if (!o)
        return NULL;
    o->loop = loop;
    o->ops = *ops;
    o->user = user;
    uv_timer_init(loop, &o->again);
    uv_timer_init(loop, &o->silent);
    o->again.data = o->silent.data = o;
    return o;
}

void xha_observer_free(struct xha_observer *o)
{
    free(o);
}

/* ---- the end of a run ---- */

static void handle_closed(uv_handle_t *handle)
{
    struct child *c = handle->data;

    if (--c->handles > 0)
        return;
    if (c->fd >= 0)
        close(c->fd);
    xha_lines_clear(&c->lines);
    free(c);
}

static void close_handle(uv_handle_t *handle)
{
    if (handle->type != UV_UNKNOWN_HANDLE && !uv_is_closing(handle))
        uv_close(handle, handle_closed);
}

static void on_again(uv_timer_t *timer)
{
    start(timer->data);
}

/* Forgets the run that is, and begins another after a pause. */
static void down(struct xha_observer *o, const char *why)
{
    struct child *c = o->child;
    uint64_t pause = BACKOFF_MIN_MS;

    if (c) {
        c->o = NULL;
        close_handle((uv_handle_t *)&c->poll);
        close_handle((uv_handle_t *)&c->errors);
        /* One that still runs is closed by on_process_exit(): libuv reaps only what is open. */
        if (uv_is_active((uv_handle_t *)&c->process))
            uv_process_kill(&c->process, SIGKILL);
        else
            close_handle((uv_handle_t *)&c->process);
    }
    o->child = NULL;
    uv_timer_stop(&o->silent);
    if (o->closing)
        return;
    o->failures++;
    for (unsigned i = 1; i < o->failures && pause < BACKOFF_MAX_MS; i++)
        pause *= 2;
    if (pause > BACKOFF_MAX_MS)
        pause = BACKOFF_MAX_MS;
    xha_log(XHA_LOG_WARNING, "observer is down: nothing is judged until it is back", XHA_S("why", why),
            XHA_U("again_in_ms", pause), XHA_U("in_a_row", o->failures));
    uv_timer_start(&o->again, on_again, pause, 0);
    o->ops.down(o->user, why, o->failures);
}

static void on_process_exit(uv_process_t *process, int64_t status, int signal_number)
{
    struct child *c = process->data;
    char why[80];

    if (c->o) {
        snprintf(why, sizeof why, "it ended with status %d, signal %d", (int)status, signal_number);
        down(c->o, why); /* closes the handle: it is no longer active */
    } else {
        close_handle((uv_handle_t *)process);
    }
}

static void on_silent(uv_timer_t *timer)
{
    down(timer->data, "it has been silent for too long");
}

static void expect_a_round(struct xha_observer *o)
{
    int64_t ms = 10 * o->interval.ms;

    uv_timer_start(&o->silent, on_silent, (uint64_t)(ms > SILENCE_MIN_MS ? ms : SILENCE_MIN_MS), 0);
}

/* ---- what it says ---- */

static void take(struct xha_observer *o, const struct xha_obs *obs)
{
    if (obs->type == XHA_OBS_READY) {
        snprintf(o->version, sizeof o->version, "%s", obs->u.ready.version);
        snprintf(o->scheduler, sizeof o->scheduler, "%s", obs->u.ready.scheduler);
        xha_log(XHA_LOG_INFO, "observer is up", XHA_S("xen", o->version), XHA_S("scheduler", o->scheduler));
    } else if (obs->type == XHA_OBS_ROUND) {
        o->failures = 0;
        expect_a_round(o);
    }
    o->ops.told(o->user, obs);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct child *c = poll->data;
    struct xha_obs obs;

    (void)status;
    (void)events;
    /* told() may end this run: c->o is looked at each time. */
    for (int i = 0; i < READ_AT_ONCE && c->o; i++) {
        int rc = xha_obs_recv(c->fd, &obs);

        if (rc == XHA_OBS_E_AGAIN)
            return;
        if (rc == XHA_OBS_E_BAD) {
            down(c->o, "it sent a message that is not understood: is the helper of this release?");
            return;
        }
        if (rc < 0) {
            down(c->o, "it closed its connection");
            return;
        }
        take(c->o, &obs);
    }
}

static void on_error_line(void *user, const char *line, size_t len)
{
    char text[STDERR_LINE_MAX + 1];

    (void)user;
    snprintf(text, sizeof text, "%.*s", (int)len, line);
    xha_log(XHA_LOG_WARNING, "observer says", XHA_S("text", text));
}

static void on_error_output(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct child *c = stream->data;

    if (n > 0)
        xha_lines_feed(&c->lines, buf->base, (size_t)n, STDERR_LINE_MAX, on_error_line, NULL);
    else if (n < 0)
        uv_read_stop(stream);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static char room[4096];

    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(room, sizeof room);
}

/* ---- what it is told ---- */

static void tell(struct xha_observer *o, const struct xha_obs *obs)
{
    int rc;

    if (!o->child)
        return;
    rc = xha_obs_send(o->child->fd, obs);
    if (rc == XHA_OBS_E_AGAIN)
        down(o, "it does not read what it is told");
    else if (rc == XHA_OBS_E_BAD)
        xha_log(XHA_LOG_ERROR, "a message to the observer is out of range and was not sent",
                XHA_I("type", obs->type));
    /* A closed connection is heard of by on_readable() or on_process_exit(), with its reason. */
}

void xha_observer_set_helper(struct xha_observer *o, const char *helper)
{
    o->helper = helper;
}

void xha_observer_set_interval(struct xha_observer *o, struct xha_span round_interval)
{
    struct xha_obs obs = { .type = XHA_OBS_CONFIG, .u.config.round_interval_ms = round_interval.ms };

    o->interval = round_interval;
    tell(o, &obs);
}

void xha_observer_track(struct xha_observer *o, const struct xha_uuid *uuid, bool beats)
{
    struct xha_obs obs = { .type = XHA_OBS_TRACK, .uuid = *uuid };

    if (beats)
        strcpy(obs.u.track.key, XHA_OBS_KEY);
    tell(o, &obs);
}

void xha_observer_untrack(struct xha_observer *o, const struct xha_uuid *uuid)
{
    tell(o, &(struct xha_obs){ .type = XHA_OBS_UNTRACK, .uuid = *uuid });
}

void xha_observer_look(struct xha_observer *o)
{
    tell(o, &(struct xha_obs){ .type = XHA_OBS_LOOK });
}

void xha_observer_probe(struct xha_observer *o, const struct xha_uuid *uuid, int32_t domid)
{
    tell(o, &(struct xha_obs){ .type = XHA_OBS_PROBE, .uuid = *uuid, .u.probe.domid = domid });
}

const char *xha_observer_version(const struct xha_observer *o)
{
    return o->version;
}

const char *xha_observer_scheduler(const struct xha_observer *o)
{
    return o->scheduler;
}

/* ---- start and end ---- */

static int spawn(struct child *c, const char *helper, int theirs)
{
    char observe[] = "observe";
    char program[1024];
    char *argv[] = { program, observe, NULL };
    uv_stdio_container_t io[4] = {
        { .flags = UV_IGNORE },
        { .flags = UV_IGNORE },
        { .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&c->errors },
        { .flags = UV_INHERIT_FD, .data.fd = theirs },
    };
    uv_process_options_t options = {
        .exit_cb = on_process_exit,
        .file = program,
        .args = argv,
        .stdio = io,
        .stdio_count = 4,
    };

    snprintf(program, sizeof program, "%s", helper);
    uv_pipe_init(c->o->loop, &c->errors, 0);
    c->errors.data = c->process.data = c;
    c->handles = 2;
    return uv_spawn(c->o->loop, &c->process, &options);
}

static int start_child(struct xha_observer *o, char *why, size_t why_len)
{
    XHA_CLEANUP_CLOSE int theirs = -1;
    struct child *c = calloc(1, sizeof *c);
    int ours, r;

    if (!c || xha_obs_pair(&ours, &theirs) < 0) {
        snprintf(why, why_len, "no connection could be made: %s", strerror(errno));
        free(c);
        return -1;
    }
    c->o = o;
    c->fd = ours;
    o->child = c;
    r = spawn(c, o->helper, theirs);
    if (r == 0) {
        uv_poll_init(o->loop, &c->poll, c->fd);
        c->poll.data = c;
        c->handles++;
        r = uv_poll_start(&c->poll, UV_READABLE | UV_DISCONNECT, on_readable);
    }
    if (r < 0) {
        snprintf(why, why_len, "%.300s cannot be started: %s. Is `helper` in xhad.conf right?", o->helper,
                 uv_strerror(r));
        return -1;
    }
    uv_read_start((uv_stream_t *)&c->errors, on_alloc, on_error_output);
    return 0;
}

static void start(struct xha_observer *o)
{
    char why[512];

    if (start_child(o, why, sizeof why) < 0) {
        down(o, why);
        return;
    }
    expect_a_round(o);
    xha_observer_set_interval(o, o->interval);
    o->ops.up(o->user);
}

void xha_observer_start(struct xha_observer *o, const char *helper, struct xha_span round_interval)
{
    o->helper = helper;
    o->interval = round_interval;
    start(o);
}

void xha_observer_close(struct xha_observer *o)
{
    o->closing = true;
    down(o, "xhad ends");
    uv_close((uv_handle_t *)&o->again, NULL);
    uv_close((uv_handle_t *)&o->silent, NULL);
}

/*
 * control.c - the socket, its clients, their lines.
 */
#include "xhad/ctl/control.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/log.h"
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define CLIENTS_MAX 64
#define BACKLOG     64
#define REQUEST_MS  10000             /* from the first byte of a request to its last */
#define UNREAD_MAX  (4 * 1024 * 1024) /* bytes that a client may leave unread */
#define FAREWELL_MS 1000              /* for the last words to a client that is dropped */
#define INPUT_BYTES 65536

struct client {
    struct xha_control *control;
    struct client *next;
    uint64_t id;
    uv_pipe_t pipe;
    uv_timer_t timer;
    int handles;
    char *in;                        /* what has come and was not yet taken */
    size_t in_from, in_len, in_room; /* in_len bytes from in + in_from on */
    bool taking;                     /* its lines are being taken: an answer need not start that */
    bool busy;                       /* a request of it waits for its answer */
    bool follow;                     /* it gets events */
    bool leaving;
    char follow_uuid[40]; /* only those of this domain; "": all */
};

struct xha_control {
    uv_loop_t *loop;
    uv_pipe_t listener;
    char path[128];
    struct client *first;
    size_t n;
    uint64_t last_id;
    xha_control_cb *request;
    void *user;
};

static void take_lines(struct client *c);
static void on_late(uv_timer_t *timer);

/* ---- clients come and go ---- */

static void handle_closed(uv_handle_t *handle)
{
    struct client *c = handle->data;

    if (--c->handles > 0)
        return;
    free(c->in);
    free(c);
}

static void drop(struct client *c)
{
    struct client **p = &c->control->first;

    if (uv_is_closing((uv_handle_t *)&c->pipe))
        return;
    while (*p != c)
        p = &(*p)->next;
    *p = c->next;
    c->control->n--;
    uv_close((uv_handle_t *)&c->pipe, handle_closed);
    uv_close((uv_handle_t *)&c->timer, handle_closed);
}

static void on_leave(uv_timer_t *timer)
{
    drop(timer->data);
}

/* Nothing more is taken from it; it has a moment to read what it was told. */
static void leave(struct client *c)
{
    c->leaving = true;
    uv_read_stop((uv_stream_t *)&c->pipe);
    uv_timer_start(&c->timer, on_leave, FAREWELL_MS, 0);
}

static struct client *find(const struct xha_control *control, uint64_t id)
{
    for (struct client *c = control->first; c; c = c->next)
        if (c->id == id)
            return c;
    return NULL;
}

bool xha_control_is_there(const struct xha_control *control, uint64_t client)
{
    return find(control, client) != NULL;
}

/* ---- what goes out ---- */

struct line {
    uv_write_t request;
    size_t len;
    char *text;
};

static void on_written(uv_write_t *request, int status)
{
    struct line *line = (struct line *)request; /* its first member */
    struct client *c = request->handle->data;

    free(line->text);
    free(line);
    if (status < 0 && status != UV_ECANCELED)
        drop(c);
    else if (c->leaving && uv_stream_get_write_queue_size((uv_stream_t *)&c->pipe) == 0)
        drop(c);
}

/* Takes over text. */
static void write_text(struct client *c, char *text)
{
    struct line *line = calloc(1, sizeof *line);
    uv_buf_t buf;

    if (!line || !text) {
        free(line);
        free(text);
        drop(c);
        return;
    }
    line->text = text;
    line->len = strlen(text);
    text[line->len] = '\n'; /* in place of the NUL */
    buf = uv_buf_init(text, (unsigned)line->len + 1);
    if (uv_write(&line->request, (uv_stream_t *)&c->pipe, &buf, 1, on_written) < 0) {
        free(line->text);
        free(line);
        drop(c);
    }
}

/* Takes over json. */
static void send_json(struct client *c, json_t *json)
{
    char *text = NULL;

    if (json) {
        json_object_set_new(json, "v", json_integer(XHA_REQUEST_VERSION));
        text = json_dumps(json, JSON_COMPACT);
    }
    json_decref(json);
    if (c->leaving || uv_is_closing((uv_handle_t *)&c->pipe)) {
        free(text);
        return;
    }
    if (uv_stream_get_write_queue_size((uv_stream_t *)&c->pipe) > UNREAD_MAX) {
        xha_log(XHA_LOG_WARNING, "a client does not read what it is told: it is dropped",
                XHA_U("client", c->id));
        free(text);
        text = strdup("{\"v\":1,\"ok\":false,\"error\":{\"code\":\"too-slow\",\"message\":\"you read too "
                      "slowly and were "
                      "dropped; ask again\"}}");
        write_text(c, text);
        leave(c);
        return;
    }
    write_text(c, text);
}

static json_t *error_json(const char *code, const char *message, const char *hint)
{
    json_t *error = json_pack("{s:s, s:s}", "code", code, "message", message);

    /* A message that quotes bytes which are no UTF-8. */
    if (!error)
        error = json_pack("{s:s, s:s}", "code", code, "message", "(not printable)");
    if (hint)
        json_object_set_new(error, "hint", json_string(hint));
    return json_pack("{s:b, s:o}", "ok", 0, "error", error);
}

static void answer(struct xha_control *control, uint64_t id, json_t *json)
{
    struct client *c = find(control, id);

    if (!c) {
        json_decref(json);
        return;
    }
    c->busy = false;
    send_json(c, json);
    if (c->in_len > 0 && !uv_is_closing((uv_handle_t *)&c->pipe) && !c->leaving)
        uv_timer_start(&c->timer, on_late, REQUEST_MS, 0);
    if (!c->taking)
        take_lines(c);
}

void xha_control_ok(struct xha_control *control, uint64_t client, json_t *result)
{
    answer(control, client, json_pack("{s:b, s:o}", "ok", 1, "result", result ? result : json_object()));
}

void xha_control_error(struct xha_control *control, uint64_t client, const char *code, const char *message,
                       const char *hint)
{
    answer(control, client, error_json(code, message, hint));
}

void xha_control_tell(struct xha_control *control, uint64_t client, json_t *line)
{
    struct client *c = find(control, client);

    if (c)
        send_json(c, line);
    else
        json_decref(line);
}

void xha_control_follow(struct xha_control *control, uint64_t client, const char *uuid)
{
    struct client *c = find(control, client);

    if (!c)
        return;
    c->follow = true;
    snprintf(c->follow_uuid, sizeof c->follow_uuid, "%s", uuid);
}

void xha_control_event(struct xha_control *control, const json_t *event)
{
    const char *uuid = json_string_value(json_object_get(event, "uuid"));

    for (struct client *c = control->first, *next; c; c = next) {
        next = c->next;
        if (c->follow && (!c->follow_uuid[0] || (uuid && strcmp(uuid, c->follow_uuid) == 0)))
            send_json(c, json_pack("{s:O}", "event", event));
    }
}

/* ---- what comes in ---- */

static void refuse(struct client *c, const char *code, const char *message)
{
    send_json(c, error_json(code, message, NULL));
    leave(c);
}

static void take_line(struct client *c, const char *line, size_t len)
{
    struct xha_control_request request;
    const char *code;
    char text[256];

    if (xha_request_parse(line, len, &request, &code, text, sizeof text) < 0) {
        send_json(c, error_json(code, text, NULL));
        return;
    }
    c->busy = true;
    c->control->request(c->control->user, c->id, &request);
    xha_request_clear(&request);
}

/* As many requests as can be answered at once; the first that waits keeps the rest waiting. */
static void take_lines(struct client *c)
{
    c->taking = true;
    while (!c->busy && !c->follow && !c->leaving && !uv_is_closing((uv_handle_t *)&c->pipe)) {
        char *line = c->in + c->in_from;
        char *newline = c->in_len ? memchr(line, '\n', c->in_len) : NULL;
        size_t len;

        if (!newline)
            break;
        len = (size_t)(newline - line);
        c->in_from += len + 1;
        c->in_len -= len + 1;
        if (c->in_len == 0)
            uv_timer_stop(&c->timer);
        take_line(c, line, len);
    }
    c->taking = false;
    if (c->in_from > 0 && c->in_len > 0)
        memmove(c->in, c->in + c->in_from, c->in_len);
    c->in_from = 0;
}

static void on_late(uv_timer_t *timer)
{
    struct client *c = timer->data;

    if (c->busy || c->follow)
        return; /* it is we who are slow */
    refuse(c, "too-slow", "a request must arrive within ten seconds of its first byte");
}

static bool keep(struct client *c, const char *data, size_t len)
{
    if (c->in_len + len > XHA_REQUEST_BYTES_MAX)
        return false;
    if (c->in_len + len > c->in_room) {
        size_t room = 2 * (c->in_len + len);
        char *grown = realloc(c->in, room);

        if (!grown)
            return false;
        c->in = grown;
        c->in_room = room;
    }
    /* take_lines() has left in_from at 0. */
    memcpy(c->in + c->in_len, data, len);
    c->in_len += len;
    return true;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct client *c = stream->data;

    if (n < 0) {
        drop(c);
        return;
    }
    if (n == 0 || c->leaving)
        return;
    if (c->in_len == 0)
        uv_timer_start(&c->timer, on_late, REQUEST_MS, 0);
    if (!keep(c, buf->base, (size_t)n)) {
        refuse(c, "too-long", "a request has at most 1 MiB");
        return;
    }
    take_lines(c);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static char room[INPUT_BYTES];

    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(room, sizeof room);
}

/* ---- the socket ---- */

static bool is_permitted(uv_pipe_t *pipe)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    uv_os_fd_t fd;

    if (uv_fileno((uv_handle_t *)pipe, &fd) < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return false;
    if (peer.uid == 0 || peer.uid == geteuid())
        return true;
    xha_log(XHA_LOG_WARNING, "somebody who may not has asked", XHA_U("uid", peer.uid),
            XHA_I("pid", peer.pid));
    return false;
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct xha_control *control = listener->data;
    struct client *c;

    if (status < 0)
        return;
    c = calloc(1, sizeof *c);
    if (!c)
        return;
    c->control = control;
    c->id = ++control->last_id;
    uv_pipe_init(control->loop, &c->pipe, 0);
    uv_timer_init(control->loop, &c->timer);
    c->pipe.data = c->timer.data = c;
    c->handles = 2;
    c->next = control->first;
    control->first = c;
    control->n++;
    if (uv_accept(listener, (uv_stream_t *)&c->pipe) < 0)
        drop(c);
    else if (!is_permitted(&c->pipe))
        refuse(c, "not-permitted", "only root may talk to xhad");
    else if (control->n > CLIENTS_MAX)
        refuse(c, "busy", "too many clients at once; try again");
    else
        uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read);
}

static int listen_at(struct xha_control *control)
{
    mode_t before = umask(0177);
    int r = uv_pipe_bind(&control->listener, control->path);

    umask(before);
    return r < 0 ? r : uv_listen((uv_stream_t *)&control->listener, BACKLOG, on_connection);
}

struct xha_control *xha_control_new(uv_loop_t *loop, const char *run_dir, xha_control_cb *request, void *user,
                                    char *err, size_t err_len)
{
    struct xha_control *control = calloc(1, sizeof *control);
    int r = control ? snprintf(control->path, sizeof control->path, "%s/control.sock", run_dir) : -1;

    if (r < 0 || (size_t)r >= sizeof control->path) {
        snprintf(err, err_len, "%s: %s", run_dir, control ? "too long for a socket's path" : "no memory");
        free(control);
        return NULL;
    }
    control->loop = loop;
    control->request = request;
    control->user = user;
    uv_pipe_init(loop, &control->listener, 0);
    control->listener.data = control;
    /* One of an earlier xhad: the lock of the pid file says that it is gone. */
    unlink(control->path);
    r = listen_at(control);
    if (r < 0) {
        snprintf(err, err_len, "%s: cannot be listened at: %s", control->path, uv_strerror(r));
        xha_control_close(control);
        uv_run(loop, UV_RUN_NOWAIT);
        free(control);
        return NULL;
    }
    return control;
}

void xha_control_close(struct xha_control *control)
{
    unlink(control->path);
    uv_close((uv_handle_t *)&control->listener, NULL);
    while (control->first)
        drop(control->first);
}

void xha_control_free(struct xha_control *control)
{
    free(control);
}

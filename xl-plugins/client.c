/*
 * client.c - one request to xhad and its answer: lines of JSON, bounded in length and in time.
 */
#include "xl-plugins/xl-ha.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "xhad/base/cleanup.h"
#include "xhad/base/text.h"

#define ANSWER_MAX       (32 * 1024 * 1024) /* the list of as many domains as xhad can hold */
#define QUESTION_TIMEOUT 30000 /* ms for what needs no work; work may take as long as xhad lets it */

struct conversation {
    struct xlha *x;
    int fd;
    char *data; /* what has come; a line begins at its start */
    size_t len, room;
    int64_t deadline_ms;  /* 0: none */
    const char *expected; /* an error's code that is no failure, NULL: none */
};

static char last_failure[4096];
static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
    (void)sig;
    interrupted = 1;
}

int xlha_fail(int code, const char *fmt, ...)
{
    char message[2048], safe[4096];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);
    xlha_progress_end();
    fflush(stdout);
    fprintf(stderr, "xl-ha: %s\n", xha_text_escape(safe, sizeof(safe), message));
    memcpy(last_failure, safe, sizeof(safe));
    return code;
}

const char *xlha_last_failure(void)
{
    return last_failure;
}

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* Waits until the socket is readable. */
static int wait_readable(const struct conversation *c)
{
    for (;;) {
        struct pollfd p = { .fd = c->fd, .events = POLLIN };
        int64_t left = c->deadline_ms ? c->deadline_ms - now_ms() : -1;
        int r;

        if (c->deadline_ms && left <= 0)
            return xlha_fail(XLHA_TIMEOUT,
                             "no answer from xhad in time; if something was ordered it may still "
                             "be done: see xl-ha list");
        r = poll(&p, 1, (int)left);
        if (r > 0)
            return XLHA_DONE;
        if (interrupted) {
            interrupted = 0;
            signal(SIGINT, SIG_DFL); /* the second time it is for us */
            c->x->interrupt(c->x);
        }
        if (r < 0 && errno != EINTR)
            return xlha_fail(XLHA_UNREACHABLE, "cannot wait for xhad: %s", strerror(errno));
    }
}

static int make_room(struct conversation *c)
{
    size_t room = c->room ? 2 * c->room : 65536;
    char *data;

    if (c->len < c->room)
        return XLHA_DONE;
    if (room > ANSWER_MAX)
        return xlha_fail(XLHA_FAILED, "xhad's answer is longer than %d MiB: given up", ANSWER_MAX >> 20);
    data = realloc(c->data, room);
    if (!data)
        return xlha_fail(XLHA_FAILED, "out of memory");
    c->data = data;
    c->room = room;
    return XLHA_DONE;
}

/* Reads until a whole line is at the start of data: *len_r bytes with its newline. */
static int read_line(struct conversation *c, size_t *len_r)
{
    size_t seen = 0;
    int rc;

    for (;;) {
        char *end = c->len > seen ? memchr(c->data + seen, '\n', c->len - seen) : NULL;
        ssize_t r;

        if (end) {
            *len_r = (size_t)(end - c->data) + 1;
            return XLHA_DONE;
        }
        seen = c->len;
        rc = make_room(c);
        if (!rc)
            rc = wait_readable(c);
        if (rc)
            return rc;
        r = read(c->fd, c->data + c->len, c->room - c->len);
        if (r > 0)
            c->len += (size_t)r;
        else if (r == 0 || errno == ECONNRESET)
            return xlha_fail(
                XLHA_UNREACHABLE,
                "xhad closed the connection; what was ordered may still be done: see xl-ha list");
        else if (errno != EINTR)
            return xlha_fail(XLHA_UNREACHABLE, "cannot read from xhad: %s", strerror(errno));
    }
}

/* The next line as an object. */
static int read_object(struct conversation *c, json_t **object_r)
{
    char shown[80];
    json_error_t error;
    json_t *object;
    size_t len = 0;
    int rc;

    rc = read_line(c, &len);
    if (rc)
        return rc;
    if (c->x->verbose > 1)
        fprintf(stderr, "< %s\n", xha_text_escape_bytes(shown, sizeof(shown), c->data, len - 1));
    object = json_loadb(c->data, len - 1, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(object)) {
        json_decref(object);
        return xlha_fail(XLHA_FAILED, "this is no answer of xhad: %.*s", (int)(len - 1 < 60 ? len - 1 : 60),
                         c->data);
    }
    c->len -= len;
    memmove(c->data, c->data + len, c->len);
    if (xlha_int(object, "v", 0) != XLHA_VERSION) {
        rc = xlha_fail(XLHA_FAILED,
                       "xhad speaks version %lld of the protocol, this xl-ha version %d: "
                       "install both from the same release",
                       (long long)xlha_int(object, "v", 0), XLHA_VERSION);
        json_decref(object);
        return rc;
    }
    *object_r = object;
    return XLHA_DONE;
}

static int send_request(struct conversation *c, const char *cmd, json_t *args)
{
    XHA_CLEANUP_FREE char *text = NULL;
    json_t *request;
    size_t len, done = 0;

    request = json_pack("{s:i, s:s, s:o, s:b, s:b}", "v", XLHA_VERSION, "cmd", cmd, "args",
                        args ? args : json_object(), "dry_run", (int)c->x->dry_run, "wait",
                        (int)(!c->x->no_wait && (c->x->command->options & XLHA_OPT_WAIT)));
    if (request)
        text = json_dumps(request, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(request);
    if (!text)
        return xlha_fail(XLHA_USAGE, "an argument is no valid UTF-8");
    if (c->x->verbose > 1)
        fprintf(stderr, "> %s\n", text);
    len = strlen(text);
    text[len++] = '\n'; /* in place of the NUL */
    while (done < len) {
        ssize_t r = send(c->fd, text + done, len - done, MSG_NOSIGNAL);

        if (r < 0 && errno != EINTR)
            return xlha_fail(XLHA_UNREACHABLE, "cannot write to xhad: %s", strerror(errno));
        done += r > 0 ? (size_t)r : 0;
    }
    return XLHA_DONE;
}

/* ok:false. Returns the exit code for it. */
static int tell_error(const struct conversation *c, const json_t *answer)
{
    const struct xlha *x = c->x;
    const json_t *error = json_object_get(answer, "error");
    const char *code = xlha_string(error, "code"), *hint = xlha_string(error, "hint");
    const char *message = xlha_string(error, "message");

    xlha_progress_end();
    if (c->expected && !strcmp(code, c->expected))
        return XLHA_DONE;
    if (x->json) {
        json_t *shown = json_pack("{s:O?}", "error", error);

        xlha_print_json(shown);
        json_decref(shown);
    } else {
        xlha_fail(XLHA_FAILED, "%s%s%s", *message ? message : "xhad refused it and did not say why",
                  *hint ? "; " : "", hint);
    }
    if (!strcmp(code, "not-permitted"))
        return XLHA_FORBIDDEN;
    return !strcmp(code, "timeout") ? XLHA_TIMEOUT : XLHA_FAILED;
}

/* Reads up to the final answer; events on the way go to each(), when there is one. */
static int read_answer(struct conversation *c, xlha_entry_cb *each, json_t **result_r)
{
    for (;;) {
        json_t *object, *ok, *event;
        int rc = read_object(c, &object);

        if (rc)
            return rc;
        ok = json_object_get(object, "ok");
        event = json_object_get(object, "event");
        if (json_is_true(ok)) {
            json_t *result = json_object_get(object, "result");

            *result_r = result ? json_incref(result) : json_object();
            json_decref(object);
            xlha_progress_end();
            return XLHA_DONE;
        }
        if (ok) {
            rc = tell_error(c, object);
            json_decref(object);
            return rc;
        }
        if (event && each)
            each(c->x, event);
        else
            xlha_progress(c->x, json_object_get(object, "progress"));
        json_decref(object);
        if (rc)
            return rc;
        if (fflush(stdout))
            return XLHA_FAILED; /* nobody reads along any more */
    }
}

/* ms to wait for an answer, 0: as long as it takes. Only work that is waited for, and events, may take long.
 */
static int patience(const struct xlha *x, xlha_entry_cb *each)
{
    bool works = (x->command->options & XLHA_OPT_WAIT) && !x->no_wait;

    if (x->timeout_ms >= 0)
        return x->timeout_ms;
    return each || works || (x->command->options & XLHA_SLOW) ? 0 : QUESTION_TIMEOUT;
}

static int converse(struct conversation *c, const char *cmd, json_t *args, xlha_entry_cb *each,
                    json_t **result_r)
{
    int timeout = patience(c->x, each), rc;

    c->deadline_ms = timeout ? now_ms() + timeout : 0;
    rc = xlha_connect(c->x, &c->fd);
    if (rc)
        json_decref(args);
    else
        rc = send_request(c, cmd, args);
    return rc ? rc : read_answer(c, each, result_r);
}

static void hang_up(struct conversation *c)
{
    if (c->fd >= 0)
        close(c->fd);
    free(c->data);
}

int xlha_call(struct xlha *x, const char *cmd, json_t *args, json_t **result_r)
{
    struct sigaction act = { .sa_handler = on_interrupt };
    struct conversation c = { .x = x, .fd = -1 };
    int rc;

    if (x->interrupt)
        sigaction(SIGINT, &act, NULL);
    rc = converse(&c, cmd, args, NULL, result_r);
    hang_up(&c);
    return rc;
}

int xlha_ask_quietly(struct xlha *x, const char *cmd, json_t *args, const char *expected, json_t **result_r)
{
    struct conversation c = { .x = x, .fd = -1, .expected = expected };
    int rc;

    *result_r = NULL;
    rc = converse(&c, cmd, args, NULL, result_r);
    hang_up(&c);
    return rc;
}

int xlha_follow(struct xlha *x, const char *cmd, json_t *args, xlha_entry_cb *each)
{
    struct conversation c = { .x = x, .fd = -1 };
    json_t *result = NULL;
    int rc = converse(&c, cmd, args, each, &result);

    json_decref(result);
    hang_up(&c);
    return rc;
}

/*
 * watchdog.c - the holder of Xen's watchdog, from the daemon's side: started, given orders, waited for, started
 * again.
 *
 * One order is under way at a time. A poke that cannot be sent at once is dropped: sent later it would vouch
 * for a moment that has passed. After a restart of the holder the timer runs, but nobody pokes it, until the
 * caller's next poke takes it over.
 */
#include "xhad/cluster/watchdog.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/log.h"
#include "xhad/base/watch.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#define AGAIN_MIN_MS  50
#define AGAIN_MAX_MS  1000
#define ANSWER_MAX_MS 5000 /* an answer, the first one included, takes no longer */

/* One run of the holder; it outlives our interest until its handles are closed. */
struct holder {
    struct xha_watchdog *w; /* NULL: no longer of interest */
    uv_process_t process;
    uv_poll_t poll;
    int fd, handles;
};

struct xha_watchdog {
    uv_loop_t *loop;
    struct xha_watchdog_ops ops;
    void *user;
    char helper[PATH_MAX], run_dir[PATH_MAX];
    struct holder *holder;
    uv_timer_t again;  /* pause before the next start */
    uv_timer_t answer; /* the deadline of what was asked */
    uv_timer_t tell;   /* changed() comes from the loop */
    unsigned failures; /* starts in a row without an answer */
    bool ready, closing;
    enum xha_watch_type due;     /* ARM or DISARM, to be sent as soon as may be; 0: neither */
    int64_t due_ms;              /* when it was asked for */
    enum xha_watch_type awaited; /* of this order; 0: none is under way */
    uint32_t seq, wanted_s, seconds;
    bool wanted; /* armed by the caller: pokes count */
    enum xha_watchdog_state state;
    char text[XHA_WATCH_TEXT_MAX];
    bool poked_ever;
    struct xha_time poked;
};

static void start(struct xha_watchdog *w);
static void down(struct xha_watchdog *w, const char *why);

const char *xha_watchdog_state_name(enum xha_watchdog_state state)
{
    static const char *const name[] = { "off", "arming", "armed", "orphaned", "failed" };

    return (unsigned)state < XHA_WATCHDOG_N_ ? name[state] : "?";
}

struct xha_watchdog *xha_watchdog_new(uv_loop_t *loop, const struct xha_watchdog_ops *ops, void *user)
{
    struct xha_watchdog *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    w->loop = loop;
    w->ops = *ops;
    w->user = user;
    uv_timer_init(loop, &w->again);
    uv_timer_init(loop, &w->answer);
    uv_timer_init(loop, &w->tell);
    w->again.data = w->answer.data = w->tell.data = w;
    return w;
}

void xha_watchdog_free(struct xha_watchdog *w)
{
    free(w);
}

/* ---- what the caller hears ---- */

static void on_tell(uv_timer_t *timer)
{
    struct xha_watchdog *w = timer->data;

    w->ops.changed(w->user, w->state, w->text);
}

static void become(struct xha_watchdog *w, enum xha_watchdog_state state, const char *text)
{
    if (w->closing || (w->state == state && strcmp(w->text, text) == 0))
        return;
    w->state = state;
    if (state != XHA_WATCHDOG_ARMED)
        w->seconds = 0;
    snprintf(w->text, sizeof w->text, "%s", text);
    uv_timer_start(&w->tell, on_tell, 0, 0);
}

static void note_poke(struct xha_watchdog *w, int64_t ms)
{
    w->poked = (struct xha_time){ ms };
    w->poked_ever = true;
    if (w->ops.poked)
        w->ops.poked(w->user, w->poked);
}

/* ---- orders ---- */

static void on_no_answer(uv_timer_t *timer)
{
    down(timer->data, "it does not answer");
}

/* A third of the time that the host has left, so that another holder can still take over. */
static void expect_answer(struct xha_watchdog *w)
{
    uint64_t ms = w->wanted ? w->wanted_s * 1000u / 3 : ANSWER_MAX_MS;

    uv_timer_start(&w->answer, on_no_answer, ms < ANSWER_MAX_MS ? ms : ANSWER_MAX_MS, 0);
}

static void order(struct xha_watchdog *w, enum xha_watch_type type)
{
    struct xha_watch_msg msg = { .type = type, .seq = ++w->seq, .ms = xha_watch_now_ms() };

    if (type == XHA_WATCH_ARM)
        msg.seconds = w->wanted_s;
    w->awaited = type;
    expect_answer(w);
    if (xha_watch_send(w->holder->fd, &msg) == XHA_WATCH_E_AGAIN)
        down(w, "it does not read what it is told");
    /* One that is gone is heard of by on_readable() or on_exit(), with its reason. */
}

static bool idle(const struct xha_watchdog *w)
{
    return w->holder && w->ready && !w->awaited;
}

static void send_due(struct xha_watchdog *w)
{
    enum xha_watch_type type = w->due;

    if (!type || !idle(w))
        return;
    w->due = 0;
    /* Of a timer that runs, arming is a poke. */
    if (type == XHA_WATCH_ARM && w->state == XHA_WATCHDOG_ORPHANED &&
        xha_watch_now_ms() - w->due_ms > XHA_WATCH_STALE_MS)
        return;
    order(w, type);
}

void xha_watchdog_arm(struct xha_watchdog *w, uint32_t seconds)
{
    if (seconds < XHA_WATCH_SECONDS_MIN)
        seconds = XHA_WATCH_SECONDS_MIN;
    if (seconds > XHA_WATCH_SECONDS_MAX)
        seconds = XHA_WATCH_SECONDS_MAX;
    w->wanted = true;
    w->wanted_s = seconds;
    w->due = XHA_WATCH_ARM;
    w->due_ms = xha_watch_now_ms();
    if (w->state != XHA_WATCHDOG_ARMED && w->state != XHA_WATCHDOG_ORPHANED)
        become(w, XHA_WATCHDOG_ARMING, "");
    send_due(w);
}

void xha_watchdog_poke(struct xha_watchdog *w)
{
    if (!w->wanted || w->state == XHA_WATCHDOG_FAILED || !idle(w))
        return;
    order(w, w->state == XHA_WATCHDOG_ARMED ? XHA_WATCH_POKE : XHA_WATCH_ARM);
}

void xha_watchdog_disarm(struct xha_watchdog *w)
{
    w->wanted = false;
    w->due = XHA_WATCH_DISARM;
    send_due(w);
}

/* ---- answers ---- */

static void take_ready(struct xha_watchdog *w, const struct xha_watch_msg *msg)
{
    w->ready = true;
    if (*msg->text)
        xha_log(XHA_LOG_WARNING, "the watchdog's holder complains", XHA_S("text", msg->text));
    if (msg->id)
        become(w, XHA_WATCHDOG_ORPHANED, "a watchdog timer runs that was armed before");
    else
        become(w, w->wanted ? XHA_WATCHDOG_ARMING : XHA_WATCHDOG_OFF, "");
    if (!msg->id && w->wanted && !w->due) /* the holder before died over it */
        w->due = XHA_WATCH_ARM;
    /* The caller is told of OFF even when nothing has changed: the answer to _start(). */
    if (!w->closing)
        uv_timer_start(&w->tell, on_tell, 0, 0);
}

static void take_ok(struct xha_watchdog *w, enum xha_watch_type what, const struct xha_watch_msg *msg)
{
    if (what == XHA_WATCH_DISARM) {
        become(w, XHA_WATCHDOG_OFF, "");
        return;
    }
    become(w, XHA_WATCHDOG_ARMED, "");
    w->seconds = msg->seconds;
    if (what == XHA_WATCH_ARM)
        xha_log(XHA_LOG_INFO,
                msg->taken_over ? "the running watchdog is taken over" : "the watchdog is armed",
                XHA_U("seconds", msg->seconds), XHA_U("timer", msg->id));
    note_poke(w, msg->ms);
}

static void take_refused(struct xha_watchdog *w, enum xha_watch_type what, const struct xha_watch_msg *msg)
{
    xha_log(XHA_LOG_ERROR, "the watchdog: an order was refused",
            XHA_S("order", what == XHA_WATCH_ARM    ? "arm"
                           : what == XHA_WATCH_POKE ? "poke"
                                                    : "disarm"),
            XHA_S("why", msg->text));
    /* One that runs all the same and may be poked again is no loss yet. */
    if (what != XHA_WATCH_DISARM && msg->id)
        become(w, XHA_WATCHDOG_ORPHANED, msg->text);
    else
        become(w, XHA_WATCHDOG_FAILED, msg->text);
}

/* A poke that was late is lost; what was to begin a timer is asked for again. */
static void take_stale(struct xha_watchdog *w)
{
    xha_log(XHA_LOG_WARNING, "the watchdog: an order came too late and was not carried out");
    if (w->state == XHA_WATCHDOG_ARMING && w->wanted && !w->due)
        w->due = XHA_WATCH_ARM;
}

static void take(struct xha_watchdog *w, const struct xha_watch_msg *msg)
{
    enum xha_watch_type what = w->awaited;

    if (msg->type == XHA_WATCH_READY ? w->ready : !what || msg->seq != w->seq || msg->type < XHA_WATCH_OK) {
        down(w, "it answers what was not asked: is the helper of this release?");
        return;
    }
    uv_timer_stop(&w->answer);
    w->awaited = 0;
    w->failures = 0;
    if (msg->type == XHA_WATCH_READY)
        take_ready(w, msg);
    else if (msg->type == XHA_WATCH_OK)
        take_ok(w, what, msg);
    else if (msg->type == XHA_WATCH_REFUSED)
        take_refused(w, what, msg);
    else
        take_stale(w);
    send_due(w);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct holder *h = poll->data;
    struct xha_watch_msg msg;

    (void)status;
    (void)events;
    while (h->w) { /* take() may end this run */
        int rc = xha_watch_recv(h->fd, &msg);

        if (rc == XHA_WATCH_E_AGAIN)
            return;
        if (rc == XHA_WATCH_DONE)
            take(h->w, &msg);
        else
            down(h->w, rc == XHA_WATCH_E_BAD
                           ? "it sent a message that is not understood: is the helper of this "
                             "release?"
                           : "it closed its connection");
    }
}

/* ---- start and end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct holder *h = handle->data;

    if (--h->handles > 0)
        return;
    close(h->fd);
    free(h);
}

static void close_handle(uv_handle_t *handle)
{
    if (handle->type != UV_UNKNOWN_HANDLE && !uv_is_closing(handle))
        uv_close(handle, on_closed);
}

/* Ends the holder that is. Its socket is closed only with its handles: shut down, so that it sees the end now. */
static void leave(struct xha_watchdog *w, bool kill_it)
{
    struct holder *h = w->holder;

    w->holder = NULL;
    w->ready = false;
    w->awaited = 0;
    uv_timer_stop(&w->answer);
    if (!h)
        return;
    h->w = NULL;
    shutdown(h->fd, SHUT_RDWR);
    close_handle((uv_handle_t *)&h->poll);
    /* One that was killed is closed by on_exit_(): libuv reaps only what is open. */
    if (kill_it && uv_is_active((uv_handle_t *)&h->process))
        uv_process_kill(&h->process, SIGKILL);
    else
        close_handle((uv_handle_t *)&h->process);
}

static void on_again(uv_timer_t *timer)
{
    start(timer->data);
}

static void down(struct xha_watchdog *w, const char *why)
{
    bool may_run = w->state == XHA_WATCHDOG_ARMED || w->awaited == XHA_WATCH_ARM;
    uint64_t pause = (uint64_t)AGAIN_MIN_MS << (w->failures < 6 ? w->failures : 6);
    char text[XHA_WATCH_TEXT_MAX];

    if (w->awaited == XHA_WATCH_DISARM && !w->wanted) /* the next holder ends it */
        w->due = XHA_WATCH_DISARM;
    leave(w, true);
    w->failures++;
    if (pause > AGAIN_MAX_MS)
        pause = AGAIN_MAX_MS;
    xha_log(XHA_LOG_ERROR, "the watchdog's holder is down; the timer, if armed, runs on", XHA_S("why", why),
            XHA_U("again_in_ms", pause), XHA_U("in_a_row", w->failures));
    snprintf(text, sizeof text, "the watchdog's holder is down: %.300s", why);
    if (may_run || w->state == XHA_WATCHDOG_ORPHANED)
        become(w, XHA_WATCHDOG_ORPHANED, text);
    else if (w->failures > 3)
        become(w, XHA_WATCHDOG_FAILED, text);
    uv_timer_start(&w->again, on_again, pause, 0);
}

static void on_exit_(uv_process_t *process, int64_t status, int signal_number)
{
    struct holder *h = process->data;
    char why[80];

    if (h->w) {
        snprintf(why, sizeof why, "it ended with status %d, signal %d", (int)status, signal_number);
        down(h->w, why); /* closes the handle: it is no longer active */
    } else {
        close_handle((uv_handle_t *)process);
    }
}

static int spawn(struct holder *h, int theirs)
{
    struct xha_watchdog *w = h->w;
    char verb[] = "watchdog";
    char *argv[] = { w->helper, verb, w->run_dir, NULL };
    uv_stdio_container_t io[4] = {
        { .flags = UV_IGNORE },
        { .flags = UV_IGNORE },
        { .flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO },
        { .flags = UV_INHERIT_FD, .data.fd = theirs },
    };
    uv_process_options_t options = {
        .exit_cb = on_exit_,
        .file = w->helper,
        .args = argv,
        .stdio = io,
        .stdio_count = 4,
    };

    h->process.data = h;
    h->handles = 1;
    return uv_spawn(w->loop, &h->process, &options);
}

static int start_holder(struct xha_watchdog *w)
{
    XHA_CLEANUP_CLOSE int theirs = -1;
    struct holder *h = calloc(1, sizeof *h);
    int fds[2], r;

    if (!h || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
        r = -errno;
        free(h);
        return r;
    }
    h->fd = fds[0];
    theirs = fds[1];
    h->w = w;
    w->holder = h;
    fcntl(h->fd, F_SETFL, O_NONBLOCK);
    r = spawn(h, theirs);
    if (r < 0)
        return r;
    uv_poll_init(w->loop, &h->poll, h->fd);
    h->poll.data = h;
    h->handles++;
    return uv_poll_start(&h->poll, UV_READABLE | UV_DISCONNECT, on_readable);
}

static void start(struct xha_watchdog *w)
{
    char why[XHA_WATCH_TEXT_MAX];
    int r = start_holder(w);

    if (r == 0) {
        expect_answer(w);
        return;
    }
    snprintf(why, sizeof why, "%.200s cannot be started: %s. Is `helper` in xhad.conf right?", w->helper,
             uv_strerror(r));
    down(w, why);
}

int xha_watchdog_start(struct xha_watchdog *w, const char *helper, const char *run_dir)
{
    if (strlen(helper) >= sizeof w->helper || strlen(run_dir) >= sizeof w->run_dir)
        return -1;
    strcpy(w->helper, helper);
    strcpy(w->run_dir, run_dir);
    start(w);
    return 0;
}

void xha_watchdog_close(struct xha_watchdog *w)
{
    w->closing = true;
    leave(w, false);
    uv_close((uv_handle_t *)&w->again, NULL);
    uv_close((uv_handle_t *)&w->answer, NULL);
    uv_close((uv_handle_t *)&w->tell, NULL);
}

/* ---- questions ---- */

enum xha_watchdog_state xha_watchdog_state(const struct xha_watchdog *w)
{
    return w->state;
}

const char *xha_watchdog_text(const struct xha_watchdog *w)
{
    return w->text;
}

uint32_t xha_watchdog_seconds(const struct xha_watchdog *w)
{
    return w->seconds;
}

bool xha_watchdog_last_poke(const struct xha_watchdog *w, struct xha_time *at_r)
{
    *at_r = w->poked;
    return w->poked_ever;
}

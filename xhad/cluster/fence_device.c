/*
 * fence_device.c - one fence device at work.
 *
 *   delay -> metadata -> off -> status -> done        (status again, while it says on, for SETTLE_MS)
 *                         ^--- pause <- failed, while there are retries
 *
 * Without metadata (an agent that cannot even say what it is) a status is wanted all the same: what is not
 * proven is no success.
 */
#include "xhad/cluster/fence_device.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include "xhad/base/text.h"
#include "xhad/cluster/fence_agent.h"

#include <limits.h>
#include <string.h>

#define STATUS_IS_OFF 2    /* exit status of action=status; 0: on */
#define SETTLE_MS     5000 /* some devices say off some seconds before they are */
#define INPUT_MAX     (96 * 1024)
#define PASSWORD_MAX  1024

enum step { STEP_DELAY, STEP_META, STEP_ACT, STEP_STATUS, STEP_PAUSE, STEP_END };

struct xha_device_run {
    uv_loop_t *loop;
    uv_timer_t timer; /* delay, pause, and whatever must not happen within a call */
    const struct xha_fence_device *d;
    struct xha_fence_known *known;
    const struct xha_fence_meta *meta; /* NULL: not known */
    enum xha_device_task task;
    struct xha_device_ops ops;
    void *user;
    struct xha_agent *agent;
    enum step step;
    unsigned tries;
    uint64_t proving_ms; /* since when the status is asked for, 0: not yet */
    char path[PATH_MAX];
    char password[PASSWORD_MAX];
    char text[XHA_FENCE_TEXT_MAX];
    bool ok;
};

/* ---- what is known of agents ---- */

const struct xha_fence_meta *xha_fence_known_find(const struct xha_fence_known *known, const char *agent)
{
    for (size_t i = 0; i < known->n; i++)
        if (strcmp(known->entry[i].agent, agent) == 0)
            return known->entry[i].meta;
    return NULL;
}

int xha_fence_known_add(struct xha_fence_known *known, const char *agent, const char *xml, size_t len)
{
    XHA_CLEANUP_FREE struct xha_fence_meta *meta = malloc(sizeof *meta);
    XHA_CLEANUP_FREE char *name = strdup(agent);
    void *more;

    if (!meta || !name || xha_fence_meta_parse(xml, len, meta) < 0)
        return -1;
    more = reallocarray(known->entry, known->n + 1, sizeof *known->entry);
    if (!more)
        return -1;
    known->entry = more;
    known->entry[known->n].agent = xha_steal_ptr(name);
    known->entry[known->n].meta = xha_steal_ptr(meta);
    known->n++;
    return 0;
}

void xha_fence_known_clear(struct xha_fence_known *known)
{
    for (size_t i = 0; i < known->n; i++) {
        free(known->entry[i].agent);
        free(known->entry[i].meta);
    }
    free(known->entry);
    *known = (struct xha_fence_known){ 0 };
}

/* ---- texts ---- */

static const char *action_of(const struct xha_device_run *run)
{
    if (run->step == STEP_STATUS)
        return "status";
    if (run->task == XHA_DEVICE_OFF)
        return "off";
    if (run->task == XHA_DEVICE_ON)
        return "on";
    return run->meta && !run->meta->monitor ? "status" : "monitor";
}

static void blot(char *text, const char *secret)
{
    size_t len = strlen(secret);

    for (char *at = text; len > 0 && (at = strstr(at, secret)) != NULL; at += len)
        memset(at, '*', len);
}

/* What the agent said last, in one line, without what nobody may read. */
static const char *words_of(const struct xha_device_run *run, char *said, char *buf, size_t len)
{
    size_t n;

    for (size_t i = 0; i < run->d->options; i++)
        if (xha_fence_option_secret(run->d->option[i].name))
            blot(said, run->d->option[i].value);
    blot(said, run->password);
    for (n = strlen(said); n > 0 && strchr(" \t\r\n", said[n - 1]); n--)
        said[n - 1] = '\0';
    if (n + 1 > len / 4) /* the end of it tells most, also when every byte takes four */
        said += n + 1 - len / 4;
    for (char *c = said; *c; c++)
        if (*c == '\n' || *c == '\r' || *c == '\t')
            *c = ' ';
    return xha_text_escape(buf, len, said);
}

static void say(struct xha_device_run *run, const char *what)
{
    char text[XHA_FENCE_TEXT_MAX];

    snprintf(text, sizeof text, "%.200s (level %u): %s", run->d->agent, (unsigned)run->d->level, what);
    if (run->ops.said)
        run->ops.said(run->user, text);
}

/* ---- the way through the steps ---- */

static void enter(struct xha_device_run *run, enum step step);

static void end(struct xha_device_run *run, bool ok, const char *text)
{
    run->ok = ok;
    snprintf(run->text, sizeof run->text, "%.200s (level %u): %s", run->d->agent, (unsigned)run->d->level,
             text);
    enter(run, STEP_END);
}

/* The step failed: once more, or that was it. text: why. */
static void failed(struct xha_device_run *run, const char *text)
{
    char words[XHA_FENCE_TEXT_MAX];

    run->tries++;
    if (run->task != XHA_DEVICE_OFF || run->tries > run->d->retries) {
        end(run, false, text);
        return;
    }
    snprintf(words, sizeof words, "%.500s; try %u of %u follows", text, run->tries + 1,
             (unsigned)run->d->retries + 1);
    say(run, words);
    enter(run, STEP_PAUSE);
}

static void take_meta(struct xha_device_run *run, const struct xha_agent_end *end_)
{
    if (end_->status == 0 && !end_->cut)
        (void)xha_fence_known_add(run->known, run->d->agent, end_->out, end_->out_len);
    run->meta = xha_fence_known_find(run->known, run->d->agent);
    if (run->meta && run->task == XHA_DEVICE_OFF && !run->meta->off)
        end(run, false, "this agent cannot power off (it has no action off)");
    else if (run->meta && run->task == XHA_DEVICE_ON && !run->meta->on)
        end(run, false, "this agent cannot power on: switch the host on by hand");
    else if (run->meta && run->task == XHA_DEVICE_ASK && !run->meta->monitor && !run->meta->status)
        end(run, true, "this agent cannot be asked whether it would work");
    else
        enter(run, STEP_ACT);
}

static void take_act(struct xha_device_run *run, const struct xha_agent_end *end_, const char *what)
{
    bool ok = end_->status == 0;

    /* Asked for its status, a device that says "off" works as well. */
    if (run->task == XHA_DEVICE_ASK && strcmp(action_of(run), "status") == 0)
        ok = ok || end_->status == STATUS_IS_OFF;
    if (!ok)
        failed(run, what);
    else if (run->task == XHA_DEVICE_OFF && (!run->meta || run->meta->status))
        enter(run, STEP_STATUS);
    else
        end(run, true,
            run->task == XHA_DEVICE_OFF  ? "is off"
            : run->task == XHA_DEVICE_ON ? "is on"
                                         : "works");
}

static void on_agent_done(void *user, struct xha_agent_end *end_)
{
    struct xha_device_run *run = user;
    char words[XHA_FENCE_TEXT_MAX / 2], what[XHA_FENCE_TEXT_MAX];

    run->agent = NULL;
    if (run->step == STEP_META) {
        take_meta(run, end_);
        return;
    }
    words_of(run, end_->said, words, sizeof words);
    snprintf(what, sizeof what, "action %s %s%s%s", action_of(run), end_->why, *words ? ": " : "", words);
    if (run->step == STEP_ACT)
        take_act(run, end_, what);
    else if (end_->status == STATUS_IS_OFF)
        end(run, true, "is off");
    else if (end_->status == 0 && uv_now(run->loop) - run->proving_ms < SETTLE_MS)
        enter(run, STEP_STATUS);
    else if (end_->status == 0)
        failed(run, "it said that the power is off, but its status is on");
    else
        failed(run, what);
}

/* ---- what an agent is told ---- */

static int read_password(struct xha_device_run *run)
{
    XHA_CLEANUP_FREE char *text = NULL;
    size_t len;

    if (!*run->d->password_file || *run->password)
        return 0;
    if (xha_file_read(run->d->password_file, PASSWORD_MAX - 1, &text, &len) < 0)
        return -1;
    text[strcspn(text, "\r\n")] = '\0';
    snprintf(run->password, sizeof run->password, "%s", text);
    explicit_bzero(text, len);
    return 0;
}

static bool knows(const struct xha_device_run *run, const char *option)
{
    return run->meta && xha_fence_meta_find(run->meta, option);
}

static char *input_for(const struct xha_device_run *run)
{
    XHA_CLEANUP_FREE char *input = malloc(INPUT_MAX);
    FILE *f = input ? fmemopen(input, INPUT_MAX, "w") : NULL;
    bool bad;

    if (!f)
        return NULL;
    fprintf(f, "action=%s\n", action_of(run));
    if (*run->d->plug)
        fprintf(f, "%s=%s\n", knows(run, "port") && !knows(run, "plug") ? "port" : "plug", run->d->plug);
    if (knows(run, "nodename"))
        fprintf(f, "nodename=%s\n", run->d->host);
    for (size_t i = 0; i < run->d->options; i++)
        fprintf(f, "%s=%s\n", run->d->option[i].name, run->d->option[i].value);
    if (*run->password)
        fprintf(f, "%s=%s\n", knows(run, "passwd") && !knows(run, "password") ? "passwd" : "password",
                run->password);
    bad = ferror(f) != 0;
    return fclose(f) == 0 && !bad ? xha_steal_ptr(input) : NULL;
}

/* All its questions together have as long as one run of the agent may take. */
static struct xha_span time_for_status(const struct xha_device_run *run)
{
    int64_t left = run->d->timeout.ms - (int64_t)(uv_now(run->loop) - run->proving_ms);

    return (struct xha_span){ left > XHA_FENCE_PAUSE_MS ? left : XHA_FENCE_PAUSE_MS };
}

static void run_agent(struct xha_device_run *run)
{
    XHA_CLEANUP_FREE char *input = NULL;
    struct xha_agent_order order = { .path = run->path, .timeout = run->d->timeout };

    if (!xha_agent_find(run->d->agent, run->path, sizeof run->path)) {
        failed(run, "there is no such agent: is the package fence-agents installed?");
        return;
    }
    if (run->step == STEP_META) {
        order.action = "metadata";
        order.keep = XHA_FENCE_META_MAX + 1;
        order.timeout.ms = XHA_FENCE_META_MS;
    } else if (run->step == STEP_STATUS) {
        order.timeout = time_for_status(run);
    }
    if (run->step != STEP_META) {
        if (read_password(run) < 0) {
            failed(run, "its password_file cannot be read");
            return;
        }
        order.input = input = input_for(run);
        if (!input) {
            failed(run, "no memory");
            return;
        }
    }
    run->agent = xha_agent_start(run->loop, &order, on_agent_done, run);
    if (input)
        explicit_bzero(input, strlen(input));
    if (!run->agent)
        failed(run, "no memory");
}

/* ---- steps ---- */

static void on_timer(uv_timer_t *timer)
{
    struct xha_device_run *run = timer->data;
    char what[80];

    switch (run->step) {
    case STEP_DELAY:
        run->meta = xha_fence_known_find(run->known, run->d->agent);
        enter(run, run->meta ? STEP_ACT : STEP_META);
        break;
    case STEP_PAUSE:
        enter(run, run->meta ? STEP_ACT : STEP_META);
        break;
    case STEP_ACT:
        snprintf(what, sizeof what, "%s, try %u of %u", action_of(run), run->tries + 1,
                 run->task == XHA_DEVICE_OFF ? (unsigned)run->d->retries + 1 : 1);
        say(run, what);
        run_agent(run);
        break;
    case STEP_META:
    case STEP_STATUS:
        run_agent(run);
        break;
    case STEP_END:
        run->ops.done(run->user, run->d, run->ok, run->text);
        break;
    }
}

/* Every step begins in the loop, so that nothing calls back within a call. */
static void enter(struct xha_device_run *run, enum step step)
{
    int64_t ms = 0;

    if (step == STEP_DELAY && run->task == XHA_DEVICE_OFF)
        ms = run->d->delay.ms;
    else if (step == STEP_PAUSE || (step == STEP_STATUS && run->step == STEP_STATUS))
        ms = XHA_FENCE_PAUSE_MS;
    if (step == STEP_STATUS && run->step != STEP_STATUS)
        run->proving_ms = uv_now(run->loop);
    run->step = step;
    uv_timer_start(&run->timer, on_timer, (uint64_t)ms, 0);
}

struct xha_device_run *xha_device_start(uv_loop_t *loop, const struct xha_fence_device *device,
                                        struct xha_fence_known *known, enum xha_device_task task,
                                        const struct xha_device_ops *ops, void *user)
{
    struct xha_device_run *run = calloc(1, sizeof *run);

    if (!run)
        return NULL;
    *run = (struct xha_device_run){
        .loop = loop, .d = device, .known = known, .task = task, .ops = *ops, .user = user
    };
    uv_timer_init(loop, &run->timer);
    run->timer.data = run;
    if (task == XHA_DEVICE_OFF && device->delay.ms)
        say(run, "waits for its delay");
    enter(run, STEP_DELAY);
    return run;
}

static void on_closed(uv_handle_t *handle)
{
    struct xha_device_run *run = handle->data;

    explicit_bzero(run->password, sizeof run->password);
    free(run);
}

void xha_device_free(struct xha_device_run *run)
{
    if (run->agent)
        xha_agent_cancel(run->agent);
    run->agent = NULL;
    uv_close((uv_handle_t *)&run->timer, on_closed);
}

struct xha_span xha_device_longest(const struct xha_fence_device *device)
{
    /* the last status begins a pause after the device had its time to settle, and has a pause at least */
    const int64_t settled_ms = SETTLE_MS + XHA_FENCE_PAUSE_MS, timeout_ms = device->timeout.ms;
    const int64_t status_ms = (timeout_ms > settled_ms ? timeout_ms : settled_ms) + XHA_FENCE_PAUSE_MS;
    /* each try may ask for metadata, switch off and ask for the status; each may have to be killed */
    const int64_t try_ms = XHA_FENCE_META_MS + timeout_ms + status_ms + 3 * XHA_AGENT_KILL_MS;

    return (struct xha_span){ device->delay.ms + (device->retries + 1) * try_ms +
                              device->retries * XHA_FENCE_PAUSE_MS };
}

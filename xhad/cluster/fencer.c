/*
 * fencer.c - fences hosts: the devices of a level at once, level after level.
 *
 * A fence that has succeeded may go on for a while, to switch on again what is to be rebooted; it is then no
 * longer the host's business and gives way to the next fence.
 */
#include "xhad/cluster/fencer.h"
#include "xhad/cluster/fence_device.h"
#include "xhad/base/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 2000

/* The devices as they were when a fence began. */
struct book {
    unsigned refs;
    struct xha_fence_conf conf;
};

struct fence {
    struct fence *next;
    struct xha_fencer *f;
    struct book *book;
    const char *host; /* the book's */
    xha_fencer_done_cb *done;
    void *user;
    uv_timer_t kick; /* the next step, from the loop */
    bool check;      /* only asks */
    bool told;       /* done() was called: it only switches on what is to be rebooted */
    bool cancelled;
    bool buried;
    uint32_t level; /* at work; 0: not begun */
    struct xha_device_run **run;
    size_t runs, working;
    bool level_ok;
    char text[TEXT_MAX];
};

struct xha_fencer {
    uv_loop_t *loop;
    xha_fencer_said_cb *said;
    void *user;
    struct book *book; /* NULL: no devices yet */
    struct fence *fences;
    struct xha_fence_known known;
    bool closing;
};

struct xha_fencer *xha_fencer_new(uv_loop_t *loop, xha_fencer_said_cb *said, void *user)
{
    struct xha_fencer *f = calloc(1, sizeof *f);

    if (!f)
        return NULL;
    *f = (struct xha_fencer){ .loop = loop, .said = said, .user = user };
    return f;
}

static void book_drop(struct book *book)
{
    if (!book || --book->refs > 0)
        return;
    xha_fence_conf_clear(&book->conf);
    free(book);
}

int xha_fencer_configure(struct xha_fencer *f, const struct xha_fence_conf *conf)
{
    struct book *book = calloc(1, sizeof *book);

    if (!book || xha_fence_conf_copy(conf, &book->conf) != XHA_CONF_OK) {
        free(book);
        return XHA_FENCER_E_NOMEM;
    }
    book->refs = 1;
    book_drop(f->book);
    f->book = book;
    return XHA_FENCER_OK;
}

/* The host's name as the book has it; NULL: no device of it. */
static const char *find_host(const struct book *book, const char *host)
{
    for (size_t i = 0; book && i < book->conf.n; i++)
        if (strcmp(book->conf.device[i].host, host) == 0)
            return book->conf.device[i].host;
    return NULL;
}

bool xha_fencer_can(const struct xha_fencer *f, const char *host)
{
    return find_host(f->book, host) != NULL;
}

static struct xha_span longest(const struct xha_fence_conf *conf, const char *host)
{
    struct xha_span sum = { 0 };

    for (uint32_t level = 1; level <= XHA_FENCE_LEVEL_MAX; level++) {
        int64_t most = 0;

        for (size_t i = 0; i < conf->n; i++) {
            const struct xha_fence_device *d = &conf->device[i];
            int64_t ms = xha_device_longest(d).ms;

            if (d->level == level && strcmp(d->host, host) == 0 && ms > most)
                most = ms;
        }
        sum.ms += most;
    }
    return sum;
}

struct xha_span xha_fencer_longest(const struct xha_fencer *f, const char *host)
{
    return f->book ? longest(&f->book->conf, host) : (struct xha_span){ 0 };
}

const char *xha_fencer_slowest(const struct xha_fence_conf *conf, struct xha_span *longest_r)
{
    const char *host = NULL;

    longest_r->ms = 0;
    for (size_t i = 0; i < conf->n; i++) {
        struct xha_span span = longest(conf, conf->device[i].host);

        if (span.ms <= longest_r->ms)
            continue;
        *longest_r = span;
        host = conf->device[i].host;
    }
    return host;
}

/* ---- the end of a fence ---- */

static void drop_runs(struct fence *fence)
{
    for (size_t i = 0; i < fence->runs; i++)
        xha_device_free(fence->run[i]);
    fence->runs = fence->working = 0;
}

static void on_kick_closed(uv_handle_t *handle)
{
    struct fence *fence = handle->data;

    book_drop(fence->book);
    free(fence->run);
    free(fence);
}

/* Takes it off the list; its memory goes when the loop has run. Once: done() may have begun the next one. */
static void bury(struct fence *fence)
{
    struct fence **at = &fence->f->fences;

    if (fence->buried)
        return;
    fence->buried = true;
    while (*at != fence)
        at = &(*at)->next;
    *at = fence->next;
    drop_runs(fence);
    uv_close((uv_handle_t *)&fence->kick, on_kick_closed);
}

static void tell(struct fence *fence, enum xha_fence_result result)
{
    fence->told = true;
    fence->done(fence->user, fence->host, result, fence->text);
}

/* ---- devices ---- */

static void add_text(struct fence *fence, const char *text)
{
    size_t used = strlen(fence->text);

    snprintf(fence->text + used, sizeof fence->text - used, "%s%s", used ? "; " : "", text);
}

static void report(const struct fence *fence, const char *text)
{
    if (!fence->check && fence->f->said)
        fence->f->said(fence->f->user, fence->host, text);
}

static void on_said(void *user, const char *text)
{
    report(user, text);
}

static void on_kick(uv_timer_t *timer);

static void on_device_done(void *user, const struct xha_fence_device *d, bool ok, const char *text)
{
    struct fence *fence = user;

    (void)d;
    report(fence, text);
    fence->level_ok = fence->level_ok && ok;
    /* Of a check only what is wrong; of a fence what was done, too. */
    if (!ok || (!fence->check && !fence->told))
        add_text(fence, text);
    if (--fence->working == 0)
        uv_timer_start(&fence->kick, on_kick, 0, 0);
}

static bool is_meant(const struct fence *fence, const struct xha_fence_device *d, enum xha_device_task task)
{
    if (strcmp(d->host, fence->host) != 0)
        return false;
    if (task == XHA_DEVICE_ASK)
        return true;
    return d->level == fence->level && (task == XHA_DEVICE_OFF || d->action == XHA_FENCE_REBOOT);
}

/* Sets the devices that are meant to work; false: there is none. */
static bool set_to_work(struct fence *fence, enum xha_device_task task)
{
    static const struct xha_device_ops ops = { .done = on_device_done, .said = on_said };
    const struct xha_fence_conf *conf = &fence->book->conf;
    bool any = false;

    drop_runs(fence);
    fence->level_ok = true;
    for (size_t i = 0; i < conf->n; i++) {
        struct xha_device_run *run;

        if (!is_meant(fence, &conf->device[i], task))
            continue;
        any = true;
        run = xha_device_start(fence->f->loop, &conf->device[i], &fence->f->known, task, &ops, fence);
        if (run) {
            fence->run[fence->runs++] = run;
            fence->working++;
        } else {
            fence->level_ok = false;
            add_text(fence, "no memory");
        }
    }
    if (any && fence->working == 0)
        uv_timer_start(&fence->kick, on_kick, 0, 0);
    return any;
}

/* ---- from level to level ---- */

static void succeed(struct fence *fence)
{
    tell(fence, XHA_FENCE_OK);
    /* the callback may have closed us, or begun anew */
    if (fence->buried || fence->cancelled || !set_to_work(fence, XHA_DEVICE_ON))
        bury(fence);
}

static void next_level(struct fence *fence)
{
    while (++fence->level <= XHA_FENCE_LEVEL_MAX)
        if (set_to_work(fence, XHA_DEVICE_OFF))
            return;
    tell(fence, XHA_FENCE_FAILED);
    bury(fence);
}

static void on_kick(uv_timer_t *timer)
{
    struct fence *fence = timer->data;

    if (fence->told) { /* what could be switched on is on */
        bury(fence);
    } else if (fence->cancelled) {
        snprintf(fence->text, sizeof fence->text, "it was given up");
        tell(fence, XHA_FENCE_CANCELLED);
        bury(fence);
    } else if (fence->level == 0 && fence->check) {
        fence->level = 1;
        if (!set_to_work(fence, XHA_DEVICE_ASK))
            bury(fence);
    } else if (fence->check) {
        tell(fence, fence->level_ok ? XHA_FENCE_OK : XHA_FENCE_FAILED);
        bury(fence);
    } else if (fence->level > 0 && fence->level_ok) {
        succeed(fence);
    } else {
        next_level(fence);
    }
}

/* ---- what is asked of us ---- */

static struct fence *find(const struct xha_fencer *f, const char *host, bool check)
{
    struct fence *fence = f->fences;

    while (fence && (fence->check != check || strcmp(fence->host, host) != 0))
        fence = fence->next;
    return fence;
}

static int begin(struct xha_fencer *f, const char *host, bool check, xha_fencer_done_cb *done, void *user)
{
    const char *name = find_host(f->book, host);
    struct fence *fence = find(f, host, check);

    if (!name || f->closing)
        return XHA_FENCER_E_NODEVICE;
    if (fence && !fence->told)
        return XHA_FENCER_E_BUSY;
    if (fence)
        bury(fence);
    fence = calloc(1, sizeof *fence);
    if (!fence)
        return XHA_FENCER_E_NOMEM;
    *fence = (struct fence){
        .f = f, .book = f->book, .host = name, .check = check, .done = done, .user = user, .next = f->fences
    };
    fence->run = calloc(f->book->conf.n, sizeof(struct xha_device_run *));
    if (!fence->run) {
        free(fence);
        return XHA_FENCER_E_NOMEM;
    }
    f->book->refs++;
    f->fences = fence;
    uv_timer_init(f->loop, &fence->kick);
    fence->kick.data = fence;
    uv_timer_start(&fence->kick, on_kick, 0, 0);
    return XHA_FENCER_OK;
}

static void cancel(struct fence *fence)
{
    drop_runs(fence);
    fence->cancelled = true;
    uv_timer_start(&fence->kick, on_kick, 0, 0);
}

int xha_fencer_run(struct xha_fencer *f, const char *host, xha_fencer_done_cb *done, void *user)
{
    struct fence *check = find(f, host, true);

    if (check)
        cancel(check);
    return begin(f, host, false, done, user);
}

int xha_fencer_check(struct xha_fencer *f, const char *host, xha_fencer_done_cb *done, void *user)
{
    if (find(f, host, false))
        return XHA_FENCER_E_BUSY;
    return begin(f, host, true, done, user);
}

void xha_fencer_cancel(struct xha_fencer *f, const char *host)
{
    struct fence *fence = find(f, host, false);

    if (fence && !fence->told)
        cancel(fence);
}

void xha_fencer_close(struct xha_fencer *f)
{
    f->closing = true;
    for (struct fence *fence = f->fences; fence; fence = fence->next)
        cancel(fence);
}

void xha_fencer_free(struct xha_fencer *f)
{
    if (!f)
        return;
    assert(!f->fences);
    book_drop(f->book);
    xha_fence_known_clear(&f->known);
    free(f);
}

/*
 * beats.c - see beats.h. The batch belongs to the asker or to the thread, never to both: `state` says to
 * whom.
 */
#include "xhad/xen/beats.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <xenstore.h>

#define REOPEN_S 1

struct xha_beats {
    pthread_mutex_t lock;
    pthread_cond_t asked;
    enum { OURS, ASKED, ANSWERED } state;
    struct xha_beat_batch batch;
    int done_fd, change_fd;
};

static void signal_fd(int fd)
{
    uint64_t one = 1;

    if (write(fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
        perror("xhad-xen: eventfd");
}

static void clear_fd(int fd)
{
    uint64_t count;

    if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
        perror("xhad-xen: eventfd");
}

/* ---- the reading thread ---- */

/* Writes a value never written before and reads it back. */
static bool canary(struct xs_handle *xs, struct xha_beat_batch *batch)
{
    static uint64_t turn;
    char want[48];
    unsigned len;
    char *got;
    bool ok;

    snprintf(want, sizeof(want), "%ld %" PRIu64, (long)getpid(), ++turn);
    batch->ops++;
    if (!xs_write(xs, XBT_NULL, XHA_BEATS_CANARY, want, (unsigned)strlen(want)))
        return false;
    batch->ops++;
    got = xs_read(xs, XBT_NULL, XHA_BEATS_CANARY, &len);
    ok = got && len == strlen(want) && memcmp(got, want, len) == 0;
    free(got);
    return ok;
}

static void read_beat(struct xs_handle *xs, struct xha_beat_ask *ask, struct xha_beat_batch *batch)
{
    char path[XHA_OBS_KEY_MAX + 40];
    unsigned len = 0;
    char *value;

    snprintf(path, sizeof(path), "/local/domain/%" PRId32 "/%s", ask->domid, ask->key);
    batch->ops++;
    value = xs_read(xs, XBT_NULL, path, &len);
    if (!value && errno != ENOENT) {
        batch->failed++;
        return;
    }
    ask->read = true;
    ask->valid = value && xha_obs_beat_parse(value, len, &ask->beat);
    free(value);
}

static struct xs_handle *answer(struct xs_handle *xs, struct xha_beat_batch *batch)
{
    batch->canary_ok = false;
    batch->failed = batch->ops = 0;
    if (!xs)
        xs = xs_open(0);
    if (xs)
        batch->canary_ok = canary(xs, batch);
    if (!batch->canary_ok) { /* do not wait for an ill xenstored once per domain */
        batch->failed = (uint32_t)batch->n;
        if (xs)
            xs_close(xs);
        return NULL;
    }
    for (size_t i = 0; i < batch->n; i++)
        read_beat(xs, &batch->ask[i], batch);
    return xs;
}

static void *reader(void *arg)
{
    struct xha_beats *b = arg;
    struct xs_handle *xs = NULL;

    for (;;) {
        pthread_mutex_lock(&b->lock);
        while (b->state != ASKED)
            pthread_cond_wait(&b->asked, &b->lock);
        pthread_mutex_unlock(&b->lock);

        xs = answer(xs, &b->batch);

        pthread_mutex_lock(&b->lock);
        b->state = ANSWERED;
        pthread_mutex_unlock(&b->lock);
        signal_fd(b->done_fd);
    }
    return NULL;
}

/* ---- the watching thread ---- */

static void watch_until_broken(struct xha_beats *b, struct xs_handle *xs)
{
    unsigned n;
    char **event;

    if (!xs_watch(xs, "@releaseDomain", "gone") || !xs_watch(xs, "@introduceDomain", "come"))
        return;
    while ((event = xs_read_watch(xs, &n)) != NULL) {
        free(event);
        signal_fd(b->change_fd);
    }
}

static void *watcher(void *arg)
{
    struct xha_beats *b = arg;

    for (;;) {
        struct xs_handle *xs = xs_open(0);

        if (xs) {
            watch_until_broken(b, xs);
            xs_close(xs);
            signal_fd(b->change_fd); /* something may have been missed */
        }
        sleep(REOPEN_S);
    }
    return NULL;
}

/* ---- for the observer ---- */

static int start_thread(void *(*run)(void *), void *arg)
{
    pthread_t thread;
    sigset_t all, before;
    int r;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&thread, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r) {
        errno = r;
        return -1;
    }
    pthread_detach(thread);
    return 0;
}

int xha_beats_start(struct xha_beats **beats_r)
{
    struct xha_beats *b = calloc(1, sizeof(*b));

    if (!b)
        return -1;
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->asked, NULL);
    b->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    b->change_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    *beats_r = b; /* never freed: a thread may be stuck with it */
    if (b->done_fd < 0 || b->change_fd < 0 || start_thread(reader, b) < 0 || start_thread(watcher, b) < 0)
        return -1;
    return 0;
}

int xha_beats_done_fd(const struct xha_beats *beats)
{
    return beats->done_fd;
}

int xha_beats_change_fd(const struct xha_beats *beats)
{
    return beats->change_fd;
}

void xha_beats_clear_change(struct xha_beats *beats)
{
    clear_fd(beats->change_fd);
}

struct xha_beat_batch *xha_beats_batch(struct xha_beats *beats)
{
    bool ours;

    pthread_mutex_lock(&beats->lock);
    ours = beats->state != ASKED;
    pthread_mutex_unlock(&beats->lock);
    return ours ? &beats->batch : NULL;
}

void xha_beats_ask(struct xha_beats *beats)
{
    clear_fd(beats->done_fd); /* of an answer that came too late and was not taken */
    pthread_mutex_lock(&beats->lock);
    beats->state = ASKED;
    pthread_cond_signal(&beats->asked);
    pthread_mutex_unlock(&beats->lock);
}

const struct xha_beat_batch *xha_beats_take(struct xha_beats *beats)
{
    bool answered;

    clear_fd(beats->done_fd);
    pthread_mutex_lock(&beats->lock);
    answered = beats->state == ANSWERED;
    if (answered)
        beats->state = OURS;
    pthread_mutex_unlock(&beats->lock);
    return answered ? &beats->batch : NULL;
}

int xha_beat_batch_room(struct xha_beat_batch *batch, size_t n)
{
    struct xha_beat_ask *ask;

    if (n <= batch->room)
        return 0;
    ask = realloc(batch->ask, n * sizeof(*ask));
    if (!ask)
        return -1;
    batch->ask = ask;
    batch->room = n;
    return 0;
}

/*
 * front.c - see front.h.
 */
#include "xhad/disk/front_internal.h"
#include "xhad/disk/store.h"
#include "xhad/move/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SWEEP_MS 5000

/* ---- one at a time where they overlap ---- */

static bool overlap(const struct range *a, const struct range *b)
{
    return a->offset < b->offset + b->len && b->offset < a->offset + a->len;
}

void front_take_range(struct xha_front *front, struct range *range)
{
    const struct range *other;

again:
    for (other = front->ranges; other; other = other->next) {
        if (overlap(other, range)) {
            pthread_cond_wait(&front->change, &front->lock);
            goto again;
        }
    }
    range->next = front->ranges;
    front->ranges = range;
}

void front_drop_range(struct xha_front *front, struct range *range)
{
    struct range **at = &front->ranges;

    while (*at != range)
        at = &(*at)->next;
    *at = range->next;
    pthread_cond_broadcast(&front->change);
}

/* ---- a write ---- */

/* Its regions are in the map, on stable storage. */
static int note(struct xha_front *f, const struct range *range)
{
    struct xha_meta_file *file = f->conf.file;

    if (!xha_meta_has_base(&file->meta)) /* nobody has a copy that could differ */
        return 0;
    if (!xha_map_has(file->map, range->offset, range->len)) {
        xha_map_set(file->map, range->offset, range->len);
        return xha_meta_write_map(file);
    }
    return 0;
}

/* With the lock held. -1 with errno: it may not be done. */
static int begin_write(struct xha_front *f, struct range *range)
{
    int r;

    if (range->offset > f->conf.file->meta.size || range->len > f->conf.file->meta.size - range->offset) {
        errno = ENOSPC;
        return -1;
    }
    front_take_range(f, range);
    errno = EROFS;
    r = f->serves ? note(f, range) : -1;
    if (r == 0)
        f->writers++;
    else
        front_drop_range(f, range);
    return r;
}

/* Whether all of it will be copied later anyway. */
static bool is_copied_later(const struct xha_front *f, const struct range *range)
{
    return f->status.mode == XHA_FRONT_SYNCING && xha_map_has(f->to_sync, range->offset, range->len);
}

/* With the lock held: it is done here, so the backup is told. */
static void tell(struct xha_front *f, const struct range *range, const void *data)
{
    const uint8_t *from = data;
    struct xha_word word = { .kind = data ? XHA_WORD_WRITE : XHA_WORD_ZERO, .count = range->len };
    uint64_t at = range->offset;

    if (!data) {
        word.offset = at;
        if (f->feed && !is_copied_later(f, range))
            xha_feed_put(f->feed, &word, NULL);
        return;
    }
    while (f->feed && at < range->offset + range->len && !is_copied_later(f, range)) {
        const uint64_t left = range->offset + range->len - at;

        word.len = left < XHA_WORD_DATA_MAX ? (uint32_t)left : XHA_WORD_DATA_MAX;
        word.offset = at;
        word.count = 0;
        xha_feed_put(f->feed, &word, from);
        from += word.len;
        at += word.len;
    }
}

/* With the lock held. */
static void end_write(struct xha_front *f, struct range *range, const void *data, bool done)
{
    if (done) {
        f->telling++;
        tell(f, range, data);
        f->telling--;
    }
    /* Only now: the feed may have been lost while it was waited for. */
    xha_map_wrote(f->conf.file->map, range->offset, range->len,
                  !done || f->status.mode == XHA_FRONT_ALONE ? XHA_EPOCH_NEVER
                  : f->status.mode == XHA_FRONT_SYNCING      ? 0
                                                             : f->status.epoch);
    f->writers--;
    front_drop_range(f, range);
}

static int change(struct xha_front *f, const void *data, uint32_t len, uint64_t offset, bool fua)
{
    struct range range = { .offset = offset, .len = len };
    int r, e;

    if (len == 0)
        return 0;
    pthread_mutex_lock(&f->lock);
    r = begin_write(f, &range);
    e = errno;
    pthread_mutex_unlock(&f->lock);
    if (r == 0) {
        r = data ? xha_store_write(f->conf.disk_fd, data, len, offset)
                 : xha_store_zero(f->conf.disk_fd, len, offset);
        if (r == 0 && fua)
            r = fdatasync(f->conf.disk_fd);
        e = errno;
        pthread_mutex_lock(&f->lock);
        end_write(f, &range, data, r == 0);
        pthread_mutex_unlock(&f->lock);
    }
    errno = e;
    return r;
}

int xha_front_write(struct xha_front *front, const void *data, uint32_t len, uint64_t offset, bool fua)
{
    return change(front, data, len, offset, fua);
}

int xha_front_zero(struct xha_front *front, uint32_t len, uint64_t offset, bool fua)
{
    return change(front, NULL, len, offset, fua);
}

/* ---- epochs ---- */

int xha_front_barrier(struct xha_front *front, uint64_t epoch)
{
    const struct xha_word end = { .kind = XHA_WORD_END, .count = epoch };
    int r = -1;

    pthread_mutex_lock(&front->lock);
    errno = EPIPE;
    if (front->status.mode == XHA_FRONT_SYNCED && front->have && epoch == front->status.epoch) {
        xha_feed_put(front->feed, &end, NULL);
        front->status.epoch++;
        r = xha_feed_is_broken(front->feed) ? -1 : 0;
    }
    pthread_mutex_unlock(&front->lock);
    return r;
}

/*
 * Bits go once their regions have rested for as long as it takes from sweep to sweep. What stands in for a bit is the
 * backup's copy, so ours must be on stable storage as well, or a power cut would make them differ unnoticed.
 */
static void sweep(struct xha_front *f)
{
    struct xha_meta_file *file = f->conf.file;
    const uint64_t upto = f->sweepable, feeds = f->feeds;
    int r;

    pthread_mutex_unlock(&f->lock);
    r = fdatasync(f->conf.disk_fd);
    pthread_mutex_lock(&f->lock);
    if (r < 0 || !f->have || f->feeds != feeds)
        return;
    if (file->meta.cleared < f->base_epoch + upto) {
        file->meta.cleared = f->base_epoch + upto;
        if (xha_meta_write(file) < 0)
            return;
    }
    xha_map_sweep(file->map, upto);
    for (const struct range *range = f->ranges; range; range = range->next)
        xha_map_set(file->map, range->offset, range->len);
    (void)xha_meta_write_map(file); /* when it fails, bits that are set too many stay */
    f->sweepable = f->status.committed;
}

static void *run_sweeper(void *arg)
{
    struct xha_front *f = arg;

    pthread_mutex_lock(&f->lock);
    while (!f->quit) {
        if (!f->sweeps) {
            pthread_cond_wait(&f->change, &f->lock);
            continue;
        }
        f->sweeps = false;
        sweep(f);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

void xha_front_commit(struct xha_front *front, uint64_t epoch)
{
    const int64_t now = xha_move_now_ms();

    pthread_mutex_lock(&front->lock);
    if (front->status.mode == XHA_FRONT_SYNCED && front->have && epoch > front->status.committed &&
        epoch < front->status.epoch) {
        front->status.committed = epoch;
        if (now - front->swept_ms >= front->conf.sweep_ms) {
            front->swept_ms = now;
            front->sweeps = true;
            pthread_cond_broadcast(&front->change);
        }
    }
    pthread_mutex_unlock(&front->lock);
}

void front_alone(struct xha_front *front, const char *why)
{
    front->status.mode = XHA_FRONT_ALONE;
    front->have = false;
    snprintf(front->status.error, sizeof(front->status.error), "%s", why);
}

/* ---- who may ---- */

void xha_front_serve(struct xha_front *front, bool serve)
{
    if (!serve)
        xha_front_hang_up(front); /* writers may be waiting in it */
    pthread_mutex_lock(&front->lock);
    front->serves = serve;
    while (!serve && front->writers > 0)
        pthread_cond_wait(&front->change, &front->lock);
    pthread_mutex_unlock(&front->lock);
    if (!serve)
        xha_front_hang_up(front);
}

int xha_front_end(struct xha_front *front)
{
    struct xha_meta_file *file = front->conf.file;
    int r = 0;

    xha_front_hang_up(front);
    pthread_mutex_lock(&front->lock);
    if (file->meta.role == XHA_DISK_PROTECTED) {
        file->meta.role = XHA_DISK_CURRENT;
        r = xha_meta_write(file);
        if (r < 0)
            file->meta.role = XHA_DISK_PROTECTED;
    }
    pthread_mutex_unlock(&front->lock);
    return r;
}

void xha_front_hang_up(struct xha_front *front)
{
    pthread_mutex_lock(&front->lock);
    while (front->fed) {
        if (front->any)
            xha_feed_break(front->any);
        pthread_cond_wait(&front->change, &front->lock);
    }
    pthread_mutex_unlock(&front->lock);
}

void xha_front_status(struct xha_front *front, struct xha_front_status *status_r)
{
    const struct xha_meta *meta = &front->conf.file->meta;

    pthread_mutex_lock(&front->lock);
    *status_r = front->status;
    status_r->serves = front->serves;
    if (front->status.mode == XHA_FRONT_SYNCED && !front->have)
        status_r->mode = XHA_FRONT_SYNCING; /* the backup has not said so */
    status_r->dirty_bytes = xha_map_count(front->conf.file->map) << meta->region_shift;
    status_r->total_bytes = meta->size;
    if (!xha_meta_has_base(meta) || status_r->dirty_bytes > meta->size)
        status_r->dirty_bytes = meta->size;
    status_r->todo_bytes = front->to_sync ? xha_map_count(front->to_sync) << meta->region_shift : 0;
    if (status_r->todo_bytes > meta->size)
        status_r->todo_bytes = meta->size;
    pthread_mutex_unlock(&front->lock);
}

struct xha_front *xha_front_new(const struct xha_front_conf *conf)
{
    struct xha_front *front = calloc(1, sizeof(*front));

    if (!front)
        return NULL;
    front->conf = *conf;
    if (front->conf.sweep_ms == 0)
        front->conf.sweep_ms = SWEEP_MS;
    pthread_mutex_init(&front->lock, NULL);
    pthread_cond_init(&front->change, NULL);
    if (pthread_create(&front->sweeper, NULL, run_sweeper, front) == 0)
        return front;
    pthread_mutex_destroy(&front->lock);
    pthread_cond_destroy(&front->change);
    free(front);
    return NULL;
}

void xha_front_free(struct xha_front *front)
{
    if (!front)
        return;
    pthread_mutex_lock(&front->lock);
    front->quit = true;
    pthread_cond_broadcast(&front->change);
    pthread_mutex_unlock(&front->lock);
    pthread_join(front->sweeper, NULL);
    pthread_mutex_destroy(&front->lock);
    pthread_cond_destroy(&front->change);
    free(front);
}

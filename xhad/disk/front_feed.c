/*
 * front_feed.c - bringing a backup's copy of a disk up to date while the guest goes on, see front.h.
 */
#include "xhad/disk/front_internal.h"
#include "xhad/disk/store.h"
#include "xhad/base/cleanup.h"
#include "xhad/move/clock.h"

#include <string.h>
#include <sys/random.h>

#define PATIENCE_S 10

/* What one feed needs. */
struct feeding {
    struct xha_front *f;
    struct xha_feed *feed;
    uint8_t *data; /* XHA_WORD_DATA_MAX, of what is received */
    struct xha_meta peer;
    struct xha_map *theirs; /* what may differ, by the backup's map */
    char why[160];
};

static int fail(struct feeding *g, const char *why)
{
    if (g->why[0] == '\0')
        snprintf(g->why, sizeof(g->why), "%s", why);
    return -1;
}

static void put(struct feeding *g, enum xha_word_kind kind, const void *data, uint32_t len, uint64_t count)
{
    const struct xha_word word = { .kind = kind, .len = len, .count = count };

    pthread_mutex_lock(&g->f->lock);
    xha_feed_put(g->feed, &word, data);
    pthread_mutex_unlock(&g->f->lock);
}

static int get(struct feeding *g, struct xha_word *word_r)
{
    if (xha_feed_get(g->feed, word_r, g->data) < 0)
        return fail(g, "the sender or the backup is gone");
    if (word_r->kind != XHA_WORD_FAIL)
        return 0;
    return fail(g, "the backup's disk failed: see the log of its host");
}

/* ---- what differs ---- */

static int greet(struct feeding *g)
{
    const struct xha_meta *ours = &g->f->conf.file->meta;
    uint8_t bytes[XHA_META_BYTES];
    struct xha_word word;

    pthread_mutex_lock(&g->f->lock);
    xha_meta_put(ours, bytes);
    pthread_mutex_unlock(&g->f->lock);
    put(g, XHA_WORD_HELLO, bytes, sizeof(bytes), 0);
    if (get(g, &word) < 0)
        return -1;
    if (word.kind != XHA_WORD_HELLO || !xha_meta_get(g->data, &g->peer))
        return fail(g, "the backup spoke out of turn");
    if (g->peer.size != ours->size)
        return fail(g, "the backup's disk has another size");
    g->theirs = xha_map_new(ours->size, ours->region_shift);
    return g->theirs ? 0 : fail(g, "out of memory");
}

static int hear_map(struct feeding *g)
{
    struct xha_word word;

    for (;;) {
        if (get(g, &word) < 0)
            return -1;
        if (word.kind == XHA_WORD_READY)
            return 0;
        if (word.kind != XHA_WORD_MAP || word.offset >= xha_map_pages(g->theirs) ||
            g->peer.region_shift != g->f->conf.file->meta.region_shift)
            return fail(g, "the backup spoke out of turn");
        xha_map_page_add(g->theirs, word.offset, g->data);
    }
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The map holds all that may differ, on stable storage; from here on it is kept for this pair. With the lock held. */
static int unite(struct feeding *g)
{
    struct xha_meta_file *file = g->f->conf.file;
    const uint64_t size = file->meta.size;
    const unsigned shift = file->meta.region_shift;

    g->f->base_epoch = most(most(file->meta.held, file->meta.cleared), most(g->peer.held, g->peer.cleared));
    if (xha_meta_match(&file->meta, &g->peer)) {
        for (uint64_t r = xha_map_next(g->theirs, 0); r < xha_map_regions(g->theirs);
             r = xha_map_next(g->theirs, r + 1)) {
            const uint64_t at = r << shift, len = UINT64_C(1) << shift;

            xha_map_set(file->map, at, len < size - at ? len : size - at);
        }
        return xha_meta_write_map(file);
    }
    xha_map_set_all(file->map);
    if (xha_meta_write_map(file) < 0)
        return -1;
    file->meta.cleared = 0;
    if (getrandom(file->meta.base, sizeof(file->meta.base), 0) != (ssize_t)sizeof(file->meta.base))
        return -1;
    return xha_meta_write(file);
}

/* From here on writes are told to the backup, unless they are to be copied anyway. */
static int begin(struct feeding *g)
{
    struct xha_front *f = g->f;
    struct xha_meta_file *file = f->conf.file;
    const uint64_t size = file->meta.size;
    const struct xha_word start = { .kind = XHA_WORD_START, .len = XHA_BASE_BYTES };
    int r = 0;

    f->to_sync = xha_map_new(size, file->meta.region_shift);
    if (!f->to_sync)
        return fail(g, "out of memory");
    pthread_mutex_lock(&f->lock);
    r = unite(g);
    for (uint64_t i = xha_map_next(file->map, 0); r == 0 && i < xha_map_regions(file->map);
         i = xha_map_next(file->map, i + 1)) {
        const uint64_t at = i << file->meta.region_shift;

        xha_map_set(f->to_sync, at, 1);
    }
    if (r == 0) {
        xha_map_forget_epochs(file->map);
        xha_feed_put(g->feed, &start, file->meta.base);
        f->feed = g->feed;
        f->feeds++;
        f->have = false;
        f->status.mode = XHA_FRONT_SYNCING;
        f->status.epoch = f->status.committed = f->sweepable = 0;
        f->status.error[0] = '\0';
    }
    pthread_mutex_unlock(&f->lock);
    return r == 0 ? 0 : fail(g, "this host's state of the disk cannot be written");
}

/* ---- copying ---- */

static bool is_zero(const uint8_t *bytes, size_t len)
{
    return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

/* One piece, within a region that nobody writes to. */
static int copy_piece(struct feeding *g, uint8_t *bytes, uint64_t offset, uint32_t len)
{
    struct xha_word word = { .kind = XHA_WORD_WRITE, .len = len, .offset = offset };
    bool broken;

    if (xha_store_read(g->f->conf.disk_fd, bytes, len, offset) < 0)
        return fail(g, "the disk cannot be read");
    if (is_zero(bytes, len))
        word = (struct xha_word){ .kind = XHA_WORD_ZERO, .offset = offset, .count = len };
    pthread_mutex_lock(&g->f->lock);
    xha_feed_put(g->feed, &word, bytes);
    broken = xha_feed_is_broken(g->feed);
    pthread_mutex_unlock(&g->f->lock);
    return broken ? fail(g, "the sender or the backup is gone") : 0;
}

static int copy_region(struct feeding *g, uint8_t *bytes, uint64_t region)
{
    struct xha_front *f = g->f;
    const unsigned shift = f->conf.file->meta.region_shift;
    const uint64_t size = f->conf.file->meta.size;
    struct range range = { .offset = region << shift, .len = UINT64_C(1) << shift };
    int r = 0;

    if (range.len > size - range.offset)
        range.len = size - range.offset;
    pthread_mutex_lock(&f->lock);
    front_take_range(f, &range);
    pthread_mutex_unlock(&f->lock);
    for (uint64_t at = 0; r == 0 && at < range.len; at += XHA_WORD_DATA_MAX) {
        const uint64_t left = range.len - at;

        r = copy_piece(g, bytes, range.offset + at,
                       left < XHA_WORD_DATA_MAX ? (uint32_t)left : XHA_WORD_DATA_MAX);
    }
    pthread_mutex_lock(&f->lock);
    if (r == 0)
        xha_map_clear(f->to_sync, region);
    front_drop_range(f, &range);
    pthread_mutex_unlock(&f->lock);
    return r;
}

static int copy(struct feeding *g)
{
    XHA_CLEANUP_FREE uint8_t *bytes = malloc(XHA_WORD_DATA_MAX);
    const uint64_t regions = xha_map_regions(g->f->to_sync);

    if (!bytes)
        return fail(g, "out of memory");
    for (uint64_t r = xha_map_next(g->f->to_sync, 0); r < regions; r = xha_map_next(g->f->to_sync, r + 1))
        if (copy_region(g, bytes, r) < 0)
            return -1;
    return 0;
}

/* Both are the same now, but for what is told from here on. */
static int synced(struct feeding *g)
{
    struct xha_front *f = g->f;
    struct xha_meta_file *file = f->conf.file;
    const struct xha_word word = { .kind = XHA_WORD_SYNCED, .count = f->base_epoch };
    const enum xha_disk_role before = file->meta.role;
    int r;

    pthread_mutex_lock(&f->lock);
    file->meta.role = XHA_DISK_PROTECTED; /* before anybody could be promoted */
    r = xha_meta_write(file);
    if (r == 0) {
        xha_feed_put(g->feed, &word, NULL);
        f->status.mode = XHA_FRONT_SYNCED;
        f->status.epoch = 1;
        f->swept_ms = xha_move_now_ms();
    } else {
        file->meta.role = before;
    }
    pthread_mutex_unlock(&f->lock);
    return r == 0 ? 0 : fail(g, "this host's state of the disk cannot be written");
}

/* ---- from start to end ---- */

static int feed(struct feeding *g)
{
    struct xha_word word;

    if (greet(g) < 0 || hear_map(g) < 0 || begin(g) < 0 || copy(g) < 0 || synced(g) < 0 || get(g, &word) < 0)
        return -1;
    if (word.kind != XHA_WORD_HAVE)
        return fail(g, "the backup spoke out of turn");
    pthread_mutex_lock(&g->f->lock);
    g->f->have = true;
    pthread_mutex_unlock(&g->f->lock);
    return get(g, &word) < 0 ? -1 : fail(g, "the backup spoke out of turn");
}

static void let_go(struct feeding *g)
{
    struct xha_front *f = g->f;
    struct xha_map *to_sync;

    pthread_mutex_lock(&f->lock);
    xha_feed_break(g->feed);
    front_alone(f, g->why);
    while (f->telling > 0)
        pthread_cond_wait(&f->change, &f->lock);
    f->feed = f->any = NULL;
    to_sync = xha_steal_ptr(f->to_sync);
    pthread_mutex_unlock(&f->lock);
    xha_feed_free(g->feed);
    xha_map_free(to_sync);
}

/* The newest sender is the one: an older one is gone, or about to be. */
static bool take_turn(struct xha_front *f)
{
    bool ours;

    pthread_mutex_lock(&f->lock);
    while (f->fed && f->serves) {
        if (f->any)
            xha_feed_break(f->any);
        pthread_cond_wait(&f->change, &f->lock);
    }
    ours = f->serves;
    f->fed |= ours;
    pthread_mutex_unlock(&f->lock);
    return ours;
}

void xha_front_feed(struct xha_front *front, int fd)
{
    struct feeding g = { .f = front };

    if (!take_turn(front)) {
        close(fd);
        return;
    }
    g.data = malloc(XHA_WORD_DATA_MAX);
    g.feed = g.data ? xha_feed_new(fd, &front->lock, PATIENCE_S) : NULL;
    if (g.feed) {
        pthread_mutex_lock(&front->lock);
        front->any = g.feed;
        pthread_mutex_unlock(&front->lock);
        feed(&g);
        let_go(&g);
    } else {
        close(fd);
    }
    xha_map_free(g.theirs);
    free(g.data);
    pthread_mutex_lock(&front->lock);
    front->fed = false;
    pthread_cond_broadcast(&front->change);
    pthread_mutex_unlock(&front->lock);
}

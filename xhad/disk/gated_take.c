/*
 * gated_take.c - the backup's end of the words of word.h.
 */
#include "xhad/disk/gated_internal.h"
#include "xhad/disk/feed.h"
#include "xhad/base/cleanup.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define PATIENCE_S 10

struct taking {
    struct xha_gated *g;
    struct xha_feed *feed;
    pthread_mutex_t lock; /* of the feed */
    uint8_t *data;
    bool started; /* the copy is neither old nor new, or synced */
};

static void put(struct taking *t, enum xha_word_kind kind, const void *data, uint32_t len, uint64_t offset,
                uint64_t count)
{
    const struct xha_word word = { .kind = kind, .len = len, .offset = offset, .count = count };

    pthread_mutex_lock(&t->lock);
    xha_feed_put(t->feed, &word, data);
    pthread_mutex_unlock(&t->lock);
}

/* What we have, and what of it may differ. */
static int greet(struct taking *t)
{
    struct xha_meta_file *file = &t->g->file;
    uint8_t bytes[XHA_MAP_PAGE], hello[XHA_META_BYTES];

    xha_meta_put(&file->meta, hello);
    put(t, XHA_WORD_HELLO, hello, sizeof(hello), 0, 0);
    for (uint64_t p = 0; p < xha_map_pages(file->map); p++) {
        xha_map_page_put(file->map, p, bytes);
        put(t, XHA_WORD_MAP, bytes, sizeof(bytes), p, 0);
    }
    put(t, XHA_WORD_READY, NULL, 0, 0, 0);
    return 0;
}

static int start(struct taking *t)
{
    struct xha_gated *g = t->g;

    if (t->started)
        return -1;
    t->started = true;
    g->doubt = g->synced = false;
    g->ended = 0;
    return xha_back_sync(g->back, t->data);
}

static int take_synced(struct taking *t, uint64_t epoch)
{
    struct xha_gated *g = t->g;

    if (!t->started || g->synced || xha_back_synced(g->back, epoch) < 0)
        return -1;
    g->synced = true;
    g->base_epoch = epoch;
    put(t, XHA_WORD_HAVE, NULL, 0, 0, 0);
    return 0;
}

static int take_end(struct taking *t, uint64_t epoch)
{
    struct xha_gated *g = t->g;

    if (!g->synced || epoch != g->ended + 1 || xha_back_end(g->back, g->base_epoch + epoch) < 0)
        return -1;
    g->ended = epoch;
    pthread_cond_broadcast(&g->change);
    return 0;
}

/* With the lock of the disk held. -1: that is not taken. */
static int take(struct taking *t, const struct xha_word *word)
{
    struct xha_meta hello;

    switch (word->kind) {
    case XHA_WORD_HELLO:
        return xha_meta_get(t->data, &hello) && hello.size == t->g->file.meta.size ? greet(t) : -1;
    case XHA_WORD_START:
        return start(t);
    case XHA_WORD_WRITE:
        return t->started ? xha_back_write(t->g->back, word->offset, t->data, word->len) : -1;
    case XHA_WORD_ZERO:
        return t->started ? xha_back_zero(t->g->back, word->offset, word->count) : -1;
    case XHA_WORD_SYNCED:
        return take_synced(t, word->count);
    case XHA_WORD_END:
        return take_end(t, word->count);
    case XHA_WORD_MAP:
    case XHA_WORD_READY:
    case XHA_WORD_HAVE:
    case XHA_WORD_FAIL:
    case XHA_WORD_KIND_N_:
        break;
    }
    return -1;
}

static void take_all(struct taking *t)
{
    struct xha_gated *g = t->g;
    struct xha_word word;
    int r = 0;

    while (r == 0 && xha_feed_get(t->feed, &word, t->data) == 0) {
        if (word.kind == XHA_WORD_START) /* a guest that still writes here writes no more */
            xha_front_serve(g->front, false);
        pthread_mutex_lock(&g->lock);
        /* Whoever was promoted takes no more. */
        r = g->quit || (t->started && g->file.meta.role == XHA_DISK_CURRENT) ? -1 : take(t, &word);
        if (r < 0)
            put(t, XHA_WORD_FAIL, NULL, 0, 0, 0);
        pthread_mutex_unlock(&g->lock);
    }
}

/* What is held stays so; the rest is dropped when the disk is promoted, synced anew or opened again. */
static void let_go(struct xha_gated *g)
{
    pthread_mutex_lock(&g->lock);
    g->taking = false;
    pthread_cond_broadcast(&g->change);
    pthread_mutex_unlock(&g->lock);
}

void gated_take(struct xha_gated *gated, int fd)
{
    struct taking t = { .g = gated };
    bool ours;

    pthread_mutex_lock(&gated->lock);
    while (gated->taking && !gated->quit) { /* the newest receiver is the one */
        shutdown(gated->taking_fd, SHUT_RDWR);
        pthread_cond_wait(&gated->change, &gated->lock);
    }
    ours = !gated->quit;
    gated->taking |= ours;
    gated->taking_fd = fd;
    pthread_mutex_unlock(&gated->lock);
    if (!ours) {
        close(fd);
        return;
    }
    pthread_mutex_init(&t.lock, NULL);
    t.data = malloc(XHA_WORD_DATA_MAX);
    if (t.data)
        t.feed = xha_feed_new(fd, &t.lock, PATIENCE_S);
    if (t.feed)
        take_all(&t);
    else
        close(fd);
    let_go(gated); /* before the descriptor is somebody else's */
    xha_feed_free(t.feed);
    free(t.data);
    pthread_mutex_destroy(&t.lock);
}

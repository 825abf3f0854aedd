/*
 * feed.c - see feed.h.
 */
#include "xhad/disk/feed.h"
#include "xhad/disk/ask.h"
#include "xhad/base/cleanup.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

struct said {
    struct said *next;
    size_t len;
    uint8_t bytes[];
};

struct xha_feed {
    int fd;
    pthread_t thread;
    pthread_mutex_t *lock; /* of what follows */
    pthread_cond_t change;
    struct said *first, **last;
    size_t queued;
    bool broken;
};

void xha_feed_break(struct xha_feed *feed)
{
    feed->broken = true;
    shutdown(feed->fd, SHUT_RDWR);
    pthread_cond_broadcast(&feed->change);
}

bool xha_feed_is_broken(const struct xha_feed *feed)
{
    return feed->broken;
}

static void *run(void *arg)
{
    struct xha_feed *f = arg;

    pthread_mutex_lock(f->lock);
    while (!f->broken) {
        struct said *said = f->first;
        int r;

        if (!said) {
            pthread_cond_wait(&f->change, f->lock);
            continue;
        }
        f->first = said->next;
        if (!f->first)
            f->last = &f->first;
        pthread_mutex_unlock(f->lock);
        r = xha_ask_send_all(f->fd, said->bytes, said->len);
        pthread_mutex_lock(f->lock);
        f->queued -= said->len;
        free(said);
        if (r < 0)
            xha_feed_break(f);
        pthread_cond_broadcast(&f->change);
    }
    pthread_mutex_unlock(f->lock);
    return NULL;
}

struct xha_feed *xha_feed_new(int fd, pthread_mutex_t *lock, int patience_s)
{
    const struct timeval patience = { .tv_sec = patience_s };
    struct xha_feed *feed = calloc(1, sizeof(*feed));
    sigset_t all, before;
    int r = -1;

    if (feed) {
        *feed = (struct xha_feed){ .fd = fd, .lock = lock };
        feed->last = &feed->first;
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
        pthread_cond_init(&feed->change, NULL);
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_create(&feed->thread, NULL, run, feed);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (r != 0)
            pthread_cond_destroy(&feed->change);
    }
    if (r == 0)
        return feed;
    free(feed);
    return NULL;
}

void xha_feed_free(struct xha_feed *feed)
{
    if (!feed)
        return;
    pthread_mutex_lock(feed->lock);
    xha_feed_break(feed);
    pthread_mutex_unlock(feed->lock);
    pthread_join(feed->thread, NULL);
    for (struct said *next; feed->first; feed->first = next) {
        next = feed->first->next;
        free(feed->first);
    }
    close(feed->fd);
    pthread_cond_destroy(&feed->change);
    free(feed);
}

void xha_feed_put(struct xha_feed *feed, const struct xha_word *word, const void *data)
{
    const size_t len = XHA_WORD_HEAD + word->len;
    struct said *said;

    while (!feed->broken && word->len > 0 && feed->queued > 0 && feed->queued + len > XHA_FEED_QUEUE_BYTES)
        pthread_cond_wait(&feed->change, feed->lock);
    if (feed->broken)
        return;
    said = malloc(sizeof(*said) + len);
    if (!said) { /* better no backup than one that lacks something */
        xha_feed_break(feed);
        return;
    }
    said->next = NULL;
    said->len = len;
    xha_word_put(word, said->bytes);
    if (word->len > 0)
        memcpy(said->bytes + XHA_WORD_HEAD, data, word->len);
    *feed->last = said;
    feed->last = &said->next;
    feed->queued += len;
    pthread_cond_broadcast(&feed->change);
}

int xha_feed_get(struct xha_feed *feed, struct xha_word *word_r, uint8_t *data)
{
    uint8_t head[XHA_WORD_HEAD];

    if (xha_ask_receive_all(feed->fd, head, sizeof(head)) < 0 || xha_word_get(head, word_r) < 0)
        return -1;
    return xha_ask_receive_all(feed->fd, data, word_r->len);
}

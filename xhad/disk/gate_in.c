/*
 * gate_in.c - see gate_in.h.
 */
#include "xhad/disk/gate_in.h"
#include "xhad/disk/ask.h"
#include "xhad/base/cleanup.h"
#include "xhad/move/bytes.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#define QUEUE_BYTES (32u << 20)
#define HOLD_S      60
#define PROMOTE_S   600 /* all that is held has to be applied */

/* Something that the thread has to do: a frame, or (no bytes) an epoch to hold. */
struct task {
    struct task *next;
    uint64_t hold;
    size_t len;
    uint8_t bytes[];
};

struct disk {
    int feed_fd, control_fd;
    size_t got;
    uint8_t frame[XHA_GATE_FRAME_MAX];
};

struct xha_gate_in {
    struct xha_gate_disks disks;
    struct disk *disk;
    int epoll_fd, event_fd;
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t change;
    struct task *first, **last;
    size_t queued;
    uint64_t held;
    bool quit, busy, used;
    char error[192];
};

/* ---- the thread ---- */

static void fail(struct xha_gate_in *g, unsigned i, const char *why)
{
    pthread_mutex_lock(&g->lock);
    if (g->error[0] == '\0')
        snprintf(g->error, sizeof(g->error), "disk %s of the backup: %.100s", g->disks.name[i], why);
    pthread_mutex_unlock(&g->lock);
    eventfd_write(g->event_fd, 1);
}

static void hand_over(struct xha_gate_in *g, const struct task *task)
{
    const unsigned i = xha_get32(task->bytes);
    const uint8_t *bytes = task->bytes + 4;
    size_t len = task->len - 4;

    while (len > 0) {
        const ssize_t n = send(g->disk[i].feed_fd, bytes, len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            fail(g, i, "it takes no more; see xha-disk status");
            return;
        }
        bytes += n;
        len -= (size_t)n;
    }
}

static void hold(struct xha_gate_in *g, uint64_t epoch)
{
    char text[XHA_ASK_TEXT_MAX + 1];

    for (unsigned i = 0; i < g->disks.n; i++) {
        if (xha_ask(g->disk[i].control_fd, XHA_ASK_HOLD, epoch, HOLD_S, text, sizeof(text)) < 0) {
            fail(g, i, text);
            return;
        }
    }
    pthread_mutex_lock(&g->lock);
    g->held = epoch;
    pthread_mutex_unlock(&g->lock);
    eventfd_write(g->event_fd, 1);
}

static void *run(void *arg)
{
    struct xha_gate_in *g = arg;

    pthread_mutex_lock(&g->lock);
    while (!g->quit) {
        struct task *task = g->first;

        if (!task) {
            pthread_cond_wait(&g->change, &g->lock);
            continue;
        }
        g->first = task->next;
        if (!g->first)
            g->last = &g->first;
        g->busy = true;
        pthread_mutex_unlock(&g->lock);
        if (task->len > 0)
            hand_over(g, task);
        else
            hold(g, task->hold);
        pthread_mutex_lock(&g->lock);
        g->busy = false;
        if (g->queued >= QUEUE_BYTES && g->queued - task->len < QUEUE_BYTES)
            eventfd_write(g->event_fd, 1); /* there is room again */
        g->queued -= task->len;
        if (g->error[0] != '\0')
            g->quit = true;
        pthread_cond_broadcast(&g->change);
        free(task);
    }
    pthread_mutex_unlock(&g->lock);
    return NULL;
}

/* ---- whoever has the wire ---- */

int xha_gate_in_fd(const struct xha_gate_in *gate)
{
    return gate->epoll_fd;
}

bool xha_gate_in_has_room(struct xha_gate_in *gate)
{
    bool room;

    pthread_mutex_lock(&gate->lock);
    room = gate->queued < QUEUE_BYTES;
    pthread_mutex_unlock(&gate->lock);
    return room;
}

static int add(struct xha_gate_in *g, struct task *task, char *err, size_t err_len)
{
    int r = 0;

    if (!task) {
        snprintf(err, err_len, "out of memory");
        return -1;
    }
    pthread_mutex_lock(&g->lock);
    if (g->error[0] != '\0') {
        snprintf(err, err_len, "%s", g->error);
        r = -1;
    } else {
        g->used = true;
        *g->last = task;
        g->last = &task->next;
        g->queued += task->len;
        pthread_cond_broadcast(&g->change);
    }
    pthread_mutex_unlock(&g->lock);
    if (r < 0)
        free(task);
    return r;
}

int xha_gate_in_hear(struct xha_gate_in *gate, const uint8_t *payload, size_t len, char *err, size_t err_len)
{
    struct xha_word word;
    struct task *task;
    unsigned i;

    if (xha_gate_frame_get(payload, len, gate->disks.n, &i, &word) < 0) {
        snprintf(err, err_len, "the sender spoke out of turn about a disk");
        return -1;
    }
    task = malloc(sizeof(*task) + len);
    if (task) {
        *task = (struct task){ .len = len };
        memcpy(task->bytes, payload, len);
    }
    return add(gate, task, err, err_len);
}

bool xha_gate_in_is_used(struct xha_gate_in *gate)
{
    bool used;

    pthread_mutex_lock(&gate->lock);
    used = gate->used;
    pthread_mutex_unlock(&gate->lock);
    return used;
}

int xha_gate_in_hold(struct xha_gate_in *gate, uint64_t epoch, char *err, size_t err_len)
{
    struct task *task = calloc(1, sizeof(*task));

    if (task)
        task->hold = epoch;
    return add(gate, task, err, err_len);
}

/* What a disk says. 1: a frame, 0: nothing more, -1: it is gone. */
static int read_frame(struct disk *d)
{
    struct xha_word word;
    size_t len;

    if (d->got == 0)
        d->got = 4; /* the disk's number stands there already */
    for (;;) {
        ssize_t n;

        len = XHA_GATE_FRAME_HEAD;
        if (d->got >= len) {
            if (xha_word_get(d->frame + 4, &word) < 0)
                return -1;
            len += word.len;
        }
        if (d->got >= len)
            return 1;
        n = recv(d->feed_fd, d->frame + d->got, len - d->got, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (n <= 0)
            return -1;
        d->got += (size_t)n;
    }
}

int xha_gate_in_turn(struct xha_gate_in *gate, xha_gate_put_cb put, void *arg, uint64_t *held_r, char *err,
                     size_t err_len)
{
    eventfd_t count;
    int r = 0;

    (void)eventfd_read(gate->event_fd, &count);
    for (unsigned i = 0; i < gate->disks.n && r == 0; i++) {
        struct disk *d = &gate->disk[i];

        while ((r = read_frame(d)) > 0) {
            if (put(arg, d->frame, d->got) < 0) {
                snprintf(err, err_len, "the link is gone");
                return -1;
            }
            d->got = 0;
        }
        if (r < 0)
            fail(gate, i, "it is gone; see xha-disk status");
    }
    pthread_mutex_lock(&gate->lock);
    *held_r = gate->held;
    r = gate->error[0] != '\0' ? -1 : 0;
    if (r < 0)
        snprintf(err, err_len, "%s", gate->error);
    pthread_mutex_unlock(&gate->lock);
    return r;
}

/* ---- opening, ending ---- */

static int open_disk(struct xha_gate_in *g, const char *sockets, unsigned i, char *err, size_t err_len)
{
    struct epoll_event readable = { .events = EPOLLIN };
    struct disk *d = &g->disk[i];
    char path[PATH_MAX];

    xha_put32(d->frame, i);
    if (xha_gate_socket(sockets, g->disks.name[i], path, sizeof(path)) == 0) {
        d->control_fd = xha_ask_connect(path, XHA_ASK_CONTROL);
        d->feed_fd = d->control_fd < 0 ? -1 : xha_ask_connect(path, XHA_ASK_BACK);
    }
    if (d->feed_fd >= 0 && epoll_ctl(g->epoll_fd, EPOLL_CTL_ADD, d->feed_fd, &readable) == 0)
        return 0;
    snprintf(err, err_len, "disk %s is not there (%s): has xha-disk attached it on this host?",
             g->disks.name[i], strerror(errno));
    return -1;
}

static int open_all(struct xha_gate_in *g, const char *sockets, char *err, size_t err_len)
{
    struct epoll_event readable = { .events = EPOLLIN };
    sigset_t all, before;
    int r;

    for (unsigned i = 0; i < g->disks.n; i++)
        if (open_disk(g, sockets, i, err, err_len) < 0)
            return -1;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = epoll_ctl(g->epoll_fd, EPOLL_CTL_ADD, g->event_fd, &readable) < 0
            ? errno
            : pthread_create(&g->thread, NULL, run, g);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    g->has_thread = r == 0;
    if (r != 0)
        snprintf(err, err_len, "%s", strerror(r));
    return r == 0 ? 0 : -1;
}

int xha_gate_in_open(const char *sockets, const struct xha_gate_disks *disks, struct xha_gate_in **gate_r,
                     char *err, size_t err_len)
{
    struct xha_gate_in *g = calloc(1, sizeof(*g));
    struct disk *disk = calloc(disks->n + 1, sizeof(*disk));

    if (!g || !disk) {
        free(g);
        free(disk);
        snprintf(err, err_len, "out of memory");
        return -1;
    }
    *g = (struct xha_gate_in){ .disks = *disks, .disk = disk };
    g->last = &g->first;
    for (unsigned i = 0; i < disks->n; i++)
        disk[i].feed_fd = disk[i].control_fd = -1;
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->change, NULL);
    g->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    g->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (g->epoll_fd < 0 || g->event_fd < 0)
        snprintf(err, err_len, "%s", strerror(errno));
    else if (open_all(g, sockets, err, err_len) == 0) {
        *gate_r = g;
        return 0;
    }
    xha_gate_in_close(g);
    return -1;
}

static void stop(struct xha_gate_in *g)
{
    if (!g->has_thread)
        return;
    pthread_mutex_lock(&g->lock);
    g->quit = true;
    pthread_cond_broadcast(&g->change);
    pthread_mutex_unlock(&g->lock);
    for (unsigned i = 0; i < g->disks.n; i++)
        shutdown(g->disk[i].feed_fd, SHUT_RDWR); /* it may be sending */
    pthread_join(g->thread, NULL);
    g->has_thread = false;
}

int xha_gate_in_promote(struct xha_gate_in *gate, uint64_t epoch, char *err, size_t err_len)
{
    char text[XHA_ASK_TEXT_MAX + 1];

    pthread_mutex_lock(&gate->lock);
    while ((gate->first || gate->busy) && gate->error[0] == '\0') /* the epoch may be on its way to be held */
        pthread_cond_wait(&gate->change, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
    stop(gate);
    if (gate->held != epoch) {
        snprintf(err, err_len, "the disks are as of another epoch than the memory: nothing can be promoted");
        return -1;
    }
    for (unsigned i = 0; i < gate->disks.n; i++) {
        if (xha_ask(gate->disk[i].control_fd, XHA_ASK_PROMOTE, 0, PROMOTE_S, text, sizeof(text)) < 0) {
            snprintf(err, err_len, "disk %s cannot be promoted: %.128s", gate->disks.name[i], text);
            return -1;
        }
    }
    return 0;
}

void xha_gate_in_close(struct xha_gate_in *gate)
{
    if (!gate)
        return;
    stop(gate);
    for (struct task *next; gate->first; gate->first = next) {
        next = gate->first->next;
        free(gate->first);
    }
    for (unsigned i = 0; i < gate->disks.n; i++) {
        if (gate->disk[i].feed_fd >= 0)
            close(gate->disk[i].feed_fd);
        if (gate->disk[i].control_fd >= 0)
            close(gate->disk[i].control_fd);
    }
    if (gate->epoll_fd >= 0)
        close(gate->epoll_fd);
    if (gate->event_fd >= 0)
        close(gate->event_fd);
    pthread_mutex_destroy(&gate->lock);
    pthread_cond_destroy(&gate->change);
    free(gate->disk);
    free(gate);
}

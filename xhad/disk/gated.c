/*
 * gated.c - see gated.h.
 */
#include "xhad/disk/gated_internal.h"
#include "xhad/disk/ask.h"
#include "xhad/disk/store.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#define HOLD_S 30 /* for the words of an epoch whose memory is here */

/* ---- opening, closing ---- */

static int open_all(struct xha_gated *g, char *err, size_t err_len)
{
    const unsigned shift = g->conf.region_shift ? g->conf.region_shift : XHA_REGION_SHIFT;
    struct xha_back_conf back = {
        .dir = g->conf.state,
        .file = &g->file,
        .journal_bytes = g->conf.journal_bytes,
    };
    uint64_t size = 0;

    g->disk_fd = open(g->conf.disk, O_RDWR | O_CLOEXEC);
    if (g->disk_fd < 0 || xha_store_size(g->disk_fd, &size) < 0 || size == 0) {
        snprintf(err, err_len, "%s cannot be used: %s", g->conf.disk,
                 g->disk_fd >= 0 && size == 0 ? "it is no file or block device, or empty" : strerror(errno));
        return -1;
    }
    if (xha_mkdir_p(g->conf.state, 0700) < 0) {
        snprintf(err, err_len, "%s cannot be made: %s", g->conf.state, strerror(errno));
        return -1;
    }
    if (xha_meta_open(g->conf.state, size, shift, &g->file, err, err_len) < 0)
        return -1;
    g->doubt = g->file.meta.role == XHA_DISK_PROTECTED;
    back.disk_fd = g->disk_fd;
    return xha_back_open(&back, &g->back, err, err_len);
}

int xha_gated_open(const struct xha_gated_conf *conf, struct xha_gated **gated_r, char *err, size_t err_len)
{
    struct xha_gated *g = calloc(1, sizeof(*g));

    if (!g) {
        snprintf(err, err_len, "out of memory");
        return -1;
    }
    g->conf = *conf;
    g->disk_fd = g->listen_fd = g->file.fd = -1;
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->change, NULL);
    if (open_all(g, err, err_len) == 0) {
        *gated_r = g;
        return 0;
    }
    xha_gated_close(g);
    return -1;
}

int xha_gated_start(struct xha_gated *gated)
{
    const struct xha_front_conf front = {
        .disk_fd = gated->disk_fd,
        .file = &gated->file,
        .sweep_ms = gated->conf.sweep_ms,
    };

    gated->front = xha_front_new(&front);
    if (!gated->front)
        return -1;
    xha_front_serve(gated->front, gated->file.meta.role == XHA_DISK_CURRENT);
    return gated_listen(gated);
}

void xha_gated_close(struct xha_gated *gated)
{
    if (!gated)
        return;
    if (gated->listens)
        gated_stop(gated);
    xha_front_free(gated->front);
    xha_back_close(gated->back);
    xha_meta_close(&gated->file);
    if (gated->disk_fd >= 0)
        close(gated->disk_fd);
    pthread_mutex_destroy(&gated->lock);
    pthread_cond_destroy(&gated->change);
    free(gated);
}

/* ---- the guest's ---- */

uint64_t xha_gated_size(const struct xha_gated *gated)
{
    return gated->file.meta.size;
}

int xha_gated_read(struct xha_gated *gated, void *bytes, uint32_t len, uint64_t offset)
{
    return xha_store_read(gated->disk_fd, bytes, len, offset);
}

int xha_gated_write(struct xha_gated *gated, const void *bytes, uint32_t len, uint64_t offset, bool fua)
{
    return xha_front_write(gated->front, bytes, len, offset, fua);
}

int xha_gated_zero(struct xha_gated *gated, uint32_t len, uint64_t offset, bool fua)
{
    return xha_front_zero(gated->front, len, offset, fua);
}

int xha_gated_flush(struct xha_gated *gated)
{
    return fdatasync(gated->disk_fd);
}

/* ---- questions ---- */

static void status(struct xha_gated *g, char *text, size_t text_len)
{
    static const char *const modes[] = { "alone", "syncing", "synced" };
    struct xha_front_status s;

    xha_front_status(g->front, &s);
    pthread_mutex_lock(&g->lock);
    snprintf(text, text_len,
             "{\"role\":\"%s\",\"writable\":%s,\"doubt\":%s,\"mode\":\"%s\",\"epoch\":%" PRIu64
             ",\"committed\":%" PRIu64 ",\"todo_bytes\":%" PRIu64 ",\"total_bytes\":%" PRIu64
             ",\"dirty_bytes\":%" PRIu64 ",\"backup\":{\"fed\":%s,\"synced\":%s,\"ended\":%" PRIu64
             ",\"held\":%" PRIu64 "},\"error\":\"%s\"}",
             xha_disk_role_word(g->file.meta.role), s.serves ? "true" : "false", g->doubt ? "true" : "false",
             modes[s.mode], s.epoch, s.committed, s.todo_bytes, s.total_bytes, s.dirty_bytes,
             g->taking ? "true" : "false", g->synced ? "true" : "false", g->ended,
             xha_back_held(g->back) > g->base_epoch ? xha_back_held(g->back) - g->base_epoch : 0,
             xha_back_error(g->back)[0] != '\0' ? xha_back_error(g->back) : s.error);
    pthread_mutex_unlock(&g->lock);
}

/* With the lock held: all words of the epoch are here, or never come. */
static bool await_end(struct xha_gated *g, uint64_t epoch)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += HOLD_S;
    while (g->taking && g->synced && g->ended < epoch && !g->quit)
        if (pthread_cond_timedwait(&g->change, &g->lock, &until) != 0)
            break;
    return g->synced && g->ended >= epoch;
}

static int hold(struct xha_gated *g, uint64_t epoch, char *text, size_t text_len)
{
    int r = EPIPE;

    pthread_mutex_lock(&g->lock);
    if (!await_end(g, epoch))
        snprintf(text, text_len, "epoch %" PRIu64 " of the disk is not here", epoch);
    else if (xha_back_commit(g->back, g->base_epoch + epoch) < 0)
        snprintf(text, text_len, "%s", xha_back_error(g->back));
    else
        r = 0;
    pthread_mutex_unlock(&g->lock);
    return r;
}

/* This copy is the disk. With the lock held. */
static int become_current(struct xha_gated *g)
{
    g->file.meta.role = XHA_DISK_CURRENT;
    if (xha_meta_write(&g->file) < 0)
        return errno;
    g->doubt = g->synced = false;
    xha_front_serve(g->front, true);
    return 0;
}

/* Why it cannot become the disk, "" if it can. With the lock held. */
static const char *settle(struct xha_gated *g, bool by_person)
{
    switch (g->file.meta.role) {
    case XHA_DISK_SYNCING:
        return "this copy is neither old nor new: it has to be synced first";
    case XHA_DISK_STANDBY:
        return xha_back_settle(g->back) < 0 ? xha_back_error(g->back) : "";
    case XHA_DISK_CURRENT:
    case XHA_DISK_PROTECTED:
    case XHA_DISK_ROLE_N_:
        break;
    }
    return by_person && g->doubt ? "" : "this copy is the disk, and no backup's";
}

static int promote(struct xha_gated *g, bool by_person, char *text, size_t text_len)
{
    int r = EPERM;

    pthread_mutex_lock(&g->lock);
    snprintf(text, text_len, "%s", settle(g, by_person));
    if (text[0] == '\0') {
        r = become_current(g);
        if (r != 0)
            snprintf(text, text_len, "the disk's state cannot be written: %s", strerror(r));
    }
    pthread_mutex_unlock(&g->lock);
    return r;
}

int gated_answer(struct xha_gated *gated, unsigned what, uint64_t number, char *text, size_t text_len)
{
    int r = 0;

    text[0] = '\0';
    switch ((enum xha_ask)what) {
    case XHA_ASK_STATUS:
        status(gated, text, text_len);
        return 0;
    case XHA_ASK_BARRIER:
        r = xha_front_barrier(gated->front, number) < 0 ? errno : 0;
        break;
    case XHA_ASK_COMMITTED:
        xha_front_commit(gated->front, number);
        return 0;
    case XHA_ASK_END:
        if (gated->doubt)
            return promote(gated, true, text, text_len);
        r = xha_front_end(gated->front) < 0 ? errno : 0;
        break;
    case XHA_ASK_HOLD:
        return hold(gated, number, text, text_len);
    case XHA_ASK_PROMOTE:
        return promote(gated, false, text, text_len);
    case XHA_ASK_OWN:
        return promote(gated, true, text, text_len);
    case XHA_ASK_N_:
    default:
        r = EINVAL;
        break;
    }
    if (r != 0)
        snprintf(text, text_len, "%s", strerror(r));
    return r;
}

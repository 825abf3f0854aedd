/*
 * cluster_log.c - frames of the cluster's log on disk.
 *
 * What could not be written stays in memory and is tried again with the next sync: a full disk delays the
 * acknowledgement of this host, and with it what the cluster does, but nothing is lost or told as kept.
 */
#include "xhad/ctl/cluster_log.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#define MAGIC        0x6c434858u /* "XHCl" */
#define FRAME_MAX    (16u << 20)
#define FILE_MAX     ((size_t)1 << 30)
#define BUFFER_BYTES 65536
#define BUFFERED_MAX (256u << 20) /* kept in memory while the disk refuses; then xhad begins anew */

struct head {
    uint32_t magic;
    uint32_t len;
    uint64_t index;
    uint64_t sum; /* of len, index and the bytes */
};

struct xha_cluster_log {
    char path[PATH_MAX], aside[PATH_MAX + 8];
    int fd;       /* of the log, or of the one aside while rewriting */
    size_t bytes; /* written to it for good */
    char *buffer; /* not yet written */
    size_t len, room;
    bool rewriting, put_in_place, dirty;
    uint64_t index; /* of the newest frame */
};

static uint64_t sum_of(const struct head *h, const uint8_t *bytes)
{
    return XXH3_64bits_withSeed(bytes, h->len, h->index << 24 ^ h->len);
}

/* ---- reading ---- */

/* The frame at data: its length with the header, or 0. */
static size_t take(const char *data, size_t len, struct head *h_r)
{
    if (len < sizeof *h_r)
        return 0;
    memcpy(h_r, data, sizeof *h_r);
    if (h_r->magic != MAGIC || h_r->len > FRAME_MAX || sizeof *h_r + h_r->len > len ||
        sum_of(h_r, (const uint8_t *)data + sizeof *h_r) != h_r->sum)
        return 0;
    return sizeof *h_r + h_r->len;
}

static bool good_frame_after(const char *data, size_t len)
{
    const uint32_t magic = MAGIC;
    struct head h;

    for (size_t at = 1; at + sizeof h <= len; at++)
        if (memcmp(data + at, &magic, sizeof magic) == 0 && take(data + at, len - at, &h))
            return true;
    return false;
}

static void move_away(struct xha_cluster_log *log, size_t at, char *warning, size_t len)
{
    char away[PATH_MAX + 16];

    snprintf(away, sizeof away, "%s.damaged", log->path);
    snprintf(
        warning, len,
        "%s: damaged at byte %zu, with good frames after it: a fault of the disk. It was moved to %s; this "
        "host takes the state of the other hosts",
        log->path, at, away);
    (void)rename(log->path, away);
    log->bytes = 0;
}

static int open_log(struct xha_cluster_log *log)
{
    log->fd = open(log->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return log->fd < 0 ? -1 : xha_sync_dir_of(log->path);
}

static int check(struct xha_cluster_log *log, char *warning, size_t warning_len)
{
    XHA_CLEANUP_FREE char *data = NULL;
    size_t len, at = 0, n;
    struct head h;

    if (xha_file_read(log->path, FILE_MAX, &data, &len) < 0)
        return -1;
    while (at < len && (n = take(data + at, len - at, &h)) > 0) {
        at += n;
        log->index = h.index;
    }
    log->bytes = at;
    if (at == len)
        return 0;
    if (good_frame_after(data + at, len - at)) {
        move_away(log, at, warning, warning_len);
        log->index = 0;
        close(log->fd);
        return open_log(log);
    }
    snprintf(warning, warning_len, "%s: %zu bytes of a frame that a crash left half written were cut off",
             log->path, len - at);
    return ftruncate(log->fd, (off_t)at);
}

int xha_cluster_log_open(const char *dir, struct xha_cluster_log **log_r, char *warning, size_t warning_len,
                         char *err, size_t err_len)
{
    struct xha_cluster_log *log = calloc(1, sizeof *log);
    int r = log ? snprintf(log->path, sizeof log->path, "%s/log", dir) : -1;

    warning[0] = '\0';
    if (r < 0 || (size_t)r >= sizeof log->path) {
        snprintf(err, err_len, "%s: %s", dir, log ? "path too long" : "no memory");
        free(log);
        return -1;
    }
    log->fd = -1;
    snprintf(log->aside, sizeof log->aside, "%s.new", log->path);
    unlink(log->aside); /* one that was not whole when xhad ended */
    if (xha_mkdir_p(dir, 0700) < 0 || open_log(log) < 0 || check(log, warning, warning_len) < 0) {
        snprintf(err, err_len, "%s: cannot be opened: %s", log->path, strerror(errno));
        xha_cluster_log_close(log);
        return -1;
    }
    *log_r = log;
    return 0;
}

int xha_cluster_log_each(const struct xha_cluster_log *log, xha_cluster_log_cb *each, void *user)
{
    XHA_CLEANUP_FREE char *data = NULL;
    size_t len, n;
    struct head h;

    if (xha_file_read(log->path, FILE_MAX, &data, &len) < 0)
        return -1;
    for (size_t at = 0; at < len && (n = take(data + at, len - at, &h)) > 0; at += n)
        each(user, h.index, (const uint8_t *)data + at + sizeof h, h.len);
    return 0;
}

/* ---- writing ---- */

static int write_out(struct xha_cluster_log *log)
{
    size_t done = 0;

    if (log->fd < 0)
        log->fd = open(log->aside, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (log->fd < 0)
        return -1;
    while (done < log->len) {
        ssize_t r = pwrite(log->fd, log->buffer + done, log->len - done, (off_t)(log->bytes + done));

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -1; /* all of it stays in the buffer, and is written over what is there now */
        done += (size_t)r;
    }
    log->bytes += log->len;
    log->len = 0;
    return 0;
}

static int make_room(struct xha_cluster_log *log, size_t more)
{
    size_t room = log->room ? log->room : BUFFER_BYTES;
    char *grown;

    while (room < log->len + more)
        room *= 2;
    if (room == log->room)
        return 0;
    grown = room > BUFFERED_MAX ? NULL : realloc(log->buffer, room);
    if (!grown) {
        errno = ENOMEM;
        return -1;
    }
    log->buffer = grown;
    log->room = room;
    return 0;
}

int xha_cluster_log_append(struct xha_cluster_log *log, uint64_t index, const uint8_t *bytes, size_t len)
{
    struct head h = { .magic = MAGIC, .len = (uint32_t)len, .index = index };

    if (len > FRAME_MAX) {
        errno = EMSGSIZE;
        return -1;
    }
    if (log->len >= BUFFER_BYTES)
        (void)write_out(log); /* what fails stays, and is told by the sync */
    if (make_room(log, sizeof h + len) < 0)
        return -1;
    h.sum = sum_of(&h, bytes);
    memcpy(log->buffer + log->len, &h, sizeof h);
    memcpy(log->buffer + log->len + sizeof h, bytes, len);
    log->len += sizeof h + len;
    log->index = index;
    log->dirty = true;
    return 0;
}

void xha_cluster_log_begin(struct xha_cluster_log *log)
{
    close(log->fd);
    log->fd = -1; /* the file aside is opened by whoever writes first: that may fail, and is tried again */
    log->bytes = log->len = 0;
    log->rewriting = log->dirty = true;
    log->put_in_place = false;
}

void xha_cluster_log_end(struct xha_cluster_log *log)
{
    log->put_in_place = log->rewriting;
}

bool xha_cluster_log_is_dirty(const struct xha_cluster_log *log)
{
    return log->dirty && (!log->rewriting || log->put_in_place);
}

int xha_cluster_log_sync(struct xha_cluster_log *log, uint64_t *index_r)
{
    if (write_out(log) < 0 || fdatasync(log->fd) < 0)
        return -1;
    if (log->rewriting) {
        if (rename(log->aside, log->path) < 0 || xha_sync_dir_of(log->path) < 0)
            return -1;
        log->rewriting = log->put_in_place = false;
    }
    log->dirty = false;
    *index_r = log->index;
    return 0;
}

void xha_cluster_log_close(struct xha_cluster_log *log)
{
    if (!log)
        return;
    if (log->fd >= 0)
        close(log->fd);
    free(log->buffer);
    free(log);
}

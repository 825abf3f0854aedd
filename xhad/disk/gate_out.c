/*
 * gate_out.c - see gate_out.h.
 */
#include "xhad/disk/gate_out.h"
#include "xhad/disk/ask.h"
#include "xhad/base/cleanup.h"
#include "xhad/move/bytes.h"

#include <jansson.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>

#define ASK_S  5  /* the guest may stand still meanwhile */
#define SEND_S 10 /* for a plugin to take what the backup says */

struct disk {
    const char *name;
    int feed_fd, control_fd;
    atomic_uint_least64_t ended;
    size_t got; /* of the frame that is being read */
    uint8_t frame[XHA_GATE_FRAME_MAX];
};

struct xha_gate_out {
    struct xha_gate_disks disks;
    int epoll_fd;
    unsigned turn; /* whose words come first */
    struct disk *disk;
};

/* ---- opening, closing ---- */

static int open_disk(struct xha_gate_out *g, const char *sockets, unsigned i, char *err, size_t err_len)
{
    const struct timeval patience = { .tv_sec = SEND_S };
    struct epoll_event readable = { .events = EPOLLIN, .data.u32 = i };
    struct disk *d = &g->disk[i];
    char path[PATH_MAX];

    d->name = g->disks.name[i];
    xha_put32(d->frame, i);
    if (xha_gate_socket(sockets, d->name, path, sizeof(path)) == 0) {
        d->control_fd = xha_ask_connect(path, XHA_ASK_CONTROL);
        d->feed_fd = d->control_fd < 0 ? -1 : xha_ask_connect(path, XHA_ASK_FEED);
    }
    if (d->feed_fd < 0 || epoll_ctl(g->epoll_fd, EPOLL_CTL_ADD, d->feed_fd, &readable) < 0) {
        snprintf(err, err_len, "disk %s is not there (%s): has xha-disk attached it?", d->name,
                 strerror(errno));
        return -1;
    }
    setsockopt(d->feed_fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    return 0;
}

int xha_gate_out_open(const char *sockets, const struct xha_gate_disks *disks, struct xha_gate_out **gate_r,
                      char *err, size_t err_len)
{
    struct xha_gate_out *g = calloc(1, sizeof(*g));
    int r = 0;

    if (g) {
        g->disks = *disks;
        g->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        g->disk = calloc(disks->n + 1, sizeof(*g->disk));
    }
    if (!g || g->epoll_fd < 0 || !g->disk) {
        snprintf(err, err_len, "%s", strerror(errno));
        r = -1;
    }
    for (unsigned i = 0; g && g->disk && i < disks->n; i++)
        g->disk[i].feed_fd = g->disk[i].control_fd = -1;
    for (unsigned i = 0; r == 0 && i < disks->n; i++)
        r = open_disk(g, sockets, i, err, err_len);
    if (r < 0)
        xha_gate_out_close(g);
    else
        *gate_r = g;
    return r;
}

void xha_gate_out_close(struct xha_gate_out *gate)
{
    if (!gate)
        return;
    for (unsigned i = 0; gate->disk && i < gate->disks.n; i++) {
        if (gate->disk[i].feed_fd >= 0)
            close(gate->disk[i].feed_fd);
        if (gate->disk[i].control_fd >= 0)
            close(gate->disk[i].control_fd);
    }
    if (gate->epoll_fd >= 0)
        close(gate->epoll_fd);
    free(gate->disk);
    free(gate);
}

/* ---- passing on ---- */

int xha_gate_out_fd(const struct xha_gate_out *gate)
{
    return gate->epoll_fd;
}

/* How much of the frame is known to come; SIZE_MAX: it is none. */
static size_t frame_len(const struct disk *d)
{
    struct xha_word word;

    if (d->got < XHA_GATE_FRAME_HEAD)
        return XHA_GATE_FRAME_HEAD;
    return xha_word_get(d->frame + 4, &word) < 0 ? SIZE_MAX : XHA_GATE_FRAME_HEAD + word.len;
}

/* 1: a frame is there, 0: not yet, -1: the plugin is gone. */
static int read_frame(struct disk *d)
{
    size_t len;

    if (d->got == 0)
        d->got = 4; /* the disk's number stands there already */
    while ((len = frame_len(d)) != SIZE_MAX && d->got < len) {
        const ssize_t n = recv(d->feed_fd, d->frame + d->got, len - d->got, MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (n <= 0)
            return -1;
        d->got += (size_t)n;
    }
    return len == SIZE_MAX ? -1 : 1;
}

static void note(struct disk *d)
{
    struct xha_word word;

    if (xha_word_get(d->frame + 4, &word) == 0 && word.kind == XHA_WORD_END)
        atomic_store(&d->ended, word.count);
}

int xha_gate_out_pass(struct xha_gate_out *gate, size_t max_bytes, xha_gate_put_cb put, void *arg, char *err,
                      size_t err_len)
{
    size_t passed = 0;

    for (unsigned idle = 0; idle < gate->disks.n && passed < max_bytes;) {
        struct disk *d = &gate->disk[gate->turn];
        const int r = read_frame(d);

        gate->turn = (gate->turn + 1) % gate->disks.n;
        if (r < 0) {
            snprintf(err, err_len, "disk %s is not replicated any more: see xha-disk status", d->name);
            return -1;
        }
        idle = r == 0 ? idle + 1 : 0;
        if (r == 0)
            continue;
        if (put(arg, d->frame, d->got) < 0) {
            snprintf(err, err_len, "the link is gone");
            return -1;
        }
        note(d);
        passed += d->got;
        d->got = 0;
    }
    return 0;
}

bool xha_gate_out_has_passed(const struct xha_gate_out *gate, uint64_t epoch)
{
    for (unsigned i = 0; i < gate->disks.n; i++)
        if (atomic_load(&gate->disk[i].ended) < epoch)
            return false;
    return true;
}

int xha_gate_out_hear(struct xha_gate_out *gate, const uint8_t *payload, size_t len, char *err,
                      size_t err_len)
{
    struct xha_word word;
    unsigned i;

    if (xha_gate_frame_get(payload, len, gate->disks.n, &i, &word) < 0) {
        snprintf(err, err_len, "the backup spoke out of turn about a disk");
        return -1;
    }
    if (word.kind == XHA_WORD_FAIL) {
        snprintf(err, err_len, "disk %s failed on the backup: see xha-disk status there", gate->disk[i].name);
        return -1;
    }
    if (xha_ask_send_all(gate->disk[i].feed_fd, payload + 4, len - 4) < 0) {
        snprintf(err, err_len, "disk %s does not listen any more", gate->disk[i].name);
        return -1;
    }
    return 0;
}

/* ---- the main thread ---- */

static int ask_all(struct xha_gate_out *g, enum xha_ask what, uint64_t number, char *err, size_t err_len)
{
    char text[XHA_ASK_TEXT_MAX + 1];

    for (unsigned i = 0; i < g->disks.n; i++) {
        if (xha_ask(g->disk[i].control_fd, what, number, ASK_S, text, sizeof(text)) < 0) {
            snprintf(err, err_len, "disk %s: %.128s", g->disk[i].name, text);
            return -1;
        }
    }
    return 0;
}

bool xha_gate_out_is_synced(struct xha_gate_out *gate, uint64_t *todo_bytes_r, uint64_t *total_bytes_r)
{
    bool synced = true;

    *todo_bytes_r = *total_bytes_r = 0;
    for (unsigned i = 0; i < gate->disks.n; i++) {
        char text[XHA_ASK_TEXT_MAX + 1];
        const char *mode;
        json_t *status;

        if (xha_ask(gate->disk[i].control_fd, XHA_ASK_STATUS, 0, ASK_S, text, sizeof(text)) < 0)
            return false;
        status = json_loads(text, 0, NULL);
        mode = json_string_value(json_object_get(status, "mode"));
        synced &= mode && strcmp(mode, "synced") == 0;
        *todo_bytes_r += (uint64_t)json_integer_value(json_object_get(status, "todo_bytes"));
        *total_bytes_r += (uint64_t)json_integer_value(json_object_get(status, "total_bytes"));
        json_decref(status);
    }
    return synced;
}

int xha_gate_out_barrier(struct xha_gate_out *gate, uint64_t epoch, char *err, size_t err_len)
{
    return ask_all(gate, XHA_ASK_BARRIER, epoch, err, err_len);
}

int xha_gate_out_committed(struct xha_gate_out *gate, uint64_t epoch, char *err, size_t err_len)
{
    return ask_all(gate, XHA_ASK_COMMITTED, epoch, err, err_len);
}

int xha_gate_end(const char *sockets, const struct xha_gate_disks *disks, char *err, size_t err_len)
{
    char path[PATH_MAX], text[XHA_ASK_TEXT_MAX + 1];
    int rc = 0;

    for (unsigned i = 0; i < disks->n; i++) {
        XHA_CLEANUP_CLOSE int fd = -1;

        snprintf(text, sizeof(text), "its plugin is not there: has xha-disk attached it?");
        if (xha_gate_socket(sockets, disks->name[i], path, sizeof(path)) == 0)
            fd = xha_ask_connect(path, XHA_ASK_CONTROL);
        if (fd >= 0 && xha_ask(fd, XHA_ASK_END, 0, ASK_S, text, sizeof(text)) == 0)
            continue;
        snprintf(err, err_len, "disk %s: %.128s", disks->name[i], text);
        rc = -1;
    }
    return rc;
}

/*
 * disk_receive.c - the receiving end of disk.h. What the sender says is checked against our own configuration:
 * no other path is ever opened.
 */
#include "xhad/move/disk.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include "xhad/move/bytes.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ASIDE ".xhad-move"

/* What has been written for one disk. */
struct taken {
    char aside[PATH_MAX]; /* the file's name until all is well; "": nothing to be put in place */
};

struct taking {
    const struct xha_talk *talk;
    struct xha_wire *wire;
    struct xha_packer *packer;
    struct taken *taken;
    /* the disk at hand */
    const char *path;
    enum xha_disk_kind kind;
    uint64_t size, at; /* at: all before it is written */
    int fd;
    uint64_t bytes;
    char *err;
    size_t err_len;
};

static int complain(struct taking *t, const char *what)
{
    snprintf(t->err, t->err_len, "%.150s: %s", t->path ? t->path : "disks", what);
    return -1;
}

/* ---- writing ---- */

static int write_at(struct taking *t, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        const ssize_t n = pwrite(t->fd, bytes, len, (off_t)t->at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return complain(t, strerror(errno));
        bytes += n;
        len -= (size_t)n;
        t->at += (uint64_t)n;
    }
    return 0;
}

/* A new file has holes there already; a device holds what somebody left. */
static int zero_to(struct taking *t, uint64_t to)
{
    static const uint8_t zeros[65536];

    if (t->kind == XHA_DISK_FILE ||
        (to > t->at && fallocate(t->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, (off_t)t->at,
                                 (off_t)(to - t->at)) == 0))
        t->at = to;
    while (t->at < to) {
        const size_t n = to - t->at < sizeof(zeros) ? (size_t)(to - t->at) : sizeof(zeros);

        if (write_at(t, zeros, n) < 0)
            return -1;
        xha_wire_breathe(t->wire);
    }
    return 0;
}

static int take_piece(void *arg, const uint8_t *bytes, size_t len)
{
    struct taking *t = arg;

    if (len > t->size - t->at)
        return complain(t, "the sender writes behind its end");
    t->bytes += len;
    return bytes ? write_at(t, bytes, len) : zero_to(t, t->at + len);
}

static int take_data(struct taking *t, const struct xha_frame *frame)
{
    char err[128];
    uint64_t offset;
    int r;

    if (frame->len < 8)
        return complain(t, "the sender sent a damaged piece");
    offset = xha_get64(frame->bytes);
    if (offset < t->at || offset > t->size)
        return complain(t, "the sender sent a piece that belongs elsewhere");
    if (zero_to(t, offset) < 0)
        return -1;
    r = xha_chunk_unpack(t->packer, frame->bytes + 8, frame->len - 8, take_piece, t, err, sizeof(err));
    if (r < 0 && t->err[0] == '\0')
        complain(t, err);
    return r ? -1 : 0;
}

/* ---- verifying ---- */

struct summing {
    struct xha_disk_sum *sum;
    struct taking *t;
};

static int sum_piece(void *arg, uint64_t offset, const uint8_t *bytes, size_t len)
{
    struct summing *s = arg;

    xha_disk_sum_add(s->sum, offset, bytes, len);
    xha_wire_breathe(s->t->wire);
    return xha_wire_stopped(s->t->wire) ? 1 : 0;
}

/* What is on the disk, read back, against the sender's sum. */
static int verify(struct taking *t, const struct xha_frame *frame)
{
    struct summing s = { .sum = xha_disk_sum_new(), .t = t };
    uint8_t sum[XHA_DISK_SUM_BYTES];
    int r;

    if (!s.sum)
        return complain(t, "out of memory");
    posix_fadvise(t->fd, 0, 0, POSIX_FADV_DONTNEED); /* from the medium, as far as that can be had */
    r = xha_disk_walk(t->fd, t->size, sum_piece, &s);
    xha_disk_sum_end(s.sum, t->size, sum);
    if (r != 0)
        return complain(t, r > 0 ? "told to stop" : strerror(errno));
    if (frame->len != sizeof(sum) || memcmp(frame->bytes, sum, sizeof(sum)) != 0)
        return -2;
    return 0;
}

/* ---- one disk ---- */

static int await(struct taking *t, struct xha_frame *frame_r)
{
    if (xha_wire_await(t->wire, t->talk->until_ms, frame_r) == 0)
        return 0;
    return complain(t, xha_wire_error(t->wire));
}

static void answer(struct taking *t, enum xha_answer_kind kind)
{
    xha_talk_answer(t->talk, t->wire, kind, XHA_REFUSAL_OTHER, "");
}

static int take_contents(struct taking *t)
{
    struct xha_frame frame;

    for (;;) {
        if (await(t, &frame) < 0)
            return -1;
        if (frame.type == XHA_FRAME_DISK_SUM)
            break;
        if (frame.type != XHA_FRAME_DATA)
            return complain(t, "the sender spoke out of turn");
        if (take_data(t, &frame) < 0)
            return -1;
    }
    if (zero_to(t, t->size) < 0)
        return -1;
    if (fsync(t->fd) < 0)
        return complain(t, strerror(errno));
    switch (verify(t, &frame)) {
    case 0:
        return 0;
    case -2:
        return complain(t, "what was written is not what was sent: this host's disk or memory is not sound");
    default:
        return -1;
    }
}

/* There is a file already: it must be the same. */
static int compare(struct taking *t, uint64_t size)
{
    struct xha_frame frame;

    if (t->size != size)
        return complain(t,
                        "there is such a file on the target already, of another size: remove it there, if it "
                        "is of no use");
    answer(t, XHA_ANSWER_COMPARE);
    if (await(t, &frame) < 0)
        return -1;
    if (frame.type != XHA_FRAME_DISK_SUM)
        return complain(t, "the sender spoke out of turn");
    switch (verify(t, &frame)) {
    case 0:
        return 0;
    case -2:
        return complain(
            t, "there is such a file on the target already, which differs: remove it there, if it is "
               "of no use");
    default:
        return -1;
    }
}

static int write_file(struct taking *t, struct taken *taken, uint32_t mode)
{
    snprintf(taken->aside, sizeof(taken->aside), "%.*s" ASIDE, (int)(sizeof(taken->aside) - sizeof(ASIDE)),
             t->path);
    unlink(taken->aside); /* of a copy that was cut off */
    t->fd = open(taken->aside, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (t->fd < 0)
        taken->aside[0] = '\0';
    if (t->fd < 0 || fchmod(t->fd, mode & 0777) < 0 || ftruncate(t->fd, (off_t)t->size) < 0)
        return complain(t, strerror(errno));
    answer(t, XHA_ANSWER_READY);
    return take_contents(t);
}

static int write_device(struct taking *t, uint64_t size)
{
    uint64_t own = 0;
    uint32_t mode;

    t->fd = xha_disk_open(t->path, true, &t->kind, &own, &mode, t->err, t->err_len);
    if (t->fd < 0)
        return -1;
    if (own != size)
        return complain(t, "the device on the target has another size: it must be exactly the same");
    answer(t, XHA_ANSWER_READY);
    return take_contents(t);
}

static int take_disk(struct taking *t, const struct xha_frame *frame, struct taken *taken)
{
    const uint32_t mode = xha_get32(frame->bytes + 4);
    const uint64_t size = xha_get64(frame->bytes + 8);
    const uint8_t kind = frame->bytes[16];
    struct stat st;
    uint32_t there;

    if (stat(t->path, &st) < 0) {
        if (errno != ENOENT)
            return complain(t, strerror(errno));
        if (kind == XHA_DISK_BLOCK)
            return complain(t, "there is no such device on the target: make one of the same size");
        t->kind = XHA_DISK_FILE;
        t->size = size;
        return write_file(t, taken, mode);
    }
    if (S_ISBLK(st.st_mode)) {
        t->size = size;
        return write_device(t, size);
    }
    t->fd = xha_disk_open(t->path, false, &t->kind, &t->size, &there, t->err, t->err_len);
    return t->fd < 0 ? -1 : compare(t, size);
}

static int take_next(struct taking *t, const struct xha_disk *disk, size_t index, struct taken *taken)
{
    struct xha_frame frame;
    int rc;

    t->path = disk->path;
    t->at = 0;
    t->fd = -1;
    if (await(t, &frame) < 0)
        return -1;
    if (frame.type != XHA_FRAME_DISK || frame.len < XHA_DISK_HEAD || frame.bytes[16] == 0 ||
        frame.bytes[16] >= XHA_DISK_KIND_N_ || xha_get64(frame.bytes + 8) > INT64_MAX)
        return complain(t, "the sender spoke out of turn");
    if (xha_get32(frame.bytes) != index || frame.len - XHA_DISK_HEAD != strlen(disk->path) ||
        memcmp(frame.bytes + XHA_DISK_HEAD, disk->path, strlen(disk->path)) != 0)
        return complain(t, "the sender has another disk in its place: the configurations differ");
    rc = take_disk(t, &frame, taken);
    if (t->fd >= 0)
        close(xha_steal_fd(&t->fd));
    if (rc == 0)
        answer(t, XHA_ANSWER_READY);
    return rc;
}

/* ---- all disks ---- */

static int put_in_place(struct taking *t, const struct xha_disk *disks, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (t->taken[i].aside[0] == '\0')
            continue;
        t->path = disks[i].path;
        if (rename(t->taken[i].aside, disks[i].path) < 0 || xha_sync_dir_of(disks[i].path) < 0)
            return complain(t, strerror(errno));
        t->taken[i].aside[0] = '\0';
    }
    return 0;
}

static int take_all(struct taking *t, const struct xha_disk *disks, size_t n, struct xha_copied *copied)
{
    struct xha_trailer trailer;
    struct xha_frame frame;

    for (size_t i = 0; i < n; i++, copied->disks++)
        if (take_next(t, &disks[i], i, &t->taken[i]) < 0)
            return -1;
    if (await(t, &frame) < 0)
        return -1;
    if (xha_trailer_get(&frame, &trailer) < 0 || trailer.bytes != n)
        return complain(t, "the sender has other disks: the configurations differ");
    return put_in_place(t, disks, n);
}

int xha_disk_receive_all(const struct xha_talk *talk, struct xha_wire *wire, const struct xha_disk *disks,
                         size_t n, struct xha_copied *copied_r, char *err, size_t err_len)
{
    struct taking t = {
        .talk = talk,
        .wire = wire,
        .fd = -1,
        .err = err,
        .err_len = err_len,
    };
    int rc = -1;

    *copied_r = (struct xha_copied){ 0 };
    err[0] = '\0';
    t.packer = xha_packer_new(XHA_CODEC_NONE);
    t.taken = calloc(n + 1, sizeof(*t.taken));
    if (t.packer && t.taken)
        rc = take_all(&t, disks, n, copied_r);
    else
        snprintf(err, err_len, "out of memory");
    for (size_t i = 0; t.taken && i < n; i++)
        if (t.taken[i].aside[0] != '\0')
            unlink(t.taken[i].aside);
    copied_r->bytes = t.bytes;
    copied_r->wire_bytes = xha_wire_received(wire);
    xha_packer_free(t.packer);
    free(t.taken);
    return rc;
}

/*
 * disk_send.c - the sending end of disk.h.
 */
#include "xhad/move/disk.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/job.h"
#include "xhad/move/bytes.h"
#include "xhad/move/filter.h"
#include "xhad/move/limit.h"

#include <string.h>
#include <unistd.h>

#define QUEUE_BYTES (1u << 20)
#define VERIFY_MS   3600000 /* the receiver reads all that it wrote */
#define TELL_MS     500

struct sending {
    const struct xha_talk *talk;
    struct xha_wire *wire;
    struct xha_packer *packer;
    struct xha_filter *filter;
    uint8_t *chunk;
    struct xha_disk_sum *sum;
    bool only_sum;
    struct xha_limit limit;
    uint64_t size, bytes;
    uint64_t index;
    int64_t told_ms;
    struct xha_answer heard; /* in the midst of a disk; kind 0: nothing */
};

static void tell(struct sending *s, uint64_t at)
{
    const int64_t now = xha_move_now_ms();
    const struct xha_job_pace pace = { .wire_bytes = xha_wire_sent(s->wire), .eta_ms = -1 };

    if (now - s->told_ms < TELL_MS)
        return;
    s->told_ms = now;
    xha_job_progress_pace(STDOUT_FILENO, s->only_sum ? "comparing" : "disk", at, s->size, &pace);
}

/* Pumps, and listens: whoever refuses in the midst of a disk says why before he hangs up. */
static int pump(struct sending *s, int wait_ms)
{
    int rc = xha_wire_pump(s->wire, wait_ms, NULL);
    struct xha_frame frame;

    while (s->heard.kind == 0 && xha_wire_get(s->wire, &frame) > 0) {
        if (frame.type == XHA_FRAME_PROGRESS)
            continue;
        if (xha_answer_get(&frame, &s->heard) < 0 || s->heard.kind != XHA_ANSWER_REFUSED)
            s->heard = (struct xha_answer){ .kind = XHA_ANSWER_REFUSED,
                                            .text = "the receiver answered out of turn" };
        rc = -1;
    }
    return rc;
}

/* Waits until more may be queued. */
static int hold_back(struct sending *s)
{
    int64_t wait_ms = 0;

    do {
        if (pump(s, wait_ms > 100 ? 100 : (int)wait_ms) < 0)
            return -1;
        wait_ms = xha_limit_wait_ms(&s->limit, xha_wire_sent(s->wire), xha_move_now_ms());
        if (xha_wire_queued(s->wire) >= QUEUE_BYTES && wait_ms == 0)
            wait_ms = 100;
    } while (wait_ms > 0);
    return 0;
}

static int send_piece(void *arg, uint64_t offset, const uint8_t *bytes, size_t len)
{
    struct sending *s = arg;
    uint8_t place[8];
    size_t n;

    xha_disk_sum_add(s->sum, offset, bytes, len);
    s->bytes += len;
    tell(s, offset);
    if (s->only_sum)
        return pump(s, 0);
    if (xha_filter_feed(s->filter, bytes, len) != len)
        return -1;
    n = xha_filter_take(s->filter, true, s->chunk);
    xha_put64(place, offset);
    if (xha_wire_put(s->wire, XHA_FRAME_DATA, place, sizeof(place), s->chunk, n) < 0)
        return -1;
    return hold_back(s);
}

static int announce(struct sending *s, const char *path, enum xha_disk_kind kind, uint32_t mode)
{
    uint8_t head[XHA_DISK_HEAD] = { 0 };

    xha_put32(head, (uint32_t)s->index);
    xha_put32(head + 4, mode);
    xha_put64(head + 8, s->size);
    head[16] = (uint8_t)kind;
    return xha_wire_put(s->wire, XHA_FRAME_DISK, head, sizeof(head), path, strlen(path));
}

/* The receiver's answer: 0 when it is no refusal. */
static int ask(struct sending *s, struct xha_answer *answer_r, struct xha_copied *copied, char *err,
               size_t err_len)
{
    xha_wire_bear(s->wire, VERIFY_MS);
    if (xha_talk_await(s->talk, s->wire, VERIFY_MS, answer_r, err, err_len) < 0)
        return -1;
    if (answer_r->kind == XHA_ANSWER_READY || answer_r->kind == XHA_ANSWER_COMPARE)
        return 0;
    copied->refusal = answer_r->refusal;
    snprintf(err, err_len, "%s", answer_r->text);
    return -1;
}

static int send_contents(struct sending *s, int fd, const char *path, struct xha_copied *copied, char *err,
                         size_t err_len)
{
    uint8_t sum[XHA_DISK_SUM_BYTES];
    int r;

    s->sum = xha_disk_sum_new();
    r = s->sum ? xha_disk_walk(fd, s->size, send_piece, s) : -1;
    if (s->sum)
        xha_disk_sum_end(s->sum, s->size, sum);
    if (r == 0 && xha_wire_put(s->wire, XHA_FRAME_DISK_SUM, sum, sizeof(sum), NULL, 0) == 0)
        return 0;
    copied->refusal = s->heard.refusal;
    if (s->heard.kind != 0)
        snprintf(err, err_len, "%s", s->heard.text);
    else
        snprintf(err, err_len, "%.100s: %.150s", path,
                 xha_wire_failed(s->wire) ? xha_wire_error(s->wire) : strerror(errno));
    return -1;
}

static int send_one(struct sending *s, const char *path, struct xha_copied *copied, char *err, size_t err_len)
{
    XHA_CLEANUP_CLOSE int fd = -1;
    enum xha_disk_kind kind;
    struct xha_answer answer;
    uint32_t mode;

    fd = xha_disk_open(path, false, &kind, &s->size, &mode, err, err_len);
    if (fd < 0)
        return -1;
    if (announce(s, path, kind, mode) < 0) {
        snprintf(err, err_len, "%s", xha_wire_error(s->wire));
        return -1;
    }
    if (ask(s, &answer, copied, err, err_len) < 0)
        return -1;
    s->only_sum = answer.kind == XHA_ANSWER_COMPARE;
    if (send_contents(s, fd, path, copied, err, err_len) < 0)
        return -1;
    return ask(s, &answer, copied, err, err_len);
}

static int finish(struct sending *s, struct xha_copied *copied, char *err, size_t err_len)
{
    const struct xha_trailer trailer = { .bytes = copied->disks };
    struct xha_answer answer;

    if (xha_talk_commit(s->talk, s->wire, &trailer) < 0) {
        snprintf(err, err_len, "%s", xha_wire_error(s->wire));
        return -1;
    }
    if (xha_talk_await(s->talk, s->wire, VERIFY_MS, &answer, err, err_len) < 0)
        return -1;
    if (answer.kind == XHA_ANSWER_DONE)
        return 0;
    snprintf(err, err_len, "%s", answer.text);
    return -1;
}

int xha_disk_send_all(const struct xha_talk *talk, struct xha_wire *wire, const struct xha_disk *disks,
                      size_t n, struct xha_copied *copied_r, char *err, size_t err_len)
{
    struct sending s = { .talk = talk, .wire = wire, .told_ms = xha_move_now_ms() };
    enum xha_codec codec = XHA_CODEC_LZ4;
    int rc = -1;

    *copied_r = (struct xha_copied){ 0 };
    xha_limit_init(&s.limit, talk->job->move.limit_bps, xha_move_now_ms());
    if (!xha_codec_parse(talk->job->move.compress, &codec)) {
        snprintf(err, err_len, "no compression is called %s", talk->job->move.compress);
        return -1;
    }
    s.packer = xha_packer_new(codec);
    s.filter = s.packer ? xha_filter_new(XHA_FILTER_PAGES, s.packer) : NULL;
    s.chunk = malloc(XHA_CHUNK_BYTES_MAX);
    if (!s.filter || !s.chunk) {
        snprintf(err, err_len, "out of memory");
        goto out;
    }
    for (size_t i = 0; i < n; i++, copied_r->disks++) {
        s.index = i;
        if (send_one(&s, disks[i].path, copied_r, err, err_len) < 0)
            goto out;
    }
    rc = finish(&s, copied_r, err, err_len);
out:
    copied_r->bytes = s.bytes;
    copied_r->wire_bytes = xha_wire_sent(wire);
    xha_filter_free(s.filter);
    xha_packer_free(s.packer);
    free(s.chunk);
    return rc;
}

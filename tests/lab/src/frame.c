/*
 * Frames and byte queues of the lab's control channel (see frame.h). Linked into the agent, which is
 * static and runs as process 1 of a lab host, and into labtool.
 */
#include "frame.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

unsigned char *buf_room(struct buf *b, size_t need)
{
    if (b->start && b->start + b->used + need > b->size) {
        memmove(b->data, b->data + b->start, b->used);
        b->start = 0;
    }
    if (b->used + need > b->size) {
        size_t size = b->size ? b->size : 4096;
        while (size < b->used + need)
            size *= 2;
        b->data = realloc(b->data, size);
        if (!b->data) {
            fputs("lab: out of memory\n", stderr);
            abort();
        }
        b->size = size;
    }
    return b->data + b->start + b->used;
}

void buf_add(struct buf *b, const void *data, size_t length)
{
    if (!length)
        return;
    memcpy(buf_room(b, length), data, length);
    b->used += length;
}

void buf_take(struct buf *b, size_t length)
{
    b->start += length;
    b->used -= length;
    if (!b->used)
        b->start = 0;
}

void buf_free(struct buf *b)
{
    free(b->data);
    memset(b, 0, sizeof(*b));
}

int buf_flush(struct buf *b, int fd)
{
    while (b->used) {
        ssize_t r = write(fd, buf_head(b), b->used);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return errno == EAGAIN ? 0 : -1;
        buf_take(b, (size_t)r);
    }
    return 0;
}

int buf_fill(struct buf *b, int fd)
{
    size_t want = 32 * 1024;
    ssize_t r = read(fd, buf_room(b, want), want);
    if (r < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (!r)
        return -1;
    b->used += (size_t)r;
    return 1;
}

void frame_put(struct buf *b, uint32_t session, enum frame_type type, const void *data, uint32_t length)
{
    uint32_t head[4] = { FRAME_MAGIC, session, type, length };
    buf_add(b, head, sizeof(head));
    buf_add(b, data, length);
}

int frame_get(struct buf *b, struct frame *f_r)
{
    if (b->used < FRAME_HEAD)
        return 0;
    memcpy(f_r, buf_head(b), FRAME_HEAD);
    if (f_r->magic != FRAME_MAGIC || f_r->length > FRAME_MAX)
        return -1;
    if (b->used < FRAME_HEAD + f_r->length)
        return 0;
    memcpy(f_r->data, buf_head(b) + FRAME_HEAD, f_r->length);
    buf_take(b, FRAME_HEAD + f_r->length);
    return 1;
}

uint32_t frame_u32(const struct frame *f)
{
    uint32_t n = 0;
    if (f->length == sizeof(n))
        memcpy(&n, f->data, sizeof(n));
    return n;
}

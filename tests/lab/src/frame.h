/*
 * The lab's control channel: frames between the agent in a lab host and the programs outside it.
 *
 * One virtio-serial port per host carries many commands at once. Every frame names its session, so that
 * the outputs of concurrent commands do not mix. Each side may have FRAME_WINDOW bytes of data under way
 * that the other has not acknowledged: a slow reader stops its own command and nobody else's.
 *
 * agent.c speaks it in the host, mux.c passes frames on, exec.c speaks it for `lab sh`.
 */
#ifndef LAB_FRAME_H
#define LAB_FRAME_H

#include <stddef.h>
#include <stdint.h>

enum frame_type {
    FRAME_HELLO = 1, /* agent: ready; no session */
    FRAME_EXEC,      /* to the agent: run this shell command; the session starts */
    FRAME_STDIN,     /* to the agent: data; empty means end of file */
    FRAME_STDOUT,    /* from the agent: data */
    FRAME_STDERR,    /* from the agent: data */
    FRAME_ACK,       /* both ways: so many bytes were consumed, u32 */
    FRAME_EXIT,      /* from the agent: exit status, u32; the session ends */
    FRAME_KILL,      /* to the agent: whoever asked is gone; the session ends */
};

#define FRAME_MAGIC   0x4c414231u /* "LAB1" */
#define FRAME_MAX     (16u * 1024)
#define FRAME_WINDOW  (256u * 1024)
#define FRAME_CMD_MAX FRAME_MAX

struct frame {
    uint32_t magic;
    uint32_t session;
    uint32_t type;
    uint32_t length;
    unsigned char data[FRAME_MAX];
};

#define FRAME_HEAD offsetof(struct frame, data)

/* A byte queue: bytes are added at the end and taken from the front. Owned by whoever embeds it. */
struct buf {
    unsigned char *data;
    size_t start, used, size;
};

/* Room for `need` more bytes; its address. Ends the program when there is no memory. */
unsigned char *buf_room(struct buf *b, size_t need);
void buf_add(struct buf *b, const void *data, size_t length);
void buf_take(struct buf *b, size_t length);
void buf_free(struct buf *b);
static inline const unsigned char *buf_head(const struct buf *b)
{
    return b->data + b->start;
}

/* Write what the socket takes. 0, or -1 when the other side is gone. */
int buf_flush(struct buf *b, int fd);

/* Read what is there. 1: something came; 0: nothing now; -1: end or error. */
int buf_fill(struct buf *b, int fd);

void frame_put(struct buf *b, uint32_t session, enum frame_type type, const void *data, uint32_t length);

/* The first whole frame in `b`, copied to `*f_r` and taken off. 1: yes; 0: not yet; -1: not our protocol. */
int frame_get(struct buf *b, struct frame *f_r);

uint32_t frame_u32(const struct frame *f);

#endif

/*
 * frame.h - what two hosts say to each other over a link: frames, little-endian. Pure.
 *
 * Header: u32 length of the payload, u16 type, u16 zero. Payloads:
 *   HELLO     who wants what: struct xha_hello; version first, so that every version can read it
 *   CONFIG    the domain's configuration, JSON
 *   DATA      a chunk (chunk.h) of the stream, or of a disk: then its place on the disk, u64, comes first
 *   TRAILER   u64 bytes and XXH3-128 of the raw stream: it is complete. Nothing is taken for complete without
 *   ANSWER    of the receiver: u8 kind, u8 enum xha_refusal, text for people
 *   PROGRESS  u64 done, u64 total
 *   ALIVE     nothing; a second of silence is broken by it, a longer one means that the peer is gone
 *   DISK      disk.h: the next disk
 *   DISK_SUM  disk.h: what it must hold
 *   TERMS, EPOCH_PIECE, EPOCH_END, EPOCH_ACK  xhad/repl: of a domain that is replicated
 *   REPL_DISK xhad/disk: of its gated disks
 */
#ifndef XHA_MOVE_FRAME_H
#define XHA_MOVE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include "xhad/core/core.h"

#define XHA_WIRE_VERSION      1u
#define XHA_FRAME_HEADER      8
#define XHA_FRAME_PAYLOAD_MAX (1 << 20)
#define XHA_HELLO_BYTES       136
#define XHA_TRAILER_BYTES     24
#define XHA_ANSWER_BYTES_MAX  512
#define XHA_ANSWER_TEXT       384 /* of an answer's text, with its NUL */

enum xha_frame_type {
    XHA_FRAME_HELLO = 1,
    XHA_FRAME_CONFIG,
    XHA_FRAME_DATA,
    XHA_FRAME_TRAILER,
    XHA_FRAME_ANSWER,
    XHA_FRAME_PROGRESS,
    XHA_FRAME_ALIVE,
    XHA_FRAME_DISK,
    XHA_FRAME_DISK_SUM,
    XHA_FRAME_TERMS,
    XHA_FRAME_EPOCH_PIECE,
    XHA_FRAME_EPOCH_END,
    XHA_FRAME_EPOCH_ACK,
    XHA_FRAME_REPL_DISK,
    XHA_FRAME_N_
};

struct xha_frame {
    enum xha_frame_type type;
    const uint8_t *bytes; /* of the payload; they belong to whoever gave the frame */
    size_t len;
};

void xha_frame_header_put(uint8_t header[XHA_FRAME_HEADER], enum xha_frame_type type, size_t len);

/*
 * The first frame in len bytes: 1 with frame_r and the bytes that it takes up, 0: it is not whole yet, -1: no
 * frame, with a text in err.
 */
int xha_frame_get(const uint8_t *bytes, size_t len, struct xha_frame *frame_r, size_t *used_r, char *err,
                  size_t err_len);

enum xha_hello_kind {
    XHA_HELLO_DOMAIN = 1, /* a running domain: CONFIG, DATA…, TRAILER */
    XHA_HELLO_DISKS,      /* the disks of a stopped one: DISK, DATA…, DISK_SUM, …, TRAILER */
    XHA_HELLO_REPLICA, /* a running one that is kept up to date: CONFIG, TERMS, EPOCH_PIECE…, EPOCH_END, … */
    XHA_HELLO_KIND_N_
};

struct xha_hello {
    uint16_t version;
    enum xha_hello_kind kind;
    uint64_t move_id;
    struct xha_uuid uuid;
    uint64_t memory_kib; /* that will be streamed about once */
    char name[XHA_NAME_MAX];
    char mode[8];
};

void xha_hello_put(const struct xha_hello *hello, uint8_t bytes[XHA_HELLO_BYTES]);
/* 0, or -1 with a text in err; an unknown version is refused by its number. */
int xha_hello_get(const struct xha_frame *frame, struct xha_hello *hello_r, char *err, size_t err_len);

struct xha_trailer {
    uint64_t bytes;
    uint8_t sum[16]; /* XXH3-128, canonical */
};

void xha_trailer_put(const struct xha_trailer *trailer, uint8_t bytes[XHA_TRAILER_BYTES]);
int xha_trailer_get(const struct xha_frame *frame, struct xha_trailer *trailer_r);

enum xha_answer_kind {
    XHA_ANSWER_READY = 1, /* go on */
    XHA_ANSWER_DONE,      /* all of it is here, whole */
    XHA_ANSWER_REFUSED,   /* for the reason in text; nothing is left here */
    XHA_ANSWER_COMPARE,   /* of a disk: there is one already, say what it must hold */
    XHA_ANSWER_KIND_N_
};

struct xha_answer {
    enum xha_answer_kind kind;
    enum xha_refusal refusal;   /* with REFUSED */
    char text[XHA_ANSWER_TEXT]; /* fit to be printed */
};

/* Returns the length. */
size_t xha_answer_put(const struct xha_answer *answer, uint8_t bytes[XHA_ANSWER_BYTES_MAX]);
int xha_answer_get(const struct xha_frame *frame, struct xha_answer *answer_r);

#endif

/*
 * frame.c - see frame.h.
 */
#include "xhad/move/frame.h"
#include "xhad/move/bytes.h"
#include "xhad/base/text.h"

#include <stdio.h>
#include <string.h>

static const char hello_magic[8] = "xhadmove";

void xha_frame_header_put(uint8_t header[XHA_FRAME_HEADER], enum xha_frame_type type, size_t len)
{
    xha_put32(header, (uint32_t)len);
    xha_put16(header + 4, (uint16_t)type);
    xha_put16(header + 6, 0);
}

int xha_frame_get(const uint8_t *bytes, size_t len, struct xha_frame *frame_r, size_t *used_r, char *err,
                  size_t err_len)
{
    uint32_t payload, type;

    if (len < XHA_FRAME_HEADER)
        return 0;
    payload = xha_get32(bytes);
    type = xha_get16(bytes + 4);
    if (type == 0 || type >= XHA_FRAME_N_ || xha_get16(bytes + 6) != 0) {
        snprintf(err, err_len, "the peer sent a frame of unknown type %u", type);
        return -1;
    }
    if (payload > XHA_FRAME_PAYLOAD_MAX) {
        snprintf(err, err_len, "the peer sent a frame of %u bytes, which is too long", payload);
        return -1;
    }
    if (len - XHA_FRAME_HEADER < payload)
        return 0;
    *frame_r = (struct xha_frame){
        .type = (enum xha_frame_type)type,
        .bytes = bytes + XHA_FRAME_HEADER,
        .len = payload,
    };
    *used_r = XHA_FRAME_HEADER + payload;
    return 1;
}

/* ---- hello: magic 8, version u16, kind u16, zero u32, move u64, memory u64, uuid 16, name 64, mode 8, spare
 * 16 */

void xha_hello_put(const struct xha_hello *hello, uint8_t bytes[XHA_HELLO_BYTES])
{
    memset(bytes, 0, XHA_HELLO_BYTES);
    memcpy(bytes, hello_magic, sizeof(hello_magic));
    xha_put16(bytes + 8, hello->version);
    xha_put16(bytes + 10, (uint16_t)hello->kind);
    xha_put64(bytes + 16, hello->move_id);
    xha_put64(bytes + 24, hello->memory_kib);
    memcpy(bytes + 32, hello->uuid.b, sizeof(hello->uuid.b));
    memcpy(bytes + 48, hello->name, strnlen(hello->name, sizeof(hello->name)));
    memcpy(bytes + 112, hello->mode, strnlen(hello->mode, sizeof(hello->mode)));
}

int xha_hello_get(const struct xha_frame *frame, struct xha_hello *hello_r, char *err, size_t err_len)
{
    const uint8_t *bytes = frame->bytes;
    struct xha_hello hello = { 0 };
    uint16_t kind;

    if (frame->type != XHA_FRAME_HELLO || frame->len < 12 ||
        memcmp(bytes, hello_magic, sizeof(hello_magic)) != 0) {
        snprintf(err, err_len, "the peer does not begin with a greeting");
        return -1;
    }
    hello.version = xha_get16(bytes + 8);
    if (hello.version != XHA_WIRE_VERSION) {
        snprintf(err, err_len,
                 "the sender speaks version %u of the protocol for moves, this host version %u: "
                 "bring both to the same release of xhad",
                 (unsigned)hello.version, XHA_WIRE_VERSION);
        return -1;
    }
    kind = xha_get16(bytes + 10);
    if (frame->len != XHA_HELLO_BYTES || kind == 0 || kind >= XHA_HELLO_KIND_N_ ||
        memchr(bytes + 48, 0, sizeof(hello.name)) == NULL ||
        memchr(bytes + 112, 0, sizeof(hello.mode)) == NULL) {
        snprintf(err, err_len, "the sender's greeting is damaged");
        return -1;
    }
    hello.kind = (enum xha_hello_kind)kind;
    hello.move_id = xha_get64(bytes + 16);
    hello.memory_kib = xha_get64(bytes + 24);
    memcpy(hello.uuid.b, bytes + 32, sizeof(hello.uuid.b));
    memcpy(hello.name, bytes + 48, sizeof(hello.name));
    memcpy(hello.mode, bytes + 112, sizeof(hello.mode));
    *hello_r = hello;
    return 0;
}

/* ---- trailer ---- */

void xha_trailer_put(const struct xha_trailer *trailer, uint8_t bytes[XHA_TRAILER_BYTES])
{
    xha_put64(bytes, trailer->bytes);
    memcpy(bytes + 8, trailer->sum, sizeof(trailer->sum));
}

int xha_trailer_get(const struct xha_frame *frame, struct xha_trailer *trailer_r)
{
    if (frame->type != XHA_FRAME_TRAILER || frame->len != XHA_TRAILER_BYTES)
        return -1;
    trailer_r->bytes = xha_get64(frame->bytes);
    memcpy(trailer_r->sum, frame->bytes + 8, sizeof(trailer_r->sum));
    return 0;
}

/* ---- answers ---- */

size_t xha_answer_put(const struct xha_answer *answer, uint8_t bytes[XHA_ANSWER_BYTES_MAX])
{
    size_t len = strnlen(answer->text, sizeof(answer->text) - 1);

    bytes[0] = (uint8_t)answer->kind;
    bytes[1] = (uint8_t)answer->refusal;
    memcpy(bytes + 2, answer->text, len);
    return 2 + len;
}

int xha_answer_get(const struct xha_frame *frame, struct xha_answer *answer_r)
{
    if (frame->type != XHA_FRAME_ANSWER || frame->len < 2 || frame->len > XHA_ANSWER_BYTES_MAX ||
        frame->bytes[0] == 0 || frame->bytes[0] >= XHA_ANSWER_KIND_N_ || frame->bytes[1] >= XHA_REFUSAL_N_)
        return -1;
    answer_r->kind = (enum xha_answer_kind)frame->bytes[0];
    answer_r->refusal = (enum xha_refusal)frame->bytes[1];
    xha_text_escape_bytes(answer_r->text, sizeof(answer_r->text), frame->bytes + 2, frame->len - 2);
    return 0;
}

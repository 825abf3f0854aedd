/*
 * frame.c - frames of the cluster's messages: written, checked, put together. Pure; see frame.h.
 *
 *   0 "XHAM" | 4 u16 version | 6 u8 kind | 7 u8 zero | 8 u64 number | 16 u32 total | 20 u32 offset
 *   24 u32 len | 28 u32 zero | 32 data
 */
#include "xhad/cluster/frame.h"
#include "xhad/base/cleanup.h"
#include <endian.h>
#include <string.h>

static const uint8_t magic[4] = { 'X', 'H', 'A', 'M' };

struct wire {
    uint8_t magic[4];
    uint16_t version;
    uint8_t kind, zero;
    uint64_t number;
    uint32_t total, offset, len, zero_too;
};

_Static_assert(sizeof(struct wire) == XHA_FRAME_HEAD, "the head has no holes");

void xha_frame_head(const struct xha_frame *frame, uint8_t head_r[XHA_FRAME_HEAD])
{
    struct wire w = {
        .version = htole16(XHA_FRAME_VERSION),
        .kind = (uint8_t)frame->kind,
        .number = htole64(frame->number),
        .total = htole32(frame->total),
        .offset = htole32(frame->offset),
        .len = htole32(frame->len),
    };

    memcpy(w.magic, magic, sizeof magic);
    memcpy(head_r, &w, sizeof w);
}

/* Whether the numbers of a frame agree with each other. */
static bool sound(const struct xha_frame *f)
{
    if (f->kind == XHA_FRAME_PULSE)
        return !f->len && !f->total && !f->offset;
    if (f->kind != XHA_FRAME_DATA || !f->len || f->len > XHA_FRAME_DATA_MAX)
        return false;
    return f->total <= XHA_ENGINE_MESSAGE_MAX && f->offset < f->total && f->len <= f->total - f->offset;
}

int xha_frame_parse(const void *buf, size_t len, struct xha_frame *frame_r, unsigned *version_r)
{
    struct wire w;

    if (len < sizeof w.magic + sizeof w.version || memcmp(buf, magic, sizeof magic) != 0)
        return XHA_FRAME_E_BAD;
    memset(&w, 0, sizeof w);
    memcpy(&w, buf, len < sizeof w ? len : sizeof w);
    *version_r = le16toh(w.version);
    if (*version_r != XHA_FRAME_VERSION)
        return XHA_FRAME_E_VERSION;
    if (len < sizeof w || w.zero || w.zero_too)
        return XHA_FRAME_E_BAD;
    *frame_r = (struct xha_frame){
        .kind = w.kind,
        .number = le64toh(w.number),
        .total = le32toh(w.total),
        .offset = le32toh(w.offset),
        .data = (const uint8_t *)buf + sizeof w,
        .len = le32toh(w.len),
    };
    return frame_r->len == len - sizeof w && sound(frame_r) ? 0 : XHA_FRAME_E_BAD;
}

static void drop(struct xha_part *part)
{
    free(part->data);
    *part = (struct xha_part){ 0 };
}

/* Room grows with what has come, not with what was promised. */
static int make_room(struct xha_part *part, size_t want)
{
    size_t room = part->room ? part->room : (size_t)2 * XHA_FRAME_DATA_MAX;
    uint8_t *data;

    while (room < want)
        room *= 2;
    if (room == part->room)
        return 0;
    data = realloc(part->data, room);
    if (!data)
        return XHA_FRAME_E_NOMEM;
    part->data = data;
    part->room = room;
    return 0;
}

int xha_parts_take(struct xha_parts *parts, unsigned host, const struct xha_frame *frame,
                   const uint8_t **data_r, size_t *len_r)
{
    struct xha_part *part = &parts->of[host];

    if (part->got == part->total || !frame->offset)
        drop(part); /* it was handed on, or its sender began anew */
    if (frame->len == frame->total) {
        *data_r = frame->data;
        *len_r = frame->len;
        return 1;
    }
    if (!frame->offset) {
        part->number = frame->number;
        part->total = frame->total;
    } else if (part->number != frame->number || part->total != frame->total || part->got != frame->offset) {
        drop(part);
        return XHA_FRAME_E_ORDER;
    }
    if (make_room(part, (size_t)part->got + frame->len) < 0) {
        drop(part);
        return XHA_FRAME_E_NOMEM;
    }
    memcpy(part->data + part->got, frame->data, frame->len);
    part->got += frame->len;
    if (part->got < part->total)
        return 0;
    *data_r = part->data;
    *len_r = part->total;
    return 1;
}

void xha_parts_clear(struct xha_parts *parts)
{
    for (unsigned i = 0; i < XHA_ENGINE_HOSTS_MAX; i++)
        drop(&parts->of[i]);
}

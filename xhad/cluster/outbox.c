/*
 * outbox.c - the queue of what is sent; see outbox.h.
 */
#include "xhad/cluster/outbox.h"
#include <stdlib.h>
#include <string.h>

struct xha_out {
    struct xha_out *next;
    uint64_t number; /* 0: not begun */
    uint32_t len, sent;
    uint8_t data[];
};

int xha_outbox_add(struct xha_outbox *box, const void *data, size_t len)
{
    struct xha_out *out;

    if (!len || len > XHA_ENGINE_MESSAGE_MAX)
        return XHA_ENGINE_E_TOO_LONG;
    if (box->bytes + len > XHA_ENGINE_QUEUE_MAX)
        return XHA_ENGINE_E_FULL;
    out = malloc(sizeof *out + len);
    if (!out)
        return XHA_ENGINE_E_NOMEM;
    *out = (struct xha_out){ .len = (uint32_t)len };
    memcpy(out->data, data, len);
    if (box->last)
        box->last->next = out;
    else
        box->first = out;
    box->last = out;
    box->bytes += len;
    if (!box->next)
        box->next = out;
    return 0;
}

bool xha_outbox_peek(struct xha_outbox *box, struct xha_frame *frame_r)
{
    struct xha_out *out = box->next;
    uint32_t rest;

    if (!out || out->sent == out->len) /* a large one of which all is out */
        return false;
    if (!out->number)
        out->number = ++box->number;
    rest = out->len - out->sent;
    *frame_r = (struct xha_frame){
        .kind = XHA_FRAME_DATA,
        .number = out->number,
        .total = out->len,
        .offset = out->sent,
        .data = out->data + out->sent,
        .len = rest < box->part ? rest : box->part,
    };
    return true;
}

void xha_outbox_sent(struct xha_outbox *box)
{
    struct xha_out *out = box->next;
    uint32_t rest = out->len - out->sent;

    out->sent += rest < box->part ? rest : box->part;
    if (out->sent == out->len && out->len <= box->part)
        box->next = out->next;
}

void xha_outbox_returned(struct xha_outbox *box, uint64_t number)
{
    struct xha_out *out = box->first;

    /* What was sent before a view and begun anew in it comes back under a number that is no more. */
    if (!out || out->number != number)
        return;
    box->first = out->next;
    if (box->next == out)
        box->next = out->next;
    if (box->last == out)
        box->last = NULL;
    box->bytes -= out->len;
    free(out);
}

void xha_outbox_again(struct xha_outbox *box, uint64_t number)
{
    struct xha_out *out = box->next;

    if (!out || out->number != number)
        return;
    out->sent = 0;
    out->number = 0;
}

void xha_outbox_clear(struct xha_outbox *box)
{
    while (box->first) {
        struct xha_out *out = box->first;

        box->first = out->next;
        free(out);
    }
    box->last = box->next = NULL;
    box->bytes = 0;
}

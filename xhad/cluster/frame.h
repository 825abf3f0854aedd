/*
 * frame.h - what one CPG message holds: a whole small message of xhad, a part of a large one, or a pulse.
 *
 * Pure: bytes in, bytes out. All numbers are little-endian. A frame comes from a peer and is believed only as
 * far as it was checked here.
 */
#ifndef XHA_CLUSTER_FRAME_H
#define XHA_CLUSTER_FRAME_H

#include "xhad/cluster/engine.h"

#define XHA_FRAME_HEAD     32
#define XHA_FRAME_DATA_MAX (256u << 10) /* bytes of a message in one frame */
#define XHA_FRAME_VERSION  1

enum xha_frame_kind {
    XHA_FRAME_DATA = 1,
    XHA_FRAME_PULSE = 2, /* holds nothing but its number, which only its sender understands */
};

struct xha_frame {
    enum xha_frame_kind kind;
    uint64_t number; /* of the message, among its sender's */
    uint32_t total;  /* bytes of the whole message */
    uint32_t offset; /* of this part in it */
    const uint8_t *data;
    uint32_t len;
};

enum {
    XHA_FRAME_E_BAD = -1,     /* no frame of xhad, or one that contradicts itself */
    XHA_FRAME_E_VERSION = -2, /* of a newer xhad: *version_r says which */
    XHA_FRAME_E_ORDER = -3,   /* a part that does not follow the one before: dropped */
    XHA_FRAME_E_NOMEM = -4,
};

/* The head of a frame; its data follows it on the wire. */
void xha_frame_head(const struct xha_frame *frame, uint8_t head_r[XHA_FRAME_HEAD]);

/* 0, or XHA_FRAME_E_BAD or _VERSION. frame_r->data points into buf. */
int xha_frame_parse(const void *buf, size_t len, struct xha_frame *frame_r, unsigned *version_r);

/* Messages of which only the first parts are here, one per host; all zero to begin with. */
struct xha_parts {
    struct xha_part {
        uint8_t *data;
        size_t room;
        uint64_t number;
        uint32_t total, got;
    } of[XHA_ENGINE_HOSTS_MAX];
};

/*
 * Takes a DATA frame of this host. 1: the message is whole, at *data_r until the next call for this host; 0:
 * not yet; or XHA_FRAME_E_ORDER (nothing is kept of a message whose beginning is unknown) or _NOMEM.
 */
int xha_parts_take(struct xha_parts *parts, unsigned host, const struct xha_frame *frame,
                   const uint8_t **data_r, size_t *len_r);

/* Forgets the half messages of all hosts. */
void xha_parts_clear(struct xha_parts *parts);

#endif

/*
 * outbox.h - messages on their way to the others, until they have come back to us. Pure but for memory.
 *
 * Small messages go out one after the other. A large one goes alone: nothing follows it until it is back,
 * because a change of the view in its midst sends it once more from its beginning, and the order is to hold.
 */
#ifndef XHA_CLUSTER_OUTBOX_H
#define XHA_CLUSTER_OUTBOX_H

#include "xhad/cluster/frame.h"

struct xha_out;

struct xha_outbox {
    struct xha_out *first, *last; /* not yet back */
    struct xha_out *next;         /* of these, the one to go on with; NULL: all are under way */
    size_t bytes;
    uint64_t number; /* of the newest message that was begun */
    uint32_t part;   /* most bytes of one frame; by the owner */
};

/* Queues a copy. 0 or XHA_ENGINE_E_…. */
int xha_outbox_add(struct xha_outbox *box, const void *data, size_t len);

/* The frame to send now, or false. Its data is the box's. */
bool xha_outbox_peek(struct xha_outbox *box, struct xha_frame *frame_r);

/* What _peek() gave was taken by corosync. */
void xha_outbox_sent(struct xha_outbox *box);

/* One of our messages is back, whole. */
void xha_outbox_returned(struct xha_outbox *box, uint64_t number);

/*
 * A new view came between the parts of this message: it begins anew, under another number. (Had no part been
 * back before the view, all would come after it, and the message would be whole.)
 */
void xha_outbox_again(struct xha_outbox *box, uint64_t number);

void xha_outbox_clear(struct xha_outbox *box);

#endif

/*
 * What comes out of the cluster's ring: any sequence of frames from two hosts. Each is preceded by two bytes, its
 * length; a length of 0 stands for a new view. A message that is delivered whole was sent whole: its bytes are
 * compared with what the frames held.
 */
#include <stdlib.h>
#include <string.h>

#include "xhad/cluster/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t sent[2][1 << 20]; /* what came since the last frame with offset 0 */
static size_t sent_len[2];

static void take(struct xha_parts *parts, unsigned host, const struct xha_frame *frame)
{
    const uint8_t *whole;
    size_t len;

    if (!frame->offset)
        sent_len[host] = 0;
    memcpy(sent[host] + sent_len[host], frame->data, frame->len);
    sent_len[host] += frame->len;
    if (xha_parts_take(parts, host, frame, &whole, &len) != 1)
        return;
    if (len != frame->total || len > sent_len[host] ||
        memcmp(whole, sent[host] + sent_len[host] - len, len) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xha_parts parts = { 0 };

    if (size > sizeof sent[0])
        return 0;
    sent_len[0] = sent_len[1] = 0;
    while (size >= 2) {
        size_t len = (size_t)(data[0] | data[1] << 8) & 0x7fff;
        unsigned host = data[1] >> 7, version;
        struct xha_frame frame;
        uint8_t *exact;

        data += 2;
        size -= 2;
        len = len < size ? len : size;
        exact = malloc(len + !len);
        if (!exact)
            abort();
        memcpy(exact, data, len);
        if (!len)
            xha_parts_clear(&parts);
        else if (xha_frame_parse(exact, len, &frame, &version) == 0 && frame.kind == XHA_FRAME_DATA)
            take(&parts, host, &frame);
        free(exact);
        data += len;
        size -= len;
    }
    xha_parts_clear(&parts);
    return 0;
}

/*
 * What travels between hosts in a move. The first byte chooses: frames with all that may be in them, a chunk,
 * or a stream for the filter, which must come back as it was whatever it is and in whatever pieces.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xhad/move/filter.h"
#include "xhad/move/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct xha_packer *packer;
static uint8_t *chunk;

static void check_text(const char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            abort();
}

static void read_frames(const uint8_t *data, size_t size)
{
    struct xha_trailer trailer;
    struct xha_answer answer;
    struct xha_hello hello;
    struct xha_frame frame;
    char err[256] = "";
    size_t used;
    int r;

    while ((r = xha_frame_get(data, size, &frame, &used, err, sizeof(err))) > 0) {
        if (used > size || frame.len > XHA_FRAME_PAYLOAD_MAX || frame.bytes + frame.len > data + size)
            abort();
        if (xha_hello_get(&frame, &hello, err, sizeof(err)) == 0) {
            uint8_t again[XHA_HELLO_BYTES];

            xha_hello_put(&hello, again);
            if (strlen(hello.name) >= sizeof(hello.name))
                abort();
        }
        if (xha_answer_get(&frame, &answer) == 0)
            check_text(answer.text);
        xha_trailer_get(&frame, &trailer);
        data += used;
        size -= used;
    }
    if (r < 0 && !err[0])
        abort();
}

static int count(void *arg, const uint8_t *bytes, size_t len)
{
    volatile uint8_t touched = bytes ? bytes[0] ^ bytes[len - 1] : 0;

    (void)touched;
    *(size_t *)arg += len;
    return 0;
}

struct back {
    const uint8_t *want;
    size_t left;
};

static int compare(void *arg, const uint8_t *bytes, size_t len)
{
    struct back *b = arg;

    if (len > b->left)
        abort();
    for (size_t i = 0; i < len; i++)
        if (b->want[i] != (bytes ? bytes[i] : 0))
            abort();
    b->want += len;
    b->left -= len;
    return 0;
}

static void give_back(struct xha_filter *filter, bool all, struct back *back)
{
    const size_t len = xha_filter_take(filter, all, chunk);
    char err[128];

    if (len > XHA_CHUNK_BYTES_MAX)
        abort();
    if (len > 0 && xha_chunk_unpack(packer, chunk, len, compare, back, err, sizeof(err)) != 0)
        abort();
}

static void filter_stream(const uint8_t *data, size_t size, size_t piece)
{
    struct xha_filter *filter = xha_filter_new(XHA_FILTER_STREAM, packer);
    struct back back = { .want = data, .left = size };

    for (size_t at = 0; at < size;) {
        at += xha_filter_feed(filter, data + at, size - at < piece ? size - at : piece);
        if (xha_filter_is_full(filter) || at % 3 == 0)
            give_back(filter, false, &back);
    }
    give_back(filter, true, &back);
    if (back.left != 0)
        abort();
    xha_filter_free(filter);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char err[128] = "";
    size_t got = 0;

    if (!packer) {
        packer = xha_packer_new(XHA_CODEC_LZ4);
        chunk = malloc(XHA_CHUNK_BYTES_MAX);
    }
    if (size < 2)
        return 0;
    if (data[0] == 'F')
        read_frames(data + 1, size - 1);
    else if (data[0] == 'C' &&
             xha_chunk_unpack(packer, data + 1, size - 1, count, &got, err, sizeof(err)) != 0 && !err[0])
        abort();
    else if (data[0] == 'S')
        filter_stream(data + 2, size - 2, (size_t)data[1] * 16 + 1);
    return got > XHA_CHUNK_RAW_MAX ? abort(), 0 : 0;
}

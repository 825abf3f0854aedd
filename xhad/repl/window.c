/*
 * window.c - see window.h. The text lies behind the window, so that LZ4 sees both as one.
 */
#include "xhad/repl/window.h"

#include <lz4.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW (64u << 10) /* as far as LZ4 looks back */

struct xha_window_out {
    LZ4_stream_t lz4;
    size_t have;                                 /* of the window */
    uint8_t bytes[WINDOW + XHA_WINDOW_TEXT_MAX]; /* the window, and behind it the text */
};

struct xha_window_in {
    size_t have;
    size_t fresh_len; /* of the text that was unpacked last, still behind the window */
    uint8_t bytes[WINDOW + XHA_WINDOW_TEXT_MAX];
};

/* ---- the sender's ---- */

struct xha_window_out *xha_window_out_new(void)
{
    struct xha_window_out *w = malloc(sizeof(*w));

    if (!w)
        return NULL;
    LZ4_initStream(&w->lz4, sizeof(w->lz4));
    w->have = 0;
    return w;
}

void xha_window_out_free(struct xha_window_out *window)
{
    free(window);
}

uint8_t *xha_window_text(struct xha_window_out *window)
{
    return window->bytes + window->have;
}

size_t xha_window_pack(struct xha_window_out *window, size_t len, uint8_t *out)
{
    const uint8_t *text = xha_window_text(window);
    int r;

    if (len == 0)
        return 0;
    r = LZ4_compress_fast_continue(&window->lz4, (const char *)text, (char *)out, (int)len,
                                   (int)XHA_WINDOW_PACKED_MAX, 1);
    if (r <= 0 || (size_t)r >= len) {
        memcpy(out, text, len);
        r = (int)len;
    }
    window->have = (size_t)LZ4_saveDict(&window->lz4, (char *)window->bytes, (int)WINDOW);
    return (size_t)r;
}

/* ---- the receiver's ---- */

struct xha_window_in *xha_window_in_new(void)
{
    struct xha_window_in *w = malloc(sizeof(*w));

    if (!w)
        return NULL;
    w->have = w->fresh_len = 0;
    return w;
}

void xha_window_in_free(struct xha_window_in *window)
{
    free(window);
}

/* Takes the last text into the window, whose end it is. */
static void move_on(struct xha_window_in *w)
{
    const size_t all = w->have + w->fresh_len, keep = all < WINDOW ? all : WINDOW;

    memmove(w->bytes, w->bytes + all - keep, keep);
    w->have = keep;
    w->fresh_len = 0;
}

const uint8_t *xha_window_unpack(struct xha_window_in *window, const uint8_t *packed, size_t packed_len,
                                 size_t len)
{
    uint8_t *text;

    move_on(window);
    text = window->bytes + window->have;
    if (len > XHA_WINDOW_TEXT_MAX || packed_len > len)
        return NULL;
    if (packed_len == len)
        memcpy(text, packed, len);
    else if (LZ4_decompress_safe_usingDict((const char *)packed, (char *)text, (int)packed_len, (int)len,
                                           (const char *)window->bytes, (int)window->have) != (int)len)
        return NULL;
    window->fresh_len = len;
    return text;
}

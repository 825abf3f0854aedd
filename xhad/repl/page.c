/*
 * page.c - deltas, see page.h; and the make of the comparisons that any processor runs.
 */
#include "xhad/repl/page.h"
#include "xhad/move/bytes.h"

#include <string.h>

/* ---- comparisons without vectors ---- */

static bool is_zero(const uint8_t *page)
{
    for (size_t at = 0; at < XHA_PAGE_BYTES; at += XHA_PAGE_LINE_BYTES) {
        uint64_t w[8];

        memcpy(w, page + at, sizeof(w));
        if (w[0] | w[1] | w[2] | w[3] | w[4] | w[5] | w[6] | w[7])
            return false;
    }
    return true;
}

static uint64_t compare(const uint8_t *page, const uint8_t *base, uint8_t words[XHA_PAGE_LINES])
{
    uint64_t lines = 0;

    for (unsigned line = 0; line < XHA_PAGE_LINES; line++) {
        const size_t at = (size_t)line * XHA_PAGE_LINE_BYTES;
        uint64_t p[8], b[8];
        unsigned mask = 0;

        memcpy(p, page + at, sizeof(p));
        memcpy(b, base + at, sizeof(b));
        for (unsigned w = 0; w < 8; w++)
            mask |= (unsigned)(p[w] != b[w]) << w;
        words[line] = (uint8_t)mask;
        lines |= (uint64_t)(mask != 0) << line;
    }
    return lines;
}

const struct xha_page_ops xha_page_scalar = { .name = "scalar", .is_zero = is_zero, .compare = compare };

/* ---- deltas ---- */

/* to = a ^ b, words of 8 bytes, whatever the byte order. */
static void xor_word(uint8_t *to, const uint8_t *a, const uint8_t *b)
{
    uint64_t x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    x ^= y;
    memcpy(to, &x, sizeof(x));
}

size_t xha_delta_make(const struct xha_page_ops *ops, const uint8_t *page, uint8_t *base, size_t limit,
                      uint8_t *out)
{
    uint8_t words[XHA_PAGE_LINES];
    uint64_t lines = ops->compare(page, base, words);
    uint8_t *p = out + 8;

    xha_put64(out, lines);
    for (; lines != 0; lines &= lines - 1) {
        const unsigned line = (unsigned)__builtin_ctzll(lines);
        const size_t at = (size_t)line * XHA_PAGE_LINE_BYTES;

        *p++ = words[line];
        for (unsigned mask = words[line]; mask != 0; mask &= mask - 1, p += 8) {
            const size_t word = at + 8 * (size_t)__builtin_ctz(mask);

            xor_word(p, page + word, base + word);
        }
        memcpy(base + at, page + at, XHA_PAGE_LINE_BYTES);
        if ((size_t)(p - out) > limit)
            return 0;
    }
    return (size_t)(p - out);
}

size_t xha_delta_apply(const uint8_t *delta, size_t len, uint8_t *base)
{
    size_t at = 8;

    if (len < 8)
        return 0;
    for (uint64_t lines = xha_get64(delta); lines != 0; lines &= lines - 1) {
        uint8_t *line = base + (size_t)__builtin_ctzll(lines) * XHA_PAGE_LINE_BYTES;
        unsigned mask;

        if (at == len || delta[at] == 0)
            return 0;
        for (mask = delta[at++]; mask != 0; mask &= mask - 1, at += 8) {
            uint8_t *word = line + 8 * (size_t)__builtin_ctz(mask);

            if (len - at < 8)
                return 0;
            xor_word(word, word, delta + at);
        }
    }
    return at;
}

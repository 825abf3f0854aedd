/*
 * text.c - bytes from elsewhere, made fit to be printed or logged.
 */
#include "xhad/base/text.h"

#include <stdbool.h>
#include <string.h>

/* Bytes that c takes when escaped. */
static size_t escaped_width(unsigned char c)
{
    if (c == '\\')
        return 2;
    return c >= 0x20 && c < 0x7f ? 1 : 4;
}

static void escape_one(char *to, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";

    switch (escaped_width(c)) {
    case 1:
        to[0] = (char)c;
        break;
    case 2:
        to[0] = to[1] = '\\';
        break;
    default:
        to[0] = '\\';
        to[1] = 'x';
        to[2] = hex[c >> 4];
        to[3] = hex[c & 15];
    }
}

char *xha_text_escape_bytes(char *buf, size_t len, const void *src, size_t n)
{
    static const char dots[] = "...";
    const unsigned char *s = src;
    size_t used = 0, keep = 0; /* keep: where the dots go if the rest does not fit */

    if (len == 0)
        return buf;
    for (size_t i = 0; i < n; i++) {
        size_t width = escaped_width(s[i]);

        if (used + width >= len) {
            size_t room = len - 1 - keep;

            memcpy(buf + keep, dots, room < 3 ? room : 3);
            used = keep + (room < 3 ? room : 3);
            break;
        }
        escape_one(buf + used, s[i]);
        used += width;
        if (used + 3 < len)
            keep = used;
    }
    buf[used] = '\0';
    return buf;
}

char *xha_text_escape(char *buf, size_t len, const char *src)
{
    return xha_text_escape_bytes(buf, len, src, strlen(src));
}

unsigned xha_text_distance(const char *a, const char *b, unsigned max)
{
    enum { LONGEST = 64 };
    unsigned row[LONGEST + 1];
    size_t la = strlen(a), lb = strlen(b);

    if (la > LONGEST || lb > LONGEST || (la > lb ? la - lb : lb - la) > max)
        return max + 1;
    for (size_t j = 0; j <= lb; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= la; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= lb; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[lb] > max ? max + 1 : row[lb];
}

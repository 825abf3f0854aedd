/*
 * lines.c - from bytes to lines.
 */
#include "xhad/ctl/lines.h"
#include <stdlib.h>
#include <string.h>

/* Keeps bytes for later; false: more than max, or no memory. */
static bool keep(struct xha_lines *lines, const char *data, size_t len, size_t max)
{
    if (len == 0)
        return true;
    if (lines->len + len > max)
        return false;
    if (lines->len + len > lines->room) {
        size_t room = 2 * (lines->len + len);
        char *grown = realloc(lines->data, room);

        if (!grown)
            return false;
        lines->data = grown;
        lines->room = room;
    }
    memcpy(lines->data + lines->len, data, len);
    lines->len += len;
    return true;
}

bool xha_lines_feed(struct xha_lines *lines, const char *data, size_t len, size_t max, xha_lines_cb *each,
                    void *user)
{
    bool ok = true;

    while (len > 0) {
        const char *newline = memchr(data, '\n', len);
        size_t n = newline ? (size_t)(newline - data) : len;

        if (!lines->skipping && !keep(lines, data, n, max)) {
            lines->skipping = true;
            ok = false;
        }
        if (newline) {
            size_t line_len = lines->len;

            lines->len = 0;
            if (!lines->skipping)
                each(user, lines->data, line_len);
            lines->skipping = false;
            n++;
        }
        data += n;
        len -= n;
    }
    return ok;
}

void xha_lines_clear(struct xha_lines *lines)
{
    free(lines->data);
    *lines = (struct xha_lines){ 0 };
}

/*
 * lines.h - cuts a stream of bytes into lines, with a bound.
 */
#ifndef XHA_CTL_LINES_H
#define XHA_CTL_LINES_H

#include <stdbool.h>
#include <stddef.h>

struct xha_lines {
    char *data; /* what has come of a line that is not yet whole */
    size_t len, room;
    bool skipping; /* the line was too long: its rest is thrown away */
};

/* line: without its newline, not NUL-terminated. */
typedef void xha_lines_cb(void *user, const char *line, size_t len);

/* Calls each() for every whole line. A line longer than max is dropped: returns false then, else true. */
bool xha_lines_feed(struct xha_lines *lines, const char *data, size_t len, size_t max, xha_lines_cb *each,
                    void *user);
void xha_lines_clear(struct xha_lines *lines);

#endif

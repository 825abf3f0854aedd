/*
 * text.h - bytes from elsewhere, made fit to be printed or logged.
 */
#ifndef XHA_TEXT_H
#define XHA_TEXT_H

#include <stddef.h>

/*
 * Copies n bytes of src into buf (len bytes, NUL-terminated): printable ASCII as it is, backslash as \\, the
 * rest as \xHH. What does not fit is cut and ends in "...". Returns buf.
 */
char *xha_text_escape_bytes(char *buf, size_t len, const void *src, size_t n);

/* The same for a string. */
char *xha_text_escape(char *buf, size_t len, const char *src);

/* Edits that turn a into b, at most max + 1: for "did you mean". */
unsigned xha_text_distance(const char *a, const char *b, unsigned max);

#endif

/*
 * window.h - what is in the stream between the pages, packed against the last 64 KiB of its like: the states of
 * the processors and devices, which are nearly the same in each epoch, and lists of page numbers. Pure.
 *
 * Both sides keep the same window, so texts are unpacked in the order in which they were packed.
 */
#ifndef XHA_REPL_WINDOW_H
#define XHA_REPL_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#define XHA_WINDOW_TEXT_MAX   (64u << 10) /* bytes packed at once */
#define XHA_WINDOW_PACKED_MAX (XHA_WINDOW_TEXT_MAX + XHA_WINDOW_TEXT_MAX / 255 + 16)

/* ---- the sender's ---- */

struct xha_window_out;

struct xha_window_out *xha_window_out_new(void); /* NULL: out of memory */
void xha_window_out_free(struct xha_window_out *window);

/* Where the next text goes, XHA_WINDOW_TEXT_MAX bytes; good until it is packed. */
uint8_t *xha_window_text(struct xha_window_out *window);

/* Packs the first len bytes there (XHA_WINDOW_PACKED_MAX bytes at out). Returns the length; len: as they are. */
size_t xha_window_pack(struct xha_window_out *window, size_t len, uint8_t *out);

/* ---- the receiver's ---- */

struct xha_window_in;

struct xha_window_in *xha_window_in_new(void); /* NULL: out of memory */
void xha_window_in_free(struct xha_window_in *window);

/*
 * The text of len bytes that these hostile ones are; good until the next is unpacked. NULL: they are damaged,
 * and the window is of no further use.
 */
const uint8_t *xha_window_unpack(struct xha_window_in *window, const uint8_t *packed, size_t packed_len,
                                 size_t len);

#endif

/*
 * word.h - what the two copies of a gated disk say to each other. Pure.
 *
 *   primary                                    backup
 *   HELLO its state (meta.h)            →
 *                                       ←      HELLO its state, MAP page…, READY
 *   START with the base of the pair     →      its copy is neither old nor new from here on
 *   WRITE, ZERO: what may differ, and
 *   what the guest writes meanwhile     →      written at once
 *   SYNCED: whole, as of that epoch     →
 *                                       ←      HAVE: on stable storage
 *   WRITE, ZERO, …, END of an epoch     →      held until the epoch is committed, dropped if it is not
 *
 * Words travel from the primary's plugin by a socket to the sender, in frames of the link to the receiver, and by a
 * socket to the backup's plugin: head, then data, little-endian. Either side may say FAIL with a text, and hangs up.
 *   head: u8 kind, 3 × u8 zero, u32 bytes of data, u64 offset, u64 count
 */
#ifndef XHA_DISK_WORD_H
#define XHA_DISK_WORD_H

#include <stddef.h>
#include <stdint.h>

#define XHA_WORD_HEAD     24
#define XHA_WORD_DATA_MAX (256u << 10)

enum xha_word_kind {
    XHA_WORD_HELLO = 1, /* data: a meta slot */
    XHA_WORD_MAP,       /* offset: the page's number; data: the page */
    XHA_WORD_READY,
    XHA_WORD_START,  /* data: the base */
    XHA_WORD_WRITE,  /* offset, data */
    XHA_WORD_ZERO,   /* offset, count: bytes */
    XHA_WORD_SYNCED, /* count: the disk's epoch */
    XHA_WORD_HAVE,
    XHA_WORD_END,  /* count: the pair's epoch, from 1 on */
    XHA_WORD_FAIL, /* data: text */
    XHA_WORD_KIND_N_
};

struct xha_word {
    enum xha_word_kind kind;
    uint32_t len;
    uint64_t offset, count;
};

void xha_word_put(const struct xha_word *word, uint8_t head[XHA_WORD_HEAD]);

/* Of hostile bytes. 0, or -1: no word. */
int xha_word_get(const uint8_t head[XHA_WORD_HEAD], struct xha_word *word_r);

#endif

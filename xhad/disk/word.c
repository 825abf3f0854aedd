/*
 * word.c - see word.h.
 */
#include "xhad/disk/word.h"
#include "xhad/disk/meta.h"
#include "xhad/move/bytes.h"

#include <string.h>

void xha_word_put(const struct xha_word *word, uint8_t head[XHA_WORD_HEAD])
{
    memset(head, 0, XHA_WORD_HEAD);
    head[0] = (uint8_t)word->kind;
    xha_put32(head + 4, word->len);
    xha_put64(head + 8, word->offset);
    xha_put64(head + 16, word->count);
}

/* How much data a word of that kind has at least and at most. */
static void lengths(enum xha_word_kind kind, uint32_t *least_r, uint32_t *most_r)
{
    *least_r = *most_r = 0;
    switch (kind) {
    case XHA_WORD_HELLO:
        *least_r = *most_r = XHA_META_BYTES;
        break;
    case XHA_WORD_MAP:
        *least_r = *most_r = XHA_MAP_PAGE;
        break;
    case XHA_WORD_START:
        *least_r = *most_r = XHA_BASE_BYTES;
        break;
    case XHA_WORD_WRITE:
        *least_r = 1;
        *most_r = XHA_WORD_DATA_MAX;
        break;
    case XHA_WORD_FAIL:
        *most_r = 256;
        break;
    case XHA_WORD_READY:
    case XHA_WORD_ZERO:
    case XHA_WORD_SYNCED:
    case XHA_WORD_HAVE:
    case XHA_WORD_END:
    case XHA_WORD_KIND_N_:
        break;
    }
}

int xha_word_get(const uint8_t head[XHA_WORD_HEAD], struct xha_word *word_r)
{
    uint32_t least, most;

    if (head[0] == 0 || head[0] >= XHA_WORD_KIND_N_ || head[1] != 0 || xha_get16(head + 2) != 0)
        return -1;
    *word_r = (struct xha_word){
        .kind = (enum xha_word_kind)head[0],
        .len = xha_get32(head + 4),
        .offset = xha_get64(head + 8),
        .count = xha_get64(head + 16),
    };
    lengths(word_r->kind, &least, &most);
    return word_r->len < least || word_r->len > most ? -1 : 0;
}

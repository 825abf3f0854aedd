/*
 * terms.c - see terms.h.
 */
#include "xhad/repl/terms.h"
#include "xhad/repl/shadow.h"
#include "xhad/move/bytes.h"

#include <stdio.h>

void xha_terms_put(const struct xha_terms *terms, uint8_t bytes[XHA_TERMS_BYTES])
{
    memset(bytes, 0, XHA_TERMS_BYTES);
    xha_put16(bytes, XHA_REPL_VERSION);
    xha_put32(bytes + 4, terms->silence_ms);
    xha_put32(bytes + 8, terms->slots);
    xha_put64(bytes + 16, terms->held_bytes);
}

int xha_terms_get(const uint8_t *bytes, size_t len, struct xha_terms *terms_r, char *err, size_t err_len)
{
    struct xha_terms terms;

    if (len >= 2 && xha_get16(bytes) != XHA_REPL_VERSION) {
        snprintf(err, err_len,
                 "the peer speaks version %u of the protocol for replication, this host version %u: "
                 "bring both to the same release of xhad",
                 (unsigned)xha_get16(bytes), XHA_REPL_VERSION);
        return -1;
    }
    if (len == XHA_TERMS_BYTES) {
        terms = (struct xha_terms){ .silence_ms = xha_get32(bytes + 4),
                                    .slots = xha_get32(bytes + 8),
                                    .held_bytes = xha_get64(bytes + 16) };
        if (terms.silence_ms >= XHA_SILENCE_MS_MIN && terms.silence_ms <= XHA_SILENCE_MS_MAX &&
            terms.slots <= XHA_SLOTS_MAX && xha_get16(bytes + 2) == 0 && xha_get32(bytes + 12) == 0) {
            *terms_r = terms;
            return 0;
        }
    }
    snprintf(err, err_len, "the peer's terms for replication are damaged");
    return -1;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

struct xha_terms xha_terms_grant(const struct xha_terms *wanted, const struct xha_terms *limits)
{
    return (struct xha_terms){
        .silence_ms = wanted->silence_ms,
        .slots = (uint32_t)least(wanted->slots, limits->slots),
        .held_bytes = wanted->held_bytes ? least(wanted->held_bytes, limits->held_bytes) : limits->held_bytes,
    };
}

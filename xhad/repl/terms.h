/*
 * terms.h - what the two ends of a replication agree on before the first epoch. Pure.
 *
 * The sender says what it would like; the backup answers with what it grants, which is never more; that holds.
 *   TERMS  u16 version, u16 zero, u32 silence in ms, u32 slots (shadow.h), u32 zero, u64 bytes of epochs that the
 *          backup holds at most (store.h; 0 of the sender: whatever the backup likes)
 */
#ifndef XHA_REPL_TERMS_H
#define XHA_REPL_TERMS_H

#include <stddef.h>
#include <stdint.h>

#define XHA_REPL_VERSION   1u
#define XHA_TERMS_BYTES    24
#define XHA_SILENCE_MS_MIN 50
#define XHA_SILENCE_MS_MAX 60000

struct xha_terms {
    uint32_t silence_ms; /* after which a peer that says nothing is gone */
    uint32_t slots;
    uint64_t held_bytes;
};

void xha_terms_put(const struct xha_terms *terms, uint8_t bytes[XHA_TERMS_BYTES]);

/* Of hostile bytes. 0, or -1 with a text in err; another version is refused by its number. */
int xha_terms_get(const uint8_t *bytes, size_t len, struct xha_terms *terms_r, char *err, size_t err_len);

/* What a backup with these limits grants to a sender that would like that. */
struct xha_terms xha_terms_grant(const struct xha_terms *wanted, const struct xha_terms *limits);

#endif

/*
 * key.h - the cluster's key, and what is made from it: a key for each move, known to its two ends alone.
 */
#ifndef XHA_MOVE_KEY_H
#define XHA_MOVE_KEY_H

#include <stddef.h>
#include <stdint.h>
#include "xhad/core/core.h"

#define XHA_KEY_BYTES      32
#define XHA_IDENTITY_BYTES 80 /* with its NUL */

struct xha_key {
    uint8_t b[XHA_KEY_BYTES];
};

/*
 * Reads the key: 64 hexadecimal digits and a newline, in a regular file of root's or of our own user, that
 * nobody else can read. 0, or -1 with a text in err.
 */
int xha_key_read(const char *path, struct xha_key *key_r, char *err, size_t err_len);

/* "xhad:MOVE:UUID": what the two ends of a move call themselves. Returns buf. */
const char *xha_key_identity(uint64_t move_id, const struct xha_uuid *uuid, char buf[XHA_IDENTITY_BYTES]);

/* HKDF (SHA-256) of the cluster's key and the identity. 0, or -1 with a text in err. */
int xha_key_derive(const struct xha_key *cluster, const char *identity, struct xha_key *key_r, char *err,
                   size_t err_len);

#endif

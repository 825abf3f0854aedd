/*
 * key.c - see key.h.
 */
#include "xhad/move/key.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/uuid.h"

#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#define HEX_BYTES ((size_t)XHA_KEY_BYTES * 2)

static const char salt[] = "xhad move, version 1";

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Why the file must not be trusted; NULL: it may be. */
static const char *distrust(int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return strerror(errno);
    if (!S_ISREG(st.st_mode))
        return "it is no regular file";
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return "it belongs to another user: chown root it";
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        return "others than its owner may read or write it: chmod 600 it";
    return NULL;
}

int xha_key_read(const char *path, struct xha_key *key_r, char *err, size_t err_len)
{
    XHA_CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const char *why = fd >= 0 ? distrust(fd)
                      : errno == ENOENT
                          ? "it is not there: `xl-ha cluster init` makes it, `xl-ha cluster join` "
                            "brings it to this host"
                          : strerror(errno);
    char text[HEX_BYTES + 2];
    ssize_t n = why ? -1 : read(fd, text, sizeof(text));

    if (!why && n < 0)
        why = strerror(errno);
    if (!why && (n < (ssize_t)HEX_BYTES || (n == (ssize_t)HEX_BYTES + 1 && text[HEX_BYTES] != '\n') ||
                 n > (ssize_t)HEX_BYTES + 1))
        why = "it is not 64 hexadecimal digits and a newline";
    for (size_t i = 0; !why && i < XHA_KEY_BYTES; i++) {
        int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

        if (high < 0 || low < 0)
            why = "it is not 64 hexadecimal digits and a newline";
        else
            key_r->b[i] = (uint8_t)(high << 4 | low);
    }
    explicit_bzero(text, sizeof(text));
    if (!why)
        return 0;
    snprintf(err, err_len, "the cluster's key %s is not taken: %s", path, why);
    return -1;
}

const char *xha_key_identity(uint64_t move_id, const struct xha_uuid *uuid, char buf[XHA_IDENTITY_BYTES])
{
    char text[XHA_UUID_TEXT];

    snprintf(buf, XHA_IDENTITY_BYTES, "xhad:%" PRIu64 ":%s", move_id, xha_uuid_format(uuid, text));
    return buf;
}

int xha_key_derive(const struct xha_key *cluster, const char *identity, struct xha_key *key_r, char *err,
                   size_t err_len)
{
    const gnutls_datum_t in = { .data = (unsigned char *)cluster->b, .size = XHA_KEY_BYTES };
    const gnutls_datum_t salted = { .data = (unsigned char *)salt, .size = sizeof(salt) - 1 };
    const gnutls_datum_t info = { .data = (unsigned char *)identity, .size = (unsigned)strlen(identity) };
    uint8_t middle[XHA_KEY_BYTES];
    const gnutls_datum_t extracted = { .data = middle, .size = sizeof(middle) };
    int r = gnutls_hkdf_extract(GNUTLS_MAC_SHA256, &in, &salted, middle);

    if (r == 0)
        r = gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &extracted, &info, key_r->b, sizeof(key_r->b));
    explicit_bzero(middle, sizeof(middle));
    if (r == 0)
        return 0;
    snprintf(err, err_len, "no key can be made for the move: %s", gnutls_strerror(r));
    return -1;
}

/*
 * link.h - TLS 1.3 over a socket, both ends proving by the key of their move that they belong to the cluster.
 *
 * Pre-shared key with an ephemeral exchange (forward secret), AEAD ciphers only; no certificates. The kernel
 * does the ciphering (kTLS) where GnuTLS is set up for it; that is found out, never needed. Nothing blocks
 * but the opening.
 */
#ifndef XHA_MOVE_LINK_H
#define XHA_MOVE_LINK_H

#include <stddef.h>
#include <sys/types.h>
#include "xhad/move/clock.h"
#include "xhad/move/key.h"

struct xha_link;

enum xha_link_end { XHA_LINK_CONNECTS, XHA_LINK_ACCEPTS };

/*
 * Shakes hands over a connected stream socket until until_ms. The link owns fd, also when opening fails. 0,
 * or -1 with a text in err.
 */
int xha_link_open(int fd, enum xha_link_end end, const char *identity, const struct xha_key *key,
                  int64_t until_ms, const struct xha_stop *stop, struct xha_link **link_r, char *err,
                  size_t err_len);

/* Without a goodbye: what is not confirmed inside the conversation did not happen. NULL is allowed. */
void xha_link_close(struct xha_link *link);

/*
 * Some of the bytes. 0: none now, wait for the socket; when sending was refused for now, it must be tried
 * again with the same bytes. -1: the link is gone, with a text in err.
 */
ssize_t xha_link_send(struct xha_link *link, const void *bytes, size_t len, char *err, size_t err_len);
ssize_t xha_link_receive(struct xha_link *link, void *bytes, size_t len, char *err, size_t err_len);

/* Bytes that can be received without waiting for the socket. */
size_t xha_link_pending(const struct xha_link *link);
int xha_link_fd(const struct xha_link *link);
bool xha_link_in_kernel(const struct xha_link *link); /* kTLS, for what we send or receive */
const char *xha_link_cipher(const struct xha_link *link);

#endif

/*
 * net.h - TCP between hosts: listening, connecting and accepting within a time, and sockets that notice a
 * dead peer. All sockets are non-blocking and close-on-exec.
 */
#ifndef XHA_MOVE_NET_H
#define XHA_MOVE_NET_H

#include <stddef.h>
#include "xhad/move/clock.h"

#define XHA_ADDRESS_TEXT 64 /* "[address]:port" */

/*
 * Listens at address ("": all of this host) and the first free port of [first, last]; first 0: any port. The
 * socket, with its port; or -1 with a text in err.
 */
int xha_net_listen(const char *address, uint16_t first, uint16_t last, uint16_t *port_r, char *err,
                   size_t err_len);

/* The next connection that has said something, with the peer's address; or -1 with a text in err, also when until_ms is over. */
int xha_net_accept(int listen_fd, int64_t until_ms, const struct xha_stop *stop, char peer[XHA_ADDRESS_TEXT],
                   char *err, size_t err_len);

/* Tries all addresses of the host, again and again until until_ms: the receiver may be about to start. */
int xha_net_connect(const char *host, uint16_t port, int64_t until_ms, const struct xha_stop *stop, char *err,
                    size_t err_len);

/*
 * Makes the kernel give up on a peer that has been gone for about this long. Best effort: a socket that is
 * not TCP stays as it is, and wire.h's own beats notice as well.
 */
void xha_net_watch(int fd, int64_t timeout_ms);

#endif

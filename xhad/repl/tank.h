/*
 * tank.h - the stream of an epoch in memory, so that the guest runs again while it is still being packed and
 * sent: a bounded queue of bytes. Pure. Whoever fills it while it is full has to wait, and so has the guest.
 */
#ifndef XHA_REPL_TANK_H
#define XHA_REPL_TANK_H

#include <stddef.h>
#include <stdint.h>

struct xha_tank;

/* limit: bytes that it holds at most, at least XHA_TANK_BLOCK. NULL: out of memory. */
#define XHA_TANK_BLOCK (1u << 20)
struct xha_tank *xha_tank_new(uint64_t limit);
void xha_tank_free(struct xha_tank *tank);

/* Where the next bytes go, and how many; NULL: it is full, or there is no memory. */
uint8_t *xha_tank_room(struct xha_tank *tank, size_t *len_r);
void xha_tank_filled(struct xha_tank *tank, size_t len); /* so many of them were put there */

/* The bytes that come next; 0: it is empty. They stay until they are taken off. */
size_t xha_tank_next(const struct xha_tank *tank, const uint8_t **bytes_r);
void xha_tank_took(struct xha_tank *tank, size_t len);

struct xha_tank_stats {
    uint64_t bytes, bytes_most; /* memory of its blocks */
    uint64_t full;              /* how often there was no room */
};

struct xha_tank_stats xha_tank_stats(const struct xha_tank *tank);

#endif

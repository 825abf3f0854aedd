/*
 * map.h - which regions of a disk may differ from its peer's. Pure.
 *
 * The rule that everything rests on: a region that is set in neither of two disks' maps is the same on both. So a
 * bit is on stable storage before the first byte of its region changes, and is cleared only when the peer
 * holds all of that region's changes on stable storage. It is cleared late: a region that is written again
 * soon costs no second wait.
 *
 * On storage a map is pages with a sum each; a page that is damaged or was never written means that all of its
 * regions may differ.
 */
#ifndef XHA_DISK_MAP_H
#define XHA_DISK_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XHA_MAP_PAGE         4096
#define XHA_MAP_PAGE_REGIONS ((XHA_MAP_PAGE - 8u) * 8u)
#define XHA_REGION_SHIFT_MIN 12
#define XHA_REGION_SHIFT     20 /* of a disk that says nothing else */
#define XHA_REGION_SHIFT_MAX 30
#define XHA_EPOCH_NEVER      UINT64_MAX

struct xha_map;

/* NULL: out of memory. All is clean. */
struct xha_map *xha_map_new(uint64_t size, unsigned region_shift);
void xha_map_free(struct xha_map *map);

uint64_t xha_map_regions(const struct xha_map *map);
uint64_t xha_map_count(const struct xha_map *map); /* that are set */
uint64_t xha_map_region(const struct xha_map *map, uint64_t offset);
bool xha_map_is_set(const struct xha_map *map, uint64_t region);
/* The first one that is set, from there on; xha_map_regions(): none. */
uint64_t xha_map_next(const struct xha_map *map, uint64_t from);

/* Whether all regions of [offset, offset + len) are set. */
bool xha_map_has(const struct xha_map *map, uint64_t offset, uint64_t len);

/* Sets them; their page is stale until it is written. */
void xha_map_set(struct xha_map *map, uint64_t offset, uint64_t len);
void xha_map_set_all(struct xha_map *map);
void xha_map_clear(struct xha_map *map, uint64_t region);
void xha_map_clear_all(struct xha_map *map);

/* Those regions were written in that epoch; XHA_EPOCH_NEVER: no epoch makes the peer's the same again. */
void xha_map_wrote(struct xha_map *map, uint64_t offset, uint64_t len, uint64_t epoch);
void xha_map_forget_epochs(struct xha_map *map); /* as if all had been written in epoch 0 */

/* Clears what was last written in an epoch up to this one; how many were cleared. */
uint64_t xha_map_sweep(struct xha_map *map, uint64_t committed);

/* ---- on storage ---- */

uint64_t xha_map_pages(const struct xha_map *map);
/* The next page from there on whose stored form is stale, and is taken for fresh from now on; pages(): none. */
uint64_t xha_map_stale(struct xha_map *map, uint64_t from);
void xha_map_page_put(const struct xha_map *map, uint64_t page, uint8_t bytes[XHA_MAP_PAGE]);
/* Adds a stored page. false: it is damaged, and all of its regions are set now. */
bool xha_map_page_add(struct xha_map *map, uint64_t page, const uint8_t bytes[XHA_MAP_PAGE]);

#endif

/*
 * map.c - see map.h.
 */
#include "xhad/disk/map.h"
#include "xhad/move/bytes.h"

#include <stdlib.h>
#include <xxhash.h>

#define PAGE_BITS_BYTES (XHA_MAP_PAGE - 8)

struct xha_map {
    uint64_t size, regions, pages, count;
    unsigned shift;
    uint8_t *bits;   /* pages × PAGE_BITS_BYTES */
    bool *stale;     /* of each page */
    uint64_t *epoch; /* of each region, the last that wrote to it */
};

struct xha_map *xha_map_new(uint64_t size, unsigned region_shift)
{
    struct xha_map *map = calloc(1, sizeof(*map));

    if (!map)
        return NULL;
    map->size = size;
    map->shift = region_shift;
    map->regions = (size >> region_shift) + ((size & ((UINT64_C(1) << region_shift) - 1)) != 0);
    map->pages = (map->regions + XHA_MAP_PAGE_REGIONS - 1) / XHA_MAP_PAGE_REGIONS;
    map->bits = calloc(map->pages + 1, PAGE_BITS_BYTES);
    map->stale = calloc(map->pages + 1, sizeof(*map->stale));
    map->epoch = calloc(map->regions + 1, sizeof(*map->epoch));
    if (map->bits && map->stale && map->epoch)
        return map;
    xha_map_free(map);
    return NULL;
}

void xha_map_free(struct xha_map *map)
{
    if (!map)
        return;
    free(map->bits);
    free(map->stale);
    free(map->epoch);
    free(map);
}

uint64_t xha_map_regions(const struct xha_map *map)
{
    return map->regions;
}

uint64_t xha_map_count(const struct xha_map *map)
{
    return map->count;
}

uint64_t xha_map_region(const struct xha_map *map, uint64_t offset)
{
    return offset >> map->shift;
}

bool xha_map_is_set(const struct xha_map *map, uint64_t region)
{
    return map->bits[region / 8] >> (region % 8) & 1;
}

uint64_t xha_map_next(const struct xha_map *map, uint64_t from)
{
    for (; from < map->regions; from++) {
        if (from % 8 == 0 && map->bits[from / 8] == 0)
            from += 7; /* the loop's step is the eighth */
        else if (xha_map_is_set(map, from))
            return from;
    }
    return map->regions;
}

bool xha_map_has(const struct xha_map *map, uint64_t offset, uint64_t len)
{
    for (uint64_t r = offset >> map->shift; len > 0 && r <= (offset + len - 1) >> map->shift; r++)
        if (!xha_map_is_set(map, r))
            return false;
    return true;
}

static void set(struct xha_map *map, uint64_t region)
{
    if (xha_map_is_set(map, region))
        return;
    map->bits[region / 8] |= (uint8_t)(1u << (region % 8));
    map->count++;
    map->stale[region / XHA_MAP_PAGE_REGIONS] = true;
}

void xha_map_set(struct xha_map *map, uint64_t offset, uint64_t len)
{
    for (uint64_t r = offset >> map->shift; len > 0 && r <= (offset + len - 1) >> map->shift; r++)
        set(map, r);
}

void xha_map_set_all(struct xha_map *map)
{
    xha_map_set(map, 0, map->size);
    for (uint64_t p = 0; p < map->pages; p++)
        map->stale[p] = true;
}

void xha_map_clear(struct xha_map *map, uint64_t region)
{
    if (!xha_map_is_set(map, region))
        return;
    map->bits[region / 8] &= (uint8_t) ~(1u << (region % 8));
    map->count--;
    map->stale[region / XHA_MAP_PAGE_REGIONS] = true;
}

void xha_map_clear_all(struct xha_map *map)
{
    memset(map->bits, 0, map->pages * PAGE_BITS_BYTES);
    map->count = 0;
    for (uint64_t p = 0; p < map->pages; p++)
        map->stale[p] = true;
}

void xha_map_wrote(struct xha_map *map, uint64_t offset, uint64_t len, uint64_t epoch)
{
    for (uint64_t r = offset >> map->shift; len > 0 && r <= (offset + len - 1) >> map->shift; r++)
        if (map->epoch[r] < epoch)
            map->epoch[r] = epoch;
}

void xha_map_forget_epochs(struct xha_map *map)
{
    memset(map->epoch, 0, map->regions * sizeof(*map->epoch));
}

uint64_t xha_map_sweep(struct xha_map *map, uint64_t committed)
{
    uint64_t cleared = 0;

    for (uint64_t r = xha_map_next(map, 0); r < map->regions; r = xha_map_next(map, r + 1)) {
        if (map->epoch[r] > committed)
            continue;
        xha_map_clear(map, r);
        cleared++;
    }
    return cleared;
}

/* ---- on storage: the bits, then u64 the sum of them and of the page's number ---- */

uint64_t xha_map_pages(const struct xha_map *map)
{
    return map->pages;
}

uint64_t xha_map_stale(struct xha_map *map, uint64_t from)
{
    for (; from < map->pages; from++) {
        if (map->stale[from]) {
            map->stale[from] = false;
            return from;
        }
    }
    return map->pages;
}

void xha_map_page_put(const struct xha_map *map, uint64_t page, uint8_t bytes[XHA_MAP_PAGE])
{
    memcpy(bytes, map->bits + page * PAGE_BITS_BYTES, PAGE_BITS_BYTES);
    xha_put64(bytes + PAGE_BITS_BYTES, XXH3_64bits_withSeed(bytes, PAGE_BITS_BYTES, page + 1));
}

bool xha_map_page_add(struct xha_map *map, uint64_t page, const uint8_t bytes[XHA_MAP_PAGE])
{
    const bool whole =
        xha_get64(bytes + PAGE_BITS_BYTES) == XXH3_64bits_withSeed(bytes, PAGE_BITS_BYTES, page + 1);
    const uint64_t first = page * XHA_MAP_PAGE_REGIONS;

    for (uint64_t i = 0; i < XHA_MAP_PAGE_REGIONS && first + i < map->regions; i++)
        if (!whole || (bytes[i / 8] >> (i % 8) & 1))
            set(map, first + i);
    return whole;
}

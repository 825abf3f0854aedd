/*
 * meta.h - what a host knows of its copy of a gated disk, beside the map. Pure but for the last part.
 *
 * Two slots, written in turn, each with a sum: the newest whole one counts. Behind them stand the map's pages.
 *
 * base names the two disks between which the map's rule holds (map.h); a disk with another one is copied whole.
 * Epochs of a disk are counted on through all pairs: held is the last that this host had as a backup, cleared the last
 * that it relied on its backup to hold when it cleared bits. A backup that holds less than what was relied on has
 * lost something, and is copied whole.
 */
#ifndef XHA_DISK_META_H
#define XHA_DISK_META_H

#include "xhad/disk/map.h"

#define XHA_META_SLOT  4096 /* bytes from slot to slot; the map comes after two */
#define XHA_META_BYTES 96
#define XHA_BASE_BYTES 16

enum xha_disk_role {
    XHA_DISK_CURRENT = 1, /* this copy is the disk */
    XHA_DISK_PROTECTED,   /* ... unless its backup was promoted */
    XHA_DISK_STANDBY,     /* a backup's: whole, as of its last epoch, but not to be written by a guest */
    XHA_DISK_SYNCING,     /* a backup's, neither old nor new: of no use */
    XHA_DISK_ROLE_N_
};

struct xha_meta {
    uint64_t number; /* of the slot's writing */
    uint64_t size;
    unsigned region_shift;
    enum xha_disk_role role;
    uint8_t base[XHA_BASE_BYTES]; /* all zero: no other disk has what is here */
    uint64_t held, cleared;
};

void xha_meta_put(const struct xha_meta *meta, uint8_t bytes[XHA_META_BYTES]);
bool xha_meta_get(const uint8_t bytes[XHA_META_BYTES], struct xha_meta *meta_r);

/* "current", "protected", "standby", "syncing" */
const char *xha_disk_role_word(enum xha_disk_role role);

static inline bool xha_meta_has_base(const struct xha_meta *meta)
{
    static const uint8_t none[XHA_BASE_BYTES];

    return __builtin_memcmp(meta->base, none, sizeof(none)) != 0;
}

/* Whether the two maps say all that differs between the two disks. */
bool xha_meta_match(const struct xha_meta *a, const struct xha_meta *b);

/* ---- in a file ---- */

struct xha_meta_file {
    int fd;
    struct xha_meta meta;
    struct xha_map *map;
};

/*
 * Opens DIR/meta, or begins it for a disk of that size, current and without a peer. Locks it: one process at a time
 * (EWOULDBLOCK). 0, or -1 with a text in err. size 0: whatever it says.
 */
int xha_meta_open(const char *dir, uint64_t size, unsigned region_shift, struct xha_meta_file *file_r,
                  char *err, size_t err_len);
void xha_meta_close(struct xha_meta_file *file);

/* On stable storage when they return 0; -1 with errno. */
int xha_meta_write(struct xha_meta_file *file);
int xha_meta_write_map(struct xha_meta_file *file); /* the pages that are stale */

#endif

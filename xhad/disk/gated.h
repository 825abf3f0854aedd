/*
 * gated.h - one host's copy of a gated disk: served to the guest, or kept as the backup's.
 *
 * It begins as what its state says (meta.h). A copy that was the disk when its process ended while a backup could have
 * been promoted is in doubt: it is read, and written only after somebody who knows says so.
 */
#ifndef XHA_DISK_GATED_H
#define XHA_DISK_GATED_H

#include <stdbool.h>
#include "xhad/disk/meta.h"

struct xha_gated;

struct xha_gated_conf {
    const char *disk;   /* a file or a block device */
    const char *state;  /* a directory of this disk's own, on stable storage */
    const char *socket; /* where ask.h is answered */
    unsigned region_shift;
    uint64_t journal_bytes;
    int64_t sweep_ms;
};

/* Strings stay the caller's. What a power cut left is mended. No thread yet. 0, or -1 with a text in err. */
int xha_gated_open(const struct xha_gated_conf *conf, struct xha_gated **gated_r, char *err, size_t err_len);
/* Listens. 0, or -1 with errno. */
int xha_gated_start(struct xha_gated *gated);
void xha_gated_close(struct xha_gated *gated);

/* For the guest; 0, or -1 with errno. */
uint64_t xha_gated_size(const struct xha_gated *gated);
int xha_gated_read(struct xha_gated *gated, void *bytes, uint32_t len, uint64_t offset);
int xha_gated_write(struct xha_gated *gated, const void *bytes, uint32_t len, uint64_t offset, bool fua);
int xha_gated_zero(struct xha_gated *gated, uint32_t len, uint64_t offset, bool fua);
int xha_gated_flush(struct xha_gated *gated);

#endif

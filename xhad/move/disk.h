/*
 * disk.h - disks of a stopped domain, copied to another host: sparse, verified, and put in place whole.
 *
 * For each disk the source says DISK { u32 index, u32 mode, u64 size, u8 kind, 7 × u8 zero, path }; the target,
 * which knows from its own configuration what may be written, answers READY or, when there is a file
 * already, COMPARE. Then come DATA { u64 offset, chunk } and DISK_SUM { 16 bytes }, or only the latter; the target
 * reads back what it wrote, compares, and answers READY. Files are written aside; TRAILER (its bytes: the number
 * of disks) puts all of them in place, and DONE says so. The target may answer REFUSED at any time.
 */
#ifndef XHA_MOVE_DISK_H
#define XHA_MOVE_DISK_H

#include <jansson.h>
#include <limits.h>
#include "xhad/move/talk.h"

#define XHA_DISKS_MAX      64
#define XHA_DISK_HEAD      24 /* bytes of DISK before the path */
#define XHA_DISK_SUM_BYTES 16

enum xha_disk_kind { XHA_DISK_FILE = 1, XHA_DISK_BLOCK, XHA_DISK_KIND_N_ };

struct xha_disk {
    char path[PATH_MAX];
};

/*
 * The disks of a configuration in libxl's JSON that are to be copied: those that the guest can write to. -1
 * with a text in err that names the disk which cannot be.
 */
int xha_disk_list(const json_t *config, struct xha_disk **disks_r, size_t *n_r, char *err, size_t err_len);

/* Opens for reading (or, for a block device that is to be written, exclusively for both). -1 with a text. */
int xha_disk_open(const char *path, bool writes, enum xha_disk_kind *kind_r, uint64_t *size_r,
                  uint32_t *mode_r, char *err, size_t err_len);

/* Everything that is no hole, in aligned pieces of up to 256 KiB. Not 0: stop, and give that back. */
typedef int (*xha_disk_piece_cb)(void *arg, uint64_t offset, const uint8_t *bytes, size_t len);
int xha_disk_walk(int fd, uint64_t size, xha_disk_piece_cb piece, void *arg);

/* The sum of a disk's contents, whatever is a hole in it. */
struct xha_disk_sum;
struct xha_disk_sum *xha_disk_sum_new(void);
void xha_disk_sum_add(struct xha_disk_sum *sum, uint64_t offset, const uint8_t *bytes, size_t len);
void xha_disk_sum_end(struct xha_disk_sum *sum, uint64_t size, uint8_t sum_r[XHA_DISK_SUM_BYTES]);

struct xha_copied {
    uint64_t disks, bytes, wire_bytes; /* bytes: read from or written to disks */
    enum xha_refusal refusal;
};

/* The two ends, over a wire on which greeting and READY have been said. 0, or -1 with a text in err. */
int xha_disk_send_all(const struct xha_talk *talk, struct xha_wire *wire, const struct xha_disk *disks,
                      size_t n, struct xha_copied *copied_r, char *err, size_t err_len);
int xha_disk_receive_all(const struct xha_talk *talk, struct xha_wire *wire, const struct xha_disk *disks,
                         size_t n, struct xha_copied *copied_r, char *err, size_t err_len);

#endif

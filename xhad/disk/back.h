/*
 * back.h - a disk on the backup: epochs are held in journals until they are whole, then applied, in order.
 *
 * There are two journals. Epochs go into one of them until it is large; then the other one is taken, if all that was in it is
 * on the disk, and that on stable storage. A thread applies what is committed. After a power cut at whatever point,
 * opening makes of the disk what it was as of the last committed epoch.
 *
 * For one thread at a time, but for xha_back_held().
 */
#ifndef XHA_DISK_BACK_H
#define XHA_DISK_BACK_H

#include "xhad/disk/meta.h"

#define XHA_BACK_JOURNAL_BYTES (64u << 20)         /* of a journal, when it is large */
#define XHA_BACK_EPOCH_BYTES   (UINT64_C(4) << 30) /* of an epoch at most */

struct xha_back;

struct xha_back_conf {
    const char *dir;
    int disk_fd;
    struct xha_meta_file *file; /* of the disk; nobody else writes it meanwhile */
    uint64_t journal_bytes;     /* 0: XHA_BACK_JOURNAL_BYTES */
};

/*
 * Opens the journals; of a standby's, all that is committed is applied, on stable storage, and held. 0, or -1 with a
 * text in err. What conf points to is the caller's.
 */
int xha_back_open(const struct xha_back_conf *conf, struct xha_back **back_r, char *err, size_t err_len);

/* Without a word to the disk: what is committed is applied when it is opened again. */
void xha_back_close(struct xha_back *back);

/* From now on the disk is neither old nor new: what comes is written to it at once. base: of the pair. */
int xha_back_sync(struct xha_back *back, const uint8_t base[XHA_BASE_BYTES]);
/* It is whole, and on stable storage, as of that epoch; what comes belongs to the next. */
int xha_back_synced(struct xha_back *back, uint64_t epoch);

int xha_back_write(struct xha_back *back, uint64_t offset, const void *data, uint32_t len);
int xha_back_zero(struct xha_back *back, uint64_t offset, uint64_t len);

/* The epoch, one more than the last, ends here; what comes belongs to the next. */
int xha_back_end(struct xha_back *back, uint64_t epoch);
/* An epoch that has ended, one more than the last that is held, is held on stable storage. */
int xha_back_commit(struct xha_back *back, uint64_t epoch);

/* Applies all that is committed and drops the rest; the disk is that, on stable storage. */
int xha_back_settle(struct xha_back *back);

uint64_t xha_back_held(struct xha_back *back);
/* Why anything above returned -1; "": nothing did. Nothing works from then on. */
const char *xha_back_error(const struct xha_back *back);

#endif

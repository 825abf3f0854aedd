/*
 * record.h - what stands in the journal of a backup's disk. Pure.
 *
 * A journal is a page that names its generation, then records, one behind the other, little-endian:
 *   u32 magic, u16 kind, u16 zero, u64 generation, u64 epoch, u64 offset, u32 length, u32 number, u64 sum
 * and for a WRITE the bytes that belong there. The sum (XXH3) is of all of it; the number counts from 0. A journal
 * ends where the next record is none: torn, damaged, or left over from an older generation. What counts are
 * the records up to the END of the last epoch of which there is a COMMIT: the next epoch may have begun before it.
 */
#ifndef XHA_DISK_RECORD_H
#define XHA_DISK_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XHA_RECORD_BYTES    48
#define XHA_RECORD_DATA_MAX (256u << 10)
#define XHA_JOURNAL_HEAD    4096 /* before the first record */
#define XHA_JOURNAL_MARK    64   /* bytes of it that say something */

enum xha_record_kind {
    XHA_RECORD_WRITE = 1,
    XHA_RECORD_ZERO,   /* length bytes of zeros */
    XHA_RECORD_END,    /* of the epoch: all of its records stand before */
    XHA_RECORD_COMMIT, /* of an epoch that has ended: it counts */
    XHA_RECORD_KIND_N_
};

struct xha_record {
    enum xha_record_kind kind;
    uint64_t generation, epoch, offset;
    uint32_t len, number;
};

/* The head of a record; data: len bytes of a WRITE, else NULL. */
void xha_record_put(const struct xha_record *record, const void *data, uint8_t head[XHA_RECORD_BYTES]);

/* What a head says; false: it is none, whatever follows. */
bool xha_record_get(const uint8_t head[XHA_RECORD_BYTES], struct xha_record *record_r);

/* Whether head and data, as a WRITE has it, are as they were written. */
bool xha_record_is_whole(const uint8_t head[XHA_RECORD_BYTES], const void *data);

/* Bytes that follow the head. */
static inline size_t xha_record_data_len(const struct xha_record *record)
{
    return record->kind == XHA_RECORD_WRITE ? record->len : 0;
}

void xha_journal_mark_put(uint64_t generation, uint8_t mark[XHA_JOURNAL_MARK]);
bool xha_journal_mark_get(const uint8_t mark[XHA_JOURNAL_MARK], uint64_t *generation_r);

/* ---- reading one ---- */

/* Where in a journal a reader is. */
struct xha_journal_reader {
    uint64_t generation, at, epoch; /* epoch: the last one that ended */
    uint64_t size;                  /* of the disk: no record goes beyond */
    uint32_t number;
};

void xha_journal_reader_init(struct xha_journal_reader *reader, uint64_t generation, uint64_t disk_size);

/* Reads len bytes at offset; false: they are not there. */
typedef bool (*xha_journal_read_cb)(void *arg, uint64_t offset, void *bytes, size_t len);

/* The next record, with its bytes in data (XHA_RECORD_DATA_MAX); false: the journal ends here. */
bool xha_journal_next(struct xha_journal_reader *reader, xha_journal_read_cb read, void *arg, uint8_t *data,
                      struct xha_record *record_r);

/* Epochs that have ended and are not committed, at most. */
#define XHA_JOURNAL_OPEN_MAX 16

/* The reader behind the END of the last epoch that is committed. */
struct xha_journal_reader xha_journal_committed(uint64_t generation, uint64_t disk_size,
                                                xha_journal_read_cb read, void *arg, uint8_t *data);

#endif

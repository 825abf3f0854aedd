/*
 * journal.h - the journal of a backup's disk, as a file: appended to, committed, walked and begun anew.
 *
 * Nothing in it counts before its COMMIT is on stable storage, and it is begun anew only when the disk has all of it on
 * stable storage. Not by two threads at once, but that walking up to what is committed may go beside appending.
 */
#ifndef XHA_DISK_JOURNAL_H
#define XHA_DISK_JOURNAL_H

#include "xhad/disk/record.h"

struct xha_journal {
    int fd;
    uint64_t disk_size;
    struct xha_journal_reader end; /* where the next record goes */
    struct xha_journal_reader committed, applied;
    uint8_t *data; /* of whoever walks */
};

/* Opens DIR/NAME, and finds what is committed in it; applied is its beginning. 0, or -1 with errno. */
int xha_journal_open(struct xha_journal *journal, const char *dir, const char *name, uint64_t disk_size);
void xha_journal_close(struct xha_journal *journal);

/* 0, or -1 with errno. data: of a WRITE. */
int xha_journal_append(struct xha_journal *journal, enum xha_record_kind kind, uint64_t epoch,
                       uint64_t offset, uint32_t len, const void *data);
/* The epoch ends here. */
int xha_journal_end(struct xha_journal *journal, uint64_t epoch);
/* An epoch that has ended is on stable storage, and counts, when it returns 0. committed is the caller's to set. */
int xha_journal_commit(struct xha_journal *journal, uint64_t epoch);

/* The next record that is committed and not applied, data in journal->data; false: none. */
bool xha_journal_walk(struct xha_journal *journal, const struct xha_journal_reader *committed,
                      struct xha_record *record_r);

/* Empty from now on, of that generation. 0, or -1 with errno. */
int xha_journal_begin(struct xha_journal *journal, uint64_t generation);

#endif

/*
 * journal.h - an append-only file of checked records: what xhad must still know after a crash.
 *
 * One record is one line: 16 hex digits of XXH3-64 over the rest, a space, the length of the text in decimal,
 * a space, the text (JSON without newlines), a newline. It can be read with any pager. A record is appended
 * whole and synced before xha_journal_append() returns; it is all there or, after a crash, all gone.
 *
 * On opening, a broken record at the very end is what a crash leaves: it is cut off, with a warning. A broken
 * record with good ones after it is damage: opening fails and says what to do.
 */
#ifndef XHA_CTL_JOURNAL_H
#define XHA_CTL_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

#define XHA_JOURNAL_RECORD_MAX (16 * 1024 * 1024) /* bytes of a text */
#define XHA_JOURNAL_RESERVE    (256 * 1024)       /* bytes kept allocated ahead, for when the disk is full */

struct xha_journal;

/* Called for each record in order. false stops: the record's meaning is not understood, opening fails. */
typedef bool xha_journal_read_cb(void *user, const char *text, size_t len);

/*
 * Opens or creates it and reads all records. 0, or -1 with a text for people in err. *cut_r: bytes of a torn
 * record that were cut off. Close with xha_journal_close().
 */
int xha_journal_open(const char *path, xha_journal_read_cb *read, void *user, struct xha_journal **journal_r,
                     size_t *cut_r, char *err, size_t err_len);
void xha_journal_close(struct xha_journal *journal);

/* Appends and syncs. 0, or -1 with errno; then the file is as it was before. */
int xha_journal_append(struct xha_journal *journal, const char *text, size_t len);

/* Replaces all records by this one, atomically. 0, or -1 with errno; then the old file goes on. */
int xha_journal_compact(struct xha_journal *journal, const char *text, size_t len);

size_t xha_journal_bytes(const struct xha_journal *journal);

#endif

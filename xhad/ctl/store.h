/*
 * store.h - what outlives xhad: each domain's record, the next action id, the time; over the journal.
 *
 * Changes are collected by _put() and _forget() and written by one _commit(), as one journal record and one
 * sync. What could not be written stays collected: the next commit tries it again, with the newest values.
 */
#ifndef XHA_CTL_STORE_H
#define XHA_CTL_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include "xhad/core/core.h"

#define XHA_STORE_COMPACT_BYTES (4 * 1024 * 1024) /* the journal is rewritten when it is longer */

struct xha_store;

/*
 * Opens STATE_DIR/journal. boot_id: of the running host (xha_store_boot_id()). 0, or -1 with a text for
 * people. warning: "", or what was repaired.
 */
int xha_store_open(const char *state_dir, const char *boot_id, struct xha_store **store_r, char *warning,
                   size_t warning_len, char *err, size_t err_len);
void xha_store_close(struct xha_store *store);

/* The kernel's name for this boot, "" when it has none. Returns buf. */
#define XHA_BOOT_ID_MAX 40
const char *xha_store_boot_id(char buf[XHA_BOOT_ID_MAX]);

/* Whether the journal is of an earlier boot of the host: then no domain and no worker of it is left. */
bool xha_store_is_new_boot(const struct xha_store *store);

/* In the order of their first _put(). */
typedef void xha_store_each_cb(void *user, const struct xha_uuid *uuid, const struct xha_record *record);
void xha_store_each(const struct xha_store *store, xha_store_each_cb *each, void *user);

/* The number and the time that everything used before lies below of. */
uint64_t xha_store_next_id(const struct xha_store *store);
struct xha_time xha_store_time(const struct xha_store *store);

/* 0, or -1: no memory. */
int xha_store_put(struct xha_store *store, const struct xha_uuid *uuid, const struct xha_record *record);
int xha_store_forget(struct xha_store *store, const struct xha_uuid *uuid);
void xha_store_set_next_id(struct xha_store *store, uint64_t next_id);

/* Whether something is collected that is not yet on disk. */
bool xha_store_is_dirty(const struct xha_store *store);

/* Writes what is collected, and the time. 0, or -1 with errno. */
int xha_store_commit(struct xha_store *store, struct xha_time now);

#endif

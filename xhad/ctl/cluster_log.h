/*
 * cluster_log.h - STATE/cluster/log: what the cluster has decided, as messages that the cluster core gave to be kept.
 *
 * A frame is a header {magic, bytes, index, XXH3-64 of the rest} and the message. Frames are appended without
 * waiting and made durable together by xha_cluster_log_sync(). A state that comes anew is written aside, and
 * takes the log's place when it is whole; until then a crash finds the old log.
 *
 * A torn end is what a crash leaves: it is cut off. Damage with good frames after it makes the log worthless:
 * it is moved away to log.damaged and the host begins without a state of its own, which the others have.
 */
#ifndef XHA_CTL_CLUSTER_LOG_H
#define XHA_CTL_CLUSTER_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct xha_cluster_log;

/* 0, or -1 with a text for people. warning: "", or what was cut off or moved away. */
int xha_cluster_log_open(const char *dir, struct xha_cluster_log **log_r, char *warning, size_t warning_len,
                         char *err, size_t err_len);
void xha_cluster_log_close(struct xha_cluster_log *log);

/* All frames from the beginning, in order. Before the first append. 0, or -1: they could not be read again. */
typedef void xha_cluster_log_cb(void *user, uint64_t index, const uint8_t *bytes, size_t len);
int xha_cluster_log_each(const struct xha_cluster_log *log, xha_cluster_log_cb *each, void *user);

/* Appends, durable only after the next sync. 0, or -1 with errno: what follows is not taken either, until
 * xha_cluster_log_sync() has been told of it. */
int xha_cluster_log_append(struct xha_cluster_log *log, uint64_t index, const uint8_t *bytes, size_t len);

/* Begins a whole new log aside, and puts it in place: durable with the next sync, in the old one's place. */
void xha_cluster_log_begin(struct xha_cluster_log *log);
void xha_cluster_log_end(struct xha_cluster_log *log);

/* Makes durable what was appended. 0 and the newest durable index; -1 with errno: some of it may be missing,
 * nothing of it is counted on, and it is tried again with the next sync. */
int xha_cluster_log_sync(struct xha_cluster_log *log, uint64_t *index_r);

/* Whether something was appended since the last sync, and no rewriting is under way. */
bool xha_cluster_log_is_dirty(const struct xha_cluster_log *log);

#endif

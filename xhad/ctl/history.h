/*
 * history.h - what happened, for people: one JSON object a line in STATE/history.
 *
 * When the file has grown to half of the limit it becomes STATE/history.1 and a new one begins. Losing a line
 * of it (a full disk) stops nothing: decisions rest on the journal alone.
 *
 * An entry:
 * {"time":"2026-…Z","ms":WALL,"kind":"state"|"alarm"|"work"|"xhad"|"cluster","event":ID,"cause_event":ID,"domain":…,
 * "uuid":…,"host":NAME,"index":N,"from":…,"to":…,"purpose":…,"cause":…,"detail":N,"severity":…,"text":…}, without what does not
 * apply.
 */
#ifndef XHA_CTL_HISTORY_H
#define XHA_CTL_HISTORY_H

#include <jansson.h>
#include "xhad/core/cluster.h"

struct xha_history;

/* Called for every new entry; borrowed. */
typedef void xha_history_follow_cb(void *user, const json_t *entry);

/* 0, or -1 with a text for people. */
int xha_history_open(const char *state_dir, uint32_t size_mib, struct xha_history **history_r, char *err,
                     size_t err_len);
void xha_history_close(struct xha_history *history);
void xha_history_set_size(struct xha_history *history, uint32_t size_mib);
void xha_history_follow(struct xha_history *history, xha_history_follow_cb *follow, void *user);

/* NOTE and ALARM actions. name: of the domain, NULL for the host itself. */
void xha_history_action(struct xha_history *history, const struct xha_action *action, const char *name);

/* What the cluster core says, the same on every host: NOTE and ALARM. host: its name, NULL for none. */
void xha_history_cluster(struct xha_history *history, const struct xha_cluster_action *action,
                         const char *host, const char *name);

/* Anything else: kind, and a text. uuid and name may be NULL. */
void xha_history_text(struct xha_history *history, const char *kind, const struct xha_uuid *uuid,
                      const char *name, const char *text);

/* The newest entries, oldest first, of one domain or (uuid NULL) of all: a new array, NULL without memory. */
json_t *xha_history_tail(const struct xha_history *history, const struct xha_uuid *uuid, size_t lines);

#endif

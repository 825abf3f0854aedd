/*
 * control.h - RUN/control.sock: who may talk to xhad, and how lines go in and out.
 *
 * Newline-delimited JSON. Peers must have uid 0 or our own (SO_PEERCRED). At most CLIENTS_MAX at once; a
 * request has at most XHA_REQUEST_BYTES_MAX bytes and REQUEST_MS to arrive; a client that does not read what
 * it is told is dropped. Requests of one client are answered one after another, in order.
 *
 * A client is named by a number that is never used again, so that an answer which comes late finds its
 * client, or none.
 */
#ifndef XHA_CTL_CONTROL_H
#define XHA_CTL_CONTROL_H

#include <uv.h>
#include "xhad/ctl/request.h"

struct xha_control;

/* Answers with exactly one of xha_control_ok() and xha_control_error(), now or later. */
typedef void xha_control_cb(void *user, uint64_t client, const struct xha_control_request *request);

/* NULL with a text. */
struct xha_control *xha_control_new(uv_loop_t *loop, const char *run_dir, xha_control_cb *request, void *user,
                                    char *err, size_t err_len);
void xha_control_close(struct xha_control *control);
void xha_control_free(struct xha_control *control);

/* Takes over result (NULL: an empty object). */
void xha_control_ok(struct xha_control *control, uint64_t client, json_t *result);
/* hint may be NULL. */
void xha_control_error(struct xha_control *control, uint64_t client, const char *code, const char *message,
                       const char *hint);

/* A line before the answer. Takes over line; "v" is added. */
void xha_control_tell(struct xha_control *control, uint64_t client, json_t *line);

/* From now on this client gets every event, and no further answer. */
void xha_control_follow(struct xha_control *control, uint64_t client, const char *uuid);
void xha_control_event(struct xha_control *control, const json_t *event);

bool xha_control_is_there(const struct xha_control *control, uint64_t client);

#endif

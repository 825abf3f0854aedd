/*
 * cmd.h - the commands of the control socket, by file: cmd_query.c and cmd_repl.c only tell, cmd_order.c changes,
 * story.c tells why.
 */
#ifndef XHA_CTL_CMD_H
#define XHA_CTL_CMD_H

#include "xhad/ctl/daemon.h"

#define XHA_LIST_MS   60000   /* deadline of a worker that lists checkpoints */
#define XHA_IMPORT_MS 3600000 /* ... and of one that makes one of a file */

/* One request on its way; lives on the stack of xha_cmd(). */
struct xha_call {
    struct xha_daemon *d;
    uint64_t client;
    const struct xha_control_request *request;
};

typedef void xha_cmd_fn(const struct xha_call *call);

xha_cmd_fn xha_cmd_list, xha_cmd_info, xha_cmd_status, xha_cmd_version, xha_cmd_log, xha_cmd_why,
    xha_cmd_checkpoints, xha_cmd_repl;
xha_cmd_fn xha_cmd_start, xha_cmd_stop, xha_cmd_restart, xha_cmd_checkpoint, xha_cmd_restore, xha_cmd_sched,
    xha_cmd_maintenance;
xha_cmd_fn xha_cmd_protect, xha_cmd_unprotect, xha_cmd_reload, xha_cmd_check_config;

/* What another host asks of a domain that is ours: the result of "why", "info", "repl" or "log". NULL: nothing. */
json_t *xha_cmd_answer(struct xha_daemon *d, const char *cmd, const struct xha_uuid *uuid, json_int_t lines);
/* The same, for ourselves; NULL: it is not this host's. */
json_t *xha_story_json(const struct xha_daemon *d, const struct xha_domain *dom);
json_t *xha_info_json(const struct xha_daemon *d, const struct xha_domain *dom);
json_t *xha_repl_json(const struct xha_daemon *d, const struct xha_domain *dom, json_int_t epochs);

/* ---- for the commands ---- */

/* Whether another host owns the domain, and which. */
bool xha_call_elsewhere(const struct xha_daemon *d, const struct xha_uuid *uuid, unsigned *host_r);

void xha_call_ok(const struct xha_call *call, json_t *result);
void xha_call_error(const struct xha_call *call, const char *code, const char *message, const char *hint);
/* The error of an argument that is missing or wrong. */
void xha_call_bad_arg(const struct xha_call *call, const char *key, const char *want);
/* The error of a rc of the core, for this domain. */
void xha_cmd_core_error(struct xha_daemon *d, uint64_t client, int rc, const char *name, const char *state);
/* The protected domain that "domain" names: name, UUID or domid. NULL after answering with an error. */
struct xha_domain *xha_call_domain(const struct xha_call *call);

#endif

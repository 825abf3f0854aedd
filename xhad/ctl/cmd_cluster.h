/*
 * cmd_cluster.h - the commands that only a cluster knows, and what they share: cmd_state.c tells, cmd_what_if.c
 * tells what would be, cmd_cluster.c orders, cmd_host.c orders for whole hosts, metrics.c is for machines.
 */
#ifndef XHA_CTL_CMD_CLUSTER_H
#define XHA_CTL_CMD_CLUSTER_H

#include "xhad/ctl/cmd.h"
#include "xhad/ctl/peers.h"

/* false: answered with an error, this host is alone. */
bool xha_call_in_cluster(const struct xha_call *call);
/* The error of a host that there is not. */
void xha_call_no_host(const struct xha_call *call, const char *name);

/* Its name; null for XHA_HOST_NONE. */
json_t *xha_host_json(const struct xha_peers *p, unsigned host);
/* A domain as `list` shows it. */
json_t *xha_state_entry(const struct xha_daemon *d, const struct xha_cluster_domain *dom);
json_t *xha_view_entry(const struct xha_daemon *d, const struct xha_view *view);
/* Adds "moves", "homeless" and, where there is none yet, "text": where its domains would go without that host. */
void xha_what_if_down_json(const struct xha_peers *p, uint8_t host, json_t *answer);
/* The cluster in one line. */
void xha_cluster_line(const struct xha_peers *p, char *buf, size_t len);

/* One order on its way through the cluster: what the client is answered when the cluster has taken it. */
struct xha_cluster_call {
    uint64_t client;
    json_t *answer; /* owned: the answer when nobody waits */
    bool wait;
    enum xha_do_cluster what;
    enum xha_order_type order;
    struct xha_uuid uuid;
    uint64_t last_move;
    uint8_t host;
    bool on;
};

/*
 * Gives ev to the cluster for a client. dry_run: only says whether it would be taken. Takes over answer (with
 * dry_run: what would be).
 */
void xha_call_cluster(const struct xha_call *call, struct xha_cluster_event *ev, json_t *answer);

/* An order for one domain of the cluster, wherever it is. */
void xha_call_order(struct xha_daemon *d, uint64_t client, const struct xha_domain *dom,
                    enum xha_order_type type, uint64_t checkpoint, bool dry_run, bool wait);

xha_cmd_fn xha_cmd_list_cluster, xha_cmd_hosts, xha_cmd_cluster, xha_cmd_timing, xha_cmd_what_if;
xha_cmd_fn xha_cmd_migrate, xha_cmd_migrate_abort, xha_cmd_confirm_fenced, xha_cmd_arm, xha_cmd_disarm,
    xha_cmd_leave, xha_cmd_forget_host, xha_cmd_host_shutdown, xha_cmd_metrics;
void xha_cmd_host_maintenance(const struct xha_call *call, bool on);
void xha_cmd_unprotect_cluster(const struct xha_call *call, struct xha_domain *dom);

#endif

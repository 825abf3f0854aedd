/*
 * node.h - one host of a cluster: its host core and its cluster core, and what passes between them. Pure.
 *
 * The cluster core says who owns a domain; the host core looks after those that this host owns. The node turns
 * committed ownership into TAKE, GIVE and moves for the host core, and what the host core does into reports
 * and answers for the cluster. The daemon and the swarm drive the same node.
 *
 * Two plans come out of a step; carry out the cluster's, then the host's. Deeds of the host plan rest on committed
 * state alone, which every member holds durably; so the order between the two does not matter for safety.
 */
#ifndef XHA_NODE_H
#define XHA_NODE_H

#include "xhad/core/cluster.h"

struct xha_node;

struct xha_node_settings {
    struct xha_settings host;
    struct xha_cluster_settings cluster;
};

struct xha_node_plan {
    struct xha_cluster_plan cluster;
    struct xha_plan host;
    bool more;
    struct xha_time next;
};

/* next_id as in xha_core_new(). */
int xha_node_new(const struct xha_node_settings *settings, uint64_t next_id, struct xha_node **node_r);
void xha_node_free(struct xha_node *node);

/* A fact about this host: as xha_core_step(). PROTECT, UNPROTECT and ORDER come from the cluster alone and are refused
 * here. RECALL: said as soon as xhad is up; nothing is started or resumed (PERMIT) before the state has said of each
 * domain whether it is still ours. */
int xha_node_host(struct xha_node *node, const struct xha_event *ev, struct xha_node_plan *plan_r);

/* A fact about the cluster: as xha_cluster_step(). REPORT, GIVE, MOVE_*, RESULT, CLEARED are the node's own. */
int xha_node_cluster(struct xha_node *node, const struct xha_cluster_event *ev, struct xha_node_plan *plan_r);

/* As xha_core_next_id(): inner steps take numbers, too. */
uint64_t xha_node_next_id(const struct xha_node *node);

/* The two halves, to look at. */
const struct xha_core *xha_node_core(const struct xha_node *node);
const struct xha_cluster *xha_node_state(const struct xha_node *node);

/* Whether the texts (policy, configuration) of a domain are on this host: until the adapter has said so a domain is
 * not taken. Said again after each change of the digest; step with a TICK then. */
void xha_node_have_texts(struct xha_node *node, const struct xha_uuid *uuid, const uint8_t *digest_config);

#endif

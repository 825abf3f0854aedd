/*
 * members.h - corosync's changes of a group, put together to views of hosts.
 *
 * When the ring changes, corosync tells leavers and joiners of a group one after the other and at last the new
 * ring. They are gathered, so that a view is what all its members see. A process that joins or goes while the
 * ring stays is a view at once. Pure.
 */
#ifndef XHA_CLUSTER_MEMBERS_H
#define XHA_CLUSTER_MEMBERS_H

#include <corosync/corotypes.h>
#include <corosync/cpg.h>
#include "xhad/cluster/engine.h"

#define XHA_MEMBERS_VIEWS_MAX 2

struct xha_members {
    uint32_t pid[XHA_ENGINE_HOSTS_MAX];  /* in the view, 0: not there */
    uint32_t next[XHA_ENGINE_HOSTS_MAX]; /* in the one that is gathered */
    bool gone[XHA_ENGINE_HOSTS_MAX];     /* left since the view, though it may be back in next */
    enum xha_engine_left why[XHA_ENGINE_HOSTS_MAX];
    bool told; /* who is in the group; the first change is our own joining */
    bool gathering;
    struct cpg_ring_id ring;
    uint64_t nodes;    /* hosts of the ring, whether in the group or not */
    uint32_t stranger; /* a nodeid that no host of ours can have, met in the last change; 0: none */
};

void xha_members_init(struct xha_members *m);

/*
 * A change as corosync told it: into view_r as many views as it makes, 0 to XHA_MEMBERS_VIEWS_MAX. A host that
 * was away in between is seen to go in the first and to come in the second.
 */
size_t xha_members_change(struct xha_members *m, const struct cpg_address *all, size_t n_all,
                          const struct cpg_address *left, size_t n_left, const struct cpg_address *joined,
                          size_t n_joined, struct xha_engine_view view_r[XHA_MEMBERS_VIEWS_MAX]);

/* A new ring of these nodes, which ends the gathering. */
size_t xha_members_ring(struct xha_members *m, struct cpg_ring_id ring, const uint32_t *nodeid, size_t n,
                        struct xha_engine_view view_r[XHA_MEMBERS_VIEWS_MAX]);

/* The host of this process, or -1: it is no member. */
int xha_members_host(const struct xha_members *m, uint32_t nodeid, uint32_t pid);

#endif

/*
 * node_clear.c - what runs here and is not this host's. Seen twice running, though it is another live host's:
 * that is for people to know, nothing is destroyed. But a host that was fenced in the cluster's eyes and lives
 * on (DEPOSED) destroys whatever protected domain it has, for others may have started it meanwhile.
 */
#include "xhad/core/node_internal.h"

#include <stdio.h>

#define STRAY_ROUNDS 2

static void stray_alarm(struct xha_node *node, const struct xha_uuid *uuid,
                        const struct xha_cluster_domain *c, const struct xha_cluster_host *owner)
{
    char text[XHA_TEXT_MAX];

    snprintf(
        text, sizeof text,
        "%.50s runs on this host, too, though it is the domain of host %.50s: destroy one of them by hand",
        c->name, owner->info.name);
    xha_node_alarm(node, uuid, XHA_CC_TWICE, text);
}

static void count_stray(struct xha_node *node, const struct xha_uuid *uuid,
                        const struct xha_cluster_domain *c)
{
    struct note *n = xha_note_of(node, uuid);
    struct xha_cluster_host owner;

    if (!n || n->seen_round == node->rounds + 1)
        return;
    n->strays = n->seen_round == node->rounds ? n->strays + 1 : 1;
    n->seen_round = node->rounds + 1;
    if (n->strays == STRAY_ROUNDS && xha_cluster_host(node->cluster, c->owner, &owner) &&
        owner.state == XHA_HOST_IN)
        stray_alarm(node, uuid, c, &owner);
}

/* DEPOSED: taken only to be destroyed. */
static void destroy(struct xha_node *node, const struct xha_uuid *uuid, const struct xha_cluster_domain *c)
{
    struct xha_event take = { .type = XHA_EV_TAKE, .uuid = *uuid };
    struct xha_event yield = { .type = XHA_EV_YIELD, .uuid = *uuid };

    take.u.protect.policy = c->policy;
    take.u.protect.term = c->term << TERM_SHIFT;
    memcpy(take.u.protect.name, c->name, strnlen(c->name, XHA_NAME_MAX - 1));
    yield.u.yield = XHA_YIELD_DESTROY;
    if (xha_node_room(node) && !xha_node_tell(node, &take))
        xha_node_tell(node, &yield);
}

/* A domain in a listing that the host core does not have. */
void xha_node_stray(struct xha_node *node, const struct xha_event *seen)
{
    struct xha_cluster_domain c;
    struct xha_view v;
    bool runs = !seen->u.seen.paused && !seen->u.seen.shut;

    if (seen->u.seen.dying || seen->u.seen.domid <= 0 || !xha_core_find(node->core, &seen->uuid, &v) ||
        xha_cluster_find(node->cluster, &seen->uuid, &c))
        return;
    if (node->status.synced && node->state == XHA_HOST_DEPOSED) {
        node->stray_seen = true;
        destroy(node, &seen->uuid, &c);
    } else if (node->acting && runs && c.committed && c.phase == XHA_PH_OWNED && c.owner != node->self) {
        count_stray(node, &seen->uuid, &c);
    }
}

/* A listing is complete. */
void xha_node_round(struct xha_node *node, const struct xha_event *round)
{
    bool deposed = node->status.synced && node->state == XHA_HOST_DEPOSED;

    if (deposed && !node->stray_seen && node->deposed_since.ms < round->u.round.began.ms &&
        !xha_core_count(node->core) && node->cleared_epoch != node->status.epoch)
        node->cleared = true;
    node->stray_seen = false;
    node->rounds++;
}

void xha_node_depose(struct xha_node *node, struct about *a)
{
    struct xha_event ev = { .type = XHA_EV_YIELD, .uuid = a->n->uuid };

    if (!a->have_v || a->v.yield == XHA_YIELD_DESTROY)
        return;
    /* Unprotected, it is left as it is; but not one whose copy may have taken over before that. */
    ev.u.yield =
        a->have_c || a->v.repl.id || a->v.state == XHA_ST_STANDBY ? XHA_YIELD_DESTROY : XHA_YIELD_LEAVE;
    xha_node_tell(node, &ev);
}

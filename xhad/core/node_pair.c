/*
 * node_pair.c - pairs of replicated domains: what the cluster's state says of a pair, and what the host core does about
 * it as its owner or its backup. As node_own.c: one look, one step, and looking again changes nothing more.
 *
 * The owner says that the pair has come to protect, and that it ends: its stream has broken off, or the guest does
 * not run any more. The backup says where it listens, that it has lost its copy, and, when it hears nothing of the
 * owner, that it wants to be promoted. What of these is ordered first decides.
 */
#include "xhad/core/node_internal.h"

#include <stdio.h>

void xha_node_verdict(struct xha_node *node, const struct about *a, uint64_t id, bool commit)
{
    struct xha_event ev = { .type = XHA_EV_VERDICT, .uuid = a->n->uuid };

    ev.u.verdict.move = id;
    ev.u.verdict.commit = commit;
    xha_node_tell(node, &ev);
}

static void end_pair(struct xha_node *node, struct about *a, const char *text)
{
    if (xha_node_told(node, &a->n->pair_end, a->c.pair.id))
        return;
    a->n->pair_text = text;
    a->n->pair_about = a->c.pair.id;
    xha_note_due(node, a->n, DUE_PAIR_END);
}

static struct xha_move pair_with(const struct about *a, uint8_t peer)
{
    return (struct xha_move){ .id = a->c.pair.id, .peer = peer, .port = a->c.pair.port };
}

/* ---- the owner ---- */

/* NULL: a copy of it is of use. */
static const char *needless(const struct xha_view *v)
{
    switch (v->state) {
    case XHA_ST_RUNNING:
    case XHA_ST_SUSPECT:
    case XHA_ST_BOOTING:
    case XHA_ST_PAUSED:
    case XHA_ST_UNSURE:
        return NULL;
    case XHA_ST_MAINTENANCE:
        return "it is in maintenance";
    default:
        return v->want_run ? "the guest failed and is recovered where it is" : "the guest was shut down";
    }
}

static void begin(struct xha_node *node, struct about *a)
{
    struct xha_event ev = { .type = XHA_EV_REPLICATE, .uuid = a->n->uuid };
    int rc;

    if (a->n->out_pair == a->c.pair.id) {
        end_pair(node, a, "the owner's host has forgotten it");
        return;
    }
    if (a->c.pair.stage != XHA_PAIR_SYNCING || !node->permit)
        return;
    ev.u.move_out = pair_with(a, a->c.pair.backup);
    rc = xha_node_tell(node, &ev);
    if (!rc)
        a->n->out_pair = a->c.pair.id;
    else if (rc != XHA_CORE_E_BUSY && rc != XHA_CORE_E_QUORUM)
        end_pair(node, a, "it does not run at its owner's host");
}

void xha_node_replicate(struct xha_node *node, struct about *a)
{
    const char *why = needless(&a->v);

    if (why) {
        end_pair(node, a, why);
    } else if (!a->v.repl.id) {
        begin(node, a);
    } else if (a->v.repl_stage == XHA_REPL_BROKEN) {
        end_pair(node, a, "its stream broke off");
    } else if (a->v.repl_stage == XHA_REPL_PROTECTED && a->c.pair.stage == XHA_PAIR_SYNCING &&
               !xha_node_told(node, &a->n->protected_, a->c.pair.id)) {
        xha_note_due(node, a->n, DUE_PROTECTED);
    }
}

/*
 * It is not protected any more, and was replicated from here. When that was taken out of the state under our eyes,
 * while it was ours, the pair has ended with it. Else its copy may have taken over before: then its gate stays shut.
 */
bool xha_node_unpaired(struct xha_node *node, struct about *a)
{
    char text[XHA_TEXT_MAX];

    if (a->n->gone_term && a->n->gone_term == a->v.term >> TERM_SHIFT) {
        xha_node_verdict(node, a, a->v.repl.id, false);
        return false;
    }
    if (a->n->mute_said)
        return false;
    a->n->mute_said = true;
    snprintf(text, sizeof text,
             "%.50s was unprotected while this host was away, and its copy may run elsewhere: the one here "
             "is kept "
             "mute; destroy it by hand",
             a->v.name);
    xha_node_alarm(node, &a->n->uuid, XHA_CC_MUTE, text);
    return false;
}

/* ---- the backup ---- */

static void begin_standby(struct xha_node *node, struct about *a)
{
    struct xha_event ev = xha_node_arrival(a, XHA_EV_INCOMING, a->c.term + 1);
    int rc;

    if (a->n->in_pair == a->c.pair.id || a->c.pair.stage != XHA_PAIR_ORDERED) {
        end_pair(node, a, "the backup has lost its copy");
        return;
    }
    if (!xha_node_texts_here(a) || !node->permit)
        return;
    ev.uuid = a->n->uuid;
    ev.u.protect.standby = true;
    ev.u.protect.want_run = true;
    ev.u.protect.move = pair_with(a, a->c.owner);
    ev.u.protect.move.port = 0;
    rc = xha_node_tell(node, &ev);
    if (!rc)
        a->n->in_pair = a->c.pair.id;
    else if (rc != XHA_CORE_E_QUORUM)
        end_pair(node, a, "the backup cannot take it");
}

/* It stands by for this very pair. */
static void standing_by(struct xha_node *node, struct about *a)
{
    struct note *n = a->n;
    uint64_t id = a->c.pair.id;

    n->in_pair = id;
    if (!a->v.pending_id)
        end_pair(node, a, "the backup has lost its copy");
    else if (a->v.silent && a->c.pair.stage != XHA_PAIR_PROTECTED)
        end_pair(node, a, "the backup hears nothing of the owner");
    else if (a->v.silent && !xha_node_told(node, &n->promote, id))
        xha_note_due(node, n, DUE_PROMOTE);
    else if (a->v.move.port && a->c.pair.stage == XHA_PAIR_ORDERED && !xha_node_told(node, &n->listens, id))
        xha_note_due(node, n, DUE_LISTENS);
}

void xha_node_stand_by(struct xha_node *node, struct about *a)
{
    struct xha_event ev = { .type = XHA_EV_YIELD, .uuid = a->n->uuid };

    if (!a->have_v) {
        begin_standby(node, a);
    } else if (a->v.yield) {
        if (a->n->in_pair == a->c.pair.id)
            end_pair(node, a, "the backup has lost its copy");
    } else if (a->v.state == XHA_ST_STANDBY && a->v.move.id == a->c.pair.id) {
        standing_by(node, a);
    } else if (a->v.state == XHA_ST_STANDBY || a->v.state == XHA_ST_INCOMING) {
        if (!a->v.verdict)
            xha_node_verdict(node, a, a->v.move.id, false);
    } else {
        ev.u.yield = XHA_YIELD_DESTROY; /* of an earlier ownership */
        xha_node_tell(node, &ev);
    }
}

/* With its host's good-bye the pair has ended: nobody asks for this copy any more. */
void xha_node_farewell(struct xha_node *node, struct about *a)
{
    if (a->have_v && a->v.state == XHA_ST_STANDBY && !a->v.verdict && !a->v.yield && a->have_c &&
        a->c.committed && a->c.pair.id != a->v.move.id)
        xha_node_verdict(node, a, a->v.move.id, false);
}

/* ---- said ---- */

bool xha_node_say_pair(struct xha_node *node, struct about *a, enum due what, struct xha_cluster_event *ev)
{
    bool pair = a->have_c && a->c.pair.id;
    uint64_t id = pair ? a->c.pair.id : 0;
    bool mine = pair && a->have_v && a->v.repl.id == id;
    bool copy = pair && a->have_v && a->v.state == XHA_ST_STANDBY && a->v.move.id == id && !a->v.yield;

    ev->u.pair.id = id;
    if (what == DUE_LISTENS && copy && a->v.move.port) {
        xha_node_tell_once(node, &a->n->listens, id);
        ev->type = XHA_CEV_PAIR_LISTENS;
        ev->u.pair.port = a->v.move.port;
    } else if (what == DUE_PROTECTED && mine && a->v.repl_stage == XHA_REPL_PROTECTED) {
        xha_node_tell_once(node, &a->n->protected_, id);
        ev->type = XHA_CEV_PAIR_PROTECTED;
    } else if (what == DUE_PAIR_END && pair && a->n->pair_about == id) {
        xha_node_tell_once(node, &a->n->pair_end, id);
        ev->type = XHA_CEV_PAIR_END;
        ev->u.pair.want_run = a->c.owner != node->self || !a->have_v || a->v.want_run;
        snprintf(ev->u.pair.text, sizeof ev->u.pair.text, "%s", a->n->pair_text);
    } else if (what == DUE_PROMOTE && copy && a->v.silent) {
        xha_node_tell_once(node, &a->n->promote, id);
        ev->type = XHA_CEV_PROMOTE;
        snprintf(ev->u.pair.text, sizeof ev->u.pair.text, "its backup hears nothing of it");
    } else {
        return false;
    }
    return true;
}

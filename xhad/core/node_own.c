/*
 * node_own.c - committed ownership, into what the host core is told. Each domain is looked at as a whole: what
 * the cluster's state says of it, what the host core holds of it; and one step is taken towards agreement.
 * Looking again changes nothing more, so it is done whenever either side may have changed.
 */
#include "xhad/core/node_internal.h"

static int tell(struct xha_node *node, const struct about *a, struct xha_event *ev)
{
    ev->uuid = a->n->uuid;
    return xha_node_tell(node, ev);
}

static int yield(struct xha_node *node, const struct about *a, enum xha_yield how)
{
    struct xha_event ev = { .type = XHA_EV_YIELD };

    ev.u.yield = how;
    return tell(node, a, &ev);
}

static void verdict(struct xha_node *node, const struct about *a, bool commit)
{
    if (!a->v.verdict)
        xha_node_verdict(node, a, a->v.move.id, commit);
}

static uint64_t term_here(const struct about *a)
{
    return a->v.term >> TERM_SHIFT;
}

/* Stopped here and started there; with its disks (xha_move.disks) it goes the way of the other moves. */
static bool cold(const struct about *a)
{
    return a->c.phase == XHA_PH_MOVING && a->c.move.mode == XHA_MOVE_COLD && !a->c.needs->copy_storage;
}

static bool moving(const struct about *a, uint64_t id)
{
    return a->c.phase == XHA_PH_MOVING && a->c.move.id == id;
}

bool xha_node_texts_here(const struct about *a)
{
    return a->n->texts && !memcmp(a->n->digest, a->c.digest_config, XHA_DIGEST);
}

/* By member: what lies between them is nobody's. */
static bool same_policy(const struct xha_policy *a, const struct xha_policy *b)
{
    for (int f = 0; f < XHA_FAIL_N_; f++)
        if (a->react[f] != b->react[f])
            return false;
    return a->protection == b->protection && a->heartbeat == b->heartbeat && a->autostart == b->autostart &&
           a->io_is_life == b->io_is_life && a->priority == b->priority && a->start_order == b->start_order &&
           a->start_delay.ms == b->start_delay.ms && a->ready_cap.ms == b->ready_cap.ms &&
           a->heartbeat_timeout.ms == b->heartbeat_timeout.ms && a->boot_grace.ms == b->boot_grace.ms &&
           a->start_timeout.ms == b->start_timeout.ms && a->stop_timeout.ms == b->stop_timeout.ms &&
           a->max_restarts == b->max_restarts && a->restart_window.ms == b->restart_window.ms &&
           a->backoff_min.ms == b->backoff_min.ms && a->backoff_max.ms == b->backoff_max.ms &&
           a->checkpoint_interval.ms == b->checkpoint_interval.ms && a->memory_kib == b->memory_kib;
}

/* What an event that brings a domain to the host core has in common with the others. */
struct xha_event xha_node_arrival(const struct about *a, enum xha_event_type type, uint64_t term)
{
    struct xha_event ev = { .type = type };

    ev.u.protect.policy = a->c.policy;
    ev.u.protect.relocate = xha_needs_relocates(a->c.needs);
    ev.u.protect.ever_beat = a->c.report.ever_beat;
    ev.u.protect.recoveries = a->c.report.recoveries;
    ev.u.protect.term = term << TERM_SHIFT;
    memcpy(ev.u.protect.name, a->c.name, strnlen(a->c.name, XHA_NAME_MAX - 1));
    return ev;
}

static struct xha_move move_with(const struct xha_node *node, const struct about *a, uint8_t peer)
{
    return (struct xha_move){ .id = a->c.move.id,
                              .peer = peer,
                              .port = a->c.move.port,
                              .mode = a->c.move.mode,
                              .disks = a->c.move.mode == XHA_MOVE_COLD,
                              .timeout = xha_cluster_policy(node->cluster)->move_timeout };
}

/* Its move has ended, and it goes on here as soon as it may. */
static bool runs_by_verdict(const struct xha_view *v)
{
    return ((v->state == XHA_ST_INCOMING || v->state == XHA_ST_STANDBY) &&
            v->verdict == XHA_VERDICT_COMMIT) ||
           (v->state == XHA_ST_MIGRATING && v->verdict == XHA_VERDICT_ABORT);
}

/* ---- it is ours ---- */

static void take(struct xha_node *node, struct about *a)
{
    struct xha_event ev = xha_node_arrival(a, XHA_EV_TAKE, a->c.term);
    bool stopped_by_us = a->n->stop_move; /* for a cold move that came to nothing */

    if (!xha_node_texts_here(a))
        return;
    if (a->n->core_term >> TERM_SHIFT ==
        a->c.term) /* it was here in this very ownership: its starts go on counting */
        ev.u.protect.term = a->n->core_term;
    if (a->c.phase == XHA_PH_MOVING && (cold(a) || !a->c.purpose)) {
        ev.u.protect.want_run =
            a->c.want_run && !cold(a); /* as it is found; for a cold move not even started */
    } else if (a->c.want_run) {
        ev.u.protect.purpose = stopped_by_us ? XHA_FOR_START : a->c.purpose;
        ev.u.protect.failure = a->c.failure;
        ev.u.protect.want_run = true;
    }
    a->n->stop_move = 0;
    tell(node, a, &ev);
}

/* Ours, and the host core does not have it. */
static void not_here(struct xha_node *node, struct about *a)
{
    if (cold(a) && a->n->stop_move == a->c.move.id) {
        a->n->given_term = a->c.term;
        a->n->give_to = a->c.move.target;
        a->n->give_cause = XHA_CAUSE_MOVE;
    } else if (!cold(a) && a->n->given_term == a->c.term && a->n->give_to != XHA_HOST_NONE) {
        a->n->given_term = 0; /* the cold move was called off */
    }
    if (a->n->given_term == a->c.term)
        xha_node_give(node, a, a->n->give_cause, a->n->give_detail, a->n->give_to);
    else
        take(node, a);
}

static void keep_policy(struct xha_node *node, struct about *a)
{
    struct xha_event ev;

    if (same_policy(a->v.policy, a->c.policy) && a->v.relocate == xha_needs_relocates(a->c.needs))
        return;
    ev = xha_node_arrival(a, XHA_EV_PROTECT, 0);
    tell(node, a, &ev); /* busy: again when it has changed */
}

static void move_out(struct xha_node *node, struct about *a)
{
    struct xha_event ev = { .type = XHA_EV_MOVE_OUT };
    int rc;

    if (a->n->out_move == a->c.move.id) {
        xha_node_move_failed(node, a, "its stream broke off: it runs on at the source");
        return;
    }
    if (a->c.move.stage != XHA_MOVE_STREAMING || !node->permit)
        return;
    ev.u.move_out = move_with(node, a, a->c.move.target);
    rc = tell(node, a, &ev);
    if (!rc)
        a->n->out_move = a->c.move.id;
    else if (rc == XHA_CORE_E_STATE || rc == XHA_CORE_E_POLICY)
        xha_node_move_failed(node, a,
                             rc == XHA_CORE_E_STATE ? "it does not run: nothing is there to be moved"
                                                    : "its policy is to be left alone (monitor)");
}

static void stop_for_move(struct xha_node *node, struct about *a)
{
    if (yield(node, a, XHA_YIELD_STOP))
        xha_node_move_failed(node, a, "somebody holds it (paused, in error or in maintenance): not stopped");
    else
        a->n->stop_move = a->c.move.id;
}

/* Ours, here, and nothing of an earlier ownership. */
static void ours(struct xha_node *node, struct about *a)
{
    keep_policy(node, a);
    if (a->v.given_up) {
        a->n->given_term = a->c.term;
        a->n->give_to = XHA_HOST_NONE;
        xha_node_give(node, a, a->v.cause, a->v.cause_detail, XHA_HOST_NONE);
    } else if (a->v.repl.id && a->v.repl.id != a->c.pair.id) {
        /* ended in order, and it is still ours: it goes on alone */
        xha_node_verdict(node, a, a->v.repl.id, false);
    } else if (cold(a)) {
        stop_for_move(node, a);
        return; /* that it is not to run here is no news for the others */
    } else if (a->c.phase == XHA_PH_MOVING) {
        move_out(node, a);
    } else if (a->c.pair.id) {
        xha_node_replicate(node, a);
    }
    xha_node_report(node, a);
}

/* In a move, and neither moving nor being stopped for it. */
static bool at_rest_again(const struct about *a)
{
    return a->v.state != XHA_ST_MIGRATING && a->v.state != XHA_ST_STOPPING && a->v.state != XHA_ST_CLEARING &&
           a->v.state != XHA_ST_UNSURE;
}

static void owned(struct xha_node *node, struct about *a)
{
    bool same_term = a->have_v && term_here(a) == a->c.term;
    bool leaves = a->have_v && a->v.move.id && a->v.state != XHA_ST_INCOMING && a->v.state != XHA_ST_STANDBY;

    if (!a->have_v) {
        not_here(node, a);
    } else if (a->v.yield) {
        return; /* until it is forgotten */
    } else if (leaves && moving(a, a->v.move.id)) {
        if (!a->v.pending_id && !a->v.move_sent && a->v.state == XHA_ST_MIGRATING)
            xha_node_move_failed(node, a, "its stream ended, and not well");
        else if (at_rest_again(a))
            xha_node_move_failed(node, a, "it could not be stopped for its move");
        xha_node_report(node, a);
    } else if (leaves && same_term) {
        verdict(node, a, false);
    } else if ((a->v.state == XHA_ST_INCOMING || a->v.state == XHA_ST_STANDBY) && same_term) {
        verdict(node, a, true); /* moved, or promoted */
    } else if (same_term) {
        ours(node, a);
    } else if (term_here(a) == 0 && a->v.state != XHA_ST_MIGRATING && a->v.state != XHA_ST_INCOMING &&
               a->v.state != XHA_ST_STANDBY) {
        yield(node, a, XHA_YIELD_LEAVE); /* from before there was a cluster: adopted anew */
    } else {
        yield(node, a, XHA_YIELD_DESTROY);
    }
}

/* ---- it is another's, or nobody's ---- */

static void receive(struct xha_node *node, struct about *a)
{
    struct xha_event ev = xha_node_arrival(a, XHA_EV_INCOMING, a->c.term + 1);
    int rc;

    if (a->n->in_move == a->c.move.id || a->c.move.stage != XHA_MOVE_ORDERED) {
        xha_node_move_failed(node, a, "its receiver ended");
        return;
    }
    if (!xha_node_texts_here(a) || !node->permit)
        return;
    ev.u.protect.move = move_with(node, a, a->c.owner);
    ev.u.protect.move.port = 0;
    ev.u.protect.want_run = a->c.want_run;
    rc = tell(node, a, &ev);
    if (!rc)
        a->n->in_move = a->c.move.id;
    else if (rc != XHA_CORE_E_QUORUM)
        xha_node_move_failed(node, a, xha_core_error_text(rc));
}

static void incoming(struct xha_node *node, struct about *a)
{
    struct note *n = a->n;

    if (!a->have_v) {
        receive(node, a);
    } else if (a->v.yield) {
        if (n->in_move == a->c.move.id)
            xha_node_move_failed(node, a, "it could not be received");
    } else if (a->v.state == XHA_ST_INCOMING && a->v.move.id == a->c.move.id) {
        uint64_t epoch = node->status.epoch;

        n->in_move = a->c.move.id;
        if (a->v.move_sent && a->v.domid == XHA_DOMID_NONE && !a->v.move.disks)
            xha_node_move_failed(node, a, "it was received, and somebody destroyed it");
        else if (a->v.move_sent && (n->restored.what != a->v.move.id || n->restored.epoch != epoch))
            xha_note_due(node, n, DUE_RESTORED);
        else if (a->v.move.port && a->c.move.stage == XHA_MOVE_ORDERED &&
                 (n->ready.what != a->v.move.id || n->ready.epoch != epoch))
            xha_note_due(node, n, DUE_READY);
    } else {
        yield(node, a, XHA_YIELD_DESTROY); /* of an earlier ownership */
    }
}

static void not_ours(struct xha_node *node, struct about *a)
{
    if (a->v.yield)
        return;
    if (runs_by_verdict(&a->v)) /* so it was decided once; it has another owner since */
        yield(node, a, XHA_YIELD_DESTROY);
    else if (a->v.state == XHA_ST_INCOMING || a->v.state == XHA_ST_STANDBY)
        verdict(node, a, false);
    else if (a->v.move.id)
        verdict(node, a, true);
    else
        yield(node, a, term_here(a) ? XHA_YIELD_DESTROY : XHA_YIELD_LEAVE);
}

/* Left as it is; but a move comes to its end first, and leaves it running at its source. */
static void unprotected(struct xha_node *node, struct about *a)
{
    if (a->v.yield)
        return;
    if (a->v.repl.id && !xha_node_unpaired(node, a))
        return;
    if (a->v.state == XHA_ST_STANDBY && a->n->gone_term && a->n->gone_term == term_here(a)) {
        verdict(node, a, true); /* promoted before that, and not told yet: nobody else has it */
        return;
    }
    if (a->v.move.id)
        verdict(node, a, false);
    else
        yield(node, a, XHA_YIELD_LEAVE);
}

/* ---- */

void xha_node_reconcile(struct xha_node *node, struct note *n)
{
    struct about a;

    xha_node_about(node, n, &a);
    if (node->state == XHA_HOST_DEPOSED && node->status.synced)
        xha_node_depose(node, &a);
    else if (node->state == XHA_HOST_LEFT && node->status.synced)
        xha_node_farewell(node, &a);
    else if (!node->acting)
        return; /* all are looked at when it is */
    else if (!a.have_c && a.have_v && node->status.committed >= node->synced_index &&
             !xha_cluster_drops(node->cluster, &n->uuid))
        unprotected(node, &a);
    else if (!a.have_c || !a.c.committed)
        return;
    else if (a.c.phase != XHA_PH_FREE && a.c.owner == node->self)
        owned(node, &a);
    else if (a.c.phase == XHA_PH_MOVING && a.c.move.target == node->self && !cold(&a))
        incoming(node, &a);
    else if (a.c.pair.id && a.c.pair.backup == node->self)
        xha_node_stand_by(node, &a);
    else if (a.have_v)
        not_ours(node, &a);
}

/* Whether the state has said of everything that the host core holds that it is ours, or is on its way out. */
bool xha_node_all_ours(const struct xha_node *node)
{
    for (uint32_t i = 0; i < xha_core_count(node->core); i++) {
        struct xha_cluster_domain c;
        struct xha_view v;

        xha_core_view(node->core, i, &v);
        if (v.yield ||
            ((v.state == XHA_ST_MIGRATING || v.state == XHA_ST_INCOMING || v.state == XHA_ST_STANDBY) &&
             (!runs_by_verdict(&v) ||
              xha_cluster_find(node->cluster, &v.uuid, &c)))) /* nobody's: unprotected since */
            continue;
        if (xha_cluster_find(node->cluster, &v.uuid, &c) || !c.committed || c.phase == XHA_PH_FREE ||
            c.owner != node->self || v.term >> TERM_SHIFT != c.term)
            return false;
    }
    return true;
}

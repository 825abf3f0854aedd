/*
 * node_say.c - what the cluster hears from this host's core: reports, answers to orders, and how moves go. The
 * notes say what is due; what is said is taken from both halves when its turn comes, so that it is true then.
 */
#include "xhad/core/node_internal.h"

#include <stdio.h>

static bool same_report(const struct xha_report *a, const struct xha_report *b)
{
    return a->term == b->term && a->state == b->state && a->purpose == b->purpose &&
           a->failure == b->failure && a->cause == b->cause && a->detail == b->detail &&
           a->domid == b->domid && a->recoveries == b->recoveries && a->want_run == b->want_run &&
           a->maintenance == b->maintenance && a->ever_beat == b->ever_beat;
}

static struct xha_report report_of(const struct about *a)
{
    return (struct xha_report){ .uuid = a->n->uuid,
                                .term = a->c.term,
                                .state = a->v.state,
                                .purpose = a->v.purpose,
                                .failure = a->v.failure,
                                .cause = a->v.cause,
                                .detail = a->v.cause_detail,
                                .domid = a->v.domid,
                                .recoveries = a->v.recoveries,
                                .want_run = a->v.want_run,
                                .maintenance = a->v.state == XHA_ST_MAINTENANCE,
                                .ever_beat = a->v.ever_beat };
}

/* Due when the state does not have it yet, and it was not already said to this very view. */
static bool report_due(const struct xha_node *node, const struct about *a, struct xha_report *report_r)
{
    *report_r = report_of(a);
    if (same_report(report_r, &a->c.report))
        return false;
    return a->n->said_epoch != node->status.epoch || !same_report(report_r, &a->n->said);
}

void xha_node_report(struct xha_node *node, struct about *a)
{
    struct xha_report report;

    if (report_due(node, a, &report))
        xha_note_due(node, a->n, DUE_REPORT);
}

bool xha_node_told(const struct xha_node *node, const struct told *t, uint64_t what)
{
    return t->what == what && t->epoch == node->status.epoch;
}

void xha_node_tell_once(const struct xha_node *node, struct told *t, uint64_t what)
{
    *t = (struct told){ what, node->status.epoch };
}

void xha_node_move_failed(struct xha_node *node, struct about *a, const char *text)
{
    if (xha_node_told(node, &a->n->failed, a->c.move.id))
        return;
    a->n->fail_text = text;
    a->n->fail_move = a->c.move.id;
    xha_note_due(node, a->n, DUE_FAILED);
}

void xha_node_give(struct xha_node *node, struct about *a, enum xha_cause cause, uint32_t detail, uint8_t to)
{
    if (xha_node_told(node, &a->n->given, a->c.term))
        return;
    a->n->give_cause = cause;
    a->n->give_detail = detail;
    a->n->give_to = to;
    xha_note_due(node, a->n, DUE_GIVE);
}

/* ---- orders ---- */

/* One that finds no room is lost as a message is: who gave it hears nothing, and says it again. */
void xha_node_ordered(struct xha_node *node, const struct xha_cluster_action *order)
{
    uint32_t at = (node->first_order + node->n_orders) % ORDERS_MAX;

    if (node->n_orders == ORDERS_MAX)
        return;
    node->n_orders++;
    node->order[at].request = order->u.order.request;
    node->order[at].uuid = order->uuid;
    node->order[at].type = order->u.order.order;
    node->order[at].checkpoint = order->u.order.checkpoint;
}

void xha_node_do_orders(struct xha_node *node)
{
    while (node->n_done < node->n_orders && xha_node_room(node)) {
        uint32_t at = (node->first_order + node->n_done++) % ORDERS_MAX;
        struct xha_event ev = { .type = XHA_EV_ORDER, .uuid = node->order[at].uuid };
        struct xha_view v;

        ev.u.order.type = node->order[at].type;
        ev.u.order.checkpoint = node->order[at].checkpoint;
        if (!node->acting || xha_core_find(node->core, &ev.uuid, &v))
            node->order[at].rc = XHA_CORE_E_BUSY; /* it is this host's, but not in its hands yet */
        else
            node->order[at].rc = xha_node_tell(node, &ev);
    }
}

/* ---- the next fact ---- */

bool xha_node_has_to_say(const struct xha_node *node)
{
    return node->due.head != NONE32 || node->n_orders || (node->cleared && node->status.synced);
}

static void say_result(struct xha_node *node, struct xha_cluster_event *ev)
{
    ev->type = XHA_CEV_RESULT;
    ev->u.result.request = node->order[node->first_order].request;
    ev->u.result.rc = node->order[node->first_order].rc;
    snprintf(ev->u.result.text, sizeof ev->u.result.text, "%s", xha_core_error_text(ev->u.result.rc));
    node->first_order = (node->first_order + 1) % ORDERS_MAX;
    node->n_orders--;
    node->n_done--;
}

static bool mine(const struct xha_node *node, const struct about *a)
{
    return a->have_c && a->c.phase != XHA_PH_FREE && a->c.owner == node->self;
}

static bool say_report(struct xha_node *node, struct about *a, struct xha_cluster_event *ev)
{
    struct xha_report report;

    if (!mine(node, a) || !a->have_v || a->v.yield || a->v.term >> TERM_SHIFT != a->c.term ||
        !report_due(node, a, &report))
        return false;
    a->n->said = report;
    a->n->said_epoch = node->status.epoch;
    ev->type = XHA_CEV_REPORT;
    ev->u.report = report;
    return true;
}

static bool say_give(struct xha_node *node, struct about *a, struct xha_cluster_event *ev)
{
    if (!mine(node, a) || a->n->given_term != a->c.term || (a->have_v && !a->v.given_up))
        return false;
    xha_node_tell_once(node, &a->n->given, a->c.term);
    ev->type = XHA_CEV_GIVE;
    ev->u.give.cause = a->n->give_cause;
    ev->u.give.detail = a->n->give_detail;
    ev->u.give.want_run = a->c.want_run;
    ev->u.give.prefer = a->n->give_to;
    return true;
}

static bool say_move(struct xha_node *node, struct about *a, enum due what, struct xha_cluster_event *ev)
{
    uint64_t id = a->c.move.id;
    bool moving = a->have_c && a->c.phase == XHA_PH_MOVING;
    bool here = moving && a->have_v && a->v.move.id == id && !a->v.yield;

    ev->u.move.id = id;
    if (what == DUE_READY && here && a->v.move.port) {
        xha_node_tell_once(node, &a->n->ready, id);
        ev->type = XHA_CEV_MOVE_READY;
        ev->u.move.port = a->v.move.port;
    } else if (what == DUE_RESTORED && here && a->v.move_sent) {
        xha_node_tell_once(node, &a->n->restored, id);
        ev->type = XHA_CEV_MOVE_RESTORED;
    } else if (what == DUE_FAILED && moving && a->n->fail_move == id) {
        xha_node_tell_once(node, &a->n->failed, id);
        ev->type = XHA_CEV_MOVE_FAILED;
        snprintf(ev->u.move.text, sizeof ev->u.move.text, "%s", a->n->fail_text);
    } else {
        return false;
    }
    return true;
}

static bool say(struct xha_node *node, struct about *a, enum due what, struct xha_cluster_event *ev)
{
    if (!node->acting) /* whatever is still so is found again when it is */
        return false;
    ev->uuid = a->n->uuid;
    ev->term = a->c.term;
    if (what == DUE_REPORT)
        return say_report(node, a, ev);
    if (what == DUE_GIVE)
        return say_give(node, a, ev);
    if (what >= DUE_LISTENS)
        return xha_node_say_pair(node, a, what, ev);
    return say_move(node, a, what, ev);
}

bool xha_node_next_fact(struct xha_node *node, struct xha_cluster_event *ev_r)
{
    struct note *n;

    *ev_r = (struct xha_cluster_event){ .now = node->now };
    if (node->cleared && node->status.synced) {
        node->cleared = false;
        node->cleared_epoch = node->status.epoch;
        ev_r->type = XHA_CEV_CLEARED;
        return true;
    }
    while ((n = xha_note_first_due(node))) {
        enum due what = n->due & -n->due; /* one at a time */
        struct about a;

        xha_node_about(node, n, &a);
        xha_note_said(node, n, what);
        if (say(node, &a, what, ev_r))
            return true;
    }
    /* What an order has changed is said before its answer. */
    if (node->n_done && node->dirty.head == NONE32) {
        say_result(node, ev_r);
        return true;
    }
    return false;
}

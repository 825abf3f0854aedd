/*
 * node.c - one step of a node: a fact goes to the half that it is for, then both halves are brought to agree,
 * as far as the plans have room; the rest is done in the next step.
 */
#include "xhad/core/node_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define LOOKS_MAX 4096 /* domains looked at in one step: more is left to the next */

/* ---- life ---- */

void xha_node_free(struct xha_node *node)
{
    if (!node)
        return;
    xha_core_free(node->core);
    xha_cluster_free(node->cluster);
    free(node->note);
    free(node->hash);
    free(node->free);
    free(node);
}

int xha_node_new(const struct xha_node_settings *s, uint64_t next_id, struct xha_node **node_r)
{
    struct xha_node *node;
    int rc;

    if (s->cluster.self >= XHA_HOSTS_MAX)
        return XHA_CORE_E_INVAL;
    node = calloc(1, sizeof *node);
    if (!node)
        return XHA_CORE_E_NOMEM;
    node->self = s->cluster.self;
    node->host_next = node->cluster_next = XHA_TIME_NEVER;
    rc = xha_core_new(&s->host, next_id, &node->core);
    if (!rc)
        rc = xha_cluster_new(&s->cluster, &node->cluster);
    if (!rc)
        rc = xha_notes_new(node, s->host.max_domains + s->cluster.max_domains);
    if (rc) {
        xha_node_free(node);
        return rc;
    }
    *node_r = node;
    return XHA_CORE_OK;
}

/* ---- the host core's plans, strung together ---- */

static uint32_t without_persist(struct xha_action *action, uint32_t n, const struct xha_uuid *uuid)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < n; i++)
        if (action[i].type != XHA_ACT_PERSIST || memcmp(&action[i].uuid, uuid, sizeof *uuid))
            action[kept++] = action[i];
    return kept;
}

/*
 * PERSIST is carried out with the record that the host core has at the end of the plan. Of a domain that a later
 * step of the same plan forgets there is none any more, and nothing that would have to be kept.
 */
static void put(struct xha_node *node, const struct xha_action *action)
{
    struct xha_plan *out = &node->plan->host;

    if (action->type == XHA_ACT_FORGET) {
        out->n = without_persist(out->action, out->n, &action->uuid);
        node->n_carry = without_persist(node->carry, node->n_carry, &action->uuid);
    }
    if (out->n < XHA_PLAN_MAX && !node->n_carry) {
        out->action[out->n++] = *action;
        return;
    }
    assert(node->n_carry < CARRY_MAX);
    node->carry[node->n_carry++] = *action;
}

/* Before the first fact, and with its time: the core counts from there how long it has seen nothing. */
static void begin_life(struct xha_node *node)
{
    struct xha_event no_permit = { .type = XHA_EV_PERMIT, .now = node->now, .host = node->self };

    if (node->lives)
        return;
    node->lives = true;
    xha_core_step(node->core, &no_permit, &node->scratch); /* nothing is planned yet */
}

static void begin(struct xha_node *node, struct xha_node_plan *plan, struct xha_time now)
{
    uint32_t n = node->n_carry < XHA_PLAN_MAX ? node->n_carry : XHA_PLAN_MAX;

    node->plan = plan;
    if (node->now.ms < now.ms)
        node->now = now;
    begin_life(node);
    plan->host.n = plan->cluster.n = 0;
    memcpy(plan->host.action, node->carry, n * sizeof node->carry[0]);
    plan->host.n = n;
    node->n_carry -= n;
    memmove(node->carry, node->carry + n, node->n_carry * sizeof node->carry[0]);
    node->host_stepped = node->cluster_stepped = false;
}

bool xha_node_room(const struct xha_node *node)
{
    return !node->n_carry;
}

/* Whoever an action is about may have something new to tell, or to be told. */
static void look_at(struct xha_node *node, const struct xha_action *action)
{
    static const struct xha_uuid nobody;
    struct note *n;

    if (action->type == XHA_ACT_PROBE || !memcmp(&action->uuid, &nobody, sizeof nobody))
        return;
    n = xha_note_of(node, &action->uuid);
    if (n)
        xha_note_dirty(node, n);
}

static int step_host(struct xha_node *node, const struct xha_event *ev)
{
    int rc = xha_core_step(node->core, ev, &node->scratch);

    for (uint32_t i = 0; i < node->scratch.n; i++) {
        look_at(node, &node->scratch.action[i]);
        put(node, &node->scratch.action[i]);
    }
    node->host_more = node->scratch.more;
    node->host_next = node->scratch.next;
    node->host_stepped = true;
    return rc;
}

int xha_node_tell(struct xha_node *node, struct xha_event *ev)
{
    ev->now = node->now;
    ev->host = node->self;
    return step_host(node, ev);
}

static void permit(struct xha_node *node, bool start)
{
    struct xha_event ev = { .type = XHA_EV_PERMIT };

    node->permit = ev.u.permit = start;
    xha_node_tell(node, &ev);
    if (start)
        xha_notes_all_dirty(node); /* what waited for it */
}

/* ---- the cluster core ---- */

static bool same_standing(const struct xha_node *node, const struct xha_cluster_status *s, bool acting,
                          enum xha_host_state state)
{
    bool firm = s->committed >= node->synced_index, was_firm = node->status.committed >= node->synced_index;

    return acting == node->acting && state == node->state && s->epoch == node->status.epoch &&
           s->synced == node->status.synced && firm == was_firm;
}

/* Where this host stands now. When that has changed, every domain may have a new meaning for it. */
static void weigh(struct xha_node *node)
{
    struct xha_cluster_status s;
    struct xha_cluster_host self;
    enum xha_host_state state = XHA_HOST_UNKNOWN;
    bool acting, synced_anew, same;

    xha_cluster_status(node->cluster, &s);
    if (xha_cluster_host(node->cluster, node->self, &self))
        state = self.state;
    acting = s.quorate && s.synced && state == XHA_HOST_IN;
    synced_anew = s.synced && (!node->status.synced || s.epoch != node->status.epoch);
    if (synced_anew)
        node->synced_index = s.index;
    if (state == XHA_HOST_DEPOSED && node->state != XHA_HOST_DEPOSED)
        node->deposed_since = node->now;
    same = same_standing(node, &s, acting, state) && !synced_anew;
    node->weigh_permit |= s.committed != node->status.committed || !same;
    node->status = s;
    node->state = state;
    node->acting = acting;
    if (node->permit && (!acting || synced_anew))
        permit(node, false); /* until the state has said of each domain again whose it is */
    if (!same)
        xha_notes_all_dirty(node);
}

static void heed(struct xha_node *node)
{
    struct xha_cluster_plan *plan = &node->plan->cluster;

    for (uint32_t i = 0; i < plan->n; i++) {
        const struct xha_cluster_action *a = &plan->action[i];
        struct note *n;

        if (a->type == XHA_CACT_ORDER)
            xha_node_ordered(node, a);
        if (a->type != XHA_CACT_CHANGED)
            continue;
        node->weigh_permit = true;
        n = xha_note_of(node, &a->uuid);
        if (!n)
            continue;
        n->gone_term = a->host == node->self ? a->u.gone.term : 0;
        xha_note_dirty(node, n);
    }
}

static int step_cluster(struct xha_node *node, const struct xha_cluster_event *ev)
{
    int rc = xha_cluster_step(node->cluster, ev, &node->plan->cluster);

    node->cluster_stepped = true;
    node->cluster_more = node->plan->cluster.more;
    node->cluster_next = node->plan->cluster.next;
    weigh(node);
    heed(node);
    return rc;
}

void xha_node_alarm(struct xha_node *node, const struct xha_uuid *uuid, enum xha_cluster_cause cause,
                    const char *text)
{
    struct xha_cluster_plan *plan = &node->plan->cluster;
    struct xha_cluster_action *a = &plan->action[plan->n];

    if (plan->n == XHA_CLUSTER_PLAN_MAX)
        return;
    plan->n++;
    *a = (struct xha_cluster_action){ .type = XHA_CACT_ALARM, .uuid = *uuid, .host = node->self };
    a->u.said.severity = XHA_SEV_CRITICAL;
    a->u.said.cause = cause;
    snprintf(a->u.said.text, sizeof a->u.said.text, "%s", text);
}

void xha_node_about(struct xha_node *node, struct note *n, struct about *a_r)
{
    a_r->n = n;
    a_r->have_c = !xha_cluster_find(node->cluster, &n->uuid, &a_r->c);
    a_r->have_v = !xha_core_find(node->core, &n->uuid, &a_r->v);
    if (a_r->have_v)
        n->core_term = a_r->v.term;
}

/* ---- until both agree ---- */

static void agree(struct xha_node *node)
{
    struct note *n;

    for (int i = 0; i < LOOKS_MAX && xha_node_room(node); i++) {
        n = xha_note_next_dirty(node);
        if (!n)
            break;
        xha_node_reconcile(node, n);
    }
    if (node->dirty.head == NONE32 && node->weigh_permit && xha_node_room(node)) {
        node->weigh_permit = false;
        if (node->acting && !node->permit && xha_node_all_ours(node))
            permit(node, true);
    }
    if (node->dirty.head == NONE32)
        xha_node_do_orders(node);
}

/* A plan of the cluster core holds what one step gave, so there is one per node step; a fact of our own waits for
 * the next when that one is taken. */
static void speak(struct xha_node *node)
{
    struct xha_cluster_event ev = { .type = XHA_CEV_TICK, .now = node->now };
    bool tick = node->cluster_more || node->cluster_next.ms <= node->now.ms;

    if (node->cluster_stepped || node->plan->cluster.n)
        return;
    if (node->cluster_more || !xha_node_next_fact(node, &ev)) {
        if (!tick)
            return;
        ev = (struct xha_cluster_event){ .type = XHA_CEV_TICK, .now = node->now };
    }
    step_cluster(node, &ev);
}

static void finish(struct xha_node *node)
{
    struct xha_node_plan *plan = node->plan;
    struct xha_event tick = { .type = XHA_EV_TICK };

    agree(node);
    speak(node);
    agree(node);
    if (!node->host_stepped && xha_node_room(node) && (node->host_more || node->host_next.ms <= node->now.ms))
        xha_node_tell(node, &tick);
    plan->more = node->n_carry || node->host_more || node->cluster_more || node->dirty.head != NONE32 ||
                 node->weigh_permit || xha_node_has_to_say(node);
    plan->next = node->host_next.ms < node->cluster_next.ms ? node->host_next : node->cluster_next;
    plan->host.more = plan->cluster.more = plan->more;
    plan->host.next = plan->cluster.next = plan->next;
    node->plan = NULL;
}

static bool from_outside(enum xha_event_type type)
{
    switch (type) {
    case XHA_EV_TICK:
    case XHA_EV_RECALL:
    case XHA_EV_SEEN:
    case XHA_EV_ROUND:
    case XHA_EV_PROBED:
    case XHA_EV_DONE:
    case XHA_EV_SETTINGS:
    case XHA_EV_LISTENING:
    case XHA_EV_REPLICATED:
    case XHA_EV_SILENT:
        return true;
    default:
        return false;
    }
}

static int host_fact(struct xha_node *node, const struct xha_event *ev)
{
    struct note *n;
    int rc = step_host(node, ev);

    if (ev->type == XHA_EV_SEEN) {
        xha_node_stray(node, ev);
    } else if (ev->type == XHA_EV_ROUND) {
        xha_node_round(node, ev);
    } else if (!rc && (ev->type == XHA_EV_LISTENING || ev->type == XHA_EV_DONE || ev->type == XHA_EV_RECALL ||
                       ev->type == XHA_EV_REPLICATED || ev->type == XHA_EV_SILENT)) {
        n = xha_note_of(node, &ev->uuid);
        if (n)
            xha_note_dirty(node, n);
        node->weigh_permit = true;
        if (ev->type == XHA_EV_RECALL && node->permit) /* late: nothing is known of it yet */
            permit(node, false);
    }
    return rc;
}

int xha_node_host(struct xha_node *node, const struct xha_event *ev, struct xha_node_plan *plan_r)
{
    struct xha_event mine = *ev;
    struct xha_record record;
    int rc = XHA_CORE_E_INVAL;

    begin(node, plan_r, ev->now);
    mine.now = node->now;
    mine.host = node->self;
    if (ev->type == XHA_EV_RECALL && ev->u.protect.record) {
        record = *ev->u.protect.record; /* it may be from before this host had its number */
        record.host = node->self;
        mine.u.protect.record = &record;
    }
    if (from_outside(ev->type))
        rc = host_fact(node, &mine);
    finish(node);
    return rc;
}

static bool of_the_node(enum xha_cluster_event_type type)
{
    switch (type) {
    case XHA_CEV_REPORT:
    case XHA_CEV_GIVE:
    case XHA_CEV_MOVE_READY:
    case XHA_CEV_MOVE_RESTORED:
    case XHA_CEV_MOVE_FAILED:
    case XHA_CEV_PAIR_LISTENS:
    case XHA_CEV_PAIR_PROTECTED:
    case XHA_CEV_PAIR_END:
    case XHA_CEV_PROMOTE:
    case XHA_CEV_RESULT:
    case XHA_CEV_CLEARED:
        return true;
    default:
        return false;
    }
}

int xha_node_cluster(struct xha_node *node, const struct xha_cluster_event *ev, struct xha_node_plan *plan_r)
{
    struct xha_cluster_event mine;
    int rc = XHA_CORE_OK;

    begin(node, plan_r, ev->now);
    if (of_the_node(ev->type)) {
        rc = XHA_CORE_E_INVAL;
    } else if (ev->type != XHA_CEV_TICK) { /* a TICK gives way to what we have to say: speak() */
        mine = *ev;
        mine.now = node->now;
        rc = step_cluster(node, &mine);
    } else if (!node->cluster_more && node->cluster_next.ms > node->now.ms) {
        node->cluster_next = node->now;
    }
    finish(node);
    return rc;
}

void xha_node_have_texts(struct xha_node *node, const struct xha_uuid *uuid, const uint8_t *digest_config)
{
    struct note *n = xha_note_of(node, uuid);

    if (!n)
        return;
    n->texts = true;
    memcpy(n->digest, digest_config, XHA_DIGEST);
    xha_note_dirty(node, n);
}

uint64_t xha_node_next_id(const struct xha_node *node)
{
    return xha_core_next_id(node->core);
}

const struct xha_core *xha_node_core(const struct xha_node *node)
{
    return node->core;
}

const struct xha_cluster *xha_node_state(const struct xha_node *node)
{
    return node->cluster;
}

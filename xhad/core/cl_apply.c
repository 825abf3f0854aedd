/*
 * cl_apply.c - what each ordered message does to the state, the same on every host: nothing here looks at anything
 * but the state and the message. What does not fit the state as it is now (an older term, a move that has
 * ended, a host that is back) has no effect; so of two that race the first in the order wins (rule 4).
 */
#include "cl_internal.h"

#include <stdio.h>

/* ---- what follows from any change ---- */

void xha_cl_touch(struct xha_cluster *cl, struct cl_dom *d)
{
    xha_cl_settle(cl->st, d);
    xha_cl_place_where(cl, d);
    xha_cl_queue(cl, d);
}

void xha_cl_changed(struct xha_cluster *cl, struct cl_dom *d)
{
    d->changed = cl->st->rank.index;
    xha_cl_append(cl->st, &cl->st->changed, CL_L_CHANGED, d);
    xha_cl_touch(cl, d);
}

void xha_cl_host_changed(struct xha_cluster *cl, uint8_t host)
{
    xha_cl_hash_host(cl->st, host);
    xha_cl_place_host(cl, host);
    xha_cl_queue_kick(cl);
}

void xha_cl_rebuild(struct xha_cluster *cl)
{
    memset(cl->wanted.pos, 0xff, cl->wanted.max * sizeof *cl->wanted.pos);
    memset(cl->timers.pos, 0xff, cl->timers.max * sizeof *cl->timers.pos);
    memset(cl->coming, 0, sizeof cl->coming);
    cl->wanted.n = cl->timers.n = cl->n_later = 0;
    cl->n_proposed = 0; /* slots of the state before: the new epoch finds out anew what is lacking */
    cl->info_at = 0;
    xha_cl_place_clear(cl);
    xha_cl_place_names(cl);
    for (uint32_t i = 0; i < cl->st->n; i++) {
        struct cl_dom *d = &cl->st->dom[cl->st->order[i]];

        d->seat = 0;
        xha_cl_place_dom(cl, d);
        xha_cl_queue(cl, d);
    }
}

static bool from_leader(const struct xha_cluster *cl, const struct cl_message *m)
{
    return m->from == cl_lowest(cl->st->members);
}

/* ---- ownership ---- */

static void free_of(struct cl_dom *d, enum xha_purpose purpose, enum xha_failure failure)
{
    if (d->phase == XHA_PH_MOVING)
        d->last_move = d->move.id;
    d->phase = XHA_PH_FREE;
    d->term++;
    d->purpose = purpose;
    d->failure = failure;
    d->next = XHA_HOST_NONE;
    d->move.target = XHA_HOST_NONE;
    d->pair = (struct cl_pair){ .backup = XHA_HOST_NONE };
    d->report.state = d->want_run ? XHA_ST_QUEUED : XHA_ST_STOPPED;
    d->report.domid = XHA_DOMID_NONE;
    d->capped = false;
    d->tries = 0;
}

void xha_cl_rest(struct xha_cluster *cl, struct cl_dom *d)
{
    d->want_run = false;
    free_of(d, XHA_FOR_NOTHING, XHA_FAIL_NONE);
    xha_cl_changed(cl, d);
}

/* Its host is proven to run it no more. */
static void orphan(struct xha_cluster *cl, struct cl_dom *d, uint8_t host)
{
    enum xha_reaction react = d->policy.react[XHA_FAIL_HOST];

    if (xha_cl_promotable(cl, d)) {
        xha_cl_promote(cl, d, "its host was lost");
        return;
    }
    if (xha_cl_pair_hold(cl, d, host))
        return;
    if (d->want_run && (d->policy.protection == XHA_PROT_MONITOR || d->report.maintenance) &&
        react == XHA_REACT_RECOVER)
        react = XHA_REACT_ALARM;
    if (!d->want_run || react == XHA_REACT_RESPECT) {
        xha_cl_rest(cl, d);
        return;
    }
    if (react != XHA_REACT_RECOVER) {
        xha_cl_say(cl, XHA_SEV_CRITICAL, XHA_CC_GIVEN_UP, host, &d->uuid, 0,
                   "%s was lost with host %s and is not started elsewhere: its policy, or an operator's "
                   "maintenance; start it with `xl-ha start`",
                   d->name, xha_cl_host_name(cl, host));
        xha_cl_rest(cl, d);
        return;
    }
    free_of(d, XHA_FOR_RECOVERY, XHA_FAIL_HOST);
    xha_cl_changed(cl, d);
}

void xha_cl_fenced(struct xha_cluster *cl, uint8_t host, enum xha_fenced_by by)
{
    struct cl_host *h = &cl->st->host[host];

    h->state = XHA_HOST_FENCED;
    h->fenced_by = by;
    h->executor = XHA_HOST_NONE;
    h->info.armed = false;
    xha_cl_note(cl, XHA_CC_HOST_FENCED, host, NULL,
                "host %s is proven to run nothing (%s); domains it owned: %u", xha_cl_host_name(cl, host),
                xha_fenced_by_name(by), h->n_owned);
    xha_cl_host_changed(cl, host);
    while (h->owned.head != NONE32)
        orphan(cl, &cl->st->dom[h->owned.head], host);
    for (uint32_t i = cl->st->moving.head, next; i != NONE32; i = next) {
        struct cl_dom *d = &cl->st->dom[i];

        next = d->link[CL_L_MOVING].next;
        if (d->move.target == host)
            xha_cl_end_move(cl, d, "the target was fenced");
    }
    xha_cl_unback(cl, host, "the backup was fenced");
    xha_cl_mark_settled(cl);
}

static uint8_t preferred(const struct xha_cluster *cl, const struct cl_dom *d)
{
    for (uint8_t h = 0; d->needs.prefer[0] && h < XHA_HOSTS_MAX; h++)
        if (cl->st->host[h].state != XHA_HOST_UNKNOWN && !strcmp(cl->st->host[h].info.name, d->needs.prefer))
            return h;
    return XHA_HOST_NONE;
}

static void grant(struct xha_cluster *cl, const struct cl_message *m, struct cl_dom *d)
{
    if (!from_leader(cl, m) || d->phase != XHA_PH_FREE || !d->want_run || d->pair.id || d->term != m->term ||
        !cl_here(cl->st, m->host))
        return;
    d->phase = XHA_PH_OWNED;
    d->owner = m->host;
    d->term++;
    d->next = XHA_HOST_NONE;
    if (m->u.fresh)
        d->refused = 0;
    d->report.state = XHA_ST_QUEUED;
    d->report.want_run = true;
    cl->last_placed = m->host;
    if (d->needs.failback && d->home == XHA_HOST_NONE)
        d->home = preferred(cl, d);
    if (d->home == m->host)
        d->home = XHA_HOST_NONE;
    xha_cl_note(cl, XHA_CC_PLACED, m->host, &d->uuid, "%s goes to host %s", d->name,
                xha_cl_host_name(cl, m->host));
    xha_cl_changed(cl, d);
}

static void give(struct xha_cluster *cl, const struct cl_message *m, struct cl_dom *d)
{
    bool moved = d->phase == XHA_PH_MOVING;
    enum xha_purpose purpose = d->purpose == XHA_FOR_RECOVERY ? XHA_FOR_RECOVERY : XHA_FOR_START;

    if (d->phase == XHA_PH_FREE || d->owner != m->from || d->term != m->term)
        return;
    d->want_run = m->u.give.want_run;
    if (moved && d->move.why == XHA_MOVE_BY_MAINTENANCE && d->needs.failback && d->home == XHA_HOST_NONE)
        d->home = d->owner;
    if (d->want_run && m->u.give.prefer == XHA_HOST_NONE)
        d->refused |= BIT(m->from);
    free_of(d, d->want_run ? purpose : XHA_FOR_NOTHING, d->want_run ? d->failure : XHA_FAIL_NONE);
    d->next = m->u.give.prefer;
    if (d->want_run && !moved)
        xha_cl_note(cl, XHA_CC_GIVEN_UP, m->from, &d->uuid, "host %s cannot run %s: it is placed elsewhere",
                    xha_cl_host_name(cl, m->from), d->name);
    xha_cl_changed(cl, d);
}

static void report(struct xha_cluster *cl, const struct cl_message *m)
{
    for (uint32_t i = 0; i < m->u.report.n; i++) {
        const struct xha_report *r = &m->u.report.item[i];
        struct cl_dom *d = xha_cl_find(cl->st, &r->uuid);

        if (!d || d->phase == XHA_PH_FREE || d->owner != m->from || d->term != r->term)
            continue;
        d->report = *r;
        d->want_run = r->want_run;
        if (r->state == XHA_ST_RUNNING) {
            d->refused = 0;
            d->purpose = XHA_FOR_NOTHING;
            d->failure = XHA_FAIL_NONE;
        }
        xha_cl_touch(cl, d);
    }
}

/* ---- moves ---- */

const char *xha_cl_may_move(const struct xha_cluster *cl, const struct cl_dom *d, uint8_t target)
{
    if (d->phase == XHA_PH_MOVING)
        return "it is being moved already";
    if (d->phase != XHA_PH_OWNED)
        return "it runs nowhere";
    if (!cl_here(cl->st, d->owner))
        return "its host does not take part now";
    if (target == d->owner)
        return "it is there already";
    if (!cl_here(cl->st, target))
        return "the target does not take part now";
    if (cl->st->host[target].maintenance)
        return "the target is in maintenance";
    return NULL;
}

void xha_cl_begin_move(struct xha_cluster *cl, struct cl_dom *d, uint8_t target, enum xha_move_mode mode,
                       enum xha_move_why why)
{
    if (d->needs.copy_storage)
        mode = XHA_MOVE_COLD; /* whoever wants it moved: its disks go along */
    if (d->pair.id)
        xha_cl_unpair(cl, d, "it moves");
    d->phase = XHA_PH_MOVING;
    d->move = (struct cl_move){ .id = cl->st->rank.index, .target = target, .mode = mode, .why = why };
    xha_cl_note(cl, XHA_CC_MOVE_BEGUN, target, &d->uuid, "%s moves from host %s to host %s (%s)", d->name,
                xha_cl_host_name(cl, d->owner), xha_cl_host_name(cl, target), xha_move_mode_name(mode));
    xha_cl_changed(cl, d);
}

static void move(struct xha_cluster *cl, const struct cl_message *m, struct cl_dom *d)
{
    if (from_leader(cl, m) && d->term == m->term && !xha_cl_may_move(cl, d, m->host))
        xha_cl_begin_move(cl, d, m->host, m->u.move.mode, m->u.move.why);
}

static bool of_this_move(const struct cl_dom *d, const struct cl_message *m)
{
    return d->phase == XHA_PH_MOVING && d->term == m->term && d->move.id == m->u.move.id;
}

static void move_ready(struct xha_cluster *cl, const struct cl_message *m, struct cl_dom *d)
{
    if (!of_this_move(d, m) || m->from != d->move.target || d->move.stage != XHA_MOVE_ORDERED)
        return;
    d->move.stage = XHA_MOVE_STREAMING;
    d->move.port = m->u.move.port;
    xha_cl_changed(cl, d);
}

/* Whole and paused at the target, hence suspended for good at the source: the point of no return. */
static void move_restored(struct xha_cluster *cl, const struct cl_message *m, struct cl_dom *d)
{
    uint8_t from = d->owner;

    if (!of_this_move(d, m) || m->from != d->move.target || cl->st->host[m->from].state != XHA_HOST_IN)
        return;
    if (d->move.why == XHA_MOVE_BY_MAINTENANCE && d->needs.failback && d->home == XHA_HOST_NONE)
        d->home = from;
    else if (d->move.why != XHA_MOVE_BY_MAINTENANCE || d->home == m->from)
        d->home = XHA_HOST_NONE;
    d->phase = XHA_PH_OWNED;
    d->owner = m->from;
    d->term++;
    d->last_move = d->move.id;
    d->move.target = XHA_HOST_NONE;
    d->purpose = d->move.mode == XHA_MOVE_COLD ? XHA_FOR_START : XHA_FOR_NOTHING;
    d->refused = 0;
    xha_cl_note(cl, XHA_CC_MOVED, m->from, &d->uuid, "%s has moved from host %s to host %s", d->name,
                xha_cl_host_name(cl, from), xha_cl_host_name(cl, m->from));
    xha_cl_changed(cl, d);
}

void xha_cl_end_move(struct xha_cluster *cl, struct cl_dom *d, const char *why)
{
    uint8_t target = d->move.target;

    d->phase = XHA_PH_OWNED;
    d->last_move = d->move.id;
    d->move.target = XHA_HOST_NONE;
    xha_cl_note(cl, XHA_CC_MOVE_FAILED, target, &d->uuid, "%s stays on host %s: %s", d->name,
                xha_cl_host_name(cl, d->owner), why[0] ? why : "the move was given up");
    xha_cl_changed(cl, d);
}

static void move_end(struct xha_cluster *cl, const struct cl_message *m, struct cl_dom *d)
{
    if (of_this_move(d, m) && (from_leader(cl, m) || m->from == d->owner || m->from == d->move.target))
        xha_cl_end_move(cl, d, m->u.move.text);
}

/* ---- hosts ---- */

static void lost(struct xha_cluster *cl, const struct cl_message *m)
{
    struct cl_host *h = &cl->st->host[m->host];

    cl->eye[m->host].proposed = false;
    if (!from_leader(cl, m) || h->state != XHA_HOST_IN || cl_in(cl->st->members, m->host))
        return;
    h->state = XHA_HOST_LOST;
    h->executor = XHA_HOST_NONE;
    xha_cl_say(cl, XHA_SEV_CRITICAL, XHA_CC_HOST_LOST, m->host, NULL, h->n_owned,
               "host %s is lost; once it is proven to be off, its domains start elsewhere: %u",
               xha_cl_host_name(cl, m->host), h->n_owned);
    xha_cl_host_changed(cl, m->host);
}

static void by_watchdog(struct xha_cluster *cl, const struct cl_message *m)
{
    cl->eye[m->host].proposed = false;
    if (from_leader(cl, m) && cl->st->host[m->host].state == XHA_HOST_LOST && cl->st->armed &&
        cl->st->host[m->host].info.armed)
        xha_cl_fenced(cl, m->host, XHA_FENCED_WATCHDOG);
}

static void host_info(struct xha_cluster *cl, const struct cl_message *m)
{
    struct cl_host *h = &cl->st->host[m->from];
    uint32_t generation = h->info.incarnation.generation;

    if (!xha_cl_same_boot(&h->info.incarnation, &m->u.info.info.incarnation) ||
        (h->state != XHA_HOST_IN && h->state != XHA_HOST_DEPOSED))
        return;
    if (h->state == XHA_HOST_DEPOSED && m->u.info.cleared) {
        generation++;
        h->state = XHA_HOST_IN;
        h->fenced_by = XHA_FENCED_NOT;
        xha_cl_note(cl, XHA_CC_HOST_JOINED, m->from, NULL,
                    "host %s has cleared what it ran and takes part again", xha_cl_host_name(cl, m->from));
    }
    h->info = m->u.info.info;
    h->info.incarnation.generation = generation;
    xha_cl_place_names(cl);
    xha_cl_host_changed(cl, m->from);
}

/* ---- the entry that begins an epoch ---- */

static void member(struct xha_cluster *cl, uint8_t host, const struct cl_sync *s)
{
    struct cl_host *h = &cl->st->host[host];
    bool same = xha_cl_same_boot(&h->info.incarnation, &s->info[host].incarnation);
    uint32_t generation = same ? h->info.incarnation.generation : 0;
    const char *name = s->info[host].name;

    if (h->state == XHA_HOST_LEFT && same && cl_in(s->leaving, host))
        return;
    if ((h->state == XHA_HOST_IN || h->state == XHA_HOST_LOST) && !same)
        xha_cl_fenced(cl, host, XHA_FENCED_REBOOT);
    if ((h->state == XHA_HOST_FENCED || h->state == XHA_HOST_DEPOSED) && same) {
        if (h->state == XHA_HOST_FENCED)
            xha_cl_say(cl, XHA_SEV_CRITICAL, XHA_CC_HOST_DEPOSED, host, NULL, 0,
                       "host %s is back and was not off: it was fenced (%s); it clears what it runs", name,
                       xha_fenced_by_name(h->fenced_by));
        h->state = XHA_HOST_DEPOSED;
    } else {
        if (h->state == XHA_HOST_LOST)
            xha_cl_note(cl, XHA_CC_HOST_BACK, host, NULL, "host %s is back", name);
        else if (h->state != XHA_HOST_IN)
            xha_cl_note(cl, XHA_CC_HOST_JOINED, host, NULL, "host %s takes part", name);
        h->state = XHA_HOST_IN;
        h->fenced_by = XHA_FENCED_NOT;
    }
    h->executor = XHA_HOST_NONE;
    h->fence_text[0] = '\0';
    h->max_domains = s->max_domains[host];
    h->info = s->info[host];
    h->info.incarnation.generation = generation;
}

/* Memory does not outlive a boot: before anything is decided by it, who was booted anew is nobody's backup. */
static void forget_copies(struct xha_cluster *cl, const struct cl_sync *s)
{
    for (uint8_t h = 0; h < XHA_HOSTS_MAX; h++) {
        struct cl_host *host = &cl->st->host[h];

        if (!cl_in(s->members, h) || (host->state != XHA_HOST_IN && host->state != XHA_HOST_LOST) ||
            xha_cl_same_boot(&host->info.incarnation, &s->info[h].incarnation))
            continue;
        host->state = XHA_HOST_LOST; /* until it is fenced by that, in a moment */
        xha_cl_unback(cl, h, "the backup was booted");
    }
}

/* Of the absent: what is known of them may be from a life before. */
static void absent(struct xha_cluster *cl, uint8_t host, bool cold)
{
    struct cl_host *h = &cl->st->host[host];

    if (h->state == XHA_HOST_DEPOSED)
        h->state = XHA_HOST_FENCED;
    if (h->state == XHA_HOST_FENCED && cold) {
        h->state = XHA_HOST_LOST;
        h->fenced_by = XHA_FENCED_NOT;
    }
    if (cold)
        h->info.armed = false; /* it may have been disarmed, or have left, since */
    if (h->executor != XHA_HOST_NONE && !cl_in(cl->st->members, h->executor))
        h->executor = XHA_HOST_NONE;
}

void xha_cl_apply_sync(struct xha_cluster *cl, const struct cl_sync *s)
{
    struct cl_state *st = cl->st;

    st->rank.epoch = s->epoch;
    st->members = s->members;
    st->nodes = s->nodes;
    st->host_changes++;
    /* All come from their disks, and are few: a host that was fenced may have been up since. This before anything
     * can count the view as settled. */
    bool cold = !s->live && !xha_cl_majority(st);
    for (uint8_t h = 0; h < XHA_HOSTS_MAX; h++)
        if (!cl_in(s->members, h))
            absent(cl, h, cold);
    forget_copies(cl, s);
    for (uint8_t h = 0; h < XHA_HOSTS_MAX; h++)
        if (cl_in(s->members, h))
            member(cl, h, s);
    for (uint8_t h = 0; h < XHA_HOSTS_MAX; h++)
        xha_cl_hash_host(st, h);
    xha_cl_place_names(cl);
    for (uint8_t h = 0; h < XHA_HOSTS_MAX; h++)
        xha_cl_place_host(cl, h);
    xha_cl_queue_kick(cl);
    xha_cl_mark_settled(cl);
    for (uint8_t h = 0; h < XHA_HOSTS_MAX; h++)
        cl->eye[h].proposed = cl->eye[h].evac_flies = false;
}

/* ---- all of them ---- */

static void of_domain(struct xha_cluster *cl, const struct cl_message *m)
{
    struct cl_dom *d = xha_cl_find(cl->st, &m->uuid);

    if (!d)
        return;
    if (m->type == CL_MOVE && d->owner < XHA_HOSTS_MAX)
        cl->eye[d->owner].evac_flies = false;
    if (m->type == CL_GRANT || m->type == CL_MOVE || m->type == CL_PAIR_BEGIN)
        xha_cl_decided(cl, d);
    switch (m->type) {
    case CL_GIVE:
        give(cl, m, d);
        break;
    case CL_GRANT:
        grant(cl, m, d);
        break;
    case CL_MOVE:
        move(cl, m, d);
        break;
    case CL_MOVE_READY:
        move_ready(cl, m, d);
        break;
    case CL_MOVE_RESTORED:
        move_restored(cl, m, d);
        break;
    case CL_MOVE_END:
        move_end(cl, m, d);
        break;
    default:
        xha_cl_pair_message(cl, m, d);
        break;
    }
    xha_cl_queue(cl, d);
}

void xha_cl_apply(struct xha_cluster *cl, const struct cl_message *m)
{
    switch (m->type) {
    case CL_HOST:
        host_info(cl, m);
        break;
    case CL_LOST:
        lost(cl, m);
        break;
    case CL_FENCE_ORDER:
        xha_cl_fence_order(cl, m);
        break;
    case CL_FENCE_RESULT:
        xha_cl_fence_result(cl, m);
        break;
    case CL_FENCED:
        by_watchdog(cl, m);
        break;
    case CL_REQUEST:
        xha_cl_apply_request(cl, m);
        break;
    case CL_REPORT:
        report(cl, m);
        break;
    default:
        of_domain(cl, m);
        break;
    }
}

/*
 * cl_pair.c - replicated domains: what the messages of a pair do to the state, and what the leader proposes.
 *
 * An owner is mute without its backup, so two decisions need no fence, only their order: PAIR_END (the owner goes on
 * alone) and PROMOTE (the backup is the owner). Each names the pair; the first one ends it, and the other then
 * names a pair that is no more. A pair never lives beside a move, nor beyond an ownership.
 */
#include "cl_internal.h"

#include <stdio.h>

/* ---- begin and end, the same on every host ---- */

/* By the state alone it is to have a backup. */
static bool wants(const struct cl_dom *d)
{
    return d->used && d->phase == XHA_PH_OWNED && d->policy.protection == XHA_PROT_REPLICATE &&
           d->needs.relocate && d->want_run && d->report.state == XHA_ST_RUNNING;
}

static void begin(struct xha_cluster *cl, const struct cl_message *m, struct cl_dom *d)
{
    const struct cl_state *st = cl->st;

    if (m->from != cl_lowest(st->members) || d->term != m->term || !wants(d) || d->pair.id ||
        m->host == d->owner || !cl_here(st, d->owner) || !cl_here(st, m->host) ||
        st->host[d->owner].maintenance || st->host[m->host].maintenance)
        return;
    d->pair = (struct cl_pair){ .id = st->rank.index, .backup = m->host };
    xha_cl_note(cl, XHA_CC_PAIR_BEGUN, m->host, &d->uuid, "%s is to be replicated from host %s to host %s",
                d->name, xha_cl_host_name(cl, d->owner), xha_cl_host_name(cl, m->host));
    xha_cl_changed(cl, d);
}

/* The next one: at once when this one was good, else later, and with another backup if there is one. */
static void over(struct xha_cluster *cl, struct cl_dom *d)
{
    bool good = d->pair.stage == XHA_PAIR_PROTECTED;
    int64_t ms;

    if (!good && d->pair_tries < 255)
        d->pair_tries++;
    if (!good)
        d->pair_avoid |= BIT(d->pair.backup);
    ms = good ? CL_PAIR_AGAIN_MS : xha_cl_backoff(d->pair_tries).ms;
    d->pair = (struct cl_pair){ .backup = XHA_HOST_NONE };
    xha_heap_drop(&cl->timers, cl_slot(cl->st, d) * CL_T_N_ + CL_T_MOVE);
    xha_cl_remove(cl->st, CL_L_BARE, d);
    xha_heap_set(&cl->timers, cl_slot(cl->st, d) * CL_T_N_ + CL_T_PAIR, cl->now.ms + ms);
}

static void end(struct xha_cluster *cl, struct cl_dom *d, const char *why, bool ordered)
{
    const char *host = xha_cl_host_name(cl, d->pair.backup);

    if (d->phase == XHA_PH_FREE && d->want_run)
        xha_cl_say(cl, XHA_SEV_WARNING, XHA_CC_DEGRADED, d->pair.backup, &d->uuid, 0,
                   "%s is not waited for on host %s any more, and is started anew: %.90s", d->name, host,
                   why);
    else if (d->pair.stage != XHA_PAIR_PROTECTED)
        xha_cl_note(cl, XHA_CC_PAIR_ENDED, d->pair.backup, &d->uuid,
                    "%s was not yet replicated to host %s: %.110s", d->name, host, why);
    else if (ordered || !d->want_run)
        xha_cl_note(cl, XHA_CC_PAIR_ENDED, d->pair.backup, &d->uuid,
                    "%s is no more replicated to host %s: %.110s", d->name, host, why);
    else
        xha_cl_say(cl, XHA_SEV_WARNING, XHA_CC_DEGRADED, d->pair.backup, &d->uuid, 0,
                   "%s has lost its backup on host %s and goes on without one: %.90s", d->name, host, why);
    over(cl, d);
    xha_cl_changed(cl, d);
}

void xha_cl_unpair(struct xha_cluster *cl, struct cl_dom *d, const char *why)
{
    end(cl, d, why, true);
}

void xha_cl_unback(struct xha_cluster *cl, uint8_t host, const char *why)
{
    for (uint32_t i = cl->st->paired.head, next; i != NONE32; i = next) {
        struct cl_dom *d = &cl->st->dom[i];

        next = d->link[CL_L_PAIRED].next;
        if (d->pair.backup == host)
            end(cl, d, why, cl->st->host[host].state == XHA_HOST_IN);
    }
}

/* ---- promotion ---- */

/*
 * Its backup holds what counts, and can take over. One that is only just back may still be called lost; in a new
 * incarnation it would be nobody's backup any more.
 */
bool xha_cl_promotable(const struct xha_cluster *cl, const struct cl_dom *d)
{
    enum xha_host_state state;

    if (!d->pair.id || d->pair.stage != XHA_PAIR_PROTECTED || !d->want_run ||
        !cl_in(cl->st->members, d->pair.backup))
        return false;
    state = cl->st->host[d->pair.backup].state;
    return state == XHA_HOST_IN || state == XHA_HOST_LOST;
}

/*
 * Its owner's host was fenced, and the xhad of its backup is away, though not its host: the copy may live on there, and
 * nobody else has its memory. So it is free, and yet a pair: PROMOTE, when the backup is back, and PAIR_END race for it
 * as ever. In the owner's term, for nobody has followed.
 */
bool xha_cl_pair_hold(struct xha_cluster *cl, struct cl_dom *d, uint8_t host)
{
    const struct cl_state *st = cl->st;

    if (!d->pair.id || d->pair.stage != XHA_PAIR_PROTECTED || !d->want_run ||
        !cl_in(st->nodes & ~st->members, d->pair.backup) || st->host[d->pair.backup].state != XHA_HOST_IN)
        return false;
    d->phase = XHA_PH_FREE;
    d->purpose = XHA_FOR_RECOVERY;
    d->failure = XHA_FAIL_HOST;
    d->next = XHA_HOST_NONE;
    d->report.state = XHA_ST_QUEUED;
    d->report.domid = XHA_DOMID_NONE;
    d->capped = false;
    d->tries = 0;
    cl->pairs_due = true;
    xha_cl_say(cl, XHA_SEV_WARNING, XHA_CC_XHAD_GONE, d->pair.backup, &d->uuid, 0,
               "%s was lost with host %s; its copy on host %s waits for xhad there, for %d s", d->name,
               xha_cl_host_name(cl, host), xha_cl_host_name(cl, d->pair.backup), CL_COPY_WAIT_MS / 1000);
    xha_cl_changed(cl, d);
    return true;
}

void xha_cl_pair_waits(struct xha_cluster *cl, struct cl_dom *d)
{
    if (!d->used || d->phase != XHA_PH_FREE || !d->pair.id)
        return;
    d->wait_cause = XHA_CC_XHAD_GONE;
    snprintf(d->wait_text, sizeof d->wait_text, "for xhad on host %s, where its copy is",
             xha_cl_host_name(cl, d->pair.backup));
}

void xha_cl_promote(struct xha_cluster *cl, struct cl_dom *d, const char *why)
{
    uint8_t from = d->owner;

    d->phase = XHA_PH_OWNED;
    d->owner = d->pair.backup;
    d->term++;
    d->purpose = XHA_FOR_RECOVERY; /* when the copy is lost after all, it is started anew */
    d->failure = XHA_FAIL_HOST;
    d->refused = 0;
    if (d->home == d->owner)
        d->home = XHA_HOST_NONE;
    d->report.state = XHA_ST_STANDBY; /* until the new owner reports */
    d->report.domid = XHA_DOMID_NONE;
    over(cl, d);
    xha_cl_say(cl, XHA_SEV_WARNING, XHA_CC_PROMOTED, d->owner, &d->uuid, 0,
               "%s runs on from its copy on host %s, no more on host %s: %.90s", d->name,
               xha_cl_host_name(cl, d->owner), xha_cl_host_name(cl, from), why);
    xha_cl_changed(cl, d);
}

static void promote(struct xha_cluster *cl, const struct cl_message *m, struct cl_dom *d)
{
    if (d->pair.stage != XHA_PAIR_PROTECTED || !cl_here(cl->st, d->pair.backup))
        return;
    if (xha_cl_promotable(cl, d))
        xha_cl_promote(cl, d, m->u.pair.text);
    else if (!d->want_run) /* what was stopped stays so, wherever it was; its owner is mute */
        xha_cl_rest(cl, d);
}

/* Where to move it: to its backup, which has room for it, before any other host. */
uint8_t xha_cl_move_target(const struct xha_cluster *cl, const struct cl_dom *d, uint8_t prefer, char *why,
                           size_t len)
{
    if (d->pair.id && cl_here(cl->st, d->pair.backup))
        return d->pair.backup;
    return xha_cl_place_find(cl, d, BIT(d->owner), prefer, why, len);
}

/* ---- messages ---- */

static bool of_this_pair(const struct cl_dom *d, const struct cl_message *m)
{
    return d->pair.id && d->pair.id == m->u.pair.id && d->term == m->term;
}

static void listens(struct xha_cluster *cl, const struct cl_message *m, struct cl_dom *d)
{
    if (m->from != d->pair.backup || d->pair.stage != XHA_PAIR_ORDERED)
        return;
    d->pair.stage = XHA_PAIR_SYNCING;
    d->pair.port = m->u.pair.port;
    xha_cl_changed(cl, d);
}

static void is_protected(struct xha_cluster *cl, const struct cl_message *m, struct cl_dom *d)
{
    if (m->from != d->owner || d->pair.stage != XHA_PAIR_SYNCING)
        return;
    d->pair.stage = XHA_PAIR_PROTECTED;
    d->pair_tries = 0;
    d->pair_avoid = 0;
    cl->pairs_due = true;
    xha_cl_note(cl, XHA_CC_REPLICATED, d->pair.backup, &d->uuid,
                "%s is replicated to host %s, which takes over when host %s is lost", d->name,
                xha_cl_host_name(cl, d->pair.backup), xha_cl_host_name(cl, d->owner));
    xha_cl_changed(cl, d);
}

void xha_cl_pair_message(struct xha_cluster *cl, const struct cl_message *m, struct cl_dom *d)
{
    bool leads = m->from == cl_lowest(cl->st->members);
    bool is_owner = d->phase != XHA_PH_FREE && m->from == d->owner;

    if (m->type == CL_PAIR_BEGIN) {
        begin(cl, m, d);
        return;
    }
    if (!of_this_pair(d, m))
        return;
    if (m->type == CL_PAIR_LISTENS) {
        listens(cl, m, d);
    } else if (m->type == CL_PAIR_PROTECTED) {
        is_protected(cl, m, d);
    } else if (m->type == CL_PROMOTE && (leads || m->from == d->pair.backup)) {
        promote(cl, m, d);
    } else if (m->type == CL_PAIR_END && (leads || is_owner || m->from == d->pair.backup)) {
        if (is_owner && !m->u.pair.want_run)
            d->want_run = false; /* before the last that it sent is let out, all know that it has stopped */
        end(cl, d, m->u.pair.text, false);
    }
}

/* ---- those that have no backup, here only ---- */

static bool waits_for_time(const struct xha_cluster *cl, const struct cl_dom *d)
{
    return xha_heap_has(&cl->timers, cl_slot(cl->st, d) * CL_T_N_ + CL_T_PAIR);
}

void xha_cl_pair_queue(struct xha_cluster *cl, struct cl_dom *d)
{
    if (!wants(d) || d->pair.id) {
        xha_cl_remove(cl->st, CL_L_BARE, d);
        if (d->policy.protection != XHA_PROT_REPLICATE || d->pair.id)
            d->bare_text[0] = '\0';
    } else if (!d->proposed && !waits_for_time(cl, d) && !d->link[CL_L_BARE].in) {
        xha_cl_append(cl->st, &cl->st->bare, CL_L_BARE, d);
    }
}

void xha_cl_pair_later(struct xha_cluster *cl, struct cl_dom *d)
{
    xha_cl_pair_queue(cl, d);
}

static void no_backup(struct xha_cluster *cl, struct cl_dom *d, const char *why)
{
    bool said = d->bare_text[0];

    snprintf(d->bare_text, sizeof d->bare_text, "%s", why);
    if (!said)
        xha_cl_say(cl, XHA_SEV_WARNING, XHA_CC_DEGRADED, XHA_HOST_NONE, &d->uuid, 0,
                   "%s runs without a backup: %.120s", d->name, why);
    if (d->pair_tries < 255)
        d->pair_tries++;
    xha_cl_remove(cl->st, CL_L_BARE, d);
    xha_heap_set(&cl->timers, cl_slot(cl->st, d) * CL_T_N_ + CL_T_PAIR,
                 cl->now.ms + xha_cl_backoff(d->pair_tries).ms);
}

static bool survives(const struct xha_cluster *cl, uint64_t *steps)
{
    struct xha_place_survival s;

    if (xha_place_survives(cl->place, cl->st->policy.survive, *steps, &s))
        return false;
    *steps -= s.steps < *steps ? s.steps : *steps;
    return s.verdict == XHA_PLACE_FITS;
}

/* Not where its copy would take the room that N+k has promised to others; what is not so anyway is not its fault. */
static uint8_t find_within(const struct xha_cluster *cl, const struct cl_dom *d, xha_hostset avoid, char *why,
                           size_t len)
{
    uint32_t slot = cl_slot(cl->st, d);
    uint64_t steps = CL_SURVIVE_STEPS;
    uint8_t host = xha_cl_place_find(cl, d, avoid, XHA_HOST_NONE, why, len);
    bool fits;

    if (host == XHA_HOST_NONE || !cl->st->policy.survive || !survives(cl, &steps))
        return host;
    while (host != XHA_HOST_NONE) {
        xha_place_put(cl->place, slot, host);
        fits = survives(cl, &steps);
        xha_place_take(cl->place, slot, host);
        if (fits)
            return host;
        avoid |= BIT(host);
        host = xha_cl_place_find(cl, d, avoid, XHA_HOST_NONE, NULL, 0);
    }
    if (why)
        snprintf(why, len, "its copy would take the room that others need when %u are lost (survive = %u)",
                 cl->st->policy.survive, cl->st->policy.survive);
    return XHA_HOST_NONE;
}

static uint8_t choose(const struct xha_cluster *cl, const struct cl_dom *d, char *why, size_t len)
{
    uint8_t host = XHA_HOST_NONE;

    if (d->pair_avoid)
        host = find_within(cl, d, BIT(d->owner) | d->pair_avoid, NULL, 0);
    if (host == XHA_HOST_NONE)
        host = find_within(cl, d, BIT(d->owner), why, len);
    return host;
}

/*
 * There may be room now for those that found none. all: a host can take more than before; else only a domain has left
 * one, or needs less, and those for whom there is a place now are tried.
 */
void xha_cl_pair_kick(struct xha_cluster *cl, bool all)
{
    for (uint32_t i = cl->timers.n; i;) {
        uint32_t item = cl->timers.item[i - 1].what;
        struct cl_dom *d = &cl->st->dom[item / CL_T_N_];

        if (item % CL_T_N_ != CL_T_PAIR || !d->bare_text[0] ||
            (!all && choose(cl, d, NULL, 0) == XHA_HOST_NONE)) {
            i--;
            continue;
        }
        xha_heap_drop(&cl->timers, item); /* another one takes its place, and is looked at, too */
        xha_cl_pair_queue(cl, d);
        if (i > cl->timers.n)
            i = cl->timers.n;
    }
}

/* false: no more can be said now. */
static bool pair_one(struct xha_cluster *cl, struct cl_dom *d)
{
    char why[XHA_TEXT_MAX] = "no other host has room for it";
    struct cl_message *m;
    uint8_t host;

    if (!cl_here(cl->st, d->owner) || cl->st->host[d->owner].maintenance) {
        no_backup(cl, d,
                  cl->st->host[d->owner].maintenance ? "its host is in maintenance"
                                                     : "its host does not take part now");
        return true;
    }
    host = choose(cl, d, why, sizeof why);
    if (host == XHA_HOST_NONE) {
        no_backup(cl, d, why);
        return true;
    }
    if (!xha_cl_may_fly(cl))
        return false;
    m = xha_cl_put(cl);
    m->uuid = d->uuid;
    m->term = d->term;
    m->host = host;
    xha_cl_remove(cl->st, CL_L_BARE, d); /* back in it, if it has no effect */
    xha_cl_proposed(cl, d, host);
    xha_cl_send(cl, CL_PAIR_BEGIN);
    return true;
}

/* ---- pairs that are over ---- */

static bool propose(struct xha_cluster *cl, struct cl_dom *d, enum cl_type type, const char *why)
{
    struct cl_message *m;

    if (d->ended_move == d->pair.id)
        return true;
    if (!xha_cl_may_fly(cl))
        return false;
    m = xha_cl_put(cl);
    m->uuid = d->uuid;
    m->term = d->term;
    m->u.pair.id = d->pair.id;
    m->u.pair.want_run = true;
    snprintf(m->u.pair.text, sizeof m->u.pair.text, "%s", why);
    d->ended_move = d->pair.id;
    xha_cl_send(cl, type);
    return true;
}

/* It has not come to protect in time, or its backup not back. The timer goes on: the next leader has to see it, too. */
void xha_cl_pair_late(struct xha_cluster *cl, struct cl_dom *d)
{
    bool waits = d->phase == XHA_PH_FREE;

    if (d->pair.stage == XHA_PAIR_PROTECTED && !waits)
        return;
    if (xha_cl_leads(cl))
        propose(cl, d, CL_PAIR_END,
                waits ? "xhad there did not come back" : "the first copy took longer than move_timeout");
    xha_heap_set(&cl->timers, cl_slot(cl->st, d) * CL_T_N_ + CL_T_MOVE, cl->now.ms + 10000);
}

/* false: no more can be said now. */
static bool weigh(struct xha_cluster *cl, struct cl_dom *d)
{
    enum xha_host_state owner = cl->st->host[d->owner].state, backup = cl->st->host[d->pair.backup].state;

    if (d->phase == XHA_PH_FREE) {
        if (cl_here(cl->st, d->pair.backup))
            return propose(cl, d, CL_PROMOTE, "its host was lost, and its backup is back");
        return backup == XHA_HOST_IN || propose(cl, d, CL_PAIR_END, "the backup's host is lost");
    }
    if (owner == XHA_HOST_LOST && d->pair.stage == XHA_PAIR_PROTECTED && cl_here(cl->st, d->pair.backup))
        return propose(cl, d, CL_PROMOTE, "its host is lost");
    if (owner == XHA_HOST_IN && backup != XHA_HOST_IN)
        return propose(cl, d, CL_PAIR_END, "the backup's host is lost");
    return true;
}

void xha_cl_pair_lead(struct xha_cluster *cl)
{
    struct cl_state *st = cl->st;

    while (st->bare.head != NONE32)
        if (!pair_one(cl, &st->dom[st->bare.head]))
            return;
    if (!cl->pairs_due && cl->pairs_at == st->host_changes)
        return;
    for (uint32_t i = st->paired.head; i != NONE32; i = st->dom[i].link[CL_L_PAIRED].next)
        if (!weigh(cl, &st->dom[i]))
            return;
    cl->pairs_due = false;
    cl->pairs_at = st->host_changes;
}

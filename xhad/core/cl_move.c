/*
 * cl_move.c - moves, as the leader sees to them: those that cannot go on are ended, hosts in maintenance are
 * emptied, the highest priorities first and a few at once, and what maintenance took away goes home after it.
 */
#include "cl_internal.h"

#include <stdio.h>

static bool end_move(struct xha_cluster *cl, const struct cl_dom *d, const char *why)
{
    struct cl_message *m;

    if (!xha_cl_may_fly(cl))
        return false;
    m = xha_cl_put(cl);
    m->uuid = d->uuid;
    m->term = d->term;
    m->u.move.id = d->move.id;
    snprintf(m->u.move.text, sizeof m->u.move.text, "%s", why);
    xha_cl_send(cl, CL_MOVE_END);
    return true;
}

/* Its time is over. The timer goes on: the next leader has to see it, too. */
void xha_cl_move_late(struct xha_cluster *cl, struct cl_dom *d)
{
    if (d->phase != XHA_PH_MOVING)
        return;
    if (xha_cl_leads(cl))
        end_move(cl, d, "the move took longer than move_timeout");
    xha_heap_set(&cl->timers, cl_slot(cl->st, d) * CL_T_N_ + CL_T_MOVE, cl->now.ms + 10000);
}

static void end_hopeless(struct xha_cluster *cl)
{
    for (uint32_t i = cl->st->moving.head; i != NONE32; i = cl->st->dom[i].link[CL_L_MOVING].next) {
        struct cl_dom *d = &cl->st->dom[i];
        bool hopeless = cl->st->host[d->move.target].state != XHA_HOST_IN;

        if (hopeless && d->ended_move != d->move.id && end_move(cl, d, "the target was lost"))
            d->ended_move = d->move.id;
    }
}

static uint32_t parallel(const struct xha_cluster *cl)
{
    return cl->st->policy.parallel_moves ? cl->st->policy.parallel_moves : 1;
}

/* Runs, and nothing else is under way with it. */
static bool movable(const struct cl_dom *d)
{
    switch (d->report.state) {
    case XHA_ST_BOOTING:
    case XHA_ST_RUNNING:
    case XHA_ST_SUSPECT:
    case XHA_ST_PAUSED:
        return d->phase == XHA_PH_OWNED && !d->proposed;
    default:
        return false;
    }
}

static bool propose(struct xha_cluster *cl, struct cl_dom *d, uint8_t target, enum xha_move_why why)
{
    struct cl_message *m;

    if (!xha_cl_may_fly(cl))
        return false;
    m = xha_cl_put(cl);
    m->uuid = d->uuid;
    m->term = d->term;
    m->host = target;
    m->u.move.mode = (enum xha_move_mode)d->needs.mode;
    m->u.move.why = why;
    cl->eye[d->owner].evac_flies = true;
    xha_cl_proposed(cl, d, target);
    xha_cl_send(cl, CL_MOVE);
    return true;
}

static void cannot(struct xha_cluster *cl, struct cl_dom *d, const char *why)
{
    if (d->cannot_said)
        return;
    d->cannot_said = true;
    xha_cl_say(cl, XHA_SEV_WARNING, XHA_CC_CANNOT_MOVE, d->owner, &d->uuid, 0,
               "%s cannot leave host %s: %.110s", d->name, xha_cl_host_name(cl, d->owner), why);
}

/* The next one to leave, with where to; NULL: none can now. */
static struct cl_dom *next_out(struct xha_cluster *cl, uint8_t host, uint8_t *target_r, bool *left_r)
{
    struct cl_state *st = cl->st;
    struct cl_dom *best = NULL;

    *left_r = false;
    for (uint32_t i = st->host[host].owned.head; i != NONE32; i = st->dom[i].link[CL_L_OWNED].next) {
        struct cl_dom *d = &st->dom[i];
        char why[XHA_TEXT_MAX] = "its policy says relocate = false";
        uint8_t target = XHA_HOST_NONE;

        if (!d->want_run && !xha_cl_runs(d))
            continue;
        *left_r = true;
        if (!movable(d) || (best && d->policy.priority <= best->policy.priority))
            continue;
        if (d->needs.relocate)
            target = xha_cl_move_target(cl, d, d->home != host ? d->home : XHA_HOST_NONE, why, sizeof why);
        if (target == XHA_HOST_NONE) {
            cannot(cl, d, why);
            continue;
        }
        best = d;
        *target_r = target;
    }
    return best;
}

static void evacuate(struct xha_cluster *cl, uint8_t host)
{
    struct cl_lead_host *eye = &cl->eye[host];
    const struct cl_host *h = &cl->st->host[host];
    struct cl_dom *d;
    uint8_t target;
    bool left;

    if (eye->evac_flies || h->moving_out >= parallel(cl) || eye->evacuated_said)
        return;
    if (before(cl->now, eye->evacuate_next)) {
        xha_cl_next(cl, eye->evacuate_next);
        return;
    }
    d = next_out(cl, host, &target, &left);
    if (d) {
        propose(cl, d, target, XHA_MOVE_BY_MAINTENANCE);
        return;
    }
    eye->evacuate_next.ms = cl->now.ms + CL_EVACUATE_MS;
    xha_cl_next(cl, eye->evacuate_next);
    if (left)
        return;
    eye->evacuated_said = true;
    xha_cl_note(cl, XHA_CC_EVACUATED, host, NULL, "host %s is empty", xha_cl_host_name(cl, host));
}

/* One that has its home here and runs elsewhere. */
static void fetch(struct xha_cluster *cl, uint8_t host)
{
    struct cl_lead_host *eye = &cl->eye[host];
    const struct cl_host *h = &cl->st->host[host];

    if (h->homed.head == NONE32 || h->moving_in >= parallel(cl))
        return;
    if (before(cl->now, eye->evacuate_next)) {
        xha_cl_next(cl, eye->evacuate_next);
        return;
    }
    for (uint32_t i = h->homed.head; i != NONE32; i = cl->st->dom[i].link[CL_L_HOMED].next) {
        struct cl_dom *d = &cl->st->dom[i];

        if (!movable(d) || !xha_needs_relocates(&d->needs) || d->report.state != XHA_ST_RUNNING ||
            cl->eye[d->owner].evac_flies || xha_cl_may_move(cl, d, host) ||
            !xha_cl_place_may(cl, d, host, NULL, 0))
            continue;
        propose(cl, d, host, XHA_MOVE_BY_FAILBACK);
        return;
    }
    eye->evacuate_next.ms = cl->now.ms + CL_EVACUATE_MS;
    xha_cl_next(cl, eye->evacuate_next);
}

void xha_cl_move_lead(struct xha_cluster *cl)
{
    end_hopeless(cl);
    for (xha_hostset rest = cl->st->members; rest; rest &= rest - 1) {
        uint8_t host = cl_lowest(rest);

        if (cl->st->host[host].state != XHA_HOST_IN)
            continue;
        if (cl->st->host[host].maintenance)
            evacuate(cl, host);
        else
            fetch(cl, host);
    }
}

/*
 * cl_say.c - what this host has to say of itself and of its domains. The node says it once; here it is kept until
 * it was applied or no longer matters, and said again after each sync.
 */
#include "cl_internal.h"

#include <stdio.h>

static void to_say(struct xha_cluster *cl, struct cl_dom *d)
{
    if (d->link[CL_L_SAY].in != &cl->st->flown)
        xha_cl_append(cl->st, &cl->st->say, CL_L_SAY, d);
}

/* ---- from the node ---- */

static int take_report(struct xha_cluster *cl, const struct xha_cluster_event *ev)
{
    const struct xha_report *r = &ev->u.report;
    struct cl_dom *d = xha_cl_find(cl->st, &ev->uuid);

    if (!d)
        return XHA_CORE_E_NODOMAIN;
    if ((uint32_t)r->state >= XHA_ST_N_ || (uint32_t)r->purpose >= XHA_FOR_N_ ||
        (uint32_t)r->failure >= XHA_FAIL_N_ || (uint32_t)r->cause >= XHA_CAUSE_N_)
        return XHA_CORE_E_INVAL;
    d->mine = *r;
    d->mine.uuid = ev->uuid;
    d->mine.term = d->mine_term = ev->term;
    to_say(cl, d);
    return XHA_CORE_OK;
}

int xha_cl_fact(struct xha_cluster *cl, const struct xha_cluster_event *ev)
{
    struct cl_dom *d;

    if (ev->type == XHA_CEV_REPORT)
        return take_report(cl, ev);
    d = xha_cl_find(cl->st, &ev->uuid);
    if (!d)
        return XHA_CORE_E_NODOMAIN;
    d->fact_term = ev->term;
    if (ev->type == XHA_CEV_GIVE) {
        if ((uint32_t)ev->u.give.cause >= XHA_CAUSE_N_)
            return XHA_CORE_E_INVAL;
        d->fact = CL_FACT_GIVE;
        d->fact_cause = ev->u.give.cause;
        d->fact_detail = ev->u.give.detail;
        d->fact_want_run = ev->u.give.want_run;
        d->fact_prefer = ev->u.give.prefer < XHA_HOSTS_MAX ? ev->u.give.prefer : XHA_HOST_NONE;
    } else if (ev->type >= XHA_CEV_PAIR_LISTENS && ev->type <= XHA_CEV_PROMOTE) {
        d->fact = (enum cl_fact)(CL_FACT_LISTENS + (ev->type - XHA_CEV_PAIR_LISTENS));
        d->fact_id = ev->u.pair.id;
        d->fact_port = ev->u.pair.port;
        d->fact_want_run = ev->u.pair.want_run;
        snprintf(d->fact_text, sizeof d->fact_text, "%.63s", ev->u.pair.text);
    } else {
        d->fact = ev->type == XHA_CEV_MOVE_READY      ? CL_FACT_READY
                  : ev->type == XHA_CEV_MOVE_RESTORED ? CL_FACT_RESTORED
                                                      : CL_FACT_FAILED;
        d->fact_id = ev->u.move.id;
        d->fact_port = ev->u.move.port;
        snprintf(d->fact_text, sizeof d->fact_text, "%.63s", ev->u.move.text);
    }
    to_say(cl, d);
    return XHA_CORE_OK;
}

/* ---- what of it the state lacks ---- */

static bool same_report(const struct xha_report *a, const struct xha_report *b)
{
    return a->term == b->term && a->state == b->state && a->purpose == b->purpose &&
           a->failure == b->failure && a->cause == b->cause && a->detail == b->detail &&
           a->domid == b->domid && a->recoveries == b->recoveries && a->want_run == b->want_run &&
           a->maintenance == b->maintenance && a->ever_beat == b->ever_beat;
}

bool xha_cl_report_lacks(const struct xha_cluster *cl, const struct cl_dom *d)
{
    return d->mine_term && d->phase != XHA_PH_FREE && d->owner == cl->self && d->term == d->mine_term &&
           !same_report(&d->mine, &d->report);
}

/* The conditions of cl_apply.c: what would have no effect is not said. */
static bool fact_lacks(const struct xha_cluster *cl, const struct cl_dom *d)
{
    bool here = cl->st->host[cl->self].state == XHA_HOST_IN;
    bool move = d->phase == XHA_PH_MOVING && d->move.id == d->fact_id && d->term == d->fact_term;
    bool pair = d->pair.id && d->pair.id == d->fact_id && d->term == d->fact_term;

    switch (d->fact) {
    case CL_FACT_NONE:
        return false;
    case CL_FACT_GIVE:
        return d->phase != XHA_PH_FREE && d->owner == cl->self && d->term == d->fact_term;
    case CL_FACT_READY:
        return move && here && d->move.target == cl->self && d->move.stage == XHA_MOVE_ORDERED;
    case CL_FACT_RESTORED:
        return move && here && d->move.target == cl->self;
    case CL_FACT_LISTENS:
        return pair && here && d->pair.backup == cl->self && d->pair.stage == XHA_PAIR_ORDERED;
    case CL_FACT_PROTECTED:
        return pair && d->owner == cl->self && d->pair.stage == XHA_PAIR_SYNCING;
    case CL_FACT_PAIR_END:
        return pair && ((d->owner == cl->self && d->phase != XHA_PH_FREE) || d->pair.backup == cl->self);
    case CL_FACT_PROMOTE:
        return pair && here && d->pair.backup == cl->self && d->pair.stage == XHA_PAIR_PROTECTED;
    default: /* FAILED */
        return move && (d->owner == cl->self || d->move.target == cl->self);
    }
}

/* ---- said ---- */

static void say_fact(struct xha_cluster *cl, struct cl_dom *d)
{
    static const enum cl_type types[] = { [CL_FACT_GIVE] = CL_GIVE,
                                          [CL_FACT_READY] = CL_MOVE_READY,
                                          [CL_FACT_RESTORED] = CL_MOVE_RESTORED,
                                          [CL_FACT_FAILED] = CL_MOVE_END,
                                          [CL_FACT_LISTENS] = CL_PAIR_LISTENS,
                                          [CL_FACT_PROTECTED] = CL_PAIR_PROTECTED,
                                          [CL_FACT_PAIR_END] = CL_PAIR_END,
                                          [CL_FACT_PROMOTE] = CL_PROMOTE };
    struct cl_message *m = xha_cl_put(cl);

    m->uuid = d->uuid;
    m->term = d->fact_term;
    if (d->fact == CL_FACT_GIVE) {
        m->u.give.cause = d->fact_cause;
        m->u.give.detail = d->fact_detail;
        m->u.give.want_run = d->fact_want_run;
        m->u.give.prefer = d->fact_prefer;
    } else if (d->fact >= CL_FACT_LISTENS) {
        m->u.pair.id = d->fact_id;
        m->u.pair.port = d->fact_port;
        m->u.pair.want_run = d->fact_want_run;
        snprintf(m->u.pair.text, sizeof m->u.pair.text, "%s", d->fact_text);
    } else {
        m->u.move.id = d->fact_id;
        m->u.move.port = d->fact_port;
        snprintf(m->u.move.text, sizeof m->u.move.text, "%s", d->fact_text);
    }
    xha_cl_send(cl, types[d->fact]);
}

static void say_host(struct xha_cluster *cl)
{
    struct cl_host *h = &cl->st->host[cl->self];
    struct xha_host_info own;
    bool clears = h->state == XHA_HOST_DEPOSED && cl->cleared;
    uint8_t a[1280], b[1280];
    size_t a_len, b_len;

    if (cl->info_at == cl->st->host_changes)
        return;
    if (h->state == XHA_HOST_IN)
        cl->cleared = false;
    if (cl->info_flies || (h->state != XHA_HOST_IN && !clears))
        return;
    xha_cl_own_info(cl, &own);
    a_len = xha_cl_info_bytes(&own, a, sizeof a);
    b_len = xha_cl_info_bytes(&h->info, b, sizeof b);
    if (!clears && a_len == b_len && !memcmp(a, b, a_len)) {
        cl->info_at = cl->st->host_changes;
        return;
    }
    if (!xha_cl_may_fly(cl))
        return;
    struct cl_message *m = xha_cl_put(cl);
    m->u.info.info = own;
    m->u.info.cleared = clears;
    cl->info_flies = true;
    xha_cl_send(cl, CL_HOST);
}

/* Facts of those at the head of the list, each in a message of its own. */
static bool say_facts(struct xha_cluster *cl)
{
    struct cl_state *st = cl->st;
    uint32_t n = 0;

    for (uint32_t i = st->say.head, next; i != NONE32 && n < CL_REPORTS_MAX; i = next, n++) {
        struct cl_dom *d = &st->dom[i];

        next = d->link[CL_L_SAY].next;
        if (!d->fact)
            continue;
        if (!fact_lacks(cl, d)) {
            d->fact = CL_FACT_NONE;
            continue;
        }
        if (!xha_cl_may_fly(cl))
            return false;
        say_fact(cl, d);
        xha_cl_append(st, &st->flown, CL_L_SAY, d);
    }
    return true;
}

static void say_reports(struct xha_cluster *cl)
{
    struct cl_state *st = cl->st;
    struct cl_message *m = xha_cl_put(cl);
    uint32_t n = 0;

    for (uint32_t i; (i = st->say.head) != NONE32 && n < CL_REPORTS_MAX;) {
        struct cl_dom *d = &st->dom[i];

        if (d->fact)
            break;
        if (xha_cl_report_lacks(cl, d)) {
            m->u.report.item[n++] = d->mine;
            xha_cl_append(st, &st->flown, CL_L_SAY, d);
        } else {
            xha_cl_remove(st, CL_L_SAY, d);
        }
    }
    if (!n)
        return;
    m->u.report.n = n;
    cl->flying++;
    xha_cl_send(cl, CL_REPORT);
}

void xha_cl_facts_say(struct xha_cluster *cl)
{
    say_host(cl);
    while (cl->st->say.head != NONE32) {
        if (!say_facts(cl) || cl->flying >= CL_FLYING_MAX || !xha_cl_room(cl, 2, XHA_MESSAGE_MAX))
            return;
        say_reports(cl);
    }
}

/* ---- applied, or lost with the epoch ---- */

static void again(struct xha_cluster *cl, struct cl_dom *d)
{
    if (d && d->link[CL_L_SAY].in == &cl->st->flown)
        xha_cl_append(cl->st, &cl->st->say, CL_L_SAY, d);
}

void xha_cl_own_applied(struct xha_cluster *cl, const struct cl_message *m)
{
    if (m->type == CL_HOST)
        cl->info_flies = false;
    else if (m->type == CL_REPORT)
        for (uint32_t i = 0; i < m->u.report.n; i++)
            again(cl, xha_cl_find(cl->st, &m->u.report.item[i].uuid));
    else if (m->type >= CL_GIVE)
        again(cl, xha_cl_find(cl->st, &m->uuid));
}

void xha_cl_say_again(struct xha_cluster *cl)
{
    while (cl->st->flown.head != NONE32)
        again(cl, &cl->st->dom[cl->st->flown.head]);
    for (uint32_t h = 0; h < XHA_HOSTS_MAX; h++)
        cl->eye[h].done_flies = false;
}

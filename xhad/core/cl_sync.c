/*
 * cl_sync.c - after each change of the view: who has the newest state, its way to those who lack it, and the
 * new epoch.
 *
 *   HELLO   each member says what it has. With the last one all know the winner, in the same place of the order.
 *   STATE   the winner sends its state when somebody has another one.
 *   READY   each has promised the new epoch durably, and holds the winner's state durably.
 *
 * The epoch begins with the last READY. It is above every epoch that a member has promised before, so two views
 * that share a member never begin the same epoch, and what a host applied in an epoch is known to be promised
 * by all of its view: a later quorate view, having one of them, begins a higher one. That is why (epoch, index)
 * orders states, as a term does in Raft.
 *
 * Where quorate views need not share a member (two_node, a device as tie breaker), epochs alone do not order them:
 *   - an epoch counts as `settled` once its view has been (cl_commit.c); nothing was committed in one that was
 *     not, so the settled epoch is compared before the epoch;
 *   - a state that does not know the present boot of a host which lives on by its own state is older than that,
 *     whatever its numbers say: it is from a life before.
 *
 * Whoever wants to say something new says HELLO in the next round, and all start over.
 */
#include "cl_internal.h"

static void hellos(struct xha_cluster *cl)
{
    cl->phase = CL_HELLOS;
    cl->fresh = cl->ready = 0;
    cl->out_state.active = cl->loading = cl->ready_said = false;
}

void xha_cl_view(struct xha_cluster *cl, const struct xha_view_change *view)
{
    cl->view = *view;
    cl->viewed = cl->now;
    cl->view.nodes |= view->members;
    cl->round = cl->round_wanted = 0;
    cl->hello_said = false;
    cl->mute = 0;
    hellos(cl);
    xha_cl_request_owners(cl, view->members);
    if (!cl_in(view->members, cl->self))
        cl->phase = CL_NO_VIEW;
}

void xha_cl_hello_again(struct xha_cluster *cl)
{
    if (cl->phase == CL_NO_VIEW)
        return;
    cl->round_wanted = cl->hello_said && cl->hello_round >= cl->round ? cl->hello_round + 1 : cl->round;
}

void xha_cl_own_info(const struct xha_cluster *cl, struct xha_host_info *info_r)
{
    const struct cl_host *h = &cl->st->host[cl->self];

    *info_r = cl->info;
    info_r->incarnation.generation =
        xha_cl_same_boot(&info_r->incarnation, &h->info.incarnation) ? h->info.incarnation.generation : 0;
}

/* Lives on by this very state: nothing that it runs is unknown to it. One that took part in no settled view since
 * it booted was given nothing to run. */
static bool lives(const struct xha_cluster *cl)
{
    const struct cl_host *h = &cl->st->host[cl->self];

    return cl->st->rank.epoch && (h->state == XHA_HOST_IN || h->state == XHA_HOST_LOST) &&
           xha_cl_same_boot(&h->lived, &cl->info.incarnation);
}

static void say_hello(struct xha_cluster *cl)
{
    struct cl_hello *v = &xha_cl_put(cl)->u.hello;

    memset(v, 0, sizeof *v);
    v->view = cl->view.id;
    v->round = cl->round_wanted > cl->round ? cl->round_wanted : cl->round;
    v->promised = cl->promised;
    v->max_domains = cl->set.max_domains;
    v->quorate = cl->quorate;
    v->leaving = cl->leaving;
    xha_cl_own_info(cl, &v->info);
    if (!cl->distrust) {
        v->n_domains = cl->st->n;
        v->rank = cl->st->rank;
        v->hash = xha_cl_hash_all(cl->st);
        v->live = lives(cl);
        for (uint32_t h = 0; h < XHA_HOSTS_MAX; h++) {
            if (cl->st->host[h].state == XHA_HOST_UNKNOWN)
                continue;
            v->known |= BIT(h);
            v->incarnation[h] = cl->st->host[h].lived;
        }
    }
    cl->hello_said = true;
    cl->hello_round = v->round;
    xha_cl_send(cl, CL_HELLO);
}

/* ---- who wins ---- */

static bool knows(const struct cl_hello *v, xha_hostset live, const struct cl_hello *all)
{
    for (; live; live &= live - 1) {
        uint8_t h = cl_lowest(live);

        if (!cl_in(v->known, h) || !xha_cl_same_boot(&v->incarnation[h], &all[h].info.incarnation))
            return false;
    }
    return true;
}

static bool newer(const struct cl_rank *a, const struct cl_rank *b)
{
    if (a->settled != b->settled)
        return a->settled > b->settled;
    return a->epoch != b->epoch ? a->epoch > b->epoch : a->index > b->index;
}

static uint8_t best(const struct xha_cluster *cl, xha_hostset of, xha_hostset live, bool strict)
{
    uint8_t win = XHA_HOST_NONE;

    for (; of; of &= of - 1) {
        uint8_t h = cl_lowest(of);

        if (strict && !knows(&cl->hello[h], live, cl->hello))
            continue;
        if (win == XHA_HOST_NONE || newer(&cl->hello[h].rank, &cl->hello[win].rank))
            win = h;
    }
    return win;
}

static bool differs(const struct cl_hello *a, const struct cl_hello *b)
{
    return a->hash != b->hash || a->rank.settled != b->rank.settled || a->rank.epoch != b->rank.epoch ||
           a->rank.index != b->rank.index;
}

/* ---- promise and begin ---- */

static void readying(struct xha_cluster *cl)
{
    cl->phase = CL_READYING;
    if (cl->promised < cl->sync.epoch)
        cl->promised = cl->sync.epoch;
    cl->promise_lsn = UINT64_MAX;
    if (cl->loading)
        cl->dump_wanted = true; /* the promise goes with it */
    else
        xha_cl_log_promise(cl);
}

static void make_sync(struct xha_cluster *cl, xha_hostset members, xha_hostset live)
{
    struct cl_sync *s = &cl->sync;

    s->epoch = 0;
    s->members = members;
    s->live = live;
    s->nodes = cl->view.nodes;
    s->leaving = 0;
    for (xha_hostset rest = members; rest; rest &= rest - 1) {
        uint8_t h = cl_lowest(rest);

        s->info[h] = cl->hello[h].info;
        s->max_domains[h] = cl->hello[h].max_domains;
        if (cl->hello[h].leaving)
            s->leaving |= BIT(h);
        if (cl->hello[h].promised > s->epoch)
            s->epoch = cl->hello[h].promised;
        if (cl->hello[h].rank.epoch > s->epoch)
            s->epoch = cl->hello[h].rank.epoch;
    }
    s->epoch++;
}

static void go_mute(struct xha_cluster *cl, const char *why)
{
    cl->phase = CL_MUTE;
    xha_cl_say(cl, XHA_SEV_CRITICAL, XHA_CC_VERSION, cl->self, NULL, 0, "%s", why);
}

static void decide(struct xha_cluster *cl)
{
    xha_hostset members = cl->view.members & ~cl->mute, live = 0, other = 0, small = 0, rest;

    for (rest = members; rest; rest &= rest - 1)
        if (cl->hello[cl_lowest(rest)].live)
            live |= rest & -rest;
    cl->winner = best(cl, members, live, true);
    if (cl->winner == XHA_HOST_NONE)
        cl->winner = best(cl, members, live, false);
    for (rest = members; rest; rest &= rest - 1) {
        uint8_t h = cl_lowest(rest);

        if (cl->hello[h].max_domains < cl->hello[cl->winner].n_domains)
            small |= BIT(h);
        else if (differs(&cl->hello[h], &cl->hello[cl->winner]))
            other |= BIT(h);
    }
    cl->mute |= small;
    if (cl_in(small, cl->self)) {
        go_mute(cl, "max_domains of this host is less than the cluster's domains: it takes no part until it "
                    "is raised in xhad.conf and xhad is restarted");
        return;
    }
    cl->loads = other;
    make_sync(cl, members & ~small, live & ~small);
    if (!other) {
        readying(cl);
        return;
    }
    cl->phase = CL_LOADING;
    cl->state_seq = 0;
    cl->loading = cl_in(other, cl->self);
    cl->out_state.active = cl->winner == cl->self;
    cl->out_state.stage = cl->out_state.at = cl->out_seq = 0;
}

static void perhaps(struct xha_cluster *cl)
{
    xha_hostset members = cl->view.members & ~cl->mute;

    if (cl->phase != CL_HELLOS || (cl->fresh & members) != members || !members)
        return;
    for (xha_hostset rest = members; rest; rest &= rest - 1)
        if (!cl->hello[cl_lowest(rest)].quorate)
            return;
    if (cl_in(cl->mute, cl->self))
        return;
    /* Of two halves that do not understand each other the one with the lowest host goes on. */
    if (2 * cl_count(members) < cl_count(cl->view.members) ||
        (2 * cl_count(members) == cl_count(cl->view.members) &&
         cl_lowest(members) != cl_lowest(cl->view.members))) {
        go_mute(cl,
                "most hosts speak another version of xhad's messages: this host takes no part; bring all to "
                "the same xhad");
        return;
    }
    decide(cl);
}

void xha_cl_mute(struct xha_cluster *cl, uint8_t host)
{
    if (cl_in(cl->mute, host) || !cl_in(cl->view.members, host) || cl->phase == CL_SYNCED)
        return;
    cl->mute |= BIT(host);
    perhaps(cl);
}

/* ---- what is delivered ---- */

void xha_cl_hello(struct xha_cluster *cl, const struct cl_message *m)
{
    const struct cl_hello *v = &m->u.hello;

    if (cl->phase == CL_NO_VIEW || v->view != cl->view.id || v->round < cl->round || v->round == UINT32_MAX)
        return;
    if (v->round > cl->round) {
        cl->round = v->round;
        hellos(cl);
    }
    if (cl->phase != CL_HELLOS)
        return;
    cl->hello[m->from] = *v;
    cl->fresh |= BIT(m->from);
    perhaps(cl);
}

void xha_cl_state(struct xha_cluster *cl, const struct cl_message *m)
{
    bool done = false;

    if (cl->phase != CL_LOADING || m->from != cl->winner || m->u.state.view != cl->view.id ||
        m->u.state.round != cl->round || m->u.state.seq != cl->state_seq)
        return;
    cl->state_seq++;
    if (cl->loading && (xha_cl_load(cl, m->u.state.bytes, m->u.state.len, m->u.state.seq == 0, &done) ||
                        done != m->u.state.last)) {
        xha_cl_say(cl, XHA_SEV_CRITICAL, XHA_CC_HASH_DIFFERS, m->from, NULL, 0,
                   "the state that host %s sent cannot be read here; restart xhad on both",
                   xha_cl_host_name(cl, m->from));
        cl->phase = CL_MUTE;
        return;
    }
    if (!m->u.state.last)
        return;
    if (cl->loading) {
        xha_cl_adopt(cl);
        cl->distrust = false;
    }
    readying(cl);
}

void xha_cl_ready(struct xha_cluster *cl, const struct cl_message *m)
{
    if (cl->phase != CL_READYING || m->u.ready.view != cl->view.id || m->u.ready.round != cl->round ||
        m->u.ready.epoch != cl->sync.epoch)
        return;
    cl->ready |= BIT(m->from);
    if ((cl->ready & cl->sync.members) != cl->sync.members)
        return;
    cl->phase = CL_SYNCED;
    cl->st->rank.index++;
    xha_cl_log_sync(cl);
    xha_cl_apply_sync(cl, &cl->sync);
    xha_cl_watch_synced(cl);
    cl->flying = 0;
    cl->check_flies = cl->hash_owed = cl->info_flies = false;
    cl->check_index = cl->st->rank.index;
    cl->check_at.ms = cl->now.ms + CL_CHECK_MS;
    memset(cl->acked, 0, sizeof cl->acked);
    cl->ack_said = 0;
    xha_cl_lead_again(cl);
    xha_cl_request_synced(cl);
    xha_cl_say_again(cl);
}

/* ---- what is said ---- */

static void say_state(struct xha_cluster *cl)
{
    while (cl->out_state.active && xha_cl_room(cl, 2, 2 * XHA_MESSAGE_MAX)) {
        uint8_t *chunk = cl->arena + CL_ARENA - CL_CHUNK; /* its end is free: there is room for two */
        struct cl_message *m = xha_cl_put(cl);

        m->u.state.view = cl->view.id;
        m->u.state.round = cl->round;
        m->u.state.seq = cl->out_seq++;
        m->u.state.len =
            (uint32_t)xha_cl_chunk(cl, &cl->out_state.stage, &cl->out_state.at, chunk, &m->u.state.last);
        m->u.state.bytes = chunk;
        cl->out_state.active = !m->u.state.last;
        xha_cl_send(cl, CL_STATE);
    }
}

static void say_ready(struct xha_cluster *cl)
{
    struct cl_message *m = xha_cl_put(cl);

    m->u.ready.view = cl->view.id;
    m->u.ready.round = cl->round;
    m->u.ready.epoch = cl->sync.epoch;
    cl->ready_said = true;
    xha_cl_send(cl, CL_READY);
}

/* Few, where quorum needs many, or new: the word that it is lost may be on its way, and nothing is to be settled, or
 * founded, without it. */
static bool too_soon(struct xha_cluster *cl)
{
    struct xha_time at = { cl->viewed.ms + CL_HOLD_MS };

    xha_cl_know(cl->st);
    if (!before(cl->now, at) ||
        (cl->st->rank.settled &&
         (!cl->exclusive || 2 * cl_count(cl->view.members) > cl_count(cl->st->known | cl->view.members))))
        return false;
    xha_cl_next(cl, at);
    return true;
}

void xha_cl_sync_say(struct xha_cluster *cl)
{
    uint32_t wanted = cl->round_wanted > cl->round ? cl->round_wanted : cl->round;

    if (cl->phase == CL_NO_VIEW || !cl->have_info || too_soon(cl))
        return;
    if ((!cl->hello_said || cl->hello_round < wanted) && xha_cl_room(cl, 2, XHA_MESSAGE_MAX))
        say_hello(cl);
    if (cl->phase == CL_LOADING && cl->winner == cl->self)
        say_state(cl);
    if (cl->phase == CL_READYING && !cl->ready_said && cl->stored_lsn >= cl->promise_lsn &&
        xha_cl_room(cl, 2, XHA_MESSAGE_MAX))
        say_ready(cl);
}

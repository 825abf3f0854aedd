/*
 * cl_commit.c - what may be acted upon, and what shows that all is in order: acknowledgements, the settled view,
 * pulses, hashes compared.
 *
 * Committed is what every member of the synced view has stored and said so, while the view is settled and this
 * host quorate. What was committed once stays so.
 */
#include "cl_internal.h"

/* ---- settled ---- */

/*
 * Fewer than half, all others fenced: enough as long as no corosync of theirs is back. With it quorum may rest on
 * hosts that do not know that they were fenced; were they to go on without us, they would be the majority.
 */
static bool enough(const struct cl_state *st)
{
    return 2 * cl_count(st->members) >= cl_count(st->known | st->members) || !(st->nodes & ~st->members);
}

/*
 * A state that nobody has shared yet is founded by all whose corosync is there: some of them might have founded one
 * without the others. New hosts do not count before they have taken part: they have nothing to remember.
 */
static void count(struct cl_state *st)
{
    xha_hostset lived = 0;

    for (xha_hostset rest = st->known; rest; rest &= rest - 1)
        if (!xha_cl_same_boot(&st->host[cl_lowest(rest)].lived, &(struct xha_incarnation){ 0 }))
            lived |= rest & -rest;
    st->founded = lived || !(st->nodes & ~st->members);
    st->majority = 2 * cl_count(st->members) > cl_count(st->known | st->members) &&
                   (!lived || 2 * cl_count(st->members & lived) > cl_count(lived));
}

void xha_cl_know(struct cl_state *st)
{
    xha_hostset fenced;

    if (st->known_at == st->host_changes)
        return;
    st->known_at = st->host_changes;
    st->known = ~(xha_cl_hosts(st, XHA_HOST_UNKNOWN) | xha_cl_hosts(st, XHA_HOST_LEFT));
    st->lost = xha_cl_hosts(st, XHA_HOST_LOST);
    fenced = xha_cl_hosts(st, XHA_HOST_FENCED);
    count(st);
    st->settled = st->founded && (st->majority || (enough(st) && !(st->known & ~st->members & ~fenced)));
}

bool xha_cl_majority(struct cl_state *st)
{
    xha_cl_know(st);
    return st->majority;
}

bool xha_cl_settled(struct cl_state *st)
{
    xha_cl_know(st);
    return st->settled;
}

void xha_cl_mark_settled(struct xha_cluster *cl)
{
    if (!xha_cl_settled(cl->st))
        return;
    cl->st->rank.settled = cl->st->rank.epoch;
    for (xha_hostset rest = cl->st->members; rest; rest &= rest - 1) {
        uint8_t h = cl_lowest(rest);

        cl->st->host[h].lived = cl->st->host[h].info.incarnation;
        xha_cl_hash_host(cl->st, h);
    }
}

/* ---- acknowledged ---- */

void xha_cl_stored(struct xha_cluster *cl, uint64_t lsn)
{
    if (lsn > cl->stored_lsn && lsn <= cl->lsn)
        cl->stored_lsn = lsn;
}

/* The index up to which all is durable here; 0 while that is not known. */
uint64_t xha_cl_durable(const struct xha_cluster *cl)
{
    uint64_t index;

    if (cl->stored_lsn < cl->base_lsn)
        return 0;
    index = cl->base_index + (cl->stored_lsn - cl->base_lsn);
    return index < cl->st->rank.index ? index : cl->st->rank.index;
}

void xha_cl_commit(struct xha_cluster *cl)
{
    uint64_t least = UINT64_MAX;

    if (!xha_cl_synced(cl) || !cl->quorate || !xha_cl_settled(cl->st))
        return;
    for (xha_hostset rest = cl->st->members; rest; rest &= rest - 1)
        if (cl->acked[cl_lowest(rest)] < least)
            least = cl->acked[cl_lowest(rest)];
    if (least > cl->committed && least != UINT64_MAX)
        cl->committed = least;
}

void xha_cl_ack(struct xha_cluster *cl, const struct cl_message *m)
{
    if (m->u.index > cl->st->rank.index || m->u.index <= cl->acked[m->from])
        return;
    cl->acked[m->from] = m->u.index;
}

static void say_ack(struct xha_cluster *cl)
{
    uint64_t durable = xha_cl_durable(cl);

    /* One at a time: the next one says all that has become durable meanwhile. */
    if (durable <= cl->ack_said || cl->acked[cl->self] < cl->ack_said || !xha_cl_room(cl, 2, XHA_MESSAGE_MAX))
        return;
    xha_cl_put(cl)->u.index = cl->ack_said = durable;
    xha_cl_send(cl, CL_ACK);
}

static void tell_changed(struct xha_cluster *cl)
{
    struct cl_state *st = cl->st;

    while (st->changed.head != NONE32) {
        struct cl_dom *d = &st->dom[st->changed.head];

        if (d->changed > cl->committed || !xha_cl_room(cl, 2, 0))
            break;
        struct xha_cluster_action *a = xha_cl_action(cl, XHA_CACT_CHANGED);

        a->uuid = d->uuid;
        a->host = d->dropped ? d->gone_owner : XHA_HOST_NONE;
        a->u.gone.term = d->dropped && d->gone_owner != XHA_HOST_NONE ? d->gone_term : 0;
        xha_cl_remove(st, CL_L_CHANGED, d);
        if (d->dropped)
            xha_cl_release(st, d);
    }
}

/* ---- pulses ---- */

static struct xha_span poke(const struct xha_cluster *cl)
{
    int64_t ms = cl->st->policy.timing.poke.ms;

    return (struct xha_span){ ms > 0 ? ms : CL_PULSE_MS };
}

void xha_cl_pulse(struct xha_cluster *cl, const struct cl_message *m)
{
    cl->eye[m->from].pulsed = cl->now;
    cl->eye[m->from].quiet_said = false;
    if (m->from == cl->self && m->u.pulse > cl->pulse_back.ms && m->u.pulse <= cl->now.ms)
        cl->pulse_back.ms = m->u.pulse;
}

bool xha_cluster_may_poke(const struct xha_cluster *cl)
{
    return cl->quorate && cl->phase != CL_NO_VIEW && cl->pulse_back.ms >= 0 &&
           cl->now.ms - cl->pulse_back.ms < 2 * poke(cl).ms;
}

static void say_pulse(struct xha_cluster *cl)
{
    struct xha_time due = cl->pulse_sent.ms < 0 ? cl->now : after(cl->pulse_sent, poke(cl));

    if (!before(cl->now, due) && xha_cl_room(cl, 2, XHA_MESSAGE_MAX)) {
        cl->pulse_sent = cl->now;
        xha_cl_put(cl)->u.pulse = cl->now.ms;
        xha_cl_send(cl, CL_PULSE);
        due = after(cl->now, poke(cl));
    }
    xha_cl_next(cl, due);
}

/* A member that is there and says nothing: what is ordered waits for it. */
static void quiet(struct xha_cluster *cl)
{
    for (xha_hostset rest = cl->st->members & ~BIT(cl->self); rest; rest &= rest - 1) {
        uint8_t h = cl_lowest(rest);
        struct cl_lead_host *eye = &cl->eye[h];

        if (eye->pulsed.ms == INT64_MAX)
            eye->pulsed = cl->now;
        if (eye->quiet_said || cl->now.ms - eye->pulsed.ms <= 3 * poke(cl).ms)
            continue;
        eye->quiet_said = true;
        xha_cl_say(cl, XHA_SEV_CRITICAL, XHA_CC_XHAD_GONE, h, NULL, 1,
                   "xhad of host %s does not answer: nothing is decided until it does, or its watchdog has "
                   "fired; look at it there",
                   xha_cl_host_name(cl, h));
    }
}

/* ---- hashes ---- */

void xha_cl_check(struct xha_cluster *cl)
{
    cl->check_flies = false;
    cl->check_index = cl->st->rank.index;
    cl->check_at.ms = cl->now.ms + CL_CHECK_MS;
    cl->hash_now = xha_cl_hash_all(cl->st);
    cl->hashed = 0;
    cl->hash_owed = true;
}

static uint64_t common(const struct xha_cluster *cl)
{
    uint64_t best_hash = 0;
    uint32_t most = 0;

    for (xha_hostset a = cl->st->members; a; a &= a - 1) {
        uint32_t n = 0;

        for (xha_hostset b = cl->st->members; b; b &= b - 1)
            n += cl->hash_of[cl_lowest(a)] == cl->hash_of[cl_lowest(b)];
        if (n > most) { /* of equals the lowest host's */
            most = n;
            best_hash = cl->hash_of[cl_lowest(a)];
        }
    }
    return best_hash;
}

void xha_cl_hash_told(struct xha_cluster *cl, const struct cl_message *m)
{
    uint64_t right;

    if (m->u.hash.index != cl->check_index)
        return;
    cl->hash_of[m->from] = m->u.hash.hash;
    cl->hashed |= BIT(m->from);
    if ((cl->hashed & cl->st->members) != cl->st->members)
        return;
    right = common(cl);
    for (xha_hostset rest = cl->st->members; rest; rest &= rest - 1) {
        uint8_t h = cl_lowest(rest);

        if (cl->hash_of[h] == right)
            continue;
        xha_cl_say(cl, XHA_SEV_CRITICAL, XHA_CC_HASH_DIFFERS, h, NULL, 0,
                   "the cluster's state on host %s differs from the others'; it takes theirs; please report "
                   "this as a bug of xhad",
                   xha_cl_host_name(cl, h));
        if (h == cl->self) {
            cl->distrust = true;
            xha_cl_hello_again(cl);
        }
    }
    cl->hashed = 0;
}

static void compare(struct xha_cluster *cl)
{
    if (cl->hash_owed && xha_cl_room(cl, 2, XHA_MESSAGE_MAX)) {
        struct cl_message *m = xha_cl_put(cl);

        cl->hash_owed = false;
        m->u.hash.index = cl->check_index;
        m->u.hash.hash = cl->hash_now;
        xha_cl_send(cl, CL_HASH);
    }
    if (!xha_cl_leads(cl) || cl->check_flies)
        return;
    if (cl->st->rank.index == cl->check_index) { /* nothing new since */
        cl->check_at.ms = cl->now.ms + CL_CHECK_MS;
        return;
    }
    if (cl->st->rank.index - cl->check_index < CL_CHECK_MESSAGES && before(cl->now, cl->check_at)) {
        xha_cl_next(cl, cl->check_at);
        return;
    }
    if (!xha_cl_room(cl, 2, XHA_MESSAGE_MAX))
        return;
    cl->check_flies = true;
    xha_cl_put(cl);
    xha_cl_send(cl, CL_CHECK);
}

/* ---- */

static void tell_settled(struct xha_cluster *cl)
{
    bool settled = xha_cl_settled(cl->st);

    if (settled == cl->told_settled)
        return;
    cl->told_settled = settled;
    if (!settled)
        xha_cl_say(cl, XHA_SEV_WARNING, XHA_CC_UNSETTLED, XHA_HOST_NONE, NULL, 0,
                   "too few hosts are here to know the newest state: nothing is decided until the others are "
                   "here, are fenced, or `xl-ha confirm-fenced` says that they are off");
}

/* Somebody's disk or xhad holds the others up. */
static void waits(struct xha_cluster *cl)
{
    uint8_t slowest = cl_lowest(cl->st->members);

    if (cl->committed == cl->st->rank.index || !xha_cl_settled(cl->st) || !cl->quorate) {
        cl->commit_at = XHA_TIME_NEVER;
        cl->commit_said = false;
        return;
    }
    if (cl->commit_at.ms == INT64_MAX || cl->commit_index != cl->committed) {
        cl->commit_at.ms = cl->now.ms + CL_COMMIT_MS;
        cl->commit_index = cl->committed;
    }
    if (before(cl->now, cl->commit_at)) {
        xha_cl_next(cl, cl->commit_at);
        return;
    }
    if (cl->commit_said || !xha_cl_leads(cl))
        return;
    for (xha_hostset rest = cl->st->members; rest; rest &= rest - 1)
        if (cl->acked[cl_lowest(rest)] < cl->acked[slowest])
            slowest = cl_lowest(rest);
    cl->commit_said = true;
    xha_cl_say(
        cl, XHA_SEV_CRITICAL, XHA_CC_XHAD_GONE, slowest, NULL, 2,
        "host %s has not stored what was decided for %d s: nothing new is done until it has; look at its "
        "disk and its xhad",
        xha_cl_host_name(cl, slowest), CL_COMMIT_MS / 1000);
}

static void show_armed(struct xha_cluster *cl)
{
    if (cl->st->armed || cl->st->armed_changed <= cl->committed)
        cl->armed = cl->st->armed;
}

void xha_cl_commit_say(struct xha_cluster *cl)
{
    if (cl->phase != CL_NO_VIEW)
        say_pulse(cl);
    if (!xha_cl_synced(cl))
        return;
    say_ack(cl);
    xha_cl_commit(cl);
    tell_changed(cl);
    tell_settled(cl);
    show_armed(cl);
    waits(cl);
    if (xha_cl_leads(cl))
        quiet(cl);
    compare(cl);
}

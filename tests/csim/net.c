/*
 * net.c - corosync as xhad meets it: totem rings with one order of messages each, CPG, votequorum.
 *
 * A ring stalls when a member is not heard: nothing more is ordered, and nothing that was on its way arrives,
 * but for what one side (`token`) said in the last moments: it has it, the others never see it. When the
 * detection is over each part forms a ring anew. Virtual synchrony: the members that go from one ring to the
 * next together deliver the same of the old ring first: what any of them has received in order, and beyond a
 * gap what they said themselves. What was not ordered yet goes into the new ring.
 *
 * Quorum is told beside the views, a little before or after them.
 */
#include "tests/csim/csim.h"

#include <stdlib.h>
#include <string.h>

#define DEVICE_LAG_MS 4000 /* half a heartbeat of a quorum device with its `timeout` of 10 s */
#define RINGS         (sizeof(((struct csim *)0)->ring) / sizeof(struct csim_ring))

static xha_hostset bit(int host)
{
    return (xha_hostset)1 << host;
}

static bool alive(const struct csim *cs, int h)
{
    return cs->host[h].coro && !csim_host_still(cs, h);
}

bool csim_net_link(const struct csim *cs, int a, int b)
{
    return a == b || (!(cs->cut[a] & bit(b)) && !(cs->cut[b] & bit(a)));
}

bool csim_net_together(const struct csim *cs, int a, int b)
{
    return cs->host[a].ring >= 0 && cs->host[a].ring == cs->host[b].ring &&
           !cs->ring[cs->host[a].ring].stalled;
}

/* Everybody that is listed and has power is in one ring, and heard. */
bool csim_net_whole(const struct csim *cs)
{
    int ring = -1;

    for (unsigned h = 0; h < cs->n_hosts; h++) {
        const struct csim_host *host = &cs->host[h];

        if (!host->listed || !host->power)
            continue;
        if (host->ring < 0 || cs->ring[host->ring].stalled || (ring >= 0 && ring != host->ring))
            return false;
        ring = host->ring;
    }
    return true;
}

struct parts {
    int of[XHA_HOSTS_MAX]; /* part of a host, -1: it is not alive */
    unsigned n;
    xha_hostset part[XHA_HOSTS_MAX];
};

/* Who would find each other now: in each part everybody hears everybody, both ways. */
static void parts_find(const struct csim *cs, struct parts *p)
{
    p->n = 0;
    for (unsigned i = 0; i < cs->n_hosts; i++)
        p->of[i] = -1;
    for (unsigned i = 0; i < cs->n_hosts; i++) {
        if (p->of[i] >= 0 || !alive(cs, (int)i))
            continue;
        p->of[i] = (int)p->n;
        p->part[p->n] = bit((int)i);
        for (unsigned j = i + 1; j < cs->n_hosts; j++) {
            bool all = p->of[j] < 0 && alive(cs, (int)j);

            for (unsigned k = i; k < j && all; k++)
                if (p->part[p->n] >> k & 1)
                    all = csim_net_link(cs, (int)j, (int)k);
            if (!all)
                continue;
            p->of[j] = (int)p->n;
            p->part[p->n] |= bit((int)j);
        }
        p->n++;
    }
}

static bool ring_whole(const struct csim *cs, const struct parts *p, const struct csim_ring *r)
{
    int part = -1;

    for (unsigned h = 0; h < cs->n_hosts; h++) {
        if (!(r->members >> h & 1))
            continue;
        if (p->of[h] < 0 || cs->host[h].ring != r - cs->ring || (part >= 0 && p->of[h] != part))
            return false;
        part = p->of[h];
    }
    return true;
}

/* ---- deliveries ------------------------------------------------------------------------------------------
 */

static struct csim_entry *inbox(struct csim_host *host, unsigned i)
{
    return &host->in[(host->in_from + i) % host->cap_in];
}

static void inbox_push(struct csim_host *host, const struct csim_entry *e)
{
    if (host->n_in == host->cap_in) {
        unsigned cap = host->cap_in ? 2 * host->cap_in : 64;
        struct csim_entry *in = malloc(cap * sizeof(*in));

        if (!in)
            abort();
        for (unsigned i = 0; i < host->n_in; i++)
            in[i] = *inbox(host, i);
        free(host->in);
        host->in = in;
        host->in_from = 0;
        host->cap_in = cap;
    }
    host->n_in++;
    *inbox(host, host->n_in - 1) = *e;
    if (e->blob)
        csim_blob_ref(e->blob);
}

static void inbox_clear(struct csim_host *host)
{
    for (unsigned i = 0; i < host->n_in; i++)
        csim_blob_unref(inbox(host, i)->blob);
    host->n_in = host->in_from = 0;
}

static bool receivable(const struct csim_host *host, const struct csim_entry *e)
{
    return e->arrive_ms != CSIM_NEVER && !(host->holding && e->arrive_ms > host->limit_ms);
}

static void deliver_kick(struct csim *cs, int h)
{
    struct csim_host *host = &cs->host[h];
    int64_t at;

    if (!host->n_in || !receivable(host, inbox(host, 0)))
        return;
    at = inbox(host, 0)->arrive_ms;
    at = at > cs->now_ms ? at : cs->now_ms;
    at = host->xhad_go_ms > at ? host->xhad_go_ms : at;
    if (host->deliver_due_ms >= cs->now_ms && host->deliver_due_ms <= at)
        return;
    host->deliver_due_ms = at;
    csim_in(cs, at - cs->now_ms, (struct sim_future){ .kind = (enum sim_future_kind)CSIM_F_DELIVER, .a = h });
}

static void entry_deliver(struct csim *cs, int h, const struct csim_entry *e)
{
    struct csim_host *host = &cs->host[h];
    struct xha_cluster_event ev = { .type = XHA_CEV_MESSAGE };

    if (!host->node)
        return;
    if (e->kind == CSIM_E_VIEW) {
        if (e->from == h && (e->view.members & bit(h)) && e->life == host->life)
            host->active = true; /* its own join */
        if (!host->active || !(e->view.members & bit(h)))
            return;
        ev.type = XHA_CEV_VIEW;
        ev.u.view = e->view;
        host->view_id = e->view.id;
        host->beyond = false;
        host->xhad_boot = host->boot;
        if (cs->cover)
            cs->cover->views++;
    } else {
        if (!host->active)
            return;
        host->beyond |= e->beyond;
        ev.u.message.from = e->from;
        ev.u.message.bytes = e->blob->bytes;
        ev.u.message.len = e->blob->len;
        if (cs->cover)
            cs->cover->messages++;
    }
    csim_step_cluster(cs, h, &ev);
}

void csim_net_deliver(struct csim *cs, int h)
{
    struct csim_host *host = &cs->host[h];

    host->deliver_due_ms = -1;
    if (csim_host_still(cs, h) || !host->coro)
        return; /* kicked when it goes on */
    while (host->n_in && !cs->failed && host->xhad_go_ms <= cs->now_ms &&
           inbox(host, 0)->arrive_ms <= cs->now_ms && receivable(host, inbox(host, 0))) {
        struct csim_entry e = *inbox(host, 0);

        host->in_from = (host->in_from + 1) % host->cap_in;
        host->n_in--;
        host->got_ring = e.ring;
        host->got_idx = e.idx + 1;
        entry_deliver(cs, h, &e);
        csim_blob_unref(e.blob);
    }
    deliver_kick(cs, h);
}

/* ---- order -----------------------------------------------------------------------------------------------
 */

static int64_t latency(struct csim *cs)
{
    int64_t ms = csim_some(cs, 0, 3);

    if (csim_chance(cs, 2))
        ms += csim_some(cs, 0, 80); /* lost once, said again */
    if (cs->net_slow_ms)
        ms += csim_some(cs, cs->net_slow_ms / 4, cs->net_slow_ms);
    return ms ? ms : 1;
}

static void append(struct csim *cs, struct csim_ring *r, struct csim_entry *e)
{
    e->ring = r->id;
    e->idx = r->n++;
    for (unsigned h = 0; h < cs->n_hosts; h++) {
        struct csim_host *host = &cs->host[h];

        if (!(r->members >> h & 1) || host->ring != r - cs->ring)
            continue;
        if (r->stalled && !(r->token >> h & 1)) {
            e->arrive_ms = CSIM_NEVER;
        } else {
            e->arrive_ms = cs->now_ms + (e->from == h ? 1 : latency(cs));
            if (e->arrive_ms < host->last_arrive_ms)
                e->arrive_ms = host->last_arrive_ms;
            host->last_arrive_ms = e->arrive_ms;
        }
        inbox_push(host, e);
        deliver_kick(cs, (int)h);
    }
}

static void order_kick(struct csim *cs, int h)
{
    struct csim_host *host = &cs->host[h];
    int64_t at;

    if (!host->n_out)
        return;
    at = host->out[0].at_ms > cs->now_ms ? host->out[0].at_ms : cs->now_ms;
    if (host->order_due_ms >= cs->now_ms && host->order_due_ms <= at)
        return;
    host->order_due_ms = at;
    csim_in(cs, at - cs->now_ms, (struct sim_future){ .kind = (enum sim_future_kind)CSIM_F_ORDER, .a = h });
}

static struct xha_view_change view_now(struct csim *cs, const struct csim_ring *r)
{
    return (struct xha_view_change){ .id = ++cs->views, .members = r->cpg, .nodes = r->members };
}

static void out_order(struct csim *cs, struct csim_ring *r, int h, const struct csim_out *out)
{
    struct csim_entry e = { .from = (uint8_t)h, .blob = out->blob, .life = out->life };

    if (out->kind != CSIM_O_MESSAGE) {
        e.kind = CSIM_E_VIEW;
        if (out->kind == CSIM_O_JOIN)
            r->cpg |= bit(h);
        else
            r->cpg &= ~bit(h);
        e.view = view_now(cs, r);
    }
    append(cs, r, &e);
}

void csim_net_order(struct csim *cs, int h)
{
    struct csim_host *host = &cs->host[h];
    struct csim_ring *r;

    host->order_due_ms = -1;
    if (csim_host_still(cs, h) || host->ring < 0)
        return;
    r = &cs->ring[host->ring];
    while (host->n_out && host->out[0].at_ms <= cs->now_ms) {
        struct csim_out out = host->out[0];

        if (r->stalled && (!(r->token >> h & 1) || cs->now_ms > r->token_ms))
            return; /* waits for the next ring, or this one's going on */
        memmove(host->out, host->out + 1, --host->n_out * sizeof(*host->out));
        out_order(cs, r, h, &out);
        csim_blob_unref(out.blob);
    }
    order_kick(cs, h);
}

void csim_net_send(struct csim *cs, int h, enum csim_out_kind kind, const uint8_t *bytes, size_t len)
{
    struct csim_host *host = &cs->host[h];
    int64_t at = cs->now_ms + csim_some(cs, 0, 2);

    if (host->n_out == host->cap_out) {
        host->cap_out = host->cap_out ? 2 * host->cap_out : 16;
        host->out = realloc(host->out, host->cap_out * sizeof(*host->out));
        if (!host->out)
            abort();
    }
    if (csim_chance(cs, 3))
        at += csim_some(cs, 0, 60);
    if (host->n_out && host->out[host->n_out - 1].at_ms > at)
        at = host->out[host->n_out - 1].at_ms;
    host->out[host->n_out++] = (struct csim_out){
        .kind = kind, .at_ms = at, .life = host->life, .blob = len ? csim_blob_new(bytes, len) : NULL
    };
    order_kick(cs, h);
}

void csim_net_client_gone(struct csim *cs, int h)
{
    struct csim_host *host = &cs->host[h];
    unsigned keep = (unsigned)csim_some(cs, 0, host->n_out);

    host->active = false;
    while (host->n_out > keep)
        if (host->out[--host->n_out].kind == CSIM_O_MESSAGE) {
            csim_blob_unref(host->out[host->n_out].blob);
        } else {
            host->n_out++; /* joins and leaves are corosync's own */
            break;
        }
    if (host->coro)
        csim_net_send(cs, h, CSIM_O_LEAVE, NULL, 0);
}

/* ---- rings -----------------------------------------------------------------------------------------------
 */

static void stall(struct csim *cs, const struct parts *p, struct csim_ring *r)
{
    unsigned n = 0, pick;

    r->stalled = true;
    r->stall_ms = r->token_ms = cs->now_ms;
    r->token = 0;
    for (unsigned h = 0; h < cs->n_hosts; h++)
        n += (r->members >> h & 1) && p->of[h] >= 0;
    if (n && csim_chance(cs, 60)) {
        pick = (unsigned)csim_some(cs, 0, n - 1);
        for (unsigned h = 0; h < cs->n_hosts; h++)
            if ((r->members >> h & 1) && p->of[h] >= 0 && !pick--)
                r->token = p->part[p->of[h]] & r->members;
        r->token_ms = cs->now_ms + csim_some(cs, 0, 40);
    }
    for (unsigned h = 0; h < cs->n_hosts; h++) {
        struct csim_host *host = &cs->host[h];

        if (!(r->members >> h & 1) || host->ring != r - cs->ring)
            continue;
        host->holding = true;
        host->limit_ms = r->token >> h & 1 ? r->token_ms + 100 : cs->now_ms;
        host->away_ms = cs->now_ms;
    }
}

static void arrive_now(struct csim *cs, int h)
{
    struct csim_host *host = &cs->host[h];
    int64_t last = cs->now_ms;

    host->holding = false;
    for (unsigned i = 0; i < host->n_in; i++) {
        struct csim_entry *e = inbox(host, i);

        if (e->arrive_ms == CSIM_NEVER || e->arrive_ms < last)
            e->arrive_ms = last;
        last = e->arrive_ms;
    }
    host->last_arrive_ms = last;
    deliver_kick(cs, h);
    order_kick(cs, h);
}

static void votes_soon(struct csim *cs, int64_t ms)
{
    if (cs->script->votes == CSIM_QDEVICE)
        csim_in(cs, ms, (struct sim_future){ .kind = (enum sim_future_kind)CSIM_F_VOTES });
}

static void go_on(struct csim *cs, struct csim_ring *r)
{
    r->stalled = false;
    r->token = 0;
    for (unsigned h = 0; h < cs->n_hosts; h++)
        if ((r->members >> h & 1) && cs->host[h].ring == r - cs->ring)
            arrive_now(cs, (int)h);
    votes_soon(cs, csim_some(cs, 0, 300));
}

/* What of the old ring the members `together` deliver before the new one. */
static void recover(struct csim *cs, struct csim_ring *old, xha_hostset together)
{
    uint64_t end = 0;

    for (unsigned h = 0; h < cs->n_hosts; h++) {
        struct csim_host *host = &cs->host[h];

        if (!(together >> h & 1))
            continue;
        if (host->got_ring == old->id && host->got_idx > end)
            end = host->got_idx;
        for (unsigned i = 0; i < host->n_in; i++) {
            const struct csim_entry *e = inbox(host, i);

            if (e->ring == old->id && e->arrive_ms <= cs->now_ms && receivable(host, e) && e->idx >= end)
                end = e->idx + 1;
        }
    }
    for (unsigned h = 0; h < cs->n_hosts; h++) {
        struct csim_host *host = &cs->host[h];
        unsigned n = 0;

        if (!(together >> h & 1))
            continue;
        for (unsigned i = 0; i < host->n_in; i++) {
            struct csim_entry *e = inbox(host, i);

            if (e->ring == old->id && e->idx >= end && !(together >> e->from & 1)) {
                csim_blob_unref(e->blob);
                continue;
            }
            if (e->arrive_ms > cs->now_ms)
                e->arrive_ms = cs->now_ms;
            e->beyond |= e->ring == old->id && e->idx >= end;
            *inbox(host, n++) = *e;
        }
        host->n_in = n;
        host->holding = false;
        host->last_arrive_ms = cs->now_ms;
    }
}

static struct csim_ring *ring_new(struct csim *cs)
{
    for (unsigned i = 0; i < RINGS; i++) {
        bool used = false;

        for (unsigned h = 0; h < cs->n_hosts && !used; h++)
            used = cs->host[h].ring == (int)i;
        if (!used)
            return &cs->ring[i];
    }
    abort();
}

/* The device votes for a ring when nobody outside of it holds the vote. */
static bool quorate_count(struct csim *cs, xha_hostset members)
{
    unsigned votes = 0, expected = 0;
    bool seen = false;

    for (unsigned h = 0; h < cs->n_hosts; h++) {
        expected += cs->host[h].listed;
        votes += cs->host[h].listed && (members >> h & 1);
    }
    if (cs->script->votes == CSIM_TWO_NODE && expected == 2) {
        for (unsigned h = 0; h < cs->n_hosts; h++) {
            if (votes == 2 && (members >> h & 1))
                cs->host[h].all_seen = true;
            seen |= (members >> h & 1) && cs->host[h].all_seen;
        }
        return votes >= 1 && seen;
    }
    if (cs->script->votes == CSIM_QDEVICE && expected % 2 == 0) {
        expected++;
        votes += cs->device && !(cs->device & ~members);
    }
    return 2 * votes > expected;
}

static void quorum_tell(struct csim *cs, int h, bool quorate, int64_t at_ms)
{
    struct csim_host *host = &cs->host[h];

    if (host->quorum_known && host->quorum_sent == quorate)
        return;
    host->quorum_known = true;
    host->quorum_sent = quorate;
    if (at_ms < host->quorum_due_ms)
        at_ms = host->quorum_due_ms;
    if (at_ms < cs->now_ms)
        at_ms = cs->now_ms;
    host->quorum_due_ms = at_ms;
    csim_in(cs, at_ms - cs->now_ms,
            (struct sim_future){ .kind = (enum sim_future_kind)CSIM_F_QUORUM,
                                 .a = h,
                                 .b = ++host->quorum_words,
                                 .number = quorate,
                                 .serial = host->coro_life });
}

/* Each part that is alive is one ring, and all of it is heard. */
static bool rings_stand(const struct csim *cs, const struct parts *p)
{
    for (unsigned h = 0; h < cs->n_hosts; h++) {
        const struct csim_ring *r = cs->host[h].ring < 0 ? NULL : &cs->ring[cs->host[h].ring];

        if (p->of[h] >= 0 && (!r || r->stalled || r->members != p->part[p->of[h]]))
            return false;
    }
    return true;
}

/*
 * The device (corosync-qnetd, ffsplit) gives its vote to the largest part, of equals to that with the lowest host,
 * when all have told it the same: it says no to the others first, and yes when they have answered. Only a part that
 * it does not hear any more may go on with its vote for a while: the server lets go of a silent client after one and a
 * half heartbeats, and the client notices after two at most.
 */
void csim_net_votes(struct csim *cs)
{
    struct parts p = { 0 };
    xha_hostset best = 0, others;
    int64_t yes = cs->now_ms;
    bool deaf = csim_chance(cs, 15);

    parts_find(cs, &p);
    if (!rings_stand(cs, &p))
        return; /* again when they do */
    for (unsigned i = 0; i < p.n; i++)
        if (__builtin_popcountll(p.part[i]) > __builtin_popcountll(best))
            best = p.part[i];
    others = cs->device & ~best;
    cs->device = best;
    for (unsigned h = 0; h < cs->n_hosts; h++) {
        if (p.of[h] < 0 || (best >> h & 1))
            continue;
        quorum_tell(cs, (int)h, quorate_count(cs, p.part[p.of[h]]),
                    cs->now_ms + csim_some(cs, 0, deaf && (others >> h & 1) ? DEVICE_LAG_MS : 30));
        if (!deaf && cs->host[h].quorum_due_ms > yes)
            yes = cs->host[h].quorum_due_ms;
    }
    for (unsigned h = 0; h < cs->n_hosts; h++)
        if (best >> h & 1)
            quorum_tell(cs, (int)h, quorate_count(cs, best), yes + csim_some(cs, 1, 30));
}

/* The list of hosts has changed. */
void csim_net_recount(struct csim *cs)
{
    for (unsigned h = 0; h < cs->n_hosts; h++) {
        const struct csim_ring *r = cs->host[h].ring < 0 ? NULL : &cs->ring[cs->host[h].ring];

        if (r && !r->stalled)
            quorum_tell(cs, (int)h, quorate_count(cs, r->members), cs->now_ms);
    }
}

void csim_net_quorum(struct csim *cs, const struct sim_future *f)
{
    struct csim_host *host = &cs->host[f->a];
    struct xha_cluster_event ev = { .type = XHA_CEV_QUORUM };
    int64_t wait = host->go_ms > host->xhad_go_ms ? host->go_ms : host->xhad_go_ms;

    if (!host->coro || f->serial != host->coro_life)
        return;
    if (wait > cs->now_ms || f->b < host->quorum_heard)
        return; /* it was held up, and told when it goes on; or so was this one, and the newer one was told */
    host->quorum_heard = f->b;
    if (host->quorum_told && !f->number)
        host->unquorate_ms = cs->now_ms;
    host->quorum_told = f->number != 0;
    if (!host->node)
        return;
    ev.u.quorum.quorate = host->quorum_told;
    ev.u.quorum.exclusive = cs->script->votes != CSIM_TWO_NODE;
    csim_step_cluster(cs, f->a, &ev);
}

static void form(struct csim *cs, xha_hostset members)
{
    struct csim_ring *r = ring_new(cs);
    struct csim_entry e = { .kind = CSIM_E_VIEW, .from = XHA_HOST_NONE };
    xha_hostset todo = members;
    bool quorate;

    *r = (struct csim_ring){ .id = ++cs->serial, .members = members };
    for (unsigned h = 0; h < cs->n_hosts; h++) {
        struct csim_ring *old = (todo >> h & 1) && cs->host[h].ring >= 0 ? &cs->ring[cs->host[h].ring] : NULL;
        xha_hostset together = 0;

        if (!old)
            continue;
        for (unsigned k = h; k < cs->n_hosts; k++)
            if ((todo >> k & 1) && cs->host[k].ring == cs->host[h].ring)
                together |= bit((int)k);
        recover(cs, old, together);
        r->cpg |= old->cpg & together;
        todo &= ~together;
    }
    e.view = view_now(cs, r);
    quorate = quorate_count(cs, members);
    for (unsigned h = 0; h < cs->n_hosts; h++) {
        struct csim_host *host = &cs->host[h];

        if (!(members >> h & 1))
            continue;
        host->ring = (int)(r - cs->ring);
        host->reform_ms = 0;
        host->reform_serial++;
        host->away_ms = cs->now_ms;
        if (host->last_arrive_ms < cs->now_ms)
            host->last_arrive_ms = cs->now_ms;
    }
    append(cs, r, &e);
    for (unsigned h = 0; h < cs->n_hosts; h++) {
        if (!(members >> h & 1))
            continue;
        quorum_tell(cs, (int)h, quorate, cs->host[h].last_arrive_ms + csim_some(cs, -20, 40));
        order_kick(cs, (int)h);
    }
    votes_soon(cs, csim_some(cs, 50, csim_chance(cs, 50) ? 300 : 8000) + 50);
}

/* The part that is less than half may know it later than the others: up to the skew that timing.h reckons with. */
static void reform_soon(struct csim *cs, int h, xha_hostset part)
{
    struct csim_host *host = &cs->host[h];
    const struct csim_ring *r = host->ring < 0 ? NULL : &cs->ring[host->ring];
    int64_t token = cs->timing.token.ms, detect = token + cs->timing.consensus.ms, at;

    if (r && r->stalled) {
        at = r->stall_ms + (cs->jitter ? csim_some(cs, detect / 2, detect) : detect);
        if (2 * __builtin_popcountll(part) <= __builtin_popcountll(r->members) && csim_chance(cs, 20))
            at += csim_some(cs, 0, cs->timing.skew.ms);
    } else {
        at = cs->now_ms + 50 + csim_some(cs, 0, 1000);
    }
    if (at <= cs->now_ms)
        at = cs->now_ms + 1 + csim_some(cs, 0, token / 2);
    host->reform_ms = at;
    csim_in(cs, at - cs->now_ms,
            (struct sim_future){
                .kind = (enum sim_future_kind)CSIM_F_REFORM, .a = h, .serial = ++host->reform_serial });
}

void csim_net_changed(struct csim *cs)
{
    struct parts p = { 0 };
    bool whole[RINGS];

    parts_find(cs, &p);
    for (unsigned i = 0; i < RINGS; i++) {
        struct csim_ring *r = &cs->ring[i];

        whole[i] = r->id && r->members && ring_whole(cs, &p, r);
        if (!r->id || !r->members)
            continue;
        if (whole[i] && r->stalled)
            go_on(cs, r);
        else if (!whole[i] && !r->stalled)
            stall(cs, &p, r);
    }
    for (unsigned i = 0; i < p.n; i++) {
        int first = __builtin_ctzll(p.part[i]);
        bool pending = false, well = true;

        for (unsigned h = (unsigned)first; h < cs->n_hosts; h++) {
            int ring = cs->host[h].ring;

            if (!(p.part[i] >> h & 1))
                continue;
            pending |= cs->host[h].reform_ms != 0;
            well &= ring >= 0 && whole[ring] && cs->ring[ring].members == p.part[i];
        }
        if (!well && !pending)
            reform_soon(cs, first, p.part[i]);
    }
}

void csim_net_reform(struct csim *cs, const struct sim_future *f)
{
    struct csim_host *host = &cs->host[f->a];
    struct parts p = { 0 };

    if (f->serial != host->reform_serial || !host->reform_ms)
        return;
    host->reform_ms = 0;
    if (!alive(cs, f->a))
        return;
    parts_find(cs, &p);
    if (host->ring < 0 || !ring_whole(cs, &p, &cs->ring[host->ring]) ||
        cs->ring[host->ring].members != p.part[p.of[f->a]])
        form(cs, p.part[p.of[f->a]]);
    csim_net_changed(cs);
}

void csim_net_start(struct csim *cs, int h)
{
    struct csim_host *host = &cs->host[h];

    host->coro = true;
    host->coro_life = ++cs->serial;
    host->ring = -1;
    host->all_seen = host->quorum_told = host->quorum_sent = host->quorum_known = false;
    host->holding = false;
    csim_net_changed(cs);
}

void csim_net_stop(struct csim *cs, int h)
{
    struct csim_host *host = &cs->host[h];

    if (!host->coro)
        return;
    host->coro = host->active = host->quorum_told = false;
    host->ring = -1;
    host->reform_ms = 0;
    host->reform_serial++;
    host->got_ring = 0;
    host->away_ms = host->unquorate_ms = cs->now_ms;
    inbox_clear(host);
    while (host->n_out)
        csim_blob_unref(host->out[--host->n_out].blob);
    csim_net_changed(cs);
}

/* The host, or its xhad, stood still and goes on. */
void csim_net_kick(struct csim *cs, int h)
{
    struct csim_host *host = &cs->host[h];

    if (host->coro && host->quorum_heard < host->quorum_words && host->quorum_due_ms <= cs->now_ms)
        csim_in(cs, csim_some(cs, 0, 20),
                (struct sim_future){ .kind = (enum sim_future_kind)CSIM_F_QUORUM,
                                     .a = h,
                                     .b = host->quorum_words,
                                     .number = host->quorum_sent,
                                     .serial = host->coro_life });
    deliver_kick(cs, h);
    order_kick(cs, h);
}

void csim_net_free(struct csim *cs)
{
    for (unsigned h = 0; h < cs->n_hosts; h++) {
        struct csim_host *host = &cs->host[h];

        inbox_clear(host);
        while (host->n_out)
            csim_blob_unref(host->out[--host->n_out].blob);
        free(host->in);
        free(host->out);
    }
}

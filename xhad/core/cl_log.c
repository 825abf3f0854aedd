/*
 * cl_log.c - what outlives xhad: a log of the messages applied, begun anew from time to time as the whole state in
 * chunks. The same chunks carry the state to a host that lacks it.
 *
 * A record is its place in the log, a kind and what it holds. The adapter keeps records and gives them back; it
 * reads nothing in them.
 */
#include "cl_internal.h"

enum { RECORD_MESSAGE = 'M', RECORD_SYNC = 'S', RECORD_PROMISE = 'P', RECORD_CHUNK = 'C' };
enum { ITEM_HEAD = 'G', ITEM_HOST = 'h', ITEM_DOMAIN = 'd', ITEM_END = 'e' };
enum { STAGE_HEAD, STAGE_HOSTS, STAGE_DOMAINS, STAGE_END };

/* ---- the state in chunks ---- */

static void whead(struct cl_wire *w, struct cl_state *st)
{
    xha_cl_wrank(w, &st->rank);
    xha_cl_w64(w, &st->members);
    xha_cl_w64(w, &st->nodes);
    xha_cl_wbool(w, &st->armed);
    xha_cl_w64(w, &st->terms);
    xha_cl_wsettings(w, &st->policy);
    if (w->reads)
        xha_cl_hash_policy(st);
}

static void wend(struct cl_wire *w, uint32_t *n, uint64_t *hash)
{
    xha_cl_w32(w, n);
    xha_cl_w64(w, hash);
}

static void put_item(struct cl_wire *w, struct cl_state *st, uint32_t *stage, uint32_t *at)
{
    static const uint8_t kinds[] = { ITEM_HEAD, ITEM_HOST, ITEM_DOMAIN, ITEM_END };
    uint8_t kind = kinds[*stage], host = (uint8_t)*at;
    struct cl_dom *d;
    uint64_t hash;
    uint32_t n;

    xha_cl_w8(w, &kind);
    switch (*stage) {
    case STAGE_HEAD:
        whead(w, st);
        break;
    case STAGE_HOSTS:
        xha_cl_w8(w, &host);
        xha_cl_whost(w, &st->host[host]);
        break;
    case STAGE_DOMAINS:
        d = &st->dom[st->order[*at]];
        xha_cl_wdom_fixed(w, d);
        xha_cl_wdom(w, d);
        break;
    default:
        n = st->n;
        hash = xha_cl_hash_all(st);
        wend(w, &n, &hash);
        break;
    }
}

/* The next item that is there, from (stage, at) on. */
static void skip(const struct cl_state *st, uint32_t *stage, uint32_t *at)
{
    if (*stage == STAGE_HOSTS) {
        while (*at < XHA_HOSTS_MAX && st->host[*at].state == XHA_HOST_UNKNOWN)
            ++*at;
        if (*at == XHA_HOSTS_MAX) {
            *stage = STAGE_DOMAINS;
            *at = 0;
        }
    }
    if (*stage == STAGE_DOMAINS && *at >= st->n)
        *stage = STAGE_END;
}

size_t xha_cl_chunk(struct xha_cluster *cl, uint32_t *stage, uint32_t *at, uint8_t *out, bool *last_r)
{
    struct cl_wire w = cl_writer(out, CL_CHUNK);

    *last_r = false;
    while (!*last_r && w.len - w.pos >= CL_ITEM_MAX) {
        skip(cl->st, stage, at);
        put_item(&w, cl->st, stage, at);
        assert(!w.bad);
        *last_r = *stage == STAGE_END;
        if (*stage == STAGE_HEAD) {
            *stage = STAGE_HOSTS;
            *at = 0;
        } else {
            ++*at;
        }
    }
    return w.pos;
}

static bool get_host(struct cl_wire *w, struct cl_state *st)
{
    uint8_t host;

    xha_cl_w8(w, &host);
    if (w->bad || host >= XHA_HOSTS_MAX)
        return false;
    xha_cl_whost(w, &st->host[host]);
    if (w->bad)
        return false;
    xha_cl_hash_host(st, host);
    return true;
}

static bool get_domain(struct xha_cluster *cl, struct cl_wire *w)
{
    struct xha_uuid uuid;
    struct cl_dom *d;

    if (w->len - w->pos < sizeof uuid)
        return false;
    memcpy(&uuid, w->at + w->pos, sizeof uuid);
    if (cl->spare->n >= cl->set.max_domains || xha_cl_find(cl->spare, &uuid))
        return false;
    d = xha_cl_add(cl->spare, &uuid);
    xha_cl_wdom_fixed(w, d);
    xha_cl_wdom(w, d);
    if (w->bad) {
        d->phase = XHA_PH_FREE;
        d->home = XHA_HOST_NONE;
        return false;
    }
    xha_cl_hash_dom(cl->spare, d, true);
    xha_cl_settle(cl->spare, d);
    return true;
}

static bool get_item(struct xha_cluster *cl, struct cl_wire *w, bool *end_r)
{
    uint64_t hash;
    uint32_t n;
    uint8_t kind;

    xha_cl_w8(w, &kind);
    switch (kind) {
    case ITEM_HEAD:
        whead(w, cl->spare);
        return !w->bad;
    case ITEM_HOST:
        return get_host(w, cl->spare);
    case ITEM_DOMAIN:
        return get_domain(cl, w);
    case ITEM_END:
        wend(w, &n, &hash);
        *end_r = true;
        return !w->bad && n == cl->spare->n && hash == xha_cl_hash_all(cl->spare);
    default:
        return false;
    }
}

int xha_cl_load(struct xha_cluster *cl, const uint8_t *bytes, size_t len, bool first, bool *done_r)
{
    struct cl_wire w = cl_reader(bytes, len);

    *done_r = false;
    if (first)
        xha_cl_state_clear(cl->spare);
    while (w.pos < w.len)
        if (*done_r || !get_item(cl, &w, done_r))
            return XHA_CORE_E_INVAL;
    return XHA_CORE_OK;
}

/* What this host has to say of a domain does not change with the state that it is kept beside. */
static void carry(struct cl_state *to, const struct cl_dom *from)
{
    struct cl_dom *d = xha_cl_find(to, &from->uuid);

    if (!d)
        return;
    d->mine = from->mine;
    d->mine_term = from->mine_term;
    d->fact = from->fact;
    d->fact_term = from->fact_term;
    d->fact_id = from->fact_id;
    d->fact_port = from->fact_port;
    d->fact_prefer = from->fact_prefer;
    d->fact_want_run = from->fact_want_run;
    d->fact_cause = from->fact_cause;
    d->fact_detail = from->fact_detail;
    memcpy(d->fact_text, from->fact_text, sizeof d->fact_text);
    xha_cl_append(to, &to->say, CL_L_SAY, d);
}

/* Domains that this state lacks: the node has to hear that they are gone. */
static void missing(struct xha_cluster *cl, const struct cl_dom *from)
{
    struct cl_dom *d;

    if (xha_cl_find(cl->st, &from->uuid) || !(d = xha_cl_add(cl->st, &from->uuid)))
        return;
    xha_cl_unindex(cl->st, d);
    d->changed = cl->st->rank.index + 1;
    xha_cl_append(cl->st, &cl->st->changed, CL_L_CHANGED, d);
}

void xha_cl_adopt(struct xha_cluster *cl)
{
    struct cl_state *old = cl->st;

    cl->st = cl->spare;
    cl->spare = old;
    for (uint32_t i = 0; i < old->n; i++) {
        const struct cl_dom *d = &old->dom[old->order[i]];

        if (d->mine_term || d->fact)
            carry(cl->st, d);
        missing(cl, d);
    }
    for (uint32_t i = old->changed.head; i != NONE32; i = old->dom[i].link[CL_L_CHANGED].next)
        if (old->dom[i].dropped)
            missing(cl, &old->dom[i]);
    for (uint32_t i = 0; i < cl->st->n; i++) {
        struct cl_dom *d = &cl->st->dom[cl->st->order[i]];

        d->changed = cl->st->rank.index + 1; /* nothing of it is committed here before the next epoch is */
        xha_cl_append(cl->st, &cl->st->changed, CL_L_CHANGED, d);
    }
    cl->st->armed_changed = cl->st->rank.index + 1;
    for (uint8_t h = 0; h < XHA_HOSTS_MAX; h++)
        xha_cl_fence_forget(cl, h);
    cl->committed = 0;
    xha_cl_rebuild(cl);
}

/* ---- records ---- */

static struct cl_wire begin(struct xha_cluster *cl, uint8_t kind)
{
    struct cl_wire w = cl_writer(cl->arena + cl->arena_used, CL_ARENA - cl->arena_used);

    cl->lsn++;
    xha_cl_w64(&w, &cl->lsn);
    xha_cl_w8(&w, &kind);
    return w;
}

static void end(struct xha_cluster *cl, const struct cl_wire *w)
{
    struct xha_cluster_action *a = xha_cl_action(cl, XHA_CACT_STORE);

    assert(!w->bad);
    a->index = cl->lsn;
    a->u.bytes.at = w->at;
    a->u.bytes.len = w->pos;
    cl->arena_used += (uint32_t)w->pos;
}

/* From here on the index grows with the place in the log. */
static void base(struct xha_cluster *cl)
{
    cl->base_lsn = cl->lsn;
    cl->base_index = cl->st->rank.index;
}

void xha_cl_log_message(struct xha_cluster *cl, uint8_t from, const uint8_t *bytes, size_t len)
{
    struct cl_wire w = begin(cl, RECORD_MESSAGE);

    xha_cl_w8(&w, &from);
    memcpy(w.at + w.pos, bytes, len);
    w.pos += len;
    end(cl, &w);
    cl->since_dump++;
}

void xha_cl_log_sync(struct xha_cluster *cl)
{
    struct cl_wire w = begin(cl, RECORD_SYNC);

    xha_cl_wsync(&w, &cl->sync);
    end(cl, &w);
    cl->since_dump++;
}

void xha_cl_log_promise(struct xha_cluster *cl)
{
    struct cl_wire w = begin(cl, RECORD_PROMISE);

    xha_cl_w64(&w, &cl->promised);
    end(cl, &w);
    cl->promise_lsn = cl->lsn;
    base(cl);
}

void xha_cl_log_rewrite(struct xha_cluster *cl)
{
    cl->dump.active = true;
    cl->dump.stage = cl->dump.at = 0;
    xha_cl_action(cl, XHA_CACT_RESTORE);
}

bool xha_cl_log_dump(struct xha_cluster *cl)
{
    while (cl->dump.active) {
        bool last;

        if (!xha_cl_room(cl, 4, CL_CHUNK + 64))
            return false;
        struct cl_wire w = begin(cl, RECORD_CHUNK);
        size_t at = w.pos++; /* whether it is the first */
        w.at[at] = cl->dump.stage == STAGE_HEAD;
        w.pos += xha_cl_chunk(cl, &cl->dump.stage, &cl->dump.at, w.at + w.pos, &last);
        end(cl, &w);
        if (last) {
            xha_cl_log_promise(cl);
            xha_cl_action(cl, XHA_CACT_STORE_END)->index = cl->lsn;
            cl->dump.active = false;
            cl->since_dump = 0;
        }
    }
    return true;
}

/* ---- recall ---- */

static int recall_message(struct xha_cluster *cl, struct cl_wire *w)
{
    uint32_t version;
    uint8_t from;

    xha_cl_w8(w, &from);
    if (w->bad || from >= XHA_HOSTS_MAX || xha_cl_decode(w->at + w->pos, w->len - w->pos, cl->in, &version) ||
        cl->in->type < CL_HOST || cl->in->epoch != cl->st->rank.epoch)
        return XHA_CORE_E_INVAL;
    cl->in->from = from;
    cl->st->rank.index++;
    xha_cl_apply(cl, cl->in);
    return XHA_CORE_OK;
}

static int recall_chunk(struct xha_cluster *cl, struct cl_wire *w)
{
    uint8_t first;
    bool done;
    int rc;

    xha_cl_w8(w, &first);
    if (w->bad)
        return XHA_CORE_E_INVAL;
    rc = xha_cl_load(cl, w->at + w->pos, w->len - w->pos, first, &done);
    if (!rc && done)
        xha_cl_adopt(cl);
    return rc;
}

static int recall_sync(struct xha_cluster *cl, struct cl_wire *w)
{
    xha_cl_wsync(w, &cl->sync);
    if (w->bad || w->pos != w->len || cl->sync.epoch <= cl->st->rank.epoch)
        return XHA_CORE_E_INVAL;
    cl->st->rank.index++;
    xha_cl_apply_sync(cl, &cl->sync);
    if (cl->promised < cl->sync.epoch)
        cl->promised = cl->sync.epoch;
    return XHA_CORE_OK;
}

static int recall_promise(struct xha_cluster *cl, struct cl_wire *w)
{
    uint64_t promised;

    xha_cl_w64(w, &promised);
    if (w->bad)
        return XHA_CORE_E_INVAL;
    if (promised > cl->promised)
        cl->promised = promised;
    return XHA_CORE_OK;
}

static int recall(struct xha_cluster *cl, uint8_t kind, struct cl_wire *w)
{
    switch (kind) {
    case RECORD_MESSAGE:
        return recall_message(cl, w);
    case RECORD_SYNC:
        return recall_sync(cl, w);
    case RECORD_PROMISE:
        return recall_promise(cl, w);
    case RECORD_CHUNK:
        return recall_chunk(cl, w);
    default:
        return XHA_CORE_E_INVAL;
    }
}

int xha_cl_recall(struct xha_cluster *cl, const uint8_t *bytes, size_t len)
{
    struct cl_wire w = cl_reader(bytes, len);
    uint64_t lsn;
    uint8_t kind;
    int rc;

    xha_cl_w64(&w, &lsn);
    xha_cl_w8(&w, &kind);
    if (w.bad || cl->phase != CL_NO_VIEW || cl->broken)
        return XHA_CORE_E_INVAL;
    cl->replaying = true;
    rc = recall(cl, kind, &w);
    cl->replaying = false;
    cl->broken = rc != XHA_CORE_OK; /* what follows rests on it */
    cl->armed = cl->st->armed;
    cl->lsn = cl->stored_lsn = lsn;
    base(cl);
    return rc;
}

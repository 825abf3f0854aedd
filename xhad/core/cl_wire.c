/*
 * cl_wire.c - messages of the cluster to bytes and back, little-endian. Each thing is described once: the same
 * function writes it or reads it, so that the two cannot differ.
 *
 * What is read is hostile: every length, number and name is bounded here, and what does not fit exactly is
 * refused whole. Texts are printable, so that they can be shown as they are.
 */
#include "cl_internal.h"

#define MAGIC 0x4c434858u /* "XHCL" */

static void raw(struct cl_wire *w, void *v, size_t len)
{
    if (w->bad || len > w->len - w->pos) {
        w->bad = true;
        if (w->reads)
            memset(v, 0, len);
        return;
    }
    if (w->reads)
        memcpy(v, w->at + w->pos, len);
    else
        memcpy(w->at + w->pos, v, len);
    w->pos += len;
}

void xha_cl_w8(struct cl_wire *w, uint8_t *v)
{
    raw(w, v, 1);
}

static void w16(struct cl_wire *w, uint16_t *v)
{
    uint8_t b[2] = { (uint8_t)*v, (uint8_t)(*v >> 8) };

    raw(w, b, 2);
    *v = (uint16_t)(b[0] | b[1] << 8);
}

void xha_cl_w32(struct cl_wire *w, uint32_t *v)
{
    uint8_t b[4] = { (uint8_t)*v, (uint8_t)(*v >> 8), (uint8_t)(*v >> 16), (uint8_t)(*v >> 24) };

    raw(w, b, 4);
    *v = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

void xha_cl_w64(struct cl_wire *w, uint64_t *v)
{
    uint32_t low = (uint32_t)*v, high = (uint32_t)(*v >> 32);

    xha_cl_w32(w, &low);
    xha_cl_w32(w, &high);
    *v = (uint64_t)high << 32 | low;
}

static void wi32(struct cl_wire *w, int32_t *v)
{
    uint32_t u = (uint32_t)*v;

    xha_cl_w32(w, &u);
    *v = (int32_t)u;
}

/* A number of one byte below n. */
static uint8_t wenum(struct cl_wire *w, uint32_t v, uint32_t n)
{
    uint8_t b = (uint8_t)v;

    raw(w, &b, 1);
    if (b >= n) {
        w->bad = true;
        return 0;
    }
    return b;
}

#define W_ENUM(w, field, n) ((field) = wenum((w), (uint32_t)(field), (n)))

void xha_cl_wbool(struct cl_wire *w, bool *v)
{
    *v = wenum(w, w->reads ? 0 : *v, 2);
}

static void whostid(struct cl_wire *w, uint8_t *v, bool none_too)
{
    raw(w, v, 1);
    if (*v >= XHA_HOSTS_MAX && !(none_too && *v == XHA_HOST_NONE))
        w->bad = true;
}

static void wtext(struct cl_wire *w, char *v, size_t size)
{
    size_t len = w->reads ? 0 : strnlen(v, size - 1);
    uint16_t n = (uint16_t)len;

    w16(w, &n);
    if (w->bad || n >= size) {
        w->bad = true;
        n = 0;
    }
    raw(w, v, n);
    if (!w->reads && !w->bad) {
        for (uint8_t *c = w->at + w->pos - n; c < w->at + w->pos; c++)
            if (*c < 0x20 || *c == 0x7f)
                *c = ' ';
    } else if (w->reads) {
        memset(v + n, 0, size - n);
        for (uint16_t i = 0; i < n; i++)
            if ((uint8_t)v[i] < 0x20 || v[i] == 0x7f)
                w->bad = true;
    }
}

static void wuuid(struct cl_wire *w, struct xha_uuid *v)
{
    raw(w, v->b, sizeof v->b);
}

static void wspan(struct cl_wire *w, struct xha_span *v)
{
    uint64_t u = (uint64_t)v->ms;

    xha_cl_w64(w, &u);
    if (u > INT64_MAX / 4)
        w->bad = true;
    else
        v->ms = (int64_t)u;
}

void xha_cl_wrank(struct cl_wire *w, struct cl_rank *rank)
{
    xha_cl_w64(w, &rank->settled);
    xha_cl_w64(w, &rank->epoch);
    xha_cl_w64(w, &rank->index);
}

static void wincarnation(struct cl_wire *w, struct xha_incarnation *v)
{
    wuuid(w, &v->boot);
    xha_cl_w32(w, &v->generation);
}

static void winfo(struct cl_wire *w, struct xha_host_info *v)
{
    wtext(w, v->name, sizeof v->name);
    wincarnation(w, &v->incarnation);
    xha_cl_w64(w, &v->memory_kib);
    if (v->memory_kib > XHA_PLACE_MEMORY_MAX)
        w->bad = true;
    xha_cl_w32(w, &v->pcpus);
    xha_cl_w32(w, &v->version);
    wtext(w, v->build, sizeof v->build);
    wtext(w, v->tags, sizeof v->tags);
    wtext(w, v->networks, sizeof v->networks);
    wtext(w, v->storages, sizeof v->storages);
    wtext(w, v->address, sizeof v->address);
    xha_cl_wbool(w, &v->armed);
    wspan(w, &v->watchdog);
    xha_cl_w64(w, &v->can_fence);
}

size_t xha_cl_info_bytes(struct xha_host_info *info, uint8_t *out, size_t len)
{
    struct cl_wire w = cl_writer(out, len);

    winfo(&w, info);
    return w.pos;
}

static void wpolicy(struct cl_wire *w, struct xha_policy *p)
{
    W_ENUM(w, p->protection, XHA_PROT_N_);
    W_ENUM(w, p->heartbeat, XHA_BEAT_N_);
    for (int f = 0; f < XHA_FAIL_N_; f++)
        W_ENUM(w, p->react[f], XHA_REACT_N_);
    xha_cl_wbool(w, &p->autostart);
    xha_cl_wbool(w, &p->io_is_life);
    xha_cl_w32(w, &p->priority);
    xha_cl_w32(w, &p->start_order);
    wspan(w, &p->start_delay);
    wspan(w, &p->ready_cap);
    wspan(w, &p->heartbeat_timeout);
    wspan(w, &p->boot_grace);
    wspan(w, &p->start_timeout);
    wspan(w, &p->stop_timeout);
    xha_cl_w32(w, &p->max_restarts);
    wspan(w, &p->restart_window);
    wspan(w, &p->backoff_min);
    wspan(w, &p->backoff_max);
    wspan(w, &p->checkpoint_interval);
    xha_cl_w64(w, &p->memory_kib);
    if (p->priority > 1000 || p->start_order >= XHA_TIERS || p->max_restarts > XHA_HISTORY_MAX ||
        p->memory_kib > XHA_PLACE_MEMORY_MAX)
        w->bad = true;
}

static void wneeds(struct cl_wire *w, struct xha_needs *n)
{
    xha_cl_w32(w, &n->vcpus);
    wtext(w, n->tags, sizeof n->tags);
    wtext(w, n->not_tags, sizeof n->not_tags);
    wtext(w, n->networks, sizeof n->networks);
    wtext(w, n->storages, sizeof n->storages);
    wtext(w, n->hosts, sizeof n->hosts);
    wtext(w, n->prefer, sizeof n->prefer);
    wtext(w, n->affinity, sizeof n->affinity);
    wtext(w, n->anti_affinity, sizeof n->anti_affinity);
    xha_cl_wbool(w, &n->relocate);
    xha_cl_wbool(w, &n->failback);
    W_ENUM(w, n->mode, XHA_MOVE_MODE_N_);
    xha_cl_wbool(w, &n->copy_storage);
}

static void wreport(struct cl_wire *w, struct xha_report *r)
{
    wuuid(w, &r->uuid);
    xha_cl_w64(w, &r->term);
    W_ENUM(w, r->state, XHA_ST_N_);
    W_ENUM(w, r->purpose, XHA_FOR_N_);
    W_ENUM(w, r->failure, XHA_FAIL_N_);
    W_ENUM(w, r->cause, XHA_CAUSE_N_);
    xha_cl_w32(w, &r->detail);
    wi32(w, &r->domid);
    xha_cl_w32(w, &r->recoveries);
    xha_cl_wbool(w, &r->want_run);
    xha_cl_wbool(w, &r->maintenance);
    xha_cl_wbool(w, &r->ever_beat);
}

void xha_cl_wsettings(struct cl_wire *w, struct xha_cluster_policy *p)
{
    W_ENUM(w, p->placement, XHA_PLACEMENT_N_);
    xha_cl_w32(w, &p->survive);
    xha_cl_w32(w, &p->overcommit_percent);
    xha_cl_w32(w, &p->parallel_moves);
    for (int i = 0; i < XHA_TIMING_N_; i++)
        wspan(w, &p->timing.at[i]);
    wspan(w, &p->move_timeout);
    if (p->survive > XHA_PLACE_K_MAX)
        w->bad = true;
}

void xha_cl_whost(struct cl_wire *w, struct cl_host *h)
{
    W_ENUM(w, h->state, XHA_HOST_STATE_N_);
    winfo(w, &h->info);
    wincarnation(w, &h->lived);
    W_ENUM(w, h->fenced_by, XHA_FENCED_BY_N_);
    xha_cl_wbool(w, &h->maintenance);
    xha_cl_w32(w, &h->max_domains);
    xha_cl_w64(w, &h->last_request);
    xha_cl_w32(w, &h->attempt);
    whostid(w, &h->executor, true);
    wtext(w, h->fence_text, sizeof h->fence_text);
}

/* What changes by PROTECT alone. */
void xha_cl_wdom_fixed(struct cl_wire *w, struct cl_dom *d)
{
    wuuid(w, &d->uuid);
    wtext(w, d->name, sizeof d->name);
    wpolicy(w, &d->policy);
    wneeds(w, &d->needs);
    raw(w, d->digest_policy, sizeof d->digest_policy);
    raw(w, d->digest_config, sizeof d->digest_config);
}

void xha_cl_wdom(struct cl_wire *w, struct cl_dom *d)
{
    W_ENUM(w, d->phase, XHA_PH_N_);
    whostid(w, &d->owner, true);
    whostid(w, &d->home, true);
    whostid(w, &d->next, true);
    xha_cl_w64(w, &d->term);
    xha_cl_wbool(w, &d->want_run);
    W_ENUM(w, d->purpose, XHA_FOR_N_);
    W_ENUM(w, d->failure, XHA_FAIL_N_);
    xha_cl_w64(w, &d->refused);
    wreport(w, &d->report);
    xha_cl_w64(w, &d->move.id);
    whostid(w, &d->move.target, true);
    W_ENUM(w, d->move.mode, XHA_MOVE_MODE_N_);
    W_ENUM(w, d->move.stage, XHA_MOVE_STAGE_N_);
    W_ENUM(w, d->move.why, XHA_MOVE_WHY_N_);
    w16(w, &d->move.port);
    xha_cl_w64(w, &d->last_move);
    xha_cl_w64(w, &d->pair.id);
    whostid(w, &d->pair.backup, true);
    W_ENUM(w, d->pair.stage, XHA_PAIR_STAGE_N_);
    w16(w, &d->pair.port);
    if (d->pair.id &&
        (d->phase == XHA_PH_MOVING || d->pair.backup == XHA_HOST_NONE || d->pair.backup == d->owner ||
         (d->phase == XHA_PH_FREE && (d->pair.stage != XHA_PAIR_PROTECTED || !d->want_run))))
        w->bad = true;
    if (d->phase != XHA_PH_FREE && d->owner == XHA_HOST_NONE)
        w->bad = true;
    if (d->phase == XHA_PH_MOVING && (d->move.target == XHA_HOST_NONE || d->move.target == d->owner))
        w->bad = true;
}

void xha_cl_wsync(struct cl_wire *w, struct cl_sync *s)
{
    xha_cl_w64(w, &s->epoch);
    xha_cl_w64(w, &s->members);
    xha_cl_w64(w, &s->nodes);
    xha_cl_w64(w, &s->live);
    xha_cl_w64(w, &s->leaving);
    for (uint32_t h = 0; h < XHA_HOSTS_MAX; h++) {
        if (!cl_in(s->members, (uint8_t)h))
            continue;
        winfo(w, &s->info[h]);
        xha_cl_w32(w, &s->max_domains[h]);
    }
}

static void whello(struct cl_wire *w, struct cl_hello *v)
{
    xha_cl_w64(w, &v->view);
    xha_cl_w64(w, &v->promised);
    xha_cl_w64(w, &v->hash);
    xha_cl_w32(w, &v->round);
    xha_cl_w32(w, &v->max_domains);
    xha_cl_w32(w, &v->n_domains);
    xha_cl_wrank(w, &v->rank);
    xha_cl_wbool(w, &v->quorate);
    xha_cl_wbool(w, &v->live);
    xha_cl_wbool(w, &v->leaving);
    winfo(w, &v->info);
    xha_cl_w64(w, &v->known);
    for (uint32_t h = 0; h < XHA_HOSTS_MAX; h++)
        if (cl_in(v->known, (uint8_t)h))
            wincarnation(w, &v->incarnation[h]);
}

static void wrequest(struct cl_wire *w, struct cl_request *r, struct xha_uuid *uuid)
{
    xha_cl_w64(w, &r->number);
    W_ENUM(w, r->what, XHA_RQ_N_);
    wuuid(w, uuid);
    whostid(w, &r->host, true);
    xha_cl_wbool(w, &r->on);
    W_ENUM(w, r->mode, XHA_MOVE_MODE_N_);
    W_ENUM(w, r->order, XHA_DO_N_);
    xha_cl_w64(w, &r->checkpoint);
    if (r->what == XHA_RQ_PROTECT) {
        wtext(w, r->name, sizeof r->name);
        wpolicy(w, &r->policy);
        wneeds(w, &r->needs);
        raw(w, r->digest_policy, sizeof r->digest_policy);
        raw(w, r->digest_config, sizeof r->digest_config);
    }
    if (r->what == XHA_RQ_SETTINGS)
        xha_cl_wsettings(w, &r->settings);
}

static void wreports(struct cl_wire *w, struct cl_message *m)
{
    xha_cl_w32(w, &m->u.report.n);
    if (!m->u.report.n || m->u.report.n > CL_REPORTS_MAX) {
        w->bad = true;
        return;
    }
    for (uint32_t i = 0; i < m->u.report.n && !w->bad; i++)
        wreport(w, &m->u.report.item[i]);
}

static void wchunk(struct cl_wire *w, struct cl_message *m)
{
    xha_cl_w64(w, &m->u.state.view);
    xha_cl_w32(w, &m->u.state.round);
    xha_cl_w32(w, &m->u.state.seq);
    xha_cl_wbool(w, &m->u.state.last);
    xha_cl_w32(w, &m->u.state.len);
    if (w->bad || m->u.state.len > CL_CHUNK || m->u.state.len > w->len - w->pos) {
        w->bad = true;
        return;
    }
    if (w->reads)
        m->u.state.bytes = w->at + w->pos;
    else
        memcpy(w->at + w->pos, m->u.state.bytes, m->u.state.len);
    w->pos += m->u.state.len;
}

static void wvolatile(struct cl_wire *w, struct cl_message *m)
{
    uint64_t u;

    switch (m->type) {
    case CL_HELLO:
        whello(w, &m->u.hello);
        break;
    case CL_STATE:
        wchunk(w, m);
        break;
    case CL_READY:
        xha_cl_w64(w, &m->u.ready.view);
        xha_cl_w64(w, &m->u.ready.epoch);
        xha_cl_w32(w, &m->u.ready.round);
        break;
    case CL_ACK:
        xha_cl_w64(w, &m->u.index);
        break;
    case CL_HASH:
        xha_cl_w64(w, &m->u.hash.index);
        xha_cl_w64(w, &m->u.hash.hash);
        break;
    case CL_PULSE:
        u = (uint64_t)m->u.pulse;
        xha_cl_w64(w, &u);
        if (u > INT64_MAX)
            w->bad = true;
        m->u.pulse = (int64_t)(u & INT64_MAX);
        break;
    case CL_RESULT:
        whostid(w, &m->u.result.request.origin, false);
        xha_cl_w64(w, &m->u.result.request.number);
        wi32(w, &m->u.result.rc);
        wtext(w, m->u.result.text, sizeof m->u.result.text);
        break;
    default: /* CL_CHECK */
        break;
    }
}

static void wcounted(struct cl_wire *w, struct cl_message *m)
{
    if (m->type >= CL_GIVE) {
        wuuid(w, &m->uuid);
        xha_cl_w64(w, &m->term);
    }
    if (m->type == CL_LOST || m->type == CL_FENCE_ORDER || m->type == CL_FENCE_RESULT ||
        m->type == CL_FENCED || m->type == CL_GRANT || m->type == CL_MOVE || m->type == CL_PAIR_BEGIN)
        whostid(w, &m->host, false);
    switch (m->type) {
    case CL_HOST:
        winfo(w, &m->u.info.info);
        xha_cl_wbool(w, &m->u.info.cleared);
        break;
    case CL_FENCE_ORDER:
        xha_cl_w32(w, &m->u.fence.attempt);
        whostid(w, &m->u.fence.executor, false);
        break;
    case CL_FENCE_RESULT:
        xha_cl_w32(w, &m->u.fence.attempt);
        xha_cl_wbool(w, &m->u.fence.ok);
        wtext(w, m->u.fence.text, sizeof m->u.fence.text);
        break;
    case CL_REQUEST:
        wrequest(w, &m->u.request, &m->uuid);
        break;
    case CL_REPORT:
        wreports(w, m);
        break;
    case CL_GIVE:
        W_ENUM(w, m->u.give.cause, XHA_CAUSE_N_);
        xha_cl_w32(w, &m->u.give.detail);
        xha_cl_wbool(w, &m->u.give.want_run);
        whostid(w, &m->u.give.prefer, true);
        break;
    case CL_GRANT:
        xha_cl_wbool(w, &m->u.fresh);
        break;
    case CL_MOVE:
        W_ENUM(w, m->u.move.mode, XHA_MOVE_MODE_N_);
        W_ENUM(w, m->u.move.why, XHA_MOVE_WHY_N_);
        break;
    case CL_MOVE_READY:
        w16(w, &m->u.move.port);
        /* fall through */
    case CL_MOVE_RESTORED:
        xha_cl_w64(w, &m->u.move.id);
        break;
    case CL_MOVE_END:
        xha_cl_w64(w, &m->u.move.id);
        wtext(w, m->u.move.text, sizeof m->u.move.text);
        break;
    case CL_PAIR_LISTENS:
        w16(w, &m->u.pair.port);
        /* fall through */
    case CL_PAIR_PROTECTED:
        xha_cl_w64(w, &m->u.pair.id);
        break;
    case CL_PAIR_END:
        xha_cl_wbool(w, &m->u.pair.want_run);
        /* fall through */
    case CL_PROMOTE:
        xha_cl_w64(w, &m->u.pair.id);
        wtext(w, m->u.pair.text, sizeof m->u.pair.text);
        break;
    default: /* LOST, FENCED, PAIR_BEGIN */
        break;
    }
}

/* magic, version, type, epoch, length of what follows. */
static bool message(struct cl_wire *w, struct cl_message *m, uint32_t *version)
{
    uint32_t magic = MAGIC, len = 0;
    size_t head;
    uint8_t type = (uint8_t)m->type;

    xha_cl_w32(w, &magic);
    if (w->bad || magic != MAGIC)
        return false;
    xha_cl_w32(w, version);
    if (*version != XHA_WIRE_VERSION)
        return false;
    xha_cl_w8(w, &type);
    xha_cl_w64(w, &m->epoch);
    head = w->pos;
    xha_cl_w32(w, &len);
    if (w->bad || (w->reads && len != w->len - w->pos))
        return false;
    m->type = type;
    if (type >= CL_HELLO && type <= CL_RESULT)
        wvolatile(w, m);
    else if (type >= CL_HOST && type < CL_TYPE_END)
        wcounted(w, m);
    else
        return false;
    if (w->bad)
        return false;
    if (w->reads)
        return w->pos == w->len;
    len = (uint32_t)(w->pos - head - 4);
    struct cl_wire back = cl_writer(w->at + head, 4);
    xha_cl_w32(&back, &len);
    return true;
}

bool xha_cl_encode(const struct cl_message *m, struct cl_wire *w)
{
    uint32_t version = XHA_WIRE_VERSION;

    /* The walk writes back what it reads: the same values. */
    return message(w, (struct cl_message *)(uintptr_t)m, &version) && w->pos <= XHA_MESSAGE_MAX;
}

int xha_cl_decode(const uint8_t *bytes, size_t len, struct cl_message *m, uint32_t *version_r)
{
    struct cl_wire w = cl_reader(bytes, len);

    *version_r = XHA_WIRE_VERSION;
    m->type = 0;
    m->host = XHA_HOST_NONE;
    if (len > XHA_MESSAGE_MAX || !message(&w, m, version_r))
        return XHA_CORE_E_INVAL;
    return XHA_CORE_OK;
}

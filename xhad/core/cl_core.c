/*
 * cl_core.c - life of the cluster core, events in, plans out, the order of work within a step.
 */
#include "cl_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- life ---- */

static int heap_new(struct heap *h, uint32_t max)
{
    h->max = max;
    h->item = calloc(max, sizeof *h->item);
    h->pos = calloc(max, sizeof *h->pos);
    if (!h->item || !h->pos)
        return XHA_CORE_E_NOMEM;
    memset(h->pos, 0xff, max * sizeof *h->pos);
    return XHA_CORE_OK;
}

static int tables_new(struct xha_cluster *cl)
{
    if (xha_cl_state_new(&cl->states[0], cl->set.max_domains) ||
        xha_cl_state_new(&cl->states[1], cl->set.max_domains))
        return XHA_CORE_E_NOMEM;
    cl->st = &cl->states[0];
    cl->spare = &cl->states[1];
    if (heap_new(&cl->wanted, cl->st->n_slots) || heap_new(&cl->timers, cl->st->n_slots * CL_T_N_))
        return XHA_CORE_E_NOMEM;
    cl->arena = calloc(1, CL_ARENA);
    cl->said = calloc(CL_SAID_MAX, sizeof *cl->said);
    cl->in = calloc(1, sizeof *cl->in);
    cl->put = calloc(1, sizeof *cl->put);
    if (!cl->arena || !cl->said || !cl->in || !cl->put)
        return XHA_CORE_E_NOMEM;
    return xha_cl_place_new(cl);
}

int xha_cluster_new(const struct xha_cluster_settings *settings, struct xha_cluster **cluster_r)
{
    struct xha_cluster *cl;
    int rc;

    if (settings->self >= XHA_HOSTS_MAX || !settings->max_domains || settings->max_domains > 10000000)
        return XHA_CORE_E_INVAL;
    cl = calloc(1, sizeof *cl);
    if (!cl)
        return XHA_CORE_E_NOMEM;
    cl->set = *settings;
    cl->self = settings->self;
    rc = tables_new(cl);
    if (rc) {
        xha_cluster_free(cl);
        return rc;
    }
    cl->commit_at = XHA_TIME_NEVER;
    cl->pulse_sent = cl->pulse_back = (struct xha_time){ -1 };
    cl->winner = cl->last_placed = XHA_HOST_NONE;
    for (uint32_t h = 0; h < XHA_HOSTS_MAX; h++)
        cl->eye[h].absent_since = cl->eye[h].gone_since = cl->eye[h].pulsed = XHA_TIME_NEVER;
    *cluster_r = cl;
    return XHA_CORE_OK;
}

void xha_cluster_free(struct xha_cluster *cl)
{
    if (!cl)
        return;
    xha_cl_state_free(&cl->states[0]);
    xha_cl_state_free(&cl->states[1]);
    free(cl->wanted.item);
    free(cl->wanted.pos);
    free(cl->timers.item);
    free(cl->timers.pos);
    xha_cl_place_free(cl);
    free(cl->arena);
    free(cl->said);
    free(cl->in);
    free(cl->put);
    free(cl);
}

/* ---- plans ---- */

bool xha_cl_room(const struct xha_cluster *cl, uint32_t actions, size_t bytes)
{
    if (cl->plan->n + actions <= XHA_CLUSTER_PLAN_MAX && cl->arena_used + bytes <= CL_ARENA)
        return true;
    cl->plan->more = true;
    return false;
}

struct xha_cluster_action *xha_cl_action(struct xha_cluster *cl, enum xha_cluster_action_type type)
{
    struct xha_cluster_action *a;

    assert(cl->plan->n < XHA_CLUSTER_PLAN_MAX);
    a = &cl->plan->action[cl->plan->n++];
    memset(a, 0, sizeof *a);
    a->type = type;
    a->index = cl->st->rank.index;
    a->host = XHA_HOST_NONE;
    return a;
}

struct cl_message *xha_cl_put(struct xha_cluster *cl)
{
    memset(cl->put, 0, offsetof(struct cl_message, u));
    cl->put->host = XHA_HOST_NONE;
    return cl->put;
}

void xha_cl_send(struct xha_cluster *cl, enum cl_type type)
{
    struct cl_wire w = cl_writer(cl->arena + cl->arena_used, CL_ARENA - cl->arena_used);
    struct xha_cluster_action *a = xha_cl_action(cl, XHA_CACT_SEND);
    bool whole;

    cl->put->type = type;
    cl->put->epoch = cl->st->rank.epoch;
    whole = xha_cl_encode(cl->put, &w);
    assert(whole);
    a->u.bytes.at = w.at;
    a->u.bytes.len = w.pos;
    cl->arena_used += (uint32_t)w.pos;
}

bool xha_cl_may_fly(struct xha_cluster *cl)
{
    if (cl->flying >= CL_FLYING_MAX || !xha_cl_room(cl, 2, XHA_MESSAGE_MAX))
        return false;
    cl->flying++;
    return true;
}

void xha_cl_next(struct xha_cluster *cl, struct xha_time at)
{
    if (before(at, cl->plan->next))
        cl->plan->next = at;
}

/* What is said to people waits in a ring until a plan has room; the oldest gives way. */
static struct xha_cluster_action *said(struct xha_cluster *cl)
{
    struct xha_cluster_action *a;

    if (cl->said_n == CL_SAID_MAX) {
        cl->said_first = (cl->said_first + 1) % CL_SAID_MAX;
        cl->said_n--;
    }
    a = &cl->said[(cl->said_first + cl->said_n++) % CL_SAID_MAX];
    memset(a, 0, sizeof *a);
    a->index = cl->st->rank.index;
    return a;
}

static void say(struct xha_cluster *cl, enum xha_cluster_action_type type, enum xha_severity sev,
                enum xha_cluster_cause cause, uint8_t host, const struct xha_uuid *uuid, uint32_t detail,
                const char *format, va_list args) __attribute__((format(printf, 8, 0)));

static void say(struct xha_cluster *cl, enum xha_cluster_action_type type, enum xha_severity sev,
                enum xha_cluster_cause cause, uint8_t host, const struct xha_uuid *uuid, uint32_t detail,
                const char *format, va_list args)
{
    struct xha_cluster_action *a;

    if (cl->replaying)
        return;
    a = said(cl);
    a->type = type;
    a->host = host;
    if (uuid)
        a->uuid = *uuid;
    a->u.said.severity = sev;
    a->u.said.cause = cause;
    a->u.said.detail = detail;
    vsnprintf(a->u.said.text, sizeof a->u.said.text, format, args);
}

void xha_cl_say(struct xha_cluster *cl, enum xha_severity sev, enum xha_cluster_cause cause, uint8_t host,
                const struct xha_uuid *uuid, uint32_t detail, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(cl, XHA_CACT_ALARM, sev, cause, host, uuid, detail, format, args);
    va_end(args);
}

void xha_cl_note(struct xha_cluster *cl, enum xha_cluster_cause cause, uint8_t host,
                 const struct xha_uuid *uuid, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(cl, XHA_CACT_NOTE, XHA_SEV_INFO, cause, host, uuid, 0, format, args);
    va_end(args);
}

const char *xha_cl_host_name(const struct xha_cluster *cl, uint8_t host)
{
    if (host >= XHA_HOSTS_MAX)
        return "no host";
    if (cl->st->host[host].info.name[0])
        return cl->st->host[host].info.name;
    if (cl->hello[host].info.name[0])
        return cl->hello[host].info.name;
    return "a host unknown so far";
}

bool xha_cl_synced(const struct xha_cluster *cl)
{
    return cl->phase == CL_SYNCED;
}

bool xha_cl_leads(const struct xha_cluster *cl)
{
    return cl->phase == CL_SYNCED && cl->quorate && cl_lowest(cl->st->members) == cl->self;
}

/* ---- a step ---- */

static int refuse(struct xha_cluster *cl, uint8_t from, uint32_t version)
{
    if (version != XHA_WIRE_VERSION && from != cl->self)
        xha_cl_mute(cl, from);
    if (version != XHA_WIRE_VERSION)
        xha_cl_say(
            cl, XHA_SEV_WARNING, XHA_CC_VERSION, from, NULL, version,
            "host %s speaks version %u of xhad's messages, this one %u: its message was refused; bring "
            "both to the same xhad",
            xha_cl_host_name(cl, from), version, XHA_WIRE_VERSION);
    else
        xha_cl_say(cl, XHA_SEV_WARNING, XHA_CC_VERSION, from, NULL, 0,
                   "a malformed message of host %s was refused; look at xhad's version there",
                   xha_cl_host_name(cl, from));
    return XHA_CORE_E_INVAL;
}

static void counted(struct xha_cluster *cl, const struct cl_message *m, const uint8_t *bytes, size_t len)
{
    cl->st->rank.index++;
    xha_cl_log_message(cl, m->from, bytes, len);
    if (m->from == cl->self && cl->flying)
        cl->flying--;
    xha_cl_apply(cl, m);
    if (m->from == cl->self)
        xha_cl_own_applied(cl, m);
}

static void in_epoch(struct xha_cluster *cl, const struct cl_message *m, const uint8_t *bytes, size_t len)
{
    if (cl->phase != CL_SYNCED || m->epoch != cl->st->rank.epoch || !cl_in(cl->st->members, m->from))
        return; /* dropped by all alike; its sender says it again */
    switch (m->type) {
    case CL_ACK:
        xha_cl_ack(cl, m);
        break;
    case CL_CHECK:
        xha_cl_check(cl);
        break;
    case CL_HASH:
        xha_cl_hash_told(cl, m);
        break;
    case CL_RESULT:
        xha_cl_result_told(cl, m);
        break;
    default:
        counted(cl, m, bytes, len);
        break;
    }
}

static int message(struct xha_cluster *cl, const struct xha_cluster_event *ev)
{
    struct cl_message *m = cl->in;
    uint32_t version;

    if (ev->u.message.from >= XHA_HOSTS_MAX)
        return XHA_CORE_E_INVAL;
    if (xha_cl_decode(ev->u.message.bytes, ev->u.message.len, m, &version))
        return refuse(cl, ev->u.message.from, version);
    m->from = ev->u.message.from;
    if (!cl_in(cl->view.members, m->from))
        return XHA_CORE_OK;
    switch (m->type) {
    case CL_HELLO:
        xha_cl_hello(cl, m);
        break;
    case CL_STATE:
        xha_cl_state(cl, m);
        break;
    case CL_READY:
        xha_cl_ready(cl, m);
        break;
    case CL_PULSE:
        xha_cl_pulse(cl, m);
        break;
    default:
        in_epoch(cl, m, ev->u.message.bytes, ev->u.message.len);
        break;
    }
    return XHA_CORE_OK;
}

static void quorum(struct xha_cluster *cl, const struct xha_cluster_event *ev)
{
    bool changed = cl->quorate != ev->u.quorum.quorate;

    cl->quorate = ev->u.quorum.quorate;
    cl->exclusive = ev->u.quorum.exclusive;
    if (!changed)
        return;
    cl->was_members = cl->met = 0;
    if (cl->quorate)
        xha_cl_note(cl, XHA_CC_QUORUM_BACK, cl->self, NULL, "this host has quorum");
    else
        xha_cl_say(cl, XHA_SEV_CRITICAL, XHA_CC_QUORUM_LOST, cl->self, NULL, 0,
                   "this host has no quorum: nothing is started here until it is back; look at the network "
                   "and at corosync-quorumtool");
    xha_cl_hello_again(cl);
}

static int dispatch(struct xha_cluster *cl, const struct xha_cluster_event *ev)
{
    switch (ev->type) {
    case XHA_CEV_TICK:
        return XHA_CORE_OK;
    case XHA_CEV_RECALL:
        return xha_cl_recall(cl, ev->u.message.bytes, ev->u.message.len);
    case XHA_CEV_INFO:
        cl->info = ev->u.info;
        cl->info.version = XHA_WIRE_VERSION;
        cl->have_info = true;
        cl->info_at = 0;
        return XHA_CORE_OK;
    case XHA_CEV_VIEW:
        xha_cl_view(cl, &ev->u.view);
        return XHA_CORE_OK;
    case XHA_CEV_QUORUM:
        quorum(cl, ev);
        return XHA_CORE_OK;
    case XHA_CEV_MESSAGE:
        return message(cl, ev);
    case XHA_CEV_REQUEST:
        return xha_cl_request(cl, ev);
    case XHA_CEV_STORED:
        xha_cl_stored(cl, ev->u.stored);
        return XHA_CORE_OK;
    case XHA_CEV_FENCE_DONE:
        return xha_cl_fence_done(cl, ev);
    case XHA_CEV_RESULT:
        return xha_cl_result(cl, ev);
    case XHA_CEV_CLEARED:
        cl->cleared = true;
        cl->info_at = 0;
        return XHA_CORE_OK;
    case XHA_CEV_REPORT:
    case XHA_CEV_GIVE:
    case XHA_CEV_MOVE_READY:
    case XHA_CEV_MOVE_RESTORED:
    case XHA_CEV_MOVE_FAILED:
    case XHA_CEV_PAIR_LISTENS:
    case XHA_CEV_PAIR_PROTECTED:
    case XHA_CEV_PAIR_END:
    case XHA_CEV_PROMOTE:
        return xha_cl_fact(cl, ev);
    case XHA_CEV_N_:
        break;
    }
    return XHA_CORE_E_INVAL;
}

static void tell_people(struct xha_cluster *cl)
{
    while (cl->said_n && xha_cl_room(cl, 1, 0)) {
        cl->plan->action[cl->plan->n++] = cl->said[cl->said_first];
        cl->said_first = (cl->said_first + 1) % CL_SAID_MAX;
        cl->said_n--;
    }
}

/* Whatever follows from the state, until the plan is full; then the next TICK goes on. */
static void work(struct xha_cluster *cl)
{
    if (!xha_cl_log_dump(cl))
        return;
    if (cl->dump_wanted || (cl->set.log_max && cl->since_dump >= cl->set.log_max)) {
        if (!xha_cl_room(cl, 8, 0))
            return;
        cl->dump_wanted = false;
        xha_cl_log_rewrite(cl);
        if (!xha_cl_log_dump(cl))
            return;
    }
    xha_cl_sync_say(cl);
    xha_cl_commit_say(cl);
    if (xha_cl_synced(cl)) {
        xha_cl_request_say(cl);
        xha_cl_facts_say(cl);
        xha_cl_timers(cl);
        xha_cl_watch(cl);
        xha_cl_lead(cl);
        xha_cl_fence_do(cl);
    }
    tell_people(cl);
}

int xha_cluster_step(struct xha_cluster *cl, const struct xha_cluster_event *ev,
                     struct xha_cluster_plan *plan_r)
{
    int rc;

    if (before(cl->now, ev->now))
        cl->now = ev->now;
    plan_r->n = 0;
    plan_r->more = false;
    plan_r->next = XHA_TIME_NEVER;
    cl->plan = plan_r;
    cl->arena_used = 0;
    xha_cl_watch_self(cl);
    if (cl->dump.active && ev->type != XHA_CEV_TICK) {
        plan_r->more = true;
        return XHA_CORE_E_BUSY;
    }
    rc = dispatch(cl, ev);
    if (ev->type != XHA_CEV_RECALL)
        work(cl);
    return rc;
}

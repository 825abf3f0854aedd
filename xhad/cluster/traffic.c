/*
 * traffic.c - what goes over a link to corosync: messages and views in, frames and pulses out.
 *
 * libcpg must not be closed from inside its own dispatch, nor may the owner be told of the end inside of a
 * call of his: what finds something broken writes it to `broken`, and engine.c ends the link afterwards.
 */
#include "xhad/cluster/internal.h"
#include "xhad/base/log.h"
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define PUSH_MS      5   /* between tries while corosync takes no more */
#define READ_AT_ONCE 256 /* messages per wake-up */

/* ---- quorum and pulses ---- */

void xha_traffic_tell_quorum(struct xha_engine *e)
{
    bool quorate = e->voted && !e->stalled, exclusive = e->facts.quorum.exclusive;

    if (e->closing || (quorate == e->quorate && exclusive == e->exclusive))
        return;
    e->quorate = e->facts.quorum.quorate = quorate;
    e->exclusive = exclusive;
    e->ops.quorum(e->arg, quorate, exclusive);
}

/* Also before each message that is handed on: after a long sleep the past must not be taken for now. */
static void check_pulse(struct xha_engine *e)
{
    uint64_t age = xha_engine_now_ms() - (e->proof_ms ? e->proof_ms : e->up_ms);

    if (!e->stalled && age > e->stall_ms) {
        e->stalled = true;
        xha_log(XHA_LOG_WARNING,
                "the cluster's ring stands still for us: no quorum until our messages come back",
                XHA_U("ms", age));
    }
    xha_traffic_tell_quorum(e);
}

static void pulse_is_back(struct xha_engine *e, uint64_t sent_ms)
{
    if (sent_ms <= e->proof_ms)
        return;
    e->proof_ms = sent_ms;
    if (e->stalled && xha_engine_now_ms() - sent_ms <= e->stall_ms) {
        e->stalled = false;
        xha_log(XHA_LOG_INFO, "the cluster's ring turns again");
    }
    check_pulse(e);
}

static void broken(struct xha_engine *e, const char *what, cs_error_t error)
{
    if (!e->broken[0])
        snprintf(e->broken, sizeof e->broken, "corosync: %s: %s; see 'journalctl -u corosync'", what,
                 cs_strerror(error));
}

/* ---- sending ---- */

/* 1: taken, 0: not now, -1: broken. */
static int multicast(struct xha_engine *e, const struct xha_frame *frame)
{
    uint8_t head[XHA_FRAME_HEAD];
    struct iovec iov[2] = {
        { .iov_base = head, .iov_len = sizeof head },
        { .iov_base = (void *)(uintptr_t)frame->data, .iov_len = frame->len },
    };
    cs_error_t error;

    xha_frame_head(frame, head);
    error = cpg_mcast_joined(e->link->session->cpg, CPG_TYPE_AGREED, iov, frame->len ? 2 : 1);
    if (error == CS_OK)
        return 1;
    if (error == CS_ERR_TRY_AGAIN)
        return 0;
    broken(e, "a message cannot be sent", error);
    return -1;
}

static void on_push(uv_timer_t *timer)
{
    struct xha_engine *e = timer->data;

    xha_traffic_push(e);
    xha_engine_end_broken(e);
}

void xha_traffic_push(struct xha_engine *e)
{
    struct xha_frame frame;
    int r = 1;

    while (r == 1 && e->link && xha_outbox_peek(&e->outbox, &frame)) {
        r = multicast(e, &frame);
        if (r == 1)
            xha_outbox_sent(&e->outbox);
    }
    if (r == 0)
        uv_timer_start(&e->push, on_push, PUSH_MS, 0);
    else if (r < 0)
        uv_timer_start(&e->push, on_push, 0, 0); /* so that the caller's call ends before down() */
}

int xha_engine_send(struct xha_engine *e, const void *data, size_t len)
{
    int rc;

    if (!e->link || e->broken[0] || e->closing)
        return XHA_ENGINE_E_DOWN;
    rc = xha_outbox_add(&e->outbox, data, len);
    if (rc == 0)
        xha_traffic_push(e);
    return rc;
}

void xha_traffic_pulse(struct xha_engine *e)
{
    struct xha_frame frame = { .kind = XHA_FRAME_PULSE, .number = xha_engine_now_ms() };

    check_pulse(e);
    if (!e->closing && e->link && !e->broken[0])
        multicast(e, &frame);
}

/* ---- what corosync tells ---- */

static struct xha_engine *engine_of(cpg_handle_t handle)
{
    void *context = NULL;
    struct xha_link *link;

    cpg_context_get(handle, &context);
    link = context;
    return link->e;
}

/* Quorum comes on another connection: what was said before the message at hand is told before it. */
void xha_traffic_votes(struct xha_engine *e)
{
    cs_error_t error;

    do
        error = votequorum_dispatch(e->link->session->votequorum, CS_DISPATCH_ONE_NONBLOCKING);
    while (error == CS_OK);
    if (error != CS_ERR_TRY_AGAIN)
        broken(e, "votequorum hung up", error);
    check_pulse(e);
}

static void refused(struct xha_engine *e, unsigned host, int rc, unsigned version)
{
    if (rc == XHA_FRAME_E_ORDER || (version && e->newer[host] == version))
        return; /* the rest of a message that a view has cut; said before */
    e->newer[host] = version;
    if (rc == XHA_FRAME_E_VERSION)
        xha_log(XHA_LOG_ERROR,
                "a host speaks another version of the cluster's protocol: install the same xhad",
                XHA_S("host", e->facts.hosts[host].name), XHA_U("version", version),
                XHA_U("ours", XHA_FRAME_VERSION));
    else
        xha_log(XHA_LOG_ERROR, "a host sent a message that is none of xhad's; it is ignored",
                XHA_S("host", e->facts.hosts[host].name));
}

static void take_frame(struct xha_engine *e, unsigned host, const struct xha_frame *frame)
{
    bool ours = host + 1 == e->facts.nodeid;
    const uint8_t *data;
    size_t len;
    int rc;

    if (frame->kind == XHA_FRAME_PULSE) {
        if (ours)
            pulse_is_back(e, frame->number);
        return;
    }
    rc = xha_parts_take(&e->parts, host, frame, &data, &len);
    if (rc == XHA_FRAME_E_NOMEM) /* the others have it: without it we would go another way */
        broken(e, "no memory for a message", CS_ERR_NO_MEMORY);
    else if (rc < 0)
        refused(e, host, rc, 0);
    if (rc != 1)
        return;
    if (ours)
        xha_outbox_returned(&e->outbox, frame->number);
    e->ops.deliver(e->arg, (uint8_t)host, data, len);
}

static void on_cpg_deliver(cpg_handle_t handle, const struct cpg_name *group, uint32_t nodeid, uint32_t pid,
                           void *data, size_t len)
{
    struct xha_engine *e = engine_of(handle);
    int host = xha_members_host(&e->members, nodeid, pid);
    struct xha_frame frame;
    unsigned version = 0;
    int rc;

    (void)group;
    if (host < 0)
        return;
    xha_traffic_votes(e);
    if (e->closing || e->broken[0])
        return;
    rc = xha_frame_parse(data, len, &frame, &version);
    if (rc < 0)
        refused(e, (unsigned)host, rc, version);
    else
        take_frame(e, (unsigned)host, &frame);
}

/* A message of ours that this view has cut is sent again; halves of all others are forgotten. */
static void tell_views(struct xha_engine *e, const struct xha_engine_view *view, size_t n)
{
    const struct xha_part *own = &e->parts.of[e->facts.nodeid - 1];

    if (n && own->got < own->total)
        xha_outbox_again(&e->outbox, own->number);
    if (n)
        xha_parts_clear(&e->parts);
    for (size_t i = 0; i < n && !e->closing && !e->broken[0]; i++)
        e->ops.view(e->arg, &view[i]);
}

static void on_cpg_change(cpg_handle_t handle, const struct cpg_name *group, const struct cpg_address *all,
                          size_t n_all, const struct cpg_address *left, size_t n_left,
                          const struct cpg_address *joined, size_t n_joined)
{
    struct xha_engine *e = engine_of(handle);
    struct xha_engine_view view[XHA_MEMBERS_VIEWS_MAX];
    unsigned self = e->facts.nodeid - 1;
    size_t n;

    (void)group;
    xha_traffic_votes(e);
    n = xha_members_change(&e->members, all, n_all, left, n_left, joined, n_joined, view);
    if (e->members.stranger)
        xha_log(XHA_LOG_ERROR,
                "an xhad has joined from a node that cannot be a host: give it a nodeid from 1 to 64 in "
                "corosync.conf on all hosts",
                XHA_U("nodeid", e->members.stranger));
    if (e->members.next[self] != (uint32_t)getpid())
        snprintf(e->broken, sizeof e->broken,
                 "another xhad of this host has joined the cluster, or corosync has put us out of it; see "
                 "'pgrep -a xhad' and stop one");
    tell_views(e, view, n);
}

static void on_cpg_ring(cpg_handle_t handle, struct cpg_ring_id ring, uint32_t n, const uint32_t *nodeid)
{
    struct xha_engine *e = engine_of(handle);
    struct xha_engine_view view[XHA_MEMBERS_VIEWS_MAX];

    xha_traffic_votes(e);
    tell_views(e, view, xha_members_ring(&e->members, ring, nodeid, n, view));
}

static void on_votes(votequorum_handle_t handle, uint64_t context, uint32_t quorate, uint32_t n,
                     votequorum_node_t *nodes)
{
    struct xha_link *link = (struct xha_link *)(uintptr_t)context;

    (void)handle;
    (void)n;
    (void)nodes;
    link->e->voted = quorate != 0;
    xha_traffic_tell_quorum(link->e);
    xha_engine_ask(link->e);
}

static void on_expected(votequorum_handle_t handle, uint64_t context, uint32_t expected)
{
    struct xha_link *link = (struct xha_link *)(uintptr_t)context;

    (void)handle;
    (void)expected;
    xha_engine_ask(link->e);
}

/* ---- reading ---- */

void xha_traffic_callbacks(struct xha_session *session)
{
    session->cpg_callbacks.cpg_deliver_fn = on_cpg_deliver;
    session->cpg_callbacks.cpg_confchg_fn = on_cpg_change;
    session->cpg_callbacks.cpg_totem_confchg_fn = on_cpg_ring;
    session->votequorum_callbacks.votequorum_quorum_notify_fn = on_votes;
    session->votequorum_callbacks.votequorum_expectedvotes_notify_fn = on_expected;
}

void xha_traffic_read(struct xha_engine *e)
{
    cs_error_t error = CS_OK;

    check_pulse(e);
    xha_traffic_votes(e);
    for (int i = 0; i < READ_AT_ONCE && error == CS_OK && !e->closing && !e->broken[0]; i++)
        error = cpg_dispatch(e->link->session->cpg, CS_DISPATCH_ONE_NONBLOCKING);
    if (error != CS_OK && error != CS_ERR_TRY_AGAIN)
        broken(e, "it hung up", error);
    if (!e->closing && !e->broken[0])
        xha_traffic_push(e); /* what came back has made room */
}

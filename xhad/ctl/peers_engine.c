/*
 * peers_engine.c - corosync's words become events; what is to be said goes into its order.
 */
#include "xhad/ctl/peers.h"
#include <string.h>

#define EXIT_CONFIG 78

static void on_up(void *arg, uint8_t self)
{
    struct xha_peers *p = arg;
    char text[500];

    if (p->node && self != p->self) {
        snprintf(
            text, sizeof text,
            "corosync says that this host is number %u, but it was number %u: has its nodeid been changed, "
            "or its disk copied from another host? Remove %.150s to make it a new member",
            self, p->self, p->dir);
        xha_peers_alarm(p, "cluster", XHA_SEV_CRITICAL, text);
        p->d->exit_code = EXIT_CONFIG;
        xha_daemon_stop(p->d);
        return;
    }
    p->self = self;
    p->up = true;
    p->why_down[0] = '\0';
    if (!p->node)
        return;
    xha_log(XHA_LOG_INFO, "corosync is there", XHA_S("cluster", xha_engine_cluster_name(p->engine)),
            XHA_U("host", self));
    xha_peers_inform(p);
}

static void on_view(void *arg, const struct xha_engine_view *view)
{
    struct xha_peers *p = arg;
    struct xha_cluster_event ev = { .type = XHA_CEV_VIEW };

    if (!p->node)
        return;
    p->members = 0;
    for (size_t i = 0; i < view->n; i++)
        p->members |= (xha_hostset)1 << view->host[i];
    p->nodes = view->nodes | p->members;
    p->view = view->id;
    ev.u.view.id = view->id;
    ev.u.view.members = p->members;
    ev.u.view.nodes = p->nodes;
    xha_peers_step(p, &ev);
}

static void on_quorum(void *arg, bool quorate, bool exclusive)
{
    struct xha_peers *p = arg;
    struct xha_cluster_event ev = { .type = XHA_CEV_QUORUM };

    if (!p->node)
        return;
    ev.u.quorum.quorate = quorate;
    ev.u.quorum.exclusive = exclusive;
    xha_peers_step(p, &ev);
}

static void hear_core(struct xha_peers *p, uint8_t host, const uint8_t *bytes, size_t len)
{
    struct xha_cluster_event ev = { .type = XHA_CEV_MESSAGE };
    char name[XHA_HOST_TEXT];

    ev.u.message.from = host;
    ev.u.message.bytes = bytes;
    ev.u.message.len = len;
    if (xha_peers_step(p, &ev))
        xha_log(XHA_LOG_DEBUG, "a message of the cluster was refused",
                XHA_S("from", xha_peers_host(p, host, name)), XHA_U("bytes", len));
}

static void on_deliver(void *arg, uint8_t host, const void *data, size_t len)
{
    struct xha_peers *p = arg;
    const uint8_t *bytes = data;

    if (!p->node || len < 2 || p->d->stopping)
        return;
    switch (bytes[0]) {
    case XHA_PEERS_CORE:
        hear_core(p, host, bytes + 1, len - 1);
        return;
    case XHA_PEERS_TEXT:
        xha_texts_hear(p, bytes + 1, len - 1);
        return;
    case XHA_PEERS_WANT:
        xha_texts_hear_want(p, host, bytes + 1, len - 1);
        return;
    case XHA_PEERS_PROGRESS:
    case XHA_PEERS_LIMIT:
    case XHA_PEERS_QUESTION:
    case XHA_PEERS_ANSWER:
        if (len <= XHA_PEERS_JSON_MAX)
            xha_peers_hear(p, host, (enum xha_peers_kind)bytes[0], (const char *)bytes + 1, len - 1);
        return;
    default: /* of a newer xhad: the cluster core tells of versions */
        return;
    }
}

static void on_hosts(void *arg)
{
    struct xha_peers *p = arg;

    if (p->node)
        xha_peers_inform(p);
}

static void on_down(void *arg, const char *why)
{
    struct xha_peers *p = arg;
    struct xha_cluster_event ev = { .type = XHA_CEV_QUORUM };
    bool news = p->up || !p->why_down[0];
    char text[500];

    p->up = false;
    p->members = p->nodes = 0;
    snprintf(p->why_down, sizeof p->why_down, "%s", why);
    if (news && !p->d->stopping) {
        snprintf(text, sizeof text, "no part of the cluster: %.300s", why);
        if (p->node)
            xha_peers_alarm(p, "cluster", XHA_SEV_CRITICAL, text);
        else
            xha_log(XHA_LOG_WARNING, "waiting for corosync, which says which host this is",
                    XHA_S("why", why));
    }
    if (p->node && !p->d->stopping)
        xha_peers_step(p, &ev);
}

static void on_closed(void *arg)
{
    struct xha_peers *p = arg;

    p->engine_closed = true;
}

const struct xha_engine_ops xha_peers_engine_ops = {
    .up = on_up,
    .view = on_view,
    .quorum = on_quorum,
    .deliver = on_deliver,
    .hosts = on_hosts,
    .down = on_down,
    .closed = on_closed,
};

void xha_peers_send(struct xha_peers *p, enum xha_peers_kind kind, const void *bytes, size_t len)
{
    uint8_t *copy = malloc(len + 1);
    int rc;

    if (!copy)
        abort(); /* a message that others wait for: better a clean start */
    copy[0] = (uint8_t)kind;
    memcpy(copy + 1, bytes, len);
    rc = xha_engine_send(p->engine, copy, len + 1);
    free(copy);
    if (rc == XHA_ENGINE_E_FULL || rc == XHA_ENGINE_E_NOMEM)
        abort(); /* 128 MiB wait for a ring that does not turn */
    /* E_DOWN: the sync after the next view says again what is needed. */
}

void xha_peers_send_json(struct xha_peers *p, enum xha_peers_kind kind, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    if (text && strlen(text) < XHA_PEERS_JSON_MAX)
        xha_peers_send(p, kind, text, strlen(text));
    free(text);
    json_decref(json);
}

/*
 * members.c - from corosync's membership to views. Pure; see members.h.
 */
#include "xhad/cluster/members.h"
#include <string.h>

void xha_members_init(struct xha_members *m)
{
    *m = (struct xha_members){ 0 };
}

static bool is_host(uint32_t nodeid)
{
    return nodeid >= 1 && nodeid <= XHA_ENGINE_HOSTS_MAX;
}

int xha_members_host(const struct xha_members *m, uint32_t nodeid, uint32_t pid)
{
    return is_host(nodeid) && pid && m->pid[nodeid - 1] == pid ? (int)nodeid - 1 : -1;
}

static enum xha_engine_left why_of(uint32_t reason)
{
    return reason == CPG_REASON_LEAVE      ? XHA_ENGINE_LEFT
           : reason == CPG_REASON_PROCDOWN ? XHA_ENGINE_PROC
                                           : XHA_ENGINE_NODE;
}

static void leave(struct xha_members *m, unsigned host, enum xha_engine_left why)
{
    m->next[host] = 0;
    m->gone[host] = true;
    m->why[host] = why;
}

static void join(struct xha_members *m, unsigned host, uint32_t pid)
{
    /* One xhad speaks for a host: the newest. */
    if (m->next[host] && m->next[host] != pid)
        leave(m, host, XHA_ENGINE_PROC);
    m->next[host] = pid;
}

/* FNV-1a: names a view, protects nothing. */
static uint64_t mix(uint64_t hash, const void *data, size_t len)
{
    const uint8_t *p = data;

    while (len--)
        hash = (hash ^ *p++) * 0x100000001b3u;
    return hash;
}

static void fill(const struct xha_members *m, const uint32_t *pid, struct xha_engine_view *view_r)
{
    uint64_t hash = mix(0xcbf29ce484222325u, &m->ring.nodeid, sizeof m->ring.nodeid);

    hash = mix(hash, &m->ring.seq, sizeof m->ring.seq);
    memset(view_r, 0, sizeof *view_r);
    view_r->nodes = m->nodes;
    for (unsigned h = 0; h < XHA_ENGINE_HOSTS_MAX; h++) {
        hash = mix(hash, &pid[h], sizeof pid[h]);
        if (pid[h]) {
            view_r->host[view_r->n++] = (uint8_t)h;
            view_r->nodes |= UINT64_C(1) << h;
        }
    }
    view_r->id = hash ? hash : 1;
}

/* The view without those who left; they are listed. m->pid follows. */
static void view_of_leaving(struct xha_members *m, struct xha_engine_view *view_r)
{
    uint32_t pid[XHA_ENGINE_HOSTS_MAX];
    bool was[XHA_ENGINE_HOSTS_MAX];

    for (unsigned h = 0; h < XHA_ENGINE_HOSTS_MAX; h++) {
        was[h] = m->pid[h] != 0;
        pid[h] = m->gone[h] ? 0 : m->pid[h];
    }
    fill(m, pid, view_r);
    for (unsigned h = 0; h < XHA_ENGINE_HOSTS_MAX; h++) {
        if (!was[h] || !m->gone[h])
            continue;
        if (m->why[h] == XHA_ENGINE_NODE)
            view_r->nodes &= ~(UINT64_C(1) << h); /* also when it is back by now */
        view_r->left[view_r->n_left].host = (uint8_t)h;
        view_r->left[view_r->n_left++].why = m->why[h];
    }
    memcpy(m->pid, pid, sizeof pid);
}

static size_t views(struct xha_members *m, struct xha_engine_view *view_r)
{
    struct xha_engine_view going;
    bool back = false;
    size_t n = 0;

    m->gathering = false;
    for (unsigned h = 0; h < XHA_ENGINE_HOSTS_MAX; h++)
        back = back || (m->pid[h] && m->gone[h] && m->next[h]);
    view_of_leaving(m, &going);
    if (back)
        view_r[n++] = going;
    fill(m, m->next, &view_r[n]);
    for (unsigned h = 0; h < XHA_ENGINE_HOSTS_MAX; h++) {
        if (m->next[h] && !m->pid[h])
            view_r[n].joined[view_r[n].n_joined++] = (uint8_t)h;
    }
    if (!back) {
        view_r[n].n_left = going.n_left;
        memcpy(view_r[n].left, going.left, sizeof going.left);
    }
    memcpy(m->pid, m->next, sizeof m->pid);
    memset(m->gone, 0, sizeof m->gone);
    return n + 1;
}

size_t xha_members_change(struct xha_members *m, const struct cpg_address *all, size_t n_all,
                          const struct cpg_address *left, size_t n_left, const struct cpg_address *joined,
                          size_t n_joined, struct xha_engine_view view_r[XHA_MEMBERS_VIEWS_MAX])
{
    bool first = !m->told;

    m->told = true;
    m->gathering = m->gathering || !m->ring.seq; /* a joiner is told the ring, before or after this */
    m->stranger = 0;
    for (size_t i = 0; i < n_left; i++) {
        unsigned host = left[i].nodeid - 1;

        if (is_host(left[i].nodeid) && m->next[host] == left[i].pid)
            leave(m, host, why_of(left[i].reason));
        m->gathering = m->gathering || left[i].reason == CPG_REASON_NODEDOWN;
    }
    for (size_t i = 0; i < n_joined; i++) {
        if (is_host(joined[i].nodeid))
            join(m, joined[i].nodeid - 1, joined[i].pid);
        else
            m->stranger = joined[i].nodeid;
        m->gathering = m->gathering || joined[i].reason == CPG_REASON_NODEUP;
    }
    /* Who was there before us is told only once. */
    for (size_t i = 0; first && i < n_all; i++) {
        if (is_host(all[i].nodeid) && !m->next[all[i].nodeid - 1])
            join(m, all[i].nodeid - 1, all[i].pid);
    }
    return m->gathering ? 0 : views(m, view_r);
}

size_t xha_members_ring(struct xha_members *m, struct cpg_ring_id ring, const uint32_t *nodeid, size_t n,
                        struct xha_engine_view view_r[XHA_MEMBERS_VIEWS_MAX])
{
    m->ring = ring;
    m->nodes = 0;
    for (size_t i = 0; i < n; i++)
        if (is_host(nodeid[i]))
            m->nodes |= UINT64_C(1) << (nodeid[i] - 1);
    if (!m->told)
        return 0;
    return views(m, view_r);
}

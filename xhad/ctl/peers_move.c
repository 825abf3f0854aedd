/*
 * peers_move.c - the two ends of a move as jobs for workers.
 */
#include "xhad/ctl/peers.h"
#include <string.h>

static void fill_receive(const struct xha_peers *p, struct xha_job_move *m)
{
    m->port = (uint16_t)p->d->conf.move.port;
    m->port_last = (uint16_t)p->d->conf.move.port_last;
}

/* auto is the worker's to choose: live, or warm where the hypervisor cannot follow dirty pages. */
static const char *mode_text(uint8_t mode)
{
    return mode == XHA_MOVE_LIVE ? "live" : mode == XHA_MOVE_WARM ? "warm" : "";
}

static void fill_migrate(struct xha_peers *p, const struct xha_action *a, struct xha_job_move *m)
{
    struct xha_peers_interest *interest = xha_peers_interest(p, &a->uuid);
    struct xha_cluster_host peer;

    if (xha_cluster_host(xha_peers_state(p), a->u.deed.move.peer, &peer))
        snprintf(m->host, sizeof m->host, "%s", peer.info.address);
    m->port = a->u.deed.move.port;
    snprintf(m->mode, sizeof m->mode, "%s", mode_text(a->u.deed.move.mode));
    snprintf(m->compress, sizeof m->compress, "%s", xha_move_compress_name(p->d->conf.move.compress));
    m->limit_bps = interest->limit_bps ? interest->limit_bps : (uint64_t)p->d->conf.move.limit_kib * 1024;
    interest->limit_bps = 0;
}

void xha_peers_move_job(struct xha_peers *p, const struct xha_action *a, struct xha_job *job)
{
    struct xha_job_move *m = &job->move;

    m->id = a->u.deed.move.id;
    snprintf(m->key_file, sizeof m->key_file, "%s", p->d->conf.key_file);
    if (a->type == XHA_ACT_RECEIVE)
        fill_receive(p, m);
    else
        fill_migrate(p, a, m);
}

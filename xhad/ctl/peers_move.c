/*
 * peers_move.c - the two ends of a move, or of a replication, as jobs for workers.
 */
#include "xhad/ctl/peers.h"
#include <string.h>

#define BACKUP_PATIENCE                                                                                      \
    3 /* a backup hears nothing for so many times longer than the owner would wait for it */

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

static void fill_peer(struct xha_peers *p, const struct xha_action *a, struct xha_job_move *m)
{
    struct xha_cluster_host peer;

    if (xha_cluster_host(xha_peers_state(p), a->u.deed.move.peer, &peer))
        snprintf(m->host, sizeof m->host, "%s", peer.info.address);
    m->port = a->u.deed.move.port;
}

static void fill_migrate(struct xha_peers *p, const struct xha_action *a, struct xha_job_move *m)
{
    struct xha_peers_interest *interest = xha_peers_interest(p, &a->uuid);

    fill_peer(p, a, m);
    snprintf(m->mode, sizeof m->mode, "%s", mode_text(a->u.deed.move.mode));
    snprintf(m->compress, sizeof m->compress, "%s", xha_move_compress_name(p->d->conf.move.compress));
    m->limit_bps = interest->limit_bps ? interest->limit_bps : (uint64_t)p->d->conf.move.limit_kib * 1024;
    interest->limit_bps = 0;
}

static void fill_replica(const struct xha_domain_spec *spec, bool backup, struct xha_job_replica *r)
{
    const bool is_auto = spec->replication.interval.ms == 0;
    const int64_t silence = spec->replication.silence.ms;

    r->interval_min_ms =
        (uint32_t)(is_auto ? spec->replication.interval_min.ms : spec->replication.interval.ms);
    r->interval_max_ms =
        (uint32_t)(is_auto ? spec->replication.interval_max.ms : spec->replication.interval.ms);
    r->max_pause_permille = spec->replication.max_pause_share * 10;
    r->silence_ms = (uint32_t)(backup ? BACKUP_PATIENCE * silence : silence);
    r->queue_max_kib = spec->replication.queue_max_kib;
    snprintf(r->disks, sizeof r->disks, "%s", xha_replication_disks_name(spec->replication.disks));
}

void xha_peers_move_job(struct xha_peers *p, const struct xha_action *a, const struct xha_domain *dom,
                        struct xha_job *job)
{
    struct xha_job_move *m = &job->move;

    m->id = a->u.deed.move.id;
    snprintf(m->key_file, sizeof m->key_file, "%s", p->d->conf.key_file);
    if (a->type == XHA_ACT_RECEIVE || a->type == XHA_ACT_STANDBY)
        fill_receive(p, m);
    else if (a->type == XHA_ACT_MIGRATE)
        fill_migrate(p, a, m);
    else
        fill_peer(p, a, m);
    if (a->type == XHA_ACT_REPLICATE || a->type == XHA_ACT_STANDBY)
        fill_replica(&dom->spec, a->type == XHA_ACT_STANDBY, &job->replica);
}

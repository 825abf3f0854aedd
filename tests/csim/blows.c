/*
 * blows.c - what befalls replicated domains, and at which step of a pair's life: so that the swarm can tell whether it has
 * hit every step often.
 */
#include "tests/csim/csim.h"

const char *csim_life_name(int life)
{
    static const char *const names[CSIM_LIFE_N_] = { "bare",   "ordered",   "syncing", "protected",
                                                     "ending", "promoting", "held" };

    return names[life];
}

const char *csim_blow_name(int blow)
{
    static const char *const names[CSIM_BLOW_N_] = { "power", "pause", "partition", "corosync",
                                                     "xhad",  "guest", "worker",    "operator" };

    return names[blow];
}

/* The kind of trouble that a line is; CSIM_BLOW_N_: none. */
static enum csim_blow blow_of(enum csim_verb verb)
{
    static const struct {
        enum csim_verb from, to;
        enum csim_blow blow;
    } kinds[] = {
        { CSIM_NET_SPLIT, CSIM_NET_ONEWAY, CSIM_BLOW_PARTITION },
        { CSIM_H_POWER_FOR, CSIM_H_POWER, CSIM_BLOW_POWER },
        { CSIM_H_HANG, CSIM_H_FREEZE, CSIM_BLOW_PAUSE },
        { CSIM_C_DOWN, CSIM_C_DOWN, CSIM_BLOW_COROSYNC },
        { CSIM_X_DIES_AFTER, CSIM_X_STOPS, CSIM_BLOW_XHAD },
        { CSIM_G_CRASH, CSIM_G_HANG, CSIM_BLOW_GUEST },
        { CSIM_W_KILLED, CSIM_STREAM_CUT, CSIM_BLOW_WORKER },
        { CSIM_W_SENDER_DIES, CSIM_W_COPY_DIES, CSIM_BLOW_WORKER },
        { CSIM_OP_PROTECT, CSIM_OP_MAINT_OFF, CSIM_BLOW_OPERATOR },
        { CSIM_OP_LEAVE, CSIM_OP_LEAVE, CSIM_BLOW_OPERATOR },
    };

    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (verb >= kinds[i].from && verb <= kinds[i].to)
            return kinds[i].blow;
    return CSIM_BLOW_N_;
}

static bool hits(const struct csim_line *line, enum csim_blow blow, int guest,
                 const struct xha_cluster_domain *d)
{
    bool of_host = blow == CSIM_BLOW_POWER || blow == CSIM_BLOW_PAUSE || blow == CSIM_BLOW_COROSYNC ||
                   blow == CSIM_BLOW_XHAD || line->verb == CSIM_OP_LEAVE;

    if (blow == CSIM_BLOW_PARTITION)
        return true;
    if (line->verb == CSIM_OP_MAINT_ON || line->verb == CSIM_OP_MAINT_OFF)
        return line->host2 == d->owner || (d->pair.id && line->host2 == d->pair.backup);
    return of_host ? line->host == d->owner || (d->pair.id && line->host == d->pair.backup)
                   : line->guest == guest;
}

/* Ordered to take over, and not running yet. */
static bool promotes(const struct csim *cs, int guest, uint8_t owner)
{
    for (unsigned i = 0; i < cs->n_jobs; i++)
        if (cs->job[i].used && cs->job[i].type == XHA_ACT_STANDBY && cs->job[i].guest == guest &&
            cs->job[i].host == owner)
            return true;
    return false;
}

static bool gated(const struct csim *cs, int guest)
{
    for (unsigned i = 0; i < cs->n_insts; i++)
        if (cs->inst[i].there && cs->inst[i].guest == guest && cs->inst[i].gated)
            return true;
    return false;
}

static enum csim_life life_of(const struct csim *cs, int guest, const struct xha_cluster_domain *d)
{
    if (d->pair.id && d->phase == XHA_PH_FREE)
        return CSIM_LIFE_HELD;
    if (d->pair.id)
        return d->pair.stage == XHA_PAIR_ORDERED   ? CSIM_LIFE_ORDERED
               : d->pair.stage == XHA_PAIR_SYNCING ? CSIM_LIFE_SYNCING
                                                   : CSIM_LIFE_PROTECTED;
    if (d->phase == XHA_PH_OWNED && promotes(cs, guest, d->owner))
        return CSIM_LIFE_PROMOTING;
    return gated(cs, guest) ? CSIM_LIFE_ENDING : CSIM_LIFE_BARE;
}

/* Who knows most of all of them: the newest state in a quorate view. */
static const struct xha_cluster *knows(const struct csim *cs)
{
    const struct xha_cluster *best = NULL;
    uint64_t index = 0;

    for (unsigned h = 0; h < cs->n_hosts; h++) {
        struct xha_cluster_status st;

        if (!cs->host[h].node)
            continue;
        xha_cluster_status(xha_node_state(cs->host[h].node), &st);
        if (!st.quorate || !st.synced || (best && st.index <= index))
            continue;
        best = xha_node_state(cs->host[h].node);
        index = st.index;
    }
    return best;
}

void csim_blows_count(struct csim *cs, const struct csim_line *line)
{
    enum csim_blow blow = blow_of(line->verb);
    const struct xha_cluster *state = cs->cover && blow < CSIM_BLOW_N_ ? knows(cs) : NULL;

    for (unsigned g = 0; state && g < cs->n_guests; g++) {
        struct xha_cluster_domain d;

        if (!xha_cluster_find(state, &cs->guest[g].uuid, &d) && d.policy->protection == XHA_PROT_REPLICATE &&
            hits(line, blow, (int)g, &d))
            cs->cover->blow[life_of(cs, (int)g, &d)][blow]++;
    }
}

/*
 * guest.c - domains as Xen has them on each host, and the rounds in which a host's xhad sees its own.
 *
 * Counters (vCPU time, beats) are not driven by events: they are brought up to date when somebody looks.
 * Guests run on while their dom0 hangs.
 */
#include "tests/csim/csim.h"

#include <string.h>

static struct sim_future inst_future(enum csim_future_kind kind, const struct csim *cs, int i)
{
    return (struct sim_future){ .kind = (enum sim_future_kind)kind, .a = i, .serial = cs->inst[i].serial };
}

void csim_guests_init(struct csim *cs)
{
    const struct csim_script *script = cs->script;

    cs->n_guests = script->n_guests;
    for (unsigned i = 0; i < cs->n_guests; i++) {
        struct csim_guest *g = &cs->guest[i];

        g->def = &script->guest[i];
        memcpy(g->name, g->def->name, sizeof(g->name));
        memset(g->uuid.b, 0xa0, sizeof(g->uuid.b));
        g->uuid.b[15] = (uint8_t)(i + 1);
        g->boot_ms = 5000;
        g->stop_ms = 3000;
        g->texts = 1;
        g->order_ms = g->lost_ms = g->fails_ms = g->death_ms = -1;
        g->last_host = -1;
        for (int a = 0; a < XHA_ACT_N_; a++)
            g->habit[a].takes_ms = csim_habit_default_ms((enum xha_action_type)a);
        if (g->def->running) {
            int n = csim_inst_create(cs, (int)i, g->def->host);

            csim_inst_unpause(cs, n);
            cs->inst[n].booted = true;
            cs->inst[n].beat_ms = 600000;
        }
    }
}

int csim_guest_find(const struct csim *cs, const struct xha_uuid *uuid)
{
    int i = uuid->b[15] - 1;

    return i >= 0 && i < (int)cs->n_guests && !memcmp(&cs->guest[i].uuid, uuid, sizeof(*uuid)) ? i : -1;
}

bool csim_inst_alive(const struct csim_inst *inst)
{
    return inst->there && !inst->dying && !inst->shut;
}

bool csim_inst_runs(const struct csim_inst *inst)
{
    return csim_inst_alive(inst) && !inst->building && !inst->paused;
}

bool csim_inst_speaks(const struct csim_inst *inst)
{
    return csim_inst_runs(inst) && !inst->gated;
}

void csim_settle_counters(struct csim *cs, int i)
{
    struct csim_inst *inst = &cs->inst[i];
    int64_t d = cs->now_ms - inst->settled_ms;

    inst->settled_ms = cs->now_ms;
    if (d <= 0 || !csim_inst_runs(inst) || inst->hung || cs->host[inst->host].frozen)
        return;
    inst->cpu_ms += d;
    if (!inst->gated)
        csim_seen_outside(cs, inst->guest, inst->lineage, inst->cpu_ms);
    if (inst->booted && !inst->dead)
        inst->beat_ms += d;
}

int csim_inst_create(struct csim *cs, int guest, int host)
{
    unsigned i = 0;
    struct csim_inst *inst;

    while (i < cs->n_insts && cs->inst[i].there)
        i++;
    if (i == CSIM_INSTS_MAX) {
        csim_fail(cs, "the simulated world is full: more than %d domains", CSIM_INSTS_MAX);
        return 0;
    }
    if (i == cs->n_insts)
        cs->n_insts++;
    inst = &cs->inst[i];
    *inst = (struct csim_inst){
        .there = true,
        .building = true,
        .serial = ++cs->serial,
        .guest = guest,
        .host = host,
        .domid = cs->host[host].next_domid++,
        .created_ms = cs->now_ms,
        .unpaused_ms = -1,
        .died_ms = -1,
        .settled_ms = cs->now_ms,
        .ill_ms = -1,
    };
    inst->lineage = inst->serial;
    csim_listing_soon(cs, host);
    return (int)i;
}

void csim_inst_unpause(struct csim *cs, int i)
{
    struct csim_inst *inst = &cs->inst[i];
    const struct csim_guest *g = &cs->guest[inst->guest];

    csim_settle_counters(cs, i);
    inst->building = false;
    inst->unpaused_ms = cs->now_ms;
    inst->dead = g->boots_dead && !inst->booted;
    csim_rules_ran(cs, i);
    if (!inst->booted)
        csim_in(cs, csim_about(cs, g->boot_ms), inst_future(CSIM_F_BOOTED, cs, i));
}

/* A paused or suspended one goes on: the end of a move, or of a checkpoint. */
void csim_inst_go_on(struct csim *cs, int i)
{
    struct csim_inst *inst = &cs->inst[i];
    bool ran = csim_inst_runs(inst);

    csim_settle_counters(cs, i);
    if (inst->shut && inst->reason == XHA_SHUTDOWN_SUSPEND)
        inst->shut = false;
    inst->paused = inst->building = false;
    if (inst->unpaused_ms < 0)
        inst->unpaused_ms = cs->now_ms;
    if (!ran && csim_inst_runs(inst))
        csim_rules_ran(cs, i);
    if (inst->incoming) { /* what it was at where it came from goes on */
        inst->incoming = false;
        if (!inst->booted)
            csim_in(cs, csim_about(cs, cs->guest[inst->guest].boot_ms), inst_future(CSIM_F_BOOTED, cs, i));
        else if (inst->asked)
            csim_in(cs, csim_about(cs, cs->guest[inst->guest].stop_ms), inst_future(CSIM_F_OBEYS, cs, i));
    }
    csim_listing_soon(cs, inst->host);
}

void csim_inst_shut(struct csim *cs, int i, uint8_t reason)
{
    struct csim_inst *inst = &cs->inst[i];
    bool ran = csim_inst_runs(inst);

    if (!csim_inst_alive(inst))
        return;
    csim_settle_counters(cs, i);
    inst->shut = true;
    inst->reason = reason;
    if (ran && reason != XHA_SHUTDOWN_SUSPEND)
        csim_rules_died(cs, i);
    csim_listing_soon(cs, inst->host);
}

void csim_inst_destroy(struct csim *cs, int i)
{
    struct csim_inst *inst = &cs->inst[i];

    if (!inst->there || inst->dying)
        return;
    csim_settle_counters(cs, i);
    if (!inst->shut || inst->reason == XHA_SHUTDOWN_SUSPEND)
        csim_rules_died(cs, i);
    inst->dying = true;
    csim_listing_soon(cs, inst->host);
    csim_in(cs, csim_about(cs, 150), inst_future(CSIM_F_GONE, cs, i));
}

void csim_insts_gone(struct csim *cs, int host)
{
    for (unsigned i = 0; i < cs->n_insts; i++) {
        struct csim_inst *inst = &cs->inst[i];

        if (!inst->there || inst->host != host)
            continue;
        if (csim_inst_alive(inst) && !inst->building)
            csim_rules_died(cs, (int)i);
        else if (inst->gated && host == cs->guest[inst->guest].last_host)
            cs->guest[inst->guest].muted_end = true;
        inst->there = false;
    }
}

void csim_inst_future(struct csim *cs, const struct sim_future *f)
{
    struct csim_inst *inst = &cs->inst[f->a];
    const struct csim_guest *g = &cs->guest[inst->guest];

    if (!inst->there || inst->serial != f->serial)
        return;
    if (f->kind != (enum sim_future_kind)CSIM_F_GONE && inst->shut && inst->reason == XHA_SHUTDOWN_SUSPEND) {
        csim_in(cs, 500, *f); /* a checkpoint is taken: it goes on afterwards */
        return;
    }
    switch ((enum csim_future_kind)f->kind) {
    case CSIM_F_GONE:
        inst->there = false;
        csim_listing_soon(cs, inst->host);
        break;
    case CSIM_F_BOOTED:
        if (!csim_inst_alive(inst) || inst->hung)
            break;
        csim_settle_counters(cs, f->a);
        inst->booted = true;
        if (!inst->dead && !inst->beat_ms)
            inst->beat_ms = 1000;
        if (inst->asked)
            csim_in(cs, csim_about(cs, g->stop_ms), inst_future(CSIM_F_OBEYS, cs, f->a));
        break;
    case CSIM_F_OBEYS:
        if (!inst->hung && csim_inst_runs(inst))
            csim_inst_shut(cs, f->a, XHA_SHUTDOWN_POWEROFF);
        break;
    default:
        break;
    }
}

int csim_inst_find(const struct csim *cs, int guest, int host)
{
    int best = -1;

    for (unsigned i = 0; i < cs->n_insts; i++) {
        const struct csim_inst *inst = &cs->inst[i];

        if (!inst->there || inst->dying || inst->copy || inst->guest != guest ||
            (host >= 0 && inst->host != host))
            continue;
        if (best < 0 || csim_inst_speaks(inst) > csim_inst_speaks(&cs->inst[best]) ||
            (csim_inst_speaks(inst) == csim_inst_speaks(&cs->inst[best]) &&
             inst->serial > cs->inst[best].serial))
            best = (int)i;
    }
    return best;
}

int csim_inst_find_domid(const struct csim *cs, int host, int32_t domid)
{
    for (unsigned i = 0; i < cs->n_insts; i++)
        if (cs->inst[i].there && cs->inst[i].host == host && cs->inst[i].domid == domid)
            return (int)i;
    return -1;
}

/* ---- what a host's observer tells ------------------------------------------------------------------------
 */

static bool xhad_hears(const struct csim *cs, int host)
{
    return cs->host[host].node && !csim_host_still(cs, host) && cs->host[host].xhad_go_ms <= cs->now_ms;
}

void csim_round(struct csim *cs, int host, bool with_beats)
{
    struct csim_host *h = &cs->host[host];
    struct xha_time listed = csim_host_time(cs, host);
    struct xha_event round = { .type = XHA_EV_ROUND };
    uint64_t life = h->life;

    if (!xhad_hears(cs, host))
        return;
    for (unsigned i = 0; i < cs->n_insts && h->node && h->life == life; i++) {
        struct csim_inst *inst = &cs->inst[i];
        struct xha_event ev = { .type = XHA_EV_SEEN };

        if (!inst->there || inst->host != host)
            continue;
        csim_settle_counters(cs, (int)i);
        ev.uuid = cs->guest[inst->guest].uuid;
        ev.u.seen = (struct xha_seen){
            .listed = listed,
            .domid = inst->domid,
            .paused = !inst->dying && (inst->paused || inst->building),
            .dying = inst->dying,
            .shut = inst->shut,
            .reason = inst->shut ? inst->reason : 0,
            .beat_read = with_beats,
            .beat_valid = with_beats && inst->beat_ms > 0,
            .beat = with_beats ? (uint64_t)inst->beat_ms / 1000 : 0,
            .cpu_time_ns = (uint64_t)inst->cpu_ms * 50000,
        };
        csim_step_host(cs, host, &ev);
    }
    if (!h->node || h->life != life || cs->failed)
        return;
    round.u.round =
        (struct xha_round){ .began = listed, .beats_read = with_beats, .xenstore_ok = true, .lag = { 0 } };
    csim_step_host(cs, host, &round);
    h->told_ms = cs->now_ms;
    csim_rules_told(cs, host);
}

void csim_listing_soon(struct csim *cs, int host)
{
    struct csim_host *h = &cs->host[host];

    if (h->listing_due || !h->power)
        return;
    h->listing_due = true;
    csim_in(
        cs, csim_about(cs, 2),
        (struct sim_future){ .kind = (enum sim_future_kind)CSIM_F_LISTING, .a = host, .serial = h->boot });
}

void csim_probe_ask(struct csim *cs, int host, const struct xha_action *act)
{
    csim_in(cs, csim_about(cs, 4),
            (struct sim_future){ .kind = (enum sim_future_kind)CSIM_F_PROBE,
                                 .a = host,
                                 .b = csim_guest_find(cs, &act->uuid),
                                 .number = act->u.deed.domid,
                                 .serial = cs->host[host].life });
}

void csim_probe_answer(struct csim *cs, const struct sim_future *f)
{
    int i = csim_inst_find_domid(cs, f->a, (int32_t)f->number);
    struct xha_event ev = { .type = XHA_EV_PROBED };

    if (!xhad_hears(cs, f->a) || f->serial != cs->host[f->a].life || i < 0 || cs->inst[i].guest != f->b)
        return;
    csim_settle_counters(cs, i);
    ev.uuid = cs->guest[f->b].uuid;
    ev.u.probed = (struct xha_probed){
        .domid = cs->inst[i].domid,
        .cpu_time_ns = (uint64_t)cs->inst[i].cpu_ms * 50000,
        .io_count = (uint64_t)cs->inst[i].cpu_ms / 100,
    };
    csim_step_host(cs, f->a, &ev);
}

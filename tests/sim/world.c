/*
 * world.c - hosts and domains as Xen has them: they boot, beat, use vCPU time, and die.
 *
 * Counters (vCPU time, I/O, beats) are not driven by events: they are brought up to date when somebody looks
 * or something changes. A guest's beat is a write into xenstore: while dom0 or xenstored stand still, no beat
 * gets through.
 */
#include "tests/sim/sim.h"

#include <string.h>

#define BEAT_EVERY_MS 1000

void sim_world_init(struct sim *sim)
{
    const struct sim_script *script = sim->script;

    sim->n_hosts = script->hosts;
    sim->n_guests = script->n_guests;
    for (unsigned h = 0; h < sim->n_hosts; h++)
        sim->host[h] = (struct sim_host){ .next_domid = 1, .told_ms = -1 };
    for (unsigned i = 0; i < sim->n_guests; i++) {
        const struct sim_guest_def *def = &script->guest[i];
        struct sim_guest *g = &sim->guest[i];

        memset(g, 0, sizeof(*g));
        memcpy(g->name, def->name, sizeof(g->name));
        memset(g->uuid.b, 0xa0, sizeof(g->uuid.b));
        g->uuid.b[15] = (uint8_t)(i + 1);
        g->policy = def->policy;
        g->host = def->host;
        g->boot_ms = 5000;
        g->stop_ms = 3000;
        g->unknown_ms = g->order_ms = g->policy_ms = -1;
        for (int a = 0; a < XHA_ACT_N_; a++)
            g->habit[a].takes_ms = sim_habit_default_ms((enum xha_action_type)a);
        if (def->running) {
            int n = sim_inst_create(sim, (int)i, def->host, false);

            sim_inst_unpause(sim, n);
            sim_inst_booted(sim, n);
            sim->inst[n].beat_ms = 600000;
        }
    }
}

bool sim_host_starved(const struct sim *sim, int host)
{
    return sim->host[host].starved_until > sim->now_ms;
}

bool sim_host_xenstore_ok(const struct sim *sim, int host)
{
    return sim->host[host].xs_bad_until <= sim->now_ms;
}

/* Do beats get through at that time? Troubles begin and end where counters are brought up to date. */
static bool beats_pass(const struct sim_host *h, int64_t at_ms)
{
    return h->starved_until <= at_ms && h->xs_bad_until <= at_ms && h->xs_slow_until <= at_ms;
}

bool sim_inst_alive(const struct sim_inst *inst)
{
    return inst->there && !inst->dying && !inst->shut;
}

static bool runs(const struct sim_inst *inst)
{
    return sim_inst_alive(inst) && !inst->building && !inst->paused;
}

static bool beats(const struct sim_inst *inst)
{
    return runs(inst) && inst->booted && !inst->dead && !inst->hung && !inst->mute;
}

uint64_t sim_inst_beat(const struct sim_inst *inst)
{
    return (uint64_t)inst->beat_ms / BEAT_EVERY_MS;
}

void sim_inst_before(struct sim *sim, int i)
{
    struct sim_inst *inst = &sim->inst[i];
    int64_t d = sim->now_ms - inst->settled_ms;
    bool pass = beats_pass(&sim->host[inst->host], inst->settled_ms);

    inst->settled_ms = sim->now_ms;
    if (d <= 0 || !inst->there)
        return;
    if (runs(inst) && !inst->hung) {
        inst->cpu_ms += inst->idle ? 0 : d;
        inst->io_ms += inst->io ? d : 0;
    }
    if (beats(inst) && pass) {
        uint64_t was = sim_inst_beat(inst);

        inst->beat_ms += d;
        if (sim_inst_beat(inst) != was)
            inst->beat_ms_seen = sim->now_ms - inst->beat_ms % BEAT_EVERY_MS;
    }
}

/* Well: it runs and beats. Trouble of xenstore or dom0 is not its fault; a slow xenstore nobody can tell
 * apart. */
void sim_inst_after(struct sim *sim, int i)
{
    struct sim_inst *inst = &sim->inst[i];
    const struct sim_guest *g = &sim->guest[inst->guest];
    bool well = g->policy.heartbeat == XHA_BEAT_NONE ? runs(inst) && !inst->hung && !(inst->idle && !inst->io)
                                                     : beats(inst) && !inst->junk;

    if (g->policy.heartbeat != XHA_BEAT_NONE && sim->host[inst->host].xs_slow_until > sim->now_ms)
        well = false;
    if (!well)
        inst->well_ms = -1;
    else if (inst->well_ms < 0)
        inst->well_ms = sim->now_ms;
}

void sim_host_before(struct sim *sim, int host)
{
    for (unsigned i = 0; i < sim->n_insts; i++)
        if (sim->inst[i].there && sim->inst[i].host == host)
            sim_inst_before(sim, (int)i);
}

void sim_host_after(struct sim *sim, int host)
{
    for (unsigned i = 0; i < sim->n_insts; i++)
        if (sim->inst[i].there && sim->inst[i].host == host)
            sim_inst_after(sim, (int)i);
}

int sim_inst_create(struct sim *sim, int guest, int host, bool ours)
{
    unsigned i = 0;
    struct sim_inst *inst;

    if (sim_inst_find(sim, guest, -1) >= 0)
        sim->guest[guest].dup_seen = true;
    while (i < sim->n_insts && sim->inst[i].there)
        i++;
    if (i == SIM_INSTS_MAX) {
        sim_fail(sim, "the simulated world is full: more than %d domains", SIM_INSTS_MAX);
        return 0;
    }
    if (i == sim->n_insts)
        sim->n_insts++;
    inst = &sim->inst[i];
    *inst = (struct sim_inst){
        .there = true,
        .serial = ++sim->serial,
        .guest = guest,
        .host = host,
        .domid = sim->host[host].next_domid++,
        .ours = ours,
        .building = true,
        .io = true,
        .created_ms = sim->now_ms,
        .unpaused_ms = -1,
        .touched_ms = -1,
        .settled_ms = sim->now_ms,
        .beat_ms_seen = -1,
        .verdict_ms = -1,
        .well_ms = -1,
    };
    sim_listing_soon(sim, host);
    return (int)i;
}

void sim_inst_unpause(struct sim *sim, int i)
{
    struct sim_inst *inst = &sim->inst[i];
    const struct sim_guest *g = &sim->guest[inst->guest];

    sim_inst_before(sim, i);
    inst->building = false;
    sim->guest[inst->guest].no_claim = false;
    inst->unpaused_ms = sim->now_ms;
    inst->dead = inst->restored ? g->restores_dead : g->boots_dead;
    sim_inst_after(sim, i);
    sim_in(sim, inst->restored ? sim_about(sim, 500) : sim_about(sim, g->boot_ms),
           (struct sim_future){ .kind = SIM_F_BOOTED, .a = i, .serial = inst->serial });
}

void sim_inst_booted(struct sim *sim, int i)
{
    struct sim_inst *inst = &sim->inst[i];

    sim_inst_before(sim, i);
    inst->booted = true;
    if (inst->asked)
        sim_in(sim, sim_about(sim, sim->guest[inst->guest].stop_ms),
               (struct sim_future){ .kind = SIM_F_OBEYS, .a = i, .serial = inst->serial });
    if (!inst->beat_ms && !inst->dead && beats_pass(&sim->host[inst->host], sim->now_ms)) {
        inst->beat_ms = BEAT_EVERY_MS; /* the first beat is written at once */
        inst->beat_ms_seen = sim->now_ms;
    }
    sim_inst_after(sim, i);
}

void sim_inst_shut(struct sim *sim, int i, uint8_t reason)
{
    struct sim_inst *inst = &sim->inst[i];

    if (!sim_inst_alive(inst))
        return;
    sim_inst_before(sim, i);
    inst->shut = true;
    inst->reason = reason;
    inst->touched_ms = sim->now_ms;
    sim_inst_after(sim, i);
    if (reason != XHA_SHUTDOWN_SUSPEND)
        sim_rules_died(sim, inst, SIM_DEATH_SHUT);
    sim_listing_soon(sim, inst->host);
}

void sim_inst_destroy(struct sim *sim, int i, enum sim_death by)
{
    struct sim_inst *inst = &sim->inst[i];

    if (!inst->there || inst->dying)
        return;
    sim_inst_before(sim, i);
    if (!inst->shut || inst->reason == XHA_SHUTDOWN_SUSPEND)
        sim_rules_died(sim, inst, by);
    inst->dying = true;
    sim_inst_after(sim, i);
    sim_listing_soon(sim, inst->host);
    sim_in(sim, sim_about(sim, 200),
           (struct sim_future){ .kind = SIM_F_GONE, .a = i, .serial = inst->serial });
}

void sim_inst_gone(struct sim *sim, int i)
{
    sim->inst[i].there = false;
    sim_listing_soon(sim, sim->inst[i].host);
}

int sim_inst_find(const struct sim *sim, int guest, int host)
{
    int best = -1;

    for (unsigned i = 0; i < sim->n_insts; i++) {
        const struct sim_inst *inst = &sim->inst[i];

        if (inst->there && !inst->dying && inst->guest == guest && (host < 0 || inst->host == host) &&
            (best < 0 || inst->serial > sim->inst[best].serial))
            best = (int)i;
    }
    return best;
}

int sim_inst_find_domid(const struct sim *sim, int host, int32_t domid)
{
    for (unsigned i = 0; i < sim->n_insts; i++)
        if (sim->inst[i].there && sim->inst[i].host == host && sim->inst[i].domid == domid)
            return (int)i;
    return -1;
}

int sim_guest_find(const struct sim *sim, const struct xha_uuid *uuid)
{
    int i = uuid->b[15] - 1;

    return i >= 0 && i < (int)sim->n_guests && !memcmp(&sim->guest[i].uuid, uuid, sizeof(*uuid)) ? i : -1;
}

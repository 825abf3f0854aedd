/*
 * repl.c - replication as its workers do it: epochs from the sender to the standing copy and their acknowledgements
 * back, the gate, silence, promotion.
 *
 * A guest's memory is one number that only grows while it runs (its vCPU time), in a lineage that begins with each
 * boot. What the guest does is seen outside at once, or, behind a gate, up to the last epoch that was acknowledged.
 * An epoch that is on its way when the sender's host dies may arrive all the same.
 */
#include "tests/csim/csim.h"

#define EPOCH_MS        400
#define OWNER_PATIENCE  1000 /* less than the backup's: an owner that lives is the first to speak */
#define BACKUP_PATIENCE 2500
#define WATCH_MS        500
#define PROMOTION_MS    20 /* beside what its habit takes */

void csim_seen_outside(struct csim *cs, int guest, uint64_t lineage, int64_t cpu_ms)
{
    struct csim_guest *g = &cs->guest[guest];

    if (g->seen_lineage != lineage)
        g->seen_ms = 0;
    g->seen_lineage = lineage;
    if (cpu_ms > g->seen_ms)
        g->seen_ms = cpu_ms;
}

void csim_gate_open(struct csim *cs, int i)
{
    struct csim_inst *inst = &cs->inst[i];

    csim_settle_counters(cs, i);
    if (inst->gated && cs->cover)
        cs->cover->opened++;
    if (inst->gated)
        csim_seen_outside(cs, inst->guest, inst->lineage, inst->cpu_ms);
    inst->gated = false;
    if (inst->shut && inst->reason == XHA_SHUTDOWN_SUSPEND)
        csim_inst_go_on(cs, i);
    else
        csim_rules_speaks(cs, i);
}

/* ---- the sender ---- */

void csim_repl_begin(struct csim *cs, struct csim_job *job)
{
    job->heard_ms = cs->now_ms + job->takes_ms;
    csim_job_later(cs, job, job->takes_ms, CSIM_J_EPOCH);
}

static void send_epoch(struct csim *cs, struct csim_job *job, struct csim_inst *inst, struct csim_job *end)
{
    csim_settle_counters(cs, job->inst);
    inst->gated = true;
    job->epoch = (struct csim_epoch){
        .lineage = inst->lineage,
        .cpu_ms = inst->cpu_ms,
        .beat_ms = inst->beat_ms,
        .booted = inst->booted,
        .dead = inst->dead,
        .hung = inst->hung,
        .asked = inst->asked,
    };
    end->epoch = job->epoch;
    end->connected = true;
    job->flies = end->flies = true;
    csim_job_later(cs, end, csim_about(cs, 3), CSIM_J_GOT);
}

/* However it ends, the gate stays as it is. */
static void epoch(struct csim *cs, struct csim_job *job)
{
    struct csim_inst *inst = csim_job_inst(cs, job);
    struct csim_job *end = csim_job_other_end(cs, job);

    if (job->habit.how == SIM_FAILS) {
        csim_job_gives_up(cs, job, (enum xha_refusal)job->habit.word);
        return;
    }
    if (job->habit.how == SIM_UNKNOWN) {
        csim_job_dies(cs, job);
        return;
    }
    if (!inst || !csim_inst_runs(inst) || cs->now_ms - job->heard_ms >= OWNER_PATIENCE) {
        csim_job_gives_up(cs, job, XHA_REFUSAL_OTHER);
        return;
    }
    if (!job->flies && csim_stream_flows(cs, job, end) && end->port == job->port && !end->promoted)
        send_epoch(cs, job, inst, end);
    csim_job_later(cs, job, csim_about(cs, EPOCH_MS), CSIM_J_EPOCH);
}

static void tell_replicated(struct csim *cs, struct csim_job *job)
{
    struct xha_event ev = { .type = XHA_EV_REPLICATED, .uuid = cs->guest[job->guest].uuid };

    job->told = true;
    ev.u.listening.id = job->id;
    csim_step_host(cs, job->host, &ev);
}

static void acked(struct csim *cs, struct csim_job *job)
{
    struct csim_inst *inst = csim_job_inst(cs, job);

    if (job->cut || !csim_net_link(cs, job->host, job->peer))
        return;
    job->flies = false;
    job->heard_ms = cs->now_ms;
    csim_seen_outside(cs, job->guest, job->epoch.lineage, job->epoch.cpu_ms);
    if (inst)
        inst->heard_ms = cs->now_ms;
    if (!job->told)
        tell_replicated(cs, job);
}

/* A sender that dies may leave its guest suspended. */
void csim_repl_died(struct csim *cs, struct csim_job *job)
{
    struct csim_inst *inst = csim_job_inst(cs, job);

    if (inst && csim_inst_runs(inst) && csim_chance(cs, 40))
        csim_inst_shut(cs, job->inst, XHA_SHUTDOWN_SUSPEND);
}

/* ---- the copy ---- */

void csim_repl_listens(struct csim *cs, struct csim_job *job)
{
    struct xha_event ev = { .type = XHA_EV_LISTENING, .uuid = cs->guest[job->guest].uuid };

    cs->inst[job->inst].copy = true;
    job->heard_ms = cs->now_ms;
    if (job->habit.how == SIM_FAILS) {
        csim_job_gives_up(cs, job, (enum xha_refusal)job->habit.word);
        return;
    }
    csim_job_later(cs, job, WATCH_MS, CSIM_J_WATCH);
    ev.u.listening.id = job->id;
    ev.u.listening.port = job->port;
    csim_step_host(cs, job->host, &ev);
}

static void got(struct csim *cs, struct csim_job *job)
{
    struct csim_job *from = csim_job_other_end(cs, job);

    if (!job->flies || job->promoted || !csim_net_link(cs, job->host, job->peer))
        return;
    job->flies = false;
    job->heard_ms = cs->now_ms;
    job->held = job->epoch;
    if (from && !from->cut && csim_net_link(cs, job->host, from->host))
        csim_job_later(cs, from, csim_about(cs, 3), CSIM_J_ACKED);
}

static void tell_silent(struct csim *cs, struct csim_job *job)
{
    struct xha_event ev = { .type = XHA_EV_SILENT, .uuid = cs->guest[job->guest].uuid };

    job->silent = true;
    ev.u.listening.id = job->id;
    csim_step_host(cs, job->host, &ev);
}

static void watch(struct csim *cs, struct csim_job *job)
{
    uint64_t serial = job->serial;

    if (job->promoted)
        return;
    if (job->connected && !job->silent && cs->now_ms - job->heard_ms >= BACKUP_PATIENCE)
        tell_silent(cs, job);
    if (job->serial == serial && job->used && !job->ended)
        csim_job_later(cs, job, WATCH_MS, CSIM_J_WATCH);
}

static struct csim_job *job_by_id(struct csim *cs, int host, uint64_t id)
{
    for (unsigned i = 0; i < cs->n_jobs; i++)
        if (cs->job[i].used && cs->job[i].host == host && cs->job[i].id == id)
            return &cs->job[i];
    return NULL;
}

void csim_repl_promote(struct csim *cs, int host, uint64_t id)
{
    struct csim_job *job = job_by_id(cs, host, id);

    if (!job || job->ended || job->promoted)
        return;
    job->promoted = true; /* from now on nothing is acknowledged */
    csim_job_later(cs, job, csim_about(cs, PROMOTION_MS) + job->takes_ms, CSIM_J_END);
}

static void run(struct csim *cs, struct csim_job *job, struct csim_inst *inst)
{
    inst->settled_ms = cs->now_ms;
    inst->lineage = job->held.lineage;
    inst->cpu_ms = job->held.cpu_ms;
    inst->beat_ms = job->held.beat_ms;
    inst->booted = job->held.booted;
    inst->dead = job->held.dead;
    inst->hung = job->held.hung;
    inst->asked = job->held.asked;
    inst->copy = false;
    csim_rules_promoted(cs, job->inst, job);
    csim_inst_unpause(cs, job->inst);
    job->new_domid = inst->domid;
}

void csim_repl_finish(struct csim *cs, struct csim_job *job)
{
    struct csim_inst *inst = csim_job_inst(cs, job);

    if (!job->promoted)
        return;
    if (!job->held.lineage) {
        csim_fail(cs, "the copy of %s on %s was promoted, and holds no whole epoch",
                  cs->guest[job->guest].name, cs->host[job->host].name);
    } else if (!inst) {
        csim_job_over(cs, job, XHA_REFUSED, XHA_REFUSAL_OTHER);
    } else if (job->habit.how == SIM_UNKNOWN) {
        if (job->habit.word == SIM_EFFECT_DONE)
            run(cs, job, inst);
        csim_job_dies(cs, job);
        inst->orphan = inst->copy;
    } else {
        run(cs, job, inst);
        csim_job_over(cs, job, XHA_OK, XHA_REFUSAL_OTHER);
    }
}

/* ---- both ---- */

static void tell_again(struct csim *cs, struct csim_job *job)
{
    struct xha_event ev = { .type = XHA_EV_LISTENING, .uuid = cs->guest[job->guest].uuid };
    uint64_t serial = job->serial;

    if (job->type == XHA_ACT_REPLICATE && job->told)
        tell_replicated(cs, job);
    if (job->type != XHA_ACT_STANDBY || !job->port)
        return;
    ev.u.listening.id = job->id;
    ev.u.listening.port = job->port;
    csim_step_host(cs, job->host, &ev);
    if (job->serial == serial && job->silent)
        tell_silent(cs, job);
}

bool csim_repl_phase(struct csim *cs, struct csim_job *job, enum csim_phase phase)
{
    if (job->cancelled && (phase == CSIM_J_EPOCH || phase == CSIM_J_WATCH)) {
        csim_job_gives_up(cs, job, XHA_REFUSAL_OTHER);
        return true;
    }
    switch (phase) {
    case CSIM_J_EPOCH:
        epoch(cs, job);
        return true;
    case CSIM_J_ACKED:
        acked(cs, job);
        return true;
    case CSIM_J_GOT:
        got(cs, job);
        return true;
    case CSIM_J_WATCH:
        watch(cs, job);
        return true;
    case CSIM_J_TELL:
        tell_again(cs, job);
        return true;
    default:
        return false;
    }
}

void csim_repl_kill(struct csim *cs, int guest, enum xha_action_type end)
{
    for (unsigned i = 0; i < cs->n_jobs; i++) {
        struct csim_job *job = &cs->job[i];

        if (job->used && job->guest == guest && job->type == end && !job->ended)
            csim_job_dies(cs, job);
    }
}

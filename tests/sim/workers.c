/*
 * workers.c - deeds: each runs in a worker process that takes its time, fails, or dies half-way. Workers
 * outlive xhad.
 *
 * A worker killed while it builds a domain leaves it there, paused and half built; one killed during a
 * checkpoint leaves the guest suspended. A worker first waits for the domain's lock: never two of them work
 * on one domain.
 */
#include "tests/sim/sim.h"

#define LOCK_WAIT_MS 10000

int64_t sim_habit_default_ms(enum xha_action_type type)
{
    switch (type) {
    case XHA_ACT_START:
    case XHA_ACT_RESTORE:
        return 2000;
    case XHA_ACT_CHECKPOINT:
        return 1000;
    case XHA_ACT_DESTROY:
        return 300;
    default:
        return 100;
    }
}

static void phase_in(struct sim *sim, struct sim_job *job, int64_t ms, enum sim_phase phase)
{
    sim_in(sim, ms,
           (struct sim_future){
               .kind = SIM_F_JOB, .a = (int)(job - sim->job), .b = (int)phase, .serial = job->serial });
}

static struct sim_job *job_alloc(struct sim *sim)
{
    unsigned i = 0;

    while (i < sim->n_jobs && sim->job[i].used)
        i++;
    if (i == SIM_JOBS_MAX) {
        sim_fail(sim, "the simulated world is full: more than %d deeds at once", SIM_JOBS_MAX);
        i = 0;
    } else if (i == sim->n_jobs) {
        sim->n_jobs++;
    }
    return &sim->job[i];
}

const struct sim_job *sim_job_find(const struct sim *sim, uint64_t id)
{
    for (unsigned i = 0; i < sim->n_jobs; i++)
        if (sim->job[i].used && sim->job[i].id == id)
            return &sim->job[i];
    return NULL;
}

void sim_job_start(struct sim *sim, const struct xha_action *act, int guest)
{
    struct sim_job *job = job_alloc(sim);
    struct sim_habit *habit = &sim->guest[guest].habit[act->type];

    *job = (struct sim_job){
        .used = true,
        .serial = ++sim->serial,
        .id = act->id,
        .nth = sim->deeds,
        .type = act->type,
        .guest = guest,
        .host = act->host,
        .domid = act->u.deed.domid,
        .checkpoint = act->u.deed.checkpoint,
        .queued_ms = sim->now_ms,
        .takes_ms = sim_about(sim, habit->takes_ms),
        .habit = *habit,
        .inst = -1,
        .new_domid = XHA_DOMID_NONE,
    };
    if (habit->how != SIM_WELL && habit->times && !--habit->times)
        habit->how = SIM_WELL;
    phase_in(sim, job, sim_about(sim, 4), SIM_J_BEGIN);
    phase_in(sim, job, act->u.deed.deadline.ms, SIM_J_DEADLINE);
}

static void job_end(struct sim *sim, struct sim_job *job, enum xha_result result, enum xha_refusal refusal)
{
    job->ended = true;
    job->result = result;
    job->refusal = refusal;
    if (result == XHA_UNKNOWN)
        sim->guest[job->guest].unknown_ms = sim->now_ms;
    phase_in(sim, job, sim_about(sim, 2), SIM_J_REPORT);
}

static bool lock_taken(const struct sim *sim, const struct sim_job *job)
{
    for (unsigned i = 0; i < sim->n_jobs; i++) {
        const struct sim_job *o = &sim->job[i];

        if (o->used && o != job && o->begun && !o->ended && o->guest == job->guest && o->host == job->host)
            return true;
    }
    return false;
}

/* RESTORE: which checkpoint? Returns whether there is one; corrupt ones passed over are counted. */
static bool checkpoint_pick(struct sim *sim, struct sim_job *job)
{
    const struct sim_guest *g = &sim->guest[job->guest];

    for (unsigned i = g->n_cps; i--;) {
        if (job->checkpoint && g->cp[i].number != job->checkpoint)
            continue;
        if (!g->cp[i].corrupt)
            return true;
        job->skipped++;
    }
    return false;
}

/* A domain with the UUID is there already, perhaps still dying. */
static bool uuid_taken(const struct sim *sim, const struct sim_job *job)
{
    for (unsigned i = 0; i < sim->n_insts; i++)
        if (sim->inst[i].there && sim->inst[i].guest == job->guest && sim->inst[i].host == job->host)
            return true;
    return false;
}

static struct sim_inst *job_target(struct sim *sim, struct sim_job *job)
{
    int i = sim_inst_find_domid(sim, job->host, job->domid);

    if (i < 0 || sim->inst[i].guest != job->guest)
        return NULL;
    job->inst = i;
    job->inst_serial = sim->inst[i].serial;
    return &sim->inst[i];
}

static void job_begin(struct sim *sim, struct sim_job *job)
{
    if (lock_taken(sim, job)) {
        if (sim->now_ms - job->queued_ms >= LOCK_WAIT_MS)
            job_end(sim, job, XHA_REFUSED, XHA_REFUSAL_OTHER);
        else
            phase_in(sim, job, 50, SIM_J_BEGIN);
        return;
    }
    job->begun = true;
    if (job->type == XHA_ACT_START || job->type == XHA_ACT_RESTORE) {
        if (uuid_taken(sim, job)) {
            job_end(sim, job, XHA_REFUSED, XHA_REFUSAL_RUNS_ALREADY);
            return;
        }
        if (job->type == XHA_ACT_RESTORE && !checkpoint_pick(sim, job)) {
            job_end(sim, job, XHA_REFUSED, XHA_REFUSAL_NO_CHECKPOINT);
            return;
        }
    } else if (!job_target(sim, job)) {
        /* DESTROY: gone is gone. For the rest there is nothing to work on. */
        job_end(sim, job, job->type == XHA_ACT_DESTROY ? XHA_OK : XHA_REFUSED, XHA_REFUSAL_OTHER);
        return;
    }
    phase_in(sim, job, job->takes_ms / 4, SIM_J_MID);
    phase_in(sim, job, job->takes_ms, SIM_J_END);
}

/* The domain that the worker builds or works on, when it is still there. */
static struct sim_inst *job_inst(struct sim *sim, const struct sim_job *job)
{
    if (job->inst < 0 || !sim->inst[job->inst].there || sim->inst[job->inst].serial != job->inst_serial)
        return NULL;
    return &sim->inst[job->inst];
}

static void job_mid(struct sim *sim, struct sim_job *job)
{
    bool nothing = job->habit.how == SIM_UNKNOWN && job->habit.word == SIM_EFFECT_NOTHING;
    struct sim_inst *inst = job_inst(sim, job);

    job->nothing = nothing;
    if (nothing)
        return;
    switch (job->type) {
    case XHA_ACT_START:
    case XHA_ACT_RESTORE:
        job->inst = sim_inst_create(sim, job->guest, job->host, true);
        job->inst_serial = sim->inst[job->inst].serial;
        sim->inst[job->inst].restored = job->type == XHA_ACT_RESTORE;
        break;
    case XHA_ACT_DESTROY:
        if (inst && job->habit.how != SIM_FAILS)
            sim_inst_destroy(sim, job->inst, SIM_DEATH_CLEARED);
        break;
    case XHA_ACT_CHECKPOINT:
        if (inst)
            sim_inst_shut(sim, job->inst, XHA_SHUTDOWN_SUSPEND);
        break;
    default:
        break;
    }
}

static void guest_asked(struct sim *sim, struct sim_job *job, struct sim_inst *inst)
{
    const struct sim_guest *g = &sim->guest[job->guest];

    inst->asked = !g->ignores_stop;
    if (inst->asked && !inst->hung && inst->booted)
        sim_in(sim, sim_about(sim, g->stop_ms),
               (struct sim_future){ .kind = SIM_F_OBEYS, .a = job->inst, .serial = inst->serial });
}

static void let_go_on(struct sim *sim, struct sim_job *job, struct sim_inst *inst)
{
    sim_inst_before(sim, job->inst);
    if (inst->shut && inst->reason == XHA_SHUTDOWN_SUSPEND)
        inst->shut = false;
    inst->paused = false;
    sim_inst_after(sim, job->inst);
}

static void checkpoint_add(struct sim_guest *g)
{
    if (g->n_cps == SIM_CPS_MAX) {
        for (unsigned i = 1; i < g->n_cps; i++)
            g->cp[i - 1] = g->cp[i];
        g->n_cps--;
    }
    g->cp[g->n_cps++] = (struct sim_checkpoint){ .number = ++g->cp_number };
}

/* What the deed changes in the world when it comes to its end. */
static void job_effect(struct sim *sim, struct sim_job *job)
{
    struct sim_inst *inst = job_inst(sim, job);

    if (!inst)
        return;
    switch (job->type) {
    case XHA_ACT_START:
    case XHA_ACT_RESTORE:
        job->new_domid = inst->domid;
        sim_inst_unpause(sim, job->inst);
        break;
    case XHA_ACT_SHUTDOWN:
        guest_asked(sim, job, inst);
        break;
    case XHA_ACT_CHECKPOINT:
        checkpoint_add(&sim->guest[job->guest]);
        let_go_on(sim, job, inst);
        break;
    case XHA_ACT_RESUME:
        let_go_on(sim, job, inst);
        break;
    default:
        break;
    }
}

/* The worker fails in an orderly way: it takes back what it began. */
static void job_undo(struct sim *sim, struct sim_job *job)
{
    struct sim_inst *inst = job_inst(sim, job);

    if (!inst)
        return;
    if (job->type == XHA_ACT_START || job->type == XHA_ACT_RESTORE)
        sim_inst_gone(sim, job->inst);
    else if (job->type == XHA_ACT_CHECKPOINT)
        let_go_on(sim, job, inst);
}

/* The worker dies here and now. */
static void job_abandon(struct sim *sim, struct sim_job *job)
{
    struct sim_inst *inst = job_inst(sim, job);

    if (inst && (job->type == XHA_ACT_START || job->type == XHA_ACT_RESTORE))
        inst->orphan = true;
    job_end(sim, job, XHA_UNKNOWN, XHA_REFUSAL_OTHER);
}

static void job_finish(struct sim *sim, struct sim_job *job)
{
    struct sim_inst *inst = job_inst(sim, job);

    if (job->habit.how == SIM_FAILS) {
        job_undo(sim, job);
        job_end(sim, job, XHA_REFUSED, (enum xha_refusal)job->habit.word);
    } else if (job->habit.how == SIM_UNKNOWN) {
        if (job->habit.word == SIM_EFFECT_DONE)
            job_effect(sim, job);
        job_abandon(sim, job);
        if (inst && job->habit.word == SIM_EFFECT_DONE)
            inst->orphan = false;
    } else if (job->type == XHA_ACT_DESTROY && inst) {
        phase_in(sim, job, 20, SIM_J_END); /* dying still: it waits until the domain is gone */
    } else if (job->type != XHA_ACT_DESTROY && !inst) {
        job_end(sim, job, XHA_REFUSED, XHA_REFUSAL_OTHER); /* somebody destroyed it under our hands */
    } else {
        job_effect(sim, job);
        job_end(sim, job, XHA_OK, XHA_REFUSAL_OTHER);
    }
}

static void job_report(struct sim *sim, struct sim_job *job)
{
    uint64_t serial = job->serial, life = sim->life;
    struct xha_event ev = {
        .type = XHA_EV_DONE,
        .host = (uint8_t)job->host,
        .uuid = sim->guest[job->guest].uuid,
    };

    if (!sim->core)
        return; /* its .done file stays until xhad is back */
    ev.u.done.id = job->id;
    ev.u.done.result = job->result;
    ev.u.done.refusal = job->refusal;
    ev.u.done.domid = job->new_domid;
    ev.u.done.skipped = job->skipped;
    sim->guest[job->guest].done_ms = sim->now_ms;
    sim_step(sim, &ev);
    if (sim->core && sim->life == life && job->serial == serial)
        job->used = false; /* only now: the plan was carried out */
}

void sim_job_phase(struct sim *sim, const struct sim_future *f)
{
    struct sim_job *job = &sim->job[f->a];

    if (!job->used || job->serial != f->serial)
        return;
    if (f->b == SIM_J_REPORT) {
        if (job->ended)
            job_report(sim, job);
        return;
    }
    if (job->ended)
        return;
    switch ((enum sim_phase)f->b) {
    case SIM_J_BEGIN:
        job_begin(sim, job);
        break;
    case SIM_J_MID:
        job_mid(sim, job);
        break;
    case SIM_J_END:
        job_finish(sim, job);
        break;
    case SIM_J_DEADLINE:
        if (!sim->core) /* nobody is there to enforce it */
            phase_in(sim, job, 1000, SIM_J_DEADLINE);
        else
            job_abandon(sim, job);
        break;
    case SIM_J_REPORT:
        break;
    }
}

void sim_job_kill(struct sim *sim, int guest)
{
    for (unsigned i = 0; i < sim->n_jobs; i++) {
        struct sim_job *job = &sim->job[i];

        if (job->used && job->guest == guest && !job->ended)
            job_abandon(sim, job);
    }
}

/* xhad is back: the .done files that it finds. */
void sim_jobs_redeliver(struct sim *sim)
{
    for (unsigned i = 0; i < sim->n_jobs && sim->core; i++)
        if (sim->job[i].used && sim->job[i].ended)
            phase_in(sim, &sim->job[i], 1, SIM_J_REPORT);
}

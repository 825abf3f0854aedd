/*
 * worker.c - deeds: each runs in a worker process that takes its time, fails, dies half-way, or stands still
 * and goes on late. Workers outlive xhad and know nothing of quorum; they die with the power of their host.
 *
 * A move has two of them. The source streams while its guest runs, suspends it, sends the rest and the
 * trailer; the target holds the domain whole and paused when it has the trailer. Cut before the trailer, the
 * guest goes on at the source and nothing is left at the target. Cut between, the source has sent all (OK)
 * and the target has nothing: the cluster's verdict decides.
 */
#include "tests/csim/csim.h"

#include <string.h>

#define LOCK_WAIT_MS 10000

int64_t csim_habit_default_ms(enum xha_action_type type)
{
    switch (type) {
    case XHA_ACT_START:
    case XHA_ACT_RESTORE:
        return 2000;
    case XHA_ACT_MIGRATE:
        return 6000;
    case XHA_ACT_REPLICATE: /* the first copy */
        return 2000;
    case XHA_ACT_STANDBY: /* until it listens, and about as long to take over */
        return 30;
    case XHA_ACT_CHECKPOINT:
        return 1000;
    case XHA_ACT_DESTROY:
        return 300;
    default:
        return 100;
    }
}

void csim_job_later(struct csim *cs, struct csim_job *job, int64_t ms, enum csim_phase phase)
{
    csim_in(cs, ms,
            (struct sim_future){ .kind = (enum sim_future_kind)CSIM_F_JOB,
                                 .a = (int)(job - cs->job),
                                 .b = (int)phase,
                                 .serial = job->serial });
}

const struct csim_job *csim_job_find(const struct csim *cs, int host, uint64_t id)
{
    for (unsigned i = 0; i < cs->n_jobs; i++)
        if (cs->job[i].used && cs->job[i].host == host && cs->job[i].id == id)
            return &cs->job[i];
    return NULL;
}

void csim_job_start(struct csim *cs, int host, const struct xha_action *act, int guest)
{
    struct csim_habit *habit = &cs->guest[guest].habit[act->type];
    unsigned i = 0;
    struct csim_job *job;

    while (i < cs->n_jobs && cs->job[i].used)
        i++;
    if (i == CSIM_JOBS_MAX) {
        csim_fail(cs, "the simulated world is full: more than %d deeds at once", CSIM_JOBS_MAX);
        return;
    }
    if (i == cs->n_jobs)
        cs->n_jobs++;
    job = &cs->job[i];
    *job = (struct csim_job){
        .used = true,
        .serial = ++cs->serial,
        .id = act->id,
        .type = act->type,
        .guest = guest,
        .host = host,
        .domid = act->u.deed.domid,
        .term = act->term,
        .queued_ms = cs->now_ms,
        .takes_ms = csim_about(cs, habit->takes_ms),
        .habit = *habit,
        .inst = -1,
        .new_domid = XHA_DOMID_NONE,
    };
    if (act->u.deed.move.id) {
        job->move = act->u.deed.move.id;
        job->peer = act->u.deed.move.peer;
        job->port = act->u.deed.move.port;
    }
    if (habit->how != SIM_WELL && habit->times && !--habit->times)
        habit->how = SIM_WELL;
    csim_job_later(cs, job, csim_about(cs, 4), CSIM_J_BEGIN);
    if (act->u.deed.deadline.ms)
        csim_job_later(cs, job, act->u.deed.deadline.ms, CSIM_J_DEADLINE);
}

void csim_job_over(struct csim *cs, struct csim_job *job, enum xha_result result, enum xha_refusal refusal)
{
    if (job->ended)
        return;
    job->ended = true;
    cs->guest[job->guest].deed_ms = cs->now_ms;
    job->result = result;
    job->refusal = refusal;
    csim_job_later(cs, job, csim_about(cs, 2), CSIM_J_REPORT);
}

/* A pair's deeds have a lock of their own. */
static bool lock_taken(const struct csim *cs, const struct csim_job *job)
{
    for (unsigned i = 0; i < cs->n_jobs; i++) {
        const struct csim_job *o = &cs->job[i];

        if (o->used && o != job && o->begun && !o->ended && o->guest == job->guest && o->host == job->host &&
            xha_action_is_beside(o->type) == xha_action_is_beside(job->type))
            return true;
    }
    return false;
}

static bool uuid_taken(const struct csim *cs, const struct csim_job *job)
{
    for (unsigned i = 0; i < cs->n_insts; i++)
        if (cs->inst[i].there && cs->inst[i].guest == job->guest && cs->inst[i].host == job->host)
            return true;
    return false;
}

/* The domain that the worker builds or works on, when it is still there. */
struct csim_inst *csim_job_inst(struct csim *cs, const struct csim_job *job)
{
    if (job->inst < 0 || !cs->inst[job->inst].there || cs->inst[job->inst].serial != job->inst_serial)
        return NULL;
    return &cs->inst[job->inst];
}

static bool makes(const struct csim_job *job)
{
    return job->type == XHA_ACT_START || job->type == XHA_ACT_RESTORE || job->type == XHA_ACT_RECEIVE ||
           job->type == XHA_ACT_STANDBY;
}

/* The other end of a move, while its worker works. */
struct csim_job *csim_job_other_end(struct csim *cs, const struct csim_job *job)
{
    static const enum xha_action_type other[XHA_ACT_N_] = {
        [XHA_ACT_MIGRATE] = XHA_ACT_RECEIVE,
        [XHA_ACT_RECEIVE] = XHA_ACT_MIGRATE,
        [XHA_ACT_REPLICATE] = XHA_ACT_STANDBY,
        [XHA_ACT_STANDBY] = XHA_ACT_REPLICATE,
    };
    enum xha_action_type type = other[job->type];

    for (unsigned i = 0; i < cs->n_jobs; i++) {
        struct csim_job *o = &cs->job[i];

        if (o->used && !o->ended && o->begun && o->type == type && o->move == job->move &&
            o->guest == job->guest && o->host == job->peer)
            return o;
    }
    return NULL;
}

bool csim_stream_flows(struct csim *cs, const struct csim_job *a, const struct csim_job *b)
{
    return b && !a->cut && !b->cut && csim_net_link(cs, a->host, b->host) && !csim_host_still(cs, b->host);
}

static void job_begin(struct csim *cs, struct csim_job *job)
{
    int i;

    if (lock_taken(cs, job)) {
        if (cs->now_ms - job->queued_ms >= LOCK_WAIT_MS)
            csim_job_over(cs, job, XHA_REFUSED, XHA_REFUSAL_OTHER);
        else
            csim_job_later(cs, job, 50, CSIM_J_BEGIN);
        return;
    }
    job->begun = true;
    if (makes(job)) {
        if (uuid_taken(cs, job))
            csim_job_over(cs, job, XHA_REFUSED, XHA_REFUSAL_RUNS_ALREADY);
        else if (job->type == XHA_ACT_RESTORE && !cs->guest[job->guest].n_cps)
            csim_job_over(cs, job, XHA_REFUSED, XHA_REFUSAL_NO_CHECKPOINT);
    } else {
        i = csim_inst_find_domid(cs, job->host, job->domid);
        if (i < 0 || cs->inst[i].guest != job->guest) {
            /* DESTROY: gone is gone. For the rest there is nothing to work on. */
            csim_job_over(cs, job,
                          job->type == XHA_ACT_DESTROY || job->type == XHA_ACT_GATE_OPEN ? XHA_OK
                                                                                         : XHA_REFUSED,
                          XHA_REFUSAL_OTHER);
        } else {
            job->inst = i;
            job->inst_serial = cs->inst[i].serial;
        }
    }
    if (job->ended)
        return;
    if (job->type == XHA_ACT_RECEIVE || job->type == XHA_ACT_STANDBY) {
        csim_job_later(cs, job, job->type == XHA_ACT_STANDBY ? job->takes_ms : csim_about(cs, 30),
                       CSIM_J_LISTEN);
        return;
    }
    if (job->type == XHA_ACT_REPLICATE) {
        csim_repl_begin(cs, job);
        return;
    }
    csim_job_later(cs, job, job->takes_ms / 4, CSIM_J_MID);
    csim_job_later(cs, job, job->takes_ms, CSIM_J_END);
}

static void inst_make(struct csim *cs, struct csim_job *job)
{
    job->inst = csim_inst_create(cs, job->guest, job->host);
    job->inst_serial = cs->inst[job->inst].serial;
}

/* The receiver listens: its first word. A stream that does not come, or stays away, ends it. */
static void job_listen(struct csim *cs, struct csim_job *job)
{
    struct xha_event ev = { .type = XHA_EV_LISTENING, .uuid = cs->guest[job->guest].uuid };
    uint64_t serial = job->serial;

    if (!job->port) {
        job->port = (uint16_t)(20000 + job->serial % 20000);
        inst_make(cs, job);
        ev.u.listening.id = job->id;
        ev.u.listening.port = job->port;
        if (job->type == XHA_ACT_STANDBY) {
            csim_repl_listens(cs, job);
            return;
        }
        csim_job_later(cs, job, 1000, CSIM_J_LISTEN);
        csim_step_host(cs, job->host, &ev);
        return;
    }
    if (job->serial != serial || job->sent)
        return;
    if ((job->connected || job->cut) && !csim_stream_flows(cs, job, csim_job_other_end(cs, job)))
        csim_job_later(cs, job, 1, CSIM_J_END);
    else
        csim_job_later(cs, job, 1000, CSIM_J_LISTEN);
}

static void job_mid(struct csim *cs, struct csim_job *job)
{
    struct csim_inst *inst = csim_job_inst(cs, job);
    struct csim_job *end;

    job->nothing = job->habit.how == SIM_UNKNOWN && job->habit.word == SIM_EFFECT_NOTHING;
    if (job->nothing)
        return;
    switch (job->type) {
    case XHA_ACT_START:
    case XHA_ACT_RESTORE:
        inst_make(cs, job);
        break;
    case XHA_ACT_DESTROY:
        if (inst && job->habit.how != SIM_FAILS)
            csim_inst_destroy(cs, job->inst);
        break;
    case XHA_ACT_CHECKPOINT:
        if (inst)
            csim_inst_shut(cs, job->inst, XHA_SHUTDOWN_SUSPEND);
        break;
    case XHA_ACT_MIGRATE:
        end = csim_job_other_end(cs, job);
        job->connected = csim_stream_flows(cs, job, end);
        if (job->connected)
            end->connected = true;
        else
            job->cut = true;
        break;
    default:
        break;
    }
}

static void guest_asked(struct csim *cs, struct csim_job *job, struct csim_inst *inst)
{
    const struct csim_guest *g = &cs->guest[job->guest];

    inst->asked = !g->ignores_stop;
    if (inst->asked && !inst->hung && inst->booted)
        csim_in(cs, csim_about(cs, g->stop_ms),
                (struct sim_future){
                    .kind = (enum sim_future_kind)CSIM_F_OBEYS, .a = job->inst, .serial = inst->serial });
}

static void job_effect(struct csim *cs, struct csim_job *job)
{
    struct csim_inst *inst = csim_job_inst(cs, job);

    if (!inst)
        return;
    switch (job->type) {
    case XHA_ACT_START:
    case XHA_ACT_RESTORE:
        job->new_domid = inst->domid;
        inst->booted = job->type == XHA_ACT_RESTORE;
        csim_inst_unpause(cs, job->inst);
        break;
    case XHA_ACT_SHUTDOWN:
        guest_asked(cs, job, inst);
        break;
    case XHA_ACT_CHECKPOINT:
        cs->guest[job->guest].n_cps++;
        csim_inst_go_on(cs, job->inst);
        break;
    case XHA_ACT_RESUME:
        csim_inst_go_on(cs, job->inst);
        break;
    case XHA_ACT_GATE_OPEN:
        csim_gate_open(cs, job->inst);
        break;
    default:
        break;
    }
}

/* The worker fails in an orderly way: it takes back what it began. */
static void job_undo(struct csim *cs, struct csim_job *job)
{
    struct csim_inst *inst = csim_job_inst(cs, job);

    if (!inst)
        return;
    if (makes(job)) {
        inst->there = false;
        csim_listing_soon(cs, job->host);
    } else if (job->type == XHA_ACT_CHECKPOINT || job->type == XHA_ACT_MIGRATE) {
        csim_inst_go_on(cs, job->inst);
    }
}

void csim_job_gives_up(struct csim *cs, struct csim_job *job, enum xha_refusal refusal)
{
    job_undo(cs, job);
    csim_job_over(cs, job, XHA_REFUSED, refusal);
}

/* The worker dies here and now. */
void csim_job_dies(struct csim *cs, struct csim_job *job)
{
    struct csim_inst *inst = csim_job_inst(cs, job);

    if (inst && makes(job) && !job->sent)
        inst->orphan = true;
    if (job->type == XHA_ACT_REPLICATE && !job->ended)
        csim_repl_died(cs, job);
    csim_job_over(cs, job, XHA_UNKNOWN, XHA_REFUSAL_OTHER);
}

/* The guest itself, with all that it is about. */
static void inst_carry(struct csim_inst *to, const struct csim_inst *from)
{
    to->booted = from->booted;
    to->dead = from->dead;
    to->hung = from->hung;
    to->asked = from->asked;
    to->ill_ms = from->ill_ms;
    to->beat_ms = from->beat_ms;
    to->cpu_ms = from->cpu_ms;
    to->lineage = from->lineage;
}

/* The source's last phase: suspend, the rest, the trailer. The stream may break at each of them. */
static void migrate_finish(struct csim *cs, struct csim_job *job)
{
    struct csim_inst *inst = csim_job_inst(cs, job);
    struct csim_job *end = csim_job_other_end(cs, job);

    if (!inst || !csim_inst_alive(inst)) {
        if (!job->sent) {
            csim_job_over(cs, job, XHA_REFUSED, XHA_REFUSAL_OTHER); /* it ended, or is suspended: see below */
            return;
        }
    }
    if (!csim_stream_flows(cs, job, end) && !job->sent) {
        csim_job_gives_up(cs, job, XHA_REFUSAL_OTHER);
        return;
    }
    if (!job->sent) {
        csim_inst_shut(cs, job->inst, XHA_SHUTDOWN_SUSPEND);
        if (job->habit.how == SIM_UNKNOWN) {
            csim_job_dies(cs, job); /* suspended, the trailer not sent */
            return;
        }
        job->sent = true;
        csim_rules_sent(cs, job->inst);
        if (!csim_chance(cs, 10) && end && !end->cut) { /* else the pipe breaks with the trailer in it */
            end->sent = true;
            inst_carry(&cs->inst[end->inst], inst);
            csim_job_later(cs, end, csim_about(cs, 50), CSIM_J_END);
        } else if (end) {
            end->cut = true;
        }
        csim_job_later(cs, job, csim_about(cs, 10), CSIM_J_END);
        return;
    }
    csim_job_over(cs, job, XHA_OK, XHA_REFUSAL_OTHER);
}

static void receive_finish(struct csim *cs, struct csim_job *job)
{
    struct csim_inst *inst = csim_job_inst(cs, job);

    if (job->sent && inst && job->habit.how == SIM_WELL) {
        inst->building = false;
        inst->paused = inst->incoming = true;
        job->new_domid = inst->domid;
        csim_job_over(cs, job, XHA_OK, XHA_REFUSAL_OTHER);
    } else if (job->habit.how == SIM_UNKNOWN) {
        if (job->sent && inst && job->habit.word == SIM_EFFECT_DONE) {
            inst->building = false;
            inst->paused = inst->incoming = true;
        }
        csim_job_dies(cs, job);
    } else {
        csim_job_gives_up(cs, job, XHA_REFUSAL_OTHER);
    }
}

static void job_finish(struct csim *cs, struct csim_job *job)
{
    struct csim_inst *inst = csim_job_inst(cs, job);

    if (job->type == XHA_ACT_RECEIVE) {
        receive_finish(cs, job);
    } else if (job->type == XHA_ACT_STANDBY) {
        csim_repl_finish(cs, job);
    } else if (job->habit.how == SIM_FAILS) {
        csim_job_gives_up(cs, job, (enum xha_refusal)job->habit.word);
    } else if (job->type == XHA_ACT_MIGRATE && !job->nothing) {
        migrate_finish(cs, job);
    } else if (job->habit.how == SIM_UNKNOWN) {
        if (job->habit.word == SIM_EFFECT_DONE)
            job_effect(cs, job);
        csim_job_dies(cs, job);
        if (inst && job->habit.word == SIM_EFFECT_DONE)
            inst->orphan = false;
    } else if (job->type == XHA_ACT_DESTROY && inst) {
        csim_job_later(cs, job, 20, CSIM_J_END); /* dying still: it waits until the domain is gone */
    } else if (job->type == XHA_ACT_GATE_OPEN && !inst) {
        csim_job_over(cs, job, XHA_OK, XHA_REFUSAL_OTHER);
    } else if (job->type != XHA_ACT_DESTROY && !inst) {
        csim_job_over(cs, job, XHA_REFUSED, XHA_REFUSAL_OTHER); /* somebody destroyed it under our hands */
    } else {
        job_effect(cs, job);
        csim_job_over(cs, job, XHA_OK, XHA_REFUSAL_OTHER);
    }
}

static void job_report(struct csim *cs, struct csim_job *job)
{
    struct csim_host *host = &cs->host[job->host];
    uint64_t serial = job->serial, life = host->life;
    struct xha_event ev = { .type = XHA_EV_DONE, .uuid = cs->guest[job->guest].uuid };

    if (!host->node)
        return; /* its .done file stays until xhad is back */
    ev.u.done.id = job->id;
    ev.u.done.result = job->result;
    ev.u.done.refusal = job->refusal;
    ev.u.done.domid = job->new_domid;
    csim_step_host(cs, job->host, &ev);
    if (host->node && host->life == life && job->serial == serial)
        job->used = false; /* only now: the plan was carried out */
}

static void job_deadline(struct csim *cs, struct csim_job *job)
{
    if (!cs->host[job->host].node) /* nobody is there to enforce it */
        csim_job_later(cs, job, 1000, CSIM_J_DEADLINE);
    else
        csim_job_dies(cs, job);
}

void csim_job_phase(struct csim *cs, const struct sim_future *f)
{
    struct csim_job *job = &cs->job[f->a];
    struct csim_host *host = &cs->host[job->host];
    int64_t wait;

    if (!job->used || job->serial != f->serial)
        return;
    wait = csim_host_still(cs, job->host) ? host->go_ms : 0;
    if ((f->b == CSIM_J_REPORT || f->b == CSIM_J_LISTEN || f->b == CSIM_J_DEADLINE || f->b == CSIM_J_TELL) &&
        host->xhad_go_ms > wait)
        wait = host->xhad_go_ms;
    if (f->b != CSIM_J_REPORT && f->b != CSIM_J_DEADLINE && job->stalled_ms > wait)
        wait = job->stalled_ms;
    if (wait > cs->now_ms) {
        csim_in(cs, wait - cs->now_ms, *f);
        return;
    }
    if (f->b == CSIM_J_REPORT) {
        if (job->ended)
            job_report(cs, job);
        return;
    }
    if (job->ended || csim_repl_phase(cs, job, (enum csim_phase)f->b))
        return;
    switch ((enum csim_phase)f->b) {
    case CSIM_J_BEGIN:
        job_begin(cs, job);
        break;
    case CSIM_J_LISTEN:
        job_listen(cs, job);
        break;
    case CSIM_J_MID:
        job_mid(cs, job);
        break;
    case CSIM_J_END:
        job_finish(cs, job);
        break;
    case CSIM_J_DEADLINE:
        job_deadline(cs, job);
        break;
    default:
        break;
    }
}

/* SIGTERM: the source takes it as an abort until the trailer is out, the target until all is there. */
void csim_job_cancel(struct csim *cs, int host, uint64_t id)
{
    for (unsigned i = 0; i < cs->n_jobs; i++) {
        struct csim_job *job = &cs->job[i];

        if (!job->used || job->host != host || job->id != id || job->ended || job->sent || job->promoted)
            continue;
        if (job->stalled_ms > cs->now_ms || csim_host_still(cs, host)) {
            job->cut = job->cancelled = true; /* it sees the signal when it goes on */
            continue;
        }
        csim_job_gives_up(cs, job, XHA_REFUSAL_OTHER);
    }
}

void csim_jobs_kill(struct csim *cs, int guest)
{
    for (unsigned i = 0; i < cs->n_jobs; i++) {
        struct csim_job *job = &cs->job[i];

        if (job->used && job->guest == guest && !job->ended)
            csim_job_dies(cs, job);
    }
}

void csim_jobs_stall(struct csim *cs, int guest, int64_t ms)
{
    for (unsigned i = 0; i < cs->n_jobs; i++)
        if (cs->job[i].used && cs->job[i].guest == guest && !cs->job[i].ended)
            cs->job[i].stalled_ms = cs->now_ms + ms;
}

/* The power of the host is gone, and its workers with it. */
void csim_jobs_gone(struct csim *cs, int host)
{
    for (unsigned i = 0; i < cs->n_jobs; i++)
        if (cs->job[i].host == host)
            cs->job[i].used = false;
}

void csim_jobs_redeliver(struct csim *cs, int host)
{
    for (unsigned i = 0; i < cs->n_jobs; i++)
        if (cs->job[i].used && cs->job[i].host == host)
            csim_job_later(cs, &cs->job[i], 1, cs->job[i].ended ? CSIM_J_REPORT : CSIM_J_TELL);
}

void csim_stream_cut(struct csim *cs, int guest)
{
    for (unsigned i = 0; i < cs->n_jobs; i++) {
        struct csim_job *job = &cs->job[i];

        if (job->used && job->guest == guest && !job->ended &&
            (job->type == XHA_ACT_MIGRATE || job->type == XHA_ACT_REPLICATE))
            job->cut = true;
    }
}

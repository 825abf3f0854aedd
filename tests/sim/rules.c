/*
 * rules.c - what must always hold, judged by what is true in the simulated world.
 *
 * Each check names its rule. Where the core cannot know better (something happened after the last listing
 * that it got, an order was lost with xhad) there is no judgement. sim_fail() ends the run.
 */
#include "tests/sim/sim.h"

#include <string.h>

#define WELL_LONG_MS 4000 /* a guest that has been well for so long must not be found ill */

static enum xha_failure kind_of(uint8_t reason)
{
    switch (reason) {
    case XHA_SHUTDOWN_POWEROFF:
        return XHA_FAIL_POWEROFF;
    case XHA_SHUTDOWN_REBOOT:
        return XHA_FAIL_REBOOT;
    case XHA_SHUTDOWN_WATCHDOG:
        return XHA_FAIL_WATCHDOG;
    default:
        return XHA_FAIL_CRASH;
    }
}

/* The core was told of what happened at that time: the last round's listing is younger. */
static bool told(const struct sim *sim, int host, int64_t at_ms)
{
    return sim->host[host].told_ms > at_ms;
}

/* ---- what the rules learn --------------------------------------------------------------------------------
 */

void sim_rules_died(struct sim *sim, const struct sim_inst *inst, enum sim_death how)
{
    struct sim_guest *g = &sim->guest[inst->guest];
    struct xha_view v;

    if (inst->building && how == SIM_DEATH_DESTROYED)
        g->wish = SIM_WISH_NONE;
    if (inst->building)
        return; /* it never lived */
    g->stray = sim->core && !inst->ours && !xha_core_find(sim->core, &g->uuid, &v) && v.domid != inst->domid;
    if (inst->verdict_ms >= 0)
        how = SIM_DEATH_CLEARED; /* somebody, or itself, was quicker than xhad, which had found it ill */
    g->death = how;
    g->death_reason = inst->reason;
    g->death_ms = sim->now_ms;
    g->swept = how == SIM_DEATH_DESTROYED;
}

void sim_rules_order(struct sim *sim, int guest, enum xha_order_type type, int rc, bool was_open)
{
    struct sim_guest *g = guest >= 0 ? &sim->guest[guest] : NULL;
    struct xha_view v;

    if (!g || rc == -99)
        return; /* it stays unclear */
    if (rc) {
        g->order_open = was_open;
        return;
    }
    if ((type == XHA_DO_MAINTENANCE_ON && g->maintenance) ||
        (type == XHA_DO_MAINTENANCE_OFF && !g->maintenance)) {
        g->order_open = was_open; /* an order to the host, and nothing new to this one */
        return;
    }
    g->unclear = false;
    if (type != XHA_DO_MAINTENANCE_ON && type != XHA_DO_MAINTENANCE_OFF)
        g->no_claim = g->maintenance = false; /* in maintenance no other order is taken */
    for (unsigned i = 0; i < sim->n_jobs; i++)
        if (sim->job[i].used && sim->job[i].guest == guest && sim->job[i].queued_ms < sim->now_ms)
            g->order_waits = true;
    switch (type) {
    case XHA_DO_RESTORE:
        g->wish = SIM_WISH_RUN;
        break;
    case XHA_DO_START:
    case XHA_DO_RESTART:
    case XHA_DO_STOP:
        g->wish = type == XHA_DO_STOP ? SIM_WISH_STOP : SIM_WISH_RUN;
        if (type == XHA_DO_STOP && !xha_core_find(sim->core, &g->uuid, &v) && v.state == XHA_ST_STOPPED &&
            sim_inst_find(sim, guest, -1) >= 0)
            g->wish = SIM_WISH_NONE; /* somebody started it just then, and xhad could not see it */
        g->n_recoveries = 0;         /* an operator has looked at it: it may fail anew */
        break;
    case XHA_DO_MAINTENANCE_ON:
    case XHA_DO_MAINTENANCE_OFF:
        g->maintenance = type == XHA_DO_MAINTENANCE_ON;
        g->wish = SIM_WISH_NONE;
        g->no_claim = true;
        g->order_open = type == XHA_DO_MAINTENANCE_OFF && g->held_open;
        g->held_open = type == XHA_DO_MAINTENANCE_ON && (g->held_open || was_open);
        break;
    default:
        g->order_open = true;
        break;
    }
}

/* ---- deeds ---- */

static void rule_intent(struct sim *sim, const struct xha_action *act, int guest)
{
    const struct sim_guest *g = &sim->guest[guest];

    if (!sim->persisted_now[guest])
        sim_fail(sim, "intent before deed: %s of %s was not persisted", xha_action_name(act->type), g->name);
    else if (sim->persisted[guest] != act->id)
        sim_fail(sim, "intent before deed: %s #%llu of %s, but #%llu was persisted",
                 xha_action_name(act->type), (unsigned long long)act->id, g->name,
                 (unsigned long long)sim->persisted[guest]);
    if (act->id <= sim->max_id)
        sim_fail(sim, "action ids are unique for ever: #%llu for %s of %s was used before",
                 (unsigned long long)act->id, xha_action_name(act->type), g->name);
    sim->max_id = act->id;
    if (act->u.deed.deadline.ms <= 0)
        sim_fail(sim, "%s of %s has no deadline", xha_action_name(act->type), g->name);
    for (unsigned i = 0; i < sim->n_jobs; i++)
        if (sim->job[i].used && !sim->job[i].ended && sim->job[i].guest == guest &&
            sim->job[i].type != XHA_ACT_SCHED && act->type != XHA_ACT_SCHED &&
            sim->job[i].type != XHA_ACT_CHECKPOINT)
            sim_fail(sim, "one deed at a time: %s of %s while %s #%llu is under way",
                     xha_action_name(act->type), g->name, xha_action_name(sim->job[i].type),
                     (unsigned long long)sim->job[i].id);
}

/* Rule 1: never two; and no start without the knowledge that the old one is gone. */
static void rule_once(struct sim *sim, int guest)
{
    const struct sim_guest *g = &sim->guest[guest];
    int64_t known;

    for (unsigned i = 0; i < sim->n_insts && !g->dup_seen; i++) {
        const struct sim_inst *inst = &sim->inst[i];

        if (!inst->there || inst->dying || inst->guest != guest)
            continue;
        /* What came while a deed was under way is for the worker to see. */
        known = inst->created_ms > g->done_ms ? inst->created_ms : g->done_ms;
        if (inst->ours || (sim_inst_alive(inst) && told(sim, inst->host, known)))
            sim_fail(sim, "rule 1, never two: %s is to be started, and is there as domid %d on host %d",
                     g->name, inst->domid, inst->host);
    }
}

/* Rule 5: is there a reason to start it that nobody's wish stands against? */
static bool start_has_reason(const struct sim *sim, const struct sim_guest *g)
{
    enum xha_failure kind = kind_of(g->death_reason);
    bool xhad_was_down = g->death_ms < sim->up_since_ms && sim->life > 1;

    if (g->policy_ms >= g->death_ms && g->policy_ms > 0)
        return true; /* judged under the policy before */
    if (g->stray || !told(sim, g->host, g->death_ms))
        return true; /* xhad cannot know of its end yet */
    switch (g->death) {
    case SIM_DEATH_NONE:
        return g->policy.autostart;
    case SIM_DEATH_SHUT:
        if (g->swept && (g->policy.react[XHA_FAIL_DESTROYED] == XHA_REACT_RECOVER || xhad_was_down))
            return true;
        return g->policy.react[kind] == XHA_REACT_RECOVER ||
               (kind == XHA_FAIL_REBOOT && g->policy.react[kind] == XHA_REACT_RESPECT);
    case SIM_DEATH_CLEARED:
        return true; /* the rules of DESTROY judged it */
    case SIM_DEATH_DESTROYED:
        return g->policy.react[XHA_FAIL_DESTROYED] == XHA_REACT_RECOVER ||
               (xhad_was_down && g->policy.autostart);
    }
    return false;
}

static void rule_wanted(struct sim *sim, const struct xha_action *act, int guest)
{
    const struct sim_guest *g = &sim->guest[guest];
    const char *verb = xha_action_name(act->type);

    if (g->order_open || g->unclear || g->dup_seen)
        return;
    if (g->policy.protection == XHA_PROT_MONITOR && g->policy_ms < sim->now_ms)
        sim_fail(sim, "monitor never acts: %s of %s", verb, g->name);
    else if (g->maintenance || sim->host[g->host].maintenance)
        sim_fail(sim, "maintenance is left alone: %s of %s", verb, g->name);
    else if (g->wish == SIM_WISH_STOP)
        sim_fail(sim, "rule 5: %s of %s, which an operator stopped", verb, g->name);
    else if (!start_has_reason(sim, g))
        sim_fail(sim, "rule 5: %s of %s, which nobody wants: its last end was %s, reason %u", verb, g->name,
                 g->death == SIM_DEATH_DESTROYED ? "destroyed by somebody"
                 : g->death == SIM_DEATH_NONE    ? "none, and it has no autostart"
                                                 : "its own",
                 g->death_reason);
}

static unsigned recoveries(const struct sim *sim, const struct sim_guest *g)
{
    unsigned n = 0, kept = sizeof(g->recovery_ms) / sizeof(g->recovery_ms[0]);

    for (unsigned i = 0; i < kept && i < g->n_recoveries; i++)
        n += g->recovery_ms[i] > sim->now_ms - g->policy.restart_window.ms;
    return n;
}

/* A recovery begins when a failure puts the domain into the queue. */
static void rule_limit(struct sim *sim, const struct xha_action *act, int guest)
{
    struct sim_guest *g = &sim->guest[guest];
    unsigned in_window, kept = sizeof(g->recovery_ms) / sizeof(g->recovery_ms[0]);

    if (act->cause != XHA_CAUSE_FAILURE || act->u.note.to != XHA_ST_QUEUED ||
        act->u.note.purpose != XHA_FOR_RECOVERY)
        return;
    g->recovery_ms[g->n_recoveries++ % kept] = sim->now_ms;
    in_window = recoveries(sim, g);
    if (in_window > g->policy.max_restarts && !g->unclear &&
        g->policy_ms < sim->now_ms - g->policy.restart_window.ms)
        sim_fail(sim, "restart limit: %s is recovered %u times in %lld s, its policy allows %u", g->name,
                 in_window, (long long)g->policy.restart_window.ms / 1000, g->policy.max_restarts);
}

static void rule_parallel(struct sim *sim, int guest)
{
    int host = sim->guest[guest].host;
    unsigned n = 0;

    for (unsigned i = 0; i < sim->n_jobs; i++)
        n += sim->job[i].used && sim->job[i].host == host && !sim->job[i].ended &&
             sim->job[i].guest != guest &&
             (sim->job[i].type == XHA_ACT_START || sim->job[i].type == XHA_ACT_RESTORE);
    if (n >= sim->settings.parallel)
        sim_fail(sim, "parallel %u is exceeded: %s is started while %u others are", sim->settings.parallel,
                 sim->guest[guest].name, n);
}

static bool on_its_way(enum xha_state state)
{
    return state == XHA_ST_QUEUED || state == XHA_ST_CLEARING || state == XHA_ST_STARTING ||
           state == XHA_ST_BOOTING || state == XHA_ST_UNSURE;
}

/* A tier waits for the ones below it while they are on their way, but not longer than their ready_cap. */
static void rule_tiers(struct sim *sim, const struct xha_action *act, int guest)
{
    const struct sim_guest *g = &sim->guest[guest];
    struct xha_view v;

    if (xha_core_find(sim->core, &act->uuid, &v) || v.purpose != XHA_FOR_START)
        return;
    for (unsigned i = 0; i < sim->n_guests; i++) {
        const struct sim_guest *o = &sim->guest[i];

        if (o->host != g->host || o->policy.start_order >= g->policy.start_order ||
            xha_core_find(sim->core, &o->uuid, &v))
            continue;
        if (on_its_way(v.state) && v.purpose != XHA_FOR_STOP && v.purpose != XHA_FOR_NOTHING &&
            o->way_ms > o->policy_ms && sim->now_ms - o->way_ms < o->policy.ready_cap.ms)
            sim_fail(sim, "tiers: %s (start_order %u) is started while %s (%u) is %s", g->name,
                     g->policy.start_order, o->name, o->policy.start_order, xha_state_name(v.state));
    }
}

static void rules_start(struct sim *sim, const struct xha_action *act, int guest)
{
    struct sim_guest *g = &sim->guest[guest];

    rule_once(sim, guest);
    rule_wanted(sim, act, guest);
    rule_parallel(sim, guest);
    rule_tiers(sim, act, guest);
    if (act->term <= g->term)
        sim_fail(sim, "term grows with every start: %s is started in term %llu after term %llu", g->name,
                 (unsigned long long)act->term, (unsigned long long)g->term);
    g->term = act->term;
}

static void rules_destroy(struct sim *sim, const struct xha_action *act, int guest)
{
    const struct sim_guest *g = &sim->guest[guest];
    int i = sim_inst_find_domid(sim, act->host, act->u.deed.domid);
    const struct sim_inst *inst = i < 0 ? NULL : &sim->inst[i];

    if (!inst || inst->dying || g->order_open || g->unclear || g->dup_seen)
        return;
    if (inst->guest != guest) {
        sim_fail(sim, "DESTROY for %s names domid %d, which is %s", g->name, inst->domid,
                 sim->guest[inst->guest].name);
        return;
    }
    if (g->policy.protection == XHA_PROT_MONITOR && g->policy_ms < sim->now_ms)
        sim_fail(sim, "monitor never acts: destroy of %s", g->name);
    else if (g->maintenance)
        sim_fail(sim, "maintenance is left alone: destroy of %s", g->name);
    else if (inst->paused && !inst->shut && told(sim, inst->host, inst->touched_ms) && inst->verdict_ms < 0)
        sim_fail(sim, "paused is left alone: destroy of %s", g->name);
    else if (sim_inst_alive(inst) && !inst->orphan && inst->verdict_ms < 0)
        sim_fail(
            sim,
            "rule 6, no healthy guest is killed: %s (domid %d) runs, and nothing was found wrong with it",
            g->name, inst->domid);
    else if (inst->shut && inst->verdict_ms < 0 && inst->reason != XHA_SHUTDOWN_SUSPEND &&
             g->policy_ms < g->death_ms && g->policy.react[kind_of(inst->reason)] == XHA_REACT_ALARM)
        sim_fail(sim, "the policy says alarm: destroy of %s", g->name);
}

static void rules_shutdown(struct sim *sim, int guest)
{
    const struct sim_guest *g = &sim->guest[guest];

    if (!g->order_open && !g->unclear)
        sim_fail(sim, "nobody asked for %s to be shut down", g->name);
}

static void rules_resume(struct sim *sim, const struct xha_action *act, int guest)
{
    int i = sim_inst_find_domid(sim, act->host, act->u.deed.domid);

    /* A worker of ours that died may have left it so. */
    if (i >= 0 && sim->inst[i].paused && sim->guest[guest].unknown_ms < sim->inst[i].created_ms &&
        told(sim, act->host, sim->inst[i].touched_ms))
        sim_fail(sim, "paused is left alone: resume of %s", sim->guest[guest].name);
}

/* ---- verdicts: the core finds a running guest ill ---------------------------------------------------------
 */

static void rule_verdict(struct sim *sim, const struct xha_action *act, int guest)
{
    struct sim_guest *g = &sim->guest[guest];
    struct xha_view v;
    int i = xha_core_find(sim->core, &act->uuid, &v) ? -1 : sim_inst_find_domid(sim, act->host, v.domid);
    struct sim_inst *inst = i < 0 ? NULL : &sim->inst[i];
    const struct sim_host *h = &sim->host[act->host];
    enum xha_failure kind = (enum xha_failure)act->detail;

    if (kind != XHA_FAIL_HEARTBEAT && kind != XHA_FAIL_HANG && kind != XHA_FAIL_START)
        return;
    if (!told(sim, act->host, g->death_ms))
        g->death = SIM_DEATH_CLEARED; /* it was found ill before xhad could know of its end */
    if (!inst || !sim_inst_alive(inst) || inst->guest != guest)
        return;
    if (kind == XHA_FAIL_START && g->unknown_ms >= inst->created_ms) {
        inst->verdict_ms = sim->now_ms; /* what a lost start left looks the same */
        return;
    }
    sim_inst_before(sim, i);
    if (inst->paused && told(sim, act->host, inst->touched_ms))
        sim_fail(sim, "paused is left alone: %s is found ill (%s)", g->name, xha_failure_name(kind));
    else if (inst->well_ms >= 0 && sim->now_ms - inst->well_ms > WELL_LONG_MS)
        sim_fail(sim, "rule 6: %s is well since %lld ms, and is found ill (%s)", g->name,
                 (long long)(sim->now_ms - inst->well_ms), xha_failure_name(kind));
    else if (kind != XHA_FAIL_START &&
             (!sim_host_xenstore_ok(sim, act->host) || sim_host_starved(sim, act->host)) &&
             h->told_health_ms > h->bad_from)
        sim_fail(sim, "host ill: %s is found ill (%s) while its host is", g->name, xha_failure_name(kind));
    else if (kind == XHA_FAIL_HEARTBEAT && g->policy.heartbeat == XHA_BEAT_AGENT && inst->booted &&
             !inst->dead && !inst->junk && g->policy_ms < sim->now_ms - g->policy.heartbeat_timeout.ms &&
             inst->beat_ms_seen <= h->told_beats_ms &&
             sim->now_ms - inst->beat_ms_seen < g->policy.heartbeat_timeout.ms)
        sim_fail(sim, "%s is found ill after %lld ms without a beat, its policy says %lld", g->name,
                 (long long)(sim->now_ms - inst->beat_ms_seen), (long long)g->policy.heartbeat_timeout.ms);
    else if (g->policy.heartbeat == XHA_BEAT_AGENT && !inst->booted && inst->unpaused_ms >= 0 &&
             g->policy_ms < inst->unpaused_ms && sim->now_ms - inst->unpaused_ms < g->policy.boot_grace.ms)
        sim_fail(sim, "%s boots for %lld ms and is found ill (%s), its boot_grace is %lld", g->name,
                 (long long)(sim->now_ms - inst->unpaused_ms), xha_failure_name(kind),
                 (long long)g->policy.boot_grace.ms);
    inst->verdict_ms = sim->now_ms;
}

/* Given up: by the limit, by a reaction that says so, or because what an operator wanted cannot be done. */
static void rule_given_up(struct sim *sim, const struct xha_action *act, int guest)
{
    const struct sim_guest *g = &sim->guest[guest];
    bool right = true;

    if (act->cause == XHA_CAUSE_LIMIT)
        right = recoveries(sim, g) >= g->policy.max_restarts || g->order_waits;
    else if (act->cause == XHA_CAUSE_FAILURE)
        right = g->policy.protection == XHA_PROT_MONITOR || g->policy.react[act->detail] != XHA_REACT_RECOVER;
    else if (act->cause == XHA_CAUSE_WORKER_REFUSED || act->cause == XHA_CAUSE_WORKER_UNKNOWN)
        right = act->u.note.purpose == XHA_FOR_RESTORE;
    else
        right = act->cause == XHA_CAUSE_PROTECTED;
    if (!right)
        sim_fail(sim, "%s was given up without a reason: %s, %u recoveries in its window", g->name,
                 xha_cause_name(act->cause), recoveries(sim, g));
}

/* Stopped after a failure, because its policy says so: that comes after what an operator wanted before. */
static void rule_stopped(struct sim *sim, const struct xha_action *act, int guest)
{
    struct sim_guest *g = &sim->guest[guest];
    enum xha_reaction react = g->policy.react[act->detail];

    if (react != XHA_REACT_STOP && react != XHA_REACT_RESPECT && g->wish != SIM_WISH_STOP &&
        g->policy_ms < g->death_ms)
        sim_fail(sim, "%s is stopped after a failure (%s), but its policy says %s", g->name,
                 xha_failure_name(act->detail), xha_reaction_name(react));
    g->wish = SIM_WISH_NONE;
    g->no_claim = true;
}

static void rule_note(struct sim *sim, const struct xha_action *act, int guest)
{
    struct sim_guest *g = &sim->guest[guest];

    if (act->cause == XHA_CAUSE_OPERATOR)
        g->order_waits = false;
    if (act->cause == XHA_CAUSE_FAILURE && act->u.note.purpose == XHA_FOR_STOP)
        rule_stopped(sim, act, guest);
    if (act->cause == XHA_CAUSE_FAILURE)
        rule_verdict(sim, act, guest);
    rule_limit(sim, act, guest);
    if (act->u.note.to == XHA_ST_FAILED && act->u.note.from != XHA_ST_FAILED)
        rule_given_up(sim, act, guest);
    if (on_its_way(act->u.note.to) && !on_its_way(act->u.note.from))
        g->way_ms = sim->now_ms;
    switch (act->u.note.to) {
    case XHA_ST_MAINTENANCE:
        g->held_open |= g->order_open;
        g->order_open = false;
        break;
    case XHA_ST_RUNNING:
    case XHA_ST_STOPPED:
    case XHA_ST_FAILED:
    case XHA_ST_ERROR:
    case XHA_ST_DEFINED:
        if (g->order_ms < sim->now_ms && !g->order_waits)
            g->order_open = false;
        break;
    default:
        break;
    }
}

void sim_rules_action(struct sim *sim, const struct xha_action *act, int guest)
{
    bool deed = xha_action_is_deed(act->type);

    if (guest < 0) {
        if (deed || act->type == XHA_ACT_PERSIST || act->type == XHA_ACT_FORGET ||
            act->type == XHA_ACT_NOTE || act->type == XHA_ACT_PROBE)
            sim_fail(sim, "%s without a domain", xha_action_name(act->type));
        return;
    }
    if (deed && !sim->stored[guest].there) {
        sim_fail(sim, "%s of %s, which is not protected", xha_action_name(act->type), sim->guest[guest].name);
        return;
    }
    if (deed)
        rule_intent(sim, act, guest);
    switch (act->type) {
    case XHA_ACT_START:
    case XHA_ACT_RESTORE:
        rules_start(sim, act, guest);
        break;
    case XHA_ACT_DESTROY:
        rules_destroy(sim, act, guest);
        break;
    case XHA_ACT_SHUTDOWN:
        rules_shutdown(sim, guest);
        break;
    case XHA_ACT_RESUME:
        rules_resume(sim, act, guest);
        break;
    case XHA_ACT_NOTE:
        rule_note(sim, act, guest);
        break;
    default:
        break;
    }
}

/* ---- after every step, and at the end ---- */

void sim_rules_after(struct sim *sim)
{
    for (unsigned i = 0; i < sim->n_guests; i++) {
        const struct sim_guest *g = &sim->guest[i];
        unsigned ours = 0;

        for (unsigned n = 0; n < sim->n_insts; n++)
            ours += sim->inst[n].guest == (int)i && sim_inst_alive(&sim->inst[n]) && sim->inst[n].ours;
        if (ours > 1)
            sim_fail(sim, "rule 1, never two: %s lives %u times, all made by us", g->name, ours);
    }
}

int64_t sim_rules_bound_ms(const struct sim *sim)
{
    const struct xha_settings *s = &sim->script->settings;
    int64_t ms = 60000 + s->hold_max.ms + s->vanish_grace.ms + s->probe_window.ms;
    int64_t longest = 0;

    for (unsigned i = 0; i < sim->script->n_guests; i++) {
        const struct xha_policy *p = &sim->script->guest[i].policy;
        int64_t wait = p->backoff_max.ms + p->stop_timeout.ms + p->start_timeout.ms + p->boot_grace.ms +
                       p->heartbeat_timeout.ms + p->start_delay.ms + p->ready_cap.ms;

        longest = wait > longest ? wait : longest;
        ms += 20000; /* its own turn, with everybody well */
    }
    return ms + 3 * longest;
}

static bool at_rest(const struct sim *sim, const struct xha_view *v)
{
    struct xha_host_view host;

    switch (v->state) {
    case XHA_ST_QUEUED: /* nothing is started on a host in maintenance */
        xha_core_host(sim->core, v->host, &host);
        return host.maintenance;
    case XHA_ST_SUSPECT: /* judged, and left alone */
        return v->policy->protection == XHA_PROT_MONITOR || v->policy->io_is_life ||
               (v->failure == XHA_FAIL_START && v->last_beat.ms == 0) ||
               v->policy->react[v->failure] == XHA_REACT_ALARM ||
               v->policy->react[v->failure] == XHA_REACT_RESPECT;
    case XHA_ST_DEFINED:
    case XHA_ST_RUNNING:
    case XHA_ST_PAUSED:
    case XHA_ST_STOPPED:
    case XHA_ST_FAILED:
    case XHA_ST_ERROR:
    case XHA_ST_MAINTENANCE:
        return true;
    default:
        return false;
    }
}

/* Everything works again for longer than the bound: what should run runs, and the core's belief is true. */
static void end_judge(struct sim *sim, int guest)
{
    const struct sim_guest *g = &sim->guest[guest];
    int i = sim_inst_find(sim, guest, -1);
    const struct sim_inst *inst = i < 0 ? NULL : &sim->inst[i];
    bool should_run =
        g->wish == SIM_WISH_RUN && g->death != SIM_DEATH_SHUT && g->death != SIM_DEATH_DESTROYED;
    struct xha_host_view host;
    struct xha_view v;

    if (!sim->stored[guest].there || xha_core_find(sim->core, &g->uuid, &v))
        return;
    if (!at_rest(sim, &v)) {
        sim_fail(sim, "liveness: %s is still %s, %lld s after all trouble ended", g->name,
                 xha_state_name(v.state), (long long)(sim->now_ms - sim->script->end_ms) / 1000);
        return;
    }
    xha_core_host(sim->core, v.host, &host);
    if (!g->unclear && g->maintenance && v.state != XHA_ST_MAINTENANCE)
        sim_fail(sim, "an acknowledged order is lost: %s is in maintenance, and believed %s", g->name,
                 xha_state_name(v.state));
    if (g->unclear || g->dup_seen || g->maintenance || host.maintenance)
        return;
    if (g->wish == SIM_WISH_STOP && inst && sim_inst_alive(inst))
        sim_fail(sim, "an acknowledged order is lost: %s was to stop, and runs as domid %d", g->name,
                 inst->domid);
    if (v.state == XHA_ST_RUNNING && !v.checkpointing &&
        (!inst || !sim_inst_alive(inst) || inst->domid != v.domid))
        sim_fail(sim, "belief and truth: %s is believed to run as domid %d, and does not", g->name, v.domid);
    if (inst && inst->well_ms >= 0 && !inst->paused && v.state != XHA_ST_RUNNING &&
        g->policy.protection != XHA_PROT_MONITOR)
        sim_fail(sim, "belief and truth: %s is well as domid %d, and is believed %s", g->name, inst->domid,
                 xha_state_name(v.state));
    if (g->policy.protection == XHA_PROT_MONITOR || inst)
        return;
    if (g->no_claim)
        return;
    if (g->death == SIM_DEATH_SHUT && !g->swept && g->wish != SIM_WISH_STOP && g->policy_ms < g->death_ms &&
        g->policy.react[kind_of(g->death_reason)] == XHA_REACT_RECOVER)
        should_run = true;
    if (should_run && v.state != XHA_ST_FAILED && v.state != XHA_ST_ERROR)
        sim_fail(sim, "liveness: %s should run, and is %s", g->name, xha_state_name(v.state));
}

bool sim_rules_rest(const struct sim *sim)
{
    struct xha_view v;

    if (!sim->core)
        return false;
    for (unsigned i = 0; i < sim->n_guests; i++)
        if (!xha_core_find(sim->core, &sim->guest[i].uuid, &v) && !at_rest(sim, &v))
            return false;
    return true;
}

void sim_rules_end(struct sim *sim)
{
    if (!sim->script->settle)
        return;
    if (!sim->core) {
        sim_fail(sim, "xhad did not come back");
        return;
    }
    for (unsigned i = 0; i < sim->n_guests && !sim->failed; i++)
        end_judge(sim, (int)i);
}

/*
 * oracle.c - what must always hold in a cluster, judged by what is true in the simulated world.
 *
 * Rules are numbered as in ARCHITECTURE.md. Where nobody can know better (an order lost with its xhad, two
 * orders at once) there is no judgement. csim_fail() ends the run.
 */
#include "tests/csim/csim.h"

#include <stdarg.h>
#include <string.h>

#define REST_REPORT_MS 5000   /* a host that was not disturbed for so long has told the others */
#define ORDER_WORKS_MS 600000 /* an order explains what happens to a domain for so long */

static const char *name_of(const struct csim *cs, int guest)
{
    return cs->guest[guest].name;
}

/* ---- rule 1 ----------------------------------------------------------------------------------------------
 */

void csim_rules_speaks(struct csim *cs, int i)
{
    const struct csim_inst *inst = &cs->inst[i];

    for (unsigned k = 0; k < cs->n_insts && csim_inst_speaks(inst); k++)
        if ((int)k != i && cs->inst[k].guest == inst->guest && csim_inst_speaks(&cs->inst[k]))
            csim_fail(cs, "rule 1, never two: %s runs on %s, and now on %s too", name_of(cs, inst->guest),
                      cs->host[cs->inst[k].host].name, cs->host[inst->host].name);
}

void csim_rules_ran(struct csim *cs, int i)
{
    struct csim_inst *inst = &cs->inst[i];
    struct csim_guest *g = &cs->guest[inst->guest];
    int case_id = g->lost_case;

    csim_rules_speaks(cs, i);
    if (inst->gated)
        return; /* it goes on between two epochs: nobody can tell */
    if (g->lost_ms >= 0 && inst->host != g->last_host) {
        struct xha_timing_case c;

        for (uint32_t n = 0; xha_timing_case(&cs->wish, &cs->timing, n, &c); n++)
            if ((int)c.id == case_id && cs->script->calm) {
                uint64_t permille = (uint64_t)((cs->now_ms - g->lost_ms) * 1000 / (c.ms ? c.ms : 1));

                if (cs->cover && permille > cs->cover->ratio_permille[case_id])
                    cs->cover->ratio_permille[case_id] = permille;
                if (cs->cover)
                    cs->cover->ratio_n[case_id]++;
                if (permille > 1000)
                    csim_fail(cs,
                              "the printed bound: %s runs again %lld ms after its host was lost (%s), and "
                              "%lld ms were printed",
                              g->name, (long long)(cs->now_ms - g->lost_ms), c.name, (long long)c.ms);
            }
    }
    g->lost_ms = -1;
    g->ran = true;
    g->last_host = inst->host;
    g->last_boot = cs->host[inst->host].boot;
    g->word = false;
    g->death_ms = -1;
    g->muted_end = false;
    g->stop_known = g->restarts = false;
    g->stop_serial++;
}

/* However it stops now, it is started where it goes to. */
static bool moves_cold(const struct csim *cs, const struct csim_inst *inst)
{
    const struct xha_node *node = cs->host[inst->host].node;
    struct xha_cluster_domain d;

    return node && !xha_cluster_find(xha_node_state(node), &cs->guest[inst->guest].uuid, &d) &&
           d.phase == XHA_PH_MOVING && d.move.mode == XHA_MOVE_COLD;
}

/* A copy has taken over: it holds whatever anybody has seen of the guest, and exactly what its host acknowledged. */
void csim_rules_promoted(struct csim *cs, int i, const struct csim_job *job)
{
    const struct csim_inst *inst = &cs->inst[i];
    const struct csim_guest *g = &cs->guest[inst->guest];

    if (cs->cover)
        cs->cover->promoted++;
    for (unsigned k = 0; k < cs->n_insts; k++)
        if (cs->inst[k].there && cs->inst[k].guest == inst->guest)
            csim_settle_counters(cs, (int)k);
    if (!job->held.lineage || inst->lineage != job->held.lineage || inst->cpu_ms != job->held.cpu_ms)
        csim_fail(cs, "a copy of %s on %s runs that is not the last epoch committed", g->name,
                  cs->host[inst->host].name);
    else if (g->seen_lineage != inst->lineage)
        csim_fail(cs, "an old copy of %s runs on %s: the guest was booted since", g->name,
                  cs->host[inst->host].name);
    else if (g->seen_ms > inst->cpu_ms)
        csim_fail(cs, "output before its commit: the copy of %s on %s lacks %lld ms that were seen", g->name,
                  cs->host[inst->host].name, (long long)(g->seen_ms - inst->cpu_ms));
}

void csim_rules_died(struct csim *cs, int i)
{
    const struct csim_inst *inst = &cs->inst[i];
    struct csim_guest *g = &cs->guest[inst->guest];

    if (inst->host != g->last_host)
        return;
    g->muted_end = inst->gated;
    g->death_ms = cs->now_ms;
    g->death_shut = inst->shut && !inst->asked;
    g->death_reason = inst->reason;
    g->restarts |= moves_cold(cs, inst);
}

/* ---- who lost what, for the printed bounds ---------------------------------------------------------------
 */

/* host -1: the network was cut. Which part has lost its domains is seen by its size. The bounds do not reckon with a
 * queue behind `parallel`. */
void csim_rules_lost(struct csim *cs, int host, int why)
{
    if (!cs->script->calm || cs->settings.parallel < cs->n_guests)
        return;
    for (unsigned i = 0; i < cs->n_insts; i++) {
        const struct csim_inst *inst = &cs->inst[i];
        struct csim_guest *g = &cs->guest[inst->guest];
        unsigned with = 0, all = 0;

        if (!csim_inst_runs(inst) || (host >= 0 && inst->host != host))
            continue;
        for (unsigned h = 0; h < cs->n_hosts; h++) {
            all += cs->host[h].listed;
            with += csim_net_link(cs, inst->host, (int)h);
        }
        if (host < 0 && 2 * with > all)
            continue;
        g->lost_ms = cs->now_ms;
        g->lost_case = why;
        if (cs->script->host[inst->host].no_fence)
            g->lost_case = why == XHA_TIMING_POWER_CUT_FENCED ? XHA_TIMING_POWER_CUT_WATCHDOG : why;
    }
}

/* ---- grounds ---------------------------------------------------------------------------------------------
 */

/* Its fence agent has succeeded, or a person has seen that it is off. */
void csim_rules_proof(struct csim *cs, int host)
{
    cs->host[host].proof_boot = cs->host[host].boot;
}

/* From here on it goes on where it is only by the ordered verdict. */
void csim_rules_sent(struct csim *cs, int i)
{
    struct csim_guest *g = &cs->guest[cs->inst[i].guest];

    g->word |= cs->inst[i].host == g->last_host;
}

/* A host's xhad has seen its own domains: it can say which are not there any more. */
void csim_rules_told(struct csim *cs, int host)
{
    for (unsigned g = 0; g < cs->n_guests; g++) {
        struct csim_guest *guest = &cs->guest[g];

        if (guest->last_host != host || guest->death_ms < 0 || guest->word)
            continue;
        guest->word = true;
        /* A stop of its own: when nothing disturbs this host for a while, everybody knows. */
        if (cs->host[host].boot == guest->last_boot && guest->death_shut &&
            guest->death_reason == XHA_SHUTDOWN_POWEROFF &&
            guest->def->policy.react[XHA_FAIL_POWEROFF] == XHA_REACT_RESPECT) {
            guest->stop_host = host;
            guest->stop_ms_seen = cs->now_ms;
            csim_in(cs, REST_REPORT_MS,
                    (struct sim_future){ .kind = (enum sim_future_kind)CSIM_F_SETTLED_STOP,
                                         .a = (int)g,
                                         .serial = guest->stop_serial });
        }
    }
}

/* What is seen of a domain during a deed is not believed, and a worker may take its time. */
static bool deed_disturbs(const struct csim *cs, int guest)
{
    const struct csim_guest *g = &cs->guest[guest];

    for (unsigned i = 0; i < cs->n_jobs; i++)
        if (cs->job[i].used && cs->job[i].guest == guest && cs->job[i].host == g->stop_host)
            return true;
    return cs->now_ms - g->deed_ms < REST_REPORT_MS;
}

void csim_rules_stop_known(struct csim *cs, const struct sim_future *f)
{
    struct csim_guest *g = &cs->guest[f->a];
    const struct csim_host *host = &cs->host[g->stop_host];
    struct xha_cluster_status st;

    if (g->stop_serial == f->serial && deed_disturbs(cs, f->a)) {
        csim_in(cs, REST_REPORT_MS, *f);
        return;
    }
    if (g->stop_serial != f->serial || !host->node || host->up_since_ms > g->stop_ms_seen ||
        host->away_ms >= g->stop_ms_seen || host->trouble_ms >= g->stop_ms_seen || g->orders_open ||
        host->disk.slow_ms || cs->net_slow_ms)
        return;
    xha_cluster_status(xha_node_state(host->node), &st);
    g->stop_known = host->active && st.quorate && st.synced && st.settled && st.committed == st.index;
}

/* Rule 2: is the last place where it ran known to run it no more? */
static bool has_ground(const struct csim *cs, const struct csim_guest *g)
{
    const struct csim_host *was = &cs->host[g->last_host];
    int64_t w = cs->timing.watchdog.ms;

    if (g->word || was->proof_boot >= g->last_boot)
        return true;
    for (unsigned i = 0; i < cs->n_insts; i++) /* it is mute, and a pair's end by order keeps it so */
        if (cs->inst[i].there && cs->inst[i].host == g->last_host && cs->inst[i].gated &&
            cs->inst[i].guest == (int)(g - cs->guest))
            return true;
    if (g->muted_end)
        return true;
    if (was->boot > g->last_boot && was->xhad_boot > g->last_boot)
        return true; /* it came back with a new incarnation */
    return was->wd_boot == g->last_boot && cs->script->votes != CSIM_TWO_NODE &&
           cs->now_ms - was->wd_poked_ms >= w - w * 2 / 100 && (!was->power || was->boot > g->last_boot);
}

/* START, RESTORE and PROMOTE */
static void rules_start(struct csim *cs, int h, const struct xha_action *act, int guest)
{
    struct csim_guest *g = &cs->guest[guest];
    const char *verb = xha_action_name(act->type);

    if (act->term <= g->start_term && !(act->type == XHA_ACT_PROMOTE && act->id == g->promoted_deed))
        csim_fail(cs, "rule 4: %s of %s on %s in term %llx, after a start in term %llx", verb, g->name,
                  cs->host[h].name, (unsigned long long)act->term, (unsigned long long)g->start_term);
    g->start_term = act->term;
    for (unsigned i = 0; i < cs->n_insts; i++)
        if (cs->inst[i].guest == guest && csim_inst_speaks(&cs->inst[i]) && cs->inst[i].host != h)
            csim_fail(cs, "rule 1: %s of %s on %s, and it runs on %s", verb, g->name, cs->host[h].name,
                      cs->host[cs->inst[i].host].name);
    if (g->ran && g->last_host != h && !has_ground(cs, g))
        csim_fail(cs, "rule 2: %s of %s on %s without a ground: it ran on %s, of which nothing is known",
                  verb, g->name, cs->host[h].name, cs->host[g->last_host].name);
    if (g->wish == CSIM_WISH_STOP && !g->unclear && !g->orders_open)
        csim_fail(cs, "rule 5: %s of %s on %s, which an operator stopped", verb, g->name, cs->host[h].name);
    if (g->stop_known && !g->unclear && !g->orders_open && !g->restarts && g->order_ms < g->stop_ms_seen)
        csim_fail(cs, "rule 5: %s of %s on %s, which powered itself off", verb, g->name, cs->host[h].name);
}

/* Rule 2: after a move it goes on where the order of messages says, and not before. */
static void rules_resume(struct csim *cs, int h, const struct xha_action *act, int guest)
{
    struct xha_cluster_domain d;
    bool undecided;

    if (xha_cluster_find(xha_node_state(cs->host[h].node), &act->uuid, &d))
        return;
    undecided = (d.phase == XHA_PH_OWNED && !d.committed) ||
                (d.phase == XHA_PH_MOVING && d.move.id == act->u.deed.move.id);
    if (d.owner != h || d.phase == XHA_PH_FREE || (act->u.deed.move.id && undecided))
        csim_fail(cs, "rule 2: resume of %s on %s before its move is decided", name_of(cs, guest),
                  cs->host[h].name);
}

static void rules_destroy(struct csim *cs, int h, const struct xha_action *act, int guest)
{
    const struct csim_guest *g = &cs->guest[guest];
    int i = csim_inst_find_domid(cs, h, act->u.deed.domid);
    const struct csim_inst *inst = i < 0 ? NULL : &cs->inst[i];
    struct xha_cluster_domain d;

    if (!inst || !csim_inst_runs(inst) || inst->hung || inst->dead || inst->orphan || g->unclear)
        return;
    if (inst->guest != guest) {
        csim_fail(cs, "DESTROY for %s on %s names domid %d, which is %s", g->name, cs->host[h].name,
                  inst->domid, name_of(cs, inst->guest));
        return;
    }
    if ((g->order_ms >= 0 && cs->now_ms - g->order_ms < ORDER_WORKS_MS) || g->fails_ms >= inst->created_ms)
        return;
    if (xha_cluster_find(xha_node_state(cs->host[h].node), &act->uuid, &d) || d.owner != h ||
        d.phase != XHA_PH_OWNED || !inst->booted || !d.want_run)
        return;
    csim_fail(cs, "rule 6, no healthy guest is killed: destroy of %s (domid %d) on %s", g->name, inst->domid,
              cs->host[h].name);
}

/* A gate is opened when the end of its pair was ordered, or its domain unprotected, and not otherwise. */
static void rule_gate(struct csim *cs, int h, const struct xha_action *act, int guest)
{
    struct xha_cluster_domain d;

    if (xha_cluster_find(xha_node_state(cs->host[h].node), &act->uuid, &d))
        return;
    if (d.pair.id == act->u.deed.move.id || d.owner != h)
        csim_fail(cs, "%s opens the gate of %s, and nobody has ordered that", cs->host[h].name,
                  name_of(cs, guest));
    else if (!d.committed && cs->guest[guest].ended_pair != act->u.deed.move.id)
        csim_fail(cs, "%s opens the gate of %s before that is committed", cs->host[h].name,
                  name_of(cs, guest));
}

/* Remembers that the end of a pair was committed: what comes after it in the order may not be yet. */
void csim_rules_before(struct csim *cs, int h)
{
    for (unsigned i = 0; i < cs->n_insts; i++) {
        const struct csim_inst *inst = &cs->inst[i];
        struct xha_cluster_domain d;
        struct xha_view v;

        if (inst->there && inst->host == h &&
            cs->guest[inst->guest].def->policy.protection == XHA_PROT_REPLICATE &&
            !xha_core_find(xha_node_core(cs->host[h].node), &cs->guest[inst->guest].uuid, &v) && v.repl.id &&
            !xha_cluster_find(xha_node_state(cs->host[h].node), &cs->guest[inst->guest].uuid, &d) &&
            d.committed && d.pair.id != v.repl.id)
            cs->guest[inst->guest].ended_pair = v.repl.id;
    }
}

/* A copy is told to run when its promotion is committed. */
static void rule_promote(struct csim *cs, int h, const struct xha_action *act, int guest)
{
    struct xha_cluster_domain d;

    if (!xha_cluster_find(xha_node_state(cs->host[h].node), &act->uuid, &d) && !d.committed &&
        cs->guest[guest].promoted_deed != act->id)
        csim_fail(cs, "%s runs the copy of %s before its promotion is committed", cs->host[h].name,
                  name_of(cs, guest));
    cs->guest[guest].promoted_deed = act->id;
}

/* While it is streamed its memory is the sender's alone. */
static void rule_streamed(struct csim *cs, int h, const struct xha_action *act, int guest)
{
    if (xha_action_is_beside(act->type) || act->type == XHA_ACT_SHUTDOWN || act->type == XHA_ACT_SCHED)
        return;
    for (unsigned i = 0; i < cs->n_jobs; i++)
        if (cs->job[i].used && !cs->job[i].ended && cs->job[i].guest == guest && cs->job[i].host == h &&
            xha_action_is_beside(cs->job[i].type))
            csim_fail(cs, "%s of %s on %s during its %s", xha_action_name(act->type), name_of(cs, guest),
                      cs->host[h].name, xha_action_name(cs->job[i].type));
}

static void rule_intent(struct csim *cs, int h, const struct xha_action *act, int guest)
{
    bool beside = xha_action_is_beside(act->type);

    if (!cs->persisted_now[guest] || (beside ? cs->persisted_beside : cs->persisted)[guest] != act->id)
        csim_fail(cs, "intent before deed: %s #%llu of %s on %s was not persisted",
                  xha_action_name(act->type), (unsigned long long)act->id, name_of(cs, guest),
                  cs->host[h].name);
    for (unsigned i = 0; i < cs->n_jobs; i++) {
        const struct csim_job *job = &cs->job[i];

        if (job->used && !job->ended && job->guest == guest && job->host == h && job->type != XHA_ACT_SCHED &&
            act->type != XHA_ACT_SCHED && job->type != XHA_ACT_CHECKPOINT &&
            beside == xha_action_is_beside(job->type))
            csim_fail(cs, "one deed at a time: %s of %s on %s while %s is under way",
                      xha_action_name(act->type), name_of(cs, guest), cs->host[h].name,
                      xha_action_name(job->type));
    }
}

void csim_rules_action(struct csim *cs, int h, const struct xha_action *act, int guest)
{
    const struct csim_host *host = &cs->host[h];

    if (act->type == XHA_ACT_PROMOTE) {
        rules_start(cs, h, act, guest);
        rule_promote(cs, h, act, guest);
    }
    if (!xha_action_is_deed(act->type) && act->type != XHA_ACT_PROMOTE)
        return;
    if (act->type != XHA_ACT_PROMOTE) {
        rule_intent(cs, h, act, guest);
        rule_streamed(cs, h, act, guest);
    }
    if (!host->quorum_told &&
        (act->type == XHA_ACT_PROMOTE || act->type == XHA_ACT_REPLICATE || act->type == XHA_ACT_STANDBY ||
         act->type == XHA_ACT_START || act->type == XHA_ACT_RESTORE || act->type == XHA_ACT_RESUME ||
         act->type == XHA_ACT_RECEIVE))
        csim_fail(cs, "rule 7: %s of %s on %s, which has no quorum", xha_action_name(act->type),
                  name_of(cs, guest), host->name);
    if (act->type == XHA_ACT_START || act->type == XHA_ACT_RESTORE)
        rules_start(cs, h, act, guest);
    else if (act->type == XHA_ACT_RESUME)
        rules_resume(cs, h, act, guest);
    else if (act->type == XHA_ACT_DESTROY)
        rules_destroy(cs, h, act, guest);
    else if (act->type == XHA_ACT_GATE_OPEN)
        rule_gate(cs, h, act, guest);
}

/* ---- the cluster's own -----------------------------------------------------------------------------------
 */

/* Rule 3 and 8: who is called dead is dead, and by time only when the time has passed. */
static void rule_fenced(struct csim *cs, int h, int target)
{
    struct csim_host *host = &cs->host[target];
    struct xha_cluster_host view;
    struct xha_uuid now_boot = csim_host_boot_id(cs, target);
    int64_t w = cs->timing.watchdog.ms;
    bool same;

    if (!xha_cluster_host(xha_node_state(cs->host[h].node), (uint8_t)target, &view))
        return;
    if (cs->cover)
        cs->cover->fenced_by[view.fenced_by]++;
    if (view.fenced_by == XHA_FENCED_REBOOT || view.state != XHA_HOST_FENCED || host->left)
        return; /* left: it runs nothing of theirs, and rule 1 sees to it */
    same = !memcmp(&view.info.incarnation.boot, &now_boot, sizeof(now_boot));
    if (same && host->power)
        csim_fail(cs, "rule 8: %s calls %s fenced (by %s), and it runs", cs->host[h].name, host->name,
                  xha_fenced_by_name(view.fenced_by));
    if (same && view.fenced_by == XHA_FENCED_WATCHDOG &&
        (host->wd_boot != host->boot || cs->now_ms - host->wd_poked_ms < w - w * 2 / 100))
        csim_fail(cs,
                  "rule 3: %s calls %s fenced by its watchdog %lld ms after its last poke (it fires after "
                  "%lld)",
                  cs->host[h].name, host->name, (long long)(cs->now_ms - host->wd_poked_ms), (long long)w);
}

/* Where the policies and an operator allow it. */
static void rule_placed(struct csim *cs, int h, const struct xha_cluster_action *act)
{
    const struct xha_cluster *st = xha_node_state(cs->host[h].node);
    struct xha_cluster_host on;
    struct xha_cluster_domain d, other;

    if (xha_cluster_find(st, &act->uuid, &d) || d.phase != XHA_PH_OWNED || d.owner != act->host)
        return;
    if (xha_cluster_host(st, act->host, &on) && on.maintenance &&
        cs->now_ms - cs->host[act->host].maintenance_ms > 2000) /* by then nothing older is on its way */
        csim_fail(cs, "%s is placed on %s, which is in maintenance", d.name, cs->host[act->host].name);
    for (uint32_t i = 0; i < xha_cluster_count(st); i++) {
        xha_cluster_domain(st, i, &other);
        if (memcmp(&other.uuid, &d.uuid, sizeof(d.uuid)) && other.phase == XHA_PH_OWNED &&
            other.owner == act->host && other.want_run && d.needs->anti_affinity[0] &&
            !strcmp(d.needs->anti_affinity, other.needs->anti_affinity) &&
            cs->now_ms - cs->guest[csim_guest_find(cs, &other.uuid)].order_ms > 2000)
            csim_fail(cs, "%s is placed on %s, where %s is, which is to be apart from it", d.name,
                      cs->host[act->host].name, other.name);
    }
}

void csim_rules_cluster(struct csim *cs, int h, const struct xha_cluster_action *act)
{
    if (act->type == XHA_CACT_NOTE) {
        if (cs->cover)
            cs->cover->note[act->u.said.cause]++;
        if (act->u.said.cause == XHA_CC_HOST_FENCED && act->host < cs->n_hosts)
            rule_fenced(cs, h, act->host);
        if (act->u.said.cause == XHA_CC_MAINTENANCE_ON)
            cs->host[act->host].maintenance_ms = cs->now_ms;
        if (act->u.said.cause == XHA_CC_PLACED)
            rule_placed(cs, h, act);
    } else if (act->type == XHA_CACT_ALARM) {
        if (cs->cover)
            cs->cover->alarm[act->u.said.cause]++;
        if (act->u.said.cause == XHA_CC_HASH_DIFFERS)
            csim_fail(cs, "the states differ: %s", act->u.said.text);
    }
}

/* Rule 6: xhad's absence alone fences nobody. */
void csim_rules_watchdog(struct csim *cs, int h)
{
    const struct csim_host *host = &cs->host[h];
    int64_t grace = cs->timing.watchdog.ms + 15000;

    if (cs->now_ms - host->trouble_ms > grace && cs->now_ms - host->away_ms > grace &&
        cs->now_ms - host->unquorate_ms > grace)
        csim_fail(cs, "rule 6: the watchdog of %s fires, and nothing was wrong but its xhad", host->name);
}

void csim_rules_fence(struct csim *cs, int executor, int h)
{
    const struct csim_host *host = &cs->host[h];

    if (csim_net_together(cs, executor, h) && !csim_host_still(cs, h) &&
        cs->now_ms - host->trouble_ms > 120000 && cs->now_ms - host->away_ms > 120000)
        csim_fail(cs, "rule 6: %s fences %s, which was there all the time", cs->host[executor].name,
                  host->name);
}

/* Synced members of one view have the same state at the same index, up to a gap that their parting has left. */
static void rule_hash(struct csim *cs, int h, const struct xha_cluster_status *st)
{
    uint64_t view = cs->host[h].view_id;
    uint64_t key = (view * 0x9e3779b97f4a7c15ULL ^ st->epoch * 0xbf58476d1ce4e5b9ULL) + st->index;
    unsigned slot = (unsigned)((key ^ key >> 29) % CSIM_HASHES);

    if (cs->hash[slot].view == view && cs->hash[slot].epoch == st->epoch &&
        cs->hash[slot].index == st->index) {
        if (cs->hash[slot].hash != st->hash)
            csim_fail(cs, "the states of %s and %s differ at index %llu of epoch %llu",
                      cs->host[cs->hash[slot].host].name, cs->host[h].name, (unsigned long long)st->index,
                      (unsigned long long)st->epoch);
        return;
    }
    cs->hash[slot].view = view;
    cs->hash[slot].epoch = st->epoch;
    cs->hash[slot].index = st->index;
    cs->hash[slot].hash = st->hash;
    cs->hash[slot].host = (uint8_t)h;
}

/*
 * Whatever a settled view has committed, a later one knows: they have a host in common. Where quorum needs no
 * majority (two_node, a device) two of them may not, when all hosts of the later one have fenced all of the earlier
 * one, being back from their disks: then what was ordered meanwhile is lost, and nothing is judged by it.
 */
static void rule_memory(struct csim *cs, int h, const struct xha_cluster_status *st)
{
    uint64_t view = cs->host[h].view_id;

    if (!st->settled || !st->quorate)
        return;
    for (unsigned i = 0; i < CSIM_SETTLED; i++)
        if (cs->settled_view[i] == view)
            return;
    cs->settled_view[cs->n_settled++ % CSIM_SETTLED] = view;
    if (cs->forgot || (cs->settled_members && !(cs->settled_members & st->members))) {
        if (cs->script->votes == CSIM_MAJORITY)
            csim_fail(cs, "%s is in a settled view that has no host of the one before", cs->host[h].name);
        for (unsigned g = 0; g < cs->n_guests; g++) {
            cs->guest[g].unclear = true;
            cs->guest[g].start_term = 0;
            cs->guest[g].stop_known = false;
        }
        if (cs->cover)
            cs->cover->forgot += !cs->forgot;
        cs->forgot = true; /* from now on either of two pasts may win */
    }
    cs->settled_members = st->members;
}

void csim_rules_after(struct csim *cs, int h)
{
    struct csim_host *host = &cs->host[h];
    struct xha_cluster_status st;

    if (!host->node)
        return;
    xha_cluster_status(xha_node_state(host->node), &st);
    if (st.committed > st.index)
        csim_fail(cs, "%s has committed index %llu of %llu", host->name, (unsigned long long)st.committed,
                  (unsigned long long)st.index);
    if (!st.synced || !host->active || (st.index == host->seen_index && st.hash == host->seen_hash))
        return;
    host->seen_index = st.index;
    host->seen_hash = st.hash;
    if (!host->beyond)
        rule_hash(cs, h, &st);
    rule_memory(cs, h, &st);
    if (cs->audit)
        xha_cluster_audit(xha_node_state(host->node));
}

/* ---- the end ---------------------------------------------------------------------------------------------
 */

static bool __attribute__((format(printf, 3, 4))) not_yet(char *why, size_t len, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why, len, fmt, ap);
    va_end(ap);
    return false;
}

static bool hosts_rest(struct csim *cs, int *first_r, char *why, size_t len)
{
    struct xha_cluster_status first = { 0 }, st;

    *first_r = -1;
    for (unsigned h = 0; h < cs->n_hosts; h++) {
        const struct csim_host *host = &cs->host[h];

        if (!host->listed || host->left || !host->power)
            continue;
        if (!host->node)
            return not_yet(why, len, "xhad on %s is down", host->name);
        xha_cluster_status(xha_node_state(host->node), &st);
        if (!st.synced || !st.quorate || !st.settled)
            return not_yet(why, len, "%s is not %s", host->name,
                           !st.quorate  ? "quorate"
                           : !st.synced ? "synced"
                                        : "settled");
        if (*first_r < 0) {
            *first_r = (int)h;
            first = st;
        } else if (st.epoch != first.epoch || st.index != first.index || st.hash != first.hash) {
            return not_yet(why, len, "%s is at index %llu of epoch %llu, %s at %llu of %llu", host->name,
                           (unsigned long long)st.index, (unsigned long long)st.epoch,
                           cs->host[*first_r].name, (unsigned long long)first.index,
                           (unsigned long long)first.epoch);
        }
        if (st.committed != st.index)
            return not_yet(why, len, "%s has committed %llu of %llu", host->name,
                           (unsigned long long)st.committed, (unsigned long long)st.index);
    }
    return true;
}

static bool is_wanted(const struct csim_guest *g, const struct xha_cluster_domain *d)
{
    if (g->unclear || g->orders_open)
        return d->want_run;
    return g->wish == CSIM_WISH_RUN && !(g->death_ms >= 0 && !d->want_run);
}

static bool is_away(const struct csim *cs, int host)
{
    return host >= 0 && host < (int)cs->n_hosts &&
           (!cs->host[host].power || !cs->host[host].listed || cs->host[host].left);
}

/* Whether it is replicated, when it is to be and can be. */
static bool pair_rests(struct csim *cs, int guest, const struct xha_cluster_domain *d, char *why, size_t len)
{
    const struct csim_guest *g = &cs->guest[guest];
    unsigned others = 0;

    for (unsigned h = 0; h < cs->n_hosts; h++)
        others += (int)h != d->owner && cs->host[h].listed && cs->host[h].power && !cs->host[h].left;
    if (d->pair.id)
        return d->pair.stage == XHA_PAIR_PROTECTED
                   ? true
                   : not_yet(why, len, "%s is only being replicated", g->name);
    if (d->policy->protection != XHA_PROT_REPLICATE || !g->def->needs.relocate)
        return true;
    if (!others || cs->tight || g->def->needs.anti_affinity[0] || g->def->needs.hosts[0] ||
        g->def->needs.affinity[0])
        return true;
    return not_yet(why, len, "%s is not replicated (%s)", g->name, d->bare_text);
}

/* Whether a domain is as it should be: running where it is owned, or at rest for a reason. */
static bool guest_rests(struct csim *cs, int guest, int h, char *why, size_t len)
{
    const struct csim_guest *g = &cs->guest[guest];
    struct xha_cluster_domain d;
    int i = csim_inst_find(cs, guest, -1);
    bool there = !xha_cluster_find(xha_node_state(cs->host[h].node), &g->uuid, &d);

    if (!g->unclear && !g->orders_open && g->protected_ != there)
        return not_yet(why, len, "%s is %s, against an answered request", g->name,
                       there ? "protected" : "not protected");
    if (!there)
        return true;
    if (d.phase == XHA_PH_MOVING)
        return not_yet(why, len, "%s is on the move", g->name);
    if (!is_wanted(g, &d))
        return true;
    if (d.phase == XHA_PH_FREE && d.wait_cause == XHA_CC_NO_PLACE &&
        (cs->tight || g->def->needs.anti_affinity[0] ||
         (!xha_needs_relocates(&g->def->needs) && (is_away(cs, g->last_host) || is_away(cs, d.owner)))))
        return true;
    if (d.phase == XHA_PH_OWNED && (d.report.state == XHA_ST_FAILED || d.report.state == XHA_ST_ERROR) &&
        d.report.cause == XHA_CAUSE_LIMIT && cs->now_ms - cs->settle_ms > 60000)
        return true;
    if (i < 0 || !csim_inst_runs(&cs->inst[i]) || !cs->inst[i].booted)
        return not_yet(why, len, "%s does not run (%s%s%s, %s)", g->name, xha_phase_name(d.phase),
                       d.phase == XHA_PH_OWNED ? " by " : "",
                       d.phase == XHA_PH_OWNED ? cs->host[d.owner].name : "",
                       d.phase == XHA_PH_OWNED ? xha_state_name(d.report.state) : d.wait_text);
    if (d.phase != XHA_PH_OWNED || d.owner != cs->inst[i].host)
        return not_yet(why, len, "%s runs on %s, but is not owned by it", g->name,
                       cs->host[cs->inst[i].host].name);
    if (d.report.state == XHA_ST_SUSPECT && cs->inst[i].dead)
        return true; /* it has never beaten: it is left alone */
    if (d.report.state != XHA_ST_RUNNING)
        return not_yet(why, len, "%s runs, but is called %s", g->name, xha_state_name(d.report.state));
    if (cs->inst[i].gated != (d.pair.id && d.pair.stage == XHA_PAIR_PROTECTED))
        return not_yet(why, len, "%s is %s", g->name,
                       cs->inst[i].gated ? "mute, and has no backup" : "called protected, and has no gate");
    return pair_rests(cs, guest, &d, why, len);
}

bool csim_rules_rest(struct csim *cs, char *why, size_t len)
{
    int h;

    if (!csim_net_whole(cs))
        return not_yet(why, len, "the ring is not whole");
    if (!hosts_rest(cs, &h, why, len))
        return false;
    if (h < 0)
        return true; /* all have left */
    for (unsigned i = 0; i < CSIM_ASKS_MAX; i++)
        if (cs->ask[i].used)
            return not_yet(why, len, "a request of %s (number %llu) has no answer",
                           cs->host[cs->ask[i].host].name, (unsigned long long)cs->ask[i].number);
    for (unsigned k = 0; k < cs->n_hosts; k++) {
        struct xha_cluster_host host;

        if (xha_cluster_host(xha_node_state(cs->host[h].node), (uint8_t)k, &host) &&
            (host.state == XHA_HOST_LOST || host.state == XHA_HOST_DEPOSED))
            return not_yet(why, len, "%s is %s", cs->host[k].name, xha_host_state_name(host.state));
    }
    for (unsigned g = 0; g < cs->n_guests; g++)
        if (!guest_rests(cs, (int)g, h, why, len))
            return false;
    return true;
}

void csim_rules_end(struct csim *cs)
{
    char why[300];

    if (cs->script->settle && !cs->rested && !csim_rules_rest(cs, why, sizeof(why)))
        csim_fail(cs, "liveness: %lld s after all trouble ended, %s",
                  (long long)(cs->now_ms - cs->settle_ms) / 1000, why);
}

/* How long after the last disturbance everybody must have come to rest. */
int64_t csim_rules_bound_ms(const struct csim *cs)
{
    int64_t restart = 0;

    for (unsigned g = 0; g < cs->n_guests; g++) {
        const struct xha_policy *p = &cs->guest[g].def->policy;
        int64_t one = p->boot_grace.ms + p->start_timeout.ms + p->stop_timeout.ms + 2 * p->backoff_max.ms +
                      p->ready_cap.ms + p->start_delay.ms;

        restart = one > restart ? one : restart;
    }
    return 300000 + 3 * restart + (int64_t)cs->n_guests * 5000 +
           2 * (cs->timing.takeover.ms + cs->timing.fence_timeout.ms);
}

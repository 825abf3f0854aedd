/*
 * keeper.c - xhad around the core: it carries out plans, stores records, dies at any point and comes back.
 *
 * What is on disk (stored policies and records, .done files of workers) outlives it; nothing else does.
 */
#include "tests/sim/sim.h"

#include <string.h>

#define DOWN -99

static void act_persist(struct sim *sim, const struct xha_action *act, int guest)
{
    struct sim_stored *st = &sim->stored[guest];

    if (xha_core_record(sim->core, &act->uuid, &st->record)) {
        sim_fail(sim, "PERSIST of %s, but the core has no record of it", sim->guest[guest].name);
        return;
    }
    st->have_record = true;
    sim->persisted_now[guest] = true;
    sim->persisted[guest] = st->record.pending_id;
}

static void act_out(struct sim *sim, const struct xha_action *act)
{
    int guest = sim_guest_find(sim, &act->uuid);

    if (sim->cover) {
        sim->cover->action[act->type]++;
        sim->cover->cause[act->cause]++;
    }
    sim->deeds += xha_action_is_deed(act->type);
    sim_rules_action(sim, act, guest);
    sim_say_action(sim, act, guest);
    if (sim->failed)
        return;
    switch (act->type) {
    case XHA_ACT_PERSIST:
        act_persist(sim, act, guest);
        break;
    case XHA_ACT_FORGET:
        sim->stored[guest].there = sim->stored[guest].have_record = false;
        break;
    case XHA_ACT_NOTE:
        if (sim->cover)
            sim->cover->went[act->u.note.from][act->u.note.to]++;
        break;
    case XHA_ACT_START:
    case XHA_ACT_RESTORE:
    case XHA_ACT_DESTROY:
    case XHA_ACT_SHUTDOWN:
    case XHA_ACT_CHECKPOINT:
    case XHA_ACT_RESUME:
    case XHA_ACT_SCHED:
    case XHA_ACT_MIGRATE:
    case XHA_ACT_RECEIVE:
        if (act->id >= sim->next_id)
            sim->next_id = act->id + 1;
        sim_job_start(sim, act, guest);
        break;
    case XHA_ACT_PROBE:
        sim_probe_ask(sim, act);
        break;
    case XHA_ACT_LOOK:
        sim_in(sim, sim_about(sim, 2), (struct sim_future){ .kind = SIM_F_LISTING, .a = act->host, .b = 1 });
        break;
    default:
        break;
    }
}

/* xhad dies over its plan: what it had written down it will go on with, though nobody heard of it. */
static void plan_lost(struct sim *sim, uint32_t from)
{
    for (uint32_t i = from; i < sim->plan.n; i++) {
        const struct xha_action *act = &sim->plan.action[i];
        int guest = sim_guest_find(sim, &act->uuid);

        if (act->type == XHA_ACT_NOTE && guest >= 0 && sim->persisted_now[guest])
            sim_rules_action(sim, act, guest);
    }
}

/* Returns false when xhad died on the way. */
static bool plan_out(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->plan.n && !sim->failed; i++) {
        if (sim->die_after >= 0 && sim->die_after-- == 0) {
            plan_lost(sim, i);
            sim_xhad_down(sim, sim->down_ms);
            return false;
        }
        act_out(sim, &sim->plan.action[i]);
    }
    return !sim->failed;
}

/* A core that wants to be called again and again without time passing would spin in the daemon. */
static void spin_watch(struct sim *sim, const struct xha_event *ev)
{
    if (ev->type != XHA_EV_TICK)
        return;
    sim->spins = sim->plan.next.ms <= sim->now_ms && !sim->plan.more ? sim->spins + 1 : 0;
    if (sim->spins > 100)
        sim_fail(sim, "the core spins: it wants a TICK at %lld, which is now or past",
                 (long long)sim->plan.next.ms);
}

int sim_step(struct sim *sim, struct xha_event *ev)
{
    int rc, guest = sim_guest_find(sim, &ev->uuid);
    struct xha_event tick = { .type = XHA_EV_TICK, .now = { sim->now_ms } };
    unsigned rounds = 0;

    if (!sim->core || sim->failed)
        return DOWN;
    ev->now.ms = sim->now_ms;
    memset(sim->persisted_now, 0, sizeof(sim->persisted_now));
    sim_cover_event(sim, ev, guest);
    rc = xha_core_step(sim->core, ev, &sim->plan);
    sim_say_event(sim, ev, rc);
    if (rc && sim->plan.n && ev->type == XHA_EV_ORDER)
        for (uint32_t i = 0; i < sim->plan.n; i++)
            if (!memcmp(&sim->plan.action[i].uuid, &ev->uuid, sizeof(ev->uuid)) &&
                sim->plan.action[i].type >= XHA_ACT_START)
                sim_fail(sim, "an order for %s was refused (%s), but led to %s",
                         guest >= 0 ? sim->guest[guest].name : "the host", xha_core_error_text(rc),
                         xha_action_name(sim->plan.action[i].type));
    for (;;) {
        spin_watch(sim, rounds ? &tick : ev);
        sim->tick_ms = sim->plan.next.ms;
        if (sim->failed || !plan_out(sim))
            return DOWN;
        xha_core_audit(sim->core);
        if (!sim->plan.more)
            break;
        if (++rounds > 1000) {
            sim_fail(sim, "plans without end: `more` a thousand times");
            return DOWN;
        }
        xha_core_step(sim->core, &tick, &sim->plan);
    }
    sim_rules_after(sim);
    return rc;
}

int sim_protect(struct sim *sim, int guest)
{
    struct sim_guest *g = &sim->guest[guest];
    struct sim_stored *st = &sim->stored[guest];
    struct xha_event ev = { .type = XHA_EV_PROTECT, .host = (uint8_t)g->host, .uuid = g->uuid };

    /* The policy is on disk before the core hears of it. */
    if (!st->there) {
        st->order = ++sim->protections;
        g->protected_ = true;
        g->maintenance = false;
        g->wish = SIM_WISH_NONE;
        g->order_open = g->policy.autostart;
        g->term = 0;
    }
    st->there = true;
    st->policy = g->policy;
    g->policy_ms = sim->now_ms;
    ev.u.protect.policy = &g->policy;
    snprintf(ev.u.protect.name, sizeof(ev.u.protect.name), "%s", g->name);
    return sim_step(sim, &ev);
}

static void recall(struct sim *sim, int guest)
{
    struct sim_guest *g = &sim->guest[guest];
    struct sim_stored *st = &sim->stored[guest];
    struct xha_record record = st->record; /* the core may persist while it reads it */
    struct xha_event ev = {
        .type = st->have_record ? XHA_EV_RECALL : XHA_EV_PROTECT,
        .host = (uint8_t)g->host,
        .uuid = g->uuid,
    };

    ev.u.protect.policy = &st->policy;
    ev.u.protect.record = st->have_record ? &record : NULL;
    snprintf(ev.u.protect.name, sizeof(ev.u.protect.name), "%s", g->name);
    sim_step(sim, &ev);
}

/* Deeds that were written down, but of which there is no trace: nobody knows whether they began. */
static void pending_resolve(struct sim *sim, int guest)
{
    const struct sim_stored *st = &sim->stored[guest];
    struct xha_event ev = {
        .type = XHA_EV_DONE,
        .host = (uint8_t)sim->guest[guest].host,
        .uuid = sim->guest[guest].uuid,
    };

    if (!st->there || !st->have_record || !st->record.pending_id || sim_job_find(sim, st->record.pending_id))
        return;
    ev.u.done.id = st->record.pending_id;
    ev.u.done.result = XHA_UNKNOWN;
    ev.u.done.domid = XHA_DOMID_NONE;
    sim->guest[guest].unknown_ms = sim->now_ms;
    sim_step(sim, &ev);
}

void sim_xhad_up(struct sim *sim)
{
    int rc;

    if (sim->core)
        return;
    for (unsigned i = 0; i < sim->n_guests; i++)
        if (sim->stored[i].have_record && sim->stored[i].record.pending_id >= sim->next_id)
            sim->next_id = sim->stored[i].record.pending_id + 1;
    rc = xha_core_new(&sim->settings, sim->next_id, &sim->core);
    if (rc) {
        sim_fail(sim, "xha_core_new: %s", xha_core_error_text(rc));
        return;
    }
    sim->life++;
    sim->up_since_ms = sim->now_ms;
    sim->tick_ms = INT64_MAX;
    for (unsigned h = 0; h < sim->n_hosts; h++) {
        sim->host[h].told_ms = -1;
        sim->host[h].due_ms = sim->now_ms;
    }
    if (sim->life > 1)
        sim_say(sim, "xhad", "is up");
    for (unsigned o = 1; o <= sim->protections; o++)
        for (unsigned i = 0; i < sim->n_guests; i++)
            if (sim->core && sim->stored[i].there && sim->stored[i].order == o)
                recall(sim, (int)i);
    for (unsigned i = 0; i < sim->n_guests; i++)
        if (sim->core)
            pending_resolve(sim, (int)i);
    sim_jobs_redeliver(sim);
}

/* As the daemon does when it finds another boot: domids and deeds of the boot before mean nothing now. */
void sim_host_reboot(struct sim *sim, int host, int64_t down_ms)
{
    sim_xhad_down(sim, down_ms);
    for (unsigned i = 0; i < sim->n_jobs; i++)
        if (sim->job[i].host == host)
            sim->job[i].used = false;
    for (unsigned i = 0; i < sim->n_insts; i++) {
        if (!sim->inst[i].there || sim->inst[i].host != host)
            continue;
        if (!sim->inst[i].shut && !sim->inst[i].dying)
            sim_rules_died(sim, &sim->inst[i], SIM_DEATH_CLEARED);
        sim->inst[i].there = false;
    }
    for (unsigned i = 0; i < sim->n_guests; i++) {
        struct xha_record *r = &sim->stored[i].record;

        if (sim->guest[i].host != host)
            continue;
        r->domid = XHA_DOMID_OLD;
        r->pending = XHA_ACT_NONE;
        r->pending_id = 0;
    }
    sim->host[host].next_domid = 1;
}

void sim_xhad_down(struct sim *sim, int64_t down_ms)
{
    if (!sim->core)
        return;
    sim_say(sim, "xhad", "is down");
    xha_core_free(sim->core);
    sim->core = NULL;
    sim->die_after = -1;
    sim_in(sim, down_ms, (struct sim_future){ .kind = SIM_F_XHAD_UP });
}

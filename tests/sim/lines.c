/*
 * lines.c - what each line of a script does to the world, to xhad, or asks of them.
 */
#include "tests/sim/sim.h"

#include <string.h>

/* ---- the guest's own doing ---- */

static void guest_flags(struct sim *sim, const struct sim_line *line, int i)
{
    struct sim_inst *inst = &sim->inst[i];

    sim_inst_before(sim, i);
    switch (line->verb) {
    case SIM_HANG:
        inst->hung = true;
        break;
    case SIM_WAKE:
        inst->hung = false;
        break;
    case SIM_BEATS_STOP:
        inst->mute = true;
        inst->io = false;
        break;
    case SIM_BEATS_RETURN:
        inst->mute = inst->junk = inst->dead = false;
        inst->io = true;
        break;
    case SIM_IO_FLOWS:
    case SIM_IO_STOPS:
        inst->io = line->verb == SIM_IO_FLOWS;
        break;
    case SIM_JUNK:
        inst->junk = true;
        break;
    case SIM_IDLE:
        inst->idle = true;
        inst->io = false;
        break;
    default:
        break;
    }
    sim_inst_after(sim, i);
}

static bool play_guest(struct sim *sim, const struct sim_line *line)
{
    int i = line->guest < 0 ? -1 : sim_inst_find(sim, line->guest, -1);
    struct sim_guest *g = &sim->guest[line->guest < 0 ? 0 : line->guest];
    uint8_t reason;

    switch (line->verb) {
    case SIM_CRASH:
        reason = XHA_SHUTDOWN_CRASH;
        break;
    case SIM_WATCHDOG:
        reason = XHA_SHUTDOWN_WATCHDOG;
        break;
    case SIM_POWEROFF:
        reason = XHA_SHUTDOWN_POWEROFF;
        break;
    case SIM_REBOOT:
        reason = XHA_SHUTDOWN_REBOOT;
        break;
    case SIM_SHUT_REASON:
        reason = (uint8_t)line->number;
        break;
    case SIM_BOOTS_IN:
        g->boot_ms = line->span_ms;
        return true;
    case SIM_BOOTS_DEAD:
        g->boots_dead = g->restores_dead = true;
        return true;
    case SIM_RESTORES_DEAD:
        g->restores_dead = true;
        return true;
    case SIM_BOOTS_WELL:
        g->boots_dead = g->restores_dead = false;
        return true;
    case SIM_STOP_IGNORE:
    case SIM_STOP_OBEY:
        g->ignores_stop = line->verb == SIM_STOP_IGNORE;
        return true;
    case SIM_STOP_TAKES:
        g->stop_ms = line->span_ms;
        return true;
    default:
        if (line->verb > SIM_IDLE)
            return false;
        if (i >= 0)
            guest_flags(sim, line, i);
        return true;
    }
    /* A guest acts only while its vCPUs run. */
    if (i >= 0 && !sim->inst[i].paused && !sim->inst[i].building)
        sim_inst_shut(sim, i, reason);
    return true;
}

/* ---- other toolstacks ------------------------------------------------------------------------------------
 */

static void somebody_creates(struct sim *sim, int guest, int host)
{
    int n = sim_inst_create(sim, guest, host, false);

    sim->inst[n].touched_ms = sim->now_ms;
    sim->guest[guest].wish = SIM_WISH_NONE; /* somebody wants otherwise now */
    sim_inst_unpause(sim, n);
    sim->guest[guest].no_claim = sim->guest[guest].order_open; /* who wins is not for the rules to say */
}

static bool play_somebody(struct sim *sim, const struct sim_line *line)
{
    int i = line->guest < 0 ? -1 : sim_inst_find(sim, line->guest, -1);
    struct sim_inst *inst = i < 0 ? NULL : &sim->inst[i];
    int host = inst ? inst->host : line->guest >= 0 ? sim->guest[line->guest].host : 0;

    if (line->verb < SIM_PAUSED || line->verb > SIM_DUPLICATE)
        return false;
    if (inst) {
        sim_inst_before(sim, i);
        inst->touched_ms = sim->now_ms;
    }
    switch (line->verb) {
    case SIM_PAUSED:
    case SIM_UNPAUSED:
        if (inst && !inst->building)
            inst->paused = line->verb == SIM_PAUSED;
        break;
    case SIM_SUSPENDED:
        if (inst && !inst->building && !inst->shut)
            sim_inst_shut(sim, i, XHA_SHUTDOWN_SUSPEND);
        break;
    case SIM_RESUMED:
        if (inst && inst->shut && inst->reason == XHA_SHUTDOWN_SUSPEND)
            inst->shut = false;
        break;
    case SIM_SB_DESTROYS:
        if (inst) {
            sim->guest[line->guest].swept = true;
            sim_inst_destroy(sim, i, SIM_DEATH_DESTROYED);
        }
        break;
    case SIM_SB_REBOOTS:
        if (inst) {
            sim_inst_destroy(sim, i, SIM_DEATH_DESTROYED);
            sim_in(sim, line->span_ms,
                   (struct sim_future){ .kind = SIM_F_RECREATE, .a = line->guest, .b = host });
        }
        break;
    case SIM_SB_STARTS:
        if (!inst)
            somebody_creates(sim, line->guest, line->host ? line->host : host);
        break;
    case SIM_DUPLICATE:
        somebody_creates(sim, line->guest, line->host ? line->host : host);
        sim->guest[line->guest].dup_seen = true;
        break;
    default:
        break;
    }
    if (inst)
        sim_inst_after(sim, i);
    return true;
}

/* ---- workers, checkpoints, the host ---- */

static void habit_set(struct sim *sim, const struct sim_line *line, enum xha_action_type type)
{
    struct sim_habit *habit = &sim->guest[line->guest].habit[type];

    switch (line->verb) {
    case SIM_W_TAKES:
        habit->takes_ms = line->span_ms;
        return;
    case SIM_W_FAILS:
    case SIM_W_FAILS_TIMES:
        habit->how = SIM_FAILS;
        break;
    case SIM_W_UNKNOWN:
    case SIM_W_UNKNOWN_TIMES:
        habit->how = SIM_UNKNOWN;
        break;
    default:
        habit->how = SIM_WELL;
        habit->takes_ms = sim_habit_default_ms(type);
        return;
    }
    habit->word = line->word2;
    habit->times =
        line->verb == SIM_W_FAILS_TIMES || line->verb == SIM_W_UNKNOWN_TIMES ? (int)line->number : 0;
}

static bool play_worker(struct sim *sim, const struct sim_line *line)
{
    struct sim_guest *g = &sim->guest[line->guest < 0 ? 0 : line->guest];

    switch (line->verb) {
    case SIM_W_KILLED:
        sim_job_kill(sim, line->guest);
        return true;
    case SIM_CP_CORRUPT:
        for (unsigned i = 0; i < g->n_cps && (int64_t)i < line->number; i++)
            g->cp[g->n_cps - 1 - i].corrupt = true;
        return true;
    case SIM_CP_GONE:
        g->n_cps = 0;
        return true;
    default:
        break;
    }
    if (line->verb < SIM_W_TAKES || line->verb > SIM_W_WELL)
        return false;
    for (int a = XHA_ACT_START; a <= XHA_ACT_SCHED; a++)
        if (!line->word || line->word == a)
            habit_set(sim, line, (enum xha_action_type)a);
    return true;
}

static bool play_host(struct sim *sim, const struct sim_line *line)
{
    struct sim_host *h = &sim->host[line->host];
    int64_t until = sim->now_ms + line->span_ms;

    if (line->verb == SIM_LISTINGS_LATE) {
        sim->listings_late_ms = line->span_ms;
        return true;
    }
    if (line->verb == SIM_HOST_REBOOTS) {
        sim_host_reboot(sim, line->host, line->span_ms);
        return true;
    }
    if (line->verb < SIM_STARVE || line->verb > SIM_SILENT)
        return false;
    sim_host_before(sim, line->host);
    if (h->starved_until <= sim->now_ms && h->xs_bad_until <= sim->now_ms)
        h->bad_from = sim->now_ms;
    switch (line->verb) {
    case SIM_STARVE:
        h->starved_until = until;
        break;
    case SIM_XS_FAILS:
        h->xs_bad_until = until;
        break;
    case SIM_XS_SLOW:
        h->xs_slow_until = until;
        break;
    default:
        h->silent_until = until;
        break;
    }
    sim_host_after(sim, line->host);
    sim_in(sim, line->span_ms, (struct sim_future){ .kind = SIM_F_HOST, .a = line->host });
    return true;
}

/* ---- xhad and its operators ---- */

static bool play_xhad(struct sim *sim, const struct sim_line *line)
{
    switch (line->verb) {
    case SIM_XHAD_RESTARTS:
        sim_xhad_down(sim, 500);
        return true;
    case SIM_XHAD_DOWN:
        sim_xhad_down(sim, line->span_ms);
        return true;
    case SIM_XHAD_DIES_AFTER:
        sim->die_after = line->number;
        sim->down_ms = 500;
        return true;
    default:
        return false;
    }
}

/* What was on its way goes on, perhaps with the very answer. */
static void maintenance_ends(struct sim *sim, int host)
{
    sim->host[host].maintenance = false;
    for (unsigned i = 0; i < sim->n_guests; i++)
        if (sim->guest[i].host == host && sim->guest[i].maintenance)
            sim->guest[i].order_open |= sim->guest[i].held_open;
}

static void order_give(struct sim *sim, const struct sim_line *line, enum xha_order_type type, bool host_wide)
{
    struct xha_event ev = { .type = XHA_EV_ORDER, .host = (uint8_t)line->host };
    struct sim_guest *g = host_wide ? NULL : &sim->guest[line->guest];
    bool was_open = g && g->order_open, was_unclear = g && g->unclear;
    int rc, may;

    ev.u.order.type = type;
    ev.u.order.checkpoint = (uint64_t)line->number;
    ev.now.ms = sim->now_ms;
    if (g)
        ev.uuid = g->uuid;
    if (!sim->core) {
        sim_say(sim, "xhad", "is down, and takes no orders");
        return;
    }
    may = xha_core_may(sim->core, &ev);
    if (g) {
        g->order_open = true; /* its deeds may come with the answer */
        g->order_ms = sim->now_ms;
        g->unclear = true;
    }
    if (host_wide && type == XHA_DO_MAINTENANCE_OFF)
        maintenance_ends(sim, line->host);
    rc = sim_step(sim, &ev);
    if (sim->core && rc != may)
        sim_fail(sim, "xha_core_may() says '%s' to %s, xha_core_step() '%s'", xha_core_error_text(may),
                 xha_do_name(type), xha_core_error_text(rc));
    if (g && sim->core)
        g->unclear = was_unclear;
    sim_rules_order(sim, host_wide ? -1 : line->guest, type, rc, was_open);
    for (unsigned i = 0; host_wide && !sim->core && i < sim->n_guests; i++)
        sim->guest[i].unclear |= sim->guest[i].host == line->host;
    if (host_wide && !rc) {
        sim->host[line->host].maintenance = type == XHA_DO_MAINTENANCE_ON;
        for (unsigned i = 0; i < sim->n_guests; i++)
            if (sim->guest[i].host == line->host)
                sim_rules_order(sim, (int)i, type, 0, sim->guest[i].order_open);
    }
}

static void unprotect(struct sim *sim, const struct sim_line *line)
{
    struct sim_guest *g = &sim->guest[line->guest];
    struct xha_event ev = { .type = XHA_EV_UNPROTECT, .host = (uint8_t)g->host, .uuid = g->uuid };
    int rc = sim_step(sim, &ev);

    if (!rc)
        g->protected_ = false;
    else if (!sim->core)
        g->unclear = true;
}

static void settings_change(struct sim *sim, const struct sim_line *line)
{
    struct xha_event ev = { .type = XHA_EV_SETTINGS };
    char err[200];

    if (sim_settings_apply(&sim->settings, line->text, err, sizeof(err))) {
        sim_fail(sim, "%s", err);
        return;
    }
    ev.u.settings = sim->settings;
    sim_step(sim, &ev);
}

static void policy_change(struct sim *sim, const struct sim_line *line)
{
    char err[200];
    struct xha_policy was = sim->guest[line->guest].policy;
    int i = sim_inst_find(sim, line->guest, -1), rc;

    if (sim_policy_apply(&sim->guest[line->guest].policy, line->text, err, sizeof(err)))
        sim_fail(sim, "%s", err);
    if (sim->stored[line->guest].there) {
        rc = sim_protect(sim, line->guest);
        if (rc && sim->core) /* refused: the old one stays */
            sim->guest[line->guest].policy = sim->stored[line->guest].policy = was;
    }
    if (i >= 0)
        sim_inst_after(sim, i);
}

static bool play_operator(struct sim *sim, const struct sim_line *line)
{
    static const struct {
        enum sim_verb verb;
        enum xha_order_type type;
        bool host_wide;
    } orders[] = {
        { SIM_OP_START, XHA_DO_START, false },
        { SIM_OP_STOP, XHA_DO_STOP, false },
        { SIM_OP_RESTART, XHA_DO_RESTART, false },
        { SIM_OP_CHECKPOINT, XHA_DO_CHECKPOINT, false },
        { SIM_OP_RESTORE, XHA_DO_RESTORE, false },
        { SIM_OP_RESTORE_FROM, XHA_DO_RESTORE, false },
        { SIM_OP_MAINT_ON, XHA_DO_MAINTENANCE_ON, false },
        { SIM_OP_MAINT_OFF, XHA_DO_MAINTENANCE_OFF, false },
        { SIM_OP_MAINT_HOST_ON, XHA_DO_MAINTENANCE_ON, true },
        { SIM_OP_MAINT_HOST_OFF, XHA_DO_MAINTENANCE_OFF, true },
        { SIM_OP_SCHED, XHA_DO_SCHED, false },
    };

    for (unsigned i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        if (orders[i].verb == line->verb) {
            order_give(sim, line, orders[i].type, orders[i].host_wide);
            return true;
        }
    }
    switch (line->verb) {
    case SIM_OP_PROTECT:
        if (sim->core)
            sim_protect(sim, line->guest);
        return true;
    case SIM_OP_UNPROTECT:
        unprotect(sim, line);
        return true;
    case SIM_SETTING:
        settings_change(sim, line);
        return true;
    case SIM_POLICY:
        policy_change(sim, line);
        return true;
    default:
        return false;
    }
}

/* ---- judgements ---- */

static void expect(struct sim *sim, const struct sim_line *line)
{
    char text[SIM_TEXT_MAX];
    struct xha_view view = { 0 };
    struct xha_host_view host = { 0 };
    const char *found = "";
    bool met = false;
    int lives = 0, i;

    sim_line_text(sim->script, line, text, sizeof(text));
    if (!sim->core) {
        sim_fail(sim, "%s:%u: %s: but xhad is down", sim->script->file, line->lineno, text);
        return;
    }
    switch (line->verb) {
    case SIM_EXPECT_STATE:
        met =
            !xha_core_find(sim->core, &sim->guest[line->guest].uuid, &view) && (int)view.state == line->word;
        found = view.name ? xha_state_name(view.state) : "not protected";
        break;
    case SIM_EXPECT_LIVES:
        for (unsigned n = 0; n < sim->n_insts; n++)
            lives += sim->inst[n].guest == line->guest && sim_inst_alive(&sim->inst[n]);
        met = lives == line->number;
        break;
    case SIM_EXPECT_BEATS:
        i = sim_inst_find(sim, line->guest, -1);
        met = i >= 0 && sim->inst[i].well_ms >= 0;
        break;
    default:
        xha_core_host(sim->core, (uint8_t)line->host, &host);
        met = host.ill == (line->verb == SIM_EXPECT_HOST_ILL);
        break;
    }
    if (!met)
        sim_fail(sim, "%s:%u: %s: not so%s%s", sim->script->file, line->lineno, text,
                 found[0] ? ", it is " : "", found);
}

void sim_line_play(struct sim *sim, const struct sim_line *line)
{
    char text[SIM_TEXT_MAX];

    if (line->verb >= SIM_EXPECT_LIVES) {
        expect(sim, line);
        return;
    }
    sim_say(sim, "*", "%s", sim_line_text(sim->script, line, text, sizeof(text)));
    if (!play_guest(sim, line) && !play_somebody(sim, line) && !play_worker(sim, line) &&
        !play_host(sim, line) && !play_xhad(sim, line) && !play_operator(sim, line))
        sim_fail(sim, "%s:%u: nobody plays this line", sim->script->file, line->lineno);
}

void sim_settle(struct sim *sim)
{
    sim->settling = true;
    sim->listings_late_ms = 0;
    sim->die_after = -1;
    for (unsigned h = 0; h < sim->n_hosts; h++) {
        struct sim_host *host = &sim->host[h];

        sim_host_before(sim, (int)h);
        host->starved_until = host->xs_bad_until = host->xs_slow_until = host->silent_until = sim->now_ms;
        sim_host_after(sim, (int)h);
    }
    for (unsigned i = 0; i < sim->n_guests; i++) {
        struct sim_guest *g = &sim->guest[i];

        g->boots_dead = g->restores_dead = g->ignores_stop = false;
        g->boot_ms = 5000;
        for (int a = 0; a < XHA_ACT_N_; a++)
            g->habit[a] = (struct sim_habit){ .takes_ms = sim_habit_default_ms((enum xha_action_type)a) };
    }
}

/*
 * play.c - plays a script: takes what happens next, and lets it happen.
 */
#include "tests/sim/sim.h"

#include <stdarg.h>
#include <string.h>

#define REST_LOOK_MS 5000
#define REST_MS      90000

void sim_fail(struct sim *sim, const char *fmt, ...)
{
    va_list ap;
    size_t used;

    if (sim->failed)
        return;
    sim->failed = true;
    used = (size_t)snprintf(sim->why, sizeof(sim->why), "at %lld.%03llds: ", (long long)(sim->now_ms / 1000),
                            (long long)(sim->now_ms % 1000));
    va_start(ap, fmt);
    vsnprintf(sim->why + used, sizeof(sim->why) - used, fmt, ap);
    va_end(ap);
}

int64_t sim_about(struct sim *sim, int64_t ms)
{
    if (!sim->jitter || ms <= 0)
        return ms;
    return sim_rng_range(&sim->rng, ms / 2, 2 * ms);
}

void sim_in(struct sim *sim, int64_t ms, struct sim_future what)
{
    what.at_ms = sim->now_ms + ms;
    sim_future_put(&sim->futures, &what);
}

static void inst_future(struct sim *sim, const struct sim_future *f)
{
    struct sim_inst *inst = &sim->inst[f->a];

    if (!inst->there || inst->serial != f->serial)
        return;
    if (f->kind == SIM_F_GONE)
        sim_inst_gone(sim, f->a);
    else if (f->kind == SIM_F_BOOTED && !inst->booted && sim_inst_alive(inst) && !inst->hung)
        sim_inst_booted(sim, f->a);
    else if (f->kind == SIM_F_OBEYS && !inst->hung && !inst->paused)
        sim_inst_shut(sim, f->a, XHA_SHUTDOWN_POWEROFF);
}

/* Everybody has rested for longer than a beat takes to be late: the rest of the time would tell nothing new.
 */
static void rest_look(struct sim *sim)
{
    if (!sim_rules_rest(sim))
        sim->rest_since = -1;
    else if (sim->rest_since < 0)
        sim->rest_since = sim->now_ms;
    else if (sim->now_ms - sim->rest_since >= REST_MS)
        sim->end_ms = sim->now_ms;
    sim_in(sim, REST_LOOK_MS, (struct sim_future){ .kind = SIM_F_REST });
}

static void happen(struct sim *sim, struct sim_future *f)
{
    int i;

    switch (f->kind) {
    case SIM_F_LINE:
        sim_line_play(sim, &sim->script->line[f->a]);
        break;
    case SIM_F_BOOTED:
    case SIM_F_OBEYS:
    case SIM_F_GONE:
        inst_future(sim, f);
        break;
    case SIM_F_RECREATE:
        if (sim_inst_find(sim, f->a, f->b) < 0) {
            sim->guest[f->a].wish = SIM_WISH_NONE; /* somebody wants otherwise now */
            i = sim_inst_create(sim, f->a, f->b, false);
            sim_inst_unpause(sim, i);
            sim->guest[f->a].no_claim = sim->guest[f->a].order_open;
        }
        break;
    case SIM_F_HOST:
        sim_host_before(sim, f->a);
        sim_host_after(sim, f->a);
        break;
    case SIM_F_ROUND:
        sim_round(sim, f->a);
        break;
    case SIM_F_LISTING:
        sim_listing(sim, f);
        break;
    case SIM_F_DELIVER:
        sim_deliver(sim, f);
        break;
    case SIM_F_PROBE:
        sim_probe_answer(sim, f);
        break;
    case SIM_F_JOB:
        sim_job_phase(sim, f);
        break;
    case SIM_F_XHAD_UP:
        sim_xhad_up(sim);
        break;
    case SIM_F_SETTLE:
        sim_settle(sim);
        sim->rest_since = -1;
        sim_in(sim, REST_LOOK_MS, (struct sim_future){ .kind = SIM_F_REST });
        break;
    case SIM_F_REST:
        rest_look(sim);
        break;
    }
}

static void begin(struct sim *sim)
{
    const struct sim_script *script = sim->script;

    sim->settings = script->settings;
    sim->jitter = script->jitter != 0;
    sim->rng.s = script->jitter;
    sim->next_id = 1;
    sim->die_after = -1;
    sim->end_ms = script->end_ms;
    sim_world_init(sim);
    for (unsigned i = 0; i < script->n_lines; i++)
        if (script->line[i].at_ms != SIM_AT_END)
            sim_in(sim, script->line[i].at_ms, (struct sim_future){ .kind = SIM_F_LINE, .a = (int)i });
    if (script->settle) {
        sim_in(sim, script->end_ms, (struct sim_future){ .kind = SIM_F_SETTLE });
        sim->end_ms += sim_rules_bound_ms(sim);
    }
    for (unsigned h = 0; h < sim->n_hosts; h++)
        sim_in(sim, 100, (struct sim_future){ .kind = SIM_F_ROUND, .a = (int)h });
    sim_xhad_up(sim);
    for (unsigned i = 0; i < sim->n_guests && !sim->failed; i++)
        if (!script->guest[i].later)
            sim_protect(sim, (int)i);
}

int sim_play(struct sim *sim, const struct sim_script *script)
{
    sim->script = script;
    begin(sim);
    while (!sim->failed) {
        int64_t at = INT64_MAX;
        bool tick;

        sim_future_peek(&sim->futures, &at);
        tick = sim->core && sim->tick_ms < at;
        if (tick)
            at = sim->tick_ms;
        if (at > sim->end_ms)
            break;
        if (at > sim->now_ms)
            sim->now_ms = at;
        if (tick) {
            struct xha_event ev = { .type = XHA_EV_TICK };

            sim_step(sim, &ev);
        } else {
            struct sim_future f = sim_future_take(&sim->futures);

            happen(sim, &f);
        }
    }
    if (!sim->failed)
        sim->now_ms = sim->end_ms;
    for (unsigned i = 0; i < script->n_lines && !sim->failed; i++)
        if (script->line[i].at_ms == SIM_AT_END)
            sim_line_play(sim, &script->line[i]);
    if (!sim->failed)
        sim_rules_end(sim);
    sim_say_end(sim);
    if (sim->cover)
        sim->cover->virtual_ms += (uint64_t)sim->now_ms;
    return sim->failed ? -1 : 0;
}

void sim_free(struct sim *sim)
{
    if (sim->core)
        xha_core_free(sim->core);
    sim_future_free(&sim->futures);
    memset(sim, 0, sizeof(*sim));
}

/*
 * play.c - plays a script: takes the next thing that is to happen, until the end; then everybody must come
 * to rest.
 */
#include "tests/csim/csim.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define REST_LOOK_MS 2000
#define REST_MS      10000

void csim_fail(struct csim *cs, const char *fmt, ...)
{
    va_list ap;
    size_t used;

    if (cs->failed)
        return;
    cs->failed = true;
    used = (size_t)snprintf(cs->why, sizeof(cs->why), "at %lld.%03llds: ", (long long)(cs->now_ms / 1000),
                            (long long)(cs->now_ms % 1000));
    va_start(ap, fmt);
    vsnprintf(cs->why + used, sizeof(cs->why) - used, fmt, ap);
    va_end(ap);
}

int64_t csim_about(struct csim *cs, int64_t ms)
{
    if (!cs->jitter || ms <= 0)
        return ms;
    return sim_rng_range(&cs->rng, ms / 2, 2 * ms);
}

int64_t csim_some(struct csim *cs, int64_t low, int64_t high)
{
    return cs->jitter && high > low ? sim_rng_range(&cs->rng, low, high) : 0;
}

bool csim_chance(struct csim *cs, unsigned percent)
{
    return cs->jitter && sim_rng_chance(&cs->rng, percent);
}

void csim_in(struct csim *cs, int64_t ms, struct sim_future what)
{
    what.at_ms = cs->now_ms + (ms > 0 ? ms : 0);
    sim_future_put(&cs->futures, &what);
}

struct csim_blob *csim_blob_new(const uint8_t *bytes, size_t len)
{
    struct csim_blob *blob = malloc(sizeof(*blob) + len);

    if (!blob)
        abort();
    blob->refs = 1;
    blob->len = len;
    memcpy(blob->bytes, bytes, len);
    return blob;
}

struct csim_blob *csim_blob_ref(struct csim_blob *blob)
{
    blob->refs++;
    return blob;
}

void csim_blob_unref(struct csim_blob *blob)
{
    if (blob && !--blob->refs)
        free(blob);
}

/* Everybody has rested for a while: the rest of the time would tell nothing new. */
static void rest_look(struct csim *cs)
{
    char why[300];

    if (!csim_rules_rest(cs, why, sizeof(why))) {
        if (cs->verbose)
            csim_say(cs, "-", "no rest yet: %s", why);
        cs->rest_since = -1;
    } else if (cs->rest_since < 0)
        cs->rest_since = cs->now_ms;
    else if (cs->now_ms - cs->rest_since >= REST_MS) {
        cs->end_ms = cs->now_ms;
        cs->rested = true;
    }
    if (cs->cover && cs->rest_since == cs->now_ms) {
        uint64_t permille = (uint64_t)((cs->now_ms - cs->settle_ms) * 1000 / csim_rules_bound_ms(cs));

        if (permille > cs->cover->settled_permille)
            cs->cover->settled_permille = permille;
    }
    csim_in(cs, REST_LOOK_MS, (struct sim_future){ .kind = (enum sim_future_kind)CSIM_F_REST });
}

static void round_due(struct csim *cs, const struct sim_future *f)
{
    int64_t next = cs->settings.round_interval.ms;

    if (cs->host[f->a].power)
        csim_round(cs, f->a, true);
    csim_in(cs, next + csim_some(cs, 0, next / 20), *f);
}

static void listing_due(struct csim *cs, const struct sim_future *f)
{
    struct csim_host *host = &cs->host[f->a];

    if (f->serial != host->boot)
        return;
    if (csim_host_still(cs, f->a)) {
        if (host->power)
            csim_in(cs, host->go_ms - cs->now_ms, *f);
        return;
    }
    host->listing_due = false;
    csim_round(cs, f->a, false);
}

static void host_future(struct csim *cs, const struct sim_future *f)
{
    struct csim_host *host = &cs->host[f->a];

    switch ((enum csim_future_kind)f->kind) {
    case CSIM_F_GO:
        csim_host_go(cs, f->a);
        csim_net_kick(cs, f->a);
        break;
    case CSIM_F_POWER:
        if (f->serial == host->boot && host->listed)
            csim_host_power_on(cs, f->a);
        break;
    case CSIM_F_CORO_UP:
        if (f->serial != host->boot || !host->power || host->coro || host->left)
            break;
        csim_net_start(cs, f->a);
        csim_xhad_down(cs, f->a, -1, false); /* it has lost its engine: it begins anew */
        csim_in(cs, csim_about(cs, 500),
                (struct sim_future){
                    .kind = (enum sim_future_kind)CSIM_F_XHAD_UP, .a = f->a, .serial = host->boot });
        break;
    case CSIM_F_XHAD_UP:
        if (f->serial != host->boot || !host->power)
            break;
        if (csim_host_still(cs, f->a))
            csim_in(cs, host->go_ms - cs->now_ms + 1, *f);
        else
            csim_xhad_up(cs, f->a);
        break;
    case CSIM_F_XHAD_DIES:
        if (f->serial != host->life || !host->leaving)
            break;
        host->leaving = false;
        host->listed = false;
        host->wd_armed = false;
        csim_xhad_down(cs, f->a, -1, false);
        csim_net_stop(cs, f->a);
        break;
    case CSIM_F_POKE:
        if (host->node && f->serial == host->life)
            csim_poke(cs, f->a);
        break;
    default:
        break;
    }
}

static void happen(struct csim *cs, const struct sim_future *f)
{
    switch ((enum csim_future_kind)f->kind) {
    case CSIM_F_LINE:
        csim_line_play(cs, &cs->script->line[f->a]);
        break;
    case CSIM_F_REFORM:
        csim_net_reform(cs, f);
        break;
    case CSIM_F_ORDER:
        csim_net_order(cs, f->a);
        break;
    case CSIM_F_DELIVER:
        csim_net_deliver(cs, f->a);
        break;
    case CSIM_F_QUORUM:
        csim_net_quorum(cs, f);
        break;
    case CSIM_F_VOTES:
        csim_net_votes(cs);
        break;
    case CSIM_F_DISK:
        csim_disk_done(cs, f);
        break;
    case CSIM_F_WATCHDOG:
        csim_host_watchdog(cs, f);
        break;
    case CSIM_F_FENCE:
        csim_fence_done(cs, f);
        break;
    case CSIM_F_FENCED:
        csim_fence_told(cs, f);
        break;
    case CSIM_F_ROUND:
        round_due(cs, f);
        break;
    case CSIM_F_LISTING:
        listing_due(cs, f);
        break;
    case CSIM_F_PROBE:
        csim_probe_answer(cs, f);
        break;
    case CSIM_F_TEXTS:
        csim_texts(cs, f);
        break;
    case CSIM_F_JOB:
        csim_job_phase(cs, f);
        break;
    case CSIM_F_BOOTED:
    case CSIM_F_OBEYS:
    case CSIM_F_GONE:
        csim_inst_future(cs, f);
        break;
    case CSIM_F_SETTLED_STOP:
        csim_rules_stop_known(cs, f);
        break;
    case CSIM_F_SETUP:
        csim_begin_requests(cs);
        break;
    case CSIM_F_SETTLE:
        csim_settle(cs);
        cs->rest_since = -1;
        csim_in(cs, REST_LOOK_MS, (struct sim_future){ .kind = (enum sim_future_kind)CSIM_F_REST });
        break;
    case CSIM_F_REST:
        rest_look(cs);
        break;
    default:
        host_future(cs, f);
        break;
    }
}

static void hosts_begin(struct csim *cs)
{
    uint64_t least = UINT64_MAX, guests = 0;

    cs->n_hosts = cs->script->n_hosts;
    for (unsigned h = 0; h < cs->n_hosts; h++) {
        struct csim_host *host = &cs->host[h];
        const struct csim_host_def *def = &cs->script->host[h];

        snprintf(host->name, sizeof(host->name), "h%u", h + 1);
        host->listed = !def->absent;
        host->ppm = def->drift_ppm;
        host->skew_ms = 1000000 + csim_some(cs, 0, 5000000);
        host->fence_ms = 2000;
        host->ring = -1;
        host->off_ms = 0;
        host->die_after = host->deliver_due_ms = host->order_due_ms = -1;
        host->trouble_ms = host->away_ms = host->unquorate_ms = -1000000;
        host->next_id = 1;
        cs->tick_ms[h] = CSIM_NEVER;
        least = def->memory_kib < least ? def->memory_kib : least;
        if (!def->absent)
            csim_host_power_on(cs, (int)h);
        csim_in(cs, csim_some(cs, 0, 1000),
                (struct sim_future){ .kind = (enum sim_future_kind)CSIM_F_ROUND, .a = (int)h });
    }
    for (unsigned g = 0; g < cs->script->n_guests; g++)
        guests += cs->script->guest[g].policy.memory_kib *
                  (cs->script->guest[g].policy.protection == XHA_PROT_REPLICATE ? 2 : 1);
    cs->tight = guests > least;
}

static void begin(struct csim *cs)
{
    const struct csim_script *script = cs->script;

    cs->settings = script->settings;
    cs->settings.max_domains = script->n_guests + 4;
    cs->timing = script->cluster.timing;
    xha_timing_defaults(&cs->wish);
    cs->jitter = script->jitter != 0;
    cs->rng.s = script->jitter;
    cs->end_ms = script->end_ms;
    cs->may_arm = script->armed;
    for (unsigned i = 0; i < script->n_lines; i++) {
        cs->may_arm |= script->line[i].verb == CSIM_OP_ARM;
        if (script->line[i].at_ms != SIM_AT_END)
            csim_in(cs, script->line[i].at_ms,
                    (struct sim_future){ .kind = (enum sim_future_kind)CSIM_F_LINE, .a = (int)i });
    }
    hosts_begin(cs);
    csim_guests_init(cs);
    csim_in(cs, 1000, (struct sim_future){ .kind = (enum sim_future_kind)CSIM_F_SETUP });
    if (script->settle) {
        csim_in(cs, script->end_ms, (struct sim_future){ .kind = (enum sim_future_kind)CSIM_F_SETTLE });
        cs->end_ms += csim_rules_bound_ms(cs);
    }
}

/* The host whose node wants a TICK next, or -1. */
static int tick_next(const struct csim *cs, int64_t *at_r)
{
    int host = -1;

    for (unsigned h = 0; h < cs->n_hosts; h++) {
        const struct csim_host *o = &cs->host[h];
        int64_t at = cs->tick_ms[h], wait;

        if (at == CSIM_NEVER || !o->node)
            continue;
        wait = csim_host_still(cs, (int)h) && o->go_ms > o->xhad_go_ms ? o->go_ms : o->xhad_go_ms;
        at = at < wait ? wait : at;
        if (at < *at_r) {
            *at_r = at;
            host = (int)h;
        }
    }
    return host;
}

int csim_play(struct csim *cs, const struct csim_script *script)
{
    cs->script = script;
    begin(cs);
    while (!cs->failed) {
        int64_t at = INT64_MAX;
        int host;

        sim_future_peek(&cs->futures, &at);
        host = tick_next(cs, &at);
        if (at > cs->end_ms)
            break;
        if (at > cs->now_ms)
            cs->now_ms = at;
        if (host >= 0) {
            csim_tick(cs, host);
        } else {
            struct sim_future f = sim_future_take(&cs->futures);

            happen(cs, &f);
        }
    }
    if (!cs->failed)
        cs->now_ms = cs->end_ms;
    for (unsigned i = 0; i < script->n_lines && !cs->failed; i++)
        if (script->line[i].at_ms == SIM_AT_END)
            csim_line_play(cs, &script->line[i]);
    if (!cs->failed)
        csim_rules_end(cs);
    csim_say_end(cs);
    if (cs->cover)
        cs->cover->virtual_ms += (uint64_t)cs->now_ms;
    return cs->failed ? -1 : 0;
}

void csim_free(struct csim *cs)
{
    for (unsigned h = 0; h < cs->n_hosts; h++) {
        if (cs->host[h].node)
            xha_node_free(cs->host[h].node);
        csim_disk_free(&cs->host[h].disk);
    }
    csim_net_free(cs);
    sim_future_free(&cs->futures);
}

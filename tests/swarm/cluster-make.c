/*
 * cluster-make.c - random scripts of clusters: hosts, domains and their policies, and what befalls them.
 *
 * Times are short and close together, so that things happen at once and race. A seed has its own taste: only
 * some kinds of trouble appear in it, each with its own weight (Groce et al., Swarm testing, 2012). One seed
 * in eight is calm: one failure in a world that is well, for which the printed bounds are measured.
 */
#include "tests/swarm/cluster.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define BEGIN_MS 25000 /* by then the cluster is up and its domains run */

struct making {
    struct sim_rng rng, repl_rng; /* the latter for replication alone */
    bool repl;
    struct csim_script *script;
    unsigned weight[CSIM_VERB_N_];
    unsigned total;
};

static int64_t pick(struct making *m, int64_t low, int64_t high)
{
    return sim_rng_range(&m->rng, low, high);
}

static bool chance(struct making *m, unsigned percent)
{
    return sim_rng_chance(&m->rng, percent);
}

static void __attribute__((format(printf, 3, 4))) add_key(char *text, size_t len, const char *fmt, ...)
{
    size_t used = strlen(text);
    va_list ap;

    if (used && used + 1 < len) {
        text[used++] = ' ';
        text[used] = '\0';
    }
    va_start(ap, fmt);
    vsnprintf(text + used, len - used, fmt, ap);
    va_end(ap);
}

static void hosts_make(struct making *m, unsigned hosts)
{
    struct csim_script *s = m->script;
    bool weak = chance(m, 30), drift = chance(m, 50);

    if (!hosts)
        hosts = (unsigned)(chance(m, 85) ? pick(m, 2, 5) : chance(m, 96) ? pick(m, 6, 9) : pick(m, 10, 64));
    s->n_hosts = hosts;
    s->votes = hosts == 2   ? (chance(m, 70) ? CSIM_TWO_NODE : CSIM_QDEVICE)
               : hosts == 4 ? (chance(m, 40) ? CSIM_QDEVICE : CSIM_MAJORITY)
                            : CSIM_MAJORITY;
    s->armed = chance(m, 60);
    for (unsigned h = 0; h < hosts; h++) {
        struct csim_host_def *def = &s->host[h];

        if (drift)
            def->drift_ppm = (int32_t)pick(m, -9900, 9900);
        def->no_watchdog = weak && chance(m, 20);
        def->no_fence = weak && chance(m, 40);
        def->fence_off = chance(m, 10);
        if (h >= 3 && chance(m, 5))
            def->absent = true;
    }
}

static void policy_make(struct making *m, char *text, size_t len)
{
    text[0] = '\0';
    add_key(text, len, "max_restarts=16 restart_window=60s backoff_max=%ds", (int)pick(m, 5, 20));
    if (chance(m, 20))
        add_key(text, len, "protection=checkpoint checkpoint_interval=%ds", (int)pick(m, 10, 60));
    if (chance(m, 15))
        add_key(text, len, "heartbeat=none");
    if (chance(m, 10))
        add_key(text, len, "autostart=false");
    if (chance(m, 30))
        add_key(text, len, "priority=%d", (int)pick(m, 0, 10) * 100);
    if (chance(m, 20))
        add_key(text, len, "start_order=%d ready_cap=%ds", (int)pick(m, 0, 2), (int)pick(m, 5, 30));
    if (chance(m, 60))
        add_key(text, len, "boot_grace=%ds", (int)pick(m, 20, 60));
    if (chance(m, 50))
        add_key(text, len, "start_timeout=%ds", (int)pick(m, 10, 60));
    if (chance(m, 50))
        add_key(text, len, "stop_timeout=%ds", (int)pick(m, 2, 20));
    if (chance(m, 10))
        add_key(text, len, "relocate=false");
    if (chance(m, 15))
        add_key(text, len, "failback=true");
    if (chance(m, 15))
        add_key(text, len, "prefer=h%d", (int)pick(m, 1, m->script->n_hosts));
    if (chance(m, 10))
        add_key(text, len, "migrate=%s", xha_move_mode_name((enum xha_move_mode)pick(m, 0, 3)));
    if (chance(m, 10))
        add_key(text, len, "anti_affinity=spread");
}

/* Some of the seeds replicate some or all of their domains. */
static void replicate_make(struct making *m, char *text, size_t len)
{
    if (m->repl && sim_rng_chance(&m->repl_rng, 60))
        add_key(text, len, "protection=replicate");
}

static void guests_make(struct making *m)
{
    unsigned n =
        (unsigned)(chance(m, 70) || m->script->calm ? pick(m, 1, 4)
                                                    : pick(m, 1, 16)); /* calm: none waits its turn */
    char err[200];

    for (unsigned i = 0; i < n; i++) {
        struct csim_guest_def *g = &m->script->guest[m->script->n_guests++];

        csim_guest_default(g);
        snprintf(g->name, sizeof(g->name), "g%u", i + 1);
        if (m->script->calm)
            snprintf(g->policy_text, sizeof(g->policy_text), "max_restarts=16");
        else
            policy_make(m, g->policy_text, sizeof(g->policy_text));
        replicate_make(m, g->policy_text, sizeof(g->policy_text));
        if (csim_guest_apply(g, g->policy_text, err, sizeof(err)))
            abort();
        do
            g->host = (int)pick(m, 0, m->script->n_hosts - 1);
        while (m->script->host[g->host].absent);
        g->running = chance(m, 40);
        g->later = !m->script->calm && chance(m, 5);
    }
}

/* How often each kind of line appears, before the seed's own taste. 0: never in the swarm. */
static const unsigned base_weight[CSIM_EXPECT_RUNS_ON] = {
    [CSIM_NET_SPLIT] = 10,      [CSIM_NET_CUT] = 5,        [CSIM_NET_ONEWAY] = 4,
    [CSIM_NET_HEAL] = 14,       [CSIM_NET_SLOW] = 3,       [CSIM_H_POWER_FOR] = 10,
    [CSIM_H_POWER] = 6,         [CSIM_H_BOOT] = 8,         [CSIM_H_HANG] = 8,
    [CSIM_H_FREEZE] = 5,        [CSIM_H_DISK] = 4,         [CSIM_H_JOIN] = 3,
    [CSIM_C_DOWN] = 4,          [CSIM_X_DIES_AFTER] = 10,  [CSIM_X_DOWN] = 10,
    [CSIM_X_STOPS] = 6,         [CSIM_F_FAILS_TIMES] = 5,  [CSIM_F_FAILS] = 3,
    [CSIM_F_WORKS] = 4,         [CSIM_F_TAKES] = 4,        [CSIM_F_SILENT] = 1,
    [CSIM_G_CRASH] = 6,         [CSIM_G_POWEROFF] = 6,     [CSIM_G_REBOOT] = 3,
    [CSIM_G_HANG] = 3,          [CSIM_G_BOOTS_DEAD] = 1,   [CSIM_G_BOOTS_WELL] = 2,
    [CSIM_W_TAKES] = 6,         [CSIM_W_FAILS_TIMES] = 6,  [CSIM_W_UNKNOWN_TIMES] = 8,
    [CSIM_W_KILLED] = 6,        [CSIM_W_STALLS] = 6,       [CSIM_STREAM_CUT] = 4,
    [CSIM_OP_PROTECT] = 2,      [CSIM_OP_UNPROTECT] = 1,   [CSIM_OP_START] = 5,
    [CSIM_OP_STOP] = 5,         [CSIM_OP_RESTART] = 3,     [CSIM_OP_MIGRATE] = 10,
    [CSIM_OP_MIGRATE_MODE] = 6, [CSIM_OP_MIGRATE_ANY] = 4, [CSIM_OP_ABORT] = 4,
    [CSIM_OP_MAINT_ON] = 4,     [CSIM_OP_MAINT_OFF] = 4,   [CSIM_OP_CONFIRM] = 4,
    [CSIM_OP_ARM] = 1,          [CSIM_OP_DISARM] = 1,      [CSIM_OP_LEAVE] = 1,
    [CSIM_OP_FORGET] = 1,
};

static void taste_make(struct making *m)
{
    for (int v = 0; v < CSIM_W_SENDER_DIES; v++) {
        m->weight[v] = chance(m, 60) ? 0 : base_weight[v] * (unsigned)pick(m, 1, 4);
        m->total += m->weight[v];
    }
    for (int v = CSIM_W_SENDER_DIES; m->repl && v < CSIM_EXPECT_RUNS_ON; v++) {
        m->weight[v] = sim_rng_chance(&m->repl_rng, 40) ? 0 : 8 * (unsigned)sim_rng_range(&m->repl_rng, 1, 3);
        m->total += m->weight[v];
    }
    if (m->repl && sim_rng_chance(&m->repl_rng, 50)) { /* steps that take long are hit more often */
        m->weight[CSIM_W_TAKES] += 16;
        m->total += 16;
    }
    if (m->weight[CSIM_OP_MIGRATE] || !m->total) {
        m->weight[CSIM_H_POWER_FOR] += 8;
        m->total += 8;
    }
}

/* An owner's host fails while xhad is away on its backup's: it takes two that fit. */
static void both_make(struct making *m, int64_t at_ms)
{
    struct csim_line down = { .verb = CSIM_X_DOWN, .lineno = 2000, .at_ms = at_ms };
    struct csim_line cut = { .verb = CSIM_H_POWER_FOR, .lineno = 2001 };

    down.host = (int)sim_rng_range(&m->repl_rng, 0, m->script->n_hosts - 1);
    down.span_ms = sim_rng_range(&m->repl_rng, 20, 600) * 100;
    cut.host = (int)sim_rng_range(&m->repl_rng, 0, m->script->n_hosts - 2);
    cut.host += cut.host >= down.host;
    cut.at_ms = at_ms + sim_rng_range(&m->repl_rng, 0, 30) * 100;
    cut.span_ms = sim_rng_range(&m->repl_rng, 5, 60) * 1000;
    csim_script_add(m->script, &down);
    csim_script_add(m->script, &cut);
}

static enum csim_verb verb_pick(struct making *m)
{
    unsigned at = (unsigned)pick(m, 0, m->total - 1);
    int v = 0;

    while (at >= m->weight[v])
        at -= m->weight[v++];
    return (enum csim_verb)v;
}

static void parts_make(struct making *m, struct csim_line *line)
{
    unsigned parts = chance(m, 85) ? 2 : 3;

    for (unsigned h = 0; h < m->script->n_hosts; h++)
        line->group[pick(m, 0, parts - 1)] |= CSIM_BIT(h);
    /* Each part that is named has somebody in it, and the first ones are. */
    for (unsigned g = 0; g + 1 < CSIM_GROUPS_MAX; g++)
        if (!line->group[g])
            for (unsigned k = g + 1; k < CSIM_GROUPS_MAX && !line->group[g]; k++) {
                line->group[g] = line->group[k];
                line->group[k] = 0;
            }
    if (!line->group[1]) {
        line->group[1] = line->group[0] & -line->group[0];
        line->group[0] &= ~line->group[1];
    }
}

static void line_fill(struct making *m, struct csim_line *line)
{
    unsigned n = m->script->n_hosts;

    line->verb = verb_pick(m);
    line->guest = (int)pick(m, 0, m->script->n_guests - 1);
    line->host = (int)pick(m, 0, n - 1);
    line->host2 = (int)pick(m, 0, n - 2);
    line->host2 += line->host2 >= line->host;
    line->word = chance(m, 15) ? 0 : (int)pick(m, XHA_ACT_START, XHA_ACT_SCHED);
    if (chance(m, 25))
        line->word = chance(m, 50) ? XHA_ACT_MIGRATE : XHA_ACT_RECEIVE;
    if (m->repl && sim_rng_chance(&m->repl_rng, 40))
        line->word = (int)sim_rng_range(&m->repl_rng, XHA_ACT_REPLICATE, XHA_ACT_GATE_OPEN);
    line->number = pick(m, 1, 3);
    line->span_ms = chance(m, 50) ? pick(m, 1, 40) * 100 : pick(m, 1, 60) * 1000;
    switch (line->verb) {
    case CSIM_NET_SPLIT:
        parts_make(m, line);
        break;
    case CSIM_NET_SLOW:
        line->span_ms = chance(m, 40) ? 0 : pick(m, 1, 30) * 10;
        break;
    case CSIM_H_DISK:
        line->span_ms = chance(m, 30) ? 0 : pick(m, 1, 60) * 50;
        break;
    case CSIM_X_DIES_AFTER:
        line->number = pick(m, 0, 25);
        break;
    case CSIM_X_DOWN:
        line->span_ms = chance(m, 70) ? pick(m, 2, 30) * 100 : line->span_ms;
        break;
    case CSIM_W_FAILS_TIMES:
        line->word2 = (int)pick(m, 0, XHA_REFUSAL_N_ - 1);
        if (line->word2 == XHA_REFUSAL_RUNS_ALREADY || line->word2 == XHA_REFUSAL_NO_CHECKPOINT)
            line->word2 = XHA_REFUSAL_OTHER; /* the world says these when they are true */
        break;
    case CSIM_W_UNKNOWN_TIMES:
        line->word2 = (int)pick(m, 0, SIM_EFFECT_N_ - 1);
        break;
    case CSIM_OP_MIGRATE_MODE:
        line->word = (int)pick(m, 0, XHA_MOVE_MODE_N_ - 1);
        break;
    case CSIM_OP_MAINT_ON:
    case CSIM_OP_MAINT_OFF:
        if (chance(m, 40))
            line->host2 = line->host;
        break;
    case CSIM_H_JOIN:
        for (unsigned h = 0; h < n; h++)
            if (m->script->host[h].absent)
                line->host = (int)h;
        break;
    default:
        break;
    }
}

/* What is begun without an end is ended by a line of its own, mostly. */
static void end_make(struct making *m, const struct csim_line *line, int64_t *end_r)
{
    struct csim_line end = *line;

    switch (line->verb) {
    case CSIM_NET_SPLIT:
    case CSIM_NET_CUT:
    case CSIM_NET_ONEWAY:
        end.verb = CSIM_NET_HEAL;
        break;
    case CSIM_H_POWER:
        end.verb = CSIM_H_BOOT;
        break;
    default:
        return;
    }
    if (chance(m, 40))
        return;
    end.lineno += 1000;
    end.at_ms += chance(m, 40) ? pick(m, 1, 40) * 100 : pick(m, 4, 90) * 1000;
    memset(end.group, 0, sizeof(end.group));
    csim_script_add(m->script, &end);
    if (end.at_ms > *end_r)
        *end_r = end.at_ms;
}

static void calm_make(struct making *m)
{
    struct csim_line line = { .lineno = 1, .guest = 0, .host = (int)pick(m, 0, m->script->n_hosts - 1) };
    static const enum csim_verb verbs[] = { CSIM_H_POWER, CSIM_H_POWER, CSIM_H_HANG, CSIM_NET_SPLIT };

    line.at_ms = 90000 + pick(m, 0, 20000);
    line.verb = verbs[pick(m, 0, 3)];
    line.span_ms = 600000;
    if (line.verb == CSIM_NET_SPLIT) {
        line.group[0] = CSIM_BIT(line.host);
        for (unsigned h = 0; h < m->script->n_hosts; h++)
            if ((int)h != line.host)
                line.group[1] |= CSIM_BIT(h);
    }
    for (unsigned h = 0; h < m->script->n_hosts; h++) {
        m->script->host[h].no_watchdog = m->script->host[h].absent = false;
        m->script->host[h].no_fence = chance(m, 40);
    }
    m->script->armed = true;
    csim_script_add(m->script, &line);
    m->script->end_ms = line.at_ms + 120000;
}

static void trouble_make(struct making *m)
{
    unsigned n = (unsigned)pick(m, 1, chance(m, 60) ? 12 : 50);
    int64_t gap = pick(m, 1, 12) * 1000, at = BEGIN_MS, end;

    if (chance(m, 20))
        at = pick(m, 0, BEGIN_MS); /* into the cluster's beginning */
    end = at;
    for (unsigned i = 0; i < n; i++) {
        struct csim_line line = { .lineno = i + 1 };

        /* Bursts: a third of the lines come right after the one before. */
        at += chance(m, 35) ? pick(m, 0, 400) : pick(m, 0, 2 * gap);
        line.at_ms = at;
        line_fill(m, &line);
        csim_script_add(m->script, &line);
        end_make(m, &line, &end);
        if (m->repl && sim_rng_chance(&m->repl_rng, 5))
            both_make(m, at);
    }
    m->script->end_ms = (at > end ? at : end) + pick(m, 1, 30) * 1000;
}

void cswarm_make(uint64_t seed, unsigned hosts, struct csim_script *script_r)
{
    struct making m = { .rng = { seed * 0x2545f4914f6cdd1dULL + 1 },
                        .repl_rng = { seed * 0x9e3779b97f4a7c15ULL + 7 },
                        .script = script_r };
    char err[200];

    csim_script_init(script_r, "swarm");
    script_r->jitter = seed + 1;
    m.repl = seed % 8 && sim_rng_chance(&m.repl_rng, 40);
    script_r->calm = seed % 8 == 0;
    script_r->settle = chance(&m, 75) ? CSIM_SETTLE_ALL : CSIM_SETTLE_SURVIVORS;
    hosts_make(&m, hosts);
    if (chance(&m, 50))
        add_key(script_r->settings_text, sizeof(script_r->settings_text), "parallel=%d", (int)pick(&m, 1, 5));
    if (sim_settings_apply(&script_r->settings, script_r->settings_text, err, sizeof(err)))
        abort();
    if (chance(&m, 50))
        add_key(script_r->cluster_text, sizeof(script_r->cluster_text), "placement=%s parallel_moves=%d",
                xha_placement_name((enum xha_placement)pick(&m, 0, XHA_PLACEMENT_N_ - 1)),
                (int)pick(&m, 1, 4));
    if (csim_cluster_apply(&script_r->cluster, script_r->cluster_text, err, sizeof(err)))
        abort();
    if (script_r->calm) {
        if (script_r->n_hosts < 3) {
            script_r->n_hosts = 3;
            script_r->votes = CSIM_MAJORITY;
        }
        guests_make(&m);
        calm_make(&m);
    } else {
        guests_make(&m);
        taste_make(&m);
        trouble_make(&m);
    }
    csim_script_sort(script_r);
}

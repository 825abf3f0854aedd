/*
 * make.c - random scripts: settings, domains and their policies, and what befalls them.
 *
 * Times are short and close together, so that things happen at once and race: most seeds run for a few
 * minutes of virtual time. A seed has its own taste: only some kinds of trouble appear in it, each with its
 * own weight, so that some worlds are calm but for one thing and some are chaos (Groce et al., Swarm testing,
 * 2012).
 */
#include "tests/swarm/swarm.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct making {
    struct sim_rng rng;
    struct sim_script *script;
    unsigned weight[SIM_VERB_N_];
    unsigned total;
    unsigned order_then_death; /* per cent: xhad dies soon after it took an order */
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

static void settings_make(struct making *m, char *text, size_t len)
{
    text[0] = '\0';
    if (chance(m, 70))
        add_key(text, len, "order=%s", xha_order_name((enum xha_order)pick(m, 0, XHA_ORDER_N_ - 1)));
    if (chance(m, 70))
        add_key(text, len, "parallel=%d", (int)pick(m, 1, 5));
    if (chance(m, 20))
        add_key(text, len, "heartbeat_interval=%dms", (int)pick(m, 2, 20) * 100);
    if (chance(m, 30))
        add_key(text, len, "vanish_grace=%ds", (int)pick(m, 0, 15));
    if (chance(m, 30))
        add_key(text, len, "probe_window=%dms", (int)pick(m, 5, 40) * 100);
    if (chance(m, 30))
        add_key(text, len, "hold_max=%ds", (int)pick(m, 10, 120));
    if (chance(m, 20))
        add_key(text, len, "ill_share=%d", (int)pick(m, 20, 100));
}

static void reaction_make(struct making *m, char *text, size_t len, const char *key, unsigned percent)
{
    if (chance(m, percent))
        add_key(text, len, "%s=%s", key, xha_reaction_name((enum xha_reaction)pick(m, 0, XHA_REACT_N_ - 1)));
}

static void policy_make(struct making *m, char *text, size_t len)
{
    text[0] = '\0';
    if (chance(m, 45))
        add_key(text, len, "protection=%s", chance(m, 15) ? "monitor" : "checkpoint");
    if (chance(m, 15))
        add_key(text, len, "heartbeat=none");
    if (chance(m, 15))
        add_key(text, len, "autostart=false");
    if (chance(m, 40))
        add_key(text, len, "priority=%d", (int)pick(m, 0, 10) * 100);
    if (chance(m, 30))
        add_key(text, len, "start_order=%d", (int)pick(m, 0, 3));
    if (chance(m, 15))
        add_key(text, len, "start_delay=%ds", (int)pick(m, 1, 10));
    if (chance(m, 30))
        add_key(text, len, "ready_cap=%ds", (int)pick(m, 0, 60));
    if (chance(m, 30))
        add_key(text, len, "heartbeat_timeout=%ds", (int)pick(m, 3, 20));
    if (chance(m, 60))
        add_key(text, len, "boot_grace=%ds", (int)pick(m, 10, 40));
    if (chance(m, 60))
        add_key(text, len, "start_timeout=%ds", (int)pick(m, 6, 40));
    if (chance(m, 60))
        add_key(text, len, "stop_timeout=%ds", (int)pick(m, 1, 20));
    add_key(text, len, "max_restarts=%d", (int)pick(m, chance(m, 10) ? 0 : 2, 12));
    if (chance(m, 50))
        add_key(text, len, "restart_window=%ds", (int)pick(m, 30, 600));
    if (chance(m, 50))
        add_key(text, len, "backoff_min=%ds", (int)pick(m, 0, 5));
    add_key(text, len, "backoff_max=%ds", (int)pick(m, 5, 60));
    if (chance(m, 40))
        add_key(text, len, "checkpoint_interval=%ds", (int)pick(m, 5, 60));
    if (chance(m, 15))
        add_key(text, len, "io_is_life=true");
    if (chance(m, 30))
        add_key(text, len, "memory=%d", (int)pick(m, 64, 4096));
}

static void policy_change_make(struct making *m, char *text, size_t len)
{
    text[0] = '\0';
    reaction_make(m, text, len, "on_crash", 15);
    reaction_make(m, text, len, "on_poweroff", 15);
    reaction_make(m, text, len, "on_hang", 15);
    if (chance(m, 20))
        add_key(text, len, "protection=%s", xha_protection_name((enum xha_protection)pick(m, 0, 2)));
    if (chance(m, 20))
        add_key(text, len, "priority=%d", (int)pick(m, 0, 1000));
    if (chance(m, 20))
        add_key(text, len, "start_order=%d", (int)pick(m, 0, 3));
    if (chance(m, 20))
        add_key(text, len, "heartbeat=%s", chance(m, 50) ? "none" : "agent");
    if (chance(m, 20) || !text[0])
        add_key(text, len, "max_restarts=%d", (int)pick(m, 0, 12));
}

static void guests_make(struct making *m)
{
    unsigned n = chance(&*m, 60) ? (unsigned)pick(m, 1, 5) : (unsigned)pick(m, 1, 30);
    bool reactions = chance(m, 50);

    for (unsigned i = 0; i < n; i++) {
        struct sim_guest_def *g = &m->script->guest[m->script->n_guests++];
        char err[200];

        memset(g, 0, sizeof(*g));
        snprintf(g->name, sizeof(g->name), "g%u", i + 1);
        policy_make(m, g->policy_text, sizeof(g->policy_text));
        if (reactions) {
            static const char *const keys[] = { "on_crash",   "on_watchdog",    "on_heartbeat_lost",
                                                "on_hang",    "on_poweroff",    "on_reboot",
                                                "on_destroy", "on_start_failed" };

            for (unsigned k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
                if (strlen(g->policy_text) < SIM_TEXT_MAX - 60)
                    reaction_make(m, g->policy_text, sizeof(g->policy_text), keys[k], 20);
        }
        sim_policy_default(&g->policy);
        if (sim_policy_apply(&g->policy, g->policy_text, err, sizeof(err)))
            abort();
        g->running = chance(m, 20);
        g->later = chance(m, 5);
        g->host = (int)pick(m, 0, m->script->hosts - 1);
    }
}

/* How often each kind of line appears, before the seed's own taste. 0: never in the swarm. */
static const unsigned base_weight[SIM_EXPECT_LIVES] = {
    [SIM_CRASH] = 12,
    [SIM_WATCHDOG] = 4,
    [SIM_POWEROFF] = 6,
    [SIM_REBOOT] = 6,
    [SIM_SHUT_REASON] = 2,
    [SIM_HANG] = 8,
    [SIM_WAKE] = 4,
    [SIM_BEATS_STOP] = 8,
    [SIM_BEATS_RETURN] = 5,
    [SIM_IO_FLOWS] = 2,
    [SIM_IO_STOPS] = 1,
    [SIM_BOOTS_IN] = 3,
    [SIM_BOOTS_DEAD] = 3,
    [SIM_RESTORES_DEAD] = 2,
    [SIM_BOOTS_WELL] = 4,
    [SIM_STOP_IGNORE] = 2,
    [SIM_STOP_OBEY] = 2,
    [SIM_STOP_TAKES] = 2,
    [SIM_JUNK] = 1,
    [SIM_IDLE] = 1,
    [SIM_PAUSED] = 4,
    [SIM_UNPAUSED] = 4,
    [SIM_SUSPENDED] = 2,
    [SIM_RESUMED] = 3,
    [SIM_SB_DESTROYS] = 4,
    [SIM_SB_REBOOTS] = 4,
    [SIM_SB_STARTS] = 4,
    [SIM_DUPLICATE] = 1,
    [SIM_W_TAKES] = 6,
    [SIM_W_FAILS_TIMES] = 6,
    [SIM_W_FAILS] = 2,
    [SIM_W_UNKNOWN_TIMES] = 8,
    [SIM_W_UNKNOWN] = 2,
    [SIM_W_WELL] = 6,
    [SIM_W_KILLED] = 6,
    [SIM_CP_CORRUPT] = 3,
    [SIM_CP_GONE] = 1,
    [SIM_STARVE] = 2,
    [SIM_XS_FAILS] = 2,
    [SIM_XS_SLOW] = 2,
    [SIM_SILENT] = 2,
    [SIM_LISTINGS_LATE] = 4,
    [SIM_XHAD_RESTARTS] = 4,
    [SIM_XHAD_DOWN] = 2,
    [SIM_XHAD_DIES_AFTER] = 8,
    [SIM_OP_START] = 6,
    [SIM_OP_STOP] = 5,
    [SIM_OP_RESTART] = 4,
    [SIM_OP_CHECKPOINT] = 4,
    [SIM_OP_RESTORE_FROM] = 1,
    [SIM_OP_RESTORE] = 3,
    [SIM_OP_MAINT_HOST_ON] = 1,
    [SIM_OP_MAINT_HOST_OFF] = 2,
    [SIM_OP_MAINT_ON] = 2,
    [SIM_OP_MAINT_OFF] = 3,
    [SIM_OP_SCHED] = 1,
    [SIM_OP_PROTECT] = 2,
    [SIM_OP_UNPROTECT] = 1,
    [SIM_POLICY] = 2,
    [SIM_SETTING] = 1,
};

static void taste_make(struct making *m)
{
    for (int v = 0; v < SIM_EXPECT_LIVES; v++) {
        m->weight[v] = chance(m, 50) ? 0 : base_weight[v] * (unsigned)pick(m, 1, 4);
        m->total += m->weight[v];
    }
    if (!m->total)
        m->weight[SIM_CRASH] = m->total = 1;
}

static enum sim_verb verb_pick(struct making *m)
{
    unsigned at = (unsigned)pick(m, 0, m->total - 1);
    int v = 0;

    while (at >= m->weight[v])
        at -= m->weight[v++];
    return (enum sim_verb)v;
}

static void line_fill(struct making *m, struct sim_line *line)
{
    line->verb = verb_pick(m);
    line->guest = (int)pick(m, 0, m->script->n_guests - 1);
    line->host = 0;
    line->word = chance(m, 15) ? 0 : (int)pick(m, XHA_ACT_START, XHA_ACT_SCHED);
    line->number = pick(m, 1, 4);
    line->span_ms = chance(m, 50) ? pick(m, 1, 30) * 100 : pick(m, 1, 20) * 1000;
    switch (line->verb) {
    case SIM_SHUT_REASON:
        line->number = pick(m, 0, 255);
        line->number += line->number == XHA_SHUTDOWN_SUSPEND; /* that is a line of its own */
        break;
    case SIM_W_FAILS:
    case SIM_W_FAILS_TIMES:
        line->word2 = (int)pick(m, 0, XHA_REFUSAL_N_ - 1);
        if (line->word2 == XHA_REFUSAL_RUNS_ALREADY || (line->word2 == XHA_REFUSAL_NO_CHECKPOINT))
            line->word2 = XHA_REFUSAL_OTHER; /* the world says these when they are true */
        break;
    case SIM_W_UNKNOWN:
    case SIM_W_UNKNOWN_TIMES:
        line->word2 = (int)pick(m, 0, SIM_EFFECT_N_ - 1);
        break;
    case SIM_XHAD_DIES_AFTER:
        line->number = pick(m, 0, 12);
        break;
    case SIM_STARVE:
    case SIM_XS_FAILS:
    case SIM_XS_SLOW:
    case SIM_SILENT:
        line->host = (int)pick(m, 0, m->script->hosts - 1);
        line->span_ms = pick(m, 1, 40) * 1000;
        break;
    case SIM_OP_MAINT_HOST_ON:
    case SIM_OP_MAINT_HOST_OFF:
        line->host = (int)pick(m, 0, m->script->hosts - 1);
        break;
    case SIM_SB_REBOOTS:
        line->span_ms = pick(m, 1, 120) * 100;
        break;
    case SIM_LISTINGS_LATE:
        line->span_ms = chance(m, 30) ? 0 : pick(m, 1, 20) * 50;
        break;
    case SIM_POLICY:
        policy_change_make(m, line->text, sizeof(line->text));
        break;
    case SIM_SETTING:
        snprintf(line->text, sizeof(line->text), "parallel=%d order=%s", (int)pick(m, 1, 5),
                 xha_order_name((enum xha_order)pick(m, 0, XHA_ORDER_N_ - 1)));
        break;
    default:
        break;
    }
}

void swarm_make(uint64_t seed, unsigned hosts, struct sim_script *script_r)
{
    struct making m = { .rng = { seed * 0x2545f4914f6cdd1dULL + 1 }, .script = script_r };
    int64_t at = 20000, gap;
    unsigned n;
    char err[200];

    sim_script_init(script_r, "swarm");
    script_r->hosts = hosts;
    script_r->settle = true;
    script_r->jitter = seed + 1;
    settings_make(&m, script_r->settings_text, sizeof(script_r->settings_text));
    if (sim_settings_apply(&script_r->settings, script_r->settings_text, err, sizeof(err)))
        abort();
    guests_make(&m);
    taste_make(&m);
    m.order_then_death = chance(&m, 30) ? 30 : 0;
    n = (unsigned)pick(&m, 1, chance(&m, 50) ? 15 : 80);
    gap = pick(&m, 1, 10) * 1000;
    if (chance(&m, 30))
        at = 0; /* into the first starts */
    for (unsigned i = 0; i < n; i++) {
        struct sim_line line = { .lineno = i + 1 };

        /* Bursts: a third of the lines come right after the one before. */
        at += chance(&m, 35) ? pick(&m, 0, 300) : pick(&m, 0, 2 * gap);
        line.at_ms = at;
        line_fill(&m, &line);
        sim_script_add(script_r, &line);
        if (line.verb >= SIM_OP_START && line.verb <= SIM_OP_UNPROTECT && chance(&m, m.order_then_death)) {
            line.verb = chance(&m, 50) ? SIM_XHAD_RESTARTS : SIM_XHAD_DIES_AFTER;
            line.number = pick(&m, 0, 6);
            line.at_ms += pick(&m, 0, 1500);
            line.lineno += 1000;
            sim_script_add(script_r, &line);
        }
    }
    sim_script_sort(script_r);
    script_r->end_ms = at + 2000;
}

/*
 * keys.c - the keys of policies and settings in scripts, with the names of xha-domain(5) and xhad.conf(5).
 *
 * The daemon's own parser reads files with libconfig; a script wants one line. The defaults are those of the
 * manual.
 */
#include "tests/sim/script.h"

#include <stdlib.h>
#include <string.h>

enum key_type {
    KEY_SPAN,
    KEY_U32,
    KEY_U64_KIB,
    KEY_BOOL,
    KEY_WORD,
};

struct key {
    const char *name;
    enum key_type type;
    size_t offset;
    const char *(*word)(int);
    int n_words;
};

static const char *protection_word(int v)
{
    return xha_protection_name((enum xha_protection)v);
}

static const char *heartbeat_word(int v)
{
    return xha_heartbeat_name((enum xha_heartbeat)v);
}

static const char *reaction_word(int v)
{
    return xha_reaction_name((enum xha_reaction)v);
}

static const char *order_word(int v)
{
    return xha_order_name((enum xha_order)v);
}

const char *sim_action_word(int type)
{
    return xha_action_name((enum xha_action_type)type);
}

const char *sim_refusal_word(int refusal)
{
    return xha_refusal_name((enum xha_refusal)refusal);
}

const char *sim_state_word(int state)
{
    return xha_state_name((enum xha_state)state);
}

const char *sim_effect_word(int effect)
{
    static const char *const words[SIM_EFFECT_N_] = { "nothing", "half", "done" };

    return effect >= 0 && effect < SIM_EFFECT_N_ ? words[effect] : "?";
}

#define P(m) offsetof(struct xha_policy, m)
#define SPAN(n)                                                                                              \
    {                                                                                                        \
#n, KEY_SPAN, P(n), NULL, 0                                                                          \
    }
#define U32(n)                                                                                               \
    {                                                                                                        \
#n, KEY_U32, P(n), NULL, 0                                                                           \
    }
#define BOOL(n)                                                                                              \
    {                                                                                                        \
#n, KEY_BOOL, P(n), NULL, 0                                                                          \
    }
#define REACT(n, f)                                                                                          \
    {                                                                                                        \
        n, KEY_WORD, P(react[f]), reaction_word, XHA_REACT_N_                                                \
    }

static const struct key policy_keys[] = {
    { "protection", KEY_WORD, P(protection), protection_word, XHA_PROT_N_ },
    { "heartbeat", KEY_WORD, P(heartbeat), heartbeat_word, XHA_BEAT_N_ },
    REACT("on_crash", XHA_FAIL_CRASH),
    REACT("on_watchdog", XHA_FAIL_WATCHDOG),
    REACT("on_heartbeat_lost", XHA_FAIL_HEARTBEAT),
    REACT("on_hang", XHA_FAIL_HANG),
    REACT("on_poweroff", XHA_FAIL_POWEROFF),
    REACT("on_reboot", XHA_FAIL_REBOOT),
    REACT("on_destroy", XHA_FAIL_DESTROYED),
    REACT("on_start_failed", XHA_FAIL_START),
    REACT("on_host_lost", XHA_FAIL_HOST),
    BOOL(autostart),
    BOOL(io_is_life),
    U32(priority),
    U32(start_order),
    SPAN(start_delay),
    SPAN(ready_cap),
    SPAN(heartbeat_timeout),
    SPAN(boot_grace),
    SPAN(start_timeout),
    SPAN(stop_timeout),
    U32(max_restarts),
    SPAN(restart_window),
    SPAN(backoff_min),
    SPAN(backoff_max),
    SPAN(checkpoint_interval),
    { "memory", KEY_U64_KIB, P(memory_kib), NULL, 0 },
    { NULL, KEY_U32, 0, NULL, 0 },
};

#undef P
#undef SPAN
#undef U32
#define S(m) offsetof(struct xha_settings, m)
#define SPAN(n)                                                                                              \
    {                                                                                                        \
#n, KEY_SPAN, S(n), NULL, 0                                                                          \
    }
#define U32(n)                                                                                               \
    {                                                                                                        \
#n, KEY_U32, S(n), NULL, 0                                                                           \
    }

static const struct key settings_keys[] = {
    { "order", KEY_WORD, S(order), order_word, XHA_ORDER_N_ },
    { "heartbeat_interval", KEY_SPAN, S(round_interval), NULL, 0 },
    { "ill_share", KEY_U32, S(ill_share_percent), NULL, 0 },
    U32(max_domains),
    U32(parallel),
    SPAN(probe_window),
    SPAN(vanish_grace),
    SPAN(hold_max),
    U32(ill_min),
    { NULL, KEY_U32, 0, NULL, 0 },
};

void sim_policy_default(struct xha_policy *policy)
{
    *policy = (struct xha_policy){
        .protection = XHA_PROT_RESTART,
        .heartbeat = XHA_BEAT_AGENT,
        .autostart = true,
        .priority = 100,
        .start_order = 0,
        .ready_cap = { 300000 },
        .heartbeat_timeout = { 10000 },
        .boot_grace = { 180000 },
        .start_timeout = { 300000 },
        .stop_timeout = { 60000 },
        .max_restarts = 5,
        .restart_window = { 3600000 },
        .backoff_min = { 5000 },
        .backoff_max = { 300000 },
        .memory_kib = 1048576,
    };
    for (int f = 0; f < XHA_FAIL_N_; f++)
        policy->react[f] = XHA_REACT_RECOVER;
    policy->react[XHA_FAIL_NONE] = XHA_REACT_RESPECT;
    policy->react[XHA_FAIL_POWEROFF] = XHA_REACT_RESPECT;
    policy->react[XHA_FAIL_DESTROYED] = XHA_REACT_RESPECT;
}

void sim_settings_default(struct xha_settings *settings)
{
    *settings = (struct xha_settings){
        .max_domains = SIM_GUESTS_MAX,
        .order = XHA_ORDER_PRIORITY,
        .parallel = 4,
        .round_interval = { 1000 },
        .probe_window = { 2000 },
        .vanish_grace = { 10000 },
        .hold_max = { 120000 },
        .ill_share_percent = 50,
        .ill_min = 2,
    };
}

int sim_span_parse(const char *text, int64_t *ms_r)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = { { "", 1e3 }, { "ms", 1 }, { "s", 1e3 }, { "m", 6e4 }, { "h", 3.6e6 } };
    char *end;
    double v = strtod(text, &end);

    if (end == text || v < 0 || v > 1e9)
        return -1;
    for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (!strcmp(end, units[i].unit)) {
            *ms_r = (int64_t)(v * units[i].ms + 0.5);
            return 0;
        }
    }
    return -1;
}

const char *sim_span_text(int64_t ms, char *buf, size_t len)
{
    if (ms % 1000)
        snprintf(buf, len, "%lldms", (long long)ms);
    else
        snprintf(buf, len, "%llds", (long long)(ms / 1000));
    return buf;
}

int sim_word_find(const char *(*name)(int), int n, const char *word)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(name(i), word))
            return i;
    return -1;
}

static int key_set(const struct key *key, void *base, const char *value)
{
    char *field = (char *)base + key->offset;
    char *end;
    int64_t ms;
    unsigned long long u;
    int w;

    switch (key->type) {
    case KEY_SPAN:
        if (sim_span_parse(value, &ms))
            return -1;
        *(struct xha_span *)(void *)field = (struct xha_span){ ms };
        return 0;
    case KEY_U32:
    case KEY_U64_KIB:
        u = strtoull(value, &end, 10);
        if (end == value || *end || *value == '-' || u > UINT32_MAX)
            return -1;
        if (key->type == KEY_U32)
            *(uint32_t *)(void *)field = (uint32_t)u;
        else
            *(uint64_t *)(void *)field = u * 1024; /* scripts say MiB */
        return 0;
    case KEY_BOOL:
        if (strcmp(value, "true") && strcmp(value, "false"))
            return -1;
        *(bool *)field = !strcmp(value, "true");
        return 0;
    case KEY_WORD:
        w = sim_word_find(key->word, key->n_words, value);
        if (w < 0)
            return -1;
        *(int *)(void *)field = w; /* all enums of the core are ints */
        return 0;
    }
    return -1;
}

static int keys_apply(const struct key *keys, void *base, const char *text, char *err, size_t err_len)
{
    char copy[SIM_TEXT_MAX];
    char *save = NULL;

    if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy)) {
        snprintf(err, err_len, "the line is too long");
        return -1;
    }
    for (char *tok = strtok_r(copy, " \t", &save); tok; tok = strtok_r(NULL, " \t", &save)) {
        char *eq = strchr(tok, '=');
        const struct key *key = keys;

        if (!eq) {
            snprintf(err, err_len, "'%s' is not key=value", tok);
            return -1;
        }
        *eq = '\0';
        while (key->name && strcmp(key->name, tok))
            key++;
        if (!key->name) {
            snprintf(err, err_len, "there is no key '%s'", tok);
            return -1;
        }
        if (key_set(key, base, eq + 1)) {
            snprintf(err, err_len, "'%s' is no value for %s", eq + 1, tok);
            return -1;
        }
    }
    return 0;
}

int sim_policy_apply(struct xha_policy *policy, const char *text, char *err, size_t err_len)
{
    return keys_apply(policy_keys, policy, text, err, err_len);
}

int sim_settings_apply(struct xha_settings *settings, const char *text, char *err, size_t err_len)
{
    return keys_apply(settings_keys, settings, text, err, err_len);
}

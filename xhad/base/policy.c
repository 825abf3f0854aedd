/*
 * policy.c - a domain's policy: the table of its parameters, and relations between them.
 */
#include "xhad/base/policy.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "xhad/base/cleanup.h"

#define SECOND    1000
#define MINUTE    (60 * SECOND)
#define HOUR      (60 * MINUTE)
#define DAY       (24 * HOUR)
#define PATH_MOST 900 /* as in conf.c */

const char *xha_compress_name(enum xha_compress compress)
{
    static const char *const name[] = { "none", "zstd" };

    return (unsigned)compress < XHA_COMPRESS_N_ ? name[compress] : "?";
}

const char *xha_disks_name(enum xha_disks disks)
{
    static const char *const name[] = { "refuse", "unsafe" };

    return (unsigned)disks < XHA_DISKS_N_ ? name[disks] : "?";
}

const char *xha_replication_disks_name(enum xha_replication_disks disks)
{
    static const char *const name[] = { "refuse", "unsafe", "gated" };

    return (unsigned)disks < XHA_REPL_DISKS_N_ ? name[disks] : "?";
}

static const char *word_protection(int value)
{
    return xha_protection_name((enum xha_protection)value);
}

static const char *word_heartbeat(int value)
{
    return xha_heartbeat_name((enum xha_heartbeat)value);
}

static const char *word_reaction(int value)
{
    return xha_reaction_name((enum xha_reaction)value);
}

static const char *word_compress(int value)
{
    return xha_compress_name((enum xha_compress)value);
}

static const char *word_disks(int value)
{
    return xha_disks_name((enum xha_disks)value);
}

static const char *word_replication_disks(int value)
{
    return xha_replication_disks_name((enum xha_replication_disks)value);
}

#define AT(field) offsetof(struct xha_domain_spec, field)

static const char *word_move(int value)
{
    static const char *const name[] = { "auto", "live", "warm", "cold" };

    return (unsigned)value < XHA_MOVE_MODE_N_ ? name[value] : "?";
}

static const char *word_storage(int value)
{
    return xha_storage_name((enum xha_storage)value);
}

#define REACTION(name_, failure, dflt_, doc_)                                                                \
    {                                                                                                        \
        .name = name_, .type = XHA_PARAM_ENUM, .live = true, .offset = AT(policy.react[failure]),            \
        .dflt = dflt_, .word = word_reaction, .words = XHA_REACT_N_, .doc = doc_                             \
    }

/* clang-format off */
static const struct xha_param rows[] = {
    { .name = "config", .type = XHA_PARAM_PATH, .live = false, .offset = AT(config),
      .dflt_text = "", .min = 0, .max = PATH_MOST,
      .doc = "the domain's configuration, as xl create takes it; kept when the protection begins" },
    { .name = "domain", .type = XHA_PARAM_STRING, .live = false, .offset = AT(domain),
      .dflt_text = "", .min = 0, .max = XHA_NAME_MAX - 1,
      .doc = "instead of config: the name of a running domain, whose configuration is taken from Xen" },
    { .name = "protection", .type = XHA_PARAM_ENUM, .live = true, .offset = AT(policy.protection),
      .dflt = XHA_PROT_RESTART, .word = word_protection, .words = XHA_PROT_N_,
      .doc = "monitor (watch and alarm), restart, checkpoint (also save at intervals), or replicate" },
    { .name = "autostart", .type = XHA_PARAM_BOOL, .live = true, .offset = AT(policy.autostart),
      .dflt = true,
      .doc = "start the domain when xhad comes up and it does not run" },
    { .name = "priority", .type = XHA_PARAM_INT, .live = true, .offset = AT(policy.priority),
      .dflt = 100, .min = 0, .max = 1000,
      .doc = "among the domains that wait for recovery, the highest goes first" },
    { .name = "start_order", .type = XHA_PARAM_INT, .live = true, .offset = AT(policy.start_order),
      .dflt = 0, .min = 0, .max = XHA_TIERS - 1,
      .doc = "tier: the domains of lower tiers are started and ready before" },
    { .name = "start_delay", .type = XHA_PARAM_SECONDS, .live = true, .offset = AT(policy.start_delay),
      .dflt = 0, .min = 0, .max = HOUR,
      .doc = "seconds to wait after the lower tiers are ready" },
    { .name = "ready_cap", .type = XHA_PARAM_SECONDS, .live = true, .offset = AT(policy.ready_cap),
      .dflt = 5 * MINUTE, .min = SECOND, .max = DAY,
      .doc = "seconds that higher tiers wait for this domain to get ready, then they go on without it" },
    { .name = "heartbeat", .type = XHA_PARAM_ENUM, .live = true, .offset = AT(policy.heartbeat),
      .dflt = XHA_BEAT_AGENT, .word = word_heartbeat, .words = XHA_BEAT_N_,
      .doc = "agent (xha-guest beats in the guest) or none" },
    { .name = "heartbeat_timeout", .type = XHA_PARAM_SECONDS, .live = true,
      .offset = AT(policy.heartbeat_timeout), .dflt = 10 * SECOND, .min = SECOND, .max = HOUR,
      .doc = "seconds without a beat after which the domain is suspect" },
    { .name = "boot_grace", .type = XHA_PARAM_SECONDS, .live = true, .offset = AT(policy.boot_grace),
      .dflt = 3 * MINUTE, .min = SECOND, .max = DAY,
      .doc = "seconds from the start of the domain to its first beat" },
    { .name = "start_timeout", .type = XHA_PARAM_SECONDS, .live = true, .offset = AT(policy.start_timeout),
      .dflt = 5 * MINUTE, .min = SECOND, .max = DAY,
      .doc = "seconds that building or restoring the domain may take" },
    { .name = "stop_timeout", .type = XHA_PARAM_SECONDS, .live = true, .offset = AT(policy.stop_timeout),
      .dflt = MINUTE, .min = SECOND, .max = DAY,
      .doc = "seconds that the guest has for its shutdown before it is destroyed" },
    { .name = "io_is_life", .type = XHA_PARAM_BOOL, .live = true, .offset = AT(policy.io_is_life),
      .dflt = false,
      .doc = "a domain whose disks or network move is not recovered for want of a beat: alarm only" },
    REACTION("on_crash", XHA_FAIL_CRASH, XHA_REACT_RECOVER,
             "the guest's kernel crashed: respect, alarm, recover or stop"),
    REACTION("on_watchdog", XHA_FAIL_WATCHDOG, XHA_REACT_RECOVER,
             "Xen's watchdog of the guest fired"),
    REACTION("on_heartbeat_lost", XHA_FAIL_HEARTBEAT, XHA_REACT_RECOVER,
             "beats stopped, but the vCPUs run: the guest's agent or userland is ill"),
    REACTION("on_hang", XHA_FAIL_HANG, XHA_REACT_RECOVER,
             "beats stopped and the vCPUs stand still"),
    REACTION("on_poweroff", XHA_FAIL_POWEROFF, XHA_REACT_RESPECT,
             "the guest shut itself down"),
    REACTION("on_reboot", XHA_FAIL_REBOOT, XHA_REACT_RECOVER,
             "the guest rebooted itself: recover starts it again"),
    REACTION("on_destroy", XHA_FAIL_DESTROYED, XHA_REACT_RESPECT,
             "somebody destroyed the domain"),
    REACTION("on_start_failed", XHA_FAIL_START, XHA_REACT_RECOVER,
             "the domain could not be started, or did not get ready in its boot_grace"),
    REACTION("on_host_lost", XHA_FAIL_HOST, XHA_REACT_RECOVER,
             "its host was lost, in a cluster: recover starts it on another one"),
    { .name = "max_restarts", .type = XHA_PARAM_INT, .live = true, .offset = AT(policy.max_restarts),
      .dflt = 5, .min = 0, .max = XHA_HISTORY_MAX,
      .doc = "recoveries within restart_window; the next failure leaves the domain stopped, with an alarm" },
    { .name = "restart_window", .type = XHA_PARAM_SECONDS, .live = true, .offset = AT(policy.restart_window),
      .dflt = HOUR, .min = SECOND, .max = 30LL * DAY,
      .doc = "seconds for which a recovery counts" },
    { .name = "backoff_min", .type = XHA_PARAM_SECONDS, .live = true, .offset = AT(policy.backoff_min),
      .dflt = 5 * SECOND, .min = 0, .max = HOUR,
      .doc = "seconds before the second recovery in the window; doubles with each, the first is at once" },
    { .name = "backoff_max", .type = XHA_PARAM_SECONDS, .live = true, .offset = AT(policy.backoff_max),
      .dflt = 5 * MINUTE, .min = 0, .max = DAY,
      .doc = "seconds that it never waits longer than" },
    { .name = "checkpoint.interval", .type = XHA_PARAM_SECONDS, .live = true,
      .offset = AT(policy.checkpoint_interval), .dflt = 5 * MINUTE, .min = 0, .max = 30LL * DAY,
      .doc = "seconds between checkpoints; 0: on command only" },
    { .name = "checkpoint.keep", .type = XHA_PARAM_INT, .live = true, .offset = AT(checkpoint.keep),
      .dflt = 3, .min = 1, .max = 1000,
      .doc = "newest good checkpoints that are kept" },
    { .name = "checkpoint.keep_age", .type = XHA_PARAM_SECONDS, .live = true,
      .offset = AT(checkpoint.keep_age), .dflt = 0, .min = 0, .max = 3650LL * DAY,
      .doc = "seconds after which a checkpoint goes, but never the last good one; 0: by count alone" },
    { .name = "checkpoint.compress", .type = XHA_PARAM_ENUM, .live = true, .offset = AT(checkpoint.compress),
      .dflt = XHA_COMPRESS_ZSTD, .word = word_compress, .words = XHA_COMPRESS_N_,
      .doc = "zstd or none; xl restore takes an uncompressed one as it is" },
    { .name = "checkpoint.level", .type = XHA_PARAM_INT, .live = true, .offset = AT(checkpoint.level),
      .dflt = 1, .min = 1, .max = 19,
      .doc = "zstd's level: 1 is quick, 19 is small" },
    { .name = "replication.interval", .type = XHA_PARAM_SECONDS, .live = true,
      .offset = AT(replication.interval), .dflt = 0, .min = 0, .max = 10 * SECOND,
      .doc = "seconds between two epochs; 0: chosen anew for each" },
    { .name = "replication.interval_min", .type = XHA_PARAM_SECONDS, .live = true,
      .offset = AT(replication.interval_min), .dflt = 25, .min = 5, .max = 10 * SECOND,
      .doc = "seconds that are never chosen less of" },
    { .name = "replication.interval_max", .type = XHA_PARAM_SECONDS, .live = true,
      .offset = AT(replication.interval_max), .dflt = 500, .min = 5, .max = 10 * SECOND,
      .doc = "seconds that are never chosen more of: what the guest sends waits for so long" },
    { .name = "replication.max_pause_share", .type = XHA_PARAM_INT, .live = true,
      .offset = AT(replication.max_pause_share), .dflt = 10, .min = 1, .max = 50,
      .doc = "percent of its time that the guest may stand still for epochs, where the interval is chosen" },
    { .name = "replication.silence", .type = XHA_PARAM_SECONDS, .live = true,
      .offset = AT(replication.silence), .dflt = 500, .min = 100, .max = MINUTE,
      .doc = "seconds without a word of the backup after which its stream counts as broken" },
    { .name = "replication.queue_max", .type = XHA_PARAM_INT, .live = true,
      .offset = AT(replication.queue_max_kib), .dflt = 65536, .min = 64, .max = 4194304,
      .doc = "KiB that may wait for an epoch behind each network device; what is beyond it is dropped, with an alarm" },
    { .name = "replication.disks", .type = XHA_PARAM_ENUM, .live = true, .offset = AT(replication.disks),
      .dflt = XHA_REPL_DISKS_REFUSE, .word = word_replication_disks, .words = XHA_REPL_DISKS_N_,
      .doc = "replication of a domain with writable disks: refuse, unsafe, or gated (held back per epoch)" },
    { .name = "disks", .type = XHA_PARAM_ENUM, .live = true, .offset = AT(disks),
      .dflt = XHA_DISKS_REFUSE, .word = word_disks, .words = XHA_DISKS_N_,
      .doc = "checkpoints of a domain with writable disks: refuse, or unsafe (taken all the same)" },
    { .name = "snapshot_command", .type = XHA_PARAM_PATH, .live = true, .offset = AT(snapshot_command),
      .dflt_text = "", .min = 0, .max = PATH_MOST,
      .doc = "program that keeps the state of the disks with each checkpoint, and brings it back" },
    { .name = "sched.weight", .type = XHA_PARAM_INT, .live = true, .offset = AT(sched.weight),
      .dflt = 256, .min = 1, .max = 65535,
      .doc = "share of the CPUs, against the weights of other domains" },
    { .name = "sched.cap", .type = XHA_PARAM_INT, .live = true, .offset = AT(sched.cap),
      .dflt = 0, .min = 0, .max = 65535,
      .doc = "most CPU time it may take, in percent of one CPU; 0: no cap" },
    { .name = "sched.affinity", .type = XHA_PARAM_STRING, .live = true, .offset = AT(sched.affinity),
      .dflt_text = "all", .min = 1, .max = 255,
      .doc = "CPUs that its vCPUs may run on, as xl vcpu-pin takes them: all, or a list such as 0-3,^2" },
    { .name = "sched.pool", .type = XHA_PARAM_STRING, .live = true, .offset = AT(sched.pool),
      .dflt_text = "", .min = 0, .max = 63,
      .doc = "cpupool to put it in; empty: where its configuration puts it" },
    { .name = "place.tags", .type = XHA_PARAM_STRING, .live = true, .offset = AT(place.tags),
      .dflt_text = "", .min = 0, .max = 127,
      .doc = "tags that a host must have to run it: names, separated by commas" },
    { .name = "place.not_tags", .type = XHA_PARAM_STRING, .live = true, .offset = AT(place.not_tags),
      .dflt_text = "", .min = 0, .max = 127,
      .doc = "tags that it must not have" },
    { .name = "place.networks", .type = XHA_PARAM_STRING, .live = true, .offset = AT(place.networks),
      .dflt_text = "", .min = 0, .max = 127,
      .doc = "networks that the host must reach" },
    { .name = "place.storages", .type = XHA_PARAM_STRING, .live = true, .offset = AT(place.storages),
      .dflt_text = "", .min = 0, .max = 127,
      .doc = "storages that the host must reach" },
    { .name = "place.hosts", .type = XHA_PARAM_STRING, .live = true, .offset = AT(place.hosts),
      .dflt_text = "", .min = 0, .max = 255,
      .doc = "only these hosts may run it; empty: all" },
    { .name = "place.prefer", .type = XHA_PARAM_STRING, .live = true, .offset = AT(place.prefer),
      .dflt_text = "", .min = 0, .max = XHA_NAME_MAX - 1,
      .doc = "the host where it runs if it can" },
    { .name = "place.affinity", .type = XHA_PARAM_STRING, .live = true, .offset = AT(place.affinity),
      .dflt_text = "", .min = 0, .max = XHA_NAME_MAX - 1,
      .doc = "a group whose domains run on one host together" },
    { .name = "place.anti_affinity", .type = XHA_PARAM_STRING, .live = true, .offset = AT(place.anti_affinity),
      .dflt_text = "", .min = 0, .max = XHA_NAME_MAX - 1,
      .doc = "a group whose domains run on hosts of their own" },
    { .name = "relocate", .type = XHA_PARAM_BOOL, .live = true, .offset = AT(relocate), .dflt = true,
      .doc = "it may run on another host when its own is lost or has no room for it" },
    { .name = "failback", .type = XHA_PARAM_BOOL, .live = true, .offset = AT(failback), .dflt = false,
      .doc = "it goes back to its preferred host, or where maintenance took it from, when that can take it" },
    { .name = "move", .type = XHA_PARAM_ENUM, .live = true, .offset = AT(move),
      .dflt = XHA_MOVE_AUTO, .word = word_move, .words = XHA_MOVE_MODE_N_,
      .doc = "how it is moved to another host: auto, live, warm or cold" },
    { .name = "storage", .type = XHA_PARAM_ENUM, .live = true, .offset = AT(storage),
      .dflt = XHA_STORAGE_SHARED, .word = word_storage, .words = XHA_STORAGE_N_,
      .doc = "its disks: shared (all hosts reach them) or copy (moved along, while it is stopped)" },
};
/* clang-format on */

_Static_assert(sizeof(rows) / sizeof(rows[0]) <= XHA_PARAMS_MAX, "struct xha_origin is too small");

const struct xha_params xha_domain_params = {
    .manual = "xha-domain(5)",
    .row = rows,
    .n = sizeof(rows) / sizeof(rows[0]),
};

struct check {
    const struct xha_domain_spec *spec;
    struct xha_problems *problems;
    int rc;
};

/* A problem in the line that sets the parameter called name. */
static void bad(struct check *c, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void bad(struct check *c, const char *name, const char *fmt, ...)
{
    int line = c->spec->origin.line[xha_params_find(&xha_domain_params, name) - rows];
    char message[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);
    xha_problems_add(c->problems, c->spec->file, line, "%s", message);
    c->rc = XHA_CONF_E_BAD;
}

static void check_source(struct check *c)
{
    const struct xha_domain_spec *spec = c->spec;

    if (*spec->config && *spec->domain)
        bad(c, "domain", "config and domain: give one of them, not both");
    if (!*spec->config && !*spec->domain)
        bad(c, "config",
            "names no domain: give config = \"/etc/xen/NAME.cfg\" or domain = \"NAME\" of a running one");
    if (strchr(spec->domain, '/'))
        bad(c, "domain", "domain: a domain's name has no /");
    if (!strcmp(spec->domain, "Domain-0"))
        bad(c, "domain", "domain: Domain-0 is the host itself and cannot be protected");
}

static void check_times(struct check *c)
{
    const struct xha_policy *policy = &c->spec->policy;
    char one[32], two[32];

    if (policy->backoff_min.ms > policy->backoff_max.ms)
        bad(c, "backoff_min", "backoff_min (%s) must not be more than backoff_max (%s)",
            xha_param_seconds_text(policy->backoff_min.ms, one, sizeof(one)),
            xha_param_seconds_text(policy->backoff_max.ms, two, sizeof(two)));
    if (policy->max_restarts && policy->restart_window.ms < policy->backoff_max.ms)
        bad(c, "restart_window",
            "restart_window (%s) must not be less than backoff_max (%s): max_restarts would never be reached",
            xha_param_seconds_text(policy->restart_window.ms, one, sizeof(one)),
            xha_param_seconds_text(policy->backoff_max.ms, two, sizeof(two)));
}

/* A group of parameters that only one protection heeds. */
static void check_group(struct check *c, const char *group, enum xha_protection protection)
{
    struct xha_domain_spec usual = { 0 };
    struct xha_origin origin;

    if (c->spec->policy.protection == protection)
        return;
    if (xha_params_defaults(&xha_domain_params, &usual, &origin)) {
        c->rc = XHA_CONF_E_NOMEM;
        goto out;
    }
    for (size_t i = 0; i < xha_domain_params.n; i++) {
        if (!strncmp(rows[i].name, group, strlen(group)) && !xha_param_equal(&rows[i], c->spec, &usual))
            bad(c, rows[i].name, "%s has no effect: it needs protection = \"%s\"", rows[i].name,
                xha_protection_name(protection));
    }
out:
    xha_params_clear(&xha_domain_params, &usual);
}

static void check_checkpoint(struct check *c)
{
    if (*c->spec->snapshot_command && c->spec->disks == XHA_DISKS_UNSAFE)
        bad(c, "disks", "disks = \"unsafe\" and snapshot_command: give one of them, not both");
    check_group(c, "checkpoint.", XHA_PROT_CHECKPOINT);
}

static void check_replication(struct check *c)
{
    const struct xha_domain_spec *spec = c->spec;
    char one[32], two[32];

    check_group(c, "replication.", XHA_PROT_REPLICATE);
    if (spec->replication.interval_min.ms > spec->replication.interval_max.ms)
        bad(c, "replication.interval_min",
            "replication.interval_min (%s) must not be more than replication.interval_max (%s)",
            xha_param_seconds_text(spec->replication.interval_min.ms, one, sizeof(one)),
            xha_param_seconds_text(spec->replication.interval_max.ms, two, sizeof(two)));
    if (spec->policy.protection != XHA_PROT_REPLICATE)
        return;
    if (!spec->relocate)
        bad(c, "relocate", "relocate = false: a replicated domain takes over on another host");
    if (spec->policy.react[XHA_FAIL_HOST] != XHA_REACT_RECOVER)
        bad(c, "on_host_lost",
            "on_host_lost: when the host of a replicated domain is lost, its copy takes over; it "
            "can only be \"recover\"");
    if (spec->storage == XHA_STORAGE_COPY && spec->replication.disks != XHA_REPL_DISKS_GATED)
        bad(c, "storage",
            "storage = \"copy\": the disks of a replicated domain must be reached by both hosts, or be "
            "replicated, too (replication.disks = \"gated\")");
}

static void check_affinity(struct check *c)
{
    const char *a = c->spec->sched.affinity;

    if (strcmp(a, "all") && (strspn(a, "0123456789,-^nodes:") != strlen(a) || !strpbrk(a, "0123456789")))
        bad(c, "sched.affinity", "sched.affinity: \"%.80s\" is no list of CPUs: all, or such as 0-3,^2", a);
}

static void check_place(struct check *c)
{
    static const char *const name[] = { "place.tags",     "place.not_tags",     "place.networks",
                                        "place.storages", "place.hosts",        "place.prefer",
                                        "place.affinity", "place.anti_affinity" };

    for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++) {
        const char *value = xha_param_get_text(xha_params_find(&xha_domain_params, name[i]), c->spec);

        if (!xha_names_ok(value) || (i >= 5 && strchr(value, ',')))
            bad(c, name[i], "%s: \"%.80s\" is no %s: letters, digits and -_. %s", name[i], value,
                i >= 5 ? "name" : "list of names", i >= 5 ? "alone" : "each, separated by commas");
    }
    if (*c->spec->place.affinity && !strcmp(c->spec->place.affinity, c->spec->place.anti_affinity))
        bad(c, "place.affinity", "place.affinity and place.anti_affinity name the same group %s",
            c->spec->place.affinity);
}

/* Monitor means: never act. Whatever the reactions say, they are alarms, and `xhad -n` shows it. */
static void silence_monitor(struct xha_domain_spec *spec)
{
    if (spec->policy.protection != XHA_PROT_MONITOR)
        return;
    for (size_t i = 0; i < xha_domain_params.n; i++) {
        if (rows[i].word != word_reaction)
            continue;
        xha_param_set(&rows[i], spec, XHA_REACT_ALARM);
        spec->origin.line[i] = XHA_FROM_MONITOR;
    }
}

int xha_domain_spec_parse(const char *file, const char *text, size_t len, struct xha_domain_spec *spec_r,
                          struct xha_problems *problems)
{
    struct check c = { .spec = spec_r, .problems = problems };
    int rc;

    memset(spec_r, 0, sizeof(*spec_r));
    spec_r->file = strdup(file);
    if (!spec_r->file) {
        rc = XHA_CONF_E_NOMEM;
        goto out;
    }
    rc = xha_params_parse(&xha_domain_params, file, text, len, spec_r, &spec_r->origin, problems);
    if (rc)
        goto out;
    check_source(&c);
    check_times(&c);
    check_checkpoint(&c);
    check_replication(&c);
    check_affinity(&c);
    check_place(&c);
    rc = c.rc;
    silence_monitor(spec_r);
out:
    if (rc)
        xha_domain_spec_clear(spec_r);
    return rc;
}

int xha_domain_spec_load(const char *path, struct xha_domain_spec *spec_r, struct xha_problems *problems)
{
    XHA_CLEANUP_FREE char *text = NULL;
    size_t len;
    int rc;

    memset(spec_r, 0, sizeof(*spec_r));
    rc = xha_params_slurp(path, &text, &len, problems);
    if (rc)
        return rc;
    return xha_domain_spec_parse(path, text, len, spec_r, problems);
}

int xha_domain_spec_check(const struct xha_domain_spec *spec, const struct xha_conf *conf,
                          struct xha_problems *problems)
{
    struct check c = { .spec = spec, .problems = problems };
    char one[32], two[32];

    if (spec->policy.heartbeat == XHA_BEAT_AGENT &&
        spec->policy.heartbeat_timeout.ms < 2 * conf->settings.round_interval.ms)
        bad(&c, "heartbeat_timeout",
            "heartbeat_timeout (%s) must be at least twice heartbeat_interval of xhad.conf (%s): one slow "
            "look "
            "would make the domain suspect",
            xha_param_seconds_text(spec->policy.heartbeat_timeout.ms, one, sizeof(one)),
            xha_param_seconds_text(conf->settings.round_interval.ms, two, sizeof(two)));
    return c.rc;
}

void xha_domain_spec_clear(struct xha_domain_spec *spec)
{
    xha_params_clear(&xha_domain_params, spec);
    free(spec->file);
    memset(spec, 0, sizeof(*spec));
}

void xha_domain_spec_print(const struct xha_domain_spec *spec, bool docs, FILE *out)
{
    xha_params_print(&xha_domain_params, spec, &spec->origin, spec->file, docs, out);
}

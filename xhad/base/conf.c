/*
 * conf.c - xhad.conf: the table of its parameters, and relations between them.
 */
#include "xhad/base/conf.h"

#include <inttypes.h>
#include <libconfig.h>
#include <stdlib.h>
#include <string.h>

#include "xhad/base/cleanup.h"

const char xha_conf_path[] = XHA_SYSCONF_DIR "/xhad.conf";

#define SECOND    1000
#define MINUTE    (60 * SECOND)
#define HOUR      (60 * MINUTE)
#define PATH_MOST 900 /* leaves room for the names of files below it in XHA_JOB_PATH_MAX */
#define RUN_MOST  90  /* with /control.sock it must fit into a socket's address */

const char *xha_log_level_name(enum xha_log_level level)
{
    static const char *const name[] = { "error", "warning", "info", "debug" };

    return (unsigned)level < XHA_LOG_LEVEL_N_ ? name[level] : "?";
}

const char *xha_log_target_name(enum xha_log_target target)
{
    static const char *const name[] = { "stderr", "syslog" };

    return (unsigned)target < XHA_LOG_TARGET_N_ ? name[target] : "?";
}

const char *xha_on_shutdown_name(enum xha_on_shutdown on_shutdown)
{
    static const char *const name[] = { "evacuate", "stop", "leave" };

    return (unsigned)on_shutdown < XHA_ON_SHUTDOWN_N_ ? name[on_shutdown] : "?";
}

const char *xha_no_quorum_name(enum xha_no_quorum no_quorum)
{
    static const char *const name[] = { "fence", "run-on" };

    return (unsigned)no_quorum < XHA_NO_QUORUM_N_ ? name[no_quorum] : "?";
}

const char *xha_move_compress_name(enum xha_move_compress compress)
{
    static const char *const name[] = { "lz4", "zstd", "none" };

    return (unsigned)compress < XHA_MOVE_COMPRESS_N_ ? name[compress] : "?";
}

static const char *word_order(int value)
{
    return xha_order_name((enum xha_order)value);
}

static const char *word_log_level(int value)
{
    return xha_log_level_name((enum xha_log_level)value);
}

static const char *word_log_target(int value)
{
    return xha_log_target_name((enum xha_log_target)value);
}

static const char *word_on_shutdown(int value)
{
    return xha_on_shutdown_name((enum xha_on_shutdown)value);
}

static const char *word_no_quorum(int value)
{
    return xha_no_quorum_name((enum xha_no_quorum)value);
}

static const char *word_move_compress(int value)
{
    return xha_move_compress_name((enum xha_move_compress)value);
}

static const char *word_placement(int value)
{
    return xha_placement_name((enum xha_placement)value);
}

#define AT(field) offsetof(struct xha_conf, field)

/* clang-format off */
static const struct xha_param rows[] = {
    { .name = "order", .type = XHA_PARAM_ENUM, .live = true, .offset = AT(settings.order),
      .dflt = XHA_ORDER_PRIORITY, .word = word_order, .words = XHA_ORDER_N_,
      .doc = "which of the waiting domains is recovered first: priority, fcfs, sjf, srtf or rr" },
    { .name = "parallel", .type = XHA_PARAM_INT, .live = true, .offset = AT(settings.parallel),
      .dflt = 4, .min = 1, .max = 64,
      .doc = "starts and recoveries under way at once" },
    { .name = "max_domains", .type = XHA_PARAM_INT, .live = false, .offset = AT(settings.max_domains),
      .dflt = 1000, .min = 1, .max = 65536,
      .doc = "protected domains that there is room for; memory is taken once, at the start" },
    { .name = "heartbeat_interval", .type = XHA_PARAM_SECONDS, .live = true,
      .offset = AT(settings.round_interval), .dflt = SECOND, .min = 200, .max = MINUTE,
      .doc = "seconds between two looks at the heartbeats of all domains" },
    { .name = "probe_window", .type = XHA_PARAM_SECONDS, .live = true, .offset = AT(settings.probe_window),
      .dflt = 2 * SECOND, .min = 200, .max = MINUTE,
      .doc = "seconds for which vCPU time and I/O are watched before a late heartbeat is judged" },
    { .name = "vanish_grace", .type = XHA_PARAM_SECONDS, .live = true, .offset = AT(settings.vanish_grace),
      .dflt = 10 * SECOND, .min = SECOND, .max = 10 * MINUTE,
      .doc = "seconds that a domain may be gone without a reason: it may only reboot" },
    { .name = "hold_max", .type = XHA_PARAM_SECONDS, .live = true, .offset = AT(settings.hold_max),
      .dflt = 2 * MINUTE, .min = 0, .max = HOUR,
      .doc = "seconds for which many late heartbeats at once hold judgement while xenstore itself is well" },
    { .name = "ill_share", .type = XHA_PARAM_INT, .live = true, .offset = AT(settings.ill_share_percent),
      .dflt = 50, .min = 1, .max = 100,
      .doc = "percent of the beating domains that must be late at once for the host to be suspected" },
    { .name = "ill_min", .type = XHA_PARAM_INT, .live = true, .offset = AT(settings.ill_min),
      .dflt = 2, .min = 1, .max = 1000,
      .doc = "how many domains that must be at the least" },
    { .name = "helper", .type = XHA_PARAM_PATH, .live = false, .offset = AT(helper),
      .dflt_text = XHA_LIBEXEC_DIR "/xhad-xen", .min = 1, .max = PATH_MOST,
      .doc = "the program that talks to the hypervisor" },
    { .name = "run_dir", .type = XHA_PARAM_PATH, .live = false, .offset = AT(run_dir),
      .dflt_text = XHA_RUN_DIR, .min = 1, .max = RUN_MOST,
      .doc = "control socket, process id and jobs under way; may be empty after a boot" },
    { .name = "state_dir", .type = XHA_PARAM_PATH, .live = false, .offset = AT(state_dir),
      .dflt_text = XHA_STATE_DIR, .min = 1, .max = PATH_MOST,
      .doc = "journal, history and the protected domains; must outlive a boot" },
    { .name = "policy_dir", .type = XHA_PARAM_PATH, .live = false, .offset = AT(policy_dir),
      .dflt_text = XHA_SYSCONF_DIR "/domains", .min = 1, .max = PATH_MOST,
      .doc = "the policies of the domains, *.conf" },
    { .name = "checkpoint_dir", .type = XHA_PARAM_PATH, .live = false, .offset = AT(checkpoint_dir),
      .dflt_text = XHA_STATE_DIR "/checkpoints", .min = 1, .max = PATH_MOST,
      .doc = "the checkpoints; as much room as the domains have memory, times those kept" },
    { .name = "alarm_dir", .type = XHA_PARAM_PATH, .live = true, .offset = AT(alarm_dir),
      .dflt_text = XHA_SYSCONF_DIR "/alarm.d", .min = 1, .max = PATH_MOST,
      .doc = "every executable in it is run for every alarm" },
    { .name = "alarm_rate", .type = XHA_PARAM_INT, .live = true, .offset = AT(alarm_rate),
      .dflt = 10, .min = 1, .max = 1000,
      .doc = "alarms of one kind for one domain in a minute; more are counted and told as one" },
    { .name = "log_level", .type = XHA_PARAM_ENUM, .live = true, .offset = AT(log_level),
      .dflt = XHA_LOG_INFO, .word = word_log_level, .words = XHA_LOG_LEVEL_N_,
      .doc = "what is logged: error, warning, info or debug" },
    { .name = "log_target", .type = XHA_PARAM_ENUM, .live = false, .offset = AT(log_target),
      .dflt = XHA_LOG_STDERR, .word = word_log_target, .words = XHA_LOG_TARGET_N_,
      .doc = "where the log goes: stderr (under systemd: the journal) or syslog" },
    { .name = "history_size_mib", .type = XHA_PARAM_INT, .live = true, .offset = AT(history_size_mib),
      .dflt = 64, .min = 1, .max = 65536,
      .doc = "MiB of history that are kept for `xl-ha log` and `xl-ha why`" },
    { .name = "metrics_file", .type = XHA_PARAM_PATH, .live = true, .offset = AT(metrics_file),
      .dflt_text = "", .min = 0, .max = PATH_MOST,
      .doc = "where figures for Prometheus are written, for node_exporter's textfile collector" },
    { .name = "cluster", .type = XHA_PARAM_BOOL, .live = false, .offset = AT(cluster), .dflt = false,
      .doc = "this host is one of a cluster, and corosync runs on it" },
    { .name = "address", .type = XHA_PARAM_STRING, .live = true, .offset = AT(address),
      .dflt_text = "", .min = 0, .max = 63,
      .doc = "name or address where other hosts reach this one for moves; empty: corosync's" },
    { .name = "tags", .type = XHA_PARAM_STRING, .live = true, .offset = AT(tags),
      .dflt_text = "", .min = 0, .max = 255,
      .doc = "what policies may ask of a host by place.tags: names, separated by commas" },
    { .name = "networks", .type = XHA_PARAM_STRING, .live = true, .offset = AT(networks),
      .dflt_text = "", .min = 0, .max = 255,
      .doc = "networks that this host reaches, for place.networks" },
    { .name = "storages", .type = XHA_PARAM_STRING, .live = true, .offset = AT(storages),
      .dflt_text = "", .min = 0, .max = 255,
      .doc = "storages that this host reaches, for place.storages" },
    { .name = "memory_reserve", .type = XHA_PARAM_INT, .live = true, .offset = AT(memory_reserve_mib),
      .dflt = 256, .min = 0, .max = 1024 * 1024,
      .doc = "MiB that are kept free beside dom0's own memory when domains are placed here" },
    { .name = "no_quorum", .type = XHA_PARAM_ENUM, .live = true, .offset = AT(no_quorum),
      .dflt = XHA_NO_QUORUM_FENCE, .word = word_no_quorum, .words = XHA_NO_QUORUM_N_,
      .doc = "when this host is cut off: fence (Xen's watchdog resets it) or run-on (its guests run on)" },
    { .name = "fence_check", .type = XHA_PARAM_SECONDS, .live = true, .offset = AT(fence_check),
      .dflt = HOUR, .min = 0, .max = 24 * HOUR,
      .doc = "seconds between two questions to a host's fence devices whether they work; 0: not asked" },
    { .name = "key_file", .type = XHA_PARAM_PATH, .live = true, .offset = AT(key_file),
      .dflt_text = XHA_SYSCONF_DIR "/cluster.key", .min = 1, .max = PATH_MOST,
      .doc = "the cluster's key, with which hosts move domains between them" },
    { .name = "move.compress", .type = XHA_PARAM_ENUM, .live = true, .offset = AT(move.compress),
      .dflt = XHA_MOVE_LZ4, .word = word_move_compress, .words = XHA_MOVE_COMPRESS_N_,
      .doc = "how moves from this host are compressed: lz4, zstd or none" },
    { .name = "move.limit", .type = XHA_PARAM_INT, .live = true, .offset = AT(move.limit_kib),
      .dflt = 0, .min = 0, .max = INT32_MAX,
      .doc = "KiB a second that a move from this host may send; 0: no limit" },
    { .name = "move.port", .type = XHA_PARAM_INT, .live = true, .offset = AT(move.port),
      .dflt = 49160, .min = 1, .max = 65535,
      .doc = "the first of the TCP ports at which moves to this host are received" },
    { .name = "move.port_last", .type = XHA_PARAM_INT, .live = true, .offset = AT(move.port_last),
      .dflt = 49223, .min = 1, .max = 65535,
      .doc = "the last of them" },
    { .name = "on_shutdown", .type = XHA_PARAM_ENUM, .live = true, .offset = AT(on_shutdown),
      .dflt = XHA_ON_SHUTDOWN_EVACUATE, .word = word_on_shutdown, .words = XHA_ON_SHUTDOWN_N_,
      .doc = "what becomes of the guests when this host is shut down: evacuate, stop or leave" },
    { .name = "placement", .type = XHA_PARAM_ENUM, .live = true, .offset = AT(placement),
      .dflt = XHA_PLACE_BEST_FIT, .word = word_placement, .words = XHA_PLACEMENT_N_,
      .doc = "which of the hosts that can take a domain gets it: best-fit, worst-fit or round-robin" },
    { .name = "survive", .type = XHA_PARAM_INT, .live = true, .offset = AT(survive),
      .dflt = 0, .min = 0, .max = XHA_PLACE_K_MAX,
      .doc = "so many hosts may be lost at once and all domains still find a place; 0: not looked at" },
    { .name = "overcommit", .type = XHA_PARAM_INT, .live = true, .offset = AT(overcommit_percent),
      .dflt = 0, .min = 0, .max = 100000,
      .doc = "vCPUs that may be placed on 100 CPUs of a host; 0: any number" },
    { .name = "parallel_moves", .type = XHA_PARAM_INT, .live = true, .offset = AT(parallel_moves),
      .dflt = 2, .min = 1, .max = 64,
      .doc = "domains that leave a host in maintenance at once" },
    { .name = "move_timeout", .type = XHA_PARAM_SECONDS, .live = true, .offset = AT(move_timeout),
      .dflt = HOUR, .min = 10 * SECOND, .max = 24 * HOUR,
      .doc = "seconds after which a move that has not come to its end is given up" },
    { .name = "detection", .type = XHA_PARAM_SECONDS, .live = true, .offset = AT(timing.detection),
      .dflt = 3 * SECOND, .min = SECOND, .max = 5 * MINUTE,
      .doc = "seconds from the loss of a host until the others know; all other times follow from it" },
    { .name = "timing.poke", .type = XHA_PARAM_SECONDS, .live = true, .offset = AT(timing.poke), .dflt = 0,
      .min = 0, .max = MINUTE,
      .doc = "between two pokes of the watchdog; 0: derived" },
    { .name = "timing.watchdog", .type = XHA_PARAM_SECONDS, .live = true, .offset = AT(timing.watchdog), .dflt = 0,
      .min = 0, .max = HOUR,
      .doc = "the watchdog resets a host so long after the last poke; 0: derived" },
    { .name = "timing.margin", .type = XHA_PARAM_SECONDS, .live = true, .offset = AT(timing.margin), .dflt = 0,
      .min = 0, .max = HOUR,
      .doc = "for scheduling, and for the machine to stop; 0: derived" },
    { .name = "timing.takeover", .type = XHA_PARAM_SECONDS, .live = true, .offset = AT(timing.takeover), .dflt = 0,
      .min = 0, .max = HOUR,
      .doc = "after the loss, when no fence agent has said that the host is off; 0: derived" },
    { .name = "timing.fence_timeout", .type = XHA_PARAM_SECONDS, .live = true, .offset = AT(timing.fence_timeout), .dflt = 0,
      .min = 0, .max = HOUR,
      .doc = "the longest that fencing a host takes; 0: derived" },
    { .name = "timing.start", .type = XHA_PARAM_SECONDS, .live = true, .offset = AT(timing.start), .dflt = 0,
      .min = 0, .max = HOUR,
      .doc = "what building or restoring a domain is reckoned with; 0: derived" },
};
/* clang-format on */

_Static_assert(sizeof(rows) / sizeof(rows[0]) <= XHA_PARAMS_MAX, "struct xha_origin is too small");

static int read_list(const config_setting_t *s, const char *file, void *obj, struct xha_problems *problems)
{
    struct xha_conf *conf = obj;

    if (!strcmp(config_setting_name(s), "fence"))
        return xha_fence_conf_read(s, file, &conf->fence, problems);
    return XHA_PARAMS_UNKNOWN;
}

const struct xha_params xha_conf_params = {
    .manual = "xhad.conf(5)",
    .row = rows,
    .n = sizeof(rows) / sizeof(rows[0]),
    .other = read_list,
};

int xha_conf_default(struct xha_conf *conf_r)
{
    int rc;

    memset(conf_r, 0, sizeof(*conf_r));
    rc = xha_params_defaults(&xha_conf_params, conf_r, &conf_r->origin);
    if (rc)
        xha_conf_clear(conf_r);
    return rc;
}

static int line_of(const struct xha_conf *conf, const char *name)
{
    return conf->origin.line[xha_params_find(&xha_conf_params, name) - rows];
}

/* Relations between parameters; returns XHA_CONF_OK or XHA_CONF_E_BAD. */
static int check(const struct xha_conf *conf, struct xha_problems *problems)
{
    const struct xha_settings *s = &conf->settings;
    char window[32], interval[32];
    int rc = XHA_CONF_OK;

    if (s->vanish_grace.ms < s->round_interval.ms) {
        xha_problems_add(problems, conf->file, line_of(conf, "vanish_grace"),
                         "vanish_grace (%s) must not be less than heartbeat_interval (%s): a reboot would be "
                         "taken for a loss before anybody has looked twice",
                         xha_param_seconds_text(s->vanish_grace.ms, window, sizeof(window)),
                         xha_param_seconds_text(s->round_interval.ms, interval, sizeof(interval)));
        rc = XHA_CONF_E_BAD;
    }
    if (conf->move.port > conf->move.port_last) {
        xha_problems_add(problems, conf->file, line_of(conf, "move.port"),
                         "move.port (%" PRIu32 ") must not be more than move.port_last (%" PRIu32 ")",
                         conf->move.port, conf->move.port_last);
        rc = XHA_CONF_E_BAD;
    }
    if (xha_conf_check_timing(conf, problems) != XHA_CONF_OK)
        rc = XHA_CONF_E_BAD;
    if (s->parallel > s->max_domains) {
        xha_problems_add(problems, conf->file, line_of(conf, "parallel"),
                         "parallel (%" PRIu32 ") must not be more than max_domains (%" PRIu32 ")",
                         s->parallel, s->max_domains);
        rc = XHA_CONF_E_BAD;
    }
    return rc;
}

int xha_conf_parse(const char *file, const char *text, size_t len, struct xha_conf *conf_r,
                   struct xha_problems *problems)
{
    int rc;

    memset(conf_r, 0, sizeof(*conf_r));
    conf_r->file = strdup(file);
    if (!conf_r->file) {
        rc = XHA_CONF_E_NOMEM;
        goto out;
    }
    rc = xha_params_parse(&xha_conf_params, file, text, len, conf_r, &conf_r->origin, problems);
    if (rc)
        goto out;
    rc = check(conf_r, problems);
out:
    if (rc)
        xha_conf_clear(conf_r);
    return rc;
}

int xha_conf_load(const char *path, struct xha_conf *conf_r, struct xha_problems *problems)
{
    XHA_CLEANUP_FREE char *text = NULL;
    size_t len;
    int rc;

    memset(conf_r, 0, sizeof(*conf_r));
    rc = xha_params_slurp(path, &text, &len, problems);
    if (rc)
        return rc;
    return xha_conf_parse(path, text, len, conf_r, problems);
}

void xha_conf_clear(struct xha_conf *conf)
{
    xha_params_clear(&xha_conf_params, conf);
    xha_fence_conf_clear(&conf->fence);
    free(conf->file);
    memset(conf, 0, sizeof(*conf));
}

void xha_conf_print(const struct xha_conf *conf, bool docs, FILE *out)
{
    xha_params_print(&xha_conf_params, conf, &conf->origin, conf->file, docs, out);
    xha_fence_conf_print(&conf->fence, out);
}

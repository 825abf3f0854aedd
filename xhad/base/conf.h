/*
 * conf.h - xhad.conf: the settings of a host. Manual: xhad.conf(5).
 *
 * struct xha_conf holds the core's settings and all that the rooms around it need to know. Its parameters are
 * the rows of xha_conf_params. A struct from xha_conf_load() or xha_conf_default() owns its strings:
 * xha_conf_clear().
 */
#ifndef XHA_CONF_H
#define XHA_CONF_H

#include "xhad/base/fence_conf.h"
#include "xhad/base/params.h"
#include "xhad/core/cluster.h"

enum xha_log_level { XHA_LOG_ERROR, XHA_LOG_WARNING, XHA_LOG_INFO, XHA_LOG_DEBUG, XHA_LOG_LEVEL_N_ };

enum xha_log_target { XHA_LOG_STDERR, XHA_LOG_SYSLOG, XHA_LOG_TARGET_N_ };

/* What becomes of the guests when this host is shut down. */
enum xha_on_shutdown {
    XHA_ON_SHUTDOWN_EVACUATE, /* they are moved away; those that cannot be are stopped */
    XHA_ON_SHUTDOWN_STOP,     /* they are stopped, and started elsewhere where their policies allow */
    XHA_ON_SHUTDOWN_LEAVE,    /* not xhad's affair */
    XHA_ON_SHUTDOWN_N_
};

/* What this host does about itself when it is cut off, while the cluster is armed. */
enum xha_no_quorum {
    XHA_NO_QUORUM_FENCE,  /* Xen's watchdog resets it */
    XHA_NO_QUORUM_RUN_ON, /* its guests run on, and nobody takes them over on the watchdog's word */
    XHA_NO_QUORUM_N_
};

enum xha_move_compress { XHA_MOVE_LZ4, XHA_MOVE_ZSTD, XHA_MOVE_PLAIN, XHA_MOVE_COMPRESS_N_ };

struct xha_conf {
    struct xha_settings settings;
    char *helper;     /* the program that talks to the hypervisor */
    char *run_dir;    /* control.sock, pid, jobs/ */
    char *state_dir;  /* journal, history, domains/ */
    char *policy_dir; /* *.conf: the policies */
    char *checkpoint_dir;
    char *alarm_dir; /* executable hooks */
    enum xha_log_level log_level;
    enum xha_log_target log_target;
    uint32_t alarm_rate; /* alarms of one kind for one domain in a minute; more are counted and told once */
    uint32_t history_size_mib;
    char *metrics_file; /* "": none */
    bool cluster;       /* false: this host alone, without corosync */
    /* of this host as a member: what it is and has, for the others */
    char *address; /* where moves reach it, "": as corosync does */
    char *tags, *networks, *storages;
    uint32_t memory_reserve_mib;
    enum xha_no_quorum no_quorum;
    char *key_file;
    struct {
        enum xha_move_compress compress;
        uint32_t limit_kib; /* a second; 0: none */
        uint32_t port, port_last;
    } move;
    enum xha_on_shutdown on_shutdown;
    /* of the whole cluster: the newest change on any host holds */
    enum xha_placement placement;
    uint32_t survive, overcommit_percent, parallel_moves;
    struct xha_span move_timeout;
    struct xha_timing timing; /* what is wished for; 0: derived */
    struct xha_fence_conf fence;
    struct xha_span fence_check; /* between two questions whether the devices work; 0: not asked */
    char *file;                  /* where it was read from, NULL: only defaults */
    struct xha_origin origin;
};

extern const struct xha_params xha_conf_params;

/* The file that is read when none is named. */
extern const char xha_conf_path[];

/* Only defaults. Returns XHA_CONF_OK or XHA_CONF_E_NOMEM. */
int xha_conf_default(struct xha_conf *conf_r);

/*
 * Reads path. On any return but XHA_CONF_OK conf_r is cleared and the problems say why; all problems of the
 * file are told, not only the first.
 */
int xha_conf_load(const char *path, struct xha_conf *conf_r, struct xha_problems *problems);

/* The same from memory; file is only for messages. */
int xha_conf_parse(const char *file, const char *text, size_t len, struct xha_conf *conf_r,
                   struct xha_problems *problems);

void xha_conf_clear(struct xha_conf *conf);

/* As `xhad -n` shows it. */
void xha_conf_print(const struct xha_conf *conf, bool docs, FILE *out);

const char *xha_log_level_name(enum xha_log_level level);
const char *xha_log_target_name(enum xha_log_target target);
const char *xha_on_shutdown_name(enum xha_on_shutdown on_shutdown);
const char *xha_no_quorum_name(enum xha_no_quorum no_quorum);
const char *xha_move_compress_name(enum xha_move_compress compress);

/* ---- conf_cluster.c: what holds for the whole cluster ---- */

/* Whether a change of this parameter is told to all hosts. */
bool xha_conf_is_shared(const struct xha_param *param);

/* The parameters as the cluster core wants them, all times derived. */
void xha_conf_policy(const struct xha_conf *conf, struct xha_cluster_policy *policy_r);

/* What the times are derived from. */
void xha_conf_wish(const struct xha_conf *conf, struct xha_timing_wish *wish_r);

/* Whether the times keep a domain from running twice. XHA_CONF_OK or XHA_CONF_E_BAD. */
int xha_conf_check_timing(const struct xha_conf *conf, struct xha_problems *problems);

#endif

/*
 * script.h - a story of a cluster: hosts, domains, and what befalls them when.
 *
 * As tests/sim/script.h for one host: read from .sim files, made at random by the swarm, shrunk and written in
 * the same language. README.md in tests/scenario-cluster describes it. Hosts are called h1, h2, ...; h1 is
 * number 0 for the core.
 */
#ifndef XHA_CSIM_SCRIPT_H
#define XHA_CSIM_SCRIPT_H

#include "tests/sim/script.h"
#include "xhad/core/cluster.h"

#define CSIM_GUESTS_MAX 128
#define CSIM_TEXT_MAX   512
#define CSIM_GROUPS_MAX 4 /* parts that a network can split into */

enum csim_verb {
    /* the network */
    CSIM_NET_SPLIT,
    CSIM_NET_CUT,
    CSIM_NET_ONEWAY,
    CSIM_NET_HEAL,
    CSIM_NET_SLOW,
    /* a host */
    CSIM_H_POWER_FOR,
    CSIM_H_POWER,
    CSIM_H_BOOT,
    CSIM_H_HANG,
    CSIM_H_FREEZE,
    CSIM_H_DISK,
    CSIM_H_JOIN,
    CSIM_C_DOWN,
    CSIM_X_DIES_AFTER,
    CSIM_X_DOWN,
    CSIM_X_STOPS,
    /* fence devices */
    CSIM_F_FAILS_TIMES,
    CSIM_F_FAILS,
    CSIM_F_WORKS,
    CSIM_F_TAKES,
    CSIM_F_SILENT,
    /* guests */
    CSIM_G_CRASH,
    CSIM_G_POWEROFF,
    CSIM_G_REBOOT,
    CSIM_G_HANG,
    CSIM_G_BOOTS_DEAD,
    CSIM_G_BOOTS_WELL,
    CSIM_G_BOOTS_IN,
    CSIM_G_STOP_IGNORE,
    CSIM_G_STOP_OBEY,
    /* workers */
    CSIM_W_TAKES,
    CSIM_W_FAILS_TIMES,
    CSIM_W_FAILS,
    CSIM_W_UNKNOWN_TIMES,
    CSIM_W_WELL,
    CSIM_W_KILLED,
    CSIM_W_STALLS,
    CSIM_STREAM_CUT,
    /* operators */
    CSIM_OP_PROTECT,
    CSIM_OP_UNPROTECT,
    CSIM_OP_START,
    CSIM_OP_STOP,
    CSIM_OP_RESTART,
    CSIM_OP_MIGRATE_MODE,
    CSIM_OP_MIGRATE,
    CSIM_OP_MIGRATE_ANY,
    CSIM_OP_ABORT,
    CSIM_OP_MAINT_ON,
    CSIM_OP_MAINT_OFF,
    CSIM_OP_CONFIRM,
    CSIM_OP_ARM,
    CSIM_OP_DISARM,
    CSIM_OP_LEAVE,
    CSIM_OP_FORGET,
    /* replication */
    CSIM_W_SENDER_DIES,
    CSIM_W_COPY_DIES,
    /* judgements */
    CSIM_EXPECT_RUNS_ON,
    CSIM_EXPECT_RUNS,
    CSIM_EXPECT_STOPPED,
    CSIM_EXPECT_BACKUP,
    CSIM_EXPECT_BARE,
    CSIM_EXPECT_SPEAKS,
    CSIM_EXPECT_MUTE,
    CSIM_EXPECT_HOST,
    CSIM_EXPECT_SYNCED,
    CSIM_VERB_N_
};

struct csim_line {
    int64_t at_ms;
    enum csim_verb verb;
    int guest, host, host2; /* index, or -1 */
    int64_t span_ms;
    int64_t number;
    int word, word2;
    xha_hostset group[CSIM_GROUPS_MAX];
    unsigned lineno;
};

struct csim_guest_def {
    char name[SIM_NAME_MAX];
    struct xha_policy policy;
    struct xha_needs needs;
    char policy_text[CSIM_TEXT_MAX]; /* of the policy and of the needs */
    int host;                        /* where it is to run, or runs */
    bool running;                    /* runs already when the cluster comes up */
    bool later;                      /* not protected until an operator does */
};

struct csim_host_def {
    uint64_t memory_kib;
    bool absent;      /* not in the cluster until it joins */
    bool no_watchdog; /* has none to arm */
    bool no_fence;    /* no host has a fence device for it */
    bool fence_off;   /* its fence device leaves it switched off */
    int32_t drift_ppm;
    char tags[64];
};

enum csim_votes { CSIM_MAJORITY, CSIM_TWO_NODE, CSIM_QDEVICE, CSIM_VOTES_N_ };

enum csim_settle {
    CSIM_SETTLE_NONE,
    CSIM_SETTLE_ALL,       /* every host comes back */
    CSIM_SETTLE_SURVIVORS, /* what is off stays off, when the rest has quorum */
};

struct csim_script {
    const char *file;
    struct xha_settings settings;
    char settings_text[CSIM_TEXT_MAX];
    struct xha_cluster_policy cluster;
    char cluster_text[CSIM_TEXT_MAX];
    unsigned n_hosts;
    struct csim_host_def host[XHA_HOSTS_MAX];
    enum csim_votes votes;
    bool armed; /* self-fencing is ordered as soon as the cluster is up */
    uint64_t jitter;
    enum csim_settle settle;
    bool calm; /* one failure in a world that is well: the printed bounds must hold */
    int64_t end_ms;
    unsigned n_guests;
    struct csim_guest_def guest[CSIM_GUESTS_MAX];
    unsigned n_lines, cap_lines;
    struct csim_line *line;
};

void csim_script_init(struct csim_script *script, const char *file);
void csim_script_free(struct csim_script *script);
/* Both return 0, or -1 with "FILE:LINE: what is wrong" in err. */
int csim_script_read(struct csim_script *script, FILE *in, char *err, size_t err_len);
int csim_script_parse_line(struct csim_script *script, const char *text, unsigned lineno, char *err,
                           size_t err_len);
/* Adds a copy of the line, in no order: csim_script_sort() brings the lines into order of time. */
struct csim_line *csim_script_add(struct csim_script *script, const struct csim_line *line);
void csim_script_sort(struct csim_script *script);
void csim_script_write(const struct csim_script *script, FILE *out);
/* The line as it stands in a script, without its time; into buf, which is returned. */
const char *csim_line_text(const struct csim_script *script, const struct csim_line *line, char *buf,
                           size_t len);

/* keys.c: "key=value ..." of domains (policy and needs), of hosts, and of the cluster; -1 and a reason. */
int csim_guest_apply(struct csim_guest_def *guest, const char *text, char *err, size_t err_len);
int csim_host_apply(struct csim_host_def *host, const char *text, char *err, size_t err_len);
int csim_cluster_apply(struct xha_cluster_policy *policy, const char *text, char *err, size_t err_len);
void csim_guest_default(struct csim_guest_def *guest);
void csim_host_default(struct csim_host_def *host);
void csim_cluster_default(struct xha_cluster_policy *policy);
/* Host as keys, but for what is default; "" when all is. */
const char *csim_host_text(const struct csim_host_def *host, char *buf, size_t len);

#endif

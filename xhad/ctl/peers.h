/*
 * peers.h - this host as one of a cluster: the node (core/node.h), corosync, the log, fencing and the
 * watchdog, wired to the daemon. There is one when xhad.conf says `cluster = true`, else d->peers is NULL.
 *
 * peers.c builds it up and takes it down; peers_engine.c hears and tells the others; peers_step.c carries out what the cluster core
 * wants, peers_fence.c fences and asks whether it could; peers_info.c says what this host is; peers_watchdog.c arms, pokes and disarms; peers_texts.c carries
 * the domains' texts beside the state; peers_request.c gives orders to the cluster and waits for their answers;
 * peers_wait.c waits for their ends; peers_talk.c tells other hosts' xhad of progress, peers_ask.c asks them;
 * peers_log.c makes one history of all hosts'.
 *
 * What goes over the engine begins with a byte that says what it is: enum xha_peers_kind. All of it is hostile
 * until parsed.
 */
#ifndef XHA_CTL_PEERS_H
#define XHA_CTL_PEERS_H

#include "xhad/cluster/engine.h"
#include "xhad/cluster/fencer.h"
#include "xhad/cluster/watchdog.h"
#include "xhad/core/node.h"
#include "xhad/ctl/cluster_log.h"
#include "xhad/ctl/daemon.h"

enum xha_peers_kind {
    XHA_PEERS_CORE = 'C',     /* the cluster core's */
    XHA_PEERS_TEXT = 'T',     /* a text of a domain */
    XHA_PEERS_WANT = 'W',     /* who has that text? */
    XHA_PEERS_PROGRESS = 'P', /* JSON: how far a worker is, or how it ended */
    XHA_PEERS_LIMIT = 'L',    /* JSON: how fast the next move of a domain may be */
    XHA_PEERS_QUESTION = 'Q', /* JSON: what do you know of that domain? */
    XHA_PEERS_ANSWER = 'A',   /* JSON */
};

#define XHA_PEERS_JSON_MAX (1024 * 1024)

struct xha_peers_request;
struct xha_peers_wait;
struct xha_peers_question;
struct xha_text;
struct xha_peers_shutdown;

/* What is remembered of a domain for its moves and for the hosts that wait for it. */
struct xha_peers_interest {
    struct xha_uuid uuid;
    bool elsewhere;     /* another host waits for the end of an order */
    uint64_t limit_bps; /* of its next move; 0: as xhad.conf says */
    int64_t told_ms;    /* when progress was last told */
};

/* Whether the fence devices of another host answer us. */
struct xha_fence_check {
    bool asking; /* just now */
    bool known;  /* they were asked since they were configured and the host is there */
    bool failed;
    int64_t asked_ms; /* when they last answered, or did not */
    char text[400];   /* why it failed */
};

/* What this host does, and has done, to fence another one. */
struct xha_fence_work {
    bool running;     /* its agents are at it */
    bool given_up;    /* ... and were told to end */
    bool again;       /* ... and another order came before they had */
    uint32_t attempt; /* the newest order; the end of what runs is its answer */
    bool off;         /* this incarnation was switched off by us */
    struct xha_incarnation incarnation;
};

struct xha_peers {
    struct xha_daemon *d;
    struct xha_node *node;
    struct xha_node_plan plan;
    struct xha_cluster_log *log;
    struct xha_engine *engine;
    struct xha_fencer *fencer;
    struct xha_watchdog *watchdog;
    uv_prepare_t prepare; /* the log is made durable before the loop sleeps */
    uv_timer_t retry;     /* ... again, when that failed */
    uv_timer_t housekeeping;
    uv_timer_t farewell; /* how long a stop waits until the cluster knows that we are not armed */
    uint8_t self;
    char dir[XHA_JOB_PATH_MAX]; /* STATE/cluster */

    /* the engine */
    bool up, engine_closed;
    char why_down[300];
    uint64_t view;
    xha_hostset members, nodes;
    bool log_fails;

    /* fencing */
    struct xha_fence_work fence_work[XHA_HOSTS_MAX];
    struct xha_fence_check fence_check[XHA_HOSTS_MAX];
    unsigned fence_asking;  /* hosts whose devices are being asked */
    unsigned fence_devices; /* grows with every change of the devices */

    /* this host */
    struct xha_host_info info;
    bool info_told;
    enum xha_timing_real real; /* how corosync's times fit, as it was last told */
    bool unsafe;               /* corosync is set so that healthy hosts would be reset: not armed */
    int64_t poked_ms;          /* when a poke was last asked for */
    uint64_t disarm_after;     /* index that must be committed before the watchdog is disarmed; 0: none */
    bool leaving;              /* xhad is being stopped: not armed any more */

    /* orders, texts, talks */
    uint64_t number; /* of the newest request */
    struct xha_peers_request *requests;
    struct xha_peers_wait *waits;
    struct xha_peers_question *questions;
    struct xha_peers_log *logs;
    struct xha_text *texts;
    struct xha_peers_shutdown *shutdown; /* of this host, under way; else NULL */
    size_t text_bytes;
    struct xha_peers_interest *interest;
    size_t interests;
    struct xha_cluster_action *results; /* RESULTs that wait for the end of the step */
    size_t n_results, results_room;
    struct xha_uuid texts_one; /* of this domain alone; all zero: none */
    size_t texts_missing;      /* domains of the state whose texts are not here */
    bool texts_changed;        /* the state's texts are to be compared with ours */
    bool policies_due;         /* the policy directory waits for the cluster to decide again */
    bool settings_due;         /* shared settings of xhad.conf that the cluster has to be told */
    bool started;              /* all rooms are there */
    bool after;                /* xha_peers_after() is at work */
};

/* ---- peers.c ---- */

/* Finds out who we are, opens the log and makes the node. 0, or -1 with a text; an empty text: told to stop. */
int xha_peers_open(struct xha_daemon *d, char *err, size_t err_len);
/* After the recall: corosync is joined. */
int xha_peers_start(struct xha_daemon *d, char *err, size_t err_len);
/* Begins the end: says that this host is no longer armed. False: there is nothing to wait for. Otherwise
 * xha_daemon_stop() is called again by itself. */
bool xha_peers_farewell(struct xha_peers *p);
void xha_peers_close(struct xha_peers *p);
void xha_peers_free(struct xha_peers *p);
/* xhad.conf was read again; was: the settings before. */
void xha_peers_reload(struct xha_peers *p, const struct xha_conf *was);

const struct xha_cluster *xha_peers_state(const struct xha_peers *p);
/* Its name, or its number; returns buf. */
#define XHA_HOST_TEXT (XHA_NAME_MAX + 16)
const char *xha_peers_host(const struct xha_peers *p, unsigned host, char buf[XHA_HOST_TEXT]);
/* By name or number; -1: there is none. */
int xha_peers_find_host(const struct xha_peers *p, const char *text);

/* ---- peers_engine.c ---- */

extern const struct xha_engine_ops xha_peers_engine_ops;
/* Multicasts: the byte and then the rest. */
void xha_peers_send(struct xha_peers *p, enum xha_peers_kind kind, const void *bytes, size_t len);
/* Takes over json. */
void xha_peers_send_json(struct xha_peers *p, enum xha_peers_kind kind, json_t *json);

/* ---- peers_step.c ---- */

/* The cluster's half of the plan. */
void xha_peers_carry_out(struct xha_peers *p);
/* After the last plan of a step: what must not be done within. */
void xha_peers_after(struct xha_peers *p);
/* For xha_node_cluster(): one event; as xha_step(). Pointers in it must be dead by the end of the call. */
int xha_peers_step(struct xha_peers *p, struct xha_cluster_event *ev);
void xha_peers_alarm(struct xha_peers *p, const char *kind, enum xha_severity severity, const char *text);

/* ---- peers_fence.c ---- */

int xha_peers_fence_open(struct xha_peers *p);
void xha_peers_fence(struct xha_peers *p, const struct xha_cluster_action *a);
/*
 * A host that is proven to be off otherwise, or takes part again, must not be switched off by an attempt that is
 * still under way. An agent's own success goes on: it may have to switch the host on again.
 */
void xha_peers_fence_end(struct xha_peers *p, const struct xha_cluster_action *a);
/* Each second: asks the devices that it is time to ask. */
void xha_peers_fence_check(struct xha_peers *p);
/* The devices of xhad.conf have changed. */
void xha_peers_fence_reload(struct xha_peers *p);

/* ---- peers_info.c ---- */

/* STATE/cluster/self: who we were last time. false: not known. */
bool xha_peers_recall_self(struct xha_peers *p);
/* Tells the cluster what this host is, when that has changed. */
void xha_peers_inform(struct xha_peers *p);
/* The observer has seen what the host has. */
void xha_peers_measured(struct xha_peers *p, uint64_t memory_kib, uint32_t pcpus);
void xha_peers_boot(struct xha_uuid *boot_r);

/* ---- peers_watchdog.c ---- */

int xha_peers_watchdog_open(struct xha_peers *p);
/* Holds corosync's times against the cluster's: what does not fit is told, and keeps the watchdog off. */
void xha_peers_watchdog_judge(struct xha_peers *p);
/* A step is complete: pokes when that is due and allowed; arms and disarms. */
void xha_peers_watchdog(struct xha_peers *p);

/* ---- peers_texts.c ---- */

/* Computes the digests of a domain whose files are on disk. */
void xha_texts_digest(struct xha_peers *p, struct xha_domain *dom);
/* Multicasts the texts of a domain that is not in the table, and puts their digests into it. */
int xha_texts_send(struct xha_peers *p, struct xha_domain *dom);
void xha_texts_hear(struct xha_peers *p, const uint8_t *bytes, size_t len);
void xha_texts_hear_want(struct xha_peers *p, unsigned host, const uint8_t *bytes, size_t len);
/* Compares what the state says of a domain with what is here: installs, asks, removes. */
void xha_texts_check(struct xha_peers *p, const struct xha_uuid *uuid);
void xha_texts_check_all(struct xha_peers *p);
/* Whether the texts of a domain that the state knows are here; one that it does not know wants none. */
bool xha_texts_are_here(const struct xha_peers *p, const struct xha_uuid *uuid);
/* Domains that were protected here before this host was one of a cluster: into it. */
void xha_texts_bring_in(struct xha_peers *p);
void xha_texts_close(struct xha_peers *p);

/* ---- peers_request.c ---- */

/* The cluster's answer to a request: rc XHA_CORE_* or this, and a text. */
#define XHA_PEERS_TIMEOUT (-100)
const char *xha_peers_error_code(int rc);
typedef void xha_peers_result_cb(void *user, struct xha_daemon *d, int rc, const char *text);

/*
 * Gives the cluster an order; ev is a REQUEST but for its number. done is called once, later. What is wrong at
 * once comes back as an error code of the control socket (*code_r, text) and -1; then done is never called.
 */
int xha_peers_request(struct xha_peers *p, struct xha_cluster_event *ev, xha_peers_result_cb *done,
                      void *user, const char **code_r, char *text, size_t len);
/* Only whether it would be taken: 0, or -1 as above. */
int xha_peers_may(struct xha_peers *p, const struct xha_cluster_event *ev, const char **code_r, char *text,
                  size_t len);
void xha_peers_results(struct xha_peers *p);
void xha_peers_requests_check(struct xha_peers *p, bool all);
/* Protects a domain, or changes its policy; takes over dom. runs: it runs on this host. */
void xha_peers_protect(struct xha_peers *p, struct xha_domain *dom, bool runs, xha_protect_cb *done,
                       void *user);
/* The scheduling parameters of a domain were changed here: into the cluster, and to whoever runs it. */
void xha_peers_sched(struct xha_peers *p, uint64_t client, struct xha_domain *dom, bool wait);
/* Tells the cluster the shared settings of this host's xhad.conf. */
void xha_peers_tell_settings(struct xha_peers *p);

/* ---- peers_policies.c: the policy directory of one host among others ---- */

void xha_peers_policies(struct xha_peers *p, json_t *refused);

/* ---- peers_wait.c ---- */

void xha_peers_wait_order(struct xha_peers *p, uint64_t client, const struct xha_uuid *uuid,
                          enum xha_order_type order);
void xha_peers_wait_move(struct xha_peers *p, uint64_t client, const struct xha_uuid *uuid,
                         uint64_t last_move);
/* then: called instead of an answer, where it is not NULL. */
typedef void xha_peers_then(struct xha_peers *p);
void xha_peers_wait_maintenance(struct xha_peers *p, uint64_t client, uint8_t host, xha_peers_then *then);
/* The cluster said something of a domain or host. */
void xha_peers_wait_said(struct xha_peers *p, const struct xha_cluster_action *action);
/* A worker's word, from here or from another host. */
void xha_peers_wait_progress(struct xha_peers *p, const struct xha_uuid *uuid, json_t *progress);
void xha_peers_wait_worker(struct xha_peers *p, const struct xha_uuid *uuid, const char *verb,
                           enum xha_result result, const char *text);
void xha_peers_wait_check(struct xha_peers *p);
void xha_peers_wait_close(struct xha_peers *p);

/* ---- peers_shutdown.c ---- */

void xha_peers_shutdown_check(struct xha_peers *p);
/* The cluster decides again: what an earlier shutdown of this host has begun is ended. */
void xha_peers_shutdown_over(struct xha_peers *p);
void xha_peers_shutdown_close(struct xha_peers *p);

/* ---- peers_move.c ---- */

/* What a MIGRATE, RECEIVE, REPLICATE or STANDBY of dom adds to its job. */
void xha_peers_move_job(struct xha_peers *p, const struct xha_action *a, const struct xha_domain *dom,
                        struct xha_job *job);

/* ---- peers_talk.c ---- */

struct xha_peers_interest *xha_peers_interest(struct xha_peers *p, const struct xha_uuid *uuid);
void xha_peers_tell_progress(struct xha_peers *p, const struct xha_job *job, const char *step, uint64_t done,
                             uint64_t total, const struct xha_job_pace *pace);
void xha_peers_tell_done(struct xha_peers *p, const struct xha_job *job, const struct xha_job_done *done);
void xha_peers_hear(struct xha_peers *p, unsigned host, enum xha_peers_kind kind, const char *bytes,
                    size_t len);

/* ---- peers_ask.c ---- */

/* Asks a host what the command `cmd` would answer there; answered to the client, or by fallback() when the host
 * does not answer in time. */
typedef void xha_peers_fallback(struct xha_daemon *d, uint64_t client, const struct xha_uuid *uuid,
                                json_int_t lines);
void xha_peers_ask(struct xha_peers *p, uint64_t client, unsigned host, const char *cmd,
                   const struct xha_uuid *uuid, json_int_t lines, xha_peers_fallback *fallback);
/* Has a worker there answer: of job the UUID, verb (CHECKPOINTS or IMPORT), deadline and checkpoint.file are told. result
 * is borrowed; NULL: text says why. user is from malloc(); it is freed when xhad ends before. */
typedef void xha_peers_worked_cb(void *user, struct xha_daemon *d, const char *host, json_t *result,
                                 const char *text);
void xha_peers_ask_worker(struct xha_peers *p, unsigned host, const struct xha_job *job,
                          xha_peers_worked_cb *worked, void *user);
void xha_peers_questions_check(struct xha_peers *p, bool all);
void xha_peers_put_question(struct xha_peers *p, unsigned host, uint64_t id, const char *cmd,
                            const struct xha_uuid *uuid, json_int_t lines);
void xha_peers_hear_question(struct xha_peers *p, unsigned host, const json_t *json,
                             const struct xha_uuid *uuid);
void xha_peers_hear_answer(struct xha_peers *p, unsigned host, const json_t *json);

/* ---- peers_log.c ---- */

/* Answers the client with the newest lines of all hosts' histories, of one domain or (uuid NULL) of all. */
void xha_peers_log(struct xha_peers *p, uint64_t client, const struct xha_uuid *uuid, size_t lines);
void xha_peers_log_answer(struct xha_peers *p, unsigned host, uint64_t id, json_t *entries);
void xha_peers_logs_check(struct xha_peers *p, bool close);

#endif

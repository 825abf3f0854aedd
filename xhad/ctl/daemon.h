/*
 * daemon.h - the running xhad: all rooms wired together around the core. One per process, one thread.
 *
 * daemon.c builds it up and takes it down; step.c turns events into plans and plans into deeds; recall.c
 * brings back what an earlier xhad left; protect.c takes domains in; reload.c changes settings; cmd_*.c
 * answer people.
 */
#ifndef XHA_CTL_DAEMON_H
#define XHA_CTL_DAEMON_H

#include <uv.h>
#include "xhad/base/conf.h"
#include "xhad/base/job.h"
#include "xhad/base/log.h"
#include "xhad/ctl/alarm.h"
#include "xhad/ctl/clock.h"
#include "xhad/ctl/control.h"
#include "xhad/ctl/domains.h"
#include "xhad/ctl/history.h"
#include "xhad/ctl/jobs.h"
#include "xhad/ctl/observer.h"
#include "xhad/ctl/repl.h"
#include "xhad/ctl/store.h"
#include "xhad/ctl/trace.h"

struct xha_waiter;
struct xha_peers;
struct xha_fact;

struct xha_daemon {
    uv_loop_t loop;
    struct xha_conf conf;
    const char *conf_path;
    bool conf_rescued;      /* conf is an earlier one: the file is not accepted */
    const char *trace_path; /* NULL: no trace; set before the start */
    struct xha_clock clock;
    struct xha_core *own_core;   /* without a cluster; NULL with one */
    const struct xha_core *core; /* to look at: ours, or the node's */
    struct xha_plan plan;        /* without a cluster */
    struct xha_peers *peers;     /* NULL: no cluster */
    struct xha_trace *trace;
    struct xha_fact *queue; /* facts that arose while a plan was carried out */
    size_t queued, queue_room;
    bool stepping;
    uint64_t id_used;          /* no action or event of the core so far has a higher number */
    struct xha_time next;      /* the core wants to be asked then */
    struct xha_time committed; /* when the journal was last written */
    bool journal_fails, metrics_fail;
    uint64_t alarms_total, steps_total; /* since the start */
    int64_t metrics_ms;                 /* when they were written */

    struct xha_store *store;
    struct xha_history *history;
    struct xha_domains domains;
    struct xha_jobs *jobs;
    struct xha_observer *observer;
    struct xha_alarms *alarms;
    struct xha_control *control;
    struct xha_repls *repls;
    struct xha_waiter *waiters;
    struct xha_intake *intakes; /* domains being taken under protection */

    uv_timer_t tick, watchdog;
    uv_signal_t term, interrupt, hangup;
    bool stopping;
    int exit_code;
};

/* ---- daemon.c ---- */

/* Sets everything up; the run directory's lock is held by the caller. 0, or -1 after saying why in the log.
 */
int xha_daemon_start(struct xha_daemon *d, struct xha_conf *conf, const char *conf_path);
/* Runs until it is told to stop; cleans up. Returns the exit code of the program. */
int xha_daemon_run(struct xha_daemon *d);
void xha_daemon_stop(struct xha_daemon *d);
/* One line for `systemctl status`. */
void xha_daemon_status_line(const struct xha_daemon *d, char *buf, size_t len);

/* ---- step.c ---- */

/* One event through the core, its plan carried out; now is set here. Returns the core's rc. Called while a
 * plan is being carried out, the event waits for its end and the rc is 0. */
int xha_step(struct xha_daemon *d, struct xha_event *ev);
/* The same for a fact about the cluster, where there is one. */
int xha_step_cluster(struct xha_daemon *d, const struct xha_cluster_event *ev);
/* Answers of workers to deeds. */
void xha_step_done(void *daemon, const struct xha_job *job, const struct xha_job_done *done);
void xha_step_progress(void *daemon, const struct xha_job *job, const char *step, uint64_t done,
                       uint64_t total, const struct xha_job_pace *pace);
/* An alarm that is not the core's. domain may be NULL. */
void xha_step_alarm(struct xha_daemon *d, const char *kind, enum xha_severity severity,
                    const struct xha_domain *domain, const char *text);
/* Fills what all jobs of a domain have in common. */
void xha_step_job(const struct xha_daemon *d, const struct xha_domain *dom, struct xha_job *job_r);

/* ---- recall.c ---- */

/* The domains and records on disk: RECALL events; then jobs of an earlier xhad. */
void xha_daemon_recall(struct xha_daemon *d);

/* ---- protect.c, intake.c ---- */

/* Called once, later or at once. code NULL: it is protected. The texts are only lent. */
typedef void xha_protect_cb(void *user, struct xha_daemon *d, const char *name, const char *code,
                            const char *message, const char *hint);

/* Takes the domain of a policy file under protection; asks the helper, so it takes its time. */
void xha_protect_file(struct xha_daemon *d, const char *path, bool take_over, xha_protect_cb *done,
                      void *user);
/* Checks the file alone; for dry runs. XHA_CONF_OK, or a code with the problems; lacks_r: what it asks for and this
 * host cannot give ("is to be …"), or NULL. */
int xha_protect_check(const struct xha_daemon *d, const char *path, struct xha_problems *problems,
                      const char **lacks_r);
/* All policies of the directory that are new or changed. Problems of one, told as alarms and added to refused
 * (an array, may be NULL), do not stop the others. */
void xha_protect_dir(struct xha_daemon *d, json_t *refused);
void xha_protect_close(struct xha_daemon *d);

/* protect.c, for intake.c: takes a whole domain in, or gives it back with an error (code_r, text). */
int xha_protect_commit(struct xha_daemon *d, struct xha_domain *dom, const char **code_r, char *text,
                       size_t len);
/* Whether a file may be taken, in the place of old (NULL: of none): else its problems are told. */
bool xha_protect_may_take(struct xha_daemon *d, const struct xha_domain *old, const char *path,
                          json_t *refused);
/* Forgets it; the domain itself is left as it is. Returns the core's rc. */
int xha_protect_end(struct xha_daemon *d, struct xha_domain *dom);

/* ---- reload.c ---- */

/* Reads xhad.conf and the policies again. What was done and what was refused is put in report (an object). 0,
 * or -1: xhad.conf was refused as a whole and nothing of it was changed. */
int xha_reload(struct xha_daemon *d, json_t *report);
/* The same without doing anything. */
int xha_reload_check(const struct xha_daemon *d, json_t *report);

/* ---- cmd.c ---- */

/* Answers one request, now or later. */
void xha_cmd(void *daemon, uint64_t client, const struct xha_control_request *request);
/* The word of the control socket for a rc of the core. */
const char *xha_cmd_error_code(int rc);

/* ---- repl_state.c: replication as people see it ---- */

/* What workers say and how they end; takes what is of replication, and lets the rest be. */
void xha_repls_hear(struct xha_daemon *d, const struct xha_job *job, const char *step, uint64_t done,
                    uint64_t total, const struct xha_job_pace *pace);
void xha_repls_hear_epoch(void *daemon, const struct xha_job *job, const struct xha_job_epoch *epoch);
/* answer NULL: it was told to end. */
void xha_repls_hear_end(struct xha_daemon *d, const struct xha_job *job, const struct xha_job_done *answer);

/* How a domain is replicated; of one that another host owns, as far as the cluster's state says. */
struct xha_repl_status {
    const char
        *state; /* "syncing", "protected", "degraded" (it runs, and has no backup), "unprotected" (it does not
                          run); NULL: its policy wants no replication */
    char why[XHA_JOB_MESSAGE_MAX];     /* "" but for what takes its usual course */
    uint64_t pair;                     /* 0: none */
    uint8_t backup;                    /* or XHA_HOST_NONE */
    const struct xha_repl_epoch *last; /* that the backup of this pair holds; NULL: not known here, or none */
};
void xha_repls_status(const struct xha_daemon *d, const struct xha_uuid *uuid,
                      struct xha_repl_status *status_r);
/* Adds "replication", "replication_why", "backup" and "epoch_age_ms". */
void xha_repls_add(const struct xha_daemon *d, const struct xha_uuid *uuid, json_t *entry);

/* ---- wait.c: orders whose end somebody waits for ---- */

void xha_wait_add(struct xha_daemon *d, uint64_t client, const struct xha_uuid *uuid,
                  enum xha_order_type order, uint64_t term);
void xha_wait_progress(struct xha_daemon *d, const struct xha_job *job, const char *step, uint64_t done,
                       uint64_t total);
/* A worker has answered: before and after the core hears of it. */
void xha_wait_heard(struct xha_daemon *d, const struct xha_job *job, const struct xha_job_done *done);
void xha_wait_done(struct xha_daemon *d, const struct xha_job *job, const struct xha_job_done *done);
void xha_wait_check(struct xha_daemon *d);
void xha_wait_close(struct xha_daemon *d);

#endif

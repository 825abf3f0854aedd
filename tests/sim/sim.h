/*
 * sim.h - a world on virtual time around the real core: hosts, guests, toolstack, workers, and an xhad that
 * can die.
 *
 * sim_play() plays a script: it drives xha_core_step() as the daemon does, carries out the plans, and has the
 * rules (rules.c) look on. They know what is true in this world, not what the core believes. Everything is
 * decided by the script and its jitter seed.
 *
 *   world.c    hosts and domains as Xen has them          workers.c  deeds: their duration, outcome, death
 *   observe.c  listings, rounds, probes                   keeper.c   xhad: core, stored records, restarts
 *   lines.c    what each line of a script does            rules.c    what must always hold
 *   story.c    what is printed                            future.c   the queue of what will happen when
 */
#ifndef XHA_SIM_SIM_H
#define XHA_SIM_SIM_H

#include <stdio.h>

#include "tests/sim/rng.h"
#include "tests/sim/script.h"

#define SIM_INSTS_MAX 256
#define SIM_JOBS_MAX  256
#define SIM_HOSTS_MAX 8
#define SIM_CPS_MAX   16

/* ---- what will happen ------------------------------------------------------------------------------------
 */

enum sim_future_kind {
    SIM_F_LINE,     /* a: line */
    SIM_F_BOOTED,   /* a: instance, serial */
    SIM_F_OBEYS,    /* a: instance, serial; number: reason */
    SIM_F_GONE,     /* a: instance, serial */
    SIM_F_RECREATE, /* a: guest, b: host: somebody's toolstack creates it */
    SIM_F_HOST,     /* a: host: a trouble ends */
    SIM_F_ROUND,    /* a: host */
    SIM_F_LISTING,  /* a: host; b: xhad asked for it (LOOK), else @releaseDomain */
    SIM_F_DELIVER,  /* p: snapshot; a: from, b: to; xhad's life in serial */
    SIM_F_PROBE,    /* a: guest, b: host, number: domid; xhad's life in serial */
    SIM_F_JOB,      /* a: job, serial; b: enum sim_phase */
    SIM_F_XHAD_UP,
    SIM_F_SETTLE,
    SIM_F_REST, /* has everybody come to rest? */
};

struct sim_future {
    int64_t at_ms;
    uint64_t seq;
    enum sim_future_kind kind;
    int a, b;
    int64_t number;
    uint64_t serial;
    void *p;
};

struct sim_futures {
    unsigned n, cap;
    uint64_t seq;
    struct sim_future *heap;
};

void sim_future_put(struct sim_futures *f, const struct sim_future *what);
bool sim_future_peek(const struct sim_futures *f, int64_t *at_ms_r);
struct sim_future sim_future_take(struct sim_futures *f);
void sim_future_free(struct sim_futures *f);

/* ---- Xen ---- */

enum sim_death {
    SIM_DEATH_NONE,     /* never lived */
    SIM_DEATH_SHUT,     /* by its own doing: see reason */
    SIM_DEATH_CLEARED,  /* xhad destroyed it */
    SIM_DEATH_DESTROYED /* somebody else destroyed it */
};

/* One domain as Xen knows it. */
struct sim_inst {
    bool there;
    uint64_t serial;
    int guest, host;
    int32_t domid;
    bool ours;     /* made by one of our workers */
    bool building; /* paused by its maker */
    bool orphan;   /* its maker died while building it */
    bool paused, shut, dying;
    uint8_t reason;
    bool booted, dead, restored; /* dead: will never beat */
    bool hung, mute, junk, io, idle;
    bool asked;                                  /* to shut down, before it listened */
    int64_t created_ms, unpaused_ms, touched_ms; /* touched: by somebody: paused, shut, … */
    int64_t verdict_ms;                          /* xhad rightly found it ill, -1: it did not */
    int64_t well_ms;                             /* well since, -1: it is not */
    int64_t beat_ms_seen;                        /* when its beat in xenstore last changed */
    int64_t settled_ms;                          /* counters are true up to here */
    int64_t cpu_ms, beat_ms, io_ms;
};

struct sim_host {
    int64_t bad_from; /* xenstore or dom0 is ill since */
    int64_t starved_until, xs_bad_until, xs_slow_until, silent_until;
    int64_t due_ms;       /* next round */
    int64_t delivered_ms; /* the last listing on its way arrives: they keep their order */
    int32_t next_domid;
    bool maintenance;       /* an operator's order that was acknowledged */
    int64_t told_ms;        /* began of the last round that the core got */
    int64_t told_beats_ms;  /* ... of the last one with beats */
    int64_t told_health_ms; /* ... of the last one that tried to read them */
    bool listing_due;
};

enum sim_how {
    SIM_WELL,
    SIM_FAILS,
    SIM_UNKNOWN,
};

/* How the workers for one domain and verb behave. */
struct sim_habit {
    int64_t takes_ms;
    enum sim_how how;
    int word;  /* enum xha_refusal or enum sim_effect */
    int times; /* left, 0: for ever */
};

struct sim_checkpoint {
    uint64_t number;
    bool corrupt;
};

enum sim_wish {
    SIM_WISH_NONE,
    SIM_WISH_RUN,
    SIM_WISH_STOP,
};

struct sim_guest {
    char name[SIM_NAME_MAX];
    struct xha_uuid uuid;
    struct xha_policy policy;
    int host;
    struct sim_habit habit[XHA_ACT_N_];
    int64_t boot_ms, stop_ms;
    bool boots_dead, restores_dead, ignores_stop;
    unsigned n_cps;
    uint64_t cp_number;
    struct sim_checkpoint cp[SIM_CPS_MAX]; /* oldest first */
    /* what the rules know */
    bool protected_, maintenance;
    enum sim_wish wish; /* the last order that was acknowledged */
    bool unclear;       /* an order of which nobody knows whether it was taken: no judgement until the next */
    bool order_open;    /* it may be started or cleared on an order that is still being worked on */
    int64_t order_ms, policy_ms;
    enum sim_death death; /* of the last instance */
    uint8_t death_reason;
    bool swept; /* ... and somebody removed what was left, so that its reason may not be known */
    bool stray; /* ... and it came and went before xhad took it for its own */
    int64_t death_ms;
    int64_t unknown_ms; /* last deed that ended UNKNOWN */
    uint64_t term;
    unsigned n_recoveries;
    int64_t recovery_ms[64]; /* starts and restores that nobody ordered; a ring */
    int64_t way_ms;          /* on its way to run since */
    int64_t done_ms;         /* the core was last told of a deed's end */
    bool no_claim;           /* nobody can say whether it should run: its policy stopped it, say */
    bool held_open;          /* ... when maintenance began */
    bool order_waits;        /* the order waits for a deed to end */
    bool dup_seen;
};

/* ---- deeds ---- */

enum sim_phase {
    SIM_J_BEGIN,
    SIM_J_MID,
    SIM_J_END,
    SIM_J_DEADLINE,
    SIM_J_REPORT,
};

struct sim_job {
    bool used;
    uint64_t serial, id;
    unsigned nth; /* for people: the nth deed of this run */
    enum xha_action_type type;
    int guest, host;
    int32_t domid;
    uint64_t checkpoint;
    int64_t queued_ms, takes_ms, mid_ms;
    bool begun, ended, nothing; /* nothing: it only reports */
    struct sim_habit habit;
    int inst; /* what it builds or works on, -1 */
    uint64_t inst_serial;
    enum xha_result result;
    enum xha_refusal refusal;
    int32_t new_domid;
    uint32_t skipped;
};

/* ---- xhad ------------------------------------------------------------------------------------------------
 */

struct sim_stored {
    bool there, have_record;
    struct xha_policy policy;
    struct xha_record record;
    unsigned order; /* of protection */
};

/* States × signals of the core, counted. */
enum sim_signal {
    SIM_SIG_TICK,
    SIM_SIG_SEEN_RUNS,
    SIM_SIG_SEEN_STALE_BEAT,
    SIM_SIG_SEEN_PAUSED,
    SIM_SIG_SEEN_SHUT,
    SIM_SIG_SEEN_SUSPENDED,
    SIM_SIG_SEEN_DYING,
    SIM_SIG_SEEN_OTHER,
    SIM_SIG_GONE,
    SIM_SIG_PROBED,
    SIM_SIG_DONE_OK,
    SIM_SIG_DONE_REFUSED,
    SIM_SIG_DONE_UNKNOWN,
    SIM_SIG_RECALL,
    SIM_SIG_PROTECT,
    SIM_SIG_UNPROTECT,
    SIM_SIG_ORDER, /* + enum xha_order_type */
    SIM_SIG_N_ = SIM_SIG_ORDER + XHA_DO_N_,
};

struct sim_cover {
    uint64_t hit[XHA_ST_N_][SIM_SIG_N_];
    uint64_t went[XHA_ST_N_][XHA_ST_N_];
    uint64_t action[XHA_ACT_N_];
    uint64_t cause[XHA_CAUSE_N_];
    uint64_t steps;
    uint64_t virtual_ms;
};

struct sim {
    const struct sim_script *script;
    FILE *story; /* NULL: silent */
    bool verbose;
    struct sim_cover *cover; /* may be NULL */
    struct sim_rng rng;
    bool jitter;
    int64_t now_ms, end_ms;
    struct sim_futures futures;
    uint64_t serial;
    int64_t listings_late_ms;

    struct xha_settings settings;
    unsigned n_hosts, n_guests;
    struct sim_host host[SIM_HOSTS_MAX];
    struct sim_guest guest[SIM_GUESTS_MAX];
    struct sim_inst inst[SIM_INSTS_MAX];
    unsigned n_insts; /* slots in use lie below */
    struct sim_job job[SIM_JOBS_MAX];
    unsigned n_jobs;

    struct xha_core *core; /* NULL: xhad is down */
    struct xha_plan plan;
    uint64_t life; /* counts xhad's restarts */
    int64_t tick_ms;
    uint64_t next_id, max_id;
    unsigned deeds;
    int64_t die_after; /* actions until xhad dies; -1: it does not */
    int64_t down_ms;
    int64_t up_since_ms;
    unsigned spins; /* ticks without time passing */
    struct sim_stored stored[SIM_GUESTS_MAX];
    unsigned protections;
    uint64_t persisted[SIM_GUESTS_MAX]; /* pending id of the record last stored in this plan */
    bool persisted_now[SIM_GUESTS_MAX];

    bool settling;
    int64_t rest_since; /* settling: everybody rests since, -1: not */
    bool failed;        /* a rule is broken, or an expectation not met */
    char why[512];
};

/* Plays the whole script. Returns 0, or -1 with the reason in sim->why. sim is to be freed in both cases. */
int sim_play(struct sim *sim, const struct sim_script *script);
void sim_free(struct sim *sim);

/* The first failure counts; the run ends. */
void sim_fail(struct sim *sim, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* ms, or with jitter something between half and twice that. */
int64_t sim_about(struct sim *sim, int64_t ms);
void sim_in(struct sim *sim, int64_t ms, struct sim_future what);

/* ---- world.c ----------------------------------------------------------------------------------------------
 */

void sim_world_init(struct sim *sim);
/* Index of a new domain, paused by its maker. */
int sim_inst_create(struct sim *sim, int guest, int host, bool ours);
void sim_inst_unpause(struct sim *sim, int i);
void sim_inst_shut(struct sim *sim, int i, uint8_t reason);
/* Dying now, gone a little later. */
void sim_inst_destroy(struct sim *sim, int i, enum sim_death by);
void sim_inst_gone(struct sim *sim, int i);
void sim_inst_booted(struct sim *sim, int i);
/* After any change of flags: brings the counters up to now (before) and judges anew whether it is well
 * (after). */
void sim_inst_before(struct sim *sim, int i);
void sim_inst_after(struct sim *sim, int i);
/* The power fails: xhad is down for down_ms, and the domains and workers of that host are gone. */
void sim_host_reboot(struct sim *sim, int host, int64_t down_ms);
void sim_host_before(struct sim *sim, int host);
void sim_host_after(struct sim *sim, int host);
/* The newest domain of a guest that is there (host -1: on any), or -1. */
int sim_inst_find(const struct sim *sim, int guest, int host);
int sim_inst_find_domid(const struct sim *sim, int host, int32_t domid);
bool sim_inst_alive(const struct sim_inst *inst);
uint64_t sim_inst_beat(const struct sim_inst *inst);
bool sim_host_starved(const struct sim *sim, int host);
bool sim_host_xenstore_ok(const struct sim *sim, int host);
int sim_guest_find(const struct sim *sim, const struct xha_uuid *uuid);

/* ---- observe.c -------------------------------------------------------------------------------------------
 */

void sim_round(struct sim *sim, int host);
void sim_listing_soon(struct sim *sim, int host);
void sim_listing(struct sim *sim, const struct sim_future *f);
void sim_deliver(struct sim *sim, struct sim_future *f);
void sim_probe_ask(struct sim *sim, const struct xha_action *act);
void sim_probe_answer(struct sim *sim, const struct sim_future *f);
void sim_future_drop(struct sim_future *f);

/* ---- workers.c ---- */

void sim_job_start(struct sim *sim, const struct xha_action *act, int guest);
void sim_job_phase(struct sim *sim, const struct sim_future *f);
/* The worker of a guest is killed now. */
void sim_job_kill(struct sim *sim, int guest);
void sim_jobs_redeliver(struct sim *sim);
const struct sim_job *sim_job_find(const struct sim *sim, uint64_t id);
int64_t sim_habit_default_ms(enum xha_action_type type);

/* ---- keeper.c --------------------------------------------------------------------------------------------
 */

void sim_xhad_up(struct sim *sim);
void sim_xhad_down(struct sim *sim, int64_t down_ms);
/* One event into the core; the plan is carried out. Returns the core's answer, or -99 when xhad is (then)
 * down. */
int sim_step(struct sim *sim, struct xha_event *ev);
int sim_protect(struct sim *sim, int guest);

/* ---- lines.c ---- */

void sim_line_play(struct sim *sim, const struct sim_line *line);
/* All that disturbs ends: workers do their work, xenstore is well, guests boot. */
void sim_settle(struct sim *sim);

/* ---- rules.c ---- */

void sim_rules_action(struct sim *sim, const struct xha_action *act, int guest);
/* rc: the core's answer, or -99: xhad died over it. */
void sim_rules_order(struct sim *sim, int guest, enum xha_order_type type, int rc, bool was_open);
void sim_rules_died(struct sim *sim, const struct sim_inst *inst, enum sim_death how);
void sim_rules_after(struct sim *sim);
void sim_rules_end(struct sim *sim);
bool sim_rules_rest(const struct sim *sim);
/* How long after the last disturbance everybody must have come to rest. */
int64_t sim_rules_bound_ms(const struct sim *sim);

/* ---- story.c ---- */

void sim_say(struct sim *sim, const char *who, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void sim_say_action(struct sim *sim, const struct xha_action *act, int guest);
void sim_say_event(struct sim *sim, const struct xha_event *ev, int rc);
void sim_say_end(struct sim *sim);
void sim_cover_event(struct sim *sim, const struct xha_event *ev, int guest);
const char *sim_signal_name(int signal);

#endif

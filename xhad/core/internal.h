/*
 * internal.h - what the files of the core share; nobody outside core/ includes it.
 *
 *   core.c    life of the core, events in, the order of work within a step, views
 *   store.c   domains by UUID, lists, records
 *   heap.c    indexed binary heap: timers
 *   pair.c    pairing heap: the recovery queues
 *   plan.c    actions out
 *   fsm.c     state x signal: one matrix, every pair has a row
 *   life.c    reactions to what domains and workers do: fail, clear, start, stop
 *   doubt.c   settling what is not known: after UNKNOWN, after a restart of xhad
 *   health.c  sightings, rounds, beats, the host's own health
 *   probe.c   judging a domain whose beat is late
 *   queue.c   who is next: tiers, turns, limits, backoff
 *   own.c     whose it is: taken, yielded, given up, and leave to start anything
 *   move.c    a domain moves between hosts
 *   repl.c    a domain is replicated between hosts: the owner's side and the backup's
 *   orders.c  state x order: what an operator may want when
 *   words.c   spelling
 *
 * One deed at a time per domain: while one is pending, sightings of that domain are not believed, and after
 * it only those of a younger listing are.
 */
#ifndef XHA_CORE_INTERNAL_H
#define XHA_CORE_INTERNAL_H

#include "core.h"

#include <assert.h>
#include <string.h>

#define NONE32 UINT32_MAX

/* What the matrix in fsm.c reacts to. */
enum signal {
    SIG_ALIVE,     /* seen: there, neither shut down nor paused */
    SIG_BEAT,      /* its beat advanced */
    SIG_PAUSED,    /* seen paused, by somebody else */
    SIG_SUSPENDED, /* seen shut down with reason suspend, and not by us */
    SIG_DIED,      /* seen shut down; reason in dom.seen_reason */
    SIG_GONE,      /* not in a complete listing */
    SIG_REPLACED,  /* gone, but its UUID is there under another domid: dom.other */
    SIG_OK,        /* the pending deed ended well */
    SIG_REFUSED,
    SIG_UNKNOWN,
    SIG_TIMER,  /* the state's own timer */
    SIG_LATE,   /* beat late, at the end of a round in which the host was well */
    SIG_PROBED, /* a probe was answered: dom.probe */
    SIG_TURN,   /* its turn in the queue */
    SIG_N_
};

enum timer {
    TIMER_STATE, /* meaning depends on the state */
    TIMER_LATE,  /* beat due */
    TIMER_SAVE,  /* periodic checkpoint due */
    TIMER_READY, /* ready_cap: stop holding the tiers above */
    TIMER_PEND,  /* the adapter should long have answered */
    TIMER_REPL,  /* what a pair waits for is tried again */
    TIMER_N_
};

struct link {
    uint32_t prev, next; /* indexes of domains, NONE32 at the ends */
};

struct list {
    uint32_t head, tail;
};

struct pair {
    uint32_t child, next, prev; /* prev: the left sibling, or of a first child the parent */
};

struct dom {
    bool used;
    uint32_t hash_next;
    struct xha_uuid uuid;
    char name[XHA_NAME_MAX];
    struct xha_policy policy;

    enum xha_state state;
    enum xha_purpose purpose;
    enum xha_failure failure;
    enum xha_cause cause;
    uint32_t cause_detail;
    struct xha_time since;
    bool want_run;
    uint8_t host;
    int32_t domid;
    uint64_t term;

    /* the deed under way */
    enum xha_action_type pending;
    uint64_t pending_id;
    enum xha_action_type lost; /* UNSURE: the deed whose end is not known; NONE after a restart of xhad */
    struct xha_time settled;   /* listings not younger than this are not believed */
    bool deferred;             /* an order waits for the deed to end, and for doubt to be settled */
    enum xha_order_type deferred_do;
    uint64_t deferred_checkpoint;
    uint64_t checkpoint;      /* what a RESTORE order named */
    enum xha_refusal refusal; /* of the deed that just ended */
    uint32_t skipped;
    int32_t done_domid;
    uint8_t restores;
    uint32_t clear_tries;

    /* as last seen */
    struct xha_time listed; /* the listing that it was last seen in; -1: this domid has never been seen */
    bool news;              /* that was its first sighting, and it is none of ours */
    bool seen_active;       /* ... and neither paused, shut nor dying there */
    bool was_active;        /* in the sighting before that */
    bool seen_paused;
    uint8_t seen_reason;
    struct {
        struct xha_time listed;
        int32_t domid;
        bool active;
    } other;             /* the same UUID under another domid */
    struct link present; /* domains with a domid, least recently seen first */
    bool in_present;

    /* life signs */
    bool fresh;  /* this domid was started by us: any beat is a new one */
    bool beaten; /* this domid has beaten */
    bool ever_beat;
    bool pulse_known;
    uint64_t pulse; /* beat counter, or vCPU time where there is no agent */
    struct xha_time last_beat;
    bool watched; /* a beat is expected */
    struct xha_time watch_since;
    bool late;
    struct link lates;
    bool judged;  /* SUSPECT: judged and left alone; failure says as what */
    bool excused; /* ... by its I/O, which had come to excused_io */
    uint64_t excused_io;
    bool held;
    bool probe_known;
    struct xha_probed probe, probe_first;
    struct xha_time probe_at; /* of probe_first */
    struct xha_time last_save;

    /* queue */
    bool queued;    /* in its host's queue */
    int64_t key[3]; /* tier, then by the order */
    struct pair pair;
    bool slot;
    bool blocks;  /* its tier's readiness waits for it */
    bool capped;  /* ... no longer: ready_cap passed */
    bool delayed; /* start_delay has been, or is being, waited */
    struct xha_time waits_since, last_turn, next_try, started;
    int64_t start_ms; /* measured, smoothed; 0: never */
    uint32_t n_recoveries;
    struct xha_time recovery[XHA_HISTORY_MAX];

    /* in a cluster */
    struct xha_move move; /* MIGRATING, INCOMING */
    bool move_sent;       /* as in the record */
    enum xha_verdict verdict;
    enum xha_yield yield; /* it is not this host's any more; nothing but that is done */
    bool yield_waits;     /* ... when the deed under way has ended */
    bool relocate, given_up;
    struct xha_move repl; /* the pair whose owner this host is */
    enum xha_repl repl_stage;
    uint64_t repl_deed; /* beside `pending`: REPLICATE or GATE_OPEN */
    bool silent;        /* STANDBY */

    uint64_t persist_step; /* the step in which PERSIST was last emitted */
};

struct heap_item {
    int64_t key;
    uint32_t what;
};

/* Indexed min-heap over items 0..max-1, each at most once in it. */
struct heap {
    uint32_t n, max;
    struct heap_item *item;
    uint32_t *pos; /* of an item, NONE32 when out */
};

struct host {
    bool ill, mass_expired, maintenance, alarmed_rounds;
    uint64_t looked_step;
    struct xha_time ill_since, grace_from, last_round, last_beat_round;
    struct xha_round round; /* the last one with beats */
    uint64_t rounds, beat_rounds;
    struct list present, lates;
    uint32_t queue; /* root of the pairing heap of those whose turn may come */
    uint32_t n_beating, n_late, n_queued, under_way, n_saving;
    uint16_t coming[XHA_TIERS];
    /* work that goes on over full plans */
    bool sweeping, weigh, judging;
    uint32_t sweep_next, judge_next;
    struct xha_time sweep_listed;
    bool maint_work, maint_on;
    uint32_t maint_next;
};

struct xha_core {
    struct xha_settings set;
    struct xha_time now;
    uint64_t next_id, step, event_id;
    uint32_t n, n_hash;
    uint32_t *order; /* domains in the order of protection */
    uint32_t *free;  /* stack of free slots */
    uint32_t n_free;
    uint32_t *hash;
    struct dom *dom;
    struct heap timers; /* what = domain * TIMER_N_ + timer */
    struct host host[XHA_HOSTS_MAX];
    bool cluster, denied; /* PERMIT was ever said; ... and nothing may be started now */
    uint64_t hosts_used;  /* bit per host that has been heard of */
    struct xha_plan *plan;
};

/* The most actions that one signal can put into a plan; work stops and goes on in the next step when less is
 * left. */
#define PLAN_ROOM 16

#define CLEAR_DEADLINE_MS    60000
#define SHUTDOWN_DEADLINE_MS 30000
#define SAVE_DEADLINE_MS     1800000
#define SHORT_DEADLINE_MS    60000
#define PEND_MARGIN_MS       60000 /* beyond the deadline: the worker cannot even be killed */
#define REPL_AGAIN_MS        250   /* whoever waits for the end of a pair looks again */
#define LOOK_AGAIN_MS        5000
#define CLEAR_AGAIN_MS       5000
#define RESTORES_MAX         2 /* then a cold start: the saved state itself may be ill */
/* Below this share of wall time a vCPU stands still: a halted, tickless Linux still takes about 50 us per
 * timer. */
#define STILL_NS_PER_MS 20

static inline struct xha_time after(struct xha_time t, struct xha_span s)
{
    return t.ms > INT64_MAX - s.ms ? XHA_TIME_NEVER : (struct xha_time){ t.ms + s.ms };
}

static inline bool before(struct xha_time a, struct xha_time b)
{
    return a.ms < b.ms;
}

static inline uint32_t index_of(const struct xha_core *core, const struct dom *d)
{
    return (uint32_t)(d - core->dom);
}

static inline struct host *host_of(struct xha_core *core, const struct dom *d)
{
    return &core->host[d->host];
}

static inline bool room(const struct xha_core *core)
{
    return core->plan->n + PLAN_ROOM <= XHA_PLAN_MAX;
}

/* heap.c */
void xha_heap_set(struct heap *h, uint32_t what, int64_t key);
void xha_heap_drop(struct heap *h, uint32_t what);
bool xha_heap_has(const struct heap *h, uint32_t what);
void xha_heap_audit(const struct heap *h);

/* pair.c */
void xha_pair_add(struct xha_core *core, uint32_t *root, struct dom *d);
void xha_pair_drop(struct xha_core *core, uint32_t *root, struct dom *d);

/* store.c */
struct dom *xha_store_find(const struct xha_core *core, const struct xha_uuid *uuid);
struct dom *xha_store_add(struct xha_core *core, const struct xha_uuid *uuid); /* NULL: full */
void xha_store_drop(struct xha_core *core, struct dom *d);
void xha_store_domid(struct xha_core *core, struct dom *d, int32_t domid);
void xha_store_seen(struct xha_core *core, struct dom *d);
void xha_store_save(const struct xha_core *core, const struct dom *d, struct xha_record *record_r);
void xha_store_load(struct xha_core *core, struct dom *d, const struct xha_record *record);
void xha_list_append(struct xha_core *core, struct list *list, struct link *(*of)(struct dom *),
                     struct dom *d);
void xha_list_remove(struct xha_core *core, struct list *list, struct link *(*of)(struct dom *),
                     struct dom *d);
struct link *xha_link_late(struct dom *d);

/* plan.c */
void xha_plan_begin(struct xha_core *core, struct xha_plan *plan);
void xha_persist(struct xha_core *core, struct dom *d);
void xha_forget(struct xha_core *core, const struct dom *d);
void xha_deed(struct xha_core *core, struct dom *d, enum xha_action_type type, int64_t deadline_ms,
              enum xha_cause cause);
bool xha_cancel(struct xha_core *core, const struct dom *d); /* of a move; false: there is no such deed */
void xha_beside(struct xha_core *core, struct dom *d, enum xha_action_type type, int64_t deadline_ms,
                enum xha_cause cause);
void xha_tell_worker(struct xha_core *core, const struct dom *d, enum xha_action_type type, uint64_t id);
void xha_say_give_up(struct xha_core *core, const struct dom *d, uint32_t detail);
void xha_ask_probe(struct xha_core *core, struct dom *d);
void xha_ask_look(struct xha_core *core, uint8_t host);
void xha_alarm(struct xha_core *core, const struct dom *d, enum xha_severity sev, enum xha_cause cause,
               uint32_t detail);
void xha_alarm_host(struct xha_core *core, uint8_t host, enum xha_severity sev, enum xha_cause cause,
                    uint32_t detail);
void xha_go(struct xha_core *core, struct dom *d, enum xha_state to, enum xha_cause cause, uint32_t detail);
void xha_note(struct xha_core *core, struct dom *d, enum xha_cause cause,
              uint32_t detail); /* no change of state */
void xha_timer(struct xha_core *core, struct dom *d, enum timer timer, struct xha_time at);
void xha_timer_off(struct xha_core *core, struct dom *d, enum timer timer);

/* fsm.c */
void xha_fsm(struct xha_core *core, struct dom *d, enum signal sig);
void xha_fsm_audit(void);

/* life.c */
typedef void handler(struct xha_core *core, struct dom *d);
handler xha_adopt, xha_adopt_other, xha_appeared, xha_appeared_paused, xha_other_at_rest, xha_died,
    xha_vanish, xha_vanished_for_good, xha_pause, xha_pause_gone, xha_unpause, xha_cleared, xha_clear_refused,
    xha_clear_again, xha_unsure, xha_turn, xha_started, xha_start_refused, xha_run_ok, xha_run_refused,
    xha_run_unknown, xha_asked, xha_ask_refused, xha_stop_late, xha_stop_died, xha_stop_other;
void xha_fail(struct xha_core *core, struct dom *d, enum xha_failure failure);
bool xha_must_not_clear(const struct xha_core *core, const struct dom *d);
void xha_clear(struct xha_core *core, struct dom *d, enum xha_cause cause, uint32_t detail);
void xha_done(struct xha_core *core, struct dom *d, const struct xha_event *ev);
void xha_deferred(struct xha_core *core, struct dom *d);
void xha_save_due(struct xha_core *core, struct dom *d);
void xha_run(struct xha_core *core, struct dom *d, enum xha_cause cause, uint32_t detail);
void xha_rest(struct xha_core *core, struct dom *d, enum xha_state state, enum xha_cause cause,
              uint32_t detail);

void xha_run_or_boot(struct xha_core *core, struct dom *d, enum xha_cause cause);

/* own.c */
void xha_permit(struct xha_core *core, uint8_t host, bool start);
void xha_take(struct xha_core *core, struct dom *d, const struct xha_event *ev);
void xha_recoveries_elsewhere(struct xha_core *core, struct dom *d, uint32_t n);
bool xha_give_up(struct xha_core *core, struct dom *d, uint32_t detail); /* false: it stays */
void xha_let_go(struct xha_core *core, struct dom *d, enum xha_cause cause, uint32_t detail);
int xha_yield(struct xha_core *core, struct dom *d, enum xha_yield how);
void xha_yield_begin(struct xha_core *core, struct dom *d, enum xha_yield how);
void xha_yield_go(struct xha_core *core, struct dom *d);
void xha_yield_waited(struct xha_core *core, struct dom *d, enum xha_result result);
void xha_yield_cleared(struct xha_core *core, struct dom *d);

/* move.c */
handler xha_migrated, xha_migrate_refused, xha_migrate_unknown, xha_received, xha_receive_refused,
    xha_receive_unknown, xha_move_timer;
int xha_move_out(struct xha_core *core, struct dom *d, const struct xha_move *move);
void xha_incoming(struct xha_core *core, struct dom *d, const struct xha_event *ev);
void xha_move_stopped(struct xha_core *core, struct dom *d); /* it is stopped, so that its disks can go */
int xha_listening(struct dom *d, uint64_t id, uint16_t port);
int xha_verdict(struct xha_core *core, struct dom *d, uint64_t move, bool commit);
void xha_moved_in(struct xha_core *core, struct dom *d, enum xha_cause cause);
int xha_move_cancel(struct xha_core *core, struct dom *d, uint64_t move);
void xha_move_recall(struct xha_core *core, struct dom *d);

/* repl.c */
handler xha_standby_ok, xha_standby_refused, xha_standby_unknown, xha_repl_timer;
int xha_replicate(struct xha_core *core, struct dom *d, const struct xha_move *pair);
int xha_replicated(struct xha_core *core, struct dom *d, uint64_t id);
int xha_silent(struct dom *d, uint64_t id);
int xha_repl_verdict(struct xha_core *core, struct dom *d, bool commit);
void xha_repl_done(struct xha_core *core, struct dom *d, enum xha_result result);
void xha_repl_cancel(struct xha_core *core, const struct dom *d);
void xha_repl_recall(struct xha_core *core, struct dom *d, const struct xha_record *record);
void xha_standby(struct xha_core *core, struct dom *d, const struct xha_event *ev);
void xha_promote(struct xha_core *core, struct dom *d); /* the verdict is the backup's */

/* It may neither be started nor cleared nor moved: what its copy is to do is not decided, or its gate not open. */
static inline bool xha_repl_holds(const struct dom *d)
{
    return d->repl.id && !d->yield;
}

/* doubt.c: UNSURE, and the recall after a restart of xhad */
handler xha_look_again, xha_sure_alive, xha_sure_paused, xha_sure_died, xha_sure_gone, xha_resumed,
    xha_resume_failed, xha_resume_unknown;
void xha_doubt(struct xha_core *core, struct dom *d, enum xha_action_type lost, enum xha_cause cause);
void xha_recall(struct xha_core *core, struct dom *d, const struct xha_record *record);

/* health.c */
handler xha_beat_first, xha_beat_back, xha_beat_failed, xha_late, xha_boot_late;
void xha_watch(struct xha_core *core, struct dom *d);   /* a beat is expected from now on */
void xha_unwatch(struct xha_core *core, struct dom *d); /* no beat is expected now */
void xha_late_timer(struct xha_core *core, struct dom *d);
struct xha_time xha_beat_due(const struct xha_core *core, const struct dom *d);
void xha_sight(struct xha_core *core, struct dom *d, const struct xha_seen *seen);
void xha_round(struct xha_core *core, uint8_t host, const struct xha_round *round);
void xha_sweep(struct xha_core *core, uint8_t host);
void xha_judge(struct xha_core *core, uint8_t host);
struct xha_time xha_rounds_due(const struct xha_core *core, uint8_t host);
bool xha_deaf(const struct xha_core *core, const struct dom *d);
void xha_forget_sight(struct xha_core *core, struct dom *d);

/* probe.c: is it ill, and how? */
handler xha_probe_again, xha_probed;
void xha_suspect(struct xha_core *core, struct dom *d, enum xha_cause cause);
void xha_leave_judged(struct xha_core *core, struct dom *d);

/* queue.c */
handler xha_waited;
void xha_enqueue(struct xha_core *core, struct dom *d, enum xha_purpose purpose, struct xha_span wait,
                 enum xha_cause cause, uint32_t detail);
void xha_queue_enter(struct xha_core *core, struct dom *d);
void xha_queue_leave(struct xha_core *core, struct dom *d);
void xha_queue_again(struct xha_core *core); /* the order changed */
void xha_queue_blocks(struct xha_core *core, struct dom *d);
void xha_slot_give_back(struct xha_core *core, struct dom *d);
bool xha_queue_preempts(const struct xha_core *core);
void xha_dispatch(struct xha_core *core, uint8_t host);
void xha_not_ready(struct xha_core *core, struct dom *d);
bool xha_may_recover(struct xha_core *core, struct dom *d);
uint32_t xha_recoveries(const struct xha_core *core, const struct dom *d);
struct xha_span xha_backoff(const struct dom *d, uint32_t n);
void xha_recovery_note(struct xha_core *core, struct dom *d);

/* orders.c */
int xha_order_check(const struct xha_core *core, const struct xha_event *ev, struct dom **d_r);
void xha_order_do(struct xha_core *core, struct dom *d, enum xha_order_type type, uint64_t checkpoint);
void xha_order_host(struct xha_core *core, const struct xha_event *ev);
void xha_order_work(struct xha_core *core, uint8_t host);

#endif

/*
 * core.h - the decision core of xhad: what it is told, what it answers.
 *
 * Everything that xhad decides is decided here, by one function: an event (a fact, with its time) goes in, a
 * plan (an ordered list of actions) comes out. The core does no I/O, reads no clock, allocates nothing after
 * xha_core_new() and is deterministic: the same events give the same plans, in the daemon, in the simulator
 * and in a replay. The rooms around it turn the world into events and actions into deeds.
 *
 * Rules that the code keeps are numbered as in ARCHITECTURE.md, "What must always hold".
 */
#ifndef XHA_CORE_H
#define XHA_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Milliseconds on one line of time that never steps back while the daemon runs and goes on over its restarts.
 */
struct xha_time {
    int64_t ms;
};

/* A length of time in milliseconds. */
struct xha_span {
    int64_t ms;
};

#define XHA_TIME_NEVER ((struct xha_time){ INT64_MAX })

struct xha_uuid {
    uint8_t b[16];
};

#define XHA_NAME_MAX    64 /* bytes of a domain's name, with its NUL */
#define XHA_HOSTS_MAX   64
#define XHA_DOMID_NONE  (-1)
#define XHA_DOMID_OLD   (-2) /* in a record given back: its host was booted since */
#define XHA_TIERS       256  /* start_order: 0..255 */
#define XHA_HISTORY_MAX 16   /* recoveries remembered per domain, and so the highest max_restarts */

/* ---- policy: what the owner of a domain wants; parsed and defaulted by base/policy.h ----------------------
 */

enum xha_protection {
    XHA_PROT_MONITOR,    /* watch and alarm, never act */
    XHA_PROT_RESTART,    /* start again */
    XHA_PROT_CHECKPOINT, /* also save at intervals; recover from the newest good save */
    XHA_PROT_REPLICATE,  /* also keep a copy on another host, fed epoch by epoch, that takes over */
    XHA_PROT_N_
};

/* Kinds of failure, each with its own reaction in the policy. */
enum xha_failure {
    XHA_FAIL_NONE,
    XHA_FAIL_CRASH,     /* the guest's kernel crashed (SHUTDOWN reason 3), or an unknown reason */
    XHA_FAIL_WATCHDOG,  /* Xen's watchdog of the guest fired (reason 4) */
    XHA_FAIL_HEARTBEAT, /* beats stopped while vCPU time runs: agent or userland ill */
    XHA_FAIL_HANG,      /* beats stopped and vCPU time stands still */
    XHA_FAIL_POWEROFF,  /* the guest powered itself off (reason 0): no failure (rule 5) */
    XHA_FAIL_REBOOT, /* the guest rebooted itself (reason 1): no failure, but it wants to be started again */
    XHA_FAIL_DESTROYED, /* gone without a reason: somebody destroyed it (rule 5) */
    XHA_FAIL_START,     /* it could not be started, restored, or did not get ready in its boot_grace */
    XHA_FAIL_HOST,      /* its host was lost; judged by the cluster core, on another host */
    XHA_FAIL_N_
};

enum xha_reaction {
    XHA_REACT_RESPECT, /* take it as wanted: leave it stopped (or as it is), no alarm */
    XHA_REACT_ALARM,   /* leave it as it is and raise an alarm */
    XHA_REACT_RECOVER, /* clear what remains and start it again, from a checkpoint where the protection says
                          so */
    XHA_REACT_STOP,    /* clear what remains and leave it stopped, with an alarm */
    XHA_REACT_N_
};

enum xha_heartbeat {
    XHA_BEAT_AGENT, /* an agent in the guest beats in xenstore */
    XHA_BEAT_NONE,  /* no agent: ready when it runs; a hang is seen by vCPU time and I/O alone */
    XHA_BEAT_N_
};

struct xha_policy {
    enum xha_protection protection;
    enum xha_heartbeat heartbeat;
    enum xha_reaction react[XHA_FAIL_N_];
    bool autostart;                    /* start it when xhad comes up and it does not run */
    bool io_is_life;                   /* disk or network progress without a beat: alarm only */
    uint32_t priority;                 /* 0..1000, higher first */
    uint32_t start_order;              /* tier 0..255, lower first */
    struct xha_span start_delay;       /* waited after the lower tiers are ready */
    struct xha_span ready_cap;         /* how long the tiers above wait for this one's first beat */
    struct xha_span heartbeat_timeout; /* no beat for so long: suspect */
    struct xha_span boot_grace;        /* from started to the first beat */
    struct xha_span start_timeout;     /* for the start or restore itself */
    struct xha_span stop_timeout;      /* for a graceful shutdown; then it is destroyed */
    uint32_t max_restarts;             /* recoveries within restart_window; one more is refused. 0..16 */
    struct xha_span restart_window;
    struct xha_span
        backoff_min; /* before the second recovery in the window; doubles with each; the first is at once */
    struct xha_span backoff_max;
    struct xha_span checkpoint_interval; /* 0: on command only */
    uint64_t memory_kib;                 /* for sjf and srtf */
};

/* ---- settings of the core --------------------------------------------------------------------------------
 */

enum xha_order {
    XHA_ORDER_PRIORITY, /* highest priority first, then the longest waiting */
    XHA_ORDER_FCFS,     /* the one that failed first, also after a failed attempt */
    XHA_ORDER_SJF,      /* least memory first: most domains back soonest */
    XHA_ORDER_SRTF,     /* least work left first, chosen anew at each step of a recovery */
    XHA_ORDER_RR,       /* turns: every step goes to whoever had its last turn longest ago */
    XHA_ORDER_N_
};

struct xha_settings {
    uint32_t max_domains; /* capacity of the whole cluster; memory is taken once for so many */
    enum xha_order order;
    uint32_t parallel;              /* recoveries and starts under way at once on one host, >= 1 */
    struct xha_span round_interval; /* how often the adapter reads beats; lag is judged against it */
    struct xha_span probe_window;   /* how long vCPU time and I/O are watched before a late beat is judged */
    struct xha_span
        vanish_grace; /* how long a domain may be gone without a reason: a reboot by another toolstack */
    struct xha_span
        hold_max; /* how long many late beats at once may hold judgement while xenstore itself is well */
    uint32_t
        ill_share_percent; /* late beats of so many of the beating domains at once: the host is suspected */
    uint32_t ill_min;      /* ... but at least so many domains */
};

/* ---- events: facts --------------------------------------------------------------------------------------
 */

enum xha_event_type {
    XHA_EV_TICK,      /* only time has passed */
    XHA_EV_RECALL,    /* after a restart of xhad: what was persisted of a domain */
    XHA_EV_PROTECT,   /* a domain comes under protection, or its policy changes */
    XHA_EV_UNPROTECT, /* forget it; the domain itself is left as it is */
    XHA_EV_ORDER,     /* an operator wants something done with a domain */
    XHA_EV_SEEN,      /* one domain as the last observation round found it */
    XHA_EV_ROUND,     /* that round is complete: whoever was not seen is not there */
    XHA_EV_PROBED,    /* answer to a PROBE action */
    XHA_EV_DONE,      /* an action ended */
    XHA_EV_SETTINGS,  /* live change of the settings (max_domains cannot change) */
    /* in a cluster only, from the node (node.h) */
    XHA_EV_PERMIT,     /* quorum, or none: without it nothing is started, resumed, or cleared for a start */
    XHA_EV_TAKE,       /* a domain is this host's from now on: looked up, then adopted or started */
    XHA_EV_YIELD,      /* it is this host's no more: enum xha_yield, then FORGET */
    XHA_EV_INCOMING,   /* a domain is to move here: RECEIVE it, and wait for the verdict */
    XHA_EV_LISTENING,  /* the worker of a RECEIVE listens */
    XHA_EV_MOVE_OUT,   /* a domain is to move away: MIGRATE it, and wait for the verdict */
    XHA_EV_VERDICT,    /* a move was decided, in order, for all */
    XHA_EV_CANCEL,     /* end a move that is under way, if it is not too late for that */
    XHA_EV_REPLICATE,  /* u.move_out: REPLICATE it there, id being the pair's; VERDICT (no commit) ends it */
    XHA_EV_REPLICATED, /* u.listening.id: that deed's first epoch is committed, the gate in place */
    XHA_EV_SILENT,     /* u.listening.id: that STANDBY hears nothing of the sender any more */
    XHA_EV_N_
};

/* What becomes of a domain that is this host's no more. FORGET follows when it is done. */
enum xha_yield {
    XHA_YIELD_NONE,
    XHA_YIELD_DESTROY, /* whatever of it is here is destroyed, until a listing shows none of it */
    XHA_YIELD_STOP,    /* as DESTROY, but what runs is asked to shut down first */
    XHA_YIELD_LEAVE,   /* left as it is */
    XHA_YIELD_N_
};

/* A move between hosts. The core reads meaning into id alone; the rest is for the workers. */
struct xha_move {
    uint64_t id;
    uint8_t peer;  /* the other host */
    uint16_t port; /* where the receiver listens; 0: not known yet */
    uint8_t mode;  /* enum xha_move_mode */
    bool disks; /* a stopped domain's disks alone are sent: the source stops it first, the target starts it */
    struct xha_span timeout;
};

enum xha_order_type {
    XHA_DO_START,
    XHA_DO_STOP,
    XHA_DO_RESTART,
    XHA_DO_CHECKPOINT,
    XHA_DO_RESTORE,        /* clear what runs, restore the named (or the newest good) checkpoint */
    XHA_DO_MAINTENANCE_ON, /* leave it alone */
    XHA_DO_MAINTENANCE_OFF,
    XHA_DO_SCHED, /* apply weight, cap and affinity again */
    XHA_DO_N_
};

/* What a domain in QUEUED..BOOTING is on its way for. */
enum xha_purpose {
    XHA_FOR_NOTHING,
    XHA_FOR_START,
    XHA_FOR_RECOVERY,
    XHA_FOR_REBOOT,
    XHA_FOR_STOP,
    XHA_FOR_RESTORE, /* an operator's */
    XHA_FOR_N_
};

enum xha_result {
    XHA_OK,
    XHA_REFUSED, /* it did not happen, and nothing was changed */
    XHA_UNKNOWN, /* it may or may not have happened (rule 8) */
    XHA_RESULT_N_
};

/* Why an action was refused, where the core reacts to it. */
enum xha_refusal {
    XHA_REFUSAL_OTHER,
    XHA_REFUSAL_NO_CHECKPOINT, /* there is no good checkpoint */
    XHA_REFUSAL_RUNS_ALREADY,  /* a domain with this UUID is there */
    XHA_REFUSAL_NO_MEMORY,     /* the host has too little free memory now */
    XHA_REFUSAL_NO_DISK,       /* the intent could not be stored: nothing may be done now */
    XHA_REFUSAL_UNSUPPORTED,   /* the domain or the hypervisor cannot do that */
    XHA_REFUSAL_N_
};

/* Reasons of Xen's SHUTDOWN, xen/include/public/sched.h. */
enum xha_shutdown {
    XHA_SHUTDOWN_POWEROFF = 0,
    XHA_SHUTDOWN_REBOOT = 1,
    XHA_SHUTDOWN_SUSPEND = 2,
    XHA_SHUTDOWN_CRASH = 3,
    XHA_SHUTDOWN_WATCHDOG = 4,
    XHA_SHUTDOWN_SOFT_RESET = 5,
};

/* One domain in one observation round. */
struct xha_seen {
    struct xha_time listed; /* when the listing was taken: the `began` of the ROUND that follows */
    int32_t domid;
    bool paused;     /* by somebody, not by us */
    bool dying;      /* destroyed, memory not yet free: no vCPU of it runs */
    bool shut;       /* shut down, see reason */
    uint8_t reason;  /* enum xha_shutdown, or any byte that a guest gave */
    bool beat_read;  /* the heartbeat key was read in this round */
    bool beat_valid; /* ... and held a number */
    uint64_t beat;
    uint64_t cpu_time_ns; /* cumulative, all vCPUs */
};

struct xha_round {
    struct xha_time began; /* when the listing was taken: older than the event, younger than nothing in it */
    bool beats_read;       /* heartbeats were read, not only domains listed */
    bool xenstore_ok;      /* our own key was written and read back */
    uint32_t failed_reads; /* heartbeat reads that failed for another reason than "no such key" */
    struct xha_span lag;   /* how much later than due the round began: dom0 starved */
};

struct xha_probed {
    int32_t domid;
    uint64_t cpu_time_ns;
    uint64_t io_count; /* requests and packets of all its vbds and vifs, cumulative */
};

/* What outlives xhad, per domain. The adapter stores it and gives it back; only the core reads meaning into
 * it. */
struct xha_record {
    uint64_t term;   /* grows with every start */
    uint8_t state;   /* enum xha_state */
    uint8_t purpose; /* enum xha_purpose */
    uint8_t pending; /* enum xha_action_type under way, or 0 */
    bool maintenance;
    bool want_run;
    bool ever_beat;        /* an agent has beaten in it at some time */
    bool host_maintenance; /* its host was in maintenance as a whole */
    uint8_t failure;       /* enum xha_failure being recovered from */
    uint8_t restores;      /* restores tried in this recovery */
    uint8_t host;          /* where it runs, or is to run */
    int32_t domid;
    uint64_t pending_id; /* action id */
    uint64_t checkpoint; /* named checkpoint of a RESTORE order, 0: newest good */
    uint8_t deferred;    /* enum xha_order_type + 1 of an order that waits for the deed to end, or 0 */
    uint64_t deferred_checkpoint; /* ... when it is RESTORE */
    uint32_t n_recoveries;
    struct xha_time recovery[XHA_HISTORY_MAX]; /* newest first */
    struct xha_time since;                     /* in this state since */
    /* in a cluster */
    uint64_t move;      /* id of the move that it is in, or 0 */
    uint8_t move_peer;  /* ... and the other host */
    bool move_disks;    /* ... of its disks alone */
    bool move_sent;     /* MIGRATING: all was sent, it is suspended; INCOMING: it is here, whole and paused */
    uint8_t verdict;    /* enum xha_verdict, of that move */
    uint8_t yield;      /* enum xha_yield under way */
    bool relocate;      /* GIVE_UP when it cannot be started here */
    bool given_up;      /* that was said: it is not here, and nothing is started */
    uint64_t repl;      /* id of the pair whose owner this host is, or 0 */
    uint8_t repl_peer;  /* ... and its backup */
    uint8_t repl_stage; /* enum xha_repl */
    uint64_t repl_deed; /* id of its deed under way, or 0 */
};

/* How far the owner of a pair is. Until it is NONE again nothing is started, moved, saved or cleared. */
enum xha_repl {
    XHA_REPL_NONE,
    XHA_REPL_SYNCING,   /* REPLICATE is under way */
    XHA_REPL_PROTECTED, /* ... and its first epoch committed */
    XHA_REPL_BROKEN,    /* it has ended, the gate is shut; the order is waited for */
    XHA_REPL_ENDING,    /* ended by order, REPLICATE not yet */
    XHA_REPL_OPENING,   /* ended by order: GATE_OPEN, until it is done */
    XHA_REPL_N_
};

enum xha_verdict { XHA_VERDICT_NONE, XHA_VERDICT_COMMIT, XHA_VERDICT_ABORT, XHA_VERDICT_N_ };

struct xha_event {
    enum xha_event_type type;
    struct xha_time now;
    uint8_t host; /* where the fact is from: SEEN, ROUND, PROBED; the owner in PROTECT; the host of an ORDER
                     for a whole host */
    struct xha_uuid uuid; /* the domain; ignored by TICK, ROUND, SETTINGS. All zero in ORDER: a whole host
                             (maintenance only) */
    union {
        struct {
            const struct xha_policy *policy; /* copied */
            const struct xha_record *record; /* RECALL only */
            char name[XHA_NAME_MAX];
            bool relocate;            /* PROTECT, TAKE: GIVE_UP when it cannot be started here */
            bool ever_beat;           /* TAKE, INCOMING: an agent has beaten in it at some time */
            bool want_run;            /* TAKE */
            uint64_t term;            /* TAKE, INCOMING: its terms here go on from this one */
            enum xha_purpose purpose; /* TAKE: START, RECOVERY, or NOTHING: as it is found */
            enum xha_failure failure; /* TAKE for RECOVERY: from what */
            uint32_t recoveries;      /* TAKE, INCOMING: so many were within its restart_window elsewhere */
            struct xha_move move;     /* INCOMING */
            bool standby; /* INCOMING: as a replicated domain's backup: STANDBY it; move.id is the pair's */
        } protect;        /* PROTECT, RECALL, TAKE, INCOMING */
        bool permit;
        enum xha_yield yield;
        struct xha_move move_out;
        struct {
            uint64_t id; /* of the deed */
            uint16_t port;
        } listening;
        struct {
            uint64_t move; /* its id */
            bool commit;   /* VERDICT: the target's from now on; else it stays the source's */
        } verdict;         /* VERDICT, CANCEL */
        struct {
            enum xha_order_type type;
            uint64_t checkpoint; /* RESTORE: its number, 0: newest good */
        } order;
        struct xha_seen seen;
        struct xha_round round;
        struct xha_probed probed;
        struct {
            uint64_t id;
            enum xha_result result;
            enum xha_refusal refusal; /* with REFUSED */
            int32_t domid;            /* START, RESTORE with OK: the new domain */
            uint32_t skipped;         /* RESTORE: corrupt checkpoints passed over */
        } done;
        struct xha_settings settings;
    } u;
};

/* ---- plans: what to do ---- */

enum xha_action_type {
    XHA_ACT_NONE,
    XHA_ACT_PERSIST, /* store this domain's record durably before any later action of the plan (intent before
                        deed) */
    XHA_ACT_FORGET,  /* delete what is stored of it */
    XHA_ACT_NOTE,    /* for the history: the domain went from one state to another, and why */
    XHA_ACT_ALARM,
    /* deeds; each ends in one DONE event with its id */
    XHA_ACT_START,      /* create and unpause; refuse when the UUID is there already */
    XHA_ACT_RESTORE,    /* the same from a checkpoint: u.checkpoint, 0: newest good */
    XHA_ACT_DESTROY,    /* domid; OK when it is gone, also when it was gone before */
    XHA_ACT_SHUTDOWN,   /* ask the guest; OK: it was asked */
    XHA_ACT_CHECKPOINT, /* save, and let it run on */
    XHA_ACT_RESUME, /* let a domain go on that is suspended or paused: a dead worker left it so, or a move */
    XHA_ACT_SCHED,  /* apply weight, cap, affinity, pool */
    /* questions; answered by events of their own */
    XHA_ACT_PROBE, /* read vCPU time and I/O counters now: PROBED */
    XHA_ACT_LOOK,  /* list the domains now: SEEN for each, then ROUND */
    /* deeds, and other things, that only a cluster knows */
    XHA_ACT_MIGRATE, /* u.deed.move: stream it there. OK: all was sent, it is suspended here; REFUSED: it runs here */
    XHA_ACT_RECEIVE, /* OK(domid): it is here, whole and paused; REFUSED: nothing of it is */
    XHA_ACT_CANCEL, /* end the worker of the deed `id`, if it is not too late for that; the deed is DONE as ever */
    XHA_ACT_GIVE_UP, /* it cannot be started here, and is not here: for the node, which finds it another host */
    XHA_ACT_REPLICATE, /* u.deed.move: stream it there epoch by epoch, its output behind a gate. Beside other deeds.
                          Its end, however it ends, leaves the gate shut; the domain runs, or is suspended */
    XHA_ACT_STANDBY, /* receive epochs and hold them. OK(domid): it was promoted and runs; REFUSED: nothing of it is
                        here */
    XHA_ACT_GATE_OPEN, /* let it go on if it is suspended, take the gate away and let out what it held. Beside other
                          deeds. OK also when the domain is gone, or there is no gate */
    XHA_ACT_PROMOTE, /* to the worker of the STANDBY deed `id`: let it run from the last epoch that it holds */
    XHA_ACT_N_
};

/* Whether it is a deed: done by a worker, and answered by one DONE. */
static inline bool xha_action_is_deed(enum xha_action_type type)
{
    return (type >= XHA_ACT_START && type <= XHA_ACT_SCHED) || type == XHA_ACT_MIGRATE ||
           type == XHA_ACT_RECEIVE || (type >= XHA_ACT_REPLICATE && type <= XHA_ACT_GATE_OPEN);
}

/* Whether it is a deed beside the one that a domain can be in; the record has its id in repl_deed. */
static inline bool xha_action_is_beside(enum xha_action_type type)
{
    return type == XHA_ACT_REPLICATE || type == XHA_ACT_GATE_OPEN;
}

enum xha_state {
    XHA_ST_DEFINED,  /* known, never asked to run */
    XHA_ST_QUEUED,   /* is to run: waits for its tier, its turn, its backoff */
    XHA_ST_CLEARING, /* what remains of it is being destroyed */
    XHA_ST_STARTING, /* create or restore under way */
    XHA_ST_BOOTING,  /* runs, not yet ready */
    XHA_ST_RUNNING,
    XHA_ST_SUSPECT,     /* beat late: being probed */
    XHA_ST_PAUSED,      /* by somebody, or suspended by another toolstack's save: left alone */
    XHA_ST_STOPPING,    /* asked to shut down */
    XHA_ST_VANISHED,    /* gone without a reason: perhaps it only reboots */
    XHA_ST_UNSURE,      /* an action ended UNKNOWN, or xhad was restarted: looking */
    XHA_ST_STOPPED,     /* stopped because somebody asked */
    XHA_ST_FAILED,      /* given up: restart limit, or the policy says so */
    XHA_ST_ERROR,       /* needs an operator */
    XHA_ST_MAINTENANCE, /* left alone on an operator's word */
    XHA_ST_MIGRATING,   /* moves away: being sent, or sent and suspended until the verdict */
    XHA_ST_INCOMING,    /* moves here: being received, or whole and paused until the verdict */
    XHA_ST_STANDBY,     /* a copy of another host's domain, fed epoch by epoch, until the verdict */
    XHA_ST_N_
};

/* Why something happened; the text of each is xha_cause_text(). */
enum xha_cause {
    XHA_CAUSE_NONE,
    XHA_CAUSE_PROTECTED,
    XHA_CAUSE_AUTOSTART,
    XHA_CAUSE_OPERATOR, /* an operator's order */
    XHA_CAUSE_ADOPTED,  /* found running */
    XHA_CAUSE_TURN,     /* its turn in the queue */
    XHA_CAUSE_BACKOFF,
    XHA_CAUSE_FAILURE, /* detail: enum xha_failure */
    XHA_CAUSE_BEAT_LATE,
    XHA_CAUSE_BEAT_FIRST, /* first beat: ready */
    XHA_CAUSE_BEAT_BACK,  /* beats again */
    XHA_CAUSE_IO_ALIVE,   /* no beat, but disk or network moves */
    XHA_CAUSE_HOST_ILL,   /* many beats late at once, xenstore or dom0 ill */
    XHA_CAUSE_HOST_WELL,
    XHA_CAUSE_PAUSED,
    XHA_CAUSE_UNPAUSED,
    XHA_CAUSE_WORKER_OK,       /* detail: enum xha_action_type */
    XHA_CAUSE_WORKER_REFUSED,  /* detail: enum xha_action_type, enum xha_refusal << 8 */
    XHA_CAUSE_WORKER_UNKNOWN,  /* detail: enum xha_action_type */
    XHA_CAUSE_WORKER_SLOW,     /* detail: enum xha_action_type */
    XHA_CAUSE_LIMIT,           /* restart limit reached */
    XHA_CAUSE_REPLACED,        /* same UUID, another domid: rebooted by another toolstack */
    XHA_CAUSE_DUPLICATE,       /* the UUID runs twice */
    XHA_CAUSE_CORRUPT,         /* corrupt checkpoints skipped; detail: how many */
    XHA_CAUSE_NO_CHECKPOINT,   /* none good: cold start */
    XHA_CAUSE_RESTORE_USELESS, /* restored twice without getting ready: cold start */
    XHA_CAUSE_NOT_READY,       /* ready_cap passed: the tiers above go on without it */
    XHA_CAUSE_STOP_TIMEOUT,
    XHA_CAUSE_LOOKED, /* the listing settled it */
    XHA_CAUSE_XHAD_RESTART,
    XHA_CAUSE_UNPROTECTED,
    XHA_CAUSE_NO_ROUNDS,        /* observation has stopped */
    XHA_CAUSE_NO_AGENT,         /* runs, but has never beaten */
    XHA_CAUSE_SAVED,            /* suspended and then gone: saved or migrated by somebody */
    XHA_CAUSE_ROUNDS_BACK,      /* observation goes on */
    XHA_CAUSE_HOLD_OVER,        /* hold_max has passed: judged in spite of many late beats */
    XHA_CAUSE_HOST_MAINTENANCE, /* an operator's order to a whole host; detail: enum xha_order_type */
    XHA_CAUSE_TAKEN,            /* the cluster gave it to this host */
    XHA_CAUSE_YIELDED,          /* it is this host's no more; detail: enum xha_yield */
    XHA_CAUSE_MOVE,             /* a move has begun; detail: the other host */
    XHA_CAUSE_MOVED,            /* a move was decided: it is the target's */
    XHA_CAUSE_MOVE_ENDED,       /* a move was decided: it stays the source's */
    XHA_CAUSE_GIVEN_UP,     /* cannot be started here; detail: enum xha_action_type, enum xha_refusal << 8 */
    XHA_CAUSE_REPLICATE,    /* its replication has begun; detail: the other host */
    XHA_CAUSE_REPLICATED,   /* the other host holds a whole copy; detail: which */
    XHA_CAUSE_REPL_BROKEN,  /* its replication broke off; detail: enum xha_result */
    XHA_CAUSE_REPL_ENDED,   /* its replication was ended in order */
    XHA_CAUSE_PROMOTED,     /* this host's copy takes over */
    XHA_CAUSE_STANDBY_LOST, /* this host's copy is lost */
    XHA_CAUSE_N_
};

enum xha_severity { XHA_SEV_INFO, XHA_SEV_WARNING, XHA_SEV_CRITICAL, XHA_SEV_N_ };

struct xha_action {
    enum xha_action_type type;
    uint64_t id;          /* deeds: unique for ever (goes on over restarts); CANCEL: which; else 0 */
    uint64_t cause_id;    /* sequence number of the event that led here */
    uint8_t host;         /* where to do it */
    struct xha_uuid uuid; /* all zero: the host itself */
    uint64_t term;        /* the domain's, after this plan */
    enum xha_cause cause;
    uint32_t detail;
    union {
        struct {
            int32_t domid;
            struct xha_span
                deadline;         /* after this the adapter ends the worker and reports UNKNOWN; 0: never */
            uint64_t checkpoint;  /* RESTORE */
            struct xha_move move; /* MIGRATE, RECEIVE, REPLICATE, STANDBY, GATE_OPEN */
        } deed;                   /* deeds, PROBE, LOOK */
        struct {
            enum xha_state from, to;
            enum xha_purpose purpose;
        } note;
        struct {
            enum xha_severity severity;
        } alarm;
    } u;
};

#define XHA_PLAN_MAX 256

/*
 * A plan: actions in the order in which they must be carried out. When the core has more to say than fits,
 * the plan is full and `more` is set: carry it out, then step again with a TICK of the same time.
 */
struct xha_plan {
    uint32_t n;
    bool more;
    struct xha_time next; /* step with a TICK then at the latest */
    struct xha_action action[XHA_PLAN_MAX];
};

/* ---- the core ---- */

struct xha_core;

enum {
    XHA_CORE_OK = 0,
    XHA_CORE_E_NOMEM = -1,
    XHA_CORE_E_FULL = -2,     /* max_domains reached */
    XHA_CORE_E_NODOMAIN = -3, /* no such protected domain */
    XHA_CORE_E_STATE = -4,    /* the order makes no sense in the domain's state */
    XHA_CORE_E_BUSY = -5,     /* something else is under way with the domain */
    XHA_CORE_E_POLICY = -6,   /* the policy does not allow it (a stop in monitor mode, say) */
    XHA_CORE_E_INVAL = -7,
    XHA_CORE_E_QUORUM = -8,  /* this host has no quorum: nothing may be started */
    XHA_CORE_E_UNKNOWN = -9, /* the host that was to do it went away: nobody knows whether it did */
};

/* next_id: the first action id and event number to use, above all used before. Caller frees with
 * xha_core_free(). */
int xha_core_new(const struct xha_settings *settings, uint64_t next_id, struct xha_core **core_r);
void xha_core_free(struct xha_core *core);

/*
 * Takes one event. Returns 0, or an XHA_CORE_E_* code when the event is refused: then nothing has changed but
 * time. plan_r is overwritten in every case. Time that goes back is taken as the time of the event before.
 */
int xha_core_step(struct xha_core *core, const struct xha_event *ev, struct xha_plan *plan_r);

/* The number that the next event or deed takes: what is used before it, never again. */
uint64_t xha_core_next_id(const struct xha_core *core);

/* As xha_core_step() for ORDER, without doing it: the same code, nothing changed. For -N. */
int xha_core_may(const struct xha_core *core, const struct xha_event *ev);

/* The record to store for a domain (PERSIST). Returns 0 or XHA_CORE_E_NODOMAIN. */
int xha_core_record(const struct xha_core *core, const struct xha_uuid *uuid, struct xha_record *record_r);

/* A domain as people see it. */
struct xha_view {
    struct xha_uuid uuid;
    const char *name;                /* valid until the next step */
    const struct xha_policy *policy; /* likewise */
    enum xha_state state;
    enum xha_purpose purpose;
    enum xha_failure failure; /* being recovered from, or the last one */
    enum xha_cause cause;     /* of the last transition */
    uint32_t cause_detail;
    uint8_t host;
    int32_t domid;
    uint64_t term;
    bool checkpointing;
    bool held;                 /* judgement held: host ill */
    struct xha_time since;     /* in this state since */
    struct xha_time last_beat; /* 0: none yet */
    uint64_t beat;
    struct xha_time next_try;        /* QUEUED with backoff: not before; else 0 */
    uint32_t recoveries;             /* within the restart window */
    struct xha_time last_checkpoint; /* 0: none since xhad started */
    bool want_run, ever_beat;        /* want_run: false as well while an acknowledged stop waits for a deed */
    /* in a cluster */
    struct xha_move move; /* MIGRATING, INCOMING, STANDBY (its pair); id 0: none */
    bool move_sent;       /* as in the record */
    enum xha_verdict verdict;
    enum xha_yield yield;
    bool relocate, given_up;
    uint64_t pending_id;  /* of the deed under way, or 0 */
    struct xha_move repl; /* the pair whose owner this host is; id 0: none */
    enum xha_repl repl_stage;
    bool silent; /* STANDBY: nothing is heard of the sender */
};

uint32_t xha_core_count(const struct xha_core *core);
/* i < xha_core_count(); the order is that of protection. */
void xha_core_view(const struct xha_core *core, uint32_t i, struct xha_view *view_r);
int xha_core_find(const struct xha_core *core, const struct xha_uuid *uuid, struct xha_view *view_r);

struct xha_host_view {
    bool ill;
    bool maintenance;
    uint32_t beating, late, queued, under_way;
    struct xha_time last_round;
};
void xha_core_host(const struct xha_core *core, uint8_t host, struct xha_host_view *view_r);

/* Bytes that a core with these settings takes, all of it. */
size_t xha_core_bytes(const struct xha_settings *settings);

/* Consistency of the tables and indexes; asserts. For the tests, after every step. */
void xha_core_audit(const struct xha_core *core);

/* ---- words (words.c) --------------------------------------------------------------------------------------
 */

/* The spelling used in configs, tables, JSON and stories; "?" for a value out of range. */
const char *xha_state_name(enum xha_state state);
const char *xha_purpose_name(enum xha_purpose purpose);
const char *xha_failure_name(enum xha_failure failure);
const char *xha_reaction_name(enum xha_reaction reaction);
const char *xha_protection_name(enum xha_protection protection);
const char *xha_heartbeat_name(enum xha_heartbeat heartbeat);
const char *xha_order_name(enum xha_order order);
const char *xha_do_name(enum xha_order_type type);
const char *xha_action_name(enum xha_action_type type);
const char *xha_cause_name(enum xha_cause cause);
const char *xha_result_name(enum xha_result result);
const char *xha_refusal_name(enum xha_refusal refusal);
const char *xha_severity_name(enum xha_severity severity);
const char *xha_core_error_text(int rc);

/* One line for people on why something happened, into buf; returns buf. */
const char *xha_cause_text(enum xha_cause cause, uint32_t detail, char *buf, size_t len);

#endif

/*
 * cluster.h - the cluster core: who owns which domain, decided alike on every host.
 *
 * A replicated state machine. Hosts exchange messages in one total order (corosync's CPG, or the simulator);
 * each applies the same messages to the same state, so that any of them can lead. The leader, the lowest host
 * of the synced view, only proposes: nothing is true before it was delivered, and nobody acts on it before
 * it is committed. As core.h: no I/O, no clock, no allocation after xha_cluster_new(), deterministic.
 *
 * The path of a message: proposed (SEND) - delivered to all in order (MESSAGE) - applied - made durable
 * (STORE, answered by STORED) - acknowledged (an ACK is sent) - committed, when every member of the view has
 * acknowledged it. Only then do hosts start, move or clear anything because of it (node.h).
 *
 *   sync      After each change of the view every member says HELLO with its epoch, index and hash. When all of a
 *             quorate view have, the newest state wins (cl_sync.c), its holder sends the STATE to whoever
 *             differs, all say READY when it is durable, and a new epoch begins. Messages of another epoch
 *             are dropped; who sent them says them again from what the state lacks.
 *   settled   A view that holds more than half of the hosts known to the state, or whose absent hosts are all
 *             fenced, has the newest state there is. Another view (two hosts, a tie broken by a
 *             device, a cold start of a few) commits nothing until the absent are fenced.
 *   lost      A host that was in and whose corosync is gone. Its domains stay its own until it is FENCED: by an agent's
 *             success, by an operator's word, by the time after which its armed watchdog has fired, or by
 *             its own new incarnation (rules 2 and 8 of ARCHITECTURE.md). An xhad that is gone while its host's
 *             corosync is there is no lost host (rule 6).
 *   pair      A replicated domain's owner and its backup, which holds a copy of it (stage PROTECTED: a whole one). What
 *             the domain sends leaves the owner's host only when the backup has it (the gate), so an owner that
 *             hears nothing of its backup is mute. Two messages race for each pair, and the first in the order
 *             wins on all hosts: PAIR_END, the owner goes on alone and opens the gate; PROMOTE, the backup is the
 *             owner. Neither waits for a fence, only for its commit.
 *   term      Of a domain: grows with each change of owner. What names an older one does nothing (rule 4).
 *
 * Quorum is not ours: corosync's votequorum says it (event QUORUM), and a host without it commits nothing,
 * leads nothing and pokes no watchdog.
 */
#ifndef XHA_CLUSTER_H
#define XHA_CLUSTER_H

#include "xhad/core/core.h"
#include "xhad/core/place.h"
#include "xhad/core/timing.h"

#define XHA_WIRE_VERSION 2     /* of messages and of the state; others are refused by name */
#define XHA_MESSAGE_MAX  65536 /* bytes of one message */
#define XHA_TEXT_MAX     200   /* bytes of a text for people in a message, with its NUL */
#define XHA_NAMES_MAX    64    /* tags; also networks, storages: each kind so many in a cluster */
#define XHA_GROUPS_MAX   4     /* groups that one domain can be in */
#define XHA_HOST_NONE    0xff
#define XHA_DIGEST       16 /* bytes of a digest of a text kept beside the state */

typedef uint64_t xha_hostset; /* bit per host */

/* ---- what is replicated ----------------------------------------------------------------------------------
 */

/* A boot of a host. Two are the same when both fields are. */
struct xha_incarnation {
    struct xha_uuid boot; /* the kernel's boot id */
    uint32_t generation;  /* raised when a host that was taken for dead has cleared what it ran */
};

struct xha_host_info {
    char name[XHA_NAME_MAX];
    struct xha_incarnation incarnation;
    uint64_t memory_kib; /* that guests can have in all, xhad's reserve taken off */
    uint32_t pcpus;
    uint32_t version; /* XHA_WIRE_VERSION that it speaks */
    char build[32];   /* of xhad, for people */
    char tags[256];   /* comma separated names */
    char networks[256];
    char storages[256];
    char address[64]; /* where moves reach it */
    bool armed;       /* its watchdog is armed and fires `watchdog` after the last poke */
    struct xha_span watchdog;
    xha_hostset can_fence; /* hosts that this host has fence devices for */
};

enum xha_host_state {
    XHA_HOST_UNKNOWN, /* never seen */
    XHA_HOST_IN,
    XHA_HOST_LOST,    /* gone without a word: may still run its domains */
    XHA_HOST_FENCED,  /* proven to run nothing; comes back with a new incarnation */
    XHA_HOST_DEPOSED, /* there again in the incarnation that was fenced: must clear what it runs first */
    XHA_HOST_LEFT,    /* said good-bye; runs nothing that is protected, or what it runs goes on unwatched */
    XHA_HOST_STATE_N_
};

/* How a host was proven to be dead. */
enum xha_fenced_by {
    XHA_FENCED_NOT,
    XHA_FENCED_AGENT,
    XHA_FENCED_WATCHDOG, /* the time has passed */
    XHA_FENCED_OPERATOR, /* confirm-fenced */
    XHA_FENCED_REBOOT,   /* it came back with a new incarnation */
    XHA_FENCED_BY_N_
};

/* What a domain needs from a host; texts are comma separated names, as in its policy. */
struct xha_needs {
    uint32_t vcpus;
    char tags[128], not_tags[128], networks[128], storages[128];
    char hosts[256]; /* only these; "": all */
    char prefer[XHA_NAME_MAX];
    char affinity[XHA_NAME_MAX], anti_affinity[XHA_NAME_MAX]; /* a group's name, "": none */
    bool relocate;     /* may run elsewhere at all; else it waits for its host */
    bool failback;     /* goes back to its preferred host, or to where maintenance took it from */
    uint8_t mode;      /* enum xha_move_mode wanted for evacuation */
    bool copy_storage; /* storage = "copy" */
};

/* Whether it may be started on another host than its own: its disks must be there, too. Moving it is another matter. */
static inline bool xha_needs_relocates(const struct xha_needs *needs)
{
    return needs->relocate && !needs->copy_storage;
}

enum xha_phase {
    XHA_PH_FREE, /* nobody's; runs nowhere. want_run: waits to be placed */
    XHA_PH_OWNED,
    XHA_PH_MOVING, /* its owner's still, until the target says RESTORED in order */
    XHA_PH_N_
};

enum xha_move_mode { XHA_MOVE_AUTO, XHA_MOVE_LIVE, XHA_MOVE_WARM, XHA_MOVE_COLD, XHA_MOVE_MODE_N_ };

enum xha_move_stage {
    XHA_MOVE_ORDERED,   /* the target prepares to receive; cold: the owner stops it */
    XHA_MOVE_STREAMING, /* the target listens on port */
    XHA_MOVE_STAGE_N_
};

enum xha_move_why { XHA_MOVE_BY_OPERATOR, XHA_MOVE_BY_MAINTENANCE, XHA_MOVE_BY_FAILBACK, XHA_MOVE_WHY_N_ };

enum xha_pair_stage {
    XHA_PAIR_ORDERED, /* the backup prepares to listen */
    XHA_PAIR_SYNCING, /* it listens on port: the first copy is on its way */
    XHA_PAIR_PROTECTED, /* the backup holds a whole copy, and the owner's gate is shut but for what is committed */
    XHA_PAIR_STAGE_N_
};

/* What the owner's host core last said of it (REPORT). */
struct xha_report {
    struct xha_uuid uuid;
    uint64_t term; /* of ownership */
    enum xha_state state;
    enum xha_purpose purpose;
    enum xha_failure failure;
    enum xha_cause cause;
    uint32_t detail;
    int32_t domid;
    uint32_t recoveries;
    bool want_run;
    bool maintenance; /* of this domain */
    bool ever_beat;   /* an agent has beaten in it at some time: goes with it to its next host */
};

/* An order of a person, given on any host. (origin, number) is its name for ever: an order said twice is done
 * once. */
struct xha_request {
    uint8_t origin;  /* host; set by the core */
    uint64_t number; /* grows with each request of a host, over its restarts; set by the adapter */
};

enum xha_do_cluster { /* what a request wants; those of one domain go to its owner's host core */
                      XHA_RQ_ORDER,   /* enum xha_order_type for one domain */
                      XHA_RQ_PROTECT, /* also: change of policy */
                      XHA_RQ_UNPROTECT,
                      XHA_RQ_MIGRATE, /* target XHA_HOST_NONE: the best one */
                      XHA_RQ_MIGRATE_ABORT,
                      XHA_RQ_HOST_MAINTENANCE, /* on: evacuate */
                      XHA_RQ_CONFIRM_FENCED,
                      XHA_RQ_ARM, /* on/off: self-fencing of the whole cluster */
                      XHA_RQ_LEAVE, /* this host says good-bye; cleanly, its watchdog may be disarmed once committed */
                      XHA_RQ_FORGET_HOST, /* a host that is LEFT or FENCED is no member any more */
                      XHA_RQ_SETTINGS,
                      XHA_RQ_N_
};

/* Settings that must be the same everywhere; the newest change wins. */
struct xha_cluster_policy {
    enum xha_placement placement;
    uint32_t survive;            /* k of N+k: admission refuses what would break it; 0: none. 0..3 */
    uint32_t overcommit_percent; /* vCPUs that fit on 100 pCPUs of a host; 0: any number */
    uint32_t parallel_moves;     /* evacuations under way at once per host */
    struct xha_timing timing;    /* timing.h */
    struct xha_span move_timeout;
};

/* ---- events ---- */

enum xha_cluster_event_type {
    XHA_CEV_TICK,
    XHA_CEV_RECALL, /* before anything else: state and log read from disk, message by message */
    XHA_CEV_INFO,   /* this host's own xha_host_info, first and at each change */
    XHA_CEV_VIEW,
    XHA_CEV_QUORUM,
    XHA_CEV_MESSAGE, /* delivered in order, own ones too */
    XHA_CEV_REQUEST,
    XHA_CEV_STORED,     /* durable up to this index */
    XHA_CEV_FENCE_DONE, /* the fencer's answer to FENCE */
    XHA_CEV_REPORT,     /* node: the host core changed its mind about a domain */
    XHA_CEV_GIVE, /* node: this host cannot or may not run it: place it elsewhere. The domain is not here */
    XHA_CEV_MOVE_READY,     /* node: the receiver listens */
    XHA_CEV_MOVE_RESTORED,  /* node: whole and paused here */
    XHA_CEV_MOVE_FAILED,    /* node: source or target cannot go on */
    XHA_CEV_PAIR_LISTENS,   /* node: the backup listens */
    XHA_CEV_PAIR_PROTECTED, /* node: the owner's first epoch is committed, its gate in place */
    XHA_CEV_PAIR_END,       /* node: owner or backup cannot go on, or need not */
    XHA_CEV_PROMOTE,        /* node: the backup hears nothing of the owner */
    XHA_CEV_RESULT,         /* node: the host core's answer to an ORDER of another host */
    XHA_CEV_CLEARED,        /* node: DEPOSED, and nothing that is not ours runs here any more */
    XHA_CEV_N_
};

struct xha_view_change {
    uint64_t id;         /* the same on all its members, never the same twice */
    xha_hostset members; /* their xhad takes part */
    xha_hostset nodes;   /* their corosync is there; a superset */
};

struct xha_cluster_event {
    enum xha_cluster_event_type type;
    struct xha_time now; /* this host's own line of time */
    struct xha_uuid uuid;
    uint64_t term; /* of ownership, that the fact is about: REPORT, GIVE, MOVE_*, PAIR_*, PROMOTE */
    union {
        struct xha_host_info info;
        struct xha_view_change view;
        struct {
            bool quorate;
            bool
                exclusive; /* at most one side can be quorate: a majority or a device decides. false: two_node */
        } quorum;
        struct {
            uint8_t from;
            const uint8_t *bytes; /* lent */
            size_t len;
        } message;       /* MESSAGE; RECALL: what STORE gave, from is ignored */
        uint64_t stored; /* `index` of the last STORE that is durable */
        struct {
            uint8_t host;
            uint32_t attempt;
            bool ok;
            char text[XHA_TEXT_MAX];
        } fence_done;
        struct xha_report report;
        struct {
            enum xha_cause cause;
            uint32_t detail;
            bool want_run;  /* false: it ended here for good, and needs no host */
            uint8_t prefer; /* target of a cold move, or XHA_HOST_NONE */
        } give;
        struct {
            uint64_t id;
            uint16_t port;
            char text[XHA_TEXT_MAX]; /* MOVE_FAILED */
        } move;
        struct {
            uint64_t id;
            uint16_t port;           /* PAIR_LISTENS */
            bool want_run;           /* PAIR_END by the owner: false: it was stopped, or stopped itself */
            char text[XHA_TEXT_MAX]; /* PAIR_END, PROMOTE: why */
        } pair;
        struct {
            struct xha_request request;
            int rc; /* XHA_CORE_* */
            char text[XHA_TEXT_MAX];
        } result;
        struct {
            enum xha_do_cluster what;
            uint64_t number;
            uint8_t host; /* MIGRATE: target; HOST_MAINTENANCE, CONFIRM_FENCED, FORGET_HOST; PROTECT: where it
                             runs now, or XHA_HOST_NONE */
            bool on;
            enum xha_move_mode mode;
            enum xha_order_type order;
            uint64_t checkpoint;
            char name[XHA_NAME_MAX];         /* PROTECT */
            const struct xha_policy *policy; /* PROTECT, lent */
            const struct xha_needs *needs;   /* PROTECT, lent */
            uint8_t digest_policy[XHA_DIGEST],
                digest_config[XHA_DIGEST];             /* PROTECT: texts, kept by adapters */
            const struct xha_cluster_policy *settings; /* SETTINGS, lent */
        } request;
    } u;
};

/* ---- plans ---- */

enum xha_cluster_action_type {
    XHA_CACT_SEND,  /* u.bytes: multicast it */
    XHA_CACT_STORE, /* u.bytes: append to the log; answer STORED with `index`, its place there, when durable */
    XHA_CACT_RESTORE, /* forget the log: what follows (STORE) is the whole state anew, until STORE_END */
    XHA_CACT_STORE_END,
    XHA_CACT_FENCE,   /* run the fence devices for host; answer FENCE_DONE with attempt */
    XHA_CACT_RESULT,  /* an own request has its answer: rc and text */
    XHA_CACT_ALARM,   /* host and/or uuid, cause, text */
    XHA_CACT_NOTE,    /* for the history, the same on every host */
    XHA_CACT_CHANGED, /* node: look at this domain: its committed ownership may say something new */
    XHA_CACT_ORDER,   /* node: give the host core this order, answer RESULT */
    XHA_CACT_N_
};

/* Why, for alarms and the history; texts: xha_cluster_cause_text(). */
enum xha_cluster_cause {
    XHA_CC_NONE,
    XHA_CC_HOST_JOINED,
    XHA_CC_HOST_LEFT,
    XHA_CC_HOST_LOST,
    XHA_CC_HOST_BACK,
    XHA_CC_HOST_FENCED,
    XHA_CC_HOST_DEPOSED,
    XHA_CC_XHAD_GONE, /* xhad is gone on a host whose corosync is there */
    XHA_CC_FENCING,
    XHA_CC_FENCE_FAILED,
    XHA_CC_FENCE_WANTED, /* cannot be fenced: an operator must confirm */
    XHA_CC_QUORUM_LOST,
    XHA_CC_QUORUM_BACK,
    XHA_CC_UNSETTLED,
    XHA_CC_HASH_DIFFERS,
    XHA_CC_VERSION,
    XHA_CC_PLACED,
    XHA_CC_NO_PLACE,
    XHA_CC_GIVEN_UP,
    XHA_CC_TAKEN,
    XHA_CC_MOVE_BEGUN,
    XHA_CC_MOVED,
    XHA_CC_MOVE_FAILED,
    XHA_CC_MOVE_ABORTED,
    XHA_CC_MAINTENANCE_ON,
    XHA_CC_MAINTENANCE_OFF,
    XHA_CC_EVACUATED,
    XHA_CC_CANNOT_MOVE,
    XHA_CC_ARMED,
    XHA_CC_DISARMED,
    XHA_CC_ADMISSION,
    XHA_CC_TWICE, /* seen running on a host that does not own it */
    XHA_CC_PROTECTED,
    XHA_CC_UNPROTECTED,
    XHA_CC_SETTINGS,
    XHA_CC_PAIR_BEGUN,
    XHA_CC_REPLICATED, /* the backup holds a whole copy */
    XHA_CC_PAIR_ENDED,
    XHA_CC_PROMOTED,
    XHA_CC_DEGRADED, /* it is to be replicated, and is not */
    XHA_CC_MUTE,     /* its gate is shut, and only a person can know whether it may be opened */
    XHA_CC_N_
};

struct xha_cluster_action {
    enum xha_cluster_action_type type;
    uint64_t index;       /* of the message that led here; STORE: its place in the log */
    struct xha_uuid uuid; /* all zero: no domain */
    uint8_t host;         /* or XHA_HOST_NONE */
    union {
        struct {
            const uint8_t *at; /* valid until the next step */
            size_t len;
        } bytes;
        struct {
            uint32_t attempt;
        } fence;
        struct {
            uint64_t number;
            int rc;
            char text[XHA_TEXT_MAX];
        } result;
        struct {
            enum xha_severity severity; /* NOTE: INFO */
            enum xha_cluster_cause cause;
            uint32_t detail;
            char text[XHA_TEXT_MAX]; /* ready for people */
        } said;
        struct {
            struct xha_request request;
            enum xha_order_type order;
            uint64_t checkpoint;
        } order;
        struct {
            uint64_t
                term; /* CHANGED: it was taken out of the state while it was `host`'s in this term; else 0 */
        } gone;
    } u;
};

#define XHA_CLUSTER_PLAN_MAX 128

struct xha_cluster_plan {
    uint32_t n;
    bool more; /* carry this out, then step again with a TICK of the same time, before any other event */
    struct xha_time next;
    struct xha_cluster_action action[XHA_CLUSTER_PLAN_MAX];
};

/* ---- the core ---- */

struct xha_cluster;

struct xha_cluster_settings {
    uint8_t self;
    uint32_t max_domains;
    uint32_t log_max; /* messages after which the log is written anew as a state */
};

int xha_cluster_new(const struct xha_cluster_settings *settings, struct xha_cluster **cluster_r);
void xha_cluster_free(struct xha_cluster *cluster);

/* Takes one event; as xha_core_step(). A MESSAGE that is malformed or of another version is refused: E_INVAL,
 * an alarm names its sender, nothing has changed. */
int xha_cluster_step(struct xha_cluster *cluster, const struct xha_cluster_event *ev,
                     struct xha_cluster_plan *plan_r);

/* Whether a REQUEST would be taken by the state as it is now; text (may be NULL) says why not. For -N. */
int xha_cluster_may(const struct xha_cluster *cluster, const struct xha_cluster_event *ev, char *text,
                    size_t len);

/* ---- views ---- */

struct xha_cluster_status {
    bool quorate, synced, settled, leader_known, armed; /* armed: self-fencing is wanted in this cluster */
    uint8_t self, leader;
    uint64_t epoch, index, committed, hash;
    xha_hostset members, nodes;
    uint32_t hosts, domains, moving, free_waiting;
};
void xha_cluster_status(const struct xha_cluster *cluster, struct xha_cluster_status *status_r);
const struct xha_cluster_policy *xha_cluster_policy(const struct xha_cluster *cluster);

/*
 * Whether this host's watchdog may be poked now: quorate, and a PULSE of its own that was sent less than two
 * timing.poke ago has been delivered to it in order. So a host whose corosync hangs, or whose token is lost,
 * stops poking by itself, long before anybody counts on it. Members whose pulses stay away are alarmed by name.
 */
bool xha_cluster_may_poke(const struct xha_cluster *cluster);

struct xha_cluster_host {
    enum xha_host_state state;
    struct xha_host_info info;
    enum xha_fenced_by fenced_by;
    bool maintenance, member, node; /* member: its xhad is in the view */
    uint32_t domains, running;
    uint64_t memory_used_kib, memory_free_kib; /* by what the state promised, not by Xen's word */
    uint32_t fence_attempts;
    char fence_text[XHA_TEXT_MAX]; /* last failure */
    struct xha_time lost_since,
        fenced_at_latest; /* own line of time; 0: not lost. The watchdog has then fired */
};
/* false: there is no such host. */
bool xha_cluster_host(const struct xha_cluster *cluster, uint8_t host, struct xha_cluster_host *host_r);

struct xha_cluster_domain {
    struct xha_uuid uuid;
    const char *name;
    const struct xha_policy *policy;
    const struct xha_needs *needs;
    const uint8_t *digest_policy, *digest_config;
    enum xha_phase phase;
    uint8_t owner, home; /* home: where it goes back to, or XHA_HOST_NONE */
    uint64_t term;
    bool want_run;
    bool committed;           /* all that is said here is committed, and may be acted on */
    enum xha_purpose purpose; /* what the owner is to take it for: START, RECOVERY, or NOTHING */
    enum xha_failure failure; /* RECOVERY: from what */
    struct xha_report report;
    struct {
        uint64_t id;
        uint8_t target;
        enum xha_move_mode mode;
        enum xha_move_stage stage;
        enum xha_move_why why;
        uint16_t port;
    } move;             /* MOVING */
    uint64_t last_move; /* id of the last ended one */
    struct {
        uint64_t id; /* 0: none */
        uint8_t backup;
        enum xha_pair_stage stage;
        uint16_t port;
    } pair;                            /* OWNED */
    const char *bare_text;             /* replicated by its policy, and no pair: why; "": it is under way */
    enum xha_cluster_cause wait_cause; /* FREE and wanted: why it still waits */
    char wait_text[XHA_TEXT_MAX];
};
uint32_t xha_cluster_count(const struct xha_cluster *cluster);
void xha_cluster_domain(const struct xha_cluster *cluster, uint32_t i, struct xha_cluster_domain *domain_r);
int xha_cluster_find(const struct xha_cluster *cluster, const struct xha_uuid *uuid,
                     struct xha_cluster_domain *domain_r);
/* It is protected no more, and that is not committed yet: CHANGED says when. */
bool xha_cluster_drops(const struct xha_cluster *cluster, const struct xha_uuid *uuid);

/* What-if, without touching anything. Entries beyond max are counted only. */
struct xha_what_if {
    struct xha_uuid uuid;
    uint8_t from, to; /* to XHA_HOST_NONE: nowhere, text says why */
    char text[XHA_TEXT_MAX];
};
uint32_t xha_cluster_what_if_down(const struct xha_cluster *cluster, uint8_t host, struct xha_what_if *out,
                                  uint32_t max, uint32_t *homeless_r);
/* Where a domain with these needs would go, and whether N+k still held. */
int xha_cluster_what_if_add(const struct xha_cluster *cluster, const struct xha_policy *policy,
                            const struct xha_needs *needs, struct xha_what_if *out_r);

/* The same for all: asserts that indexes and counts agree with the state. For the tests. */
void xha_cluster_audit(const struct xha_cluster *cluster);

/* Words (cl_words.c). */
const char *xha_host_state_name(enum xha_host_state state);
const char *xha_fenced_by_name(enum xha_fenced_by by);
const char *xha_phase_name(enum xha_phase phase);
const char *xha_move_mode_name(enum xha_move_mode mode);
const char *xha_move_why_name(enum xha_move_why why);
const char *xha_pair_stage_name(enum xha_pair_stage stage);
const char *xha_cluster_cause_name(enum xha_cluster_cause cause);

#endif

/*
 * cl_internal.h - what the files of the cluster core share; nobody outside core/ includes it.
 *
 *   cl_core.c     life, events in, the order of work within a step, plans
 *   cl_wire.c     messages and log records to bytes and back: one description for both ways
 *   cl_state.c    the replicated state: hosts, domains, their lists, index and hash
 *   cl_log.c      records of the log, the state in chunks, recall
 *   cl_sync.c     views, HELLO, who has the newest state, its transfer, the new epoch
 *   cl_commit.c   acknowledgements, what is committed and settled, pulses, comparing hashes
 *   cl_apply.c    what each ordered message does to the state
 *   cl_request.c  what people want, and its answers
 *   cl_say.c      what this host has to say: reports, facts about moves, its own host, until they are applied
 *   cl_lead.c     what the leader proposes: lost hosts, grants in their order
 *   cl_fence.c    fencing: orders, results, time
 *   cl_move.c     moves: ends, maintenance, going back
 *   cl_pair.c     replicated domains: backups chosen, pairs begun and ended, promotion
 *   cl_place.c    the state as place.h wants it
 *   cl_view.c     looking at it, what if, audit
 *   cl_words.c    spelling
 *
 * Replicated are the fields of struct cl_host and struct cl_dom above their lines "here only", and the head of
 * struct cl_state; nothing in cl_apply.c may look at anything else. All else is this host's own.
 *
 * Proposals are made from what the state lacks, anew at the end of each step; a mark says that one is under
 * way, and every sync wipes the marks. So a message that was dropped is said again without anybody's care.
 */
#ifndef XHA_CL_INTERNAL_H
#define XHA_CL_INTERNAL_H

#include "cluster.h"
#include "internal.h"

#define CL_ARENA        (1u << 20)
#define CL_CHUNK        (48u << 10)
#define CL_RECORD_MAX   (192u << 10) /* of the log: a SYNC with all infos */
#define CL_ITEM_MAX     4096         /* of a state: a host, a domain */
#define CL_REPORTS_MAX  256          /* in one message */
#define CL_REPORT_BYTES 96
#define CL_PENDING_MAX  64
#define CL_ORDERS_MAX   64
#define CL_SAID_MAX     512
#define CL_FLYING_MAX   64 /* own ordered messages under way at once: the others get a word in */

#define CL_KIB_MAX ((UINT64_C(1) << 41) - 1) /* of memory, in the order of placing */

#define CL_BACKOFF_MIN_MS  5000 /* of a domain that finds no place */
#define CL_BACKOFF_MAX_MS  60000
#define CL_HOLD_MS         300  /* after a change of view: word of lost quorum may come a little later */
#define CL_FENCE_AGAIN_MS  5000 /* after a failed attempt, growing */
#define CL_FENCE_MARGIN_MS 30000
#define CL_WANTED_MS       300000 /* FENCE_WANTED is said again */
#define CL_COPY_WAIT_MS    30000  /* of a domain whose host was fenced, for its backup's xhad to come back */
#define CL_SURVIVE_STEPS                                                                                     \
    (XHA_PLACE_STEPS / 10)      /* to find out what the room for a backup would cost the others */
#define CL_PAIR_AGAIN_MS  1000  /* after a pair that had come to protect, before the next one */
#define CL_GONE_MS        30000 /* XHAD_GONE is said after so long */
#define CL_COMMIT_MS      10000 /* a commit that waits longer is told */
#define CL_CHECK_MESSAGES 1000
#define CL_CHECK_MS       30000
#define CL_EVACUATE_MS    10000 /* those that could not move are looked at again */
#define CL_PULSE_MS       1000  /* while the settings say nothing */

#define BIT(host) (UINT64_C(1) << (host))

enum cl_type {
    /* not counted, not logged */
    CL_HELLO = 1,
    CL_STATE,
    CL_READY,
    CL_ACK,
    CL_CHECK,
    CL_HASH,
    CL_PULSE,
    CL_RESULT,
    /* counted: they change the state */
    CL_HOST = 32,
    CL_LOST,
    CL_FENCE_ORDER,
    CL_FENCE_RESULT,
    CL_FENCED,
    CL_REQUEST,
    CL_REPORT,
    CL_GIVE,
    CL_GRANT,
    CL_MOVE,
    CL_MOVE_READY,
    CL_MOVE_RESTORED,
    CL_MOVE_END,
    CL_PAIR_BEGIN,
    CL_PAIR_LISTENS,
    CL_PAIR_PROTECTED,
    CL_PAIR_END,
    CL_PROMOTE,
    CL_TYPE_END,
};

/* How new a state is; compared field by field from the top (cl_sync.c says why). */
struct cl_rank {
    uint64_t settled, epoch, index;
};

struct cl_hello {
    uint64_t view, promised, hash;
    uint32_t round, max_domains, n_domains;
    struct cl_rank rank;
    bool quorate, live, leaving;
    struct xha_host_info info;
    xha_hostset known;
    struct xha_incarnation incarnation[XHA_HOSTS_MAX]; /* of those known, by the state */
};

struct cl_request {
    uint64_t number;
    enum xha_do_cluster what;
    struct xha_uuid uuid;
    uint8_t host;
    bool on;
    enum xha_move_mode mode;
    enum xha_order_type order;
    uint64_t checkpoint;
    char name[XHA_NAME_MAX];
    struct xha_policy policy;
    struct xha_needs needs;
    uint8_t digest_policy[XHA_DIGEST], digest_config[XHA_DIGEST];
    struct xha_cluster_policy settings;
};

/* A message as it was read. Those of one domain name it by uuid and term. */
struct cl_message {
    enum cl_type type;
    uint64_t epoch;
    uint8_t from;
    struct xha_uuid uuid;
    uint64_t term;
    uint8_t host;
    union {
        struct cl_hello hello;
        struct {
            uint64_t view;
            uint32_t round, seq;
            bool last;
            const uint8_t *bytes;
            uint32_t len;
        } state;
        struct {
            uint64_t view, epoch;
            uint32_t round;
        } ready;
        uint64_t index; /* ACK */
        struct {
            uint64_t index, hash;
        } hash;
        int64_t pulse; /* when it was sent, on the sender's line of time */
        struct {
            struct xha_request request;
            int32_t rc;
            char text[XHA_TEXT_MAX];
        } result;
        struct {
            struct xha_host_info info;
            bool cleared; /* DEPOSED: runs nothing that is not its own */
        } info;
        struct {
            uint32_t attempt;
            uint8_t executor; /* ORDER */
            bool ok;          /* RESULT */
            char text[XHA_TEXT_MAX];
        } fence;
        struct cl_request request;
        struct {
            uint32_t n;
            struct xha_report item[CL_REPORTS_MAX];
        } report;
        struct {
            enum xha_cause cause;
            uint32_t detail;
            bool want_run;
            uint8_t prefer;
        } give;
        bool fresh; /* GRANT: whoever refused it may be asked again */
        struct {
            uint64_t id;
            uint16_t port;
            enum xha_move_mode mode;
            enum xha_move_why why;
            char text[XHA_TEXT_MAX];
        } move;
        struct {
            uint64_t id;
            uint16_t port;
            bool want_run; /* END */
            char text[XHA_TEXT_MAX];
        } pair;
    } u;
};

enum cl_list {
    CL_L_OWNED,
    CL_L_HOMED,
    CL_L_CHANGED,
    CL_L_SAY,
    CL_L_MOVING,
    CL_L_PAIRED,
    CL_L_BARE, /* to be replicated, and not so; but for those that wait for a while */
    CL_L_N_
};

struct cl_links {
    uint32_t prev, next;
    struct list *in; /* NULL: in none */
};

enum cl_fact {
    CL_FACT_NONE,
    CL_FACT_GIVE,
    CL_FACT_READY,
    CL_FACT_RESTORED,
    CL_FACT_FAILED,
    CL_FACT_LISTENS,
    CL_FACT_PROTECTED,
    CL_FACT_PAIR_END,
    CL_FACT_PROMOTE
};

/* MOVE: also for a pair that does not come to protect, or whose backup does not come back. */
enum cl_timer { CL_T_LATER, CL_T_CAP, CL_T_MOVE, CL_T_PAIR, CL_T_N_ };

struct cl_move {
    uint64_t id;
    uint8_t target;
    enum xha_move_mode mode;
    enum xha_move_stage stage;
    enum xha_move_why why;
    uint16_t port;
};

struct cl_pair {
    uint64_t id; /* 0: none */
    uint8_t backup;
    enum xha_pair_stage stage;
    uint16_t port;
};

struct cl_dom {
    struct xha_uuid uuid;
    char name[XHA_NAME_MAX];
    struct xha_policy policy;
    struct xha_needs needs;
    uint8_t digest_policy[XHA_DIGEST], digest_config[XHA_DIGEST];
    enum xha_phase phase;
    uint8_t owner; /* FREE: the last one, or XHA_HOST_NONE */
    uint8_t home;  /* where it goes back to */
    uint8_t next;  /* FREE: try this host first */
    uint64_t term;
    bool want_run;
    enum xha_purpose purpose;
    enum xha_failure failure;
    xha_hostset refused; /* hosts that gave it back since it last ran */
    struct xha_report report;
    struct cl_move move;
    uint64_t last_move;
    struct cl_pair pair;

    /* here only */
    bool used, dropped; /* dropped: gone from the state, CHANGED is still owed */
    uint32_t hash_next, order_at;
    uint64_t hash_fixed, hash;
    uint64_t changed; /* index of the last message that changed who owns it, or what as */
    struct cl_links link[CL_L_N_];
    uint8_t sum_owner, sum_target; /* hosts whose sums it is in */
    bool sum_runs;
    struct xha_report mine; /* what the host core says, when mine_term is its term */
    uint64_t mine_term;
    enum cl_fact fact;
    uint64_t fact_term;
    uint64_t fact_id;
    uint16_t fact_port;
    uint8_t fact_prefer;
    bool fact_want_run;
    enum xha_cause fact_cause;
    uint32_t fact_detail;
    char fact_text[64];
    bool proposed; /* by this host as leader */
    bool coming;   /* counted in coming[coming_tier] */
    uint8_t coming_tier;
    bool restarts;            /* as place.h was told */
    uint32_t together, apart; /* groups, as numbers for place.h; 0: none */
    bool capped;              /* its tier waits for it no longer */
    bool cannot_said;
    uint64_t ended_move;    /* an end of this one, or of this pair, or a promotion, was proposed */
    uint8_t pair_tries;     /* in vain, since it was last protected */
    xha_hostset pair_avoid; /* backups that it did not come to protect with since then */
    char bare_text[XHA_TEXT_MAX];
    uint8_t gone_owner; /* dropped: whose it was then, or XHA_HOST_NONE */
    uint64_t gone_term;
    uint8_t seat;            /* host + 1: room is kept for it there, where its affinity group goes; 0: none */
    uint8_t tries;           /* in vain, to place it */
    struct xha_time backoff; /* it is tried before this time is over, because room has appeared; 0: not so */
    enum xha_cluster_cause wait_cause;
    char wait_text[XHA_TEXT_MAX];
};

struct cl_host {
    enum xha_host_state state;
    struct xha_host_info info;
    struct xha_incarnation lived; /* its last one that took part in a settled view */
    enum xha_fenced_by fenced_by;
    bool maintenance;
    uint32_t max_domains;
    uint64_t last_request;
    uint32_t attempt; /* of fencing */
    uint8_t executor; /* of the attempt under way, or XHA_HOST_NONE */
    char fence_text[XHA_TEXT_MAX];

    /* here only */
    uint64_t hash;
    struct list owned, homed;
    uint32_t n_owned, n_running, moving_out, moving_in;
};

struct cl_state {
    struct cl_rank rank;
    xha_hostset members, nodes; /* of the synced view */
    bool armed;
    uint64_t terms; /* of domains that are protected no more, the highest: the next ones begin above it */
    struct xha_cluster_policy policy;
    struct cl_host host[XHA_HOSTS_MAX];

    /* here only */
    uint64_t armed_changed;
    uint64_t host_changes;   /* counts them, so that what follows from hosts is found out once */
    uint64_t known_at;       /* host_changes of the sums below */
    xha_hostset known, lost; /* known: neither unknown nor left */
    bool founded, majority, settled;
    uint64_t policy_hash;
    uint32_t n, n_slots, n_buckets, n_free, n_moving;
    uint64_t hash;
    uint32_t *order; /* slots of those in it, dense */
    uint32_t *free;
    uint32_t *bucket;
    struct cl_dom *dom;
    struct list changed, say, flown, moving, paired, bare;
};

enum cl_phase {
    CL_NO_VIEW,
    CL_HELLOS,   /* waiting for the HELLOs of this round */
    CL_LOADING,  /* the winner's state is on its way */
    CL_READYING, /* waiting until all hold it durably */
    CL_SYNCED,
    CL_MUTE, /* this host cannot take part: another version, too small */
};

/* The entry that begins an epoch; made by each host from the same HELLOs, never sent. */
struct cl_sync {
    uint64_t epoch;
    xha_hostset members, nodes, live, leaving;
    struct xha_host_info info[XHA_HOSTS_MAX];
    uint32_t max_domains[XHA_HOSTS_MAX];
};

struct cl_wait { /* an own request */
    enum { CL_W_UNUSED, CL_W_QUEUED, CL_W_FLIES, CL_W_APPLIED, CL_W_OWNER, CL_W_DONE } state;
    uint64_t number, index;
    uint8_t owner; /* W_OWNER: whose answer is awaited */
    int rc;
    char text[XHA_TEXT_MAX];
    uint32_t len;
    uint8_t bytes[CL_ITEM_MAX];
};

struct cl_order { /* for this host's core, once committed; then its answer */
    enum { CL_O_UNUSED, CL_O_WAITS, CL_O_GIVEN, CL_O_ANSWER, CL_O_FLIES } state;
    struct xha_request request;
    struct xha_uuid uuid;
    enum xha_order_type order;
    uint64_t checkpoint, index; /* index: committed before it is given, or answered; 0: not known yet */
    int rc;
    char text[XHA_TEXT_MAX];
};

struct cl_lead_host { /* this host's own eyes on another one */
    bool proposed, evac_flies, wanted_said, gone_said, quiet_said, evacuated_said, fence_answered;
    struct xha_time absent_since, gone_since, pulsed; /* NEVER: not */
    struct xha_time fence_next, fence_deadline, wanted_next, evacuate_next;
    uint32_t fails;
    uint32_t running_attempt, done_attempt; /* as executor */
    bool done_ok, done_flies;
    char done_text[XHA_TEXT_MAX];
};

struct cl_names { /* that hosts have; their bits for place.h */
    uint32_t n;
    char name[XHA_NAMES_MAX - 1][XHA_NAME_MAX];
};

struct cl_group {
    char name[XHA_NAME_MAX];
    uint32_t users, next; /* in its bucket, or of the unused */
};

struct xha_cluster {
    struct xha_cluster_settings set;
    uint8_t self;
    struct xha_time now;
    struct cl_state *st, *spare;
    struct cl_state states[2];

    /* this host */
    struct xha_host_info info;
    bool armed;                /* self-fencing is wanted; not so only when that is committed */
    struct xha_time commit_at; /* since then something waits to be committed; NEVER: nothing */
    uint64_t commit_index;
    bool commit_said;
    uint64_t info_at; /* host_changes when our info was last compared */
    bool have_info, info_flies, cleared, leaving;
    bool quorate, exclusive, told_settled, told_quorate;
    struct xha_time pulse_sent, pulse_back, viewed;
    xha_hostset met; /* nodes that were in a view of ours since this host has quorum */
    struct xha_time met_since;

    /* the view and its sync */
    struct xha_view_change view;
    enum cl_phase phase;
    uint32_t round;
    xha_hostset fresh, ready, mute, loads; /* loads: take the winner's state */
    bool hello_said, distrust; /* distrust: our state differs from the others' in spite of its index */
    uint32_t hello_round, round_wanted;
    struct cl_hello hello[XHA_HOSTS_MAX];
    uint8_t winner;
    bool loading, broken;
    uint32_t state_seq, out_seq;
    struct {
        bool active;
        uint32_t stage, at; /* hosts, then domains */
    } out_state, dump;
    bool dump_wanted;
    uint64_t promised, promise_lsn;
    bool ready_said;
    struct cl_sync sync;

    /* log and commit */
    uint64_t lsn, stored_lsn, base_lsn, base_index;
    uint32_t since_dump;
    bool replaying;
    uint64_t acked[XHA_HOSTS_MAX], ack_said, committed;
    uint64_t check_index;
    struct xha_time check_at;
    bool check_flies, hash_owed;
    uint64_t hash_now, hash_of[XHA_HOSTS_MAX];
    xha_hostset hashed;

    /* requests */
    struct cl_wait wait[CL_PENDING_MAX];
    struct cl_order order[CL_ORDERS_MAX];
    uint32_t flying, n_waits, n_orders;

    /* leading */
    struct cl_lead_host eye[XHA_HOSTS_MAX];
    bool kicked, roomy; /* those that find no place are to be tried again: all; who has a place now */
    uint32_t proposed[CL_FLYING_MAX], n_proposed; /* domains */
    struct heap wanted;                           /* FREE and wanted, in the order of placing */
    struct heap timers;
    uint32_t n_later;
    uint32_t coming[XHA_TIERS];
    uint8_t last_placed;     /* round robin */
    bool pairs_due;          /* some pair may be over, or a backup to promote */
    uint64_t pairs_at;       /* host_changes when they were last looked at */
    xha_hostset was_members; /* of the synced view before; 0: without quorum since, or perhaps without us */

    /* placement */
    struct xha_place *place;
    struct cl_names tags, networks, storages;
    struct cl_group *group; /* by number - 1 */
    uint32_t *group_bucket, group_unused, n_groups, n_group_buckets;
    struct xha_place_move *leaves;
    uint32_t *mates; /* to work in: of one affinity group */

    /* out */
    struct xha_cluster_plan *plan;
    uint8_t *arena;
    uint32_t arena_used;
    struct xha_cluster_action *said; /* ring of CL_SAID_MAX */
    uint32_t said_first, said_n;
    struct cl_message *in;  /* the message being taken */
    struct cl_message *put; /* the one being made */
};

/* ---- cl_wire.c: one description of each thing, walked to write it or to read it ---- */

struct cl_wire {
    uint8_t *at;
    size_t pos, len;
    bool reads, bad;
};

static inline struct cl_wire cl_writer(uint8_t *at, size_t len)
{
    return (struct cl_wire){ .at = at, .len = len };
}

static inline struct cl_wire cl_reader(const uint8_t *at, size_t len)
{
    return (struct cl_wire){ .at = (uint8_t *)(uintptr_t)at, .len = len, .reads = true };
}

void xha_cl_w8(struct cl_wire *w, uint8_t *v);
void xha_cl_w32(struct cl_wire *w, uint32_t *v);
void xha_cl_w64(struct cl_wire *w, uint64_t *v);
void xha_cl_wbool(struct cl_wire *w, bool *v);
size_t xha_cl_info_bytes(struct xha_host_info *info, uint8_t *out, size_t len);
void xha_cl_wrank(struct cl_wire *w, struct cl_rank *rank);
void xha_cl_wsettings(struct cl_wire *w, struct xha_cluster_policy *p);
void xha_cl_whost(struct cl_wire *w, struct cl_host *h);
void xha_cl_wdom_fixed(struct cl_wire *w, struct cl_dom *d);
void xha_cl_wdom(struct cl_wire *w, struct cl_dom *d);
void xha_cl_wsync(struct cl_wire *w, struct cl_sync *s);
bool xha_cl_encode(const struct cl_message *m, struct cl_wire *w);
/* 0, or XHA_CORE_E_INVAL: malformed. *version_r: what it said, when it is another one. */
int xha_cl_decode(const uint8_t *bytes, size_t len, struct cl_message *m, uint32_t *version_r);

/* ---- cl_state.c ---- */
uint64_t xha_cl_hash(const uint8_t *at, size_t len, uint64_t seed);
int xha_cl_state_new(struct cl_state *st, uint32_t max_domains);
void xha_cl_state_free(struct cl_state *st);
void xha_cl_state_clear(struct cl_state *st);
struct cl_dom *xha_cl_find(const struct cl_state *st, const struct xha_uuid *uuid);
struct cl_dom *xha_cl_add(struct cl_state *st, const struct xha_uuid *uuid);
void xha_cl_unindex(struct cl_state *st, struct cl_dom *d); /* out of the state; the slot stays */
void xha_cl_release(struct cl_state *st, struct cl_dom *d);
void xha_cl_append(struct cl_state *st, struct list *list, enum cl_list kind, struct cl_dom *d);
void xha_cl_remove(struct cl_state *st, enum cl_list kind, struct cl_dom *d);
void xha_cl_hash_dom(struct cl_state *st, struct cl_dom *d, bool fixed);
void xha_cl_hash_host(struct cl_state *st, uint8_t host);
void xha_cl_hash_policy(struct cl_state *st); /* after a change of the settings */
uint64_t xha_cl_hash_all(const struct cl_state *st);
void xha_cl_settle(struct cl_state *st, struct cl_dom *d); /* after a change: lists, sums, hash */
bool xha_cl_runs(const struct cl_dom *d);
uint32_t xha_cl_capacity(const struct cl_state *st);
xha_hostset xha_cl_hosts(const struct cl_state *st, enum xha_host_state state);
bool xha_cl_same(const struct xha_incarnation *a, const struct xha_incarnation *b);
bool xha_cl_same_boot(const struct xha_incarnation *a, const struct xha_incarnation *b);

static inline uint32_t cl_slot(const struct cl_state *st, const struct cl_dom *d)
{
    return (uint32_t)(d - st->dom);
}

static inline uint32_t cl_count(xha_hostset set)
{
    uint32_t n = 0;

    for (; set; set &= set - 1)
        n++;
    return n;
}

static inline uint8_t cl_lowest(xha_hostset set)
{
    return set ? (uint8_t)__builtin_ctzll(set) : XHA_HOST_NONE;
}

static inline bool cl_in(xha_hostset set, uint8_t host)
{
    return host < XHA_HOSTS_MAX && (set >> host & 1);
}

/* It takes part, and may be given something. */
static inline bool cl_here(const struct cl_state *st, uint8_t host)
{
    return cl_in(st->members, host) && st->host[host].state == XHA_HOST_IN;
}

/* ---- cl_log.c ---- */
void xha_cl_log_message(struct xha_cluster *cl, uint8_t from, const uint8_t *bytes, size_t len);
void xha_cl_log_sync(struct xha_cluster *cl);
void xha_cl_log_promise(struct xha_cluster *cl);
bool xha_cl_log_dump(struct xha_cluster *cl); /* false: more to come */
void xha_cl_log_rewrite(struct xha_cluster *cl);
int xha_cl_recall(struct xha_cluster *cl, const uint8_t *bytes, size_t len);
/* The next chunk of the state; *last_r at the end. */
size_t xha_cl_chunk(struct xha_cluster *cl, uint32_t *stage, uint32_t *at, uint8_t *out, bool *last_r);
int xha_cl_load(struct xha_cluster *cl, const uint8_t *bytes, size_t len, bool first, bool *done_r);
void xha_cl_adopt(struct xha_cluster *cl); /* the spare becomes the state */

/* ---- cl_core.c ---- */
bool xha_cl_room(const struct xha_cluster *cl, uint32_t actions, size_t bytes);
struct xha_cluster_action *xha_cl_action(struct xha_cluster *cl, enum xha_cluster_action_type type);
void xha_cl_send(struct xha_cluster *cl, enum cl_type type); /* cl->put, its header filled in here */
struct cl_message *xha_cl_put(struct xha_cluster *cl);
bool xha_cl_may_fly(struct xha_cluster *cl); /* one more ordered message of our own; counts it */
void xha_cl_next(struct xha_cluster *cl, struct xha_time at);
void xha_cl_say(struct xha_cluster *cl, enum xha_severity sev, enum xha_cluster_cause cause, uint8_t host,
                const struct xha_uuid *uuid, uint32_t detail, const char *format, ...)
    __attribute__((format(printf, 7, 8)));
void xha_cl_note(struct xha_cluster *cl, enum xha_cluster_cause cause, uint8_t host,
                 const struct xha_uuid *uuid, const char *format, ...) __attribute__((format(printf, 5, 6)));
const char *xha_cl_host_name(const struct xha_cluster *cl, uint8_t host);
bool xha_cl_synced(const struct xha_cluster *cl);
bool xha_cl_leads(const struct xha_cluster *cl);

/* ---- cl_sync.c ---- */
void xha_cl_view(struct xha_cluster *cl, const struct xha_view_change *view);
void xha_cl_hello_again(struct xha_cluster *cl);
void xha_cl_hello(struct xha_cluster *cl, const struct cl_message *m);
void xha_cl_state(struct xha_cluster *cl, const struct cl_message *m);
void xha_cl_ready(struct xha_cluster *cl, const struct cl_message *m);
void xha_cl_sync_say(struct xha_cluster *cl);
void xha_cl_mute(struct xha_cluster *cl, uint8_t host); /* it speaks another version: goes on without it */
void xha_cl_own_info(const struct xha_cluster *cl, struct xha_host_info *info_r);

/* ---- cl_commit.c ---- */
bool xha_cl_settled(struct cl_state *st);
void xha_cl_know(struct cl_state *st); /* known, lost, settled, when hosts have changed */
bool xha_cl_majority(struct cl_state *st);
void xha_cl_mark_settled(struct xha_cluster *cl);
void xha_cl_stored(struct xha_cluster *cl, uint64_t lsn);
void xha_cl_ack(struct xha_cluster *cl, const struct cl_message *m);
void xha_cl_commit(struct xha_cluster *cl);
void xha_cl_commit_say(struct xha_cluster *cl);
void xha_cl_pulse(struct xha_cluster *cl, const struct cl_message *m);
void xha_cl_check(struct xha_cluster *cl);
void xha_cl_hash_told(struct xha_cluster *cl, const struct cl_message *m);
uint64_t xha_cl_durable(const struct xha_cluster *cl);

/* ---- cl_apply.c ---- */
void xha_cl_apply(struct xha_cluster *cl, const struct cl_message *m);
void xha_cl_apply_sync(struct xha_cluster *cl, const struct cl_sync *s);
void xha_cl_touch(struct xha_cluster *cl, struct cl_dom *d);   /* something changed: hash, place, queues */
void xha_cl_changed(struct xha_cluster *cl, struct cl_dom *d); /* ... that the node must hear of */
void xha_cl_fenced(struct xha_cluster *cl, uint8_t host, enum xha_fenced_by by);
void xha_cl_end_move(struct xha_cluster *cl, struct cl_dom *d, const char *why);
void xha_cl_begin_move(struct xha_cluster *cl, struct cl_dom *d, uint8_t target, enum xha_move_mode mode,
                       enum xha_move_why why);
/* NULL: it can be ordered; else why not. */
const char *xha_cl_may_move(const struct xha_cluster *cl, const struct cl_dom *d, uint8_t target);
void xha_cl_rest(struct xha_cluster *cl, struct cl_dom *d); /* nobody's, and not wanted */
void xha_cl_host_changed(struct xha_cluster *cl, uint8_t host);
void xha_cl_rebuild(struct xha_cluster *cl); /* queues and place, after the state was replaced */

/* ---- cl_request.c ---- */
int xha_cl_request(struct xha_cluster *cl, const struct xha_cluster_event *ev);
void xha_cl_apply_request(struct xha_cluster *cl, const struct cl_message *m);
int xha_cl_request_check(const struct xha_cluster *cl, uint8_t origin, const struct xha_uuid *uuid,
                         const struct cl_request *r, char *text, size_t len);
int xha_cl_request_fill(const struct xha_cluster *cl, const struct xha_cluster_event *ev,
                        struct cl_request *r_r);
void xha_cl_result_told(struct xha_cluster *cl, const struct cl_message *m);
int xha_cl_result(struct xha_cluster *cl, const struct xha_cluster_event *ev);
void xha_cl_request_say(struct xha_cluster *cl);
void xha_cl_request_synced(struct xha_cluster *cl);
void xha_cl_request_owners(struct xha_cluster *cl, xha_hostset stayed);

/* ---- cl_say.c ---- */
int xha_cl_fact(struct xha_cluster *cl, const struct xha_cluster_event *ev);
void xha_cl_facts_say(struct xha_cluster *cl);
bool xha_cl_report_lacks(const struct xha_cluster *cl, const struct cl_dom *d);
void xha_cl_own_applied(struct xha_cluster *cl, const struct cl_message *m);
void xha_cl_say_again(struct xha_cluster *cl);

/* ---- cl_lead.c ---- */
void xha_cl_queue(struct xha_cluster *cl, struct cl_dom *d); /* after any change of it */
void xha_cl_queue_drop(struct xha_cluster *cl, struct cl_dom *d);
void xha_cl_queue_kick(struct xha_cluster *cl); /* a host can take more than before */
void xha_cl_queue_room(struct xha_cluster *cl); /* ... and only because a domain is gone from it */
void xha_cl_lead(struct xha_cluster *cl);
void xha_cl_watch(struct xha_cluster *cl);
void xha_cl_watch_self(struct xha_cluster *cl);
void xha_cl_watch_synced(struct xha_cluster *cl);
void xha_cl_timers(struct xha_cluster *cl);
void xha_cl_proposed(struct xha_cluster *cl, struct cl_dom *d, uint8_t host);
void xha_cl_decided(struct xha_cluster *cl,
                    struct cl_dom *d); /* what was proposed for it is applied or moot */
void xha_cl_lead_again(struct xha_cluster *cl);

/* ---- cl_fence.c ---- */
void xha_cl_fence_lead(struct xha_cluster *cl, uint8_t host);
void xha_cl_fence_do(struct xha_cluster *cl);
int xha_cl_fence_done(struct xha_cluster *cl, const struct xha_cluster_event *ev);
void xha_cl_fence_order(struct xha_cluster *cl, const struct cl_message *m);
void xha_cl_fence_forget(struct xha_cluster *cl, uint8_t host);
void xha_cl_fence_result(struct xha_cluster *cl, const struct cl_message *m);
struct xha_time xha_cl_watchdog_time(const struct xha_cluster *cl, uint8_t host);

/* ---- cl_move.c ---- */
void xha_cl_move_lead(struct xha_cluster *cl);
void xha_cl_move_late(struct xha_cluster *cl, struct cl_dom *d);

/* ---- cl_pair.c ---- */
void xha_cl_pair_message(struct xha_cluster *cl, const struct cl_message *m, struct cl_dom *d);
void xha_cl_unpair(struct xha_cluster *cl, struct cl_dom *d,
                   const char *why); /* in order, by another message */
void xha_cl_unback(struct xha_cluster *cl, uint8_t host,
                   const char *why); /* it is nobody's backup any more */
bool xha_cl_promotable(const struct xha_cluster *cl, const struct cl_dom *d);
void xha_cl_promote(struct xha_cluster *cl, struct cl_dom *d, const char *why);
bool xha_cl_pair_hold(struct xha_cluster *cl, struct cl_dom *d,
                      uint8_t host);                              /* false: nothing to wait for */
void xha_cl_pair_waits(struct xha_cluster *cl, struct cl_dom *d); /* for people: what for */
uint8_t xha_cl_move_target(const struct xha_cluster *cl, const struct cl_dom *d, uint8_t prefer, char *why,
                           size_t len);
void xha_cl_pair_queue(struct xha_cluster *cl, struct cl_dom *d); /* after any change of it */
void xha_cl_pair_later(struct xha_cluster *cl, struct cl_dom *d); /* its time has come: looked at again */
void xha_cl_pair_kick(struct xha_cluster *cl, bool all);
void xha_cl_pair_late(struct xha_cluster *cl, struct cl_dom *d);
void xha_cl_pair_lead(struct xha_cluster *cl);
struct xha_span xha_cl_backoff(uint32_t tries);

/* ---- cl_place.c ---- */
int xha_cl_place_new(struct xha_cluster *cl);
void xha_cl_place_free(struct xha_cluster *cl);
void xha_cl_place_clear(struct xha_cluster *cl);
void xha_cl_place_names(struct xha_cluster *cl);
void xha_cl_place_host(struct xha_cluster *cl, uint8_t host);
void xha_cl_place_dom(struct xha_cluster *cl, struct cl_dom *d); /* needs and whereabouts */
void xha_cl_place_where(struct xha_cluster *cl, struct cl_dom *d);
void xha_cl_place_unseat(struct xha_cluster *cl, struct cl_dom *d);
void xha_cl_place_reserve(struct xha_cluster *cl, struct cl_dom *d, uint8_t host);
void xha_cl_place_drop(struct xha_cluster *cl, struct cl_dom *d);
uint8_t xha_cl_place_find(const struct xha_cluster *cl, const struct cl_dom *d, xha_hostset avoid,
                          uint8_t prefer, char *text, size_t len);
/* Finds a host for all that wait and are of d's affinity group, and keeps room for the others of them. */
void xha_cl_place_group(struct xha_cluster *cl, struct cl_dom *d, xha_hostset avoid);
bool xha_cl_place_may(const struct xha_cluster *cl, const struct cl_dom *d, uint8_t host, char *text,
                      size_t len);
bool xha_cl_place_survives(const struct xha_cluster *cl, const struct cl_request *r, char *text, size_t len);
void xha_cl_place_need(const struct xha_cluster *cl, const struct xha_policy *policy,
                       const struct xha_needs *needs, struct xha_place_need *need_r);
void xha_cl_place_refusal(const struct xha_cluster *cl, const struct xha_place_added *added, char *text,
                          size_t len);
const char *xha_cl_place_name(void *cl, uint32_t host); /* for xha_place_why_text() */

#endif

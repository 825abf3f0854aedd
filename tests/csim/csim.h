/*
 * csim.h - a world of many hosts on virtual time: each drives a real xha_node as its xhad would; between them
 * a model of corosync, under them a model of Xen.
 *
 * csim_play() plays a script. The oracle (oracle.c) looks on and judges by what is true in this world, not by
 * what any core believes. Everything is decided by the script and its jitter seed.
 *
 *   net.c     links, totem rings, CPG, votequorum      host.c    power, clocks, hangs, watchdogs, fencing
 *   keeper.c  xhad: node, disk, plans, restarts        guest.c   domains as Xen has them; rounds
 *   worker.c  deeds and migration streams              lines.c   what each line of a script does
 *   repl.c    replication: epochs, gates, copies
 *   oracle.c  what must always hold                    play.c    the loop; settling
 *   story.c   what is printed
 */
#ifndef XHA_CSIM_CSIM_H
#define XHA_CSIM_CSIM_H

#include "tests/csim/script.h"
#include "tests/sim/rng.h"
#include "tests/sim/sim.h"
#include "xhad/core/node.h"

#define CSIM_INSTS_MAX 512
#define CSIM_JOBS_MAX  512
#define CSIM_FENCES    128
#define CSIM_NEVER     INT64_MAX

enum csim_future_kind {
    CSIM_F_LINE = SIM_F_REST + 1, /* a: line */
    CSIM_F_REFORM,                /* a: host; serial */
    CSIM_F_ORDER,                 /* a: host: its oldest message is ordered */
    CSIM_F_DELIVER,               /* a: host */
    CSIM_F_QUORUM,                /* a: host; number: value; serial: corosync's life */
    CSIM_F_VOTES,                 /* quorum is counted anew */
    CSIM_F_GO,                    /* a: host: stands still no more */
    CSIM_F_POWER,                 /* a: host; serial: boot */
    CSIM_F_CORO_UP,               /* a: host; serial: boot */
    CSIM_F_XHAD_UP,               /* a: host; serial: boot; number: xhad's life that died */
    CSIM_F_XHAD_DIES,             /* a: host; serial: xhad's life; number: down for */
    CSIM_F_DISK,                  /* a: host; serial: xhad's life */
    CSIM_F_WATCHDOG,              /* a: host; serial: boot */
    CSIM_F_POKE,                  /* a: host; serial: xhad's life */
    CSIM_F_FENCE,                 /* a: slot; serial */
    CSIM_F_FENCED,                /* a: slot; serial: the executor is told */
    CSIM_F_ROUND,                 /* a: host; serial: boot */
    CSIM_F_LISTING,               /* a: host; serial: boot */
    CSIM_F_PROBE,                 /* a: host; b: guest; number: domid; serial: xhad's life */
    CSIM_F_TEXTS,                 /* a: host; b: guest; serial: xhad's life */
    CSIM_F_JOB,                   /* a: job; b: phase; serial */
    CSIM_F_BOOTED,                /* a: instance; serial */
    CSIM_F_OBEYS,
    CSIM_F_GONE,
    CSIM_F_SETTLED_STOP, /* a: guest; serial: its stop: everybody must know by now */
    CSIM_F_SETUP,        /* operators look after what they want */
    CSIM_F_SETTLE,
    CSIM_F_REST,
};

/* ---- corosync --------------------------------------------------------------------------------------------
 */

struct csim_blob {
    unsigned refs;
    size_t len;
    uint8_t bytes[];
};

enum csim_entry_kind { CSIM_E_MESSAGE, CSIM_E_VIEW };

/* One thing that a ring delivers to a host, in order. */
struct csim_entry {
    enum csim_entry_kind kind;
    uint64_t ring, idx; /* place in its ring */
    int64_t arrive_ms;  /* CSIM_NEVER: not received, and only others may have it */
    uint8_t from;       /* XHA_HOST_NONE: the ring's first view */
    uint64_t life;      /* of the xhad that joins */
    bool beyond;        /* a gap in the old ring: others of its view had something else there */
    struct csim_blob *blob;
    struct xha_view_change view;
};

/* What a host has handed to corosync and what has not been ordered yet. */
enum csim_out_kind { CSIM_O_MESSAGE, CSIM_O_JOIN, CSIM_O_LEAVE };
struct csim_out {
    enum csim_out_kind kind;
    int64_t at_ms; /* not ordered before */
    uint64_t life; /* of xhad */
    struct csim_blob *blob;
};

struct csim_ring {
    uint64_t id;
    xha_hostset members, cpg; /* cpg: whose xhad is in the group, at the end of what is ordered */
    uint64_t n;               /* entries so far */
    bool stalled;             /* a member is not heard: nothing is ordered */
    int64_t stall_ms, token_ms;
    xha_hostset token; /* stalled: what these say until token_ms is delivered to them, and to nobody else */
};

/* ---- hosts -----------------------------------------------------------------------------------------------
 */

struct csim_stored_message {
    uint64_t index;
    struct csim_blob *blob;
};

enum csim_disk_op_kind { CSIM_D_STORE, CSIM_D_RESTORE, CSIM_D_END };
struct csim_disk_op {
    enum csim_disk_op_kind kind;
    uint64_t index;
    struct csim_blob *blob;
};

struct csim_log {
    unsigned n, cap;
    struct csim_stored_message *at;
};

struct csim_disk {
    struct csim_log log, next;
    bool restoring;
    unsigned n, cap, flushing; /* operations under way; the first `flushing` of them in this flush */
    struct csim_disk_op *op;
    int64_t slow_ms;
};

/* The record of a domain on one host. */
struct csim_record {
    bool there;
    unsigned order;
    struct xha_policy policy;
    struct xha_record record;
};

struct csim_host {
    char name[12];
    bool listed; /* in corosync's nodelist */
    bool power, hung, frozen;
    bool fence_broken, fence_silent;
    int fence_fails; /* times; 0 with fence_broken: for ever */
    int64_t fence_ms;
    int64_t still_ms, go_ms; /* stands still since, until */
    uint64_t boot;           /* counts */
    int64_t off_ms;          /* without power since, or -1 */
    int32_t ppm;
    int64_t skew_ms; /* of its line of time */
    int64_t frozen_ms;

    bool coro, active; /* active: xhad has had its first view */
    uint64_t coro_life;
    int ring;      /* slot, -1: none */
    bool all_seen; /* wait_for_all is done */
    bool quorum_told, quorum_sent, quorum_known;
    int64_t quorum_due_ms;
    int quorum_words, quorum_heard; /* words of votequorum, numbered: the newest counts */
    uint64_t got_ring, got_idx;     /* delivered of its ring so far */
    uint64_t reform_serial;
    int64_t reform_ms;
    unsigned n_in, in_from, cap_in;
    struct csim_entry *in;
    unsigned n_out, cap_out;
    struct csim_out *out;
    int64_t last_arrive_ms, deliver_due_ms, order_due_ms;
    bool holding; /* stalled: nothing that arrives later than limit_ms is delivered */
    int64_t limit_ms;

    struct xha_node *node; /* NULL: xhad is down */
    uint64_t life;
    int64_t xhad_go_ms; /* xhad stopped (SIGSTOP) until */
    int64_t die_after;  /* actions; -1 */
    int64_t down_ms, down_since_ms, up_since_ms;
    unsigned spins; /* ticks without time passing */
    uint64_t next_id, request_number;
    uint32_t generation;
    bool booted_since; /* the records are of another boot */
    struct csim_disk disk;
    struct csim_record record[CSIM_GUESTS_MAX];
    unsigned records;
    uint8_t texts[CSIM_GUESTS_MAX]; /* version that the node was told of; due: being fetched */
    bool texts_due[CSIM_GUESTS_MAX];
    bool left, leaving;

    bool wd_armed, wd_info, wd_disarming;
    int64_t wd_expire_ms, wd_poked_ms, wd_due_ms;
    uint64_t wd_index;

    int32_t next_domid;
    bool listing_due;
    int64_t told_ms;    /* the node's last ROUND */
    int64_t trouble_ms; /* the script did something to it last */
    uint64_t view_id, seen_index, seen_hash;
    bool beyond;          /* has been delivered something of its view beyond a gap */
    uint64_t xhad_boot;   /* the last boot in which its xhad took part in a view */
    uint64_t wd_boot;     /* the last boot in which its watchdog was armed */
    int64_t away_ms;      /* last not in one ring with everybody that is there */
    int64_t unquorate_ms; /* last without quorum */
    int64_t maintenance_ms;
    int64_t proof_ms;    /* of its last incarnation: proven dead at, -1: not */
    uint64_t proof_boot; /* boots up to this one are proven dead */
    uint64_t deeds;
};

/* ---- guests ----------------------------------------------------------------------------------------------
 */

struct csim_inst {
    bool there, building, orphan, paused, shut, dying, booted, dead, hung, asked;
    bool incoming;    /* the target's half of a move: paused until RESUME */
    bool gated;       /* what it sends waits for the backup: nobody outside sees what it does */
    int64_t heard_ms; /* gated: an epoch of it was let out last */
    bool copy;        /* of another host's domain, standing by */
    uint64_t lineage; /* one boot of the guest, wherever it has run since; its state is cpu_ms, which grows */
    uint8_t reason;
    uint64_t serial;
    int guest, host;
    int32_t domid;
    int64_t created_ms, unpaused_ms, died_ms;
    int64_t settled_ms, cpu_ms, beat_ms;
    int64_t ill_ms; /* crashed or hung by the script at, -1 */
};

enum csim_wish { CSIM_WISH_NONE, CSIM_WISH_RUN, CSIM_WISH_STOP };

struct csim_habit {
    int64_t takes_ms;
    int how; /* enum sim_how */
    int word;
    int times;
};

struct csim_guest {
    char name[SIM_NAME_MAX];
    struct xha_uuid uuid;
    const struct csim_guest_def *def;
    struct csim_habit habit[XHA_ACT_N_];
    int64_t boot_ms, stop_ms;
    bool boots_dead, ignores_stop;
    unsigned n_cps;
    uint8_t texts; /* version of its texts */
    /* what the oracle knows */
    bool protected_, unclear; /* unclear: an order whose fate nobody knows */
    enum csim_wish wish;      /* the last order that was acknowledged */
    unsigned orders_open;     /* not answered yet */
    bool tangled;             /* two at once: nobody knows which came last */
    bool restarts; /* a restart or a cold move is under way: however it stops, it is started again */
    bool setup_done;
    bool ordered; /* something was ordered since it last rested: it may be started or cleared */
    int64_t order_ms;
    uint64_t start_term;  /* of its last start */
    uint64_t stop_serial; /* counts its own stops */
    bool stop_known;
    int stop_host;
    int last_host; /* where it last ran */
    uint64_t last_boot;
    int64_t death_ms; /* its last instance ended; -1: it did not */
    bool death_shut;
    uint8_t death_reason;
    bool word; /* the host where it ran has seen that it is gone, or has sent it away whole */
    int64_t stop_ms_seen;
    int64_t deed_ms; /* the last deed with it ended */
    bool ran;
    bool muted_end;         /* its last instance was behind its gate to the end */
    uint64_t ended_pair;    /* the last one whose end its owner's host has seen committed */
    uint64_t promoted_deed; /* the copy that was told to run last */
    uint64_t seen_lineage;
    int64_t seen_ms;  /* the newest state of that lineage that anybody outside has seen something of */
    int64_t lost_ms;  /* its host was lost; -1: it was not */
    int lost_case;    /* enum xha_timing_case_id */
    int64_t fails_ms; /* the script made its workers fail last */
};

/* ---- deeds ---- */

enum csim_phase {
    CSIM_J_BEGIN,
    CSIM_J_MID,
    CSIM_J_END,
    CSIM_J_DEADLINE,
    CSIM_J_REPORT,
    CSIM_J_LISTEN,
    CSIM_J_EPOCH, /* the sender takes the next epoch, or misses the last one's acknowledgement */
    CSIM_J_GOT,   /* it is whole at the backup */
    CSIM_J_ACKED, /* the sender hears of it, and lets out what waited for it */
    CSIM_J_WATCH, /* the backup looks when it last heard something */
    CSIM_J_TELL,  /* xhad is told anew what its worker has told the one before */
};

/* What an epoch holds of a guest. */
struct csim_epoch {
    uint64_t lineage; /* 0: none */
    int64_t cpu_ms, beat_ms;
    bool booted, dead, hung, asked;
};

struct csim_job {
    bool used, begun, ended, nothing, cancelled;
    uint64_t serial, id;
    enum xha_action_type type;
    int guest, host;
    int32_t domid;
    uint64_t term;
    int64_t queued_ms, takes_ms, stalled_ms;
    struct csim_habit habit;
    int inst;
    uint64_t inst_serial;
    enum xha_result result;
    enum xha_refusal refusal;
    int32_t new_domid;
    /* MIGRATE, RECEIVE */
    uint64_t move;
    int peer; /* host of the other end */
    uint16_t port;
    bool live, sent, connected, cut; /* sent: the trailer is out */
    /* REPLICATE, STANDBY: move is the pair's id */
    struct csim_epoch epoch, held;      /* on its way (at both ends); whole and acknowledged (STANDBY) */
    bool flies, told, silent, promoted; /* told: REPLICATED was */
    int64_t heard_ms;
};

struct csim_fence {
    bool used;
    uint64_t serial, life;
    int executor, host;
    uint64_t boot; /* of the executor */
    uint32_t attempt;
    bool ok;
};

/* A request that an operator waits for. */
struct csim_ask {
    bool used;
    int host, guest, line;
    uint64_t life, number;
    int64_t asked_ms;
    enum xha_do_cluster what;
    enum xha_order_type order;
    int target;
    bool on;
};
#define CSIM_ASKS_MAX 256

/* A step of a replicated domain's life, and what may befall it there. */
enum csim_life {
    CSIM_LIFE_BARE, /* no backup */
    CSIM_LIFE_ORDERED,
    CSIM_LIFE_SYNCING,
    CSIM_LIFE_PROTECTED,
    CSIM_LIFE_ENDING,    /* no pair any more, and the gate is still shut */
    CSIM_LIFE_PROMOTING, /* the copy is to take over, and does not run yet */
    CSIM_LIFE_HELD,      /* its owner is fenced, and xhad of its backup away */
    CSIM_LIFE_N_
};

enum csim_blow {
    CSIM_BLOW_POWER,
    CSIM_BLOW_PAUSE,
    CSIM_BLOW_PARTITION,
    CSIM_BLOW_COROSYNC,
    CSIM_BLOW_XHAD,
    CSIM_BLOW_GUEST,
    CSIM_BLOW_WORKER,
    CSIM_BLOW_OPERATOR,
    CSIM_BLOW_N_
};

/* What the whole swarm adds up. */
struct csim_cover {
    uint64_t steps, virtual_ms, messages, views;
    uint64_t note[XHA_CC_N_], alarm[XHA_CC_N_];
    uint64_t action[XHA_ACT_N_], refused[XHA_RQ_N_], accepted[XHA_RQ_N_];
    uint64_t verb[CSIM_VERB_N_];
    uint64_t ratio_permille[XHA_TIMING_CASE_N_], ratio_n[XHA_TIMING_CASE_N_];
    uint64_t settled_permille, forgot, fenced_by[XHA_FENCED_BY_N_];
    uint64_t blow[CSIM_LIFE_N_][CSIM_BLOW_N_];
    uint64_t promoted, opened; /* copies that took over, gates that were opened */
};

#define CSIM_HASHES  8192
#define CSIM_SETTLED 32

struct csim {
    const struct csim_script *script;
    FILE *story; /* NULL: silent */
    bool verbose;
    struct csim_cover *cover;
    struct sim_rng rng;
    bool jitter;
    int64_t now_ms, end_ms;
    struct sim_futures futures;
    uint64_t serial, views, boots;
    struct xha_settings settings;
    struct xha_timing_wish wish;
    struct xha_timing timing;

    unsigned n_hosts, n_guests;
    struct csim_host host[XHA_HOSTS_MAX];
    int64_t tick_ms[XHA_HOSTS_MAX]; /* on the world's line of time */
    xha_hostset cut[XHA_HOSTS_MAX]; /* cut[a] has b: what b says does not reach a */
    xha_hostset device;             /* whom the quorum device gives its vote */
    int64_t net_slow_ms;
    struct csim_ring ring[3 * XHA_HOSTS_MAX];
    struct csim_guest guest[CSIM_GUESTS_MAX];
    struct csim_inst inst[CSIM_INSTS_MAX];
    unsigned n_insts;
    struct csim_job job[CSIM_JOBS_MAX];
    unsigned n_jobs;
    struct csim_fence fence[CSIM_FENCES];
    struct csim_ask ask[CSIM_ASKS_MAX];
    struct {
        uint64_t view, epoch, index, hash;
        uint8_t host;
    } hash[CSIM_HASHES];

    struct xha_node_plan plan;
    bool persisted_now[CSIM_GUESTS_MAX];
    uint64_t persisted[CSIM_GUESTS_MAX], persisted_beside[CSIM_GUESTS_MAX];

    uint64_t settled_view[CSIM_SETTLED]; /* the last views that were seen to be settled */
    unsigned n_settled;
    xha_hostset settled_members; /* of the last one */
    bool forgot;
    bool settling, rested, settings_done;
    bool tight; /* memory is short: not all may find a place */
    bool audit;
    bool may_arm; /* self-fencing is ordered somewhere in the script */
    bool armed_wish;
    int armed_open;
    int64_t settle_ms, rest_since, trouble_ms;
    bool failed;
    char why[512];
};

/* Plays the whole script. Returns 0, or -1 with the reason in cs->why. cs is to be freed in both cases. */
int csim_play(struct csim *cs, const struct csim_script *script);
void csim_free(struct csim *cs);

/* The first failure counts; the run ends. */
void csim_fail(struct csim *cs, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* ms, or with jitter something between half and twice that. */
int64_t csim_about(struct csim *cs, int64_t ms);
/* 0, or with jitter low..high. */
int64_t csim_some(struct csim *cs, int64_t low, int64_t high);
bool csim_chance(struct csim *cs, unsigned percent);
void csim_in(struct csim *cs, int64_t ms, struct sim_future what);
#define CSIM_BIT(h) ((xha_hostset)1 << (h))

struct csim_blob *csim_blob_new(const uint8_t *bytes, size_t len);
struct csim_blob *csim_blob_ref(struct csim_blob *blob);
void csim_blob_unref(struct csim_blob *blob);

/* ---- net.c ---- */

/* Links, power or life of some corosync have changed: rings stall, go on, or form anew. */
void csim_net_changed(struct csim *cs);
void csim_net_start(struct csim *cs, int host); /* its corosync comes up */
void csim_net_stop(struct csim *cs, int host);  /* ... is gone without a word */
void csim_net_reform(struct csim *cs, const struct sim_future *f);
void csim_net_order(struct csim *cs, int host);
void csim_net_deliver(struct csim *cs, int host);
void csim_net_votes(struct csim *cs);
void csim_net_recount(struct csim *cs);
void csim_net_quorum(struct csim *cs, const struct sim_future *f);
void csim_net_send(struct csim *cs, int host, enum csim_out_kind kind, const uint8_t *bytes, size_t len);
/* xhad is gone: what it had said is partly with corosync, the rest is lost. */
void csim_net_client_gone(struct csim *cs, int host);
void csim_net_kick(struct csim *cs, int host);
void csim_net_free(struct csim *cs);
/* Both hear each other now. */
bool csim_net_link(const struct csim *cs, int a, int b);
/* In one ring, and heard. */
bool csim_net_together(const struct csim *cs, int a, int b);
bool csim_net_whole(const struct csim *cs);

/* ---- host.c ---- */

bool csim_host_still(const struct csim *cs, int host); /* dom0 stands still or is off */
struct xha_time csim_host_time(const struct csim *cs, int host);
int64_t csim_host_world_ms(const struct csim *cs, int host, struct xha_time at);
struct xha_uuid csim_host_boot_id(const struct csim *cs, int host);
void csim_host_power_off(struct csim *cs, int host, const char *why);
void csim_host_power_on(struct csim *cs, int host);
void csim_host_still_for(struct csim *cs, int host, bool frozen, int64_t ms);
void csim_host_go(struct csim *cs, int host);
void csim_host_poked(struct csim *cs, int host);
void csim_host_watchdog(struct csim *cs, const struct sim_future *f);
void csim_fence_run(struct csim *cs, int executor, int host, uint32_t attempt);
void csim_fence_done(struct csim *cs, const struct sim_future *f);
void csim_fence_told(struct csim *cs, const struct sim_future *f);

/* ---- keeper.c ---- */

void csim_xhad_up(struct csim *cs, int host);
void csim_xhad_down(struct csim *cs, int host, int64_t down_ms, bool power);
int csim_step_host(struct csim *cs, int host, struct xha_event *ev);
int csim_step_cluster(struct csim *cs, int host, struct xha_cluster_event *ev);
void csim_tick(struct csim *cs, int host);
void csim_disk_done(struct csim *cs, const struct sim_future *f);
void csim_poke(struct csim *cs, int host);
void csim_texts(struct csim *cs, const struct sim_future *f);
void csim_info(struct csim *cs, int host);
void csim_disk_free(struct csim_disk *disk);

/* ---- guest.c ---- */

void csim_guests_init(struct csim *cs);
int csim_inst_create(struct csim *cs, int guest, int host);
void csim_inst_unpause(struct csim *cs, int i);
void csim_inst_shut(struct csim *cs, int i, uint8_t reason);
void csim_inst_destroy(struct csim *cs, int i);
void csim_inst_go_on(struct csim *cs, int i); /* no more paused or suspended */
void csim_inst_future(struct csim *cs, const struct sim_future *f);
bool csim_inst_alive(const struct csim_inst *inst);
bool csim_inst_runs(const struct csim_inst *inst); /* unpaused */
bool csim_inst_speaks(
    const struct csim_inst *inst); /* ... and not behind a gate: anybody outside would see */
/* The domain of a guest that is there (host -1: on any), or -1: one that speaks, else the newest; no standby copy. */
int csim_inst_find(const struct csim *cs, int guest, int host);
int csim_inst_find_domid(const struct csim *cs, int host, int32_t domid);
int csim_guest_find(const struct csim *cs, const struct xha_uuid *uuid);
void csim_settle_counters(struct csim *cs, int i);
void csim_round(struct csim *cs, int host, bool with_beats);
void csim_listing_soon(struct csim *cs, int host);
void csim_probe_ask(struct csim *cs, int host, const struct xha_action *act);
void csim_probe_answer(struct csim *cs, const struct sim_future *f);
void csim_insts_gone(struct csim *cs, int host); /* the power of the host failed */

/* ---- worker.c ---- */

void csim_job_start(struct csim *cs, int host, const struct xha_action *act, int guest);
void csim_job_cancel(struct csim *cs, int host, uint64_t id);
void csim_job_phase(struct csim *cs, const struct sim_future *f);
void csim_jobs_kill(struct csim *cs, int guest);
void csim_jobs_stall(struct csim *cs, int guest, int64_t ms);
void csim_jobs_gone(struct csim *cs, int host);
void csim_jobs_redeliver(struct csim *cs, int host);
const struct csim_job *csim_job_find(const struct csim *cs, int host, uint64_t id);
void csim_stream_cut(struct csim *cs, int guest);
int64_t csim_habit_default_ms(enum xha_action_type type);

void csim_job_later(struct csim *cs, struct csim_job *job, int64_t ms, enum csim_phase phase);
void csim_job_over(struct csim *cs, struct csim_job *job, enum xha_result result, enum xha_refusal refusal);
void csim_job_gives_up(struct csim *cs, struct csim_job *job, enum xha_refusal refusal);
void csim_job_dies(struct csim *cs, struct csim_job *job);
struct csim_inst *csim_job_inst(struct csim *cs, const struct csim_job *job);
struct csim_job *csim_job_other_end(struct csim *cs, const struct csim_job *job);
bool csim_stream_flows(struct csim *cs, const struct csim_job *a, const struct csim_job *b);

/* ---- repl.c ---- */

bool csim_repl_phase(struct csim *cs, struct csim_job *job, enum csim_phase phase); /* false: none of its */
void csim_repl_begin(struct csim *cs, struct csim_job *job);
void csim_repl_listens(struct csim *cs, struct csim_job *job);
void csim_repl_died(struct csim *cs, struct csim_job *job);
void csim_repl_promote(struct csim *cs, int host, uint64_t id);
void csim_repl_finish(struct csim *cs, struct csim_job *job);
void csim_repl_kill(struct csim *cs, int guest, enum xha_action_type end);
void csim_gate_open(struct csim *cs, int i);
/* Somebody outside sees what it has come to. */
void csim_seen_outside(struct csim *cs, int guest, uint64_t lineage, int64_t cpu_ms);

/* ---- blows.c ---- */

void csim_blows_count(struct csim *cs, const struct csim_line *line); /* before it is played */
const char *csim_life_name(int life);
const char *csim_blow_name(int blow);

/* ---- lines.c ---- */

void csim_line_play(struct csim *cs, const struct csim_line *line);
void csim_settle(struct csim *cs);
void csim_begin_requests(struct csim *cs);
/* The answer to a request. */
void csim_answer(struct csim *cs, int host, uint64_t number, int rc, const char *text);
/* The request's host has forgotten that anybody waits. */
void csim_asks_lost(struct csim *cs, int host);

/* ---- oracle.c ---- */

void csim_rules_begin(struct csim *cs);
void csim_rules_action(struct csim *cs, int host, const struct xha_action *act, int guest);
void csim_rules_cluster(struct csim *cs, int host, const struct xha_cluster_action *act);
void csim_rules_ran(struct csim *cs, int i);    /* an instance runs now */
void csim_rules_died(struct csim *cs, int i);   /* ... ran no more */
void csim_rules_sent(struct csim *cs, int i);   /* ... is suspended, and its stream has its trailer */
void csim_rules_speaks(struct csim *cs, int i); /* ... is heard from now on */
void csim_rules_promoted(struct csim *cs, int i, const struct csim_job *job);
void csim_rules_told(struct csim *cs, int host); /* a host's xhad has seen its own domains */
void csim_rules_watchdog(struct csim *cs, int host);
void csim_rules_fence(struct csim *cs, int executor, int host);
void csim_rules_proof(struct csim *cs, int host);
void csim_rules_before(struct csim *cs, int host); /* the plan of a step is carried out */
void csim_rules_after(struct csim *cs, int host);
void csim_rules_stop_known(struct csim *cs, const struct sim_future *f);
void csim_rules_lost(struct csim *cs, int host, int why);
bool csim_rules_rest(struct csim *cs, char *why, size_t len);
void csim_rules_end(struct csim *cs);
int64_t csim_rules_bound_ms(const struct csim *cs);

/* ---- story.c ---- */

void csim_say(struct csim *cs, const char *who, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void csim_say_action(struct csim *cs, int host, const struct xha_action *act, int guest);
void csim_say_cluster(struct csim *cs, int host, const struct xha_cluster_action *act);
void csim_say_end(struct csim *cs);
const char *csim_hosts_text(const struct csim *cs, xha_hostset set, char *buf, size_t len);

#endif

/*
 * node_internal.h - what the files of the node share; nobody outside core/ includes it.
 *
 *   node.c        steps of both halves, until they agree; plans out
 *   node_note.c   what the node itself remembers of domains
 *   node_pair.c   pairs of replicated domains, into replication, standing by, promotion
 *   node_own.c    committed ownership into TAKE, YIELD and moves for the host core
 *   node_say.c    what the host core does, into reports and answers for the cluster
 *   node_clear.c  what runs here and is not ours
 *
 * One node step makes at most one step of the cluster core, for the bytes in its plan live no longer; and any
 * number of the host core, whose plans are strung together.
 */
#ifndef XHA_NODE_INTERNAL_H
#define XHA_NODE_INTERNAL_H

#include "xhad/core/node.h"

#include <assert.h>
#include <string.h>

#define NONE32     UINT32_MAX
#define TERM_SHIFT 24  /* terms of the host core within one of ownership */
#define ORDERS_MAX 512 /* that wait to be done, or for their answers to be said */
#define CARRY_MAX  (8 * XHA_PLAN_MAX)

/* What waits to be said to the cluster about a domain. */
enum due {
    DUE_REPORT = 1,
    DUE_GIVE = 2,
    DUE_READY = 4,
    DUE_RESTORED = 8,
    DUE_FAILED = 16,
    DUE_LISTENS = 32,
    DUE_PROTECTED = 64,
    DUE_PAIR_END = 128,
    DUE_PROMOTE = 256,
};

/* A fact of one move, said once in each epoch: messages may be lost when the view changes. */
struct told {
    uint64_t what, epoch;
};

struct note {
    bool used;
    uint32_t hash_next;
    struct xha_uuid uuid;
    bool dirty; /* in the queue of those to be looked at */
    uint32_t next_dirty;
    unsigned due; /* enum due; in the queue of those to be spoken of when not 0 */
    uint32_t next_due;

    bool texts; /* are here, with this digest */
    uint8_t digest[XHA_DIGEST];
    struct xha_report said; /* last, in said_epoch */
    uint64_t said_epoch;
    uint64_t given_term; /* of ownership: given up, or stopped for a cold move; not taken again in that one */
    uint64_t core_term;  /* the last one that the host core had for it */
    enum xha_cause give_cause;
    uint32_t give_detail;
    uint8_t give_to;                       /* or XHA_HOST_NONE */
    uint64_t out_move, stop_move, in_move; /* begun here, by id */
    const char *fail_text;
    uint64_t fail_move; /* that it is about */
    struct told given, ready, restored, failed;
    uint64_t out_pair, in_pair; /* begun here, by id */
    const char *pair_text;      /* why it ends */
    uint64_t pair_about;        /* ... which one */
    struct told listens, protected_, pair_end, promote;
    uint64_t gone_term; /* unprotected while it was this host's in this term; 0: not, or not known */
    bool mute_said;
    uint64_t seen_round; /* last round that showed it running here, though it is another host's */
    unsigned strays;     /* successive rounds that did */
};

struct queue {
    uint32_t head, tail;
};

struct xha_node {
    bool lives; /* it was told something */
    struct xha_core *core;
    struct xha_cluster *cluster;
    uint8_t self;
    struct xha_time now;

    uint32_t n_notes, n_hash;
    struct note *note;
    uint32_t *hash, *free;
    uint32_t n_free;
    struct queue dirty, due;

    /* of the cluster, as last looked at */
    struct xha_cluster_status status;
    enum xha_host_state state; /* this host's */
    uint64_t synced_index;     /* of this epoch: what was before it is the newest there is */
    bool acting;               /* in, quorate and synced: what is committed may be acted on */
    bool permit;               /* as the host core was told */
    bool weigh_permit;

    struct { /* a ring: first those that are done, and whose answers wait to be said, then the others */
        struct xha_request request;
        struct xha_uuid uuid;
        enum xha_order_type type;
        uint64_t checkpoint;
        int rc;
    } order[ORDERS_MAX];
    uint32_t first_order, n_orders, n_done;

    /* DEPOSED */
    struct xha_time deposed_since;
    bool stray_seen; /* in the listing that is coming in */
    bool cleared;    /* nothing is here: to be said */
    uint64_t cleared_epoch;
    uint64_t rounds;

    /* the step under way */
    struct xha_node_plan *plan;
    struct xha_plan scratch;
    bool host_more, cluster_more, host_stepped, cluster_stepped;
    struct xha_time host_next, cluster_next;
    uint32_t n_carry;
    struct xha_action carry[CARRY_MAX]; /* actions of the host core that the plan had no room for */
};

/* What both halves know of a domain, and what the node notes. */
struct about {
    struct note *n;
    bool have_c, have_v;
    struct xha_cluster_domain c;
    struct xha_view v;
};

/* node.c */
int xha_node_tell(struct xha_node *node,
                  struct xha_event *ev);         /* an event of the node's own to the host core */
bool xha_node_room(const struct xha_node *node); /* ... may be told now */
void xha_node_alarm(struct xha_node *node, const struct xha_uuid *uuid, enum xha_cluster_cause cause,
                    const char *text);
void xha_node_about(struct xha_node *node, struct note *n, struct about *a_r);

/* node_note.c */
int xha_notes_new(struct xha_node *node, uint32_t max);
struct note *xha_note_find(const struct xha_node *node, const struct xha_uuid *uuid);
struct note *xha_note_of(struct xha_node *node, const struct xha_uuid *uuid); /* NULL: full */
void xha_note_dirty(struct xha_node *node, struct note *n);
void xha_note_due(struct xha_node *node, struct note *n, enum due what);
struct note *xha_note_next_dirty(struct xha_node *node); /* taken from the queue; NULL: none */
struct note *xha_note_first_due(struct xha_node *node);  /* left in it */
void xha_note_said(struct xha_node *node, struct note *n, enum due what);
void xha_notes_all_dirty(struct xha_node *node);

/* node_own.c */
void xha_node_reconcile(struct xha_node *node, struct note *n);
bool xha_node_all_ours(const struct xha_node *node);

/* node_say.c */
bool xha_node_has_to_say(const struct xha_node *node);
bool xha_node_next_fact(struct xha_node *node, struct xha_cluster_event *ev_r); /* false: nothing after all */
void xha_node_report(struct xha_node *node, struct about *a);
void xha_node_ordered(struct xha_node *node, const struct xha_cluster_action *order);
void xha_node_do_orders(struct xha_node *node);
void xha_node_move_failed(struct xha_node *node, struct about *a, const char *text);
void xha_node_give(struct xha_node *node, struct about *a, enum xha_cause cause, uint32_t detail, uint8_t to);

bool xha_node_told(const struct xha_node *node, const struct told *t, uint64_t what);
void xha_node_tell_once(const struct xha_node *node, struct told *t, uint64_t what);

/* node_pair.c */
void xha_node_replicate(struct xha_node *node, struct about *a); /* ours, with or without a pair */
void xha_node_stand_by(struct xha_node *node, struct about *a);  /* this host is to be its backup */
void xha_node_farewell(struct xha_node *node, struct about *a);  /* this host has left */
bool xha_node_unpaired(struct xha_node *node, struct about *a);  /* false: its end must come first */
void xha_node_verdict(struct xha_node *node, const struct about *a, uint64_t id, bool commit);
bool xha_node_say_pair(struct xha_node *node, struct about *a, enum due what, struct xha_cluster_event *ev);

/* node_own.c */
struct xha_event xha_node_arrival(const struct about *a, enum xha_event_type type, uint64_t term);
bool xha_node_texts_here(const struct about *a);

/* node_clear.c */
void xha_node_stray(struct xha_node *node, const struct xha_event *seen);
void xha_node_round(struct xha_node *node, const struct xha_event *round);
void xha_node_depose(struct xha_node *node, struct about *a);

#endif

/*
 * internal.h - what the engine's files share: engine.c (life), traffic.c (what goes over a link).
 */
#ifndef XHA_CLUSTER_INTERNAL_H
#define XHA_CLUSTER_INTERNAL_H

#include "xhad/cluster/chore.h"
#include "xhad/cluster/members.h"
#include "xhad/cluster/outbox.h"
#include "xhad/cluster/session.h"

/* One connection to corosync and the handles that watch it; freed when these are closed. */
struct xha_link {
    struct xha_engine *e;
    struct xha_session *session;
    uv_poll_t cpg, votequorum;
    int handles;
};

struct xha_engine {
    uv_loop_t *loop;
    struct xha_engine_ops ops;
    void *arg;
    uv_timer_t again, pulse, push, facts_timer;
    int timers; /* open */
    bool closing;
    struct xha_link *link;                        /* NULL: down */
    struct xha_link *coming;                      /* what opening is to fill */
    struct xha_chore *opening, *leaving, *asking; /* NULL: none */
    bool ask_more;                                /* a change came while we were asking */
    char broken[XHA_SESSION_WHY_MAX];             /* not "": the link is to be ended, with these words */
    uint64_t again_ms;
    char why[XHA_SESSION_WHY_MAX]; /* the owner was told last; "": it is up */
    struct xha_session_facts facts;
    struct xha_members members;
    struct xha_parts parts;
    struct xha_outbox outbox;
    unsigned newer[XHA_ENGINE_HOSTS_MAX]; /* version that a host spoke and that was complained of */
    bool voted, stalled;                  /* votequorum's word; our pulses' */
    bool quorate, exclusive;              /* what the owner was told */
    uint64_t up_ms, stall_ms, proof_ms;
};

/* ---- engine.c ---- */

/* Reads hosts and votes again. */
void xha_engine_ask(struct xha_engine *e);
/* Ends the link if something has broken it; never from inside a dispatch. */
void xha_engine_end_broken(struct xha_engine *e);
uint64_t xha_engine_now_ms(void);

/* ---- traffic.c ---- */

void xha_traffic_callbacks(struct xha_session *session);
/* Reads what is there, a bounded part of it. */
void xha_traffic_read(struct xha_engine *e);
/* Sends what can be sent. */
void xha_traffic_push(struct xha_engine *e);
void xha_traffic_pulse(struct xha_engine *e);
/* Reads what votequorum has said. */
void xha_traffic_votes(struct xha_engine *e);
/* Tells the owner when votes and pulses together have changed. */
void xha_traffic_tell_quorum(struct xha_engine *e);

#endif

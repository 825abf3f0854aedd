/*
 * engine.h - corosync behind callbacks: who is there, who may act, and one order of messages for all.
 *
 * The engine joins the CPG group "xhad" of the local corosync, follows votequorum and reads the list of hosts
 * from cmap. Everything runs on one libuv loop and nothing blocks it: calls that wait for corosync (connect,
 * join, questions) are made on a thread of the engine's own.
 *
 * A host is corosync's nodeid - 1, so 0 to 63. Whatever a peer sends is checked before it is handed on.
 *
 * Life. xha_engine_open() returns at once; then come up() and view(), or down() with the reason. After any
 * down() the engine opens corosync again by itself, after 0.1 s at first and 5 s at most, until it is closed.
 * Between down() and the next up() there is no quorum, no view and nothing is sent; what was queued and not
 * yet delivered is lost, so whoever sends starts over after up().
 *
 * Order. All members of a view get the same messages in the same order, their own included, and a view at the
 * same place between them. Quorum is told before any message that was ordered after it. A message of more
 * than 256 KiB goes in parts; when a view changes in the midst of one, every member drops the parts and the
 * sender sends it again in the new view, so that a message is delivered by all of a view or by none.
 */
#ifndef XHA_CLUSTER_ENGINE_H
#define XHA_CLUSTER_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define XHA_ENGINE_HOSTS_MAX   64
#define XHA_ENGINE_NAME_MAX    256 /* bytes of a name or address, with the NUL */
#define XHA_ENGINE_MESSAGE_MAX (64u << 20)
#define XHA_ENGINE_QUEUE_MAX   (128u << 20) /* bytes of messages sent and not yet delivered to ourselves */

struct xha_engine;

/* Errors of xha_engine_send(). */
enum {
    XHA_ENGINE_E_DOWN = -1,     /* corosync is not there; up() will say when it is */
    XHA_ENGINE_E_FULL = -2,     /* XHA_ENGINE_QUEUE_MAX is reached; try again after a delivery of our own */
    XHA_ENGINE_E_TOO_LONG = -3, /* empty, or more than XHA_ENGINE_MESSAGE_MAX */
    XHA_ENGINE_E_NOMEM = -4,
};

enum xha_engine_left {
    XHA_ENGINE_LEFT, /* its xhad closed the engine: it asked */
    XHA_ENGINE_PROC, /* its xhad died or hung up; its corosync is there */
    XHA_ENGINE_NODE, /* the host is lost: crashed, cut off, paused, or its corosync ended */
};

struct xha_engine_view {
    /* The same on all members of this view, never 0, and another one than that of the view before. It says
     * nothing about order. */
    uint64_t id;
    size_t n; /* members, this host among them; ascending */
    uint8_t host[XHA_ENGINE_HOSTS_MAX];
    uint64_t nodes;  /* a bit for each host whose corosync is there; the members among them */
    size_t n_joined; /* those that were not in the view before */
    uint8_t joined[XHA_ENGINE_HOSTS_MAX];
    size_t n_left; /* those that were, and are not now */
    struct {
        uint8_t host;
        enum xha_engine_left why;
    } left[XHA_ENGINE_HOSTS_MAX];
};

/*
 * All are called from the loop. Pointers are valid during the call. A callback may send or close; free only
 * after closed().
 */
struct xha_engine_ops {
    /* Corosync is there and we are host self. xha_engine_hosts() and _quorum() are filled. A view follows. */
    void (*up)(void *arg, uint8_t self);
    /* The members have changed, or the ring under them was formed anew (then with nobody joined or left). A
     * host that went and came back at once is told by two views. */
    void (*view)(void *arg, const struct xha_engine_view *view);
    /*
     * Whether this host may act. Told after up(), before the first view, and at each change. False also when
     * our own messages do not come back in time: corosync or the ring stands still, and what votequorum said
     * last may be long untrue. exclusive: nobody else can be quorate at the same time; not so with two_node: 1,
     * auto_tie_breaker or last_man_standing.
     */
    void (*quorum)(void *arg, bool quorate, bool exclusive);
    void (*deliver)(void *arg, uint8_t host, const void *data, size_t len);
    /* The configured hosts, votes or the quorum device were read and are not as before. May be NULL. */
    void (*hosts)(void *arg);
    /* Corosync is gone, or could not be opened. why is for people: what happened, and what to do. Told once,
     * and again when another reason keeps it down. */
    void (*down)(void *arg, const char *why);
    /* After xha_engine_close(): the others have been told, and the engine may be freed. */
    void (*closed)(void *arg);
};

/* A host as corosync.conf has it. */
struct xha_engine_host {
    bool configured;
    char name[XHA_ENGINE_NAME_MAX];       /* of the node, else its first address */
    char address[2][XHA_ENGINE_NAME_MAX]; /* ring0_addr, ring1_addr; "" where there is none */
};

struct xha_engine_quorum {
    bool quorate, exclusive; /* as quorum() told them last */
    uint32_t expected_votes, total_votes;
    uint32_t needed; /* votes for quorum */
    uint32_t own_votes;
    bool two_node, wait_for_all;
    bool qdevice, qdevice_alive, qdevice_votes; /* registered here; answers; gives us its vote now */
    char qdevice_name[XHA_ENGINE_NAME_MAX];
};

/* Begins. 0 and *engine_r, or a negative errno when there is no memory or no descriptor left. */
int xha_engine_open(uv_loop_t *loop, const struct xha_engine_ops *ops, void *arg,
                    struct xha_engine **engine_r);

/* Queues a copy. 0 or XHA_ENGINE_E_…; nothing is promised until it is delivered to ourselves. */
int xha_engine_send(struct xha_engine *engine, const void *data, size_t len);

/* The configured hosts, indexed by host id; XHA_ENGINE_HOSTS_MAX of them. The engine's. */
const struct xha_engine_host *xha_engine_hosts(const struct xha_engine *engine);

/* Votes as they were read last. */
const struct xha_engine_quorum *xha_engine_quorum(const struct xha_engine *engine);

/* totem.cluster_name; "" before up(). */
const char *xha_engine_cluster_name(const struct xha_engine *engine);

/* Corosync's token and consensus timeouts in milliseconds; 0 before up(). */
uint32_t xha_engine_token_ms(const struct xha_engine *engine);
uint32_t xha_engine_consensus_ms(const struct xha_engine *engine);
/* ... and of its quorum device timeout and sync_timeout; 0: there is none. */
uint32_t xha_engine_device_ms(const struct xha_engine *engine);
uint32_t xha_engine_device_sync_ms(const struct xha_engine *engine);

/*
 * Leaves the group, so that the others see LEFT, and closes. No callback comes any more but closed(), at most
 * a second later, however corosync is.
 */
void xha_engine_close(struct xha_engine *engine);

/* After closed(). */
void xha_engine_free(struct xha_engine *engine);

#endif

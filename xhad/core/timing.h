/*
 * timing.h - all times of a cluster from one: how soon a lost host is to be declared lost.
 *
 * xha_timing_make() derives a table of times from struct xha_timing_wish, any of which may be set by hand,
 * and xha_timing_check() holds them against the inequality that keeps a domain from running twice
 * (rule 3): renewal < self-fence < takeover. xha_timing_row() and xha_timing_case() walk the table and the
 * worst-case recovery per kind of failure, for people and machines. Pure, as all of core/.
 *
 * Let a host be cut off at 0. It pokes Xen's watchdog only after a pulse of its own, sent less than two pokes
 * ago, has come back to it in the cluster's order (cluster.h), so the last poke is at most 2 x poke after the
 * cut (skew), and the machine is reset W later. The others may have declared it lost at any time from 0 on.
 * So after their view has changed they wait
 *
 *     takeover >= (2 x poke + W) x (1 + drift) + margin            before a domain of it is placed,
 *
 * unless a fence agent or an operator has said that it is off. Where the rules come from:
 *   corosync.conf(5)          a loss is known after token + consensus; consensus >= 1.2 x token;
 *                             token_coefficient would lengthen the token by the number of hosts: we set 0;
 *                             knet_ping_timeout = token / knet_pong_count (2), the interval half of that
 *   sanlock, src/timeouts.h   a host may be taken for dead only a full watchdog period after its renewals
 *                             have been seen to fail; several renewals fit into one period
 *   sbd(8)                    stonith-watchdog-timeout at least twice the watchdog's timeout, for the same
 *                             reason: detection there, and the timer from then on
 *   corosync-qdevice(8)       it beats every 0.8 x quorum.device.timeout, at least 1 s, and qnetd takes a host for
 *                             lost 1.5 beats after its last one, while the host itself notices after up to 2;
 *                             until qnetd has, the side that is left has no view and no quorum, for
 *                             sync_timeout at the most without a view. As they come (10 and 30 s) that is 12 s
 *                             after the loss, longer than the watchdog of the healthy host waits
 *   xen, xc_watchdog()        the timer takes whole seconds and is a timer of the hypervisor: a hung dom0
 *                             does not stop it
 *
 * While a new view is formed no pulse comes back, to nobody: W outlasts the detection, or the healthy would
 * be reset with the lost.
 */
#ifndef XHA_CORE_TIMING_H
#define XHA_CORE_TIMING_H

#include "xhad/core/core.h"

/* The times, in the order of the table. */
enum xha_timing_id {
    XHA_TIMING_DETECTION,
    XHA_TIMING_TOKEN,
    XHA_TIMING_CONSENSUS,
    XHA_TIMING_KNET_PING_INTERVAL,
    XHA_TIMING_KNET_PING_TIMEOUT,
    XHA_TIMING_POKE,
    XHA_TIMING_WATCHDOG,
    XHA_TIMING_SKEW,
    XHA_TIMING_SELF_FENCE,
    XHA_TIMING_MARGIN,
    XHA_TIMING_TAKEOVER,
    XHA_TIMING_FENCE_TIMEOUT,
    XHA_TIMING_ORDER,
    XHA_TIMING_START,
    XHA_TIMING_N_
};

/* All of them, by name or by number. */
struct xha_timing {
    union {
        struct {
            struct xha_span detection; /* from the loss of a host to the other side's new view */
            struct xha_span token, consensus, knet_ping_interval, knet_ping_timeout; /* corosync's */
            struct xha_span poke;       /* renewal: between two pokes of the watchdog, and two pulses */
            struct xha_span watchdog;   /* W: fires so long after the last poke; whole seconds */
            struct xha_span skew;       /* from the cut to the last poke */
            struct xha_span self_fence; /* from the cut until the watchdog has surely fired; with drift */
            struct xha_span margin;     /* for scheduling, and for the machine to stop */
            struct xha_span takeover;   /* after the new view: now the watchdog of the lost host has fired */
            struct xha_span fence_timeout; /* the longest that fencing a host takes: all levels and tries */
            struct xha_span order;         /* decisions: ordered, stored and acknowledged by all */
            struct xha_span start;         /* what building or restoring a domain is reckoned with */
        };
        struct xha_span at[XHA_TIMING_N_];
    };
};

/* What is wanted; 0: derived. */
struct xha_timing_wish {
    struct xha_timing timing;
    /* of the host core, for the guests' failures */
    struct xha_span round_interval, probe_window, heartbeat_timeout, stop_timeout;
};

#define XHA_TIMING_DRIFT_PERMILLE 10 /* that two hosts' clocks are taken to run apart at the most */

/* Detection 3 s, all else derived; the host core's times as in xhad.conf(5) and xha-domain(5). */
void xha_timing_defaults(struct xha_timing_wish *wish_r);

/* Always gives all times; whether they are sound says xha_timing_check(). */
void xha_timing_make(const struct xha_timing_wish *wish, struct xha_timing *timing_r);

/*
 * The takeover for a host whose watchdog is armed with these seconds: after a change of the settings they need
 * not be the table's. Never less than the table's.
 */
struct xha_span xha_timing_takeover(const struct xha_timing *timing, struct xha_span watchdog);

/* What is wrong: which time is to be changed, and a text that names both values. */
struct xha_timing_fault {
    enum xha_timing_id
        id; /* one that is wished for, where there is one, so that a file and line can be named */
    char text[320];
};

#define XHA_TIMING_FAULTS_MAX 12

/* Returns how many faults there are; 0: rule 3 holds. wish: as it was made of. */
uint32_t xha_timing_check(const struct xha_timing_wish *wish, const struct xha_timing *timing,
                          struct xha_timing_fault fault_r[XHA_TIMING_FAULTS_MAX]);

/* Whether all times are there and rule 3 holds for them: for a table that a peer has sent. */
bool xha_timing_sound(const struct xha_timing *timing);

/* How corosync really is set, against the table. */
enum xha_timing_real {
    XHA_TIMING_KEPT,
    XHA_TIMING_SLOW,   /* losses are declared later than wanted, by these cases' times; safe all the same */
    XHA_TIMING_UNSAFE, /* while a view is formed the watchdogs of healthy hosts fire: it must not be armed */
};

/*
 * A side that has lost the device's vote may learn of it so much later than the other side gets it: half a
 * beat of the device. The end of its watchdog is reckoned with this much; a longer setting is UNSAFE.
 */
#define XHA_TIMING_DEVICE_LAG_MS 10000

/* As corosync runs. */
struct xha_timing_corosync {
    struct xha_span token, consensus;
    struct xha_span device, device_sync; /* quorum.device.timeout and sync_timeout; 0: there is no device */
};

/* text_r: "" or what to change. */
enum xha_timing_real xha_timing_real(const struct xha_timing *timing, const struct xha_timing_corosync *is,
                                     char *text_r, size_t len);

/* What a quorum device has to be set to, for it to know of a loss when the others do. */
void xha_timing_device(const struct xha_timing *timing, struct xha_span *timeout_r, struct xha_span *sync_r);

/* ---- walking ---- */

struct xha_timing_row {
    const char *name;    /* "takeover" */
    const char *formula; /* "self_fence + margin" */
    const char *doc;     /* what it is, one line */
    int64_t ms;
};

/* false: no such row. */
bool xha_timing_row(const struct xha_timing *timing, uint32_t i, struct xha_timing_row *row_r);

enum xha_timing_case_id {
    XHA_TIMING_GUEST_CRASH,
    XHA_TIMING_GUEST_HANG,
    XHA_TIMING_HEARTBEAT_LOST,
    XHA_TIMING_XHAD_CRASH,
    XHA_TIMING_POWER_CUT_FENCED,   /* a fence agent works */
    XHA_TIMING_POWER_CUT_WATCHDOG, /* the watchdog alone */
    XHA_TIMING_HOST_HANG,
    XHA_TIMING_PARTITION, /* of a minority: it fences itself, the majority takes over */
    XHA_TIMING_NO_QUORUM, /* for all: nothing is started, nothing is stopped by us */
    XHA_TIMING_PLANNED_MOVE,
    XHA_TIMING_CASE_N_
};

struct xha_timing_case {
    enum xha_timing_case_id id;
    const char *name;    /* "power-cut-fenced" */
    const char *formula; /* "detection + fence_timeout + order + start" */
    const char *text;    /* what happens, one line */
    bool recovers;       /* false: nothing is done until an operator or quorum comes back */
    int64_t issued_ms;   /* worst case, from the failure to the order that starts the domain */
    int64_t ms;          /* ... until it is built and runs: issued_ms + start */
};

/* What the worst cases do not reckon with: lines for people, NULL at the end. */
const char *xha_timing_proviso(uint32_t i);

/* false: no such case. */
bool xha_timing_case(const struct xha_timing_wish *wish, const struct xha_timing *timing, uint32_t i,
                     struct xha_timing_case *case_r);

#endif

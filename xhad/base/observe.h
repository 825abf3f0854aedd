/*
 * observe.h - what xhad and its observer say to each other.
 *
 * The observer is a process of its own (`xhad-xen observe`, or a simulated one), so that a stuck xenstored or
 * hypercall never blocks the daemon. The two talk over a SOCK_SEQPACKET socketpair, which the observer finds
 * as fd 3. Every packet is one message of XHA_OBS_BYTES bytes with magic, version and type; both sides check
 * what comes in before they believe it. The observer leaves when fd 3 closes.
 *
 * A round is: one SEEN for each domain on the host but dom0, protected or not, then one ROUND. Rounds come
 * every round_interval with heartbeats, and at once without them after LOOK or when a domain was created or
 * has died.
 */
#ifndef XHA_BASE_OBSERVE_H
#define XHA_BASE_OBSERVE_H

#include "xhad/core/core.h"

#define XHA_OBS_FD       3
#define XHA_OBS_BYTES    192
#define XHA_OBS_KEY_MAX  64               /* bytes of a heartbeat key, with its NUL */
#define XHA_OBS_KEY      "data/heartbeat" /* below /local/domain/N/: where the agent beats */
#define XHA_OBS_WORD_MAX 48

enum xha_obs_type {
    /* daemon to observer */
    XHA_OBS_CONFIG = 1, /* how often; beat rounds begin only after the first one */
    XHA_OBS_TRACK,      /* read this domain's heartbeat key; again for a domain: its key changes */
    XHA_OBS_UNTRACK,
    XHA_OBS_LOOK,  /* list the domains at once */
    XHA_OBS_PROBE, /* vCPU time and I/O counters of one domain: PROBED, or a listing round when it is gone */
    /* observer to daemon */
    XHA_OBS_READY, /* once, first */
    XHA_OBS_SEEN,
    XHA_OBS_ROUND,
    XHA_OBS_PROBED,
    XHA_OBS_END_
};

/* A message, unpacked. Times are CLOCK_MONOTONIC milliseconds: the daemon maps them onto its own line of
 * time. */
struct xha_obs {
    enum xha_obs_type type;
    struct xha_uuid uuid; /* TRACK, UNTRACK, PROBE, SEEN, PROBED; else zero */
    union {
        struct {
            int64_t round_interval_ms; /* 50..3600000 */
        } config;
        struct {
            char key[XHA_OBS_KEY_MAX]; /* below the domain's own directory; "": no heartbeat wanted */
        } track;
        struct {
            int32_t domid;
        } probe;
        struct {
            char version[XHA_OBS_WORD_MAX];   /* of the hypervisor, "4.17.3" */
            char scheduler[XHA_OBS_WORD_MAX]; /* "credit2" */
        } ready;
        struct xha_seen seen;
        struct {
            struct xha_round r;
            uint32_t store_ops;  /* xenstore requests that this round took */
            uint32_t hypercalls; /* domain listings that this round took */
            /* Of the host, with beats_read; 0: not known. */
            uint64_t memory_kib; /* that guests can have in all: dom0's own taken off */
            uint64_t free_kib;   /* ... and have not */
            uint32_t pcpus;
        } round;
        struct xha_probed probed;
    } u;
};

enum {
    XHA_OBS_OK = 0,
    XHA_OBS_E_AGAIN = -1,  /* recv: nothing there now; send: the other side does not read */
    XHA_OBS_E_CLOSED = -2, /* the other side is gone */
    XHA_OBS_E_BAD = -3,    /* not a message of this version, or a field out of range */
    XHA_OBS_E_SYS = -4,    /* see errno */
};

/*
 * Makes the socketpair: close-on-exec, non-blocking on ours_r, blocking on theirs_r, with room for some
 * thousand messages, so that a daemon which finds it full (E_AGAIN) may take the observer for stuck. Returns
 * 0 or E_SYS.
 */
int xha_obs_pair(int *ours_r, int *theirs_r);

/* Sends one message; 0 or an XHA_OBS_E_* code. Never raises SIGPIPE. */
int xha_obs_send(int fd, const struct xha_obs *obs);

/* Takes one message; 0 or an XHA_OBS_E_* code. After E_BAD the next message may be taken. */
int xha_obs_recv(int fd, struct xha_obs *obs_r);

/* The bytes of a message, and back: 0 or E_BAD. Exposed for the tests and the fuzzer. */
int xha_obs_pack(const struct xha_obs *obs, uint8_t buf_r[XHA_OBS_BYTES]);
int xha_obs_unpack(const void *buf, size_t len, struct xha_obs *obs_r);

/* Whether a heartbeat key stays below the domain's directory: [A-Za-z0-9_-] words between single slashes. */
bool xha_obs_key_ok(const char *key);

/*
 * The counter in a heartbeat key: 1 to 20 decimal digits and nothing else, up to UINT64_MAX. The bytes are a
 * guest's: len counts, no NUL is expected. Returns false, and leaves *beat_r alone, for anything else.
 */
bool xha_obs_beat_parse(const void *bytes, size_t len, uint64_t *beat_r);

#endif

/*
 * place.h - where a domain may run, and whether all of them could after a loss.
 *
 * A struct xha_place knows hosts (what they offer) and domains (what they need, and on which hosts they
 * count). It answers: where does this domain go, and if nowhere, why (xha_place_find); do all domains that
 * are to be restarted have room after the loss of any k hosts (xha_place_survives); what if a host were lost
 * or emptied, or a domain added (xha_place_leave, xha_place_add). Pure, as all of core/: no I/O, no clock, no
 * memory taken after xha_place_new().
 *
 * Hosts and domains are numbers that the caller chooses, below the sizes given to xha_place_new(). Names of
 * tags, networks and storages are bits, names of groups are numbers from 1: the caller's business, too.
 *
 * Every answer depends only on what is known now, never on the way there: a host that was given the whole
 * state answers as one that has followed every change. Equal candidates: the lowest host number.
 */
#ifndef XHA_CORE_PLACE_H
#define XHA_CORE_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XHA_PLACE_NONE       UINT32_MAX          /* no host, no domain */
#define XHA_PLACE_HOSTS_MAX  1000000             /* of xha_place_new() */
#define XHA_PLACE_GROUPS     2                   /* groups of each kind that a domain may be in */
#define XHA_PLACE_ONLY       64                  /* hosts that a domain may be kept to */
#define XHA_PLACE_K_MAX      3                   /* hosts lost at once, for xha_place_survives() */
#define XHA_PLACE_MEMORY_MAX (UINT64_C(1) << 50) /* KiB, of a host or a domain */

struct xha_place;

enum {
    XHA_PLACE_OK = 0,
    XHA_PLACE_E_NOMEM = -1,
    XHA_PLACE_E_INVAL = -2, /* a number or a value out of range; nothing has changed */
    XHA_PLACE_E_STATE =
        -3, /* no such host or domain, or it counts on two hosts already; nothing has changed */
};

struct xha_place_sizes {
    uint32_t max_hosts;
    uint32_t max_domains;
    uint32_t max_groups; /* of each kind; numbers 1..max_groups */
};

int xha_place_new(const struct xha_place_sizes *sizes, struct xha_place **place_r);
void xha_place_free(struct xha_place *place);

/* Makes to, of the same sizes, equal to from; all in place. */
void xha_place_copy(struct xha_place *to, const struct xha_place *from);

/* Bytes that one of these sizes takes. */
size_t xha_place_bytes(const struct xha_place_sizes *sizes);

/* ---- hosts ----------------------------------------------------------------------------------------------
 */

enum xha_place_host_state {
    XHA_PLACE_UP,
    XHA_PLACE_MAINTENANCE, /* takes no domain; those on it stay until they are moved */
    XHA_PLACE_DOWN,        /* lost: takes no domain; those on it are waiting to be started elsewhere */
    XHA_PLACE_HOST_N_
};

struct xha_place_host {
    uint64_t memory_kib; /* for guests altogether: without dom0's, Xen's and what is reserved */
    uint32_t pcpus;
    uint32_t overcommit_percent; /* vCPUs that fit on 100 pCPUs; 0: any number */
    enum xha_place_host_state state;
    uint64_t tags, networks, storages; /* that it has */
};

/* Adds a host or changes it; domains on it stay, also when they have no room any more. OK or E_INVAL. */
int xha_place_host(struct xha_place *place, uint32_t host, const struct xha_place_host *is);

/* Forgets a host and that domains count on it. Unknown: nothing. */
void xha_place_remove_host(struct xha_place *place, uint32_t host);

/* ---- domains --------------------------------------------------------------------------------------------
 */

struct xha_place_need {
    uint64_t memory_kib; /* with Xen's overhead */
    uint32_t vcpus;
    uint32_t tier;     /* when several are placed lower ones choose first, */
    uint32_t priority; /* of those the ones of higher priority, then of more memory */
    bool restart;      /* is to run elsewhere when its host is lost */
    bool has_prefer;   /* goes to `prefer` when that can take it */
    uint8_t n_only;    /* 0: any host; else none but these */
    uint32_t prefer;
    uint32_t only[XHA_PLACE_ONLY];
    uint64_t tags, networks, storages;   /* that its host must have, all of them */
    uint64_t not_tags;                   /* that its host must not have, none of them */
    uint32_t together[XHA_PLACE_GROUPS]; /* affinity: with the group's domains on one host; 0: none */
    uint32_t apart[XHA_PLACE_GROUPS];    /* anti-affinity: never with one of the group; 0: none */
};

/* Makes a domain known or changes what it needs, wherever it counts. OK or E_INVAL. */
int xha_place_domain(struct xha_place *place, uint32_t domain, const struct xha_place_need *need);

/* Forgets a domain: it counts nowhere any more. Unknown: nothing. */
void xha_place_remove_domain(struct xha_place *place, uint32_t domain);

/*
 * Lets a domain count on one more host, at most two: a domain being moved counts on both. Whether it fits is
 * not asked: it is there. Where it counts already: nothing. OK, or E_STATE.
 */
int xha_place_put(struct xha_place *place, uint32_t domain, uint32_t host);

/* Lets it count there no more. OK, or E_STATE when it did not. */
int xha_place_take(struct xha_place *place, uint32_t domain, uint32_t host);

/* ---- one placement --------------------------------------------------------------------------------------
 */

enum xha_placement {
    XHA_PLACE_BEST_FIT,    /* least free memory afterwards, then fewest free vCPUs, then lowest number */
    XHA_PLACE_WORST_FIT,   /* most free memory afterwards, then most free vCPUs, then lowest number */
    XHA_PLACE_ROUND_ROBIN, /* the next number after `after` that fits */
    XHA_PLACEMENT_N_
};

struct xha_place_query {
    const struct xha_place_need *need;
    enum xha_placement policy;
    uint32_t domain;       /* its number, when known: it is not in its own way. Else XHA_PLACE_NONE */
    const uint32_t *avoid; /* hosts that it must not go to; those that it counts on, it does not anyway */
    uint32_t n_avoid;
    uint32_t prefer; /* taken if it fits, before the one that the domain prefers; or XHA_PLACE_NONE */
    uint32_t after;  /* ROUND_ROBIN: the host taken last; XHA_PLACE_NONE: begin with the lowest */
};

/* Why a host is out of the question; each is counted under the first of these that excludes it. */
enum xha_place_filter {
    XHA_PLACE_F_DOWN,
    XHA_PLACE_F_MAINTENANCE,
    XHA_PLACE_F_AVOIDED,
    XHA_PLACE_F_NOT_NAMED, /* not one of `only` */
    XHA_PLACE_F_TAGS,
    XHA_PLACE_F_NOT_TAGS,
    XHA_PLACE_F_NETWORKS,
    XHA_PLACE_F_STORAGES,
    XHA_PLACE_F_TOGETHER,
    XHA_PLACE_F_APART,
    XHA_PLACE_F_VCPUS,
    XHA_PLACE_F_MEMORY, /* the last: all else would do there */
    XHA_PLACE_FILTER_N_
};

struct xha_place_why {
    uint32_t hosts;                         /* known */
    uint32_t excluded[XHA_PLACE_FILTER_N_]; /* their sum is hosts when nothing fits */
    uint32_t closest;                       /* among F_MEMORY the host with most free memory, or NONE */
    uint64_t short_kib;                     /* how much that one lacks */
    uint32_t apart_from;                    /* F_APART: a domain that is in the way, or NONE */
};

/*
 * The host for it, or XHA_PLACE_NONE. why_r may be NULL; else it is set when there is none, and zeroed (with
 * NONEs) when there is one. About a microsecond at 10,000 hosts; with why_r and no host, a look at each.
 */
uint32_t xha_place_find(const struct xha_place *place, const struct xha_place_query *query,
                        struct xha_place_why *why_r);

/* Whether it may go to this host: XHA_PLACE_FILTER_N_ if so, else the first filter that excludes it. */
enum xha_place_filter xha_place_may(const struct xha_place *place, const struct xha_place_query *query,
                                    uint32_t host);

/* "worst-fit"; "too little memory". "?" out of range. */
const char *xha_placement_name(enum xha_placement policy);
const char *xha_place_filter_text(enum xha_place_filter filter);

/*
 * "no host fits: 2 of 3 have too little memory (host 4 is the closest, 512 MiB short), 1 is in maintenance",
 * with names for numbers by name(user, host), which may be NULL. Returns buf.
 */
typedef const char *xha_place_name_fn(void *user, uint32_t number);
const char *xha_place_why_text(const struct xha_place_why *why, xha_place_name_fn *host_name, void *user,
                               char *buf, size_t len);

/* ---- what if: the place is worked on and is as before when they return -----------------------------------
 */

enum xha_place_verdict {
    XHA_PLACE_FITS,
    XHA_PLACE_FITS_NOT, /* proven */
    XHA_PLACE_UNPROVEN, /* not found out within the steps allowed: to be taken as no */
    XHA_PLACE_VERDICT_N_
};

struct xha_place_survival {
    enum xha_place_verdict verdict;
    uint32_t k;
    uint32_t lost[XHA_PLACE_K_MAX]; /* not FITS: the hosts whose loss it is about, ascending; rest NONE */
    uint32_t blocks;                /* not FITS: the domain that finds no room, or NONE */
    struct xha_place_why why;       /* of that domain, when the others have found theirs */
    uint64_t sets, steps;           /* sets of hosts looked at one by one; placements tried */
};

#define XHA_PLACE_STEPS UINT64_C(200000) /* usual bound of the steps: well below a second */

/*
 * Whether after the loss of any k (0..3) hosts or fewer, and of those that are DOWN, every domain with
 * `restart` that ran only on them has room elsewhere, filters and all. Domains of one affinity group that are lost together
 * are placed together. k = 0: whether those that wait now have room.
 *
 * Exact wherever `steps` placements suffice: every set of hosts by itself, first quickly, then by search.
 * Beyond: FITS when a bound over all sets proves it, else UNPROVEN. Of sets that do not fit, one is told,
 * a proven one before any unproven; with no hosts and no domain when the steps ended before the sets did.
 * Returns OK or E_INVAL.
 */
int xha_place_survives(struct xha_place *place, uint32_t k, uint64_t steps,
                       struct xha_place_survival *survival_r);

struct xha_place_move {
    uint32_t domain;
    uint32_t from;            /* where it counts now; of two that it leaves the lower */
    uint32_t to;              /* XHA_PLACE_NONE: nowhere, see why */
    struct xha_place_why why; /* set when to is NONE */
};

enum xha_place_leaving {
    XHA_PLACE_LEAVE_RESTART, /* those with `restart` that count on no other host: the hosts are lost */
    XHA_PLACE_LEAVE_ALL,     /* all that count on no other host: the hosts are to be emptied */
};

/*
 * Where domains that count nowhere go when they are placed now: in the order in which they choose (tier, priority,
 * memory, number); of one affinity group as many as fit on one host together, and then each of the others where it
 * still may. Of query: policy, avoid, prefer and after; they hold for all of them. moves_r: n, in that order, from
 * NONE. Nothing is put anywhere. Returns OK, or E_STATE.
 */
int xha_place_seat(struct xha_place *place, const struct xha_place_query *query, const uint32_t *domains,
                   uint32_t n, struct xha_place_move *moves_r);

/*
 * Where the domains of these hosts would go, as xha_place_seat() says; so the leader does what is foretold.
 * moves_r has room for max; *n_r is how many there are, also when that is more. Returns OK or E_INVAL.
 */
int xha_place_leave(struct xha_place *place, const uint32_t *hosts, uint32_t n_hosts,
                    enum xha_place_leaving leaving, enum xha_placement policy, uint32_t after,
                    struct xha_place_move *moves_r, uint32_t max, uint32_t *n_r);

struct xha_place_added {
    uint32_t host; /* where it would go, XHA_PLACE_NONE: nowhere, see why */
    struct xha_place_why why;
    struct xha_place_survival
        survival; /* with it there; FITS_NOT for the domain itself when there is no host */
};

/* A domain more (query->domain is a free number), with k as in xha_place_survives(). OK, E_INVAL, E_STATE. */
int xha_place_add(struct xha_place *place, const struct xha_place_query *query, uint32_t k, uint64_t steps,
                  struct xha_place_added *added_r);

/* ---- looking -------------------------------------------------------------------------------------------
 */

struct xha_place_host_view {
    struct xha_place_host is;
    int64_t free_kib;   /* less than 0: more is there than fits */
    int64_t free_vcpus; /* INT64_MAX: any number */
    uint32_t domains;
};

/* false: no such host. */
bool xha_place_host_view(const struct xha_place *place, uint32_t host, struct xha_place_host_view *view_r);

/* NULL: no such domain. Valid until it changes. */
const struct xha_place_need *xha_place_need(const struct xha_place *place, uint32_t domain);

/* The hosts that it counts on, NONE in the rest. */
void xha_place_where(const struct xha_place *place, uint32_t domain, uint32_t host_r[2]);

/* Consistency of tables and indexes; asserts. For the tests. */
void xha_place_audit(const struct xha_place *place);

#endif

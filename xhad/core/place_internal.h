/*
 * place_internal.h - what the files of the placement share; nobody outside core/ includes it.
 *
 *   place.c          life, hosts, domains, who counts where
 *   place_index.c    hosts that take domains, ordered by what is free: a tree
 *   place_group.c    which group has domains on which host: a hash table
 *   place_find.c     one placement: filters, choice, reasons
 *   place_lost.c     domains that lose their host, taken off and put back; units of them
 *   place_leave.c    several placements: who waits; what if hosts were lost or emptied, a domain added
 *   place_survive.c  N+k, set by set
 *   place_bound.c    N+k, all sets at once
 */
#ifndef XHA_CORE_PLACE_INTERNAL_H
#define XHA_CORE_PLACE_INTERNAL_H

#include "place.h"

#include <assert.h>
#include <string.h>

#define NONE32 UINT32_MAX

enum kind { TOGETHER, APART, KIND_N_ };

/* A domain on a host; its number is domain * 2 + 0 or 1. */
struct slot {
    uint32_t host; /* NONE32: free */
    uint32_t next, prev;
};

struct dom {
    struct xha_place_need need;
    struct slot slot[2];
    uint32_t was[2]; /* the hosts that it lost, while it is in place->lost */
    bool known;
};

struct host {
    struct xha_place_host is;
    bool known;
    bool gone;    /* taken as lost, for a what-if */
    bool indexed; /* known, up and not gone */
    uint64_t used_kib, used_vcpus;
    uint32_t domains, first; /* slots */
    uint32_t grouped;        /* entries of the group table for it */
};

/* A host in the index; its children by number. What holds for the whole subtree stands in some_ and all_. */
struct node {
    int64_t free_kib, free_vcpus; /* the key, and then its number */
    uint64_t tags, networks, storages;
    uint64_t some_tags, some_networks, some_storages, all_tags;
    int64_t most_vcpus;
    uint32_t left, right;
};

/* Domains of one group on one host, of one kind. */
struct member {
    uint32_t group, host, count;
    uint32_t chain;      /* in its bucket, or in the free list */
    uint32_t next, prev; /* of the same group */
    enum kind kind;
};

struct groups {
    struct member *member;
    uint32_t *bucket, n_buckets, free;
    uint32_t *first[KIND_N_], *total[KIND_N_]; /* by group: its members; domains counted */
};

/* Domains that go to one host together: affinity groups among those that lost their host. Or a single one. */
struct unit {
    uint32_t first, n; /* of place->lost */
    uint64_t memory_kib, vcpus;
    uint64_t tags, networks, storages, not_tags;
    uint32_t domain; /* the lowest */
    bool choosy;     /* asks for more than memory and vCPUs */
    bool clash;      /* has two domains that must be apart */
    uint32_t host;   /* where it was put, NONE32: nowhere */
};

/* So many domains, and their memory. */
struct load {
    uint64_t count, kib;
};

struct xha_place {
    struct xha_place_sizes sizes;
    uint32_t n_hosts; /* known */
    struct host *host;
    struct dom *dom;
    struct node *node;
    uint32_t root;
    struct groups groups;
    /* room to work in */
    uint32_t *lost, n_lost;
    uint32_t *parent, *seen_by; /* by index in lost; by group */
    struct unit *unit;
    uint32_t n_units;
    uint32_t *order;                /* of lost, or of units */
    uint32_t *host_order, *to_lose; /* hosts */
    struct load *lost_with, *takes; /* by host: what is to be restarted of it; what it surely takes */
};

/* One placement wanted: of need, or of a unit. */
struct want {
    const struct xha_place_need *need; /* NULL: of place->lost[first..first+n-1] */
    uint32_t first, n;
    uint64_t memory_kib, vcpus;
    uint64_t tags, networks, storages, not_tags;
    uint32_t own[2]; /* hosts on which it counts already */
    const uint32_t *avoid;
    uint32_t n_avoid;
    bool clash;
};

/* place.c */
int64_t xha_place_free_kib(const struct host *h);
int64_t xha_place_free_vcpus(const struct host *h);
void xha_place_set_gone(struct xha_place *p, uint32_t host, bool gone);
void xha_place_reindex(struct xha_place *p, uint32_t host); /* after any change of a host */
void xha_place_put_slot(struct xha_place *p, uint32_t domain, uint32_t host);
void xha_place_take_slot(struct xha_place *p, uint32_t domain, uint32_t host);
bool xha_place_counts(const struct xha_place *p, uint32_t domain, uint32_t host);
void xha_place_sort(uint32_t *a, uint32_t n, bool (*before)(const void *user, uint32_t x, uint32_t y),
                    const void *user);

/* place_index.c */
void xha_place_index_add(struct xha_place *p, uint32_t host);
void xha_place_index_drop(struct xha_place *p, uint32_t host);
/* The first host by (free memory, free vCPUs, number) that is not before these and passes. */
uint32_t xha_place_index_first(const struct xha_place *p, const struct want *w, int64_t free_kib,
                               int64_t free_vcpus, uint32_t host);
/* The one with most free memory, then vCPUs, then the lowest number, that passes. */
uint32_t xha_place_index_last(const struct xha_place *p, const struct want *w);
void xha_place_index_audit(const struct xha_place *p);

/* place_group.c */
void xha_place_groups_init(struct groups *g, const struct xha_place_sizes *sizes);
void xha_place_group_add(struct xha_place *p, enum kind kind, uint32_t group, uint32_t host);
void xha_place_group_drop(struct xha_place *p, enum kind kind, uint32_t group, uint32_t host);
uint32_t xha_place_group_count(const struct xha_place *p, enum kind kind, uint32_t group, uint32_t host);
void xha_place_groups_audit(const struct xha_place *p);

/* place_find.c */
void xha_place_want_need(const struct xha_place *p, const struct xha_place_query *query, struct want *want_r);
void xha_place_want_unit(const struct unit *unit, struct want *want_r);
const struct xha_place_need *xha_place_wanted(const struct xha_place *p, const struct want *w, uint32_t i);
enum xha_place_filter xha_place_filter(const struct xha_place *p, const struct want *w, uint32_t host);
bool xha_place_passes(const struct xha_place *p, const struct want *w, uint32_t host);
uint32_t xha_place_choose(const struct xha_place *p, const struct want *w, enum xha_placement policy,
                          uint32_t prefer, uint32_t after);
void xha_place_explain(const struct xha_place *p, const struct want *w, struct xha_place_why *why_r);

/* place_lost.c: hosts are taken as lost; the domains that lost their last one are in place->lost, taken off.
 */
void xha_place_lose(struct xha_place *p, const uint32_t *hosts, uint32_t n, enum xha_place_leaving leaving);
void xha_place_find_again(struct xha_place *p, const uint32_t *hosts, uint32_t n); /* as it was */
void xha_place_units(struct xha_place *p); /* of place->lost, which is reordered */
/* Of n domains of place->lost, a part of a unit. */
void xha_place_unit(struct xha_place *p, uint32_t first, uint32_t n, struct unit *unit_r);
/* Whether domain x chooses before y. */
bool xha_place_before(const struct xha_place *p, uint32_t x, uint32_t y);
void xha_place_put_unit(struct xha_place *p, uint32_t unit, uint32_t host);
void xha_place_take_unit(struct xha_place *p, uint32_t unit); /* nothing when it was not put */

/* place_bound.c: true: proven. Uses the room to work in. */
bool xha_place_surely_survives(struct xha_place *p, uint32_t k);

#endif

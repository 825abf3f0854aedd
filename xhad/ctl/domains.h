/*
 * domains.h - the protected domains as the daemon knows them beside the core: their policies with all that
 * only the workers need, and the directory STATE/domains/UUID that keeps it over restarts.
 *
 * The directory holds policy.conf (the owner's file as it was when it was taken), config.json (the domain's
 * configuration for libxl, as the helper gave it) and domain.json (name, memory, disks, where the policy came
 * from, scheduling parameters set by command). It is replaced as a whole: a crash leaves the old or the new
 * one.
 */
#ifndef XHA_CTL_DOMAINS_H
#define XHA_CTL_DOMAINS_H

#include <jansson.h>
#include "xhad/base/job.h"
#include "xhad/base/policy.h"
#include "xhad/core/cluster.h"

/* One protected domain. Owned by struct xha_domains, or by whoever is about to add it. */
struct xha_domain {
    struct xha_uuid uuid;
    char name[XHA_NAME_MAX];
    struct xha_domain_spec spec;
    char *policy_text;             /* policy.conf, its bytes */
    json_t *config;                /* config.json; NULL once it is stored: only workers read it */
    json_t *facts;                 /* of domain.json: type, vcpus, disks, memory_kib */
    char source[XHA_JOB_PATH_MAX]; /* the policy file it was taken from */
    struct xha_job_sched sched;    /* of the policy, or set by command since */
    bool sched_set;                /* ... set by command */
    bool shared;                   /* in a cluster: its texts are the ones of the cluster's state */
    uint8_t digest_policy[XHA_DIGEST], digest_config[XHA_DIGEST]; /* in a cluster: of its texts here */
};

struct xha_domains {
    char dir[XHA_JOB_PATH_MAX]; /* STATE/domains */
    struct xha_domain **domain;
    size_t n, room;
};

/* Creates the directory. 0, or -1 with a text. */
int xha_domains_open(struct xha_domains *ds, const char *state_dir, char *err, size_t err_len);
void xha_domains_clear(struct xha_domains *ds);

/* Reads all directories into the table. Each that cannot be read is told to bad() and left where it is. */
typedef void xha_domains_bad_cb(void *user, const char *uuid, const char *text);
void xha_domains_load(struct xha_domains *ds, xha_domains_bad_cb *bad, void *user);

struct xha_domain *xha_domains_find(const struct xha_domains *ds, const struct xha_uuid *uuid);
/* By name, UUID, or the path of the policy. NULL: none. */
struct xha_domain *xha_domains_find_name(const struct xha_domains *ds, const char *name);
struct xha_domain *xha_domains_find_source(const struct xha_domains *ds, const char *path);

/* Stores the domain's directory. 0, or -1 with a text. */
int xha_domains_store(const struct xha_domains *ds, const struct xha_domain *d, char *err, size_t err_len);
/* Only domain.json anew. */
int xha_domains_store_facts(const struct xha_domains *ds, const struct xha_domain *d, char *err,
                            size_t err_len);
/* Takes it into the table, in place of one with the same UUID, which is freed. 0, or -1: no memory. */
int xha_domains_put(struct xha_domains *ds, struct xha_domain *d);
/* Removes it from the table and the disk, and frees it. */
void xha_domains_remove(struct xha_domains *ds, struct xha_domain *d);

void xha_domain_free(struct xha_domain *d);

/* What the policy says of the scheduler, for a job; not when it was set by command since. */
void xha_domain_sched_of_policy(struct xha_domain *d);

/* STATE/domains/UUID and an ending: "/config.json", say. */
void xha_domains_path(const struct xha_domains *ds, const struct xha_uuid *uuid, const char *ending,
                      char *buf, size_t len);

#endif

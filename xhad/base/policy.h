/*
 * policy.h - a domain's policy file: what its owner wants. Manual: xha-domain(5).
 *
 * struct xha_domain_spec is the core's struct xha_policy and all that only the workers need. Its parameters
 * are the rows of xha_domain_params. A spec owns its strings: xha_domain_spec_clear().
 */
#ifndef XHA_POLICY_H
#define XHA_POLICY_H

#include "xhad/base/conf.h"
#include "xhad/base/params.h"
#include "xhad/core/core.h"

enum xha_compress { XHA_COMPRESS_NONE, XHA_COMPRESS_ZSTD, XHA_COMPRESS_N_ };

/* Whether a domain with writable disks may be checkpointed: memory older than its disk corrupts the disk. */
enum xha_disks {
    XHA_DISKS_REFUSE, /* no, unless snapshot_command keeps the disks of that moment */
    XHA_DISKS_UNSAFE, /* yes, the owner has said that it does no harm */
    XHA_DISKS_N_
};

/* What replication does about writable disks; a domain without any needs nothing. */
enum xha_replication_disks {
    XHA_REPL_DISKS_REFUSE, /* a domain that has one is not replicated */
    XHA_REPL_DISKS_UNSAFE, /* it is, all the same: its owner knows that both sides may have written */
    XHA_REPL_DISKS_GATED,  /* its writes are held back per epoch, as what it sends */
    XHA_REPL_DISKS_N_
};

/* What a move to another host finds of the domain's disks. */
enum xha_storage {
    XHA_STORAGE_SHARED, /* the same ones */
    XHA_STORAGE_COPY,   /* nothing: they are moved along, while the domain is stopped */
    XHA_STORAGE_N_
};

struct xha_domain_spec {
    struct xha_policy policy; /* memory_kib is 0: the domain's configuration says it, not the policy */
    char *config;             /* path of an xl.cfg, "" when domain is given */
    char *domain;             /* name of a running domain, "" when config is given */
    struct {
        uint32_t keep;            /* newest good ones kept */
        struct xha_span keep_age; /* older ones go, 0: by count alone; never the last good one */
        enum xha_compress compress;
        uint32_t level; /* zstd's */
    } checkpoint;       /* its interval is policy.checkpoint_interval */
    enum xha_disks disks;
    char *snapshot_command; /* absolute path, "" none */
    struct {
        uint32_t weight; /* 1..65535 */
        uint32_t cap;    /* percent of one CPU, 0: none */
        char *affinity;  /* list of CPUs as in xl vcpu-pin, "all" */
        char *pool;      /* cpupool, "": where the configuration puts it */
    } sched;
    struct {
        char *tags, *not_tags, *networks, *storages, *hosts; /* names, separated by commas; "": any */
        char *prefer;                                        /* a host, "": none */
        char *affinity, *anti_affinity;                      /* a group, "": none */
    } place;
    struct {
        struct xha_span interval; /* between two epochs; 0: chosen anew for each, within the next two */
        struct xha_span interval_min, interval_max;
        uint32_t max_pause_share; /* percent of its time that the guest may stand still for epochs */
        struct xha_span silence;  /* of the backup, after which the owner takes it for lost */
        uint32_t queue_max_kib;   /* of what waits behind the gate */
        enum xha_replication_disks disks;
    } replication;
    bool relocate, failback;
    enum xha_move_mode move;
    enum xha_storage storage;
    char *file; /* where it was read from */
    struct xha_origin origin;
};

extern const struct xha_params xha_domain_params;

/*
 * Reads path. On any return but XHA_CONF_OK spec_r is cleared and the problems say why. Relations within the
 * file are checked here; those to xhad.conf by xha_domain_spec_check().
 */
int xha_domain_spec_load(const char *path, struct xha_domain_spec *spec_r, struct xha_problems *problems);

/* The same from memory; file is only for messages. */
int xha_domain_spec_parse(const char *file, const char *text, size_t len, struct xha_domain_spec *spec_r,
                          struct xha_problems *problems);

/* Whether the policy can be kept under these settings. XHA_CONF_OK or XHA_CONF_E_BAD. */
int xha_domain_spec_check(const struct xha_domain_spec *spec, const struct xha_conf *conf,
                          struct xha_problems *problems);

void xha_domain_spec_clear(struct xha_domain_spec *spec);

/* What the cluster has to know for placing it. vcpus: as its configuration says. */
void xha_domain_spec_needs(const struct xha_domain_spec *spec, uint32_t vcpus, struct xha_needs *needs_r);

/* Whether it is a list of names as tags, networks, storages and hosts are written: "a,b-2,c.d"; also "". */
bool xha_names_ok(const char *list);

/* As `xhad -n` shows it. */
void xha_domain_spec_print(const struct xha_domain_spec *spec, bool docs, FILE *out);

const char *xha_compress_name(enum xha_compress compress);
const char *xha_disks_name(enum xha_disks disks);
const char *xha_replication_disks_name(enum xha_replication_disks disks);
const char *xha_storage_name(enum xha_storage storage);

#endif

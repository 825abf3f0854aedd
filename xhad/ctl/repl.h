/*
 * repl.h - replication as people see it: what the senders of this host's domains say of their first copies and epochs.
 *
 * One entry for each domain that has or had a sender or receiver here since xhad was started. It is for people and machines that
 * look on; nothing is decided by it, and none of it is on disk. Sums only grow, but for a new start of xhad.
 * repl_state.c puts it beside what the cluster's state says of the pair.
 */
#ifndef XHA_CTL_REPL_H
#define XHA_CTL_REPL_H

#include "xhad/base/job.h"

#define XHA_REPL_EPOCHS   64    /* the newest ones, kept of each domain */
#define XHA_REPL_DROPS_MS 60000 /* at least so long between two words about dropped packets of a domain */

struct xha_repl_epoch {
    struct xha_job_epoch said;
    uint64_t pair;
    struct xha_time heard;
    int64_t wall_ms; /* since 1970 */
};

struct xha_repl_domain {
    struct xha_uuid uuid;
    uint64_t pair; /* of the newest sender */
    bool sending;  /* which has not ended */
    /* How the last one failed; "": none has, or one has sent epochs since. */
    char ended[XHA_JOB_MESSAGE_MAX];
    uint64_t done, total; /* pages of the first copy; total 0: nothing said of it */
    struct xha_job_pace pace;
    /* all epochs since xhad was started, of all pairs */
    uint64_t epochs, pages, raw_bytes, sent_bytes, dropped_packets;
    int64_t pause_us, commit_us;
    struct xha_repl_epoch epoch[XHA_REPL_EPOCHS]; /* a ring: the newest at (epochs - 1) % XHA_REPL_EPOCHS */
    uint64_t drops_seen;                          /* the sender's own count */
    uint64_t drops_told;                          /* of dropped_packets, in alarms */
    struct xha_time told;                         /* when; 0: not yet */
    /* on a backup's host */
    uint64_t silent_job; /* its receiver, that hears nothing of the owner */
    uint32_t silent;     /* how often it has said so */
};

struct xha_repls;

struct xha_repls *xha_repls_new(void); /* NULL: no memory */
void xha_repls_free(struct xha_repls *repls);

/* A sender's words: pages of the first copy (pace may be NULL), an epoch, its end (text: why; "": by order). */
void xha_repls_sync(struct xha_repls *repls, const struct xha_job *job, uint64_t done, uint64_t total,
                    const struct xha_job_pace *pace);
/* Returns how many packets were dropped of which nobody has been told yet, when it is time to tell; else 0. */
uint64_t xha_repls_epoch(struct xha_repls *repls, const struct xha_job *job,
                         const struct xha_job_epoch *epoch, struct xha_time now, int64_t wall_ms);
void xha_repls_end(struct xha_repls *repls, const struct xha_job *job, const char *text);

/* A receiver has said once more that it hears nothing. true: it has for a while; said once of each receiver. */
bool xha_repls_silent(struct xha_repls *repls, const struct xha_job *job);

/* NULL: there was no sender. Valid until the table changes. */
const struct xha_repl_domain *xha_repls_find(const struct xha_repls *repls, const struct xha_uuid *uuid);
void xha_repls_forget(struct xha_repls *repls, const struct xha_uuid *uuid);

/* The newest epoch is i = 0. NULL: there are not so many, or it is no longer kept. */
const struct xha_repl_epoch *xha_repls_newest(const struct xha_repl_domain *domain, uint64_t i);

/* How long the guest stood still. */
static inline int64_t xha_repls_pause_us(const struct xha_job_epoch *e)
{
    return e->suspend_us + e->scan_us + e->copy_us + e->resume_us;
}

#endif

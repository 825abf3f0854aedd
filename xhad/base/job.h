/*
 * job.h - the order of work that xhad gives to a worker process, and the worker's answer.
 *
 * xhad writes RUN/jobs/ID.job, locks it and starts `HELPER work RUN/jobs/ID.job` with the locked file as
 * descriptor 3; the worker takes the locks, works, writes RUN/jobs/ID.done and exits. The lock of ID.job
 * lives exactly as long as the worker, from before its exec on; so a restarted xhad can tell a worker that is
 * still at it (locked) from one that is gone without an answer (free, no .done: UNKNOWN). The lock of
 * RUN/jobs/UUID.lock keeps two workers from one domain.
 *
 * Standard output of a worker is for progress lines alone, standard error for people (ID.log).
 */
#ifndef XHA_BASE_JOB_H
#define XHA_BASE_JOB_H

#include <jansson.h>
#include <limits.h>
#include "xhad/core/core.h"

#define XHA_JOB_VERSION     1
#define XHA_JOB_LOCK_FD     3       /* the locked .job file in a worker that xhad started */
#define XHA_JOB_LOCK_WAIT   10000   /* ms that a worker waits for the worker before it, then REFUSED */
#define XHA_JOB_BYTES_MAX   1048576 /* of a .job or .done file */
#define XHA_JOB_PATH_MAX    1024
#define XHA_JOB_MESSAGE_MAX 512

enum xha_verb {
    XHA_VERB_NONE,
    /* deeds of the core */
    XHA_VERB_START,
    XHA_VERB_RESTORE,
    XHA_VERB_DESTROY,
    XHA_VERB_SHUTDOWN,
    XHA_VERB_CHECKPOINT,
    XHA_VERB_RESUME,
    XHA_VERB_SCHED,
    /* a question of the daemon that changes the domain's checkpoints, and so takes its lock, too */
    XHA_VERB_IMPORT, /* checkpoint.file → the next checkpoint; data: its manifest, with its number */
    /* questions of the daemon; they take no lock of the domain */
    XHA_VERB_PARSE,       /* xlcfg → data: what XHA_VERB_DESCRIBE gives */
    XHA_VERB_DESCRIBE,    /* name → data: config_json, name, uuid, memory_kib, type, vcpus, disks */
    XHA_VERB_CHECKPOINTS, /* data: an array of number, time, size, compressed, good */
    XHA_VERB_MONITOR,     /* name or domid → data: pid of stock xl's monitor process, 0 for none */
    XHA_VERB_N_
};

struct xha_job_sched {
    uint32_t weight;    /* 0: leave as it is */
    uint32_t cap;       /* percent of one CPU; 0: none */
    char affinity[256]; /* "all", or xl's list of CPUs */
    char pool[64];      /* "": leave as it is */
};

struct xha_job_checkpoint {
    char dir[XHA_JOB_PATH_MAX]; /* of this domain: CHECKPOINT_DIR/UUID */
    uint64_t number;            /* RESTORE: this one; 0: the newest good one */
    uint32_t keep;
    uint32_t keep_age_s; /* 0: age does not matter */
    char compress[16];   /* "none" or "zstd" */
    int level;
    char disks[16];                          /* "refuse" or "unsafe" */
    char snapshot_command[XHA_JOB_PATH_MAX]; /* "": none */
    char file[XHA_JOB_PATH_MAX];             /* IMPORT: a save file of xl's, or a checkpoint's */
};

struct xha_job {
    uint64_t id;
    enum xha_verb verb;
    struct xha_uuid uuid; /* all zero: not of one domain */
    char name[XHA_NAME_MAX];
    uint64_t term;
    int32_t domid;
    int64_t deadline_ms;           /* from the start of the worker; xhad keeps watch over it */
    char config[XHA_JOB_PATH_MAX]; /* START, RESTORE: config.json of the domain */
    char xlcfg[XHA_JOB_PATH_MAX];  /* PARSE */
    bool take_over;                /* MONITOR: end it */
    struct xha_job_sched sched;
    struct xha_job_checkpoint checkpoint;
};

/* A worker's answer. data is owned by the struct: xha_job_done_clear(). */
struct xha_job_done {
    uint64_t id;
    enum xha_result result;
    enum xha_refusal refusal;          /* with XHA_REFUSED */
    char message[XHA_JOB_MESSAGE_MAX]; /* for people */
    int32_t domid;                     /* START, RESTORE with XHA_OK; else XHA_DOMID_NONE */
    uint32_t skipped;                  /* RESTORE: corrupt checkpoints passed over */
    json_t *data;                      /* may be NULL */
};

/* The locks of a worker; they go with the process, or with xha_job_unlock(). */
struct xha_job_locks {
    int job_fd, domain_fd;
};

const char *xha_verb_name(enum xha_verb verb);
enum xha_verb xha_verb_parse(const char *name); /* XHA_VERB_NONE: no such verb */

/*
 * Read and write. 0, or -1 with a text for people in err. Reading checks every field's type and length: a
 * worker does not trust its job, nor xhad the answer. Writing is atomic (file.h).
 */
int xha_job_write(const char *path, const struct xha_job *job, char *err, size_t err_len);
int xha_job_read(const char *path, struct xha_job *job_r, char *err, size_t err_len);
int xha_job_done_write(const char *path, const struct xha_job_done *done, char *err, size_t err_len);
int xha_job_done_read(const char *path, struct xha_job_done *done_r, char *err, size_t err_len);
void xha_job_done_clear(struct xha_job_done *done);

/* PATH.job → PATH.done, PATH.log, …: the file beside a job. -1 when it does not fit or job_path is no .job.
 */
int xha_job_beside(const char *job_path, const char *ending, char *buf, size_t len);

/*
 * Takes a worker's locks: of its job file (descriptor 3 when xhad gave it, else opened) and, for a deed, of
 * the domain. Waits XHA_JOB_LOCK_WAIT for the latter. 0, or -1 with a text: answer REFUSED.
 */
int xha_job_lock(const char *job_path, const struct xha_job *job, struct xha_job_locks *locks_r, char *err,
                 size_t err_len);
void xha_job_unlock(struct xha_job_locks *locks);

/* 1: somebody holds the lock of that job file, 0: nobody, -1: no such file or another error, in errno. */
int xha_job_is_locked(const char *job_path);

/* One progress line on fd. Whoever reads may be gone: errors do not matter, SIGPIPE must be ignored. */
void xha_job_progress(int fd, const char *step, uint64_t done, uint64_t total);

/* Reads one such line (without its newline). false: it is none. */
bool xha_job_progress_parse(const char *line, size_t len, char *step, size_t step_len, uint64_t *done_r,
                            uint64_t *total_r);

#endif

/*
 * job.h - the order of work that xhad gives to a worker process, and the worker's answer.
 *
 * xhad writes RUN/jobs/ID.job, locks it and starts `HELPER work RUN/jobs/ID.job` with the locked file as
 * descriptor 3; the worker takes the locks, works, writes RUN/jobs/ID.done and exits. The lock of ID.job
 * lives exactly as long as the worker, from before its exec on; so a restarted xhad can tell a worker that is
 * still at it (locked) from one that is gone without an answer (free, no .done: UNKNOWN). The lock of
 * RUN/jobs/UUID.lock keeps two workers from one domain; RUN/jobs/UUID.repl.lock the sender of its replication from the
 * worker that opens its gate, both of which go on beside other work.
 *
 * Standard output of a worker is for progress lines alone, standard error for people (ID.log). The former is a FIFO,
 * RUN/jobs/ID.out, out of which a restarted xhad reads on; the worker never waits for it, and what does not fit is lost.
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
    XHA_VERB_GATE, /* OK: its network gate is open and gone, and it runs; of one whose sender is gone */
    /* a question of the daemon that changes the domain's checkpoints, and so takes its lock, too */
    XHA_VERB_IMPORT, /* checkpoint.file → the next checkpoint; data: its manifest, with its number */
    /* the two ends of a move between hosts: they stream and tell, and never decide (struct xha_job_move) */
    XHA_VERB_MIGRATE,       /* OK: all was sent, the guest is suspended here; REFUSED: it runs here */
    XHA_VERB_RECEIVE,       /* OK: it is here, whole and paused, as domid; REFUSED: nothing is left here */
    XHA_VERB_SEND_DISKS,    /* of a domain that is stopped; the configuration says which */
    XHA_VERB_RECEIVE_DISKS, /* OK: all disks of the configuration are here, verified and on stable storage */
    /*
     * The backup of a domain that is replicated. SIGUSR1 promotes: OK: it runs here, as domid, as of the last
     * whole epoch. SIGTERM discards: REFUSED: nothing is left here. Until then it waits, with or without its sender.
     */
    XHA_VERB_REPLICATE_IN,
    /* questions of the daemon; they take no lock of the domain */
    XHA_VERB_PARSE,       /* xlcfg → data: what XHA_VERB_DESCRIBE gives */
    XHA_VERB_DESCRIBE,    /* name → data: config_json, name, uuid, memory_kib, type, vcpus, disks */
    XHA_VERB_CHECKPOINTS, /* data: an array of number, time, size, compressed, good */
    XHA_VERB_MONITOR,     /* name or domid → data: pid of stock xl's monitor process, 0 for none */
    /*
     * The sender of a replicated domain, beside which other work goes on, and so without its lock; it has to be ended
     * before a deed that suspends the domain. Always ends REFUSED with the guest running here, or UNKNOWN; by SIGTERM
     * when somebody wants it so, else because its backup is lost, or the guest is gone. A network gate that it has
     * shut stays shut: XHA_VERB_GATE.
     */
    XHA_VERB_REPLICATE_OUT,
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

/*
 * One end of a move. The receiver starts first and tells where it listens by the progress line "listening",
 * whose done and total are the port. Both ends hold the cluster's key, and name the same move and UUID.
 */
struct xha_job_move {
    uint64_t id;
    char mode[8];       /* MIGRATE: "live" (precopy), "warm" (suspend, then stream); "": what can be done */
    char host[256];     /* MIGRATE, SEND_DISKS: name or address of the receiver */
    uint16_t port;      /* ... and its port; RECEIVE, RECEIVE_DISKS: the first to try, 0 for any */
    uint16_t port_last; /* RECEIVE, RECEIVE_DISKS: the last to try; 0: only port */
    char bind[256];     /* RECEIVE, RECEIVE_DISKS: the address to listen at; "": all */
    char key_file[XHA_JOB_PATH_MAX]; /* 64 hexadecimal digits and a newline, readable by root alone */
    char compress[8];                /* MIGRATE, SEND_DISKS: "lz4", "zstd" or "none"; "": lz4 */
    uint64_t limit_bps;              /* bytes a second on the network; 0: no limit */
    uint32_t peer_timeout_s;         /* a peer that is silent for so long is gone; 0: 10 */
    /*
     * MIGRATE: instead of host and port, a command whose standard input and output are a stock `xl
     * migrate-receive`, such as "ssh h2 xl migrate-receive". Then xl's own commit decides, and OK means that
     * the domain runs there and is gone here.
     */
    char command[XHA_JOB_PATH_MAX];
};

/* One end of a replication; where and with whom, says struct xha_job_move. 0: what xhad/repl/ takes for it. */
struct xha_job_replica {
    uint32_t interval_min_ms, interval_max_ms; /* REPLICATE_OUT; the same: fixed */
    uint32_t max_pause_permille;               /* ... of the time that the guest may stand still */
    uint32_t silence_ms;                       /* ... after which the other end counts as gone */
    uint32_t copies_mib;                       /* of pages, for deltas; the smaller one of both ends' holds */
    uint32_t held_mib;                         /* OUT: of what is not yet sent; IN: of epochs */
    uint32_t queue_max_kib;                    /* OUT: of output that the gate holds back, each device */
    char disks[16]; /* OUT: a domain with writable ones: "refuse" or "", "unsafe", "gated" */
};

struct xha_job {
    uint64_t id;
    enum xha_verb verb;
    struct xha_uuid uuid; /* all zero: not of one domain */
    char name[XHA_NAME_MAX];
    uint64_t term;
    int32_t domid;
    int64_t deadline_ms;           /* from the start of the worker; xhad keeps watch over it */
    char config[XHA_JOB_PATH_MAX]; /* START, RESTORE, *_DISKS: config.json of the domain */
    char xlcfg[XHA_JOB_PATH_MAX];  /* PARSE */
    bool take_over;                /* MONITOR: end it */
    struct xha_job_sched sched;
    struct xha_job_checkpoint checkpoint;
    struct xha_job_move move;
    struct xha_job_replica replica;
};

/* A worker's answer. data is owned by the struct: xha_job_done_clear(). */
struct xha_job_done {
    uint64_t id;
    enum xha_result result;
    enum xha_refusal refusal;          /* with XHA_REFUSED */
    char message[XHA_JOB_MESSAGE_MAX]; /* for people */
    int32_t domid;                     /* START, RESTORE, RECEIVE with XHA_OK; else XHA_DOMID_NONE */
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

/* The same with what is worth knowing of a move; -1 leaves eta_ms out. */
struct xha_job_pace {
    uint64_t wire_bytes;  /* on the network so far */
    uint64_t bytes_per_s; /* over the last seconds */
    int64_t eta_ms;       /* expected time to the end; -1: not known yet */
    uint32_t round;       /* of precopy, from 1 on; 0: none */
};
void xha_job_progress_pace(int fd, const char *step, uint64_t done, uint64_t total,
                           const struct xha_job_pace *pace);

/* Reads one such line (without its newline). false: it is none. */
bool xha_job_progress_parse(const char *line, size_t len, char *step, size_t step_len, uint64_t *done_r,
                            uint64_t *total_r);
/* Only what is worth knowing of a move. false: there is nothing of it in the line. */
bool xha_job_progress_parse_pace(const char *line, size_t len, struct xha_job_pace *pace_r);

/* What an epoch of a replicated domain was: a line of REPLICATE_OUT's, beside those of progress. */
struct xha_job_epoch {
    uint64_t number; /* from 1 on; it is committed */
    uint64_t pages, raw_bytes, sent_bytes;
    int64_t suspend_us, scan_us, copy_us, resume_us; /* of the pause: these four, one after the other */
    int64_t commit_us;   /* from the guest's running again to the backup's acknowledgement */
    int64_t interval_us; /* how long the guest may run now */
    /* Of the guest's output, over all network devices; 0 for a domain without. */
    uint64_t held_packets, held_bytes; /* behind the gate now, of the epoch that runs */
    uint64_t dropped_packets;          /* since protection began: they found no room there */
    int64_t delay_us;                  /* what the oldest packet of this epoch has waited */
    int64_t gate_us;                   /* the part of suspend_us that the gate took */
};

void xha_job_tell_epoch(int fd, const struct xha_job_epoch *epoch);
/* Reads one such line. false: it is none. */
bool xha_job_epoch_parse(const char *line, size_t len, struct xha_job_epoch *epoch_r);

#endif

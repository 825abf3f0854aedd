/*
 * sim.h - a hypervisor kept in a directory: xhad-sim plays the roles of xhad-xen against it.
 *
 * Nothing runs for a guest. Its vCPU time, its I/O, its beats and the counter in its memory grow as time
 * passes, from what its file says; CLOCK_MONOTONIC is the same in all processes. XHA_SIM_DIR holds:
 *
 *   domains/DOMID.json   what is on the host; its UUID may be there twice
 *                        "gate" in it is "shut" while a replication holds back what the guest sends: then "seen" is
 *                        what others have seen of its counter
 *   released             touched when a domain appears, ends or goes: xenstore's @releaseDomain
 *   trace                one line per thing done: SECONDS.MICROSECONDS WHAT…
 *   pids                 of all processes of these roles so far, for the story's clean-up
 *   lock, next_domid     one at a time
 *   timers               the host's watchdog timers: ID DEADLINE_MS, one a line
 *   fired                there when one of them has fired: the machine would have rebooted
 *
 * and the knobs that a story turns, files of one line. One with ".once" behind its name is used up by its
 * first use.
 *
 *   work-VERB, work-VERB-NAME   what becomes of a worker of that verb, for that domain (work.c lists them)
 *   boot_ms, boot_ms-NAME       from a start to the first beat (100)
 *   suspend_ms                  how long a guest stands still for a checkpoint (0)
 *   suspend-NAME                die: the worker of its checkpoint is killed meanwhile
 *   move_ms                     how long a guest's memory streams to another host (0)
 *   dropped                     packets that a gate has dropped, as its sender tells (0)
 *   move-NAME                   of a move, used up: the source's die-streaming, die-suspended, die-sent, abort;
 *                               the target's die-restoring, fail-restore. Of a replication: the sender's die-syncing,
 *                               die-protected, end-protected, the backup's die-standby
 *   deaf-NAME                   that guest does not heed a shutdown
 *   monitor-NAME                stock xl's monitor of that domain: its pid
 *   store-ill                   xenstore answers no more
 *   host_mib, host_cpus         what the host has for guests (8192, 4)
 *   observer                    of the observer: die, silent or garbage
 *   watchdog                    of the watchdog's holder: deaf (never answers) or refuse (Xen does not do it)
 *   watchdog-fires              a shell command that is run when a timer fires, after `fired` is there
 */
#ifndef XHA_TESTS_SIM_H
#define XHA_TESTS_SIM_H

#include <jansson.h>
#include "xhad/base/job.h"
#include "xhad/move/talk.h"

#define SIM_BEAT_MS 100 /* between two beats of a guest */

/* ---- state.c: the directory ---- */

/* Enters XHA_SIM_DIR, creates what is missing. Ends the process with a message when it cannot. */
void sim_enter(void);
/* For whoever has to end what is left. */
void sim_note_pid(void);

/* Whatever looks at domains or changes them does it between these two. */
int sim_lock(void);
void sim_unlock(int lock);

int64_t sim_now_ms(void);
void sim_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
void sim_fail(const char *what) __attribute__((noreturn));

/* The line of a knob into buf; false: it is not turned. */
bool sim_knob(const char *name, char *buf, size_t len);
int64_t sim_knob_int(const char *name, int64_t otherwise);

const char *sim_text(const json_t *object, const char *key);
int64_t sim_int(const json_t *object, const char *key);

/* ---- domain.c: what is on the host. Domains are JSON objects; whoever gets one owns a reference. ---- */

/* An array of all, by domid. */
json_t *sim_domains(void);
/* NULL when there is none. domid: XHA_DOMID_NONE for any. */
json_t *sim_domain_find(const struct xha_uuid *uuid, int32_t domid);
json_t *sim_domain_by_name(const char *name);

/* Writes it. announce: its life has changed, @releaseDomain fires. */
void sim_domain_save(json_t *domain, bool announce);
void sim_domain_remove(const json_t *domain);

/*
 * A new running domain of a configuration as libxl writes it. saved: the state in a checkpoint, which it goes
 * on from; NULL: it boots.
 */
json_t *sim_domain_build(json_t *config, const json_t *saved);
/* That state. */
json_t *sim_domain_state(const json_t *domain);

/* The clocks of a guest: "cpu", "beat", "io". They stand or go. */
void sim_domain_clock(json_t *domain, const char *clock, bool goes);

bool sim_domain_is(const json_t *domain, const char *state); /* running, paused or shut */
void sim_domain_end(json_t *domain, enum xha_shutdown reason);
void sim_domain_pause(json_t *domain);
void sim_domain_resume(json_t *domain);

bool sim_domain_beats(const json_t *domain, uint64_t *beat_r); /* false: not yet */
uint64_t sim_domain_cpu_ns(const json_t *domain);
uint64_t sim_domain_io(const json_t *domain);
int64_t sim_domain_counter(const json_t *domain);
/* What others have seen of it: all, but for what the gate of a replication holds back. */
int64_t sim_domain_seen(const json_t *domain);

/* ---- xlcfg.c ---- */

/* An xl.cfg (name, uuid, memory, vcpus, disk; one a line) as libxl's JSON. NULL with a message. */
json_t *sim_xlcfg_parse(const char *path, char *err, size_t err_len);

/* ---- work.c: the frame of a worker; save.c: checkpoints ---- */

extern struct xha_job sim_job;
extern struct xha_job_done sim_done;

void sim_ok(const char *format, ...) __attribute__((format(printf, 1, 2)));
void sim_refuse(enum xha_refusal why, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Builds the job's domain, unless its UUID is there already. */
void sim_bring_up(json_t *config, const json_t *saved);
/* The job's domain, or NULL after refusing. */
json_t *sim_of_job(void);

void sim_perform_checkpoint(void);
void sim_perform_restore(void);
void sim_perform_checkpoints(void);
void sim_perform_import(void);

/* ---- move.c: these take the lock themselves ---- */

void sim_perform_migrate(void);
void sim_perform_receive(void);
void sim_perform_send_disks(void);
void sim_perform_receive_disks(void);

/* The job's conversation; SIGTERM ends it from now on. */
struct xha_talk sim_talk(void);
bool sim_told_to_stop(void);
/* The story's wish for this end at this moment. */
void sim_mishap(const char *moment);
/* Whether the job's domain is here already; then it is refused. */
bool sim_is_there(void);
/* The configuration of the job's domain, when it runs; NULL after refusing. The caller frees it. */
char *sim_running_config(void);

/* ---- repl.c: these, too ---- */

void sim_perform_replicate_out(void);
void sim_perform_replicate_in(void);
void sim_perform_gate(void);

/* ---- the roles ---- */

int sim_observe(void);
int sim_work(const char *job_path);
int sim_watchdog(const char *run_dir);
int sim_ctl(int argc, char **argv);

#endif

/*
 * sim.h - a hypervisor kept in a directory: xhad-sim plays both roles of xhad-xen against it.
 *
 * XHA_SIM_DIR holds: `lock` (flock around every change), `next_domid`, `domains/UUID.json` (what runs),
 * `trace` (one line per thing done, with its time), and switches that a story throws: work-VERB,
 * work-VERB-NAME   one line for workers of that verb (and domain): "slow MS", "hang", "die", "dumb" (end well
 * without an answer), "deaf" (as hang, and SIGTERM is ignored) or "refuse WORD"; with ".once" behind the name
 * the file goes with its first use boot_ms        from start to the first beat (100) deaf-NAME      that
 * guest does not heed a shutdown monitor-NAME   stock xl's monitor of that domain: its pid store-ill xenstore
 * answers no more observer       one line for the observer: "die", "silent", "garbage" Guests beat as time
 * passes: nothing runs for them. Times are CLOCK_MONOTONIC milliseconds, the same in all processes.
 */
#ifndef XHA_TESTS_SIM_H
#define XHA_TESTS_SIM_H

#include <jansson.h>
#include "xhad/base/job.h"

#define SIM_BEAT_MS 100 /* between two beats of a guest */

/* Enters XHA_SIM_DIR, creates what is missing. Exits with a message when it cannot. */
void sim_enter(void);

/* The one lock; sim_unlock() gives it back. */
int sim_lock(void);
void sim_unlock(int lock);

int64_t sim_now_ms(void);
void sim_trace(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The first line of a switch into buf; false: it is not thrown. One with ".once" is removed. */
bool sim_switch(const char *name, char *buf, size_t len);
/* A switch as a number. */
int64_t sim_switch_int(const char *name, int64_t otherwise);

/* Domains as JSON objects: new references, NULL when there is none. */
json_t *sim_domain_load(const char *uuid);
json_t *sim_domain_by_name(const char *name);
void sim_domain_save(json_t *domain);
void sim_domain_remove(const json_t *domain);
/* Calls each() for every domain. */
void sim_domain_each(void (*each)(void *user, json_t *domain), void *user);

const char *sim_text(const json_t *obj, const char *key);
int64_t sim_int(const json_t *obj, const char *key);

/* Makes a running domain of a config.json. counter: where its counter in memory begins. */
json_t *sim_domain_boot(json_t *config, int64_t counter);
int64_t sim_domain_beat(const json_t *domain);
int64_t sim_domain_cpu_ns(const json_t *domain);
int64_t sim_domain_counter(const json_t *domain);

/* An xl.cfg (`key = value` lines) as config.json; uuid NULL: the file's, or a new one. NULL with a message.
 */
json_t *sim_config_parse(const char *path, const char *uuid, char *err, size_t err_len);

int sim_observe(void);
int sim_work(const char *job_path);
int sim_guest(int argc, char **argv);

#endif

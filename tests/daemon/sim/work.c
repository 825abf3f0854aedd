/*
 * work.c - `xhad-sim work JOBFILE`: does to the directory what xhad-xen does to Xen.
 *
 * What a worker is to do can be turned into what a story needs, by the line in its knob:
 *   slow MS        waits so long first, with progress
 *   refuse WORD    does nothing and says why
 *   dumb           does nothing, and ends well without an answer
 *   die, die-late  is killed before, or after, it has done its work; no answer
 *   hang, deaf     never ends; deaf: not even when asked to
 */
#include "tests/daemon/sim/sim.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/uuid.h"
#include "xhad/xen/summary.h"
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

struct xha_job sim_job;
struct xha_job_done sim_done;

void sim_ok(const char *format, ...)
{
    va_list args;

    sim_done.result = XHA_OK;
    va_start(args, format);
    vsnprintf(sim_done.message, sizeof sim_done.message, format, args);
    va_end(args);
}

void sim_refuse(enum xha_refusal why, const char *format, ...)
{
    va_list args;

    sim_done.result = XHA_REFUSED;
    sim_done.refusal = why;
    va_start(args, format);
    vsnprintf(sim_done.message, sizeof sim_done.message, format, args);
    va_end(args);
}

json_t *sim_of_job(void)
{
    json_t *domain = sim_domain_find(&sim_job.uuid, sim_job.domid);

    if (!domain)
        sim_refuse(XHA_REFUSAL_OTHER, "%s is not there as domain id %d", sim_job.name, (int)sim_job.domid);
    return domain;
}

/* ---- life ---- */

static void set_sched(json_t *domain)
{
    json_object_set_new(domain, "weight", json_integer(sim_job.sched.weight));
    json_object_set_new(domain, "cap", json_integer(sim_job.sched.cap));
    json_object_set_new(domain, "affinity", json_string(sim_job.sched.affinity));
    json_object_set_new(domain, "pool", json_string(sim_job.sched.pool));
    sim_domain_save(domain, false);
}

void sim_bring_up(json_t *config, const json_t *saved)
{
    json_t *domain = sim_domain_find(&sim_job.uuid, XHA_DOMID_NONE);

    if (domain) {
        sim_refuse(XHA_REFUSAL_RUNS_ALREADY, "%s is there already, as domain id %" PRId64, sim_job.name,
                   sim_int(domain, "domid"));
    } else {
        domain = sim_domain_build(config, saved);
        set_sched(domain);
        sim_done.domid = (int32_t)sim_int(domain, "domid");
        sim_ok("%s runs as domain id %d", sim_job.name, (int)sim_done.domid);
    }
    json_decref(domain);
}

static void perform_start(void)
{
    json_t *config = json_load_file(sim_job.config, 0, NULL);

    if (config)
        sim_bring_up(config, NULL);
    else
        sim_refuse(XHA_REFUSAL_OTHER, "%s cannot be read", sim_job.config);
    json_decref(config);
}

static void perform_destroy(void)
{
    json_t *domain = sim_domain_find(&sim_job.uuid, sim_job.domid);

    if (domain)
        sim_domain_remove(domain);
    sim_ok("%s %s", sim_job.name, domain ? "was destroyed" : "was gone already");
    json_decref(domain);
}

static void perform_shutdown(void)
{
    json_t *domain = sim_of_job();
    char knob[XHA_NAME_MAX + 16], line[8];

    if (!domain)
        return;
    snprintf(knob, sizeof knob, "deaf-%s", sim_job.name);
    if (sim_domain_is(domain, "running") && !sim_knob(knob, line, sizeof line))
        sim_domain_end(domain, XHA_SHUTDOWN_POWEROFF);
    sim_ok("%s was asked to shut down", sim_job.name);
    json_decref(domain);
}

static void perform_resume(void)
{
    json_t *domain = sim_of_job();

    if (!domain)
        return;
    if (sim_domain_is(domain, "paused") || sim_int(domain, "reason") == XHA_SHUTDOWN_SUSPEND)
        sim_domain_resume(domain);
    sim_ok("%s goes on", sim_job.name);
    json_decref(domain);
}

static void perform_sched(void)
{
    json_t *domain = sim_of_job();

    if (!domain)
        return;
    set_sched(domain);
    sim_ok("%s has its weight", sim_job.name);
    json_decref(domain);
}

/* ---- questions ---- */

static void summarize(const char *source, json_t *config, const struct xha_uuid *uuid)
{
    char err[256];

    if (xha_summary_pin(config, uuid, err, sizeof err) < 0 ||
        (sim_done.data = xha_summary(config, err, sizeof err)) == NULL)
        sim_refuse(XHA_REFUSAL_OTHER, "%s: %s", source, err);
    else
        sim_ok("%s: domain %s", source, sim_text(sim_done.data, "name"));
}

static void perform_parse(void)
{
    char err[256];
    json_t *config = sim_xlcfg_parse(sim_job.xlcfg, err, sizeof err);

    if (config)
        summarize(sim_job.xlcfg, config, xha_uuid_is_nil(&sim_job.uuid) ? NULL : &sim_job.uuid);
    else
        sim_refuse(XHA_REFUSAL_OTHER, "%s: %s", sim_job.xlcfg, err);
    json_decref(config);
}

static void perform_describe(void)
{
    json_t *domain = sim_domain_by_name(sim_job.name);

    if (!domain && !xha_uuid_is_nil(&sim_job.uuid))
        domain = sim_domain_find(&sim_job.uuid, XHA_DOMID_NONE);
    if (domain) {
        sim_done.domid = (int32_t)sim_int(domain, "domid");
        summarize("running domain", json_object_get(domain, "config"), NULL);
    } else {
        sim_refuse(XHA_REFUSAL_OTHER, "no domain %s runs here", sim_job.name);
    }
    json_decref(domain);
}

static void perform_monitor(void)
{
    char knob[XHA_NAME_MAX + 16];
    int64_t pid;

    snprintf(knob, sizeof knob, "monitor-%s", sim_job.name);
    pid = sim_knob_int(knob, 0);
    if (pid > 0 && sim_job.take_over)
        unlink(knob);
    sim_done.data = json_pack("{s:I}", "pid", (json_int_t)pid);
    sim_ok("xl's process %" PRId64, pid);
}

/* ---- the frame ---- */

static void perform(void)
{
    static void (*const verb[XHA_VERB_N_])(void) = {
        [XHA_VERB_START] = perform_start,
        [XHA_VERB_RESTORE] = sim_perform_restore,
        [XHA_VERB_DESTROY] = perform_destroy,
        [XHA_VERB_SHUTDOWN] = perform_shutdown,
        [XHA_VERB_CHECKPOINT] = sim_perform_checkpoint,
        [XHA_VERB_RESUME] = perform_resume,
        [XHA_VERB_SCHED] = perform_sched,
        [XHA_VERB_IMPORT] = sim_perform_import,
        [XHA_VERB_PARSE] = perform_parse,
        [XHA_VERB_DESCRIBE] = perform_describe,
        [XHA_VERB_CHECKPOINTS] = sim_perform_checkpoints,
        [XHA_VERB_MONITOR] = perform_monitor,
        [XHA_VERB_MIGRATE] = sim_perform_migrate,
        [XHA_VERB_RECEIVE] = sim_perform_receive,
        [XHA_VERB_SEND_DISKS] = sim_perform_send_disks,
        [XHA_VERB_RECEIVE_DISKS] = sim_perform_receive_disks,
        [XHA_VERB_REPLICATE_OUT] = sim_perform_replicate_out,
        [XHA_VERB_REPLICATE_IN] = sim_perform_replicate_in,
        [XHA_VERB_GATE] = sim_perform_gate,
    };
    const bool own_lock = (sim_job.verb >= XHA_VERB_MIGRATE && sim_job.verb <= XHA_VERB_REPLICATE_IN) ||
                          sim_job.verb == XHA_VERB_REPLICATE_OUT || sim_job.verb == XHA_VERB_GATE;
    int lock = own_lock ? -1 : sim_lock();

    if (verb[sim_job.verb])
        verb[sim_job.verb]();
    else
        sim_refuse(XHA_REFUSAL_UNSUPPORTED, "no such verb");
    if (!own_lock)
        sim_unlock(lock);
}

static void knob_of_job(char *line, size_t len)
{
    char knob[128];

    snprintf(knob, sizeof knob, "work-%s-%s", xha_verb_name(sim_job.verb), sim_job.name);
    if (sim_knob(knob, line, len))
        return;
    snprintf(knob, sizeof knob, "work-%s", xha_verb_name(sim_job.verb));
    if (!sim_knob(knob, line, len))
        line[0] = '\0';
}

static void wait_with_progress(int64_t wait_ms)
{
    int64_t began = sim_now_ms(), ms = 0;

    for (; ms < wait_ms; ms = sim_now_ms() - began) {
        xha_job_progress(STDOUT_FILENO, "waiting", (uint64_t)ms, (uint64_t)wait_ms);
        usleep(20000);
    }
}

static void refuse_by(const char *word)
{
    int i = 0;

    while (i < XHA_REFUSAL_N_ - 1 && strcmp(word, xha_refusal_name((enum xha_refusal)i)) != 0)
        i++;
    sim_refuse((enum xha_refusal)i, "the story wants it so");
}

/* true: it has come to its end already. */
static bool misbehave(const char *line)
{
    if (strcmp(line, "deaf") == 0)
        signal(SIGTERM, SIG_IGN);
    while (strcmp(line, "hang") == 0 || strcmp(line, "deaf") == 0)
        pause();
    if (strcmp(line, "die") == 0)
        raise(SIGKILL);
    if (strcmp(line, "dumb") == 0)
        exit(0);
    if (strncmp(line, "slow ", 5) == 0)
        wait_with_progress(strtoll(line + 5, NULL, 10));
    if (strncmp(line, "refuse ", 7) != 0)
        return false;
    refuse_by(line + 7);
    return true;
}

int sim_work(const char *path)
{
    char err[512], done_path[PATH_MAX], knob[100];
    struct xha_job_locks locks;

    if (xha_job_read(path, &sim_job, err, sizeof err) < 0 ||
        xha_job_beside(path, ".done", done_path, sizeof done_path) < 0) {
        fprintf(stderr, "xhad-sim: %s\n", err);
        return 1;
    }
    sim_done = (struct xha_job_done){ .id = sim_job.id, .domid = XHA_DOMID_NONE };
    sim_trace("work %s %s %" PRIu64, xha_verb_name(sim_job.verb), sim_job.name, sim_job.id);
    if (xha_job_lock(path, &sim_job, &locks, err, sizeof err) < 0) {
        sim_refuse(XHA_REFUSAL_OTHER, "%s", err);
    } else {
        knob_of_job(knob, sizeof knob);
        if (!misbehave(knob))
            perform();
        if (strcmp(knob, "die-late") == 0)
            raise(SIGKILL);
    }
    sim_trace("done %s %s %" PRIu64 " %s", xha_verb_name(sim_job.verb), sim_job.name, sim_job.id,
              xha_result_name(sim_done.result));
    fprintf(stderr, "%s: %s\n", xha_result_name(sim_done.result), sim_done.message);
    if (xha_job_done_write(done_path, &sim_done, err, sizeof err) < 0) {
        fprintf(stderr, "xhad-sim: %s\n", err);
        return 1;
    }
    xha_job_done_clear(&sim_done);
    return 0;
}

/*
 * save.c - checkpoints of simulated guests: manifests, numbers, checksums and retention are those of xhad-xen
 * itself (xen/checkpoints.c); only what is in the file is not a guest's memory but a line of JSON.
 */
#include "tests/daemon/sim/sim.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include "xhad/base/uuid.h"
#include "xhad/xen/checkpoints.h"
#include "xhad/xen/summary.h"
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define SAVE_BYTES_MAX 65536

static int64_t wall_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The guest stands still for a moment, in which others may look at it. */
static void stand_still(json_t *domain)
{
    char line[32] = "", knob[XHA_NAME_MAX + 32];
    int64_t ms = sim_knob_int("suspend_ms", 0);

    snprintf(knob, sizeof knob, "suspend-%s", sim_job.name);
    if (!sim_knob(knob, line, sizeof line) && ms == 0)
        return;
    sim_domain_end(domain, XHA_SHUTDOWN_SUSPEND);
    if (strcmp(line, "die") == 0)
        raise(SIGKILL);
    usleep((useconds_t)ms * 1000);
    sim_domain_resume(domain);
}

/* Writes the bytes as the next checkpoint; its number, or 0 after refusing. */
static uint64_t put(const char *text, struct xha_ckpt *ckpt)
{
    const char *dir = sim_job.checkpoint.dir;
    char path[PATH_MAX];

    xha_mkdir_p(dir, 0700);
    ckpt->number = xha_ckpt_clean(dir) + 1;
    ckpt->time_ms = wall_ms();
    ckpt->bytes = ckpt->stream_bytes = strlen(text);
    ckpt->uuid = sim_job.uuid;
    memcpy(ckpt->name, sim_job.name, sizeof ckpt->name);
    xha_ckpt_sum_bytes(text, strlen(text), ckpt->sum);
    memcpy(ckpt->config_sum, ckpt->sum, sizeof ckpt->sum);
    if (xha_ckpt_file(dir, ckpt, path, sizeof path) == 0 &&
        xha_file_write(path, 0600, text, strlen(text)) == 0 && xha_ckpt_commit(dir, ckpt) == 0)
        return ckpt->number;
    sim_refuse(XHA_REFUSAL_OTHER, "%s cannot be saved: %s", sim_job.name, strerror(errno));
    return 0;
}

static void drop_old(void)
{
    const struct xha_job_checkpoint *job = &sim_job.checkpoint;
    XHA_CLEANUP_FREE struct xha_ckpt *list = NULL;
    XHA_CLEANUP_FREE bool *drop = NULL;
    size_t n;

    if (xha_ckpt_list(job->dir, &list, &n) < 0 || !(drop = calloc(n + 1, sizeof *drop)))
        sim_fail(job->dir);
    xha_ckpt_choose(list, n, job->keep, job->keep_age_s, wall_ms(), drop);
    for (size_t i = 0; i < n; i++)
        if (drop[i])
            xha_ckpt_remove(job->dir, &list[i]);
}

static bool has_writable_disk(const json_t *config)
{
    const json_t *disk;
    size_t i;

    json_array_foreach(json_object_get(config, "disks"), i, disk)
    {
        if (xha_summary_disk_rw(disk))
            return true;
    }
    return false;
}

void sim_perform_checkpoint(void)
{
    struct xha_ckpt ckpt = { .live = true };
    XHA_CLEANUP_FREE char *text = NULL;
    json_t *domain = sim_of_job(), *state;

    if (!domain)
        return;
    if (has_writable_disk(json_object_get(domain, "config")) &&
        strcmp(sim_job.checkpoint.disks, "unsafe") != 0) {
        sim_refuse(XHA_REFUSAL_UNSUPPORTED, "%s is not checkpointed: it has a writable disk", sim_job.name);
    } else if (!sim_domain_is(domain, "running")) {
        sim_refuse(XHA_REFUSAL_OTHER, "%s cannot be saved: it is %s", sim_job.name,
                   sim_text(domain, "state"));
    } else {
        stand_still(domain);
        state = sim_domain_state(domain);
        text = json_dumps(state, JSON_COMPACT);
        json_decref(state);
        if (text && put(text, &ckpt)) {
            drop_old();
            sim_done.data = xha_ckpt_to_json(&ckpt);
            sim_ok("%s: checkpoint %" PRIu64, sim_job.name, ckpt.number);
        }
    }
    json_decref(domain);
}

/* The state in a good checkpoint, else NULL. */
static json_t *get(const struct xha_ckpt *ckpt)
{
    char path[PATH_MAX], err[256];

    if (xha_ckpt_verify(sim_job.checkpoint.dir, ckpt, err, sizeof err) < 0) {
        fprintf(stderr, "damaged checkpoint passed over: %s\n", err);
        return NULL;
    }
    if (xha_ckpt_file(sim_job.checkpoint.dir, ckpt, path, sizeof path) < 0)
        return NULL;
    return json_load_file(path, 0, NULL);
}

void sim_perform_restore(void)
{
    XHA_CLEANUP_FREE struct xha_ckpt *list = NULL;
    json_t *state = NULL;
    size_t n = 0;

    if (xha_ckpt_list(sim_job.checkpoint.dir, &list, &n) < 0)
        sim_fail(sim_job.checkpoint.dir);
    for (size_t i = 0; i < n && !state; i++) {
        if (sim_job.checkpoint.number && sim_job.checkpoint.number != list[i].number)
            continue;
        state = get(&list[i]);
        sim_done.skipped += !state;
    }
    if (state)
        sim_bring_up(json_object_get(state, "config"), state);
    else
        sim_refuse(XHA_REFUSAL_NO_CHECKPOINT, "%s has no good checkpoint", sim_job.name);
    json_decref(state);
}

void sim_perform_checkpoints(void)
{
    XHA_CLEANUP_FREE struct xha_ckpt *list = NULL;
    size_t n = 0;

    if (xha_ckpt_list(sim_job.checkpoint.dir, &list, &n) < 0)
        sim_fail(sim_job.checkpoint.dir);
    sim_done.data = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *state = get(&list[i]), *one = list[i].torn
                                                  ? json_pack("{s:I}", "number", (json_int_t)list[i].number)
                                                  : xha_ckpt_to_json(&list[i]);

        json_object_set_new(one, "good", json_boolean(state != NULL));
        json_array_append_new(sim_done.data, one);
        json_decref(state);
    }
    sim_ok("%zu checkpoints", n);
}

void sim_perform_import(void)
{
    struct xha_ckpt ckpt = { .imported = true };
    XHA_CLEANUP_FREE char *text = NULL;
    size_t len;

    if (xha_file_read(sim_job.checkpoint.file, SAVE_BYTES_MAX, &text, &len) < 0)
        sim_refuse(XHA_REFUSAL_OTHER, "%s: %s", sim_job.checkpoint.file, strerror(errno));
    else if (put(text, &ckpt)) {
        sim_done.data = xha_ckpt_to_json(&ckpt);
        sim_ok("%s is checkpoint %" PRIu64 " of %s now", sim_job.checkpoint.file, ckpt.number, sim_job.name);
    }
}

/*
 * work.c - the role `xhad-sim work JOBFILE`: does to the directory what xhad-xen does to Xen.
 */
#include "tests/daemon/sim/sim.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include "xhad/base/uuid.h"
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

static struct xha_job job;
static struct xha_job_done answer;

static void ok(const char *message)
{
    answer.result = XHA_OK;
    snprintf(answer.message, sizeof answer.message, "%s", message);
}

static void refuse(enum xha_refusal why, const char *message)
{
    answer.result = XHA_REFUSED;
    answer.refusal = why;
    snprintf(answer.message, sizeof answer.message, "%s", message);
}

static json_t *mine(void)
{
    char uuid[XHA_UUID_TEXT];

    return sim_domain_load(xha_uuid_format(&job.uuid, uuid));
}

/* ---- life
 * ----------------------------------------------------------------------------------------------------------
 */

static void set_sched(json_t *domain)
{
    json_object_set_new(domain, "weight", json_integer(job.sched.weight));
    json_object_set_new(domain, "cap", json_integer(job.sched.cap));
    json_object_set_new(domain, "affinity", json_string(job.sched.affinity));
    json_object_set_new(domain, "pool", json_string(job.sched.pool));
    sim_domain_save(domain);
}

static void boot(int64_t counter)
{
    json_t *there = mine(), *config = json_load_file(job.config, 0, NULL), *domain;

    if (there) {
        refuse(XHA_REFUSAL_RUNS_ALREADY, "a domain with this UUID is there");
    } else if (!config) {
        refuse(XHA_REFUSAL_OTHER, "the configuration cannot be read");
    } else {
        domain = sim_domain_boot(config, counter);
        set_sched(domain);
        answer.domid = (int32_t)sim_int(domain, "domid");
        ok("");
        json_decref(domain);
    }
    json_decref(there);
    json_decref(config);
}

static void destroy(void)
{
    json_t *domain = mine();

    if (domain && sim_int(domain, "domid") == job.domid)
        sim_domain_remove(domain);
    json_decref(domain);
    ok("");
}

static void shut_down(void)
{
    json_t *domain = mine();
    char deaf[100], line[8];

    snprintf(deaf, sizeof deaf, "deaf-%s", job.name);
    if (domain && !sim_switch(deaf, line, sizeof line)) {
        json_object_set_new(domain, "state", json_string("shutdown"));
        json_object_set_new(domain, "reason", json_integer(XHA_SHUTDOWN_POWEROFF));
        sim_domain_save(domain);
    }
    if (domain)
        ok("");
    else
        refuse(XHA_REFUSAL_OTHER, "no such domain");
    json_decref(domain);
}

static void resume(void)
{
    json_t *domain = mine();

    if (domain) {
        json_object_set_new(domain, "state", json_string("running"));
        sim_domain_save(domain);
        ok("");
    } else {
        refuse(XHA_REFUSAL_OTHER, "no such domain");
    }
    json_decref(domain);
}

static void sched(void)
{
    json_t *domain = mine();

    if (domain) {
        set_sched(domain);
        ok("");
    } else {
        refuse(XHA_REFUSAL_OTHER, "no such domain");
    }
    json_decref(domain);
}

/* ---- checkpoints
 * ----------------------------------------------------------------------------------------------------- */

/* The numbers in the directory, newest first; returns how many. */
static size_t numbers(uint64_t *list, size_t max)
{
    XHA_CLEANUP_CLOSEDIR DIR *dir = opendir(job.checkpoint.dir);
    const struct dirent *e;
    size_t n = 0;

    while (dir && n < max && (e = readdir(dir))) {
        uint64_t number = strtoull(e->d_name, NULL, 10);
        size_t at = n;

        if (number == 0 || !strstr(e->d_name, ".json"))
            continue;
        for (; at > 0 && list[at - 1] < number; at--)
            list[at] = list[at - 1];
        list[at] = number;
        n++;
    }
    return n;
}

static json_t *checkpoint_load(uint64_t number)
{
    char path[PATH_MAX];
    json_t *json;

    snprintf(path, sizeof path, "%s/%" PRIu64 ".json", job.checkpoint.dir, number);
    json = json_load_file(path, 0, NULL);
    if (!json || sim_text(json, "damaged")[0]) {
        json_decref(json);
        return NULL;
    }
    return json;
}

static void restore(void)
{
    uint64_t list[64];
    size_t n = numbers(list, 64);

    for (size_t i = 0; i < n; i++) {
        json_t *saved;

        if (job.checkpoint.number && job.checkpoint.number != list[i])
            continue;
        saved = checkpoint_load(list[i]);
        if (saved) {
            boot(sim_int(saved, "counter"));
            json_decref(saved);
            return;
        }
        answer.skipped++;
    }
    refuse(XHA_REFUSAL_NO_CHECKPOINT, "there is no good checkpoint");
}

static void checkpoint(void)
{
    json_t *domain = mine(), *saved;
    uint64_t list[64];
    size_t n = numbers(list, 64);
    char path[PATH_MAX];

    if (!domain) {
        refuse(XHA_REFUSAL_OTHER, "no such domain");
        return;
    }
    if (sim_text(json_object_get(domain, "config"), "disk")[0] &&
        strcmp(job.checkpoint.disks, "unsafe") != 0) {
        refuse(XHA_REFUSAL_UNSUPPORTED, "it has a writable disk");
        json_decref(domain);
        return;
    }
    xha_mkdir_p(job.checkpoint.dir, 0700);
    saved = json_pack("{s:I}", "counter", (json_int_t)sim_domain_counter(domain));
    snprintf(path, sizeof path, "%s/%" PRIu64 ".json", job.checkpoint.dir, n ? list[0] + 1 : 1);
    if (json_dump_file(saved, path, 0) < 0)
        refuse(XHA_REFUSAL_OTHER, "the checkpoint cannot be written");
    else
        ok("");
    for (size_t i = job.checkpoint.keep ? job.checkpoint.keep - 1 : n; i < n; i++) {
        snprintf(path, sizeof path, "%s/%" PRIu64 ".json", job.checkpoint.dir, list[i]);
        unlink(path);
    }
    json_decref(saved);
    json_decref(domain);
}

static void checkpoints(void)
{
    uint64_t list[64];
    size_t n = numbers(list, 64);

    answer.data = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *saved = checkpoint_load(list[i]);

        json_array_append_new(answer.data,
                              json_pack("{s:I, s:b}", "number", (json_int_t)list[i], "good", saved != NULL));
        json_decref(saved);
    }
    ok("");
}

/* A file made by stock xl is here one like our own checkpoints. */
static void import(void)
{
    json_t *saved = json_load_file(job.checkpoint.file, 0, NULL);
    uint64_t list[64], number = 1;
    char path[PATH_MAX];

    if (numbers(list, 64))
        number = list[0] + 1;
    snprintf(path, sizeof path, "%s/%" PRIu64 ".json", job.checkpoint.dir, number);
    if (!saved || xha_mkdir_p(job.checkpoint.dir, 0700) < 0 || json_dump_file(saved, path, 0) < 0) {
        refuse(XHA_REFUSAL_OTHER, "that is no saved domain");
    } else {
        answer.data = json_pack("{s:I}", "number", (json_int_t)number);
        ok("");
    }
    json_decref(saved);
}

/* ---- questions
 * -------------------------------------------------------------------------------------------------------- */

static void summary(json_t *config)
{
    const json_t *c_info = json_object_get(config, "c_info");
    const char *disk = sim_text(config, "disk");

    answer.data = json_pack("{s:O, s:s, s:s, s:I, s:s, s:i, s:[]}", "config_json", config, "name",
                            sim_text(c_info, "name"), "uuid", sim_text(c_info, "uuid"), "memory_kib",
                            (json_int_t)sim_int(json_object_get(config, "b_info"), "max_memkb"), "type",
                            "pvh", "vcpus", 1, "disks");
    if (disk[0])
        json_array_append_new(json_object_get(answer.data, "disks"),
                              json_pack("{s:s, s:b}", "path", disk, "rw", 1));
    ok("");
}

static void parse(void)
{
    char err[400], uuid[XHA_UUID_TEXT];
    json_t *config = sim_config_parse(
        job.xlcfg, xha_uuid_is_nil(&job.uuid) ? NULL : xha_uuid_format(&job.uuid, uuid), err, sizeof err);

    if (config)
        summary(config);
    else
        refuse(XHA_REFUSAL_OTHER, err);
    json_decref(config);
}

static void describe(void)
{
    json_t *domain = sim_domain_by_name(job.name);

    if (domain)
        summary(json_object_get(domain, "config"));
    else
        refuse(XHA_REFUSAL_OTHER, "no domain of that name runs");
    json_decref(domain);
}

static void monitor(void)
{
    char name[100];
    int64_t pid;

    snprintf(name, sizeof name, "monitor-%s", job.name);
    pid = sim_switch_int(name, 0);
    if (pid && job.take_over)
        unlink(name);
    answer.data = json_pack("{s:I}", "pid", (json_int_t)pid);
    ok("");
}

/* ---- the way of a worker
 * ----------------------------------------------------------------------------------------------- */

static void perform(void)
{
    static void (*const verb[XHA_VERB_N_])(void) = {
        [XHA_VERB_RESTORE] = restore,
        [XHA_VERB_DESTROY] = destroy,
        [XHA_VERB_SHUTDOWN] = shut_down,
        [XHA_VERB_CHECKPOINT] = checkpoint,
        [XHA_VERB_RESUME] = resume,
        [XHA_VERB_SCHED] = sched,
        [XHA_VERB_PARSE] = parse,
        [XHA_VERB_DESCRIBE] = describe,
        [XHA_VERB_CHECKPOINTS] = checkpoints,
        [XHA_VERB_IMPORT] = import,
        [XHA_VERB_MONITOR] = monitor,
    };
    int lock = sim_lock();

    if (job.verb == XHA_VERB_START)
        boot(0);
    else
        verb[job.verb]();
    sim_unlock(lock);
}

static bool thrown(char *line, size_t len)
{
    char name[128];

    snprintf(name, sizeof name, "work-%s-%s", xha_verb_name(job.verb), job.name);
    if (sim_switch(name, line, len))
        return true;
    snprintf(name, sizeof name, "work-%s", xha_verb_name(job.verb));
    return sim_switch(name, line, len);
}

/* What a story wants of this worker. true: it does nothing more, but answers. */
static bool misbehave(const char *line)
{
    char word[64] = "";

    if (strcmp(line, "deaf") == 0)
        signal(SIGTERM, SIG_IGN);
    if (strcmp(line, "hang") == 0 || strcmp(line, "deaf") == 0)
        for (;;)
            pause();
    if (strcmp(line, "die") == 0)
        raise(SIGKILL);
    if (strcmp(line, "dumb") == 0)
        exit(0);
    if (strncmp(line, "slow ", 5) == 0) {
        for (int64_t end = sim_now_ms() + strtoll(line + 5, NULL, 10); sim_now_ms() < end; usleep(20000))
            xha_job_progress(STDOUT_FILENO, "waiting", 1, 2);
        return false;
    }
    if (sscanf(line, "refuse %63s", word) != 1)
        return false;
    refuse(XHA_REFUSAL_OTHER, "the story wants it so");
    for (int i = 0; i < XHA_REFUSAL_N_; i++)
        if (strcmp(word, xha_refusal_name((enum xha_refusal)i)) == 0)
            answer.refusal = (enum xha_refusal)i;
    return true;
}

int sim_work(const char *path)
{
    struct xha_job_locks locks;
    char err[512], done[PATH_MAX], line[100] = "";

    signal(SIGPIPE, SIG_IGN);
    if (xha_job_read(path, &job, err, sizeof err) < 0 ||
        xha_job_beside(path, ".done", done, sizeof done) < 0) {
        fprintf(stderr, "xhad-sim: %s\n", err);
        return 1;
    }
    answer = (struct xha_job_done){ .id = job.id, .domid = XHA_DOMID_NONE };
    if (xha_job_lock(path, &job, &locks, err, sizeof err) < 0) {
        refuse(XHA_REFUSAL_OTHER, err);
    } else {
        sim_trace("work %s %s %" PRIu64, xha_verb_name(job.verb), job.name, job.id);
        if (!thrown(line, sizeof line) || !misbehave(line))
            perform();
        sim_trace("done %s %s %" PRIu64 " %s", xha_verb_name(job.verb), job.name, job.id,
                  xha_result_name(answer.result));
    }
    if (xha_job_done_write(done, &answer, err, sizeof err) < 0)
        fprintf(stderr, "xhad-sim: %s\n", err);
    xha_job_done_clear(&answer);
    return 0;
}

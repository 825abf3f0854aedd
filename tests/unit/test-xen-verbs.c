/*
 * xhad/xen: the verbs of a worker against a libxl that is made up here (-Wl,--wrap). What is promised: a UUID
 * is never built twice; a domain is destroyed only under its UUID; REFUSED means that the listing shows
 * nothing left behind.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "xhad/base/file.h"
#include "xhad/base/uuid.h"
#include "xhad/repl/gate.h"
#include "xhad/xen/disks.h"
#include "xhad/xen/work.h"

#define UUID_A "5eed0000-0000-4000-8000-00000000000a"
#define UUID_B "5eed0000-0000-4000-8000-00000000000b"

/* ---- a host ---- */

static struct {
    libxl_dominfo dom[4];
    int n;
    bool silent;    /* Xen lists nothing, not even dom0 */
    int dies_after; /* a dying domain goes away after so many listings */
    uint64_t free_kib;
    int create_rc, unpause_rc, destroy_rc, suspend_rc, shutdown_rc;
    int gates;       /* devices that the domain's gate has; -1: it does not go */
    bool half_built; /* a failed create leaves a domain */
    libxl_scheduler sched;
    int weight, cap;
    char log[256]; /* what was done, in order */
} host;

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void note(const char *format, ...)
{
    size_t used = strlen(host.log);
    va_list args;

    va_start(args, format);
    vsnprintf(host.log + used, sizeof(host.log) - used, format, args);
    va_end(args);
}

static libxl_dominfo *add(const char *uuid, uint32_t domid)
{
    libxl_dominfo *d = &host.dom[host.n++];

    memset(d, 0, sizeof(*d));
    assert_int_equal(libxl_uuid_from_string(&d->uuid, uuid), 0);
    d->domid = domid;
    return d;
}

static void gone(uint32_t domid)
{
    for (int i = 0; i < host.n; i++)
        if (host.dom[i].domid == domid)
            host.dom[i] = host.dom[--host.n];
}

static libxl_dominfo *by_id(uint32_t domid)
{
    for (int i = 0; i < host.n; i++)
        if (host.dom[i].domid == domid)
            return &host.dom[i];
    return NULL;
}

#define WRAP(type, name, ...)                                                                                \
    type __wrap_##name(__VA_ARGS__);                                                                         \
    type __wrap_##name(__VA_ARGS__)

WRAP(libxl_dominfo *, libxl_list_domain, libxl_ctx *ctx, int *n_r)
{
    libxl_dominfo *list = calloc(5, sizeof(*list));

    (void)ctx;
    if (host.silent || !list) {
        free(list);
        return NULL;
    }
    if (host.dies_after > 0 && --host.dies_after == 0)
        for (int i = 0; i < host.n; i++)
            if (host.dom[i].dying)
                gone(host.dom[i].domid);
    memcpy(&list[1], host.dom, sizeof(host.dom)); /* list[0] is dom0 */
    *n_r = host.n + 1;
    return list;
}

WRAP(int, libxl_domain_create_new, libxl_ctx *ctx, libxl_domain_config *config, uint32_t *domid,
     const libxl_asyncop_how *ao, const libxl_asyncprogress_how *how)
{
    (void)ctx, (void)ao, (void)how;
    note("create ");
    if (host.create_rc == 0 || host.half_built) {
        *domid = 42;
        add(UUID_A, 42)->paused = true;
        host.dom[host.n - 1].uuid = config->c_info.uuid;
    }
    return host.create_rc;
}

WRAP(int, libxl_domain_unpause, libxl_ctx *ctx, uint32_t domid, const libxl_asyncop_how *ao)
{
    (void)ctx, (void)ao;
    note("unpause(%u) ", domid);
    if (host.unpause_rc == 0)
        by_id(domid)->paused = false;
    return host.unpause_rc;
}

WRAP(int, libxl_domain_destroy, libxl_ctx *ctx, uint32_t domid, const libxl_asyncop_how *ao)
{
    (void)ctx, (void)ao;
    note("destroy(%u) ", domid);
    if (host.destroy_rc == 0)
        gone(domid);
    return host.destroy_rc;
}

WRAP(int, libxl_domain_resume, libxl_ctx *ctx, uint32_t domid, int cancel, const libxl_asyncop_how *ao)
{
    (void)ctx, (void)ao;
    note("resume(%u,%d) ", domid, cancel);
    by_id(domid)->shutdown = false;
    return 0;
}

WRAP(int, libxl_domain_shutdown, libxl_ctx *ctx, uint32_t domid, const libxl_asyncop_how *ao)
{
    (void)ctx, (void)ao;
    note("shutdown(%u) ", domid);
    return host.shutdown_rc;
}

WRAP(int, libxl_send_trigger, libxl_ctx *ctx, uint32_t domid, libxl_trigger trigger, uint32_t vcpu,
     const libxl_asyncop_how *ao)
{
    (void)ctx, (void)vcpu, (void)ao;
    note("%s(%u) ", trigger == LIBXL_TRIGGER_POWER ? "power" : "?", domid);
    return 0;
}

/* The real one needs a context; what matters of the configuration here is its UUID. */
WRAP(int, libxl_domain_config_from_json, libxl_ctx *ctx, libxl_domain_config *config, const char *json)
{
    (void)ctx;
    return libxl_uuid_from_string(&config->c_info.uuid, json) ? ERROR_FAIL : 0;
}

WRAP(int, libxl_domain_need_memory, libxl_ctx *ctx, libxl_domain_config *config, uint32_t domid,
     uint64_t *kib_r)
{
    (void)ctx, (void)config, (void)domid;
    *kib_r = 100000;
    return 0;
}

WRAP(int, libxl_get_free_memory, libxl_ctx *ctx, uint64_t *kib_r)
{
    (void)ctx;
    *kib_r = host.free_kib;
    return 0;
}

WRAP(const libxl_version_info *, libxl_get_version_info, libxl_ctx *ctx)
{
    static char commandline[] = "dom0_mem=1G";
    static libxl_version_info version = { .commandline = commandline };

    (void)ctx;
    return &version;
}

WRAP(int, libxl_domain_sched_params_get, libxl_ctx *ctx, uint32_t domid, libxl_domain_sched_params *p)
{
    (void)ctx, (void)domid;
    p->sched = host.sched;
    p->weight = host.weight;
    p->cap = host.cap;
    return 0;
}

WRAP(int, libxl_domain_sched_params_set, libxl_ctx *ctx, uint32_t domid, const libxl_domain_sched_params *p)
{
    (void)ctx;
    note("sched(%u,%d,%d) ", domid, p->weight, p->cap);
    host.weight = p->weight;
    host.cap = p->cap;
    return 0;
}

WRAP(int, libxl_get_max_cpus, libxl_ctx *ctx)
{
    (void)ctx;
    return 4;
}

WRAP(int, libxl_cpu_bitmap_alloc, libxl_ctx *ctx, libxl_bitmap *map, int max_cpus)
{
    (void)ctx, (void)max_cpus;
    map->size = 1;
    map->map = calloc(1, 1);
    return map->map ? 0 : ERROR_NOMEM;
}

WRAP(int, libxl_set_vcpuaffinity_all, libxl_ctx *ctx, uint32_t domid, unsigned int vcpus,
     const libxl_bitmap *hard, const libxl_bitmap *soft)
{
    (void)ctx;
    note("affinity(%u,%u,%x,%x) ", domid, vcpus, hard ? hard->map[0] : 0u, soft ? soft->map[0] : 0u);
    return 0;
}

/* ---- jobs ---- */

static struct xha_work w;
static char config_path[] = "/tmp/xha-unit-config-XXXXXX";

static int setup(void **state)
{
    int fd;

    (void)state;
    memset(&host, 0, sizeof(host));
    memset(&w, 0, sizeof(w));
    host.free_kib = 200000;
    host.sched = LIBXL_SCHEDULER_CREDIT2;
    host.weight = 256;
    strcpy(config_path + strlen(config_path) - 6, "XXXXXX");
    fd = mkstemp(config_path);
    if (fd < 0 || xha_write_all(fd, UUID_A, strlen(UUID_A)) < 0)
        return -1;
    close(fd);
    xha_uuid_parse(UUID_A, &w.job.uuid);
    snprintf(w.job.config, sizeof(w.job.config), "%s", config_path);
    strcpy(w.job.name, "g1");
    strcpy(w.uuid, UUID_A);
    strcpy(w.who, "domain g1");
    w.until_ms = xha_now_ms() + 1000;
    w.done.domid = XHA_DOMID_NONE;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    xha_job_done_clear(&w.done);
    return unlink(config_path);
}

static void expect(enum xha_result result, enum xha_refusal refusal, const char *log)
{
    if (w.done.result != result || (result == XHA_REFUSED && w.done.refusal != refusal))
        fail_msg("%s: %s", xha_result_name(w.done.result), w.done.message);
    assert_string_equal(host.log, log);
    assert_true(w.done.message[0] != '\0');
}

static void test_start(void **state)
{
    (void)state;
    w.job.sched = (struct xha_job_sched){ .weight = 512, .cap = 50, .affinity = "1-2 soft:0" };
    xha_perform_start(&w);
    expect(XHA_OK, 0, "create sched(42,512,50) affinity(42,1,6,1) unpause(42) ");
    assert_int_equal(w.done.domid, 42);
}

static void test_start_is_refused_when_it_runs(void **state)
{
    (void)state;
    add(UUID_A, 5);
    xha_perform_start(&w);
    expect(XHA_REFUSED, XHA_REFUSAL_RUNS_ALREADY, "");
    assert_int_equal(w.done.domid, XHA_DOMID_NONE);
}

static void test_start_waits_for_a_dying_one(void **state)
{
    (void)state;
    add(UUID_A, 5)->dying = true;
    host.dies_after = 3;
    xha_perform_start(&w);
    expect(XHA_OK, 0, "create unpause(42) ");
}

static void test_start_does_not_wait_for_ever(void **state)
{
    (void)state;
    add(UUID_A, 5)->dying = true;
    w.until_ms = xha_now_ms() + 100;
    xha_perform_start(&w);
    expect(XHA_REFUSED, XHA_REFUSAL_OTHER, "");
}

static void test_start_without_memory(void **state)
{
    (void)state;
    host.free_kib = 99999;
    xha_perform_start(&w);
    expect(XHA_REFUSED, XHA_REFUSAL_NO_MEMORY, "");
}

static void test_start_when_xen_is_silent(void **state)
{
    (void)state;
    host.silent = true;
    xha_perform_start(&w);
    expect(XHA_REFUSED, XHA_REFUSAL_OTHER, "");
}

static void test_start_with_the_config_of_another(void **state)
{
    (void)state;
    assert_int_equal(xha_file_write(config_path, 0600, UUID_B, strlen(UUID_B)), 0);
    xha_perform_start(&w);
    expect(XHA_REFUSED, XHA_REFUSAL_OTHER, "");
    assert_non_null(strstr(w.done.message, UUID_B));
    assert_int_equal(xha_file_write(config_path, 0600, "rubbish", 7), 0);
    xha_perform_start(&w);
    expect(XHA_REFUSED, XHA_REFUSAL_OTHER, "");
}

static void test_failed_start_clears_what_is_left(void **state)
{
    (void)state;
    host.create_rc = ERROR_FAIL;
    host.half_built = true;
    xha_perform_start(&w);
    expect(XHA_REFUSED, XHA_REFUSAL_OTHER, "create destroy(42) ");
}

static void test_failed_start_that_cannot_be_cleared_is_unknown(void **state)
{
    (void)state;
    host.create_rc = ERROR_FAIL;
    host.half_built = true;
    host.destroy_rc = ERROR_FAIL;
    w.until_ms = xha_now_ms() + 100;
    xha_perform_start(&w);
    assert_int_equal(w.done.result, XHA_UNKNOWN);
}

static void test_failed_unpause_is_no_start(void **state)
{
    (void)state;
    host.unpause_rc = ERROR_FAIL;
    xha_perform_start(&w);
    expect(XHA_REFUSED, XHA_REFUSAL_OTHER, "create unpause(42) destroy(42) ");
    assert_int_equal(w.done.domid, XHA_DOMID_NONE);
}

/* A wrong weight must not keep a guest from running. */
static void test_start_goes_on_when_scheduling_cannot_be_set(void **state)
{
    (void)state;
    host.sched = LIBXL_SCHEDULER_RTDS;
    w.job.sched.weight = 300;
    strcpy(w.job.sched.affinity, "9");
    xha_perform_start(&w);
    expect(XHA_OK, 0, "create unpause(42) ");
    assert_non_null(strstr(w.done.message, "rtds"));
}

static void test_sched(void **state)
{
    (void)state;
    add(UUID_A, 5)->vcpu_max_id = 1;
    w.job.domid = 5;
    w.job.sched = (struct xha_job_sched){ .weight = 300, .cap = 20, .affinity = "all" };
    xha_perform_sched(&w);
    expect(XHA_OK, 0, "sched(5,300,20) affinity(5,2,f,0) ");
    strcpy(w.job.sched.affinity, "7");
    xha_perform_sched(&w);
    expect(XHA_REFUSED, XHA_REFUSAL_UNSUPPORTED, "sched(5,300,20) affinity(5,2,f,0) ");
}

static void test_destroy(void **state)
{
    (void)state;
    add(UUID_A, 5);
    add(UUID_B, 6);
    w.job.domid = 5;
    xha_perform_destroy(&w);
    expect(XHA_OK, 0, "destroy(5) gate(5) "); /* what it held has gone with its devices */
}

/* The domid is another domain's by now. */
static void test_destroy_looks_at_the_uuid(void **state)
{
    (void)state;
    add(UUID_B, 5);
    w.job.domid = 5;
    xha_perform_destroy(&w);
    expect(XHA_OK, 0, "");
    w.job.domid = 0;
    xha_perform_destroy(&w);
    expect(XHA_OK, 0, "");
}

static void test_destroy_that_fails(void **state)
{
    (void)state;
    add(UUID_A, 5);
    host.destroy_rc = ERROR_FAIL;
    w.job.domid = 5;
    xha_perform_destroy(&w);
    assert_int_equal(w.done.result, XHA_UNKNOWN);
    host.silent = true;
    xha_perform_destroy(&w);
    assert_int_equal(w.done.result, XHA_REFUSED);
}

static void test_shutdown(void **state)
{
    (void)state;
    add(UUID_A, 5);
    w.job.domid = 5;
    xha_perform_shutdown(&w);
    expect(XHA_OK, 0, "shutdown(5) ");
    host.shutdown_rc = ERROR_NOPARAVIRT;
    xha_perform_shutdown(&w);
    expect(XHA_OK, 0, "shutdown(5) shutdown(5) power(5) ");
    host.shutdown_rc = ERROR_FAIL;
    xha_perform_shutdown(&w);
    assert_int_equal(w.done.result, XHA_REFUSED);
    w.job.domid = 6;
    xha_perform_shutdown(&w);
    assert_int_equal(w.done.result, XHA_REFUSED);
}

static void test_resume(void **state)
{
    libxl_dominfo *d = add(UUID_A, 5);

    (void)state;
    w.job.domid = 5;
    d->shutdown = true;
    d->shutdown_reason = LIBXL_SHUTDOWN_REASON_SUSPEND;
    xha_perform_resume(&w);
    expect(XHA_OK, 0, "resume(5,1) ");
    d->paused = true;
    xha_perform_resume(&w);
    expect(XHA_OK, 0, "resume(5,1) unpause(5) ");
    d->paused = true;
    host.unpause_rc = ERROR_FAIL;
    xha_perform_resume(&w);
    assert_int_equal(w.done.result, XHA_UNKNOWN);
}

static void test_checkpoint_refuses_who_does_not_run(void **state)
{
    libxl_dominfo *d = add(UUID_A, 5);

    (void)state;
    w.job.domid = 5;
    d->paused = true;
    xha_perform_checkpoint(&w);
    expect(XHA_REFUSED, XHA_REFUSAL_OTHER, "");
    d->paused = false;
    d->shutdown = true;
    xha_perform_checkpoint(&w);
    expect(XHA_REFUSED, XHA_REFUSAL_OTHER, "");
    w.job.domid = 6;
    xha_perform_checkpoint(&w);
    expect(XHA_REFUSED, XHA_REFUSAL_OTHER, "");
}

static void test_restore_without_a_checkpoint(void **state)
{
    (void)state;
    strcpy(w.job.checkpoint.dir, "/tmp/xha-unit-there-is-none");
    xha_perform_restore(&w);
    expect(XHA_REFUSED, XHA_REFUSAL_NO_CHECKPOINT, "");
    w.job.checkpoint.number = 7;
    xha_perform_restore(&w);
    expect(XHA_REFUSED, XHA_REFUSAL_NO_CHECKPOINT, "");
}

/* ---- disks ---- */

static char xvda[] = "xvda", path_a[] = "/dev/vg/a", path_b[] = "/dev/vg/b";

static void test_disks_judge(void **state)
{
    libxl_device_disk disk[2] = { { .vdev = xvda, .pdev_path = path_a },
                                  { .vdev = xvda, .readwrite = 1, .is_cdrom = 1 } };
    libxl_domain_config config = { .num_disks = 0, .disks = disk };
    char err[300] = "";

    (void)state;
    assert_int_equal(xha_disks_judge(&config, "refuse", "", err, sizeof(err)), XHA_DISKS_FREE);
    config.num_disks = 2;
    assert_int_equal(xha_disks_judge(&config, "refuse", "", err, sizeof(err)), XHA_DISKS_FREE);
    disk[0].readwrite = 1;
    assert_int_equal(xha_disks_judge(&config, "refuse", "", err, sizeof(err)), XHA_DISKS_REFUSE);
    assert_non_null(strstr(err, "xvda"));
    assert_int_equal(xha_disks_judge(&config, "", "", err, sizeof(err)), XHA_DISKS_REFUSE);
    assert_int_equal(xha_disks_judge(&config, "unsafe", "", err, sizeof(err)), XHA_DISKS_FREE);
    assert_int_equal(xha_disks_judge(&config, "refuse", "/bin/true", err, sizeof(err)), XHA_DISKS_SNAPSHOT);
}

static void test_disks_run(void **state)
{
    libxl_device_disk disk[2] = { { .vdev = xvda, .pdev_path = path_a, .readwrite = 1 },
                                  { .vdev = xvda, .pdev_path = path_b, .readwrite = 1 } };
    libxl_domain_config config = { .num_disks = 2, .disks = disk };
    char err[300] = "", *said;
    char command[] = "/tmp/xha-unit-snap-XXXXXX", text[256], out[64];
    size_t len;
    int fd = mkstemp(command);

    (void)state;
    assert_true(fd >= 0);
    snprintf(out, sizeof(out), "%s.out", command);
    snprintf(text, sizeof(text),
             "#!/bin/sh\necho \"$1 $XHA_DOMAIN $XHA_UUID $XHA_CHECKPOINT $XHA_DISKS\" >%s\n[ $1 != restore ] "
             "|| { echo oh "
             "no >&2; exit 3; }\n",
             out);
    assert_int_equal(xha_write_all(fd, text, strlen(text)), 0);
    fchmod(fd, 0700);
    close(fd);
    snprintf(w.job.checkpoint.snapshot_command, sizeof(w.job.checkpoint.snapshot_command), "%s", command);
    assert_int_equal(xha_disks_run(&w, &config, "snapshot", 7, err, sizeof(err)), 0);
    assert_int_equal(xha_file_read(out, 1000, &said, &len), 0);
    assert_string_equal(said, "snapshot g1 " UUID_A " 7 xvda /dev/vg/a\nxvda /dev/vg/b\n");
    free(said);
    assert_int_equal(xha_disks_run(&w, &config, "restore", 7, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "status 3: oh no"));
    unlink(command);
    unlink(out);
    assert_int_equal(xha_disks_run(&w, &config, "snapshot", 7, err, sizeof(err)), -1);
}

WRAP(int, xha_gate_remove, uint32_t domid, int64_t until_ms, size_t *ports_r, char *err, size_t err_len)
{
    (void)until_ms;
    note("gate(%u) ", domid);
    if (ports_r)
        *ports_r = host.gates > 0 ? (size_t)host.gates : 0;
    snprintf(err, err_len, "stuck");
    return host.gates < 0 ? -1 : 0;
}

WRAP(int, libxl_retrieve_domain_configuration, libxl_ctx *ctx, uint32_t domid, libxl_domain_config *config,
     const libxl_asyncop_how *ao)
{
    (void)ctx, (void)domid, (void)ao;
    return libxl_uuid_from_string(&config->c_info.uuid, UUID_A);
}

WRAP(char *, libxl_domain_config_to_json, libxl_ctx *ctx, libxl_domain_config *config)
{
    (void)ctx, (void)config;
    return strdup("{}");
}

WRAP(int, xha_disks_end, const libxl_domain_config *config, char *err, size_t err_len)
{
    (void)config;
    note("disks ");
    snprintf(err, err_len, "in doubt");
    return -1;
}

/* Its disks that cannot be asked are a warning: their worst is that they are not written to. */
static void test_gate(void **state)
{
    (void)state;
    add(UUID_A, 5);
    w.job.domid = 5;
    host.gates = 2;
    xha_perform_gate(&w);
    assert_int_equal(w.done.result, XHA_OK);
    assert_string_equal(host.log, "gate(5) disks ");
    host.gates = -1;
    xha_perform_gate(&w);
    assert_int_equal(w.done.result, XHA_UNKNOWN); /* half of it may be open */
    gone(5);
    host.gates = 1; /* left behind */
    xha_perform_gate(&w);
    assert_int_equal(w.done.result, XHA_OK);
    assert_string_equal(host.log, "gate(5) disks gate(5) disks gate(5) ");
}

/* Its sender was killed in the middle of an epoch. */
static void test_gate_of_a_suspended_guest(void **state)
{
    libxl_dominfo *d = add(UUID_A, 5);

    (void)state;
    w.job.domid = 5;
    d->shutdown = true;
    d->shutdown_reason = LIBXL_SHUTDOWN_REASON_SUSPEND;
    host.gates = 1;
    xha_perform_gate(&w);
    expect(XHA_OK, 0, "resume(5,1) gate(5) disks ");
}

static void test_gate_of_another(void **state)
{
    (void)state;
    add(UUID_B, 5);
    w.job.domid = 5;
    xha_perform_gate(&w);
    assert_int_equal(w.done.result, XHA_OK);
    host.silent = true;
    xha_perform_gate(&w);
    assert_int_equal(w.done.result, XHA_REFUSED);
    w.job.domid = XHA_DOMID_NONE;
    xha_perform_gate(&w);
    assert_int_equal(w.done.result, XHA_REFUSED);
    assert_string_equal(host.log, "");
}

#define ONE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(test_start),
        ONE(test_start_is_refused_when_it_runs),
        ONE(test_start_waits_for_a_dying_one),
        ONE(test_start_does_not_wait_for_ever),
        ONE(test_start_without_memory),
        ONE(test_start_when_xen_is_silent),
        ONE(test_start_with_the_config_of_another),
        ONE(test_failed_start_clears_what_is_left),
        ONE(test_failed_start_that_cannot_be_cleared_is_unknown),
        ONE(test_failed_unpause_is_no_start),
        ONE(test_start_goes_on_when_scheduling_cannot_be_set),
        ONE(test_sched),
        ONE(test_destroy),
        ONE(test_destroy_looks_at_the_uuid),
        ONE(test_destroy_that_fails),
        ONE(test_shutdown),
        ONE(test_resume),
        ONE(test_checkpoint_refuses_who_does_not_run),
        ONE(test_restore_without_a_checkpoint),
        ONE(test_disks_judge),
        ONE(test_disks_run),
        ONE(test_gate),
        ONE(test_gate_of_a_suspended_guest),
        ONE(test_gate_of_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

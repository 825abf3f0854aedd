/*
 * xhad/xen: migrate and receive against a libxl that is made up here (-Wl,--wrap), the target in a process of
 * its own, the wire the real one. What is promised: before the trailer a failure leaves the guest running at
 * the source, from then on nothing resumes it; the target has the domain whole and paused, or not at all.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/move-stream.h"
#include "xhad/base/file.h"
#include "xhad/base/uuid.h"
#include "xhad/base/cleanup.h"
#include "xhad/xen/migrate_stock.h"
#include "xhad/xen/save_header.h"
#include "xhad/xen/stock.h"
#include "xhad/xen/work.h"
#include <xenctrl.h>

#define CONFIG "{\"c_info\":{\"name\":\"g1\",\"uuid\":\"" UUID "\"}}"
#define UUID   "5eed0000-0000-4000-8000-00000000000a"

/* ---- a host ---- */

static struct {
    libxl_dominfo dom;
    bool there, shadow, mute; /* mute: it lists no domains */
    int suspend_rc, restore_rc, unpause_rc;
    size_t cut_at;           /* the stream is written no further; 0: whole */
    bool stop_when_streamed; /* SIGTERM comes then */
    bool stop_restoring;     /* ... or in the midst of that */
    bool resumes_in_vain;
    int64_t late_ms, late_at; /* so long after libxl was ended its guest suspends all the same */
    uint64_t free_kib;
    struct made stream;
    char log[256];
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

static void put_domain(uint32_t domid, bool paused)
{
    memset(&host.dom, 0, sizeof(host.dom));
    host.dom.domid = domid;
    host.dom.paused = paused;
    host.dom.current_memkb = 4096;
    host.dom.domain_type = LIBXL_DOMAIN_TYPE_PVH;
    assert_int_equal(libxl_uuid_from_string(&host.dom.uuid, UUID), 0);
    host.there = true;
}

#define WRAP(type, name, ...)                                                                                \
    type __wrap_##name(__VA_ARGS__);                                                                         \
    type __wrap_##name(__VA_ARGS__)

WRAP(libxl_dominfo *, libxl_list_domain, libxl_ctx *ctx, int *n_r)
{
    libxl_dominfo *list = calloc(2, sizeof(*list));

    (void)ctx;
    if (host.late_at && xha_now_ms() >= host.late_at) {
        host.dom.shutdown = true;
        host.dom.shutdown_reason = LIBXL_SHUTDOWN_REASON_SUSPEND;
        host.late_at = 0;
    }
    if (host.mute) {
        free(list);
        return NULL;
    }
    list[1] = host.dom;
    *n_r = host.there ? 2 : 1;
    return list;
}

WRAP(int, libxl_domain_suspend, libxl_ctx *ctx, uint32_t domid, int fd, int flags,
     const libxl_asyncop_how *ao)
{
    const size_t len = host.cut_at ? host.cut_at : host.stream.len;

    (void)ctx, (void)ao;
    note("suspend(%u,%d) ", domid, flags);
    if (xha_write_all(fd, host.stream.bytes, len) < 0)
        return ERROR_FAIL;
    if (host.stop_when_streamed)
        raise(SIGTERM);
    if (host.late_ms) {
        host.late_at = xha_now_ms() + host.late_ms;
        return ERROR_FAIL;
    }
    host.dom.shutdown = true;
    host.dom.shutdown_reason = LIBXL_SHUTDOWN_REASON_SUSPEND;
    return host.suspend_rc;
}

WRAP(int, libxl_domain_create_restore, libxl_ctx *ctx, libxl_domain_config *config, uint32_t *domid, int fd,
     int back_fd, const libxl_domain_restore_params *params, const libxl_asyncop_how *ao,
     const libxl_asyncprogress_how *how)
{
    size_t have = 0;
    uint8_t bytes[8192];

    (void)ctx, (void)config, (void)back_fd, (void)params, (void)ao, (void)how;
    note("restore ");
    if (host.stop_restoring) {
        raise(SIGTERM);
        return ERROR_FAIL;
    }
    while (have < host.stream.len) {
        const ssize_t n = read(fd, bytes, sizeof(bytes));

        if (n <= 0 || have + (size_t)n > host.stream.len ||
            memcmp(bytes, host.stream.bytes + have, (size_t)n) != 0)
            return ERROR_FAIL;
        have += (size_t)n;
    }
    *domid = 42;
    put_domain(42, true);
    return host.restore_rc;
}

WRAP(int, libxl_domain_resume, libxl_ctx *ctx, uint32_t domid, int cancel, const libxl_asyncop_how *ao)
{
    (void)ctx, (void)ao;
    note("resume(%u,%d) ", domid, cancel);
    host.dom.shutdown = host.resumes_in_vain;
    return host.resumes_in_vain ? ERROR_FAIL : 0;
}

WRAP(int, libxl_domain_destroy, libxl_ctx *ctx, uint32_t domid, const libxl_asyncop_how *ao)
{
    (void)ctx, (void)ao;
    note("destroy(%u) ", domid);
    host.there = false;
    return 0;
}

WRAP(int, libxl_get_physinfo, libxl_ctx *ctx, libxl_physinfo *info)
{
    (void)ctx;
    info->cap_hap = true;
    info->cap_shadow = host.shadow;
    return 0;
}

WRAP(int, libxl_retrieve_domain_configuration, libxl_ctx *ctx, uint32_t domid, libxl_domain_config *config,
     const libxl_asyncop_how *ao)
{
    (void)ctx, (void)domid, (void)ao;
    return libxl_uuid_from_string(&config->c_info.uuid, UUID);
}

WRAP(char *, libxl_domain_config_to_json, libxl_ctx *ctx, libxl_domain_config *config)
{
    (void)ctx, (void)config;
    return strdup(CONFIG);
}

WRAP(int, libxl_domain_config_from_json, libxl_ctx *ctx, libxl_domain_config *config, const char *json)
{
    (void)ctx;
    config->c_info.name = strdup("g1");
    return strcmp(json, CONFIG) == 0 ? libxl_uuid_from_string(&config->c_info.uuid, UUID) : ERROR_FAIL;
}

WRAP(int, libxl_domain_need_memory, libxl_ctx *ctx, libxl_domain_config *config, uint32_t domid,
     uint64_t *kib_r)
{
    (void)ctx, (void)config, (void)domid;
    *kib_r = 4096;
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

WRAP(xc_interface *, xc_interface_open, xentoollog_logger *logger, xentoollog_logger *dombuild,
     unsigned flags)
{
    (void)logger, (void)dombuild, (void)flags;
    return NULL;
}

/* For the receiver that opens libxl by itself. */
WRAP(int, libxl_ctx_alloc, libxl_ctx **ctx_r, int version, unsigned flags, xentoollog_logger *logger)
{
    (void)version, (void)flags, (void)logger;
    *ctx_r = (libxl_ctx *)&host;
    return 0;
}

WRAP(int, libxl_ctx_free, libxl_ctx *ctx)
{
    (void)ctx;
    return 0;
}

WRAP(void, libxl_childproc_setmode, libxl_ctx *ctx, const libxl_childproc_hooks *hooks, void *user)
{
    (void)ctx, (void)hooks, (void)user;
}

WRAP(void, libxl_event_register_callbacks, libxl_ctx *ctx, const libxl_event_hooks *hooks, void *user)
{
    (void)ctx, (void)hooks, (void)user;
}

WRAP(char *, libxl_domid_to_name, libxl_ctx *ctx, uint32_t domid)
{
    (void)ctx, (void)domid;
    return strdup("g1");
}

WRAP(int, libxl_domain_rename, libxl_ctx *ctx, uint32_t domid, const char *from, const char *to)
{
    (void)ctx;
    note("rename(%u,%s,%s) ", domid, from, to);
    return 0;
}

WRAP(int, libxl_domain_unpause, libxl_ctx *ctx, uint32_t domid, const libxl_asyncop_how *ao)
{
    (void)ctx, (void)ao;
    note("unpause(%u) ", domid);
    host.dom.paused = host.unpause_rc != 0;
    return host.unpause_rc;
}

WRAP(int, xha_sched_apply, struct xha_work *work, uint32_t domid, const libxl_domain_config *config,
     char *err, size_t err_len)
{
    (void)work, (void)config, (void)err, (void)err_len;
    note("sched(%u) ", domid);
    return 0;
}

/* ---- two workers ---- */

static const char key_path[] = "test-xen-move.key";

/* The target: a process, and what it says in the end. */
static struct target {
    pid_t pid;
    int says;
    uint16_t port;
} target;

static struct xha_work w;

static void prepare_work(enum xha_verb verb)
{
    memset(&w, 0, sizeof(w));
    w.job.verb = verb;
    xha_uuid_parse(UUID, &w.job.uuid);
    strcpy(w.job.name, "g1");
    w.job.move.id = 3;
    strcpy(w.job.move.host, "127.0.0.1");
    strcpy(w.job.move.bind, "127.0.0.1");
    strcpy(w.job.move.key_file, key_path);
    w.until_ms = xha_now_ms() + 30000;
    w.done.domid = XHA_DOMID_NONE;
    xha_work_name(&w);
}

/* In the child: standard output is the pipe; after the progress lines comes what became of it. */
static void be_target(void)
{
    prepare_work(XHA_VERB_RECEIVE);
    xha_perform_receive(&w);
    printf("\n=%s=%s=%s=%d,%d\n", xha_result_name(w.done.result), host.log, w.done.message, host.there,
           host.dom.paused);
    fflush(stdout);
    _exit(0);
}

static void start_target(void)
{
    int fds[2];

    fflush(stdout);
    assert_int_equal(pipe(fds), 0);
    memset(&target, 0, sizeof(target));
    target.pid = fork();
    assert_true(target.pid >= 0);
    if (target.pid == 0) {
        dup2(fds[1], STDOUT_FILENO);
        close(fds[0]);
        close(fds[1]);
        be_target();
    }
    close(fds[1]);
    target.says = fds[0];
}

static void await_port(void)
{
    char line[256], step[32];
    uint64_t done, total;
    const ssize_t n = read(target.says, line, sizeof(line));

    assert_true(n > 1);
    assert_true(xha_job_progress_parse(line, strcspn(line, "\n"), step, sizeof(step), &done, &total));
    assert_string_equal(step, "listening");
    target.port = (uint16_t)done;
}

/* What the target said: result, log, message, "there,paused". */
static char said[8192];

static void await_target(void)
{
    size_t have = 0;
    ssize_t n;

    while ((n = read(target.says, said + have, sizeof(said) - 1 - have)) > 0)
        have += (size_t)n;
    said[have] = '\0';
    close(target.says);
    waitpid(target.pid, NULL, 0);
}

static void expect_target(const char *want, const char *state)
{
    const char *end = strstr(said, "\n=");

    assert_non_null(end);
    if (strncmp(end + 2, want, strlen(want)) != 0 || !strstr(end, state))
        fail_msg("the target said: %s", end);
}

/* Both workers; the source is this process. at_target changes the host as the target sees it. */
static void move(void (*at_target)(void), const char *mode)
{
    const bool there = host.there;

    host.there = false;
    if (at_target)
        at_target();
    start_target();
    host.there = there;
    host.restore_rc = 0;
    host.free_kib = 100000;
    host.log[0] = '\0';
    if (there)
        put_domain(7, false);
    await_port();
    prepare_work(XHA_VERB_MIGRATE);
    strcpy(w.job.move.mode, mode);
    w.job.domid = 7;
    w.job.move.port = target.port;
    xha_work_heed_sigterm();
    xha_perform_migrate(&w);
    await_target();
}

static void expect_source(enum xha_result result, const char *log)
{
    if (w.done.result != result || strcmp(host.log, log) != 0)
        fail_msg("%s, %s: %s", xha_result_name(w.done.result), host.log, w.done.message);
    assert_true(w.done.message[0] != '\0');
}

static int setup(void **state)
{
    char key[66];

    (void)state;
    memset(key, '5', 64);
    key[64] = '\n';
    memset(&host, 0, sizeof(host));
    host.free_kib = 100000;
    host.stream = made_stream(4, 2, 1024, 50);
    host.there = true;
    signal(SIGPIPE, SIG_IGN);
    return xha_file_write(key_path, 0600, key, 65);
}

static int teardown(void **state)
{
    (void)state;
    free(host.stream.bytes);
    xha_job_done_clear(&w.done);
    return unlink(key_path);
}

/* ---- what must be ---- */

static void live_move_leaves_it_to_the_verdict(void **state)
{
    (void)state;
    move(NULL, "live");
    expect_source(XHA_OK, "suspend(7,2) ");
    assert_true(host.dom.shutdown); /* nobody resumes it */
    assert_non_null(strstr(w.done.message, "has it whole"));
    assert_int_equal(json_integer_value(json_object_get(w.done.data, "raw_bytes")), host.stream.len);
    assert_int_equal(json_integer_value(json_object_get(w.done.data, "rounds")), 2);
    expect_target("ok=restore sched(42) =", "=1,1"); /* there, paused */
}

static void pv_is_moved_warm_and_says_why(void **state)
{
    (void)state;
    host.there = false;
    start_target();
    put_domain(7, false);
    host.dom.domain_type = LIBXL_DOMAIN_TYPE_PV;
    await_port();
    prepare_work(XHA_VERB_MIGRATE);
    w.job.domid = 7;
    w.job.move.port = target.port;
    xha_perform_migrate(&w);
    await_target();
    expect_source(XHA_OK, "suspend(7,0) ");
    assert_non_null(strstr(w.done.message, "warm: PV guests cannot be tracked on this Xen"));
    expect_target("ok=restore sched(42) =", "=1,1");
}

static void warm_is_warm(void **state)
{
    (void)state;
    move(NULL, "warm");
    expect_source(XHA_OK, "suspend(7,0) ");
    assert_null(strstr(w.done.message, "(warm"));
}

static void libxl_that_fails_leaves_it_running(void **state)
{
    (void)state;
    host.suspend_rc = ERROR_FAIL;
    move(NULL, "live");
    expect_source(XHA_REFUSED, "suspend(7,2) resume(7,1) ");
    expect_target("refused=restore", "=0,");
}

static void half_a_stream_that_libxl_calls_whole_is_not_restored(void **state)
{
    (void)state;
    host.cut_at = 100000;
    move(NULL, "live");
    assert_int_equal(w.done.result, XHA_OK); /* all that libxl wrote was sent, with its sum */
    assert_true(host.dom.shutdown);
    expect_target("refused=restore", "=0,");
}

static void told_to_stop_before_the_trailer_leaves_it_running(void **state)
{
    (void)state;
    host.stop_when_streamed = true;
    move(NULL, "live");
    expect_source(XHA_REFUSED, "suspend(7,2) resume(7,1) ");
    assert_non_null(strstr(w.done.message, "told to stop"));
    assert_null(strstr(said, "=ok="));
}

/*
 * libxl's helper ends with us, and nobody waits any more for the guest that it has told to suspend. In a process of
 * its own: the flag of SIGTERM is for the rest of a worker's life.
 */
static void guest_that_suspends_late_is_resumed(void **state)
{
    int status;
    pid_t pid;

    (void)state;
    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        host.stop_when_streamed = true;
        host.late_ms = 2000;
        move(NULL, "live");
        _exit(w.done.result == XHA_REFUSED && strcmp(host.log, "suspend(7,2) resume(7,1) ") == 0 &&
                      host.late_at == 0 && !host.dom.shutdown
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void fail_restore(void)
{
    host.restore_rc = ERROR_FAIL;
}

static void failed_restore_leaves_nothing(void **state)
{
    (void)state;
    move(fail_restore, "live");
    expect_target("refused=restore destroy(42) =", "=0,");
    /* the source cannot know: whatever the receiver said, the verdict is the cluster's */
    assert_true(w.done.result == XHA_OK ? host.dom.shutdown : !host.dom.shutdown);
}

/* Nobody may take a guest for running that could not be resumed. */
static void what_cannot_be_resumed_is_unknown(void **state)
{
    (void)state;
    host.suspend_rc = ERROR_FAIL;
    host.resumes_in_vain = true;
    move(NULL, "live");
    expect_source(XHA_UNKNOWN, "suspend(7,2) resume(7,1) resume(7,1) resume(7,1) ");
    assert_null(strstr(w.done.message, "runs on"));
}

static void stop_the_target(void)
{
    host.stop_restoring = true;
    xha_work_heed_sigterm();
}

static void target_told_to_stop_says_so(void **state)
{
    (void)state;
    move(stop_the_target, "live");
    expect_target("refused=restore =", "could not be received: told to stop; nothing of it is left");
}

static void no_memory(void)
{
    host.free_kib = 4095;
}

static void target_without_memory_refuses_untouched(void **state)
{
    (void)state;
    move(no_memory, "live");
    expect_source(XHA_REFUSED, "");
    assert_int_equal(w.done.refusal, XHA_REFUSAL_NO_MEMORY);
    expect_target("refused==", "=0,");
}

static void there_already(void)
{
    put_domain(5, false);
}

static void target_that_has_it_refuses_untouched(void **state)
{
    (void)state;
    move(there_already, "live");
    expect_source(XHA_REFUSED, "");
    assert_int_equal(w.done.refusal, XHA_REFUSAL_RUNS_ALREADY);
    expect_target("refused==", "=1,0");
}

static void nobody_there_leaves_it_untouched(void **state)
{
    (void)state;
    put_domain(7, false);
    prepare_work(XHA_VERB_MIGRATE);
    w.until_ms = xha_now_ms() + 300;
    w.job.domid = 7;
    w.job.move.port = 1;
    xha_perform_migrate(&w);
    expect_source(XHA_REFUSED, "");
}

static void paused_and_missing_are_refused(void **state)
{
    (void)state;
    put_domain(7, true);
    prepare_work(XHA_VERB_MIGRATE);
    w.job.domid = 7;
    xha_perform_migrate(&w);
    expect_source(XHA_REFUSED, "");
    w.job.domid = 8;
    xha_perform_migrate(&w);
    expect_source(XHA_REFUSED, "");
}

/* ---- stock xl, in a few words of shell: what it says and when is from tools/xl/xl_migrate.c ---- */

#define BANNER "printf 'xl migration receiver ready, send binary domain data.\\n'; "
#define READY  "printf 'domain received, ready to unpause\\0'; "
#define GO     "test \"$(head -c 44 | tr -d '\\0')\" = 'domain is yours, you are cleared to unpause' && "
#define REPORT "printf 'my copy unpause results are as follows\\0'; "

/* before and behind the stream */
static void send_to_stock(const char *before, const char *behind)
{
    const size_t len = 48 + 4 + sizeof(CONFIG) + host.stream.len;

    put_domain(7, false);
    prepare_work(XHA_VERB_MIGRATE);
    w.job.domid = 7;
    snprintf(w.job.move.command, sizeof(w.job.move.command), "%s head -c %zu >/dev/null; %s", before, len,
             behind);
    xha_perform_migrate(&w);
}

static void stock_xl_takes_it(void **state)
{
    (void)state;
    send_to_stock(BANNER, READY GO "{ " REPORT "printf '\\0'; }");
    expect_source(XHA_OK, "suspend(7,2) rename(7,g1,g1--migratedaway) destroy(7) ");
    assert_false(host.there);
}

static void stock_xl_that_gives_it_back(void **state)
{
    (void)state;
    send_to_stock(BANNER,
                  READY GO "{ " REPORT "printf '\\1domain is yours, you are cleared to unpause\\0'; }");
    expect_source(XHA_REFUSED,
                  "suspend(7,2) rename(7,g1,g1--migratedaway) rename(7,g1--migratedaway,g1) resume(7,1) ");
}

static void stock_xl_that_says_no_more_after_go(void **state)
{
    (void)state;
    send_to_stock(BANNER, READY GO "exit 1");
    expect_source(XHA_UNKNOWN, "suspend(7,2) rename(7,g1,g1--migratedaway) ");
    assert_true(host.dom.shutdown); /* nobody resumes it */
}

static void stock_xl_that_fails_before_go(void **state)
{
    (void)state;
    send_to_stock(BANNER, "exit 1");
    expect_source(XHA_REFUSED, "suspend(7,2) resume(7,1) ");
}

static void no_stock_xl_at_all(void **state)
{
    (void)state;
    send_to_stock("head -c 54 /dev/zero; exit 1;", "");
    expect_source(XHA_REFUSED, "");
    assert_non_null(strstr(w.done.message, "no xl migrate-receive"));
    host.log[0] = '\0';
    send_to_stock("exit 1;", "");
    expect_source(XHA_REFUSED, "");
}

static void something_else_that_waits(void **state)
{
    const int64_t began_ms = xha_now_ms();

    (void)state;
    send_to_stock("echo hello; exec cat >/dev/null;", "");
    expect_source(XHA_REFUSED, "");
    assert_non_null(strstr(w.done.message, "no xl migrate-receive"));
    assert_true(xha_now_ms() - began_ms < 20000); /* the banner would be waited for much longer */
}

/* The receiver in a process of its own; we are the stock xl that sends. */
static int to_receiver, from_receiver;

static void start_receiver(void)
{
    int in[2], out[2], err[2];

    fflush(stdout);
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    assert_int_equal(pipe(err), 0);
    host.there = false;
    target.pid = fork();
    if (target.pid == 0) {
        int status;

        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        close(in[0]), close(in[1]), close(out[0]), close(out[1]), close(err[0]);
        status = xha_migrate_from_stock();
        dprintf(err[1], "%d %s= %d %d", status, host.log, host.there, host.dom.paused);
        _exit(0);
    }
    close(in[0]), close(out[1]), close(err[1]);
    to_receiver = in[1];
    from_receiver = out[0];
    target.says = err[0];
}

static void send_as_xl(void)
{
    XHA_CLEANUP_FREE uint8_t *header = NULL;
    size_t len;

    assert_int_equal(xha_save_header_make(CONFIG, &header, &len), 0);
    assert_int_equal(xha_write_all(to_receiver, header, len), 0);
    assert_int_equal(xha_write_all(to_receiver, host.stream.bytes, host.stream.len), 0);
}

static void hears(const char *bytes, size_t len)
{
    assert_int_equal(xha_stock_expect(from_receiver, bytes, len, xha_now_ms() + 20000, NULL), 0);
}

static void end_receiver(const char *want)
{
    ssize_t n = 0;

    close(to_receiver);
    close(from_receiver);
    n = read(target.says, said, sizeof(said) - 1);
    said[n > 0 ? n : 0] = '\0';
    close(target.says);
    waitpid(target.pid, NULL, 0);
    assert_string_equal(said, want);
}

static void stock_xl_sends_it(void **state)
{
    uint8_t status = 9;

    (void)state;
    start_receiver();
    hears("xl migration receiver ready, send binary domain data.\n", 54);
    send_as_xl();
    hears("domain received, ready to unpause", 34);
    assert_int_equal(xha_write_all(to_receiver, "domain is yours, you are cleared to unpause", 44), 0);
    hears("my copy unpause results are as follows", 39);
    assert_int_equal(xha_stock_read(from_receiver, &status, 1, xha_now_ms() + 20000, NULL), 0);
    assert_int_equal(status, 0);
    end_receiver("0 restore rename(42,g1--incoming,g1) unpause(42) = 1 0");
}

static void stock_xl_that_never_says_go(void **state)
{
    (void)state;
    start_receiver();
    hears("xl migration receiver ready, send binary domain data.\n", 54);
    send_as_xl();
    hears("domain received, ready to unpause", 34);
    end_receiver("1 restore destroy(42) = 0 1");
}

static void unpause_that_fails_gives_it_back(void **state)
{
    uint8_t status = 0;

    (void)state;
    host.unpause_rc = ERROR_FAIL;
    start_receiver();
    hears("xl migration receiver ready, send binary domain data.\n", 54);
    send_as_xl();
    hears("domain received, ready to unpause", 34);
    assert_int_equal(xha_write_all(to_receiver, "domain is yours, you are cleared to unpause", 44), 0);
    hears("my copy unpause results are as follows", 39);
    assert_int_equal(xha_stock_read(from_receiver, &status, 1, xha_now_ms() + 20000, NULL), 0);
    assert_int_not_equal(status, 0);
    hears("domain is yours, you are cleared to unpause", 44);
    end_receiver("1 restore rename(42,g1--incoming,g1) unpause(42) destroy(42) = 0 1");
}

static void garbage_from_a_sender_is_refused(void **state)
{
    static const char garbage[4096] = "nonsense";

    (void)state;
    start_receiver();
    hears("xl migration receiver ready, send binary domain data.\n", 54);
    assert_int_equal(xha_write_all(to_receiver, garbage, sizeof(garbage)), 0);
    end_receiver("1 = 0 0");
}

/* ---- disks ---- */

static void disks_are_not_copied_beside_their_domain(void **state)
{
    (void)state;
    put_domain(7, false);
    for (int i = 0; i < 2; i++) {
        prepare_work(i ? XHA_VERB_RECEIVE_DISKS : XHA_VERB_SEND_DISKS);
        (i ? xha_perform_receive_disks : xha_perform_send_disks)(&w);
        expect_source(XHA_REFUSED, "");
        assert_non_null(strstr(w.done.message, "domain id 7"));
    }
}

static void disks_are_not_copied_when_nobody_knows(void **state)
{
    (void)state;
    host.mute = true;
    prepare_work(XHA_VERB_SEND_DISKS);
    xha_perform_send_disks(&w);
    expect_source(XHA_REFUSED, "");
    assert_non_null(strstr(w.done.message, "does not list its domains"));
    assert_null(strstr(w.done.message, "domain id"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(live_move_leaves_it_to_the_verdict, setup, teardown),
        cmocka_unit_test_setup_teardown(pv_is_moved_warm_and_says_why, setup, teardown),
        cmocka_unit_test_setup_teardown(warm_is_warm, setup, teardown),
        cmocka_unit_test_setup_teardown(libxl_that_fails_leaves_it_running, setup, teardown),
        cmocka_unit_test_setup_teardown(half_a_stream_that_libxl_calls_whole_is_not_restored, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(failed_restore_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(guest_that_suspends_late_is_resumed, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_resumed_is_unknown, setup, teardown),
        cmocka_unit_test_setup_teardown(target_told_to_stop_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(target_without_memory_refuses_untouched, setup, teardown),
        cmocka_unit_test_setup_teardown(target_that_has_it_refuses_untouched, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_there_leaves_it_untouched, setup, teardown),
        cmocka_unit_test_setup_teardown(paused_and_missing_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(stock_xl_takes_it, setup, teardown),
        cmocka_unit_test_setup_teardown(stock_xl_that_gives_it_back, setup, teardown),
        cmocka_unit_test_setup_teardown(stock_xl_that_says_no_more_after_go, setup, teardown),
        cmocka_unit_test_setup_teardown(stock_xl_that_fails_before_go, setup, teardown),
        cmocka_unit_test_setup_teardown(no_stock_xl_at_all, setup, teardown),
        cmocka_unit_test_setup_teardown(something_else_that_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(stock_xl_sends_it, setup, teardown),
        cmocka_unit_test_setup_teardown(stock_xl_that_never_says_go, setup, teardown),
        cmocka_unit_test_setup_teardown(unpause_that_fails_gives_it_back, setup, teardown),
        cmocka_unit_test_setup_teardown(garbage_from_a_sender_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(disks_are_not_copied_beside_their_domain, setup, teardown),
        cmocka_unit_test_setup_teardown(disks_are_not_copied_when_nobody_knows, setup, teardown),
        /* last: the flag of SIGTERM is for the rest of a worker's life */
        cmocka_unit_test_setup_teardown(told_to_stop_before_the_trailer_leaves_it_running, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

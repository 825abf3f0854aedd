/*
 * xhad/xen: replicate-out and replicate-in against a libxl and a libxc that are made up here (-Wl,--wrap), the
 * backup in a process of its own, the link the real one. What is promised: the backup is restored from the whole
 * epochs, byte for byte, and only when it is promoted; whatever ends the sender, its guest runs.
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

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/repl-stream.h"
#include "xhad/base/file.h"
#include "xhad/base/uuid.h"
#include "xhad/repl/announce.h"
#include "xhad/repl/gate.h"
#include "xhad/xen/work.h"
#include <xenctrl.h>
#include <xenstore.h>
#include <xenguest.h>

#define CONFIG "{\"c_info\":{\"name\":\"g1\",\"uuid\":\"" UUID "\"}}"
#define UUID   "5eed0000-0000-4000-8000-00000000000a"
#define SEED   5
#define PAGES  40 /* changed in an epoch */

/* ---- a host ---- */

enum moment { SUSPENDED = 1, COPIED, COMMITTED };

static struct {
    libxl_dominfo dom;
    bool there, no_hap, disk;
    libxl_domain_type type;
    unsigned suspends, resumes, destroys, log_ends;
    unsigned looks, conflicts; /* at the domain since it was asked to suspend; of transactions */
    bool ordered;
    /* its network devices, as the configuration and as dom0 has them, and their gate */
    unsigned nics, ports, announced;
    bool gated, stays, changes;
    enum xha_gate_state gate;
    uint64_t let_out; /* epochs */
    uint32_t limit_bytes;
    /* at a moment of an epoch something happens */
    enum moment moment;
    unsigned epoch;
    int signal; /* to the backup, or when that is 0, suspending fails */
    pid_t whom;
} host;

static void put_domain(uint32_t domid, bool paused)
{
    memset(&host.dom, 0, sizeof(host.dom));
    host.dom.domid = domid;
    host.dom.paused = paused;
    host.dom.current_memkb = 4096;
    host.dom.domain_type = LIBXL_DOMAIN_TYPE_HVM; /* so libxl lists a PVH guest, too */
    host.type = LIBXL_DOMAIN_TYPE_PVH;
    assert_int_equal(libxl_uuid_from_string(&host.dom.uuid, UUID), 0);
    host.there = true;
}

static void reach(enum moment moment, unsigned epoch)
{
    if (host.moment == moment && host.epoch == epoch && host.signal != 0)
        kill(host.whom, host.signal);
}

#define WRAP(type, name, ...)                                                                                \
    type __wrap_##name(__VA_ARGS__);                                                                         \
    type __wrap_##name(__VA_ARGS__)

WRAP(libxl_dominfo *, libxl_list_domain, libxl_ctx *ctx, int *n_r)
{
    libxl_dominfo *list = calloc(2, sizeof(*list));

    (void)ctx;
    list[1] = host.dom;
    *n_r = host.there ? 2 : 1;
    return list;
}

/* ---- suspended by xenstore: the guest takes the order at the second look, and is suspended at the third ---- */

WRAP(struct xs_handle *, xs_open, unsigned long flags)
{
    (void)flags;
    return (struct xs_handle *)&host;
}

WRAP(void, xs_close, struct xs_handle *h)
{
    (void)h;
}

WRAP(bool, xs_write, struct xs_handle *h, xs_transaction_t t, const char *path, const void *data,
     unsigned len)
{
    (void)h;
    assert_string_equal(path, "/local/domain/7/control/shutdown");
    assert_int_equal(len, strlen(data));
    if (t == XBT_NULL) {
        assert_string_equal(data, "suspend");
        assert_false(host.dom.shutdown);
        host.suspends++;
        host.looks = 0;
    }
    host.ordered = len > 0;
    return true;
}

WRAP(void *, xs_read, struct xs_handle *h, xs_transaction_t t, const char *path, unsigned *len)
{
    (void)h, (void)path;
    assert_int_equal(t, 1);
    *len = 0;
    return strdup(host.ordered ? "suspend" : "");
}

WRAP(xs_transaction_t, xs_transaction_start, struct xs_handle *h)
{
    (void)h;
    return 1;
}

WRAP(bool, xs_transaction_end, struct xs_handle *h, xs_transaction_t t, bool aborts)
{
    (void)h, (void)t, (void)aborts;
    if (host.conflicts == 0)
        return true;
    host.conflicts--;
    return false;
}

WRAP(bool, xs_resume_domain, struct xs_handle *h, unsigned domid)
{
    (void)h;
    assert_true(domid == 7 && !host.dom.shutdown); /* it runs already */
    return true;
}

WRAP(int, xc_domain_getinfolist, xc_interface *xch, uint32_t first, unsigned n, xc_domaininfo_t *info_r)
{
    const bool fails = host.moment == SUSPENDED && host.epoch == host.suspends && host.signal == 0;

    (void)xch;
    assert_true(first == 7 && n == 1);
    memset(info_r, 0, sizeof(*info_r));
    info_r->domain = 7;
    if (host.ordered && fails) {
        if (++host.looks == 3) /* nobody is in it any more */
            info_r->flags = XEN_DOMINF_shutdown | LIBXL_SHUTDOWN_REASON_POWEROFF << XEN_DOMINF_shutdownshift;
    } else if (host.looks < 3 && (host.ordered || host.looks == 2)) {
        host.ordered = false;
        if (++host.looks == 3) {
            host.dom.shutdown = true;
            host.dom.shutdown_reason = LIBXL_SHUTDOWN_REASON_SUSPEND;
            reach(SUSPENDED, host.suspends);
        } else {
            host.looks = 2;
        }
    }
    if (host.dom.shutdown)
        info_r->flags = XEN_DOMINF_shutdown | LIBXL_SHUTDOWN_REASON_SUSPEND << XEN_DOMINF_shutdownshift;
    return 1;
}

WRAP(int, xc_domain_resume, xc_interface *xch, uint32_t domid, int fast)
{
    (void)xch;
    assert_true(domid == 7 && fast == 1 && host.dom.shutdown);
    host.dom.shutdown = false;
    host.resumes++;
    return 0;
}

WRAP(int, libxl_domain_resume, libxl_ctx *ctx, uint32_t domid, int cancel, const libxl_asyncop_how *ao)
{
    (void)ctx, (void)ao;
    assert_int_equal(domid, 7);
    assert_int_equal(cancel, 1);
    host.dom.shutdown = false;
    host.resumes++;
    return 0;
}

/* As xg_sr_save.c goes round; what the worker has to write itself is left out. */
WRAP(int, xc_domain_save, xc_interface *xch, int fd, uint32_t domid, uint32_t flags,
     struct save_callbacks *cb, xc_stream_type_t type, int recv_fd)
{
    struct guest *g = guest_new(SEED);
    size_t at = 24; /* libxl's header and LIBXC_CONTEXT */
    int rc;

    (void)xch;
    assert_true(domid == 7 && flags == XCFLAGS_LIVE && type == XC_STREAM_REMUS && recv_fd == -1);
    assert_non_null(cb->switch_qemu_logdirty);
    for (struct precopy_stats stats = { .dirty_count = -1 };
         rc = cb->precopy_policy(stats, cb->data), rc == 0;)
        stats = (struct precopy_stats){ .iteration = stats.iteration + 1, .dirty_count = 100000 };
    for (unsigned epoch = 1; rc >= 0; epoch++) {
        const size_t end = guest_epoch(g, PAGES) - 8; /* CHECKPOINT_END */

        rc = cb->suspend(cb->data) <= 0;
        if (host.moment == SUSPENDED && host.epoch == epoch && host.signal == SIGKILL)
            poll(&(struct pollfd){ .fd = fd }, 1, 10000); /* until nobody reads the stream */
        rc = rc != 0 || xha_write_all(fd, g->m.bytes + at, end - at) < 0 ? -1 : 0;
        if (rc == 0)
            reach(COPIED, epoch);
        if (rc == 0 && cb->postcopy(cb->data) <= 0)
            rc = -1;
        if (rc == 0 && cb->checkpoint(cb->data) <= 0)
            rc = -1;
        if (rc == 0)
            reach(COMMITTED, epoch);
        at = end + 8;
    }
    guest_free(g);
    return -1;
}

/* Reads to the end, as libxl does; it must be a whole number of epochs, and at least one. */
WRAP(int, libxl_domain_create_restore, libxl_ctx *ctx, libxl_domain_config *config, uint32_t *domid, int fd,
     int back_fd, const libxl_domain_restore_params *params, const libxl_asyncop_how *ao,
     const libxl_asyncprogress_how *how)
{
    struct guest *g = guest_new(SEED);
    static uint8_t bytes[64 << 20];
    size_t have = 0;
    ssize_t n;
    bool same;

    (void)ctx, (void)config, (void)back_fd, (void)ao, (void)how;
    if (params->stream_version != 2 || params->checkpointed_stream != LIBXL_CHECKPOINTED_STREAM_REMUS)
        return ERROR_INVAL;
    while ((n = read(fd, bytes + have, 65536)) > 0)
        have += (size_t)n;
    while (g->m.len < have)
        guest_epoch(g, PAGES);
    same = have > 0 && g->m.len == have && memcmp(bytes, g->m.bytes, have) == 0;
    host.epoch = g->epoch;
    guest_free(g);
    if (!same)
        return ERROR_FAIL;
    *domid = 42;
    put_domain(42, true);
    return 0;
}

WRAP(int, libxl_domain_destroy, libxl_ctx *ctx, uint32_t domid, const libxl_asyncop_how *ao)
{
    (void)ctx, (void)domid, (void)ao;
    host.destroys++;
    host.there = false;
    return 0;
}

WRAP(int, libxl_get_physinfo, libxl_ctx *ctx, libxl_physinfo *info)
{
    (void)ctx;
    info->cap_hap = !host.no_hap;
    return 0;
}

WRAP(int, libxl_retrieve_domain_configuration, libxl_ctx *ctx, uint32_t domid, libxl_domain_config *config,
     const libxl_asyncop_how *ao)
{
    (void)ctx, (void)domid, (void)ao;
    config->c_info.type = host.type;
    config->nics = calloc(host.nics + 1, sizeof(*config->nics));
    config->num_nics = (int)host.nics;
    if (host.disk) {
        config->disks = calloc(1, sizeof(*config->disks));
        libxl_device_disk_init(&config->disks[0]);
        config->disks[0].vdev = strdup("xvdb");
        config->disks[0].readwrite = 1;
        config->num_disks = 1;
    }
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
    config->nics = calloc(1, sizeof(*config->nics));
    config->num_nics = 1;
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
    *kib_r = 100000;
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
    return (xc_interface *)&host;
}

WRAP(int, xc_interface_close, xc_interface *xch)
{
    (void)xch;
    return 0;
}

WRAP(long long, xc_shadow_control, xc_interface *xch, uint32_t domid, unsigned op,
     xc_hypercall_buffer_t *dirty, unsigned long pages)
{
    (void)xch, (void)domid, (void)dirty, (void)pages;
    host.log_ends += op == XEN_DOMCTL_SHADOW_OP_OFF;
    return 0;
}

WRAP(int, xha_sched_apply, struct xha_work *work, uint32_t domid, const libxl_domain_config *config,
     char *err, size_t err_len)
{
    (void)work, (void)domid, (void)config, (void)err, (void)err_len;
    return 0;
}

WRAP(int, libxl_domain_unpause, libxl_ctx *ctx, uint32_t domid, const libxl_asyncop_how *ao)
{
    (void)ctx, (void)ao;
    assert_int_equal(domid, 42);
    host.dom.paused = false;
    return 0;
}

/* ---- its network, and the gate, which is used as gate.h says ---- */

WRAP(int, xha_gate_ports, const char *sysfs, uint32_t domid, struct xha_gate_port *ports_r, size_t max,
     size_t *n_r)
{
    assert_string_equal(sysfs, "/sys");
    assert_true(host.ports <= max);
    for (unsigned i = 0; i < host.ports; i++) {
        ports_r[i] = (struct xha_gate_port){ .domid = domid, .devid = i };
        snprintf(ports_r[i].vif, sizeof(ports_r[i].vif), "vif%u.%u", domid, i);
    }
    *n_r = host.ports;
    return 0;
}

WRAP(int, xha_gate_set_up, const struct xha_gate_port *ports, size_t n, uint32_t limit_bytes,
     struct xha_gate **gate_r, char *err, size_t err_len)
{
    (void)ports, (void)err, (void)err_len;
    assert_int_equal(n, host.ports);
    assert_false(host.dom.shutdown);
    host.gate = host.gated ? XHA_GATE_FOUND : XHA_GATE_SHUT;
    host.gated = true;
    host.limit_bytes = limit_bytes;
    *gate_r = (struct xha_gate *)&host;
    return 0;
}

WRAP(void, xha_gate_close, struct xha_gate *gate)
{
    host.stays = host.stays || gate;
}

WRAP(enum xha_gate_state, xha_gate_state, const struct xha_gate *gate)
{
    (void)gate;
    return host.gate;
}

WRAP(int, xha_gate_open, struct xha_gate *gate, char *err, size_t err_len)
{
    (void)gate, (void)err, (void)err_len;
    assert_int_equal(host.suspends, 0); /* later it is an order's */
    host.gate = XHA_GATE_OPEN;
    return 0;
}

WRAP(int, xha_gate_shut, struct xha_gate *gate, char *err, size_t err_len)
{
    (void)gate, (void)err, (void)err_len;
    assert_true(host.gate == XHA_GATE_OPEN && host.suspends == 1 && host.dom.shutdown);
    host.gate = XHA_GATE_SHUT;
    return 0;
}

WRAP(int, xha_gate_barrier, struct xha_gate *gate, char *err, size_t err_len)
{
    (void)gate, (void)err, (void)err_len;
    assert_true(host.gate == XHA_GATE_SHUT && host.suspends > 1 && host.dom.shutdown);
    host.gate = XHA_GATE_SEALED;
    return 0;
}

WRAP(int, xha_gate_release_one, struct xha_gate *gate, char *err, size_t err_len)
{
    (void)gate, (void)err, (void)err_len;
    assert_true(host.gate == XHA_GATE_SEALED && !host.dom.shutdown);
    host.gate = XHA_GATE_SHUT;
    host.let_out++;
    return 0;
}

WRAP(int, xha_gate_take_down, struct xha_gate *gate, int64_t until_ms, char *err, size_t err_len)
{
    (void)gate, (void)until_ms, (void)err, (void)err_len;
    assert_int_equal(host.gate, XHA_GATE_OPEN);
    host.gated = false;
    return 0;
}

WRAP(int, xha_gate_stats, struct xha_gate *gate, struct xha_gate_stats *stats_r, char *err, size_t err_len)
{
    (void)gate, (void)err, (void)err_len;
    *stats_r =
        (struct xha_gate_stats){ .held_packets = 3, .held_bytes = 200, .dropped_packets = 1, .delay_us = 70 };
    return 0;
}

WRAP(bool, xha_gate_vifs_changed, struct xha_gate *gate, char *what_r, size_t what_len)
{
    (void)gate;
    snprintf(what_r, what_len, "network device vif7.1 came");
    return host.changes && host.suspends == 3;
}

WRAP(int, xha_announce, const char *vif, const uint8_t mac[6], const struct xha_announce_address *addresses,
     size_t n, unsigned *frames_r, char *err, size_t err_len)
{
    (void)mac, (void)addresses, (void)n, (void)err, (void)err_len;
    assert_string_equal(vif, "vif42.0");
    assert_true(host.there && !host.dom.paused);
    host.announced += *frames_r = 1;
    return 0;
}

/* ---- two workers ---- */

static const char key_path[] = "test-xen-replicate.key", lines_path[] = "test-xen-replicate.lines";

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
    w.job.replica = (struct xha_job_replica){ .interval_min_ms = 1, .interval_max_ms = 1, .copies_mib = 1 };
    w.until_ms = xha_now_ms() + 30000;
    w.done.domid = XHA_DOMID_NONE;
    xha_work_heed_sigterm();
    xha_work_name(&w);
}

/* The backup: a process, and what it says in the end. */
static struct {
    pid_t pid;
    int says;
    char said[65536];
    uint16_t port;
} backup;

static void be_backup(void)
{
    prepare_work(XHA_VERB_REPLICATE_IN);
    host.ports = 1;
    xha_perform_replicate_in(&w);
    printf("\n=%s=%u=%d,%d,%u=%s\n", xha_result_name(w.done.result), host.epoch, host.there, host.dom.paused,
           host.announced, w.done.message);
    fflush(stdout);
    _exit(0);
}

static void start_backup(void)
{
    char line[256], step[32];
    uint64_t port, total;
    int fds[2];
    ssize_t n;

    fflush(stdout);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    backup.pid = fork();
    assert_true(backup.pid >= 0);
    if (backup.pid == 0) {
        dup2(fds[1], STDOUT_FILENO);
        be_backup();
    }
    close(fds[1]);
    backup.says = fds[0];
    n = read(backup.says, line, sizeof(line));
    assert_true(n > 1);
    assert_true(xha_job_progress_parse(line, strcspn(line, "\n"), step, sizeof(step), &port, &total));
    assert_string_equal(step, "listening");
    backup.port = (uint16_t)port;
}

/* Waits until it has said a line with that, or its end; tells whether it did. */
static bool hear(const char *words)
{
    size_t have = strlen(backup.said);
    ssize_t n;

    while (!(words && strstr(backup.said, words)) &&
           (n = read(backup.says, backup.said + have, sizeof(backup.said) - 1 - have)) > 0) {
        have += (size_t)n;
        backup.said[have] = '\0';
    }
    return words && strstr(backup.said, words);
}

static void expect_backup(const char *want)
{
    const char *end;

    hear(NULL);
    close(backup.says);
    waitpid(backup.pid, NULL, 0);
    end = strstr(backup.said, "\n=");
    if (!end || strncmp(end + 1, want, strlen(want)) != 0)
        fail_msg("the backup said: %s", end ? end : backup.said);
}

/* Runs the sender here, with its lines in a file; what happens at the moment of the epoch. */
static void replicate(enum moment moment, unsigned epoch, int signal, bool to_sender)
{
    int lines = open(lines_path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600), out = dup(STDOUT_FILENO);

    memset(&backup, 0, sizeof(backup));
    start_backup();
    put_domain(7, false);
    host.moment = moment;
    host.epoch = epoch;
    host.signal = signal;
    host.whom = to_sender ? getpid() : backup.pid;
    prepare_work(XHA_VERB_REPLICATE_OUT);
    w.job.domid = 7;
    w.job.move.port = backup.port;
    fflush(stdout);
    dup2(lines, STDOUT_FILENO);
    xha_perform_replicate_out(&w);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    close(out);
    close(lines);
}

static void expect_sender(uint64_t epoch, const char *why)
{
    if (w.done.result != XHA_REFUSED || !strstr(w.done.message, why))
        fail_msg("%s: %s", xha_result_name(w.done.result), w.done.message);
    assert_true(host.there && !host.dom.shutdown); /* the guest runs */
    assert_int_equal(host.log_ends, 1);
    assert_int_equal(json_integer_value(json_object_get(w.done.data, "epoch")), epoch);
}

/* Each committed epoch is told, in order. */
static void expect_lines(uint64_t epochs)
{
    struct xha_job_epoch e;
    char line[1024];
    uint64_t n = 0;
    FILE *f = fopen(lines_path, "re");

    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        if (!xha_job_epoch_parse(line, strcspn(line, "\n"), &e))
            continue;
        assert_int_equal(e.number, ++n);
        assert_in_range(e.pages, 1, PAGES);
        assert_true(e.raw_bytes >= e.pages * 4096 && e.sent_bytes > 0);
        assert_int_equal(e.interval_us, 1000);
        assert_int_equal(e.held_bytes, host.ports ? 200 : 0);
        assert_int_equal(e.dropped_packets, host.ports ? 1 : 0);
        assert_int_equal(e.delay_us, host.ports ? 70 : 0);
    }
    fclose(f);
    assert_int_equal(n, epochs);
}

static int setup(void **state)
{
    char key[66];

    (void)state;
    memset(key, '5', 64);
    key[64] = '\n';
    memset(&host, 0, sizeof(host));
    signal(SIGPIPE, SIG_IGN);
    return xha_file_write(key_path, 0600, key, 65);
}

static int teardown(void **state)
{
    (void)state;
    xha_job_done_clear(&w.done);
    unlink(lines_path);
    return unlink(key_path);
}

/* ---- what must be ---- */

/* The backup dies while the guest stands still: that it runs again is all that is left to do. */
static void a_backup_that_dies_leaves_the_guest_running(void **state)
{
    static const enum moment moments[] = { SUSPENDED, COPIED, COMMITTED };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        memset(&host, 0, sizeof(host));
        replicate(moments[i], 4, SIGKILL, false);
        expect_sender(moments[i] == COMMITTED ? 4 : 3, "is not replicated any more");
        expect_lines(moments[i] == COMMITTED ? 4 : 3);
        close(backup.says);
        waitpid(backup.pid, NULL, 0);
        xha_job_done_clear(&w.done);
    }
}

static void a_promoted_backup_has_the_last_epoch(void **state)
{
    (void)state;
    replicate(COMMITTED, 5, SIGUSR1, false);
    hear(NULL);
    assert_non_null(strstr(w.done.message, "is not replicated any more"));
    assert_true(host.there && !host.dom.shutdown);
    expect_backup("=ok=");
    assert_non_null(strstr(backup.said, "=1,0,3=")); /* there, runs, and was announced */
    assert_non_null(strstr(backup.said, "domain id 42, as of epoch "));
    assert_true(json_integer_value(json_object_get(w.done.data, "epoch")) >= 5);
}

/* Nothing is promoted by a sender that is gone; it takes an order, whichever. */
static void a_backup_without_sender_waits_for_the_order(void **state)
{
    (void)state;
    for (int promote = 0; promote < 2; promote++) {
        memset(&host, 0, sizeof(host));
        replicate(SUSPENDED, 4, 0, false); /* the sender ends */
        xha_job_done_clear(&w.done);
        assert_true(hear("silent"));
        assert_null(strstr(backup.said, "\n="));
        kill(backup.pid, promote ? SIGUSR1 : SIGTERM);
        expect_backup(promote ? "=ok=" : "=refused=");
        assert_non_null(strstr(backup.said, promote ? "=1,0,3=" : "=0,"));
    }
}

static void before_the_first_epoch_there_is_no_backup(void **state)
{
    (void)state;
    replicate(SUSPENDED, 1, SIGUSR1, false);
    assert_true(host.there && !host.dom.shutdown);
    hear(NULL);
    if (strstr(backup.said, "=ok=")) /* the epoch was quicker than the order */
        expect_backup("=ok=");
    else
        expect_backup("=refused=");
}

static void told_to_stop_it_stops(void **state)
{
    (void)state;
    replicate(COMMITTED, 6, SIGTERM, true);
    expect_sender(6, "told to stop");
    expect_lines(6);
    assert_true(json_is_true(json_object_get(w.done.data, "asked")));
    assert_false(host.ordered);
    assert_true(hear("silent"));
    kill(backup.pid, SIGTERM);
    expect_backup("=refused=");
}

/* It has ended by itself; the order to suspend is taken back, against a store that is busy. */
static void a_guest_that_does_not_suspend_is_let_be(void **state)
{
    (void)state;
    host.conflicts = 2;
    replicate(SUSPENDED, 3, 0, false);
    expect_sender(2, "it has shut itself down");
    assert_true(!host.ordered && host.conflicts == 0);
    expect_lines(2);
    kill(backup.pid, SIGTERM);
    expect_backup("=refused=");
}

/* The gate's own rules are asserted where it is made up. */
static void what_is_sent_waits_for_its_epoch(void **state)
{
    (void)state;
    host.nics = host.ports = 2;
    replicate(SUSPENDED, 6, 0, false); /* in the sixth the guest does not suspend */
    expect_sender(5, "its network gate stays shut");
    expect_lines(5);
    assert_int_equal(host.let_out, 4); /* the first began with the gate */
    assert_int_equal(host.limit_bytes, 16384 * 1024);
    assert_true(host.gated && host.stays);
    kill(backup.pid, SIGTERM);
    expect_backup("=refused=");
}

static void a_gate_that_never_was_shut_is_taken_away(void **state)
{
    (void)state;
    host.nics = host.ports = 1;
    replicate(SUSPENDED, 1, 0, false);
    assert_int_equal(w.done.result, XHA_REFUSED);
    assert_null(strstr(w.done.message, "stays shut"));
    assert_false(host.gated);
    kill(backup.pid, SIGTERM);
    expect_backup("=refused=");
}

static void without_its_whole_network_it_is_not_replicated(void **state)
{
    (void)state;
    host.nics = 2;
    host.ports = 1; /* the other one is a driver domain's */
    replicate(0, 0, 0, false);
    assert_int_equal(w.done.result, XHA_REFUSED);
    assert_non_null(strstr(w.done.message, "2 network devices"));
    assert_true(!host.gated && host.suspends == 0);
    kill(backup.pid, SIGTERM);
    expect_backup("=refused=");
}

static void a_gate_of_before_is_not_touched(void **state)
{
    (void)state;
    host.nics = host.ports = 1;
    host.gated = true;
    replicate(0, 0, 0, false);
    assert_int_equal(w.done.result, XHA_REFUSED);
    assert_non_null(strstr(w.done.message, "opened by order"));
    assert_true(host.gated && host.gate == XHA_GATE_FOUND);
    kill(backup.pid, SIGTERM);
    expect_backup("=refused=");
}

static void a_new_network_device_ends_protection(void **state)
{
    (void)state;
    host.nics = host.ports = 1;
    host.changes = true;
    replicate(0, 0, 0, false);
    expect_sender(3, "vif7.1 came");
    kill(backup.pid, SIGTERM);
    expect_backup("=refused=");
}

static void what_cannot_be_replicated_is_refused_by_name(void **state)
{
    (void)state;
    prepare_work(XHA_VERB_REPLICATE_OUT);
    put_domain(7, false);
    w.job.domid = 7;
    host.type = LIBXL_DOMAIN_TYPE_HVM;
    xha_perform_replicate_out(&w);
    assert_int_equal(w.done.refusal, XHA_REFUSAL_UNSUPPORTED);
    assert_non_null(strstr(w.done.message, "HVM"));
    put_domain(7, false);
    host.no_hap = true;
    xha_perform_replicate_out(&w);
    assert_int_equal(w.done.refusal, XHA_REFUSAL_UNSUPPORTED);
    assert_non_null(strstr(w.done.message, "cannot track"));
    host.no_hap = false;
    host.dom.domain_type = host.type = LIBXL_DOMAIN_TYPE_PV;
    xha_perform_replicate_out(&w);
    assert_int_equal(w.done.refusal, XHA_REFUSAL_UNSUPPORTED);
    assert_non_null(strstr(w.done.message, "PV guest"));
    put_domain(7, false);
    host.disk = true;
    xha_perform_replicate_out(&w);
    assert_int_equal(w.done.refusal, XHA_REFUSAL_UNSUPPORTED);
    assert_non_null(strstr(w.done.message, "disk xvdb is writable"));
    host.disk = false;
    put_domain(7, true);
    xha_perform_replicate_out(&w);
    assert_int_equal(w.done.result, XHA_REFUSED);
    assert_int_equal(host.suspends, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_backup_that_dies_leaves_the_guest_running, setup, teardown),
        cmocka_unit_test_setup_teardown(a_promoted_backup_has_the_last_epoch, setup, teardown),
        cmocka_unit_test_setup_teardown(a_backup_without_sender_waits_for_the_order, setup, teardown),
        cmocka_unit_test_setup_teardown(before_the_first_epoch_there_is_no_backup, setup, teardown),
        cmocka_unit_test_setup_teardown(a_guest_that_does_not_suspend_is_let_be, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_sent_waits_for_its_epoch, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gate_that_never_was_shut_is_taken_away, setup, teardown),
        cmocka_unit_test_setup_teardown(without_its_whole_network_it_is_not_replicated, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gate_of_before_is_not_touched, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_network_device_ends_protection, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_replicated_is_refused_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(told_to_stop_it_stops, setup, teardown), /* the last: it stays told */
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

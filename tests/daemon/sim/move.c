/*
 * move.c - the two ends of a move between simulated hosts: the wire is the real one (xhad/move/), only what
 * streams over it is not a guest's memory but blanks and a line of JSON. Disks that move along are real files,
 * copied by what copies them in xhad-xen.
 */
#include "tests/daemon/sim/sim.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include "xhad/move/disk.h"
#include "xhad/move/talk.h"
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <string.h>

#define STREAM_MAX (1 << 20)
#define PIECES     20
#define ANSWER_MS  10000

static volatile sig_atomic_t told_to_stop;

static void on_sigterm(int sig)
{
    (void)sig;
    told_to_stop = 1;
}

static bool is_told_to_stop(void *arg)
{
    (void)arg;
    return told_to_stop;
}

bool sim_told_to_stop(void)
{
    return told_to_stop;
}

struct xha_talk sim_talk(void)
{
    sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_sigterm }, NULL);
    return (struct xha_talk){
        .job = &sim_job,
        .until_ms = sim_job.deadline_ms > 0 ? sim_now_ms() + sim_job.deadline_ms : INT64_MAX,
        .stop = { .asked = is_told_to_stop },
    };
}

void sim_mishap(const char *moment)
{
    char knob[XHA_NAME_MAX + 16], line[32];

    snprintf(knob, sizeof knob, "move-%s", sim_job.name);
    if (sim_knob(knob, line, sizeof line) && strcmp(line, moment) == 0) {
        unlink(knob);
        sim_trace("move %s %s", moment, sim_job.name);
        if (strncmp(moment, "die-", 4) == 0)
            raise(SIGKILL);
        told_to_stop = 1;
    }
}

/* ---- the source ---- */

/* The job's domain under the lock; NULL after refusing. */
static json_t *take_domain(int *lock_r)
{
    *lock_r = sim_lock();
    return sim_of_job();
}

static void put_domain(json_t *domain, int lock)
{
    json_decref(domain);
    sim_unlock(lock);
}

char *sim_running_config(void)
{
    int lock;
    json_t *domain = take_domain(&lock);
    char *config = NULL;

    if (domain && !sim_domain_is(domain, "running"))
        sim_refuse(XHA_REFUSAL_OTHER, "%s cannot be moved: it is %s", sim_job.name,
                   sim_text(domain, "state"));
    else if (domain)
        config = json_dumps(json_object_get(domain, "config"), JSON_COMPACT);
    put_domain(domain, lock);
    return config;
}

/* It stands still; its state, NULL: it is gone. */
static char *suspend(void)
{
    int lock;
    json_t *domain = take_domain(&lock), *state;
    char *text = NULL;

    if (domain && sim_domain_is(domain, "running")) {
        sim_domain_end(domain, XHA_SHUTDOWN_SUSPEND);
        state = sim_domain_state(domain);
        text = json_dumps(state, JSON_COMPACT);
        json_decref(state);
    }
    put_domain(domain, lock);
    return text;
}

static void run_on(void)
{
    int lock;
    json_t *domain = take_domain(&lock);

    if (domain && sim_domain_is(domain, "shut") && sim_int(domain, "reason") == XHA_SHUTDOWN_SUSPEND)
        sim_domain_resume(domain);
    put_domain(domain, lock);
}

/* What a guest's memory takes, in blanks. 0, or -1: nobody takes them, or it is enough. */
static int stream_memory(int fd)
{
    const int64_t ms = sim_knob_int("move_ms", 0) / PIECES;
    char blanks[1000];

    memset(blanks, ' ', sizeof blanks);
    for (int i = 0; i < PIECES; i++) {
        xha_job_progress(STDOUT_FILENO, "memory", (uint64_t)i, PIECES);
        if (i == PIECES / 2) {
            sim_mishap("die-streaming");
            sim_mishap("abort");
        }
        if (told_to_stop || xha_write_all(fd, blanks, sizeof blanks) < 0)
            return -1;
        usleep((useconds_t)ms * 1000);
    }
    return 0;
}

static int stream(int fd)
{
    const bool warm = strcmp(sim_job.move.mode, "warm") == 0;
    XHA_CLEANUP_FREE char *state = warm ? suspend() : NULL;

    if (stream_memory(fd) < 0)
        return -1;
    if (!warm)
        state = suspend();
    sim_mishap("die-suspended");
    return state ? xha_write_all(fd, state, strlen(state)) : -1;
}

/* All is sent: from here on others decide. */
static void commit(const struct xha_talk *talk, struct xha_wire *wire, const struct xha_sent *sent)
{
    struct xha_answer answer;
    char err[XHA_ANSWER_TEXT];

    if (xha_talk_commit(talk, wire, &sent->trailer) < 0) {
        sim_done.result = XHA_UNKNOWN;
        snprintf(sim_done.message, sizeof sim_done.message,
                 "%s: the end of the stream may have arrived or not", sim_job.name);
        return;
    }
    sim_mishap("die-sent");
    if (xha_talk_await(talk, wire, ANSWER_MS, &answer, err, sizeof err) == 0)
        snprintf(err, sizeof err, "%s", answer.kind == XHA_ANSWER_DONE ? "the receiver has it" : answer.text);
    sim_ok("%s was sent, %" PRIu64 " bytes: %s", sim_job.name, sent->wire_bytes, err);
}

static void send_domain(const struct xha_talk *talk, struct xha_wire *wire)
{
    const struct xha_send_plan plan = {
        .wire = wire, .codec = XHA_CODEC_LZ4, .limit_bps = sim_job.move.limit_bps, .progress_fd = -1
    };
    struct xha_send *send;
    struct xha_sent sent;
    int fd, r;

    if (xha_send_start(&plan, &send, &fd) < 0)
        sim_fail("sending");
    r = stream(fd);
    xha_send_finish(send, &sent);
    if (r == 0 && sent.error[0] == '\0' && !told_to_stop) {
        commit(talk, wire, &sent);
        return;
    }
    run_on();
    sim_refuse(sent.refusal, "%s was not moved and runs on: %s", sim_job.name,
               told_to_stop    ? "told to stop"
               : sent.error[0] ? sent.error
                               : "it ended meanwhile");
}

void sim_perform_migrate(void)
{
    const struct xha_talk talk = sim_talk();
    XHA_CLEANUP_FREE char *config = sim_running_config();
    struct xha_hello hello = { .version = XHA_WIRE_VERSION,
                               .kind = XHA_HELLO_DOMAIN,
                               .move_id = sim_job.move.id,
                               .uuid = sim_job.uuid };
    struct xha_wire *wire;
    enum xha_refusal refusal;
    char err[256];

    if (!config)
        return;
    memcpy(hello.name, sim_job.name, sizeof hello.name);
    memcpy(hello.mode, sim_job.move.mode, sizeof hello.mode);
    if (xha_talk_connect(&talk, &wire, err, sizeof err) < 0) {
        sim_refuse(XHA_REFUSAL_OTHER, "%s: %s", sim_job.name, err);
        return;
    }
    if (xha_talk_offer(&talk, wire, &hello, config, &refusal, err, sizeof err) < 0)
        sim_refuse(refusal, "%s is not taken: %s", sim_job.name, err);
    else
        send_domain(&talk, wire);
    xha_wire_free(wire);
}

/* ---- the target ---- */

/* Everything up to the end of the stream, as JSON; NULL: there was none. */
static json_t *read_state(struct xha_wire *wire, struct xha_received *received_r)
{
    XHA_CLEANUP_FREE char *text = malloc(STREAM_MAX);
    struct xha_receive *receive;
    json_t *state = NULL;
    size_t len = 0;
    ssize_t n;
    int fd;

    if (!text || xha_receive_start(wire, 0, -1, &receive, &fd) < 0)
        sim_fail("receiving");
    while ((n = read(fd, text + len, STREAM_MAX - len)) > 0)
        len += (size_t)n;
    state = json_loadb(text, len, 0, NULL);
    sim_mishap("die-restoring");
    sim_mishap("fail-restore");
    xha_receive_finish(receive, state != NULL, received_r);
    return state;
}

bool sim_is_there(void)
{
    const int lock = sim_lock();
    json_t *domain = sim_domain_find(&sim_job.uuid, XHA_DOMID_NONE);

    if (domain)
        sim_refuse(XHA_REFUSAL_RUNS_ALREADY, "%s is there already, as domain id %" PRId64, sim_job.name,
                   sim_int(domain, "domid"));
    json_decref(domain);
    sim_unlock(lock);
    return domain != NULL;
}

/* Whole and paused. */
static void restore(json_t *state)
{
    const int lock = sim_lock();
    json_t *domain;

    sim_bring_up(json_object_get(state, "config"), state);
    domain = sim_domain_find(&sim_job.uuid, sim_done.domid);
    if (domain && sim_done.result == XHA_OK) {
        sim_domain_pause(domain);
        sim_ok("%s is here as domain id %d, paused", sim_job.name, (int)sim_done.domid);
    }
    json_decref(domain);
    sim_unlock(lock);
}

static void receive_domain(const struct xha_talk *talk, struct xha_wire *wire)
{
    struct xha_received received;
    json_t *state;

    xha_talk_answer(talk, wire, XHA_ANSWER_READY, XHA_REFUSAL_OTHER, "");
    state = read_state(wire, &received);
    if (state && received.complete && !told_to_stop)
        restore(state);
    else
        sim_refuse(XHA_REFUSAL_OTHER, "%s did not arrive whole: %s; nothing of it is left", sim_job.name,
                   received.error[0] ? received.error : "told to stop");
    json_decref(state);
}

void sim_perform_receive(void)
{
    const struct xha_talk talk = sim_talk();
    struct xha_hello hello;
    struct xha_wire *wire;
    char err[256], *config;

    if (xha_talk_accept(&talk, XHA_HELLO_DOMAIN, STDOUT_FILENO, &wire, &hello, err, sizeof err) < 0) {
        sim_refuse(XHA_REFUSAL_OTHER, "%s: %s", sim_job.name, err);
        return;
    }
    config = xha_talk_config(&talk, wire, err, sizeof err);
    if (!config)
        sim_refuse(XHA_REFUSAL_OTHER, "%s: %s", sim_job.name, err);
    else if (!sim_is_there())
        receive_domain(&talk, wire);
    free(config);
    xha_talk_answer(&talk, wire, sim_done.result == XHA_OK ? XHA_ANSWER_DONE : XHA_ANSWER_REFUSED,
                    sim_done.refusal, sim_done.message);
    xha_wire_free(wire);
}

/* ---- disks ---- */

/* The disks of the job's stored configuration; -1 after refusing. */
static int list_disks(struct xha_disk **disks_r, size_t *n_r)
{
    XHA_CLEANUP_FREE char *text = NULL;
    json_t *config;
    char err[256];
    size_t len;
    int r;

    if (sim_is_there())
        return -1;
    if (xha_file_read(sim_job.config, STREAM_MAX, &text, &len) < 0) {
        sim_refuse(XHA_REFUSAL_OTHER, "%s: %s", sim_job.config, strerror(errno));
        return -1;
    }
    config = json_loadb(text, len, 0, NULL);
    r = xha_disk_list(config, disks_r, n_r, err, sizeof err);
    json_decref(config);
    if (r < 0)
        sim_refuse(XHA_REFUSAL_UNSUPPORTED, "%s: %s", sim_job.name, err);
    return r;
}

static void disks_done(int r, const char *what, const struct xha_copied *copied, const char *err)
{
    if (r < 0)
        sim_refuse(copied->refusal, "%s: its disks were not %s: %s", sim_job.name, what, err);
    else
        sim_ok("%s: %" PRIu64 " disks were %s, %" PRIu64 " bytes", sim_job.name, copied->disks, what,
               copied->bytes);
}

void sim_perform_send_disks(void)
{
    const struct xha_talk talk = sim_talk();
    const struct xha_hello hello = { .version = XHA_WIRE_VERSION,
                                     .kind = XHA_HELLO_DISKS,
                                     .move_id = sim_job.move.id,
                                     .uuid = sim_job.uuid,
                                     .mode = "copy" };
    XHA_CLEANUP_FREE struct xha_disk *disks = NULL;
    struct xha_copied copied = { 0 };
    struct xha_wire *wire = NULL;
    char err[XHA_ANSWER_TEXT];
    size_t n;
    int r;

    if (list_disks(&disks, &n) < 0)
        return;
    r = xha_talk_connect(&talk, &wire, err, sizeof err);
    if (r == 0)
        r = xha_talk_offer(&talk, wire, &hello, NULL, &copied.refusal, err, sizeof err);
    sim_mishap("abort");
    if (r == 0)
        r = xha_disk_send_all(&talk, wire, disks, n, &copied, err, sizeof err);
    disks_done(r, "sent", &copied, err);
    xha_wire_free(wire);
}

void sim_perform_receive_disks(void)
{
    const struct xha_talk talk = sim_talk();
    XHA_CLEANUP_FREE struct xha_disk *disks = NULL;
    struct xha_copied copied = { 0 };
    struct xha_wire *wire = NULL;
    struct xha_hello hello;
    char err[XHA_ANSWER_TEXT];
    size_t n;
    int r;

    if (list_disks(&disks, &n) < 0)
        return;
    r = xha_talk_accept(&talk, XHA_HELLO_DISKS, STDOUT_FILENO, &wire, &hello, err, sizeof err);
    if (r == 0) {
        xha_talk_answer(&talk, wire, XHA_ANSWER_READY, XHA_REFUSAL_OTHER, "");
        r = xha_disk_receive_all(&talk, wire, disks, n, &copied, err, sizeof err);
    }
    disks_done(r, "received", &copied, err);
    if (wire)
        xha_talk_answer(&talk, wire, r == 0 ? XHA_ANSWER_DONE : XHA_ANSWER_REFUSED, sim_done.refusal,
                        sim_done.message);
    xha_wire_free(wire);
}

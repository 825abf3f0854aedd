/*
 * repl.c - the two ends of a replication between simulated hosts, and the gate. The wire is the real one
 * (xhad/move/); an epoch is a line of JSON, and the gate a word in the domain's file: as long as it is there, others see
 * of the guest's counter what the backup has confirmed.
 */
#include "tests/daemon/sim/sim.h"
#include "xhad/base/cleanup.h"
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#define INTERVAL_MS 50
#define SILENCE_MS  500
#define TELL_MS     2000
#define PIECES      20

/* What holds is told again, for an xhad that was restarted. */
static void tell(const char *step, uint64_t number, bool anew)
{
    static int64_t told_ms;
    int64_t now = sim_now_ms();

    if (!anew && now - told_ms < TELL_MS)
        return;
    told_ms = now;
    xha_job_progress(STDOUT_FILENO, step, number, number);
}

static int64_t silence_ms(void)
{
    return sim_job.replica.silence_ms ? sim_job.replica.silence_ms : SILENCE_MS;
}

/* ---- the owner's side ---- */

struct sender {
    struct xha_wire *wire;
    uint64_t epoch;
    char why[256];
};

static int end(struct sender *s, const char *why)
{
    if (!s->why[0])
        snprintf(s->why, sizeof s->why, "%s", why);
    return -1;
}

/* The guest as it is now, its gate shut; NULL: it does not run. */
static char *snapshot(struct sender *s)
{
    const int lock = sim_lock();
    json_t *domain = sim_domain_find(&sim_job.uuid, sim_job.domid), *state;
    char *text = NULL;

    if (domain && sim_domain_is(domain, "running")) {
        if (!json_object_get(domain, "gate")) {
            json_object_set_new(domain, "seen", json_integer(sim_domain_counter(domain)));
            json_object_set_new(domain, "gate", json_string("shut"));
            sim_domain_save(domain, false);
            sim_trace("gate shut %s", sim_job.name);
        }
        state = sim_domain_state(domain);
        text = json_dumps(state, JSON_COMPACT);
        json_decref(state);
    } else {
        end(s, "the guest does not run");
    }
    json_decref(domain);
    sim_unlock(lock);
    return text;
}

/* What the guest sent until then goes out. */
static void release(const char *text)
{
    const int lock = sim_lock();
    json_t *domain = sim_domain_find(&sim_job.uuid, sim_job.domid), *state = json_loads(text, 0, NULL);

    if (json_object_get(domain, "gate")) {
        json_object_set_new(domain, "seen", json_integer(sim_int(state, "counter")));
        sim_domain_save(domain, false);
    }
    json_decref(state);
    json_decref(domain);
    sim_unlock(lock);
}

static int await_ack(struct sender *s)
{
    struct xha_frame frame;

    if (xha_wire_await(s->wire, INT64_MAX, &frame) < 0)
        return end(s, xha_wire_error(s->wire));
    if (frame.type != XHA_FRAME_EPOCH_ACK)
        return end(s, "the backup says something else");
    return 0;
}

static int rest(struct sender *s)
{
    const int64_t ms = sim_job.replica.interval_min_ms ? sim_job.replica.interval_min_ms : INTERVAL_MS,
                  until = sim_now_ms() + ms;

    for (int64_t left = ms; left > 0; left = until - sim_now_ms())
        if (xha_wire_pump(s->wire, (int)left, NULL) < 0)
            return end(s, xha_wire_error(s->wire));
    return 0;
}

static int one_epoch(struct sender *s)
{
    XHA_CLEANUP_FREE char *state = snapshot(s);
    struct xha_job_epoch line = { .number = s->epoch + 1, .pages = 1, .interval_us = 1000 * INTERVAL_MS };
    int64_t began = sim_now_ms();

    if (!state)
        return -1;
    line.raw_bytes = line.sent_bytes = strlen(state);
    line.dropped_packets = (uint64_t)sim_knob_int("dropped", 0);
    if (xha_wire_put(s->wire, XHA_FRAME_EPOCH_END, state, strlen(state), NULL, 0) < 0)
        return end(s, xha_wire_error(s->wire));
    if (await_ack(s) < 0)
        return -1;
    release(state);
    line.commit_us = 1000 * (sim_now_ms() - began);
    xha_job_tell_epoch(STDOUT_FILENO, &line);
    tell("protected", line.number, s->epoch++ == 0);
    sim_mishap("die-protected");
    sim_mishap("end-protected");
    return sim_told_to_stop() ? end(s, "told to stop") : rest(s);
}

/* What a guest's memory takes. */
static int first_copy(struct sender *s)
{
    const int64_t ms = sim_knob_int("move_ms", 0) / PIECES;

    for (int i = 0; i < PIECES; i++) {
        xha_job_progress(STDOUT_FILENO, "synchronising", (uint64_t)i, PIECES);
        if (i == PIECES / 2)
            sim_mishap("die-syncing");
        for (int64_t until = sim_now_ms() + ms; sim_now_ms() < until;)
            if (xha_wire_pump(s->wire, 10, NULL) < 0)
                return end(s, xha_wire_error(s->wire));
        if (sim_told_to_stop())
            return end(s, "told to stop");
    }
    return 0;
}

void sim_perform_replicate_out(void)
{
    const struct xha_talk talk = sim_talk();
    XHA_CLEANUP_FREE char *config = sim_running_config();
    struct xha_hello hello = { .version = XHA_WIRE_VERSION,
                               .kind = XHA_HELLO_REPLICA,
                               .move_id = sim_job.move.id,
                               .uuid = sim_job.uuid,
                               .mode = "live" };
    struct sender s = { 0 };
    enum xha_refusal refusal = XHA_REFUSAL_OTHER;

    if (!config)
        return;
    memcpy(hello.name, sim_job.name, sizeof hello.name);
    xha_job_progress(STDOUT_FILENO, "connecting", 0, 1);
    if (xha_talk_connect(&talk, &s.wire, s.why, sizeof s.why) == 0 &&
        xha_talk_offer(&talk, s.wire, &hello, config, &refusal, s.why, sizeof s.why) == 0) {
        xha_wire_pace(s.wire, silence_ms());
        if (first_copy(&s) == 0)
            while (one_epoch(&s) == 0)
                ;
    }
    xha_wire_free(s.wire);
    sim_refuse(refusal, "%s is not replicated any more: %s; epoch %" PRIu64 " is the last", sim_job.name,
               s.why, s.epoch);
}

/* ---- the backup's side ---- */

struct backup {
    struct xha_wire *wire;
    json_t *state; /* as of the last epoch; NULL: none yet */
    uint64_t epoch;
    int64_t heard_ms;
    int32_t domid; /* of the copy, which is paused */
};

static volatile sig_atomic_t told_to_promote;

static void on_sigusr1(int sig)
{
    (void)sig;
    told_to_promote = 1;
}

static json_t *copy_of(const struct backup *b)
{
    return b->domid == XHA_DOMID_NONE ? NULL : sim_domain_find(&sim_job.uuid, b->domid);
}

/* As libxl does, which builds it from the first epoch on. */
static void build(struct backup *b)
{
    const int lock = sim_lock();
    json_t *domain = sim_domain_build(json_object_get(b->state, "config"), b->state);

    sim_domain_pause(domain);
    b->domid = (int32_t)sim_int(domain, "domid");
    json_decref(domain);
    sim_unlock(lock);
}

static int take_epoch(struct backup *b, const struct xha_frame *frame)
{
    json_t *state = frame->type == XHA_FRAME_EPOCH_END
                        ? json_loadb((const char *)frame->bytes, frame->len, 0, NULL)
                        : NULL;

    if (!state)
        return -1;
    json_decref(b->state);
    b->state = state;
    if (b->epoch++ == 0)
        build(b);
    tell("epoch", b->epoch, b->epoch == 1);
    sim_mishap("die-standby");
    return xha_wire_put(b->wire, XHA_FRAME_EPOCH_ACK, NULL, 0, NULL, 0);
}

static int listen_once(struct backup *b)
{
    const uint64_t before = xha_wire_received(b->wire);
    struct xha_frame frame = { 0 };
    int r = xha_wire_pump(b->wire, 20, NULL);

    if (xha_wire_received(b->wire) != before)
        b->heard_ms = sim_now_ms();
    if (r == 0)
        r = xha_wire_get(b->wire, &frame);
    return r > 0 ? take_epoch(b, &frame) : r;
}

/* A link that broke is silence, too: an owner that lives is to be the first to say so. */
static void stand_by(struct backup *b)
{
    bool silent = false;

    b->heard_ms = sim_now_ms();
    while (!told_to_promote && !sim_told_to_stop()) {
        if (b->wire && listen_once(b) < 0) {
            fprintf(stderr, "the link is gone: %s\n", xha_wire_error(b->wire));
            xha_wire_free(b->wire);
            b->wire = NULL;
        }
        if (b->wire)
            continue;
        if (sim_now_ms() - b->heard_ms >= silence_ms()) {
            tell("silent", b->epoch, !silent);
            silent = true;
        }
        usleep(20000);
    }
}

static void promote(struct backup *b)
{
    const int lock = sim_lock();
    json_t *domain = copy_of(b);

    if (domain) {
        json_object_set(domain, "counter", json_object_get(b->state, "counter"));
        json_object_set_new(domain, "cpu", json_pack("{s:i, s:i}", "base", 0, "since", 0));
        sim_domain_resume(domain);
        sim_done.domid = b->domid;
        sim_ok("%s runs here as domain id %d, as of epoch %" PRIu64, sim_job.name, (int)b->domid, b->epoch);
    } else {
        sim_refuse(XHA_REFUSAL_OTHER, "%s: there is no epoch to promote", sim_job.name);
    }
    json_decref(domain);
    sim_unlock(lock);
}

static void discard(const struct backup *b)
{
    const int lock = sim_lock();
    json_t *domain = copy_of(b);

    if (domain)
        sim_domain_remove(domain);
    sim_refuse(XHA_REFUSAL_OTHER, "%s: the backup was discarded", sim_job.name);
    json_decref(domain);
    sim_unlock(lock);
}

void sim_perform_replicate_in(void)
{
    const struct xha_talk talk = sim_talk();
    struct backup b = { .domid = XHA_DOMID_NONE };
    struct xha_hello hello;
    char err[256], *config;

    sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = on_sigusr1 }, NULL);
    if (xha_talk_accept(&talk, XHA_HELLO_REPLICA, STDOUT_FILENO, &b.wire, &hello, err, sizeof err) < 0) {
        sim_refuse(XHA_REFUSAL_OTHER, "%s: %s", sim_job.name, err);
        return;
    }
    config = xha_talk_config(&talk, b.wire, err, sizeof err);
    if (!config || sim_is_there()) {
        if (!config)
            sim_refuse(XHA_REFUSAL_OTHER, "%s: %s", sim_job.name, err);
        xha_talk_answer(&talk, b.wire, XHA_ANSWER_REFUSED, sim_done.refusal, sim_done.message);
    } else {
        xha_talk_answer(&talk, b.wire, XHA_ANSWER_READY, XHA_REFUSAL_OTHER, "");
        xha_wire_pace(b.wire, silence_ms());
        stand_by(&b);
        if (told_to_promote)
            promote(&b);
        else
            discard(&b);
    }
    free(config);
    json_decref(b.state);
    xha_wire_free(b.wire);
}

/* ---- the gate ---- */

void sim_perform_gate(void)
{
    const int lock = sim_lock();
    json_t *domain = sim_domain_find(&sim_job.uuid, sim_job.domid);
    const bool shut = json_object_get(domain, "gate") != NULL;

    if (shut) {
        sim_trace("gate open %s", sim_job.name);
        json_object_del(domain, "gate");
        sim_domain_save(domain, false);
    }
    sim_ok("%s %s", sim_job.name, shut ? "has its gate open" : "has no gate");
    json_decref(domain);
    sim_unlock(lock);
}

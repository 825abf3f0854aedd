/*
 * step.c - facts into the core, its plans into deeds.
 */
#include "xhad/ctl/peers.h"
#include "xhad/ctl/exec.h"
#include "xhad/base/uuid.h"
#include <assert.h>
#include <errno.h>
#include <string.h>

#define ID_RESERVE (UINT64_C(1) << 20) /* numbers taken from the journal at once */

/* What is to be decided on. Facts about the cluster that wait in the queue lend nothing. */
struct xha_fact {
    bool of_cluster;
    union {
        struct xha_event host;
        struct xha_cluster_event cluster;
    } u;
};

/* ---- what the plan's actions mean here ---- */

static const char *name_of(const struct xha_daemon *d, const struct xha_uuid *uuid)
{
    struct xha_domain *dom = xha_domains_find(&d->domains, uuid);

    return dom ? dom->name : NULL;
}

static void do_persist(void *user, const struct xha_action *a)
{
    struct xha_daemon *d = user;
    struct xha_record record;

    if (xha_core_record(d->core, &a->uuid, &record) != 0) {
        xha_log(XHA_LOG_ERROR, "a domain that the core does not know is to be remembered",
                XHA_S("domain", name_of(d, &a->uuid)));
        return;
    }
    if (xha_store_put(d->store, &a->uuid, &record) < 0)
        xha_log(XHA_LOG_ERROR, "no memory to remember a domain's state",
                XHA_S("domain", name_of(d, &a->uuid)));
}

static void do_forget(void *user, const struct xha_action *a)
{
    struct xha_daemon *d = user;

    xha_store_forget(d->store, &a->uuid);
}

static int do_commit(void *user)
{
    struct xha_daemon *d = user;
    char text[300];

    if (d->id_used + ID_RESERVE / 2 > xha_store_next_id(d->store))
        xha_store_set_next_id(d->store, d->id_used + ID_RESERVE);
    if (!xha_store_is_dirty(d->store))
        return 0;
    if (xha_store_commit(d->store, xha_clock_now(&d->clock)) == 0) {
        d->committed = xha_clock_now(&d->clock);
        if (d->journal_fails)
            xha_log(XHA_LOG_INFO, "the journal can be written again");
        d->journal_fails = false;
        return 0;
    }
    if (!d->journal_fails) {
        snprintf(text, sizeof text,
                 "the journal in %.150s cannot be written: %s. Nothing is started, stopped or recovered "
                 "until it can",
                 d->conf.state_dir, strerror(errno));
        xha_step_alarm(d, "journal", XHA_SEV_CRITICAL, NULL, text);
    }
    d->journal_fails = true;
    return -1;
}

static void do_note(void *user, const struct xha_action *a)
{
    struct xha_daemon *d = user;
    char text[256], uuid[XHA_UUID_TEXT];

    xha_history_action(d->history, a, name_of(d, &a->uuid));
    xha_log(XHA_LOG_INFO, "domain changes", XHA_S("domain", name_of(d, &a->uuid)),
            XHA_S("uuid", xha_uuid_format(&a->uuid, uuid)), XHA_S("from", xha_state_name(a->u.note.from)),
            XHA_S("to", xha_state_name(a->u.note.to)), XHA_S("for", xha_purpose_name(a->u.note.purpose)),
            XHA_S("why", xha_cause_text(a->cause, a->detail, text, sizeof text)), XHA_U("term", a->term),
            XHA_U("event", a->cause_id));
}

static void do_alarm(void *user, const struct xha_action *a)
{
    struct xha_daemon *d = user;
    struct xha_alarm alarm = { .severity = a->u.alarm.severity, .uuid = a->uuid };
    const char *name = name_of(d, &a->uuid);
    struct xha_view view;

    xha_history_action(d->history, a, name);
    snprintf(alarm.kind, sizeof alarm.kind, "%s", xha_cause_name(a->cause));
    snprintf(alarm.domain, sizeof alarm.domain, "%s", name ? name : "");
    if (xha_core_find(d->core, &a->uuid, &view) == 0)
        snprintf(alarm.state, sizeof alarm.state, "%s", xha_state_name(view.state));
    xha_cause_text(a->cause, a->detail, alarm.text, sizeof alarm.text);
    d->alarms_total++;
    xha_alarms_raise(d->alarms, &alarm);
}

void xha_step_alarm(struct xha_daemon *d, const char *kind, enum xha_severity severity,
                    const struct xha_domain *domain, const char *text)
{
    struct xha_alarm alarm = { .severity = severity };

    snprintf(alarm.kind, sizeof alarm.kind, "%s", kind);
    snprintf(alarm.text, sizeof alarm.text, "%s", text);
    if (domain) {
        alarm.uuid = domain->uuid;
        memcpy(alarm.domain, domain->name, sizeof alarm.domain);
    }
    xha_history_text(d->history, "alarm", domain ? &domain->uuid : NULL, domain ? domain->name : NULL, text);
    d->alarms_total++;
    xha_alarms_raise(d->alarms, &alarm);
}

/* ---- deeds ---- */

static enum xha_verb verb_of(enum xha_action_type type)
{
    static const enum xha_verb verb[XHA_ACT_N_] = {
        [XHA_ACT_START] = XHA_VERB_START,           [XHA_ACT_RESTORE] = XHA_VERB_RESTORE,
        [XHA_ACT_DESTROY] = XHA_VERB_DESTROY,       [XHA_ACT_SHUTDOWN] = XHA_VERB_SHUTDOWN,
        [XHA_ACT_CHECKPOINT] = XHA_VERB_CHECKPOINT, [XHA_ACT_RESUME] = XHA_VERB_RESUME,
        [XHA_ACT_SCHED] = XHA_VERB_SCHED,           [XHA_ACT_MIGRATE] = XHA_VERB_MIGRATE,
        [XHA_ACT_RECEIVE] = XHA_VERB_RECEIVE,       [XHA_ACT_REPLICATE] = XHA_VERB_REPLICATE_OUT,
        [XHA_ACT_STANDBY] = XHA_VERB_REPLICATE_IN,  [XHA_ACT_GATE_OPEN] = XHA_VERB_GATE,
    };

    return verb[type];
}

/* Of a stopped domain the disks alone are moved. */
static enum xha_verb verb_of_move(const struct xha_action *a)
{
    if (!a->u.deed.move.disks)
        return verb_of(a->type);
    return a->type == XHA_ACT_MIGRATE ? XHA_VERB_SEND_DISKS : XHA_VERB_RECEIVE_DISKS;
}

static bool is_move(enum xha_action_type type)
{
    return type == XHA_ACT_MIGRATE || type == XHA_ACT_RECEIVE;
}

/* Between two hosts: only a cluster orders it. */
static bool has_peer(enum xha_action_type type)
{
    return is_move(type) || type == XHA_ACT_REPLICATE || type == XHA_ACT_STANDBY;
}

void xha_step_job(const struct xha_daemon *d, const struct xha_domain *dom, struct xha_job *job_r)
{
    const struct xha_domain_spec *spec = &dom->spec;
    struct xha_job_checkpoint *c = &job_r->checkpoint;
    char uuid[XHA_UUID_TEXT];

    *job_r = (struct xha_job){ .uuid = dom->uuid, .domid = XHA_DOMID_NONE, .sched = dom->sched };
    memcpy(job_r->name, dom->name, sizeof job_r->name);
    xha_domains_path(&d->domains, &dom->uuid, "/config.json", job_r->config, sizeof job_r->config);
    snprintf(c->dir, sizeof c->dir, "%.900s/%s", d->conf.checkpoint_dir, xha_uuid_format(&dom->uuid, uuid));
    c->keep = spec->checkpoint.keep;
    c->keep_age_s = (uint32_t)(spec->checkpoint.keep_age.ms / 1000);
    snprintf(c->compress, sizeof c->compress, "%s", xha_compress_name(spec->checkpoint.compress));
    c->level = (int)spec->checkpoint.level;
    snprintf(c->disks, sizeof c->disks, "%s", xha_disks_name(spec->disks));
    snprintf(c->snapshot_command, sizeof c->snapshot_command, "%s", spec->snapshot_command);
}

static void feed_done(struct xha_daemon *d, const struct xha_uuid *uuid, const struct xha_job_done *done)
{
    struct xha_event ev = { .type = XHA_EV_DONE, .uuid = *uuid };

    ev.u.done.id = done->id;
    ev.u.done.result = done->result;
    ev.u.done.refusal = done->refusal;
    ev.u.done.domid = done->domid;
    ev.u.done.skipped = done->skipped;
    xha_step(d, &ev);
}

static void do_refuse(void *user, const struct xha_action *a)
{
    struct xha_daemon *d = user;
    struct xha_job_done done = { .id = a->id, .result = XHA_REFUSED, .domid = XHA_DOMID_NONE };

    feed_done(d, &a->uuid, &done);
}

static void do_deed(void *user, const struct xha_action *a)
{
    struct xha_daemon *d = user;
    struct xha_domain *dom = xha_domains_find(&d->domains, &a->uuid);
    struct xha_job job;

    if (!dom) {
        xha_log(XHA_LOG_ERROR, "a deed for a domain that is not known", XHA_U("id", a->id));
        do_refuse(user, a);
        return;
    }
    xha_step_job(d, dom, &job);
    job.id = a->id;
    job.verb = is_move(a->type) ? verb_of_move(a) : verb_of(a->type);
    if (job.verb == XHA_VERB_NONE) {
        xha_log(XHA_LOG_ERROR, "no worker can do this", XHA_S("deed", xha_action_name(a->type)),
                XHA_S("domain", dom->name));
        do_refuse(user, a);
        return;
    }
    job.term = a->term;
    job.domid = a->u.deed.domid;
    job.deadline_ms = a->u.deed.deadline.ms;
    job.checkpoint.number = a->u.deed.checkpoint;
    if (has_peer(a->type))
        xha_peers_move_job(d->peers, a, dom, &job);
    xha_jobs_start(d->jobs, &job, xha_step_done, d);
}

static void do_ask(void *user, const struct xha_action *a)
{
    struct xha_daemon *d = user;

    if (a->type == XHA_ACT_LOOK)
        xha_observer_look(d->observer);
    else if (a->type == XHA_ACT_PROBE)
        xha_observer_probe(d->observer, &a->uuid, a->u.deed.domid);
    else if (a->type == XHA_ACT_CANCEL)
        xha_jobs_cancel(d->jobs, a->id);
    else if (a->type == XHA_ACT_PROMOTE)
        xha_jobs_promote(d->jobs, a->id);
}

static const struct xha_exec_ops ops = {
    .persist = do_persist,
    .forget = do_forget,
    .commit = do_commit,
    .note = do_note,
    .alarm = do_alarm,
    .deed = do_deed,
    .refuse = do_refuse,
    .ask = do_ask,
};

/* ---- steps ---- */

static struct xha_plan *plan_of(struct xha_daemon *d)
{
    return d->peers ? &d->peers->plan.host : &d->plan;
}

/* Every step and every action takes a number at the most. */
static void count_ids(struct xha_daemon *d)
{
    const struct xha_plan *plan = plan_of(d);

    if (d->peers) {
        d->id_used = xha_node_next_id(d->peers->node);
        return;
    }
    d->id_used += 1 + plan->n;
    for (uint32_t i = 0; i < plan->n; i++)
        if (plan->action[i].id > d->id_used)
            d->id_used = plan->action[i].id;
}

static int decide_here(struct xha_daemon *d, const struct xha_event *ev)
{
    int rc = xha_core_step(d->own_core, ev, &d->plan);

    xha_trace_step(d->trace, ev, &d->plan);
    return rc;
}

static int decide(struct xha_daemon *d, const struct xha_fact *fact)
{
    if (fact->of_cluster)
        return xha_node_cluster(d->peers->node, &fact->u.cluster, &d->peers->plan);
    return d->peers ? xha_node_host(d->peers->node, &fact->u.host, &d->peers->plan)
                    : decide_here(d, &fact->u.host);
}

/* true: there is more. */
static bool carry_out(struct xha_daemon *d)
{
    count_ids(d);
    if (d->peers)
        xha_peers_carry_out(d->peers);
    xha_exec_plan(plan_of(d), &ops, d);
    d->next = d->peers ? d->peers->plan.next : d->plan.next;
    return d->peers ? d->peers->plan.more : d->plan.more;
}

static int step_one(struct xha_daemon *d, struct xha_fact *fact)
{
    struct xha_fact tick = { .u.host.type = XHA_EV_TICK };
    int rc;

    d->steps_total++;
    tick.u.host.now = xha_clock_now(&d->clock);
    if (fact->of_cluster)
        fact->u.cluster.now = tick.u.host.now;
    else
        fact->u.host.now = tick.u.host.now;
    rc = decide(d, fact);
    while (carry_out(d))
        (void)decide(d, &tick);
    return rc;
}

static void on_tick(uv_timer_t *timer)
{
    struct xha_event ev = { .type = XHA_EV_TICK };

    xha_step(timer->data, &ev);
}

static void set_timer(struct xha_daemon *d)
{
    int64_t ms = d->next.ms == XHA_TIME_NEVER.ms ? INT64_MAX : d->next.ms - xha_clock_now(&d->clock).ms;

    if (d->stopping)
        return;
    if (ms == INT64_MAX) {
        uv_timer_stop(&d->tick);
        return;
    }
    uv_update_time(&d->loop); /* carrying out the plan may have taken a while */
    uv_timer_start(&d->tick, on_tick, ms > 0 ? (uint64_t)ms : 1, 0);
}

static void enqueue(struct xha_daemon *d, const struct xha_fact *fact)
{
    if (d->queued == d->queue_room) {
        d->queue_room = d->queue_room ? 2 * d->queue_room : 64;
        d->queue = realloc(d->queue, d->queue_room * sizeof *d->queue);
        if (!d->queue)
            abort(); /* a fact must not be lost: better a clean start, which looks everything up */
    }
    d->queue[d->queued++] = *fact;
}

static int step(struct xha_daemon *d, struct xha_fact *fact)
{
    int rc;

    if (d->stepping) {
        enqueue(d, fact);
        return 0;
    }
    d->stepping = true;
    rc = step_one(d, fact);
    for (size_t i = 0; i < d->queued; i++) {
        struct xha_fact later = d->queue[i];

        step_one(d, &later);
    }
    d->queued = 0;
    d->stepping = false;
    set_timer(d);
    xha_wait_check(d);
    if (d->peers)
        xha_peers_after(d->peers);
    return rc;
}

int xha_step(struct xha_daemon *d, struct xha_event *ev)
{
    struct xha_fact fact = { .u.host = *ev };
    int rc = step(d, &fact);

    ev->now = fact.u.host.now;
    return rc;
}

static bool lends(enum xha_cluster_event_type type)
{
    return type == XHA_CEV_MESSAGE || type == XHA_CEV_REQUEST || type == XHA_CEV_RECALL;
}

int xha_step_cluster(struct xha_daemon *d, const struct xha_cluster_event *ev)
{
    struct xha_fact fact = { .of_cluster = true, .u.cluster = *ev };

    assert(!d->stepping || !lends(ev->type));
    return step(d, &fact);
}

/* One end of a replication, which never ends by itself but for a failure. */
static bool was_told_to_end(const struct xha_daemon *d, const struct xha_job *job,
                            const struct xha_job_done *done)
{
    struct xha_view v;

    if (done->result != XHA_REFUSED ||
        (job->verb != XHA_VERB_REPLICATE_OUT && job->verb != XHA_VERB_REPLICATE_IN) ||
        xha_core_find(d->core, &job->uuid, &v) != 0)
        return false;
    return v.yield || (job->verb == XHA_VERB_REPLICATE_OUT ? v.repl_stage == XHA_REPL_ENDING
                                                           : v.verdict == XHA_VERDICT_ABORT);
}

void xha_step_done(void *daemon, const struct xha_job *job, const struct xha_job_done *done)
{
    struct xha_daemon *d = daemon;
    const bool news = !was_told_to_end(d, job, done);
    char text[XHA_JOB_MESSAGE_MAX + 64];

    if (done->result != XHA_OK && news) {
        snprintf(text, sizeof text, "%s %s: %s", xha_verb_name(job->verb), xha_result_name(done->result),
                 done->message[0] ? done->message : "no reason given");
        xha_history_text(d->history, "work", &job->uuid, job->name, text);
    }
    xha_repls_hear_end(d, job, news ? done : NULL);
    if (news)
        xha_wait_heard(d, job, done);
    if (d->peers && news)
        xha_peers_tell_done(d->peers, job, done);
    feed_done(d, &job->uuid, done);
    xha_wait_done(d, job, done);
}

/* What a worker says of itself and the core has to know; TICK: it is for people alone. */
static enum xha_event_type told_event(enum xha_verb verb, const char *step_name)
{
    static const struct {
        enum xha_verb verb;
        const char *step;
        enum xha_event_type event;
    } table[] = {
        { XHA_VERB_RECEIVE, "listening", XHA_EV_LISTENING },
        { XHA_VERB_RECEIVE_DISKS, "listening", XHA_EV_LISTENING },
        { XHA_VERB_REPLICATE_IN, "listening", XHA_EV_LISTENING },
        { XHA_VERB_REPLICATE_IN, "silent", XHA_EV_SILENT },
        { XHA_VERB_REPLICATE_OUT, "protected", XHA_EV_REPLICATED },
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].verb == verb && strcmp(table[i].step, step_name) == 0)
            return table[i].event;
    return XHA_EV_TICK;
}

/* false: it is none of those. */
static bool feed_told(struct xha_daemon *d, const struct xha_job *job, const char *step_name, uint64_t done)
{
    struct xha_event ev = { .type = told_event(job->verb, step_name), .uuid = job->uuid };

    if (!d->peers || ev.type == XHA_EV_TICK)
        return false;
    if (ev.type == XHA_EV_LISTENING && (done == 0 || done > UINT16_MAX))
        return false;
    ev.u.listening.id = job->id;
    ev.u.listening.port = ev.type == XHA_EV_LISTENING ? (uint16_t)done : 0;
    xha_step(d, &ev);
    return true;
}

void xha_step_progress(void *daemon, const struct xha_job *job, const char *step_name, uint64_t done,
                       uint64_t total, const struct xha_job_pace *pace)
{
    struct xha_daemon *d = daemon;

    xha_repls_hear(d, job, step_name, done, total, pace);
    if (feed_told(d, job, step_name, done) && job->verb != XHA_VERB_REPLICATE_OUT)
        return;
    xha_wait_progress(d, job, step_name, done, total);
    if (d->peers)
        xha_peers_tell_progress(d->peers, job, step_name, done, total, pace);
}

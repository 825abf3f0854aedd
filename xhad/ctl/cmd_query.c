/*
 * cmd_query.c - commands that only tell: list, info, status, version, log, checkpoints.
 */
#include "config.h"
#include "xhad/ctl/cmd_cluster.h"
#include "xhad/base/uuid.h"
#include <string.h>
#include <time.h>

#define LOG_LINES_DEFAULT 20
#define LOG_LINES_MAX     10000

/* Milliseconds from then to now; null for never. */
static json_t *age(const struct xha_daemon *d, struct xha_time then)
{
    int64_t ms = xha_clock_now(&d->clock).ms - then.ms;

    return then.ms == 0 ? json_null() : json_integer(ms > 0 ? ms : 0);
}

json_t *xha_view_entry(const struct xha_daemon *d, const struct xha_view *v)
{
    char uuid[XHA_UUID_TEXT], why[256];
    json_t *entry = json_pack(
        "{s:s, s:s, s:i, s:s, s:s, s:s, s:i, s:I, s:I, s:b, s:s}", "name", v->name, "uuid",
        xha_uuid_format(&v->uuid, uuid), "domid", (int)v->domid, "state", xha_state_name(v->state), "purpose",
        xha_purpose_name(v->purpose), "protection", xha_protection_name(v->policy->protection), "restarts",
        (int)v->recoveries, "term", (json_int_t)v->term, "mem_kib", (json_int_t)v->policy->memory_kib, "held",
        v->held, "why", xha_cause_text(v->cause, v->cause_detail, why, sizeof why));

    json_object_set_new(entry, "since_ms", age(d, v->since));
    json_object_set_new(entry, "beat_age_ms", age(d, v->last_beat));
    json_object_set_new(entry, "checkpoint_age_ms", age(d, v->last_checkpoint));
    json_object_set_new(entry, "checkpointing", json_boolean(v->checkpointing));
    xha_repls_add(d, &v->uuid, entry);
    return entry;
}

void xha_cmd_list(const struct xha_call *call)
{
    json_t *list;

    if (call->d->peers) {
        xha_cmd_list_cluster(call);
        return;
    }
    list = json_array();
    for (uint32_t i = 0; i < xha_core_count(call->d->core); i++) {
        struct xha_view view;

        xha_core_view(call->d->core, i, &view);
        json_array_append_new(list, xha_view_entry(call->d, &view));
    }
    xha_call_ok(call, list);
}

/* ---- info ---- */

static json_t *policy_json(const struct xha_domain *dom)
{
    json_t *policy = json_object();

    for (size_t i = 0; i < xha_domain_params.n; i++) {
        const struct xha_param *p = &xha_domain_params.row[i];
        char value[XHA_PARAMS_VALUE_MAX], origin[XHA_PARAMS_VALUE_MAX];

        json_object_set_new(policy, p->name,
                            json_pack("{s:s, s:s}", "value",
                                      xha_param_text(p, &dom->spec, value, sizeof value), "origin",
                                      xha_param_origin_text(&xha_domain_params, p, &dom->spec.origin,
                                                            dom->source, origin, sizeof origin)));
    }
    return policy;
}

static json_t *sched_json(const struct xha_domain *dom)
{
    return json_pack("{s:I, s:I, s:s, s:s, s:b}", "weight", (json_int_t)dom->sched.weight, "cap",
                     (json_int_t)dom->sched.cap, "affinity", dom->sched.affinity, "pool", dom->sched.pool,
                     "by_command", dom->sched_set);
}

json_t *xha_info_json(const struct xha_daemon *d, const struct xha_domain *dom)
{
    char dir[XHA_JOB_PATH_MAX], uuid[XHA_UUID_TEXT];
    struct xha_cluster_domain state;
    struct xha_view view;
    json_t *info;

    if (xha_core_find(d->core, &dom->uuid, &view) != 0)
        return NULL;
    if (d->peers && xha_cluster_find(xha_peers_state(d->peers), &dom->uuid, &state) == 0)
        info = xha_state_entry(d, &state);
    else
        info = xha_view_entry(d, &view);
    xha_domains_path(&d->domains, &dom->uuid, "", dir, sizeof dir);
    json_object_set_new(info, "failure", json_string(xha_failure_name(view.failure)));
    json_object_set_new(info, "next_try_in_ms",
                        view.next_try.ms ? json_integer(view.next_try.ms - xha_clock_now(&d->clock).ms)
                                         : json_null());
    json_object_set_new(info, "policy_file", json_string(dom->source));
    json_object_set_new(info, "stored_in", json_string(dir));
    snprintf(dir, sizeof dir, "%.900s/%s", d->conf.checkpoint_dir, xha_uuid_format(&dom->uuid, uuid));
    json_object_set_new(info, "checkpoint_dir", json_string(dir));
    json_object_set(info, "facts", dom->facts);
    json_object_set_new(info, "sched", sched_json(dom));
    json_object_set_new(info, "policy", policy_json(dom));
    return info;
}

/* What the state alone says: its owner's xhad does not answer, or it has no owner. */
static void info_of_state(struct xha_daemon *d, uint64_t client, const struct xha_uuid *uuid,
                          json_int_t lines)
{
    const struct xha_domain *dom = xha_domains_find(&d->domains, uuid);
    struct xha_cluster_domain state;
    json_t *info;

    (void)lines;
    if (!dom || xha_cluster_find(xha_peers_state(d->peers), uuid, &state) != 0) {
        xha_control_error(d->control, client, "no-such-domain", "the domain is no longer protected", NULL);
        return;
    }
    info = xha_state_entry(d, &state);
    json_object_set_new(info, "policy_file", json_string(dom->source));
    json_object_set(info, "facts", dom->facts);
    json_object_set_new(info, "policy", policy_json(dom));
    xha_control_ok(d->control, client, info);
}

void xha_cmd_info(const struct xha_call *call)
{
    struct xha_domain *dom = xha_call_domain(call);
    unsigned host;
    json_t *info;

    if (!dom)
        return;
    if (xha_call_elsewhere(call->d, &dom->uuid, &host)) {
        xha_peers_ask(call->d->peers, call->client, host, "info", &dom->uuid, 0, info_of_state);
        return;
    }
    info = xha_info_json(call->d, dom);
    if (info)
        xha_call_ok(call, info);
    else if (call->d->peers)
        info_of_state(call->d, call->client, &dom->uuid, 0);
    else
        xha_call_error(call, "no-such-domain", "the domain is known but not protected",
                       "see the alarms in xl-ha log");
}

/* ---- the host ---- */

void xha_cmd_status(const struct xha_call *call)
{
    const struct xha_daemon *d = call->d;
    struct xha_host_view host;
    char line[200], cluster[400];
    json_t *status;

    xha_core_host(d->core, d->peers ? d->peers->self : 0, &host);
    xha_daemon_status_line(d, line, sizeof line);
    status =
        json_pack("{s:s, s:I, s:i, s:s, s:s, s:b, s:b, s:i, s:i, s:i, s:i, s:I, s:o, s:b, s:s, s:s}", "text",
                  line, "pid", (json_int_t)getpid(), "domains", (int)xha_core_count(d->core), "xen",
                  xha_observer_version(d->observer), "scheduler", xha_observer_scheduler(d->observer), "ill",
                  host.ill, "maintenance", host.maintenance, "beating", (int)host.beating, "late",
                  (int)host.late, "queued", (int)host.queued, "under_way", (int)host.under_way, "workers",
                  (json_int_t)xha_jobs_count(d->jobs), "round_age_ms", age(d, host.last_round), "journal_ok",
                  !d->journal_fails, "state_dir", d->conf.state_dir, "conf", d->conf_path);
    if (d->peers) {
        xha_cluster_line(d->peers, cluster, sizeof cluster);
        json_object_set_new(status, "cluster", json_string(cluster));
    }
    xha_call_ok(call, status);
}

void xha_cmd_version(const struct xha_call *call)
{
    xha_call_ok(call, json_pack("{s:s, s:i, s:s}", "version", PACKAGE_VERSION, "protocol",
                                XHA_REQUEST_VERSION, "xen", xha_observer_version(call->d->observer)));
}

/* ---- log ---- */

void xha_cmd_log(const struct xha_call *call)
{
    const struct xha_domain *dom = NULL;
    json_int_t lines = LOG_LINES_DEFAULT;
    bool follow = false;
    char uuid[XHA_UUID_TEXT] = "";
    json_t *tail, *entry;
    size_t i;

    if (json_object_get(call->request->args, "domain")) {
        dom = xha_call_domain(call);
        if (!dom)
            return;
        xha_uuid_format(&dom->uuid, uuid);
    }
    if (!xha_request_int(call->request, "lines", 0, LOG_LINES_MAX, &lines)) {
        xha_call_bad_arg(call, "lines", "a whole number of 0 to 10000");
        return;
    }
    if (!xha_request_bool(call->request, "follow", &follow)) {
        xha_call_bad_arg(call, "follow", "true or false");
        return;
    }
    if (call->d->peers && lines && !follow) {
        xha_peers_log(call->d->peers, call->client, dom ? &dom->uuid : NULL, (size_t)lines);
        return;
    }
    tail = lines ? xha_history_tail(call->d->history, dom ? &dom->uuid : NULL, (size_t)lines) : json_array();
    if (!follow) {
        xha_call_ok(call, tail);
        return;
    }
    json_array_foreach(tail, i, entry)
        xha_control_tell(call->d->control, call->client, json_pack("{s:O}", "event", entry));
    json_decref(tail);
    xha_control_follow(call->d->control, call->client, uuid);
}

/* ---- checkpoints ---- */

struct asked {
    struct xha_daemon *d;
    uint64_t client;
};

/* What people ask for, in their words; all that the helper said stays in it. */
static void translate(json_t *checkpoint)
{
    time_t seconds = (time_t)(json_integer_value(json_object_get(checkpoint, "time_ms")) / 1000);
    json_t *bytes = json_object_get(checkpoint, "bytes"), *compress = json_object_get(checkpoint, "compress");
    struct tm tm;
    char when[40];

    gmtime_r(&seconds, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (seconds > 0)
        json_object_set_new(checkpoint, "time", json_string(when));
    if (bytes)
        json_object_set(checkpoint, "size", bytes);
    if (compress)
        json_object_set(checkpoint, "compressed", compress);
}

static void on_checkpoints(void *user, const struct xha_job *job, const struct xha_job_done *done)
{
    struct asked *asked = user;
    json_t *checkpoint;
    size_t i;

    (void)job;
    json_array_foreach(done->data, i, checkpoint) translate(checkpoint);
    if (done->result == XHA_OK)
        xha_control_ok(asked->d->control, asked->client, done->data ? json_incref(done->data) : json_array());
    else
        xha_control_error(asked->d->control, asked->client,
                          done->result == XHA_REFUSED ? "refused" : "unknown", done->message, NULL);
    free(asked);
}

static void on_checkpoints_elsewhere(void *user, struct xha_daemon *d, const char *host, json_t *result,
                                     const char *text)
{
    struct asked *asked = user;
    char message[XHA_JOB_MESSAGE_MAX + 100];
    json_t *checkpoint;
    size_t i;

    (void)d;
    json_array_foreach(result, i, checkpoint)
    {
        translate(checkpoint);
        json_object_set_new(checkpoint, "at", json_string(host));
    }
    snprintf(message, sizeof message, "host %.80s, which has the domain: %.500s", host, text);
    if (json_is_array(result))
        xha_control_ok(asked->d->control, asked->client, json_incref(result));
    else
        xha_control_error(asked->d->control, asked->client, "unreachable", message,
                          "its checkpoints lie on that host");
    free(asked);
}

void xha_cmd_checkpoints(const struct xha_call *call)
{
    struct xha_domain *dom = xha_call_domain(call);
    struct asked *asked;
    struct xha_job job;
    unsigned host;

    if (!dom)
        return;
    asked = malloc(sizeof *asked);
    if (!asked) {
        xha_call_error(call, "no-memory", "no memory", NULL);
        return;
    }
    *asked = (struct asked){ .d = call->d, .client = call->client };
    xha_step_job(call->d, dom, &job);
    job.verb = XHA_VERB_CHECKPOINTS;
    job.deadline_ms = XHA_LIST_MS;
    if (xha_call_elsewhere(call->d, &dom->uuid, &host))
        xha_peers_ask_worker(call->d->peers, host, &job, on_checkpoints_elsewhere, asked);
    else
        xha_jobs_start(call->d->jobs, &job, on_checkpoints, asked);
}

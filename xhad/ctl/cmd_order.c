/*
 * cmd_order.c - commands that want something done with a domain.
 *
 * An order is answered when it is accepted; with "wait" when it is done or has failed (wait.c); with
 * "dry_run" by what the core would say to it.
 */
#include "xhad/ctl/cmd_cluster.h"
#include "xhad/base/uuid.h"
#include <string.h>

struct order {
    struct xha_daemon *d;
    uint64_t client;
    struct xha_domain *dom;
    enum xha_order_type type;
    uint64_t checkpoint;
    bool dry_run, wait;
};

static void accepted(const struct order *o, uint64_t term)
{
    bool waits = o->type != XHA_DO_MAINTENANCE_ON && o->type != XHA_DO_MAINTENANCE_OFF;

    if (o->wait && waits)
        xha_wait_add(o->d, o->client, &o->dom->uuid, o->type, term);
    else
        xha_control_ok(o->d->control, o->client,
                       json_pack("{s:s, s:s}", "domain", o->dom->name, "accepted", xha_do_name(o->type)));
}

static struct xha_event event_of(const struct order *o)
{
    struct xha_event ev = { .type = XHA_EV_ORDER, .uuid = o->dom->uuid, .now = xha_clock_now(&o->d->clock) };

    ev.u.order.type = o->type;
    ev.u.order.checkpoint = o->checkpoint;
    return ev;
}

/* Whether the core would take it, and how the domain is now; false after answering with an error. In a cluster
 * the owner says so. */
static bool may(const struct order *o, struct xha_view *view_r)
{
    struct xha_event ev = event_of(o);
    int rc = xha_core_find(o->d->core, &o->dom->uuid, view_r);

    if (o->d->peers)
        return true;
    if (rc)
        view_r->state = XHA_ST_N_;
    else
        rc = xha_core_may(o->d->core, &ev);
    if (rc)
        xha_cmd_core_error(o->d, o->client, rc, o->dom->name, xha_state_name(view_r->state));
    return rc == 0;
}

static void carry_out(const struct order *o)
{
    struct xha_event ev = event_of(o);
    struct xha_view view;
    char text[200];
    int rc;

    if (o->d->peers) {
        xha_call_order(o->d, o->client, o->dom, o->type, o->checkpoint, o->dry_run, o->wait);
        return;
    }
    if (!may(o, &view))
        return;
    if (o->dry_run) {
        snprintf(text, sizeof text, "would %s %s, which is %s", xha_do_name(o->type), o->dom->name,
                 xha_state_name(view.state));
        xha_control_ok(o->d->control, o->client,
                       json_pack("{s:s, s:s, s:s}", "domain", o->dom->name, "would", xha_do_name(o->type),
                                 "text", text));
        return;
    }
    xha_log(XHA_LOG_INFO, "order of an operator", XHA_S("domain", o->dom->name),
            XHA_S("order", xha_do_name(o->type)));
    rc = xha_step(o->d, &ev);
    if (rc)
        xha_cmd_core_error(o->d, o->client, rc, o->dom->name, xha_state_name(view.state));
    else
        accepted(o, view.term);
}

/* .dom is NULL after answering with an error. */
static struct order order_of(const struct xha_call *call, enum xha_order_type type)
{
    return (struct order){
        .d = call->d,
        .client = call->client,
        .dom = xha_call_domain(call),
        .type = type,
        .dry_run = call->request->dry_run,
        .wait = call->request->wait,
    };
}

static void order(const struct xha_call *call, enum xha_order_type type)
{
    struct order o = order_of(call, type);

    if (o.dom)
        carry_out(&o);
}

void xha_cmd_start(const struct xha_call *call)
{
    order(call, XHA_DO_START);
}

void xha_cmd_stop(const struct xha_call *call)
{
    order(call, XHA_DO_STOP);
}

void xha_cmd_restart(const struct xha_call *call)
{
    order(call, XHA_DO_RESTART);
}

void xha_cmd_checkpoint(const struct xha_call *call)
{
    order(call, XHA_DO_CHECKPOINT);
}

/* ---- restore ---- */

/*
 * What runs is only cleared away for a checkpoint that is there and good: the helper is asked before the
 * order. A file of xl's is first made a checkpoint.
 */
struct restore {
    struct order order;
    struct xha_uuid uuid; /* the domain may be unprotected while the helper looks */
};

static void restore_answer(struct restore *r, const char *code, const char *message, const char *hint)
{
    xha_control_error(r->order.d->control, r->order.client, code, message, hint);
    free(r);
}

static void restore_go(struct restore *r)
{
    r->order.dom = xha_domains_find(&r->order.d->domains, &r->uuid);
    if (!r->order.dom) {
        restore_answer(r, "gone", "the domain is no longer protected", NULL);
        return;
    }
    carry_out(&r->order);
    free(r);
}

static void on_imported(void *user, const struct xha_job *job, const struct xha_job_done *done)
{
    struct restore *r = user;

    (void)job;
    r->order.checkpoint = (uint64_t)json_integer_value(json_object_get(done->data, "number"));
    if (done->result != XHA_OK)
        restore_answer(r, done->result == XHA_REFUSED ? "refused" : "unknown", done->message,
                       "nothing was changed");
    else if (r->order.checkpoint == 0)
        restore_answer(r, "helper", "the helper's answer is incomplete", NULL);
    else
        restore_go(r);
}

static void on_imported_elsewhere(void *user, struct xha_daemon *d, const char *host, json_t *result,
                                  const char *text)
{
    struct restore *r = user;
    char message[XHA_JOB_MESSAGE_MAX + 200], hint[300];

    (void)d;
    r->order.checkpoint = (uint64_t)json_integer_value(json_object_get(result, "number"));
    if (r->order.checkpoint) {
        restore_go(r);
        return;
    }
    snprintf(message, sizeof message, "host %.80s, which has the domain: %.500s", host,
             result ? "the helper's answer is incomplete" : text);
    snprintf(hint, sizeof hint,
             "nothing was changed; the file must be where host %.80s sees it under this name: copy it there, "
             "and give "
             "the command again, here or there",
             host);
    restore_answer(r, "elsewhere", message, hint);
}

static bool is_good(const json_t *list, uint64_t number)
{
    const json_t *c;
    size_t i;

    json_array_foreach(list, i, c) if (json_is_true(json_object_get(c, "good")) &&
                                       (number == 0 || (uint64_t)json_integer_value(json_object_get(
                                                           c, "number")) == number)) return true;
    return false;
}

static void on_listed(void *user, const struct xha_job *job, const struct xha_job_done *done)
{
    struct restore *r = user;

    (void)job;
    if (done->result != XHA_OK)
        restore_answer(r, done->result == XHA_REFUSED ? "refused" : "unknown", done->message,
                       "nothing was changed");
    else if (!is_good(done->data, r->order.checkpoint))
        restore_answer(r, "no-checkpoint",
                       r->order.checkpoint ? "there is no good checkpoint of that number"
                                           : "there is no good checkpoint",
                       "nothing was changed; xl-ha checkpoints DOMAIN lists them");
    else
        restore_go(r);
}

static bool restore_args(const struct xha_call *call, json_int_t *number, char *file, size_t len)
{
    if (!xha_request_int(call->request, "number", 0, INT64_MAX, number)) {
        xha_call_bad_arg(call, "number", "the number of a checkpoint, or 0 for the newest good one");
        return false;
    }
    if (!xha_request_text(call->request, "file", file, len) || (file[0] && file[0] != '/')) {
        xha_call_bad_arg(call, "file", "the absolute path of a saved domain");
        return false;
    }
    return true;
}

void xha_cmd_restore(const struct xha_call *call)
{
    struct order o = order_of(call, XHA_DO_RESTORE);
    char file[XHA_JOB_PATH_MAX] = "";
    json_int_t number = 0;
    struct xha_view view;
    struct restore *r;
    struct xha_job job;
    unsigned host;
    bool elsewhere;

    if (!o.dom || !restore_args(call, &number, file, sizeof file) || !may(&o, &view))
        return;
    o.checkpoint = (uint64_t)number;
    r = calloc(1, sizeof *r);
    if (!r) {
        xha_call_error(call, "no-memory", "no memory", NULL);
        return;
    }
    r->order = o;
    r->uuid = o.dom->uuid;
    elsewhere = xha_call_elsewhere(o.d, &o.dom->uuid, &host);
    if ((file[0] && o.dry_run) || (!file[0] && elsewhere)) {
        restore_go(r); /* another host's checkpoints are that host's to judge */
        return;
    }
    xha_step_job(o.d, o.dom, &job);
    job.verb = file[0] ? XHA_VERB_IMPORT : XHA_VERB_CHECKPOINTS;
    job.deadline_ms = file[0] ? XHA_IMPORT_MS : XHA_LIST_MS;
    memcpy(job.checkpoint.file, file, sizeof job.checkpoint.file);
    if (elsewhere)
        xha_peers_ask_worker(o.d->peers, host, &job, on_imported_elsewhere, r);
    else
        xha_jobs_start(o.d->jobs, &job, file[0] ? on_imported : on_listed, r);
}

/* ---- sched ---- */

/* What the call changes of what holds; false after answering with an error. */
static bool take_sched(const struct xha_call *call, struct xha_job_sched *s, bool *any_r)
{
    const struct xha_control_request *r = call->request;
    json_int_t weight = s->weight, cap = s->cap;

    if (!xha_request_int(r, "weight", 1, 65535, &weight)) {
        xha_call_bad_arg(call, "weight", "a whole number of 1 to 65535");
        return false;
    }
    if (!xha_request_int(r, "cap", 0, 65535, &cap)) {
        xha_call_bad_arg(call, "cap", "percent of one CPU, 0 for none");
        return false;
    }
    if (!xha_request_text(r, "affinity", s->affinity, sizeof s->affinity)) {
        xha_call_bad_arg(call, "affinity", "\"all\" or a list of CPUs");
        return false;
    }
    if (!xha_request_text(r, "pool", s->pool, sizeof s->pool)) {
        xha_call_bad_arg(call, "pool", "the name of a CPU pool");
        return false;
    }
    s->weight = (uint32_t)weight;
    s->cap = (uint32_t)cap;
    *any_r = json_object_get(r->args, "weight") || json_object_get(r->args, "cap") ||
             json_object_get(r->args, "affinity") || json_object_get(r->args, "pool");
    return true;
}

static void show_sched(const struct xha_call *call, const struct xha_domain *dom)
{
    xha_call_ok(call, json_pack("{s:s, s:I, s:I, s:s, s:s, s:s}", "domain", dom->name, "weight",
                                (json_int_t)dom->sched.weight, "cap", (json_int_t)dom->sched.cap, "affinity",
                                dom->sched.affinity, "pool", dom->sched.pool, "from",
                                dom->sched_set ? "command" : "policy"));
}

void xha_cmd_sched(const struct xha_call *call)
{
    struct xha_domain *dom = xha_call_domain(call);
    struct xha_event ev = { .type = XHA_EV_ORDER };
    struct xha_job_sched sched, before;
    bool any, set_before;
    char err[XHA_JOB_PATH_MAX + 200];

    if (!dom)
        return;
    sched = before = dom->sched;
    set_before = dom->sched_set;
    if (!take_sched(call, &sched, &any))
        return;
    if (!any || call->request->dry_run) {
        if (any)
            xha_call_ok(call, json_pack("{s:s, s:s}", "domain", dom->name, "text",
                                        "would change weight, cap, affinity or pool"));
        else
            show_sched(call, dom);
        return;
    }
    dom->sched = sched;
    dom->sched_set = true;
    if (xha_domains_store_facts(&call->d->domains, dom, err, sizeof err) < 0) {
        dom->sched = before;
        dom->sched_set = set_before;
        xha_call_error(call, "disk", err, "nothing was changed; make room and try again");
        return;
    }
    ev.uuid = dom->uuid;
    ev.now = xha_clock_now(&call->d->clock);
    ev.u.order.type = XHA_DO_SCHED;
    if (call->d->peers) {
        xha_peers_sched(call->d->peers, call->client, dom, call->request->wait);
        return;
    }
    /* Where it does not run now the values hold from its next start on. */
    if (xha_core_may(call->d->core, &ev) != 0)
        show_sched(call, dom);
    else if (xha_step(call->d, &ev) == 0)
        accepted(&(struct order){ .d = call->d,
                                  .client = call->client,
                                  .dom = dom,
                                  .type = XHA_DO_SCHED,
                                  .wait = call->request->wait },
                 0);
    else
        show_sched(call, dom);
}

/* ---- maintenance ---- */

void xha_cmd_maintenance(const struct xha_call *call)
{
    struct xha_event ev = { .type = XHA_EV_ORDER };
    bool on = false;
    int rc;

    if (!json_is_boolean(json_object_get(call->request->args, "on"))) {
        xha_call_bad_arg(call, "on", "true or false");
        return;
    }
    xha_request_bool(call->request, "on", &on);
    if (json_object_get(call->request->args, "domain")) {
        order(call, on ? XHA_DO_MAINTENANCE_ON : XHA_DO_MAINTENANCE_OFF);
        return;
    }
    if (call->d->peers) {
        xha_cmd_host_maintenance(call, on);
        return;
    }
    ev.u.order.type = on ? XHA_DO_MAINTENANCE_ON : XHA_DO_MAINTENANCE_OFF;
    ev.now = xha_clock_now(&call->d->clock);
    rc = call->request->dry_run ? xha_core_may(call->d->core, &ev) : xha_step(call->d, &ev);
    if (rc)
        xha_cmd_core_error(call->d, call->client, rc, "this host", "?");
    else
        xha_call_ok(call, json_pack("{s:s, s:b}", call->request->dry_run ? "would" : "accepted",
                                    xha_do_name(ev.u.order.type), "host", 1));
}

/*
 * intake.c - from a policy file to a domain that can be protected, by asking the helper step by step.
 *
 *   config = "g1.cfg":  PARSE the file; DESCRIBE: does a domain of this name run?
 *   domain = "g1":      DESCRIBE it
 *
 * An xl.cfg need not name a UUID; each parse then makes one up. So when the domain runs, or was protected
 * before, under another UUID than the first parse gave, a second parse tells which case it is: made up again,
 * then the known UUID holds; the same again, then the file names it, and there are two domains of one name.
 * At last MONITOR: stock xl's process would fight with us over a running domain.
 */
#include "xhad/ctl/peers.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include "xhad/base/uuid.h"
#include <string.h>

#define ASK_MS 60000 /* deadline of each question */

struct xha_intake {
    struct xha_intake *next;
    struct xha_daemon *d;
    struct xha_domain *dom;
    bool take_over, runs;
    struct xha_uuid first;   /* what the first parse said */
    struct xha_uuid running; /* of the domain that runs under this name */
    json_t *running_data;
    xha_protect_cb *done;
    void *user;
};

/* ---- the end ---- */

static void finish(struct xha_intake *in, const char *code, const char *message, const char *hint)
{
    struct xha_intake **p = &in->d->intakes;
    char name[XHA_NAME_MAX] = "";

    while (*p != in)
        p = &(*p)->next;
    *p = in->next;
    if (in->dom) {
        memcpy(name, in->dom->name, sizeof name);
        xha_domain_free(in->dom);
    }
    in->done(in->user, in->d, name[0] ? name : NULL, code, message, hint);
    json_decref(in->running_data);
    free(in);
}

static void commit(struct xha_intake *in)
{
    struct xha_intake **p = &in->d->intakes;
    struct xha_domain *dom = in->dom;
    char name[XHA_NAME_MAX], text[XHA_JOB_PATH_MAX + 200];
    const char *code;
    int r;

    memcpy(name, dom->name, sizeof name);
    in->dom = NULL;
    if (in->d->peers) {
        while (*p != in)
            p = &(*p)->next;
        *p = in->next;
        xha_peers_protect(in->d->peers, dom, in->runs, in->done, in->user);
        json_decref(in->running_data);
        free(in);
        return;
    }
    r = xha_protect_commit(in->d, dom, &code, text, sizeof text);
    while (*p != in)
        p = &(*p)->next;
    *p = in->next;
    in->done(in->user, in->d, name, r < 0 ? code : NULL, r < 0 ? text : NULL, NULL);
    json_decref(in->running_data);
    free(in);
}

static void ask(struct xha_intake *in, enum xha_verb verb, xha_jobs_done_cb *next, const struct xha_uuid *pin)
{
    struct xha_job job = { .verb = verb, .domid = XHA_DOMID_NONE, .deadline_ms = ASK_MS };

    if (pin)
        job.uuid = *pin;
    if (verb == XHA_VERB_PARSE)
        snprintf(job.xlcfg, sizeof job.xlcfg, "%s", in->dom->spec.config);
    memcpy(job.name, in->dom->name, sizeof job.name);
    job.take_over = verb == XHA_VERB_MONITOR && in->take_over;
    xha_jobs_start(in->d->jobs, &job, next, in);
}

/* A helper's answer to PARSE or DESCRIBE, into the domain. false: it is not as it should be. */
static bool take_data(struct xha_domain *dom, json_t *data)
{
    const char *name = json_string_value(json_object_get(data, "name"));
    const char *uuid = json_string_value(json_object_get(data, "uuid"));
    json_t *config = json_object_get(data, "config_json");
    json_int_t memory = json_integer_value(json_object_get(data, "memory_kib"));

    if (!name || !name[0] || strlen(name) >= sizeof dom->name || !uuid || !xha_uuid_parse(uuid, &dom->uuid) ||
        xha_uuid_is_nil(&dom->uuid) || !json_is_object(config) || memory <= 0)
        return false;
    strcpy(dom->name, name);
    json_decref(dom->config);
    dom->config = json_incref(config);
    json_decref(dom->facts);
    dom->facts =
        json_pack("{s:I, s:O?, s:O?, s:O?}", "memory_kib", memory, "type", json_object_get(data, "type"),
                  "vcpus", json_object_get(data, "vcpus"), "disks", json_object_get(data, "disks"));
    dom->spec.policy.memory_kib = (uint64_t)memory;
    return true;
}

static void fail_job(struct xha_intake *in, const struct xha_job_done *done)
{
    finish(in, done->result == XHA_REFUSED ? "refused" : "unknown", done->message,
           "the helper said this; its log lines are in xhad's log");
}

/* ---- the monitor of stock xl ---- */

static void on_monitor(void *user, const struct xha_job *job, const struct xha_job_done *done)
{
    struct xha_intake *in = user;
    json_int_t pid = json_integer_value(json_object_get(done->data, "pid"));
    char text[300];

    (void)job;
    if (done->result != XHA_OK) {
        fail_job(in, done);
        return;
    }
    if (pid > 0 && !in->take_over) {
        snprintf(text, sizeof text,
                 "xl's own monitor (pid %lld) watches %s and would restart it besides xhad", (long long)pid,
                 in->dom->name);
        finish(in, "monitored", text,
               "protect it with take-over, which ends that process; the domain runs on");
        return;
    }
    commit(in);
}

static void ask_monitor(struct xha_intake *in)
{
    if (in->runs && in->dom->spec.policy.protection != XHA_PROT_MONITOR)
        ask(in, XHA_VERB_MONITOR, on_monitor, &in->dom->uuid);
    else
        commit(in);
}

/* ---- which UUID ---- */

/* The UUID under which we know this policy or this name already; NULL: we do not. */
static const struct xha_uuid *known(const struct xha_intake *in)
{
    const struct xha_domain *dom = xha_domains_find_source(&in->d->domains, in->dom->source);

    if (!dom)
        dom = xha_domains_find_name(&in->d->domains, in->dom->name);
    return dom ? &dom->uuid : NULL;
}

static void on_pinned(void *user, const struct xha_job *job, const struct xha_job_done *done)
{
    struct xha_intake *in = user;

    (void)job;
    if (done->result != XHA_OK)
        fail_job(in, done);
    else if (!take_data(in->dom, done->data))
        finish(in, "helper", "the helper's answer is incomplete", NULL);
    else
        ask_monitor(in);
}

static void on_second_parse(void *user, const struct xha_job *job, const struct xha_job_done *done)
{
    struct xha_intake *in = user;
    const struct xha_uuid *uuid = known(in);
    char text[400];

    (void)job;
    if (done->result != XHA_OK) {
        fail_job(in, done);
        return;
    }
    if (!take_data(in->dom, done->data)) {
        finish(in, "helper", "the helper's answer is incomplete", NULL);
        return;
    }
    if (xha_uuid_equal(&in->dom->uuid, &in->first)) {
        snprintf(text, sizeof text, "%.200s names a UUID, but a domain %s with another one %s",
                 in->dom->spec.config, in->dom->name, in->runs ? "runs" : "is protected");
        finish(in, "duplicate", text,
               in->runs ? "end that domain, or correct the file" : "unprotect that one first");
        return;
    }
    if (in->runs) {
        /* As it runs it is best known: with the MACs and the UUID that xl made up for it. */
        if (!take_data(in->dom, in->running_data))
            finish(in, "helper", "the helper's answer is incomplete", NULL);
        else
            ask_monitor(in);
        return;
    }
    ask(in, XHA_VERB_PARSE, on_pinned, uuid);
}

static void on_described(void *user, const struct xha_job *job, const struct xha_job_done *done)
{
    struct xha_intake *in = user;
    const char *text = json_string_value(json_object_get(done->data, "uuid"));
    const struct xha_uuid *uuid;

    (void)job;
    if (done->result == XHA_UNKNOWN) {
        fail_job(in, done);
        return;
    }
    in->runs = done->result == XHA_OK && text && xha_uuid_parse(text, &in->running);
    in->running_data = json_incref(done->data);
    uuid = in->runs ? &in->running : known(in);
    if (uuid && !xha_uuid_equal(uuid, &in->dom->uuid))
        ask(in, XHA_VERB_PARSE, on_second_parse, NULL);
    else
        ask_monitor(in);
}

static void on_parsed(void *user, const struct xha_job *job, const struct xha_job_done *done)
{
    struct xha_intake *in = user;

    (void)job;
    if (done->result != XHA_OK) {
        fail_job(in, done);
        return;
    }
    if (!take_data(in->dom, done->data)) {
        finish(in, "helper", "the helper's answer is incomplete", NULL);
        return;
    }
    in->first = in->dom->uuid;
    ask(in, XHA_VERB_DESCRIBE, on_described, NULL);
}

/* ---- domain = "name" ---- */

/* A policy may change while its domain does not run: the configuration is the one that was kept. */
static bool take_kept(struct xha_intake *in, const struct xha_domain *kept)
{
    char path[XHA_JOB_PATH_MAX];
    XHA_CLEANUP_FREE char *text = NULL;
    size_t len;

    xha_domains_path(&in->d->domains, &kept->uuid, "/config.json", path, sizeof path);
    if (xha_file_read(path, XHA_JOB_BYTES_MAX, &text, &len) < 0)
        return false;
    in->dom->config = json_loadb(text, len, 0, NULL);
    in->dom->facts = json_incref(kept->facts);
    in->dom->uuid = kept->uuid;
    memcpy(in->dom->name, kept->name, sizeof kept->name);
    in->dom->spec.policy.memory_kib = kept->spec.policy.memory_kib;
    return in->dom->config != NULL;
}

static void on_found(void *user, const struct xha_job *job, const struct xha_job_done *done)
{
    struct xha_intake *in = user;
    const struct xha_domain *kept = xha_domains_find_name(&in->d->domains, in->dom->name);

    (void)job;
    if (done->result == XHA_REFUSED && kept && take_kept(in, kept)) {
        ask_monitor(in);
        return;
    }
    if (done->result != XHA_OK) {
        fail_job(in, done);
        return;
    }
    if (!take_data(in->dom, done->data)) {
        finish(in, "helper", "the helper's answer is incomplete", NULL);
        return;
    }
    in->runs = true;
    ask_monitor(in);
}

/* ---- the beginning ---- */

static int read_policy(struct xha_intake *in, const char *path, struct xha_problems *problems)
{
    struct xha_domain *dom = in->dom;
    size_t len;
    int rc = xha_params_slurp(path, &dom->policy_text, &len, problems);

    if (rc == XHA_CONF_OK)
        rc = xha_domain_spec_parse(path, dom->policy_text, len, &dom->spec, problems);
    if (rc == XHA_CONF_OK)
        rc = xha_domain_spec_check(&dom->spec, &in->d->conf, problems);
    if (rc == XHA_CONF_OK) {
        snprintf(dom->source, sizeof dom->source, "%s", path);
        xha_domain_sched_of_policy(dom);
    }
    return rc;
}

void xha_protect_file(struct xha_daemon *d, const char *path, bool take_over, xha_protect_cb *done,
                      void *user)
{
    struct xha_intake *in = calloc(1, sizeof *in);
    struct xha_problems problems = { 0 };

    if (in)
        in->dom = calloc(1, sizeof *in->dom);
    if (!in || !in->dom) {
        free(in);
        done(user, d, NULL, "no-memory", "no memory", NULL);
        return;
    }
    in->d = d;
    in->take_over = take_over;
    in->done = done;
    in->user = user;
    in->next = d->intakes;
    d->intakes = in;
    if (read_policy(in, path, &problems) != XHA_CONF_OK) {
        finish(in, "bad-policy", problems.n ? problems.text[0] : "no memory",
               problems.n > 1 ? "there is more: xhad -n, or xl-ha check-config, shows all" : NULL);
    } else if (in->dom->spec.config[0]) {
        ask(in, XHA_VERB_PARSE, on_parsed, NULL);
    } else {
        snprintf(in->dom->name, sizeof in->dom->name, "%s", in->dom->spec.domain);
        ask(in, XHA_VERB_DESCRIBE, on_found, NULL);
    }
    xha_problems_clear(&problems);
}

void xha_protect_close(struct xha_daemon *d)
{
    while (d->intakes)
        finish(d->intakes, "stopping", "xhad is being stopped", "try again");
}

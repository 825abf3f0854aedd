/*
 * peers_ask.c - questions to another host's xhad, of a domain that it has: as JSON over the ring.
 *
 *   'Q' {to, id, cmd, uuid, lines}   what the command `cmd` would answer there: log, why, info, repl
 *   'Q' {to, id, cmd, uuid, file}    what a worker finds there: checkpoints; import of the file, as that host sees it
 *   'A' {to, id, result}             the answer; or {to, id, text}: why there is none
 */
#include "xhad/ctl/cmd.h"
#include "xhad/ctl/peers.h"
#include "xhad/base/uuid.h"
#include <string.h>

#define QUESTION_MS     2000
#define WORKER_SLACK_MS 10000 /* beside the worker's own deadline */
#define LINES_MAX       2000  /* of a history that goes over the ring */

struct xha_peers_question {
    struct xha_peers_question *next;
    uint64_t id;
    int64_t until_ms;
    struct xha_uuid uuid;
    unsigned host;
    /* of what the client is told as it is */
    uint64_t client;
    json_int_t lines;
    xha_peers_fallback *fallback;
    /* or of a worker */
    xha_peers_worked_cb *worked;
    void *user;
};

/* ---- asking ---- */

static void ask(struct xha_peers *p, struct xha_peers_question *q, json_t *json)
{
    char uuid[XHA_UUID_TEXT];

    q->next = p->questions;
    q->id = ++p->number;
    p->questions = q;
    if (!json || !(p->members >> q->host & 1)) {
        json_decref(json);
        q->until_ms = 0;
        xha_peers_questions_check(p, false);
        return;
    }
    json_object_set_new(json, "to", json_integer(q->host));
    json_object_set_new(json, "id", json_integer((json_int_t)q->id));
    json_object_set_new(json, "uuid", json_string(xha_uuid_format(&q->uuid, uuid)));
    xha_peers_send_json(p, XHA_PEERS_QUESTION, json);
}

static struct xha_peers_question *question(unsigned host, const struct xha_uuid *uuid, int64_t patience_ms)
{
    struct xha_peers_question *q = calloc(1, sizeof *q);

    if (!q)
        abort();
    q->host = host;
    q->uuid = *uuid;
    q->until_ms = xha_clock_monotonic_ms() + patience_ms;
    return q;
}

void xha_peers_put_question(struct xha_peers *p, unsigned host, uint64_t id, const char *cmd,
                            const struct xha_uuid *uuid, json_int_t lines)
{
    char text[XHA_UUID_TEXT];

    xha_peers_send_json(p, XHA_PEERS_QUESTION,
                        json_pack("{s:i, s:I, s:s, s:s, s:I}", "to", (int)host, "id", (json_int_t)id, "cmd",
                                  cmd, "uuid", xha_uuid_format(uuid, text), "lines",
                                  lines < LINES_MAX ? lines : (json_int_t)LINES_MAX));
}

void xha_peers_ask(struct xha_peers *p, uint64_t client, unsigned host, const char *cmd,
                   const struct xha_uuid *uuid, json_int_t lines, xha_peers_fallback *fallback)
{
    struct xha_peers_question *q = question(host, uuid, QUESTION_MS);

    q->client = client;
    q->lines = lines;
    q->fallback = fallback;
    ask(p, q,
        json_pack("{s:s, s:I}", "cmd", cmd, "lines", lines < LINES_MAX ? lines : (json_int_t)LINES_MAX));
}

void xha_peers_ask_worker(struct xha_peers *p, unsigned host, const struct xha_job *job,
                          xha_peers_worked_cb *worked, void *user)
{
    struct xha_peers_question *q = question(host, &job->uuid, job->deadline_ms + WORKER_SLACK_MS);

    q->worked = worked;
    q->user = user;
    ask(p, q, json_pack("{s:s, s:s}", "cmd", xha_verb_name(job->verb), "file", job->checkpoint.file));
}

/* Takes it off, and ends it with an answer, or (NULL) without one. */
static void end(struct xha_peers *p, struct xha_peers_question **at, const json_t *answer)
{
    struct xha_peers_question *q = *at;
    json_t *result = json_object_get(answer, "result");
    const char *text = json_string_value(json_object_get(answer, "text"));
    char line[200], name[XHA_HOST_TEXT];

    *at = q->next;
    if (!q->worked && result) {
        xha_control_ok(p->d->control, q->client, json_incref(result));
    } else if (!q->worked) {
        q->fallback(p->d, q->client, &q->uuid, q->lines);
    } else {
        snprintf(line, sizeof line, "its xhad does not answer");
        q->worked(q->user, p->d, xha_peers_host(p, q->host, name), result, text ? text : line);
    }
    free(q);
}

void xha_peers_questions_check(struct xha_peers *p, bool all)
{
    int64_t now = xha_clock_monotonic_ms();
    struct xha_peers_question **at = &p->questions;

    while (*at) {
        if (all) {
            struct xha_peers_question *q = *at;

            *at = q->next;
            free(q->user); /* nobody is left to be told */
            free(q);
        } else if (now >= (*at)->until_ms || !(p->members >> (*at)->host & 1)) {
            end(p, at, NULL);
            at = &p->questions; /* it may have asked anew */
        } else {
            at = &(*at)->next;
        }
    }
}

void xha_peers_hear_answer(struct xha_peers *p, unsigned host, const json_t *json)
{
    json_int_t id = json_integer_value(json_object_get(json, "id"));
    json_t *result = json_object_get(json, "result");

    for (struct xha_peers_question **at = &p->questions; *at; at = &(*at)->next) {
        if ((*at)->id != (uint64_t)id || (*at)->host != host)
            continue;
        end(p, at, json);
        return;
    }
    if (json_is_array(result))
        xha_peers_log_answer(p, host, (uint64_t)id, result);
}

/* ---- answering ---- */

/* A worker is at it for another host. */
struct errand {
    struct xha_peers *p;
    unsigned host;
    json_int_t id;
};

static void on_errand_done(void *user, const struct xha_job *job, const struct xha_job_done *done)
{
    struct errand *e = user;
    json_t *answer = json_pack("{s:i, s:I}", "to", (int)e->host, "id", e->id);

    (void)job;
    if (done->result == XHA_OK && done->data)
        json_object_set(answer, "result", done->data);
    else
        json_object_set_new(answer, "text", json_string(done->message));
    xha_peers_send_json(e->p, XHA_PEERS_ANSWER, answer);
    free(e);
}

/* What a worker has to look up on this host. false: it is no such question. */
static bool run_errand(struct xha_peers *p, unsigned host, const json_t *json, const struct xha_uuid *uuid)
{
    enum xha_verb verb = xha_verb_parse(json_string_value(json_object_get(json, "cmd")));
    const char *file = json_string_value(json_object_get(json, "file"));
    const struct xha_domain *dom = xha_domains_find(&p->d->domains, uuid);
    struct errand *e;
    struct xha_job job;

    if ((verb != XHA_VERB_CHECKPOINTS && verb != XHA_VERB_IMPORT) || !dom || !file ||
        strlen(file) >= sizeof job.checkpoint.file || (verb == XHA_VERB_IMPORT && file[0] != '/'))
        return false;
    e = malloc(sizeof *e);
    if (!e)
        abort();
    *e = (struct errand){ .p = p, .host = host, .id = json_integer_value(json_object_get(json, "id")) };
    xha_step_job(p->d, dom, &job);
    job.verb = verb;
    job.deadline_ms = verb == XHA_VERB_IMPORT ? XHA_IMPORT_MS : XHA_LIST_MS;
    strcpy(job.checkpoint.file, file);
    xha_jobs_start(p->d->jobs, &job, on_errand_done, e);
    return true;
}

void xha_peers_hear_question(struct xha_peers *p, unsigned host, const json_t *json,
                             const struct xha_uuid *uuid)
{
    const char *cmd = json_string_value(json_object_get(json, "cmd"));
    json_int_t lines = json_integer_value(json_object_get(json, "lines"));
    json_t *result;

    if (!cmd || lines < 0 || lines > LINES_MAX || run_errand(p, host, json, uuid))
        return;
    result = xha_cmd_answer(p->d, cmd, uuid, lines);
    if (result)
        xha_peers_send_json(p, XHA_PEERS_ANSWER,
                            json_pack("{s:i, s:O, s:o}", "to", (int)host, "id", json_object_get(json, "id"),
                                      "result", result));
}

/*
 * peers_talk.c - what hosts' xhad tell and ask each other beside the cluster's state, as JSON over the ring.
 * Nothing rests on it: what is lost is a progress bar, or a history that is asked for once more.
 *
 *   'P' {uuid, verb, step, done, total, …}       a move's progress, at most twice a second
 *   'P' {uuid, verb, result, text}               the end of an order that another host gave
 *   'L' {uuid, limit}                            how fast the next move of a domain may be, bytes a second
 *
 * 'Q' and 'A', questions to one host and their answers: peers_ask.c.
 */
#include "xhad/ctl/peers.h"
#include "xhad/base/uuid.h"
#include <string.h>

#define PROGRESS_MS 500
#define INTERESTS   1024 /* domains; the oldest makes room */

/* ---- interest ---- */

struct xha_peers_interest *xha_peers_interest(struct xha_peers *p, const struct xha_uuid *uuid)
{
    struct xha_peers_interest *i;

    for (size_t n = 0; n < p->interests; n++)
        if (xha_uuid_equal(&p->interest[n].uuid, uuid))
            return &p->interest[n];
    if (!p->interest)
        p->interest = calloc(INTERESTS, sizeof *p->interest);
    if (!p->interest)
        abort();
    if (p->interests == INTERESTS) {
        memmove(p->interest, p->interest + 1, (INTERESTS - 1) * sizeof *p->interest);
        p->interests--;
    }
    i = &p->interest[p->interests++];
    *i = (struct xha_peers_interest){ .uuid = *uuid };
    return i;
}

/* ---- progress and ends ---- */

static json_t *progress_json(const struct xha_job *job, const char *step, uint64_t done, uint64_t total,
                             const struct xha_job_pace *pace)
{
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:I, s:I}", "domain", job->name, "verb", xha_verb_name(job->verb), "step",
                  step, "done", (json_int_t)done, "total", (json_int_t)total);

    if (json && pace) {
        json_object_set_new(json, "wire_bytes", json_integer((json_int_t)pace->wire_bytes));
        json_object_set_new(json, "bytes_per_s", json_integer((json_int_t)pace->bytes_per_s));
        json_object_set_new(json, "eta_ms", pace->eta_ms < 0 ? json_null() : json_integer(pace->eta_ms));
        json_object_set_new(json, "round", json_integer(pace->round));
    }
    return json;
}

static bool is_sending(enum xha_verb verb)
{
    return verb == XHA_VERB_MIGRATE || verb == XHA_VERB_SEND_DISKS || verb == XHA_VERB_REPLICATE_OUT;
}

static bool is_receiving(enum xha_verb verb)
{
    return verb == XHA_VERB_RECEIVE || verb == XHA_VERB_RECEIVE_DISKS || verb == XHA_VERB_REPLICATE_IN;
}

void xha_peers_tell_progress(struct xha_peers *p, const struct xha_job *job, const char *step, uint64_t done,
                             uint64_t total, const struct xha_job_pace *pace)
{
    struct xha_peers_interest *interest;
    int64_t now = xha_clock_monotonic_ms();
    char uuid[XHA_UUID_TEXT];
    json_t *json;

    if (is_receiving(job->verb))
        return;
    json = progress_json(job, step, done, total, pace);
    if (!json)
        return;
    xha_peers_wait_progress(p, &job->uuid, json);
    interest = xha_peers_interest(p, &job->uuid);
    if ((is_sending(job->verb) || interest->elsewhere) && now - interest->told_ms >= PROGRESS_MS) {
        interest->told_ms = now;
        json_object_set_new(json, "uuid", json_string(xha_uuid_format(&job->uuid, uuid)));
        xha_peers_send_json(p, XHA_PEERS_PROGRESS, json_incref(json));
    }
    json_decref(json);
}

void xha_peers_tell_done(struct xha_peers *p, const struct xha_job *job, const struct xha_job_done *done)
{
    struct xha_peers_interest *interest = xha_peers_interest(p, &job->uuid);
    char uuid[XHA_UUID_TEXT];

    xha_peers_wait_worker(p, &job->uuid, xha_verb_name(job->verb), done->result, done->message);
    if (!interest->elsewhere && (!is_sending(job->verb) || done->result == XHA_OK))
        return;
    if (job->verb == XHA_VERB_CHECKPOINT || job->verb == XHA_VERB_SCHED)
        interest->elsewhere = false;
    xha_peers_send_json(p, XHA_PEERS_PROGRESS,
                        json_pack("{s:s, s:s, s:i, s:s}", "uuid", xha_uuid_format(&job->uuid, uuid), "verb",
                                  xha_verb_name(job->verb), "result", done->result, "text", done->message));
}

static void hear_progress(struct xha_peers *p, json_t *json, const struct xha_uuid *uuid)
{
    const char *verb = json_string_value(json_object_get(json, "verb"));
    const char *text = json_string_value(json_object_get(json, "text"));
    json_t *result = json_object_get(json, "result");

    if (!verb)
        return;
    if (json_is_integer(result)) {
        json_int_t r = json_integer_value(result);

        if (r >= 0 && r < XHA_RESULT_N_)
            xha_peers_wait_worker(p, uuid, verb, (enum xha_result)r, text ? text : "");
        return;
    }
    json_object_del(json, "uuid");
    xha_peers_wait_progress(p, uuid, json);
}

/* ---- what is heard ---- */

void xha_peers_hear(struct xha_peers *p, unsigned host, enum xha_peers_kind kind, const char *bytes,
                    size_t len)
{
    json_t *json = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, NULL), *to = json_object_get(json, "to");
    const char *text = json_string_value(json_object_get(json, "uuid"));
    struct xha_uuid uuid;
    bool named = text && xha_uuid_parse(text, &uuid),
         ours = json_is_integer(to) && json_integer_value(to) == p->self;

    if (kind == XHA_PEERS_ANSWER && ours)
        xha_peers_hear_answer(p, host, json);
    else if (kind == XHA_PEERS_QUESTION && ours && named)
        xha_peers_hear_question(p, host, json, &uuid);
    else if (kind == XHA_PEERS_PROGRESS && named && host != p->self)
        hear_progress(p, json, &uuid);
    else if (kind == XHA_PEERS_LIMIT && named && json_integer_value(json_object_get(json, "limit")) >= 0)
        xha_peers_interest(p, &uuid)->limit_bps =
            (uint64_t)json_integer_value(json_object_get(json, "limit"));
    json_decref(json);
}

/*
 * story.c - `why DOMAIN`: where it stands, how that came about, what comes next.
 */
#include "xhad/ctl/cmd_cluster.h"
#include "xhad/base/uuid.h"
#include <string.h>

#define STORY_LINES 40

static const char *span_text(int64_t ms, char *buf, size_t len)
{
    if (ms < 0)
        ms = 0;
    if (ms < 60000)
        snprintf(buf, len, "%lld.%lld s", (long long)(ms / 1000), (long long)(ms % 1000 / 100));
    else if (ms < 3600000)
        snprintf(buf, len, "%lld min %lld s", (long long)(ms / 60000), (long long)(ms / 1000 % 60));
    else
        snprintf(buf, len, "%lld h %lld min", (long long)(ms / 3600000), (long long)(ms / 60000 % 60));
    return buf;
}

/* What xhad does next, and when, from the state alone. */
static void next_text(const struct xha_daemon *d, const struct xha_view *v, char *buf, size_t len)
{
    int64_t now = xha_clock_now(&d->clock).ms, in_state = now - v->since.ms;
    const struct xha_policy *p = v->policy;
    char a[48], b[48];

    switch (v->state) {
    case XHA_ST_DEFINED:
    case XHA_ST_STOPPED:
        snprintf(buf, len, "nothing until somebody starts it");
        break;
    case XHA_ST_QUEUED:
        if (v->next_try.ms > now)
            snprintf(buf, len, "the next attempt (%s) in %s", xha_purpose_name(v->purpose),
                     span_text(v->next_try.ms - now, a, sizeof a));
        else
            snprintf(buf, len, "it is started when its turn comes");
        break;
    case XHA_ST_CLEARING:
        snprintf(buf, len, "what remains of it is being destroyed, then: %s", xha_purpose_name(v->purpose));
        break;
    case XHA_ST_STARTING:
        snprintf(buf, len, "its worker has %s left to start it",
                 span_text(p->start_timeout.ms - in_state, a, sizeof a));
        break;
    case XHA_ST_BOOTING:
        snprintf(buf, len, "the first heartbeat is waited for, for %s more",
                 span_text(p->boot_grace.ms - in_state, a, sizeof a));
        break;
    case XHA_ST_RUNNING:
        if (v->held)
            snprintf(buf, len, "nothing is judged while the host itself is ill");
        else if (p->heartbeat == XHA_BEAT_AGENT && v->last_beat.ms)
            snprintf(buf, len, "it is suspected %s after a beat; the last was %s ago",
                     span_text(p->heartbeat_timeout.ms, a, sizeof a),
                     span_text(now - v->last_beat.ms, b, sizeof b));
        else
            snprintf(buf, len, "nothing while it runs");
        break;
    case XHA_ST_SUSPECT:
        snprintf(buf, len, "its vCPU time and I/O are watched, then it is judged");
        break;
    case XHA_ST_PAUSED:
        snprintf(buf, len, "nothing until somebody unpauses it");
        break;
    case XHA_ST_STOPPING:
        snprintf(buf, len, "it is destroyed if it has not shut down in %s",
                 span_text(p->stop_timeout.ms - in_state, a, sizeof a));
        break;
    case XHA_ST_VANISHED:
        snprintf(buf, len, "it counts as destroyed if it is not back within vanish_grace");
        break;
    case XHA_ST_UNSURE:
        snprintf(buf, len, "the hypervisor is being asked what is so");
        break;
    case XHA_ST_FAILED:
        snprintf(buf, len, "nothing: xhad has given it up. xl-ha start %s tries again", v->name);
        break;
    case XHA_ST_ERROR:
        snprintf(buf, len, "nothing: an operator has to look. Then xl-ha start %s", v->name);
        break;
    case XHA_ST_MAINTENANCE:
        snprintf(buf, len, "nothing until xl-ha maintenance off");
        break;
    case XHA_ST_MIGRATING:
        snprintf(buf, len,
                 v->move_sent ? "it is decided by the cluster whether it runs on at its target"
                              : "it is being sent to its target");
        break;
    case XHA_ST_INCOMING:
        snprintf(buf, len,
                 v->move_sent ? "it is decided by the cluster whether it runs on here"
                              : "it is being received");
        break;
    case XHA_ST_STANDBY:
        snprintf(buf, len,
                 v->verdict == XHA_VERDICT_COMMIT
                     ? "the copy on this host takes over"
                     : "nothing: the copy on this host takes over when its owner's host is lost");
        break;
    case XHA_ST_N_:
        break;
    }
}

/* One history entry as a line: "13:04:05 running -> clearing (recovery): …". */
static void entry_text(const json_t *e, char *buf, size_t len)
{
    const char *time = json_string_value(json_object_get(e, "time")),
               *from = json_string_value(json_object_get(e, "from"));
    const char *to = json_string_value(json_object_get(e, "to")),
               *kind = json_string_value(json_object_get(e, "kind"));
    const char *text = json_string_value(json_object_get(e, "text")),
               *purpose = json_string_value(json_object_get(e, "purpose"));

    if (purpose && strcmp(purpose, xha_purpose_name(XHA_FOR_NOTHING)) == 0)
        purpose = NULL;
    if (from && to)
        snprintf(buf, len, "%s %s -> %s%s%s%s: %s", time ? time : "", from, to, purpose ? " (for " : "",
                 purpose ? purpose : "", purpose ? ")" : "", text ? text : "");
    else
        snprintf(buf, len, "%s %s: %s", time ? time : "", kind ? kind : "", text ? text : "");
}

/* The events, oldest first, as lines, newest first. */
static json_t *lines_of(const json_t *tail)
{
    json_t *story = json_array();

    for (size_t i = json_array_size(tail); i-- > 0;) {
        char text[1024];

        entry_text(json_array_get(tail, i), text, sizeof text);
        json_array_append_new(story, json_string(text));
    }
    return story;
}

json_t *xha_story_json(const struct xha_daemon *d, const struct xha_domain *dom)
{
    char line[1024], next[256], why[256], since[48];
    struct xha_view v;
    json_t *tail, *story;

    if (xha_core_find(d->core, &dom->uuid, &v) != 0)
        return NULL;
    snprintf(line, sizeof line, "%s is %s since %s: %s", dom->name, xha_state_name(v.state),
             span_text(xha_clock_now(&d->clock).ms - v.since.ms, since, sizeof since),
             xha_cause_text(v.cause, v.cause_detail, why, sizeof why));
    next_text(d, &v, next, sizeof next);
    tail = xha_history_tail(d->history, &dom->uuid, STORY_LINES);
    story = lines_of(tail);
    return json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:o, s:o}", "domain", dom->name, "state",
                     xha_state_name(v.state), "now", line, "next", next, "restarts", (int)v.recoveries,
                     "max_restarts", (int)v.policy->max_restarts, "story", story, "events", tail);
}

/* What the cluster's state and this host's history say: the owner does not answer, or there is none. */
static void why_of_state(struct xha_daemon *d, uint64_t client, const struct xha_uuid *uuid, json_int_t lines)
{
    char line[1024], why[256], host[XHA_HOST_TEXT], note[200] = "";
    struct xha_cluster_domain dom;
    bool free_one;
    json_t *tail, *story;

    (void)lines;
    if (xha_cluster_find(xha_peers_state(d->peers), uuid, &dom) != 0) {
        xha_control_error(d->control, client, "no-such-domain", "the domain is no longer protected", NULL);
        return;
    }
    free_one = dom.phase == XHA_PH_FREE;
    xha_peers_host(d->peers, dom.owner, host);
    xha_cause_text(dom.report.cause, dom.report.detail, why, sizeof why);
    if (free_one)
        snprintf(line, sizeof line, "%s runs nowhere%s%s", dom.name, dom.want_run ? " and is to run: " : "",
                 dom.want_run ? dom.wait_text : "");
    else
        snprintf(line, sizeof line, "%s is %s on %s: %s", dom.name, xha_state_name(dom.report.state), host,
                 why);
    if (!free_one && dom.owner != d->peers->self)
        snprintf(note, sizeof note, "xhad on %.60s does not answer: this is what this host knows", host);
    tail = xha_history_tail(d->history, uuid, STORY_LINES);
    story = lines_of(tail);
    xha_control_ok(d->control, client,
                   json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:o, s:o, s:s}", "domain", dom.name, "state",
                             free_one ? "waiting" : xha_state_name(dom.report.state), "now", line, "next",
                             free_one && dom.want_run ? "it is placed as soon as a host can take it" : "",
                             "restarts", (int)dom.report.recoveries, "max_restarts",
                             (int)dom.policy->max_restarts, "story", story, "events", tail, "note", note));
}

void xha_cmd_why(const struct xha_call *call)
{
    struct xha_domain *dom = xha_call_domain(call);
    unsigned host;
    json_t *story;

    if (!dom)
        return;
    if (xha_call_elsewhere(call->d, &dom->uuid, &host)) {
        xha_peers_ask(call->d->peers, call->client, host, "why", &dom->uuid, STORY_LINES, why_of_state);
        return;
    }
    story = xha_story_json(call->d, dom);
    if (story)
        xha_call_ok(call, story);
    else if (call->d->peers)
        why_of_state(call->d, call->client, &dom->uuid, 0);
    else
        xha_call_error(call, "no-such-domain", "the domain is known but not protected",
                       "see the alarms in xl-ha log");
}

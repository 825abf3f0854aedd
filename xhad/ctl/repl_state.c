/*
 * repl_state.c - how a domain is replicated, in a word: from the cluster's state, which all hosts know, and from what the
 * sender on this host says. And what somebody has to be told of it that no core decides on.
 */
#include "xhad/ctl/peers.h"
#include <inttypes.h>
#include <string.h>

/* ---- what workers say ---- */

/* In a cluster that may not decide, what its state says of the pair may never come to be. */
static void alarm_silence(struct xha_daemon *d, const struct xha_domain *dom, const struct xha_job *job)
{
    char text[400], host[XHA_HOST_TEXT];
    struct xha_cluster_domain state;
    struct xha_view view;

    if (!d->peers || xha_core_find(d->core, &dom->uuid, &view) != 0 ||
        xha_cluster_find(xha_peers_state(d->peers), &dom->uuid, &state) != 0 ||
        (state.committed && state.pair.id != job->move.id))
        return; /* it is over, and the receiver about to hear so */
    snprintf(text, sizeof text,
             "the copy of %.60s on this host hears nothing of %.80s any more, and the cluster cannot decide "
             "which of "
             "the two goes on: see xl-ha cluster status and xl-ha hosts",
             dom->name, xha_peers_host(d->peers, view.move.peer, host));
    xha_step_alarm(d, "silent", XHA_SEV_WARNING, dom, text);
}

void xha_repls_hear(struct xha_daemon *d, const struct xha_job *job, const char *step, uint64_t done,
                    uint64_t total, const struct xha_job_pace *pace)
{
    const struct xha_domain *dom = xha_domains_find(&d->domains, &job->uuid);

    if (!dom)
        return;
    if (job->verb == XHA_VERB_REPLICATE_OUT && strcmp(step, "synchronising") == 0)
        xha_repls_sync(d->repls, job, done, total, pace);
    else if (job->verb == XHA_VERB_REPLICATE_IN && strcmp(step, "silent") == 0 &&
             xha_repls_silent(d->repls, job))
        alarm_silence(d, dom, job);
}

void xha_repls_hear_epoch(void *daemon, const struct xha_job *job, const struct xha_job_epoch *epoch)
{
    struct xha_daemon *d = daemon;
    const struct xha_domain *dom = xha_domains_find(&d->domains, &job->uuid);
    uint64_t dropped;
    char text[400];

    xha_log(XHA_LOG_DEBUG, "epoch", XHA_S("domain", job->name), XHA_U("number", epoch->number),
            XHA_U("pages", epoch->pages), XHA_U("sent_bytes", epoch->sent_bytes),
            XHA_I("commit_us", epoch->commit_us));
    if (!dom)
        return;
    dropped = xha_repls_epoch(d->repls, job, epoch, xha_clock_now(&d->clock), xha_clock_wall_ms());
    if (!dropped)
        return;
    snprintf(text, sizeof text,
             "%.60s sends more than may wait for its backup (replication.queue_max = %" PRIu32
             " KiB): %" PRIu64 " packets were dropped. Raise that, or lower replication.interval_max",
             dom->name, dom->spec.replication.queue_max_kib, dropped);
    xha_step_alarm(d, "queue-overflow", XHA_SEV_WARNING, dom, text);
}

void xha_repls_hear_end(struct xha_daemon *d, const struct xha_job *job, const struct xha_job_done *answer)
{
    const char *text = answer && answer->message[0] ? answer->message : "its sender died";

    if (job->verb == XHA_VERB_REPLICATE_OUT && xha_domains_find(&d->domains, &job->uuid))
        xha_repls_end(d->repls, job, answer ? text : "");
}

/* ---- in a word ---- */

static const char *rest_text(enum xha_state state, bool want_run)
{
    switch (state) {
    case XHA_ST_FAILED:
    case XHA_ST_ERROR:
        return "it has failed and was given up";
    case XHA_ST_MAINTENANCE:
        return "it is in maintenance";
    case XHA_ST_PAUSED:
        return "it is paused";
    case XHA_ST_STANDBY:
        return "its copy takes over as soon as the cluster may decide that";
    default:
        return want_run ? "" : "it is stopped";
    }
}

static void say(struct xha_repl_status *s, const char *state, const char *why)
{
    s->state = state;
    snprintf(s->why, sizeof s->why, "%s", why);
}

/* Why it runs without a backup: what the leader found, or how the last try ended. */
static const char *bare_text(const struct xha_cluster_domain *dom, const struct xha_repl_domain *seen)
{
    if (dom->bare_text && dom->bare_text[0])
        return dom->bare_text;
    return seen && !seen->sending ? seen->ended : "";
}

static void of_bare(const struct xha_cluster_domain *dom, const struct xha_view *v,
                    const struct xha_repl_domain *seen, struct xha_repl_status *s)
{
    if (v && v->repl.id) /* its pair has ended, its gate is not open yet */
        say(s, "degraded",
            dom->committed ? "its gate is being opened"
                           : "it is mute: its gate opens as soon as the cluster may decide that");
    else if (dom->phase == XHA_PH_FREE)
        say(s, "unprotected", dom->want_run ? dom->wait_text : "it is stopped");
    else if (dom->phase == XHA_PH_OWNED && dom->want_run && dom->report.state == XHA_ST_RUNNING)
        say(s, "degraded", bare_text(dom, seen));
    else
        say(s, "unprotected", rest_text(dom->report.state, dom->want_run));
}

static void of_pair(const struct xha_daemon *d, const struct xha_cluster_domain *dom,
                    const struct xha_view *v, struct xha_repl_status *s)
{
    s->pair = dom->pair.id;
    s->backup = dom->pair.backup;
    if (dom->pair.stage != XHA_PAIR_PROTECTED)
        say(s, "syncing", "");
    else if (dom->owner == d->peers->self && v && v->repl.id == s->pair && v->repl_stage == XHA_REPL_BROKEN)
        say(s, "degraded", "its stream broke off: it is mute until the cluster has decided");
    else if (dom->pair.backup == d->peers->self && v && v->silent)
        say(s, "protected", "its copy hears nothing of it: the cluster is to decide whether that takes over");
    else
        say(s, "protected", "");
}

void xha_repls_status(const struct xha_daemon *d, const struct xha_uuid *uuid,
                      struct xha_repl_status *status_r)
{
    const struct xha_repl_domain *seen = xha_repls_find(d->repls, uuid);
    const struct xha_repl_epoch *last = seen ? xha_repls_newest(seen, 0) : NULL;
    struct xha_cluster_domain dom;
    struct xha_view view;
    bool here = xha_core_find(d->core, uuid, &view) == 0;

    *status_r = (struct xha_repl_status){ .backup = XHA_HOST_NONE };
    if (d->peers && xha_cluster_find(xha_peers_state(d->peers), uuid, &dom) == 0) {
        if (dom.policy->protection != XHA_PROT_REPLICATE)
            return;
        if (dom.pair.id)
            of_pair(d, &dom, here ? &view : NULL, status_r);
        else
            of_bare(&dom, here ? &view : NULL, seen, status_r);
        if (dom.owner == d->peers->self && last && last->pair == dom.pair.id && dom.pair.id)
            status_r->last = last;
    } else if (!d->peers && here && view.policy->protection == XHA_PROT_REPLICATE) {
        if (view.state == XHA_ST_RUNNING)
            say(status_r, "degraded", "this host is in no cluster: there is none to replicate it to");
        else
            say(status_r, "unprotected", rest_text(view.state, view.want_run));
    }
}

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

void xha_repls_add(const struct xha_daemon *d, const struct xha_uuid *uuid, json_t *entry)
{
    int64_t now = xha_clock_now(&d->clock).ms;
    struct xha_repl_status s;
    char host[XHA_HOST_TEXT];

    xha_repls_status(d, uuid, &s);
    json_object_set_new(entry, "replication", text_or_null(s.state));
    json_object_set_new(entry, "replication_why", json_string(s.why));
    json_object_set_new(
        entry, "backup",
        text_or_null(s.backup == XHA_HOST_NONE ? NULL : xha_peers_host(d->peers, s.backup, host)));
    json_object_set_new(entry, "epoch_age_ms", s.last ? json_integer(now - s.last->heard.ms) : json_null());
}

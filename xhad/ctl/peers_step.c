/*
 * peers_step.c - what the cluster core wants done, in the order in which it says so.
 */
#include "xhad/ctl/peers.h"
#include "xhad/base/uuid.h"
#include <string.h>

/* ---- the actions ---- */

static void store(struct xha_peers *p, const struct xha_cluster_action *a)
{
    if (xha_cluster_log_append(p->log, a->index, a->u.bytes.at, a->u.bytes.len) < 0)
        abort(); /* no memory for what must be kept: better a clean start, which takes the others' state */
}

static void keep_result(struct xha_peers *p, const struct xha_cluster_action *a)
{
    if (p->n_results == p->results_room) {
        p->results_room = p->results_room ? 2 * p->results_room : 16;
        p->results = realloc(p->results, p->results_room * sizeof *p->results);
        if (!p->results)
            abort();
    }
    p->results[p->n_results++] = *a;
}

static const char *name_of(const struct xha_peers *p, const struct xha_uuid *uuid)
{
    struct xha_cluster_domain dom;
    const struct xha_domain *known;

    if (xha_uuid_is_nil(uuid))
        return NULL;
    if (xha_cluster_find(xha_peers_state(p), uuid, &dom) == 0)
        return dom.name;
    known = xha_domains_find(&p->d->domains, uuid);
    return known ? known->name : NULL;
}

static void say(struct xha_peers *p, const struct xha_cluster_action *a)
{
    const char *name = name_of(p, &a->uuid);
    char host[XHA_HOST_TEXT];
    struct xha_alarm alarm = { .severity = a->u.said.severity, .uuid = a->uuid };

    if (a->host == XHA_HOST_NONE)
        host[0] = '\0';
    else
        xha_peers_host(p, a->host, host);
    xha_history_cluster(p->d->history, a, host[0] ? host : NULL, name);
    xha_log(a->type == XHA_CACT_ALARM ? XHA_LOG_WARNING : XHA_LOG_INFO, a->u.said.text,
            XHA_S("cause", xha_cluster_cause_name(a->u.said.cause)), XHA_S("host", host[0] ? host : NULL),
            XHA_S("domain", name), XHA_U("index", a->index));
    xha_peers_wait_said(p, a);
    if (a->type != XHA_CACT_ALARM)
        return;
    snprintf(alarm.kind, sizeof alarm.kind, "%s", xha_cluster_cause_name(a->u.said.cause));
    snprintf(alarm.domain, sizeof alarm.domain, "%s", name ? name : "");
    snprintf(alarm.text, sizeof alarm.text, "%s", a->u.said.text);
    p->d->alarms_total++;
    xha_alarms_raise(p->d->alarms, &alarm);
}

/* Somebody on another host may wait for how this ends. */
static void note_order(struct xha_peers *p, const struct xha_cluster_action *a)
{
    if (a->u.order.request.origin != p->self)
        xha_peers_interest(p, &a->uuid)->elsewhere = true;
}

static void look_at_texts(struct xha_peers *p, const struct xha_uuid *uuid)
{
    if (!xha_uuid_is_nil(&p->texts_one) && !xha_uuid_equal(&p->texts_one, uuid))
        p->texts_changed = true;
    p->texts_one = *uuid;
}

static void carry_out(struct xha_peers *p, const struct xha_cluster_action *a)
{
    switch (a->type) {
    case XHA_CACT_SEND:
        xha_peers_send(p, XHA_PEERS_CORE, a->u.bytes.at, a->u.bytes.len);
        return;
    case XHA_CACT_STORE:
        store(p, a);
        return;
    case XHA_CACT_RESTORE:
        xha_cluster_log_begin(p->log);
        return;
    case XHA_CACT_STORE_END:
        xha_cluster_log_end(p->log);
        p->texts_changed = true;
        return;
    case XHA_CACT_FENCE:
        xha_peers_fence(p, a);
        return;
    case XHA_CACT_RESULT:
        keep_result(p, a);
        return;
    case XHA_CACT_ALARM:
    case XHA_CACT_NOTE:
        say(p, a);
        xha_peers_fence_end(p, a);
        if (a->u.said.cause == XHA_CC_PROTECTED || a->u.said.cause == XHA_CC_UNPROTECTED)
            look_at_texts(p, &a->uuid);
        return;
    case XHA_CACT_ORDER:
        note_order(p, a);
        return;
    case XHA_CACT_CHANGED: /* the node has seen to the rest */
        if (!xha_texts_are_here(p, &a->uuid))
            look_at_texts(p, &a->uuid);
        return;
    case XHA_CACT_N_:
        break;
    }
    abort(); /* an action that does not exist */
}

void xha_peers_carry_out(struct xha_peers *p)
{
    const struct xha_cluster_plan *plan = &p->plan.cluster;

    for (uint32_t i = 0; i < plan->n; i++)
        carry_out(p, &plan->action[i]);
}

/* ---- around a step ---- */

int xha_peers_step(struct xha_peers *p, struct xha_cluster_event *ev)
{
    return xha_step_cluster(p->d, ev);
}

/* When the cluster decides again: what this host has to tell it of its files. */
static void catch_up(struct xha_peers *p)
{
    struct xha_cluster_status status;

    xha_cluster_status(xha_peers_state(p), &status);
    if (!status.quorate || !status.synced || !status.settled)
        return;
    if (p->settings_due) {
        p->settings_due = false;
        xha_peers_tell_settings(p);
    }
    if (p->policies_due) {
        p->policies_due = false;
        xha_texts_bring_in(p);
        xha_peers_shutdown_over(p);
        xha_peers_policies(p, NULL);
    }
}

void xha_peers_after(struct xha_peers *p)
{
    if (p->after || !p->started || p->d->stopping)
        return;
    p->after = true;
    xha_peers_watchdog(p);
    xha_peers_results(p);
    if (p->texts_changed)
        xha_texts_check_all(p);
    else if (!xha_uuid_is_nil(&p->texts_one))
        xha_texts_check(p, &p->texts_one);
    p->texts_changed = false;
    memset(&p->texts_one, 0, sizeof p->texts_one);
    catch_up(p);
    xha_peers_wait_check(p);
    xha_peers_shutdown_check(p);
    p->after = false;
}

void xha_peers_alarm(struct xha_peers *p, const char *kind, enum xha_severity severity, const char *text)
{
    xha_log(XHA_LOG_WARNING, text);
    xha_step_alarm(p->d, kind, severity, NULL, text);
}

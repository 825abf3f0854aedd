/*
 * cmd_order.c - commands that want something done with a domain.
 *
 * An order is answered when it is accepted; with "wait" when it is done or has failed (wait.c); with
 * "dry_run" by what the core would say to it.
 */
#include "xhad/ctl/cmd.h"
#include "xhad/base/uuid.h"
#include <string.h>

static void accepted(const struct xha_call *call, const struct xha_domain *dom, enum xha_order_type type,
                     uint64_t term)
{
    bool waits = type != XHA_DO_MAINTENANCE_ON && type != XHA_DO_MAINTENANCE_OFF;

    if (call->request->wait && waits)
        xha_wait_add(call->d, call->client, &dom->uuid, type, term);
    else
        xha_call_ok(call, json_pack("{s:s, s:s}", "domain", dom->name, "accepted", xha_do_name(type)));
}

static void order(const struct xha_call *call, enum xha_order_type type, uint64_t checkpoint)
{
    struct xha_domain *dom = xha_call_domain(call);
    struct xha_event ev = { .type = XHA_EV_ORDER };
    struct xha_view view;
    char text[200];
    int rc;

    if (!dom)
        return;
    ev.uuid = dom->uuid;
    ev.u.order.type = type;
    ev.u.order.checkpoint = checkpoint;
    ev.now = xha_clock_now(&call->d->clock);
    rc = xha_core_find(call->d->core, &dom->uuid, &view);
    if (rc == 0)
        rc = xha_core_may(call->d->core, &ev);
    if (rc) {
        xha_call_core_error(call, rc, dom->name,
                            rc == XHA_CORE_E_NODOMAIN ? "?" : xha_state_name(view.state));
        return;
    }
    if (call->request->dry_run) {
        snprintf(text, sizeof text, "would %s %s, which is %s", xha_do_name(type), dom->name,
                 xha_state_name(view.state));
        xha_call_ok(call, json_pack("{s:s, s:s, s:s}", "domain", dom->name, "would", xha_do_name(type),
                                    "text", text));
        return;
    }
    xha_log(XHA_LOG_INFO, "order of an operator", XHA_S("domain", dom->name),
            XHA_S("order", xha_do_name(type)));
    rc = xha_step(call->d, &ev);
    if (rc)
        xha_call_core_error(call, rc, dom->name, xha_state_name(view.state));
    else
        accepted(call, dom, type, view.term);
}

void xha_cmd_start(const struct xha_call *call)
{
    order(call, XHA_DO_START, 0);
}

void xha_cmd_stop(const struct xha_call *call)
{
    order(call, XHA_DO_STOP, 0);
}

void xha_cmd_restart(const struct xha_call *call)
{
    order(call, XHA_DO_RESTART, 0);
}

void xha_cmd_checkpoint(const struct xha_call *call)
{
    order(call, XHA_DO_CHECKPOINT, 0);
}

void xha_cmd_restore(const struct xha_call *call)
{
    json_int_t number = 0;

    if (!xha_request_int(call->request, "number", 0, INT64_MAX, &number))
        xha_call_bad_arg(call, "number", "the number of a checkpoint, or 0 for the newest good one");
    else
        order(call, XHA_DO_RESTORE, (uint64_t)number);
}

/* ---- sched
 * ----------------------------------------------------------------------------------------------------------------
 */

/* What the call changes of what holds; false after answering with an error. */
static bool take_sched(const struct xha_call *call, struct xha_job_sched *s, bool *any_r)
{
    const struct xha_request *r = call->request;
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
    struct xha_view view;

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
    /* Where it does not run now the values hold from its next start on. */
    if (xha_core_may(call->d->core, &ev) != 0)
        show_sched(call, dom);
    else if (xha_core_find(call->d->core, &dom->uuid, &view) == 0 && xha_step(call->d, &ev) == 0)
        accepted(call, dom, XHA_DO_SCHED, view.term);
    else
        show_sched(call, dom);
}

/* ---- maintenance
 * -------------------------------------------------------------------------------------------------------------
 */

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
        order(call, on ? XHA_DO_MAINTENANCE_ON : XHA_DO_MAINTENANCE_OFF, 0);
        return;
    }
    ev.u.order.type = on ? XHA_DO_MAINTENANCE_ON : XHA_DO_MAINTENANCE_OFF;
    ev.now = xha_clock_now(&call->d->clock);
    rc = call->request->dry_run ? xha_core_may(call->d->core, &ev) : xha_step(call->d, &ev);
    if (rc)
        xha_call_core_error(call, rc, "this host", "?");
    else
        xha_call_ok(call, json_pack("{s:s, s:b}", call->request->dry_run ? "would" : "accepted",
                                    xha_do_name(ev.u.order.type), "host", 1));
}

/*
 * cl_fence.c - proving that a lost host runs nothing. The leader orders a member that has fence devices for it to
 * use them, one attempt at a time, another member after each failure; and where the lost host's watchdog was
 * armed, it waits for the time after which that has fired. Where neither can succeed a person is asked.
 *
 * The executor rests on the state alone: as long as it names this host, its fencer is at it, also after a
 * restart of xhad.
 */
#include "cl_internal.h"

#include <stdio.h>

/* ---- applied ---- */

/* Attempts are numbered by the state, and another state may give a number again: no answer outlives its order. */
void xha_cl_fence_forget(struct xha_cluster *cl, uint8_t host)
{
    cl->eye[host].done_attempt = cl->eye[host].running_attempt = 0;
    cl->eye[host].done_flies = false;
}

void xha_cl_fence_order(struct xha_cluster *cl, const struct cl_message *m)
{
    struct cl_host *h = &cl->st->host[m->host];

    cl->eye[m->host].proposed = false;
    if (m->from != cl_lowest(cl->st->members) || h->state != XHA_HOST_LOST ||
        m->u.fence.attempt != h->attempt + 1)
        return;
    h->attempt++;
    h->executor = m->u.fence.executor;
    xha_cl_fence_forget(cl, m->host);
    cl->eye[m->host].fence_deadline = XHA_TIME_NEVER;
    xha_cl_note(cl, XHA_CC_FENCING, m->host, NULL, "host %s fences host %s (attempt %u)",
                xha_cl_host_name(cl, h->executor), xha_cl_host_name(cl, m->host), h->attempt);
    xha_cl_hash_host(cl->st, m->host);
}

void xha_cl_fence_result(struct xha_cluster *cl, const struct cl_message *m)
{
    struct cl_host *h = &cl->st->host[m->host];

    if (m->from == cl->self)
        cl->eye[m->host].done_flies = false;
    if (h->state != XHA_HOST_LOST || m->u.fence.attempt != h->attempt || h->executor != m->from)
        return;
    h->executor = XHA_HOST_NONE;
    if (m->u.fence.ok) {
        h->fence_text[0] = '\0';
        xha_cl_fenced(cl, m->host, XHA_FENCED_AGENT);
        return;
    }
    snprintf(h->fence_text, sizeof h->fence_text, "%s", m->u.fence.text);
    cl->eye[m->host].fails++;
    cl->eye[m->host].fence_next.ms =
        cl->now.ms + CL_FENCE_AGAIN_MS * (cl->eye[m->host].fails < 6 ? cl->eye[m->host].fails : 6);
    xha_cl_say(cl, XHA_SEV_CRITICAL, XHA_CC_FENCE_FAILED, m->host, NULL, h->attempt,
               "host %s could not fence host %s: %.90s", xha_cl_host_name(cl, m->from),
               xha_cl_host_name(cl, m->host), m->u.fence.text);
    xha_cl_hash_host(cl->st, m->host);
}

/* ---- the executor ---- */

static void answer(struct xha_cluster *cl, uint8_t host)
{
    struct cl_lead_host *eye = &cl->eye[host];
    struct cl_message *m;

    if (eye->done_flies || !xha_cl_may_fly(cl))
        return;
    m = xha_cl_put(cl);
    m->host = host;
    m->u.fence.attempt = eye->done_attempt;
    m->u.fence.ok = eye->done_ok;
    snprintf(m->u.fence.text, sizeof m->u.fence.text, "%s", eye->done_text);
    eye->done_flies = true;
    xha_cl_send(cl, CL_FENCE_RESULT);
}

void xha_cl_fence_do(struct xha_cluster *cl)
{
    if (!cl->quorate)
        return;
    xha_cl_know(cl->st);
    for (xha_hostset rest = cl->st->lost; rest; rest &= rest - 1) {
        uint8_t host = cl_lowest(rest);
        const struct cl_host *h = &cl->st->host[host];
        struct cl_lead_host *eye = &cl->eye[host];

        if (h->executor != cl->self)
            continue;
        if (eye->done_attempt == h->attempt) {
            answer(cl, host);
        } else if (eye->running_attempt != h->attempt && xha_cl_room(cl, 2, 0)) {
            struct xha_cluster_action *a = xha_cl_action(cl, XHA_CACT_FENCE);

            eye->running_attempt = h->attempt;
            a->host = host;
            a->u.fence.attempt = h->attempt;
        }
    }
}

int xha_cl_fence_done(struct xha_cluster *cl, const struct xha_cluster_event *ev)
{
    struct cl_lead_host *eye;

    if (ev->u.fence_done.host >= XHA_HOSTS_MAX)
        return XHA_CORE_E_INVAL;
    eye = &cl->eye[ev->u.fence_done.host];
    if (eye->running_attempt != ev->u.fence_done.attempt)
        return XHA_CORE_OK; /* of an order that is no more */
    eye->done_attempt = ev->u.fence_done.attempt;
    eye->done_ok = ev->u.fence_done.ok;
    eye->done_flies = false;
    snprintf(eye->done_text, sizeof eye->done_text, "%s", ev->u.fence_done.text);
    for (char *c = eye->done_text; *c; c++)
        if ((uint8_t)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    return XHA_CORE_OK;
}

/* ---- the leader ---- */

/*
 * When the watchdog of a lost host has surely fired; NEVER: that proves nothing. Where a quorum device makes the
 * difference the other side may have lost its vote later than this one got it.
 */
struct xha_time xha_cl_watchdog_time(const struct xha_cluster *cl, uint8_t host)
{
    struct xha_span device = { xha_cl_majority(cl->st) ? 0 : XHA_TIMING_DEVICE_LAG_MS };
    const struct cl_state *st = cl->st;

    if (!st->armed || !st->host[host].info.armed || !st->policy.timing.takeover.ms ||
        cl->eye[host].absent_since.ms == INT64_MAX || !cl->exclusive)
        return XHA_TIME_NEVER;
    return after(after(cl->eye[host].absent_since, device),
                 xha_timing_takeover(&st->policy.timing, st->host[host].info.watchdog));
}

/* The next member in turn that has devices for it. */
static uint8_t executor(const struct xha_cluster *cl, uint8_t host)
{
    xha_hostset able = 0;

    for (xha_hostset rest = cl->st->members & ~BIT(host); rest; rest &= rest - 1) {
        const struct cl_host *h = &cl->st->host[cl_lowest(rest)];

        if (h->state == XHA_HOST_IN && cl_in(h->info.can_fence, host))
            able |= rest & -rest;
    }
    if (!able)
        return XHA_HOST_NONE;
    for (uint32_t n = cl->st->host[host].attempt % cl_count(able); n; n--)
        able &= able - 1;
    return cl_lowest(able);
}

static void want_person(struct xha_cluster *cl, uint8_t host)
{
    struct cl_lead_host *eye = &cl->eye[host];

    if (eye->wanted_said && before(cl->now, eye->wanted_next)) {
        xha_cl_next(cl, eye->wanted_next);
        return;
    }
    eye->wanted_said = true;
    eye->wanted_next.ms = cl->now.ms + CL_WANTED_MS;
    xha_cl_next(cl, eye->wanted_next);
    xha_cl_say(
        cl, XHA_SEV_CRITICAL, XHA_CC_FENCE_WANTED, host, NULL, 0,
        "host %s is lost and cannot be fenced: make sure that it is off, then say `xl-ha confirm-fenced "
        "%s`; until then its domains wait",
        xha_cl_host_name(cl, host), xha_cl_host_name(cl, host));
}

static void order(struct xha_cluster *cl, uint8_t host, uint8_t by)
{
    struct cl_lead_host *eye = &cl->eye[host];
    struct xha_time hold = { cl->viewed.ms + CL_HOLD_MS }, not_before = eye->fence_next;
    struct cl_message *m;

    /* Few, where quorum needs many: the word that it is lost may be on its way. */
    if (cl->exclusive && !xha_cl_majority(cl->st) && before(not_before, hold))
        not_before = hold;
    if (before(cl->now, not_before)) {
        xha_cl_next(cl, not_before);
        return;
    }
    if (!xha_cl_may_fly(cl))
        return;
    m = xha_cl_put(cl);
    m->host = host;
    m->u.fence.attempt = cl->st->host[host].attempt + 1;
    m->u.fence.executor = by;
    eye->proposed = true;
    xha_cl_send(cl, CL_FENCE_ORDER);
}

/* An executor that says nothing is given up, a while after its time. */
static bool overdue(struct xha_cluster *cl, uint8_t host)
{
    struct cl_lead_host *eye = &cl->eye[host];
    int64_t limit = cl->st->policy.timing.fence_timeout.ms;

    if (eye->fence_deadline.ms == INT64_MAX)
        eye->fence_deadline.ms = cl->now.ms + (limit > 0 ? limit : 60000) + CL_FENCE_MARGIN_MS;
    xha_cl_next(cl, eye->fence_deadline);
    return !before(cl->now, eye->fence_deadline);
}

void xha_cl_fence_lead(struct xha_cluster *cl, uint8_t host)
{
    const struct cl_host *h = &cl->st->host[host];
    struct xha_time fires = xha_cl_watchdog_time(cl, host);
    uint8_t by = executor(cl, host);

    if (cl->eye[host].proposed)
        return;
    if (!before(cl->now, fires)) {
        if (!xha_cl_may_fly(cl))
            return;
        xha_cl_put(cl)->host = host;
        cl->eye[host].proposed = true;
        xha_cl_send(cl, CL_FENCED);
        return;
    }
    xha_cl_next(cl, fires);
    if (by != XHA_HOST_NONE && (h->executor == XHA_HOST_NONE || overdue(cl, host)))
        order(cl, host, by);
    if (fires.ms == INT64_MAX && (by == XHA_HOST_NONE || cl->eye[host].fails >= 3))
        want_person(cl, host);
}

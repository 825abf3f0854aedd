/*
 * wait.c - clients that wait for the end of what they ordered.
 *
 * A start is done when the domain is RUNNING, a stop when it is STOPPED; a checkpoint or a change of weight
 * when its worker has answered. Whatever ends in FAILED or ERROR, or where the domain is no longer on its
 * way, has failed.
 */
#include "xhad/ctl/daemon.h"
#include "xhad/base/uuid.h"
#include <inttypes.h>
#include <string.h>

struct xha_waiter {
    struct xha_waiter *next;
    uint64_t client;
    struct xha_uuid uuid;
    enum xha_order_type order;
    uint64_t term; /* before the order */
    struct xha_time ordered;
    char last[XHA_JOB_MESSAGE_MAX]; /* what the last worker that failed said */
};

void xha_wait_add(struct xha_daemon *d, uint64_t client, const struct xha_uuid *uuid,
                  enum xha_order_type order, uint64_t term)
{
    struct xha_waiter *w = calloc(1, sizeof *w);

    if (!w) {
        xha_control_error(d->control, client, "no-memory",
                          "the order was accepted, but there is no memory to wait", NULL);
        return;
    }
    w->client = client;
    w->uuid = *uuid;
    w->order = order;
    w->term = term;
    w->ordered = xha_clock_now(&d->clock);
    w->next = d->waiters;
    d->waiters = w;
    xha_wait_check(d);
}

static void end(struct xha_waiter **p)
{
    struct xha_waiter *w = *p;

    *p = w->next;
    free(w);
}

static void end_ok(struct xha_daemon *d, struct xha_waiter **p, const struct xha_view *v)
{
    uint64_t client = (*p)->client;
    json_t *result = json_pack("{s:s, s:s, s:i}", "domain", v->name, "state", xha_state_name(v->state),
                               "domid", (int)v->domid);

    end(p);
    xha_control_ok(d->control, client, result);
}

static void end_error(struct xha_daemon *d, struct xha_waiter **p, const char *code, const struct xha_view *v)
{
    char text[XHA_JOB_MESSAGE_MAX + 512], why[256];
    uint64_t client = (*p)->client;

    if (v)
        snprintf(text, sizeof text, "%s: %s (%s)%s%s", v->name, xha_state_name(v->state),
                 xha_cause_text(v->cause, v->cause_detail, why, sizeof why), (*p)->last[0] ? ": " : "",
                 (*p)->last);
    else
        snprintf(text, sizeof text, "%s", (*p)->last[0] ? (*p)->last : "the domain is no longer protected");
    end(p);
    xha_control_error(d->control, client, code, text, "xl-ha why DOMAIN tells the whole story");
}

enum verdict { GOES_ON, REACHED, MISSED };

/* It may have to wait for a checkpoint under way: only what was entered after the order has gone wrong. */
static enum verdict judge_stop(const struct xha_view *v, struct xha_time ordered)
{
    switch (v->state) {
    case XHA_ST_STOPPED:
        return REACHED;
    case XHA_ST_RUNNING:
    case XHA_ST_PAUSED:
        return v->since.ms > ordered.ms ? MISSED : GOES_ON;
    case XHA_ST_FAILED:
    case XHA_ST_ERROR:
    case XHA_ST_MAINTENANCE:
    case XHA_ST_DEFINED:
        return MISSED;
    default:
        return GOES_ON;
    }
}

/* A restart passes through STOPPED on its way: only a new term counts. */
static enum verdict judge_run(const struct xha_view *v, bool anew, uint64_t term)
{
    switch (v->state) {
    case XHA_ST_RUNNING:
    case XHA_ST_SUSPECT:
    case XHA_ST_PAUSED:
        return !anew || v->term > term ? REACHED : GOES_ON;
    case XHA_ST_FAILED:
    case XHA_ST_ERROR:
    case XHA_ST_MAINTENANCE:
    case XHA_ST_DEFINED:
        return MISSED;
    case XHA_ST_STOPPED:
        return v->purpose == XHA_FOR_NOTHING ? MISSED : GOES_ON;
    default:
        return GOES_ON;
    }
}

static enum verdict judge(const struct xha_waiter *w, const struct xha_view *v)
{
    switch (w->order) {
    case XHA_DO_STOP:
        return judge_stop(v, w->ordered);
    case XHA_DO_START:
        return judge_run(v, false, w->term);
    case XHA_DO_RESTART:
    case XHA_DO_RESTORE:
        return judge_run(v, true, w->term);
    default:
        return GOES_ON; /* its worker's answer ends it */
    }
}

void xha_wait_check(struct xha_daemon *d)
{
    struct xha_waiter **p = &d->waiters;

    while (*p) {
        struct xha_waiter *w = *p;
        struct xha_view view;

        if (!xha_control_is_there(d->control, w->client)) {
            end(p);
        } else if (xha_core_find(d->core, &w->uuid, &view) != 0) {
            end_error(d, p, "gone", NULL);
            p = &d->waiters; /* an answer may bring the next request, and that a new waiter */
        } else {
            enum verdict verdict = judge(w, &view);

            if (verdict == GOES_ON) {
                p = &w->next;
                continue;
            }
            if (verdict == REACHED)
                end_ok(d, p, &view);
            else
                end_error(d, p, "failed", &view);
            p = &d->waiters;
        }
    }
}

static bool ends_with(const struct xha_waiter *w, const struct xha_job *job)
{
    return (w->order == XHA_DO_CHECKPOINT && job->verb == XHA_VERB_CHECKPOINT) ||
           (w->order == XHA_DO_SCHED && job->verb == XHA_VERB_SCHED);
}

static void end_with_worker(struct xha_daemon *d, struct xha_waiter **p, const struct xha_job_done *done)
{
    struct xha_view view;

    if (xha_core_find(d->core, &(*p)->uuid, &view) != 0)
        end_error(d, p, "gone", NULL);
    else if (done->result == XHA_OK)
        end_ok(d, p, &view);
    else
        end_error(d, p, done->result == XHA_REFUSED ? "refused" : "unknown", &view);
}

void xha_wait_heard(struct xha_daemon *d, const struct xha_job *job, const struct xha_job_done *done)
{
    for (struct xha_waiter *w = d->waiters; w; w = w->next)
        if (xha_uuid_equal(&w->uuid, &job->uuid) && done->result != XHA_OK && done->message[0])
            memcpy(w->last, done->message, sizeof w->last);
}

void xha_wait_done(struct xha_daemon *d, const struct xha_job *job, const struct xha_job_done *done)
{
    struct xha_waiter **p = &d->waiters;

    while (*p) {
        struct xha_waiter *w = *p;

        if (!xha_uuid_equal(&w->uuid, &job->uuid)) {
            p = &w->next;
            continue;
        }
        if (ends_with(w, job)) {
            end_with_worker(d, p, done);
            p = &d->waiters;
            continue;
        }
        p = &w->next;
    }
}

void xha_wait_progress(struct xha_daemon *d, const struct xha_job *job, const char *step, uint64_t done,
                       uint64_t total)
{
    for (struct xha_waiter *w = d->waiters; w; w = w->next)
        if (xha_uuid_equal(&w->uuid, &job->uuid))
            xha_control_tell(d->control, w->client,
                             json_pack("{s:{s:s, s:s, s:s, s:I, s:I}}", "progress", "domain", job->name,
                                       "verb", xha_verb_name(job->verb), "step", step, "done",
                                       (json_int_t)done, "total", (json_int_t)total));
}

void xha_wait_close(struct xha_daemon *d)
{
    while (d->waiters)
        end(&d->waiters);
}

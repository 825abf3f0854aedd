/*
 * plan.c - actions out. Whatever the core wants done goes through here, so that each deed is preceded by the
 * PERSIST of its intent, named by term and cause, and noted for the history.
 */
#include "internal.h"

static struct xha_action *add(struct xha_core *core, enum xha_action_type type, const struct dom *d)
{
    struct xha_plan *plan = core->plan;

    assert(plan->n < XHA_PLAN_MAX);
    struct xha_action *a = &plan->action[plan->n++];
    memset(a, 0, sizeof *a);
    a->type = type;
    a->cause_id = core->event_id;
    if (d) {
        a->host = d->host;
        a->uuid = d->uuid;
        a->term = d->term;
    }
    return a;
}

void xha_plan_begin(struct xha_core *core, struct xha_plan *plan)
{
    plan->n = 0;
    plan->more = false;
    plan->next = XHA_TIME_NEVER;
    core->plan = plan;
    core->step++;
    core->event_id = core->next_id++;
}

void xha_persist(struct xha_core *core, struct dom *d)
{
    /* The adapter asks for the record after the step, so one PERSIST ahead of a domain's first deed tells all
     * of it. */
    if (d->persist_step == core->step)
        return;
    d->persist_step = core->step;
    add(core, XHA_ACT_PERSIST, d);
}

void xha_forget(struct xha_core *core, const struct dom *d)
{
    add(core, XHA_ACT_FORGET, d);
}

void xha_deed(struct xha_core *core, struct dom *d, enum xha_action_type type, int64_t deadline_ms,
              enum xha_cause cause)
{
    assert(!d->pending);
    if (type == XHA_ACT_START || type == XHA_ACT_RESTORE)
        d->term++;
    d->pending = type;
    d->pending_id = core->next_id++;
    xha_persist(core, d);

    struct xha_action *a = add(core, type, d);
    a->id = d->pending_id;
    a->cause = cause;
    a->u.deed.domid = d->domid;
    a->u.deed.deadline.ms = deadline_ms;
    a->u.deed.checkpoint = type == XHA_ACT_RESTORE ? d->checkpoint : 0;
    if (type == XHA_ACT_MIGRATE || type == XHA_ACT_RECEIVE || type == XHA_ACT_STANDBY)
        a->u.deed.move = d->move;
    if (deadline_ms)
        xha_timer(core, d, TIMER_PEND, after(core->now, (struct xha_span){ deadline_ms + PEND_MARGIN_MS }));
}

/* Of the pair; whatever else is done to the domain goes on. */
void xha_beside(struct xha_core *core, struct dom *d, enum xha_action_type type, int64_t deadline_ms,
                enum xha_cause cause)
{
    assert(!d->repl_deed);
    d->repl_deed = core->next_id++;
    xha_persist(core, d);

    struct xha_action *a = add(core, type, d);
    a->id = d->repl_deed;
    a->cause = cause;
    a->u.deed.domid = d->domid;
    a->u.deed.deadline.ms = deadline_ms;
    a->u.deed.move = d->repl;
}

void xha_tell_worker(struct xha_core *core, const struct dom *d, enum xha_action_type type, uint64_t id)
{
    add(core, type, d)->id = id;
}

bool xha_cancel(struct xha_core *core, const struct dom *d)
{
    if (d->pending != XHA_ACT_MIGRATE && d->pending != XHA_ACT_RECEIVE && d->pending != XHA_ACT_STANDBY)
        return false;
    xha_tell_worker(core, d, XHA_ACT_CANCEL, d->pending_id);
    return true;
}

void xha_say_give_up(struct xha_core *core, const struct dom *d, uint32_t detail)
{
    struct xha_action *a = add(core, XHA_ACT_GIVE_UP, d);

    a->cause = XHA_CAUSE_GIVEN_UP;
    a->detail = detail;
}

void xha_ask_probe(struct xha_core *core, struct dom *d)
{
    struct xha_action *a = add(core, XHA_ACT_PROBE, d);
    a->cause = XHA_CAUSE_BEAT_LATE;
    a->u.deed.domid = d->domid;
}

void xha_ask_look(struct xha_core *core, uint8_t host)
{
    if (core->host[host].looked_step == core->step) /* one serves all */
        return;
    core->host[host].looked_step = core->step;
    add(core, XHA_ACT_LOOK, NULL)->host = host;
}

void xha_alarm(struct xha_core *core, const struct dom *d, enum xha_severity sev, enum xha_cause cause,
               uint32_t detail)
{
    struct xha_action *a = add(core, XHA_ACT_ALARM, d);
    a->cause = cause;
    a->detail = detail;
    a->u.alarm.severity = sev;
}

void xha_alarm_host(struct xha_core *core, uint8_t host, enum xha_severity sev, enum xha_cause cause,
                    uint32_t detail)
{
    struct xha_action *a = add(core, XHA_ACT_ALARM, NULL);
    a->host = host;
    a->cause = cause;
    a->detail = detail;
    a->u.alarm.severity = sev;
}

static void note(struct xha_core *core, struct dom *d, enum xha_state to, enum xha_cause cause,
                 uint32_t detail)
{
    struct xha_action *a = add(core, XHA_ACT_NOTE, d);

    a->cause = cause;
    a->detail = detail;
    a->u.note.from = d->state;
    a->u.note.to = to;
    a->u.note.purpose = d->purpose;
}

void xha_note(struct xha_core *core, struct dom *d, enum xha_cause cause, uint32_t detail)
{
    note(core, d, d->state, cause, detail);
}

void xha_go(struct xha_core *core, struct dom *d, enum xha_state to, enum xha_cause cause, uint32_t detail)
{
    xha_persist(core, d);
    note(core, d, to, cause, detail);
    if (d->state == XHA_ST_QUEUED)
        xha_queue_leave(core, d);
    d->state = to;
    d->cause = cause;
    d->cause_detail = detail;
    d->since = core->now;
    xha_timer_off(core, d, TIMER_STATE);
    xha_queue_blocks(core, d);
}

void xha_timer(struct xha_core *core, struct dom *d, enum timer timer, struct xha_time at)
{
    xha_heap_set(&core->timers, index_of(core, d) * TIMER_N_ + timer, at.ms);
}

void xha_timer_off(struct xha_core *core, struct dom *d, enum timer timer)
{
    xha_heap_drop(&core->timers, index_of(core, d) * TIMER_N_ + timer);
}

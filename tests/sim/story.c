/*
 * story.c - what is printed: one line for whatever happens, with its virtual time. And what is counted.
 */
#include "tests/sim/sim.h"

#include <stdarg.h>
#include <string.h>

void sim_say(struct sim *sim, const char *who, const char *fmt, ...)
{
    va_list ap;

    if (!sim->story)
        return;
    fprintf(sim->story, "%6lld.%03lld  %-8s ", (long long)(sim->now_ms / 1000),
            (long long)(sim->now_ms % 1000), who);
    va_start(ap, fmt);
    vfprintf(sim->story, fmt, ap);
    va_end(ap);
    fputc('\n', sim->story);
}

static const char *guest_name(const struct sim *sim, int guest)
{
    return guest < 0 ? "host" : sim->guest[guest].name;
}

/* "host 1: " when there is more than one. */
static const char *where(const struct sim *sim, uint8_t host, char *buf, size_t len)
{
    buf[0] = '\0';
    if (sim->n_hosts > 1)
        snprintf(buf, len, " on host %u", host);
    return buf;
}

void sim_say_action(struct sim *sim, const struct xha_action *act, int guest)
{
    char why[160], on[24], span[24], from[32] = "";
    const char *who = guest_name(sim, guest);

    if (!sim->story)
        return;
    xha_cause_text(act->cause, act->detail, why, sizeof(why));
    where(sim, act->host, on, sizeof(on));
    switch (act->type) {
    case XHA_ACT_NOTE:
        if (act->u.note.from == act->u.note.to)
            sim_say(sim, who, "still %s: %s", xha_state_name(act->u.note.to), why);
        else
            sim_say(sim, who, "%s -> %s: %s", xha_state_name(act->u.note.from),
                    xha_state_name(act->u.note.to), why);
        break;
    case XHA_ACT_ALARM:
        sim_say(sim, who, "! %s%s: %s", xha_severity_name(act->u.alarm.severity), on, why);
        break;
    case XHA_ACT_PERSIST:
    case XHA_ACT_PROBE:
    case XHA_ACT_LOOK:
        if (sim->verbose)
            sim_say(sim, who, "  %s%s", xha_action_name(act->type), on);
        break;
    case XHA_ACT_FORGET:
        sim_say(sim, who, "  %s", xha_action_name(act->type));
        break;
    case XHA_ACT_START:
    case XHA_ACT_RESTORE:
        if (act->u.deed.checkpoint)
            snprintf(from, sizeof(from), " from %llu", (unsigned long long)act->u.deed.checkpoint);
        sim_say(sim, who, "  %s #%u%s%s, term %llu, within %s", xha_action_name(act->type), sim->deeds, from,
                on, (unsigned long long)act->term,
                sim_span_text(act->u.deed.deadline.ms, span, sizeof(span)));
        break;
    default:
        sim_say(sim, who, "  %s #%u%s, domid %d", xha_action_name(act->type), sim->deeds, on,
                act->u.deed.domid);
        break;
    }
}

static void say_done(struct sim *sim, const struct xha_event *ev, int guest)
{
    const struct sim_job *job = sim_job_find(sim, ev->u.done.id);
    char tail[64] = "", nth[24] = "a deed without trace:";

    if (ev->u.done.result == XHA_OK && ev->u.done.domid != XHA_DOMID_NONE)
        snprintf(tail, sizeof(tail), ", domid %d", ev->u.done.domid);
    else if (ev->u.done.result == XHA_REFUSED)
        snprintf(tail, sizeof(tail), " (%s)", xha_refusal_name(ev->u.done.refusal));
    if (job)
        snprintf(nth, sizeof(nth), "#%u", job->nth);
    sim_say(sim, guest_name(sim, guest), "  %s %s%s", nth, xha_result_name(ev->u.done.result), tail);
}

static void say_seen(struct sim *sim, const struct xha_event *ev, int guest)
{
    const struct xha_seen *s = &ev->u.seen;

    sim_say(sim, guest_name(sim, guest), "  seen domid %d%s%s%s reason %u beat %s%llu cpu %llu ms", s->domid,
            s->paused ? " paused" : "", s->dying ? " dying" : "", s->shut ? " shut" : "", s->reason,
            s->beat_valid ? "" : "-", (unsigned long long)s->beat,
            (unsigned long long)s->cpu_time_ns / 1000000);
}

void sim_say_event(struct sim *sim, const struct xha_event *ev, int rc)
{
    int guest = sim_guest_find(sim, &ev->uuid);

    if (!sim->story)
        return;
    if (ev->type == XHA_EV_DONE)
        say_done(sim, ev, guest);
    else if (ev->type == XHA_EV_SEEN && sim->verbose)
        say_seen(sim, ev, guest);
    else if (ev->type == XHA_EV_ROUND && sim->verbose)
        sim_say(sim, "host", "  round%s%s, lag %lld ms", ev->u.round.beats_read ? " with beats" : "",
                ev->u.round.xenstore_ok ? "" : ", xenstore ill", (long long)ev->u.round.lag.ms);
    else if (ev->type == XHA_EV_PROBED && sim->verbose)
        sim_say(sim, guest_name(sim, guest), "  probed: cpu %llu ms, io %llu",
                (unsigned long long)ev->u.probed.cpu_time_ns / 1000000,
                (unsigned long long)ev->u.probed.io_count);
    if (rc && (ev->type == XHA_EV_ORDER || ev->type == XHA_EV_PROTECT || ev->type == XHA_EV_UNPROTECT ||
               ev->type == XHA_EV_SETTINGS || ev->type == XHA_EV_RECALL))
        sim_say(sim, guest_name(sim, guest), "  refused: %s", xha_core_error_text(rc));
}

void sim_say_end(struct sim *sim)
{
    if (!sim->story)
        return;
    for (unsigned i = 0; i < sim->n_guests && sim->core; i++) {
        struct xha_view v;
        char on[24];

        if (xha_core_find(sim->core, &sim->guest[i].uuid, &v))
            sim_say(sim, sim->guest[i].name, "= not protected");
        else if (v.domid != XHA_DOMID_NONE)
            sim_say(sim, sim->guest[i].name, "= %s%s, domid %d, term %llu, %u recoveries",
                    xha_state_name(v.state), where(sim, v.host, on, sizeof(on)), v.domid,
                    (unsigned long long)v.term, v.recoveries);
        else
            sim_say(sim, sim->guest[i].name, "= %s%s, term %llu, %u recoveries", xha_state_name(v.state),
                    where(sim, v.host, on, sizeof(on)), (unsigned long long)v.term, v.recoveries);
    }
    if (sim->failed)
        fprintf(sim->story, "FAILED %s\n", sim->why);
}

/* ---- coverage -------------------------------------------------------------------------------------------
 */

const char *sim_signal_name(int signal)
{
    static const char *const names[SIM_SIG_ORDER] = {
        "tick",         "seen-runs",  "beat-stale", "seen-paused", "seen-shut", "seen-suspend",
        "seen-dying",   "seen-other", "not-seen",   "probed",      "done-ok",   "done-refused",
        "done-unknown", "recall",     "protect",    "unprotect",
    };

    return signal < SIM_SIG_ORDER ? names[signal]
                                  : xha_do_name((enum xha_order_type)(signal - SIM_SIG_ORDER));
}

static int seen_signal(const struct xha_event *ev, const struct xha_view *v)
{
    const struct xha_seen *s = &ev->u.seen;

    if (v->domid != XHA_DOMID_NONE && s->domid != v->domid)
        return SIM_SIG_SEEN_OTHER;
    if (s->dying)
        return SIM_SIG_SEEN_DYING;
    if (s->shut)
        return s->reason == XHA_SHUTDOWN_SUSPEND ? SIM_SIG_SEEN_SUSPENDED : SIM_SIG_SEEN_SHUT;
    if (s->paused)
        return SIM_SIG_SEEN_PAUSED;
    return s->beat_read && (!s->beat_valid || s->beat == v->beat) ? SIM_SIG_SEEN_STALE_BEAT
                                                                  : SIM_SIG_SEEN_RUNS;
}

static void cover_round(struct sim *sim, const struct xha_event *ev)
{
    for (unsigned i = 0; i < sim->n_guests; i++) {
        struct xha_view v;

        if (sim->guest[i].host == ev->host && sim_inst_find(sim, (int)i, ev->host) < 0 &&
            !xha_core_find(sim->core, &sim->guest[i].uuid, &v))
            sim->cover->hit[v.state][SIM_SIG_GONE]++;
    }
}

void sim_cover_event(struct sim *sim, const struct xha_event *ev, int guest)
{
    struct xha_view v;
    int sig;

    if (!sim->cover)
        return;
    sim->cover->steps++;
    if (ev->type == XHA_EV_ROUND)
        cover_round(sim, ev);
    if (ev->type == XHA_EV_RECALL)
        sim->cover->hit[ev->u.protect.record->state][SIM_SIG_RECALL]++;
    if (guest < 0 || xha_core_find(sim->core, &ev->uuid, &v))
        return;
    switch (ev->type) {
    case XHA_EV_SEEN:
        sig = seen_signal(ev, &v);
        break;
    case XHA_EV_PROBED:
        sig = SIM_SIG_PROBED;
        break;
    case XHA_EV_DONE:
        sig = SIM_SIG_DONE_OK + (int)ev->u.done.result;
        break;
    case XHA_EV_PROTECT:
        sig = SIM_SIG_PROTECT;
        break;
    case XHA_EV_UNPROTECT:
        sig = SIM_SIG_UNPROTECT;
        break;
    case XHA_EV_ORDER:
        sig = SIM_SIG_ORDER + (int)ev->u.order.type;
        break;
    default:
        return;
    }
    sim->cover->hit[v.state][sig]++;
}

/*
 * observe.c - what xhad-xen would see: listings, heartbeat rounds, probes; late, in pieces, or not at all.
 */
#include "tests/sim/sim.h"

#include <stdlib.h>

struct snapshot {
    int host;
    uint64_t life;
    struct xha_round round;
    unsigned refs;
    unsigned n;
    struct {
        int guest;
        struct xha_seen seen;
    } of[];
};

static struct snapshot *snapshot_take(struct sim *sim, int host, bool with_beats, int64_t lag_ms)
{
    struct snapshot *s = calloc(1, sizeof(*s) + sim->n_insts * sizeof(s->of[0]));
    bool xs = sim_host_xenstore_ok(sim, host);

    if (!s)
        abort();
    s->host = host;
    s->life = sim->life;
    s->round = (struct xha_round){
        .began = { sim->now_ms },
        .beats_read = with_beats,
        .xenstore_ok = xs,
        .lag = { lag_ms },
    };
    for (unsigned i = 0; i < sim->n_insts; i++) {
        const struct sim_inst *inst = &sim->inst[i];
        struct xha_seen *seen = &s->of[s->n].seen;

        if (!inst->there || inst->host != host)
            continue;
        sim_inst_before(sim, (int)i);
        s->of[s->n++].guest = inst->guest;
        *seen = (struct xha_seen){
            .listed = { sim->now_ms },
            .domid = inst->domid,
            .paused = !inst->dying && (inst->paused || inst->building),
            .dying = inst->dying,
            .shut = inst->shut,
            .reason = inst->shut ? inst->reason : 0,
            .beat_read = with_beats && xs,
            .cpu_time_ns = (uint64_t)inst->cpu_ms * 50000,
        };
        seen->beat_valid = seen->beat_read && inst->booted && !inst->junk && inst->beat_ms > 0;
        seen->beat = seen->beat_valid ? sim_inst_beat(inst) : 0;
        if (with_beats && !xs)
            s->round.failed_reads++;
    }
    return s;
}

static void snapshot_unref(struct snapshot *s)
{
    if (!--s->refs)
        free(s);
}

void sim_future_drop(struct sim_future *f)
{
    if (f->kind == SIM_F_DELIVER)
        snapshot_unref(f->p);
}

/* One socket, so listings arrive in order, but sometimes late, and sometimes in two pieces. */
static void snapshot_send(struct sim *sim, struct snapshot *s)
{
    struct sim_host *h = &sim->host[s->host];
    int64_t at = sim->now_ms + sim->listings_late_ms;
    unsigned cut = 0;

    if (sim->jitter) {
        at +=
            sim_rng_chance(&sim->rng, 10) ? sim_rng_range(&sim->rng, 0, 400) : sim_rng_range(&sim->rng, 0, 5);
        if (s->n > 1 && sim_rng_chance(&sim->rng, 5))
            cut = (unsigned)sim_rng_range(&sim->rng, 1, s->n - 1);
    }
    if (at < h->delivered_ms)
        at = h->delivered_ms;
    s->refs = 1;
    if (cut) {
        s->refs++;
        sim_in(sim, at - sim->now_ms,
               (struct sim_future){ .kind = SIM_F_DELIVER, .p = s, .a = 0, .b = (int)cut });
        at += sim_rng_range(&sim->rng, 0, 100);
    }
    sim_in(sim, at - sim->now_ms,
           (struct sim_future){ .kind = SIM_F_DELIVER, .p = s, .a = (int)cut, .b = (int)s->n + 1 });
    h->delivered_ms = at;
}

void sim_deliver(struct sim *sim, struct sim_future *f)
{
    struct snapshot *s = f->p;

    for (int i = f->a; i < f->b && sim->core && sim->life == s->life && !sim->failed; i++) {
        struct xha_event ev = { .host = (uint8_t)s->host };

        if (i == (int)s->n) {
            ev.type = XHA_EV_ROUND;
            ev.u.round = s->round;
            sim->host[s->host].told_ms = s->round.began.ms;
            if (s->round.beats_read)
                sim->host[s->host].told_health_ms = s->round.began.ms;
            if (s->round.beats_read && s->round.xenstore_ok)
                sim->host[s->host].told_beats_ms = s->round.began.ms;
        } else {
            ev.type = XHA_EV_SEEN;
            ev.uuid = sim->guest[s->of[i].guest].uuid;
            ev.u.seen = s->of[i].seen;
        }
        sim_step(sim, &ev);
    }
    snapshot_unref(s);
}

void sim_round(struct sim *sim, int host)
{
    struct sim_host *h = &sim->host[host];
    int64_t until = h->starved_until > h->silent_until ? h->starved_until : h->silent_until;
    int64_t next;

    if (until > sim->now_ms) {
        sim_in(sim, until - sim->now_ms, (struct sim_future){ .kind = SIM_F_ROUND, .a = host });
        return;
    }
    if (sim->core)
        snapshot_send(sim, snapshot_take(sim, host, true, sim->core ? sim->now_ms - h->due_ms : 0));
    next = sim->settings.round_interval.ms;
    h->due_ms = sim->now_ms + next;
    if (sim->jitter)
        next += sim_rng_range(&sim->rng, 0, next / 20);
    sim_in(sim, next, (struct sim_future){ .kind = SIM_F_ROUND, .a = host });
}

/* @releaseDomain and @introduceDomain: xenstored tells of them, when it is well. */
void sim_listing_soon(struct sim *sim, int host)
{
    struct sim_host *h = &sim->host[host];

    if (h->listing_due || !sim_host_xenstore_ok(sim, host))
        return;
    h->listing_due = true;
    sim_in(sim, sim_about(sim, 2), (struct sim_future){ .kind = SIM_F_LISTING, .a = host });
}

void sim_listing(struct sim *sim, const struct sim_future *f)
{
    int host = f->a;
    struct sim_host *h = &sim->host[host];
    int64_t until = h->starved_until > h->silent_until ? h->starved_until : h->silent_until;

    if (until > sim->now_ms) {
        sim_in(sim, until - sim->now_ms, *f);
        return;
    }
    if (!f->b)
        h->listing_due = false;
    if (sim->core)
        snapshot_send(sim, snapshot_take(sim, host, false, 0));
}

void sim_probe_ask(struct sim *sim, const struct xha_action *act)
{
    sim_in(sim, sim_about(sim, 4),
           (struct sim_future){ .kind = SIM_F_PROBE,
                                .a = sim_guest_find(sim, &act->uuid),
                                .b = act->host,
                                .number = act->u.deed.domid,
                                .serial = sim->life });
}

void sim_probe_answer(struct sim *sim, const struct sim_future *f)
{
    int64_t wait = sim->host[f->b].starved_until - sim->now_ms;
    int i = sim_inst_find_domid(sim, f->b, (int32_t)f->number);
    struct xha_event ev = { .type = XHA_EV_PROBED, .host = (uint8_t)f->b };

    if (wait > 0) {
        sim_in(sim, wait, *f);
        return;
    }
    if (!sim->core || f->serial != sim->life || i < 0 || sim->inst[i].guest != f->a)
        return;
    sim_inst_before(sim, i);
    ev.uuid = sim->guest[f->a].uuid;
    ev.u.probed = (struct xha_probed){
        .domid = sim->inst[i].domid,
        .cpu_time_ns = (uint64_t)sim->inst[i].cpu_ms * 50000,
        .io_count = (uint64_t)sim->inst[i].io_ms / 100,
    };
    sim_step(sim, &ev);
}

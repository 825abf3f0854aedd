/*
 * host.c - hosts as machines: power, clocks, hangs, Xen's watchdog, and the fence devices beside them.
 *
 * A host that hangs has a dead dom0: no xhad, no corosync, no worker goes on, but its guests run and Xen's
 * watchdog counts. One that is frozen stands still as a whole, its watchdog and clock too. Both go on
 * afterwards as if nothing had happened.
 */
#include "tests/csim/csim.h"

#include <string.h>

#define BOOT_MS 20000

static struct sim_future future(enum csim_future_kind kind, int a, uint64_t serial)
{
    return (struct sim_future){ .kind = (enum sim_future_kind)kind, .a = a, .serial = serial };
}

bool csim_host_still(const struct csim *cs, int h)
{
    return !cs->host[h].power || cs->host[h].hung || cs->host[h].frozen;
}

struct xha_time csim_host_time(const struct csim *cs, int h)
{
    const struct csim_host *host = &cs->host[h];
    int64_t ms = cs->now_ms - host->frozen_ms;

    return (struct xha_time){ ms + ms * host->ppm / 1000000 + host->skew_ms };
}

/* The first moment of the world at which the host's clock shows that time. */
int64_t csim_host_world_ms(const struct csim *cs, int h, struct xha_time at)
{
    const struct csim_host *host = &cs->host[h];
    int64_t local, ms;

    if (at.ms > INT64_MAX / 4)
        return CSIM_NEVER;
    local = at.ms - host->skew_ms;
    ms = (int64_t)((double)local * 1e6 / (1e6 + host->ppm));
    while (ms + ms * host->ppm / 1000000 < local)
        ms++;
    return ms + host->frozen_ms;
}

struct xha_uuid csim_host_boot_id(const struct csim *cs, int h)
{
    struct xha_uuid id = { .b = { 0xb0, (uint8_t)h } };

    for (int i = 0; i < 8; i++)
        id.b[8 + i] = (uint8_t)(cs->host[h].boot >> (8 * i));
    return id;
}

void csim_host_power_off(struct csim *cs, int h, const char *why)
{
    struct csim_host *host = &cs->host[h];

    if (!host->power)
        return;
    csim_say(cs, host->name, "%s", why);
    csim_xhad_down(cs, h, -1, true);
    if (host->frozen)
        host->frozen_ms += cs->now_ms - host->still_ms;
    host->power = host->hung = host->frozen = false;
    host->go_ms = 0;
    host->off_ms = cs->now_ms;
    host->wd_armed = host->wd_info = host->wd_disarming = false;
    csim_insts_gone(cs, h);
    csim_jobs_gone(cs, h);
    csim_net_stop(cs, h);
}

void csim_host_power_on(struct csim *cs, int h)
{
    struct csim_host *host = &cs->host[h];

    if (host->power)
        return;
    host->power = true;
    host->off_ms = -1;
    host->boot = ++cs->boots;
    host->next_domid = 1;
    host->wd_due_ms = 0;
    host->listing_due = false;
    host->xhad_go_ms = 0;
    csim_say(cs, host->name, "boots");
    for (unsigned g = 0; g < cs->n_guests; g++) {
        struct xha_record *r = &host->record[g].record;

        r->domid = XHA_DOMID_OLD;
        r->pending = XHA_ACT_NONE;
        r->pending_id = 0;
        r->repl_deed = 0;
    }
    if (host->listed)
        csim_in(cs, csim_about(cs, 2000), future(CSIM_F_CORO_UP, h, host->boot));
}

void csim_host_still_for(struct csim *cs, int h, bool frozen, int64_t ms)
{
    struct csim_host *host = &cs->host[h];

    if (csim_host_still(cs, h))
        return;
    csim_say(cs, host->name, frozen ? "is frozen" : "hangs");
    *(frozen ? &host->frozen : &host->hung) = true;
    host->still_ms = cs->now_ms;
    host->go_ms = cs->now_ms + ms;
    if (frozen)
        host->wd_expire_ms += ms;
    csim_in(cs, ms, future(CSIM_F_GO, h, host->boot));
    csim_net_changed(cs);
}

void csim_host_go(struct csim *cs, int h)
{
    struct csim_host *host = &cs->host[h];

    if (!(host->hung || host->frozen) || host->go_ms > cs->now_ms)
        return;
    if (host->frozen)
        host->frozen_ms += host->go_ms - host->still_ms;
    host->hung = host->frozen = false;
    csim_say(cs, host->name, "goes on");
    csim_net_changed(cs);
    csim_net_kick(cs, h);
}

/* ---- the watchdog ----------------------------------------------------------------------------------------
 */

void csim_host_poked(struct csim *cs, int h)
{
    struct csim_host *host = &cs->host[h];
    int64_t w = cs->timing.watchdog.ms;

    host->wd_poked_ms = cs->now_ms;
    host->wd_expire_ms = cs->now_ms + w - w * host->ppm / 1000000;
    if (!host->wd_due_ms) {
        host->wd_due_ms = host->wd_expire_ms;
        csim_in(cs, host->wd_expire_ms - cs->now_ms, future(CSIM_F_WATCHDOG, h, host->boot));
    }
}

void csim_host_watchdog(struct csim *cs, const struct sim_future *f)
{
    struct csim_host *host = &cs->host[f->a];

    if (host->boot != f->serial)
        return;
    host->wd_due_ms = 0;
    if (!host->wd_armed || !host->power)
        return;
    if (cs->now_ms < host->wd_expire_ms || host->frozen) {
        host->wd_due_ms = host->frozen ? host->go_ms + 1 : host->wd_expire_ms;
        csim_in(cs, host->wd_due_ms - cs->now_ms, *f);
        return;
    }
    csim_rules_watchdog(cs, f->a);
    csim_host_power_off(cs, f->a, "its watchdog fires");
    csim_in(cs, csim_about(cs, BOOT_MS), future(CSIM_F_POWER, f->a, host->boot));
}

/* ---- fencing ---------------------------------------------------------------------------------------------
 */

void csim_fence_run(struct csim *cs, int executor, int h, uint32_t attempt)
{
    struct csim_host *host = &cs->host[h];
    struct csim_fence *f = cs->fence;

    csim_rules_fence(cs, executor, h);
    while (f->used && f < &cs->fence[CSIM_FENCES - 1])
        f++;
    *f = (struct csim_fence){ .used = true,
                              .serial = ++cs->serial,
                              .life = cs->host[executor].life,
                              .executor = executor,
                              .boot = cs->host[executor].boot,
                              .host = h,
                              .attempt = attempt };
    csim_in(cs, host->fence_silent ? cs->timing.fence_timeout.ms : csim_about(cs, host->fence_ms),
            future(CSIM_F_FENCE, (int)(f - cs->fence), f->serial));
}

void csim_fence_done(struct csim *cs, const struct sim_future *fu)
{
    struct csim_fence *f = &cs->fence[fu->a];
    struct csim_host *host = &cs->host[f->host];
    bool works = !host->fence_silent;

    if (!f->used || f->serial != fu->serial)
        return;
    if (!cs->host[f->executor].power || cs->host[f->executor].boot != f->boot) {
        f->used = false; /* the agent is gone with its host */
        return;
    }
    if (csim_host_still(cs, f->executor)) {
        csim_in(cs, cs->host[f->executor].go_ms - cs->now_ms, *fu);
        return;
    }
    if (host->fence_broken) {
        works = false;
        if (host->fence_fails && !--host->fence_fails)
            host->fence_broken = false;
    }
    f->ok = works;
    if (works) {
        csim_host_power_off(cs, f->host, "is switched off by its fence device");
        csim_rules_proof(cs, f->host);
        /* Nobody stays off when all trouble has ended. */
        if (!cs->script->host[f->host].fence_off || cs->settling)
            csim_in(cs, csim_about(cs, BOOT_MS), future(CSIM_F_POWER, f->host, host->boot));
    }
    csim_in(cs, csim_some(cs, 0, 300), future(CSIM_F_FENCED, fu->a, f->serial));
}

void csim_fence_told(struct csim *cs, const struct sim_future *fu)
{
    struct csim_fence *f = &cs->fence[fu->a];
    struct csim_host *executor = &cs->host[f->executor];
    struct xha_cluster_event ev = { .type = XHA_CEV_FENCE_DONE };
    int64_t wait = executor->go_ms > executor->xhad_go_ms ? executor->go_ms : executor->xhad_go_ms;

    if (!f->used || f->serial != fu->serial)
        return;
    if (executor->node && f->life == executor->life && wait > cs->now_ms) {
        csim_in(cs, wait - cs->now_ms, *fu);
        return;
    }
    f->used = false;
    if (!executor->node || f->life != executor->life)
        return;
    ev.u.fence_done.host = (uint8_t)f->host;
    ev.u.fence_done.attempt = f->attempt;
    ev.u.fence_done.ok = f->ok;
    snprintf(ev.u.fence_done.text, sizeof(ev.u.fence_done.text), "%s",
             f->ok ? "switched off" : "the device does not answer");
    csim_step_cluster(cs, f->executor, &ev);
}

/*
 * keeper.c - xhad around its node: it carries out both plans, keeps the records and the cluster's log, pokes
 * the watchdog, dies at any point and comes back.
 *
 * What outlives a death of xhad: records as they were persisted, the log as far as it was written (a random
 * part of what was under way), finished deeds. A power cut keeps of the log only what was durable.
 */
#include "tests/csim/csim.h"

#include <stdlib.h>
#include <string.h>

#define DOWN    -99
#define LOG_MAX 200

static struct sim_future future(enum csim_future_kind kind, int a, uint64_t serial)
{
    return (struct sim_future){ .kind = (enum sim_future_kind)kind, .a = a, .serial = serial };
}

/* ---- the disk --------------------------------------------------------------------------------------------
 */

static void log_clear(struct csim_log *log)
{
    while (log->n)
        csim_blob_unref(log->at[--log->n].blob);
}

static void log_push(struct csim_log *log, uint64_t index, struct csim_blob *blob)
{
    if (log->n == log->cap) {
        log->cap = log->cap ? 2 * log->cap : 32;
        log->at = realloc(log->at, log->cap * sizeof(*log->at));
        if (!log->at)
            abort();
    }
    log->at[log->n++] = (struct csim_stored_message){ index, blob };
}

/* The first n operations are durable. Returns the index that is safe now, 0: none new. */
static uint64_t disk_apply(struct csim_disk *disk, unsigned n)
{
    uint64_t index = 0;

    for (unsigned i = 0; i < n; i++) {
        struct csim_disk_op *op = &disk->op[i];

        switch (op->kind) {
        case CSIM_D_STORE:
            log_push(disk->restoring ? &disk->next : &disk->log, op->index, op->blob);
            if (!disk->restoring)
                index = op->index;
            break;
        case CSIM_D_RESTORE:
            log_clear(&disk->next);
            disk->restoring = true;
            break;
        case CSIM_D_END:
            log_clear(&disk->log);
            free(disk->log.at);
            disk->log = disk->next;
            disk->next = (struct csim_log){ 0 };
            disk->restoring = false;
            index = op->index;
            break;
        }
    }
    memmove(disk->op, disk->op + n, (disk->n - n) * sizeof(*disk->op));
    disk->n -= n;
    return index;
}

static void disk_flush(struct csim *cs, int h)
{
    struct csim_host *host = &cs->host[h];

    if (host->disk.flushing || !host->disk.n)
        return;
    host->disk.flushing = host->disk.n;
    csim_in(cs, csim_about(cs, host->disk.slow_ms ? host->disk.slow_ms : 2),
            future(CSIM_F_DISK, h, host->life));
}

static void disk_op(struct csim *cs, int h, enum csim_disk_op_kind kind, const struct xha_cluster_action *act)
{
    struct csim_disk *disk = &cs->host[h].disk;

    if (disk->n == disk->cap) {
        disk->cap = disk->cap ? 2 * disk->cap : 16;
        disk->op = realloc(disk->op, disk->cap * sizeof(*disk->op));
        if (!disk->op)
            abort();
    }
    disk->op[disk->n++] = (struct csim_disk_op){
        .kind = kind,
        .index = act->index,
        .blob = kind == CSIM_D_STORE ? csim_blob_new(act->u.bytes.at, act->u.bytes.len) : NULL,
    };
    disk_flush(cs, h);
}

void csim_disk_done(struct csim *cs, const struct sim_future *f)
{
    struct csim_host *host = &cs->host[f->a];
    struct xha_cluster_event ev = { .type = XHA_CEV_STORED };
    int64_t wait = host->go_ms > host->xhad_go_ms ? host->go_ms : host->xhad_go_ms;
    unsigned n = host->disk.flushing;

    if (!host->node || host->life != f->serial)
        return;
    if (wait > cs->now_ms) {
        csim_in(cs, wait - cs->now_ms, *f);
        return;
    }
    host->disk.flushing = 0;
    ev.u.stored = disk_apply(&host->disk, n);
    disk_flush(cs, f->a);
    if (ev.u.stored)
        csim_step_cluster(cs, f->a, &ev);
}

/* xhad is gone: of what was under way some is there. */
static void disk_lost(struct csim *cs, struct csim_disk *disk, bool power)
{
    unsigned keep = disk->n && !(power && csim_chance(cs, 50)) ? (unsigned)csim_some(cs, 0, disk->n) : 0;

    disk_apply(disk, keep);
    for (unsigned i = 0; i < disk->n; i++)
        csim_blob_unref(disk->op[i].blob);
    disk->n = disk->flushing = 0;
    log_clear(&disk->next);
    disk->restoring = false;
}

void csim_disk_free(struct csim_disk *disk)
{
    for (unsigned i = 0; i < disk->n; i++)
        csim_blob_unref(disk->op[i].blob);
    log_clear(&disk->log);
    log_clear(&disk->next);
    free(disk->log.at);
    free(disk->next.at);
    free(disk->op);
}

/* ---- plans -----------------------------------------------------------------------------------------------
 */

static void texts_want(struct csim *cs, int h, const struct xha_uuid *uuid)
{
    struct csim_host *host = &cs->host[h];
    int guest = csim_guest_find(cs, uuid);
    struct sim_future f = future(CSIM_F_TEXTS, h, host->life);

    if (guest < 0 || host->texts_due[guest] || host->texts[guest] == cs->guest[guest].texts)
        return;
    host->texts_due[guest] = true;
    f.b = guest;
    csim_in(cs, csim_about(cs, 20), f);
}

void csim_texts(struct csim *cs, const struct sim_future *f)
{
    struct csim_host *host = &cs->host[f->a];
    struct xha_cluster_domain d;
    int64_t wait = host->go_ms > host->xhad_go_ms ? host->go_ms : host->xhad_go_ms;

    if (!host->node || host->life != f->serial)
        return;
    if (wait > cs->now_ms) {
        csim_in(cs, wait - cs->now_ms, *f);
        return;
    }
    host->texts_due[f->b] = false;
    if (xha_cluster_find(xha_node_state(host->node), &cs->guest[f->b].uuid, &d))
        return;
    host->texts[f->b] = d.digest_config[0];
    xha_node_have_texts(host->node, &cs->guest[f->b].uuid, d.digest_config);
    csim_tick(cs, f->a);
}

static void cluster_out(struct csim *cs, int h, const struct xha_cluster_action *act)
{
    csim_rules_cluster(cs, h, act);
    csim_say_cluster(cs, h, act);
    switch (act->type) {
    case XHA_CACT_SEND:
        csim_net_send(cs, h, CSIM_O_MESSAGE, act->u.bytes.at, act->u.bytes.len);
        break;
    case XHA_CACT_STORE:
        disk_op(cs, h, CSIM_D_STORE, act);
        break;
    case XHA_CACT_RESTORE:
        disk_op(cs, h, CSIM_D_RESTORE, act);
        break;
    case XHA_CACT_STORE_END:
        disk_op(cs, h, CSIM_D_END, act);
        break;
    case XHA_CACT_FENCE:
        csim_fence_run(cs, h, act->host, act->u.fence.attempt);
        break;
    case XHA_CACT_RESULT:
        csim_answer(cs, h, act->u.result.number, act->u.result.rc, act->u.result.text);
        break;
    case XHA_CACT_CHANGED:
        texts_want(cs, h, &act->uuid);
        break;
    default:
        break;
    }
}

static void persist(struct csim *cs, int h, const struct xha_action *act, int guest)
{
    struct csim_host *host = &cs->host[h];
    struct csim_record *rec = &host->record[guest];
    struct xha_view v;

    if (xha_core_record(xha_node_core(host->node), &act->uuid, &rec->record) ||
        xha_core_find(xha_node_core(host->node), &act->uuid, &v)) {
        csim_fail(cs, "PERSIST of %s on %s, but the core has no record of it", cs->guest[guest].name,
                  host->name);
        return;
    }
    if (!rec->there)
        rec->order = ++host->records;
    rec->there = true;
    rec->policy = *v.policy;
    cs->persisted_now[guest] = true;
    cs->persisted[guest] = rec->record.pending_id;
    cs->persisted_beside[guest] = rec->record.repl_deed;
}

static void host_out(struct csim *cs, int h, const struct xha_action *act)
{
    struct csim_host *host = &cs->host[h];
    int guest = csim_guest_find(cs, &act->uuid);

    if (cs->cover)
        cs->cover->action[act->type]++;
    csim_rules_action(cs, h, act, guest);
    csim_say_action(cs, h, act, guest);
    if (cs->failed)
        return;
    if (xha_action_is_deed(act->type)) {
        if (act->id >= host->next_id)
            host->next_id = act->id + 1;
        csim_job_start(cs, h, act, guest);
        return;
    }
    switch (act->type) {
    case XHA_ACT_PERSIST:
        persist(cs, h, act, guest);
        break;
    case XHA_ACT_FORGET:
        host->record[guest].there = false;
        break;
    case XHA_ACT_PROBE:
        csim_probe_ask(cs, h, act);
        break;
    case XHA_ACT_LOOK:
        csim_in(cs, csim_about(cs, 2), future(CSIM_F_LISTING, h, host->boot));
        break;
    case XHA_ACT_CANCEL:
        csim_job_cancel(cs, h, act->id);
        break;
    case XHA_ACT_PROMOTE:
        csim_repl_promote(cs, h, act->id);
        break;
    default:
        break;
    }
}

/* Returns false when xhad died on the way. */
static bool plan_out(struct csim *cs, int h)
{
    struct csim_host *host = &cs->host[h];
    uint32_t n = cs->plan.cluster.n + cs->plan.host.n;

    for (uint32_t i = 0; i < n && !cs->failed; i++) {
        if (host->die_after >= 0 && host->die_after-- == 0) {
            csim_xhad_down(cs, h, host->down_ms, false);
            return false;
        }
        if (i < cs->plan.cluster.n)
            cluster_out(cs, h, &cs->plan.cluster.action[i]);
        else
            host_out(cs, h, &cs->plan.host.action[i - cs->plan.cluster.n]);
        if (!host->node)
            return false; /* it fenced itself */
    }
    return !cs->failed;
}

/* Carries out the plan that stands in cs->plan, and what follows from it. */
static int step_out(struct csim *cs, int h, int rc)
{
    struct csim_host *host = &cs->host[h];
    unsigned rounds = 0;

    if (cs->cover)
        cs->cover->steps++;
    for (;;) {
        struct xha_cluster_event tick = { .type = XHA_CEV_TICK, .now = csim_host_time(cs, h) };

        cs->tick_ms[h] = csim_host_world_ms(cs, h, cs->plan.next);
        csim_rules_before(cs, h);
        if (!plan_out(cs, h))
            return DOWN;
        if (!cs->plan.more)
            break;
        if (++rounds > 1000) {
            csim_fail(cs, "plans of %s without end: `more` a thousand times", host->name);
            return DOWN;
        }
        xha_node_cluster(host->node, &tick, &cs->plan);
    }
    csim_rules_after(cs, h);
    return rc;
}

int csim_step_host(struct csim *cs, int h, struct xha_event *ev)
{
    struct csim_host *host = &cs->host[h];
    int rc;

    if (!host->node || cs->failed)
        return DOWN;
    ev->now = csim_host_time(cs, h);
    ev->host = (uint8_t)h;
    memset(cs->persisted_now, 0, cs->n_guests);
    rc = xha_node_host(host->node, ev, &cs->plan);
    return step_out(cs, h, rc);
}

int csim_step_cluster(struct csim *cs, int h, struct xha_cluster_event *ev)
{
    struct csim_host *host = &cs->host[h];
    int rc;

    if (!host->node || cs->failed)
        return DOWN;
    ev->now = csim_host_time(cs, h);
    memset(cs->persisted_now, 0, cs->n_guests);
    rc = xha_node_cluster(host->node, ev, &cs->plan);
    if (rc && ev->type == XHA_CEV_MESSAGE)
        csim_fail(cs, "%s refuses a message of %s: %s", host->name, cs->host[ev->u.message.from].name,
                  xha_core_error_text(rc));
    return step_out(cs, h, rc);
}

void csim_tick(struct csim *cs, int h)
{
    struct xha_cluster_event ev = { .type = XHA_CEV_TICK };
    struct csim_host *host = &cs->host[h];

    cs->tick_ms[h] = CSIM_NEVER;
    csim_step_cluster(cs, h, &ev);
    host->spins = cs->tick_ms[h] <= cs->now_ms ? host->spins + 1 : 0;
    if (host->spins > 100)
        csim_fail(cs, "the node of %s spins: it wants a TICK at %lld, which is now or past", host->name,
                  (long long)cs->plan.next.ms);
}

/* ---- the watchdog ----------------------------------------------------------------------------------------
 */

void csim_info(struct csim *cs, int h)
{
    struct csim_host *host = &cs->host[h];
    const struct csim_host_def *def = &cs->script->host[h];
    struct xha_cluster_event ev = { .type = XHA_CEV_INFO };
    struct xha_host_info *info = &ev.u.info;

    snprintf(info->name, sizeof(info->name), "%s", host->name);
    info->incarnation.boot = csim_host_boot_id(cs, h);
    info->incarnation.generation = host->generation;
    info->memory_kib = def->memory_kib;
    info->pcpus = 16;
    info->version = XHA_WIRE_VERSION;
    snprintf(info->build, sizeof(info->build), "sim");
    snprintf(info->tags, sizeof(info->tags), "%s", def->tags);
    snprintf(info->address, sizeof(info->address), "%s", host->name);
    info->armed = host->wd_info;
    info->watchdog.ms = cs->timing.watchdog.ms;
    for (unsigned k = 0; k < cs->n_hosts; k++)
        if ((int)k != h && !cs->script->host[k].no_fence)
            info->can_fence |= CSIM_BIT(k);
    csim_step_cluster(cs, h, &ev);
}

/* Armed before it says so; disarmed only when everybody durably knows that it is not armed any more. */
static void arm(struct csim *cs, int h)
{
    struct csim_host *host = &cs->host[h];
    struct xha_cluster_status st;
    struct xha_cluster_host me;

    xha_cluster_status(xha_node_state(host->node), &st);
    if (st.armed && !host->wd_armed && !cs->script->host[h].no_watchdog && !host->left) {
        host->wd_armed = true;
        host->wd_boot = host->boot;
        csim_host_poked(cs, h);
    }
    if (host->wd_armed && st.armed != host->wd_info) {
        host->wd_info = st.armed;
        host->wd_disarming = false;
        csim_info(cs, h);
        return;
    }
    if (!host->wd_armed || host->wd_info || !xha_cluster_host(xha_node_state(host->node), (uint8_t)h, &me) ||
        me.info.armed)
        return;
    if (!host->wd_disarming) {
        host->wd_disarming = true;
        host->wd_index = st.index;
    } else if (st.committed >= host->wd_index) {
        host->wd_armed = host->wd_disarming = false;
    }
}

void csim_poke(struct csim *cs, int h)
{
    struct csim_host *host = &cs->host[h];
    int64_t every = cs->timing.poke.ms;

    if (!csim_host_still(cs, h) && host->xhad_go_ms <= cs->now_ms &&
        xha_cluster_may_poke(xha_node_state(host->node))) {
        if (host->wd_armed)
            csim_host_poked(cs, h);
        arm(cs, h);
    }
    if (host->node)
        csim_in(cs, every + csim_some(cs, 0, every / 10), future(CSIM_F_POKE, h, host->life));
}

/* ---- up and down -----------------------------------------------------------------------------------------
 */

static void recall(struct csim *cs, int h)
{
    struct csim_host *host = &cs->host[h];

    for (unsigned i = 0; i < host->disk.log.n && host->node; i++) {
        struct xha_cluster_event ev = { .type = XHA_CEV_RECALL };

        ev.u.message.bytes = host->disk.log.at[i].blob->bytes;
        ev.u.message.len = host->disk.log.at[i].blob->len;
        if (csim_step_cluster(cs, h, &ev) == XHA_CORE_E_INVAL)
            csim_fail(cs, "%s cannot read its own log", host->name);
    }
    for (unsigned o = 1; o <= host->records; o++) {
        for (unsigned g = 0; g < cs->n_guests && host->node; g++) {
            struct xha_event ev = { .type = XHA_EV_RECALL, .uuid = cs->guest[g].uuid };
            struct xha_record record = host->record[g].record;
            struct xha_policy policy = host->record[g].policy;

            if (!host->record[g].there || host->record[g].order != o)
                continue;
            ev.u.protect.policy = &policy;
            ev.u.protect.record = &record;
            snprintf(ev.u.protect.name, sizeof(ev.u.protect.name), "%s", cs->guest[g].name);
            csim_step_host(cs, h, &ev);
        }
    }
}

static void resolve(struct csim *cs, int h, unsigned g, uint64_t id)
{
    struct xha_event ev = { .type = XHA_EV_DONE, .uuid = cs->guest[g].uuid };

    if (!cs->host[h].node || !cs->host[h].record[g].there || !id || csim_job_find(cs, h, id))
        return;
    ev.u.done.id = id;
    ev.u.done.result = XHA_UNKNOWN;
    ev.u.done.domid = XHA_DOMID_NONE;
    csim_step_host(cs, h, &ev);
}

/* Deeds that were written down, but of which there is no trace: nobody knows whether they began. */
static void pending_resolve(struct csim *cs, int h)
{
    for (unsigned g = 0; g < cs->n_guests; g++) {
        struct xha_record record = cs->host[h].record[g].record;

        resolve(cs, h, g, record.pending_id);
        resolve(cs, h, g, record.repl_deed);
    }
}

void csim_xhad_up(struct csim *cs, int h)
{
    struct csim_host *host = &cs->host[h];
    struct xha_node_settings settings = {
        .host = cs->settings,
        .cluster = { .self = (uint8_t)h, .max_domains = cs->settings.max_domains, .log_max = LOG_MAX },
    };
    int rc;

    if (host->node || !host->power || host->left)
        return;
    for (unsigned g = 0; g < cs->n_guests; g++) {
        host->texts[g] = 0;
        host->texts_due[g] = false;
        if (host->record[g].there && host->record[g].record.pending_id >= host->next_id)
            host->next_id = host->record[g].record.pending_id + 1;
        if (host->record[g].there && host->record[g].record.repl_deed >= host->next_id)
            host->next_id = host->record[g].record.repl_deed + 1;
    }
    rc = xha_node_new(&settings, host->next_id, &host->node);
    if (rc) {
        csim_fail(cs, "xha_node_new: %s", xha_core_error_text(rc));
        return;
    }
    host->life = ++cs->serial;
    host->die_after = -1;
    host->up_since_ms = cs->now_ms;
    host->told_ms = -1;
    host->active = false;
    cs->tick_ms[h] = CSIM_NEVER;
    csim_say(cs, host->name, "xhad is up");
    recall(cs, h);
    if (host->node)
        csim_info(cs, h);
    if (host->node)
        pending_resolve(cs, h);
    if (!host->node || cs->failed)
        return;
    csim_jobs_redeliver(cs, h);
    if (host->coro) {
        struct xha_cluster_event ev = { .type = XHA_CEV_QUORUM };

        csim_net_send(cs, h, CSIM_O_JOIN, NULL, 0);
        ev.u.quorum.quorate = host->quorum_told;
        ev.u.quorum.exclusive = cs->script->votes != CSIM_TWO_NODE;
        csim_step_cluster(cs, h, &ev);
    }
    if (host->node)
        csim_in(cs, csim_some(cs, 0, cs->timing.poke.ms), future(CSIM_F_POKE, h, host->life));
}

void csim_xhad_down(struct csim *cs, int h, int64_t down_ms, bool power)
{
    struct csim_host *host = &cs->host[h];

    if (!host->node)
        return;
    if (!power)
        csim_say(cs, host->name, "xhad is down");
    xha_node_free(host->node);
    host->node = NULL;
    host->xhad_go_ms = 0;
    host->down_since_ms = cs->now_ms;
    cs->tick_ms[h] = CSIM_NEVER;
    disk_lost(cs, &host->disk, power);
    csim_asks_lost(cs, h);
    if (!power)
        csim_net_client_gone(cs, h);
    if (down_ms >= 0)
        csim_in(cs, down_ms, future(CSIM_F_XHAD_UP, h, host->boot));
}

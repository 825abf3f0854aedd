/*
 * store.c - the domains that the core knows: found by UUID, listed by host, turned into the record that
 * outlives xhad and back.
 */
#include "internal.h"

/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/; a UUID is random enough for any hash. */
static uint32_t bucket(const struct xha_core *core, const struct xha_uuid *uuid)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < sizeof uuid->b; i++)
        h = (h ^ uuid->b[i]) * 16777619u;
    return h & (core->n_hash - 1);
}

struct dom *xha_store_find(const struct xha_core *core, const struct xha_uuid *uuid)
{
    for (uint32_t i = core->hash[bucket(core, uuid)]; i != NONE32; i = core->dom[i].hash_next)
        if (!memcmp(&core->dom[i].uuid, uuid, sizeof *uuid))
            return &core->dom[i];
    return NULL;
}

struct dom *xha_store_add(struct xha_core *core, const struct xha_uuid *uuid)
{
    if (!core->n_free)
        return NULL;
    struct dom *d = &core->dom[core->free[--core->n_free]];
    uint32_t *head = &core->hash[bucket(core, uuid)];

    memset(d, 0, sizeof *d);
    d->used = true;
    d->uuid = *uuid;
    d->domid = XHA_DOMID_NONE;
    d->listed.ms = d->other.listed.ms = -1;
    d->settled.ms = -1;
    d->hash_next = *head;
    *head = index_of(core, d);
    core->order[core->n++] = index_of(core, d);
    return d;
}

void xha_store_drop(struct xha_core *core, struct dom *d)
{
    uint32_t i = index_of(core, d), k = 0, *at = &core->hash[bucket(core, &d->uuid)];

    while (*at != i)
        at = &core->dom[*at].hash_next;
    *at = d->hash_next;
    for (int t = 0; t < TIMER_N_; t++)
        xha_timer_off(core, d, t);
    while (core->order[k] != i)
        k++;
    memmove(&core->order[k], &core->order[k + 1], (--core->n - k) * sizeof *core->order);
    d->used = false;
    core->free[core->n_free++] = i;
}

static struct link *link_present(struct dom *d)
{
    return &d->present;
}

struct link *xha_link_late(struct dom *d)
{
    return &d->lates;
}

void xha_list_append(struct xha_core *core, struct list *list, struct link *(*of)(struct dom *),
                     struct dom *d)
{
    uint32_t i = index_of(core, d);

    *of(d) = (struct link){ .prev = list->tail, .next = NONE32 };
    if (list->tail == NONE32)
        list->head = i;
    else
        of(&core->dom[list->tail])->next = i;
    list->tail = i;
}

void xha_list_remove(struct xha_core *core, struct list *list, struct link *(*of)(struct dom *),
                     struct dom *d)
{
    struct link *l = of(d);

    if (l->prev == NONE32)
        list->head = l->next;
    else
        of(&core->dom[l->prev])->next = l->next;
    if (l->next == NONE32)
        list->tail = l->prev;
    else
        of(&core->dom[l->next])->prev = l->prev;
}

static void leave_present(struct xha_core *core, struct dom *d)
{
    struct host *h = host_of(core, d);

    if (!d->in_present)
        return;
    if (h->sweeping && h->sweep_next == index_of(core, d))
        h->sweep_next = d->present.next;
    xha_list_remove(core, &h->present, link_present, d);
    d->in_present = false;
}

void xha_store_domid(struct xha_core *core, struct dom *d, int32_t domid)
{
    if (d->domid != domid) {
        d->domid = domid;
        xha_forget_sight(core, d);
        xha_persist(core, d);
    }
    leave_present(core, d);
    if (domid != XHA_DOMID_NONE)
        xha_store_seen(core, d);
}

/* The list is kept in the order of sighting, so that whoever a listing left out stands at its head. */
void xha_store_seen(struct xha_core *core, struct dom *d)
{
    leave_present(core, d);
    xha_list_append(core, &host_of(core, d)->present, link_present, d);
    d->in_present = true;
}

void xha_store_save(const struct xha_core *core, const struct dom *d, struct xha_record *record_r)
{
    *record_r = (struct xha_record){
        .term = d->term,
        .state = d->state,
        .purpose = d->purpose,
        .pending = d->pending                  ? d->pending
                   : d->state == XHA_ST_UNSURE ? d->lost
                                               : XHA_ACT_NONE,
        .maintenance = d->state == XHA_ST_MAINTENANCE,
        .want_run = d->want_run,
        .ever_beat = d->ever_beat,
        .host_maintenance = core->host[d->host].maintenance,
        .failure = d->failure,
        .restores = d->restores,
        .host = d->host,
        .domid = d->domid,
        .pending_id = d->pending ? d->pending_id : 0,
        .checkpoint = d->checkpoint,
        .deferred = d->deferred ? (uint8_t)(d->deferred_do + 1) : 0,
        .deferred_checkpoint = d->deferred_checkpoint,
        .n_recoveries = d->n_recoveries,
        .since = d->since,
        .move = d->move.id,
        .move_peer = d->move.peer,
        .move_disks = d->move.disks,
        .move_sent = d->move_sent,
        .verdict = d->verdict,
        .yield = d->yield,
        .relocate = d->relocate,
        .given_up = d->given_up,
        .repl = d->repl.id,
        .repl_peer = d->repl.peer,
        .repl_stage = (uint8_t)d->repl_stage,
        .repl_deed = d->repl_deed,
    };
    memcpy(record_r->recovery, d->recovery, sizeof record_r->recovery);
}

void xha_store_load(struct xha_core *core, struct dom *d, const struct xha_record *r)
{
    d->term = r->term;
    d->state = r->state;
    d->purpose = r->purpose;
    d->want_run = r->want_run;
    d->ever_beat = r->ever_beat;
    d->failure = r->failure;
    d->restores = r->restores;
    d->checkpoint = r->checkpoint;
    d->deferred = r->deferred;
    d->deferred_do = d->deferred ? (enum xha_order_type)(r->deferred - 1) : XHA_DO_START;
    d->deferred_checkpoint = r->deferred_checkpoint;
    d->n_recoveries = r->n_recoveries;
    d->move = (struct xha_move){ .id = r->move, .peer = r->move_peer, .disks = r->move_disks };
    d->move_sent = r->move_sent;
    d->verdict = r->verdict;
    d->yield = r->yield;
    d->relocate = r->relocate;
    d->given_up = r->given_up;
    d->repl = (struct xha_move){ .id = r->repl, .peer = r->repl_peer };
    d->repl_stage = r->repl_stage;
    d->repl_deed = r->repl_deed;
    d->since = before(core->now, r->since) ? core->now : r->since;
    memcpy(d->recovery, r->recovery, sizeof d->recovery);
    for (uint32_t i = 0; i < d->n_recoveries; i++)
        if (before(core->now, d->recovery[i])) /* the clock was set back meanwhile */
            d->recovery[i] = core->now;
    core->host[d->host].maintenance |= r->host_maintenance;
}

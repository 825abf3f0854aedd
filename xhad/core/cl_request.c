/*
 * cl_request.c - what people want. A request is kept by the host where it was given until it is applied, is done
 * once however often it is said (its number tells), and is answered when what it did is committed. An order
 * for a domain's host core is handed on by the domain's owner, once committed, and its answer comes back.
 */
#include "cl_internal.h"

#include <stdio.h>

#define ASK_OWNER 1 /* of check(): the owner's host core answers */

/* ---- may it be? The same for all, and for -N ---- */

static int refuse(char *text, size_t len, int rc, const char *why)
{
    if (text)
        snprintf(text, len, "%s", why);
    return rc;
}

static int check_order(const struct xha_cluster *cl, const struct cl_dom *d, const struct cl_request *r,
                       char *text, size_t len)
{
    bool rest = r->order == XHA_DO_START || r->order == XHA_DO_STOP;

    if (d->phase == XHA_PH_MOVING)
        return refuse(text, len, XHA_CORE_E_BUSY, "it is being moved; try again when it has arrived");
    if (d->phase == XHA_PH_FREE)
        return rest ? XHA_CORE_OK
                    : refuse(text, len, XHA_CORE_E_STATE, "it is on no host: it must be started first");
    if (cl_in(cl->st->members, d->owner) && cl->st->host[d->owner].state == XHA_HOST_IN)
        return ASK_OWNER;
    /* Not even a stop: when the host is back it knows nothing of it, and its domain runs on. */
    return refuse(
        text, len, XHA_CORE_E_STATE,
        "its host does not take part now, so it is not known what runs; give the order again when the "
        "host is back or fenced");
}

static int check_protect(const struct xha_cluster *cl, const struct cl_dom *d, const struct cl_request *r,
                         char *text, size_t len)
{
    if (!r->name[0] || r->policy.priority > 1000 || r->policy.start_order >= XHA_TIERS)
        return refuse(text, len, XHA_CORE_E_INVAL, "its policy is not a valid one");
    if (d)
        return XHA_CORE_OK;
    if (cl->st->n >= xha_cl_capacity(cl->st) || cl->st->n >= cl->set.max_domains)
        return refuse(text, len, XHA_CORE_E_FULL, "max_domains is reached on one of the hosts");
    if (r->host != XHA_HOST_NONE &&
        (!cl_in(cl->st->members, r->host) || cl->st->host[r->host].state != XHA_HOST_IN))
        return refuse(text, len, XHA_CORE_E_STATE, "the host that it runs on does not take part now");
    return XHA_CORE_OK;
}

static int check_leave(const struct xha_cluster *cl, uint8_t origin, char *text, size_t len)
{
    const struct cl_host *h = &cl->st->host[origin];

    if (h->state != XHA_HOST_IN)
        return refuse(text, len, XHA_CORE_E_STATE, "this host does not take part now");
    for (uint32_t i = h->owned.head; i != NONE32; i = cl->st->dom[i].link[CL_L_OWNED].next) {
        const struct cl_dom *d = &cl->st->dom[i];

        if (!d->want_run && d->phase == XHA_PH_OWNED)
            continue;
        if (text)
            snprintf(text, len, "%s runs here: empty this host first (`xl-ha maintenance HOST on`)", d->name);
        return XHA_CORE_E_STATE;
    }
    if (h->moving_in)
        return refuse(text, len, XHA_CORE_E_BUSY, "a domain is on its way here");
    return XHA_CORE_OK;
}

static int check_host(const struct xha_cluster *cl, const struct cl_request *r, char *text, size_t len)
{
    const struct cl_host *h;

    if (r->host >= XHA_HOSTS_MAX || cl->st->host[r->host].state == XHA_HOST_UNKNOWN)
        return refuse(text, len, XHA_CORE_E_INVAL, "there is no such host");
    h = &cl->st->host[r->host];
    if (r->what == XHA_RQ_CONFIRM_FENCED && h->state != XHA_HOST_LOST)
        return refuse(text, len, XHA_CORE_E_STATE, "it is not lost: nothing needs to be confirmed");
    if (r->what == XHA_RQ_FORGET_HOST &&
        ((h->state != XHA_HOST_LEFT && h->state != XHA_HOST_FENCED) || cl_in(cl->st->members, r->host)))
        return refuse(text, len, XHA_CORE_E_STATE,
                      "only a host that has left or was fenced can be forgotten");
    return XHA_CORE_OK;
}

static int check_domain(const struct xha_cluster *cl, const struct xha_uuid *uuid, const struct cl_request *r,
                        char *text, size_t len)
{
    const struct cl_dom *d = xha_cl_find(cl->st, uuid);
    const char *why;

    if (r->what == XHA_RQ_PROTECT)
        return check_protect(cl, d, r, text, len);
    if (!d)
        return refuse(text, len, XHA_CORE_E_NODOMAIN, "no such domain is protected");
    switch (r->what) {
    case XHA_RQ_ORDER:
        return check_order(cl, d, r, text, len);
    case XHA_RQ_UNPROTECT:
        return d->phase == XHA_PH_MOVING ? refuse(text, len, XHA_CORE_E_BUSY, "it is being moved")
                                         : XHA_CORE_OK;
    case XHA_RQ_MIGRATE:
        why = r->host == XHA_HOST_NONE ? "no host has room for it" : xha_cl_may_move(cl, d, r->host);
        if (!why && d->needs.copy_storage && r->mode != XHA_MOVE_AUTO && r->mode != XHA_MOVE_COLD)
            why = "its disks are its host's alone (storage = \"copy\"): they can only be moved cold";
        return why ? refuse(text, len, XHA_CORE_E_STATE, why) : XHA_CORE_OK;
    default: /* MIGRATE_ABORT */
        return d->phase == XHA_PH_MOVING ? XHA_CORE_OK
                                         : refuse(text, len, XHA_CORE_E_STATE, "it is not being moved");
    }
}

int xha_cl_request_check(const struct xha_cluster *cl, uint8_t origin, const struct xha_uuid *uuid,
                         const struct cl_request *r, char *text, size_t len)
{
    if (text && len)
        text[0] = '\0';
    switch (r->what) {
    case XHA_RQ_HOST_MAINTENANCE:
    case XHA_RQ_CONFIRM_FENCED:
    case XHA_RQ_FORGET_HOST:
        return check_host(cl, r, text, len);
    case XHA_RQ_LEAVE:
        return check_leave(cl, origin, text, len);
    case XHA_RQ_ARM:
        return XHA_CORE_OK;
    case XHA_RQ_SETTINGS: /* rule 3 must hold whoever sends them */
        if (xha_timing_sound(&r->settings.timing))
            return XHA_CORE_OK;
        if (text)
            snprintf(text, len, "these times would let a domain run twice: see xl-ha timing");
        return XHA_CORE_E_INVAL;
    case XHA_RQ_N_:
        return XHA_CORE_E_INVAL;
    default:
        return check_domain(cl, uuid, r, text, len);
    }
}

/* ---- applied ---- */

static void push_order(struct xha_cluster *cl, const struct cl_message *m)
{
    for (uint32_t i = 0; i < CL_ORDERS_MAX; i++) {
        struct cl_order *o = &cl->order[i];

        if (o->state != CL_O_UNUSED)
            continue;
        memset(o, 0, sizeof *o);
        o->state = CL_O_WAITS;
        o->request.origin = m->from;
        o->request.number = m->u.request.number;
        o->uuid = m->uuid;
        o->order = m->u.request.order;
        o->checkpoint = m->u.request.checkpoint;
        o->index = cl->st->rank.index;
        cl->n_orders++;
        return;
    }
    xha_cl_say(cl, XHA_SEV_WARNING, XHA_CC_NONE, cl->self, &m->uuid, 0,
               "too many orders wait on this host: one was not carried out; give it again");
}

static void do_order(struct xha_cluster *cl, struct cl_dom *d, const struct cl_message *m)
{
    d->want_run = m->u.request.order == XHA_DO_START;
    if (d->phase == XHA_PH_FREE) {
        if (d->pair.id) /* also a start: whoever orders it does not want to wait for the copy */
            xha_cl_unpair(cl, d, "an operator's order");
        d->purpose = d->want_run ? XHA_FOR_START : XHA_FOR_NOTHING;
        d->failure = XHA_FAIL_NONE;
        d->refused = 0;
        xha_cl_queue_drop(cl, d); /* it waits no longer */
        d->tries = 0;
        d->capped = false;
        d->report.state = d->want_run ? XHA_ST_QUEUED : XHA_ST_STOPPED;
    }
    xha_cl_touch(cl, d);
}

static void do_protect(struct xha_cluster *cl, struct cl_dom *d, const struct cl_message *m)
{
    const struct cl_request *r = &m->u.request;
    bool fresh = !d;

    if (fresh && !cl->st->n_free) { /* all slots hold what is gone and not yet committed: let one go early */
        for (uint32_t i = cl->st->changed.head; i != NONE32; i = cl->st->dom[i].link[CL_L_CHANGED].next)
            if (cl->st->dom[i].dropped) {
                if (!cl->replaying)
                    xha_cl_action(cl, XHA_CACT_CHANGED)->uuid = cl->st->dom[i].uuid;
                xha_cl_release(cl->st, &cl->st->dom[i]);
                break;
            }
    }
    if (fresh)
        d = xha_cl_add(cl->st, &m->uuid);
    assert(d);
    memcpy(d->name, r->name, sizeof d->name);
    d->policy = r->policy;
    d->needs = r->needs;
    memcpy(d->digest_policy, r->digest_policy, sizeof d->digest_policy);
    memcpy(d->digest_config, r->digest_config, sizeof d->digest_config);
    if (fresh) {
        d->term = cl->st->terms + 1;
        d->owner = r->host;
        d->phase = r->host == XHA_HOST_NONE ? XHA_PH_FREE : XHA_PH_OWNED;
        d->want_run = r->host != XHA_HOST_NONE || r->policy.autostart;
        d->purpose = r->host == XHA_HOST_NONE && d->want_run ? XHA_FOR_START : XHA_FOR_NOTHING;
        d->report.uuid = m->uuid;
        d->report.domid = XHA_DOMID_NONE;
        d->report.state = XHA_ST_DEFINED;
        d->report.want_run = d->want_run;
        xha_cl_note(cl, XHA_CC_PROTECTED, r->host, &d->uuid, "%s is protected", d->name);
    }
    if (d->pair.id && d->policy.protection != XHA_PROT_REPLICATE)
        xha_cl_unpair(cl, d, "its policy has changed");
    xha_cl_hash_dom(cl->st, d, true);
    xha_cl_place_dom(cl, d);
    xha_cl_changed(cl, d);
}

static void do_unprotect(struct xha_cluster *cl, struct cl_dom *d)
{
    xha_cl_note(cl, XHA_CC_UNPROTECTED, d->owner, &d->uuid, "%s is protected no more", d->name);
    if (d->term > cl->st->terms)
        cl->st->terms = d->term;
    xha_cl_decided(cl, d);
    xha_cl_queue_drop(cl, d);
    xha_cl_place_drop(cl, d);
    xha_cl_remove(cl->st, CL_L_SAY, d);
    d->gone_owner = d->phase == XHA_PH_FREE ? XHA_HOST_NONE : d->owner;
    d->gone_term = d->term;
    xha_cl_unindex(cl->st, d);
    d->changed = cl->st->rank.index;
    xha_cl_append(cl->st, &cl->st->changed, CL_L_CHANGED, d);
}

static void do_leave(struct xha_cluster *cl, uint8_t host)
{
    struct cl_host *h = &cl->st->host[host];

    while (h->owned.head != NONE32)
        xha_cl_rest(cl, &cl->st->dom[h->owned.head]);
    xha_cl_unback(cl, host, "the backup has left");
    h->state = XHA_HOST_LEFT;
    h->info.armed = false;
    if (host == cl->self)
        cl->leaving = true;
    xha_cl_note(cl, XHA_CC_HOST_LEFT, host, NULL, "host %s has left", xha_cl_host_name(cl, host));
    xha_cl_host_changed(cl, host);
    xha_cl_mark_settled(cl);
}

static void do_arm(struct xha_cluster *cl, bool on)
{
    cl->st->armed = on;
    cl->st->armed_changed = cl->st->rank.index;
    /* A watchdog counts when its host has said so after this. */
    for (uint8_t h = 0; h < XHA_HOSTS_MAX; h++)
        if (cl->st->host[h].info.armed) {
            cl->st->host[h].info.armed = false;
            xha_cl_hash_host(cl->st, h);
        }
    xha_cl_note(cl, on ? XHA_CC_ARMED : XHA_CC_DISARMED, XHA_HOST_NONE, NULL, "self-fencing is %s",
                on ? "on" : "off");
}

static void do_host(struct xha_cluster *cl, const struct cl_request *r)
{
    struct cl_host *h = &cl->st->host[r->host];

    switch (r->what) {
    case XHA_RQ_HOST_MAINTENANCE:
        if (h->maintenance != r->on)
            xha_cl_note(cl, r->on ? XHA_CC_MAINTENANCE_ON : XHA_CC_MAINTENANCE_OFF, r->host, NULL,
                        "host %s: maintenance %s", xha_cl_host_name(cl, r->host), r->on ? "on" : "off");
        h->maintenance = r->on;
        if (r->on)
            xha_cl_unback(cl, r->host, "maintenance of the backup");
        cl->eye[r->host].evacuated_said = false;
        cl->eye[r->host].evacuate_next.ms = 0;
        break;
    case XHA_RQ_CONFIRM_FENCED:
        xha_cl_fenced(cl, r->host, XHA_FENCED_OPERATOR);
        break;
    default: /* FORGET_HOST */
        cl->st->hash ^= h->hash;
        memset(h, 0, offsetof(struct cl_host, hash));
        h->hash = 0;
        h->executor = XHA_HOST_NONE;
        xha_cl_mark_settled(cl);
        break;
    }
    xha_cl_place_names(cl);
    if (h->state != XHA_HOST_UNKNOWN)
        xha_cl_host_changed(cl, r->host);
    else
        xha_cl_place_host(cl, r->host);
}

/* What is done with the domain itself is done by its owner alone; and when that was ordered, no copy takes over. */
static bool ends_pair(enum xha_order_type order)
{
    return order == XHA_DO_STOP || order == XHA_DO_RESTART || order == XHA_DO_RESTORE ||
           order == XHA_DO_CHECKPOINT || order == XHA_DO_MAINTENANCE_ON;
}

static void do_it(struct xha_cluster *cl, const struct cl_message *m, int rc)
{
    const struct cl_request *r = &m->u.request;
    struct cl_dom *d = xha_cl_find(cl->st, &m->uuid);

    switch (r->what) {
    case XHA_RQ_ORDER:
        if (rc == ASK_OWNER && d->pair.id && ends_pair(r->order))
            xha_cl_unpair(cl, d, "an operator's order");
        if (rc != ASK_OWNER)
            do_order(cl, d, m);
        else if (d->owner == cl->self && !cl->replaying)
            push_order(cl, m);
        break;
    case XHA_RQ_PROTECT:
        do_protect(cl, d, m);
        break;
    case XHA_RQ_UNPROTECT:
        do_unprotect(cl, d);
        break;
    case XHA_RQ_MIGRATE:
        xha_cl_begin_move(cl, d, r->host, r->mode, XHA_MOVE_BY_OPERATOR);
        break;
    case XHA_RQ_MIGRATE_ABORT:
        xha_cl_end_move(cl, d, "an operator gave the move up");
        break;
    case XHA_RQ_ARM:
        do_arm(cl, r->on);
        break;
    case XHA_RQ_LEAVE:
        do_leave(cl, m->from);
        break;
    case XHA_RQ_SETTINGS:
        cl->st->policy = r->settings;
        xha_cl_hash_policy(cl->st);
        for (uint8_t h = 0; h < XHA_HOSTS_MAX; h++)
            xha_cl_place_host(cl, h);
        xha_cl_queue_kick(cl);
        xha_cl_note(cl, XHA_CC_SETTINGS, XHA_HOST_NONE, NULL, "the cluster's settings were changed");
        break;
    default:
        do_host(cl, r);
        break;
    }
}

static struct cl_wait *wait_of(struct xha_cluster *cl, uint64_t number)
{
    for (uint32_t i = 0; i < CL_PENDING_MAX; i++)
        if (cl->wait[i].state != CL_W_UNUSED && cl->wait[i].number == number)
            return &cl->wait[i];
    return NULL;
}

void xha_cl_apply_request(struct xha_cluster *cl, const struct cl_message *m)
{
    const struct cl_request *r = &m->u.request;
    struct cl_host *h = &cl->st->host[m->from];
    const struct cl_dom *d = xha_cl_find(cl->st, &m->uuid);
    uint8_t owner = d ? d->owner : XHA_HOST_NONE;
    char text[XHA_TEXT_MAX];
    struct cl_wait *wait;
    int rc;

    if (r->number <= h->last_request)
        return;
    h->last_request = r->number;
    xha_cl_hash_host(cl->st, m->from);
    rc = xha_cl_request_check(cl, m->from, &m->uuid, r, text, sizeof text);
    if (rc >= 0)
        do_it(cl, m, rc);
    if (m->from != cl->self || cl->replaying || !(wait = wait_of(cl, r->number)))
        return;
    wait->state = rc == ASK_OWNER ? CL_W_OWNER : CL_W_APPLIED;
    wait->owner = owner;
    wait->index = cl->st->rank.index;
    wait->rc = rc;
    memcpy(wait->text, text, sizeof wait->text);
}

/* ---- the host where it was given ---- */

int xha_cl_request_fill(const struct xha_cluster *cl, const struct xha_cluster_event *ev,
                        struct cl_request *r)
{
    memset(r, 0, sizeof *r);
    if ((uint32_t)ev->u.request.what >= XHA_RQ_N_ || (uint32_t)ev->u.request.mode >= XHA_MOVE_MODE_N_ ||
        (uint32_t)ev->u.request.order >= XHA_DO_N_ ||
        (ev->u.request.host >= XHA_HOSTS_MAX && ev->u.request.host != XHA_HOST_NONE))
        return XHA_CORE_E_INVAL;
    r->number = ev->u.request.number;
    r->what = ev->u.request.what;
    r->host = ev->u.request.host;
    r->on = ev->u.request.on;
    r->mode = ev->u.request.mode;
    r->order = ev->u.request.order;
    r->checkpoint = ev->u.request.checkpoint;
    if (r->what == XHA_RQ_SETTINGS) {
        if (!ev->u.request.settings)
            return XHA_CORE_E_INVAL;
        r->settings = *ev->u.request.settings;
    }
    if (r->what == XHA_RQ_PROTECT) {
        if (!ev->u.request.policy || !ev->u.request.needs)
            return XHA_CORE_E_INVAL;
        snprintf(r->name, sizeof r->name, "%s", ev->u.request.name);
        r->policy = *ev->u.request.policy;
        r->needs = *ev->u.request.needs;
        memcpy(r->digest_policy, ev->u.request.digest_policy, sizeof r->digest_policy);
        memcpy(r->digest_config, ev->u.request.digest_config, sizeof r->digest_config);
    }
    if (r->what == XHA_RQ_MIGRATE && r->host == XHA_HOST_NONE) {
        const struct cl_dom *d = xha_cl_find(cl->st, &ev->uuid);

        if (d && d->phase == XHA_PH_OWNED)
            r->host = xha_cl_move_target(cl, d, XHA_HOST_NONE, NULL, 0);
    }
    return XHA_CORE_OK;
}

/* What only the host where it was given looks at: room now, and N+k. */
static int check_room(const struct xha_cluster *cl, const struct xha_uuid *uuid, const struct cl_request *r,
                      char *text, size_t len)
{
    const struct cl_dom *d = xha_cl_find(cl->st, uuid);

    if (r->what == XHA_RQ_MIGRATE && d && !xha_cl_place_may(cl, d, r->host, text, len))
        return XHA_CORE_E_STATE;
    if (r->what == XHA_RQ_PROTECT && !d && cl->st->policy.survive && !xha_cl_place_survives(cl, r, text, len))
        return XHA_CORE_E_STATE;
    return XHA_CORE_OK;
}

int xha_cluster_may(const struct xha_cluster *cl, const struct xha_cluster_event *ev, char *text, size_t len)
{
    struct cl_request r;
    int rc = xha_cl_request_fill(cl, ev, &r);

    if (!rc)
        rc = xha_cl_request_check(cl, cl->self, &ev->uuid, &r, text, len);
    else if (text && len)
        text[0] = '\0';
    if (rc >= 0)
        rc = check_room(cl, &ev->uuid, &r, text, len);
    return rc;
}

static void answer_now(struct xha_cluster *cl, uint64_t number, int rc, const char *text)
{
    struct xha_cluster_action *a;

    if (!xha_cl_room(cl, 1, 0))
        return;
    a = xha_cl_action(cl, XHA_CACT_RESULT);
    a->u.result.number = number;
    a->u.result.rc = rc;
    snprintf(a->u.result.text, sizeof a->u.result.text, "%s", text);
}

int xha_cl_request(struct xha_cluster *cl, const struct xha_cluster_event *ev)
{
    struct cl_message *m = xha_cl_put(cl);
    char text[XHA_TEXT_MAX];
    struct cl_wait *wait = NULL;
    struct cl_wire w;
    int rc;

    for (uint32_t i = 0; i < CL_PENDING_MAX; i++) {
        if (cl->wait[i].state == CL_W_UNUSED)
            wait = &cl->wait[i];
        else if (cl->wait[i].number == ev->u.request.number)
            return XHA_CORE_OK; /* said twice by the adapter: its answer is on its way */
    }
    if (!wait)
        return XHA_CORE_E_BUSY;
    rc = xha_cl_request_fill(cl, ev, &m->u.request);
    if (rc || !ev->u.request.number)
        return XHA_CORE_E_INVAL;
    if (xha_cl_synced(cl) && ev->u.request.number <= cl->st->host[cl->self].last_request)
        return XHA_CORE_E_INVAL;
    if (xha_cl_synced(cl)) {
        rc = xha_cl_request_check(cl, cl->self, &ev->uuid, &m->u.request, text, sizeof text);
        if (rc >= 0)
            rc = check_room(cl, &ev->uuid, &m->u.request, text, sizeof text);
        if (rc < 0) { /* the state would say the same; but the number is not used up */
            answer_now(cl, ev->u.request.number, rc, text);
            return XHA_CORE_OK;
        }
    }
    m->type = CL_REQUEST;
    m->uuid = ev->uuid;
    w = cl_writer(wait->bytes, sizeof wait->bytes);
    if (!xha_cl_encode(m, &w) || xha_cl_decode(wait->bytes, w.pos, cl->in, &(uint32_t){ 0 }))
        return XHA_CORE_E_INVAL;
    wait->len = (uint32_t)w.pos;
    wait->number = ev->u.request.number;
    wait->state = CL_W_QUEUED;
    cl->n_waits++;
    return XHA_CORE_OK;
}

/* ---- said and answered ---- */

static struct cl_wait *next_queued(struct xha_cluster *cl)
{
    struct cl_wait *least = NULL;

    for (uint32_t i = 0; i < CL_PENDING_MAX; i++)
        if (cl->wait[i].state == CL_W_QUEUED && (!least || cl->wait[i].number < least->number))
            least = &cl->wait[i];
    return least;
}

static void say_requests(struct xha_cluster *cl)
{
    struct cl_wait *wait;
    uint32_t version;

    while ((wait = next_queued(cl)) && xha_cl_may_fly(cl)) {
        if (xha_cl_decode(wait->bytes, wait->len, cl->put, &version))
            return; /* it was encoded here: cannot be */
        wait->state = CL_W_FLIES;
        xha_cl_send(cl, CL_REQUEST);
    }
}

/* What was acknowledged outlives this host: an answer waits until what it has changed is committed. */
static bool firm(const struct xha_cluster *cl, struct cl_order *o)
{
    const struct cl_dom *d = xha_cl_find(cl->st, &o->uuid);

    if (!o->index && !(d && xha_cl_report_lacks(cl, d)))
        o->index = cl->st->rank.index;
    return o->rc || (o->index && o->index <= cl->committed);
}

static void say_results(struct xha_cluster *cl)
{
    for (uint32_t i = 0; i < CL_ORDERS_MAX; i++) {
        struct cl_order *o = &cl->order[i];
        struct xha_cluster_action *a;
        struct cl_message *m;

        if (o->state == CL_O_WAITS && o->index <= cl->committed && xha_cl_room(cl, 2, 0)) {
            a = xha_cl_action(cl, XHA_CACT_ORDER);
            a->uuid = o->uuid;
            a->host = cl->self;
            a->u.order.request = o->request;
            a->u.order.order = o->order;
            a->u.order.checkpoint = o->checkpoint;
            o->state = CL_O_GIVEN;
        } else if (o->state == CL_O_ANSWER && firm(cl, o) && xha_cl_room(cl, 2, XHA_MESSAGE_MAX)) {
            m = xha_cl_put(cl);
            m->u.result.request = o->request;
            m->u.result.rc = o->rc;
            memcpy(m->u.result.text, o->text, sizeof o->text);
            o->state = CL_O_FLIES;
            xha_cl_send(cl, CL_RESULT);
        }
    }
}

static void answer_committed(struct xha_cluster *cl)
{
    for (uint32_t i = 0; i < CL_PENDING_MAX; i++) {
        struct cl_wait *wait = &cl->wait[i];

        if ((wait->state != CL_W_DONE && (wait->state != CL_W_APPLIED || wait->index > cl->committed)) ||
            !xha_cl_room(cl, 1, 0))
            continue;
        answer_now(cl, wait->number, wait->rc, wait->text);
        wait->state = CL_W_UNUSED;
        cl->n_waits--;
    }
}

void xha_cl_request_say(struct xha_cluster *cl)
{
    if (cl->n_waits) {
        say_requests(cl);
        answer_committed(cl);
    }
    if (cl->n_orders)
        say_results(cl);
}

/* Who was to answer may be gone, be back without knowing of it, or have got the state without the message. */
void xha_cl_request_owners(struct xha_cluster *cl, xha_hostset stayed)
{
    for (uint32_t i = 0; i < CL_PENDING_MAX; i++) {
        struct cl_wait *wait = &cl->wait[i];

        if (wait->state != CL_W_OWNER || cl_in(stayed, wait->owner))
            continue;
        wait->state = CL_W_DONE;
        wait->rc = XHA_CORE_E_UNKNOWN;
        snprintf(wait->text, sizeof wait->text, "the domain's host went away before it answered");
    }
}

/* A new epoch: what was not applied is said again. */
void xha_cl_request_synced(struct xha_cluster *cl)
{
    for (uint32_t i = 0; i < CL_PENDING_MAX; i++) {
        struct cl_wait *wait = &cl->wait[i];
        bool applied = wait->number <= cl->st->host[cl->self].last_request;

        if (wait->state == CL_W_UNUSED || wait->state == CL_W_DONE)
            continue;
        if (!applied) {
            wait->state = CL_W_QUEUED;
        } else if (wait->state == CL_W_QUEUED || wait->state == CL_W_FLIES) {
            wait->state = CL_W_APPLIED;
            wait->index = cl->st->rank.index;
            wait->rc = XHA_CORE_OK;
            snprintf(wait->text, sizeof wait->text, "done while this host was away; look at the state");
        }
    }
    xha_cl_request_owners(cl, cl->st->members & ~cl->loads);
    for (uint32_t i = 0; i < CL_ORDERS_MAX; i++)
        if (cl->order[i].state == CL_O_FLIES)
            cl->order[i].state = CL_O_ANSWER;
}

/* RESULT was delivered: the origin answers, its sender forgets it. */
void xha_cl_result_told(struct xha_cluster *cl, const struct cl_message *m)
{
    const struct xha_request *name = &m->u.result.request;
    struct cl_wait *wait;

    if (m->from == cl->self)
        for (uint32_t i = 0; i < CL_ORDERS_MAX; i++)
            if (cl->order[i].state == CL_O_FLIES && cl->order[i].request.origin == name->origin &&
                cl->order[i].request.number == name->number) {
                cl->order[i].state = CL_O_UNUSED;
                cl->n_orders--;
            }
    if (name->origin != cl->self || !(wait = wait_of(cl, name->number)) || wait->state != CL_W_OWNER ||
        wait->owner != m->from)
        return;
    wait->state = CL_W_DONE;
    wait->rc = m->u.result.rc;
    memcpy(wait->text, m->u.result.text, sizeof wait->text);
}

/* The host core's answer to an ORDER. */
int xha_cl_result(struct xha_cluster *cl, const struct xha_cluster_event *ev)
{
    for (uint32_t i = 0; i < CL_ORDERS_MAX; i++) {
        struct cl_order *o = &cl->order[i];

        if (o->state != CL_O_GIVEN || o->request.origin != ev->u.result.request.origin ||
            o->request.number != ev->u.result.request.number)
            continue;
        o->state = CL_O_ANSWER;
        o->index = 0;
        o->rc = ev->u.result.rc;
        snprintf(o->text, sizeof o->text, "%s", ev->u.result.text);
        return XHA_CORE_OK;
    }
    return XHA_CORE_E_INVAL;
}

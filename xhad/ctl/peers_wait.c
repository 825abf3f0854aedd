/*
 * peers_wait.c - clients that wait for the end of what they ordered somewhere in the cluster.
 *
 * What the state says of a domain is all that is known here of one that another host owns. A start or restart
 * is done when its report says RUNNING; a stop when it is at rest; a move when it is decided; a host's
 * maintenance when nothing more can leave it. A checkpoint has no state: its worker's end is told by the owner.
 */
#include "xhad/ctl/peers.h"
#include "xhad/base/uuid.h"
#include <string.h>

#define LEFT_MAX 64 /* domains named that cannot leave a host */

enum wait_kind { WAIT_ORDER, WAIT_MOVE, WAIT_MAINTENANCE };

struct left {
    struct xha_uuid uuid;
    char text[XHA_TEXT_MAX];
};

struct xha_peers_wait {
    struct xha_peers_wait *next;
    enum wait_kind kind;
    uint64_t client;
    struct xha_uuid uuid;
    char name[XHA_NAME_MAX];
    char last[XHA_TEXT_MAX]; /* what was said of it last that was no good */
    /* ORDER */
    enum xha_order_type order;
    struct xha_report before;
    bool changed; /* its state was another one since */
    /* MOVE */
    uint64_t last_move;
    uint8_t target;
    enum xha_move_mode mode;
    char how[64]; /* the worker's word on a mode that it chose itself */
    /* MAINTENANCE */
    uint8_t host;
    uint32_t total, told;
    xha_peers_then *then; /* instead of an answer */
    struct left *left;
    size_t n_left;
    char moved[XHA_NAME_MAX]; /* the last one that left */
};

/* ---- coming and going ---- */

static struct xha_peers_wait *wait_new(struct xha_peers *p, enum wait_kind kind, uint64_t client)
{
    struct xha_peers_wait *w = calloc(1, sizeof *w);

    if (!w)
        abort();
    w->kind = kind;
    w->client = client;
    w->target = w->host = XHA_HOST_NONE;
    w->next = p->waits;
    p->waits = w;
    return w;
}

static void end(struct xha_peers_wait **at)
{
    struct xha_peers_wait *w = *at;

    *at = w->next;
    free(w->left);
    free(w);
}

static void end_ok(struct xha_peers *p, struct xha_peers_wait **at, json_t *result)
{
    uint64_t client = (*at)->client;

    end(at);
    xha_control_ok(p->d->control, client, result);
}

/* The text may be the waiter's own, which is gone before anybody is answered. */
static void end_error(struct xha_peers *p, struct xha_peers_wait **at, const char *code, const char *text)
{
    uint64_t client = (*at)->client;
    char said[XHA_TEXT_MAX + 400];

    snprintf(said, sizeof said, "%s", text);
    end(at);
    xha_control_error(p->d->control, client, code, said, "xl-ha why DOMAIN tells the whole story");
}

void xha_peers_wait_order(struct xha_peers *p, uint64_t client, const struct xha_uuid *uuid,
                          enum xha_order_type order)
{
    struct xha_peers_wait *w = wait_new(p, WAIT_ORDER, client);
    struct xha_cluster_domain dom;

    w->uuid = *uuid;
    w->order = order;
    if (xha_cluster_find(xha_peers_state(p), uuid, &dom) == 0) {
        w->before = dom.report;
        snprintf(w->name, sizeof w->name, "%s", dom.name);
    }
}

void xha_peers_wait_move(struct xha_peers *p, uint64_t client, const struct xha_uuid *uuid,
                         uint64_t last_move)
{
    struct xha_peers_wait *w = wait_new(p, WAIT_MOVE, client);

    w->uuid = *uuid;
    w->last_move = last_move;
}

static uint32_t count_of(const struct xha_peers *p, uint8_t host)
{
    struct xha_cluster_host h;

    return xha_cluster_host(xha_peers_state(p), host, &h) ? h.running : 0;
}

void xha_peers_wait_maintenance(struct xha_peers *p, uint64_t client, uint8_t host, xha_peers_then *then)
{
    struct xha_peers_wait *w = wait_new(p, WAIT_MAINTENANCE, client);

    w->host = host;
    w->total = count_of(p, host);
    w->told = UINT32_MAX;
    w->then = then;
    w->left = calloc(LEFT_MAX, sizeof *w->left);
    if (!w->left)
        abort();
}

void xha_peers_wait_close(struct xha_peers *p)
{
    while (p->waits)
        end(&p->waits);
}

/* ---- orders ---- */

enum verdict { GOES_ON, REACHED, MISSED };

static bool at_rest(enum xha_state state)
{
    return state == XHA_ST_STOPPED || state == XHA_ST_DEFINED;
}

static enum verdict judge_stop(const struct xha_peers_wait *w, const struct xha_cluster_domain *dom)
{
    const struct xha_report *r = &dom->report;

    if (dom->phase == XHA_PH_FREE)
        return dom->want_run ? GOES_ON : REACHED;
    if (at_rest(r->state) && (w->changed || at_rest(w->before.state)))
        return REACHED;
    if (r->state == XHA_ST_FAILED || r->state == XHA_ST_ERROR || r->state == XHA_ST_MAINTENANCE)
        return w->changed || w->before.state == r->state ? MISSED : GOES_ON;
    return r->state == XHA_ST_RUNNING && w->changed && dom->want_run ? MISSED : GOES_ON;
}

static enum verdict judge_run(const struct xha_peers_wait *w, const struct xha_cluster_domain *dom)
{
    const struct xha_report *r = &dom->report;
    bool anew = w->order == XHA_DO_RESTART || w->order == XHA_DO_RESTORE;

    if (dom->phase == XHA_PH_FREE)
        return dom->want_run || !w->changed ? GOES_ON : MISSED;
    switch (r->state) {
    case XHA_ST_RUNNING:
    case XHA_ST_SUSPECT:
    case XHA_ST_PAUSED:
        return !anew || r->domid != w->before.domid || r->term != w->before.term ? REACHED : GOES_ON;
    case XHA_ST_FAILED:
    case XHA_ST_ERROR:
    case XHA_ST_MAINTENANCE:
        return w->changed ? MISSED : GOES_ON;
    default:
        return GOES_ON;
    }
}

static void check_order(struct xha_peers *p, struct xha_peers_wait **at, const struct xha_cluster_domain *dom)
{
    struct xha_peers_wait *w = *at;
    char text[XHA_TEXT_MAX + 400], host[XHA_HOST_TEXT], why[256];
    enum verdict verdict;

    w->changed |= dom->report.state != w->before.state || dom->report.domid != w->before.domid;
    if (w->order == XHA_DO_STOP)
        verdict = judge_stop(w, dom);
    else if (w->order == XHA_DO_START || w->order == XHA_DO_RESTART || w->order == XHA_DO_RESTORE)
        verdict = judge_run(w, dom);
    else
        return;
    if (verdict == GOES_ON)
        return;
    if (verdict == REACHED) {
        end_ok(p, at,
               json_pack("{s:s, s:s, s:i, s:o}", "domain", dom->name, "state",
                         dom->phase == XHA_PH_FREE ? "stopped" : xha_state_name(dom->report.state), "domid",
                         (int)dom->report.domid, "host",
                         dom->phase == XHA_PH_FREE ? json_null()
                                                   : json_string(xha_peers_host(p, dom->owner, host))));
        return;
    }
    snprintf(text, sizeof text, "%s: %s (%s)%s%s", dom->name, xha_state_name(dom->report.state),
             xha_cause_text(dom->report.cause, dom->report.detail, why, sizeof why), w->last[0] ? ": " : "",
             w->last);
    end_error(p, at, "failed", text);
}

/* ---- moves ---- */

static void check_move(struct xha_peers *p, struct xha_peers_wait **at, const struct xha_cluster_domain *dom)
{
    struct xha_peers_wait *w = *at;
    char text[XHA_TEXT_MAX + 300], host[XHA_HOST_TEXT];

    if (dom->phase == XHA_PH_MOVING) {
        w->target = dom->move.target;
        w->mode = dom->move.mode;
        return;
    }
    if (dom->last_move == w->last_move || dom->phase != XHA_PH_OWNED)
        return;
    xha_peers_host(p, dom->owner, host);
    if (dom->owner == w->target || w->target == XHA_HOST_NONE) {
        if (dom->report.term != dom->term)
            return; /* decided; its new owner has not said yet how it is */
        snprintf(text, sizeof text, "%s %s on %s%s%s%s", dom->name, dom->want_run ? "runs" : "is stopped,",
                 host, w->how[0] ? " (moved " : "", w->how, w->how[0] ? ")" : "");
        end_ok(p, at,
               json_pack("{s:s, s:s, s:s, s:s}", "domain", dom->name, "host", host, "mode",
                         xha_move_mode_name(w->mode), "text", text));
        return;
    }
    snprintf(text, sizeof text, "%s was not moved and stays on %s", dom->name, host);
    end_error(p, at, "failed", w->last[0] ? w->last : text);
}

/* ---- a whole host ---- */

static json_t *left_json(const struct xha_peers *p, const struct xha_peers_wait *w)
{
    json_t *left = json_array();

    for (size_t i = 0; i < w->n_left; i++) {
        struct xha_cluster_domain dom;

        if (xha_cluster_find(xha_peers_state(p), &w->left[i].uuid, &dom) == 0 && dom.owner == w->host &&
            dom.phase != XHA_PH_FREE)
            json_array_append_new(left, json_pack("{s:s, s:s}", "domain", dom.name, "text", w->left[i].text));
    }
    return left;
}

static void check_host(struct xha_peers *p, struct xha_peers_wait **at)
{
    struct xha_peers_wait *w = *at;
    char name[XHA_HOST_TEXT], text[200];
    struct xha_cluster_host h;
    json_t *left;
    uint32_t gone;

    if (!xha_cluster_host(xha_peers_state(p), w->host, &h) || !h.maintenance) {
        end_error(p, at, "refused", "the host is no longer in maintenance");
        return;
    }
    gone = w->total > h.running ? w->total - h.running : 0;
    xha_peers_host(p, w->host, name);
    if (gone != w->told) {
        w->told = gone;
        xha_control_tell(p->d->control, w->client,
                         json_pack("{s:{s:s, s:s, s:s, s:I, s:I, s:s}}", "progress", "verb", "maintenance",
                                   "host", name, "step", "evacuating", "done", (json_int_t)gone, "total",
                                   (json_int_t)w->total, "domain", w->moved));
    }
    left = left_json(p, w);
    if (h.running > json_array_size(left)) {
        json_decref(left);
        return;
    }
    if (w->then) {
        xha_peers_then *then = w->then;

        json_decref(left);
        end(at);
        then(p);
        return;
    }
    snprintf(text, sizeof text, "%s: %u moved away, %zu stay", name, gone, json_array_size(left));
    end_ok(p, at,
           json_pack("{s:s, s:b, s:I, s:o, s:s}", "host", name, "on", 1, "moved", (json_int_t)gone, "left",
                     left, "text", text));
}

static void cannot_leave(struct xha_peers_wait *w, const struct xha_cluster_action *a)
{
    size_t i = 0;

    while (i < w->n_left && !xha_uuid_equal(&w->left[i].uuid, &a->uuid))
        i++;
    if (i == LEFT_MAX)
        return;
    if (i == w->n_left)
        w->n_left++;
    w->left[i].uuid = a->uuid;
    snprintf(w->left[i].text, sizeof w->left[i].text, "%s", a->u.said.text);
}

/* ---- what is heard ---- */

void xha_peers_wait_said(struct xha_peers *p, const struct xha_cluster_action *a)
{
    for (struct xha_peers_wait *w = p->waits; w; w = w->next) {
        struct xha_cluster_domain dom;

        if (w->kind == WAIT_MAINTENANCE) {
            if (a->u.said.cause == XHA_CC_CANNOT_MOVE || a->u.said.cause == XHA_CC_MOVE_FAILED)
                cannot_leave(w, a);
            else if (a->u.said.cause == XHA_CC_MOVED &&
                     xha_cluster_find(xha_peers_state(p), &a->uuid, &dom) == 0)
                snprintf(w->moved, sizeof w->moved, "%s", dom.name);
        } else if (xha_uuid_equal(&w->uuid, &a->uuid) &&
                   (a->type == XHA_CACT_ALARM || a->u.said.cause == XHA_CC_MOVE_FAILED ||
                    a->u.said.cause == XHA_CC_MOVE_ABORTED)) {
            snprintf(w->last, sizeof w->last, "%s", a->u.said.text);
        }
    }
}

void xha_peers_wait_progress(struct xha_peers *p, const struct xha_uuid *uuid, json_t *progress)
{
    const char *step = json_string_value(json_object_get(progress, "step"));

    for (struct xha_peers_wait *w = p->waits; w; w = w->next) {
        if (w->kind == WAIT_MAINTENANCE || !xha_uuid_equal(&w->uuid, uuid))
            continue;
        if (w->kind == WAIT_MOVE && step && strncmp(step, "warm: ", 6) == 0)
            snprintf(w->how, sizeof w->how, "%s", step);
        xha_control_tell(p->d->control, w->client, json_pack("{s:O}", "progress", progress));
    }
}

static bool ends_with(const struct xha_peers_wait *w, const char *verb)
{
    return w->kind == WAIT_ORDER &&
           ((w->order == XHA_DO_CHECKPOINT && strcmp(verb, xha_verb_name(XHA_VERB_CHECKPOINT)) == 0) ||
            (w->order == XHA_DO_SCHED && strcmp(verb, xha_verb_name(XHA_VERB_SCHED)) == 0));
}

void xha_peers_wait_worker(struct xha_peers *p, const struct xha_uuid *uuid, const char *verb,
                           enum xha_result result, const char *text)
{
    struct xha_peers_wait **at = &p->waits;

    while (*at) {
        struct xha_peers_wait *w = *at;

        if (!xha_uuid_equal(&w->uuid, uuid) || w->kind == WAIT_MAINTENANCE) {
            at = &w->next;
            continue;
        }
        if (result != XHA_OK)
            snprintf(w->last, sizeof w->last, "%s", text);
        if (!ends_with(w, verb)) {
            at = &w->next;
            continue;
        }
        if (result == XHA_OK)
            end_ok(p, at,
                   json_pack("{s:s, s:s, s:i}", "domain", w->name, "state", xha_state_name(w->before.state),
                             "domid", (int)w->before.domid));
        else
            end_error(p, at, result == XHA_REFUSED ? "refused" : "unknown", text);
        at = &p->waits; /* an answer may bring the next request, and that a new wait */
    }
}

static bool check_one(struct xha_peers *p, struct xha_peers_wait **at)
{
    struct xha_peers_wait *w = *at;
    struct xha_cluster_domain dom;

    if (!w->then && !xha_control_is_there(p->d->control, w->client)) {
        end(at);
        return true;
    }
    if (w->kind == WAIT_MAINTENANCE)
        check_host(p, at);
    else if (xha_cluster_find(xha_peers_state(p), &w->uuid, &dom) != 0)
        end_error(p, at, "gone", "the domain is no longer protected");
    else if (w->kind == WAIT_MOVE)
        check_move(p, at, &dom);
    else
        check_order(p, at, &dom);
    return *at != w;
}

void xha_peers_wait_check(struct xha_peers *p)
{
    struct xha_peers_wait **at = &p->waits;

    while (*at) {
        if (check_one(p, at))
            at = &p->waits; /* an answer may bring the next request, and that a new wait */
        else
            at = &(*at)->next;
    }
}

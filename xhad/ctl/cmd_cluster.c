/*
 * cmd_cluster.c - commands that want something of the cluster: given to it as an order, answered when it has been
 * taken, or with "wait" when it is done (peers_wait.c).
 */
#include "xhad/ctl/cmd_cluster.h"
#include "xhad/base/uuid.h"
#include <string.h>

/* ---- the path of an order ---- */

void xha_call_no_host(const struct xha_call *call, const char *name)
{
    char text[200];

    snprintf(text, sizeof text, "%.100s is no host of the cluster", name);
    xha_call_error(call, "no-such-host", text, "xl-ha hosts shows them");
}

static const char *hint_of(const char *code)
{
    return strcmp(code, "no-quorum") == 0 ? "xl-ha cluster status shows who is there" : NULL;
}

static bool waits_for_order(const struct xha_cluster_call *c)
{
    return c->what == XHA_RQ_ORDER && c->order != XHA_DO_MAINTENANCE_ON && c->order != XHA_DO_MAINTENANCE_OFF;
}

static void on_result(void *user, struct xha_daemon *d, int rc, const char *text)
{
    struct xha_cluster_call *c = user;
    const char *code = rc ? xha_peers_error_code(rc) : NULL;

    if (rc) {
        xha_control_error(d->control, c->client, code, text, hint_of(code));
    } else if (c->wait && waits_for_order(c)) {
        xha_peers_wait_order(d->peers, c->client, &c->uuid, c->order);
    } else if (c->wait && c->what == XHA_RQ_MIGRATE) {
        xha_peers_wait_move(d->peers, c->client, &c->uuid, c->last_move);
    } else if (c->wait && c->what == XHA_RQ_HOST_MAINTENANCE && c->on) {
        xha_peers_wait_maintenance(d->peers, c->client, c->host, NULL);
    } else {
        if (text[0])
            json_object_set_new(c->answer, "text", json_string(text));
        xha_control_ok(d->control, c->client, json_incref(c->answer));
    }
    json_decref(c->answer);
    free(c);
}

static void give(struct xha_daemon *d, uint64_t client, bool dry_run, bool wait, struct xha_cluster_event *ev,
                 json_t *answer)
{
    struct xha_cluster_call *c;
    struct xha_cluster_domain dom;
    char text[400];
    const char *code;

    ev->type = XHA_CEV_REQUEST;
    if (dry_run) {
        if (xha_peers_may(d->peers, ev, &code, text, sizeof text) < 0) {
            xha_control_error(d->control, client, code, text, hint_of(code));
            json_decref(answer);
        } else {
            xha_control_ok(d->control, client, answer);
        }
        return;
    }
    c = calloc(1, sizeof *c);
    if (!c)
        abort();
    *c = (struct xha_cluster_call){
        .client = client,
        .answer = answer,
        .wait = wait,
        .what = ev->u.request.what,
        .order = ev->u.request.order,
        .uuid = ev->uuid,
        .host = ev->u.request.host,
        .on = ev->u.request.on,
    };
    if (xha_cluster_find(xha_peers_state(d->peers), &ev->uuid, &dom) == 0)
        c->last_move = dom.last_move;
    if (xha_peers_request(d->peers, ev, on_result, c, &code, text, sizeof text) < 0) {
        xha_control_error(d->control, client, code, text, hint_of(code));
        json_decref(answer);
        free(c);
    }
}

void xha_call_cluster(const struct xha_call *call, struct xha_cluster_event *ev, json_t *answer)
{
    give(call->d, call->client, call->request->dry_run, call->request->wait, ev, answer);
}

/* ---- domains ---- */

void xha_call_order(struct xha_daemon *d, uint64_t client, const struct xha_domain *dom,
                    enum xha_order_type type, uint64_t checkpoint, bool dry_run, bool wait)
{
    struct xha_cluster_event ev = { .uuid = dom->uuid };
    char text[200];
    json_t *answer;

    ev.u.request.what = XHA_RQ_ORDER;
    ev.u.request.host = XHA_HOST_NONE;
    ev.u.request.order = type;
    ev.u.request.checkpoint = checkpoint;
    snprintf(text, sizeof text, "would %s %s", xha_do_name(type), dom->name);
    answer = dry_run
                 ? json_pack("{s:s, s:s, s:s}", "domain", dom->name, "would", xha_do_name(type), "text", text)
                 : json_pack("{s:s, s:s}", "domain", dom->name, "accepted", xha_do_name(type));
    give(d, client, dry_run, wait, &ev, answer);
}

void xha_cmd_unprotect_cluster(const struct xha_call *call, struct xha_domain *dom)
{
    struct xha_cluster_event ev = { .uuid = dom->uuid };

    ev.u.request.what = XHA_RQ_UNPROTECT;
    ev.u.request.host = XHA_HOST_NONE;
    xha_call_cluster(call, &ev,
                     json_pack("{s:s, s:s}", "domain", dom->name,
                               call->request->dry_run ? "would" : "accepted", "unprotect"));
}

static int parse_mode(const char *text)
{
    for (int i = 0; i < XHA_MOVE_MODE_N_; i++)
        if (strcmp(text, xha_move_mode_name((enum xha_move_mode)i)) == 0)
            return i;
    return -1;
}

/* The arguments of migrate; false after answering with an error. */
static bool move_args(const struct xha_call *call, struct xha_cluster_event *ev, json_int_t *limit)
{
    char host[128] = "", mode[16] = "auto";
    int n = XHA_HOST_NONE, m;

    if (!xha_request_text(call->request, "host", host, sizeof host)) {
        xha_call_bad_arg(call, "host", "the name of a host");
        return false;
    }
    if (host[0])
        n = xha_peers_find_host(call->d->peers, host);
    if (n < 0) {
        xha_call_no_host(call, host);
        return false;
    }
    m = xha_request_text(call->request, "mode", mode, sizeof mode) ? parse_mode(mode) : -1;
    if (m < 0) {
        xha_call_bad_arg(call, "mode", "auto, live, warm or cold");
        return false;
    }
    if (!xha_request_int(call->request, "limit", 0, INT64_MAX, limit)) {
        xha_call_bad_arg(call, "limit", "bytes a second, 0 for none");
        return false;
    }
    ev->u.request.host = (uint8_t)n;
    ev->u.request.mode = (enum xha_move_mode)m;
    return true;
}

static void would_move(const struct xha_peers *p, const struct xha_cluster_event *ev, char *text, size_t len)
{
    static const char *const how[] = {
        [XHA_MOVE_AUTO] = "live, where the hypervisor can; else warm or cold",
        [XHA_MOVE_LIVE] = "live",
        [XHA_MOVE_WARM] = "warm",
        [XHA_MOVE_COLD] = "cold",
    };
    char from[XHA_HOST_TEXT] = "nowhere", to[XHA_HOST_TEXT] = "the host that fits it best";
    struct xha_cluster_domain dom;

    if (xha_cluster_find(xha_peers_state(p), &ev->uuid, &dom) != 0)
        return; /* refused by the cluster core */
    if (dom.phase != XHA_PH_FREE)
        xha_peers_host(p, dom.owner, from);
    if (ev->u.request.host != XHA_HOST_NONE)
        xha_peers_host(p, ev->u.request.host, to);
    snprintf(text, len, "would move %s from %s to %s (%s)", dom.name, from, to, how[ev->u.request.mode]);
}

void xha_cmd_migrate(const struct xha_call *call)
{
    struct xha_cluster_event ev = { 0 };
    json_int_t limit = 0;
    char uuid[XHA_UUID_TEXT], text[400] = "";
    struct xha_domain *dom;
    json_t *answer;

    if (!xha_call_in_cluster(call) || !move_args(call, &ev, &limit))
        return;
    dom = xha_call_domain(call);
    if (!dom)
        return;
    ev.uuid = dom->uuid;
    ev.u.request.what = XHA_RQ_MIGRATE;
    if (call->request->dry_run) {
        would_move(call->d->peers, &ev, text, sizeof text);
        answer = json_pack("{s:s, s:s, s:o, s:s}", "domain", dom->name, "would", "migrate", "host",
                           xha_host_json(call->d->peers, ev.u.request.host), "text", text);
    } else {
        answer = json_pack("{s:s, s:s}", "domain", dom->name, "accepted", "migrate");
        if (limit)
            xha_peers_send_json(
                call->d->peers, XHA_PEERS_LIMIT,
                json_pack("{s:s, s:I}", "uuid", xha_uuid_format(&dom->uuid, uuid), "limit", limit));
    }
    xha_call_cluster(call, &ev, answer);
}

void xha_cmd_migrate_abort(const struct xha_call *call)
{
    struct xha_cluster_event ev = { 0 };
    struct xha_domain *dom;

    if (!xha_call_in_cluster(call) || !(dom = xha_call_domain(call)))
        return;
    ev.uuid = dom->uuid;
    ev.u.request.what = XHA_RQ_MIGRATE_ABORT;
    ev.u.request.host = XHA_HOST_NONE;
    xha_call_cluster(call, &ev,
                     json_pack("{s:s, s:s}", "domain", dom->name,
                               call->request->dry_run ? "would" : "accepted", "migrate-abort"));
}

/* ---- hosts, and the cluster ---- */

/* "host", or ours when it is not given and may be left out; -1 after answering with an error. */
static int host_arg(const struct xha_call *call, bool optional)
{
    char name[128] = "";
    int host;

    if (!xha_request_text(call->request, "host", name, sizeof name) || (!name[0] && !optional)) {
        xha_call_bad_arg(call, "host", "the name of a host");
        return -1;
    }
    if (!name[0])
        return call->d->peers->self;
    host = xha_peers_find_host(call->d->peers, name);
    if (host < 0)
        xha_call_no_host(call, name);
    return host;
}

/* What an order to a host, or to all, does: before, and when it was taken. % is the host's name. */
struct words {
    enum xha_do_cluster what;
    bool on;
    const char *order, *would, *done;
};

static const struct words words[] = {
    { XHA_RQ_HOST_MAINTENANCE, true, "maintenance on", "would empty % and keep it empty",
      "% is in maintenance: its domains move away as there is room" },
    { XHA_RQ_HOST_MAINTENANCE, false, "maintenance off", "would let % take part again",
      "% takes part again: what has its home there comes back" },
    { XHA_RQ_CONFIRM_FENCED, true, "confirm-fenced",
      "would take your word that % is off, and start its domains elsewhere",
      "% counts as fenced, on your word: its domains start elsewhere" },
    { XHA_RQ_FORGET_HOST, true, "forget-host", "would take % off the list of hosts",
      "% is no host of the cluster any more" },
    { XHA_RQ_LEAVE, true, "leave", "would say good-bye for %", "% has said good-bye" },
    { XHA_RQ_ARM, true, "arm", "would switch self-fencing on, on every host",
      "self-fencing is on: a host that loses its quorum is reset by its own watchdog" },
    { XHA_RQ_ARM, false, "disarm", "would switch self-fencing off, on every host",
      "self-fencing is off: of a lost host, only a fence agent or confirm-fenced can prove that it is dead" },
};

static const struct words *words_of(enum xha_do_cluster what, bool on)
{
    size_t i = 0;

    while (words[i].what != what || words[i].on != on)
        i++;
    return &words[i];
}

/* The text with the host's name in it. */
static json_t *worded(const char *text, const char *name)
{
    const char *at = strchr(text, '%');

    return at ? json_sprintf("%.*s%s%s", (int)(at - text), text, name, at + 1) : json_string(text);
}

static void order_host(const struct xha_call *call, enum xha_do_cluster what, int host, bool on)
{
    const struct words *w = words_of(what, on);
    bool dry_run = call->request->dry_run;
    struct xha_cluster_event ev = { 0 };
    char name[XHA_HOST_TEXT];
    json_t *answer;

    ev.u.request.what = what;
    ev.u.request.host = (uint8_t)host;
    ev.u.request.on = on;
    xha_peers_host(call->d->peers, (unsigned)host, name);
    answer = json_pack("{s:s, s:s, s:o}", "host", name, dry_run ? "would" : "accepted", w->order, "text",
                       worded(dry_run ? w->would : w->done, name));
    if (dry_run && what == XHA_RQ_HOST_MAINTENANCE && on)
        xha_what_if_down_json(call->d->peers, (uint8_t)host, answer);
    xha_call_cluster(call, &ev, answer);
}

void xha_cmd_host_maintenance(const struct xha_call *call, bool on)
{
    int host = host_arg(call, true);

    if (host >= 0)
        order_host(call, XHA_RQ_HOST_MAINTENANCE, host, on);
}

void xha_cmd_confirm_fenced(const struct xha_call *call)
{
    int host;

    if (xha_call_in_cluster(call) && (host = host_arg(call, false)) >= 0)
        order_host(call, XHA_RQ_CONFIRM_FENCED, host, true);
}

void xha_cmd_forget_host(const struct xha_call *call)
{
    int host;

    if (xha_call_in_cluster(call) && (host = host_arg(call, false)) >= 0)
        order_host(call, XHA_RQ_FORGET_HOST, host, true);
}

void xha_cmd_leave(const struct xha_call *call)
{
    if (xha_call_in_cluster(call))
        order_host(call, XHA_RQ_LEAVE, call->d->peers->self, true);
}

void xha_cmd_arm(const struct xha_call *call)
{
    if (xha_call_in_cluster(call))
        order_host(call, XHA_RQ_ARM, call->d->peers->self, true);
}

void xha_cmd_disarm(const struct xha_call *call)
{
    if (xha_call_in_cluster(call))
        order_host(call, XHA_RQ_ARM, call->d->peers->self, false);
}

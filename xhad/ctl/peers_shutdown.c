/*
 * peers_shutdown.c - this host is to be shut down: on_shutdown of xhad.conf says what becomes of its domains.
 *
 *   evacuate   maintenance of the host, until nothing more can leave it; what is left is stopped
 *   stop       all of its domains are stopped
 *   leave      nothing is done here; the others take the host for lost
 *
 * Copies of other hosts' domains are ended by the maintenance, which is begun for them alone where nothing is evacuated.
 * Then the host says good-bye, so that nobody fences it. What was stopped and that maintenance was begun is kept in
 * STATE/cluster/shutdown: the next xhad ends the maintenance and starts them again.
 */
#include "xhad/ctl/cmd_cluster.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include "xhad/base/uuid.h"
#include <string.h>

#define KEPT_BYTES_MAX (4 * 1024 * 1024)

enum stage { EVACUATING, STOPPING, LEAVING };

struct xha_peers_shutdown {
    uint64_t client;
    enum stage stage;
    bool maintenance; /* was asked for */
    json_t *kept;     /* {maintenance, domains: [uuid]} */
};

static void kept_path(const struct xha_peers *p, char buf[XHA_JOB_PATH_MAX])
{
    snprintf(buf, XHA_JOB_PATH_MAX, "%.1000s/shutdown", p->dir);
}

static void keep(struct xha_peers *p)
{
    XHA_CLEANUP_FREE char *text = json_dumps(p->shutdown->kept, JSON_COMPACT);
    char path[XHA_JOB_PATH_MAX];

    kept_path(p, path);
    if (text && xha_file_write(path, 0600, text, strlen(text)) < 0)
        xha_log(XHA_LOG_WARNING, "what is stopped for the shutdown cannot be kept", XHA_S("file", path),
                XHA_S("error", strerror(errno)));
}

static void end(struct xha_peers *p, const char *code, const char *text)
{
    struct xha_peers_shutdown *s = p->shutdown;

    p->shutdown = NULL;
    if (code)
        xha_control_error(p->d->control, s->client, code, text, NULL);
    else
        xha_control_ok(p->d->control, s->client,
                       json_pack("{s:s, s:s}", "accepted", "host-shutdown", "text", text));
    json_decref(s->kept);
    free(s);
}

static int order(struct xha_peers *p, struct xha_cluster_event *ev, xha_peers_result_cb *done)
{
    char text[400];
    const char *code;

    if (xha_peers_request(p, ev, done, p, &code, text, sizeof text) == 0)
        return 0;
    xha_log(XHA_LOG_WARNING, "an order for the shutdown of this host was not taken", XHA_S("why", text));
    return -1;
}

static void on_left(void *user, struct xha_daemon *d, int rc, const char *text)
{
    struct xha_peers *p = user;

    (void)d;
    if (!p->shutdown)
        return;
    if (rc)
        end(p, xha_peers_error_code(rc), text);
    else
        end(p, NULL, "this host has left the cluster and may be shut down");
}

static void say_goodbye(struct xha_peers *p)
{
    struct xha_cluster_event ev = { 0 };

    p->shutdown->stage = LEAVING;
    ev.u.request.what = XHA_RQ_LEAVE;
    ev.u.request.host = p->self;
    if (order(p, &ev, on_left) < 0)
        end(p, "refused", "the cluster does not let this host go: see xhad's log");
}

static void ignore(void *user, struct xha_daemon *d, int rc, const char *text)
{
    (void)user;
    (void)d;
    if (rc)
        xha_log(XHA_LOG_WARNING, "an order for the shutdown of this host has failed", XHA_S("why", text));
}

static bool is_ours(const struct xha_peers *p, const struct xha_cluster_domain *dom)
{
    return dom->phase != XHA_PH_FREE && dom->owner == p->self && dom->want_run;
}

static void stop_what_runs(struct xha_peers *p)
{
    json_t *stopped = json_array();
    struct xha_cluster_domain dom;
    char uuid[XHA_UUID_TEXT];

    p->shutdown->stage = STOPPING;
    json_object_set_new(p->shutdown->kept, "domains", stopped);
    for (uint32_t i = 0; i < xha_cluster_count(xha_peers_state(p)); i++) {
        xha_cluster_domain(xha_peers_state(p), i, &dom);
        if (is_ours(p, &dom))
            json_array_append_new(stopped, json_string(xha_uuid_format(&dom.uuid, uuid)));
    }
    keep(p);
    for (size_t i = 0; i < json_array_size(stopped); i++) {
        struct xha_cluster_event ev = { 0 };

        (void)xha_uuid_parse(json_string_value(json_array_get(stopped, i)), &ev.uuid);
        ev.u.request.what = XHA_RQ_ORDER;
        ev.u.request.host = XHA_HOST_NONE;
        ev.u.request.order = XHA_DO_STOP;
        (void)order(p, &ev, ignore);
    }
}

static void on_evacuated(struct xha_peers *p)
{
    if (p->shutdown)
        stop_what_runs(p);
}

static int begin_maintenance(struct xha_peers *p, xha_peers_result_cb *done)
{
    struct xha_cluster_event ev = { 0 };

    ev.u.request.what = XHA_RQ_HOST_MAINTENANCE;
    ev.u.request.host = p->self;
    ev.u.request.on = true;
    p->shutdown->maintenance = order(p, &ev, done) == 0;
    return p->shutdown->maintenance ? 0 : -1;
}

static void keep_maintenance(struct xha_peers *p)
{
    json_object_set_new(p->shutdown->kept, "maintenance", json_true());
    keep(p);
}

static void on_maintenance(void *user, struct xha_daemon *d, int rc, const char *text)
{
    struct xha_peers *p = user;

    (void)d;
    if (!p->shutdown)
        return;
    if (rc == 0) {
        keep_maintenance(p);
        xha_peers_wait_maintenance(p, p->shutdown->client, p->self, on_evacuated);
        return;
    }
    xha_log(XHA_LOG_WARNING, "the domains cannot be moved away: they are stopped", XHA_S("why", text));
    p->shutdown->maintenance = false;
    stop_what_runs(p);
}

static bool at_rest(enum xha_state state)
{
    return state == XHA_ST_STOPPED || state == XHA_ST_DEFINED || state == XHA_ST_FAILED ||
           state == XHA_ST_ERROR;
}

enum rest { BUSY, COPIES, QUIET };

/* Whether something is done here yet: what was stopped is at rest, what has moved away is cleared. COPIES: nothing but
 * to stand by for domains of other hosts. */
static enum rest how_quiet(const struct xha_peers *p)
{
    struct xha_cluster_domain dom;
    enum rest rest = QUIET;
    struct xha_view view;

    for (uint32_t i = 0; i < xha_cluster_count(xha_peers_state(p)); i++) {
        xha_cluster_domain(xha_peers_state(p), i, &dom);
        if (dom.phase != XHA_PH_FREE && dom.owner == p->self && !at_rest(dom.report.state))
            return BUSY;
    }
    for (uint32_t i = 0; i < xha_core_count(p->d->core); i++) {
        xha_core_view(p->d->core, i, &view);
        if (view.state == XHA_ST_STANDBY)
            rest = COPIES;
        else if (!at_rest(view.state))
            return BUSY;
    }
    return rest;
}

static void on_maintenance_for_copies(void *user, struct xha_daemon *d, int rc, const char *text)
{
    struct xha_peers *p = user;

    (void)d;
    if (!p->shutdown)
        return;
    if (rc == 0) {
        keep_maintenance(p);
        return;
    }
    xha_log(XHA_LOG_WARNING, "copies of other hosts' domains are left to the end of this host",
            XHA_S("why", text));
    say_goodbye(p);
}

/* After each step. */
void xha_peers_shutdown_check(struct xha_peers *p)
{
    enum rest rest;

    if (!p->shutdown || p->shutdown->stage != STOPPING)
        return;
    rest = how_quiet(p);
    if (rest == QUIET ||
        (rest == COPIES && !p->shutdown->maintenance && begin_maintenance(p, on_maintenance_for_copies) < 0))
        say_goodbye(p);
}

void xha_cmd_host_shutdown(const struct xha_call *call)
{
    struct xha_peers *p = call->d->peers;

    if (!p || call->d->conf.on_shutdown == XHA_ON_SHUTDOWN_LEAVE) {
        xha_call_ok(call, json_pack("{s:s, s:s}", "accepted", "host-shutdown", "text",
                                    "the domains are not xhad's affair when this host is shut down"));
        return;
    }
    if (p->shutdown) {
        xha_call_error(call, "busy", "the shutdown of this host is under way already", NULL);
        return;
    }
    p->shutdown = calloc(1, sizeof *p->shutdown);
    if (!p->shutdown)
        abort();
    *p->shutdown = (struct xha_peers_shutdown){ .client = call->client, .kept = json_object() };
    if (call->d->conf.on_shutdown == XHA_ON_SHUTDOWN_STOP) {
        stop_what_runs(p);
        return;
    }
    if (begin_maintenance(p, on_maintenance) < 0)
        stop_what_runs(p);
}

/* ---- after the next boot ---- */

static void start_again(struct xha_peers *p, const json_t *uuid)
{
    struct xha_cluster_event ev = { 0 };
    struct xha_cluster_domain dom;

    if (!json_is_string(uuid) || !xha_uuid_parse(json_string_value(uuid), &ev.uuid) ||
        xha_cluster_find(xha_peers_state(p), &ev.uuid, &dom) != 0 || dom.want_run)
        return;
    ev.u.request.what = XHA_RQ_ORDER;
    ev.u.request.host = XHA_HOST_NONE;
    ev.u.request.order = XHA_DO_START;
    (void)order(p, &ev, ignore);
}

void xha_peers_shutdown_over(struct xha_peers *p)
{
    XHA_CLEANUP_FREE char *text = NULL;
    char path[XHA_JOB_PATH_MAX];
    const json_t *uuid;
    json_t *kept;
    size_t len, i;

    kept_path(p, path);
    if (xha_file_read(path, KEPT_BYTES_MAX, &text, &len) < 0)
        return;
    kept = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_true(json_object_get(kept, "maintenance"))) {
        struct xha_cluster_event ev = { 0 };

        ev.u.request.what = XHA_RQ_HOST_MAINTENANCE;
        ev.u.request.host = p->self;
        (void)order(p, &ev, ignore);
    }
    json_array_foreach(json_object_get(kept, "domains"), i, uuid) start_again(p, uuid);
    json_decref(kept);
    unlink(path);
}

void xha_peers_shutdown_close(struct xha_peers *p)
{
    if (p->shutdown)
        end(p, "stopping", "xhad is being stopped");
}

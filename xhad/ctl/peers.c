/*
 * peers.c - the cluster's rooms are built, joined and left; what is decided is made durable.
 *
 * Which host we are says corosync; so the very first start in a cluster waits for it. From then on
 * STATE/cluster/self knows, and xhad looks after its guests also while corosync is not there: without
 * quorum it starts nothing, but goes on watching.
 */
#include "xhad/ctl/peers.h"
#include "xhad/ctl/good_conf.h"
#include "xhad/base/file.h"
#include "xhad/base/uuid.h"
#include <string.h>

#define LOG_MAX         4096 /* messages after which the log is written anew as a state */
#define HOUSEKEEPING_MS 1000
#define RETRY_MS        1000 /* after the log could not be written */
#define FAREWELL_MS     5000

const struct xha_cluster *xha_peers_state(const struct xha_peers *p)
{
    return xha_node_state(p->node);
}

/* ---- names of hosts ---- */

const char *xha_peers_host(const struct xha_peers *p, unsigned host, char buf[XHA_HOST_TEXT])
{
    struct xha_cluster_host h;

    if (host < XHA_HOSTS_MAX && p->up && xha_engine_hosts(p->engine)[host].configured)
        snprintf(buf, XHA_HOST_TEXT, "%.63s", xha_engine_hosts(p->engine)[host].name);
    else if (host < XHA_HOSTS_MAX && p->node && xha_cluster_host(xha_peers_state(p), (uint8_t)host, &h) &&
             h.info.name[0])
        snprintf(buf, XHA_HOST_TEXT, "%s", h.info.name);
    else
        snprintf(buf, XHA_HOST_TEXT, "host %u", host);
    return buf;
}

int xha_peers_find_host(const struct xha_peers *p, const char *text)
{
    char *end;
    long number = strtol(text, &end, 10);

    for (unsigned i = 0; i < XHA_HOSTS_MAX; i++) {
        struct xha_cluster_host h;
        char name[XHA_HOST_TEXT];

        if (!xha_cluster_host(xha_peers_state(p), (uint8_t)i, &h))
            continue;
        if (strcmp(xha_peers_host(p, i, name), text) == 0 || strcmp(h.info.name, text) == 0 ||
            (*text && !*end && number == (long)i))
            return (int)i;
    }
    return -1;
}

/* ---- timers ---- */

static void sync_log(struct xha_peers *p);

static void on_retry(uv_timer_t *timer)
{
    sync_log(timer->data);
}

/* What was appended is on disk now: the cluster core may acknowledge it. */
static void sync_log(struct xha_peers *p)
{
    struct xha_cluster_event ev = { .type = XHA_CEV_STORED };
    char text[300];

    if (xha_cluster_log_sync(p->log, &ev.u.stored) < 0) {
        if (!p->log_fails) {
            snprintf(
                text, sizeof text,
                "the cluster's log in %.150s cannot be written: %s. What the cluster decides waits for it",
                p->dir, strerror(errno));
            xha_peers_alarm(p, "journal", XHA_SEV_CRITICAL, text);
        }
        p->log_fails = true;
        uv_timer_start(&p->retry, on_retry, RETRY_MS, 0);
        return;
    }
    if (p->log_fails)
        xha_log(XHA_LOG_INFO, "the cluster's log can be written again");
    p->log_fails = false;
    xha_peers_step(p, &ev);
}

/* Once for all messages that one wake-up has brought. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct xha_peers *p = prepare->data;

    for (int i = 0; i < 4 && xha_cluster_log_is_dirty(p->log) && !uv_is_active((uv_handle_t *)&p->retry); i++)
        sync_log(p);
}

static void on_housekeeping(uv_timer_t *timer)
{
    struct xha_peers *p = timer->data;
    struct xha_cluster_event ev = { .type = XHA_CEV_TICK };

    xha_peers_requests_check(p, false);
    xha_peers_questions_check(p, false);
    xha_peers_logs_check(p, false);
    xha_peers_watchdog_judge(p);
    xha_peers_fence_check(p);
    p->texts_changed |= p->texts_missing > 0; /* it is asked for again */
    xha_peers_step(p, &ev);
}

/* ---- building up ---- */

/* Runs the loop until corosync has said which host this is. */
static int learn_self(struct xha_peers *p, char *err, size_t err_len)
{
    int r = xha_engine_open(&p->d->loop, &xha_peers_engine_ops, p, &p->engine);

    if (r < 0) {
        snprintf(err, err_len, "corosync cannot be asked: %s", strerror(-r));
        return -1;
    }
    while (!p->up && !p->d->stopping)
        uv_run(&p->d->loop, UV_RUN_ONCE);
    /* What came with the first view was heard by nobody: it is joined anew when all is ready. */
    if (!p->d->stopping)
        xha_engine_close(p->engine);
    while (!p->engine_closed)
        uv_run(&p->d->loop, UV_RUN_ONCE);
    xha_engine_free(p->engine);
    p->engine = NULL;
    p->up = p->engine_closed = false;
    err[0] = '\0';
    return p->d->stopping ? -1 : 0;
}

static void take_recalled(void *user, uint64_t index, const uint8_t *bytes, size_t len)
{
    struct xha_peers *p = user;
    struct xha_cluster_event ev = { .type = XHA_CEV_RECALL };

    (void)index;
    ev.now = xha_clock_now(&p->d->clock);
    ev.u.message.bytes = bytes;
    ev.u.message.len = len;
    if (xha_node_cluster(p->node, &ev, &p->plan))
        xha_log(XHA_LOG_WARNING, "a message in the cluster's log is of another release and is left out",
                XHA_U("index", index));
}

static int make_node(struct xha_peers *p, char *err, size_t err_len)
{
    struct xha_daemon *d = p->d;
    struct xha_node_settings settings = { .host = d->conf.settings };
    int rc;

    settings.cluster.self = p->self;
    settings.cluster.max_domains = d->conf.settings.max_domains;
    settings.cluster.log_max = LOG_MAX;
    rc = xha_node_new(&settings, xha_store_next_id(d->store), &p->node);
    if (rc) {
        snprintf(err, err_len, "the cluster core cannot be set up: %s", xha_core_error_text(rc));
        return -1;
    }
    d->core = xha_node_core(p->node);
    return 0;
}

int xha_peers_open(struct xha_daemon *d, char *err, size_t err_len)
{
    struct xha_peers *p = calloc(1, sizeof *p);
    char warning[XHA_JOB_PATH_MAX + 400];

    if (!p) {
        snprintf(err, err_len, "no memory");
        return -1;
    }
    d->peers = p;
    p->d = d;
    snprintf(p->dir, sizeof p->dir, "%.900s/cluster", d->conf.state_dir);
    if (xha_mkdir_p(p->dir, 0700) < 0) {
        snprintf(err, err_len, "%s: cannot be created: %s", p->dir, strerror(errno));
        return -1;
    }
    if (!xha_peers_recall_self(p) && learn_self(p, err, err_len) < 0)
        return -1;
    if (xha_cluster_log_open(p->dir, &p->log, warning, sizeof warning, err, err_len) < 0 ||
        make_node(p, err, err_len) < 0)
        return -1;
    if (warning[0])
        xha_log(XHA_LOG_WARNING, "the cluster's log was repaired", XHA_S("text", warning));
    if (xha_cluster_log_each(p->log, take_recalled, p) < 0) {
        snprintf(err, err_len, "%s/log: cannot be read: %s", p->dir, strerror(errno));
        return -1;
    }
    /* Numbers of requests grow over restarts, as the line of time does. */
    p->number = (uint64_t)(xha_clock_now(&d->clock).ms + 60000) << 16;
    return 0;
}

int xha_peers_start(struct xha_daemon *d, char *err, size_t err_len)
{
    struct xha_peers *p = d->peers;
    int r;

    uv_prepare_init(&d->loop, &p->prepare);
    uv_timer_init(&d->loop, &p->retry);
    uv_timer_init(&d->loop, &p->housekeeping);
    uv_timer_init(&d->loop, &p->farewell);
    p->prepare.data = p->retry.data = p->housekeeping.data = p->farewell.data = p;
    uv_prepare_start(&p->prepare, on_prepare);
    uv_timer_start(&p->housekeeping, on_housekeeping, HOUSEKEEPING_MS, HOUSEKEEPING_MS);
    if (xha_peers_fence_open(p) < 0 || xha_peers_watchdog_open(p) < 0) {
        snprintf(err, err_len, "no memory");
        return -1;
    }
    p->started = p->policies_due = true;
    p->settings_due = xha_good_conf_changed(&d->conf);
    xha_texts_check_all(p);
    xha_peers_inform(p);
    r = xha_engine_open(&d->loop, &xha_peers_engine_ops, p, &p->engine);
    if (r < 0)
        snprintf(err, err_len, "corosync cannot be asked: %s", strerror(-r));
    return r;
}

void xha_peers_reload(struct xha_peers *p, const struct xha_conf *was)
{
    struct xha_daemon *d = p->d;

    if (!xha_fence_conf_equal(&was->fence, &d->conf.fence))
        xha_peers_fence_reload(p);
    for (size_t i = 0; i < xha_conf_params.n; i++)
        if (xha_conf_is_shared(&xha_conf_params.row[i]) &&
            !xha_param_equal(&xha_conf_params.row[i], was, &d->conf))
            p->settings_due = true;
    xha_peers_inform(p);
    xha_peers_after(p);
}

/* ---- taking down ---- */

static void on_farewell(uv_timer_t *timer)
{
    struct xha_peers *p = timer->data;

    xha_log(XHA_LOG_ERROR,
            "the others could not be told that this host is no longer armed: Xen's watchdog is left running, "
            "and resets this host unless xhad is started again in time. To end it: start xhad, and stop it "
            "while the cluster has quorum",
            XHA_U("seconds", xha_watchdog_seconds(p->watchdog)));
    xha_daemon_stop(p->d);
}

bool xha_peers_farewell(struct xha_peers *p)
{
    enum xha_watchdog_state state;

    if (!p->node || !p->watchdog || !p->engine)
        return false;
    if (p->leaving)
        return false; /* said, and over */
    state = xha_watchdog_state(p->watchdog);
    if (state != XHA_WATCHDOG_ARMED && state != XHA_WATCHDOG_ORPHANED && state != XHA_WATCHDOG_ARMING)
        return false;
    p->leaving = true;
    uv_timer_start(&p->farewell, on_farewell, FAREWELL_MS, 0);
    xha_peers_inform(p);
    xha_peers_after(p);
    return true;
}

static void close_handle(uv_handle_t *handle)
{
    if (handle->type != UV_UNKNOWN_HANDLE && !uv_is_closing(handle))
        uv_close(handle, NULL);
}

void xha_peers_close(struct xha_peers *p)
{
    if (p->node) {
        xha_peers_shutdown_close(p);
        xha_peers_wait_close(p);
        xha_peers_requests_check(p, true);
        xha_peers_questions_check(p, true);
        xha_peers_logs_check(p, true);
    }
    close_handle((uv_handle_t *)&p->prepare);
    close_handle((uv_handle_t *)&p->retry);
    close_handle((uv_handle_t *)&p->housekeeping);
    close_handle((uv_handle_t *)&p->farewell);
    if (p->engine)
        xha_engine_close(p->engine);
    if (p->fencer)
        xha_fencer_close(p->fencer);
    if (p->watchdog)
        xha_watchdog_close(p->watchdog);
}

void xha_peers_free(struct xha_peers *p)
{
    if (!p)
        return;
    if (p->engine)
        xha_engine_free(p->engine);
    if (p->fencer)
        xha_fencer_free(p->fencer);
    if (p->watchdog)
        xha_watchdog_free(p->watchdog);
    xha_texts_close(p);
    xha_cluster_log_close(p->log);
    xha_node_free(p->node);
    free(p->interest);
    free(p->results);
    free(p);
}

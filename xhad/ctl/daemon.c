/*
 * daemon.c - the rooms are built, wired, run and taken down.
 */
#include "xhad/ctl/peers.h"
#include "xhad/base/file.h"
#include "xhad/base/uuid.h"
#include "xhad/ctl/good_conf.h"
#include "xhad/ctl/metrics.h"
#include "xhad/ctl/notify.h"
#include <signal.h>
#include <string.h>

#define HOUSEKEEPING_MS 5000
#define TIME_KEPT_MS    60000 /* the journal's time is at most so old */
#define OBSERVER_ALARM  3     /* starts in a row without a round, then an alarm */

/* ---- the observer's words into events ---- */

static void on_observer_up(void *user)
{
    struct xha_daemon *d = user;

    for (size_t i = 0; i < d->domains.n; i++)
        xha_observer_track(d->observer, &d->domains.domain[i]->uuid,
                           d->domains.domain[i]->spec.policy.heartbeat == XHA_BEAT_AGENT);
}

static void on_observer_down(void *user, const char *why, unsigned in_a_row)
{
    char text[400];

    if (in_a_row != OBSERVER_ALARM)
        return;
    snprintf(text, sizeof text, "the hypervisor cannot be watched: %.300s. Nothing is judged until it can",
             why);
    xha_step_alarm(user, "observer", XHA_SEV_CRITICAL, NULL, text);
}

static void on_observer_told(void *user, const struct xha_obs *obs)
{
    struct xha_daemon *d = user;
    struct xha_event ev = { .uuid = obs->uuid };

    switch (obs->type) {
    case XHA_OBS_SEEN:
        if (!xha_domains_find(&d->domains, &obs->uuid))
            return;
        ev.type = XHA_EV_SEEN;
        ev.u.seen = obs->u.seen;
        ev.u.seen.listed = xha_clock_from_monotonic(&d->clock, obs->u.seen.listed.ms);
        break;
    case XHA_OBS_ROUND:
        ev.type = XHA_EV_ROUND;
        ev.u.round = obs->u.round.r;
        ev.u.round.began = xha_clock_from_monotonic(&d->clock, obs->u.round.r.began.ms);
        if (d->peers)
            xha_peers_measured(d->peers, obs->u.round.memory_kib, obs->u.round.pcpus);
        break;
    case XHA_OBS_PROBED:
        ev.type = XHA_EV_PROBED;
        ev.u.probed = obs->u.probed;
        break;
    default:
        return;
    }
    xha_step(d, &ev);
}

static const struct xha_observer_ops observer_ops = {
    .up = on_observer_up,
    .down = on_observer_down,
    .told = on_observer_told,
};

/* ---- timers and signals ---- */

void xha_daemon_status_line(const struct xha_daemon *d, char *buf, size_t len)
{
    unsigned running = 0, wrong = 0;
    uint32_t n = xha_core_count(d->core);

    for (uint32_t i = 0; i < n; i++) {
        struct xha_view view;

        xha_core_view(d->core, i, &view);
        running += view.state == XHA_ST_RUNNING;
        wrong += view.state == XHA_ST_FAILED || view.state == XHA_ST_ERROR;
    }
    snprintf(buf, len, "%u protected, %u running, %u failed or in error", n, running, wrong);
}

/* The watchdog is poked from the loop whose life it stands for. */
static void on_watchdog(uv_timer_t *timer)
{
    struct xha_daemon *d = timer->data;
    int64_t now = xha_clock_now(&d->clock).ms;
    char line[200];

    if (!d->core || d->stopping)
        return; /* not yet, or no more */
    if (now - d->committed.ms >= TIME_KEPT_MS || d->journal_fails) {
        struct xha_event tick = { .type = XHA_EV_TICK };

        xha_store_set_next_id(d->store,
                              xha_store_next_id(d->store)); /* dirty: the step's commit writes the time */
        d->committed.ms = now;
        xha_step(d, &tick);
    }
    if (now - d->metrics_ms >= XHA_METRICS_MS) {
        d->metrics_ms = now;
        xha_metrics_write(d);
    }
    xha_daemon_status_line(d, line, sizeof line);
    xha_notify("WATCHDOG=1\nSTATUS=%s", line);
}

static void on_hangup(uv_signal_t *signal, int number)
{
    json_t *report = json_object();

    struct xha_daemon *d = signal->data;

    (void)number;
    if (d->control) {
        xha_log(XHA_LOG_INFO, "reloading");
        xha_reload(d, report);
    }
    json_decref(report);
}

static void on_term(uv_signal_t *signal, int number)
{
    struct xha_daemon *d = signal->data;

    xha_log(XHA_LOG_INFO, "stopping; guests and workers run on", XHA_I("signal", number));
    if (!d->peers || !xha_peers_farewell(d->peers))
        xha_daemon_stop(d);
}

static void start_timers(struct xha_daemon *d)
{
    int64_t watchdog_ms = xha_notify_watchdog_ms();
    uint64_t ms = watchdog_ms > 0 && watchdog_ms < HOUSEKEEPING_MS ? (uint64_t)watchdog_ms : HOUSEKEEPING_MS;

    uv_timer_init(&d->loop, &d->tick);
    uv_timer_init(&d->loop, &d->watchdog);
    uv_signal_init(&d->loop, &d->term);
    uv_signal_init(&d->loop, &d->interrupt);
    uv_signal_init(&d->loop, &d->hangup);
    d->tick.data = d->watchdog.data = d->term.data = d->interrupt.data = d->hangup.data = d;
    uv_timer_start(&d->watchdog, on_watchdog, ms, ms);
    uv_signal_start(&d->term, on_term, SIGTERM);
    uv_signal_start(&d->interrupt, on_term, SIGINT);
    uv_signal_start(&d->hangup, on_hangup, SIGHUP);
}

/* ---- building up ---- */

static void on_history(void *user, const json_t *entry)
{
    struct xha_daemon *d = user;

    if (d->control)
        xha_control_event(d->control, entry);
}

/* What is kept on disk, and the core on top of it. */
static int open_core(struct xha_daemon *d, char *err, size_t err_len)
{
    uint64_t next_id = xha_store_next_id(d->store);
    int rc;

    d->id_used = next_id;
    if (d->conf.cluster && d->trace_path) {
        snprintf(err, err_len, "--trace is for a host alone: its replay knows no cluster");
        return -1;
    }
    if (d->conf.cluster)
        return xha_peers_open(d, err, err_len);
    rc = xha_core_new(&d->conf.settings, next_id, &d->own_core);
    d->core = d->own_core;
    if (rc) {
        snprintf(err, err_len, "the core cannot be set up: %s", xha_core_error_text(rc));
        return -1;
    }
    if (d->trace_path && xha_trace_open(d->trace_path, &d->conf.settings, next_id, &d->trace) < 0) {
        snprintf(err, err_len, "the trace %.500s cannot be begun: %s; name a new file", d->trace_path,
                 strerror(errno));
        return -1;
    }
    return 0;
}

static int open_state(struct xha_daemon *d, char *err, size_t err_len)
{
    char warning[XHA_JOB_PATH_MAX + 200], boot[XHA_BOOT_ID_MAX];

    if (xha_history_open(d->conf.state_dir, d->conf.history_size_mib, &d->history, err, err_len) < 0 ||
        xha_store_open(d->conf.state_dir, xha_store_boot_id(boot), &d->store, warning, sizeof warning, err,
                       err_len) < 0 ||
        xha_domains_open(&d->domains, d->conf.state_dir, err, err_len) < 0)
        return -1;
    xha_history_follow(d->history, on_history, d);
    xha_clock_start(&d->clock, xha_store_time(d->store));
    if (warning[0])
        xha_log(XHA_LOG_WARNING, "journal repaired", XHA_S("text", warning));
    return open_core(d, err, err_len);
}

static int open_rooms(struct xha_daemon *d, char *err, size_t err_len)
{
    const struct xha_jobs_told told = { .progress = xha_step_progress,
                                        .epoch = xha_repls_hear_epoch,
                                        .user = d };

    d->alarms = xha_alarms_new(&d->loop, d->conf.alarm_dir, d->conf.alarm_rate);
    d->observer = xha_observer_new(&d->loop, &observer_ops, d);
    d->repls = xha_repls_new();
    if (!d->alarms || !d->observer || !d->repls) {
        snprintf(err, err_len, "no memory");
        return -1;
    }
    d->jobs = xha_jobs_new(&d->loop, d->conf.run_dir, d->conf.helper, &told, err, err_len);
    if (!d->jobs)
        return -1;
    d->control = xha_control_new(&d->loop, d->conf.run_dir, xha_cmd, d, err, err_len);
    return d->control ? 0 : -1;
}

int xha_daemon_start(struct xha_daemon *d, struct xha_conf *conf, const char *conf_path)
{
    char err[XHA_JOB_PATH_MAX + 500];

    d->conf = *conf;
    d->conf_path = conf_path;
    /* A reader that is gone and a file that may not grow are errors of calls, not ends of xhad. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    if (uv_loop_init(&d->loop) < 0) {
        xha_log(XHA_LOG_ERROR, "xhad cannot start", XHA_S("why", "no event loop"));
        return -1;
    }
    start_timers(d);
    if (open_state(d, err, sizeof err) < 0 || open_rooms(d, err, sizeof err) < 0)
        goto failed;
    xha_daemon_recall(d);
    xha_observer_start(d->observer, d->conf.helper, d->conf.settings.round_interval);
    if (!d->peers)
        xha_protect_dir(d, NULL);
    else if (xha_peers_start(d, err, sizeof err) < 0) /* the policies wait until the cluster decides */
        goto failed;
    if (d->conf_rescued)
        xha_step_alarm(
            d, "config", XHA_SEV_CRITICAL, NULL,
            "xhad.conf is not accepted: xhad goes on with the last one that was, because Xen's watchdog "
            "runs. xhad -n tells what is wrong");
    else
        xha_good_conf_keep(&d->conf);
    return 0;

failed:
    if (!d->stopping)
        xha_log(XHA_LOG_ERROR, "xhad cannot start", XHA_S("why", err));
    return -1;
}

/* ---- running and taking down ---- */

void xha_daemon_stop(struct xha_daemon *d)
{
    if (d->stopping)
        return;
    d->stopping = true;
    xha_notify("STOPPING=1");
    if (d->intakes)
        xha_protect_close(d);
    if (d->peers)
        xha_peers_close(d->peers);
    xha_wait_close(d);
    if (d->control)
        xha_control_close(d->control);
    if (d->jobs)
        xha_jobs_close(d->jobs);
    if (d->observer)
        xha_observer_close(d->observer);
    if (d->alarms)
        xha_alarms_close(d->alarms);
    uv_close((uv_handle_t *)&d->tick, NULL);
    uv_close((uv_handle_t *)&d->watchdog, NULL);
    uv_close((uv_handle_t *)&d->term, NULL);
    uv_close((uv_handle_t *)&d->interrupt, NULL);
    uv_close((uv_handle_t *)&d->hangup, NULL);
}

static void free_all(struct xha_daemon *d)
{
    if (d->store && d->core)
        (void)xha_store_commit(d->store,
                               xha_clock_now(&d->clock)); /* the time, so that it goes on from here */
    xha_control_free(d->control);
    xha_jobs_free(d->jobs);
    xha_observer_free(d->observer);
    xha_repls_free(d->repls);
    xha_alarms_free(d->alarms);
    xha_store_close(d->store);
    xha_history_close(d->history);
    xha_domains_clear(&d->domains);
    xha_trace_close(d->trace);
    xha_peers_free(d->peers);
    xha_core_free(d->own_core);
    free(d->queue);
    xha_conf_clear(&d->conf);
}

int xha_daemon_run(struct xha_daemon *d)
{
    int r;

    uv_run(&d->loop, UV_RUN_DEFAULT);
    r = uv_loop_close(&d->loop);
    if (r < 0)
        xha_log(XHA_LOG_WARNING, "something was left open", XHA_S("error", uv_strerror(r)));
    free_all(d);
    return d->exit_code;
}

/*
 * metrics.c - figures for Prometheus: names by its conventions, base units, one state a series of 0 and 1.
 */
#include "config.h"
#include "xhad/ctl/cmd_cluster.h"
#include "xhad/ctl/metrics.h"
#include "xhad/base/file.h"
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

static void put(struct xha_metrics *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct xha_metrics *m, const char *fmt, ...)
{
    va_list args;
    int n;

    for (;;) {
        va_start(args, fmt);
        n = vsnprintf(m->text + m->len, m->room - m->len, fmt, args);
        va_end(args);
        if (n >= 0 && m->len + (size_t)n < m->room)
            break;
        m->room = 2 * m->room + (size_t)(n > 0 ? n : 0) + 4096;
        m->text = realloc(m->text, m->room);
        if (!m->text)
            abort();
    }
    m->len += (size_t)n;
}

static void head(struct xha_metrics *m, const char *name, const char *type, const char *help)
{
    put(m, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value: backslash, quote and newline escaped; control bytes become '?'. */
static const char *label(const char *value, char *buf, size_t len)
{
    size_t n = 0;

    for (; *value && n + 3 < len; value++) {
        if (*value == '\\' || *value == '"')
            buf[n++] = '\\';
        buf[n++] = (unsigned char)*value < 0x20 ? '?' : *value;
    }
    buf[n] = '\0';
    return buf;
}

static void gauge(struct xha_metrics *m, const char *name, const char *help, double value)
{
    head(m, name, "gauge", help);
    put(m, "%s %.15g\n", name, value);
}

/* ---- this host ---- */

static void domains_here(const struct xha_daemon *d, struct xha_metrics *m)
{
    int64_t now = xha_clock_now(&d->clock).ms;
    char name[2 * XHA_NAME_MAX];
    struct xha_view v;

    head(m, "xhad_domain_state", "gauge", "1 for the state that a domain of this host is in.");
    for (uint32_t i = 0; i < xha_core_count(d->core); i++) {
        xha_core_view(d->core, i, &v);
        put(m, "xhad_domain_state{domain=\"%s\",state=\"%s\"} 1\n", label(v.name, name, sizeof name),
            xha_state_name(v.state));
    }
    head(m, "xhad_domain_restarts", "gauge", "Recoveries of a domain within its restart window.");
    for (uint32_t i = 0; i < xha_core_count(d->core); i++) {
        xha_core_view(d->core, i, &v);
        put(m, "xhad_domain_restarts{domain=\"%s\"} %" PRIu32 "\n", label(v.name, name, sizeof name),
            v.recoveries);
    }
    head(m, "xhad_domain_heartbeat_age_seconds", "gauge", "Time since a domain's last heartbeat.");
    for (uint32_t i = 0; i < xha_core_count(d->core); i++) {
        xha_core_view(d->core, i, &v);
        if (v.last_beat.ms)
            put(m, "xhad_domain_heartbeat_age_seconds{domain=\"%s\"} %.3f\n",
                label(v.name, name, sizeof name), (double)(now - v.last_beat.ms) / 1000);
    }
}

static void host_here(const struct xha_daemon *d, struct xha_metrics *m)
{
    struct xha_host_view host;

    head(m, "xhad_build_info", "gauge", "The running xhad.");
    put(m, "xhad_build_info{version=\"%s\"} 1\n", PACKAGE_VERSION);
    xha_core_host(d->core, d->peers ? d->peers->self : 0, &host);
    gauge(m, "xhad_host_ill", "1 while the host itself is suspected and nothing is judged.", host.ill);
    gauge(m, "xhad_domains_protected", "Domains that this host looks after.", xha_core_count(d->core));
    gauge(m, "xhad_domains_beating", "Domains of this host that send heartbeats.", host.beating);
    gauge(m, "xhad_domains_late", "Domains of this host whose heartbeat is late.", host.late);
    gauge(m, "xhad_domains_queued", "Domains of this host that wait for their turn.", host.queued);
    gauge(m, "xhad_workers", "Worker processes under way.", (double)xha_jobs_count(d->jobs));
    gauge(m, "xhad_journal_ok", "0 while the journal cannot be written.", !d->journal_fails);
    head(m, "xhad_alarms_total", "counter", "Alarms since xhad was started.");
    put(m, "xhad_alarms_total %" PRIu64 "\n", d->alarms_total);
    head(m, "xhad_decisions_total", "counter", "Facts that were decided on since xhad was started.");
    put(m, "xhad_decisions_total %" PRIu64 "\n", d->steps_total);
}

/* ---- replication of this host's domains ---- */

enum figure {
    EPOCHS,
    AGE,
    DIRTY,
    DIRTY_SUM,
    RAW_SUM,
    SENT_SUM,
    PAUSE_SUM,
    PAUSE_COUNT,
    PAUSE,
    COMMIT_SUM,
    COMMIT_COUNT,
    COMMIT,
    DELAY,
    HELD_PACKETS,
    HELD_BYTES,
    DROPPED_SUM,
    FIGURE_N_
};

static const struct {
    const char *name, *ending, *type, *help; /* type NULL: of the family before */
} figures[FIGURE_N_] = {
    [EPOCHS] = { "epochs_total", "", "counter", "Epochs of a domain that a backup holds." },
    [AGE] = { "epoch_age_seconds", "", "gauge", "Age of the newest epoch that the domain's backup holds." },
    [DIRTY] = { "dirty_pages", "", "gauge", "Pages that the domain changed in the last epoch." },
    [DIRTY_SUM] = { "dirty_pages_total", "", "counter", "Pages that the domain changed in all epochs." },
    [RAW_SUM] = { "raw_bytes_total", "", "counter", "Bytes that there were to be sent." },
    [SENT_SUM] = { "sent_bytes_total", "", "counter", "Bytes that went over the network for them." },
    [PAUSE_SUM] = { "pause_seconds", "_sum", "summary", "How long the domain stood still for an epoch." },
    [PAUSE_COUNT] = { "pause_seconds", "_count", NULL, NULL },
    [PAUSE] = { "last_pause_seconds", "", "gauge", "How long the domain stood still for the last epoch." },
    [COMMIT_SUM] = { "commit_seconds", "_sum", "summary",
                     "From a domain's going on until the backup held the epoch." },
    [COMMIT_COUNT] = { "commit_seconds", "_count", NULL, NULL },
    [COMMIT] = { "last_commit_seconds", "", "gauge", "The same for the last epoch." },
    [DELAY] = { "output_delay_seconds", "", "gauge", "How long a packet waited at most in the last epoch." },
    [HELD_PACKETS] = { "held_packets", "", "gauge", "Packets that wait for their epoch." },
    [HELD_BYTES] = { "held_bytes", "", "gauge", "Bytes of them." },
    [DROPPED_SUM] = { "dropped_packets_total", "", "counter",
                      "Packets for which there was no room to wait." },
};

struct replicated {
    char name[2 * XHA_NAME_MAX]; /* as a label */
    const char *state;
    double figure[FIGURE_N_]; /* NAN: not known */
};

static void sums(const struct xha_repl_domain *seen, double *figure)
{
    figure[EPOCHS] = figure[PAUSE_COUNT] = figure[COMMIT_COUNT] = (double)seen->epochs;
    figure[DIRTY_SUM] = (double)seen->pages;
    figure[RAW_SUM] = (double)seen->raw_bytes;
    figure[SENT_SUM] = (double)seen->sent_bytes;
    figure[PAUSE_SUM] = (double)seen->pause_us / 1e6;
    figure[COMMIT_SUM] = (double)seen->commit_us / 1e6;
    figure[DROPPED_SUM] = (double)seen->dropped_packets;
}

static void last_one(const struct xha_daemon *d, const struct xha_repl_epoch *last, double *figure)
{
    const struct xha_job_epoch *e = &last->said;

    figure[AGE] = (double)(xha_clock_now(&d->clock).ms - last->heard.ms) / 1e3;
    figure[DIRTY] = (double)e->pages;
    figure[PAUSE] = (double)xha_repls_pause_us(e) / 1e6;
    figure[COMMIT] = (double)e->commit_us / 1e6;
    figure[DELAY] = (double)e->delay_us / 1e6;
    figure[HELD_PACKETS] = (double)e->held_packets;
    figure[HELD_BYTES] = (double)e->held_bytes;
}

/* false: it is not to be replicated, or is another host's. */
static bool is_replicated(const struct xha_daemon *d, const struct xha_view *v, struct replicated *r)
{
    const struct xha_repl_domain *seen = xha_repls_find(d->repls, &v->uuid);
    struct xha_repl_status s;

    if (v->policy->protection != XHA_PROT_REPLICATE || v->state == XHA_ST_STANDBY)
        return false;
    xha_repls_status(d, &v->uuid, &s);
    r->state = s.state;
    label(v->name, r->name, sizeof r->name);
    for (size_t f = 0; f < FIGURE_N_; f++)
        r->figure[f] = NAN;
    if (seen)
        sums(seen, r->figure);
    if (s.last)
        last_one(d, s.last, r->figure);
    return s.state != NULL;
}

static void replication(const struct xha_daemon *d, struct xha_metrics *m)
{
    struct replicated *all = calloc(xha_core_count(d->core) + 1, sizeof *all);
    size_t n = 0;

    if (!all)
        abort();
    for (uint32_t i = 0; i < xha_core_count(d->core); i++) {
        struct xha_view v;

        xha_core_view(d->core, i, &v);
        n += is_replicated(d, &v, &all[n]);
    }
    if (n)
        head(m, "xhad_replication_state", "gauge", "1 for how a domain of this host is replicated.");
    for (size_t i = 0; i < n; i++)
        put(m, "xhad_replication_state{domain=\"%s\",state=\"%s\"} 1\n", all[i].name, all[i].state);
    for (size_t f = 0; n && f < FIGURE_N_; f++) {
        char name[100];

        snprintf(name, sizeof name, "xhad_replication_%s", figures[f].name);
        if (figures[f].type)
            head(m, name, figures[f].type, figures[f].help);
        for (size_t i = 0; i < n; i++)
            if (!isnan(all[i].figure[f]))
                put(m, "%s%s{domain=\"%s\"} %.15g\n", name, figures[f].ending, all[i].name, all[i].figure[f]);
    }
    free(all);
}

/* ---- the cluster ---- */

static void hosts(const struct xha_peers *p, struct xha_metrics *m)
{
    const struct xha_cluster *cluster = xha_peers_state(p);
    char name[XHA_HOST_TEXT], text[2 * XHA_HOST_TEXT];
    struct xha_cluster_host h;

    head(m, "xhad_host_state", "gauge", "1 for the state that a host of the cluster is in.");
    for (unsigned i = 0; i < XHA_HOSTS_MAX; i++)
        if (xha_cluster_host(cluster, (uint8_t)i, &h))
            put(m, "xhad_host_state{host=\"%s\",state=\"%s\"} 1\n",
                label(xha_peers_host(p, i, name), text, sizeof text), xha_host_state_name(h.state));
    head(m, "xhad_host_member", "gauge", "1 when the host's xhad takes part.");
    for (unsigned i = 0; i < XHA_HOSTS_MAX; i++)
        if (xha_cluster_host(cluster, (uint8_t)i, &h))
            put(m, "xhad_host_member{host=\"%s\"} %d\n", label(xha_peers_host(p, i, name), text, sizeof text),
                h.member);
    head(m, "xhad_host_armed", "gauge", "1 when the host's watchdog is armed.");
    for (unsigned i = 0; i < XHA_HOSTS_MAX; i++)
        if (xha_cluster_host(cluster, (uint8_t)i, &h))
            put(m, "xhad_host_armed{host=\"%s\"} %d\n", label(xha_peers_host(p, i, name), text, sizeof text),
                h.info.armed);
    head(m, "xhad_fence_device_ok", "gauge", "0 when this host could not fence that one, 1 when it could.");
    for (unsigned i = 0; i < XHA_HOSTS_MAX; i++)
        if (p->fence_check[i].known)
            put(m, "xhad_fence_device_ok{host=\"%s\"} %d\n",
                label(xha_peers_host(p, i, name), text, sizeof text), !p->fence_check[i].failed);
    head(m, "xhad_host_memory_free_bytes", "gauge", "Memory of a host that is promised to no domain.");
    for (unsigned i = 0; i < XHA_HOSTS_MAX; i++)
        if (xha_cluster_host(cluster, (uint8_t)i, &h))
            put(m, "xhad_host_memory_free_bytes{host=\"%s\"} %" PRIu64 "\n",
                label(xha_peers_host(p, i, name), text, sizeof text), h.memory_free_kib * 1024);
}

static void of_cluster(const struct xha_peers *p, struct xha_metrics *m)
{
    struct xha_cluster_status s;
    struct xha_time at;

    xha_cluster_status(xha_peers_state(p), &s);
    gauge(m, "xhad_cluster_quorate", "1 when this host is in the part that has quorum.", s.quorate);
    gauge(m, "xhad_cluster_synced", "1 when the hosts have agreed on the state.", s.synced);
    gauge(m, "xhad_cluster_settled", "1 when what is ordered is also done.", s.settled);
    gauge(m, "xhad_cluster_armed", "1 when self-fencing is wanted.", s.armed);
    gauge(m, "xhad_cluster_members", "Hosts whose xhad takes part.", __builtin_popcountll(s.members));
    gauge(m, "xhad_cluster_domains", "Domains of the cluster.", s.domains);
    gauge(m, "xhad_cluster_domains_moving", "Domains that are being moved.", s.moving);
    gauge(m, "xhad_cluster_domains_waiting", "Domains that wait for a host.", s.free_waiting);
    head(m, "xhad_cluster_messages_total", "counter", "Messages applied to the cluster's state.");
    put(m, "xhad_cluster_messages_total %" PRIu64 "\n", s.index);
    head(m, "xhad_cluster_uncommitted", "gauge", "Messages applied here that not all members have on disk.");
    put(m, "xhad_cluster_uncommitted %" PRIu64 "\n", s.index - s.committed);
    gauge(m, "xhad_watchdog_armed", "1 when this host's watchdog runs.",
          xha_watchdog_state(p->watchdog) == XHA_WATCHDOG_ARMED);
    if (xha_watchdog_last_poke(p->watchdog, &at))
        gauge(m, "xhad_watchdog_poke_age_seconds", "Time since the watchdog was poked.",
              (double)(xha_clock_monotonic_ms() - at.ms) / 1000);
    hosts(p, m);
}

void xha_metrics_make(const struct xha_daemon *d, struct xha_metrics *metrics_r)
{
    *metrics_r = (struct xha_metrics){ 0 };
    host_here(d, metrics_r);
    domains_here(d, metrics_r);
    replication(d, metrics_r);
    if (d->peers)
        of_cluster(d->peers, metrics_r);
}

void xha_cmd_metrics(const struct xha_call *call)
{
    struct xha_metrics m;

    xha_metrics_make(call->d, &m);
    xha_call_ok(call, json_pack("{s:s, s:s}", "text", m.text, "content_type", "text/plain; version=0.0.4"));
    free(m.text);
}

void xha_metrics_write(struct xha_daemon *d)
{
    struct xha_metrics m;

    if (!d->conf.metrics_file[0])
        return;
    xha_metrics_make(d, &m);
    if (xha_file_write(d->conf.metrics_file, 0644, m.text, m.len) == 0) {
        d->metrics_fail = false;
    } else if (!d->metrics_fail) {
        d->metrics_fail = true;
        xha_log(XHA_LOG_WARNING, "metrics_file cannot be written", XHA_S("file", d->conf.metrics_file),
                XHA_S("error", strerror(errno)));
    }
    free(m.text);
}

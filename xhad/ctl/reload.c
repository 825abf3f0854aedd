/*
 * reload.c - xhad.conf and the policies once more. A file is taken whole or not at all; what cannot change
 * while xhad runs is refused by name.
 */
#include "xhad/ctl/peers.h"
#include "xhad/ctl/good_conf.h"
#include "xhad/ctl/notify.h"
#include <dirent.h>
#include <string.h>

struct diff {
    json_t *changed, *refused;
};

static void collect(void *user, const struct xha_param *param, const char *was, const char *is)
{
    struct diff *diff = user;
    char text[400];

    if (param->live) {
        snprintf(text, sizeof text, "%s: %.120s -> %.120s", param->name, was, is);
        json_array_append_new(diff->changed, json_string(text));
    } else {
        snprintf(text, sizeof text,
                 "%s (%.120s -> %.120s) cannot change while xhad runs: restart xhad, which disturbs "
                 "no guest",
                 param->name, was, is);
        json_array_append_new(diff->refused, json_string(text));
    }
}

static void add_problems(json_t *refused, const struct xha_problems *problems)
{
    for (size_t i = 0; i < problems->n; i++)
        json_array_append_new(refused, json_string(problems->text[i]));
    if (problems->n == 0)
        json_array_append_new(refused, json_string("no memory"));
}

/* What may stand after the change as it did before: policies that hold now, under the new settings. */
static void check_policies(const struct xha_daemon *d, const struct xha_conf *conf, json_t *refused)
{
    for (size_t i = 0; i < d->domains.n; i++) {
        struct xha_problems problems = { 0 };

        if (xha_domain_spec_check(&d->domains.domain[i]->spec, conf, &problems) != XHA_CONF_OK)
            add_problems(refused, &problems);
        xha_problems_clear(&problems);
    }
}

/* Reads the new file. true: conf_r may take the place of the old one. */
static bool read_conf(const struct xha_daemon *d, struct xha_conf *conf_r, json_t *report)
{
    struct diff diff = { json_array(), json_array() };
    struct xha_problems problems = { 0 };
    int rc = xha_conf_load(d->conf_path, conf_r, &problems);
    bool ok;

    if (rc == XHA_CONF_OK) {
        xha_params_diff(&xha_conf_params, &d->conf, conf_r, collect, &diff);
        check_policies(d, conf_r, diff.refused);
    } else {
        add_problems(diff.refused, &problems);
    }
    xha_problems_clear(&problems);
    ok = json_array_size(diff.refused) == 0;
    if (!ok && rc == XHA_CONF_OK)
        xha_conf_clear(conf_r);
    json_object_set_new(report, "changed", diff.changed);
    json_object_set_new(report, "refused", diff.refused);
    return ok;
}

static void apply(struct xha_daemon *d, struct xha_conf *conf)
{
    struct xha_event ev = { .type = XHA_EV_SETTINGS, .u.settings = conf->settings };
    struct xha_span before = d->conf.settings.round_interval;
    int rc;

    /* The paths that stay are lent to the rooms: the old strings go only after all have the new ones. */
    struct xha_conf old = d->conf;

    d->conf = *conf;
    xha_log_open("xhad", d->conf.log_target, d->conf.log_level);
    xha_alarms_set(d->alarms, d->conf.alarm_dir, d->conf.alarm_rate);
    xha_history_set_size(d->history, d->conf.history_size_mib);
    xha_jobs_set_helper(d->jobs, d->conf.helper);
    xha_observer_set_helper(d->observer, d->conf.helper);
    if (before.ms != d->conf.settings.round_interval.ms)
        xha_observer_set_interval(d->observer, d->conf.settings.round_interval);
    rc = xha_step(d, &ev);
    if (rc)
        xha_log(XHA_LOG_ERROR, "settings were not taken", XHA_S("why", xha_core_error_text(rc)));
    if (d->peers)
        xha_peers_reload(d->peers, &old);
    xha_good_conf_keep(&d->conf);
    xha_conf_clear(&old);
}

int xha_reload(struct xha_daemon *d, json_t *report)
{
    struct xha_conf conf;
    json_t *policies = json_array(), *text;
    bool ok;
    size_t i;

    xha_notify("RELOADING=1\nMONOTONIC_USEC=%lld", (long long)xha_clock_monotonic_ms() * 1000);
    ok = read_conf(d, &conf, report);
    if (ok)
        apply(d, &conf);
    json_array_foreach(json_object_get(report, "changed"), i, text)
        xha_log(XHA_LOG_INFO, ok ? "setting changed" : "setting would change",
                XHA_S("what", json_string_value(text)));
    json_array_foreach(json_object_get(report, "refused"), i, text)
        xha_log(XHA_LOG_ERROR, "xhad.conf is not taken: the old settings stay",
                XHA_S("why", json_string_value(text)));
    xha_protect_dir(d, policies);
    json_object_set_new(report, "policies_refused", policies);
    xha_notify("READY=1");
    return ok ? 0 : -1;
}

static void check_dir(const struct xha_daemon *d, json_t *refused)
{
    struct dirent **entry;
    int n = scandir(d->conf.policy_dir, &entry, NULL, alphasort);

    for (int i = 0; i < n; i++) {
        char path[XHA_JOB_PATH_MAX];
        const char *name = entry[i]->d_name, *dot = strrchr(name, '.');
        struct xha_problems problems = { 0 };
        const char *lacking;
        int r = snprintf(path, sizeof path, "%s/%s", d->conf.policy_dir, name);

        if (name[0] != '.' && dot && strcmp(dot, ".conf") == 0 && r > 0 && (size_t)r < sizeof path &&
            xha_protect_check(d, path, &problems, &lacking) != XHA_CONF_OK)
            add_problems(refused, &problems);
        xha_problems_clear(&problems);
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
}

int xha_reload_check(const struct xha_daemon *d, json_t *report)
{
    json_t *policies = json_array();
    struct xha_conf conf;
    bool ok = read_conf(d, &conf, report);

    if (ok)
        xha_conf_clear(&conf);
    check_dir(d, policies);
    json_object_set_new(report, "policies_refused", policies);
    return ok ? 0 : -1;
}

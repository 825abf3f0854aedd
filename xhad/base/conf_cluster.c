/*
 * conf_cluster.c - the parameters of xhad.conf that hold for the whole cluster, and the times that follow.
 */
#include "xhad/base/conf.h"

#include <stdio.h>
#include <string.h>

bool xha_conf_is_shared(const struct xha_param *param)
{
    static const char *const shared[] = { "placement",      "survive",      "overcommit",
                                          "parallel_moves", "move_timeout", "detection" };

    for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++)
        if (strcmp(param->name, shared[i]) == 0)
            return true;
    return strncmp(param->name, "timing.", 7) == 0;
}

void xha_conf_wish(const struct xha_conf *conf, struct xha_timing_wish *wish_r)
{
    xha_timing_defaults(wish_r);
    wish_r->timing = conf->timing;
    wish_r->round_interval = conf->settings.round_interval;
    wish_r->probe_window = conf->settings.probe_window;
}

void xha_conf_policy(const struct xha_conf *conf, struct xha_cluster_policy *policy_r)
{
    struct xha_timing_wish wish;

    memset(policy_r, 0, sizeof(*policy_r));
    policy_r->placement = conf->placement;
    policy_r->survive = conf->survive;
    policy_r->overcommit_percent = conf->overcommit_percent;
    policy_r->parallel_moves = conf->parallel_moves;
    policy_r->move_timeout = conf->move_timeout;
    xha_conf_wish(conf, &wish);
    xha_timing_make(&wish, &policy_r->timing);
}

/* The line of the parameter of this time, 0: it is not set. */
static int line_of(const struct xha_conf *conf, const struct xha_timing *timing, enum xha_timing_id id)
{
    struct xha_timing_row row;
    const struct xha_param *param;
    char name[64];

    if (!xha_timing_row(timing, id, &row))
        return 0;
    snprintf(name, sizeof(name), "%s%s", id == XHA_TIMING_DETECTION ? "" : "timing.", row.name);
    param = xha_params_find(&xha_conf_params, name);
    return param ? conf->origin.line[param - xha_conf_params.row] : 0;
}

int xha_conf_check_timing(const struct xha_conf *conf, struct xha_problems *problems)
{
    struct xha_timing_fault fault[XHA_TIMING_FAULTS_MAX];
    struct xha_timing_wish wish;
    struct xha_timing timing;
    uint32_t n;

    xha_conf_wish(conf, &wish);
    xha_timing_make(&wish, &timing);
    n = xha_timing_check(&wish, &timing, fault);
    for (uint32_t i = 0; i < n; i++)
        xha_problems_add(problems, conf->file, line_of(conf, &timing, fault[i].id), "%s", fault[i].text);
    return n ? XHA_CONF_E_BAD : XHA_CONF_OK;
}

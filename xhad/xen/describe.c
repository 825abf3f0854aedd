/*
 * describe.c - the verbs parse (a file of xl's) and describe (a running domain).
 *
 * Only the xl program can read an xl.cfg, so it is asked to: `xl create -n` prints what it would create, as
 * libxl's JSON. That is kept, and the file is not read again.
 */
#include "xhad/xen/domain_config.h"
#include "xhad/xen/run.h"
#include "xhad/xen/summary.h"
#include "xhad/xen/work.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/text.h"
#include "xhad/base/uuid.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XL_LIMIT_MS 30000

/* xl's own words are the best message there is; the last line says what is wrong, the first where. */
static void refuse_with_output(struct xha_work *w, const char *what, char *err)
{
    char text[400];
    size_t n = strlen(err);

    while (n > 0 && (err[n - 1] == '\n' || err[n - 1] == ' '))
        err[--n] = '\0';
    for (char *p = err; (p = strchr(p, '\n')) != NULL;)
        *p = '|';
    xha_text_escape(text, sizeof(text), err);
    xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s: %s: %s", w->job.xlcfg, what,
                    text[0] != '\0' ? text : "xl gave no reason");
}

/* Tries the configuration on libxl itself, where that is possible. */
static int check_with_libxl(struct xha_work *w, const json_t *config)
{
    XHA_CLEANUP_FREE char *json = NULL;
    libxl_domain_config parsed;
    int r;

    if (!w->lx.ctx && xha_lx_open(&w->lx) < 0)
        return 0; /* no Xen here: the first start will tell */
    json = json_dumps(config, JSON_COMPACT);
    if (!json)
        return -1;
    libxl_domain_config_init(&parsed);
    xha_lx_forget(&w->lx);
    r = libxl_domain_config_from_json(w->lx.ctx, &parsed, json);
    libxl_domain_config_dispose(&parsed);
    return r ? -1 : 0;
}

static void answer_summary(struct xha_work *w, const char *source, json_t *config,
                           const struct xha_uuid *uuid)
{
    char err[256];

    if (xha_summary_pin(config, uuid, err, sizeof(err)) < 0 ||
        (w->done.data = xha_summary(config, err, sizeof(err))) == NULL)
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s: %s", source, err);
    else if (check_with_libxl(w, config) < 0)
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s: libxl does not take it: %s", source, xha_lx_error(&w->lx));
    else
        xha_work_ok(w, "%s: domain %s", source, json_string_value(json_object_get(w->done.data, "name")));
}

void xha_perform_parse(struct xha_work *w)
{
    XHA_CLEANUP_FREE char *out = malloc(XHA_CONFIG_BYTES_MAX);
    const char *const argv[] = { "xl", "create", "-n", "-q", w->job.xlcfg, NULL };
    char err[4096];
    struct xha_run run = {
        .argv = argv,
        .limit_ms = XL_LIMIT_MS,
        .out = out,
        .out_size = XHA_CONFIG_BYTES_MAX,
        .err = err,
        .err_size = sizeof(err),
    };
    json_error_t json_err;
    json_t *config;

    if (!out || xha_run(&run) < 0) {
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s: xl cannot be run to read it: %s (package xen-utils)",
                        w->job.xlcfg, strerror(errno));
        return;
    }
    if (run.timed_out || run.status != 0 || run.out_cut) {
        refuse_with_output(w, run.timed_out ? "xl did not read it in time" : "xl does not take it", err);
        return;
    }
    config = json_loads(out, JSON_REJECT_DUPLICATES, &json_err);
    if (!config)
        refuse_with_output(w, "xl did not print it as JSON (default_output_format in xl.conf must be json)",
                           err);
    else
        answer_summary(w, w->job.xlcfg, config, xha_uuid_is_nil(&w->job.uuid) ? NULL : &w->job.uuid);
    json_decref(config);
}

/* The domain by its name, or by domid, or by UUID. */
static int find(struct xha_work *w, uint32_t *domid_r)
{
    struct xha_lx_found found;

    if (w->job.name[0] != '\0' && libxl_name_to_domid(w->lx.ctx, w->job.name, domid_r) == 0)
        return 0;
    if (!xha_uuid_is_nil(&w->job.uuid) && xha_lx_find(&w->lx, &w->job.uuid, &found) == 0 && found.alive > 0) {
        *domid_r = (uint32_t)found.domid;
        return 0;
    }
    if (w->job.name[0] == '\0' && w->job.domid > 0) {
        *domid_r = (uint32_t)w->job.domid;
        return 0;
    }
    xha_work_refuse(w, XHA_REFUSAL_OTHER, "no domain %s runs here (see xl list)",
                    w->job.name[0] != '\0' ? w->job.name : w->uuid);
    return -1;
}

void xha_perform_describe(struct xha_work *w)
{
    XHA_CLEANUP_FREE char *json = NULL;
    char source[XHA_NAME_MAX + 40];
    json_t *config = NULL;
    uint32_t domid;

    if (find(w, &domid) < 0)
        return;
    snprintf(source, sizeof(source), "running domain %u", domid);
    json = xha_config_of_domain(w, domid, NULL);
    if (json)
        config = json_loads(json, 0, NULL);
    if (!config) {
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s: its configuration cannot be had from libxl: %s", source,
                        xha_lx_error(&w->lx));
        return;
    }
    w->done.domid = (int32_t)domid;
    answer_summary(w, source, config, NULL);
    json_decref(config);
}

/*
 * receive_stock.c - `xhad-xen migrate-receive`, the receiving half of migrate_stock.h: what
 *
 *   xl migrate -s '' g1 'ssh h2 xl-ha migrate-receive'
 *
 * talks to. Standard output belongs to the protocol, words for people go to standard error.
 */
#include "xhad/xen/bring_up.h"
#include "xhad/xen/domain_config.h"
#include "xhad/xen/migrate_stock.h"
#include "xhad/xen/save_header.h"
#include "xhad/xen/stock.h"
#include "xhad/xen/work.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include "xhad/base/uuid.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER_MS 60000
#define GO_MS     120000
#define INCOMING  "--incoming" /* what xl calls a domain that is not ours yet */

struct guest {
    struct xha_work w;
    libxl_domain_config config;
    char *name; /* what it will be called */
    uint32_t domid;
    struct xha_stop stop;
    int in, out; /* of the protocol */
};

static int say(const struct guest *g, const void *bytes, size_t len)
{
    return xha_write_all(g->out, bytes, len);
}

/* The job that nobody wrote: the UUID and name of the configuration. */
static int make_job(struct guest *g, const char *json_text, char *err, size_t err_len)
{
    json_t *json = json_loads(json_text, JSON_REJECT_DUPLICATES, NULL);
    const json_t *c_info = json_object_get(json, "c_info");
    const char *uuid = json_string_value(json_object_get(c_info, "uuid"));
    const char *name = json_string_value(json_object_get(c_info, "name"));
    int rc = -1;

    if (!uuid || !name || !xha_uuid_parse(uuid, &g->w.job.uuid) ||
        strlen(name) + sizeof(INCOMING) > XHA_NAME_MAX) {
        snprintf(err, err_len, "what the sender sent names no domain");
    } else {
        snprintf(g->w.job.name, sizeof(g->w.job.name), "%s", name);
        g->name = strdup(name);
        rc = g->name ? 0 : -1;
        if (rc < 0)
            snprintf(err, err_len, "out of memory");
    }
    json_decref(json);
    if (rc == 0)
        xha_work_name(&g->w);
    return rc;
}

static int read_config(struct guest *g, char *err, size_t err_len)
{
    XHA_CLEANUP_FREE uint8_t *optional = NULL;
    uint8_t fixed[XHA_SAVE_FIXED];
    const char *json;
    uint32_t len;

    if (xha_stock_read(g->in, fixed, sizeof(fixed), xha_now_ms() + HEADER_MS, &g->stop) < 0) {
        snprintf(err, err_len, "the sender sent no header: %s", strerror(errno));
        return -1;
    }
    if (xha_save_header_check(fixed, &len, err, err_len) < 0)
        return -1;
    optional = malloc(len);
    if (!optional || xha_stock_read(g->in, optional, len, xha_now_ms() + HEADER_MS, &g->stop) < 0) {
        snprintf(err, err_len, "the sender's header: %s", strerror(errno));
        return -1;
    }
    json = xha_save_header_config(optional, len, err, err_len);
    if (!json || make_job(g, json, err, err_len) < 0)
        return -1;
    return xha_config_from_json(&g->w, "what the sender sent", json, &g->config, err, err_len);
}

/* Restored and paused under its name for now. 0, or -1 after answering. */
static int restore(struct guest *g)
{
    libxl_domain_restore_params params;
    char incoming[XHA_NAME_MAX + sizeof(INCOMING)];
    int rc;

    snprintf(incoming, sizeof(incoming), "%s" INCOMING, g->name);
    free(g->config.c_info.name);
    g->config.c_info.name = strdup(incoming);
    libxl_domain_restore_params_init(&params);
    params.stream_version = 2;
    rc = libxl_domain_create_restore(g->w.lx.ctx, &g->config, &g->domid, g->in, -1, &params, NULL, NULL);
    libxl_domain_restore_params_dispose(&params);
    if (rc) {
        xha_bring_up_failed(&g->w, "received");
        return -1;
    }
    return 0;
}

/* It is ours now: it runs, under its own name. 0, or -1. */
static int start(struct guest *g)
{
    char incoming[XHA_NAME_MAX + sizeof(INCOMING)];

    snprintf(incoming, sizeof(incoming), "%s" INCOMING, g->name);
    if (libxl_domain_rename(g->w.lx.ctx, g->domid, incoming, g->name) ||
        libxl_domain_unpause(g->w.lx.ctx, g->domid, NULL))
        return -1;
    return 0;
}

static void take_over(struct guest *g)
{
    struct xha_work *w = &g->w;
    uint8_t status = 0;

    if (say(g, XHA_STOCK_READY, sizeof(XHA_STOCK_READY)) < 0 ||
        xha_stock_expect(g->in, XHA_STOCK_GO, sizeof(XHA_STOCK_GO), xha_now_ms() + GO_MS, &g->stop) < 0) {
        /* Without GO it is not ours, and the sender's copy runs on. */
        snprintf(w->lx.error, sizeof(w->lx.error), "the sender did not give it to us: %s", strerror(errno));
        xha_bring_up_failed(w, "taken over");
        return;
    }
    if (start(g) < 0) {
        status = 1;
        xha_bring_up_failed(w, "unpaused");
    } else {
        xha_work_ok(w, "%s was received and runs, domain id %u", w->who, g->domid);
    }
    if (say(g, XHA_STOCK_REPORT, sizeof(XHA_STOCK_REPORT)) < 0 || say(g, &status, 1) < 0)
        fprintf(stderr, "the sender could not be told: %s\n", strerror(errno));
    else if (status != 0 && w->done.result == XHA_REFUSED) /* cleared: it may have it back */
        say(g, XHA_STOCK_GO, sizeof(XHA_STOCK_GO));
}

static void receive(struct guest *g)
{
    struct xha_work *w = &g->w;
    char err[256];

    if (say(g, XHA_STOCK_BANNER, sizeof(XHA_STOCK_BANNER) - 1) < 0)
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "nothing is received: the sender hung up");
    else if (read_config(g, err, sizeof(err)) < 0)
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "nothing is received: %s", err);
    else if (xha_bring_up_prepare(w, &g->config) == 0 && restore(g) == 0)
        take_over(g);
}

/* Whoever writes progress writes it to nobody. */
static int set_streams_aside(struct guest *g)
{
    g->in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    g->out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    return g->in < 0 || g->out < 0 || !freopen("/dev/null", "r", stdin) || !freopen("/dev/null", "w", stdout)
               ? -1
               : 0;
}

int xha_migrate_from_stock(void)
{
    struct guest g = { .w = { .until_ms = INT64_MAX, .done.domid = XHA_DOMID_NONE }, .domid = INVALID_DOMID };

    g.stop = (struct xha_stop){ .asked = xha_work_stop, .arg = &g.w };
    xha_work_heed_sigterm();
    if (set_streams_aside(&g) < 0) {
        fprintf(stderr, "xhad-xen: %s\n", strerror(errno));
        return 1;
    }
    if (xha_lx_open(&g.w.lx) < 0) {
        fprintf(stderr, "xhad-xen: no Xen to talk to: %s\n", xha_lx_error(&g.w.lx));
        return 1;
    }
    g.w.lx.quiet = true;
    libxl_domain_config_init(&g.config);
    receive(&g);
    libxl_domain_config_dispose(&g.config);
    xha_lx_close(&g.w.lx);
    free(g.name);
    fprintf(stderr, "%s: %s\n", xha_result_name(g.w.done.result), g.w.done.message);
    return g.w.done.result == XHA_OK ? 0 : 1;
}

/*
 * fence_validate.c - the configured devices against what their agents say of themselves.
 */
#include "xhad/base/cleanup.h"
#include "xhad/base/text.h"
#include "xhad/cluster/fence_agent.h"
#include "xhad/cluster/fence_device.h"
#include "xhad/cluster/fencer.h"

#include <limits.h>
#include <string.h>

struct validate {
    const char *file;
    struct xha_problems *problems, *warnings;
    struct xha_fence_known known;
    const char *agent; /* being asked */
    uv_loop_t loop;
    int rc;
};

#define bad(v, line, ...)                                                                                    \
    do {                                                                                                     \
        xha_problems_add((v)->problems, (v)->file, line, __VA_ARGS__);                                       \
        (v)->rc = XHA_CONF_E_BAD;                                                                            \
    } while (0)

static void on_meta(void *user, struct xha_agent_end *end)
{
    struct validate *v = user;

    if (end->status == 0 && !end->cut)
        (void)xha_fence_known_add(&v->known, v->agent, end->out, end->out_len);
}

/* Asks each agent once; the ones that do not answer stay unknown. */
static void ask_all(struct validate *v, const struct xha_fence_conf *conf)
{
    for (size_t i = 0; i < conf->n; i++) {
        const struct xha_fence_device *d = &conf->device[i];
        char path[PATH_MAX];
        struct xha_agent_order order = { .path = path,
                                         .action = "metadata",
                                         .timeout = { XHA_FENCE_META_MS },
                                         .keep = XHA_FENCE_META_MAX + 1 };
        bool asked = false;

        for (size_t j = 0; j < i && !asked; j++)
            asked = strcmp(conf->device[j].agent, d->agent) == 0;
        if (asked)
            continue;
        v->agent = d->agent;
        if (xha_agent_find(d->agent, path, sizeof path) && xha_agent_start(&v->loop, &order, on_meta, v))
            uv_run(&v->loop, UV_RUN_DEFAULT);
    }
}

static void check_option(struct validate *v, const struct xha_fence_device *d, const char *name,
                         const struct xha_fence_meta *meta)
{
    const char *nearest = NULL;
    unsigned best = (unsigned)strlen(name) / 4 + 2;

    if (xha_fence_meta_find(meta, name))
        return;
    for (size_t i = 0; i < meta->n; i++) {
        unsigned distance = xha_text_distance(name, meta->param[i].name, best);

        if (distance < best && !meta->param[i].deprecated) {
            best = distance;
            nearest = meta->param[i].name;
        }
    }
    if (nearest)
        bad(v, d->line, "options: %s has no option %.80s; did you mean %s?", d->agent, name, nearest);
    else
        bad(v, d->line, "options: %s has no option %.80s; `%s -o metadata` lists them all", d->agent, name,
            d->agent);
}

static bool is_given(const struct xha_fence_device *d, const char *name)
{
    if (strcmp(name, "action") == 0 || (*d->plug && (strcmp(name, "plug") == 0 || strcmp(name, "port") == 0)))
        return true;
    if (*d->password_file && (strcmp(name, "password") == 0 || strcmp(name, "passwd") == 0))
        return true;
    for (size_t i = 0; i < d->options; i++)
        if (strcmp(d->option[i].name, name) == 0)
            return true;
    return false;
}

static void check_device(struct validate *v, const struct xha_fence_device *d)
{
    const struct xha_fence_meta *meta = xha_fence_known_find(&v->known, d->agent);
    char path[PATH_MAX];

    if (!xha_agent_find(d->agent, path, sizeof path)) {
        xha_problems_add(
            v->warnings, v->file, d->line,
            "fence: there is no agent %.200s on this host: is the package fence-agents installed?", d->agent);
        return;
    }
    if (!meta) {
        xha_problems_add(
            v->warnings, v->file, d->line,
            "fence: `%.200s -o metadata` gives nothing that is understood; its options are not checked",
            d->agent);
        return;
    }
    if (!meta->off)
        bad(v, d->line, "fence: %s has no action off: it cannot fence a host", d->agent);
    if (!meta->on && d->action == XHA_FENCE_REBOOT)
        xha_problems_add(v->warnings, v->file, d->line,
                         "fence: %s has no action on: %s will stay off when it was fenced", d->agent,
                         d->host);
    if (*d->plug && !xha_fence_meta_find(meta, "plug") && !xha_fence_meta_find(meta, "port"))
        bad(v, d->line, "plug: %s knows of no plug", d->agent);
    for (size_t i = 0; i < d->options; i++)
        check_option(v, d, d->option[i].name, meta);
    for (size_t i = 0; i < meta->n; i++) {
        const struct xha_fence_param *param = &meta->param[i];

        if (param->required && !param->deprecated && !param->has_default && !is_given(d, param->name) &&
            !(*param->obsoletes && is_given(d, param->obsoletes)))
            xha_problems_add(v->warnings, v->file, d->line, "fence: %s for %s wants the option %s", d->agent,
                             d->host, param->name);
    }
}

int xha_fencer_validate(const struct xha_fence_conf *conf, const char *file, struct xha_problems *problems,
                        struct xha_problems *warnings)
{
    struct validate v = { .file = file, .problems = problems, .warnings = warnings };

    if (conf->n == 0)
        return XHA_CONF_OK;
    if (uv_loop_init(&v.loop) < 0) {
        bad(&v, 0, "fence: no memory to ask the agents");
        return v.rc;
    }
    ask_all(&v, conf);
    uv_loop_close(&v.loop);
    for (size_t i = 0; i < conf->n; i++)
        check_device(&v, &conf->device[i]);
    xha_fence_known_clear(&v.known);
    xha_fence_conf_exposed(conf, file, warnings);
    return v.rc;
}

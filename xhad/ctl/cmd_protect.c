/*
 * cmd_protect.c - commands that change what is protected and how: protect, unprotect, reload, check-config.
 */
#include "xhad/ctl/cmd_cluster.h"
#include <string.h>

struct asked {
    uint64_t client;
};

/* In a cluster its texts may not be here yet. */
static json_t *protection_json(const struct xha_daemon *d, const char *name)
{
    const struct xha_domain *here = xha_domains_find_name(&d->domains, name);

    for (uint32_t i = 0; d->peers && i < xha_cluster_count(xha_peers_state(d->peers)); i++) {
        struct xha_cluster_domain dom;

        xha_cluster_domain(xha_peers_state(d->peers), i, &dom);
        if (strcmp(dom.name, name) == 0)
            return json_string(xha_protection_name(dom.policy->protection));
    }
    return here ? json_string(xha_protection_name(here->spec.policy.protection)) : json_null();
}

static void on_protected(void *user, struct xha_daemon *d, const char *name, const char *code,
                         const char *message, const char *hint)
{
    struct asked *asked = user;

    if (code)
        xha_control_error(d->control, asked->client, code, message, hint);
    else
        xha_control_ok(d->control, asked->client,
                       json_pack("{s:s, s:s, s:o}", "domain", name, "accepted", "protect", "protection",
                                 protection_json(d, name)));
    free(asked);
}

static void answer_check(const struct xha_call *call, const char *path)
{
    struct xha_problems problems = { 0 };
    const char *lacks = NULL;
    int rc = xha_protect_check(call->d, path, &problems, &lacks);
    char text[XHA_JOB_PATH_MAX + 64], hint[400];

    snprintf(text, sizeof text, "would protect the domain of %s", path);
    snprintf(hint, sizeof hint, "it %s", lacks ? lacks : "");
    if (rc == XHA_CONF_OK)
        xha_call_ok(call, json_pack("{s:s, s:s, s:s*}", "would", "protect", "text", text, "hint",
                                    lacks ? hint : NULL));
    else
        xha_call_error(call, "bad-policy", problems.n ? problems.text[0] : "no memory", NULL);
    xha_problems_clear(&problems);
}

void xha_cmd_protect(const struct xha_call *call)
{
    char path[XHA_JOB_PATH_MAX] = "";
    bool take_over = false;
    struct asked *asked;

    if (!xha_request_text(call->request, "file", path, sizeof path) || path[0] != '/') {
        xha_call_bad_arg(call, "file", "the absolute path of a policy");
        return;
    }
    if (!xha_request_bool(call->request, "take_over", &take_over)) {
        xha_call_bad_arg(call, "take_over", "true or false");
        return;
    }
    if (call->request->dry_run) {
        answer_check(call, path);
        return;
    }
    asked = malloc(sizeof *asked);
    if (!asked) {
        xha_call_error(call, "no-memory", "no memory", NULL);
        return;
    }
    asked->client = call->client;
    xha_protect_file(call->d, path, take_over, on_protected, asked);
}

void xha_cmd_unprotect(const struct xha_call *call)
{
    struct xha_domain *dom = xha_call_domain(call);
    const char *dir = call->d->conf.policy_dir;
    char name[XHA_NAME_MAX], hint[XHA_JOB_PATH_MAX + 100] = "";
    struct xha_view view;
    json_t *result;
    int rc;

    if (!dom)
        return;
    if (call->d->peers) {
        xha_cmd_unprotect_cluster(call, dom);
        return;
    }
    memcpy(name, dom->name, sizeof name);
    if (strncmp(dom->source, dir, strlen(dir)) == 0 && dom->source[strlen(dir)] == '/')
        snprintf(hint, sizeof hint,
                 "its policy is still at %s: xhad's next start or reload protects it again", dom->source);
    rc = call->request->dry_run ? 0 : xha_protect_end(call->d, dom);
    if (rc) {
        const char *state =
            xha_core_find(call->d->core, &dom->uuid, &view) == 0 ? xha_state_name(view.state) : "?";

        xha_cmd_core_error(call->d, call->client, rc, name, state);
        return;
    }
    result =
        json_pack("{s:s, s:s}", "domain", name, call->request->dry_run ? "would" : "accepted", "unprotect");
    if (hint[0])
        json_object_set_new(result, "hint", json_string(hint));
    xha_call_ok(call, result);
}

void xha_cmd_reload(const struct xha_call *call)
{
    json_t *report = json_object();
    int r = call->request->dry_run ? xha_reload_check(call->d, report) : xha_reload(call->d, report);
    const char *message = json_string_value(json_array_get(json_object_get(report, "refused"), 0));

    if (r == 0) {
        xha_call_ok(call, report);
        return;
    }
    xha_call_error(call, "bad-config", message ? message : "xhad.conf was refused",
                   "nothing of xhad.conf was changed; xl-ha check-config shows all problems");
    json_decref(report);
}

void xha_cmd_check_config(const struct xha_call *call)
{
    json_t *report = json_object();

    xha_reload_check(call->d, report);
    xha_call_ok(call, report);
}

/*
 * cmd.c - from a request to the function that answers it.
 */
#include "xhad/ctl/cmd_cluster.h"
#include "xhad/base/uuid.h"
#include <string.h>

static const struct {
    const char *name;
    xha_cmd_fn *fn;
} table[] = {
    { "list", xha_cmd_list },
    { "info", xha_cmd_info },
    { "status", xha_cmd_status },
    { "version", xha_cmd_version },
    { "log", xha_cmd_log },
    { "why", xha_cmd_why },
    { "checkpoints", xha_cmd_checkpoints },
    { "repl", xha_cmd_repl },
    { "protect", xha_cmd_protect },
    { "unprotect", xha_cmd_unprotect },
    { "start", xha_cmd_start },
    { "stop", xha_cmd_stop },
    { "restart", xha_cmd_restart },
    { "checkpoint", xha_cmd_checkpoint },
    { "restore", xha_cmd_restore },
    { "sched", xha_cmd_sched },
    { "maintenance", xha_cmd_maintenance },
    { "reload", xha_cmd_reload },
    { "check-config", xha_cmd_check_config },
    { "hosts", xha_cmd_hosts },
    { "cluster", xha_cmd_cluster },
    { "timing", xha_cmd_timing },
    { "what-if", xha_cmd_what_if },
    { "migrate", xha_cmd_migrate },
    { "migrate-abort", xha_cmd_migrate_abort },
    { "confirm-fenced", xha_cmd_confirm_fenced },
    { "arm", xha_cmd_arm },
    { "disarm", xha_cmd_disarm },
    { "leave", xha_cmd_leave },
    { "forget-host", xha_cmd_forget_host },
    { "host-shutdown", xha_cmd_host_shutdown },
    { "events", xha_cmd_log },
    { "metrics", xha_cmd_metrics },
};

void xha_cmd(void *daemon, uint64_t client, const struct xha_control_request *request)
{
    struct xha_call call = { .d = daemon, .client = client, .request = request };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(table[i].name, request->cmd) == 0) {
            table[i].fn(&call);
            return;
        }
    }
    xha_call_error(&call, "no-such-command", "xhad does not know this command",
                   "is xl-ha of a newer release than the running xhad?");
}

void xha_call_ok(const struct xha_call *call, json_t *result)
{
    xha_control_ok(call->d->control, call->client, result);
}

void xha_call_error(const struct xha_call *call, const char *code, const char *message, const char *hint)
{
    xha_control_error(call->d->control, call->client, code, message, hint);
}

void xha_call_bad_arg(const struct xha_call *call, const char *key, const char *want)
{
    char text[200];

    snprintf(text, sizeof text, "\"%s\" must be %s", key, want);
    xha_call_error(call, "bad-request", text, NULL);
}

const char *xha_cmd_error_code(int rc)
{
    switch (rc) {
    case XHA_CORE_E_NOMEM:
        return "no-memory";
    case XHA_CORE_E_FULL:
        return "full";
    case XHA_CORE_E_NODOMAIN:
        return "no-such-domain";
    case XHA_CORE_E_STATE:
        return "wrong-state";
    case XHA_CORE_E_BUSY:
        return "busy";
    case XHA_CORE_E_POLICY:
        return "not-allowed";
    case XHA_CORE_E_QUORUM:
        return "no-quorum";
    case XHA_CORE_E_UNKNOWN:
        return "unknown";
    default:
        return "invalid";
    }
}

static const char *hint_of(int rc)
{
    switch (rc) {
    case XHA_CORE_E_FULL:
        return "raise max_domains in xhad.conf and restart xhad; no guest is disturbed by that";
    case XHA_CORE_E_STATE:
        return "xl-ha list shows the state, xl-ha why DOMAIN how it came about";
    case XHA_CORE_E_BUSY:
        return "wait until that has ended; xl-ha why DOMAIN shows what it is";
    case XHA_CORE_E_QUORUM:
        return "xl-ha cluster status shows who is there";
    case XHA_CORE_E_UNKNOWN:
        return "xl-ha list shows the state, xl-ha why DOMAIN what was done; give it again if it was not";
    case XHA_CORE_E_POLICY:
        return "the domain is only monitored: protection in its policy says so";
    default:
        return NULL;
    }
}

void xha_cmd_core_error(struct xha_daemon *d, uint64_t client, int rc, const char *name, const char *state)
{
    char text[400];

    snprintf(text, sizeof text, "%s (%s): %s", name, state, xha_core_error_text(rc));
    xha_control_error(d->control, client, xha_cmd_error_code(rc), text, hint_of(rc));
}

/* By domid: only of what runs. */
static struct xha_domain *by_domid(const struct xha_daemon *d, const char *text)
{
    char *end;
    long domid = strtol(text, &end, 10);

    if (*end || end == text || domid <= 0)
        return NULL;
    for (uint32_t i = 0; i < xha_core_count(d->core); i++) {
        struct xha_view view;

        xha_core_view(d->core, i, &view);
        if (view.domid == domid)
            return xha_domains_find(&d->domains, &view.uuid);
    }
    return NULL;
}

struct xha_domain *xha_call_domain(const struct xha_call *call)
{
    char name[128] = "", text[200];
    struct xha_domain *dom;

    if (!xha_request_text(call->request, "domain", name, sizeof name) || !name[0]) {
        xha_call_bad_arg(call, "domain", "the name, UUID or domid of a protected domain");
        return NULL;
    }
    dom = xha_domains_find_name(&call->d->domains, name);
    if (!dom)
        dom = by_domid(call->d, name);
    if (dom)
        return dom;
    snprintf(text, sizeof text, "%s is no protected domain", name);
    xha_call_error(call, "no-such-domain", text, "xl-ha list shows the protected ones, xl list all that run");
    return NULL;
}

bool xha_call_elsewhere(const struct xha_daemon *d, const struct xha_uuid *uuid, unsigned *host_r)
{
    struct xha_cluster_domain dom;

    if (!d->peers || xha_cluster_find(xha_peers_state(d->peers), uuid, &dom) != 0 ||
        dom.phase == XHA_PH_FREE || dom.owner == d->peers->self)
        return false;
    *host_r = dom.owner;
    return true;
}

json_t *xha_cmd_answer(struct xha_daemon *d, const char *cmd, const struct xha_uuid *uuid, json_int_t lines)
{
    struct xha_domain *dom = xha_domains_find(&d->domains, uuid);
    char name[XHA_HOST_TEXT];
    json_t *answer = NULL;

    if (strcmp(cmd, "log") == 0)
        return xha_history_tail(d->history, xha_uuid_is_nil(uuid) ? NULL : uuid, (size_t)lines);
    if (!dom)
        return NULL;
    xha_peers_host(d->peers, d->peers->self, name);
    if (strcmp(cmd, "why") == 0)
        answer = xha_story_json(d, dom);
    else if (strcmp(cmd, "info") == 0)
        answer = xha_info_json(d, dom);
    else if (strcmp(cmd, "repl") == 0)
        answer = xha_repl_json(d, dom, lines);
    if (json_is_object(answer))
        json_object_set_new(answer, "at", json_string(name));
    return answer;
}

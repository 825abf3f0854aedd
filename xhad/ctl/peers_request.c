/*
 * peers_request.c - orders to the cluster: numbered, given to the cluster core, answered by its RESULT.
 */
#include "xhad/ctl/cmd_cluster.h"
#include "xhad/base/uuid.h"
#include <string.h>

#define ANSWER_MS 20000 /* to the cluster's answer; the order may still be done after */

struct xha_peers_request {
    struct xha_peers_request *next;
    uint64_t number;
    int64_t until_ms;
    xha_peers_result_cb *done;
    void *user;
};

/* ---- the path of a request ---- */

const char *xha_peers_error_code(int rc)
{
    switch (rc) {
    case XHA_PEERS_TIMEOUT:
        return "timeout";
    case XHA_CORE_E_QUORUM:
        return "no-quorum";
    case XHA_CORE_E_INVAL:
        return "refused";
    default:
        return xha_cmd_error_code(rc);
    }
}

int xha_peers_may(struct xha_peers *p, const struct xha_cluster_event *ev, const char **code_r, char *text,
                  size_t len)
{
    struct xha_cluster_status status;
    char why[XHA_TEXT_MAX] = "";
    int rc;

    xha_cluster_status(xha_peers_state(p), &status);
    if (!p->up || !status.quorate || !status.synced) {
        *code_r = "no-quorum";
        snprintf(text, len, "nothing can be decided now: %s",
                 !p->up            ? p->why_down
                 : !status.quorate ? "this host is in no part of the cluster that has quorum"
                                   : "the hosts are agreeing on the state; try again in a moment");
        return -1;
    }
    rc = xha_cluster_may(xha_peers_state(p), ev, why, sizeof why);
    if (rc == 0)
        return 0;
    *code_r = xha_peers_error_code(rc);
    snprintf(text, len, "%s", why[0] ? why : xha_core_error_text(rc));
    return -1;
}

int xha_peers_request(struct xha_peers *p, struct xha_cluster_event *ev, xha_peers_result_cb *done,
                      void *user, const char **code_r, char *text, size_t len)
{
    struct xha_peers_request *r;
    int rc;

    ev->type = XHA_CEV_REQUEST;
    ev->now = xha_clock_now(&p->d->clock);
    if (xha_peers_may(p, ev, code_r, text, len) < 0)
        return -1;
    r = calloc(1, sizeof *r);
    if (!r)
        abort();
    r->number = ev->u.request.number = ++p->number;
    r->until_ms = xha_clock_monotonic_ms() + ANSWER_MS;
    r->done = done;
    r->user = user;
    r->next = p->requests;
    p->requests = r;
    rc = xha_peers_step(p, ev);
    if (rc == 0)
        return 0;
    for (struct xha_peers_request **at = &p->requests; *at; at = &(*at)->next) {
        if (*at == r) {
            *at = r->next;
            free(r);
            break;
        }
    }
    *code_r = xha_peers_error_code(rc);
    snprintf(text, len, "%s", xha_core_error_text(rc));
    return -1;
}

static void answer(struct xha_peers *p, uint64_t number, int rc, const char *text)
{
    for (struct xha_peers_request **at = &p->requests; *at; at = &(*at)->next) {
        struct xha_peers_request *r = *at;

        if (r->number != number)
            continue;
        *at = r->next;
        r->done(r->user, p->d, rc, text[0] || rc == 0 ? text : xha_core_error_text(rc));
        free(r);
        return;
    }
}

/* An answer may bring the next request and that the next result: by index, and taken off at the end. */
void xha_peers_results(struct xha_peers *p)
{
    for (size_t i = 0; i < p->n_results; i++) {
        struct xha_cluster_action a = p->results[i];

        answer(p, a.u.result.number, a.u.result.rc, a.u.result.text);
    }
    p->n_results = 0;
}

void xha_peers_requests_check(struct xha_peers *p, bool all)
{
    int64_t now = xha_clock_monotonic_ms();
    struct xha_peers_request *r = p->requests;

    while (r) {
        if (all || now >= r->until_ms) {
            answer(p, r->number, XHA_PEERS_TIMEOUT,
                   all ? "xhad is being stopped; the order may still be done"
                       : "the cluster has not answered in time; the order may still be done: see xl-ha list");
            r = p->requests;
        } else {
            r = r->next;
        }
    }
}

/* ---- protection ---- */

struct protecting {
    char name[XHA_NAME_MAX];
    xha_protect_cb *done;
    void *user;
};

static void on_protected(void *user, struct xha_daemon *d, int rc, const char *text)
{
    struct protecting *in = user;

    if (in->done)
        in->done(in->user, d, in->name, rc ? xha_peers_error_code(rc) : NULL, rc ? text : NULL, NULL);
    else if (rc)
        xha_log(XHA_LOG_WARNING, "a domain could not be brought into the cluster", XHA_S("domain", in->name),
                XHA_S("why", text));
    free(in);
}

/* The texts first: by the time that the order is applied every host has heard of them. */
static int order_protection(struct xha_peers *p, struct xha_domain *dom, bool runs, xha_peers_result_cb *done,
                            void *user, const char **code_r, char *text, size_t len)
{
    struct xha_cluster_event ev = { .uuid = dom->uuid };
    struct xha_needs needs;

    ev.u.request.what = XHA_RQ_PROTECT;
    ev.u.request.host = runs ? p->self : XHA_HOST_NONE;
    ev.u.request.policy = &dom->spec.policy;
    ev.u.request.needs = &needs;
    memcpy(ev.u.request.name, dom->name, sizeof ev.u.request.name);
    xha_domain_spec_needs(&dom->spec, (uint32_t)json_integer_value(json_object_get(dom->facts, "vcpus")),
                          &needs);
    xha_texts_digest(p, dom);
    memcpy(ev.u.request.digest_policy, dom->digest_policy, XHA_DIGEST);
    memcpy(ev.u.request.digest_config, dom->digest_config, XHA_DIGEST);
    ev.type = XHA_CEV_REQUEST;
    ev.now = xha_clock_now(&p->d->clock);
    if (xha_peers_may(p, &ev, code_r, text, len) < 0)
        return -1;
    if (xha_texts_send(p, dom) < 0) {
        *code_r = "disk";
        snprintf(text, len, "the domain's stored configuration cannot be read");
        return -1;
    }
    return xha_peers_request(p, &ev, done, user, code_r, text, len);
}

void xha_peers_protect(struct xha_peers *p, struct xha_domain *dom, bool runs, xha_protect_cb *done,
                       void *user)
{
    struct protecting *in = malloc(sizeof *in);
    char text[400];
    const char *code;

    if (!in)
        abort();
    *in = (struct protecting){ .done = done, .user = user };
    memcpy(in->name, dom->name, sizeof in->name);
    if (order_protection(p, dom, runs, on_protected, in, &code, text, sizeof text) < 0) {
        done(user, p->d, in->name, code, text, NULL);
        free(in);
    }
    xha_domain_free(dom);
}

void xha_texts_bring_in(struct xha_peers *p)
{
    for (size_t i = 0; i < p->d->domains.n; i++) {
        struct xha_domain *dom = p->d->domains.domain[i];
        struct xha_cluster_domain state;
        struct protecting *in;
        char text[400];
        const char *code;

        if (dom->shared || xha_cluster_find(xha_peers_state(p), &dom->uuid, &state) == 0)
            continue;
        in = calloc(1, sizeof *in);
        if (!in)
            abort();
        memcpy(in->name, dom->name, sizeof in->name);
        if (order_protection(p, dom, true, on_protected, in, &code, text, sizeof text) < 0)
            on_protected(in, p->d, XHA_CORE_E_INVAL, text);
    }
}

/* ---- scheduling parameters, which are a part of the configuration's text ---- */

struct sched {
    struct xha_uuid uuid;
    uint64_t client;
    bool wait;
};

static void on_sched_known(void *user, struct xha_daemon *d, int rc, const char *text)
{
    struct sched *s = user;
    struct xha_domain *dom = xha_domains_find(&d->domains, &s->uuid);

    if (rc || !dom)
        xha_control_error(d->control, s->client, rc ? xha_peers_error_code(rc) : "gone", text, NULL);
    else
        xha_call_order(d, s->client, dom, XHA_DO_SCHED, 0, false, s->wait);
    free(s);
}

void xha_peers_sched(struct xha_peers *p, uint64_t client, struct xha_domain *dom, bool wait)
{
    struct sched *s = malloc(sizeof *s);
    char text[400];
    const char *code;

    if (!s)
        abort();
    *s = (struct sched){ .uuid = dom->uuid, .client = client, .wait = wait };
    if (order_protection(p, dom, false, on_sched_known, s, &code, text, sizeof text) < 0) {
        xha_control_error(p->d->control, client, code, text, NULL);
        free(s);
    }
}

/* ---- settings of the whole cluster ---- */

static void on_settings(void *user, struct xha_daemon *d, int rc, const char *text)
{
    (void)user;
    if (rc == 0) {
        xha_log(XHA_LOG_INFO, "the cluster has the shared settings of this host's xhad.conf");
        return;
    }
    xha_log(XHA_LOG_WARNING, "the cluster did not take the shared settings of xhad.conf", XHA_S("why", text));
    d->peers->settings_due = rc == XHA_PEERS_TIMEOUT;
}

void xha_peers_tell_settings(struct xha_peers *p)
{
    const struct xha_cluster_policy *now = xha_cluster_policy(xha_peers_state(p));
    struct xha_cluster_policy policy;
    struct xha_cluster_event ev = { 0 };
    char text[400];
    const char *code;

    xha_conf_policy(&p->d->conf, &policy);
    if (memcmp(&policy, now, sizeof policy) == 0)
        return;
    ev.u.request.what = XHA_RQ_SETTINGS;
    ev.u.request.settings = &policy;
    if (xha_peers_request(p, &ev, on_settings, NULL, &code, text, sizeof text) < 0)
        on_settings(NULL, p->d, XHA_CORE_E_INVAL, text);
}

/*
 * protect.c - domains come under protection and leave it; the policy directory. The questions to the helper
 * that come before: intake.c.
 */
#include "xhad/ctl/peers.h"
#include "xhad/base/file.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/uuid.h"
#include <dirent.h>
#include <string.h>

static int feed_protect(struct xha_daemon *d, const struct xha_domain *dom)
{
    struct xha_event ev = { .type = XHA_EV_PROTECT, .uuid = dom->uuid };

    ev.u.protect.policy = &dom->spec.policy;
    memcpy(ev.u.protect.name, dom->name, sizeof ev.u.protect.name);
    return xha_step(d, &ev);
}

static int refused_by_core(int rc, const char **code_r, char *text, size_t len)
{
    *code_r = xha_cmd_error_code(rc);
    snprintf(text, len, "%s", xha_core_error_text(rc));
    return -1;
}

/* First on disk, then in the core: a crash in between is found by the next start. */
static int commit_new(struct xha_daemon *d, struct xha_domain *dom, const char **code_r, char *text,
                      size_t len)
{
    int rc;

    *code_r = "disk";
    if (xha_domains_store(&d->domains, dom, text, len) < 0)
        return -1;
    if (xha_domains_put(&d->domains, dom) < 0) {
        snprintf(text, len, "no memory");
        return -1;
    }
    rc = feed_protect(d, dom);
    if (rc == 0)
        return 0;
    refused_by_core(rc, code_r, text, len);
    xha_domains_remove(&d->domains, dom);
    return -2;
}

/* First the core, which may say no; then the disk, and back when that fails. */
static int commit_change(struct xha_daemon *d, struct xha_domain *old, struct xha_domain *dom,
                         const char **code_r, char *text, size_t len)
{
    int rc = feed_protect(d, dom);

    if (rc)
        return refused_by_core(rc, code_r, text, len);
    *code_r = "disk";
    if (xha_domains_store(&d->domains, dom, text, len) < 0) {
        feed_protect(d, old);
        return -1;
    }
    return xha_domains_put(&d->domains, dom); /* takes the place of the old one: cannot fail */
}

/* A host alone can only restart what is to be replicated. NULL: it is in a cluster, or nothing is. */
static const char *lacks(const struct xha_daemon *d, const struct xha_domain_spec *spec)
{
    if (d->peers || spec->policy.protection != XHA_PROT_REPLICATE)
        return NULL;
    return "is to be replicated, but this host is in no cluster: it is restarted here when it fails, and "
           "lost "
           "with the host. xl-ha(8), cluster init, tells how to make a cluster";
}

static void tell_of_no_cluster(struct xha_daemon *d, const struct xha_domain *dom)
{
    const char *what = lacks(d, &dom->spec);
    char text[400];

    if (!what)
        return;
    snprintf(text, sizeof text, "%.60s %s", dom->name, what);
    xha_step_alarm(d, "degraded", XHA_SEV_WARNING, dom, text);
}

int xha_protect_commit(struct xha_daemon *d, struct xha_domain *dom, const char **code_r, char *text,
                       size_t len)
{
    struct xha_domain *old = xha_domains_find(&d->domains, &dom->uuid);
    int r = old ? commit_change(d, old, dom, code_r, text, len) : commit_new(d, dom, code_r, text, len);

    if (r == -1)
        xha_domain_free(dom);
    if (r < 0)
        return -1;
    json_decref(dom->config);
    dom->config = NULL;
    xha_observer_track(d->observer, &dom->uuid, dom->spec.policy.heartbeat == XHA_BEAT_AGENT);
    xha_history_text(d->history, "xhad", &dom->uuid, dom->name,
                     old ? "policy changed" : "taken under protection");
    xha_log(XHA_LOG_INFO, old ? "policy changed" : "domain taken under protection",
            XHA_S("domain", dom->name), XHA_S("protection", xha_protection_name(dom->spec.policy.protection)),
            XHA_S("policy", dom->source));
    tell_of_no_cluster(d, dom);
    return 0;
}

int xha_protect_end(struct xha_daemon *d, struct xha_domain *dom)
{
    struct xha_event ev = { .type = XHA_EV_UNPROTECT, .uuid = dom->uuid };
    int rc = xha_step(d, &ev);

    if (rc)
        return rc;
    xha_observer_untrack(d->observer, &dom->uuid);
    xha_history_text(d->history, "xhad", &dom->uuid, dom->name, "no longer protected");
    xha_log(XHA_LOG_INFO, "domain is no longer protected", XHA_S("domain", dom->name));
    xha_repls_forget(d->repls, &dom->uuid);
    xha_domains_remove(&d->domains, dom);
    return 0;
}

int xha_protect_check(const struct xha_daemon *d, const char *path, struct xha_problems *problems,
                      const char **lacks_r)
{
    struct xha_domain_spec spec;
    int rc = xha_domain_spec_load(path, &spec, problems);

    if (rc == XHA_CONF_OK) {
        rc = xha_domain_spec_check(&spec, &d->conf, problems);
        *lacks_r = lacks(d, &spec);
        xha_domain_spec_clear(&spec);
    }
    return rc;
}

/* ---- the directory ---- */

static void refuse(struct xha_daemon *d, json_t *refused, const char *path, const char *text)
{
    char line[512];

    snprintf(line, sizeof line, "%.450s", text);
    xha_step_alarm(d, "policy", XHA_SEV_WARNING, xha_domains_find_source(&d->domains, path), line);
    if (refused)
        json_array_append_new(refused, json_string(line));
}

/* From the intake of a file of the directory: nobody waits for it but the alarms. */
static void taken(void *user, struct xha_daemon *d, const char *name, const char *code, const char *message,
                  const char *hint)
{
    XHA_CLEANUP_FREE char *path = user;
    char text[512];

    (void)hint;
    if (!code)
        return;
    snprintf(text, sizeof text, "%.200s: %s%s%.250s", path, name ? name : "", name ? ": " : "", message);
    refuse(d, NULL, path, text);
}

struct diff {
    char text[400]; /* names of parameters that cannot change live */
};

static void collect(void *user, const struct xha_param *param, const char *was, const char *is)
{
    struct diff *diff = user;
    size_t at = strlen(diff->text);

    if (!param->live)
        snprintf(diff->text + at, sizeof diff->text - at, "%s%s (%.40s -> %.40s)", at ? ", " : "",
                 param->name, was, is);
}

/* Whether a changed policy may take the place of the old one while the domain stays protected. */
static bool may_change(struct xha_daemon *d, const struct xha_domain *old, const char *path, json_t *refused)
{
    struct xha_problems problems = { 0 };
    struct xha_domain_spec spec;
    struct diff diff = { "" };
    char text[1000] = "";
    int rc = xha_domain_spec_load(path, &spec, &problems);

    if (rc == XHA_CONF_OK) {
        rc = xha_domain_spec_check(&spec, &d->conf, &problems);
        if (xha_params_diff(&xha_domain_params, &old->spec, &spec, collect, &diff) > 0)
            snprintf(text, sizeof text,
                     "%.400s: cannot change while the domain is protected: %s. Unprotect it first", path,
                     diff.text);
        xha_domain_spec_clear(&spec);
    }
    if (rc != XHA_CONF_OK)
        snprintf(text, sizeof text, "%s", problems.n ? problems.text[0] : "no memory");
    xha_problems_clear(&problems);
    if (!text[0])
        return true;
    refuse(d, refused, path, text);
    return false;
}

bool xha_protect_may_take(struct xha_daemon *d, const struct xha_domain *old, const char *path,
                          json_t *refused)
{
    struct xha_problems problems = { 0 };
    const char *lacking;
    int rc;

    if (old)
        return may_change(d, old, path, refused);
    rc = xha_protect_check(d, path, &problems, &lacking);
    for (size_t i = 0; rc != XHA_CONF_OK && i < problems.n; i++)
        refuse(d, refused, path, problems.text[i]);
    xha_problems_clear(&problems);
    return rc == XHA_CONF_OK;
}

static void take_file(struct xha_daemon *d, const char *path, json_t *refused)
{
    struct xha_domain *old = xha_domains_find_source(&d->domains, path);
    XHA_CLEANUP_FREE char *text = NULL;
    char *copy;
    size_t len;

    if (old && xha_file_read(path, XHA_PARAMS_FILE_MAX, &text, &len) == 0 &&
        strcmp(text, old->policy_text) == 0)
        return;
    if (!xha_protect_may_take(d, old, path, refused))
        return;
    copy = strdup(path);
    if (copy)
        xha_protect_file(d, path, false, taken, copy);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

void xha_protect_dir(struct xha_daemon *d, json_t *refused)
{
    struct dirent **entry;
    int n;

    if (d->peers) {
        xha_peers_policies(d->peers, refused);
        return;
    }
    n = scandir(d->conf.policy_dir, &entry, NULL, by_name);

    for (int i = 0; i < n; i++) {
        char path[XHA_JOB_PATH_MAX];
        const char *name = entry[i]->d_name, *dot = strrchr(name, '.');
        int r = snprintf(path, sizeof path, "%s/%s", d->conf.policy_dir, name);

        if (name[0] != '.' && dot && strcmp(dot, ".conf") == 0 && r > 0 && (size_t)r < sizeof path)
            take_file(d, path, refused);
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
}

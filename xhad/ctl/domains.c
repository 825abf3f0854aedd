/*
 * domains.c - the table of protected domains. Their directories: domains_disk.c.
 */
#include "xhad/ctl/domains.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include "xhad/base/uuid.h"
#include <string.h>

int xha_domains_open(struct xha_domains *ds, const char *state_dir, char *err, size_t err_len)
{
    *ds = (struct xha_domains){ 0 };
    snprintf(ds->dir, sizeof ds->dir, "%.900s/domains", state_dir);
    if (xha_mkdir_p(ds->dir, 0700) < 0) {
        snprintf(err, err_len, "%s: cannot be created: %s", ds->dir, strerror(errno));
        return -1;
    }
    return 0;
}

void xha_domain_free(struct xha_domain *d)
{
    if (!d)
        return;
    xha_domain_spec_clear(&d->spec);
    free(d->policy_text);
    json_decref(d->config);
    json_decref(d->facts);
    free(d);
}

void xha_domains_clear(struct xha_domains *ds)
{
    for (size_t i = 0; i < ds->n; i++)
        xha_domain_free(ds->domain[i]);
    free(ds->domain);
    ds->domain = NULL;
    ds->n = ds->room = 0;
}

struct xha_domain *xha_domains_find(const struct xha_domains *ds, const struct xha_uuid *uuid)
{
    for (size_t i = 0; i < ds->n; i++)
        if (xha_uuid_equal(&ds->domain[i]->uuid, uuid))
            return ds->domain[i];
    return NULL;
}

struct xha_domain *xha_domains_find_name(const struct xha_domains *ds, const char *name)
{
    struct xha_uuid uuid;

    for (size_t i = 0; i < ds->n; i++)
        if (strcmp(ds->domain[i]->name, name) == 0)
            return ds->domain[i];
    return xha_uuid_parse(name, &uuid) ? xha_domains_find(ds, &uuid) : NULL;
}

struct xha_domain *xha_domains_find_source(const struct xha_domains *ds, const char *path)
{
    for (size_t i = 0; i < ds->n; i++)
        if (strcmp(ds->domain[i]->source, path) == 0)
            return ds->domain[i];
    return NULL;
}

int xha_domains_put(struct xha_domains *ds, struct xha_domain *d)
{
    for (size_t i = 0; i < ds->n; i++) {
        if (xha_uuid_equal(&ds->domain[i]->uuid, &d->uuid)) {
            if (ds->domain[i] != d)
                xha_domain_free(ds->domain[i]);
            ds->domain[i] = d;
            return 0;
        }
    }
    if (ds->n == ds->room) {
        size_t room = ds->room ? 2 * ds->room : 16;
        struct xha_domain **grown = realloc(ds->domain, room * sizeof *grown);

        if (!grown)
            return -1;
        ds->domain = grown;
        ds->room = room;
    }
    ds->domain[ds->n++] = d;
    return 0;
}

void xha_domain_sched_of_policy(struct xha_domain *d)
{
    if (d->sched_set)
        return;
    d->sched.weight = d->spec.sched.weight;
    d->sched.cap = d->spec.sched.cap;
    snprintf(d->sched.affinity, sizeof d->sched.affinity, "%s", d->spec.sched.affinity);
    snprintf(d->sched.pool, sizeof d->sched.pool, "%s", d->spec.sched.pool);
}

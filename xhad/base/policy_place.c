/*
 * policy_place.c - what a policy says of places, for the cluster.
 */
#include "xhad/base/policy.h"

#include <stdio.h>
#include <string.h>

const char *xha_storage_name(enum xha_storage storage)
{
    static const char *const name[] = { "shared", "copy" };

    return (unsigned)storage < XHA_STORAGE_N_ ? name[storage] : "?";
}

bool xha_names_ok(const char *list)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";

    if (!*list)
        return true;
    for (;;) {
        size_t n = strspn(list, allowed);

        if (n == 0 || n >= XHA_NAME_MAX)
            return false;
        list += n;
        if (*list == '\0')
            return true;
        if (*list++ != ',')
            return false;
    }
}

void xha_domain_spec_needs(const struct xha_domain_spec *spec, uint32_t vcpus, struct xha_needs *needs_r)
{
    struct xha_needs *n = needs_r;

    memset(n, 0, sizeof(*n));
    n->vcpus = vcpus;
    snprintf(n->tags, sizeof(n->tags), "%s", spec->place.tags);
    snprintf(n->not_tags, sizeof(n->not_tags), "%s", spec->place.not_tags);
    snprintf(n->networks, sizeof(n->networks), "%s", spec->place.networks);
    snprintf(n->storages, sizeof(n->storages), "%s", spec->place.storages);
    snprintf(n->hosts, sizeof(n->hosts), "%s", spec->place.hosts);
    snprintf(n->prefer, sizeof(n->prefer), "%s", spec->place.prefer);
    snprintf(n->affinity, sizeof(n->affinity), "%s", spec->place.affinity);
    snprintf(n->anti_affinity, sizeof(n->anti_affinity), "%s", spec->place.anti_affinity);
    n->relocate = spec->relocate;
    n->failback = spec->failback;
    n->mode = (uint8_t)spec->move;
    n->copy_storage = spec->storage == XHA_STORAGE_COPY;
}

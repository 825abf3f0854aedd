/*
 * peers_info.c - what this host is, for the others: from xhad.conf, corosync and the observer.
 *
 * STATE/cluster/self keeps who we were and what we had, so that a start does not wait for corosync to learn its
 * number, nor tells the others that it has no memory until the observer has looked.
 */
#include "config.h"
#include "xhad/ctl/peers.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include "xhad/base/uuid.h"
#include <string.h>

#define SELF_BYTES_MAX 65536

void xha_peers_boot(struct xha_uuid *boot_r)
{
    char text[XHA_BOOT_ID_MAX];

    if (!xha_uuid_parse(xha_store_boot_id(text), boot_r))
        memset(boot_r, 0, sizeof *boot_r);
}

static void self_path(const struct xha_peers *p, char buf[XHA_JOB_PATH_MAX])
{
    snprintf(buf, XHA_JOB_PATH_MAX, "%.1000s/self", p->dir);
}

bool xha_peers_recall_self(struct xha_peers *p)
{
    XHA_CLEANUP_FREE char *text = NULL;
    char path[XHA_JOB_PATH_MAX];
    json_t *json, *id;
    const char *name;
    size_t len;
    bool ok;

    self_path(p, path);
    if (xha_file_read(path, SELF_BYTES_MAX, &text, &len) < 0)
        return false;
    json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    id = json_object_get(json, "id");
    name = json_string_value(json_object_get(json, "name"));
    ok = json_is_integer(id) && json_integer_value(id) >= 0 && json_integer_value(id) < XHA_HOSTS_MAX &&
         name && strlen(name) < sizeof p->info.name;
    if (ok) {
        p->self = (uint8_t)json_integer_value(id);
        strcpy(p->info.name, name);
        p->info.memory_kib = (uint64_t)json_integer_value(json_object_get(json, "memory_kib"));
        p->info.pcpus = (uint32_t)json_integer_value(json_object_get(json, "pcpus"));
    }
    json_decref(json);
    return ok;
}

static void remember_self(const struct xha_peers *p)
{
    json_t *json = json_pack("{s:i, s:s, s:I, s:I}", "id", p->self, "name", p->info.name, "memory_kib",
                             (json_int_t)p->info.memory_kib, "pcpus", (json_int_t)p->info.pcpus);
    XHA_CLEANUP_FREE char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    char path[XHA_JOB_PATH_MAX];

    self_path(p, path);
    if (text && xha_file_write(path, 0600, text, strlen(text)) < 0)
        xha_log(XHA_LOG_WARNING, "who this host is in the cluster cannot be kept", XHA_S("file", path),
                XHA_S("error", strerror(errno)));
    json_decref(json);
}

static void copy_names(char *buf, size_t len, const char *names, const char *setting)
{
    if (!xha_names_ok(names)) {
        xha_log(XHA_LOG_WARNING, "a setting is no list of names, separated by commas: it is left out",
                XHA_S("setting", setting), XHA_S("value", names));
        names = "";
    }
    snprintf(buf, len, "%s", names);
}

/* A boot of which the state knows a later generation: that one holds. */
static void take_incarnation(struct xha_peers *p, struct xha_incarnation *now_r)
{
    struct xha_cluster_host h;

    xha_peers_boot(&now_r->boot);
    now_r->generation = 0;
    if (xha_cluster_host(xha_peers_state(p), p->self, &h) &&
        xha_uuid_equal(&h.info.incarnation.boot, &now_r->boot))
        now_r->generation = h.info.incarnation.generation;
}

static void from_engine(struct xha_peers *p, struct xha_host_info *info)
{
    const struct xha_engine_host *hosts;

    if (!p->up)
        return;
    hosts = xha_engine_hosts(p->engine);
    snprintf(info->name, sizeof info->name, "%.63s", hosts[p->self].name);
    snprintf(info->address, sizeof info->address, "%.63s", hosts[p->self].address[0]);
    info->can_fence = 0;
    for (unsigned i = 0; i < XHA_HOSTS_MAX; i++)
        if (hosts[i].configured && i != p->self && xha_fencer_can(p->fencer, hosts[i].name))
            info->can_fence |= (xha_hostset)1 << i;
}

static bool same_info(const struct xha_host_info *a, const struct xha_host_info *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->build, b->build) == 0 &&
           strcmp(a->tags, b->tags) == 0 && strcmp(a->networks, b->networks) == 0 &&
           strcmp(a->storages, b->storages) == 0 && strcmp(a->address, b->address) == 0 &&
           xha_uuid_equal(&a->incarnation.boot, &b->incarnation.boot) &&
           a->incarnation.generation == b->incarnation.generation && a->memory_kib == b->memory_kib &&
           a->pcpus == b->pcpus && a->version == b->version && a->armed == b->armed &&
           a->watchdog.ms == b->watchdog.ms && a->can_fence == b->can_fence;
}

void xha_peers_inform(struct xha_peers *p)
{
    const struct xha_conf *conf = &p->d->conf;
    const struct xha_cluster_policy *policy = xha_cluster_policy(xha_peers_state(p));
    enum xha_watchdog_state watchdog = xha_watchdog_state(p->watchdog);
    struct xha_cluster_event ev = { .type = XHA_CEV_INFO };
    struct xha_host_info info = p->info;
    bool remember;

    take_incarnation(p, &info.incarnation);
    from_engine(p, &info);
    if (conf->address[0])
        snprintf(info.address, sizeof info.address, "%s", conf->address);
    info.version = XHA_WIRE_VERSION;
    snprintf(info.build, sizeof info.build, "%s", PACKAGE_VERSION);
    copy_names(info.tags, sizeof info.tags, conf->tags, "tags");
    copy_names(info.networks, sizeof info.networks, conf->networks, "networks");
    copy_names(info.storages, sizeof info.storages, conf->storages, "storages");
    info.armed = watchdog == XHA_WATCHDOG_ARMED && !p->leaving &&
                 p->d->conf.no_quorum == XHA_NO_QUORUM_FENCE && p->disarm_after == 0;
    info.watchdog = policy->timing.watchdog;
    if (info.armed)
        info.watchdog.ms = xha_watchdog_seconds(p->watchdog) * 1000LL;
    if (p->info_told && same_info(&info, &p->info))
        return;
    remember = strcmp(info.name, p->info.name) != 0 || !p->info_told;
    p->info = info;
    p->info_told = true;
    if (remember && p->up)
        remember_self(p);
    ev.u.info = info;
    xha_peers_step(p, &ev);
}

void xha_peers_measured(struct xha_peers *p, uint64_t memory_kib, uint32_t pcpus)
{
    uint64_t reserve = (uint64_t)p->d->conf.memory_reserve_mib * 1024;
    uint64_t usable = memory_kib > reserve ? memory_kib - reserve : 0;
    uint64_t differs =
        usable > p->info.memory_kib ? usable - p->info.memory_kib : p->info.memory_kib - usable;

    if (memory_kib == 0)
        return;
    /* A dom0 that balloons changes this all the time: only what matters is told. */
    if (pcpus == p->info.pcpus && differs * 64 <= p->info.memory_kib)
        return;
    p->info.memory_kib = usable;
    p->info.pcpus = pcpus;
    remember_self(p);
    p->info_told = false;
    xha_peers_inform(p);
}

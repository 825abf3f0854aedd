/*
 * cmd_state.c - list, hosts, cluster: what the cluster's state says, on any host alike.
 */
#include "xhad/ctl/cmd_cluster.h"
#include "xhad/base/uuid.h"
#include <inttypes.h>
#include <string.h>

bool xha_call_in_cluster(const struct xha_call *call)
{
    if (call->d->peers)
        return true;
    xha_call_error(call, "no-cluster", "this host is alone: xhad.conf does not say cluster = true", NULL);
    return false;
}

json_t *xha_host_json(const struct xha_peers *p, unsigned host)
{
    char name[XHA_HOST_TEXT];

    return host >= XHA_HOSTS_MAX ? json_null() : json_string(xha_peers_host(p, host, name));
}

/* ---- list ---- */

/* Of a domain whose host is lost nobody knows how it is. */
static const char *state_of(const struct xha_daemon *d, const struct xha_cluster_domain *dom)
{
    struct xha_cluster_host owner;

    if (dom->phase == XHA_PH_FREE)
        return dom->want_run ? "waiting" : "stopped";
    if (xha_cluster_host(xha_peers_state(d->peers), dom->owner, &owner) && owner.state == XHA_HOST_LOST)
        return "lost";
    return xha_state_name(dom->report.state);
}

/* What only the owner's xhad knows is null. */
static json_t *remote_entry(const struct xha_daemon *d, const struct xha_cluster_domain *dom)
{
    char uuid[XHA_UUID_TEXT], why[256];
    const struct xha_report *r = &dom->report;
    bool free_one = dom->phase == XHA_PH_FREE;
    json_t *entry;

    if (free_one && dom->wait_text[0])
        snprintf(why, sizeof why, "%s", dom->wait_text);
    else
        xha_cause_text(r->cause, r->detail, why, sizeof why);
    entry = json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:i, s:I, s:I, s:b, s:s, s:n, s:n, s:n, s:b}", "name",
                      dom->name, "uuid", xha_uuid_format(&dom->uuid, uuid), "domid",
                      free_one ? XHA_DOMID_NONE : (int)r->domid, "state", state_of(d, dom), "purpose",
                      xha_purpose_name(r->purpose), "protection",
                      xha_protection_name(dom->policy->protection), "restarts", (int)r->recoveries, "term",
                      (json_int_t)dom->term, "mem_kib", (json_int_t)dom->policy->memory_kib, "held", 0, "why",
                      why, "since_ms", "beat_age_ms", "checkpoint_age_ms", "checkpointing", 0);
    xha_repls_add(d, &dom->uuid, entry);
    return entry;
}

json_t *xha_state_entry(const struct xha_daemon *d, const struct xha_cluster_domain *dom)
{
    const struct xha_peers *p = d->peers;
    bool owned = dom->phase != XHA_PH_FREE, here = owned && dom->owner == p->self;
    struct xha_view view;
    json_t *entry;

    if (here && xha_core_find(d->core, &dom->uuid, &view) == 0)
        entry = xha_view_entry(d, &view);
    else
        entry = remote_entry(d, dom);
    json_object_set_new(entry, "host", owned ? xha_host_json(p, dom->owner) : json_null());
    json_object_set_new(entry, "host_id", owned ? json_integer(dom->owner) : json_null());
    json_object_set_new(entry, "here", json_boolean(here));
    json_object_set_new(entry, "phase", json_string(xha_phase_name(dom->phase)));
    json_object_set_new(entry, "want_run", json_boolean(dom->want_run));
    json_object_set_new(entry, "to",
                        dom->phase == XHA_PH_MOVING ? xha_host_json(p, dom->move.target) : json_null());
    json_object_set_new(entry, "wait", json_string(!owned && dom->want_run ? dom->wait_text : ""));
    json_object_set_new(entry, "home", xha_host_json(p, dom->home));
    return entry;
}

void xha_cmd_list_cluster(const struct xha_call *call)
{
    const struct xha_cluster *cluster = xha_peers_state(call->d->peers);
    json_t *list = json_array();
    bool local = false;

    if (!xha_request_bool(call->request, "local", &local)) {
        json_decref(list);
        xha_call_bad_arg(call, "local", "true or false");
        return;
    }
    for (uint32_t i = 0; i < xha_cluster_count(cluster); i++) {
        struct xha_cluster_domain dom;

        xha_cluster_domain(cluster, i, &dom);
        if (!local || (dom.phase != XHA_PH_FREE && dom.owner == call->d->peers->self))
            json_array_append_new(list, xha_state_entry(call->d, &dom));
    }
    xha_call_ok(call, list);
}

/* ---- hosts ---- */

static json_t *names_json(const char *names)
{
    json_t *array = json_array();

    while (*names) {
        size_t n = strcspn(names, ",");

        json_array_append_new(array, json_stringn(names, n));
        names += n + (names[n] == ',');
    }
    return array;
}

static json_t *set_json(const struct xha_peers *p, xha_hostset set)
{
    json_t *array = json_array();

    for (unsigned i = 0; i < XHA_HOSTS_MAX; i++)
        if (set >> i & 1)
            json_array_append_new(array, xha_host_json(p, i));
    return array;
}

static unsigned moves_of(const struct xha_cluster *cluster, unsigned host)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < xha_cluster_count(cluster); i++) {
        struct xha_cluster_domain dom;

        xha_cluster_domain(cluster, i, &dom);
        n += dom.phase == XHA_PH_MOVING && (dom.owner == host || dom.move.target == host);
    }
    return n;
}

static void add_loss(const struct xha_daemon *d, json_t *json, const struct xha_cluster_host *h)
{
    int64_t now = xha_clock_now(&d->clock).ms;

    json_object_set_new(json, "fenced_by",
                        h->state == XHA_HOST_FENCED ? json_string(xha_fenced_by_name(h->fenced_by))
                                                    : json_null());
    json_object_set_new(json, "fence_attempts", json_integer(h->fence_attempts));
    json_object_set_new(json, "fence_text", json_string(h->fence_text));
    json_object_set_new(json, "lost_ms",
                        h->lost_since.ms ? json_integer(now - h->lost_since.ms) : json_null());
    json_object_set_new(json, "takeover_in_ms",
                        h->fenced_at_latest.ms ? json_integer(h->fenced_at_latest.ms - now) : json_null());
}

/* Whether this host could fence it, as its devices last said; null: they were not asked. */
static json_t *fence_check_json(const struct xha_peers *p, unsigned host)
{
    const struct xha_fence_check *c = &p->fence_check[host];

    if (!c->known)
        return json_null();
    return json_pack("{s:b, s:s, s:I}", "ok", !c->failed, "text", c->text, "age_ms",
                     (json_int_t)(xha_clock_monotonic_ms() - c->asked_ms));
}

static json_t *host_entry(const struct xha_daemon *d, unsigned host, const struct xha_cluster_host *h,
                          const struct xha_cluster_status *status)
{
    const struct xha_peers *p = d->peers;
    json_t *json = json_pack("{s:i, s:o, s:s, s:b, s:b, s:b, s:b, s:b, s:b, s:I, s:I, s:I}", "id", (int)host,
                             "name", xha_host_json(p, host), "state", xha_host_state_name(h->state), "self",
                             host == status->self, "leader", status->leader_known && host == status->leader,
                             "member", h->member, "node", h->node, "maintenance", h->maintenance, "armed",
                             h->info.armed, "watchdog_ms", (json_int_t)h->info.watchdog.ms, "domains",
                             (json_int_t)h->domains, "running", (json_int_t)h->running);

    json_object_set_new(json, "mem_kib", json_integer((json_int_t)h->info.memory_kib));
    json_object_set_new(json, "mem_used_kib", json_integer((json_int_t)h->memory_used_kib));
    json_object_set_new(json, "mem_free_kib", json_integer((json_int_t)h->memory_free_kib));
    json_object_set_new(json, "pcpus", json_integer(h->info.pcpus));
    json_object_set_new(json, "address", json_string(h->info.address));
    json_object_set_new(json, "build", json_string(h->info.build));
    json_object_set_new(json, "wire", json_integer(h->info.version));
    json_object_set_new(json, "tags", names_json(h->info.tags));
    json_object_set_new(json, "networks", names_json(h->info.networks));
    json_object_set_new(json, "storages", names_json(h->info.storages));
    json_object_set_new(json, "can_fence", set_json(p, h->info.can_fence));
    json_object_set_new(json, "moving", json_integer(moves_of(xha_peers_state(p), host)));
    json_object_set_new(json, "fence_check", fence_check_json(p, host));
    add_loss(d, json, h);
    return json;
}

void xha_cmd_hosts(const struct xha_call *call)
{
    struct xha_cluster_status status;
    json_t *list;

    if (!xha_call_in_cluster(call))
        return;
    list = json_array();
    xha_cluster_status(xha_peers_state(call->d->peers), &status);
    for (unsigned i = 0; i < XHA_HOSTS_MAX; i++) {
        struct xha_cluster_host h;

        if (xha_cluster_host(xha_peers_state(call->d->peers), (uint8_t)i, &h))
            json_array_append_new(list, host_entry(call->d, i, &h, &status));
    }
    xha_call_ok(call, list);
}

/* ---- the cluster as a whole ---- */

void xha_cluster_line(const struct xha_peers *p, char *buf, size_t len)
{
    struct xha_cluster_status s;
    char leader[XHA_HOST_TEXT];

    xha_cluster_status(xha_peers_state(p), &s);
    if (!p->up)
        snprintf(buf, len, "no part of the cluster: %s", p->why_down);
    else
        snprintf(buf, len, "%d of %u hosts, %s, %s; leader %s; %u domains, %u moving, %u waiting%s",
                 __builtin_popcountll(s.members), s.hosts, s.quorate ? "quorum" : "NO QUORUM",
                 !s.synced    ? "agreeing on the state"
                 : !s.settled ? "waits for absent hosts to come or be fenced"
                              : "settled",
                 s.leader_known ? xha_peers_host(p, s.leader, leader) : "none", s.domains, s.moving,
                 s.free_waiting, s.armed ? "" : "; DISARMED");
}

static json_t *votes_json(const struct xha_peers *p)
{
    const struct xha_engine_quorum *q = xha_engine_quorum(p->engine);
    json_t *votes =
        json_pack("{s:I, s:I, s:I, s:I, s:b, s:b}", "expected", (json_int_t)q->expected_votes, "total",
                  (json_int_t)q->total_votes, "needed", (json_int_t)q->needed, "own",
                  (json_int_t)q->own_votes, "two_node", q->two_node, "wait_for_all", q->wait_for_all);

    json_object_set_new(votes, "qdevice",
                        q->qdevice ? json_pack("{s:s, s:b, s:b}", "name", q->qdevice_name, "alive",
                                               q->qdevice_alive, "votes", q->qdevice_votes)
                                   : json_null());
    return votes;
}

static json_t *watchdog_json(const struct xha_peers *p)
{
    struct xha_time at;
    json_t *json = json_pack(
        "{s:s, s:s, s:I}", "state", xha_watchdog_state_name(xha_watchdog_state(p->watchdog)), "text",
        xha_watchdog_text(p->watchdog), "seconds", (json_int_t)xha_watchdog_seconds(p->watchdog));

    json_object_set_new(json, "poke_age_ms",
                        xha_watchdog_last_poke(p->watchdog, &at)
                            ? json_integer(xha_clock_monotonic_ms() - at.ms)
                            : json_null());
    return json;
}

void xha_cmd_cluster(const struct xha_call *call)
{
    const struct xha_peers *p = call->d->peers;
    const struct xha_cluster_policy *policy;
    struct xha_cluster_status s;
    char line[400], hash[24];
    json_t *json;

    if (!p) {
        xha_call_ok(call, json_pack("{s:b, s:s}", "cluster", 0, "text", "this host is alone: no cluster"));
        return;
    }
    policy = xha_cluster_policy(xha_peers_state(p));
    xha_cluster_status(xha_peers_state(p), &s);
    xha_cluster_line(p, line, sizeof line);
    snprintf(hash, sizeof hash, "%016" PRIx64, s.hash);
    json = json_pack("{s:b, s:s, s:s, s:o, s:o, s:s}", "cluster", 1, "text", line, "name",
                     xha_engine_cluster_name(p->engine), "self", xha_host_json(p, s.self), "leader",
                     s.leader_known ? xha_host_json(p, s.leader) : json_null(), "engine",
                     p->up ? "up" : p->why_down);
    json_object_update_new(json,
                           json_pack("{s:b, s:b, s:b, s:b, s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:I}",
                                     "quorate", s.quorate, "synced", s.synced, "settled", s.settled, "armed",
                                     s.armed, "epoch", (json_int_t)s.epoch, "index", (json_int_t)s.index,
                                     "committed", (json_int_t)s.committed, "hash", hash, "hosts",
                                     (json_int_t)s.hosts, "domains", (json_int_t)s.domains, "moving",
                                     (json_int_t)s.moving, "waiting", (json_int_t)s.free_waiting));
    json_object_set_new(json, "members", set_json(p, s.members));
    json_object_set_new(json, "nodes", set_json(p, s.nodes));
    json_object_set_new(json, "votes", votes_json(p));
    json_object_set_new(json, "watchdog", watchdog_json(p));
    json_object_set_new(
        json, "settings",
        json_pack("{s:s, s:I, s:I, s:I, s:I}", "placement", xha_placement_name(policy->placement), "survive",
                  (json_int_t)policy->survive, "overcommit", (json_int_t)policy->overcommit_percent,
                  "parallel_moves", (json_int_t)policy->parallel_moves, "move_timeout_ms",
                  (json_int_t)policy->move_timeout.ms));
    xha_call_ok(call, json);
}

/*
 * session.c - connecting to corosync, and what goes wrong with it, in words. See session.h.
 */
#include "xhad/cluster/session.h"
#include <corosync/cmap.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "xhad/base/cleanup.h"

#define GROUP        "xhad"
#define JOIN_TRIES   100 /* every 50 ms: the last xhad of this host may not be out of the group yet */
#define JOIN_WAIT_NS 50000000

static int fail(char why[XHA_SESSION_WHY_MAX], const char *what, cs_error_t error)
{
    const char *advice = "see 'journalctl -u corosync'; xhad tries again by itself";

    if (error == CS_ERR_LIBRARY)
        advice =
            "is it running? Start it with 'systemctl start corosync', see 'journalctl -u corosync'; without "
            "a corosync.conf make one with 'xl-ha cluster init'. xhad tries again by itself";
    else if (error == CS_ERR_ACCESS)
        advice = "xhad must run as root, or be allowed in corosync's uidgid";
    snprintf(why, XHA_SESSION_WHY_MAX, "corosync: %s: %s; %s", what, cs_strerror(error), advice);
    return -1;
}

/* ---- facts ---- */

static void get_string(cmap_handle_t cmap, const char *key, char buf[XHA_ENGINE_NAME_MAX])
{
    XHA_CLEANUP_FREE char *value = NULL;

    buf[0] = '\0';
    if (cmap_get_string(cmap, key, &value) == CS_OK && strlen(value) < XHA_ENGINE_NAME_MAX)
        strcpy(buf, value);
}

static uint32_t get_u32(cmap_handle_t cmap, const char *key)
{
    uint32_t value;

    return cmap_get_uint32(cmap, key, &value) == CS_OK ? value : 0;
}

static void get_host(cmap_handle_t cmap, unsigned position, struct xha_engine_host *hosts)
{
    char key[CMAP_KEYNAME_MAXLEN + 1];
    struct xha_engine_host *host;
    uint32_t nodeid;

    snprintf(key, sizeof key, "nodelist.node.%u.nodeid", position);
    nodeid = get_u32(cmap, key);
    if (nodeid < 1 || nodeid > XHA_ENGINE_HOSTS_MAX)
        return;
    host = &hosts[nodeid - 1];
    host->configured = true;
    for (unsigned link = 0; link < 2; link++) {
        snprintf(key, sizeof key, "nodelist.node.%u.ring%u_addr", position, link);
        get_string(cmap, key, host->address[link]);
    }
    snprintf(key, sizeof key, "nodelist.node.%u.name", position);
    get_string(cmap, key, host->name);
    if (!host->name[0])
        strcpy(host->name, host->address[0]);
}

/* Positions in the list may have holes, after a host was taken out. */
static void get_hosts(cmap_handle_t cmap, struct xha_engine_host *hosts)
{
    char key[CMAP_KEYNAME_MAXLEN + 1];
    cmap_iter_handle_t iter;
    unsigned position;
    int end;

    if (cmap_iter_init(cmap, "nodelist.node.", &iter) != CS_OK)
        return;
    while (cmap_iter_next(cmap, iter, key, NULL, NULL) == CS_OK) {
        end = 0;
        if (sscanf(key, "nodelist.node.%u.nodeid%n", &position, &end) == 1 && end && !key[end])
            get_host(cmap, position, hosts);
    }
    cmap_iter_finalize(cmap, iter);
}

static void get_quorum(votequorum_handle_t votequorum, uint32_t nodeid, struct xha_engine_quorum *q)
{
    struct votequorum_info info;

    memset(&info, 0, sizeof info);
    if (votequorum_getinfo(votequorum, nodeid, &info) != CS_OK)
        return;
    *q = (struct xha_engine_quorum){
        .quorate = info.flags & VOTEQUORUM_INFO_QUORATE,
        .exclusive = !(info.flags & (VOTEQUORUM_INFO_TWONODE | VOTEQUORUM_INFO_AUTO_TIE_BREAKER |
                                     VOTEQUORUM_INFO_LAST_MAN_STANDING)),
        .expected_votes = info.node_expected_votes,
        .total_votes = info.total_votes,
        .needed = info.quorum,
        .own_votes = info.node_votes,
        .two_node = info.flags & VOTEQUORUM_INFO_TWONODE,
        .wait_for_all = info.flags & VOTEQUORUM_INFO_WAIT_FOR_ALL,
        .qdevice = info.flags & VOTEQUORUM_INFO_QDEVICE_REGISTERED,
        .qdevice_alive = info.flags & VOTEQUORUM_INFO_QDEVICE_ALIVE,
        .qdevice_votes = info.flags & VOTEQUORUM_INFO_QDEVICE_CAST_VOTE,
    };
    snprintf(q->qdevice_name, sizeof q->qdevice_name, "%.*s", (int)sizeof info.qdevice_name,
             info.qdevice_name);
}

/* How long a quorum device may take; what is not set is votequorum's own. */
static void get_device(cmap_handle_t cmap, struct xha_session_facts *facts_r)
{
    char model[XHA_ENGINE_NAME_MAX] = "";

    get_string(cmap, "quorum.device.model", model);
    if (!model[0])
        return;
    facts_r->device_ms = get_u32(cmap, "quorum.device.timeout");
    facts_r->device_sync_ms = get_u32(cmap, "quorum.device.sync_timeout");
    if (!facts_r->device_ms)
        facts_r->device_ms = VOTEQUORUM_QDEVICE_DEFAULT_TIMEOUT;
    if (!facts_r->device_sync_ms)
        facts_r->device_sync_ms = VOTEQUORUM_QDEVICE_DEFAULT_SYNC_TIMEOUT;
}

static int ask(votequorum_handle_t votequorum, struct xha_session_facts *facts_r, char *why)
{
    cmap_handle_t cmap;
    cs_error_t error = cmap_initialize(&cmap);

    memset(facts_r, 0, sizeof *facts_r);
    if (error != CS_OK)
        return fail(why, "its settings (cmap) cannot be read", error);
    facts_r->nodeid = get_u32(cmap, "runtime.votequorum.this_node_id");
    facts_r->token_ms = get_u32(cmap, "runtime.config.totem.token");
    facts_r->consensus_ms = get_u32(cmap, "runtime.config.totem.consensus");
    get_device(cmap, facts_r);
    get_string(cmap, "totem.cluster_name", facts_r->cluster_name);
    get_hosts(cmap, facts_r->hosts);
    cmap_finalize(cmap);
    get_quorum(votequorum, facts_r->nodeid, &facts_r->quorum);
    return 0;
}

static int open_votequorum(votequorum_handle_t *votequorum_r, votequorum_callbacks_t *callbacks, char *why)
{
    cs_error_t error = votequorum_initialize(votequorum_r, callbacks);

    if (error == CS_ERR_NOT_EXIST) {
        snprintf(why, XHA_SESSION_WHY_MAX,
                 "corosync: it runs without votequorum, so nobody could say who may act; put "
                 "'quorum { provider: corosync_votequorum }' into corosync.conf on all hosts and restart it");
        return -1;
    }
    return error == CS_OK ? 0 : fail(why, "votequorum cannot be reached", error);
}

int xha_session_ask(struct xha_session_facts *facts_r, char why[XHA_SESSION_WHY_MAX])
{
    votequorum_callbacks_t none = { 0 };
    votequorum_handle_t votequorum;
    int rc;

    rc = open_votequorum(&votequorum, &none, why);
    if (rc < 0)
        return rc;
    rc = ask(votequorum, facts_r, why);
    votequorum_finalize(votequorum);
    return rc;
}

/* ---- open and close ---- */

static int join(struct xha_session *s)
{
    const struct cpg_name group = { .length = strlen(GROUP), .value = GROUP };
    cs_error_t error = CS_ERR_TRY_AGAIN;

    for (int i = 0; i < JOIN_TRIES; i++) {
        error = cpg_join(s->cpg, &group);
        if (error != CS_ERR_TRY_AGAIN && error != CS_ERR_EXIST)
            break;
        nanosleep(&(struct timespec){ .tv_nsec = JOIN_WAIT_NS }, NULL);
    }
    return error == CS_OK ? 0 : fail(s->why, "the group cannot be joined", error);
}

static int open_cpg(struct xha_session *s)
{
    cs_error_t error;

    s->cpg_callbacks.model = CPG_MODEL_V1;
    s->cpg_callbacks.flags = CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF;
    error = cpg_model_initialize(&s->cpg, CPG_MODEL_V1, (cpg_model_data_t *)&s->cpg_callbacks, s->context);
    return error == CS_OK ? 0 : fail(s->why, "it does not answer", error);
}

static int check_nodeid(struct xha_session *s)
{
    uint32_t nodeid = s->facts.nodeid;

    if (nodeid >= 1 && nodeid <= XHA_ENGINE_HOSTS_MAX && s->facts.hosts[nodeid - 1].configured)
        return 0;
    snprintf(s->why, sizeof s->why,
             "corosync: this host has nodeid %u, but xhad needs a nodelist with nodeids from 1 to %d; change "
             "'nodeid:' in corosync.conf on all hosts and restart corosync",
             nodeid, XHA_ENGINE_HOSTS_MAX);
    return -1;
}

/* What can be asked of open handles before the group is joined. */
static int prepare(struct xha_session *s)
{
    cs_error_t error;
    int rc;

    rc = ask(s->votequorum, &s->facts, s->why);
    if (rc == 0)
        rc = check_nodeid(s);
    if (rc < 0)
        return rc;
    error = cpg_max_atomic_msgsize_get(s->cpg, &s->frame_max);
    if (error == CS_OK)
        error = cpg_fd_get(s->cpg, &s->cpg_fd);
    if (error == CS_OK)
        error = votequorum_fd_get(s->votequorum, &s->votequorum_fd);
    if (error == CS_OK)
        error = votequorum_trackstart(s->votequorum, (uint64_t)(uintptr_t)s->context,
                                      CS_TRACK_CURRENT | CS_TRACK_CHANGES);
    return error == CS_OK ? 0 : fail(s->why, "it answers, but not as expected", error);
}

void xha_session_open(struct xha_session *s)
{
    if (open_cpg(s) < 0)
        return;
    if (open_votequorum(&s->votequorum, &s->votequorum_callbacks, s->why) < 0) {
        cpg_finalize(s->cpg);
        return;
    }
    s->open = prepare(s) == 0 && join(s) == 0;
    if (s->open)
        return;
    votequorum_finalize(s->votequorum);
    cpg_finalize(s->cpg);
}

void xha_session_close(struct xha_session *s)
{
    const struct cpg_name group = { .length = strlen(GROUP), .value = GROUP };

    if (!s->open)
        return;
    s->open = false;
    if (s->leave)
        cpg_leave(s->cpg, &group);
    cpg_finalize(s->cpg);
    votequorum_finalize(s->votequorum);
}

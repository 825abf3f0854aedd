/*
 * cluster_status.c - xl-ha cluster status: what corosync on this host says of the cluster, and what xhad makes of it.
 *
 * corosync's calls wait for it without end, so a hung one is noticed by an alarm.
 */
#include "xl-plugins/cluster.h"

#include <corosync/cmap.h>
#include <corosync/corotypes.h>
#include <corosync/votequorum.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_S 10

struct asked {
    cmap_handle_t stats;
    votequorum_handle_t votequorum;
    struct votequorum_info info; /* of this host */
};

static void on_alarm(int sig)
{
    static const char text[] =
        "xl-ha: corosync does not answer in time: it hangs; see 'journalctl -u corosync', then "
        "systemctl restart corosync\n";

    (void)sig;
    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
        _exit(XLHA_FAILED);
    _exit(XLHA_TIMEOUT);
}

static int ask(struct asked *a)
{
    votequorum_callbacks_t none = { 0 };
    cs_error_t error = votequorum_initialize(&a->votequorum, &none);

    if (error == CS_OK)
        error = votequorum_getinfo(a->votequorum, 0, &a->info);
    if (error == CS_OK)
        error = cmap_initialize_map(&a->stats, CMAP_MAP_STATS);
    if (error == CS_ERR_ACCESS)
        return xlha_fail(XLHA_FORBIDDEN, "only root may ask corosync: become root, or use sudo");
    if (error != CS_OK)
        return xlha_fail(XLHA_FAILED,
                         "corosync does not answer (%s): start it with 'systemctl start corosync', or see "
                         "'journalctl -u corosync'",
                         cs_strerror(error));
    return XLHA_DONE;
}

static bool is_member(const struct asked *a, uint32_t nodeid, uint32_t *votes_r)
{
    struct votequorum_info info;

    *votes_r = 0;
    if (votequorum_getinfo(a->votequorum, nodeid, &info) != CS_OK)
        return false;
    *votes_r = info.node_votes;
    return info.node_state == VOTEQUORUM_NODESTATE_MEMBER;
}

static json_t *link_state(const struct asked *a, uint32_t nodeid, int link)
{
    char key[CMAP_KEYNAME_MAXLEN + 1];
    uint8_t connected;

    if (nodeid == a->info.node_id)
        return json_string("own");
    snprintf(key, sizeof(key), "stats.knet.node%u.link%d.connected", nodeid, link);
    if (cmap_get_uint8(a->stats, key, &connected) != CS_OK)
        return json_string("unknown");
    return json_string(connected ? "up" : "down");
}

static json_t *describe_host(const struct asked *a, const struct xlha_corosync_host *host)
{
    json_t *links = json_array();
    uint32_t votes;
    bool member = is_member(a, host->nodeid, &votes);

    for (int i = 0; i < 2 && host->address[i][0]; i++)
        json_array_append_new(links, json_pack("{s:s, s:o}", "address", host->address[i], "state",
                                               link_state(a, host->nodeid, i)));
    return json_pack("{s:s, s:i, s:i, s:b, s:b, s:i, s:o}", "name", host->name, "nodeid", (int)host->nodeid,
                     "host_id", (int)host->nodeid - 1, "here", (int)(host->nodeid == a->info.node_id),
                     "member", (int)member, "votes", (int)votes, "links", links);
}

static json_t *describe_qdevice(const struct votequorum_info *info)
{
    if (!(info->flags & VOTEQUORUM_INFO_QDEVICE_REGISTERED))
        return json_null();
    return json_pack("{s:s, s:b, s:b, s:i}", "name", info->qdevice_name, "alive",
                     !!(info->flags & VOTEQUORUM_INFO_QDEVICE_ALIVE), "gives_its_vote",
                     !!(info->flags & VOTEQUORUM_INFO_QDEVICE_CAST_VOTE), "votes", (int)info->qdevice_votes);
}

static json_t *describe(const struct asked *a, const struct xlha_corosync *c)
{
    const struct votequorum_info *info = &a->info;
    json_t *hosts = json_array(), *notes = json_array();

    for (size_t i = 0; i < c->n; i++)
        json_array_append_new(hosts, describe_host(a, &c->host[i]));
    xlha_cluster_explain(c, info->flags & VOTEQUORUM_INFO_TWONODE, notes);
    return json_pack("{s:s, s:b, s:i, s:i, s:i, s:b, s:b, s:o, s:o, s:o}", "cluster", c->name, "quorate",
                     !!(info->flags & VOTEQUORUM_INFO_QUORATE), "votes", (int)info->total_votes,
                     "expected_votes", (int)info->highest_expected, "needed_votes", (int)info->quorum,
                     "two_node", !!(info->flags & VOTEQUORUM_INFO_TWONODE), "wait_for_all",
                     !!(info->flags & VOTEQUORUM_INFO_WAIT_FOR_ALL), "qdevice", describe_qdevice(info),
                     "hosts", hosts, "notes", notes);
}

static void print_hosts(const json_t *hosts)
{
    static const char *const titles[] = { "Host", ">Nodeid", "Member", "Links" };
    struct xlha_table *table = xlha_table_new(titles, 4);
    const json_t *host, *link;
    size_t i, j;

    json_array_foreach(hosts, i, host)
    {
        char name[300], nodeid[16], links[1200] = "";
        size_t len = 0;

        snprintf(name, sizeof(name), "%s%s", xlha_string(host, "name"), xlha_bool(host, "here") ? "*" : "");
        snprintf(nodeid, sizeof(nodeid), "%lld", (long long)xlha_int(host, "nodeid", 0));
        json_array_foreach(json_object_get(host, "links"), j, link)
        {
            const char *state = xlha_string(link, "state");

            len += (size_t)snprintf(links + len, sizeof(links) - len, "%s%s%s%s", j ? ", " : "",
                                    xlha_string(link, "address"), strcmp(state, "own") ? " " : "",
                                    strcmp(state, "own") ? state : "");
        }
        xlha_table_cell(table, name);
        xlha_table_cell(table, nodeid);
        xlha_table_cell(table, xlha_bool(host, "member") ? "yes" : "no");
        xlha_table_cell(table, links);
    }
    xlha_table_print(table, stdout);
    xlha_table_free(table);
}

static void print_status(const json_t *status)
{
    const json_t *qdevice = json_object_get(status, "qdevice"), *note;
    size_t i;

    printf("cluster   : ");
    xlha_print_line(xlha_string(status, "cluster"), stdout);
    printf("quorum    : %s: %lld of %lld votes, %lld needed%s%s\n",
           xlha_bool(status, "quorate") ? "yes" : "NO", (long long)xlha_int(status, "votes", 0),
           (long long)xlha_int(status, "expected_votes", 0), (long long)xlha_int(status, "needed_votes", 0),
           xlha_bool(status, "two_node") ? ", two_node" : "",
           xlha_bool(status, "wait_for_all") ? ", wait_for_all" : "");
    if (json_is_object(qdevice))
        printf("qdevice   : %s, %s\n", xlha_bool(qdevice, "alive") ? "answers" : "does NOT answer",
               xlha_bool(qdevice, "gives_its_vote") ? "gives its vote" : "gives no vote");
    if (json_is_object(json_object_get(status, "xhad"))) {
        printf("xhad      : ");
        xlha_print_line(xlha_string(json_object_get(status, "xhad"), "text"), stdout);
    }
    printf("\n");
    print_hosts(json_object_get(status, "hosts"));
    json_array_foreach(json_object_get(status, "notes"), i, note)
    {
        printf("\n");
        xlha_print_line(json_string_value(note), stdout);
    }
}

int xlha_cluster_status(struct xlha *x, const struct xlha_corosync *c)
{
    struct asked a = { 0 };
    json_t *status, *xhad;
    int rc;

    if (x->timeout_ms) {
        signal(SIGALRM, on_alarm);
        alarm(x->timeout_ms < 0 ? PATIENCE_S : (unsigned)(x->timeout_ms + 999) / 1000);
    }
    rc = ask(&a);
    status = rc ? NULL : describe(&a, c);
    alarm(0);
    if (a.stats)
        cmap_finalize(a.stats);
    if (a.votequorum)
        votequorum_finalize(a.votequorum);
    if (rc)
        return rc;
    /* Without xhad the rest is still worth to be shown; why it does not answer has been said. */
    if (xlha_call(x, "cluster", NULL, &xhad))
        xhad = json_null();
    json_object_set_new(status, "xhad", xhad);
    if (x->json)
        xlha_print_json(status);
    else
        print_status(status);
    json_decref(status);
    return XLHA_DONE;
}

/*
 * session.h - one connection to the local corosync: opened, asked and closed. All of it may block, so all of
 * it is called from a chore's thread.
 */
#ifndef XHA_CLUSTER_SESSION_H
#define XHA_CLUSTER_SESSION_H

#include <corosync/corotypes.h>
#include <corosync/cpg.h>
#include <corosync/votequorum.h>
#include "xhad/cluster/engine.h"

#define XHA_SESSION_WHY_MAX 640

/* What corosync says of the cluster, apart from its membership. */
struct xha_session_facts {
    uint32_t nodeid;
    uint32_t token_ms, consensus_ms;
    uint32_t device_ms, device_sync_ms; /* 0: there is no quorum device */
    char cluster_name[XHA_ENGINE_NAME_MAX];
    struct xha_engine_host hosts[XHA_ENGINE_HOSTS_MAX];
    struct xha_engine_quorum quorum;
};

struct xha_session {
    /* by the caller, before _open() */
    cpg_model_v1_data_t cpg_callbacks;
    votequorum_callbacks_t votequorum_callbacks;
    void *context; /* of both */
    /* by _open() */
    bool open;
    char why[XHA_SESSION_WHY_MAX]; /* when it is not */
    cpg_handle_t cpg;
    votequorum_handle_t votequorum;
    int cpg_fd, votequorum_fd;
    uint32_t frame_max; /* bytes that CPG takes at once */
    struct xha_session_facts facts;
    bool leave; /* by the caller: _close() takes leave of the others */
};

/* Opens: s->open, or s->why. Callbacks are called by dispatching only. */
void xha_session_open(struct xha_session *s);
void xha_session_close(struct xha_session *s);

/* Reads the facts by connections of its own. 0, or -1 with why. */
int xha_session_ask(struct xha_session_facts *facts_r, char why[XHA_SESSION_WHY_MAX]);

#endif

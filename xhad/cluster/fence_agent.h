/*
 * fence_agent.h - one run of a fence agent: a process with a deadline, what it is told and what it says.
 */
#ifndef XHA_CLUSTER_FENCE_AGENT_H
#define XHA_CLUSTER_FENCE_AGENT_H

#include <uv.h>
#include "xhad/core/core.h"

#define XHA_AGENT_SAID_MAX 1024 /* bytes kept of what it says, the last ones */
#define XHA_AGENT_KILL_MS  2000 /* for one to end that was killed; what waits in the kernel may never */

struct xha_agent;

struct xha_agent_order {
    const char *path;
    const char *action; /* NULL: told by input; else by arguments, -o ACTION */
    const char *input;  /* its standard input */
    struct xha_span timeout;
    size_t keep; /* bytes of its standard output that are wanted as they are, the first ones */
};

struct xha_agent_end {
    int status;      /* of its exit; -1: it was killed, or could not be started */
    bool timed_out;  /* killed by us at the deadline */
    bool cut;        /* it wrote more than keep */
    const char *why; /* "ended with status 1", "did not end within 60 s", … */
    const char *out; /* keep */
    size_t out_len;
    char *said; /* the last of both of its outputs, raw; NUL-terminated. May be changed in place */
};

typedef void xha_agent_done_cb(void *user, struct xha_agent_end *end);

/*
 * Starts it, in a process group of its own. done() comes from the loop, once, unless xha_agent_cancel() comes
 * first; the agent is gone after either. NULL: no memory.
 */
struct xha_agent *xha_agent_start(uv_loop_t *loop, const struct xha_agent_order *order,
                                  xha_agent_done_cb *done, void *user);

/* Kills it and all that it has started; done() does not come. */
void xha_agent_cancel(struct xha_agent *a);

/* Where the agent called so is: a full path as it is, a name as sbin has it. false: nowhere. */
bool xha_agent_find(const char *name, char *path, size_t len);

#endif

/*
 * exec.c - the order of deeds and of what must be on disk before them.
 */
#include "xhad/ctl/exec.h"
#include <assert.h>

static void deed(const struct xha_exec_ops *ops, void *user, const struct xha_action *action)
{
    if (ops->commit(user) < 0)
        ops->refuse(user, action);
    else
        ops->deed(user, action);
}

static void carry_out(const struct xha_exec_ops *ops, void *user, const struct xha_action *action)
{
    switch (action->type) {
    case XHA_ACT_PERSIST:
        ops->persist(user, action);
        return;
    case XHA_ACT_FORGET:
        ops->forget(user, action);
        return;
    case XHA_ACT_NOTE:
        ops->note(user, action);
        return;
    case XHA_ACT_ALARM:
        ops->alarm(user, action);
        return;
    case XHA_ACT_START:
    case XHA_ACT_RESTORE:
    case XHA_ACT_DESTROY:
    case XHA_ACT_SHUTDOWN:
    case XHA_ACT_CHECKPOINT:
    case XHA_ACT_RESUME:
    case XHA_ACT_SCHED:
    case XHA_ACT_MIGRATE:
    case XHA_ACT_RECEIVE:
    case XHA_ACT_REPLICATE:
    case XHA_ACT_STANDBY:
    case XHA_ACT_GATE_OPEN:
        deed(ops, user, action);
        return;
    case XHA_ACT_PROBE:
    case XHA_ACT_LOOK:
    case XHA_ACT_CANCEL:
    case XHA_ACT_PROMOTE:
        ops->ask(user, action);
        return;
    case XHA_ACT_GIVE_UP: /* the node's (core/node.h) */
        return;
    case XHA_ACT_NONE:
    case XHA_ACT_N_:
        break;
    }
    assert(!"an action that does not exist");
}

void xha_exec_plan(const struct xha_plan *plan, const struct xha_exec_ops *ops, void *user)
{
    for (uint32_t i = 0; i < plan->n; i++)
        carry_out(ops, user, &plan->action[i]);
    (void)ops->commit(user); /* what fails is told by commit() itself, and tried again before the next deed */
}

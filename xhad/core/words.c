/*
 * words.c - how the core's enums are spelt: in configs, tables, JSON and stories. One table per enum; the
 * tables are as long as the enums, or it does not compile.
 */
#include "internal.h"

#include <stdio.h>

#define WORDS(fn, type, table)                                                                               \
    const char *fn(type value)                                                                               \
    {                                                                                                        \
        return (size_t)value < sizeof table / sizeof table[0] && table[value] ? table[value] : "?";          \
    }

static const char *const states[XHA_ST_N_] = {
    [XHA_ST_DEFINED] = "defined",     [XHA_ST_QUEUED] = "queued",     [XHA_ST_CLEARING] = "clearing",
    [XHA_ST_STARTING] = "starting",   [XHA_ST_BOOTING] = "booting",   [XHA_ST_RUNNING] = "running",
    [XHA_ST_SUSPECT] = "suspect",     [XHA_ST_PAUSED] = "paused",     [XHA_ST_STOPPING] = "stopping",
    [XHA_ST_VANISHED] = "vanished",   [XHA_ST_UNSURE] = "unsure",     [XHA_ST_STOPPED] = "stopped",
    [XHA_ST_FAILED] = "failed",       [XHA_ST_ERROR] = "error",       [XHA_ST_MAINTENANCE] = "maintenance",
    [XHA_ST_MIGRATING] = "migrating", [XHA_ST_INCOMING] = "incoming", [XHA_ST_STANDBY] = "standby",
};
WORDS(xha_state_name, enum xha_state, states)

static const char *const purposes[XHA_FOR_N_] = {
    [XHA_FOR_NOTHING] = "none",  [XHA_FOR_START] = "start", [XHA_FOR_RECOVERY] = "recovery",
    [XHA_FOR_REBOOT] = "reboot", [XHA_FOR_STOP] = "stop",   [XHA_FOR_RESTORE] = "restore",
};
WORDS(xha_purpose_name, enum xha_purpose, purposes)

static const char *const failures[XHA_FAIL_N_] = {
    [XHA_FAIL_NONE] = "none",          [XHA_FAIL_CRASH] = "crash",
    [XHA_FAIL_WATCHDOG] = "watchdog",  [XHA_FAIL_HEARTBEAT] = "heartbeat-lost",
    [XHA_FAIL_HANG] = "hang",          [XHA_FAIL_POWEROFF] = "poweroff",
    [XHA_FAIL_REBOOT] = "reboot",      [XHA_FAIL_DESTROYED] = "destroyed",
    [XHA_FAIL_START] = "start-failed", [XHA_FAIL_HOST] = "host-lost",
};
WORDS(xha_failure_name, enum xha_failure, failures)

static const char *const reactions[XHA_REACT_N_] = {
    [XHA_REACT_RESPECT] = "respect",
    [XHA_REACT_ALARM] = "alarm",
    [XHA_REACT_RECOVER] = "recover",
    [XHA_REACT_STOP] = "stop",
};
WORDS(xha_reaction_name, enum xha_reaction, reactions)

static const char *const protections[XHA_PROT_N_] = {
    [XHA_PROT_MONITOR] = "monitor",
    [XHA_PROT_RESTART] = "restart",
    [XHA_PROT_CHECKPOINT] = "checkpoint",
    [XHA_PROT_REPLICATE] = "replicate",
};
WORDS(xha_protection_name, enum xha_protection, protections)

static const char *const heartbeats[XHA_BEAT_N_] = { [XHA_BEAT_AGENT] = "agent", [XHA_BEAT_NONE] = "none" };
WORDS(xha_heartbeat_name, enum xha_heartbeat, heartbeats)

static const char *const orders[XHA_ORDER_N_] = {
    [XHA_ORDER_PRIORITY] = "priority", [XHA_ORDER_FCFS] = "fcfs", [XHA_ORDER_SJF] = "sjf",
    [XHA_ORDER_SRTF] = "srtf",         [XHA_ORDER_RR] = "rr",
};
WORDS(xha_order_name, enum xha_order, orders)

static const char *const dos[XHA_DO_N_] = {
    [XHA_DO_START] = "start",
    [XHA_DO_STOP] = "stop",
    [XHA_DO_RESTART] = "restart",
    [XHA_DO_CHECKPOINT] = "checkpoint",
    [XHA_DO_RESTORE] = "restore",
    [XHA_DO_MAINTENANCE_ON] = "maintenance-on",
    [XHA_DO_MAINTENANCE_OFF] = "maintenance-off",
    [XHA_DO_SCHED] = "sched",
};
WORDS(xha_do_name, enum xha_order_type, dos)

static const char *const actions[XHA_ACT_N_] = {
    [XHA_ACT_NONE] = "none",           [XHA_ACT_PERSIST] = "persist",
    [XHA_ACT_FORGET] = "forget",       [XHA_ACT_NOTE] = "note",
    [XHA_ACT_ALARM] = "alarm",         [XHA_ACT_START] = "start",
    [XHA_ACT_RESTORE] = "restore",     [XHA_ACT_DESTROY] = "destroy",
    [XHA_ACT_SHUTDOWN] = "shutdown",   [XHA_ACT_CHECKPOINT] = "checkpoint",
    [XHA_ACT_RESUME] = "resume",       [XHA_ACT_SCHED] = "sched",
    [XHA_ACT_PROBE] = "probe",         [XHA_ACT_LOOK] = "look",
    [XHA_ACT_MIGRATE] = "migrate",     [XHA_ACT_RECEIVE] = "receive",
    [XHA_ACT_CANCEL] = "cancel",       [XHA_ACT_GIVE_UP] = "give-up",
    [XHA_ACT_REPLICATE] = "replicate", [XHA_ACT_STANDBY] = "standby",
    [XHA_ACT_GATE_OPEN] = "gate-open", [XHA_ACT_PROMOTE] = "promote",
};
WORDS(xha_action_name, enum xha_action_type, actions)

static const char *const results[XHA_RESULT_N_] = {
    [XHA_OK] = "ok",
    [XHA_REFUSED] = "refused",
    [XHA_UNKNOWN] = "unknown",
};
WORDS(xha_result_name, enum xha_result, results)

static const char *const refusals[XHA_REFUSAL_N_] = {
    [XHA_REFUSAL_OTHER] = "other",
    [XHA_REFUSAL_NO_CHECKPOINT] = "no-checkpoint",
    [XHA_REFUSAL_RUNS_ALREADY] = "runs-already",
    [XHA_REFUSAL_NO_MEMORY] = "no-memory",
    [XHA_REFUSAL_NO_DISK] = "no-disk",
    [XHA_REFUSAL_UNSUPPORTED] = "unsupported",
};
WORDS(xha_refusal_name, enum xha_refusal, refusals)

static const char *const severities[XHA_SEV_N_] = {
    [XHA_SEV_INFO] = "info",
    [XHA_SEV_WARNING] = "warning",
    [XHA_SEV_CRITICAL] = "critical",
};
WORDS(xha_severity_name, enum xha_severity, severities)

/* The name for machines, and the line for people; a % stands for the detail. */
static const struct {
    const char *name, *text;
    enum { PLAIN, NUMBER, FAILURE, ACTION, REFUSAL, ORDER, YIELD, RESULT } detail;
} causes[XHA_CAUSE_N_] = {
    [XHA_CAUSE_NONE] = { "none", "no reason known", PLAIN },
    [XHA_CAUSE_PROTECTED] = { "protected", "came under protection", PLAIN },
    [XHA_CAUSE_AUTOSTART] = { "autostart", "is to start with the host", PLAIN },
    [XHA_CAUSE_OPERATOR] = { "operator", "an operator asked for it", PLAIN },
    [XHA_CAUSE_ADOPTED] = { "adopted", "found running, adopted", PLAIN },
    [XHA_CAUSE_TURN] = { "turn", "its turn has come", PLAIN },
    [XHA_CAUSE_BACKOFF] = { "backoff", "waited before trying again", PLAIN },
    [XHA_CAUSE_FAILURE] = { "failure", "%", FAILURE },
    [XHA_CAUSE_BEAT_LATE] = { "beat-late", "heartbeat is late", PLAIN },
    [XHA_CAUSE_BEAT_FIRST] = { "beat-first", "first heartbeat: ready", PLAIN },
    [XHA_CAUSE_BEAT_BACK] = { "beat-back", "heartbeat is back", PLAIN },
    [XHA_CAUSE_IO_ALIVE] = { "io-alive", "no heartbeat, but its disk or network moves", PLAIN },
    [XHA_CAUSE_HOST_ILL] = { "host-ill", "host looks ill, judgement held; late heartbeats: %", NUMBER },
    [XHA_CAUSE_HOST_WELL] = { "host-well", "host looks well again, judging; late heartbeats: %", NUMBER },
    [XHA_CAUSE_PAUSED] = { "paused", "paused or suspended by somebody: left alone", PLAIN },
    [XHA_CAUSE_UNPAUSED] = { "unpaused", "runs again after a pause", PLAIN },
    [XHA_CAUSE_WORKER_OK] = { "worker-ok", "% is done", ACTION },
    [XHA_CAUSE_WORKER_REFUSED] = { "worker-refused", "%", REFUSAL },
    [XHA_CAUSE_WORKER_UNKNOWN] = { "worker-unknown", "% ended, and nobody knows how", ACTION },
    [XHA_CAUSE_WORKER_SLOW] = { "worker-slow", "% is long overdue and cannot be ended", ACTION },
    [XHA_CAUSE_LIMIT] = { "limit", "restart limit reached, given up; last failure: %", FAILURE },
    [XHA_CAUSE_REPLACED] = { "replaced", "runs under a new domid: restarted by somebody else", PLAIN },
    [XHA_CAUSE_DUPLICATE] = { "duplicate", "runs twice, also as domid %: end one of them, then say start",
                              NUMBER },
    [XHA_CAUSE_CORRUPT] = { "corrupt", "corrupt checkpoints passed over: %", NUMBER },
    [XHA_CAUSE_NO_CHECKPOINT] = { "no-checkpoint", "no good checkpoint: starting from its disk", PLAIN },
    [XHA_CAUSE_RESTORE_USELESS] = { "restore-useless",
                                    "did not get well from % restores: starting from its disk", NUMBER },
    [XHA_CAUSE_NOT_READY] = { "not-ready", "not ready in time: the tiers above tier % go on without it",
                              NUMBER },
    [XHA_CAUSE_STOP_TIMEOUT] = { "stop-timeout", "did not shut down in time: destroying it", PLAIN },
    [XHA_CAUSE_LOOKED] = { "looked", "so the listing of domains says", PLAIN },
    [XHA_CAUSE_XHAD_RESTART] = { "xhad-restart", "xhad came up", PLAIN },
    [XHA_CAUSE_UNPROTECTED] = { "unprotected", "no longer protected", PLAIN },
    [XHA_CAUSE_NO_ROUNDS] = { "no-rounds", "observation of the domains has stopped: nothing is judged",
                              PLAIN },
    [XHA_CAUSE_NO_AGENT] = { "no-agent", "runs, but has never sent a heartbeat: is the agent installed?",
                             PLAIN },
    [XHA_CAUSE_SAVED] = { "saved", "suspended and gone: saved or migrated by somebody", PLAIN },
    [XHA_CAUSE_ROUNDS_BACK] = { "rounds-back", "observation of the domains goes on", PLAIN },
    [XHA_CAUSE_HOLD_OVER] = { "hold-over",
                              "held for long, and the host answers: judging all the same; late heartbeats: %",
                              NUMBER },
    [XHA_CAUSE_HOST_MAINTENANCE] = { "host-maintenance", "an operator's word for the whole host: %", ORDER },
    [XHA_CAUSE_TAKEN] = { "taken", "the cluster placed it on this host", PLAIN },
    [XHA_CAUSE_YIELDED] = { "yielded", "is not this host's any more: %", YIELD },
    [XHA_CAUSE_MOVE] = { "move", "a move between hosts has begun", PLAIN },
    [XHA_CAUSE_MOVED] = { "moved", "the move is decided: it runs on at its target", PLAIN },
    [XHA_CAUSE_MOVE_ENDED] = { "move-ended", "the move has ended: it stays where it was", PLAIN },
    [XHA_CAUSE_GIVEN_UP] = { "given-up", "cannot be started on this host, another one is looked for: %",
                             REFUSAL },
    [XHA_CAUSE_REPLICATE] = { "replicate", "is replicated between this host and host number %", NUMBER },
    [XHA_CAUSE_REPLICATED] = { "replicated",
                               "host number % holds a whole copy: what it sends waits for each epoch",
                               NUMBER },
    [XHA_CAUSE_REPL_BROKEN] = { "replication-broken",
                                "its replication broke off (%): it is mute until the cluster has decided",
                                RESULT },
    [XHA_CAUSE_REPL_ENDED] = { "replication-ended",
                               "its replication has ended: what it sends goes out at once", PLAIN },
    [XHA_CAUSE_PROMOTED] = { "promoted", "the copy on this host takes over", PLAIN },
    [XHA_CAUSE_STANDBY_LOST] = { "standby-lost", "the copy on this host is lost", PLAIN },
};

const char *xha_cause_name(enum xha_cause cause)
{
    return (unsigned)cause < XHA_CAUSE_N_ ? causes[cause].name : "?";
}

/* What befell it, said of "it": most of these are no failures of the guest (rule 5). */
static const char *const failure_texts[XHA_FAIL_N_] = {
    [XHA_FAIL_NONE] = "nothing",
    [XHA_FAIL_CRASH] = "its kernel crashed",
    [XHA_FAIL_WATCHDOG] = "its watchdog fired",
    [XHA_FAIL_HEARTBEAT] = "heartbeat lost, though it runs",
    [XHA_FAIL_HANG] = "hung: no heartbeat, vCPUs and I/O stand still",
    [XHA_FAIL_POWEROFF] = "it powered itself off",
    [XHA_FAIL_REBOOT] = "it rebooted itself",
    [XHA_FAIL_DESTROYED] = "gone: somebody destroyed it",
    [XHA_FAIL_START] = "it could not be started, or did not get ready",
    [XHA_FAIL_HOST] = "its host was lost",
};

static const char *const yield_texts[XHA_YIELD_N_] = {
    [XHA_YIELD_NONE] = "nothing is done",
    [XHA_YIELD_DESTROY] = "what is here of it is cleared",
    [XHA_YIELD_STOP] = "it is shut down here",
    [XHA_YIELD_LEAVE] = "it is left as it is",
};

static void detail_text(enum xha_cause cause, uint32_t detail, char *buf, size_t len)
{
    switch (causes[cause].detail) {
    case FAILURE:
        snprintf(buf, len, "%s", detail < XHA_FAIL_N_ ? failure_texts[detail] : "?");
        break;
    case ACTION:
        snprintf(buf, len, "%s", xha_action_name(detail));
        break;
    case ORDER:
        snprintf(buf, len, "%s", xha_do_name(detail));
        break;
    case RESULT:
        snprintf(buf, len, "%s", xha_result_name(detail));
        break;
    case YIELD:
        snprintf(buf, len, "%s", detail < XHA_YIELD_N_ ? yield_texts[detail] : "?");
        break;
    case REFUSAL:
        snprintf(buf, len, "%s was refused%s%s", xha_action_name(detail & 0xff),
                 detail >> 8 == XHA_REFUSAL_OTHER ? "" : ": ",
                 detail >> 8 == XHA_REFUSAL_OTHER ? "" : xha_refusal_name(detail >> 8));
        break;
    default:
        snprintf(buf, len, "%u", detail);
    }
}

const char *xha_cause_text(enum xha_cause cause, uint32_t detail, char *buf, size_t len)
{
    const char *text = (unsigned)cause < XHA_CAUSE_N_ ? causes[cause].text : "?";
    const char *at = strchr(text, '%');
    char what[64];

    if (!at) {
        snprintf(buf, len, "%s", text);
    } else {
        detail_text(cause, detail, what, sizeof what);
        snprintf(buf, len, "%.*s%s%s", (int)(at - text), text, what, at + 1);
    }
    return buf;
}

const char *xha_core_error_text(int rc)
{
    switch (rc) {
    case XHA_CORE_OK:
        return "ok";
    case XHA_CORE_E_NOMEM:
        return "out of memory";
    case XHA_CORE_E_FULL:
        return "too many protected domains: raise max_domains and restart xhad";
    case XHA_CORE_E_NODOMAIN:
        return "no such protected domain";
    case XHA_CORE_E_STATE:
        return "this makes no sense in the domain's present state";
    case XHA_CORE_E_BUSY:
        return "something else is under way with the domain: wait for it to end";
    case XHA_CORE_E_POLICY:
        return "its policy does not allow this (protection = \"monitor\")";
    case XHA_CORE_E_INVAL:
        return "invalid request";
    case XHA_CORE_E_QUORUM:
        return "this host has no quorum, and starts nothing without it: see xl-ha status";
    case XHA_CORE_E_UNKNOWN:
        return "nobody knows whether it was done";
    default:
        return "?";
    }
}

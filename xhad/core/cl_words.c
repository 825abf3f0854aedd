/*
 * cl_words.c - spelling of the cluster's words, as people and machines see them.
 */
#include "cl_internal.h"

#define WORD(words, value) ((uint32_t)(value) < sizeof(words) / sizeof((words)[0]) ? (words)[value] : "?")

const char *xha_host_state_name(enum xha_host_state state)
{
    static const char *const words[] = { "unknown", "in", "lost", "fenced", "deposed", "left" };

    return WORD(words, state);
}

const char *xha_fenced_by_name(enum xha_fenced_by by)
{
    static const char *const words[] = { "not", "agent", "watchdog", "operator", "reboot" };

    return WORD(words, by);
}

const char *xha_phase_name(enum xha_phase phase)
{
    static const char *const words[] = { "free", "owned", "moving" };

    return WORD(words, phase);
}

const char *xha_move_mode_name(enum xha_move_mode mode)
{
    static const char *const words[] = { "auto", "live", "warm", "cold" };

    return WORD(words, mode);
}

const char *xha_move_why_name(enum xha_move_why why)
{
    static const char *const words[] = { "operator", "maintenance", "failback" };

    return WORD(words, why);
}

const char *xha_pair_stage_name(enum xha_pair_stage stage)
{
    static const char *const words[] = { "ordered", "syncing", "protected" };

    return WORD(words, stage);
}

const char *xha_cluster_cause_name(enum xha_cluster_cause cause)
{
    static const char *const words[] = {
        "none",           "host-joined",     "host-left",    "host-lost",    "host-back",    "host-fenced",
        "host-deposed",   "xhad-gone",       "fencing",      "fence-failed", "fence-wanted", "quorum-lost",
        "quorum-back",    "unsettled",       "hash-differs", "version",      "placed",       "no-place",
        "given-up",       "taken",           "move-begun",   "moved",        "move-failed",  "move-aborted",
        "maintenance-on", "maintenance-off", "evacuated",    "cannot-move",  "armed",        "disarmed",
        "admission",      "twice",           "protected",    "unprotected",  "settings",     "pair-begun",
        "replicated",     "pair-ended",      "promoted",     "degraded",     "mute",
    };

    return WORD(words, cause);
}

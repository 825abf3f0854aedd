/*
 * story.c - what is printed: one line for whatever happens, with its time in the world. What all members say
 * alike is printed once.
 */
#include "tests/csim/csim.h"

#include <stdarg.h>
#include <string.h>

void csim_say(struct csim *cs, const char *who, const char *fmt, ...)
{
    va_list ap;

    if (!cs->story)
        return;
    fprintf(cs->story, "%6lld.%03lld  %-5s ", (long long)(cs->now_ms / 1000), (long long)(cs->now_ms % 1000),
            who);
    va_start(ap, fmt);
    vfprintf(cs->story, fmt, ap);
    va_end(ap);
    fputc('\n', cs->story);
}

const char *csim_hosts_text(const struct csim *cs, xha_hostset set, char *buf, size_t len)
{
    size_t used = 0;

    buf[0] = '\0';
    for (unsigned h = 0; h < cs->n_hosts && used < len; h++)
        if (set >> h & 1)
            used += (size_t)snprintf(buf + used, len - used, "%s%s", used ? "," : "", cs->host[h].name);
    return buf;
}

void csim_say_action(struct csim *cs, int h, const struct xha_action *act, int guest)
{
    char why[160];
    const char *who = cs->host[h].name, *name = guest < 0 ? "host" : cs->guest[guest].name;

    if (!cs->story)
        return;
    xha_cause_text(act->cause, act->detail, why, sizeof(why));
    if (act->type == XHA_ACT_NOTE)
        csim_say(cs, who, "%s %s -> %s: %s", name, xha_state_name(act->u.note.from),
                 xha_state_name(act->u.note.to), why);
    else if (act->type == XHA_ACT_ALARM)
        csim_say(cs, who, "! %s %s: %s", xha_severity_name(act->u.alarm.severity), name, why);
    else if (xha_action_is_deed(act->type) || act->type == XHA_ACT_PROMOTE)
        csim_say(cs, who, "  %s %s, term %llu.%llu", xha_action_name(act->type), name,
                 (unsigned long long)act->term >> 24, (unsigned long long)act->term & 0xffffff);
    else if (cs->verbose || act->type == XHA_ACT_GIVE_UP || act->type == XHA_ACT_FORGET)
        csim_say(cs, who, "  %s %s", xha_action_name(act->type), name);
}

/* The lowest member of its ring speaks for all. */
static bool speaks(const struct csim *cs, int h)
{
    for (int k = 0; k < h; k++)
        if (cs->host[k].node && cs->host[k].active && cs->host[k].ring == cs->host[h].ring)
            return false;
    return true;
}

void csim_say_cluster(struct csim *cs, int h, const struct xha_cluster_action *act)
{
    const char *who = cs->host[h].name;

    if (!cs->story)
        return;
    switch (act->type) {
    case XHA_CACT_NOTE:
        if (cs->verbose || speaks(cs, h))
            csim_say(cs, who, "= %s: %s", xha_cluster_cause_name(act->u.said.cause), act->u.said.text);
        break;
    case XHA_CACT_ALARM:
        if (cs->verbose || speaks(cs, h))
            csim_say(cs, who, "! %s %s: %s", xha_severity_name(act->u.said.severity),
                     xha_cluster_cause_name(act->u.said.cause), act->u.said.text);
        break;
    case XHA_CACT_FENCE:
        csim_say(cs, who, "  fences %s, attempt %u", cs->host[act->host].name, act->u.fence.attempt);
        break;
    case XHA_CACT_SEND:
        if (cs->verbose)
            csim_say(cs, who, "  sends %zu bytes, type %u", act->u.bytes.len,
                     act->u.bytes.len > 6 ? act->u.bytes.at[6] : 0);
        break;
    case XHA_CACT_STORE:
        if (cs->verbose)
            csim_say(cs, who, "  stores index %llu", (unsigned long long)act->index);
        break;
    case XHA_CACT_RESULT:
        if (!act->u.result.rc)
            csim_say(cs, who, "answers: done");
        break;
    default:
        break;
    }
}

void csim_say_end(struct csim *cs)
{
    int h = 0;

    if (!cs->story)
        return;
    while (h < (int)cs->n_hosts && !cs->host[h].node)
        h++;
    for (unsigned g = 0; g < cs->n_guests && h < (int)cs->n_hosts; g++) {
        struct xha_cluster_domain d;
        int i = csim_inst_find(cs, (int)g, -1);

        if (xha_cluster_find(xha_node_state(cs->host[h].node), &cs->guest[g].uuid, &d)) {
            csim_say(cs, "=", "%s is not protected", cs->guest[g].name);
            continue;
        }
        csim_say(cs, "=", "%s %s%s%s, term %llu, %s; %s%s", cs->guest[g].name, xha_phase_name(d.phase),
                 d.phase == XHA_PH_FREE ? "" : " by ", d.phase == XHA_PH_FREE ? "" : cs->host[d.owner].name,
                 (unsigned long long)d.term, xha_state_name(d.report.state),
                 i < 0 || !csim_inst_runs(&cs->inst[i]) ? "runs nowhere" : "runs on ",
                 i < 0 || !csim_inst_runs(&cs->inst[i]) ? "" : cs->host[cs->inst[i].host].name);
    }
    if (cs->failed)
        fprintf(cs->story, "FAILED %s\n", cs->why);
}

/*
 * cluster-cover.c - what the swarm of clusters has reached, and how close it came to the printed bounds.
 */
#include "tests/swarm/cluster.h"

#include <inttypes.h>

static void counts(FILE *out, const char *what, const uint64_t *n, int max, const char *(*name)(int))
{
    fprintf(out, "# %s:", what);
    for (int i = 0; i < max; i++)
        if (n[i])
            fprintf(out, " %s %" PRIu64, name(i), n[i]);
    fprintf(out, "\n# %s, never:", what);
    for (int i = 0; i < max; i++)
        if (!n[i])
            fprintf(out, " %s", name(i));
    fputc('\n', out);
}

static const char *cause_name(int v)
{
    return xha_cluster_cause_name((enum xha_cluster_cause)v);
}

static const char *fenced_name(int v)
{
    return xha_fenced_by_name((enum xha_fenced_by)v);
}

static const char *request_name(int v)
{
    static const char *const names[XHA_RQ_N_] = { "order", "protect",     "unprotect", "migrate",
                                                  "abort", "maintenance", "confirm",   "arm",
                                                  "leave", "forget",      "settings" };

    return names[v];
}

void cswarm_cover_print(const struct csim_cover *cover, FILE *out)
{
    struct xha_timing_wish wish;
    struct xha_timing timing;
    struct xha_timing_case c;

    counts(out, "deeds and actions", cover->action, XHA_ACT_N_, sim_action_word);
    counts(out, "notes", cover->note, XHA_CC_N_, cause_name);
    counts(out, "alarms", cover->alarm, XHA_CC_N_, cause_name);
    counts(out, "fenced by", cover->fenced_by, XHA_FENCED_BY_N_, fenced_name);
    counts(out, "requests taken", cover->accepted, XHA_RQ_N_, request_name);
    counts(out, "requests refused", cover->refused, XHA_RQ_N_, request_name);
    xha_timing_defaults(&wish);
    xha_timing_make(&wish, &timing);
    for (uint32_t i = 0; xha_timing_case(&wish, &timing, i, &c); i++)
        if (cover->ratio_n[c.id])
            fprintf(out, "# bound %s: %lld ms printed, the worst of %" PRIu64 " took %.3f of it\n", c.name,
                    (long long)c.ms, cover->ratio_n[c.id], (double)cover->ratio_permille[c.id] / 1000);
    fprintf(out, "# rest after all trouble: at most %.3f of the time allowed\n",
            (double)cover->settled_permille / 1000);
    for (int life = 0; life < CSIM_LIFE_N_; life++) {
        fprintf(out, "# pairs, befallen when %s:", csim_life_name(life));
        for (int blow = 0; blow < CSIM_BLOW_N_; blow++)
            fprintf(out, " %s %" PRIu64, csim_blow_name(blow), cover->blow[life][blow]);
        fputc('\n', out);
    }
    fprintf(out, "# copies that took over: %" PRIu64 ", gates opened: %" PRIu64 "\n", cover->promoted,
            cover->opened);
    fprintf(out, "# %" PRIu64 " messages and %" PRIu64 " views delivered\n", cover->messages, cover->views);
}

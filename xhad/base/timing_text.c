/*
 * timing_text.c - the table of times as `xhad -n` shows it.
 */
#include "xhad/base/timing_text.h"

#include "xhad/base/params.h"

/* Cases that a host knows without a cluster. */
static bool of_guest(enum xha_timing_case_id id)
{
    return id <= XHA_TIMING_XHAD_CRASH;
}

static void print_case(const struct xha_timing_case *c, bool docs, FILE *out)
{
    char seconds[32];

    fprintf(out, "#   %-20s ", c->name);
    if (c->recovers)
        fprintf(out, "%8s s  %s\n", xha_param_seconds_text(c->ms, seconds, sizeof(seconds)), c->formula);
    else
        fprintf(out, "%8s\n", c->formula);
    if (docs)
        fprintf(out, "#   %33s%s\n", "", c->text);
}

static void print_row(const struct xha_timing_row *row, bool by_hand, FILE *out)
{
    char seconds[32];

    fprintf(out, "#   %-20s %8s s  %s\n#   %33s%s\n", row->name,
            xha_param_seconds_text(row->ms, seconds, sizeof(seconds)), by_hand ? "as set" : row->formula, "",
            row->doc);
}

void xha_timing_print(const struct xha_timing_wish *wish, bool cluster, bool docs, FILE *out)
{
    struct xha_timing timing;
    struct xha_timing_case c;
    struct xha_timing_row row;

    xha_timing_make(wish, &timing);
    fprintf(out,
            "\n# At worst, from the failure until the domain is built again; its own boot is not counted:\n");
    for (uint32_t i = 0; xha_timing_case(wish, &timing, i, &c); i++)
        if (cluster || of_guest(c.id))
            print_case(&c, docs, out);
    for (uint32_t i = 0; xha_timing_proviso(i); i++)
        fprintf(out, "# %s\n", xha_timing_proviso(i));
    if (!docs)
        return;
    fprintf(out, "# The times that this is made of:\n");
    for (uint32_t i = 0; xha_timing_row(&timing, i, &row); i++)
        if (cluster || i == XHA_TIMING_START)
            print_row(&row, row.ms == wish->timing.at[i].ms, out);
}

void xha_timing_print_domain(const struct xha_timing_wish *wish, bool cluster, FILE *out)
{
    struct xha_timing timing;
    struct xha_timing_case crash, hang, host;
    char one[32], two[32], three[32];

    xha_timing_make(wish, &timing);
    xha_timing_case(wish, &timing, XHA_TIMING_GUEST_CRASH, &crash);
    xha_timing_case(wish, &timing, XHA_TIMING_GUEST_HANG, &hang);
    xha_timing_case(wish, &timing, XHA_TIMING_POWER_CUT_WATCHDOG, &host);
    fprintf(out, "# built again at worst %s s after a crash, %s s after a hang",
            xha_param_seconds_text(crash.ms, one, sizeof(one)),
            xha_param_seconds_text(hang.ms, two, sizeof(two)));
    if (cluster)
        fprintf(out, ", %s s after the loss of its host",
                xha_param_seconds_text(host.ms, three, sizeof(three)));
    fprintf(out, "\n");
}

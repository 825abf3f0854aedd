/*
 * cover.c - what the swarm has reached: states by signals, states by next states, actions, causes. What is 0
 * here is proved by nobody.
 */
#include "tests/swarm/swarm.h"

static void number(FILE *out, uint64_t n, int width)
{
    if (n < 100000)
        fprintf(out, " %*llu", width, (unsigned long long)n);
    else if (n < 100000000)
        fprintf(out, " %*lluk", width - 1, (unsigned long long)n / 1000);
    else
        fprintf(out, " %*lluM", width - 1, (unsigned long long)n / 1000000);
}

void swarm_cover_print(const struct sim_cover *cover, FILE *out)
{
    fprintf(out, "# signals (down) by states (across): how often\n# %-16s", "");
    for (int s = 0; s < XHA_ST_N_; s++)
        fprintf(out, " %6.6s", xha_state_name((enum xha_state)s));
    fputc('\n', out);
    for (int g = SIM_SIG_SEEN_RUNS; g < SIM_SIG_N_; g++) {
        fprintf(out, "# %-16s", sim_signal_name(g));
        for (int s = 0; s < XHA_ST_N_; s++)
            number(out, cover->hit[s][g], 6);
        fputc('\n', out);
    }
    fprintf(out, "# to (down) from (across)\n");
    for (int t = 0; t < XHA_ST_N_; t++) {
        fprintf(out, "# %-16s", xha_state_name((enum xha_state)t));
        for (int s = 0; s < XHA_ST_N_; s++)
            number(out, cover->went[s][t], 6);
        fputc('\n', out);
    }
    fprintf(out, "# actions:");
    for (int a = 1; a < XHA_ACT_N_; a++)
        fprintf(out, " %s=%llu", xha_action_name((enum xha_action_type)a),
                (unsigned long long)cover->action[a]);
    fprintf(out, "\n# causes:");
    for (int c = 1; c < XHA_CAUSE_N_; c++)
        fprintf(out, " %s=%llu", xha_cause_name((enum xha_cause)c), (unsigned long long)cover->cause[c]);
    fputc('\n', out);
}

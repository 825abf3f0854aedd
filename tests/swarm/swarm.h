/*
 * swarm.h - random worlds for the core: made from a seed, played, and when a rule breaks, shrunk to a story.
 */
#ifndef XHA_SWARM_H
#define XHA_SWARM_H

#include "tests/sim/sim.h"

/* A random script; the same for the same seed and number of hosts. Caller frees with sim_script_free(). */
void swarm_make(uint64_t seed, unsigned hosts, struct sim_script *script_r);

/*
 * Plays a script; an assertion that fails in the core counts as a failure. Returns 0, or -1 with the reason
 * in why. story and cover may be NULL.
 */
int swarm_run(const struct sim_script *script, FILE *story, bool verbose, struct sim_cover *cover, char *why,
              size_t why_len);

/* Takes away what is not needed for the script to fail by the same rule. The script is changed in place. */
void swarm_shrink(struct sim_script *script, unsigned tries);

void swarm_cover_print(const struct sim_cover *cover, FILE *out);

#endif

/*
 * cluster.h - random clusters: made from a seed, played, and when a rule breaks, shrunk to a story.
 */
#ifndef XHA_SWARM_CLUSTER_H
#define XHA_SWARM_CLUSTER_H

#include "tests/csim/csim.h"

/* A random script; the same for the same seed. hosts 0: 2 to 5 mostly, seldom up to 64. Caller frees with
 * csim_script_free(). */
void cswarm_make(uint64_t seed, unsigned hosts, struct csim_script *script_r);

/*
 * Plays a script; an assertion that fails in a core counts as a failure. Returns 0, or -1 with the reason in
 * why. story and cover may be NULL.
 */
int cswarm_run(const struct csim_script *script, FILE *story, bool verbose, struct csim_cover *cover,
               char *why, size_t why_len);

/* Takes away what is not needed for the script to fail by the same rule. The script is changed in place. */
void cswarm_shrink(struct csim_script *script, unsigned tries);

void cswarm_cover_print(const struct csim_cover *cover, FILE *out);

#endif

/*
 * trace.h - everything that the core is told, written down, so that a run can be played again.
 *
 * A trace holds the settings, each event, and a hash of the plan that it led to. The core is deterministic: a
 * replay gives the identical plans, or says at which event it differs. A trace is read by the xhad that wrote
 * it (same version and machine type); it is for finding faults, not for keeping.
 */
#ifndef XHA_CTL_TRACE_H
#define XHA_CTL_TRACE_H

#include <stdio.h>
#include "xhad/core/core.h"

struct xha_trace;

/* Starts a new file. 0, or -1 with errno. */
int xha_trace_open(const char *path, const struct xha_settings *settings, uint64_t next_id,
                   struct xha_trace **trace_r);
/* One step, after it was done. A trace that cannot be written ends, with a warning in the log. NULL: does
 * nothing. */
void xha_trace_step(struct xha_trace *trace, const struct xha_event *ev, const struct xha_plan *plan);
void xha_trace_close(struct xha_trace *trace);

/*
 * Plays a trace through a core of its own and prints the story, a line for each change of state and each
 * alarm, to out. Returns 0; 1 when a plan differs from the one recorded; -1 when the file cannot be read or
 * is no trace of this version, with a line in err.
 */
int xha_trace_replay(const char *path, FILE *out, char *err, size_t err_len);

#endif

/*
 * timing_text.h - the table of times as `xhad -n` shows it: comment lines, as the rest there is a config file.
 */
#ifndef XHA_TIMING_TEXT_H
#define XHA_TIMING_TEXT_H

#include <stdio.h>

#include "xhad/core/timing.h"

/*
 * The worst-case recovery per kind of failure; cluster: also of hosts. docs: with what happens, and with all the
 * times that it is made of.
 */
void xha_timing_print(const struct xha_timing_wish *wish, bool cluster, bool docs, FILE *out);

/* One line for a domain with its own heartbeat_timeout, of failures of the guest and of its host. */
void xha_timing_print_domain(const struct xha_timing_wish *wish, bool cluster, FILE *out);

#endif

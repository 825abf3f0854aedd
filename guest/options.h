/*
 * The agent's command line.
 */
#ifndef XHA_GUEST_OPTIONS_H
#define XHA_GUEST_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct xha_guest_options {
    int64_t interval_ms;
    const char *key;
    const char *check; /* health command, or NULL */
    int64_t check_interval_ms;
    int64_t check_timeout_ms;
    const char *watchdog; /* device, or NULL */
    const char *xenbus;   /* NULL: the kernel's device */
    bool foreground;
};

enum xha_guest_parse {
    XHA_GUEST_RUN,
    XHA_GUEST_DONE, /* --help or --version was printed */
    XHA_GUEST_USAGE /* a message went to stderr */
};

/* Strings of the result belong to argv. */
enum xha_guest_parse xha_guest_options_parse(int argc, char **argv, struct xha_guest_options *options_r);

/* "2", "0.25" → milliseconds. False unless it is a plain decimal number within [min_ms, max_ms]. */
bool xha_guest_parse_seconds(const char *text, int64_t min_ms, int64_t max_ms, int64_t *ms_r);

#endif

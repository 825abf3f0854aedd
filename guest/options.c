/*
 * The agent's command line. See options.h; man/xha-guest.8 is tested against usage().
 */
#include "config.h"

#include <getopt.h>
#include <string.h>

#include "guest/options.h"
#include "guest/xenbus.h"

#define INTERVAL_MIN_MS 100
#define INTERVAL_MAX_MS (60 * 60 * 1000)

static const struct option long_options[] = {
    { "interval", required_argument, NULL, 'i' },
    { "key", required_argument, NULL, 'k' },
    { "check", required_argument, NULL, 'c' },
    { "check-interval", required_argument, NULL, 'I' },
    { "check-timeout", required_argument, NULL, 't' },
    { "watchdog", optional_argument, NULL, 'w' },
    { "xenbus", required_argument, NULL, 'x' },
    { "foreground", no_argument, NULL, 'f' },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'V' },
    { NULL, 0, NULL, 0 },
};

static void usage(FILE *out)
{
    fputs("Usage: xha-guest [OPTION]...\n"
          "Tell xhad in dom0 that this guest is alive: count up in xenstore.\n"
          "\n"
          "  -i, --interval=SECONDS        time between two beats (1; 0.1 to 3600)\n"
          "  -k, --key=KEY                 where to count (data/heartbeat)\n"
          "  -c, --check=COMMAND           health command; no beat while it fails or hangs\n"
          "  -I, --check-interval=SECONDS  time between two runs of it (10)\n"
          "  -t, --check-timeout=SECONDS   it is killed after this time (10)\n"
          "  -w, --watchdog[=DEVICE]       keep a hardware watchdog quiet too (/dev/watchdog)\n"
          "  -x, --xenbus=PATH             xenstore device or socket (/dev/xen/xenbus)\n"
          "  -f, --foreground              stay in the foreground, log to standard error\n"
          "  -h, --help                    print this and exit\n"
          "  -V, --version                 print the version and exit\n",
          out);
}

bool xha_guest_parse_seconds(const char *text, int64_t min_ms, int64_t max_ms, int64_t *ms_r)
{
    int64_t ms = 0;
    int digits = 0, scale = 1000;

    for (; *text >= '0' && *text <= '9'; text++) {
        if (++digits > 7)
            return false;
        ms = ms * 10 + (*text - '0');
    }
    if (!digits)
        return false;
    ms *= 1000;
    if (*text == '.') {
        for (text++, digits = 0; *text >= '0' && *text <= '9'; text++) {
            if (++digits > 3)
                return false;
            scale /= 10;
            ms += (*text - '0') * scale;
        }
        if (!digits)
            return false;
    }
    if (*text || ms < min_ms || ms > max_ms)
        return false;
    *ms_r = ms;
    return true;
}

/* The characters that xenstore allows in a path, docs/misc/xenstore.txt. */
static bool good_key(const char *key)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-/_@";
    size_t len = strlen(key);

    return len && len <= XHA_GUEST_KEY_MAX && strspn(key, allowed) == len && key[len - 1] != '/' &&
           !strstr(key, "//");
}

static enum xha_guest_parse bad(const char *option, const char *text, const char *wanted)
{
    fprintf(stderr, "xha-guest: %s %s: %s\nTry 'xha-guest --help'.\n", option, text, wanted);
    return XHA_GUEST_USAGE;
}

static enum xha_guest_parse parse_interval(const char *option, const char *text, int64_t *ms_r)
{
    if (!xha_guest_parse_seconds(text, INTERVAL_MIN_MS, INTERVAL_MAX_MS, ms_r))
        return bad(option, text, "want seconds from 0.1 to 3600, at most three decimals");
    return XHA_GUEST_RUN;
}

/* One option of the command line. */
static enum xha_guest_parse take(int c, char *arg, struct xha_guest_options *o)
{
    switch (c) {
    case 'i':
        return parse_interval("--interval", arg, &o->interval_ms);
    case 'I':
        return parse_interval("--check-interval", arg, &o->check_interval_ms);
    case 't':
        return parse_interval("--check-timeout", arg, &o->check_timeout_ms);
    case 'k':
        if (!good_key(arg))
            return bad("--key", arg, "want a xenstore path of letters, digits and -/_@");
        o->key = arg;
        return XHA_GUEST_RUN;
    case 'c':
        if (!*arg)
            return bad("--check", "''", "want a command");
        o->check = arg;
        return XHA_GUEST_RUN;
    case 'w':
        o->watchdog = arg ? arg : "/dev/watchdog";
        return XHA_GUEST_RUN;
    case 'x':
        o->xenbus = arg;
        return XHA_GUEST_RUN;
    case 'f':
        o->foreground = true;
        return XHA_GUEST_RUN;
    case 'h':
        usage(stdout);
        return XHA_GUEST_DONE;
    case 'V':
        puts("xha-guest " PACKAGE_VERSION);
        return XHA_GUEST_DONE;
    default:
        fputs("Try 'xha-guest --help'.\n", stderr);
        return XHA_GUEST_USAGE;
    }
}

enum xha_guest_parse xha_guest_options_parse(int argc, char **argv, struct xha_guest_options *options_r)
{
    int c;

    *options_r = (struct xha_guest_options){
        .interval_ms = 1000,
        .key = "data/heartbeat",
        .check_interval_ms = 10000,
        .check_timeout_ms = 10000,
    };
    optind = 1;
    while ((c = getopt_long(argc, argv, "i:k:c:I:t:w::x:fhV", long_options, NULL)) != -1) {
        enum xha_guest_parse p = take(c, optarg, options_r);

        if (p != XHA_GUEST_RUN)
            return p;
    }
    if (optind < argc)
        return bad("argument", argv[optind], "none is taken");
    return XHA_GUEST_RUN;
}

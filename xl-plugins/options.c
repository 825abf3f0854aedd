/*
 * options.c - the options of xl-ha: before the command as xl has them, and after it.
 */
#include "xl-plugins/xl-ha.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

enum { TIMEOUT_MOST_S = 86400 };

/* Long options without a letter. */
enum {
    LONG_JSON = 256,
    LONG_NO_WAIT,
    LONG_TIMEOUT,
    LONG_SOCKET,
    LONG_TAKE_OVER,
    LONG_AFFINITY,
    LONG_POOL,
    LONG_LIVE,
    LONG_WARM,
    LONG_COLD,
    LONG_LIMIT,
    LONG_DETECTION,
    LONG_QDEVICE,
    LONG_ROOT,
    LONG_FORCE,
    LONG_VERSION
};

static const struct {
    int value; /* the letter, or LONG_… */
    const char *name;
    const char *arg; /* NULL: takes none */
    unsigned mask;   /* 0: every command takes it */
    const char *help;
} table[] = {
    { 'h', "help", NULL, 0, "Print this help." },
    { 'v', "verbose", NULL, 0, "Say more; twice: also what goes over the socket." },
    { LONG_VERSION, "version", NULL, 0, "Print the version of xl-ha." },
    { LONG_SOCKET, "socket", "PATH", 0, "Talk to the xhad that listens there." },
    { LONG_TIMEOUT, "timeout", "SECONDS", 0, "Give up waiting for xhad after that; 0: never." },
    { 'N', "dry-run", NULL, 0, "Only say what would happen." },
    { LONG_JSON, "json", NULL, 0, "Print JSON." },
    { LONG_NO_WAIT, "no-wait", NULL, XLHA_OPT_WAIT, "Do not wait until it is done." },
    { 'l', "long", NULL, XLHA_OPT_LONG, "Show more columns." },
    { 'f', "follow", NULL, XLHA_OPT_FOLLOW, "Go on and print what happens from now on." },
    { 'n', "lines", "LINES", XLHA_OPT_LINES, "Show the newest LINES entries." },
    { LONG_TAKE_OVER, "take-over", NULL, XLHA_OPT_TAKE_OVER,
      "End the monitor process that xl create left for the domain." },
    { 'w', "weight", "WEIGHT", XLHA_OPT_SCHED, "Set the weight, 1 to 65535." },
    { 'c', "cap", "CAP", XLHA_OPT_SCHED, "Set the cap in percent of one CPU; 0: none." },
    { LONG_AFFINITY, "affinity", "CPUS", XLHA_OPT_SCHED, "Set the CPUs: all, or such as 0-3,^2." },
    { LONG_POOL, "pool", "POOL", XLHA_OPT_SCHED, "Move it to this cpupool." },
    { LONG_LIVE, "live", NULL, XLHA_OPT_MOVE, "Move it while it runs." },
    { LONG_WARM, "warm", NULL, XLHA_OPT_MOVE, "Suspend it, move it, let it go on." },
    { LONG_COLD, "cold", NULL, XLHA_OPT_MOVE, "Shut it down and start it there." },
    { LONG_LIMIT, "limit", "RATE", XLHA_OPT_MOVE, "Send at most so many bytes a second, such as 20M." },
    { LONG_DETECTION, "detection", "SECONDS", XLHA_OPT_CLUSTER, "How soon a lost host is to be noticed; 3." },
    { LONG_QDEVICE, "qdevice", "HOST", XLHA_OPT_CLUSTER, "The machine that breaks ties, by corosync-qnetd." },
    { LONG_ROOT, "root", "DIR", XLHA_OPT_CLUSTER, "Work on the files below DIR, as for an image." },
    { LONG_FORCE, "force", NULL, XLHA_OPT_CLUSTER, "Do it although something speaks against it." },
};

#define N_OPTIONS (sizeof(table) / sizeof(table[0]))

void xlha_options_help(unsigned mask, FILE *out)
{
    for (size_t i = 0; i < N_OPTIONS; i++) {
        char left[64], letter[8] = "";

        /* mask ~0: those that only some commands take */
        if (mask == ~0u ? !table[i].mask : table[i].mask && !(table[i].mask & mask))
            continue;
        if (table[i].value < 256)
            snprintf(letter, sizeof(letter), "-%c, ", table[i].value);
        snprintf(left, sizeof(left), "%s--%s%s%s", letter, table[i].name, table[i].arg ? " " : "",
                 table[i].arg ? table[i].arg : "");
        fprintf(out, "  %-26s %s\n", left, table[i].help);
    }
}

static void build(char *letters, struct option *options)
{
    *letters++ = '+'; /* stop at the first argument: the command */
    *letters++ = ':'; /* tell a missing argument from an unknown option */
    for (size_t i = 0; i < N_OPTIONS; i++) {
        options[i] = (struct option){ table[i].name, table[i].arg ? required_argument : no_argument, NULL,
                                      table[i].value };
        if (table[i].value < 256) {
            *letters++ = (char)table[i].value;
            if (table[i].arg)
                *letters++ = ':';
        }
    }
    *letters = '\0';
    memset(&options[N_OPTIONS], 0, sizeof(options[0]));
}

static bool number(const char *text, int least, int most, int *value_r)
{
    char *end;
    long value;

    errno = 0;
    value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < least || value > most)
        return false;
    *value_r = (int)value;
    return true;
}

static bool seconds(const char *text, int *ms_r)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end || !(value >= 0 && value <= TIMEOUT_MOST_S))
        return false;
    *ms_r = (int)ceil(value * 1000);
    return true;
}

static bool span(const char *text, double *seconds_r)
{
    char *end;

    *seconds_r = strtod(text, &end);
    return end != text && !*end && *seconds_r > 0 && *seconds_r <= TIMEOUT_MOST_S;
}

/* Takes one option. -1: go on; else the exit code. */
static int take(struct xlha *x, int opt, const char *arg)
{
    switch (opt) {
    case 'v':
        x->verbose++;
        break;
    case 'N':
        x->dry_run = true;
        break;
    case 'l':
        x->longer = true;
        break;
    case 'f':
        x->follow = true;
        break;
    case 'n':
        if (!number(arg, 0, 100000, &x->lines))
            return xlha_fail(XLHA_USAGE, "-n %s: must be a number from 0 to 100000", arg);
        break;
    case 'w':
        if (!number(arg, 1, 65535, &x->weight))
            return xlha_fail(XLHA_USAGE, "-w %s: a weight is a number from 1 to 65535", arg);
        break;
    case 'c':
        if (!number(arg, 0, 65535, &x->cap))
            return xlha_fail(XLHA_USAGE, "-c %s: a cap is a number from 0 (none) to 65535", arg);
        break;
    case LONG_AFFINITY:
        x->affinity = arg;
        break;
    case LONG_POOL:
        x->pool = arg;
        break;
    case LONG_LIVE:
        x->mode = "live";
        break;
    case LONG_WARM:
        x->mode = "warm";
        break;
    case LONG_COLD:
        x->mode = "cold";
        break;
    case LONG_LIMIT:
        x->limit = arg;
        break;
    case LONG_DETECTION:
        if (!span(arg, &x->cluster.detection))
            return xlha_fail(XLHA_USAGE, "--detection %s: must be seconds, such as 3 or 0.8", arg);
        break;
    case LONG_QDEVICE:
        x->cluster.qdevice = arg;
        break;
    case LONG_ROOT:
        x->cluster.root = arg;
        break;
    case LONG_FORCE:
        x->cluster.force = true;
        break;
    case LONG_JSON:
        x->json = true;
        break;
    case LONG_NO_WAIT:
        x->no_wait = true;
        break;
    case LONG_TAKE_OVER:
        x->take_over = true;
        break;
    case LONG_SOCKET:
        x->socket = arg;
        break;
    case LONG_TIMEOUT:
        if (!seconds(arg, &x->timeout_ms))
            return xlha_fail(XLHA_USAGE, "--timeout %s: must be seconds from 0 to %d", arg, TIMEOUT_MOST_S);
        break;
    case LONG_VERSION:
        printf("xl-ha %s\n", PACKAGE_VERSION);
        return XLHA_DONE;
    case 'h':
        xlha_help(x->command, stdout);
        return XLHA_DONE;
    default:
        abort();
    }
    return -1;
}

static unsigned mask_of(int opt)
{
    for (size_t i = 0; i < N_OPTIONS; i++) {
        if (table[i].value == opt)
            return table[i].mask;
    }
    abort();
}

/* -1: all options given are the command's; else the exit code. */
static int check_options(const struct xlha *x, unsigned used)
{
    const struct xlha_command *c = x->command;

    for (size_t i = 0; i < N_OPTIONS; i++) {
        if (table[i].mask & used & ~c->options)
            return xlha_fail(XLHA_USAGE, "%s takes no --%s; see xl-ha help %s", c->name, table[i].name,
                             c->name);
    }
    return -1;
}

/* The options at argv + optind. *used gathers the masks of those that only some commands take. */
static int parse_some(int argc, char **argv, struct xlha *x, unsigned *used)
{
    char letters[2 * N_OPTIONS + 3];
    struct option options[N_OPTIONS + 1];
    int opt, rc;

    build(letters, options);
    opterr = 0;
    while ((opt = getopt_long(argc, argv, letters, options, NULL)) != -1) {
        const char *word = argv[optind - 1];

        if (opt == ':')
            return xlha_fail(XLHA_USAGE, "option %s needs an argument", word);
        if (opt == '?' && optopt && optopt < 256)
            return xlha_fail(XLHA_USAGE, "unknown option -%c; see xl-ha help", optopt);
        if (opt == '?')
            return xlha_fail(XLHA_USAGE, "unknown option %s; see xl-ha help", word);
        *used |= mask_of(opt);
        rc = take(x, opt, optarg);
        if (rc >= 0)
            return rc;
    }
    return -1;
}

static int check_count(const struct xlha *x)
{
    const struct xlha_command *c = x->command;

    if (x->n_args < c->min_args || (c->max_args >= 0 && x->n_args > c->max_args))
        return xlha_fail(XLHA_USAGE, "usage: xl-ha %s %s", c->name, c->arguments);
    return -1;
}

int xlha_options_parse(int argc, char **argv, struct xlha *x)
{
    unsigned used = 0;
    int rc;

    *x = (struct xlha){ .timeout_ms = -1, .lines = -1, .weight = -1, .cap = -1 };
    rc = parse_some(argc, argv, x, &used);
    if (rc >= 0)
        return rc;
    if (optind == argc) {
        xlha_help(NULL, stderr);
        return XLHA_USAGE;
    }
    x->command = xlha_command_find(argv[optind]);
    if (!x->command)
        return XLHA_USAGE;
    /* options may stand anywhere after the command */
    x->args = &argv[optind + 1];
    argc -= optind;
    argv += optind;
    optind = 1;
    while (optind < argc) {
        bool all;

        rc = parse_some(argc, argv, x, &used);
        if (rc >= 0)
            return rc;
        all = !strcmp(argv[optind - 1], "--");
        while (optind < argc && (all || argv[optind][0] != '-'))
            x->args[x->n_args++] = argv[optind++];
    }
    rc = check_options(x, used);
    return rc >= 0 ? rc : check_count(x);
}

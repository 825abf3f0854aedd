/*
 * main.c - the program xhad: options, the run directory and its lock, the way into the background.
 */
#include "config.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/conf.h"
#include "xhad/base/file.h"
#include "xhad/base/policy.h"
#include "xhad/base/timing_text.h"
#include "xhad/cluster/fencer.h"
#include "xhad/ctl/daemon.h"
#include "xhad/ctl/good_conf.h"
#include "xhad/ctl/notify.h"
#include "xhad/ctl/pidfile.h"
#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define EXIT_USAGE  2
#define EXIT_CONFIG 78 /* EX_CONFIG: systemd does not try again */

struct options {
    const char *conf, *trace, *replay;
    bool check, foreground, rescued;
    int verbose;
};

static void usage(FILE *out)
{
    fprintf(out,
            "usage: xhad [-fnv] [-c FILE] [--trace FILE]\n"
            "       xhad --replay FILE\n"
            "  -c, --config FILE   read FILE instead of %s\n"
            "  -f, --foreground    stay in the foreground; log to standard error\n"
            "  -n, --check         check and show the configuration and all policies, then end\n"
            "  -v, --verbose       log more; with -n: explain every parameter\n"
            "      --trace FILE    write every event that is decided on to FILE, which must not exist\n"
            "      --replay FILE   decide once more on the events of a trace, print the story, then end\n"
            "  --version           show the version\n"
            "  -h, --help          show this\n"
            "Manuals: xhad(8), xhad.conf(5), xha-domain(5), xha(7).\n",
            xha_conf_path);
}

/* -1: go on; else the exit code. */
static int parse_options(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {
        { "config", required_argument, NULL, 'c' },
        { "foreground", no_argument, NULL, 'f' },
        { "check", no_argument, NULL, 'n' },
        { "verbose", no_argument, NULL, 'v' },
        { "trace", required_argument, NULL, 'T' },
        { "replay", required_argument, NULL, 'R' },
        { "version", no_argument, NULL, 'V' },
        { "help", no_argument, NULL, 'h' },
        { 0 },
    };
    int c;

    *o = (struct options){ .conf = xha_conf_path };
    while ((c = getopt_long(argc, argv, "c:fnvh", longs, NULL)) != -1) {
        switch (c) {
        case 'c':
            o->conf = optarg;
            break;
        case 'f':
            o->foreground = true;
            break;
        case 'n':
            o->check = true;
            break;
        case 'v':
            o->verbose++;
            break;
        case 'T':
            if (optarg[0] != '/') { /* a daemon's own directory is / */
                fprintf(stderr, "xhad: --trace %s: the file must be named by its full path\n", optarg);
                return EXIT_USAGE;
            }
            o->trace = optarg;
            break;
        case 'R':
            o->replay = optarg;
            break;
        case 'V':
            printf("xhad %s\n", PACKAGE_VERSION);
            return EXIT_SUCCESS;
        case 'h':
            usage(stdout);
            return EXIT_SUCCESS;
        default:
            usage(stderr);
            return EXIT_USAGE;
        }
    }
    if (optind == argc)
        return -1;
    fprintf(stderr, "xhad: %s: no arguments are taken\n", argv[optind]);
    usage(stderr);
    return EXIT_USAGE;
}

/* ---- -n ---- */

/* What its owner may expect, with the times that its policy sets. */
static void print_times_of(const struct xha_domain_spec *spec, const struct xha_conf *conf)
{
    struct xha_timing_wish wish;

    if (spec->policy.protection == XHA_PROT_MONITOR)
        return;
    xha_conf_wish(conf, &wish);
    if (spec->policy.heartbeat == XHA_BEAT_AGENT)
        wish.heartbeat_timeout = spec->policy.heartbeat_timeout;
    xha_timing_print_domain(&wish, conf->cluster && spec->relocate, stdout);
}

static int check_policy(const char *path, const struct xha_conf *conf, bool docs,
                        struct xha_problems *problems)
{
    struct xha_domain_spec spec;
    int rc = xha_domain_spec_load(path, &spec, problems);

    if (rc != XHA_CONF_OK)
        return rc;
    rc = xha_domain_spec_check(&spec, conf, problems);
    printf("\n# %s\n", path);
    xha_domain_spec_print(&spec, docs, stdout);
    print_times_of(&spec, conf);
    xha_domain_spec_clear(&spec);
    return rc;
}

static int check_policies(const struct xha_conf *conf, bool docs, struct xha_problems *problems)
{
    struct dirent **entry;
    int n = scandir(conf->policy_dir, &entry, NULL, alphasort), bad = 0;

    for (int i = 0; i < n; i++) {
        char path[XHA_JOB_PATH_MAX];
        const char *name = entry[i]->d_name, *dot = strrchr(name, '.');
        int r = snprintf(path, sizeof path, "%s/%s", conf->policy_dir, name);

        if (name[0] != '.' && dot && strcmp(dot, ".conf") == 0 && r > 0 && (size_t)r < sizeof path &&
            check_policy(path, conf, docs, problems) != XHA_CONF_OK)
            bad = -1;
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
    return bad;
}

/* Where the worst cases are too good to be true. */
static void print_slow_fencing(const struct xha_conf *conf, const struct xha_timing_wish *wish)
{
    char one[32], two[32];
    struct xha_timing timing;
    struct xha_span longest;
    const char *host = xha_fencer_slowest(&conf->fence, &longest);

    xha_timing_make(wish, &timing);
    if (conf->cluster && host && longest.ms > timing.fence_timeout.ms)
        printf("# Fencing %s may take %s s, by the delays, timeouts and retries of its devices; "
               "fence_timeout is %s s.\n",
               host, xha_param_seconds_text(longest.ms, one, sizeof one),
               xha_param_seconds_text(timing.fence_timeout.ms, two, sizeof two));
}

static int check(const struct xha_conf *conf, bool docs)
{
    struct xha_problems problems = { 0 }, warnings = { 0 };
    struct xha_timing_wish wish;
    int r;

    printf("# %s\n", conf->file ? conf->file : "(defaults)");
    xha_conf_print(conf, docs, stdout);
    xha_conf_wish(conf, &wish);
    xha_timing_print(&wish, conf->cluster, docs, stdout);
    print_slow_fencing(conf, &wish);
    r = check_policies(conf, docs, &problems);
    if (conf->file && xha_fencer_validate(&conf->fence, conf->file, &problems, &warnings) != XHA_CONF_OK)
        r = -1;
    fflush(stdout);
    xha_problems_print(&warnings, stderr);
    xha_problems_print(&problems, stderr);
    xha_problems_clear(&warnings);
    xha_problems_clear(&problems);
    return r < 0 ? EXIT_CONFIG : EXIT_SUCCESS;
}

/* ---- into the background ---- */

/* The parent returns only from here when the child has said how its start went. 0: we are the child; else the
 * parent's exit code + 1. */
static int fork_away(int *ready_fd_r)
{
    int fd[2];
    pid_t pid;
    char said = 1;
    ssize_t r;

    if (pipe2(fd, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
        fprintf(stderr, "xhad: cannot go into the background: %s\n", strerror(errno));
        return EXIT_FAILURE + 1;
    }
    if (pid == 0) {
        close(fd[0]);
        setsid();
        *ready_fd_r = fd[1];
        return 0;
    }
    close(fd[1]);
    do {
        r = read(fd[0], &said, 1);
    } while (r < 0 && errno == EINTR);
    return r == 1 && said == 0 ? EXIT_SUCCESS + 1 : EXIT_FAILURE + 1;
}

/* Descriptors 0 to 2 must be open all the time, or a file of ours would become a child's standard output. */
static void standard_fds(bool all_null)
{
    int fd = open("/dev/null", O_RDWR);

    while (fd >= 0 && fd <= 2)
        fd = dup(fd);
    if (fd < 0)
        return;
    dup2(fd, 0);
    if (all_null) {
        dup2(fd, 1);
        dup2(fd, 2);
    }
    close(fd);
}

static int prepare_dirs(const struct xha_conf *conf)
{
    const char *dirs[] = { conf->run_dir, conf->state_dir };

    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
        if (xha_mkdir_p(dirs[i], 0755) < 0) {
            xha_log(XHA_LOG_ERROR, "a directory cannot be created", XHA_S("dir", dirs[i]),
                    XHA_S("error", strerror(errno)));
            return -1;
        }
    }
    return 0;
}

static int run(const struct options *o, struct xha_conf *conf, int ready_fd, int lock_fd)
{
    static struct xha_daemon daemon;
    char ready = 0;

    daemon.trace_path = o->trace;
    daemon.conf_rescued = o->rescued;
    xha_log(XHA_LOG_INFO, "xhad starts", XHA_S("version", PACKAGE_VERSION), XHA_S("config", o->conf));
    if (xha_pidfile_write(lock_fd) < 0) {
        xha_log(XHA_LOG_ERROR, "xhad cannot start", XHA_S("why", "its pid file cannot be written"),
                XHA_S("dir", conf->run_dir), XHA_S("error", strerror(errno)));
        xha_conf_clear(conf);
        return EXIT_FAILURE;
    }
    if (xha_daemon_start(&daemon, conf, o->conf) < 0) {
        if (!daemon.stopping) /* told to, while it waited for corosync */
            daemon.exit_code = EXIT_FAILURE;
        xha_daemon_stop(&daemon);
        return xha_daemon_run(&daemon);
    }
    if (ready_fd >= 0) {
        (void)xha_write_all(ready_fd, &ready, 1);
        close(ready_fd);
        standard_fds(true);
    }
    xha_notify("READY=1");
    return xha_daemon_run(&daemon);
}

static int serve(const struct options *o, struct xha_conf *conf)
{
    XHA_CLEANUP_CLOSE int lock_fd = -1;
    enum xha_log_target target = o->foreground ? conf->log_target : XHA_LOG_SYSLOG;
    char err[1200];
    int ready_fd = -1, r;

    if (prepare_dirs(conf) < 0) {
        xha_conf_clear(conf);
        return EXIT_FAILURE;
    }
    if (xha_pidfile_take(conf->run_dir, &lock_fd, err, sizeof err) < 0) {
        xha_log(XHA_LOG_ERROR, "xhad cannot start", XHA_S("why", err));
        xha_conf_clear(conf);
        return EXIT_FAILURE;
    }
    if (!o->foreground) {
        r = fork_away(&ready_fd);
        if (r > 0) {
            xha_conf_clear(conf);
            return r - 1;
        }
    }
    xha_log_open("xhad", target, conf->log_level);
    if (chdir("/") < 0)
        xha_log(XHA_LOG_WARNING, "cannot go to /", XHA_S("error", strerror(errno)));
    return run(o, conf, ready_fd, lock_fd);
}

static int replay(const char *path)
{
    char err[1200];
    int r = xha_trace_replay(path, stdout, err, sizeof err);

    if (r < 0)
        fprintf(stderr, "xhad: %s\n", err);
    return r ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct xha_problems problems = { 0 };
    struct xha_conf conf;
    struct options o;
    char *path;
    int r = parse_options(argc, argv, &o);

    if (r >= 0)
        return r;
    if (o.replay)
        return replay(o.replay);
    standard_fds(false);
    umask(022);
    xha_log_open("xhad", XHA_LOG_STDERR, o.verbose ? XHA_LOG_DEBUG : XHA_LOG_INFO);
    r = xha_conf_load(o.conf, &conf, &problems);
    xha_problems_print(&problems, stderr);
    xha_problems_clear(&problems);
    if (r != XHA_CONF_OK && (o.check || !xha_good_conf_rescue(o.conf, &conf)))
        return EXIT_CONFIG;
    o.rescued = r != XHA_CONF_OK;
    /* A reload comes when we are no longer where we were started. */
    path = realpath(o.conf, NULL);
    if (path)
        o.conf = path;
    if (o.verbose)
        conf.log_level = XHA_LOG_DEBUG;
    if (o.check) {
        r = check(&conf, o.verbose > 0);
        xha_conf_clear(&conf);
    } else {
        r = serve(&o, &conf);
    }
    free(path);
    return r;
}

/*
 * cluster_leave.c - xl-ha cluster leave: this host goes for good.
 */
#include "xl-plugins/cluster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "xhad/base/cleanup.h"

/* Runs a program and waits for it; its exit status, or -1. */
static int run(const char *const *argv)
{
    pid_t pid;
    int status;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

/* Nobody leaves with domains that would then be started elsewhere while they run here. */
static int refuse_with_domains(struct xlha *x)
{
    const json_t *domain;
    json_t *list;
    size_t i;
    int rc = xlha_call(x, "list", NULL, &list);

    if (rc)
        return rc == XLHA_UNREACHABLE
                   ? xlha_fail(
                         rc,
                         "without xhad it is not known whether domains of the cluster run here; start it, "
                         "or give --force when you know that none does")
                   : rc;
    json_array_foreach(list, i, domain)
    {
        /* Without a cluster all are here. */
        if ((json_object_get(domain, "here") && !xlha_bool(domain, "here")) ||
            xlha_int(domain, "domid", -1) < 0)
            continue;
        rc = xlha_fail(XLHA_FAILED,
                       "%s belongs to this host (%s); move its domains away first: xl-ha maintenance %s on",
                       xlha_string(domain, "name"), xlha_string(domain, "state"), "HOST");
        break;
    }
    json_decref(list);
    return rc;
}

static int stop_corosync(void)
{
    static const char *const unit[] = { "systemctl", "disable", "--now", "corosync", NULL };
    static const char *const plain[] = { "corosync-cfgtool", "-H", "--force", NULL };
    bool systemd = !access("/run/systemd/system", F_OK);
    const char *const *argv = systemd ? unit : plain;
    int status = run(argv);

    if (status == 0 || (!systemd && status == 1)) /* 1: it does not run */
        return XLHA_DONE;
    return xlha_fail(XLHA_FAILED,
                     "corosync could not be stopped (%s ended with %d); stop it by hand, then say "
                     "xl-ha cluster leave --force",
                     argv[0], status);
}

static int put_aside(const char *path, const char *stamp, json_t *written)
{
    char to[1100];

    snprintf(to, sizeof(to), "%s.left-%s", path, stamp);
    if (rename(path, to) && errno != ENOENT)
        return xlha_fail(XLHA_FAILED, "%s: cannot be renamed to %s: %s", path, to, strerror(errno));
    xlha_cluster_say(written, "%s", to);
    return XLHA_DONE;
}

int xlha_cluster_leave(struct xlha *x)
{
    const struct xlha_corosync_host *self;
    XHA_CLEANUP_FREE char *text = NULL;
    struct xlha_corosync c;
    struct xlha_cluster_files files;
    time_t now = time(NULL);
    char stamp[32];
    json_t *answer;
    int rc;

    xlha_cluster_files(x, &files);
    rc = xlha_cluster_read(&files, &text, &c);
    if (!rc && !x->cluster.force && !x->cluster.root)
        rc = refuse_with_domains(x);
    if (!rc && !x->dry_run && !x->cluster.root)
        rc = stop_corosync();
    if (rc)
        return rc;
    strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", gmtime(&now));
    answer = xlha_cluster_answer();
    if (!x->dry_run) {
        rc = put_aside(files.conf, stamp, json_object_get(answer, "written"));
        if (!rc)
            rc = put_aside(files.authkey, stamp, json_object_get(answer, "written"));
        if (!rc)
            rc = put_aside(files.cluster_key, stamp, json_object_get(answer, "written"));
    }
    if (rc) {
        json_decref(answer);
        return rc;
    }
    self = xlha_cluster_this_host(&c);
    xlha_cluster_say(json_object_get(answer, "next"),
                     "'cluster = false;' in " XHA_SYSCONF_DIR "/xhad.conf, then systemctl restart xhad");
    xlha_cluster_say(json_object_get(answer, "next"), "on a host that stays: xl-ha cluster remove %s",
                     self ? self->name : "NAME");
    return xlha_cluster_print(x, answer);
}

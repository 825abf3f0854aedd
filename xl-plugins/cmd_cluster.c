/*
 * cmd_cluster.c - xl-ha cluster: corosync's files and keys for the common cases, in words. What corosync.conf
 * looks like is in corosync_conf.c; how the cluster is, in cluster_status.c.
 *
 * The keys are written before corosync.conf: whoever sees the one has the others.
 */
#include "xl-plugins/cluster.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "xhad/base/cleanup.h"

/* ---- what is said ---- */

void xlha_cluster_say(json_t *texts, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    json_array_append_new(texts, json_string(text));
}

json_t *xlha_cluster_answer(void)
{
    return json_pack("{s:[], s:[], s:[]}", "written", "notes", "next");
}

/* Prints and frees it. */
int xlha_cluster_print(const struct xlha *x, json_t *answer)
{
    const json_t *text, *texts;
    size_t i;

    if (x->json) {
        xlha_print_json(answer);
        json_decref(answer);
        return XLHA_DONE;
    }
    texts = json_object_get(answer, "written");
    json_array_foreach(texts, i, text)
        printf("%s %s\n", x->dry_run ? "would write" : "wrote", json_string_value(text));
    texts = json_object_get(answer, "notes");
    json_array_foreach(texts, i, text) printf("\n%s\n", json_string_value(text));
    texts = json_object_get(answer, "next");
    json_array_foreach(texts, i, text)
        printf("%s%zu. %s\n", i ? "" : "\nNext:\n", i + 1, json_string_value(text));
    json_decref(answer);
    return XLHA_DONE;
}

void xlha_cluster_explain(const struct xlha_corosync *c, bool two_node, json_t *notes)
{
    if (two_node)
        xlha_cluster_say(
            notes,
            "Two hosts: neither can have the majority of two, so corosync lets each act alone (two_node), "
            "once both have met after a start (wait_for_all). When they lose sight of each other both "
            "believe to be the one that is left. So xhad takes a domain over only when a fence agent or a "
            "person (xl-ha confirm-fenced) says that the other is off; the watchdog proves nothing here. "
            "A third host, or a quorum device (--qdevice HOST, a small machine elsewhere), is better.");
    else if (c->n % 2 == 0 && !c->qdevice[0])
        xlha_cluster_say(
            notes,
            "An even number of hosts: when the network parts them into halves neither half may act. A quorum "
            "device (--qdevice HOST) or one host more decides that.");
    if (c->qdevice[0])
        xlha_cluster_say(
            notes,
            "The quorum device needs corosync-qnetd on %s, corosync-qdevice on each host, and their "
            "certificates: corosync-qdevice-net-certutil -Q -n %s %s HOST...",
            c->qdevice, c->name, c->qdevice);
}

static void say_how_to_start(json_t *next)
{
    xlha_cluster_say(next, "systemctl enable --now corosync");
    xlha_cluster_say(next, "'cluster = true;' in " XHA_SYSCONF_DIR "/xhad.conf, then systemctl restart xhad");
    xlha_cluster_say(next, "xl-ha cluster status");
    xlha_cluster_say(
        next, "when all hosts are in: fence devices in xhad.conf, or xl-ha arm, so that a host that is "
              "cut off resets itself; without either a lost host's domains wait for a person");
}

static int check_this_host(const struct xlha *x, const struct xlha_corosync *c, const char *advice)
{
    if (x->cluster.root || x->cluster.force || x->dry_run || xlha_cluster_this_host(c))
        return XLHA_DONE;
    return xlha_fail(XLHA_FAILED, "none of the addresses is one of this host; %s", advice);
}

/* ---- init ---- */

static int write_all(const struct xlha *x, const struct xlha_cluster_files *files, const void *authkey,
                     size_t authkey_len, const char *cluster_key, const char *conf, json_t *written)
{
    int rc = XLHA_DONE;

    xlha_cluster_say(written, "%s (%zu random bytes, for root alone)", files->authkey, authkey_len);
    xlha_cluster_say(written, "%s (the key of moves, for root alone)", files->cluster_key);
    xlha_cluster_say(written, "%s", files->conf);
    if (x->dry_run)
        return XLHA_DONE;
    rc = xlha_cluster_write(files->authkey, 0400, authkey, authkey_len);
    if (!rc)
        rc = xlha_cluster_write(files->cluster_key, 0400, cluster_key, strlen(cluster_key));
    if (!rc)
        rc = xlha_cluster_write(files->conf, 0644, conf, strlen(conf));
    return rc;
}

static int describe(struct xlha *x, struct xlha_corosync *c)
{
    char why[XLHA_COROSYNC_WHY_MAX];
    int rc = xlha_corosync_set_name(c, x->args[1], why);

    for (int i = 2; !rc && i < x->n_args; i++)
        rc = xlha_corosync_add(c, x->args[i], why);
    if (!rc && x->cluster.qdevice)
        rc = xlha_corosync_set_qdevice(c, x->cluster.qdevice, why);
    if (rc)
        return xlha_fail(XLHA_USAGE, "%s", why);
    if (c->n < 2)
        return xlha_fail(XLHA_USAGE, "name at least two hosts; one host needs no cluster");
    return XLHA_DONE;
}

static int derive_times(const struct xlha *x, struct xha_timing *timing_r)
{
    struct xha_timing_fault fault[XHA_TIMING_FAULTS_MAX];
    struct xha_timing_wish wish;

    xha_timing_defaults(&wish);
    if (x->cluster.detection > 0)
        wish.timing.detection.ms = (int64_t)(x->cluster.detection * 1000);
    xha_timing_make(&wish, timing_r);
    if (xha_timing_check(&wish, timing_r, fault))
        return xlha_fail(XLHA_USAGE, "--detection: %s", fault[0].text);
    return XLHA_DONE;
}

static int cluster_init(struct xlha *x)
{
    struct xlha_corosync c = { .version = 1 };
    char cluster_key[XLHA_CLUSTER_KEY_HEX + 2];
    unsigned char authkey[XLHA_AUTHKEY_BYTES];
    XHA_CLEANUP_FREE char *text = NULL;
    struct xha_timing timing;
    struct xlha_cluster_files files;
    json_t *answer;
    int rc;

    xlha_cluster_files(x, &files);
    rc = describe(x, &c);
    if (!rc)
        rc = derive_times(x, &timing);
    if (!rc && !x->dry_run)
        rc = xlha_cluster_refuse(x, &files);
    if (!rc)
        rc = check_this_host(x, &c, "run this on one of the hosts, or correct them; --force does without");
    if (!rc)
        rc = xlha_cluster_new_keys(authkey, cluster_key);
    if (rc)
        return rc;
    text = xlha_corosync_text(&c, &timing);
    if (!text)
        return xlha_fail(XLHA_FAILED, "out of memory");
    answer = xlha_cluster_answer();
    rc =
        write_all(x, &files, authkey, sizeof(authkey), cluster_key, text, json_object_get(answer, "written"));
    if (rc) {
        json_decref(answer);
        return rc;
    }
    json_object_set_new(answer, "corosync.conf", json_string(text));
    if (x->dry_run && !x->json)
        fputs(text, stdout);
    xlha_cluster_explain(&c, c.n == 2 && !c.qdevice[0], json_object_get(answer, "notes"));
    xlha_cluster_say(
        json_object_get(answer, "next"),
        "xl-ha cluster bundle > %s.bundle, bring it to each other host by a safe way (it holds the keys), "
        "and there: "
        "xl-ha cluster join %s.bundle",
        c.name, c.name);
    say_how_to_start(json_object_get(answer, "next"));
    return xlha_cluster_print(x, answer);
}

/* ---- bundle and join ---- */

static char *to_hex(const char *data, size_t len)
{
    char *hex = malloc(2 * len + 1);

    for (size_t i = 0; hex && i < len; i++)
        sprintf(hex + 2 * i, "%02x", (unsigned char)data[i]);
    return hex;
}

/* It holds keys: not onto a screen, and not into a file that others read. */
static int cluster_bundle(struct xlha *x)
{
    XHA_CLEANUP_FREE char *text = NULL, *authkey = NULL, *cluster_key = NULL, *hex = NULL;
    size_t authkey_len, cluster_key_len;
    struct xlha_corosync c;
    struct xlha_cluster_files files;
    struct stat st;
    json_t *bundle;
    int rc;

    xlha_cluster_files(x, &files);
    if (isatty(STDOUT_FILENO))
        return xlha_fail(XLHA_USAGE, "a bundle holds the cluster's keys: xl-ha cluster bundle > FILE");
    rc = xlha_cluster_read(&files, &text, &c);
    if (!rc)
        rc = xlha_cluster_read_key(files.authkey, XLHA_AUTHKEY_BYTES / 2, &authkey, &authkey_len);
    if (!rc)
        rc = xlha_cluster_read_key(files.cluster_key, XLHA_CLUSTER_KEY_HEX, &cluster_key, &cluster_key_len);
    if (rc)
        return rc;
    if (!fstat(STDOUT_FILENO, &st) && S_ISREG(st.st_mode) && fchmod(STDOUT_FILENO, 0600))
        return xlha_fail(XLHA_FAILED, "the file cannot be kept from others: %s", strerror(errno));
    hex = to_hex(authkey, authkey_len);
    bundle = json_pack("{s:i, s:s, s:s, s:s, s:s}", "xhad_bundle", XLHA_BUNDLE_VERSION, "cluster", c.name,
                       "corosync.conf", text, "authkey", hex ? hex : "", "cluster.key", cluster_key);
    if (!bundle)
        return xlha_fail(XLHA_FAILED, "%s: not all of it is text", files.conf);
    xlha_print_json(bundle);
    json_decref(bundle);
    return XLHA_DONE;
}

static int take_bundle(struct xlha *x, const char *path, struct xlha_cluster_bundle *b)
{
    struct xlha_cluster_files files;
    json_t *answer;
    int rc;

    xlha_cluster_files(x, &files);
    rc = xlha_cluster_read_bundle(path, b);
    if (!rc && !x->dry_run)
        rc = xlha_cluster_refuse(x, &files);
    if (!rc)
        rc = check_this_host(x, &b->c,
                             "add it first, on a host of the cluster: xl-ha cluster add NAME=ADDRESS, and "
                             "write the bundle again; --force does without");
    if (rc)
        return rc;
    answer = xlha_cluster_answer();
    rc = write_all(x, &files, b->authkey, b->authkey_len, b->cluster_key, b->conf,
                   json_object_get(answer, "written"));
    if (rc) {
        json_decref(answer);
        return rc;
    }
    xlha_cluster_say(json_object_get(answer, "next"), "delete %s here: it holds the cluster's keys", path);
    say_how_to_start(json_object_get(answer, "next"));
    return xlha_cluster_print(x, answer);
}

static int cluster_join(struct xlha *x)
{
    struct xlha_cluster_bundle b = { 0 };
    int rc = take_bundle(x, x->args[1], &b);

    json_decref(b.object);
    explicit_bzero(b.authkey, sizeof(b.authkey));
    return rc;
}

/* ---- add and remove ---- */

/* Whether the changed text says what it was changed to. */
static bool holds(const char *text, const struct xlha_corosync *wanted, size_t n)
{
    char why[XLHA_COROSYNC_WHY_MAX];
    struct xlha_corosync c;

    return text && !xlha_corosync_parse(text, &c, why) && c.n == n && c.version == wanted->version + 1;
}

/* n: how many hosts there are afterwards. Takes answer over when it fails. */
static int change_conf(struct xlha *x, const struct xlha_cluster_files *files, const char *text,
                       const struct xlha_corosync *c, size_t n, json_t *answer)
{
    int rc = XLHA_DONE;

    if (!holds(text, c, n)) {
        json_decref(answer);
        return xlha_fail(XLHA_FAILED,
                         "%s: it is written in a way that cannot be changed without you: do it by hand, see "
                         "corosync.conf(5); nothing was written",
                         files->conf);
    }
    json_object_set_new(answer, "corosync.conf", json_string(text));
    xlha_cluster_say(json_object_get(answer, "written"), "%s (version %u)", files->conf, c->version + 1);
    if (x->dry_run && !x->json)
        fputs(text, stdout);
    if (!x->dry_run)
        rc = xlha_cluster_write(files->conf, 0644, text, strlen(text));
    if (rc)
        json_decref(answer);
    return rc;
}

static int cluster_add(struct xlha *x)
{
    XHA_CLEANUP_FREE char *old = NULL, *text = NULL;
    char why[XLHA_COROSYNC_WHY_MAX];
    struct xlha_corosync c;
    struct xlha_cluster_files files;
    json_t *answer, *next;
    int rc;

    xlha_cluster_files(x, &files);
    rc = xlha_cluster_read(&files, &old, &c);
    if (rc)
        return rc;
    if (xlha_corosync_add(&c, x->args[1], why))
        return xlha_fail(XLHA_USAGE, "%s", why);
    text = xlha_corosync_with(old, &c);
    answer = xlha_cluster_answer();
    rc = change_conf(x, &files, text, &c, c.n, answer);
    if (rc)
        return rc;
    xlha_cluster_explain(&c, c.n == 2 && !c.qdevice[0], json_object_get(answer, "notes"));
    next = json_object_get(answer, "next");
    xlha_cluster_say(next, "copy %s to the other hosts of the cluster", files.conf);
    xlha_cluster_say(next, "corosync-cfgtool -R, on one host: all read it again");
    xlha_cluster_say(next, "xl-ha cluster bundle > %s.bundle, and on %s: xl-ha cluster join %s.bundle",
                     c.name, c.host[c.n - 1].name, c.name);
    return xlha_cluster_print(x, answer);
}

static int cluster_remove(struct xlha *x)
{
    XHA_CLEANUP_FREE char *old = NULL, *text = NULL;
    const struct xlha_corosync_host *host;
    struct xlha_corosync c;
    struct xlha_cluster_files files;
    json_t *answer, *next;
    int rc;

    xlha_cluster_files(x, &files);
    rc = xlha_cluster_read(&files, &old, &c);
    if (rc)
        return rc;
    host = xlha_corosync_find(&c, x->args[1]);
    if (!host)
        return xlha_fail(XLHA_FAILED, "%s is no host of this cluster; xl-ha cluster status shows them",
                         x->args[1]);
    if (c.n == 1)
        return xlha_fail(XLHA_FAILED, "%s is its only host; end the cluster with xl-ha cluster leave",
                         host->name);
    text = xlha_corosync_without(old, &c, host->nodeid);
    answer = xlha_cluster_answer();
    rc = change_conf(x, &files, text, &c, c.n - 1, answer);
    if (rc)
        return rc;
    next = json_object_get(answer, "next");
    xlha_cluster_say(next,
                     "make sure that corosync and xhad do not run on %s any more: xl-ha cluster leave there",
                     host->name);
    xlha_cluster_say(next, "copy %s to the other hosts that stay", files.conf);
    xlha_cluster_say(next, "corosync-cfgtool -R, on one of them");
    xlha_cluster_say(next, "xl-ha forget-host %s", host->name);
    return xlha_cluster_print(x, answer);
}

/* ---- the command ---- */

static int cluster_status(struct xlha *x)
{
    XHA_CLEANUP_FREE char *text = NULL;
    struct xlha_corosync c;
    struct xlha_cluster_files files;
    int rc;

    xlha_cluster_files(x, &files);
    rc = xlha_cluster_read(&files, &text, &c);
    return rc ? rc : xlha_cluster_status(x, &c);
}

static const struct {
    const char *name;
    int (*run)(struct xlha *x);
    int least, most; /* arguments behind it; most -1: any number */
    const char *arguments;
} words[] = {
    { "init", cluster_init, 2, -1, "NAME HOST=ADDRESS[,ADDRESS]..." },
    { "bundle", cluster_bundle, 0, 0, "> FILE" },
    { "join", cluster_join, 1, 1, "FILE" },
    { "add", cluster_add, 1, 1, "HOST=ADDRESS[,ADDRESS]" },
    { "remove", cluster_remove, 1, 1, "HOST" },
    { "leave", xlha_cluster_leave, 0, 0, "" },
    { "status", cluster_status, 0, 0, "" },
};

int xlha_cmd_cluster(struct xlha *x)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(x->args[0], words[i].name))
            continue;
        if (x->n_args - 1 < words[i].least || (words[i].most >= 0 && x->n_args - 1 > words[i].most))
            return xlha_fail(XLHA_USAGE, "usage: xl-ha cluster %s %s", words[i].name, words[i].arguments);
        return words[i].run(x);
    }
    return xlha_fail(XLHA_USAGE, "usage: xl-ha cluster %s", x->command->arguments);
}

/*
 * cluster_files.c - the files of a cluster on this host: corosync.conf, its key, the key of moves, and bundles of
 * all three.
 *
 * All are written aside and renamed.
 */
#include "xl-plugins/cluster.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "xhad/base/cleanup.h"
#include "xhad/base/conf.h"
#include "xhad/base/file.h"

#define COROSYNC_DIR    "/etc/corosync"
#define BUNDLE_FILE_MAX (2 << 20)

/* ---- files ---- */

void xlha_cluster_files(const struct xlha *x, struct xlha_cluster_files *files_r)
{
    struct xha_problems problems = { 0 };
    const char *root = x->cluster.root ? x->cluster.root : "";
    struct xha_conf conf;

    memset(files_r, 0, sizeof(*files_r));
    snprintf(files_r->conf, sizeof(files_r->conf), "%.900s" COROSYNC_DIR "/corosync.conf", root);
    snprintf(files_r->authkey, sizeof(files_r->authkey), "%.900s" COROSYNC_DIR "/authkey", root);
    snprintf(files_r->cluster_key, sizeof(files_r->cluster_key), "%.900s" XHA_SYSCONF_DIR "/cluster.key",
             root);
    if (!*root && xha_conf_load(xha_conf_path, &conf, &problems) == XHA_CONF_OK) {
        snprintf(files_r->cluster_key, sizeof(files_r->cluster_key), "%s", conf.key_file);
        xha_conf_clear(&conf);
    }
    xha_problems_clear(&problems);
}

int xlha_cluster_write(const char *path, mode_t mode, const void *data, size_t len)
{
    char dir[1024];

    snprintf(dir, sizeof(dir), "%s", path);
    *strrchr(dir, '/') = '\0';
    if (xha_mkdir_p(dir, 0755) || xha_file_write(path, mode, data, len))
        return xlha_fail(errno == EACCES ? XLHA_FORBIDDEN : XLHA_FAILED,
                         "%s: %s; nothing after it was written%s", path, strerror(errno),
                         errno == EACCES ? ": become root, or use sudo" : "");
    return XLHA_DONE;
}

int xlha_cluster_read(const struct xlha_cluster_files *files, char **text_r, struct xlha_corosync *c_r)
{
    char why[XLHA_COROSYNC_WHY_MAX];
    size_t len;

    if (xha_file_read(files->conf, XLHA_COROSYNC_FILE_MAX, text_r, &len)) {
        if (errno == ENOENT)
            return xlha_fail(
                XLHA_FAILED,
                "%s: there is none, so this host is in no cluster; make one with xl-ha cluster init, "
                "or join one with xl-ha cluster join",
                files->conf);
        return xlha_fail(XLHA_FAILED, "%s: %s", files->conf, strerror(errno));
    }
    if (!xlha_corosync_parse(*text_r, c_r, why))
        return XLHA_DONE;
    free(*text_r);
    *text_r = NULL;
    return xlha_fail(XLHA_FAILED, "%s: %s", files->conf, why);
}

/* Debian's package brings a cluster of one host at the loopback address. */
static bool is_example(const char *path)
{
    XHA_CLEANUP_FREE char *text = NULL;
    char why[XLHA_COROSYNC_WHY_MAX];
    struct xlha_corosync c;
    size_t len;

    return !xha_file_read(path, XLHA_COROSYNC_FILE_MAX, &text, &len) && !xlha_corosync_parse(text, &c, why) &&
           c.n == 1 && !strcmp(c.host[0].address[0], "127.0.0.1");
}

int xlha_cluster_refuse(const struct xlha *x, const struct xlha_cluster_files *files)
{
    const char *path[] = { files->conf, files->authkey, files->cluster_key };

    for (size_t i = 0; !x->cluster.force && i < sizeof(path) / sizeof(path[0]); i++) {
        if (!access(path[i], F_OK) && (i || !is_example(path[i])))
            return xlha_fail(
                XLHA_FAILED,
                "%s is there already: this host seems to be in a cluster, see xl-ha cluster status; "
                "leave it with xl-ha cluster leave, or give --force to write it anew",
                path[i]);
    }
    return XLHA_DONE;
}

/* ---- this host ---- */

static bool is_local(const struct ifaddrs *all, const char *address)
{
    char text[NI_MAXHOST];

    for (; all; all = all->ifa_next) {
        socklen_t len = sizeof(struct sockaddr_in);

        if (!all->ifa_addr || (all->ifa_addr->sa_family != AF_INET && all->ifa_addr->sa_family != AF_INET6))
            continue;
        if (all->ifa_addr->sa_family == AF_INET6)
            len = sizeof(struct sockaddr_in6);
        if (!getnameinfo(all->ifa_addr, len, text, sizeof(text), NULL, 0, NI_NUMERICHOST) &&
            !strcmp(text, address))
            return true;
    }
    return false;
}

const struct xlha_corosync_host *xlha_cluster_this_host(const struct xlha_corosync *c)
{
    const struct xlha_corosync_host *found = NULL;
    struct ifaddrs *all = NULL;
    char name[256];

    if (getifaddrs(&all))
        return NULL;
    for (size_t i = 0; i < c->n && !found; i++) {
        if (is_local(all, c->host[i].address[0]) || is_local(all, c->host[i].address[1]))
            found = &c->host[i];
    }
    freeifaddrs(all);
    if (!found && !gethostname(name, sizeof(name)))
        found = xlha_corosync_find(c, name); /* where addresses are names */
    return found;
}

/* ---- keys and bundles ---- */

int xlha_cluster_new_keys(unsigned char authkey[XLHA_AUTHKEY_BYTES],
                          char cluster_key[XLHA_CLUSTER_KEY_HEX + 2])
{
    unsigned char raw[XLHA_CLUSTER_KEY_HEX / 2];

    if (getrandom(authkey, XLHA_AUTHKEY_BYTES, 0) != XLHA_AUTHKEY_BYTES ||
        getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
        return xlha_fail(XLHA_FAILED, "no random numbers for the keys: %s", strerror(errno));
    for (size_t i = 0; i < sizeof(raw); i++)
        sprintf(cluster_key + 2 * i, "%02x", raw[i]);
    strcpy(cluster_key + XLHA_CLUSTER_KEY_HEX, "\n");
    return XLHA_DONE;
}

int xlha_cluster_read_key(const char *path, size_t least, char **data_r, size_t *len_r)
{
    if (xha_file_read(path, 4096, data_r, len_r))
        return xlha_fail(errno == EACCES ? XLHA_FORBIDDEN : XLHA_FAILED, "%s: %s%s", path, strerror(errno),
                         errno == ENOENT ? "; was the cluster made by xl-ha cluster init?" : "");
    if (*len_r < least)
        return xlha_fail(XLHA_FAILED,
                         "%s: too short for a key; make new ones with xl-ha cluster init --force", path);
    return XLHA_DONE;
}

static bool from_hex(const char *hex, unsigned char *data, size_t most, size_t *len_r)
{
    size_t len = strlen(hex);

    if (!len || len % 2 || len / 2 > most || strspn(hex, "0123456789abcdef") != len)
        return false;
    for (size_t i = 0; i < len / 2; i++)
        sscanf(hex + 2 * i, "%2hhx", &data[i]);
    *len_r = len / 2;
    return true;
}

static bool is_cluster_key(const char *key)
{
    size_t len = strspn(key, "0123456789abcdef");

    return len == XLHA_CLUSTER_KEY_HEX && (!key[len] || !strcmp(key + len, "\n"));
}

int xlha_cluster_read_bundle(const char *path, struct xlha_cluster_bundle *b)
{
    XHA_CLEANUP_FREE char *data = NULL;
    char why[XLHA_COROSYNC_WHY_MAX];
    json_int_t version;
    size_t len;

    if (xha_file_read(path, BUNDLE_FILE_MAX, &data, &len))
        return xlha_fail(XLHA_FAILED, "%s: %s; write it on a host of the cluster with xl-ha cluster bundle",
                         path, strerror(errno));
    b->object = json_loadb(data, len, 0, NULL);
    explicit_bzero(data, len);
    version = xlha_int(b->object, "xhad_bundle", 0);
    if (version > XLHA_BUNDLE_VERSION)
        return xlha_fail(XLHA_FAILED, "%s: a bundle of version %lld, of a newer xl-ha; install that here",
                         path, (long long)version);
    b->conf = xlha_string(b->object, "corosync.conf");
    b->cluster_key = xlha_string(b->object, "cluster.key");
    if (version < 1 || !is_cluster_key(b->cluster_key) ||
        !from_hex(xlha_string(b->object, "authkey"), b->authkey, sizeof(b->authkey), &b->authkey_len))
        return xlha_fail(XLHA_FAILED, "%s: this is no whole bundle of xl-ha cluster bundle; write it again",
                         path);
    if (xlha_corosync_parse(b->conf, &b->c, why))
        return xlha_fail(XLHA_FAILED, "%s: its corosync.conf: %s", path, why);
    return XLHA_DONE;
}

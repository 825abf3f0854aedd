/*
 * peers_policies.c - the policy directory of a host that is one of a cluster.
 *
 * The cluster's state holds every policy, so a file here is only where a change may come from: it is taken
 * when it has changed since this host looked last (STATE/cluster/policies keeps what it saw), not because it
 * differs from the state. So an edit on any host reaches all, and no old copy undoes it at the next start.
 */
#include "xhad/ctl/peers.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include "xhad/base/uuid.h"
#include <dirent.h>
#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

#define SEEN_BYTES_MAX (4 * 1024 * 1024)

static void seen_path(const struct xha_peers *p, char buf[XHA_JOB_PATH_MAX])
{
    snprintf(buf, XHA_JOB_PATH_MAX, "%.1000s/policies", p->dir);
}

/* An object: path to a digest of the file; a new reference. */
static json_t *load_seen(const struct xha_peers *p)
{
    XHA_CLEANUP_FREE char *text = NULL;
    char path[XHA_JOB_PATH_MAX];
    json_t *seen = NULL;
    size_t len;

    seen_path(p, path);
    if (xha_file_read(path, SEEN_BYTES_MAX, &text, &len) == 0)
        seen = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(seen))
        return seen;
    json_decref(seen);
    return json_object();
}

static void remember(const struct xha_peers *p, const char *file, const char *digest)
{
    json_t *seen = load_seen(p);
    XHA_CLEANUP_FREE char *text = NULL;
    char path[XHA_JOB_PATH_MAX];

    json_object_set_new(seen, file, json_string(digest));
    text = json_dumps(seen, JSON_COMPACT | JSON_SORT_KEYS);
    seen_path(p, path);
    if (text && xha_file_write(path, 0600, text, strlen(text)) < 0)
        xha_log(XHA_LOG_WARNING, "what was seen of the policies cannot be kept", XHA_S("file", path),
                XHA_S("error", strerror(errno)));
    json_decref(seen);
}

struct taking {
    struct xha_peers *p;
    char path[XHA_JOB_PATH_MAX];
    char digest[20];
};

/* One that the cluster refused is remembered as well: it has been told, and is taken when it is edited. */
static void taken(void *user, struct xha_daemon *d, const char *name, const char *code, const char *message,
                  const char *hint)
{
    struct taking *t = user;
    char text[XHA_JOB_PATH_MAX + 400];

    (void)hint;
    if (code) {
        snprintf(text, sizeof text, "%.200s: %s%s%.250s", t->path, name ? name : "", name ? ": " : "",
                 message);
        xha_step_alarm(d, "policy", XHA_SEV_WARNING, xha_domains_find_source(&d->domains, t->path), text);
    }
    if (!code ||
        (strcmp(code, "no-quorum") != 0 && strcmp(code, "timeout") != 0 && strcmp(code, "stopping") != 0))
        remember(t->p, t->path, t->digest);
    free(t);
}

static void take_file(struct xha_peers *p, const char *path, const json_t *seen, json_t *refused)
{
    const char *was = json_string_value(json_object_get(seen, path));
    struct xha_domain *old = xha_domains_find_source(&p->d->domains, path);
    XHA_CLEANUP_FREE char *text = NULL;
    struct taking *t;
    size_t len;

    if (xha_file_read(path, XHA_PARAMS_FILE_MAX, &text, &len) < 0)
        return;
    t = calloc(1, sizeof *t);
    if (!t)
        return;
    t->p = p;
    snprintf(t->path, sizeof t->path, "%s", path);
    snprintf(t->digest, sizeof t->digest, "%016" PRIx64, (uint64_t)XXH3_64bits(text, len));
    if (was && strcmp(was, t->digest) == 0) {
        free(t);
        return;
    }
    if (old && (!was || strcmp(old->policy_text, text) == 0)) {
        if (strcmp(old->policy_text, text) != 0)
            xha_log(XHA_LOG_INFO,
                    "the cluster has another policy than this file, which is left alone until it "
                    "is edited",
                    XHA_S("file", path), XHA_S("domain", old->name));
        remember(p, path, t->digest);
        free(t);
        return;
    }
    if (xha_protect_may_take(p->d, old, path, refused))
        xha_protect_file(p->d, path, false, taken, t);
    else
        free(t);
}

void xha_peers_policies(struct xha_peers *p, json_t *refused)
{
    struct dirent **entry;
    int n = scandir(p->d->conf.policy_dir, &entry, NULL, alphasort);
    json_t *seen = load_seen(p);

    for (int i = 0; i < n; i++) {
        char path[XHA_JOB_PATH_MAX];
        const char *name = entry[i]->d_name, *dot = strrchr(name, '.');
        int r = snprintf(path, sizeof path, "%s/%s", p->d->conf.policy_dir, name);

        if (name[0] != '.' && dot && strcmp(dot, ".conf") == 0 && r > 0 && (size_t)r < sizeof path)
            take_file(p, path, seen, refused);
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
    json_decref(seen);
}

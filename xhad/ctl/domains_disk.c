/*
 * domains_disk.c - STATE/domains/UUID: written beside, synced, put in place by renames; read at the start.
 *
 * The steps are: UUID.new whole and synced; UUID → UUID.old; UUID.new → UUID; UUID.old away. A start that
 * finds no UUID but UUID.old and UUID.new takes the new one, which is whole.
 */
#include "xhad/ctl/domains.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include "xhad/base/uuid.h"
#include <string.h>
#include <sys/stat.h>

#define POLICY_NAME "policy.conf"
#define CONFIG_NAME "config.json"
#define FACTS_NAME  "domain.json"
#define BYTES_MAX   (4 * 1024 * 1024)

static const char *const files[] = { POLICY_NAME, CONFIG_NAME, FACTS_NAME };

void xha_domains_path(const struct xha_domains *ds, const struct xha_uuid *uuid, const char *ending,
                      char *buf, size_t len)
{
    char text[XHA_UUID_TEXT];

    snprintf(buf, len, "%.900s/%s%s", ds->dir, xha_uuid_format(uuid, text), ending);
}

/* ---- writing ---- */

static json_t *facts_json(const struct xha_domain *d)
{
    char uuid[XHA_UUID_TEXT];
    json_t *json = json_pack("{s:i, s:s, s:s, s:s, s:O?}", "v", 1, "uuid", xha_uuid_format(&d->uuid, uuid),
                             "name", d->name, "source", d->source, "facts", d->facts);

    if (json && d->shared)
        json_object_set_new(json, "shared", json_true());
    if (json && d->sched_set)
        json_object_set_new(json, "sched",
                            json_pack("{s:I, s:I, s:s, s:s}", "weight", (json_int_t)d->sched.weight, "cap",
                                      (json_int_t)d->sched.cap, "affinity", d->sched.affinity, "pool",
                                      d->sched.pool));
    return json;
}

static int write_json(const char *dir, const char *name, json_t *json)
{
    XHA_CLEANUP_FREE char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
    char path[XHA_JOB_PATH_MAX];

    if (!text) {
        errno = EINVAL;
        return -1;
    }
    snprintf(path, sizeof path, "%.1000s/%s", dir, name);
    return xha_file_write(path, 0600, text, strlen(text));
}

static int write_facts(const char *dir, const struct xha_domain *d)
{
    json_t *facts = facts_json(d);
    int r = write_json(dir, FACTS_NAME, facts);

    json_decref(facts);
    return r;
}

static void remove_dir(const char *dir)
{
    char path[XHA_JOB_PATH_MAX];

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%.1000s/%s", dir, files[i]);
        unlink(path);
        snprintf(path, sizeof path, "%.1000s/%s.tmp", dir, files[i]);
        unlink(path);
    }
    rmdir(dir);
}

static int write_dir(const char *dir, const struct xha_domain *d)
{
    char path[XHA_JOB_PATH_MAX];

    remove_dir(dir);
    if (mkdir(dir, 0700) < 0)
        return -1;
    snprintf(path, sizeof path, "%.1000s/%s", dir, POLICY_NAME);
    if (xha_file_write(path, 0600, d->policy_text, strlen(d->policy_text)) < 0 ||
        write_json(dir, CONFIG_NAME, d->config) < 0 || write_facts(dir, d) < 0)
        return -1;
    return 0;
}

int xha_domains_store(const struct xha_domains *ds, const struct xha_domain *d, char *err, size_t err_len)
{
    char dir[XHA_JOB_PATH_MAX], new_dir[XHA_JOB_PATH_MAX], old_dir[XHA_JOB_PATH_MAX];

    xha_domains_path(ds, &d->uuid, "", dir, sizeof dir);
    xha_domains_path(ds, &d->uuid, ".new", new_dir, sizeof new_dir);
    xha_domains_path(ds, &d->uuid, ".old", old_dir, sizeof old_dir);
    if (write_dir(new_dir, d) < 0 || xha_sync_dir_of(new_dir) < 0) {
        snprintf(err, err_len, "%s: cannot be written: %s", new_dir, strerror(errno));
        remove_dir(new_dir);
        return -1;
    }
    remove_dir(old_dir);
    if ((rename(dir, old_dir) < 0 && errno != ENOENT) || rename(new_dir, dir) < 0 ||
        xha_sync_dir_of(dir) < 0) {
        snprintf(err, err_len, "%s: cannot be put in place: %s", dir, strerror(errno));
        return -1;
    }
    remove_dir(old_dir);
    return 0;
}

int xha_domains_store_facts(const struct xha_domains *ds, const struct xha_domain *d, char *err,
                            size_t err_len)
{
    char dir[XHA_JOB_PATH_MAX];

    xha_domains_path(ds, &d->uuid, "", dir, sizeof dir);
    if (write_facts(dir, d) < 0) {
        snprintf(err, err_len, "%s/%s: cannot be written: %s", dir, FACTS_NAME, strerror(errno));
        return -1;
    }
    return 0;
}

void xha_domains_remove(struct xha_domains *ds, struct xha_domain *d)
{
    char dir[XHA_JOB_PATH_MAX];

    xha_domains_path(ds, &d->uuid, "", dir, sizeof dir);
    remove_dir(dir);
    for (size_t i = 0; i < ds->n; i++) {
        if (ds->domain[i] == d) {
            memmove(&ds->domain[i], &ds->domain[i + 1], (ds->n - i - 1) * sizeof *ds->domain);
            ds->n--;
            break;
        }
    }
    xha_domain_free(d);
}

/* ---- reading ---- */

static void copy_text(const json_t *obj, const char *key, char *buf, size_t len)
{
    const char *text = json_string_value(json_object_get(obj, key));

    snprintf(buf, len, "%s", text ? text : "");
}

static int take_facts(struct xha_domain *d, const char *path, const char *text, size_t len, char *err,
                      size_t err_len)
{
    json_error_t jerr;
    json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &jerr);
    const char *uuid = json_string_value(json_object_get(json, "uuid"));
    const json_t *sched = json_object_get(json, "sched");

    if (!json || !uuid || !xha_uuid_parse(uuid, &d->uuid)) {
        snprintf(err, err_len, "%.800s: %s", path, json ? "no \"uuid\" in it" : jerr.text);
        json_decref(json);
        return -1;
    }
    copy_text(json, "name", d->name, sizeof d->name);
    copy_text(json, "source", d->source, sizeof d->source);
    d->facts = json_incref(json_object_get(json, "facts"));
    d->shared = json_is_true(json_object_get(json, "shared"));
    if (json_is_object(sched)) {
        d->sched_set = true;
        d->sched.weight = (uint32_t)json_integer_value(json_object_get(sched, "weight"));
        d->sched.cap = (uint32_t)json_integer_value(json_object_get(sched, "cap"));
        copy_text(sched, "affinity", d->sched.affinity, sizeof d->sched.affinity);
        copy_text(sched, "pool", d->sched.pool, sizeof d->sched.pool);
    }
    json_decref(json);
    return 0;
}

static int take_policy(struct xha_domain *d, const char *path, size_t len, char *err, size_t err_len)
{
    struct xha_problems problems = { 0 };
    int rc = xha_domain_spec_parse(path, d->policy_text, len, &d->spec, &problems);

    if (rc != XHA_CONF_OK)
        snprintf(err, err_len, "%s", problems.n ? problems.text[0] : "no memory");
    xha_problems_clear(&problems);
    if (rc != XHA_CONF_OK)
        return -1;
    d->spec.policy.memory_kib = (uint64_t)json_integer_value(json_object_get(d->facts, "memory_kib"));
    xha_domain_sched_of_policy(d);
    return 0;
}

static int load_one(struct xha_domain *d, const char *dir, char *err, size_t err_len)
{
    char path[XHA_JOB_PATH_MAX];
    XHA_CLEANUP_FREE char *facts = NULL;
    size_t len;

    snprintf(path, sizeof path, "%.1000s/%s", dir, FACTS_NAME);
    if (xha_file_read(path, BYTES_MAX, &facts, &len) < 0)
        goto unreadable;
    if (take_facts(d, path, facts, len, err, err_len) < 0)
        return -1;
    snprintf(path, sizeof path, "%.1000s/%s", dir, CONFIG_NAME);
    if (access(path, R_OK) < 0)
        goto unreadable;
    snprintf(path, sizeof path, "%.1000s/%s", dir, POLICY_NAME);
    if (xha_file_read(path, BYTES_MAX, &d->policy_text, &len) < 0)
        goto unreadable;
    return take_policy(d, path, len, err, err_len);

unreadable:
    snprintf(err, err_len, "%.900s: cannot be read: %s", path, strerror(errno));
    return -1;
}

/* Ends what a crash interrupted. */
static void tidy(const struct xha_domains *ds, const struct xha_uuid *uuid)
{
    char dir[XHA_JOB_PATH_MAX], new_dir[XHA_JOB_PATH_MAX], old_dir[XHA_JOB_PATH_MAX];

    xha_domains_path(ds, uuid, "", dir, sizeof dir);
    xha_domains_path(ds, uuid, ".new", new_dir, sizeof new_dir);
    xha_domains_path(ds, uuid, ".old", old_dir, sizeof old_dir);
    if (access(dir, F_OK) < 0 && access(old_dir, F_OK) == 0)
        (void)rename(access(new_dir, F_OK) == 0 ? new_dir : old_dir, dir);
    remove_dir(new_dir);
    remove_dir(old_dir);
}

static void load_dir(struct xha_domains *ds, const struct xha_uuid *uuid, xha_domains_bad_cb *bad, void *user)
{
    char dir[XHA_JOB_PATH_MAX], err[XHA_JOB_PATH_MAX] = "its files are of another domain",
                                text[XHA_UUID_TEXT];
    struct xha_domain *d;

    tidy(ds, uuid);
    xha_domains_path(ds, uuid, "", dir, sizeof dir);
    if (access(dir, F_OK) < 0 || xha_domains_find(ds, uuid))
        return;
    d = calloc(1, sizeof *d);
    if (d && load_one(d, dir, err, sizeof err) == 0 && xha_uuid_equal(&d->uuid, uuid) &&
        xha_domains_put(ds, d) == 0)
        return;
    bad(user, xha_uuid_format(uuid, text), d ? err : "no memory");
    xha_domain_free(d);
}

void xha_domains_load(struct xha_domains *ds, xha_domains_bad_cb *bad, void *user)
{
    XHA_CLEANUP_CLOSEDIR DIR *dir = opendir(ds->dir);
    const struct dirent *e;

    while (dir && (e = readdir(dir))) {
        char text[XHA_UUID_TEXT];
        struct xha_uuid uuid;

        /* UUID, UUID.new and UUID.old alike: load_dir() tidies. */
        snprintf(text, sizeof text, "%.36s", e->d_name);
        if (xha_uuid_parse(text, &uuid))
            load_dir(ds, &uuid, bad, user);
    }
}

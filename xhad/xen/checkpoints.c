/*
 * checkpoints.c - see checkpoints.h.
 */
#include "xhad/xen/checkpoints.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include "xhad/base/uuid.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#define MANIFEST_BYTES_MAX 8192
#define VERSION            1

/* ---- names ---- */

static bool fits(int r, size_t len)
{
    return r > 0 && (size_t)r < len;
}

int xha_ckpt_file(const char *dir, const struct xha_ckpt *ckpt, char *path, size_t len)
{
    return fits(snprintf(path, len, "%s/%" PRIu64 ".xlsave%s", dir, ckpt->number, ckpt->zstd ? ".zst" : ""),
                len)
               ? 0
               : -1;
}

int xha_ckpt_manifest(const char *dir, uint64_t number, char *path, size_t len)
{
    return fits(snprintf(path, len, "%s/%" PRIu64 ".json", dir, number), len) ? 0 : -1;
}

/* A name that begins with a number written as we do; rest_r is what follows it. */
static bool numbered(const char *name, uint64_t *number_r, const char **rest_r)
{
    uint64_t number = 0;
    const char *p = name;

    if (*p < '1' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (number > (INT64_MAX - 9) / 10)
            return false;
        number = number * 10 + (uint64_t)(*p - '0');
    }
    *number_r = number;
    *rest_r = p;
    return true;
}

/* ---- manifests ---- */

json_t *xha_ckpt_to_json(const struct xha_ckpt *ckpt)
{
    char uuid[XHA_UUID_TEXT];

    return json_pack("{s:i, s:I, s:I, s:I, s:I, s:s, s:b, s:b, s:b, s:I, s:s, s:s, s:s, s:s, s:s}", "v",
                     VERSION, "number", (json_int_t)ckpt->number, "time_ms", (json_int_t)ckpt->time_ms,
                     "bytes", (json_int_t)ckpt->bytes, "stream_bytes", (json_int_t)ckpt->stream_bytes,
                     "compress", ckpt->zstd ? "zstd" : "none", "live", ckpt->live, "snapshot", ckpt->snapshot,
                     "imported", ckpt->imported, "pause_ms", (json_int_t)ckpt->pause_ms, "xxh3_128",
                     ckpt->sum, "config_xxh3_128", ckpt->config_sum, "name", ckpt->name, "uuid",
                     xha_uuid_format(&ckpt->uuid, uuid), "xen", ckpt->xen_version);
}

static bool take_text(const json_t *json, const char *key, char *to, size_t size)
{
    const char *text = json_string_value(json_object_get(json, key));
    size_t len = text ? strlen(text) : size;

    if (len >= size)
        return false;
    memcpy(to, text, len + 1);
    return true;
}

static bool take_number(const json_t *json, const char *key, uint64_t *to)
{
    const json_t *v = json_object_get(json, key);

    *to = (uint64_t)json_integer_value(v);
    return json_is_integer(v) && json_integer_value(v) >= 0;
}

int xha_ckpt_from_json(const json_t *json, struct xha_ckpt *ckpt_r)
{
    struct xha_ckpt c = { 0 };
    uint64_t version, time_ms, pause_ms;
    char compress[8], uuid[XHA_UUID_TEXT];

    if (!take_number(json, "v", &version) || version != VERSION || !take_number(json, "number", &c.number) ||
        !take_number(json, "time_ms", &time_ms) || !take_number(json, "bytes", &c.bytes) ||
        !take_number(json, "stream_bytes", &c.stream_bytes) || !take_number(json, "pause_ms", &pause_ms) ||
        !take_text(json, "compress", compress, sizeof(compress)) ||
        !take_text(json, "xxh3_128", c.sum, sizeof(c.sum)) ||
        !take_text(json, "config_xxh3_128", c.config_sum, sizeof(c.config_sum)) ||
        !take_text(json, "name", c.name, sizeof(c.name)) || !take_text(json, "uuid", uuid, sizeof(uuid)) ||
        !take_text(json, "xen", c.xen_version, sizeof(c.xen_version)) || !xha_uuid_parse(uuid, &c.uuid))
        return -1;
    c.zstd = strcmp(compress, "zstd") == 0;
    if (!c.zstd && strcmp(compress, "none") != 0)
        return -1;
    c.time_ms = (int64_t)time_ms;
    c.pause_ms = (int64_t)pause_ms;
    c.live = json_is_true(json_object_get(json, "live"));
    c.snapshot = json_is_true(json_object_get(json, "snapshot"));
    c.imported = json_is_true(json_object_get(json, "imported"));
    *ckpt_r = c;
    return 0;
}

/* A manifest that cannot be read, or is not of this number, leaves a torn checkpoint. */
static void read_manifest(const char *dir, uint64_t number, struct xha_ckpt *ckpt_r)
{
    XHA_CLEANUP_FREE char *text = NULL;
    char path[PATH_MAX];
    json_t *json = NULL;
    size_t len;

    if (xha_ckpt_manifest(dir, number, path, sizeof(path)) == 0 &&
        xha_file_read(path, MANIFEST_BYTES_MAX, &text, &len) == 0)
        json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    if (!json || xha_ckpt_from_json(json, ckpt_r) < 0 || ckpt_r->number != number)
        *ckpt_r = (struct xha_ckpt){ .number = number, .torn = true };
    json_decref(json);
}

int xha_ckpt_commit(const char *dir, const struct xha_ckpt *ckpt)
{
    XHA_CLEANUP_FREE char *text = NULL;
    json_t *json = xha_ckpt_to_json(ckpt);
    char path[PATH_MAX];

    if (json)
        text = json_dumps(json, JSON_INDENT(1));
    json_decref(json);
    if (!text || xha_ckpt_manifest(dir, ckpt->number, path, sizeof(path)) < 0) {
        errno = text ? ENAMETOOLONG : ENOMEM;
        return -1;
    }
    return xha_file_write(path, 0600, text, strlen(text));
}

/* ---- the directory ---- */

static int newest_first(const void *a, const void *b)
{
    const struct xha_ckpt *x = a, *y = b;

    return x->number < y->number ? 1 : x->number > y->number ? -1 : 0;
}

static int add(struct xha_ckpt **list, size_t *n, size_t *room)
{
    struct xha_ckpt *bigger;

    if (*n < *room)
        return 0;
    bigger = realloc(*list, (*room * 2 + 16) * sizeof(**list));
    if (!bigger)
        return -1;
    *list = bigger;
    *room = *room * 2 + 16;
    return 0;
}

int xha_ckpt_list(const char *dir, struct xha_ckpt **list_r, size_t *n_r)
{
    XHA_CLEANUP_CLOSEDIR DIR *d = opendir(dir);
    XHA_CLEANUP_FREE struct xha_ckpt *list = NULL;
    struct dirent *entry;
    size_t n = 0, room = 0;
    const char *rest;
    uint64_t number;

    *list_r = NULL;
    *n_r = 0;
    if (!d)
        return errno == ENOENT ? 0 : -1;
    while ((entry = readdir(d)) != NULL) {
        if (!numbered(entry->d_name, &number, &rest) || strcmp(rest, ".json") != 0)
            continue;
        if (add(&list, &n, &room) < 0)
            return -1;
        read_manifest(dir, number, &list[n++]);
    }
    if (n > 0)
        qsort(list, n, sizeof(*list), newest_first);
    *list_r = xha_steal_ptr(list);
    *n_r = n;
    return 0;
}

static void unlink_in(const char *dir, const char *name)
{
    char path[PATH_MAX];

    if (fits(snprintf(path, sizeof(path), "%s/%s", dir, name), sizeof(path)) && unlink(path) < 0 &&
        errno != ENOENT)
        fprintf(stderr, "%s cannot be removed: %s\n", path, strerror(errno));
}

static bool is_temporary(const char *rest)
{
    return strcmp(rest, ".xlsave.tmp") == 0 || strcmp(rest, ".xlsave.zst.tmp") == 0 ||
           strcmp(rest, ".json.tmp") == 0;
}

/* A save file whose manifest never came. */
static bool is_orphan(const char *dir, uint64_t number, const char *rest)
{
    char path[PATH_MAX];

    return (strcmp(rest, ".xlsave") == 0 || strcmp(rest, ".xlsave.zst") == 0) &&
           xha_ckpt_manifest(dir, number, path, sizeof(path)) == 0 && access(path, F_OK) < 0 &&
           errno == ENOENT;
}

uint64_t xha_ckpt_clean(const char *dir)
{
    XHA_CLEANUP_CLOSEDIR DIR *d = opendir(dir);
    struct dirent *entry;
    uint64_t number, highest = 0;
    const char *rest;

    while (d && (entry = readdir(d)) != NULL) {
        if (!numbered(entry->d_name, &number, &rest))
            continue;
        if (is_temporary(rest) || is_orphan(dir, number, rest))
            unlink_in(dir, entry->d_name);
        if (number > highest)
            highest = number;
    }
    return highest;
}

int xha_ckpt_remove(const char *dir, const struct xha_ckpt *ckpt)
{
    char path[PATH_MAX];

    if (xha_ckpt_manifest(dir, ckpt->number, path, sizeof(path)) < 0 || (unlink(path) < 0 && errno != ENOENT))
        return -1;
    for (int zstd = 0; zstd < 2; zstd++) { /* a torn one does not say which */
        const struct xha_ckpt of = { .number = ckpt->number, .zstd = zstd };

        if (xha_ckpt_file(dir, &of, path, sizeof(path)) < 0 || (unlink(path) < 0 && errno != ENOENT))
            return -1;
    }
    return 0;
}

void xha_ckpt_choose(const struct xha_ckpt *list, size_t n, uint32_t keep, uint32_t keep_age_s,
                     int64_t now_ms, bool *drop_r)
{
    uint32_t whole = 0;

    for (size_t i = 0; i < n; i++) {
        drop_r[i] = list[i].torn;
        if (list[i].torn)
            continue;
        if (whole > 0)
            drop_r[i] = (keep > 0 && whole >= keep) ||
                        (keep_age_s > 0 && now_ms - list[i].time_ms > (int64_t)keep_age_s * 1000);
        whole++;
    }
}

/* ---- verifying ---- */

static void sum_text(XXH128_hash_t h, char sum_r[XHA_CKPT_SUM_TEXT])
{
    snprintf(sum_r, XHA_CKPT_SUM_TEXT, "%016" PRIx64 "%016" PRIx64, (uint64_t)h.high64, (uint64_t)h.low64);
}

void xha_ckpt_sum_text(const struct XXH3_state_s *hash, char sum_r[XHA_CKPT_SUM_TEXT])
{
    sum_text(XXH3_128bits_digest(hash), sum_r);
}

void xha_ckpt_sum_bytes(const void *bytes, size_t len, char sum_r[XHA_CKPT_SUM_TEXT])
{
    sum_text(XXH3_128bits(bytes, len), sum_r);
}

/* 0, or -1 with errno. */
static int sum_file(int fd, char sum_r[XHA_CKPT_SUM_TEXT])
{
    enum { CHUNK = 1 << 18 };
    XHA_CLEANUP_FREE uint8_t *chunk = malloc(CHUNK);
    XXH3_state_t *hash = XXH3_createState();
    ssize_t n = -1;

    if (chunk && hash) {
        XXH3_128bits_reset(hash);
        while ((n = read(fd, chunk, CHUNK)) > 0 || (n < 0 && errno == EINTR))
            if (n > 0)
                XXH3_128bits_update(hash, chunk, (size_t)n);
        xha_ckpt_sum_text(hash, sum_r);
    }
    XXH3_freeState(hash);
    return n < 0 ? -1 : 0;
}

int xha_ckpt_verify(const char *dir, const struct xha_ckpt *ckpt, char *err, size_t err_len)
{
    XHA_CLEANUP_CLOSE int fd = -1;
    char path[PATH_MAX], sum[XHA_CKPT_SUM_TEXT];
    struct stat st;

    if (ckpt->torn) {
        snprintf(err, err_len, "%" PRIu64 ": its manifest is damaged", ckpt->number);
        return -1;
    }
    if (xha_ckpt_file(dir, ckpt, path, sizeof(path)) < 0)
        errno = ENAMETOOLONG;
    else
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        snprintf(err, err_len, "%" PRIu64 ": its file cannot be opened: %s", ckpt->number, strerror(errno));
    else if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != ckpt->bytes)
        snprintf(err, err_len, "%" PRIu64 ": its file has %jd bytes, not %" PRIu64, ckpt->number,
                 (intmax_t)st.st_size, ckpt->bytes);
    else if (sum_file(fd, sum) < 0)
        snprintf(err, err_len, "%" PRIu64 ": its file cannot be read: %s", ckpt->number, strerror(errno));
    else if (strcmp(sum, ckpt->sum) != 0)
        snprintf(err, err_len, "%" PRIu64 ": its checksum does not match", ckpt->number);
    else
        return 0;
    return -1;
}

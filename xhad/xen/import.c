/*
 * import.c - the verb import: a save file from elsewhere, one of stock xl's say, becomes the next checkpoint.
 */
#include "xhad/xen/checkpoints.h"
#include "xhad/xen/loader.h"
#include "xhad/xen/work.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include "xhad/base/uuid.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#define CHUNK (1 << 18)

/* Whose save it is. 0, or -1 with a text in err. */
static int check_owner(struct xha_work *w, const char *config, struct xha_ckpt *ckpt, char *err,
                       size_t err_len)
{
    json_t *json = json_loads(config, 0, NULL), *c_info = json_object_get(json, "c_info");
    const char *uuid = json_string_value(json_object_get(c_info, "uuid"));
    const char *name = json_string_value(json_object_get(c_info, "name"));
    int rc = -1;

    if (!uuid || !name || !xha_uuid_parse(uuid, &ckpt->uuid) || strlen(name) >= sizeof(ckpt->name)) {
        snprintf(err, err_len, "the configuration in it has no usable UUID and name");
    } else if (!xha_uuid_equal(&ckpt->uuid, &w->job.uuid)) {
        snprintf(err, err_len, "it was saved of a domain with another UUID, %s", uuid);
    } else {
        memcpy(ckpt->name, name, strlen(name) + 1);
        xha_ckpt_sum_bytes(config, strlen(config), ckpt->config_sum);
        rc = 0;
    }
    json_decref(json);
    return rc;
}

/* Copies and sums. 0, or -1 with errno. */
static int copy(int from, int to, struct xha_ckpt *ckpt)
{
    XHA_CLEANUP_FREE uint8_t *chunk = malloc(CHUNK);
    XXH3_state_t *hash = XXH3_createState();
    int rc = -1;
    ssize_t n = -1;

    if (chunk && hash) {
        XXH3_128bits_reset(hash);
        while ((n = read(from, chunk, CHUNK)) > 0 || (n < 0 && errno == EINTR && !xha_work_told_to_stop())) {
            if (n < 0)
                continue;
            if (xha_write_all(to, chunk, (size_t)n) < 0)
                break;
            XXH3_128bits_update(hash, chunk, (size_t)n);
            ckpt->bytes += (size_t)n;
        }
        xha_ckpt_sum_text(hash, ckpt->sum);
        rc = n == 0 ? fsync(to) : -1;
    }
    XXH3_freeState(hash);
    return rc;
}

static int copy_into_place(struct xha_work *w, int from, struct xha_ckpt *ckpt)
{
    XHA_CLEANUP_CLOSE int to = -1;
    const char *dir = w->job.checkpoint.dir;
    char path[PATH_MAX - 8], tmp[PATH_MAX];
    struct timespec now;

    if (xha_mkdir_p(dir, 0700) < 0)
        return -1;
    ckpt->number = xha_ckpt_clean(dir) + 1;
    if (xha_ckpt_file(dir, ckpt, path, sizeof(path)) < 0) {
        errno = ENAMETOOLONG;
        return -1;
    }
    snprintf(tmp, sizeof(tmp), "%s.tmp", path);
    to = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    clock_gettime(CLOCK_REALTIME, &now);
    ckpt->time_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    if (to >= 0 && copy(from, to, ckpt) == 0 && rename(tmp, path) == 0 && xha_sync_dir_of(path) == 0 &&
        xha_ckpt_commit(dir, ckpt) == 0)
        return 0;
    if (to >= 0) {
        int saved = errno;

        unlink(tmp);
        unlink(path);
        errno = saved;
    }
    return -1;
}

void xha_perform_import(struct xha_work *w)
{
    XHA_CLEANUP_CLOSE int fd = open(w->job.checkpoint.file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct xha_ckpt ckpt = { .imported = true };
    struct xha_loader *loader = NULL;
    char err[256], ignored[64];
    int rc;

    rc = xha_loader_open(w->job.checkpoint.file, &loader, err, sizeof(err));
    if (rc == 0)
        rc = check_owner(w, xha_loader_config(loader), &ckpt, err, sizeof(err));
    ckpt.zstd = loader && xha_loader_is_packed(loader);
    xha_loader_close(loader, ignored, sizeof(ignored));
    if (rc == 0 && (fd < 0 || copy_into_place(w, fd, &ckpt) < 0)) {
        snprintf(err, sizeof(err), "it cannot be copied to %.120s: %s", w->job.checkpoint.dir,
                 strerror(errno));
        rc = -1;
    }
    if (rc < 0) {
        xha_work_refuse(w, XHA_REFUSAL_OTHER, "%s is not taken for %s: %s", w->job.checkpoint.file, w->who,
                        err);
        return;
    }
    w->done.data = xha_ckpt_to_json(&ckpt);
    xha_work_ok(w, "%s is checkpoint %" PRIu64 " of %s now", w->job.checkpoint.file, ckpt.number, w->who);
}

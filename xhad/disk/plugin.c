/*
 * plugin.c - the nbdkit plugin "xha": a disk of a replicated guest, under the commit gate.
 *
 *   nbdkit -U SOCKET nbdkit-xha-plugin.so disk=/dev/vg/g1 state=DIR control=SOCKET
 *
 * nbdkit forks between get_ready and after_fork: what can fail does so before, threads begin after.
 */
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "xhad/disk/gated.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

static char *disk, *state, *control;
static struct xha_gated_conf conf;
static struct xha_gated *gated;

static int set_path(char **to, const char *value, bool is_disk)
{
    free(*to);
    *to = is_disk ? nbdkit_realpath(value) : nbdkit_absolute_path(value);
    return *to ? 0 : -1;
}

static int xha_config(const char *key, const char *value)
{
    int64_t n;

    if (strcmp(key, "disk") == 0)
        return set_path(&disk, value, true);
    if (strcmp(key, "state") == 0)
        return set_path(&state, value, false);
    if (strcmp(key, "control") == 0)
        return set_path(&control, value, false);
    n = nbdkit_parse_size(value);
    if (n < 0)
        return -1;
    if (strcmp(key, "region") == 0) {
        for (conf.region_shift = XHA_REGION_SHIFT_MIN; conf.region_shift < XHA_REGION_SHIFT_MAX;
             conf.region_shift++)
            if (n == INT64_C(1) << conf.region_shift)
                return 0;
        nbdkit_error("region must be a power of two from 4K to 512M");
        return -1;
    }
    if (strcmp(key, "journal") == 0) {
        conf.journal_bytes = (uint64_t)n;
        return 0;
    }
    if (strcmp(key, "rest") == 0) {
        conf.sweep_ms = n;
        return 0;
    }
    nbdkit_error("unknown parameter: %s", key);
    return -1;
}

static int xha_config_complete(void)
{
    if (disk && state && control)
        return 0;
    nbdkit_error("disk=, state= and control= must be said: see xha-disk(8)");
    return -1;
}

#define xha_config_help                                                                                      \
    "disk=PATH      the file or block device that holds this host's copy.\n"                                 \
    "state=DIR      where the journals and the map of this disk are kept.\n"                                 \
    "control=SOCKET where the replication of the guest talks to it.\n"                                       \
    "region=SIZE    of the map; default 1M.\n"                                                               \
    "journal=SIZE   of each of two; default 64M.\n"                                                          \
    "rest=MS        how long a region rests before it counts as the same on both hosts; default 5000."

static int xha_get_ready(void)
{
    char err[512];

    conf.disk = disk;
    conf.state = state;
    conf.socket = control;
    if (xha_gated_open(&conf, &gated, err, sizeof(err)) == 0)
        return 0;
    nbdkit_error("%s", err);
    return -1;
}

static int xha_after_fork(void)
{
    if (xha_gated_start(gated) == 0)
        return 0;
    nbdkit_error("%s: %m", control);
    return -1;
}

static void xha_cleanup(void)
{
    xha_gated_close(gated);
    gated = NULL;
}

static void xha_unload(void)
{
    xha_gated_close(gated);
    free(disk);
    free(state);
    free(control);
}

static void *xha_open(int readonly)
{
    (void)readonly;
    return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t xha_get_size(void *handle)
{
    (void)handle;
    return (int64_t)xha_gated_size(gated);
}

static int yes(void *handle)
{
    (void)handle;
    return 1;
}

static int can_fua(void *handle)
{
    (void)handle;
    return NBDKIT_FUA_NATIVE;
}

static int xha_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle;
    (void)flags;
    return xha_gated_read(gated, buf, count, offset);
}

static int xha_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle;
    return xha_gated_write(gated, buf, count, offset, flags & NBDKIT_FLAG_FUA);
}

static int xha_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
    (void)handle;
    return xha_gated_zero(gated, count, offset, flags & NBDKIT_FLAG_FUA);
}

static int xha_flush(void *handle, uint32_t flags)
{
    (void)handle;
    (void)flags;
    return xha_gated_flush(gated);
}

static struct nbdkit_plugin plugin = {
    .name = "xha",
    .longname = "xhad disk gate",
    .description = "a disk of a replicated guest, under the commit gate of xhad",
    .unload = xha_unload,
    .config = xha_config,
    .config_complete = xha_config_complete,
    .config_help = xha_config_help,
    .get_ready = xha_get_ready,
    .after_fork = xha_after_fork,
    .cleanup = xha_cleanup,
    .open = xha_open,
    .get_size = xha_get_size,
    .can_write = yes,
    .can_flush = yes,
    .can_fua = can_fua,
    .can_zero = yes,
    .can_multi_conn = yes,
    .pread = xha_pread,
    .pwrite = xha_pwrite,
    .zero = xha_zero,
    .flush = xha_flush,
    .errno_is_preserved = 1,
};

struct nbdkit_plugin *plugin_init(void); /* nbdkit's name for it */
NBDKIT_REGISTER_PLUGIN(plugin)

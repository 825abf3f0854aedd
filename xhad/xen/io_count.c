/*
 * io_count.c - see io_count.h.
 */
#include "xhad/xen/io_count.h"
#include "xhad/base/file.h"
#include "xhad/base/observe.h"
#include "xhad/base/cleanup.h"

#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* A counter in a file of sysfs: digits and a newline. 0 when it is not there: the device may have just gone.
 */
static uint64_t read_count(const char *path)
{
    XHA_CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    char text[32];
    uint64_t count = 0;
    ssize_t n;

    if (fd < 0)
        return 0;
    n = read(fd, text, sizeof(text));
    if (n > 0 && text[n - 1] == '\n')
        n--;
    if (n > 0)
        xha_obs_beat_parse(text, (size_t)n, &count);
    return count;
}

static uint64_t sum(const char *sysfs, const char *pattern, int32_t domid)
{
    char path[PATH_MAX];
    glob_t g = { 0 };
    uint64_t total = 0;
    int n;

    n = snprintf(path, sizeof(path), "%s", sysfs);
    if (n < 0 || (size_t)n + strlen(pattern) + 16 > sizeof(path))
        return 0;
    for (char *p = path + n; *pattern != '\0'; pattern++) /* '@' stands for the domid */
        p += *pattern == '@' ? sprintf(p, "%" PRId32, domid) : sprintf(p, "%c", *pattern);
    if (glob(path, GLOB_NOSORT, NULL, &g) == 0)
        for (size_t i = 0; i < g.gl_pathc; i++)
            total += read_count(g.gl_pathv[i]);
    globfree(&g);
    return total;
}

uint64_t xha_io_count(const char *sysfs, int32_t domid)
{
    /* rd_req, wr_req, f_req (flushes), ds_req (discards); oo_req is left out: those were not served. */
    return sum(sysfs, "/bus/xen-backend/devices/vbd-@-*/statistics/[rwfd]*_req", domid) +
           sum(sysfs, "/class/net/vif@.*/statistics/rx_packets", domid);
}

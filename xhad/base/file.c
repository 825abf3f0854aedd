/*
 * file.c - whole files: bounded reads, atomic writes.
 */
#include "xhad/base/file.h"
#include "xhad/base/cleanup.h"
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

int xha_file_read(const char *path, size_t max, char **data_r, size_t *len_r)
{
    XHA_CLEANUP_CLOSE int fd = -1;
    XHA_CLEANUP_FREE char *data = NULL;
    struct stat st;
    size_t len = 0;

    *data_r = NULL;
    *len_r = 0;
    /* Not blocked by a FIFO that somebody left in a directory of ours. */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -1;
    if (!S_ISREG(st.st_mode)) {
        errno = EINVAL;
        return -1;
    }
    if ((uintmax_t)st.st_size > max) {
        errno = EFBIG;
        return -1;
    }
    data = malloc((size_t)st.st_size + 1);
    if (!data)
        return -1;
    while (len < (size_t)st.st_size) {
        ssize_t r = read(fd, data + len, (size_t)st.st_size - len);

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -1;
        if (r == 0)
            break;
        len += (size_t)r;
    }
    data[len] = '\0';
    *data_r = xha_steal_ptr(data);
    *len_r = len;
    return 0;
}

int xha_write_all(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t r = write(fd, p, len);

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -1;
        p += r;
        len -= (size_t)r;
    }
    return 0;
}

int xha_sync_dir_of(const char *path)
{
    XHA_CLEANUP_CLOSE int fd = -1;
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;

    if (len >= sizeof dir) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(dir, path, len);
    dir[len] = '\0';
    fd = open(!slash ? "." : len ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    return fsync(fd);
}

static int write_synced(const char *path, mode_t mode, const void *data, size_t len)
{
    XHA_CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);

    if (fd < 0 || fchmod(fd, mode) < 0 || xha_write_all(fd, data, len) < 0)
        return -1;
    return fsync(fd);
}

int xha_file_write(const char *path, mode_t mode, const void *data, size_t len)
{
    char tmp[PATH_MAX];
    int r = snprintf(tmp, sizeof tmp, "%s.tmp", path);

    if (r < 0 || (size_t)r >= sizeof tmp) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (write_synced(tmp, mode, data, len) < 0 || rename(tmp, path) < 0) {
        int saved = errno;

        unlink(tmp);
        errno = saved;
        return -1;
    }
    return xha_sync_dir_of(path);
}

int xha_mkdir_p(const char *path, mode_t mode)
{
    char part[PATH_MAX];
    size_t len = strlen(path);

    if (len == 0 || len >= sizeof part) {
        errno = len ? ENAMETOOLONG : ENOENT;
        return -1;
    }
    memcpy(part, path, len + 1);
    for (char *p = part + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(part, mode) < 0 && errno != EEXIST)
            return -1;
        *p = '/';
    }
    return mkdir(part, mode) < 0 && errno != EEXIST ? -1 : 0;
}

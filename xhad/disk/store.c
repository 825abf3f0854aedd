/*
 * store.c - see store.h.
 */
#include "xhad/disk/store.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define ZEROS (64u << 10)

int xha_store_read(int fd, void *bytes, size_t len, uint64_t offset)
{
    uint8_t *to = bytes;

    while (len > 0) {
        const ssize_t n = pread(fd, to, len, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n == 0 ? EIO : errno;
            return -1;
        }
        to += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

int xha_store_write(int fd, const void *bytes, size_t len, uint64_t offset)
{
    const uint8_t *from = bytes;

    while (len > 0) {
        const ssize_t n = pwrite(fd, from, len, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        from += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

int xha_store_zero(int fd, uint64_t len, uint64_t offset)
{
    static const uint8_t zeros[ZEROS];

    if (len == 0 || fallocate(fd, FALLOC_FL_ZERO_RANGE, (off_t)offset, (off_t)len) == 0)
        return 0;
    if (errno != EOPNOTSUPP && errno != EINVAL && errno != ENODEV) /* EINVAL: not in whole sectors */
        return -1;
    while (len > 0) {
        const size_t part = len < ZEROS ? (size_t)len : ZEROS;

        if (xha_store_write(fd, zeros, part, offset) < 0)
            return -1;
        offset += part;
        len -= part;
    }
    return 0;
}

int xha_store_size(int fd, uint64_t *size_r)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -1;
    if (S_ISBLK(st.st_mode))
        return ioctl(fd, BLKGETSIZE64, size_r);
    if (!S_ISREG(st.st_mode)) {
        errno = EINVAL;
        return -1;
    }
    *size_r = (uint64_t)st.st_size;
    return 0;
}

/*
 * disk.c - what both ends of disk.h need: which disks, their bytes and holes, their sum.
 */
#include "xhad/move/disk.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/text.h"
#include "xhad/move/bytes.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <xxhash.h>

#define PIECE (256u << 10)

/* ---- which ---- */

static const char *word(const json_t *disk, const char *key)
{
    const char *s = json_string_value(json_object_get(disk, key));

    return s ? s : "";
}

static bool is_true(const json_t *disk, const char *key)
{
    const json_t *v = json_object_get(disk, key);

    return json_is_true(v) || json_integer_value(v) != 0;
}

/* Why this one cannot be copied; NULL: it can. */
static const char *cannot_copy(const json_t *disk)
{
    const char *format = word(disk, "format"), *path = word(disk, "pdev_path");

    if (format[0] != '\0' && strcmp(format, "raw") != 0)
        return "it is no raw image: only raw files and block devices are copied";
    if (word(disk, "script")[0] != '\0')
        return "it is attached by a script, which alone knows where its bytes are";
    if (path[0] != '/' || strlen(path) >= PATH_MAX - 16)
        return "it has no absolute path";
    return NULL;
}

int xha_disk_list(const json_t *config, struct xha_disk **disks_r, size_t *n_r, char *err, size_t err_len)
{
    const json_t *all = json_object_get(config, "disks"), *disk;
    XHA_CLEANUP_FREE struct xha_disk *list = calloc(json_array_size(all) + 1, sizeof(*list));
    size_t i, n = 0;

    if (!list || json_array_size(all) > XHA_DISKS_MAX) {
        snprintf(err, err_len, "it has too many disks");
        return -1;
    }
    json_array_foreach(all, i, disk)
    {
        const char *why = cannot_copy(disk);
        char vdev[64];

        if (!is_true(disk, "readwrite") || is_true(disk, "is_cdrom"))
            continue;
        if (why) {
            snprintf(err, err_len, "its disk %s cannot be copied: %s",
                     xha_text_escape(vdev, sizeof(vdev), word(disk, "vdev")), why);
            return -1;
        }
        snprintf(list[n++].path, PATH_MAX, "%s", word(disk, "pdev_path"));
    }
    *n_r = n;
    *disks_r = xha_steal_ptr(list);
    return 0;
}

/* ---- bytes and holes ---- */

int xha_disk_open(const char *path, bool writes, enum xha_disk_kind *kind_r, uint64_t *size_r,
                  uint32_t *mode_r, char *err, size_t err_len)
{
    XHA_CLEANUP_CLOSE int fd = open(path, (writes ? O_RDWR | O_EXCL : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        snprintf(err, err_len, "%.150s cannot be opened: %s", path,
                 errno == EBUSY ? "it is in use on this host" : strerror(errno));
        return -1;
    }
    *mode_r = st.st_mode & 07777;
    *size_r = (uint64_t)st.st_size;
    *kind_r = S_ISBLK(st.st_mode) ? XHA_DISK_BLOCK : XHA_DISK_FILE;
    if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode)) {
        snprintf(err, err_len, "%.150s is neither a file nor a block device", path);
        return -1;
    }
    if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, size_r) < 0) {
        snprintf(err, err_len, "%.150s does not tell its size: %s", path, strerror(errno));
        return -1;
    }
    return xha_steal_fd(&fd);
}

/* The next range that may hold something, from at on; false: nothing more. */
static bool next_range(int fd, uint64_t size, uint64_t at, uint64_t *from_r, uint64_t *to_r)
{
    off_t from = lseek(fd, (off_t)at, SEEK_DATA), to;

    if (from < 0 && errno == ENXIO)
        return false;
    if (from < 0) { /* it knows of no holes */
        *from_r = at;
        *to_r = size;
        return at < size;
    }
    to = lseek(fd, from, SEEK_HOLE);
    *from_r = (uint64_t)from & ~(uint64_t)(XHA_PAGE_BYTES - 1);
    if (*from_r < at)
        *from_r = at;
    *to_r = to < 0 || (uint64_t)to > size ? size : (uint64_t)to;
    return *from_r < size;
}

static int walk_range(int fd, uint64_t from, uint64_t to, uint8_t *bytes, xha_disk_piece_cb piece, void *arg)
{
    while (from < to) {
        const size_t len = to - from < PIECE ? (size_t)(to - from) : PIECE;
        size_t have = 0;
        int r;

        while (have < len) {
            const ssize_t n = pread(fd, bytes + have, len - have, (off_t)(from + have));

            if (n < 0 && errno == EINTR)
                continue;
            if (n == 0)
                errno = EIO; /* it has shrunk */
            if (n <= 0)
                return -1;
            have += (size_t)n;
        }
        r = piece(arg, from, bytes, len);
        if (r != 0)
            return r;
        from += len;
    }
    return 0;
}

int xha_disk_walk(int fd, uint64_t size, xha_disk_piece_cb piece, void *arg)
{
    XHA_CLEANUP_FREE uint8_t *bytes = malloc(PIECE);
    uint64_t at = 0, from, to;
    int r = bytes ? 0 : -1;

    while (r == 0 && next_range(fd, size, at, &from, &to)) {
        if (to < size) /* pieces are whole pages, but for the last */
            to = (to + XHA_PAGE_BYTES - 1) & ~(uint64_t)(XHA_PAGE_BYTES - 1);
        if (to > size)
            to = size;
        r = walk_range(fd, from, to, bytes, piece, arg);
        at = to;
    }
    return r;
}

/* ---- the sum ---- */

struct xha_disk_sum {
    XXH3_state_t *hash;
};

struct xha_disk_sum *xha_disk_sum_new(void)
{
    struct xha_disk_sum *sum = calloc(1, sizeof(*sum));

    if (sum && !(sum->hash = XXH3_createState())) {
        free(sum);
        return NULL;
    }
    if (sum)
        XXH3_128bits_reset(sum->hash);
    return sum;
}

static bool all_zero(const uint8_t *bytes, size_t len)
{
    return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

/* Pages that hold something, each with its place: a hole and zeros are the same. */
void xha_disk_sum_add(struct xha_disk_sum *sum, uint64_t offset, const uint8_t *bytes, size_t len)
{
    for (size_t at = 0; at < len; at += XHA_PAGE_BYTES) {
        const size_t n = len - at < XHA_PAGE_BYTES ? len - at : XHA_PAGE_BYTES;
        uint8_t place[8];

        if (all_zero(bytes + at, n))
            continue;
        xha_put64(place, offset + at);
        XXH3_128bits_update(sum->hash, place, sizeof(place));
        XXH3_128bits_update(sum->hash, bytes + at, n);
    }
}

void xha_disk_sum_end(struct xha_disk_sum *sum, uint64_t size, uint8_t sum_r[XHA_DISK_SUM_BYTES])
{
    XXH128_canonical_t canonical;
    uint8_t bytes[8];

    xha_put64(bytes, size);
    XXH3_128bits_update(sum->hash, bytes, sizeof(bytes));
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(sum->hash));
    memcpy(sum_r, canonical.digest, XHA_DISK_SUM_BYTES);
    XXH3_freeState(sum->hash);
    free(sum);
}

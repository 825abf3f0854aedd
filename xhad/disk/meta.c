/*
 * meta.c - see meta.h.
 */
#include "xhad/disk/meta.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include "xhad/move/bytes.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <xxhash.h>

#define SUMMED    (XHA_META_BYTES - 8)
#define MAP_AT    (2 * XHA_META_SLOT)
#define VERSION   1u
#define SIZE_MAX_ (UINT64_C(1) << 50)

static const char magic[8] = "xhaddisk";

/* ---- magic 8, version u32, role u32, number u64, size u64, shift u32, zero u32, base 16, held u64, cleared u64,
 * zero 16, sum u64 */

void xha_meta_put(const struct xha_meta *meta, uint8_t bytes[XHA_META_BYTES])
{
    memset(bytes, 0, XHA_META_BYTES);
    memcpy(bytes, magic, sizeof(magic));
    xha_put32(bytes + 8, VERSION);
    xha_put32(bytes + 12, (uint32_t)meta->role);
    xha_put64(bytes + 16, meta->number);
    xha_put64(bytes + 24, meta->size);
    xha_put32(bytes + 32, meta->region_shift);
    memcpy(bytes + 40, meta->base, sizeof(meta->base));
    xha_put64(bytes + 56, meta->held);
    xha_put64(bytes + 64, meta->cleared);
    xha_put64(bytes + SUMMED, XXH3_64bits(bytes, SUMMED));
}

bool xha_meta_get(const uint8_t bytes[XHA_META_BYTES], struct xha_meta *meta_r)
{
    const uint32_t role = xha_get32(bytes + 12), shift = xha_get32(bytes + 32);

    if (memcmp(bytes, magic, sizeof(magic)) != 0 || xha_get64(bytes + SUMMED) != XXH3_64bits(bytes, SUMMED))
        return false;
    if (xha_get32(bytes + 8) != VERSION || role == 0 || role >= XHA_DISK_ROLE_N_ ||
        shift < XHA_REGION_SHIFT_MIN || shift > XHA_REGION_SHIFT_MAX || xha_get64(bytes + 24) > SIZE_MAX_)
        return false;
    *meta_r = (struct xha_meta){
        .number = xha_get64(bytes + 16),
        .size = xha_get64(bytes + 24),
        .region_shift = shift,
        .role = (enum xha_disk_role)role,
        .held = xha_get64(bytes + 56),
        .cleared = xha_get64(bytes + 64),
    };
    memcpy(meta_r->base, bytes + 40, sizeof(meta_r->base));
    return true;
}

const char *xha_disk_role_word(enum xha_disk_role role)
{
    static const char *const words[] = { "?", "current", "protected", "standby", "syncing" };

    return role < XHA_DISK_ROLE_N_ ? words[role] : words[0];
}

bool xha_meta_match(const struct xha_meta *a, const struct xha_meta *b)
{
    return xha_meta_has_base(a) && memcmp(a->base, b->base, sizeof(a->base)) == 0 &&
           a->region_shift == b->region_shift && a->cleared <= b->held && b->cleared <= a->held;
}

/* ---- in a file ---- */

static int write_at(int fd, const uint8_t *bytes, size_t len, uint64_t at)
{
    while (len > 0) {
        const ssize_t n = pwrite(fd, bytes, len, (off_t)at);

        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
            at += (uint64_t)n;
        }
    }
    return 0;
}

int xha_meta_write(struct xha_meta_file *file)
{
    uint8_t bytes[XHA_META_BYTES];

    file->meta.number++;
    xha_meta_put(&file->meta, bytes);
    if (write_at(file->fd, bytes, sizeof(bytes), file->meta.number % 2 * XHA_META_SLOT) < 0)
        return -1;
    return fdatasync(file->fd);
}

int xha_meta_write_map(struct xha_meta_file *file)
{
    const uint64_t pages = xha_map_pages(file->map);
    uint8_t bytes[XHA_MAP_PAGE];
    bool any = false;

    for (uint64_t p = xha_map_stale(file->map, 0); p < pages;
         p = xha_map_stale(file->map, p + 1), any = true) {
        xha_map_page_put(file->map, p, bytes);
        if (write_at(file->fd, bytes, sizeof(bytes), MAP_AT + p * XHA_MAP_PAGE) < 0)
            return -1;
    }
    return any ? fdatasync(file->fd) : 0;
}

/* The newest whole slot. */
static bool read_slots(int fd, struct xha_meta *meta_r)
{
    uint8_t bytes[XHA_META_BYTES];
    struct xha_meta meta;
    bool found = false;

    for (int slot = 0; slot < 2; slot++) {
        if (pread(fd, bytes, sizeof(bytes), slot * XHA_META_SLOT) != (ssize_t)sizeof(bytes) ||
            !xha_meta_get(bytes, &meta) || (found && meta.number < meta_r->number))
            continue;
        *meta_r = meta;
        found = true;
    }
    return found;
}

static void read_map(struct xha_meta_file *file)
{
    uint8_t bytes[XHA_MAP_PAGE];

    for (uint64_t p = 0; p < xha_map_pages(file->map); p++) {
        const ssize_t n = pread(file->fd, bytes, sizeof(bytes), (off_t)(MAP_AT + p * XHA_MAP_PAGE));

        if (n < (ssize_t)sizeof(bytes))
            memset(bytes, 0, sizeof(bytes)); /* damaged, that is */
        xha_map_page_add(file->map, p, bytes);
    }
}

static int begin(struct xha_meta_file *file, uint64_t size, unsigned region_shift)
{
    file->meta = (struct xha_meta){ .size = size, .region_shift = region_shift, .role = XHA_DISK_CURRENT };
    /* Both slots, so that one that is torn later leaves a whole one. */
    return xha_meta_write(file) < 0 ? -1 : xha_meta_write(file);
}

static int load(struct xha_meta_file *file, const char *path, uint64_t size, unsigned region_shift, char *err,
                size_t err_len)
{
    struct stat st;

    if (!read_slots(file->fd, &file->meta)) {
        if (fstat(file->fd, &st) < 0 || st.st_size > XHA_META_SLOT + XHA_META_BYTES || size == 0) {
            snprintf(err, err_len,
                     "%s is damaged: if this host's copy of the disk is the right one, remove the file; "
                     "its backup is copied whole then",
                     path);
            return -1;
        }
        if (begin(file, size, region_shift) < 0 || xha_sync_dir_of(path) < 0) {
            snprintf(err, err_len, "%s cannot be written: %s", path, strerror(errno));
            return -1;
        }
    }
    if (size != 0 && file->meta.size != size) {
        snprintf(err, err_len,
                 "%s is of a disk of %" PRIu64 " bytes, and this one has %" PRIu64
                 ": is it the right one? If it was grown, remove the file",
                 path, file->meta.size, size);
        return -1;
    }
    file->map = xha_map_new(file->meta.size, file->meta.region_shift);
    if (!file->map) {
        snprintf(err, err_len, "out of memory");
        return -1;
    }
    read_map(file);
    return 0;
}

int xha_meta_open(const char *dir, uint64_t size, unsigned region_shift, struct xha_meta_file *file_r,
                  char *err, size_t err_len)
{
    struct xha_meta_file file = { .fd = -1 };
    char path[PATH_MAX];

    if ((size_t)snprintf(path, sizeof(path), "%s/meta", dir) >= sizeof(path)) {
        snprintf(err, err_len, "the name of the state directory is too long");
        return -1;
    }
    file.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file.fd < 0 || flock(file.fd, LOCK_EX | LOCK_NB) < 0) {
        snprintf(err, err_len, "%s: %s", path,
                 errno == EWOULDBLOCK ? "another process has this disk" : strerror(errno));
    } else if (load(&file, path, size, region_shift, err, err_len) == 0) {
        *file_r = file;
        return 0;
    }
    if (file.fd >= 0)
        close(file.fd);
    return -1;
}

void xha_meta_close(struct xha_meta_file *file)
{
    if (file->fd >= 0)
        close(xha_steal_fd(&file->fd));
    xha_map_free(file->map);
    file->map = NULL;
}

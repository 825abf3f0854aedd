/*
 * loader.c - see loader.h. An unpacked file is handed to libxl as it is, as xl does; a packed one goes
 * through a thread and a pipe.
 */
#include "xhad/xen/loader.h"
#include "xhad/xen/save_header.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#define CHUNK (1 << 17)

struct xha_loader {
    int fd;
    bool packed;
    uint8_t *optional; /* of the header */
    const char *config;

    ZSTD_DCtx *zstd;
    uint8_t *in_bytes;
    ZSTD_inBuffer in;
    size_t frame_left; /* 0: a frame has ended */

    int read_fd, write_fd; /* of the pipe */
    pthread_t feeder;
    bool feeding;
    const char *damage; /* of the packed stream; NULL: none found */
};

/* Some bytes of a packed file; fewer than len only at its end. -1: damaged or unreadable, see damage. */
static ssize_t unpack(struct xha_loader *l, void *to, size_t len)
{
    ZSTD_outBuffer out = { .dst = to, .size = len };

    while (out.pos < out.size) {
        if (l->in.pos == l->in.size) {
            ssize_t n = read(l->fd, l->in_bytes, CHUNK);

            if (n < 0 && errno == EINTR)
                continue;
            if (n < 0 || (n == 0 && l->frame_left != 0)) {
                l->damage = n < 0 ? "it cannot be read to its end" : "it ends too early";
                return -1;
            }
            if (n == 0)
                break;
            l->in = (ZSTD_inBuffer){ .src = l->in_bytes, .size = (size_t)n };
        }
        l->frame_left = ZSTD_decompressStream(l->zstd, &out, &l->in);
        if (ZSTD_isError(l->frame_left)) {
            l->damage = "its compressed data is damaged";
            return -1;
        }
    }
    return (ssize_t)out.pos;
}

static ssize_t read_plain(int fd, void *to, size_t len)
{
    size_t have = 0;

    while (have < len) {
        ssize_t n = read(fd, (char *)to + have, len - have);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

static int read_exactly(struct xha_loader *l, void *to, size_t len, char *err, size_t err_len)
{
    ssize_t n = l->packed ? unpack(l, to, len) : read_plain(l->fd, to, len);

    if (n == (ssize_t)len)
        return 0;
    snprintf(err, err_len, "%s",
             l->damage ? l->damage
             : n < 0   ? strerror(errno)
                       : "it ends within its header");
    return -1;
}

static int read_header(struct xha_loader *l, char *err, size_t err_len)
{
    uint8_t fixed[XHA_SAVE_FIXED];
    uint32_t len;

    if (read_exactly(l, fixed, sizeof(fixed), err, err_len) < 0 ||
        xha_save_header_check(fixed, &len, err, err_len) < 0)
        return -1;
    l->optional = malloc(len);
    if (!l->optional) {
        snprintf(err, err_len, "out of memory");
        return -1;
    }
    if (read_exactly(l, l->optional, len, err, err_len) < 0)
        return -1;
    l->config = xha_save_header_config(l->optional, len, err, err_len);
    return l->config ? 0 : -1;
}

static int open_file(struct xha_loader *l, const char *path, char *err, size_t err_len)
{
    static const uint8_t zstd_magic[4] = { 0x28, 0xb5, 0x2f, 0xfd };
    uint8_t begin[sizeof(zstd_magic)];
    struct stat st;

    l->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (l->fd < 0 || fstat(l->fd, &st) < 0) {
        snprintf(err, err_len, "it cannot be opened: %s", strerror(errno));
        return -1;
    }
    if (!S_ISREG(st.st_mode)) {
        snprintf(err, err_len, "it is no file");
        return -1;
    }
    l->packed = pread(l->fd, begin, sizeof(begin), 0) == sizeof(begin) &&
                memcmp(begin, zstd_magic, sizeof(begin)) == 0;
    if (!l->packed)
        return 0;
    l->zstd = ZSTD_createDCtx();
    l->in_bytes = malloc(CHUNK);
    if (l->zstd && l->in_bytes)
        return 0;
    snprintf(err, err_len, "out of memory");
    return -1;
}

int xha_loader_open(const char *path, struct xha_loader **loader_r, char *err, size_t err_len)
{
    struct xha_loader *l = calloc(1, sizeof(*l));

    *loader_r = NULL;
    if (!l) {
        snprintf(err, err_len, "out of memory");
        return -1;
    }
    l->fd = l->read_fd = l->write_fd = -1;
    if (open_file(l, path, err, err_len) < 0 || read_header(l, err, err_len) < 0) {
        char ignored[1];

        xha_loader_close(l, ignored, sizeof(ignored));
        return -1;
    }
    *loader_r = l;
    return 0;
}

const char *xha_loader_config(const struct xha_loader *loader)
{
    return loader->config;
}

bool xha_loader_is_packed(const struct xha_loader *loader)
{
    return loader->packed;
}

static void *feed(void *arg)
{
    XHA_CLEANUP_FREE uint8_t *bytes = malloc(CHUNK);
    struct xha_loader *l = arg;
    ssize_t n = -1;

    if (!bytes)
        l->damage = "there was no memory to unpack it";
    while (bytes && (n = unpack(l, bytes, CHUNK)) > 0)
        if (xha_write_all(l->write_fd, bytes, (size_t)n) < 0)
            break; /* libxl has read enough, or given up */
    close(l->write_fd);
    return NULL;
}

int xha_loader_stream(struct xha_loader *l)
{
    sigset_t all, before;
    int fds[2], r;

    if (!l->packed)
        return l->fd;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -1;
    l->read_fd = fds[0];
    l->write_fd = fds[1];
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&l->feeder, NULL, feed, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r) {
        close(l->write_fd);
        errno = r;
        return -1;
    }
    l->feeding = true;
    return l->read_fd;
}

int xha_loader_close(struct xha_loader *l, char *err, size_t err_len)
{
    int rc;

    if (!l)
        return 0;
    if (l->read_fd >= 0)
        close(l->read_fd); /* ends the feeder, wherever it is */
    if (l->feeding)
        pthread_join(l->feeder, NULL);
    if (l->fd >= 0)
        close(l->fd);
    rc = l->damage ? -1 : 0;
    if (rc < 0)
        snprintf(err, err_len, "%s", l->damage);
    ZSTD_freeDCtx(l->zstd);
    free(l->in_bytes);
    free(l->optional);
    free(l);
    return rc;
}

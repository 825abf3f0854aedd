/*
 * journal.c - framing, checking, appending and compacting of the journal file.
 */
#include "xhad/ctl/journal.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#define SUM_LEN        16
#define FILE_BYTES_MAX ((size_t)1024 * 1024 * 1024)

struct xha_journal {
    int fd;
    size_t bytes;     /* good ones: the next record begins here */
    bool tail_unsure; /* an append failed and could not be undone: cut before the next */
    char path[PATH_MAX];
};

/* Frames a text; the caller frees. NULL without memory. */
static char *frame(const char *text, size_t len, size_t *framed_len_r)
{
    char *out = malloc(len + SUM_LEN + 32);
    int head;

    if (!out)
        return NULL;
    head = sprintf(out + SUM_LEN, " %zu ", len);
    memcpy(out + SUM_LEN + head, text, len);
    out[SUM_LEN + (size_t)head + len] = '\n';
    *framed_len_r = SUM_LEN + (size_t)head + len + 1;
    {
        char sum[SUM_LEN + 1];

        snprintf(sum, sizeof sum, "%016" PRIx64,
                 (uint64_t)XXH3_64bits(out + SUM_LEN, *framed_len_r - SUM_LEN));
        memcpy(out, sum, SUM_LEN);
    }
    return out;
}

/* Takes the record at data. Its framed length, or 0 when there is no whole good record. */
static size_t unframe(const char *data, size_t len, const char **text_r, size_t *text_len_r)
{
    char sum[SUM_LEN + 1];
    size_t at = SUM_LEN + 1, n = 0;

    if (len < SUM_LEN + 4 || data[SUM_LEN] != ' ' || data[at] < '0' || data[at] > '9')
        return 0;
    while (at < len && data[at] >= '0' && data[at] <= '9' && n <= XHA_JOURNAL_RECORD_MAX)
        n = n * 10 + (size_t)(data[at++] - '0');
    if (n > XHA_JOURNAL_RECORD_MAX || at + 1 + n + 1 > len || data[at] != ' ' || data[at + 1 + n] != '\n')
        return 0;
    at++;
    snprintf(sum, sizeof sum, "%016" PRIx64, (uint64_t)XXH3_64bits(data + SUM_LEN, at + n + 1 - SUM_LEN));
    if (memcmp(sum, data, SUM_LEN) != 0)
        return 0;
    *text_r = data + at;
    *text_len_r = n;
    return at + n + 1;
}

/* Whether a good record begins at any line after the first byte: then what comes before it is no torn tail.
 */
static bool good_record_after(const char *data, size_t len)
{
    const char *text;
    size_t text_len;

    for (const char *p = memchr(data, '\n', len); p; p = memchr(p, '\n', len - (size_t)(p - data))) {
        p++;
        if (unframe(p, len - (size_t)(p - data), &text, &text_len))
            return true;
    }
    return false;
}

static int damaged(const char *path, size_t at, char *err, size_t err_len)
{
    snprintf(
        err, err_len,
        "%s: damaged at byte %zu, with good records after it. This is no torn end but a fault of the disk or "
        "an edit. Restore the file from a backup, or move it away to begin anew: xhad then finds the running "
        "domains and protects those of the policy directory again",
        path, at);
    return -1;
}

static int read_all(struct xha_journal *j, xha_journal_read_cb *read, void *user, size_t *cut_r, char *err,
                    size_t err_len)
{
    XHA_CLEANUP_FREE char *data = NULL;
    size_t len, at = 0;

    if (xha_file_read(j->path, FILE_BYTES_MAX, &data, &len) < 0) {
        snprintf(err, err_len, "%s: cannot be read: %s", j->path, strerror(errno));
        return -1;
    }
    while (at < len) {
        const char *text;
        size_t text_len, n = unframe(data + at, len - at, &text, &text_len);

        if (!n)
            break;
        if (!read(user, text, text_len)) {
            snprintf(
                err, err_len,
                "%s: the record at byte %zu is whole but not understood: it is of another release of xhad",
                j->path, at);
            return -1;
        }
        at += n;
    }
    if (at < len && good_record_after(data + at, len - at))
        return damaged(j->path, at, err, err_len);
    if (at < len && ftruncate(j->fd, (off_t)at) < 0) {
        snprintf(err, err_len, "%s: its torn end cannot be cut off: %s", j->path, strerror(errno));
        return -1;
    }
    *cut_r = len - at;
    j->bytes = at;
    return 0;
}

/* Blocks beyond the end, so that a full disk does not stop a recovery. Where it cannot be done, then not. */
static void reserve(const struct xha_journal *j)
{
    (void)fallocate(j->fd, FALLOC_FL_KEEP_SIZE, (off_t)j->bytes, 2 * XHA_JOURNAL_RESERVE);
}

static int open_file(const char *path)
{
    return open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

int xha_journal_open(const char *path, xha_journal_read_cb *read, void *user, struct xha_journal **journal_r,
                     size_t *cut_r, char *err, size_t err_len)
{
    struct xha_journal *j = calloc(1, sizeof *j);

    if (!j || strlen(path) >= sizeof j->path) {
        snprintf(err, err_len, "%s: %s", path, j ? "path too long" : "no memory");
        free(j);
        return -1;
    }
    strcpy(j->path, path);
    j->fd = open_file(path);
    if (j->fd < 0 || xha_sync_dir_of(path) < 0) {
        snprintf(err, err_len, "%s: cannot be opened: %s", path, strerror(errno));
        xha_journal_close(j);
        return -1;
    }
    if (read_all(j, read, user, cut_r, err, err_len) < 0) {
        xha_journal_close(j);
        return -1;
    }
    reserve(j);
    *journal_r = j;
    return 0;
}

void xha_journal_close(struct xha_journal *j)
{
    if (!j)
        return;
    if (j->fd >= 0)
        close(j->fd);
    free(j);
}

static int write_at(int fd, const char *data, size_t len, size_t at)
{
    while (len > 0) {
        ssize_t r = pwrite(fd, data, len, (off_t)at);

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -1;
        data += r;
        at += (size_t)r;
        len -= (size_t)r;
    }
    return fdatasync(fd);
}

int xha_journal_append(struct xha_journal *j, const char *text, size_t len)
{
    size_t n;
    XHA_CLEANUP_FREE char *data = frame(text, len, &n);

    if (!data)
        return -1;
    if (j->tail_unsure && ftruncate(j->fd, (off_t)j->bytes) < 0)
        return -1;
    j->tail_unsure = false;
    if (write_at(j->fd, data, n, j->bytes) < 0) {
        int saved = errno;

        j->tail_unsure = ftruncate(j->fd, (off_t)j->bytes) < 0;
        reserve(j);
        errno = saved;
        return -1;
    }
    /* One request to the filesystem per reserve, not per record: at least one reserve is always ahead. */
    if (j->bytes / XHA_JOURNAL_RESERVE != (j->bytes + n) / XHA_JOURNAL_RESERVE) {
        j->bytes += n;
        reserve(j);
    } else {
        j->bytes += n;
    }
    return 0;
}

/* The new file is open and complete before it takes the name: there is no way back to half a journal. */
static int write_aside(const char *tmp, const char *data, size_t len)
{
    XHA_CLEANUP_CLOSE int fd = open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0 || write_at(fd, data, len, 0) < 0 || fsync(fd) < 0)
        return -1;
    return xha_steal_fd(&fd);
}

int xha_journal_compact(struct xha_journal *j, const char *text, size_t len)
{
    char tmp[PATH_MAX + 8];
    size_t n;
    XHA_CLEANUP_FREE char *data = frame(text, len, &n);
    int fd;

    if (!data)
        return -1;
    snprintf(tmp, sizeof tmp, "%s.tmp", j->path);
    fd = write_aside(tmp, data, n);
    if (fd < 0 || rename(tmp, j->path) < 0) {
        int saved = errno;

        if (fd >= 0)
            close(fd);
        unlink(tmp);
        errno = saved;
        return -1;
    }
    close(j->fd);
    j->fd = fd;
    j->bytes = n;
    j->tail_unsure = false;
    reserve(j);
    return xha_sync_dir_of(j->path);
}

size_t xha_journal_bytes(const struct xha_journal *j)
{
    return j->bytes;
}

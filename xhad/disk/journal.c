/*
 * journal.c - see journal.h.
 */
#include "xhad/disk/journal.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/uio.h>

static bool read_at(void *arg, uint64_t offset, void *bytes, size_t len)
{
    const struct xha_journal *journal = arg;
    uint8_t *to = bytes;

    while (len > 0) {
        const ssize_t n = pread(journal->fd, to, len, (off_t)offset);

        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        if (n > 0) {
            to += n;
            len -= (size_t)n;
            offset += (uint64_t)n;
        }
    }
    return true;
}

static int write_at(const struct xha_journal *journal, struct iovec *iov, int n, uint64_t offset)
{
    while (n > 0) {
        ssize_t r = pwritev(journal->fd, iov, n, (off_t)offset);

        if (r < 0 && errno != EINTR)
            return -1;
        for (offset += r > 0 ? (uint64_t)r : 0; n > 0 && r >= (ssize_t)iov->iov_len; iov++, n--)
            r -= (ssize_t)iov->iov_len;
        if (n > 0 && r > 0) {
            iov->iov_base = (uint8_t *)iov->iov_base + r;
            iov->iov_len -= (size_t)r;
        }
    }
    return 0;
}

static void find_committed(struct xha_journal *journal)
{
    uint8_t mark[XHA_JOURNAL_MARK];
    uint64_t generation = 0;

    if (!read_at(journal, 0, mark, sizeof(mark)) || !xha_journal_mark_get(mark, &generation))
        generation = 0; /* which no journal has */
    xha_journal_reader_init(&journal->applied, generation, journal->disk_size);
    journal->committed =
        generation ? xha_journal_committed(generation, journal->disk_size, read_at, journal, journal->data)
                   : journal->applied;
    journal->end = journal->committed;
}

int xha_journal_open(struct xha_journal *journal, const char *dir, const char *name, uint64_t disk_size)
{
    char path[PATH_MAX];

    *journal = (struct xha_journal){ .fd = -1, .disk_size = disk_size };
    if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    journal->data = malloc(XHA_RECORD_DATA_MAX);
    if (!journal->data)
        return -1;
    journal->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (journal->fd < 0 || xha_sync_dir_of(path) < 0)
        return -1;
    find_committed(journal);
    return 0;
}

void xha_journal_close(struct xha_journal *journal)
{
    if (journal->fd >= 0)
        close(xha_steal_fd(&journal->fd));
    free(xha_steal_ptr(journal->data));
}

int xha_journal_append(struct xha_journal *journal, enum xha_record_kind kind, uint64_t epoch,
                       uint64_t offset, uint32_t len, const void *data)
{
    const struct xha_record record = {
        .kind = kind,
        .generation = journal->end.generation,
        .epoch = epoch,
        .offset = offset,
        .len = len,
        .number = journal->end.number,
    };
    const size_t data_len = xha_record_data_len(&record);
    uint8_t head[XHA_RECORD_BYTES];
    struct iovec iov[2] = { { head, sizeof(head) }, { (void *)(uintptr_t)data, data_len } };

    xha_record_put(&record, data, head);
    if (write_at(journal, iov, data_len > 0 ? 2 : 1, journal->end.at) < 0)
        return -1;
    journal->end.at += sizeof(head) + data_len;
    journal->end.number++;
    return 0;
}

int xha_journal_end(struct xha_journal *journal, uint64_t epoch)
{
    if (xha_journal_append(journal, XHA_RECORD_END, epoch, 0, 0, NULL) < 0)
        return -1;
    journal->end.epoch = epoch;
    return 0;
}

int xha_journal_commit(struct xha_journal *journal, uint64_t epoch)
{
    return xha_journal_append(journal, XHA_RECORD_COMMIT, epoch, 0, 0, NULL) < 0 ? -1
                                                                                 : fdatasync(journal->fd);
}

bool xha_journal_walk(struct xha_journal *journal, const struct xha_journal_reader *committed,
                      struct xha_record *record_r)
{
    return journal->applied.at < committed->at &&
           xha_journal_next(&journal->applied, read_at, journal, journal->data, record_r);
}

int xha_journal_begin(struct xha_journal *journal, uint64_t generation)
{
    uint8_t mark[XHA_JOURNAL_MARK];
    struct iovec iov = { mark, sizeof(mark) };

    xha_journal_mark_put(generation, mark);
    if (write_at(journal, &iov, 1, 0) < 0 || fdatasync(journal->fd) < 0)
        return -1;
    xha_journal_reader_init(&journal->end, generation, journal->disk_size);
    journal->committed = journal->applied = journal->end;
    return 0;
}

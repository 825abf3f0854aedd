/*
 * The journal: arbitrary bytes as the file that a crash has left. Either it is refused with a text, or its
 * records can be read, one more can be appended, and reading again gives the same ones and that one.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xhad/ctl/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What reading saw: enough to tell two readings apart. */
struct seen {
    size_t records, bytes;
    uint64_t mix;
};

static char path[64];

static void remove_file(void)
{
    unlink(path);
}

static void put(const uint8_t *data, size_t size)
{
    int fd;

    if (!path[0]) {
        snprintf(path, sizeof(path), "/dev/shm/xha-fuzz-%d.journal", (int)getpid());
        atexit(remove_file);
    }
    fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    close(fd);
}

static bool on_record(void *user, const char *text, size_t len)
{
    struct seen *seen = user;

    seen->records++;
    seen->bytes += len;
    for (size_t i = 0; i < len; i++)
        seen->mix = seen->mix * 31 + (unsigned char)text[i];
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char record[] = "{\"fuzz\":1}";
    struct seen first = { 0 }, second = { 0 };
    struct xha_journal *journal;
    char err[512] = "";
    size_t cut;

    put(data, size);
    if (xha_journal_open(path, on_record, &first, &journal, &cut, err, sizeof(err)) < 0) {
        if (!err[0])
            abort();
        return 0;
    }
    if (cut > size || xha_journal_append(journal, record, sizeof(record) - 1) < 0)
        abort();
    xha_journal_close(journal);
    on_record(&first, record, sizeof(record) - 1);
    if (xha_journal_open(path, on_record, &second, &journal, &cut, err, sizeof(err)) < 0)
        abort();
    xha_journal_close(journal);
    if (cut || first.records != second.records || first.bytes != second.bytes || first.mix != second.mix)
        abort();
    return 0;
}

/*
 * Files between xhad and its workers: jobs, answers and progress lines. A reader either refuses with a text
 * or gives values that can be written and read again.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xhad/base/job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[64];

static void remove_file(void)
{
    unlink(path);
}

static void put(const uint8_t *data, size_t size)
{
    int fd;

    if (!path[0]) {
        snprintf(path, sizeof(path), "/dev/shm/xha-fuzz-%d.job", (int)getpid());
        atexit(remove_file);
    }
    fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char err[256] = "", step[32];
    struct xha_job_done done;
    struct xha_job job;
    struct xha_job_epoch epoch;
    uint64_t part, total;

    xha_job_progress_parse((const char *)data, size, step, sizeof(step), &part, &total);
    if (xha_job_epoch_parse((const char *)data, size, &epoch) && (epoch.number == 0 || epoch.copy_us < 0))
        abort();
    put(data, size);
    if (xha_job_read(path, &job, err, sizeof(err)) == 0) {
        if (xha_job_write(path, &job, err, sizeof(err)) || xha_job_read(path, &job, err, sizeof(err)))
            abort();
        put(data, size);
    } else if (!err[0]) {
        abort();
    }
    err[0] = '\0';
    if (xha_job_done_read(path, &done, err, sizeof(err)) == 0) {
        struct xha_job_done again;

        if (xha_job_done_write(path, &done, err, sizeof(err)) ||
            xha_job_done_read(path, &again, err, sizeof(err)))
            abort();
        xha_job_done_clear(&again);
        xha_job_done_clear(&done);
    } else if (!err[0]) {
        abort();
    }
    return 0;
}

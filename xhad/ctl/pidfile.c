/*
 * pidfile.c - the lock that keeps a second xhad from starting.
 *
 * The file is never removed: a lock on a file that somebody else has just removed would protect nothing.
 */
#include "xhad/ctl/pidfile.h"
#include "xhad/base/cleanup.h"
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>

int xha_pidfile_write(int fd)
{
    char text[32];
    int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());

    if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)len, 0) != len)
        return -1;
    return 0;
}

/* The pid that stands in the file, for the message; 0: none. */
static long pid_in(int fd)
{
    char text[32] = "";
    ssize_t r = pread(fd, text, sizeof text - 1, 0);

    return r > 0 ? strtol(text, NULL, 10) : 0;
}

int xha_pidfile_take(const char *run_dir, int *fd_r, char *err, size_t err_len)
{
    XHA_CLEANUP_CLOSE int fd = -1;
    char path[PATH_MAX];
    int r = snprintf(path, sizeof path, "%s/pid", run_dir);

    if (r < 0 || (size_t)r >= sizeof path) {
        snprintf(err, err_len, "%s: path too long", run_dir);
        return -1;
    }
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) {
        snprintf(err, err_len, "%s: cannot be opened: %s", path, strerror(errno));
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            snprintf(err, err_len, "another xhad (pid %ld) runs with this run directory: %s", pid_in(fd),
                     run_dir);
        else
            snprintf(err, err_len, "%s: cannot be locked: %s", path, strerror(errno));
        return -1;
    }
    if (xha_pidfile_write(fd) < 0) {
        snprintf(err, err_len, "%s: cannot be written: %s", path, strerror(errno));
        return -1;
    }
    *fd_r = xha_steal_fd(&fd);
    return 0;
}

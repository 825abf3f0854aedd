/*
 * main.c - xhad-xen, the only program of xhad that links Xen's libraries.
 *
 *   xhad-xen observe        sits between the hypervisor, xenstore and xhad, which holds the other end of fd 3
 *   xhad-xen work JOBFILE   does one piece of work and leaves its answer beside the job file
 *   xhad-xen migrate-receive   speaks with a stock `xl migrate` (for xl-ha migrate-receive)
 *   xhad-xen watchdog DIR   holds Xen's watchdog of the host; xhad holds the other end of fd 3
 *
 * All but migrate-receive are started by xhad. A libxl call may block for minutes or end its process; so none is made in the
 * daemon.
 */
#include "config.h"
#include "xhad/xen/migrate_stock.h"
#include "xhad/xen/observer.h"
#include "xhad/xen/watchdog.h"
#include "xhad/xen/work.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int usage(FILE *f, int status)
{
    fputs("usage: xhad-xen observe\n"
          "       xhad-xen work JOBFILE\n"
          "       xhad-xen migrate-receive\n"
          "       xhad-xen watchdog RUN_DIR\n"
          "xhad's helper towards Xen; it is started by xhad(8).\n",
          f);
    return status;
}

/* Whatever opens a file next must not get one of the standard descriptors: libxl's children write there. */
static int keep_standard_fds(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (fd >= 0 && fd <= STDERR_FILENO && fcntl(fd, F_SETFD, 0) == 0);
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

int main(int argc, char **argv)
{
    if (keep_standard_fds() < 0)
        return 1;
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stderr, NULL, _IOLBF, 0);
    if (argc == 2 && strcmp(argv[1], "observe") == 0)
        return xha_observer_main();
    if (argc == 2 && strcmp(argv[1], "migrate-receive") == 0)
        return xha_migrate_from_stock();
    if (argc == 3 && strcmp(argv[1], "work") == 0)
        return xha_work_main(argv[2]);
    if (argc == 3 && strcmp(argv[1], "watchdog") == 0)
        return xha_watchdog_main(argv[2]);
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return usage(stdout, 0);
    if (argc == 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0))
        return puts("xhad-xen " PACKAGE_VERSION) < 0;
    return usage(stderr, 2);
}

/*
 * labtool: the lab's small programs outside the hosts, in one file that `lab` builds once.
 *
 *   power     one per host: its hands on the power switches of the others
 *   mux       one per host: shares the host's control channel among commands
 *   exec      run a command in a host (`lab sh`)
 *   wire      the networks between the hosts, with cuts
 *   ask       one line to a wire's control socket, and its answer
 *   qmp       one command to QEMU
 *   console   a terminal on a host's serial console
 */
#include "labtool.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int sock_open(const char *path, struct sockaddr_un *a_r)
{
    memset(a_r, 0, sizeof(*a_r));
    a_r->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof(a_r->sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(a_r->sun_path, path);
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

int sock_connect(const char *path, int retry_ms)
{
    struct sockaddr_un a;
    int fd = sock_open(path, &a);
    if (fd < 0)
        return -1;
    while (connect(fd, (struct sockaddr *)&a, sizeof(a))) {
        if (retry_ms <= 0 || (errno != ENOENT && errno != ECONNREFUSED)) {
            int e = errno;
            close(fd);
            errno = e;
            return -1;
        }
        usleep(20 * 1000);
        retry_ms -= 20;
    }
    return fd;
}

int sock_listen(const char *path)
{
    struct sockaddr_un a;
    int fd = sock_open(path, &a);
    if (fd < 0)
        return -1;
    unlink(path);
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 64)) {
        int e = errno;
        close(fd);
        errno = e;
        return -1;
    }
    return fd;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*main)(int argc, char **argv);
    } tools[] = {
        { "mux", mux_main }, { "exec", exec_main },       { "wire", wire_main },   { "ask", ask_main },
        { "qmp", qmp_main }, { "console", console_main }, { "power", power_main },
    };

    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; argc > 1 && i < sizeof(tools) / sizeof(*tools); i++)
        if (!strcmp(argv[1], tools[i].name))
            return tools[i].main(argc - 1, argv + 1);
    fputs("usage: labtool mux|power|exec|wire|ask|qmp|console ARGUMENT...\n", stderr);
    return 2;
}

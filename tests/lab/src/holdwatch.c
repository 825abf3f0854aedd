/*
 * holdwatch: plays xhad towards `xhad-xen watchdog` in a lab host: arms the host's watchdog, pokes it once a second,
 * and says what it hears.
 *
 *   holdwatch HELPER RUN_DIR SECONDS [disarm]
 *
 * SIGUSR1 ends the pokes, but not the program; killed, it is an xhad that crashed.
 */
#include "xhad/base/watch.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static volatile sig_atomic_t silent;

static void on_usr1(int number)
{
    silent = number;
}

static void hear(int fd)
{
    static const char *const word[] = { [XHA_WATCH_READY] = "ready",
                                        [XHA_WATCH_OK] = "ok",
                                        [XHA_WATCH_REFUSED] = "refused",
                                        [XHA_WATCH_STALE] = "stale" };
    struct xha_watch_msg msg;

    if (xha_watch_recv(fd, &msg) != XHA_WATCH_DONE || msg.type < XHA_WATCH_READY) {
        puts("the holder is gone");
        exit(1);
    }
    printf("%s timer=%u seconds=%u%s%s%s\n", word[msg.type], msg.id, msg.seconds,
           msg.taken_over ? " taken over" : "", *msg.text ? " " : "", msg.text);
    if (msg.type == XHA_WATCH_REFUSED)
        exit(1);
}

static void order(int fd, enum xha_watch_type type, unsigned seconds)
{
    static unsigned seq;
    struct xha_watch_msg msg = { .type = type, .seconds = seconds, .ms = xha_watch_now_ms() };

    msg.seq = ++seq;
    if (xha_watch_send(fd, &msg) != XHA_WATCH_DONE) {
        puts("the holder does not listen");
        exit(1);
    }
    hear(fd);
}

int main(int argc, char **argv)
{
    int fds[2];

    if (argc < 4 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGUSR1, on_usr1);
    if (fork() == 0) {
        if (dup2(fds[1], XHA_WATCH_FD) < 0)
            return 1;
        execl(argv[1], argv[1], "watchdog", argv[2], (char *)NULL);
        return 1;
    }
    close(fds[1]);
    hear(fds[0]);
    order(fds[0], XHA_WATCH_ARM, (unsigned)atoi(argv[3]));
    if (argc > 4) {
        order(fds[0], XHA_WATCH_DISARM, 0);
        return 0;
    }
    for (;;) {
        sleep(1);
        if (!silent)
            order(fds[0], XHA_WATCH_POKE, 0);
    }
}

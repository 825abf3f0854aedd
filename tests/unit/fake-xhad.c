/*
 * fake-xhad - an xhad that says what it is told, for the tests of xl-ha.
 *
 *     fake-xhad SOCKET REQUESTS ANSWER...
 *
 * Returns when it listens; a child then takes one connection for each ANSWER file: it adds the request's line
 * to REQUESTS, sends the bytes of ANSWER as they are, and closes. An ANSWER called "silent" is a connection
 * that is held open without a word until the other side closes it. It ends by itself after the last one, or
 * after a minute.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* Up to the newline. */
static void take_request(int fd, const char *path)
{
    int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    char c = 0;

    if (log < 0)
        die(path);
    while (c != '\n' && read(fd, &c, 1) == 1)
        if (write(log, &c, 1) != 1)
            die(path);
    close(log);
}

static void answer(int fd, const char *path)
{
    char buf[65536];
    ssize_t n;
    int file;

    if (!strcmp(path, "silent")) {
        while (read(fd, buf, sizeof(buf)) > 0)
            ;
        return;
    }
    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        die(path);
    while ((n = read(file, buf, sizeof(buf))) > 0)
        if (send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
            break; /* xl-ha has had enough */
    close(file);
}

int main(int argc, char **argv)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd;

    if (argc < 4 || strlen(argv[1]) >= sizeof(address.sun_path)) {
        fprintf(stderr, "usage: fake-xhad SOCKET REQUESTS ANSWER...\n");
        return 2;
    }
    strcpy(address.sun_path, argv[1]);
    unlink(argv[1]);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 4))
        die(argv[1]);
    if (daemon(1, 0))
        die("daemon");
    alarm(60);
    for (int i = 3; i < argc; i++) {
        int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

        if (client < 0)
            return 1;
        take_request(client, argv[2]);
        answer(client, argv[i]);
        close(client);
    }
    return 0;
}

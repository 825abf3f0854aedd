/*
 * labtool qmp: one command without arguments to QEMU's monitor (stop, cont, query-status, quit).
 * labtool console: a terminal on a host's serial console; Ctrl-] leaves it.
 * labtool ask: one line to the wire's control socket, and its answer.
 */
#include "labtool.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* Read lines until one holds `want` (1), an error (-1) or the end (-1); that line is left in `line`. */
static int line_with(FILE *f, const char *want, char *line, int size)
{
    while (fgets(line, size, f)) {
        if (strstr(line, want))
            return 1;
        if (strstr(line, "\"error\""))
            return -1;
    }
    return -1;
}

int qmp_main(int argc, char **argv)
{
    char line[4096] = "";
    if (argc != 3) {
        fputs("usage: labtool qmp SOCKET COMMAND\n", stderr);
        return 2;
    }
    int fd = sock_connect(argv[1], 0);
    FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
    if (!in) {
        fprintf(stderr, "lab: no monitor (%s): is the host up?\n", strerror(errno));
        return 1;
    }
    int ok = line_with(in, "\"QMP\"", line, sizeof(line)) > 0;
    dprintf(fd, "{\"execute\":\"qmp_capabilities\"}\n");
    ok = ok && line_with(in, "\"return\"", line, sizeof(line)) > 0;
    dprintf(fd, "{\"execute\":\"%s\"}\n", argv[2]);
    ok = ok && line_with(in, "\"return\"", line, sizeof(line)) > 0;
    fclose(in);
    if (!ok) {
        fprintf(stderr, "lab: QEMU refused %s: %s", argv[2], line);
        return 1;
    }
    if (!strncmp(argv[2], "query", 5))
        fputs(line, stdout);
    return 0;
}

int ask_main(int argc, char **argv)
{
    char data[4096] = "";
    size_t used = 0;
    ssize_t r;
    int failed = 0;

    if (argc < 3) {
        fputs("usage: labtool ask SOCKET WORD...\n", stderr);
        return 2;
    }
    int fd = sock_connect(argv[1], 0);
    if (fd < 0) {
        fprintf(stderr, "lab: no wire (%s): is the lab up?\n", strerror(errno));
        return 1;
    }
    for (int i = 2; i < argc && used < sizeof(data); i++)
        used +=
            (size_t)snprintf(data + used, sizeof(data) - used, "%s%s", argv[i], i + 1 < argc ? " " : "\n");
    if (write(fd, data, strlen(data)) < 0) /* one write: the wire reads one line at once */
        return 1;
    for (int first = 1; (r = read(fd, data, sizeof(data))) > 0; first = 0) {
        failed |= first && data[0] == '!';
        fwrite(data, 1, (size_t)r, stdout);
    }
    return failed;
}

static void relay(int fd)
{
    char data[4096];
    struct pollfd p[2] = { { .fd = 0, .events = POLLIN }, { .fd = fd, .events = POLLIN } };
    while (poll(p, 2, -1) >= 0) {
        if (p[1].revents) {
            ssize_t r = read(fd, data, sizeof(data));
            if (r <= 0 || write(1, data, (size_t)r) < 0)
                return;
        }
        if (p[0].revents) {
            ssize_t r = read(0, data, sizeof(data));
            if (r <= 0 || memchr(data, 0x1d, (size_t)r) || write(fd, data, (size_t)r) < 0)
                return;
        }
    }
}

int console_main(int argc, char **argv)
{
    struct termios old, raw;
    if (argc != 2) {
        fputs("usage: labtool console SOCKET\n", stderr);
        return 2;
    }
    int fd = sock_connect(argv[1], 0);
    if (fd < 0) {
        fprintf(stderr, "lab: no console (%s): is the host up?\n", strerror(errno));
        return 1;
    }
    int tty = !tcgetattr(0, &old);
    if (tty) {
        fputs("Ctrl-] leaves the console\r\n", stderr);
        raw = old;
        cfmakeraw(&raw);
        tcsetattr(0, TCSANOW, &raw);
    }
    relay(fd);
    if (tty)
        tcsetattr(0, TCSANOW, &old);
    return 0;
}

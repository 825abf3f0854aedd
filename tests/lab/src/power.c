/*
 * labtool power: serves the fence agent of one host. fence_xhalab (in the host) writes a line to the virtio-serial
 * port "power", which is QEMU-SOCKET out here, and waits for its answer:
 *
 *   ID off|on|status HOST     →     ID ok [on|off]     or     ID failed
 *
 * Each line is served by a child of its own, which runs `lab power HOST VERB`. The file HOST/power-mode makes the
 * switch of that host fail, hang or be slow (`lab fence`). What was asked and answered is added to power.log.
 */
#include "frame.h"
#include "labtool.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_ 128

static const char *from, *lab, *state;

static void note(const char *id, const char *verb, const char *host, const char *what)
{
    char path[200];
    struct timespec t;

    snprintf(path, sizeof(path), "%s/power.log", state);
    FILE *f = fopen(path, "ae");
    if (!f)
        return;
    clock_gettime(CLOCK_REALTIME, &t);
    fprintf(f, "%lld.%03ld %s %s %s %s %s\n", (long long)t.tv_sec, t.tv_nsec / 1000000, from, id, verb, host,
            what);
    fclose(f);
}

/* How the switch of host behaves; false: it fails. */
static bool switch_works(const char *host)
{
    char path[200], mode[32] = "ok";
    unsigned seconds;

    snprintf(path, sizeof(path), "%s/%s/power-mode", state, host);
    FILE *f = fopen(path, "re");
    if (f) {
        if (!fgets(mode, sizeof(mode), f))
            strcpy(mode, "ok");
        fclose(f);
    }
    if (!strncmp(mode, "hang", 4))
        for (;;)
            pause();
    if (sscanf(mode, "slow %u", &seconds) == 1)
        sleep(seconds);
    return strncmp(mode, "fail", 4) != 0;
}

/* Runs `lab power HOST VERB`; its first word into buf. 0, or -1. */
static int run_lab(const char *host, const char *verb, char *buf, size_t len)
{
    char command[300];

    snprintf(command, sizeof(command), "'%s' power %s %s", lab, host, verb);
    FILE *f = popen(command, "re");
    if (!f)
        return -1;
    if (!fgets(buf, (int)len, f))
        *buf = 0;
    buf[strcspn(buf, "\n")] = 0;
    return pclose(f) == 0 ? 0 : -1;
}

static void serve(int fd, const char *line)
{
    char id[24], verb[8], host[8], said[32] = "", answer[LINE_MAX_];

    if (sscanf(line, "%23s %7s %7s", id, verb, host) != 3 || strlen(host) != 2 || host[0] != 'h' ||
        host[1] < '1' || host[1] > '9' ||
        (strcmp(verb, "on") && strcmp(verb, "off") && strcmp(verb, "status")))
        return;
    note(id, verb, host, "asked");
    bool ok = switch_works(host) && run_lab(host, verb, said, sizeof(said)) == 0;
    snprintf(answer, sizeof(answer), "%s %s %s\n", id, ok ? "ok" : "failed", said);
    note(id, verb, host, ok ? "ok" : "failed");
    if (write(fd, answer, strlen(answer)) < 0)
        return; /* the host that asked is gone */
}

/* Takes the whole lines off the buffer; each goes to a child. */
static void take_lines(struct buf *b, int fd)
{
    const unsigned char *end;

    while (b->used && (end = memchr(buf_head(b), '\n', b->used)) != NULL) {
        size_t len = (size_t)(end - buf_head(b));
        char line[LINE_MAX_] = "";

        if (len < sizeof(line))
            memcpy(line, buf_head(b), len);
        buf_take(b, len + 1);
        if (fork() == 0) {
            signal(SIGCHLD, SIG_DFL);
            serve(fd, line);
            _exit(0);
        }
    }
    if (b->used >= LINE_MAX_) /* no line of ours */
        buf_take(b, b->used);
}

int power_main(int argc, char **argv)
{
    struct buf in = { 0 };

    if (argc != 5) {
        fputs("usage: labtool power QEMU-SOCKET HOST LAB STATE\n", stderr);
        return 2;
    }
    from = argv[2];
    lab = argv[3];
    state = argv[4];
    signal(SIGCHLD, SIG_IGN); /* nobody waits for the children */
    int fd = sock_connect(argv[1], 10 * 1000);
    if (fd < 0) {
        perror(argv[1]);
        return 1;
    }
    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };

        if (poll(&p, 1, -1) < 0 && errno != EINTR)
            return 1;
        if (p.revents && buf_fill(&in, fd) < 0)
            return 0; /* the host is off */
        take_lines(&in, fd);
    }
}

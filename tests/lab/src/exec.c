/*
 * labtool exec: runs one shell command in a host and passes on its output and exit status, as ssh would,
 * over the host's control channel (frame.h).
 *
 *   -i     pass on standard input
 *   -t S   give up after S seconds with exit status 124; the command is killed
 *
 * Exit status 255 with a message: the host could not be reached or was lost under way.
 */
#include "frame.h"
#include "labtool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct run {
    int fd;
    bool input;       /* standard input is open and wanted */
    uint32_t unacked; /* input bytes that the command has not taken */
    long deadline_ms; /* 0: none */
    struct buf in, out;
};

static long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int write_all(int fd, const unsigned char *data, size_t length)
{
    while (length) {
        ssize_t r = write(fd, data, length);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -1;
        data += r;
        length -= (size_t)r;
    }
    return 0;
}

static void input_read(struct run *run)
{
    unsigned char data[FRAME_MAX];
    ssize_t r = read(0, data, sizeof(data));
    if (r < 0 && errno == EINTR)
        return;
    if (r <= 0) {
        run->input = false;
        r = 0;
    }
    run->unacked += (uint32_t)r;
    frame_put(&run->out, 0, FRAME_STDIN, data, (uint32_t)r);
}

/* True when the command has ended; its status is then in *status_r. */
static bool frame_take(struct run *run, const struct frame *f, int *status_r)
{
    switch (f->type) {
    case FRAME_STDOUT:
    case FRAME_STDERR:
        if (write_all(f->type == FRAME_STDOUT ? 1 : 2, f->data, f->length)) {
            *status_r = 141; /* whoever reads us is gone: as if by SIGPIPE */
            return true;
        }
        frame_put(&run->out, 0, FRAME_ACK, &f->length, sizeof(f->length));
        return false;
    case FRAME_ACK:
        run->unacked -= frame_u32(f);
        return false;
    case FRAME_EXIT:
        *status_r = (int)(frame_u32(f) & 255);
        return true;
    default:
        return false;
    }
}

static int run_loop(struct run *run)
{
    static struct frame f;
    int status;

    for (;;) {
        bool more = run->input && run->unacked + FRAME_MAX <= FRAME_WINDOW;
        struct pollfd p[2] = {
            { .fd = run->fd, .events = (short)(POLLIN | (run->out.used ? POLLOUT : 0)) },
            { .fd = more ? 0 : -1, .events = POLLIN },
        };
        long wait = run->deadline_ms ? run->deadline_ms - now_ms() : -1;
        if (run->deadline_ms && wait <= 0) {
            fputs("lab: the command took too long and was killed\n", stderr);
            return 124;
        }
        if (poll(p, 2, (int)wait) < 0 && errno != EINTR)
            return 255;
        if (more && p[1].revents)
            input_read(run);
        if (p[0].revents && buf_fill(&run->in, run->fd) < 0)
            break;
        int r;
        while ((r = frame_get(&run->in, &f)) > 0)
            if (frame_take(run, &f, &status))
                return status;
        if (r < 0 || buf_flush(&run->out, run->fd))
            break;
    }
    fputs("lab: the host was lost while the command ran\n", stderr);
    return 255;
}

int exec_main(int argc, char **argv)
{
    struct run run = { 0 };
    char cmd[FRAME_CMD_MAX];
    size_t used = 0;
    int o;

    while ((o = getopt(argc, argv, "+it:")) != -1)
        if (o == 'i')
            run.input = true;
        else if (o == 't')
            run.deadline_ms = now_ms() + atol(optarg) * 1000;
        else
            return 2;
    if (argc - optind < 2) {
        fputs("usage: labtool exec [-i] [-t SECONDS] SOCKET COMMAND...\n", stderr);
        return 2;
    }
    for (int i = optind + 1; i < argc; i++) {
        int r = snprintf(cmd + used, sizeof(cmd) - used, "%s%s", used ? " " : "", argv[i]);
        if (r < 0 || (size_t)r >= sizeof(cmd) - used) {
            fputs("lab: the command is too long: push a script and run that\n", stderr);
            return 2;
        }
        used += (size_t)r;
    }
    run.fd = sock_connect(argv[optind], 0);
    if (run.fd < 0) {
        fprintf(stderr, "lab: no control channel (%s): is the host up?\n", strerror(errno));
        return 255;
    }
    fcntl(run.fd, F_SETFL, O_NONBLOCK);
    frame_put(&run.out, 0, FRAME_EXEC, cmd, (uint32_t)used);
    if (!run.input)
        frame_put(&run.out, 0, FRAME_STDIN, NULL, 0);
    return run_loop(&run);
}

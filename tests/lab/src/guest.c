/*
 * The lab's guest at work: everything a story asks of a protected guest, in one static program.
 *
 *   guest work             counts in memory, answers on the network, does what data/cmd says
 *   guest beat             a heartbeat: only where the real agent is not installed
 *   guest hang             hangs the kernel for good (see below)
 *   guest xenstore-write KEY VALUE, guest xenstore-read KEY
 *
 * The counter lives in this process's memory and nowhere else: when it goes on after a recovery, the
 * guest's state has survived; when it starts from zero, the guest has booted again. It is shown in
 * xenstore as data/counter, and on TCP and UDP port 7 as a line "NAME BOOT-ID COUNTER".
 *
 * `hang` closes every event channel of the guest: no timer, console or network interrupt ever reaches it
 * again, so its only vCPU goes idle and stays there; its time stands still. It does not crash, and nothing
 * tells Xen that something is wrong. (Halting with interrupts off is no hang under Xen, but a poweroff.)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The xenstore wire protocol (xen/io/xs_wire.h) as /dev/xen/xenbus takes it. */
enum { XS_READ = 2, XS_WRITE = 11, XS_ERROR = 16 };

struct xs_head {
    uint32_t type, req_id, tx_id, len;
};

static int xs_fd = -1;

/* Ask xenstore. The answer's length, with the answer NUL-terminated in `answer`; or -1. */
static int xs_ask(uint32_t type, const void *body, uint32_t len, char *answer, size_t size)
{
    struct xs_head h = { .type = type, .len = len };
    char msg[sizeof(h) + 512];

    if (xs_fd < 0)
        xs_fd = open("/dev/xen/xenbus", O_RDWR | O_CLOEXEC);
    if (xs_fd < 0 || len > 512)
        return -1;
    memcpy(msg, &h, sizeof(h));
    memcpy(msg + sizeof(h), body, len);
    if (write(xs_fd, msg, sizeof(h) + len) != (ssize_t)(sizeof(h) + len))
        return -1;
    if (read(xs_fd, &h, sizeof(h)) != sizeof(h) || h.len >= size)
        return -1;
    uint32_t got = 0;
    while (got < h.len) {
        ssize_t r = read(xs_fd, answer + got, h.len - got);
        if (r <= 0)
            return -1;
        got += (uint32_t)r;
    }
    answer[got] = 0;
    return h.type == XS_ERROR ? -1 : (int)got;
}

static int xs_read(const char *key, char *value, size_t size)
{
    return xs_ask(XS_READ, key, (uint32_t)strlen(key) + 1, value, size);
}

static int xs_write(const char *key, const char *value)
{
    char body[512], answer[64];
    int r = snprintf(body, sizeof(body), "%s%c%s", key, 0, value);
    return r < 0 || r >= (int)sizeof(body) ? -1 : xs_ask(XS_WRITE, body, (uint32_t)r, answer, sizeof(answer));
}

/* Hypercalls from user space: xen/privcmd.h, event_channel.h and vcpu.h in a few lines. */
struct hypercall {
    uint64_t op, arg[5];
};
#define PRIVCMD_HYPERCALL _IOC(_IOC_NONE, 'P', 0, sizeof(struct hypercall))
enum { HYPER_VCPU_OP = 24, HYPER_EVENT_CHANNEL_OP = 32 };
enum { EVTCHNOP_CLOSE = 3, VCPUOP_STOP_PERIODIC_TIMER = 7, VCPUOP_STOP_SINGLESHOT_TIMER = 9 };

static int hang(void)
{
    int fd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);
    struct hypercall stop = { .op = HYPER_VCPU_OP };
    uint32_t port;
    struct hypercall close_port = { .op = HYPER_EVENT_CHANNEL_OP,
                                    .arg = { EVTCHNOP_CLOSE, (uint64_t)(uintptr_t)&port } };

    if (fd < 0) {
        perror("/dev/xen/privcmd");
        return 1;
    }
    mlockall(MCL_CURRENT | MCL_FUTURE);
    for (port = 1; port < 4096; port++)
        ioctl(fd, PRIVCMD_HYPERCALL, &close_port);
    stop.arg[0] = VCPUOP_STOP_PERIODIC_TIMER;
    ioctl(fd, PRIVCMD_HYPERCALL, &stop);
    stop.arg[0] = VCPUOP_STOP_SINGLESHOT_TIMER;
    ioctl(fd, PRIVCMD_HYPERCALL, &stop);
    for (;;)
        pause();
}

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        perror(path);
    if (fd >= 0)
        close(fd);
}

/* All the vCPU's time for one endless loop: nothing else runs any more, yet the vCPU looks busy. */
static void livelock(void)
{
    struct sched_param p = { .sched_priority = 99 };
    put("/proc/sys/kernel/sched_rt_runtime_us", "-1");
    if (syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &p)) /* musl's own function always fails */
        perror("SCHED_FIFO");
    for (volatile unsigned n = 0;; n++)
        ;
}

static void agent_signal(const char *signal_name)
{
    char cmd[64];
    snprintf(cmd, sizeof(cmd), "kill -%s $(cat /run/beat.pid)", signal_name);
    if (system(cmd))
        fputs("guest: the agent took no signal\n", stderr);
}

static void obey(const char *cmd)
{
    printf("guest: ordered to %s\n", cmd);
    fflush(stdout);
    if (!strcmp(cmd, "crash"))
        put("/proc/sysrq-trigger", "c");
    else if (!strcmp(cmd, "hang"))
        hang();
    else if (!strcmp(cmd, "livelock"))
        livelock();
    else if (!strcmp(cmd, "mute"))
        agent_signal("STOP");
    else if (!strcmp(cmd, "unmute"))
        agent_signal("CONT");
    else if (!strcmp(cmd, "poweroff"))
        reboot(RB_POWER_OFF);
    else if (!strcmp(cmd, "reboot"))
        reboot(RB_AUTOBOOT);
    else
        fprintf(stderr, "guest: unknown order\n");
}

static int listen_on(int type)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(7) };
    int one = 1, fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) || (type == SOCK_STREAM && listen(fd, 16))) {
        perror("port 7");
        return -1;
    }
    return fd;
}

static void answer_udp(int fd, const char *line)
{
    char data[64];
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    if (recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from, &len) >= 0)
        sendto(fd, line, strlen(line), 0, (struct sockaddr *)&from, len);
}

static void answer_tcp(int fd, const char *line)
{
    int c = accept(fd, NULL, NULL);
    if (c < 0)
        return;
    if (write(c, line, strlen(line)) < 0)
        perror("port 7");
    close(c);
}

static long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Ten counts a second; xenstore hears of every fifth, and is asked for orders then. */
static _Noreturn void work(void)
{
    char line[160], cmd[64], boot[40] = "?", value[32], name[64] = "guest";
    unsigned long counter = 0;
    long next_ms = now_ms();
    struct pollfd p[2] = { { .fd = listen_on(SOCK_STREAM), .events = POLLIN },
                           { .fd = listen_on(SOCK_DGRAM), .events = POLLIN } };
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

    if (fd < 0 || read(fd, boot, 8) != 8)
        strcpy(boot, "?");
    if (xs_read("name", name, sizeof(name)) < 0)
        strcpy(name, "guest");
    for (;;) {
        long wait = next_ms - now_ms();
        snprintf(line, sizeof(line), "%s %s %lu\n", name, boot, counter);
        if (wait > 0 && poll(p, 2, (int)wait) > 0) {
            if (p[0].revents)
                answer_tcp(p[0].fd, line);
            if (p[1].revents)
                answer_udp(p[1].fd, line);
            continue;
        }
        next_ms = wait < -1000 ? now_ms() + 100 : next_ms + 100;
        if (++counter % 5)
            continue;
        snprintf(value, sizeof(value), "%lu", counter);
        xs_write("data/boot", boot); /* each time: after a restore, xenstore knows nothing of before */
        xs_write("data/counter", value);
        if (xs_read("data/cmd", cmd, sizeof(cmd)) > 0) {
            xs_write("data/cmd", "");
            obey(cmd);
        }
    }
}

static _Noreturn void beat(void)
{
    char value[32];
    for (unsigned long n = 1;; n++) {
        snprintf(value, sizeof(value), "%lu", n);
        xs_write("data/heartbeat", value);
        sleep(1);
    }
}

int main(int argc, char **argv)
{
    char value[512];
    const char *verb = argc > 1 ? argv[1] : "";

    signal(SIGPIPE, SIG_IGN);
    if (!strcmp(verb, "work"))
        work();
    if (!strcmp(verb, "beat"))
        beat();
    if (!strcmp(verb, "hang"))
        return hang();
    if (!strcmp(verb, "xenstore-write") && argc == 4)
        return xs_write(argv[2], argv[3]) < 0;
    if (!strcmp(verb, "xenstore-read") && argc == 3 && xs_read(argv[2], value, sizeof(value)) >= 0) {
        puts(value);
        return 0;
    }
    fputs("usage: guest work|beat|hang|xenstore-write KEY VALUE|xenstore-read KEY\n", stderr);
    return 1;
}

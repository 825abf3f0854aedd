/*
 * world.c - see world.h.
 */
#include "tests/gate/world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MAGIC       0x78686767u
#define NOTHING_MS  100
#define QUIET_MS    40
#define PATIENCE_MS 3000

const uint16_t protocols[PROTOCOLS] = { 0x0806, 0x0800, 0x86dd, 0x88b5, 0x8100 };

struct frame {
    uint8_t to[6], from[6];
    uint16_t protocol;
    uint8_t head[40]; /* of the protocol */
    uint32_t magic, number;
    uint8_t rest[200];
} __attribute__((packed));

static int tests, failed;

void check(bool good, const char *format, ...)
{
    va_list args;

    failed += !good;
    printf("%sok %d - ", good ? "" : "not ", ++tests);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    fflush(stdout);
}

void remark(const char *format, ...)
{
    va_list args;

    printf("# ");
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    fflush(stdout);
}

int finish(void)
{
    printf("1..%d\nTAP-END\n", tests);
    fflush(stdout);
    return failed ? 1 : 0;
}

int run(const char *format, ...)
{
    char command[512];
    va_list args;
    int r;

    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    fflush(stdout);
    r = system(command);
    return r;
}

static void must(bool good, const char *what)
{
    if (good)
        return;
    printf("Bail out! the world cannot be made: %s: %s\nTAP-END\n", what, strerror(errno));
    fflush(stdout);
    exit(1);
}

/* A port of a bridge takes a moment to forward: the kernel looks at its carrier later. */
static bool forwards(const char *name)
{
    for (int i = 0; i < 200; i++) {
        if (run("test \"$(cat /sys/class/net/%s/brport/state)\" = 3", name) == 0)
            return true;
        usleep(10000);
    }
    return false;
}

int world_add_vif(const char *name)
{
    struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    must(fd >= 0, "/dev/net/tun");
    snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
    must(ioctl(fd, TUNSETIFF, &ifr) == 0, name);
    must(run("ip link set %s txqueuelen 20000 master br0 up", name) == 0, name);
    must(forwards(name), name);
    return fd;
}

void world_begin(struct world *w)
{
    *w = (struct world){ .next = 1 };
    must(run("ip link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0 && ip link set br0 up "
             "&& ip link set lo up") == 0,
         "the bridge");
    w->guest = world_add_vif(VIF);
    w->outside = world_add_vif("world0");
}

void world_end(struct world *w)
{
    close(w->guest);
    close(w->outside);
    run("ip link del br0");
}

/* Whole enough for whoever looks into it on its way. */
static void put_head(struct frame *f, uint16_t protocol)
{
    const uint16_t behind = sizeof(f->head) + sizeof(f->magic) + sizeof(f->number) + sizeof(f->rest);
    uint32_t sum = 0;

    if (protocol == 0x0800) {
        memcpy(f->head,
               (uint8_t[]){
                   0x45, 0, behind >> 8, behind & 0xff, 0, 0, 0, 0, 64, 253, 0, 0, 10, 0, 0, 7, 10, 0, 0, 8 },
               20);
        for (int i = 0; i < 20; i += 2)
            sum += (uint32_t)(f->head[i] << 8 | f->head[i + 1]);
        sum = ~((sum & 0xffff) + (sum >> 16));
        f->head[10] = (uint8_t)(sum >> 8);
        f->head[11] = (uint8_t)sum;
    } else if (protocol == 0x86dd) {
        memcpy(f->head,
               (uint8_t[]){ 0x60, 0, 0, 0, (behind - 40) >> 8, (behind - 40) & 0xff, 59, 64, 0xfd, [23] = 7,
                            0xfd, [39] = 8 },
               40);
    } else if (protocol == 0x0806) {
        memcpy(f->head, (uint8_t[]){ 0,  1, 8, 0, 6, 4, 0, 1, 0, 0x16, 0x3e, 1, 2, 3,
                                     10, 0, 0, 7, 0, 0, 0, 0, 0, 0,    10,   0, 0, 8 },
               28);
    } else if (protocol == 0x8100) {
        memcpy(f->head, (uint8_t[]){ 0, 5, 0x88, 0xb5 }, 4);
    }
}

void guest_sends(struct world *w, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const uint16_t protocol = protocols[w->next % PROTOCOLS];
        struct frame f = { .to = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
                           .from = { 0x00, 0x16, 0x3e, 1, 2, 3 },
                           .protocol = htons(protocol),
                           .magic = MAGIC,
                           .number = w->next++ };

        put_head(&f, protocol);
        for (size_t k = 0; k < sizeof(f.rest); k++)
            f.rest[k] = (uint8_t)(f.number + k);
        must(write(w->guest, &f, sizeof(f)) == (ssize_t)sizeof(f), "a frame of the guest's");
    }
}

/* The frame's number; 0: it is none of ours. */
static uint32_t take(const struct frame *f, ssize_t len)
{
    if (len < (ssize_t)sizeof(*f) || f->magic != MAGIC)
        return 0;
    if (f->protocol != htons(protocols[f->number % PROTOCOLS]))
        check(false, "frame %u has its protocol", f->number);
    for (size_t k = 0; k < sizeof(f->rest); k++)
        if (f->rest[k] != (uint8_t)(f->number + k)) {
            check(false, "frame %u is as it was sent", f->number);
            break;
        }
    return f->number;
}

size_t world_hears(struct world *w, uint32_t *numbers, size_t max, int quiet_ms)
{
    const int wait_ms = quiet_ms == UNTIL_MAX ? PATIENCE_MS : quiet_ms;
    size_t n = 0;

    while (quiet_ms != UNTIL_MAX || n < max) {
        struct pollfd p = { .fd = w->outside, .events = POLLIN };
        struct frame f;
        ssize_t len;
        uint32_t number;

        if (poll(&p, 1, wait_ms) <= 0)
            break;
        len = read(w->outside, &f, sizeof(f));
        must(len >= 0 || errno == EAGAIN, "listening outside");
        number = take(&f, len);
        if (number && n < max)
            numbers[n++] = number;
    }
    return n;
}

bool hears_exactly(struct world *w, uint32_t first, unsigned n)
{
    static uint32_t numbers[20000];
    size_t got = world_hears(w, numbers, n, UNTIL_MAX);

    got += world_hears(w, numbers + got, 20000 - got, QUIET_MS);
    for (size_t i = 0; i < got && i < n; i++)
        if (numbers[i] != first + i) {
            remark("frame %u came where %u should", numbers[i], (unsigned)(first + i));
            return false;
        }
    if (got != n)
        remark("%zu frames came, not %u", got, n);
    return got == n;
}

bool hears_nothing(struct world *w)
{
    uint32_t number;
    const size_t n = world_hears(w, &number, 1, NOTHING_MS);

    if (n)
        remark("frame %u came", number);
    return n == 0;
}

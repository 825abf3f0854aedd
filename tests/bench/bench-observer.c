/*
 * What a round of the observer asks of the hypervisor and of xenstore, by the number of protected domains,
 * and the CPU time that it takes the observer itself. Hypervisor and xenstore are made up, so the time is all
 * its own.
 */
#include "config.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/fake-xen.h"
#include "xhad/base/observe.h"

#define ROUNDS 20

static void hear(int fd, struct xha_obs *obs)
{
    struct pollfd pfd = { .fd = fd, .events = POLLIN };

    if (poll(&pfd, 1, 60000) != 1 || xha_obs_recv(fd, obs) != XHA_OBS_OK) {
        fprintf(stderr, "bench-observer: the observer fell silent\n");
        exit(1);
    }
}

/* The next round that read the heartbeats of all n. */
static struct xha_obs hear_round(int fd, unsigned n)
{
    struct xha_obs obs;

    do
        hear(fd, &obs);
    while (obs.type != XHA_OBS_ROUND || obs.u.round.store_ops < n);
    return obs;
}

static double cpu_us(pid_t pid)
{
    struct timespec ts = { 0 };
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &ts))
        exit(1);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void measure(int n)
{
    struct xha_obs config = { .type = XHA_OBS_CONFIG, .u.config.round_interval_ms = 50 }, round;
    double before;
    pid_t pid;
    int fd;

    if (fake_xen_start(&fd, &pid) < 0)
        exit(1);
    fake->n_dom = n;
    for (int domid = 1; domid <= n; domid++) {
        struct xha_obs track = { .type = XHA_OBS_TRACK,
                                 .uuid = { { (uint8_t)(domid >> 8), (uint8_t)domid } } };

        strcpy(track.u.track.key, XHA_OBS_KEY);
        xha_obs_send(fd, &track);
    }
    xha_obs_send(fd, &config);
    hear_round(fd, (unsigned)n);
    before = cpu_us(pid);
    for (int i = 0; i < ROUNDS; i++)
        round = hear_round(fd, (unsigned)n);
    printf("observer.xenstore_ops_per_round.%d %u ops\n", n, round.u.round.store_ops);
    printf("observer.listings_per_round.%d %u hypercalls\n", n, round.u.round.hypercalls);
    printf("observer.cpu_per_round.%d %.0f us\n", n, (cpu_us(pid) - before) / ROUNDS);
    close(fd);
    fake_xen_stop(pid);
}

int main(void)
{
    measure(1);
    measure(100);
    measure(1000);
    return 0;
}

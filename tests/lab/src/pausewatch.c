/*
 * pausewatch: how often and how long a domain stands still because it was suspended, whoever does it to it. Runs in a
 * lab host's dom0; compiled by the story that needs it, because it wants Xen's headers.
 *
 *   pausewatch DOMID     until SIGTERM; then "PAUSES SUM_US LONGEST_US WATCHED_US"
 *
 * It looks once a millisecond, so that a pause is right to about that.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <xenctrl.h>

static volatile sig_atomic_t ended;

static void on_term(int number)
{
    ended = number;
}

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
    const uint32_t domid = argc > 1 ? (uint32_t)atoi(argv[1]) : 0;
    xc_interface *xc = xc_interface_open(NULL, NULL, 0);
    const int64_t began = now_us();
    int64_t since = 0, sum = 0, longest = 0;
    unsigned long pauses = 0;

    if (!xc || domid == 0) {
        fputs("usage: pausewatch DOMID, in a dom0\n", stderr);
        return 2;
    }
    sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_term }, NULL);
    while (!ended) {
        xc_domaininfo_t info;

        if (xc_domain_getinfolist(xc, domid, 1, &info) != 1 || info.domain != domid)
            break;
        if (!(info.flags & XEN_DOMINF_shutdown)) {
            const int64_t took = since ? now_us() - since : 0;

            longest = took > longest ? took : longest;
            sum += took;
            since = 0;
        } else if (!since) {
            since = now_us();
            pauses++;
        }
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    printf("%lu %lld %lld %lld\n", pauses, (long long)sum, (long long)longest, (long long)(now_us() - began));
    xc_interface_close(xc);
    return 0;
}

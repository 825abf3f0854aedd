/*
 * fake-xen.c - see fake-xen.h.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xenctrl.h>
#include <xenstore.h>

#include "fake-xen.h"
#include "xhad/base/observe.h"
#include "xhad/xen/beats.h"
#include "xhad/xen/observer.h"

struct fake_xen *fake;
static int event_fd; /* the observer's */

#define WRAP(type, name, ...)                                                                                \
    type __wrap_##name(__VA_ARGS__);                                                                         \
    type __wrap_##name(__VA_ARGS__)

WRAP(xc_interface *, xc_interface_open, xentoollog_logger *log, xentoollog_logger *dom, unsigned flags)
{
    (void)log, (void)dom, (void)flags;
    return (xc_interface *)fake;
}

WRAP(int, xc_interface_close, xc_interface *xch)
{
    (void)xch;
    return 0;
}

WRAP(int, xc_version, xc_interface *xch, int cmd, void *arg)
{
    (void)xch;
    if (cmd == XENVER_extraversion)
        strcpy(arg, ".3-test");
    return 4 << 16 | 17;
}

WRAP(int, xc_sched_id, xc_interface *xch, int *id)
{
    (void)xch;
    *id = XEN_SCHEDULER_CREDIT2;
    return 0;
}

WRAP(int, xc_domain_getinfolist, xc_interface *xch, uint32_t first, unsigned max, xc_domaininfo_t *info)
{
    unsigned n = 0;

    (void)xch;
    for (uint32_t domid = first ? first : 1; domid <= (uint32_t)fake->n_dom && n < max; domid++, n++) {
        memset(&info[n], 0, sizeof(*info));
        info[n].domain = (domid_t)domid;
        info[n].handle[0] = (uint8_t)(domid >> 8);
        info[n].handle[1] = (uint8_t)domid;
        info[n].cpu_time = domid * 1000u;
        info[n].flags = domid == 1 ? (uint32_t)fake->flags : 0;
    }
    return (int)n;
}

WRAP(int, xc_physinfo, xc_interface *xch, xc_physinfo_t *phys)
{
    (void)xch;
    *phys = (xc_physinfo_t){ .total_pages = 1 << 20, .free_pages = 1 << 18, .nr_cpus = 4 };
    return 0;
}

WRAP(struct xs_handle *, xs_open, unsigned long flags)
{
    (void)flags;
    return (struct xs_handle *)fake;
}

WRAP(void, xs_close, struct xs_handle *xs)
{
    (void)xs;
}

static void wait_while_stuck(void)
{
    while (fake->stuck)
        poll(NULL, 0, 1);
}

WRAP(bool, xs_write, struct xs_handle *xs, xs_transaction_t t, const char *path, const void *data,
     unsigned len)
{
    (void)xs, (void)t;
    wait_while_stuck();
    if (strcmp(path, XHA_BEATS_CANARY) != 0 || len >= sizeof(fake->canary))
        return false;
    if (!fake->canary_lost)
        snprintf(fake->canary, sizeof(fake->canary), "%.*s", (int)len, (const char *)data);
    return true;
}

WRAP(void *, xs_read, struct xs_handle *xs, xs_transaction_t t, const char *path, unsigned *len)
{
    char text[64];
    int domid;

    (void)xs, (void)t;
    wait_while_stuck();
    if (strcmp(path, XHA_BEATS_CANARY) == 0)
        snprintf(text, sizeof(text), "%s", fake->canary);
    else if (sscanf(path, "/local/domain/%d/data/heartbeat", &domid) != 1 || fake->read_errno) {
        errno = fake->read_errno ? fake->read_errno : EINVAL;
        return NULL;
    } else
        snprintf(text, sizeof(text), "%llu", (unsigned long long)fake->beat + (unsigned)domid);
    *len = (unsigned)strlen(text);
    return strdup(text);
}

WRAP(bool, xs_watch, struct xs_handle *xs, const char *path, const char *token)
{
    (void)xs, (void)token;
    return path[0] == '@';
}

WRAP(char **, xs_read_watch, struct xs_handle *xs, unsigned *n)
{
    char byte;

    (void)xs;
    *n = 2;
    if (read(event_fd, &byte, 1) != 1)
        for (;;)
            pause();
    return calloc(2, sizeof(char *));
}

/* Never returns. What the observer is not to have is closed, or it would hold our end open. */
static void run_observer(int theirs)
{
    event_fd = fcntl(fake->watch_pipe[0], F_DUPFD, 64);

    if (theirs != XHA_OBS_FD)
        dup2(theirs, XHA_OBS_FD);
    for (int fd = XHA_OBS_FD + 1; fd < 64; fd++)
        close(fd);
    _exit(xha_observer_main());
}

int fake_xen_start(int *ours_r, pid_t *pid_r)
{
    int theirs;

    fake = mmap(NULL, sizeof(*fake), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (fake == MAP_FAILED || pipe(fake->watch_pipe) < 0 || xha_obs_pair(ours_r, &theirs) != XHA_OBS_OK)
        return -1;
    fake->n_dom = 2;
    *pid_r = fork();
    if (*pid_r == 0)
        run_observer(theirs);
    close(theirs);
    return *pid_r < 0 ? -1 : 0;
}

int fake_xen_stop(pid_t pid)
{
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    close(fake->watch_pipe[0]);
    close(fake->watch_pipe[1]);
    return munmap(fake, sizeof(*fake));
}

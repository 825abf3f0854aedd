/*
 * watchdog.c - the hypercalls of the watchdog's holder, and its claim on the processor: a busy dom0 must not
 * delay a poke. What is done when is base/watch_hold.c's.
 */
#include "xhad/xen/watchdog.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/watch.h"

#include <ctype.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <xenctrl.h>

#define PRIORITY 50

static int watchdog(void *user, uint32_t id, uint32_t seconds)
{
    if (id == 0 && seconds == 0) { /* it would fire at once */
        errno = EINVAL;
        return -1;
    }
    return xc_watchdog(user, id, seconds);
}

static bool process_runs(const char *name)
{
    XHA_CLEANUP_CLOSEDIR DIR *proc = opendir("/proc");
    const struct dirent *e;

    while (proc && (e = readdir(proc))) {
        char path[300], comm[32];
        XHA_CLEANUP_CLOSE int fd = -1;
        ssize_t n;

        if (!isdigit((unsigned char)e->d_name[0]))
            continue;
        snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? -1 : read(fd, comm, sizeof(comm) - 1);
        if (n > 1 && (size_t)n == strlen(name) + 1 && strncmp(comm, name, strlen(name)) == 0)
            return true;
    }
    return false;
}

static void who(void *user, char *buf, size_t len)
{
    bool daemon = process_runs("xenwatchdogd"), module = access("/sys/module/xen_wdt", F_OK) == 0;

    (void)user;
    snprintf(buf, len, "%s%s%s", daemon ? "xenwatchdogd (kill -USR1 ends it with its timer)" : "",
             daemon && module ? " and " : "", module ? "the kernel module xen_wdt" : "");
}

/* What was not permitted, for people; "" when all was. */
static void claim_priority(char *buf, size_t len)
{
    struct sched_param param = { .sched_priority = PRIORITY };
    int r;

    *buf = '\0';
    if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param) < 0)
        snprintf(buf, len, "no real-time priority: %s. A busy dom0 may delay pokes", strerror(errno));
    r = mlockall(MCL_CURRENT | MCL_FUTURE);
    if (r < 0 && !*buf)
        snprintf(buf, len, "its memory cannot be locked: %s. A dom0 that swaps may delay pokes",
                 strerror(errno));
}

int xha_watchdog_main(const char *run_dir)
{
    static const struct xha_watch_ops ops = { .watchdog = watchdog, .who = who };
    char complaint[XHA_WATCH_TEXT_MAX];
    xc_interface *xch;
    int status;

    if (fcntl(XHA_WATCH_FD, F_SETFD, FD_CLOEXEC) < 0) {
        fprintf(stderr, "xhad-xen: watchdog: no socket on fd 3; it is started by xhad(8)\n");
        return 1;
    }
    xch = xc_interface_open(NULL, NULL, 0);
    if (!xch) {
        fprintf(
            stderr,
            "xhad-xen: watchdog: no hypervisor to talk to: %s. Is this a dom0, and /dev/xen/privcmd there?\n",
            strerror(errno));
        return 1;
    }
    claim_priority(complaint, sizeof(complaint));
    status = xha_watch_hold(run_dir, &ops, xch, complaint);
    xc_interface_close(xch);
    return status;
}

/*
 * The agent's dealings with the guest's system. See system.h.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "guest/system.h"

#define WDIOC_GETTIMEOUT _IOR('W', 7, int) /* linux/watchdog.h, which the static build does not have */

static int syslog_fd = -1; /* a socket for /dev/log in the background; -1 in the foreground */

/*
 * A log that nobody reads must not hold up the beat: what cannot be written at once is dropped.
 */
void xha_guest_log(const char *fmt, ...)
{
    static const struct sockaddr_un dev_log = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
    struct pollfd err = { .fd = STDERR_FILENO, .events = POLLOUT };
    char line[512];
    size_t len;
    va_list ap;

    if (syslog_fd >= 0)
        snprintf(line, sizeof(line), "<%d>xha-guest[%d]: ", LOG_DAEMON | LOG_WARNING, (int)getpid());
    else
        snprintf(line, sizeof(line), "xha-guest: ");
    len = strlen(line);
    va_start(ap, fmt);
    vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap); /* room for the newline */
    va_end(ap);
    len = strlen(line);
    if (syslog_fd >= 0) {
        /* by name each time: syslogd may have been restarted */
        sendto(syslog_fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&dev_log,
               sizeof(dev_log));
    } else if (poll(&err, 1, 0) == 1 && (err.revents & POLLOUT)) {
        line[len++] = '\n';
        if (write(STDERR_FILENO, line, len) < 0)
            return; /* where could that be told? */
    }
}

bool xha_guest_daemonize(void)
{
    int fd;

    for (int i = 0; i < 2; i++) { /* twice, with a session between: no terminal can come back */
        pid_t pid = fork();

        if (pid < 0)
            return false;
        if (pid > 0)
            _exit(0);
        if (i == 0)
            setsid();
    }
    if (chdir("/") < 0)
        return false;
    fd = open("/dev/null", O_RDWR);
    if (fd < 0)
        return false;
    for (int i = 0; i <= 2; i++)
        dup2(fd, i);
    if (fd > 2)
        close(fd);
    syslog_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return true;
}

void xha_guest_lock_memory(void)
{
    if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
        xha_guest_log(
            "cannot lock memory (%s): beats may be late when this guest swaps; run as root or raise "
            "LimitMEMLOCK",
            strerror(errno));
}

void xha_guest_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    socklen_t len;
    int fd;

    if (!path || (*path != '/' && *path != '@') || strlen(path) >= sizeof(sun.sun_path))
        return;
    strcpy(sun.sun_path, path);
    len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (*path == '@')
        sun.sun_path[0] = '\0'; /* the abstract name space */
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&sun, len) < 0)
        xha_guest_log("cannot tell the service manager %s: %s", state, strerror(errno));
    close(fd);
}

int xha_guest_watchdog_open(const char *device, int64_t interval_ms)
{
    int timeout_s = 60; /* xen_wdt's own default, for a driver that does not tell */
    int fd = open(device, O_WRONLY | O_CLOEXEC);

    if (fd < 0) {
        xha_guest_log("cannot open watchdog %s: %s; is the module xen_wdt loaded, or another program at it?",
                      device, strerror(errno));
        return -1;
    }
    if (ioctl(fd, WDIOC_GETTIMEOUT, &timeout_s) == 0 && timeout_s <= 0)
        timeout_s = 60;
    if (interval_ms * 2 > timeout_s * (int64_t)1000) {
        xha_guest_log("watchdog %s fires after %d s: want a beat interval of at most half of that", device,
                      timeout_s);
        xha_guest_watchdog_close(fd);
        return -1;
    }
    return fd;
}

void xha_guest_watchdog_pet(int fd)
{
    if (fd >= 0 && write(fd, ".", 1) < 0)
        xha_guest_log("cannot pet the watchdog: %s", strerror(errno));
}

void xha_guest_watchdog_close(int fd)
{
    if (fd < 0)
        return;
    if (write(fd, "V", 1) < 0)
        xha_guest_log("cannot disarm the watchdog: %s; it may restart this guest", strerror(errno));
    close(fd);
}

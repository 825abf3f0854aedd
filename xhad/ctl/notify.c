/*
 * notify.c - sd_notify(3) as the datagram that it is, without libsystemd.
 */
#include "xhad/ctl/notify.h"
#include "xhad/base/cleanup.h"
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

void xha_notify(const char *fmt, ...)
{
    XHA_CLEANUP_CLOSE int fd = -1;
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    const char *path = getenv("NOTIFY_SOCKET");
    char text[512];
    va_list ap;
    int len;

    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof to.sun_path)
        return;
    strcpy(to.sun_path, path);
    if (path[0] == '@')
        to.sun_path[0] = '\0';
    va_start(ap, fmt);
    len = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || len < 0 || (size_t)len >= sizeof text)
        return;
    /* systemd not listening is no reason to do anything else. */
    (void)sendto(fd, text, (size_t)len, MSG_NOSIGNAL, (struct sockaddr *)&to,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)));
}

int64_t xha_notify_watchdog_ms(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    char *end;
    long long value;

    if (!usec || (pid && strtol(pid, NULL, 10) != (long)getpid()))
        return 0;
    value = strtoll(usec, &end, 10);
    return *end || value <= 0 ? 0 : value / 2000;
}

/*
 * connect.c - the way to xhad: which socket, and what to tell whom it does not lead anywhere.
 */
#include "xl-plugins/xl-ha.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "xhad/base/cleanup.h"
#include "xhad/base/conf.h"

/* RUN/control.sock, RUN as xhad.conf says; as built in, when there is no good xhad.conf. */
static int default_path(char *buf, size_t len)
{
    struct xha_problems problems = { 0 };
    struct xha_conf conf;
    int rc;

    rc = xha_conf_load(xha_conf_path, &conf, &problems);
    xha_problems_clear(&problems);
    if (rc)
        rc = xha_conf_default(&conf);
    if (rc)
        return xlha_fail(XLHA_FAILED, "out of memory");
    snprintf(buf, len, "%s/control.sock", conf.run_dir);
    xha_conf_clear(&conf);
    return XLHA_DONE;
}

static int refused(const char *path, int error)
{
    if (error == EACCES || error == EPERM)
        return xlha_fail(XLHA_FORBIDDEN, "%s: only root may talk to xhad: become root, or use sudo", path);
    if (error == ENOENT || error == ECONNREFUSED)
        return xlha_fail(
            XLHA_UNREACHABLE,
            "xhad is not running (%s: %s); start it: systemctl start xhad, or service xhad start", path,
            strerror(error));
    return xlha_fail(XLHA_UNREACHABLE, "cannot reach xhad at %s: %s", path, strerror(error));
}

int xlha_connect(const struct xlha *x, int *fd_r)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    XHA_CLEANUP_CLOSE int fd = -1;
    char path[256];
    int rc;

    if (!x->socket) {
        rc = default_path(path, sizeof(path));
        if (rc)
            return rc;
    } else {
        snprintf(path, sizeof(path), "%s", x->socket);
    }
    if (strlen(path) >= sizeof(address.sun_path))
        return xlha_fail(XLHA_USAGE, "%s: too long for the path of a socket", path);
    strcpy(address.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
        return refused(path, errno);
    *fd_r = xha_steal_fd(&fd);
    return XLHA_DONE;
}

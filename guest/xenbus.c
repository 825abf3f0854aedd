/*
 * xenstore as a guest sees it. See xenbus.h.
 *
 * The kernel's driver (drivers/xen/xenbus/xenbus_dev_frontend.c) keeps the connection over suspend, restore
 * and migration and finishes what is under way; transactions would be lost, so none are used. A reply that
 * never comes (xenstored was restarted) ends in a timeout and a fresh open.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "guest/clock.h"
#include "guest/xenbus.h"

/* Watch events and late replies passed over while waiting for one reply; more is a flood. */
#define STRAYS_MAX 64

static const struct {
    const char *name;
    int value;
} xs_errors[] = {
    /* xsd_errors[] of xs_wire.h */
    { "EINVAL", EINVAL }, { "EACCES", EACCES }, { "EEXIST", EEXIST },       { "EISDIR", EISDIR },
    { "ENOENT", ENOENT }, { "ENOMEM", ENOMEM }, { "ENOSPC", ENOSPC },       { "EIO", EIO },
    { "ENOSYS", ENOSYS }, { "EROFS", EROFS },   { "ENOTEMPTY", ENOTEMPTY }, { "EBUSY", EBUSY },
    { "EAGAIN", EAGAIN }, { "E2BIG", E2BIG },   { "EISCONN", EISCONN },     { "EPERM", EPERM },
};

__attribute__((format(printf, 2, 3))) static int lost(struct xha_guest_xenbus *bus, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(bus->trouble, sizeof(bus->trouble), fmt, ap);
    va_end(ap);
    xha_guest_xenbus_close(bus);
    return XHA_GUEST_LOST;
}

void xha_guest_xenbus_init(struct xha_guest_xenbus *bus, int timeout_ms)
{
    *bus = (struct xha_guest_xenbus){ .fd = -1, .next_id = 1, .timeout_ms = timeout_ms };
}

void xha_guest_xenbus_close(struct xha_guest_xenbus *bus)
{
    if (bus->fd >= 0)
        close(bus->fd);
    bus->fd = -1;
}

static int connect_socket(const char *path)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    int fd;

    if (strlen(path) >= sizeof(sun.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(sun.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
        int e = errno;

        close(fd);
        errno = e;
        return -1;
    }
    return fd;
}

static int open_path(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return -1;
    if (S_ISSOCK(st.st_mode))
        return connect_socket(path);
    return open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
}

int xha_guest_xenbus_open(struct xha_guest_xenbus *bus, const char *path)
{
    static const char *const kernel_names[] = { "/dev/xen/xenbus", "/proc/xen/xenbus" };

    xha_guest_xenbus_close(bus);
    if (path) {
        bus->fd = open_path(path);
    } else {
        path = kernel_names[0];
        bus->fd = open_path(path);
        if (bus->fd < 0 && errno == ENOENT)
            bus->fd = open_path(kernel_names[1]);
    }
    if (bus->fd < 0)
        return lost(bus, "cannot open %s: %s", path, strerror(errno));
    return 0;
}

/* Waits until the connection is ready for `events`; false when time is up. */
static bool wait_ready(struct xha_guest_xenbus *bus, short events, struct xha_guest_time deadline)
{
    for (;;) {
        struct pollfd p = { .fd = bus->fd, .events = events };
        int64_t left_ms = deadline.ms - xha_guest_now().ms;
        int r = poll(&p, 1, left_ms > 0 ? (int)left_ms : 0);

        if (r > 0)
            return true;
        if (r == 0 || errno != EINTR)
            return false;
    }
}

static int send_all(struct xha_guest_xenbus *bus, const void *data, size_t len,
                    struct xha_guest_time deadline)
{
    const char *p = data;

    while (len) {
        ssize_t r = write(bus->fd, p, len);

        if (r > 0) {
            p += r;
            len -= (size_t)r;
        } else if (r < 0 && errno == EINTR) {
            continue;
        } else if (r < 0 && errno == EAGAIN) {
            if (!wait_ready(bus, POLLOUT, deadline))
                return lost(bus, "xenstore takes no request within %d ms", bus->timeout_ms);
        } else {
            return lost(bus, "cannot write to xenbus: %s", r < 0 ? strerror(errno) : "nothing was taken");
        }
    }
    return 0;
}

static int receive_all(struct xha_guest_xenbus *bus, void *data, size_t len, struct xha_guest_time deadline)
{
    char *p = data;

    while (len) {
        ssize_t r = read(bus->fd, p, len);

        if (r > 0) {
            p += r;
            len -= (size_t)r;
        } else if (r == 0) {
            return lost(bus, "xenstore closed the connection");
        } else if (errno == EAGAIN) {
            if (!wait_ready(bus, POLLIN, deadline))
                return lost(bus, "xenstore gave no reply within %d ms", bus->timeout_ms);
        } else if (errno != EINTR) {
            return lost(bus, "cannot read from xenbus: %s", strerror(errno));
        }
    }
    return 0;
}

/* Names come from outside: only known ones are believed, none is printed as it came. */
static int refused(struct xha_guest_xenbus *bus, const char *name, size_t len)
{
    bus->refused_errno = EPROTO;
    for (size_t i = 0; i < sizeof(xs_errors) / sizeof(xs_errors[0]); i++) {
        if (strnlen(name, len) == strlen(xs_errors[i].name) &&
            !strncmp(name, xs_errors[i].name, strlen(xs_errors[i].name)))
            bus->refused_errno = xs_errors[i].value;
    }
    snprintf(bus->trouble, sizeof(bus->trouble), "xenstore refused the request: %s",
             bus->refused_errno == EPROTO ? "an error it has no known name for"
                                          : strerror(bus->refused_errno));
    return XHA_GUEST_REFUSED;
}

/* Reads until the reply to request `id` is there, passing over watch events and replies that came too late.
 */
static int receive_reply(struct xha_guest_xenbus *bus, uint32_t type, uint32_t id, char *payload_r,
                         size_t *len_r, struct xha_guest_time deadline)
{
    struct xha_guest_xs_header head;

    for (int strays = 0; strays <= STRAYS_MAX; strays++) {
        int rc = receive_all(bus, &head, sizeof(head), deadline);

        if (rc)
            return rc;
        if (head.len > XHA_GUEST_XS_PAYLOAD_MAX)
            return lost(bus, "xenstore announced %lu bytes, more than the protocol's %d",
                        (unsigned long)head.len, XHA_GUEST_XS_PAYLOAD_MAX);
        rc = receive_all(bus, payload_r, head.len, deadline);
        if (rc)
            return rc;
        if (head.type == XHA_GUEST_XS_WATCH_EVENT) {
            bus->watch_fired = true;
        } else if (head.req_id == id) {
            if (head.type == XHA_GUEST_XS_ERROR)
                return refused(bus, payload_r, head.len);
            if (head.type != type)
                return lost(bus, "xenstore answered request type %lu with type %lu", (unsigned long)type,
                            (unsigned long)head.type);
            *len_r = head.len;
            return 0;
        }
    }
    return lost(bus, "xenstore sent %d messages that answer nothing", STRAYS_MAX);
}

/* Payload: the first string with its NUL, then `len` bytes more. The reply's payload goes to reply_r. */
static int request(struct xha_guest_xenbus *bus, uint32_t type, const char *first, const char *second,
                   size_t second_len, char *reply_r, size_t *len_r)
{
    struct {
        struct xha_guest_xs_header head;
        char payload[XHA_GUEST_KEY_MAX + 1 + XHA_GUEST_VALUE_MAX];
    } msg = { .head = { .type = type } };
    size_t first_len = strlen(first) + 1;
    struct xha_guest_time deadline = xha_guest_after(xha_guest_now(), bus->timeout_ms);
    int rc;

    if (bus->fd < 0)
        return lost(bus, "xenbus is not open");
    if (first_len > XHA_GUEST_KEY_MAX + 1 || second_len > XHA_GUEST_VALUE_MAX) {
        bus->refused_errno = E2BIG;
        snprintf(bus->trouble, sizeof(bus->trouble), "key or value too long for xenstore");
        return XHA_GUEST_REFUSED;
    }
    msg.head.req_id = bus->next_id++;
    msg.head.len = (uint32_t)(first_len + second_len);
    memcpy(msg.payload, first, first_len);
    memcpy(msg.payload + first_len, second, second_len);
    rc = send_all(bus, &msg, sizeof(msg.head) + msg.head.len, deadline);
    if (rc)
        return rc;
    return receive_reply(bus, type, msg.head.req_id, reply_r, len_r, deadline);
}

int xha_guest_xenbus_write(struct xha_guest_xenbus *bus, const char *key, const char *value)
{
    char reply[XHA_GUEST_XS_PAYLOAD_MAX];
    size_t len = 0;

    return request(bus, XHA_GUEST_XS_WRITE, key, value, strlen(value), reply, &len);
}

int xha_guest_xenbus_read(struct xha_guest_xenbus *bus, const char *key, char *value_r, size_t *len_r)
{
    char reply[XHA_GUEST_XS_PAYLOAD_MAX];
    size_t len = 0;
    int rc = request(bus, XHA_GUEST_XS_READ, key, "", 0, reply, &len);

    if (rc)
        return rc;
    if (len > XHA_GUEST_VALUE_MAX) {
        bus->refused_errno = E2BIG;
        snprintf(bus->trouble, sizeof(bus->trouble), "the value in xenstore is too long");
        return XHA_GUEST_REFUSED;
    }
    memcpy(value_r, reply, len);
    value_r[len] = '\0';
    *len_r = len;
    return 0;
}

int xha_guest_xenbus_watch(struct xha_guest_xenbus *bus, const char *key)
{
    static const char token[] = "xha"; /* sent with its NUL, like the path */
    char reply[XHA_GUEST_XS_PAYLOAD_MAX];
    size_t len = 0;

    return request(bus, XHA_GUEST_XS_WATCH, key, token, sizeof(token), reply, &len);
}

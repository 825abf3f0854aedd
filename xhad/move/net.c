/*
 * net.c - see net.h.
 */
#include "xhad/move/net.h"
#include "xhad/base/cleanup.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define TICK_MS  100 /* between two looks at stop */
#define RETRY_MS 200 /* between two tries to connect */
#define DEFER_S  60  /* connections that have said nothing are not accepted before */

/* poll() of one descriptor until a time. 1: ready, 0: the time is over, -1 with errno (ECANCELED: stopped).
 */
static int wait_for(int fd, short events, int64_t until_ms, const struct xha_stop *stop)
{
    for (;;) {
        struct pollfd p = { .fd = fd, .events = events };
        int64_t left = until_ms - xha_move_now_ms();
        int r;

        if (xha_stop_asked(stop)) {
            errno = ECANCELED;
            return -1;
        }
        if (left <= 0)
            return 0;
        r = poll(&p, 1, left < TICK_MS ? (int)left : TICK_MS);
        if (r > 0)
            return 1;
        if (r < 0 && errno != EINTR)
            return -1;
    }
}

/* ---- listening ---- */

/* 0, or -1 with errno. */
static int bind_one(int fd, const struct addrinfo *ai, uint16_t port, uint16_t *port_r)
{
    struct sockaddr_storage addr = { 0 };
    socklen_t len = sizeof(addr);

    memcpy(&addr, ai->ai_addr, ai->ai_addrlen);
    if (ai->ai_family == AF_INET6)
        ((struct sockaddr_in6 *)&addr)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)&addr)->sin_port = htons(port);
    if (bind(fd, (struct sockaddr *)&addr, ai->ai_addrlen) < 0 || listen(fd, 16) < 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
        return -1;
    *port_r = ntohs(ai->ai_family == AF_INET6 ? ((struct sockaddr_in6 *)&addr)->sin6_port
                                              : ((struct sockaddr_in *)&addr)->sin_port);
    return 0;
}

/* A socket that listens at this address and a port of the range; -1 with errno. */
static int listen_at(const struct addrinfo *ai, uint16_t first, uint16_t last, uint16_t *port_r)
{
    const int on = 1, off = 0, defer_s = DEFER_S;

    for (uint32_t port = first; port <= last; port++) {
        XHA_CLEANUP_CLOSE int fd =
            socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, ai->ai_protocol);

        if (fd < 0)
            return -1;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        if (ai->ai_family == AF_INET6)
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
        /* Whoever means us speaks first: one that does not (a port scan, a check) must not be waited for. */
        setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer_s, sizeof(defer_s));
        if (bind_one(fd, ai, (uint16_t)port, port_r) == 0)
            return xha_steal_fd(&fd);
        if (errno != EADDRINUSE)
            return -1;
    }
    errno = EADDRINUSE;
    return -1;
}

int xha_net_listen(const char *address, uint16_t first, uint16_t last, uint16_t *port_r, char *err,
                   size_t err_len)
{
    const struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
                                    .ai_socktype = SOCK_STREAM };
    /* all addresses: IPv6's takes IPv4 as well, where there is IPv6 */
    const char *const any[] = { "::", "0.0.0.0" };
    const char *why = NULL;

    if (last < first)
        last = first;
    for (size_t i = 0; i < (address[0] ? 1u : 2u); i++) {
        struct addrinfo *list = NULL;
        int r = getaddrinfo(address[0] ? address : any[i], "0", &hints, &list), fd = -1;

        if (r == 0) {
            fd = listen_at(list, first, last, port_r);
            why = fd < 0 ? strerror(errno) : NULL;
            freeaddrinfo(list);
        } else {
            why = gai_strerror(r);
        }
        if (fd >= 0)
            return fd;
    }
    snprintf(err, err_len, "cannot listen at %s, ports %u-%u: %s", address[0] ? address : "any address",
             (unsigned)first, (unsigned)last, why);
    return -1;
}

static void name_peer(const struct sockaddr_storage *addr, socklen_t len, char peer[XHA_ADDRESS_TEXT])
{
    char host[48], port[8];

    if (getnameinfo((const struct sockaddr *)addr, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV))
        snprintf(peer, XHA_ADDRESS_TEXT, "an unknown address");
    else
        snprintf(peer, XHA_ADDRESS_TEXT, "[%s]:%s", host, port);
}

int xha_net_accept(int listen_fd, int64_t until_ms, const struct xha_stop *stop, char peer[XHA_ADDRESS_TEXT],
                   char *err, size_t err_len)
{
    for (;;) {
        struct sockaddr_storage addr;
        socklen_t len = sizeof(addr);
        int r = wait_for(listen_fd, POLLIN, until_ms, stop), fd;

        if (r == 0) {
            snprintf(err, err_len, "nobody connected in time");
            return -1;
        }
        fd = r < 0 ? -1 : accept4(listen_fd, (struct sockaddr *)&addr, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            name_peer(&addr, len, peer);
            return fd;
        }
        if (r > 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
            continue;
        snprintf(err, err_len, "%s", errno == ECANCELED ? "told to stop" : strerror(errno));
        return -1;
    }
}

/* ---- connecting ---- */

/* One address; the socket, or -1 with errno. */
static int connect_one(const struct addrinfo *ai, int64_t until_ms, const struct xha_stop *stop)
{
    XHA_CLEANUP_CLOSE int fd =
        socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, ai->ai_protocol);
    int error = 0, r;
    socklen_t len = sizeof(error);

    if (fd < 0)
        return -1;
    if (connect(fd, ai->ai_addr, ai->ai_addrlen) == 0)
        return xha_steal_fd(&fd);
    if (errno != EINPROGRESS)
        return -1;
    r = wait_for(fd, POLLOUT, until_ms, stop);
    if (r < 0)
        return -1;
    if (r == 0)
        error = ETIMEDOUT;
    else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return -1;
    if (error == 0)
        return xha_steal_fd(&fd);
    errno = error;
    return -1;
}

static int connect_any(const struct addrinfo *list, int64_t until_ms, const struct xha_stop *stop)
{
    int fd = -1;

    for (const struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next)
        fd = connect_one(ai, until_ms, stop);
    return fd;
}

int xha_net_connect(const char *host, uint16_t port, int64_t until_ms, const struct xha_stop *stop, char *err,
                    size_t err_len)
{
    const struct addrinfo hints = { .ai_flags = AI_NUMERICSERV, .ai_socktype = SOCK_STREAM };
    const struct timespec pause = { .tv_nsec = RETRY_MS * 1000000L };
    struct addrinfo *list = NULL;
    char service[8];
    int fd, r;

    snprintf(service, sizeof(service), "%u", (unsigned)port);
    r = getaddrinfo(host, service, &hints, &list);
    if (r) {
        snprintf(err, err_len, "host %.200s is not known: %s", host, gai_strerror(r));
        return -1;
    }
    for (;;) {
        fd = connect_any(list, until_ms, stop);
        if (fd >= 0 || errno == ECANCELED || xha_move_now_ms() + RETRY_MS >= until_ms)
            break;
        nanosleep(&pause, NULL);
    }
    if (fd < 0)
        snprintf(err, err_len, "host %.200s, port %u: %s", host, (unsigned)port,
                 errno == ECANCELED ? "told to stop" : strerror(errno));
    freeaddrinfo(list);
    return fd;
}

void xha_net_watch(int fd, int64_t timeout_ms)
{
    const int on = 1, probes = 3;
    const int gap_s = (int)((timeout_ms + 3999) / 4000);
    /* A receiver that is busy lets no bytes in for a while, and the kernel counts that too. */
    const unsigned user_ms = (unsigned)timeout_ms * 3;

    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &gap_s, sizeof(gap_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &gap_s, sizeof(gap_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_ms, sizeof(user_ms));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

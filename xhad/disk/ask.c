/*
 * ask.c - see ask.h.
 */
#include "xhad/disk/ask.h"
#include "xhad/base/cleanup.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

int xha_ask_connect(const char *socket_path, char what_for)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    XHA_CLEANUP_CLOSE int fd = -1;

    if (strlen(socket_path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, socket_path, strlen(socket_path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        send(fd, &what_for, 1, MSG_NOSIGNAL) != 1)
        return -1;
    return xha_steal_fd(&fd);
}

int xha_ask_send_all(int fd, const void *bytes, size_t len)
{
    const uint8_t *from = bytes;

    while (len > 0) {
        const ssize_t n = send(fd, from, len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        from += n;
        len -= (size_t)n;
    }
    return 0;
}

int xha_ask_receive_all(int fd, void *bytes, size_t len)
{
    uint8_t *to = bytes;

    while (len > 0) {
        const ssize_t n = recv(fd, to, len, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n == 0 ? EPIPE : errno;
            return -1;
        }
        to += n;
        len -= (size_t)n;
    }
    return 0;
}

int xha_ask(int fd, enum xha_ask what, uint64_t number, int patience_s, char *text, size_t text_len)
{
    const struct xha_ask_question question = { .what = (uint8_t)what, .number = number };
    const struct timeval patience = { .tv_sec = patience_s };
    char said[XHA_ASK_TEXT_MAX + 1] = "";
    struct xha_ask_answer answer;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (send(fd, &question, sizeof(question), MSG_NOSIGNAL) != (ssize_t)sizeof(question) ||
        xha_ask_receive_all(fd, &answer, sizeof(answer)) < 0 || answer.len > XHA_ASK_TEXT_MAX ||
        xha_ask_receive_all(fd, said, answer.len) < 0) {
        answer.rc = -1;
        snprintf(said, sizeof(said), "the disk's plugin does not answer: %s", strerror(errno));
    }
    if (text)
        snprintf(text, text_len, "%s", said);
    return answer.rc == 0 ? 0 : -1;
}

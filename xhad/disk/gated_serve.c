/*
 * gated_serve.c - the socket of a gated disk: a thread for each connection, see ask.h.
 */
#include "xhad/disk/gated_internal.h"
#include "xhad/disk/ask.h"
#include "xhad/base/cleanup.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define CONNECTIONS_MAX 32

struct connection {
    struct connection *next;
    struct xha_gated *g;
    pthread_t thread;
    int fd; /* to wake its thread by; the thread works on one of its own */
    bool over;
};

static int transfer(int fd, void *bytes, size_t len, bool send_it)
{
    uint8_t *at = bytes;

    while (len > 0) {
        const ssize_t n = send_it ? send(fd, at, len, MSG_NOSIGNAL) : recv(fd, at, len, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

static void answer_questions(struct xha_gated *g, int fd)
{
    struct xha_ask_question question;
    struct xha_ask_answer answer;
    char text[XHA_ASK_TEXT_MAX];

    while (transfer(fd, &question, sizeof(question), false) == 0) {
        answer.rc = -gated_answer(g, question.what, question.number, text, sizeof(text));
        answer.len = (uint32_t)strlen(text);
        if (transfer(fd, &answer, sizeof(answer), true) < 0 || transfer(fd, text, answer.len, true) < 0)
            break;
    }
}

static void *serve(void *arg)
{
    struct connection *c = arg;
    XHA_CLEANUP_CLOSE int fd = dup(c->fd);
    char what_for = 0;

    if (fd >= 0 && transfer(fd, &what_for, 1, false) == 0) {
        if (what_for == XHA_ASK_CONTROL)
            answer_questions(c->g, fd);
        else if (what_for == XHA_ASK_FEED)
            xha_front_feed(c->g->front, xha_steal_fd(&fd));
        else if (what_for == XHA_ASK_BACK)
            gated_take(c->g, xha_steal_fd(&fd));
    }
    shutdown(c->fd, SHUT_RDWR);
    pthread_mutex_lock(&c->g->lock);
    c->over = true;
    pthread_mutex_unlock(&c->g->lock);
    return NULL;
}

/* Joins those that are over; all: every one of them. Returns how many there are left. */
static unsigned reap(struct xha_gated *g, bool all)
{
    struct connection **at = &g->connections, *c;
    unsigned n = 0;

    while ((c = *at)) {
        bool over;

        pthread_mutex_lock(&g->lock);
        over = c->over;
        pthread_mutex_unlock(&g->lock);
        if (!over && !all) {
            at = &c->next;
            n++;
            continue;
        }
        shutdown(c->fd, SHUT_RDWR);
        pthread_join(c->thread, NULL);
        close(c->fd);
        *at = c->next;
        free(c);
    }
    return n;
}

static void welcome(struct xha_gated *g, int fd)
{
    struct connection *c = reap(g, false) < CONNECTIONS_MAX ? calloc(1, sizeof(*c)) : NULL;

    if (c) {
        *c = (struct connection){ .g = g, .fd = fd, .next = g->connections };
        if (pthread_create(&c->thread, NULL, serve, c) == 0) {
            g->connections = c;
            return;
        }
    }
    free(c);
    close(fd);
}

static void *listen_on(void *arg)
{
    struct xha_gated *g = arg;
    int fd;

    while ((fd = accept4(g->listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0 || errno == EINTR ||
           errno == ECONNABORTED)
        if (fd >= 0)
            welcome(g, fd);
    return NULL;
}

int gated_listen(struct xha_gated *gated)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    sigset_t all, before;
    int r;

    if (strlen(gated->conf.socket) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, gated->conf.socket, strlen(gated->conf.socket));
    unlink(gated->conf.socket); /* whoever had it is gone: the state's lock is ours */
    gated->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (gated->listen_fd < 0 || fchmod(gated->listen_fd, 0600) < 0 ||
        bind(gated->listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        chmod(gated->conf.socket, 0600) < 0 || listen(gated->listen_fd, CONNECTIONS_MAX) < 0)
        return -1;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&gated->listener, NULL, listen_on, gated);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = r;
    gated->listens = r == 0;
    return r == 0 ? 0 : -1;
}

void gated_stop(struct xha_gated *gated)
{
    pthread_mutex_lock(&gated->lock);
    gated->quit = true;
    pthread_cond_broadcast(&gated->change);
    pthread_mutex_unlock(&gated->lock);
    shutdown(gated->listen_fd, SHUT_RDWR);
    pthread_join(gated->listener, NULL);
    reap(gated, true);
    close(xha_steal_fd(&gated->listen_fd));
    unlink(gated->conf.socket);
}

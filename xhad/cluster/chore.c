/*
 * chore.c - one detached thread per chore; see chore.h.
 *
 * The chore is shared by loop and thread and goes with the later of them. Whoever comes second to `turn`
 * (the thread with its end, the loop with its loss of interest) drops the work.
 */
#include "xhad/cluster/chore.h"
#include "xhad/base/cleanup.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

#define STACK_BYTES (512u << 10)

enum { TURN_NONE, TURN_ENDED, TURN_ABANDONED };

struct xha_chore {
    struct xha_chore_ops ops;
    void *arg, *work;
    uv_poll_t poll;
    int fd;
    atomic_int turn, users;
};

static void unref(struct xha_chore *chore)
{
    if (atomic_fetch_sub(&chore->users, 1) > 1)
        return;
    close(chore->fd);
    free(chore);
}

static void *thread(void *user)
{
    struct xha_chore *chore = user;

    chore->ops.run(chore->work);
    if (atomic_exchange(&chore->turn, TURN_ENDED) == TURN_ABANDONED)
        chore->ops.drop(chore->work);
    eventfd_write(chore->fd, 1);
    unref(chore);
    return NULL;
}

static void on_closed(uv_handle_t *handle)
{
    unref(handle->data);
}

static void on_ended(uv_poll_t *poll, int status, int events)
{
    struct xha_chore *chore = poll->data;
    struct xha_chore_ops ops = chore->ops;
    void *arg = chore->arg, *work = chore->work;

    (void)status;
    (void)events;
    uv_close((uv_handle_t *)poll, on_closed);
    ops.done(arg, work);
}

static int start_thread(struct xha_chore *chore)
{
    pthread_attr_t attr;
    sigset_t all, before;
    pthread_t id;
    int r;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the thread inherits it */
    r = pthread_create(&id, &attr, thread, chore);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return -r;
}

int xha_chore_start(uv_loop_t *loop, const struct xha_chore_ops *ops, void *arg, void *work,
                    struct xha_chore **chore_r)
{
    XHA_CLEANUP_CLOSE int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    XHA_CLEANUP_FREE struct xha_chore *chore = calloc(1, sizeof *chore);
    int r;

    if (fd < 0 || !chore)
        return fd < 0 ? -errno : -ENOMEM;
    *chore = (struct xha_chore){ .ops = *ops, .arg = arg, .work = work, .fd = fd };
    atomic_init(&chore->turn, TURN_NONE);
    atomic_init(&chore->users, 2);
    r = uv_poll_init(loop, &chore->poll, fd);
    if (r < 0)
        return r;
    chore->poll.data = chore;
    uv_poll_start(&chore->poll, UV_READABLE, on_ended);
    xha_steal_fd(&fd);
    r = start_thread(chore);
    if (r < 0) {
        atomic_store(&chore->users, 1);
        uv_close((uv_handle_t *)&chore->poll, on_closed);
        (void)xha_steal_ptr(chore);
        return r;
    }
    *chore_r = xha_steal_ptr(chore);
    return 0;
}

void xha_chore_abandon(struct xha_chore *chore)
{
    if (!chore)
        return;
    if (atomic_exchange(&chore->turn, TURN_ABANDONED) == TURN_ENDED)
        chore->ops.drop(chore->work);
    uv_close((uv_handle_t *)&chore->poll, on_closed);
}

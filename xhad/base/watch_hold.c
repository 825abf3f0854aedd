/*
 * watch_hold.c - the process that holds the host's watchdog, but for the hypercall itself: which timer is
 * ours, how the next holder finds it, what is answered.
 *
 * At most one timer is ours. RUN_DIR/watchdog names it, with the boot that it belongs to; it is written right
 * after the timer has begun and goes right after it has ended.
 */
#include "xhad/base/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"

#define BOOT_MAX 40
#define FILE_MAX 256

struct hold {
    const struct xha_watch_ops *ops;
    void *user;
    char path[PATH_MAX];
    char boot[BOOT_MAX];
    uint32_t id, seconds; /* id 0: no timer of ours runs */
    bool taken_over;      /* it was begun by an earlier holder */
};

static int read_boot(char buf[BOOT_MAX])
{
    XHA_CLEANUP_CLOSE int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, BOOT_MAX - 1);

    if (n <= 0)
        return -1;
    buf[n] = '\0';
    buf[strcspn(buf, "\n")] = '\0';
    return 0;
}

/* The timer that an earlier holder has left, if it is of this boot. */
static void recall(struct hold *h)
{
    XHA_CLEANUP_FREE char *text = NULL;
    char boot[BOOT_MAX];
    unsigned id, seconds;
    size_t len;

    if (xha_file_read(h->path, FILE_MAX, &text, &len) < 0)
        return;
    if (sscanf(text, "id %u seconds %u boot %39s", &id, &seconds, boot) != 3 || id == 0 || id > INT32_MAX ||
        seconds > XHA_WATCH_SECONDS_MAX || strcmp(boot, h->boot) != 0)
        return;
    h->id = id;
    h->seconds = seconds;
    h->taken_over = true;
}

static int note(const struct hold *h)
{
    char text[FILE_MAX];
    int n = snprintf(text, sizeof(text), "id %" PRIu32 " seconds %" PRIu32 " boot %s\n", h->id, h->seconds,
                     h->boot);

    return xha_file_write(h->path, 0600, text, (size_t)n);
}

static void forget(struct hold *h)
{
    h->id = h->seconds = 0;
    h->taken_over = false;
    unlink(h->path);
}

static void refuse(struct xha_watch_msg *answer, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void refuse(struct xha_watch_msg *answer, const char *fmt, ...)
{
    va_list ap;

    answer->type = XHA_WATCH_REFUSED;
    va_start(ap, fmt);
    vsnprintf(answer->text, sizeof(answer->text), fmt, ap);
    va_end(ap);
}

static void begin(struct hold *h, uint32_t seconds, struct xha_watch_msg *answer)
{
    char who[XHA_WATCH_TEXT_MAX / 2] = "";
    int id = h->ops->watchdog(h->user, 0, seconds);

    if (id < 0 && errno == ENOSPC) {
        h->ops->who(h->user, who, sizeof(who));
        refuse(answer, "both of Xen's watchdog timers of dom0 are taken%s%s; end one of their users",
               *who ? ": by " : "", who);
        return;
    }
    if (id <= 0) {
        refuse(answer, "Xen refused to begin a watchdog timer: %s", strerror(id < 0 ? errno : EPROTO));
        return;
    }
    h->id = (uint32_t)id;
    h->seconds = seconds;
    if (note(h) == 0)
        return;
    /* Unwritten, it could not be handed over: the next restart of xhad would reboot the host. */
    refuse(answer, "%.200s cannot be written: %s; without it no watchdog is armed", h->path, strerror(errno));
    if (h->ops->watchdog(h->user, h->id, 0) == 0)
        forget(h);
}

/* Pokes the timer that is ours. false: it does not run; when that is not certain, the order is refused. */
static bool renew(struct hold *h, uint32_t seconds, struct xha_watch_msg *answer)
{
    if (!h->id)
        return false;
    if (h->ops->watchdog(h->user, h->id, seconds) == 0)
        return true;
    if (errno == EINVAL) { /* somebody has ended it */
        forget(h);
        return false;
    }
    refuse(answer, "the watchdog timer %" PRIu32 " cannot be poked: %s", h->id, strerror(errno));
    return true;
}

static void arm(struct hold *h, uint32_t seconds, struct xha_watch_msg *answer)
{
    bool other = h->seconds != seconds;

    if (!renew(h, seconds, answer)) {
        begin(h, seconds, answer);
    } else if (answer->type == XHA_WATCH_OK) {
        answer->taken_over = h->taken_over;
        h->taken_over = false;
        h->seconds = seconds;
        if (other && note(h) < 0)
            fprintf(stderr, "watchdog: %s is not up to date: %s\n", h->path, strerror(errno));
    }
}

static void poke(struct hold *h, struct xha_watch_msg *answer)
{
    uint32_t id = h->id;

    if (renew(h, h->seconds, answer))
        return;
    if (id)
        refuse(answer, "the watchdog timer %" PRIu32 " is gone: something else has ended it", id);
    else
        refuse(answer, "no watchdog timer is armed");
}

static void disarm(struct hold *h, struct xha_watch_msg *answer)
{
    /* EINVAL: no such timer runs */
    if (h->id && h->ops->watchdog(h->user, h->id, 0) < 0 && errno != EINVAL) {
        refuse(answer,
               "the watchdog timer %" PRIu32 " cannot be ended: %s. The host will reboot in %" PRIu32
               " s unless it is poked",
               h->id, strerror(errno), h->seconds);
        return;
    }
    forget(h);
}

static void obey(struct hold *h, const struct xha_watch_msg *order, struct xha_watch_msg *answer)
{
    *answer = (struct xha_watch_msg){ .type = XHA_WATCH_OK, .seq = order->seq };
    /* A poke that was asked for long ago says nothing of now. */
    if (order->type != XHA_WATCH_DISARM && xha_watch_now_ms() - order->ms > XHA_WATCH_STALE_MS)
        answer->type = XHA_WATCH_STALE;
    else if (order->type == XHA_WATCH_ARM)
        arm(h, order->seconds, answer);
    else if (order->type == XHA_WATCH_POKE)
        poke(h, answer);
    else
        disarm(h, answer);
    answer->ms = xha_watch_now_ms();
    answer->id = h->id;
    answer->seconds = h->seconds;
}

/* The holder before us may not be quite gone. */
static int lock(const struct hold *h)
{
    char path[PATH_MAX + 8];
    int fd;

    snprintf(path, sizeof(path), "%s.lock", h->path);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) < 0) {
        fprintf(stderr, "watchdog: %s cannot be locked: %s\n", path, strerror(errno));
        return -1;
    }
    return fd;
}

int xha_watch_hold(const char *run_dir, const struct xha_watch_ops *ops, void *user, const char *complaint)
{
    struct hold h = { .ops = ops, .user = user };
    XHA_CLEANUP_CLOSE int locked = -1;
    struct xha_watch_msg order, answer = { .type = XHA_WATCH_READY };
    int rc;

    if (snprintf(h.path, sizeof(h.path), "%s/watchdog", run_dir) >= (int)sizeof(h.path) ||
        read_boot(h.boot) < 0)
        return 1;
    locked = lock(&h);
    if (locked < 0)
        return 1;
    recall(&h);
    answer.id = h.id;
    answer.seconds = h.seconds;
    snprintf(answer.text, sizeof(answer.text), "%s", complaint);
    for (;;) {
        rc = xha_watch_send(XHA_WATCH_FD, &answer);
        if (rc == XHA_WATCH_DONE)
            rc = xha_watch_recv(XHA_WATCH_FD, &order);
        if (rc == XHA_WATCH_DONE && order.type > XHA_WATCH_DISARM)
            rc = XHA_WATCH_E_BAD;
        if (rc != XHA_WATCH_DONE)
            return rc == XHA_WATCH_E_CLOSED ? 0 : 1;
        obey(&h, &order, &answer);
    }
}

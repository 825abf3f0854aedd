/*
 * watch.h - Xen's watchdog of the host: what xhad and the process that holds the timer say to each other, and
 * the part of that process that makes no hypercalls.
 *
 * The holder (`xhad-xen watchdog RUN_DIR`, or a simulated one) has a SOCK_SEQPACKET socket as fd 3. It is told
 * ARM, POKE or DISARM and answers each with OK, REFUSED or STALE. Which timer is ours stands in RUN_DIR/watchdog,
 * so that the next holder takes it over: the end of the holder ends no timer.
 */
#ifndef XHA_BASE_WATCH_H
#define XHA_BASE_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

#define XHA_WATCH_FD          3
#define XHA_WATCH_TEXT_MAX    400
#define XHA_WATCH_SECONDS_MIN 2
#define XHA_WATCH_SECONDS_MAX 3600
#define XHA_WATCH_STALE_MS    2000 /* an ARM or POKE that was under way for longer is not carried out */

enum xha_watch_type {
    /* xhad to holder */
    XHA_WATCH_ARM = 1, /* take over the timer that runs, else begin one */
    XHA_WATCH_POKE,
    XHA_WATCH_DISARM,
    /* holder to xhad */
    XHA_WATCH_READY,   /* once, first. id: of a timer that was left to it; text: what it has to complain of */
    XHA_WATCH_OK,      /* ms: when the hypervisor had done it. taken_over: of ARM, the timer ran before */
    XHA_WATCH_REFUSED, /* text says why. id: of the timer that runs all the same, 0: none does */
    XHA_WATCH_STALE,   /* the order was too old; nothing was done */
    XHA_WATCH_END_
};

struct xha_watch_msg {
    enum xha_watch_type type;
    uint32_t seq; /* of the order; its answer has the same */
    uint32_t id;  /* of the timer; 0: none */
    uint32_t seconds;
    bool taken_over;
    int64_t ms; /* CLOCK_MONOTONIC: when it was sent, when it was done */
    char text[XHA_WATCH_TEXT_MAX];
};

enum {
    XHA_WATCH_DONE = 0,
    XHA_WATCH_E_AGAIN = -1,  /* recv: nothing there now; send: the other side does not read */
    XHA_WATCH_E_CLOSED = -2, /* the other side is gone */
    XHA_WATCH_E_BAD = -3,    /* not such a message */
    XHA_WATCH_E_SYS = -4,    /* errno */
};

int xha_watch_send(int fd, const struct xha_watch_msg *msg);
int xha_watch_recv(int fd, struct xha_watch_msg *msg_r);
int64_t xha_watch_now_ms(void);

struct xha_watch_ops {
    /* As xc_watchdog(3): id 0 begins a timer and gives its id, seconds 0 ends one. -1 with errno. */
    int (*watchdog)(void *user, uint32_t id, uint32_t seconds);
    /* Who may have taken all timers, for the message. */
    void (*who)(void *user, char *buf, size_t len);
};

/*
 * The life of a holder, until xhad's end of fd 3 is closed; the timer is left as it is. complaint: what READY
 * shall say, "" for nothing. Returns the exit status.
 */
int xha_watch_hold(const char *run_dir, const struct xha_watch_ops *ops, void *user, const char *complaint);

#endif

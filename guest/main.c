/*
 * xha-guest: tells xhad in dom0 that this guest is alive, by counting up in xenstore.
 *
 * One loop, woken by its own clock and by signals. A beat says that the guest's kernel schedules, that
 * this program's memory is there, and that the health command, if there is one, was content. Trouble with
 * xenstore is dom0's trouble: it is retried for ever and never ends the agent nor lets the watchdog bite.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "guest/clock.h"
#include "guest/health.h"
#include "guest/options.h"
#include "guest/system.h"
#include "guest/xenbus.h"

#define REPLY_TIMEOUT_MS 5000
#define BACKOFF_MIN_MS   100
#define BACKOFF_MAX_MS   5000
#define COUNT_DIGITS_MAX 18 /* what an int64_t holds for sure */

enum { EXIT_OK = 0, EXIT_TROUBLE = 1, EXIT_USAGE = 2 };

struct agent {
    struct xha_guest_options opt;
    struct xha_guest_xenbus bus;
    struct xha_guest_health health;
    int watchdog; /* -1: none */
    int signals;
    int64_t count;
    int64_t backoff_ms;
    bool greeted; /* the connection is set up: watch and counter */
    bool told_ready;
    bool told_trouble;     /* log the first failure and the recovery, not what is between */
    bool health_published; /* data/health says what the health command said last */
    struct xha_guest_time start;
    struct xha_guest_time next_beat;
};

/* What the guest was told before us, so that the counter goes on when the agent is restarted. */
static int64_t parse_count(const char *text, size_t len)
{
    int64_t count = 0;

    if (len == 0 || len > COUNT_DIGITS_MAX)
        return 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        count = count * 10 + (text[i] - '0');
    }
    return count;
}

/* Opens the connection if need be and sets it up. */
static int greet_xenstore(struct agent *a)
{
    char value[XHA_GUEST_VALUE_MAX + 1];
    size_t len;
    int rc;

    if (a->bus.fd < 0) {
        rc = xha_guest_xenbus_open(&a->bus, a->opt.xenbus);
        if (rc)
            return rc;
    }
    /*
     * A restored or migrated guest finds its directory new and empty. Its kernel then registers all watches
     * again and each of them fires: so a watch on a key that never changes tells us to publish again.
     */
    rc = xha_guest_xenbus_watch(&a->bus, "domid");
    if (rc == XHA_GUEST_LOST)
        return rc;
    a->bus.watch_fired = true;
    rc = xha_guest_xenbus_read(&a->bus, a->opt.key, value, &len);
    if (rc == 0 && parse_count(value, len) > a->count)
        a->count = parse_count(value, len);
    a->greeted = rc != XHA_GUEST_LOST;
    return a->greeted ? 0 : rc;
}

static int publish_health(struct agent *a)
{
    char text[64];
    int rc;

    xha_guest_health_text(&a->health, text, sizeof(text));
    rc = xha_guest_xenbus_write(&a->bus, "data/health", text);
    a->health_published = rc == 0;
    return rc;
}

static int publish_all(struct agent *a)
{
    char interval[24];
    int rc;

    a->bus.watch_fired = false;
    snprintf(interval, sizeof(interval), "%" PRId64, a->opt.interval_ms);
    rc = xha_guest_xenbus_write(&a->bus, "data/agent", "xha-guest " PACKAGE_VERSION);
    if (rc == 0)
        rc = xha_guest_xenbus_write(&a->bus, "data/heartbeat-interval", interval);
    if (rc == 0)
        rc = publish_health(a);
    if (rc)
        a->bus.watch_fired = true;
    return rc;
}

/* Everything that xenstore should hear now. */
static int tell_xenstore(struct agent *a)
{
    char count[24];
    int rc = 0;

    if (a->bus.fd < 0 || !a->greeted)
        rc = greet_xenstore(a);
    if (rc == 0 && a->bus.watch_fired)
        rc = publish_all(a);
    if (rc == 0 && !a->health_published)
        rc = publish_health(a);
    if (rc == 0 && a->health.verdict == XHA_GUEST_OK) {
        /* Counted before it is written: a beat whose reply got lost is not sent a second time as the same. */
        snprintf(count, sizeof(count), "%" PRId64, ++a->count);
        rc = xha_guest_xenbus_write(&a->bus, a->opt.key, count);
    }
    return rc;
}

static void beat(struct agent *a)
{
    int rc;

    xha_guest_watchdog_pet(a->watchdog);
    rc = tell_xenstore(a);
    if (rc) {
        if (!a->told_trouble)
            xha_guest_log("%s; trying again until it works", a->bus.trouble);
        a->told_trouble = true;
        a->next_beat = xha_guest_after(xha_guest_now(), a->backoff_ms);
        a->backoff_ms = a->backoff_ms * 2 < BACKOFF_MAX_MS ? a->backoff_ms * 2 : BACKOFF_MAX_MS;
        return;
    }
    if (a->told_trouble)
        xha_guest_log("xenstore answers again");
    a->told_trouble = false;
    a->backoff_ms = BACKOFF_MIN_MS;
    a->next_beat = xha_guest_next_on_grid(a->start, a->opt.interval_ms, xha_guest_now());
    if (!a->told_ready)
        xha_guest_notify("READY=1");
    a->told_ready = true;
}

/* Sleeps until something is due. True when the agent was told to end. */
static bool wait_for_work(struct agent *a)
{
    struct xha_guest_time due = xha_guest_earlier(a->next_beat, xha_guest_health_next(&a->health));
    struct pollfd p = { .fd = a->signals, .events = POLLIN };
    int64_t left_ms = due.ms - xha_guest_now().ms;
    struct signalfd_siginfo info;
    bool end = false;

    if (left_ms < 0)
        left_ms = 0;
    if (poll(&p, 1, left_ms < INT32_MAX ? (int)left_ms : INT32_MAX) > 0) {
        while (read(a->signals, &info, sizeof(info)) == sizeof(info))
            end |= info.ssi_signo != SIGCHLD;
    }
    return end;
}

static void run(struct agent *a)
{
    do {
        if (xha_guest_health_step(&a->health, xha_guest_now())) {
            char text[64];

            xha_guest_health_text(&a->health, text, sizeof(text));
            xha_guest_log("health: %s", text);
            a->health_published = false;
            if (!a->told_trouble)
                a->next_beat = xha_guest_now(); /* news does not wait for the next beat */
        }
        if (xha_guest_due(a->next_beat, xha_guest_now()))
            beat(a);
    } while (!wait_for_work(a));
}

/* A stopped agent is not a dead guest: the last word says which of them it is. */
static void finish(struct agent *a)
{
    xha_guest_notify("STOPPING=1");
    xha_guest_health_end(&a->health);
    if (a->bus.fd >= 0 && xha_guest_xenbus_write(&a->bus, "data/health", "stopped"))
        xha_guest_log("could not say goodbye: %s", a->bus.trouble);
    xha_guest_xenbus_close(&a->bus);
    xha_guest_watchdog_close(a->watchdog);
    close(a->signals);
}

static int open_signals(void)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int main(int argc, char **argv)
{
    struct agent a = { .watchdog = -1, .backoff_ms = BACKOFF_MIN_MS };
    enum xha_guest_parse parsed = xha_guest_options_parse(argc, argv, &a.opt);

    if (parsed != XHA_GUEST_RUN)
        return parsed == XHA_GUEST_DONE ? EXIT_OK : EXIT_USAGE;
    xha_guest_xenbus_init(&a.bus, REPLY_TIMEOUT_MS);
    if (xha_guest_xenbus_open(&a.bus, a.opt.xenbus)) {
        xha_guest_log("%s; is this a Xen guest, with xenfs and its xenbus device?", a.bus.trouble);
        return EXIT_TROUBLE;
    }
    if (a.opt.watchdog) {
        a.watchdog = xha_guest_watchdog_open(a.opt.watchdog, a.opt.interval_ms);
        if (a.watchdog < 0)
            return EXIT_TROUBLE;
    }
    if (!a.opt.foreground && !xha_guest_daemonize()) {
        xha_guest_log("cannot go to the background: %s", strerror(errno));
        xha_guest_watchdog_close(a.watchdog);
        return EXIT_TROUBLE;
    }
    a.signals = open_signals();
    if (a.signals < 0) {
        xha_guest_log("cannot listen for signals: %s", strerror(errno));
        xha_guest_watchdog_close(a.watchdog);
        return EXIT_TROUBLE;
    }
    xha_guest_lock_memory();
    a.start = a.next_beat = xha_guest_now();
    xha_guest_health_init(&a.health, a.opt.check, a.opt.check_interval_ms, a.opt.check_timeout_ms, a.start);
    run(&a);
    finish(&a);
    return EXIT_OK;
}

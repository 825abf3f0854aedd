/*
 * test-watchdog.c - cluster/watchdog.h with the simulated holder: arming, pokes, hand-over, and what fires when.
 */
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include "xhad/base/watch.h"
#include "xhad/cluster/watchdog.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <cmocka.h>

static int patience_ms = 10000;

/* An xhad, as far as the watchdog sees it. */
struct world {
    char dir[64], run[80];
    uv_loop_t loop;
    uv_timer_t tick; /* so that the loop turns while nothing happens */
    struct xha_watchdog *w;
    unsigned changes, pokes;
    enum xha_watchdog_state told;
    char text[512];
};

static void changed(void *user, enum xha_watchdog_state state, const char *text)
{
    struct world *x = user;

    x->changes++;
    x->told = state;
    snprintf(x->text, sizeof x->text, "%s", text);
}

static void poked(void *user, struct xha_time at)
{
    struct world *x = user;

    x->pokes++;
    assert_true(at.ms > 0 && at.ms <= xha_watch_now_ms());
}

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

static const struct xha_watchdog_ops ops = { .changed = changed, .poked = poked };

static void spend(struct world *x, int ms)
{
    int64_t until = xha_watch_now_ms() + ms;

    while (xha_watch_now_ms() < until)
        uv_run(&x->loop, UV_RUN_ONCE);
}

#define until(x, condition)                                                                                  \
    do {                                                                                                     \
        int64_t end_ = xha_watch_now_ms() + patience_ms;                                                     \
        while (!(condition)) {                                                                               \
            if (xha_watch_now_ms() > end_)                                                                   \
                fail_msg("not in time: %s (state %s, \"%s\")", #condition,                                   \
                         xha_watchdog_state_name((x)->told), (x)->text);                                     \
            uv_run(&(x)->loop, UV_RUN_ONCE);                                                                 \
        }                                                                                                    \
    } while (0)

static void xhad_starts(struct world *x)
{
    char helper[PATH_MAX];

    snprintf(helper, sizeof helper, "%s/tests/daemon/xhad-sim", getenv("XHA_BUILD"));
    x->changes = 0;
    x->w = xha_watchdog_new(&x->loop, &ops, x);
    assert_non_null(x->w);
    assert_int_equal(0, xha_watchdog_start(x->w, helper, x->run));
    until(x, x->changes > 0);
}

/* It is the same for the holder whether xhad ends without a word or crashes: its socket is closed. */
static void xhad_dies(struct world *x)
{
    xha_watchdog_close(x->w);
    uv_run(&x->loop, UV_RUN_NOWAIT);
    uv_run(&x->loop, UV_RUN_NOWAIT);
    xha_watchdog_free(x->w);
    x->w = NULL;
}

static int set_up(void **state)
{
    struct world *x = calloc(1, sizeof *x);

    if (getenv("XHA_WRAP"))
        patience_ms = 40000;
    strcpy(x->dir, "/tmp/xhad-watchdog.XXXXXX");
    if (!mkdtemp(x->dir))
        return -1;
    snprintf(x->run, sizeof x->run, "%s/run", x->dir);
    mkdir(x->run, 0700);
    setenv("XHA_SIM_DIR", x->dir, 1);
    uv_loop_init(&x->loop);
    uv_timer_init(&x->loop, &x->tick);
    uv_timer_start(&x->tick, on_tick, 10, 10);
    *state = x;
    return 0;
}

static bool there(const struct world *x, const char *name)
{
    char path[200];

    snprintf(path, sizeof path, "%s/%s", x->dir, name);
    return access(path, F_OK) == 0;
}

static void put(const struct world *x, const char *name, const char *text)
{
    char path[200];

    snprintf(path, sizeof path, "%s/%s", x->dir, name);
    assert_int_equal(0, xha_file_write(path, 0600, text, strlen(text)));
}

static const char *get(const struct world *x, const char *name)
{
    static char copy[512];
    XHA_CLEANUP_FREE char *text = NULL;
    char path[200];
    size_t len;

    snprintf(path, sizeof path, "%s/%s", x->dir, name);
    snprintf(copy, sizeof copy, "%s", xha_file_read(path, sizeof copy - 1, &text, &len) < 0 ? "" : text);
    return copy;
}

static int tear_down(void **state)
{
    struct world *x = *state;
    char path[100], command[200];

    if (x->w)
        xhad_dies(x);
    snprintf(path, sizeof path, "%s/timers", x->dir);
    unlink(path); /* the simulated hypervisor ends */
    for (int i = 0; i < 200 && there(x, "hypervisor") && !there(x, "fired"); i++)
        spend(x, 10);
    uv_close((uv_handle_t *)&x->tick, NULL);
    uv_run(&x->loop, UV_RUN_DEFAULT);
    uv_loop_close(&x->loop);
    snprintf(command, sizeof command, "rm -rf %s", x->dir);
    if (system(command) != 0)
        return -1;
    free(x);
    return 0;
}

/* Our youngest child; elder ones are holders that nobody has waited for, as this process has not ended. */
static pid_t holder(void)
{
    char path[64], text[1024] = "";
    XHA_CLEANUP_CLOSE int fd = -1;
    pid_t pid = 0;
    ssize_t n;

    snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    assert_true(n > 0);
    for (char *at = text, *end; (n = strtol(at, &end, 10)) > 0; at = end)
        pid = (pid_t)n;
    return pid;
}

/* When the timer id will fire; 0: it does not run. */
static int64_t deadline(const struct world *x, int id)
{
    for (const char *line = get(x, "timers"); *line; line += strcspn(line, "\n") + 1) {
        int found;
        long long ms;

        if (sscanf(line, "%d %lld", &found, &ms) == 2 && found == id)
            return ms;
    }
    return 0;
}

static bool fired(const struct world *x)
{
    return there(x, "fired");
}

static void arm(struct world *x, uint32_t seconds)
{
    xha_watchdog_arm(x->w, seconds);
    until(x, x->told == XHA_WATCHDOG_ARMED);
}

/* ---- tests ---- */

static void test_begins_off(void **state)
{
    struct world *x = *state;

    xhad_starts(x);
    assert_int_equal(XHA_WATCHDOG_OFF, x->told);
    xha_watchdog_poke(x->w);
    spend(x, 100);
    assert_false(there(x, "timers"));
}

static void test_arms_and_pokes(void **state)
{
    struct world *x = *state;
    struct xha_time at;
    int64_t first;

    xhad_starts(x);
    assert_false(xha_watchdog_last_poke(x->w, &at));
    arm(x, 30);
    assert_int_equal(30, xha_watchdog_seconds(x->w));
    assert_int_equal(1, x->pokes);
    assert_int_equal(0, strncmp(get(x, "run/watchdog"), "id 1 seconds 30 boot ", 21));
    first = deadline(x, 1);
    assert_true(first > xha_watch_now_ms() + 20000);
    spend(x, 50);
    xha_watchdog_poke(x->w);
    until(x, x->pokes == 2);
    assert_true(deadline(x, 1) > first);
    assert_true(xha_watchdog_last_poke(x->w, &at));
    assert_true(at.ms + 30000 >= deadline(x, 1));
}

static void test_other_seconds_same_timer(void **state)
{
    struct world *x = *state;

    xhad_starts(x);
    arm(x, 30);
    xha_watchdog_arm(x->w, 600);
    until(x, xha_watchdog_seconds(x->w) == 600);
    assert_true(deadline(x, 1) > xha_watch_now_ms() + 500000);
    assert_int_equal(0, deadline(x, 2));
    assert_int_equal(0, strncmp(get(x, "run/watchdog"), "id 1 seconds 600 boot ", 22));
}

static void test_disarms(void **state)
{
    struct world *x = *state;

    xhad_starts(x);
    arm(x, 2);
    xha_watchdog_disarm(x->w);
    until(x, x->told == XHA_WATCHDOG_OFF);
    assert_false(there(x, "run/watchdog"));
    assert_int_equal(0, deadline(x, 1));
    xha_watchdog_poke(x->w); /* one that comes late */
    spend(x, 2500);
    assert_false(fired(x));
    assert_int_equal(0, deadline(x, 1));
}

static void test_fires_without_pokes(void **state)
{
    struct world *x = *state;
    char command[200];

    snprintf(command, sizeof command, "echo off >%s/power", x->dir);
    put(x, "watchdog-fires", command);
    xhad_starts(x);
    arm(x, 2);
    for (int i = 0; i < 10; i++) {
        spend(x, 300);
        xha_watchdog_poke(x->w);
    }
    assert_false(fired(x));
    until(x, there(x, "power"));
    assert_true(fired(x));
}

static void test_handed_over(void **state)
{
    struct world *x = *state;
    int64_t first;

    xhad_starts(x);
    arm(x, 30);
    first = deadline(x, 1);
    xhad_dies(x);
    xhad_starts(x);
    assert_int_equal(XHA_WATCHDOG_ORPHANED, x->told);
    xha_watchdog_poke(x->w); /* nobody has armed it in this life */
    spend(x, 200);
    assert_int_equal(first, deadline(x, 1));
    arm(x, 30);
    assert_true(deadline(x, 1) > first);
    assert_int_equal(0, deadline(x, 2));
}

static void test_orphan_fires(void **state)
{
    struct world *x = *state;

    xhad_starts(x);
    arm(x, 2);
    xhad_dies(x);
    xhad_starts(x);
    until(x, fired(x));
}

static void test_orphan_disarmed(void **state)
{
    struct world *x = *state;

    xhad_starts(x);
    arm(x, 30);
    xhad_dies(x);
    xhad_starts(x);
    xha_watchdog_disarm(x->w);
    until(x, x->told == XHA_WATCHDOG_OFF);
    assert_int_equal(0, deadline(x, 1));
}

static void test_holder_killed(void **state)
{
    struct world *x = *state;
    int64_t first;
    unsigned pokes;

    xhad_starts(x);
    arm(x, 30);
    first = deadline(x, 1);
    kill(holder(), SIGKILL);
    until(x, x->told == XHA_WATCHDOG_ORPHANED && strstr(x->text, "armed before"));
    spend(x, 200);
    assert_int_equal(first, deadline(x, 1)); /* no poke that nobody asked for */
    pokes = x->pokes;
    xha_watchdog_poke(x->w);
    until(x, x->told == XHA_WATCHDOG_ARMED);
    assert_int_equal(pokes + 1, x->pokes);
    assert_true(deadline(x, 1) > first);
    assert_int_equal(0, deadline(x, 2));
}

static void test_holder_deaf(void **state)
{
    struct world *x = *state;

    xhad_starts(x);
    arm(x, 6);
    put(x, "watchdog", "deaf\n");
    xha_watchdog_poke(x->w);
    until(x, x->told == XHA_WATCHDOG_ORPHANED);
    put(x, "watchdog", "\n");
    until(x, strstr(x->text, "armed before"));
    xha_watchdog_poke(x->w);
    until(x, x->told == XHA_WATCHDOG_ARMED);
    assert_false(fired(x));
}

static void test_stale_poke(void **state)
{
    struct world *x = *state;
    int64_t first;
    pid_t pid;

    xhad_starts(x);
    arm(x, 60);
    first = deadline(x, 1);
    pid = holder();
    kill(pid, SIGSTOP);
    xha_watchdog_poke(x->w);
    spend(x, XHA_WATCH_STALE_MS + 300);
    kill(pid, SIGCONT);
    spend(x, 300);
    assert_int_equal(1, x->pokes);
    assert_int_equal(first, deadline(x, 1));
    xha_watchdog_poke(x->w);
    until(x, x->pokes == 2);
    assert_int_equal(XHA_WATCHDOG_ARMED, x->told);
}

static void test_stale_arming(void **state)
{
    struct world *x = *state;
    pid_t pid;

    xhad_starts(x);
    pid = holder();
    kill(pid, SIGSTOP);
    xha_watchdog_arm(x->w, 60);
    spend(x, XHA_WATCH_STALE_MS + 300);
    assert_int_equal(XHA_WATCHDOG_ARMING, x->told);
    kill(pid, SIGCONT);
    until(x, x->told == XHA_WATCHDOG_ARMED);
}

static void test_holder_dies_arming(void **state)
{
    struct world *x = *state;

    put(x, "watchdog", "deaf\n");
    xhad_starts(x);
    xha_watchdog_arm(x->w, 6);
    until(x, x->told == XHA_WATCHDOG_ORPHANED); /* as far as anybody can know */
    put(x, "watchdog", "\n");
    until(x, x->told == XHA_WATCHDOG_ARMED);
    assert_int_equal(0, deadline(x, 2));
}

static void test_holder_dies_disarming(void **state)
{
    struct world *x = *state;
    pid_t pid;

    xhad_starts(x);
    arm(x, 30);
    pid = holder();
    kill(pid, SIGSTOP);
    xha_watchdog_disarm(x->w);
    spend(x, 50);
    kill(pid, SIGKILL);
    until(x, x->told == XHA_WATCHDOG_OFF);
    assert_int_equal(0, deadline(x, 1));
    assert_false(there(x, "run/watchdog"));
    arm(x, 30); /* what was asked for once is done once */
    spend(x, 300);
    assert_int_equal(XHA_WATCHDOG_ARMED, x->told);
}

/* A takeover that was asked for long ago says nothing of now. */
static void test_stale_takeover(void **state)
{
    struct world *x = *state;
    char path[120];
    int64_t first;
    int lock;

    xhad_starts(x);
    arm(x, 60);
    first = deadline(x, 1);
    kill(holder(), SIGKILL);
    snprintf(path, sizeof path, "%s/watchdog.lock", x->run);
    lock = open(path, O_RDWR | O_CLOEXEC);
    assert_true(lock >= 0 && flock(lock, LOCK_EX) == 0); /* the next holder has to wait */
    until(x, x->told == XHA_WATCHDOG_ORPHANED);
    xha_watchdog_arm(x->w, 60);
    spend(x, XHA_WATCH_STALE_MS + 300);
    close(lock);
    until(x, strstr(x->text, "armed before"));
    spend(x, 300);
    assert_int_equal(first, deadline(x, 1));
    assert_int_equal(XHA_WATCHDOG_ORPHANED, x->told);
    arm(x, 60);
    assert_true(deadline(x, 1) > first);
}

static void test_both_taken(void **state)
{
    struct world *x = *state;

    put(x, "timers", "1 99999999999999\n2 99999999999999\n");
    xhad_starts(x);
    xha_watchdog_arm(x->w, 10);
    until(x, x->told == XHA_WATCHDOG_FAILED);
    assert_non_null(strstr(x->text, "taken: by a test"));
    assert_false(there(x, "run/watchdog"));
    put(x, "timers", "1 99999999999999\n");
    arm(x, 10);
    assert_true(deadline(x, 2) > 0);
    assert_int_equal(0, strncmp(get(x, "run/watchdog"), "id 2 ", 5));
    assert_true(deadline(x, 1) == 99999999999999);
}

static void test_refused(void **state)
{
    struct world *x = *state;

    put(x, "watchdog", "refuse\n");
    xhad_starts(x);
    xha_watchdog_arm(x->w, 10);
    until(x, x->told == XHA_WATCHDOG_FAILED);
    assert_non_null(strstr(x->text, "Xen refused"));
}

static void test_ended_by_others(void **state)
{
    struct world *x = *state;

    xhad_starts(x);
    arm(x, 30);
    put(x, "timers", "");
    xha_watchdog_poke(x->w);
    until(x, x->told == XHA_WATCHDOG_FAILED);
    assert_non_null(strstr(x->text, "is gone"));
    assert_int_equal(1, x->pokes);
    arm(x, 30);
    assert_true(deadline(x, 1) > 0);
}

static void test_other_boot(void **state)
{
    struct world *x = *state;

    put(x, "timers", "1 99999999999999\n");
    put(x, "run/watchdog", "id 1 seconds 30 boot 00000000-0000-0000-0000-000000000000\n");
    xhad_starts(x);
    assert_int_equal(XHA_WATCHDOG_OFF, x->told);
    arm(x, 30);
    assert_true(deadline(x, 1) == 99999999999999);
    assert_true(deadline(x, 2) > 0);
}

static void test_unwritable(void **state)
{
    struct world *x = *state;
    char path[120];

    snprintf(path, sizeof path, "%s/watchdog.tmp", x->run);
    mkdir(path, 0700);
    xhad_starts(x);
    xha_watchdog_arm(x->w, 30);
    until(x, x->told == XHA_WATCHDOG_FAILED);
    assert_non_null(strstr(x->text, "cannot be written"));
    assert_int_equal(0, deadline(x, 1));
}

static void test_no_helper(void **state)
{
    struct world *x = *state;

    x->w = xha_watchdog_new(&x->loop, &ops, x);
    assert_int_equal(0, xha_watchdog_start(x->w, "/nonexistent/helper", x->run));
    xha_watchdog_arm(x->w, 30);
    until(x, x->told == XHA_WATCHDOG_FAILED);
    assert_non_null(strstr(x->text, "cannot be started"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_begins_off),
        TEST(test_arms_and_pokes),
        TEST(test_other_seconds_same_timer),
        TEST(test_disarms),
        TEST(test_fires_without_pokes),
        TEST(test_handed_over),
        TEST(test_orphan_fires),
        TEST(test_orphan_disarmed),
        TEST(test_holder_killed),
        TEST(test_holder_deaf),
        TEST(test_stale_poke),
        TEST(test_stale_arming),
        TEST(test_holder_dies_arming),
        TEST(test_holder_dies_disarming),
        TEST(test_stale_takeover),
        TEST(test_both_taken),
        TEST(test_refused),
        TEST(test_ended_by_others),
        TEST(test_other_boot),
        TEST(test_unwritable),
        TEST(test_no_helper),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * guest/health.c: real commands, but the test's own time. Where a command has to end first, the test waits
 * for its end (waitid, without reaping), not for a while.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "guest/health.h"

static const struct xha_guest_time t0 = { 1000 };

static struct xha_guest_health made(const char *command)
{
    struct xha_guest_health h;

    xha_guest_health_init(&h, command, 10000, 3000, t0);
    return h;
}

static void wait_for_end(const struct xha_guest_health *h)
{
    siginfo_t info;

    assert_return_code(waitid(P_PID, (id_t)h->pid, &info, WEXITED | WNOWAIT), errno);
}

static const char *text(const struct xha_guest_health *h)
{
    static char buf[64];

    xha_guest_health_text(h, buf, sizeof(buf));
    return buf;
}

/* Runs the command once, from start to verdict. */
static void run_once(struct xha_guest_health *h, struct xha_guest_time now)
{
    xha_guest_health_step(h, now);
    assert_int_not_equal(h->pid, 0);
    wait_for_end(h);
    xha_guest_health_step(h, now);
    assert_int_equal(h->pid, 0);
}

static void test_no_command_is_ok_for_ever(void **state)
{
    struct xha_guest_health h = made(NULL);

    (void)state;
    assert_false(xha_guest_health_step(&h, xha_guest_after(t0, 1000000)));
    assert_int_equal(h.verdict, XHA_GUEST_OK);
    assert_int_equal(xha_guest_health_next(&h).ms, XHA_GUEST_NEVER.ms);
    assert_string_equal(text(&h), "ok");
}

static void test_verdicts(void **state)
{
    static const struct {
        const char *command, *text;
    } cases[] = {
        { "true", "ok" },
        { "exit 3", "failing: exit 3" },
        { "kill -9 $$", "failing: signal 9" },
        { "/nonexistent/command 2>/dev/null", "failing: exit 127" },
        { "read x; test -z \"$x\"", "ok" },        /* standard input is empty, not ours */
        { "kill -0 -$$", "ok" },                   /* it leads a process group of its own */
        { "test -z \"${NOTIFY_SOCKET-}\"", "ok" }, /* and cannot speak to systemd in our name */
    };

    (void)state;
    setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct xha_guest_health h = made(cases[i].command);

        assert_string_equal(text(&h), "starting");
        run_once(&h, t0);
        assert_string_equal(text(&h), cases[i].text);
    }
    unsetenv("NOTIFY_SOCKET");
}

static void test_change_is_told_once(void **state)
{
    struct xha_guest_health h = made("exit 1");

    (void)state;
    assert_false(xha_guest_health_step(&h, t0));
    wait_for_end(&h);
    assert_true(xha_guest_health_step(&h, t0));
    run_once(&h, xha_guest_after(t0, 10000));
    assert_false(xha_guest_health_step(&h, xha_guest_after(t0, 10001)));
}

static void test_runs_at_its_interval(void **state)
{
    struct xha_guest_health h = made("true");

    (void)state;
    run_once(&h, t0);
    assert_int_equal(xha_guest_health_next(&h).ms, t0.ms + 10000);
    xha_guest_health_step(&h, xha_guest_after(t0, 9999));
    assert_int_equal(h.pid, 0);
    run_once(&h, xha_guest_after(t0, 10000));
}

static void test_hang_is_killed_with_all_it_started(void **state)
{
    struct xha_guest_health h = made("sleep 1000 & echo $! >&$XHA_TEST_FD; sleep 1000");
    char buf[32] = "", number[16];
    pid_t grandchild;
    siginfo_t info;
    int p[2];

    (void)state;
    assert_return_code(pipe(p), errno);
    assert_return_code(prctl(PR_SET_CHILD_SUBREAPER, 1), errno); /* so that its end can be waited for */
    snprintf(number, sizeof(number), "%d", p[1]);
    setenv("XHA_TEST_FD", number, 1);
    xha_guest_health_step(&h, t0);
    assert_true(read(p[0], buf, sizeof(buf) - 1) > 0);
    grandchild = (pid_t)atoi(buf);

    assert_false(xha_guest_health_step(&h, xha_guest_after(t0, 2999)));
    assert_string_equal(text(&h), "starting");
    assert_int_equal(xha_guest_health_next(&h).ms, t0.ms + 3000);
    assert_true(xha_guest_health_step(&h, xha_guest_after(t0, 3000)));
    assert_string_equal(text(&h), "timeout");
    wait_for_end(
        &h); /* then the other one is ours to wait for, unless the shell lived just long enough to do it */
    if (waitid(P_PID, (id_t)grandchild, &info, WEXITED) == 0)
        assert_int_equal(info.si_status, SIGKILL);
    else
        assert_true(errno == ECHILD && kill(grandchild, 0) < 0 && errno == ESRCH);

    /* reaping the killed one is no news, and the next one comes at the usual time */
    assert_false(xha_guest_health_step(&h, xha_guest_after(t0, 3001)));
    assert_string_equal(text(&h), "timeout");
    assert_int_equal(h.pid, 0);
    assert_int_equal(xha_guest_health_next(&h).ms, t0.ms + 10000);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    close(p[0]);
    close(p[1]);
}

static void test_left_behind_children_are_ended(void **state)
{
    struct xha_guest_health h = made("sleep 1000 & echo $! >&$XHA_TEST_FD");
    char buf[32] = "", number[16];
    siginfo_t info;
    int p[2];

    (void)state;
    assert_return_code(pipe(p), errno);
    assert_return_code(prctl(PR_SET_CHILD_SUBREAPER, 1), errno);
    snprintf(number, sizeof(number), "%d", p[1]);
    setenv("XHA_TEST_FD", number, 1);
    run_once(&h, t0);
    assert_string_equal(text(&h), "ok");
    assert_true(read(p[0], buf, sizeof(buf) - 1) > 0);
    assert_return_code(waitid(P_PID, (id_t)atoi(buf), &info, WEXITED), errno);
    assert_int_equal(info.si_status, SIGKILL);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    close(p[0]);
    close(p[1]);
}

static void test_recovers_after_a_hang(void **state)
{
    struct xha_guest_health h = made("sleep 1000");

    (void)state;
    xha_guest_health_step(&h, t0);
    xha_guest_health_step(&h, xha_guest_after(t0, 3000));
    assert_string_equal(text(&h), "timeout");
    wait_for_end(&h);
    h.command = "true";
    xha_guest_health_step(&h, xha_guest_after(t0, 10000));
    wait_for_end(&h);
    assert_true(xha_guest_health_step(&h, xha_guest_after(t0, 10001)));
    assert_string_equal(text(&h), "ok");
}

static void test_end_kills_what_runs(void **state)
{
    struct xha_guest_health h = made("sleep 1000");
    siginfo_t info;
    pid_t pid;

    (void)state;
    xha_guest_health_step(&h, t0);
    pid = h.pid;
    xha_guest_health_end(&h);
    assert_return_code(waitid(P_PID, (id_t)pid, &info, WEXITED), errno);
    assert_int_equal(info.si_status, SIGKILL);
    xha_guest_health_end(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_command_is_ok_for_ever),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_change_is_told_once),
        cmocka_unit_test(test_runs_at_its_interval),
        cmocka_unit_test(test_hang_is_killed_with_all_it_started),
        cmocka_unit_test(test_left_behind_children_are_ended),
        cmocka_unit_test(test_recovers_after_a_hang),
        cmocka_unit_test(test_end_kills_what_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

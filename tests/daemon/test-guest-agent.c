/*
 * The built xha-guest, end to end: the test is its xenstored, behind a unix socket, and its init system.
 *
 * Everything waits for what the agent does, not for a while; only "no beat comes" has to be a short look.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <xen/io/xs_wire.h>

#define PATIENCE_MS 20000 /* for what must happen */
#define A_LOOK_MS   350   /* for what must not: three beats and more */

static const char *agent; /* the program under test */

struct world {
    char dir[64], socket[80], file[80];
    const char *first_count; /* what data/heartbeat held before the agent came, or NULL */
    const char *refuse_once; /* error name for the next write of the counter */
    int listener, bus;
    int stderr_fd; /* the agent's standard error, when not 0 */
    pid_t pid;     /* the running agent */
};

struct written {
    char key[64], value[64];
};

static int listen_on(const char *path, int type)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    strcpy(sun.sun_path, path);
    assert_return_code(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), errno);
    if (type == SOCK_STREAM)
        assert_return_code(listen(fd, 4), errno);
    return fd;
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    strcpy(w->dir, "/tmp/xha-guest-test-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->socket, sizeof(w->socket), "%s/xenbus", w->dir);
    snprintf(w->file, sizeof(w->file), "%s/file", w->dir);
    w->listener = listen_on(w->socket, SOCK_STREAM);
    w->bus = -1;
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    if (w->pid) {
        kill(w->pid, SIGKILL);
        waitpid(w->pid, NULL, 0);
    }
    close(w->listener);
    if (w->bus >= 0)
        close(w->bus);
    unlink(w->socket);
    unlink(w->file);
    rmdir(w->dir);
    free(w);
    return 0;
}

/* Runs the agent with a beat of 0.1 s, the test's xenbus, and the given words, up to a NULL. */
static void run(struct world *w, ...)
{
    const char *argv[32] = { agent, "-i", "0.1", "-x", w->socket };
    const char *wrap = getenv("XHA_WRAP"), *arg;
    char words[512];
    int argc = 5;
    va_list ap;

    va_start(ap, w);
    while ((arg = va_arg(ap, const char *)))
        argv[argc++] = arg;
    va_end(ap);
    w->pid = fork();
    if (w->pid)
        return;
    if (w->stderr_fd)
        dup2(w->stderr_fd, STDERR_FILENO);
    if (wrap && *wrap) { /* valgrind and its options come before the program */
        const char *full[64];
        int n = 0;

        snprintf(words, sizeof(words), "%s", wrap);
        for (char *p = strtok(words, " "); p && n < 30; p = strtok(NULL, " "))
            full[n++] = p;
        memcpy(full + n, argv, sizeof(argv));
        execvp(full[0], (char **)full);
    } else {
        execv(agent, (char **)argv);
    }
    _exit(126);
}

static bool readable(int fd, int timeout_ms)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    return poll(&p, 1, timeout_ms) == 1;
}

static void meet(struct world *w)
{
    if (w->bus >= 0)
        close(w->bus);
    assert_true(readable(w->listener, PATIENCE_MS));
    w->bus = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC);
    assert_return_code(w->bus, errno);
}

static void say(struct world *w, uint32_t type, uint32_t id, const void *payload, uint32_t len)
{
    struct xsd_sockmsg head = { .type = type, .req_id = id, .len = len };

    assert_int_equal(send(w->bus, &head, sizeof(head), MSG_NOSIGNAL), sizeof(head));
    assert_int_equal(send(w->bus, payload, len, MSG_NOSIGNAL), len);
}

static void take(int fd, void *data, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t r;

        assert_true(readable(fd, PATIENCE_MS));
        r = read(fd, (char *)data + done, len - done);
        assert_true(r > 0);
        done += (size_t)r;
    }
}

static void answer_write(struct world *w, const struct xsd_sockmsg *head, const struct written *it)
{
    if (w->refuse_once && !strcmp(it->key, "data/heartbeat")) {
        say(w, XS_ERROR, head->req_id, w->refuse_once, (uint32_t)strlen(w->refuse_once) + 1);
        w->refuse_once = NULL;
    } else {
        say(w, XS_WRITE, head->req_id, "OK", 3);
    }
}

/* Answers one request. True when it was a write, which is then in it_r. */
static bool serve(struct world *w, struct written *it_r)
{
    struct xsd_sockmsg head;
    char payload[256] = "";
    size_t key_len;

    take(w->bus, &head, sizeof(head));
    assert_in_range(head.len, 2, sizeof(payload) - 1);
    assert_int_equal(head.tx_id, 0);
    take(w->bus, payload, head.len);
    key_len = strlen(payload) + 1;
    assert_in_range(key_len, 2, head.len);
    if (head.type == XS_WATCH) {
        assert_string_equal(payload, "domid");
        say(w, XS_WATCH, head.req_id, "OK", 3);
        return false;
    }
    if (head.type == XS_READ) {
        if (w->first_count)
            say(w, XS_READ, head.req_id, w->first_count, (uint32_t)strlen(w->first_count));
        else
            say(w, XS_ERROR, head.req_id, "ENOENT", 7);
        return false;
    }
    assert_int_equal(head.type, XS_WRITE);
    snprintf(it_r->key, sizeof(it_r->key), "%s", payload);
    snprintf(it_r->value, sizeof(it_r->value), "%s", payload + key_len);
    answer_write(w, &head, it_r);
    return true;
}

static struct written next_write(struct world *w)
{
    struct written it;

    while (!serve(w, &it)) {
    }
    return it;
}

static void expect(struct world *w, const char *key, const char *value)
{
    struct written it = next_write(w);

    assert_string_equal(it.key, key);
    assert_string_equal(it.value, value);
}

static void expect_introduction(struct world *w, const char *health)
{
    expect(w, "data/agent", "xha-guest " PACKAGE_VERSION);
    expect(w, "data/heartbeat-interval", "100");
    expect(w, "data/health", health);
}

/* Lets beats come until the health key is written; that many came. */
static int beats_until_health(struct world *w, const char *health)
{
    for (int beats = 0;; beats++) {
        struct written it = next_write(w);

        if (!strcmp(it.key, "data/health")) {
            assert_string_equal(it.value, health);
            return beats;
        }
        assert_string_equal(it.key, "data/heartbeat");
    }
}

static void expect_silence(struct world *w)
{
    assert_false(readable(w->bus, A_LOOK_MS));
}

static void expect_end(struct world *w, int code)
{
    int status;

    assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
    w->pid = 0;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), code);
}

static void stop(struct world *w)
{
    kill(w->pid, SIGTERM);
    beats_until_health(w, "stopped");
    expect_end(w, 0);
}

static void test_beats_arrive_and_count(void **state)
{
    struct world *w = *state;
    char wanted[16];

    run(w, "-f", NULL);
    meet(w);
    expect_introduction(w, "ok");
    for (int i = 1; i <= 20; i++) {
        snprintf(wanted, sizeof(wanted), "%d", i);
        expect(w, "data/heartbeat", wanted);
    }
    stop(w);
}

static void test_counter_goes_on_after_a_restart(void **state)
{
    struct world *w = *state;

    w->first_count = "41";
    run(w, "-f", NULL);
    meet(w);
    expect_introduction(w, "ok");
    expect(w, "data/heartbeat", "42");
    stop(w);
}

static void test_nonsense_counter_is_not_believed(void **state)
{
    static const char *const nonsense[] = { "-5", "12x", "9999999999999999999999", "" };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
        w->first_count = nonsense[i];
        run(w, "-f", NULL);
        meet(w);
        expect_introduction(w, "ok");
        expect(w, "data/heartbeat", "1");
        stop(w);
    }
}

static void test_failing_health_command_stops_the_beat(void **state)
{
    struct world *w = *state;
    char command[128];

    snprintf(command, sizeof(command), "test -e %s || exit 3", w->file);
    run(w, "-f", "-c", command, "-I", "0.1", NULL);
    meet(w);
    /* the first verdict may come before or after the introduction */
    expect(w, "data/agent", "xha-guest " PACKAGE_VERSION);
    expect(w, "data/heartbeat-interval", "100");
    for (;;) {
        struct written it = next_write(w);

        assert_string_equal(it.key, "data/health");
        if (!strcmp(it.value, "failing: exit 3"))
            break;
        assert_string_equal(it.value, "starting");
    }
    expect_silence(w);
    close(open(w->file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    expect(w, "data/health", "ok");
    expect(w, "data/heartbeat", "1");
    expect(w, "data/heartbeat", "2");
    unlink(w->file);
    beats_until_health(w, "failing: exit 3");
    expect_silence(w);
    stop(w);
}

static void test_hanging_health_command_stops_the_beat(void **state)
{
    struct world *w = *state;

    run(w, "-f", "-c", "sleep 1000", "-t", "0.2", NULL);
    meet(w);
    expect_introduction(w, "starting");
    expect(w, "data/health", "timeout");
    expect_silence(w);
    stop(w);
}

static void test_refused_beat_is_tried_again(void **state)
{
    static const char *const errors[] = { "EAGAIN", "EIO", "ENOSPC" };
    struct world *w = *state;

    run(w, "-f", NULL);
    meet(w);
    expect_introduction(w, "ok");
    for (int i = 0; i < 3; i++) {
        char wanted[16];

        w->refuse_once = errors[i];
        snprintf(wanted, sizeof(wanted), "%d", 2 * i + 1);
        expect(w, "data/heartbeat", wanted); /* this one we refuse */
        snprintf(wanted, sizeof(wanted), "%d", 2 * i + 2);
        expect(w, "data/heartbeat", wanted);
    }
    stop(w);
}

static void test_lost_connection_is_opened_again(void **state)
{
    struct world *w = *state;

    run(w, "-f", NULL);
    meet(w);
    expect_introduction(w, "ok");
    expect(w, "data/heartbeat", "1");
    meet(w); /* closes the old one */
    expect_introduction(w, "ok");
    assert_string_equal(next_write(w).key, "data/heartbeat");
    stop(w);
}

static void test_garbage_costs_the_connection_not_the_agent(void **state)
{
    static const struct xsd_sockmsg oversized = { .type = XS_WRITE, .req_id = 7, .len = 0xfffffff0 };
    struct world *w = *state;
    unsigned char garbage[2048];

    for (size_t i = 0; i < sizeof(garbage); i++)
        garbage[i] = (unsigned char)(i * 167 + 13);
    run(w, "-f", NULL);
    meet(w);
    expect_introduction(w, "ok");
    send(w->bus, garbage, sizeof(garbage), MSG_NOSIGNAL);
    meet(w);
    expect_introduction(w, "ok");
    send(w->bus, &oversized, sizeof(oversized), MSG_NOSIGNAL);
    meet(w);
    expect_introduction(w, "ok");
    assert_string_equal(next_write(w).key, "data/heartbeat");
    stop(w);
}

static void test_restored_guest_introduces_itself_again(void **state)
{
    struct world *w = *state;
    int beats = 0;

    run(w, "-f", NULL);
    meet(w);
    expect_introduction(w, "ok");
    expect(w, "data/heartbeat", "1");
    say(w, XS_WATCH_EVENT, 0, "domid\0xha", 10); /* the kernel registered its watches again */
    for (struct written it = next_write(w); strcmp(it.key, "data/agent") != 0; it = next_write(w))
        assert_true(++beats <= 2);
    expect(w, "data/heartbeat-interval", "100");
    expect(w, "data/health", "ok");
    assert_string_equal(next_write(w).key, "data/heartbeat");
    stop(w);
}

static void test_watchdog_is_petted_and_disarmed(void **state)
{
    struct world *w = *state;
    char option[128], pets[256] = "";
    ssize_t len;
    int fd = open(w->file, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

    snprintf(option, sizeof(option), "--watchdog=%s", w->file);
    run(w, "-f", option, NULL);
    meet(w);
    expect_introduction(w, "ok");
    for (int i = 0; i < 5; i++)
        next_write(w);
    stop(w);
    len = read(fd, pets, sizeof(pets) - 1);
    assert_true(len >= 6);
    assert_int_equal(strspn(pets, "."), len - 1);
    assert_string_equal(pets + len - 1, "V");
    close(fd);
}

static void test_watchdog_stays_armed_when_the_agent_dies(void **state)
{
    struct world *w = *state;
    char option[128], pets[256] = "";
    int fd = open(w->file, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

    snprintf(option, sizeof(option), "--watchdog=%s", w->file);
    run(w, "-f", option, NULL);
    meet(w);
    expect_introduction(w, "ok");
    next_write(w);
    kill(w->pid, SIGKILL);
    waitpid(w->pid, NULL, 0);
    w->pid = 0;
    assert_true(read(fd, pets, sizeof(pets) - 1) > 0);
    assert_null(strchr(pets, 'V'));
    close(fd);
}

static void test_slow_beat_and_watchdog_do_not_go_together(void **state)
{
    struct world *w = *state;
    char option[128], last = 0;
    int fd = open(w->file, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

    snprintf(option, sizeof(option), "--watchdog=%s", w->file);
    run(w, "-f", option, "-i", "31", NULL);
    expect_end(w, 1);
    assert_int_equal(read(fd, &last, 1), 1); /* opening it armed it */
    assert_int_equal(last, 'V');
    close(fd);
}

static void test_service_manager_hears_ready_after_the_first_word(void **state)
{
    struct world *w = *state;
    char text[32] = "";
    int notify = listen_on(w->file, SOCK_DGRAM);

    setenv("NOTIFY_SOCKET", w->file, 1);
    run(w, "-f", NULL);
    unsetenv("NOTIFY_SOCKET");
    meet(w);
    assert_false(readable(notify, 0));
    expect_introduction(w, "ok");
    expect(w, "data/heartbeat", "1");
    assert_true(readable(notify, PATIENCE_MS));
    assert_true(read(notify, text, sizeof(text) - 1) > 0);
    assert_string_equal(text, "READY=1");
    kill(w->pid, SIGTERM);
    beats_until_health(w, "stopped");
    expect_end(w, 0);
    memset(text, 0, sizeof(text));
    assert_true(read(notify, text, sizeof(text) - 1) > 0);
    assert_string_equal(text, "STOPPING=1");
    close(notify);
}

static void test_log_that_nobody_reads_does_not_stop_the_beat(void **state)
{
    static const char junk[4096];
    struct world *w = *state;
    int p[2];

    assert_return_code(pipe2(p, O_CLOEXEC | O_NONBLOCK), errno);
    while (write(p[1], junk, sizeof(junk)) > 0) {
    }
    assert_return_code(fcntl(p[1], F_SETFL, 0), errno); /* full, and writing to it would wait */
    w->stderr_fd = p[1];
    run(w, "-f", NULL);
    meet(w);
    expect_introduction(w, "ok");
    for (int i = 0; i < 3; i++) { /* each refusal is logged */
        w->refuse_once = "EIO";
        next_write(w);
        next_write(w);
    }
    stop(w);
    close(p[0]);
    close(p[1]);
}

static void test_goes_to_the_background(void **state)
{
    struct world *w = *state;
    struct ucred peer;
    socklen_t len = sizeof(peer);

    run(w, NULL);
    expect_end(w, 0); /* the parent; the daemon connected before, with the parent's pid as its credentials */
    meet(w);
    expect_introduction(w, "ok");
    expect(w, "data/heartbeat", "1");
    meet(w); /* it connects again, now as itself */
    assert_return_code(getsockopt(w->bus, SOL_SOCKET, SO_PEERCRED, &peer, &len), errno);
    assert_int_not_equal(peer.pid, 0);
    assert_int_equal(getsid(peer.pid) == getsid(0), 0);
    expect_introduction(w, "ok");
    kill(peer.pid, SIGTERM);
    beats_until_health(w, "stopped");
    assert_true(readable(w->bus, PATIENCE_MS)); /* end of file: it is gone */
    assert_int_equal(read(w->bus, &peer, 1), 0);
}

static void test_no_xenbus_no_agent(void **state)
{
    struct world *w = *state;

    run(w, "-f", "-x", "/nonexistent/xenbus", NULL);
    expect_end(w, 1);
    run(w, "-f", "--watchdog=/nonexistent/watchdog", NULL);
    expect_end(w, 1);
    run(w, "--nonsense", NULL);
    expect_end(w, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_beats_arrive_and_count),
        TEST(test_counter_goes_on_after_a_restart),
        TEST(test_nonsense_counter_is_not_believed),
        TEST(test_failing_health_command_stops_the_beat),
        TEST(test_hanging_health_command_stops_the_beat),
        TEST(test_refused_beat_is_tried_again),
        TEST(test_lost_connection_is_opened_again),
        TEST(test_garbage_costs_the_connection_not_the_agent),
        TEST(test_restored_guest_introduces_itself_again),
        TEST(test_watchdog_is_petted_and_disarmed),
        TEST(test_watchdog_stays_armed_when_the_agent_dies),
        TEST(test_slow_beat_and_watchdog_do_not_go_together),
        TEST(test_service_manager_hears_ready_after_the_first_word),
        TEST(test_log_that_nobody_reads_does_not_stop_the_beat),
        TEST(test_goes_to_the_background),
        TEST(test_no_xenbus_no_agent),
    };

    agent = getenv("XHA_GUEST");
    if (!agent) {
        fputs("XHA_GUEST must name the agent under test\n", stderr);
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}

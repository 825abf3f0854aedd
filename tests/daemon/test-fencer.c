/*
 * test-fencer.c - cluster/fencer.h with agents that are shell scripts, and with the standard ones.
 *
 * The scripted agent speaks the agents' protocol; what it does for an action is the test's own script `do`, which
 * finds $action, $plug and $d, its directory. It keeps what it was told in `told`, and its actions in `log`.
 */
#include "xhad/base/cleanup.h"
#include "xhad/base/conf.h"
#include "xhad/base/file.h"
#include "xhad/cluster/fence_agent.h"
#include "xhad/cluster/fence_meta.h"
#include "xhad/cluster/fencer.h"

#include <dirent.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#define SCRIPT                                                                                               \
    "#!/bin/sh\n"                                                                                            \
    "d=${0%/*}\n"                                                                                            \
    "if [ \"$1\" = -o ]; then [ ! -f $d/meta-fails ] || exit 1; cat $d/meta; exit; fi\n"                     \
    "while read -r line; do\n"                                                                               \
    "    echo \"$line\" >>$d/told\n"                                                                         \
    "    case $line in action=*) action=${line#*=} ;; plug=*) plug=${line#*=} ;; esac\n"                     \
    "done\n"                                                                                                 \
    "echo \"$action${plug:+ $plug}\" >>$d/log\n"                                                             \
    ". $d/do\n"

#define META(actions)                                                                                        \
    "<?xml version=\"1.0\" ?><resource-agent name=\"x\"><parameters>"                                        \
    "<parameter name=\"action\" required=\"1\"/>"                                                            \
    "<parameter name=\"plug\" required=\"1\" obsoletes=\"port\"/>"                                           \
    "<parameter name=\"ip\" required=\"1\"/><parameter name=\"password\"/>"                                  \
    "</parameters><actions>" actions "</actions></resource-agent>"
#define OFF     "<action name=\"off\" />"
#define ON      "<action name=\"on\" automatic=\"0\"/>"
#define STATUS  "<action name=\"status\" />"
#define MONITOR "<action name=\"monitor\" />"

/* A machine with power, as a well-behaved agent sees it. */
#define HONEST                                                                                               \
    "case $action in off) touch $d/off$plug ;; on) rm -f $d/off$plug ;; monitor) ;;\n"                       \
    "status) [ -e $d/off$plug ] && exit 2; exit 0 ;; *) exit 1 ;; esac\nexit 0\n"

static int patience_ms = 60000;

struct world {
    char dir[64], agent[80];
    uv_loop_t loop;
    struct xha_fencer *f;
    struct xha_fence_conf conf;
    unsigned ends;
    enum xha_fence_result result;
    char host[64], text[4096], said[16384];
};

static void put(const struct world *x, const char *name, const char *text, mode_t mode)
{
    char path[200];

    snprintf(path, sizeof path, "%s/%s", x->dir, name);
    assert_int_equal(0, xha_file_write(path, mode, text, strlen(text)));
}

static const char *get(const struct world *x, const char *name)
{
    static char copy[8192];
    XHA_CLEANUP_FREE char *text = NULL;
    char path[200];
    size_t len;

    snprintf(path, sizeof path, "%s/%s", x->dir, name);
    snprintf(copy, sizeof copy, "%s", xha_file_read(path, sizeof copy - 1, &text, &len) < 0 ? "" : text);
    return copy;
}

static void said(void *user, const char *host, const char *text)
{
    struct world *x = user;
    size_t used = strlen(x->said);

    assert_non_null(host);
    snprintf(x->said + used, sizeof x->said - used, "%s\n", text);
}

static void done(void *user, const char *host, enum xha_fence_result result, const char *text)
{
    struct world *x = user;

    x->ends++;
    x->result = result;
    snprintf(x->host, sizeof x->host, "%s", host);
    snprintf(x->text, sizeof x->text, "%s", text);
}

/* Such is a process that waits in the kernel for storage that is gone: SIGKILL waits, too. */
static bool kills_in_vain;

int __real_kill(pid_t pid, int signal_number);
int __wrap_kill(pid_t pid, int signal_number);
int __wrap_kill(pid_t pid, int signal_number)
{
    return kills_in_vain && signal_number == SIGKILL ? 0 : __real_kill(pid, signal_number);
}

static int set_up(void **state)
{
    struct world *x = calloc(1, sizeof *x);

    strcpy(x->dir, "/tmp/xhad-fencer.XXXXXX");
    if (!mkdtemp(x->dir))
        return -1;
    snprintf(x->agent, sizeof x->agent, "%s/agent", x->dir);
    put(x, "agent", SCRIPT, 0700);
    put(x, "meta", META(OFF ON STATUS MONITOR), 0600);
    put(x, "do", HONEST, 0600);
    uv_loop_init(&x->loop);
    x->f = xha_fencer_new(&x->loop, said, x);
    *state = x;
    return 0;
}

static int tear_down(void **state)
{
    struct world *x = *state;
    char command[200];

    kills_in_vain = false;
    patience_ms = 60000;
    xha_fencer_close(x->f);
    uv_run(&x->loop, UV_RUN_DEFAULT);
    xha_fencer_free(x->f);
    xha_fence_conf_clear(&x->conf);
    if (uv_loop_close(&x->loop) != 0)
        return -1;
    snprintf(command, sizeof command, "rm -rf %s", x->dir);
    if (system(command) != 0)
        return -1;
    free(x);
    return 0;
}

/* Reads devices as they stand in xhad.conf; AGENT in them is the scripted agent. */
static int load(struct world *x, const char *devices, struct xha_problems *problems)
{
    struct xha_conf conf;
    char text[8192] = "fence = ( ";
    int rc;

    for (const char *s = devices; *s; s++) {
        size_t used = strlen(text);

        if (strncmp(s, "AGENT", 5) == 0) {
            snprintf(text + used, sizeof text - used, "\"%s\"", x->agent);
            s += 4;
        } else {
            snprintf(text + used, sizeof text - used, "%c", *s);
        }
    }
    strcat(text, " );\n");
    rc = xha_conf_parse("test.conf", text, strlen(text), &conf, problems);
    if (rc != XHA_CONF_OK)
        return rc;
    xha_fence_conf_clear(&x->conf);
    assert_int_equal(XHA_CONF_OK, xha_fence_conf_copy(&conf.fence, &x->conf));
    assert_true(xha_fence_conf_equal(&conf.fence, &x->conf));
    xha_conf_clear(&conf);
    return XHA_CONF_OK;
}

static void devices(struct world *x, const char *text)
{
    struct xha_problems problems = { 0 };

    if (load(x, text, &problems) != XHA_CONF_OK) {
        xha_problems_print(&problems, stderr);
        fail_msg("the devices were refused");
    }
    assert_int_equal(XHA_FENCER_OK, xha_fencer_configure(x->f, &x->conf));
}

static void wait_end(struct world *x, unsigned ends)
{
    uint64_t until = uv_now(&x->loop) + (uint64_t)patience_ms;

    while (x->ends < ends && uv_now(&x->loop) < until) {
        uv_run(&x->loop, UV_RUN_NOWAIT); /* what waits for nothing any more is to fail here, not to hang */
        usleep(1000);
    }
    assert_int_equal(ends, x->ends);
}

static enum xha_fence_result fence(struct world *x, const char *host)
{
    unsigned ends = x->ends;

    assert_int_equal(XHA_FENCER_OK, xha_fencer_run(x->f, host, done, x));
    assert_int_equal(ends, x->ends); /* never from within the call */
    wait_end(x, ends + 1);
    assert_string_equal(host, x->host);
    return x->result;
}

#define ONE                                                                                                  \
    "{ host = \"h1\"; agent = AGENT; plug = \"1\"; retries = 0; timeout = 5; options = { ip = "              \
    "\"10.0.0.1\"; }; }"

/* ---- success, and only success ---- */

static void test_off_and_proven(void **state)
{
    struct world *x = *state;

    devices(x, ONE);
    assert_int_equal(XHA_FENCE_OK, fence(x, "h1"));
    assert_string_equal("off 1\nstatus 1\n", get(x, "log"));
    assert_non_null(strstr(get(x, "told"), "action=off\nplug=1\nip=10.0.0.1\n"));
    assert_non_null(strstr(x->text, "(level 1): is off"));
    assert_non_null(strstr(x->said, "off, try 1 of 1"));
}

static void test_already_off(void **state)
{
    struct world *x = *state;

    put(x, "off1", "", 0600);
    put(x, "do", "[ $action = off ] && echo 'Success: Already OFF'\n" HONEST, 0600);
    devices(x, ONE);
    assert_int_equal(XHA_FENCE_OK, fence(x, "h1"));
}

static void test_error_is_no_success(void **state)
{
    struct world *x = *state;

    put(x, "do", "echo 'Unable to connect' >&2; exit 1\n", 0600);
    devices(x, ONE);
    assert_int_equal(XHA_FENCE_FAILED, fence(x, "h1"));
    assert_non_null(strstr(x->text, "action off ended with status 1: Unable to connect"));
}

static void test_status_says_on(void **state)
{
    struct world *x = *state;

    put(x, "do", "exit 0\n", 0600);
    devices(x, ONE);
    assert_int_equal(XHA_FENCE_FAILED, fence(x, "h1"));
    assert_non_null(strstr(x->text, "its status is on"));
}

static void test_status_fails(void **state)
{
    struct world *x = *state;

    put(x, "do", "[ $action = status ] && exit 1; exit 0\n", 0600);
    devices(x, ONE);
    assert_int_equal(XHA_FENCE_FAILED, fence(x, "h1"));
    assert_non_null(strstr(x->text, "action status ended with status 1"));
}

/* Some say off a moment before they are. */
static void test_status_settles(void **state)
{
    struct world *x = *state;

    put(x, "do", "[ $action = off ] && exit 0\n[ -e $d/later ] && exit 2\ntouch $d/later\nexit 0\n", 0600);
    devices(x, ONE);
    assert_int_equal(XHA_FENCE_OK, fence(x, "h1"));
    assert_string_equal("off 1\nstatus 1\nstatus 1\n", get(x, "log"));
}

static void test_no_status_offered(void **state)
{
    struct world *x = *state;

    put(x, "meta", META(OFF ON MONITOR), 0600);
    devices(x, ONE);
    assert_int_equal(XHA_FENCE_OK, fence(x, "h1"));
    assert_string_equal("off 1\n", get(x, "log"));
}

static void test_no_metadata_wants_status(void **state)
{
    struct world *x = *state;

    put(x, "meta-fails", "", 0600);
    devices(x, ONE);
    assert_int_equal(XHA_FENCE_OK, fence(x, "h1"));
    assert_string_equal("off 1\nstatus 1\n", get(x, "log"));
}

static void test_cannot_power_off(void **state)
{
    struct world *x = *state;

    put(x, "meta", META(ON STATUS MONITOR), 0600);
    devices(x, ONE);
    assert_int_equal(XHA_FENCE_FAILED, fence(x, "h1"));
    assert_non_null(strstr(x->text, "cannot power off"));
    assert_string_equal("", get(x, "log"));
}

static void test_no_such_agent(void **state)
{
    struct world *x = *state;

    devices(x, "{ host = \"h1\"; agent = \"fence_nowhere\"; retries = 0; }");
    assert_int_equal(XHA_FENCE_FAILED, fence(x, "h1"));
    assert_non_null(strstr(x->text, "there is no such agent"));
}

static void test_not_a_program(void **state)
{
    struct world *x = *state;

    put(x, "agent", "#!/nonexistent\n", 0700);
    devices(x, ONE);
    assert_int_equal(XHA_FENCE_FAILED, fence(x, "h1"));
    assert_non_null(
        strstr(x->text, "action off ")); /* could not be started; ended with 127, under valgrind */
}

/* ---- time ---- */

static bool lives(pid_t pid)
{
    return kill(pid, 0) == 0;
}

static void test_timeout_kills_the_group(void **state)
{
    struct world *x = *state;
    uint64_t began = uv_now(&x->loop);
    pid_t child;

    put(x, "do", "sleep 1000 & echo $! >$d/child; touch $d/off$plug; wait\n", 0600);
    devices(x, "{ host = \"h1\"; agent = AGENT; retries = 0; timeout = 1; }");
    assert_int_equal(XHA_FENCE_FAILED, fence(x, "h1"));
    assert_non_null(strstr(x->text, "did not end within 1 s"));
    assert_true(uv_now(&x->loop) - began < 8000);
    child = (pid_t)strtol(get(x, "child"), NULL, 10);
    assert_true(child > 1);
    for (int i = 0; i < 100 && lives(child); i++)
        usleep(20000);
    assert_false(lives(child));
}

static void test_agent_that_cannot_be_killed(void **state)
{
    struct world *x = *state;
    uint64_t began = uv_now(&x->loop);
    pid_t agent;

    put(x, "do", "[ $plug = 1 ] && { echo $$ >$d/pid; sleep 1000; }\n" HONEST, 0600);
    devices(x, "{ host = \"h1\"; agent = AGENT; plug = \"1\"; retries = 0; timeout = 1; },"
               "{ host = \"h1\"; agent = AGENT; plug = \"2\"; level = 2; retries = 0; }");
    kills_in_vain = true;
    patience_ms = 20000;
    assert_int_equal(XHA_FENCE_OK, fence(x, "h1")); /* by the next level */
    kills_in_vain = false;
    patience_ms = 60000;
    assert_non_null(strstr(x->text, "did not end within 1 s, and cannot be killed"));
    assert_true(uv_now(&x->loop) - began < 8000);
    agent = (pid_t)strtol(get(x, "pid"), NULL, 10);
    assert_true(agent > 1);
    kill(-agent, SIGKILL);
    assert_int_equal(XHA_FENCER_OK,
                     xha_fencer_check(x->f, "h1", done, x)); /* the loop has to turn for something */
    wait_end(x, 2);
    assert_false(lives(agent)); /* reaped, when it ended after all */
}

/* Whoever holds its output open does not hold us. */
static void test_child_left_behind(void **state)
{
    struct world *x = *state;
    uint64_t began = uv_now(&x->loop);

    put(x, "do", "sleep 1000 &\n" HONEST, 0600);
    devices(x, ONE);
    assert_int_equal(XHA_FENCE_OK, fence(x, "h1"));
    assert_true(uv_now(&x->loop) - began < 4500);
}

static void test_retries(void **state)
{
    struct world *x = *state;

    put(x, "do", "[ $action = off ] && [ $(grep -c off $d/log) -lt 3 ] && { echo busy; exit 1; }\n" HONEST,
        0600);
    devices(x, "{ host = \"h1\"; agent = AGENT; retries = 2; }");
    assert_int_equal(XHA_FENCE_OK, fence(x, "h1"));
    assert_string_equal("off\noff\noff\nstatus\n", get(x, "log"));
    assert_non_null(strstr(x->said, "busy; try 2 of 3 follows"));
}

static void test_retries_end(void **state)
{
    struct world *x = *state;

    put(x, "do", "exit 1\n", 0600);
    devices(x, "{ host = \"h1\"; agent = AGENT; retries = 1; }");
    assert_int_equal(XHA_FENCE_FAILED, fence(x, "h1"));
    assert_string_equal("off\noff\n", get(x, "log"));
}

static void test_delay(void **state)
{
    struct world *x = *state;
    uint64_t began;

    devices(x, "{ host = \"h1\"; agent = AGENT; delay = 1.5; }");
    uv_update_time(&x->loop);
    began = uv_now(&x->loop);
    assert_int_equal(XHA_FENCE_OK, fence(x, "h1"));
    assert_true(uv_now(&x->loop) - began >= 1500);
}

static void test_longest(void **state)
{
    struct world *x = *state;

    devices(x, "{ host = \"h1\"; agent = AGENT; delay = 3; retries = 1; timeout = 20; },"
               "{ host = \"h1\"; agent = AGENT; retries = 0; timeout = 5; },"
               "{ host = \"h1\"; agent = AGENT; level = 2; retries = 0; timeout = 5; }");
    /* each try: metadata, off and status, 2 s for each to be killed, and the pause before the last status */
    assert_int_equal(3000 + 2 * (12000 + 22000 + 23000) + 1000 + 12000 + 7000 + 9000,
                     xha_fencer_longest(x->f, "h1").ms);
    assert_int_equal(0, xha_fencer_longest(x->f, "h2").ms);
    /* its status is asked for until a device has had 5 s to settle, however short its timeout is */
    devices(x, "{ host = \"h1\"; agent = AGENT; retries = 0; timeout = 1; }");
    assert_int_equal(12000 + 3000 + 9000, xha_fencer_longest(x->f, "h1").ms);
}

/* ---- levels and plugs ---- */

#define PLUG(n, level)                                                                                       \
    "{ host = \"h1\"; agent = AGENT; plug = \"" n "\"; level = " level "; retries = 0; action = "            \
    "\"reboot\"; }"

static void test_two_supplies(void **state)
{
    struct world *x = *state;
    const char *log;

    devices(x, PLUG("1", "1") ", " PLUG("2", "1"));
    assert_int_equal(XHA_FENCE_OK, fence(x, "h1"));
    uv_run(&x->loop, UV_RUN_DEFAULT); /* until it is on again */
    log = get(x, "log");
    assert_non_null(strstr(log, "on 1\n"));
    assert_non_null(strstr(log, "on 2\n"));
    /* both were off before the first was on */
    assert_true(strstr(log, "status 1\n") < strstr(log, "on ") &&
                strstr(log, "status 2\n") < strstr(log, "on "));
    assert_int_equal(1, x->ends);
}

static void test_one_supply_fails(void **state)
{
    struct world *x = *state;

    put(x, "do", "[ $plug = 2 ] && exit 1\n" HONEST, 0600);
    devices(x, PLUG("1", "1") ", " PLUG("2", "1"));
    assert_int_equal(XHA_FENCE_FAILED, fence(x, "h1"));
    assert_null(strstr(get(x, "log"), "on 1\n"));
}

static void test_next_level(void **state)
{
    struct world *x = *state;

    put(x, "do", "[ $plug = 1 ] && { echo 'no route'; exit 1; }\n" HONEST, 0600);
    devices(x, PLUG("9", "3") ", " PLUG("1", "1") ", " PLUG("2", "1"));
    assert_int_equal(XHA_FENCE_OK, fence(x, "h1"));
    uv_run(&x->loop, UV_RUN_DEFAULT);
    assert_non_null(strstr(x->text, "no route"));
    assert_non_null(strstr(x->text, "(level 3): is off"));
    assert_non_null(strstr(get(x, "log"), "on 9\n"));
    assert_null(strstr(get(x, "log"), "on 2\n"));
}

/* The host is fenced, whatever becomes of switching it on. */
static void test_on_fails(void **state)
{
    struct world *x = *state;

    put(x, "do", "[ $action = on ] && exit 1\n" HONEST, 0600);
    devices(x, PLUG("1", "1"));
    assert_int_equal(XHA_FENCE_OK, fence(x, "h1"));
    uv_run(&x->loop, UV_RUN_DEFAULT);
    assert_int_equal(1, x->ends);
    assert_non_null(strstr(x->said, "action on ended with status 1"));
}

static void test_port_of_old_agents(void **state)
{
    struct world *x = *state;

    put(x, "meta",
        "<resource-agent name=\"x\"><parameters><parameter name=\"port\"/></parameters><actions>" OFF
        "</actions></resource-agent>",
        0600);
    devices(x, "{ host = \"h1\"; agent = AGENT; port = 7; }");
    assert_int_equal(XHA_FENCE_OK, fence(x, "h1"));
    assert_non_null(strstr(get(x, "told"), "port=7\n"));
}

/* ---- several, busy, cancelled ---- */

static void test_several_at_once(void **state)
{
    struct world *x = *state;

    devices(
        x, "{ host = \"h1\"; agent = AGENT; plug = \"1\"; }, { host = \"h2\"; agent = AGENT; plug = \"2\"; },"
           "{ host = \"h3\"; agent = AGENT; plug = \"3\"; }");
    assert_true(xha_fencer_can(x->f, "h3"));
    assert_false(xha_fencer_can(x->f, "h4"));
    assert_int_equal(XHA_FENCER_OK, xha_fencer_run(x->f, "h1", done, x));
    assert_int_equal(XHA_FENCER_OK, xha_fencer_run(x->f, "h2", done, x));
    assert_int_equal(XHA_FENCER_OK, xha_fencer_run(x->f, "h3", done, x));
    assert_int_equal(XHA_FENCER_E_BUSY, xha_fencer_run(x->f, "h2", done, x));
    assert_int_equal(XHA_FENCER_E_NODEVICE, xha_fencer_run(x->f, "h4", done, x));
    wait_end(x, 3);
    assert_int_equal(XHA_FENCE_OK, x->result);
}

static void test_again_while_switching_on(void **state)
{
    struct world *x = *state;

    put(x, "do", "[ $action = on ] && sleep 20\n" HONEST, 0600);
    devices(x, PLUG("1", "1"));
    assert_int_equal(XHA_FENCE_OK, fence(x, "h1"));
    assert_int_equal(XHA_FENCE_OK, fence(x, "h1"));
}

/* Whoever hears the end may begin anew at once. */
static void done_and_again(void *user, const char *host, enum xha_fence_result result, const char *text)
{
    struct world *x = user;

    done(user, host, result, text);
    assert_int_equal(XHA_FENCER_OK, x->ends % 2 ? xha_fencer_run(x->f, host, done, x)
                                                : xha_fencer_check(x->f, host, done, x));
}

static void test_again_from_the_end(void **state)
{
    struct world *x = *state;

    put(x, "do", "exit 1\n", 0600);
    devices(x, PLUG("1", "1"));
    assert_int_equal(XHA_FENCER_OK, xha_fencer_run(x->f, "h1", done_and_again, x));
    wait_end(x, 2);
    assert_int_equal(XHA_FENCE_FAILED, x->result);
    put(x, "do", HONEST, 0600);
    x->ends = 0;
    assert_int_equal(XHA_FENCER_OK, xha_fencer_run(x->f, "h1", done_and_again, x));
    wait_end(x, 2);
    assert_int_equal(XHA_FENCE_OK, x->result);
    uv_run(&x->loop, UV_RUN_DEFAULT);
    assert_non_null(strstr(get(x, "log"), "on 1\n")); /* by the second one */
    x->ends = 1;
    assert_int_equal(XHA_FENCER_OK, xha_fencer_check(x->f, "h1", done_and_again, x));
    wait_end(x, 3);
    assert_int_equal(XHA_FENCE_OK, x->result);
}

static void test_cancelled(void **state)
{
    struct world *x = *state;

    put(x, "do", "sleep 1000\n", 0600);
    devices(x, ONE);
    assert_int_equal(XHA_FENCER_OK, xha_fencer_run(x->f, "h1", done, x));
    for (int i = 0; i < 10000 && !*get(x, "log"); i++) {
        uv_run(&x->loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    xha_fencer_cancel(x->f, "h1");
    assert_int_equal(0, x->ends);
    wait_end(x, 1);
    assert_int_equal(XHA_FENCE_CANCELLED, x->result);
}

static void test_closed_at_work(void **state)
{
    struct world *x = *state;

    put(x, "do", "sleep 1000\n", 0600);
    devices(x, ONE ", { host = \"h2\"; agent = AGENT; delay = 300; }");
    assert_int_equal(XHA_FENCER_OK, xha_fencer_run(x->f, "h1", done, x));
    assert_int_equal(XHA_FENCER_OK, xha_fencer_run(x->f, "h2", done, x));
    for (int i = 0; i < 10000 && !*get(x, "log"); i++) {
        uv_run(&x->loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    xha_fencer_close(x->f);
    wait_end(x, 2);
    assert_int_equal(XHA_FENCE_CANCELLED, x->result);
    assert_int_equal(XHA_FENCER_E_NODEVICE, xha_fencer_run(x->f, "h1", done, x));
}

static void test_other_devices_meanwhile(void **state)
{
    struct world *x = *state;

    put(x, "do", "sleep 1\n" HONEST, 0600);
    devices(x, ONE);
    assert_int_equal(XHA_FENCER_OK, xha_fencer_run(x->f, "h1", done, x));
    devices(x, "{ host = \"h2\"; agent = AGENT; }");
    assert_false(xha_fencer_can(x->f, "h1"));
    wait_end(x, 1);
    assert_int_equal(XHA_FENCE_OK, x->result);
    assert_string_equal("h1", x->host);
}

/* ---- what it says ---- */

static void test_noise(void **state)
{
    struct world *x = *state;

    put(x, "do", "head -c 300000 /dev/urandom; printf '\\033[31mred\\n'; exit 1\n", 0600);
    devices(x, ONE);
    assert_int_equal(XHA_FENCE_FAILED, fence(x, "h1"));
    for (const char *c = x->text; *c; c++)
        assert_true(*c >= 0x20 && *c <= 0x7e);
    assert_non_null(strstr(x->text, "\\x1b[31mred"));
}

static void test_password_from_file(void **state)
{
    struct world *x = *state;
    char text[400];

    put(x, "do", "grep ^password= $d/told | tail -n 1; exit 1\n", 0600);
    put(x, "secret", "sesame open\n", 0600);
    snprintf(text, sizeof text,
             "{ host = \"h1\"; agent = AGENT; retries = 0; password_file = \"%s/secret\"; }", x->dir);
    devices(x, text);
    assert_int_equal(XHA_FENCE_FAILED, fence(x, "h1"));
    assert_non_null(strstr(get(x, "told"), "password=sesame open\n"));
    assert_null(strstr(x->text, "sesame"));
    assert_non_null(strstr(x->text, "password=***"));
    assert_null(strstr(x->said, "sesame"));
}

static void test_password_not_readable(void **state)
{
    struct world *x = *state;

    devices(x, "{ host = \"h1\"; agent = AGENT; retries = 0; password_file = \"/nonexistent/secret\"; }");
    assert_int_equal(XHA_FENCE_FAILED, fence(x, "h1"));
    assert_non_null(strstr(x->text, "password_file cannot be read"));
}

/* ---- checks ---- */

static enum xha_fence_result check(struct world *x)
{
    unsigned ends = x->ends;

    assert_int_equal(XHA_FENCER_OK, xha_fencer_check(x->f, "h1", done, x));
    wait_end(x, ends + 1);
    return x->result;
}

static void test_check(void **state)
{
    struct world *x = *state;

    devices(x, PLUG("1", "1") ", " PLUG("2", "2"));
    assert_int_equal(XHA_FENCE_OK, check(x));
    assert_null(strstr(get(x, "log"), "off"));
    put(x, "do", "[ $plug = 2 ] && { echo broken; exit 1; }\n" HONEST, 0600);
    assert_int_equal(XHA_FENCE_FAILED, check(x));
    assert_non_null(strstr(x->text, "(level 2): action monitor ended with status 1: broken"));
    assert_null(strstr(x->text, "level 1"));
}

static void test_check_by_status(void **state)
{
    struct world *x = *state;

    put(x, "meta", META(OFF STATUS), 0600);
    devices(x, ONE);
    put(x, "off1", "", 0600);
    assert_int_equal(XHA_FENCE_OK, check(x));
    assert_string_equal("status 1\n", get(x, "log"));
}

/* Many devices serve one client: a question must not be in the way when the host has to be fenced. */
static void test_check_gives_way(void **state)
{
    struct world *x = *state;

    put(x, "do", "[ $action = monitor ] && sleep 60\n" HONEST, 0600);
    devices(x, ONE);
    assert_int_equal(XHA_FENCER_OK, xha_fencer_check(x->f, "h1", done, x));
    while (!strstr(get(x, "log"), "monitor"))
        uv_run(&x->loop, UV_RUN_NOWAIT);
    assert_int_equal(XHA_FENCER_OK, xha_fencer_run(x->f, "h1", done, x));
    wait_end(x, 1);
    assert_int_equal(XHA_FENCE_CANCELLED, x->result);
    wait_end(x, 2);
    assert_int_equal(XHA_FENCE_OK, x->result);
    assert_string_equal("monitor 1\noff 1\nstatus 1\n", get(x, "log"));
}

static void test_no_check_beside_a_fence(void **state)
{
    struct world *x = *state;

    put(x, "do", "[ $action = on ] && sleep 60\n" HONEST, 0600);
    devices(x, PLUG("1", "1"));
    assert_int_equal(XHA_FENCER_OK, xha_fencer_run(x->f, "h1", done, x));
    assert_int_equal(XHA_FENCER_E_BUSY, xha_fencer_check(x->f, "h1", done, x));
    wait_end(x, 1);
    while (!strstr(get(x, "log"), "on 1\n"))
        uv_run(&x->loop, UV_RUN_NOWAIT);
    assert_int_equal(XHA_FENCER_E_BUSY, xha_fencer_check(x->f, "h1", done, x)); /* it is being switched on */
}

/* ---- the settings against the agents ---- */

static int validate(struct world *x, const char *text, struct xha_problems *problems,
                    struct xha_problems *warnings)
{
    assert_int_equal(XHA_CONF_OK, load(x, text, problems));
    return xha_fencer_validate(&x->conf, "test.conf", problems, warnings);
}

static bool told(const struct xha_problems *p, const char *text)
{
    for (size_t i = 0; i < p->n; i++)
        if (strstr(p->text[i], text))
            return true;
    return false;
}

static void test_validate(void **state)
{
    struct world *x = *state;
    struct xha_problems problems = { 0 }, warnings = { 0 };

    assert_int_equal(XHA_CONF_OK, validate(x, ONE, &problems, &warnings));
    assert_int_equal(0, problems.n + warnings.n);
    assert_int_equal(XHA_CONF_E_BAD,
                     validate(x,
                              "{ host = \"h1\"; agent = AGENT; options = { passwrd = \"x\"; }; },\n"
                              "{ host = \"h1\"; agent = \"fence_nowhere\"; }",
                              &problems, &warnings));
    assert_true(told(&problems, "test.conf:1: options: "));
    assert_true(told(&problems, "has no option passwrd; did you mean password?"));
    assert_true(told(&warnings, "test.conf:2: fence: there is no agent fence_nowhere"));
    assert_true(told(&warnings, "wants the option plug"));
    assert_true(told(&warnings, "wants the option ip"));
    xha_problems_clear(&problems);
    xha_problems_clear(&warnings);
}

static void test_validate_secrets(void **state)
{
    struct world *x = *state;
    struct xha_problems problems = { 0 }, warnings = { 0 };
    char text[400], file[100];

    put(x, "secret", "sesame\n", 0644);
    snprintf(text, sizeof text,
             "{ host = \"h1\"; agent = AGENT; plug = \"1\"; password_file = \"%s/secret\"; options = { ip = "
             "\"1\"; }; }",
             x->dir);
    assert_int_equal(XHA_CONF_OK, validate(x, text, &problems, &warnings));
    assert_int_equal(1, warnings.n);
    assert_true(told(&warnings, "others may read it: chmod 600"));
    xha_problems_clear(&warnings);
    put(x, "conf", "", 0644);
    snprintf(file, sizeof file, "%s/conf", x->dir);
    assert_int_equal(
        XHA_CONF_OK,
        load(x, "{ host = \"h1\"; agent = AGENT; options = { password = \"sesame\"; }; }", &problems));
    xha_fence_conf_exposed(&x->conf, file, &warnings);
    assert_true(told(&warnings, "holds a password, and others may read this file"));
    xha_problems_clear(&warnings);
}

static void test_bad_settings(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        { "{ agent = \"fence_x\"; }", "which host?" },
        { "{ host = \"h1\"; }", "which agent?" },
        { "{ host = \"h1\"; agent = \"../fence_x\"; }", "which agent?" },
        { "{ host = \"h 1\"; agent = \"fence_x\"; }", "which host?" },
        { "{ host = \"h1\"; agent = \"fence_x\"; level = 10; }", "level: 10 is out of range: 1 to 9" },
        { "{ host = \"h1\"; agent = \"fence_x\"; timeout = 0; }", "timeout: 0 is out of range" },
        { "{ host = \"h1\"; agent = \"fence_x\"; action = \"on\"; }",
          "action: \"on\" is none of: off, reboot" },
        { "{ host = \"h1\"; agent = \"fence_x\"; agnet = \"x\"; }",
          "unknown parameter agnet; did you mean agent?" },
        { "{ host = \"h1\"; agent = \"fence_x\"; options = { action = \"on\"; }; }",
          "action is told to the agent by" },
        { "{ host = \"h1\"; agent = \"fence_x\"; options = { a = \"x\\ny\"; }; }",
          "must be a string of at most" },
        { "{ host = \"h1\"; agent = \"fence_x\"; options = ( 1 ); }", "options: must be a group" },
        { "{ host = \"h1\"; agent = \"fence_x\"; password_file = \"/x\"; options = { password = \"y\"; }; }",
          "give one of them" },
        { "7", "each device must be a group" },
    };
    struct world *x = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct xha_problems problems = { 0 };

        assert_int_equal(XHA_CONF_E_BAD, load(x, cases[i].text, &problems));
        if (!told(&problems, cases[i].message) || !told(&problems, "test.conf:1: "))
            fail_msg("%s: not \"%s\" but \"%s\"", cases[i].text, cases[i].message, problems.text[0]);
        xha_problems_clear(&problems);
    }
}

/* ---- metadata ---- */

static void test_bad_metadata(void **state)
{
    static const char *const bad[] = {
        "",
        "no XML",
        "<resource-agent>",
        "<other></other>",
        "<!DOCTYPE a [<!ENTITY b \"c\">]><resource-agent>&b;</resource-agent>",
    };
    char deep[200] = "<resource-agent>";
    struct xha_fence_meta meta;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(-1, xha_fence_meta_parse(bad[i], strlen(bad[i]), &meta));
    for (int i = 0; i < 16; i++)
        strcat(deep, "<a>");
    for (int i = 0; i < 16; i++)
        strcat(deep, "</a>");
    strcat(deep, "</resource-agent>");
    assert_int_equal(-1, xha_fence_meta_parse(deep, strlen(deep), &meta));
}

static void test_too_many_parameters(void **state)
{
    static char text[64 * 1024] = "<resource-agent>";
    struct xha_fence_meta meta;

    (void)state;
    for (int i = 0; i <= XHA_FENCE_META_PARAMS; i++)
        strcat(text, "<parameter name=\"p\"/>");
    strcat(text, "</resource-agent>");
    assert_int_equal(-1, xha_fence_meta_parse(text, strlen(text), &meta));
}

struct survey {
    unsigned asked, under_way, understood, can_off;
};

static void on_meta(void *user, struct xha_agent_end *end)
{
    struct survey *s = user;
    struct xha_fence_meta meta;

    s->under_way--;
    if (end->status != 0) /* one that needs a device, or has none */
        return;
    if (xha_fence_meta_parse(end->out, end->out_len, &meta) < 0) {
        fail_msg("not understood: %.200s", end->out);
        return;
    }
    assert_false(end->cut);
    assert_true(meta.n > 0 && xha_fence_meta_find(&meta, "action"));
    s->understood++;
    s->can_off += meta.off;
}

/* What all agents of Debian's fence-agents say is understood. */
static void test_standard_agents(void **state)
{
    struct world *x = *state;
    XHA_CLEANUP_CLOSEDIR DIR *dir = NULL;
    struct survey s = { 0 };
    const struct dirent *e;
    /* Each is a Python program of its own: the short way asks every tenth. */
    unsigned every = getenv("XHA_SHORT") ? 10 : 1, found = 0;

    dir = opendir("/usr/sbin");
    while (dir && (e = readdir(dir))) {
        char path[300];
        struct xha_agent_order order = {
            .path = path, .action = "metadata", .timeout = { 60000 }, .keep = XHA_FENCE_META_MAX + 1
        };

        snprintf(path, sizeof path, "/usr/sbin/%s", e->d_name);
        if (strncmp(e->d_name, "fence_", 6) != 0 || strcmp(e->d_name, "fence_ack_manual") == 0)
            continue;
        if (found++ % every != 0)
            continue;
        while (s.under_way >= 4)
            uv_run(&x->loop, UV_RUN_ONCE);
        assert_non_null(xha_agent_start(&x->loop, &order, on_meta, &s));
        s.asked++;
        s.under_way++;
    }
    uv_run(&x->loop, UV_RUN_DEFAULT);
    if (found < 60)
        fail_msg("only %u agents are installed: this test needs Debian's package fence-agents", found);
    assert_true(s.understood + 3 >= s.asked);
    assert_true(s.can_off + 4 >= s.asked);
}

static void test_standard_agent_fences(void **state)
{
    struct world *x = *state;
    char text[400];

    put(x, "power", "on", 0600);
    snprintf(text, sizeof text,
             "{ host = \"h1\"; agent = \"fence_dummy\"; options = { status_file = \"%s/power\"; }; }",
             x->dir);
    devices(x, text);
    assert_int_equal(XHA_FENCE_OK, check(x));
    assert_string_equal("on", get(x, "power"));
    assert_int_equal(XHA_FENCE_OK, fence(x, "h1"));
    assert_string_equal("off", get(x, "power"));
    assert_int_equal(XHA_FENCE_OK, fence(x, "h1")); /* already off */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(test_off_and_proven),
        TEST(test_already_off),
        TEST(test_error_is_no_success),
        TEST(test_status_says_on),
        TEST(test_status_fails),
        TEST(test_status_settles),
        TEST(test_no_status_offered),
        TEST(test_no_metadata_wants_status),
        TEST(test_cannot_power_off),
        TEST(test_no_such_agent),
        TEST(test_not_a_program),
        TEST(test_timeout_kills_the_group),
        TEST(test_agent_that_cannot_be_killed),
        TEST(test_child_left_behind),
        TEST(test_retries),
        TEST(test_retries_end),
        TEST(test_delay),
        TEST(test_longest),
        TEST(test_two_supplies),
        TEST(test_one_supply_fails),
        TEST(test_next_level),
        TEST(test_on_fails),
        TEST(test_port_of_old_agents),
        TEST(test_several_at_once),
        TEST(test_again_while_switching_on),
        TEST(test_again_from_the_end),
        TEST(test_cancelled),
        TEST(test_closed_at_work),
        TEST(test_other_devices_meanwhile),
        TEST(test_noise),
        TEST(test_password_from_file),
        TEST(test_password_not_readable),
        TEST(test_check),
        TEST(test_check_by_status),
        TEST(test_check_gives_way),
        TEST(test_no_check_beside_a_fence),
        TEST(test_validate),
        TEST(test_validate_secrets),
        TEST(test_bad_settings),
        TEST(test_bad_metadata),
        TEST(test_too_many_parameters),
        TEST(test_standard_agents),
        TEST(test_standard_agent_fences),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

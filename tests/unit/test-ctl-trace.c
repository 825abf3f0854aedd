/*
 * A trace of the core, replayed, gives the identical plans; a changed one is noticed, a torn one ends where
 * it is torn, and a file that is no trace is refused.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "xhad/ctl/trace.h"

static const struct xha_settings settings = {
    .max_domains = 4,
    .parallel = 1,
    .round_interval = { 1000 },
    .probe_window = { 2000 },
    .vanish_grace = { 10000 },
    .hold_max = { 60000 },
    .ill_share_percent = 50,
    .ill_min = 2,
};

static const struct xha_policy policy = {
    .protection = XHA_PROT_RESTART,
    .autostart = true,
    .react[XHA_FAIL_CRASH] = XHA_REACT_RECOVER,
    .heartbeat_timeout = { 10000 },
    .boot_grace = { 60000 },
    .start_timeout = { 60000 },
    .stop_timeout = { 60000 },
    .max_restarts = 3,
    .restart_window = { 3600000 },
};

static char path[] = "/tmp/test-ctl-trace.XXXXXX";

static void step(struct xha_trace *trace, struct xha_core *core, struct xha_event *ev)
{
    static struct xha_plan plan;

    xha_core_step(core, ev, &plan);
    xha_trace_step(trace, ev, &plan);
}

/* A domain comes under protection, is started, and crashes: 6 steps. */
static void record(void)
{
    struct xha_event ev = { .type = XHA_EV_PROTECT, .now = { 1000 }, .uuid = { { 7 } } };
    struct xha_trace *trace;
    struct xha_core *core;
    struct xha_record r;

    unlink(path);
    assert_int_equal(xha_core_new(&settings, 1, &core), 0);
    assert_int_equal(xha_trace_open(path, &settings, 1, &trace), 0);
    ev.u.protect.policy = &policy;
    strcpy(ev.u.protect.name, "web");
    step(trace, core, &ev);
    ev = (struct xha_event){ .type = XHA_EV_ROUND, .now = { 2000 } };
    ev.u.round = (struct xha_round){ .began = { 1999 }, .beats_read = true, .xenstore_ok = true };
    step(trace, core, &ev);
    ev = (struct xha_event){ .type = XHA_EV_DONE, .now = { 3000 }, .uuid = { { 7 } } };
    assert_int_equal(xha_core_record(core, &ev.uuid, &r), 0);
    ev.u.done.id = r.pending_id;
    ev.u.done.domid = 5;
    step(trace, core, &ev);
    ev = (struct xha_event){ .type = XHA_EV_SEEN, .now = { 4000 }, .uuid = { { 7 } } };
    ev.u.seen =
        (struct xha_seen){ .listed = { 3999 }, .domid = 5, .shut = true, .reason = XHA_SHUTDOWN_CRASH };
    step(trace, core, &ev);
    xha_trace_close(trace);
    xha_core_free(core);
}

static int replay(char *story, size_t len)
{
    char err[300] = "";
    FILE *out = fmemopen(story, len, "w");
    int r = xha_trace_replay(path, out, err, sizeof err);

    fclose(out);
    if (r < 0)
        snprintf(story, len, "%s", err);
    return r;
}

static void same_plans_again(void **state)
{
    char story[2000];

    (void)state;
    record();
    assert_int_equal(replay(story, sizeof story), 0);
    assert_non_null(strstr(story, "web: booting -> queued: its kernel crashed"));
    assert_non_null(strstr(story, "web: destroy (action"));
    assert_non_null(strstr(story, "4 steps, every plan as recorded"));
}

static void an_existing_file_is_left_alone(void **state)
{
    struct xha_trace *trace;

    (void)state;
    record();
    assert_int_equal(xha_trace_open(path, &settings, 1, &trace), -1);
}

/* The last byte before the end belongs to the last step's hash. */
static void a_changed_trace_is_noticed(void **state)
{
    char story[2000];
    struct stat st;
    FILE *f;
    int c;

    (void)state;
    record();
    assert_int_equal(stat(path, &st), 0);
    f = fopen(path, "r+");
    fseek(f, -1, SEEK_END);
    c = fgetc(f);
    fseek(f, -1, SEEK_END);
    fputc(c ^ 1, f);
    fclose(f);
    assert_int_equal(replay(story, sizeof story), 1);
    assert_non_null(strstr(story, "step 4 differs"));
}

static void a_torn_trace_ends_where_it_is_torn(void **state)
{
    char story[2000];
    struct stat st;

    (void)state;
    record();
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size - 3), 0);
    assert_int_equal(replay(story, sizeof story), 0);
    assert_non_null(strstr(story, "3 steps"));
}

static void no_trace_is_refused(void **state)
{
    char story[2000];
    FILE *f = fopen(path, "w");

    (void)state;
    fputs(
        "this is no trace at all, but long enough to look like one to a careless reader; it goes on and on, "
        "and on, and on, and on, and on, and on, and on, and on, and on, and on, and on, and on, and on.\n",
        f);
    fclose(f);
    assert_int_equal(replay(story, sizeof story), -1);
    assert_non_null(strstr(story, "not a trace of xhad"));
    unlink(path);
    assert_int_equal(replay(story, sizeof story), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_plans_again),           cmocka_unit_test(an_existing_file_is_left_alone),
        cmocka_unit_test(a_changed_trace_is_noticed), cmocka_unit_test(a_torn_trace_ends_where_it_is_torn),
        cmocka_unit_test(no_trace_is_refused),
    };
    int fd = mkstemp(path), r;

    if (fd < 0)
        return 1;
    close(fd);
    r = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return r;
}

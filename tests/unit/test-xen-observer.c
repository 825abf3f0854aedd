/*
 * xhad/xen/observer.c, whole, over its real socket, against a hypervisor and a xenstore made up here
 * (-Wl,--wrap). It runs in a process of its own, as in life; what it sees lies in shared memory, where the
 * test changes it.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xenctrl.h>
#include <cmocka.h>

#include "fake-xen.h"
#include "xhad/base/observe.h"

#define DOMS       1500
#define PATIENCE_S 60 /* for a message; a test that waits so long has failed */

/* ---- the observer and we ---- */

static int ours;
static pid_t pid;

static int setup(void **state)
{
    (void)state;
    return fake_xen_start(&ours, &pid);
}

static int teardown(void **state)
{
    (void)state;
    if (ours >= 0)
        close(ours);
    return fake_xen_stop(pid);
}

static void hear(struct xha_obs *obs)
{
    struct pollfd pfd = { .fd = ours, .events = POLLIN };

    assert_int_equal(poll(&pfd, 1, PATIENCE_S * 1000), 1);
    assert_int_equal(xha_obs_recv(ours, obs), XHA_OBS_OK);
}

static void say(struct xha_obs obs)
{
    assert_int_equal(xha_obs_send(ours, &obs), XHA_OBS_OK);
}

/* Hears one whole round; seen_r: of the domid, with domid 0 when it was not seen. n_r: how many were. */
static struct xha_obs hear_round(int32_t domid, struct xha_seen *seen_r, int *n_r)
{
    struct xha_obs obs;
    int64_t listed = -1;

    memset(seen_r, 0, sizeof(*seen_r));
    *n_r = 0;
    for (hear(&obs); obs.type != XHA_OBS_ROUND; hear(&obs)) {
        assert_int_equal(obs.type, XHA_OBS_SEEN);
        assert_int_equal(obs.uuid.b[1], obs.u.seen.domid & 0xff);
        listed = obs.u.seen.listed.ms;
        if (obs.u.seen.domid == domid)
            *seen_r = obs.u.seen;
        ++*n_r;
    }
    if (*n_r > 0)
        assert_int_equal(listed, obs.u.round.r.began.ms);
    return obs;
}

/* The next round that was for heartbeats, or was not. */
static struct xha_obs hear_kind(bool beats, int32_t domid, struct xha_seen *seen_r, int *n_r)
{
    struct xha_obs obs;

    do
        obs = hear_round(domid, seen_r, n_r);
    while (obs.u.round.r.beats_read != beats);
    return obs;
}

static void begin(int64_t interval_ms)
{
    struct xha_obs obs;

    hear(&obs);
    assert_int_equal(obs.type, XHA_OBS_READY);
    assert_string_equal(obs.u.ready.version, "4.17.3-test");
    assert_string_equal(obs.u.ready.scheduler, "credit2");
    if (interval_ms > 0)
        say((struct xha_obs){ .type = XHA_OBS_CONFIG, .u.config.round_interval_ms = interval_ms });
}

static void track(int domid, const char *key)
{
    struct xha_obs obs = { .type = XHA_OBS_TRACK, .uuid = { { (uint8_t)(domid >> 8), (uint8_t)domid } } };

    strcpy(obs.u.track.key, key);
    say(obs);
}

/* ---- the tests ---- */

static void test_beats_of_tracked_domains_only(void **state)
{
    struct xha_seen seen;
    struct xha_obs obs;
    int n;

    (void)state;
    fake->beat = 100;
    track(1, XHA_OBS_KEY);
    track(2, "");
    begin(50);
    obs = hear_kind(true, 1, &seen, &n);
    assert_int_equal(n, 2);
    assert_true(seen.beat_read && seen.beat_valid);
    assert_int_equal(seen.beat, 101);
    assert_int_equal(seen.cpu_time_ns, 1000);
    assert_true(obs.u.round.r.xenstore_ok);
    assert_int_equal(obs.u.round.r.failed_reads, 0);
    assert_int_equal(obs.u.round.store_ops, 3); /* two for the canary, one for the beat */
    assert_int_equal(obs.u.round.hypercalls, 1);
    assert_int_equal(obs.u.round.memory_kib, 4 << 20);
    assert_int_equal(obs.u.round.free_kib, 1 << 20);
    assert_int_equal(obs.u.round.pcpus, 4);
    hear_kind(true, 2, &seen, &n);
    assert_false(seen.beat_read);
    say((struct xha_obs){ .type = XHA_OBS_UNTRACK, .uuid = { { 0, 1 } } });
    do
        obs = hear_kind(true, 1, &seen, &n);
    while (obs.u.round.store_ops != 2);
    assert_false(seen.beat_read);
}

static void test_no_key_is_no_failure(void **state)
{
    struct xha_seen seen;
    struct xha_obs obs;
    int n;

    (void)state;
    fake->read_errno = ENOENT;
    track(1, XHA_OBS_KEY);
    begin(50);
    obs = hear_kind(true, 1, &seen, &n);
    assert_true(seen.beat_read && !seen.beat_valid);
    assert_int_equal(obs.u.round.r.failed_reads, 0);
    fake->read_errno = EIO;
    do
        obs = hear_kind(true, 1, &seen, &n);
    while (seen.beat_read);
    assert_int_equal(obs.u.round.r.failed_reads, 1);
    assert_true(obs.u.round.r.xenstore_ok);
}

static void test_flags(void **state)
{
    struct xha_seen seen;
    int n;

    (void)state;
    fake->flags = XEN_DOMINF_shutdown | 3 << XEN_DOMINF_shutdownshift;
    begin(50);
    hear_kind(true, 1, &seen, &n);
    assert_true(seen.shut && !seen.paused && !seen.dying);
    assert_int_equal(seen.reason, XHA_SHUTDOWN_CRASH);
    fake->flags = XEN_DOMINF_paused | XEN_DOMINF_dying | 255 << XEN_DOMINF_shutdownshift;
    do
        hear_kind(true, 1, &seen, &n);
    while (!seen.paused);
    assert_true(!seen.shut && seen.dying);
    assert_int_equal(seen.reason, 0);
}

static void test_canary_lost(void **state)
{
    struct xha_seen seen;
    struct xha_obs obs;
    int n;

    (void)state;
    fake->canary_lost = 1;
    track(1, XHA_OBS_KEY);
    begin(50);
    obs = hear_kind(true, 1, &seen, &n);
    assert_false(obs.u.round.r.xenstore_ok);
    assert_int_equal(obs.u.round.r.failed_reads, 1);
    assert_int_equal(n, 2);
    assert_false(seen.beat_read);
    fake->canary_lost = 0;
    do
        obs = hear_kind(true, 1, &seen, &n);
    while (!obs.u.round.r.xenstore_ok);
    assert_true(seen.beat_valid);
}

/* However long xenstored is stuck, rounds come, marked; deaths are seen; and it heals. */
static void test_stuck_xenstore(void **state)
{
    struct xha_seen seen;
    struct xha_obs obs;
    int n;

    (void)state;
    track(1, XHA_OBS_KEY);
    begin(50);
    do
        hear_kind(true, 1, &seen, &n);
    while (!seen.beat_valid);
    fake->stuck = 1;
    for (int i = 0; i < 5; i++) {
        do
            obs = hear_kind(true, 1, &seen, &n);
        while (obs.u.round.r.xenstore_ok);
        assert_false(seen.beat_read);
        assert_int_equal(obs.u.round.r.failed_reads, 1);
    }
    fake->n_dom = 1;
    do
        hear_kind(true, 1, &seen, &n);
    while (n != 1);
    fake->stuck = 0;
    do
        obs = hear_kind(true, 1, &seen, &n);
    while (!obs.u.round.r.xenstore_ok);
}

static void test_look_and_watch(void **state)
{
    struct xha_seen seen;
    struct xha_obs obs;
    int n;

    (void)state;
    begin(3600000); /* after the first beat round nothing comes by itself */
    hear_kind(true, 1, &seen, &n);
    say((struct xha_obs){ .type = XHA_OBS_LOOK });
    obs = hear_round(1, &seen, &n);
    assert_false(obs.u.round.r.beats_read);
    assert_true(obs.u.round.r.xenstore_ok);
    assert_int_equal(obs.u.round.store_ops, 0);
    assert_int_equal(n, 2);
    fake->n_dom = 1;
    for (int i = 0; i < 50; i++) /* a burst becomes few rounds */
        assert_int_equal(write(fake->watch_pipe[1], "x", 1), 1);
    hear_round(1, &seen, &n);
    assert_int_equal(n, 1);
}

static void test_probe(void **state)
{
    struct xha_seen seen;
    struct xha_obs obs;
    int n;

    (void)state;
    begin(0);
    say((struct xha_obs){ .type = XHA_OBS_PROBE, .uuid = { { 0, 2 } }, .u.probe.domid = 2 });
    hear(&obs);
    assert_int_equal(obs.type, XHA_OBS_PROBED);
    assert_int_equal(obs.u.probed.domid, 2);
    assert_int_equal(obs.u.probed.cpu_time_ns, 2000);
    /* Of another UUID, or gone: the listing tells. */
    say((struct xha_obs){ .type = XHA_OBS_PROBE, .uuid = { { 0, 1 } }, .u.probe.domid = 2 });
    hear_round(1, &seen, &n);
    assert_int_equal(n, 2);
    say((struct xha_obs){ .type = XHA_OBS_PROBE, .uuid = { { 0, 9 } }, .u.probe.domid = 9 });
    hear_round(1, &seen, &n);
    assert_int_equal(n, 2);
}

/* One listing takes few hypercalls, a round one xenstore request per tracked domain and two for the canary.
 */
static void test_many_domains(void **state)
{
    struct xha_seen seen;
    struct xha_obs obs;
    int n;

    (void)state;
    fake->n_dom = DOMS;
    for (int domid = 1; domid <= DOMS; domid++)
        track(domid, XHA_OBS_KEY);
    begin(50);
    do
        obs = hear_kind(true, DOMS, &seen, &n);
    while (obs.u.round.store_ops != DOMS + 2);
    assert_int_equal(n, DOMS);
    assert_int_equal(seen.beat, DOMS);
    assert_int_equal(obs.u.round.hypercalls, 2);
}

static int wait_status(void)
{
    int status = -1;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    pid = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_leaves_with_xhad(void **state)
{
    (void)state;
    begin(50);
    close(ours);
    ours = -1;
    assert_int_equal(wait_status(), 0);
}

static void test_leaves_at_a_strange_message(void **state)
{
    (void)state;
    begin(0);
    assert_int_equal(write(ours, "what", 4), 4);
    assert_int_equal(wait_status(), 1);
}

#define ONE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(test_beats_of_tracked_domains_only),
        ONE(test_no_key_is_no_failure),
        ONE(test_flags),
        ONE(test_canary_lost),
        ONE(test_stuck_xenstore),
        ONE(test_look_and_watch),
        ONE(test_probe),
        ONE(test_many_domains),
        ONE(test_leaves_with_xhad),
        ONE(test_leaves_at_a_strange_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

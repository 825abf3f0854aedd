/*
 * ctl/peers_fence.c with a fencer and a core that are made up here: which order gets which answer. Leaders order anew when
 * an executor takes long, and another one in turn: whatever an agent has proven must count all the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "xhad/ctl/peers.h"

static struct {
    struct xha_cluster_host host; /* the lost one */
    xha_fencer_done_cb *done;     /* of the run under way; NULL: none is */
    void *user;
    unsigned runs, cancels, told;
    uint32_t attempt; /* told last */
    bool ok;
} world;

int xha_fencer_run(struct xha_fencer *f, const char *host, xha_fencer_done_cb *done, void *user)
{
    (void)f;
    assert_string_equal(host, "h2");
    if (world.done)
        return XHA_FENCER_E_BUSY;
    world.done = done;
    world.user = user;
    world.runs++;
    return XHA_FENCER_OK;
}

void xha_fencer_cancel(struct xha_fencer *f, const char *host)
{
    (void)f;
    assert_string_equal(host, "h2");
    world.cancels++;
}

int xha_peers_step(struct xha_peers *p, struct xha_cluster_event *ev)
{
    (void)p;
    assert_int_equal(ev->type, XHA_CEV_FENCE_DONE);
    assert_int_equal(ev->u.fence_done.host, 1);
    world.told++;
    world.attempt = ev->u.fence_done.attempt;
    world.ok = ev->u.fence_done.ok;
    return 0;
}

bool xha_cluster_host(const struct xha_cluster *cluster, uint8_t host, struct xha_cluster_host *host_r)
{
    (void)cluster;
    *host_r = world.host;
    return host == 1;
}

const char *xha_peers_host(const struct xha_peers *p, unsigned host, char buf[XHA_HOST_TEXT])
{
    (void)p;
    snprintf(buf, XHA_HOST_TEXT, "h%u", host + 1);
    return buf;
}

/* Of no interest here. */

const struct xha_cluster *xha_node_state(const struct xha_node *node)
{
    (void)node;
    return NULL;
}

const struct xha_cluster *xha_peers_state(const struct xha_peers *p)
{
    (void)p;
    return NULL;
}

void xha_peers_alarm(struct xha_peers *p, const char *kind, enum xha_severity severity, const char *text)
{
    (void)p, (void)kind, (void)severity, (void)text;
}

void xha_history_text(struct xha_history *history, const char *kind, const struct xha_uuid *uuid,
                      const char *name, const char *text)
{
    (void)history, (void)kind, (void)uuid, (void)name, (void)text;
}

int64_t xha_clock_monotonic_ms(void)
{
    return 0;
}

struct xha_fencer *xha_fencer_new(uv_loop_t *loop, xha_fencer_said_cb *said, void *user)
{
    (void)loop, (void)said, (void)user;
    return NULL;
}

int xha_fencer_configure(struct xha_fencer *f, const struct xha_fence_conf *conf)
{
    (void)f, (void)conf;
    return XHA_FENCER_OK;
}

bool xha_fencer_can(const struct xha_fencer *f, const char *host)
{
    (void)f, (void)host;
    return true;
}

int xha_fencer_check(struct xha_fencer *f, const char *host, xha_fencer_done_cb *done, void *user)
{
    (void)f, (void)host, (void)done, (void)user;
    return XHA_FENCER_E_BUSY;
}

/* ---- what comes in ---- */

static struct xha_daemon daemon_;
static struct xha_peers peers;

static void order(uint32_t attempt)
{
    struct xha_cluster_action a = { .type = XHA_CACT_FENCE, .host = 1 };

    a.u.fence.attempt = attempt;
    xha_peers_fence(&peers, &a);
}

static void end(enum xha_fence_result result)
{
    xha_fencer_done_cb *done = world.done;

    assert_non_null(done);
    world.done = NULL;
    done(world.user, "h2", result, "words");
}

static void note(enum xha_cluster_cause cause)
{
    struct xha_cluster_action a = { .type = XHA_CACT_NOTE, .host = 1 };

    a.u.said.cause = cause;
    xha_peers_fence_end(&peers, &a);
}

static void expect(unsigned runs, unsigned told, uint32_t attempt, bool ok)
{
    assert_int_equal(world.runs, runs);
    assert_int_equal(world.told, told);
    assert_int_equal(world.attempt, attempt);
    assert_int_equal(world.ok, ok);
}

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    memset(&peers, 0, sizeof peers);
    peers.d = &daemon_;
    world.host.state = XHA_HOST_LOST;
    return 0;
}

/* ---- what must be ---- */

static void an_end_is_told(void **state)
{
    (void)state;
    order(1);
    expect(1, 0, 0, false);
    end(XHA_FENCE_FAILED);
    expect(1, 1, 1, false);
    order(2);
    end(XHA_FENCE_OK);
    expect(2, 2, 2, true);
}

/* The leader has lost its patience: the agents at work answer for its newest order. */
static void newest_order_is_answered(void **state)
{
    (void)state;
    order(1);
    order(2);
    order(3);
    expect(1, 0, 0, false);
    end(XHA_FENCE_OK);
    expect(1, 1, 3, true);
}

/* It ended while another host was in turn, and nobody took it. */
static void what_was_proven_is_told_again(void **state)
{
    (void)state;
    order(1);
    end(XHA_FENCE_OK);
    order(3);
    expect(1, 2, 3, true);
    world.host.info.incarnation.generation++; /* that says nothing of another incarnation */
    order(4);
    expect(2, 2, 3, true);
    end(XHA_FENCE_FAILED);
    world.host.info.incarnation.boot.b[5]++;
    order(5);
    expect(3, 3, 4, false);
    end(XHA_FENCE_FAILED);
}

static void of_a_host_that_was_back_nothing_is_proven(void **state)
{
    (void)state;
    order(1);
    end(XHA_FENCE_OK);
    note(XHA_CC_HOST_BACK);
    order(1);
    expect(2, 1, 1, true);
    end(XHA_FENCE_FAILED);
}

static void cancelled_one_is_followed_by_a_new_one(void **state)
{
    (void)state;
    order(1);
    note(XHA_CC_HOST_BACK);
    assert_int_equal(world.cancels, 1);
    order(1);
    expect(1, 0, 0, false);
    end(XHA_FENCE_CANCELLED);
    expect(2, 0, 0, false);
    end(XHA_FENCE_OK);
    expect(2, 1, 1, true);
    note(XHA_CC_HOST_BACK);
    order(2);
    note(XHA_CC_HOST_JOINED);
    order(3);
    note(XHA_CC_HOST_JOINED); /* there again: the new one is not wanted any more */
    end(XHA_FENCE_CANCELLED);
    expect(3, 1, 1, true);
}

/* What was begun against an earlier one proves nothing of this: it may have been up in between. */
static void another_incarnation_is_fenced_anew(void **state)
{
    (void)state;
    order(1);
    world.host.info.incarnation.boot.b[0]++;
    order(2);
    assert_int_equal(world.cancels, 1);
    expect(1, 0, 0, false);
    end(XHA_FENCE_CANCELLED);
    expect(2, 0, 0, false);
    end(XHA_FENCE_OK);
    expect(2, 1, 2, true);
}

/* Another host's agent was faster: ours must not switch off what is on its way up again. */
static void fenced_by_another_ends_ours(void **state)
{
    (void)state;
    order(1);
    world.host.state = XHA_HOST_FENCED;
    world.host.fenced_by = XHA_FENCED_AGENT;
    note(XHA_CC_HOST_FENCED);
    assert_int_equal(world.cancels, 1);
    end(XHA_FENCE_CANCELLED);
    expect(1, 0, 0, false);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_end_is_told, set_up),
        cmocka_unit_test_setup(newest_order_is_answered, set_up),
        cmocka_unit_test_setup(what_was_proven_is_told_again, set_up),
        cmocka_unit_test_setup(of_a_host_that_was_back_nothing_is_proven, set_up),
        cmocka_unit_test_setup(cancelled_one_is_followed_by_a_new_one, set_up),
        cmocka_unit_test_setup(another_incarnation_is_fenced_anew, set_up),
        cmocka_unit_test_setup(fenced_by_another_ends_ours, set_up),
    };

    return cmocka_run_group_tests_name("ctl-fence", tests, NULL, NULL);
}

/*
 * The engine's life without corosync: sessions that are made up here, ended at the worst moment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "xhad/cluster/session.h"

#define PATIENCE_MS 5000

static struct {
    bool opens; /* corosync is there */
    atomic_bool may_open;
    atomic_int opened, closed;
    atomic_bool left; /* the others were told */
} fake;

void xha_session_open(struct xha_session *s)
{
    while (!fake.may_open)
        usleep(100);
    s->open = fake.opens;
    s->facts.nodeid = 1;
    strcpy(s->why, "corosync: not there");
    fake.opened++;
}

void xha_session_close(struct xha_session *s)
{
    if (s->open)
        fake.closed++;
    fake.left = s->leave;
    s->open = false;
}

int xha_session_ask(struct xha_session_facts *facts_r, char why[XHA_SESSION_WHY_MAX])
{
    (void)facts_r;
    why[0] = '\0';
    return -1;
}

struct world {
    uv_loop_t loop;
    uv_prepare_t prepare;
    struct xha_engine *engine;
    unsigned ups, downs, closed;
};

static void on_up(void *arg, uint8_t self)
{
    (void)self;
    ((struct world *)arg)->ups++;
}

static void on_view(void *arg, const struct xha_engine_view *view)
{
    (void)arg, (void)view;
}

static void on_quorum(void *arg, bool quorate, bool exclusive)
{
    (void)arg, (void)quorate, (void)exclusive;
}

static void on_deliver(void *arg, uint8_t host, const void *data, size_t len)
{
    (void)arg, (void)host, (void)data, (void)len;
}

static void on_down(void *arg, const char *why)
{
    assert_non_null(why);
    ((struct world *)arg)->downs++;
}

static void on_closed(void *arg)
{
    ((struct world *)arg)->closed++;
}

/* Between the timers and the descriptors of one turn of the loop: the session is open, nobody has heard of it. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct world *x = prepare->data;

    fake.may_open = true;
    while (fake.opened == 0)
        usleep(100);
    usleep(20000); /* for its thread to end */
    xha_engine_close(x->engine);
    uv_close((uv_handle_t *)prepare, NULL);
}

static void close_as_a_session_opens(bool opens)
{
    static const struct xha_engine_ops ops = { .up = on_up,
                                               .view = on_view,
                                               .quorum = on_quorum,
                                               .deliver = on_deliver,
                                               .down = on_down,
                                               .closed = on_closed };
    struct world x = { .ups = 0 };
    uint64_t until;

    memset(&fake, 0, sizeof fake);
    fake.opens = opens;
    assert_int_equal(uv_loop_init(&x.loop), 0);
    uv_prepare_init(&x.loop, &x.prepare);
    x.prepare.data = &x;
    uv_prepare_start(&x.prepare, on_prepare);
    assert_int_equal(xha_engine_open(&x.loop, &ops, &x, &x.engine), 0);
    until = uv_now(&x.loop) + PATIENCE_MS;
    while (!x.closed && uv_now(&x.loop) < until) {
        uv_run(&x.loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    assert_int_equal(x.closed, 1);
    assert_int_equal(x.ups + x.downs, 0); /* no callback but closed() comes after the close */
    uv_run(&x.loop, UV_RUN_DEFAULT);
    xha_engine_free(x.engine);
    assert_int_equal(uv_loop_close(&x.loop), 0);
    assert_int_equal(fake.opened, 1);
    assert_int_equal(fake.closed, opens);
}

static void closed_as_it_fails_to_open(void **state)
{
    (void)state;
    close_as_a_session_opens(false);
}

static void closed_as_it_opens(void **state)
{
    (void)state;
    close_as_a_session_opens(true);
    assert_true(fake.left);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed_as_it_fails_to_open),
        cmocka_unit_test(closed_as_it_opens),
    };

    return cmocka_run_group_tests_name("cluster-life", tests, NULL, NULL);
}

/*
 * core-driver.h - the core under test: events in one line each, and what the plan says. For test-core-*.c.
 */
#ifndef XHA_TEST_CORE_DRIVER_H
#define XHA_TEST_CORE_DRIVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "xhad/core/core.h"

struct driver {
    struct xha_core *core;
    struct xha_plan plan;
    struct xha_settings set;
    struct xha_policy policy;
    int64_t now_ms;
    uint64_t last_id; /* of the last deed */
};

static inline struct xha_uuid uuid_of(uint8_t n)
{
    struct xha_uuid uuid = { { 0xd0 } };

    uuid.b[15] = n;
    return uuid;
}

static inline struct xha_policy policy_usual(void)
{
    struct xha_policy p = {
        .protection = XHA_PROT_RESTART,
        .autostart = true,
        .priority = 100,
        .ready_cap = { 300000 },
        .heartbeat_timeout = { 10000 },
        .boot_grace = { 180000 },
        .start_timeout = { 300000 },
        .stop_timeout = { 60000 },
        .max_restarts = 5,
        .restart_window = { 3600000 },
        .backoff_min = { 5000 },
        .backoff_max = { 300000 },
        .memory_kib = 1048576,
    };

    for (int f = XHA_FAIL_CRASH; f < XHA_FAIL_N_; f++)
        p.react[f] = XHA_REACT_RECOVER;
    p.react[XHA_FAIL_POWEROFF] = p.react[XHA_FAIL_DESTROYED] = XHA_REACT_RESPECT;
    return p;
}

static inline struct xha_settings settings_usual(uint32_t max_domains)
{
    return (struct xha_settings){
        .max_domains = max_domains,
        .order = XHA_ORDER_PRIORITY,
        .parallel = 4,
        .round_interval = { 1000 },
        .probe_window = { 2000 },
        .vanish_grace = { 10000 },
        .hold_max = { 120000 },
        .ill_share_percent = 50,
        .ill_min = 2,
    };
}

static inline void driver_begin(struct driver *d, uint32_t max_domains)
{
    *d = (struct driver){ .set = settings_usual(max_domains), .policy = policy_usual(), .now_ms = 1000 };
    assert_int_equal(xha_core_new(&d->set, 1, &d->core), 0);
}

static inline void driver_end(struct driver *d)
{
    xha_core_free(d->core);
}

static inline int driver_step(struct driver *d, struct xha_event ev)
{
    int rc;

    ev.now.ms = d->now_ms;
    rc = xha_core_step(d->core, &ev, &d->plan);
    xha_core_audit(d->core);
    for (uint32_t i = 0; i < d->plan.n; i++)
        if (xha_action_is_deed(d->plan.action[i].type))
            d->last_id = d->plan.action[i].id;
    return rc;
}

static inline int protect(struct driver *d, uint8_t n)
{
    struct xha_event ev = { .type = XHA_EV_PROTECT, .uuid = uuid_of(n) };

    ev.u.protect.policy = &d->policy;
    snprintf(ev.u.protect.name, sizeof(ev.u.protect.name), "d%u", n);
    return driver_step(d, ev);
}

static inline int order(struct driver *d, uint8_t n, enum xha_order_type type)
{
    struct xha_event ev = { .type = XHA_EV_ORDER, .uuid = uuid_of(n) };

    ev.u.order.type = type;
    return driver_step(d, ev);
}

static inline int tick(struct driver *d)
{
    return driver_step(d, (struct xha_event){ .type = XHA_EV_TICK });
}

static inline int round_end(struct driver *d, bool beats)
{
    struct xha_event ev = { .type = XHA_EV_ROUND };

    ev.u.round = (struct xha_round){ .began = { d->now_ms }, .beats_read = beats, .xenstore_ok = true };
    return driver_step(d, ev);
}

static inline struct xha_event seen_event(struct driver *d, uint8_t n, int32_t domid, uint64_t beat)
{
    struct xha_event ev = { .type = XHA_EV_SEEN, .uuid = uuid_of(n) };

    ev.u.seen = (struct xha_seen){
        .listed = { d->now_ms },
        .domid = domid,
        .beat_read = true,
        .beat_valid = beat != 0,
        .beat = beat,
        .cpu_time_ns = (uint64_t)d->now_ms * 10000,
    };
    return ev;
}

static inline int seen(struct driver *d, uint8_t n, int32_t domid, uint64_t beat)
{
    return driver_step(d, seen_event(d, n, domid, beat));
}

static inline int seen_shut(struct driver *d, uint8_t n, int32_t domid, uint8_t reason)
{
    struct xha_event ev = seen_event(d, n, domid, 0);

    ev.u.seen.shut = true;
    ev.u.seen.reason = reason;
    return driver_step(d, ev);
}

static inline int done(struct driver *d, uint8_t n, uint64_t id, enum xha_result result, int32_t domid)
{
    struct xha_event ev = { .type = XHA_EV_DONE, .uuid = uuid_of(n) };

    ev.u.done.id = id;
    ev.u.done.result = result;
    ev.u.done.domid = domid;
    return driver_step(d, ev);
}

/* The nth action of the type in the last plan, or NULL. */
static inline const struct xha_action *planned(const struct driver *d, enum xha_action_type type,
                                               unsigned nth)
{
    for (uint32_t i = 0; i < d->plan.n; i++)
        if (d->plan.action[i].type == type && !nth--)
            return &d->plan.action[i];
    return NULL;
}

static inline struct xha_view view_of(const struct driver *d, uint8_t n)
{
    struct xha_uuid uuid = uuid_of(n);
    struct xha_view v;

    assert_int_equal(xha_core_find(d->core, &uuid, &v), 0);
    return v;
}

/* Protects it, has it started as domid, and lets it beat until it runs. */
static inline void make_run(struct driver *d, uint8_t n, int32_t domid)
{
    assert_int_equal(protect(d, n), 0);
    d->now_ms += 10;
    round_end(d, true);
    assert_non_null(planned(d, XHA_ACT_START, 0));
    assert_int_equal(done(d, n, planned(d, XHA_ACT_START, 0)->id, XHA_OK, domid), 0);
    d->now_ms += 1000;
    seen(d, n, domid, 1);
    round_end(d, true);
    assert_int_equal(view_of(d, n).state, XHA_ST_RUNNING);
}

/* ---- of a cluster ---- */

static inline int permit(struct driver *d, bool start)
{
    struct xha_event ev = { .type = XHA_EV_PERMIT };

    ev.u.permit = start;
    return driver_step(d, ev);
}

static inline int take(struct driver *d, uint8_t n, enum xha_purpose purpose)
{
    struct xha_event ev = { .type = XHA_EV_TAKE, .uuid = uuid_of(n) };

    ev.u.protect.policy = &d->policy;
    ev.u.protect.term = UINT64_C(7) << 24;
    ev.u.protect.purpose = purpose;
    ev.u.protect.failure = purpose == XHA_FOR_RECOVERY ? XHA_FAIL_HOST : XHA_FAIL_NONE;
    ev.u.protect.relocate = true;
    ev.u.protect.ever_beat = true;
    snprintf(ev.u.protect.name, sizeof(ev.u.protect.name), "d%u", n);
    return driver_step(d, ev);
}

static inline int yield(struct driver *d, uint8_t n, enum xha_yield how)
{
    struct xha_event ev = { .type = XHA_EV_YIELD, .uuid = uuid_of(n) };

    ev.u.yield = how;
    return driver_step(d, ev);
}

static inline int move_out(struct driver *d, uint8_t n, uint64_t move)
{
    struct xha_event ev = { .type = XHA_EV_MOVE_OUT, .uuid = uuid_of(n) };

    ev.u.move_out = (struct xha_move){ .id = move, .peer = 1, .port = 4000, .timeout = { 600000 } };
    return driver_step(d, ev);
}

static inline int incoming(struct driver *d, uint8_t n, uint64_t move)
{
    struct xha_event ev = { .type = XHA_EV_INCOMING, .uuid = uuid_of(n) };

    ev.u.protect.policy = &d->policy;
    ev.u.protect.term = UINT64_C(8) << 24;
    ev.u.protect.ever_beat = true;
    ev.u.protect.move = (struct xha_move){ .id = move, .peer = 2, .timeout = { 600000 } };
    snprintf(ev.u.protect.name, sizeof(ev.u.protect.name), "d%u", n);
    return driver_step(d, ev);
}

static inline int standby(struct driver *d, uint8_t n, uint64_t pair)
{
    struct xha_event ev = { .type = XHA_EV_INCOMING, .uuid = uuid_of(n) };

    ev.u.protect.policy = &d->policy;
    ev.u.protect.term = UINT64_C(8) << 24;
    ev.u.protect.ever_beat = ev.u.protect.want_run = ev.u.protect.standby = true;
    ev.u.protect.move = (struct xha_move){ .id = pair, .peer = 2 };
    snprintf(ev.u.protect.name, sizeof(ev.u.protect.name), "d%u", n);
    return driver_step(d, ev);
}

static inline int replicate(struct driver *d, uint8_t n, uint64_t pair)
{
    struct xha_event ev = { .type = XHA_EV_REPLICATE, .uuid = uuid_of(n) };

    ev.u.move_out = (struct xha_move){ .id = pair, .peer = 1, .port = 4000 };
    return driver_step(d, ev);
}

static inline int verdict(struct driver *d, uint8_t n, uint64_t move, bool commit)
{
    struct xha_event ev = { .type = XHA_EV_VERDICT, .uuid = uuid_of(n) };

    ev.u.verdict.move = move;
    ev.u.verdict.commit = commit;
    return driver_step(d, ev);
}

static inline bool known(const struct driver *d, uint8_t n)
{
    struct xha_uuid uuid = uuid_of(n);
    struct xha_view v;

    return xha_core_find(d->core, &uuid, &v) == 0;
}

#endif

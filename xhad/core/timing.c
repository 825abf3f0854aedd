/*
 * timing.c - the table of times: derived, checked, shown. The rules and their sources: timing.h.
 */
#include "timing.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SETTLE_PERCENT       5   /* of the detection, for corosync to form the new ring after consensus */
#define TOKEN_LEAST_MS       126 /* token_retransmit would be under its 30 ms: corosync.conf(5) */
#define RENEWALS             3  /* pokes that must be in time between a view and the reset: one may be lost */
#define WATCHDOG_LEAST_S     10 /* derived; long enough for a busy dom0 and for a restart of xhad */
#define POKE_MOST_MS         1000
#define MARGIN_MS            1000 /* derived; scheduling, and the machine's last instructions */
#define MARGIN_LEAST_MS      200
#define FENCE_MS             20000 /* a usual BMC */
#define ORDER_MS             500   /* two messages, each stored by all */
#define START_MS             10000
#define DEVICE_BEAT_LEAST_MS 1000                    /* net_heartbeat_interval_min of corosync-qdevice */
#define LONGEST_MS           (7 * INT64_C(86400000)) /* of any, from a peer: sums stay far from their limits */

/* ---- the table ---- */

struct about {
    const char *name, *formula, *doc;
};

static const struct about about[XHA_TIMING_N_] = {
    [XHA_TIMING_DETECTION] = { "detection", "as set", "from the loss of a host to the others' new view" },
    [XHA_TIMING_TOKEN] = { "token", "detection x 0.95 / 2.2", "corosync: no token for so long, it is lost" },
    [XHA_TIMING_CONSENSUS] = { "consensus", "token x 1.2",
                               "corosync: how long the silent are waited for when a new ring is formed" },
    [XHA_TIMING_KNET_PING_INTERVAL] = { "knet_ping_interval", "knet_ping_timeout / 2",
                                        "corosync: between two pings of a link" },
    [XHA_TIMING_KNET_PING_TIMEOUT] = { "knet_ping_timeout", "token / 2",
                                       "corosync: no answer for so long, the other link is used" },
    [XHA_TIMING_POKE] = { "poke", "watchdog / 10, at most 1 s",
                          "renewal: between two pokes of the watchdog, each for a pulse that came back" },
    [XHA_TIMING_WATCHDOG] = { "watchdog", "detection x 2 + 2 s, at least 10 s",
                              "not poked for so long, Xen resets the machine" },
    [XHA_TIMING_SKEW] = { "skew", "poke x 2", "from the moment that a host is cut off to its last poke" },
    [XHA_TIMING_SELF_FENCE] = { "self_fence", "(skew + watchdog) x 1.01",
                                "after the cut: its watchdog has surely fired; clocks may drift 1 %" },
    [XHA_TIMING_MARGIN] = { "margin", "1 s", "for scheduling, and for the machine to stop" },
    [XHA_TIMING_TAKEOVER] = { "takeover", "self_fence + margin",
                              "after the new view, when no fence agent has said that the host is off" },
    [XHA_TIMING_FENCE_TIMEOUT] = { "fence_timeout", "20 s",
                                   "what fencing a host by its devices is reckoned with" },
    [XHA_TIMING_ORDER] = { "order", "0.5 s", "decisions: ordered, stored and acknowledged by all" },
    [XHA_TIMING_START] = { "start", "10 s", "what building or restoring a domain is reckoned with" },
};

void xha_timing_defaults(struct xha_timing_wish *wish_r)
{
    *wish_r = (struct xha_timing_wish){
        .round_interval = { 1000 },
        .probe_window = { 2000 },
        .heartbeat_timeout = { 10000 },
        .stop_timeout = { 60000 },
    };
    wish_r->timing.detection.ms = 3000;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* What corosync has of the detection. */
static int64_t membership_ms(int64_t detection_ms)
{
    return detection_ms * (100 - SETTLE_PERCENT) / 100;
}

/* As wished for, or as it follows from those before it. */
static int64_t derive(const struct xha_timing *t, const struct xha_timing *wish, enum xha_timing_id id)
{
    int64_t has = membership_ms(t->detection.ms), ms;

    switch (id) {
    case XHA_TIMING_DETECTION:
        return 3000;
    case XHA_TIMING_TOKEN:
        if (wish->consensus.ms > 0)
            return most(least(has - wish->consensus.ms, wish->consensus.ms * 10 / 12), 1);
        return has * 10 / 22;
    case XHA_TIMING_CONSENSUS:
        return (t->token.ms * 12 + 9) / 10;
    case XHA_TIMING_KNET_PING_INTERVAL: /* before the timeout, which may be wished for */
        return (wish->knet_ping_timeout.ms > 0 ? wish->knet_ping_timeout.ms : t->token.ms / 2) / 2;
    case XHA_TIMING_KNET_PING_TIMEOUT:
        return t->token.ms / 2;
    case XHA_TIMING_POKE:
        ms = wish->watchdog.ms > 0 ? wish->watchdog.ms : derive(t, wish, XHA_TIMING_WATCHDOG);
        return least(ms / 10, POKE_MOST_MS);
    case XHA_TIMING_WATCHDOG:
        return most((2 * t->detection.ms + 999) / 1000 + 2, WATCHDOG_LEAST_S) * 1000;
    case XHA_TIMING_SKEW:
        return 2 * t->poke.ms;
    case XHA_TIMING_SELF_FENCE:
        ms = t->skew.ms + t->watchdog.ms;
        return ms + (ms * XHA_TIMING_DRIFT_PERMILLE + 999) / 1000;
    case XHA_TIMING_MARGIN:
        return MARGIN_MS;
    case XHA_TIMING_TAKEOVER:
        return t->self_fence.ms + t->margin.ms;
    case XHA_TIMING_FENCE_TIMEOUT:
        return FENCE_MS;
    case XHA_TIMING_ORDER:
        return ORDER_MS;
    case XHA_TIMING_START:
        return START_MS;
    case XHA_TIMING_N_:
        break;
    }
    return 0;
}

/* Those that nobody can wish for: they are what they are. */
static bool only_derived(enum xha_timing_id id)
{
    return id == XHA_TIMING_SKEW || id == XHA_TIMING_SELF_FENCE;
}

void xha_timing_make(const struct xha_timing_wish *wish, struct xha_timing *timing_r)
{
    struct xha_timing t = { .detection = { 0 } };

    for (int i = 0; i < XHA_TIMING_N_; i++) {
        enum xha_timing_id id = (enum xha_timing_id)i;
        int64_t ms = only_derived(id) ? 0 : wish->timing.at[id].ms;

        t.at[id].ms = ms > 0 ? ms : derive(&t, &wish->timing, id);
    }
    *timing_r = t;
}

struct xha_span xha_timing_takeover(const struct xha_timing *timing, struct xha_span watchdog)
{
    int64_t more = most(watchdog.ms - timing->watchdog.ms, 0);

    return (struct xha_span){ timing->takeover.ms + more + (more * XHA_TIMING_DRIFT_PERMILLE + 999) / 1000 };
}

bool xha_timing_row(const struct xha_timing *timing, uint32_t i, struct xha_timing_row *row_r)
{
    if (i >= XHA_TIMING_N_)
        return false;
    *row_r = (struct xha_timing_row){
        .name = about[i].name,
        .formula = about[i].formula,
        .doc = about[i].doc,
        .ms = timing->at[i].ms,
    };
    return true;
}

/* ---- the check ---- */

struct check {
    const struct xha_timing *wish, *t;
    struct xha_timing_fault *fault;
    uint32_t n;
};

/* "token (1.29 s)" */
static const char *told(const struct check *c, enum xha_timing_id id, char buf[48])
{
    int64_t ms = c->t->at[id].ms;
    int len =
        snprintf(buf, 48, "%s (%lld.%03lld", about[id].name, (long long)(ms / 1000), (long long)(ms % 1000));

    while (buf[len - 1] == '0')
        len--;
    len -= buf[len - 1] == '.';
    snprintf(buf + len, (size_t)(48 - len), " s)");
    return buf;
}

/* The first of them that is wished for, else the last. */
static enum xha_timing_id blame(const struct check *c, enum xha_timing_id one, enum xha_timing_id two,
                                enum xha_timing_id three)
{
    return c->wish->at[one].ms > 0 ? one : c->wish->at[two].ms > 0 ? two : three;
}

static void fault(struct check *c, enum xha_timing_id id, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void fault(struct check *c, enum xha_timing_id id, const char *fmt, ...)
{
    va_list ap;

    if (c->n == XHA_TIMING_FAULTS_MAX)
        return;
    c->fault[c->n].id = id;
    va_start(ap, fmt);
    vsnprintf(c->fault[c->n].text, sizeof(c->fault[c->n].text), fmt, ap);
    va_end(ap);
    c->n++;
}

static void check_corosync(struct check *c)
{
    const struct xha_timing *t = c->t;
    char one[48], two[48], three[48];

    if (t->token.ms < TOKEN_LEAST_MS)
        fault(c, blame(c, XHA_TIMING_TOKEN, XHA_TIMING_CONSENSUS, XHA_TIMING_DETECTION),
              "%s must be at least %d ms, or corosync cannot resend a token in time: raise it or detection",
              told(c, XHA_TIMING_TOKEN, one), TOKEN_LEAST_MS);
    if (t->consensus.ms * 10 < t->token.ms * 12)
        fault(c, blame(c, XHA_TIMING_CONSENSUS, XHA_TIMING_TOKEN, XHA_TIMING_DETECTION),
              "%s must be at least 1.2 times %s: raise consensus or lower token",
              told(c, XHA_TIMING_CONSENSUS, one), told(c, XHA_TIMING_TOKEN, two));
    if (t->token.ms + t->consensus.ms > membership_ms(t->detection.ms))
        fault(c, blame(c, XHA_TIMING_TOKEN, XHA_TIMING_CONSENSUS, XHA_TIMING_DETECTION),
              "%s and %s together must not be more than %d %% of %s, or a loss is declared later than that: "
              "lower them or raise detection",
              told(c, XHA_TIMING_TOKEN, one), told(c, XHA_TIMING_CONSENSUS, two), 100 - SETTLE_PERCENT,
              told(c, XHA_TIMING_DETECTION, three));
    if (t->knet_ping_interval.ms * 2 > t->knet_ping_timeout.ms || t->knet_ping_interval.ms < 1)
        fault(c, blame(c, XHA_TIMING_KNET_PING_INTERVAL, XHA_TIMING_KNET_PING_TIMEOUT, XHA_TIMING_DETECTION),
              "two of %s must fit into %s: lower the first or raise the second",
              told(c, XHA_TIMING_KNET_PING_INTERVAL, one), told(c, XHA_TIMING_KNET_PING_TIMEOUT, two));
    if (t->knet_ping_timeout.ms >= t->token.ms)
        fault(c, blame(c, XHA_TIMING_KNET_PING_TIMEOUT, XHA_TIMING_TOKEN, XHA_TIMING_DETECTION),
              "%s must be less than %s, or a dead link costs the ring before the other link is used: lower "
              "knet_ping_timeout",
              told(c, XHA_TIMING_KNET_PING_TIMEOUT, one), told(c, XHA_TIMING_TOKEN, two));
}

/* renewal < self-fence < takeover (rule 3). */
static void check_order(struct check *c)
{
    const struct xha_timing *t = c->t;
    char one[48], two[48], three[48];

    if (t->detection.ms + RENEWALS * t->poke.ms > t->watchdog.ms || t->poke.ms < 1)
        fault(
            c, blame(c, XHA_TIMING_POKE, XHA_TIMING_WATCHDOG, XHA_TIMING_DETECTION),
            "%s and %d of %s must fit into %s, or healthy hosts are reset while a new view is formed: raise "
            "watchdog, or lower poke or detection",
            told(c, XHA_TIMING_DETECTION, one), RENEWALS, told(c, XHA_TIMING_POKE, two),
            told(c, XHA_TIMING_WATCHDOG, three));
    if (t->watchdog.ms % 1000)
        fault(c, XHA_TIMING_WATCHDOG, "%s must be whole seconds: Xen's timer counts no less",
              told(c, XHA_TIMING_WATCHDOG, one));
    if (t->margin.ms < MARGIN_LEAST_MS)
        fault(c, XHA_TIMING_MARGIN, "%s must be at least %d ms: the machine needs that to stop; raise margin",
              told(c, XHA_TIMING_MARGIN, one), MARGIN_LEAST_MS);
    if (t->takeover.ms < t->self_fence.ms + t->margin.ms)
        fault(c, blame(c, XHA_TIMING_TAKEOVER, XHA_TIMING_WATCHDOG, XHA_TIMING_DETECTION),
              "%s must not be less than %s and %s together, or a domain could run twice: raise takeover, or "
              "lower watchdog or poke",
              told(c, XHA_TIMING_TAKEOVER, one), told(c, XHA_TIMING_SELF_FENCE, two),
              told(c, XHA_TIMING_MARGIN, three));
}

uint32_t xha_timing_check(const struct xha_timing_wish *wish, const struct xha_timing *timing,
                          struct xha_timing_fault fault_r[XHA_TIMING_FAULTS_MAX])
{
    struct check c = { .wish = &wish->timing, .t = timing, .fault = fault_r };

    check_corosync(&c);
    check_order(&c);
    return c.n;
}

bool xha_timing_sound(const struct xha_timing *timing)
{
    struct xha_timing_wish wish = { .timing = *timing };
    struct xha_timing_fault fault[XHA_TIMING_FAULTS_MAX];
    struct xha_timing again;

    for (int i = 0; i < XHA_TIMING_N_; i++)
        if (timing->at[i].ms <= 0 || timing->at[i].ms > LONGEST_MS)
            return false;
    xha_timing_make(&wish, &again);
    return !xha_timing_check(&wish, &again, fault) && again.skew.ms == timing->skew.ms &&
           again.self_fence.ms == timing->self_fence.ms;
}

static int64_t device_beat_ms(int64_t timeout_ms)
{
    return most(timeout_ms * 8 / 10, DEVICE_BEAT_LEAST_MS);
}

/* From a loss until qnetd knows of it. */
static int64_t device_ms(int64_t timeout_ms)
{
    return device_beat_ms(timeout_ms) * 3 / 2;
}

void xha_timing_device(const struct xha_timing *timing, struct xha_span *timeout_r, struct xha_span *sync_r)
{
    timeout_r->ms = most(membership_ms(timing->detection.ms) * 10 / 12, DEVICE_BEAT_LEAST_MS * 10 / 8);
    sync_r->ms = timing->detection.ms / 2;
}

/* Whether pulses would stay away for so long that the watchdogs of healthy hosts fire. */
static bool outlasts(const struct xha_timing *t, int64_t ms)
{
    return ms + RENEWALS * t->poke.ms > t->watchdog.ms;
}

static enum xha_timing_real real_device(const struct check *c, const struct xha_timing_corosync *is,
                                        char *text_r, size_t len)
{
    const struct xha_timing *t = c->t;
    int64_t knows = device_ms(is->device.ms), view = is->token.ms + is->consensus.ms + is->device_sync.ms;
    bool unsafe = outlasts(t, knows) || outlasts(t, view);
    struct xha_span timeout, sync;
    char one[48];

    xha_timing_device(t, &timeout, &sync);
    if (!unsafe && device_beat_ms(is->device.ms) / 2 > XHA_TIMING_DEVICE_LAG_MS) {
        snprintf(
            text_r, len,
            "a host may count on the vote of corosync's quorum device for %lld ms after the others "
            "have got it, and %d ms are reckoned with; set quorum.device.timeout to %lld ms in corosync.conf",
            (long long)(device_beat_ms(is->device.ms) / 2), XHA_TIMING_DEVICE_LAG_MS, (long long)timeout.ms);
        return XHA_TIMING_UNSAFE;
    }
    if (!unsafe && knows <= most(t->detection.ms, device_ms(timeout.ms)))
        return XHA_TIMING_KEPT;
    snprintf(text_r, len,
             "corosync's quorum device learns of a loss after %lld ms, and a new view may wait %lld ms for "
             "it: %s%s; set "
             "quorum.device.timeout to %lld and sync_timeout to %lld ms in corosync.conf%s",
             (long long)knows, (long long)is->device_sync.ms,
             told(c, unsafe ? XHA_TIMING_WATCHDOG : XHA_TIMING_DETECTION, one),
             unsafe ? " would reset healthy hosts" : " is less", (long long)timeout.ms, (long long)sync.ms,
             unsafe ? ", or raise timing.watchdog" : "");
    return unsafe ? XHA_TIMING_UNSAFE : XHA_TIMING_SLOW;
}

static enum xha_timing_real real_ring(const struct check *c, const struct xha_timing *timing, char *text_r,
                                      size_t len)
{
    const struct xha_timing *real = c->t;
    char one[48], two[48], three[48];

    if (real->token.ms + real->consensus.ms <= membership_ms(timing->detection.ms))
        return XHA_TIMING_KEPT;
    if (!outlasts(timing, real->token.ms + real->consensus.ms)) {
        snprintf(
            text_r, len,
            "corosync runs with %s and %s: a loss is declared later than %s; set them to %lld and %lld ms "
            "in corosync.conf, and token_coefficient to 0",
            told(c, XHA_TIMING_TOKEN, one), told(c, XHA_TIMING_CONSENSUS, two),
            told(c, XHA_TIMING_DETECTION, three), (long long)timing->token.ms,
            (long long)timing->consensus.ms);
        return XHA_TIMING_SLOW;
    }
    snprintf(
        text_r, len,
        "corosync runs with %s and %s: while hosts agree on a new view, %s would reset healthy ones; set "
        "them to %lld and %lld ms in corosync.conf, and token_coefficient to 0, or raise timing.watchdog",
        told(c, XHA_TIMING_TOKEN, one), told(c, XHA_TIMING_CONSENSUS, two),
        told(c, XHA_TIMING_WATCHDOG, three), (long long)timing->token.ms, (long long)timing->consensus.ms);
    return XHA_TIMING_UNSAFE;
}

enum xha_timing_real xha_timing_real(const struct xha_timing *timing, const struct xha_timing_corosync *is,
                                     char *text_r, size_t len)
{
    struct xha_timing real = *timing;
    struct check c = { .t = &real };
    enum xha_timing_real ring, device;
    char text[320];

    real.token = is->token;
    real.consensus = is->consensus;
    text_r[0] = '\0';
    ring = real_ring(&c, timing, text_r, len);
    if (ring == XHA_TIMING_UNSAFE || !is->device.ms)
        return ring;
    device = real_device(&c, is, text, sizeof text);
    if (device > ring)
        snprintf(text_r, len, "%s", text);
    return device > ring ? device : ring;
}

/* ---- worst cases ---- */

const char *xha_timing_proviso(uint32_t i)
{
    static const char *const line[] = {
        "fence_timeout and start are settings, not measured: a case holds as long as fencing and building "
        "take no longer.",
        "A queue is not reckoned with: of the domains of a host `parallel` are built at once, the others "
        "after them.",
    };

    return i < sizeof line / sizeof line[0] ? line[i] : NULL;
}

static const struct about cases[XHA_TIMING_CASE_N_] = {
    [XHA_TIMING_GUEST_CRASH] = { "guest-crash", "heartbeat_interval + start",
                                 "its own host sees it at the latest at the next look and starts it again" },
    [XHA_TIMING_GUEST_HANG] = { "guest-hang",
                                "heartbeat_timeout + 2 x heartbeat_interval + probe_window + start",
                                "no beat, and its vCPUs stand still: destroyed and started again" },
    [XHA_TIMING_HEARTBEAT_LOST] = { "heartbeat-lost",
                                    "heartbeat_timeout + 2 x heartbeat_interval + probe_window + start",
                                    "no beat, but its vCPUs run: destroyed and started again" },
    [XHA_TIMING_XHAD_CRASH] = { "xhad-crash", "0",
                                "no guest stops and no host is fenced; xhad has the watchdog's time to be "
                                "back" },
    [XHA_TIMING_POWER_CUT_FENCED] = { "power-cut-fenced", "detection + fence_timeout + order + start",
                                      "a fence agent says that the host is off" },
    [XHA_TIMING_POWER_CUT_WATCHDOG] = { "power-cut-watchdog", "detection + takeover + order + start",
                                        "no fence agent: waited until its watchdog has surely fired" },
    [XHA_TIMING_HOST_HANG] = { "host-hang", "detection + takeover + order + start",
                               "its watchdog resets it; sooner when a fence agent answers" },
    [XHA_TIMING_PARTITION] = { "partition", "detection + takeover + order + start",
                               "the minority resets itself, the majority starts its domains" },
    [XHA_TIMING_NO_QUORUM] = { "no-quorum", "never",
                               "nothing is started until enough hosts are back or confirmed as fenced" },
    [XHA_TIMING_PLANNED_MOVE] = { "planned-move", "stop_timeout + order + start",
                                  "cold: shut down and started there; live: only a short pause" },
};

/* Until the domain is ordered to start. */
static int64_t issued_ms(const struct xha_timing_wish *w, const struct xha_timing *t,
                         enum xha_timing_case_id id)
{
    switch (id) {
    case XHA_TIMING_GUEST_CRASH:
        return w->round_interval.ms;
    case XHA_TIMING_GUEST_HANG:
    case XHA_TIMING_HEARTBEAT_LOST:
        return w->heartbeat_timeout.ms + 2 * w->round_interval.ms + w->probe_window.ms;
    case XHA_TIMING_POWER_CUT_FENCED:
        return t->detection.ms + t->fence_timeout.ms + t->order.ms;
    case XHA_TIMING_POWER_CUT_WATCHDOG:
    case XHA_TIMING_HOST_HANG:
    case XHA_TIMING_PARTITION:
        return t->detection.ms + t->takeover.ms + t->order.ms;
    case XHA_TIMING_PLANNED_MOVE:
        return w->stop_timeout.ms + t->order.ms;
    case XHA_TIMING_XHAD_CRASH:
    case XHA_TIMING_NO_QUORUM:
    case XHA_TIMING_CASE_N_:
        break;
    }
    return 0;
}

bool xha_timing_case(const struct xha_timing_wish *wish, const struct xha_timing *timing, uint32_t i,
                     struct xha_timing_case *case_r)
{
    enum xha_timing_case_id id = (enum xha_timing_case_id)i;
    bool starts;

    if (i >= XHA_TIMING_CASE_N_)
        return false;
    starts = id != XHA_TIMING_XHAD_CRASH && id != XHA_TIMING_NO_QUORUM;
    *case_r = (struct xha_timing_case){
        .id = id,
        .name = cases[i].name,
        .formula = cases[i].formula,
        .text = cases[i].doc,
        .recovers = id != XHA_TIMING_NO_QUORUM,
        .issued_ms = issued_ms(wish, timing, id),
    };
    case_r->ms = case_r->issued_ms + (starts ? timing->start.ms : 0);
    return true;
}

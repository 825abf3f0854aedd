/*
 * engine.c - the engine's life on the loop: opened, up, down, opened again, closed.
 *
 * What blocks is in session.c and runs as a chore; what can be thought without corosync is in members.c,
 * frame.c and outbox.c; what goes over an open link is in traffic.c.
 */
#include "xhad/cluster/internal.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/log.h"
#include <string.h>

#define AGAIN_MIN_MS  100
#define AGAIN_MAX_MS  5000
#define FACTS_MS      10000 /* between readings of hosts and votes, besides those at changes */
#define CLOSE_MAX_MS  1000
#define PULSE_MIN_MS  50
#define PULSE_MAX_MS  1000
#define STALL_MORE_MS 1000 /* on top of what corosync itself may need to form a new ring */

static void open_link(struct xha_engine *e);

uint64_t xha_engine_now_ms(void)
{
    return uv_hrtime() / 1000000;
}

/* ---- hosts and votes, read anew now and then ---- */

struct question {
    struct xha_session_facts facts;
    char why[XHA_SESSION_WHY_MAX];
    int rc;
};

static void run_ask(void *work)
{
    struct question *q = work;

    q->rc = xha_session_ask(&q->facts, q->why);
}

static bool same_quorum(const struct xha_engine_quorum *a, const struct xha_engine_quorum *b)
{
    return a->quorate == b->quorate && a->exclusive == b->exclusive &&
           a->expected_votes == b->expected_votes && a->total_votes == b->total_votes &&
           a->needed == b->needed && a->own_votes == b->own_votes && a->two_node == b->two_node &&
           a->wait_for_all == b->wait_for_all && a->qdevice == b->qdevice &&
           a->qdevice_alive == b->qdevice_alive && a->qdevice_votes == b->qdevice_votes &&
           strcmp(a->qdevice_name, b->qdevice_name) == 0;
}

static bool same_facts(const struct xha_session_facts *a, const struct xha_session_facts *b)
{
    for (unsigned i = 0; i < XHA_ENGINE_HOSTS_MAX; i++) {
        if (a->hosts[i].configured != b->hosts[i].configured ||
            strcmp(a->hosts[i].name, b->hosts[i].name) != 0 ||
            strcmp(a->hosts[i].address[0], b->hosts[i].address[0]) != 0 ||
            strcmp(a->hosts[i].address[1], b->hosts[i].address[1]) != 0)
            return false;
    }
    return a->token_ms == b->token_ms && a->consensus_ms == b->consensus_ms && a->device_ms == b->device_ms &&
           a->device_sync_ms == b->device_sync_ms && strcmp(a->cluster_name, b->cluster_name) == 0 &&
           same_quorum(&a->quorum, &b->quorum);
}

static void on_answer(void *arg, void *work)
{
    struct xha_engine *e = arg;
    XHA_CLEANUP_FREE struct question *q = work;

    e->asking = NULL;
    if (e->ask_more)
        xha_engine_ask(e);
    /* A nodeid changes only with corosync's restart, and then this link ends. */
    if (q->rc < 0 || !e->link || q->facts.nodeid != e->facts.nodeid)
        return;
    q->facts.quorum.quorate = e->quorate;
    if (same_facts(&q->facts, &e->facts))
        return;
    e->facts = q->facts;
    if (e->ops.hosts)
        e->ops.hosts(e->arg);
    xha_traffic_tell_quorum(e);
}

void xha_engine_ask(struct xha_engine *e)
{
    static const struct xha_chore_ops ops = { .run = run_ask, .done = on_answer, .drop = free };
    struct question *q;

    e->ask_more = e->asking != NULL;
    if (e->asking || e->closing)
        return;
    q = calloc(1, sizeof *q);
    if (q && xha_chore_start(e->loop, &ops, e, q, &e->asking) < 0)
        free(q);
}

static void on_facts_timer(uv_timer_t *timer)
{
    xha_engine_ask(timer->data);
}

/* ---- the end of a link ---- */

static void run_close(void *work)
{
    xha_session_close(work);
}

static void drop_session(void *work)
{
    xha_session_close(work);
    free(work);
}

static void finish(struct xha_engine *e);

static void on_left(void *arg, void *work)
{
    struct xha_engine *e = arg;

    free(work);
    e->leaving = NULL;
    finish(e);
}

/* Closes without waiting, or, on leave, so that finish() is called when the others know. */
static void close_session(struct xha_engine *e, struct xha_session *session, bool leave)
{
    static const struct xha_chore_ops ops = { .run = run_close, .done = on_left, .drop = drop_session };
    struct xha_chore *chore;

    session->leave = leave;
    if (xha_chore_start(e->loop, &ops, e, session, &chore) < 0)
        drop_session(session);
    else if (leave)
        e->leaving = chore;
    else
        xha_chore_abandon(chore);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct xha_link *link = handle->data;

    if (--link->handles == 0)
        free(link);
}

static void end_link(struct xha_engine *e, bool leave)
{
    struct xha_link *link = e->link;

    e->link = NULL;
    uv_timer_stop(&e->pulse);
    uv_timer_stop(&e->push);
    uv_timer_stop(&e->facts_timer);
    uv_close((uv_handle_t *)&link->cpg, on_poll_closed);
    uv_close((uv_handle_t *)&link->votequorum, on_poll_closed);
    close_session(e, link->session, leave);
    xha_outbox_clear(&e->outbox);
    xha_parts_clear(&e->parts);
}

static void on_again(uv_timer_t *timer)
{
    open_link(timer->data);
}

static void down(struct xha_engine *e, const char *why)
{
    bool told = strcmp(why, e->why) == 0;

    uv_timer_start(&e->again, on_again, e->again_ms, 0);
    e->again_ms = e->again_ms * 2 < AGAIN_MAX_MS ? e->again_ms * 2 : AGAIN_MAX_MS;
    e->quorate = e->facts.quorum.quorate = false;
    if (told)
        return;
    snprintf(e->why, sizeof e->why, "%s", why);
    xha_log(XHA_LOG_WARNING, "the cluster's engine is down", XHA_S("why", why));
    e->ops.down(e->arg, why);
}

void xha_engine_end_broken(struct xha_engine *e)
{
    char why[XHA_SESSION_WHY_MAX];

    if (!e->broken[0] || !e->link || e->closing)
        return;
    memcpy(why, e->broken, sizeof why);
    e->broken[0] = '\0';
    end_link(e, false);
    down(e, why);
}

/* ---- opening ---- */

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct xha_link *link = poll->data;

    (void)status;
    (void)events;
    if (link->e->link != link)
        return;
    xha_traffic_read(link->e);
    xha_engine_end_broken(link->e);
}

static void on_pulse(uv_timer_t *timer)
{
    xha_traffic_pulse(timer->data);
    xha_engine_end_broken(timer->data);
}

static void watch(struct xha_engine *e, struct xha_link *link)
{
    uint64_t pulse_ms = e->facts.token_ms / 4;

    uv_poll_init(e->loop, &link->cpg, link->session->cpg_fd);
    uv_poll_init(e->loop, &link->votequorum, link->session->votequorum_fd);
    link->handles = 2;
    link->cpg.data = link->votequorum.data = link;
    uv_poll_start(&link->cpg, UV_READABLE | UV_DISCONNECT, on_readable);
    uv_poll_start(&link->votequorum, UV_READABLE | UV_DISCONNECT, on_readable);
    pulse_ms = pulse_ms < PULSE_MIN_MS ? PULSE_MIN_MS : pulse_ms > PULSE_MAX_MS ? PULSE_MAX_MS : pulse_ms;
    uv_timer_start(&e->pulse, on_pulse, 0, pulse_ms);
    uv_timer_start(&e->facts_timer, on_facts_timer, FACTS_MS, FACTS_MS);
}

static void up(struct xha_engine *e, struct xha_link *link)
{
    const struct xha_session *s = link->session;
    uint32_t room = s->frame_max > XHA_FRAME_HEAD ? s->frame_max - XHA_FRAME_HEAD : 1;

    e->link = link;
    e->facts = s->facts;
    e->again_ms = AGAIN_MIN_MS;
    e->broken[0] = e->why[0] = '\0';
    e->outbox.part = room < XHA_FRAME_DATA_MAX ? room : XHA_FRAME_DATA_MAX;
    xha_members_init(&e->members);
    memset(e->newer, 0, sizeof e->newer);
    e->voted = false;
    e->exclusive = e->facts.quorum.exclusive;
    e->quorate = e->facts.quorum.quorate = false;
    e->stalled = false;
    e->stall_ms = e->facts.token_ms + e->facts.consensus_ms + STALL_MORE_MS;
    e->proof_ms = 0;
    e->up_ms = xha_engine_now_ms();
    watch(e, link);
    xha_log(XHA_LOG_INFO, "the cluster's engine is up", XHA_S("cluster", e->facts.cluster_name),
            XHA_S("host", e->facts.hosts[e->facts.nodeid - 1].name), XHA_U("nodeid", e->facts.nodeid));
    e->ops.up(e->arg, (uint8_t)(e->facts.nodeid - 1));
    xha_traffic_votes(e);
    if (!e->quorate && !e->closing)
        e->ops.quorum(e->arg, false, e->exclusive);
    xha_engine_end_broken(e);
}

static void run_open(void *work)
{
    xha_session_open(work);
}

static void on_opened(void *arg, void *work)
{
    struct xha_engine *e = arg;
    struct xha_session *session = work;
    struct xha_link *link = e->coming;

    e->opening = NULL;
    e->coming = NULL;
    if (session->open && !e->closing) {
        up(e, link);
        return;
    }
    free(link);
    if (e->closing) { /* on_close() follows, and waits until the others know that we leave */
        close_session(e, session, true);
        return;
    }
    memcpy(e->broken, session->why, sizeof e->broken);
    free(session);
    down(e, e->broken);
}

/* Begins to open. A lack of memory is a reason to be down as good as any. */
static void open_link(struct xha_engine *e)
{
    static const struct xha_chore_ops ops = { .run = run_open, .done = on_opened, .drop = drop_session };
    XHA_CLEANUP_FREE struct xha_link *link = calloc(1, sizeof *link);
    XHA_CLEANUP_FREE struct xha_session *session = calloc(1, sizeof *session);

    if (link && session) {
        *link = (struct xha_link){ .e = e, .session = session };
        xha_traffic_callbacks(session);
        session->context = link;
        if (xha_chore_start(e->loop, &ops, e, session, &e->opening) == 0) {
            e->coming = xha_steal_ptr(link);
            (void)xha_steal_ptr(session);
            return;
        }
    }
    down(
        e,
        "xhad: no memory or no thread for the connection to corosync; see 'free' and 'ulimit -a'. xhad tries "
        "again by itself");
}

static void on_first(uv_timer_t *timer)
{
    open_link(timer->data);
}

int xha_engine_open(uv_loop_t *loop, const struct xha_engine_ops *ops, void *arg,
                    struct xha_engine **engine_r)
{
    struct xha_engine *e = calloc(1, sizeof *e);
    uv_timer_t *timers[4];

    if (!e)
        return -ENOMEM;
    *e = (struct xha_engine){ .loop = loop, .ops = *ops, .arg = arg, .again_ms = AGAIN_MIN_MS };
    timers[0] = &e->again;
    timers[1] = &e->pulse;
    timers[2] = &e->push;
    timers[3] = &e->facts_timer;
    for (; e->timers < 4; e->timers++) {
        uv_timer_init(loop, timers[e->timers]);
        timers[e->timers]->data = e;
    }
    /* From the loop, so that no callback comes before the caller has the engine. */
    uv_timer_start(&e->again, on_first, 0, 0);
    *engine_r = e;
    return 0;
}

/* ---- closing ---- */

static void on_timer_closed(uv_handle_t *handle)
{
    struct xha_engine *e = handle->data;

    if (--e->timers == 0)
        e->ops.closed(e->arg);
}

static void finish(struct xha_engine *e)
{
    xha_chore_abandon(e->leaving);
    e->leaving = NULL;
    uv_close((uv_handle_t *)&e->again, on_timer_closed);
    uv_close((uv_handle_t *)&e->pulse, on_timer_closed);
    uv_close((uv_handle_t *)&e->push, on_timer_closed);
    uv_close((uv_handle_t *)&e->facts_timer, on_timer_closed);
}

static void on_too_long(uv_timer_t *timer)
{
    finish(timer->data);
}

/* From the loop: libcpg may be in the middle of calling us. */
static void on_close(uv_timer_t *timer)
{
    struct xha_engine *e = timer->data;

    xha_chore_abandon(e->asking);
    xha_chore_abandon(e->opening);
    free(e->coming);
    e->asking = e->opening = NULL;
    e->coming = NULL;
    if (e->link)
        end_link(e, true);
    if (e->leaving)
        uv_timer_start(&e->again, on_too_long, CLOSE_MAX_MS, 0);
    else
        finish(e);
}

void xha_engine_close(struct xha_engine *e)
{
    if (e->closing)
        return;
    e->closing = true;
    uv_timer_start(&e->again, on_close, 0, 0);
}

void xha_engine_free(struct xha_engine *e)
{
    if (!e)
        return;
    xha_outbox_clear(&e->outbox);
    xha_parts_clear(&e->parts);
    free(e);
}

/* ---- questions ---- */

const struct xha_engine_host *xha_engine_hosts(const struct xha_engine *e)
{
    return e->facts.hosts;
}

const struct xha_engine_quorum *xha_engine_quorum(const struct xha_engine *e)
{
    return &e->facts.quorum;
}

const char *xha_engine_cluster_name(const struct xha_engine *e)
{
    return e->facts.cluster_name;
}

uint32_t xha_engine_token_ms(const struct xha_engine *e)
{
    return e->facts.token_ms;
}

uint32_t xha_engine_consensus_ms(const struct xha_engine *e)
{
    return e->facts.consensus_ms;
}

uint32_t xha_engine_device_ms(const struct xha_engine *e)
{
    return e->facts.device_ms;
}

uint32_t xha_engine_device_sync_ms(const struct xha_engine *e)
{
    return e->facts.device_sync_ms;
}

/*
 * lines.c - what each line of a script does to the world, or asks of the cluster; and what operators do at
 * the beginning (protect, arm) and at the end (let everything come to rest).
 */
#include "tests/csim/csim.h"

#include <string.h>

#define SETUP_EVERY_MS 1000

static struct sim_future future(enum csim_future_kind kind, int a, uint64_t serial)
{
    return (struct sim_future){ .kind = (enum sim_future_kind)kind, .a = a, .serial = serial };
}

/* Whatever happens to this host now excuses what a healthy one must not do. */
static void troubled(struct csim *cs, int h)
{
    for (unsigned i = 0; i < cs->n_hosts; i++)
        if (h < 0 || (int)i == h)
            cs->host[i].trouble_ms = cs->now_ms;
}

/* ---- requests --------------------------------------------------------------------------------------------
 */

/* It changes what is wanted of a domain. */
static bool is_wish(const struct csim_ask *ask)
{
    return ask->guest >= 0 &&
           (ask->what == XHA_RQ_PROTECT || ask->what == XHA_RQ_UNPROTECT || ask->what == XHA_RQ_ORDER);
}

static struct csim_ask *ask_new(struct csim *cs, int h, const struct csim_ask *what)
{
    struct csim_ask *ask = cs->ask;

    while (ask->used && ask < &cs->ask[CSIM_ASKS_MAX - 1])
        ask++;
    if (ask->used)
        csim_fail(cs, "%d requests wait for their answers", CSIM_ASKS_MAX);
    *ask = *what;
    ask->used = true;
    ask->host = h;
    ask->life = cs->host[h].life;
    ask->number = ++cs->host[h].request_number;
    ask->asked_ms = cs->now_ms;
    if (ask->guest >= 0) {
        struct csim_guest *g = &cs->guest[ask->guest];

        if (is_wish(ask) && g->orders_open++)
            g->tangled = true;
        g->order_ms = cs->now_ms;
    }
    if (ask->what == XHA_RQ_ARM)
        cs->armed_open++;
    return ask;
}

static void guest_answered(struct csim *cs, const struct csim_ask *ask, int rc)
{
    struct csim_guest *g = &cs->guest[ask->guest];

    g->order_ms = cs->now_ms;
    if (rc == XHA_CORE_E_UNKNOWN)
        g->tangled = true;
    if (--g->orders_open == 0 && !g->tangled)
        g->unclear = rc ? g->unclear : false;
    else
        g->unclear = true;
    if (!g->orders_open)
        g->tangled = false;
    if (rc)
        return;
    switch (ask->what) {
    case XHA_RQ_PROTECT:
        if (!g->protected_)
            g->wish = g->def->policy.autostart ? CSIM_WISH_RUN : CSIM_WISH_NONE;
        g->protected_ = true;
        break;
    case XHA_RQ_UNPROTECT:
        g->protected_ = false;
        g->wish = CSIM_WISH_NONE;
        break;
    case XHA_RQ_ORDER:
        g->protected_ = true;
        g->wish = ask->order == XHA_DO_STOP ? CSIM_WISH_STOP : CSIM_WISH_RUN;
        g->stop_known = false;
        g->restarts = ask->order == XHA_DO_RESTART;
        g->stop_serial++;
        break;
    default:
        break;
    }
}

static void host_leaves(struct csim *cs, int h)
{
    struct csim_host *host = &cs->host[h];

    host->left = true;
    host->leaving = true;
    csim_in(cs, 500, future(CSIM_F_XHAD_DIES, h, host->life));
}

static void answered(struct csim *cs, struct csim_ask *ask, int rc)
{
    ask->used = false;
    if (cs->cover)
        (rc ? cs->cover->refused : cs->cover->accepted)[ask->what]++;
    if (ask->what == XHA_RQ_ARM) {
        cs->armed_open--;
        if (!rc)
            cs->armed_wish = ask->on;
    }
    if (is_wish(ask))
        guest_answered(cs, ask, rc);
    if (!rc && ask->what == XHA_RQ_LEAVE)
        host_leaves(cs, ask->host);
    if (!rc && ask->what == XHA_RQ_FORGET_HOST && !cs->host[ask->target].power)
        cs->host[ask->target].listed = false;
    if (ask->what == XHA_RQ_SETTINGS && !rc)
        cs->settings_done = true;
}

void csim_answer(struct csim *cs, int h, uint64_t number, int rc, const char *text)
{
    for (unsigned i = 0; i < CSIM_ASKS_MAX; i++) {
        struct csim_ask *ask = &cs->ask[i];

        if (!ask->used || ask->host != h || ask->number != number)
            continue;
        if (rc)
            csim_say(cs, cs->host[h].name, "answers: refused: %s%s%s", xha_core_error_text(rc),
                     text[0] ? ": " : "", text);
        answered(cs, ask, rc);
        return;
    }
}

void csim_asks_lost(struct csim *cs, int h)
{
    for (unsigned i = 0; i < CSIM_ASKS_MAX; i++) {
        struct csim_ask *ask = &cs->ask[i];

        if (!ask->used || ask->host != h)
            continue;
        ask->used = false;
        if (ask->what == XHA_RQ_ARM)
            cs->armed_open--;
        if (is_wish(ask)) {
            struct csim_guest *g = &cs->guest[ask->guest];

            g->unclear = true;
            if (!--g->orders_open)
                g->tangled = false;
        }
    }
}

static void request(struct csim *cs, int h, struct csim_ask what, enum xha_move_mode mode)
{
    struct xha_cluster_event ev = { .type = XHA_CEV_REQUEST };
    struct csim_ask *ask;
    uint64_t number;
    int rc;

    if (!cs->host[h].node || csim_host_still(cs, h) || cs->host[h].xhad_go_ms > cs->now_ms)
        return; /* nobody answers on the control socket */
    ask = ask_new(cs, h, &what);
    number = ask->number;
    ev.u.request.what = what.what;
    ev.u.request.number = number;
    ev.u.request.host = what.target < 0 ? XHA_HOST_NONE : (uint8_t)what.target;
    ev.u.request.on = what.on;
    ev.u.request.mode = mode;
    ev.u.request.order = what.order;
    ev.u.request.settings = &cs->script->cluster;
    if (what.guest >= 0) {
        struct csim_guest *g = &cs->guest[what.guest];

        if (what.what == XHA_RQ_PROTECT && !g->protected_ && what.target < 0)
            g->ran = false; /* where it ran before nobody was told */
        ev.uuid = g->uuid;
        snprintf(ev.u.request.name, sizeof(ev.u.request.name), "%s", g->name);
        ev.u.request.policy = &g->def->policy;
        ev.u.request.needs = &g->def->needs;
        ev.u.request.digest_policy[0] = ev.u.request.digest_config[0] = g->texts;
    }
    rc = csim_step_cluster(cs, h, &ev);
    if (rc && ask->used && ask->host == h && ask->number == number && cs->host[h].node) {
        csim_say(cs, cs->host[h].name, "refuses: %s", xha_core_error_text(rc));
        answered(cs, ask, rc);
    }
}

static void ask_guest(struct csim *cs, int h, enum xha_do_cluster what, int guest, enum xha_order_type order)
{
    int i = csim_inst_find(cs, guest, -1);

    request(cs, h,
            (struct csim_ask){ .guest = guest,
                               .what = what,
                               .order = order,
                               .target = what == XHA_RQ_PROTECT && i >= 0 ? cs->inst[i].host : -1 },
            XHA_MOVE_AUTO);
}

static void ask_host(struct csim *cs, int h, enum xha_do_cluster what, int target, bool on)
{
    request(cs, h, (struct csim_ask){ .guest = -1, .what = what, .target = target, .on = on }, XHA_MOVE_AUTO);
}

/* ---- operators at the beginning and at the end -----------------------------------------------------------
 */

/* The lowest host that is synced, quorate and answers, or -1. */
static int spokesman(struct csim *cs)
{
    for (unsigned h = 0; h < cs->n_hosts; h++) {
        struct xha_cluster_status st;

        if (!cs->host[h].node || csim_host_still(cs, (int)h) || cs->host[h].xhad_go_ms > cs->now_ms)
            continue;
        xha_cluster_status(xha_node_state(cs->host[h].node), &st);
        if (st.synced && st.quorate)
            return (int)h;
    }
    return -1;
}

static bool is_asked(const struct csim *cs, enum xha_do_cluster what, int guest, int target)
{
    for (unsigned i = 0; i < CSIM_ASKS_MAX; i++)
        if (cs->ask[i].used && cs->ask[i].what == what && cs->ask[i].guest == guest &&
            cs->ask[i].target == target)
            return true;
    return false;
}

static void settle_requests(struct csim *cs, int h)
{
    for (unsigned k = 0; k < cs->n_hosts; k++) {
        struct xha_cluster_host host;

        if (!xha_cluster_host(xha_node_state(cs->host[h].node), (uint8_t)k, &host))
            continue;
        if (host.maintenance && !is_asked(cs, XHA_RQ_HOST_MAINTENANCE, -1, (int)k))
            ask_host(cs, h, XHA_RQ_HOST_MAINTENANCE, (int)k, false);
        if (!cs->host[h].node)
            return;
        if (host.state == XHA_HOST_LOST &&
            (cs->host[k].left || (!cs->host[k].power && cs->script->host[k].no_fence)) &&
            !is_asked(cs, XHA_RQ_CONFIRM_FENCED, -1, (int)k)) {
            csim_rules_proof(cs, (int)k);
            ask_host(cs, h, XHA_RQ_CONFIRM_FENCED, (int)k, true);
        }
    }
    for (unsigned g = 0; g < cs->n_guests && cs->host[h].node; g++) {
        struct xha_cluster_domain d;

        if (xha_cluster_find(xha_node_state(cs->host[h].node), &cs->guest[g].uuid, &d) ||
            (d.report.state != XHA_ST_FAILED && d.report.state != XHA_ST_ERROR) || cs->guest[g].orders_open ||
            cs->guest[g].wish != CSIM_WISH_RUN)
            continue;
        ask_guest(cs, h, XHA_RQ_ORDER, (int)g, XHA_DO_START);
    }
}

/* Until it is done: the settings, arming, and the protection of those that are to be protected. */
void csim_begin_requests(struct csim *cs)
{
    int h = spokesman(cs);
    unsigned open = 0;

    csim_in(cs, cs->settling ? 10000 : SETUP_EVERY_MS, future(CSIM_F_SETUP, 0, 0));
    if (h < 0) {
        if (cs->settling &&
            cs->now_ms - cs->settle_ms > 60000) /* the survivors were too few: all are needed */
            for (unsigned k = 0; k < cs->n_hosts; k++)
                if (cs->host[k].listed)
                    csim_host_power_on(cs, (int)k);
        return;
    }
    if (!cs->settings_done && !is_asked(cs, XHA_RQ_SETTINGS, -1, -1)) {
        ask_host(cs, h, XHA_RQ_SETTINGS, -1, true);
        ask_host(cs, h, XHA_RQ_ARM, -1, cs->script->armed);
    }
    for (unsigned g = 0; g < cs->n_guests && cs->host[h].node; g++) {
        struct csim_guest *guest = &cs->guest[g];

        if (guest->def->later || guest->protected_ || guest->setup_done)
            continue;
        open++;
        if (!guest->orders_open)
            ask_guest(cs, h, XHA_RQ_PROTECT, (int)g, XHA_DO_START);
    }
    for (unsigned g = 0; g < cs->n_guests; g++)
        cs->guest[g].setup_done |= cs->guest[g].protected_;
    if (cs->settling && !open && cs->host[h].node)
        settle_requests(cs, h);
}

static bool majority_on(const struct csim *cs)
{
    unsigned on = 0, all = 0;

    for (unsigned h = 0; h < cs->n_hosts; h++) {
        all += cs->host[h].listed;
        on += cs->host[h].listed && cs->host[h].power;
    }
    return 2 * on > all;
}

void csim_settle(struct csim *cs)
{
    bool all = cs->script->settle == CSIM_SETTLE_ALL || !majority_on(cs);

    csim_say(cs, "-", "all trouble ends");
    cs->settling = true;
    cs->settle_ms = cs->now_ms;
    cs->net_slow_ms = 0;
    memset(cs->cut, 0, sizeof(cs->cut));
    for (unsigned h = 0; h < cs->n_hosts; h++) {
        struct csim_host *host = &cs->host[h];

        host->fence_broken = host->fence_silent = false;
        host->fence_ms = 2000;
        host->disk.slow_ms = 0;
        host->die_after = -1;
        if (host->hung || host->frozen) {
            host->go_ms = cs->now_ms;
            csim_host_go(cs, (int)h);
        }
        if (host->xhad_go_ms > cs->now_ms)
            csim_in(cs, 1, future(CSIM_F_GO, (int)h, host->boot));
        host->xhad_go_ms = 0;
        if (host->left) { /* taken out of corosync's list, too */
            host->listed = false;
            csim_net_stop(cs, (int)h);
        }
        if (host->listed && !host->power && all)
            csim_host_power_on(cs, (int)h);
    }
    csim_net_recount(cs);
    for (unsigned g = 0; g < cs->n_guests; g++) {
        struct csim_guest *guest = &cs->guest[g];

        guest->boots_dead = false;
        guest->boot_ms = 5000;
        for (int a = 0; a < XHA_ACT_N_; a++)
            guest->habit[a] =
                (struct csim_habit){ .takes_ms = csim_habit_default_ms((enum xha_action_type)a) };
    }
    csim_net_changed(cs);
}

/* ---- the lines -------------------------------------------------------------------------------------------
 */

static void net_split(struct csim *cs, const struct csim_line *line)
{
    xha_hostset rest = ~(xha_hostset)0, group[CSIM_GROUPS_MAX + 1] = { 0 };

    for (unsigned g = 0; g < CSIM_GROUPS_MAX; g++) {
        group[g] = line->group[g];
        rest &= ~line->group[g];
    }
    group[CSIM_GROUPS_MAX] = rest;
    for (unsigned a = 0; a < cs->n_hosts; a++)
        for (unsigned g = 0; g <= CSIM_GROUPS_MAX; g++)
            if (group[g] >> a & 1)
                cs->cut[a] = ~group[g];
}

static bool play_net(struct csim *cs, const struct csim_line *line)
{
    switch (line->verb) {
    case CSIM_NET_SPLIT:
        net_split(cs, line);
        break;
    case CSIM_NET_CUT:
        cs->cut[line->host] |= CSIM_BIT(line->host2);
        cs->cut[line->host2] |= CSIM_BIT(line->host);
        break;
    case CSIM_NET_ONEWAY:
        cs->cut[line->host] |= CSIM_BIT(line->host2);
        break;
    case CSIM_NET_HEAL:
        memset(cs->cut, 0, sizeof(cs->cut));
        break;
    case CSIM_NET_SLOW:
        cs->net_slow_ms = line->span_ms;
        break;
    default:
        return false;
    }
    troubled(cs, -1);
    csim_net_changed(cs);
    csim_rules_lost(cs, -1, XHA_TIMING_PARTITION);
    return true;
}

static void xhad_dies(struct csim *cs, int h, int64_t down_ms)
{
    if (down_ms * 10 >= cs->timing.watchdog.ms * 4 ||
        cs->now_ms - cs->host[h].up_since_ms < cs->timing.watchdog.ms)
        troubled(cs, h);
    csim_xhad_down(cs, h, down_ms, false);
}

static void xhad_stops(struct csim *cs, int h, int64_t ms)
{
    struct csim_host *host = &cs->host[h];

    if (!host->node)
        return;
    host->xhad_go_ms = cs->now_ms + ms;
    csim_in(cs, ms, future(CSIM_F_GO, h, host->boot));
}

static void coro_dies(struct csim *cs, int h, int64_t ms)
{
    struct csim_host *host = &cs->host[h];
    struct xha_cluster_event ev = { .type = XHA_CEV_QUORUM };

    if (!host->coro)
        return;
    csim_net_stop(cs, h);
    /* The engine is down: xhad starts anew when it is back, as the daemon does. */
    csim_step_cluster(cs, h, &ev);
    csim_in(cs, ms, future(CSIM_F_CORO_UP, h, host->boot));
}

static bool play_host(struct csim *cs, const struct csim_line *line)
{
    struct csim_host *host;

    if (line->host < 0)
        return false;
    host = &cs->host[line->host];
    switch (line->verb) {
    case CSIM_H_POWER_FOR:
    case CSIM_H_POWER:
        csim_rules_lost(cs, line->host, XHA_TIMING_POWER_CUT_FENCED);
        csim_host_power_off(cs, line->host, "loses power");
        if (line->verb == CSIM_H_POWER_FOR)
            csim_in(cs, line->span_ms, future(CSIM_F_POWER, line->host, host->boot));
        break;
    case CSIM_H_BOOT:
        csim_host_power_on(cs, line->host);
        break;
    case CSIM_H_HANG:
    case CSIM_H_FREEZE:
        /* A machine that is frozen with its watchdog proves nothing by time: see README.md. */
        csim_rules_lost(cs, line->host, XHA_TIMING_HOST_HANG);
        csim_host_still_for(cs, line->host, line->verb == CSIM_H_FREEZE && !cs->may_arm, line->span_ms);
        break;
    case CSIM_H_DISK:
        host->disk.slow_ms = line->span_ms;
        break;
    case CSIM_H_JOIN:
        host->listed = true;
        host->left = host->leaving = false;
        if (host->power && !host->coro)
            csim_in(cs, 1000, future(CSIM_F_CORO_UP, line->host, host->boot));
        csim_host_power_on(cs, line->host);
        break;
    case CSIM_C_DOWN:
        coro_dies(cs, line->host, line->span_ms);
        break;
    case CSIM_X_DIES_AFTER:
        host->die_after = line->number;
        host->down_ms = csim_about(cs, 1000);
        return true;
    case CSIM_X_DOWN:
        xhad_dies(cs, line->host, line->span_ms);
        return true;
    case CSIM_X_STOPS:
        xhad_stops(cs, line->host, line->span_ms);
        break;
    case CSIM_F_FAILS_TIMES:
    case CSIM_F_FAILS:
        host->fence_broken = true;
        host->fence_fails = line->verb == CSIM_F_FAILS ? 0 : (int)line->number;
        return true;
    case CSIM_F_WORKS:
        host->fence_broken = host->fence_silent = false;
        return true;
    case CSIM_F_TAKES:
        host->fence_ms = line->span_ms;
        return true;
    case CSIM_F_SILENT:
        host->fence_silent = true;
        return true;
    default:
        return false;
    }
    troubled(cs, line->host);
    return true;
}

static bool play_guest(struct csim *cs, const struct csim_line *line)
{
    struct csim_guest *g;
    bool runs;
    int i;

    if (line->guest < 0)
        return false;
    g = &cs->guest[line->guest];
    i = csim_inst_find(cs, line->guest, -1);
    runs = i >= 0 && csim_inst_runs(&cs->inst[i]) && !cs->host[cs->inst[i].host].frozen;
    switch (line->verb) {
    case CSIM_G_CRASH:
        if (runs)
            csim_inst_shut(cs, i, XHA_SHUTDOWN_CRASH);
        break;
    case CSIM_G_POWEROFF:
        if (runs)
            csim_inst_shut(cs, i, XHA_SHUTDOWN_POWEROFF);
        break;
    case CSIM_G_REBOOT:
        if (runs)
            csim_inst_shut(cs, i, XHA_SHUTDOWN_REBOOT);
        break;
    case CSIM_G_HANG:
        if (!runs)
            break;
        csim_settle_counters(cs, i);
        cs->inst[i].hung = true;
        cs->inst[i].ill_ms = cs->now_ms;
        break;
    case CSIM_G_BOOTS_DEAD:
    case CSIM_G_BOOTS_WELL:
        g->boots_dead = line->verb == CSIM_G_BOOTS_DEAD;
        g->fails_ms = cs->now_ms;
        break;
    case CSIM_G_BOOTS_IN:
        g->boot_ms = line->span_ms;
        break;
    case CSIM_G_STOP_IGNORE:
    case CSIM_G_STOP_OBEY:
        g->ignores_stop = line->verb == CSIM_G_STOP_IGNORE;
        break;
    default:
        return false;
    }
    return true;
}

static bool play_worker(struct csim *cs, const struct csim_line *line)
{
    struct csim_guest *g;

    if (line->guest < 0)
        return false;
    g = &cs->guest[line->guest];
    if (line->verb == CSIM_W_KILLED) {
        csim_jobs_kill(cs, line->guest);
    } else if (line->verb == CSIM_W_STALLS) {
        csim_jobs_stall(cs, line->guest, line->span_ms);
    } else if (line->verb == CSIM_STREAM_CUT) {
        csim_stream_cut(cs, line->guest);
    } else if (line->verb == CSIM_W_SENDER_DIES || line->verb == CSIM_W_COPY_DIES) {
        csim_repl_kill(cs, line->guest,
                       line->verb == CSIM_W_SENDER_DIES ? XHA_ACT_REPLICATE : XHA_ACT_STANDBY);
    } else if (line->verb >= CSIM_W_TAKES && line->verb <= CSIM_W_WELL) {
        for (int a = 0; a < XHA_ACT_N_; a++) {
            struct csim_habit *h = &g->habit[a];

            if (line->word && line->word != a)
                continue;
            if (line->verb == CSIM_W_TAKES)
                h->takes_ms = line->span_ms;
            else if (line->verb == CSIM_W_WELL)
                h->how = SIM_WELL;
            else
                h->how = line->verb == CSIM_W_UNKNOWN_TIMES ? SIM_UNKNOWN : SIM_FAILS;
            h->word = line->word2;
            h->times = line->verb == CSIM_W_FAILS ? 0 : (int)line->number;
        }
    } else {
        return false;
    }
    g->fails_ms = cs->now_ms;
    return true;
}

static void play_operator(struct csim *cs, const struct csim_line *line)
{
    int h = line->host;

    switch (line->verb) {
    case CSIM_OP_PROTECT:
        ask_guest(cs, h, XHA_RQ_PROTECT, line->guest, XHA_DO_START);
        break;
    case CSIM_OP_UNPROTECT:
        cs->guest[line->guest].setup_done = true;
        ask_guest(cs, h, XHA_RQ_UNPROTECT, line->guest, XHA_DO_START);
        break;
    case CSIM_OP_START:
        ask_guest(cs, h, XHA_RQ_ORDER, line->guest, XHA_DO_START);
        break;
    case CSIM_OP_STOP:
        ask_guest(cs, h, XHA_RQ_ORDER, line->guest, XHA_DO_STOP);
        break;
    case CSIM_OP_RESTART:
        ask_guest(cs, h, XHA_RQ_ORDER, line->guest, XHA_DO_RESTART);
        break;
    case CSIM_OP_MIGRATE_MODE:
    case CSIM_OP_MIGRATE:
    case CSIM_OP_MIGRATE_ANY:
        request(cs, h,
                (struct csim_ask){ .guest = line->guest, .what = XHA_RQ_MIGRATE, .target = line->host2 },
                line->verb == CSIM_OP_MIGRATE_MODE ? (enum xha_move_mode)line->word : XHA_MOVE_AUTO);
        break;
    case CSIM_OP_ABORT:
        ask_guest(cs, h, XHA_RQ_MIGRATE_ABORT, line->guest, XHA_DO_START);
        break;
    case CSIM_OP_MAINT_ON:
    case CSIM_OP_MAINT_OFF:
        ask_host(cs, h, XHA_RQ_HOST_MAINTENANCE, line->host2, line->verb == CSIM_OP_MAINT_ON);
        break;
    case CSIM_OP_CONFIRM:
        if (cs->host[line->host2].power)
            break; /* operators look before they say so */
        csim_rules_proof(cs, line->host2);
        ask_host(cs, h, XHA_RQ_CONFIRM_FENCED, line->host2, true);
        break;
    case CSIM_OP_ARM:
    case CSIM_OP_DISARM:
        ask_host(cs, h, XHA_RQ_ARM, -1, line->verb == CSIM_OP_ARM);
        break;
    case CSIM_OP_LEAVE:
        ask_host(cs, h, XHA_RQ_LEAVE, h, true);
        break;
    case CSIM_OP_FORGET:
        ask_host(cs, h, XHA_RQ_FORGET_HOST, line->host2, true);
        break;
    default:
        break;
    }
}

static void expect_host(struct csim *cs, const struct csim_line *line)
{
    int h = spokesman(cs);
    struct xha_cluster_host host;

    if (h < 0 || !xha_cluster_host(xha_node_state(cs->host[h].node), (uint8_t)line->host, &host))
        csim_fail(cs, "expected %s to be %s, but nobody knows of it", cs->host[line->host].name,
                  xha_host_state_name((enum xha_host_state)line->word));
    else if (host.state != (enum xha_host_state)line->word)
        csim_fail(cs, "expected %s to be %s, but it is %s", cs->host[line->host].name,
                  xha_host_state_name((enum xha_host_state)line->word), xha_host_state_name(host.state));
}

static void expect_pair(struct csim *cs, const struct csim_line *line)
{
    const struct csim_guest *g = &cs->guest[line->guest];
    struct xha_cluster_domain d = { 0 };
    int h = spokesman(cs), backup = -1;

    if (h >= 0 && !xha_cluster_find(xha_node_state(cs->host[h].node), &g->uuid, &d) && d.pair.id &&
        d.pair.stage == XHA_PAIR_PROTECTED)
        backup = d.pair.backup;
    if (line->verb == CSIM_EXPECT_BARE && backup >= 0)
        csim_fail(cs, "expected %s not to be replicated, but it is to %s", g->name, cs->host[backup].name);
    if (line->verb == CSIM_EXPECT_BACKUP && backup != line->host)
        csim_fail(cs, "expected %s to be replicated to %s, but it is to %s", g->name,
                  cs->host[line->host].name, backup < 0 ? "nobody" : cs->host[backup].name);
}

/* On this host it runs, and is heard, or is not. */
static void expect_heard(struct csim *cs, const struct csim_line *line)
{
    int i = csim_inst_find(cs, line->guest, line->host);
    bool runs = i >= 0 && csim_inst_runs(&cs->inst[i]);
    bool heard = runs && (!cs->inst[i].gated || cs->now_ms - cs->inst[i].heard_ms < 2000);

    if (!runs || heard != (line->verb == CSIM_EXPECT_SPEAKS))
        csim_fail(cs, "expected %s to run on %s and %s, but it %s", cs->guest[line->guest].name,
                  cs->host[line->host].name, line->verb == CSIM_EXPECT_SPEAKS ? "speak" : "be mute",
                  !runs   ? "does not run there"
                  : heard ? "speaks"
                          : "is mute");
}

static void play_expect(struct csim *cs, const struct csim_line *line)
{
    int i = line->guest < 0 ? -1 : csim_inst_find(cs, line->guest, -1);
    bool runs = i >= 0 && csim_inst_runs(&cs->inst[i]);
    const char *name = line->guest < 0 ? "" : cs->guest[line->guest].name;
    char why[200];

    switch (line->verb) {
    case CSIM_EXPECT_RUNS_ON:
        if (!runs || cs->inst[i].host != line->host)
            csim_fail(cs, "expected %s to run on %s, but it runs %s", name, cs->host[line->host].name,
                      runs ? cs->host[cs->inst[i].host].name : "nowhere");
        break;
    case CSIM_EXPECT_RUNS:
        if (!runs)
            csim_fail(cs, "expected %s to run, but it does not", name);
        break;
    case CSIM_EXPECT_STOPPED:
        if (i >= 0 && csim_inst_alive(&cs->inst[i]))
            csim_fail(cs, "expected %s to be stopped, but it is on %s", name,
                      cs->host[cs->inst[i].host].name);
        break;
    case CSIM_EXPECT_BACKUP:
    case CSIM_EXPECT_BARE:
        expect_pair(cs, line);
        break;
    case CSIM_EXPECT_SPEAKS:
    case CSIM_EXPECT_MUTE:
        expect_heard(cs, line);
        break;
    case CSIM_EXPECT_HOST:
        expect_host(cs, line);
        break;
    case CSIM_EXPECT_SYNCED:
        if (!csim_rules_rest(cs, why, sizeof(why)))
            csim_fail(cs, "expected rest, but %s", why);
        break;
    default:
        break;
    }
}

void csim_line_play(struct csim *cs, const struct csim_line *line)
{
    char buf[CSIM_TEXT_MAX];

    csim_say(cs, "*", "%s", csim_line_text(cs->script, line, buf, sizeof(buf)));
    if (cs->cover)
        cs->cover->verb[line->verb]++;
    csim_blows_count(cs, line);
    if (line->verb >= CSIM_EXPECT_RUNS_ON)
        play_expect(cs, line);
    else if (!play_net(cs, line) && !play_host(cs, line) && !play_guest(cs, line) && !play_worker(cs, line))
        play_operator(cs, line);
}

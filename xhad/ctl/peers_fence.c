/*
 * peers_fence.c - fencing for the cluster core, and the question from time to time whether it would work.
 *
 * A fence device that is broken must be known before a host is lost: each host asks the devices by which it
 * would fence the others, every `fence_check`. One that does not answer is an alarm, and is asked again soon, so
 * that it is known when it is mended. What is asked is told by `xl-ha hosts`; nothing is decided by it, since a
 * device that failed a minute ago may well work when it is needed.
 */
#include "xhad/ctl/peers.h"
#include <string.h>

#define AGAIN_MS 60000 /* a device that did not answer is asked again, at the latest */
#define AT_ONCE  4     /* hosts whose devices are asked */

/* ---- fencing ---- */

struct fencing {
    struct xha_peers *p;
    uint8_t host;
};

static void tell_fenced(struct xha_peers *p, uint8_t host, bool ok, const char *text)
{
    struct xha_cluster_event ev = { .type = XHA_CEV_FENCE_DONE };

    ev.u.fence_done.host = host;
    ev.u.fence_done.attempt = p->fence_work[host].attempt;
    ev.u.fence_done.ok = ok;
    snprintf(ev.u.fence_done.text, sizeof ev.u.fence_done.text, "%s", text);
    xha_peers_step(p, &ev);
}

static void begin(struct xha_peers *p, uint8_t host);

static void on_fenced(void *user, const char *name, enum xha_fence_result result, const char *text)
{
    struct fencing *f = user;
    struct xha_peers *p = f->p;
    const uint8_t host = f->host;
    struct xha_fence_work *w = &p->fence_work[host];
    const bool again = w->again;

    free(f);
    xha_log(result == XHA_FENCE_FAILED ? XHA_LOG_ERROR : XHA_LOG_INFO, "fencing has ended",
            XHA_S("host", name),
            XHA_S("result", result == XHA_FENCE_OK       ? "off"
                            : result == XHA_FENCE_FAILED ? "failed"
                                                         : "given up"),
            XHA_S("text", text));
    w->running = w->given_up = w->again = false;
    if (result == XHA_FENCE_CANCELLED) {
        if (again && !p->d->stopping)
            begin(p, host);
        return;
    }
    w->off = result == XHA_FENCE_OK;
    tell_fenced(p, host, w->off, text);
}

static void begin(struct xha_peers *p, uint8_t host)
{
    struct fencing *f = malloc(sizeof *f);
    char name[XHA_HOST_TEXT];
    int rc;

    if (!f)
        abort();
    *f = (struct fencing){ .p = p, .host = host };
    rc = xha_fencer_run(p->fencer, xha_peers_host(p, host, name), on_fenced, f);
    if (rc == XHA_FENCER_OK) {
        p->fence_work[host].running = true;
        return;
    }
    free(f);
    tell_fenced(p, host, false,
                rc == XHA_FENCER_E_NODEVICE ? "no fence device of it is configured here"
                : rc == XHA_FENCER_E_BUSY   ? "it is being fenced already"
                                            : "no memory");
}

/* What is under way ends; what was proven counts no more. */
static void give_up(struct xha_peers *p, uint8_t host)
{
    struct xha_fence_work *w = &p->fence_work[host];
    char name[XHA_HOST_TEXT];

    w->off = w->again = false;
    if (!w->running)
        return;
    w->given_up = true;
    xha_fencer_cancel(p->fencer, xha_peers_host(p, host, name));
}

static bool same_incarnation(const struct xha_incarnation *a, const struct xha_incarnation *b)
{
    return a->generation == b->generation && memcmp(&a->boot, &b->boot, sizeof a->boot) == 0;
}

/*
 * A leader that has waited long enough orders anew, another host in turn, and takes no answer to an older order;
 * agents, with all their levels and tries, may need longer. So an order finds here what is under way already, or
 * what has been proven since of that incarnation of the host.
 */
void xha_peers_fence(struct xha_peers *p, const struct xha_cluster_action *a)
{
    struct xha_fence_work *w = &p->fence_work[a->host];
    struct xha_cluster_host host = { 0 };

    (void)xha_cluster_host(xha_node_state(p->node), a->host, &host);
    w->attempt = a->u.fence.attempt;
    if (!same_incarnation(&w->incarnation, &host.info.incarnation))
        give_up(p, a->host);
    w->incarnation = host.info.incarnation;
    if (w->off)
        tell_fenced(p, a->host, true, "it was switched off before this order came");
    else if (w->running)
        w->again = w->given_up;
    else
        begin(p, a->host);
}

/* Whatever has become of the host: our agents have no more to do with it. */
void xha_peers_fence_end(struct xha_peers *p, const struct xha_cluster_action *a)
{
    if (a->host < XHA_HOSTS_MAX &&
        (a->u.said.cause == XHA_CC_HOST_FENCED || a->u.said.cause == XHA_CC_HOST_BACK ||
         a->u.said.cause == XHA_CC_HOST_JOINED))
        give_up(p, a->host);
}

static void on_said(void *user, const char *host, const char *text)
{
    struct xha_peers *p = user;
    char line[400];

    snprintf(line, sizeof line, "fencing %.60s: %.300s", host, text);
    xha_history_text(p->d->history, "work", NULL, NULL, line);
    xha_log(XHA_LOG_INFO, "fencing", XHA_S("host", host), XHA_S("text", text));
}

int xha_peers_fence_open(struct xha_peers *p)
{
    p->fencer = xha_fencer_new(&p->d->loop, on_said, p);
    if (!p->fencer || xha_fencer_configure(p->fencer, &p->d->conf.fence) != XHA_FENCER_OK)
        return -1;
    return 0;
}

/* ---- whether it would work ---- */

struct asking {
    struct xha_peers *p;
    uint8_t host;
    unsigned devices; /* p->fence_devices when it was asked */
};

static void tell_change(struct xha_peers *p, const char *host, const struct xha_fence_check *c)
{
    char line[700];

    if (c->failed)
        snprintf(
            line, sizeof line,
            "this host could not fence %.64s if it had to: %.350s. See to the fence device, or its domains "
            "may have to wait for an operator when it is lost",
            host, c->text);
    else
        snprintf(line, sizeof line, "the fence devices of %.64s answer this host again", host);
    xha_peers_alarm(p, "fence-check", c->failed ? XHA_SEV_CRITICAL : XHA_SEV_INFO, line);
}

static void on_asked(void *user, const char *host, enum xha_fence_result result, const char *text)
{
    struct asking *asking = user;
    struct xha_peers *p = asking->p;
    struct xha_fence_check *c = &p->fence_check[asking->host];
    bool failed = result == XHA_FENCE_FAILED, changes = failed != c->failed;

    c->asking = false;
    p->fence_asking--;
    if (result != XHA_FENCE_CANCELLED && asking->devices == p->fence_devices) {
        c->asked_ms = xha_clock_monotonic_ms();
        c->known = true;
        c->failed = failed;
        snprintf(c->text, sizeof c->text, "%s", failed ? text : "");
        if (changes)
            tell_change(p, host, c);
    }
    free(asking);
}

static void ask(struct xha_peers *p, uint8_t host, const char *name)
{
    struct asking *asking = malloc(sizeof *asking);

    if (!asking)
        return; /* asked again a second later */
    *asking = (struct asking){ .p = p, .host = host, .devices = p->fence_devices };
    if (xha_fencer_check(p->fencer, name, on_asked, asking) != XHA_FENCER_OK) {
        free(asking);
        return;
    }
    p->fence_check[host].asking = true;
    p->fence_asking++;
}

/* Whether its devices are worth a question: those of a host that is gone may well have lost their power with it. */
static bool is_there(const struct xha_peers *p, uint8_t host)
{
    struct xha_cluster_host h;

    return host != p->self && xha_cluster_host(xha_peers_state(p), host, &h) && h.state == XHA_HOST_IN &&
           h.node;
}

static bool is_due(const struct xha_peers *p, const struct xha_fence_check *c)
{
    int64_t every = p->d->conf.fence_check.ms;

    if (c->failed && every > AGAIN_MS)
        every = AGAIN_MS;
    return !c->asking && (!c->known || xha_clock_monotonic_ms() - c->asked_ms >= every);
}

void xha_peers_fence_check(struct xha_peers *p)
{
    for (unsigned i = 0; i < XHA_HOSTS_MAX; i++) {
        struct xha_fence_check *c = &p->fence_check[i];
        char name[XHA_HOST_TEXT];

        if (p->d->conf.fence_check.ms == 0 || !is_there(p, (uint8_t)i) ||
            !xha_fencer_can(p->fencer, xha_peers_host(p, i, name))) {
            c->known = c->failed = false;
            continue;
        }
        if (p->fence_asking < AT_ONCE && is_due(p, c))
            ask(p, (uint8_t)i, name);
    }
}

void xha_peers_fence_reload(struct xha_peers *p)
{
    if (xha_fencer_configure(p->fencer, &p->d->conf.fence) != XHA_FENCER_OK)
        return; /* without memory the old ones go on */
    p->fence_devices++;
    for (unsigned i = 0; i < XHA_HOSTS_MAX; i++)
        p->fence_check[i].known = false; /* a failure is over only when the new device has answered */
}

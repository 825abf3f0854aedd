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
    uint32_t attempt;
};

static void tell_fenced(const struct fencing *f, bool ok, const char *text)
{
    struct xha_cluster_event ev = { .type = XHA_CEV_FENCE_DONE };

    ev.u.fence_done.host = f->host;
    ev.u.fence_done.attempt = f->attempt;
    ev.u.fence_done.ok = ok;
    snprintf(ev.u.fence_done.text, sizeof ev.u.fence_done.text, "%s", text);
    xha_peers_step(f->p, &ev);
}

static void on_fenced(void *user, const char *host, enum xha_fence_result result, const char *text)
{
    struct fencing *f = user;

    xha_log(result == XHA_FENCE_OK ? XHA_LOG_INFO : XHA_LOG_ERROR, "fencing has ended", XHA_S("host", host),
            XHA_S("result", result == XHA_FENCE_OK ? "off" : "failed"), XHA_S("text", text));
    if (result != XHA_FENCE_CANCELLED)
        tell_fenced(f, result == XHA_FENCE_OK, text);
    free(f);
}

void xha_peers_fence(struct xha_peers *p, const struct xha_cluster_action *a)
{
    struct fencing *f = malloc(sizeof *f);
    char name[XHA_HOST_TEXT];
    int rc;

    if (!f)
        abort();
    *f = (struct fencing){ .p = p, .host = a->host, .attempt = a->u.fence.attempt };
    xha_peers_host(p, a->host, name);
    rc = xha_fencer_run(p->fencer, name, on_fenced, f);
    if (rc == XHA_FENCER_OK)
        return;
    tell_fenced(f, false,
                rc == XHA_FENCER_E_NODEVICE ? "no fence device of it is configured here"
                : rc == XHA_FENCER_E_BUSY   ? "it is being fenced already"
                                            : "no memory");
    free(f);
}

void xha_peers_fence_end(struct xha_peers *p, const struct xha_cluster_action *a)
{
    struct xha_cluster_host host;
    char name[XHA_HOST_TEXT];

    if (a->u.said.cause != XHA_CC_HOST_FENCED && a->u.said.cause != XHA_CC_HOST_BACK &&
        a->u.said.cause != XHA_CC_HOST_JOINED)
        return;
    if (a->host >= XHA_HOSTS_MAX || !xha_cluster_host(xha_node_state(p->node), a->host, &host) ||
        (a->u.said.cause == XHA_CC_HOST_FENCED && host.fenced_by == XHA_FENCED_AGENT))
        return;
    xha_peers_host(p, a->host, name);
    xha_fencer_cancel(p->fencer, name);
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

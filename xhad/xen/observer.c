/*
 * observer.c - the observer's loop: one listing per round, heartbeats through beats.h, messages over fd 3.
 *
 * A beat round is listed first, then waits for its heartbeats, at most BEATS_MAX_MS; if they do not come it
 * is sent without them, marked as xenstore's fault, and the following rounds do not wait until xenstore
 * answers again. So deaths are seen however ill xenstored is. A listing wanted meanwhile is made right after.
 */
#include "xhad/xen/observer.h"
#include "xhad/xen/beats.h"
#include "xhad/xen/io_count.h"
#include "xhad/xen/tracked.h"
#include "xhad/base/observe.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xenctrl.h>

#define BEATS_MAX_MS 2000 /* a batch that takes longer: xenstore is ill */
#define LOOK_GAP_MS  25   /* listings on demand come no closer than this: a burst becomes one */
#define LIST_CHUNK   1024
#define NEVER        INT64_MAX

struct observer {
    xc_interface *xch;
    struct xha_beats *beats;
    struct xha_tracked_set tracked;
    bool closed; /* fd 3 is: leave */

    xc_domaininfo_t *list; /* the newest listing, without dom0 */
    size_t n_list, room;
    int64_t listed_ms;
    uint32_t hypercalls; /* that it took */

    int64_t interval_ms;
    int64_t beat_ms;    /* next beat round */
    int64_t look_ms;    /* next listing on demand */
    int64_t give_up_ms; /* on the heartbeats of the round under way; NEVER: none is */
    int64_t lag_ms;     /* of that round */
    bool xenstore_ok;   /* as the last beat round found it */
};

static int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int fail(const char *what)
{
    fprintf(stderr, "xhad-xen: observer: %s: %s\n", what, strerror(errno));
    return -1;
}

static int tell(struct observer *o, const struct xha_obs *obs)
{
    int rc = xha_obs_send(XHA_OBS_FD, obs);

    if (rc == XHA_OBS_OK)
        return 0;
    o->closed = true;
    return rc == XHA_OBS_E_CLOSED ? -1 : fail("cannot talk to xhad");
}

/* ---- listing ---- */

static int make_room(struct observer *o)
{
    xc_domaininfo_t *list;

    if (o->room - o->n_list >= LIST_CHUNK)
        return 0;
    list = realloc(o->list, (o->room * 2 + LIST_CHUNK) * sizeof(*list));
    if (!list)
        return fail("no memory for the listing");
    o->list = list;
    o->room = o->room * 2 + LIST_CHUNK;
    return 0;
}

static int list_domains(struct observer *o)
{
    uint32_t first = 1; /* dom0 is no domain of ours */
    int r;

    o->listed_ms = now_ms();
    o->n_list = o->hypercalls = 0;
    do {
        if (make_room(o) < 0)
            return -1;
        r = xc_domain_getinfolist(o->xch, first, LIST_CHUNK, o->list + o->n_list);
        o->hypercalls++;
        if (r < 0)
            return fail("the hypervisor does not list its domains");
        o->n_list += (size_t)r;
        if (r > 0)
            first = o->list[o->n_list - 1].domain + 1u;
    } while (r == LIST_CHUNK);
    return 0;
}

static struct xha_uuid uuid_of(const xc_domaininfo_t *d)
{
    struct xha_uuid uuid;

    memcpy(uuid.b, d->handle, sizeof(uuid.b));
    return uuid;
}

static int tell_seen(struct observer *o, const xc_domaininfo_t *d, const struct xha_beat_ask *ask)
{
    const bool shut = (d->flags & XEN_DOMINF_shutdown) != 0;
    struct xha_obs obs = {
        .type = XHA_OBS_SEEN,
        .uuid = uuid_of(d),
        .u.seen = {
            .listed = { o->listed_ms },
            .domid = d->domain,
            .paused = (d->flags & XEN_DOMINF_paused) != 0,
            .dying = (d->flags & XEN_DOMINF_dying) != 0,
            .shut = shut,
            .reason = shut ? (d->flags >> XEN_DOMINF_shutdownshift) & XEN_DOMINF_shutdownmask : 0,
            .beat_read = ask && ask->read,
            .beat_valid = ask && ask->valid,
            .beat = ask && ask->valid ? ask->beat : 0,
            .cpu_time_ns = d->cpu_time,
        },
    };

    return tell(o, &obs);
}

/* What the host has for guests. Not known where the hypervisor does not say; the rounds go on without it. */
static void read_host(struct observer *o, struct xha_obs *obs)
{
    const uint64_t page_kib = XC_PAGE_SIZE / 1024;
    xc_physinfo_t phys = { 0 };
    xc_domaininfo_t dom0;
    uint64_t own = 0;

    if (xc_physinfo(o->xch, &phys) < 0)
        return;
    if (xc_domain_getinfolist(o->xch, 0, 1, &dom0) == 1 && dom0.domain == 0)
        own = dom0.tot_pages;
    obs->u.round.memory_kib = (phys.total_pages > own ? phys.total_pages - own : 0) * page_kib;
    obs->u.round.free_kib = phys.free_pages * page_kib;
    obs->u.round.pcpus = phys.nr_cpus;
}

/* Tells of the newest listing; with the answered batch, or NULL. */
static int tell_round(struct observer *o, const struct xha_beat_batch *batch, struct xha_round round)
{
    struct xha_obs obs = { .type = XHA_OBS_ROUND };
    size_t next = 0;

    for (size_t i = 0; i < o->n_list; i++) {
        const struct xha_beat_ask *ask = NULL;

        if (batch && next < batch->n && batch->ask[next].index == i)
            ask = &batch->ask[next++];
        if (tell_seen(o, &o->list[i], ask) < 0)
            return -1;
    }
    round.began.ms = o->listed_ms;
    round.xenstore_ok = o->xenstore_ok;
    obs.u.round.r = round;
    obs.u.round.store_ops = batch ? batch->ops : 0;
    obs.u.round.hypercalls = o->hypercalls;
    if (round.beats_read)
        read_host(o, &obs);
    return tell(o, &obs);
}

static int look(struct observer *o)
{
    o->look_ms = NEVER;
    if (list_domains(o) < 0)
        return -1;
    return tell_round(o, NULL, (struct xha_round){ .beats_read = false });
}

static void want_look(struct observer *o)
{
    int64_t now = now_ms(), at = o->listed_ms + LOOK_GAP_MS;

    if (o->look_ms == NEVER)
        o->look_ms = at > now ? at : now;
}

/* ---- beat rounds ---- */

static int fill_batch(struct observer *o, struct xha_beat_batch *batch)
{
    if (xha_beat_batch_room(batch, o->n_list) < 0)
        return fail("no memory for the heartbeats");
    batch->n = 0;
    for (size_t i = 0; i < o->n_list; i++) {
        const struct xha_uuid uuid = uuid_of(&o->list[i]);
        const struct xha_tracked *t = xha_tracked_find(&o->tracked, &uuid);
        struct xha_beat_ask *ask = &batch->ask[batch->n];

        if (!t || t->key[0] == '\0')
            continue;
        *ask = (struct xha_beat_ask){ .index = i, .domid = o->list[i].domain };
        memcpy(ask->key, t->key, sizeof(ask->key));
        batch->n++;
    }
    return 0;
}

static int end_beat_round(struct observer *o, const struct xha_beat_batch *batch)
{
    int64_t now = now_ms();

    if (!batch && o->beat_ms < now) /* we waited for xenstore: the next round is not late by dom0's fault */
        o->beat_ms = now;
    o->give_up_ms = NEVER;
    o->xenstore_ok = batch && batch->canary_ok;
    return tell_round(o, batch,
                      (struct xha_round){
                          .beats_read = true, /* or it was tried: xenstore_ok tells */
                          .failed_reads = batch ? batch->failed : (uint32_t)o->tracked.n,
                          .lag = { o->lag_ms },
                      });
}

static int begin_beat_round(struct observer *o)
{
    struct xha_beat_batch *batch = xha_beats_batch(o->beats);
    int64_t now = now_ms();

    o->lag_ms = now - o->beat_ms;
    o->beat_ms += o->interval_ms;
    if (o->beat_ms <= now) /* late by whole rounds: those are lost, not made up for */
        o->beat_ms = now + o->interval_ms;
    if (list_domains(o) < 0)
        return -1;
    if (!batch)
        return end_beat_round(o, NULL);
    if (fill_batch(o, batch) < 0)
        return -1;
    o->give_up_ms = now + BEATS_MAX_MS;
    xha_beats_ask(o->beats);
    return 0;
}

/* ---- what xhad says ---- */

static int probe(struct observer *o, const struct xha_obs *asked)
{
    struct xha_obs obs = { .type = XHA_OBS_PROBED, .uuid = asked->uuid };
    xc_domaininfo_t d;
    int r = xc_domain_getinfolist(o->xch, (uint32_t)asked->u.probe.domid, 1, &d);

    if (r < 0)
        return fail("the hypervisor does not list its domains");
    if (r != 1 || d.domain != asked->u.probe.domid ||
        memcmp(d.handle, asked->uuid.b, sizeof(d.handle)) != 0) {
        want_look(o);
        return 0;
    }
    obs.u.probed = (struct xha_probed){
        .domid = d.domain,
        .cpu_time_ns = d.cpu_time,
        .io_count = xha_io_count("/sys", d.domain),
    };
    return tell(o, &obs);
}

static int obey(struct observer *o, const struct xha_obs *obs)
{
    switch (obs->type) {
    case XHA_OBS_CONFIG:
        if (o->beat_ms == NEVER || o->interval_ms != obs->u.config.round_interval_ms)
            o->beat_ms = now_ms();
        o->interval_ms = obs->u.config.round_interval_ms;
        return 0;
    case XHA_OBS_TRACK:
        return xha_tracked_put(&o->tracked, &obs->uuid, obs->u.track.key) < 0 ? fail("no memory for a domain")
                                                                              : 0;
    case XHA_OBS_UNTRACK:
        xha_tracked_drop(&o->tracked, &obs->uuid);
        return 0;
    case XHA_OBS_LOOK:
        want_look(o);
        return 0;
    case XHA_OBS_PROBE:
        return probe(o, obs);
    default:
        fprintf(stderr, "xhad-xen: observer: xhad sent a message of type %d, which is not for us\n",
                obs->type);
        return 0;
    }
}

static int hear(struct observer *o)
{
    struct xha_obs obs;
    int rc = xha_obs_recv(XHA_OBS_FD, &obs);

    switch (rc) {
    case XHA_OBS_OK:
        return obey(o, &obs);
    case XHA_OBS_E_AGAIN:
        return 0;
    case XHA_OBS_E_BAD:
        fprintf(stderr, "xhad-xen: observer: a message of another release; restart xhad\n");
        return -1;
    case XHA_OBS_E_CLOSED:
        o->closed = true;
        return -1;
    default:
        return fail("cannot hear xhad");
    }
}

/* ---- the loop ---- */

static int64_t until_next(const struct observer *o)
{
    int64_t next = o->beat_ms, now = now_ms();

    if (o->give_up_ms != NEVER) /* no listing comes between a listing and its heartbeats */
        next = o->give_up_ms;
    else if (o->look_ms < next)
        next = o->look_ms;
    if (next == NEVER)
        return -1;
    return next <= now ? 0 : next - now;
}

static int do_what_is_due(struct observer *o)
{
    if (o->give_up_ms != NEVER) {
        const struct xha_beat_batch *batch = xha_beats_take(o->beats);

        if (!batch && now_ms() < o->give_up_ms)
            return 0;
        if (end_beat_round(o, batch) < 0)
            return -1;
    }
    if (now_ms() >= o->look_ms && look(o) < 0)
        return -1;
    if (now_ms() >= o->beat_ms)
        return begin_beat_round(o);
    return 0;
}

static int loop(struct observer *o)
{
    struct pollfd fds[] = {
        { .fd = XHA_OBS_FD, .events = POLLIN },
        { .fd = xha_beats_done_fd(o->beats), .events = POLLIN },
        { .fd = xha_beats_change_fd(o->beats), .events = POLLIN },
    };

    for (;;) {
        if (poll(fds, 3, (int)until_next(o)) < 0 && errno != EINTR)
            return fail("poll");
        if (fds[2].revents) {
            xha_beats_clear_change(o->beats);
            want_look(o);
        }
        if (fds[0].revents && hear(o) < 0)
            return -1;
        if (do_what_is_due(o) < 0)
            return -1;
    }
}

static int tell_ready(struct observer *o)
{
    static const char *const schedulers[] = {
        [XEN_SCHEDULER_CREDIT] = "credit",     [XEN_SCHEDULER_CREDIT2] = "credit2",
        [XEN_SCHEDULER_ARINC653] = "arinc653", [XEN_SCHEDULER_RTDS] = "rtds",
        [XEN_SCHEDULER_NULL] = "null",
    };
    struct xha_obs obs = { .type = XHA_OBS_READY };
    xen_extraversion_t extra = "";
    int version, id = -1;

    version = xc_version(o->xch, XENVER_version, NULL);
    if (version < 0 || xc_version(o->xch, XENVER_extraversion, extra) < 0)
        return fail("the hypervisor does not say its version");
    if (xc_sched_id(o->xch, &id) < 0)
        id = -1;
    snprintf(obs.u.ready.version, sizeof(obs.u.ready.version), "%d.%d%.16s", version >> 16, version & 0xffff,
             extra);
    snprintf(obs.u.ready.scheduler, sizeof(obs.u.ready.scheduler), "%s",
             id >= 0 && (size_t)id < sizeof(schedulers) / sizeof(*schedulers) && schedulers[id]
                 ? schedulers[id]
                 : "unknown");
    return tell(o, &obs);
}

int xha_observer_main(void)
{
    struct observer o = { .beat_ms = NEVER, .look_ms = NEVER, .give_up_ms = NEVER, .xenstore_ok = true };
    int rc = -1;

    if (fcntl(XHA_OBS_FD, F_SETFD, FD_CLOEXEC) < 0) {
        fprintf(stderr, "xhad-xen: observer: no socket on fd 3; it is started by xhad(8)\n");
        return 1;
    }
    o.xch = xc_interface_open(NULL, NULL, 0);
    if (!o.xch) {
        fprintf(stderr,
                "xhad-xen: observer: no hypervisor to talk to: %s. Is this a dom0, and /dev/xen/privcmd "
                "there? (modprobe xen-privcmd; uname -a; xl info)\n",
                strerror(errno));
        return 1;
    }
    if (xha_beats_start(&o.beats) < 0)
        fail("cannot start its threads");
    else if (tell_ready(&o) == 0)
        rc = loop(&o);
    xc_interface_close(o.xch);
    xha_tracked_free(&o.tracked);
    free(o.list);
    return rc < 0 && !o.closed ? 1 : 0;
}

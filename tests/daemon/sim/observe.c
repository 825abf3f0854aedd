/*
 * observe.c - the role `xhad-sim observe`: lists the domains of the directory as xhad-xen lists those of Xen.
 */
#include "tests/daemon/sim/sim.h"
#include "xhad/base/observe.h"
#include "xhad/base/uuid.h"
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define TRACKED_MAX 4096

static struct {
    struct xha_uuid uuid;
    bool beats;
} tracked[TRACKED_MAX];
static size_t n_tracked;
static int64_t interval_ms;

static bool wants_beats(const struct xha_uuid *uuid)
{
    for (size_t i = 0; i < n_tracked; i++)
        if (xha_uuid_equal(&tracked[i].uuid, uuid))
            return tracked[i].beats;
    return false;
}

static void track(const struct xha_uuid *uuid, bool beats)
{
    size_t i = 0;

    while (i < n_tracked && !xha_uuid_equal(&tracked[i].uuid, uuid))
        i++;
    if (i == TRACKED_MAX)
        return;
    if (i == n_tracked)
        n_tracked++;
    tracked[i].uuid = *uuid;
    tracked[i].beats = beats;
}

static void untrack(const struct xha_uuid *uuid)
{
    for (size_t i = 0; i < n_tracked; i++)
        if (xha_uuid_equal(&tracked[i].uuid, uuid))
            tracked[i] = tracked[--n_tracked];
}

static void say(const struct xha_obs *obs)
{
    if (xha_obs_send(XHA_OBS_FD, obs) != XHA_OBS_OK)
        exit(0); /* xhad is gone */
}

struct listing {
    int64_t began_ms;
    bool beats, store_ill;
    uint32_t failed;
};

static void say_seen(void *user, json_t *domain)
{
    struct listing *listing = user;
    struct xha_obs obs = { .type = XHA_OBS_SEEN };
    struct xha_seen *seen = &obs.u.seen;
    const char *state = sim_text(domain, "state");

    if (!xha_uuid_parse(sim_text(domain, "uuid"), &obs.uuid))
        return;
    seen->listed.ms = listing->began_ms;
    seen->domid = (int32_t)sim_int(domain, "domid");
    seen->paused = strcmp(state, "paused") == 0;
    seen->shut = strcmp(state, "shutdown") == 0;
    seen->reason = (uint8_t)sim_int(domain, "reason");
    seen->cpu_time_ns = (uint64_t)sim_domain_cpu_ns(domain);
    if (listing->beats && wants_beats(&obs.uuid)) {
        seen->beat_read = !listing->store_ill;
        listing->failed += listing->store_ill;
        seen->beat = (uint64_t)sim_domain_beat(domain);
        seen->beat_valid = seen->beat_read && seen->beat > 0;
        if (!seen->beat_valid)
            seen->beat = 0;
    }
    say(&obs);
}

static void say_round(bool beats, int64_t lag_ms)
{
    struct listing listing = { .began_ms = sim_now_ms(),
                               .beats = beats,
                               .store_ill = access("store-ill", F_OK) == 0 };
    struct xha_obs obs = { .type = XHA_OBS_ROUND };
    int lock = sim_lock();

    sim_domain_each(say_seen, &listing);
    sim_unlock(lock);
    obs.u.round.r.began.ms = listing.began_ms;
    obs.u.round.r.beats_read = beats;
    obs.u.round.r.xenstore_ok = !listing.store_ill;
    obs.u.round.r.failed_reads = listing.failed;
    obs.u.round.r.lag.ms = lag_ms > 0 ? lag_ms : 0;
    say(&obs);
}

static void probe(const struct xha_obs *question)
{
    struct xha_obs obs = { .type = XHA_OBS_PROBED, .uuid = question->uuid };
    char uuid[XHA_UUID_TEXT];
    int lock = sim_lock();
    json_t *domain = sim_domain_load(xha_uuid_format(&question->uuid, uuid));
    bool there = domain && sim_int(domain, "domid") == question->u.probe.domid;

    obs.u.probed.domid = question->u.probe.domid;
    if (there) {
        obs.u.probed.cpu_time_ns = (uint64_t)sim_domain_cpu_ns(domain);
        obs.u.probed.io_count = (uint64_t)sim_int(domain, "io");
    }
    json_decref(domain);
    sim_unlock(lock);
    if (there)
        say(&obs);
    else
        say_round(false, 0);
}

/* One message of xhad's. */
static void listen(void)
{
    struct xha_obs obs;

    if (xha_obs_recv(XHA_OBS_FD, &obs) != XHA_OBS_OK)
        exit(0);
    switch (obs.type) {
    case XHA_OBS_CONFIG:
        interval_ms = obs.u.config.round_interval_ms;
        break;
    case XHA_OBS_TRACK:
        track(&obs.uuid, obs.u.track.key[0] != '\0');
        break;
    case XHA_OBS_UNTRACK:
        untrack(&obs.uuid);
        break;
    case XHA_OBS_LOOK:
        say_round(false, 0);
        break;
    case XHA_OBS_PROBE:
        probe(&obs);
        break;
    default:
        break;
    }
}

/* What a story wants of the observer. true: keep still. */
static bool misbehave(void)
{
    char what[32];

    if (!sim_switch("observer", what, sizeof what))
        return false;
    if (strcmp(what, "die") == 0)
        exit(3);
    if (strcmp(what, "garbage") == 0 && write(XHA_OBS_FD, "garbage", 7) < 0)
        exit(0);
    return true;
}

int sim_observe(void)
{
    struct xha_obs ready = { .type = XHA_OBS_READY };
    int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    struct pollfd fds[2] = { { .fd = XHA_OBS_FD, .events = POLLIN }, { .fd = watch, .events = POLLIN } };
    int64_t due = 0;

    inotify_add_watch(watch, "domains", IN_MOVED_TO | IN_DELETE);
    strcpy(ready.u.ready.version, "4.17.sim");
    strcpy(ready.u.ready.scheduler, "credit2");
    say(&ready);
    for (;;) {
        int64_t now = sim_now_ms();
        int wait = interval_ms == 0 ? -1 : due > now ? (int)(due - now) : 0;

        if (poll(fds, 2, wait) < 0)
            return 1;
        now = sim_now_ms();
        if (misbehave()) {
            usleep(50000);
            continue;
        }
        if (fds[0].revents)
            listen();
        if (fds[1].revents) {
            char events[4096];

            while (read(watch, events, sizeof events) > 0)
                ;
            say_round(false, 0);
        }
        if (interval_ms && now >= due) {
            say_round(true, due ? now - due : 0);
            due = now + interval_ms;
        }
    }
}

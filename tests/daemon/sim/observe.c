/*
 * observe.c - `xhad-sim observe`: tells of the directory's domains as xhad-xen tells of Xen's.
 */
#include "tests/daemon/sim/sim.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/observe.h"
#include "xhad/base/uuid.h"
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>

#define TRACKED_MAX 4096

static struct {
    struct xha_uuid uuid;
    bool beats;
} tracked[TRACKED_MAX];
static size_t n_tracked;
static int64_t interval_ms;

static size_t place_of(const struct xha_uuid *uuid)
{
    size_t i = 0;

    while (i < n_tracked && !xha_uuid_equal(&tracked[i].uuid, uuid))
        i++;
    return i;
}

static void track(const struct xha_uuid *uuid, bool beats)
{
    size_t i = place_of(uuid);

    if (i == TRACKED_MAX) {
        errno = ENOSPC;
        sim_fail("tracked domains");
    }
    if (i == n_tracked)
        n_tracked++;
    tracked[i].uuid = *uuid;
    tracked[i].beats = beats;
}

static void untrack(const struct xha_uuid *uuid)
{
    size_t i = place_of(uuid);

    if (i < n_tracked)
        tracked[i] = tracked[--n_tracked];
}

static void say(const struct xha_obs *obs)
{
    if (xha_obs_send(XHA_OBS_FD, obs) != XHA_OBS_OK)
        exit(0); /* xhad is gone */
}

/* ---- rounds ---- */

static void say_seen(const json_t *domain, struct xha_round *round)
{
    struct xha_obs obs = { .type = XHA_OBS_SEEN };
    struct xha_seen *seen = &obs.u.seen;
    size_t place;

    if (!xha_uuid_parse(sim_text(domain, "uuid"), &obs.uuid))
        return;
    place = place_of(&obs.uuid);
    seen->listed = round->began;
    seen->domid = (int32_t)sim_int(domain, "domid");
    seen->paused = sim_domain_is(domain, "paused");
    seen->shut = sim_domain_is(domain, "shut");
    seen->reason = (uint8_t)sim_int(domain, "reason");
    seen->cpu_time_ns = sim_domain_cpu_ns(domain);
    if (round->beats_read && place < n_tracked && tracked[place].beats) {
        seen->beat_read = round->xenstore_ok;
        round->failed_reads += !round->xenstore_ok;
        seen->beat_valid = seen->beat_read && sim_domain_beats(domain, &seen->beat);
        if (!seen->beat_valid)
            seen->beat = 0;
    }
    say(&obs);
}

/* Nothing is sent under the lock: xhad may be slow to read, and workers wait for it. */
static void say_round(bool beats, int64_t lag_ms)
{
    struct xha_obs obs = { .type = XHA_OBS_ROUND };
    struct xha_round *round = &obs.u.round.r;
    json_t *list, *domain;
    int lock = sim_lock();
    size_t i;

    round->began.ms = sim_now_ms();
    list = sim_domains();
    sim_unlock(lock);
    round->beats_read = beats;
    round->xenstore_ok = access("store-ill", F_OK) < 0;
    round->lag.ms = lag_ms > 0 ? lag_ms : 0;
    json_array_foreach(list, i, domain) say_seen(domain, round);
    json_decref(list);
    obs.u.round.hypercalls = 1;
    if (beats) {
        obs.u.round.memory_kib = (uint64_t)sim_knob_int("host_mib", 8192) * 1024;
        obs.u.round.pcpus = (uint32_t)sim_knob_int("host_cpus", 4);
    }
    say(&obs);
}

static void probe(const struct xha_obs *asked)
{
    struct xha_obs obs = { .type = XHA_OBS_PROBED, .uuid = asked->uuid };
    int lock = sim_lock();
    json_t *domain = sim_domain_find(&asked->uuid, asked->u.probe.domid);

    sim_unlock(lock);
    if (!domain) {
        say_round(false, 0);
        return;
    }
    obs.u.probed.domid = asked->u.probe.domid;
    obs.u.probed.cpu_time_ns = sim_domain_cpu_ns(domain);
    obs.u.probed.io_count = sim_domain_io(domain);
    json_decref(domain);
    say(&obs);
}

/* ---- the loop ---- */

static void listen_to_xhad(void)
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

    if (!sim_knob("observer", what, sizeof what))
        return false;
    if (strcmp(what, "die") == 0)
        exit(3);
    if (strcmp(what, "garbage") == 0 && write(XHA_OBS_FD, "garbage", 7) < 0)
        exit(0);
    return true;
}

static int watch_released(void)
{
    int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    XHA_CLEANUP_CLOSE int fd = open("released", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    if (watch < 0 || fd < 0 || inotify_add_watch(watch, "released", IN_MODIFY) < 0)
        sim_fail("released");
    return watch;
}

static void drain(int watch)
{
    char events[4096];

    while (read(watch, events, sizeof events) > 0)
        ;
}

int sim_observe(void)
{
    struct xha_obs ready = { .type = XHA_OBS_READY };
    int watch = watch_released();
    struct pollfd fds[2] = { { .fd = XHA_OBS_FD, .events = POLLIN }, { .fd = watch, .events = POLLIN } };
    int64_t due = 0;

    strcpy(ready.u.ready.version, "4.17.sim");
    strcpy(ready.u.ready.scheduler, "credit2");
    say(&ready);
    for (;;) {
        int64_t now = sim_now_ms();

        if (poll(fds, 2, interval_ms == 0 ? -1 : due > now ? (int)(due - now) : 0) < 0)
            return 1;
        if (misbehave()) {
            usleep(20000);
            continue;
        }
        if (fds[0].revents)
            listen_to_xhad();
        if (fds[1].revents) {
            drain(watch);
            say_round(false, 0);
        }
        now = sim_now_ms();
        if (interval_ms && now >= due) {
            say_round(true, due ? now - due : 0);
            due = now + interval_ms;
        }
    }
}

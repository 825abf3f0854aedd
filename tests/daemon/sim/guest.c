/*
 * guest.c - `xhad-sim guest NAME WHAT`: what happens to a guest from outside of xhad, or from within itself.
 */
#include "tests/daemon/sim/sim.h"
#include <string.h>

static void set_state(json_t *domain, const char *state, int reason)
{
    json_object_set_new(domain, "state", json_string(state));
    json_object_set_new(domain, "reason", json_integer(reason));
}

static void stop_clock(json_t *domain, const char *key)
{
    json_object_set_new(domain, key, json_integer(sim_now_ms()));
}

static void show(const json_t *domain)
{
    printf("domid=%lld state=%s beat=%lld counter=%lld weight=%lld cap=%lld affinity=%s\n",
           (long long)sim_int(domain, "domid"), sim_text(domain, "state"), (long long)sim_domain_beat(domain),
           (long long)sim_domain_counter(domain), (long long)sim_int(domain, "weight"),
           (long long)sim_int(domain, "cap"), sim_text(domain, "affinity"));
}

/* 1: changed, 0: not, -1: no such thing. */
static int happen(json_t *domain, const char *what)
{
    if (strcmp(what, "crash") == 0) {
        set_state(domain, "shutdown", XHA_SHUTDOWN_CRASH);
    } else if (strcmp(what, "watchdog") == 0) {
        set_state(domain, "shutdown", XHA_SHUTDOWN_WATCHDOG);
    } else if (strcmp(what, "poweroff") == 0) {
        set_state(domain, "shutdown", XHA_SHUTDOWN_POWEROFF);
    } else if (strcmp(what, "reboot") == 0) {
        set_state(domain, "shutdown", XHA_SHUTDOWN_REBOOT);
    } else if (strcmp(what, "pause") == 0) {
        set_state(domain, "paused", 0);
        stop_clock(domain, "cpu_until");
        stop_clock(domain, "beat_until");
    } else if (strcmp(what, "unpause") == 0) {
        set_state(domain, "running", 0);
        json_object_del(domain, "cpu_until");
        json_object_del(domain, "beat_until");
    } else if (strcmp(what, "mute") == 0) {
        stop_clock(domain, "beat_until");
    } else if (strcmp(what, "hang") == 0) {
        stop_clock(domain, "beat_until");
        stop_clock(domain, "cpu_until");
    } else if (strcmp(what, "show") == 0) {
        show(domain);
        return 0;
    } else {
        return -1;
    }
    return 1;
}

/* As `xl create` would, without xhad. */
static int create(const char *cfg)
{
    char err[400];
    json_t *config = sim_config_parse(cfg, NULL, err, sizeof err), *domain;

    if (!config) {
        fprintf(stderr, "xhad-sim: %s\n", err);
        return 1;
    }
    domain = sim_domain_boot(config, 0);
    json_decref(config);
    json_decref(domain);
    return 0;
}

int sim_guest(int argc, char **argv)
{
    int lock = sim_lock(), r = -1;
    json_t *domain = NULL;

    if (argc == 2 && strcmp(argv[0], "create") == 0) {
        r = create(argv[1]);
    } else if (argc == 2) {
        domain = sim_domain_by_name(argv[0]);
        if (!domain) {
            fprintf(stderr, "xhad-sim: no guest %s\n", argv[0]);
            r = 1;
        } else if (strcmp(argv[1], "destroy") == 0) {
            sim_trace("guest %s destroy", argv[0]);
            sim_domain_remove(domain);
            r = 0;
        } else {
            int changed = happen(domain, argv[1]);

            r = changed < 0 ? -1 : 0;
            if (changed > 0) {
                sim_trace("guest %s %s", argv[0], argv[1]);
                sim_domain_save(domain);
            }
        }
    }
    json_decref(domain);
    sim_unlock(lock);
    if (r < 0)
        fprintf(
            stderr,
            "usage: xhad-sim guest NAME crash|watchdog|poweroff|reboot|pause|unpause|mute|hang|destroy|show\n"
            "       xhad-sim guest create XL.CFG\n");
    return r < 0 ? 2 : r;
}

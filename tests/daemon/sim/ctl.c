/*
 * ctl.c - `xhad-sim ctl VERB …`: what happens to guests from outside of xhad, or from within them.
 */
#include "tests/daemon/sim/sim.h"
#include <inttypes.h>
#include <string.h>

static const char usage[] =
    "usage: xhad-sim ctl WHAT NAME     crash watchdog poweroff reboot suspend hang livelock mute beat pause\n"
    "                                  unpause destroy duplicate reboot-by-other\n"
    "       xhad-sim ctl get NAME WHAT domid uuid state reason counter seen gate beat io\n"
    "                                  weight cap affinity pool\n"
    "       xhad-sim ctl create XL.CFG\n"
    "       xhad-sim ctl list          DOMID NAME UUID STATE, one a line\n";

static void stop(json_t *domain, bool cpu, bool beat, bool io)
{
    if (cpu)
        sim_domain_clock(domain, "cpu", false);
    if (beat)
        sim_domain_clock(domain, "beat", false);
    if (io)
        sim_domain_clock(domain, "io", false);
    sim_domain_save(domain, false);
}

/* Kernel and vCPUs stand still. */
static void hang(json_t *domain)
{
    stop(domain, true, true, true);
}

/* The vCPUs spin, and nothing else. */
static void livelock(json_t *domain)
{
    stop(domain, false, true, true);
}

/* Only the agent is gone. */
static void mute(json_t *domain)
{
    stop(domain, false, true, false);
}

static void beat(json_t *domain)
{
    sim_domain_resume(domain);
}

static void destroy(json_t *domain)
{
    sim_domain_remove(domain);
}

/* As a toolstack that knows nothing of it might. */
static void duplicate(json_t *domain)
{
    json_decref(sim_domain_build(json_object_get(domain, "config"), NULL));
}

static void reboot_by_other(json_t *domain)
{
    sim_domain_remove(domain);
    duplicate(domain);
}

static const struct {
    const char *word;
    void (*happen)(json_t *domain); /* or: */
    enum xha_shutdown reason;
} table[] = {
    { "crash", NULL, XHA_SHUTDOWN_CRASH },
    { "watchdog", NULL, XHA_SHUTDOWN_WATCHDOG },
    { "poweroff", NULL, XHA_SHUTDOWN_POWEROFF },
    { "reboot", NULL, XHA_SHUTDOWN_REBOOT },
    { "suspend", NULL, XHA_SHUTDOWN_SUSPEND },
    { "hang", hang, 0 },
    { "livelock", livelock, 0 },
    { "mute", mute, 0 },
    { "beat", beat, 0 },
    { "pause", sim_domain_pause, 0 },
    { "unpause", sim_domain_resume, 0 },
    { "destroy", destroy, 0 },
    { "duplicate", duplicate, 0 },
    { "reboot-by-other", reboot_by_other, 0 },
};

static int happen(const char *word, json_t *domain)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(table[i].word, word) != 0)
            continue;
        sim_trace("guest %s %s", word, sim_text(domain, "name"));
        if (table[i].happen)
            table[i].happen(domain);
        else
            sim_domain_end(domain, table[i].reason);
        return 0;
    }
    fputs(usage, stderr);
    return 2;
}

static int get(const json_t *domain, const char *what)
{
    const json_t *value = json_object_get(domain, what);
    uint64_t beat_count;

    if (strcmp(what, "counter") == 0)
        printf("%" PRId64 "\n", sim_domain_counter(domain));
    else if (strcmp(what, "seen") == 0)
        printf("%" PRId64 "\n", sim_domain_seen(domain));
    else if (strcmp(what, "io") == 0)
        printf("%" PRIu64 "\n", sim_domain_io(domain));
    else if (strcmp(what, "beat") == 0)
        printf("%" PRIu64 "\n", sim_domain_beats(domain, &beat_count) ? beat_count : 0);
    else if (json_is_string(value))
        printf("%s\n", json_string_value(value));
    else
        printf("%" PRId64 "\n", (int64_t)json_integer_value(value));
    return 0;
}

static int create(const char *path)
{
    char err[256];
    json_t *config = sim_xlcfg_parse(path, err, sizeof err), *domain;

    if (!config) {
        fprintf(stderr, "xhad-sim: %s: %s\n", path, err);
        return 1;
    }
    domain = sim_domain_build(config, NULL);
    sim_trace("guest create %s", sim_text(domain, "name"));
    json_decref(domain);
    json_decref(config);
    return 0;
}

static int list(void)
{
    json_t *domains = sim_domains(), *domain;
    size_t i;

    json_array_foreach(domains, i, domain)
        printf("%" PRId64 " %s %s %s\n", sim_int(domain, "domid"), sim_text(domain, "name"),
               sim_text(domain, "uuid"), sim_text(domain, "state"));
    json_decref(domains);
    return 0;
}

static int with_domain(char **argv)
{
    bool asked = strcmp(argv[0], "get") == 0;
    json_t *domain = sim_domain_by_name(argv[1]);
    int r;

    if (!domain) {
        fprintf(stderr, "xhad-sim: no domain %s\n", argv[1]);
        return 1;
    }
    r = asked ? get(domain, argv[2]) : happen(argv[0], domain);
    json_decref(domain);
    return r;
}

int sim_ctl(int argc, char **argv)
{
    int lock = sim_lock(), r = 2;

    if (argc == 1 && strcmp(argv[0], "list") == 0)
        r = list();
    else if (argc == 2 && strcmp(argv[0], "create") == 0)
        r = create(argv[1]);
    else if (argc == (strcmp(argv[0], "get") == 0 ? 3 : 2))
        r = with_domain(argv);
    else
        fputs(usage, stderr);
    sim_unlock(lock);
    return r;
}

/*
 * domain.c - the domains of the simulated host, and how time passes for them.
 *
 * A clock is {"base": ms counted so far, "since": when it began to go, 0 while it stands}. A beat clock that
 * begins in the future is a guest that still boots.
 */
#include "tests/daemon/sim/sim.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include "xhad/base/uuid.h"
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#define IO_MS 10 /* between two requests of a guest to its disk */

/* ---- files ---- */

static int by_domid(const struct dirent **a, const struct dirent **b)
{
    return (int)(strtol((*a)->d_name, NULL, 10) - strtol((*b)->d_name, NULL, 10));
}

static int is_domain(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

json_t *sim_domains(void)
{
    struct dirent **entry;
    json_t *list = json_array();
    int n = scandir("domains", &entry, is_domain, by_domid);

    for (int i = 0; i < n; i++) {
        char path[300];

        snprintf(path, sizeof path, "domains/%s", entry[i]->d_name);
        json_array_append_new(list, json_load_file(path, 0, NULL));
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
    return list;
}

json_t *sim_domain_find(const struct xha_uuid *uuid, int32_t domid)
{
    json_t *list = sim_domains(), *domain, *found = NULL;
    char text[XHA_UUID_TEXT];
    size_t i;

    xha_uuid_format(uuid, text);
    json_array_foreach(list, i, domain)
    {
        if (!found && strcmp(sim_text(domain, "uuid"), text) == 0 &&
            (domid == XHA_DOMID_NONE || sim_int(domain, "domid") == domid))
            found = json_incref(domain);
    }
    json_decref(list);
    return found;
}

json_t *sim_domain_by_name(const char *name)
{
    json_t *list = sim_domains(), *domain, *found = NULL;
    size_t i;

    json_array_foreach(list, i, domain)
    {
        if (!found && strcmp(sim_text(domain, "name"), name) == 0)
            found = json_incref(domain);
    }
    json_decref(list);
    return found;
}

static void announce_change(void)
{
    XHA_CLEANUP_CLOSE int fd = open("released", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0 || xha_write_all(fd, ".", 1) < 0)
        sim_fail("released");
}

void sim_domain_save(json_t *domain, bool announce)
{
    char path[64], tmp[64];

    snprintf(path, sizeof path, "domains/%" PRId64 ".json", sim_int(domain, "domid"));
    snprintf(tmp, sizeof tmp, "domains/.%" PRId64 ".tmp", sim_int(domain, "domid"));
    if (json_dump_file(domain, tmp, JSON_COMPACT) < 0 || rename(tmp, path) < 0)
        sim_fail(path);
    if (announce)
        announce_change();
}

void sim_domain_remove(const json_t *domain)
{
    char path[64];

    snprintf(path, sizeof path, "domains/%" PRId64 ".json", sim_int(domain, "domid"));
    if (unlink(path) < 0)
        sim_fail(path);
    announce_change();
}

/* ---- clocks ---- */

static int64_t elapsed_ms(const json_t *domain, const char *name)
{
    const json_t *clock = json_object_get(domain, name);
    int64_t since = sim_int(clock, "since"), now = sim_now_ms();

    return sim_int(clock, "base") + (since > 0 && now > since ? now - since : 0);
}

static json_t *new_clock(int64_t base_ms, int64_t since_ms)
{
    return json_pack("{s:I, s:I}", "base", (json_int_t)base_ms, "since", (json_int_t)since_ms);
}

void sim_domain_clock(json_t *domain, const char *name, bool goes)
{
    int64_t base = elapsed_ms(domain, name), since = sim_int(json_object_get(domain, name), "since");

    if (goes != (since > 0))
        json_object_set_new(domain, name, new_clock(base, goes ? sim_now_ms() : 0));
}

static void all_clocks(json_t *domain, bool go)
{
    sim_domain_clock(domain, "cpu", go);
    sim_domain_clock(domain, "beat", go);
    sim_domain_clock(domain, "io", go);
}

bool sim_domain_beats(const json_t *domain, uint64_t *beat_r)
{
    int64_t ms = elapsed_ms(domain, "beat");

    *beat_r = 1 + (uint64_t)ms / SIM_BEAT_MS;
    return ms > 0;
}

uint64_t sim_domain_cpu_ns(const json_t *domain)
{
    return (uint64_t)elapsed_ms(domain, "cpu") * 1000000;
}

uint64_t sim_domain_io(const json_t *domain)
{
    return (uint64_t)elapsed_ms(domain, "io") / IO_MS;
}

int64_t sim_domain_counter(const json_t *domain)
{
    return sim_int(domain, "counter") + elapsed_ms(domain, "cpu");
}

int64_t sim_domain_seen(const json_t *domain)
{
    return json_object_get(domain, "gate") ? sim_int(domain, "seen") : sim_domain_counter(domain);
}

/* ---- life ---- */

bool sim_domain_is(const json_t *domain, const char *state)
{
    return strcmp(sim_text(domain, "state"), state) == 0;
}

void sim_domain_end(json_t *domain, enum xha_shutdown reason)
{
    all_clocks(domain, false);
    json_object_set_new(domain, "state", json_string("shut"));
    json_object_set_new(domain, "reason", json_integer(reason));
    sim_domain_save(domain, true);
}

void sim_domain_pause(json_t *domain)
{
    all_clocks(domain, false);
    json_object_set_new(domain, "state", json_string("paused"));
    sim_domain_save(domain, false);
}

void sim_domain_resume(json_t *domain)
{
    all_clocks(domain, true);
    json_object_set_new(domain, "state", json_string("running"));
    json_object_set_new(domain, "reason", json_integer(0));
    sim_domain_save(domain, false);
}

static int64_t take_domid(void)
{
    int64_t domid = sim_knob_int("next_domid", 1);
    char text[32];

    snprintf(text, sizeof text, "%" PRId64 "\n", domid + 1);
    if (xha_file_write("next_domid", 0600, text, strlen(text)) < 0)
        sim_fail("next_domid");
    return domid;
}

static int64_t boot_ms(const char *name)
{
    char knob[XHA_NAME_MAX + 16];

    snprintf(knob, sizeof knob, "boot_ms-%s", name);
    return sim_knob_int(knob, sim_knob_int("boot_ms", 100));
}

json_t *sim_domain_state(const json_t *domain)
{
    return json_pack("{s:I, s:I, s:O}", "counter", (json_int_t)sim_domain_counter(domain), "beat",
                     (json_int_t)elapsed_ms(domain, "beat"), "config", json_object_get(domain, "config"));
}

json_t *sim_domain_build(json_t *config, const json_t *saved)
{
    const json_t *c_info = json_object_get(config, "c_info");
    const char *name = sim_text(c_info, "name");
    int64_t now = sim_now_ms();
    json_t *domain = json_pack(
        "{s:s, s:s, s:I, s:s, s:i, s:I, s:o, s:o, s:o, s:O}", "uuid", sim_text(c_info, "uuid"), "name", name,
        "domid", (json_int_t)take_domid(), "state", "running", "reason", 0, "counter",
        (json_int_t)sim_int(saved, "counter"), "cpu", new_clock(0, now), "io", new_clock(0, now), "beat",
        new_clock(sim_int(saved, "beat"), saved ? now : now + boot_ms(name)), "config", config);

    if (!domain)
        sim_fail("no memory, or a name that is no UTF-8");
    sim_domain_save(domain, true);
    return domain;
}

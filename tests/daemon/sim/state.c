/*
 * state.c - the simulated hypervisor's directory.
 */
#include "tests/daemon/sim/sim.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define FILE_MAX_BYTES 65536

static void die(const char *what)
{
    fprintf(stderr, "xhad-sim: %s: %s\n", what, strerror(errno));
    exit(1);
}

void sim_enter(void)
{
    const char *dir = getenv("XHA_SIM_DIR");

    if (!dir) {
        errno = EINVAL;
        die("XHA_SIM_DIR is not set");
    }
    if (chdir(dir) < 0 || (mkdir("domains", 0700) < 0 && errno != EEXIST))
        die(dir);
}

int sim_lock(void)
{
    int fd = open("lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0 || flock(fd, LOCK_EX) < 0)
        die("lock");
    return fd;
}

void sim_unlock(int lock)
{
    close(lock);
}

int64_t sim_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void sim_trace(const char *fmt, ...)
{
    XHA_CLEANUP_CLOSE int fd = open("trace", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    char line[512];
    struct timespec t;
    int n;
    va_list ap;

    clock_gettime(CLOCK_MONOTONIC, &t);
    n = snprintf(line, sizeof line, "%lld.%06ld ", (long long)t.tv_sec, t.tv_nsec / 1000);
    va_start(ap, fmt);
    n += vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
    va_end(ap);
    line[n++] = '\n';
    if (fd < 0 || write(fd, line, (size_t)n) != n)
        die("trace");
}

/* ---- switches
 * ------------------------------------------------------------------------------------------------------ */

static bool read_line(const char *path, char *buf, size_t len)
{
    XHA_CLEANUP_FREE char *text = NULL;
    size_t n;

    if (xha_file_read(path, FILE_MAX_BYTES, &text, &n) < 0)
        return false;
    text[strcspn(text, "\n")] = '\0';
    snprintf(buf, len, "%s", text);
    return true;
}

bool sim_switch(const char *name, char *buf, size_t len)
{
    char once[300];

    snprintf(once, sizeof once, "%s.once", name);
    if (read_line(once, buf, len) && unlink(once) == 0)
        return true;
    return read_line(name, buf, len);
}

int64_t sim_switch_int(const char *name, int64_t otherwise)
{
    char buf[32];

    return sim_switch(name, buf, sizeof buf) ? strtoll(buf, NULL, 10) : otherwise;
}

/* ---- domains
 * ----------------------------------------------------------------------------------------------------------
 */

const char *sim_text(const json_t *obj, const char *key)
{
    const char *text = json_string_value(json_object_get(obj, key));

    return text ? text : "";
}

int64_t sim_int(const json_t *obj, const char *key)
{
    return json_integer_value(json_object_get(obj, key));
}

json_t *sim_domain_load(const char *uuid)
{
    char path[100];

    snprintf(path, sizeof path, "domains/%.36s.json", uuid);
    return json_load_file(path, 0, NULL);
}

void sim_domain_save(json_t *domain)
{
    char path[100], tmp[100];

    snprintf(path, sizeof path, "domains/%s.json", sim_text(domain, "uuid"));
    snprintf(tmp, sizeof tmp, "domains/.%s.tmp", sim_text(domain, "uuid"));
    if (json_dump_file(domain, tmp, JSON_COMPACT) < 0 || rename(tmp, path) < 0)
        die(path);
}

void sim_domain_remove(const json_t *domain)
{
    char path[100];

    snprintf(path, sizeof path, "domains/%s.json", sim_text(domain, "uuid"));
    unlink(path);
}

void sim_domain_each(void (*each)(void *user, json_t *domain), void *user)
{
    XHA_CLEANUP_CLOSEDIR DIR *dir = opendir("domains");
    const struct dirent *e;

    while (dir && (e = readdir(dir))) {
        json_t *domain = e->d_name[0] == '.' ? NULL : sim_domain_load(e->d_name);

        if (domain)
            each(user, domain);
        json_decref(domain);
    }
}

struct wanted {
    const char *name;
    json_t *found;
};

static void compare(void *user, json_t *domain)
{
    struct wanted *wanted = user;

    if (!wanted->found && strcmp(sim_text(domain, "name"), wanted->name) == 0)
        wanted->found = json_incref(domain);
}

json_t *sim_domain_by_name(const char *name)
{
    struct wanted wanted = { .name = name };

    sim_domain_each(compare, &wanted);
    return wanted.found;
}

static int64_t next_domid(void)
{
    int64_t domid = sim_switch_int("next_domid", 1);
    FILE *f = fopen("next_domid", "w");

    if (!f || fprintf(f, "%" PRId64 "\n", domid + 1) < 0 || fclose(f) != 0)
        die("next_domid");
    return domid;
}

json_t *sim_domain_boot(json_t *config, int64_t counter)
{
    const json_t *c_info = json_object_get(config, "c_info");
    int64_t now = sim_now_ms();
    json_t *domain = json_pack(
        "{s:s, s:s, s:I, s:s, s:i, s:I, s:I, s:I, s:O}", "uuid", sim_text(c_info, "uuid"), "name",
        sim_text(c_info, "name"), "domid", (json_int_t)next_domid(), "state", "running", "reason", 0, "began",
        (json_int_t)now, "beat_from", (json_int_t)(now + sim_switch_int("boot_ms", 100)), "counter",
        (json_int_t)counter, "config", config);

    sim_domain_save(domain);
    return domain;
}

/* "KEY_until": since then it stands still. */
static int64_t until(const json_t *domain, const char *key)
{
    int64_t stopped = sim_int(domain, key);

    return stopped ? stopped : sim_now_ms();
}

int64_t sim_domain_beat(const json_t *domain)
{
    int64_t ms = until(domain, "beat_until") - sim_int(domain, "beat_from");

    return ms < 0 ? 0 : 1 + ms / SIM_BEAT_MS;
}

int64_t sim_domain_cpu_ns(const json_t *domain)
{
    return (until(domain, "cpu_until") - sim_int(domain, "began")) * 1000000;
}

int64_t sim_domain_counter(const json_t *domain)
{
    return sim_int(domain, "counter") + (until(domain, "cpu_until") - sim_int(domain, "began"));
}

static void random_uuid(char *buf, size_t len)
{
    FILE *f = fopen("/proc/sys/kernel/random/uuid", "re"); /* its size is 0: not for xha_file_read() */

    if (!f || !fgets(buf, (int)len, f))
        die("random/uuid");
    fclose(f);
    buf[strcspn(buf, "\n")] = '\0';
}

/* ---- xl.cfg
 * -------------------------------------------------------------------------------------------------------------
 */

/* The value of `key = value`, with or without quotes; false: there is none. */
static bool cfg_value(const char *text, const char *key, char *buf, size_t len)
{
    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        size_t n = strcspn(line, " =");
        const char *value;

        if (n != strlen(key) || strncmp(line, key, n) != 0)
            continue;
        value = line + n + strspn(line + n, " =\"'");
        snprintf(buf, len, "%.*s", (int)strcspn(value, "\"'\n"), value);
        return true;
    }
    return false;
}

json_t *sim_config_parse(const char *path, const char *uuid, char *err, size_t err_len)
{
    XHA_CLEANUP_FREE char *text = NULL;
    char name[64], own[64], memory[32] = "128", disk[128] = "";
    size_t len;

    if (xha_file_read(path, FILE_MAX_BYTES, &text, &len) < 0) {
        snprintf(err, err_len, "%s: %s", path, strerror(errno));
        return NULL;
    }
    if (!cfg_value(text, "name", name, sizeof name) || !name[0]) {
        snprintf(err, err_len, "%s: no name in it", path);
        return NULL;
    }
    cfg_value(text, "memory", memory, sizeof memory);
    cfg_value(text, "disk", disk, sizeof disk);
    if (!uuid && !cfg_value(text, "uuid", own, sizeof own))
        random_uuid(own, sizeof own);
    return json_pack("{s:{s:s, s:s}, s:{s:I}, s:s}", "c_info", "name", name, "uuid", uuid ? uuid : own,
                     "b_info", "max_memkb", (json_int_t)strtoll(memory, NULL, 10) * 1024, "disk", disk);
}

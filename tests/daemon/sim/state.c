/*
 * state.c - the simulated host's directory: lock, clock, trace, knobs.
 */
#include "tests/daemon/sim/sim.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define KNOB_BYTES_MAX 1024

void sim_fail(const char *what)
{
    fprintf(stderr, "xhad-sim: %s: %s\n", what, strerror(errno));
    exit(1);
}

void sim_enter(void)
{
    const char *dir = getenv("XHA_SIM_DIR");

    if (!dir) {
        errno = EINVAL;
        sim_fail("XHA_SIM_DIR is not set");
    }
    if (chdir(dir) < 0 || (mkdir("domains", 0700) < 0 && errno != EEXIST))
        sim_fail(dir);
}

void sim_note_pid(void)
{
    XHA_CLEANUP_CLOSE int fd = open("pids", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    char line[16];
    int n = snprintf(line, sizeof line, "%d\n", (int)getpid());

    if (fd < 0 || xha_write_all(fd, line, (size_t)n) < 0)
        sim_fail("pids");
}

int sim_lock(void)
{
    int fd = open("lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0 || flock(fd, LOCK_EX) < 0)
        sim_fail("lock");
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

void sim_trace(const char *format, ...)
{
    XHA_CLEANUP_CLOSE int fd = open("trace", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    char line[512];
    struct timespec t;
    size_t n;
    va_list args;

    clock_gettime(CLOCK_MONOTONIC, &t);
    n = (size_t)snprintf(line, sizeof line, "%lld.%06ld ", (long long)t.tv_sec, t.tv_nsec / 1000);
    va_start(args, format);
    vsnprintf(line + n, sizeof line - n - 1, format, args);
    va_end(args);
    n = strlen(line);
    line[n++] = '\n';
    if (fd < 0 || xha_write_all(fd, line, n) < 0)
        sim_fail("trace");
}

static bool read_line(const char *path, char *buf, size_t len)
{
    XHA_CLEANUP_FREE char *text = NULL;
    size_t n;

    if (xha_file_read(path, KNOB_BYTES_MAX, &text, &n) < 0)
        return false;
    text[strcspn(text, "\n")] = '\0';
    snprintf(buf, len, "%s", text);
    return true;
}

bool sim_knob(const char *name, char *buf, size_t len)
{
    char once[300];

    snprintf(once, sizeof once, "%s.once", name);
    if (read_line(once, buf, len) && unlink(once) == 0)
        return true;
    return read_line(name, buf, len);
}

int64_t sim_knob_int(const char *name, int64_t otherwise)
{
    char buf[32];

    return sim_knob(name, buf, sizeof buf) ? strtoll(buf, NULL, 10) : otherwise;
}

const char *sim_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

int64_t sim_int(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

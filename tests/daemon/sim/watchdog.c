/*
 * watchdog.c - `xhad-sim watchdog`: the watchdog's holder on a simulated hypervisor with two timers. They are
 * kept in a file, and a process that nobody is the parent of watches them, as the hypervisor would: it goes on
 * when the holder dies, fires once, and ends when no timer runs.
 */
#include "tests/daemon/sim/sim.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/watch.h"
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define TIMERS  2
#define TICK_US 20000

struct timers {
    int64_t deadline_ms[TIMERS]; /* 0: free */
};

static void load(struct timers *t)
{
    XHA_CLEANUP_FCLOSE FILE *f = fopen("timers", "re");
    int64_t deadline;
    int id;

    memset(t, 0, sizeof *t);
    while (f && fscanf(f, "%d %" SCNd64, &id, &deadline) == 2)
        if (id >= 1 && id <= TIMERS)
            t->deadline_ms[id - 1] = deadline;
}

static void save(const struct timers *t)
{
    XHA_CLEANUP_FCLOSE FILE *f = fopen("timers.new", "we");

    if (!f)
        sim_fail("timers");
    for (int i = 0; i < TIMERS; i++)
        if (t->deadline_ms[i])
            fprintf(f, "%d %" PRId64 "\n", i + 1, t->deadline_ms[i]);
    fflush(f);
    if (rename("timers.new", "timers") < 0)
        sim_fail("timers");
}

/* ---- the hypervisor ---- */

static void fire(int id)
{
    char command[1024];

    sim_trace("watchdog %d fires", id);
    close(open("fired", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (sim_knob("watchdog-fires", command, sizeof command)) {
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        sim_fail("watchdog-fires");
    }
    exit(0);
}

static void watch(void)
{
    for (;;) {
        struct timers t;
        bool any = false;
        int lock = sim_lock();

        load(&t);
        for (int i = 0; i < TIMERS; i++) {
            any = any || t.deadline_ms[i];
            if (t.deadline_ms[i] && sim_now_ms() >= t.deadline_ms[i])
                fire(i + 1);
        }
        if (!any) {
            unlink("hypervisor");
            exit(0);
        }
        sim_unlock(lock);
        usleep(TICK_US);
    }
}

/* Under the lock. A file says that there is one; it goes, under the lock, with the last timer. */
static void need_hypervisor(void)
{
    int fd = open("hypervisor", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    pid_t child;

    if (fd < 0)
        return;
    close(fd);
    child = fork();
    if (child < 0)
        sim_fail("fork");
    if (child > 0) {
        waitpid(child, NULL, 0);
        return;
    }
    if (setsid() < 0 || fork() != 0)
        _exit(0);
    close_range(STDERR_FILENO + 1, ~0U, 0); /* also the locks of the holder */
    sim_note_pid();
    watch();
}

/* As Xen does it (sched/core.c, domain_watchdog()). */
static int hypercall(struct timers *t, uint32_t id, uint32_t seconds)
{
    int64_t deadline = sim_now_ms() + (int64_t)seconds * 1000;

    if (id == 0) {
        while (id < TIMERS && t->deadline_ms[id])
            id++;
        if (id == TIMERS) {
            errno = ENOSPC;
            return -1;
        }
        t->deadline_ms[id] = deadline;
        return (int)id + 1;
    }
    if (id > TIMERS || !t->deadline_ms[id - 1]) {
        errno = EINVAL;
        return -1;
    }
    t->deadline_ms[id - 1] = seconds ? deadline : 0;
    return 0;
}

static int watchdog(void *user, uint32_t id, uint32_t seconds)
{
    struct timers t;
    int lock, r, saved;
    char what[16] = "";

    (void)user;
    while (sim_knob("watchdog", what, sizeof what) && strcmp(what, "deaf") == 0)
        usleep(TICK_US);
    if (strcmp(what, "refuse") == 0) {
        errno = EPERM;
        return -1;
    }
    lock = sim_lock();
    load(&t);
    r = hypercall(&t, id, seconds);
    saved = errno;
    save(&t);
    if (r >= 0 && seconds)
        need_hypervisor();
    sim_unlock(lock);
    sim_trace("watchdog %" PRIu32 " %" PRIu32 " gives %d", id, seconds, r);
    errno = saved;
    return r;
}

static void who(void *user, char *buf, size_t len)
{
    (void)user;
    snprintf(buf, len, "a test");
}

int sim_watchdog(const char *run_dir)
{
    static const struct xha_watch_ops ops = { .watchdog = watchdog, .who = who };

    return xha_watch_hold(run_dir, &ops, NULL, "");
}

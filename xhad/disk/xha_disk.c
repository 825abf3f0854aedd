/*
 * xha_disk.c - the program xha-disk: attaches this host's copy of a gated disk as /dev/xha/NAME, and says how it stands.
 *
 * attach starts nbdkit with the plugin and leads a free network block device of the kernel's to it; both go on by
 * themselves. See xha-disk(8).
 */
#include "xhad/disk/ask.h"
#include "xhad/disk/gate_disk.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"

#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>

#define DEVICES_MAX 256
#define WAIT_MS     10000
#define STEP_MS     50

static const char usage[] = "usage: xha-disk attach NAME DISK\n"
                            "       xha-disk detach NAME\n"
                            "       xha-disk status NAME\n"
                            "       xha-disk own NAME\n";

struct paths {
    char state[PATH_MAX], control[PATH_MAX], nbd[PATH_MAX], pid[PATH_MAX], device[PATH_MAX];
};

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "xha-disk: %s: %s\n", what, why);
    return 1;
}

static void make_paths(const char *name, struct paths *paths_r)
{
    snprintf(paths_r->state, PATH_MAX, "%s/disks/%s", XHA_STATE_DIR, name);
    snprintf(paths_r->control, PATH_MAX, "%s/%s.sock", XHA_GATE_SOCKETS, name);
    snprintf(paths_r->nbd, PATH_MAX, "%s/%s.nbd", XHA_GATE_SOCKETS, name);
    snprintf(paths_r->pid, PATH_MAX, "%s/%s.pid", XHA_GATE_SOCKETS, name);
    snprintf(paths_r->device, PATH_MAX, "%s%s", XHA_GATE_DEVICES, name);
}

/* Runs a program to its end. Its exit status, or -1. */
static int run(const char *const argv[])
{
    pid_t pid;
    int status;
    const int r = posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ);

    if (r != 0) {
        fail(argv[0], strerror(r));
        return -1;
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- attach ---- */

static int start_nbdkit(const struct paths *p, const char *disk)
{
    char plugin_disk[PATH_MAX + 8], state[PATH_MAX + 8], control[PATH_MAX + 8];
    static const char plugin[] = XHA_LIBEXEC_DIR "/nbdkit-xha-plugin.so";
    const char *const argv[] = { "nbdkit", "-U",        p->nbd, "-P",    p->pid,
                                 plugin,   plugin_disk, state,  control, NULL };

    snprintf(plugin_disk, sizeof(plugin_disk), "disk=%s", disk);
    snprintf(state, sizeof(state), "state=%s", p->state);
    snprintf(control, sizeof(control), "control=%s", p->control);
    unlink(p->nbd);
    return run(argv);
}

/* Whether the kernel's device is led somewhere. */
static bool is_taken(unsigned n)
{
    char path[64];

    snprintf(path, sizeof(path), "/sys/block/nbd%u/pid", n);
    return access(path, F_OK) == 0;
}

/* Leads the first free device to it; there may be others who look for one. */
static int lead_device(const struct paths *p, char device[32])
{
    for (unsigned n = 0; n < DEVICES_MAX; n++) {
        const char *const argv[] = { "nbd-client", "-unix", p->nbd, device, "-b", "512", "-t", "0", NULL };

        snprintf(device, 32, "/dev/nbd%u", n);
        if (access(device, F_OK) < 0)
            break;
        if (is_taken(n) || run(argv) != 0)
            continue;
        for (int ms = 0; ms < WAIT_MS && !is_taken(n); ms += STEP_MS)
            poll(NULL, 0, STEP_MS);
        return is_taken(n) ? 0 : -1;
    }
    return -1;
}

static int link_device(const struct paths *p, const char *device)
{
    char aside[PATH_MAX + 4];

    snprintf(aside, sizeof(aside), "%s.new", p->device);
    unlink(aside);
    if (xha_mkdir_p(XHA_GATE_DEVICES, 0755) < 0 || symlink(device, aside) < 0 || rename(aside, p->device) < 0)
        return fail(p->device, strerror(errno));
    return 0;
}

static int stop_nbdkit(const struct paths *p)
{
    XHA_CLEANUP_FREE char *text = NULL;
    size_t len;
    long pid;

    if (xha_file_read(p->pid, 32, &text, &len) < 0)
        return fail(p->pid, strerror(errno));
    pid = strtol(text, NULL, 10);
    if (pid <= 1 || kill((pid_t)pid, SIGTERM) < 0)
        return fail("nbdkit", pid <= 1 ? "no process" : strerror(errno));
    for (int ms = 0; ms < WAIT_MS && kill((pid_t)pid, 0) == 0; ms += STEP_MS)
        poll(NULL, 0, STEP_MS);
    unlink(p->pid);
    unlink(p->nbd);
    return 0;
}

static int attach(const struct paths *p, const char *disk)
{
    char device[32];

    if (access(p->device, F_OK) == 0)
        return fail(p->device, "it is attached already");
    if (xha_mkdir_p(XHA_GATE_SOCKETS, 0700) < 0)
        return fail(XHA_GATE_SOCKETS, strerror(errno));
    if (access("/dev/nbd0", F_OK) < 0) {
        const char *const argv[] = { "modprobe", "nbd", "nbds_max=64", NULL };

        run(argv);
    }
    if (start_nbdkit(p, disk) != 0)
        return fail(disk, "it cannot be served: see above");
    if (lead_device(p, device) < 0) {
        stop_nbdkit(p);
        return fail("/dev/nbd*", "none is free: modprobe nbd nbds_max=N makes more");
    }
    return link_device(p, device);
}

static int detach(const struct paths *p)
{
    char device[PATH_MAX];
    const ssize_t n = readlink(p->device, device, sizeof(device) - 1);
    const char *const argv[] = { "nbd-client", "-d", device, NULL };

    if (n < 0)
        return fail(p->device, strerror(errno));
    device[n] = '\0';
    if (run(argv) != 0)
        return fail(device, "it cannot be detached: has a domain still got it?");
    unlink(p->device);
    return stop_nbdkit(p);
}

/* ---- questions ---- */

static int question(const struct paths *p, enum xha_ask what, char text[XHA_ASK_TEXT_MAX + 1])
{
    XHA_CLEANUP_CLOSE int fd = xha_ask_connect(p->control, XHA_ASK_CONTROL);

    if (fd < 0)
        return fail(p->control, strerror(errno));
    return xha_ask(fd, what, 0, 600, text, XHA_ASK_TEXT_MAX + 1) < 0 ? fail(p->control, text) : 0;
}

static const char *meaning(const char *role, bool doubt)
{
    if (doubt)
        return "was the disk, and its backup may have been promoted since: not writable";
    if (strcmp(role, "current") == 0)
        return "is the disk";
    if (strcmp(role, "protected") == 0)
        return "is the disk, and has a backup";
    if (strcmp(role, "standby") == 0)
        return "is a backup's: not writable";
    return "is being copied, and of no use yet";
}

static int status(const struct paths *p)
{
    char text[XHA_ASK_TEXT_MAX + 1];
    const char *role = "", *mode = "", *error = "";
    json_int_t todo = 0, total = 0, dirty = 0;
    int doubt = 0;
    json_t *json;

    if (question(p, XHA_ASK_STATUS, text) != 0)
        return 1;
    json = json_loads(text, 0, NULL);
    if (!json || json_unpack(json, "{s:s, s:b, s:s, s:I, s:I, s:I, s:s}", "role", &role, "doubt", &doubt,
                             "mode", &mode, "todo_bytes", &todo, "total_bytes", &total, "dirty_bytes", &dirty,
                             "error", &error) < 0) {
        json_decref(json);
        return fail(p->control, "it speaks otherwise: is it of another release?");
    }
    printf("this copy    %s\n", meaning(role, doubt));
    if (strcmp(mode, "syncing") == 0)
        printf("syncing      %lld of %lld MiB to go\n", todo >> 20, total >> 20);
    printf("may differ   %lld of %lld MiB from the other copy\n", dirty >> 20, total >> 20);
    if (error[0] != '\0')
        printf("last error   %s\n", error);
    json_decref(json);
    return 0;
}

int main(int argc, char **argv)
{
    char text[XHA_ASK_TEXT_MAX + 1];
    struct paths paths;

    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return fputs(usage, stdout) < 0;
    if (argc < 3 || argv[1][0] == '-' || argc != (strcmp(argv[1], "attach") == 0 ? 4 : 3)) {
        fputs(usage, stderr);
        return 2;
    }
    if (!xha_gate_name_is_good(argv[2]))
        return fail(argv[2], "a disk's name is of letters, digits and any of - _ . but in front");
    make_paths(argv[2], &paths);
    if (strcmp(argv[1], "attach") == 0)
        return attach(&paths, argv[3]);
    if (strcmp(argv[1], "detach") == 0)
        return detach(&paths);
    if (strcmp(argv[1], "status") == 0)
        return status(&paths);
    if (strcmp(argv[1], "own") == 0)
        return question(&paths, XHA_ASK_OWN, text);
    fputs(usage, stderr);
    return 2;
}

/*
 * hosts.c - see hosts.h.
 */
#include "hosts.h"
#include "xhad/disk/ask.h"
#include "xhad/disk/store.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE 1000 /* × 10 ms */

char where[128];
uint32_t seed;

_Noreturn void die(const char *what, ...)
{
    va_list ap;

    printf("Bail out! %s: ", where);
    va_start(ap, what);
    vprintf(what, ap);
    va_end(ap);
    printf("\n");
    exit(1);
}

uint32_t rnd(uint32_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

/* ---- a host ---- */

static const char *in_dir(const struct host *host, const char *name)
{
    static char paths[4][160];
    static unsigned turn;
    char *path = paths[turn++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", host->dir, name);
    return path;
}

void host_make(struct host *host, const char *dir, const char *name)
{
    static uint8_t bytes[DISK_BYTES];
    int fd;

    *host = (struct host){ 0 };
    snprintf(host->name, sizeof(host->name), "%s", name);
    snprintf(host->dir, sizeof(host->dir), "%s/%s", dir, name);
    mkdir(host->dir, 0700);
    for (uint32_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)((i & 0x40000) ? rnd(256) : 0); /* with stretches of zeros */
    fd = open(in_dir(host, "disk"), O_WRONLY | O_CREAT, 0600);
    if (fd < 0 || xha_store_write(fd, bytes, sizeof(bytes), 0) < 0)
        die("%s: %s", host->dir, strerror(errno));
    close(fd);
}

static void exec_nbdkit(const struct host *host)
{
    const char *preload = getenv("XHA_PRELOAD");
    char plugin[512], disk[200], state[200], control[200];

    if (preload) { /* what a plugin with sanitizers needs in an nbdkit without, which leaks */
        setenv("LD_PRELOAD", preload, 1);
        setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
    }
    snprintf(plugin, sizeof(plugin), "%s/xhad/nbdkit-xha-plugin.so", getenv("XHA_BUILD"));
    snprintf(disk, sizeof(disk), "disk=%s", in_dir(host, "disk"));
    snprintf(state, sizeof(state), "state=%s", in_dir(host, "state"));
    snprintf(control, sizeof(control), "control=%s", in_dir(host, "d.sock"));
    execlp("nbdkit", "nbdkit", "-f", "--exit-with-parent", "-U", in_dir(host, "nbd"), plugin, disk, state,
           control, "region=4096", "journal=32K", "rest=1", (char *)NULL);
    _exit(127);
}

void host_start(struct host *host)
{
    unlink(in_dir(host, "nbd"));
    host->nbdkit = fork();
    if (host->nbdkit == 0)
        exec_nbdkit(host);
    host->nbd = nbd_create();
    for (int i = 0; nbd_connect_unix(host->nbd, in_dir(host, "nbd")) < 0; i++) {
        if (i > PATIENCE || waitpid(host->nbdkit, NULL, WNOHANG) != 0)
            die("%s: nbdkit does not come up: %s", host->name, nbd_get_error());
        nbd_close(host->nbd);
        host->nbd = nbd_create();
        poll(NULL, 0, 10);
    }
}

static void host_end(struct host *host, int sig)
{
    int status;

    nbd_close(host->nbd);
    host->nbd = NULL;
    kill(host->nbdkit, sig);
    if (waitpid(host->nbdkit, &status, 0) < 0)
        die("%s: %s", host->name, strerror(errno));
    if (sig != SIGKILL && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
        die("%s: nbdkit ended badly: %x", host->name, (unsigned)status);
}

void host_kill(struct host *host)
{
    host_end(host, SIGKILL);
}

void host_stop(struct host *host)
{
    host_end(host, SIGTERM);
}

void host_read_disk(const struct host *host, uint8_t bytes[DISK_BYTES])
{
    const int fd = open(in_dir(host, "disk"), O_RDONLY);

    if (fd < 0 || xha_store_read(fd, bytes, DISK_BYTES, 0) < 0)
        die("%s: %s", host->name, strerror(errno));
    close(fd);
}

const char *host_status(const struct host *host, const char *name)
{
    static char text[XHA_ASK_TEXT_MAX + 1];
    const int fd = xha_ask_connect(in_dir(host, "d.sock"), XHA_ASK_CONTROL);
    char key[64], *at;

    if (fd < 0 || xha_ask(fd, XHA_ASK_STATUS, 0, 10, text, sizeof(text)) < 0)
        die("%s: no status", host->name);
    close(fd);
    snprintf(key, sizeof(key), "\"%s\":", name);
    at = strstr(text, key);
    if (!at)
        die("no %s in %s", name, text);
    at += strlen(key);
    at[strcspn(at, ",}")] = '\0';
    return at;
}

/* ---- the guest ---- */

bool guest_writes(struct host *host, uint8_t model[DISK_BYTES])
{
    const uint32_t len = 1 + rnd(6000), offset = rnd(DISK_BYTES - len), how = rnd(8);
    const uint32_t flags = how == 1 ? LIBNBD_CMD_FLAG_FUA : 0;
    uint8_t bytes[6000];
    int r;

    for (uint32_t i = 0; i < len; i++)
        bytes[i] = how == 0 ? 0 : (uint8_t)rnd(256);
    r = how == 0 ? nbd_zero(host->nbd, len, offset, 0) : nbd_pwrite(host->nbd, bytes, len, offset, flags);
    if (r < 0 && nbd_get_errno() == EPERM) /* what the protocol makes of EROFS */
        return false;
    if (r < 0)
        die("%s: the guest cannot write: %s", host->name, nbd_get_error());
    memcpy(model + offset, bytes, len);
    if (how == 2 && nbd_flush(host->nbd, 0) < 0)
        die("%s: the guest cannot flush: %s", host->name, nbd_get_error());
    return true;
}

/* ---- a pair ---- */

void pair_open(struct pair *pair, struct host *primary, struct host *backup)
{
    static uint8_t history[EPOCHS_MAX][DISK_BYTES];
    const struct xha_gate_disks disks = { .n = 1, .name = { "d" } };
    char err[256];

    *pair = (struct pair){ .primary = primary, .backup = backup, .history = history };
    if (xha_gate_in_open(backup->dir, &disks, &pair->in, err, sizeof(err)) < 0 ||
        xha_gate_out_open(primary->dir, &disks, &pair->out, err, sizeof(err)) < 0)
        die("%s", err);
}

void pair_close(struct pair *pair)
{
    xha_gate_out_close(pair->out);
    xha_gate_in_close(pair->in);
    pair->out = NULL;
    pair->in = NULL;
}

static int to_backup(void *arg, const void *payload, size_t len)
{
    struct pair *pair = arg;
    char err[256];

    pair->bytes += len;
    if (pair->cut_after > 0 && pair->bytes > pair->cut_after)
        return -1;
    return xha_gate_in_hear(pair->in, payload, len, err, sizeof(err));
}

static int to_primary(void *arg, const void *payload, size_t len)
{
    const struct pair *pair = arg;
    char err[256];

    return xha_gate_out_hear(pair->out, payload, len, err, sizeof(err));
}

bool pair_turn(struct pair *pair)
{
    struct pollfd fds[2] = { { .fd = xha_gate_out_fd(pair->out), .events = POLLIN },
                             { .fd = xha_gate_in_fd(pair->in), .events = POLLIN } };
    char err[256];

    poll(fds, 2, 1);
    return (!xha_gate_in_has_room(pair->in) ||
            xha_gate_out_pass(pair->out, 1 << 20, to_backup, pair, err, sizeof(err)) == 0) &&
           xha_gate_in_turn(pair->in, to_primary, pair, &pair->held, err, sizeof(err)) == 0;
}

void pair_sync(struct pair *pair, uint8_t model[DISK_BYTES])
{
    uint64_t todo, total;

    for (int i = 0; !xha_gate_out_is_synced(pair->out, &todo, &total); i++) {
        if (i > 20000 || !pair_turn(pair))
            die("%s is not synced: %s, %s", pair->backup->name, host_status(pair->primary, "error"),
                host_status(pair->backup, "error"));
        if (i % 4 == 0 && i < 200 && !guest_writes(pair->primary, model))
            die("the guest cannot write");
    }
}

void pair_barrier(struct pair *pair, const uint8_t model[DISK_BYTES])
{
    char err[256];

    if (xha_gate_out_barrier(pair->out, ++pair->epoch, err, sizeof(err)) < 0)
        die("no barrier: %s", err);
    memcpy(pair->history[pair->epoch % EPOCHS_MAX], model, DISK_BYTES);
}

bool pair_hold(struct pair *pair)
{
    char err[256];

    if (pair->asked == pair->epoch || !xha_gate_out_has_passed(pair->out, pair->asked + 1))
        return false;
    if (xha_gate_in_hold(pair->in, ++pair->asked, err, sizeof(err)) < 0)
        die("cannot be held: %s", err);
    return true;
}

bool pair_await_held(struct pair *pair)
{
    char err[256];

    while (pair->held < pair->asked)
        if (!pair_turn(pair))
            return false;
    return pair->held == 0 || xha_gate_out_committed(pair->out, pair->held, err, sizeof(err)) == 0;
}

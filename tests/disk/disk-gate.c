/*
 * disk-gate.c - cuts: whatever ends at whatever point, the backup's disk is what it was as of the last epoch that
 * is held, nothing is written to a copy that may be old, and the copies become the same again without all being copied.
 */
#include "hosts.h"
#include "xhad/disk/ask.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CUTS 24

static char dir[64];
static uint8_t model[DISK_BYTES], disk[DISK_BYTES];

static void compare(const struct host *host, const uint8_t want[DISK_BYTES], const char *what)
{
    host_read_disk(host, disk);
    for (uint32_t i = 0; i < DISK_BYTES; i++)
        if (disk[i] != want[i])
            die("%s: the disk of %s differs at byte %u of region %u", what, host->name, i, i / REGION);
}

/* The guest at work, epoch by epoch, for some steps; ends anywhere in an epoch. */
static void work(struct pair *pair, unsigned steps)
{
    for (unsigned i = 0; i < steps; i++) {
        switch (rnd(6)) {
        case 0:
            if (pair->epoch - pair->held < 8)
                pair_barrier(pair, model);
            break;
        case 1:
            pair_hold(pair);
            break;
        case 2:
            if (!pair_await_held(pair))
                die("an epoch is not held: %s", host_status(pair->backup, "error"));
            break;
        default:
            if (!guest_writes(pair->primary, model))
                die("the guest cannot write");
            break;
        }
        if (!pair_turn(pair))
            die("the pair is gone: %s", host_status(pair->primary, "error"));
    }
}

/* A whole epoch, so that both are the same. */
static void one_epoch(struct pair *pair)
{
    pair_barrier(pair, model);
    while (!pair_hold(pair))
        if (!pair_turn(pair))
            die("the pair is gone");
    while (pair->asked < pair->epoch)
        if (!pair_hold(pair) && !pair_turn(pair))
            die("the pair is gone");
    if (!pair_await_held(pair))
        die("an epoch is not held");
}

static void promote(struct pair *pair)
{
    char err[256];

    if (xha_gate_in_promote(pair->in, pair->held, err, sizeof(err)) < 0)
        die("no promotion: %s", err);
}

static void begin(struct host hosts[2])
{
    host_make(&hosts[0], dir, "p");
    host_make(&hosts[1], dir, "b");
    host_start(&hosts[0]);
    host_start(&hosts[1]);
    host_read_disk(&hosts[0], model);
}

static void end(struct host hosts[2])
{
    char command[160];

    host_stop(&hosts[0]);
    host_stop(&hosts[1]);
    snprintf(command, sizeof(command), "rm -rf %s/p %s/b", dir, dir);
    if (system(command) != 0)
        die("cannot clean up");
}

/* The disks are paired again, in this direction: not all of it is copied. */
static void pair_again(struct pair *pair, struct host *primary, struct host *backup)
{
    pair_open(pair, primary, backup);
    pair_sync(pair, model);
    if (pair->bytes > DISK_BYTES / 4 * 3)
        die("%" PRIu64 " bytes were copied again", pair->bytes);
    one_epoch(pair);
    work(pair, rnd(30));
    if (!pair_await_held(pair))
        die("an epoch is not held");
    promote(pair);
    pair_close(pair);
    compare(backup, pair->history[pair->held % EPOCHS_MAX], "after they were paired again");
}

/* The primary's host loses its power: the backup is promoted, and the former primary comes back. */
static void primary_is_cut(struct host hosts[2])
{
    struct pair pair;

    pair_open(&pair, &hosts[0], &hosts[1]);
    pair_sync(&pair, model);
    one_epoch(&pair);
    work(&pair, 20 + rnd(120));
    host_kill(&hosts[0]);
    while (pair.held < pair.asked && xha_gate_in_has_room(pair.in)) /* it is on its way */
        pair_turn(&pair);
    promote(&pair);
    pair_close(&pair);
    compare(&hosts[1], pair.history[pair.held % EPOCHS_MAX], "promoted");
    memcpy(model, pair.history[pair.held % EPOCHS_MAX], DISK_BYTES);
    for (unsigned i = rnd(20); i > 0; i--)
        if (!guest_writes(&hosts[1], model))
            die("the promoted disk cannot be written");
    host_start(&hosts[0]);
    if (strcmp(host_status(&hosts[0], "doubt"), "true") != 0 || guest_writes(&hosts[0], disk))
        die("the former primary's copy is not in doubt");
    pair_again(&pair, &hosts[1], &hosts[0]);
}

/* The backup's plugin dies: what it held, it holds; the guest notices nothing. */
static void backup_is_cut(struct host hosts[2])
{
    struct pair pair;
    uint64_t held;

    pair_open(&pair, &hosts[0], &hosts[1]);
    pair_sync(&pair, model);
    one_epoch(&pair);
    work(&pair, 20 + rnd(120));
    held = pair.held;
    host_kill(&hosts[1]);
    for (unsigned i = rnd(10); i > 0; i--)
        if (!guest_writes(&hosts[0], model))
            die("the guest cannot write");
    pair_close(&pair);
    host_start(&hosts[1]);
    if (guest_writes(&hosts[1], disk))
        die("a backup's copy can be written");
    host_read_disk(&hosts[1], disk);
    while (held <= pair.asked && memcmp(disk, pair.history[held % EPOCHS_MAX], DISK_BYTES) != 0)
        held++; /* one that was asked for may be held */
    if (held > pair.asked)
        die("the backup's disk is as of no epoch that may be held");
    pair_again(&pair, &hosts[0], &hosts[1]);
}

/* The link ends: the guest goes on, and what it wrote meanwhile is copied when there is a backup again. */
static void link_is_cut(struct host hosts[2])
{
    struct pair pair;

    pair_open(&pair, &hosts[0], &hosts[1]);
    pair_sync(&pair, model);
    if (rnd(2))
        one_epoch(&pair);
    work(&pair, 20 + rnd(120));
    pair_close(&pair);
    for (unsigned i = rnd(30); i > 0; i--)
        if (!guest_writes(&hosts[0], model))
            die("the guest cannot write");
    pair_again(&pair, &hosts[0], &hosts[1]);
}

/* The first sync is cut: the copy is of no use, and does not pretend to be. */
static void sync_is_cut(struct host hosts[2])
{
    struct pair pair;
    char err[256];

    pair_open(&pair, &hosts[0], &hosts[1]);
    pair.cut_after = 20000 + rnd(DISK_BYTES / 4);
    while (pair_turn(&pair))
        ;
    if (xha_gate_in_promote(pair.in, 0, err, sizeof(err)) == 0)
        die("half a copy was promoted");
    pair_close(&pair);
    if (strcmp(host_status(&hosts[1], "role"), "\"syncing\"") != 0 || guest_writes(&hosts[1], disk))
        die("half a copy can be written");
    pair_open(&pair, &hosts[0], &hosts[1]);
    pair_sync(&pair, model);
    one_epoch(&pair);
    promote(&pair);
    pair_close(&pair);
    compare(&hosts[1], model, "after a second sync");
}

int main(void)
{
    static void (*const cuts[])(struct host[2]) = { primary_is_cut, backup_is_cut, primary_is_cut,
                                                    link_is_cut, sync_is_cut };
    static const char *const names[] = { "the primary is cut", "the backup is cut",
                                         "the primary is cut again", "the link is cut",
                                         "the first sync is cut" };
    const char *only = getenv("XHA_CUT");

    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    snprintf(dir, sizeof(dir), "%s",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm/disk-gate-XXXXXX" : "disk-gate-XXXXXX");
    if (!mkdtemp(dir))
        die("no directory");
    printf("1..%d\n", CUTS);
    for (uint32_t i = 1; i <= CUTS; i++) {
        struct host hosts[2];

        if (only && (uint32_t)atoi(only) != i) {
            printf("ok %u - # SKIP not the one that was asked for\n", i);
            continue;
        }
        seed = i * 104729;
        snprintf(where, sizeof(where), "cut %u: %s", i, names[i % 5]);
        begin(hosts);
        cuts[i % 5](hosts);
        end(hosts);
        printf("ok %u - %s\n", i, where);
    }
    return rmdir(dir) == 0 ? 0 : 1;
}

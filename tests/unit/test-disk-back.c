/*
 * A backup's disk, cut at every byte: whatever of its journals and of the writes to the disk itself a power cut leaves,
 * opening makes of it what it was as of the last committed epoch.
 */
#include "xhad/disk/back.h"
#include "xhad/disk/record.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define SIZE    8192u
#define EPOCHS  6
#define JOURNAL 3000u /* so small that both are used */

static char dir[64];
static uint64_t journal_bytes = JOURNAL;
static uint32_t seed;

static uint32_t rnd(uint32_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

struct image {
    uint8_t bytes[256 * 1024];
    size_t len;
};

static const char *path_of(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void load(const char *name, struct image *image)
{
    const int fd = open(path_of(name), O_RDONLY);

    assert_true(fd >= 0);
    image->len = (size_t)read(fd, image->bytes, sizeof(image->bytes));
    close(fd);
}

static void save(const char *name, const void *bytes, size_t len)
{
    const int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    close(fd);
}

/* ---- a disk under test ---- */

struct disk {
    int fd;
    struct xha_meta_file file;
    struct xha_back *back;
};

static void open_disk(struct disk *d)
{
    struct xha_back_conf conf = { .dir = dir, .file = &d->file, .journal_bytes = journal_bytes };
    char err[256] = "";

    d->fd = open(path_of("disk"), O_RDWR);
    assert_true(d->fd >= 0);
    if (xha_meta_open(dir, SIZE, XHA_REGION_SHIFT_MIN, &d->file, err, sizeof(err)) < 0)
        fail_msg("%s", err);
    conf.disk_fd = d->fd;
    if (xha_back_open(&conf, &d->back, err, sizeof(err)) < 0)
        fail_msg("%s", err);
}

static void close_disk(struct disk *d)
{
    xha_back_close(d->back);
    xha_meta_close(&d->file);
    close(d->fd);
}

static void begin(struct disk *d, uint64_t epoch)
{
    static const uint8_t base[XHA_BASE_BYTES] = { 1 }, zeros[SIZE];

    save("disk", zeros, SIZE);
    unlink(path_of("meta"));
    unlink(path_of("journal.0"));
    unlink(path_of("journal.1"));
    open_disk(d);
    assert_int_equal(xha_back_sync(d->back, base), 0);
    assert_int_equal(xha_back_synced(d->back, epoch), 0);
}

/* A random write or two of zeros; the same in the model. */
static void change(struct disk *d, uint8_t model[SIZE])
{
    const uint32_t offset = rnd(SIZE), len = 1 + rnd(SIZE - offset < 600 ? SIZE - offset : 600);
    uint8_t bytes[600];

    if (rnd(5) == 0) {
        memset(model + offset, 0, len);
        assert_int_equal(xha_back_zero(d->back, offset, len), 0);
        return;
    }
    for (uint32_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)rnd(256);
    memcpy(model + offset, bytes, len);
    assert_int_equal(xha_back_write(d->back, offset, bytes, len), 0);
}

static void assert_disk(const uint8_t model[SIZE], const char *what, size_t at)
{
    struct image disk;

    load("disk", &disk);
    assert_int_equal(disk.len, SIZE);
    if (memcmp(disk.bytes, model, SIZE) != 0)
        fail_msg("the disk is not what it was: %s %zu, seed %u", what, at, seed);
}

/* What was on the disk after each epoch. */
static uint8_t history[EPOCHS + 1][SIZE];

/* Which epoch is held, by what the cut left: the disk must be as of exactly that one. */
static uint64_t check_reopened(const char *what, size_t at)
{
    struct disk d;
    uint64_t held;

    open_disk(&d);
    held = xha_back_held(d.back);
    close_disk(&d);
    assert_in_range(held, 100, 100 + EPOCHS);
    assert_disk(history[held - 100], what, at);
    return held - 100;
}

/* ---- tests ---- */

static void epochs_are_applied_and_the_rest_dropped(void **state)
{
    uint8_t model[SIZE] = { 0 };
    struct disk d;

    (void)state;
    seed = 1;
    begin(&d, 100);
    for (unsigned e = 1; e <= EPOCHS; e++) {
        for (unsigned i = rnd(6); i > 0; i--)
            change(&d, model);
        memcpy(history[e], model, SIZE);
        assert_int_equal(xha_back_end(d.back, 100 + e), 0);
        if (e < EPOCHS) /* the last one ends, but is not committed */
            assert_int_equal(xha_back_commit(d.back, 100 + e), 0);
    }
    change(&d, model);
    assert_int_equal(xha_back_settle(d.back), 0);
    assert_disk(history[EPOCHS - 1], "settled", 0);
    assert_int_equal(d.file.meta.held, 100 + EPOCHS - 1);
    close_disk(&d);
    check_reopened("opened again", 0);
}

/* Of the writes to the disk that were not synced, any may be there: each byte is as of any epoch up to that one. */
static void tear_disk(uint64_t held)
{
    uint8_t bytes[SIZE];

    for (uint32_t i = 0; i < SIZE; i++)
        bytes[i] = history[rnd((uint32_t)held + 1)][i];
    save("disk", bytes, SIZE);
}

/* Three epochs in one journal; each write stands where it came, also before the COMMIT of the epoch before. */
static void three_epochs(struct disk *d, uint8_t model[SIZE])
{
    for (unsigned e = 1; e <= 3; e++) {
        change(d, model);
        memcpy(history[e], model, SIZE);
        assert_int_equal(xha_back_end(d->back, 100 + e), 0);
        change(d, model);
        assert_int_equal(xha_back_commit(d->back, 100 + e), 0);
    }
}

static void put_back(const struct image *meta, const struct image journals[2], unsigned cut, size_t len)
{
    save("meta", meta->bytes, meta->len);
    save("journal.0", journals[0].bytes, cut == 0 ? len : journals[0].len);
    save("journal.1", journals[1].bytes, cut == 1 ? len : journals[1].len);
}

static void cut_at_every_byte(void **state)
{
    static struct image journals[2], meta;
    uint8_t model[SIZE] = { 0 };
    struct disk d;
    uint64_t last = 0;
    unsigned cut;

    (void)state;
    seed = 2;
    memset(history, 0, sizeof(history));
    journal_bytes = 0; /* as it is by default */
    begin(&d, 100);
    three_epochs(&d, model);
    load("meta", &meta);
    load("journal.0", &journals[0]);
    load("journal.1", &journals[1]);
    close_disk(&d);
    cut = journals[1].len > journals[0].len;
    assert_int_equal(journals[!cut].len, XHA_JOURNAL_MARK);
    for (size_t len = XHA_JOURNAL_MARK; len <= journals[cut].len; len++) {
        uint64_t held;

        if (len == XHA_JOURNAL_MARK + 1)
            len = XHA_JOURNAL_HEAD; /* a hole until there */
        put_back(&meta, journals, cut, len);
        save("disk", history[0], SIZE);
        held = check_reopened("cut at", len);
        assert_in_range(held, last, 3);
        put_back(&meta, journals, cut, len);
        tear_disk(held);
        assert_int_equal(check_reopened("torn and cut at", len), held);
        last = held;
    }
    journal_bytes = JOURNAL;
    assert_int_equal(last, 3);
}

/* Both journals in turn, the disk applied to as it goes; stopped without a word, and opened again. */
static void stopped_anywhere(void **state)
{
    (void)state;
    for (uint32_t run = 1; run <= 60; run++) {
        uint8_t model[SIZE] = { 0 };
        unsigned committed = 0, stop;
        struct disk d;

        seed = run * 7919;
        stop = 1 + rnd(EPOCHS);
        memset(history, 0, sizeof(history));
        begin(&d, 100);
        for (unsigned e = 1; e <= stop; e++) {
            for (unsigned i = rnd(8); i > 0; i--)
                change(&d, model);
            memcpy(history[e], model, SIZE);
            assert_int_equal(xha_back_end(d.back, 100 + e), 0);
            if (e < stop || rnd(2)) {
                assert_int_equal(xha_back_commit(d.back, 100 + e), 0);
                committed = e;
            }
        }
        change(&d, model);
        close_disk(&d);
        assert_int_equal(check_reopened("run", run), committed);
    }
}

static void out_of_turn(void **state)
{
    static const uint8_t byte[1] = { 1 };
    struct disk d;

    (void)state;
    begin(&d, 5);
    assert_int_equal(xha_back_end(d.back, 7), -1);
    assert_true(strlen(xha_back_error(d.back)) > 0);
    assert_int_equal(xha_back_write(d.back, 0, byte, 1), -1); /* for good */
    close_disk(&d);
    begin(&d, 5);
    assert_int_equal(xha_back_commit(d.back, 6), -1);
    close_disk(&d);
    begin(&d, 5);
    assert_int_equal(xha_back_write(d.back, SIZE - 1, byte, 1), 0);
    assert_int_equal(xha_back_write(d.back, SIZE, byte, 1), -1);
    close_disk(&d);
}

/* A copy that is neither old nor new says so, until it is whole. */
static void syncing_is_remembered(void **state)
{
    static const uint8_t base[XHA_BASE_BYTES] = { 9 };
    struct disk d;

    (void)state;
    begin(&d, 5);
    assert_int_equal(xha_back_sync(d.back, base), 0);
    close_disk(&d);
    open_disk(&d);
    assert_int_equal(d.file.meta.role, XHA_DISK_SYNCING);
    assert_memory_equal(d.file.meta.base, base, sizeof(base));
    assert_int_equal(xha_back_sync(d.back, base), 0);
    assert_int_equal(xha_back_synced(d.back, 9), 0);
    close_disk(&d);
    open_disk(&d);
    assert_int_equal(d.file.meta.role, XHA_DISK_STANDBY);
    assert_int_equal(d.file.meta.held, 9);
    assert_int_equal(xha_map_count(d.file.map), 0);
    close_disk(&d);
}

static void one_at_a_time(void **state)
{
    struct xha_meta_file second;
    struct disk d;
    char err[256];

    (void)state;
    begin(&d, 5);
    assert_int_equal(xha_meta_open(dir, SIZE, XHA_REGION_SHIFT_MIN, &second, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "another process has this disk"));
    close_disk(&d);
}

static int set_up(void **state)
{
    (void)state;
    /* where syncing costs nothing: there are thousands */
    snprintf(dir, sizeof(dir), "%s",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm/disk-back-XXXXXX" : "disk-back-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path_of("disk"));
    unlink(path_of("meta"));
    unlink(path_of("journal.0"));
    unlink(path_of("journal.1"));
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epochs_are_applied_and_the_rest_dropped),
        cmocka_unit_test(cut_at_every_byte),
        cmocka_unit_test(stopped_anywhere),
        cmocka_unit_test(out_of_turn),
        cmocka_unit_test(syncing_is_remembered),
        cmocka_unit_test(one_at_a_time),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}

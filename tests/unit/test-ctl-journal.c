/*
 * ctl/journal.c and ctl/store.c: what a crash, a full disk or a broken one may do to what outlives xhad.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include "xhad/ctl/journal.h"
#include "xhad/ctl/store.h"

static char dir[] = "/tmp/test-ctl-journal.XXXXXX";
static char path[100];

static int enter(void **state)
{
    (void)state;
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/journal", dir);
    return 0;
}

static int leave(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

/* ---- the journal ---- */

static const char foreign[] = "of another release";
static char read_back[1000]; /* the texts, each in brackets */

static bool collect(void *user, const char *text, size_t len)
{
    size_t at = strlen(read_back);

    (void)user;
    snprintf(read_back + at, sizeof(read_back) - at, "[%.*s]", (int)len, text);
    return len != strlen(foreign) || memcmp(text, foreign, len) != 0;
}

static char err[2000];
static size_t cut;

static struct xha_journal *try_open(void)
{
    struct xha_journal *j = NULL;

    read_back[0] = err[0] = '\0';
    cut = 0;
    return xha_journal_open(path, collect, NULL, &j, &cut, err, sizeof(err)) == 0 ? j : NULL;
}

static struct xha_journal *open_again(struct xha_journal *j)
{
    xha_journal_close(j);
    j = try_open();
    assert_non_null(j);
    return j;
}

static struct xha_journal *with_three(void)
{
    struct xha_journal *j = try_open();

    assert_non_null(j);
    assert_int_equal(xha_journal_append(j, "one", 3), 0);
    assert_int_equal(xha_journal_append(j, "", 0), 0);
    assert_int_equal(xha_journal_append(j, "three", 5), 0);
    return j;
}

static void test_append(void **state)
{
    struct xha_journal *j = open_again(with_three());

    (void)state;
    assert_string_equal(read_back, "[one][][three]");
    assert_int_equal(cut, 0);
    xha_journal_close(j);
}

/* Cut at every byte: whole records stay, no more and no less, and it can be gone on with. */
static void test_torn(void **state)
{
    XHA_CLEANUP_FREE char *whole = NULL;
    size_t len;

    (void)state;
    xha_journal_close(with_three());
    assert_int_equal(xha_file_read(path, 10000, &whole, &len), 0);
    for (size_t keep = 0; keep < len; keep++) {
        const char *first = memchr(whole, '\n', len), *second = strchr(first + 1, '\n');
        size_t one = (size_t)(first - whole) + 1, two = (size_t)(second - whole) + 1;
        struct xha_journal *j;

        assert_int_equal(xha_file_write(path, 0600, whole, keep), 0);
        j = try_open();
        assert_non_null(j);
        assert_string_equal(read_back, keep < one ? "" : keep < two ? "[one]" : "[one][]");
        assert_int_equal(cut, keep < one ? keep : keep < two ? keep - one : keep - two);
        assert_int_equal(xha_journal_append(j, "new", 3), 0);
        j = open_again(j);
        assert_int_equal(cut, 0);
        assert_string_equal(read_back + strlen(read_back) - 5, "[new]");
        xha_journal_close(j);
    }
}

/* A bit turned anywhere but in the last record is told, and nothing is changed. */
static void test_damaged(void **state)
{
    XHA_CLEANUP_FREE char *whole = NULL;
    size_t len, last;

    (void)state;
    xha_journal_close(with_three());
    assert_int_equal(xha_file_read(path, 10000, &whole, &len), 0);
    last = (size_t)((char *)memrchr(whole, '\n', len - 1) - whole) + 1;
    for (size_t i = 0; i + 1 < last; i++) { /* the last newline but one is where the last record begins */
        XHA_CLEANUP_FREE char *after = NULL;
        size_t after_len;

        whole[i] ^= 1;
        assert_int_equal(xha_file_write(path, 0600, whole, len), 0);
        assert_null(try_open());
        assert_non_null(strstr(err, "damaged at byte"));
        assert_int_equal(xha_file_read(path, 10000, &after, &after_len), 0);
        assert_int_equal(after_len, len);
        whole[i] ^= 1;
    }
}

/* Whole, but not understood: not a thing to be passed over. */
static void test_foreign(void **state)
{
    struct xha_journal *j = with_three();

    (void)state;
    assert_int_equal(xha_journal_append(j, foreign, strlen(foreign)), 0);
    xha_journal_close(j);
    assert_null(try_open());
    assert_non_null(strstr(err, "not understood"));
}

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* What does not fit leaves no trace, and room is used again as soon as there is some. */
static void test_full(void **state)
{
    struct xha_journal *j = with_three();
    size_t bytes = xha_journal_bytes(j);
    char text[200];
    struct stat st;

    (void)state;
    memset(text, 'x', sizeof(text));
    signal(SIGXFSZ, SIG_IGN);
    limit_file_size(bytes + 100);
    assert_int_equal(xha_journal_append(j, text, sizeof(text)), -1);
    assert_int_equal(xha_journal_bytes(j), bytes);
    assert_int_equal(xha_journal_append(j, "short", 5), 0);
    assert_int_equal(xha_journal_compact(j, text, sizeof(text)), -1);
    limit_file_size(RLIM_INFINITY);
    assert_int_equal(xha_journal_append(j, "more", 4), 0);
    j = open_again(j);
    assert_string_equal(read_back, "[one][][three][short][more]");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal((size_t)st.st_size, xha_journal_bytes(j));
    xha_journal_close(j);
}

static void test_compact(void **state)
{
    struct xha_journal *j = with_three();

    (void)state;
    assert_int_equal(xha_journal_compact(j, "all", 3), 0);
    assert_int_equal(xha_journal_append(j, "next", 4), 0);
    j = open_again(j);
    assert_string_equal(read_back, "[all][next]");
    xha_journal_close(j);
}

/* ---- the store ---- */

static struct xha_store *open_store(const char *boot_id)
{
    struct xha_store *store = NULL;
    char warning[500];

    assert_int_equal(xha_store_open(dir, boot_id, &store, warning, sizeof(warning), err, sizeof(err)), 0);
    return store;
}

static struct xha_uuid uuid_of(uint8_t n)
{
    return (struct xha_uuid){ { n } };
}

static void count(void *user, const struct xha_uuid *uuid, const struct xha_record *record)
{
    int *sum = user;

    *sum += uuid->b[0];
    assert_int_equal(record->term, uuid->b[0] * 10);
}

static int sum_of(const struct xha_store *store)
{
    int sum = 0;

    xha_store_each(store, count, &sum);
    return sum;
}

static void put(struct xha_store *store, uint8_t n)
{
    struct xha_uuid uuid = uuid_of(n);
    struct xha_record record = { .term = n * 10u, .state = XHA_ST_RUNNING, .domid = n };

    assert_int_equal(xha_store_put(store, &uuid, &record), 0);
}

static void test_store(void **state)
{
    struct xha_store *store = open_store("boot-a");
    struct xha_uuid two = uuid_of(2);

    (void)state;
    assert_false(xha_store_is_dirty(store));
    put(store, 1);
    put(store, 2);
    put(store, 4);
    assert_true(xha_store_is_dirty(store));
    assert_int_equal(xha_store_commit(store, (struct xha_time){ 5000 }), 0);
    assert_false(xha_store_is_dirty(store));
    assert_int_equal(xha_store_forget(store, &two), 0);
    xha_store_set_next_id(store, 77);
    assert_int_equal(sum_of(store), 5);
    assert_int_equal(xha_store_commit(store, (struct xha_time){ 6000 }), 0);
    xha_store_close(store);

    store = open_store("boot-a");
    assert_int_equal(sum_of(store), 5);
    assert_int_equal(xha_store_next_id(store), 77);
    assert_int_equal(xha_store_time(store).ms, 6000);
    assert_false(xha_store_is_new_boot(store));
    xha_store_close(store);
    store = open_store("boot-b");
    assert_true(xha_store_is_new_boot(store));
    xha_store_close(store);
}

static struct xha_record got;

static void take(void *user, const struct xha_uuid *uuid, const struct xha_record *record)
{
    (void)user;
    (void)uuid;
    got = *record;
}

/* Each field of a record comes back. */
static void test_record(void **state)
{
    struct xha_store *store = open_store("");
    struct xha_uuid uuid = uuid_of(9);
    struct xha_record r = { .term = 1, .state = 2, .purpose = 3, .pending = 4, .maintenance = true };

    (void)state;
    r.want_run = r.ever_beat = r.host_maintenance = true;
    r.failure = 5;
    r.restores = 6;
    r.host = 7;
    r.domid = 8;
    r.pending_id = UINT64_C(1) << 60;
    r.checkpoint = 10;
    r.n_recoveries = XHA_HISTORY_MAX;
    for (int i = 0; i < XHA_HISTORY_MAX; i++)
        r.recovery[i].ms = 1000 - i;
    r.since.ms = 11;
    assert_int_equal(xha_store_put(store, &uuid, &r), 0);
    assert_int_equal(xha_store_commit(store, (struct xha_time){ 1 }), 0);
    xha_store_close(store);
    store = open_store("");
    xha_store_each(store, take, NULL);
    assert_int_equal(got.term, r.term);
    assert_int_equal(got.state, r.state);
    assert_int_equal(got.purpose, r.purpose);
    assert_int_equal(got.pending, r.pending);
    assert_true(got.maintenance && got.want_run && got.ever_beat && got.host_maintenance);
    assert_int_equal(got.failure, r.failure);
    assert_int_equal(got.restores, r.restores);
    assert_int_equal(got.host, r.host);
    assert_int_equal(got.domid, r.domid);
    assert_int_equal(got.pending_id, r.pending_id);
    assert_int_equal(got.checkpoint, r.checkpoint);
    assert_int_equal(got.n_recoveries, r.n_recoveries);
    assert_memory_equal(got.recovery, r.recovery, sizeof(r.recovery));
    assert_int_equal(got.since.ms, r.since.ms);
    xha_store_close(store);
}

/* A commit that fails is not forgotten: the next one writes all, with the newest values. */
static void test_store_full(void **state)
{
    struct xha_store *store = open_store("");

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    put(store, 1);
    assert_int_equal(xha_store_commit(store, (struct xha_time){ 1 }), 0);
    put(store, 2);
    limit_file_size(10);
    assert_int_equal(xha_store_commit(store, (struct xha_time){ 2 }), -1);
    assert_true(xha_store_is_dirty(store));
    limit_file_size(RLIM_INFINITY);
    put(store, 4);
    assert_int_equal(xha_store_commit(store, (struct xha_time){ 3 }), 0);
    xha_store_close(store);
    store = open_store("");
    assert_int_equal(sum_of(store), 7);
    xha_store_close(store);
}

/* However much is written, the file stays bounded, and says the same. */
static void test_store_compacts(void **state)
{
    struct xha_store *store = open_store("");
    struct stat st;

    (void)state;
    for (int i = 0; i < 400; i++) {
        for (uint8_t n = 1; n <= 100; n++)
            put(store, n);
        assert_int_equal(xha_store_commit(store, (struct xha_time){ i }), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_true(st.st_size < XHA_STORE_COMPACT_BYTES + 100000);
    }
    xha_store_close(store);
    store = open_store("");
    assert_int_equal(sum_of(store), 5050);
    xha_store_close(store);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, enter, leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_append),     TEST(test_torn),           TEST(test_damaged), TEST(test_foreign),
        TEST(test_full),       TEST(test_compact),        TEST(test_store),   TEST(test_record),
        TEST(test_store_full), TEST(test_store_compacts),
    };

    return cmocka_run_group_tests_name("ctl-journal", tests, NULL, NULL);
}

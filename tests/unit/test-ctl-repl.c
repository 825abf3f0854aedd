/*
 * test-ctl-repl.c - what is remembered of senders: the ring of epochs, sums, first copies, and what has to be told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "xhad/ctl/repl.h"

static struct xha_job job_of(uint8_t domain, uint64_t pair)
{
    struct xha_job job = { .id = 100 + pair, .verb = XHA_VERB_REPLICATE_OUT, .move.id = pair };

    job.uuid.b[0] = domain;
    return job;
}

static struct xha_job_epoch epoch_of(uint64_t number, uint64_t dropped)
{
    return (struct xha_job_epoch){
        .number = number,
        .pages = 10 * number,
        .raw_bytes = 40960 * number,
        .sent_bytes = 1000 * number,
        .suspend_us = 100,
        .scan_us = 20,
        .copy_us = 3,
        .resume_us = 4000,
        .commit_us = 700,
        .dropped_packets = dropped,
    };
}

static uint64_t hear(struct xha_repls *repls, const struct xha_job *job, uint64_t number, uint64_t dropped,
                     int64_t at_ms)
{
    struct xha_job_epoch e = epoch_of(number, dropped);

    return xha_repls_epoch(repls, job, &e, (struct xha_time){ at_ms }, 5000000 + at_ms);
}

static void test_ring(void **state)
{
    struct xha_repls *repls = xha_repls_new();
    struct xha_job job = job_of(1, 7), other = job_of(2, 8);
    const struct xha_repl_domain *d;

    (void)state;
    assert_null(xha_repls_find(repls, &job.uuid));
    for (uint64_t n = 1; n <= XHA_REPL_EPOCHS + 3; n++)
        hear(repls, &job, n, 0, (int64_t)(1000 + n));
    hear(repls, &other, 1, 0, 9000);
    d = xha_repls_find(repls, &job.uuid);
    assert_non_null(d);
    assert_int_equal(d->epochs, XHA_REPL_EPOCHS + 3);
    assert_int_equal(xha_repls_newest(d, 0)->said.number, XHA_REPL_EPOCHS + 3);
    assert_int_equal(xha_repls_newest(d, 0)->heard.ms, 1000 + XHA_REPL_EPOCHS + 3);
    assert_int_equal(xha_repls_newest(d, 0)->wall_ms, 5001000 + XHA_REPL_EPOCHS + 3);
    assert_int_equal(xha_repls_newest(d, 0)->pair, 7);
    assert_int_equal(xha_repls_newest(d, XHA_REPL_EPOCHS - 1)->said.number, 4);
    assert_null(xha_repls_newest(d, XHA_REPL_EPOCHS));
    d = xha_repls_find(repls, &other.uuid);
    assert_int_equal(xha_repls_newest(d, 0)->said.number, 1);
    assert_null(xha_repls_newest(d, 1));
    xha_repls_forget(repls, &job.uuid);
    assert_null(xha_repls_find(repls, &job.uuid));
    assert_non_null(xha_repls_find(repls, &other.uuid));
    xha_repls_free(repls);
}

static void test_sums(void **state)
{
    struct xha_repls *repls = xha_repls_new();
    struct xha_job first = job_of(1, 7), next = job_of(1, 9);
    const struct xha_repl_domain *d;

    (void)state;
    hear(repls, &first, 1, 0, 1000);
    hear(repls, &first, 2, 0, 1100);
    xha_repls_end(repls, &first, "its backup is lost");
    d = xha_repls_find(repls, &first.uuid);
    assert_false(d->sending);
    assert_string_equal(d->ended, "its backup is lost");
    hear(repls, &next, 1, 0, 1200); /* counters only grow, whatever pair it is */
    assert_true(d->sending);
    assert_string_equal(d->ended, "");
    assert_int_equal(d->epochs, 3);
    assert_int_equal(d->pages, 10 + 20 + 10);
    assert_int_equal(d->raw_bytes, 40960 * 4);
    assert_int_equal(d->sent_bytes, 4000);
    assert_int_equal(d->pause_us, 3 * 4123);
    assert_int_equal(d->commit_us, 3 * 700);
    assert_int_equal(d->pair, 9);
    assert_int_equal(xha_repls_newest(d, 1)->pair, 7);
    xha_repls_free(repls);
}

static void test_first_copy(void **state)
{
    struct xha_repls *repls = xha_repls_new();
    struct xha_job job = job_of(1, 7), next = job_of(1, 9), last = job_of(1, 11);
    const struct xha_job_pace pace = { .bytes_per_s = 5000, .eta_ms = 2000 };
    const struct xha_repl_domain *d;

    (void)state;
    xha_repls_sync(repls, &job, 10, 100, &pace);
    xha_repls_sync(repls, &job, 20, 100, NULL);
    d = xha_repls_find(repls, &job.uuid);
    assert_int_equal(d->done, 20);
    assert_int_equal(d->total, 100);
    assert_int_equal(d->pace.bytes_per_s, 5000);
    xha_repls_end(repls, &job, "a writable disk");
    xha_repls_sync(repls, &next, 0, 0, NULL); /* the next one begins anew */
    assert_int_equal(d->total, 0);
    assert_int_equal(d->pace.bytes_per_s, 0);
    assert_int_equal(d->pace.eta_ms, -1);
    assert_string_equal(d->ended, "a writable disk"); /* until an epoch is committed */
    xha_repls_sync(repls, &next, 30, 100, NULL);
    hear(repls, &last, 1, 0, 1000); /* of one whose first copy was not told */
    assert_int_equal(d->total, 0);
    assert_string_equal(d->ended, "");
    xha_repls_free(repls);
}

/* A sender counts from its start; who was there before this xhad may have dropped some long ago. */
static void test_drops(void **state)
{
    struct xha_repls *repls = xha_repls_new();
    struct xha_job adopted = job_of(1, 7), own = job_of(2, 8), again = job_of(2, 9);

    (void)state;
    assert_int_equal(hear(repls, &adopted, 500, 40, 1000), 0);
    assert_int_equal(hear(repls, &adopted, 501, 41, 1050), 1);
    assert_int_equal(xha_repls_find(repls, &adopted.uuid)->dropped_packets, 1);

    assert_int_equal(hear(repls, &own, 1, 3, 1000), 3);
    assert_int_equal(hear(repls, &own, 2, 5, 1100), 0); /* not yet again */
    assert_int_equal(hear(repls, &own, 3, 5, 1000 + XHA_REPL_DROPS_MS), 2);
    assert_int_equal(hear(repls, &own, 4, 5, 1000 + 3 * XHA_REPL_DROPS_MS), 0);
    xha_repls_end(repls, &own, "over");
    assert_int_equal(hear(repls, &again, 1, 4, 1000 + 5 * XHA_REPL_DROPS_MS), 4); /* from 0 again */
    assert_int_equal(xha_repls_find(repls, &own.uuid)->dropped_packets, 9);
    xha_repls_free(repls);
}

static void test_silence(void **state)
{
    struct xha_repls *repls = xha_repls_new();
    struct xha_job one = job_of(1, 7), next = job_of(1, 9);

    (void)state;
    assert_false(xha_repls_silent(repls, &one)); /* its end may be under way */
    assert_true(xha_repls_silent(repls, &one));
    assert_false(xha_repls_silent(repls, &one)); /* it was said */
    assert_false(xha_repls_silent(repls, &one));
    assert_false(xha_repls_silent(repls, &next));
    assert_true(xha_repls_silent(repls, &next));
    xha_repls_free(repls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring),  cmocka_unit_test(test_sums),    cmocka_unit_test(test_first_copy),
        cmocka_unit_test(test_drops), cmocka_unit_test(test_silence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * repl/tank.c: what goes in comes out in order, in whatever pieces; the bound holds, and memory is given back.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/sim/rng.h"
#include "xhad/repl/tank.h"

/* The byte at that place of the stream. */
static uint8_t byte_at(uint64_t at)
{
    return (uint8_t)(at * 2654435761u >> 13);
}

/* Puts at most so many bytes; how many there was room for. */
static size_t fill(struct xha_tank *t, uint64_t at, size_t len)
{
    size_t room, done = 0;
    uint8_t *to;

    while (done < len && (to = xha_tank_room(t, &room))) {
        const size_t n = len - done < room ? len - done : room;

        assert_true(room > 0);
        for (size_t i = 0; i < n; i++)
            to[i] = byte_at(at + done + i);
        xha_tank_filled(t, n);
        done += n;
    }
    return done;
}

static size_t take(struct xha_tank *t, uint64_t at, size_t len)
{
    const uint8_t *bytes;
    size_t done = 0, there;

    while (done < len && (there = xha_tank_next(t, &bytes)) > 0) {
        const size_t n = len - done < there ? len - done : there;

        for (size_t i = 0; i < n; i++)
            if (bytes[i] != byte_at(at + done + i))
                fail_msg("byte %zu is another", (size_t)at + done + i);
        xha_tank_took(t, n);
        done += n;
    }
    return done;
}

static void bytes_come_out_in_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sim_rng rng = { seed };
        const uint64_t blocks = seed % 5 + 1;
        struct xha_tank *t = xha_tank_new(blocks * XHA_TANK_BLOCK);
        uint64_t in = 0, out = 0;

        for (int i = 0; i < 60; i++) {
            const size_t want = sim_rng_next(&rng) % (i % 3 ? 900000 : 5000);
            const size_t got = fill(t, in, want);

            in += got;
            assert_true(got == want ||
                        in - out > (blocks - 1) * XHA_TANK_BLOCK); /* the first may be half empty */
            out += take(t, out, sim_rng_next(&rng) % 900000);
            assert_true(out <= in && in - out <= blocks * XHA_TANK_BLOCK);
        }
        out += take(t, out, SIZE_MAX);
        assert_int_equal(out, in);
        assert_true(xha_tank_stats(t).bytes_most <= blocks * (XHA_TANK_BLOCK + 64));
        xha_tank_free(t);
    }
}

static void a_full_tank_takes_no_more(void **state)
{
    struct xha_tank *t = xha_tank_new(0); /* at least a block */
    size_t room;

    (void)state;
    assert_int_equal(fill(t, 0, 3 * XHA_TANK_BLOCK), XHA_TANK_BLOCK);
    assert_int_equal(xha_tank_stats(t).full, 1);
    assert_int_equal(take(t, 0, XHA_TANK_BLOCK - 1), XHA_TANK_BLOCK - 1);
    assert_null(xha_tank_room(t, &room));
    assert_int_equal(take(t, XHA_TANK_BLOCK - 1, 1), 1);
    assert_int_equal(fill(t, XHA_TANK_BLOCK, 10), 10);
    xha_tank_free(t);
}

/* After a burst one block is left, and a quiet guest needs no other. */
static void memory_is_given_back(void **state)
{
    struct xha_tank *t = xha_tank_new(8 * XHA_TANK_BLOCK);
    uint64_t at = 0;

    (void)state;
    assert_int_equal(fill(t, 0, 8 * XHA_TANK_BLOCK), 8 * XHA_TANK_BLOCK);
    at += take(t, 0, SIZE_MAX);
    assert_true(xha_tank_stats(t).bytes < 2 * XHA_TANK_BLOCK);
    for (int epoch = 0; epoch < 100; epoch++) {
        assert_int_equal(fill(t, at, 30000), 30000);
        at += take(t, at, SIZE_MAX);
    }
    assert_true(xha_tank_stats(t).bytes < 2 * XHA_TANK_BLOCK);
    assert_true(xha_tank_stats(t).bytes_most < 9 * XHA_TANK_BLOCK);
    xha_tank_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_out_in_order),
        cmocka_unit_test(a_full_tank_takes_no_more),
        cmocka_unit_test(memory_is_given_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

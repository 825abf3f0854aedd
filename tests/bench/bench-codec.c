/*
 * bench-codec.c - how fast pages are made ready for the other side, and read there, against memcpy in the same
 * run. Prints lines of `name value unit`.
 *
 * Each kind goes through 64 MiB of guest pages, each with its copy in the shadow, so that neither lies in the
 * near caches, as in an epoch of a guest. Sparse pages change in 2 to 5 % of their words, anew in every round,
 * half of them scattered and half in runs. All rates are bytes of pages per second of a core's time; memcpy runs
 * between the rounds, and the best round of each counts, since a busy machine only ever takes away.
 */
#include "config.h"

#include "tests/sim/rng.h"
#include "xhad/repl/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAGES  16384
#define BYTES  ((size_t)PAGES * XHA_PAGE_BYTES)
#define ROUNDS 7

static struct sim_rng rng = { 1 };
static uint8_t *guest, *copied;

static double now_s(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint64_t below(uint64_t n)
{
    return sim_rng_next(&rng) % n;
}

static void *memory(size_t bytes)
{
    void *p = aligned_alloc(XHA_PAGE_BYTES, bytes);

    if (!p)
        abort();
    memset(p, 1, bytes);
    return p;
}

/* ---- what the guest does between the epochs ---- */

static void randomise(uint8_t *bytes, size_t len)
{
    for (size_t at = 0; at < len; at += 8) {
        const uint64_t v = sim_rng_next(&rng);

        memcpy(bytes + at, &v, sizeof(v));
    }
}

static void change_sparsely(uint8_t *page)
{
    const size_t words = 10 + below(17);
    size_t at = below(512);

    for (size_t i = 0; i < words; i++) {
        randomise(page + 8 * at, 8);
        at = i % 2 ? below(512) : (at + 1) % 512;
    }
}

static void change_nothing(void)
{
}

static void change_all_sparsely(void)
{
    for (size_t i = 0; i < PAGES; i++)
        change_sparsely(guest + i * XHA_PAGE_BYTES);
}

static void change_all(void)
{
    randomise(guest, BYTES);
}

/* As code and texts are: the same words again and again, in another order. */
static void change_to_words(void)
{
    static const char *const words[] = { "mov    %rax,", "0x18(%rsp)", "callq  ", "return 0;\n", "static " };

    for (size_t at = 0; at < BYTES; guest[at++] = (uint8_t)below(256))
        for (const char *c = words[below(5)]; *c && at + 1 < BYTES; c++)
            guest[at++] = (uint8_t)*c;
}

/* ---- there and back ---- */

static double memcpy_gbs; /* the best so far */

static void better(double *best, double seconds)
{
    if ((double)BYTES / seconds / 1e9 > *best)
        *best = (double)BYTES / seconds / 1e9;
}

static void measure_memcpy(void)
{
    const double began = now_s();

    for (size_t at = 0; at < BYTES; at += XHA_PAGE_BYTES) {
        memcpy(copied + at, guest + at, XHA_PAGE_BYTES);
        __asm__ volatile("" ::: "memory");
    }
    better(&memcpy_gbs, now_s() - began);
}

struct rates {
    double encode, decode; /* GB/s */
    double size;           /* bytes on the way per byte of pages */
};

/* All pages once, batch by batch; adds the seconds that each side took. */
static size_t one_round(struct xha_coder *coder, struct xha_decoder *decoder, uint8_t *batch,
                        double *encode_s, double *decode_s)
{
    size_t wire = 0;

    for (size_t first = 0; first < PAGES; first += XHA_BATCH_PAGES) {
        const uint8_t *page = guest + first * XHA_PAGE_BYTES;
        const double began = now_s();
        unsigned pages, filled;
        double turned;
        size_t len;

        for (size_t i = 0; i < XHA_BATCH_PAGES; i++)
            xha_coder_page(coder, first + i, page + i * XHA_PAGE_BYTES, true);
        len = xha_coder_take(coder, batch);
        turned = now_s();
        if (xha_decoder_open(decoder, batch, len, &pages, &filled) < 0)
            abort();
        for (size_t i = 0; i < pages; i++)
            if (xha_decoder_page(decoder, copied + (first + i) * XHA_PAGE_BYTES) < 0)
                abort();
        if (xha_decoder_close(decoder) < 0)
            abort();
        *encode_s += turned - began;
        *decode_s += now_s() - turned;
        wire += len;
    }
    return wire;
}

static struct rates measure(const struct xha_page_ops *ops, void (*change)(void))
{
    struct xha_shadow *shadow = xha_shadow_new(PAGES);
    struct xha_slots *slots = xha_slots_new(PAGES);
    struct xha_coder *coder = xha_coder_new(ops, shadow);
    struct xha_decoder *decoder = xha_decoder_new(slots);
    uint8_t *batch = memory(XHA_BATCH_BYTES_MAX + XHA_PAGE_BYTES - XHA_BATCH_BYTES_MAX % XHA_PAGE_BYTES);
    struct rates best = { 0 };

    if (!shadow || !slots || !coder || !decoder)
        abort();
    for (int round = 0; round <= ROUNDS; round++) {
        double encode_s = 0, decode_s = 0;
        const size_t wire = one_round(coder, decoder, batch, &encode_s, &decode_s);

        if (round > 0) { /* before there was nothing to compare with */
            better(&best.encode, encode_s);
            better(&best.decode, decode_s);
            best.size = (double)wire / (double)BYTES;
        }
        measure_memcpy();
        change();
    }
    xha_decoder_free(decoder);
    xha_coder_free(coder);
    xha_slots_free(slots);
    xha_shadow_free(shadow);
    free(batch);
    return best;
}

int main(void)
{
    static const struct {
        const char *name;
        bool scalar;
        void (*change)(void);
    } kinds[] = {
        { "random", false, change_all },
        { "sparse", false, change_all_sparsely },
        { "sparse-scalar", true, change_all_sparsely },
        { "text", false, change_to_words },
        { "zero", false, change_nothing },
    };
    struct rates rates[sizeof(kinds) / sizeof(kinds[0])];

    guest = memory(BYTES);
    copied = memory(BYTES);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].change == change_nothing)
            memset(guest, 0, BYTES);
        rates[i] = measure(kinds[i].scalar ? &xha_page_scalar : NULL, kinds[i].change);
    }
    printf("codec-memcpy %.2f GB/s\n", memcpy_gbs);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        printf("codec-%s-encode %.2f GB/s\n", kinds[i].name, rates[i].encode);
        printf("codec-%s-encode-of-memcpy %.2f ratio\n", kinds[i].name, rates[i].encode / memcpy_gbs);
        printf("codec-%s-decode-of-memcpy %.2f ratio\n", kinds[i].name, rates[i].decode / memcpy_gbs);
        printf("codec-%s-size %.4f ratio\n", kinds[i].name, rates[i].size);
    }
    free(guest);
    free(copied);
    return 0;
}

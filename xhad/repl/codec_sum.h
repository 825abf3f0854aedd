/*
 * codec_sum.h - the chain of sums of codec.h: each link is seeded by the one before. XXH3-64, in the make that
 * suits the processor where libxxhash has it.
 */
#ifndef XHA_REPL_CODEC_SUM_H
#define XHA_REPL_CODEC_SUM_H

#include <xxhash.h>
#if defined(HAVE_XXH_X86DISPATCH_H)
#include <xxh_x86dispatch.h>
#endif

#include <stddef.h>
#include <stdint.h>

static inline uint64_t xha_sum(const uint8_t *bytes, size_t len, uint64_t sum)
{
    return XXH3_64bits_withSeed(bytes, len, sum);
}

/* The link of a page of zeros, without reading it. */
static inline uint64_t xha_sum_zero(uint64_t sum)
{
    static const uint8_t mark[1] = { 'z' };

    return XXH3_64bits_withSeed(mark, sizeof(mark), sum);
}

#endif

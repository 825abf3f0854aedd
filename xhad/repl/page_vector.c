/*
 * page_vector.c - the comparisons of page.h with the vectors of x86: SSE2, which every 64-bit one has, and
 * AVX2 where the processor says so. Elsewhere there is the scalar make alone.
 */
#include "xhad/repl/page.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

static const __m128i *v128(const uint8_t *p)
{
    return (const __m128i *)(const void *)p;
}

static const __m256i *v256(const uint8_t *p)
{
    return (const __m256i *)(const void *)p;
}

/* Bit i: byte i of words[] is not 0. */
static uint64_t lines_of(const uint8_t words[XHA_PAGE_LINES])
{
    const __m128i zero = _mm_setzero_si128();
    uint64_t lines = 0;

    for (unsigned i = 0; i < 4; i++) {
        const __m128i same = _mm_cmpeq_epi8(_mm_loadu_si128(v128(words) + i), zero);

        lines |= (uint64_t)(uint16_t)~_mm_movemask_epi8(same) << (16 * i);
    }
    return lines;
}

/* ---- SSE2 ---- */

static bool is_zero_sse2(const uint8_t *page)
{
    const __m128i zero = _mm_setzero_si128();

    for (const __m128i *p = v128(page), *end = v128(page + XHA_PAGE_BYTES); p < end; p += 4) {
        const __m128i a = _mm_or_si128(_mm_loadu_si128(p), _mm_loadu_si128(p + 1));
        const __m128i b = _mm_or_si128(_mm_loadu_si128(p + 2), _mm_loadu_si128(p + 3));

        if (_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_or_si128(a, b), zero)) != 0xffff)
            return false;
    }
    return true;
}

/* Two bits, each set where a word of 8 bytes is the same. */
static unsigned same_words(const __m128i *p, const __m128i *b)
{
    const __m128i halves = _mm_cmpeq_epi32(_mm_loadu_si128(p), _mm_loadu_si128(b));
    const __m128i both = _mm_and_si128(halves, _mm_shuffle_epi32(halves, _MM_SHUFFLE(2, 3, 0, 1)));

    return (unsigned)_mm_movemask_pd(_mm_castsi128_pd(both));
}

static uint64_t compare_sse2(const uint8_t *page, const uint8_t *base, uint8_t words[XHA_PAGE_LINES])
{
    for (unsigned line = 0; line < XHA_PAGE_LINES; line++) {
        const __m128i *p = v128(page) + 4 * line, *b = v128(base) + 4 * line;

        words[line] = (uint8_t) ~(same_words(p, b) | same_words(p + 1, b + 1) << 2 |
                                  same_words(p + 2, b + 2) << 4 | same_words(p + 3, b + 3) << 6);
    }
    return lines_of(words);
}

static const struct xha_page_ops sse2 = { .name = "sse2", .is_zero = is_zero_sse2, .compare = compare_sse2 };

/* ---- AVX2 ---- */

AVX2 static bool is_zero_avx2(const uint8_t *page)
{
    for (const __m256i *p = v256(page), *end = v256(page + XHA_PAGE_BYTES); p < end; p += 4) {
        const __m256i a = _mm256_or_si256(_mm256_loadu_si256(p), _mm256_loadu_si256(p + 1));
        const __m256i b = _mm256_or_si256(_mm256_loadu_si256(p + 2), _mm256_loadu_si256(p + 3));
        const __m256i any = _mm256_or_si256(a, b);

        if (!_mm256_testz_si256(any, any))
            return false;
    }
    return true;
}

/* Four bits, each set where a word of 8 bytes is the same. */
AVX2 static unsigned same_words_avx2(const __m256i *p, const __m256i *b)
{
    const __m256i same = _mm256_cmpeq_epi64(_mm256_loadu_si256(p), _mm256_loadu_si256(b));

    return (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(same));
}

AVX2 static uint64_t compare_avx2(const uint8_t *page, const uint8_t *base, uint8_t words[XHA_PAGE_LINES])
{
    for (unsigned line = 0; line < XHA_PAGE_LINES; line++) {
        const __m256i *p = v256(page) + 2 * line, *b = v256(base) + 2 * line;

        words[line] = (uint8_t) ~(same_words_avx2(p, b) | same_words_avx2(p + 1, b + 1) << 4);
    }
    return lines_of(words);
}

static const struct xha_page_ops avx2 = { .name = "avx2", .is_zero = is_zero_avx2, .compare = compare_avx2 };

const struct xha_page_ops *const *xha_page_makes(void)
{
    static const struct xha_page_ops *const makes[] = { &avx2, &sse2, &xha_page_scalar, NULL };

    return __builtin_cpu_supports("avx2") ? makes : makes + 1;
}

#else

const struct xha_page_ops *const *xha_page_makes(void)
{
    static const struct xha_page_ops *const makes[] = { &xha_page_scalar, NULL };

    return makes;
}

#endif

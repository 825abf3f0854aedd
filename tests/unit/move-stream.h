/*
 * move-stream.h - a stream such as libxl writes when it saves a domain, made up from a seed: for tests of what
 * reads along.
 */
#ifndef XHA_TESTS_MOVE_STREAM_H
#define XHA_TESTS_MOVE_STREAM_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct made {
    uint8_t *bytes;
    size_t len, size;
    uint64_t random;
    uint64_t pages, zero_pages; /* put in */
};

static inline uint64_t made_random(struct made *m)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return m->random;
}

static inline uint8_t *made_room(struct made *m, size_t len)
{
    while (m->size - m->len < len) {
        m->size = m->size ? 2 * m->size : 65536;
        m->bytes = realloc(m->bytes, m->size);
        if (!m->bytes)
            abort();
    }
    m->len += len;
    return m->bytes + m->len - len;
}

static inline void made_put(struct made *m, const void *bytes, size_t len)
{
    memcpy(made_room(m, len), bytes, len);
}

static inline void made_record(struct made *m, uint32_t type, uint32_t len)
{
    uint32_t head[2] = { htole32(type), htole32(len) };

    made_put(m, head, sizeof(head));
}

/* A record of no interest, with bytes of chance in it. */
static inline void made_other(struct made *m, uint32_t type, uint32_t len)
{
    const size_t padded = ((size_t)len + 7) / 8 * 8;
    uint8_t *body;

    made_record(m, type, len);
    body = made_room(m, padded);
    memset(body, 0, padded);
    for (uint32_t i = 0; i < len; i++)
        body[i] = (uint8_t)made_random(m);
}

/* zero_share: of 100 pages, so many hold nothing; the others are of text, or of chance. */
static inline void made_page(struct made *m, unsigned zero_share)
{
    uint8_t *page = made_room(m, 4096);

    memset(page, 0, 4096);
    m->pages++;
    if (made_random(m) % 100 < zero_share) {
        m->zero_pages++;
        return;
    }
    page[4095] = 1; /* never zero, and hard to see */
    if (made_random(m) % 2)
        for (size_t i = 0; i + 8 <= 4088; i += 8)
            memcpy(page + i, &(uint64_t){ made_random(m) }, 8);
    else
        for (size_t i = 0; i < 4000; i++)
            page[i] = (uint8_t)("the quick brown fox "[i % 20]);
}

/* count pfns from first on, some of them of types without a page. */
static inline void made_page_data(struct made *m, uint64_t first, uint32_t count, unsigned zero_share)
{
    uint32_t n_pages = 0, head[2] = { htole32(count), 0 };
    const size_t at = m->len;

    made_record(m, 1, 0);
    made_put(m, head, sizeof(head));
    for (uint32_t i = 0; i < count; i++) {
        const bool empty = made_random(m) % 10 == 0;
        const uint64_t pfn = htole64((first + i) | (empty ? 0xfULL << 60 : 0));

        made_put(m, &pfn, sizeof(pfn));
        n_pages += !empty;
    }
    for (uint32_t i = 0; i < n_pages; i++)
        made_page(m, zero_share);
    memcpy(m->bytes + at + 4, &(uint32_t){ htole32(8 + 8 * count + 4096 * n_pages) }, 4);
}

static inline void made_headers(struct made *m)
{
    const uint64_t ident = htobe64(0x4c6962786c466d74ULL), marker = UINT64_MAX;
    const uint32_t xl[2] = { htobe32(2), 0 };
    const uint32_t xc[4] = { htobe32(0x58454e46), htobe32(3), 0, 0 };
    const uint32_t domain[4] = { htole32(2), htole32(12), htole32(4), htole32(17) };

    made_put(m, &ident, sizeof(ident));
    made_put(m, xl, sizeof(xl));
    made_record(m, 1, 0);
    made_put(m, &marker, sizeof(marker));
    made_put(m, xc, sizeof(xc));
    made_put(m, domain, sizeof(domain));
}

/* The whole of it: rounds of precopy, the records after them, and what libxl adds. */
static inline struct made made_stream(uint64_t seed, unsigned rounds, uint32_t pages, unsigned zero_share)
{
    struct made m = { .random = seed * 0x9e3779b97f4a7c15ULL + 1 };

    made_headers(&m);
    made_other(&m, 0x11, 321);
    for (unsigned r = 0; r < rounds; r++)
        for (uint32_t at = 0; at < pages >> (2 * r); at += 1024) {
            const uint32_t left = (pages >> (2 * r)) - at;

            made_page_data(&m, at, left < 1024 ? left : 1024, zero_share);
        }
    made_other(&m, 9, 1500);
    made_other(&m, 10, 72);
    made_record(&m, 0, 0);
    made_other(&m, 2, 99);
    made_record(&m, 0, 0);
    return m;
}

#endif

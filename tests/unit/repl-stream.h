/*
 * repl-stream.h - the stream of a made-up guest under checkpoints, epoch by epoch, with records of every type:
 * for tests of what replicates it.
 */
#ifndef XHA_TESTS_REPL_STREAM_H
#define XHA_TESTS_REPL_STREAM_H

#include "tests/unit/move-stream.h"

#define GUEST_PAGES 256

struct guest {
    struct made m; /* its stream so far, and its chance */
    uint8_t memory[GUEST_PAGES][4096];
    uint8_t cpu[9000];
    unsigned epoch;
};

static inline struct guest *guest_new(uint64_t seed)
{
    struct guest *g = calloc(1, sizeof(*g));

    if (!g)
        abort();
    g->m.random = seed * 0x9e3779b97f4a7c15ULL + 1;
    for (size_t i = 0; i < sizeof(g->cpu); i++)
        g->cpu[i] = (uint8_t)made_random(&g->m);
    return g;
}

static inline void guest_free(struct guest *g)
{
    free(g->m.bytes);
    free(g);
}

/* Zeros, bytes of chance, the same byte, a few words, or nothing at all. */
static inline void guest_write(struct guest *g, uint64_t pfn)
{
    uint8_t *page = g->memory[pfn];
    const uint64_t how = made_random(&g->m) % 8;

    for (size_t i = 0; i < 4096 && how == 0; i++)
        page[i] = (uint8_t)made_random(&g->m);
    if (how == 1)
        memset(page, 0, 4096);
    if (how == 2)
        memset(page + 100, (int)pfn, 3000);
    for (int i = 0; i < 15 && how > 3; i++)
        page[made_random(&g->m) % 4096]++;
}

/* Some pages from first on, each as it is now; a few are of the types that have none in the stream. */
static inline void guest_pages(struct guest *g, uint64_t first, uint32_t count)
{
    const uint32_t head[2] = { htole32(count), 0 };
    const size_t at = g->m.len;
    uint64_t pfns[1024];
    uint32_t n = 0;

    made_record(&g->m, 1, 0);
    made_put(&g->m, head, sizeof(head));
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t type = made_random(&g->m) % 16;

        pfns[i] = (first + i) % GUEST_PAGES;
        made_put(&g->m, &(uint64_t){ htole64(pfns[i] | type << 60) }, 8);
        if (type >= 0xd)
            pfns[i] = UINT64_MAX;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (pfns[i] == UINT64_MAX)
            continue;
        made_put(&g->m, g->memory[pfns[i]], 4096);
        n++;
    }
    g->m.pages += n;
    memcpy(g->m.bytes + at + 4, &(uint32_t){ htole32(8 + 8 * count + 4096 * n) }, 4);
}

/* What ends an epoch: the state of the processors, hardly changed, the checkpoint, and a device model's state. */
static inline void guest_end(struct guest *g, uint32_t emulator_bytes)
{
    g->cpu[made_random(&g->m) % sizeof(g->cpu)]++;
    made_record(&g->m, 9, sizeof(g->cpu));
    made_put(&g->m, g->cpu, sizeof(g->cpu));
    made_record(&g->m, 0xe, 0);
    if (made_random(&g->m) % 2)
        made_other(&g->m, 2, 33);
    if (emulator_bytes > 0)
        made_other(&g->m, 3, emulator_bytes);
    made_record(&g->m, 4, 0);
}

/* One more epoch of about so many pages; the first begins the stream. Returns the bytes of the whole stream. */
static inline size_t guest_epoch(struct guest *g, uint32_t pages)
{
    if (g->epoch++ == 0) {
        made_headers(&g->m);
        made_other(&g->m, 0x11, 321);
        made_other(&g->m, 0x10, 0);
    }
    for (uint32_t done = 0, n; done < pages; done += n) {
        const uint64_t first = made_random(&g->m) % GUEST_PAGES;

        n = 1 + (uint32_t)(made_random(&g->m) % (pages - done));
        n = n < 1024 ? n : 1024;
        for (uint32_t i = 0; i < n; i++)
            guest_write(g, (first + i) % GUEST_PAGES);
        guest_pages(g, first, n);
    }
    for (uint32_t type = 2; type < 0x13; type++)
        if (type != 0xe && made_random(&g->m) % 3 == 0)
            made_other(&g->m, type, (uint32_t)(made_random(&g->m) % (type == 0xb ? 100000 : 200)));
    guest_end(g, (uint32_t)(made_random(&g->m) % 3 * 7001));
    return g->m.len;
}

#endif

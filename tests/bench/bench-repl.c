/*
 * bench-repl.c - what replication takes of an idle guest's backup: its memory per GiB of the guest, bytes on the way
 * per byte of the stream, and how fast epochs go through both sides. Prints lines of `name value unit`.
 *
 * The guest has 1 GiB, made up as it is sent: a third of it zeros, the rest bytes of chance, which nothing makes
 * smaller. After the first synchronisation it changes 500 pages an epoch (an idle one of 96 MiB was seen to change
 * 300 to 600 in 200 ms), mostly the same ones, in a few words; what the backup holds is handed on at once.
 */
#include "config.h"

#include "tests/sim/rng.h"
#include "xhad/move/bytes.h"
#include "xhad/repl/store.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GUEST_PAGES (1u << 18)
#define HOT_PAGES   2000 /* that change again and again */
#define PER_RECORD  1000
#define PER_EPOCH   500
#define EPOCHS      300
#define SLOTS       (GUEST_PAGES / 4)
#define HELD_BYTES  (UINT64_C(256) << 20)
#define CPU_BYTES   9000 /* of a processor's state */

static struct sim_rng rng = { 1 };
static uint8_t hot[HOT_PAGES][XHA_PAGE_BYTES], cpu[CPU_BYTES];
static uint8_t record[16 + 8 * PER_RECORD + XHA_PAGE_BYTES * PER_RECORD];
static struct xha_epoch_sender *sender;
static struct xha_store *store;
static uint64_t raw, sent;

static double now_s(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void randomise(uint8_t *bytes, size_t len)
{
    for (size_t at = 0; at + 8 <= len; at += 8) {
        const uint64_t v = sim_rng_next(&rng);

        memcpy(bytes + at, &v, sizeof(v));
    }
}

/* ---- from one side to the other ---- */

static void drain(void)
{
    const uint8_t *bytes;
    size_t n;

    while ((n = xha_store_next(store, &bytes)) > 0)
        xha_store_took(store, n);
}

static void pass_on(void)
{
    static uint8_t frame[XHA_PIECE_BYTES_MAX];
    enum xha_epoch_frame type;
    uint64_t epoch;
    char err[160];
    size_t len;

    while ((type = xha_epoch_take(sender, false, frame, &len)) != XHA_EPOCH_NOTHING) {
        if (type == XHA_EPOCH_PIECE ? xha_store_piece(store, frame, len, err, sizeof(err))
                                    : xha_store_end(store, frame, len, &epoch, err, sizeof(err)))
            abort();
        sent += len;
        drain();
    }
}

static void write_stream(const void *bytes, size_t len)
{
    char err[160];

    raw += len;
    for (size_t at = 0; at < len;) {
        const int64_t took = xha_epoch_feed(sender, (const uint8_t *)bytes + at, len - at, err, sizeof(err));

        if (took < 0)
            abort();
        at += (size_t)took;
        pass_on();
    }
}

/* ---- the stream ---- */

static void write_headers(void)
{
    const uint32_t h[16] = {
        htobe32(0x4c696278), htobe32(0x6c466d74), htobe32(2), 0, htole32(1), 0, UINT32_MAX, UINT32_MAX,
        htobe32(0x58454e46), htobe32(3),          0,          0, htole32(2), 0, 0,          0,
    };

    write_stream(h, sizeof(h));
}

/* Puts the page i of n of a record into it. */
static void put_page(uint32_t i, uint32_t n, uint64_t pfn, const uint8_t *page)
{
    xha_put64(record + 16 + 8 * (size_t)i, pfn);
    memcpy(record + 16 + 8 * (size_t)n + XHA_PAGE_BYTES * (size_t)i, page, XHA_PAGE_BYTES);
}

static void write_pages(uint32_t n)
{
    xha_put32(record, 1);
    xha_put32(record + 4, 8 + (8 + XHA_PAGE_BYTES) * n);
    xha_put32(record + 8, n);
    write_stream(record, 16 + (8 + XHA_PAGE_BYTES) * (size_t)n);
}

static void write_end(void)
{
    uint8_t end[16] = { 0 }, head[8];

    cpu[sim_rng_next(&rng) % CPU_BYTES]++;
    xha_put32(head, 9);
    xha_put32(head + 4, CPU_BYTES);
    write_stream(head, sizeof(head));
    write_stream(cpu, CPU_BYTES);
    xha_put32(end, 14);
    xha_put32(end + 8, 4);
    write_stream(end, sizeof(end));
}

static void first_epoch(void)
{
    uint8_t page[XHA_PAGE_BYTES];

    write_headers();
    for (uint32_t pfn = 0; pfn < GUEST_PAGES;) {
        const uint32_t n = GUEST_PAGES - pfn < PER_RECORD ? GUEST_PAGES - pfn : PER_RECORD;

        for (uint32_t i = 0; i < n; i++, pfn++) {
            if (pfn % 3 == 0)
                memset(page, 0, sizeof(page));
            else
                randomise(page, sizeof(page));
            put_page(i, n, pfn, page);
        }
        write_pages(n);
    }
    write_end();
}

static void idle_epoch(void)
{
    for (uint32_t i = 0; i < PER_EPOCH; i++) {
        const uint64_t which = sim_rng_next(&rng) % HOT_PAGES;

        for (int words = 0; words < 10; words++)
            hot[which][sim_rng_next(&rng) % XHA_PAGE_BYTES]++;
        put_page(i, PER_EPOCH, which * 131, hot[which]);
    }
    write_pages(PER_EPOCH);
    write_end();
}

int main(void)
{
    const struct xha_store_limits limits = { .slots = SLOTS, .held_bytes = HELD_BYTES };
    uint64_t raw_before, sent_before;
    struct xha_epoch_seen seen;
    double began;

    sender = xha_epoch_sender_new(SLOTS);
    store = xha_store_new(&limits);
    if (!sender || !store)
        abort();
    randomise(cpu, sizeof(cpu));
    randomise(hot[0], sizeof(hot));
    first_epoch();
    printf("repl-backup-memory-synchronised %.1f MiB/GiB\n",
           (double)xha_store_stats(store).bytes_most / (1 << 20));
    for (int i = 0; i < 20; i++) /* until the copies are there */
        idle_epoch();
    raw_before = raw;
    sent_before = sent;
    began = now_s();
    for (int i = 0; i < EPOCHS; i++)
        idle_epoch();
    printf("repl-idle-epoch-both-sides %.2f ms\n", (now_s() - began) * 1000 / EPOCHS);
    printf("repl-idle-sent-of-raw %.4f ratio\n", (double)(sent - sent_before) / (double)(raw - raw_before));
    printf("repl-backup-memory-idle %.1f MiB/GiB\n", (double)xha_store_stats(store).bytes_most / (1 << 20));
    seen = xha_epoch_seen(sender);
    printf("repl-sender-shadow-idle %.1f MiB/GiB\n", (double)seen.shadow.bytes / (1 << 20));
    xha_store_free(store);
    xha_epoch_sender_free(sender);
    return 0;
}

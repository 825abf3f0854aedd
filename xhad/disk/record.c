/*
 * record.c - see record.h.
 */
#include "xhad/disk/record.h"
#include "xhad/move/bytes.h"

#include <xxhash.h>

#define MAGIC    0x524a4858u /* "XHJR" */
#define SUMMED   (XHA_RECORD_BYTES - 8)
#define MARK_SUM (XHA_JOURNAL_MARK - 8)

static const char mark_magic[8] = "xhadjrnl";

static uint64_t sum_of(const uint8_t *head, const void *data, size_t len)
{
    return XXH3_64bits_withSeed(len > 0 ? data : head, len, XXH3_64bits(head, SUMMED));
}

void xha_record_put(const struct xha_record *record, const void *data, uint8_t head[XHA_RECORD_BYTES])
{
    xha_put32(head, MAGIC);
    xha_put16(head + 4, (uint16_t)record->kind);
    xha_put16(head + 6, 0);
    xha_put64(head + 8, record->generation);
    xha_put64(head + 16, record->epoch);
    xha_put64(head + 24, record->offset);
    xha_put32(head + 32, record->len);
    xha_put32(head + 36, record->number);
    xha_put64(head + SUMMED, sum_of(head, data, xha_record_data_len(record)));
}

bool xha_record_get(const uint8_t head[XHA_RECORD_BYTES], struct xha_record *record_r)
{
    const unsigned kind = xha_get16(head + 4);

    if (xha_get32(head) != MAGIC || kind == 0 || kind >= XHA_RECORD_KIND_N_ || xha_get16(head + 6) != 0)
        return false;
    *record_r = (struct xha_record){
        .kind = (enum xha_record_kind)kind,
        .generation = xha_get64(head + 8),
        .epoch = xha_get64(head + 16),
        .offset = xha_get64(head + 24),
        .len = xha_get32(head + 32),
        .number = xha_get32(head + 36),
    };
    return xha_record_data_len(record_r) <= XHA_RECORD_DATA_MAX;
}

bool xha_record_is_whole(const uint8_t head[XHA_RECORD_BYTES], const void *data)
{
    struct xha_record record;

    return xha_record_get(head, &record) &&
           xha_get64(head + SUMMED) == sum_of(head, data, xha_record_data_len(&record));
}

void xha_journal_mark_put(uint64_t generation, uint8_t mark[XHA_JOURNAL_MARK])
{
    memset(mark, 0, XHA_JOURNAL_MARK);
    memcpy(mark, mark_magic, sizeof(mark_magic));
    xha_put64(mark + 8, generation);
    xha_put64(mark + MARK_SUM, XXH3_64bits(mark, MARK_SUM));
}

bool xha_journal_mark_get(const uint8_t mark[XHA_JOURNAL_MARK], uint64_t *generation_r)
{
    if (memcmp(mark, mark_magic, sizeof(mark_magic)) != 0 ||
        xha_get64(mark + MARK_SUM) != XXH3_64bits(mark, MARK_SUM))
        return false;
    *generation_r = xha_get64(mark + 8);
    return true;
}

/* ---- reading one ---- */

void xha_journal_reader_init(struct xha_journal_reader *reader, uint64_t generation, uint64_t disk_size)
{
    *reader =
        (struct xha_journal_reader){ .generation = generation, .at = XHA_JOURNAL_HEAD, .size = disk_size };
}

static bool belongs(const struct xha_journal_reader *reader, const struct xha_record *record)
{
    if (record->generation != reader->generation || record->number != reader->number ||
        (record->kind == XHA_RECORD_COMMIT ? record->epoch > reader->epoch : record->epoch <= reader->epoch))
        return false;
    return record->offset <= reader->size && record->len <= reader->size - record->offset;
}

bool xha_journal_next(struct xha_journal_reader *reader, xha_journal_read_cb read, void *arg, uint8_t *data,
                      struct xha_record *record_r)
{
    uint8_t head[XHA_RECORD_BYTES];
    struct xha_record record;
    size_t len;

    if (!read(arg, reader->at, head, sizeof(head)) || !xha_record_get(head, &record) ||
        !belongs(reader, &record))
        return false;
    len = xha_record_data_len(&record);
    if ((len > 0 && !read(arg, reader->at + sizeof(head), data, len)) || !xha_record_is_whole(head, data))
        return false;
    reader->at += sizeof(head) + len;
    reader->number++;
    if (record.kind == XHA_RECORD_END)
        reader->epoch = record.epoch;
    *record_r = record;
    return true;
}

struct xha_journal_reader xha_journal_committed(uint64_t generation, uint64_t disk_size,
                                                xha_journal_read_cb read, void *arg, uint8_t *data)
{
    struct xha_journal_reader reader, committed, ends[XHA_JOURNAL_OPEN_MAX];
    struct xha_record record;

    xha_journal_reader_init(&reader, generation, disk_size);
    committed = reader;
    for (int i = 0; i < XHA_JOURNAL_OPEN_MAX; i++)
        ends[i] = reader;
    while (xha_journal_next(&reader, read, arg, data, &record)) {
        struct xha_journal_reader *end = &ends[record.epoch % XHA_JOURNAL_OPEN_MAX];

        if (record.kind == XHA_RECORD_END)
            *end = reader;
        else if (record.kind == XHA_RECORD_COMMIT && end->epoch == record.epoch)
            committed = *end;
    }
    return committed;
}

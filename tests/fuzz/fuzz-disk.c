/*
 * What the disk gate reads. The first byte chooses: a journal as a power cut may leave it, with sums made right for
 * records that ask for it; or words in frames, states and pages of a map.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "xhad/disk/gate_disk.h"
#include "xhad/disk/meta.h"
#include "xhad/disk/record.h"
#include "xhad/move/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DISK_BYTES (1u << 20)

struct book {
    const uint8_t *bytes;
    size_t len;
};

static uint8_t buffer[XHA_RECORD_DATA_MAX];

static bool read_book(void *arg, uint64_t offset, void *bytes, size_t len)
{
    const struct book *b = arg;

    if (offset < XHA_JOURNAL_HEAD || offset - XHA_JOURNAL_HEAD > b->len ||
        len > b->len - (offset - XHA_JOURNAL_HEAD))
        return false;
    memcpy(bytes, b->bytes + offset - XHA_JOURNAL_HEAD, len);
    return true;
}

/* Whatever is read fits the disk and comes in order; what is committed was read before. */
static void read_journal(const uint8_t *data, size_t size)
{
    struct book book = { data, size };
    const struct xha_journal_reader committed =
        xha_journal_committed(1, DISK_BYTES, read_book, &book, buffer);
    struct xha_journal_reader reader;
    struct xha_record record;
    bool passed = committed.at == XHA_JOURNAL_HEAD;
    uint32_t number = 0;

    xha_journal_reader_init(&reader, 1, DISK_BYTES);
    while (xha_journal_next(&reader, read_book, &book, buffer, &record)) {
        if (record.number != number++ || record.offset > DISK_BYTES ||
            record.len > DISK_BYTES - record.offset)
            abort();
        passed |= reader.at == committed.at && record.kind == XHA_RECORD_END;
    }
    if (!passed || committed.at > reader.at)
        abort();
}

/* Short descriptions of records, written as they should be, so that the reader gets further: kind, epoch, offset, length. */
static void write_and_read(const uint8_t *data, size_t size)
{
    static uint8_t bytes[1 << 16];
    size_t len = 0;

    for (uint32_t number = 0; size >= 4 && len + XHA_RECORD_BYTES + 256 <= sizeof(bytes);
         data += 4, size -= 4, number++) {
        const struct xha_record record = {
            .kind = (enum xha_record_kind)(1 + data[0] % (XHA_RECORD_KIND_N_ - 1)),
            .generation = data[0] & 128 ? 2 : 1,
            .epoch = data[1],
            .offset = (uint64_t)data[2] * 5000,
            .len = data[3],
            .number = number,
        };

        memset(buffer, data[1], 256);
        xha_record_put(&record, buffer, bytes + len);
        memcpy(bytes + len + XHA_RECORD_BYTES, buffer, xha_record_data_len(&record));
        len += XHA_RECORD_BYTES + xha_record_data_len(&record);
    }
    read_journal(bytes, len);
}

static void read_words(const uint8_t *data, size_t size)
{
    struct xha_word word, again;
    uint8_t head[XHA_WORD_HEAD];
    unsigned disk;

    if (xha_gate_frame_get(data, size, 3, &disk, &word) < 0)
        return;
    if (disk >= 3 || word.len != size - XHA_GATE_FRAME_HEAD || word.len > XHA_WORD_DATA_MAX)
        abort();
    xha_word_put(&word, head);
    if (xha_word_get(head, &again) < 0 || memcmp(&word, &again, sizeof(word)) != 0)
        abort();
}

static void read_state(const uint8_t *data, size_t size)
{
    uint8_t page[XHA_MAP_PAGE] = { 0 };
    struct xha_map *map = xha_map_new(((uint64_t)XHA_MAP_PAGE_REGIONS + 9) << 12, 12);
    struct xha_meta meta;

    memcpy(page, data, size < sizeof(page) ? size : sizeof(page));
    if (xha_meta_get(page, &meta))
        xha_meta_put(&meta, page);
    if (!xha_map_page_add(map, 1, page) && xha_map_count(map) != 9)
        abort();
    xha_map_free(map);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    switch (data[0] % 4) {
    case 0:
        read_journal(data + 1, size - 1);
        break;
    case 1:
        write_and_read(data + 1, size - 1);
        break;
    case 2:
        read_words(data + 1, size - 1);
        break;
    default:
        read_state(data + 1, size - 1);
        break;
    }
    return 0;
}

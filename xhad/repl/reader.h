/*
 * reader.h - reads along in the stream of a domain under checkpoints: what is a page, and where an epoch ends.
 * Pure.
 *
 * libxl's stream of version 2 (docs/specs/libxl-migration-stream) holds libxc's (docs/specs/
 * libxc-migration-stream), whose PAGE_DATA records hold the guest's memory; a CHECKPOINT record hands over to
 * libxl's records, and their CHECKPOINT_END back, which is the end of an epoch. A stream that is not so is
 * refused: without its epochs there is nothing to commit.
 */
#ifndef XHA_REPL_READER_H
#define XHA_REPL_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XHA_READER_PFNS 1024 /* in a PAGE_DATA record; libxc never puts more */

struct xha_reader {
    int state;
    uint64_t left;    /* bytes of this state */
    uint8_t head[40]; /* those of it that are looked at */
    size_t head_have;
    uint32_t record_len;
    bool in_libxc;                  /* its context has been opened */
    uint64_t pfns[XHA_READER_PFNS]; /* of the record; later only those with a page */
    uint32_t n_pfns, n_pages, at_page;
    uint32_t at; /* bytes had of the page */
};

void xha_reader_init(struct xha_reader *reader);

/* A stretch of the stream: of a page, or of all else. */
struct xha_stretch {
    size_t len;
    bool is_page;
    uint64_t pfn;
    uint32_t at;     /* the byte of the page that it begins with */
    bool ends_epoch; /* with its last byte */
};

/*
 * The stretch that the bytes (at least one) begin with; the next call goes on behind it. 0, or -1 with a text
 * in err: the stream is not understood.
 */
int xha_reader_next(struct xha_reader *reader, const uint8_t *bytes, size_t len, struct xha_stretch *span_r,
                    char *err, size_t err_len);

#endif

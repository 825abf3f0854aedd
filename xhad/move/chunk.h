/*
 * chunk.h - a piece of a stream as it travels: without its zero pages, the rest packed. No I/O.
 *
 *   u8 codec, 3 × u8 zero, u32 raw bytes, u32 literal bytes, u32 runs;
 *   runs × { u32 literal bytes before it, u32 zero pages }; then the literal bytes, packed by the codec
 *
 * Raw bytes are the literal ones with the runs of zero pages put back in. What does not get smaller travels as
 * it is, so a chunk is never more than its header and runs above raw.
 */
#ifndef XHA_MOVE_CHUNK_H
#define XHA_MOVE_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XHA_PAGE_BYTES        4096
#define XHA_CHUNK_LITERAL_MAX (256u << 10) /* bytes */
#define XHA_CHUNK_RAW_MAX     (64u << 20)
#define XHA_CHUNK_RUNS_MAX    1024
#define XHA_CHUNK_HEADER      16
/* The longest chunk that xha_chunk_pack() makes. */
#define XHA_CHUNK_BYTES_MAX (XHA_CHUNK_HEADER + 8 * XHA_CHUNK_RUNS_MAX + XHA_CHUNK_LITERAL_MAX)

enum xha_codec { XHA_CODEC_NONE, XHA_CODEC_LZ4, XHA_CODEC_ZSTD, XHA_CODEC_N_ };

/* "none", "lz4", "zstd"; "" is lz4. false: no such word. */
bool xha_codec_parse(const char *word, enum xha_codec *codec_r);
const char *xha_codec_name(enum xha_codec codec);

struct xha_zero_run {
    uint32_t gap;   /* literal bytes between the run before and this one */
    uint32_t pages; /* at least 1 */
};

/* Memory for packing and unpacking; one at a time per thread. NULL: out of memory. */
struct xha_packer;
struct xha_packer *xha_packer_new(enum xha_codec codec);
void xha_packer_free(struct xha_packer *packer);

/* Packs into out (XHA_CHUNK_BYTES_MAX bytes); returns the length. literal_len ≤ XHA_CHUNK_LITERAL_MAX. */
size_t xha_chunk_pack(struct xha_packer *packer, const uint8_t *literal, size_t literal_len,
                      const struct xha_zero_run *runs, size_t n_runs, uint8_t *out);

/* A piece of the raw bytes; bytes NULL: zeros. Not 0: stop, and give that back. */
typedef int (*xha_piece_cb)(void *arg, const uint8_t *bytes, size_t len);

/*
 * Gives the raw bytes in order, at most XHA_CHUNK_RAW_MAX of them. 0, what piece() gave back, or -1 with a
 * text in err when it is no good chunk.
 */
int xha_chunk_unpack(struct xha_packer *packer, const uint8_t *chunk, size_t len, xha_piece_cb piece,
                     void *arg, char *err, size_t err_len);

#endif

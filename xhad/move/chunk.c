/*
 * chunk.c - see chunk.h.
 */
#include "xhad/move/chunk.h"
#include "xhad/move/bytes.h"

#include <lz4.h>
#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

#define ZSTD_LEVEL 1

static const char *const codec_names[XHA_CODEC_N_] = {
    [XHA_CODEC_NONE] = "none",
    [XHA_CODEC_LZ4] = "lz4",
    [XHA_CODEC_ZSTD] = "zstd",
};

struct xha_packer {
    enum xha_codec codec;
    ZSTD_CCtx *pack;
    ZSTD_DCtx *unpack; /* made when it is first needed */
    uint8_t literal[XHA_CHUNK_LITERAL_MAX];
};

bool xha_codec_parse(const char *word, enum xha_codec *codec_r)
{
    if (word[0] == '\0') {
        *codec_r = XHA_CODEC_LZ4;
        return true;
    }
    for (int i = 0; i < XHA_CODEC_N_; i++) {
        if (strcmp(word, codec_names[i]) == 0) {
            *codec_r = (enum xha_codec)i;
            return true;
        }
    }
    return false;
}

const char *xha_codec_name(enum xha_codec codec)
{
    return codec_names[codec];
}

struct xha_packer *xha_packer_new(enum xha_codec codec)
{
    struct xha_packer *p = malloc(sizeof(*p));

    if (!p)
        return NULL;
    p->codec = codec;
    p->unpack = NULL;
    p->pack = codec == XHA_CODEC_ZSTD ? ZSTD_createCCtx() : NULL;
    if (codec == XHA_CODEC_ZSTD && !p->pack) {
        free(p);
        return NULL;
    }
    return p;
}

void xha_packer_free(struct xha_packer *packer)
{
    if (!packer)
        return;
    ZSTD_freeCCtx(packer->pack);
    ZSTD_freeDCtx(packer->unpack);
    free(packer);
}

/* ---- packing ---- */

/* Bytes written to out, fewer than len; 0: it does not get smaller. */
static size_t squeeze(struct xha_packer *p, const uint8_t *literal, size_t len, uint8_t *out)
{
    size_t n;

    if (len < 32 || p->codec == XHA_CODEC_NONE)
        return 0;
    if (p->codec == XHA_CODEC_LZ4) {
        int r = LZ4_compress_default((const char *)literal, (char *)out, (int)len, (int)len - 1);

        return r > 0 ? (size_t)r : 0;
    }
    n = ZSTD_compressCCtx(p->pack, out, len - 1, literal, len, ZSTD_LEVEL);
    return ZSTD_isError(n) ? 0 : n;
}

size_t xha_chunk_pack(struct xha_packer *packer, const uint8_t *literal, size_t literal_len,
                      const struct xha_zero_run *runs, size_t n_runs, uint8_t *out)
{
    uint8_t *p = out + XHA_CHUNK_HEADER;
    size_t raw_len = literal_len, packed;

    for (size_t i = 0; i < n_runs; i++, p += 8) {
        xha_put32(p, runs[i].gap);
        xha_put32(p + 4, runs[i].pages);
        raw_len += (size_t)runs[i].pages * XHA_PAGE_BYTES;
    }
    packed = squeeze(packer, literal, literal_len, p);
    if (packed == 0 && literal_len > 0)
        memcpy(p, literal, literal_len);
    xha_put32(out, packed > 0 ? packer->codec : XHA_CODEC_NONE);
    xha_put32(out + 4, (uint32_t)raw_len);
    xha_put32(out + 8, (uint32_t)literal_len);
    xha_put32(out + 12, (uint32_t)n_runs);
    return (size_t)(p - out) + (packed > 0 ? packed : literal_len);
}

/* ---- unpacking ---- */

/* The literal bytes, in place or in p->literal; NULL: damaged. */
static const uint8_t *expand(struct xha_packer *p, uint32_t codec, const uint8_t *packed, size_t packed_len,
                             size_t literal_len)
{
    if (codec == XHA_CODEC_NONE)
        return packed_len == literal_len ? packed : NULL;
    if (codec == XHA_CODEC_LZ4) {
        int r =
            LZ4_decompress_safe((const char *)packed, (char *)p->literal, (int)packed_len, (int)literal_len);

        return r >= 0 && (size_t)r == literal_len ? p->literal : NULL;
    }
    if (!p->unpack && !(p->unpack = ZSTD_createDCtx()))
        return NULL;
    return ZSTD_decompressDCtx(p->unpack, p->literal, literal_len, packed, packed_len) == literal_len
               ? p->literal
               : NULL;
}

/* Whether the runs fit the numbers of the header. */
static bool runs_are_sound(const uint8_t *runs, uint32_t n_runs, uint32_t literal_len, uint32_t raw_len)
{
    uint64_t gaps = 0, pages = 0;

    for (uint32_t i = 0; i < n_runs; i++) {
        gaps += xha_get32(runs + 8 * (size_t)i);
        pages += xha_get32(runs + 8 * (size_t)i + 4);
        if (xha_get32(runs + 8 * (size_t)i + 4) == 0)
            return false;
    }
    return gaps <= literal_len && literal_len + pages * XHA_PAGE_BYTES == raw_len;
}

static int give_pieces(const uint8_t *runs, uint32_t n_runs, const uint8_t *literal, size_t literal_len,
                       xha_piece_cb piece, void *arg)
{
    const uint8_t *end = literal + literal_len;
    int r;

    for (uint32_t i = 0; i < n_runs; i++) {
        const size_t gap = xha_get32(runs + 8 * (size_t)i), pages = xha_get32(runs + 8 * (size_t)i + 4);

        if (gap > 0 && (r = piece(arg, literal, gap)) != 0)
            return r;
        literal += gap;
        if ((r = piece(arg, NULL, pages * XHA_PAGE_BYTES)) != 0)
            return r;
    }
    return end > literal ? piece(arg, literal, (size_t)(end - literal)) : 0;
}

int xha_chunk_unpack(struct xha_packer *packer, const uint8_t *chunk, size_t len, xha_piece_cb piece,
                     void *arg, char *err, size_t err_len)
{
    uint32_t codec, raw_len, literal_len, n_runs;
    const uint8_t *runs = chunk + XHA_CHUNK_HEADER, *literal;
    size_t head;

    if (len < XHA_CHUNK_HEADER)
        goto damaged;
    codec = xha_get32(chunk);
    raw_len = xha_get32(chunk + 4);
    literal_len = xha_get32(chunk + 8);
    n_runs = xha_get32(chunk + 12);
    if (codec >= XHA_CODEC_N_ || literal_len > XHA_CHUNK_LITERAL_MAX || raw_len > XHA_CHUNK_RAW_MAX ||
        n_runs > XHA_CHUNK_RUNS_MAX)
        goto damaged;
    head = XHA_CHUNK_HEADER + 8 * (size_t)n_runs;
    if (len < head || len - head > XHA_CHUNK_LITERAL_MAX ||
        !runs_are_sound(runs, n_runs, literal_len, raw_len))
        goto damaged;
    literal = expand(packer, codec, chunk + head, len - head, literal_len);
    if (!literal)
        goto damaged;
    return give_pieces(runs, n_runs, literal, literal_len, piece, arg);

damaged:
    snprintf(err, err_len, "the peer sent a damaged piece of the stream");
    return -1;
}

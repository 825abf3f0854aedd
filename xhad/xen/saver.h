/*
 * saver.h - takes libxl's stream out of a pipe at once, so that the guest waits for memory and not for a
 * disk, and writes it to a file, compressed or not, with a checksum of the file.
 *
 * Two threads: one drains the pipe into memory, at most as much as the limit says; one packs and writes. When
 * writing fails (a full disk), the stream is still drained to its end and dropped: libxl ends its save in
 * good order, and the guest loses nothing.
 */
#ifndef XHA_XEN_SAVER_H
#define XHA_XEN_SAVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct xha_saver;

struct xha_saver_plan {
    int file_fd;      /* stays the caller's */
    const void *head; /* written before the stream; copied */
    size_t head_len;
    bool zstd;
    int level;
    uint64_t memory_limit;   /* bytes held in memory at most */
    void (*tick)(void *arg); /* called every few milliseconds from the draining thread; NULL: not */
    void *tick_arg;
};

struct xha_saved {
    int error;             /* errno of what failed, 0: all is written and synced */
    uint64_t stream_bytes; /* head and stream */
    uint64_t file_bytes;
    char sum[33]; /* XXH3-128 of the file's bytes */
};

/* Starts the threads. *stream_fd_r is what libxl writes to; it belongs to the saver. 0, or -1 with errno. */
int xha_saver_start(const struct xha_saver_plan *plan, struct xha_saver **saver_r, int *stream_fd_r);

/* The stream is at its end: waits until all is written and synced; frees the saver. */
void xha_saver_finish(struct xha_saver *saver, struct xha_saved *saved_r);

#endif

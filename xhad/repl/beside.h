/*
 * beside.h - what goes with a domain's memory over the same wire, epoch by epoch, in frames of its own: its gated disks.
 *
 * Called by the threads of out.h and in.h that have the wire, and by nobody else. Whatever returns an int returns 0, or
 * -1 with a text in err, which ends the replication.
 */
#ifndef XHA_REPL_BESIDE_H
#define XHA_REPL_BESIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Queues a frame XHA_FRAME_REPL_DISK. */
typedef int (*xha_beside_put_cb)(void *arg, const void *payload, size_t len);

struct xha_out_beside {
    int fd; /* readable when there is something to pass on */
    void *arg;
    int (*pass)(void *arg, size_t max_bytes, xha_beside_put_cb put, void *put_arg, char *err, size_t err_len);
    int (*hear)(void *arg, const uint8_t *payload, size_t len, char *err, size_t err_len);
    bool (*has_passed)(void *arg, uint64_t epoch); /* before, the end of the epoch is not sent */
};

struct xha_in_beside {
    int fd; /* readable when there is something to say, or held */
    void *arg;
    bool (*has_room)(void *arg); /* before, no frame is taken */
    int (*hear)(void *arg, const uint8_t *payload, size_t len, char *err, size_t err_len);
    bool (*is_used)(void *arg);                                        /* something was heard */
    int (*hold)(void *arg, uint64_t epoch, char *err, size_t err_len); /* the memory of the epoch is here */
    /* Says what is to be said; held_r: the last epoch that is held, and may be acknowledged. */
    int (*turn)(void *arg, xha_beside_put_cb put, void *put_arg, uint64_t *held_r, char *err, size_t err_len);
};

#endif

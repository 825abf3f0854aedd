/*
 * gate_out.h - the gated disks of a domain at its owner, for the sender.
 *
 *   main thread                                       thread that has the wire
 *   xha_gate_out_open()
 *                                                     xha_gate_out_pass(), whenever its fd is readable and the wire
 *   xha_gate_out_is_synced(), until it is             has room; xha_gate_out_hear() of what the backup says
 *   for each epoch, from 1 on:
 *     guest suspended: xha_gate_out_barrier(E)
 *     guest runs                                      sends the end of the memory's epoch E only when
 *                                                     xha_gate_out_has_passed(E)
 *     the backup has E: xha_gate_out_committed(E)
 *   xha_gate_out_close()
 *
 * When it is closed, the guest's writes go on, and what may differ from the backup is remembered, until the next time. Only
 * xha_gate_end(), when it is ordered that the domain goes on without a backup, takes back that it may have been promoted.
 */
#ifndef XHA_DISK_GATE_OUT_H
#define XHA_DISK_GATE_OUT_H

#include "xhad/disk/gate_disk.h"

struct xha_gate_out;

/* sockets: where the plugins' are, XHA_GATE_SOCKETS. 0, or -1 with a text in err. */
int xha_gate_out_open(const char *sockets, const struct xha_gate_disks *disks, struct xha_gate_out **gate_r,
                      char *err, size_t err_len);
void xha_gate_out_close(struct xha_gate_out *gate);

/* ---- the thread that has the wire ---- */

/* Readable when there is something to pass. */
int xha_gate_out_fd(const struct xha_gate_out *gate);

/* Hands on words, each as the payload of a frame, of about max_bytes at most. 0, or -1 with a text in err. */
typedef int (*xha_gate_put_cb)(void *arg, const void *payload, size_t len);
int xha_gate_out_pass(struct xha_gate_out *gate, size_t max_bytes, xha_gate_put_cb put, void *arg, char *err,
                      size_t err_len);

/* A frame of the backup's. 0, or -1 with a text in err. */
int xha_gate_out_hear(struct xha_gate_out *gate, const uint8_t *payload, size_t len, char *err,
                      size_t err_len);

/* All of the disks' words of the epoch were handed on. */
bool xha_gate_out_has_passed(const struct xha_gate_out *gate, uint64_t epoch);

/* ---- the main thread ---- */

/* Whether the backup has all of the disks, so that the first epoch may begin; how much of them it has not. */
bool xha_gate_out_is_synced(struct xha_gate_out *gate, uint64_t *todo_bytes_r, uint64_t *total_bytes_r);

/* 0, or -1 with a text in err. */
int xha_gate_out_barrier(struct xha_gate_out *gate, uint64_t epoch, char *err, size_t err_len);
int xha_gate_out_committed(struct xha_gate_out *gate, uint64_t epoch, char *err, size_t err_len);

/* ---- whoever ---- */

/* It is ordered that the domain goes on here without a backup. 0, or -1 with a text in err. */
int xha_gate_end(const char *sockets, const struct xha_gate_disks *disks, char *err, size_t err_len);

#endif

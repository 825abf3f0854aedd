/*
 * gate_in.h - the gated disks of a domain at its backup, for the receiver.
 *
 * What comes is handed to the disks by a thread, so that whoever has the wire never waits for a disk: a peer is not to
 * be taken for dead because of a slow one. It says by a descriptor when it has something to tell.
 */
#ifndef XHA_DISK_GATE_IN_H
#define XHA_DISK_GATE_IN_H

#include "xhad/disk/gate_disk.h"
#include "xhad/disk/gate_out.h"

struct xha_gate_in;

/* 0, or -1 with a text in err. */
int xha_gate_in_open(const char *sockets, const struct xha_gate_disks *disks, struct xha_gate_in **gate_r,
                     char *err, size_t err_len);
/* What is not held is dropped; the disks stay a backup's unless they were promoted. */
void xha_gate_in_close(struct xha_gate_in *gate);

/* ---- whoever has the wire ---- */

/* Readable when an epoch is held, there is something to say, or it failed. */
int xha_gate_in_fd(const struct xha_gate_in *gate);

/* Whether another frame may be taken. */
bool xha_gate_in_has_room(struct xha_gate_in *gate);

/* A frame of the sender's. 0, or -1 with a text in err, also when something failed before. */
int xha_gate_in_hear(struct xha_gate_in *gate, const uint8_t *payload, size_t len, char *err, size_t err_len);

/* Something was heard: the sender's disks are gated, too. */
bool xha_gate_in_is_used(struct xha_gate_in *gate);

/* The memory of this epoch is here whole: its disks' part is to be held. */
int xha_gate_in_hold(struct xha_gate_in *gate, uint64_t epoch, char *err, size_t err_len);

/* Hands on what the disks say to the sender; the last epoch that is held by all of them. -1 with a text in err. */
int xha_gate_in_turn(struct xha_gate_in *gate, xha_gate_put_cb put, void *arg, uint64_t *held_r, char *err,
                     size_t err_len);

/* ---- whoever ends it ---- */

/*
 * The disks become what they were as of the last epoch that is held, which must be this one, and are the domain's from
 * then on. 0, or -1 with a text in err: they cannot be used.
 */
int xha_gate_in_promote(struct xha_gate_in *gate, uint64_t epoch, char *err, size_t err_len);

#endif

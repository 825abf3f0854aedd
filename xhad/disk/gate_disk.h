/*
 * gate_disk.h - the gated disks of a domain, by name, as the workers see them. Pure.
 *
 * A disk NAME is /dev/xha/NAME on every host: that is how a domain's configuration has it, so it fits wherever the domain
 * is. A frame XHA_FRAME_REPL_DISK carries u32 the disk's number in the domain's configuration, then a word (word.h).
 */
#ifndef XHA_DISK_GATE_DISK_H
#define XHA_DISK_GATE_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "xhad/disk/word.h"

#define XHA_GATE_DEVICES    "/dev/xha/"
#define XHA_GATE_SOCKETS    XHA_RUN_DIR "/disks"
#define XHA_GATE_DISKS_MAX  16
#define XHA_GATE_NAME_MAX   64 /* with its NUL */
#define XHA_GATE_FRAME_HEAD (4 + XHA_WORD_HEAD)
#define XHA_GATE_FRAME_MAX  (XHA_GATE_FRAME_HEAD + XHA_WORD_DATA_MAX)

struct xha_gate_disks {
    unsigned n;
    char name[XHA_GATE_DISKS_MAX][XHA_GATE_NAME_MAX];
};

/* Letters, digits, and any of "-_." but in front. */
bool xha_gate_name_is_good(const char *name);

/* The name of the disk that a domain's configuration has by this path; NULL: it is no gated one. */
const char *xha_gate_name(const char *path);

/* DIR/NAME.sock. 0, or -1: too long. */
int xha_gate_socket(const char *dir, const char *name, char *path, size_t path_len);

/* Whose frame it is, of hostile bytes: 0 with the word, whose data follow XHA_GATE_FRAME_HEAD; or -1. */
int xha_gate_frame_get(const uint8_t *bytes, size_t len, unsigned disks, unsigned *disk_r,
                       struct xha_word *word_r);

#endif

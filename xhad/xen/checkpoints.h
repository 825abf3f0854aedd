/*
 * checkpoints.h - the directory of a domain's checkpoints.
 *
 * NUMBER.xlsave or NUMBER.xlsave.zst is the save file, NUMBER.json its manifest, which is put in place last:
 * a checkpoint exists when its manifest does. Whatever else is there with such a name is left from a worker
 * that was killed. Only a worker that holds the domain's lock writes here.
 */
#ifndef XHA_XEN_CHECKPOINTS_H
#define XHA_XEN_CHECKPOINTS_H

#include <jansson.h>
#include "xhad/core/core.h"

#define XHA_CKPT_SUM_TEXT 33 /* XXH3-128 in hexadecimal, with its NUL */

struct xha_ckpt {
    uint64_t number;
    bool torn;             /* the manifest cannot be read: only the number is known */
    int64_t time_ms;       /* since 1970 */
    uint64_t bytes;        /* of the file */
    uint64_t stream_bytes; /* of what is in it, unpacked; 0: not known */
    bool zstd;
    bool live;                          /* saved while the guest ran on */
    bool snapshot;                      /* the snapshot command was run for it */
    bool imported;                      /* not saved here, but brought in by somebody */
    int64_t pause_ms;                   /* how long the guest stood still */
    char sum[XHA_CKPT_SUM_TEXT];        /* of the bytes of the file */
    char config_sum[XHA_CKPT_SUM_TEXT]; /* of the configuration in it */
    char name[XHA_NAME_MAX];
    struct xha_uuid uuid;
    char xen_version[48];
};

/* All of them, newest first; the caller frees *list_r. A directory that is not there is empty. 0, or -1 with
 * errno. */
int xha_ckpt_list(const char *dir, struct xha_ckpt **list_r, size_t *n_r);

/* Manifest as JSON and back. Reading checks every field; NULL or -1 when it cannot be done. */
json_t *xha_ckpt_to_json(const struct xha_ckpt *ckpt);
int xha_ckpt_from_json(const json_t *json, struct xha_ckpt *ckpt_r);

/* "DIR/NUMBER.xlsave[.zst]" and "DIR/NUMBER.json"; 0, or -1 when it does not fit. */
int xha_ckpt_file(const char *dir, const struct xha_ckpt *ckpt, char *path, size_t len);
int xha_ckpt_manifest(const char *dir, uint64_t number, char *path, size_t len);

/* As a checksum is written: 32 hexadecimal digits. */
struct XXH3_state_s;
void xha_ckpt_sum_text(const struct XXH3_state_s *hash, char sum_r[XHA_CKPT_SUM_TEXT]);
/* The same of some bytes. */
void xha_ckpt_sum_bytes(const void *bytes, size_t len, char sum_r[XHA_CKPT_SUM_TEXT]);

/* Puts the manifest in place, durably. 0, or -1 with errno. */
int xha_ckpt_commit(const char *dir, const struct xha_ckpt *ckpt);

/* Manifest first, then the file. 0, or -1 with errno. */
int xha_ckpt_remove(const char *dir, const struct xha_ckpt *ckpt);

/* Removes what killed workers left. The highest number seen, whole or not: the next one is above it. */
uint64_t xha_ckpt_clean(const char *dir);

/*
 * Which to drop: all but the newest `keep` (0: any number stays), and those older than keep_age_s (0: any age
 * stays); torn ones always; the newest that is not torn never. drop_r has n places.
 */
void xha_ckpt_choose(const struct xha_ckpt *newest_first, size_t n, uint32_t keep, uint32_t keep_age_s,
                     int64_t now_ms, bool *drop_r);

/* Reads the whole file and compares. 0, or -1 with a text for people in err. */
int xha_ckpt_verify(const char *dir, const struct xha_ckpt *ckpt, char *err, size_t err_len);

#endif

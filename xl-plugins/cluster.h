/*
 * cluster.h - what the files of xl-ha cluster share.
 */
#ifndef XLHA_CLUSTER_H
#define XLHA_CLUSTER_H

#include <sys/types.h>
#include "xl-plugins/corosync_conf.h"
#include "xl-plugins/xl-ha.h"

#define XLHA_AUTHKEY_BYTES   256
#define XLHA_CLUSTER_KEY_HEX 64 /* digits; a newline follows in the file */
#define XLHA_BUNDLE_VERSION  1

/* ---- cluster_files.c; what returns int returns an exit code, after saying what is wrong ---- */

/* Where they are; below --root. */
struct xlha_cluster_files {
    char conf[1024], authkey[1024], cluster_key[1024];
};

void xlha_cluster_files(const struct xlha *x, struct xlha_cluster_files *files_r);

/* corosync.conf, whole and read; *text_r from malloc(). */
int xlha_cluster_read(const struct xlha_cluster_files *files, char **text_r, struct xlha_corosync *c_r);

int xlha_cluster_write(const char *path, mode_t mode, const void *data, size_t len);

/* Nothing is overwritten that may be in use, but for the example that Debian's package installs. */
int xlha_cluster_refuse(const struct xlha *x, const struct xlha_cluster_files *files);

int xlha_cluster_new_keys(unsigned char authkey[XLHA_AUTHKEY_BYTES],
                          char cluster_key[XLHA_CLUSTER_KEY_HEX + 2]);
int xlha_cluster_read_key(const char *path, size_t least, char **data_r, size_t *len_r);

/* What xl-ha cluster bundle writes. conf and cluster_key are object's. */
struct xlha_cluster_bundle {
    json_t *object;
    const char *conf, *cluster_key;
    unsigned char authkey[4096];
    size_t authkey_len;
    struct xlha_corosync c;
};

/* b is all zero; its object is the caller's to release, also after an error. */
int xlha_cluster_read_bundle(const char *path, struct xlha_cluster_bundle *b);

/* ---- cmd_cluster.c ---- */

/* {"written": [], "notes": [], "next": []}, lists of texts; _print() prints and frees it. */
json_t *xlha_cluster_answer(void);
void xlha_cluster_say(json_t *texts, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int xlha_cluster_print(const struct xlha *x, json_t *answer);

/* What this number of hosts means for who may act, as texts appended to notes. */
void xlha_cluster_explain(const struct xlha_corosync *c, bool two_node, json_t *notes);

/* cluster_files.c: by its addresses, else by its name; NULL: none of them. */
const struct xlha_corosync_host *xlha_cluster_this_host(const struct xlha_corosync *c);

/* cluster_leave.c */
int xlha_cluster_leave(struct xlha *x);

/* cluster_status.c: asks the corosync that runs here and prints; an exit code. */
int xlha_cluster_status(struct xlha *x, const struct xlha_corosync *c);

#endif

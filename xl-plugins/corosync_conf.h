/*
 * corosync_conf.h - corosync.conf as xl-ha writes, reads and changes it. Pure: text in, text out.
 *
 * A file is read only for what we have to know of it; a change leaves all other lines as they are, so that
 * what somebody tuned by hand stays.
 */
#ifndef XLHA_COROSYNC_CONF_H
#define XLHA_COROSYNC_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xhad/core/timing.h"

#define XLHA_COROSYNC_HOSTS_MAX 64
#define XLHA_COROSYNC_WORD_MAX  256 /* bytes of a name or address, with the NUL */
#define XLHA_COROSYNC_WHY_MAX   512
#define XLHA_COROSYNC_FILE_MAX  (1 << 20)

struct xlha_corosync {
    char name[XLHA_COROSYNC_WORD_MAX]; /* of the cluster */
    uint32_t version;                  /* config_version */
    size_t n;
    struct xlha_corosync_host {
        char name[XLHA_COROSYNC_WORD_MAX];
        uint32_t nodeid; /* 1 to 64; a host's id is one less */
        char address[2][XLHA_COROSYNC_WORD_MAX];
    } host[XLHA_COROSYNC_HOSTS_MAX];
    char qdevice[XLHA_COROSYNC_WORD_MAX]; /* "": none */
    bool two_node, wait_for_all;
};

/* All that return int: 0, or -1 with why, for people. */

int xlha_corosync_set_name(struct xlha_corosync *c, const char *name, char why[XLHA_COROSYNC_WHY_MAX]);
int xlha_corosync_set_qdevice(struct xlha_corosync *c, const char *host, char why[XLHA_COROSYNC_WHY_MAX]);

/* "NAME=ADDRESS[,ADDRESS]"; the host gets the lowest nodeid that is free. */
int xlha_corosync_add(struct xlha_corosync *c, const char *spec, char why[XLHA_COROSYNC_WHY_MAX]);

/* The host of this name, or NULL. */
const struct xlha_corosync_host *xlha_corosync_find(const struct xlha_corosync *c, const char *name);

/* A new file, from malloc(); NULL: no memory. Decides two_node and wait_for_all by the number of hosts. */
char *xlha_corosync_text(const struct xlha_corosync *c, const struct xha_timing *timing);

/* What a file says; it must have a nodelist with nodeids from 1 to 64. */
int xlha_corosync_parse(const char *text, struct xlha_corosync *c_r, char why[XLHA_COROSYNC_WHY_MAX]);

/*
 * The file with one host more (c's last, by _add()) or without the host of this nodeid, the version raised by
 * one, and two_node as it has to be for the new number; from malloc(). NULL: no memory.
 */
char *xlha_corosync_with(const char *text, const struct xlha_corosync *c);
char *xlha_corosync_without(const char *text, const struct xlha_corosync *c, uint32_t nodeid);

#endif

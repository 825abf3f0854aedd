/*
 * summary.h - what is worth knowing of a configuration in libxl's JSON. Pure; works where no Xen runs.
 */
#ifndef XHA_XEN_SUMMARY_H
#define XHA_XEN_SUMMARY_H

#include <jansson.h>
#include "xhad/core/core.h"

/*
 * Makes a configuration repeatable: the UUID pinned (uuid: given from outside, or NULL for the one in it),
 * and a MAC for each network card without one, made from the UUID, so that each start of the domain has the
 * same. 0, or -1 with a text in err.
 */
int xha_summary_pin(json_t *config, const struct xha_uuid *uuid, char *err, size_t err_len);

/* {config_json, name, uuid, memory_kib, type, vcpus, disks: [{path, vdev, rw}]}; NULL with a text in err. */
json_t *xha_summary(json_t *config, char *err, size_t err_len);

/* Whether a disk of libxl's JSON can be written to by the guest. */
bool xha_summary_disk_rw(const json_t *disk);

#endif

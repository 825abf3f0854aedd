/*
 * domain_config.c - see domain_config.h.
 */
#include "xhad/xen/domain_config.h"
#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int xha_config_from_json(struct xha_work *w, const char *source, const char *json,
                         libxl_domain_config *config_r, char *err, size_t err_len)
{
    struct xha_uuid uuid;

    xha_lx_forget(&w->lx);
    if (libxl_domain_config_from_json(w->lx.ctx, config_r, json)) {
        snprintf(err, err_len, "%s is no configuration that this libxl takes: %s", source,
                 xha_lx_error(&w->lx));
        return -1;
    }
    xha_uuid_of_libxl(&config_r->c_info.uuid, &uuid);
    if (memcmp(uuid.b, w->job.uuid.b, sizeof(uuid.b)) != 0) {
        snprintf(err, err_len, "%s is of another domain: its UUID is " LIBXL_UUID_FMT, source,
                 LIBXL_UUID_BYTES(config_r->c_info.uuid));
        return -1;
    }
    return 0;
}

int xha_config_load(struct xha_work *w, const char *path, libxl_domain_config *config_r, char *err,
                    size_t err_len)
{
    XHA_CLEANUP_FREE char *json = NULL;
    size_t len;

    if (xha_file_read(path, XHA_CONFIG_BYTES_MAX, &json, &len) < 0) {
        snprintf(err, err_len, "%s cannot be read: %s", path, strerror(errno));
        return -1;
    }
    if (strlen(json) != len) {
        snprintf(err, err_len, "%s is no text", path);
        return -1;
    }
    return xha_config_from_json(w, path, json, config_r, err, err_len);
}

char *xha_config_of_domain(struct xha_work *w, uint32_t domid, libxl_domain_config *config_r)
{
    libxl_domain_config own, *config = config_r;
    char *json = NULL;

    if (!config) {
        libxl_domain_config_init(&own);
        config = &own;
    }
    xha_lx_forget(&w->lx);
    if (libxl_retrieve_domain_configuration(w->lx.ctx, domid, config, NULL) == 0) {
        config->c_info.domid = 0; /* whatever is free next time */
        json = libxl_domain_config_to_json(w->lx.ctx, config);
    }
    if (!config_r)
        libxl_domain_config_dispose(&own);
    return json;
}

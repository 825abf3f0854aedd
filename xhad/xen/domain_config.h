/*
 * domain_config.h - configurations of domains: libxl's JSON, kept from the moment of protection on.
 */
#ifndef XHA_XEN_DOMAIN_CONFIG_H
#define XHA_XEN_DOMAIN_CONFIG_H

#include "xhad/xen/work.h"

#define XHA_CONFIG_BYTES_MAX (1 << 20) /* of a configuration as JSON */

/*
 * Reads a file with libxl's JSON into config_r, which the caller has initialised and disposes of. The UUID in
 * it must be the job's. 0, or -1 with a text in err.
 */
int xha_config_load(struct xha_work *w, const char *path, libxl_domain_config *config_r, char *err,
                    size_t err_len);

/* The same from memory (NUL-terminated); source names it in messages. */
int xha_config_from_json(struct xha_work *w, const char *source, const char *json,
                         libxl_domain_config *config_r, char *err, size_t err_len);

/*
 * The configuration of a running domain as JSON text, fit to create it anew: without its present domid. The
 * caller frees it. NULL: xha_lx_error() says why. config_r as above, or NULL.
 */
char *xha_config_of_domain(struct xha_work *w, uint32_t domid, libxl_domain_config *config_r);

#endif

/*
 * save_header.h - the beginning of a save file, as xl writes and reads it. Pure.
 *
 * 32 bytes of magic; four 32-bit numbers in the host's byte order: 0x01020304, mandatory flags, optional
 * flags, the length of what follows; then a 32-bit length and the domain's configuration as JSON with its
 * NUL; then libxl's stream. From tools/xl/xl.h and xl_saverestore.c of Xen.
 */
#ifndef XHA_XEN_SAVE_HEADER_H
#define XHA_XEN_SAVE_HEADER_H

#include <stddef.h>
#include <stdint.h>

#define XHA_SAVE_FIXED      48        /* bytes before the optional data */
#define XHA_SAVE_CONFIG_MAX (1 << 20) /* bytes of a configuration that are taken */

/* Makes the whole header for a configuration. The caller frees *header_r. 0, or -1 (too long, or no memory).
 */
int xha_save_header_make(const char *config_json, uint8_t **header_r, size_t *len_r);

/*
 * Checks the fixed part; 0 with the length of the optional data, which follows it, or -1 with a text in err.
 */
int xha_save_header_check(const uint8_t fixed[XHA_SAVE_FIXED], uint32_t *optional_len_r, char *err,
                          size_t err_len);

/*
 * Finds the configuration in the optional data: NUL-terminated inside it. NULL with a text in err.
 */
const char *xha_save_header_config(const uint8_t *optional, uint32_t len, char *err, size_t err_len);

#endif

/*
 * save_header.c - see save_header.h.
 */
#include "xhad/xen/save_header.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTEORDER         0x01020304u
#define BYTEORDER_FOREIGN 0x04030201u
#define FLAG_JSON         1u /* the configuration is JSON, not an xl.cfg */
#define FLAG_STREAM_V2    2u /* the stream is of version 2 */

static const char magic[32] = "Xen saved domain, xl format\n \0 \r";

int xha_save_header_make(const char *config_json, uint8_t **header_r, size_t *len_r)
{
    size_t config_len = strlen(config_json) + 1;
    uint32_t numbers[5] = { BYTEORDER, FLAG_JSON | FLAG_STREAM_V2, 0, (uint32_t)config_len + 4,
                            (uint32_t)config_len };
    uint8_t *header;

    if (config_len > XHA_SAVE_CONFIG_MAX)
        return -1;
    header = malloc(sizeof(magic) + sizeof(numbers) + config_len);
    if (!header)
        return -1;
    memcpy(header, magic, sizeof(magic));
    memcpy(header + sizeof(magic), numbers, sizeof(numbers));
    memcpy(header + sizeof(magic) + sizeof(numbers), config_json, config_len);
    *header_r = header;
    *len_r = sizeof(magic) + sizeof(numbers) + config_len;
    return 0;
}

int xha_save_header_check(const uint8_t fixed[XHA_SAVE_FIXED], uint32_t *optional_len_r, char *err,
                          size_t err_len)
{
    uint32_t numbers[4];
    const char *what = NULL;

    memcpy(numbers, fixed + sizeof(magic), sizeof(numbers));
    if (memcmp(fixed, magic, sizeof(magic)) != 0)
        what = "it is no save file of xl's";
    else if (numbers[0] == BYTEORDER_FOREIGN)
        what = "it was saved on a machine of the other byte order";
    else if (numbers[0] != BYTEORDER)
        what = "its header is damaged";
    else if (numbers[1] & ~(FLAG_JSON | FLAG_STREAM_V2))
        what = "it was saved by a newer xl, with features that are not known here";
    else if (!(numbers[1] & FLAG_JSON) || !(numbers[1] & FLAG_STREAM_V2))
        what = "it was saved by an xl older than 4.6: restore and save it with xl first";
    else if (numbers[3] < 5 || numbers[3] > XHA_SAVE_CONFIG_MAX + 4)
        what = "its configuration is missing or too long";
    if (what) {
        snprintf(err, err_len, "%s", what);
        return -1;
    }
    *optional_len_r = numbers[3];
    return 0;
}

const char *xha_save_header_config(const uint8_t *optional, uint32_t len, char *err, size_t err_len)
{
    uint32_t config_len;

    if (len >= 5) {
        memcpy(&config_len, optional, 4);
        if (config_len >= 1 && config_len <= len - 4 &&
            strnlen((const char *)optional + 4, config_len) == config_len - 1)
            return (const char *)optional + 4;
    }
    snprintf(err, err_len, "its configuration is damaged");
    return NULL;
}

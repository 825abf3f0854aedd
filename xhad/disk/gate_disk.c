/*
 * gate_disk.c - see gate_disk.h.
 */
#include "xhad/disk/gate_disk.h"
#include "xhad/move/bytes.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

bool xha_gate_name_is_good(const char *name)
{
    const size_t len = strnlen(name, XHA_GATE_NAME_MAX);

    if (len == 0 || len == XHA_GATE_NAME_MAX || !isalnum((unsigned char)name[0]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("-_.", name[i]))
            return false;
    return true;
}

const char *xha_gate_name(const char *path)
{
    const size_t len = strlen(XHA_GATE_DEVICES);

    return strncmp(path, XHA_GATE_DEVICES, len) == 0 && xha_gate_name_is_good(path + len) ? path + len : NULL;
}

int xha_gate_socket(const char *dir, const char *name, char *path, size_t path_len)
{
    return (size_t)snprintf(path, path_len, "%s/%s.sock", dir, name) < path_len ? 0 : -1;
}

int xha_gate_frame_get(const uint8_t *bytes, size_t len, unsigned disks, unsigned *disk_r,
                       struct xha_word *word_r)
{
    if (len < XHA_GATE_FRAME_HEAD || xha_get32(bytes) >= disks || xha_word_get(bytes + 4, word_r) < 0 ||
        word_r->len != len - XHA_GATE_FRAME_HEAD)
        return -1;
    *disk_r = xha_get32(bytes);
    return 0;
}

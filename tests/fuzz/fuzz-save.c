/*
 * What surrounds a save file: its header, which may come from anywhere, its manifest, and lists of CPUs. A
 * reader either refuses with a text or gives values that can be written and read again.
 */
#include <stdlib.h>
#include <string.h>

#include "xhad/xen/affinity.h"
#include "xhad/xen/checkpoints.h"
#include "xhad/xen/save_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_header(const uint8_t *data, size_t size)
{
    char err[256] = "";
    const char *config;
    uint32_t len = 0;

    if (size < XHA_SAVE_FIXED)
        return;
    if (xha_save_header_check(data, &len, err, sizeof(err)) < 0) {
        if (!err[0])
            abort();
        len = (uint32_t)(size - XHA_SAVE_FIXED);
    }
    if (len > size - XHA_SAVE_FIXED)
        return;
    config = xha_save_header_config(data + XHA_SAVE_FIXED, len, err, sizeof(err));
    if (config && config + strlen(config) >= (const char *)data + size)
        abort();
}

static void read_manifest(const uint8_t *data, size_t size)
{
    json_t *json = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL), *again;
    struct xha_ckpt ckpt;

    if (json && xha_ckpt_from_json(json, &ckpt) == 0) {
        again = xha_ckpt_to_json(&ckpt);
        if (!again || xha_ckpt_from_json(again, &ckpt) < 0)
            abort();
        json_decref(again);
    }
    json_decref(json);
}

static void read_affinity(const uint8_t *data, size_t size)
{
    struct xha_affinity affinity;
    char text[256], err[256] = "";

    if (size >= sizeof(text))
        return;
    memcpy(text, data, size);
    text[size] = '\0';
    if (xha_affinity_parse(text, 64, &affinity, err, sizeof(err)) < 0 && !err[0])
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_header(data, size);
    read_manifest(data, size);
    read_affinity(data, size);
    return 0;
}

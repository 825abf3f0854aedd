/*
 * What a fence agent says of itself: arbitrary bytes as metadata. They are refused, or give names that end, and that
 * are found again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "xhad/cluster/fence_meta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct xha_fence_meta meta;

    if (xha_fence_meta_parse((const char *)data, size, &meta) < 0)
        return 0;
    if (meta.n > XHA_FENCE_META_PARAMS)
        abort();
    for (size_t i = 0; i < meta.n; i++) {
        const struct xha_fence_param *param = &meta.param[i];

        if (!memchr(param->name, 0, sizeof(param->name)) ||
            !memchr(param->obsoletes, 0, sizeof(param->obsoletes)) ||
            !xha_fence_meta_find(&meta, param->name))
            abort();
    }
    return 0;
}

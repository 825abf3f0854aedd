/*
 * Messages between xhad and its observer: whatever is taken for one comes out the same after packing it
 * again.
 */
#include <stdlib.h>
#include <string.h>

#include "xhad/base/observe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t once[XHA_OBS_BYTES], twice[XHA_OBS_BYTES];
    struct xha_obs obs;

    if (xha_obs_unpack(data, size, &obs) != XHA_OBS_OK)
        return 0;
    if (xha_obs_pack(&obs, once) != XHA_OBS_OK)
        abort();
    if (xha_obs_unpack(once, sizeof(once), &obs) != XHA_OBS_OK || xha_obs_pack(&obs, twice) != XHA_OBS_OK)
        abort();
    if (memcmp(once, twice, sizeof(once)) != 0)
        abort();
    return 0;
}

/*
 * The value of a guest's heartbeat key: the hostile bytes that xhad reads most often. The parser is compared
 * with another one, written the slow way.
 */
#include <stdlib.h>
#include <string.h>

#include "xhad/base/observe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Adds a digit at a time in 128 bits, which 20 digits cannot overflow. */
static bool oracle(const uint8_t *data, size_t size, uint64_t *beat_r)
{
    unsigned __int128 sum = 0;

    if (size < 1 || size > 20)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (data[i] < '0' || data[i] > '9')
            return false;
        sum = sum * 10 + (data[i] - '0');
    }
    if (sum > UINT64_MAX)
        return false;
    *beat_r = (uint64_t)sum;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t beat = 4711, wanted = 4711;
    uint8_t *exact = malloc(size + !size); /* so that one byte too far is seen */
    bool good;

    if (!exact)
        abort();
    memcpy(exact, data, size);
    good = xha_obs_beat_parse(exact, size, &beat);
    if (good != oracle(data, size, &wanted) || beat != wanted)
        abort();
    free(exact);
    return 0;
}

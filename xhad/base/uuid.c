/*
 * uuid.c - UUIDs as text and compared.
 */
#include "xhad/base/uuid.h"
#include <string.h>

static const char hex[] = "0123456789abcdef";

/* Byte i of a UUID is preceded by a dash when i is one of 4, 6, 8, 10. */
static bool dash_before(unsigned i)
{
    return i == 4 || i == 6 || i == 8 || i == 10;
}

const char *xha_uuid_format(const struct xha_uuid *uuid, char buf[XHA_UUID_TEXT])
{
    char *p = buf;

    for (unsigned i = 0; i < sizeof uuid->b; i++) {
        if (dash_before(i))
            *p++ = '-';
        *p++ = hex[uuid->b[i] >> 4];
        *p++ = hex[uuid->b[i] & 15];
    }
    *p = '\0';
    return buf;
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool xha_uuid_parse(const char *text, struct xha_uuid *uuid_r)
{
    for (unsigned i = 0; i < sizeof uuid_r->b; i++) {
        int high, low;

        if (dash_before(i) && *text++ != '-')
            return false;
        high = nibble(text[0]);
        if (high < 0)
            return false;
        low = nibble(text[1]);
        if (low < 0)
            return false;
        uuid_r->b[i] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    return *text == '\0';
}

bool xha_uuid_equal(const struct xha_uuid *a, const struct xha_uuid *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

bool xha_uuid_is_nil(const struct xha_uuid *uuid)
{
    static const struct xha_uuid nil;

    return xha_uuid_equal(uuid, &nil);
}

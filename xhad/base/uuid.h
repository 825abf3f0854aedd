/*
 * uuid.h - UUIDs as text: 36 characters, lower case when written, either case when read.
 */
#ifndef XHA_BASE_UUID_H
#define XHA_BASE_UUID_H

#include <stdbool.h>
#include "xhad/core/core.h"

#define XHA_UUID_TEXT 37 /* with its NUL */

/* Writes the text into buf and returns buf. */
const char *xha_uuid_format(const struct xha_uuid *uuid, char buf[XHA_UUID_TEXT]);

/* Takes exactly the 36 characters and nothing after them. */
bool xha_uuid_parse(const char *text, struct xha_uuid *uuid_r);

bool xha_uuid_equal(const struct xha_uuid *a, const struct xha_uuid *b);
bool xha_uuid_is_nil(const struct xha_uuid *uuid);

#endif

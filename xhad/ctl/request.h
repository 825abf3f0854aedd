/*
 * request.h - one line from a client, taken apart and checked.
 */
#ifndef XHA_CTL_REQUEST_H
#define XHA_CTL_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define XHA_REQUEST_VERSION   1
#define XHA_REQUEST_BYTES_MAX (1024 * 1024)
#define XHA_REQUEST_DEPTH_MAX 8 /* objects and arrays in each other */

struct xha_control_request {
    json_t *json; /* owned */
    const char *cmd;
    const json_t *args; /* an object, or NULL */
    bool dry_run, wait;
};

/* 0, or -1 with an error code (static) and a text. After 0: xha_request_clear(). Any bytes may be given. */
int xha_request_parse(const char *line, size_t len, struct xha_control_request *request_r,
                      const char **code_r, char *text, size_t text_len);
void xha_request_clear(struct xha_control_request *request);

/* Arguments; false: it is there but of another type, or longer than fits. Missing ones leave the value alone.
 */
bool xha_request_text(const struct xha_control_request *request, const char *key, char *buf, size_t len);
bool xha_request_int(const struct xha_control_request *request, const char *key, json_int_t min,
                     json_int_t max, json_int_t *value_r);
bool xha_request_bool(const struct xha_control_request *request, const char *key, bool *value_r);

#endif

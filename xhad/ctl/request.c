/*
 * request.c - the first thing that a client's bytes meet.
 */
#include "xhad/ctl/request.h"
#include <stdio.h>
#include <string.h>

/* Brackets outside of strings, before the parser recurses into them. */
static bool too_deep(const char *line, size_t len)
{
    bool in_string = false;
    int depth = 0;

    for (size_t i = 0; i < len; i++) {
        if (in_string) {
            if (line[i] == '\\')
                i++;
            else if (line[i] == '"')
                in_string = false;
        } else if (line[i] == '"') {
            in_string = true;
        } else if (line[i] == '{' || line[i] == '[') {
            if (++depth > XHA_REQUEST_DEPTH_MAX)
                return true;
        } else if (line[i] == '}' || line[i] == ']') {
            depth--;
        }
    }
    return false;
}

static int check(struct xha_control_request *request, const char **code_r, char *text, size_t text_len)
{
    const json_t *v = json_object_get(request->json, "v"), *args = json_object_get(request->json, "args");

    *code_r = "bad-request";
    if (!json_is_object(request->json)) {
        snprintf(text, text_len, "a request is a JSON object on one line");
        return -1;
    }
    if (!json_is_integer(v) || json_integer_value(v) != XHA_REQUEST_VERSION) {
        *code_r = "version";
        snprintf(text, text_len, "this xhad speaks version %d: \"v\" must say so", XHA_REQUEST_VERSION);
        return -1;
    }
    request->cmd = json_string_value(json_object_get(request->json, "cmd"));
    if (!request->cmd) {
        snprintf(text, text_len, "\"cmd\" is missing or no text");
        return -1;
    }
    if (args && !json_is_object(args)) {
        snprintf(text, text_len, "\"args\" must be an object");
        return -1;
    }
    request->args = args;
    request->dry_run = json_is_true(json_object_get(request->json, "dry_run"));
    request->wait =
        json_is_true(json_object_get(request->json, "wait")) || json_is_true(json_object_get(args, "wait"));
    return 0;
}

int xha_request_parse(const char *line, size_t len, struct xha_control_request *request_r,
                      const char **code_r, char *text, size_t text_len)
{
    struct xha_control_request request = { 0 };
    json_error_t error;

    *code_r = "bad-request";
    if (too_deep(line, len)) {
        snprintf(text, text_len, "no request has more than %d levels", XHA_REQUEST_DEPTH_MAX);
        return -1;
    }
    request.json = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
    if (!request.json) {
        snprintf(text, text_len, "no JSON: at byte %d", error.position);
        return -1;
    }
    if (check(&request, code_r, text, text_len) < 0) {
        json_decref(request.json);
        return -1;
    }
    *request_r = request;
    return 0;
}

void xha_request_clear(struct xha_control_request *request)
{
    json_decref(request->json);
    *request = (struct xha_control_request){ 0 };
}

bool xha_request_text(const struct xha_control_request *request, const char *key, char *buf, size_t len)
{
    const json_t *v = json_object_get(request->args, key);

    if (!v || json_is_null(v))
        return true;
    if (!json_is_string(v) || json_string_length(v) >= len)
        return false;
    memcpy(buf, json_string_value(v), json_string_length(v) + 1);
    return true;
}

bool xha_request_int(const struct xha_control_request *request, const char *key, json_int_t min,
                     json_int_t max, json_int_t *value_r)
{
    const json_t *v = json_object_get(request->args, key);

    if (!v || json_is_null(v))
        return true;
    if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max)
        return false;
    *value_r = json_integer_value(v);
    return true;
}

bool xha_request_bool(const struct xha_control_request *request, const char *key, bool *value_r)
{
    const json_t *v = json_object_get(request->args, key);

    if (!v || json_is_null(v))
        return true;
    if (!json_is_boolean(v))
        return false;
    *value_r = json_is_true(v);
    return true;
}

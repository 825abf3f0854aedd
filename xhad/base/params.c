/*
 * params.c - values of parameters: their defaults, their text, their differences. Reading files:
 * params_parse.c.
 */
#include "xhad/base/params.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "xhad/core/core.h"

static void *field(const struct xha_param *param, void *obj)
{
    return (char *)obj + param->offset;
}

static const void *field_of(const struct xha_param *param, const void *obj)
{
    return (const char *)obj + param->offset;
}

static bool is_text(const struct xha_param *param)
{
    return param->type == XHA_PARAM_STRING || param->type == XHA_PARAM_PATH;
}

void xha_param_set(const struct xha_param *param, void *obj, int64_t value)
{
    void *f = field(param, obj);

    switch (param->type) {
    case XHA_PARAM_BOOL:
        *(bool *)f = value != 0;
        break;
    case XHA_PARAM_INT:
        *(uint32_t *)f = (uint32_t)value;
        break;
    case XHA_PARAM_SECONDS:
        ((struct xha_span *)f)->ms = value;
        break;
    case XHA_PARAM_ENUM:
        memcpy(f, &(int){ (int)value }, sizeof(int));
        break;
    case XHA_PARAM_STRING:
    case XHA_PARAM_PATH:
        abort();
    }
}

int64_t xha_param_get(const struct xha_param *param, const void *obj)
{
    const void *f = field_of(param, obj);
    int word;

    switch (param->type) {
    case XHA_PARAM_BOOL:
        return *(const bool *)f;
    case XHA_PARAM_INT:
        return *(const uint32_t *)f;
    case XHA_PARAM_SECONDS:
        return ((const struct xha_span *)f)->ms;
    case XHA_PARAM_ENUM:
        memcpy(&word, f, sizeof(word));
        return word;
    case XHA_PARAM_STRING:
    case XHA_PARAM_PATH:
        break;
    }
    abort();
}

int xha_param_set_text(const struct xha_param *param, void *obj, const char *value)
{
    char *copy = strdup(value);

    if (!copy)
        return XHA_CONF_E_NOMEM;
    free(*(char **)field(param, obj));
    *(char **)field(param, obj) = copy;
    return XHA_CONF_OK;
}

const char *xha_param_get_text(const struct xha_param *param, const void *obj)
{
    const char *text = *(char *const *)field_of(param, obj);

    return text ? text : "";
}

int xha_params_defaults(const struct xha_params *table, void *obj, struct xha_origin *origin_r)
{
    int rc;

    memset(origin_r, 0, sizeof(*origin_r));
    for (size_t i = 0; i < table->n; i++) {
        const struct xha_param *param = &table->row[i];

        if (!is_text(param)) {
            xha_param_set(param, obj, param->dflt);
            continue;
        }
        rc = xha_param_set_text(param, obj, param->dflt_text);
        if (rc)
            return rc;
    }
    return XHA_CONF_OK;
}

void xha_params_clear(const struct xha_params *table, void *obj)
{
    for (size_t i = 0; i < table->n; i++) {
        if (!is_text(&table->row[i]))
            continue;
        free(*(char **)field(&table->row[i], obj));
        *(char **)field(&table->row[i], obj) = NULL;
    }
}

const struct xha_param *xha_params_find(const struct xha_params *table, const char *name)
{
    for (size_t i = 0; i < table->n; i++) {
        if (!strcmp(table->row[i].name, name))
            return &table->row[i];
    }
    return NULL;
}

const char *xha_param_seconds_text(int64_t ms, char *buf, size_t len)
{
    size_t end;

    snprintf(buf, len, "%" PRId64 ".%03" PRId64, ms / 1000, ms % 1000);
    for (end = strlen(buf); buf[end - 1] == '0'; end--)
        buf[end - 1] = '\0';
    if (buf[end - 1] == '.')
        buf[end - 1] = '\0';
    return buf;
}

/* A string as libconfig reads it back. Values hold printable bytes only: the parser has seen to that. */
static void quote(const char *text, char *buf, size_t len)
{
    size_t n = 0;

    buf[n++] = '"';
    for (; *text && n + 4 < len; text++) {
        if (*text == '"' || *text == '\\')
            buf[n++] = '\\';
        buf[n++] = *text;
    }
    buf[n++] = '"';
    buf[n] = '\0';
}

const char *xha_param_text(const struct xha_param *param, const void *obj, char *buf, size_t len)
{
    switch (param->type) {
    case XHA_PARAM_BOOL:
        snprintf(buf, len, "%s", xha_param_get(param, obj) ? "true" : "false");
        break;
    case XHA_PARAM_INT:
        snprintf(buf, len, "%" PRId64, xha_param_get(param, obj));
        break;
    case XHA_PARAM_SECONDS:
        xha_param_seconds_text(xha_param_get(param, obj), buf, len);
        break;
    case XHA_PARAM_ENUM:
        snprintf(buf, len, "\"%s\"", param->word((int)xha_param_get(param, obj)));
        break;
    case XHA_PARAM_STRING:
    case XHA_PARAM_PATH:
        quote(xha_param_get_text(param, obj), buf, len);
        break;
    }
    return buf;
}

const char *xha_param_origin_text(const struct xha_params *table, const struct xha_param *param,
                                  const struct xha_origin *origin, const char *file, char *buf, size_t len)
{
    int line = origin->line[param - table->row];

    if (line == XHA_FROM_MONITOR)
        snprintf(buf, len, "protection = monitor");
    else if (line == XHA_FROM_DEFAULT)
        snprintf(buf, len, "default");
    else
        snprintf(buf, len, "%s:%d", file ? file : "?", line);
    return buf;
}

bool xha_param_equal(const struct xha_param *param, const void *a, const void *b)
{
    if (is_text(param))
        return !strcmp(xha_param_get_text(param, a), xha_param_get_text(param, b));
    return xha_param_get(param, a) == xha_param_get(param, b);
}

/* Opens and closes `group: { … };` as rows come and go. group: "" or the one that is open, with its length.
 */
static void print_group(const char *name, const char **group, size_t *group_len, FILE *out)
{
    const char *dot = strchr(name, '.');
    size_t len = dot ? (size_t)(dot - name) : 0;

    if (len == *group_len && !strncmp(name, *group, len))
        return;
    if (*group_len)
        fprintf(out, "};\n");
    if (len)
        fprintf(out, "%.*s: {\n", (int)len, name);
    *group = name;
    *group_len = len;
}

void xha_params_print(const struct xha_params *table, const void *obj, const struct xha_origin *origin,
                      const char *file, bool docs, FILE *out)
{
    const char *group = "";
    size_t group_len = 0;

    for (size_t i = 0; i < table->n; i++) {
        const struct xha_param *param = &table->row[i];
        char value[XHA_PARAMS_VALUE_MAX], from[XHA_PARAMS_VALUE_MAX];
        const char *indent, *name;
        int width;

        print_group(param->name, &group, &group_len, out);
        indent = group_len ? "    " : "";
        name = param->name + (group_len ? group_len + 1 : 0);
        if (docs)
            fprintf(out, "%s# %s\n", indent, param->doc);
        width = fprintf(out, "%s%s = %s;", indent, name, xha_param_text(param, obj, value, sizeof(value)));
        fprintf(out, "%*s# %s\n", width < 46 ? 46 - width : 1, "",
                xha_param_origin_text(table, param, origin, file, from, sizeof(from)));
    }
    if (group_len)
        fprintf(out, "};\n");
}

size_t xha_params_diff(const struct xha_params *table, const void *was, const void *is,
                       xha_param_diff_cb *each, void *user)
{
    char old[XHA_PARAMS_VALUE_MAX], new[XHA_PARAMS_VALUE_MAX];
    size_t refused = 0;

    for (size_t i = 0; i < table->n; i++) {
        const struct xha_param *param = &table->row[i];

        if (xha_param_equal(param, was, is))
            continue;
        refused += !param->live;
        if (each)
            each(user, param, xha_param_text(param, was, old, sizeof(old)),
                 xha_param_text(param, is, new, sizeof(new)));
    }
    return refused;
}

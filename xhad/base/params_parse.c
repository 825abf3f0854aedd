/*
 * params_parse.c - from the text of a config file to the fields of a struct, by a table of parameters.
 *
 * libconfig does the syntax. What it lets through and we do not: @include, numbers that silently wrap round,
 * a comment without end. These are looked for first, in the text itself (pre_check).
 */
#include "xhad/base/params.h"

#include <errno.h>
#include <inttypes.h>
#include <libconfig.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "xhad/base/cleanup.h"
#include "xhad/base/file.h"
#include "xhad/base/text.h"

struct parse {
    const struct xha_params *table;
    const char *file;
    void *obj;
    struct xha_origin *origin;
    struct xha_problems *problems;
    int rc;
};

#define bad(p, line, ...)                                                                                    \
    do {                                                                                                     \
        xha_problems_add((p)->problems, (p)->file, line, __VA_ARGS__);                                       \
        (p)->rc = XHA_CONF_E_BAD;                                                                            \
    } while (0)

int xha_params_slurp(const char *path, char **text_r, size_t *len_r, struct xha_problems *problems)
{
    if (!xha_file_read(path, XHA_PARAMS_FILE_MAX, text_r, len_r))
        return XHA_CONF_OK;
    if (errno == EFBIG)
        xha_problems_add(problems, path, 0, "longer than %d KiB: no config file", XHA_PARAMS_FILE_MAX / 1024);
    else if (errno == EINVAL)
        xha_problems_add(problems, path, 0, "no regular file");
    else
        xha_problems_add(problems, path, 0, "cannot read it: %s", strerror(errno));
    return XHA_CONF_E_NOFILE;
}

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.';
}

/* The number that starts at s: libconfig 1.5 takes 4294967297 for 1. Returns its length. */
static size_t check_number(struct parse *p, const char *s, int line)
{
    size_t len = 0;
    char *end;
    long long value;

    while (is_word(s[len]))
        len++;
    errno = 0;
    value = strtoll(s, &end, 0);
    if (errno || value > INT_MAX)
        bad(p, line, "the number %.*s is too large", (int)(len < 40 ? len : 40), s);
    return len;
}

/* Skips a comment or string that starts at s; returns its length, 0 when none starts there. */
static size_t skip_quiet(struct parse *p, const char *s, int *line)
{
    const char *end;
    int first = *line;

    if (s[0] == '#' || (s[0] == '/' && s[1] == '/'))
        return strcspn(s, "\n");
    if (s[0] == '/' && s[1] == '*') {
        end = strstr(s + 2, "*/");
        if (!end) {
            bad(p, first, "this comment has no end: close it with */");
            return strlen(s);
        }
        for (const char *c = s; c < end; c++)
            *line += *c == '\n';
        return (size_t)(end + 2 - s);
    }
    if (s[0] == '"') {
        for (end = s + 1; *end && *end != '"'; end++) {
            if (*end == '\\' && end[1])
                end++;
            *line += *end == '\n';
        }
        return (size_t)(end - s) + (*end == '"');
    }
    return 0;
}

/* libconfig includes files wherever a line begins so, whatever stands around it. */
static void check_include(struct parse *p, const char *line_start, int line)
{
    static const char include[] = "@include";

    line_start += strspn(line_start, " \t\r\f\v");
    if (!strncmp(line_start, include, sizeof(include) - 1))
        bad(p, line, "@include is not supported: write the parameters into this file");
}

static void pre_check(struct parse *p, const char *text)
{
    int line = 1;

    for (const char *s = text; s; s = strchr(s, '\n') ? strchr(s, '\n') + 1 : NULL)
        check_include(p, s, line++);
    line = 1;
    for (const char *s = text; *s;) {
        size_t skip = skip_quiet(p, s, &line);

        if (!skip && *s >= '0' && *s <= '9')
            skip = check_number(p, s, line);
        else if (!skip && is_word(*s))
            while (is_word(s[skip]) || s[skip] == '-' || s[skip] == '*')
                skip++;
        if (!skip) {
            line += *s == '\n';
            skip = 1;
        }
        s += skip;
    }
}

static const char *type_name(int type)
{
    switch (type) {
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        return "a whole number";
    case CONFIG_TYPE_FLOAT:
        return "a number with decimals";
    case CONFIG_TYPE_STRING:
        return "a string";
    case CONFIG_TYPE_BOOL:
        return "true or false";
    case CONFIG_TYPE_GROUP:
        return "a group";
    default:
        return "a list";
    }
}

static bool is_int(const config_setting_t *s)
{
    return config_setting_type(s) == CONFIG_TYPE_INT || config_setting_type(s) == CONFIG_TYPE_INT64;
}

static bool expect(struct parse *p, const struct xha_param *param, const config_setting_t *s, bool right,
                   const char *what)
{
    if (!right)
        bad(p, config_setting_source_line(s), "%s: must be %s, not %s", param->name, what,
            type_name(config_setting_type(s)));
    return right;
}

static void read_int(struct parse *p, const struct xha_param *param, const config_setting_t *s)
{
    int64_t value;

    if (!expect(p, param, s, is_int(s), "a whole number"))
        return;
    value =
        config_setting_type(s) == CONFIG_TYPE_INT ? config_setting_get_int(s) : config_setting_get_int64(s);
    if (value < param->min || value > param->max)
        bad(p, config_setting_source_line(s), "%s: %" PRId64 " is out of range: %" PRId64 " to %" PRId64,
            param->name, value, param->min, param->max);
    else
        xha_param_set(param, p->obj, value);
}

static void read_seconds(struct parse *p, const struct xha_param *param, const config_setting_t *s)
{
    char least[32], most[32];
    double ms;

    if (!expect(p, param, s, is_int(s) || config_setting_type(s) == CONFIG_TYPE_FLOAT, "a number of seconds"))
        return;
    if (config_setting_type(s) == CONFIG_TYPE_FLOAT)
        ms = config_setting_get_float(s) * 1000;
    else
        ms = (double)config_setting_get_int64(s) * 1000;
    /* written so that a NaN is out of range, too */
    if (!(ms >= (double)param->min && ms <= (double)param->max))
        bad(p, config_setting_source_line(s), "%s: %g is out of range: %s to %s seconds", param->name,
            ms / 1000, xha_param_seconds_text(param->min, least, sizeof(least)),
            xha_param_seconds_text(param->max, most, sizeof(most)));
    else
        xha_param_set(param, p->obj, llround(ms));
}

static void read_enum(struct parse *p, const struct xha_param *param, const config_setting_t *s)
{
    char all[256] = "";
    const char *value;
    int word;

    if (!expect(p, param, s, config_setting_type(s) == CONFIG_TYPE_STRING, "a word in quotes"))
        return;
    value = config_setting_get_string(s);
    for (word = 0; word < param->words; word++) {
        size_t used = strlen(all);

        if (!strcmp(value, param->word(word)))
            break;
        snprintf(all + used, sizeof(all) - used, "%s%s", word ? ", " : "", param->word(word));
    }
    if (word == param->words)
        bad(p, config_setting_source_line(s), "%s: \"%.80s\" is none of: %s", param->name, value, all);
    else
        xha_param_set(param, p->obj, word);
}

static void read_text(struct parse *p, const struct xha_param *param, const config_setting_t *s)
{
    int line = config_setting_source_line(s);
    const char *value;
    size_t len;

    if (!expect(p, param, s, config_setting_type(s) == CONFIG_TYPE_STRING, "a string in quotes"))
        return;
    value = config_setting_get_string(s);
    len = strlen(value);
    for (size_t i = 0; i < len; i++) {
        if (value[i] < 0x20 || value[i] > 0x7e) {
            bad(p, line, "%s: holds the byte 0x%02x: only printable ASCII is allowed", param->name,
                (unsigned char)value[i]);
            return;
        }
    }
    if ((int64_t)len < param->min)
        bad(p, line, "%s: must not be empty", param->name);
    else if ((int64_t)len > param->max)
        bad(p, line, "%s: %zu bytes are too long: at most %" PRId64, param->name, len, param->max);
    else if (param->type == XHA_PARAM_PATH && len && value[0] != '/')
        bad(p, line, "%s: \"%.80s\" must be an absolute path, beginning with /", param->name, value);
    else if (xha_param_set_text(param, p->obj, value))
        p->rc = XHA_CONF_E_NOMEM;
}

static void read_value(struct parse *p, const struct xha_param *param, const config_setting_t *s)
{
    p->origin->line[param - p->table->row] = (int)config_setting_source_line(s);
    switch (param->type) {
    case XHA_PARAM_BOOL:
        if (expect(p, param, s, config_setting_type(s) == CONFIG_TYPE_BOOL, "true or false, without quotes"))
            xha_param_set(param, p->obj, config_setting_get_bool(s));
        break;
    case XHA_PARAM_INT:
        read_int(p, param, s);
        break;
    case XHA_PARAM_SECONDS:
        read_seconds(p, param, s);
        break;
    case XHA_PARAM_ENUM:
        read_enum(p, param, s);
        break;
    case XHA_PARAM_STRING:
    case XHA_PARAM_PATH:
        read_text(p, param, s);
        break;
    }
}

/* Edits between the unknown name and a known one; limit + 1: another word. */
static unsigned nearness(const char *name, const char *known, unsigned limit)
{
    const char *dot = strchr(known, '.');
    char group[32];

    if (!dot || strchr(name, '.'))
        return xha_text_distance(name, known, limit);
    /* a parameter written outside of its group, or the group misspelt */
    snprintf(group, sizeof(group), "%.*s", (int)(dot - known), known);
    return !strcmp(name, dot + 1) ? 0 : xha_text_distance(name, group, limit);
}

static void unknown(struct parse *p, const char *name, int line)
{
    const char *dot = strchr(name, '.'), *nearest = NULL;
    unsigned best = (unsigned)strlen(dot ? dot + 1 : name) / 4 + 1; /* more edits than that: no guess */

    for (size_t i = 0; i < p->table->n; i++) {
        const char *known = p->table->row[i].name;
        unsigned distance = nearness(name, known, best);

        if (distance < best || (distance == best && !nearest)) {
            best = distance;
            nearest = known;
        }
    }
    if (nearest)
        bad(p, line, "unknown parameter %.80s; did you mean %s?", name, nearest);
    else
        bad(p, line, "unknown parameter %.80s; %s lists them all", name, p->table->manual);
}

static bool is_group(const struct xha_params *table, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < table->n; i++) {
        if (!strncmp(table->row[i].name, name, len) && table->row[i].name[len] == '.')
            return true;
    }
    return false;
}

/* Whether there is somebody who knows this setting. */
static bool read_other(struct parse *p, const config_setting_t *s)
{
    int rc = p->table->other ? p->table->other(s, p->file, p->obj, p->problems) : XHA_PARAMS_UNKNOWN;

    if (rc < 0)
        p->rc = rc;
    return rc != XHA_PARAMS_UNKNOWN;
}

/* prefix: "" or "group." */
static void read_group(struct parse *p, const config_setting_t *group, const char *prefix)
{
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
        int line = (int)config_setting_source_line(s);
        const struct xha_param *param;
        char name[128];

        snprintf(name, sizeof(name), "%s%.100s", prefix, config_setting_name(s));
        param = xha_params_find(p->table, name);
        if (param) {
            read_value(p, param, s);
        } else if (*prefix || !is_group(p->table, name)) {
            if (*prefix || !read_other(p, s))
                unknown(p, name, line);
        } else if (config_setting_type(s) != CONFIG_TYPE_GROUP) {
            bad(p, line, "%s: must be a group: %s: { ... };", name, name);
        } else {
            strcat(name, ".");
            read_group(p, s, name);
        }
    }
}

int xha_params_read(const struct xha_params *table, const char *file, const config_setting_t *group,
                    void *obj, struct xha_origin *origin_r, struct xha_problems *problems)
{
    struct parse p = { .table = table, .file = file, .obj = obj, .origin = origin_r, .problems = problems };
    int rc = xha_params_defaults(table, obj, origin_r);

    if (rc)
        return rc;
    read_group(&p, group, "");
    return p.rc;
}

int xha_params_parse(const struct xha_params *table, const char *file, const char *text, size_t len,
                     void *obj, struct xha_origin *origin_r, struct xha_problems *problems)
{
    struct parse p = { .table = table, .file = file, .obj = obj, .origin = origin_r, .problems = problems };
    XHA_CLEANUP_FREE char *copy = NULL;
    config_t config;
    int rc;

    rc = xha_params_defaults(table, obj, origin_r);
    if (rc)
        return rc;
    if (len > XHA_PARAMS_FILE_MAX) {
        xha_problems_add(problems, file, 0, "longer than %d KiB: no config file", XHA_PARAMS_FILE_MAX / 1024);
        return XHA_CONF_E_BAD;
    }
    copy = strndup(text, len);
    if (!copy)
        return XHA_CONF_E_NOMEM;
    if (strlen(copy) != len)
        bad(&p, 0, "holds a NUL byte: no config file");
    pre_check(&p, copy);
    if (p.rc)
        return p.rc;

    config_init(&config);
    if (config_read_string(&config, copy))
        read_group(&p, config_root_setting(&config), "");
    else
        bad(&p, config_error_line(&config), "%s", config_error_text(&config));
    config_destroy(&config);
    return p.rc;
}

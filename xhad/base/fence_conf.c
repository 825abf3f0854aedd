/*
 * fence_conf.c - the list `fence` of xhad.conf: read, checked, copied, shown.
 */
#include "xhad/base/fence_conf.h"

#include <inttypes.h>
#include <libconfig.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "xhad/base/cleanup.h"

#define NAME_MOST  255
#define PATH_MOST  900
#define VALUE_MOST 1000

const char *xha_fence_action_name(enum xha_fence_action action)
{
    static const char *const name[] = { "off", "reboot" };

    return (unsigned)action < XHA_FENCE_ACTION_N_ ? name[action] : "?";
}

static const char *word_action(int value)
{
    return xha_fence_action_name((enum xha_fence_action)value);
}

#define AT(field) offsetof(struct xha_fence_device, field)

/* clang-format off */
static const struct xha_param rows[] = {
    { .name = "host", .type = XHA_PARAM_STRING, .offset = AT(host), .dflt_text = "", .min = 1, .max = NAME_MOST },
    { .name = "agent", .type = XHA_PARAM_STRING, .offset = AT(agent), .dflt_text = "", .min = 1, .max = PATH_MOST },
    { .name = "plug", .type = XHA_PARAM_STRING, .offset = AT(plug), .dflt_text = "", .max = NAME_MOST },
    { .name = "level", .type = XHA_PARAM_INT, .offset = AT(level), .dflt = 1, .min = 1, .max = XHA_FENCE_LEVEL_MAX },
    { .name = "retries", .type = XHA_PARAM_INT, .offset = AT(retries), .dflt = 2, .max = 10 },
    { .name = "delay", .type = XHA_PARAM_SECONDS, .offset = AT(delay), .max = 300 * 1000 },
    { .name = "timeout", .type = XHA_PARAM_SECONDS, .offset = AT(timeout), .dflt = 60 * 1000, .min = 1000,
      .max = 600 * 1000 },
    { .name = "action", .type = XHA_PARAM_ENUM, .offset = AT(action), .dflt = XHA_FENCE_OFF, .word = word_action,
      .words = XHA_FENCE_ACTION_N_ },
    { .name = "password_file", .type = XHA_PARAM_PATH, .offset = AT(password_file), .dflt_text = "", .max = PATH_MOST },
};
/* clang-format on */

static int read_other(const config_setting_t *s, const char *file, void *obj, struct xha_problems *problems);

static const struct xha_params table = {
    .manual = "xhad.conf(5)",
    .row = rows,
    .n = sizeof(rows) / sizeof(rows[0]),
    .other = read_other,
};

bool xha_fence_option_secret(const char *name)
{
    static const char *const part[] = { "pass", "secret", "token", "apikey", "community", "hexadecimal_kg" };
    static const char *const harmless[] = { "_script", "_file" };
    size_t len = strlen(name);

    for (size_t i = 0; i < sizeof(harmless) / sizeof(*harmless); i++) {
        size_t end = strlen(harmless[i]);

        if (len > end && !strcmp(name + len - end, harmless[i]))
            return false;
    }
    for (size_t i = 0; i < sizeof(part) / sizeof(*part); i++)
        if (strstr(name, part[i]))
            return true;
    return false;
}

/* ---- reading ---- */

struct read {
    const char *file;
    struct xha_problems *problems;
    struct xha_fence_device *device;
    int rc;
};

#define bad(r, line, ...)                                                                                    \
    do {                                                                                                     \
        xha_problems_add((r)->problems, (r)->file, line, __VA_ARGS__);                                       \
        (r)->rc = XHA_CONF_E_BAD;                                                                            \
    } while (0)

/* Agents take one name=value a line: what would break the line is refused. */
static bool plain(const char *text)
{
    for (; *text; text++)
        if (*text < 0x20 || *text > 0x7e)
            return false;
    return true;
}

/* The value as text into buf; false: it is no single value. */
static bool value_text(const config_setting_t *s, char *buf, size_t len)
{
    switch (config_setting_type(s)) {
    case CONFIG_TYPE_STRING:
        return snprintf(buf, len, "%s", config_setting_get_string(s)) < (int)len;
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        snprintf(buf, len, "%lld", config_setting_get_int64(s));
        return true;
    case CONFIG_TYPE_BOOL:
        snprintf(buf, len, "%d", config_setting_get_bool(s) ? 1 : 0);
        return true;
    default:
        return false;
    }
}

static void read_option(struct read *r, const config_setting_t *s)
{
    static const char *const ours[] = { "action", "option", "plug", "port", "nodename" };
    struct xha_fence_device *d = r->device;
    struct xha_fence_option *o = &d->option[d->options];
    const char *name = config_setting_name(s);
    int line = (int)config_setting_source_line(s);
    char value[VALUE_MOST + 1];

    for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++) {
        if (!strcmp(name, ours[i])) {
            bad(r, line, "options: %s is told to the agent by xhad: set action and plug beside options",
                name);
            return;
        }
    }
    if (strlen(name) > NAME_MOST || !value_text(s, value, sizeof(value)) || !plain(value)) {
        bad(r, line,
            "options: %.80s must be a string of at most %d printable bytes, a whole number, true or false",
            name, VALUE_MOST);
        return;
    }
    if (d->options == XHA_FENCE_OPTIONS_MAX) {
        bad(r, line, "options: more than %d", XHA_FENCE_OPTIONS_MAX);
        return;
    }
    o->name = strdup(name);
    o->value = strdup(value);
    d->options++; /* also when there was no memory: what there is gets freed */
    if (!o->name || !o->value)
        r->rc = XHA_CONF_E_NOMEM;
}

/* `options`, and `port` as another name of plug. */
static int read_other(const config_setting_t *s, const char *file, void *obj, struct xha_problems *problems)
{
    struct read r = { .file = file, .problems = problems, .device = obj };
    int line = (int)config_setting_source_line(s);
    char value[VALUE_MOST + 1];

    if (!strcmp(config_setting_name(s), "port")) {
        if (!value_text(s, value, sizeof(value)) || !plain(value) || strlen(value) > NAME_MOST)
            bad(&r, line, "port: must be a string or a whole number");
        else if (xha_param_set_text(xha_params_find(&table, "plug"), obj, value))
            r.rc = XHA_CONF_E_NOMEM;
        return r.rc;
    }
    if (strcmp(config_setting_name(s), "options") != 0)
        return XHA_PARAMS_UNKNOWN;
    if (config_setting_type(s) != CONFIG_TYPE_GROUP) {
        bad(&r, line, "options: must be a group: options = { ... };");
        return r.rc;
    }
    for (int i = 0; i < config_setting_length(s); i++)
        read_option(&r, config_setting_get_elem(s, (unsigned)i));
    return r.rc;
}

/* A host's name or an agent's: no path, nothing that a shell or a log would stumble over. */
static bool is_name(const char *text)
{
    return *text && *text != '-' && *text != '.' &&
           text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] == '\0';
}

static void check_device(struct read *r)
{
    const struct xha_fence_device *d = r->device;
    bool password = false;

    if (!is_name(d->host))
        bad(r, d->line, "fence: which host? host = \"NAME\" as it stands in corosync.conf");
    if (!is_name(d->agent) && d->agent[0] != '/')
        bad(r, d->line, "fence: which agent? agent = \"fence_...\", or its full path");
    for (size_t i = 0; i < d->options; i++)
        password = password || !strcmp(d->option[i].name, "password") || !strcmp(d->option[i].name, "passwd");
    if (password && *d->password_file)
        bad(r, d->line, "fence: a password and password_file: give one of them, not both");
}

int xha_fence_conf_read(const config_setting_t *fence, const char *file, struct xha_fence_conf *conf_r,
                        struct xha_problems *problems)
{
    struct read r = { .file = file, .problems = problems };
    int n = config_setting_length(fence), line = (int)config_setting_source_line(fence);

    *conf_r = (struct xha_fence_conf){ 0 };
    if (config_setting_type(fence) != CONFIG_TYPE_LIST && !(config_setting_is_array(fence) && n == 0)) {
        bad(&r, line,
            "fence: must be a list of devices: fence = ( { host = \"...\"; agent = \"...\"; }, ... );");
        return r.rc;
    }
    if (n > XHA_FENCE_DEVICES_MAX) {
        bad(&r, line, "fence: %d devices are too many: at most %d", n, XHA_FENCE_DEVICES_MAX);
        return r.rc;
    }
    conf_r->device = calloc(n ? (size_t)n : 1, sizeof(*conf_r->device));
    if (!conf_r->device)
        return XHA_CONF_E_NOMEM;
    for (int i = 0; i < n; i++) {
        const config_setting_t *s = config_setting_get_elem(fence, (unsigned)i);
        struct xha_origin origin;
        int rc;

        r.device = &conf_r->device[conf_r->n];
        r.device->line = (int)config_setting_source_line(s);
        if (config_setting_type(s) != CONFIG_TYPE_GROUP) {
            bad(&r, r.device->line,
                "fence: each device must be a group: { host = \"...\"; agent = \"...\"; }");
            continue;
        }
        conf_r->n++;
        rc = xha_params_read(&table, file, s, r.device, &origin, problems);
        if (rc == XHA_CONF_OK)
            check_device(&r);
        else
            r.rc = rc;
    }
    return r.rc;
}

/* ---- the struct ---- */

static void clear_device(struct xha_fence_device *d)
{
    xha_params_clear(&table, d);
    for (size_t i = 0; i < d->options; i++) {
        free(d->option[i].name);
        if (d->option[i].value)
            explicit_bzero(d->option[i].value, strlen(d->option[i].value));
        free(d->option[i].value);
    }
}

void xha_fence_conf_clear(struct xha_fence_conf *conf)
{
    for (size_t i = 0; i < conf->n; i++)
        clear_device(&conf->device[i]);
    free(conf->device);
    *conf = (struct xha_fence_conf){ 0 };
}

static int copy_device(const struct xha_fence_device *from, struct xha_fence_device *to)
{
    for (size_t i = 0; i < table.n; i++) {
        const struct xha_param *param = &rows[i];

        if (param->type != XHA_PARAM_STRING && param->type != XHA_PARAM_PATH)
            xha_param_set(param, to, xha_param_get(param, from));
        else if (xha_param_set_text(param, to, xha_param_get_text(param, from)))
            return XHA_CONF_E_NOMEM;
    }
    to->line = from->line;
    for (; to->options < from->options; to->options++) {
        struct xha_fence_option *o = &to->option[to->options];

        o->name = strdup(from->option[to->options].name);
        o->value = o->name ? strdup(from->option[to->options].value) : NULL;
        if (!o->value) {
            free(o->name);
            return XHA_CONF_E_NOMEM;
        }
    }
    return XHA_CONF_OK;
}

int xha_fence_conf_copy(const struct xha_fence_conf *conf, struct xha_fence_conf *copy_r)
{
    *copy_r = (struct xha_fence_conf){ .device = calloc(conf->n ? conf->n : 1, sizeof(*conf->device)) };
    if (!copy_r->device)
        return XHA_CONF_E_NOMEM;
    while (copy_r->n < conf->n) {
        int rc = copy_device(&conf->device[copy_r->n], &copy_r->device[copy_r->n]);

        copy_r->n++;
        if (rc) {
            xha_fence_conf_clear(copy_r);
            return rc;
        }
    }
    return XHA_CONF_OK;
}

static bool same_device(const struct xha_fence_device *a, const struct xha_fence_device *b)
{
    for (size_t i = 0; i < table.n; i++)
        if (!xha_param_equal(&rows[i], a, b))
            return false;
    if (a->options != b->options)
        return false;
    for (size_t i = 0; i < a->options; i++)
        if (strcmp(a->option[i].name, b->option[i].name) != 0 ||
            strcmp(a->option[i].value, b->option[i].value) != 0)
            return false;
    return true;
}

bool xha_fence_conf_equal(const struct xha_fence_conf *a, const struct xha_fence_conf *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!same_device(&a->device[i], &b->device[i]))
            return false;
    return true;
}

/* ---- for people ---- */

static bool open_to_others(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && (st.st_mode & (S_IRGRP | S_IROTH)) != 0;
}

void xha_fence_conf_exposed(const struct xha_fence_conf *conf, const char *file,
                            struct xha_problems *warnings)
{
    bool told = false;

    for (size_t i = 0; i < conf->n; i++) {
        const struct xha_fence_device *d = &conf->device[i];

        if (*d->password_file && open_to_others(d->password_file))
            xha_problems_add(warnings, d->password_file, 0,
                             "holds the password of a fence device, and others may read it: chmod 600 it");
        for (size_t j = 0; j < d->options && !told; j++) {
            if (!xha_fence_option_secret(d->option[j].name) || !open_to_others(file))
                continue;
            told = true;
            xha_problems_add(warnings, file, d->line,
                             "holds a %s, and others may read this file: chmod 600 it, or use password_file",
                             d->option[j].name);
        }
    }
}

static void print_text(const char *text, FILE *out)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static void print_device(const struct xha_fence_device *d, FILE *out)
{
    char value[XHA_PARAMS_VALUE_MAX];

    for (size_t i = 0; i < table.n; i++)
        fprintf(out, "%s%s = %s;", i ? " " : "  { ", rows[i].name,
                xha_param_text(&rows[i], d, value, sizeof(value)));
    if (d->options)
        fprintf(out, "\n    options = {");
    for (size_t i = 0; i < d->options; i++) {
        fprintf(out, " %s = ", d->option[i].name);
        print_text(xha_fence_option_secret(d->option[i].name) ? "(secret)" : d->option[i].value, out);
        fputc(';', out);
    }
    fprintf(out, "%s }", d->options ? " };" : "");
}

void xha_fence_conf_print(const struct xha_fence_conf *conf, FILE *out)
{
    if (!conf->n)
        return;
    fprintf(out, "fence = (\n");
    for (size_t i = 0; i < conf->n; i++) {
        print_device(&conf->device[i], out);
        fprintf(out, "%s\n", i + 1 < conf->n ? "," : "");
    }
    fprintf(out, ");\n");
}

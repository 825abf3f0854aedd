/*
 * print.c - what xhad says, made readable: members, ages, sizes, entries of the history.
 */
#include "xl-plugins/xl-ha.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "xhad/base/text.h"

enum { LINE_MAX_ = 4096 };

const char *xlha_string(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

int64_t xlha_int(const json_t *object, const char *key, int64_t dflt)
{
    const json_t *value = json_object_get(object, key);

    return json_is_integer(value) ? json_integer_value(value) : dflt;
}

bool xlha_bool(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

const char *xlha_span_text(int64_t ms, char *buf, size_t len)
{
    int64_t s = ms / 1000;

    if (ms < 0)
        snprintf(buf, len, "-");
    else if (s < 10)
        snprintf(buf, len, "%" PRId64 ".%" PRId64 "s", s, ms % 1000 / 100);
    else if (s < 60)
        snprintf(buf, len, "%" PRId64 "s", s);
    else if (s < 3600)
        snprintf(buf, len, "%" PRId64 "m%02" PRId64 "s", s / 60, s % 60);
    else if (s < 86400)
        snprintf(buf, len, "%" PRId64 "h%02" PRId64 "m", s / 3600, s % 3600 / 60);
    else
        snprintf(buf, len, "%" PRId64 "d%02" PRId64 "h", s / 86400, s % 86400 / 3600);
    return buf;
}

const char *xlha_size_text(int64_t bytes, char *buf, size_t len)
{
    static const char units[] = "KMGTP";
    double value = (double)bytes / 1024;
    size_t unit = 0;

    if (bytes < 0) {
        snprintf(buf, len, "-");
        return buf;
    }
    while (value >= 1024 && unit + 2 < sizeof(units)) {
        value /= 1024;
        unit++;
    }
    snprintf(buf, len, "%.*f%c", value < 10 && unit ? 1 : 0, value, units[unit]);
    return buf;
}

const char *xlha_short_text(int64_t us, char *buf, size_t len)
{
    double ms = (double)us / 1000;

    if (us < 0)
        snprintf(buf, len, "-");
    else if (us < 1000)
        snprintf(buf, len, "%" PRId64 "us", us);
    else if (ms < 1000)
        snprintf(buf, len, "%.*fms", ms < 10 ? 1 : 0, ms);
    else
        snprintf(buf, len, "%.*fs", ms < 10000 ? 2 : 0, ms / 1000);
    return buf;
}

void xlha_print_json(const json_t *value)
{
    json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
    putchar('\n');
}

void xlha_print_line(const char *text, FILE *out)
{
    char safe[LINE_MAX_];

    fprintf(out, "%s\n", xha_text_escape(safe, sizeof(safe), text));
}

static bool ends(const char *text, const char *end)
{
    size_t a = strlen(text), b = strlen(end);

    return a >= b && !strcmp(text + a - b, end);
}

/* A value in one line; ms are shown as people count them. */
static void value_text(const char *key, const json_t *value, char *buf, size_t len)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        xha_text_escape(buf, len, json_string_value(value));
        break;
    case JSON_INTEGER:
        if (ends(key, "_ms"))
            xlha_span_text(json_integer_value(value), buf, len);
        else
            snprintf(buf, len, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        snprintf(buf, len, "%g", json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        snprintf(buf, len, "%s", json_is_true(value) ? "yes" : "no");
        break;
    default:
        snprintf(buf, len, "-");
    }
}

/* The words of an array, one after another. */
static void array_text(const json_t *array, char *buf, size_t len)
{
    size_t used = 0, i;
    json_t *item;

    *buf = '\0';
    json_array_foreach(array, i, item)
    {
        char one[LINE_MAX_ / 4];

        value_text("", item, one, sizeof(one));
        if (used + strlen(one) + 2 >= len)
            break;
        used += (size_t)snprintf(buf + used, len - used, "%s%s", used ? " " : "", one);
    }
}

static void print_members(const json_t *object, const char *prefix, int depth, FILE *out)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)object, key, value)
    {
        char name[128], safe[256], text[LINE_MAX_], both[LINE_MAX_];
        size_t name_len = strlen(key);

        if (ends(key, "_ms"))
            name_len -= 3; /* the value has its own unit */
        snprintf(name, sizeof(name), "%s%s%.*s", prefix, *prefix ? "." : "", (int)name_len, key);
        if (json_is_object(value) && *xlha_string(value, "value")) {
            /* a parameter, with where its value is from */
            snprintf(both, sizeof(both), "%-24s  # %s", xlha_string(value, "value"),
                     xlha_string(value, "origin"));
            xha_text_escape(text, sizeof(text), both);
        } else if (json_is_object(value)) {
            if (depth < 8)
                print_members(value, name, depth + 1, out);
            continue;
        } else if (json_is_array(value)) {
            array_text(value, text, sizeof(text));
        } else {
            value_text(key, value, text, sizeof(text));
        }
        fprintf(out, "%-27s: %s\n", xha_text_escape(safe, sizeof(safe), name), text);
    }
}

void xlha_print_object(const json_t *object, FILE *out)
{
    print_members(object, "", 0, out);
}

const char *xlha_time_text(int64_t ms, char *buf, size_t len)
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;

    if (ms < 0 || !localtime_r(&s, &tm) || !strftime(buf, len, "%Y-%m-%d %H:%M:%S", &tm))
        snprintf(buf, len, "-");
    return buf;
}

void xlha_print_entry(const json_t *entry, FILE *out)
{
    const char *from = xlha_string(entry, "from"), *to = xlha_string(entry, "to");
    const char *text = xlha_string(entry, "text"), *severity = xlha_string(entry, "severity");
    const char *who = xlha_string(entry, *xlha_string(entry, "domain") ? "domain" : "host");
    char when[32], domain[80], what[160], safe[LINE_MAX_], change[128], at[80];
    const json_t *where = json_object_get(entry, "at");

    xlha_time_text(xlha_int(entry, "ms", -1), when, sizeof(when));
    xha_text_escape(domain, sizeof(domain), who);
    if (*to) {
        snprintf(change, sizeof(change), "%s -> %s", from, to);
        xha_text_escape(what, sizeof(what), change);
    } else if (*severity) {
        snprintf(change, sizeof(change), "ALARM (%s)", severity);
        xha_text_escape(what, sizeof(what), change);
    } else {
        xha_text_escape(what, sizeof(what), xlha_string(entry, "kind"));
    }
    if (!*text)
        text = xlha_string(entry, "cause");
    fprintf(out, "%s  ", when);
    if (where) /* of a cluster; what was ordered has been noted by all */
        fprintf(out, "%-8s  ",
                json_is_null(where) ? "all" : xha_text_escape(at, sizeof(at), xlha_string(entry, "at")));
    fprintf(out, "%-12s  %-23s  %s\n", *domain ? domain : "-", what,
            xha_text_escape(safe, sizeof(safe), text));
}

/* The order as people say it, done. */
static const char *done_text(const char *order)
{
    static const struct {
        const char *order, *done;
    } words[] = {
        { "protect", "is protected" },
        { "unprotect", "is no longer protected" },
        { "maintenance-on", "is in maintenance: xhad leaves it alone" },
        { "maintenance-off", "is no longer in maintenance" },
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (!strcmp(order, words[i].order))
            return words[i].done;
    }
    return NULL;
}

static void answer_text(const json_t *result, char *buf, size_t len)
{
    const char *domain = xlha_string(result, "domain"), *state = xlha_string(result, "state");
    const char *accepted = xlha_string(result, "accepted"), *would = xlha_string(result, "would");
    int64_t domid = xlha_int(result, "domid", -1);

    if (!*domain)
        domain = *xlha_string(result, "host") ? xlha_string(result, "host") : "this host";
    if (*xlha_string(result, "text"))
        snprintf(buf, len, "%s", xlha_string(result, "text"));
    else if (*would)
        snprintf(buf, len, "would %s %s", would, domain);
    else if (*accepted && done_text(accepted))
        snprintf(buf, len, "%s %s", domain, done_text(accepted));
    else if (*accepted)
        snprintf(buf, len, "%s: %s was accepted", domain, accepted);
    else if (*state && domid >= 0)
        snprintf(buf, len, "%s is %s (domain id %" PRId64 ")", domain, state, domid);
    else if (*state)
        snprintf(buf, len, "%s is %s", domain, state);
    else
        *buf = '\0';
}

int xlha_print_answer(const struct xlha *x, json_t *result)
{
    const char *hint = xlha_string(result, "hint");
    char text[1024];

    answer_text(result, text, sizeof(text));
    if (x->json)
        xlha_print_json(result);
    else if (*text)
        xlha_print_line(text, stdout);
    if (!x->json && *hint)
        xlha_print_line(hint, stdout);
    json_decref(result);
    return XLHA_DONE;
}

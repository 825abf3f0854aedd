/*
 * cmd_log.c - log, events and why: what happened, and what led to what.
 */
#include "xl-plugins/xl-ha.h"

#include <string.h>

enum { USUAL_LINES = 20 };

/* One entry a line, also as JSON: whoever reads along wants each when it comes. */
static void print_one(const struct xlha *x, const json_t *entry)
{
    if (x->json) {
        json_dumpf(entry, stdout, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
        putchar('\n');
    } else {
        xlha_print_entry(entry, stdout);
    }
}

static void print_all(const struct xlha *x, const json_t *entries)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(entries, i, entry) print_one(x, entry);
}

int xlha_cmd_log(struct xlha *x)
{
    json_t *args, *entries;
    int rc;

    if (!strcmp(x->command->name, "events"))
        x->json = true;
    args = json_pack("{s:i, s:b}", "lines", x->lines < 0 ? USUAL_LINES : x->lines, "follow", (int)x->follow);
    if (x->n_args)
        json_object_set_new(args, "domain", json_string(x->args[0]));
    if (x->follow)
        return xlha_follow(x, "log", args, print_one);
    rc = xlha_call(x, "log", args, &entries);
    if (rc)
        return rc;
    print_all(x, entries);
    json_decref(entries);
    return XLHA_DONE;
}

int xlha_cmd_why(struct xlha *x)
{
    json_t *result;
    int rc = xlha_call(x, "why", json_pack("{s:s}", "domain", x->args[0]), &result);

    if (rc)
        return rc;
    if (x->json) {
        xlha_print_json(result);
    } else {
        xlha_print_line(xlha_string(result, "now"), stdout);
        printf("next: ");
        xlha_print_line(xlha_string(result, "next"), stdout);
        print_all(x, json_object_get(result, "events"));
    }
    json_decref(result);
    return XLHA_DONE;
}

/*
 * cmd_list.c - list, info, status, version: how things stand.
 */
#include "xl-plugins/xl-ha.h"

#include <inttypes.h>

#include "config.h"

static void cell_span(struct xlha_table *table, const json_t *entry, const char *key)
{
    char text[32];

    xlha_table_cell(table, xlha_span_text(xlha_int(entry, key, -1), text, sizeof(text)));
}

static void cell_int(struct xlha_table *table, int64_t value)
{
    char text[32];

    snprintf(text, sizeof(text), "%" PRId64, value);
    xlha_table_cell(table, value < 0 ? "-" : text);
}

/* As in xl list: name, id, memory in MiB; then what xhad adds. */
static void row(struct xlha_table *table, const json_t *entry, bool longer)
{
    int64_t mem_kib = xlha_int(entry, "mem_kib", -1);
    char state[96];

    snprintf(state, sizeof(state), "%.64s%s", xlha_string(entry, "state"),
             xlha_bool(entry, "held") ? " (held)" : "");
    xlha_table_cell(table, xlha_string(entry, "name"));
    cell_int(table, xlha_int(entry, "domid", -1));
    cell_int(table, mem_kib < 0 ? -1 : mem_kib / 1024);
    xlha_table_cell(table, state);
    cell_span(table, entry, "since_ms");
    xlha_table_cell(table, xlha_string(entry, "protection"));
    cell_span(table, entry, "beat_age_ms");
    cell_int(table, xlha_int(entry, "restarts", -1));
    if (!longer)
        return;
    cell_span(table, entry, "checkpoint_age_ms");
    cell_int(table, xlha_int(entry, "term", -1));
    xlha_table_cell(table, xlha_string(entry, "purpose"));
    xlha_table_cell(table, xlha_string(entry, "uuid"));
    xlha_table_cell(table, xlha_string(entry, "why"));
}

static void print_list(const struct xlha *x, const json_t *domains)
{
    static const char *const titles[] = { "Name",       ">ID",   ">Mem",      "State",       ">For",
                                          "Protection", ">Beat", ">Restarts", ">Checkpoint", ">Term",
                                          "Purpose",    "UUID",  "Why" };
    size_t n = sizeof(titles) / sizeof(titles[0]), i;
    struct xlha_table *table = xlha_table_new(titles, x->longer ? n : 8);
    const json_t *entry;

    json_array_foreach(domains, i, entry) row(table, entry, x->longer);
    xlha_table_print(table, stdout);
    xlha_table_free(table);
}

/* What whoever looks at the list should know of the host. */
static void print_host(const json_t *host)
{
    if (xlha_bool(host, "ill"))
        printf("This host is ill: many heartbeats are late at once, or xenstore does not answer. "
               "xhad judges no domain until it is well.\n");
    if (xlha_bool(host, "maintenance"))
        printf("This host is in maintenance: xhad leaves all domains alone. End it: xl-ha maintenance off\n");
}

int xlha_cmd_list(struct xlha *x)
{
    json_t *args = json_object(), *result;
    int rc;

    if (x->n_args)
        json_object_set_new(args, "domain", json_string(x->args[0]));
    rc = xlha_call(x, "list", args, &result);
    if (rc)
        return rc;
    if (x->json) {
        xlha_print_json(json_object_get(result, "domains"));
    } else {
        print_list(x, json_object_get(result, "domains"));
        print_host(json_object_get(result, "host"));
    }
    json_decref(result);
    return XLHA_DONE;
}

static int show(struct xlha *x, const char *cmd, json_t *args)
{
    json_t *result;
    int rc = xlha_call(x, cmd, args, &result);

    if (rc)
        return rc;
    if (x->json)
        xlha_print_json(result);
    else
        xlha_print_object(result, stdout);
    json_decref(result);
    return XLHA_DONE;
}

int xlha_cmd_info(struct xlha *x)
{
    return show(x, "info", json_pack("{s:s}", "domain", x->args[0]));
}

int xlha_cmd_status(struct xlha *x)
{
    return show(x, "status", NULL);
}

/* Its own version is told even when xhad does not answer. */
int xlha_cmd_version(struct xlha *x)
{
    json_t *result, *all;
    int rc;

    if (!x->json)
        printf("%-27s: %s\n", "xl-ha", PACKAGE_VERSION);
    rc = xlha_call(x, "version", NULL, &result);
    if (rc)
        return rc;
    if (x->json) {
        all = json_pack("{s:s, s:O}", "xl-ha", PACKAGE_VERSION, "xhad", result);
        xlha_print_json(all);
        json_decref(all);
    } else {
        printf("%-27s: ", "xhad");
        xlha_print_line(xlha_string(result, "version"), stdout);
        json_object_del(result, "version");
        xlha_print_object(result, stdout);
    }
    json_decref(result);
    return XLHA_DONE;
}

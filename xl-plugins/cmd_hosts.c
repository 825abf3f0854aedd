/*
 * cmd_hosts.c - hosts, timing, metrics: how the cluster itself stands.
 */
#include "xl-plugins/xl-ha.h"

#include <inttypes.h>
#include <string.h>

static void cell_int(struct xlha_table *table, const json_t *entry, const char *key)
{
    int64_t value = xlha_int(entry, key, -1);
    char text[32];

    snprintf(text, sizeof(text), "%" PRId64, value);
    xlha_table_cell(table, value < 0 ? "-" : text);
}

static void cell_size(struct xlha_table *table, const json_t *entry, const char *key)
{
    int64_t kib = xlha_int(entry, key, -1);
    char text[32];

    xlha_table_cell(table, xlha_size_text(kib < 0 ? -1 : kib * 1024, text, sizeof(text)));
}

/* What an operator wants to know of a host in one word, and what is to be done in a few more. */
static void state_text(const json_t *host, char *buf, size_t len)
{
    const char *state = xlha_string(host, "state"), *by = xlha_string(host, "fenced_by");
    const json_t *check = json_object_get(host, "fence_check");
    char left[32];

    if (!strcmp(state, "lost") && xlha_int(host, "takeover_in_ms", -1) >= 0)
        snprintf(buf, len, "lost, safe in %s",
                 xlha_span_text(xlha_int(host, "takeover_in_ms", 0), left, sizeof(left)));
    else if (!strcmp(state, "fenced") && *by)
        snprintf(buf, len, "fenced (%s)", by);
    else
        snprintf(buf, len, "%s%s%s%s", state,
                 !strcmp(state, "in") && xlha_bool(host, "node") && !xlha_bool(host, "member")
                     ? ", xhad is gone"
                     : "",
                 xlha_bool(host, "maintenance") ? ", maintenance" : "",
                 json_is_object(check) && !xlha_bool(check, "ok") ? ", cannot be fenced" : "");
}

/* The last failure of fencing it, or else what its fence devices said when they were asked. */
static void fencing_text(const json_t *host, char *buf, size_t len)
{
    const char *failed = xlha_string(host, "fence_text");
    const json_t *check = json_object_get(host, "fence_check");

    if (*failed || !json_is_object(check))
        snprintf(buf, len, "%s", failed);
    else if (xlha_bool(check, "ok"))
        snprintf(buf, len, "ready");
    else
        snprintf(buf, len, "would fail: %s", xlha_string(check, "text"));
}

static void row(struct xlha_table *table, const json_t *host, bool longer)
{
    char state[96], name[96], fencing[512];

    state_text(host, state, sizeof(state));
    snprintf(name, sizeof(name), "%.64s%s", xlha_string(host, "name"), xlha_bool(host, "self") ? "*" : "");
    xlha_table_cell(table, name);
    cell_int(table, host, "id");
    xlha_table_cell(table, state);
    xlha_table_cell(table, xlha_bool(host, "leader") ? "yes" : "-");
    xlha_table_cell(table, xlha_bool(host, "armed") ? "armed" : "-");
    cell_int(table, host, "domains");
    cell_int(table, host, "running");
    cell_int(table, host, "moving");
    cell_size(table, host, "mem_kib");
    cell_size(table, host, "mem_free_kib");
    if (!longer)
        return;
    cell_int(table, host, "pcpus");
    xlha_table_cell(table, xlha_string(host, "address"));
    xlha_table_cell(table, xlha_string(host, "build"));
    fencing_text(host, fencing, sizeof(fencing));
    xlha_table_cell(table, fencing);
}

void xlha_print_hosts(const json_t *hosts, bool longer, FILE *out)
{
    static const char *const titles[] = { "Host",     ">ID",      "State",   "Leader", "Watchdog",
                                          ">Domains", ">Running", ">Moving", ">Mem",   ">Free",
                                          ">CPUs",    "Address",  "xhad",    "Fencing" };
    struct xlha_table *table = xlha_table_new(titles, longer ? sizeof(titles) / sizeof(titles[0]) : 10);
    const json_t *host;
    size_t i;

    json_array_foreach(hosts, i, host) row(table, host, longer);
    xlha_table_print(table, out);
    xlha_table_free(table);
}

int xlha_cmd_hosts(struct xlha *x)
{
    json_t *hosts;
    int rc = xlha_call(x, "hosts", NULL, &hosts);

    if (rc)
        return rc;
    if (x->json)
        xlha_print_json(hosts);
    else
        xlha_print_hosts(hosts, x->longer, stdout);
    json_decref(hosts);
    return XLHA_DONE;
}

/* ---- timing ---- */

static void print_times(const json_t *times)
{
    static const char *const titles[] = { "Time", ">Value", "From", "What it is" };
    struct xlha_table *table = xlha_table_new(titles, 4);
    const json_t *time;
    size_t i;

    json_array_foreach(times, i, time)
    {
        char text[32];

        xlha_table_cell(table, xlha_string(time, "name"));
        xlha_table_cell(table, xlha_span_text(xlha_int(time, "ms", -1), text, sizeof(text)));
        xlha_table_cell(table, xlha_bool(time, "by_hand") ? "xhad.conf" : xlha_string(time, "formula"));
        xlha_table_cell(table, xlha_string(time, "doc"));
    }
    xlha_table_print(table, stdout);
    xlha_table_free(table);
}

static void print_cases(const json_t *cases)
{
    static const char *const titles[] = { "Failure", ">Start ordered", ">Runs again",
                                          "How it comes to that" };
    struct xlha_table *table = xlha_table_new(titles, 4);
    const json_t *one;
    size_t i;

    json_array_foreach(cases, i, one)
    {
        bool recovers = xlha_bool(one, "recovers");
        char issued[32], whole[32];

        xlha_span_text(recovers ? xlha_int(one, "issued_ms", -1) : -1, issued, sizeof(issued));
        xlha_span_text(recovers ? xlha_int(one, "ms", -1) : -1, whole, sizeof(whole));
        xlha_table_cell(table, xlha_string(one, "name"));
        xlha_table_cell(table, issued);
        xlha_table_cell(table, recovers ? whole : "not");
        xlha_table_cell(table, xlha_string(one, *xlha_string(one, "formula") ? "formula" : "text"));
    }
    xlha_table_print(table, stdout);
    xlha_table_free(table);
}

int xlha_cmd_timing(struct xlha *x)
{
    json_t *result;
    const json_t *line;
    size_t i;
    int rc = xlha_call(x, "timing", NULL, &result);

    if (rc)
        return rc;
    if (x->json) {
        xlha_print_json(result);
    } else {
        print_times(json_object_get(result, "times"));
        printf("\nAt worst, after a failure:\n\n");
        print_cases(json_object_get(result, "cases"));
        if (json_array_size(json_object_get(result, "notes")))
            printf("\n");
        json_array_foreach(json_object_get(result, "notes"), i, line)
            xlha_print_line(json_is_string(line) ? json_string_value(line) : "", stdout);
        json_array_foreach(json_object_get(result, "faults"), i, line)
            xlha_print_line(json_is_string(line) ? json_string_value(line) : "", stdout);
    }
    rc = json_array_size(json_object_get(result, "faults")) ? XLHA_FAILED : XLHA_DONE;
    json_decref(result);
    return rc;
}

/* ---- metrics ---- */

/* xhad's own text, whose names and labels it has escaped: nothing else may pass, it is for machines. */
int xlha_cmd_metrics(struct xlha *x)
{
    json_t *result;
    int rc = xlha_call(x, "metrics", NULL, &result);

    if (rc)
        return rc;
    if (x->json)
        xlha_print_json(result);
    else
        for (const char *c = xlha_string(result, "text"); *c; c++)
            putchar((unsigned char)*c < ' ' && *c != '\n' ? '?' : *c);
    json_decref(result);
    return XLHA_DONE;
}

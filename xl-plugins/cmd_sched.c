/*
 * cmd_sched.c - weight, cap, affinity and cpupool: shown as xl sched-credit2 shows them, or changed.
 */
#include "xl-plugins/xl-ha.h"

#include <inttypes.h>

static void cell_int(struct xlha_table *table, const json_t *domain, const char *key)
{
    int64_t value = xlha_int(domain, key, -1);
    char text[32];

    snprintf(text, sizeof(text), "%" PRId64, value);
    xlha_table_cell(table, value < 0 ? "-" : text);
}

static void print_sched(const json_t *result)
{
    static const char *const titles[] = { "Name", ">ID", ">Weight", ">Cap", "Affinity", "Pool" };
    struct xlha_table *table = xlha_table_new(titles, sizeof(titles) / sizeof(titles[0]));
    const json_t *domain;
    size_t i;

    json_array_foreach(json_object_get(result, "domains"), i, domain)
    {
        xlha_table_cell(table, xlha_string(domain, "name"));
        cell_int(table, domain, "domid");
        cell_int(table, domain, "weight");
        cell_int(table, domain, "cap");
        xlha_table_cell(table, xlha_string(domain, "affinity"));
        xlha_table_cell(table, xlha_string(domain, "pool"));
    }
    xlha_table_print(table, stdout);
    xlha_table_free(table);
}

int xlha_cmd_sched(struct xlha *x)
{
    bool change = x->weight >= 0 || x->cap >= 0 || x->affinity || x->pool;
    json_t *args = json_object(), *result;
    int rc;

    if (change && !x->n_args)
        rc = xlha_fail(XLHA_USAGE, "name the domain to change: xl-ha sched DOMAIN ...");
    else
        rc = XLHA_DONE;
    if (x->n_args)
        json_object_set_new(args, "domain", json_string(x->args[0]));
    if (x->weight >= 0)
        json_object_set_new(args, "weight", json_integer(x->weight));
    if (x->cap >= 0)
        json_object_set_new(args, "cap", json_integer(x->cap));
    if (x->affinity)
        json_object_set_new(args, "affinity", json_string(x->affinity));
    if (x->pool)
        json_object_set_new(args, "pool", json_string(x->pool));
    if (rc) {
        json_decref(args);
        return rc;
    }
    rc = xlha_call(x, "sched", args, &result);
    if (rc)
        return rc;
    if (change)
        return xlha_print_answer(x, result);
    if (x->json)
        xlha_print_json(json_object_get(result, "domains"));
    else
        print_sched(result);
    json_decref(result);
    return XLHA_DONE;
}

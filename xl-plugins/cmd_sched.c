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

static struct xlha_table *new_table(void)
{
    static const char *const titles[] = { "Name", ">Weight", ">Cap", "Affinity", "Pool", "From" };

    return xlha_table_new(titles, sizeof(titles) / sizeof(titles[0]));
}

static void row(struct xlha_table *table, const json_t *domain)
{
    xlha_table_cell(table, xlha_string(domain, "domain"));
    cell_int(table, domain, "weight");
    cell_int(table, domain, "cap");
    xlha_table_cell(table, xlha_string(domain, "affinity"));
    xlha_table_cell(table, xlha_string(domain, "pool"));
    xlha_table_cell(table, xlha_string(domain, "from"));
}

static void print_one(const struct xlha *x, const json_t *domain)
{
    struct xlha_table *table;

    if (x->json) {
        xlha_print_json(domain);
        return;
    }
    table = new_table();
    row(table, domain);
    xlha_table_print(table, stdout);
    xlha_table_free(table);
}

/* xhad tells of one domain at a time. */
static int show_all(struct xlha *x)
{
    struct xlha_table *table = new_table();
    json_t *list, *all = json_array(), *domain;
    const json_t *entry;
    size_t i;
    int rc;

    rc = xlha_call(x, "list", NULL, &list);
    if (rc)
        goto out;
    json_array_foreach(list, i, entry)
    {
        rc = xlha_call(x, "sched", json_pack("{s:s}", "domain", xlha_string(entry, "uuid")), &domain);
        if (rc)
            break;
        row(table, domain);
        json_array_append_new(all, domain);
    }
    json_decref(list);
    if (!rc && x->json)
        xlha_print_json(all);
    else if (!rc)
        xlha_table_print(table, stdout);
out:
    json_decref(all);
    xlha_table_free(table);
    return rc;
}

static json_t *changes(const struct xlha *x)
{
    json_t *args = json_pack("{s:s}", "domain", x->args[0]);

    if (x->weight >= 0)
        json_object_set_new(args, "weight", json_integer(x->weight));
    if (x->cap >= 0)
        json_object_set_new(args, "cap", json_integer(x->cap));
    if (x->affinity)
        json_object_set_new(args, "affinity", json_string(x->affinity));
    if (x->pool)
        json_object_set_new(args, "pool", json_string(x->pool));
    return args;
}

int xlha_cmd_sched(struct xlha *x)
{
    bool change = x->weight >= 0 || x->cap >= 0 || x->affinity || x->pool;
    json_t *result;
    int rc;

    if (!x->n_args && change)
        return xlha_fail(XLHA_USAGE, "name the domain to change: xl-ha sched DOMAIN ...");
    if (!x->n_args)
        return show_all(x);
    rc = xlha_call(x, "sched", changes(x), &result);
    if (rc)
        return rc;
    /* the values, too, when they only hold from its next start on */
    if (!json_object_get(result, "weight"))
        return xlha_print_answer(x, result);
    print_one(x, result);
    json_decref(result);
    return XLHA_DONE;
}

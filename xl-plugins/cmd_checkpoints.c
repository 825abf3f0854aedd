/*
 * cmd_checkpoints.c - the checkpoints of a domain.
 */
#include "xl-plugins/xl-ha.h"

#include <inttypes.h>
#include <string.h>

static void row(struct xlha_table *table, const json_t *checkpoint)
{
    const json_t *compressed = json_object_get(checkpoint, "compressed");
    char number[32], size[32];

    snprintf(number, sizeof(number), "%" PRId64, xlha_int(checkpoint, "number", 0));
    xlha_table_cell(table, number);
    xlha_table_cell(table, xlha_string(checkpoint, "time"));
    xlha_table_cell(table, xlha_size_text(xlha_int(checkpoint, "size", -1), size, sizeof(size)));
    if (json_is_string(compressed))
        xlha_table_cell(table, json_string_value(compressed));
    else
        xlha_table_cell(table, json_is_true(compressed) ? "zstd" : "none");
    xlha_table_cell(table, xlha_bool(checkpoint, "good") ? "good" : "CORRUPT");
}

int xlha_cmd_checkpoints(struct xlha *x)
{
    static const char *const titles[] = { ">Number", "Time", ">Size", "Compressed", "State" };
    const json_t *checkpoint;
    struct xlha_table *table;
    json_t *all;
    size_t i;
    int rc;

    rc = xlha_call(x, "checkpoints", json_pack("{s:s}", "domain", x->args[0]), &all);
    if (rc)
        return rc;
    if (x->json) {
        xlha_print_json(all);
    } else {
        table = xlha_table_new(titles, sizeof(titles) / sizeof(titles[0]));
        json_array_foreach(all, i, checkpoint) row(table, checkpoint);
        xlha_table_print(table, stdout);
        xlha_table_free(table);
    }
    json_decref(all);
    return XLHA_DONE;
}

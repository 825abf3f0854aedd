/*
 * cmd_checkpoints.c - the checkpoints of a domain.
 */
#include "xl-plugins/xl-ha.h"

#include <inttypes.h>

static void row(struct xlha_table *table, const json_t *checkpoint)
{
    const char *damage = xlha_string(checkpoint, "damage");
    char number[32], when[32], size[32], pause[32], state[300];

    snprintf(number, sizeof(number), "%" PRId64, xlha_int(checkpoint, "number", 0));
    xlha_time_text(xlha_int(checkpoint, "time_ms", -1), when, sizeof(when));
    snprintf(state, sizeof(state), "%s%s%s", xlha_bool(checkpoint, "good") ? "good" : "DAMAGED",
             *damage ? ": " : "", damage);
    xlha_table_cell(table, number);
    xlha_table_cell(table, when);
    xlha_table_cell(table, xlha_size_text(xlha_int(checkpoint, "bytes", -1), size, sizeof(size)));
    xlha_table_cell(table, xlha_string(checkpoint, "compress"));
    xlha_table_cell(table, xlha_span_text(xlha_int(checkpoint, "pause_ms", -1), pause, sizeof(pause)));
    xlha_table_cell(table, state);
}

int xlha_cmd_checkpoints(struct xlha *x)
{
    static const char *const titles[] = { ">Number", "Time", ">Size", "Compressed", ">Pause", "State" };
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

/*
 * table.c - tables as xl prints them: a line of titles, names to the left, numbers to the right.
 */
#include "xl-plugins/xl-ha.h"

#include <stdlib.h>
#include <string.h>

#include "xhad/base/text.h"

enum { CELL_MAX = 256 };

struct xlha_table {
    size_t columns;
    bool right[XLHA_COLUMNS_MAX];
    size_t width[XLHA_COLUMNS_MAX];
    char **cell; /* row by row, titles first */
    size_t n, room;
};

struct xlha_table *xlha_table_new(const char *const *titles, size_t n)
{
    struct xlha_table *table = calloc(1, sizeof(*table));

    if (!table || n > XLHA_COLUMNS_MAX)
        abort();
    table->columns = n;
    for (size_t i = 0; i < n; i++) {
        table->right[i] = titles[i][0] == '>';
        xlha_table_cell(table, titles[i] + table->right[i]);
    }
    return table;
}

void xlha_table_cell(struct xlha_table *table, const char *text)
{
    size_t column = table->n % table->columns, len;
    char safe[CELL_MAX];

    if (table->n == table->room) {
        table->room = table->room ? 2 * table->room : 64;
        table->cell = reallocarray(table->cell, table->room, sizeof(*table->cell));
    }
    xha_text_escape(safe, sizeof(safe), text);
    len = strlen(safe);
    if (!table->cell || !(table->cell[table->n] = strdup(safe))) {
        fputs("xl-ha: out of memory\n", stderr);
        exit(XLHA_FAILED);
    }
    table->n++;
    if (table->width[column] < len)
        table->width[column] = len;
}

void xlha_table_print(struct xlha_table *table, FILE *out)
{
    for (size_t i = 0; i < table->n; i++) {
        size_t column = i % table->columns;
        int width = (int)table->width[column];

        if (column)
            fputs("  ", out);
        if (table->right[column])
            fprintf(out, "%*s", width, table->cell[i]);
        else if (column + 1 < table->columns)
            fprintf(out, "%-*s", width, table->cell[i]);
        else
            fputs(table->cell[i], out);
        if (column + 1 == table->columns)
            fputc('\n', out);
    }
}

void xlha_table_free(struct xlha_table *table)
{
    for (size_t i = 0; i < table->n; i++)
        free(table->cell[i]);
    free(table->cell);
    free(table);
}

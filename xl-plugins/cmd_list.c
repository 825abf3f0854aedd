/*
 * cmd_list.c - list, info, status, version: how things stand.
 */
#include "xl-plugins/xl-ha.h"

#include <inttypes.h>
#include <string.h>

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

static void cell_name(struct xlha_table *table, const json_t *entry, const char *key)
{
    xlha_table_cell(table, *xlha_string(entry, key) ? xlha_string(entry, key) : "-");
}

static bool replicates(const json_t *domains)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(domains, i, entry) if (*xlha_string(entry, "replication")) return true;
    return false;
}

/* Which columns there are, beside those that always are. */
struct columns {
    bool hosts;       /* in a cluster */
    bool replication; /* some domain is to be replicated */
    bool longer;
};

/* As in xl list: name, id, memory in MiB; then what xhad adds. */
static void row(struct xlha_table *table, const json_t *entry, const struct columns *c)
{
    int64_t mem_kib = xlha_int(entry, "mem_kib", -1);
    char state[160];

    snprintf(state, sizeof(state), "%.64s%s%s%.64s", xlha_string(entry, "state"),
             xlha_bool(entry, "held") ? " (held)" : "", *xlha_string(entry, "to") ? " to " : "",
             xlha_string(entry, "to"));
    xlha_table_cell(table, xlha_string(entry, "name"));
    if (c->hosts)
        cell_name(table, entry, "host");
    cell_int(table, xlha_int(entry, "domid", -1));
    cell_int(table, mem_kib < 0 ? -1 : mem_kib / 1024);
    xlha_table_cell(table, state);
    cell_span(table, entry, "since_ms");
    xlha_table_cell(table, xlha_string(entry, "protection"));
    if (c->replication) {
        cell_name(table, entry, "replication");
        cell_name(table, entry, "backup");
        cell_span(table, entry, "epoch_age_ms");
    }
    cell_span(table, entry, "beat_age_ms");
    cell_int(table, xlha_int(entry, "restarts", -1));
    if (!c->longer)
        return;
    cell_span(table, entry, "checkpoint_age_ms");
    cell_int(table, xlha_int(entry, "term", -1));
    xlha_table_cell(table, xlha_string(entry, "purpose"));
    xlha_table_cell(table, xlha_string(entry, "uuid"));
    xlha_table_cell(table, xlha_string(entry, *xlha_string(entry, "wait") ? "wait" : "why"));
}

/* With the host where there is a cluster, and with the backup where there is replication. */
void xlha_print_domains(const json_t *domains, bool longer, FILE *out)
{
    struct columns c = { .hosts = json_object_get(json_array_get(domains, 0), "phase") != NULL,
                         .replication = replicates(domains),
                         .longer = longer };
    const struct {
        const char *title;
        bool shown;
    } all[] = {
        { "Name", true },
        { "Host", c.hosts },
        { ">ID", true },
        { ">Mem", true },
        { "State", true },
        { ">For", true },
        { "Protection", true },
        { "Replication", c.replication },
        { "Backup", c.replication },
        { ">Epoch", c.replication },
        { ">Beat", true },
        { ">Restarts", true },
        { ">Checkpoint", longer },
        { ">Term", longer },
        { "Purpose", longer },
        { "UUID", longer },
        { "Why", longer },
    };
    const char *titles[sizeof(all) / sizeof(all[0])];
    size_t n = 0, i;
    struct xlha_table *table;
    const json_t *entry;

    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i].shown)
            titles[n++] = all[i].title;
    table = xlha_table_new(titles, n);
    json_array_foreach(domains, i, entry) row(table, entry, &c);
    xlha_table_print(table, out);
    xlha_table_free(table);
}

static bool is_named(const json_t *entry, const char *name)
{
    char domid[32];

    snprintf(domid, sizeof(domid), "%" PRId64, xlha_int(entry, "domid", -1));
    return !strcmp(xlha_string(entry, "name"), name) || !strcasecmp(xlha_string(entry, "uuid"), name) ||
           !strcmp(domid, name);
}

/* Only the one that is called so. false: there is none. */
static bool keep_one(json_t *domains, const char *name)
{
    for (size_t i = json_array_size(domains); i-- > 0;) {
        if (!is_named(json_array_get(domains, i), name))
            json_array_remove(domains, i);
    }
    return json_array_size(domains) > 0;
}

int xlha_cmd_list(struct xlha *x)
{
    json_t *domains;
    int rc;

    rc = xlha_call(x, "list", NULL, &domains);
    if (rc)
        return rc;
    if (x->n_args && !keep_one(domains, x->args[0]))
        rc = xlha_fail(XLHA_FAILED, "%s is not protected; xl-ha list shows what is", x->args[0]);
    else if (x->json)
        xlha_print_json(domains);
    else
        xlha_print_domains(domains, x->longer, stdout);
    json_decref(domains);
    return rc;
}

static int show(struct xlha *x, const char *cmd, json_t *args)
{
    json_t *result;
    int rc = xlha_call(x, cmd, args, &result);

    if (rc)
        return rc;
    if (x->json) {
        xlha_print_json(result);
    } else {
        if (*xlha_string(result, "text")) /* the whole in one line */
            xlha_print_line(xlha_string(result, "text"), stdout);
        json_object_del(result, "text");
        xlha_print_object(result, stdout);
    }
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

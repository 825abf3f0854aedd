/*
 * cmd_move.c - migrate, maintenance, what-if and the words to the cluster: confirm-fenced, arm, disarm,
 * forget-host.
 */
#include "xl-plugins/xl-ha.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "xhad/base/cleanup.h"

/* ---- migrate ---- */

/* ^C: the guest is to stay where it is. The answer to the move itself says how it ended. */
static void abort_move(struct xlha *x)
{
    struct xlha other = *x;
    json_t *result;

    other.interrupt = NULL;
    other.no_wait = true;
    other.timeout_ms = 5000;
    xlha_progress_end();
    fprintf(stderr, "xl-ha: the move is called off, the domain is to stay where it is ...\n");
    if (!xlha_call(&other, "migrate-abort", json_pack("{s:s}", "domain", x->args[0]), &result))
        json_decref(result);
}

/* Bytes a second: a number with k, M or G (of 1024), or none. */
static bool parse_rate(const char *text, json_int_t *rate_r)
{
    static const char units[] = "kMG";
    double value;
    char *end;

    errno = 0;
    value = strtod(text, &end);
    if (errno || end == text || !(value >= 0))
        return false;
    for (size_t i = 0; *end && i < strlen(units); i++) {
        value *= 1024;
        if (strncasecmp(end, &units[i], 1) == 0) {
            end++;
            break;
        }
    }
    if (*end || value > 1e15)
        return false;
    *rate_r = (json_int_t)value;
    return true;
}

int xlha_cmd_migrate(struct xlha *x)
{
    json_int_t rate = 0;
    json_t *args, *result;
    int rc;

    if (x->limit && !parse_rate(x->limit, &rate))
        return xlha_fail(XLHA_USAGE, "--limit %s: must be bytes a second, such as 20M", x->limit);
    args =
        json_pack("{s:s, s:s, s:I}", "domain", x->args[0], "mode", x->mode ? x->mode : "auto", "limit", rate);
    if (x->n_args == 2)
        json_object_set_new(args, "host", json_string(x->args[1]));
    if (!x->no_wait && !x->dry_run)
        x->interrupt = abort_move;
    rc = xlha_call(x, "migrate", args, &result);
    return rc ? rc : xlha_print_answer(x, result);
}

/* ---- where domains would go ---- */

static void print_moves(const json_t *moves)
{
    static const char *const titles[] = { "Domain", "From", "To", "Why" };
    struct xlha_table *table = xlha_table_new(titles, 4);
    const json_t *move;
    size_t i;

    json_array_foreach(moves, i, move)
    {
        const char *to = xlha_string(move, "to");

        xlha_table_cell(table, xlha_string(move, "domain"));
        xlha_table_cell(table, xlha_string(move, "from"));
        xlha_table_cell(table, *to ? to : "nowhere");
        xlha_table_cell(table, xlha_string(move, "text"));
    }
    xlha_table_print(table, stdout);
    xlha_table_free(table);
}

/* ---- maintenance ---- */

static bool is_host(const json_t *hosts, const char *name)
{
    const json_t *host;
    size_t i;

    json_array_foreach(hosts, i, host) if (!strcmp(xlha_string(host, "name"), name)) return true;
    return false;
}

/* Whether the word is a host of the cluster; no when there is no cluster. */
static int host_or_domain(struct xlha *x, const char *word, const char **what_r)
{
    json_t *hosts = NULL;
    int rc = xlha_ask_quietly(x, "hosts", NULL, "no-cluster", &hosts);

    if (rc)
        return rc;
    *what_r = hosts && is_host(hosts, word) ? "host" : "domain";
    json_decref(hosts);
    return XLHA_DONE;
}

static void print_left(const json_t *left)
{
    static const char *const titles[] = { "Stays", "Why" };
    struct xlha_table *table;
    const json_t *one;
    size_t i;

    if (!json_array_size(left))
        return;
    table = xlha_table_new(titles, 2);
    json_array_foreach(left, i, one)
    {
        xlha_table_cell(table, xlha_string(one, "domain"));
        xlha_table_cell(table, xlha_string(one, "text"));
    }
    xlha_table_print(table, stdout);
    xlha_table_free(table);
}

int xlha_cmd_maintenance(struct xlha *x)
{
    const char *word = x->args[x->n_args - 1], *what = NULL;
    bool on = !strcmp(word, "on"), stay;
    json_t *args, *result;
    int rc;

    if (!on && strcmp(word, "off"))
        return xlha_fail(XLHA_USAGE, "usage: xl-ha maintenance %s", x->command->arguments);
    args = json_pack("{s:b}", "on", (int)on);
    if (x->n_args == 2) {
        rc = host_or_domain(x, x->args[0], &what);
        if (rc) {
            json_decref(args);
            return rc;
        }
        json_object_set_new(args, what, json_string(x->args[0]));
    }
    rc = xlha_call(x, "maintenance", args, &result);
    if (rc)
        return rc;
    stay = json_array_size(json_object_get(result, "left")) > 0;
    if (stay && !x->json)
        print_left(json_object_get(result, "left"));
    if (json_array_size(json_object_get(result, "moves")) && !x->json)
        print_moves(json_object_get(result, "moves"));
    xlha_print_answer(x, result);
    return stay ? XLHA_FAILED : XLHA_DONE;
}

/* ---- what-if ---- */

/* host-down HOST, or add POLICY. Exit code 1: somebody would find no place. */
int xlha_cmd_what_if(struct xlha *x)
{
    XHA_CLEANUP_FREE char *path = NULL;
    json_t *args, *result;
    bool bad;
    int rc;

    if (!strcmp(x->args[0], "host-down")) {
        args = json_pack("{s:s}", "down", x->args[1]);
    } else if (!strcmp(x->args[0], "add")) {
        path = realpath(x->args[1], NULL);
        if (!path)
            return xlha_fail(XLHA_FAILED, "%s: %s; give the name of a policy file, see xha-domain(5)",
                             x->args[1], strerror(errno));
        args = json_pack("{s:s}", "add", path);
    } else {
        return xlha_fail(XLHA_USAGE, "usage: xl-ha what-if %s", x->command->arguments);
    }
    rc = xlha_call(x, "what-if", args, &result);
    if (rc)
        return rc;
    bad = json_object_get(result, "ok") ? !xlha_bool(result, "ok") : xlha_int(result, "homeless", 0) > 0;
    if (x->json) {
        xlha_print_json(result);
    } else {
        if (json_array_size(json_object_get(result, "moves")))
            print_moves(json_object_get(result, "moves"));
        xlha_print_line(xlha_string(result, "text"), stdout);
    }
    json_decref(result);
    return bad ? XLHA_FAILED : XLHA_DONE;
}

/* ---- words to the cluster ---- */

/* confirm-fenced HOST, forget-host HOST, arm, disarm: the command's name is xhad's. */
int xlha_cmd_tell(struct xlha *x)
{
    json_t *args = x->n_args ? json_pack("{s:s}", "host", x->args[0]) : NULL, *result;
    int rc = xlha_call(x, x->command->name, args, &result);

    return rc ? rc : xlha_print_answer(x, result);
}

/*
 * cmd_order.c - protect, unprotect, start, stop, restart, checkpoint, restore: what is to be done.
 */
#include "xl-plugins/xl-ha.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "xhad/base/cleanup.h"

static int order(struct xlha *x, const char *cmd, json_t *args)
{
    json_t *result;
    int rc = xlha_call(x, cmd, args, &result);

    return rc ? rc : xlha_print_answer(x, result);
}

/* The command's name is xhad's. */
int xlha_cmd_order(struct xlha *x)
{
    return order(x, x->command->name, json_pack("{s:s}", "domain", x->args[0]));
}

int xlha_cmd_unprotect(struct xlha *x)
{
    return xlha_cmd_order(x);
}

/* Under protection it is; now until its backup has a copy. Takes over result. */
static int await_copy(struct xlha *x, json_t *result)
{
    XHA_CLEANUP_FREE char *domain = strdup(xlha_string(result, "domain"));
    json_t *status = NULL;
    char text[200];
    int rc;

    if (!domain)
        abort();
    if (!x->json) {
        xlha_print_answer(x, json_incref(result));
        fflush(stdout);
    }
    rc = xlha_repl_await(x, domain, &status);
    if (x->json && status) {
        static const char *const keys[] = { "replication", "replication_why", "host", "backup" };

        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
            json_object_set(result, keys[i], json_object_get(status, keys[i]));
        xlha_print_json(result);
    } else if (!rc) {
        snprintf(text, sizeof(text), "%.80s is replicated to %.80s", domain, xlha_string(status, "backup"));
        xlha_print_line(text, stdout);
    }
    json_decref(status);
    json_decref(result);
    return rc;
}

/* xhad reads the file itself, so its name must mean the same there. */
int xlha_cmd_protect(struct xlha *x)
{
    XHA_CLEANUP_FREE char *path = realpath(x->args[0], NULL);
    json_t *result;
    int rc;

    if (!path)
        return xlha_fail(XLHA_FAILED, "%s: %s; give the name of a policy file, see xha-domain(5)", x->args[0],
                         strerror(errno));
    rc = xlha_call(x, "protect", json_pack("{s:s, s:b}", "file", path, "take_over", (int)x->take_over),
                   &result);
    if (rc)
        return rc;
    if (x->dry_run || x->no_wait || strcmp(xlha_string(result, "protection"), "replicate"))
        return xlha_print_answer(x, result);
    return await_copy(x, result);
}

static bool checkpoint_number(const char *text, json_int_t *number_r)
{
    char *end;

    errno = 0;
    *number_r = strtoll(text, &end, 10);
    return !errno && !*end && text[0] >= '1' && text[0] <= '9';
}

/* From a checkpoint by its number, or from a file that xl save or xhad wrote. */
int xlha_cmd_restore(struct xlha *x)
{
    XHA_CLEANUP_FREE char *path = NULL;
    json_int_t number = 0;

    if (x->n_args == 1 || checkpoint_number(x->args[1], &number))
        return order(x, "restore", json_pack("{s:s, s:I}", "domain", x->args[0], "number", number));
    path = realpath(x->args[1], NULL);
    if (!path && x->args[1][0] == '/') /* another host may have it: xhad asks the one that has the domain */
        path = strdup(x->args[1]);
    if (!path)
        return xlha_fail(
            XLHA_USAGE,
            "'%s' is neither the number of a checkpoint (see xl-ha checkpoints %s) nor a file: %s",
            x->args[1], x->args[0], strerror(errno));
    return order(x, "restore", json_pack("{s:s, s:s}", "domain", x->args[0], "file", path));
}

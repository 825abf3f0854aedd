/*
 * xl-ha.h - what the files of xl-ha share.
 *
 * xl-ha is a thin program: it turns a command line into one request to xhad's control socket and the answer
 * into a table, or into JSON as it came. Commands are rows of a table (cmdtable.c); options are rows of
 * another (options.c). What xhad says is printed with its control bytes escaped: names and messages may stem
 * from a guest.
 */
#ifndef XL_HA_H
#define XL_HA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define XLHA_VERSION 1 /* of the control socket's protocol */

/* Exit codes; in xl-ha(8). */
enum {
    XLHA_DONE = 0,
    XLHA_FAILED = 1, /* xhad refused it, or the work failed */
    XLHA_USAGE = 2,
    XLHA_UNREACHABLE = 3, /* xhad does not answer */
    XLHA_FORBIDDEN = 4,
    XLHA_TIMEOUT = 5,
};

/* Options that only some commands take. */
enum {
    XLHA_OPT_LONG = 1 << 0,
    XLHA_OPT_FOLLOW = 1 << 1,
    XLHA_OPT_LINES = 1 << 2,
    XLHA_OPT_SCHED = 1 << 3, /* -w -c --affinity --pool */
    XLHA_OPT_TAKE_OVER = 1 << 4,
    XLHA_OPT_WAIT = 1 << 5,    /* the command orders work: --no-wait */
    XLHA_SLOW = 1 << 6,        /* no option: the answer may take long */
    XLHA_OPT_MOVE = 1 << 7,    /* --live --warm --cold --limit */
    XLHA_OPT_CLUSTER = 1 << 8, /* --detection --qdevice --root --force */
};

/* A parsed command line. Strings are argv's. */
struct xlha {
    const struct xlha_command *command;
    char **args; /* after the command, options taken out */
    int n_args;
    const char *socket; /* NULL: where xhad.conf says */
    int timeout_ms;     /* 0: none, -1: the command's own */
    bool dry_run, json, no_wait, longer, follow, take_over;
    int verbose;
    int lines;       /* -1: not given */
    int weight, cap; /* -1: not given */
    const char *affinity, *pool;
    struct {
        double detection; /* seconds; 0: not given */
        const char *qdevice, *root;
        bool force;
    } cluster;
    const char *mode;                  /* "live", "warm", "cold"; NULL: not given */
    const char *limit;                 /* NULL: not given */
    void (*interrupt)(struct xlha *x); /* ^C while xhad works; NULL: ends xl-ha */
};

struct xlha_command {
    const char *name;
    int (*run)(struct xlha *x); /* returns an exit code */
    int min_args, max_args;     /* max_args -1: any number */
    unsigned options;
    const char *arguments;
    const char *summary;
};

/* ---- cmdtable.c ------------------------------------------------------------------------------------------
 */

extern const struct xlha_command xlha_commands[];
extern const size_t xlha_n_commands;

/* The command, also when cut short without ambiguity; NULL: told what is wrong. */
const struct xlha_command *xlha_command_find(const char *name);

void xlha_help(const struct xlha_command *command, FILE *out); /* NULL: all commands */

/* ---- options.c -------------------------------------------------------------------------------------------
 */

/* Fills x from the command line. -1: go on; otherwise the exit code to end with. */
int xlha_options_parse(int argc, char **argv, struct xlha *x);

/* The options that a command with this mask takes, as lines of help. */
void xlha_options_help(unsigned mask, FILE *out);

/* ---- client.c --------------------------------------------------------------------------------------------
 */

/*
 * Sends {"cmd":cmd,"args":args} (args is taken over, NULL: none), waits for the answer and shows progress
 * meanwhile. XLHA_DONE: *result_r is a new reference. Otherwise the exit code, and what went wrong has been
 * said.
 */
int xlha_call(struct xlha *x, const char *cmd, json_t *args, json_t **result_r);

/* The same, but the error with the code `expected` is no failure: nothing is said, and *result_r is NULL. */
int xlha_ask_quietly(struct xlha *x, const char *cmd, json_t *args, const char *expected, json_t **result_r);

/* Calls each() (entry is borrowed) for the entries of the answer, then for what happens from then on, without
 * end. */
typedef void xlha_entry_cb(const struct xlha *x, const json_t *entry);
int xlha_follow(struct xlha *x, const char *cmd, json_t *args, xlha_entry_cb *each);

/* "xl-ha: …" on standard error, control bytes escaped. Returns code. */
int xlha_fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What xlha_fail() last said. */
const char *xlha_last_failure(void);

/* ---- connect.c -------------------------------------------------------------------------------------------
 */

/* Connects to xhad. XLHA_DONE and *fd_r, or the exit code after saying why. */
int xlha_connect(const struct xlha *x, int *fd_r);

/* ---- progress.c ------------------------------------------------------------------------------------------
 */

/* One progress report: a bar on a terminal; on anything else nothing, or with -v a line per step. */
void xlha_progress(const struct xlha *x, const json_t *progress);
void xlha_progress_end(void);

/* ---- table.c ---------------------------------------------------------------------------------------------
 */

#define XLHA_COLUMNS_MAX 20

struct xlha_table;

/* titles: XLHA_COLUMNS_MAX at most; one that begins with '>' is of a column of numbers, set to the right. */
struct xlha_table *xlha_table_new(const char *const *titles, size_t n);
void xlha_table_cell(struct xlha_table *table, const char *text); /* copied and escaped; row by row */
void xlha_table_print(struct xlha_table *table, FILE *out);
void xlha_table_free(struct xlha_table *table);

/* ---- print.c ---------------------------------------------------------------------------------------------
 */

/* Members of an answer, whatever xhad sent: "" or dflt for what is not there or of another type. */
const char *xlha_string(const json_t *object, const char *key);
int64_t xlha_int(const json_t *object, const char *key, int64_t dflt);
bool xlha_bool(const json_t *object, const char *key);

/* Text into buf, returned: ages and lengths (0.4s, 42s, 13m20s, 2h13m, 5d04h; "-" below 0), sizes
 * (512K, 1.5G). */
const char *xlha_span_text(int64_t ms, char *buf, size_t len);
const char *xlha_time_text(int64_t ms, char *buf, size_t len); /* since 1970; local, to the second */
const char *xlha_size_text(int64_t bytes, char *buf, size_t len);
const char *xlha_short_text(int64_t us, char *buf, size_t len); /* 850us, 3.2ms, 41ms, 1.25s; "-" below 0 */

/* JSON on standard output. */
void xlha_print_json(const json_t *value);

/* A string from xhad and a newline. */
void xlha_print_line(const char *text, FILE *out);

/* Any object, as xl info prints: "key   : value". */
void xlha_print_object(const json_t *object, FILE *out);

/* One entry of the history as one line. */
void xlha_print_entry(const json_t *entry, FILE *out);

/* Answers of commands that order something: with --json as it came, else what xhad says about it. */
int xlha_print_answer(const struct xlha *x, json_t *result);

/* Tables of cmd_hosts.c and cmd_list.c. */
void xlha_print_hosts(const json_t *hosts, bool longer, FILE *out);
void xlha_print_domains(const json_t *domains, bool longer, FILE *out);

/* ---- cmd_repl.c ------------------------------------------------------------------------------------------
 */

/*
 * Shows the first copy of a domain until its backup has it, or until it is known why it has none. status_r (may be
 * NULL): a new reference to what `repl` last answered. XLHA_FAILED: it has none, which has been said.
 */
int xlha_repl_await(struct xlha *x, const char *domain, json_t **status_r);

/* ---- commands --------------------------------------------------------------------------------------------
 */

int xlha_cmd_list(struct xlha *x);
int xlha_cmd_info(struct xlha *x);
int xlha_cmd_status(struct xlha *x);
int xlha_cmd_version(struct xlha *x);
int xlha_cmd_protect(struct xlha *x);
int xlha_cmd_unprotect(struct xlha *x);
int xlha_cmd_order(struct xlha *x); /* start, stop, restart, checkpoint */
int xlha_cmd_maintenance(struct xlha *x);
int xlha_cmd_hosts(struct xlha *x);
int xlha_cmd_timing(struct xlha *x);
int xlha_cmd_metrics(struct xlha *x);
int xlha_cmd_migrate(struct xlha *x);
int xlha_cmd_migrate_receive(struct xlha *x);
int xlha_cmd_what_if(struct xlha *x);
int xlha_cmd_tell(struct xlha *x); /* confirm-fenced, forget-host, arm, disarm */
int xlha_cmd_top(struct xlha *x);
int xlha_cmd_checkpoints(struct xlha *x);
int xlha_cmd_restore(struct xlha *x);
int xlha_cmd_sched(struct xlha *x);
int xlha_cmd_cluster(struct xlha *x);
int xlha_cmd_repl(struct xlha *x);
int xlha_cmd_log(struct xlha *x);
int xlha_cmd_why(struct xlha *x);
int xlha_cmd_reload(struct xlha *x);
int xlha_cmd_check_config(struct xlha *x);
int xlha_cmd_help(struct xlha *x);

#endif

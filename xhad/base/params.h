/*
 * params.h - parameters of config files, as tables.
 *
 * One row per parameter holds all that is known of it: name, type, default, limits, whether it changes live,
 * and a line of documentation. The parser, `xhad -n`, reload and the test of the manual read the same rows,
 * so that they cannot tell different stories. The tables themselves: conf.h (xhad.conf) and policy.h (a
 * domain's policy).
 *
 * Files are libconfig's syntax, read with bounds: at most XHA_PARAMS_FILE_MAX bytes, a plain file, no
 * @include. All problems of a file are collected, each with file and line.
 */
#ifndef XHA_PARAMS_H
#define XHA_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define XHA_PARAMS_MAX         64          /* rows of a table */
#define XHA_PARAMS_FILE_MAX    (64 * 1024) /* bytes of a config file */
#define XHA_PARAMS_VALUE_MAX   1200        /* bytes of a value as text, with its NUL */
#define XHA_PARAMS_PROBLEM_MAX 100         /* problems kept; more are counted */

enum xha_param_type {
    XHA_PARAM_BOOL,    /* field: bool */
    XHA_PARAM_INT,     /* field: uint32_t */
    XHA_PARAM_SECONDS, /* field: struct xha_span; in the file: seconds, decimals allowed */
    XHA_PARAM_ENUM,    /* field: an enum from 0; in the file: one of its words */
    XHA_PARAM_STRING,  /* field: char *, owned, never NULL once defaults are set; printable bytes only */
    XHA_PARAM_PATH,    /* the same, absolute; empty only where min is 0 */
};

struct xha_param {
    const char *name; /* "priority"; in a group: "checkpoint.keep" */
    enum xha_param_type type;
    bool live;                      /* reload may change it */
    size_t offset;                  /* of the field in the table's struct */
    int64_t dflt;                   /* BOOL, INT, SECONDS (ms), ENUM */
    const char *dflt_text;          /* STRING, PATH */
    int64_t min, max;               /* INT; SECONDS in ms; STRING, PATH: length in bytes */
    const char *(*word)(int value); /* ENUM: its spelling */
    int words;                      /* ENUM: how many there are */
    const char *doc;                /* one line, for `xhad -n -v` and the manual */
};

struct config_setting_t;
struct xha_problems;

struct xha_params {
    const char *manual; /* the page that lists them all: "xhad.conf(5)" */
    const struct xha_param *row;
    size_t n;
    /* What is no single value, and so no row: reads s into obj. XHA_CONF_OK, an error with problems added, or
     * XHA_PARAMS_UNKNOWN. NULL: there is nothing of the kind. */
    int (*other)(const struct config_setting_t *s, const char *file, void *obj,
                 struct xha_problems *problems);
};

/* Where a parameter's value came from. */
enum {
    XHA_FROM_DEFAULT = 0,  /* otherwise > 0: the line of the file */
    XHA_FROM_MONITOR = -1, /* protection = "monitor" makes every reaction an alarm */
};
struct xha_origin {
    int line[XHA_PARAMS_MAX]; /* by row */
};

/*
 * What is wrong with files: lines "FILE:LINE: what, and what to do". Zero-initialise; free with
 * xha_problems_clear().
 */
struct xha_problems {
    char *text[XHA_PARAMS_PROBLEM_MAX];
    size_t n;
    size_t more; /* found but not kept */
};

enum {
    XHA_CONF_OK = 0,
    XHA_CONF_E_BAD = -1,    /* see the problems */
    XHA_CONF_E_NOFILE = -2, /* cannot be opened or read; also in the problems */
    XHA_CONF_E_NOMEM = -3,
    XHA_PARAMS_UNKNOWN = 1, /* only of xha_params.other */
};

/* line 0: the whole file. Control bytes in the message are escaped. */
void xha_problems_add(struct xha_problems *problems, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void xha_problems_print(const struct xha_problems *problems, FILE *out);
void xha_problems_clear(struct xha_problems *problems);

/* Sets every field of obj to its default and the origins to XHA_FROM_DEFAULT. obj must be zeroed or set
 * before. */
int xha_params_defaults(const struct xha_params *table, void *obj, struct xha_origin *origin_r);

/* Frees the strings of obj and sets them to NULL. */
void xha_params_clear(const struct xha_params *table, void *obj);

/*
 * Sets defaults, then what text (len bytes, from the file called file) says. Returns XHA_CONF_OK, or
 * XHA_CONF_E_BAD with problems added; obj is usable (and to be cleared) in both cases. Relations between
 * parameters are the caller's.
 */
int xha_params_parse(const struct xha_params *table, const char *file, const char *text, size_t len,
                     void *obj, struct xha_origin *origin_r, struct xha_problems *problems);

/*
 * The same from a group that libconfig has read, for groups that are in a list. obj: zeroed or set before;
 * origin_r and problems as above.
 */
int xha_params_read(const struct xha_params *table, const char *file, const struct config_setting_t *group,
                    void *obj, struct xha_origin *origin_r, struct xha_problems *problems);

/* Reads a whole config file into memory, bounded. Caller frees *text_r. */
int xha_params_slurp(const char *path, char **text_r, size_t *len_r, struct xha_problems *problems);

/* The row called name, or NULL. */
const struct xha_param *xha_params_find(const struct xha_params *table, const char *name);

/* The value as it would be written in a file: true, 12, 1.5, "text". Returns buf. */
const char *xha_param_text(const struct xha_param *param, const void *obj, char *buf, size_t len);

/* "default", "FILE:LINE" or "protection = monitor". Returns buf. */
const char *xha_param_origin_text(const struct xha_params *table, const struct xha_param *param,
                                  const struct xha_origin *origin, const char *file, char *buf, size_t len);

/*
 * The value itself: BOOL, INT, SECONDS (ms) and ENUM as a number, STRING and PATH as text (copied when set).
 * xha_param_set_text() returns XHA_CONF_OK or XHA_CONF_E_NOMEM. Limits are the parser's affair.
 */
void xha_param_set(const struct xha_param *param, void *obj, int64_t value);
int64_t xha_param_get(const struct xha_param *param, const void *obj);
int xha_param_set_text(const struct xha_param *param, void *obj, const char *value);
const char *xha_param_get_text(const struct xha_param *param, const void *obj);

/* Seconds without needless zeros: 10, 1.5. Returns buf. */
const char *xha_param_seconds_text(int64_t ms, char *buf, size_t len);

bool xha_param_equal(const struct xha_param *param, const void *a, const void *b);

/* Every parameter, one a line: `name = value;  # where from`. docs: each with its documentation above. */
void xha_params_print(const struct xha_params *table, const void *obj, const struct xha_origin *origin,
                      const char *file, bool docs, FILE *out);

/* Calls each() for every parameter that differs; returns how many of them cannot change live. */
typedef void xha_param_diff_cb(void *user, const struct xha_param *param, const char *was, const char *is);
size_t xha_params_diff(const struct xha_params *table, const void *was, const void *is,
                       xha_param_diff_cb *each, void *user);

#endif

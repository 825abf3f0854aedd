/*
 * log.h - the program's log: one line per event, key=value, on standard error or to syslog.
 *
 *   xha_log(XHA_LOG_INFO, "worker ended", XHA_S("domain", name), XHA_U("id", id));
 *   → level=info msg="worker ended" domain=g1 id=17
 *
 * Values may come from anywhere: bytes that are not printable ASCII, quotes and backslashes are written as
 * \xHH, \" and \\, so that a line is always one line and can be taken apart again. Fields that do not fit
 * into XHA_LOG_LINE_MAX are left out.
 */
#ifndef XHA_BASE_LOG_H
#define XHA_BASE_LOG_H

#include "xhad/base/conf.h"

#define XHA_LOG_LINE_MAX 2048

struct xha_log_field {
    const char *key;
    enum { XHA_FIELD_STRING, XHA_FIELD_INT, XHA_FIELD_UINT } type;
    const char *s; /* NULL: the field is left out */
    int64_t i;
    uint64_t u;
};

#define XHA_S(k, v)                                                                                          \
    {                                                                                                        \
        .key = (k), .type = XHA_FIELD_STRING, .s = (v)                                                       \
    }
#define XHA_I(k, v)                                                                                          \
    {                                                                                                        \
        .key = (k), .type = XHA_FIELD_INT, .i = (v)                                                          \
    }
#define XHA_U(k, v)                                                                                          \
    {                                                                                                        \
        .key = (k), .type = XHA_FIELD_UINT, .u = (v)                                                         \
    }

/* clang-format off */
#define xha_log(level, msg, ...)                                                                        \
    do {                                                                                                \
        const struct xha_log_field xha_log_fields_[] = { { .key = NULL }, ##__VA_ARGS__ };              \
        xha_log_write(level, msg, xha_log_fields_ + 1,                                                  \
                      sizeof xha_log_fields_ / sizeof *xha_log_fields_ - 1);                            \
    } while (0)
/* clang-format on */

/* Until this is called: standard error, level info. May be called again. ident stays the caller's. */
void xha_log_open(const char *ident, enum xha_log_target target, enum xha_log_level level);

/* Whether lines end up in syslog or systemd's journal anyway. */
bool xha_log_reaches_syslog(void);

void xha_log_write(enum xha_log_level level, const char *msg, const struct xha_log_field *fields, size_t n);

/* The line, without a newline, into buf; returns its length. For xha_log_write() and the tests. */
size_t xha_log_format(char *buf, size_t len, enum xha_log_level level, const char *msg,
                      const struct xha_log_field *fields, size_t n);

/* One value as it stands in a line: bare, or quoted and escaped. -1: it does not fit. */
int xha_log_quote(char *buf, size_t len, const char *value);

#endif

/*
 * log.c - key=value lines to standard error or syslog.
 *
 * Under systemd standard error is the journal: lines then begin with the kernel's <N> so that the journal
 * knows their priority, and carry no time of their own.
 */
#include "xhad/base/log.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

static struct {
    enum xha_log_target target;
    enum xha_log_level level;
    bool journal; /* standard error is systemd's journal */
} state = { .target = XHA_LOG_STDERR, .level = XHA_LOG_INFO };

static const int priority[XHA_LOG_LEVEL_N_] = {
    [XHA_LOG_ERROR] = LOG_ERR,
    [XHA_LOG_WARNING] = LOG_WARNING,
    [XHA_LOG_INFO] = LOG_INFO,
    [XHA_LOG_DEBUG] = LOG_DEBUG,
};

void xha_log_open(const char *ident, enum xha_log_target target, enum xha_log_level level)
{
    state.target = target;
    state.level = level;
    state.journal = getenv("JOURNAL_STREAM") != NULL;
    if (target == XHA_LOG_SYSLOG)
        openlog(ident, LOG_PID, LOG_DAEMON);
}

bool xha_log_reaches_syslog(void)
{
    return state.target == XHA_LOG_SYSLOG || state.journal;
}

static bool needs_quotes(const char *value)
{
    for (const char *p = value; *p; p++)
        if (*p <= ' ' || *p > '~' || *p == '"' || *p == '\\' || *p == '=')
            return true;
    return value[0] == '\0';
}

int xha_log_quote(char *buf, size_t len, const char *value)
{
    size_t at = 0;

    if (!needs_quotes(value)) {
        int r = snprintf(buf, len, "%s", value);

        return r < 0 || (size_t)r >= len ? -1 : r;
    }
    /* At every step there is room for an escaped byte, the closing quote and the NUL. */
    if (len < 3)
        return -1;
    buf[at++] = '"';
    for (const unsigned char *p = (const unsigned char *)value; *p; p++) {
        if (at + 6 > len)
            return -1;
        if (*p == '"' || *p == '\\')
            at += (size_t)snprintf(buf + at, len - at, "\\%c", *p);
        else if (*p < ' ' || *p > '~')
            at += (size_t)snprintf(buf + at, len - at, "\\x%02x", *p);
        else
            buf[at++] = (char)*p;
    }
    buf[at++] = '"';
    buf[at] = '\0';
    return (int)at;
}

/* Appends " key=value" at *at when it fits; a field of NULL is left out. */
static void add(char *buf, size_t len, size_t *at, const struct xha_log_field *f)
{
    size_t start = *at;
    int r = snprintf(buf + start, len - start, "%s%s=", start ? " " : "", f->key);

    if (r < 0 || (size_t)r >= len - start) {
        buf[start] = '\0';
        return;
    }
    *at += (size_t)r;
    if (f->type == XHA_FIELD_INT)
        r = snprintf(buf + *at, len - *at, "%" PRId64, f->i);
    else if (f->type == XHA_FIELD_UINT)
        r = snprintf(buf + *at, len - *at, "%" PRIu64, f->u);
    else
        r = f->s ? xha_log_quote(buf + *at, len - *at, f->s) : -1;
    if (r < 0 || (size_t)r >= len - *at) {
        *at = start;
        buf[start] = '\0';
        return;
    }
    *at += (size_t)r;
}

size_t xha_log_format(char *buf, size_t len, enum xha_log_level level, const char *msg,
                      const struct xha_log_field *fields, size_t n)
{
    struct xha_log_field head[] = { XHA_S("level", xha_log_level_name(level)), XHA_S("msg", msg) };
    size_t at = 0;

    buf[0] = '\0';
    add(buf, len, &at, &head[0]);
    add(buf, len, &at, &head[1]);
    for (size_t i = 0; i < n; i++)
        add(buf, len, &at, &fields[i]);
    return at;
}

static void write_stderr(enum xha_log_level level, const char *line)
{
    struct timespec now;
    struct tm tm;
    char when[32];

    if (state.journal) {
        fprintf(stderr, "<%d>%s\n", priority[level], line);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
    fprintf(stderr, "time=%s.%03ldZ %s\n", when, now.tv_nsec / 1000000, line);
}

void xha_log_write(enum xha_log_level level, const char *msg, const struct xha_log_field *fields, size_t n)
{
    char line[XHA_LOG_LINE_MAX];
    int saved = errno;

    if (level > state.level)
        return;
    xha_log_format(line, sizeof line, level, msg, fields, n);
    if (state.target == XHA_LOG_SYSLOG)
        syslog(priority[level], "%s", line);
    else
        write_stderr(level, line);
    errno = saved;
}

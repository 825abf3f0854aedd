/*
 * progress.c - how far xhad's work is.
 */
#include "xl-plugins/xl-ha.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "xhad/base/text.h"

enum { BAR = 30 };

static bool on_line; /* a bar stands on the line of the cursor */
static char last_step[64];

void xlha_progress_end(void)
{
    if (on_line)
        fputs("\r\033[K", stderr);
    on_line = false;
}

/* Rate and expected end, where xhad knows them. */
static void pace_text(const json_t *progress, char *buf, size_t len)
{
    int64_t rate = xlha_int(progress, "bytes_per_s", -1), eta = xlha_int(progress, "eta_ms", -1);
    char size[32], span[32];

    buf[0] = '\0';
    if (*xlha_string(progress, "unit") && xlha_int(progress, "total", 0) > 0)
        snprintf(buf, len, " %" PRId64 "/%" PRId64 " %.16s", xlha_int(progress, "done", 0),
                 xlha_int(progress, "total", 0), xlha_string(progress, "unit"));
    if (rate >= 0)
        snprintf(buf + strlen(buf), len - strlen(buf), " %s/s", xlha_size_text(rate, size, sizeof(size)));
    if (eta >= 0)
        snprintf(buf + strlen(buf), len - strlen(buf), ", %s to go", xlha_span_text(eta, span, sizeof(span)));
}

static void bar(const char *domain, const char *step, int64_t done, int64_t total, const char *pace)
{
    char filled[BAR + 1];
    int percent = total > 0 ? (int)(100.0 * (double)done / (double)total) : 0;

    percent = percent < 0 ? 0 : percent > 100 ? 100 : percent;
    memset(filled, '#', BAR);
    memset(filled + percent * BAR / 100, ' ', (size_t)(BAR - percent * BAR / 100));
    filled[BAR] = '\0';
    if (total > 0)
        fprintf(stderr, "\r\033[K%s: %s [%s] %3d%%%s", domain, step, filled, percent, pace);
    else
        fprintf(stderr, "\r\033[K%s: %s ...%s", domain, step, pace);
    on_line = true;
}

void xlha_progress(const struct xlha *x, const json_t *progress)
{
    char domain[80], step[64], pace[160];

    if (!json_is_object(progress) || x->json)
        return;
    xha_text_escape(domain, sizeof(domain),
                    xlha_string(progress, *xlha_string(progress, "host") ? "host" : "domain"));
    pace_text(progress, pace, sizeof(pace));
    xha_text_escape(step, sizeof(step), xlha_string(progress, "step"));
    if (isatty(STDERR_FILENO)) {
        bar(domain, step, xlha_int(progress, "done", 0), xlha_int(progress, "total", 0), pace);
    } else if (x->verbose && strcmp(step, last_step)) {
        fprintf(stderr, "%s: %s\n", domain, step);
        memcpy(last_step, step, sizeof(step));
    }
}

/*
 * progress.c - how far xhad's work is.
 */
#include "xl-plugins/xl-ha.h"

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

static void bar(const char *domain, const char *step, int64_t done, int64_t total)
{
    char filled[BAR + 1];
    int percent = total > 0 ? (int)(100.0 * (double)done / (double)total) : 0;

    percent = percent < 0 ? 0 : percent > 100 ? 100 : percent;
    memset(filled, '#', BAR);
    memset(filled + percent * BAR / 100, ' ', (size_t)(BAR - percent * BAR / 100));
    filled[BAR] = '\0';
    if (total > 0)
        fprintf(stderr, "\r\033[K%s: %s [%s] %3d%%", domain, step, filled, percent);
    else
        fprintf(stderr, "\r\033[K%s: %s ...", domain, step);
    on_line = true;
}

void xlha_progress(const struct xlha *x, const json_t *progress)
{
    char domain[80], step[64];

    if (!json_is_object(progress) || x->json)
        return;
    xha_text_escape(domain, sizeof(domain), xlha_string(progress, "domain"));
    xha_text_escape(step, sizeof(step), xlha_string(progress, "step"));
    if (isatty(STDERR_FILENO)) {
        bar(domain, step, xlha_int(progress, "done", 0), xlha_int(progress, "total", 0));
    } else if (x->verbose && strcmp(step, last_step)) {
        fprintf(stderr, "%s: %s\n", domain, step);
        memcpy(last_step, step, sizeof(step));
    }
}

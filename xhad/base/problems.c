/*
 * problems.c - what is wrong with config files, collected so that a person sees all of it at once.
 */
#include "xhad/base/params.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "xhad/base/cleanup.h"
#include "xhad/base/text.h"

void xha_problems_add(struct xha_problems *problems, const char *file, int line, const char *fmt, ...)
{
    char message[2 * XHA_PARAMS_VALUE_MAX], safe[2 * XHA_PARAMS_VALUE_MAX], name[XHA_PARAMS_VALUE_MAX];
    char *text = NULL;
    va_list ap;
    int r;

    if (problems->n == XHA_PARAMS_PROBLEM_MAX) {
        problems->more++;
        return;
    }
    va_start(ap, fmt);
    vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);
    xha_text_escape(safe, sizeof(safe), message);
    xha_text_escape(name, sizeof(name), file);
    if (line > 0)
        r = asprintf(&text, "%s:%d: %s", name, line, safe);
    else
        r = asprintf(&text, "%s: %s", name, safe);
    if (r < 0)
        problems->more++;
    else
        problems->text[problems->n++] = text;
}

void xha_problems_print(const struct xha_problems *problems, FILE *out)
{
    for (size_t i = 0; i < problems->n; i++)
        fprintf(out, "%s\n", problems->text[i]);
    if (problems->more)
        fprintf(out, "... and %zu more\n", problems->more);
}

void xha_problems_clear(struct xha_problems *problems)
{
    for (size_t i = 0; i < problems->n; i++)
        free(problems->text[i]);
    memset(problems, 0, sizeof(*problems));
}

/*
 * script.c - reads and writes scripts. One table holds the form of every line: a form is words and places,
 * and serves the reader and the writer.
 *
 * Places: %d domain, %t length of time, %n number, %j a worker's verb or "all", %r refusal, %e effect, %s
 * state,
 * %* the rest of the line. Any line may end in "on host N".
 */
#include "tests/sim/script.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define TOKENS_MAX 32

/* Longer forms stand before shorter ones that they begin with. */
static const char *const forms[SIM_VERB_N_] = {
    [SIM_CRASH] = "%d crashes",
    [SIM_WATCHDOG] = "%d watchdog fires",
    [SIM_POWEROFF] = "%d powers-off",
    [SIM_REBOOT] = "%d reboots",
    [SIM_SHUT_REASON] = "%d shuts-down reason %n",
    [SIM_HANG] = "%d hangs",
    [SIM_WAKE] = "%d wakes-up",
    [SIM_BEATS_STOP] = "%d beats stop",
    [SIM_BEATS_RETURN] = "%d beats return",
    [SIM_IO_FLOWS] = "%d io flows",
    [SIM_IO_STOPS] = "%d io stops",
    [SIM_BOOTS_IN] = "%d boots in %t",
    [SIM_BOOTS_DEAD] = "%d boots dead",
    [SIM_RESTORES_DEAD] = "%d restores dead",
    [SIM_BOOTS_WELL] = "%d boots well",
    [SIM_STOP_IGNORE] = "%d ignores shutdown",
    [SIM_STOP_OBEY] = "%d obeys shutdown",
    [SIM_STOP_TAKES] = "%d shutdown takes %t",
    [SIM_JUNK] = "%d beats junk",
    [SIM_IDLE] = "%d idles",
    [SIM_PAUSED] = "%d paused",
    [SIM_UNPAUSED] = "%d unpaused",
    [SIM_SUSPENDED] = "%d suspended",
    [SIM_RESUMED] = "%d resumed",
    [SIM_SB_DESTROYS] = "somebody destroys %d",
    [SIM_SB_REBOOTS] = "somebody reboots %d in %t",
    [SIM_SB_STARTS] = "somebody starts %d",
    [SIM_DUPLICATE] = "duplicate %d",
    [SIM_W_TAKES] = "worker %j %d takes %t",
    [SIM_W_FAILS_TIMES] = "worker %j %d fails %r %n times",
    [SIM_W_FAILS] = "worker %j %d fails %r",
    [SIM_W_UNKNOWN_TIMES] = "worker %j %d unknown %e %n times",
    [SIM_W_UNKNOWN] = "worker %j %d unknown %e",
    [SIM_W_WELL] = "worker %j %d well",
    [SIM_W_KILLED] = "worker of %d killed",
    [SIM_CP_CORRUPT] = "checkpoint %d corrupt %n",
    [SIM_CP_GONE] = "checkpoint %d gone",
    [SIM_STARVE] = "dom0 starves %t",
    [SIM_XS_FAILS] = "xenstore fails %t",
    [SIM_XS_SLOW] = "xenstore slow %t",
    [SIM_SILENT] = "observer silent %t",
    [SIM_LISTINGS_LATE] = "listings late %t",
    [SIM_HOST_REBOOTS] = "host reboots in %t",
    [SIM_XHAD_RESTARTS] = "xhad restarts",
    [SIM_XHAD_DOWN] = "xhad down %t",
    [SIM_XHAD_DIES_AFTER] = "xhad dies after %n actions",
    [SIM_OP_START] = "operator starts %d",
    [SIM_OP_STOP] = "operator stops %d",
    [SIM_OP_RESTART] = "operator restarts %d",
    [SIM_OP_CHECKPOINT] = "operator checkpoints %d",
    [SIM_OP_RESTORE_FROM] = "operator restores %d from %n",
    [SIM_OP_RESTORE] = "operator restores %d",
    [SIM_OP_MAINT_HOST_ON] = "operator maintenance host on",
    [SIM_OP_MAINT_HOST_OFF] = "operator maintenance host off",
    [SIM_OP_MAINT_ON] = "operator maintenance %d on",
    [SIM_OP_MAINT_OFF] = "operator maintenance %d off",
    [SIM_OP_SCHED] = "operator sched %d",
    [SIM_OP_PROTECT] = "operator protects %d",
    [SIM_OP_UNPROTECT] = "operator unprotects %d",
    [SIM_POLICY] = "policy %d %*",
    [SIM_SETTING] = "setting %*",
    [SIM_EXPECT_LIVES] = "expect %d lives %n",
    [SIM_EXPECT_BEATS] = "expect %d beats",
    [SIM_EXPECT_HOST_ILL] = "expect host ill",
    [SIM_EXPECT_HOST_WELL] = "expect host well",
    [SIM_EXPECT_STATE] = "expect %d %s",
};

void sim_script_init(struct sim_script *script, const char *file)
{
    memset(script, 0, sizeof(*script));
    script->file = file;
    script->hosts = 1;
    script->end_ms = -1;
    sim_settings_default(&script->settings);
}

void sim_script_free(struct sim_script *script)
{
    free(script->line);
    memset(script, 0, sizeof(*script));
}

struct sim_line *sim_script_add(struct sim_script *script, const struct sim_line *line)
{
    if (script->n_lines == script->cap_lines) {
        script->cap_lines = script->cap_lines ? 2 * script->cap_lines : 64;
        script->line = realloc(script->line, script->cap_lines * sizeof(*script->line));
        if (!script->line)
            abort();
    }
    script->line[script->n_lines] = *line;
    return &script->line[script->n_lines++];
}

static int line_cmp(const void *va, const void *vb)
{
    const struct sim_line *a = va, *b = vb;

    if (a->at_ms != b->at_ms)
        return a->at_ms < b->at_ms ? -1 : 1;
    return (a->lineno > b->lineno) - (a->lineno < b->lineno);
}

void sim_script_sort(struct sim_script *script)
{
    if (script->n_lines)
        qsort(script->line, script->n_lines, sizeof(*script->line), line_cmp);
}

static int guest_find(const struct sim_script *script, const char *name)
{
    for (unsigned i = 0; i < script->n_guests; i++)
        if (!strcmp(script->guest[i].name, name))
            return (int)i;
    return -1;
}

static int __attribute__((format(printf, 3, 4))) bad(char *err, size_t err_len, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(err, err_len, fmt, ap);
    va_end(ap);
    return -1;
}

static unsigned tokens_split(char *text, char **tok)
{
    unsigned n = 0;
    char *save = NULL;

    for (char *t = strtok_r(text, " \t\r\n", &save); t && n < TOKENS_MAX;
         t = strtok_r(NULL, " \t\r\n", &save))
        tok[n++] = t;
    return n;
}

static int number_parse(const char *text, int64_t *n_r)
{
    char *end;
    long long v = strtoll(text, &end, 10);

    if (end == text || *end)
        return -1;
    *n_r = v;
    return 0;
}

/* Fills one place of a form. Returns 0, or -1 with a reason when the token does not fit. */
static int place_fill(const struct sim_script *script, struct sim_line *line, char place, const char *tok,
                      char *err, size_t err_len)
{
    switch (place) {
    case 'd':
        line->guest = guest_find(script, tok);
        return line->guest < 0 ? bad(err, err_len, "there is no domain '%s'", tok) : 0;
    case 't':
        return sim_span_parse(tok, &line->span_ms) ? bad(err, err_len, "'%s' is no length of time", tok) : 0;
    case 'n':
        return number_parse(tok, &line->number) ? bad(err, err_len, "'%s' is no number", tok) : 0;
    case 'j':
        line->word = strcmp(tok, "all") ? sim_word_find(sim_action_word, XHA_ACT_N_, tok) : 0;
        return line->word < 0 ? bad(err, err_len, "'%s' is no worker's verb", tok) : 0;
    case 'r':
        line->word2 = sim_word_find(sim_refusal_word, XHA_REFUSAL_N_, tok);
        return line->word2 < 0 ? bad(err, err_len, "'%s' is no refusal", tok) : 0;
    case 'e':
        line->word2 = sim_word_find(sim_effect_word, SIM_EFFECT_N_, tok);
        return line->word2 < 0 ? bad(err, err_len, "'%s' is not nothing, half or done", tok) : 0;
    case 's':
        line->word = sim_word_find(sim_state_word, XHA_ST_N_, tok);
        return line->word < 0 ? bad(err, err_len, "'%s' is no state", tok) : 0;
    }
    return bad(err, err_len, "unknown place %%%c", place);
}

static int rest_join(struct sim_line *line, char **tok, unsigned from, unsigned n, char *err, size_t err_len)
{
    line->text[0] = '\0';
    for (unsigned i = from; i < n; i++) {
        size_t used = strlen(line->text);

        if ((size_t)snprintf(line->text + used, sizeof(line->text) - used, "%s%s", used ? " " : "", tok[i]) >=
            sizeof(line->text) - used)
            return bad(err, err_len, "the line is too long");
    }
    return line->text[0] ? 0 : bad(err, err_len, "key=value is missing");
}

/* 1: not this form; 0: filled; -1: this form, but a place is wrong (only when all fixed words fit). */
static int form_match(const struct sim_script *script, const char *form, char **tok, unsigned n,
                      struct sim_line *line, char *err, size_t err_len)
{
    char copy[64];
    char *want[TOKENS_MAX];
    unsigned n_want;

    snprintf(copy, sizeof(copy), "%s", form);
    n_want = tokens_split(copy, want);
    for (unsigned i = 0; i < n_want; i++) {
        if (!strcmp(want[i], "%*"))
            break;
        if (i >= n || (want[i][0] != '%' && strcmp(want[i], tok[i])))
            return 1;
        if (i + 1 == n_want && n > n_want)
            return 1;
    }
    for (unsigned i = 0; i < n_want; i++) {
        if (!strcmp(want[i], "%*"))
            return rest_join(line, tok, i, n, err, err_len);
        if (want[i][0] == '%' && place_fill(script, line, want[i][1], tok[i], err, err_len))
            return -1;
    }
    return 0;
}

static int verb_parse(struct sim_script *script, struct sim_line *line, char **tok, unsigned n, char *err,
                      size_t err_len)
{
    int64_t host;
    char why[160] = "";

    if (n > 3 && !strcmp(tok[n - 3], "on") && !strcmp(tok[n - 2], "host")) {
        if (number_parse(tok[n - 1], &host) || host < 0 || host >= (int64_t)script->hosts)
            return bad(err, err_len, "there is no host %s", tok[n - 1]);
        line->host = (int)host;
        n -= 3;
    }
    for (int v = 0; v < SIM_VERB_N_; v++) {
        int r;

        line->guest = -1;
        line->verb = (enum sim_verb)v;
        r = form_match(script, forms[v], tok, n, line, why, sizeof(why));
        if (!r) {
            struct xha_policy policy = { 0 };
            struct xha_settings settings = { 0 };

            if (v == SIM_POLICY)
                return sim_policy_apply(&policy, line->text, err, err_len);
            if (v == SIM_SETTING)
                return sim_settings_apply(&settings, line->text, err, err_len);
            return 0;
        }
    }
    return bad(err, err_len, "%s",
               why[0] ? why : "this line is not understood: see tests/scenario/README.md");
}

static int domain_parse(struct sim_script *script, const char *text, char *err, size_t err_len)
{
    char copy[SIM_TEXT_MAX];
    char *tok[TOKENS_MAX], *colon;
    struct sim_guest_def *g = &script->guest[script->n_guests];
    unsigned n;

    if (script->n_guests == SIM_GUESTS_MAX)
        return bad(err, err_len, "more than %d domains", SIM_GUESTS_MAX);
    memset(g, 0, sizeof(*g));
    sim_policy_default(&g->policy);
    snprintf(copy, sizeof(copy), "%s", text);
    colon = strchr(copy, ':');
    if (colon) {
        *colon++ = '\0';
        colon += strspn(colon, " \t");
        snprintf(g->policy_text, sizeof(g->policy_text), "%s", colon);
        g->policy_text[strcspn(g->policy_text, "\r\n")] = '\0';
        if (sim_policy_apply(&g->policy, g->policy_text, err, err_len))
            return -1;
    }
    n = tokens_split(copy, tok);
    if (n < 2 || strlen(tok[1]) >= SIM_NAME_MAX)
        return bad(err, err_len, "the domain's name is missing or too long");
    if (guest_find(script, tok[1]) >= 0)
        return bad(err, err_len, "domain '%s' is there twice", tok[1]);
    for (unsigned i = 2; i < n; i++) {
        int64_t host;

        if (!strcmp(tok[i], "running")) {
            g->running = true;
        } else if (!strcmp(tok[i], "unprotected")) {
            g->later = true;
        } else if (!strcmp(tok[i], "on") && i + 2 < n && !strcmp(tok[i + 1], "host") &&
                   !number_parse(tok[i + 2], &host) && host >= 0 && host < (int64_t)script->hosts) {
            g->host = (int)host;
            i += 2;
        } else if (strcmp(tok[i], "policy")) {
            return bad(err, err_len, "'%s' is not running, unprotected, on host N or policy:", tok[i]);
        }
    }
    snprintf(g->name, sizeof(g->name), "%s", tok[1]);
    script->n_guests++;
    return 0;
}

static int plain_parse(struct sim_script *script, char **tok, unsigned n, char *err, size_t err_len)
{
    int64_t v;

    if (n == 2 && !strcmp(tok[0], "hosts")) {
        if (number_parse(tok[1], &v) || v < 1 || v > 8 || script->n_guests)
            return bad(err, err_len, "hosts is 1 to 8, and stands before the domains");
        script->hosts = (unsigned)v;
        return 0;
    }
    if (n == 2 && !strcmp(tok[0], "jitter")) {
        if (number_parse(tok[1], &v))
            return bad(err, err_len, "jitter is a number");
        script->jitter = (uint64_t)v;
        return 0;
    }
    if (n == 1 && !strcmp(tok[0], "settle")) {
        script->settle = true;
        return 0;
    }
    if (n == 2 && !strcmp(tok[0], "run"))
        return sim_span_parse(tok[1], &script->end_ms)
                   ? bad(err, err_len, "'%s' is no length of time", tok[1])
                   : 0;
    return 1;
}

int sim_script_parse_line(struct sim_script *script, const char *text, unsigned lineno, char *err,
                          size_t err_len)
{
    char copy[SIM_TEXT_MAX];
    char *tok[TOKENS_MAX], **t = tok;
    struct sim_line line = { .at_ms = SIM_AT_END, .guest = -1, .lineno = lineno };
    unsigned n;
    int r;

    if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy))
        return bad(err, err_len, "the line is too long");
    copy[strcspn(copy, "#\n")] = '\0';
    n = tokens_split(copy, tok);
    if (!n)
        return 0;
    if (!strcmp(tok[0], "domain")) {
        snprintf(copy, sizeof(copy), "%s", text);
        copy[strcspn(copy, "#\n")] = '\0';
        return domain_parse(script, copy, err, err_len);
    }
    if (!strcmp(tok[0], "settings")) {
        if (rest_join(&line, tok, 1, n, err, err_len))
            return -1;
        snprintf(script->settings_text, sizeof(script->settings_text), "%s", line.text);
        return sim_settings_apply(&script->settings, line.text, err, err_len);
    }
    r = plain_parse(script, tok, n, err, err_len);
    if (r <= 0)
        return r;
    if (!strcmp(tok[0], "at")) {
        if (n < 3 || sim_span_parse(tok[1], &line.at_ms))
            return bad(err, err_len, "after 'at' comes a time, as in 'at 10s web crashes'");
        t += 2;
        n -= 2;
    }
    if (verb_parse(script, &line, t, n, err, err_len))
        return -1;
    if (line.at_ms == SIM_AT_END && line.verb < SIM_EXPECT_LIVES)
        return bad(err, err_len, "this happens at some time: begin the line with 'at'");
    sim_script_add(script, &line);
    return 0;
}

int sim_script_read(struct sim_script *script, FILE *in, char *err, size_t err_len)
{
    char buf[1024], why[200];
    unsigned lineno = 0;

    while (fgets(buf, sizeof(buf), in)) {
        lineno++;
        if (sim_script_parse_line(script, buf, lineno, why, sizeof(why)))
            return bad(err, err_len, "%s:%u: %s", script->file, lineno, why);
    }
    if (script->end_ms < 0)
        return bad(err, err_len, "%s:%u: 'run' with a length of time is missing", script->file, lineno);
    for (unsigned i = 0; i < script->n_lines; i++)
        if (script->line[i].at_ms != SIM_AT_END && script->line[i].at_ms > script->end_ms)
            return bad(err, err_len, "%s:%u: this comes after the end of the run", script->file,
                       script->line[i].lineno);
    sim_script_sort(script);
    return 0;
}

const char *sim_line_text(const struct sim_script *script, const struct sim_line *line, char *buf, size_t len)
{
    char copy[64], span[24];
    char *want[TOKENS_MAX];
    unsigned n;
    size_t used = 0;

    snprintf(copy, sizeof(copy), "%s", forms[line->verb]);
    n = tokens_split(copy, want);
    buf[0] = '\0';
    for (unsigned i = 0; i < n && used < len; i++) {
        const char *s = want[i];
        char number[24];

        if (s[0] == '%') {
            snprintf(number, sizeof(number), "%lld", (long long)line->number);
            s = s[1] == 'd'   ? script->guest[line->guest].name
                : s[1] == 't' ? sim_span_text(line->span_ms, span, sizeof(span))
                : s[1] == 'n' ? number
                : s[1] == 'j' ? (line->word ? sim_action_word(line->word) : "all")
                : s[1] == 'r' ? sim_refusal_word(line->word2)
                : s[1] == 'e' ? sim_effect_word(line->word2)
                : s[1] == 's' ? sim_state_word(line->word)
                              : line->text;
        }
        used += (size_t)snprintf(buf + used, len - used, "%s%s", i ? " " : "", s);
    }
    if (line->host && used < len)
        snprintf(buf + used, len - used, " on host %d", line->host);
    return buf;
}

void sim_script_write(const struct sim_script *script, FILE *out)
{
    char buf[2 * SIM_TEXT_MAX], span[24];

    if (script->hosts > 1)
        fprintf(out, "hosts %u\n", script->hosts);
    if (script->settings_text[0])
        fprintf(out, "settings %s\n", script->settings_text);
    if (script->jitter)
        fprintf(out, "jitter %llu\n", (unsigned long long)script->jitter);
    if (script->settle)
        fprintf(out, "settle\n");
    for (unsigned i = 0; i < script->n_guests; i++) {
        const struct sim_guest_def *g = &script->guest[i];

        fprintf(out, "domain %s%s%s", g->name, g->running ? " running" : "", g->later ? " unprotected" : "");
        if (g->host)
            fprintf(out, " on host %d", g->host);
        fprintf(out, "%s%s\n", g->policy_text[0] ? " policy: " : "", g->policy_text);
    }
    fputc('\n', out);
    for (unsigned i = 0; i < script->n_lines; i++) {
        const struct sim_line *l = &script->line[i];

        if (l->at_ms != SIM_AT_END)
            fprintf(out, "at %s ", sim_span_text(l->at_ms, span, sizeof(span)));
        fprintf(out, "%s\n", sim_line_text(script, l, buf, sizeof(buf)));
    }
    fprintf(out, "run %s\n", sim_span_text(script->end_ms, span, sizeof(span)));
}

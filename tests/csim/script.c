/*
 * script.c - reads and writes scripts of clusters. One table holds the form of every line, for both.
 *
 * Places: %d domain, %h host, %g another host, %t length of time, %n number, %j a worker's verb or "all",
 * %r refusal, %e effect, %m mode of a move, %s state of a host, %p parts of the network (h1,h2|h3).
 */
#include "tests/csim/script.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define TOKENS_MAX 32

/* Longer forms stand before shorter ones that they begin with. */
static const char *const forms[CSIM_VERB_N_] = {
    [CSIM_NET_SPLIT] = "network splits %p",
    [CSIM_NET_CUT] = "link %h %g is cut",
    [CSIM_NET_ONEWAY] = "%h does not hear %g",
    [CSIM_NET_HEAL] = "network heals",
    [CSIM_NET_SLOW] = "network slow %t",
    [CSIM_H_POWER_FOR] = "%h loses power for %t",
    [CSIM_H_POWER] = "%h loses power",
    [CSIM_H_BOOT] = "%h is switched on",
    [CSIM_H_HANG] = "%h hangs %t",
    [CSIM_H_FREEZE] = "%h is frozen %t",
    [CSIM_H_DISK] = "%h disk takes %t",
    [CSIM_H_JOIN] = "%h joins",
    [CSIM_C_DOWN] = "corosync on %h down %t",
    [CSIM_X_DIES_AFTER] = "xhad on %h dies after %n actions",
    [CSIM_X_DOWN] = "xhad on %h down %t",
    [CSIM_X_STOPS] = "xhad on %h stands still %t",
    [CSIM_F_FAILS_TIMES] = "fence of %h fails %n times",
    [CSIM_F_FAILS] = "fence of %h fails",
    [CSIM_F_WORKS] = "fence of %h works",
    [CSIM_F_TAKES] = "fence of %h takes %t",
    [CSIM_F_SILENT] = "fence of %h never answers",
    [CSIM_G_CRASH] = "%d crashes",
    [CSIM_G_POWEROFF] = "%d powers-off",
    [CSIM_G_REBOOT] = "%d reboots",
    [CSIM_G_HANG] = "%d hangs",
    [CSIM_G_BOOTS_DEAD] = "%d boots dead",
    [CSIM_G_BOOTS_WELL] = "%d boots well",
    [CSIM_G_BOOTS_IN] = "%d boots in %t",
    [CSIM_G_STOP_IGNORE] = "%d ignores shutdown",
    [CSIM_G_STOP_OBEY] = "%d obeys shutdown",
    [CSIM_W_TAKES] = "worker %j %d takes %t",
    [CSIM_W_FAILS_TIMES] = "worker %j %d fails %r %n times",
    [CSIM_W_FAILS] = "worker %j %d fails %r",
    [CSIM_W_UNKNOWN_TIMES] = "worker %j %d unknown %e %n times",
    [CSIM_W_WELL] = "worker %j %d well",
    [CSIM_W_KILLED] = "worker of %d killed",
    [CSIM_W_STALLS] = "worker of %d stands still %t",
    [CSIM_STREAM_CUT] = "stream of %d is cut",
    [CSIM_W_SENDER_DIES] = "sender of %d killed",
    [CSIM_W_COPY_DIES] = "copy of %d killed",
    [CSIM_OP_PROTECT] = "operator on %h protects %d",
    [CSIM_OP_UNPROTECT] = "operator on %h unprotects %d",
    [CSIM_OP_START] = "operator on %h starts %d",
    [CSIM_OP_STOP] = "operator on %h stops %d",
    [CSIM_OP_RESTART] = "operator on %h restarts %d",
    [CSIM_OP_MIGRATE_MODE] = "operator on %h migrates %d to %g %m",
    [CSIM_OP_MIGRATE] = "operator on %h migrates %d to %g",
    [CSIM_OP_MIGRATE_ANY] = "operator on %h migrates %d",
    [CSIM_OP_ABORT] = "operator on %h aborts %d",
    [CSIM_OP_MAINT_ON] = "operator on %h maintenance %g on",
    [CSIM_OP_MAINT_OFF] = "operator on %h maintenance %g off",
    [CSIM_OP_CONFIRM] = "operator on %h confirms %g",
    [CSIM_OP_ARM] = "operator on %h arms",
    [CSIM_OP_DISARM] = "operator on %h disarms",
    [CSIM_OP_LEAVE] = "operator on %h leaves",
    [CSIM_OP_FORGET] = "operator on %h forgets %g",
    [CSIM_EXPECT_RUNS_ON] = "expect %d runs on %h",
    [CSIM_EXPECT_RUNS] = "expect %d runs",
    [CSIM_EXPECT_STOPPED] = "expect %d stopped",
    [CSIM_EXPECT_BACKUP] = "expect %d replicated to %h",
    [CSIM_EXPECT_BARE] = "expect %d not replicated",
    [CSIM_EXPECT_SPEAKS] = "expect %d speaks on %h",
    [CSIM_EXPECT_MUTE] = "expect %d mute on %h",
    [CSIM_EXPECT_HOST] = "expect %h %s",
    [CSIM_EXPECT_SYNCED] = "expect synced",
};

void csim_script_init(struct csim_script *script, const char *file)
{
    memset(script, 0, sizeof(*script));
    script->file = file;
    script->n_hosts = 1;
    script->end_ms = -1;
    sim_settings_default(&script->settings);
    csim_cluster_default(&script->cluster);
    for (unsigned h = 0; h < XHA_HOSTS_MAX; h++)
        csim_host_default(&script->host[h]);
}

void csim_script_free(struct csim_script *script)
{
    free(script->line);
    script->line = NULL;
    script->n_lines = script->cap_lines = 0;
}

struct csim_line *csim_script_add(struct csim_script *script, const struct csim_line *line)
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
    const struct csim_line *a = va, *b = vb;

    if (a->at_ms != b->at_ms)
        return a->at_ms < b->at_ms ? -1 : 1;
    return (a->lineno > b->lineno) - (a->lineno < b->lineno);
}

void csim_script_sort(struct csim_script *script)
{
    if (script->n_lines)
        qsort(script->line, script->n_lines, sizeof(*script->line), line_cmp);
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

static int guest_find(const struct csim_script *script, const char *name)
{
    for (unsigned i = 0; i < script->n_guests; i++)
        if (!strcmp(script->guest[i].name, name))
            return (int)i;
    return -1;
}

static int host_find(const struct csim_script *script, const char *name)
{
    int64_t n;

    if (name[0] != 'h' || number_parse(name + 1, &n) || n < 1 || n > (int64_t)script->n_hosts)
        return -1;
    return (int)n - 1;
}

static const char *mode_word(int mode)
{
    return xha_move_mode_name((enum xha_move_mode)mode);
}

static const char *host_state_word(int state)
{
    return xha_host_state_name((enum xha_host_state)state);
}

static int parts_parse(const struct csim_script *script, struct csim_line *line, const char *tok)
{
    char copy[CSIM_TEXT_MAX], *save = NULL, *save2;
    unsigned n = 0;

    snprintf(copy, sizeof(copy), "%s", tok);
    for (char *part = strtok_r(copy, "|", &save); part; part = strtok_r(NULL, "|", &save)) {
        if (n == CSIM_GROUPS_MAX)
            return -1;
        save2 = NULL;
        for (char *name = strtok_r(part, ",", &save2); name; name = strtok_r(NULL, ",", &save2)) {
            int h = host_find(script, name);

            if (h < 0)
                return -1;
            line->group[n] |= (xha_hostset)1 << h;
        }
        n++;
    }
    return n < 2 ? -1 : 0;
}

static int place_fill(const struct csim_script *script, struct csim_line *line, char place, const char *tok,
                      char *err, size_t err_len)
{
    switch (place) {
    case 'd':
        line->guest = guest_find(script, tok);
        return line->guest < 0 ? bad(err, err_len, "there is no domain '%s'", tok) : 0;
    case 'h':
        line->host = host_find(script, tok);
        return line->host < 0 ? bad(err, err_len, "there is no host '%s'", tok) : 0;
    case 'g':
        line->host2 = host_find(script, tok);
        return line->host2 < 0 ? bad(err, err_len, "there is no host '%s'", tok) : 0;
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
    case 'm':
        line->word = sim_word_find(mode_word, XHA_MOVE_MODE_N_, tok);
        return line->word < 0 ? bad(err, err_len, "'%s' is no mode of a move", tok) : 0;
    case 's':
        line->word = sim_word_find(host_state_word, XHA_HOST_STATE_N_, tok);
        return line->word < 0 ? bad(err, err_len, "'%s' is no state of a host", tok) : 0;
    case 'p':
        return parts_parse(script, line, tok) ? bad(err, err_len, "'%s' is not like h1,h2|h3", tok) : 0;
    }
    return bad(err, err_len, "unknown place %%%c", place);
}

/* 1: not this form; 0: filled; -1: this form, but a place is wrong. */
static int form_match(const struct csim_script *script, const char *form, char **tok, unsigned n,
                      struct csim_line *line, char *err, size_t err_len)
{
    char copy[64];
    char *want[TOKENS_MAX];
    unsigned n_want;

    snprintf(copy, sizeof(copy), "%s", form);
    n_want = tokens_split(copy, want);
    if (n != n_want)
        return 1;
    for (unsigned i = 0; i < n_want; i++)
        if (want[i][0] != '%' && strcmp(want[i], tok[i]))
            return 1;
    for (unsigned i = 0; i < n_want; i++)
        if (want[i][0] == '%' && place_fill(script, line, want[i][1], tok[i], err, err_len))
            return -1;
    return 0;
}

static int verb_parse(struct csim_script *script, struct csim_line *line, char **tok, unsigned n, char *err,
                      size_t err_len)
{
    char why[160] = "";

    for (int v = 0; v < CSIM_VERB_N_; v++) {
        line->guest = line->host = line->host2 = -1;
        line->verb = (enum csim_verb)v;
        if (!form_match(script, forms[v], tok, n, line, why, sizeof(why)))
            return 0;
    }
    return bad(err, err_len, "%s",
               why[0] ? why : "this line is not understood: see tests/scenario-cluster/README.md");
}

static int domain_parse(struct csim_script *script, char *text, char *err, size_t err_len)
{
    struct csim_guest_def *g = &script->guest[script->n_guests];
    char *tok[TOKENS_MAX], *colon = strchr(text, ':');
    unsigned n;

    if (script->n_guests == CSIM_GUESTS_MAX)
        return bad(err, err_len, "more than %d domains", CSIM_GUESTS_MAX);
    csim_guest_default(g);
    if (colon) {
        *colon++ = '\0';
        colon += strspn(colon, " \t");
        colon[strcspn(colon, "\r\n")] = '\0';
        snprintf(g->policy_text, sizeof(g->policy_text), "%s", colon);
        if (csim_guest_apply(g, g->policy_text, err, err_len))
            return -1;
    }
    n = tokens_split(text, tok);
    if (n < 2 || strlen(tok[1]) >= SIM_NAME_MAX)
        return bad(err, err_len, "the domain's name is missing or too long");
    if (guest_find(script, tok[1]) >= 0)
        return bad(err, err_len, "domain '%s' is there twice", tok[1]);
    for (unsigned i = 2; i < n; i++) {
        if (!strcmp(tok[i], "running")) {
            g->running = true;
        } else if (!strcmp(tok[i], "unprotected")) {
            g->later = true;
        } else if (!strcmp(tok[i], "on") && i + 1 < n && host_find(script, tok[i + 1]) >= 0) {
            g->host = host_find(script, tok[++i]);
        } else if (strcmp(tok[i], "policy")) {
            return bad(err, err_len, "'%s' is not running, unprotected, on HOST or policy:", tok[i]);
        }
    }
    snprintf(g->name, sizeof(g->name), "%s", tok[1]);
    script->n_guests++;
    return 0;
}

static const char *const votes_words[CSIM_VOTES_N_] = { "majority", "two-node", "qdevice" };

static const char *votes_word(int v)
{
    return votes_words[v];
}

/* What stands before the first `at`. 1: none of these. */
static int plain_parse(struct csim_script *script, char **tok, unsigned n, char *err, size_t err_len)
{
    int64_t v;

    if (n == 2 && !strcmp(tok[0], "hosts")) {
        if (number_parse(tok[1], &v) || v < 1 || v > XHA_HOSTS_MAX || script->n_guests)
            return bad(err, err_len, "hosts is 1 to %d, and stands before the domains", XHA_HOSTS_MAX);
        script->n_hosts = (unsigned)v;
        return 0;
    }
    if (n == 2 && !strcmp(tok[0], "quorum")) {
        int w = sim_word_find(votes_word, CSIM_VOTES_N_, tok[1]);

        if (w < 0)
            return bad(err, err_len, "quorum is majority, two-node or qdevice");
        script->votes = (enum csim_votes)w;
        return 0;
    }
    if (n == 2 && !strcmp(tok[0], "jitter")) {
        if (number_parse(tok[1], &v))
            return bad(err, err_len, "jitter is a number");
        script->jitter = (uint64_t)v;
        return 0;
    }
    if (n == 1 && (!strcmp(tok[0], "armed") || !strcmp(tok[0], "calm"))) {
        *(tok[0][0] == 'a' ? &script->armed : &script->calm) = true;
        return 0;
    }
    if (!strcmp(tok[0], "settle") && n <= 2) {
        if (n == 2 && strcmp(tok[1], "survivors"))
            return bad(err, err_len, "settle stands alone or with 'survivors'");
        script->settle = n == 2 ? CSIM_SETTLE_SURVIVORS : CSIM_SETTLE_ALL;
        return 0;
    }
    if (n == 2 && !strcmp(tok[0], "run"))
        return sim_span_parse(tok[1], &script->end_ms)
                   ? bad(err, err_len, "'%s' is no length of time", tok[1])
                   : 0;
    return 1;
}

/* The rest of the line after the first `skip` words. */
static const char *rest_of(const char *text, unsigned skip)
{
    while (skip--) {
        text += strspn(text, " \t");
        text += strcspn(text, " \t");
    }
    return text + strspn(text, " \t");
}

static int keyed_parse(struct csim_script *script, const char *text, char **tok, unsigned n, char *err,
                       size_t err_len)
{
    if (!strcmp(tok[0], "settings")) {
        snprintf(script->settings_text, sizeof(script->settings_text), "%s", rest_of(text, 1));
        return sim_settings_apply(&script->settings, script->settings_text, err, err_len);
    }
    if (!strcmp(tok[0], "cluster")) {
        snprintf(script->cluster_text, sizeof(script->cluster_text), "%s", rest_of(text, 1));
        return csim_cluster_apply(&script->cluster, script->cluster_text, err, err_len);
    }
    if (!strcmp(tok[0], "host") && n > 2) {
        int h = host_find(script, tok[1]);

        return h < 0 ? bad(err, err_len, "there is no host '%s'", tok[1])
                     : csim_host_apply(&script->host[h], rest_of(text, 2), err, err_len);
    }
    return 1;
}

int csim_script_parse_line(struct csim_script *script, const char *text, unsigned lineno, char *err,
                           size_t err_len)
{
    char copy[2 * CSIM_TEXT_MAX], whole[2 * CSIM_TEXT_MAX];
    char *tok[TOKENS_MAX], **t = tok;
    struct csim_line line = { .at_ms = SIM_AT_END, .lineno = lineno };
    unsigned n;
    int r;

    if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy))
        return bad(err, err_len, "the line is too long");
    copy[strcspn(copy, "#\n")] = '\0';
    memcpy(whole, copy, sizeof(whole));
    n = tokens_split(copy, tok);
    if (!n)
        return 0;
    if (!strcmp(tok[0], "domain"))
        return domain_parse(script, whole, err, err_len);
    r = keyed_parse(script, whole, tok, n, err, err_len);
    if (r > 0)
        r = plain_parse(script, tok, n, err, err_len);
    if (r <= 0)
        return r;
    if (!strcmp(tok[0], "at")) {
        if (n < 3 || sim_span_parse(tok[1], &line.at_ms))
            return bad(err, err_len, "after 'at' comes a time, as in 'at 10s h1 loses power'");
        t += 2;
        n -= 2;
    }
    if (verb_parse(script, &line, t, n, err, err_len))
        return -1;
    if (line.at_ms == SIM_AT_END && line.verb < CSIM_EXPECT_RUNS_ON)
        return bad(err, err_len, "this happens at some time: begin the line with 'at'");
    csim_script_add(script, &line);
    return 0;
}

int csim_script_read(struct csim_script *script, FILE *in, char *err, size_t err_len)
{
    char buf[1024], why[200];
    unsigned lineno = 0;

    while (fgets(buf, sizeof(buf), in)) {
        lineno++;
        if (csim_script_parse_line(script, buf, lineno, why, sizeof(why)))
            return bad(err, err_len, "%s:%u: %s", script->file, lineno, why);
    }
    if (script->end_ms < 0)
        return bad(err, err_len, "%s:%u: 'run' with a length of time is missing", script->file, lineno);
    for (unsigned i = 0; i < script->n_lines; i++)
        if (script->line[i].at_ms != SIM_AT_END && script->line[i].at_ms > script->end_ms)
            return bad(err, err_len, "%s:%u: this comes after the end of the run", script->file,
                       script->line[i].lineno);
    csim_script_sort(script);
    return 0;
}

static void parts_text(const struct csim_line *line, char *buf, size_t len)
{
    size_t used = 0;

    buf[0] = '\0';
    for (unsigned g = 0; g < CSIM_GROUPS_MAX && line->group[g]; g++) {
        const char *sep = g ? "|" : "";

        for (unsigned h = 0; h < XHA_HOSTS_MAX && used < len; h++) {
            if (!(line->group[g] >> h & 1))
                continue;
            used += (size_t)snprintf(buf + used, len - used, "%sh%u", sep, h + 1);
            sep = ",";
        }
    }
}

static const char *place_text(const struct csim_script *script, const struct csim_line *line, char place,
                              char *buf, size_t len)
{
    switch (place) {
    case 'd':
        return script->guest[line->guest].name;
    case 'h':
    case 'g':
        snprintf(buf, len, "h%d", (place == 'h' ? line->host : line->host2) + 1);
        return buf;
    case 't':
        return sim_span_text(line->span_ms, buf, len);
    case 'n':
        snprintf(buf, len, "%lld", (long long)line->number);
        return buf;
    case 'j':
        return line->word ? sim_action_word(line->word) : "all";
    case 'r':
        return sim_refusal_word(line->word2);
    case 'e':
        return sim_effect_word(line->word2);
    case 'm':
        return mode_word(line->word);
    case 's':
        return host_state_word(line->word);
    case 'p':
        parts_text(line, buf, len);
        return buf;
    }
    return "?";
}

const char *csim_line_text(const struct csim_script *script, const struct csim_line *line, char *buf,
                           size_t len)
{
    char copy[64], place[2 * CSIM_TEXT_MAX];
    char *want[TOKENS_MAX];
    unsigned n;
    size_t used = 0;

    snprintf(copy, sizeof(copy), "%s", forms[line->verb]);
    n = tokens_split(copy, want);
    buf[0] = '\0';
    for (unsigned i = 0; i < n && used < len; i++)
        used += (size_t)snprintf(
            buf + used, len - used, "%s%s", i ? " " : "",
            want[i][0] == '%' ? place_text(script, line, want[i][1], place, sizeof(place)) : want[i]);
    return buf;
}

static void head_write(const struct csim_script *script, FILE *out)
{
    char buf[CSIM_TEXT_MAX];

    fprintf(out, "hosts %u\n", script->n_hosts);
    if (script->votes)
        fprintf(out, "quorum %s\n", votes_words[script->votes]);
    if (script->settings_text[0])
        fprintf(out, "settings %s\n", script->settings_text);
    if (script->cluster_text[0])
        fprintf(out, "cluster %s\n", script->cluster_text);
    for (unsigned h = 0; h < script->n_hosts; h++)
        if (csim_host_text(&script->host[h], buf, sizeof(buf))[0])
            fprintf(out, "host h%u %s\n", h + 1, buf);
    if (script->armed)
        fprintf(out, "armed\n");
    if (script->calm)
        fprintf(out, "calm\n");
    if (script->jitter)
        fprintf(out, "jitter %llu\n", (unsigned long long)script->jitter);
    if (script->settle)
        fprintf(out, "settle%s\n", script->settle == CSIM_SETTLE_SURVIVORS ? " survivors" : "");
}

void csim_script_write(const struct csim_script *script, FILE *out)
{
    char buf[4 * CSIM_TEXT_MAX], span[24];

    head_write(script, out);
    for (unsigned i = 0; i < script->n_guests; i++) {
        const struct csim_guest_def *g = &script->guest[i];

        fprintf(out, "domain %s%s%s on h%d", g->name, g->running ? " running" : "",
                g->later ? " unprotected" : "", g->host + 1);
        fprintf(out, "%s%s\n", g->policy_text[0] ? " policy: " : "", g->policy_text);
    }
    fputc('\n', out);
    for (unsigned i = 0; i < script->n_lines; i++) {
        const struct csim_line *l = &script->line[i];

        if (l->at_ms != SIM_AT_END)
            fprintf(out, "at %s ", sim_span_text(l->at_ms, span, sizeof(span)));
        fprintf(out, "%s\n", csim_line_text(script, l, buf, sizeof(buf)));
    }
    fprintf(out, "run %s\n", sim_span_text(script->end_ms, span, sizeof(span)));
}

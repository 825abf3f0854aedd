/*
 * shrink.c - takes away from a failing script whatever it does not need, by delta debugging (Zeller and
 * Hildebrandt, Simplifying and isolating failure-inducing input, 2002): lines, domains, settings, jitter.
 */
#include "tests/swarm/swarm.h"

#include <stdlib.h>
#include <string.h>

static struct sim_script copy_of(const struct sim_script *s)
{
    struct sim_script copy = *s;

    copy.cap_lines = s->n_lines + 1;
    copy.line = malloc(copy.cap_lines * sizeof(*copy.line));
    if (!copy.line)
        abort();
    memcpy(copy.line, s->line, s->n_lines * sizeof(*copy.line));
    return copy;
}

/* The words before the first ':' after the time name the rule. */
static void rule_of(const char *why, char *rule, size_t len)
{
    const char *from = strstr(why, ": ");

    snprintf(rule, len, "%s", from ? from + 2 : why);
    rule[strcspn(rule, ":")] = '\0';
    for (char *p = rule; *p; p++)
        if (*p >= '0' && *p <= '9')
            *p = '#';
}

struct shrinking {
    struct sim_script *best;
    char rule[128];
    unsigned tries;
};

/* Takes the candidate when it fails by the same rule; frees what is not kept. */
static bool try(struct shrinking *s, struct sim_script *candidate)
{
    char why[512], rule[128];
    bool same = false;

    if (s->tries) {
        s->tries--;
        if (swarm_run(candidate, NULL, false, NULL, why, sizeof(why))) {
            rule_of(why, rule, sizeof(rule));
            same = !strncmp(rule, s->rule, 20);
        }
    }
    if (same) {
        sim_script_free(s->best);
        *s->best = *candidate;
    } else {
        sim_script_free(candidate);
    }
    return same;
}

static bool lines_shrink(struct shrinking *s)
{
    bool better = false;

    for (unsigned chunk = (s->best->n_lines + 1) / 2; chunk; chunk /= 2) {
        for (unsigned from = 0; from < s->best->n_lines && s->tries;) {
            struct sim_script c = copy_of(s->best);
            unsigned n = chunk < c.n_lines - from ? chunk : c.n_lines - from;

            memmove(&c.line[from], &c.line[from + n], (c.n_lines - from - n) * sizeof(*c.line));
            c.n_lines -= n;
            if (try(s, &c))
                better = true;
            else
                from += chunk;
        }
    }
    return better;
}

static bool guests_shrink(struct shrinking *s)
{
    bool better = false;

    for (unsigned g = s->best->n_guests; g-- && s->best->n_guests > 1;) {
        struct sim_script c = copy_of(s->best);
        unsigned n = 0;

        memmove(&c.guest[g], &c.guest[g + 1], (c.n_guests - g - 1) * sizeof(*c.guest));
        c.n_guests--;
        for (unsigned i = 0; i < c.n_lines; i++) {
            if (c.line[i].guest == (int)g)
                continue;
            c.line[n] = c.line[i];
            if (c.line[n].guest > (int)g)
                c.line[n].guest--;
            n++;
        }
        c.n_lines = n;
        better |= try(s, &c);
    }
    return better;
}

/* Takes the nth word out of a text of keys. Returns false when there is none. */
static bool word_drop(char *text, unsigned nth)
{
    char *p = text;
    size_t n;

    while (nth--) {
        p += strcspn(p, " ");
        p += strspn(p, " ");
    }
    if (!*p)
        return false;
    n = strcspn(p, " ");
    n += strspn(p + n, " ");
    memmove(p, p + n, strlen(p + n) + 1);
    n = strlen(text);
    if (n && text[n - 1] == ' ')
        text[n - 1] = '\0';
    return true;
}

static bool keys_shrink(struct shrinking *s)
{
    bool better = false;
    char err[200];

    for (unsigned g = 0; g < s->best->n_guests; g++) {
        for (unsigned k = 0; s->tries;) {
            struct sim_script c = copy_of(s->best);

            if (!word_drop(c.guest[g].policy_text, k)) {
                sim_script_free(&c);
                break;
            }
            sim_policy_default(&c.guest[g].policy);
            sim_policy_apply(&c.guest[g].policy, c.guest[g].policy_text, err, sizeof(err));
            if (try(s, &c))
                better = true;
            else
                k++;
        }
    }
    for (unsigned k = 0; s->tries;) {
        struct sim_script c = copy_of(s->best);

        if (!word_drop(c.settings_text, k)) {
            sim_script_free(&c);
            break;
        }
        sim_settings_default(&c.settings);
        sim_settings_apply(&c.settings, c.settings_text, err, sizeof(err));
        if (try(s, &c))
            better = true;
        else
            k++;
    }
    return better;
}

static bool jitter_shrink(struct shrinking *s)
{
    struct sim_script c;

    if (!s->best->jitter)
        return false;
    c = copy_of(s->best);
    c.jitter = 0;
    return try(s, &c);
}

void swarm_shrink(struct sim_script *script, unsigned tries)
{
    struct shrinking s = { .best = script, .tries = tries };
    char why[512];
    bool better = true;

    if (!swarm_run(script, NULL, false, NULL, why, sizeof(why)))
        return;
    rule_of(why, s.rule, sizeof(s.rule));
    jitter_shrink(&s);
    while (better && s.tries) {
        better = lines_shrink(&s);
        better |= guests_shrink(&s);
        better |= keys_shrink(&s);
        better |= jitter_shrink(&s);
    }
}

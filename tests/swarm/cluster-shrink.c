/*
 * cluster-shrink.c - as shrink.c, for scripts of clusters: takes away lines, domains, hosts, keys and jitter
 * that a failure does not need (Zeller and Hildebrandt, 2002).
 */
#include "tests/swarm/cluster.h"

#include <stdlib.h>
#include <string.h>

struct shrinking {
    struct csim_script *best;
    char rule[128];
    unsigned tries;
};

static struct csim_script *copy_of(const struct csim_script *s)
{
    struct csim_script *copy = malloc(sizeof(*copy));

    if (!copy)
        abort();
    *copy = *s;
    copy->cap_lines = s->n_lines + 1;
    copy->line = malloc(copy->cap_lines * sizeof(*copy->line));
    if (!copy->line)
        abort();
    memcpy(copy->line, s->line, s->n_lines * sizeof(*copy->line));
    return copy;
}

/* The words before the first ':' or name of a host after the time name the rule. */
static void rule_of(const char *why, char *rule, size_t len)
{
    const char *from = strstr(why, ": ");

    snprintf(rule, len, "%s", from ? from + 2 : why);
    if (strncmp(rule, "liveness", 8))
        rule[strcspn(rule, ":")] = '\0';
    for (char *p = rule; *p; p++)
        if (*p >= '0' && *p <= '9')
            *p = '#';
}

/* Takes the candidate when it fails by the same rule; frees it. */
static bool try(struct shrinking *s, struct csim_script *candidate)
{
    char why[512], rule[128];
    bool same = false;

    if (s->tries) {
        s->tries--;
        if (cswarm_run(candidate, NULL, false, NULL, why, sizeof(why))) {
            rule_of(why, rule, sizeof(rule));
            same = !strncmp(rule, s->rule, 8);
        }
    }
    if (same) {
        csim_script_free(s->best);
        *s->best = *candidate;
    } else {
        csim_script_free(candidate);
    }
    free(candidate);
    return same;
}

static bool lines_shrink(struct shrinking *s)
{
    bool better = false;

    for (unsigned chunk = (s->best->n_lines + 1) / 2; chunk; chunk /= 2) {
        for (unsigned from = 0; from < s->best->n_lines && s->tries;) {
            struct csim_script *c = copy_of(s->best);
            unsigned n = chunk < c->n_lines - from ? chunk : c->n_lines - from;

            memmove(&c->line[from], &c->line[from + n], (c->n_lines - from - n) * sizeof(*c->line));
            c->n_lines -= n;
            if (try(s, c))
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
        struct csim_script *c = copy_of(s->best);
        unsigned n = 0;

        memmove(&c->guest[g], &c->guest[g + 1], (c->n_guests - g - 1) * sizeof(*c->guest));
        c->n_guests--;
        for (unsigned i = 0; i < c->n_lines; i++) {
            if (c->line[i].guest == (int)g)
                continue;
            c->line[n] = c->line[i];
            if (c->line[n].guest > (int)g)
                c->line[n].guest--;
            n++;
        }
        c->n_lines = n;
        better |= try(s, c);
    }
    return better;
}

/* Only the last host can go, when nothing names it. */
static bool hosts_shrink(struct shrinking *s)
{
    bool better = false;

    while (s->best->n_hosts > 2) {
        struct csim_script *c = copy_of(s->best);
        int last = (int)--c->n_hosts;
        unsigned n = 0;

        for (unsigned i = 0; i < c->n_lines; i++) {
            struct csim_line line = c->line[i];

            if (line.host == last || line.host2 == last)
                continue;
            for (unsigned g = 0; g < CSIM_GROUPS_MAX; g++)
                line.group[g] &= ~CSIM_BIT(last);
            if (line.verb == CSIM_NET_SPLIT && (!line.group[0] || !line.group[1]))
                continue;
            c->line[n++] = line;
        }
        c->n_lines = n;
        for (unsigned g = 0; g < c->n_guests; g++)
            if (c->guest[g].host == last)
                c->guest[g].host = 0;
        if (!try(s, c))
            break;
        better = true;
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
            struct csim_script *c = copy_of(s->best);
            struct csim_guest_def *def = &c->guest[g], plain;

            if (!word_drop(def->policy_text, k)) {
                csim_script_free(c);
                free(c);
                break;
            }
            csim_guest_default(&plain);
            def->policy = plain.policy;
            def->needs = plain.needs;
            csim_guest_apply(def, def->policy_text, err, sizeof(err));
            if (try(s, c))
                better = true;
            else
                k++;
        }
    }
    return better;
}

static bool plain_shrink(struct shrinking *s)
{
    bool better = false;

    for (unsigned h = 0; h < s->best->n_hosts; h++) {
        struct csim_script *c = copy_of(s->best);
        struct csim_host_def plain;

        csim_host_default(&plain);
        if (!memcmp(&c->host[h], &plain, sizeof(plain))) {
            csim_script_free(c);
            free(c);
            continue;
        }
        c->host[h] = plain;
        better |= try(s, c);
    }
    for (int what = 0; what < 2; what++) {
        struct csim_script *c = copy_of(s->best);

        if (what == 0 ? !c->jitter : !c->armed) {
            csim_script_free(c);
            free(c);
            continue;
        }
        if (what == 0)
            c->jitter = 0;
        else
            c->armed = false;
        better |= try(s, c);
    }
    return better;
}

void cswarm_shrink(struct csim_script *script, unsigned tries)
{
    struct shrinking s = { .best = script, .tries = tries };
    char why[512];
    bool better = true;

    if (!cswarm_run(script, NULL, false, NULL, why, sizeof(why)))
        return;
    rule_of(why, s.rule, sizeof(s.rule));
    while (better && s.tries) {
        better = lines_shrink(&s);
        better |= guests_shrink(&s);
        better |= hosts_shrink(&s);
        better |= plain_shrink(&s);
        better |= keys_shrink(&s);
    }
}

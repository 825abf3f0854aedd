/*
 * affinity.c - see affinity.h.
 */
#include "xhad/xen/affinity.h"

#include <stdio.h>
#include <string.h>

struct parser {
    const char *p; /* here */
    uint32_t n_cpus;
    char *err;
    size_t err_len;
};

static int complain(struct parser *ps, const char *what)
{
    snprintf(ps->err, ps->err_len,
             "affinity: %s (there are CPUs 0-%u; write \"all\", \"1-3,^2\", \"soft:0-1\")", what,
             ps->n_cpus - 1);
    return -1;
}

static int parse_cpu(struct parser *ps, uint32_t *cpu_r)
{
    uint32_t cpu = 0;
    const char *begin = ps->p;

    for (; *ps->p >= '0' && *ps->p <= '9'; ps->p++) {
        cpu = cpu * 10 + (uint32_t)(*ps->p - '0');
        if (cpu >= ps->n_cpus)
            return complain(ps, "a CPU that is not there");
    }
    if (ps->p == begin)
        return complain(ps, "a CPU number is missing");
    *cpu_r = cpu;
    return 0;
}

static bool at_end_of_item(char c)
{
    return c == ',' || c == ' ' || c == '\t' || c == '\0';
}

/* One item of a list: all, N, N-M, each with ^ before it or not. */
static int parse_item(struct parser *ps, struct xha_cpu_set *set)
{
    uint32_t from = 0, to = ps->n_cpus - 1;
    bool out = *ps->p == '^';

    ps->p += out;
    if (strncmp(ps->p, "all", 3) == 0 && at_end_of_item(ps->p[3])) {
        ps->p += 3;
    } else {
        if (parse_cpu(ps, &from) < 0)
            return -1;
        to = from;
        if (*ps->p == '-') {
            ps->p++;
            if (parse_cpu(ps, &to) < 0)
                return -1;
        }
        if (to < from)
            return complain(ps, "a range that runs backwards");
    }
    if (!at_end_of_item(*ps->p))
        return complain(ps, "a word that is no list of CPUs");
    for (uint32_t cpu = from; cpu <= to; cpu++) {
        uint8_t bit = (uint8_t)(1u << (cpu % 8));

        if (out)
            set->bits[cpu / 8] &= (uint8_t)~bit;
        else
            set->bits[cpu / 8] |= bit;
    }
    return 0;
}

static int parse_list(struct parser *ps, struct xha_cpu_set *set)
{
    static const uint8_t none[sizeof(set->bits)];

    if (set->given)
        return complain(ps, "the same kind twice");
    set->given = true;
    set->all = strncmp(ps->p, "all", 3) == 0 && ps->p[3] != ',';
    for (;;) {
        if (parse_item(ps, set) < 0)
            return -1;
        if (*ps->p != ',')
            break;
        ps->p++;
    }
    return memcmp(set->bits, none, sizeof(none)) == 0 ? complain(ps, "a list without a CPU") : 0;
}

int xha_affinity_parse(const char *text, uint32_t n_cpus, struct xha_affinity *affinity_r, char *err,
                       size_t err_len)
{
    struct parser ps = { .p = text, .n_cpus = n_cpus, .err = err, .err_len = err_len };
    struct xha_cpu_set *set;

    memset(affinity_r, 0, sizeof(*affinity_r));
    if (n_cpus == 0 || n_cpus > XHA_CPUS_MAX) {
        snprintf(err, err_len, "affinity: a host with %u CPUs is not supported (1 to %d are)", n_cpus,
                 XHA_CPUS_MAX);
        return -1;
    }
    for (;;) {
        ps.p += strspn(ps.p, " \t");
        if (*ps.p == '\0')
            return 0;
        set = &affinity_r->hard;
        if (strncmp(ps.p, "soft:", 5) == 0)
            set = &affinity_r->soft;
        if (strncmp(ps.p, "soft:", 5) == 0 || strncmp(ps.p, "hard:", 5) == 0)
            ps.p += 5;
        if (parse_list(&ps, set) < 0)
            return -1;
    }
}

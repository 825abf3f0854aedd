/*
 * affinity.h - lists of CPUs as xl.cfg(5) writes them. Pure.
 */
#ifndef XHA_XEN_AFFINITY_H
#define XHA_XEN_AFFINITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XHA_CPUS_MAX 4096

struct xha_cpu_set {
    bool given; /* false: leave this kind of affinity as it is */
    bool all;   /* the whole list was "all" */
    uint8_t bits[XHA_CPUS_MAX / 8];
};

struct xha_affinity {
    struct xha_cpu_set hard, soft;
};

/*
 * Words between blanks, each a list: "all", "1-3,^2", "0,4-7"; "soft:LIST" for soft affinity, "hard:LIST" or
 * a bare LIST for hard. "^N" and "^N-M" take out what stands before them. "" gives nothing. 0, or -1 with a
 * text in err: a word that is no list, a CPU that is not below n_cpus, or a list that ends up empty.
 */
int xha_affinity_parse(const char *text, uint32_t n_cpus, struct xha_affinity *affinity_r, char *err,
                       size_t err_len);

static inline bool xha_cpu_set_has(const struct xha_cpu_set *set, uint32_t cpu)
{
    return (set->bits[cpu / 8] >> (cpu % 8)) & 1;
}

#endif

/*
 * drive.h - what the swarms of one host and of clusters share: seeds over processes, TAP, the replay of a seed.
 */
#ifndef XHA_SWARM_DRIVE_H
#define XHA_SWARM_DRIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A kind of world. Scripts are zeroed memory of script_size that the kind fills and empties. */
struct swarm_kind {
    const char *program, *worlds; /* "xha-swarm", "random worlds" */
    unsigned hosts;               /* unless --hosts says otherwise: at least two, or this */
    unsigned hosts_most;
    size_t script_size, cover_size;

    void (*make)(uint64_t seed, unsigned hosts, void *script);
    /* Opens by name. 0, or -1 with "FILE:LINE: what is wrong" in err. */
    int (*read)(void *script, FILE *in, const char *name, char *err, size_t err_len);
    void (*write)(const void *script, FILE *out);
    void (*empty)(void *script);
    /* 0, or -1 with the reason in why. story and cover may be NULL. */
    int (*run)(const void *script, FILE *story, bool verbose, void *cover, char *why, size_t why_len);
    void (*shrink)(void *script, unsigned tries);

    void (*cover_add)(void *to, const void *from);
    void (*cover_print)(const void *cover, FILE *out);
    void (*cover_size_of)(const void *cover, uint64_t *steps_r, uint64_t *virtual_ms_r);
};

/* The program. Returns its exit status. */
int swarm_main(const struct swarm_kind *kind, int argc, char **argv);

/* Calls play(arg). 0, or the signal (SIGABRT, SIGSEGV, SIGFPE) that ended it. */
int swarm_guard(void (*play)(void *), void *arg);

/* Adds up n counters, which is all that most covers are. */
void swarm_count(uint64_t *to, const uint64_t *from, size_t n);

#endif

/*
 * run.h - another program, run to its end: its output bounded, its time limited.
 */
#ifndef XHA_XEN_RUN_H
#define XHA_XEN_RUN_H

#include <stddef.h>
#include <stdint.h>

struct xha_run {
    const char *const *argv; /* argv[0] is looked for in PATH when it has no slash */
    const char *const *env;  /* NULL: as ours */
    int64_t limit_ms;        /* then it is killed */
    char *out, *err;         /* what it wrote, NUL-terminated and cut to size; NULs in it become blanks */
    size_t out_size, err_size;
    /* afterwards */
    size_t out_len, err_len; /* bytes in out and err */
    int out_cut;             /* it wrote more than out holds */
    int status;              /* its exit status; 128+n for a signal */
    int timed_out;
};

/* 0 when it ran and has ended, in whatever way; -1 with errno when it could not be run. */
int xha_run(struct xha_run *run);

#endif

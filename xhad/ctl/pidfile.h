/*
 * pidfile.h - RUN/pid: one xhad per run directory, and where it is.
 */
#ifndef XHA_CTL_PIDFILE_H
#define XHA_CTL_PIDFILE_H

#include <stddef.h>

/*
 * Creates and locks it and writes our pid. The descriptor in *fd_r holds the lock: keep it until the end. 0,
 * or -1 with a text for people (another xhad runs, and its pid).
 */
int xha_pidfile_take(const char *run_dir, int *fd_r, char *err, size_t err_len);

/* Again, after a fork: the lock stays, the pid is another. */
int xha_pidfile_write(int fd);

#endif

/*
 * cleanup.h - what a variable owns goes when the variable goes.
 *
 * XHA_CLEANUP_FREE char *text = NULL;   and the like. Each is a no-op for NULL, or for a descriptor of -1.
 * Ownership is handed over with xha_steal_ptr() and xha_steal_fd().
 */
#ifndef XHA_BASE_CLEANUP_H
#define XHA_BASE_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void xha_cleanup_free(void *p)
{
    free(*(void **)p);
}

/* errno is kept, so that a close on the way out does not hide what went wrong. */
static inline void xha_cleanup_close(const int *fd)
{
    if (*fd >= 0) {
        int saved = errno;

        close(*fd);
        errno = saved;
    }
}

static inline void xha_cleanup_fclose(FILE **f)
{
    if (*f) {
        int saved = errno;

        fclose(*f);
        errno = saved;
    }
}

static inline void xha_cleanup_closedir(DIR **d)
{
    if (*d)
        closedir(*d);
}

#define XHA_CLEANUP_FREE     __attribute__((cleanup(xha_cleanup_free)))
#define XHA_CLEANUP_CLOSE    __attribute__((cleanup(xha_cleanup_close)))
#define XHA_CLEANUP_FCLOSE   __attribute__((cleanup(xha_cleanup_fclose)))
#define XHA_CLEANUP_CLOSEDIR __attribute__((cleanup(xha_cleanup_closedir)))

static inline int xha_steal_fd(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

#define xha_steal_ptr(p)                                                                                     \
    (__extension__({                                                                                         \
        __typeof__(p) taken_ = (p);                                                                          \
        (p) = NULL;                                                                                          \
        taken_;                                                                                              \
    }))

#endif

/*
 * file.h - whole files, read bounded and written so that a reader or a crash sees the old or the new one.
 */
#ifndef XHA_BASE_FILE_H
#define XHA_BASE_FILE_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Reads a regular file of at most max bytes; a NUL follows the bytes. The caller frees *data_r. 0, or -1 with
 * errno (EFBIG: longer than max; EINVAL: no regular file) and *data_r NULL.
 */
int xha_file_read(const char *path, size_t max, char **data_r, size_t *len_r);

/*
 * Writes PATH.tmp, syncs it, renames it to PATH and syncs the directory. 0, or -1 with errno; then PATH is as
 * it was before.
 */
int xha_file_write(const char *path, mode_t mode, const void *data, size_t len);

/* Writes all of it, however often the kernel takes only a part. 0, or -1 with errno. */
int xha_write_all(int fd, const void *data, size_t len);

/* Syncs the directory that holds path. 0, or -1 with errno. */
int xha_sync_dir_of(const char *path);

/* Creates path and the directories above it, with this mode. 0, also when it is there; or -1 with errno. */
int xha_mkdir_p(const char *path, mode_t mode);

#endif

/*
 * store.h - reading and writing all of what is asked for, of a file or a block device.
 */
#ifndef XHA_DISK_STORE_H
#define XHA_DISK_STORE_H

#include <stddef.h>
#include <stdint.h>

/* 0, or -1 with errno (EIO: the file ends before). */
int xha_store_read(int fd, void *bytes, size_t len, uint64_t offset);
int xha_store_write(int fd, const void *bytes, size_t len, uint64_t offset);
int xha_store_zero(int fd, uint64_t len, uint64_t offset);

/* Of a regular file or a block device. -1 with errno. */
int xha_store_size(int fd, uint64_t *size_r);

#endif

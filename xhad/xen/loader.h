/*
 * loader.h - reads a save file, ours or xl's, packed with zstd or not: first its header, then the stream for
 * libxl.
 */
#ifndef XHA_XEN_LOADER_H
#define XHA_XEN_LOADER_H

#include <stdbool.h>
#include <stddef.h>

struct xha_loader;

/* Opens it and reads the header. 0, or -1 with a text for people in err. */
int xha_loader_open(const char *path, struct xha_loader **loader_r, char *err, size_t err_len);

/* The domain's configuration in it, libxl's JSON. Valid as long as the loader. */
const char *xha_loader_config(const struct xha_loader *loader);

/* Whether it is packed with zstd. */
bool xha_loader_is_packed(const struct xha_loader *loader);

/* A descriptor that gives the stream behind the header; the loader's own. -1 with errno. Once only. */
int xha_loader_stream(struct xha_loader *loader);

/* Ends it, at any point; NULL is allowed. 0, or -1 with a text in err when the packed stream turned out
 * damaged. */
int xha_loader_close(struct xha_loader *loader, char *err, size_t err_len);

#endif

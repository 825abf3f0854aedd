/*
 * fence_meta.h - what a fence agent says of itself: the XML of its action metadata.
 */
#ifndef XHA_CLUSTER_FENCE_META_H
#define XHA_CLUSTER_FENCE_META_H

#include <stdbool.h>
#include <stddef.h>

#define XHA_FENCE_META_MAX    (256 * 1024) /* bytes of XML */
#define XHA_FENCE_META_PARAMS 256
#define XHA_FENCE_META_NAME   64

struct xha_fence_param {
    char name[XHA_FENCE_META_NAME];
    char obsoletes[XHA_FENCE_META_NAME]; /* the old name of the same, "": none */
    bool required, deprecated, has_default;
};

struct xha_fence_meta {
    size_t n;
    bool off, on, status, monitor; /* the actions that matter here */
    struct xha_fence_param param[XHA_FENCE_META_PARAMS];
};

/* 0, or -1: no such XML, too much of it, or entities of its own. */
int xha_fence_meta_parse(const char *xml, size_t len, struct xha_fence_meta *meta_r);

/* NULL: the agent knows no such option. */
const struct xha_fence_param *xha_fence_meta_find(const struct xha_fence_meta *meta, const char *name);

#endif
